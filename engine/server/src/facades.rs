//! The facades that the binary serves, each named once: the server, the command line, the configuration, the metrics and the
//! documentation page read this list.

use std::sync::Arc;

use clap::builder::{PossibleValue, PossibleValuesParser};
use pombo_aidesk::AideskDeps;
use pombo_api::{ApiOptions, ApiState, Facade, Served};
use pombo_control::ControlDeps;
use pombo_domain::ports::HookForm;
use pombo_sendsync::SendsyncDeps;
use pombo_zapini::{WebhookBodies, ZapiniDeps, ZapiniOptions};

/// A facade, and how it is made ready.
pub(crate) struct Entry {
    pub(crate) facade: &'static Facade,
    /// Makes it ready with what it needs.
    pub(crate) serve: fn(&Given) -> Served,
}

/// What the server has to give to facades.
pub(crate) struct Given {
    pub(crate) state: Arc<ApiState>,
    pub(crate) sendsync: Arc<SendsyncDeps>,
    pub(crate) zapini: Arc<ZapiniDeps>,
    pub(crate) zapini_options: ZapiniOptions,
    pub(crate) aidesk: Arc<AideskDeps>,
    pub(crate) control: Arc<ControlDeps>,
}

/// The facades that the binary serves; nothing else lists them.
pub(crate) static ALL: &[Entry] = &[
    entry(&pombo_sendsync::FACADE, |given| {
        pombo_sendsync::FACADE.serve_with(given.state.clone(), given.sendsync.clone())
    }),
    entry(&pombo_zapini::FACADE, |given| {
        pombo_zapini::serve(given.state.clone(), given.zapini.clone(), &given.zapini_options)
    }),
    entry(&pombo_aidesk::FACADE, |given| pombo_aidesk::FACADE.serve_with(given.state.clone(), given.aidesk.clone())),
    entry(&pombo_control::FACADE, |given| pombo_control::FACADE.serve_with(given.state.clone(), given.control.clone())),
];

const fn entry(facade: &'static Facade, serve: fn(&Given) -> Served) -> Entry {
    Entry { facade, serve }
}

/// What posts to connectors' webhooks look like: the form that a facade documents.
pub(crate) fn hook_form(options: &ApiOptions) -> Arc<dyn HookForm> {
    Arc::new(WebhookBodies::new(options))
}

/// The facade of this name.
pub(crate) fn named(name: &str) -> Option<&'static Facade> {
    ALL.iter().map(|entry| entry.facade).find(|facade| facade.name == name)
}

/// The one that the command line means where none is named.
pub(crate) fn default_name() -> &'static str {
    pombo_sendsync::FACADE.name
}

/// The names, with their summaries, for the command line.
pub(crate) fn names() -> PossibleValuesParser {
    ALL.iter().map(|entry| PossibleValue::new(entry.facade.name).help(entry.facade.summary)).collect::<Vec<_>>().into()
}

/// Names of the facades that a host name can be mapped to.
pub(crate) fn mappable() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|entry| entry.facade).filter(|facade| facade.host_base.is_some()).map(|facade| facade.name)
}

/// The facade that a path belongs to, for the metrics.
pub(crate) fn at_path(path: &str) -> Option<&'static str> {
    let below = |base: &&str| path.strip_prefix(*base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let places = |facade: &'static Facade| std::iter::once(facade.home).chain(facade.aliases.iter().copied());
    let facades = ALL.iter().map(|entry| entry.facade);
    let found = facades.filter_map(|facade| Some((facade.name, places(facade).filter(below).map(str::len).max()?)));
    found.max_by_key(|(_, length)| *length).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_bases_are_each_facades_own() {
        let facades = || ALL.iter().map(|entry| entry.facade);
        let names: BTreeSet<&str> = facades().map(|facade| facade.name).collect();
        let bases: Vec<&str> =
            facades().flat_map(|facade| std::iter::once(facade.base).chain(facade.aliases.iter().copied())).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(bases.iter().collect::<BTreeSet<_>>().len(), bases.len());
        for facade in facades() {
            assert!(facade.name.bytes().all(|byte| byte.is_ascii_lowercase()), "{}", facade.name);
            assert!(facade.base.is_empty() || facade.base == facade.home, "{}", facade.name);
            assert!(!facade.base.ends_with('/') && facade.home.starts_with('/'), "{}", facade.name);
        }
    }

    #[test]
    fn a_path_is_counted_for_the_facade_that_has_it() {
        assert_eq!(at_path("/sendsync/api/queue/send"), Some("sendsync"));
        assert_eq!(at_path("/zapini/api/v1/instances"), Some("zapini"));
        assert_eq!(at_path("/aidesk/send-message"), Some("aidesk"));
        assert_eq!(at_path("/v1/tenants"), Some("control"));
        assert_eq!(at_path("/v10"), None);
    }

    #[test]
    fn the_kept_documents_and_tables_are_the_facades() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi");
        for facade in ALL.iter().map(|entry| entry.facade) {
            for (kind, current) in [("json", (facade.document)()), ("md", facade.table())] {
                let path = folder.join(format!("{}.{kind}", facade.name));
                let kept = std::fs::read_to_string(&path).unwrap_or_default();
                assert!(kept.trim_end() == current.trim_end(), "{} is old; run `make openapi`", path.display());
            }
        }
    }
}
