//! `sdk/README.md`, word for word: its commands are run in a shell, in the order in which they stand, once for each language, on
//! an engine that was just started. What the page shows of the projects' code is in the projects.
//!
//! The first block, `make run`, is not run: the test starts what it starts, on other ports, and says where in the variables that
//! the second block would otherwise set itself.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use pombo_tests::process::{root, target};
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::text_of;
use pombo_tests::wait::until;
use pombo_tests::whatsapp::{WhatsApp, plugins};
use serde_json::json;

/// The page promises ten minutes, most of which are for reading. A busy machine that has to fetch everything first may take longer.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

#[test]
fn the_tutorial_in_rust() -> Result<()> {
    tutorial("rust")
}

#[test]
fn the_tutorial_in_typescript() -> Result<()> {
    tutorial("js")
}

#[test]
fn the_tutorial_in_python() -> Result<()> {
    tutorial("python")
}

#[test]
fn the_code_that_the_page_shows_is_the_templates() -> Result<()> {
    let page = page()?;
    for (language, file) in [
        ("rust", "rust/template/src/lib.rs"),
        ("ts", "js/template/src/automation.ts"),
        ("python", "python/template/automation.py"),
    ] {
        let shown = blocks(&page, language);
        ensure!(!shown.is_empty(), "the page shows nothing in {language}");
        let template = std::fs::read_to_string(root().join("sdk").join(file))?;
        for code in shown {
            ensure!(template.contains(&code), "sdk/{file} does not have what sdk/README.md shows of it:\n{code}");
        }
    }
    Ok(())
}

/// Runs the page's commands with `SDK` set, and checks what they say at the turning points.
fn tutorial(language: &str) -> Result<()> {
    let page = page()?;
    let mut commands = blocks(&page, "sh").into_iter();
    ensure!(commands.next().as_deref() == Some("make run\n"), "the page does not begin with `make run`");
    let commands: Vec<String> = commands.collect();
    ensure!(commands.len() >= 8, "the page has {} blocks of commands only", commands.len());

    let whatsapp = WhatsApp::start(&["5511900000001", "5511900000002"])?;
    let config = format!("[sandbox]\nplugin_dir = {:?}\n", plugins().display().to_string());
    let engine = Server::start(Options::only(&config))?;
    let folder = Folder::make(&engine)?;
    let script = folder.path().join("tutorial.sh");
    std::fs::write(&script, told(&commands))?;

    // Kept for people who change the page.
    let transcripts = target().join("tutorial");
    std::fs::create_dir_all(&transcripts)?;
    let shown = transcripts.join(format!("{language}.txt"));
    let output = File::create(&shown)?;
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail"]).arg(&script).current_dir(folder.path());
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
    // What cargo tells a test is not for the cargo that the tutorial runs.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_cargos(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    let servers = whatsapp.config(&json!({}));
    command.env("SDK", language).env("POMBO_URL", format!("http://{}", engine.address()));
    command.env("PHONES", whatsapp.endpoints().admin);
    command.env("WHATSAPP", text_of(&servers, "serverHost")?).env("MEDIA", text_of(&servers, "mediaHost")?);
    let mut shell = Group(command.spawn()?);
    let ended = until("the tutorial to end", PATIENCE, || Ok(shell.0.try_wait()?));
    drop(shell);
    let said = std::fs::read_to_string(&shown)?;
    let whole = || format!("the tutorial in {language}:\n{said}\n--- the engine's log ends with\n{}", engine.log_end());
    let status = ended.with_context(whole)?;
    ensure!(status.success(), "{status}: {}", whole());
    for expected in [
        "What is your name?",
        "Nice to meet you, Ana!",
        "It answers differently.",
        "Welcome back, Ana!",
        "AUTOMATION_ACTIVE",
        "Hello from a person",
        ", signed)",
    ] {
        ensure!(said.contains(expected), "nothing says {expected:?}: {}", whole());
    }
    let run = said.lines().filter(|line| line.starts_with("--- block ")).count();
    ensure!(run == commands.len(), "{run} of {} blocks were run: {}", commands.len(), whole());
    Ok(())
}

/// The commands as one script that says which block it is at.
fn told(commands: &[String]) -> String {
    commands.iter().enumerate().map(|(number, block)| format!("echo '--- block {number}'\n{block}\n")).collect()
}

fn page() -> Result<String> {
    Ok(std::fs::read_to_string(root().join("sdk/README.md"))?)
}

/// The fenced blocks of this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(fenced) = line.strip_prefix("```") else { continue };
        let block: String = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        if fenced == language {
            found.push(block);
        }
    }
    found
}

fn is_cargos(name: &str) -> bool {
    (name.starts_with("CARGO") && name != "CARGO_HOME") || name.starts_with("RUST") && name != "RUSTUP_HOME"
}

/// Where the reader stands: a folder with the repository's `target` and the engine's `data`.
struct Folder(tempfile::TempDir);

impl Folder {
    fn make(engine: &Server) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("pombo-tutorial-").tempdir()?;
        let target: PathBuf = target().canonicalize()?;
        std::os::unix::fs::symlink(target, folder.path().join("target"))?;
        std::os::unix::fs::symlink(engine.data(), folder.path().join("data"))?;
        if !engine.data().join("demo.json").is_file() {
            bail!("the engine made no demo.json");
        }
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A shell and whatever it started; none of it outlives the test.
struct Group(std::process::Child);

impl Drop for Group {
    fn drop(&mut self) {
        // The group has its leader's number, which is free only once the leader was waited for and nobody is left in the group.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}
