//! The plugin: its description, and which module handles each call.

use std::rc::Rc;

use pombo_plugin::connector::{
    Answer, Capability, Connector, Description, Feature, Kind, Operation, OperationError, Outcome, Outgoing, Pace,
    RunError, Stopped,
};

use crate::config::{self, Config};
use crate::glue::{self, executor};
use crate::live::Shared;
use crate::passkey::{LINK_STEP, LINK_STEP_SCHEMA};
use crate::session::Session;
use crate::{groups, identity, send};

/// One connector: one account.
pub struct WhatsApp {
    session: Session,
}

impl Connector for WhatsApp {
    fn describe() -> Description {
        let hosts: &[&str] = if cfg!(feature = "simulator") {
            &["serverHost", "mediaHost"]
        } else {
            &["=web.whatsapp.com", "=*.whatsapp.net"]
        };
        Description {
            display_name: if cfg!(feature = "simulator") { "WhatsApp (simulator)" } else { "WhatsApp" }.to_owned(),
            config_schema: config::SCHEMA.to_owned(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            capabilities: Capability::names([
                Capability::Kv,
                Capability::Http,
                Capability::Websocket,
                Capability::MediaRead,
                Capability::MediaWrite,
                Capability::Events,
            ]),
            features: Feature::names([
                Feature::Attachments,
                Feature::Groups,
                Feature::Reactions,
                Feature::Edit,
                Feature::Revoke,
                Feature::Reply,
                Feature::Mentions,
                Feature::VoiceNotes,
                Feature::Typing,
                Feature::ReadReceipts,
                Feature::Inbound,
                Feature::Sessions,
                Feature::PairingCode,
                Feature::Lookup,
                Feature::Check,
                Feature::ProfilePictures,
            ]),
            // See `send`: the same id for every attempt.
            operations: vec![Kind { name: LINK_STEP.to_owned(), schema: LINK_STEP_SCHEMA.to_owned() }],
            idempotent_resend: true,
            max_in_flight: 16,
            needs_session: true,
            pace: Some(Pace {
                delay_min_millis: 3_000,
                delay_max_millis: 12_000,
                daily_cap: Some(1_000),
                warm_up_days: vec![50, 100, 200],
                warm_up_growth: 40,
                warm_up_until: 1_000,
                health: true,
            }),
            ..Description::new("connector-whatsapp", env!("CARGO_PKG_VERSION"), "whatsapp")
        }
    }

    fn check_recipient(address: &str) -> Result<String, String> {
        identity::check(address)
    }

    async fn start(config: &str) -> Result<Self, RunError> {
        glue::install();
        let config = Config::read(config).map_err(RunError::Config)?;
        Ok(Self { session: Session::new(Rc::new(Shared::new(config))) })
    }

    async fn run(&self, stopped: Stopped) -> Result<(), RunError> {
        executor::drain(self.session.run(stopped)).await
    }

    async fn send(&self, message: Outgoing) -> Outcome {
        match self.session.live() {
            Ok(live) => send::send(&live, &message).await,
            Err(why) => Outcome::Disconnected(why),
        }
    }

    async fn operate(&self, operation: Operation) -> Result<Answer, OperationError> {
        match operation {
            Operation::OpenSession(phone) => self.session.open(phone).map(|()| Answer::Done),
            Operation::CloseSession => self.session.close().await.map(|()| Answer::Done),
            Operation::Other((kind, json)) if kind == LINK_STEP => {
                self.session.answer(&json).await.map(|()| Answer::Done)
            }
            other => {
                let live = self.session.live().map_err(OperationError::Disconnected)?;
                groups::operate(&live, other).await
            }
        }
    }
}

pombo_plugin::export_connector!(WhatsApp);
