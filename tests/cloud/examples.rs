//! Meta's own examples (MIT, with their notice beside them): every webhook is taken in, every message and every template goes through the
//! connector, and the simulator, which checks as Graph does, takes it.

use anyhow::{Context, Result, bail, ensure};
use pombo_graph_sim::examples::{Example, messages, templates, webhooks};
use pombo_tests::http::Form;
use pombo_tests::tenant::text_of;
use pombo_tests::webhook::{jpeg, pdf};
use pombo_tests::whatsapp::Events;
use serde_json::{Value, json};

use crate::shared::{Bench, person};

#[test]
fn every_webhook_is_taken_in() -> Result<()> {
    let bench = Bench::silent()?;
    let line = bench.graph.line();
    let examples = webhooks();
    assert_eq!(examples.len(), 16);
    let mut events = Events::all(&bench.tenant);
    for (n, (name, example)) in examples.iter().enumerate() {
        let mut body = example.clone();
        body["entry"][0]["id"] = json!(line.waba);
        let value = &mut body["entry"][0]["changes"][0]["value"];
        value["metadata"] = json!({"display_phone_number": line.display, "phone_number_id": line.phone_number_id});
        // Meta used one id for several of them.
        let id = value["messages"][0]["id"].as_str().map(|id| format!("{id}{n}"));
        if let Some(id) = &id {
            value["messages"][0]["id"] = json!(id);
        }
        bench.hook.post(&body).with_context(|| name.clone())?;
        let wanted = match name.as_str() {
            "Text Message"
            | "Text Message with Context (Product Inquiry)"
            | "Text Message from Click to WhatsApp Ad"
            | "Button Message"
            | "Interactive List Reply Message"
            | "Interactive Button Reply Message" => "text or other",
            "Reaction Message" => "reaction",
            "Image Message" => "attachment",
            "Location Message" => "location",
            "Contact Sharing Message" | "Unsupported Message" | "Order Message" => "other",
            // Changes of numbers and of groups: no message of anybody's.
            _ => continue,
        };
        let id = id.with_context(|| format!("{name} has no id"))?;
        let message = events.message(&id).with_context(|| name.clone())?;
        let kind = text_of(&message, "kind")?;
        ensure!(wanted.split(" or ").any(|one| one == kind), "{name}: {message}");
    }
    // What one of them says stands where it is looked for.
    let all = events.drain()?;
    let texts: Vec<&str> = all.iter().filter_map(|event| event["data"]["text"].as_str()).collect();
    ensure!(
        texts.contains(&"Does it come in another color?") && texts.contains(&"Is this still available?"),
        "{texts:?}"
    );
    let emoji = |event: &&Value| event["data"]["reaction"]["emoji"] == "👍";
    assert_eq!(all.iter().filter(emoji).count(), 1);
    Ok(())
}

/// A file with the beginning of its kind; name, type and bytes.
fn file(kind: &str) -> Result<(&'static str, &'static str, Vec<u8>)> {
    Ok(match kind {
        "image" => ("foto.jpg", "image/jpeg", jpeg(9_000)),
        "document" => ("arquivo.pdf", "application/pdf", pdf(9_000)),
        "audio" => {
            let mut mp3 = b"ID3\x03\0\0\0\0\0\x0a".to_vec();
            mp3.resize(9_000, 0xff);
            ("som.mp3", "audio/mpeg", mp3)
        }
        "video" => {
            let mut mp4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec();
            mp4.resize(9_000, 0);
            ("video.mp4", "video/mp4", mp4)
        }
        other => bail!("no file is a {other}"),
    })
}

impl Bench {
    /// Has the connector send what the example says; what Graph must have got under the message's type.
    fn send_example(&self, who: &str, example: &Example, n: usize) -> Result<(String, Value)> {
        let value = &example.body;
        let kind = match value["type"].as_str() {
            Some(kind) => kind.to_owned(),
            None if value["text"].is_object() => "text".to_owned(),
            None => "interactive".to_owned(),
        };
        let mut body = json!({"to": who});
        if value["context"]["message_id"].is_string() {
            let theirs = self.opened(who)?;
            body["replyTo"] = json!({"providerId": theirs, "sender": who});
        }
        let wanted = value[kind.as_str()].clone();
        match kind.as_str() {
            "text" => body["text"] = wanted["body"].clone(),
            "image" | "document" | "audio" | "video" => {
                let (name, content_type, content) = file(&kind)?;
                let form = Form::new().file("file", name, content_type, &content);
                let request = self.tenant.client.request("POST", "/v1/media");
                let id = text_of(&form.into_request(request).send()?.expect_json(201)?, "id")?;
                body["attachments"] = json!([{"id": id, "fileName": name, "contentType": content_type}]);
                if wanted["caption"].is_string() {
                    body["text"] = wanted["caption"].clone();
                }
            }
            "reaction" => {
                let theirs = self.opened(who)?;
                let path = format!("/v1/connectors/{}/reactions", self.connector);
                let reaction = json!({"emoji": wanted["emoji"], "chat": who,
                    "message": {"providerId": theirs, "sender": who}});
                let queued = self.tenant.client.post(&path, &reaction)?.expect_json(201)?;
                self.tenant.wait_status(&text_of(&queued, "id")?, &["SENT"])?;
                return Ok((kind, json!({"message_id": theirs, "emoji": wanted["emoji"]})));
            }
            "template" => body["content"] = json!({"kind": "template", "value": self.template_of(&wanted, n)?}),
            _ => body["content"] = json!({"kind": kind, "value": wanted}),
        }
        let id = self.queue(&body)?;
        let message = self.tenant.wait_status(&id, &["SENT", "FAILED"])?;
        ensure!(message["status"] == "SENT", "{message}");
        Ok((kind, wanted))
    }

    /// Makes a template at the simulator that fits the example, and returns the content that sends it.
    fn template_of(&self, template: &Value, n: usize) -> Result<Value> {
        let name = format!("exemplo_{n}");
        let language = text_of(&template["language"], "code")?;
        let mut made = vec![];
        let mut content = json!({"name": name, "language": language, "format": "positional", "category": "marketing"});
        // What the template has, and what is sent.
        let (mut buttons, mut pressed, mut values) = (vec![], vec![], vec![]);
        let mut body = "Olá.".to_owned();
        for component in template["components"].as_array().into_iter().flatten() {
            let parameters = component["parameters"].as_array().cloned().unwrap_or_default();
            match component["type"].as_str().unwrap_or_default() {
                "header" => {
                    let kind = text_of(&parameters[0], "type")?;
                    made.push(json!({"type": "HEADER", "format": kind.to_uppercase(),
                        "example": {"header_handle": ["4::aW1hZ2U"]}}));
                    content["header"] = json!({"format": kind, "media": parameters[0][kind.as_str()]});
                }
                "body" => {
                    body = "Olá".to_owned();
                    for (place, parameter) in parameters.iter().enumerate() {
                        body += &format!(" e mais uma palavra {{{{{}}}}}", place + 1);
                        let value = match parameter["type"].as_str().unwrap_or_default() {
                            "text" => parameter["text"].clone(),
                            kind => json!({kind: parameter[kind]}),
                        };
                        values.push(json!({"name": (place + 1).to_string(), "value": value}));
                    }
                    body += " e é tudo.";
                }
                "button" => {
                    let index =
                        component["index"].as_u64().or(component["index"].as_str().and_then(|i| i.parse().ok()));
                    let index = index.context("a button without index")?;
                    let sub_type = text_of(component, "sub_type")?.to_lowercase();
                    let first = &parameters[0];
                    let (kind, button, value) = match sub_type.as_str() {
                        // One example has the value of a quick reply under another name than Graph takes.
                        "quick_reply" if first["payload"].is_null() => (
                            "quick-reply",
                            json!({"type": "QUICK_REPLY", "text": format!("Sim {index}")}),
                            json!(first["text"].to_string()),
                        ),
                        "quick_reply" => (
                            "quick-reply",
                            json!({"type": "QUICK_REPLY", "text": format!("Sim {index}")}),
                            first["payload"].clone(),
                        ),
                        "flow" => (
                            "flow",
                            json!({"type": "FLOW", "text": "Abrir", "flow_id": "4711",
                            "flow_action": "navigate", "navigate_screen": "INICIO"}),
                            first["action"].clone(),
                        ),
                        "catalog" => {
                            ("catalog", json!({"type": "CATALOG", "text": "View catalog"}), first["action"].clone())
                        }
                        other => bail!("a button of the type {other}"),
                    };
                    buttons.push(button);
                    pressed.push(json!({"index": index, "type": kind, "value": value}));
                }
                other => bail!("a component of the type {other}"),
            }
        }
        let samples: Vec<String> = (0..values.len()).map(|n| format!("a{n}")).collect();
        (content["body"], content["buttons"]) = (json!(values), json!(pressed));
        let mut text = json!({"type": "BODY", "text": body});
        if !samples.is_empty() {
            text["example"] = json!({"body_text": [samples]});
        }
        made.push(text);
        if !buttons.is_empty() {
            made.push(json!({"type": "BUTTONS", "buttons": buttons}));
        }
        self.graph
            .template(&json!({"name": name, "language": language, "category": "MARKETING", "components": made}))?;
        Ok(content)
    }
}

#[test]
fn every_message_is_sent_by_the_connector() -> Result<()> {
    let bench = Bench::new()?;
    bench.graph.file("40005", "image/webp", b"RIFF\x24\0\0\0WEBPVP8 ")?;
    let mut sent = 0;
    for (n, example) in messages().iter().enumerate() {
        // The marketing API takes the same templates. Read marks are no messages: another test sends them.
        if !example.path.ends_with("/messages") || example.body["status"] == "read" {
            continue;
        }
        let who = person();
        bench.opened(&who)?;
        let (kind, wanted) = bench.send_example(&who, example, n).with_context(|| example.name.clone())?;
        let accepted = bench.accepted(&who)?;
        assert_eq!(accepted.len(), 1, "{}", example.name);
        let got = &accepted[0];
        ensure!(got["type"] == kind.as_str() || (kind == "text" && got["type"].is_null()), "{}: {got}", example.name);
        match kind.as_str() {
            "text" => assert_eq!(got["text"]["body"], wanted["body"], "{}", example.name),
            "image" | "document" | "audio" | "video" => {
                assert_eq!(got[kind.as_str()]["caption"], wanted["caption"], "{}", example.name);
            }
            "template" => assert_eq!(
                got["template"]["components"].as_array().map_or(0, Vec::len),
                wanted["components"].as_array().map_or(0, Vec::len),
                "{}: {got}",
                example.name
            ),
            _ => assert_eq!(got[kind.as_str()], wanted, "{}", example.name),
        }
        sent += 1;
    }
    assert_eq!(sent, 49, "Meta has so many examples of messages other than read marks");
    bench.nothing_violated()
}

/// Each template is made at Graph as the example has it, taken over, and made once more by the engine from what it shows of it.
#[test]
fn every_template_is_taken_over_and_made_again() -> Result<()> {
    let bench = Bench::new()?;
    let client = &bench.tenant.client;
    // The examples' handles of samples were never given out.
    bench.graph.knobs(&json!({"unknown_handles": "accept"}))?;
    let mut made = 0;
    for (n, example) in templates().iter().enumerate() {
        let mut template = example.body.clone();
        let name = format!("exemplo_{n}");
        template["name"] = json!(name);
        bench.graph.create_template(&template).with_context(|| example.name.clone())?;
        bench.sync()?;
        let id = text_of(&bench.found(&name)?, "id")?;
        let shown = client.get(&format!("/v1/templates/{id}"))?.expect_json(200)?;
        assert_eq!(shown["category"], text_of(&template, "category")?.to_lowercase(), "{}", example.name);
        let components = shown["components"].as_array().context("no components")?;
        assert_eq!(
            components.len(),
            template["components"].as_array().map_or(0, Vec::len),
            "{}: {shown}",
            example.name
        );
        let again = json!({"connectorId": bench.connector, "name": format!("{name}_de_novo"), "language": shown["language"],
            "category": shown["category"], "format": shown["format"], "components": components});
        client.post("/v1/templates", &again)?.expect(201).with_context(|| example.name.clone())?;
        made += 1;
    }
    ensure!(made == 11, "{made} examples");
    let at_graph = bench.graph.requests("/message_templates")?;
    let posted = at_graph.iter().filter(|entry| entry["method"] == "POST" && entry["status"] == 200);
    assert_eq!(posted.count(), 22);
    Ok(())
}
