//! Failures that the channel tells after it accepted a message, and people who refuse advertising.

use pombo_domain::MessageKey;
use pombo_domain::model::contact::ContactType;
use pombo_domain::model::inbound::{Inbound, InboundContent};
use pombo_domain::model::message::{MessageType, NewMessage, Status};
use pombo_domain::model::receipt::ReceiptKind;
use pombo_domain::model::rules::{OptOutCategory, Rules};
use pombo_domain::model::stats::StatSpan;
use pombo_domain::ports::{AutomationStore, ChannelEvent, SendOutcome, StatFilter, StatStore, Store};

use serde_json::json;

use crate::support::*;

fn failed(world: &World, key: MessageKey, provider_id: &str, effect: &str) -> ChannelEvent {
    let id = world.id(key);
    let json = format!(
        r#"{{"clientId": "{id}", "providerId": "{provider_id}", "recipient": "5511", "atMillis": 1714564800000,
            "code": "131026", "reason": "cannot be reached", "effect": "{effect}"}}"#
    );
    ChannelEvent::Other("failed".to_owned(), json)
}

fn accepts(world: &World) {
    world.connectors.act(|sent| {
        let id = format!("p-{}", sent.attempt);
        Does::Answer(SendOutcome::accepted(Some(id)))
    });
}

fn to_person() -> NewMessage {
    NewMessage { to: "5511".to_owned(), webhook_url: Some("https://hook.test/".to_owned()), ..text("x") }
}

#[tokio::test]
async fn a_sent_message_fails_with_the_channels_code_and_only_once() {
    let mut world = World::two_way(free());
    accepts(&world);
    world.start().await;
    let key = world.post(to_person());
    settle().await;
    for _ in 0..2 {
        world.tell(vec![failed(&world, key, "p-1", "recipient")]).await.expect("taken");
    }
    let state = world.state(key);
    let reason = state.reason.expect("a reason");
    assert_eq!((state.status, reason.code.as_str()), (Status::Failed, "invalid_recipient"));
    assert_eq!((reason.channel_code.as_deref(), reason.detail.as_str()), (Some("131026"), "cannot be reached"));
    assert_eq!(world.history(key), ["PENDING", "PROCESSING", "SENT", "FAILED"]);
    assert_eq!(world.progress(), ["pending sent 5511", "sent failed 5511"], "told once");
    let told = world.webhooks.hooks.lock().last().expect("the failure").body["reason"].clone();
    let expected = json!({"code": "invalid_recipient", "detail": "cannot be reached", "channelCode": "131026"});
    assert_eq!(told, expected, "its webhook gets the code, too");
    world.store.check_automations().expect("it is sound");
}

#[tokio::test]
async fn a_failure_without_our_id_fails_the_message_that_the_channel_knows_by_its_own() {
    let mut world = World::two_way(free());
    accepts(&world);
    world.start().await;
    let key = world.post(to_person());
    settle().await;
    let failed = |provider_id: &str| {
        let json = format!(r#"{{"providerId": "{provider_id}", "atMillis": 1714564800000, "code": "131026"}}"#);
        ChannelEvent::Other("failed".to_owned(), json)
    };
    world.tell(vec![failed("another program's")]).await.expect("taken");
    assert_eq!(world.status(key), Status::Sent);
    world.tell(vec![failed("p-1")]).await.expect("taken");
    let reason = world.state(key).reason.expect("a reason");
    assert_eq!((world.status(key), reason.channel_code.as_deref()), (Status::Failed, Some("131026")));
}

#[tokio::test]
async fn what_was_delivered_stays_sent() {
    let mut world = World::two_way(free());
    accepts(&world);
    world.start().await;
    let key = world.post(to_person());
    settle().await;
    world.tell(vec![report(world.id(key), ReceiptKind::Delivered)]).await.expect("taken");
    world.tell(vec![failed(&world, key, "p-1", "recipient")]).await.expect("taken");
    assert_eq!(world.status(key), Status::Sent);
    let other = world.post(to_person());
    settle().await;
    world.tell(vec![failed(&world, other, "of another attempt", "recipient")]).await.expect("taken");
    assert_eq!(world.status(other), Status::Sent);
}

#[tokio::test]
async fn a_message_in_doubt_is_settled_by_a_failure_and_by_a_receipt() {
    let mut world = World::with(free(), |plugin| plugin.idempotent_resend = false);
    world.connectors.act(|_| Does::Answer(SendOutcome::Unknown("no answer".to_owned())));
    world.start().await;
    let keys = world.post_all(TENANT, vec![text("x"), text("y")]);
    settle().await;
    assert_eq!((world.status(keys[0]), world.status(keys[1])), (Status::Unknown, Status::Unknown));
    world.tell(vec![failed(&world, keys[0], "p-1", "content")]).await.expect("taken");
    world.tell(vec![report(world.id(keys[1]), ReceiptKind::Server)]).await.expect("taken");
    assert_eq!((world.shown(keys[0]), world.shown(keys[1])), ("FAILED rejected".to_owned(), "SENT".to_owned()));
}

#[tokio::test]
async fn a_failure_that_comes_before_the_answer_waits_for_it() {
    let mut world = World::two_way(free());
    world.connectors.act(|_| Does::After(5_000, accepted()));
    world.start().await;
    let key = world.post(to_person());
    settle().await;
    world.tell(vec![failed(&world, key, "p-1", "recipient")]).await.expect("taken");
    assert_eq!(world.status(key), Status::Processing);
    world.clock.advance(10_000).await;
    assert_eq!(world.shown(key), "FAILED invalid_recipient");
    assert_eq!(world.history(key), ["PENDING", "PROCESSING", "SENT", "FAILED"]);
}

/// The state, with the channel's code of its reason.
fn coded(world: &World, key: MessageKey) -> String {
    let code = world.state(key).reason.and_then(|reason| reason.channel_code);
    format!("{} {}", world.shown(key), code.as_deref().unwrap_or("without a code"))
}

#[tokio::test]
async fn a_failure_that_comes_before_the_answer_takes_effect_after_a_crash_all_the_same() {
    for (effect, shown) in [
        ("recipient", "FAILED invalid_recipient 131026"),
        ("opt-out", "FAILED category_refused 131026"),
        ("stop", "FAILED undeliverable 131026"),
        ("later", "WAITING undeliverable 131026"),
    ] {
        for idempotent in [true, false] {
            let mut world = World::two_way(free());
            world.options.retry.retry_later = true;
            world.connectors.describe(|plugin| plugin.idempotent_resend = idempotent);
            world.connectors.act(|_| Does::Hang);
            world.start().await;
            let key = world.post(to_person());
            settle().await;
            world.tell(vec![failed(&world, key, "p-1", effect)]).await.expect("taken");
            world.crash().await;
            accepts(&world);
            world.start().await;
            assert_eq!(coded(&world, key), shown, "{effect}");
            assert_eq!(world.connectors.texts().len(), 1, "it is not sent again at once");
            assert_eq!(world.history(key)[..3], ["PENDING", "PROCESSING", "SENT"], "the channel had it");
            let contact = world.store.contact(TENANT, ContactType::WhatsApp, "5511").expect("readable");
            let refuses = contact.is_some_and(|contact| contact.refused.has(MessageType::Marketing));
            let restricted = world.health_state().hours.iter().any(|hour| hour.restrictions > 0);
            assert_eq!((refuses, restricted), (effect == "opt-out", effect == "stop"), "{effect}");
            if effect == "later" {
                let receipts = world.store.receipts(key).expect("readable");
                assert_eq!((receipts.failed, receipts.early, receipts.provider_id), (None, None, None));
                world.clock.advance(25 * 3_600_000).await;
                assert_eq!((world.status(key), world.connectors.texts().len()), (Status::Sent, 2));
            }
            world.store.check_automations().expect("it is sound");
        }
    }
}

/// Whichever commit is the last one before a crash: the outcome and what follows from the failure are one.
#[tokio::test]
async fn no_crash_forgets_a_failure_that_came_before_the_answer() {
    for stored in 0..4 {
        let mut world = World::two_way(free());
        world.connectors.describe(|plugin| plugin.idempotent_resend = false);
        world.connectors.act(|_| Does::After(5_000, SendOutcome::accepted(Some("p-1".to_owned()))));
        world.start().await;
        let key = world.post(to_person());
        settle().await;
        let told = vec![failed(&world, key, "p-1", "recipient")];
        let start = world.store.commits();
        world.store.refuse(move |number, _| (number >= start + stored).then(unavailable));
        let is_kept = world.tell(told.clone()).await.is_ok();
        assert_eq!(is_kept, stored > 0, "the first commit is that of the failure");
        world.clock.advance(5_000).await;
        assert_ne!(world.status(key), Status::Sent, "{stored} commits: never only sent");
        world.crash().await;
        world.store.no_plan();
        world.start().await;
        if !is_kept {
            world.tell(told).await.expect("a channel tells again what was not taken");
        }
        assert_eq!(coded(&world, key), "FAILED invalid_recipient 131026", "{stored} commits");
        assert_eq!(world.connectors.texts().len(), 1);
    }
}

#[tokio::test]
async fn a_failure_before_an_answer_in_doubt_settles_it() {
    for idempotent in [true, false] {
        let mut world = World::two_way(free());
        world.connectors.describe(|plugin| plugin.idempotent_resend = idempotent);
        world.connectors.act(|_| Does::After(5_000, SendOutcome::Unknown("no answer".to_owned())));
        world.start().await;
        let key = world.post(to_person());
        settle().await;
        world.tell(vec![failed(&world, key, "p-1", "content")]).await.expect("taken");
        world.clock.advance(3_600_000).await;
        assert_eq!(coded(&world, key), "FAILED rejected 131026");
        assert_eq!((world.state(key).provider_id.as_deref(), world.connectors.texts().len()), (Some("p-1"), 1));
    }
}

#[tokio::test]
async fn while_reports_cannot_be_read_the_outcome_waits_with_the_failure() {
    let mut world = World::two_way(free());
    world.connectors.act(|_| Does::After(5_000, SendOutcome::accepted(Some("p-1".to_owned()))));
    world.start().await;
    let key = world.post(to_person());
    settle().await;
    world.tell(vec![failed(&world, key, "p-1", "recipient")]).await.expect("taken");
    world.store.fail_reads(|method| (method == "receipts").then(unavailable));
    world.clock.advance(10_000).await;
    assert_eq!(world.status(key), Status::Processing);
    world.store.no_read_plan();
    world.clock.advance(3_600_000).await;
    assert_eq!(coded(&world, key), "FAILED invalid_recipient 131026");
}

#[tokio::test]
async fn a_failure_of_an_earlier_attempt_decides_nothing_about_a_crash_in_the_next_one() {
    let mut world = World::two_way(free());
    world.connectors.describe(|plugin| plugin.idempotent_resend = false);
    world.connectors.act(|_| Does::After(5_000, SendOutcome::accepted(Some("p-1".to_owned()))));
    world.start().await;
    let key = world.post(to_person());
    settle().await;
    world.tell(vec![failed(&world, key, "p-1", "recipient")]).await.expect("taken");
    world.clock.advance(10_000).await;
    assert_eq!(coded(&world, key), "FAILED invalid_recipient 131026");
    world.connectors.act(|_| Does::Hang);
    world.step(key, |state, now| state.retry(now));
    settle().await;
    assert_eq!(world.status(key), Status::Processing);
    world.tell(vec![failed(&world, key, "p-1", "recipient")]).await.expect("told again");
    world.crash().await;
    world.start().await;
    assert_eq!(world.shown(key), "UNKNOWN crash");
}

#[tokio::test]
async fn a_message_is_sent_once_more_a_day_later_where_that_is_wanted() {
    for wanted in [false, true] {
        let mut world = World::two_way(free());
        world.options.retry.retry_later = wanted;
        accepts(&world);
        world.start().await;
        let key = world.post(to_person());
        settle().await;
        world.tell(vec![failed(&world, key, "p-1", "later")]).await.expect("taken");
        if !wanted {
            assert_eq!(world.shown(key), "FAILED undeliverable");
            continue;
        }
        assert_eq!(world.shown(key), "WAITING undeliverable");
        world.tell(vec![failed(&world, key, "p-1", "later")]).await.expect("taken");
        let receipts = world.store.receipts(key).expect("readable");
        assert_eq!(
            (receipts.failed, receipts.provider_id),
            (None, None),
            "told again, it is still about the first attempt"
        );
        world.clock.advance(25 * 3_600_000).await;
        assert_eq!((world.status(key), world.connectors.texts().len()), (Status::Sent, 2));
        world.tell(vec![failed(&world, key, "p-1", "later")]).await.expect("taken");
        assert_eq!(world.status(key), Status::Sent, "the first failure again");
        world.tell(vec![failed(&world, key, "p-2", "later")]).await.expect("taken");
        assert_eq!(world.shown(key), "FAILED undeliverable", "only once");
    }
}

#[tokio::test]
async fn a_failure_before_the_answer_that_is_sent_once_more_leaves_no_report_behind() {
    let mut world = World::two_way(free());
    world.options.retry.retry_later = true;
    world.connectors.act(|sent| {
        let id = format!("p-{}", sent.attempt);
        Does::After(5_000, SendOutcome::accepted(Some(id)))
    });
    world.start().await;
    let key = world.post(to_person());
    settle().await;
    world.tell(vec![failed(&world, key, "p-1", "later")]).await.expect("taken");
    world.clock.advance(10_000).await;
    assert_eq!(world.shown(key), "WAITING undeliverable");
    assert_eq!(world.store.receipts(key).expect("readable").failed, None);
    world.clock.advance(25 * 3_600_000).await;
    world.clock.advance(10_000).await;
    assert_eq!((world.status(key), world.connectors.texts().len()), (Status::Sent, 2));
    let all = StatFilter {
        span: StatSpan::Day,
        first: 0,
        last: u32::MAX,
        connector: None,
        message_type: None,
        template: None,
        campaign: None,
    };
    let counted = world.store.stats(TENANT, &all, 100).expect("readable").expect("few");
    assert_eq!(counted.iter().map(|row| row.counts.accepted).sum::<u64>(), 1, "it is one message");
}

#[tokio::test]
async fn a_failure_of_a_later_attempt_is_heard_also_before_its_answer() {
    let mut world = World::two_way(free());
    world.connectors.act(|sent| {
        if sent.at == NOON {
            Does::Answer(SendOutcome::accepted(Some("p-1".to_owned())))
        } else {
            Does::After(5_000, SendOutcome::accepted(Some("p-2".to_owned())))
        }
    });
    world.start().await;
    let key = world.post(to_person());
    settle().await;
    world.tell(vec![failed(&world, key, "p-1", "recipient")]).await.expect("taken");
    world.clock.advance(60_000).await;
    world.step(key, |state, now| state.retry(now));
    settle().await;
    assert_eq!(world.status(key), Status::Processing);
    world.tell(vec![failed(&world, key, "p-2", "content")]).await.expect("taken");
    world.clock.advance(10_000).await;
    assert_eq!(world.shown(key), "FAILED rejected");
}

#[tokio::test]
async fn who_does_not_want_advertising_gets_no_more_of_it() {
    let mut world = World::two_way(free());
    accepts(&world);
    world.start().await;
    let marketing = || NewMessage { message_type: MessageType::Marketing, ..to_person() };
    let key = world.post(marketing());
    settle().await;
    world.tell(vec![failed(&world, key, "p-1", "opt-out")]).await.expect("taken");
    assert_eq!(world.shown(key), "FAILED category_refused");
    let contact = world.store.contact(TENANT, ContactType::WhatsApp, "5511").expect("readable").expect("it is kept");
    assert!(contact.active && contact.refused.has(MessageType::Marketing));
    let (next, other) = (world.post(marketing()), world.post(to_person()));
    settle().await;
    assert_eq!((world.shown(next), world.status(other)), ("FAILED category_refused".to_owned(), Status::Sent));
}

#[tokio::test]
async fn a_failure_may_name_the_category_that_is_refused() {
    let mut world = World::two_way(free());
    let reminders = OptOutCategory { name: "nudges".to_owned(), category: MessageType::Reminder };
    let rules = Rules { opt_out_categories: vec![reminders], ..Rules::default() };
    world.connectors.describe(move |plugin| plugin.rules = Some(rules));
    accepts(&world);
    world.start().await;
    for (to, name, refused) in [("5511", Some("nudges"), true), ("5522", Some("others"), false)] {
        let key = world.post(NewMessage { to: to.to_owned(), ..to_person() });
        settle().await;
        let ChannelEvent::Other(kind, told) = failed(&world, key, "p-1", "opt-out") else { panic!("it has no case") };
        let mut told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        told["category"] = json!(name);
        world.tell(vec![ChannelEvent::Other(kind, told.to_string())]).await.expect("taken");
        assert_eq!(world.shown(key), "FAILED category_refused", "{to}");
        let contact = world.store.contact(TENANT, ContactType::WhatsApp, to).expect("readable");
        let has = |category| contact.as_ref().is_some_and(|contact| contact.refused.has(category));
        assert_eq!((has(MessageType::Reminder), has(MessageType::Marketing)), (refused, false), "{to}");
    }
}

#[tokio::test]
async fn a_word_by_which_advertising_is_wanted_again_counts_only_if_it_is_the_last_one() {
    let mut world = World::two_way(free());
    world.start().await;
    let write = async |words: &str, id: &str, after_ms: i64| {
        let content = InboundContent::Text(words.to_owned());
        let said = Inbound { content, sent_at: NOON.plus_ms(after_ms), ..from("5511", id) };
        world.tell(vec![ChannelEvent::Message(said)]).await.expect("taken");
        let contact = world.store.contact(TENANT, ContactType::WhatsApp, "5511").expect("readable").expect("it wrote");
        contact.refused.has(MessageType::Marketing)
    };
    assert!(write("sair", "A1", 1_000).await);
    assert!(!write("Voltar", "A2", 2_000).await);
    assert!(write("STOP", "A3", 3_000).await);
    assert!(write("Voltar", "A2", 2_000).await, "it is told again");
    assert!(!write("Voltar", "A4", 4_000).await);
}
