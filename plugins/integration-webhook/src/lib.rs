//! Posts what happens in a conversation to a server, as signed JSON, and does what the server answers.
//!
//! `config` is the configuration, `event` the body that is posted, `answer` what may come back, `fields` how that is read. The
//! server's side is described in `docs/automations/integration-webhook.md`.
//!
//! The request is repeated when the event is handled again: the event's id is its idempotency key.

mod answer;
mod config;
mod event;
mod fields;

use pombo_plugin::automation::*;
use serde_json::Value;

use config::Config;

/// The automation, which has a tenant's own server answer.
#[derive(Debug)]
pub struct Webhook;

impl Automation for Webhook {
    type Config = Config;
    /// Whatever the server wants to find next time.
    type State = Option<Value>;

    fn describe() -> Description {
        Description {
            display_name: "Webhook".to_owned(),
            config_schema: config::SCHEMA.to_owned(),
            secret_fields: vec!["secret".to_owned(), "token".to_owned()],
            events: EventKind::ALL.to_vec(),
            wants: Wants { hosts: vec!["url".to_owned()], ..Wants::default() },
            ..Description::new("integration-webhook", env!("CARGO_PKG_VERSION"))
        }
    }

    fn on_event(turn: &mut Turn<'_, Self>, _: &EventBody) -> Result<(), Error> {
        post(turn)
    }
}

fn post(turn: &mut Turn<'_, Webhook>) -> Result<(), Error> {
    let event = turn.event();
    let kind = event.body.kind().name();
    if !turn.config.wants(kind) {
        return Ok(());
    }
    let body = event::body(event, turn.state.as_ref(), turn.now_millis());
    let mut request = HttpRequest::post(&turn.config.url).timeout(turn.config.timeout());
    for (name, value) in &turn.config.headers {
        request = request.header(name, value);
    }
    let request = request
        .header("idempotency-key", &event.id)
        .header("x-pombo-event", kind)
        .header("x-pombo-timestamp", (turn.now_millis() / 1000).to_string())
        .header("x-pombo-signature", "{{hmac-sha256:secret}}")
        .json(&body)?;
    let response = turn.http(request)?;
    if !response.is_success() {
        return Err(refused(response.status));
    }
    let answer = answer::read(&response.body, &event.body)?;
    if let Some(state) = &answer.state {
        turn.state.clone_from(state);
    }
    answer.carry_out(turn);
    Ok(())
}

/// Without what the server said: that may hold what only it and the customer shall know.
fn refused(status: u16) -> Error {
    Error::new(match status {
        300..=399 => format!("the server redirects ({status}), which is not followed: set `url` to where it points"),
        401 | 403 => format!("the server refuses the request ({status}): check `secret` and `token` on both sides"),
        404 | 405 | 410 => format!("the server has nothing at this URL for a POST ({status}): check `url`"),
        413 => "the server refuses a request of this size (413): let it accept 300 KB".to_owned(),
        429 => "the server limits the rate of requests (429)".to_owned(),
        400..=499 => format!("the server refuses the event ({status}): see its log"),
        _ => format!("the server failed ({status})"),
    })
}

pombo_plugin::export_automation!(Webhook);

#[cfg(test)]
mod tests;
