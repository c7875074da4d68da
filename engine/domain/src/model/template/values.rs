//! Values as a caller gives them, on their way to [`Template::fill`]: names that the tenant gave to numbered variables lead to their
//! numbers, and what a channel would refuse is cleaned where its connector allows that. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::fill::{Filled, HeaderMedia, MAX_SPACES, VariableProblem};
use super::scan::{is_name, names, number};
use super::{Component, HeaderFormat, Template, TemplateFormat};
use crate::model::Attachment;
use crate::{Field, FieldProblem};

/// Names of values that are no variables of a body: they cannot be given to one.
const TAKEN: [&str; 2] = ["header", "offer"];

impl Template {
    /// What is wrong with [`Template::variable_names`]: there must be one for each numbered variable of the body, or none.
    pub fn check_variable_names(&self) -> Vec<FieldProblem> {
        if self.variable_names.is_empty() {
            return Vec::new();
        }
        let variables = self.body().map_or(0, |text| names(text).len());
        if self.format != TemplateFormat::Positional || variables == 0 {
            let message = "must not be given: only the numbered variables of a body can have names besides";
            return vec![FieldProblem::new(Field::VariableNames, message)];
        }
        if self.variable_names.len() != variables {
            let message =
                format!("must be {variables}, one for each variable of the body, in the order of their numbers");
            return vec![FieldProblem::new(Field::VariableNames, message)];
        }
        let mut seen = BTreeSet::new();
        let mut problems = Vec::new();
        for (at, name) in self.variable_names.iter().enumerate() {
            let problem = if !is_name(name) || name.starts_with(|first: char| first.is_ascii_digit()) {
                "must have 1 to 64 letters, digits and underscores, and not begin with a digit"
            } else if TAKEN.contains(&name.as_str()) {
                "is what something else of a template is called; use another name"
            } else if !seen.insert(name) {
                "stands there twice"
            } else {
                continue;
            };
            problems.push(FieldProblem::new(Field::VariableNames.at(at), problem));
        }
        problems
    }

    /// What the tenant calls a variable of the body besides its number.
    pub fn name_besides(&self, variable: &str) -> Option<&str> {
        let place = usize::try_from(number(variable)?).ok()?.checked_sub(1)?;
        self.variable_names.get(place).map(String::as_str)
    }

    /// Values as a caller gives them, under the variables' own names. With `cleans`, those of a connector's template have spaces in place
    /// of line breaks and tabs, and at most four in a row. `Err` names each value that is given by number while others are given by name.
    pub fn own_values(
        &self,
        given: &BTreeMap<String, String>,
        cleans: bool,
    ) -> Result<BTreeMap<String, String>, Vec<VariableProblem>> {
        let numbered = |name: &str| self.variable_names.iter().position(|known| known == name).map(|at| at + 1);
        if given.keys().any(|name| numbered(name).is_some()) {
            let problem = |name: &String| VariableProblem {
                name: name.clone(),
                problem: "is a number, and others are given by their names; use the one or the other".to_owned(),
            };
            let mixed: Vec<_> = given.keys().filter(|name| number(name).is_some()).map(problem).collect();
            if !mixed.is_empty() {
                return Err(mixed);
            }
        }
        let cleans = cleans && self.connector.is_some();
        let own = |(name, value): (&String, &String)| {
            let name = numbered(name).map_or_else(|| name.clone(), |number| number.to_string());
            (name, if cleans { cleaned(value) } else { value.clone() })
        };
        Ok(given.iter().map(own).collect())
    }

    /// What [`Self::fill`] makes of [`Self::own_values`]. A problem has the name that the caller knows.
    pub fn fill_for_send(
        &self,
        given: &BTreeMap<String, String>,
        header: Option<&HeaderMedia>,
        cleans: bool,
    ) -> Result<Filled, Vec<VariableProblem>> {
        let by_number = given.keys().any(|name| number(name).is_some());
        let known = |problem: VariableProblem| match self.name_besides(&problem.name).filter(|_| !by_number) {
            Some(name) => VariableProblem { name: name.to_owned(), ..problem },
            None => problem,
        };
        self.fill(&self.own_values(given, cleans)?, header)
            .map_err(|problems| problems.into_iter().map(known).collect())
    }

    /// What keeps its header from showing this; `file` is the message's first one.
    pub fn header_problem(&self, header: &HeaderMedia, file: Option<&Attachment>) -> Option<String> {
        let Some(format) = self.header_shown() else {
            return Some("must not be given: the header of this template is not a file or a location".to_owned());
        };
        let belongs = match format {
            HeaderFormat::Image => "image/",
            HeaderFormat::Video => "video/",
            // Any file is one to be saved; which of them its channel takes, the connector knows.
            HeaderFormat::Text | HeaderFormat::Document | HeaderFormat::Location => "",
        };
        if file.is_some_and(|file| !file.content_type.starts_with(belongs)) {
            return Some(format!(
                "must be of the format {format}, as the header of this template is; by its content it is not"
            ));
        }
        let problems = self.fill(&BTreeMap::new(), Some(header)).err().unwrap_or_default();
        let is_its_own = |name: &str| ["header", "header.latitude", "header.longitude"].contains(&name);
        problems.into_iter().find(|problem| is_its_own(&problem.name)).map(|problem| problem.problem)
    }

    /// The kind of file, or place, that its header shows; `None` where it shows none.
    pub fn header_shown(&self) -> Option<HeaderFormat> {
        self.components.iter().find_map(|component| match component {
            Component::Header { format, .. } if *format != HeaderFormat::Text => Some(*format),
            Component::SampledHeader { format, .. } => Some(*format),
            _ => None,
        })
    }
}

/// A value with spaces in place of line breaks and tabs, and without more than [`MAX_SPACES`] in a row. A line's end of two characters is
/// one space.
fn cleaned(value: &str) -> String {
    let mut written = String::with_capacity(value.len());
    let (mut spaces, mut before) = (0, ' ');
    for c in value.chars() {
        let is_second = before == '\r' && c == '\n';
        before = c;
        if is_second {
            continue;
        }
        let c = if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c };
        spaces = if c == ' ' { spaces + 1 } else { 0 };
        if spaces <= MAX_SPACES.len() {
            written.push(c);
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{order, template};
    use super::*;
    use crate::model::message::MessageAction;

    const BODY: &str = "Olá {{1}}, seu código é {{2}}.";

    fn numbered(names: &[&str]) -> Template {
        let variable_names = names.iter().map(|name| (*name).to_owned()).collect();
        Template { variable_names, ..template(TemplateFormat::Positional, json!([{"type": "body", "text": BODY}])) }
    }

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn wrong(template: &Template, pairs: &[(&str, &str)]) -> Vec<String> {
        let problems = template.fill_for_send(&given(pairs), None, false).expect_err("something is wrong");
        problems.into_iter().map(|problem| problem.name).collect()
    }

    #[test]
    fn numbered_variables_are_given_by_their_names_or_by_their_numbers() {
        let template = numbered(&["nome", "codigo"]);
        for pairs in [[("nome", "João"), ("codigo", "A")], [("1", "João"), ("2", "A")]] {
            let filled = template.fill_for_send(&given(&pairs), None, false).expect("complete");
            assert_eq!(filled.text, "Olá João, seu código é A.");
            let MessageAction::Other(own) = filled.action else { panic!("content of the connector's own") };
            assert!(own.value.contains(r#""name":"2""#), "the channel knows its number: {}", own.value);
        }
        assert_eq!(wrong(&template, &[("nome", "João"), ("2", "A")]), ["2"], "a mix");
        assert_eq!(wrong(&template, &[("nome", "João")]), ["codigo"]);
        assert_eq!(wrong(&template, &[("1", "João")]), ["2"]);
        assert_eq!(wrong(&template, &[]), ["nome", "codigo"]);
        assert_eq!(wrong(&template, &[("nome", "João"), ("codigo", "A"), ("outro", "x")]), ["outro"]);
        assert_eq!(wrong(&numbered(&[]), &[("nome", "João"), ("codigo", "A")]), ["1", "2", "codigo", "nome"]);
    }

    #[test]
    fn names_are_one_for_each_variable_and_cannot_be_mistaken() {
        let problems = |names: &[&str]| {
            let found = numbered(names).check_variable_names();
            found.into_iter().map(|problem| problem.field.to_string()).collect::<Vec<_>>()
        };
        assert!(problems(&[]).is_empty() && problems(&["nome", "código_1"]).is_empty());
        assert_eq!(problems(&["nome"]), ["variable_names"]);
        assert_eq!(problems(&["a", "b", "c"]), ["variable_names"]);
        for bad in ["", "1", "2x", "a b", "a.b", "header", "offer", "nome", &"x".repeat(65)] {
            assert_eq!(problems(&["nome", bad]), ["variable_names[1]"], "{bad:?}");
        }
        let named = Template { format: TemplateFormat::Named, ..numbered(&["nome", "codigo"]) };
        assert_eq!(named.check_variable_names().len(), 1, "they have names already");
    }

    #[test]
    fn a_header_shows_a_file_of_its_format_or_a_place() {
        let with = |format: &str| {
            let header = json!({"type": "header", "format": format});
            template(TemplateFormat::Named, json!([header, {"type": "body", "text": "Oi {{nome}}, tudo bem?"}]))
        };
        let file = |content_type: &str| Attachment {
            id: uuid::Uuid::from_u128(1),
            file_name: "a".to_owned(),
            content_type: content_type.to_owned(),
            size: 1,
        };
        let attached = |of: &str, content_type: &str| {
            with(of).header_problem(&HeaderMedia::Attachment, Some(&file(content_type))).is_none()
        };
        assert!(attached("image", "image/png") && attached("video", "video/mp4") && attached("document", "text/plain"));
        assert!(!attached("image", "video/mp4") && !attached("video", "application/pdf"));
        assert!(!attached("location", "image/png"));
        let link = |of: &str, link: &str| with(of).header_problem(&HeaderMedia::Link(link.to_owned()), None).is_none();
        assert!(link("image", "https://x.com/a.png") && !link("image", "file:///a.png"));
        let place = |of: &str, latitude| {
            let place = HeaderMedia::Location { latitude, longitude: 1.0, title: None, address: None };
            with(of).header_problem(&place, None).is_none()
        };
        assert!(place("location", 1.5) && !place("location", 91.0) && !place("image", 1.5));
        assert!(order().header_problem(&HeaderMedia::Attachment, None).is_some(), "its header is a text");
    }

    #[test]
    fn values_are_cleaned_only_for_a_channel_that_refuses_them() {
        let template = numbered(&["nome", "codigo"]);
        let values = given(&[("nome", "João\r\nda\tSilva"), ("codigo", "A      B")]);
        assert!(template.fill_for_send(&values, None, false).is_err());
        let filled = template.fill_for_send(&values, None, true).expect("cleaned");
        assert_eq!(filled.text, "Olá João da Silva, seu código é A    B.");
        let own = Template { connector: None, ..template };
        assert!(own.fill_for_send(&values, None, true).expect("complete").text.contains("João\r\nda\tSilva"));
        let blank = given(&[("nome", "\n\n"), ("codigo", "A")]);
        let blank = numbered(&["nome", "codigo"]).fill_for_send(&blank, None, true).expect_err("nothing is left");
        assert_eq!(blank[0].name, "nome");
    }
}
