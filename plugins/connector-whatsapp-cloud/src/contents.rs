//! Contents that are neither text nor files: lists and buttons, locations, contacts, stickers. Each is built anew from a list of known
//! keys, because Meta refuses a message with any other key.

use serde_json::{Map, Value, json};

/// The kinds and the JSON Schemas of their values. The template's is in `template`.
pub(crate) const KINDS: [(&str, &str); 4] =
    [("interactive", INTERACTIVE), ("location", LOCATION), ("contacts", CONTACTS), ("sticker", STICKER)];

const INTERACTIVE: &str = include_str!("contents/interactive.schema.json");
const LOCATION: &str = include_str!("contents/location.schema.json");
const CONTACTS: &str = include_str!("contents/contacts.schema.json");
const STICKER: &str = include_str!("contents/sticker.schema.json");

/// What of a value is passed on.
enum Shape {
    /// A text, a number, or true or false.
    Plain,
    /// Whatever it is: what Meta defines there differs from type to type.
    Any,
    /// An object of these keys.
    Object(&'static [(&'static str, Shape)]),
    /// A list of these.
    List(&'static Shape),
}

use Shape::{Any, List, Object, Plain};

const FILE: Shape = Object(&[("id", Plain), ("link", Plain)]);
const NAMED_FILE: Shape = Object(&[("id", Plain), ("link", Plain), ("filename", Plain)]);
const TEXT: Shape = Object(&[("text", Plain)]);

const HEADER: Shape = Object(&[
    ("type", Plain),
    ("text", Plain),
    ("sub_text", Plain),
    ("image", FILE),
    ("video", FILE),
    ("document", NAMED_FILE),
]);
const BUTTONS: Shape =
    Object(&[("buttons", List(&Object(&[("type", Plain), ("reply", Object(&[("id", Plain), ("title", Plain)]))])))]);
const SECTIONS: Shape = Object(&[
    ("button", Plain),
    (
        "sections",
        List(&Object(&[
            ("title", Plain),
            ("rows", List(&Object(&[("id", Plain), ("title", Plain), ("description", Plain)]))),
        ])),
    ),
]);
const LINK: Shape = Object(&[("name", Plain), ("parameters", Object(&[("display_text", Plain), ("url", Plain)]))]);
const NAME: Shape = Object(&[("name", Plain)]);
const PLACE: Shape = Object(&[("latitude", Plain), ("longitude", Plain), ("name", Plain), ("address", Plain)]);
const PERSON: Shape = Object(&[
    (
        "addresses",
        List(&Object(&[
            ("city", Plain),
            ("country", Plain),
            ("country_code", Plain),
            ("state", Plain),
            ("street", Plain),
            ("type", Plain),
            ("zip", Plain),
        ])),
    ),
    ("birthday", Plain),
    ("emails", List(&Object(&[("email", Plain), ("type", Plain)]))),
    (
        "name",
        Object(&[
            ("formatted_name", Plain),
            ("first_name", Plain),
            ("last_name", Plain),
            ("middle_name", Plain),
            ("prefix", Plain),
            ("suffix", Plain),
        ]),
    ),
    ("org", Object(&[("company", Plain), ("department", Plain), ("title", Plain)])),
    ("phones", List(&Object(&[("phone", Plain), ("type", Plain), ("wa_id", Plain)]))),
    ("urls", List(&Object(&[("url", Plain), ("type", Plain)]))),
]);

impl Shape {
    /// The value with what fits; `None` if nothing does.
    fn of(&self, value: &Value) -> Option<Value> {
        match (self, value) {
            (_, Value::Null) => None,
            (Plain, Value::Object(_) | Value::Array(_)) => None,
            (Any | Plain, value) => Some(value.clone()),
            (Object(fields), Value::Object(_)) => {
                let known =
                    fields.iter().filter_map(|(name, shape)| Some(((*name).to_owned(), shape.of(&value[*name])?)));
                Some(Value::Object(known.collect::<Map<_, _>>()))
            }
            (List(shape), Value::Array(values)) => Some(values.iter().filter_map(|value| shape.of(value)).collect()),
            (Object(_) | List(_), _) => None,
        }
    }
}

/// A file by Meta's id or by a link, exactly one of them.
pub(crate) fn file(value: &Value, named: bool) -> Result<Value, String> {
    let shape = if named { &NAMED_FILE } else { &FILE };
    let mut file = shape.of(value).unwrap_or(Value::Null);
    let filled = |file: &Value, name: &str| file[name].as_str().is_some_and(|text| !text.trim().is_empty());
    match (filled(&file, "id"), filled(&file, "link")) {
        (false, false) => Err("must have an id of Meta's or a link".to_owned()),
        // The id is stronger: a link is fetched later, and may fail then.
        (true, _) => {
            remove(&mut file, "link");
            Ok(file)
        }
        (false, true) => {
            remove(&mut file, "id");
            Ok(file)
        }
    }
}

fn remove(value: &mut Value, name: &str) {
    if let Some(fields) = value.as_object_mut() {
        fields.remove(name);
    }
}

/// The message's type and its value, of a kind of content of this plugin's own. `Err` says what to change.
pub(crate) fn body(kind: &str, value: &Value) -> Result<(&'static str, Value), String> {
    match kind {
        "interactive" => interactive(value).map(|value| ("interactive", value)),
        "location" => location(value).map(|value| ("location", value)),
        "contacts" => contacts(value).map(|value| ("contacts", value)),
        "sticker" => file(value, false).map(|value| ("sticker", value)).map_err(|why| format!("sticker: {why}")),
        _ => Err(format!("this connector does not send the kind {kind:?}")),
    }
}

fn interactive(value: &Value) -> Result<Value, String> {
    let kind = value["type"].as_str().map(str::trim).filter(|kind| !kind.is_empty());
    let kind = kind.ok_or("type: must be one of Meta's, e.g. button or list")?;
    if !value["action"].is_object() {
        return Err("action: is missing".to_owned());
    }
    let mut message = json!({"type": kind});
    // What a product shows, and a catalog's message, may have no text.
    for (name, shape) in [("header", &HEADER), ("body", &TEXT), ("footer", &TEXT)] {
        if let Some(part) = shape.of(&value[name]) {
            message[name] = part;
        }
    }
    for header in ["image", "video", "document"] {
        if message["header"]["type"] == header {
            let wrong = |why| format!("header.{header}: {why}");
            message["header"][header] = file(&value["header"][header], header == "document").map_err(wrong)?;
        }
    }
    let shape = match kind {
        "button" => &BUTTONS,
        "list" => &SECTIONS,
        "cta_url" => &LINK,
        "location_request_message" | "request_contact_info" => &NAME,
        _ => &Any,
    };
    message["action"] = shape.of(&value["action"]).unwrap_or(Value::Null);
    Ok(message)
}

fn location(value: &Value) -> Result<Value, String> {
    let degrees = |name: &str, most: f64| {
        let given = &value[name];
        let number = given.as_f64().or_else(|| given.as_str().and_then(|text| text.trim().parse().ok()));
        match number.filter(|number: &f64| number.abs() <= most) {
            Some(_) => Ok(()),
            None => Err(format!("{name}: must be a number between -{most} and {most}")),
        }
    };
    degrees("latitude", 90.0)?;
    degrees("longitude", 180.0)?;
    Ok(PLACE.of(value).unwrap_or(Value::Null))
}

fn contacts(value: &Value) -> Result<Value, String> {
    let list = value.as_array().or_else(|| value["contacts"].as_array());
    let list = list.filter(|list| !list.is_empty()).ok_or("contacts: must be a list of at least one contact")?;
    for (place, contact) in list.iter().enumerate() {
        if contact["name"]["formatted_name"].as_str().is_none_or(|name| name.trim().is_empty()) {
            return Err(format!("contacts[{place}].name.formatted_name: is missing"));
        }
    }
    Ok(list.iter().filter_map(|contact| PERSON.of(contact)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_are_json() {
        for (kind, schema) in KINDS {
            let schema: Value = serde_json::from_str(schema).expect(kind);
            assert!(schema["type"].is_string(), "{kind}");
        }
    }

    #[test]
    fn unknown_keys_are_left_out() {
        let button = json!({"type": "button", "mine": 1, "header": {"type": "text", "text": "H", "mine": 1},
            "body": {"text": "B", "mine": 1}, "footer": {"text": "F", "mine": 1},
            "action": {"mine": 1, "buttons": [{"type": "reply", "mine": 1, "reply": {"id": "y", "title": "Y", "mine": 1}}]}});
        let sent = body("interactive", &button).expect("a message").1;
        assert!(!sent.to_string().contains("mine"), "{sent}");
        assert_eq!(sent["action"]["buttons"][0]["reply"], json!({"id": "y", "title": "Y"}));
        let place = json!({"latitude": -23.5, "longitude": "-46.6", "name": "Loja", "mine": 1});
        assert_eq!(
            body("location", &place),
            Ok(("location", json!({"latitude": -23.5, "longitude": "-46.6", "name": "Loja"})))
        );
        let people = json!([{"name": {"formatted_name": "Ana", "mine": 1}, "phones": [{"phone": "+55", "mine": 1}]}]);
        let sent = body("contacts", &people).expect("a message").1;
        assert_eq!(sent, json!([{"name": {"formatted_name": "Ana"}, "phones": [{"phone": "+55"}]}]));
    }

    #[test]
    fn what_is_wrong_names_its_field() {
        for (kind, value, field) in [
            ("interactive", json!({"action": {}}), "type"),
            ("interactive", json!({"type": "list"}), "action"),
            ("interactive", json!({"type": "button", "action": {}, "header": {"type": "image"}}), "header.image"),
            ("location", json!({"latitude": 91, "longitude": 0}), "latitude"),
            ("location", json!({"latitude": 1}), "longitude"),
            ("contacts", json!([]), "contacts"),
            ("contacts", json!([{"name": {}}]), "contacts[0].name.formatted_name"),
            ("sticker", json!({}), "sticker"),
            ("poll", json!({}), "poll"),
        ] {
            let why = body(kind, &value).expect_err(field);
            assert!(why.contains(field), "{field}: {why}");
        }
        assert_eq!(file(&json!({"id": "1", "link": "https://x"}), false), Ok(json!({"id": "1"})));
    }
}
