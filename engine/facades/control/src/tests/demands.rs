//! What channels demand, and what people do not want: reply windows, refused categories, and how both are answered.

use pombo_domain::model::{Inbound, Rules};
use pombo_domain::ports::{Batch, Change, OwnKind, TemplateChange};
use pombo_domain::{ConnectorIndex, Timestamp};
use pombo_testkit::samples;
use serde_json::{Value, json};

use super::conversations::opened;
use super::history::{known, receive, says};
use super::support::{Answer, Engine, Refused};

const HOUR_MS: i64 = 3_600_000;
/// 2029-12-31T01:00:00Z: 23 hours before the tests' clock starts.
pub(super) const WROTE: Timestamp = Timestamp(1_893_456_000_000 - 23 * HOUR_MS);

/// A connector of A whose channel takes only templates from people who have not written for 24 hours.
pub(super) async fn demanding(engine: &Engine) -> (String, ConnectorIndex) {
    engine.world.connectors.describe_plugin("connector-chat", |plugin| {
        plugin.features.push("templates".to_owned());
        plugin.contents.push(OwnKind { name: "template".to_owned(), schema: None });
        let outside_window = vec!["template".to_owned()];
        plugin.rules = Some(Rules { reply_window_ms: Some(24 * HOUR_MS), outside_window, ..Rules::default() });
    });
    engine.chat(&engine.a).await
}

async fn patched(engine: &Engine, path: &str, body: Value) -> Answer {
    engine.ask("PATCH", path, &[("x-api-key", &engine.a.key)], Some(body)).await
}

#[tokio::test]
async fn the_reply_window_is_shown_and_closes() {
    let engine = Engine::new().await;
    let (_, connector) = demanding(&engine).await;
    receive(&engine, &engine.a, connector, Inbound { sent_at: WROTE, ..says("5511", "R1", "oi") }).await;
    let path = format!("/v1/conversations/{}", known(&engine, connector, "5511"));
    let window = async || engine.get(&engine.a, &path).await.expect(200)["replyWindow"].clone();
    assert_eq!(window().await, json!({"until": "2030-01-01T01:00:00.000Z", "open": true}));
    let listed = engine.get(&engine.a, "/v1/conversations").await.expect(200);
    assert_eq!(listed["data"][0]["replyWindow"]["open"], true);
    engine.post_owned(format!("{path}/messages"), json!({"text": "pois não"})).await.expect(201);

    engine.world.clock.jump(HOUR_MS);
    assert_eq!(window().await, json!({"until": "2030-01-01T01:00:00.000Z", "open": false}));
    let refused = engine.post_owned(format!("{path}/messages"), json!({"text": "ainda aí?"})).await;
    assert!(refused.text().contains("send only: template"), "{}", refused.text());
    assert_eq!(refused.error(409).0, "window_closed");
}

#[tokio::test]
async fn outside_of_the_window_a_template_goes_and_a_text_does_not() {
    let engine = Engine::new().await;
    let (id, connector) = demanding(&engine).await;
    let mut template = samples::template(engine.a.tenant.index, "Olá {{nome}}, seu pedido chegou.");
    (template.connector, template.language) = (Some(connector), Some("pt_BR".to_owned()));
    let template_id = template.id;
    let change = Change::Template(Box::new(TemplateChange::Put(template)));
    engine.world.store.write(Batch::of(vec![change])).expect("stored");
    let path = format!("/v1/connectors/{id}/messages");
    let refused = engine.post_owned(path.clone(), json!({"to": "5511988887777", "text": "Oi"})).await;
    assert_eq!(refused.error(409).0, "window_closed");
    let body = json!({"to": "5511988887777", "templateId": template_id, "variables": {"nome": "Ana"}});
    engine.post_owned(path.clone(), body).await.expect(201);
    // What is for later is looked at then.
    let later = json!({"to": "5511988887777", "text": "Oi", "scheduledAt": "2030-01-02T00:00:00Z"});
    engine.post_owned(path, later).await.expect(201);

    // Who never wrote has a closed window, and a group has none.
    for (chat, window) in [("5511977776666", Some(json!({"open": false}))), ("120363000000000000@g.us", None)] {
        let conversation = opened(&engine, &engine.a, &id, chat).await;
        let shown = engine.get(&engine.a, &format!("/v1/conversations/{conversation}")).await.expect(200);
        assert_eq!(shown.get("replyWindow").cloned(), window, "{chat}");
    }
    // Nor has a channel that demands nothing.
    let mail = engine.connector(&engine.a).await;
    let conversation = opened(&engine, &engine.a, &mail, "ana@loja.com").await;
    let shown = engine.get(&engine.a, &format!("/v1/conversations/{conversation}")).await.expect(200);
    assert_eq!(shown.get("replyWindow"), None);
}

#[tokio::test]
async fn messages_of_a_refused_category_are_refused() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let body = json!({"type": "WHATSAPP", "identifier": "5511988887777", "connectorIds": [id]});
    let made = engine.post(&engine.a, "/v1/contacts", body).await.expect(201);
    let contact = format!("/v1/contacts/{}", made["id"].as_str().expect("an id"));
    let path = format!("/v1/connectors/{id}/messages");
    let send = async |kind: &str| {
        let body = json!({"to": "5511988887777", "text": "Oi", "messageType": kind});
        engine.post(&engine.a, &path, body).await
    };
    let wish = json!({"refusedCategories": ["MARKETING", "REMINDER"]});
    let shown = patched(&engine, &contact, wish.clone()).await.expect(200);
    let mut categories: Vec<&str> =
        shown["refusedCategories"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    categories.sort_unstable();
    assert_eq!((categories, &shown["active"]), (vec!["MARKETING", "REMINDER"], &json!(true)));
    // Another change leaves it.
    let named = patched(&engine, &contact, json!({"name": "Ana"})).await.expect(200);
    assert_eq!(named["refusedCategories"], shown["refusedCategories"]);
    for kind in ["MARKETING", "REMINDER"] {
        let refused = send(kind).await;
        assert!(refused.text().contains("does not want messages of this category"), "{}", refused.text());
        assert_eq!(refused.error(400).1, ["to"], "{kind}");
    }
    send("SUPPORT").await.expect(201);
    patched(&engine, &contact, json!({"refusedCategories": []})).await.expect(200);
    send("MARKETING").await.expect(201);
    for wrong in [json!(["SPAM"]), json!("MARKETING"), json!([5]), json!(vec!["GERAL"; 7])] {
        let refused = patched(&engine, &contact, json!({"refusedCategories": wrong})).await;
        let (code, fields) = refused.error(400);
        assert_eq!(code, "invalid");
        assert!(fields.iter().all(|field| field.starts_with("refusedCategories")) && !fields.is_empty(), "{fields:?}");
    }
    // Another tenant's contact is not there.
    engine.ask("PATCH", &contact, &[("x-api-key", &engine.b.key)], Some(wish)).await.error(404);
}
