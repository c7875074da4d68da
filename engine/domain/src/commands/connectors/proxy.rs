//! The proxy of a connector: what of it is checked before it is stored, how its password is sealed, and what is shown of it.
//!
//! A proxy is no field of a plugin's configuration: the plugin never learns of it. Its password is sealed like the secrets of the
//! configuration, under a context of its own, so that neither can be opened as the other.

use std::ops::RangeInclusive;
use std::sync::Arc;

use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::connectors::ConnectorView;
use crate::model::{Connector, Proxy, ProxyKind};
use crate::ports::{ProxySpec, SessionState};
use crate::{Error, Field, FieldPath, Result};

/// After how many seconds of silence a proxy is taken to end a connection, if its user does not say.
pub const DEFAULT_IDLE_SECONDS: u16 = 60;

/// What may be said of that.
const IDLE_SECONDS: RangeInclusive<u16> = 10..=3600;
/// Bytes of a user name or a password: what one byte counts (RFC 1929).
const LOGIN_BYTES: RangeInclusive<usize> = 1..=255;
/// Bytes of a host's name.
const HOST_BYTES: usize = 253;

/// A proxy as it is asked for.
pub struct ProxyRequest {
    /// How it is spoken to.
    pub kind: ProxyKind,
    /// Its name or address; an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user name that it is given.
    pub user: Option<String>,
    /// The password. Without one, a user name needs a proxy that is there: the same server with the same user name keeps its password.
    pub password: Option<String>,
    /// A URL that answers with the address that it is called from.
    pub check_url: Option<String>,
    /// After how many seconds of silence it ends a connection.
    pub idle_seconds: u16,
}

fn wrong<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::invalid(Field::Proxy, message))
}

fn within(field: Field, message: impl Into<String>) -> Error {
    Error::invalid(FieldPath::from(field).inside(Field::Proxy), message)
}

/// The context of a sealed password: it opens for the proxy of this connector only.
fn seal_context(connector: Uuid) -> String {
    format!("proxy/{connector}")
}

fn check_form(request: &ProxyRequest) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
    if request.host.is_empty() || request.host.len() > HOST_BYTES || !request.host.bytes().all(allowed) {
        return wrong("its host must be a name of letters, digits, dashes and dots, or an address");
    }
    if request.port == 0 {
        return wrong("its port must not be 0");
    }
    let fits = |text: &str| LOGIN_BYTES.contains(&text.len()) && !text.chars().any(char::is_control);
    match (&request.user, &request.password) {
        (Some(user), password) => {
            if !fits(user) || !password.as_deref().is_none_or(fits) {
                return wrong(
                    "its user name and its password must each have 1 to 255 bytes, without control characters",
                );
            }
            if request.kind == ProxyKind::Http && user.contains(':') {
                return wrong("the user name of an HTTP proxy must not contain a colon");
            }
        }
        (None, Some(_)) => return wrong("a password needs a user name"),
        (None, None) => {}
    }
    if !IDLE_SECONDS.contains(&request.idle_seconds) {
        let (least, most) = IDLE_SECONDS.into_inner();
        return Err(within(Field::IdleSeconds, format!("must be from {least} to {most}")));
    }
    Ok(())
}

impl Commands {
    /// The proxy to store for a connector that has the proxy `before`.
    pub(super) fn checked_proxy(
        &self,
        connector: Uuid,
        request: ProxyRequest,
        before: Option<&Proxy>,
    ) -> Result<Proxy> {
        check_form(&request)?;
        if let Some(url) = &request.check_url {
            self.ports().guard.check_url(url).map_err(|error| within(Field::CheckUrl, error.to_string()))?;
        }
        self.ports()
            .connectors
            .check_proxy(&request.host, request.port)
            .map_err(|why| Error::invalid(Field::Proxy, why))?;
        let seal = |password: String| self.ports().secrets.seal(&seal_context(connector), password.as_bytes());
        let ProxyRequest { kind, host, port, user, password, check_url, idle_seconds } = request;
        let mut proxy = Proxy { kind, host, port, user, password: password.map(seal), check_url, idle_seconds };
        if proxy.user.is_some() && proxy.password.is_none() {
            // Never for another server: whoever may change the proxy could otherwise have the password sent to a server of his own.
            proxy.password = before.filter(|before| before.is_same_login(&proxy)).and_then(|b| b.password.clone());
            if proxy.password.is_none() {
                return wrong("a user name needs a password: write both into the URL");
            }
        }
        Ok(proxy)
    }

    /// The proxy with its password, for the sandbox.
    pub(super) fn opened_proxy(&self, connector: &Connector) -> Result<Option<ProxySpec>> {
        let Some(proxy) = connector.proxy.clone() else { return Ok(None) };
        let password = match &proxy.password {
            None => None,
            Some(sealed) => {
                let plain = self.ports().secrets.open(&seal_context(connector.id), sealed).ok();
                Some(plain.and_then(|plain| String::from_utf8(plain).ok()).ok_or_else(|| {
                    Error::conflict(
                        "the stored password of the proxy cannot be decrypted with the engine's current key; start it with the \
                         key it was encrypted with, or set the proxy again",
                    )
                })?)
            }
        };
        Ok(Some(ProxySpec { proxy, password }))
    }

    /// A connector with the state of its session and what is known of its proxy.
    pub(super) fn connector_view(&self, connector: Arc<Connector>, session: SessionState) -> ConnectorView {
        let proxy = self.ports().connectors.proxy_status(connector.index).filter(|_| connector.proxy.is_some());
        ConnectorView { connector, session, proxy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ProxyRequest {
        ProxyRequest {
            kind: ProxyKind::Socks5h,
            host: "proxy.example".to_owned(),
            port: 1080,
            user: Some("ana".to_owned()),
            password: Some("s3cret".to_owned()),
            check_url: None,
            idle_seconds: DEFAULT_IDLE_SECONDS,
        }
    }

    #[test]
    fn what_no_proxy_takes_is_refused_without_the_password() {
        assert!(check_form(&request()).is_ok());
        assert!(check_form(&ProxyRequest { password: None, ..request() }).is_ok(), "that is for the stored one to say");
        assert!(check_form(&ProxyRequest { host: "2001:db8::1".to_owned(), ..request() }).is_ok());
        let text = |text: &str| Some(text.to_owned());
        for (wrong, part) in [
            (ProxyRequest { host: String::new(), ..request() }, "host"),
            (ProxyRequest { host: "a/b".to_owned(), ..request() }, "host"),
            (ProxyRequest { host: "a\r\nb".to_owned(), ..request() }, "host"),
            (ProxyRequest { host: "a".repeat(254), ..request() }, "host"),
            (ProxyRequest { port: 0, ..request() }, "port"),
            (ProxyRequest { user: None, ..request() }, "needs a user name"),
            (ProxyRequest { user: text(""), ..request() }, "1 to 255"),
            (ProxyRequest { password: text(""), ..request() }, "1 to 255"),
            (ProxyRequest { password: Some("s3cret".repeat(50)), ..request() }, "1 to 255"),
            (ProxyRequest { password: text("s3cret\r\nX: y"), ..request() }, "control characters"),
            (ProxyRequest { kind: ProxyKind::Http, user: text("a:b"), ..request() }, "colon"),
            (ProxyRequest { idle_seconds: 9, ..request() }, "from 10 to 3600"),
            (ProxyRequest { idle_seconds: 3601, ..request() }, "from 10 to 3600"),
        ] {
            let error = check_form(&wrong).expect_err(part);
            assert!(error.message.contains(part) && !error.message.contains("s3cret"), "{}", error.message);
            assert_eq!(error.fields[0].field.root(), Some(Field::Proxy));
        }
    }
}
