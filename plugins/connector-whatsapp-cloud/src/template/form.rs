//! The form of a template at Meta, and in the engine. What either has and the other does not know stays under `more`.

use serde_json::{Map, Value, json};

use crate::account::{quality, words};

/// Fields of a component at Meta that have a place of their own in the engine's form.
const PLACED: [&str; 8] = ["type", "format", "text", "example", "buttons", "cards", "limited_time_offer", "url"];
/// Types of buttons: the engine's and Meta's names.
const BUTTONS: [(&str, &str); 10] = [
    ("quick-reply", "QUICK_REPLY"),
    ("url", "URL"),
    ("phone", "PHONE_NUMBER"),
    ("copy-code", "COPY_CODE"),
    ("otp", "OTP"),
    ("flow", "FLOW"),
    ("catalog", "CATALOG"),
    ("products", "MPM"),
    ("contact-request", "REQUEST_CONTACT_INFO"),
    ("voice-call", "VOICE_CALL"),
];

fn lower(word: &str) -> String {
    word.trim().to_ascii_lowercase().replace('_', "-")
}

fn upper(word: &str) -> String {
    word.trim().to_ascii_uppercase().replace('-', "_")
}

/// The engine's word for a status; `None` for one that it does not have.
pub(crate) fn status(word: &str) -> Option<&'static str> {
    Some(match upper(word).as_str() {
        "APPROVED" | "REINSTATED" | "UNARCHIVED" => "approved",
        "PENDING" => "pending",
        "REJECTED" => "rejected",
        "PAUSED" => "paused",
        "DISABLED" | "LOCKED" => "disabled",
        "IN_APPEAL" => "in-appeal",
        "ARCHIVED" => "archived",
        "DELETED" => "deleted",
        "PENDING_DELETION" => "pending-deletion",
        "LIMIT_EXCEEDED" => "limit-exceeded",
        _ => return None,
    })
}

/// The engine's word for a category. Old templates have others, which were all for messages that a person waits for.
pub(crate) fn category(value: &Value) -> Option<&'static str> {
    Some(match upper(value.as_str()?).as_str() {
        "" => return None,
        "MARKETING" => "marketing",
        "AUTHENTICATION" | "OTP" => "authentication",
        _ => "utility",
    })
}

/// A language as the engine has it: Meta writes `en_US` and `en-US`.
pub(crate) fn language(value: &Value) -> Option<String> {
    let text = value.as_str().map(str::trim).filter(|text| !text.is_empty() && text.len() <= 32)?;
    Some(text.replace('-', "_"))
}

/// An id as a text: in webhooks it is a number.
pub(crate) fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => number.as_u64().map(|id| id.to_string()),
        _ => None,
    }
}

/// The names of the variables of a text, in order, each once.
fn variables(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else { break };
        let name = name.trim();
        let sound = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if sound && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        rest = behind;
    }
    names
}

/// A template as Meta lists it, in the engine's form; `None` if it lacks what every template has.
pub(crate) fn ours(theirs: &Value) -> Option<Value> {
    let name = theirs["name"].as_str().filter(|name| !name.is_empty())?;
    let language = language(&theirs["language"])?;
    let named = theirs["parameter_format"].as_str().is_some_and(|format| format.eq_ignore_ascii_case("named"));
    let quality = quality(&theirs["quality_score"]["score"]).or(quality(&theirs["quality_score"])).unwrap_or("unknown");
    let components = theirs["components"].as_array().into_iter().flatten();
    let components: Vec<Value> = components.filter_map(our_component).collect();
    let mut template = json!({
        "name": name,
        "language": language,
        "status": theirs["status"].as_str().and_then(status).unwrap_or("pending"),
        "category": category(&theirs["category"]).unwrap_or("utility"),
        "format": if named { "named" } else { "positional" },
        "quality": quality,
        "components": components,
    });
    if let Some(id) = id(&theirs["id"]) {
        template["id"] = json!(id);
    }
    if let Some(reason) = words(&theirs["rejected_reason"]) {
        template["reason"] = json!(reason);
    }
    if let Some(seconds) = theirs["message_send_ttl_seconds"].as_i64() {
        template["ttlSeconds"] = json!(seconds);
    }
    Some(template)
}

fn our_component(theirs: &Value) -> Option<Value> {
    let kind = lower(theirs["type"].as_str()?);
    let mut ours = json!({"type": kind});
    if let Some(text) = theirs["text"].as_str() {
        ours["text"] = json!(text);
    }
    match kind.as_str() {
        "header" => {
            let format = theirs["format"].as_str().map_or_else(|| "text".to_owned(), lower);
            ours["format"] = json!(format);
            if let Some(handle) = theirs["example"]["header_handle"][0].as_str() {
                ours["example"] = json!(handle);
            }
            add_examples(&mut ours, theirs, "header_text");
        }
        "body" => add_examples(&mut ours, theirs, "body_text"),
        "buttons" => {
            let buttons = theirs["buttons"].as_array().into_iter().flatten();
            ours["buttons"] = buttons.filter_map(our_button).collect();
        }
        "limited-time-offer" => {
            let offer = &theirs["limited_time_offer"];
            ours["text"] = offer["text"].clone();
            ours["hasExpiration"] = json!(offer["has_expiration"].as_bool().unwrap_or(false));
        }
        "carousel" => {
            let card = |card: &Value| {
                let components = card["components"].as_array().into_iter().flatten();
                json!({"components": components.filter_map(our_component).collect::<Vec<_>>()})
            };
            ours["cards"] = theirs["cards"].as_array().into_iter().flatten().map(card).collect();
        }
        _ => {}
    }
    add_more(&mut ours, theirs, &PLACED);
    Some(ours)
}

/// Puts the examples of a text's variables into `ours`, by name. `field` is `header_text` or `body_text`.
fn add_examples(ours: &mut Value, theirs: &Value, field: &str) {
    let example = &theirs["example"];
    let mut examples = Map::new();
    let named = example[format!("{field}_named_params")].as_array().into_iter().flatten();
    for parameter in named {
        if let (Some(name), Some(value)) = (parameter["param_name"].as_str(), parameter["example"].as_str()) {
            examples.insert(name.to_owned(), json!(value));
        }
    }
    if examples.is_empty() {
        // A header's are a list, a body's a list of lists; some write a text for a list of one.
        let list = match &example[field] {
            Value::Array(list) => match list.first() {
                Some(Value::Array(first)) => first.clone(),
                _ => list.clone(),
            },
            Value::String(text) => vec![json!(text)],
            _ => Vec::new(),
        };
        let names = variables(theirs["text"].as_str().unwrap_or_default());
        examples.extend(names.into_iter().zip(list.into_iter().filter(Value::is_string)));
    }
    if !examples.is_empty() {
        ours["examples"] = Value::Object(examples);
    }
}

/// Puts what has no place of its own under `more`.
fn add_more(ours: &mut Value, theirs: &Value, placed: &[&str]) {
    let fields = theirs.as_object().into_iter().flatten();
    let more = fields.filter(|(name, value)| !placed.contains(&name.as_str()) && !value.is_null());
    let more: Map<_, _> = more.map(|(name, value)| (name.clone(), value.clone())).collect();
    if !more.is_empty() {
        ours["more"] = Value::Object(more);
    }
}

fn our_button(theirs: &Value) -> Option<Value> {
    let told = upper(theirs["type"].as_str()?);
    let link = theirs["url"].as_str();
    // Meta returns the button of a code as a link.
    let code = link.filter(|link| told == "URL" && link.contains("/otp/code"));
    let known = BUTTONS.iter().find(|(_, theirs)| *theirs == told).map(|(ours, _)| (*ours).to_owned());
    let kind = if code.is_some() { "otp".to_owned() } else { known.unwrap_or_else(|| lower(&told)) };
    let mut ours = json!({"type": kind});
    if let Some(text) = theirs["text"].as_str() {
        ours["text"] = json!(text);
    }
    let example = theirs["example"].as_str().or_else(|| theirs["example"][0].as_str());
    match code {
        Some(link) => {
            let query = link.split_once('?').map(|(_, query)| query).unwrap_or_default();
            let kind = query.split('&').find_map(|pair| pair.strip_prefix("otp_type=")).unwrap_or("COPY_CODE");
            ours["more"] = json!({"otp_type": kind});
            return Some(ours);
        }
        None => {
            if let Some(link) = link {
                ours["url"] = json!(link);
            }
            if let Some(example) = example {
                ours["example"] = json!(example);
            }
        }
    }
    add_more(&mut ours, theirs, &["type", "text", "url", "example"]);
    Some(ours)
}

/// The components of a template in the engine's form, as Meta takes them. `Err` says what to change.
pub(crate) fn their_components(ours: &Value, named: bool) -> Result<Value, String> {
    let list = ours.as_array().filter(|list| !list.is_empty()).ok_or("components: must have at least one")?;
    let code = has_code(ours);
    let component = |(place, ours): (usize, &Value)| {
        their_component(ours, named, code).map_err(|why| format!("components[{place}].{why}"))
    };
    list.iter().enumerate().map(component).collect()
}

/// Whether the variables of a template's components have names, by the texts themselves.
pub(crate) fn is_named(components: &Value) -> bool {
    let texts = components.as_array().into_iter().flatten().filter_map(|component| component["text"].as_str());
    texts.flat_map(variables).any(|name| !name.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a template brings a code: it has a button for one.
fn has_code(components: &Value) -> bool {
    let buttons = components.as_array().into_iter().flatten().filter_map(|component| component["buttons"].as_array());
    buttons.flatten().any(|button| button["type"] == "otp")
}

/// `code`: whether the template brings one. Meta writes the body of such a template itself, and takes no text for it.
fn their_component(ours: &Value, named: bool, code: bool) -> Result<Value, String> {
    let kind = ours["type"].as_str().filter(|kind| !kind.is_empty()).ok_or("type: is missing")?;
    let mut theirs = json!({"type": upper(kind)});
    let is_metas = code && kind == "body";
    let text = ours["text"].as_str().filter(|text| !text.is_empty() && !is_metas);
    if let (Some(text), true) = (text, kind != "limited-time-offer") {
        theirs["text"] = json!(text);
    }
    match kind {
        "header" => {
            let format = ours["format"].as_str().unwrap_or("text");
            theirs["format"] = json!(upper(format));
            match (format, ours["example"].as_str()) {
                ("text", _) => their_examples(&mut theirs, ours, named, "header_text"),
                (_, Some(handle)) => theirs["example"] = json!({"header_handle": [handle]}),
                _ => {}
            }
        }
        "body" if !is_metas => their_examples(&mut theirs, ours, named, "body_text"),
        "buttons" => {
            let buttons = ours["buttons"].as_array().into_iter().flatten().enumerate();
            let button =
                |(place, ours): (usize, &Value)| their_button(ours).map_err(|why| format!("buttons[{place}].{why}"));
            theirs["buttons"] = buttons.map(button).collect::<Result<Value, String>>()?;
        }
        "limited-time-offer" => {
            theirs["limited_time_offer"] = json!({
                "text": ours["text"], "has_expiration": ours["hasExpiration"].as_bool().unwrap_or(false),
            });
        }
        "carousel" => {
            let card = |(place, card): (usize, &Value)| -> Result<Value, String> {
                let components = their_components(&card["components"], named);
                Ok(json!({"components": components.map_err(|why| format!("cards[{place}].{why}"))?}))
            };
            let cards = ours["cards"].as_array().into_iter().flatten().enumerate();
            theirs["cards"] = cards.map(card).collect::<Result<Value, String>>()?;
        }
        _ => {}
    }
    add_own(&mut theirs, &ours["more"]);
    Ok(theirs)
}

/// Puts what stood under `more` where Meta has it. What has a place of its own stays as it is.
fn add_own(theirs: &mut Value, more: &Value) {
    for (name, value) in more.as_object().into_iter().flatten() {
        if theirs.get(name).is_none() {
            theirs[name.as_str()] = value.clone();
        }
    }
}

fn their_examples(theirs: &mut Value, ours: &Value, named: bool, field: &str) {
    let names = variables(ours["text"].as_str().unwrap_or_default());
    if names.is_empty() {
        return;
    }
    let example = |name: &String| ours["examples"][name.as_str()].as_str().unwrap_or_default().to_owned();
    if named {
        let list: Vec<_> = names.iter().map(|name| json!({"param_name": name, "example": example(name)})).collect();
        theirs["example"][format!("{field}_named_params")] = json!(list);
        return;
    }
    let list: Vec<_> = names.iter().map(example).collect();
    // A body's examples are one list for each set of values.
    theirs["example"][field] = if field == "body_text" { json!([list]) } else { json!(list) };
}

fn their_button(ours: &Value) -> Result<Value, String> {
    let kind = ours["type"].as_str().filter(|kind| !kind.is_empty()).ok_or("type: is missing")?;
    let known = BUTTONS.iter().find(|(ours, _)| *ours == kind).map(|(_, theirs)| (*theirs).to_owned());
    let mut theirs = json!({"type": known.unwrap_or_else(|| upper(kind))});
    for name in ["text", "url"] {
        if let Some(text) = ours[name].as_str() {
            theirs[name] = json!(text);
        }
    }
    if let Some(example) = ours["example"].as_str() {
        theirs["example"] = if kind == "url" { json!([example]) } else { json!(example) };
    }
    add_own(&mut theirs, &ours["more"]);
    Ok(theirs)
}

/// What Meta gets to create a template. `Err` says what to change.
pub(crate) fn creation(ours: &Value) -> Result<Value, String> {
    let text = |name: &str| ours[name].as_str().filter(|text| !text.is_empty()).ok_or(format!("{name}: is missing"));
    let named = match ours["format"].as_str() {
        Some(format) => format == "named",
        None => is_named(&ours["components"]),
    };
    let named = named && !has_code(&ours["components"]);
    let mut theirs = json!({
        "name": text("name")?,
        "language": text("language")?,
        "category": upper(text("category")?),
        // Without it, Meta takes the variables for positional and refuses names.
        "parameter_format": if named { "NAMED" } else { "POSITIONAL" },
        "components": their_components(&ours["components"], named)?,
    });
    if let Some(seconds) = ours["ttlSeconds"].as_i64() {
        theirs["message_send_ttl_seconds"] = json!(seconds);
    }
    Ok(theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Value {
        json!({"id": "1627019861106475", "name": "order_ready", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY",
            "parameter_format": "NAMED", "quality_score": {"score": "GREEN"}, "rejected_reason": "NONE", "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Pedido {{pedido}}",
             "example": {"header_text_named_params": [{"param_name": "pedido", "example": "#1"}]}},
            {"type": "BODY", "text": "Olá {{nome}}, pedido {{pedido}} pronto.", "example": {"body_text_named_params": [
                {"param_name": "nome", "example": "Ana"}, {"param_name": "pedido", "example": "#1"}]}},
            {"type": "FOOTER", "text": "Loja"},
            {"type": "BUTTONS", "buttons": [
                {"type": "URL", "text": "Ver", "url": "https://x.com/{{1}}", "example": ["https://x.com/1"]},
                {"type": "PHONE_NUMBER", "text": "Ligar", "phone_number": "+5511999998888"},
                {"type": "QUICK_REPLY", "text": "Ok"}]}]})
    }

    #[test]
    fn a_template_of_metas_becomes_the_engines() {
        assert_eq!(
            ours(&order()),
            Some(json!({"id": "1627019861106475", "name": "order_ready", "language": "pt_BR",
            "status": "approved", "category": "utility", "format": "named", "quality": "green", "components": [
            {"type": "header", "format": "text", "text": "Pedido {{pedido}}", "examples": {"pedido": "#1"}},
            {"type": "body", "text": "Olá {{nome}}, pedido {{pedido}} pronto.", "examples": {"nome": "Ana", "pedido": "#1"}},
            {"type": "footer", "text": "Loja"},
            {"type": "buttons", "buttons": [
                {"type": "url", "text": "Ver", "url": "https://x.com/{{1}}", "example": "https://x.com/1"},
                {"type": "phone", "text": "Ligar", "more": {"phone_number": "+5511999998888"}},
                {"type": "quick-reply", "text": "Ok"}]}]}))
        );
        assert_eq!(ours(&json!({"language": "pt_BR"})), None);
    }

    #[test]
    fn and_back() {
        let ours = ours(&order()).expect("a template");
        let theirs = creation(&ours).expect("a creation");
        for name in ["name", "language", "category", "parameter_format", "components"] {
            assert_eq!(theirs[name], order()[name], "{name}");
        }
        assert_eq!(theirs.as_object().map(Map::len), Some(5), "nothing else");
    }

    #[test]
    fn positional_examples_are_a_list_of_lists() {
        let theirs = json!({"name": "a", "language": "en-US", "category": "MARKETING", "status": "PAUSED", "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Our {{1}} is on!", "example": {"header_text": ["Summer Sale"]}},
            {"type": "BODY", "text": "{{1}} and {{2}}.", "example": {"body_text": [["a", "b"]]}}]});
        let ours = ours(&theirs).expect("a template");
        assert_eq!(
            (&ours["format"], &ours["language"], &ours["status"]),
            (&json!("positional"), &json!("en_US"), &json!("paused"))
        );
        assert_eq!(ours["components"][1]["examples"], json!({"1": "a", "2": "b"}));
        assert_eq!(creation(&ours).expect("a creation")["components"], theirs["components"]);
    }

    #[test]
    fn carousels_offers_and_codes_survive() {
        let theirs = json!([
            {"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "Só hoje", "has_expiration": true}},
            {"type": "CAROUSEL", "cards": [{"components": [
                {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4::aW"]}},
                {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Ok"}]}]}]},
            {"type": "BODY", "add_security_recommendation": true},
            {"type": "FOOTER", "code_expiration_minutes": 10},
            {"type": "BUTTONS", "buttons": [
                {"type": "OTP", "text": "Copiar", "otp_type": "COPY_CODE"},
                {"type": "COPY_CODE", "example": "25OFF"},
                {"type": "FLOW", "text": "Abrir", "flow_id": "1", "flow_action": "navigate", "navigate_screen": "A"}]}]);
        let ours = ours(&json!({"name": "a", "language": "en", "components": theirs})).expect("a template");
        let components = &ours["components"];
        assert_eq!(components[0], json!({"type": "limited-time-offer", "text": "Só hoje", "hasExpiration": true}));
        assert_eq!(
            components[1]["cards"][0]["components"][0],
            json!({"type": "header", "format": "image", "example": "4::aW"})
        );
        assert_eq!(their_components(components, false), Ok(theirs));
    }

    #[test]
    fn the_button_of_a_code_comes_back_as_a_link() {
        let button = json!({"type": "URL", "text": "Copy", "url": "https://www.whatsapp.com/otp/code/?otp_type=ONE_TAP&code=otp{{1}}"});
        assert_eq!(our_button(&button), Some(json!({"type": "otp", "text": "Copy", "more": {"otp_type": "ONE_TAP"}})));
    }

    #[test]
    fn the_body_of_a_code_is_metas() {
        let theirs = json!({"name": "login", "language": "en", "category": "AUTHENTICATION", "components": [
            {"type": "BODY", "text": "*{{1}}* is your verification code.", "add_security_recommendation": true},
            {"type": "FOOTER", "code_expiration_minutes": 10},
            {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Copy",
                "url": "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{{1}}"}]}]});
        let mut ours = ours(&theirs).expect("a template");
        ours["format"] = json!("named");
        let back = creation(&ours).expect("a creation");
        assert_eq!(back["parameter_format"], "POSITIONAL");
        assert_eq!(
            back["components"],
            json!([
            {"type": "BODY", "add_security_recommendation": true},
            {"type": "FOOTER", "code_expiration_minutes": 10},
            {"type": "BUTTONS", "buttons": [{"type": "OTP", "text": "Copy", "otp_type": "COPY_CODE"}]}])
        );
    }

    #[test]
    fn words_of_metas() {
        assert_eq!(
            (status("IN_APPEAL"), status("REINSTATED"), status("FLAGGED")),
            (Some("in-appeal"), Some("approved"), None)
        );
        assert_eq!((category(&json!("MARKETING")), category(&json!(null))), (Some("marketing"), None));
        assert_eq!((id(&json!(12)), id(&json!("12")), id(&json!(""))), (Some("12".into()), Some("12".into()), None));
        assert_eq!(variables("{{a}} {{1}} {{a}} {{ b }} {{}} {{x"), ["a", "1", "b"]);
    }

    #[test]
    fn what_is_wrong_names_its_field() {
        for (template, field) in [
            (json!({"language": "en", "category": "utility", "components": [{"type": "body"}]}), "name"),
            (json!({"name": "a", "language": "en", "category": "utility"}), "components"),
            (json!({"name": "a", "language": "en", "category": "utility", "components": [{}]}), "components[0].type"),
            (
                json!({"name": "a", "language": "en", "category": "utility",
                "components": [{"type": "buttons", "buttons": [{}]}]}),
                "components[0].buttons[0].type",
            ),
        ] {
            let why = creation(&template).expect_err(field);
            assert!(why.contains(field), "{field}: {why}");
        }
    }
}
