//! The command line: what can be said to `pombo`, and its help. Knows nothing of what the commands do.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::plugin::args::PluginArgs;

const EXAMPLES: &str = "\
Examples:
  pombo serve --demo                    a server to try out, with a mailbox: http://127.0.0.1:8080/docs
  pombo serve --config /etc/pombo.toml  a server with a configuration of its own
  pombo config                          every setting with its meaning and default
  pombo openapi --facade sendsync       the OpenAPI document of the queue API
  pombo inspect --data data --verify    check a data folder (the server must not be running)
  pombo plugin new --lang js greeter    a plugin of your own (see `pombo plugin --help`)";

const SERVE_EXAMPLES: &str = "\
Settings come from the defaults (see `pombo config`), then the file, then POMBO_* variables
(POMBO_HTTP__LISTEN=0.0.0.0:8080), then these options.

SIGTERM and SIGINT drain: the server stops accepting, lets running requests and sends end within
runtime.drain_seconds, syncs the store and exits with 0. A second signal ends at once.

Examples:
  pombo serve --demo
  pombo serve --data /var/lib/pombo --listen 0.0.0.0:8080
  pombo serve --config /etc/pombo.toml";

/// Pombo, a self-hosted messaging engine: a documented queue API in front, sandboxed plugins behind.
#[derive(Debug, Parser)]
#[command(name = "pombo", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the engine says to this program when it has a component compiled in a process of its own.
pub(crate) const COMPILE_COMPONENT: &str = "compile-component";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server
    Serve(ServeArgs),
    /// Print an OpenAPI document as JSON
    Openapi(OpenapiArgs),
    /// Print the contents of a data folder as text and check that they are consistent
    Inspect(InspectArgs),
    /// Print the default configuration with comments, or check one
    Config(ConfigArgs),
    /// Compile one uploaded component (for the server itself)
    #[command(name = COMPILE_COMPONENT, hide = true)]
    CompileComponent {
        /// As the server writes them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// Make, try and publish plugins
    Plugin(PluginArgs),
}

#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub(crate) struct ServeArgs {
    /// A configuration file (TOML); `pombo config` prints the commented defaults
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data folder; made when missing [default: data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// On an empty data folder, make a tenant, a user, an API key and an e-mail connector with a mailbox to read it in,
    /// print them and write them to DATA/demo.json. Not for production
    #[arg(long)]
    pub(crate) demo: bool,
}

/// An API with a document of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Facade {
    /// The queue API, under /sendsync/api
    Sendsync,
    /// The engine's own API, under /v1
    Control,
}

#[derive(Debug, Args)]
pub(crate) struct OpenapiArgs {
    /// Which API
    #[arg(long, value_enum, default_value = "sendsync")]
    pub(crate) facade: Facade,
    /// Print the table of its operations (Markdown) instead
    #[arg(long)]
    pub(crate) table: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Exits with 1 when something is inconsistent. The server must not be running on the folder.")]
pub(crate) struct InspectArgs {
    /// The data folder
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Only check, print nothing but what is wrong
    #[arg(long)]
    pub(crate) verify: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Check this file together with the POMBO_* variables instead of printing the defaults
    #[arg(long, value_name = "FILE")]
    pub(crate) check: Option<PathBuf>,
}
