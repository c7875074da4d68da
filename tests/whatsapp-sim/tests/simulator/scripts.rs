//! Scripts, those of the documentation first: as a library runs them, and as the program does.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use pombo_whatsapp_sim::peer::{Endpoints, Peer};
use pombo_whatsapp_sim::script::{Outcome, Report, Script, run};
use pombo_whatsapp_sim::{Options, Simulator};
use serde_json::Value;
use whatsapp_rust::Jid;

use crate::stage::{ANA, BIA, eventually};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name)
}

fn script(name: &str) -> Script {
    Script::read(&std::fs::read_to_string(file(name)).expect("there")).expect("a script")
}

fn outcomes(report: &Report) -> Vec<&Outcome> {
    report.cases.iter().map(|case| &case.outcome).collect()
}

/// The program, killed when a test ends before it.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.0.kill().expect("killed");
        }
    }
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whatsapp-sim"));
    command.stdin(Stdio::null());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_runs_a_script_and_writes_what_became_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (junit, journal) = (folder.path().join("junit.xml"), folder.path().join("journal.jsonl"));
    let mut command = command();
    command.arg("--script").arg(file("reconnect.yaml")).arg("--junit").arg(&junit).arg("--journal").arg(&journal);
    let mut program = Program(command.stdout(Stdio::piped()).spawn().expect("starts"));
    let mut output = BufReader::new(program.0.stdout.take().expect("piped"));
    let mut address = |what: &str| {
        let mut line = String::new();
        output.read_line(&mut line).expect("written");
        line.strip_prefix(what).unwrap_or_else(|| panic!("{line:?} is not the {what}")).trim().to_owned()
    };
    let (websocket, _media, admin) = (address("websocket"), address("media"), address("admin"));

    let shop = Peer::pair(Endpoints { websocket, admin }, ANA).await.expect("paired");
    shop.send_text(&Jid::pn(BIA), "pronto").await.expect("sent");
    let rest = tokio::task::spawn_blocking(move || {
        let mut rest = String::new();
        output.read_to_string(&mut rest).expect("text");
        rest
    });
    let rest = rest.await.expect("read");
    let code = program.0.wait().expect("ended").code();
    assert_eq!(code, Some(0), "{rest}");
    assert!(rest.ends_with("reconnect: 4 of 4 as expected\n"), "{rest}");
    assert!(shop.received().iter().any(|m| m.text.as_deref() == Some("Tem pão?")), "the client has it, too");

    let junit = std::fs::read_to_string(junit).expect("written");
    assert!(junit.contains(r#"<testsuite name="reconnect" tests="4" failures="0" errors="0" skipped="0""#), "{junit}");
    let journal = std::fs::read_to_string(journal).expect("written");
    let lines: Vec<Value> = journal.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let device = format!("{ANA}:1");
    let has = |key: &str, value: &str| lines.iter().any(|line| line[key] == value && line["device"] == *device);
    assert!(has("name", "success") && has("name", "message") && has("reason", "cut"), "{journal}");
    assert!(!journal.contains("pronto") && !journal.contains("pão"), "contents stay out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_ends_when_the_driven_clock_says_so() {
    let simulator = Simulator::start(Options::default()).await.expect("starts");
    let script = script("ban.yaml");
    let client = async {
        eventually("the script's accounts", async || simulator.world().account_by_phone(BIA)).await;
        let shop = Peer::pair(Endpoints::from(&simulator), ANA).await.expect("paired");
        shop.send_text(&Jid::pn(BIA), "pronto").await.expect("sent");
        shop.wait_for("the ban", |e| e.told.iter().any(|(what, _)| *what == "ban").then_some(())).await.expect("told");
        let a_day = Duration::from_secs(86_400);
        let clock = &simulator.world().clock;
        eventually("the day after", async || (clock.advanced() >= a_day).then_some(())).await;
        shop.reconnect().await.expect("gets in");
        // Until the script has seen it.
        shop
    };
    let (report, _shop) = tokio::join!(run(simulator.world(), &script, std::future::pending()), client);
    assert!(report.passed(), "{report:?}");
    assert_eq!(report.cases.len(), script.expectations());
    assert!(report.took < Duration::from_secs(3600), "nobody waited for the ban to end");
}

/// A script without a client, which is done at once.
async fn alone(text: &str) -> Report {
    let simulator = Simulator::start(Options::default()).await.expect("starts");
    run(simulator.world(), &Script::read(text).expect("a script"), std::future::pending()).await
}

#[tokio::test]
async fn what_is_not_as_expected_fails_and_the_script_goes_on() {
    let report = alone(
        r#"
accounts: [{ phone: "5511900000001" }, { phone: "5511900000002" }]
steps:
  - { expect: { linked: { phone: "5511900000001" } }, within: 50ms }
  - { expect: { message: { at: "5511900000002", count: 0 } }, for: 50ms }
  - { phone: "5511900000001", send: { to: "5511900000002", text: oi }, as: sent }
  - { expect: { message: { at: "5511900000002", id: "${sent.id}", text: oi, copies: 1 } } }
  - { expect: { message: { at: "5511900000002", count: 0 } } }
  - { expect: { receipt: { at: "5511900000001", id: "${sent.id}", from: "5511900000002", device: 0, kind: delivery } } }
"#,
    )
    .await;
    let expected = [false, true, true, false, true];
    let passed: Vec<bool> = outcomes(&report).iter().map(|outcome| **outcome == Outcome::Passed).collect();
    assert_eq!(passed, expected, "{report:?}");
    assert!(!report.passed());
    assert!(report.took < Duration::from_secs(20), "what cannot become true is not waited for");
}

#[tokio::test]
async fn a_step_that_cannot_be_done_ends_the_script() {
    let report = alone(
        r#"
accounts: [{ phone: "5511900000001" }]
steps:
  - { when: { message: { at: "5511900000001", contains: oi } }, within: 50ms }
  - { name: later, expect: { linked: { phone: "5511900000001", count: 0 } } }
"#,
    )
    .await;
    assert!(matches!(outcomes(&report)[..], [Outcome::Broken(_), Outcome::Skipped(_)]), "{report:?}");
    let report = alone("steps:\n  - { phone: \"5511900000001\", send: { to: \"5511900000002\", text: oi } }\n").await;
    assert!(matches!(outcomes(&report)[..], [Outcome::Broken(why)] if why.contains("5511900000001")), "{report:?}");
}

#[tokio::test]
async fn a_stopped_script_has_not_passed() {
    let simulator = Simulator::start(Options::default()).await.expect("starts");
    let script = Script::read("steps:\n  - { at: 1h, policy: {} }\n").expect("a script");
    let report = run(simulator.world(), &script, std::future::ready(())).await;
    assert!(!report.passed(), "{report:?}");
}

fn ended(script: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("script.yaml");
    std::fs::write(&path, script).expect("written");
    command().arg("--script").arg(&path).output().expect("runs")
}

#[test]
fn the_program_says_by_its_code_how_it_went() {
    let failed = ended(
        "accounts: [{ phone: \"5511900000001\" }]\nsteps: [{ expect: { linked: { phone: \"5511900000001\" } }, within: 10ms }]\n",
    );
    let said = String::from_utf8_lossy(&failed.stdout);
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(said.contains("FAILED  1: linked"), "{said}");
    let wrong = ended("steps:\n  - { fault: { kind: earthquake } }\n");
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(2), "{said}");
    assert!(said.contains("step 1") && said.contains("earthquake"), "{said}");
}
