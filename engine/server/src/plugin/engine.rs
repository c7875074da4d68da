//! A running engine, over its control API.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Host, Url};

use super::args::EngineArgs;
use super::multipart::Multipart;
use super::wire::{ErrorBody, ErrorDetail, FieldProblem};

const DEFAULT_ENGINE: &str = "http://127.0.0.1:8080";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a response may take: an upload is compiled before it is answered, after others.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// How many times an upload is tried again while the engine is busy.
const BUSY_TRIES: u32 = 20;

/// Why the engine did not carry out a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    #[error("{0:?} is not an engine's address: give one like http://127.0.0.1:8080 (--engine or POMBO_URL)")]
    Address(String),
    #[error("there is no credential: set POMBO_API_KEY to an API key of your tenant, or give --key")]
    NoKey,
    #[error("the credential has characters that cannot be part of a key")]
    BadKey,
    #[error(
        "the engine at {base} cannot be reached: {reason}; is it running (`pombo serve`), and is this its address (--engine, POMBO_URL)?"
    )]
    Unreachable { base: String, reason: String },
    #[error(transparent)]
    Refused(Box<Refusal>),
    #[error("this program does not understand the engine's answer ({0}); do both have the same version?")]
    Garbled(String),
}

/// The engine's refusal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: String,
    message: String,
    fields: Vec<FieldProblem>,
    retry_after: Option<u64>,
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            write!(f, "the engine answered {}", self.status)?;
        } else {
            f.write_str(&self.message)?;
        }
        for problem in &self.fields {
            // Often the one field's problem is the message.
            if !self.message.contains(&problem.message) {
                write!(f, "\n  {}: {}", problem.field, problem.message)?;
            }
        }
        match self.status {
            StatusCode::UNAUTHORIZED => f.write_str("\n  (the credential is POMBO_API_KEY or --key)"),
            _ => Ok(()),
        }
    }
}

/// A connection to an engine, with a credential.
#[derive(Clone)]
pub(super) struct Engine {
    http: Client,
    base: Url,
    credential: HeaderValue,
    tenant: Option<String>,
}

impl Engine {
    /// Configured by the options, then the environment.
    pub(super) fn of(args: &EngineArgs) -> anyhow::Result<Self> {
        let environment = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let address =
            args.engine.clone().or_else(|| environment("POMBO_URL")).unwrap_or_else(|| DEFAULT_ENGINE.to_owned());
        let base = address_of(&address)?;
        let key = args.key.clone().or_else(|| environment("POMBO_API_KEY")).ok_or(EngineError::NoKey)?;
        let mut credential =
            HeaderValue::try_from(format!("Bearer {}", key.trim())).map_err(|_| EngineError::BadKey)?;
        credential.set_sensitive(true);
        let tenant = args.tenant.map(|id| id.to_string()).or_else(|| environment("POMBO_TENANT"));
        Ok(Self { http: client(&base)?, base, credential, tenant })
    }

    /// The engine's address.
    pub(super) fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, EngineError> {
        self.answer(self.request(Method::GET, path, query)).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &Value) -> Result<T, EngineError> {
        let request =
            self.request(Method::POST, path, &[]).header(CONTENT_TYPE, "application/json").body(body.to_string());
        self.answer(request).await
    }

    pub(super) async fn delete(&self, path: &[&str]) -> Result<(), EngineError> {
        self.sent(self.request(Method::DELETE, path, &[])).await.map(drop)
    }

    /// Uploads; while the engine is busy with other uploads, waits as long as it says and tries again.
    pub(super) async fn upload<T: DeserializeOwned>(&self, path: &[&str], parts: &Multipart) -> Result<T, EngineError> {
        let body: Bytes = parts.body();
        let mut tries = 1;
        loop {
            let request =
                self.request(Method::POST, path, &[]).header(CONTENT_TYPE, parts.content_type()).body(body.clone());
            match self.answer(request).await {
                Err(EngineError::Refused(refusal))
                    if refusal.status == StatusCode::SERVICE_UNAVAILABLE && tries < BUSY_TRIES =>
                {
                    let seconds = refusal.retry_after.unwrap_or(1).clamp(1, 30);
                    eprintln!("the engine is busy; trying again in {seconds} s");
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    tries += 1;
                }
                answered => return answered,
            }
        }
    }

    /// A stream of events, read as it arrives.
    pub(super) async fn stream(&self, path: &[&str], last: Option<u64>) -> Result<Response, EngineError> {
        let mut request = self.request(Method::GET, path, &[]).header(ACCEPT, "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        // The stream has no end; only its silence has one, and the engine breaks that.
        self.sent(request.timeout(Duration::from_secs(365 * 86_400))).await
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, String)]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url).header(AUTHORIZATION, self.credential.clone());
        match &self.tenant {
            Some(tenant) => request.header("x-pombo-tenant", tenant),
            None => request,
        }
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, EngineError> {
        let response = self.sent(request).await?;
        let body = response.bytes().await.map_err(|e| self.unreachable(&e))?;
        serde_json::from_slice(&body).map_err(|e| EngineError::Garbled(e.to_string()))
    }

    async fn sent(&self, request: RequestBuilder) -> Result<Response, EngineError> {
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse().ok());
        let body = response.bytes().await.unwrap_or_default();
        Err(EngineError::Refused(Box::new(refusal(status, retry_after, &body))))
    }

    fn unreachable(&self, error: &reqwest::Error) -> EngineError {
        // The innermost cause is the one that a person can do something about.
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        EngineError::Unreachable { base: self.base().to_owned(), reason: cause.to_string() }
    }
}

fn refusal(status: StatusCode, retry_after: Option<u64>, body: &[u8]) -> Refusal {
    let ErrorDetail { code, message, fields } =
        serde_json::from_slice::<ErrorBody>(body).map(|b| b.error).unwrap_or_default();
    Refusal { status, code, message, fields, retry_after }
}

fn address_of(text: &str) -> Result<Url, EngineError> {
    let url = Url::parse(text.trim()).map_err(|_| EngineError::Address(text.to_owned()))?;
    let usable = matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none();
    if usable { Ok(url) } else { Err(EngineError::Address(text.to_owned())) }
}

fn client(base: &Url) -> anyhow::Result<Client> {
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .user_agent(concat!("pombo-plugin/", env!("CARGO_PKG_VERSION")));
    let loopback = match base.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    // A proxy for the internet has no way to this machine.
    Ok(if loopback { client.no_proxy() } else { client }.build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_http() {
        for good in ["http://127.0.0.1:8080", "https://pombo.example/base/", " http://localhost:1 "] {
            assert!(address_of(good).is_ok(), "{good}");
        }
        for bad in ["", "127.0.0.1:8080", "ftp://x", "http://", "http://x/?a=1"] {
            assert!(address_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_are_put_behind_the_base() {
        let engine = |address: &str| Engine {
            http: Client::builder().no_proxy().tls_backend_preconfigured(tls()).build().expect("a client"),
            base: address_of(address).expect("an address"),
            credential: HeaderValue::from_static("Bearer x"),
            tenant: None,
        };
        let url = |address: &str| {
            let request =
                engine(address).request(Method::GET, &["plugins", "a b/c", "logs"], &[("limit", "5".to_owned())]);
            request.build().expect("a request").url().to_string()
        };
        assert_eq!(url("http://x:1"), "http://x:1/v1/plugins/a%20b%2Fc/logs?limit=5");
        assert_eq!(url("http://x:1/base/"), "http://x:1/base/v1/plugins/a%20b%2Fc/logs?limit=5");
    }

    fn tls() -> rustls::ClientConfig {
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth()
    }

    #[test]
    fn a_refusal_says_what_the_engine_said() {
        let body = br#"{"error":{"code":"invalid","message":"2 fields are wrong","fields":[{"field":"share","message":"must be 1 to 100"}],"requestId":"r"}}"#;
        let said = refusal(StatusCode::BAD_REQUEST, None, body).to_string();
        assert_eq!(said, "2 fields are wrong\n  share: must be 1 to 100");
        let said = refusal(StatusCode::BAD_GATEWAY, None, b"<html>").to_string();
        assert_eq!(said, "the engine answered 502 Bad Gateway");
        let said = refusal(StatusCode::UNAUTHORIZED, None, br#"{"error":{"code":"unauthenticated","message":"no"}}"#)
            .to_string();
        assert!(said.contains("POMBO_API_KEY"), "{said}");
    }
}
