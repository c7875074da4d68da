//! `pombo plugin dev`: each save becomes the running version, and the log is shown in between.
//!
//! The sources are checked three times a second: this costs less than a millisecond for a plugin's few files and needs no
//! notification mechanism of the system. Builds run on a blocking thread, the log on a separate task.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::args::DevArgs;
use super::engine::{Engine, EngineError};
use super::logs::{self, Style};
use super::project::Project;
use super::publish::{activate, agree, short, upload};
use super::sources::Sources;
use super::toolchain;

/// How often the sources are checked.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// How often an engine that cannot be reached is tried again, in checks of the sources.
const LOOKS_BETWEEN_TRIES: u32 = 5;

/// The state of this session.
#[derive(Default)]
struct Session {
    /// Whether the log is being shown.
    tailing: bool,
    /// Whether the component that was built waits for an engine that cannot be reached.
    waiting: bool,
    /// Versions that this session uploaded, oldest first: only the running one and the previous one stay in the engine.
    uploaded: Vec<String>,
}

pub(super) async fn run(args: &DevArgs) -> anyhow::Result<ExitCode> {
    let project = Project::find(&args.project)?;
    let engine = Engine::of(&args.engine)?;
    eprintln!("{} on {}: it is rebuilt whenever you save a file; Ctrl-C ends", project.name, engine.base());
    let mut session = Session::default();
    loop {
        // Before the build: what is saved while it runs is built next.
        let before = look(&project).await?;
        session.waiting = false;
        if build(&project).await? {
            deliver(args, &project, &engine, &mut session).await?;
        }
        for looks in 1_u32.. {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = look(&project).await?;
            let changed = now.changed(&before, &project.root);
            if let Some(first) = changed.first() {
                let others = if changed.len() > 1 { format!(" and {} more", changed.len() - 1) } else { String::new() };
                eprintln!("\n{}{others} changed", first.display());
                settle(&project, now).await?;
                break;
            }
            if session.waiting && looks.is_multiple_of(LOOKS_BETWEEN_TRIES) {
                deliver(args, &project, &engine, &mut session).await?;
            }
        }
    }
}

/// Waits until nothing changes any longer, because an editor saves several files one after the other.
async fn settle(project: &Project, mut seen: Sources) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(LOOK_EVERY / 3).await;
        let now = look(project).await?;
        if now == seen {
            return Ok(());
        }
        seen = now;
    }
}

async fn look(project: &Project) -> anyhow::Result<Sources> {
    let project = project.clone();
    tokio::task::spawn_blocking(move || Sources::of(&project)).await.context("reading the sources")
}

/// Builds; returns false if the sources have errors, which were reported.
async fn build(project: &Project) -> anyhow::Result<bool> {
    let building = project.clone();
    let built = tokio::task::spawn_blocking(move || toolchain::build(&building)).await.context("the build")?;
    match built {
        Ok(()) => Ok(true),
        Err(error) if error.is_the_sources() => {
            eprintln!("{error}\nwaiting for the next save");
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Brings the component into the engine. If the engine refuses it, says so and waits for the next save; if the engine cannot be
/// reached, waits for it. An invalid credential ends the command.
async fn deliver(args: &DevArgs, project: &Project, engine: &Engine, session: &mut Session) -> anyhow::Result<()> {
    let started = Instant::now();
    let told = session.waiting;
    session.waiting = false;
    match run_it(args, project, engine, session).await {
        Ok(said) => eprintln!("{said} ({:.1} s)", started.elapsed().as_secs_f64()),
        Err(error) => match error.downcast_ref::<EngineError>() {
            Some(EngineError::Refused(refusal)) if refusal.status.as_u16() == 401 => return Err(error),
            Some(EngineError::Unreachable { .. }) => {
                session.waiting = true;
                if !told {
                    eprintln!("{error:#}\nwaiting for the engine");
                }
            }
            _ => eprintln!("{error:#}\nwaiting for the next save"),
        },
    }
    Ok(())
}

/// Makes the component the running version; returns what to say.
async fn run_it(args: &DevArgs, project: &Project, engine: &Engine, session: &mut Session) -> anyhow::Result<String> {
    let uploaded = upload(engine, &project.out, args.key_file.as_deref()).await?;
    let grant = agree(&uploaded, args.grant)?;
    if !std::mem::replace(&mut session.tailing, true) {
        let (engine, name) = (engine.clone(), uploaded.name.clone());
        let after = logs::last_number(&engine, &name).await.unwrap_or(0);
        let style = Style { json: false, colours: io::stdout().is_terminal() };
        tokio::spawn(async move {
            if let Err(error) = logs::follow(&engine, &name, after, style).await {
                eprintln!("the log cannot be shown: {error:#}");
            }
        });
    }
    // Whoever writes it wants to see it fail, not to find an older version running.
    activate(engine, &uploaded, 100, false, grant).await?;
    if session.uploaded.last() != Some(&uploaded.digest) {
        session.uploaded.retain(|digest| *digest != uploaded.digest);
        session.uploaded.push(uploaded.digest.clone());
    }
    // Every save is a version: those that nothing can go back to are taken away. One that still counts is refused, and stays.
    while session.uploaded.len() > 2 {
        let old = session.uploaded.remove(0);
        let _ = engine.delete(&["plugins", &uploaded.name, "versions", &old]).await;
    }
    Ok(format!("{} {} ({}) runs", uploaded.name, uploaded.version, short(&uploaded.digest)))
}
