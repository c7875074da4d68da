//! Changes of plugins' versions: watches the new one beside the old one, and takes it on or back. One task, and one more for each
//! plugin whose connectors are being moved.
//!
//! - [`steps`]: what a verdict makes of a package, what a package asks of the connectors. Pure, as is the verdict itself
//!   ([`pombo_domain::model::rollout::judge`]).
//!
//! The package in the store says what is to be, whoever wrote it there: a person, or this task. Automations are called by it;
//! connectors are moved to it here, again and again where that fails. So a rollout goes on after a restart: with figures that begin
//! anew, and the time of its step too.

pub mod steps;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use pombo_domain::backoff::{Backoff, Jitter};
use pombo_domain::commands::packages::following;
use pombo_domain::model::event::{EventBody, NewEvent};
use pombo_domain::model::rollout::{Verdict, judge};
use pombo_domain::model::{AuditEntry, Package, PluginKind, RolloutStep};
use pombo_domain::ports::{
    AppendEvent, AutomationChange, Batch, Change, Conflict, ConnectorError, StoreError, StoreResult, UseMark,
};
use pombo_domain::{ConnectorIndex, Timestamp};

use crate::context::Context;
use crate::metrics::Metrics;
use steps::{Decided, Move, Standing, decided, moves, standing};

/// Who the audit trail names.
const BY: &str = "engine";
/// Pauses after a move of connectors that failed.
const AGAIN: Backoff = Backoff { base_ms: 1_000, max_ms: 60_000, jitter: Jitter::Equal };

/// A rollout under watch.
struct Watch {
    /// The new version.
    to: String,
    /// Where its figures stood when the watch began.
    mark: UseMark,
    step: RolloutStep,
    /// Since when it stands there, as far as this process saw it.
    since: Timestamp,
}

/// The connectors of a plugin, as they were asked to stand.
#[derive(Default)]
struct Moved {
    standing: Option<Standing>,
    failures: u32,
    /// Not before.
    again_at: Option<Timestamp>,
    /// A move is under way.
    moving: bool,
}

/// How a move ended.
struct Ended {
    plugin: String,
    wanted: Standing,
    result: Result<(), ConnectorError>,
}

struct Rollouts {
    context: Arc<Context>,
    watches: HashMap<String, Watch>,
    moved: HashMap<String, Moved>,
    moving: FuturesUnordered<BoxFuture<'static, Ended>>,
    failures: u32,
}

/// Runs until draining.
pub(crate) async fn run(context: Arc<Context>) {
    let rollouts = Rollouts {
        context,
        watches: HashMap::new(),
        moved: HashMap::new(),
        moving: FuturesUnordered::new(),
        failures: 0,
    };
    rollouts.run().await;
}

impl Rollouts {
    async fn run(mut self) {
        let context = self.context.clone();
        let clock = &context.ports.clock;
        let mut all = true;
        while !context.notes.is_draining() {
            let next = match self.look(std::mem::take(&mut all)).await {
                Ok(()) => {
                    self.failures = 0;
                    self.next(clock.now())
                }
                Err(error) => {
                    self.failures += 1;
                    Metrics::add(&context.metrics.store_errors, 1);
                    if self.failures == 1 {
                        tracing::error!(%error, "rollouts are not watched; trying again");
                    }
                    all = true;
                    let pause = context.options.store_retry.delay_ms(self.failures, context.ports.entropy.u64());
                    Some(clock.now().plus_ms(pause.max(1)))
                }
            };
            let until = async {
                match next {
                    Some(at) => clock.sleep_until(at).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                Some(ended) = self.moving.next() => self.ended(ended).await,
                () = context.notes.bell.packages_wake.notified() => {}
                () = until => {}
            }
        }
    }

    /// When to look again though nobody rings.
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let tick = (!self.watches.is_empty()).then(|| now.plus_ms(self.context.options.rollouts.tick_ms.max(1)));
        let again = self.moved.values().filter(|moved| !moved.moving).filter_map(|moved| moved.again_at).min();
        [tick, again].into_iter().flatten().min()
    }

    /// Looks at packages that changed (at all, with `all`), those under watch, and those whose connectors are to be moved again.
    async fn look(&mut self, all: bool) -> StoreResult<()> {
        let store = self.context.ports.store.clone();
        let mut names: BTreeSet<String> = self.context.notes.bell.packages();
        names.extend(self.watches.keys().cloned());
        names.extend(self.moved.iter().filter(|(_, moved)| moved.again_at.is_some()).map(|(name, _)| name.clone()));
        if all {
            names.extend(store.packages()?.iter().map(|package| package.name.clone()));
        }
        for name in names {
            let Some(package) = store.package(&name)? else {
                self.watches.remove(&name);
                self.moved.remove(&name);
                continue;
            };
            self.watch(&package).await?;
            // As the verdict left it.
            if package.kind == PluginKind::Connector
                && let Some(package) = store.package(&name)?
            {
                self.move_connectors(&package);
            }
        }
        Ok(())
    }

    /// Judges a rollout, and carries out the verdict.
    async fn watch(&mut self, package: &Package) -> StoreResult<()> {
        let now = self.context.ports.clock.now();
        let telemetry = &self.context.ports.telemetry;
        let Some(rollout) = &package.rollout else {
            self.watches.remove(&package.name);
            return Ok(());
        };
        let known = self.watches.get_mut(&package.name).filter(|watch| watch.to == rollout.to);
        let watch = match known {
            Some(watch) => watch,
            None => {
                let mark = telemetry.mark(&package.name, &rollout.to);
                let watch = Watch { to: rollout.to.clone(), mark, step: rollout.step, since: now };
                self.watches.insert(package.name.clone(), watch);
                if package.kind == PluginKind::Automation
                    && self.context.ports.plugins.component(&rollout.to).await.is_none()
                {
                    let why = "the engine does not have its component; upload it again".to_owned();
                    return self.carry_out(package, Verdict::RollBack(why), now).await;
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
        let old = rollout.from.as_deref().map(|from| telemetry.since(&package.name, from, &all)).unwrap_or_default();
        let new = telemetry.since(&package.name, &rollout.to, &watch.mark);
        let rules = &self.context.options.rollouts.rules;
        let verdict = judge(rules, rollout.step, old, new, now.since(watch.since));
        self.carry_out(package, verdict, now).await
    }

    /// Stores what follows from a verdict: the package, the automations on it, the audit trail and an event, in one batch.
    async fn carry_out(&mut self, package: &Package, verdict: Verdict, now: Timestamp) -> StoreResult<()> {
        let Some(Decided { package: next, action, digest, detail }) = decided(package, verdict, now) else {
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
                step: action.to_owned(),
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
            action: action.to_owned(),
            digest: Some(digest.clone()),
            detail: detail.clone(),
        };
        changes.push(Change::Automation(Box::new(AutomationChange::Audit(audit))));
        let name = next.name.clone();
        changes.push(Change::Automation(Box::new(AutomationChange::Package(next))));
        match ports.store.commit(Batch::of(changes)).await {
            Ok(_) => {
                if action == "rolled-back" {
                    Metrics::add(&self.context.metrics.rollbacks, 1);
                    tracing::warn!(plugin = name, digest, detail, "a version of a plugin was taken back");
                } else {
                    tracing::info!(plugin = name, digest, action, "a version of a plugin goes on");
                }
                Ok(())
            }
            // Somebody else was quicker; the bell rings for it.
            Err(StoreError::Conflict(Conflict::Package(_))) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Begins to move a plugin's connectors to what the package says, unless they are there or on their way.
    fn move_connectors(&mut self, package: &Package) {
        let now = self.context.ports.clock.now();
        let moved = self.moved.entry(package.name.clone()).or_default();
        let Some(wanted) = standing(package).filter(|wanted| moved.standing.as_ref() != Some(wanted)) else {
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
        let (context, before, plugin) = (self.context.clone(), moved.standing.clone(), package.name.clone());
        self.moving.push(
            async move {
                let result = bring(&context, &plugin, before.as_ref(), &wanted).await;
                Ended { plugin, wanted, result }
            }
            .boxed(),
        );
    }

    /// Notes how a move ended. A version that cannot be brought is taken back.
    async fn ended(&mut self, ended: Ended) {
        let Ended { plugin, wanted, result } = ended;
        let now = self.context.ports.clock.now();
        let moved = self.moved.entry(plugin.clone()).or_default();
        moved.moving = false;
        // The package may have changed meanwhile: it is looked at again.
        moved.again_at = Some(now);
        let error = match result {
            Ok(()) => {
                (moved.failures, moved.standing) = (0, Some(wanted));
                let store = &self.context.ports.store;
                let package = store.package(&plugin).ok().flatten();
                if package.is_none_or(|package| standing(&package) == moved.standing) {
                    moved.again_at = None;
                }
                return;
            }
            Err(error) => error,
        };
        moved.failures += 1;
        if moved.failures == 1 {
            tracing::error!(plugin, %error, "connectors were not moved to another version of their plugin; trying again");
        }
        let pause = AGAIN.delay_ms(moved.failures, self.context.ports.entropy.u64());
        moved.again_at = Some(now.plus_ms(pause.max(1)));
        if let (Standing::Shared(digest, _) | Standing::Watched(digest), Ok(Some(package))) =
            (&wanted, self.context.ports.store.package(&plugin))
            && package.rollout.as_ref().is_some_and(|rollout| rollout.to == *digest)
        {
            let verdict = Verdict::RollBack(format!("it could not be started: {error}"));
            if let Err(error) = self.carry_out(&package, verdict, now).await {
                tracing::error!(plugin, %error, "a version that does not start was not taken back; trying again");
            } else if let Some(moved) = self.moved.get_mut(&plugin) {
                moved.again_at = Some(now);
            }
        }
    }
}

/// Has the connectors of a plugin stand as wanted.
async fn bring(
    context: &Context,
    plugin: &str,
    before: Option<&Standing>,
    wanted: &Standing,
) -> Result<(), ConnectorError> {
    let connectors = &context.ports.connectors;
    let running = || connectors.plugin(plugin).map(|description| description.digest);
    for one in moves(before, wanted, running().as_deref()) {
        match one {
            Move::Stage(digest, share) => connectors.stage(plugin, &digest, share).await?,
            // What was staged before a restart is not staged any more.
            Move::Unstage => drop(connectors.unstage(plugin).await),
            Move::Settle => connectors.settle(plugin).await,
        }
    }
    let Standing::Alone(digest) = wanted else { return Ok(()) };
    if running().as_ref() != Some(digest) {
        connectors.stage(plugin, digest, 100).await?;
        connectors.settle(plugin).await;
    }
    Ok(())
}
