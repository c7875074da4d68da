//! `pombo plugin logs`: shows a plugin's log, and follows it.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use reqwest::StatusCode;

use super::args::LogsArgs;
use super::engine::{Engine, EngineError};
use super::named;
use super::publish::short;
use super::sse::Reader;
use super::wire::{Line, LogPage};

/// How long to wait before a broken stream is opened again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Maximum number of lines in one response.
const PAGE: usize = 1000;

/// How lines are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Whether as JSON.
    pub(super) json: bool,
    /// Whether with colours.
    pub(super) colours: bool,
}

pub(super) async fn run(args: &LogsArgs) -> anyhow::Result<ExitCode> {
    let name = named(args.name.as_deref(), &args.project)?;
    let engine = Engine::of(&args.engine)?;
    let style = Style { json: args.json, colours: io::stdout().is_terminal() };
    let lines = all(&engine, &name).await?;
    let last = lines.last().map_or(0, |line| line.number);
    for line in &lines[lines.len().saturating_sub(args.lines)..] {
        show(line, style)?;
    }
    if args.follow {
        follow(&engine, &name, last, style).await?;
    } else if lines.is_empty() && !args.json {
        eprintln!("{name} has written nothing since the engine started");
    }
    Ok(ExitCode::SUCCESS)
}

/// All lines that the engine still has: a bounded number.
async fn all(engine: &Engine, name: &str) -> Result<Vec<Line>, EngineError> {
    let mut lines: Vec<Line> = Vec::new();
    loop {
        let after = lines.last().map_or(0, |line| line.number);
        let query = [("after", after.to_string()), ("limit", PAGE.to_string())];
        let page: LogPage = engine.get(&["plugins", name, "logs"], &query).await?;
        let whole = page.data.len() < PAGE;
        lines.extend(page.data);
        if whole {
            return Ok(lines);
        }
    }
}

/// The number of the last line.
pub(super) async fn last_number(engine: &Engine, name: &str) -> Result<u64, EngineError> {
    let query = [("after", "latest".to_owned()), ("limit", "1".to_owned())];
    let page: LogPage = engine.get(&["plugins", name, "logs"], &query).await?;
    Ok(page.next)
}

/// Shows new lines until it is interrupted or the engine says that there will be none (the plugin or the credential no longer
/// exists). A stream that breaks is opened again where it broke.
pub(super) async fn follow(engine: &Engine, name: &str, after: u64, style: Style) -> anyhow::Result<()> {
    let mut last = after;
    let mut told = false;
    loop {
        match engine.stream(&["plugins", name, "logs", "stream"], Some(last)).await {
            Ok(mut response) => {
                told = false;
                let mut reader = Reader::default();
                while let Ok(Some(piece)) = response.chunk().await {
                    for sent in reader.take(&piece) {
                        let Ok(line) = serde_json::from_str::<Line>(&sent.data) else { continue };
                        // After a restart of the engine its numbers begin again.
                        last = line.number;
                        show(&line, style)?;
                    }
                }
            }
            Err(EngineError::Refused(refusal)) if is_final(refusal.status) => {
                return Err(EngineError::Refused(refusal).into());
            }
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    eprintln!("{error}\nwaiting for the engine");
                }
            }
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Whether the same request would get the same answer again.
fn is_final(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS
}

fn show(line: &Line, style: Style) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if style.json {
        let text = serde_json::to_string(line).map_err(io::Error::other)?;
        writeln!(out, "{text}")?;
    } else {
        writeln!(out, "{}", line_text(line, style.colours))?;
    }
    out.flush()
}

/// A line for people: time of day, level, version, text. Control characters are escaped, so that a plugin cannot control the
/// terminal.
fn line_text(line: &Line, colours: bool) -> String {
    let text: String = line
        .text
        .chars()
        .flat_map(|c| match c {
            '\n' => "\n    ".chars().collect::<Vec<_>>(),
            '\t' => vec!['\t'],
            c if c.is_control() => c.escape_unicode().collect(),
            c => vec![c],
        })
        .collect();
    let level = line.level.to_uppercase();
    let level = match (colours, line.level.as_str()) {
        (true, "error") => format!("\x1b[31m{level:<5}\x1b[0m"),
        (true, "warn") => format!("\x1b[33m{level:<5}\x1b[0m"),
        (true, "debug" | "trace") => format!("\x1b[2m{level:<5}\x1b[0m"),
        _ => format!("{level:<5}"),
    };
    format!("{} {level} {} {text}", line.at, short(&line.digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line {
            number: 1,
            at: "2026-01-02T03:04:05.678Z".into(),
            digest: "ab".repeat(32),
            level: "warn".into(),
            instance_id: None,
            text: text.into(),
        }
    }

    #[test]
    fn a_line_says_when_how_and_of_which_version() {
        assert_eq!(line_text(&line("hello"), false), "2026-01-02T03:04:05.678Z WARN  abababababab hello");
        assert!(line_text(&line("hello"), true).contains("\x1b[33mWARN \x1b[0m"));
    }

    #[test]
    fn a_plugin_cannot_write_on_the_terminal() {
        let shown = line_text(&line("a\x1b[2Jb\nc\rd"), false);
        assert!(!shown.contains('\x1b') && !shown.contains('\r'), "{shown:?}");
        assert!(shown.ends_with("a\\u{1b}[2Jb\n    c\\u{d}d"), "{shown:?}");
    }
}
