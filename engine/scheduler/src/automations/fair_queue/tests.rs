//! Whose turn it is.

use pombo_domain::ports::DueLane;
use pombo_domain::{AutomationIndex, TenantIndex, Timestamp};
use uuid::Uuid;

use super::*;

fn turns(in_flight: usize, per_tenant: usize, queued: usize) -> FairQueue {
    FairQueue::new(Limits { in_flight, in_flight_per_tenant: per_tenant, queued_per_tenant: queued })
}
fn due(conversation: u128, lane: u32) -> DueLane {
    DueLane { due_at: Timestamp(5), conversation: Uuid::from_u128(conversation), lane }
}
fn begun(turns: &mut FairQueue) -> Vec<(u128, u32)> {
    std::iter::from_fn(|| turns.next()).map(|(key, _)| (key.conversation.as_u128(), key.lane)).collect()
}
fn key(conversation: u128, lane: u32) -> LaneKey {
    LaneKey::from(due(conversation, lane))
}

#[test]
fn tenants_alternate_whatever_the_number_of_their_lanes() {
    let mut turns = turns(6, 6, 100);
    for n in 0..50 {
        turns.offer(due(n, 0), TenantIndex(1));
    }
    for n in 100..102 {
        turns.offer(due(n, 0), TenantIndex(2));
    }
    assert_eq!(begun(&mut turns), [(0, 0), (100, 0), (1, 0), (101, 0), (2, 0), (3, 0)]);
    assert_eq!(turns.counts(), QueueCounts { calling: 6, running: 6, waiting: 46, deferred: 0 });
}

#[test]
fn a_tenant_at_its_bound_leaves_room_for_others_and_goes_on_when_a_call_ends() {
    let mut turns = turns(4, 2, 100);
    for n in 0..5 {
        turns.offer(due(n, 0), TenantIndex(1));
    }
    assert_eq!(begun(&mut turns), [(0, 0), (1, 0)]);
    turns.offer(due(100, 0), TenantIndex(2));
    assert_eq!(begun(&mut turns), [(100, 0)]);
    // Waiting for the disk is not a call, but the conversation stays busy.
    turns.called(key(0, 0));
    assert_eq!(begun(&mut turns), [(2, 0)]);
    turns.offer(due(0, 0), TenantIndex(1));
    turns.ended(key(1, 0), Ending::Rest);
    assert_eq!(begun(&mut turns), [(3, 0)]);
    turns.ended(key(0, 0), Ending::Rest);
    turns.ended(key(3, 0), Ending::Rest);
    assert_eq!(begun(&mut turns), [(4, 0)]);
    turns.ended(key(2, 0), Ending::Rest);
    assert_eq!(begun(&mut turns), [(0, 0)], "the store told of it while it ran");
}

#[test]
fn a_conversation_does_one_thing_at_a_time() {
    let mut turns = turns(10, 10, 100);
    for lane in [0, 7, 8] {
        turns.offer(due(1, lane), TenantIndex(1));
    }
    turns.offer(due(2, 0), TenantIndex(1));
    assert_eq!(begun(&mut turns), [(1, 0), (2, 0)]);
    turns.ended(key(1, 0), Ending::Again);
    assert_eq!(begun(&mut turns), [(1, 7)], "who waited goes first");
    turns.ended(key(1, 7), Ending::Rest);
    assert_eq!(begun(&mut turns), [(1, 8)]);
    turns.ended(key(1, 8), Ending::Rest);
    assert_eq!(begun(&mut turns), [(1, 0)]);
    turns.ended(key(1, 0), Ending::Rest);
    turns.ended(key(2, 0), Ending::Rest);
    assert!(turns.is_idle() && turns.is_empty());
}

#[test]
fn what_waits_comes_back_at_its_time_or_when_something_changed() {
    let mut turns = turns(10, 10, 100);
    for n in 1..=3 {
        turns.offer(due(n, 0), TenantIndex(1));
    }
    assert_eq!(begun(&mut turns).len(), 3);
    turns.ended(key(1, 0), Ending::Later(Timestamp(10), None));
    turns.ended(key(2, 0), Ending::Later(Timestamp(20), Some(AutomationIndex(9))));
    turns.ended(key(3, 0), Ending::Later(Timestamp(30), None));
    assert_eq!(turns.tick(Timestamp(9)), Some(Timestamp(10)));
    assert_eq!(begun(&mut turns), []);
    assert_eq!(turns.tick(Timestamp(10)), Some(Timestamp(20)));
    assert_eq!(turns.next().map(|(key, state)| (key, state.waits)), Some((key(1, 0), 1)));
    turns.ended(key(1, 0), Ending::Later(Timestamp(40), None));
    turns.offer(due(3, 0), TenantIndex(1));
    assert_eq!(begun(&mut turns), [(3, 0)]);
    turns.reconsider();
    assert_eq!(turns.next().map(|(key, state)| (key, state.waits)), Some((key(1, 0), 2)));
    assert_eq!(turns.tick(Timestamp(20)), None);
    let token_taken = turns.next().map(|(_, state)| state.token_taken);
    assert_eq!(token_taken, Some(Some(AutomationIndex(9))), "its allowance is its own");
}

#[test]
fn what_does_not_fit_stays_on_disk_and_is_read_on_from_there() {
    let mut turns = turns(1, 1, 4);
    for n in 0..10 {
        turns.offer(due(n, 0), TenantIndex(1));
    }
    assert_eq!(turns.starved(), None, "full");
    for n in 0..2 {
        assert_eq!(begun(&mut turns), [(n, 0)]);
        assert_eq!(turns.ended(key(n, 0), Ending::Rest), n == 1, "room for half of them");
    }
    let before = DueLane { conversation: Uuid::from_u128(3), lane: u32::MAX, ..due(0, 0) };
    assert_eq!(turns.starved(), Some((TenantIndex(1), Some(before))));
    turns.refilled(TenantIndex(1), &[due(4, 0), due(5, 0)], Some(due(5, 0)));
    assert_eq!(turns.counts().waiting, 4);
    for n in 2..6 {
        assert_eq!(begun(&mut turns), [(n, 0)]);
        turns.ended(key(n, 0), Ending::Rest);
    }
    assert_eq!(turns.starved(), Some((TenantIndex(1), Some(due(5, 0)))));
    turns.refilled(TenantIndex(1), &[], None);
    assert_eq!(turns.starved(), None);
    assert!(turns.is_empty());
}
