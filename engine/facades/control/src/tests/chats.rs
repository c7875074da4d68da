//! What is asked of a channel at once: look-ups, read marks, typing, groups.

use pombo_domain::Timestamp;
use pombo_domain::model::message::Target;
use pombo_domain::model::{EventBody, Inbound, InboundContent};
use pombo_domain::ports::{
    Answer, GroupInfo, GroupMember, LookupResult, MemberChange, MemberResult, Operation, OperationError, Typing,
};
use pombo_testkit::samples;
use serde_json::{Value, json};

use super::support::{Engine, Refused};

const GROUP: &str = "120363000000000000@g.us";

fn received(chat: &str, provider_id: &str) -> EventBody {
    let (chat, content) = (chat.to_owned(), InboundContent::Text("oi".to_owned()));
    EventBody::Message(Inbound { chat, content, ..samples::inbound("5511988887777", provider_id) })
}

#[tokio::test]
async fn addresses_are_looked_up_in_order() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let path = format!("/v1/connectors/{id}/lookup");
    let found = |asked: &str, address: Option<&str>| LookupResult {
        asked: asked.to_owned(),
        address: address.map(str::to_owned),
        aliases: Vec::new(),
    };
    engine.world.connectors.answer(Ok(Answer::Lookup(vec![found("55", Some("551")), found("56", None)])));
    let answer = engine.post(&engine.a, &path, json!({"addresses": ["+55", "56"]})).await.expect(200);
    let expected = json!([
        {"asked": "+55", "exists": true, "address": "551", "aliases": []},
        {"asked": "56", "exists": false, "aliases": []}
    ]);
    assert_eq!(answer["data"], expected);
    assert_eq!(engine.world.connectors.asked(), [Operation::Lookup(vec!["55".to_owned(), "56".to_owned()])]);
    for (body, field) in [
        (json!({"addresses": []}), "addresses"),
        (json!({"addresses": vec!["1"; 51]}), "addresses"),
        (json!({"addresses": ["1", "ana"]}), "addresses[1]"),
        (json!({"addresses": ["1", ""]}), "addresses[1]"),
        (json!({}), "addresses"),
    ] {
        let answer = engine.post(&engine.a, &path, body).await.error(400);
        assert!(answer.1 == [field] || answer.1 == ["body"], "{answer:?}");
    }
    engine.world.connectors.answer(Ok(Answer::Done));
    let broken = engine.post(&engine.a, &path, json!({"addresses": ["1"]})).await;
    assert_eq!(broken.error(502).0, "channel_failed");
}

#[tokio::test]
async fn look_ups_have_a_pace_of_their_own() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let path = format!("/v1/connectors/{id}/lookup");
    let ask = async |numbers: usize| {
        let addresses: Vec<String> = (0..numbers).map(|n| format!("55{n}")).collect();
        let found =
            addresses.iter().map(|asked| LookupResult { asked: asked.clone(), address: None, aliases: Vec::new() });
        engine.world.connectors.answer(Ok(Answer::Lookup(found.collect())));
        engine.post(&engine.a, &path, json!({"addresses": addresses})).await
    };
    ask(29).await.expect(200);
    ask(1).await.expect(200);
    let refused = ask(1).await;
    assert!(
        (55..=60)
            .contains(&refused.headers["retry-after"].to_str().expect("a number").parse::<u64>().expect("a number"))
    );
    let (code, _) = refused.error(429);
    assert_eq!(code, "rate_limited");
    assert_eq!(engine.world.connectors.asked().len(), 2, "the channel was not asked");
}

#[tokio::test]
async fn read_marks_are_of_one_conversation() {
    let engine = Engine::new().await;
    let (id, index) = engine.chat(&engine.a).await;
    for (chat, provider_id) in [("55", "R1"), ("55", "R2"), ("56", "R3")] {
        engine.append(&engine.a, index, received(chat, provider_id)).await;
    }
    let path = format!("/v1/connectors/{id}/read");
    let read = |body: Value| engine.post(&engine.a, &path, body);
    read(json!({"messages": [{"event": 1}, {"event": 2}]})).await.expect(204);
    let of = |provider_id: &str| Target {
        provider_id: provider_id.to_owned(),
        sender: Some("5511988887777".to_owned()),
        text: Some("oi".to_owned()),
    };
    let expected = Operation::Read { chat: "55".to_owned(), messages: vec![of("R1"), of("R2")] };
    assert_eq!(engine.world.connectors.asked(), [expected]);
    read(json!({"chat": "55", "messages": [{"providerId": "R7", "sender": "5511988887777"}]})).await.expect(204);
    assert_eq!(read(json!({"messages": [{"event": 1}, {"event": 3}]})).await.error(400).1, ["messages[1]"]);
    assert_eq!(read(json!({"messages": [{"providerId": "R7"}]})).await.error(400).1, ["chat"]);
    assert_eq!(read(json!({"messages": []})).await.error(400).1, ["messages"]);
    assert_eq!(read(json!({"chat": "55", "messages": [{}]})).await.error(400).1, ["messages[0]"]);
}

#[tokio::test]
async fn typing_is_shown() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let path = format!("/v1/connectors/{id}/typing");
    for (word, typing) in
        [("composing", Typing::Composing), ("recording", Typing::Recording), ("paused", Typing::Paused)]
    {
        engine.post(&engine.a, &path, json!({"chat": "+5511", "state": word})).await.expect(204);
        let expected = Operation::Typing { chat: "5511".to_owned(), typing };
        assert_eq!(engine.world.connectors.asked(), [expected]);
    }
    assert_eq!(engine.post(&engine.a, &path, json!({"chat": "1", "state": "x"})).await.error(400).1, ["state"]);
    assert_eq!(engine.post(&engine.a, &path, json!({"chat": "ana", "state": "paused"})).await.error(400).1, ["chat"]);
}

fn group() -> GroupInfo {
    let member = |address: &str, admin: bool| GroupMember {
        address: address.to_owned(),
        aliases: vec!["7@lid".to_owned()],
        admin,
        owner: admin,
    };
    GroupInfo {
        id: GROUP.to_owned(),
        subject: "Equipe".to_owned(),
        description: None,
        owner: Some("551".to_owned()),
        created_at: Some(Timestamp(0)),
        members: vec![member("551", true), member("552", false)],
        announcement: false,
        locked: true,
    }
}

#[tokio::test]
async fn groups_are_listed_shown_made_changed_and_left() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let groups = format!("/v1/connectors/{id}/groups");
    let one = format!("{groups}/120363000000000000%40g.us");
    let connectors = &engine.world.connectors;
    let key = [("x-api-key", engine.a.key.as_str())];
    let owned = str::to_owned;

    connectors.answer(Ok(Answer::Groups(vec![group()])));
    let listed = engine.get(&engine.a, &groups).await.expect(200);
    connectors.answer(Ok(Answer::Group(group())));
    let shown = engine.get(&engine.a, &one).await.expect(200);
    assert_eq!(listed["data"], json!([shown]));
    assert_eq!((&shown["id"], &shown["createdAt"]), (&json!(GROUP), &json!("1970-01-01T00:00:00.000Z")));
    assert_eq!(shown["members"][0], json!({"address": "551", "aliases": ["7@lid"], "admin": true, "owner": true}));
    assert_eq!(connectors.asked(), [Operation::Groups, Operation::Group(owned(GROUP))]);

    connectors.answer(Ok(Answer::Group(group())));
    let body = json!({"subject": " Equipe ", "description": "", "members": ["+552"]});
    engine.post(&engine.a, &groups, body).await.expect(201);
    let made = Operation::CreateGroup { subject: owned("Equipe"), description: None, members: vec![owned("552")] };
    assert_eq!(connectors.asked(), [made]);

    let patch = |body: Value| engine.ask("PATCH", &one, &key, Some(body));
    patch(json!({"subject": "Novo", "description": "Linha\noutra"})).await.expect(204);
    let (subject, text) = (Operation::SetGroupSubject(owned(GROUP), owned("Novo")), owned("Linha\noutra"));
    assert_eq!(connectors.asked(), [subject, Operation::SetGroupDescription(owned(GROUP), text)]);
    connectors.answer(Ok(Answer::Done));
    connectors.answer(Err(OperationError::Refused(owned("locked"))));
    let half = patch(json!({"subject": "Novo", "description": "d"})).await;
    assert!(half.json()["error"]["message"].as_str().is_some_and(|m| m.contains("the subject was changed")));
    assert_eq!(half.error(409).0, "refused");
    connectors.asked();

    engine.ask("DELETE", &one, &key, None).await.expect(204);
    connectors.answer(Ok(Answer::Invite(owned("https://chat.example/abc"))));
    let invite = engine.get(&engine.a, &format!("{one}/invite")).await.expect(200);
    assert_eq!(invite, json!({"link": "https://chat.example/abc"}));
    connectors.answer(Ok(Answer::Invite(owned("https://chat.example/new"))));
    let replaced = engine.ask("POST", &format!("{one}/invite/revoke"), &key, None).await.expect(200);
    assert_eq!(replaced["link"], "https://chat.example/new");
    let group = || owned(GROUP);
    let expected =
        [Operation::LeaveGroup(group()), Operation::GroupInvite(group()), Operation::RevokeGroupInvite(group())];
    assert_eq!(connectors.asked(), expected);

    for (body, field) in [
        (json!({}), "body"),
        (json!({"subject": ""}), "subject"),
        (json!({"subject": "x".repeat(101)}), "subject"),
        (json!({"subject": "a\nb"}), "subject"),
        (json!({"description": "x".repeat(2049)}), "description"),
    ] {
        assert_eq!(patch(body).await.error(400).1, [field]);
    }
    let many = json!({"subject": "x", "members": vec!["1"; 257]});
    assert_eq!(engine.post(&engine.a, &groups, many).await.error(400).1, ["members"]);
    assert_eq!(connectors.asked(), []);
}

#[tokio::test]
async fn each_member_of_a_change_has_its_own_outcome() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let path = format!("/v1/connectors/{id}/groups/{GROUP}/members");
    for (word, change) in [
        ("add", MemberChange::Add),
        ("remove", MemberChange::Remove),
        ("promote", MemberChange::Promote),
        ("demote", MemberChange::Demote),
    ] {
        let outcome = |address: &str, problem: Option<&str>| MemberResult {
            address: address.to_owned(),
            problem: problem.map(str::to_owned),
        };
        engine.world.connectors.answer(Ok(Answer::Members(vec![outcome("551", None), outcome("552", Some("403"))])));
        let answer = engine.post(&engine.a, &path, json!({word: ["+551", "552"]})).await.expect(200);
        let expected = json!([{"address": "551", "done": true}, {"address": "552", "done": false, "problem": "403"}]);
        assert_eq!(answer["data"], expected, "{word}");
        let members = vec!["551".to_owned(), "552".to_owned()];
        let expected = Operation::ChangeMembers { group: GROUP.to_owned(), change, members };
        assert_eq!(engine.world.connectors.asked(), [expected]);
    }
    let post = |body: Value| engine.post(&engine.a, &path, body);
    assert_eq!(post(json!({})).await.error(400).1, ["body"]);
    assert_eq!(post(json!({"add": ["1"], "remove": ["2"]})).await.error(400).1, ["body"]);
    assert_eq!(post(json!({"add": []})).await.error(400).1, ["add"]);
    assert_eq!(post(json!({"promote": ["ana"]})).await.error(400).1, ["promote[0]"]);
}
