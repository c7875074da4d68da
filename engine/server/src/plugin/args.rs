//! What can be said to `pombo plugin`, and its help. Knows nothing of what the commands do.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::lang::Lang;
use super::names::Name;

const EXAMPLES: &str = "\
A plugin's project is a folder with a pombo.toml. The commands find it from any folder within.

Examples:
  pombo plugin new --lang python greeter   a project to begin with: greeter/
  pombo plugin test                        its tests, without an engine
  pombo plugin check                       builds it and says what it will ask for
  pombo plugin dev                         builds, uploads and activates at each save, and shows its log
  pombo plugin publish --key-file acme.pem --share 10
                                           signs and uploads it; one conversation in ten goes to the new version
  pombo plugin logs greeter --follow       what it writes

The engine is http://127.0.0.1:8080, or POMBO_URL, or --engine; the credential is POMBO_API_KEY or --key.
Exits with 0, with 1 when the answer is no (a refused component, failed tests, a difference), with 2 when it could not be asked.";

/// `pombo plugin`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct PluginArgs {
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Make a project from the language's template
    New(NewArgs),
    /// Build the component
    Build(ProjectArgs),
    /// Say what a component is and what it will ask for, after the engine's own inspection
    Check(CheckArgs),
    /// Run the project's tests
    Test(TestArgs),
    /// Build, upload and activate at each save, and show the log
    Dev(DevArgs),
    /// Sign, upload, consent and activate
    Publish(PublishArgs),
    /// Show what a plugin writes to its log
    Logs(LogsArgs),
    /// Run a candidate on recorded events and show where it answers differently
    Replay(ReplayArgs),
    /// List the engine's plugins, or one with its versions
    List(ListArgs),
    /// Go back to the version before, or end a canary
    Rollback(NamedArgs),
    /// Let the canary take over now
    Promote(NamedArgs),
    /// Make a key pair to sign plugins with
    Keygen(KeygenArgs),
}

/// Where the project is.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProjectArgs {
    /// The project's folder [default: the nearest one upward with a pombo.toml]
    #[arg(long, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
}

/// Where the engine is.
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
    /// The language
    #[arg(long, value_enum)]
    pub(crate) lang: Lang,
    /// The plugin's name, e.g. acme-orders; unique in the engine
    pub(crate) name: Name,
    /// The folder to make [default: the name]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// A component [default: the project's, built when its sources changed]
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
    /// Given on to cargo test, vitest or pytest
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
    /// Grant whatever it asks for without asking
    #[arg(long)]
    pub(crate) grant: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// A component [default: the project's, built when its sources changed]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// A key file to sign with (see `pombo plugin keygen`)
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Conversations of a hundred that go to the new version first; it takes over by itself when it behaves
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) share: Option<u8>,
    /// Neither take over nor roll back by itself: wait for `promote` or `rollback`
    #[arg(long, requires = "share")]
    pub(crate) manual: bool,
    /// Grant what it asks for without asking
    #[arg(long)]
    pub(crate) grant: bool,
    /// Upload only
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
    /// Go on with new lines until interrupted
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// How many of the last lines
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) lines: usize,
    /// Print JSON, one line each
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The candidate [default: the project's, built when its sources changed]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// A key file to sign with
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Only events of this automation
    #[arg(long, value_name = "ID")]
    pub(crate) automation: Option<Uuid>,
    /// At most this many recorded events, newest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// One plugin, with its versions
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
    /// Where the private key goes; made with access for you only, never overwritten
    #[arg(default_value = "pombo-plugin-key.pem")]
    pub(crate) file: PathBuf,
}
