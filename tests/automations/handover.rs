//! A person takes over a conversation and gives it back.

use anyhow::{Result, ensure};
use pombo_tests::automation::{automate, conversation};
use pombo_tests::server::Server;
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::Events;
use serde_json::json;

use crate::shared::{Chat, options};

#[test]
fn a_person_takes_over_and_gives_back() -> Result<()> {
    let server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    chat.automated("echo", &json!({}))?;
    let mut events = Events::from_now(&chat.tenant)?;
    chat.pipe.write("ana", "oi");
    chat.pipe.answers("ana", 1)?;
    let id = text_of(&conversation(&chat.tenant, "ana")?, "id")?;

    // While the automation answers, nobody else does by mistake.
    let path = format!("/v1/conversations/{id}/messages");
    let refused = chat.tenant.client.post(&path, &json!({"text": "sou eu"}))?.expect_json(409)?;
    ensure!(refused.to_string().contains("AUTOMATION_ACTIVE") && refused.to_string().contains(&id), "{refused}");
    let direct = format!("/v1/connectors/{}/messages", chat.connector);
    let refused = chat.tenant.client.post(&direct, &json!({"to": "ana", "text": "sou eu"}))?.expect_json(409)?;
    ensure!(refused.to_string().contains("AUTOMATION_ACTIVE"), "{refused}");

    let pause = format!("/v1/conversations/{id}/pause");
    let paused = chat.tenant.client.post(&pause, &json!({"reason": "ligou para nós"}))?.expect_json(200)?;
    ensure!(paused.to_string().contains("ligou para nós"), "{paused}");
    events.expect("the pause", |e| e["type"] == "conversation.changed" && e["data"]["step"] == "paused")?;
    chat.pipe.write("ana", "alguém?");
    chat.tenant.client.post(&path, &json!({"text": "sou eu"}))?.expect(201)?;
    assert_eq!(chat.pipe.answers("ana", 2)?[1], "sou eu");

    chat.tenant.client.post(&format!("/v1/conversations/{id}/resume"), &json!({}))?.expect(200)?;
    chat.pipe.write("ana", "voltei");
    let answers = chat.pipe.answers("ana", 3)?;
    ensure!(answers[2].contains("voltei") && !answers.iter().any(|a| a.contains("alguém")), "{answers:?}");
    Ok(())
}

#[test]
fn many_are_paused_at_once_and_an_automation_hands_over_by_itself() -> Result<()> {
    let server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let flow = json!({"flow": {"start": "a", "personWords": ["atendente"], "steps": {
        "a": {"type": "question", "text": "Como posso ajudar?", "variable": "x", "next": "t"},
        "t": {"type": "tag", "add": ["falou"], "next": "e"}, "e": {"type": "end", "text": "ok"}}}});
    automate(&chat.tenant, &chat.connector, "flow", &flow)?;
    let people: Vec<String> = (0..30).map(|n| format!("p{n}")).collect();
    chat.pipe.write_all(people.iter().map(|p| (p.clone(), "oi".to_owned())));
    for person in &people {
        chat.pipe.answers(person, 1)?;
    }
    chat.pipe.write("p0", "quero um atendente");
    until("the hand-over", PATIENCE, || {
        let page = chat.tenant.client.get("/v1/conversations?paused=true")?.expect_json(200)?;
        Ok((page["data"].as_array().is_some_and(|all| all.len() == 1)).then_some(()))
    })?;
    let all = json!({"connectorId": chat.connector, "reason": "feriado"});
    let answer = chat.tenant.client.post("/v1/conversations/pause", &all)?.expect_json(200)?;
    ensure!(answer.to_string().contains("29"), "those that were not paused yet: {answer}");
    chat.tenant.client.post("/v1/conversations/resume", &json!({"connectorId": chat.connector}))?.expect(200)?;
    chat.pipe.write("p1", "quero pão");
    assert_eq!(chat.pipe.answers("p1", 2)?[1], "ok");
    until("the tag", PATIENCE, || {
        let page = chat.tenant.client.get("/v1/conversations?tag=falou")?.expect_json(200)?;
        Ok((page["data"].as_array().is_some_and(|all| all.len() == 1)).then_some(()))
    })?;
    Ok(())
}
