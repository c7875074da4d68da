//! Another version of a connector's plugin: tried next to the running one, given all the work, or rolled back. The steps are here;
//! `plan.rs` knows which version a connector runs until the change is over. Why a change goes on or back is decided outside. Runs on
//! the calling task, one change at a time.
//!
//! A plugin without sessions has both versions' instances side by side. All connectors switch under one lock, to instances that
//! are ready already: a send finds either version, never none. What the losing instance has begun ends in it; what it has not
//! begun goes back to its caller and on to the other. A connector whose new instance is not ready keeps its old one as a
//! fallback until the change is settled.
//!
//! A plugin with sessions cannot run twice for one connector: there a share of the connectors moves, each by stopping the old
//! instance before the new one starts; its sends wait until then.

pub(crate) mod plan;

use std::sync::Arc;
use std::time::Instant;

use futures::future::join_all;
use futures::{StreamExt, stream};
use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{ConnectorError, PluginDescription, SessionState};

use self::plan::{Rollout, fits, moves};
use crate::connector::assignment::Assignment;
use crate::connector::session::Role;
use crate::connector::supervisor::Running;
use crate::connector::versions::{Canary, Versions};
use crate::fleet::Fleet;
use crate::limits::{SWAPS_AT_ONCE, TURN};
use crate::registry::ConnectorPlugin;

fn no_change(plugin: &str) -> ConnectorError {
    ConnectorError::Plugin(format!("no other version of {plugin:?} is staged"))
}

impl Fleet {
    /// See [`crate::Sandbox::use_version`].
    pub(crate) async fn use_version(&self, plugin: &str, digest: &str) -> Result<PluginDescription, ConnectorError> {
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

    /// Loads the newer component of a plugin from the operator's folder and uses it for every connector.
    pub(crate) async fn reload(&self, plugin: &str) -> Result<PluginDescription, ConnectorError> {
        let _one = self.reloading.lock().await;
        self.not_changing(plugin)?;
        let old = self.registry.find(plugin).ok_or_else(|| ConnectorError::UnknownPlugin(plugin.to_owned()))?;
        let new = Arc::new(self.registry.newer(&old).await.map_err(ConnectorError::Plugin)?);
        self.all_fit(&new)?;
        tracing::info!(
            plugin,
            from = old.description.version,
            to = new.description.version,
            digest = new.description.digest,
            "plugin reloaded"
        );
        self.put_everywhere(new.clone()).await;
        Ok(new.description.clone())
    }

    /// Moves every connector of a plugin to this version; each one's old instance ends as when it is stopped.
    async fn put_everywhere(&self, new: Arc<ConnectorPlugin>) {
        self.registry.put(new.clone());
        self.move_onto(&new, |_| true).await;
    }

    /// `Err` while another version of the plugin is tried or watched.
    fn not_changing(&self, plugin: &str) -> Result<(), ConnectorError> {
        match self.rollout(plugin) {
            Some(under_way) => Err(ConnectorError::Plugin(format!(
                "a change of {plugin:?} to version {} is under way; promote it or roll it back first",
                under_way.to.description.version
            ))),
            None => Ok(()),
        }
    }

    /// Checks a version against the configuration of each connector of its plugin.
    fn all_fit(&self, new: &ConnectorPlugin) -> Result<(), ConnectorError> {
        let connectors = self.connectors_of(&new.name);
        connectors.iter().try_for_each(|c| fits(new, &c.whole_spec())).map_err(ConnectorError::Plugin)
    }

    fn rollout(&self, plugin: &str) -> Option<Rollout> {
        self.rollouts.lock().get(plugin).cloned()
    }

    /// Begins to try a version for `share` of a hundred messages or connectors, or changes the share of one that is tried.
    pub(crate) async fn stage(&self, plugin: &str, digest: &str, share: u8) -> Result<(), ConnectorError> {
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

    /// Makes the version that is tried the one that counts; the one before stays known until [`Self::settle`].
    pub(crate) async fn promote(&self, plugin: &str) -> Result<PluginDescription, ConnectorError> {
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
                self.switch(running.values_mut().filter(|versions| versions.tries(&to)));
            }
            begun.elapsed()
        };
        if exclusive {
            self.move_onto(&to, |_| true).await;
        }
        let (plugin, version) = (&*to.name, &to.description.version);
        tracing::info!(plugin, version, pause_us = pause.as_micros() as u64, "another version of a plugin took over");
    }

    /// Makes the canaries of these connectors their stable instances, where they are up; the other canaries get all messages that
    /// they can take.
    fn switch<'p>(&self, all: impl Iterator<Item = &'p mut Versions>) {
        for versions in all {
            match versions.canary.take() {
                Some(canary) if canary.running.session().is_up() => self.succeed(versions, canary.running),
                Some(canary) => versions.canary = Some(Canary { share: 100, ..canary }),
                None => {}
            }
        }
    }

    /// Makes `new` a connector's stable instance; the one before ends with the sends that it has begun.
    fn succeed(&self, versions: &mut Versions, new: Running) {
        // The wait goes on by itself.
        drop(versions.promote(new).halt(self.services.limits.drain));
    }

    /// Starts a canary of this version for each connector of its plugin that is on another one, for `share` of a hundred of its
    /// messages. Returns once each of those instances is up or has failed, or after a while.
    async fn bring(&self, plugin: &Arc<ConnectorPlugin>, share: u8) {
        let begun: Vec<Arc<Assignment>> = {
            let mut running = self.running.write();
            let others = running.values_mut().filter(|p| p.stable.plugin().name == plugin.name);
            others
                .filter(|p| !Arc::ptr_eq(p.stable.plugin(), plugin))
                .filter_map(|p| self.add_canary(p, plugin, share))
                .collect()
        };
        let opened = join_all(begun.iter().map(|assignment| assignment.context.session.opened()));
        if tokio::time::timeout(TURN, opened).await.is_err() {
            tracing::warn!(plugin = &*plugin.name, "not every instance of another version came up in time");
        }
    }

    /// Starts a canary of this version for one connector, unless there is one already.
    fn add_canary(&self, versions: &mut Versions, plugin: &Arc<ConnectorPlugin>, share: u8) -> Option<Arc<Assignment>> {
        match &mut versions.canary {
            Some(canary) if Arc::ptr_eq(canary.running.plugin(), plugin) => {
                canary.share = share;
                return Some(canary.running.assignment.clone());
            }
            _ => {}
        }
        let spec = versions.stable.assignment.whole_spec();
        if let Err(problem) = fits(plugin, &spec) {
            tracing::warn!(connector = %spec.id, problem, "a connector stays with its version of the plugin");
            return None;
        }
        let running = Running::start(self.assignment(plugin.clone(), spec, None, Role::Standby));
        let assignment = running.assignment.clone();
        if let Some(other) = versions.canary.replace(Canary { running, share }) {
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

    /// Goes back to the version before the one that is tried or was promoted.
    pub(crate) async fn unstage(&self, plugin: &str) -> Result<(), ConnectorError> {
        let _one = self.reloading.lock().await;
        let rollout = self.rollout(plugin).ok_or_else(|| no_change(plugin))?;
        tracing::info!(plugin, version = rollout.to.description.version, "a version of a plugin is rolled back");
        let Some(from) = rollout.from.clone() else {
            self.strand(&rollout.to).await;
            return Ok(());
        };
        if rollout.exclusive() {
            {
                // A connector that starts now finds the old version, or is found below.
                let _running = self.running.write();
                self.registry.put(from.clone());
                self.rollouts.lock().remove(plugin);
            }
            self.move_onto(&from, |_| true).await;
            return Ok(());
        }
        if rollout.promoted {
            // As canaries first: a connector whose old version does not come up keeps the one that serves.
            self.bring(&from, 0).await;
        }
        let mut running = self.running.write();
        self.registry.put(from.clone());
        self.rollouts.lock().remove(plugin);
        for versions in running.values_mut().filter(|versions| *versions.stable.plugin().name == *plugin) {
            let canary = versions.canary.take();
            if Arc::ptr_eq(versions.stable.plugin(), &from) {
                drop(canary.map(|canary| canary.running.halt(self.services.limits.drain)));
                continue;
            }
            let old = canary.map(|canary| canary.running).filter(|old| Arc::ptr_eq(old.plugin(), &from));
            let old = old.unwrap_or_else(|| {
                let spec = versions.stable.assignment.whole_spec();
                Running::start(self.assignment(from.clone(), spec, None, Role::Standby))
            });
            self.succeed(versions, old);
        }
        Ok(())
    }

    /// Ends a plugin that has no version to go back to. Its connectors start again once it gets one.
    async fn strand(&self, plugin: &Arc<ConnectorPlugin>) {
        let gone: Vec<_> = {
            let mut running = self.running.write();
            self.registry.take_away(&plugin.name);
            self.rollouts.lock().remove(&*plugin.name);
            let gone: Vec<_> = running.extract_if(|_, versions| versions.stable.plugin().name == plugin.name).collect();
            let mut stranded = self.stranded.lock();
            stranded.extend(gone.iter().map(|(index, versions)| (*index, versions.stable.assignment.whole_spec())));
            gone
        };
        let ends = gone.into_iter().map(|(index, versions)| async move {
            let session = self.slot(index).attach(Role::Primary);
            self.end(versions, self.services.limits.drain, true).await;
            session.end(SessionState::Failing("the only version of its plugin was rolled back".to_owned()));
        });
        join_all(ends).await;
    }

    /// Starts the connectors that waited for this plugin.
    async fn start_stranded(&self, plugin: &str) {
        let waiting: Vec<_> = self.stranded.lock().extract_if(|_, spec| spec.plugin == plugin).collect();
        for (_, spec) in waiting {
            // It has its plugin now. If that was taken away again in the meantime, the connector was stranded again.
            if let Err(error) = self.start(spec) {
                tracing::warn!(plugin, %error, "a connector that waited for its plugin does not start");
            }
        }
    }

    /// Forgets the version before a promoted one.
    pub(crate) async fn settle(&self, plugin: &str) {
        let _one = self.reloading.lock().await;
        let mut running = self.running.write();
        let settled = {
            let mut rollouts = self.rollouts.lock();
            let over = rollouts.get(plugin).is_some_and(|rollout| rollout.promoted);
            if over { rollouts.remove(plugin) } else { None }
        };
        let Some(settled) = settled else { return };
        // Where the new version never came up, there is nothing left to fall back to.
        for versions in running.values_mut().filter(|versions| versions.tries(&settled.to)) {
            if let Some(canary) = versions.canary.take() {
                self.succeed(versions, canary.running);
            }
        }
    }
}
