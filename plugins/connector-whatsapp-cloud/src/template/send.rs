//! From the content `template` to the message that Meta takes.

use serde_json::{Value, json};

use crate::config::Newlines;
use crate::contents::file;
use crate::url;

/// The longest run of spaces that Meta takes in a variable.
const SPACES: usize = 4;

/// How variables are written.
struct Manner {
    named: bool,
    newlines: Newlines,
}

/// The media of headers that are files of the message's own: `{"file": {…}}`, which is to become an id of Meta's.
pub(crate) fn files(content: &mut Value) -> Vec<&mut Value> {
    let mut found = Vec::new();
    for (name, value) in content.as_object_mut().into_iter().flatten() {
        match name.as_str() {
            "header" => found.extend(value.get_mut("media")),
            "cards" => {
                let cards = value.as_array_mut().into_iter().flatten();
                found.extend(cards.filter_map(|card| card.get_mut("header")?.get_mut("media")));
            }
            _ => {}
        }
    }
    found.retain(|media| media["file"].is_object());
    found
}

/// The value of `template` in a message. `Err` says what to change.
pub(crate) fn body(content: &Value, newlines: Newlines) -> Result<Value, String> {
    let text = |name: &str| {
        let given = content[name].as_str().map(str::trim).filter(|text| !text.is_empty());
        given.ok_or_else(|| format!("{name}: is missing"))
    };
    let (name, language) = (text("name")?, text("language")?);
    let manner = Manner { named: content["format"].as_str() != Some("positional"), newlines };
    let mut components = parts(content, &manner, "")?;
    if let Some(ends) = content["offerEndsAtMillis"].as_u64() {
        let offer = json!({"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": ends}});
        components.push(json!({"type": "limited_time_offer", "parameters": [offer]}));
    }
    let cards = content["cards"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !cards.is_empty() {
        let mut list = Vec::with_capacity(cards.len());
        for (place, card) in cards.iter().enumerate() {
            let components = parts(card, &manner, &format!("cards[{place}]."))?;
            list.push(json!({"card_index": place, "components": components}));
        }
        components.push(json!({"type": "carousel", "cards": list}));
    }
    let mut template = json!({"name": name, "language": {"code": language}});
    if !components.is_empty() {
        template["components"] = Value::Array(components);
    }
    Ok(template)
}

/// Header, body and buttons of a template or of one of its cards. `path` stands before the names of its fields.
fn parts(content: &Value, manner: &Manner, path: &str) -> Result<Vec<Value>, String> {
    let mut components = Vec::new();
    if let Some(parameters) = header(&content["header"], manner, path)? {
        components.push(json!({"type": "header", "parameters": parameters}));
    }
    let mut variables = variables(&content["body"], manner, &format!("{path}body"))?;
    // Of a code's template the body may not be known yet: Meta writes it, with the code as its one variable.
    let code = || content["buttons"].as_array()?.iter().find(|given| given["type"] == "otp");
    if let (true, Some(code)) = (variables.is_empty(), code()) {
        let text = clean(&plain(&code["value"]).unwrap_or_default(), manner.newlines);
        variables.push(json!({"type": "text", "text": text.map_err(|why| format!("{path}buttons: {why}"))?}));
    }
    if !variables.is_empty() {
        components.push(json!({"type": "body", "parameters": variables}));
    }
    for (place, given) in content["buttons"].as_array().into_iter().flatten().enumerate() {
        components.push(button(given, manner, &format!("{path}buttons[{place}]"))?);
    }
    Ok(components)
}

fn header(header: &Value, manner: &Manner, path: &str) -> Result<Option<Vec<Value>>, String> {
    if header.is_null() {
        return Ok(None);
    }
    let kind = header["format"].as_str().unwrap_or_default();
    match kind {
        "text" => {
            let values = variables(&header["values"], manner, &format!("{path}header.values"))?;
            Ok(Some(values).filter(|values| !values.is_empty()))
        }
        "image" | "video" | "document" => {
            let wrong =
                |why| format!("{path}header.media: {why}; the sample that Meta shows of the template cannot be sent");
            let media = file(&header["media"], kind == "document").map_err(wrong)?;
            let mut parameter = json!({"type": kind});
            parameter[kind] = media;
            Ok(Some(vec![parameter]))
        }
        "location" => {
            let mut place = json!({"latitude": header["latitude"], "longitude": header["longitude"]});
            for (theirs, ours) in [("name", "title"), ("address", "address")] {
                if let Some(text) = header[ours].as_str() {
                    place[theirs] = json!(text);
                }
            }
            if !place["latitude"].is_number() || !place["longitude"].is_number() {
                return Err(format!("{path}header: must have a latitude and a longitude"));
            }
            Ok(Some(vec![json!({"type": "location", "location": place})]))
        }
        _ => Err(format!("{path}header.format: must be text, image, video, document or location")),
    }
}

/// The parameters of a list of `{"name", "value"}`.
fn variables(values: &Value, manner: &Manner, path: &str) -> Result<Vec<Value>, String> {
    let mut parameters = Vec::new();
    for (place, variable) in values.as_array().into_iter().flatten().enumerate() {
        let name =
            variable["name"].as_str().map_or_else(|| format!("{path}[{place}]"), |name| format!("{path}: {name}"));
        let given = &variable["value"];
        let mut parameter = match given {
            Value::Object(_) => amount(given).ok_or_else(|| format!("{name}: must be a text"))?,
            _ => {
                let text = plain(given).ok_or_else(|| format!("{name}: must be a text"))?;
                json!({"type": "text", "text": clean(&text, manner.newlines).map_err(|why| format!("{name}: {why}"))?})
            }
        };
        if manner.named {
            let missing = || format!("{path}[{place}].name: is missing, and the template's variables are named");
            parameter["parameter_name"] = json!(variable["name"].as_str().ok_or_else(missing)?);
        }
        parameters.push(parameter);
    }
    Ok(parameters)
}

/// An amount of money or a date, as older templates have them: `{"currency": {…}}`, `{"date_time": {…}}`.
fn amount(value: &Value) -> Option<Value> {
    let money = &value["currency"];
    if money.is_object() {
        let known = json!({
            "fallback_value": money["fallback_value"], "code": money["code"], "amount_1000": money["amount_1000"],
        });
        return Some(json!({"type": "currency", "currency": known}));
    }
    let date = value["date_time"].as_object()?;
    let known = ["fallback_value", "day_of_week", "year", "month", "day_of_month", "hour", "minute", "calendar"];
    let date: serde_json::Map<_, _> =
        date.clone().into_iter().filter(|(name, _)| known.contains(&name.as_str())).collect();
    Some(json!({"type": "date_time", "date_time": date}))
}

/// The text of a text, a number, or true or false.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A variable's value as Meta takes it: without line breaks and tabs, and with at most four spaces in a row.
fn clean(text: &str, newlines: Newlines) -> Result<String, String> {
    if text.is_empty() {
        return Err("must not be empty: Meta takes no empty variables".to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let (mut spaces, mut changed) = (0, false);
    let mut before = ' ';
    for c in text.chars() {
        let is_break = matches!(c, '\n' | '\r' | '\t');
        if is_break {
            changed = true;
            // A line's end of two characters is one space.
            if c == '\n' && before == '\r' {
                before = c;
                continue;
            }
        }
        before = c;
        let c = if is_break { ' ' } else { c };
        spaces = if c == ' ' { spaces + 1 } else { 0 };
        if spaces > SPACES {
            changed = true;
        } else {
            out.push(c);
        }
    }
    match newlines {
        Newlines::Refuse if changed => Err("must have no line breaks, no tabs and at most four spaces in a row; \
            the connector's setting newlines can replace them"
            .to_owned()),
        _ => Ok(out),
    }
}

fn button(given: &Value, manner: &Manner, path: &str) -> Result<Value, String> {
    let index = given["index"].as_u64().or_else(|| given["index"].as_str().and_then(|text| text.parse().ok()));
    let index = index.ok_or_else(|| format!("{path}.index: must be the button's place in the template, from 0"))?;
    let kind = given["type"].as_str().ok_or_else(|| format!("{path}.type: is missing"))?;
    let value = &given["value"];
    let text = || plain(value).filter(|text| !text.is_empty()).ok_or_else(|| format!("{path}.value: must be a text"));
    let (sub_type, parameter) = match kind {
        "url" => ("url", json!({"type": "text", "text": url::suffix(&text()?)})),
        // A code is written into the button as well as into the body.
        "otp" => {
            let code = clean(&text()?, manner.newlines).map_err(|why| format!("{path}.value: {why}"))?;
            ("url", json!({"type": "text", "text": code}))
        }
        "quick-reply" => ("quick_reply", json!({"type": "payload", "payload": text()?})),
        "copy-code" => ("copy_code", json!({"type": "coupon_code", "coupon_code": text()?})),
        "flow" => ("flow", json!({"type": "action", "action": action(value)})),
        "catalog" => ("CATALOG", json!({"type": "action", "action": action(value)})),
        "products" => ("mpm", json!({"type": "action", "action": action(value)})),
        _ => return passed_through(kind, index, value, path),
    };
    Ok(json!({"type": "button", "sub_type": sub_type, "index": index.to_string(), "parameters": [parameter]}))
}

/// The action of a button, which Meta defines.
fn action(value: &Value) -> Value {
    if value.is_object() { value.clone() } else { json!({}) }
}

/// A button of a type that this connector does not know: its value is the list of its parameters, or one of them.
fn passed_through(kind: &str, index: u64, value: &Value, path: &str) -> Result<Value, String> {
    let is_type = kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if !is_type || kind.is_empty() || kind.len() > 64 {
        return Err(format!("{path}.type: must be one that templates have, e.g. url"));
    }
    let parameters = match value {
        Value::Array(list) => list.clone(),
        Value::Object(_) => vec![value.clone()],
        _ => return Err(format!("{path}.value: must be an object")),
    };
    let sub_type = kind.replace('-', "_");
    Ok(json!({"type": "button", "sub_type": sub_type, "index": index.to_string(), "parameters": parameters}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(content: &Value) -> Value {
        body(content, Newlines::Refuse).expect("a template")
    }

    #[test]
    fn named_variables_have_their_names_and_positional_their_order() {
        let named = json!({"name": "order_ready", "language": "pt_BR", "format": "named", "category": "utility",
            "header": {"format": "text", "values": [{"name": "pedido", "value": "#123"}]},
            "body": [{"name": "nome", "value": "João"}, {"name": "pedido", "value": "#123"}],
            "buttons": [{"index": 0, "type": "url", "value": "12 3"}]});
        assert_eq!(
            sent(&named),
            json!({"name": "order_ready", "language": {"code": "pt_BR"}, "components": [
            {"type": "header", "parameters": [{"type": "text", "parameter_name": "pedido", "text": "#123"}]},
            {"type": "body", "parameters": [
                {"type": "text", "parameter_name": "nome", "text": "João"},
                {"type": "text", "parameter_name": "pedido", "text": "#123"}]},
            {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "12%203"}]}]})
        );
        let positional = json!({"name": "a", "language": "en", "format": "positional",
            "body": [{"name": "1", "value": "Ana"}, {"name": "2", "value": "#123"}]});
        let parameters = sent(&positional)["components"][0]["parameters"].clone();
        assert_eq!(parameters, json!([{"type": "text", "text": "Ana"}, {"type": "text", "text": "#123"}]));
        assert_eq!(
            sent(&json!({"name": "hello_world", "language": "en_US"})),
            json!({"name": "hello_world", "language": {"code": "en_US"}})
        );
    }

    #[test]
    fn headers_are_files_and_places_of_ones_own() {
        let header = |header: Value| json!({"name": "a", "language": "en", "format": "named", "header": header});
        let image = header(json!({"format": "image", "media": {"link": "https://x.example/a.jpg", "mine": 1}}));
        assert_eq!(
            sent(&image)["components"][0]["parameters"],
            json!([{"type": "image", "image": {"link": "https://x.example/a.jpg"}}])
        );
        let document = header(json!({"format": "document", "media": {"id": "7", "filename": "a.pdf"}}));
        assert_eq!(
            sent(&document)["components"][0]["parameters"][0]["document"],
            json!({"id": "7", "filename": "a.pdf"})
        );
        let place = header(
            json!({"format": "location", "latitude": 1.5, "longitude": -2.0, "title": "Loja", "address": "Rua"}),
        );
        assert_eq!(
            sent(&place)["components"][0]["parameters"][0]["location"],
            json!({"latitude": 1.5, "longitude": -2.0, "name": "Loja", "address": "Rua"})
        );
        let why = body(&header(json!({"format": "image"})), Newlines::Refuse).expect_err("no file");
        assert!(why.contains("header.media") && why.contains("sample"), "{why}");
    }

    #[test]
    fn buttons_of_every_kind() {
        let content = json!({"name": "a", "language": "en", "format": "positional", "buttons": [
            {"index": 0, "type": "quick-reply", "value": "OK-123"},
            {"index": 1, "type": "copy-code", "value": "25OFF"},
            {"index": 2, "type": "flow", "value": {"flow_token": "t", "flow_action_data": {"k": "v"}}},
            {"index": 3, "type": "catalog", "value": {"thumbnail_product_retailer_id": "2lc"}},
            {"index": 4, "type": "products", "value": {"thumbnail_product_retailer_id": "2lc", "sections": []}},
            {"index": 5, "type": "voice-call", "value": {"type": "ttl_minutes", "ttl_minutes": 5}}]});
        let components = sent(&content)["components"].clone();
        let types: Vec<_> =
            (0..6_usize).map(|n| components[n]["sub_type"].as_str().unwrap_or_default().to_owned()).collect();
        assert_eq!(types, ["quick_reply", "copy_code", "flow", "CATALOG", "mpm", "voice_call"]);
        assert_eq!(components[0]["parameters"], json!([{"type": "payload", "payload": "OK-123"}]));
        assert_eq!(components[1]["parameters"], json!([{"type": "coupon_code", "coupon_code": "25OFF"}]));
        assert_eq!(components[2]["parameters"][0]["action"]["flow_token"], "t");
        assert_eq!(components[5]["index"], "5");
    }

    #[test]
    fn a_code_stands_in_the_body_and_in_the_button() {
        let content = json!({"name": "login", "language": "pt_BR", "format": "positional", "category": "authentication",
            "body": [{"name": "1", "value": "123456"}], "buttons": [{"index": 0, "type": "otp", "value": "123456"}]});
        let text = json!([{"type": "text", "text": "123456"}]);
        assert_eq!(
            sent(&content)["components"],
            json!([
            {"type": "body", "parameters": text},
            {"type": "button", "sub_type": "url", "index": "0", "parameters": text}])
        );
        let mut without = content.clone();
        without["body"] = json!([]);
        assert_eq!(sent(&without), sent(&content), "the body's variable is the code");
    }

    #[test]
    fn an_offer_that_ends_and_a_carousel() {
        let card = |n: u8| {
            json!({"header": {"format": "image", "media": {"id": n.to_string()}},
            "body": [{"name": "1", "value": "x"}], "buttons": [{"index": 0, "type": "quick-reply", "value": "p"}]})
        };
        let content = json!({"name": "a", "language": "en", "format": "positional", "offerEndsAtMillis": 1735689600000_u64,
            "body": [{"name": "1", "value": "Ana"}], "cards": [card(1), card(2)]});
        let components = sent(&content)["components"].clone();
        assert_eq!(
            components[1],
            json!({"type": "limited_time_offer", "parameters": [
            {"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1735689600000_u64}}]})
        );
        assert_eq!(components[2]["type"], "carousel");
        let second = &components[2]["cards"][1];
        assert_eq!((&second["card_index"], second["components"].as_array().map(Vec::len)), (&json!(1), Some(3)));
        assert_eq!(second["components"][0]["parameters"], json!([{"type": "image", "image": {"id": "2"}}]));
    }

    #[test]
    fn line_breaks_are_refused_or_replaced() {
        let content = |value: &str| {
            json!({"name": "a", "language": "en", "format": "named",
            "body": [{"name": "nome", "value": value}]})
        };
        for bad in ["a\nb", "a\tb", "a     b", ""] {
            let why = body(&content(bad), Newlines::Refuse).expect_err(bad);
            assert!(why.contains("nome"), "{why}");
        }
        let replaced = |value: &str| {
            let template = body(&content(value), Newlines::Replace).expect("a template");
            template["components"][0]["parameters"][0]["text"].as_str().expect("a text").to_owned()
        };
        assert_eq!(replaced("a\r\nb\tc"), "a b c");
        assert_eq!(replaced("a       b"), "a    b");
        assert!(body(&content("a    b"), Newlines::Refuse).is_ok());
    }

    #[test]
    fn what_is_wrong_names_its_field() {
        for (content, field) in [
            (json!({"language": "en"}), "name"),
            (json!({"name": "a"}), "language"),
            (json!({"name": "a", "language": "en", "header": {"format": "audio"}}), "header.format"),
            (json!({"name": "a", "language": "en", "body": [{"value": "x"}]}), "body[0].name"),
            (json!({"name": "a", "language": "en", "body": [{"name": "n", "value": []}]}), "n: must be a text"),
            (json!({"name": "a", "language": "en", "buttons": [{"type": "url", "value": "x"}]}), "buttons[0].index"),
            (json!({"name": "a", "language": "en", "buttons": [{"index": 0, "type": "url"}]}), "buttons[0].value"),
            (json!({"name": "a", "language": "en", "cards": [{"header": {"format": "image"}}]}), "cards[0].header"),
        ] {
            let why = body(&content, Newlines::Refuse).expect_err(field);
            assert!(why.contains(field), "{field}: {why}");
        }
    }
}
