//! The form of a message: the envelope, every type but templates, and the rules of interactive messages. Pure: what depends on the
//! state (media, windows, limits) is checked where messages are taken.

use serde_json::Value;

use crate::errors::GraphError;
use crate::form::{At, Field, Kind, may, must, not_one_of, object, required, unexpected, wrong_type};
use crate::knobs::{Knobs, Taken, Unknown};
use crate::shape::upper;
use crate::template_send;

const TOP: &[&str] = &[
    "messaging_product",
    "recipient_type",
    "to",
    "recipient",
    "type",
    "context",
    "biz_opaque_callback_data",
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "reaction",
    "interactive",
    "template",
    "status",
    "message_id",
    "typing_indicator",
    "product_policy",
    "message_activity_sharing",
    // Graph takes these in every body.
    "access_token",
    "appsecret_proof",
];
const TYPES: &[&str] = &[
    "AUDIO",
    "CONTACTS",
    "DOCUMENT",
    "GIF",
    "IMAGE",
    "INTERACTIVE",
    "LINK_PREVIEW",
    "LOCATION",
    "PIN",
    "REACTION",
    "STICKER",
    "TEMPLATE",
    "TEXT",
    "VIDEO",
];
const INTERACTIVE_TYPES: &[&str] = &[
    "ADDRESS_MESSAGE",
    "BUTTON",
    "CALL_PERMISSION_REQUEST",
    "CAROUSEL",
    "CATALOG_MESSAGE",
    "CTA_URL",
    "FLOW",
    "LIST",
    "LOCATION_REQUEST_MESSAGE",
    "ORDER_DETAILS",
    "ORDER_STATUS",
    "PRODUCT",
    "PRODUCT_LIST",
    "REQUEST_CONTACT_INFO",
    "VOICE_CALL",
];
const CONTEXT: &[Field] = &[must("message_id", Kind::Text(1024))];
const TEXT: &[Field] = &[must("body", Kind::Text(4096)), may("preview_url", Kind::Bool)];
const CAPTIONED: &[Field] = &[may("id", Kind::Scalar), may("link", Kind::AnyText), may("caption", Kind::Text(1024))];
const AUDIO: &[Field] = &[may("id", Kind::Scalar), may("link", Kind::AnyText), may("voice", Kind::Bool)];
const DOCUMENT: &[Field] = &[
    may("id", Kind::Scalar),
    may("link", Kind::AnyText),
    may("caption", Kind::Text(1024)),
    may("filename", Kind::AnyText),
];
const STICKER: &[Field] = &[may("id", Kind::Scalar), may("link", Kind::AnyText)];
const LOCATION: &[Field] = &[
    must("latitude", Kind::Number),
    must("longitude", Kind::Number),
    may("name", Kind::AnyText),
    may("address", Kind::AnyText),
];
const REACTION: &[Field] = &[must("message_id", Kind::Text(1024)), must("emoji", Kind::AnyText)];
const CONTACT: &[Field] = &[
    must("name", Kind::Object(CONTACT_NAME)),
    may("phones", Kind::List(CONTACT_PHONE)),
    may("emails", Kind::List(CONTACT_EMAIL)),
    may("addresses", Kind::List(CONTACT_ADDRESS)),
    may("org", Kind::Object(CONTACT_ORG)),
    may("urls", Kind::List(CONTACT_URL)),
    may("birthday", Kind::AnyText),
];
const CONTACT_NAME: &[Field] = &[
    must("formatted_name", Kind::Text(1024)),
    may("first_name", Kind::AnyText),
    may("last_name", Kind::AnyText),
    may("middle_name", Kind::AnyText),
    may("prefix", Kind::AnyText),
    may("suffix", Kind::AnyText),
];
const CONTACT_PHONE: &[Field] = &[may("phone", Kind::AnyText), may("type", Kind::AnyText), may("wa_id", Kind::AnyText)];
const CONTACT_EMAIL: &[Field] = &[may("email", Kind::AnyText), may("type", Kind::AnyText)];
const CONTACT_URL: &[Field] = &[may("url", Kind::AnyText), may("type", Kind::AnyText)];
const CONTACT_ORG: &[Field] =
    &[may("company", Kind::AnyText), may("department", Kind::AnyText), may("title", Kind::AnyText)];
const CONTACT_ADDRESS: &[Field] = &[
    may("street", Kind::AnyText),
    may("city", Kind::AnyText),
    may("state", Kind::AnyText),
    may("zip", Kind::AnyText),
    may("country", Kind::AnyText),
    may("country_code", Kind::AnyText),
    may("type", Kind::AnyText),
];
const INTERACTIVE: &[Field] = &[
    must("type", Kind::Text(64)),
    may("header", Kind::Object(HEADER)),
    may("body", Kind::Raw),
    may("footer", Kind::Object(FOOTER)),
    must("action", Kind::Raw),
];
const HEADER: &[Field] = &[
    must("type", Kind::Text(16)),
    may("text", Kind::AnyText),
    may("sub_text", Kind::AnyText),
    may("image", Kind::Object(STICKER)),
    may("video", Kind::Object(STICKER)),
    may("document", Kind::Object(HEADER_DOCUMENT)),
];
const HEADER_DOCUMENT: &[Field] =
    &[may("id", Kind::Scalar), may("link", Kind::AnyText), may("filename", Kind::AnyText)];
const FOOTER: &[Field] = &[must("text", Kind::Text(60))];
const BUTTON_ACTION: &[Field] = &[must("buttons", Kind::List(REPLY_BUTTON))];
const REPLY_BUTTON: &[Field] = &[must("type", Kind::Text(16)), must("reply", Kind::Object(REPLY))];
const REPLY: &[Field] = &[must("id", Kind::AnyText), must("title", Kind::AnyText)];
const LIST_ACTION: &[Field] = &[must("button", Kind::AnyText), must("sections", Kind::List(SECTION))];
const SECTION: &[Field] = &[may("title", Kind::AnyText), must("rows", Kind::List(ROW))];
const ROW: &[Field] = &[must("id", Kind::AnyText), must("title", Kind::AnyText), may("description", Kind::AnyText)];
const URL_ACTION: &[Field] = &[must("name", Kind::Text(32)), must("parameters", Kind::Object(URL_PARAMETERS))];
const URL_PARAMETERS: &[Field] = &[must("display_text", Kind::AnyText), must("url", Kind::Text(2000))];
const NAMED_ACTION: &[Field] = &[must("name", Kind::Text(64))];
const FLOW_ACTION: &[Field] = &[must("name", Kind::Text(32)), must("parameters", Kind::Object(FLOW_PARAMETERS))];
const FLOW_PARAMETERS: &[Field] = &[
    must("flow_message_version", Kind::Scalar),
    may("flow_id", Kind::Scalar),
    may("flow_name", Kind::AnyText),
    must("flow_cta", Kind::AnyText),
    may("flow_token", Kind::AnyText),
    may("flow_action", Kind::AnyText),
    may("flow_action_payload", Kind::Raw),
    may("mode", Kind::AnyText),
];

/// The type of a message, lower case; found by its content where it is not said.
pub(crate) fn kind_of(body: &Value) -> String {
    match body["type"].as_str() {
        Some(kind) => kind.to_lowercase(),
        None => TYPES
            .iter()
            .map(|kind| kind.to_lowercase())
            .find(|kind| !body[kind.as_str()].is_null())
            .unwrap_or_else(|| "text".to_owned()),
    }
}

/// Checks the whole body, and returns the type; `None` is a read mark.
pub(crate) fn check(body: &Value, knobs: &Knobs) -> Result<Option<String>, GraphError> {
    let at = At::Body;
    let Some(map) = body.as_object() else { return Err(GraphError::form("The request body is not a JSON object.")) };
    match body["messaging_product"].as_str() {
        None => return Err(required(&At::Key(&at, "messaging_product"))),
        Some("whatsapp") => {}
        Some(other) => return Err(not_one_of(&At::Key(&at, "messaging_product"), &["WHATSAPP"], other)),
    }
    if knobs.unknown_top_level == Unknown::Strict
        && let Some(unknown) = map.keys().find(|key| !TOP.contains(&key.as_str()))
    {
        return Err(GraphError::form(format!("Unexpected key \"{unknown}\".")));
    }
    if !body["status"].is_null() {
        read_mark(&at, body)?;
        return Ok(None);
    }
    if let Some(data) = map.get("biz_opaque_callback_data") {
        let here = At::Key(&at, "biz_opaque_callback_data");
        let Some(text) = data.as_str() else { return Err(wrong_type(&here, "a string")) };
        if text.chars().count() > 512 {
            let text = "Param biz_opaque_callback_data must be at most 512 characters long.";
            return Err(GraphError::form(text));
        }
    }
    match body["recipient_type"].as_str() {
        None if body["recipient_type"].is_null() => {}
        None => return Err(wrong_type(&At::Key(&at, "recipient_type"), "a string")),
        Some("individual" | "group") => {}
        Some(other) => return Err(not_one_of(&At::Key(&at, "recipient_type"), &["GROUP", "INDIVIDUAL"], other)),
    }
    for key in ["to", "recipient"] {
        if !body[key].is_null() && !body[key].is_string() {
            return Err(wrong_type(&At::Key(&at, key), "a string"));
        }
    }
    if body["to"].as_str().unwrap_or_default().is_empty() && body["recipient"].as_str().unwrap_or_default().is_empty() {
        return Err(required(&At::Key(&at, "to")));
    }
    if !body["type"].is_null() && !body["type"].is_string() {
        return Err(wrong_type(&At::Key(&at, "type"), "a string"));
    }
    let kind = kind_of(body);
    if !TYPES.contains(&kind.to_uppercase().as_str()) {
        return Err(not_one_of(&At::Key(&at, "type"), TYPES, body["type"].as_str().unwrap_or_default()));
    }
    if !body["context"].is_null() {
        object(&At::Key(&at, "context"), &body["context"], CONTEXT)?;
    }
    content(&at, body, &kind, knobs)?;
    Ok(Some(kind))
}

fn read_mark(at: &At<'_>, body: &Value) -> Result<(), GraphError> {
    if body["status"] != "read" {
        return Err(not_one_of(&At::Key(at, "status"), &["READ"], body["status"].as_str().unwrap_or_default()));
    }
    if body["message_id"].as_str().unwrap_or_default().is_empty() {
        return Err(required(&At::Key(at, "message_id")));
    }
    if !body["typing_indicator"].is_null() {
        object(&At::Key(at, "typing_indicator"), &body["typing_indicator"], &[must("type", Kind::Text(16))])?;
        if body["typing_indicator"]["type"] != "text" {
            let got = body["typing_indicator"]["type"].as_str().unwrap_or_default();
            return Err(not_one_of(&At::Key(&At::Key(at, "typing_indicator"), "type"), &["TEXT"], got));
        }
    }
    Ok(())
}

fn content(at: &At<'_>, body: &Value, kind: &str, knobs: &Knobs) -> Result<(), GraphError> {
    let here = At::Key(at, kind);
    let value = &body[kind];
    if value.is_null() {
        return match kind {
            "text" => Err(required(&At::Key(&here, "body"))),
            _ => Err(required(&here)),
        };
    }
    match kind {
        "text" => object(&here, value, TEXT),
        "image" | "video" => object(&here, value, CAPTIONED).and_then(|()| source(&here, value)),
        "audio" => object(&here, value, AUDIO).and_then(|()| source(&here, value)),
        "document" => object(&here, value, DOCUMENT).and_then(|()| source(&here, value)),
        "sticker" => object(&here, value, STICKER).and_then(|()| source(&here, value)),
        "location" => object(&here, value, LOCATION),
        "reaction" => object(&here, value, REACTION),
        "contacts" => contacts(&here, value),
        "interactive" => interactive(&here, value, knobs),
        "template" => template_send::form(&here, value),
        _ => Err(GraphError::plain(131_051)),
    }
}

/// Exactly one of `id` and `link`.
fn source(at: &At<'_>, value: &Value) -> Result<(), GraphError> {
    match (!value["id"].is_null(), value["link"].as_str()) {
        (true, Some(_)) => Err(GraphError::form(format!("Param {} cannot have both 'id' and 'link'", at.quoted()))),
        (false, None) => Err(required(&At::Key(at, "id"))),
        (false, Some(link)) => self::link(&At::Key(at, "link"), link),
        (true, None) => Ok(()),
    }
}

/// A link must be public HTTP.
pub(crate) fn link(at: &At<'_>, link: &str) -> Result<(), GraphError> {
    let good =
        link.strip_prefix("https://").or_else(|| link.strip_prefix("http://")).is_some_and(|rest| !rest.is_empty());
    match good {
        true => Ok(()),
        false => Err(GraphError::form(format!("Param {} is not a valid URL.", at.quoted()))),
    }
}

fn contacts(at: &At<'_>, value: &Value) -> Result<(), GraphError> {
    let Some(list) = value.as_array() else { return Err(wrong_type(at, "an array")) };
    if list.is_empty() {
        return Err(required(at));
    }
    for (place, contact) in list.iter().enumerate() {
        object(&At::Place(at, place), contact, CONTACT)?;
    }
    Ok(())
}

fn rule(details: impl Into<String>) -> GraphError {
    GraphError::coded(131_009, details).with_subcode(2_494_010)
}

fn interactive(at: &At<'_>, value: &Value, knobs: &Knobs) -> Result<(), GraphError> {
    let Some(map) = value.as_object() else { return Err(wrong_type(at, "a JSON object")) };
    let kind = upper(&value["type"]);
    if value["type"].is_null() {
        return Err(required(&At::Key(at, "type")));
    }
    if !INTERACTIVE_TYPES.contains(&kind.as_str()) {
        let got = value["type"].as_str().unwrap_or_default();
        return Err(not_one_of(&At::Key(at, "type"), INTERACTIVE_TYPES, got));
    }
    let ours = matches!(
        kind.as_str(),
        "BUTTON" | "LIST" | "CTA_URL" | "FLOW" | "LOCATION_REQUEST_MESSAGE" | "REQUEST_CONTACT_INFO"
    );
    if !ours {
        // Products, orders, catalogs, calls: taken as they are.
        if let Some(unknown) =
            map.keys().find(|key| !matches!(key.as_str(), "type" | "header" | "body" | "footer" | "action"))
        {
            return Err(unexpected(at, unknown));
        }
        return match knobs.products {
            Taken::Accept => Ok(()),
            Taken::Refuse => Err(GraphError::plain(131_051)),
        };
    }
    object(at, value, INTERACTIVE)?;
    let longest = if kind == "LIST" { knobs.list_body_limit } else { 1024 };
    let body_at = At::Key(at, "body");
    object(&body_at, &value["body"], &[must("text", Kind::Text(longest))]).map_err(|error| {
        match value["body"].is_null() {
            true => required(&At::Key(&body_at, "text")),
            false => error,
        }
    })?;
    header(at, &value["header"], &kind)?;
    let action = &value["action"];
    let here = At::Key(at, "action");
    match kind.as_str() {
        "BUTTON" => object(&here, action, BUTTON_ACTION).and_then(|()| reply_buttons(action)),
        "LIST" => object(&here, action, LIST_ACTION).and_then(|()| list(action)),
        "CTA_URL" => {
            object(&here, action, URL_ACTION)?;
            name(action, "cta_url")?;
            let url_at = At::Key(&here, "parameters");
            link(&At::Key(&url_at, "url"), action["parameters"]["url"].as_str().unwrap_or_default())?;
            most(&action["parameters"]["display_text"], 20, "Display text")
        }
        "FLOW" => object(&here, action, FLOW_ACTION).and_then(|()| flow(action)),
        "LOCATION_REQUEST_MESSAGE" => object(&here, action, NAMED_ACTION).and_then(|()| name(action, "send_location")),
        _ => object(&here, action, NAMED_ACTION).and_then(|()| name(action, "request_contact_info")),
    }
}

fn header(at: &At<'_>, header: &Value, kind: &str) -> Result<(), GraphError> {
    if header.is_null() {
        return Ok(());
    }
    let format = header["type"].as_str().unwrap_or_default();
    let allowed: &[&str] = match kind {
        "BUTTON" | "CTA_URL" | "FLOW" => &["DOCUMENT", "IMAGE", "TEXT", "VIDEO"],
        _ => &["TEXT"],
    };
    let here = At::Key(at, "header");
    if !allowed.contains(&format.to_uppercase().as_str()) {
        return Err(not_one_of(&At::Key(&here, "type"), allowed, format));
    }
    if format.eq_ignore_ascii_case("text") {
        if header["text"].as_str().unwrap_or_default().is_empty() {
            return Err(rule("Text cannot be null for header type text"));
        }
        return most(&header["text"], 60, "Header text");
    }
    let format = format.to_lowercase();
    let inner = At::Key(&here, &format);
    if header[format.as_str()].is_null() {
        return Err(required(&inner));
    }
    source(&inner, &header[format.as_str()])
}

fn name(action: &Value, expected: &str) -> Result<(), GraphError> {
    match action["name"] == expected {
        true => Ok(()),
        false => Err(rule(format!("Action name must be {expected}"))),
    }
}

fn most(value: &Value, longest: usize, what: &str) -> Result<(), GraphError> {
    let text = value.as_str().unwrap_or_default();
    match text.chars().count() {
        0 => Err(rule(format!("{what} cannot be empty"))),
        length if length > longest => Err(rule(format!("{what} exceeds {longest} characters"))),
        _ => Ok(()),
    }
}

fn reply_buttons(action: &Value) -> Result<(), GraphError> {
    let buttons = action["buttons"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !(1..=3).contains(&buttons.len()) {
        return Err(rule("Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3"));
    }
    let mut titles: Vec<&str> = Vec::new();
    let mut ids: Vec<&str> = Vec::new();
    for button in buttons {
        if button["type"] != "reply" {
            return Err(rule("Button type must be reply"));
        }
        most(&button["reply"]["title"], 20, "Button title")?;
        most(&button["reply"]["id"], 256, "Button id")?;
        let title = button["reply"]["title"].as_str().unwrap_or_default();
        let id = button["reply"]["id"].as_str().unwrap_or_default();
        if titles.contains(&title) {
            return Err(rule("Button titles must be unique"));
        }
        if ids.contains(&id) {
            return Err(rule("Button ids must be unique"));
        }
        titles.push(title);
        ids.push(id);
    }
    Ok(())
}

fn list(action: &Value) -> Result<(), GraphError> {
    most(&action["button"], 20, "Button title")?;
    let sections = action["sections"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !(1..=10).contains(&sections.len()) {
        return Err(rule("Invalid sections count. Min allowed sections: 1, Max allowed sections: 10"));
    }
    let mut ids: Vec<&str> = Vec::new();
    for section in sections {
        if sections.len() > 1 || !section["title"].is_null() {
            most(&section["title"], 24, "Section title")?;
        }
        let rows = section["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
        if rows.is_empty() {
            return Err(rule("Section rows cannot be empty"));
        }
        for row in rows {
            most(&row["title"], 24, "Row title")?;
            most(&row["id"], 200, "Row id")?;
            if row["description"].as_str().is_some_and(|text| text.chars().count() > 72) {
                return Err(rule("Row description exceeds 72 characters"));
            }
            let id = row["id"].as_str().unwrap_or_default();
            if ids.contains(&id) {
                return Err(rule("Row ids must be unique"));
            }
            ids.push(id);
        }
    }
    match ids.len() > 10 {
        true => Err(rule(format!("Total row count exceed max allowed count: 10, received {}", ids.len()))),
        false => Ok(()),
    }
}

fn flow(action: &Value) -> Result<(), GraphError> {
    name(action, "flow")?;
    let parameters = &action["parameters"];
    most(&parameters["flow_cta"], 30, "Flow cta")?;
    if parameters["flow_id"].is_null() == parameters["flow_name"].is_null() {
        return Err(rule("Exactly one of flow_id and flow_name is needed"));
    }
    match parameters["flow_action"].as_str() {
        None | Some("navigate" | "data_exchange") => Ok(()),
        Some(_) => Err(rule("flow_action must be navigate or data_exchange")),
    }
}
