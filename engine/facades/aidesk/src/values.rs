//! How fields are read that are more than a text: numbers of things, and the variables of a template. And how bodies are declared.

use std::collections::BTreeMap;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use pombo_api::fields::{Field, Scalars, Wanted, required};
use pombo_domain::FieldProblem;
use serde_json::Value;

/// The largest whole number that a JSON number holds exactly.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// A JSON number, `None` where it is not the number of anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number(Option<u64>);

impl Wanted<'_> for Number {
    const NAME: &'static str = "a whole number";

    fn number(number: f64) -> Option<Self> {
        let is_one = number.fract() == 0.0 && (1.0..=MAX_EXACT).contains(&number);
        Some(Self(is_one.then_some(number as u64)))
    }
}

/// The number of a thing, if it is given.
pub(crate) fn number(given: Field<Number>, name: &'static str, problems: &mut Vec<FieldProblem>) -> Option<u64> {
    let given = given.take(name, problems)?;
    if given.0.is_none() {
        problems.push(FieldProblem::new(name, "must be a whole number of 1 or more"));
    }
    given.0
}

/// The number of a thing; required.
pub(crate) fn required_number(
    given: Field<Number>,
    name: &'static str,
    problems: &mut Vec<FieldProblem>,
) -> Option<u64> {
    let given = number(given, name, problems);
    required(name, given, problems)
}

/// The values of a template's variables, each as text. A null is not given.
pub(crate) fn variables(given: Option<Scalars>) -> BTreeMap<String, String> {
    let Some(Scalars(json)) = given else { return BTreeMap::new() };
    // It was written as JSON a moment ago.
    let values: BTreeMap<String, Value> = serde_json::from_str(&json).unwrap_or_default();
    let text = |(name, value): (String, Value)| match value {
        Value::Null => None,
        Value::String(text) => Some((name, text)),
        other => Some((name, other.to_string())),
    };
    values.into_iter().filter_map(text).collect()
}

/// A schema that stands where it is used.
pub(crate) fn inline(schema: MetaSchema) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(schema))
}

/// A text with a description.
pub(crate) fn described(description: &'static str) -> MetaSchema {
    MetaSchema { description: Some(description), ..MetaSchema::new("string") }
}

/// The number of a thing, as the document has it.
pub(crate) fn number_schema(description: &'static str, nullable: bool) -> MetaSchemaRef {
    inline(MetaSchema {
        description: Some(description),
        minimum: Some(1.0),
        maximum: Some(MAX_EXACT),
        nullable,
        ..MetaSchema::new_with_format("integer", "int64")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> (Option<u64>, Vec<String>) {
        let mut problems = Vec::new();
        let given: Field<Number> = serde_json::from_str(json).expect("JSON");
        let found = number(given, "queue_id", &mut problems);
        (found, problems.iter().map(|problem| problem.message.clone()).collect())
    }

    #[test]
    fn only_a_whole_json_number_names_a_thing() {
        assert_eq!(read("5"), (Some(5), vec![]));
        assert_eq!(read("5.0"), (Some(5), vec![]));
        assert_eq!(read("null"), (None, vec![]));
        assert_eq!(read("9007199254740991"), (Some(9_007_199_254_740_991), vec![]));
        for bad in ["0", "-1", "1.5", "1e300", "9007199254740993"] {
            assert_eq!(read(bad), (None, vec!["must be a whole number of 1 or more".to_owned()]), "{bad}");
        }
        assert_eq!(read("\"5\"").1, ["must be a whole number, not a text"]);
        assert_eq!(read("[5]").1, ["must be a whole number, not an array"]);
    }

    #[test]
    fn variables_are_texts() {
        let given = Scalars(r#"{"nome":"João","n":5,"ok":true,"nada":null}"#.to_owned());
        let expected = [("n", "5"), ("nome", "João"), ("ok", "true")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(variables(Some(given)), BTreeMap::from(expected));
        assert_eq!(variables(None), BTreeMap::new());
    }
}
