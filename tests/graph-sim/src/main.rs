//! The Graph simulator as a program: it serves until Ctrl-C and forgets everything when it ends.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use pombo_graph_sim::{Options, Sim, demo};

/// A simulated Graph API for WhatsApp, for tests and for trying the product without an account at Meta.
#[derive(Debug, Parser)]
#[command(name = "graph-sim", version)]
struct Args {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Begin with a small business and two people.
    #[arg(long)]
    demo: bool,
    /// Where the demo's webhooks go.
    #[arg(long, value_name = "URL", requires = "demo")]
    webhook: Option<String>,
    /// For benches: no journal, no history, no webhooks unless asked.
    #[arg(long)]
    fast: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("graph-sim: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let sim = Sim::start(Options { listen: args.listen, fast: args.fast, ..Options::default() }).await?;
    if args.demo {
        sim.setup(&demo(args.webhook.as_deref()))?;
    }
    println!("graph-sim: {}", sim.base());
    std::io::stdout().flush()?;
    tokio::select! {
        () = sim.served() => {}
        () = stop_requested() => {}
    }
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
async fn stop_requested() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // No handler can be installed: Ctrl-C ends the process by itself.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
