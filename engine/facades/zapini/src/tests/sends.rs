//! Sends that wait, of the instance API and of the chat API. No scheduler runs here: each test plays the lane.

use pombo_domain::model::message::{MessageAction, Target};
use pombo_domain::model::reason::Reason;
use pombo_domain::model::{
    ConnectorStatus, EntryContent, InboundContent, MessageState, Outreach, ReasonCode, Role, StoredMessage,
    TimelineAct, TimelineEntry,
};
use pombo_domain::ports::{AutomationStore, Batch, Change, ChatChange, ChatMessage, ChatStore, Store};
use pombo_testkit::{samples, settle};
use tokio::join;
use uuid::Uuid;

use super::auth::{token, user, with};
use super::automation::answering;
use super::shape::like;
use super::*;

pub(super) const ANA: &str = "5511999999999";
const ANAS_JID: &str = "5511999999999@s.whatsapp.net";
const GROUP: &str = "120363001234567890@g.us";
/// How long the site waits, in milliseconds.
pub(super) const WAIT_MS: i64 = 25_000;

fn text() -> Value {
    json!({"recipient": ANA, "message": "Olá! Esta é uma mensagem de teste."})
}

/// The next message in the queue of the instance.
async fn queued(site: &Site) -> StoredMessage {
    for _ in 0..10_000 {
        let ready = site.world.store.ready(site.instance.index, None, 1).expect("reads");
        if let Some(entry) = ready.first() {
            return site.world.store.message(entry.key).expect("reads").expect("it is stored");
        }
        tokio::task::yield_now().await;
    }
    panic!("nothing was queued")
}

/// What an attempt adds to the conversation.
fn act_of(stored: &StoredMessage) -> TimelineAct {
    let content = &stored.message.content;
    match &content.options.action {
        MessageAction::Say | MessageAction::Other(_) => {
            let said = EntryContent::Sent {
                text: Some(content.text.clone()),
                subject: None,
                attachments: content.attachments.clone(),
                voice_note: false,
                file_kind: content.options.file_kind,
            };
            TimelineAct::Say(TimelineEntry { content: said, ..TimelineEntry::sent(stored.message.key, NOW) })
        }
        MessageAction::React(to) => {
            TimelineAct::React { to: to.provider_id.clone(), by: None, emoji: content.text.clone() }
        }
        MessageAction::Edit(of) => {
            TimelineAct::Edit { of: of.provider_id.clone(), by: None, text: content.text.clone() }
        }
        MessageAction::Revoke(of) => TimelineAct::Revoke { of: of.provider_id.clone(), by: None },
    }
}

/// Plays the lane for one message: its attempt begins, and ends as `end` says. Returns the message as it was queued.
pub(super) async fn lane(site: &Site, end: impl FnOnce(&MessageState) -> Option<MessageState>) -> StoredMessage {
    let stored = queued(site).await;
    let (message, connector) = (&stored.message, site.instance.index);
    let claimed = stored.state.claim(NOW).expect("it is queued");
    let chat = message.content.to.clone();
    let act = act_of(&stored);
    let in_chat = ChatMessage { tenant: message.key.tenant, connector, chat, is_group: None, contact_name: None, act };
    let attempted = ChatChange::Attempted(message.key, message.id, in_chat);
    let begins = vec![Change::Update(samples::update(&stored, claimed.clone())), Change::Chat(Box::new(attempted))];
    site.world.store.write(Batch::of(begins)).expect("stored");
    if let Some(ended) = end(&claimed) {
        let running = StoredMessage { message: message.clone(), state: claimed };
        site.world.store.write(Batch::of(vec![Change::Update(samples::update(&running, ended))])).expect("stored");
    }
    stored
}

/// WhatsApp accepts the next message under this id.
pub(super) async fn accept(site: &Site, provider_id: &str) -> StoredMessage {
    let sent = |state: &MessageState| state.sent(Some(provider_id.to_owned()), NOW).ok();
    lane(site, sent).await
}

/// A message of the other side.
fn receive(site: &Site, chat: &str, sender: &str, provider_id: &str) {
    let inbound = pombo_domain::model::Inbound {
        chat: chat.to_owned(),
        is_group: chat.ends_with("@g.us"),
        content: InboundContent::Text("Oi".to_owned()),
        ..samples::inbound(sender, provider_id)
    };
    let message = ChatMessage {
        tenant: site.loja.tenant.index,
        connector: site.instance.index,
        chat: inbound.chat.clone(),
        is_group: Some(inbound.is_group),
        contact_name: None,
        act: TimelineAct::of(&inbound),
    };
    let change = Change::Chat(Box::new(ChatChange::Received(message)));
    site.world.store.write(Batch::of(vec![change])).expect("stored");
}

pub(super) fn messages(site: &Site) -> u64 {
    site.world.store.message_count()
}

/// Sends a text that WhatsApp accepts under this id; its UUID.
async fn sent(site: &Site, provider_id: &str) -> Uuid {
    let (answer, stored) = join!(site.post("/send-message", text()), accept(site, provider_id));
    answer.expect(200);
    stored.message.id
}

#[tokio::test]
async fn a_message_is_sent_and_answered_as_documented() {
    let site = Site::new().await;
    let (answer, stored) = join!(site.post("/send-message", text()), accept(&site, "3EB0B430A8B7F23C1D12"));
    let answer = answer.expect(200);
    let example = json!({
        "success": true,
        "message": "Message sent successfully",
        "message_id": "3EB0B430A8B7F23C1D12",
        "timestamp": "2025-12-30T17:30:00.000Z"
    });
    like(&answer, &example, &["message_uuid"], &[]);
    assert_eq!(
        answer,
        json!({
            "success": true, "message": "Message sent successfully", "message_id": "3EB0B430A8B7F23C1D12",
            "timestamp": "2025-01-15T10:30:00.000Z", "message_uuid": stored.message.id
        })
    );
    let content = &stored.message.content;
    assert_eq!((content.to.as_str(), content.force_direct), (ANA, true));
    assert_eq!(content.options.expires_at, Some(NOW.plus_ms(WAIT_MS + 60_000)), "it is not sent long after the answer");
    assert_eq!(content.text, "Olá! Esta é uma mensagem de teste.");
    let by = site.world.store.message_author(stored.message.key).expect("reads").expect("it is known");
    assert!(by.starts_with("key:"), "{by}");
}

#[tokio::test]
async fn a_recipient_has_three_names_and_several_spellings_and_a_text_is_no_template() {
    let site = Site::new().await;
    for (name, value) in [
        ("recipient", json!(ANA)),
        ("number", json!(5_511_999_999_999_u64)),
        ("to", json!("+5511999999999")),
        ("to", json!(ANAS_JID)),
    ] {
        let mut body = json!({"message": "{Olá|Oi} {{ nome }}"});
        body[name] = value;
        let (answer, stored) = join!(site.post("/send-message", body), accept(&site, "P"));
        answer.expect(200);
        assert_eq!(stored.message.content.to, ANA, "{name}");
        assert_eq!(stored.message.content.text, r"\{Olá\|Oi\} \{\{ nome \}\}");
    }
}

#[tokio::test]
async fn a_reply_names_what_it_answers_in_three_ways() {
    let site = Site::new().await;
    receive(&site, ANA, ANA, "A1");
    let conversation = site.world.store.conversation_with(site.instance.index, ANA).expect("reads").expect("opened");
    let found = site.world.store.timeline_item_of(site.loja.tenant.index, conversation.number, "A1");
    let item = found.expect("reads").expect("it came");
    let known = Target { provider_id: "A1".to_owned(), sender: Some(ANA.to_owned()), text: Some("Oi".to_owned()) };
    let unknown = Target { provider_id: "A9".to_owned(), text: None, ..known.clone() };
    // The ids of some phones could be UUIDs.
    let hexadecimal = "A5B1C0FFEE00112233445566778899AA";
    receive(&site, ANA, ANA, hexadecimal);
    let like_ours = Target { provider_id: hexadecimal.to_owned(), ..known.clone() };
    for (name, value, target) in [
        ("reply_to", json!("A1"), &known),
        ("quoted_message_id", json!(item.id), &known),
        ("reply_to", json!(item.number), &known),
        ("reply_to", json!(hexadecimal), &like_ours),
        ("reply_to", json!("A9"), &unknown),
    ] {
        let mut body = text();
        body[name] = value;
        let (answer, stored) = join!(site.post("/send-message", body), accept(&site, "P"));
        answer.expect(200);
        assert_eq!(stored.message.content.options.reply_to.as_ref(), Some(target));
    }
    let body = json!({"to": GROUP, "message": "x", "reply_to": "A9"});
    assert_eq!(site.post("/send-message", body).await.error(404), "NOT_FOUND");
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_named() {
    let site = Site::new().await;
    for (body, field) in [
        (json!({"message": "x"}), "recipient"),
        (json!({"recipient": " ", "message": "x"}), "recipient"),
        (json!({"recipient": {}, "message": "x"}), "recipient"),
        (json!({"recipient": "ana", "message": "x"}), "recipient"),
        (json!({"recipient": ANA}), "message"),
        (json!({"recipient": ANA, "message": ""}), "message"),
        (json!({"recipient": ANA, "message": 5}), "message"),
        (json!({"recipient": ANA, "message": "x", "reply_to": []}), "reply_to"),
    ] {
        for path in ["/send-message", "/api/v1/chat/send"] {
            let refused = site.post(path, body.clone()).await;
            assert_eq!(refused.error(422), "VALIDATION_ERROR", "{path} {body}");
            assert!(refused.json()["error"]["details"][field][0].is_string(), "{path} {body}: {}", refused.text());
        }
    }
    assert_eq!(site.call("POST", "/zapini/send-message", &[], "{}").await.error(401), "UNAUTHENTICATED");
    assert_eq!(messages(&site), 0);
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_is_refused_with_the_reason() {
    let site = Site::new().await;
    for (code, answered) in [
        (ReasonCode::InvalidRecipient, "INVALID_RECIPIENT"),
        (ReasonCode::Rejected, "REFUSED"),
        (ReasonCode::InactiveContact, "REFUSED"),
    ] {
        let fails = |state: &MessageState| state.failed(Reason::new(code, "the words"), NOW).ok();
        let (answer, stored) = join!(site.post("/send-message", text()), lane(&site, fails));
        assert_eq!(answer.error(422), answered);
        assert_eq!(answer.json()["error"]["details"]["message_uuid"], json!([stored.message.id]));
        assert!(answer.json()["error"]["message"].as_str().is_some_and(|message| message.ends_with("the words")));
    }
}

#[tokio::test]
async fn an_unknown_outcome_names_the_message() {
    let site = Site::new().await;
    let doubts = |state: &MessageState| state.unknown(Reason::new(ReasonCode::UnknownOutcome, "cut off"), NOW).ok();
    let (answer, stored) = join!(site.post("/send-message", text()), lane(&site, doubts));
    assert_eq!(answer.error(502), "OUTCOME_UNKNOWN");
    assert_eq!(
        answer.json()["error"]["details"],
        json!({
            "instance_id": [site.instance.id], "message_uuid": [stored.message.id],
            "what_to_do": ["look whether it was done before you repeat it"]
        })
    );
}

#[tokio::test]
async fn what_whatsapp_slows_down_is_taken_back() {
    let site = Site::new().await;
    let later = |state: &MessageState| {
        state.retry_later(Reason::new(ReasonCode::Throttled, "slow down"), NOW.plus_ms(60_000), true, NOW).ok()
    };
    let (answer, stored) = join!(site.post("/send-message", text()), lane(&site, later));
    assert_eq!(answer.error(429), "THROTTLED");
    assert_eq!(answer.headers["retry-after"], "60");
    let state = site.world.store.message(stored.message.key).expect("reads").expect("stored").state;
    assert_eq!(state.status.as_str(), "CANCELED");
    // While WhatsApp rests, nothing is stored.
    site.pace.change(|view| view.throttled_until = Some(NOW.plus_ms(60_000)));
    assert_eq!(site.post("/send-message", text()).await.error(429), "THROTTLED");
    assert_eq!(messages(&site), 1);
}

#[tokio::test]
async fn nobody_new_is_written_to_while_the_account_is_locked() {
    let site = Site::new().await;
    let outreach = Outreach { locked_until: Some(NOW.plus_ms(3_600_000)), ..Outreach::default() };
    site.pace.change(|view| view.outreach = Some(outreach));
    let held = |state: &MessageState| {
        state.failed(Reason::new(ReasonCode::Outreach, "no conversation may be started"), NOW).ok()
    };
    let (answer, _) = join!(site.post("/send-message", text()), lane(&site, held));
    assert_eq!(answer.error(429), "THROTTLED");
    assert_eq!(answer.headers["retry-after"], "3600");
    let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.starts_with("no conversation may be started"), "{message}");
}

#[tokio::test]
async fn at_the_deadline_it_is_taken_back_or_its_outcome_is_still_to_come() {
    let site = Site::new().await;
    let late = async {
        queued(&site).await;
        settle().await;
        site.world.clock.advance(WAIT_MS).await;
    };
    let (answer, ()) = join!(site.post("/send-message", text()), late);
    assert_eq!(answer.error(503), "NOT_SENT");
    let details = answer.json()["error"]["details"].clone();
    assert_eq!((&details["retry_after"], &details["instance_id"]), (&json!(["5"]), &json!([site.instance.id])));
    assert!(details["message_uuid"][0].is_string() && details["what_to_do"][0].is_string(), "{details}");
    assert!(site.world.store.ready(site.instance.index, None, 1).expect("reads").is_empty(), "it is not sent later");

    let slow = async {
        let stored = lane(&site, |_| None).await;
        settle().await;
        site.world.clock.advance(WAIT_MS).await;
        stored
    };
    let (answer, stored) = join!(site.post("/send-message", text()), slow);
    let answer = answer.expect(202);
    assert_eq!(
        (&answer["success"], &answer["status"], &answer["message_id"], &answer["message_uuid"]),
        (&json!(true), &json!("pending"), &Value::Null, &json!(stored.message.id))
    );
}

#[tokio::test]
async fn limits_are_kept_and_nothing_is_stored() {
    let site = Site::new().await;
    site.pace.change(|view| {
        view.sent_today = 500;
        view.limits.time_zone = "UTC".to_owned();
    });
    let refused = site.post("/send-message", text()).await;
    assert_eq!(refused.error(429), "DAILY_LIMIT_REACHED");
    // Half past ten to midnight.
    assert_eq!(refused.headers["retry-after"], "48600");
    assert_eq!(refused.json()["error"]["details"]["retry_after"], json!(["48600"]));
    site.pace.change(|view| view.sent_today = 0);
    site.session(SessionState::Disconnected("gone".to_owned()));
    let refused = site.post("/send-message", text()).await;
    assert_eq!(refused.error(422), "INSTANCE_DISCONNECTED");
    let details = refused.json()["error"]["details"].clone();
    assert_eq!(details["instance_id"], json!([site.instance.id]));
    assert!(details["what_to_do"][0].as_str().is_some_and(|what| what.contains("/reconnect")), "{details}");
    site.session(SessionState::Connected);
    let paused = Connector { status: ConnectorStatus::Paused, ..Connector::clone(&site.instance) };
    site.world.store.write(Batch::of(vec![Change::Connector(paused)])).expect("stored");
    assert_eq!(site.post("/send-message", text()).await.error(422), "CONFLICT");
    assert_eq!(messages(&site), 0);
}

#[tokio::test]
async fn while_an_automation_answers_the_documented_error_names_the_conversation_by_number() {
    let (site, id) = answering().await;
    let conversation =
        site.world.commands.get_conversation(site.loja.tenant.index, id).expect("it is there").conversation;
    let body = json!({"recipient": conversation.chat, "message": "x"});
    for path in ["/send-message", "/api/v1/chat/send"] {
        let refused = site.post(path, body.clone()).await;
        assert_eq!(refused.error(403), "AUTOMATION_ACTIVE");
        let example = json!({
            "success": false,
            "error": {
                "code": "AUTOMATION_ACTIVE",
                "message": "Cannot send messages. This conversation has active automation. Pause the automation first to send \
                    messages manually.",
                "conversation_id": 123
            }
        });
        let answer = refused.json();
        like(&answer, &example, &["error.details"], &[]);
        assert_eq!(answer["error"]["message"], example["error"]["message"]);
        assert_eq!(answer["error"]["conversation_id"], conversation.number);
    }
    site.post(&format!("/conversations/{id}/automation/pause"), json!({})).await.expect(200);
    let (answer, _) = join!(site.post("/send-message", body), accept(&site, "P"));
    answer.expect(200);
}

#[tokio::test]
async fn the_chat_api_answers_with_the_message() {
    let site = Site::new().await;
    let body = json!({
        "instance_id": site.instance.index.0.to_string(), "recipient": "5521999999999", "message": "<b>Hello</b>"
    });
    let (answer, stored) = join!(site.post("/chat/send", body), accept(&site, "3EB0"));
    let answer = answer.expect(200);
    let example = json!({
        "success": true,
        "message": "Message sent successfully",
        "data": {"message": {
            "id": 456,
            "unique_id": "msg-abc-123",
            "direction": "outgoing",
            "is_from_me": true,
            "message_body": "Hello from Chat API!",
            "formatted_body": "Hello from Chat API!",
            "mentioned_jids": [],
            "sender_name": "Maria",
            "status": "sent",
            "grouped_reactions": [],
            "created_at": "2025-12-16T10:00:00Z"
        }}
    });
    assert_eq!(answer["data"]["message"]["unique_id"], json!(stored.message.id));
    let mut shown = answer.clone();
    // The documented one is no UUID.
    shown["data"]["message"]["unique_id"] = json!("msg-abc-123");
    like(&shown, &example, &["data.message.whatsapp_message_id"], &[]);
    let message = &answer["data"]["message"];
    assert_eq!(
        (&message["message_body"], &message["formatted_body"]),
        (&json!("<b>Hello</b>"), &json!("&lt;b&gt;Hello&lt;/b&gt;"))
    );
    assert_eq!((&message["whatsapp_message_id"], &message["status"]), (&json!("3EB0"), &json!("sent")));
    assert_eq!((&message["sender_name"], &message["id"]), (&json!("Loja"), &json!(1)));

    let slow = async {
        lane(&site, |_| None).await;
        settle().await;
        site.world.clock.advance(WAIT_MS).await;
    };
    let (answer, ()) = join!(site.post("/api/v1/chat/send", text()), slow);
    assert_eq!(answer.expect(202)["data"]["message"]["status"], "pending");
}

#[tokio::test]
async fn a_reaction_reaches_its_message() {
    let site = Site::new().await;
    receive(&site, ANA, ANA, "3EB0B430A8B7F23C1D12");
    let body = json!({"to": ANAS_JID, "messageId": "3EB0B430A8B7F23C1D12", "emoji": "👍"});
    let (answer, stored) = join!(site.post("/send-reaction", body.clone()), accept(&site, "R1"));
    let answer = answer.expect(200);
    let example = json!({
        "success": true, "message": "Reaction sent successfully", "message_id": "R1",
        "timestamp": "2025-01-15T10:30:00.000Z", "message_uuid": stored.message.id
    });
    assert_eq!(answer, example);
    let target = Target {
        provider_id: "3EB0B430A8B7F23C1D12".to_owned(),
        sender: Some(ANA.to_owned()),
        text: Some("Oi".to_owned()),
    };
    let content = &stored.message.content;
    assert_eq!((content.text.as_str(), &content.options.action), ("👍", &MessageAction::React(target)));
    // In a group somebody wrote it, and the engine knows who.
    receive(&site, GROUP, "5521999999999", "G1");
    let body = |id: &str| json!({"to": GROUP, "messageId": id, "emoji": "👍"});
    let (answer, stored) = join!(site.post("/send-reaction", body("G1")), accept(&site, "R2"));
    answer.expect(200);
    let MessageAction::React(target) = &stored.message.content.options.action else { panic!("a reaction") };
    assert_eq!(target.sender.as_deref(), Some("5521999999999"));
    assert_eq!(site.post("/send-reaction", body("G9")).await.error(404), "NOT_FOUND");
    for (name, value, field) in [
        ("emoji", json!("ok"), "emoji"),
        ("emoji", json!("👍👍"), "emoji"),
        ("emoji", Value::Null, "emoji"),
        ("messageId", Value::Null, "messageId"),
        ("to", json!(""), "recipient"),
    ] {
        let mut body = body("G1");
        body[name] = value;
        let refused = site.post("/send-reaction", body).await;
        assert_eq!(refused.error(422), "VALIDATION_ERROR");
        assert!(refused.json()["error"]["details"][field][0].is_string(), "{}", refused.text());
    }
}

#[tokio::test]
async fn a_message_is_edited_reacted_to_and_deleted_by_its_uuid_and_its_number() {
    let site = Site::new().await;
    let id = sent(&site, "3EB0").await;
    let path = format!("/api/v1/chat/messages/{id}");
    let body = json!({"message": "Updated message content"});
    let (answer, stored) = join!(site.send("PATCH", &path, body.clone()), accept(&site, "E1"));
    assert_eq!(
        answer.expect(200),
        json!({
            "success": true, "message": "Message updated successfully",
            "data": {"id": 1, "unique_id": id, "message_body": "Updated message content", "status": "sent"}
        })
    );
    let MessageAction::Edit(target) = &stored.message.content.options.action else { panic!("an edit") };
    assert_eq!((target.provider_id.as_str(), target.sender.as_deref()), ("3EB0", None));
    // PUT is the same, and so is its number.
    let (answer, _) = join!(site.send("PUT", "/chat/messages/1", body.clone()), accept(&site, "E2"));
    answer.expect(200);

    let reaction = format!("{path}/reaction");
    let none = site.ask(&site.loja, "DELETE", &reaction, None).await.expect(200);
    assert_eq!(none["data"]["emoji"], Value::Null, "there was none");
    let (answer, _) = join!(site.post(&reaction, json!({"emoji": "👍"})), accept(&site, "R1"));
    assert_eq!(
        answer.expect(200),
        json!({
            "success": true, "message": "Reaction added successfully",
            "data": {"id": 1, "unique_id": id, "emoji": "👍", "status": "sent"}
        })
    );
    let (answer, _) = join!(site.ask(&site.loja, "DELETE", &reaction, None), accept(&site, "R2"));
    assert_eq!(answer.expect(200)["message"], "Reaction removed successfully");

    let (answer, _) = join!(site.ask(&site.loja, "DELETE", &path, None), accept(&site, "D1"));
    let deleted = answer.expect(200);
    assert_eq!(
        deleted,
        json!({
            "success": true, "message": "Message deleted successfully",
            "data": {"id": 1, "unique_id": id, "status": "sent"}
        })
    );
    let before = messages(&site);
    assert_eq!(site.ask(&site.loja, "DELETE", &path, None).await.expect(200), deleted);
    assert_eq!(site.send("PATCH", &path, body).await.error(422), "CONFLICT");
    assert_eq!(messages(&site), before);
}

#[tokio::test]
async fn a_message_is_named_by_whatsapps_id_too() {
    let site = Site::new().await;
    let id = sent(&site, "3EB0B430A8B7F23C1D12").await;
    let edit = json!({"message": "novo"});
    let path = "/api/v1/chat/messages/3EB0B430A8B7F23C1D12";
    let (answer, stored) = join!(site.send("PATCH", path, edit.clone()), accept(&site, "E1"));
    assert_eq!(answer.expect(200)["data"]["unique_id"], json!(id));
    let MessageAction::Edit(target) = &stored.message.content.options.action else { panic!("an edit") };
    assert_eq!(target.provider_id, "3EB0B430A8B7F23C1D12");
    // The edit is a message of WhatsApp's too, but none of the conversation.
    assert_eq!(site.send("PATCH", "/chat/messages/E1", edit.clone()).await.error(404), "NOT_FOUND");

    // Of received ones too. Some of WhatsApp's ids could be UUIDs or numbers.
    for received in ["A5B1C0FFEE00112233445566778899AA", "7001", "A1"] {
        receive(&site, GROUP, "5521999999999", received);
        let path = format!("/chat/messages/{received}");
        let reaction = format!("{path}/reaction");
        let (answer, stored) = join!(site.post(&reaction, json!({"emoji": "👍"})), accept(&site, "R"));
        answer.expect(200);
        let MessageAction::React(target) = &stored.message.content.options.action else { panic!("a reaction") };
        assert_eq!(
            (target.provider_id.as_str(), target.sender.as_deref()),
            (received, Some("5521999999999")),
            "{received}"
        );
        assert_eq!(site.send("PATCH", &path, edit.clone()).await.error(403), "FORBIDDEN", "{received}");
    }
    // A number that both have is ours.
    receive(&site, ANA, ANA, "1");
    let (answer, _) = join!(site.send("PATCH", "/chat/messages/1", edit.clone()), accept(&site, "E2"));
    assert_eq!(answer.expect(200)["data"]["unique_id"], json!(id));

    // Nobody finds what they may not see.
    let other = site.another(&site.loja).await;
    let made = site.world.commands.create_api_key(site.loja.tenant.index, "bot", Some(other.id)).await;
    let key = made.expect("a good name").key;
    for given in ["3EB0B430A8B7F23C1D12", "A1"] {
        let path = format!("/chat/messages/{given}");
        assert_eq!(with(&site, &key, "PATCH", &path, Some(edit.clone())).await.error(404), "NOT_FOUND");
        assert_eq!(site.ask(&site.other, "PATCH", &path, Some(edit.clone())).await.error(404), "NOT_FOUND");
    }
}

#[tokio::test]
async fn what_others_wrote_is_not_edited_and_what_is_not_theirs_is_not_found() {
    let site = Site::new().await;
    receive(&site, ANA, ANA, "A1");
    let body = || json!({"message": "x"});
    assert_eq!(site.send("PATCH", "/chat/messages/1", body()).await.error(403), "FORBIDDEN");
    assert_eq!(site.ask(&site.loja, "DELETE", "/chat/messages/1", None).await.error(403), "FORBIDDEN");
    assert_eq!(site.send("PATCH", "/chat/messages/1", json!({})).await.error(422), "VALIDATION_ERROR");
    for given in ["2", "A2", "00000000-0000-0000-0000-000000000000"] {
        let path = format!("/chat/messages/{given}");
        assert_eq!(site.send("PATCH", &path, body()).await.error(404), "NOT_FOUND", "{given}");
        assert_eq!(site.ask(&site.loja, "DELETE", &path, None).await.error(404), "NOT_FOUND", "{given}");
        let reaction = format!("{path}/reaction");
        assert_eq!(site.post(&reaction, json!({"emoji": "👍"})).await.error(404), "NOT_FOUND", "{given}");
    }
    // Another tenant has neither the message nor the instance.
    assert_eq!(site.ask(&site.other, "DELETE", "/chat/messages/1", None).await.error(404), "NOT_FOUND");
    let mut theirs = text();
    theirs["instance_id"] = json!(site.instance.id);
    for path in ["/send-message", "/chat/send"] {
        assert_eq!(site.ask(&site.other, "POST", path, Some(theirs.clone())).await.error(404), "NOT_FOUND");
    }
    assert_eq!(messages(&site), 0);
}

#[tokio::test]
async fn a_key_of_another_instance_and_a_viewer_send_nothing() {
    let site = Site::new().await;
    receive(&site, ANA, ANA, "A1");
    let other = site.another(&site.loja).await;
    let made = site.world.commands.create_api_key(site.loja.tenant.index, "bot", Some(other.id)).await;
    let key = made.expect("a good name").key;
    user(&site, "vera", Role::Viewer).await;
    let viewer = token(&site, "vera").await;
    let mut named = text();
    named["instance_id"] = json!(site.instance.id);
    let emoji = json!({"emoji": "👍"});
    let reaction = json!({"instance_id": site.instance.id, "to": ANA, "messageId": "A1", "emoji": "👍"});
    for (method, path, body) in [
        ("POST", "/send-message", Some(named.clone())),
        ("POST", "/send-reaction", Some(reaction)),
        ("POST", "/chat/send", Some(named)),
        ("PATCH", "/chat/messages/1", Some(json!({"message": "x"}))),
        ("DELETE", "/chat/messages/1", None),
        ("POST", "/chat/messages/1/reaction", Some(emoji)),
        ("DELETE", "/chat/messages/1/reaction", None),
    ] {
        for token in [&key, &viewer] {
            assert_eq!(with(&site, token, method, path, body.clone()).await.error(403), "FORBIDDEN", "{method} {path}");
        }
    }
    assert_eq!(messages(&site), 0);
}
