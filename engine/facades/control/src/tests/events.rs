//! The log of events as a caller follows it.

use pombo_domain::Timestamp;
use pombo_domain::model::event::GroupStep;
use pombo_domain::model::{
    Attachment, EventBody, Inbound, InboundAttachment, InboundContent, MediaKind, MediaState, ReceiptKind,
};
use pombo_testkit::samples;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Engine, Refused};

fn inbound(content: InboundContent) -> EventBody {
    EventBody::Message(Inbound {
        sender_name: Some("Ana".to_owned()),
        reply_to: Some("3EB0".to_owned()),
        mentions: vec!["551".to_owned()],
        sent_at: Timestamp(0),
        content,
        ..samples::inbound("5511988887777", "R1")
    })
}

fn other(n: u8) -> EventBody {
    EventBody::Other("x".to_owned(), n.to_string())
}

#[tokio::test]
async fn every_kind_of_event_has_its_documented_form() {
    let engine = Engine::new().await;
    let (id, index) = engine.chat(&engine.a).await;
    let own = str::to_owned;
    let media = engine.state.commands.media();
    let created = media.create(engine.a.tenant.index, "foto.jpg", Some("image/jpeg"), 9).await;
    let mut writer = created.expect("creates");
    writer.write(b"JPEG").await.expect("writes");
    let file = writer.finish().await.expect("finishes");
    let picture = |media: MediaState| {
        InboundContent::Attachment(InboundAttachment {
            kind: MediaKind::Image,
            media,
            file_name: None,
            content_type: own("image/jpeg"),
            size: Some(4),
            caption: Some(own("olha")),
        })
    };
    let message = Uuid::from_u128(7);
    let ready = MediaState::Ready(Attachment { id: file.id, ..file.clone() });
    let base = json!({
        "providerId": "R1", "chat": "5511988887777", "sender": "5511988887777", "senderName": "Ana", "fromMe": false,
        "isGroup": false, "replyTo": "3EB0", "mentions": ["551"], "sentAt": "1970-01-01T00:00:00.000Z"
    });
    let with = |more: Value| {
        let mut whole = base.clone();
        whole.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        whole
    };
    let epoch = "1970-01-01T00:00:00.000Z";
    let location = InboundContent::Location { latitude: own("-23.5"), longitude: own("-46.6"), name: Some(own("Sé")) };
    let link = engine.state.media_links.url(engine.a.tenant.index, &file, engine.state.commands.now());
    let stored = json!({"id": file.id, "fileName": "foto.jpg", "contentType": "image/jpeg", "size": 4, "url": link});
    let cases = [
        (inbound(InboundContent::Text(own("oi"))), "message.received", with(json!({"kind": "text", "text": "oi"}))),
        (
            inbound(picture(MediaState::Pending)),
            "message.received",
            with(json!({"kind": "attachment", "attachment": {
                "kind": "image", "state": "pending", "contentType": "image/jpeg", "size": 4, "caption": "olha"
            }})),
        ),
        (
            inbound(location),
            "message.received",
            with(json!({"kind": "location", "location": {"latitude": "-23.5", "longitude": "-46.6", "name": "Sé"}})),
        ),
        (
            inbound(InboundContent::Reaction { to: own("3EB0"), emoji: own("👍") }),
            "message.received",
            with(json!({"kind": "reaction", "reaction": {"to": "3EB0", "emoji": "👍"}})),
        ),
        (
            inbound(InboundContent::Edit { of: own("R0"), text: own("t") }),
            "message.received",
            with(json!({"kind": "edit", "edit": {"of": "R0", "text": "t"}})),
        ),
        (
            inbound(InboundContent::Revoke(own("R0"))),
            "message.received",
            with(json!({"kind": "revoke", "revoked": "R0"})),
        ),
        (
            inbound(InboundContent::Other(own("poll"), own("{\"q\":1}"))),
            "message.received",
            with(json!({"kind": "other", "other": {"kind": "poll", "payload": {"q": 1}}})),
        ),
        (
            EventBody::Media { chat: own("55"), provider_id: own("R1"), media: ready },
            "message.media",
            json!({"chat": "55", "providerId": "R1", "state": "ready", "file": stored}),
        ),
        (
            EventBody::Media { chat: own("55"), provider_id: own("R1"), media: MediaState::Failed(own("gone")) },
            "message.media",
            json!({"chat": "55", "providerId": "R1", "state": "failed", "reason": "gone"}),
        ),
        (
            EventBody::Receipt {
                message,
                provider_id: own("3EB0"),
                recipient: Some(own("55")),
                kind: ReceiptKind::Read,
                reached_at: Timestamp(0),
                reason: None,
            },
            "message.receipt",
            json!({"messageId": message, "providerId": "3EB0", "recipient": "55", "kind": "read", "reachedAt": epoch}),
        ),
        (
            EventBody::Session { state: "connected".into(), account: Some(own("551")), reason: None },
            "session.changed",
            json!({"state": "connected", "account": "551"}),
        ),
        (
            EventBody::Contact { address: own("55"), display_name: Some(own("Ana")), aliases: vec![own("7@lid")] },
            "contact.changed",
            json!({"address": "55", "displayName": "Ana", "aliases": ["7@lid"]}),
        ),
        (
            EventBody::Group {
                group: own("1@g.us"),
                actor: None,
                changed_at: Timestamp(0),
                step: GroupStep::Added(vec![own("55")]),
            },
            "group.changed",
            json!({"group": "1@g.us", "changedAt": epoch, "change": "added", "members": ["55"]}),
        ),
        (
            EventBody::Health { kind: "slowed".into(), score: 61, reason: own("few replies") },
            "health.changed",
            json!({"kind": "slowed", "score": 61, "reason": "few replies"}),
        ),
        (EventBody::Other(own("x"), own("no json")), "other", json!({"kind": "x", "payload": "no json"})),
        (
            EventBody::Emitted { automation: message, conversation: file.id, kind: own("lead"), json: own("[1]") },
            "automation.emitted",
            json!({"automationId": message, "conversationId": file.id, "kind": "lead", "payload": [1]}),
        ),
        (
            EventBody::Conversation {
                conversation: message,
                chat: own("55"),
                step: "paused".into(),
                by: own("automation:x"),
                detail: own("asked for a person"),
            },
            "conversation.changed",
            json!({
                "conversationId": message, "chat": "55", "step": "paused", "by": "automation:x",
                "detail": "asked for a person"
            }),
        ),
        (
            EventBody::DeadLetter {
                automation: message,
                conversation: file.id,
                dead_letter: Uuid::from_u128(8),
                code: "trap".into(),
                reason: own("it failed"),
            },
            "automation.parked",
            json!({
                "automationId": message, "conversationId": file.id, "parkedId": Uuid::from_u128(8), "code": "trap",
                "reason": "it failed"
            }),
        ),
        (
            EventBody::Sent {
                message,
                conversation: 3,
                item: 9,
                chat: own("55"),
                provider_id: Some(own("3EB0")),
                previous: "pending".into(),
            },
            "message.sent",
            json!({
                "messageId": message, "conversation": 3, "item": 9, "chat": "55", "providerId": "3EB0", "previous": "pending"
            }),
        ),
        (
            EventBody::Status {
                message,
                conversation: None,
                chat: own("55"),
                provider_id: None,
                previous: "sent".into(),
                now: "read".into(),
                reached_at: Timestamp(0),
            },
            "message.status",
            json!({"messageId": message, "chat": "55", "previous": "sent", "now": "read", "reachedAt": epoch}),
        ),
        (EventBody::Code { text: own("2@a") }, "session.code", json!({"text": "2@a"})),
    ];
    for (body, ..) in &cases {
        engine.append(&engine.a, index, body.clone()).await;
    }
    let page = engine.get(&engine.a, "/v1/events").await.expect(200);
    assert_eq!(page["next"], cases.len());
    for (i, (_, kind, data)) in cases.iter().enumerate() {
        let event = &page["data"][i];
        assert_eq!((&event["type"], &event["data"]), (&json!(kind), data));
        assert_eq!((&event["cursor"], &event["connectorId"]), (&json!(i + 1), &json!(id)));
        assert!(event["id"].is_string() && event["at"] == "2030-01-01T00:00:00.000Z", "{event}");
    }
    let link = link.replace("http://127.0.0.1:8080", "");
    assert_eq!(engine.ask("GET", &link, &[], None).await.body, b"JPEG");
    assert_eq!(engine.get(&engine.b, "/v1/events").await.expect(200), json!({"data": [], "next": 0}));
}

#[tokio::test]
async fn an_event_that_happened_on_no_connector_has_none() {
    let engine = Engine::new().await;
    let step = "rolled-back".into();
    let body = EventBody::Plugin { plugin: "p".to_owned(), step, digest: None, detail: "d".to_owned() };
    engine.append(&engine.a, pombo_domain::ConnectorIndex::NONE, body).await;
    let page = engine.get(&engine.a, "/v1/events").await.expect(200);
    let event = &page["data"][0];
    assert_eq!((&event["type"], event.get("connectorId")), (&json!("plugin.changed"), None));
    assert_eq!(event["data"], json!({"plugin": "p", "step": "rolled-back", "detail": "d"}));
}

#[tokio::test]
async fn events_are_paged_and_filtered_and_the_cursor_goes_past_what_does_not_match() {
    let engine = Engine::new().await;
    let (first, one) = engine.chat(&engine.a).await;
    let (_, two) = engine.chat(&engine.a).await;
    for n in 0..3 {
        engine.append(&engine.a, one, other(n)).await;
        engine.append(&engine.a, two, inbound(InboundContent::Text("oi".to_owned()))).await;
    }
    let get = |query: &str| {
        let (engine, path) = (&engine, format!("/v1/events?{query}"));
        async move { engine.get(&engine.a, &path).await }
    };
    let cursors = |page: &Value| {
        let rows = page["data"].as_array().expect("a list").iter();
        rows.map(|event| event["cursor"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    let page = get("limit=4").await.expect(200);
    assert_eq!((cursors(&page), &page["next"]), (vec![1, 2, 3, 4], &json!(4)));
    assert_eq!(cursors(&get("after=4").await.expect(200)), [5, 6]);
    assert_eq!(cursors(&get(&format!("connectorId={first}")).await.expect(200)), [1, 3, 5]);
    assert_eq!(cursors(&get("type=message.received").await.expect(200)), [2, 4, 6]);
    assert_eq!(cursors(&get("type=message.received,other&limit=2").await.expect(200)), [1, 2]);
    let none = get("type=health.changed").await.expect(200);
    assert_eq!((cursors(&none), &none["next"]), (vec![], &json!(6)));
    let latest = get("after=latest").await.expect(200);
    assert_eq!((cursors(&latest), &latest["next"]), (vec![], &json!(6)));
    for (query, field) in [
        ("after=-1", "after"),
        ("after=x", "after"),
        ("after=", "after"),
        ("limit=0", "limit"),
        ("limit=251", "limit"),
        ("wait=31", "wait"),
        ("type=message", "type"),
        ("type=other,", "type"),
        ("connectorId=x", "connectorId"),
        ("tipo=x", "tipo"),
    ] {
        assert_eq!(get(query).await.error(400).1, [field], "{query}");
    }
    let (theirs, _) = engine.chat(&engine.b).await;
    assert_eq!(get(&format!("connectorId={theirs}")).await.error(404).0, "not_found");
}

#[tokio::test]
async fn who_waits_is_woken_by_the_next_event_that_matches_or_when_the_time_is_over() {
    let engine = Engine::new().await;
    let (_, index) = engine.chat(&engine.a).await;
    engine.append(&engine.a, index, other(1)).await;
    engine.world.clock.stand();
    let (page, ()) =
        tokio::join!(engine.get(&engine.a, "/v1/events?after=latest&type=message.received&wait=30"), async {
            while engine.world.clock.sleepers() == 0 {
                tokio::task::yield_now().await;
            }
            engine.append(&engine.a, index, other(2)).await;
            engine.append(&engine.a, index, inbound(InboundContent::Text("oi".to_owned()))).await;
        });
    let page = page.expect(200);
    assert_eq!((&page["data"][0]["data"]["text"], &page["next"]), (&json!("oi"), &json!(3)));

    let at_once = engine.get(&engine.a, "/v1/events?after=2&wait=30").await.expect(200);
    assert_eq!(at_once["data"][0]["cursor"], 3, "what is there is not waited for");
    let (over, ()) = tokio::join!(engine.get(&engine.a, "/v1/events?after=3&wait=30"), async {
        while engine.world.clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        engine.world.clock.jump(30_000);
    });
    assert_eq!(over.expect(200), json!({"data": [], "next": 3}));
}
