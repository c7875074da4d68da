//! The webhook of a connector: set, shown, removed; its deliveries listed and posted again.

use pombo_domain::model::{
    DeliveryStatus, EventBody, Inbound, InboundAttachment, InboundContent, MediaKind, MediaState, TimelineAct,
};
use pombo_domain::ports::*;
use pombo_testkit::samples;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Answer, Caller, Engine, Refused};

const URL: &str = "https://loja.com/hook";

async fn put(engine: &Engine, caller: &Caller, path: &str, body: Value) -> Answer {
    engine.ask("PUT", path, &[("x-api-key", &caller.key)], Some(body)).await
}

async fn delete(engine: &Engine, caller: &Caller, path: &str) -> Answer {
    engine.ask("DELETE", path, &[("x-api-key", &caller.key)], None).await
}

fn connected() -> EventBody {
    EventBody::Session { state: "connected".into(), account: None, reason: None }
}

#[tokio::test]
async fn a_webhook_is_set_shown_and_removed() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let path = format!("/v1/connectors/{id}/webhook");
    assert_eq!(engine.get(&engine.a, &path).await.error(404).0, "not_found");
    let set = json!({"webhookUrl": URL, "secret": "segredo", "events": ["message.received", "session.code"]});
    let shown = json!({
        "webhookUrl": URL, "events": ["message.received", "session.code"], "active": true,
        "updatedAt": "2030-01-01T00:00:00.000Z"
    });
    assert_eq!(put(&engine, &engine.a, &path, set).await.expect(200), shown);
    assert_eq!(engine.get(&engine.a, &path).await.expect(200), shown);

    let off =
        put(&engine, &engine.a, &path, json!({"webhookUrl": URL, "active": false, "secret": null})).await.expect(200);
    assert_eq!((&off["active"], off.get("secret")), (&json!(false), None), "the secret stays");
    assert_eq!(off["events"].as_array().map(Vec::len), Some(6));
    delete(&engine, &engine.a, &path).await.expect(204);
    assert_eq!(delete(&engine, &engine.a, &path).await.error(404).0, "not_found");
    let made = put(&engine, &engine.a, &path, json!({"webhookUrl": URL})).await.expect(200);
    assert!(made["secret"].as_str().is_some_and(|secret| secret.len() >= 32), "made, and shown once");
    assert_eq!(engine.get(&engine.a, &path).await.expect(200).get("secret"), None);

    // It goes with its connector.
    delete(&engine, &engine.a, &format!("/v1/connectors/{id}")).await.expect(204);
    assert_eq!(engine.get(&engine.a, &path).await.error(404).0, "not_found");
    assert_eq!(engine.world.store.disk().verify().expect("readable"), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_wrong_with_a_webhook_is_named() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let path = format!("/v1/connectors/{id}/webhook");
    for (body, field) in [
        (json!({}), "body"),
        (json!({"webhookUrl": ""}), "webhookUrl"),
        (json!({"webhookUrl": "loja.com"}), "webhookUrl"),
        (json!({"webhookUrl": "https://localhost/"}), "webhookUrl"),
        (json!({"webhookUrl": "http://loja.com/"}), "webhookUrl"),
        (json!({"webhookUrl": URL, "secret": " "}), "secret"),
        (json!({"webhookUrl": URL, "events": []}), "events"),
        (json!({"webhookUrl": URL, "events": ["message.sent", "x"]}), "events[1]"),
        (json!({"webhookUrl": URL, "url": URL}), "url"),
    ] {
        let refused = put(&engine, &engine.a, &path, body.clone()).await.error(400);
        assert_eq!(refused.1, [field], "{body}");
    }
    let all = put(&engine, &engine.a, &path, json!({"webhookUrl": "", "secret": " ", "events": []})).await.error(400);
    assert_eq!(all.1, ["webhookUrl", "secret", "events"]);
    let plain = put(&engine, &engine.a, &path, json!({"webhookUrl": "http://loja.com/"})).await.expect(400);
    assert!(plain["error"]["message"].as_str().is_some_and(|text| text.contains("must be https")), "{plain}");
    assert_eq!(
        put(&engine, &engine.a, "/v1/connectors/x/webhook", json!({"webhookUrl": URL})).await.error(404).0,
        "not_found"
    );
}

#[tokio::test]
async fn another_tenants_webhook_does_not_exist() {
    let engine = Engine::new().await;
    let (id, index) = engine.chat(&engine.a).await;
    let path = format!("/v1/connectors/{id}/webhook");
    put(&engine, &engine.a, &path, json!({"webhookUrl": URL})).await.expect(200);
    engine.append(&engine.a, index, connected()).await;
    let list = format!("{path}/deliveries");
    let delivery = engine.get(&engine.a, &list).await.expect(200)["data"][0]["id"].as_str().expect("an id").to_owned();
    engine.get(&engine.b, &path).await.error(404);
    engine.get(&engine.b, &list).await.error(404);
    put(&engine, &engine.b, &path, json!({"webhookUrl": URL})).await.error(404);
    delete(&engine, &engine.b, &path).await.error(404);
    engine.post(&engine.b, &format!("{list}/{delivery}/replay"), json!({})).await.error(404);
    // Nor is it one of another connector.
    let (other, _) = engine.chat(&engine.a).await;
    engine
        .post(&engine.a, &format!("/v1/connectors/{other}/webhook/deliveries/{delivery}/replay"), json!({}))
        .await
        .error(404);
}

#[tokio::test]
async fn deliveries_are_listed_in_pages_and_posted_again() {
    let engine = Engine::new().await;
    let (id, index) = engine.chat(&engine.a).await;
    let path = format!("/v1/connectors/{id}/webhook");
    put(&engine, &engine.a, &path, json!({"webhookUrl": URL})).await.expect(200);
    for _ in 0..3 {
        engine.append(&engine.a, index, connected()).await;
    }
    let list = format!("{path}/deliveries");
    let first = engine.get(&engine.a, &format!("{list}?limit=2")).await.expect(200);
    let cursors = |page: &Value| {
        let rows = page["data"].as_array().expect("a list").iter();
        rows.map(|row| row["cursor"].as_u64().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!((cursors(&first), &first["next"]), (vec![3, 2], &json!(2)));
    let row = &first["data"][0];
    let expected = json!({
        "id": row["id"], "cursor": 3, "event": "session.connected", "status": "PENDING",
        "nextAt": "2030-01-01T00:00:00.000Z", "tries": 0, "attempts": [], "createdAt": "2030-01-01T00:00:00.000Z"
    });
    assert_eq!(*row, expected);
    let second = engine.get(&engine.a, &format!("{list}?limit=2&before=2")).await.expect(200);
    assert_eq!((cursors(&second), second.get("next")), (vec![1], None));
    assert_eq!(cursors(&engine.get(&engine.a, &format!("{list}?status=ABANDONED")).await.expect(200)), [0; 0]);

    // One is given up, and posted again.
    let tenant = engine.a.tenant.index;
    let given_up = second["data"][0]["id"].as_str().expect("an id").to_owned();
    let found = engine.world.store.event_delivery_by_id(tenant, given_up.parse().expect("a UUID")).expect("readable");
    let mut ended = found.expect("it is listed");
    ended.state.tries = 11;
    ended.state.abandon("no answer", engine.state.commands.now());
    let change = Change::Webhook(Box::new(WebhookChange::Delivery(ended)));
    engine.world.store.commit(Batch::of(vec![change])).await.expect("commits");
    let shown = engine.get(&engine.a, &format!("{list}?status=ABANDONED")).await.expect(200)["data"][0].clone();
    assert_eq!((&shown["status"], shown.get("nextAt"), &shown["tries"]), (&json!("ABANDONED"), None, &json!(11)));
    let replay = format!("{list}/{given_up}/replay");
    let again = engine.post(&engine.a, &replay, json!({})).await.expect(200);
    assert_eq!((&again["status"], &again["tries"]), (&json!("PENDING"), &json!(0)));
    assert_eq!(again["attempts"][0]["error"], "no answer", "what was tried stays on record");
    let unknown = format!("{list}/{}/replay", Uuid::from_u128(5));
    assert_eq!(engine.post(&engine.a, &unknown, json!({})).await.error(404).0, "not_found");
    delete(&engine, &engine.a, &path).await.expect(204);
    assert_eq!(engine.post(&engine.a, &replay, json!({})).await.error(409).0, "conflict");
    let status = |one: &pombo_domain::model::EventDelivery| one.state.status == DeliveryStatus::Pending;
    let all = engine.world.store.event_deliveries(tenant, &EventDeliveryFilter::default(), None, 9).expect("readable");
    assert!(all.rows.iter().all(status));
}

/// A received picture in a conversation; the id of its entry.
async fn received(engine: &Engine, connector: pombo_domain::ConnectorIndex, media: MediaState) -> Uuid {
    let file = InboundAttachment {
        kind: MediaKind::Image,
        media,
        file_name: None,
        content_type: "image/jpeg".to_owned(),
        size: None,
        caption: None,
    };
    let inbound = Inbound { content: InboundContent::Attachment(file), ..samples::inbound("5511", "A1") };
    let tenant = engine.a.tenant.index;
    let message = ChatMessage {
        tenant,
        connector,
        chat: "5511".to_owned(),
        is_group: Some(false),
        contact_name: None,
        act: TimelineAct::of(&inbound),
    };
    let change = Change::Chat(Box::new(ChatChange::Received(message)));
    engine.world.store.commit(Batch::of(vec![change])).await.expect("commits");
    let conversation = engine.world.store.conversation_with(connector, "5511").expect("readable").expect("opened");
    let item = engine.world.store.timeline_item_of(tenant, conversation.number, "A1").expect("readable");
    item.expect("it is there").id
}

#[tokio::test]
async fn the_link_of_a_message_opens_its_file_once_it_is_there() {
    let engine = Engine::new().await;
    let (_, index) = engine.chat(&engine.a).await;
    let id = received(&engine, index, MediaState::Pending).await;
    let link = engine.state.media_links.message_url(engine.a.tenant.index, id, engine.state.commands.now());
    let link = link.replace("http://127.0.0.1:8080", "");
    let waiting = engine.ask("GET", &link, &[], None).await;
    assert_eq!(waiting.error(503).0, "unavailable");
    assert!(waiting.headers.contains_key("retry-after"));

    let media = engine.state.commands.media();
    let created = media.create(engine.a.tenant.index, "foto.jpg", Some("image/jpeg"), 99).await;
    let mut writer = created.expect("creates");
    writer.write(b"JPEG").await.expect("writes");
    let file = writer.finish().await.expect("finishes");
    let ready = ChatChange::Media {
        connector: index,
        chat: "5511".to_owned(),
        provider_id: "A1".to_owned(),
        media: MediaState::Ready(file),
    };
    engine.world.store.commit(Batch::of(vec![Change::Chat(Box::new(ready))])).await.expect("commits");
    let answer = engine.ask("GET", &link, &[], None).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (200, &b"JPEG"[..]));
    let path = format!("/v1/media/messages/{id}");
    assert_eq!(engine.get(&engine.a, &path).await.body, b"JPEG");
    engine.get(&engine.b, &path).await.error(404);
    engine.ask("GET", &path, &[], None).await.error(401);
    engine.ask("GET", &link.replace("sig=", "sig=x"), &[], None).await.error(401);

    // Once it was deleted for everyone, no link opens it.
    let conversation = engine.world.store.conversation_with(index, "5511").expect("readable").expect("opened");
    let revoked = ChatMessage {
        tenant: engine.a.tenant.index,
        connector: index,
        chat: conversation.chat,
        is_group: Some(false),
        contact_name: None,
        act: TimelineAct::Revoke { of: "A1".to_owned(), by: Some("5511".to_owned()) },
    };
    let revoked = Change::Chat(Box::new(ChatChange::Received(revoked)));
    engine.world.store.commit(Batch::of(vec![revoked])).await.expect("commits");
    engine.ask("GET", &link, &[], None).await.error(404);
    engine.get(&engine.a, &path).await.error(404);
}

#[tokio::test]
async fn endpoints_are_the_webhooks_of_all_connectors() {
    let engine = Engine::new().await;
    let (first, index) = engine.chat(&engine.a).await;
    let second = engine.connector(&engine.a).await;
    let list = "/v1/webhook-endpoints";
    assert_eq!(engine.get(&engine.a, list).await.expect(200), json!({"data": []}));
    let create = |body: Value| engine.post(&engine.a, list, body);
    let made = create(json!({"url": URL, "connectorIds": [first], "events": ["message.sent"]})).await.expect(201);
    assert!(made["secret"].as_str().is_some_and(|secret| secret.len() >= 32), "made, and shown once");
    let shown = json!({
        "id": first, "url": URL, "connectorIds": [first], "events": ["message.sent"], "enabled": true,
        "updatedAt": "2030-01-01T00:00:00.000Z"
    });
    let path = format!("{list}/{first}");
    assert_eq!(engine.get(&engine.a, &path).await.expect(200), shown);
    // One record: the connector's own webhook, and what is set there.
    let webhook = engine.get(&engine.a, &format!("/v1/connectors/{first}/webhook")).await.expect(200);
    assert_eq!((&webhook["webhookUrl"], &webhook["events"]), (&json!(URL), &json!(["message.sent"])));
    put(&engine, &engine.a, &format!("/v1/connectors/{second}/webhook"), json!({"webhookUrl": URL})).await.expect(200);
    let page = engine.get(&engine.a, &format!("{list}?limit=1")).await.expect(200);
    assert_eq!((&page["data"], &page["next"]), (&json!([shown]), &json!(first)));
    let rest = engine.get(&engine.a, &format!("{list}?after={first}")).await.expect(200);
    assert_eq!((&rest["data"][0]["id"], rest["data"].as_array().map(Vec::len)), (&json!(second), Some(1)));
    assert_eq!(engine.get(&engine.b, list).await.expect(200)["data"], json!([]));
    assert_eq!(create(json!({"url": URL, "connectorIds": [first]})).await.error(409).0, "conflict");

    let key = [("x-api-key", engine.a.key.as_str())];
    let patch = |body| engine.ask("PATCH", &path, &key, Some(body));
    let other = "https://loja.com/outro";
    let changed = patch(json!({"url": other, "enabled": false})).await.expect(200);
    assert_eq!((&changed["url"], &changed["enabled"], changed.get("secret")), (&json!(other), &json!(false), None));
    assert_eq!(changed["events"], json!(["message.sent"]), "what is omitted stays");
    // A receiver that was gone stays so until the endpoint is switched on.
    patch(json!({"enabled": true})).await.expect(200);
    let updated_at = engine.world.store.connector_webhook(index).expect("readable").expect("set").updated_at;
    let gone = WebhookChange::Gone { connector: index, updated_at, at: engine.state.commands.now() };
    engine.world.store.commit(Batch::of(vec![Change::Webhook(Box::new(gone))])).await.expect("commits");
    let ended = patch(json!({"events": ["message.received"], "connectorIds": [first]})).await.expect(200);
    assert_eq!((&ended["enabled"], ended.get("goneAt").is_some()), (&json!(false), true));
    let begun = patch(json!({"enabled": true})).await.expect(200);
    assert_eq!((&begun["enabled"], begun.get("goneAt")), (&json!(true), None));

    let tested = engine.post(&engine.a, &format!("{path}/test"), json!({})).await.expect(200);
    assert_eq!(tested, json!({"ok": true, "status": 204, "tookMs": 12}));
    assert_eq!(*engine.fixed.tested.lock().expect("not poisoned"), [index]);
    engine.post(&engine.b, &format!("{path}/test"), json!({})).await.error(404);
    delete(&engine, &engine.a, &path).await.expect(204);
    engine.post(&engine.a, &format!("{path}/test"), json!({})).await.error(404);
    assert_eq!(engine.get(&engine.a, &path).await.error(404).0, "not_found");
    assert_eq!(patch(json!({"enabled": true})).await.error(404).0, "not_found");
    assert_eq!(delete(&engine, &engine.a, &path).await.error(404).0, "not_found");
}

#[tokio::test]
async fn what_is_wrong_with_an_endpoint_is_named() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let (second, _) = engine.chat(&engine.a).await;
    let (foreign, _) = engine.chat(&engine.b).await;
    let list = "/v1/webhook-endpoints";
    for (body, fields) in [
        (json!({"connectorIds": [id]}), vec!["body"]),
        (json!({"url": "http://loja.com/", "connectorIds": [id]}), vec!["url"]),
        (json!({"url": URL, "connectorIds": []}), vec!["connectorIds"]),
        (json!({"url": URL, "connectorIds": [id, second]}), vec!["connectorIds"]),
        (json!({"url": URL, "connectorIds": [foreign]}), vec!["connectorIds[0]"]),
        (json!({"url": URL, "connectorIds": ["x"]}), vec!["connectorIds[0]"]),
        (json!({"url": URL, "connectorIds": [id], "description": "x"}), vec!["description"]),
        (
            json!({"url": "", "connectorIds": [], "events": [], "secret": " "}),
            vec!["events", "connectorIds", "url", "secret"],
        ),
    ] {
        let refused = engine.post(&engine.a, list, body.clone()).await.error(400);
        assert_eq!(refused.1, fields, "{body}");
    }
    engine.post(&engine.a, list, json!({"url": URL, "connectorIds": [id]})).await.expect(201);
    let path = format!("{list}/{id}");
    let key = [("x-api-key", engine.a.key.as_str())];
    for (body, field) in [
        (json!({"url": "loja.com"}), "url"),
        (json!({"events": []}), "events"),
        (json!({"connectorIds": [second]}), "connectorIds"),
        (json!({"webhookUrl": URL}), "webhookUrl"),
    ] {
        let refused = engine.ask("PATCH", &path, &key, Some(body.clone())).await.error(400);
        assert_eq!(refused.1, [field], "{body}");
    }
}
