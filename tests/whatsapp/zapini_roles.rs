//! What each role may do with Zapini's operations, over HTTP with the tokens of real logins.

use anyhow::{Context, Result, ensure};
use pombo_tests::http::Client;
use pombo_tests::tenant::{text_of, unique};
use pombo_whatsapp_sim::peer::Kind;
use serde_json::{Value, json};

use crate::shared::{Pair, Stage, number, pair};

/// Somebody with a role.
struct Person {
    role: &'static str,
    client: Client,
}

impl Person {
    fn new(stage: &Stage, pair: &Pair, role: &'static str) -> Result<Self> {
        let (email, password) = (format!("{role}{}@{}.test", unique(), std::process::id()), "a long enough password");
        let user = json!({"email": email, "name": role, "password": password, "role": role});
        pair.tenant.client.post("/v1/users", &user)?.expect(201)?;
        let login = json!({"email": email, "password": password, "device_name": role});
        let told = stage.server.client().post("/zapini/auth/login", &login)?.expect_json(200)?;
        assert_eq!(told["data"]["user"]["role"], role, "{told}");
        Ok(Self { role, client: stage.server.client().bearer(&text_of(&told["data"], "token")?) })
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
        let request = self.client.request(method, &format!("/zapini{path}"));
        let reply = if body.is_null() { request.send()? } else { request.json(body).send()? };
        Ok((reply.status, reply.json()?))
    }

    /// Must be refused because of the role.
    fn may_not(&self, method: &str, path: &str, body: &Value) -> Result<()> {
        let (status, told) = self.ask(method, path, body)?;
        ensure!(
            status == 403 && told["error"]["code"] == "FORBIDDEN",
            "{} {method} {path}: {status} {told}",
            self.role
        );
        Ok(())
    }

    /// Must be allowed; the answer.
    fn may(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let (status, told) = self.ask(method, path, body)?;
        ensure!((200..300).contains(&status), "{} {method} {path}: {status} {told}", self.role);
        Ok(told)
    }
}

#[test]
fn a_viewer_looks_an_agent_talks_and_a_manager_keeps_order() -> Result<()> {
    let (stage, pair) = pair()?;
    let person = |role| Person::new(stage, &pair, role);
    let (viewer, agent, manager) = (person("viewer")?, person("agent")?, person("manager")?);
    let instance = format!("/instances/{}", pair.connector);
    let none = &Value::Null;
    let text = json!({"recipient": pair.theirs, "message": "bom dia"});

    // The agent sends, changes and deletes its own messages, and reacts.
    let sent = agent.may("POST", "/send-message", &text)?;
    let arrived = stage.whatsapp.wait(pair.peer.message(&text_of(&sent, "message_id")?))?;
    assert_eq!(arrived.text.as_deref(), Some("bom dia"));
    let message = format!("/chat/messages/{}", text_of(&sent, "message_uuid")?);
    let by_whatsapp = format!("/chat/messages/{}", text_of(&sent, "message_id")?);
    viewer.may_not("POST", "/send-message", &text)?;
    viewer.may_not("POST", "/chat/send", &text)?;
    viewer.may_not("PATCH", &message, &json!({"message": "x"}))?;
    viewer.may_not("DELETE", &message, none)?;
    viewer.may_not("POST", &format!("{message}/reaction"), &json!({"emoji": "👍"}))?;
    agent.may("PATCH", &message, &json!({"message": "boa tarde"}))?;
    agent.may("POST", &format!("{by_whatsapp}/reaction"), &json!({"emoji": "👍"}))?;
    agent.may("DELETE", &format!("{message}/reaction"), none)?;
    agent.may("DELETE", &by_whatsapp, none)?;
    let kinds = [Kind::Text, Kind::Edit, Kind::Reaction, Kind::Reaction, Kind::Revoke];
    for kind in kinds {
        assert_eq!(stage.whatsapp.wait(pair.peer.next_message())?.kind, kind);
    }

    // All three look; the viewer changes nothing.
    let listed = viewer.may("GET", "/conversations", none)?;
    let conversation = text_of(&listed["data"][0], "id")?;
    let at = format!("/conversations/{conversation}");
    for person in [&viewer, &agent, &manager] {
        for path in ["/instances", "/contacts", "/tags", "/chat/conversations", "/auth/me"] {
            person.may("GET", path, none)?;
        }
        let page = person.may("GET", &format!("{at}/messages"), none)?;
        ensure!(page["data"]["messages"].as_array().is_some_and(|all| all.len() == 1), "{page}");
    }
    for (method, path, body) in [
        ("POST", format!("{at}/mark-read"), Value::Null),
        ("POST", format!("{at}/archive"), Value::Null),
        ("POST", format!("{at}/automation/pause"), Value::Null),
        ("PUT", format!("{at}/tags"), json!({"tag_ids": []})),
        ("POST", "/tags".to_owned(), json!({"name": "x", "color": "#ef4444"})),
        ("POST", "/contacts".to_owned(), json!({"instance_id": pair.connector, "phone_number": number()})),
    ] {
        viewer.may_not(method, &path, &body)?;
        agent.may(method, &path, &body)?;
    }

    // Only the manager deletes what is everybody's, imports, and sees to instances and groups.
    let tag = agent.may("POST", "/tags", &json!({"name": "VIP", "color": "#f59e0b"}))?;
    let tag = format!("/tags/{}", text_of(&tag["data"]["tag"], "id")?);
    let contact = json!({"instance_id": pair.connector, "phone_number": number(), "name": "Zé"});
    let contact = agent.may("POST", "/contacts", &contact)?["data"]["contact"]["id"].as_u64().context("a number")?;
    let rows = json!({"instance_id": pair.connector, "contacts": [{"phone_number": number(), "name": "Ana"}]});
    let third = number();
    stage.whatsapp.register(&third)?;
    let group = json!({"subject": "Obra", "participants": [third]});
    for (method, path, body) in [
        ("DELETE", tag, Value::Null),
        ("DELETE", format!("/contacts/{contact}"), Value::Null),
        ("POST", "/contacts/import".to_owned(), rows),
        ("POST", format!("{instance}/groups"), group),
        ("POST", format!("{instance}/reconnect"), Value::Null),
        ("DELETE", at, Value::Null),
    ] {
        for person in [&viewer, &agent] {
            person.may_not(method, &path, &body)?;
        }
        manager.may(method, &path, &body)?;
    }
    Ok(())
}
