//! Texts of a channel's template that become too long with the values of their variables: a channel would refuse such a message. Pure.

use std::collections::BTreeMap;

use super::check::{MAX_BODY_CHARS, MAX_HEADER_CHARS};
use super::fill::VariableProblem;
use super::scan::{names, replaced};
use super::{Component, HeaderFormat, Template};

impl Template {
    /// What becomes too long with these values. The variable with the longest value is named: shortening it helps most. Cards are not
    /// looked at.
    pub(super) fn too_long(&self, given: &BTreeMap<String, String>) -> Vec<VariableProblem> {
        let mut problems = Vec::new();
        for component in &self.components {
            let (what, text, most) = match component {
                Component::Header { format: HeaderFormat::Text, text: Some(text), .. } => {
                    ("header", text, MAX_HEADER_CHARS)
                }
                Component::Body { text, .. } => ("body", text, MAX_BODY_CHARS),
                _ => continue,
            };
            let key = |name: &str| match what {
                "header" => self.header_key("", name),
                _ => name.to_owned(),
            };
            let value = |name: &str| given.get(&key(name)).map(String::as_str);
            let length = replaced(text, value).chars().count();
            let longest =
                names(text).into_iter().max_by_key(|name| value(name).map_or(0, |value| value.chars().count()));
            if let Some(name) = longest.filter(|_| length > most) {
                let problem = format!(
                    "is too long: with the values, the {what} has {length} characters, and must have at most {most}"
                );
                problems.push(VariableProblem { name: key(name), problem });
            }
        }
        problems
    }
}
