//! A child process that writes as fast as it can, killed at random moments: the store opens, is sound, and has all that the
//! child was acknowledged: messages with their steps, each marked event once, and entries of timelines.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use pombo_store::DiskStore;

use crate::chats::{change, in_chat, inbound, received_by, say as say_in_chat, text};
use crate::support::*;

const FOLDER: &str = "POMBO_STORE_TEST_FOLDER";
const SEED: &str = "POMBO_STORE_TEST_SEED";

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Writes until it is killed, and prints what was acknowledged: serial and revision of messages, `+` and number of events, `@`
/// and the channel's id of entries.
async fn write_for_ever(folder: &Path, seed: u64) {
    let clock = clock();
    let store = open(folder, &clock);
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..4u64 {
        let (store, clock) = (store.clone(), clock.clone());
        tasks.spawn(async move {
            let mut seed = seed.wrapping_mul(writer + 1) | 1;
            let mut mine: Vec<StoredMessage> = Vec::new();
            loop {
                let r = random(&mut seed);
                clock.jump((r % 3) as i64);
                let count = if r.is_multiple_of(5) { 200 } else { r % 4 + 1 };
                let new = (0..count)
                    .map(|n| NewMessage {
                        external_id: n.is_multiple_of(2).then(|| format!("{writer}-{n}")),
                        webhook_url: (n % 5 == 1).then(|| "https://x/".to_owned()),
                        priority: (n % 10 + 1) as u8,
                        ..message((n % 3) as u32 + 1, "5511", &format!("texto {}", r % 1000))
                    })
                    .collect();
                let keys = insert(&store, A, new).await;
                say(keys.iter().map(|key| (key.serial, 0)));
                mine.extend(store.messages(&keys).unwrap().into_iter().flatten());
                let now = clock.now();
                for _ in 0..3 {
                    let part = mine.len().min(20);
                    let start = random(&mut seed) as usize % (mine.len() - part + 1);
                    let chosen = &mut mine[start..start + part];
                    let next = |s: &MessageState| s.claim(now).or_else(|_| s.sent(None, now)).ok();
                    let updates: Vec<Update> = chosen.iter().filter_map(|m| Some(update(m, next(&m.state)?))).collect();
                    let changes = updates.iter().cloned().map(Change::Update).collect();
                    store.commit(Batch::of(changes)).await.unwrap();
                    say(updates.iter().map(|u| (u.key.serial, u.state.revision)));
                    for u in updates {
                        if let Some(m) = chosen.iter_mut().find(|m| m.message.key == u.key) {
                            m.state = u.state;
                        }
                    }
                }
            }
        });
    }
    for writer in 0..2u64 {
        tasks.spawn(append_for_ever(store.clone(), clock.clone(), seed.wrapping_mul(writer + 11) | 1));
    }
    tasks.spawn(forget_for_ever(store.clone(), clock.clone()));
    tasks.spawn(chat_for_ever(store.clone(), clock.clone(), seed.wrapping_mul(17) | 1));
    while tasks.join_next().await.is_some() {}
}

/// An event that is to be stored once: its number is its body and its mark.
fn numbered(tenant: TenantIndex, number: u64, at: Timestamp) -> Change {
    let event = NewEvent {
        id: uuid::Uuid::from_u128(number.into()),
        connector: ConnectorIndex(1),
        at,
        body: EventBody::Other("n".to_owned(), number.to_string()),
    };
    Change::Event(AppendEvent { tenant, event, once: Some(u128::from(number).to_be_bytes()) })
}

/// Appends events whose numbers repeat, in a batch, between the writers and after a restart.
async fn append_for_ever(store: Arc<DiskStore>, clock: Arc<ManualClock>, mut seed: u64) {
    loop {
        let count = random(&mut seed) % 8 + 1;
        let numbers: Vec<u64> = (0..count).map(|_| random(&mut seed) % 50_000).collect();
        // Too young for the one that forgets.
        let at = clock.now().plus_ms(1_000_000_000);
        let mut changes: Vec<Change> = numbers.iter().map(|n| numbered(A, *n, at)).collect();
        // As a connector does: the event and its own notes in one batch.
        let note = KvWrite { key: format!("seen-{}", numbers[0]), value: Some(vec![1]) };
        changes.push(Change::Kv(ConnectorIndex(1), vec![note]));
        store.commit(Batch::of(changes)).await.unwrap();
        say_line(numbers.iter().map(|n| format!("+{n} ")).collect());
    }
}

/// Another tenant's log, whose front is forgotten all the time.
async fn forget_for_ever(store: Arc<DiskStore>, clock: Arc<ManualClock>) {
    for number in (0..u64::MAX).step_by(20) {
        let now = clock.now();
        store.commit(Batch::of((number..number + 20).map(|n| numbered(B, n % 500, now)).collect())).await.unwrap();
        store.forget_events(now, 15).await.unwrap();
    }
}

/// Receives, answers, reads and deletes in conversations of another tenant. What is acknowledged in the first one, which is never
/// deleted, is said: `@` and the channel's id.
async fn chat_for_ever(store: Arc<DiskStore>, clock: Arc<ManualClock>, mut seed: u64) {
    loop {
        let r = random(&mut seed);
        let chat = format!("chat{}", r % 4);
        let ids: Vec<String> = (0..r % 5 + 1).map(|n| format!("{r:x}-{n}")).collect();
        let one = |id: &String| received_by(B, &inbound(&chat, id, text("texto")));
        let mut changes: Vec<Change> = ids.iter().map(one).collect();
        let reaction = InboundContent::Reaction { to: ids[0].clone(), emoji: "x".to_owned() };
        changes.push(received_by(B, &inbound(&chat, "r", reaction)));
        let sent = insert(&store, B, vec![message(1, &chat, "y")]).await;
        let stored = store.message(sent[0]).unwrap().unwrap();
        changes.push(Change::Update(update(&stored, stored.state.claim(clock.now()).unwrap())));
        let attempted = ChatChange::Attempted(sent[0], stored.message.id, in_chat(B, &chat, say_in_chat(sent[0], "y")));
        changes.push(change(attempted));
        store.commit(Batch::of(changes)).await.unwrap();
        if chat == "chat0" {
            say_line(ids.iter().map(|id| format!("@{id} ")).collect());
        }
        let id = store.conversation_with(ConnectorIndex(1), &chat).unwrap().unwrap().id;
        let then = if r.is_multiple_of(7) && chat != "chat0" {
            change(ChatChange::Delete(B, id))
        } else {
            let read = ConversationStep::Read { up_to: u64::MAX, tell: true };
            Change::Automation(Box::new(AutomationChange::Conversation(B, id, vec![read])))
        };
        store.commit(Batch::of(vec![then])).await.unwrap();
        if let Some(purge) = store.purgeable(3).unwrap() {
            store.purge(purge).await.unwrap();
        }
    }
}

/// The numbers of a tenant's events, but those of conversations that were opened; none is there twice.
fn event_numbers(store: &DiskStore, tenant: TenantIndex) -> HashSet<u64> {
    let (mut numbers, mut after, mut is_empty) = (HashSet::new(), 0, true);
    loop {
        let (events, next) = store.events(tenant, &EventFilter::default(), after, 1000).unwrap();
        for event in events {
            is_empty = false;
            if matches!(event.event.body, EventBody::Conversation { .. }) {
                continue;
            }
            let EventBody::Other(_, number) = &event.event.body else { panic!("another event") };
            assert!(numbers.insert(number.parse().unwrap()), "event {number} is there twice");
        }
        if next == after {
            assert_eq!(after, if is_empty { 0 } else { store.last_event(tenant).unwrap() });
            return numbers;
        }
        after = next;
    }
}

/// One line, written at once.
fn say(acknowledged: impl Iterator<Item = (u64, u32)>) {
    say_line(acknowledged.map(|(serial, revision)| format!("{serial}:{revision} ")).collect());
}

fn say_line(mut line: String) {
    line.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).unwrap();
    out.flush().unwrap();
}

/// The child's part; does nothing but when the test below runs it.
#[test]
#[ignore = "run by killed_at_random_moments_it_keeps_what_it_acknowledged"]
fn child() {
    let (Ok(folder), Ok(seed)) = (std::env::var(FOLDER), std::env::var(SEED)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(write_for_ever(Path::new(&folder), seed.parse().unwrap()));
}

#[test]
fn killed_at_random_moments_it_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut seed = 0x5eed_1234_u64;
    let mut acknowledged: HashMap<u64, u32> = HashMap::new();
    let mut appended: HashSet<u64> = HashSet::new();
    let mut entered: HashSet<String> = HashSet::new();
    for round in 0..20u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(SEED, (round * 77 + 13).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let until = random(&mut seed) % 120 + 1;
        let mut heard = 0;
        let mut line = String::new();
        let mut note = |line: &str| {
            // The last line may be torn: only pairs followed by a space count.
            let mut pairs: Vec<&str> = line.split(' ').collect();
            pairs.pop();
            entered.extend(pairs.iter().filter_map(|pair| pair.strip_prefix('@').map(str::to_owned)));
            appended.extend(pairs.iter().filter_map(|pair| pair.strip_prefix('+')?.parse::<u64>().ok()));
            let parsed = pairs.iter().filter_map(|pair| {
                let (serial, revision) = pair.split_once(':')?;
                Some((serial.parse::<u64>().ok()?, revision.parse::<u32>().ok()?))
            });
            let mut any = false;
            for (serial, revision) in parsed {
                let known = acknowledged.entry(serial).or_default();
                *known = revision.max(*known);
                any = true;
            }
            any
        };
        while heard < until {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "the child ended by itself");
            heard += u64::from(note(&line));
        }
        // Somewhere within the next commits.
        let spin = std::time::Instant::now();
        while spin.elapsed().as_micros() < u128::from(random(&mut seed) % 3000) {}
        child.kill().unwrap();
        child.wait().unwrap();
        loop {
            line.clear();
            if lines.read_line(&mut line).unwrap() == 0 {
                break;
            }
            note(&line);
        }

        let clock = clock();
        let store: Arc<_> = open(folder.path(), &clock);
        assert_sound(&store);
        for (serial, revision) in &acknowledged {
            let message = store.message(MessageKey { tenant: A, serial: *serial }).unwrap();
            let found = message.map(|m| m.state.revision);
            assert!(found >= Some(*revision), "round {round}: {serial} at {found:?}, acknowledged {revision}");
        }
        let events = event_numbers(&store, A);
        let lost: Vec<_> = appended.difference(&events).collect();
        assert!(lost.is_empty(), "round {round}: acknowledged events are lost: {lost:?}");
        event_numbers(&store, B);
        if !entered.is_empty() {
            let number = store.conversation_with(ConnectorIndex(1), "chat0").unwrap().unwrap().number;
            let is_lost = |id: &&String| store.timeline_item_of(B, number, id).unwrap().is_none();
            let lost: Vec<_> = entered.iter().filter(is_lost).collect();
            assert!(lost.is_empty(), "round {round}: acknowledged entries are lost: {lost:?}");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let everything = MessageFilter { search: Some("texto".to_owned()), ..MessageFilter::default() };
        let total = runtime.block_on(store.list_messages(A, everything, 0, 1)).unwrap().total;
        assert_eq!(total, store.status_counts(A).iter().sum::<u64>());
    }
    assert!(acknowledged.len() > 1000, "the children did write");
    assert!(appended.len() > 1000, "the children did append");
    assert!(entered.len() > 20, "the children did receive: {}", entered.len());
}
