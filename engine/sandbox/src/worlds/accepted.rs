//! The versions of each world that this engine runs, what each may import, and how each is linked: the only table of them. When a
//! version is made, and what becomes of the one before, is in `docs/decisions/0017-when-a-wit-version-is-made.md`.
//!
//! Invariant: the text of a version in the table is the one that lies frozen under `wit/frozen`.

use wasmtime::Engine;
use wasmtime::component::{HasSelf, InstancePre, Linker};

use crate::automation::state::CallState;
use crate::bindings::automation::{Automation, AutomationPre};
use crate::bindings::connector::{Connector, ConnectorPre};
use crate::bindings::connector_0_1::ConnectorPre as ConnectorPre01;
use crate::bindings::renderer::RendererPre;
use crate::bindings::types_0_1;
use crate::state::HostState;
use crate::worlds::connector_guest::ConnectorGuestPre;

/// WASI's packages. Their interfaces are there because languages' runtimes import them; they give access to nothing.
const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];
const WASI_VERSION: &str = "0.2.";

/// A package of interfaces, as one version of a world uses it.
pub(crate) struct Package {
    /// As in `pombo:host`.
    name: &'static str,
    /// As in `0.1.0`.
    version: &'static str,
    /// The interfaces that a component may import.
    interfaces: &'static [&'static str],
}

/// A version of a world: `T` is what its stores hold, `P` what its components become.
pub(crate) struct Version<T: 'static, P> {
    /// The world's own package: its version is the world's.
    own: Package,
    /// The other packages that it uses.
    others: &'static [Package],
    /// Offers its interfaces to components.
    link: fn(&mut Linker<T>) -> wasmtime::Result<()>,
    /// Adapts a linked component to what the engine calls: `Err` when its exports have other types. Of a version before the newest,
    /// it translates what goes in from the newest, and what comes out to the newest.
    adapt: fn(InstancePre<T>) -> wasmtime::Result<P>,
}

/// A world, with its versions that are accepted.
pub(crate) struct World<T: 'static, P: 'static> {
    /// As in `automation` of `pombo:automation/automation`.
    pub(crate) name: &'static str,
    /// The one that the engine speaks, and that the SDKs build for.
    newest: Version<T, P>,
    earlier: &'static [Version<T, P>],
}

/// The world of automations.
pub(crate) static AUTOMATIONS: World<CallState, AutomationPre<CallState>> = World {
    name: "automation",
    newest: Version {
        own: Package {
            name: "pombo:automation",
            version: "0.1.0",
            interfaces: &["log", "clock", "random", "kv", "http", "types"],
        },
        others: &[],
        link: |linker| Automation::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state),
        adapt: AutomationPre::new,
    },
    earlier: &[],
};

/// The interfaces of `pombo:host` in its version 0.1.0.
const HOST: Package = Package {
    name: "pombo:host",
    version: "0.1.0",
    interfaces: &["log", "clock", "random", "kv", "http", "websocket", "smtp", "media", "events"],
};

/// The world of connectors.
pub(crate) static CONNECTORS: World<HostState, ConnectorGuestPre> = World {
    name: "connector",
    newest: Version {
        own: Package { name: "pombo:connector", version: "0.2.0", interfaces: &["types"] },
        others: &[HOST],
        link: |linker| Connector::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
        adapt: |pre| ConnectorPre::new(pre).map(ConnectorGuestPre::Newest),
    },
    earlier: &[Version {
        own: Package { name: "pombo:connector", version: "0.1.0", interfaces: &["types"] },
        others: &[HOST],
        // The newest version offers the same interfaces of the host: only the types are its own.
        link: |linker| types_0_1::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
        adapt: |pre| ConnectorPre01::new(pre).map(ConnectorGuestPre::V0_1),
    }],
};

/// The world of renderers.
pub(crate) static RENDERERS: World<HostState, RendererPre<HostState>> = World {
    name: "renderer",
    newest: Version {
        own: Package { name: "pombo:renderer", version: "0.1.0", interfaces: &["types"] },
        others: &[Package { interfaces: &["log"], ..HOST }],
        // The linker of connectors offers the one interface that it imports.
        link: |_| Ok(()),
        adapt: RendererPre::new,
    },
    earlier: &[],
};

/// `pombo:automation/kv@0.1.0` in its parts; the version is empty when there is none.
fn parts(name: &str) -> Option<(&str, &str, &str)> {
    let (package, rest) = name.split_once('/')?;
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    Some((package, interface, version))
}

/// Whether it is an interface of WASI that a component may import.
pub(crate) fn is_wasi(import: &str) -> bool {
    let Some((package, _, version)) = parts(import) else { return false };
    package.strip_prefix("wasi:").is_some_and(|p| WASI.contains(&p)) && version.starts_with(WASI_VERSION)
}

/// The worlds whose components can be uploaded, in their accepted versions: for messages.
pub(crate) fn uploadable() -> String {
    format!("this engine runs {}", enumerated(AUTOMATIONS.full_names().chain(CONNECTORS.full_names())))
}

/// As in `a, b and c`.
fn enumerated(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    match (names.pop(), names.is_empty()) {
        (Some(last), false) => format!("{} and {last}", names.join(", ")),
        (last, _) => last.unwrap_or_default(),
    }
}

impl<T, P> Version<T, P> {
    fn packages(&self) -> impl Iterator<Item = &Package> {
        std::iter::once(&self.own).chain(self.others)
    }

    /// Whether its components may import this interface.
    pub(crate) fn offers(&self, import: &str) -> bool {
        parts(import).is_some_and(|(package, interface, version)| {
            let fits = |p: &Package| p.name == package && (version.is_empty() || version == p.version);
            self.packages().any(|p| fits(p) && p.interfaces.contains(&interface))
        })
    }

    /// Whether it is the interface with the types of the world's exports.
    pub(crate) fn is_types(&self, import: &str) -> bool {
        self.offers(import)
            && parts(import).is_some_and(|(package, interface, _)| package == self.own.name && interface == "types")
    }
}

impl<T, P> World<T, P> {
    fn versions(&self) -> impl Iterator<Item = &Version<T, P>> {
        std::iter::once(&self.newest).chain(self.earlier)
    }

    /// The full names of its accepted versions, the newest one first.
    fn full_names(&self) -> impl Iterator<Item = String> {
        self.versions().map(|v| format!("{}/{}@{}", v.own.name, self.name, v.own.version))
    }

    /// Its accepted versions, by their full names: for messages.
    pub(crate) fn accepted(&self) -> String {
        enumerated(self.full_names())
    }

    /// The first import from a package of this world in a version that is not accepted: the package and the version.
    pub(crate) fn unknown_version<'i>(&self, mut imports: impl Iterator<Item = &'i str>) -> Option<(&'i str, &'i str)> {
        imports.find_map(|import| {
            let (package, _, version) = parts(import).filter(|(.., version)| !version.is_empty())?;
            let mut known = self.versions().flat_map(Version::packages).filter(|p| p.name == package).peekable();
            known.peek()?;
            (!known.any(|p| p.version == version)).then_some((package, version))
        })
    }

    /// The version that a component was built for: that of the types that it imports, or the newest one.
    pub(crate) fn version_of<'i>(&self, imports: impl Iterator<Item = &'i str> + Clone) -> &Version<T, P> {
        let built_for = |v: &&Version<T, P>| imports.clone().any(|import| v.is_types(import));
        self.earlier.iter().find(built_for).unwrap_or(&self.newest)
    }

    /// Offers the interfaces of all accepted versions to components: their names hold their versions.
    pub(crate) fn link(&self, linker: &mut Linker<T>) -> wasmtime::Result<()> {
        self.versions().try_for_each(|v| (v.link)(linker))
    }

    /// Adapts a linked component to what the engine calls. `Err` when its exports have other types than its version's.
    pub(crate) fn adapt(&self, engine: &Engine, pre: InstancePre<T>) -> wasmtime::Result<P> {
        let of = pre.component().component_type();
        let imports: Vec<_> = of.imports(engine).map(|(name, _)| name.to_owned()).collect();
        (self.version_of(imports.iter().map(String::as_str)).adapt)(pre)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A WIT document without comments and white space: both may be corrected without a new version.
    fn meaning(file: &Path) -> String {
        let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_accepted_version_lies_frozen_and_the_newest_is_the_one_that_is_worked_on() {
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let mut all: Vec<(&Package, bool)> = Vec::new();
        fn collect<T, P>(world: &'static World<T, P>, all: &mut Vec<(&Package, bool)>) {
            for (place, version) in world.versions().enumerate() {
                all.extend(version.packages().map(|package| (package, place == 0)));
            }
        }
        collect(&AUTOMATIONS, &mut all);
        collect(&CONNECTORS, &mut all);
        collect(&RENDERERS, &mut all);
        for (Package { name, version, .. }, newest) in all {
            let name = name.strip_prefix("pombo:").expect("one of ours");
            let frozen = meaning(&wit.join(format!("frozen/{name}-{version}/{name}.wit")));
            assert!(frozen.starts_with(&format!("package pombo:{name}@{version};")), "{name} {version}: {frozen:.80}");
            if newest {
                let current = meaning(&wit.join(format!("{name}/{name}.wit")));
                assert_eq!(
                    current, frozen,
                    "wit/{name} says something else than its released version {version}: make a new version"
                );
            }
        }
    }

    #[test]
    fn a_version_is_known_by_the_types_of_a_component() {
        assert_eq!(AUTOMATIONS.unknown_version(["pombo:automation/kv@0.1.0"].into_iter()), None);
        assert_eq!(
            AUTOMATIONS.unknown_version(["pombo:automation/kv@0.2.0"].into_iter()),
            Some(("pombo:automation", "0.2.0"))
        );
        assert_eq!(CONNECTORS.unknown_version(["pombo:host/kv@9.0.0"].into_iter()), Some(("pombo:host", "9.0.0")));
        assert_eq!(CONNECTORS.unknown_version(["wasi:io/streams@0.2.0"].into_iter()), None);
        let version = CONNECTORS.version_of(["pombo:connector/types@0.1.0"].into_iter());
        assert!(version.offers("pombo:host/smtp@0.1.0") && !version.offers("pombo:host/smtp@0.2.0"));
        assert!(!version.offers("pombo:host/types@0.1.0"));
        assert!(version.is_types("pombo:connector/types@0.1.0") && !version.is_types("pombo:connector/types@0.2.0"));
        let newest = CONNECTORS.version_of(["pombo:connector/types@0.2.0"].into_iter());
        assert!(newest.is_types("pombo:connector/types@0.2.0") && newest.offers("pombo:host/smtp@0.1.0"));
        assert_eq!(CONNECTORS.unknown_version(["pombo:connector/types@0.1.0"].into_iter()), None);
        assert_eq!(
            CONNECTORS.unknown_version(["pombo:connector/types@0.3.0"].into_iter()),
            Some(("pombo:connector", "0.3.0"))
        );
        assert_eq!(
            uploadable(),
            "this engine runs pombo:automation/automation@0.1.0, pombo:connector/connector@0.2.0 and \
             pombo:connector/connector@0.1.0"
        );
    }
}
