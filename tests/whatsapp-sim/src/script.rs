//! Scripts: YAML that says what happens in a simulator, and what is expected of the clients that are connected to it. A script has the
//! words of the admin: each step asks for one of its actions, with the same names.
//!
//! # Layout
//! - this file: reading a script, and refusing one that cannot be meant; `yaml`: YAML as JSON; `step`: one step; `reference`: what steps
//!   know of earlier ones (`${reply.id}`); `condition`: what is waited for and expected; `run`: the steps, one after the other, in the task
//!   of the caller; `report`: the outcome as JUnit has it.

mod condition;
mod reference;
mod report;
mod run;
mod step;
mod yaml;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use report::{Case, Outcome, Report};
pub use run::run;
use step::Step;

use crate::admin;

/// The longest script, in bytes.
pub const LONGEST: usize = 1 << 20;

/// A script that cannot be run, and what to change.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not YAML, or YAML that a script does not need.
    #[error("line {line}: {reason}")]
    Yaml {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The whole is not a script.
    #[error("{0}")]
    Shape(String),
    /// A step, or an account before the first one, is not one.
    #[error("{place}: {reason}")]
    Step {
        /// Which.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A script that was read: every action exists and takes what it is given.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    name: String,
    held: bool,
    accounts: Vec<Value>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    clock: Clock,
    #[serde(default)]
    accounts: Vec<Value>,
    steps: Vec<Map<String, Value>>,
}

/// How time passes.
#[derive(Deserialize, Default, PartialEq, Eq, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Clock {
    /// With the machine's.
    #[default]
    Real,
    /// By the script's steps.
    Driven,
}

impl Script {
    /// Reads a script.
    pub fn read(text: &str) -> Result<Self, Error> {
        if text.len() > LONGEST {
            return Err(Error::Shape(format!("a script has at most {LONGEST} bytes")));
        }
        let written: Written = serde_json::from_value(yaml::read(text)?).map_err(|e| Error::Shape(hint(&e)))?;
        for (index, account) in written.accounts.iter().enumerate() {
            admin::action(&["accounts"], account.clone()).map(drop).map_err(|refused| Error::Step {
                place: format!("account {}", index + 1),
                reason: with_hint(refused.reason),
            })?;
        }
        let mut names = BTreeSet::new();
        let mut steps = Vec::with_capacity(written.steps.len());
        for (index, step) in written.steps.into_iter().enumerate() {
            let step = Step::read(index + 1, step, &mut names)
                .map_err(|reason| Error::Step { place: format!("step {}", index + 1), reason: with_hint(reason) })?;
            steps.push(step);
        }
        if steps.is_empty() {
            return Err(Error::Shape("a script needs at least one step".into()));
        }
        Ok(Self {
            name: written.name.unwrap_or_else(|| "script".into()),
            held: written.clock == Clock::Driven,
            accounts: written.accounts,
            steps,
        })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many of its steps expect something.
    pub fn expectations(&self) -> usize {
        self.steps.iter().filter(|step| step.expect.is_some()).count()
    }
}

fn hint(error: &serde_json::Error) -> String {
    with_hint(error.to_string())
}

/// The mistake that everyone makes once.
fn with_hint(reason: String) -> String {
    match reason.contains("invalid type: integer") && reason.contains("expected a string") {
        true => format!("{reason}: put phone numbers in quotes"),
        false => reason,
    }
}

/// A time as scripts write it: seconds, or a number with `ms`, `s`, `m`, `h` or `d`.
fn duration(value: &Value) -> Result<Duration, String> {
    /// Longer waits are mistakes.
    const LONGEST: u64 = 366 * 86_400 * 1000;
    let wrong = || format!("{value} is not a time: write 500ms, 10s, 5m, 2h or 3d, up to a year");
    let (number, unit) = match value {
        Value::Number(seconds) => (seconds.as_u64().ok_or_else(wrong)?, 1000),
        Value::String(text) => {
            let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, unit) = text.split_at(digits);
            let unit = match unit.trim() {
                "ms" => 1,
                "s" => 1000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(wrong()),
            };
            (number.parse().map_err(|_| wrong())?, unit)
        }
        _ => return Err(wrong()),
    };
    match number.checked_mul(unit) {
        Some(milliseconds) if milliseconds <= LONGEST => Ok(Duration::from_millis(milliseconds)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Script::read(text).expect_err("refused").to_string()
    }

    #[test]
    fn a_script_is_read_whole_before_its_first_step() {
        let script = Script::read(
            "name: smoke\nclock: driven\naccounts:\n  - { phone: \"5511900000001\", name: Loja }\nsteps:\n  \
             - { at: 10s, fault: { kind: drop, on: { phone: \"5511900000001\" } } }\n  \
             - { expect: { online: { phone: \"5511900000001\" } }, within: 30s }\n",
        )
        .expect("a script");
        assert_eq!((script.name(), script.expectations(), script.held), ("smoke", 1, true));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        let step = |step: &str| refused(&format!("steps:\n  - {step}\n"));
        let cases = [
            (step("{ fault: { kind: earthquake } }"), vec!["step 1", "earthquake"]),
            (step("{ fault: { kind: nack, code: 463 }, policy: {} }"), vec!["step 1", "fault", "policy"]),
            (step("{ send: { to: \"1\", text: a } }"), vec!["phone"]),
            (step("{ within: 3 fortnights, expect: { linked: { phone: \"1\" } } }"), vec!["fortnights"]),
            (step("{ expect: { weather: {} } }"), vec!["weather"]),
            (step("{ at: 1s }"), vec!["step 1", "nothing"]),
            (step("{ phone: \"1\", read: { id: \"${reply.id}\" } }"), vec!["reply"]),
            (step("{ expect: { message: { at: 5511900000001 } } }"), vec!["in quotes"]),
            (step("{ expect: { message: { at: \"1\", count: 1, atLeast: 1 } } }"), vec!["count", "atLeast"]),
            (refused("accounts: [{ phone: \"1\", colour: red }]\nsteps: []\n"), vec!["account 1", "colour"]),
            (refused("steps: []\n"), vec!["at least one step"]),
            (refused("clock: sundial\nsteps: []\n"), vec!["sundial"]),
            (refused(&" ".repeat(LONGEST + 1)), vec!["bytes"]),
        ];
        for (reason, words) in cases {
            assert!(words.iter().all(|word| reason.contains(word)), "{words:?}: {reason}");
        }
    }

    #[test]
    fn times_have_units() {
        let read = |text: &str| duration(&Value::String(text.into()));
        assert_eq!(read("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(read("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(duration(&Value::from(3)), Ok(Duration::from_secs(3)));
        for wrong in ["", "s", "-1s", "1.5s", "10", "400d", "99999999999999999999s", "18446744073709551615d"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
