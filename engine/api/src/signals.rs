//! Wakes requests that wait for a tenant's next event, and tells those who follow live what is stored nowhere. The store's committer thread
//! reports every commit, which takes one short lock, and none if it did nothing of the kind.
//!
//! What is live is bounded: who falls [`LIVE`] behind has missed something, and is told so.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pombo_domain::ports::{CommitObserver, Effect, MessageStep, SessionState};
use pombo_domain::{AutomationIndex, ConnectorIndex, TenantIndex};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// Maximum number of requests of one tenant that wait at the same time. Streams do not count: who opens them bounds them.
const MAX_WAITING: usize = 64;
/// How much of what happened is kept for a live follower that is slow.
pub const LIVE: usize = 1_000;

/// Something that happened and is stored nowhere. Whoever missed it reads the present state again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Live {
    /// A message was inserted, or came to another state.
    Message(MessageStep),
    /// The session of a connector has this state. The code that opens one is not in it.
    Session(ConnectorIndex, SessionState),
    /// A connector was created, changed or deleted.
    Connector(ConnectorIndex),
    /// An automation was created, changed or deleted.
    Automation(AutomationIndex),
}

/// Those who follow one tenant.
struct Followers {
    /// The number of the tenant's newest event, for requests that wait for one.
    waiting: watch::Sender<u64>,
    /// The same for streams.
    streams: watch::Sender<u64>,
    live: Option<broadcast::Sender<Live>>,
}

impl Followers {
    fn new() -> Self {
        Self { waiting: watch::Sender::new(0), streams: watch::Sender::new(0), live: None }
    }

    fn has_live(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.receiver_count() > 0)
    }

    fn are_there(&self) -> bool {
        self.waiting.receiver_count() > 0 || self.streams.receiver_count() > 0 || self.has_live()
    }
}

/// Wakes and tells those who follow, see the module.
pub struct EventSignals {
    followers: Mutex<HashMap<TenantIndex, Followers>>,
    /// Number of live followers of all tenants: without any, commits look no further.
    live: Arc<AtomicUsize>,
    draining: CancellationToken,
}

/// Too many requests of the tenant are already waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_WAITING} requests wait for this tenant's events already; let one wait, or ask without wait")]
pub struct TooManyWait;

impl EventSignals {
    /// Signals until `draining` is cancelled; then all waiting ends.
    pub fn new(draining: CancellationToken) -> Self {
        Self { followers: Mutex::default(), live: Arc::default(), draining }
    }

    /// Follows a tenant's events from now on, for a request that waits for the first one.
    pub fn follow(&self, tenant: TenantIndex) -> Result<Following, TooManyWait> {
        self.with(tenant, |followers| {
            if followers.waiting.receiver_count() >= MAX_WAITING {
                return Err(TooManyWait);
            }
            Ok(Following { newest: followers.waiting.subscribe(), draining: self.draining.clone() })
        })
    }

    /// Follows a tenant's events from now on, for a stream. The caller bounds how many there are.
    pub fn follow_stream(&self, tenant: TenantIndex) -> Following {
        self.with(tenant, |followers| Following {
            newest: followers.streams.subscribe(),
            draining: self.draining.clone(),
        })
    }

    /// Follows what happens to a tenant and is stored nowhere, from now on. The caller bounds how many there are.
    pub fn follow_live(&self, tenant: TenantIndex) -> LiveFollowing {
        let count = self.live.clone();
        count.fetch_add(1, Ordering::AcqRel);
        self.with(tenant, |followers| {
            let sender = followers.live.get_or_insert_with(|| broadcast::channel(LIVE).0);
            LiveFollowing { told: sender.subscribe(), count }
        })
    }

    /// The token that is cancelled when the engine stops; streams end then.
    pub fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// Whether anybody follows live: whoever has to look something up before it can be told asks first.
    pub fn is_followed(&self) -> bool {
        self.live.load(Ordering::Acquire) > 0
    }

    /// The session of a tenant's connector has another state.
    pub fn session_changed(&self, tenant: TenantIndex, connector: ConnectorIndex, state: SessionState) {
        if !self.is_followed() {
            return;
        }
        // A code opens the account: it stays with the operations that give it out.
        let state = match state {
            SessionState::QrCode(_) => SessionState::QrCode(String::new()),
            SessionState::PairingCode(_) => SessionState::PairingCode(String::new()),
            other => other,
        };
        tell(&self.followers(), tenant, || Live::Session(connector, state));
    }

    /// Does something with a tenant's followers, after those who left are forgotten.
    fn with<T>(&self, tenant: TenantIndex, follow: impl FnOnce(&mut Followers) -> T) -> T {
        let mut all = self.followers();
        all.retain(|_, followers| {
            if !followers.has_live() {
                followers.live = None;
            }
            followers.are_there()
        });
        follow(all.entry(tenant).or_insert_with(Followers::new))
    }

    fn followers(&self) -> MutexGuard<'_, HashMap<TenantIndex, Followers>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells a tenant's live followers, if there are any.
fn tell(all: &HashMap<TenantIndex, Followers>, tenant: TenantIndex, what: impl FnOnce() -> Live) {
    if let Some(live) = all.get(&tenant).and_then(|followers| followers.live.as_ref()) {
        // An error means that nobody follows any longer.
        let _ = live.send(what());
    }
}

fn concerns_followers(effect: &Effect) -> bool {
    matches!(effect, Effect::Event(..) | Effect::Message(_) | Effect::Connector(..) | Effect::Automation(..))
}

impl CommitObserver for EventSignals {
    fn committed(&self, effects: &[Effect]) {
        if !effects.iter().any(concerns_followers) {
            return;
        }
        let all = self.followers();
        if all.is_empty() {
            return;
        }
        for effect in effects {
            match effect {
                Effect::Event(tenant, number) => {
                    if let Some(followers) = all.get(tenant) {
                        followers.waiting.send_replace(*number);
                        followers.streams.send_replace(*number);
                    }
                }
                Effect::Message(step) => tell(&all, step.key.tenant, || Live::Message(step.clone())),
                Effect::Connector(tenant, connector) => tell(&all, *tenant, || Live::Connector(*connector)),
                Effect::Automation(tenant, automation) => tell(&all, *tenant, || Live::Automation(*automation)),
                _ => {}
            }
        }
    }

    fn follows(&self, tenant: TenantIndex) -> bool {
        self.is_followed() && self.followers().get(&tenant).is_some_and(Followers::has_live)
    }
}

/// A waiting request, or a stream.
pub struct Following {
    newest: watch::Receiver<u64>,
    draining: CancellationToken,
}

impl Following {
    /// Waits until an event was appended since the last call (or since it was created) and returns true; returns false when the
    /// engine stops.
    pub async fn appended(&mut self) -> bool {
        tokio::select! {
            changed = self.newest.changed() => changed.is_ok(),
            () = self.draining.cancelled() => false,
        }
    }
}

/// What a live follower hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Something happened.
    Told(Live),
    /// It fell behind, and missed something.
    Missed,
}

/// A live follower. It is forgotten when it is dropped.
pub struct LiveFollowing {
    told: broadcast::Receiver<Live>,
    count: Arc<AtomicUsize>,
}

impl LiveFollowing {
    /// Waits for the next thing that happens.
    pub async fn next(&mut self) -> Heard {
        match self.told.recv().await {
            Ok(live) => Heard::Told(live),
            Err(RecvError::Lagged(_)) => Heard::Missed,
            // The signals are gone, and with them whatever could happen.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }

    /// What happened already and was not heard; `None` if nothing did.
    pub fn ready(&mut self) -> Option<Heard> {
        match self.told.try_recv() {
            Ok(live) => Some(Heard::Told(live)),
            Err(TryRecvError::Lagged(_)) => Some(Heard::Missed),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}

impl Drop for LiveFollowing {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pombo_domain::MessageKey;
    use pombo_domain::model::Status;

    const MINE: TenantIndex = TenantIndex(1);

    fn step(serial: u64) -> Effect {
        let key = MessageKey { tenant: MINE, serial };
        Effect::Message(MessageStep { key, status: Status::Pending, revision: 0, reason: None })
    }

    fn serial(heard: Heard) -> Option<u64> {
        match heard {
            Heard::Told(Live::Message(step)) => Some(step.key.serial),
            _ => None,
        }
    }

    #[tokio::test]
    async fn an_event_wakes_its_own_tenant_also_when_it_came_before_the_wait() {
        let signals = EventSignals::new(CancellationToken::new());
        let mut mine = signals.follow(MINE).expect("nobody waits");
        let mut stream = signals.follow_stream(MINE);
        let mut other = signals.follow(TenantIndex(2)).expect("nobody waits");
        signals.committed(&[Effect::Event(MINE, 7)]);
        assert!(mine.appended().await && stream.appended().await);
        assert!(!other.newest.has_changed().expect("followed"));
        signals.draining.cancel();
        assert!(!other.appended().await, "the engine stops");
    }

    #[test]
    fn waiting_is_bounded_and_who_left_does_not_count() {
        let signals = EventSignals::new(CancellationToken::new());
        let _stream = signals.follow_stream(MINE);
        let all: Vec<_> = (0..MAX_WAITING).map(|_| signals.follow(MINE).expect("room")).collect();
        assert_eq!(signals.follow(MINE).err(), Some(TooManyWait));
        assert!(signals.follow(TenantIndex(2)).is_ok());
        let _another = signals.follow_stream(MINE);
        drop(all);
        assert!(signals.follow(MINE).is_ok());
    }

    #[tokio::test]
    async fn live_followers_hear_of_their_own_tenant_in_order() {
        let signals = EventSignals::new(CancellationToken::new());
        assert!(!signals.follows(MINE), "nobody follows");
        let mut mine = signals.follow_live(MINE);
        assert!(signals.follows(MINE) && !signals.follows(TenantIndex(2)));
        let foreign = Effect::Connector(TenantIndex(2), ConnectorIndex(9));
        let own = Effect::Connector(MINE, ConnectorIndex(3));
        signals.committed(&[step(1), foreign, Effect::Event(MINE, 1), own, step(2)]);
        signals.session_changed(MINE, ConnectorIndex(3), SessionState::QrCode("2@secret".to_owned()));
        assert_eq!(serial(mine.next().await), Some(1));
        assert_eq!(mine.next().await, Heard::Told(Live::Connector(ConnectorIndex(3))));
        assert_eq!(mine.ready().and_then(serial), Some(2));
        let code = SessionState::QrCode(String::new());
        assert_eq!(mine.ready(), Some(Heard::Told(Live::Session(ConnectorIndex(3), code))), "without the code");
        assert_eq!(mine.ready(), None);
        drop(mine);
        assert!(!signals.follows(MINE) && !signals.is_followed());
    }

    #[tokio::test]
    async fn who_falls_behind_is_told_once_and_hears_the_newest() {
        let signals = EventSignals::new(CancellationToken::new());
        let (mut slow, mut quick) = (signals.follow_live(MINE), signals.follow_live(MINE));
        for number in 0..2_000 {
            signals.committed(&[step(number)]);
            assert_eq!(quick.ready().and_then(serial), Some(number));
        }
        assert_eq!(slow.next().await, Heard::Missed);
        let rest: Vec<u64> = std::iter::from_fn(|| slow.ready()).filter_map(serial).collect();
        assert!((LIVE..2_000).contains(&rest.len()), "{} were kept", rest.len());
        assert!(rest.is_sorted() && rest.last() == Some(&1_999), "the newest ones");
    }
}
