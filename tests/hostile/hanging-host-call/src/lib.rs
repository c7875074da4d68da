//! A send that waits in the host for a server that never speaks.

use pombo_plugin::connector::*;

/// The plugin.
#[derive(Debug)]
pub struct Hostile {
    port: u16,
}

impl Connector for Hostile {
    fn describe() -> Description {
        Description {
            config_schema: r#"{"type":"object","required":["host","port"],"properties":{"host":{"type":"string"},"port":{"type":"integer"}}}"#
                .to_owned(),
            hosts: vec!["host".to_owned()],
            capabilities: Capability::names([Capability::Smtp]),
            ..Description::new("hostile-hanging-host-call", env!("CARGO_PKG_VERSION"), "test")
        }
    }

    async fn start(config: &str) -> Result<Self, RunError> {
        let digits: String =
            config.split("\"port\":").nth(1).unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
        Ok(Self { port: digits.parse().map_err(|_| RunError::Config("port: must be a number".to_owned()))? })
    }

    async fn send(&self, message: Outgoing) -> Outcome {
        let server = smtp::Server {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            security: smtp::Security::None,
            login: None,
            extra_ca: None,
            timeout_millis: Some(u32::MAX),
        };
        let envelope = smtp::Envelope { sender: None, recipients: vec![message.to] };
        #[cfg(target_arch = "wasm32")]
        return match smtp::submit(server, envelope, vec![smtp::Segment::Bytes(b"x".to_vec())]).await {
            Ok(_) => Outcome::accepted(None),
            Err(smtp::Error::NotSent(failure)) => Outcome::Disconnected(failure.reason),
            Err(other) => Outcome::Temporary(format!("{other:?}")),
        };
        #[cfg(not(target_arch = "wasm32"))]
        Outcome::Temporary(format!("no engine here: {server:?} {envelope:?}"))
    }
}

pombo_plugin::export_connector!(Hostile);
