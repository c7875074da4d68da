//! Consent: what a plugin may use. A version that asks for more than was granted is not activated until somebody consents.
//!
//! An automation's call gets what is granted at that moment. A connector's instance gets all that its version asks for, so the
//! grants of a connector always cover the versions that run.

use std::sync::Arc;

use crate::commands::Commands;
use crate::commands::access::actor::Actor;
use crate::commands::plugins::catalog::Done;
use crate::model::plugin::Plugin;
use crate::model::{AuditAction, Grants, PluginKind, PluginVersion, VersionStatus, Wants};
use crate::{Error, Field, FieldProblem, Result};

/// Maximum number of hosts in a grant.
pub const MAX_HOSTS: usize = 64;
/// Maximum length of a host in a grant, in bytes.
pub const MAX_HOST_BYTES: usize = 255;
/// Maximum size of a key/value store that is granted, in bytes.
pub const MAX_KV_BYTES: u64 = 1024 * 1024 * 1024;
/// Maximum processor time of a call that is granted, in milliseconds.
pub const MAX_CPU_MS: u32 = 60_000;
/// Maximum memory of a call that is granted, in bytes.
pub const MAX_MEMORY_BYTES: u64 = 1024 * 1024 * 1024;
/// Maximum number of events per minute that is granted.
pub const MAX_EVENTS_PER_MINUTE: u32 = 10_000_000;

/// What a person grants to a plugin.
pub enum Consent {
    /// Exactly these wants.
    To(Wants),
    /// Exactly what the version with this digest asks for.
    ToVersion(String),
}

impl Commands {
    /// Replaces what a plugin may use. Versions that ask for no more become ready, others wait for consent; an automation's
    /// active version continues with what is still granted. A connector's grants must cover the versions that run.
    pub async fn grant_plugin(&self, actor: &Actor, name: &str, consent: Consent) -> Result<Arc<Plugin>> {
        if let Consent::To(wants) = &consent {
            check(wants)?;
        }
        let _turn = self.plugin_writes.of(name).await;
        self.change_plugin(actor, name, |plugin| {
            let (what, digest) = match &consent {
                Consent::To(wants) => (wants.clone(), None),
                Consent::ToVersion(digest) => {
                    let version = plugin.version(digest);
                    let wants = version.ok_or_else(|| Error::not_found("Version"))?.wants.clone();
                    check(&wants)?;
                    (wants, Some(digest.as_str()))
                }
            };
            if let Some(version) = versions_that_run(plugin).find(|version| !version.wants.within(&what)) {
                return Err(Error::conflict(format!(
                    "version {} of this connector is in use and asks for {}; activate one that asks for less first",
                    version.version,
                    shown(&version.wants),
                )));
            }
            let done = Done::new(AuditAction::Granted, digest, shown(&what));
            self.put_grants(actor, plugin, what);
            Ok(Some((Vec::new(), vec![done])))
        })
        .await
    }

    /// Sets a plugin's grants and updates the status of its versions.
    pub(crate) fn put_grants(&self, actor: &Actor, plugin: &mut Plugin, what: Wants) {
        let active = plugin.active.clone();
        for version in &mut plugin.versions {
            let fits = version.wants.within(&what);
            match version.status {
                VersionStatus::NeedsConsent if fits => version.status = VersionStatus::Ready,
                VersionStatus::Ready if !fits && active.as_ref() != Some(&version.digest) => {
                    version.status = VersionStatus::NeedsConsent;
                }
                _ => {}
            }
        }
        plugin.grants = Some(Grants { what, by: actor.by.clone(), at: self.ports().clock.now() });
    }
}

/// The uploaded versions of a connector that run, or that its rollout may go back to; none of an automation.
fn versions_that_run(plugin: &Plugin) -> impl Iterator<Item = &PluginVersion> {
    let rollout = plugin.rollout.as_ref();
    let (to, from) = (rollout.map(|rollout| &rollout.to), rollout.and_then(|rollout| rollout.from.as_ref()));
    plugin.versions.iter().filter(move |version| {
        needs_consent(plugin, version) && [plugin.active.as_ref(), to, from].contains(&Some(&version.digest))
    })
}

/// Whether a version is a connector's that somebody uploaded: it runs only within what is granted.
pub(crate) fn needs_consent(plugin: &Plugin, version: &PluginVersion) -> bool {
    plugin.kind == PluginKind::Connector && version.uploaded_by != Actor::engine().by
}

/// The union of two wants: two versions run alongside each other under one grant.
pub(crate) fn joined(one: &Wants, other: &Wants) -> Wants {
    let both = |a: &[String], b: &[String]| {
        let mut all = [a, b].concat();
        all.sort();
        all.dedup();
        all
    };
    Wants {
        hosts: both(&one.hosts, &other.hosts),
        capabilities: both(&one.capabilities, &other.capabilities),
        kv_bytes: one.kv_bytes.max(other.kv_bytes),
        cpu_ms: one.cpu_ms.max(other.cpu_ms),
        memory_bytes: one.memory_bytes.max(other.memory_bytes),
        events_per_minute: one.events_per_minute.max(other.events_per_minute),
    }
}

/// Refuses wants that no plugin can be granted.
pub(crate) fn check(wants: &Wants) -> Result<()> {
    let mut problems = Vec::new();
    let listed = |list: &[String]| {
        list.len() <= MAX_HOSTS
            && list.iter().all(|text| {
                !text.is_empty() && text.len() <= MAX_HOST_BYTES && text.bytes().all(|b| (0x21..=0x7e).contains(&b))
            })
    };
    for (field, list) in [(Field::Hosts, &wants.hosts), (Field::Capabilities, &wants.capabilities)] {
        if !listed(list) {
            let message =
                format!("must be at most {MAX_HOSTS} texts of visible ASCII, each of at most {MAX_HOST_BYTES}");
            problems.push(FieldProblem::new(field, message));
        }
    }
    for (field, asked, most) in [
        (Field::KvBytes, wants.kv_bytes, MAX_KV_BYTES),
        (Field::CpuMs, u64::from(wants.cpu_ms), u64::from(MAX_CPU_MS)),
        (Field::MemoryBytes, wants.memory_bytes, MAX_MEMORY_BYTES),
        (Field::EventsPerMinute, u64::from(wants.events_per_minute), u64::from(MAX_EVENTS_PER_MINUTE)),
    ] {
        if asked > most {
            problems.push(FieldProblem::new(
                field,
                format!("must be at most {most}; this engine grants more to no plugin"),
            ));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid_fields(problems)) }
}

/// Grants as a sentence.
pub(crate) fn shown(wants: &Wants) -> String {
    let list = |name: &str, list: &[String]| match list {
        [] => String::new(),
        list => format!("{name} {}, ", list.join(" ")),
    };
    format!(
        "{}{}{} bytes of key/value store, {} ms of processor time, {} bytes of memory, {} events per minute (0: the default)",
        list("hosts", &wants.hosts),
        list("capabilities", &wants.capabilities),
        wants.kv_bytes,
        wants.cpu_ms,
        wants.memory_bytes,
        wants.events_per_minute,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_engines_bounds_is_named() {
        let good = Wants { hosts: vec!["=api.loja.com".to_owned()], cpu_ms: MAX_CPU_MS, ..Wants::default() };
        assert_eq!(check(&good), Ok(()));
        let fields = |wants: Wants| -> Vec<Field> {
            check(&wants).expect_err("too much").fields.iter().filter_map(|problem| problem.field.only()).collect()
        };
        let hosts = |hosts: Vec<String>| Wants { hosts, ..Wants::default() };
        assert_eq!(fields(hosts(vec![String::new()])), [Field::Hosts]);
        assert_eq!(fields(hosts(vec!["=a b".to_owned()])), [Field::Hosts]);
        assert_eq!(fields(hosts(vec!["=a".to_owned(); MAX_HOSTS + 1])), [Field::Hosts]);
        let much = Wants { cpu_ms: MAX_CPU_MS + 1, memory_bytes: u64::MAX, ..Wants::default() };
        assert_eq!(fields(much), [Field::CpuMs, Field::MemoryBytes]);
    }

    #[test]
    fn joined_wants_hold_both() {
        let one = Wants { hosts: vec!["=b".to_owned()], cpu_ms: 5, ..Wants::default() };
        let other = Wants { hosts: vec!["=a".to_owned(), "=b".to_owned()], kv_bytes: 7, ..Wants::default() };
        let both = joined(&one, &other);
        assert!(one.within(&both) && other.within(&both));
        assert_eq!(both.hosts, ["=a", "=b"]);
    }
}
