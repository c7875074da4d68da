//! What was said in conversations: pages of it, what is read, the archive, deletion, lists by activity; settings.

use pombo_domain::ConnectorIndex;
use pombo_domain::model::message::Target;
use pombo_domain::model::*;
use pombo_domain::ports::{
    AutomationStore, Batch, Change, ChatChange, ChatMessage, ChatStore, Conflict, Operation, OperationError, Store,
    StoreError,
};
use pombo_testkit::samples;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Caller, Engine, Refused};

/// A message as the intake would store it.
pub(super) async fn receive(engine: &Engine, caller: &Caller, connector: ConnectorIndex, inbound: Inbound) {
    let message = ChatMessage {
        tenant: caller.tenant.index,
        connector,
        chat: inbound.chat.clone(),
        is_group: Some(inbound.is_group),
        contact_name: inbound.sender_name.clone(),
        act: TimelineAct::of(&inbound),
    };
    let received = Change::Chat(Box::new(ChatChange::Received(message)));
    engine.world.store.commit(Batch::of(vec![received])).await.expect("commits");
}

pub(super) fn says(chat: &str, id: &str, text: &str) -> Inbound {
    let content = InboundContent::Text(text.to_owned());
    Inbound { sender_name: Some("Ana Sá".to_owned()), content, ..samples::inbound(chat, id) }
}

/// The first attempt of a message, as the lane would store it, and that the channel took it.
pub(super) async fn attempt(engine: &Engine, caller: &Caller, connector: ConnectorIndex, id: &str, text: Option<&str>) {
    let store = &engine.world.store;
    let (tenant, id) = (caller.tenant.index, id.parse().expect("a UUID"));
    let stored = store.message_by_id(tenant, id).expect("reads").expect("stored");
    let now = engine.state.commands.now();
    let claimed = stored.state.claim(now).expect("it waits");
    let content = EntryContent::Sent {
        text: text.map(str::to_owned),
        subject: None,
        attachments: stored.message.content.attachments.clone(),
        voice_note: false,
        file_kind: None,
    };
    let entry = TimelineEntry { content, ..TimelineEntry::sent(stored.message.key, now) };
    let (chat, act) = (stored.message.content.to.clone(), TimelineAct::Say(entry));
    let message = ChatMessage { tenant, connector, chat, is_group: None, contact_name: None, act };
    let attempted = ChatChange::Attempted(stored.message.key, id, message);
    let batch = vec![Change::Update(samples::update(&stored, claimed)), Change::Chat(Box::new(attempted))];
    store.commit(Batch::of(batch)).await.expect("commits");
    store.step(stored.message.key, |state| state.sent(Some("3EB0".to_owned()), now).expect("it was tried"));
}

/// The id of the conversation with an address.
pub(super) fn known(engine: &Engine, connector: ConnectorIndex, chat: &str) -> String {
    let store = &engine.world.store;
    store.conversation_with(connector, chat).expect("reads").expect("it is open").id.to_string()
}

#[tokio::test]
async fn a_page_has_both_sides_in_order_and_says_what_lies_beyond() {
    let engine = Engine::new().await;
    let (_, connector) = engine.chat(&engine.a).await;
    for n in 1..=3 {
        engine.world.clock.jump(1_000);
        receive(&engine, &engine.a, connector, says("5511", &format!("R{n}"), &format!("oi {n}"))).await;
    }
    let chat = known(&engine, connector, "5511");
    let path = format!("/v1/conversations/{chat}/messages");
    let sent = engine.post(&engine.a, &path, json!({"text": "Olá {{ nome }}", "variables": {"nome": "Ana"}}));
    let sent = sent.await.expect(201)["id"].as_str().expect("an id").to_owned();
    engine.world.clock.jump(1_000);
    attempt(&engine, &engine.a, connector, &sent, None).await;
    let reaction = InboundContent::Reaction { to: "3EB0".to_owned(), emoji: "👍".to_owned() };
    receive(&engine, &engine.a, connector, Inbound { content: reaction, ..says("5511", "R4", "") }).await;

    let page = engine.get(&engine.a, &path).await.expect(200);
    assert_eq!((&page["hasOlder"], &page["hasNewer"]), (&json!(false), &json!(false)));
    assert_eq!((&page["oldest"], &page["newest"]), (&json!(1), &json!(4)));
    let first = &page["data"][0];
    assert_eq!((&first["direction"], &first["kind"], &first["text"]), (&json!("in"), &json!("text"), &json!("oi 1")));
    assert_eq!(
        (&first["senderName"], &first["providerId"], first.get("status")),
        (&json!("Ana Sá"), &json!("R1"), None)
    );
    assert_eq!(first["at"], "2030-01-01T00:00:01.000Z");
    let own = &page["data"][3];
    assert_eq!((&own["id"], &own["direction"], &own["status"]), (&json!(sent), &json!("out"), &json!("SENT")));
    assert_eq!((&own["providerId"], own.get("sender")), (&json!("3EB0"), None));
    assert!(own["text"].as_str().is_some_and(|text| text.contains("Ana")), "rendered: {own}");
    assert!(own["by"].as_str().is_some_and(|by| by.starts_with("key:")), "{own}");
    assert_eq!(
        own["reactions"],
        json!([{"emoji": "👍", "count": 1, "byMe": false, "by": ["5511"], "names": ["5511"]}])
    );

    let numbers = |query: &str| {
        let (engine, path) = (&engine, format!("{path}{query}"));
        async move {
            let page = engine.get(&engine.a, &path).await.expect(200);
            let rows = page["data"].as_array().expect("a list").iter();
            let numbers: Vec<u64> = rows.map(|row| row["number"].as_u64().expect("a number")).collect();
            (numbers, page["hasOlder"] == true, page["hasNewer"] == true)
        }
    };
    assert_eq!(numbers("?limit=2").await, (vec![3, 4], true, false));
    assert_eq!(numbers("?limit=2&before=3").await, (vec![1, 2], false, true));
    assert_eq!(numbers("?limit=2&after=1").await, (vec![2, 3], true, true));
    assert_eq!(numbers("?from=2030-01-01T00:00:02Z&to=2030-01-01T00:00:03Z").await, (vec![2, 3], false, false));
    for (query, field) in [("?limit=0", "limit"), ("?limit=101", "limit"), ("?before=x", "before"), ("?x=1", "x")] {
        assert_eq!(engine.get(&engine.a, &format!("{path}{query}")).await.error(400).1, [field]);
    }
    assert_eq!(engine.get(&engine.b, &path).await.error(404).0, "not_found");
}

#[tokio::test]
async fn what_was_deleted_or_edited_is_shown_as_such() {
    let engine = Engine::new().await;
    let (_, connector) = engine.chat(&engine.a).await;
    let file = InboundContent::Attachment(InboundAttachment {
        kind: MediaKind::Image,
        media: MediaState::Ready(samples::attachment()),
        file_name: None,
        content_type: "image/png".to_owned(),
        size: Some(3),
        caption: Some("olha".to_owned()),
    });
    receive(&engine, &engine.a, connector, Inbound { content: file, ..says("5511", "R1", "") }).await;
    receive(&engine, &engine.a, connector, says("5511", "R2", "segredo")).await;
    let edit = InboundContent::Edit { of: "R1".to_owned(), text: "olhe".to_owned() };
    receive(&engine, &engine.a, connector, Inbound { content: edit, ..says("5511", "R3", "") }).await;
    let revoke = InboundContent::Revoke("R2".to_owned());
    receive(&engine, &engine.a, connector, Inbound { content: revoke, ..says("5511", "R4", "") }).await;
    let chat = known(&engine, connector, "5511");
    let page = engine.get(&engine.a, &format!("/v1/conversations/{chat}/messages")).await.expect(200);
    let (picture, gone) = (&page["data"][0], &page["data"][1]);
    assert_eq!((&picture["kind"], &picture["text"]), (&json!("image"), &json!("olhe")));
    assert!(picture["editedAt"].is_string() && picture["attachment"]["file"]["url"].is_string(), "{picture}");
    assert_eq!((&gone["kind"], gone.get("text")), (&json!("revoked"), None));
    assert!(gone["revokedAt"].is_string() && !page.to_string().contains("segredo"), "{gone}");
    let shown = engine.get(&engine.a, &format!("/v1/conversations/{chat}")).await.expect(200);
    assert_eq!(shown["lastMessage"]["kind"], "revoked");
    assert_eq!(page["data"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn lists_by_activity_have_filters_a_search_and_exact_totals() {
    let engine = Engine::new().await;
    let (first, connector) = engine.chat(&engine.a).await;
    let (_, other) = engine.chat(&engine.a).await;
    for (n, on) in [connector, connector, other].into_iter().enumerate() {
        engine.world.clock.jump(1_000);
        receive(&engine, &engine.a, on, says(&format!("551{n}"), "R1", &format!("Olá, número {n}"))).await;
    }
    engine.world.clock.jump(1_000);
    receive(&engine, &engine.a, connector, says("5510", "R2", "Até amanhã")).await;
    let list = |query: &str| {
        let (engine, path) = (&engine, format!("/v1/conversations{query}"));
        async move {
            let page = engine.get(&engine.a, &path).await.expect(200);
            let chat = |row: &Value| row["chat"].as_str().unwrap_or_default().to_owned();
            let rows: Vec<String> = page["data"].as_array().expect("a list").iter().map(chat).collect();
            (rows, page["total"].as_u64().unwrap_or_default())
        }
    };
    let chats = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(list("?order=-lastActivity").await, (chats(&["5510", "5512", "5511"]), 3));
    assert_eq!(list("?order=-lastActivity&limit=1&offset=1").await, (chats(&["5512"]), 3));
    assert_eq!(list("?order=-lastActivity&offset=9").await, (chats(&[]), 3));
    assert_eq!(list("?search=AMANHA").await, (chats(&["5510"]), 1));
    assert_eq!(list("?search=sa%20numero").await.1, 2);
    assert_eq!(list("?search=%2B5511").await, (chats(&["5511"]), 1));
    assert_eq!(list(&format!("?connectorId={first}")).await.1, 2);
    let (a, b) = (known(&engine, connector, "5510"), known(&engine, connector, "5511"));
    let post = |path: String, body: Value| engine.post_owned(path, body);
    post(format!("/v1/conversations/{a}/archive"), json!({})).await.expect(200);
    assert_eq!(list("?archived=false&order=-lastActivity").await, (chats(&["5512", "5511"]), 2));
    assert_eq!(list("?archived=true").await, (chats(&["5510"]), 1));
    post(format!("/v1/conversations/{b}/read"), json!({})).await.expect(200);
    assert_eq!(list("?unread=false").await, (chats(&["5511"]), 1));
    let key = [("x-api-key", engine.a.key.as_str())];
    let tags = json!({"tags": ["vip"]});
    engine.ask("PATCH", &format!("/v1/conversations/{b}"), &key, Some(tags)).await.expect(200);
    assert_eq!(list("?tags=x,vip").await, (chats(&["5511"]), 1));
    assert_eq!(list("?tagged=false").await.1, 2);
    let counts = engine.get(&engine.a, "/v1/conversations/counts").await.expect(200);
    let counted =
        ["open", "archived", "unread", "unassigned", "mine", "paused", "automated"].map(|name| counts[name].as_u64());
    assert_eq!(counted, [Some(2), Some(1), Some(1), Some(2), Some(0), Some(0), Some(0)]);
    assert_eq!((&counts["byTag"], &counts["byConnector"][&first]), (&json!({"vip": 1}), &json!(1)));
    let refused = |query: &str| {
        let (engine, path) = (&engine, format!("/v1/conversations{query}"));
        async move { engine.get(&engine.a, &path).await.error(400).1 }
    };
    assert_eq!(refused("?offset=1").await, ["offset"]);
    assert_eq!(refused(&format!("?order=-lastActivity&after={}", Uuid::nil())).await, ["after"]);
    assert_eq!(refused("?order=x").await, ["order"]);
    assert_eq!(engine.get(&engine.b, "/v1/conversations").await.expect(200)["total"], 0);
}

#[tokio::test]
async fn reading_counts_at_once_and_the_channel_is_told_when_it_can() {
    let engine = Engine::new().await;
    let (_, connector) = engine.chat(&engine.a).await;
    for n in 1..=3 {
        receive(&engine, &engine.a, connector, says("5511", &format!("R{n}"), "oi")).await;
    }
    let chat = known(&engine, connector, "5511");
    let read = |body: Value| engine.post_owned(format!("/v1/conversations/{chat}/read"), body);
    let told = |ids: &[&str]| {
        let target = |id: &&str| Target { provider_id: (*id).to_owned(), sender: Some("5511".to_owned()), text: None };
        vec![Operation::Read { chat: "5511".to_owned(), messages: ids.iter().map(target).collect() }]
    };
    engine.world.connectors.answer(Err(OperationError::Disconnected("gone".to_owned())));
    assert_eq!(read(json!({"upTo": 2})).await.expect(200)["unread"], 1, "no connection is no failure");
    assert_eq!(engine.world.connectors.asked(), told(&["R1", "R2"]));
    assert_eq!(read(json!({})).await.expect(200)["unread"], 0);
    assert_eq!(engine.world.connectors.asked(), told(&["R1", "R2", "R3"]), "with what it was not told before");
    assert_eq!(read(json!({})).await.expect(200)["unread"], 0);
    assert!(engine.world.connectors.asked().is_empty(), "once");
    receive(&engine, &engine.a, connector, says("5511", "R4", "oi")).await;
    read(json!({"tellChannel": false})).await.expect(200);
    assert!(engine.world.connectors.asked().is_empty());
    for _ in 0..2 {
        let unread = engine.post_owned(format!("/v1/conversations/{chat}/unread"), json!({})).await.expect(200);
        assert_eq!(unread["unread"], 1);
    }
    assert_eq!(read(json!({})).await.expect(200)["unread"], 0);
    assert!(engine.world.connectors.asked().is_empty(), "the channel knows it");
    let steps: Vec<Value> = engine.steps(&engine.a).await.into_iter().map(|event| event["step"].clone()).collect();
    assert_eq!(steps, ["read", "read", "read", "unread", "read"]);
    let path = format!("/v1/conversations/{chat}/read");
    assert_eq!(engine.post(&engine.b, &path, json!({})).await.error(404).0, "not_found");
    assert_eq!(engine.post(&engine.a, &path, json!({"upTo": -1})).await.error(400).1, ["upTo"]);
}

#[tokio::test]
async fn an_archived_conversation_comes_back_and_a_deleted_one_does_not() {
    let engine = Engine::new().await;
    let (id, connector) = engine.chat(&engine.a).await;
    receive(&engine, &engine.a, connector, says("5511", "R1", "oi")).await;
    let chat = known(&engine, connector, "5511");
    let path = format!("/v1/conversations/{chat}");
    let key = [("x-api-key", engine.a.key.as_str())];
    let archived = engine.post(&engine.a, &format!("{path}/archive"), json!({})).await.expect(200);
    assert_eq!(archived["archivedAt"], "2030-01-01T00:00:00.000Z");
    engine.post(&engine.a, &format!("{path}/archive"), json!({})).await.expect(200);
    let restored = engine.ask("DELETE", &format!("{path}/archive"), &key, None).await.expect(200);
    assert_eq!(restored.get("archivedAt"), None);
    engine.post(&engine.a, &format!("{path}/archive"), json!({})).await.expect(200);
    receive(&engine, &engine.a, connector, says("5511", "R2", "voltei")).await;
    assert_eq!(engine.get(&engine.a, &path).await.expect(200).get("archivedAt"), None);

    let stranger = [("x-api-key", engine.b.key.as_str())];
    assert_eq!(engine.ask("DELETE", &path, &stranger, None).await.error(404).0, "not_found");
    engine.ask("DELETE", &path, &key, None).await.expect(204);
    assert_eq!(engine.get(&engine.a, &path).await.error(404).0, "not_found");
    assert_eq!(engine.ask("DELETE", &path, &key, None).await.error(404).0, "not_found");
    let opened = json!({"connectorId": id, "to": "+5511"});
    let new = engine.post(&engine.a, "/v1/conversations", opened.clone()).await.expect(201);
    assert_eq!((&new["chat"], &new["number"], new.get("lastMessage")), (&json!("5511"), &json!(2), None));
    assert_eq!(engine.post(&engine.a, "/v1/conversations", opened).await.expect(200)["id"], new["id"], "the same one");
    let email = engine.connector(&engine.a).await;
    let refused = engine.post(&engine.a, "/v1/conversations", json!({"connectorId": email, "to": "a@b.test"})).await;
    assert_eq!(refused.error(400).0, "unsupported");
    let told = engine.told(&engine.a, "conversation.changed").await;
    let by = told[1]["by"].as_str().expect("who").to_owned();
    assert!(by.starts_with("key:"), "{by}");
    let steps: Vec<_> = told.iter().filter_map(|e| Some((e["step"].as_str()?, e["by"].as_str()?))).collect();
    let by = by.as_str();
    let expected = [
        ("opened", "channel"),
        ("archived", by),
        ("restored", by),
        ("archived", by),
        ("restored", "channel"),
        ("deleted", by),
        ("opened", by),
    ];
    assert_eq!(steps, expected, "also what follows from a message");
    // With the row of the list as it is now; of the deleted one there is none.
    let rows: Vec<Option<&Value>> = told.iter().map(|event| event.get("conversation")).collect();
    assert!(rows[..6].iter().all(Option::is_none), "{told:?}");
    let listed = engine.get(&engine.a, "/v1/conversations").await.expect(200);
    assert_eq!(rows[6], Some(&listed["data"][0]));
}

#[tokio::test]
async fn only_where_an_automation_took_part_a_person_is_kept_from_writing() {
    let engine = Engine::new().await;
    engine.install(&engine.a, json!({"name": "acme-bot"})).await;
    let (connector_id, connector) = engine.chat(&engine.a).await;
    engine.automation(&engine.a, "acme-bot", &connector_id).await;
    let path = format!("/v1/connectors/{connector_id}/messages");
    let sent = engine.post(&engine.a, &path, json!({"to": "5511", "text": "oi"})).await.expect(201);
    attempt(&engine, &engine.a, connector, sent["id"].as_str().expect("an id"), Some("oi")).await;
    let chat = known(&engine, connector, "5511");
    let shown = engine.get(&engine.a, &format!("/v1/conversations/{chat}")).await.expect(200);
    assert_eq!(shown["automated"], false, "nobody has answered anything yet");
    engine.post(&engine.a, &path, json!({"to": "5511", "text": "de novo"})).await.expect(201);
    // The automation takes part.
    super::conversations::opened(&engine, &engine.a, &connector_id, "5511").await;
    assert_eq!(engine.get(&engine.a, &format!("/v1/conversations/{chat}")).await.expect(200)["automated"], true);
    engine.post(&engine.a, &path, json!({"to": "5511", "text": "mais"})).await.error(409);
    // Under whichever address: it is the same person.
    let alias = Change::ContactAlias {
        tenant: engine.a.tenant.index,
        kind: ContactType::WhatsApp,
        alias: "5599".to_owned(),
        identifier: "5511".to_owned(),
    };
    let contact = Change::Contact(samples::contact(engine.a.tenant.index, ContactType::WhatsApp, "5511"));
    let known = engine.world.store.contact(engine.a.tenant.index, ContactType::WhatsApp, "5511").expect("reads");
    let changes = if known.is_some() { vec![alias] } else { vec![contact, alias] };
    engine.world.store.commit(Batch::of(changes)).await.expect("commits");
    engine.post(&engine.a, &path, json!({"to": "5599", "text": "mais"})).await.error(409);
    assert_eq!(engine.get(&engine.a, "/v1/conversations/counts").await.expect(200)["automated"], 1);
}

#[tokio::test]
async fn a_conversation_is_assigned_to_a_user() {
    let engine = Engine::new().await;
    let (_, connector) = engine.chat(&engine.a).await;
    receive(&engine, &engine.a, connector, says("5511", "R1", "oi")).await;
    let request = |email: &str| pombo_domain::commands::access::users::UserRequest {
        email: email.to_owned(),
        name: "Rui".to_owned(),
        password: "uma senha bem longa".to_owned(),
        role: Role::Agent,
    };
    let rui = engine.world.commands.create_user(engine.a.tenant.index, request("rui@a.test")).await.expect("made").id;
    let other = engine.world.commands.create_user(engine.b.tenant.index, request("rui@b.test")).await.expect("made").id;
    let assignees = engine.get(&engine.a, "/v1/assignees").await.expect(200);
    assert_eq!(assignees["data"], json!([{"id": rui, "name": "Rui"}]));
    let path = format!("/v1/conversations/{}", known(&engine, connector, "5511"));
    let key = [("x-api-key", engine.a.key.as_str())];
    let patch = |body| engine.ask("PATCH", &path, &key, Some(body));
    assert_eq!(patch(json!({"assigneeId": rui})).await.expect(200)["assigneeId"], json!(rui));
    assert_eq!(patch(json!({"assigneeId": other})).await.error(400).1, ["assigneeId"]);
    let found = engine.get(&engine.a, &format!("/v1/conversations?assigneeId={rui}")).await.expect(200);
    assert_eq!(found["total"], 1);
    assert_eq!(engine.get(&engine.a, "/v1/conversations?assigned=false").await.expect(200)["total"], 0);
    assert_eq!(patch(json!({"assigneeId": null})).await.expect(200).get("assigneeId"), None);
    assert_eq!(engine.steps(&engine.a).await[0]["detail"], "Rui");
}

#[tokio::test]
async fn what_was_assigned_to_a_user_who_is_deleted_is_assigned_to_nobody() {
    let engine = Engine::new().await;
    let (_, connector) = engine.chat(&engine.a).await;
    let user = |email: &str| pombo_domain::commands::access::users::UserRequest {
        email: email.to_owned(),
        name: "Rui".to_owned(),
        password: "uma senha bem longa".to_owned(),
        role: Role::Agent,
    };
    let tenant = engine.a.tenant.index;
    let rui = engine.world.commands.create_user(tenant, user("rui@a.test")).await.expect("made").id;
    let ana = engine.world.commands.create_user(tenant, user("ana@a.test")).await.expect("made").id;
    let key = [("x-api-key", engine.a.key.as_str())];
    for (chat, who) in [("5511", rui), ("5522", ana), ("5533", rui)] {
        receive(&engine, &engine.a, connector, says(chat, chat, "oi")).await;
        let path = format!("/v1/conversations/{}", known(&engine, connector, chat));
        engine.ask("PATCH", &path, &key, Some(json!({"assigneeId": who}))).await.expect(200);
    }
    // Somebody deletes a conversation in the same moment.
    engine.world.store.refuse_next(StoreError::Conflict(Conflict::Gone));
    engine.ask("DELETE", &format!("/v1/users/{rui}"), &key, None).await.expect(204);
    let total = async |filter: &str| {
        engine.get(&engine.a, &format!("/v1/conversations?{filter}")).await.expect(200)["total"].clone()
    };
    assert_eq!(total(&format!("assigneeId={rui}")).await, 0);
    assert_eq!(total(&format!("assigneeId={ana}")).await, 1);
    assert_eq!((total("assigned=false").await, total("assigned=true").await), (json!(2), json!(1)));
    assert_eq!(engine.get(&engine.a, "/v1/conversations/counts").await.expect(200)["unassigned"], 2);
    let shown = engine.get(&engine.a, &format!("/v1/conversations/{}", known(&engine, connector, "5533"))).await;
    assert_eq!(shown.expect(200).get("assigneeId"), None);
    let told = engine.steps(&engine.a).await;
    assert_eq!(told.iter().filter(|event| event["detail"] == "").count(), 2, "{told:?}");
}

#[tokio::test]
async fn a_tenant_sets_for_how_long_received_messages_are_kept() {
    let engine = Engine::new().await;
    let key = [("x-api-key", engine.a.key.as_str())];
    let patch = |body| engine.ask("PATCH", "/v1/settings", &key, Some(body));
    let words = ["SAIR", "PARAR", "STOP"];
    let usual = json!({"optOutWords": words, "phonePauseMinutes": 120, "phoneResumeWord": "/bot"});
    let with = |further: Value| {
        let mut shown = usual.clone();
        let further = further.as_object().expect("an object").clone();
        shown.as_object_mut().expect("an object").extend(further);
        shown
    };
    assert_eq!(engine.get(&engine.a, "/v1/settings").await.expect(200), usual);
    let kept = with(json!({"receivedDays": 90}));
    assert_eq!(patch(json!({"receivedDays": 90})).await.expect(200), kept);
    assert_eq!(patch(json!({})).await.expect(200), kept, "what is left out stays");
    assert_eq!(engine.get(&engine.b, "/v1/settings").await.expect(200), usual);
    for wrong in [json!(0), json!(36_501), json!("x"), json!(-1)] {
        assert_eq!(patch(json!({"receivedDays": wrong})).await.error(400).1, ["receivedDays"]);
    }
    assert_eq!(patch(json!({"receivedDays": null})).await.expect(200), usual);
    let own = json!({"optOutWords": ["chega"]});
    assert_eq!(patch(own.clone()).await.expect(200), with(own));
    assert_eq!(patch(json!({"optOutWords": ["a\nb"]})).await.error(400).1, ["optOutWords[0]"]);
    assert_eq!(patch(json!({"optOutWords": null})).await.expect(200), usual);

    let own = json!({"phonePauseMinutes": 0, "phoneResumeWord": "robô"});
    assert_eq!(patch(own.clone()).await.expect(200), with(own.clone()));
    assert_eq!(engine.get(&engine.a, "/v1/settings").await.expect(200), with(own));
    assert_eq!(patch(json!({"phoneResumeWord": ""})).await.expect(200)["phoneResumeWord"], "");
    for wrong in [json!(43_201), json!("x"), json!(-1)] {
        assert_eq!(patch(json!({"phonePauseMinutes": wrong})).await.error(400).1, ["phonePauseMinutes"]);
    }
    for wrong in [json!("x".repeat(41)), json!("a\nb"), json!(7)] {
        assert_eq!(patch(json!({"phoneResumeWord": wrong})).await.error(400).1, ["phoneResumeWord"]);
    }
    assert_eq!(patch(json!({"phonePauseMinutes": null, "phoneResumeWord": null})).await.expect(200), usual);
    let settings = engine.world.store.tenant_settings(engine.a.tenant.index).expect("reads");
    assert_eq!(settings, TenantSettings::default());
}
