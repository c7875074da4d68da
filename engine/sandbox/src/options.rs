//! What the server gives to the sandbox.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use pombo_domain::ports::{Clock, ConnectorEvents, Entropy, MediaStore, OutboundGuard};

use crate::grants::Capability;
use crate::host::kv::PluginKv;
use crate::limits::Limits;
use crate::precompile::Compiling;

/// A plugin that the binary carries.
#[derive(Debug, Clone, Copy)]
pub struct Embedded {
    /// For messages about it.
    pub name: &'static str,
    /// The component.
    pub component: &'static [u8],
}

/// Where plugins come from and what they may use.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder for compiled code; made when missing, with access for the owner only.
    pub cache_dir: PathBuf,
    /// The operator's plugins: every `*.wasm` in it.
    pub plugin_dir: Option<PathBuf>,
    /// The folder for uploaded components, each under its digest; made when missing.
    pub plugins_dir: PathBuf,
    /// The program, with its first arguments, that compiles uploaded components: one that calls [`crate::compile_component`] with the
    /// arguments that follow. With none, they are compiled by this process, where nothing bounds the compiler's memory.
    pub compile_command: Option<Vec<OsString>>,
    /// The plugins that the binary carries; one of them must be a renderer.
    pub embedded: Vec<Embedded>,
    /// What an operator's plugin gets, by its name; one that is not named gets what it wants.
    pub grants: BTreeMap<String, Vec<Capability>>,
    /// SMTP servers (`host` or `host:port`) beside loopback that may be used without TLS.
    pub smtp_plain_hosts: Vec<String>,
    /// Certificate authorities that connections of plugins trust beside the public ones, DER.
    pub authorities: Vec<Vec<u8>>,
    /// Servers (lower-case names) that are reached at another address. The guard still decides, and TLS still checks the name.
    pub connect_to: BTreeMap<String, SocketAddr>,
    /// Bounds on every instance.
    pub limits: Limits,
    /// Renderer instances; 0 for one a core.
    pub renderers: usize,
    /// Names the plugins that the start compiles, while it does.
    pub compiling: Compiling,
}

/// What the sandbox asks of the outside.
#[derive(Clone)]
pub struct Ports {
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The plugins' key/value store.
    pub kv: Arc<dyn PluginKv>,
    /// Files of messages.
    pub media: Arc<dyn MediaStore>,
    /// Which addresses a plugin may reach.
    pub guard: Arc<dyn OutboundGuard>,
    /// Told of sessions.
    pub events: Arc<dyn ConnectorEvents>,
}
