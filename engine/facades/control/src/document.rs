//! Adds to the document what the framework cannot express: a parameter that stands for the rest of a path, operations of a tenant take
//! the operator's header, bodies accept only declared fields, a field that may be null is
//! the type it names or null, and a whole number has the bounds of its format.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::access::TENANT_HEADER;

const SCHEMAS: &str = "#/components/schemas/";

/// The document as it is served.
pub(crate) fn complete(document: &str) -> String {
    let Ok(mut document) = serde_json::from_str::<Value>(document) else {
        return document.to_owned();
    };
    open_paths(&mut document);
    name_the_tenant(&mut document);
    plain_nullable(&mut document);
    bounded(&mut document);
    spelt(&mut document);
    for name in request_schemas(&document) {
        if let Some(Value::Object(schema)) = document["components"]["schemas"].get_mut(&name)
            && schema.contains_key("properties")
        {
            schema.insert("additionalProperties".to_owned(), json!(false));
        }
    }
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// A path that ends in `*name` is written with a parameter of this name. OpenAPI has no word for one of several segments.
fn open_paths(document: &mut Value) {
    let Some(paths) = document["paths"].as_object_mut() else { return };
    let open: Vec<String> = paths.keys().filter(|path| path.contains("/*")).cloned().collect();
    for path in open {
        let (Some((above, name)), Some(mut item)) = (path.rsplit_once("/*"), paths.remove(&path)) else { continue };
        let parameter = json!({
            "name": name,
            "schema": {"type": "string"},
            "in": "path",
            "description": "The rest of the path; it may have several segments.",
            "required": true,
            "deprecated": false,
            "explode": true
        });
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
                parameters.push(parameter.clone());
            }
        }
        paths.insert(format!("{above}/{{{name}}}"), item);
    }
}

/// The schemas of request bodies, and those that they refer to.
fn request_schemas(document: &Value) -> BTreeSet<String> {
    let mut open = Vec::new();
    for operation in document["paths"].as_object().into_iter().flat_map(Map::values).filter_map(Value::as_object) {
        for body in operation.values().filter_map(|operation| operation.get("requestBody")) {
            references(body, &mut open);
        }
    }
    let mut found = BTreeSet::new();
    while let Some(name) = open.pop() {
        references(&document["components"]["schemas"][&name], &mut open);
        if !found.insert(name) {
            open.retain(|name| !found.contains(name));
        }
    }
    found
}

fn references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(name) = map.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix(SCHEMAS)) {
                into.push(name.to_owned());
            }
            map.values().for_each(|value| references(value, into));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, into)),
        _ => {}
    }
}

/// Whatever a tenant may do, the operator may do for it: those operations take the header that names the tenant.
fn name_the_tenant(document: &mut Value) {
    let header = json!({
        "name": TENANT_HEADER,
        "schema": {"type": "string", "format": "uuid"},
        "in": "header",
        "description": "With the operator token: id of the tenant to act for. Where plugins and trust roots are concerned it may be \
                        omitted: then the operator acts for the engine itself.",
        "required": false,
        "deprecated": false,
        "explode": true
    });
    let items = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for operation in items.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        let may = |scheme: &str| {
            let schemes = operation["security"].as_array().into_iter().flatten();
            schemes.filter_map(Value::as_object).any(|named| named.contains_key(scheme))
        };
        if !(may("operator") && may("bearer")) {
            continue;
        }
        if let Some(operation) = operation.as_object_mut() {
            let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
            if let Some(parameters) = parameters.as_array_mut() {
                parameters.insert(0, header.clone());
            }
        }
    }
}

/// The framework repeats a field's own attributes next to its reference, inside `allOf`; there, `nullable` has no meaning.
fn plain_nullable(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let own = map.clone();
            if let Some(Value::Array(all)) = map.get_mut("allOf") {
                let repeats = |part: &Value| {
                    part.as_object().is_some_and(|part| part.iter().all(|(name, value)| own.get(name) == Some(value)))
                };
                all.retain(|part| !repeats(part));
            }
            map.values_mut().for_each(plain_nullable);
        }
        Value::Array(list) => list.iter_mut().for_each(plain_nullable),
        _ => {}
    }
}

/// The framework writes header names in capitals.
fn spelt(document: &mut Value) {
    let items = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    let operations = items.filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    let parameters = operations.filter_map(|operation| operation.get_mut("parameters")?.as_array_mut()).flatten();
    for name in parameters.filter_map(|parameter| parameter.get_mut("name")) {
        for spelling in [TENANT_HEADER, "Idempotency-Key"] {
            if name.as_str().is_some_and(|name| name.eq_ignore_ascii_case(spelling)) {
                *name = json!(spelling);
            }
        }
    }
}

/// `uint32` and similar formats exist only in this framework: a reader that does not know them accepts any number.
fn bounded(value: &mut Value) {
    if let Some(format) = value.get("format").and_then(Value::as_str) {
        let bounds = match format {
            "uint8" => (json!(0), json!(u8::MAX)),
            "uint16" => (json!(0), json!(u16::MAX)),
            "uint32" => (json!(0), json!(u32::MAX)),
            "uint64" => (json!(0), json!(i64::MAX)),
            "int64" => (json!(i64::MIN), json!(i64::MAX)),
            _ => (Value::Null, Value::Null),
        };
        if let (Value::Object(schema), (least, most)) = (&mut *value, bounds)
            && !least.is_null()
        {
            schema.entry("minimum").or_insert(least);
            schema.entry("maximum").or_insert(most);
        }
    }
    match value {
        Value::Object(map) => map.values_mut().for_each(bounded),
        Value::Array(list) => list.iter_mut().for_each(bounded),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_has_the_bounds_of_its_format() {
        let mut schema = json!({"a": {"type": "integer", "format": "uint16", "minimum": 1}, "b": [{"format": "uuid"}]});
        bounded(&mut schema);
        let expected = json!({
            "a": {"type": "integer", "format": "uint16", "minimum": 1, "maximum": 65535}, "b": [{"format": "uuid"}]
        });
        assert_eq!(schema, expected);
    }

    #[test]
    fn the_rest_of_a_path_is_a_parameter() {
        let mut document = json!({"paths": {"/x/{id}/y/*path": {"get": {"parameters": [{"name": "id"}]}}, "/z": {}}});
        open_paths(&mut document);
        let paths = document["paths"].as_object().expect("an object");
        assert_eq!(paths.keys().collect::<Vec<_>>(), ["/x/{id}/y/{path}", "/z"]);
        let parameters = &paths["/x/{id}/y/{path}"]["get"]["parameters"];
        assert_eq!((&parameters[0]["name"], &parameters[1]["name"]), (&json!("id"), &json!("path")));
    }

    #[test]
    fn bodies_are_closed_and_answers_stay_open() {
        let document = json!({
            "paths": {"/x": {"post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}},
                "responses": {"200": {"schema": {"$ref": "#/components/schemas/C"}}}
            }}},
            "components": {"schemas": {
                "A": {"properties": {"b": {"nullable": true, "description": "d", "allOf": [
                    {"$ref": "#/components/schemas/B"}, {"nullable": true, "description": "d"}
                ]}}},
                "B": {"properties": {"a": {"$ref": "#/components/schemas/A"}}},
                "C": {"properties": {}}
            }}
        });
        let done: Value = serde_json::from_str(&complete(&document.to_string())).expect("JSON");
        let schemas = &done["components"]["schemas"];
        let closed = ["A", "B", "C"].map(|name| schemas[name].get("additionalProperties").is_some());
        assert_eq!(closed, [true, true, false]);
        assert_eq!(schemas["A"]["properties"]["b"]["allOf"], json!([{"$ref": "#/components/schemas/B"}]));
    }
}
