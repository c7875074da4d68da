//! What linking an account asks of a person, and the answer to a step that waits for a passkey.

use poem_openapi::Object;
use pombo_domain::Error;
use pombo_domain::ports::LinkStep;
use serde::Deserialize;
use serde_json::Value;

use crate::wire::Instant;
use pombo_api::error::Failure;

/// What linking the account asks of a person, beside a code to scan or to type.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct LinkStepReport {
    /// Names the step: its answer carries it.
    id: String,
    /// What is asked: `passkey`, `passkey-confirm`, `code`, `password`, `captcha`, `choice`, or the plugin's own word. The first two are
    /// answered by `POST /v1/connectors/{id}/session/passkey`, the others by the operation `link-step` of the connector's own.
    kind: String,
    /// The same in a sentence.
    text: Option<String>,
    /// What the answer is made from. With `passkey`: the request options of WebAuthn, for `navigator.credentials.get`. With
    /// `passkey-confirm`: the `code` to compare with the one on the phone.
    options: Option<Value>,
    /// A picture that belongs to the question, in a data URL.
    picture: Option<String>,
    /// JSON Schema of the answer; a text if there is none.
    schema: Option<Value>,
    /// Until when an answer is taken.
    expires_at: Option<Instant>,
}

impl From<LinkStep> for LinkStepReport {
    fn from(step: LinkStep) -> Self {
        let LinkStep { id, kind, text, options, picture, schema, expires_at } = step;
        Self { id, kind, text, options, picture, schema, expires_at: expires_at.map(Instant) }
    }
}

/// The answer to a step that waits for a passkey.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyAnswer {
    /// Id of the step, as the session shows it.
    #[oai(validator(min_length = 1, max_length = 64))]
    id: String,
    /// With the step `passkey`: what `navigator.credentials.get` gave, as its `toJSON()` writes it; at most 64 KB. It is passed on and
    /// neither stored nor logged.
    #[oai(nullable)]
    assertion: Option<Value>,
    /// With the step `passkey-confirm`: whether the phone shows the same code. With either step, `false` stops linking.
    #[oai(nullable)]
    confirm: Option<bool>,
}

impl PasskeyAnswer {
    /// The step's id, and the answer as the connector takes it.
    pub(crate) fn read(self) -> Result<(String, Value), Failure> {
        let wrong = |field: &'static str, why: &str| Failure::from(Error::invalid(field, why));
        if self.id.is_empty() || self.id.len() > 64 {
            return Err(wrong("id", "must be the id of the step that waits"));
        }
        match (self.assertion, self.confirm) {
            (Some(answer @ Value::Object(_)), None) => Ok((self.id, answer)),
            (Some(_), None) => Err(wrong("assertion", "must be what navigator.credentials.get gave, as a JSON object")),
            (None, Some(same)) => Ok((self.id, Value::Bool(same))),
            (Some(_), Some(_)) | (None, None) => Err(wrong("assertion", "give either assertion or confirm")),
        }
    }
}
