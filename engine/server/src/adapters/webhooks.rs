//! Posts webhooks. A redirect is treated as a failure like any status other than 2xx. A small part of an answer's body is read
//! and discarded.

use std::time::Duration;

use async_trait::async_trait;
use pombo_domain::ports::{OutboundError, WebhookClient};

use super::guard::Guard;
use super::outbound::describe;

/// Number of bytes of an answer's body that are read, so that the connection can be reused.
const READ_AT_MOST: usize = 16 * 1024;

/// Posts webhooks to their receivers, through the guard that refuses private addresses.
pub(crate) struct ReqwestWebhooks {
    client: reqwest::Client,
    guard: Guard,
}

impl ReqwestWebhooks {
    /// Uses a client made by [`super::outbound::client`] with the same guard.
    pub(crate) fn new(client: reqwest::Client, guard: Guard) -> Self {
        Self { client, guard }
    }
}

#[async_trait]
impl WebhookClient for ReqwestWebhooks {
    async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
        timeout: Duration,
    ) -> Result<u16, OutboundError> {
        let url = self.guard.parse(url)?;
        let mut request = self.client.post(url).timeout(timeout).header(http::header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut answer = request.body(body).send().await.map_err(|e| describe(&e))?;
        let status = answer.status().as_u16();
        let mut read = 0;
        while read < READ_AT_MOST {
            match answer.chunk().await {
                Ok(Some(chunk)) => read += chunk.len(),
                // The status has come; what happens to the rest does not change it.
                Ok(None) | Err(_) => break,
            }
        }
        Ok(status)
    }
}
