//! A connector's lane: one task that claims from its queue at its pace, hands messages to the connector and stores what became
//! of them. Claims, sends and outcome commits of different batches overlap; nothing is spawned per message.
//!
//! It must not know how a message was posted or what a plugin does with it. All its state but the window and the pace (shared
//! with the observer and the handle) lives in the task; what matters after a crash is in the store.

mod admit;
mod claim;
pub(crate) mod demands;
pub(crate) mod early;
mod hold;
mod outcome;
mod overtaken;
pub(crate) mod purge;
mod refusals;
mod templates;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{FutureExt, future};
use pombo_domain::model::OutreachWait;
use pombo_domain::model::attachment::{Attachment, MAX_FILE_BYTES};
use pombo_domain::model::connector::{Connector, ConnectorStatus, PaceState};
use pombo_domain::model::contact::ContactType;
use pombo_domain::model::message::{Message, MessageState, Position};
use pombo_domain::ports::{OutboundError, ReadyEntry, SendOutcome, ThrottleScope};
use pombo_domain::{MessageKey, Timestamp};

use crate::account::{Starting, judge_of};
use crate::context::Context;
use crate::hearing;
use crate::observer::LaneShared;
use crate::rules::breaker;
use crate::rules::draw::Draw;
use crate::rules::health::{HealthLevel, Judge};
use crate::rules::limits::recipient_key;
use crate::rules::pace::PaceRules;
use crate::rules::retry::Ending;
use claim::{ClaimDone, Claimed};
use demands::Demands;
use hold::{Held, HoldDone};

/// How often the same message may find no connection before it goes behind the others of its priority.
const PROBES_PER_MESSAGE: u32 = 3;
/// How long a recipient is held because the channel asked to, at most, ms.
const LONGEST_HOLD_MS: u64 = 24 * 3_600_000;
/// Outcomes stored in one commit, at most.
const OUTCOMES_PER_COMMIT: usize = 512;

/// What a lane knows about its connector; built again when the connector changes.
pub(crate) struct LaneConfig {
    pub(crate) connector: Arc<Connector>,
    pub(crate) rules: PaceRules,
    pub(crate) judge: Judge,
    pub(crate) idempotent: bool,
    needs_session: bool,
    /// Its channel has conversations: messages to the same recipient go one after the other.
    converses: bool,
    max_in_flight: usize,
    contact_kind: Option<ContactType>,
    /// What the channel demands.
    demands: Demands,
}

impl LaneConfig {
    /// Built from the connector and its plugin's description; without the plugin, a resend counts as not idempotent.
    pub(crate) fn new(context: &Context, connector: Arc<Connector>) -> Self {
        let plugin = context.ports.connectors.plugin(&connector.plugin);
        let bound = plugin.as_ref().map_or(1, |plugin| plugin.max_in_flight_with(&connector.config));
        Self {
            rules: PaceRules::new(connector.pace.clone()),
            judge: judge_of(&context.ports, &connector),
            idempotent: plugin.as_ref().is_some_and(|plugin| plugin.idempotent_resend),
            needs_session: plugin.as_ref().is_some_and(|plugin| plugin.needs_session),
            converses: plugin.as_ref().is_some_and(|plugin| plugin.offers("inbound")),
            max_in_flight: usize::from(connector.pace.max_in_flight.clamp(1, bound)),
            contact_kind: ContactType::of_channel(&connector.channel),
            demands: Demands::new(context, &connector, plugin.and_then(|plugin| plugin.rules).unwrap_or_default()),
            connector,
        }
    }

    /// Messages per second that the channel takes; `None` for any number.
    fn per_second(&self) -> Option<u32> {
        self.demands.per_second()
    }
}

/// A message whose attempt is stored and whose outcome is not.
struct InFlight {
    key: MessageKey,
    /// Address of the recipient.
    to: String,
    state: MessageState,
    first_due: Timestamp,
    /// See [`Message::expires_at`].
    expires_at: Option<Timestamp>,
    direct: bool,
    /// It says something new (it is not a reaction, an edit or a deletion), so that a delivery report can be expected.
    says: bool,
    /// Its place among the conversations that the channel counts; `None` for a message to somebody who is known.
    starting: Option<Starting>,
    /// Kept only where a webhook will report the outcome.
    message: Option<Box<Message>>,
}

impl InFlight {
    fn new(mut message: Message, state: MessageState, direct: bool) -> Self {
        let has_webhook = message.content.webhook_url.is_some();
        // The event of the outcome names the recipient; without a webhook the message itself no longer needs it.
        let to = if has_webhook { message.content.to.clone() } else { std::mem::take(&mut message.content.to) };
        let scheduled = message.content.scheduled_at.unwrap_or(message.created_at);
        Self {
            key: message.key,
            to,
            expires_at: message.expires_at(&state),
            state,
            first_due: scheduled.max(message.created_at),
            direct,
            says: message.content.options.action.says(),
            starting: None,
            message: has_webhook.then(|| Box::new(message)),
        }
    }
}

/// A message that was handed to the connector, and its outcome.
struct Sent {
    in_flight: InFlight,
    /// Its recipient, whose other messages wait until this one has ended; see [`Lane::addressed`].
    to: Option<String>,
    outcome: SendOutcome,
}

/// An attempt and how it ended.
struct Ended {
    in_flight: InFlight,
    ending: Ending,
    /// It goes behind the others of its priority instead of keeping its place.
    rejoin: bool,
}

type Fetched = Result<Attachment, OutboundError>;

/// The task's state.
pub(crate) struct Lane {
    context: Arc<Context>,
    config: Arc<LaneConfig>,
    shared: Arc<LaneShared>,
    draw: Draw,
    /// Claims under way, and how many entries they hold.
    claims: FuturesUnordered<BoxFuture<'static, ClaimDone>>,
    claiming: usize,
    /// Claimed, waiting for a free send slot.
    backlog: VecDeque<Claimed>,
    sends: FuturesUnordered<BoxFuture<'static, Sent>>,
    /// Recipients that a message is on its way to, where that matters.
    addressed: HashSet<String>,
    outcomes: Vec<Ended>,
    commits: FuturesUnordered<BoxFuture<'static, usize>>,
    committing: usize,
    /// The pace state changed by an outcome and is not stored yet.
    pace_changed: bool,
    fetches: FuturesUnordered<BoxFuture<'static, (ReadyEntry, Fetched)>>,
    fetch_queue: VecDeque<(ReadyEntry, String)>,
    fetching: BTreeSet<ReadyEntry>,
    fetched: HashMap<MessageKey, Fetched>,
    /// How many entries the next claim looks at, whatever the pace allows: the last ones were all passed over.
    look_past: usize,
    holding: Option<BoxFuture<'static, HoldDone>>,
    held: Option<Held>,
    /// No claims until then: the store failed.
    rest_until: Option<Timestamp>,
    store_failures: u32,
    /// The instant since which it has been waiting for a session.
    no_session_since: Option<Timestamp>,
    /// The message that last found no connection, and how often in a row.
    last_probe: Option<(MessageKey, u32)>,
    timer: Option<(Timestamp, BoxFuture<'static, ()>)>,
}

impl Lane {
    pub(crate) fn new(context: Arc<Context>, connector: Arc<Connector>, shared: Arc<LaneShared>) -> Self {
        let config = Arc::new(LaneConfig::new(&context, connector));
        let draw = Draw::new(context.ports.entropy.u64());
        Self {
            context,
            config,
            shared,
            draw,
            claims: FuturesUnordered::new(),
            claiming: 0,
            backlog: VecDeque::new(),
            sends: FuturesUnordered::new(),
            addressed: HashSet::new(),
            outcomes: Vec::new(),
            commits: FuturesUnordered::new(),
            committing: 0,
            pace_changed: false,
            fetches: FuturesUnordered::new(),
            fetch_queue: VecDeque::new(),
            fetching: BTreeSet::new(),
            fetched: HashMap::new(),
            look_past: 0,
            holding: None,
            held: None,
            rest_until: None,
            store_failures: 0,
            no_session_since: None,
            last_probe: None,
            timer: None,
        }
    }

    /// Runs until draining is over, or the connector is deleted and its queue is empty. Each turn of the loop:
    ///
    /// 1. take what was signalled: the connector changed, its connection may work again, a conversation more may be started;
    /// 2. hand claimed messages to the connector;
    /// 3. begin to store the outcomes that are there;
    /// 4. claim what the pace and the free room allow;
    /// 5. begin to fetch attachments;
    /// 6. set the timer to when the pace allows more;
    /// 7. end where nothing is under way and nothing more is to come;
    /// 8. wait for the first of these to end, or for a wake.
    pub(crate) async fn run(mut self) {
        loop {
            // 1.
            let now = self.context.ports.clock.now();
            if self.shared.changed.swap(false, Ordering::AcqRel) {
                self.read_connector();
            }
            if self.shared.probe.swap(false, Ordering::AcqRel) {
                // An open session is the connection: failures from before it opened say nothing about it.
                if self.config.needs_session && self.session_wait().is_none() {
                    breaker::connected(&mut self.shared.pace.lock());
                } else {
                    breaker::probe_now(&mut self.shared.pace.lock(), now);
                }
            }
            if let Some(cycle_end) = self.shared.account_health.take_freed(now) {
                self.context.signals.note_releases(self.shared.connector, &[cycle_end]);
            }
            // 2.
            let send_again = self.start_sends(now);
            // 3.
            self.start_commit();
            // 4.
            let look_again = self.start_claims(now);
            let look_again = look_again.into_iter().chain(send_again).min();
            // 5.
            self.start_fetches();
            // 6.
            self.set_timer(look_again);
            self.shared.in_flight.store(self.busy() + self.outcomes.len() + self.committing, Ordering::Relaxed);
            // 7.
            if self.is_idle() {
                if self.context.signals.is_draining() {
                    return;
                }
                if self.config.connector.status == ConnectorStatus::Deleted && self.purge().await {
                    return;
                }
            }
            // 8.
            self.wait().await;
        }
    }

    /// With the connector: about to be claimed, claimed, or being sent.
    fn busy(&self) -> usize {
        self.claiming + self.backlog.len() + self.sends.len()
    }

    fn is_idle(&self) -> bool {
        self.busy() == 0 && self.outcomes.is_empty() && self.commits.is_empty() && self.holding.is_none()
    }

    async fn wait(&mut self) {
        let shared = self.shared.clone();
        tokio::select! {
            biased;
            Some(count) = self.commits.next() => self.stored(count),
            Some(done) = self.claims.next() => self.claimed(done),
            Some(done) = self.sends.next() => self.sent(done),
            done = optional(&mut self.holding) => self.hold_done(done),
            Some((entry, fetched)) = self.fetches.next() => self.fetch_done(entry, fetched),
            () = shared.wake.notified() => {}
            () = timer(&mut self.timer) => self.timer = None,
        }
    }

    fn read_connector(&mut self) {
        match self.context.ports.store.connector(self.shared.connector) {
            Ok(Some(connector)) => self.config = Arc::new(LaneConfig::new(&self.context, connector)),
            Ok(None) => {}
            Err(error) => tracing::error!(connector = %self.config.connector.id, %error, "connector not read"),
        }
    }

    fn set_timer(&mut self, at: Option<Timestamp>) {
        match (at, &self.timer) {
            (None, _) => self.timer = None,
            (Some(at), Some((set, _))) if at == *set => {}
            (Some(at), _) => {
                let clock = self.context.ports.clock.clone();
                self.timer = Some((at, async move { clock.sleep_until(at).await }.boxed()));
            }
        }
    }

    // ---- sends and outcomes ----

    /// Why claimed messages must not be handed to the connector now.
    fn not_now(&self, now: Timestamp) -> Option<&'static str> {
        if self.context.signals.is_draining() {
            return Some("the engine is stopping");
        }
        if self.config.connector.status != ConnectorStatus::Active {
            return Some("the connector is paused");
        }
        if self.session_wait().is_some() {
            return Some("the connector has no session");
        }
        if self.shared.account_health.assess(&self.config.judge, now).1 == HealthLevel::Paused {
            return Some("the connector's health pauses it");
        }
        let pace = self.shared.pace.lock();
        if pace.open_until > now || pace.throttled_until > now {
            return Some("the connector is disconnected or throttled");
        }
        None
    }

    /// Hands claimed messages to the connector. Returns when the channel takes the next one, if that is what it waits for.
    fn start_sends(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.backlog.is_empty() {
            return None;
        }
        if let Some(why) = self.not_now(now) {
            let returned = std::mem::take(&mut self.backlog);
            let count = u32::try_from(returned.len()).unwrap_or(u32::MAX);
            self.config.rules.refund(&mut self.shared.pace.lock(), count);
            self.pace_changed = true;
            let ending = || Ending::NotCalled(why);
            self.outcomes.extend(returned.into_iter().map(|claimed| Ended {
                in_flight: claimed.in_flight,
                ending: ending(),
                rejoin: false,
            }));
            return None;
        }
        let mut again = None;
        // What the channel told may have changed since they were claimed.
        let outreach = self.shared.account_health.outreach_now().wait(now);
        // Those that wait for a message to the same recipient, in order.
        let mut behind = VecDeque::new();
        while self.sends.len() < self.config.max_in_flight {
            let Some(claimed) = self.backlog.pop_front() else { break };
            if outreach.is_some_and(|wait| self.must_wait(&claimed, wait)) {
                self.config.rules.refund(&mut self.shared.pace.lock(), 1);
                self.pace_changed = true;
                let ending = Ending::NotCalled("the account may start no conversation now");
                self.outcomes.push(Ended { in_flight: claimed.in_flight, ending, rejoin: false });
                continue;
            }
            let Claimed { in_flight, outgoing, chat } = claimed;
            if self.config.converses && self.addressed.contains(&outgoing.to) {
                behind.push_back(Claimed { in_flight, outgoing, chat });
                continue;
            }
            if let Some(per_second) = self.config.per_second() {
                let mut limits = self.shared.limits.lock();
                if let Err(until) = limits.rate.room(per_second, now) {
                    again = Some(until);
                    behind.push_back(Claimed { in_flight, outgoing, chat });
                    break;
                }
                limits.rate.count(1, now);
            }
            let to = self.config.converses.then(|| outgoing.to.clone());
            self.addressed.extend(to.clone());
            let (connectors, connector) = (self.context.ports.connectors.clone(), self.shared.connector);
            let send = async move {
                let outcome = connectors.send(connector, outgoing).await;
                Sent { in_flight, to, outcome }
            };
            self.sends.push(send.boxed());
        }
        behind.append(&mut self.backlog);
        self.backlog = behind;
        again
    }

    /// Whether a claimed message would start a conversation that the account may not start. One that has its place in the channel's count
    /// keeps it, unless the account is locked.
    fn must_wait(&self, claimed: &Claimed, wait: OutreachWait) -> bool {
        let has_place = claimed.in_flight.starting.is_some();
        if has_place && matches!(wait, OutreachWait::Quota(_)) {
            return false;
        }
        let (to, chat) = (claimed.outgoing.to.as_str(), claimed.chat.as_deref());
        has_place || self.config.demands.starts_conversation(&self.context, to, chat)
    }

    /// Takes this outcome and all others that have already come.
    fn sent(&mut self, first: Sent) {
        let now = self.context.ports.clock.now();
        let mut next = Some(first);
        while let Some(Sent { in_flight, to, outcome }) = next {
            if let Some(to) = to {
                self.addressed.remove(&to);
            }
            self.note_outcome(in_flight, outcome, now);
            if self.outcomes.len() >= OUTCOMES_PER_COMMIT {
                return;
            }
            next = self.sends.next().now_or_never().flatten();
        }
    }

    fn note_outcome(&mut self, mut in_flight: InFlight, outcome: SendOutcome, now: Timestamp) {
        if let Some(starting) = in_flight.starting.take() {
            starting.end(matches!(outcome, SendOutcome::Accepted { .. } | SendOutcome::Unknown(_)));
        }
        let name = outcome::counter(&self.context.metrics, &outcome);
        let accepted = matches!(outcome, SendOutcome::Accepted { .. });
        if in_flight.says && (accepted || matches!(outcome, SendOutcome::Unknown(_))) {
            let person = recipient_key(&in_flight.to);
            hearing::handed_over(&self.context, self.shared.connector, (person, accepted), now);
        }
        let mut rejoin = false;
        let mut pace = self.shared.pace.lock();
        match &outcome {
            SendOutcome::Disconnected(_) => {
                let was_open = pace.open_until > now;
                breaker::disconnected(&self.context.options.breaker, &mut pace, now, self.draw.seed());
                self.config.rules.refund(&mut pace, 1);
                self.pace_changed = true;
                if !was_open {
                    tracing::info!(connector = %self.config.connector.id, failures = pace.failures, "breaker opened");
                }
                let again = match self.last_probe {
                    Some((key, count)) if key == in_flight.key => count + 1,
                    _ => 1,
                };
                rejoin = again >= PROBES_PER_MESSAGE;
                self.last_probe = Some((in_flight.key, if rejoin { 0 } else { again }));
            }
            SendOutcome::Throttled { retry_after_ms, scope: ThrottleScope::Connector, .. } => {
                breaker::throttled(&self.context.options.breaker, &mut pace, now, *retry_after_ms);
                self.config.rules.refund(&mut pace, 1);
                self.pace_changed = true;
            }
            // The message waits alone: the connection works, and the others go on.
            SendOutcome::Throttled { scope, retry_after_ms, .. } => {
                if *scope == ThrottleScope::Recipient {
                    let pause =
                        retry_after_ms.unwrap_or(self.context.options.retry.throttled_min_ms).min(LONGEST_HOLD_MS);
                    let until = now.plus_ms(i64::try_from(pause).unwrap_or(0).max(1));
                    self.shared.limits.lock().recipients.hold(recipient_key(&in_flight.to), until, now);
                }
                if pace.failures > 0 {
                    breaker::connected(&mut pace);
                }
                self.config.rules.refund(&mut pace, 1);
                self.pace_changed = true;
            }
            // Not known: the connection neither failed nor worked.
            SendOutcome::Unknown(_) => {}
            SendOutcome::Accepted { .. }
            | SendOutcome::InvalidRecipient(_)
            | SendOutcome::Rejected(_)
            | SendOutcome::Temporary(_) => {
                if pace.failures > 0 {
                    breaker::connected(&mut pace);
                    self.pace_changed = true;
                    tracing::info!(connector = %self.config.connector.id, outcome = name, "breaker closed");
                }
            }
        }
        drop(pace);
        let direct = in_flight.direct;
        tracing::trace!(serial = in_flight.key.serial, direct, outcome = name, "attempt ended");
        self.outcomes.push(Ended { in_flight, ending: Ending::Outcome(outcome), rejoin });
    }

    /// Stores the outcomes that are there. While one commit runs, the outcomes of the next gather; a
    /// second one waits for the account's turn, and goes ahead of one that failed and will try again.
    fn start_commit(&mut self) {
        if self.outcomes.is_empty() || self.commits.len() >= 2 {
            return;
        }
        let rest = self.outcomes.split_off(self.outcomes.len().min(OUTCOMES_PER_COMMIT));
        let ended = std::mem::replace(&mut self.outcomes, rest);
        self.committing += ended.len();
        let (context, config, shared) = (self.context.clone(), self.config.clone(), self.shared.clone());
        let pace_changed = std::mem::take(&mut self.pace_changed);
        let seed = self.draw.seed();
        self.commits.push(outcome::store_outcomes(context, config, shared, ended, pace_changed, seed).boxed());
    }

    fn stored(&mut self, count: usize) {
        self.committing -= count;
        let count = i64::try_from(count).unwrap_or(0);
        self.context.metrics.in_flight.fetch_sub(count, Ordering::Relaxed);
    }

    // ---- holding, fetching, deletion ----

    fn show_hold(&mut self, held: Held) {
        if self.held.as_ref().is_some_and(|shown| shown.says_the_same_as(&held)) || !self.claims.is_empty() {
            return;
        }
        self.held = Some(held.clone());
        self.holding = Some(hold::show(self.context.clone(), held).boxed());
    }

    fn hold_done(&mut self, done: HoldDone) {
        self.holding = None;
        match done {
            HoldDone::Shown => {}
            HoldDone::Gone(entry) => self.shared.window.lock().forget(&entry),
            HoldDone::Error(error) => {
                self.held = None;
                self.rest(&error, self.context.ports.clock.now());
            }
        }
    }

    fn start_fetches(&mut self) {
        if self.context.signals.is_draining() {
            return;
        }
        while self.fetches.len() < self.context.options.fetches.max(1) {
            let Some((entry, url)) = self.fetch_queue.pop_front() else { return };
            let (fetcher, tenant) = (self.context.ports.attachments.clone(), self.config.connector.tenant);
            self.fetches.push(async move { (entry, fetcher.fetch(tenant, &url, MAX_FILE_BYTES).await) }.boxed());
        }
    }

    fn fetch_done(&mut self, entry: ReadyEntry, fetched: Fetched) {
        self.fetching.remove(&entry);
        if self.fetched.len() >= self.context.options.batch {
            // Results for messages that have been canceled are never asked for.
            let store = &self.context.ports.store;
            self.fetched.retain(|key, _| {
                matches!(store.message(*key), Ok(Some(stored))
                    if matches!(stored.state.position(&stored.message), Position::Ready(_)))
            });
        }
        self.fetched.insert(entry.key, fetched);
        self.shared.window.lock().note(entry);
    }

    /// Fails the messages that are queued for a deleted connector; true when nothing is left to do.
    async fn purge(&mut self) -> bool {
        match purge::purge(&self.context, self.shared.connector).await {
            Ok(()) => true,
            Err(error) => {
                let now = self.context.ports.clock.now();
                self.rest(&error, now);
                self.set_timer(self.rest_until);
                false
            }
        }
    }

    /// What was counted for the connector's pace, as stored.
    pub(crate) fn stored_pace(context: &Context, connector: &Connector) -> PaceState {
        context.ports.store.pace_state(connector.index).unwrap_or_else(|error| {
            tracing::error!(connector = %connector.id, %error, "pace not read; counting from nothing");
            PaceState::default()
        })
    }
}

/// Awaits a future that may be absent; forever where it is.
async fn optional<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => future::pending().await,
    }
}

async fn timer(timer: &mut Option<(Timestamp, BoxFuture<'static, ()>)>) {
    match timer {
        Some((_, sleep)) => sleep.await,
        None => future::pending().await,
    }
}
