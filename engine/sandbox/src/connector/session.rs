//! A connector's line: what outlives its instances and its specifications. How its session stands and who is told, the files
//! of its messages, and the gate in front of its events.
//!
//! An instance speaks through a [`Session`]. Invariant: only the newest one of a line is heard, so that an instance that is
//! being replaced cannot contradict its successor. An instance that runs beside the connector's own, to be tried, speaks aside:
//! what it says is kept with it until it is told to speak up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{Account, ConnectorEvents, SessionState};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::connector::events_gate::Intake;
use crate::host::media::Handed;
use crate::limits::{Limits, SENDS_WAITING};

/// How a session stands, and whose it is while it is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) state: SessionState,
    pub(crate) account: Option<Account>,
}

/// One connector's line.
pub(crate) struct Line {
    connector: ConnectorIndex,
    events: Arc<dyn ConnectorEvents>,
    held: Mutex<Held>,
    standing: watch::Sender<Standing>,
    /// How long after the end of a session sends wait for the next one.
    patience: Duration,
    /// Messages that wait for a session.
    waiting: Semaphore,
    /// The files of the messages that it is sending.
    pub(crate) media: Handed,
    pub(crate) intake: Intake,
}

/// The number of a speaker that nobody hears.
const ASIDE: u64 = 0;

struct Held {
    /// Who is heard; more than [`ASIDE`] once somebody spoke.
    speaker: u64,
    /// When the session was last seen connected.
    connected: Option<Instant>,
}

impl Line {
    pub(crate) fn new(connector: ConnectorIndex, events: Arc<dyn ConnectorEvents>, limits: &Limits) -> Arc<Self> {
        let standing = Standing { state: SessionState::Stopped, account: None };
        Arc::new(Self {
            connector,
            events,
            held: Mutex::new(Held { speaker: 0, connected: None }),
            standing: watch::channel(standing).0,
            patience: limits.session_wait,
            waiting: Semaphore::new(SENDS_WAITING),
            media: Handed::default(),
            intake: Intake::new(limits),
        })
    }

    /// A new speaker; those before are no longer heard.
    pub(crate) fn speak(self: &Arc<Self>) -> Session {
        let mut held = self.held.lock();
        held.speaker += 1;
        Session::new(self, held.speaker)
    }

    /// A speaker that nobody hears, beside the one that is heard.
    pub(crate) fn aside(self: &Arc<Self>) -> Session {
        Session::new(self, ASIDE)
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// To wait for changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.standing.borrow().state == SessionState::Connected
    }

    /// Waits for a place in the queue as one of a bounded number; `None` when too many wait already.
    pub(crate) async fn queue<T>(&self, place: impl Future<Output = T>) -> Option<T> {
        let _waits = self.waiting.try_acquire().ok()?;
        Some(place.await)
    }

    /// Until when a message may wait for a session that broke a moment ago and is being opened again; `None` when there is
    /// nothing to wait for.
    pub(crate) fn waits_until(&self) -> Option<Instant> {
        self.waits_until_at(Instant::now())
    }

    fn change(&self, held: &mut Held, next: Standing, tell: bool) {
        let before = self.standing.borrow().clone();
        if before == next {
            return;
        }
        if before.state == SessionState::Connected || next.state == SessionState::Connected {
            held.connected = Some(Instant::now());
        }
        // First, so that who is told and looks sees it.
        self.standing.send_replace(next.clone());
        if tell {
            self.events.session_changed(self.connector, next.state, next.account);
        }
    }

    fn waits_until_at(&self, now: Instant) -> Option<Instant> {
        let held = self.held.lock();
        let again = matches!(self.standing.borrow().state, SessionState::Connecting | SessionState::Failing(_));
        held.connected.filter(|_| again).map(|at| at + self.patience).filter(|until| *until > now)
    }
}

/// An instance's voice on its connector's line.
pub(crate) struct Session {
    pub(crate) line: Arc<Line>,
    /// Its number among the line's speakers. Changed under the lock of what the line holds.
    speaker: AtomicU64,
    /// How it stands by itself, heard or not.
    own: watch::Sender<Standing>,
}

impl Session {
    fn new(line: &Arc<Line>, speaker: u64) -> Self {
        let own = Standing { state: SessionState::Connecting, account: None };
        Self { line: line.clone(), speaker: AtomicU64::new(speaker), own: watch::channel(own).0 }
    }

    /// Tells of a change; the same standing again is none. The observer is called under the lock, so that it hears the
    /// changes in their order: it must not block, as its contract says.
    pub(crate) fn set(&self, state: SessionState, account: Option<Account>) {
        let account = account.filter(|_| state == SessionState::Connected);
        self.change(Standing { state, account }, true);
    }

    /// From now on it is heard and nobody else is, beginning with how it stands.
    pub(crate) fn speak_up(&self) {
        let mut held = self.line.held.lock();
        held.speaker += 1;
        self.speaker.store(held.speaker, Relaxed);
        let own = self.own.borrow().clone();
        self.line.change(&mut held, own, true);
    }

    /// It ended and nobody will open it again by himself: messages must not wait for it.
    pub(crate) fn end(&self, state: SessionState) {
        self.change(Standing { state, account: None }, true);
        let mut held = self.line.held.lock();
        if self.is_heard(&held) {
            held.connected = None;
        }
    }

    /// It ended with the whole engine: nobody is told.
    pub(crate) fn end_silently(&self) {
        self.change(Standing { state: SessionState::Stopped, account: None }, false);
    }

    fn is_heard(&self, held: &Held) -> bool {
        let speaker = self.speaker.load(Relaxed);
        speaker != ASIDE && speaker == held.speaker
    }

    fn change(&self, next: Standing, tell: bool) {
        let mut held = self.line.held.lock();
        self.own.send_replace(next.clone());
        if self.is_heard(&held) {
            self.line.change(&mut held, next, tell);
        }
    }

    /// How it stands by itself.
    pub(crate) fn state(&self) -> SessionState {
        self.own.borrow().state.clone()
    }

    /// Whether it can send, as far as it knows.
    pub(crate) fn is_up(&self) -> bool {
        self.own.borrow().state == SessionState::Connected
    }

    /// Returns when it is no longer connecting.
    pub(crate) async fn opened(&self) {
        let mut own = self.own.subscribe();
        // The sender is our own.
        let _ = own.wait_for(|now| now.state != SessionState::Connecting).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use pombo_domain::ports::{ChannelEvent, IntakeError, KvWrite};

    #[derive(Default)]
    struct Heard(Mutex<Vec<SessionState>>);
    #[async_trait]
    impl ConnectorEvents for Heard {
        fn session_changed(&self, _: ConnectorIndex, state: SessionState, _: Option<Account>) {
            self.0.lock().push(state);
        }
        async fn take(&self, _: ConnectorIndex, _: Vec<ChannelEvent>, _: Vec<KvWrite>) -> Result<(), IntakeError> {
            Ok(())
        }
    }

    fn line() -> (Arc<Line>, Arc<Heard>) {
        let heard = Arc::new(Heard::default());
        (Line::new(ConnectorIndex(1), heard.clone(), &Limits::default()), heard)
    }

    fn account() -> Option<Account> {
        Some(Account { address: "5511".into(), display_name: None, aliases: Vec::new() })
    }

    #[test]
    fn only_the_newest_speaker_is_heard_and_a_repetition_is_none() {
        let (line, heard) = line();
        let first = line.speak();
        first.set(SessionState::Connecting, None);
        first.set(SessionState::Connected, account());
        first.set(SessionState::Connected, account());
        let second = line.speak();
        first.set(SessionState::Disconnected("old".into()), None);
        assert_eq!(line.standing().account, account());
        second.set(SessionState::Connecting, account());
        assert_eq!(line.standing(), Standing { state: SessionState::Connecting, account: None });
        assert_eq!(
            *heard.0.lock(),
            [SessionState::Connecting, SessionState::Connected, SessionState::Connecting],
            "one line, one story"
        );
    }

    #[test]
    fn who_speaks_aside_is_heard_once_he_speaks_up() {
        let (line, heard) = line();
        let tried = line.aside();
        tried.set(SessionState::Failing("nobody was there before".into()), None);
        let old = line.speak();
        old.set(SessionState::Connected, None);
        tried.set(SessionState::Connected, account());
        assert!(tried.is_up());
        assert_eq!(line.standing().account, None, "the old one's");
        tried.speak_up();
        old.set(SessionState::Stopped, None);
        assert_eq!(line.standing().account, account());
        assert!(!old.is_up(), "it knows of itself");
        assert_eq!(*heard.0.lock(), [SessionState::Connected, SessionState::Connected], "never anything else");
    }

    #[test]
    fn messages_wait_for_a_session_that_was_there_a_moment_ago() {
        let (line, _) = line();
        let session = line.speak();
        session.set(SessionState::Connecting, None);
        assert_eq!(line.waits_until(), None, "it never was connected");
        session.set(SessionState::Connected, account());
        let before = Instant::now();
        session.set(SessionState::Connecting, None);
        let patience = Limits::default().session_wait;
        let until = line.waits_until().expect("it was connected until now");
        assert!(until >= before + patience, "counted from the end of the session and not from its beginning");
        session.set(SessionState::QrCode("x".into()), None);
        assert_eq!(line.waits_until(), None, "a person must do something");
        session.set(SessionState::Failing("trap".into()), None);
        assert_eq!(line.waits_until(), Some(until));
        assert_eq!(line.waits_until_at(until), None, "not for ever");
        session.set(SessionState::Connected, account());
        session.end(SessionState::Failing("configuration".into()));
        assert_eq!(line.waits_until(), None, "a person must do something");
    }
}
