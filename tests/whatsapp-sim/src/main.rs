//! The WhatsApp simulator as a program: it serves until Ctrl-C or until its script is done, on this machine only, and forgets everything
//! when it ends.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use pombo_whatsapp_sim::script::{self, Outcome, Report, Script};
use pombo_whatsapp_sim::world::NewAccount;
use pombo_whatsapp_sim::{Options, Ports, Simulator};
use tracing_subscriber::EnvFilter;

/// A simulated WhatsApp server, for tests and for trying the product without a phone.
///
/// With a script it ends with it: 0 if everything was as expected, 1 if not, 2 if the script cannot be run.
#[derive(Debug, Parser)]
#[command(name = "whatsapp-sim", version)]
struct Args {
    /// Port of the protocol's websocket; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    listen: u16,
    /// Port of the admin page and its HTTP; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    admin: u16,
    /// Port of the media host; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    media: u16,
    /// An account to begin with, as PHONE or PHONE:NAME (digits with the country code). May be repeated.
    #[arg(long = "account", value_name = "PHONE[:NAME]")]
    accounts: Vec<String>,
    /// Address the accounts given here by LID, as new accounts of the real service are.
    #[arg(long)]
    lid: bool,
    /// A script in YAML to run: see docs/simulator.md.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Where to write what became of the script, in JUnit's XML.
    #[arg(long, value_name = "FILE", requires = "script")]
    junit: Option<PathBuf>,
    /// Where to write a line of JSON for every stanza in and out. It has phone numbers, and no contents.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// How large the journal gets, in megabytes. A full one becomes FILE.1, in the place of an earlier one, and another begins.
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    journal_mb: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,pombo_whatsapp_sim=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("whatsapp-sim: {e:#}");
            ExitCode::from(2)
        }
    }
}

/// Serves, and answers whether everything was as expected.
async fn run(args: Args) -> anyhow::Result<bool> {
    let script = args.script.as_deref().map(read).transpose()?;
    let ports = Ports { ws: args.listen, media: args.media, admin: args.admin };
    let simulator = Simulator::start(Options { ports }).await?;
    if let Some(path) = &args.journal {
        let journal = &simulator.world().journal;
        journal.write_to(path, args.journal_mb << 20).with_context(|| format!("cannot write {}", path.display()))?;
    }
    for account in &args.accounts {
        let (phone, name) = match account.split_once(':') {
            Some((phone, name)) => (phone, Some(name.to_owned())),
            None => (account.as_str(), None),
        };
        simulator.world().register(NewAccount {
            phone: phone.to_owned(),
            name,
            lid_addressed: args.lid,
            ..NewAccount::default()
        })?;
    }
    println!("websocket {}", simulator.ws_url());
    println!("media     http://{}", simulator.media_host());
    println!("admin     {}", simulator.admin_url());
    let Some(script) = script else {
        stop_requested().await;
        simulator.stop().await;
        return Ok(true);
    };
    let report = script::run(simulator.world(), &script, stop_requested()).await;
    simulator.stop().await;
    show(&report);
    if let Some(path) = &args.junit {
        std::fs::write(path, report.junit()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(report.passed())
}

fn read(path: &Path) -> anyhow::Result<Script> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Script::read(&text).with_context(|| path.display().to_string())
}

/// A line for each case.
fn show(report: &Report) {
    for case in &report.cases {
        let seconds = case.took.as_secs_f64();
        match &case.outcome {
            Outcome::Passed => println!("ok      {} ({seconds:.1} s)", case.name),
            Outcome::Failed(why) => println!("FAILED  {} ({seconds:.1} s): {why}", case.name),
            Outcome::Broken(why) => println!("BROKEN  {} ({seconds:.1} s): {why}", case.name),
            Outcome::Skipped(why) => println!("skipped {}: {why}", case.name),
        }
    }
    let passed = report.cases.iter().filter(|case| case.outcome == Outcome::Passed).count();
    println!("{}: {passed} of {} as expected", report.name, report.cases.len());
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
