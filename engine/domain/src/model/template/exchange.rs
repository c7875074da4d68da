//! The JSON in which templates travel to and from connectors: the forms of `templates.md` of the connector world. Reading is tolerant where
//! a word is unknown and strict where something that is needed is missing.

use serde_json::{Map, Value, json};

use super::{
    Button, ButtonKind, Card, Component, Examples, HeaderFormat, TemplateCategory, TemplateFormat, TemplateStatus,
    samples,
};
use crate::model::{Attachment, Quality};

/// Maximum length of a text in a component, in characters.
const MAX_TEXT_CHARS: usize = 4096;

/// Maximum length of a name or an id, in characters.
const MAX_ID_CHARS: usize = 512;

/// Maximum number of components, buttons, cards or examples in one place.
const MAX_PARTS: usize = 100;

/// Maximum length of a part that is passed through, in bytes of JSON.
const MAX_MORE_BYTES: usize = 16 * 1024;

/// A template as a connector tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTemplate {
    /// The channel's id of it.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// What it is for; a word that this engine does not know counts as advertising.
    pub category: TemplateCategory,
    /// How its variables are named.
    pub format: TemplateFormat,
    /// Whether it can be sent; a word that this engine does not know means that it cannot.
    pub status: TemplateStatus,
    /// How the channel rates it.
    pub quality: Quality,
    /// Why it has its status.
    pub reason: Option<String>,
    /// What it consists of.
    pub components: Vec<Component>,
}

/// A page of a connector's list, and the cursor of the next one. `Err` says what is wrong.
pub fn read_page(json: &str) -> Result<(Vec<RemoteTemplate>, Option<String>), String> {
    let page: Value = serde_json::from_str(json).map_err(|_| "it is not JSON".to_owned())?;
    let Some(Value::Array(listed)) = page.get("templates") else {
        return Err("it has no list of templates".to_owned());
    };
    let templates = listed.iter().map(read_template).collect::<Result<Vec<_>, _>>()?;
    Ok((templates, text(&page, "after", MAX_TEXT_CHARS)?.filter(|after| !after.is_empty())))
}

/// A template as a connector writes it.
pub fn read_template(value: &Value) -> Result<RemoteTemplate, String> {
    let word = |key: &str| text(value, key, MAX_ID_CHARS);
    let needed = |key: &str| word(key)?.filter(|text| !text.is_empty()).ok_or_else(|| format!("{key} is missing"));
    let format = match word("format")?.as_deref() {
        Some("named") => TemplateFormat::Named,
        _ => TemplateFormat::Positional,
    };
    Ok(RemoteTemplate {
        id: word("id")?,
        name: needed("name")?,
        language: needed("language")?,
        category: word("category")?
            .and_then(|word| TemplateCategory::parse(&word))
            .unwrap_or(TemplateCategory::Marketing),
        format,
        status: word("status")?.and_then(|word| TemplateStatus::parse(&word)).unwrap_or(TemplateStatus::Pending),
        quality: word("quality")?.and_then(|word| Quality::parse(&word)).unwrap_or_default(),
        reason: text(value, "reason", MAX_TEXT_CHARS)?,
        components: match value.get("components") {
            None | Some(Value::Null) => Vec::new(),
            Some(components) => read_listed(components)?,
        },
    })
}

/// Where components stand, and who wrote them.
#[derive(Clone, Copy)]
struct Reading {
    /// Whether cards may be there: there are none inside of a card.
    cards: bool,
    /// Whether samples may be named: files are the tenant's to name.
    samples: bool,
}

/// Components as a caller writes them. Of a sample only the id, and the name if one is given, are known afterwards.
pub fn read_components(value: &Value) -> Result<Vec<Component>, String> {
    let (components, reading) = (list(value, "components")?, Reading { cards: true, samples: true });
    components.iter().enumerate().map(|(at, one)| component(one, reading).map_err(inside("components", at))).collect()
}

/// Components as a connector lists them: a header of a format that this engine does not know is passed through, or none of its
/// templates could be taken over.
fn read_listed(value: &Value) -> Result<Vec<Component>, String> {
    let is_odd = |part: &Value| {
        let format = part.get("format").and_then(Value::as_str);
        part.get("type").and_then(Value::as_str) == Some("header")
            && format.is_some_and(|format| HeaderFormat::parse(format).is_none())
    };
    let components = list(value, "components")?;
    let read = |(at, one): (usize, &Value)| {
        let component = if is_odd(one) {
            more(one).map(|json| Component::Other("header".to_owned(), json))
        } else {
            component(one, Reading { cards: true, samples: false })
        };
        component.map_err(inside("components", at))
    };
    components.iter().enumerate().map(read).collect()
}

fn inside(name: &'static str, at: usize) -> impl Fn(String) -> String {
    move |problem| format!("{name}[{at}].{problem}")
}

fn component(value: &Value, reading: Reading) -> Result<Component, String> {
    if !value.is_object() {
        return Err("type: it is not an object".to_owned());
    }
    let kind = text(value, "type", MAX_ID_CHARS)?.unwrap_or_default();
    Ok(match kind.as_str() {
        "header" => {
            let format = text(value, "format", MAX_ID_CHARS)?.unwrap_or_else(|| "text".to_owned());
            let format =
                HeaderFormat::parse(&format).ok_or("format: must be text, image, video, document or location")?;
            let sample = if reading.samples { samples::read(value, format)? } else { None };
            let example = text(value, "example", MAX_TEXT_CHARS)?;
            match sample {
                Some(sample) => Component::SampledHeader { format, example, sample },
                None => Component::Header {
                    format,
                    text: text(value, "text", MAX_TEXT_CHARS)?,
                    examples: examples(value)?,
                    example,
                },
            }
        }
        "body" => Component::Body {
            text: text(value, "text", MAX_TEXT_CHARS)?.unwrap_or_default(),
            examples: examples(value)?,
            more: further(value)?,
        },
        "footer" => {
            Component::Footer { text: text(value, "text", MAX_TEXT_CHARS)?.unwrap_or_default(), more: further(value)? }
        }
        "buttons" => {
            let buttons = list(value.get("buttons").unwrap_or(&Value::Null), "buttons")?;
            let buttons = buttons.iter().enumerate();
            let buttons = buttons.map(|(at, one)| button(one).map_err(inside("buttons", at)));
            Component::Buttons(buttons.collect::<Result<_, _>>()?)
        }
        "limited-time-offer" => Component::Offer {
            text: text(value, "text", MAX_TEXT_CHARS)?.unwrap_or_default(),
            has_expiration: value.get("hasExpiration").and_then(Value::as_bool).unwrap_or(false),
        },
        "carousel" if reading.cards => {
            let cards = list(value.get("cards").unwrap_or(&Value::Null), "cards")?;
            let cards = cards.iter().enumerate().map(|(at, one)| card(one, reading).map_err(inside("cards", at)));
            Component::Carousel(cards.collect::<Result<_, _>>()?)
        }
        "" => return Err("type: is required".to_owned()),
        _ => Component::Other(kind, more(value)?),
    })
}

fn card(value: &Value, reading: Reading) -> Result<Card, String> {
    let reading = Reading { cards: false, ..reading };
    let components = list(value.get("components").unwrap_or(&Value::Null), "components")?;
    let components = components.iter().enumerate();
    let components = components.map(|(at, one)| component(one, reading).map_err(inside("components", at)));
    Ok(Card { components: components.collect::<Result<_, _>>()? })
}

fn button(value: &Value) -> Result<Button, String> {
    let kind = text(value, "type", MAX_ID_CHARS)?.filter(|kind| !kind.is_empty()).ok_or("type: is required")?;
    Ok(Button {
        kind: ButtonKind::of(&kind),
        text: text(value, "text", MAX_TEXT_CHARS)?.unwrap_or_default(),
        url: text(value, "url", MAX_TEXT_CHARS)?,
        example: text(value, "example", MAX_TEXT_CHARS)?,
        more: further(value)?,
    })
}

/// The further fields of a part.
fn further(value: &Value) -> Result<Option<String>, String> {
    match value.get("more") {
        None | Some(Value::Null) => Ok(None),
        Some(fields) if fields.is_object() => more(fields).map(Some),
        Some(_) => Err("more: must be an object".to_owned()),
    }
}

fn examples(value: &Value) -> Result<Examples, String> {
    let given = match value.get("examples") {
        None | Some(Value::Null) => return Ok(Examples::new()),
        Some(Value::Object(given)) if given.len() <= MAX_PARTS => given,
        Some(Value::Object(_)) => return Err(format!("examples: must be at most {MAX_PARTS}")),
        Some(_) => return Err("examples: must be an object with the variables' names".to_owned()),
    };
    let mut examples = Examples::new();
    for (name, example) in given {
        let example = match example {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(format!("examples.{name}: must be a text")),
        };
        if example.chars().count() > MAX_TEXT_CHARS || name.chars().count() > MAX_ID_CHARS {
            return Err(format!("examples: must have at most {MAX_TEXT_CHARS} characters each"));
        }
        examples.insert(name.clone(), example);
    }
    Ok(examples)
}

fn list<'v>(value: &'v Value, name: &str) -> Result<&'v [Value], String> {
    match value {
        Value::Array(items) if items.len() <= MAX_PARTS => Ok(items),
        Value::Array(_) => Err(format!("{name}: must be at most {MAX_PARTS}")),
        _ => Err(format!("{name}: must be a list")),
    }
}

fn text(value: &Value, key: &str, most: usize) -> Result<Option<String>, String> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.contains('\0') => Err(format!("{key}: must not contain the NUL character")),
        Some(Value::String(text)) if text.chars().count() <= most => Ok(Some(text.clone())),
        Some(Value::String(_)) => Err(format!("{key}: must have at most {most} characters")),
        Some(_) => Err(format!("{key}: must be a text")),
    }
}

fn more(value: &Value) -> Result<String, String> {
    let text = value.to_string();
    if text.len() > MAX_MORE_BYTES {
        Err(format!("type: it is larger than {} KB", MAX_MORE_BYTES / 1024))
    } else {
        Ok(text)
    }
}

/// Components as callers see them: the reverse of [`read_components`].
pub fn components_json(components: &[Component]) -> Value {
    components_with(components, &|sample| {
        json!({
            "id": sample.id.to_string(), "fileName": sample.file_name, "contentType": sample.content_type,
            "size": sample.size,
        })
    })
}

/// Components as a connector gets them, with samples in the words of its world.
pub fn channel_json(components: &[Component]) -> Value {
    components_with(components, &|sample| {
        json!({
            "media": sample.id.to_string(), "filename": sample.file_name, "contentType": sample.content_type,
            "size": sample.size,
        })
    })
}

/// Components in the form in which they travel, with samples as `sample` writes them.
pub fn components_with(components: &[Component], sample: &dyn Fn(&Attachment) -> Value) -> Value {
    Value::Array(components.iter().map(|component| component_json(component, sample)).collect())
}

fn component_json(component: &Component, written: &dyn Fn(&Attachment) -> Value) -> Value {
    match component {
        Component::Header { format, text, examples, example } => {
            let mut header = Map::new();
            header.insert("type".to_owned(), json!("header"));
            header.insert("format".to_owned(), json!(format.as_str()));
            put(&mut header, "text", text);
            put_examples(&mut header, examples);
            put(&mut header, "example", example);
            Value::Object(header)
        }
        Component::SampledHeader { format, example, sample } => {
            let mut header = Map::new();
            header.insert("type".to_owned(), json!("header"));
            header.insert("format".to_owned(), json!(format.as_str()));
            put(&mut header, "example", example);
            header.insert(samples::KEY.to_owned(), written(sample));
            Value::Object(header)
        }
        Component::Body { text, examples, more } => {
            let mut body = Map::new();
            body.insert("type".to_owned(), json!("body"));
            body.insert("text".to_owned(), json!(text));
            put_examples(&mut body, examples);
            put_further(&mut body, more);
            Value::Object(body)
        }
        Component::Footer { text, more } => {
            let mut footer = Map::new();
            footer.insert("type".to_owned(), json!("footer"));
            footer.insert("text".to_owned(), json!(text));
            put_further(&mut footer, more);
            Value::Object(footer)
        }
        Component::Buttons(buttons) => {
            let buttons: Vec<Value> = buttons.iter().map(button_json).collect();
            json!({"type": "buttons", "buttons": buttons})
        }
        Component::Offer { text, has_expiration } => {
            json!({"type": "limited-time-offer", "text": text, "hasExpiration": has_expiration})
        }
        Component::Carousel(cards) => {
            let card = |card: &Card| json!({"components": components_with(&card.components, written)});
            let cards: Vec<Value> = cards.iter().map(card).collect();
            json!({"type": "carousel", "cards": cards})
        }
        Component::Other(kind, json) => serde_json::from_str(json).unwrap_or_else(|_| json!({"type": kind})),
    }
}

fn button_json(button: &Button) -> Value {
    let mut written = Map::new();
    written.insert("type".to_owned(), json!(button.kind.as_str()));
    if !button.text.is_empty() {
        written.insert("text".to_owned(), json!(button.text));
    }
    put(&mut written, "url", &button.url);
    put(&mut written, "example", &button.example);
    put_further(&mut written, &button.more);
    Value::Object(written)
}

fn put(object: &mut Map<String, Value>, key: &str, text: &Option<String>) {
    object.extend(text.as_ref().map(|text| (key.to_owned(), json!(text))));
}

fn put_further(object: &mut Map<String, Value>, more: &Option<String>) {
    if let Some(more) = more.as_deref().and_then(|more| serde_json::from_str::<Value>(more).ok()) {
        object.insert("more".to_owned(), more);
    }
}

fn put_examples(object: &mut Map<String, Value>, examples: &Examples) {
    if !examples.is_empty() {
        object.insert("examples".to_owned(), json!(examples));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_round_trips() {
        let written = json!([
            {"type": "header", "format": "text", "text": "Pedido {{pedido}}", "examples": {"pedido": "#1"}},
            {"type": "header", "format": "image", "example": "4::handle"},
            {"type": "body", "text": "Olá {{nome}}", "examples": {"nome": "Ana"}},
            {"type": "footer", "text": "Loja"},
            {"type": "body", "text": "", "more": {"add_security_recommendation": true}},
            {"type": "footer", "text": "", "more": {"code_expiration_minutes": 10}},
            {"type": "limited-time-offer", "text": "Só hoje", "hasExpiration": true},
            {"type": "buttons", "buttons": [
                {"type": "url", "text": "Ver", "url": "https://x.com/{{1}}", "example": "https://x.com/1"},
                {"type": "flow", "text": "Abrir", "more": {"flowId": "1"}},
                {"type": "voice-call", "text": "Ligar"},
                {"type": "catalog"}]},
            {"type": "carousel", "cards": [{"components": [{"type": "body", "text": "Um"}]}]},
            {"type": "tap-target", "title": "x"}
        ]);
        let components = read_components(&written).expect("well formed");
        assert_eq!(components_json(&components), written);
        assert_eq!(read_components(&components_json(&components)), Ok(components));
    }

    #[test]
    fn what_is_unknown_cannot_be_sent_and_what_is_missing_is_said() {
        let odd = json!({"name": "a", "language": "pt", "status": "dreaming", "category": "free", "quality": null});
        let read = read_template(&odd).expect("well formed");
        assert_eq!((read.status, read.category), (TemplateStatus::Pending, TemplateCategory::Marketing));
        assert_eq!((read.format, read.quality), (TemplateFormat::Positional, Quality::Unknown));
        let header = json!({"type": "header", "format": "product"});
        let read = read_template(&json!({"name": "a", "language": "pt", "components": [header]})).expect("well formed");
        assert_eq!(components_json(&read.components), json!([header]));
        assert!(read_components(&json!([header])).is_err(), "a caller is told");
        for (bad, problem) in [
            (json!({"language": "pt"}), "name is missing"),
            (json!({"name": "a"}), "language is missing"),
            (json!({"name": 1, "language": "pt"}), "name: must be a text"),
            (json!({"name": "a", "language": "pt", "components": {}}), "components: must be a list"),
            (json!({"name": "a", "language": "pt", "components": [{}]}), "components[0].type: is required"),
            (
                json!({"name": "a", "language": "pt", "components": [{"type": "buttons", "buttons": [{}]}]}),
                "components[0].buttons[0].type: is required",
            ),
        ] {
            assert_eq!(read_template(&bad).expect_err("it lacks something"), problem, "{bad}");
        }
    }

    #[test]
    fn a_page_names_the_next_one() {
        let one = json!({"name": "a", "language": "pt"});
        let page = |after: Value| json!({"templates": [one], "after": after}).to_string();
        let (templates, after) = read_page(&page(json!("x"))).expect("a page");
        assert_eq!((templates.len(), after.as_deref()), (1, Some("x")));
        assert_eq!(read_page(&page(json!(null))).expect("a page").1, None);
        assert_eq!(read_page(&page(json!(""))).expect("a page").1, None);
        assert!(read_page("{}").is_err() && read_page("x").is_err());
    }
}
