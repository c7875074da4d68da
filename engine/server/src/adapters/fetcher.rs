//! Fetches a file from a tenant's URL: the guard checks each hop; the file is streamed to the media store, bounded in size and time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header;
use pombo_domain::TenantIndex;
use pombo_domain::ports::{AttachmentFetcher, MediaError, MediaStore, MediaWriter, OutboundError};
use url::Url;

use super::guard::Guard;
use super::media_types;
use super::outbound::describe;
use crate::config::Outbound;

/// The fetching port.
pub(crate) struct GuardedFetcher {
    client: reqwest::Client,
    guard: Guard,
    media: Arc<dyn MediaStore>,
    timeout: Duration,
    max_redirects: u32,
}

impl GuardedFetcher {
    /// Uses a client made by [`super::outbound::client`] with the same guard.
    pub(crate) fn new(client: reqwest::Client, guard: Guard, media: Arc<dyn MediaStore>, config: &Outbound) -> Self {
        Self {
            client,
            guard,
            media,
            timeout: Duration::from_secs(config.attachment_timeout_seconds),
            max_redirects: config.attachment_max_redirects,
        }
    }

    async fn follow(&self, url: &str) -> Result<(Url, reqwest::Response), OutboundError> {
        let mut url = self.guard.parse(url)?;
        for _ in 0..=self.max_redirects {
            let answer = self.client.get(url.clone()).send().await.map_err(|e| describe(&e))?;
            let status = answer.status();
            if status.is_redirection() {
                let target = answer.headers().get(header::LOCATION).and_then(|v| v.to_str().ok());
                let target =
                    target.ok_or_else(|| OutboundError::BadAnswer("a redirect without a target".to_owned()))?;
                let joined = url
                    .join(target)
                    .map_err(|_| OutboundError::BadAnswer("a redirect to something that is not a URL".to_owned()))?;
                url = self.guard.parse(joined.as_str())?;
                continue;
            }
            // The server's own trouble may pass; any other refusal stays.
            if status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS {
                return Err(OutboundError::Unreachable(format!("the server answered {}", status.as_u16())));
            }
            if !status.is_success() {
                return Err(OutboundError::BadAnswer(format!("the server answered {}", status.as_u16())));
            }
            return Ok((url, answer));
        }
        Err(OutboundError::BadAnswer(format!("the server redirected more than {} times", self.max_redirects)))
    }

    async fn receive_now(
        &self,
        tenant: TenantIndex,
        url: &str,
        most: u64,
    ) -> Result<Box<dyn MediaWriter>, OutboundError> {
        let (url, mut answer) = self.follow(url).await?;
        if answer.content_length().is_some_and(|length| length > most) {
            return Err(MediaError::TooLarge(most).into());
        }
        let header = |name| answer.headers().get(name).and_then(|v: &http::HeaderValue| v.to_str().ok());
        let content_type = header(header::CONTENT_TYPE).map(str::to_owned);
        let name = header(header::CONTENT_DISPOSITION)
            .and_then(disposition_name)
            .or_else(|| url_name(&url))
            .unwrap_or_else(|| "attachment".to_owned());
        let name = media_types::with_extension(name, content_type.as_deref());
        let mut writer = self.media.create(tenant, &name, content_type.as_deref(), most).await?;
        while let Some(chunk) = answer.chunk().await.map_err(|e| describe(&e))? {
            writer.write(&chunk).await?;
        }
        Ok(writer)
    }
}

#[async_trait]
impl AttachmentFetcher for GuardedFetcher {
    async fn receive(&self, tenant: TenantIndex, url: &str, most: u64) -> Result<Box<dyn MediaWriter>, OutboundError> {
        match tokio::time::timeout(self.timeout, self.receive_now(tenant, url, most)).await {
            Ok(result) => result,
            Err(_) => {
                Err(OutboundError::Unreachable(format!("the file was not fetched within {} s", self.timeout.as_secs())))
            }
        }
    }
}

/// The file name in a Content-Disposition: `filename*` (RFC 8187) is preferred to `filename`.
fn disposition_name(value: &str) -> Option<String> {
    let mut plain = None;
    for part in split_outside_quotes(value).skip(1) {
        let Some((key, value)) = part.split_once('=') else { continue };
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "filename*" => {
                let encoded = value.trim_matches('"').splitn(3, '\'').nth(2)?;
                return percent_decoded(encoded);
            }
            "filename" => {
                let unquoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
                plain = Some(unquoted.map_or_else(|| value.to_owned(), |v| v.replace("\\\"", "\"")));
            }
            _ => {}
        }
    }
    plain.filter(|name| !name.is_empty())
}

fn split_outside_quotes(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    value.split(move |c| {
        quoted ^= c == '"';
        c == ';' && !quoted
    })
}

fn url_name(url: &Url) -> Option<String> {
    let last = url.path_segments()?.next_back()?;
    percent_decoded(last)
}

fn percent_decoded(text: &str) -> Option<String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some(decoded).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_come_from_the_header_then_the_url() {
        for (value, name) in [
            ("attachment; filename=\"boleto.pdf\"", Some("boleto.pdf")),
            ("attachment; filename=boleto.pdf", Some("boleto.pdf")),
            ("attachment; filename=\"a;b.pdf\"; size=3", Some("a;b.pdf")),
            ("attachment; filename=\"x.pdf\"; filename*=UTF-8''fatura%20mar%C3%A7o.pdf", Some("fatura março.pdf")),
            ("inline", None),
            ("attachment; filename=\"\"", None),
        ] {
            assert_eq!(disposition_name(value).as_deref(), name, "{value}");
        }
        let url = |text: &str| Url::parse(text).expect("a URL");
        assert_eq!(url_name(&url("https://a.example/x/boleto%20maio.pdf?t=1")).as_deref(), Some("boleto maio.pdf"));
        assert_eq!(url_name(&url("https://a.example/")), None);
    }
}
