//! What a received message says. Pure.

use pombo_plugin::connector::events::{Edit, Location, MediaKind, Reaction};
use serde_json::{Value, json};

use crate::redact;

/// The longest text that the engine takes; what a peer writes beyond is cut, or the whole message could never be taken.
const TEXT_BYTES: usize = 64 << 10;
/// The same for a reaction, and for an id.
const EMOJI_BYTES: usize = 64;
const ID_BYTES: usize = 256;

/// The content of a message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    Text(String),
    File(File),
    Location(Location),
    Reaction(Reaction),
    Edit(Edit),
    /// The message with this id was deleted.
    Revoke(String),
    /// A kind and JSON.
    Other(&'static str, String),
}

/// A file, as its message describes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct File {
    pub(super) kind: MediaKind,
    /// Meta's id of it; or why there is none.
    pub(super) id: Result<String, String>,
    pub(super) content_type: String,
    pub(super) filename: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) caption: Option<String>,
}

/// Reads the content of a message. What has a known type but not its form is not a message: `None`.
pub(super) fn read(message: &Value) -> Option<Body> {
    let kind = message["type"].as_str().unwrap_or("unknown");
    let value = &message[kind];
    Some(match kind {
        "text" => Body::Text(text(&value["body"])?),
        "image" => Body::File(file(MediaKind::Image, "image/jpeg", message, value)),
        "video" => Body::File(file(MediaKind::Video, "video/mp4", message, value)),
        "audio" => {
            let kind = if value["voice"] == Value::Bool(true) { MediaKind::Voice } else { MediaKind::Audio };
            Body::File(file(kind, "audio/ogg", message, value))
        }
        "document" => Body::File(file(MediaKind::Document, "application/octet-stream", message, value)),
        "sticker" => Body::File(file(MediaKind::Sticker, "image/webp", message, value)),
        "location" => place(value).unwrap_or_else(|| other("location", value)),
        "contacts" => other("contacts", value),
        "reaction" => reaction(value)?,
        // What somebody chose: its text counts.
        "button" => Body::Text(text(&value["text"]).or_else(|| text(&value["payload"]))?),
        "interactive" => chosen(value),
        "order" => other("order", value),
        "edit" => edit(value)?,
        "revoke" => Body::Revoke(id(&value["original_message_id"])?),
        _ => unsupported(kind, message),
    })
}

/// An id of a message.
pub(super) fn id(value: &Value) -> Option<String> {
    let id = value.as_str()?.trim();
    ((1..=ID_BYTES).contains(&id.len()) && !id.chars().any(char::is_control)).then(|| id.to_owned())
}

/// A text, cut to what the engine takes.
fn text(value: &Value) -> Option<String> {
    value.as_str().map(|text| cut(text, TEXT_BYTES).to_owned())
}

fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn other(kind: &'static str, value: &Value) -> Body {
    let json = value.to_string();
    if json.len() > TEXT_BYTES {
        return Body::Other(kind, r#"{"tooLarge":true}"#.to_owned());
    }
    Body::Other(kind, json)
}

fn file(kind: MediaKind, usual: &str, message: &Value, value: &Value) -> File {
    let filled = |name: &str| value[name].as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let why = || {
        let error = &message["errors"][0];
        let told = error["error_data"]["details"].as_str().or_else(|| error["title"].as_str());
        told.map_or_else(|| "Meta gave no id of the file".to_owned(), redact::line)
    };
    let number = value["id"].as_u64().map(|id| id.to_string());
    File {
        kind,
        id: filled("id").or(number).ok_or_else(why),
        content_type: filled("mime_type").unwrap_or_else(|| usual.to_owned()),
        filename: filled("filename"),
        sha256: filled("sha256"),
        caption: text(&value["caption"]).filter(|caption| !caption.is_empty()),
    }
}

fn place(value: &Value) -> Option<Body> {
    let degrees = |name: &str, most: f64| {
        let given = &value[name];
        let number = given.as_f64().or_else(|| given.as_str().and_then(|text| text.trim().parse().ok()));
        number.filter(|number: &f64| number.abs() <= most)
    };
    let named = ["name", "address"].into_iter().find_map(|name| text(&value[name]).filter(|name| !name.is_empty()));
    Some(Body::Location(Location {
        latitude: degrees("latitude", 90.0)?,
        longitude: degrees("longitude", 180.0)?,
        name: named,
    }))
}

fn reaction(value: &Value) -> Option<Body> {
    let to_provider_id = id(&value["message_id"])?;
    // Without an emoji it was removed.
    let emoji = value["emoji"].as_str().unwrap_or_default();
    Some(Body::Reaction(Reaction { to_provider_id, emoji: cut(emoji, EMOJI_BYTES).to_owned() }))
}

fn chosen(value: &Value) -> Body {
    let kind = value["type"].as_str().unwrap_or_default();
    match kind {
        "button_reply" | "list_reply" => match text(&value[kind]["title"]).or_else(|| text(&value[kind]["id"])) {
            Some(title) => Body::Text(title),
            None => other("interactive", value),
        },
        // What a flow answered is JSON in a text.
        "nfm_reply" => {
            let told = &value[kind];
            let answered = told["response_json"].as_str().and_then(|json| serde_json::from_str::<Value>(json).ok());
            let answered = answered.unwrap_or_else(|| told["response_json"].clone());
            other("flow-reply", &json!({"name": told["name"], "text": told["body"], "answers": answered}))
        }
        _ => other("interactive", value),
    }
}

fn edit(value: &Value) -> Option<Body> {
    let of_provider_id = id(&value["original_message_id"])?;
    let message = &value["message"];
    let kind = message["type"].as_str().unwrap_or("text");
    let text = text(&message[kind]["body"]).or_else(|| text(&message[kind]["caption"]))?;
    Some(Body::Edit(Edit { of_provider_id, text }))
}

/// Something that the API has no form for: say at least that it came.
fn unsupported(kind: &str, message: &Value) -> Body {
    let error = &message["errors"][0];
    let told = message["unsupported"]["type"].as_str().unwrap_or(kind);
    let reason = error["error_data"]["details"].as_str().or_else(|| error["title"].as_str()).map(redact::line);
    let json = json!({"kind": cut(told, EMOJI_BYTES), "code": error["code"], "reason": reason});
    Body::Other("unsupported", json.to_string())
}

/// What else a message tells: the button that was pressed, the ad or the product that it comes from, whether it was forwarded.
pub(super) fn context(message: &Value) -> Option<Value> {
    let mut told = json!({});
    let button = &message["button"];
    if message["type"] == "button" {
        told["button"] = json!({"payload": button["payload"], "text": button["text"]});
    }
    for kind in ["button_reply", "list_reply"] {
        if message["interactive"][kind].is_object() {
            told["button"] = message["interactive"][kind].clone();
        }
    }
    for (ours, theirs) in [
        ("referral", &message["referral"]),
        ("referredProduct", &message["context"]["referred_product"]),
        ("forwarded", &message["context"]["forwarded"]),
        ("frequentlyForwarded", &message["context"]["frequently_forwarded"]),
        ("identity", &message["identity"]),
    ] {
        if !theirs.is_null() && *theirs != Value::Bool(false) {
            told[ours] = theirs.clone();
        }
    }
    told.as_object().is_some_and(|told| !told.is_empty()).then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &str, value: Value) -> Value {
        let mut message = json!({"from": "16505551234", "id": "wamid.A", "timestamp": "1749854575", "type": kind});
        message[kind] = value;
        message
    }

    fn said(kind: &str, value: Value) -> Body {
        read(&message(kind, value)).expect(kind)
    }

    #[test]
    fn every_kind_has_its_content() {
        assert_eq!(said("text", json!({"body": "Oi"})), Body::Text("Oi".into()));
        assert_eq!(said("button", json!({"payload": "P", "text": "Parar"})), Body::Text("Parar".into()));
        let list = json!({"type": "list_reply", "list_reply": {"id": "x", "title": "Express", "description": "d"}});
        assert_eq!(said("interactive", list), Body::Text("Express".into()));
        let flow =
            json!({"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": "{\"a\":1}"}});
        let Body::Other("flow-reply", json) = said("interactive", flow) else { panic!("a flow") };
        assert!(json.contains(r#""answers":{"a":1}"#), "{json}");
        assert_eq!(said("revoke", json!({"original_message_id": "wamid.B"})), Body::Revoke("wamid.B".into()));
        let edited = json!({"original_message_id": "wamid.B", "message": {"type": "text", "text": {"body": "novo"}}});
        assert_eq!(said("edit", edited), Body::Edit(Edit { of_provider_id: "wamid.B".into(), text: "novo".into() }));
        let removed = said("reaction", json!({"message_id": "wamid.B"}));
        assert_eq!(removed, Body::Reaction(Reaction { to_provider_id: "wamid.B".into(), emoji: String::new() }));
        assert!(matches!(said("order", json!({"catalog_id": "1"})), Body::Other("order", _)));
        assert!(matches!(said("contacts", json!([{"name": {}}])), Body::Other("contacts", _)));
        assert!(matches!(said("dance", json!({})), Body::Other("unsupported", _)));
        let Body::Location(place) =
            said("location", json!({"latitude": 37.4, "longitude": "-122.1", "address": "Rua"}))
        else {
            panic!("a place")
        };
        assert_eq!((place.longitude, place.name.as_deref()), (-122.1, Some("Rua")));
    }

    #[test]
    fn files_of_every_kind() {
        for (kind, value, want) in [
            ("image", json!({"id": "1", "mime_type": "image/png", "caption": "veja"}), MediaKind::Image),
            ("audio", json!({"id": "1", "voice": true}), MediaKind::Voice),
            ("audio", json!({"id": "1", "voice": false}), MediaKind::Audio),
            ("document", json!({"id": 1, "filename": "a.pdf"}), MediaKind::Document),
            ("sticker", json!({"id": "1", "animated": true}), MediaKind::Sticker),
            ("video", json!({"id": "1"}), MediaKind::Video),
        ] {
            let Body::File(file) = said(kind, value) else { panic!("{kind}") };
            assert_eq!((file.kind, file.id.as_deref()), (want, Ok("1")));
        }
        let mut failed = message("image", json!({}));
        failed["errors"] = json!([{"code": 131052, "title": "Media download error"}]);
        let Some(Body::File(file)) = read(&failed) else { panic!("a file") };
        assert_eq!(file.id, Err("Media download error".to_owned()));
    }

    #[test]
    fn what_has_another_form_is_no_message() {
        for (kind, value) in [
            ("text", json!({"body": 7})),
            ("text", Value::Null),
            ("reaction", json!({})),
            ("revoke", json!({})),
            ("edit", json!({"original_message_id": "x"})),
            ("button", json!({})),
        ] {
            assert_eq!(read(&message(kind, value)), None, "{kind}");
        }
    }

    #[test]
    fn a_long_text_is_cut_where_a_character_ends() {
        let Body::Text(text) = said("text", json!({"body": "ç".repeat(40_000)})) else { panic!("a text") };
        assert_eq!(text.len(), TEXT_BYTES);
    }

    #[test]
    fn what_else_a_message_tells() {
        assert_eq!(context(&message("text", json!({"body": "x"}))), None);
        let mut ad = message("text", json!({"body": "x"}));
        ad["referral"] = json!({"source_id": "1", "ctwa_clid": "A"});
        ad["context"] = json!({"forwarded": true, "frequently_forwarded": false});
        assert_eq!(context(&ad), Some(json!({"referral": {"source_id": "1", "ctwa_clid": "A"}, "forwarded": true})));
        let button = context(&message("button", json!({"payload": "P", "text": "T"}))).expect("a button");
        assert_eq!(button["button"]["payload"], "P");
    }
}
