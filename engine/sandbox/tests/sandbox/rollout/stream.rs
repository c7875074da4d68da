//! Thirty swaps under a stream of messages, good versions and bad ones: nothing is lost, nothing is sent twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pombo_domain::ports::{Connectors, SendOutcome};

use super::{Counter, RELAY, bad, good, keep, relaying};
use crate::support::{Wish, World};

/// Messages a second.
const RATE: u64 = 200;

/// What became of the stream so far.
#[derive(Default)]
struct Stream {
    over: AtomicBool,
    begun: AtomicU64,
    accepted: Mutex<Vec<(u128, Instant)>>,
    unknown: Mutex<Vec<u128>>,
    lost: Mutex<Vec<String>>,
}

impl Stream {
    /// Sends one message as the scheduler does: again when nothing was sent, never when the outcome is unknown.
    async fn one(&self, world: &World, id: u128) {
        loop {
            match world.send_id(1, id).await {
                SendOutcome::Accepted { .. } => return self.accepted.lock().push((id, Instant::now())),
                SendOutcome::Unknown(_) => return self.unknown.lock().push(id),
                SendOutcome::Disconnected(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                other => return self.lost.lock().push(format!("{id}: {other:?}")),
            }
        }
    }

    async fn flow(self: Arc<Self>, world: Arc<World>) {
        let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / RATE));
        let mut under_way = tokio::task::JoinSet::new();
        while !self.over.load(Ordering::Relaxed) {
            ticks.tick().await;
            let id = u128::from(self.begun.fetch_add(1, Ordering::Relaxed));
            let (stream, world) = (self.clone(), world.clone());
            under_way.spawn(async move { stream.one(&world, id).await });
        }
        while let Some(ended) = under_way.join_next().await {
            ended.expect("no panic");
        }
    }

    /// Waits until so many more messages were accepted.
    async fn more(&self, count: usize) {
        let wanted = self.accepted.lock().len() + count;
        while self.accepted.lock().len() < wanted {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The longest time without an accepted message between two instants.
    fn pause(&self, from: Instant, to: Instant) -> Duration {
        let mut at: Vec<_> =
            self.accepted.lock().iter().map(|(_, at)| *at).filter(|at| (from..=to).contains(at)).collect();
        at.sort_unstable();
        let ends = std::iter::once(from).chain(at).chain([to]).collect::<Vec<_>>();
        ends.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_swaps_under_a_stream_lose_nothing_and_send_nothing_twice() {
    let counter = Counter::start().await;
    let world = Arc::new(relaying(Wish::default()).await);
    world.start(1, RELAY, counter.config()).await;
    let stream = Arc::new(Stream::default());
    let flow = tokio::spawn(stream.clone().flow(world.clone()));
    let (mut pauses, mut trapped) = (Vec::new(), 0usize);
    let sandbox = &world.sandbox;
    stream.more(20).await;
    for swap in 0..30u8 {
        let before = world.running(RELAY);
        // Each good version once, the bad ones in turn.
        let (case, component) = match swap % 6 {
            1 => ("trap-at-start", bad("trap-at-start")),
            3 => ("trap-at-hundredth", bad("trap-at-hundredth")),
            4 => ("slow", bad("slow")),
            5 => ("error-at-start", bad("error-at-start")),
            _ => ("good", good(char::from(b'A' + swap))),
        };
        let digest = keep(&world, &component);
        let mark = world.stats(RELAY, &digest);
        // Half of them are tried first, half take over at once.
        let share = if swap % 4 < 2 { 40 } else { 100 };
        sandbox.stage(RELAY, &digest, share).await.unwrap_or_else(|e| panic!("{case}: {e}"));
        match case {
            "good" => {
                world.until_stats(RELAY, &digest, |s| s.calls >= mark.calls + 10).await;
                let from = Instant::now();
                sandbox.promote(RELAY).await.expect("is staged");
                stream.more(10).await;
                pauses.push(stream.pause(from, Instant::now()));
                sandbox.settle(RELAY).await;
                assert_ne!(world.running(RELAY), before);
            }
            "slow" => world.until_stats(RELAY, &digest, |s| s.calls >= mark.calls + 5).await,
            "trap-at-hundredth" => {
                world.until_stats(RELAY, &digest, |s| s.traps > mark.traps).await;
                trapped += 1;
            }
            _ => world.until_stats(RELAY, &digest, |s| s.traps > mark.traps).await,
        }
        if case != "good" {
            if swap % 2 == 1 {
                stream.more(5).await;
            }
            let from = Instant::now();
            sandbox.unstage(RELAY).await.expect("the old one is kept");
            assert_eq!(world.running(RELAY), before, "{case}");
            stream.more(10).await;
            pauses.push(stream.pause(from, Instant::now()));
        }
    }
    stream.over.store(true, Ordering::Relaxed);
    flow.await.expect("ended");

    assert_eq!(*stream.lost.lock(), [""; 0]);
    let (accepted, unknown) = (stream.accepted.lock(), stream.unknown.lock());
    let begun = stream.begun.load(Ordering::Relaxed);
    assert_eq!(accepted.len() + unknown.len(), begun as usize, "each ended");
    for (id, _) in &*accepted {
        assert_eq!(counter.of(*id), 1, "{id} was accepted");
    }
    for id in &*unknown {
        assert!(counter.of(*id) <= 1, "{id} was in flight when its version trapped");
    }
    // The relay takes 32 at once; each trap may take those, and it may have trapped again before it was taken back.
    assert!(unknown.len() <= trapped * 64, "{} for {trapped} traps", unknown.len());
    pauses.sort_unstable();
    let at = |percent: usize| pauses[(pauses.len() * percent).div_ceil(100) - 1];
    println!(
        "{begun} messages, {} unknown, {} swaps: longest time without an accepted message p50 {:?}, p99 {:?}",
        unknown.len(),
        pauses.len(),
        at(50),
        at(99)
    );
}
