//! Section WebhookSecret: the secret with which a receiver verifies webhooks.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::Section;
use crate::access::Acting;
use crate::deps::ControlDeps;
use crate::wire::{READ, Refused};

#[derive(Default)]
pub(crate) struct WebhookSecrets;

impl pombo_api::Section for WebhookSecrets {
    const FILE: &'static str = file!();
}

/// The secret that a tenant's webhooks are signed with.
#[derive(Object)]
pub(crate) struct WebhookSecret {
    /// `whsec_` and the key in base64, as libraries for Standard Webhooks expect it.
    secret: String,
}

#[OpenApi(tag = "Section::WebhookSecret")]
impl WebhookSecrets {
    /// Get the secret that webhooks are signed with
    ///
    /// `webhook-signature` is `v1,` and the HMAC-SHA256 of `{webhook-id}.{webhook-timestamp}.{body}` with the decoded key, in
    /// base64. `x-pombo-signature` is the HMAC-SHA256 of only the body, in hexadecimal.
    #[oai(path = "/v1/webhook-secret", method = "get", operation_id = "get_webhook_secret")]
    async fn get_webhook_secret(
        &self,
        deps: Data<&Arc<ControlDeps>>,
        acting: Acting,
    ) -> Result<Json<WebhookSecret>, Refused<READ>> {
        let key = (deps.webhook_secret)(acting.tenant);
        Ok(Json(WebhookSecret { secret: format!("whsec_{}", STANDARD.encode(key)) }))
    }
}
