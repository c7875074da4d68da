//! Creating and editing templates: what Meta's review refuses at once, and the components as Meta returns them. Pure.

use serde_json::{Value, json};

use crate::errors::GraphError;
use crate::form::{At, Field, Kind, may, must, not_one_of, object, required, wrong_type};
use crate::shape::{upper, variables};

const HEADER: &[Field] = &[
    must("type", Kind::Text(64)),
    must("format", Kind::Text(64)),
    may("text", Kind::AnyText),
    may("example", Kind::Raw),
];
const BODY: &[Field] = &[
    must("type", Kind::Text(64)),
    may("text", Kind::AnyText),
    may("example", Kind::Raw),
    may("add_security_recommendation", Kind::Bool),
];
const FOOTER: &[Field] =
    &[must("type", Kind::Text(64)), may("text", Kind::AnyText), may("code_expiration_minutes", Kind::Number)];
const BUTTONS: &[Field] = &[must("type", Kind::Text(64)), must("buttons", Kind::Raw)];
const CAROUSEL: &[Field] = &[must("type", Kind::Text(64)), must("cards", Kind::List(CARD))];
const CARD: &[Field] = &[must("components", Kind::Raw)];
const OFFER: &[Field] = &[must("type", Kind::Text(64)), must("limited_time_offer", Kind::Object(OFFER_TEXT))];
const OFFER_TEXT: &[Field] = &[must("text", Kind::AnyText), may("has_expiration", Kind::Bool)];
const BUTTON: &[Field] = &[
    must("type", Kind::Text(64)),
    may("text", Kind::AnyText),
    may("url", Kind::AnyText),
    may("example", Kind::Raw),
    may("phone_number", Kind::AnyText),
    may("otp_type", Kind::AnyText),
    may("autofill_text", Kind::AnyText),
    may("package_name", Kind::AnyText),
    may("signature_hash", Kind::AnyText),
    may("supported_apps", Kind::Raw),
    may("zero_tap_terms_accepted", Kind::Bool),
    may("flow_id", Kind::Scalar),
    may("flow_name", Kind::AnyText),
    may("flow_json", Kind::AnyText),
    may("flow_action", Kind::AnyText),
    may("navigate_screen", Kind::AnyText),
    may("icon", Kind::AnyText),
    may("ttl_minutes", Kind::Number),
];
const COMPONENT_TYPES: &[&str] = &["BODY", "BUTTONS", "CAROUSEL", "FOOTER", "HEADER", "LIMITED_TIME_OFFER"];
const FORMATS: &[&str] = &["DOCUMENT", "IMAGE", "LOCATION", "PRODUCT", "TEXT", "VIDEO"];
const BUTTON_TYPES: &[&str] = &[
    "CATALOG",
    "COPY_CODE",
    "FLOW",
    "MPM",
    "OTP",
    "PHONE_NUMBER",
    "QUICK_REPLY",
    "REQUEST_CONTACT_INFO",
    "SPM",
    "URL",
    "VOICE_CALL",
];

/// Categories of a new template.
pub(crate) const CATEGORIES: &[&str] = &["AUTHENTICATION", "MARKETING", "UTILITY"];

/// Checks components, and returns them as Meta keeps them.
pub(crate) fn components(value: &Value, category: &str, named: bool) -> Result<Value, GraphError> {
    let at = At::Key(&At::Body, "components");
    let Some(list) = value.as_array() else { return Err(wrong_type(&at, "an array")) };
    if !list.iter().any(|component| upper(&component["type"]) == "BODY") {
        return Err(GraphError::content(2_388_072, "The template has no BODY component."));
    }
    let mut kept = Vec::with_capacity(list.len());
    for (place, item) in list.iter().enumerate() {
        kept.push(component(&At::Place(&at, place), item, category, named, false)?);
    }
    Ok(Value::Array(kept))
}

fn component(at: &At<'_>, value: &Value, category: &str, named: bool, card: bool) -> Result<Value, GraphError> {
    if !value.is_object() {
        return Err(wrong_type(at, "a JSON object"));
    }
    let kind = upper(&value["type"]);
    let mut kept = value.clone();
    kept["type"] = json!(kind);
    match kind.as_str() {
        "" => return Err(required(&At::Key(at, "type"))),
        "HEADER" => {
            object(at, value, HEADER)?;
            let format = upper(&value["format"]);
            if !FORMATS.contains(&format.as_str()) {
                return Err(not_one_of(&At::Key(at, "format"), FORMATS, value["format"].as_str().unwrap_or_default()));
            }
            header(value, &format, named)?;
            kept["format"] = json!(format);
        }
        "BODY" => {
            object(at, value, BODY)?;
            if category == "AUTHENTICATION" {
                let advice = if value["add_security_recommendation"] == true {
                    " For your security, do not share this code."
                } else {
                    ""
                };
                kept["text"] = json!(format!("*{{{{1}}}}* is your verification code.{advice}"));
            } else {
                body(value, named, if card { 160 } else { 1024 })?;
            }
        }
        "FOOTER" => {
            object(at, value, FOOTER)?;
            let text = value["text"].as_str().unwrap_or_default();
            if !variables(text).is_empty() {
                return Err(GraphError::content(2_388_073, "The footer has no variables."));
            }
            too_long(text, 60, "footer")?;
            if category != "AUTHENTICATION" && text.is_empty() {
                return Err(required(&At::Key(at, "text")));
            }
        }
        "BUTTONS" => {
            object(at, value, BUTTONS)?;
            kept["buttons"] = buttons(&At::Key(at, "buttons"), &value["buttons"])?;
        }
        "CAROUSEL" => {
            object(at, value, CAROUSEL)?;
            kept["cards"] = cards(&At::Key(at, "cards"), &value["cards"], category, named)?;
        }
        "LIMITED_TIME_OFFER" => {
            object(at, value, OFFER)?;
            too_long(value["limited_time_offer"]["text"].as_str().unwrap_or_default(), 16, "limited-time offer")?;
        }
        _ => {
            let got = value["type"].as_str().unwrap_or_default();
            return Err(not_one_of(&At::Key(at, "type"), COMPONENT_TYPES, got));
        }
    }
    Ok(kept)
}

fn header(value: &Value, format: &str, named: bool) -> Result<(), GraphError> {
    let example = &value["example"];
    if format != "TEXT" {
        let needs = !matches!(format, "LOCATION" | "PRODUCT");
        let has = example["header_handle"].as_array().is_some_and(|handles| !handles.is_empty());
        return match needs && !has {
            true => Err(GraphError::content(2_388_047, "A header with media needs example.header_handle.")),
            false => Ok(()),
        };
    }
    let text = value["text"].as_str().unwrap_or_default();
    if text.is_empty() {
        return Err(GraphError::content(2_388_047, "A text header needs a text."));
    }
    too_long(text, 60, "header")?;
    if text.contains('\n') || text.contains('*') {
        return Err(GraphError::content(2_388_047, "The header holds no new lines and no formatting."));
    }
    let found = variables(text);
    if found.len() > 1 {
        return Err(GraphError::content(2_388_047, "The header holds one variable at most."));
    }
    names(&found, named, 2_388_047)?;
    let examples = if named { &example["header_text_named_params"] } else { &example["header_text"] };
    if examples.as_array().map_or(0, Vec::len) < found.len() {
        return Err(GraphError::content(2_388_047, "The header's variable needs an example."));
    }
    Ok(())
}

fn body(value: &Value, named: bool, longest: usize) -> Result<(), GraphError> {
    let text = value["text"].as_str().unwrap_or_default();
    if text.is_empty() {
        return Err(GraphError::content(2_388_072, "The body needs a text."));
    }
    too_long(text, longest, "body")?;
    let found = variables(text);
    names(&found, named, 2_388_072)?;
    let trimmed = text.trim();
    if trimmed.starts_with("{{") || trimmed.ends_with("}}") {
        return Err(GraphError::content(2_388_299, "Variables can't be at the start or end of the template."));
    }
    if text.contains("}}{{") {
        return Err(GraphError::content(2_388_072, "Variables stand beside each other."));
    }
    let words = text.split_whitespace().filter(|word| !word.contains("{{")).count();
    // Meta's own rule is not published; its examples keep about this.
    if found.len() > 2 && words < found.len() {
        return Err(GraphError::content(2_388_293, "This template has too many variables for its length."));
    }
    let example = &value["example"];
    let given = if named {
        example["body_text_named_params"].as_array().map_or(0, Vec::len)
    } else {
        // A list of lists; one list alone is taken too.
        let list = example["body_text"].as_array();
        list.map_or(0, |list| list.first().and_then(Value::as_array).map_or(list.len(), Vec::len))
    };
    if given < found.len() {
        return Err(GraphError::content(2_388_072, "Each variable of the body needs an example."));
    }
    Ok(())
}

/// Positional variables count from 1 without gaps; named ones are lower case.
fn names(found: &[String], named: bool, subcode: i64) -> Result<(), GraphError> {
    if named {
        let good = |name: &String| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        return match found.iter().all(good) {
            true => Ok(()),
            false => Err(GraphError::content(subcode, "Names of variables hold a-z, 0-9 and _ only.")),
        };
    }
    let mut numbers: Vec<usize> = Vec::with_capacity(found.len());
    for name in found {
        match name.parse() {
            Ok(number) => numbers.push(number),
            Err(_) => {
                let text = "Variables of a POSITIONAL template are numbers: say parameter_format NAMED for names.";
                return Err(GraphError::content(subcode, text));
            }
        }
    }
    numbers.sort_unstable();
    match numbers.iter().enumerate().all(|(place, number)| *number == place + 1) {
        true => Ok(()),
        false => Err(GraphError::content(subcode, "Variables are {{1}}, {{2}} and so on without gaps.")),
    }
}

fn buttons(at: &At<'_>, value: &Value) -> Result<Value, GraphError> {
    let Some(list) = value.as_array() else { return Err(wrong_type(at, "an array")) };
    if list.is_empty() || list.len() > 10 {
        return Err(GraphError::content(2_388_039, "A template has between 1 and 10 buttons."));
    }
    let mut kept = Vec::with_capacity(list.len());
    let mut kinds: Vec<String> = Vec::with_capacity(list.len());
    for (place, item) in list.iter().enumerate() {
        let here = At::Place(at, place);
        object(&here, item, BUTTON)?;
        let kind = upper(&item["type"]);
        if !BUTTON_TYPES.contains(&kind.as_str()) {
            return Err(not_one_of(&At::Key(&here, "type"), BUTTON_TYPES, item["type"].as_str().unwrap_or_default()));
        }
        kept.push(button(&here, item, &kind)?);
        kinds.push(kind);
    }
    for (kind, most) in [("URL", 2), ("PHONE_NUMBER", 1), ("COPY_CODE", 1)] {
        if kinds.iter().filter(|found| found.as_str() == kind).count() > most {
            return Err(GraphError::content(
                2_388_039,
                format!("A template has at most {most} buttons of type {kind}."),
            ));
        }
    }
    // Quick replies stand together: the kind changes once at most.
    let changes = kinds.windows(2).filter(|pair| (pair[0] == "QUICK_REPLY") != (pair[1] == "QUICK_REPLY")).count();
    if changes > 1 {
        return Err(GraphError::content(2_388_039, "Quick replies stand together, before or after the other buttons."));
    }
    Ok(Value::Array(kept))
}

fn button(at: &At<'_>, item: &Value, kind: &str) -> Result<Value, GraphError> {
    let mut kept = item.clone();
    kept["type"] = json!(kind);
    let text = item["text"].as_str().unwrap_or_default();
    too_long(text, 25, "button")?;
    if text.is_empty() && matches!(kind, "QUICK_REPLY" | "URL" | "PHONE_NUMBER" | "FLOW") {
        return Err(required(&At::Key(at, "text")));
    }
    match kind {
        "URL" => {
            let url = item["url"].as_str().unwrap_or_default();
            if url.is_empty() {
                return Err(required(&At::Key(at, "url")));
            }
            too_long(url, 2000, "url")?;
            let found = variables(url);
            if found.len() > 1 || (found.len() == 1 && !url.ends_with("}}")) {
                return Err(GraphError::content(2_388_039, "A URL holds one variable at most, at its end."));
            }
            let example = &item["example"];
            if !found.is_empty() && !(example.is_string() || example.as_array().is_some_and(|list| !list.is_empty())) {
                return Err(GraphError::content(2_388_039, "The variable of a URL needs an example."));
            }
        }
        "PHONE_NUMBER" if item["phone_number"].as_str().unwrap_or_default().is_empty() => {
            return Err(required(&At::Key(at, "phone_number")));
        }
        "COPY_CODE" if item["example"].is_null() => return Err(required(&At::Key(at, "example"))),
        "OTP" => {
            if item["otp_type"].as_str().unwrap_or_default().is_empty() {
                return Err(required(&At::Key(at, "otp_type")));
            }
            // Meta returns it as a URL with the code at the end.
            let how = upper(&item["otp_type"]);
            kept = json!({
                "type": "URL", "text": if text.is_empty() { "Copy code" } else { text },
                "url": format!("https://www.whatsapp.com/otp/code/?otp_type={how}&code=otp{{{{1}}}}"),
                "example": ["https://www.whatsapp.com/otp/code/?code=otp123456"],
            });
        }
        _ => {}
    }
    Ok(kept)
}

fn cards(at: &At<'_>, value: &Value, category: &str, named: bool) -> Result<Value, GraphError> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    if !(2..=10).contains(&list.len()) {
        return Err(GraphError::content(2_388_039, "A carousel has between 2 and 10 cards."));
    }
    let mut kept = Vec::with_capacity(list.len());
    let mut layout: Option<Vec<String>> = None;
    for (place, card) in list.iter().enumerate() {
        let here = At::Place(at, place);
        let inner = At::Key(&here, "components");
        let Some(parts) = card["components"].as_array() else { return Err(wrong_type(&inner, "an array")) };
        let mut kept_parts = Vec::with_capacity(parts.len());
        let mut kinds = Vec::new();
        for (place, part) in parts.iter().enumerate() {
            let part = component(&At::Place(&inner, place), part, category, named, true)?;
            kinds.extend(part["buttons"].as_array().into_iter().flatten().map(|button| upper(&button["type"])));
            kept_parts.push(part);
        }
        if layout.as_ref().is_some_and(|layout| *layout != kinds) {
            return Err(GraphError::content(2_388_039, "All cards have the same buttons."));
        }
        layout = Some(kinds);
        kept.push(json!({ "components": kept_parts }));
    }
    Ok(Value::Array(kept))
}

fn too_long(text: &str, most: usize, what: &str) -> Result<(), GraphError> {
    match text.chars().count() > most {
        true => Err(GraphError::content(2_388_040, format!("The {what} has more than {most} characters."))),
        false => Ok(()),
    }
}
