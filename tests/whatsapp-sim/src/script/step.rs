//! One step of a script, read. `Invariant:` its action and its conditions take what they are given, whatever its references become.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};

use super::condition::Condition;
use super::duration;
use super::reference::{Known, fill};
use crate::admin;

/// How long a step waits for its `when` or its `expect`, unless it says so.
const WITHIN: Duration = Duration::from_secs(30);

/// The actions of the server: their names, and their paths in the admin.
const OF_SERVER: [(&str, &str); 7] = [
    ("account", "accounts"),
    ("announce", "announce"),
    ("clock", "clock"),
    ("fault", "faults"),
    ("group", "groups"),
    ("policy", "policy"),
    ("webVersion", "web-version"),
];

/// The actions of a phone.
const OF_PHONE: [(&str, &str); 7] = [
    ("link", "link"),
    ("read", "read"),
    ("rename", "name"),
    ("scan", "scan"),
    ("send", "send"),
    ("switch", "switch"),
    ("typing", "typing"),
];

/// A step. What it has happens in this order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// From 1.
    pub(super) number: usize,
    pub(super) name: Option<String>,
    /// Not before this much time of the server's clock since the start.
    pub(super) at: Option<Duration>,
    /// Not before this.
    pub(super) when: Option<Value>,
    /// Then, so much time of the server's clock later.
    pub(super) after: Option<Duration>,
    /// The action's path in the admin, and what it is given.
    pub(super) action: Option<(Vec<String>, Value)>,
    pub(super) expect: Option<Value>,
    /// How long `when` and `expect` may take, in the time of the machine.
    pub(super) within: Duration,
    /// How long `expect` must stay true, in the time of the machine.
    pub(super) stays: Duration,
    /// What its answer is called.
    pub(super) named: Option<String>,
}

/// What is known of answers before there are any: their names.
struct Declared<'a> {
    names: &'a BTreeSet<String>,
    found: bool,
}

impl Known for Declared<'_> {
    fn field(&self, name: &str, _: &str) -> Result<Value, String> {
        match name {
            "found" if self.found => Ok("0".into()),
            "found" => Err("`${found.…}` is what the step's own `when` found, and it has none".into()),
            _ if self.names.contains(name) => Ok("0".into()),
            _ => Err(format!("no earlier step has `as: {name}`")),
        }
    }

    fn now(&self) -> u64 {
        // Far from both ends.
        1 << 40
    }
}

impl Step {
    /// Reads a step; `names` are those that earlier steps gave to their answers, and gets this one's. The error says what to change.
    pub(super) fn read(
        number: usize,
        mut written: Map<String, Value>,
        names: &mut BTreeSet<String>,
    ) -> Result<Self, String> {
        let mut time = |key: &str| written.remove(key).map(|value| duration(&value)).transpose();
        let (at, after, within, stays) = (time("at")?, time("after")?, time("within")?, time("for")?);
        let mut text = |key: &str| match written.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("`{key}`: {other} is not a text: put it in quotes")),
        };
        let (name, phone, named) = (text("name")?, text("phone")?, text("as")?);
        let (when, expect) = (written.remove("when"), written.remove("expect"));
        let action = action(written, phone)?;
        if action.is_none() && when.is_none() && expect.is_none() {
            return Err("it does nothing: give it an action, `when` or `expect`".into());
        }
        if stays.is_some() && expect.is_none() {
            return Err("`for` is how long an `expect` stays true, and it has none".into());
        }
        if within.is_some() && when.is_none() && expect.is_none() {
            return Err("`within` is how long `when` or `expect` may take, and it has neither".into());
        }

        let earlier = Declared { names: &*names, found: false };
        let own = Declared { names: &*names, found: when.is_some() };
        for (condition, known) in [(&when, &earlier), (&expect, &own)] {
            if let Some(condition) = condition {
                Condition::read(fill(condition, known)?)?;
            }
        }
        if let Some((path, body)) = &action {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            admin::action(&path, fill(body, &own)?).map(drop).map_err(|refused| refused.reason)?;
        }
        if let Some(named) = &named {
            let allowed = named.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if named.is_empty() || !allowed || named == "now" || named == "found" {
                return Err(format!("`as: {named}`: take letters and digits, and neither `now` nor `found`"));
            }
            names.insert(named.clone());
        }
        Ok(Self {
            number,
            name,
            at,
            when,
            after,
            action,
            expect,
            within: within.unwrap_or(WITHIN),
            stays: stays.unwrap_or_default(),
            named,
        })
    }

    /// What to call it in a report.
    pub(super) fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("{}: {name}", self.number),
            None => match (&self.expect, &self.action) {
                (Some(Value::Object(expected)), _) => {
                    let kind = expected.keys().next().map_or("nothing", String::as_str);
                    format!("{}: {kind}", self.number)
                }
                (_, Some((path, _))) => format!("{}: {}", self.number, path.join("/")),
                _ => format!("{}: when", self.number),
            },
        }
    }
}

fn path_of(key: &str, actions: &[(&str, &str)]) -> Option<String> {
    actions.iter().find(|(name, _)| *name == key).map(|(_, path)| (*path).to_owned())
}

/// The one action among what is left of a step.
fn action(written: Map<String, Value>, phone: Option<String>) -> Result<Option<(Vec<String>, Value)>, String> {
    let mut action = None;
    for (key, body) in written {
        let path = match (path_of(&key, &OF_SERVER), path_of(&key, &OF_PHONE), &phone) {
            (Some(path), ..) => vec![path],
            (None, Some(path), Some(phone)) => vec!["phones".into(), phone.clone(), path],
            (None, Some(_), None) => return Err(format!("`{key}` is what a phone does: say which, with `phone`")),
            (None, None, _) => {
                let names: Vec<&str> = OF_SERVER.iter().chain(&OF_PHONE).map(|(name, _)| *name).collect();
                return Err(format!("there is no `{key}`; actions are {}", names.join(", ")));
            }
        };
        if let Some((_, _, other)) = action.replace((path, body, key.clone())) {
            return Err(format!("`{other}` and `{key}` are two actions: make two steps of them"));
        }
    }
    match (&action, &phone) {
        (None, Some(_)) => return Err("`phone` says whose phone acts, and there is no action".into()),
        (Some((path, ..)), Some(_)) if path.len() == 1 => {
            return Err("`phone` says whose phone acts, and the action is the server's".into());
        }
        _ => {}
    }
    Ok(action.map(|(path, body, _)| (path, body)))
}
