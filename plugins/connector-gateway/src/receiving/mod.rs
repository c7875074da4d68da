//! The gateway's webhooks: one module for each path. The engine has checked who calls.
//!
//! What a webhook tells is committed before it is answered with 200, so a gateway that repeats what was not answered loses nothing. A
//! message that comes twice is stored once: the engine knows it by its chat, sender and id.

mod attachment;
mod body;
mod connection;
mod content;
mod echo;
mod incoming;
mod qr;
mod reaction;
mod status;

use pombo_plugin::connector::{ReceivedRequest, ReceivedResponse};
use pombo_plugin::log;
use serde_json::{Value, json};

use crate::config::INSTANCE;
use crate::gateway::Gateway;
use crate::outside::{Outside, Trouble};
use body::{Object, Problem};

/// Why a webhook is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refusal {
    /// The body is not JSON.
    NotJson,
    /// A field is not what it must be.
    Field(Problem),
    NoSuchPath,
    NotPosted,
    /// It is another instance's.
    OtherInstance,
    /// It may be posted again, soon.
    Later(String),
    /// The engine does not take it, however often it comes.
    Never(String),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Field(problem)
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Temporary(why) => Self::Later(why),
            Trouble::Final(why) => Self::Never(why),
        }
    }
}

/// Takes a webhook and answers it.
pub(crate) async fn receive(gateway: &Gateway<impl Outside>, request: ReceivedRequest) -> ReceivedResponse {
    match take(gateway, request).await {
        Ok(()) => answer(200, &json!({"success": true})),
        Err(refusal) => {
            if let Refusal::Never(why) = &refusal {
                log::warn("webhooks", &format!("the engine does not take a webhook of the gateway: {why}"));
            }
            refused(&refusal)
        }
    }
}

async fn take(gateway: &Gateway<impl Outside>, request: ReceivedRequest) -> Result<(), Refusal> {
    let ReceivedRequest { method, path, headers, body, .. } = request;
    let path = path.trim_matches('/');
    if !["incoming", "status", "qr", "connection", "reaction"].contains(&path) {
        return Err(Refusal::NoSuchPath);
    }
    match method.as_str() {
        "POST" => {}
        // Whoever sets the address up may try whether it is right.
        "GET" => return Ok(()),
        _ => return Err(Refusal::NotPosted),
    }
    let named = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(INSTANCE));
    if let (Some(own), Some((_, named))) = (&gateway.config.instance, named)
        && !own.eq_ignore_ascii_case(named.trim())
    {
        return Err(Refusal::OtherInstance);
    }
    let too_much = || Refusal::Later("too many large webhooks are being worked on; post it again".to_owned());
    let _room = gateway.room.take(body.len()).ok_or_else(too_much)?;
    let value: Value = serde_json::from_slice(&body).map_err(|_| Refusal::NotJson)?;
    drop(body);
    if path == "incoming" {
        return incoming::take(gateway, value).await;
    }
    let body = Object::root(&value)?;
    match path {
        "status" => status::take(gateway, &body).await,
        "qr" => qr::take(gateway, &body).await,
        "connection" => connection::take(gateway, &body).await,
        _ => reaction::take(gateway, &body).await,
    }
}

fn refused(refusal: &Refusal) -> ReceivedResponse {
    let (status, code, message) = match refusal {
        Refusal::NotJson => (400, "BAD_REQUEST", "the body is not JSON".to_owned()),
        Refusal::Field(problem) if problem.field.is_empty() => {
            (400, "BAD_REQUEST", format!("the body {}", problem.what))
        }
        Refusal::Field(problem) => (400, "VALIDATION_ERROR", format!("{} {}", problem.field, problem.what)),
        Refusal::NoSuchPath => {
            (404, "NOT_FOUND", "there are incoming, status, qr, connection and reaction here".to_owned())
        }
        Refusal::NotPosted => (405, "METHOD_NOT_ALLOWED", "webhooks are posted".to_owned()),
        Refusal::OtherInstance => (422, "CONFLICT", "X-Instance-UUID names another instance".to_owned()),
        Refusal::Later(why) => (503, "UNAVAILABLE", why.clone()),
        Refusal::Never(why) => (422, "REFUSED", why.clone()),
    };
    let details = match refusal {
        Refusal::Field(problem) if !problem.field.is_empty() => json!({problem.field.as_str(): [problem.what]}),
        _ => json!({}),
    };
    answer(status, &json!({"success": false, "error": {"code": code, "message": message, "details": details}}))
}

fn answer(status: u16, body: &Value) -> ReceivedResponse {
    ReceivedResponse::json(status, body.to_string())
}

/// What the tests of the paths share.
#[cfg(test)]
mod bench {
    use super::*;
    use crate::config::Config;
    use crate::outside::world::{World, ready};
    use crate::session::{Session, account};

    /// The client-id of a message that was sent.
    pub(super) const CLIENT: &str = "018f0000-0000-7000-8000-000000000001";

    pub(super) fn gateway() -> (World, Gateway<World>) {
        let world = World::new();
        let config = Config::read(r#"{"baseUrl":"https://g.example","instanceId":"7"}"#).expect("valid");
        (world.clone(), Gateway::new(world, config))
    }

    /// The account becomes known.
    pub(super) fn connected(world: &World, gateway: &Gateway<World>) {
        let shop = account("5511900000000", None);
        ready(gateway.states.set(world, Session::Connected, shop)).expect("kept");
    }

    /// A message that somebody wrote.
    pub(super) fn webhook(message: Value) -> Value {
        json!({
            "remoteJid": "5511999999999@s.whatsapp.net", "message": message, "messageTimestamp": 1705312200,
            "pushName": "John Doe", "participant": null, "isGroup": false,
            "key": {"remoteJid": "5511999999999@s.whatsapp.net", "fromMe": false, "id": "3EB0ABC123456789"},
        })
    }

    /// A text that the account wrote.
    pub(super) fn own(id: &str) -> Value {
        let mut body = webhook(json!({"conversation": "oi"}));
        body["key"]["fromMe"] = json!(true);
        body["key"]["id"] = json!(id);
        body
    }

    pub(super) fn request(path: &str, body: &[u8]) -> ReceivedRequest {
        ReceivedRequest {
            method: "POST".to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: body.to_vec(),
            proven: false,
        }
    }

    pub(super) fn post(gateway: &Gateway<World>, path: &str, body: &Value) -> (u16, Value) {
        sent(gateway, &request(path, body.to_string().as_bytes()))
    }

    pub(super) fn sent(gateway: &Gateway<World>, request: &ReceivedRequest) -> (u16, Value) {
        let response = ready(receive(gateway, request.clone()));
        assert_eq!(response.content_type, "application/json");
        (response.status, serde_json::from_slice(&response.body).expect("JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::bench::{gateway, post, request, sent};
    use super::*;
    use crate::gateway::Room;

    #[test]
    fn what_is_not_a_webhook_is_refused() {
        let (_, gateway) = gateway();
        assert_eq!(post(&gateway, "dancing", &json!({})).0, 404);
        assert_eq!(post(&gateway, "", &json!({})).0, 404);
        assert_eq!(sent(&gateway, &request("status", b"{")).0, 400);
        assert_eq!(sent(&gateway, &request("status", b"[]")).0, 400);
        let asked = |method: &str| ReceivedRequest { method: method.to_owned(), ..request("status", b"") };
        assert_eq!(sent(&gateway, &asked("PUT")).0, 405);
        assert_eq!(sent(&gateway, &asked("GET")).0, 200);
    }

    #[test]
    fn another_instances_webhook_is_refused() {
        let (world, gateway) = gateway();
        let body = br#"{"qr":"2@ABC"}"#;
        for (named, status) in [("8", 422), ("7", 200)] {
            let headers = vec![("x-instance-uuid".to_owned(), named.to_owned())];
            assert_eq!(sent(&gateway, &ReceivedRequest { headers, ..request("qr", body) }).0, status);
        }
        assert_eq!(world.states.borrow().len(), 1);
    }

    #[test]
    fn large_webhooks_are_taken_one_after_the_other() {
        let (_, gateway) = gateway();
        let body = json!({"status": "offline"});
        let others = gateway.room.take(Room::BYTES - 4).expect("room");
        assert_eq!(post(&gateway, "connection", &body).0, 503);
        drop(others);
        assert_eq!(post(&gateway, "connection", &body).0, 200);
        assert!(gateway.room.take(Room::BYTES).is_some(), "each gives its room back");
    }

    #[test]
    fn a_busy_engine_asks_for_a_repetition() {
        let (world, gateway) = gateway();
        let body =
            json!({"key": {"remoteJid": "5511999999999@s.whatsapp.net", "id": "A"}, "message": {"conversation": "x"}});
        world.failing.set(1);
        let (status, answer) = post(&gateway, "incoming", &body);
        assert_eq!((status, &answer["success"]), (503, &json!(false)));
        assert_eq!(post(&gateway, "incoming", &body), (200, json!({"success": true})));
        assert_eq!(world.messages().len(), 1);
    }
}
