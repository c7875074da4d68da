//! Wire types of a connector's proxy. The password goes in with the URL and never comes out.

use poem_openapi::Object;
use pombo_domain::commands::connectors::proxy::{DEFAULT_IDLE_SECONDS, ProxyRequest};
use pombo_domain::model::{self, ProxyKind};
use pombo_domain::ports::ProxyStatus;
use pombo_domain::{Error, Field};
use serde::Deserialize;
use url::{Host, Url};

use super::Instant;

/// The port of a SOCKS proxy whose URL names none (RFC 1928).
const SOCKS_PORT: u16 = 1080;

/// The proxy that a connector gets.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SetProxy {
    /// `socks5h://user:password@host:1080`, or `http://user:password@host:3128` for a proxy with the method CONNECT; user and password
    /// may be left out together. Special characters in them are percent-encoded. With a user and no password, the stored password
    /// stays, provided that scheme, host, port and user are those of the stored proxy.
    #[oai(validator(min_length = 8, max_length = 2048))]
    url: String,
    /// A URL that answers with the address that it is called from, as text or as JSON with `ip` (and `country`, if it tells one). It is
    /// asked through the proxy when the connector starts and every hour. If omitted, nothing is asked.
    #[oai(nullable, validator(max_length = 2048))]
    check_url: Option<String>,
    /// After how many seconds of silence the proxy ends a connection, from 10 to 3600. Silent connections get a sign of life after half
    /// of that.
    #[oai(default = "default_idle_seconds", validator(minimum(value = "10"), maximum(value = "3600")))]
    #[serde(default = "default_idle_seconds")]
    idle_seconds: u16,
}

fn default_idle_seconds() -> u16 {
    DEFAULT_IDLE_SECONDS
}

/// The proxy of a connector.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Proxy {
    /// Its URL with the user name, without the password.
    url: String,
    /// What is asked for the address that its connections come from.
    #[oai(skip_serializing_if_is_none)]
    check_url: Option<String>,
    /// After how many seconds of silence it ends a connection.
    idle_seconds: u16,
    /// Why it does not work. Absent while it does, and before it was used.
    #[oai(skip_serializing_if_is_none)]
    problem: Option<String>,
    /// When `checkUrl` was last asked since the connector started.
    #[oai(skip_serializing_if_is_none)]
    checked_at: Option<Instant>,
    /// The address that its connections come from.
    #[oai(skip_serializing_if_is_none)]
    exit_address: Option<String>,
    /// The country of that address, if `checkUrl` tells one.
    #[oai(skip_serializing_if_is_none)]
    exit_country: Option<String>,
    /// Why the last check told no address.
    #[oai(skip_serializing_if_is_none)]
    check_problem: Option<String>,
}

impl Proxy {
    pub(crate) fn of(proxy: &model::Proxy, status: Option<ProxyStatus>) -> Self {
        let status = status.unwrap_or_default();
        Self {
            url: proxy.url(),
            check_url: proxy.check_url.clone(),
            idle_seconds: proxy.idle_seconds,
            problem: status.problem,
            checked_at: status.checked_at.map(Instant),
            exit_address: status.exit_address,
            exit_country: status.exit_country,
            check_problem: status.check_problem,
        }
    }
}

/// No message repeats the URL: it may hold a password.
fn wrong(message: &str) -> Error {
    Error::invalid(Field::Proxy.named("url"), message)
}

impl SetProxy {
    pub(crate) fn into_domain(self) -> Result<ProxyRequest, Error> {
        let url = Url::parse(self.url.trim()).map_err(|_| {
            wrong("is not a URL; write socks5h://user:password@host:port or http://user:password@host:port")
        })?;
        let kind = ProxyKind::of_scheme(url.scheme()).ok_or_else(|| match url.scheme() {
            "socks5" | "socks" => wrong("must begin with socks5h://, because names are resolved by the proxy"),
            _ => wrong("must begin with socks5h:// or http://"),
        })?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("must end after the host and the port"));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_ascii_lowercase(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(wrong("has no host")),
        };
        let port = match kind {
            ProxyKind::Socks5h => url.port().unwrap_or(SOCKS_PORT),
            ProxyKind::Http => url.port_or_known_default().ok_or_else(|| wrong("has no port"))?,
        };
        let decoded = |text: &str| {
            let plain = percent_encoding::percent_decode_str(text).decode_utf8();
            plain.map(|plain| plain.into_owned()).map_err(|_| wrong("holds a user or a password that is not UTF-8"))
        };
        let user = Some(url.username()).filter(|user| !user.is_empty()).map(decoded).transpose()?;
        let password = url.password().map(decoded).transpose()?;
        Ok(ProxyRequest {
            kind,
            host,
            port,
            user,
            password,
            check_url: self.check_url.filter(|url| !url.is_empty()),
            idle_seconds: self.idle_seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<ProxyRequest, Error> {
        SetProxy { url: url.to_owned(), check_url: None, idle_seconds: 60 }.into_domain()
    }

    #[test]
    fn a_url_holds_everything() {
        let text = |text: &str| Some(text.to_owned());
        for (url, kind, host, port, user, password) in [
            ("socks5h://Proxy.example", ProxyKind::Socks5h, "proxy.example", 1080, None, None),
            ("socks5h://10.0.0.1:9/", ProxyKind::Socks5h, "10.0.0.1", 9, None, None),
            ("socks5h://[fd00::1]:9", ProxyKind::Socks5h, "fd00::1", 9, None, None),
            ("http://proxy.example", ProxyKind::Http, "proxy.example", 80, None, None),
            ("http://a%40b:p%3A%2Fq@p.example:3128", ProxyKind::Http, "p.example", 3128, text("a@b"), text("p:/q")),
            ("socks5h://ana@p.example", ProxyKind::Socks5h, "p.example", 1080, text("ana"), None),
        ] {
            let read = read(url).unwrap_or_else(|error| panic!("{url}: {}", error.message));
            assert!(read.kind == kind && read.host == host && read.port == port, "{url}");
            assert!(read.user == user && read.password == password, "{url}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_repeating_it() {
        for (url, part) in [
            ("proxy.example:1080", "begin with"),
            ("s3cret", "not a URL"),
            ("socks5://ana:s3cret@p.example", "resolved by the proxy"),
            ("https://ana:s3cret@p.example", "begin with"),
            ("socks5h://", "has no host"),
            ("http://ana:s3cret@p.example/path", "must end"),
            ("socks5h://ana:s3cret@p.example?x", "must end"),
            ("socks5h://ana:%ff@p.example", "UTF-8"),
        ] {
            let error = read(url).map(|_| ()).expect_err(url);
            assert!(error.message.contains(part) && !error.message.contains("s3cret"), "{url}: {}", error.message);
            assert_eq!(error.fields[0].field.to_string(), "proxy.url");
        }
    }
}
