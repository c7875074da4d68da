//! The session: pairing, login, reconnecting and logging out, and how they are reported to the engine.
//!
//! One task, the root of `run`, decides; the library's events, the wishes of `operate` and the clock come to it as [`steps`]. A
//! [`Link`](link::Link) holds one client. [`verdict`] says what the library's news mean. [`versions`] knows which version to claim, and
//! [`outdated`] what follows when the server refuses it. [`passkey`] is what some accounts demand while they are linked. It must not know
//! messages.
//!
//! Invariant: only a logout that the server or the operator ordered takes the session out of the store; whatever else ends a
//! connection is followed by another attempt, forever, with growing pauses.

mod link;
mod outdated;
mod passkey;
mod steps;
mod verdict;
mod versions;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures_channel::{mpsc, oneshot};
use pombo_plugin::connector::events::{self, Event, State, Warning};
use pombo_plugin::connector::{OperationError, RunError, Stopped};
use pombo_plugin::{clock, log};
use serde_json::Value;
use whatsapp_rust::wacore::types::events::Event as Library;

use crate::backoff::Backoff;
use crate::glue::executor;
use crate::live::{Live, Shared};
use crate::passkey::{NOTHING_WAITS, Stage};
use crate::version::{self, Version};
use crate::{glue, identity, inbound, presence, redact, store};
use link::{Happening, Link};
use outdated::Awaited;
use steps::{Alarm, Outside, Step, Wait, wait};
use verdict::Verdict;
use versions::Versions;

/// A connection that held for so long was a good one: the next pause is the shortest again.
const HELD: Duration = Duration::from_secs(30);
/// Why pairing came to nothing where nothing happened.
const UNUSED: &str = "no phone used the code in time, and WhatsApp asked for no passkey";
/// How long a client may take to end.
const GRACE: Duration = Duration::from_secs(8);
/// How long a stop waits for messages that are on their way.
const SETTLE: Duration = Duration::from_secs(3);

/// What `operate` asks of the session.
enum Wish {
    /// Pair: by QR code, or by a code for this number.
    Open(Option<String>),
    /// End the session; answered when it is forgotten.
    Close(oneshot::Sender<()>),
    /// A person's answer to the step of linking with this id; `Err` says why it is not taken.
    Answer(String, Value, oneshot::Sender<Result<(), String>>),
}

/// The phase of the session.
enum Phase {
    /// There is no session, or it is not connected; the text says why.
    Away(String),
    /// The account is logged in, over this connection.
    Here(Live),
}

/// Codes that are being shown.
struct Pairing {
    /// Absent: by QR code.
    phone: Option<String>,
    /// Attempts left after this one.
    left: u32,
    /// Whether this attempt's code was asked for.
    asked: bool,
}

/// How the time with one client ended.
enum End {
    Stopped,
    /// The client is spent, the session is not.
    Renew,
    /// The same, before there is a session.
    Pair(Pairing),
    /// Pairing came to nothing.
    GaveUp(String, Option<oneshot::Sender<()>>),
    LoggedOut(String, Option<oneshot::Sender<()>>),
    /// The server no longer accepts the version; with the pairing that it ended.
    Outdated(Option<Pairing>),
}

/// The session of one connector.
pub(crate) struct Session {
    shared: Rc<Shared>,
    versions: Rc<Versions>,
    phase: RefCell<Phase>,
    /// The last state that was reported to the engine.
    told: RefCell<Option<State>>,
    wishes: mpsc::UnboundedSender<Wish>,
    inbox: RefCell<Option<mpsc::UnboundedReceiver<Wish>>>,
}

impl Session {
    pub(crate) fn new(shared: Rc<Shared>) -> Self {
        let (wishes, inbox) = mpsc::unbounded();
        Self {
            versions: Rc::new(Versions::new(&shared.config)),
            shared,
            phase: RefCell::new(Phase::Away("the connector is starting".to_owned())),
            told: RefCell::new(None),
            wishes,
            inbox: RefCell::new(Some(inbox)),
        }
    }

    /// The client, when it is logged in; otherwise why not.
    pub(crate) fn live(&self) -> Result<Live, String> {
        match &*self.phase.borrow() {
            Phase::Here(live) => Ok(live.clone()),
            Phase::Away(why) => Err(why.clone()),
        }
    }

    /// Begins pairing; with an account's number, by a code to type.
    pub(crate) fn open(&self, phone: Option<String>) -> Result<(), OperationError> {
        let phone = phone.map(|phone| verdict::phone(&phone).map_err(OperationError::Invalid)).transpose()?;
        self.wish(Wish::Open(phone))
    }

    /// Logs out and forgets the session; returns when that is done.
    pub(crate) async fn close(&self) -> Result<(), OperationError> {
        let (done, closed) = oneshot::channel();
        self.wish(Wish::Close(done))?;
        closed.await.map_err(|_| OperationError::Unknown("the connector stopped in the meantime".to_owned()))
    }

    fn wish(&self, wish: Wish) -> Result<(), OperationError> {
        let stopped = |_| OperationError::Disconnected("the connector has stopped".to_owned());
        self.wishes.unbounded_send(wish).map_err(stopped)
    }

    /// Holds the session until it is told to stop.
    pub(crate) async fn run(&self, stopped: Stopped) -> Result<(), RunError> {
        let Some(wishes) = self.inbox.take() else {
            return Err(RunError::Failed("the connector is already running".to_owned()));
        };
        let mut outside = Outside { wishes, stopped };
        let mut pairing = None;
        let mut unpaired = Some("no phone is paired".to_owned());
        self.keep_version_fresh();
        loop {
            if pairing.is_none() && !store::is_paired().await.map_err(unusable)? {
                // After a logout the engine has been told already.
                if let Some(why) = unpaired.take() {
                    self.away(&why, Some(State::Unpaired(why.clone()))).await;
                }
                match outside.next(None, &mut None).await {
                    Step::Wished(Wish::Open(phone)) => {
                        // What an earlier attempt left behind belongs to no account.
                        store::forget().await.map_err(unusable)?;
                        pairing = Some(self.begin(phone));
                    }
                    Step::Wished(Wish::Close(done)) => {
                        store::forget().await.map_err(unusable)?;
                        let _ = done.send(());
                        continue;
                    }
                    Step::Wished(Wish::Answer(_, _, done)) => {
                        let _ = done.send(Err(NOTHING_WAITS.to_owned()));
                        continue;
                    }
                    _ => return Ok(()),
                }
            }
            let version = match self.version(pairing.is_some(), &mut outside).await {
                Awaited::Version(version) => version,
                Awaited::Stopped => return Ok(()),
                Awaited::Closed(done) => {
                    self.forget("the session was closed here", Some(done)).await?;
                    unpaired = None;
                    continue;
                }
            };
            match self.attend(pairing.take(), version, &mut outside).await? {
                End::Stopped => return Ok(()),
                End::Renew => {}
                End::Outdated(was) => match self.outdated(version, was).await {
                    Ok(next) => pairing = next,
                    Err(why) => {
                        store::forget().await.map_err(unusable)?;
                        unpaired = Some(why);
                    }
                },
                End::Pair(next) => pairing = Some(next),
                End::GaveUp(why, done) => {
                    store::forget().await.map_err(unusable)?;
                    unpaired = Some(why);
                    done.map(|done| done.send(()));
                }
                End::LoggedOut(why, done) => {
                    self.forget(&why, done).await?;
                    unpaired = None;
                }
            }
        }
    }

    /// The session is over.
    async fn forget(&self, why: &str, done: Option<oneshot::Sender<()>>) -> Result<(), RunError> {
        log::info("session", "logged out");
        store::forget().await.map_err(unusable)?;
        self.shared.outreach.take();
        self.away(why, Some(State::LoggedOut(why.to_owned()))).await;
        done.map(|done| done.send(()));
        Ok(())
    }

    fn begin(&self, phone: Option<String>) -> Pairing {
        Pairing { phone, left: self.shared.config.pairing.attempts().saturating_sub(1), asked: false }
    }

    /// One client, from its first connection until it is spent.
    async fn attend(
        &self,
        mut pairing: Option<Pairing>,
        version: Version,
        outside: &mut Outside,
    ) -> Result<End, RunError> {
        let mut link = Link::open(&self.shared, version, pairing.is_some()).await.map_err(unusable)?;
        let bounds = &self.shared.config.reconnect;
        let mut backoff = Backoff::default();
        let mut verdict: Option<Verdict> = None;
        let mut problem = "the connection ended".to_owned();
        let mut since: Option<Duration> = None;
        let mut alarm: Option<(Alarm, Wait)> = None;
        let mut passkey = Stage::default();
        // When the connection showed its first code.
        let mut first_code: Option<Duration> = None;
        if pairing.is_some() {
            alarm = Some((Alarm::PairingTimeout, wait(self.shared.config.pairing.timeout())));
        }
        self.away("connecting", Some(State::Connecting)).await;
        link.connect();
        loop {
            let step = outside.next(Some(&mut link), &mut alarm).await;
            if is_code(&step) {
                first_code.get_or_insert_with(clock::monotonic);
            }
            if pairing.is_some()
                && let Some(news) = self.news(&step, first_code)
            {
                let then = passkey.hear(news, glue::draw(), clock::now_millis());
                if let Some(why) = self.follow(then, &link, &mut alarm).await {
                    link.close(GRACE).await;
                    return Ok(End::GaveUp(why, None));
                }
            }
            match step {
                Step::Stop => {
                    self.away("the connector is stopping", None).await;
                    self.settle().await;
                    link.close(GRACE).await;
                    return Ok(End::Stopped);
                }
                Step::Wished(Wish::Close(done)) => {
                    self.away("the session is being closed", None).await;
                    if pairing.is_some() {
                        link.close(GRACE).await;
                        return Ok(End::GaveUp("pairing was cancelled".to_owned(), Some(done)));
                    }
                    link.log_out(GRACE).await;
                    return Ok(End::LoggedOut("the session was closed here".to_owned(), Some(done)));
                }
                Step::Wished(Wish::Open(phone)) => match &pairing {
                    Some(now) if now.phone == phone => self.tell_again().await,
                    Some(_) => {
                        link.close(GRACE).await;
                        return Ok(End::Pair(self.begin(phone)));
                    }
                    None => {
                        self.tell_again().await;
                        // Somebody is waiting: what would be tried later is tried now.
                        if let Some((Alarm::Connect, _)) = alarm {
                            alarm = None;
                            link.connect();
                        }
                    }
                },
                Step::Wished(Wish::Answer(id, answer, done)) => {
                    let answered = match pairing.is_some() {
                        true => passkey.answered(&id, &answer),
                        false => Err(NOTHING_WAITS.to_owned()),
                    };
                    match answered {
                        Err(why) => drop(done.send(Err(why))),
                        Ok(then) => {
                            let ended = self.follow(then, &link, &mut alarm).await;
                            // Answered when the state says it.
                            let _ = done.send(Ok(()));
                            if let Some(why) = ended {
                                link.close(GRACE).await;
                                return Ok(End::GaveUp(why, None));
                            }
                        }
                    }
                }
                Step::Rang(Alarm::Connect) => {
                    if link.is_spent() {
                        return Ok(End::Renew);
                    }
                    if self.versions.claim() != version {
                        link.close(GRACE).await;
                        return Ok(End::Renew);
                    }
                    link.connect();
                }
                Step::Rang(Alarm::PairingTimeout) => {
                    link.close(GRACE).await;
                    if let Some(pairing) = pairing.take() {
                        return Ok(next_attempt(pairing, UNUSED));
                    }
                }
                // What follows was done above.
                Step::Rang(Alarm::Passkey)
                | Step::Happened(Happening::AskedWithoutOptions | Happening::Given(_) | Happening::Confirmed(_)) => {}
                Step::Happened(Happening::Refused(why)) => problem = why,
                Step::Happened(Happening::Lost) => {
                    first_code = None;
                    if self.live().is_ok() {
                        self.away("the connection to WhatsApp is down", Some(State::Connecting)).await;
                    }
                }
                Step::Happened(Happening::Library(event)) => match &*event {
                    // Whoever is asked for a passkey has used a code; the library shows others all the same.
                    Library::PairingQrCode(_) if !passkey.is_idle() => {}
                    Library::PairingQrCode(code) => match &mut pairing {
                        Some(Pairing { phone: None, .. }) => self.tell(State::Qr(code.code.clone())).await,
                        Some(Pairing { phone: Some(phone), asked, .. }) if !*asked => {
                            *asked = true;
                            link.ask_for_code(phone.clone());
                        }
                        _ => {}
                    },
                    Library::PairingCode(code) if pairing.is_some() => {
                        self.tell(State::PairingCode(code.code.clone())).await;
                    }
                    Library::PairingCodeRefresh(_) => {
                        if let Some(now) = pairing.take() {
                            link.close(GRACE).await;
                            return Ok(next_attempt(now, "the phone asked for new codes too often"));
                        }
                    }
                    Library::PairingCodeError(error) if pairing.is_some() => {
                        link.close(GRACE).await;
                        let why =
                            format!("WhatsApp does not issue a code for this number: {}", redact::line(&error.error));
                        return Ok(End::GaveUp(why, None));
                    }
                    Library::PairError(_) if pairing.is_some() => {
                        link.close(GRACE).await;
                        return Ok(End::GaveUp("the phone's answer could not be verified".to_owned(), None));
                    }
                    Library::PairSuccess(paired) => {
                        log::info("session", "paired");
                        if let Some(said) = verdict::phone_said(&paired.platform)
                            && let Err(error) = store::keep_phone(&said).await
                        {
                            log::debug("session", &redact::line(&error.to_string()));
                        }
                        if !passkey.is_idle() && !passkey.is_done() {
                            log::info("session", "the phone linked the account without the passkey that was asked for");
                        }
                        pairing = None;
                        alarm = None;
                        link.paired();
                        self.tell(State::Connecting).await;
                        link.save().await;
                    }
                    Library::Connected(_) => {
                        log::info("session", "logged in");
                        verdict = None;
                        since = Some(clock::monotonic());
                        self.versions.accepted().await;
                        self.here(link.live(), version).await;
                    }
                    Library::SelfPushNameUpdated(_) => {
                        if let Ok(live) = self.live() {
                            presence::logged_in(&live);
                            self.tell(State::Connected(identity::own_account(&live))).await;
                        }
                    }
                    Library::Disconnected(gone) => problem = verdict::words(&gone.reason),
                    other => {
                        if let Some(news) = verdict::of(other) {
                            if let Some(warning) = news.warning() {
                                self.emit(Event::Warning(Warning::Restricted(warning))).await;
                            }
                            verdict = Some(news);
                        }
                    }
                },
                Step::Happened(Happening::Ended) => {
                    if let Some(Verdict::LoggedOut(why)) = verdict {
                        link.close(GRACE).await;
                        return Ok(End::LoggedOut(why, None));
                    }
                    if matches!(verdict, Some(Verdict::Outdated)) {
                        link.close(GRACE).await;
                        return Ok(End::Outdated(pairing.take()));
                    }
                    if let Some(now) = pairing.take() {
                        let why = if link.is_spent() { UNUSED } else { &*problem };
                        if !link.is_spent() {
                            // The server could not be reached: at once would be too soon.
                            clock::sleep(backoff.next(bounds, glue::draw())).await;
                        }
                        link.close(GRACE).await;
                        return Ok(next_attempt(now, why));
                    }
                    if since.take().is_some_and(|since| clock::monotonic().saturating_sub(since) >= HELD) {
                        backoff.reset();
                    }
                    let mut pause = backoff.next(bounds, glue::draw());
                    let mut show = backoff.is_visible(bounds);
                    if let Some(Verdict::Wait { at_least, why }) = verdict.take() {
                        pause = pause.max(at_least);
                        problem = why;
                        show = true;
                    }
                    let state = if show { State::Disconnected(problem.clone()) } else { State::Connecting };
                    self.away(&problem, Some(state)).await;
                    alarm = Some((Alarm::Connect, wait(pause)));
                }
            }
        }
    }

    async fn here(&self, live: Live, version: Version) {
        let account = identity::own_account(&live);
        self.phase.replace(Phase::Here(live.clone()));
        presence::logged_in(&live);
        self.tell(State::Connected(account)).await;
        let said = store::phone().await.ok().flatten();
        let told = version::account(said.as_deref(), version);
        self.emit(Event::Other(("account".to_owned(), told))).await;
        executor::spawn(async move {
            inbound::logged_in(&live).await;
            if let Err(error) = live.shared.ledger.sweep().await {
                log::debug("session", &redact::line(&error.to_string()));
            }
        });
    }

    async fn away(&self, why: &str, state: Option<State>) {
        self.phase.replace(Phase::Away(why.to_owned()));
        if let Some(state) = state {
            self.tell(state).await;
        }
    }

    /// Reports a state to the engine, unless it was the last one reported.
    async fn tell(&self, state: State) {
        if self.told.borrow().as_ref() == Some(&state) {
            return;
        }
        self.told.replace(Some(state.clone()));
        self.emit(Event::State(state)).await;
    }

    async fn tell_again(&self) {
        let told = self.told.borrow().clone();
        if let Some(state) = told {
            self.emit(Event::State(state)).await;
        }
    }

    async fn emit(&self, event: Event) {
        for pause in [200, 1_000, 5_000] {
            match events::emit(event.clone()).await {
                Ok(()) => return,
                Err(events::Error::TimedOut | events::Error::Unavailable(_)) => {
                    clock::sleep(Duration::from_millis(pause)).await;
                }
                Err(error) => {
                    log::warn("session", &redact::line(&format!("the engine did not accept an event: {error:?}")));
                    return;
                }
            }
        }
        log::warn("session", "the engine did not accept an event");
    }

    /// Gives messages that are on their way the time to be acknowledged.
    async fn settle(&self) {
        const STEP: Duration = Duration::from_millis(50);
        let mut left = SETTLE;
        while !self.shared.acks.is_empty() && !left.is_zero() {
            clock::sleep(STEP).await;
            left = left.saturating_sub(STEP);
        }
    }
}

/// Whether the connection shows a code.
fn is_code(step: &Step) -> bool {
    matches!(step, Step::Happened(Happening::Library(event)) if matches!(&**event, Library::PairingQrCode(_)))
}

fn next_attempt(pairing: Pairing, why: &str) -> End {
    match pairing.left.checked_sub(1) {
        None => End::GaveUp(why.to_owned(), None),
        Some(left) => End::Pair(Pairing { left, asked: false, ..pairing }),
    }
}

fn unusable(error: impl std::fmt::Display) -> RunError {
    RunError::Failed(format!("the session's storage: {}", redact::line(&error.to_string())))
}
