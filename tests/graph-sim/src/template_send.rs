//! Sending a template: whether what was given fits what the template asks, with the texts of Meta's answers. Pure.

use serde_json::Value;

use crate::errors::GraphError;
use crate::form::{At, Field, Kind, may, must, not_one_of, object, required, wrong_type};
use crate::shape::{Header, Part, Shape, filled, upper};

const TEMPLATE: &[Field] = &[
    must("name", Kind::Text(512)),
    must("language", Kind::Object(LANGUAGE)),
    may("components", Kind::Raw),
    may("namespace", Kind::AnyText),
];
const LANGUAGE: &[Field] = &[must("code", Kind::Text(32)), may("policy", Kind::AnyText)];
const COMPONENT: &[Field] = &[
    must("type", Kind::Text(64)),
    may("parameters", Kind::Raw),
    may("sub_type", Kind::AnyText),
    may("index", Kind::Scalar),
    may("cards", Kind::Raw),
];
const CARD: &[Field] = &[must("card_index", Kind::Scalar), must("components", Kind::Raw)];
const PARAMETER: &[Field] = &[
    must("type", Kind::Text(64)),
    may("parameter_name", Kind::AnyText),
    may("text", Kind::Raw),
    may("payload", Kind::Raw),
    may("currency", Kind::Object(CURRENCY)),
    may("date_time", Kind::Raw),
    may("image", Kind::Object(MEDIA)),
    may("video", Kind::Object(MEDIA)),
    may("document", Kind::Object(DOCUMENT)),
    may("location", Kind::Object(LOCATION)),
    may("product", Kind::Raw),
    may("action", Kind::Raw),
    may("coupon_code", Kind::AnyText),
    may("limited_time_offer", Kind::Object(OFFER)),
];
const CURRENCY: &[Field] =
    &[must("fallback_value", Kind::Text(1024)), must("code", Kind::Text(3)), must("amount_1000", Kind::Number)];
const MEDIA: &[Field] = &[may("id", Kind::Scalar), may("link", Kind::AnyText)];
const DOCUMENT: &[Field] = &[may("id", Kind::Scalar), may("link", Kind::AnyText), may("filename", Kind::AnyText)];
const LOCATION: &[Field] = &[
    must("latitude", Kind::Number),
    must("longitude", Kind::Number),
    may("name", Kind::AnyText),
    may("address", Kind::AnyText),
];
const OFFER: &[Field] = &[must("expiration_time_ms", Kind::Number)];
const TYPES: &[&str] = &["BODY", "BUTTON", "CAROUSEL", "HEADER", "LIMITED_TIME_OFFER"];

/// Checks the form of the object `template`.
pub(crate) fn form(at: &At<'_>, template: &Value) -> Result<(), GraphError> {
    object(at, template, TEMPLATE)?;
    let components = &template["components"];
    if components.is_null() { Ok(()) } else { list(&At::Key(at, "components"), components) }
}

fn list(at: &At<'_>, components: &Value) -> Result<(), GraphError> {
    let Some(items) = components.as_array() else { return Err(wrong_type(at, "an array")) };
    for (place, component) in items.iter().enumerate() {
        let here = At::Place(at, place);
        object(&here, component, COMPONENT)?;
        let kind = upper(&component["type"]);
        if !TYPES.contains(&kind.as_str()) {
            let got = component["type"].as_str().unwrap_or_default();
            return Err(not_one_of(&At::Key(&here, "type"), TYPES, got));
        }
        if kind == "BUTTON" {
            for key in ["sub_type", "index"] {
                if component[key].is_null() {
                    return Err(required(&At::Key(&here, key)));
                }
            }
        }
        if kind == "CAROUSEL" {
            let inner = At::Key(&here, "cards");
            let Some(cards) = component["cards"].as_array() else { return Err(wrong_type(&inner, "an array")) };
            for (place, card) in cards.iter().enumerate() {
                let card_at = At::Place(&inner, place);
                object(&card_at, card, CARD)?;
                list(&At::Key(&card_at, "components"), &card["components"])?;
            }
        }
        let inner = At::Key(&here, "parameters");
        match &component["parameters"] {
            Value::Null => {}
            Value::Array(parameters) => {
                for (place, parameter) in parameters.iter().enumerate() {
                    self::parameter(&At::Place(&inner, place), parameter, kind == "BUTTON")?;
                }
            }
            _ => return Err(wrong_type(&inner, "an array")),
        }
    }
    Ok(())
}

fn parameter(at: &At<'_>, parameter: &Value, button: bool) -> Result<(), GraphError> {
    object(at, parameter, PARAMETER)?;
    if parameter["type"] == "text" {
        match &parameter["text"] {
            Value::String(text) if !text.is_empty() => {}
            // One of Meta's own examples sends these in a quick reply.
            Value::Bool(_) if button => {}
            Value::Null | Value::String(_) => {
                let mut error = GraphError::form("Invalid parameter");
                error.details = Some("Parameter 'text' is mandatory for component parameter type 'text'".to_owned());
                return Err(error);
            }
            _ => return Err(wrong_type(&At::Key(at, "text"), "a string")),
        }
    }
    Ok(())
}

/// What the media of a message are: kind, place and object.
pub(crate) fn media(template: &Value) -> Vec<(String, &'static str, &Value)> {
    fn walk<'a>(prefix: &str, components: &'a Value, found: &mut Vec<(String, &'static str, &'a Value)>) {
        for (place, component) in components.as_array().into_iter().flatten().enumerate() {
            for (which, parameter) in component["parameters"].as_array().into_iter().flatten().enumerate() {
                for kind in ["image", "video", "document"] {
                    if parameter["type"] == kind && !parameter[kind].is_null() {
                        let path = format!("{prefix}['components'][{place}]['parameters'][{which}]['{kind}']");
                        found.push((path, kind, &parameter[kind]));
                    }
                }
            }
            for (card, inner) in component["cards"].as_array().into_iter().flatten().enumerate() {
                walk(&format!("{prefix}['components'][{place}]['cards'][{card}]"), &inner["components"], found);
            }
        }
    }
    let mut found = Vec::new();
    walk("template", &template["components"], &mut found);
    found
}

/// Whether the components fit the template. `quick_reply_text` is the knob of that name.
pub(crate) fn fits(shape: &Shape, components: &Value, quick_reply_text: i64) -> Result<(), GraphError> {
    let none = Vec::new();
    let given = components.as_array().unwrap_or(&none);
    let of = |kind: &str| given.iter().filter(|component| upper(&component["type"]) == kind).collect::<Vec<_>>();
    header(shape, &parameters(&of("HEADER")))?;
    text("body", &shape.body, shape.named, &parameters(&of("BODY")), 1024)?;
    if shape.offer && of("LIMITED_TIME_OFFER").is_empty() {
        return Err(GraphError::coded(131_008, "limited_time_offer: Component requires a parameter"));
    }
    buttons(shape, &of("BUTTON"), quick_reply_text)?;
    let cards: Vec<&Value> =
        of("CAROUSEL").into_iter().flat_map(|carousel| carousel["cards"].as_array().into_iter().flatten()).collect();
    if cards.len() != shape.cards.len() {
        let details = format!(
            "carousel: number of cards ({}) does not match the expected number of cards ({})",
            cards.len(),
            shape.cards.len()
        );
        return Err(GraphError::coded(132_012, details));
    }
    for (place, (card, shape)) in cards.iter().zip(&shape.cards).enumerate() {
        if number(&card["card_index"]) != Some(place) {
            return Err(GraphError::coded(131_009, format!("carousel: card_index of card {place} is not {place}")));
        }
        fits(shape, &card["components"], quick_reply_text)?;
    }
    Ok(())
}

fn parameters<'a>(components: &[&'a Value]) -> Vec<&'a Value> {
    components.iter().flat_map(|component| component["parameters"].as_array().into_iter().flatten()).collect()
}

fn number(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| usize::try_from(number).ok()),
    }
}

fn header(shape: &Shape, given: &[&Value]) -> Result<(), GraphError> {
    match &shape.header {
        Header::Text(part) => match given.first() {
            Some(first) if !is_text(first) => Err(mismatch("TEXT", &upper(&first["type"]))),
            _ => text("header", part, shape.named, given, 60),
        },
        Header::None if given.is_empty() => Ok(()),
        Header::None => Err(count("header", given.len(), 0)),
        Header::Format(format) => match given.first() {
            None => Err(mismatch(format, "UNKNOWN")),
            Some(first) if upper(&first["type"]) != *format => Err(mismatch(format, &upper(&first["type"]))),
            Some(first) if first[format.to_lowercase().as_str()].is_null() => Err(mismatch(format, "UNKNOWN")),
            Some(_) => Ok(()),
        },
    }
}

fn mismatch(expected: &str, received: &str) -> GraphError {
    GraphError::coded(132_012, format!("header: Format mismatch, expected {expected}, received {received}"))
}

fn count(what: &str, given: usize, expected: usize) -> GraphError {
    let details = format!(
        "{what}: number of localizable_params ({given}) does not match the expected number of params ({expected})"
    );
    GraphError::coded(132_000, details)
}

fn is_text(parameter: &Value) -> bool {
    matches!(parameter["type"].as_str(), Some("text" | "currency" | "date_time"))
}

fn text(what: &str, part: &Part, named: bool, given: &[&Value], longest: usize) -> Result<(), GraphError> {
    if let Some(other) = given.iter().find(|parameter| !is_text(parameter)) {
        let received = upper(&other["type"]);
        return Err(GraphError::coded(132_012, format!("{what}: Format mismatch, expected TEXT, received {received}")));
    }
    if named && !part.variables.is_empty() {
        let nameless = |parameter: &&&Value| parameter["parameter_name"].as_str().unwrap_or_default().is_empty();
        if given.iter().any(|parameter| nameless(&parameter)) {
            let mut error = GraphError::form("Invalid parameter");
            error.details = Some("Parameter name is missing or empty".to_owned());
            return Err(error);
        }
    }
    if given.len() != part.variables.len() {
        return Err(count(what, given.len(), part.variables.len()));
    }
    let mut values: Vec<(String, String)> = Vec::with_capacity(given.len());
    for (place, parameter) in given.iter().enumerate() {
        let name = match named {
            true => parameter["parameter_name"].as_str().unwrap_or_default().to_owned(),
            false => part.variables.get(place).cloned().unwrap_or_default(),
        };
        if !part.variables.contains(&name) || values.iter().any(|(known, _)| *known == name) {
            let mut error = GraphError::form("Invalid parameter");
            error.details = Some(format!("Parameter name '{name}' is not expected"));
            return Err(error);
        }
        let kind = parameter["type"].as_str().unwrap_or_default();
        let value = match kind {
            "text" => parameter["text"].as_str().unwrap_or_default(),
            other => parameter[other]["fallback_value"].as_str().unwrap_or_default(),
        };
        if value.contains(['\n', '\r', '\t']) || value.contains("     ") {
            let details = "Param text cannot have new-line/tab characters or more than 4 consecutive spaces";
            return Err(GraphError::coded(132_018, details));
        }
        values.push((name, value.to_owned()));
    }
    let length = filled(part, &values).chars().count();
    if length > longest {
        return Err(GraphError::coded(132_005, format!("{what}: text is too long ({length}), the limit is {longest}")));
    }
    Ok(())
}

fn buttons(shape: &Shape, given: &[&Value], quick_reply_text: i64) -> Result<(), GraphError> {
    for component in given {
        let index = number(&component["index"]).unwrap_or(usize::MAX);
        let sub_type = upper(&component["sub_type"]);
        let Some(button) = shape.buttons.get(index) else {
            return Err(GraphError::coded(
                132_012,
                format!("buttons: Button at index {} does not exist", component["index"]),
            ));
        };
        let fitting = match button.kind.as_str() {
            "OTP" => sub_type == "URL",
            kind => sub_type == kind,
        };
        if !fitting {
            let details =
                format!("buttons: Button at index {index} is of type {}, received {sub_type}", title(&button.kind));
            return Err(GraphError::coded(132_012, details));
        }
        let first = component["parameters"].get(0).unwrap_or(&Value::Null);
        match (sub_type.as_str(), first["type"].as_str()) {
            ("QUICK_REPLY", Some("text")) if quick_reply_text == 100 => {
                return Err(GraphError::form("Invalid parameter"));
            }
            ("QUICK_REPLY", Some("text")) if quick_reply_text != 0 => return Err(GraphError::plain(quick_reply_text)),
            ("QUICK_REPLY", Some("payload")) if first["payload"].as_str().unwrap_or_default().is_empty() => {
                return Err(GraphError::coded(131_008, format!("buttons: Button at index {index} requires a payload")));
            }
            ("COPY_CODE", Some("coupon_code")) => {
                let code = first["coupon_code"].as_str().unwrap_or_default();
                if code.is_empty() || code.chars().count() > 15 {
                    return Err(GraphError::coded(
                        131_009,
                        format!("buttons: coupon_code at index {index} has 1 to 15 characters"),
                    ));
                }
            }
            ("QUICK_REPLY", None | Some("payload" | "text")) | ("URL", None | Some("text")) | ("COPY_CODE", None) => {}
            ("QUICK_REPLY" | "URL" | "COPY_CODE", Some(other)) => {
                return Err(GraphError::coded(
                    132_012,
                    format!("buttons: Button at index {index} does not take {other}"),
                ));
            }
            _ => {}
        }
    }
    for (index, button) in shape.buttons.iter().enumerate() {
        let filled = given.iter().any(|component| {
            number(&component["index"]) == Some(index)
                && component["parameters"].as_array().is_some_and(|parameters| !parameters.is_empty())
        });
        if button.variable && !filled {
            let details =
                format!("buttons: Button at index {index} of type {} requires a parameter", title(&button.kind));
            return Err(GraphError::coded(131_008, details));
        }
    }
    Ok(())
}

/// `URL` as Meta writes it in its texts: `Url`.
fn title(kind: &str) -> String {
    kind.split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| format!("{first}{}", letters.as_str().to_lowercase())).unwrap_or_default()
        })
        .collect()
}
