//! Section "Webhooks": the webhook of an instance, and what is posted to it.

use pombo_domain::commands::connectors::webhooks::MAX_SECRET_CHARS;
use pombo_domain::model::timeline::TimelineEntry;
use pombo_domain::model::*;
use pombo_domain::ports::{HookForm, SecretBox, ToldEvent, WebhookStore};
use pombo_domain::{MessageKey, TenantIndex};
use pombo_testkit::{ReversingBox, samples};
use uuid::Uuid;

use super::shape::like;
use super::*;
use crate::WebhookBodies;

const URL: &str = "https://your-server.com/webhook";
const ALL: [&str; 6] = [
    "message.received",
    "message.sent",
    "message.status",
    "instance.connected",
    "instance.disconnected",
    "instance.qr",
];

impl Site {
    async fn set(&self, body: Value) -> Answer {
        self.send("PUT", &self.at("/webhook"), body).await
    }

    /// The secret of the instance's webhook.
    fn secret(&self) -> String {
        let webhook = self.world.store.connector_webhook(self.instance.index).expect("readable").expect("it was set");
        let context = ConnectorWebhook::secret_context(self.instance.id);
        String::from_utf8(ReversingBox.open(&context, &webhook.secret).expect("its own")).expect("text")
    }
}

#[tokio::test]
async fn the_documented_request_sets_a_webhook() {
    let site = Site::new().await;
    let given = json!({
        "webhook_url": URL,
        "webhook_secret": "your_secret_key_here",
        "events": ["message.incoming", "message.status"],
        "is_active": true
    });
    let set = site.set(given).await.expect(200);
    let webhook = json!({
        "instance_uuid": site.instance.id, "webhook_url": URL, "events": ["message.received", "message.status"],
        "is_active": true, "updated_at": "2025-01-15T10:30:00Z"
    });
    assert_eq!(set, json!({"success": true, "message": "Webhook configured", "data": {"webhook": webhook}}));
    assert_eq!(site.secret(), "your_secret_key_here");

    // Set again without a secret it keeps the one that it has, and everything that is left out is the default.
    let again = json!({"webhook_url": URL, "webhook_secret": null, "events": null, "is_active": null});
    let again = site.set(again).await.expect(200)["data"]["webhook"].clone();
    assert_eq!((&again["events"], &again["is_active"]), (&json!(ALL), &json!(true)));
    assert_eq!((again.get("webhook_secret"), site.secret().as_str()), (None, "your_secret_key_here"));
    let off = site.set(json!({"webhook_url": URL, "is_active": false})).await.expect(200);
    assert_eq!(off["data"]["webhook"]["is_active"], false);
    // The instance is named by its number as well.
    let path = format!("/instances/{}/webhook", site.instance.index.0);
    site.send("PUT", &path, json!({"webhook_url": URL})).await.expect(200);
}

#[tokio::test]
async fn a_secret_is_made_where_there_is_none_and_shown_once() {
    let site = Site::new().await;
    let made = site.set(json!({"webhook_url": URL})).await.expect(200)["data"]["webhook"].clone();
    let secret = made["webhook_secret"].as_str().expect("made").to_owned();
    assert!(secret.len() >= 32 && secret == site.secret());
    let again = site.set(json!({"webhook_url": URL})).await.expect(200);
    assert_eq!(again["data"]["webhook"].get("webhook_secret"), None);
    assert_eq!(site.secret(), secret);
}

#[tokio::test]
async fn what_is_wrong_with_a_webhook_is_named() {
    let site = Site::new().await;
    for (body, field) in [
        (json!({}), "webhook_url"),
        (json!({"webhook_url": " "}), "webhook_url"),
        (json!({"webhook_url": 5}), "webhook_url"),
        (json!({"webhook_url": "ftp://x/"}), "webhook_url"),
        (json!({"webhook_url": "https://localhost/"}), "webhook_url"),
        (json!({"webhook_url": format!("https://x/{}", "a".repeat(2_048))}), "webhook_url"),
        (json!({"webhook_url": URL, "webhook_secret": "x".repeat(MAX_SECRET_CHARS + 1)}), "webhook_secret"),
        (json!({"webhook_url": URL, "webhook_secret": ""}), "webhook_secret"),
        (json!({"webhook_url": URL, "events": ["message.sent", "message.deleted"]}), "events[1]"),
        (json!({"webhook_url": URL, "events": []}), "events"),
        (json!({"webhook_url": URL, "events": "message.sent"}), "events"),
        (json!({"webhook_url": URL, "is_active": "yes"}), "is_active"),
    ] {
        let refused = site.set(body.clone()).await;
        assert_eq!(refused.error(422), "VALIDATION_ERROR", "{body}");
        assert!(refused.expect(422)["error"]["details"][field].is_array(), "{body}");
    }
    let both = site.set(json!({"webhook_url": "", "webhook_secret": ""})).await.expect(422);
    assert_eq!(both["error"]["details"].as_object().map(serde_json::Map::len), Some(2));
    let all = json!({"webhook_url": "ftp://x/", "webhook_secret": "", "events": ["x"], "is_active": 1});
    let all = site.set(all).await.expect(422);
    let details = all["error"]["details"].as_object().expect("an object");
    let named: Vec<&str> = details.keys().map(String::as_str).collect();
    assert_eq!(named, ["events[0]", "is_active", "webhook_secret", "webhook_url"]);
    assert_eq!(site.set(json!([])).await.error(400), "BAD_REQUEST");
    assert!(site.world.store.connector_webhook(site.instance.index).expect("readable").is_none());
}

#[tokio::test]
async fn plain_http_is_refused_with_the_reason() {
    let site = Site::new().await;
    let refused = site.set(json!({"webhook_url": "HTTP://your-server.com/webhook"})).await.expect(422);
    let reason = &refused["error"]["details"]["webhook_url"][0];
    assert!(reason.as_str().is_some_and(|text| text.contains("must be https") && text.contains("plain_http")));
}

#[tokio::test]
async fn only_who_may_manage_the_instance_sets_its_webhook() {
    let site = Site::new().await;
    let body = || Some(json!({"webhook_url": URL}));
    let unknown = format!("/instances/{}/webhook", Uuid::from_u128(5));
    assert_eq!(site.ask(&site.loja, "PUT", &unknown, body()).await.error(404), "NOT_FOUND");
    assert_eq!(site.ask(&site.other, "PUT", &site.at("/webhook"), body()).await.error(404), "NOT_FOUND");
    let another = site.another(&site.loja).await;
    let tenant = site.loja.tenant.index;
    let bound = site.world.commands.create_api_key(tenant, "bound", Some(another.id)).await.expect("made").key;
    let bound = Caller { tenant: site.loja.tenant.clone(), key: bound };
    assert_eq!(site.ask(&bound, "PUT", &site.at("/webhook"), body()).await.error(403), "FORBIDDEN");
    let own = format!("/instances/{}/webhook", another.id);
    site.ask(&bound, "PUT", &own, body()).await.expect(200);
}

// ---- what is posted ----

const T: TenantIndex = TenantIndex(1);
const INSTANCE: ConnectorIndex = ConnectorIndex(7);

fn bodies() -> WebhookBodies {
    WebhookBodies::new(&ApiOptions {
        public_url: "http://127.0.0.1:8080".to_owned(),
        secret: b"a secret of at least 32 bytes, for tests".to_vec(),
        token_lifetime: Duration::from_secs(3600),
        media_link_lifetime: Duration::from_secs(3600),
        operator_token_hash: None,
        limits: Limits::default(),
    })
}

fn event(serial: u64, body: EventBody) -> Event {
    let event = NewEvent { id: Uuid::from_u128(0xe), connector: INSTANCE, at: NOW, body };
    Event { key: EventKey { tenant: T, serial }, event }
}

fn inbound(content: InboundContent) -> Inbound {
    Inbound {
        sender_name: Some("John Doe".to_owned()),
        sent_at: NOW,
        content,
        ..samples::inbound("5511999999999", "3EB0ABC123456789")
    }
}

/// The entry of a message in conversation 123, and the conversation.
fn kept(chat: &str, entry: TimelineEntry) -> (Conversation, TimelineItem) {
    let id = Uuid::from_u128(0xc);
    let conversation = Conversation::new(id, T, INSTANCE, chat.to_owned(), chat.ends_with("@g.us"), NOW);
    let item = TimelineItem { number: 9, conversation: 123, id: Uuid::from_u128(0x1d), at: NOW, ordinal: 1, entry };
    (Conversation { number: 123, ..conversation }, item)
}

fn entry_of(inbound: &Inbound) -> TimelineEntry {
    match TimelineAct::of(inbound) {
        TimelineAct::Say(entry) => entry,
        _ => panic!("it adds an entry"),
    }
}

/// The body of an event as it is posted, as a text.
fn text(kind: HookKind, event: &Event, kept: Option<&(Conversation, TimelineItem)>, before: Option<&Event>) -> String {
    let connector = samples::connector(INSTANCE, T, "whatsapp");
    let told = ToldEvent {
        kind,
        connector: &connector,
        event,
        conversation: kept.map(|(conversation, _)| conversation),
        item: kept.map(|(_, item)| item),
        message: None,
        before,
        now: NOW,
    };
    bodies().body(&told).expect("it can be told")
}

fn posted(kind: HookKind, event: &Event, kept: Option<&(Conversation, TimelineItem)>) -> Value {
    serde_json::from_str(&text(kind, event, kept, None)).expect("JSON")
}

#[test]
fn a_received_message_is_posted_as_documented() {
    let inbound = inbound(InboundContent::Text("Hello, I need help!".to_owned()));
    let kept = kept("5511999999999", entry_of(&inbound));
    let event = event(1, EventBody::Message(inbound));
    let told = posted(HookKind::Received, &event, Some(&kept));
    let example = json!({
        "event": "message.received",
        "instance_uuid": "550e8400-e29b-41d4-a716-446655440000",
        "timestamp": "2025-01-15T10:30:00+00:00",
        "data": {
            "message_id": "055f01b2-da7b-476b-9a5d-dcecb3fe510c",
            "whatsapp_message_id": "3EB0ABC123456789",
            "sender_number": "5511999999999",
            "sender_name": "John Doe",
            "content": "Hello, I need help!",
            "media_type": null,
            "media_url": null,
            "timestamp": "2025-01-15T10:30:00+00:00",
            "conversation_id": 123
        }
    });
    like(&told, &example, &[], &[]);
    let mut exact = example;
    exact["instance_uuid"] = json!(Uuid::from_u128(7));
    exact["data"]["message_id"] = json!(Uuid::from_u128(0x1d));
    assert_eq!(told, exact);
}

#[test]
fn a_received_file_has_a_kind_and_a_link_also_before_it_is_there() {
    let file = |media, kind| InboundAttachment {
        kind,
        media,
        file_name: None,
        content_type: "image/jpeg".to_owned(),
        size: None,
        caption: Some("olha".to_owned()),
    };
    let ready = MediaState::Ready(samples::attachment());
    for (media, kind, word, link) in [
        (ready, MediaKind::Image, "image", Some("/v1/media/00000000-0000-0000-0000-000000000007?")),
        (
            MediaState::Pending,
            MediaKind::Voice,
            "audio",
            Some("/v1/media/messages/00000000-0000-0000-0000-00000000001d?"),
        ),
        (MediaState::Failed("gone".to_owned()), MediaKind::Sticker, "image", None),
        (MediaState::Pending, MediaKind::Document, "document", Some("/v1/media/messages/")),
        (MediaState::Pending, MediaKind::Video, "video", Some("/v1/media/messages/")),
    ] {
        // It was told as pending; the timeline knows how it went on.
        let told = inbound(InboundContent::Attachment(file(MediaState::Pending, kind)));
        let now = inbound(InboundContent::Attachment(file(media, kind)));
        let kept = kept("5511999999999", entry_of(&now));
        let data = posted(HookKind::Received, &event(1, EventBody::Message(told)), Some(&kept))["data"].clone();
        assert_eq!((&data["content"], &data["media_type"]), (&json!("olha"), &json!(word)));
        match link {
            Some(link) => assert!(data["media_url"].as_str().is_some_and(|url| url.contains(link)), "{data}"),
            None => assert_eq!(data["media_url"], Value::Null),
        }
    }
}

#[test]
fn a_group_names_who_wrote_and_an_own_message_from_the_phone_is_sent() {
    let group =
        Inbound { chat: "1203@g.us".to_owned(), is_group: true, ..inbound(InboundContent::Text("Oi".to_owned())) };
    let in_group = kept("1203@g.us", entry_of(&group));
    let told = posted(HookKind::Received, &event(1, EventBody::Message(group)), Some(&in_group));
    assert_eq!(told["data"]["sender_number"], "5511999999999");
    let own = Inbound { from_me: true, ..inbound(InboundContent::Text("Oi".to_owned())) };
    let to_ana = kept("5511888888888", entry_of(&own));
    let told = posted(HookKind::Sent, &event(1, EventBody::Message(own)), Some(&to_ana));
    assert_eq!((&told["event"], &told["data"]["recipient_number"]), (&json!("message.sent"), &json!("5511888888888")));
}

fn sent() -> (Event, (Conversation, TimelineItem)) {
    let entry = TimelineEntry::sent(MessageKey { tenant: T, serial: 3 }, NOW);
    let content = EntryContent::Sent {
        text: Some("Thanks for contacting us!".to_owned()),
        subject: None,
        attachments: Vec::new(),
        voice_note: false,
        file_kind: None,
    };
    let body = EventBody::Sent {
        message: Uuid::from_u128(0xf4),
        conversation: 123,
        item: 9,
        chat: "5511888888888".to_owned(),
        provider_id: Some("3EB0ABC123456789".to_owned()),
        previous: Progress::Pending.into(),
    };
    (event(2, body), kept("5511888888888", TimelineEntry { content, ..entry }))
}

#[test]
fn a_sent_message_is_posted_as_documented() {
    let (event, kept) = sent();
    let told = posted(HookKind::Sent, &event, Some(&kept));
    let mut example = json!({
        "event": "message.sent",
        "instance_uuid": "550e8400-e29b-41d4-a716-446655440000",
        "timestamp": "2025-01-15T10:31:00+00:00",
        "data": {
            "message_id": "f4a2e8c9-7b3d-4e5f-8a1c-2d9e6f0a3b7c",
            "whatsapp_message_id": "3EB0ABC123456789",
            "recipient_number": "5511888888888",
            "content": "Thanks for contacting us!",
            "media_type": null,
            "media_url": null,
            "timestamp": "2025-01-15T10:31:00+00:00",
            "conversation_id": 123
        }
    });
    like(&told, &example, &[], &[]);
    example["instance_uuid"] = json!(Uuid::from_u128(7));
    example["data"]["message_id"] = json!(Uuid::from_u128(0xf4));
    example["timestamp"] = json!("2025-01-15T10:30:00+00:00");
    example["data"]["timestamp"] = json!("2025-01-15T10:30:00+00:00");
    assert_eq!(told, example);
}

#[test]
fn a_status_is_posted_as_documented() {
    let body = EventBody::Status {
        message: Uuid::from_u128(0xf4),
        conversation: Some(123),
        chat: "5511888888888".to_owned(),
        provider_id: Some("3EB0ABC123456789".to_owned()),
        previous: Progress::Sent.into(),
        now: Progress::Delivered.into(),
        reached_at: NOW.plus_ms(120_000),
    };
    let told = posted(HookKind::Status, &event(3, body), None);
    let mut example = json!({
        "event": "message.status",
        "instance_uuid": "550e8400-e29b-41d4-a716-446655440000",
        "timestamp": "2025-01-15T10:32:00+00:00",
        "data": {
            "message_id": "f4a2e8c9-7b3d-4e5f-8a1c-2d9e6f0a3b7c",
            "whatsapp_message_id": "3EB0ABC123456789",
            "previous_status": "sent",
            "new_status": "delivered",
            "recipient_number": "5511888888888",
            "timestamp": "2025-01-15T10:32:00+00:00"
        }
    });
    like(&told, &example, &[], &[]);
    example["instance_uuid"] = json!(Uuid::from_u128(7));
    example["data"]["message_id"] = json!(Uuid::from_u128(0xf4));
    example["timestamp"] = json!("2025-01-15T10:30:00+00:00");
    assert_eq!(told, example);
    // That it was sent is a status, too.
    let (event, kept) = sent();
    let told = posted(HookKind::Status, &event, Some(&kept));
    assert_eq!((&told["data"]["previous_status"], &told["data"]["new_status"]), (&json!("pending"), &json!("sent")));
}

fn session(serial: u64, state: SessionChange) -> Event {
    let account = Some("5511999999999".to_owned());
    event(serial, EventBody::Session { state: state.into(), account, reason: None })
}

#[test]
fn a_connection_is_posted_as_documented() {
    let connected = session(5, SessionChange::Connected);
    let code = event(4, EventBody::Code { text: CODE.to_owned() });
    let told: Value = serde_json::from_str(&text(HookKind::Connected, &connected, None, Some(&code))).expect("JSON");
    let mut example = json!({
        "event": "instance.connected",
        "instance_uuid": "550e8400-e29b-41d4-a716-446655440000",
        "timestamp": "2025-01-15T10:00:00+00:00",
        "data": {
            "previous_status": "qr_ready",
            "new_status": "connected",
            "phone_number": "5511999999999"
        }
    });
    like(&told, &example, &[], &[]);
    example["instance_uuid"] = json!(Uuid::from_u128(7));
    example["timestamp"] = json!("2025-01-15T10:30:00+00:00");
    assert_eq!(told, example);
}

#[test]
fn a_connection_says_how_it_was_before() {
    let before = |kind, event: &Event, before: Option<SessionChange>| {
        let before = before.map(|state| session(4, state));
        let told: Value = serde_json::from_str(&text(kind, event, None, before.as_ref())).expect("JSON");
        (told["data"]["previous_status"].clone(), told["data"]["new_status"].clone())
    };
    let (connected, lost) = (session(5, SessionChange::Connected), session(5, SessionChange::Disconnected));
    let pair = |one: &str, two: &str| (json!(one), json!(two));
    for (state, word) in [
        (None, "qr_ready"),
        (Some(SessionChange::LoggedOut), "qr_ready"),
        (Some(SessionChange::Unpaired), "qr_ready"),
        (Some(SessionChange::Disconnected), "disconnected"),
        (Some(SessionChange::Connected), "connected"),
    ] {
        assert_eq!(before(HookKind::Connected, &connected, state), pair(word, "connected"));
    }
    let connected = Some(SessionChange::Connected);
    assert_eq!(before(HookKind::Disconnected, &lost, connected), pair("connected", "disconnected"));
}

#[test]
fn a_code_is_posted_as_a_text_and_as_a_picture() {
    let told = posted(HookKind::Code, &event(4, EventBody::Code { text: CODE.to_owned() }), None);
    assert_eq!((&told["event"], &told["data"]["qr"]), (&json!("instance.qr"), &json!(CODE)));
    let picture = told["data"]["qr_image"].as_str().expect("a picture");
    assert_eq!(pombo_testkit::qr::decoded(picture), CODE);
    assert_eq!(told["data"]["generated_at"], "2025-01-15T10:30:00+00:00");
}

#[test]
fn a_post_has_the_documented_headers() {
    let connector = samples::connector(INSTANCE, T, "whatsapp");
    let event = session(5, SessionChange::Connected);
    let told = ToldEvent {
        kind: HookKind::Connected,
        connector: &connector,
        event: &event,
        conversation: None,
        item: None,
        message: None,
        before: None,
        now: NOW,
    };
    let id = Uuid::from_u128(7).to_string();
    let expected = [
        ("x-webhook-signature", "a1b2"),
        ("x-webhook-event", "instance.connected"),
        ("x-instance-uuid", id.as_str()),
        ("user-agent", "Zapini-Webhook/1.0"),
    ];
    assert_eq!(bodies().headers(&told, "a1b2"), expected.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn a_body_is_what_javascript_writes() {
    // What JSON.stringify(JSON.parse(body)) writes of these, computed with Node.
    for (said, written) in [
        ("a\"b\\c/d", r#""a\"b\\c/d""#),
        ("\u{8}\t\n\u{c}\r", r#""\b\t\n\f\r""#),
        ("\0\u{1}\u{1f}", r#""\u0000\u0001\u001f""#),
        ("\u{7f}\u{80}\u{2028}\u{2029}", "\"\u{7f}\u{80}\u{2028}\u{2029}\""),
        ("é 👍 </script>", "\"é 👍 </script>\""),
    ] {
        let inbound = inbound(InboundContent::Text(said.to_owned()));
        let kept = kept("5511999999999", entry_of(&inbound));
        let body = text(HookKind::Received, &event(1, EventBody::Message(inbound)), Some(&kept), None);
        let expected = format!(
            concat!(
                r#"{{"event":"message.received","instance_uuid":"00000000-0000-0000-0000-000000000007","#,
                r#""timestamp":"2025-01-15T10:30:00+00:00","data":{{"#,
                r#""message_id":"00000000-0000-0000-0000-00000000001d","whatsapp_message_id":"3EB0ABC123456789","#,
                r#""sender_number":"5511999999999","sender_name":"John Doe","content":{},"#,
                r#""media_type":null,"media_url":null,"timestamp":"2025-01-15T10:30:00+00:00","conversation_id":123}}}}"#
            ),
            written
        );
        assert_eq!(body, expected);
    }
}
