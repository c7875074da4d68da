//! What a plugin may ask of the host. Three moments: the engine offers all of [`Capability`], the operator's grant is checked
//! against what the plugin wants when it is loaded, and every call asks the instance's own [`Grants`].
//!
//! Invariant: an interface is always linked, so that a missing grant is an answer to the plugin and not a failed start.

use serde_json::Value;
use url::Url;

use crate::bindings::types as wit;

/// A host interface that needs a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// The key/value store.
    Kv,
    /// HTTP requests.
    Http,
    /// WebSocket connections.
    Websocket,
    /// Mail submission.
    Smtp,
    /// Reading the files of its own messages.
    MediaRead,
    /// Storing files that its channel brought.
    MediaWrite,
    /// Telling the engine of sessions, receipts and messages.
    Events,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Kv, Self::Http, Self::Websocket, Self::Smtp, Self::MediaRead, Self::MediaWrite, Self::Events];

    /// Its name in configuration and descriptions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::Http => "http",
            Self::Websocket => "websocket",
            Self::Smtp => "smtp",
            Self::MediaRead => "media-read",
            Self::MediaWrite => "media-write",
            Self::Events => "events",
        }
    }

    /// By its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }
}

impl From<wit::Capability> for Capability {
    fn from(wanted: wit::Capability) -> Self {
        match wanted {
            wit::Capability::Kv => Self::Kv,
            wit::Capability::Http => Self::Http,
            wit::Capability::Websocket => Self::Websocket,
            wit::Capability::Smtp => Self::Smtp,
            wit::Capability::MediaRead => Self::MediaRead,
            wit::Capability::MediaWrite => Self::MediaWrite,
            wit::Capability::Events => Self::Events,
        }
    }
}

/// What one instance was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Grants(u8);

impl Grants {
    /// What is both wanted and allowed; `None` allows what is wanted.
    pub(crate) fn of(wanted: &[Capability], allowed: Option<&[Capability]>) -> Self {
        let given = wanted.iter().filter(|c| allowed.is_none_or(|a| a.contains(c)));
        Self(given.fold(0, |bits, c| bits | 1 << *c as u8))
    }

    /// `Err` holds what to tell the plugin.
    pub(crate) fn check(self, capability: Capability) -> Result<(), String> {
        if self.0 & 1 << capability as u8 != 0 {
            return Ok(());
        }
        Err(format!("the capability {:?} is not granted to this plugin", capability.name()))
    }
}

/// The servers that a connector may reach: fixed ones of its plugin, and those that its configuration names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts(Vec<Allowed>);

#[derive(Debug, Clone)]
struct Allowed {
    host: String,
    /// Any one below `host` instead of itself.
    below: bool,
    port: Option<u16>,
}

impl Allowed {
    fn fits(&self, host: &str, port: u16) -> bool {
        let named = match host.strip_suffix(&self.host) {
            Some("") => !self.below,
            Some(below) => self.below && below.len() > 1 && below.ends_with('.'),
            None => false,
        };
        named && self.port.is_none_or(|p| p == port)
    }
}

impl Hosts {
    /// `declared` as in the plugin's description: `=host`, `=*.suffix` for every host below it, or the path of a
    /// configuration field that holds a `host`, a `host:port` or a URL. A field's value is never a pattern: who writes it is not who wrote the plugin.
    pub(crate) fn new(declared: &[String], config: &Value) -> Self {
        let named = declared.iter().filter_map(|entry| {
            let fixed = entry.strip_prefix('=');
            let below = fixed.and_then(|fixed| fixed.strip_prefix("*.")).filter(|suffix| suffix.contains('.'));
            let text = match below.or(fixed) {
                Some(fixed) => fixed,
                None => entry.split('.').try_fold(config, |value, field| value.get(field))?.as_str()?,
            };
            if fixed.is_none() && text.contains("://") {
                let url = Url::parse(text.trim()).ok()?;
                let host = url.host_str()?.trim_end_matches('.').to_ascii_lowercase();
                return Some(Allowed { host, below: false, port: url.port_or_known_default() });
            }
            let text = text.trim().trim_end_matches('.').to_ascii_lowercase();
            let (host, port) = match text.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') => match port.parse() {
                    Ok(port) => (host.to_owned(), Some(port)),
                    Err(_) => (text, None),
                },
                _ => (text, None),
            };
            Some(Allowed { host, below: below.is_some(), port })
        });
        Self(named.collect())
    }

    /// `Err` holds what to tell the plugin.
    pub(crate) fn check(&self, host: &str, port: u16) -> Result<(), String> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if self.0.iter().any(|allowed| allowed.fits(&host, port)) {
            return Ok(());
        }
        Err("this server is not among those that its plugin or its configuration names".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_grant_is_what_is_wanted_and_allowed() {
        use Capability::{Http, Kv, Smtp};
        let grants = Grants::of(&[Kv, Smtp], Some(&[Smtp, Http]));
        assert!(grants.check(Smtp).is_ok());
        assert!(grants.check(Kv).is_err_and(|e| e.contains("\"kv\"")));
        assert!(grants.check(Http).is_err());
        assert!(Grants::of(&[Kv], None).check(Kv).is_ok());
        for c in Capability::ALL {
            assert_eq!(Capability::from_name(c.name()), Some(c));
        }
    }

    #[test]
    fn hosts_come_from_the_description_and_the_configuration() {
        let config = json!({"host": "Mail.Example.com", "api": {"base": "x.example:8443"}, "port": 7});
        let declared = ["host", "api.base", "=fixed.example", "port", "missing.field"].map(str::to_owned);
        let hosts = Hosts::new(&declared, &config);
        assert!(hosts.check("mail.example.COM.", 25).is_ok());
        assert!(hosts.check("x.example", 8443).is_ok());
        assert!(hosts.check("x.example", 443).is_err());
        assert!(hosts.check("fixed.example", 1).is_ok());
        assert!(hosts.check("evil.example", 25).is_err());
    }

    #[test]
    fn a_field_that_holds_a_url_allows_its_host_and_port() {
        let config =
            json!({"api": "https://Api.Example.com/v1", "own": "http://10.0.0.1:8080/x", "odd": "https://*.example/"});
        let hosts = Hosts::new(&["api", "own", "odd"].map(str::to_owned), &config);
        for (host, port, allowed) in [
            ("api.example.com", 443, true),
            ("api.example.com", 80, false),
            ("10.0.0.1", 8080, true),
            ("10.0.0.1", 80, false),
            ("a.example", 443, false),
        ] {
            assert_eq!(hosts.check(host, port).is_ok(), allowed, "{host}:{port}");
        }
    }

    #[test]
    fn a_suffix_of_the_plugin_matches_what_is_below_it_only() {
        let declared = ["=*.whatsapp.net", "=*.net", "=*.files.example:8443", "host"].map(str::to_owned);
        let hosts = Hosts::new(&declared, &json!({"host": "*.evil.example"}));
        for (host, port, allowed) in [
            ("mmg.whatsapp.net", 443, true),
            ("media-gru1-1.cdn.WhatsApp.net.", 443, true),
            ("whatsapp.net", 443, false),
            (".whatsapp.net", 443, false),
            ("evilwhatsapp.net", 443, false),
            ("whatsapp.net.evil.example", 443, false),
            ("a.files.example", 8443, true),
            ("a.files.example", 443, false),
            // A whole top-level domain is no suffix, and a configured value no pattern.
            ("other.net", 443, false),
            ("a.evil.example", 443, false),
        ] {
            assert_eq!(hosts.check(host, port).is_ok(), allowed, "{host}:{port}");
        }
    }
}
