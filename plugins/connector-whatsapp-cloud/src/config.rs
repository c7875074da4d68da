//! The connector's configuration and its schema. The secrets are not in it: the engine keeps them, puts the token into the header and the
//! proof into the address, and checks with the others who calls.

use pombo_plugin::connector::http;
use serde::Deserialize;

use crate::{instant, url};

/// What the engine validates before a connector is stored.
pub(crate) const SCHEMA: &str = include_str!("config.schema.json");

/// The secret fields.
pub(crate) const ACCESS_TOKEN: &str = "accessToken";
pub(crate) const APP_SECRET: &str = "appSecret";
pub(crate) const VERIFY_TOKEN: &str = "verifyToken";

/// What is set for line breaks in a template's variables, and the setting with which the engine makes spaces of them.
pub(crate) const NEWLINES: &str = "newlines";
pub(crate) const REPLACE: &str = "replace";

/// The host of the Graph API, and of the files that people send.
pub(crate) const GRAPH_HOST: &str = "graph.facebook.com";
pub(crate) const MEDIA_HOST: &str = "lookaside.fbsbx.com";
const VERSION: &str = "v26.0";

/// What becomes of line breaks in a template's variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Newlines {
    #[default]
    Refuse,
    Replace,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    phone_number_id: String,
    waba_id: String,
    base_url: Option<String>,
    version: Option<String>,
    media_host: Option<String>,
    token_expires_at: Option<String>,
    per_second: Option<u32>,
    #[serde(default)]
    newlines: Newlines,
    app_id: Option<String>,
    #[serde(default)]
    app_secret_proof: bool,
    /// For the engine: who shares an audience.
    #[serde(rename = "portfolioId")]
    _portfolio_id: Option<String>,
}

/// A configuration that can work.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// With the version, without a slash at its end.
    base: String,
    pub(crate) phone: String,
    pub(crate) waba: String,
    /// The app, which takes samples of templates' headers.
    pub(crate) app: Option<String>,
    /// Whether each call proves that the app's secret is known.
    proof: bool,
    media_host: Option<String>,
    pub(crate) token_expires_at: Option<u64>,
    pub(crate) per_second: Option<u32>,
    pub(crate) newlines: Newlines,
}

fn is_number(id: &str) -> bool {
    (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit())
}

impl Config {
    /// Reads what the engine passes to `run`. An error says which field to change.
    pub(crate) fn read(json: &str) -> Result<Self, String> {
        let raw: Raw = serde_json::from_str(json).map_err(|e| e.to_string())?;
        let given = |value: Option<String>| value.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let base = given(raw.base_url).unwrap_or_else(|| format!("https://{GRAPH_HOST}"));
        let base = base.trim_end_matches('/');
        let plain = base.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'@'));
        if !plain || url::origin(base).is_none() {
            return Err("baseUrl: must be an http or https URL without user, query and fragment".to_owned());
        }
        let version = given(raw.version).unwrap_or_else(|| VERSION.to_owned());
        let is_version = version.strip_prefix('v').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
        if !is_version || version.len() > 8 {
            return Err("version: must be one of the Graph API, e.g. v26.0".to_owned());
        }
        let (phone, waba) = (raw.phone_number_id.trim().to_owned(), raw.waba_id.trim().to_owned());
        for (field, id) in [("phoneNumberId", &phone), ("wabaId", &waba)] {
            if !is_number(id) {
                return Err(format!("{field}: must be an id of Meta's, which consists of digits"));
            }
        }
        let app = given(raw.app_id);
        if app.as_deref().is_some_and(|id| !is_number(id)) {
            return Err("appId: must be an id of Meta's, which consists of digits".to_owned());
        }
        let token_expires_at = match given(raw.token_expires_at) {
            None => None,
            Some(text) => {
                let wrong = || "tokenExpiresAt: must be an instant, e.g. 2027-01-31T00:00:00Z".to_owned();
                Some(instant::of_rfc3339(&text).ok_or_else(wrong)?)
            }
        };
        Ok(Self {
            base: format!("{base}/{version}"),
            phone,
            waba,
            app,
            proof: raw.app_secret_proof,
            media_host: given(raw.media_host).map(|host| host.to_ascii_lowercase()),
            token_expires_at,
            per_second: raw.per_second,
            newlines: raw.newlines,
        })
    }

    /// Where a call goes; `path` follows the version and begins with a slash. The engine puts the proof in.
    pub(crate) fn url(&self, path: &str) -> String {
        let base = &self.base;
        if !self.proof {
            return format!("{base}{path}");
        }
        let joint = if path.contains('?') { '&' } else { '?' };
        format!("{base}{path}{joint}appsecret_proof={{{{hmac-sha256:{APP_SECRET}:{ACCESS_TOKEN}}}}}")
    }

    /// A call of the Graph API.
    pub(crate) fn request(&self, method: &str, path: &str, body: Option<Vec<u8>>) -> http::Request {
        let mut headers = vec![authorization(), header("Accept", "application/json")];
        if body.is_some() {
            headers.push(header("Content-Type", "application/json"));
        }
        http::Request { method: method.to_owned(), url: self.url(path), headers, body, timeout_millis: None }
    }

    /// Asks about the access token, in its own name.
    pub(crate) fn token_question(&self) -> http::Request {
        self.request("GET", &Self::about_token(), None)
    }

    /// The same in the name of the app, if its id is known. A proof would be of the other token, and an app's secret needs none.
    pub(crate) fn token_question_by_app(&self) -> Option<http::Request> {
        let app = self.app.as_ref()?;
        let by_app = header("Authorization", &format!("Bearer {app}|{{{{secret:{APP_SECRET}}}}}"));
        Some(http::Request {
            method: "GET".to_owned(),
            url: format!("{}{}", self.base, Self::about_token()),
            headers: vec![by_app, header("Accept", "application/json")],
            body: None,
            timeout_millis: None,
        })
    }

    /// The engine puts the token in.
    fn about_token() -> String {
        format!("/debug_token?input_token={{{{secret:{ACCESS_TOKEN}}}}}")
    }

    /// The headers of an upload.
    pub(crate) fn upload_headers(boundary: &str) -> Vec<http::Header> {
        let content_type = format!("multipart/form-data; boundary={boundary}");
        vec![authorization(), header("Accept", "application/json"), header("Content-Type", &content_type)]
    }

    /// The headers of a sample's bytes. Meta wants the token under another word here.
    pub(crate) fn sample_headers() -> Vec<http::Header> {
        vec![
            header("Authorization", &format!("OAuth {{{{secret:{ACCESS_TOKEN}}}}}")),
            header("Accept", "application/json"),
            header("Content-Type", "application/octet-stream"),
            header("file_offset", "0"),
        ]
    }

    /// The headers with which a received file is fetched; `None` for a host that must not get the token.
    pub(crate) fn headers_to(&self, link: &str) -> Option<Vec<http::Header>> {
        let own = url::origin(link).is_some_and(|asked| url::origin(&self.base) == Some(asked));
        let authority = url::authority(link).map(str::to_ascii_lowercase).unwrap_or_default();
        let host = authority.split(':').next().unwrap_or_default();
        let named = |allowed: &str| !host.is_empty() && (allowed == authority || allowed == host);
        let other = self.media_host.as_deref().is_some_and(named);
        let allowed = own || authority == MEDIA_HOST || other;
        // Meta's hosts of files refuse a request without a user agent.
        allowed.then(|| vec![authorization(), header("User-Agent", "Pombo")])
    }
}

fn authorization() -> http::Header {
    header("Authorization", &format!("Bearer {{{{secret:{ACCESS_TOKEN}}}}}"))
}

fn header(name: &str, value: &str) -> http::Header {
    http::Header { name: name.to_owned(), value: value.to_owned() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const IDS: &str = r#""phoneNumberId":"106540352242922","wabaId":"102290129340398""#;

    /// One with these further fields.
    pub(crate) fn config(further: &str) -> Config {
        Config::read(&format!("{{{IDS}{further}}}")).expect("valid")
    }

    #[test]
    fn the_schema_has_every_field_of_the_configuration() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        for secret in [ACCESS_TOKEN, APP_SECRET, VERIFY_TOKEN] {
            assert!(schema["properties"][secret]["writeOnly"] == true, "{secret}");
        }
        for field in [
            "phoneNumberId",
            "wabaId",
            "appId",
            "appSecretProof",
            "portfolioId",
            "baseUrl",
            "version",
            "mediaHost",
            "tokenExpiresAt",
            "perSecond",
            "newlines",
        ] {
            assert!(schema["properties"][field].is_object(), "{field}");
        }
        let set = schema["properties"][NEWLINES]["enum"].as_array().expect("a list");
        assert!(set.iter().any(|word| word == REPLACE));
        assert_eq!(config(&format!(r#","{NEWLINES}":"{REPLACE}""#)).newlines, Newlines::Replace);
    }

    #[test]
    fn a_call_carries_the_token_by_name_and_the_version() {
        let request = config("").request("POST", "/1/messages", Some(b"{}".to_vec()));
        assert_eq!(request.url, "https://graph.facebook.com/v26.0/1/messages");
        let value = |name: &str| request.headers.iter().find(|h| h.name == name).map(|h| h.value.as_str());
        assert_eq!(value("Authorization"), Some("Bearer {{secret:accessToken}}"));
        let own = config(r#","baseUrl":"https://g.example:8443/x/","version":"v25.0""#);
        assert_eq!(own.request("GET", "/1", None).url, "https://g.example:8443/x/v25.0/1");
    }

    #[test]
    fn a_call_proves_the_apps_secret_by_name() {
        let proving = config(r#","appSecretProof":true"#);
        let proof = "appsecret_proof={{hmac-sha256:appSecret:accessToken}}";
        assert_eq!(proving.url("/1"), format!("https://graph.facebook.com/v26.0/1?{proof}"));
        assert_eq!(
            proving.request("GET", "/1?a=b", None).url,
            format!("https://graph.facebook.com/v26.0/1?a=b&{proof}")
        );
        assert!(!config("").url("/1?a=b").contains("proof"));
    }

    #[test]
    fn the_token_goes_to_the_hosts_of_files_only() {
        let plain = config("");
        assert!(plain.headers_to("https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1").is_some());
        assert!(plain.headers_to("https://graph.facebook.com/x").is_some());
        for other in [
            "http://lookaside.fbsbx.com/x",
            "http://graph.facebook.com/x",
            "https://lookaside.fbsbx.com:8443/x",
            "https://lookaside.fbsbx.com.evil.example/x",
            "https://lookaside.fbsbx.com@evil.example/x",
            "https://evil.example/https://lookaside.fbsbx.com/",
            "https://files.example/x",
        ] {
            assert!(plain.headers_to(other).is_none(), "{other}");
        }
        assert!(config(r#","mediaHost":"files.example""#).headers_to("https://files.example:9/x").is_some());
        let with_port = config(r#","mediaHost":"files.example:9""#);
        assert!(with_port.headers_to("https://files.example:9/x").is_some());
        assert!(with_port.headers_to("https://files.example/x").is_none());
    }

    #[test]
    fn a_mistake_names_its_field() {
        for (further, field) in [
            (r#","baseUrl":"ftp://g.example""#, "baseUrl"),
            (r#","baseUrl":"https://a@g.example""#, "baseUrl"),
            (r#","version":"latest""#, "version"),
            (r#","tokenExpiresAt":"soon""#, "tokenExpiresAt"),
            (r#","newlines":"keep""#, "keep"),
            (r#","appId":"1/2""#, "appId"),
            (r#","surprise":1"#, "surprise"),
        ] {
            let error = Config::read(&format!("{{{IDS}{further}}}")).expect_err(further);
            assert!(error.contains(field), "{further}: {error}");
        }
        let error = Config::read(r#"{"phoneNumberId":"+55 11","wabaId":"1"}"#).expect_err("a number");
        assert!(error.contains("phoneNumberId"), "{error}");
    }
}
