//! Which servers a connector or an automation may reach.

use serde_json::Value;
use url::Url;

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
    /// configuration field that holds a `host`, a `host:port` or a URL. A field's value is never a pattern: the plugin's author does
    /// not write it.
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

    /// Whether a connection to this server is allowed. `Err` holds what to tell the plugin.
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
            // A whole top-level domain is not a suffix, and a configured value is not a pattern.
            ("other.net", 443, false),
            ("a.evil.example", 443, false),
        ] {
            assert_eq!(hosts.check(host, port).is_ok(), allowed, "{host}:{port}");
        }
    }
}
