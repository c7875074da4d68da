//! What waits for the account monitor: lasting changes of sessions, and connectors whose health is to be assessed. Others put it
//! here, which never blocks them; bounded.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use pombo_domain::ConnectorIndex;
use pombo_domain::model::event::SessionChange;
use pombo_domain::ports::{Account, SessionState};
use tokio::sync::Notify;

/// Session changes kept while the store refuses commits; past this the oldest is dropped, with a warning.
const WAITING: usize = 4_096;

/// A state of a session that lasts, and is therefore stored as an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lasting {
    pub(super) word: SessionChange,
    pub(super) account: Option<Account>,
    pub(super) reason: Option<String>,
    /// It was never seen connected: this is only news where the connector once had an account.
    pub(super) never_stood: bool,
}

struct Last {
    word: SessionChange,
    address: Option<String>,
    stood: bool,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    sessions: VecDeque<(u64, ConnectorIndex, Lasting)>,
    /// What was noted last for each connector.
    last: HashMap<ConnectorIndex, Last>,
    assess: BTreeSet<ConnectorIndex>,
    /// Some were dropped since the queue was last empty.
    overflowed: bool,
}

/// What other tasks leave for the monitor.
#[derive(Default)]
pub(crate) struct AccountQueue {
    waiting: Mutex<Waiting>,
    pub(super) wake: Notify,
    /// The monitor ends once everything is stored.
    closing: AtomicBool,
}

impl AccountQueue {
    /// A session's state changed.
    pub(crate) fn session(&self, connector: ConnectorIndex, state: SessionState, account: Option<Account>) {
        let mut waiting = self.waiting.lock();
        Self::note(&mut waiting, connector, state, account);
        drop(waiting);
        self.wake.notify_one();
    }

    /// Notes the session's present state, which `read` returns. It runs while no change can be noted, so that a later change is
    /// noted later.
    pub(super) fn look(&self, connector: ConnectorIndex, read: impl FnOnce() -> (SessionState, Option<Account>)) {
        let mut waiting = self.waiting.lock();
        let (state, account) = read();
        Self::note(&mut waiting, connector, state, account);
    }

    fn note(waiting: &mut Waiting, connector: ConnectorIndex, state: SessionState, account: Option<Account>) {
        let before = waiting.last.get(&connector);
        let (word, reason) = match state {
            SessionState::Connected => (SessionChange::Connected, None),
            SessionState::Disconnected(why) | SessionState::Failing(why) => {
                // Only the end of an open session is news: a plugin that tries again and again is not.
                if before.is_some_and(|last| last.word != SessionChange::Connected) {
                    return;
                }
                (SessionChange::Disconnected, Some(why))
            }
            SessionState::LoggedOut(why) => (SessionChange::LoggedOut, Some(why)),
            SessionState::Unpaired(why) => (SessionChange::Unpaired, Some(why)),
            SessionState::Stopped
            | SessionState::Connecting
            | SessionState::QrCode(_)
            | SessionState::PairingCode(_) => return,
        };
        let address = account.as_ref().map(|account| account.address.clone());
        if before.is_some_and(|last| last.word == word && last.address == address) {
            return;
        }
        let never_stood = !before.is_some_and(|last| last.stood) && word != SessionChange::Connected;
        waiting.last.insert(connector, Last { word, address, stood: !never_stood });
        if waiting.sessions.len() >= WAITING {
            waiting.sessions.pop_front();
            if !std::mem::replace(&mut waiting.overflowed, true) {
                tracing::warn!(kept = WAITING, "the store refuses commits; the oldest session changes are dropped");
            }
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.sessions.push_back((number, connector, Lasting { word, account, reason, never_stood }));
    }

    /// The connector was changed, or its health calls for a pause.
    pub(crate) fn assess(&self, connector: ConnectorIndex) {
        self.waiting.lock().assess.insert(connector);
        self.wake.notify_one();
    }

    /// Ends the monitor once everything is stored.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Whether it is closed and nothing waits.
    pub(super) fn is_over(&self) -> bool {
        let is_empty = |waiting: &Waiting| waiting.sessions.is_empty() && waiting.assess.is_empty();
        self.closing.load(Ordering::Acquire) && is_empty(&self.waiting.lock())
    }

    pub(super) fn first_session(&self) -> Option<(u64, ConnectorIndex, Lasting)> {
        self.waiting.lock().sessions.front().cloned()
    }

    pub(super) fn session_done(&self, number: u64) {
        let mut waiting = self.waiting.lock();
        if waiting.sessions.front().is_some_and(|(first, ..)| *first == number) {
            waiting.sessions.pop_front();
        }
        waiting.overflowed &= !waiting.sessions.is_empty();
    }

    pub(super) fn first_to_assess(&self) -> Option<ConnectorIndex> {
        self.waiting.lock().assess.pop_first()
    }

    /// One that was taken and could not be assessed. Wakes nobody: it is for the task itself.
    pub(super) fn assess_again(&self, connector: ConnectorIndex) {
        self.waiting.lock().assess.insert(connector);
    }
}
