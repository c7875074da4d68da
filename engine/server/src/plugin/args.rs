//! The commands and options of `pombo plugin`, and their help. Knows nothing of what the commands do.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::lang::Lang;
use super::names::Name;

const EXAMPLES: &str = "\
A plugin's project is a folder with a pombo.toml. The commands find it from any folder inside it.

Examples:
  pombo plugin new --lang python greeter   create a project in greeter/
  pombo plugin test                        run its tests, without an engine
  pombo plugin check                       build it and say what it will ask for
  pombo plugin dev                         build, upload and activate on each save, and show its log
  pombo plugin publish --key-file acme.pem --share 10
                                           sign and upload it; one conversation in ten goes to the new version
  pombo plugin logs greeter --follow       show its log

The engine is http://127.0.0.1:8080, or POMBO_URL, or --engine; the credential is POMBO_API_KEY or --key.
Exits with 0 on success, with 1 when the answer is no (a refused component, failed tests, a difference), and with 2 when the
command could not run.";

/// The arguments of `pombo plugin`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct PluginArgs {
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Create a project from the language's template
    New(NewArgs),
    /// Build the component
    Build(ProjectArgs),
    /// Inspect a component as the engine does, and say what it contains and what it will ask for
    Check(CheckArgs),
    /// Run the project's tests
    Test(TestArgs),
    /// Build, upload and activate on each save, and show the log
    Dev(DevArgs),
    /// Sign, upload, ask for consent and activate
    Publish(PublishArgs),
    /// Show a plugin's log
    Logs(LogsArgs),
    /// Run a candidate on recorded events and show where it answers differently
    Replay(ReplayArgs),
    /// List the engine's plugins, or one plugin's versions
    List(ListArgs),
    /// Go back to the previous version, or end a canary
    Rollback(NamedArgs),
    /// Let the canary take over now
    Promote(NamedArgs),
    /// Generate a key pair for signing plugins
    Keygen(KeygenArgs),
}

/// The option that names the project.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProjectArgs {
    /// The project's folder [default: the nearest one upward with a pombo.toml]
    #[arg(long, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
}

/// The options that name the engine and the credential.
#[derive(Debug, Clone, Args)]
pub(crate) struct EngineArgs {
    /// The engine's address [env: POMBO_URL] [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    pub(crate) engine: Option<String>,
    /// An API key of the tenant, or the operator token [env: POMBO_API_KEY]
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// With the operator token: the tenant to act for [env: POMBO_TENANT]
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: Option<Uuid>,
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The project's language
    #[arg(long, value_enum)]
    pub(crate) lang: Lang,
    /// The plugin's name, e.g. acme-orders; unique in the engine
    pub(crate) name: Name,
    /// The folder to create [default: the name]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// A component [default: the project's, built if its sources changed]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
    /// Arguments for cargo test, vitest or pytest
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) rest: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// A key file to sign with
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Grant everything that it asks for, without a question
    #[arg(long)]
    pub(crate) grant: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// A component [default: the project's, built if its sources changed]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// A key file to sign with (see `pombo plugin keygen`)
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The percentage of conversations that go to the new version first; it takes over by itself if it behaves
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) share: Option<u8>,
    /// Let the new version neither take over nor be rolled back by itself: wait for `promote` or `rollback`
    #[arg(long, requires = "share")]
    pub(crate) manual: bool,
    /// Grant what it asks for, without a question
    #[arg(long)]
    pub(crate) grant: bool,
    /// Only upload it
    #[arg(long, conflicts_with_all = ["share", "grant"])]
    pub(crate) no_activate: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The plugin [default: the project's]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Keep showing new lines until interrupted
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// The number of lines to show, the newest ones
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) lines: usize,
    /// Print JSON, one object per line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The candidate [default: the project's, built if its sources changed]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// A key file to sign with
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Use only events of this automation
    #[arg(long, value_name = "ID")]
    pub(crate) automation: Option<Uuid>,
    /// Use at most this many recorded events, newest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// A plugin, to list its versions
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NamedArgs {
    /// The plugin [default: the project's]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// The file for the private key; it is readable by you only, and never overwritten
    #[arg(default_value = "pombo-plugin-key.pem")]
    pub(crate) file: PathBuf,
}
