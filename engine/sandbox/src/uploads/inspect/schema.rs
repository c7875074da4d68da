//! A configuration's schema, as a tenant wrote it: refused when checking against it could not end, so that it can be run on anything.

use std::collections::HashMap;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Bytes of a schema.
pub(crate) const SCHEMA_BYTES: usize = 256 << 10;
/// Schemas that may be asked about one place of a configuration.
const WORK: u64 = 10_000;

/// Compiles a schema. `Err` says what to change.
pub(crate) fn compile(schema: &Value) -> Result<Validator, String> {
    if !schema.is_object() {
        return Err("the configuration's schema must be a JSON object".to_owned());
    }
    let mut seen = HashMap::new();
    every(schema, &mut |node| {
        check_references(schema, node).and_then(|()| work(schema, node, &mut seen, 0).map(|_| ()))
    })?;
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        // Linear in the text, whatever the pattern.
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|error| {
            format!("the configuration's schema is not valid: {}", crate::limits::cut(&error.to_string(), 300))
        })
}

/// All objects in it: more than its schemas, which does no harm.
fn every<'s>(node: &'s Value, visit: &mut impl FnMut(&'s Value) -> Result<(), String>) -> Result<(), String> {
    match node {
        Value::Object(fields) => {
            visit(node)?;
            fields.values().try_for_each(|value| every(value, visit))
        }
        Value::Array(items) => items.iter().try_for_each(|value| every(value, visit)),
        _ => Ok(()),
    }
}

fn check_references(root: &Value, node: &Value) -> Result<(), String> {
    for word in ["$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor"] {
        if node.get(word).is_some_and(Value::is_string) {
            return Err(format!("the configuration's schema must not use {word}; refer to `#/…` by $ref"));
        }
    }
    if node.get("$id").is_some_and(Value::is_string) && !std::ptr::eq(root, node) {
        return Err("only the whole configuration's schema may have an $id".to_owned());
    }
    match node.get("$ref") {
        Some(Value::String(to)) if target(root, to).is_none() => Err(format!(
            "the configuration's schema refers to {:?}, which is not in it: only `#/…` can be referred to",
            crate::limits::cut(to, 100)
        )),
        _ => Ok(()),
    }
}

fn target<'s>(root: &'s Value, reference: &str) -> Option<&'s Value> {
    root.pointer(reference.strip_prefix('#')?)
}

/// How many schemas are asked about the same place when this one is. Infinite ones are refused.
fn work<'s>(
    root: &'s Value,
    node: &'s Value,
    seen: &mut HashMap<*const Value, Option<u64>>,
    depth: u32,
) -> Result<u64, String> {
    let cycle = || "the configuration's schema refers to itself without going into a field".to_owned();
    match seen.get(&std::ptr::from_ref(node)) {
        Some(Some(known)) => return Ok(*known),
        Some(None) => return Err(cycle()),
        None if depth > 200 => return Err("the configuration's schema is nested too deep".to_owned()),
        None => {}
    }
    seen.insert(node, None);
    let mut sum = 1u64;
    let mut add =
        |inner: &'s Value, seen: &mut _| work(root, inner, seen, depth + 1).map(|n| sum = sum.saturating_add(n));
    if let Some(fields) = node.as_object() {
        if let Some(to) = fields.get("$ref").and_then(Value::as_str).and_then(|to| target(root, to)) {
            add(to, seen)?;
        }
        for word in ["not", "if", "then", "else"] {
            if let Some(inner) = fields.get(word) {
                add(inner, seen)?;
            }
        }
        for word in ["allOf", "anyOf", "oneOf"] {
            for inner in fields.get(word).and_then(Value::as_array).into_iter().flatten() {
                add(inner, seen)?;
            }
        }
        for inner in fields.get("dependentSchemas").and_then(Value::as_object).into_iter().flat_map(|all| all.values())
        {
            add(inner, seen)?;
        }
    }
    if sum > WORK {
        return Err("the configuration's schema combines too many schemas about one field".to_owned());
    }
    seen.insert(node, Some(sum));
    Ok(sum)
}

/// Deeper configurations are not checked but refused.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schemas_that_would_never_end_are_refused() {
        let mut doubling = json!({"$defs": {"d0": {"type": "string"}}, "$ref": "#/$defs/d40"});
        for n in 1..=40 {
            let below = format!("#/$defs/d{}", n - 1);
            doubling["$defs"][format!("d{n}")] = json!({"allOf": [{"$ref": below}, {"$ref": below}]});
        }
        for (schema, why) in [
            (json!({"$ref": "#"}), "refers to itself"),
            (json!({"$defs": {"a": {"anyOf": [{"not": {"$ref": "#/$defs/a"}}]}}}), "refers to itself"),
            (doubling, "too many"),
            (json!({"$ref": "https://example.com/schema"}), "only `#/…`"),
            (json!({"$ref": "#/$defs/none"}), "only `#/…`"),
            (json!({"properties": {"x": {"$dynamicRef": "#x"}}}), "$dynamicRef"),
            (json!({"type": "nothing"}), "not valid"),
            (json!({"properties": {"x": {"pattern": "("}}}), "not valid"),
            (json!(true), "JSON object"),
        ] {
            let said = compile(&schema).err().unwrap_or_default();
            assert!(said.contains(why), "{said:?} does not say {why:?}");
        }
    }

    #[test]
    fn a_schema_may_recur_into_fields() {
        let schema = json!({
            "type": "object", "required": ["when"], "properties": {"when": {"$ref": "#/$defs/condition"}, "$ref": {"type": "string"}},
            "$defs": {"condition": {"oneOf": [
                {"type": "object", "required": ["all"], "properties": {"all": {"type": "array", "items": {"$ref": "#/$defs/condition"}}}},
                {"type": "string", "pattern": "^(a+)+$"}
            ]}}
        });
        let schema = compile(&schema).expect("is one");
        assert!(schema.is_valid(&json!({"when": {"all": ["aa", {"all": []}]}})));
        assert!(!schema.is_valid(&json!({"when": {"all": ["b"]}})));
        // A backtracking engine would take forever.
        assert!(!schema.is_valid(&json!({"when": format!("{}b", "a".repeat(60))})));
    }
}
