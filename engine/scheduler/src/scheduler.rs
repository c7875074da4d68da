//! Starts the tasks and keeps them running: a lane per connector, the scheduled queue, webhooks, automations and rollouts. [`Handle`] is
//! all that the rest of the program sees.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pombo_domain::ConnectorIndex;
use pombo_domain::model::connector::ConnectorStatus;
use pombo_domain::model::hearing::HearingView;
use pombo_domain::model::pace::{AudienceView, EqualTextsView, PaceView};
use pombo_domain::ports::{CommitObserver, HearingViews, PaceViews, StoreResult, WebhookTested, WebhookTests};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};

use crate::account::marks::TOLD_PAUSED;
use crate::account::{Accounts, judge_of, monitor};
use crate::audiences::Audiences;
use crate::automations::fair_queue::QueueCounts;
use crate::automations::{dispatcher, runner, timers};
use crate::context::Context;
use crate::hearing::counts::Hearings;
use crate::intake::Intake;
use crate::lane::{Lane, demands};
use crate::metrics::{Metrics, MetricsSnapshot};
use crate::observer::{LaneShared, WorkSignals};
use crate::options::{Options, Ports};
use crate::rules::gate::Gate;
use crate::rules::health::HealthLevel;
use crate::rules::pace::PaceRules;
use crate::view::{Situation, pace_view};
use crate::{campaigns, hearing, recovery, rollouts, scheduled, templates, webhooks};

/// Deleted connectors are looked for this far past the last listed number, for queues that a crash left half failed.
const LOOK_PAST: u32 = 1_024;

/// The scheduler; see [`Scheduler::start`].
pub struct Scheduler;

/// The running scheduler. Cheap to clone; dropping it does not stop anything.
#[derive(Clone)]
pub struct Handle {
    context: Arc<Context>,
    ended: watch::Receiver<bool>,
    intake: Intake,
    abort: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Scheduler {
    /// Registers as the store's observer, decides about messages that were in flight when the process last ended, and starts. Call it once,
    /// inside the runtime, before traffic.
    pub async fn start(ports: Ports, options: Options) -> StoreResult<Handle> {
        let context = Arc::new(Context {
            accounts: Accounts::default(),
            audiences: Audiences::default(),
            hearings: Hearings::default(),
            gate: Gate::new(options.turns),
            signals: Arc::new(WorkSignals::default()),
            metrics: Metrics::default(),
            automations: dispatcher::Dispatcher::new(&options.automations),
            ports,
            options,
        });
        context.ports.store.observe(context.signals.clone());
        recovery::recover(&context, None).await?;
        for connector in connectors_with_work(&context)? {
            context.signals.mark_dirty(connector);
            context.signals.note_releases(connector, &context.ports.store.outreach(connector)?.release);
        }
        let (sender, ended) = watch::channel(false);
        let abort = Arc::new(Mutex::new(Vec::new()));
        let supervisor = tokio::spawn(supervise(context.clone(), abort.clone(), sender));
        monitor::look_at_all(&context)?;
        let (sender, kept) = watch::channel(false);
        let monitor = tokio::spawn(keep(context.clone(), sender));
        abort.lock().extend([supervisor.abort_handle(), monitor.abort_handle()]);
        let intake = Intake::new(context.clone(), kept);
        Ok(Handle { context, ended, intake, abort })
    }
}

impl Handle {
    /// Stops claiming and posting, lets what runs end and its outcomes be stored. False when `deadline` cut that short: what
    /// was still with a connector is decided at the next start.
    pub async fn drain(&self, deadline: Duration) -> bool {
        let clock = &self.context.ports.clock;
        let by = clock.now().plus_ms(i64::try_from(deadline.as_millis()).unwrap_or(i64::MAX));
        self.context.signals.drain();
        let mut ended = self.ended.clone();
        let done = tokio::select! {
            biased;
            // An error means that the supervisor is gone, and with it all tasks.
            _ = ended.wait_for(|ended| *ended) => true,
            () = clock.sleep_until(by) => false,
        };
        if !done {
            for task in self.abort.lock().drain(..) {
                task.abort();
            }
        }
        done
    }

    /// The connection of `connector` may work again (its session opened, its configuration changed): try it now.
    pub fn wake(&self, connector: ConnectorIndex) {
        if let Some(lane) = self.context.signals.lane(connector) {
            lane.probe.store(true, std::sync::atomic::Ordering::Release);
            lane.wake.notify_one();
        }
    }

    /// Tells `observer` of each commit too, as [`CommitObserver`] says.
    pub fn add_observer(&self, observer: Arc<dyn CommitObserver>) {
        self.context.signals.further.write().push(observer);
    }

    /// Takes the connectors' events. It goes on while the scheduler drains, see [`Intake::drain`].
    pub fn intake(&self) -> Intake {
        self.intake.clone()
    }

    /// Why the connector's next message waits, and until when; `None` when there is no such connector.
    pub fn pace(&self, connector: ConnectorIndex) -> StoreResult<Option<PaceView>> {
        let Some(stored) = self.context.ports.store.connector(connector)? else { return Ok(None) };
        let rules = PaceRules::new(stored.pace.clone());
        let now = self.context.ports.clock.now();
        let connectors = &self.context.ports.connectors;
        let needs_session = connectors.plugin(&stored.plugin).is_some_and(|plugin| plugin.needs_session);
        let account_health = self.context.accounts.of(&*self.context.ports.store, connector);
        let outreach = Some(account_health.outreach_now().at(now)).filter(|outreach| !outreach.is_unknown());
        let situation = Situation {
            connector: &stored,
            session: needs_session.then(|| connectors.session(connector)),
            judge: judge_of(&self.context.ports, &stored),
            health: account_health.health(),
        };
        let demanded = connectors.plugin(&stored.plugin).and_then(|plugin| plugin.rules);
        let demanded = demanded.map(|rules| demands::view(&self.context, &stored, rules, now)).transpose()?;
        let max_attempts = self.context.options.retry.max_attempts;
        let with_demands = |view: PaceView| match &demanded {
            Some(demanded) => PaceView {
                per_second: demanded.per_second,
                audience: demanded.audience.map(|(used, limit)| AudienceView { used, limit }),
                quality: demanded.quality,
                outreach,
                max_attempts,
                ..view
            },
            None => PaceView { outreach, max_attempts, ..view },
        };
        let Some(lane) = self.context.signals.lane(connector) else {
            let state = self.context.ports.store.pace_state(connector)?;
            return Ok(Some(with_demands(pace_view(&rules, &situation, &state, now))));
        };
        let state = lane.pace.lock().clone();
        let mut view = with_demands(pace_view(&rules, &situation, &state, now));
        let equal = lane.limits.lock().texts.most(now);
        view.equal_texts = equal.map(|(count, since)| EqualTextsView { count, since });
        view.in_flight = lane.in_flight.load(std::sync::atomic::Ordering::Relaxed);
        let window = lane.window.lock();
        view.queued = window.len();
        view.more_queued = window.more_on_disk();
        Ok(Some(view))
    }

    /// How many connectors are at each level of health; those without health rules are good.
    pub fn health_levels(&self) -> StoreResult<[(HealthLevel, usize); 3]> {
        let mut levels = [(HealthLevel::Good, 0), (HealthLevel::Slowed, 0), (HealthLevel::Paused, 0)];
        let now = self.context.ports.clock.now();
        for connector in self.context.ports.store.connectors(None)? {
            let mut level = HealthLevel::Good;
            if connector.pace.health.is_some() {
                let account_health = self.context.accounts.of(&*self.context.ports.store, connector.index);
                let judge = judge_of(&self.context.ports, &connector);
                let paused = connector.status == ConnectorStatus::Paused && account_health.health().told == TOLD_PAUSED;
                level = if paused { HealthLevel::Paused } else { account_health.assess(&judge, now).1 };
            }
            levels[level as usize].1 += 1;
        }
        Ok(levels)
    }

    /// The counters since the start.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.context.metrics.snapshot()
    }

    /// Events of automations under way and waiting, now.
    pub fn automation_metrics(&self) -> QueueCounts {
        self.context.automations.counts()
    }

    /// How many lanes run.
    pub fn lanes(&self) -> usize {
        self.context.signals.lanes.read().len()
    }
}

impl PaceViews for Handle {
    fn pace(&self, connector: ConnectorIndex) -> StoreResult<Option<PaceView>> {
        Handle::pace(self, connector)
    }
}

impl HearingViews for Handle {
    fn hearing(&self, connector: ConnectorIndex) -> HearingView {
        self.context.hearings.view(connector, self.context.ports.clock.now())
    }
}

#[async_trait]
impl WebhookTests for Handle {
    async fn test_webhook(&self, connector: ConnectorIndex) -> StoreResult<Option<WebhookTested>> {
        webhooks::test(&self.context, connector).await
    }
}

/// The listed connectors, and deleted ones that still have messages queued.
fn connectors_with_work(context: &Context) -> StoreResult<Vec<ConnectorIndex>> {
    let store = &context.ports.store;
    let mut found: Vec<ConnectorIndex> = store.connectors(None)?.iter().map(|connector| connector.index).collect();
    let last = found.iter().map(|connector| connector.0).max().unwrap_or(0);
    for index in (0..=last.saturating_add(LOOK_PAST)).map(ConnectorIndex) {
        if let Some(connector) = store.connector(index)?
            && connector.status == ConnectorStatus::Deleted
            && !store.ready(index, None, 1)?.is_empty()
        {
            found.push(index);
        }
    }
    Ok(found)
}

/// Runs the account monitor until its queue is closed and empty; it starts again after a panic.
async fn keep(context: Arc<Context>, ended: watch::Sender<bool>) {
    let mut tasks = JoinSet::new();
    tasks.spawn(monitor::run(context.clone()));
    while let Some(Err(error)) = tasks.join_next().await {
        tracing::error!(%error, "the account monitor panicked; it starts again");
        tasks.spawn(monitor::run(context.clone()));
    }
    ended.send_replace(true);
}

/// Which task a supervised one is.
#[derive(Clone, Copy, Debug)]
enum Role {
    Lane(ConnectorIndex),
    Scheduled,
    Webhooks,
    Automations,
    Timers,
    Rollouts,
    Campaigns,
    Templates,
    Hearing,
}

struct Supervisor {
    context: Arc<Context>,
    abort: Arc<Mutex<Vec<AbortHandle>>>,
    tasks: JoinSet<()>,
    roles: HashMap<Id, Role>,
}

async fn supervise(context: Arc<Context>, abort: Arc<Mutex<Vec<AbortHandle>>>, ended: watch::Sender<bool>) {
    let mut supervisor = Supervisor { context, abort, tasks: JoinSet::new(), roles: HashMap::new() };
    supervisor.spawn(Role::Scheduled, scheduled::run(supervisor.context.clone()));
    supervisor.spawn(Role::Webhooks, webhooks::run(supervisor.context.clone()));
    supervisor.spawn(Role::Automations, runner::run(supervisor.context.clone()));
    supervisor.spawn(Role::Timers, timers::run(supervisor.context.clone()));
    supervisor.spawn(Role::Rollouts, rollouts::run(supervisor.context.clone()));
    supervisor.spawn(Role::Campaigns, campaigns::run(supervisor.context.clone()));
    supervisor.spawn(Role::Templates, templates::run(supervisor.context.clone()));
    supervisor.spawn(Role::Hearing, hearing::run(supervisor.context.clone()));
    supervisor.run().await;
    ended.send_replace(true);
}

impl Supervisor {
    fn spawn(&mut self, role: Role, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.roles.insert(handle.id(), role);
        let mut abort = self.abort.lock();
        abort.retain(|task| !task.is_finished());
        abort.push(handle);
    }

    async fn run(&mut self) {
        loop {
            let noted = std::mem::take(&mut *self.context.signals.connectors.lock());
            if !self.context.signals.is_draining() {
                for connector in noted {
                    self.start_lane(connector);
                }
            } else if self.tasks.is_empty() {
                return;
            }
            let context = self.context.clone();
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => match ended {
                    Ok((id, ())) => self.task_ended(id, false).await,
                    Err(error) => {
                        let failed = error.is_panic();
                        self.task_ended(error.id(), failed).await;
                    }
                },
                () = context.signals.connectors_wake.notified() => {}
            }
        }
    }

    /// Starts the connector's lane if it should have one and has none.
    fn start_lane(&mut self, index: ConnectorIndex) {
        if self.context.signals.lane(index).is_some() {
            return;
        }
        let store = &self.context.ports.store;
        let connector = match store.connector(index) {
            Ok(Some(connector)) => connector,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(connector = index.0, %error, "connector not read; its lane does not start");
                return;
            }
        };
        if connector.status == ConnectorStatus::Deleted
            && store.ready(index, None, 1).is_ok_and(|found| found.is_empty())
        {
            return;
        }
        let pace = Lane::stored_pace(&self.context, &connector);
        let account_health = self.context.accounts.of(&**store, index);
        let shared = Arc::new(LaneShared::new(index, self.context.options.window, pace, account_health));
        // Known to the observer before it reads its queue: an entry that joins is noted, or read, or both.
        self.context.signals.lanes.write().insert(index, shared.clone());
        let lane = Lane::new(self.context.clone(), connector, shared);
        self.spawn(Role::Lane(index), lane.run());
    }

    async fn task_ended(&mut self, id: Id, panicked: bool) {
        let Some(role) = self.roles.remove(&id) else { return };
        if panicked {
            tracing::error!(?role, "a scheduler task panicked; it starts again");
        }
        let context = self.context.clone();
        match role {
            Role::Lane(index) => {
                context.signals.lanes.write().remove(&index);
                if panicked && let Err(error) = recovery::recover(&context, Some(index)).await {
                    tracing::error!(connector = index.0, %error, "messages of a failed lane are decided at the next start");
                }
                // Something may have joined its queue after it looked last.
                context.signals.mark_dirty(index);
            }
            Role::Scheduled if panicked => self.spawn(role, scheduled::run(context)),
            Role::Webhooks if panicked => self.spawn(role, webhooks::run(context)),
            Role::Automations if panicked => self.spawn(role, runner::run(context)),
            Role::Timers if panicked => self.spawn(role, timers::run(context)),
            Role::Rollouts if panicked => self.spawn(role, rollouts::run(context)),
            Role::Campaigns if panicked => self.spawn(role, campaigns::run(context)),
            Role::Templates if panicked => self.spawn(role, templates::run(context)),
            Role::Hearing if panicked => self.spawn(role, hearing::run(context)),
            Role::Scheduled
            | Role::Webhooks
            | Role::Automations
            | Role::Timers
            | Role::Rollouts
            | Role::Campaigns
            | Role::Templates
            | Role::Hearing => {}
        }
    }
}
