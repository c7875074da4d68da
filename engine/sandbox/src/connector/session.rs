//! A connector's session slot: what outlives its instances and its specifications. It holds the session's status, the files of the
//! messages in flight, and the gate in front of the connector's events.
//!
//! Each instance has a [`SessionHandle`]. Invariant: only the newest primary handle changes the slot, so that an instance that is
//! being replaced cannot contradict its successor. An instance that is being tried has a standby handle: what it reports stays with
//! the handle until it is promoted.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use pombo_domain::ports::{Account, Clock, ConnectorEvents, LinkStep, SessionState};
use pombo_domain::{ConnectorIndex, Timestamp};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::connector::events_gate::EventsGate;
use crate::host::attachment_grants::AttachmentGrants;
use crate::limits::{Limits, SENDS_WAITING};
use crate::worlds::event::AccountDetails;

/// The state of a session, and its account while it is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionStatus {
    pub(crate) state: SessionState,
    pub(crate) account: Option<Account>,
}

/// What one connector keeps across its instances.
pub(crate) struct SessionSlot {
    connector: ConnectorIndex,
    events: Arc<dyn ConnectorEvents>,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
    /// When the state last changed, in milliseconds since 1970; [`NEVER`] before its first change. Beside the lock, because an observer
    /// that is called under it may ask.
    since: AtomicI64,
    /// When the session last became connected, in the same way.
    connected_at: AtomicI64,
    /// What linking asks of a person in the present state. Locked last, and for no call out of here.
    step: Mutex<Option<LinkStep>>,
    status: watch::Sender<SessionStatus>,
    /// How long after the end of a session sends wait for the next one.
    patience: Duration,
    /// Permits for messages that wait for a session.
    waiting: Semaphore,
    /// The files of the messages that it is sending.
    pub(crate) media: Arc<AttachmentGrants>,
    pub(crate) events_gate: EventsGate,
}

/// Which part a new instance plays for its connector's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Its session is the connector's; those before no longer are.
    Primary,
    /// Its session is not the connector's, until it is promoted.
    Standby,
}

/// The number of handles on standby.
const STANDBY: u64 = 0;

/// The instant of a change that did not happen.
const NEVER: i64 = i64::MIN;

struct Held {
    /// The number of the primary handle; more than [`STANDBY`] once there was one.
    primary: u64,
    /// When the session was last seen connected.
    connected: Option<Instant>,
}

impl SessionSlot {
    pub(crate) fn new(
        connector: ConnectorIndex,
        events: Arc<dyn ConnectorEvents>,
        clock: Arc<dyn Clock>,
        limits: &Limits,
    ) -> Arc<Self> {
        let status = SessionStatus { state: SessionState::Stopped, account: None };
        Arc::new(Self {
            connector,
            events,
            clock,
            held: Mutex::new(Held { primary: STANDBY, connected: None }),
            since: AtomicI64::new(NEVER),
            connected_at: AtomicI64::new(NEVER),
            step: Mutex::default(),
            status: watch::channel(status).0,
            patience: limits.session_wait,
            waiting: Semaphore::new(SENDS_WAITING),
            media: Arc::default(),
            events_gate: EventsGate::new(limits),
        })
    }

    /// A handle for a new instance.
    pub(crate) fn attach(self: &Arc<Self>, role: Role) -> SessionHandle {
        match role {
            Role::Primary => {
                let mut held = self.held.lock();
                held.primary += 1;
                // What the instance before asked, this one does not know.
                *self.step.lock() = None;
                SessionHandle::new(self, held.primary)
            }
            Role::Standby => SessionHandle::new(self, STANDBY),
        }
    }

    pub(crate) fn status(&self) -> SessionStatus {
        self.status.borrow().clone()
    }

    /// A receiver of the status, to wait for its changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<SessionStatus> {
        self.status.subscribe()
    }

    /// When the state last changed; `None` before its first change.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        Some(self.since.load(Relaxed)).filter(|at| *at != NEVER).map(Timestamp)
    }

    /// When the session last became connected; `None` if it never did.
    pub(crate) fn connected_at(&self) -> Option<Timestamp> {
        Some(self.connected_at.load(Relaxed)).filter(|at| *at != NEVER).map(Timestamp)
    }

    /// What linking the account asks of a person now.
    pub(crate) fn link_step(&self) -> Option<LinkStep> {
        self.step.lock().clone()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.status.borrow().state == SessionState::Connected
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

    fn change(&self, held: &mut Held, next: SessionStatus, tell: bool) {
        let before = self.status.borrow().clone();
        if before == next {
            return;
        }
        if before.state == SessionState::Connected || next.state == SessionState::Connected {
            held.connected = Some(Instant::now());
        }
        if before.state != next.state {
            let now = self.clock.now().0;
            self.since.store(now, Relaxed);
            if next.state == SessionState::Connected {
                self.connected_at.store(now, Relaxed);
            }
            // A step belongs to the state beside which it was told.
            *self.step.lock() = None;
        }
        // First, so that an observer that looks here sees the new status.
        self.status.send_replace(next.clone());
        if tell {
            self.events.session_changed(self.connector, next.state, next.account);
        }
    }

    fn waits_until_at(&self, now: Instant) -> Option<Instant> {
        let held = self.held.lock();
        let again = matches!(self.status.borrow().state, SessionState::Connecting | SessionState::Failing(_));
        held.connected.filter(|_| again).map(|at| at + self.patience).filter(|until| *until > now)
    }
}

/// The session of one instance.
pub(crate) struct SessionHandle {
    pub(crate) slot: Arc<SessionSlot>,
    /// Its number among the slot's primary handles. Changed under the slot's lock.
    number: AtomicU64,
    /// Its own status, whether or not it is the connector's.
    own: watch::Sender<SessionStatus>,
    /// Why it cannot be there now: what the connector's proxy suffers from. Locked before the slot.
    blocked: Mutex<Option<String>>,
}

impl SessionHandle {
    fn new(slot: &Arc<SessionSlot>, number: u64) -> Self {
        let own = SessionStatus { state: SessionState::Connecting, account: None };
        Self {
            slot: slot.clone(),
            number: AtomicU64::new(number),
            own: watch::channel(own).0,
            blocked: Mutex::default(),
        }
    }

    /// Reports the session's status; the same status again changes nothing. The observer is called under the lock, so that it
    /// sees the changes in their order: it must not block, as its contract says.
    pub(crate) fn set(&self, state: SessionState, account: Option<Account>) {
        let blocked = self.blocked.lock();
        let state = match (state, &*blocked) {
            (SessionState::Connecting | SessionState::Disconnected(_), Some(why)) => {
                SessionState::Disconnected(why.clone())
            }
            (state, _) => state,
        };
        let mut account = account.filter(|_| state == SessionState::Connected);
        if let Some(account) = &mut account
            && let Some(before) = self.own.borrow().account.as_ref().filter(|before| before.address == account.address)
        {
            // What was told of it apart from its state.
            account.platform = account.platform.take().or_else(|| before.platform.clone());
            account.business = account.business.or(before.business);
            account.protocol_version = account.protocol_version.take().or_else(|| before.protocol_version.clone());
        }
        self.change(SessionStatus { state, account }, true);
    }

    /// Notes that the proxy of the connector does not work: a session that is not there is disconnected for this reason until it does,
    /// whatever the plugin makes of it. One that is there, or that waits for a person, stays.
    pub(crate) fn block(&self, why: &str) {
        let mut blocked = self.blocked.lock();
        *blocked = Some(why.to_owned());
        if matches!(self.state(), SessionState::Connecting | SessionState::Disconnected(_)) {
            self.change(SessionStatus { state: SessionState::Disconnected(why.to_owned()), account: None }, true);
        }
    }

    /// Notes that the proxy works: a session that was disconnected for its sake is being connected.
    pub(crate) fn unblock(&self) {
        let mut blocked = self.blocked.lock();
        let Some(why) = blocked.take() else { return };
        if self.state() == SessionState::Disconnected(why) {
            self.change(SessionStatus { state: SessionState::Connecting, account: None }, true);
        }
    }

    /// Notes what the connector tells of its account while it is connected. Observers are not told: it changes nothing of the session.
    pub(crate) fn describe(&self, details: AccountDetails) {
        let mut next = self.own.borrow().clone();
        let Some(account) = &mut next.account else { return };
        account.platform = details.platform;
        account.business = details.business;
        account.protocol_version = details.version;
        self.change(next, false);
    }

    /// Notes what linking the account asks of a person: until the next step, or the next state.
    pub(crate) fn ask(&self, step: LinkStep) {
        let held = self.slot.held.lock();
        if self.is_primary(&held) {
            *self.slot.step.lock() = Some(step);
        }
    }

    /// Makes this handle the primary one, and its own status the connector's.
    pub(crate) fn promote(&self) {
        let mut held = self.slot.held.lock();
        held.primary += 1;
        self.number.store(held.primary, Relaxed);
        let own = self.own.borrow().clone();
        self.slot.change(&mut held, own, true);
    }

    /// Reports the end of a session that is not opened again without a person: messages must not wait for it.
    pub(crate) fn end(&self, state: SessionState) {
        self.change(SessionStatus { state, account: None }, true);
        let mut held = self.slot.held.lock();
        if self.is_primary(&held) {
            held.connected = None;
        }
    }

    /// Ends the session with the whole engine, without telling the observer.
    pub(crate) fn end_silently(&self) {
        self.change(SessionStatus { state: SessionState::Stopped, account: None }, false);
    }

    fn is_primary(&self, held: &Held) -> bool {
        let number = self.number.load(Relaxed);
        number != STANDBY && number == held.primary
    }

    fn change(&self, next: SessionStatus, tell: bool) {
        let mut held = self.slot.held.lock();
        self.own.send_replace(next.clone());
        if self.is_primary(&held) {
            self.slot.change(&mut held, next, tell);
        }
    }

    /// The state of this instance's own session.
    pub(crate) fn state(&self) -> SessionState {
        self.own.borrow().state.clone()
    }

    /// Whether its session is connected.
    pub(crate) fn is_up(&self) -> bool {
        self.own.borrow().state == SessionState::Connected
    }

    /// Waits until its session is no longer connecting.
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
    use pombo_testkit::{ManualClock, NOON};

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

    #[test]
    fn a_state_is_dated_when_it_begins_and_an_account_changes_nothing_of_that() {
        let clock = ManualClock::new(NOON);
        let slot = SessionSlot::new(
            ConnectorIndex(1),
            Arc::new(Heard::default()),
            Arc::new(clock.clone()),
            &Limits::default(),
        );
        assert_eq!(slot.since(), None);
        let session = slot.attach(Role::Primary);
        session.set(SessionState::QrCode("a".to_owned()), None);
        assert_eq!(slot.since(), Some(NOON));
        clock.jump(20_000);
        session.set(SessionState::QrCode("a".to_owned()), None);
        assert_eq!(slot.since(), Some(NOON), "the same code");
        session.set(SessionState::QrCode("b".to_owned()), None);
        assert_eq!(slot.since(), Some(NOON.plus_ms(20_000)));
        session.set(SessionState::Connected, None);
        clock.jump(5_000);
        session.set(SessionState::Connected, account());
        assert_eq!(slot.since(), Some(NOON.plus_ms(20_000)), "only its account became known");
    }

    fn slot() -> (Arc<SessionSlot>, Arc<Heard>) {
        let heard = Arc::new(Heard::default());
        let clock = Arc::new(ManualClock::new(NOON));
        (SessionSlot::new(ConnectorIndex(1), heard.clone(), clock, &Limits::default()), heard)
    }

    fn account() -> Option<Account> {
        Some(Account {
            address: "5511".into(),
            display_name: None,
            aliases: Vec::new(),
            platform: None,
            business: None,
            protocol_version: None,
        })
    }

    #[test]
    fn what_is_told_of_an_account_stays_with_it_and_is_no_change_of_the_session() {
        let (slot, heard) = slot();
        let session = slot.attach(Role::Primary);
        let details =
            || AccountDetails { platform: Some("android".into()), business: Some(true), version: Some("2.3".into()) };
        session.describe(details());
        assert_eq!(slot.status().account, None, "there is none yet");
        session.set(SessionState::Connected, account());
        session.describe(details());
        session.set(SessionState::Connected, account());
        let known = slot.status().account.expect("is connected");
        assert_eq!((known.platform.as_deref(), known.business), (Some("android"), Some(true)));
        assert_eq!(known.protocol_version.as_deref(), Some("2.3"));
        assert_eq!(*heard.0.lock(), [SessionState::Connected]);
        let other = Account { address: "5522".into(), ..known };
        session.set(SessionState::Connected, Some(Account { platform: None, business: None, ..other }));
        assert_eq!(slot.status().account.and_then(|account| account.platform), None, "another account");
    }

    #[test]
    fn a_step_of_linking_is_asked_until_the_state_says_something_else() {
        let (slot, _) = slot();
        let step = |id: &str| LinkStep {
            id: id.to_owned(),
            kind: "code".to_owned(),
            text: None,
            options: None,
            picture: None,
            schema: None,
            expires_at: None,
        };
        let session = slot.attach(Role::Primary);
        session.set(SessionState::Unpaired("asks for a code".into()), None);
        session.ask(step("1"));
        session.set(SessionState::Unpaired("asks for a code".into()), None);
        assert_eq!(slot.link_step().map(|step| step.id).as_deref(), Some("1"), "the same state again changes nothing");
        session.ask(step("2"));
        assert_eq!(slot.link_step().map(|step| step.id).as_deref(), Some("2"));
        session.set(SessionState::Unpaired("the code was wrong".into()), None);
        assert_eq!(slot.link_step(), None);
        session.ask(step("3"));
        let next = slot.attach(Role::Primary);
        assert_eq!(slot.link_step(), None, "the next instance does not know it");
        session.ask(step("4"));
        assert_eq!(slot.link_step(), None, "the one before has nothing to say any more");
        next.ask(step("5"));
        assert_eq!(slot.connected_at(), None);
        next.set(SessionState::Connected, account());
        assert_eq!((slot.link_step(), slot.connected_at()), (None, Some(NOON)));
        next.set(SessionState::Disconnected("gone".into()), None);
        assert_eq!(slot.connected_at(), Some(NOON), "it is remembered");
    }

    #[test]
    fn only_the_newest_primary_changes_the_slot_and_a_repetition_changes_nothing() {
        let (slot, heard) = slot();
        let first = slot.attach(Role::Primary);
        first.set(SessionState::Connecting, None);
        first.set(SessionState::Connected, account());
        first.set(SessionState::Connected, account());
        let second = slot.attach(Role::Primary);
        first.set(SessionState::Disconnected("old".into()), None);
        assert_eq!(slot.status().account, account());
        second.set(SessionState::Connecting, account());
        assert_eq!(slot.status(), SessionStatus { state: SessionState::Connecting, account: None });
        assert_eq!(
            *heard.0.lock(),
            [SessionState::Connecting, SessionState::Connected, SessionState::Connecting],
            "one connector, one story"
        );
    }

    #[test]
    fn a_session_that_is_not_there_is_disconnected_because_of_the_proxy_while_that_does_not_work() {
        let (slot, heard) = slot();
        let session = slot.attach(Role::Primary);
        let down = || SessionState::Disconnected("the proxy cannot be reached".into());
        session.set(SessionState::Connecting, None);
        session.block("the proxy cannot be reached");
        session.set(SessionState::Connecting, None);
        session.set(SessionState::Disconnected("no connection".into()), None);
        assert_eq!(slot.status().state, down());
        session.unblock();
        assert_eq!(slot.status().state, SessionState::Connecting);
        session.set(SessionState::Connected, account());
        session.block("the proxy cannot be reached");
        assert_eq!(slot.status().account, account(), "its connection is still there");
        session.set(SessionState::Connecting, None);
        session.set(SessionState::Unpaired("nobody scanned".into()), None);
        session.unblock();
        assert_eq!(slot.status().state, SessionState::Unpaired("nobody scanned".into()));
        session.set(SessionState::Disconnected("no connection".into()), None);
        let told = heard.0.lock();
        let expected = [
            SessionState::Connecting,
            down(),
            SessionState::Connecting,
            SessionState::Connected,
            down(),
            SessionState::Unpaired("nobody scanned".into()),
            SessionState::Disconnected("no connection".into()),
        ];
        assert_eq!(*told, expected);
    }

    #[test]
    fn a_standby_changes_the_slot_once_it_is_promoted() {
        let (slot, heard) = slot();
        let tried = slot.attach(Role::Standby);
        tried.set(SessionState::Failing("nobody was there before".into()), None);
        let old = slot.attach(Role::Primary);
        old.set(SessionState::Connected, None);
        tried.set(SessionState::Connected, account());
        assert!(tried.is_up());
        assert_eq!(slot.status().account, None, "the old one's");
        tried.promote();
        old.set(SessionState::Stopped, None);
        assert_eq!(slot.status().account, account());
        assert!(!old.is_up(), "it knows of itself");
        assert_eq!(*heard.0.lock(), [SessionState::Connected, SessionState::Connected], "never anything else");
    }

    #[test]
    fn messages_wait_for_a_session_that_was_there_a_moment_ago() {
        let (slot, _) = slot();
        let session = slot.attach(Role::Primary);
        session.set(SessionState::Connecting, None);
        assert_eq!(slot.waits_until(), None, "it never was connected");
        session.set(SessionState::Connected, account());
        let before = Instant::now();
        session.set(SessionState::Connecting, None);
        let patience = Limits::default().session_wait;
        let until = slot.waits_until().expect("it was connected until now");
        assert!(until >= before + patience, "counted from the end of the session and not from its beginning");
        session.set(SessionState::QrCode("x".into()), None);
        assert_eq!(slot.waits_until(), None, "a person must do something");
        session.set(SessionState::Failing("trap".into()), None);
        assert_eq!(slot.waits_until(), Some(until));
        assert_eq!(slot.waits_until_at(until), None, "not forever");
        session.set(SessionState::Connected, account());
        session.end(SessionState::Failing("configuration".into()));
        assert_eq!(slot.waits_until(), None, "a person must do something");
    }
}
