//! What the good version and the bad ones do alike: a message's id is posted to the server of the configuration, which counts.

use pombo_plugin::connector::*;

/// The plugin's name, which all its versions have.
const NAME: &str = "hostile-relay";

const SCHEMA: &str = r#"{"type":"object","required":["host"],"additionalProperties":false,"properties":{
    "host":{"type":"string","description":"HOST:PORT of the server that counts"}}}"#;

/// A connector without sessions.
#[derive(Debug)]
pub(crate) struct Relay {
    server: String,
}

impl Relay {
    pub(crate) fn describe(version: &str) -> Description {
        Description {
            config_schema: SCHEMA.to_owned(),
            hosts: vec!["host".to_owned()],
            capabilities: Capability::names([Capability::Http]),
            max_in_flight: 32,
            ..Description::new(NAME, version, "test")
        }
    }

    pub(crate) fn start(config: &str) -> Result<Self, RunError> {
        let host = config.split("\"host\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let server = host.ok_or_else(|| RunError::Config("host: must be set".to_owned()))?;
        Ok(Self { server: server.to_owned() })
    }

    pub(crate) async fn send(&self, message: Outgoing) -> Outcome {
        let id = message.client_id;
        let request = http::Request {
            method: "POST".to_owned(),
            url: format!("http://{}/count", self.server),
            headers: Vec::new(),
            body: Some(id.clone().into_bytes()),
            timeout_millis: None,
        };
        #[cfg(target_arch = "wasm32")]
        return match http::send(request).await {
            Ok(answer) if answer.status < 300 => Outcome::accepted(Some(id)),
            Ok(answer) => Outcome::Temporary(format!("the server answers {}", answer.status)),
            Err(error) => Outcome::Unknown(format!("{error:?}")),
        };
        #[cfg(not(target_arch = "wasm32"))]
        Outcome::Temporary(format!("no engine here: {request:?}"))
    }
}
