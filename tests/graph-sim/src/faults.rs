//! What goes wrong on demand: a script of rules that requests are matched against. Owned by the world, used under its lock.

use serde::{Deserialize, Serialize};

use crate::world::digits;

/// Most rules at a time.
const MOST: usize = 1000;

/// Which requests a rule means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// The path holds this.
    pub path: Option<String>,
    /// The recipient (`to` or `recipient`) is this; numbers are compared by their digits.
    pub to: Option<String>,
    /// From this matching request on, counted from 1.
    pub nth: Option<u64>,
    /// So many requests; 0 is without end. One, if not given.
    pub count: Option<u64>,
}

/// What the body of a fault looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyShape {
    /// As Graph answers.
    #[default]
    Json,
    /// `error_data` is a text.
    StringErrorData,
    /// A gateway's page.
    Html,
    /// Nothing.
    Empty,
}

/// A rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Which requests.
    #[serde(rename = "match")]
    pub matches: Match,
    /// Meta's code.
    pub code: Option<i64>,
    /// Meta's subcode.
    pub subcode: Option<i64>,
    /// The status, if it is not the code's usual one.
    pub http: Option<u16>,
    /// The details, if they are not the code's usual ones.
    pub details: Option<String>,
    /// The shape of the body.
    pub body: BodyShape,
    /// The request is not answered, and does nothing.
    pub hang: bool,
    /// The request is carried out, and not answered.
    pub hang_after_accept: bool,
    /// The request is carried out, and the connection is cut.
    pub reset_after_accept: bool,
    /// A message is accepted, and fails with the code by a status webhook.
    #[serde(rename = "async")]
    pub later: bool,
}

/// The rules, each with how many requests it matched.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<(Fault, u64)>);

impl Faults {
    /// Adds rules.
    pub(crate) fn add(&mut self, rules: Vec<Fault>) -> anyhow::Result<()> {
        anyhow::ensure!(self.0.len() + rules.len() <= MOST, "at most {MOST} rules");
        self.0.extend(rules.into_iter().map(|rule| (rule, 0)));
        Ok(())
    }

    /// Removes all rules.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether there are none: the body of a request need not be looked at.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rules with their counts.
    pub(crate) fn list(&self) -> &[(Fault, u64)] {
        &self.0
    }

    /// The first rule that strikes this request. Every rule that matches counts it.
    pub(crate) fn strike(&mut self, path: &str, to: Option<&str>) -> Option<Fault> {
        let mut struck = None;
        for (rule, seen) in &mut self.0 {
            if rule.matches.path.as_deref().is_some_and(|part| !path.contains(part)) {
                continue;
            }
            if rule.matches.to.as_deref().is_some_and(|wanted| !to.is_some_and(|to| same(wanted, to))) {
                continue;
            }
            *seen += 1;
            let first = rule.matches.nth.unwrap_or(1).max(1);
            let count = rule.matches.count.unwrap_or(1);
            if *seen >= first && (count == 0 || *seen < first + count) && struck.is_none() {
                struck = Some(rule.clone());
            }
        }
        struck
    }
}

fn same(wanted: &str, to: &str) -> bool {
    wanted == to || (!digits(wanted).is_empty() && digits(wanted) == digits(to))
}
