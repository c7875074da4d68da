//! What a plugin asks for, in a form in which a person can decide, and the person's answer.

use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write};

use pombo_domain::model;

use super::wire::Wants;

/// Why there is no consent.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConsentError {
    #[error(
        "it asks for more than was granted and there is no terminal to ask on: check the list above and pass --grant to consent"
    )]
    NobodyToAsk,
    #[error("not granted: the version is uploaded but waits for consent; `pombo plugin publish` asks again")]
    Declined,
    #[error("cannot read the answer: {0}")]
    Io(#[from] io::Error),
}

/// Whether it asks for something that it was not granted.
pub(super) fn is_needed(wants: &Wants, granted: Option<&Wants>) -> bool {
    let granted = granted.map(model::Wants::from).unwrap_or_default();
    !model::Wants::from(wants).within(&granted)
}

/// A table of what it asks for; each row that is new or more than before is marked. Empty if it asks for nothing.
pub(super) fn table(wants: &Wants, granted: Option<&Wants>) -> String {
    let none = Wants::default();
    let before = granted.unwrap_or(&none);
    let mut rows: Vec<(&str, String, Option<String>)> = Vec::new();
    for host in &wants.hosts {
        rows.push(("connections to", host_text(host), (!before.hosts.contains(host)).then(|| "new".to_owned())));
    }
    for capability in &wants.capabilities {
        let mark = (!before.capabilities.contains(capability)).then(|| "new".to_owned());
        rows.push(("host interface", capability.clone(), mark));
    }
    let mut amount = |what, wanted: u64, had: u64, shown: &dyn Fn(u64) -> String| {
        if wanted > 0 {
            let more = match had {
                0 => "new".to_owned(),
                _ => format!("was {}", shown(had)),
            };
            rows.push((what, shown(wanted), (wanted > had).then_some(more)));
        }
    };
    amount("key/value store", wants.kv_bytes, before.kv_bytes, &bytes_text);
    amount("CPU time per call", wants.cpu_ms.into(), before.cpu_ms.into(), &|n| format!("{n} ms"));
    amount("memory per call", wants.memory_bytes, before.memory_bytes, &bytes_text);
    amount("events per minute", wants.events_per_minute.into(), before.events_per_minute.into(), &|n| n.to_string());

    let width = rows.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (what, value, mark) in rows {
        let line = match mark {
            // Without an earlier grant everything is new, and saying so tells nothing.
            Some(mark) if granted.is_some() => format!("  {what:<22} {value:<width$}  ({mark})"),
            _ => format!("  {what:<22} {value}"),
        };
        // A string takes it.
        let _ = writeln!(text, "{line}");
    }
    text
}

/// Asks on the terminal.
pub(super) fn ask(question: &str) -> Result<(), ConsentError> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(ConsentError::NobodyToAsk);
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if is_yes(&answer) { Ok(()) } else { Err(ConsentError::Declined) }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// A host from the plugin's description, in words: `=x` is a server, `=*.x` all servers below it, anything else a configuration
/// field.
fn host_text(host: &str) -> String {
    match host.strip_prefix('=') {
        Some(server) => match server.strip_prefix("*.") {
            Some(suffix) => format!("any server below {suffix}"),
            None => server.to_owned(),
        },
        None => format!("the server in the configuration's {host}"),
    }
}

/// Bytes for people: exact if the number is round, otherwise with one decimal.
pub(super) fn bytes_text(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (name, unit) in UNITS {
        if bytes >= unit {
            let tenths = (u128::from(bytes) * 10 + u128::from(unit) / 2) / u128::from(unit);
            return match tenths % 10 {
                0 => format!("{} {name}", tenths / 10),
                part => format!("{}.{part} {name}", tenths / 10),
            };
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants() -> Wants {
        Wants {
            hosts: vec!["=api.acme.test".into(), "=*.cdn.test".into(), "orders.url".into()],
            kv_bytes: 1 << 20,
            cpu_ms: 50,
            ..Wants::default()
        }
    }

    #[test]
    fn a_first_version_shows_everything_without_marks() {
        let shown = table(&wants(), None);
        let expected = "  connections to         api.acme.test\n  \
                          connections to         any server below cdn.test\n  \
                          connections to         the server in the configuration's orders.url\n  \
                          key/value store        1 MiB\n  \
                          CPU time per call      50 ms\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_later_version_shows_what_is_more() {
        let before = Wants {
            hosts: vec!["=api.acme.test".into(), "orders.url".into()],
            kv_bytes: 1 << 19,
            cpu_ms: 80,
            ..Wants::default()
        };
        let shown = table(&wants(), Some(&before));
        let marked: Vec<&str> = shown.lines().filter(|line| line.ends_with(')')).map(str::trim).collect();
        assert_eq!(marked.len(), 2, "{shown}");
        assert!(
            marked[0].starts_with("connections to")
                && marked[0].ends_with("any server below cdn.test                     (new)"),
            "{shown}"
        );
        assert!(marked[1].starts_with("key/value store") && marked[1].ends_with("(was 512 KiB)"), "{shown}");
    }

    #[test]
    fn consent_is_needed_for_more_only() {
        assert!(is_needed(&wants(), None));
        assert!(!is_needed(&wants(), Some(&wants())));
        assert!(!is_needed(&Wants::default(), None));
        assert!(is_needed(&Wants { cpu_ms: 51, ..wants() }, Some(&wants())));
        assert!(!is_needed(&Wants { cpu_ms: 10, ..wants() }, Some(&wants())));
        assert_eq!(table(&Wants::default(), None), "");
    }

    #[test]
    fn only_a_clear_yes_is_one() {
        assert!(["y\n", "Y", " yes "].into_iter().all(is_yes));
        assert!(["", "\n", "n", "yess", "sim?"].into_iter().all(|a| !is_yes(a)));
    }

    #[test]
    fn bytes_are_round_where_they_are_round() {
        let shown = [0, 1023, 1024, 1536, 1 << 20, (5 << 20) + (1 << 18), 3 << 30].map(bytes_text);
        assert_eq!(shown, ["0 bytes", "1023 bytes", "1 KiB", "1.5 KiB", "1 MiB", "5.3 MiB", "3 GiB"]);
    }
}
