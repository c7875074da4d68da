//! Meta's own examples (see `examples/LICENSE.facebook-openapi`), their placeholders filled, and the world in which they are good.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const MESSAGES: &str = include_str!("../examples/messages.json");
const TEMPLATES: &str = include_str!("../examples/templates.json");
const WEBHOOKS: &str = include_str!("../examples/webhooks.json");

/// The token of [`world`].
pub const TOKEN: &str = "example-token";
/// The secret of the app of [`world`].
pub const SECRET: &str = "example-secret";
/// The verify token of the app of [`world`].
pub const VERIFY_TOKEN: &str = "example-verify";
/// The id of its app.
pub const APP: &str = "90001";
/// The id of its WABA.
pub const WABA: &str = "80001";
/// The id of its number.
pub const NUMBER: &str = "60001";
/// The person to whom the examples go.
pub const RECIPIENT: &str = "5511988887777";

/// An example request.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Meta's name of it.
    pub name: String,
    /// The path with the ids of [`world`], beginning with `/v25.0/`.
    pub path: String,
    /// The body.
    pub body: Value,
}

/// The message requests: name and body. Those for marketing go to `marketing_messages` too, see [`messages`].
pub fn examples() -> Vec<(String, Value)> {
    messages().into_iter().map(|example| (example.name, example.body)).collect()
}

/// The message requests with their paths.
pub fn messages() -> Vec<Example> {
    requests(MESSAGES)
        .into_iter()
        .map(|(path, name, value)| {
            let route = if path.ends_with("/marketing_messages") { "marketing_messages" } else { "messages" };
            let body = filled(&name, &value);
            Example { name, path: format!("/v25.0/{NUMBER}/{route}"), body }
        })
        .collect()
}

/// The requests that create templates.
pub fn templates() -> Vec<Example> {
    requests(TEMPLATES)
        .into_iter()
        .filter(|(path, ..)| path.ends_with("/message_templates"))
        .enumerate()
        .map(|(place, (_, name, mut body))| {
            // Some of Meta's examples share a name.
            let given = body["name"].as_str().unwrap_or_default().replace("<TEMPLATE_NAME>", "flow_offer");
            body["name"] = json!(format!("{given}_{place}"));
            Example { body: filled(&name, &body), name, path: format!("/v25.0/{WABA}/message_templates") }
        })
        .collect()
}

/// The bodies of webhooks, by name.
pub fn webhooks() -> Vec<(String, Value)> {
    requests(WEBHOOKS).into_iter().map(|(_, name, value)| (name, value)).collect()
}

fn requests(text: &str) -> Vec<(String, String, Value)> {
    let list: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list.as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["kind"] == "request")
        .map(|entry| (word(&entry["path"]), word(&entry["name"]), entry["value"].clone()))
        .collect()
}

fn filled(name: &str, value: &Value) -> Value {
    match value {
        Value::String(text) => json!(text_of(name, text)),
        Value::Array(items) => items.iter().map(|item| filled(name, item)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (text_of(name, key), filled(name, value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

fn text_of(name: &str, text: &str) -> String {
    match text {
        "{{Recipient-Phone-Number}}" | "{{Recipient-WA-Phone-Number}}" => format!("+{RECIPIENT}"),
        "{{Flow-ID}}" => "70001".to_owned(),
        "{{Flow-Name}}" => "example_flow".to_owned(),
        "template-name" => slug(name),
        "<TEMPLATE_NAME>" => "example_flow_template".to_owned(),
        "language-and-locale-code" => "en_US".to_owned(),
        "<HEADER_TYPE>" => "text".to_owned(),
        "<AUDIO_OBJECT_ID>" => "40001".to_owned(),
        "<IMAGE_OBJECT_ID>" => "40002".to_owned(),
        "<VIDEO_OBJECT_ID>" => "40003".to_owned(),
        "<DOCUMENT_OBJECT_ID>" => "40004".to_owned(),
        "<MEDIA_OBJECT_ID>" => "40005".to_owned(),
        other if other.contains("http(s)://") => {
            let rest = other.trim_matches(['<', '>']).replace("http(s)://", "");
            format!("https://example.com/{rest}")
        }
        // As short as the shortest limit: a row's or a button's title.
        other if other.starts_with('<') && other.ends_with('>') => {
            let inner = other.trim_matches(['<', '>']).to_lowercase();
            let tail: String = inner.chars().rev().take(20).collect();
            tail.chars().rev().collect()
        }
        other => other.to_owned(),
    }
}

fn slug(name: &str) -> String {
    name.to_lowercase().replace(' ', "_")
}

/// The document for `POST /admin/setup` in which every example is accepted.
pub fn world() -> Value {
    let body3 = json!({
        "type": "BODY", "text": "Dear {{1}}, you owe us {{2}} since {{3}} and we thank you.",
        "example": { "body_text": [["a", "b", "c"]] },
    });
    let image = json!({ "type": "HEADER", "format": "IMAGE", "example": { "header_handle": ["4::x"] } });
    let quick = json!({ "type": "BUTTONS", "buttons": [
        { "type": "QUICK_REPLY", "text": "Yes" }, { "type": "QUICK_REPLY", "text": "No" }] });
    let plain = |text: &str| json!([{ "type": "BODY", "text": text }]);
    let template = |name: &str, language: &str, category: &str, components: Value| {
        let mut made = json!({ "name": name, "language": language, "category": category, "waba": WABA });
        made["components"] = components;
        made
    };
    let mut templates = vec![
        template("hello_world", "en", "MARKETING", plain("Welcome and congratulations!")),
        template("hello_world", "en_US", "UTILITY", plain("Welcome and congratulations!")),
        template("welcome_offer", "en_US", "MARKETING", plain("An offer to begin with.")),
        template(
            "promotional_offer",
            "en",
            "MARKETING",
            json!([{ "type": "BODY", "text": "Hello {{1}}, you save {{2}} today.", "example": { "body_text": [["a", "b"]] } }]),
        ),
        template(
            "intro_catalog_offer",
            "en_US",
            "MARKETING",
            json!([body3, { "type": "BUTTONS", "buttons": [{ "type": "CATALOG", "text": "View catalog" }] }]),
        ),
        template(
            "example_flow_template",
            "en_US",
            "UTILITY",
            json!([
                { "type": "BODY", "text": "Please answer." },
                { "type": "BUTTONS", "buttons": [{ "type": "FLOW", "text": "Begin", "flow_id": "70001" }] },
            ]),
        ),
        template(
            "sample_issue_resolution",
            "en_US",
            "UTILITY",
            json!([
                { "type": "BODY", "text": "Hi {{1}}, were we able to solve it?", "example": { "body_text": [["a"]] } },
                quick,
            ]),
        ),
        template("send_message_template_interactive", "en_US", "UTILITY", json!([image, body3, quick])),
        template("send_message_template_media", "en_US", "UTILITY", json!([image, body3])),
    ];
    for name in ["send_message_template_text", "send_sample_shipping_confirmation_template", "send_sample_text_message"]
    {
        templates.push(template(name, "en_US", "UTILITY", json!([body3])));
    }
    let media =
        |id: &str, mime: &str| json!({ "id": id, "waba": WABA, "mime_type": mime, "data": STANDARD.encode("example") });
    json!({
        "apps": [{ "id": APP, "secret": SECRET, "verify_token": VERIFY_TOKEN }],
        "tokens": [{ "token": TOKEN, "app": APP }],
        "portfolios": [{ "id": "70001", "tier": "TIER_UNLIMITED" }],
        "wabas": [{ "id": WABA, "portfolio": "70001", "name": "Example" }],
        "numbers": [{ "id": NUMBER, "display_phone_number": "+1 555 078 3881", "waba": WABA, "verified_name": "Example" }],
        "users": [{ "id": "ana", "phone": RECIPIENT, "name": "Ana", "country": "BR", "user_id": "BR.1502ana" }],
        "templates": templates,
        "media": [
            media("40001", "audio/ogg"), media("40002", "image/jpeg"), media("40003", "video/mp4"),
            media("40004", "application/pdf"), media("40005", "image/webp"),
        ],
        // Those of the examples were never given out here.
        "knobs": { "unknown_handles": "accept" },
    })
}
