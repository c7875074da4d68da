//! Posts webhooks. Redirects are an answer like others (not 2xx); an answer's body is read to a small bound and dropped.

use std::time::Duration;

use async_trait::async_trait;
use pombo_domain::ports::{OutboundError, WebhookClient};

use super::guard::Guard;
use super::outbound::describe;

/// So much of an answer's body is read, so that its connection can be used again.
const READ_AT_MOST: usize = 16 * 1024;

/// The webhook port.
pub(crate) struct ReqwestWebhooks {
    client: reqwest::Client,
    guard: Guard,
}

impl ReqwestWebhooks {
    /// Over a client made by [`super::outbound::client`] with the same guard.
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
