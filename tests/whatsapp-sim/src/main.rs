//! The WhatsApp simulator as a program: it serves until Ctrl-C, on this machine only, and forgets everything when it ends.

use std::process::ExitCode;

use clap::Parser;
use pombo_whatsapp_sim::world::NewAccount;
use pombo_whatsapp_sim::{Error, Options, Ports, Simulator};
use tracing_subscriber::EnvFilter;

/// A simulated WhatsApp server, for tests and for trying the product without a phone.
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
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,pombo_whatsapp_sim=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("whatsapp-sim: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Error> {
    let ports = Ports { ws: args.listen, media: args.media, admin: args.admin };
    let simulator = Simulator::start(Options { ports }).await?;
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
    stop_requested().await;
    simulator.stop().await;
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
