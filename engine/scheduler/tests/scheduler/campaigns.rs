//! Campaigns: each row becomes one message, whatever crashes; pauses, stops and rules.

use std::collections::HashSet;

use pombo_domain::model::connector::{ConnectorStatus, Pace, QuietHours};
use pombo_domain::model::template::{Component, HeaderFormat};
use pombo_domain::model::*;
use pombo_domain::ports::*;

use crate::support::*;

const ROWS: usize = 25;

fn change(change: CampaignChange) -> Change {
    Change::Campaign(Box::new(change))
}

/// A template, and a campaign with its rows fixed; it runs.
fn running(world: &World, prepare: impl FnOnce(&mut Campaign)) {
    let addresses: Vec<String> = (1..=ROWS).map(|n| format!("c{n}@example.org")).collect();
    running_to(world, &addresses, prepare);
}

fn running_to(world: &World, addresses: &[String], prepare: impl FnOnce(&mut Campaign)) {
    let template = samples::template(TENANT, "Olá {{nome}}");
    world.write(vec![Change::Template(Box::new(TemplateChange::Put(template.clone())))]);
    let mut draft = samples::campaign(TENANT, LANE);
    prepare(&mut draft);
    world.write(vec![change(CampaignChange::Put(draft))]);
    let rows = samples::campaign_rows(addresses.iter().map(String::as_str));
    world.write(vec![change(CampaignChange::Freeze { tenant: TENANT, campaign: 1, rows })]);
    put(world, |campaign| campaign.frozen(campaign.scheduled_at, NOON).expect("a draft").with_text_of(&template));
}

fn campaign(world: &World) -> Campaign {
    world.store.campaign(TENANT, 1).expect("readable").expect("it is stored")
}

fn put(world: &World, step: impl FnOnce(&Campaign) -> Campaign) {
    let next = step(&campaign(world));
    world.write(vec![change(CampaignChange::Put(next))]);
}

fn resume(world: &World) {
    let counts = counts(world);
    put(world, |campaign| campaign.resumed(&counts, NOON).expect("it is paused"));
}

/// It is paused for this reason, and nothing of it waits. More of the reason, for a person.
#[track_caller]
fn paused_by(world: &World, reason: CampaignReason) -> String {
    let paused = campaign(world);
    let pausing = paused.pausing.expect("it is paused");
    assert_eq!((paused.status, pausing.reason), (CampaignStatus::Paused, reason), "{}", pausing.detail);
    assert_eq!(counts(world).pending, ROWS as u64, "all of it was taken back");
    world.assert_nothing_queued();
    pausing.detail
}

fn counts(world: &World) -> CampaignCounts {
    let counts = world.store.campaign_counts(TENANT, 1).expect("readable");
    assert_eq!(counts.rows(), ROWS as u64, "each row stands somewhere: {counts:?}");
    counts
}

/// Every recipient got one message.
#[track_caller]
fn assert_each_once(world: &World) {
    let texts = world.connectors.texts();
    let different: HashSet<&String> = texts.iter().collect();
    assert_eq!((texts.len(), different.len()), (ROWS, ROWS));
    assert_eq!(counts(world).accepted, ROWS as u64);
    assert_eq!(campaign(world).status, CampaignStatus::Finished);
}

fn small(mut world: World) -> World {
    world.options.campaigns.window = 10;
    world.options.campaigns.batch = 4;
    world
}

#[tokio::test]
async fn each_row_becomes_one_message_and_then_the_campaign_is_finished() {
    let mut world = small(World::new(free()));
    running(&world, |_| {});
    world.start().await;
    world.clock.advance(1_000).await;
    assert_each_once(&world);
    assert!(world.connectors.texts().contains(&"Olá n7".to_owned()));
    let row = world.store.campaign_row(TENANT, 1, 7).expect("readable").expect("a row");
    let (serial, id) = row.state.message.expect("it is a message");
    let message = world.store.message_by_id(TENANT, id).expect("readable").expect("a message");
    assert_eq!(
        (message.message.key.serial, message.message.content.external_id.as_deref()),
        (serial, Some("campaign-1-7"))
    );
    assert!(world.store.open_campaigns().expect("readable").is_empty(), "nobody looks at it any more");
}

#[tokio::test]
async fn only_a_window_of_rows_waits_in_the_queue() {
    let mut world = small(World::new(free()));
    world.connectors.act(|_| Does::Hang);
    running(&world, |_| {});
    world.start().await;
    world.clock.advance(1_000).await;
    let waiting = counts(&world);
    assert!(waiting.queued <= 10 && waiting.queued > 6, "{waiting:?}");
    assert_eq!(waiting.pending + waiting.queued, ROWS as u64);
}

#[tokio::test]
async fn a_crash_or_a_refused_commit_anywhere_neither_loses_nor_repeats_a_row() {
    for at in 0..24 {
        let mut world = small(World::with(free(), |plugin| plugin.idempotent_resend = true));
        running(&world, |_| {});
        world.store.refuse(move |number, _| (number == at).then(unavailable));
        world.start_again().await;
        world.crash().await;
        world.store.no_plan();
        world.start().await;
        world.clock.advance(120_000).await;
        let ids: HashSet<_> = world.connectors.sent.lock().iter().map(|sent| sent.client_id).collect();
        assert_eq!(ids.len(), ROWS, "a repetition has the same id: refused at {at}");
        assert_eq!(counts(&world).accepted, ROWS as u64, "refused at {at}");
        assert_eq!(campaign(&world).status, CampaignStatus::Finished, "refused at {at}");
    }
}

#[tokio::test]
async fn a_pause_takes_back_what_waits_and_a_resumption_sends_it_once() {
    let mut world = small(World::new(free()));
    world.change_connector(|connector| connector.status = ConnectorStatus::Paused);
    running(&world, |_| {});
    world.start().await;
    world.clock.advance(1_000).await;
    assert!(counts(&world).queued > 0, "the rows wait for the connector");
    assert_eq!(campaign(&world).connector_downs, 1);
    put(&world, |campaign| campaign.paused(CampaignReason::Person, "x", NOON).expect("it runs"));
    world.clock.advance(1_000).await;
    assert_eq!(counts(&world).pending, ROWS as u64, "all of it was taken back");
    world.assert_nothing_queued();
    world.change_connector(|connector| connector.status = ConnectorStatus::Active);
    world.clock.advance(60_000).await;
    assert!(world.connectors.texts().is_empty(), "it is paused");
    let at = counts(&world);
    put(&world, |campaign| campaign.resumed(&at, NOON).expect("it is paused"));
    world.clock.advance(60_000).await;
    assert_each_once(&world);
}

#[tokio::test]
async fn a_pause_leaves_what_was_sent_in_its_name_one_by_one_and_a_stop_cancels_it() {
    let mut world = small(World::new(free()));
    world.change_connector(|connector| connector.status = ConnectorStatus::Paused);
    running(&world, |_| {});
    world.start().await;
    world.clock.advance(1_000).await;
    let by_hand = |words: &str| {
        let options = MessageOptions { campaign: Some(1), ..MessageOptions::default() };
        world.post(NewMessage { options, ..text(words) })
    };
    let key = by_hand("by hand");
    put(&world, |campaign| campaign.paused(CampaignReason::Person, "x", NOON).expect("it runs"));
    world.clock.advance(1_000).await;
    let stood = world.store.campaign_counts(TENANT, 1).expect("readable");
    assert_eq!((stood.pending, stood.queued, world.status(key)), (ROWS as u64, 1, Status::Pending));
    world.change_connector(|connector| connector.status = ConnectorStatus::Active);
    world.clock.advance(1_000).await;
    assert_eq!(world.connectors.texts(), ["by hand"], "its row could not say what it says");
    world.change_connector(|connector| connector.status = ConnectorStatus::Paused);
    let last = by_hand("too late");
    put(&world, |campaign| campaign.stopped("enough", NOON).expect("it is paused"));
    world.clock.advance(1_000).await;
    assert_eq!(world.status(last), Status::Canceled);
    let stood = world.store.campaign_counts(TENANT, 1).expect("readable");
    assert_eq!((stood.accepted, stood.canceled), (1, ROWS as u64 + 1));
}

#[tokio::test]
async fn a_campaign_starts_at_its_time() {
    let mut world = small(World::new(free()));
    running(&world, |campaign| campaign.scheduled_at = Some(NOON.plus_ms(60_000)));
    world.start().await;
    world.clock.advance(59_000).await;
    assert_eq!(counts(&world).pending, ROWS as u64);
    world.clock.advance(2_000).await;
    world.clock.advance(1_000).await;
    assert_each_once(&world);
}

/// The account may start no conversation until then.
async fn locked(world: &World, until: Option<pombo_domain::Timestamp>) {
    let told = serde_json::json!({ "lockedUntilMillis": until.map(|at| at.0) });
    world.tell(vec![ChannelEvent::Other("outreach".to_owned(), told.to_string())]).await.expect("taken");
}

#[tokio::test]
async fn people_who_are_known_do_not_wait_for_strangers_who_are_put_off() {
    let mut world = small(World::two_way(free()));
    world.start().await;
    let strangers = 12;
    let address = |n: usize| if n < strangers { format!("5521{n:07}") } else { format!("5511{n:07}") };
    let addresses: Vec<String> = (0..ROWS).map(address).collect();
    let wrote = addresses[strangers..].iter().map(|known| ChannelEvent::Message(from(known, &format!("of {known}"))));
    world.tell(wrote.collect()).await.expect("taken");
    let until = NOON.plus_ms(4 * 3_600_000);
    locked(&world, Some(until)).await;
    running_to(&world, &addresses, |_| {});
    for _ in 0..5 {
        world.clock.advance(1_000).await;
    }
    let stood = counts(&world);
    assert_eq!((stood.pending, stood.queued, stood.put_off), (0, strangers as u64, strangers as u64), "{stood:?}");
    assert_eq!(stood.accepted, (ROWS - strangers) as u64);
    assert_eq!(campaign(&world).status, CampaignStatus::Running, "it is not finished");
    world.clock.advance_to(until.plus_ms(10_000)).await;
    assert_each_once(&world);
}

#[tokio::test]
async fn no_more_rows_are_put_off_than_twenty_windows() {
    let mut world = World::two_way(free());
    world.options.campaigns.window = 1;
    world.options.campaigns.batch = 1;
    world.start().await;
    locked(&world, Some(NOON.plus_ms(4 * 3_600_000))).await;
    let addresses: Vec<String> = (0..ROWS).map(|n| format!("5521{n:07}")).collect();
    running_to(&world, &addresses, |_| {});
    for _ in 0..30 {
        world.clock.advance(1_000).await;
    }
    let stood = counts(&world);
    assert_eq!((stood.pending, stood.queued, stood.put_off), (5, 20, 20), "{stood:?}");
    locked(&world, None).await;
    for _ in 0..30 {
        world.clock.advance(1_000).await;
    }
    assert_each_once(&world);
}

/// It is noon, and quiet from eleven to one.
#[tokio::test]
async fn quiet_hours_hold_the_rows_and_the_campaign_goes_on_by_itself_when_they_end() {
    const HOUR: i64 = 3_600_000;
    let quiet = QuietHours { from_minute: 11 * 60, to_minute: 13 * 60 };
    let mut world = small(World::new(Pace { quiet_hours: Some(quiet), ..free() }));
    running(&world, |_| {});
    world.start().await;
    world.clock.advance(HOUR - 1).await;
    assert!(world.connectors.texts().is_empty(), "nothing is sent");
    let stood = counts(&world);
    assert!(stood.queued > 0 && stood.queued <= 10, "a window of rows waits: {stood:?}");
    assert_eq!((stood.pending + stood.queued, stood.failed), (ROWS as u64, 0), "{stood:?}");
    let runs = campaign(&world);
    assert_eq!((runs.status, runs.pausing, runs.connector_downs), (CampaignStatus::Running, None, 0));
    world.clock.advance(1).await;
    world.clock.advance(1_000).await;
    assert_each_once(&world);
}

/// They begin while it runs.
#[tokio::test]
async fn a_campaign_that_runs_into_quiet_hours_sends_the_rest_the_next_day() {
    const HOUR: i64 = 3_600_000;
    let quiet = QuietHours { from_minute: 13 * 60, to_minute: 11 * 60 };
    let pace = Pace { quiet_hours: Some(quiet), delay_min_ms: 360_000, delay_max_ms: 360_000, ..free() };
    let mut world = small(World::new(pace));
    running(&world, |_| {});
    world.start().await;
    // Ten go in the hour that is left, one every six minutes.
    world.clock.advance(HOUR).await;
    let sent = world.connectors.texts().len();
    assert!((9..=11).contains(&sent), "{sent} were sent");
    world.clock.advance(22 * HOUR - 1).await;
    assert_eq!(world.connectors.texts().len(), sent, "nothing is sent until eleven");
    assert_eq!(campaign(&world).status, CampaignStatus::Running);
    world.clock.advance(2 * HOUR).await;
    assert_each_once(&world);
}

#[tokio::test]
async fn too_many_failures_pause_it() {
    let mut world = small(World::new(free()));
    world.connectors.act(|_| Does::Answer(SendOutcome::Rejected("no".to_owned().into())));
    running(&world, |campaign| {
        campaign.stop = StopRules { failed_percent: Some(50), min_sent: 5, ..StopRules::default() };
    });
    world.start().await;
    world.clock.advance(60_000).await;
    let paused = campaign(&world);
    assert_eq!(paused.status, CampaignStatus::Paused);
    assert_eq!(paused.pausing.map(|pausing| pausing.reason), Some(CampaignReason::FailedPercent));
    let stood = counts(&world);
    assert!(stood.failed >= 5 && stood.pending > 0 && stood.queued == 0, "{stood:?}");
    assert_eq!(stood.failed_by.get("rejected"), Some(&stood.failed));
}

#[tokio::test]
async fn a_stop_cancels_what_was_not_sent() {
    let mut world = small(World::new(free()));
    world.change_connector(|connector| connector.status = ConnectorStatus::Paused);
    running(&world, |_| {});
    world.start().await;
    world.clock.advance(1_000).await;
    put(&world, |campaign| campaign.stopped("enough", NOON).expect("it runs"));
    world.clock.advance(1_000).await;
    assert_eq!(counts(&world).canceled, ROWS as u64);
    world.assert_nothing_queued();
    assert!(campaign(&world).ended_at.is_some());
}

#[tokio::test]
async fn who_opted_out_since_is_left_out() {
    let mut world = small(World::new(free()));
    running(&world, |_| {});
    world.inactive_contact("c3@example.org");
    world.start().await;
    world.clock.advance(1_000).await;
    let stood = counts(&world);
    assert_eq!((stood.accepted, stood.skipped), (ROWS as u64 - 1, 1));
    assert_eq!(stood.skipped_by.get(&SkipReason::OptedOut), Some(&1));
}

#[tokio::test]
async fn each_message_has_the_file_that_the_header_shows() {
    let mut world = small(World::new(free()));
    running(&world, |_| {});
    let template = world.store.template_by_number(TENANT, 1).expect("readable").expect("a template");
    let header =
        Component::Header { format: HeaderFormat::Image, text: None, examples: Default::default(), example: None };
    let components = [vec![header], template.components.clone()].concat();
    let template = Template { components, ..Template::clone(&template) };
    world.write(vec![Change::Template(Box::new(TemplateChange::Put(template.clone())))]);
    let file = Attachment {
        id: uuid::Uuid::from_u128(7),
        file_name: "foto.png".to_owned(),
        content_type: "image/png".to_owned(),
        size: 9,
    };
    let shown = file.clone();
    put(&world, |campaign| {
        let header = Some(CampaignHeader::File(shown));
        Campaign { header, ..campaign.changed(NOON) }.with_text_of(&template)
    });
    world.start().await;
    world.clock.advance(1_000).await;
    assert_each_once(&world);
    let row = world.store.campaign_row(TENANT, 1, 7).expect("readable").expect("a row");
    let (_, id) = row.state.message.expect("it is a message");
    let message = world.store.message_by_id(TENANT, id).expect("readable").expect("a message");
    assert_eq!(message.message.content.attachments, [file]);
}

#[tokio::test]
async fn a_template_that_may_not_be_sent_any_more_pauses_it() {
    let mut world = small(World::new(free()));
    running(&world, |_| {});
    let template = world.store.template_by_number(TENANT, 1).expect("readable").expect("a template");
    let template = Template { status: TemplateStatus::Paused, ..Template::clone(&template) };
    world.write(vec![Change::Template(Box::new(TemplateChange::Put(template)))]);
    world.start().await;
    world.clock.advance(1_000).await;
    let pausing = campaign(&world).pausing.expect("it is paused");
    assert_eq!(pausing.reason, CampaignReason::TemplateNotApproved);
    assert_eq!(counts(&world).pending, ROWS as u64);
}

#[tokio::test]
async fn a_code_with_which_the_channel_refuses_for_now_pauses_it_and_a_resumption_sends_the_rest_once() {
    let mut world = small(World::new(free()));
    world.connectors.act(|_| {
        Does::Answer(SendOutcome::Throttled {
            retry_after_ms: Some(900_000),
            reason: "too many people block it".to_owned(),
            scope: ThrottleScope::Connector,
            code: Some("131048".to_owned()),
        })
    });
    running(&world, |campaign| {
        campaign.stop = StopRules { codes: vec!["131048".to_owned()], code_times: 1, ..StopRules::default() };
    });
    world.start().await;
    world.clock.advance(1_000).await;
    let detail = paused_by(&world, CampaignReason::StopCode);
    assert!(detail.contains("131048"), "{detail}");
    world.connectors.act(|_| Does::Answer(accepted()));
    world.connectors.sent.lock().clear();
    resume(&world);
    // What was counted before the resumption does not pause it again, also after a restart.
    world.crash().await;
    world.start().await;
    for _ in 0..20 {
        world.clock.advance(60_000).await;
    }
    assert_each_once(&world);
}

#[tokio::test]
async fn a_channel_that_takes_nothing_more_pauses_it_and_a_resumption_sends_the_rest_once() {
    for ended in [SessionState::LoggedOut("190: expired".to_owned()), SessionState::Unpaired("190: expired".to_owned())]
    {
        let mut world = small(World::with(free(), |plugin| plugin.needs_session = true));
        world.connectors.act(|_| Does::Answer(SendOutcome::Disconnected("190: expired".to_owned())));
        running(&world, |_| {});
        world.start().await;
        assert_eq!(campaign(&world).status, CampaignStatus::Running, "the connection alone pauses nothing");
        world.session(ended, None).await;
        world.clock.advance(1_000).await;
        assert_eq!(paused_by(&world, CampaignReason::ChannelStopped), "190: expired");
        resume(&world);
        world.clock.advance(1_000).await;
        paused_by(&world, CampaignReason::ChannelStopped);
        world.connectors.act(|_| Does::Answer(accepted()));
        world.connectors.sent.lock().clear();
        world.session(SessionState::Connected, Some("5500")).await;
        world.clock.advance(1_000).await;
        paused_by(&world, CampaignReason::ChannelStopped);
        assert!(world.connectors.texts().is_empty(), "a person resumes it");
        resume(&world);
        world.clock.advance(60_000).await;
        assert_each_once(&world);
    }
}

#[tokio::test]
async fn a_session_that_breaks_and_comes_back_by_itself_pauses_nothing() {
    let mut world = small(World::with(free(), |plugin| plugin.needs_session = true));
    running(&world, |_| {});
    world.connectors.set_session(LANE, SessionState::Disconnected("no network".to_owned()));
    world.start().await;
    world.clock.advance(60_000).await;
    assert_eq!((campaign(&world).status, counts(&world).accepted), (CampaignStatus::Running, 0));
    world.session(SessionState::Connected, Some("5500")).await;
    world.clock.advance(60_000).await;
    assert_each_once(&world);
}

/// Another text in the place of the template, which needs no variable any more, and another category.
fn change_template(world: &World) {
    let template = world.store.template_by_number(TENANT, 1).expect("readable").expect("a template");
    let body = Component::Body { text: "Outra coisa".to_owned(), examples: Default::default(), more: None };
    let template =
        Template { components: vec![body], category: TemplateCategory::Utility, ..Template::clone(&template) };
    world.write(vec![Change::Template(Box::new(TemplateChange::Put(template)))]);
}

#[tokio::test]
async fn a_text_that_is_changed_after_the_start_does_not_change_what_the_rest_gets() {
    let mut world = small(World::new(free()));
    world.change_connector(|connector| connector.status = ConnectorStatus::Paused);
    running(&world, |_| {});
    world.start().await;
    world.clock.advance(1_000).await;
    put(&world, |campaign| campaign.paused(CampaignReason::Person, "x", NOON).expect("it runs"));
    world.clock.advance(1_000).await;
    change_template(&world);
    world.change_connector(|connector| connector.status = ConnectorStatus::Active);
    resume(&world);
    world.clock.advance(60_000).await;
    assert_each_once(&world);
    assert!(world.connectors.texts().iter().all(|text| text.starts_with("Olá n")));
    let row = world.store.campaign_row(TENANT, 1, 7).expect("readable").expect("a row");
    let (_, id) = row.state.message.expect("it is a message");
    let message = world.store.message_by_id(TENANT, id).expect("readable").expect("a message");
    assert_eq!(message.message.content.message_type, MessageType::Notification, "the category is that of now");
}

#[tokio::test]
async fn rows_of_an_earlier_engine_say_what_the_template_says_now() {
    let mut world = small(World::new(free()));
    running(&world, |_| {});
    put(&world, |campaign| Campaign { text: None, ..campaign.changed(NOON) });
    change_template(&world);
    world.start().await;
    world.clock.advance(60_000).await;
    let stood = counts(&world);
    assert_eq!(stood.skipped_by.get(&SkipReason::MissingVariable), Some(&(ROWS as u64)), "{stood:?}");
}
