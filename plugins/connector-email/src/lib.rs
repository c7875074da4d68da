//! The e-mail connector: builds a message with lettre inside the sandbox and hands it to the engine's `smtp` capability.
//!
//! `config` reads the configuration, `address` checks recipients, `marks` turns the messaging apps' marks into HTML, `compose`
//! builds the message with its attachments left as references, `outcome` reads the server's answer, `gate` bounds how many
//! submissions run at once.
//!
//! A resend carries the same Message-ID, so the connector declares resending idempotent: the receiving side can tell that the
//! second one is the same message.

mod address;
mod compose;
mod config;
mod gate;
mod marks;
mod outcome;

use pombo_plugin::connector::*;

/// The connector: its configuration, and the gate that every send passes.
#[derive(Debug)]
pub struct Email {
    config: config::Config,
    gate: gate::Gate,
}

impl Connector for Email {
    fn describe() -> Description {
        Description {
            display_name: "E-mail (SMTP)".to_owned(),
            config_schema: config::SCHEMA.to_owned(),
            secret_fields: vec!["password".to_owned()],
            hosts: vec!["host".to_owned()],
            capabilities: Capability::names([Capability::Smtp]),
            features: Feature::names([Feature::Attachments, Feature::Subject]),
            idempotent_resend: true,
            max_in_flight: config::MAX_IN_FLIGHT,
            ..Description::new("connector-email", env!("CARGO_PKG_VERSION"), "email")
        }
    }

    fn check_recipient(recipient: &str) -> Result<String, String> {
        address::normalise(recipient)
    }

    async fn start(config: &str) -> Result<Self, RunError> {
        let config = config::Config::read(config).map_err(RunError::Config)?;
        let gate = gate::Gate::new(config.max_in_flight);
        Ok(Self { config, gate })
    }

    async fn send(&self, message: Outgoing) -> Outcome {
        let Content::Text(content) = &message.content else {
            return Outcome::rejected("e-mail can carry only text and attachments".to_owned());
        };
        let composed = match compose::compose(&self.config, &message, content, pombo_plugin::clock::now()) {
            Ok(composed) => composed,
            Err(problem) => return problem,
        };
        let _turn = self.gate.enter().await;
        #[cfg(target_arch = "wasm32")]
        return outcome::of(
            smtp::submit(self.config.server(), composed.envelope, composed.segments).await,
            composed.message_id,
        );
        #[cfg(not(target_arch = "wasm32"))]
        Outcome::Disconnected(format!("there is no engine here to submit {}", composed.message_id))
    }
}

pombo_plugin::export_connector!(Email);
