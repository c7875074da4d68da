//! Another version of a connector's plugin: brought beside the running one, given all the work, or taken back. Owns which changes
//! are under way; why one goes on or back is decided outside. Runs on the calling task, one change at a time.
//!
//! A plugin without sessions has both versions' instances side by side. All connectors switch under one lock, to instances that
//! are ready already: a send finds either version, never none. What the losing instance has begun ends in it; what it has not
//! begun goes back to its caller and on to the other. A connector whose new instance is not ready keeps its old one as a
//! fallback until the change is settled.
//!
//! A plugin with sessions cannot run twice for one connector: there a share of the connectors moves, each by stopping the old
//! instance before the new one starts, and its sends wait meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::{StreamExt, stream};
use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{ConnectorError, ConnectorSpec, PluginDescription, SessionState};
use serde_json::Value;

use crate::connector::assignment::Assignment;
use crate::connector::supervisor::Running;
use crate::connector::versions::{Beside, Pair, drawn};
use crate::limits::{SWAPS_AT_ONCE, TURN};
use crate::registry::ConnectorPlugin;
use crate::sandbox::{Sandbox, Voice};

/// A change of versions under way.
#[derive(Clone)]
pub(crate) struct Rollout {
    /// The version before; `None` when the plugin was not there.
    from: Option<Arc<ConnectorPlugin>>,
    to: Arc<ConnectorPlugin>,
    share: u8,
    /// The new version is the one that counts.
    promoted: bool,
}

impl Rollout {
    /// Whether the two versions cannot run side by side.
    fn exclusive(&self) -> bool {
        self.to.description.needs_session || self.from.as_ref().is_some_and(|from| from.description.needs_session)
    }

    /// The version that a connector starts on, and one to run beside it. `tried`: another connector is on the new version.
    pub(crate) fn versions(
        &self,
        spec: &ConnectorSpec,
        tried: bool,
    ) -> (Arc<ConnectorPlugin>, Option<Arc<ConnectorPlugin>>) {
        let Some(from) = self.from.as_ref().filter(|_| !self.promoted) else { return (self.to.clone(), None) };
        let (from, to) = (from.clone(), self.to.clone());
        match fits(&to, spec) {
            Err(problem) => {
                tracing::warn!(connector = %spec.id, problem, "a connector stays with the old version of its plugin");
                (from, None)
            }
            Ok(()) if !self.exclusive() => (from, Some(to)),
            Ok(()) if !tried || moves(spec.index, self.share) => (to, None),
            Ok(()) => (from, None),
        }
    }

    pub(crate) fn share(&self) -> u8 {
        self.share
    }

    pub(crate) fn to(&self) -> &Arc<ConnectorPlugin> {
        &self.to
    }
}

/// Whether a connector is among `share` of a hundred.
fn moves(connector: ConnectorIndex, share: u8) -> bool {
    drawn(u128::from(connector.0) << 64, share)
}

/// Whether a version takes a connector's whole specification; says what it does not take.
pub(crate) fn fits(plugin: &ConnectorPlugin, spec: &ConnectorSpec) -> Result<(), String> {
    let mut config = spec.config.clone();
    if let Some(fields) = config.as_object_mut() {
        let known = |name: &String| plugin.description.secret_fields.contains(name);
        let secrets = spec.secrets.iter().filter(|(name, _)| known(name));
        fields.extend(secrets.map(|(name, secret)| (name.clone(), Value::String(secret.clone()))));
    }
    plugin.check_config(&config).map_err(|problems| {
        let problem = problems.first().map(|p| format!("{} {}", p.field, p.message)).unwrap_or_default();
        let (version, connector) = (&plugin.description.version, spec.id);
        format!("version {version} does not take the configuration of the connector {connector}: {problem}")
    })
}

fn no_change(plugin: &str) -> ConnectorError {
    ConnectorError::Plugin(format!("no other version of {plugin:?} is staged"))
}

impl Sandbox {
    /// Makes an uploaded version the one that runs, for connectors that run already and for those that are started later: what
    /// the server does with the stored choice before it starts connectors. An `Err` leaves everything as it was.
    pub async fn use_version(&self, plugin: &str, digest: &str) -> Result<PluginDescription, ConnectorError> {
        let _one = self.reloading.lock().await;
        self.not_changing(plugin)?;
        if let Some(running) = self.registry.find(plugin).filter(|p| p.description.digest == digest) {
            return Ok(running.description.clone());
        }
        let new = Arc::new(self.registry.kept(plugin, digest).await.map_err(ConnectorError::Plugin)?);
        self.all_fit(&new)?;
        self.put_everywhere(new.clone()).await;
        self.start_stranded(plugin).await;
        Ok(new.description.clone())
    }

    /// Uses a version for every connector of its plugin; each one's old instance ends as when it is stopped.
    pub(crate) async fn put_everywhere(&self, new: Arc<ConnectorPlugin>) {
        self.registry.put(new.clone());
        self.move_onto(&new, |_| true).await;
    }

    /// `Err` while another version of the plugin is tried or watched.
    pub(crate) fn not_changing(&self, plugin: &str) -> Result<(), ConnectorError> {
        match self.rollout(plugin) {
            Some(under_way) => Err(ConnectorError::Plugin(format!(
                "a change of {plugin:?} to version {} is under way; promote it or roll it back first",
                under_way.to.description.version
            ))),
            None => Ok(()),
        }
    }

    /// Checks a version against the configuration of each connector of its plugin.
    pub(crate) fn all_fit(&self, new: &ConnectorPlugin) -> Result<(), ConnectorError> {
        let connectors = self.connectors_of(&new.name);
        connectors.iter().try_for_each(|c| fits(new, &c.whole_spec())).map_err(ConnectorError::Plugin)
    }

    fn rollout(&self, plugin: &str) -> Option<Rollout> {
        self.rollouts.lock().get(plugin).cloned()
    }

    pub(crate) async fn stage_version(&self, plugin: &str, digest: &str, share: u8) -> Result<(), ConnectorError> {
        let _one = self.reloading.lock().await;
        let share = share.min(100);
        let from = self.registry.find(plugin);
        let rollout = match self.rollout(plugin) {
            Some(old) if old.to.description.digest != digest => return self.not_changing(plugin),
            Some(old) if old.promoted => return Ok(()),
            Some(old) => Rollout { share, ..old },
            None if from.as_ref().is_some_and(|from| from.description.digest == digest) => return Ok(()),
            None => {
                let to = Arc::new(self.registry.kept(plugin, digest).await.map_err(ConnectorError::Plugin)?);
                Rollout { promoted: from.is_none(), from, to, share }
            }
        };
        self.all_fit(&rollout.to)?;
        let to = rollout.to.clone();
        tracing::info!(
            plugin,
            version = to.description.version,
            digest,
            share,
            "another version of a plugin is staged"
        );
        self.rollouts.lock().insert(plugin.to_owned(), rollout.clone());
        if rollout.promoted {
            self.registry.put(to);
            self.start_stranded(plugin).await;
        } else if share == 100 {
            self.take_over(rollout).await;
        } else if rollout.exclusive() {
            let mut connectors: Vec<_> = self.connectors_of(plugin).iter().map(|c| c.spec.index).collect();
            let one = connectors.len().min(1);
            // Those that are drawn first, and at least one.
            connectors.sort_by_key(|c| (0..=100).find(|share| moves(*c, *share)));
            connectors.truncate((connectors.len() * usize::from(share)).div_ceil(100).max(one));
            self.move_onto(&to, |c| connectors.contains(&c)).await;
        } else {
            self.bring(&to, share).await;
        }
        Ok(())
    }

    pub(crate) async fn promote_version(&self, plugin: &str) -> Result<PluginDescription, ConnectorError> {
        let _one = self.reloading.lock().await;
        let rollout = self.rollout(plugin).ok_or_else(|| no_change(plugin))?;
        let description = rollout.to.description.clone();
        if !rollout.promoted {
            self.all_fit(&rollout.to)?;
            self.take_over(rollout).await;
        }
        Ok(description)
    }

    /// Gives all the work to the new version.
    async fn take_over(&self, rollout: Rollout) {
        let to = rollout.to.clone();
        let exclusive = rollout.exclusive();
        if !exclusive {
            self.bring(&to, rollout.share).await;
        }
        let pause = {
            let mut running = self.running.write();
            let begun = Instant::now();
            self.registry.put(to.clone());
            self.rollouts.lock().insert(to.name.to_string(), Rollout { promoted: true, ..rollout });
            if !exclusive {
                self.switch(running.values_mut().filter(|pair| pair.tries(&to)));
            }
            begun.elapsed()
        };
        if exclusive {
            self.move_onto(&to, |_| true).await;
        }
        let (plugin, version) = (&*to.name, &to.description.version);
        tracing::info!(plugin, version, pause_us = pause.as_micros() as u64, "another version of a plugin took over");
    }

    /// Makes the instances beside these connectors' own ones their own, where they are up; the others get what they can take.
    fn switch<'p>(&self, pairs: impl Iterator<Item = &'p mut Pair>) {
        for pair in pairs {
            match pair.beside.take() {
                Some(beside) if beside.running.session().is_up() => self.succeed(pair, beside.running),
                Some(beside) => pair.beside = Some(Beside { share: 100, ..beside }),
                None => {}
            }
        }
    }

    /// Makes `new` a connector's own instance; the one before ends with the sends that it has begun.
    fn succeed(&self, pair: &mut Pair, new: Running) {
        // The wait goes on by itself.
        drop(pair.hand_to(new).halt(self.services.limits.drain));
    }

    /// Runs a version beside each connector of its plugin that is on another one, for `share` of its messages. Returns once each
    /// of those instances is up or has failed, or they had their time.
    async fn bring(&self, plugin: &Arc<ConnectorPlugin>, share: u8) {
        let begun: Vec<Arc<Assignment>> = {
            let mut running = self.running.write();
            let others = running.values_mut().filter(|p| p.own.plugin().name == plugin.name);
            others
                .filter(|p| !Arc::ptr_eq(p.own.plugin(), plugin))
                .filter_map(|p| self.beside(p, plugin, share))
                .collect()
        };
        let opened = join_all(begun.iter().map(|assignment| assignment.context.session.opened()));
        if tokio::time::timeout(TURN, opened).await.is_err() {
            tracing::warn!(plugin = &*plugin.name, "not every instance of another version is up in its time");
        }
    }

    /// Runs a version beside one connector's own instance, unless it does already.
    fn beside(&self, pair: &mut Pair, plugin: &Arc<ConnectorPlugin>, share: u8) -> Option<Arc<Assignment>> {
        match &mut pair.beside {
            Some(beside) if Arc::ptr_eq(beside.running.plugin(), plugin) => {
                beside.share = share;
                return Some(beside.running.assignment.clone());
            }
            _ => {}
        }
        let spec = pair.own.assignment.whole_spec();
        if let Err(problem) = fits(plugin, &spec) {
            tracing::warn!(connector = %spec.id, problem, "a connector stays with its version of the plugin");
            return None;
        }
        let running = Running::start(self.assignment(plugin.clone(), spec, None, Voice::Aside));
        let assignment = running.assignment.clone();
        if let Some(other) = pair.beside.replace(Beside { running, share }) {
            drop(other.running.halt(self.services.limits.drain));
        }
        Some(assignment)
    }

    /// Puts the connectors of a plugin that are on another version, and wanted, onto this one: each by ending its old instance.
    async fn move_onto(&self, plugin: &Arc<ConnectorPlugin>, wanted: impl Fn(ConnectorIndex) -> bool) {
        let connectors = self.connectors_of(&plugin.name);
        let others = connectors.iter().filter(|c| !Arc::ptr_eq(&c.plugin, plugin)).map(|c| c.spec.index);
        let swaps = others.filter(|c| wanted(*c));
        stream::iter(swaps).for_each_concurrent(SWAPS_AT_ONCE, |index| self.swap(index, plugin.clone())).await;
    }

    pub(crate) async fn unstage_version(&self, plugin: &str) -> Result<(), ConnectorError> {
        let _one = self.reloading.lock().await;
        let rollout = self.rollout(plugin).ok_or_else(|| no_change(plugin))?;
        tracing::info!(plugin, version = rollout.to.description.version, "a version of a plugin is taken back");
        let Some(from) = rollout.from.clone() else {
            self.strand(&rollout.to).await;
            return Ok(());
        };
        if rollout.exclusive() {
            {
                // A connector that starts meanwhile finds the old version, or is found below.
                let _running = self.running.write();
                self.registry.put(from.clone());
                self.rollouts.lock().remove(plugin);
            }
            self.move_onto(&from, |_| true).await;
            return Ok(());
        }
        if rollout.promoted {
            // Beside those that serve: the worst of versions may be better than none.
            self.bring(&from, 0).await;
        }
        let mut running = self.running.write();
        self.registry.put(from.clone());
        self.rollouts.lock().remove(plugin);
        for pair in running.values_mut().filter(|pair| *pair.own.plugin().name == *plugin) {
            let beside = pair.beside.take();
            if Arc::ptr_eq(pair.own.plugin(), &from) {
                drop(beside.map(|beside| beside.running.halt(self.services.limits.drain)));
                continue;
            }
            let old = beside.map(|beside| beside.running).filter(|old| Arc::ptr_eq(old.plugin(), &from));
            let old = old.unwrap_or_else(|| {
                let spec = pair.own.assignment.whole_spec();
                Running::start(self.assignment(from.clone(), spec, None, Voice::Aside))
            });
            self.succeed(pair, old);
        }
        Ok(())
    }

    /// Ends a plugin that has no version to go back to. Its connectors are started again when it gets one.
    async fn strand(&self, plugin: &Arc<ConnectorPlugin>) {
        let gone: Vec<_> = {
            let mut running = self.running.write();
            self.registry.take_away(&plugin.name);
            self.rollouts.lock().remove(&*plugin.name);
            let gone: Vec<_> = running.extract_if(|_, pair| pair.own.plugin().name == plugin.name).collect();
            let mut stranded = self.stranded.lock();
            stranded.extend(gone.iter().map(|(index, pair)| (*index, pair.own.assignment.whole_spec())));
            gone
        };
        let ends = gone.into_iter().map(|(index, pair)| async move {
            let session = self.line(index).speak();
            self.end(pair, self.services.limits.drain, true).await;
            session.end(SessionState::Failing("the only version of its plugin was rolled back".to_owned()));
        });
        join_all(ends).await;
    }

    /// Starts the connectors that waited for their plugin.
    async fn start_stranded(&self, plugin: &str) {
        let waiting: Vec<_> = self.stranded.lock().extract_if(|_, spec| spec.plugin == plugin).collect();
        for (_, spec) in waiting {
            // It has its plugin now; whoever took that away again meanwhile has stranded it again.
            if let Err(error) = self.start_one(spec) {
                tracing::warn!(plugin, %error, "a connector that waited for its plugin does not start");
            }
        }
    }

    pub(crate) async fn settle_version(&self, plugin: &str) {
        let _one = self.reloading.lock().await;
        let mut running = self.running.write();
        let settled = {
            let mut rollouts = self.rollouts.lock();
            let over = rollouts.get(plugin).is_some_and(|rollout| rollout.promoted);
            if over { rollouts.remove(plugin) } else { None }
        };
        let Some(settled) = settled else { return };
        // Where the new version never came up, there is nothing to fall back to any more.
        for pair in running.values_mut().filter(|pair| pair.tries(&settled.to)) {
            if let Some(beside) = pair.beside.take() {
                self.succeed(pair, beside.running);
            }
        }
    }

    /// Ends all that runs for a connector, which nobody finds any more.
    pub(crate) async fn end(&self, pair: Pair, drain: Duration, halt: bool) {
        let all = std::iter::once(pair.own).chain(pair.beside.map(|beside| beside.running));
        let ends = all.map(|running| if halt { running.halt(drain) } else { running.retire(drain) });
        // The waits cannot fail: they hold no plugin code.
        join_all(ends).await;
    }
}
