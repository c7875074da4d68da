//! Which automations are called, in which version, and what follows from a failure: pure functions.

use std::sync::Arc;

use pombo_domain::model::event_task::ANSWERING;
use pombo_domain::model::{Automation, EventTask, Plugin, RolloutStep};
use uuid::Uuid;

use crate::rules::draw::{Draw, between};

/// The automations that an item goes to, in order: those of the connector that listen to it, come after the one that handled it last,
/// and are its addressees. In the answering lane these are the automations that answer; in an observer's lane, that observer alone.
pub fn asked(on: &[Arc<Automation>], task: &EventTask, in_group: bool) -> Vec<Arc<Automation>> {
    let kind = task.body.kind();
    let addressee = task.body.addressee();
    let here = |automation: &Automation| match task.key.lane {
        ANSWERING => !automation.observer,
        lane => automation.index.0 == lane,
    };
    on.iter()
        .filter(|automation| here(automation) && automation.listens_to(kind, in_group))
        .filter(|automation| addressee.is_none_or(|index| index == automation.index))
        .filter(|automation| task.after.is_none_or(|after| automation.order() > after))
        .cloned()
        .collect()
}

/// The digest of the version that handles a conversation: during a rollout, a share of them, always the same, goes to the new one.
pub fn version(plugin: &Plugin, conversation: Uuid) -> Option<&str> {
    match &plugin.rollout {
        Some(rollout) if rollout.step == RolloutStep::Canary && draws_new(conversation, rollout.share) => {
            Some(&rollout.to)
        }
        _ => plugin.active.as_deref(),
    }
}

fn draws_new(conversation: Uuid, share: u8) -> bool {
    let (high, low) = conversation.as_u64_pair();
    between(Draw::new(high ^ low.rotate_left(32)).seed(), 0, 99) < u64::from(share)
}

/// What a call's randomness is drawn from: the same at each look at the same try.
pub fn seed(event: Uuid, automation: u32, failures: u32) -> u64 {
    let (high, low) = event.as_u64_pair();
    Draw::new(high ^ low.rotate_left(32) ^ (u64::from(automation) << 32) ^ u64::from(failures)).seed()
}

/// The pause in milliseconds after a failed try, where `failures` tries failed before it; `None` after the last one.
pub fn pause_after(schedule_ms: &[u64], failures: u32, seed: u64) -> Option<i64> {
    let pause = *schedule_ms.get(usize::try_from(failures).ok()?)?;
    i64::try_from(between(seed, pause, pause.saturating_add(pause / 10))).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pombo_domain::model::*;
    use pombo_domain::{AutomationIndex, ConnectorIndex, TenantIndex, Timestamp};

    use super::*;

    fn automation(index: u32, position: u32, change: impl FnOnce(&mut Automation)) -> Arc<Automation> {
        let mut automation = Automation {
            id: Uuid::from_u128(u128::from(index)),
            index: AutomationIndex(index),
            tenant: TenantIndex(1),
            connector: ConnectorIndex(1),
            name: String::new(),
            plugin: "p".to_owned(),
            config: "{}".to_owned(),
            secrets: BTreeMap::new(),
            position,
            observer: false,
            events: EventKind::ALL.into_iter().collect(),
            status: AutomationStatus::Active,
            groups: false,
            record: false,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        };
        change(&mut automation);
        Arc::new(automation)
    }

    fn task(lane: u32, body: TaskBody, after: Option<(u32, u32)>) -> EventTask {
        let key = TaskKey { conversation: Uuid::nil(), lane, number: 0 };
        let (tenant, at) = (TenantIndex(1), Timestamp(0));
        EventTask { key, tenant, id: Uuid::nil(), at, body, failures: 0, due_at: at, after }
    }

    #[test]
    fn who_is_asked() {
        let on = [
            automation(5, 0, |_| ()),
            automation(2, 1, |a| a.observer = true),
            automation(3, 1, |a| a.groups = true),
            automation(4, 2, |a| a.status = AutomationStatus::Paused),
            automation(6, 3, |a| a.events = [EventKind::TimerFired].into_iter().collect()),
        ];
        let timer = |index| TaskBody::Timer {
            automation: AutomationIndex(index),
            name: String::new(),
            payload: String::new(),
            due_at: Timestamp(0),
        };
        let opened = || TaskBody::Opened;
        for (lane, body, after, in_group, expected) in [
            (0, opened(), None, false, &[5, 3][..]),
            (0, opened(), None, true, &[3]),
            (0, opened(), Some((0, 5)), false, &[3]),
            (0, opened(), Some((1, 3)), false, &[]),
            (0, timer(6), None, false, &[6]),
            (0, timer(4), None, false, &[]),
            (0, timer(2), None, false, &[]),
            (2, timer(2), None, false, &[2]),
            (2, opened(), None, false, &[2]),
            (2, opened(), None, true, &[]),
            (9, opened(), None, false, &[]),
        ] {
            let found = asked(&on, &task(lane, body.clone(), after), in_group);
            let found: Vec<u32> = found.iter().map(|automation| automation.index.0).collect();
            assert_eq!(found, expected, "lane {lane}, {body:?}, after {after:?}, group {in_group}");
        }
    }

    #[test]
    fn a_canary_gets_its_share_of_conversations_and_always_the_same() {
        let rollout = |share, step| Rollout {
            from: Some("old".to_owned()),
            to: "new".to_owned(),
            share,
            step,
            automatic: true,
            since: Timestamp(0),
            by: String::new(),
        };
        let mut plugin = Plugin {
            name: "p".to_owned(),
            owner: None,
            kind: PluginKind::Automation,
            versions: Vec::new(),
            active: Some("old".to_owned()),
            previous: None,
            grants: None,
            rollout: None,
            revision: 1,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        };
        let conversations: Vec<Uuid> = (0..2_000).map(|n| Uuid::from_u128(n * 0x9e37_79b9_7f4a_7c15)).collect();
        let new = |plugin: &Plugin| {
            conversations.iter().filter(|id| version(plugin, **id) == Some("new")).copied().collect::<Vec<_>>()
        };
        assert_eq!(new(&plugin).len(), 0);
        plugin.rollout = Some(rollout(10, RolloutStep::Canary));
        let canary = new(&plugin);
        assert!((120..280).contains(&canary.len()), "{}", canary.len());
        assert_eq!(new(&plugin), canary);
        plugin.rollout = Some(rollout(20, RolloutStep::Canary));
        assert!(canary.iter().all(|id| version(&plugin, *id) == Some("new")), "a larger share keeps them");
        plugin.rollout = Some(rollout(100, RolloutStep::Canary));
        assert_eq!(new(&plugin).len(), conversations.len());
        plugin.rollout = Some(rollout(0, RolloutStep::Watching));
        assert_eq!(new(&plugin).len(), 0, "the active one does all the work");
    }

    #[test]
    fn pauses_grow_and_end() {
        let schedule = [1_000, 5_000, 30_000];
        let pauses: Vec<Option<i64>> = (0..5).map(|failures| pause_after(&schedule, failures, 0)).collect();
        assert_eq!(pauses, [Some(1_000), Some(5_000), Some(30_000), None, None]);
        assert_eq!(pause_after(&schedule, 2, u64::MAX), Some(33_000));
        assert_eq!(pause_after(&[], 0, 0), None);
    }
}
