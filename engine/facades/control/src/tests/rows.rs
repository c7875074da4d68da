//! Rows of conversations and messages as people see them: with names, who wrote and who waits; orders and filters of lists.

use pombo_domain::ConnectorIndex;
use pombo_domain::commands::access::users::UserRequest;
use pombo_domain::model::*;
use pombo_domain::ports::{Batch, Change, Store};
use serde_json::{Value, json};
use uuid::Uuid;

use super::conversations::opened;
use super::history::{attempt, known, receive, says};
use super::support::{Engine, Refused};

/// A user of A; the id.
async fn user(engine: &Engine, name: &str) -> Uuid {
    let (email, password) = (format!("{name}@a.test"), "uma senha bem longa".to_owned());
    let request = UserRequest { email, name: name.to_owned(), password, role: Role::Agent };
    engine.world.commands.create_user(engine.a.tenant.index, request).await.expect("made").id
}

/// The only row of A's list.
async fn row(engine: &Engine) -> Value {
    let page = engine.get(&engine.a, "/v1/conversations").await.expect(200);
    assert_eq!(page["total"], 1, "{page}");
    page["data"][0].clone()
}

/// A contact of A that has a name; the id.
async fn contact(engine: &Engine, identifier: &str, name: &str) -> Value {
    let body = json!({"type": "WHATSAPP", "identifier": identifier, "name": name});
    engine.post(&engine.a, "/v1/contacts", body).await.expect(201)["id"].clone()
}

async fn changed(engine: &Engine, path: &str, body: Value) -> Value {
    engine.ask("PATCH", path, &[("x-api-key", &engine.a.key)], Some(body)).await.expect(200)
}

#[tokio::test]
async fn a_row_says_with_whom_it_is_who_waits_and_how_far_the_newest_message_came() {
    let engine = Engine::new().await;
    let (id, connector) = engine.chat(&engine.a).await;
    engine.world.clock.jump(1_000);
    receive(&engine, &engine.a, connector, says("5511988887777", "R1", &"é".repeat(150))).await;
    engine.world.clock.jump(1_000);
    receive(&engine, &engine.a, connector, says("5511988887777", "R2", &"é".repeat(150))).await;
    let first = row(&engine).await;
    assert_eq!((&first["displayName"], &first["contactName"]), (&json!("Ana Sá"), &json!("Ana Sá")));
    assert_eq!((first.get("contactId"), first.get("automation")), (None, None));
    assert_eq!(first["waitingSince"], "2030-01-01T00:00:01.000Z", "since the first message");
    let last = &first["lastMessage"];
    assert_eq!((last["preview"].as_str(), last.get("status")), (Some("é".repeat(120).as_str()), None));

    // The name that the tenant chose is shown, and no longer the one that the channel reported.
    let who = contact(&engine, "5511988887777", "Dona Ana").await;
    let chat = known(&engine, connector, "5511988887777");
    let path = format!("/v1/conversations/{chat}");
    let rui = user(&engine, "Rui").await;
    changed(&engine, &path, json!({"assigneeId": rui})).await;
    let sent = engine.post(&engine.a, &format!("{path}/messages"), json!({"text": "já vou"})).await.expect(201);
    attempt(&engine, &engine.a, connector, sent["id"].as_str().expect("an id"), Some("já vou")).await;
    let second = row(&engine).await;
    assert_eq!((&second["displayName"], &second["contactName"]), (&json!("Dona Ana"), &json!("Dona Ana")));
    assert_eq!((&second["contactId"], &second["assigneeName"]), (&who, &json!("Rui")));
    assert_eq!((&second["lastMessage"]["status"], second.get("waitingSince")), (&json!("SENT"), None));
    assert!(second["lastMessage"]["by"].as_str().is_some_and(|by| by.starts_with("key:")), "{second}");
    let alone = engine.get(&engine.a, &path).await.expect(200);
    for field in ["displayName", "contactId", "contactName", "lastMessage", "assigneeName"] {
        assert_eq!(alone[field], second[field], "{field}");
    }
    let hit = engine.get(&engine.a, "/v1/search?q=vou&in=messages").await.expect(200)["messages"]["data"][0].clone();
    assert_eq!(hit["contactName"], "Dona Ana");

    // A group has no contact, and without a name it is its address.
    let group = opened(&engine, &engine.a, &id, "120363000000000000@g.us").await;
    let group = engine.get(&engine.a, &format!("/v1/conversations/{group}")).await.expect(200);
    assert_eq!((&group["displayName"], group.get("contactId")), (&json!("120363000000000000@g.us"), None));
}

#[tokio::test]
async fn a_list_is_asked_for_who_waits_who_answers_and_what_is_open() {
    let engine = Engine::new().await;
    engine.install(&engine.a, json!({"name": "acme-bot"})).await;
    let (id, connector) = engine.chat(&engine.a).await;
    let bot = engine.automation(&engine.a, "acme-bot", &id).await;
    for (chat, message) in [("5511", "R1"), ("5522", "R1"), ("5511", "R2")] {
        engine.world.clock.jump(1_000);
        receive(&engine, &engine.a, connector, says(chat, message, "oi")).await;
    }
    engine.world.clock.jump(1_000);
    receive(&engine, &engine.a, connector, Inbound { from_me: true, ..says("5522", "R2", "já vou") }).await;
    engine.world.clock.jump(1_000);
    opened(&engine, &engine.a, &id, "5533").await;
    let list = async |query: &str| {
        let page = engine.get(&engine.a, &format!("/v1/conversations?{query}")).await.expect(200);
        let chats = page["data"].as_array().expect("a list").iter().map(|row| row["chat"].as_str().expect("a text"));
        (chats.collect::<Vec<_>>().join(" "), page["total"].as_u64().expect("a number"))
    };
    let some = |chats: &str, total: u64| (chats.to_owned(), total);
    assert_eq!(list("order=waitingSince").await, some("5511 5533 5522", 3), "then the last active first");
    assert_eq!(list("order=waitingSince&limit=1&offset=1").await, some("5533", 3));
    assert_eq!(list("order=-openedAt").await, some("5533 5522 5511", 3));
    assert_eq!(list("order=-openedAt&limit=1&offset=2").await, some("5511", 3));

    assert_eq!(list("automated=true").await, some("5533", 1));
    assert_eq!(list("automated=false").await.1, 2);
    let row = engine.get(&engine.a, "/v1/conversations?automated=true").await.expect(200)["data"][0].clone();
    assert_eq!(row["automation"], json!({"id": bot, "name": "Bot"}));
    let path = |chat: &str| format!("/v1/conversations/{}", known(&engine, connector, chat));
    engine.post_owned(format!("{}/pause", path("5533")), json!({})).await.expect(200);
    assert_eq!(list("automated=true").await.1, 0);

    engine.post_owned(format!("{}/archive", path("5511")), json!({})).await.expect(200);
    assert_eq!(list("status=archived").await, some("5511", 1));
    assert_eq!(list("status=open").await.1, 2);
    let rui = user(&engine, "rui").await;
    changed(&engine, &path("5522"), json!({"tags": ["vip"], "assigneeId": rui})).await;
    changed(&engine, &path("5533"), json!({"assignee": "ana"})).await;
    assert_eq!(list("untagged=true").await.1, 2);
    assert_eq!(list("untagged=false").await, some("5522", 1));
    assert_eq!(list(&format!("assignee={rui}")).await, some("5522", 1));
    assert_eq!(list("assignee=ana").await, some("5533", 1));
    assert_eq!(list("assignee=none").await, some("5511", 1));
    for (query, field) in [
        ("assignee=me", "assignee"),
        ("assignee=none&assigned=true", "assigned"),
        ("status=open&archived=true", "archived"),
        ("tagged=true&untagged=true", "tagged"),
        ("order=waitingSince&after=00000000-0000-0000-0000-000000000000", "after"),
        ("order=id&offset=1", "offset"),
        ("status=new", "status"),
    ] {
        let refused = engine.get(&engine.a, &format!("/v1/conversations?{query}")).await;
        assert_eq!(refused.error(400).1, [field], "{query}");
    }
    assert_eq!(list("assignee=none&assigned=false&status=archived&archived=true").await.1, 1, "they agree");
}

#[tokio::test]
async fn a_list_names_the_event_behind_which_the_log_goes_on() {
    let engine = Engine::new().await;
    let (_, connector) = engine.chat(&engine.a).await;
    receive(&engine, &engine.a, connector, says("5511", "R1", "oi")).await;
    let before = engine.get(&engine.a, "/v1/conversations").await.expect(200)["cursor"].clone();
    let path = format!("/v1/conversations/{}/archive", known(&engine, connector, "5511"));
    engine.post_owned(path, json!({})).await.expect(200);
    let events = engine.get(&engine.a, &format!("/v1/events?after={before}")).await.expect(200);
    let steps: Vec<&Value> =
        events["data"].as_array().expect("a list").iter().map(|event| &event["data"]["step"]).collect();
    assert_eq!(steps, ["archived"]);
    let after = engine.get(&engine.a, "/v1/conversations").await.expect(200)["cursor"].clone();
    assert_eq!(after, events["data"][0]["cursor"]);
}

#[tokio::test]
async fn a_conversation_that_is_there_is_answered_as_known() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let open = |body: Value| engine.post(&engine.a, "/v1/conversations", body);
    let group = json!({"connectorId": id, "to": "120363000000000000@g.us", "group": true});
    let made = open(group.clone()).await.expect(201);
    assert_eq!(made["isGroup"], true);
    assert_eq!(open(group).await.expect(200)["id"], made["id"]);
    let both = json!({"connectorId": id, "to": "5511", "isGroup": true, "group": false});
    assert_eq!(open(both).await.error(400).1, ["group"]);
    assert_eq!(open(json!({"connectorId": id, "to": "5511"})).await.expect(201)["isGroup"], false);
}

/// A group in which Bia answers Ana, mentions her and a stranger, and both react.
async fn group(engine: &Engine, connector: ConnectorIndex) -> String {
    let chat = "120363000000000000@g.us";
    let says = |sender: &str, name: &str, id: &str, text: &str| Inbound {
        sender: sender.to_owned(),
        sender_name: Some(name.to_owned()),
        is_group: true,
        ..says(chat, id, text)
    };
    receive(engine, &engine.a, connector, says("5511911111111", "aninha", "R1", "Quem vem?")).await;
    let answer = Inbound {
        reply_to: Some("R1".to_owned()),
        mentions: vec!["5511911111111".to_owned(), "5511933333333".to_owned()],
        ..says("5511922222222", "Bia", "R2", "Eu, @5511911111111")
    };
    receive(engine, &engine.a, connector, answer).await;
    let lost = Inbound { reply_to: Some("R0".to_owned()), ..says("5511922222222", "Bia", "R3", "e isto?") };
    receive(engine, &engine.a, connector, lost).await;
    for (sender, id) in [("5511911111111", "R4"), ("5511922222222", "R5")] {
        let content = InboundContent::Reaction { to: "R2".to_owned(), emoji: "👍".to_owned() };
        receive(engine, &engine.a, connector, Inbound { content, ..says(sender, "x", id, "") }).await;
    }
    known(engine, connector, chat)
}

#[tokio::test]
async fn messages_name_their_authors_what_they_answer_and_whom_they_mention() {
    let engine = Engine::new().await;
    let (_, connector) = engine.chat(&engine.a).await;
    let ana = contact(&engine, "5511911111111", "Ana Lima").await;
    let path = format!("/v1/conversations/{}/messages", group(&engine, connector).await);
    let sent = engine.post(&engine.a, &path, json!({"text": "combinado"})).await.expect(201)["id"].clone();
    attempt(&engine, &engine.a, connector, sent.as_str().expect("an id"), Some("combinado")).await;
    let phone = Inbound { from_me: true, is_group: true, ..says("120363000000000000@g.us", "R6", "do celular") };
    receive(&engine, &engine.a, connector, phone).await;
    let page = engine.get(&engine.a, &path).await.expect(200);
    let messages = page["data"].as_array().expect("a list");
    let authors: Vec<&Value> = messages.iter().map(|message| &message["author"]).collect();
    assert_eq!(*authors[0], json!({"kind": "contact", "id": ana, "name": "Ana Lima"}), "not what she calls herself");
    assert_eq!(*authors[1], json!({"kind": "contact", "name": "Bia"}), "there is no contact");
    assert_eq!((&authors[3]["kind"], &authors[4]["kind"]), (&json!("key"), &json!("account")));
    assert!(authors[3]["id"].is_string() && authors[3]["name"].is_string(), "{}", authors[3]);
    assert_eq!((&messages[3]["messageId"], messages[0].get("messageId")), (&sent, None));

    let answer = &messages[1];
    let quoted = json!({
        "providerId": "R1", "id": messages[0]["id"], "number": messages[0]["number"], "kind": "text",
        "excerpt": "Quem vem?"
    });
    assert_eq!(answer["replyTo"], quoted);
    assert_eq!(messages[2]["replyTo"], json!({"providerId": "R0"}), "it is not known here");
    let mentions = json!([{"address": "5511911111111", "name": "Ana Lima"}, {"address": "5511933333333"}]);
    assert_eq!(answer["mentions"], mentions);
    let reactions = json!([{
        "emoji": "👍", "count": 2, "byMe": false, "by": ["5511911111111", "5511922222222"],
        "names": ["Ana Lima", "5511922222222"]
    }]);
    assert_eq!(answer["reactions"], reactions);
}

#[tokio::test]
async fn a_page_around_a_message_has_what_was_said_before_and_after() {
    let engine = Engine::new().await;
    let (_, connector) = engine.chat(&engine.a).await;
    for n in 1..=9 {
        receive(&engine, &engine.a, connector, says("5511", &format!("R{n}"), "oi")).await;
    }
    let path = format!("/v1/conversations/{}/messages", known(&engine, connector, "5511"));
    let page = async |query: &str| {
        let page = engine.get(&engine.a, &format!("{path}?{query}")).await.expect(200);
        let numbers =
            page["data"].as_array().expect("a list").iter().map(|row| row["number"].as_u64().expect("a number"));
        (numbers.collect::<Vec<_>>(), page["hasOlder"] == true, page["hasNewer"] == true)
    };
    assert_eq!(page("around=5&limit=4").await, (vec![3, 4, 5, 6], true, true));
    assert_eq!(page("around=5&limit=5").await, (vec![3, 4, 5, 6, 7], true, true));
    assert_eq!(page("around=5&limit=1").await, (vec![5], true, true));
    assert_eq!(page("around=1&limit=4").await, (vec![1, 2, 3, 4], false, true), "one side has no more");
    assert_eq!(page("around=9&limit=4").await, (vec![6, 7, 8, 9], true, false), "nor the other");
    assert_eq!(page("around=99&limit=2").await, (vec![8, 9], true, false));
    assert_eq!(page("around=0&limit=2").await, (vec![1, 2], false, true));
    assert_eq!(page("around=5").await, ((1..=9).collect(), false, false));
    for query in ["around=5&before=7", "around=5&after=1", "around=x"] {
        assert_eq!(engine.get(&engine.a, &format!("{path}?{query}")).await.error(400).1, ["around"], "{query}");
    }
}

#[tokio::test]
async fn a_contacts_conversations_are_found_under_all_its_addresses() {
    let engine = Engine::new().await;
    let (_, first) = engine.chat(&engine.a).await;
    let (_, second) = engine.chat(&engine.a).await;
    let ana = contact(&engine, "5511988887777", "Ana").await;
    for (connector, chat) in [(first, "551188887777"), (second, "5511988887777"), (first, "5511900000000")] {
        engine.world.clock.jump(1_000);
        receive(&engine, &engine.a, connector, says(chat, "R1", "oi")).await;
    }
    // The same person without the ninth digit.
    let alias = Change::ContactAlias {
        tenant: engine.a.tenant.index,
        kind: ContactType::WhatsApp,
        alias: "551188887777".to_owned(),
        identifier: "5511988887777".to_owned(),
    };
    engine.world.store.commit(Batch::of(vec![alias])).await.expect("commits");
    let id = ana.as_str().expect("an id");
    assert_eq!(
        engine.get(&engine.a, &format!("/v1/contacts/{id}")).await.expect(200)["aliases"],
        json!(["551188887777"])
    );
    let found = engine.get(&engine.a, &format!("/v1/contacts/{id}/conversations")).await.expect(200);
    let rows = found["data"].as_array().expect("a list");
    let chats: Vec<&Value> = rows.iter().map(|row| &row["chat"]).collect();
    assert_eq!(chats, ["5511988887777", "551188887777"], "the last active first");
    assert!(rows.iter().all(|row| row["contactId"] == ana && row["displayName"] == "Ana"), "{found}");
    let path = format!("/v1/contacts/{id}/conversations");
    assert_eq!(engine.get(&engine.b, &path).await.error(404).0, "not_found");

    // By the tag of a conversation, under whichever address it goes on.
    contact(&engine, "5511900000000", "Bia").await;
    let tagged = async |tag: &str| {
        let page = engine.get(&engine.a, &format!("/v1/contacts?tag={tag}")).await.expect(200);
        let names = page["data"].as_array().expect("a list").iter().map(|row| row["name"].as_str().expect("a name"));
        (names.collect::<Vec<_>>().join(" "), page["total"].as_u64().expect("a number"))
    };
    let tag = |connector, chat: &str, tag: &str| {
        let path = format!("/v1/conversations/{}", known(&engine, connector, chat));
        let (engine, body) = (&engine, json!({"tags": [tag]}));
        async move { changed(engine, &path, body).await }
    };
    tag(first, "551188887777", "vip").await;
    tag(first, "5511900000000", "vip").await;
    tag(second, "5511988887777", "novo").await;
    assert_eq!(tagged("VIP").await, ("Ana Bia".to_owned(), 2), "case does not count");
    assert_eq!(tagged("novo").await, ("Ana".to_owned(), 1));
    assert_eq!(tagged("nada").await, (String::new(), 0));
    let page = engine.get(&engine.a, "/v1/contacts?tag=vip&limit=1").await.expect(200);
    assert_eq!((&page["total"], &page["next"]), (&json!(2), &json!(1)));
    let csv = engine.get(&engine.a, "/v1/contacts/export?tag=novo&format=csv").await.text();
    assert_eq!(csv.lines().count(), 2, "{csv}");
}
