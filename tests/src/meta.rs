//! Webhooks as Meta posts them: escaped as Meta escapes, signed over those bytes, with many updates in one body.
//!
//! The simulator posts webhooks by itself for what happens in it. This is for what it would not post by itself: any body, any number of
//! times, in any order.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::files::hmac_sha256;
use crate::http::{Client, Reply, query};
use crate::server::Server;
use crate::tenant::unique;

/// The header with the signature.
pub const SIGNATURE: &str = "X-Hub-Signature-256";

/// Where an app's webhooks are posted: the address of one connector.
#[derive(Debug, Clone)]
pub struct Hook {
    client: Client,
    path: String,
    app_secret: String,
}

impl Hook {
    /// To this connector of an engine, signed with its app's secret.
    pub fn to(server: &Server, connector: &str, app_secret: &str) -> Self {
        let path = format!("/v1/connectors/{connector}/receive/webhook");
        Self { client: server.client(), path, app_secret: app_secret.to_owned() }
    }

    /// Posts a body, signed; the answer, whatever its status.
    pub fn try_post(&self, body: &Value) -> Result<Reply> {
        self.post_bytes(escaped(body).into_bytes())
    }

    /// Posts a body, signed; fails if it was not taken.
    pub fn post(&self, body: &Value) -> Result<()> {
        self.try_post(body)?.expect(200)?;
        Ok(())
    }

    /// Posts these very bytes, signed.
    pub fn post_bytes(&self, bytes: Vec<u8>) -> Result<Reply> {
        let signature = format!("sha256={}", hmac_sha256(self.app_secret.as_bytes(), &bytes)?);
        self.post_with(bytes, Some(&signature))
    }

    /// Posts these bytes with this signature, or without any.
    pub fn post_with(&self, bytes: Vec<u8>, signature: Option<&str>) -> Result<Reply> {
        let mut request = self.client.request("POST", &self.path);
        if let Some(signature) = signature {
            request = request.header(SIGNATURE, signature);
        }
        request.body("application/json", bytes).send()
    }

    /// Asks as Meta does when somebody enters the address.
    pub fn verify(&self, token: &str, challenge: &str) -> Result<Reply> {
        let pairs = [("hub.mode", "subscribe"), ("hub.challenge", challenge), ("hub.verify_token", token)];
        self.client.get(&query(&self.path, &pairs))
    }

    /// The URL that it posts to, for whoever posts there too.
    pub fn url(&self, server: &Server) -> String {
        format!("http://{}{}", server.address(), self.path)
    }
}

/// A number of a business, as webhooks name it.
#[derive(Debug, Clone)]
pub struct Line {
    /// The account's id.
    pub waba: String,
    /// The number's id.
    pub phone_number_id: String,
    /// The number.
    pub display: String,
}

impl Line {
    fn change(&self, further: Value) -> Value {
        let mut value = json!({
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": self.display, "phone_number_id": self.phone_number_id},
        });
        crate::tenant::merge(&mut value, &further);
        json!({"field": "messages", "value": value})
    }

    /// A change with these messages of people.
    pub fn messages(&self, contacts: &[Value], messages: &[Value]) -> Value {
        self.change(json!({"contacts": contacts, "messages": messages}))
    }

    /// A change with these statuses of the number's own messages.
    pub fn statuses(&self, statuses: &[Value]) -> Value {
        self.change(json!({"statuses": statuses}))
    }

    /// A body with these changes of the account.
    pub fn body(&self, changes: &[Value]) -> Value {
        json!({"object": "whatsapp_business_account", "entry": [self.entry(changes)]})
    }

    /// One entry of a body.
    pub fn entry(&self, changes: &[Value]) -> Value {
        json!({"id": self.waba, "changes": changes})
    }

    /// A body with a text that a person wrote at this moment.
    pub fn text(&self, person: &str, id: &str, text: &str, at: i64) -> Value {
        let message = said(person, id, text, at);
        self.body(&[self.messages(&[contact(person, "Ana")], &[message])])
    }

    /// A body with a change of another field, e.g. `message_template_status_update`.
    pub fn other(&self, field: &str, value: &Value) -> Value {
        json!({"object": "whatsapp_business_account", "entry": [
            {"id": self.waba, "time": now(), "changes": [{"field": field, "value": value}]}]})
    }
}

/// A person in `contacts`.
pub fn contact(person: &str, name: &str) -> Value {
    json!({"profile": {"name": name}, "wa_id": person})
}

/// A message with a text.
pub fn said(person: &str, id: &str, text: &str, at: i64) -> Value {
    json!({"from": person, "id": id, "timestamp": at.to_string(), "type": "text", "text": {"body": text}})
}

/// A status of an own message.
pub fn status(id: &str, status: &str, recipient: &str, ours: Option<&str>, at: i64) -> Value {
    let mut value = json!({"id": id, "status": status, "timestamp": at.to_string(), "recipient_id": recipient});
    if let Some(ours) = ours {
        value["biz_opaque_callback_data"] = json!(ours);
    }
    value
}

/// A status `failed` with Meta's code, which says more of it in `title`.
pub fn failed(id: &str, recipient: &str, ours: Option<&str>, (code, title): (u32, &str), at: i64) -> Value {
    let mut value = status(id, "failed", recipient, ours, at);
    value["errors"] = json!([{"code": code, "title": title, "message": title, "error_data": {"details": title},
        "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"}]);
    value
}

/// An id of a message that nobody else has.
pub fn wamid() -> String {
    format!("wamid.HBgNsuite{}N{}", std::process::id(), unique())
}

/// The seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or_default()
}

/// JSON as Meta's servers write it: only ASCII, and `/`, `@`, `<` and `%` escaped too.
pub fn escaped(value: &Value) -> String {
    let mut out = String::new();
    for letter in value.to_string().chars() {
        match letter {
            '/' => out.push_str("\\/"),
            '@' | '<' | '%' => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter if letter.is_ascii() => out.push(letter),
            letter => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out
}

/// All orders of these values.
pub fn orders<T: Clone>(values: &[T]) -> Vec<Vec<T>> {
    if values.is_empty() {
        return vec![Vec::new()];
    }
    let mut found = Vec::new();
    for place in 0..values.len() {
        let mut rest = values.to_vec();
        let first = rest.remove(place);
        for mut order in orders(&rest) {
            order.insert(0, first.clone());
            found.push(order);
        }
    }
    found
}

/// Fails unless the text is in the reply's body: what a refusal must name.
pub fn names(reply: &Reply, text: &str) -> Result<()> {
    ensure!(reply.text().contains(text), "it does not name {text}: {reply:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_escaped_as_meta_does_and_means_the_same() -> Result<()> {
        let value = json!({"body": "ação 😀 a@b.c/d <1% \"x\" \\ \n"});
        let text = escaped(&value);
        assert!(text.is_ascii() && text.contains("\\u00e7") && text.contains("\\ud83d\\ude00"), "{text}");
        assert!(text.contains("\\/") && text.contains("\\u0040") && text.contains("\\u003c"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text)?, value);
        Ok(())
    }

    #[test]
    fn there_are_six_orders_of_three() {
        let orders = orders(&[1, 2, 3]);
        assert_eq!(orders.len(), 6);
        assert!(orders.contains(&vec![3, 1, 2]));
    }
}
