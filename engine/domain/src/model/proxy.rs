//! The proxy of a connector: what its plugin opens leaves by it, and by nothing else.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// How a proxy is spoken to. Both get names as they are: the proxy resolves them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProxyKind {
    /// SOCKS 5 (RFC 1928), with a user name and a password (RFC 1929) or without.
    Socks5h,
    /// The method CONNECT of HTTP/1.1 (RFC 9110), with Basic credentials or without.
    Http,
}

impl ProxyKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Socks5h, Self::Http];

    /// The scheme in the proxy's URL.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Socks5h => "socks5h",
            Self::Http => "http",
        }
    }

    /// The kind with this scheme.
    pub fn of_scheme(scheme: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.scheme() == scheme)
    }
}

/// A connector's proxy as it is stored. Its sealed password keeps `Debug` away.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// How it is spoken to.
    pub kind: ProxyKind,
    /// Its name or address; an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user name that it is given.
    pub user: Option<String>,
    /// The password, sealed by [`crate::ports::SecretBox`]. Invariant: there is one exactly where there is a user name.
    pub password: Option<Vec<u8>>,
    /// A URL that answers with the address that it is called from; asked through the proxy.
    pub check_url: Option<String>,
    /// After how many seconds of silence the proxy ends a connection.
    pub idle_seconds: u16,
}

impl Proxy {
    /// Its URL with the user name, without the password.
    pub fn url(&self) -> String {
        let mut url = format!("{}://", self.kind.scheme());
        if let Some(user) = &self.user {
            for byte in user.bytes() {
                match byte {
                    b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => url.push(char::from(byte)),
                    // Writing to a text does not fail.
                    _ => drop(write!(url, "%{byte:02X}")),
                }
            }
            url.push('@');
        }
        let brackets = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        let _ = write!(url, "{}{}{}:{}", brackets.0, self.host, brackets.1, self.port);
        url
    }

    /// Whether `other` is the same server with the same user name: then a password of one is meant for both.
    pub fn is_same_login(&self, other: &Self) -> bool {
        (self.kind, &self.host, self.port, &self.user) == (other.kind, &other.host, other.port, &other.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(host: &str, user: Option<&str>) -> Proxy {
        Proxy {
            kind: ProxyKind::Socks5h,
            host: host.to_owned(),
            port: 1080,
            user: user.map(str::to_owned),
            password: user.map(|_| b"sealed".to_vec()),
            check_url: None,
            idle_seconds: 60,
        }
    }

    #[test]
    fn a_url_has_the_user_name_and_never_the_password() {
        assert_eq!(proxy("proxy.example", None).url(), "socks5h://proxy.example:1080");
        assert_eq!(proxy("10.0.0.1", Some("ana")).url(), "socks5h://ana@10.0.0.1:1080");
        assert_eq!(proxy("::1", Some("a@b:c/ã")).url(), "socks5h://a%40b%3Ac%2F%C3%A3@[::1]:1080");
        assert_eq!(Proxy { kind: ProxyKind::Http, ..proxy("p", None) }.url(), "http://p:1080");
    }

    #[test]
    fn a_password_belongs_to_one_server_and_one_user() {
        let own = proxy("proxy.example", Some("ana"));
        assert!(own.is_same_login(&Proxy { check_url: Some("u".to_owned()), password: None, ..own.clone() }));
        for other in [
            proxy("other.example", Some("ana")),
            proxy("proxy.example", Some("bia")),
            Proxy { port: 1081, ..own.clone() },
            Proxy { kind: ProxyKind::Http, ..own.clone() },
        ] {
            assert!(!own.is_same_login(&other), "{}", other.url());
        }
    }
}
