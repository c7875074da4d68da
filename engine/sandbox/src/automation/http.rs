//! HTTP requests of automations: where they may go, what is put into them, and how they are recorded.
//!
//! Invariant: a secret is put in after the request was recorded and shown, and goes over TLS only.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac};
use pombo_domain::ports::AutomationCall;
use reqwest::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use sha2::{Digest, Sha256};
use url::Url;

use super::fairness::Tenant;
use crate::bindings::automation::pombo::automation::http;
use crate::grants::Hosts;
use crate::limits::{HTTP_BODY_BYTES, cut};
use crate::state::Services;

/// Headers that the host sets itself: left out when the guest sets them too.
const OURS: [HeaderName; 2] = [CONTENT_LENGTH, CONNECTION];
/// Headers that could split a request in two or direct it to another server.
const FORBIDDEN: [HeaderName; 2] = [TRANSFER_ENCODING, HOST];
/// How many headers one request may have.
const HEADERS: usize = 64;
/// The placeholder for a value that proves that the sender knows a secret.
const SIGNATURE: &str = "{{hmac-sha256:";
const SECRET: &str = "{{secret:";

/// A response as it is recorded: status, headers, body.
type Answer = (u16, Vec<(String, String)>, Vec<u8>);

/// What distinguishes a request from others, without its secrets.
pub(super) fn digest(request: &http::Request) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(request.method.as_bytes());
    part(request.url.as_bytes());
    for header in &request.headers {
        part(header.name.as_bytes());
        part(header.value.as_bytes());
    }
    part(b"");
    part(request.body.as_deref().unwrap_or_default());
    hash.finalize().into()
}

/// Method and URL, for people.
pub(super) fn shown(request: &http::Request) -> String {
    cut(&format!("{} {}", request.method, request.url), 300)
}

/// The servers that an automation may reach.
pub(super) fn hosts(call: &AutomationCall) -> Hosts {
    Hosts::new(&call.grants.hosts, &serde_json::from_str(&call.config).unwrap_or_default())
}

/// `value` with each `{{secret:NAME}}` replaced. `Err` holds what to tell the plugin.
fn with_secrets(call: &AutomationCall, value: &str, encrypted: bool) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(start) = rest.find(SECRET) {
        let after = &rest[start + SECRET.len()..];
        let end = after.find("}}").ok_or("a secret's name is not closed by }}")?;
        if !encrypted {
            return Err("secrets are sent over TLS only".to_owned());
        }
        out.push_str(&rest[..start]);
        out.push_str(secret(call, &after[..end])?);
        rest = &after[end + 2..];
    }
    out.push_str(rest);
    Ok(out)
}

fn secret<'c>(call: &'c AutomationCall, name: &str) -> Result<&'c str, String> {
    let found = call.secrets.get(name).map(String::as_str);
    found.ok_or_else(|| format!("the secret field {:?} is not set", cut(name, 64)))
}

/// `value` with each `{{hmac-sha256:NAME}}` replaced by the hexadecimal HMAC of the body.
fn with_signature(call: &AutomationCall, value: &str, body: &[u8]) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(start) = rest.find(SIGNATURE) {
        let after = &rest[start + SIGNATURE.len()..];
        let end = after.find("}}").ok_or("a secret's name is not closed by }}")?;
        let key = secret(call, &after[..end])?;
        let mut mac =
            Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|_| "the secret cannot sign".to_owned())?;
        mac.update(body);
        out.push_str(&rest[..start]);
        out.push_str(&hex::encode(mac.finalize().into_bytes()));
        rest = &after[end + 2..];
    }
    out.push_str(rest);
    Ok(out)
}

fn prepared(
    services: &Services,
    call: &AutomationCall,
    hosts: &Hosts,
    request: http::Request,
) -> Result<reqwest::RequestBuilder, http::Error> {
    let url = Url::parse(&request.url).map_err(|e| http::Error::Invalid(format!("not a URL: {e}")))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(http::Error::Invalid("the URL must begin with https:// or http://".to_owned()));
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(http::Error::Invalid("the URL has no host".to_owned()));
    };
    hosts.check(host, port).map_err(http::Error::Refused)?;
    services.guard.check_url(url.as_str()).map_err(|e| http::Error::Refused(e.to_string()))?;
    let encrypted = url.scheme() == "https";
    let method = reqwest::Method::from_bytes(request.method.as_bytes())
        .map_err(|_| http::Error::Invalid("no such method".to_owned()))?;
    if request.headers.len() > HEADERS {
        return Err(http::Error::Invalid(format!("more than {HEADERS} headers")));
    }
    let body = match request.body {
        Some(body) if body.len() > HTTP_BODY_BYTES => {
            return Err(http::Error::Invalid(format!("the body is longer than {HTTP_BODY_BYTES} bytes")));
        }
        // Never with secrets: what people write goes into bodies, and could name one.
        body => body,
    };
    let mut builder = services.http.request(method, url);
    for header in &request.headers {
        let name = HeaderName::try_from(&header.name)
            .map_err(|_| http::Error::Invalid(format!("{:?} is not a header name", cut(&header.name, 64))))?;
        if FORBIDDEN.contains(&name) {
            return Err(http::Error::Invalid(format!("{name} is the host's to set")));
        }
        if OURS.contains(&name) {
            continue;
        }
        // First, so that a secret that looks like a name is none.
        let value = with_signature(call, &header.value, body.as_deref().unwrap_or_default())
            .and_then(|value| with_secrets(call, &value, encrypted))
            .map_err(http::Error::Refused)?;
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| http::Error::Invalid(format!("the value of {name} is not allowed in a header")))?;
        value.set_sensitive(true);
        builder = builder.header(name, value);
    }
    Ok(match body {
        Some(body) => builder.body(body),
        None => builder,
    })
}

async fn exchange(builder: reqwest::RequestBuilder) -> Result<Answer, http::Error> {
    let broken = |_| http::Error::Interrupted("the connection broke in the answer".to_owned());
    let mut response = builder.send().await.map_err(|error| {
        if error.is_connect() {
            http::Error::NotConnected("no connection to the server".to_owned())
        } else if error.is_builder() {
            http::Error::Invalid("the request cannot be made".to_owned())
        } else {
            http::Error::Interrupted("the connection broke".to_owned())
        }
    })?;
    if let Some(size) = response.content_length().filter(|size| *size > HTTP_BODY_BYTES as u64) {
        return Err(http::Error::TooLarge(size));
    }
    let status = response.status().as_u16();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > HTTP_BODY_BYTES {
            return Err(http::Error::TooLarge((body.len() + chunk.len()) as u64));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, headers, body))
}

/// Sends a request, when it is the tenant's turn.
pub(super) async fn send(
    services: &Services,
    call: &AutomationCall,
    tenant: &Arc<Tenant>,
    hosts: &Hosts,
    request: http::Request,
) -> Result<Answer, http::Error> {
    let most = services.limits.automations.http;
    let limit = request.timeout_millis.map_or(most, |ms| Duration::from_millis(u64::from(ms)).min(most));
    let builder = prepared(services, call, hosts, request)?;
    // Never closed.
    let Ok(Ok(_turn)) = tokio::time::timeout(limit, tenant.http.acquire()).await else {
        return Err(http::Error::NotConnected("this tenant makes too many requests at once".to_owned()));
    };
    match tokio::time::timeout(limit, exchange(builder)).await {
        Ok(result) => result,
        Err(_) => Err(http::Error::Interrupted("no answer in time".to_owned())),
    }
}

/// An error as it is recorded: its case and its words.
pub(super) fn recorded(error: &http::Error) -> (String, String) {
    let (case, said) = match error {
        http::Error::Refused(said) => ("refused", said.clone()),
        http::Error::Invalid(said) => ("invalid", said.clone()),
        http::Error::NotConnected(said) => ("not-connected", said.clone()),
        http::Error::Interrupted(said) => ("interrupted", said.clone()),
        http::Error::TooLarge(size) => ("too-large", size.to_string()),
    };
    (case.to_owned(), said)
}

/// A recorded error as the guest gets it.
pub(super) fn error(case: &str, said: &str) -> http::Error {
    match case {
        "refused" => http::Error::Refused(said.to_owned()),
        "invalid" => http::Error::Invalid(said.to_owned()),
        "not-connected" => http::Error::NotConnected(said.to_owned()),
        "too-large" => http::Error::TooLarge(said.parse().unwrap_or(u64::MAX)),
        _ => http::Error::Interrupted(said.to_owned()),
    }
}

/// A recorded response as the guest gets it.
pub(super) fn response((status, headers, body): Answer) -> http::Response {
    let header = |(name, value)| http::Header { name, value };
    http::Response { status, headers: headers.into_iter().map(header).collect(), body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pombo_domain::model::{TaskBody, Wants};
    use pombo_domain::ports::CallEvent;
    use pombo_domain::{AutomationIndex, TenantIndex, Timestamp};
    use uuid::Uuid;

    fn call() -> AutomationCall {
        let secrets = [("key", "s3cret"), ("odd", "{{secret:key}}")];
        AutomationCall {
            digest: "d".into(),
            plugin: "p".into(),
            tenant: TenantIndex(1),
            automation: AutomationIndex(1),
            id: Uuid::nil(),
            config: "{}".into(),
            secrets: Arc::new(secrets.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
            grants: Arc::new(Wants::default()),
            event: Arc::new(CallEvent {
                id: Uuid::nil(),
                at: Timestamp(0),
                attempt: 1,
                conversation: Uuid::nil(),
                connector: Uuid::nil(),
                channel: String::new(),
                chat: String::new(),
                is_group: false,
                contact_name: None,
                tags: Vec::new(),
                assignee: None,
                opened_at: Timestamp(0),
                body: TaskBody::Opened,
            }),
            state: None,
            now: Timestamp(0),
            seed: 0,
            replay: None,
        }
    }

    #[test]
    fn secrets_are_put_in_over_tls_only_and_once() {
        let call = call();
        assert_eq!(with_secrets(&call, "Bearer {{secret:key}}!", true).as_deref(), Ok("Bearer s3cret!"));
        assert_eq!(with_secrets(&call, "{{secret:odd}}", true).as_deref(), Ok("{{secret:key}}"));
        assert_eq!(with_secrets(&call, "none", false).as_deref(), Ok("none"));
        for (value, encrypted, why) in [
            ("{{secret:key}}", false, "TLS only"),
            ("{{secret:other}}", true, "is not set"),
            ("{{secret:key", true, "not closed"),
        ] {
            assert!(with_secrets(&call, value, encrypted).is_err_and(|e| e.contains(why)), "{value}");
        }
    }

    #[test]
    fn a_signature_is_of_the_body_that_goes_out() {
        // As `openssl dgst -sha256 -hmac s3cret` says.
        let expected = "sha256=adbde1ce40c89c14215687d5d762a47df6dfaefcfad61e2e86718ffc8498571b";
        assert_eq!(with_signature(&call(), "sha256={{hmac-sha256:key}}", b"{}").as_deref(), Ok(expected));
        assert!(with_signature(&call(), "{{hmac-sha256:other}}", b"{}").is_err_and(|e| e.contains("is not set")));
    }

    #[test]
    fn requests_differ_by_every_part() {
        let request = |url: &str, body: Option<&str>| http::Request {
            method: "GET".to_owned(),
            url: url.to_owned(),
            headers: vec![http::Header { name: "a".to_owned(), value: "{{secret:key}}".to_owned() }],
            body: body.map(|b| b.as_bytes().to_vec()),
            timeout_millis: None,
        };
        assert_eq!(digest(&request("https://a/", None)), digest(&request("https://a/", None)));
        assert_ne!(digest(&request("https://a/", None)), digest(&request("https://b/", None)));
        assert_ne!(digest(&request("https://a/", None)), digest(&request("https://a/", Some("x"))));
    }

    #[test]
    fn errors_come_back_from_a_recording_as_they_were() {
        for given in [
            http::Error::Refused("a".to_owned()),
            http::Error::Invalid("b".to_owned()),
            http::Error::NotConnected("c".to_owned()),
            http::Error::Interrupted("d".to_owned()),
            http::Error::TooLarge(7),
        ] {
            let (case, said) = recorded(&given);
            assert_eq!(format!("{:?}", error(&case, &said)), format!("{given:?}"));
        }
    }
}
