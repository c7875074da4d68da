//! The connector's configuration and its schema. The password is not in it: the engine keeps it and puts it into the login.

use lettre::Address;
use lettre::message::Mailbox;
use pombo_plugin::connector::smtp;
use serde::Deserialize;

/// What the engine validates before a connector is stored.
pub(crate) const SCHEMA: &str = include_str!("config.schema.json");

/// The most submissions at once that a configuration may ask for.
pub(crate) const MAX_IN_FLIGHT: u32 = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    host: String,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    security: Security,
    username: Option<String>,
    from: RawMailbox,
    reply_to: Option<String>,
    subject: Option<String>,
    domain: Option<String>,
    list_unsubscribe: Option<Unsubscribe>,
    timeout_seconds: Option<u32>,
    max_in_flight: Option<u32>,
    tls_ca: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Security {
    #[default]
    StartTls,
    Tls,
    None,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMailbox {
    name: Option<String>,
    email: String,
}

/// Where a reader can unsubscribe. `{recipient}` and `{id}` are replaced, percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unsubscribe {
    /// An https URL that takes the one-click POST of RFC 8058.
    pub(crate) url: Option<String>,
    /// An address to which a message asking for it is sent.
    pub(crate) mailto: Option<String>,
}

/// A configuration that can work.
#[derive(Debug)]
pub(crate) struct Config {
    host: String,
    port: u16,
    security: Security,
    username: Option<String>,
    tls_ca: Option<String>,
    timeout_seconds: u32,
    pub(crate) max_in_flight: u32,
    pub(crate) from: Mailbox,
    pub(crate) reply_to: Option<Mailbox>,
    pub(crate) subject: Option<String>,
    pub(crate) domain: String,
    pub(crate) unsubscribe: Option<Unsubscribe>,
}

impl Config {
    /// Reads what the engine passes to `run`. An error says which field to change.
    pub(crate) fn read(json: &str) -> Result<Self, String> {
        let raw: Raw = serde_json::from_str(json).map_err(|e| e.to_string())?;
        let mailbox = |field: &str, name: Option<String>, email: &str| -> Result<Mailbox, String> {
            let email = crate::address::normalise(email).map_err(|e| format!("{field}: {e}"))?;
            let address: Address = email.parse().map_err(|_| format!("{field}: is not an e-mail address"))?;
            let name = name.map(|n| crate::compose::one_line(&n)).filter(|n| !n.is_empty());
            Ok(Mailbox::new(name, address))
        };
        let from = mailbox("from.email", raw.from.name, &raw.from.email)?;
        let reply_to = raw.reply_to.map(|r| mailbox("replyTo", None, &r)).transpose()?;
        let domain = match &raw.domain {
            Some(domain) => crate::address::normalise_domain(domain).map_err(|e| format!("domain: {e}"))?,
            None => from.email.domain().to_owned(),
        };
        if let Some(Unsubscribe { url, mailto }) = &raw.list_unsubscribe {
            if url.as_ref().is_some_and(|u| !is_plain(u) || !u.starts_with("https://")) {
                return Err("listUnsubscribe.url: must be an https URL without spaces or angle brackets".to_owned());
            }
            if let Some(mailto) = mailto {
                mailbox("listUnsubscribe.mailto", None, mailto)?;
            }
        }
        let port = raw.port.unwrap_or(match raw.security {
            Security::Tls => 465,
            Security::StartTls => 587,
            Security::None => 25,
        });
        Ok(Self {
            host: raw.host.trim().to_ascii_lowercase(),
            port,
            security: raw.security,
            username: raw.username.filter(|u| !u.is_empty()),
            tls_ca: raw.tls_ca,
            timeout_seconds: raw.timeout_seconds.unwrap_or(60),
            max_in_flight: raw.max_in_flight.unwrap_or(10).clamp(1, MAX_IN_FLIGHT),
            from,
            reply_to,
            subject: raw.subject,
            domain,
            unsubscribe: raw.list_unsubscribe,
        })
    }

    /// The server as the engine's capability wants it.
    #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only a guest submits"))]
    pub(crate) fn server(&self) -> smtp::Server {
        smtp::Server {
            host: self.host.clone(),
            port: self.port,
            security: match self.security {
                Security::StartTls => smtp::Security::Starttls,
                Security::Tls => smtp::Security::Tls,
                Security::None => smtp::Security::None,
            },
            login: self
                .username
                .clone()
                .map(|username| smtp::Login { username, password_secret: "password".to_owned() }),
            extra_ca: self.tls_ca.clone(),
            timeout_millis: Some(self.timeout_seconds.saturating_mul(1000)),
        }
    }
}

/// Visible ASCII that can stand between angle brackets in a header.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && b != b'<' && b != b'>')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_schema() {
        let c = Config::read(r#"{"host":"Mail.Example.com","from":{"email":"a@example.com"}}"#).expect("valid");
        let server = c.server();
        assert_eq!((server.host.as_str(), server.port), ("mail.example.com", 587));
        assert_eq!(server.security, smtp::Security::Starttls);
        assert!(server.login.is_none());
        assert_eq!(c.domain, "example.com");
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        assert_eq!(schema["properties"]["maxInFlight"]["default"], 10);
        assert_eq!(schema["properties"]["maxInFlight"]["maximum"], MAX_IN_FLIGHT);
        assert_eq!(schema["properties"]["timeoutSeconds"]["default"], 60);
    }

    #[test]
    fn a_mistake_names_its_field() {
        for (json, field) in [
            (r#"{"host":"h","from":{"email":"nobody"}}"#, "from.email"),
            (r#"{"host":"h","from":{"email":"a@b.co"},"replyTo":"x"}"#, "replyTo"),
            (r#"{"host":"h","from":{"email":"a@b.co"},"domain":"a b"}"#, "domain"),
            (r#"{"host":"h","from":{"email":"a@b.co"},"listUnsubscribe":{"url":"http://x"}}"#, "listUnsubscribe.url"),
            (
                r#"{"host":"h","from":{"email":"a@b.co"},"listUnsubscribe":{"url":"https://x>\r\nX: y"}}"#,
                "listUnsubscribe.url",
            ),
            (r#"{"host":"h","from":{"email":"a@b.co"},"surprise":1}"#, "surprise"),
        ] {
            let error = Config::read(json).expect_err(json);
            assert!(error.contains(field), "{json}: {error}");
        }
    }
}
