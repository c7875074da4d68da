//! A connector's line: what outlives its instances and its specifications. How its session stands and who is told, the files
//! of its messages, and the gate in front of its events.
//!
//! An instance speaks through a [`Session`]. Invariant: only the newest one of a line is heard, so that an instance that is
//! being replaced cannot contradict its successor.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{Account, ConnectorEvents, SessionState};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::host::media::Handed;
use crate::intake::Intake;
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

struct Held {
    /// Who is heard.
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
        Session { line: self.clone(), speaker: held.speaker }
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

    fn waits_until_at(&self, now: Instant) -> Option<Instant> {
        let held = self.held.lock();
        let again = matches!(self.standing.borrow().state, SessionState::Connecting | SessionState::Failing(_));
        held.connected.filter(|_| again).map(|at| at + self.patience).filter(|until| *until > now)
    }
}

/// An instance's voice on its connector's line.
pub(crate) struct Session {
    pub(crate) line: Arc<Line>,
    speaker: u64,
}

impl Session {
    /// Tells of a change; the same standing again is none. The observer is called under the lock, so that it hears the
    /// changes in their order: it must not block, as its contract says.
    pub(crate) fn set(&self, state: SessionState, account: Option<Account>) {
        let account = account.filter(|_| state == SessionState::Connected);
        self.change(Standing { state, account }, true);
    }

    /// It ended and nobody will open it again by himself: messages must not wait for it.
    pub(crate) fn end(&self, state: SessionState) {
        self.change(Standing { state, account: None }, true);
        let mut held = self.line.held.lock();
        if held.speaker == self.speaker {
            held.connected = None;
        }
    }

    /// It ended with the whole engine: nobody is told.
    pub(crate) fn end_silently(&self) {
        self.change(Standing { state: SessionState::Stopped, account: None }, false);
    }

    fn change(&self, next: Standing, tell: bool) {
        let mut held = self.line.held.lock();
        if held.speaker != self.speaker {
            return;
        }
        let before = self.line.standing.borrow().clone();
        if before == next {
            return;
        }
        if before.state == SessionState::Connected || next.state == SessionState::Connected {
            held.connected = Some(Instant::now());
        }
        // First, so that who is told and looks sees it.
        self.line.standing.send_replace(next.clone());
        if tell {
            self.line.events.session_changed(self.line.connector, next.state, next.account);
        }
    }

    /// Returns when it is no longer connecting.
    pub(crate) async fn opened(&self) {
        let mut standing = self.line.subscribe();
        // The line holds the sender.
        let _ = standing.wait_for(|now| now.state != SessionState::Connecting).await;
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
