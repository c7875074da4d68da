//! Whether the tests of a condition hold.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::answer;
use crate::model::{Relation, Test};
use crate::text::{fill_value, plain, shown};

/// Whether the variables pass a test. Numbers are compared as numbers, also where they are written as text; all else as plain text.
pub fn holds(test: &Test, variables: &BTreeMap<String, Value>) -> bool {
    let value = variables.get(&test.variable).unwrap_or(&Value::Null);
    let with = fill_value(&test.value, variables);
    let empty = shown(value).trim().is_empty();
    let number = |value: &Value| value.as_f64().or_else(|| answer::number(value.as_str()?));
    let order = match (number(value), number(&with)) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        _ => Some(plain(&shown(value)).cmp(&plain(&shown(&with)))),
    };
    match test.is {
        Relation::Equal => order.is_some_and(|order| order.is_eq()),
        Relation::NotEqual => order.is_none_or(|order| order.is_ne()),
        Relation::Less => !empty && order.is_some_and(|order| order.is_lt()),
        Relation::AtMost => !empty && order.is_some_and(|order| order.is_le()),
        Relation::More => !empty && order.is_some_and(|order| order.is_gt()),
        Relation::AtLeast => !empty && order.is_some_and(|order| order.is_ge()),
        Relation::Contains => match value {
            Value::Array(items) => items.contains(&with),
            _ => plain(&shown(value)).contains(&plain(&shown(&with))),
        },
        Relation::Set => !empty,
        Relation::Unset => empty,
    }
}
