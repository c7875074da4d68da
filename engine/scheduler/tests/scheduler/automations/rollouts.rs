//! Changes of versions: good ones are taken on, bad ones taken back, by themselves and by hand, whatever is restarted.

use pombo_domain::AutomationIndex;
use pombo_domain::model::rollout::RolloutRules;
use pombo_domain::model::*;
use pombo_domain::ports::*;

use super::office::*;
use crate::support::*;

/// Begins a rollout of `v2`, as a person would.
async fn roll_out(office: &Office, kind: PluginKind, share: u8, automatic: bool) {
    let stored = office.store().plugin(PLUGIN).expect("readable").expect("there");
    let mut plugin = Plugin { kind, revision: stored.revision + 1, ..Plugin::clone(&stored) };
    if plugin.version("v2").is_none() {
        plugin.versions.push(version("v2", false));
    }
    let step = if share < 100 { RolloutStep::Canary } else { RolloutStep::Watching };
    plugin.rollout = Some(Rollout {
        from: plugin.active.clone(),
        to: "v2".to_owned(),
        share,
        step,
        automatic,
        since: office.now(),
        by: "user:1".to_owned(),
    });
    if step == RolloutStep::Watching {
        plugin.previous = plugin.active.replace("v2".to_owned());
    }
    office.write(vec![change(AutomationChange::Plugin(plugin))]).await;
}

fn stored(office: &Office) -> Plugin {
    Plugin::clone(&office.store().plugin(PLUGIN).expect("readable").expect("there"))
}

fn stands(office: &Office) -> (Option<String>, Option<RolloutStep>) {
    let plugin = stored(office);
    (plugin.active, plugin.rollout.map(|rollout| rollout.step))
}

fn audit(office: &Office) -> Vec<String> {
    let entries = office.store().audit(PLUGIN, 100).expect("readable");
    entries.iter().rev().map(|entry| format!("{} {}", entry.by, entry.action)).collect()
}

fn v(digest: &str) -> Option<String> {
    Some(digest.to_owned())
}

#[tokio::test]
async fn a_good_version_gets_its_share_takes_over_and_is_settled() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    office.plugins.act(|_| says(None, true, Vec::new()));
    office.start().await;
    office.telemetry.set("v1", 1_000, 0, 400);
    roll_out(&office, PluginKind::Automation, 30, true).await;
    for n in 0..100 {
        office.hears(&format!("chat{n}"), "x").await;
    }
    let new = office.plugins.calls.lock().iter().filter(|call| &*call.digest == "v2").count();
    assert!((15..45).contains(&new), "{new}");
    office.telemetry.set("v2", 49, 0, 400);
    office.advance(1_000).await;
    assert_eq!(stands(&office), (v("v1"), Some(RolloutStep::Canary)));
    office.telemetry.set("v2", 50, 0, 400);
    office.advance(1_000).await;
    assert_eq!(stands(&office), (v("v2"), Some(RolloutStep::Watching)));
    office.plugins.calls.lock().clear();
    for n in 0..10 {
        office.hears(&format!("chat{n}"), "y").await;
    }
    assert!(office.plugins.calls.lock().iter().all(|call| &*call.digest == "v2"));
    office.advance(59_000).await;
    assert_eq!(stands(&office).1, Some(RolloutStep::Watching));
    office.advance(2_000).await;
    assert_eq!(stands(&office), (v("v2"), None));
    assert_eq!(stored(&office).previous, v("v1"));
    assert_eq!(audit(&office), ["engine promoted", "engine settled"]);
    assert_eq!(office.log(), ["plugin promoted v2", "plugin settled v2"]);
}

#[tokio::test]
async fn one_that_traps_or_is_slow_is_taken_back_from_either_step() {
    for (share, calls, traps, p50) in [(10, 1, 1, 400), (100, 100, 1, 400), (10, 20, 0, 50_000), (100, 20, 0, 50_000)] {
        let mut office = Office::new().await;
        office.start().await;
        office.telemetry.set("v1", 1_000, 0, 400);
        // What it did in an earlier life does not count.
        office.telemetry.set("v2", 500, 7, 400);
        roll_out(&office, PluginKind::Automation, share, true).await;
        office.advance(1_000).await;
        assert!(stored(&office).rollout.is_some());
        office.telemetry.set("v2", 500 + calls, 7 + traps, p50);
        office.advance(250).await;
        assert_eq!(stands(&office), (v("v1"), None), "{share} {traps} {p50}");
        let status = stored(&office).version("v2").expect("kept").status.clone();
        assert!(matches!(status, VersionStatus::RolledBack(_)), "{status:?}");
        assert_eq!(
            (audit(&office), office.log()),
            (vec!["engine rolled-back".to_owned()], vec!["plugin rolled-back v2".to_owned()])
        );
        assert_eq!(office.handle().metrics().rollbacks, 1);
    }
}

#[tokio::test]
async fn the_events_of_a_bad_version_are_handled_by_the_good_one() {
    let mut office = Office::new().await;
    office.automation(10, |_| ()).await;
    office.plugins.act(|call| match &*call.digest {
        "v2" => fails(CallFailure::Trap("at its start".to_owned())),
        _ => says(None, true, vec![say(&text_of(&call.event))]),
    });
    office.start().await;
    roll_out(&office, PluginKind::Automation, 100, true).await;
    for n in 0..10 {
        office.hears(&format!("chat{n}"), &n.to_string()).await;
    }
    office.telemetry.set("v2", 10, 10, 400);
    office.advance(10_000).await;
    let mut texts = office.messages().await;
    texts.sort();
    assert_eq!(texts, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(office.dead_letters(), []);
    office.assert_done();
}

#[tokio::test]
async fn a_rollout_goes_on_after_a_restart() {
    let mut office = Office::new().await;
    office.options.rollouts.rules = RolloutRules { canary_ms: 30_000, ..RolloutRules::default() };
    office.start().await;
    roll_out(&office, PluginKind::Automation, 10, true).await;
    office.advance(20_000).await;
    office.crash().await;
    office.advance(3_600_000).await;
    office.start().await;
    office.advance(20_000).await;
    assert_eq!(stands(&office).1, Some(RolloutStep::Canary), "the time that nobody watched does not count");
    office.advance(11_000).await;
    assert_eq!(stands(&office), (v("v2"), Some(RolloutStep::Watching)));
    office.restart().await;
    office.telemetry.set("v2", 3, 1, 400);
    office.advance(1_000).await;
    assert_eq!(stands(&office), (v("v1"), None));
}

#[tokio::test]
async fn by_hand_nothing_happens_by_itself_and_a_person_may_be_quicker() {
    let mut office = Office::new().await;
    office.start().await;
    roll_out(&office, PluginKind::Automation, 10, false).await;
    office.telemetry.set("v2", 100, 50, 400);
    office.advance(600_000).await;
    assert_eq!(stands(&office), (v("v1"), Some(RolloutStep::Canary)));
    // Promoted by hand, and watched by nobody.
    let mut plugin = stored(&office);
    plugin.revision += 1;
    plugin.previous = plugin.active.replace("v2".to_owned());
    if let Some(rollout) = &mut plugin.rollout {
        (rollout.step, rollout.share) = (RolloutStep::Watching, 100);
    }
    office.write(vec![change(AutomationChange::Plugin(plugin))]).await;
    office.advance(600_000).await;
    assert_eq!((stands(&office), audit(&office)), ((v("v2"), Some(RolloutStep::Watching)), Vec::new()));
}

#[tokio::test]
async fn the_automations_follow_the_version_that_is_taken_on_or_back() {
    let mut office = Office::new().await;
    let timers: EventKinds = [EventKind::TimerFired].into_iter().collect();
    office.automation(10, |a| a.events = timers).await;
    office.start().await;
    roll_out(&office, PluginKind::Automation, 10, true).await;
    office.telemetry.set("v2", 50, 0, 400);
    office.advance(1_000).await;
    let automation = office.store().automation(AutomationIndex(10)).expect("readable").expect("there");
    let both = [EventKind::MessageReceived, EventKind::TimerFired].into_iter().collect();
    assert_eq!(automation.events, both, "as the new version says");
}

#[tokio::test]
async fn a_version_without_its_component_is_taken_back_at_once() {
    let mut office = Office::new().await;
    *office.plugins.kept.lock() = Some(["v1".to_owned()].into());
    office.start().await;
    roll_out(&office, PluginKind::Automation, 10, true).await;
    office.advance(500).await;
    assert_eq!(stands(&office), (v("v1"), None));
}

#[tokio::test]
async fn connectors_are_moved_as_the_plugin_says() {
    let mut office = Office::new().await;
    let connector = Plugin { revision: 2, ..uploaded_plugin(PluginKind::Connector, "v1") };
    office.write(vec![change(AutomationChange::Plugin(connector))]).await;
    // Its connectors may run another version at the start.
    office.connectors.describe(|plugin| plugin.name = PLUGIN.to_owned());
    office.start().await;
    assert_eq!(office.connectors.versions.lock().asked.drain(..).collect::<Vec<_>>(), ["stage v1 100", "settle"]);
    roll_out(&office, PluginKind::Connector, 10, true).await;
    assert_eq!(office.connectors.versions.lock().asked.drain(..).collect::<Vec<_>>(), ["stage v2 10"]);
    office.telemetry.set("v2", 50, 0, 400);
    office.advance(500).await;
    assert_eq!(office.connectors.versions.lock().asked.drain(..).collect::<Vec<_>>(), ["stage v2 100"]);
    office.telemetry.set("v2", 60, 1, 400);
    office.advance(500).await;
    assert_eq!(office.connectors.versions.lock().asked.drain(..).collect::<Vec<_>>(), ["unstage"]);
    assert_eq!(
        (stands(&office), office.connectors.versions.lock().running.clone()),
        ((v("v1"), None), "v1".to_owned())
    );
    // Once more, with a restart in the middle.
    roll_out(&office, PluginKind::Connector, 10, true).await;
    office.connectors.versions.lock().asked.clear();
    office.restart().await;
    assert_eq!(office.connectors.versions.lock().asked.drain(..).collect::<Vec<_>>(), ["stage v2 10"]);
    office.advance(31_000).await;
    office.advance(61_000).await;
    assert_eq!(office.connectors.versions.lock().asked.drain(..).collect::<Vec<_>>(), ["stage v2 100", "settle"]);
    assert_eq!(
        (stands(&office), office.connectors.versions.lock().running.clone()),
        ((v("v2"), None), "v2".to_owned())
    );
}

#[tokio::test]
async fn a_connector_version_that_does_not_start_is_taken_back() {
    let mut office = Office::new().await;
    office.connectors.describe(|plugin| plugin.name = PLUGIN.to_owned());
    office.connectors.versions.lock().running = "v1".to_owned();
    office.connectors.versions.lock().broken = Some("v2".to_owned());
    let connector = Plugin { revision: 2, ..uploaded_plugin(PluginKind::Connector, "v1") };
    office.write(vec![change(AutomationChange::Plugin(connector))]).await;
    office.start().await;
    roll_out(&office, PluginKind::Connector, 10, false).await;
    office.advance(100).await;
    assert_eq!(stands(&office), (v("v1"), None));
    let status = stored(&office).version("v2").expect("kept").status.clone();
    assert_eq!(
        status,
        VersionStatus::RolledBack(
            "it could not be started: the connector's plugin failed: it traps at its start".to_owned()
        )
    );
    let running = office.connectors.versions.lock().running.clone();
    assert_eq!(running, "v1");
}
