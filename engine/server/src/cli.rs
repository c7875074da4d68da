//! The command line: the commands and options of `pombo`, and their help. Knows nothing of what the commands do.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::facades;
use crate::plugin::args::PluginArgs;

const EXAMPLES: &str = "\
Examples:
  pombo serve --demo                    run a server to try out, with a mailbox: http://127.0.0.1:8080/docs
  pombo serve --config /etc/pombo.toml  run a server with your configuration
  pombo config                          print every setting with its meaning and default
  pombo openapi --facade sendsync       print the OpenAPI document of the queue API
  pombo inspect --data data --verify    check a data folder (the server must not be running)
  pombo plugin new --lang js greeter    write a plugin of your own (see `pombo plugin --help`)";

const SERVE_EXAMPLES: &str = "\
Settings come from the defaults (see `pombo config`), then the file, then POMBO_* variables
(POMBO_HTTP__LISTEN=0.0.0.0:8080), then these options.

On SIGTERM and SIGINT the server stops accepting requests, lets running requests and sends finish within
runtime.drain_seconds, syncs the store and exits with 0. A second signal ends it at once.

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

/// The subcommand with which the server compiles a component in a separate process.
pub(crate) const COMPILE_COMPONENT: &str = "compile-component";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server
    Serve(ServeArgs),
    /// Print an OpenAPI document as JSON
    Openapi(OpenapiArgs),
    /// Print the contents of a data folder as text and check that they are consistent
    Inspect(InspectArgs),
    /// Compile the plugins for this machine, so that the first start need not
    Compile(CompileArgs),
    /// Print the default configuration with comments, or check one
    Config(ConfigArgs),
    /// Compile one uploaded component (used by the server itself)
    #[command(name = COMPILE_COMPONENT, hide = true)]
    CompileComponent {
        /// The arguments that the server passes
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// Write, try and publish plugins
    Plugin(PluginArgs),
}

#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub(crate) struct ServeArgs {
    /// A configuration file (TOML); `pombo config` prints the commented defaults
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data folder, created if it does not exist [default: data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// On an empty data folder, create a tenant, a user, an API key and an e-mail connector with a local mailbox,
    /// print them and write them to DATA/demo.json. Do not use it in production
    #[arg(long)]
    pub(crate) demo: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OpenapiArgs {
    /// The API
    #[arg(long, value_name = "NAME", value_parser = facades::names(), default_value = facades::default_name())]
    pub(crate) facade: String,
    /// Print a table of its operations (Markdown) instead
    #[arg(long)]
    pub(crate) table: bool,
    /// Print the names of the APIs, one a line, instead
    #[arg(long, conflicts_with_all = ["facade", "table"])]
    pub(crate) list: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Exits with 1 if something is inconsistent. No server may be running on the folder.")]
pub(crate) struct InspectArgs {
    /// The data folder
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Only check, and print only what is wrong
    #[arg(long)]
    pub(crate) verify: bool,
}

const COMPILE_NOTES: &str = "\
Without this, the first start on a machine compiles the plugins, which takes some seconds. `make build` runs it; run it when a
container image is built, on a processor of the kind that the image will run on. The code of another version of this program, or
for another processor, is passed over.";

#[derive(Debug, Args)]
#[command(after_help = COMPILE_NOTES)]
pub(crate) struct CompileArgs {
    /// Where to write the code; a server looks into the folder beside its program only [default: PROGRAM.compiled]
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,
    /// Compile the plugins in this folder too, as sandbox.plugin_dir names it
    #[arg(long, value_name = "DIR")]
    pub(crate) plugin_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Check this file together with the POMBO_* variables instead of printing the defaults
    #[arg(long, value_name = "FILE")]
    pub(crate) check: Option<PathBuf>,
}
