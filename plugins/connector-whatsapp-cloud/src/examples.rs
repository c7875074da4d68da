//! Meta's own examples (`tests/`): every webhook is taken in, every message can be sent, every template keeps its form.

use pombo_plugin::connector::{Content, Outcome, ReceivedRequest};
use serde_json::{Map, Value, json};

use crate::cloud::bench::{CLIENT, cloud, outgoing};
use crate::outside::world::ready;
use crate::template::form;
use crate::{contents, receiving, sending};

const MESSAGES: &str = include_str!("../tests/messages.json");
const TEMPLATES: &str = include_str!("../tests/templates.json");
const WEBHOOKS: &str = include_str!("../tests/webhooks.json");

/// The values of the examples of requests, with their names.
fn requests(examples: &str) -> Vec<(String, Value)> {
    let all: Vec<Value> = serde_json::from_str(examples).expect("JSON");
    let requests = all.into_iter().filter(|example| example["kind"] == "request");
    requests.map(|example| (example["name"].as_str().expect("a name").to_owned(), example["value"].clone())).collect()
}

#[test]
fn every_webhook_is_taken_in() {
    let all = requests(WEBHOOKS);
    assert_eq!(all.len(), 16);
    for (name, value) in all {
        // The examples are of one number in several accounts; those of groups have it as well.
        let (world, cloud) = cloud("");
        let request = ReceivedRequest {
            method: "POST".to_owned(),
            path: String::new(),
            query: Vec::new(),
            headers: Vec::new(),
            body: value.to_string().into_bytes(),
            proven: true,
        };
        assert_eq!(ready(receiving::receive(&cloud, request)).status, 200, "{name}");
        assert!(!world.told.borrow().is_empty(), "{name}: nothing is told");
        assert!(world.others("meta.unreadable").is_empty(), "{name}: it cannot be read");
        let is_message = value["entry"][0]["changes"][0]["value"]["messages"].is_array() && name != "System Message";
        assert_eq!(world.messages().len(), usize::from(is_message), "{name}");
    }
}

/// The engine's content of a template that Meta's example sends.
fn content_of(template: &Value) -> Value {
    let mut content =
        json!({"name": template["name"], "language": template["language"]["code"], "format": "positional"});
    let values = |component: &Value| -> Value {
        let parameters = component["parameters"].as_array().into_iter().flatten().enumerate();
        let value = |(n, parameter): (usize, &Value)| match parameter["type"].as_str() {
            Some("text") => json!({"name": (n + 1).to_string(), "value": parameter["text"]}),
            Some(kind) => json!({"name": (n + 1).to_string(), "value": {kind: parameter[kind]}}),
            None => Value::Null,
        };
        parameters.map(value).collect()
    };
    for component in template["components"].as_array().into_iter().flatten() {
        let first = &component["parameters"][0];
        match component["type"].as_str().unwrap_or_default() {
            "header" if first["type"] == "text" => {
                content["header"] = json!({"format": "text", "values": values(component)});
            }
            "header" => {
                let kind = first["type"].as_str().expect("a type");
                content["header"] = json!({"format": kind, "media": first[kind]});
            }
            "body" => content["body"] = values(component),
            "button" => {
                let (kind, value) = match component["sub_type"].as_str().expect("a type") {
                    "quick_reply" => ("quick-reply", first["payload"].clone()),
                    "url" => ("url", first["text"].clone()),
                    "flow" => ("flow", first["action"].clone()),
                    "CATALOG" => ("catalog", first["action"].clone()),
                    other => panic!("{other}"),
                };
                if content["buttons"].is_null() {
                    content["buttons"] = json!([]);
                }
                let button = json!({"index": component["index"], "type": kind, "value": value});
                content["buttons"].as_array_mut().expect("a list").push(button);
            }
            other => panic!("{other}"),
        }
    }
    content
}

/// What of an example stands under its type, as this connector writes it.
fn expected(kind: &str, value: &Value) -> Value {
    let mut value = value.clone();
    if kind == "template" {
        let fields = value["language"].as_object_mut().expect("a language");
        // Old, and not needed.
        fields.remove("policy");
        let components = value.get_mut("components").and_then(Value::as_array_mut);
        for component in components.into_iter().flatten() {
            if let Some(index) = component["index"].as_u64() {
                component["index"] = json!(index.to_string());
            }
        }
    }
    value
}

#[test]
fn every_message_can_be_sent() {
    // Its quick replies carry a type that Meta refuses today.
    let outdated = ["Send Sample Issue Resolution Template"];
    let (mut templates, mut others) = (0, 0);
    for (name, example) in requests(MESSAGES) {
        let kind = example["type"].as_str().or_else(|| example["interactive"].is_object().then_some("interactive"));
        let Some(kind) = kind.filter(|_| !outdated.contains(&name.as_str())) else { continue };
        let content = match kind {
            "template" => {
                templates += 1;
                content_of(&example["template"])
            }
            "interactive" | "location" | "contacts" | "sticker" => {
                others += 1;
                example[kind].clone()
            }
            // Texts, files, reactions and read marks are not contents of the plugin's own.
            _ => continue,
        };
        let (world, cloud) = cloud("");
        world.answer(200, r#"{"messages":[{"id":"wamid.A"}]}"#);
        let message = outgoing(Content::Other((kind.to_owned(), content.to_string())));
        let outcome = ready(sending::send(&cloud, &message));
        assert!(matches!(outcome, Outcome::Accepted(_)), "{name}: {outcome:?}");
        let sent = world.posted().remove(0);
        assert_eq!(sent[kind], expected(kind, &example[kind]), "{name}");
        let mut keys: Vec<_> = sent.as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect();
        keys.sort_unstable();
        let mut want = vec!["biz_opaque_callback_data", "messaging_product", "recipient_type", "to", "type", kind];
        want.sort_unstable();
        assert_eq!(keys, want, "{name}");
        assert_eq!(sent["biz_opaque_callback_data"], CLIENT);
    }
    assert!(templates >= 10 && others >= 15, "{templates} templates and {others} others");
}

#[test]
fn every_template_keeps_its_form() {
    let mut count = 0;
    for (name, theirs) in requests(TEMPLATES) {
        let ours = form::ours(&theirs).expect("a template");
        let back = form::creation(&ours).unwrap_or_else(|why| panic!("{name}: {why}"));
        for (place, component) in theirs["components"].as_array().expect("components").iter().enumerate() {
            let mut want = component.clone();
            want["type"] = json!(component["type"].as_str().expect("a type").to_ascii_uppercase());
            assert_eq!(back["components"][place], want, "{name}");
        }
        assert_eq!(back["category"], theirs["category"], "{name}");
        count += 1;
    }
    assert_eq!(count, 12);
}

#[test]
fn every_answer_of_a_list_is_read() {
    let all: Vec<Value> = serde_json::from_str(TEMPLATES).expect("JSON");
    let pages = all.iter().filter_map(|example| example["value"]["data"].as_array());
    let read: Vec<_> = pages.flatten().map(form::ours).collect();
    assert!(!read.is_empty() && read.iter().all(Option::is_some));
    assert_eq!(contents::KINDS.len(), 4);
}
