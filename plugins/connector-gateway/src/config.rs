//! The connector's configuration and its schema. The token is not in it: the engine keeps it and puts it into the header.

use pombo_plugin::connector::http;
use serde::Deserialize;

/// What the engine validates before a connector is stored.
pub(crate) const SCHEMA: &str = include_str!("config.schema.json");

/// The secret field.
pub(crate) const TOKEN: &str = "token";

/// The header that names an instance.
pub(crate) const INSTANCE: &str = "x-instance-uuid";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    base_url: String,
    instance_id: Option<String>,
    /// For the engine, which allows no other hosts.
    #[serde(rename = "mediaHost")]
    _media_host: Option<String>,
}

/// A configuration that can work.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Without a slash at its end.
    base: String,
    pub(crate) instance: Option<String>,
}

impl Config {
    /// Reads what the engine passes to `run`. An error says which field to change.
    pub(crate) fn read(json: &str) -> Result<Self, String> {
        let raw: Raw = serde_json::from_str(json).map_err(|e| e.to_string())?;
        let base = raw.base_url.trim().trim_end_matches('/').to_owned();
        let plain = base.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'@'));
        if !plain || origin(&base).is_none() {
            return Err("baseUrl: must be an https URL without user, query and fragment".to_owned());
        }
        let instance = raw.instance_id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
        if instance.as_ref().is_some_and(|id| id.len() > 128 || !id.bytes().all(|b| b.is_ascii_graphic())) {
            return Err("instanceId: must have at most 128 visible ASCII characters".to_owned());
        }
        Ok(Self { base, instance })
    }

    /// A request of the instance API.
    pub(crate) fn request(&self, method: &str, path: &str, body: Option<Vec<u8>>) -> http::Request {
        let mut headers = vec![authorization(), header("Accept", "application/json")];
        if body.is_some() {
            headers.push(header("Content-Type", "application/json"));
        }
        if let Some(instance) = &self.instance {
            headers.push(header("X-Instance-UUID", instance));
        }
        http::Request {
            method: method.to_owned(),
            url: format!("{}{path}", self.base),
            headers,
            body,
            timeout_millis: None,
        }
    }

    /// The headers with which a file is fetched: the token only to the gateway itself.
    pub(crate) fn headers_to(&self, url: &str) -> Vec<http::Header> {
        let own = origin(url).is_some_and(|asked| origin(&self.base) == Some(asked));
        if own { vec![authorization()] } else { Vec::new() }
    }
}

/// `https://host:port` of an https URL, as it is written.
fn origin(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let sound = !authority.is_empty() && !authority.contains(['@', '\\']) && !authority.starts_with(':');
    if sound { url.get(.."https://".len() + authority.len()) } else { None }
}

fn authorization() -> http::Header {
    header("Authorization", &format!("Bearer {{{{secret:{TOKEN}}}}}"))
}

fn header(name: &str, value: &str) -> http::Header {
    http::Header { name: name.to_owned(), value: value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Config {
        Config::read(&format!(r#"{{"baseUrl":"{url}"}}"#)).expect("valid")
    }

    #[test]
    fn the_schema_has_every_field_of_the_configuration() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        assert!(schema["properties"][TOKEN]["writeOnly"] == true);
        for field in ["baseUrl", "instanceId", "mediaHost"] {
            assert!(schema["properties"][field].is_object(), "{field}");
        }
    }

    #[test]
    fn a_request_carries_the_token_by_name_and_the_instance() {
        let config = Config::read(r#"{"baseUrl":"https://g.example/i-7/","instanceId":"7","mediaHost":"f.example"}"#);
        let request = config.expect("valid").request("POST", "/send-message", Some(b"{}".to_vec()));
        assert_eq!(request.url, "https://g.example/i-7/send-message");
        let value = |name: &str| request.headers.iter().find(|h| h.name == name).map(|h| h.value.as_str());
        assert_eq!(value("Authorization"), Some("Bearer {{secret:token}}"));
        assert_eq!((value("X-Instance-UUID"), value("Content-Type")), (Some("7"), Some("application/json")));
        assert!(read("https://g.example").request("GET", "/status", None).headers.len() == 2);
    }

    #[test]
    fn the_token_goes_to_the_gateway_only() {
        let config = read("https://g.example:8443/x");
        assert_eq!(config.headers_to("https://g.example:8443/files/1").len(), 1);
        for other in [
            "https://g.example/files/1",
            "http://g.example:8443/files/1",
            "https://g.example:8443.evil.example/1",
            "https://g.example:8443@evil.example/1",
            "https://evil.example/https://g.example:8443/",
        ] {
            assert!(config.headers_to(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn a_mistake_names_its_field() {
        for (json, field) in [
            (r#"{"baseUrl":"http://g.example"}"#, "baseUrl"),
            (r#"{"baseUrl":"https://"}"#, "baseUrl"),
            (r#"{"baseUrl":"https://a@g.example"}"#, "baseUrl"),
            (r#"{"baseUrl":"https://g.example?x=1"}"#, "baseUrl"),
            (r#"{"baseUrl":"https://g.example","instanceId":"a b"}"#, "instanceId"),
            (r#"{"baseUrl":"https://g.example","surprise":1}"#, "surprise"),
            (r#"{}"#, "baseUrl"),
        ] {
            let error = Config::read(json).expect_err(json);
            assert!(error.contains(field), "{json}: {error}");
        }
    }
}
