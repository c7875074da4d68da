//! Compares what the engine shows of a campaign, and what Graph got, with what must have become of each recipient.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Drill;
use super::people::{Fate, Refusal};
use crate::campaigns::api::counted;
use crate::tenant::text_of;

/// The word of a row's status and the code that go with a fate.
fn expected(fate: Fate) -> (&'static str, Option<String>) {
    match fate {
        Fate::Delivered | Fate::AnswerLost => ("delivered", None),
        Fate::NoWhatsApp => ("failed", Some("131026".to_owned())),
        Fate::FailsLate(code) => ("failed", Some(code.to_string())),
        Fate::RefusesLater(Refusal::OfEverything) => ("skipped", Some("opted_out".to_owned())),
        Fate::RefusesMarketing | Fate::RefusesLater(_) => ("skipped", Some("refused".to_owned())),
    }
}

/// Each recipient has one row, and that says what became of it, with a reason where it was not delivered.
pub(super) fn outcomes(drill: &Drill) -> Result<()> {
    let rows = drill.rows()?;
    ensure!(rows.len() == drill.people.len() + 1, "{} rows for {} people", rows.len(), drill.people.len());
    let mut by_number: HashMap<String, Vec<&Value>> = HashMap::new();
    for row in &rows {
        by_number.entry(text_of(row, "to")?.trim_start_matches('+').to_owned()).or_default().push(row);
    }
    for (place, person) in drill.people.iter().enumerate() {
        let rows = by_number.get(&person.phone).with_context(|| format!("{} has no row", person.phone))?;
        ensure!(rows.len() == if place == 0 { 2 } else { 1 }, "{}: {rows:?}", person.phone);
        let (status, code) = expected(person.fate);
        let row = rows[0];
        let shown = text_of(row, "status")?.to_lowercase();
        ensure!(shown == status, "{:?} is {shown}: {row}", person.fate);
        // Also where the engine was killed after it was told of a failure and before it had the answer to the send.
        let shown = row["code"].as_str().map(str::to_lowercase);
        ensure!(shown == code, "{:?}: {row}", person.fate);
        if status == "failed" {
            ensure!(row["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "no reason: {row}");
        }
    }
    let again = by_number[&drill.people[0].phone][1];
    ensure!(text_of(again, "status")?.to_lowercase() == "skipped", "{again}");
    ensure!(text_of(again, "code")?.to_lowercase() == "duplicate", "{again}");
    Ok(())
}

/// The counters are those of the rows, and their sum is all of them.
pub(super) fn counts(drill: &Drill) -> Result<()> {
    let shown = drill.shown()?;
    let mut by_status: BTreeMap<String, u64> = BTreeMap::new();
    for row in drill.rows()? {
        *by_status.entry(text_of(&row, "status")?.to_lowercase()).or_default() += 1;
    }
    let mut sum = 0;
    for word in ["pending", "queued", "accepted", "delivered", "read", "failed", "skipped", "canceled", "unknown"] {
        let counted = counted(&shown, word)?;
        ensure!(counted == by_status.get(word).copied().unwrap_or(0), "{word}: {counted}, {by_status:?}");
        sum += counted;
    }
    ensure!(sum == drill.people.len() as u64 + 1, "{sum} rows are counted");
    Ok(())
}

/// Graph accepted one message for each who was to get one, with the parameters of the row, and none for anybody else; no limit was broken.
pub(super) fn graph(drill: &Drill) -> Result<()> {
    let mut got: HashMap<String, Vec<Value>> = HashMap::new();
    for body in drill.graph.accepted()? {
        got.entry(text_of(&body, "to")?.trim_start_matches('+').to_owned()).or_default().push(body);
    }
    for person in &drill.people {
        let bodies = got.remove(&person.phone).unwrap_or_default();
        ensure!(bodies.len() == usize::from(person.is_written_to()), "{:?} got {}", person.fate, bodies.len());
        for body in bodies {
            let given = &body["template"]["components"][0]["parameters"][0]["text"];
            ensure!(*given == person.name.as_str(), "{} got {given}", person.name);
        }
    }
    ensure!(got.is_empty(), "{} others were written to", got.len());
    drill.graph.nothing_violated()
}
