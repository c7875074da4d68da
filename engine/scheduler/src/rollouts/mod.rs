//! Changes of plugins' versions: compares the new version with the old one, and promotes it or rolls it back. One task, which also
//! polls the moves of connectors to another version.
//!
//! - [`steps`]: what a verdict makes of a plugin, and which versions a plugin wants to run. Pure, as is the verdict itself
//!   ([`pombo_domain::model::rollout::judge`]).
//!
//! The plugin in the store says which versions are to run, whether a person or this task wrote it. Automations are called by it;
//! connectors are moved to it here, again and again where that fails. So a rollout continues after a restart, with figures and a step
//! time that start again.

pub mod steps;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use pombo_domain::backoff::{Backoff, Jitter};
use pombo_domain::commands::plugins::catalog::following;
use pombo_domain::model::event::{EventBody, NewEvent};
use pombo_domain::model::plugin::AuditAction;
use pombo_domain::model::rollout::{Verdict, judge};
use pombo_domain::model::{AuditEntry, Plugin, PluginKind, RolloutStep};
use pombo_domain::ports::{
    AppendEvent, AutomationChange, Batch, Change, Conflict, ConnectorError, StoreError, StoreResult, UseMark,
};
use pombo_domain::{ConnectorIndex, Timestamp};

use crate::context::Context;
use crate::due;
use crate::metrics::Metrics;
use steps::{Decided, Move, RolloutState, decided, moves, wanted_state};

/// The actor that the audit trail names.
const BY: &str = "engine";
/// Pauses after a failed move of connectors.
const AGAIN: Backoff = Backoff { base_ms: 1_000, max_ms: 60_000, jitter: Jitter::Equal };

/// A rollout under watch.
struct Watch {
    /// The new version.
    to: String,
    /// Its figures when the watch began.
    mark: UseMark,
    step: RolloutStep,
    /// When the step began, as far as this process saw it.
    since: Timestamp,
}

/// The versions that the connectors of a plugin were asked to run.
#[derive(Default)]
struct Moved {
    state: Option<RolloutState>,
    failures: u32,
    /// When to try the move again; not before.
    again_at: Option<Timestamp>,
    /// A move is under way.
    moving: bool,
}

/// How a move ended.
struct Ended {
    name: String,
    wanted: RolloutState,
    result: Result<(), ConnectorError>,
}

struct Rollouts {
    context: Arc<Context>,
    watches: HashMap<String, Watch>,
    moved: HashMap<String, Moved>,
    moving: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// Moves that ended since the last look.
    ended: Vec<Ended>,
    /// All plugins are to be looked at, not only those that changed.
    all: bool,
}

/// Runs until draining.
pub(crate) async fn run(context: Arc<Context>) {
    let mut rollouts = Rollouts {
        context: context.clone(),
        watches: HashMap::new(),
        moved: HashMap::new(),
        moving: FuturesUnordered::new(),
        ended: Vec::new(),
        all: true,
    };
    due::run(&context, &context.signals.automations.plugins_wake, &mut rollouts).await;
}

impl due::Work for Rollouts {
    const FAILED: &'static str = "rollouts are not watched";

    async fn look(&mut self) -> StoreResult<Option<Timestamp>> {
        for ended in std::mem::take(&mut self.ended) {
            self.ended(ended).await;
        }
        let all = std::mem::replace(&mut self.all, true);
        self.look_at_plugins(all).await?;
        self.all = false;
        Ok(self.next(self.context.ports.clock.now()))
    }

    /// A move of connectors ended.
    async fn own_wake(&mut self) {
        match self.moving.next().await {
            Some(ended) => self.ended.push(ended),
            None => future::pending().await,
        }
    }
}

impl Rollouts {
    /// When to look again even if nothing wakes it.
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let tick = (!self.watches.is_empty()).then(|| now.plus_ms(self.context.options.rollouts.tick_ms.max(1)));
        let again = self.moved.values().filter(|moved| !moved.moving).filter_map(|moved| moved.again_at).min();
        [tick, again].into_iter().flatten().min()
    }

    /// Looks at plugins that changed (at all of them with `all`), at those under watch, and at those whose connectors are to be moved
    /// again.
    async fn look_at_plugins(&mut self, all: bool) -> StoreResult<()> {
        let store = self.context.ports.store.clone();
        let mut names: BTreeSet<String> = self.context.signals.automations.plugins();
        names.extend(self.watches.keys().cloned());
        names.extend(self.moved.iter().filter(|(_, moved)| moved.again_at.is_some()).map(|(name, _)| name.clone()));
        if all {
            names.extend(store.plugins()?.iter().map(|plugin| plugin.name.clone()));
        }
        for name in names {
            let Some(plugin) = store.plugin(&name)? else {
                self.watches.remove(&name);
                self.moved.remove(&name);
                continue;
            };
            self.watch(&plugin).await?;
            // As the verdict left it.
            if plugin.kind == PluginKind::Connector
                && let Some(plugin) = store.plugin(&name)?
            {
                self.move_connectors(&plugin);
            }
        }
        Ok(())
    }

    /// Judges a rollout, and carries out the verdict.
    async fn watch(&mut self, plugin: &Plugin) -> StoreResult<()> {
        let now = self.context.ports.clock.now();
        let telemetry = &self.context.ports.telemetry;
        let Some(rollout) = &plugin.rollout else {
            self.watches.remove(&plugin.name);
            return Ok(());
        };
        let known = self.watches.get_mut(&plugin.name).filter(|watch| watch.to == rollout.to);
        let watch = match known {
            Some(watch) => watch,
            None => {
                let mark = telemetry.mark(&plugin.name, &rollout.to);
                let watch = Watch { to: rollout.to.clone(), mark, step: rollout.step, since: now };
                self.watches.insert(plugin.name.clone(), watch);
                if plugin.kind == PluginKind::Automation
                    && self.context.ports.plugins.component(&rollout.to).await.is_none()
                {
                    let why = "the engine does not have its component; upload it again".to_owned();
                    return self.carry_out(plugin, Verdict::RollBack(why), now).await;
                }
                return Ok(());
            }
        };
        if watch.step != rollout.step {
            (watch.step, watch.since) = (rollout.step, now);
        }
        if !rollout.automatic {
            return Ok(());
        }
        let all = UseMark::default();
        let old = rollout.from.as_deref().map(|from| telemetry.since(&plugin.name, from, &all)).unwrap_or_default();
        let new = telemetry.since(&plugin.name, &rollout.to, &watch.mark);
        let rules = &self.context.options.rollouts.rules;
        let verdict = judge(rules, rollout.step, old, new, now.since(watch.since));
        self.carry_out(plugin, verdict, now).await
    }

    /// Stores what follows from a verdict: the plugin, the automations on it, the audit trail and an event, in one batch.
    async fn carry_out(&mut self, plugin: &Plugin, verdict: Verdict, now: Timestamp) -> StoreResult<()> {
        let Some(Decided { plugin: next, action, digest, detail }) = decided(plugin, verdict, now) else {
            return Ok(());
        };
        let ports = &self.context.ports;
        let mut changes = Vec::new();
        if let Some(version) = next.active_version() {
            changes.extend(following(&*ports.store, &next, version, None)?);
        }
        if let Some(tenant) = next.owner {
            let body = EventBody::Plugin {
                plugin: next.name.clone(),
                step: action.into(),
                digest: Some(digest.clone()),
                detail: detail.clone(),
            };
            let event = NewEvent { id: ports.entropy.uuid(), connector: ConnectorIndex::NONE, at: now, body };
            changes.push(Change::Event(AppendEvent { tenant, event, once: None }));
        }
        let audit = AuditEntry {
            plugin: next.name.clone(),
            owner: next.owner,
            at: now,
            by: BY.to_owned(),
            action: action.into(),
            digest: Some(digest.clone()),
            detail: detail.clone(),
        };
        changes.push(Change::Automation(Box::new(AutomationChange::Audit(audit))));
        let name = next.name.clone();
        changes.push(Change::Automation(Box::new(AutomationChange::Plugin(next))));
        match ports.store.commit(Batch::of(changes)).await {
            Ok(_) => {
                if action == AuditAction::RolledBack {
                    Metrics::add(&self.context.metrics.rollbacks, 1);
                    tracing::warn!(plugin = name, digest, detail, "a version of a plugin was rolled back");
                } else {
                    tracing::info!(plugin = name, digest, %action, "a rollout of a plugin's version goes on");
                }
                Ok(())
            }
            // Somebody else was quicker; that commit wakes this task again.
            Err(StoreError::Conflict(Conflict::Plugin(_))) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Begins to move a plugin's connectors to the versions that the plugin wants, unless they run them or are on their way.
    fn move_connectors(&mut self, plugin: &Plugin) {
        let now = self.context.ports.clock.now();
        let moved = self.moved.entry(plugin.name.clone()).or_default();
        let Some(wanted) = wanted_state(plugin).filter(|wanted| moved.state.as_ref() != Some(wanted)) else {
            moved.again_at = None;
            return;
        };
        if moved.moving {
            return;
        }
        if moved.again_at.is_some_and(|at| at > now) {
            return;
        }
        moved.moving = true;
        let (context, before, name) = (self.context.clone(), moved.state.clone(), plugin.name.clone());
        self.moving.push(
            async move {
                let result = bring(&context, &name, before.as_ref(), &wanted).await;
                Ended { name, wanted, result }
            }
            .boxed(),
        );
    }

    /// Notes how a move ended. A version that cannot be started is rolled back.
    async fn ended(&mut self, ended: Ended) {
        let Ended { name, wanted, result } = ended;
        let now = self.context.ports.clock.now();
        let moved = self.moved.entry(name.clone()).or_default();
        moved.moving = false;
        // The plugin may have changed during the move: look at it again.
        moved.again_at = Some(now);
        let error = match result {
            Ok(()) => {
                (moved.failures, moved.state) = (0, Some(wanted));
                let store = &self.context.ports.store;
                let plugin = store.plugin(&name).ok().flatten();
                if plugin.is_none_or(|plugin| wanted_state(&plugin) == moved.state) {
                    moved.again_at = None;
                }
                return;
            }
            Err(error) => error,
        };
        moved.failures += 1;
        if moved.failures == 1 {
            tracing::error!(plugin = name, %error, "connectors were not moved to another version of their plugin; trying again");
        }
        let pause = AGAIN.delay_ms(moved.failures, self.context.ports.entropy.u64());
        moved.again_at = Some(now.plus_ms(pause.max(1)));
        if let (RolloutState::Shared(digest, _) | RolloutState::Watched(digest), Ok(Some(plugin))) =
            (&wanted, self.context.ports.store.plugin(&name))
            && plugin.rollout.as_ref().is_some_and(|rollout| rollout.to == *digest)
        {
            let verdict = Verdict::RollBack(format!("it could not be started: {error}"));
            if let Err(error) = self.carry_out(&plugin, verdict, now).await {
                tracing::error!(plugin = name, %error, "a version that does not start was not rolled back; trying again");
            } else if let Some(moved) = self.moved.get_mut(&name) {
                moved.again_at = Some(now);
            }
        }
    }
}

/// Brings the connectors of a plugin to the wanted versions.
async fn bring(
    context: &Context,
    plugin: &str,
    before: Option<&RolloutState>,
    wanted: &RolloutState,
) -> Result<(), ConnectorError> {
    let connectors = &context.ports.connectors;
    let running = || connectors.plugin(plugin).map(|description| description.digest);
    for one in moves(before, wanted, running().as_deref()) {
        match one {
            Move::Stage(digest, share) => connectors.stage(plugin, &digest, share).await?,
            // A version that was staged before a restart is no longer staged.
            Move::Unstage => drop(connectors.unstage(plugin).await),
            Move::Settle => connectors.settle(plugin).await,
        }
    }
    let RolloutState::Alone(digest) = wanted else { return Ok(()) };
    if running().as_ref() != Some(digest) {
        connectors.stage(plugin, digest, 100).await?;
        connectors.settle(plugin).await;
    }
    Ok(())
}
