use super::*;
use crate::outside::world::{World, poll, ready};
use pombo_plugin::connector::events;
use std::pin::pin;

const CLIENT: &str = "018f0000-0000-7000-8000-000000000001";

fn said(id: &str, step: Step, at: u64) -> Said {
    Said { id: id.to_owned(), step, recipient: Some("5511999999999".to_owned()), at, reason: None }
}

#[test]
fn a_receipt_before_its_answer_is_told_with_the_answer() {
    let (world, ledger) = (World::new(), Ledger::default());
    let now = world.now.get();
    ready(ledger.receipt(&world, said("A", Step::Server, now))).expect("kept");
    ready(ledger.receipt(&world, said("A", Step::Delivered, now))).expect("kept");
    ready(ledger.receipt(&world, said("B", Step::Read, now))).expect("kept");
    assert!(world.receipts().is_empty());
    assert_eq!(world.keys("early/").len(), 3);
    ready(ledger.sent(&world, Some("A"), CLIENT, Vec::new())).expect("told");
    let told = world.receipts();
    assert_eq!(
        told.iter().map(|r| r.kind).collect::<Vec<_>>(),
        [events::ReceiptKind::Server, events::ReceiptKind::Delivered]
    );
    assert!(told.iter().all(|r| r.client_id.as_deref() == Some(CLIENT) && r.provider_id == "A"));
    assert_eq!(world.keys("early/").len(), 1);
    ready(ledger.receipt(&world, said("A", Step::Read, now))).expect("told");
    assert_eq!(world.receipts().len(), 3);
}

#[test]
fn both_outlive_a_restart() {
    let world = World::new();
    let now = world.now.get();
    let ledger = Ledger::default();
    ready(ledger.sent(&world, Some("A"), CLIENT, Vec::new())).expect("kept");
    ready(ledger.receipt(&world, said("B", Step::Delivered, now))).expect("kept");
    let ledger = Ledger::default();
    ready(ledger.load(&world)).expect("loads");
    ready(ledger.receipt(&world, said("A", Step::Read, now))).expect("told");
    ready(ledger.sent(&world, Some("B"), CLIENT, Vec::new())).expect("told");
    assert_eq!(world.receipts().len(), 2);
    assert!(world.keys("early/").is_empty());
}

#[test]
fn what_nobody_claims_goes_after_a_minute() {
    let (world, ledger) = (World::new(), Ledger::default());
    let now = world.now.get();
    ready(ledger.receipt(&world, said("A", Step::Read, now))).expect("kept");
    world.now.set(now + WAIT_MILLIS);
    ready(ledger.receipt(&world, said("B", Step::Read, now + WAIT_MILLIS))).expect("kept");
    assert_eq!(world.keys("early/"), ["early/B/read/5511999999999"]);
    ready(ledger.sent(&world, Some("A"), CLIENT, Vec::new())).expect("kept");
    assert!(world.receipts().is_empty());
    world.now.set(now + 3 * WAIT_MILLIS);
    ready(Ledger::default().load(&world)).expect("loads");
    assert!(world.keys("early/").is_empty());
}

#[test]
fn those_that_wait_are_bounded() {
    let (world, ledger) = (World::new(), Ledger::default());
    let now = world.now.get();
    for n in 0..WAITING + 5 {
        ready(ledger.receipt(&world, said(&format!("{n:04}"), Step::Read, now))).expect("kept");
    }
    assert_eq!(world.keys("early/").len(), WAITING);
    assert_eq!(ledger.early.borrow().len(), WAITING);
}

#[test]
fn an_engine_that_is_busy_is_asked_again() {
    let (world, ledger) = (World::new(), Ledger::default());
    let now = world.now.get();
    ready(ledger.receipt(&world, said("A", Step::Read, now))).expect("kept");
    world.failing.set(2);
    ready(ledger.sent(&world, Some("A"), CLIENT, Vec::new())).expect("at the third attempt");
    assert_eq!(world.receipts().len(), 1);
}

#[test]
fn what_could_not_be_stored_is_stored_later() {
    let (world, ledger) = (World::new(), Ledger::default());
    let now = world.now.get();
    ready(ledger.receipt(&world, said("A", Step::Read, now))).expect("kept");
    world.failing.set(4);
    assert!(ready(ledger.sent(&world, Some("A"), CLIENT, Vec::new())).is_err());
    assert_eq!(ready(ledger.client_of(&world, "A")), Ok(Some(CLIENT.to_owned())), "in memory at least");
    assert!(ready(ledger.flush(&world)).is_err());
    assert!(world.receipts().is_empty());
    ready(ledger.flush(&world)).expect("stored");
    assert_eq!(
        (world.receipts().len(), world.keys("sent/"), world.keys("early/").len()),
        (1, vec!["sent/A".to_owned()], 0)
    );
    ready(ledger.flush(&world)).expect("nothing is left");
    assert_eq!(world.receipts().len(), 1);
}

#[test]
fn a_note_that_comes_late_does_not_overwrite_a_newer_one() {
    let (world, ledger) = (World::new(), Ledger::default());
    let ids = ["A", "B", "C"].map(|id| Some(id.to_owned()));
    let note = |sent: usize| Ledger::note_parts(0, CLIENT, &ids[..sent], false);
    world.failing.set(3);
    assert!(ready(ledger.sent(&world, Some("A"), CLIENT, note(1))).is_err());
    ready(ledger.sent(&world, Some("B"), CLIENT, note(2))).expect("stored");
    ready(ledger.flush(&world)).expect("stored");
    assert_eq!(ready(ledger.parts(&world, CLIENT)), Ok(ids[..2].to_vec()));
    assert_eq!(world.keys("sent/").len(), 2, "the id is stored nevertheless");

    // Also where the older one is being written.
    world.failing.set(3);
    assert!(ready(ledger.sent(&world, Some("B"), CLIENT, note(2))).is_err());
    world.slow.set(1);
    let mut flush = pin!(ledger.flush(&world));
    assert!(poll(flush.as_mut()).is_pending());
    assert!(ledger.owed.writes(&note(3)));
    assert!(poll(flush.as_mut()).is_ready());
    ready(ledger.sent(&world, Some("C"), CLIENT, note(3))).expect("stored");
    assert_eq!(ready(ledger.parts(&world, CLIENT)), Ok(ids.to_vec()));
}

#[test]
fn reading_what_waited_can_be_repeated() {
    let world = World::new();
    let now = world.now.get();
    let before = Ledger::default();
    ready(before.receipt(&world, said("A", Step::Read, now))).expect("kept");
    ready(before.receipt(&world, said("B", Step::Read, now))).expect("kept");
    ready(world.batch(vec![put(row("B"), CLIENT.as_bytes())])).expect("kept");
    let ledger = Ledger::default();
    world.failing.set(1);
    assert!(ready(ledger.load(&world)).is_err());
    // What is known is told, however late.
    world.now.set(now + 2 * WAIT_MILLIS);
    ready(ledger.load(&world)).expect("loads");
    assert_eq!(world.receipts().len(), 1);
    assert!(world.keys("early/").is_empty());
}

#[test]
fn what_is_old_is_forgotten() {
    let (world, ledger) = (World::new(), Ledger::default());
    ready(ledger.sent(&world, Some("OLD"), CLIENT, Ledger::note_parts(world.now.get(), CLIENT, &[None], false)))
        .expect("kept");
    world.now.set(world.now.get() + (KEPT_DAYS + 1) * DAY_MILLIS);
    ready(ledger.sent(&world, Some("NEW"), CLIENT, Vec::new())).expect("kept");
    ready(ledger.sweep(&world)).expect("swept");
    assert_eq!(world.keys("sent/"), ["sent/NEW"]);
    assert_eq!((world.keys("part/").len(), world.keys("due/").len()), (0, 1));
}

#[test]
fn parts_are_noted_until_all_are_sent() {
    let (world, ledger) = (World::new(), Ledger::default());
    let sent = [Some("A".to_owned()), None];
    ready(world.batch(Ledger::note_parts(0, CLIENT, &sent, false))).expect("kept");
    assert_eq!(ready(ledger.parts(&world, CLIENT)), Ok(sent.to_vec()));
    ready(world.batch(Ledger::note_parts(0, CLIENT, &sent, true))).expect("kept");
    assert_eq!(ready(ledger.parts(&world, CLIENT)), Ok(Vec::new()));
}
