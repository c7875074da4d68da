//! The plugin: its description, and which module handles each call.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use pombo_plugin::connector::{
    Answer, Capability, Connector, Description, Feature, Operation, OperationError, Outcome, Outgoing, Pace,
    ReceivedRequest, ReceivedResponse, RunError, Stopped,
};

use crate::config::{self, Config};
use crate::engine::Engine;
use crate::files::WORKERS;
use crate::gateway::Gateway;
use crate::session::Session;
use crate::{address, receiving, sending, upkeep};

/// One connector: one instance of a gateway.
#[derive(Debug)]
pub struct WhatsAppGateway {
    gateway: Gateway<Engine>,
}

impl Connector for WhatsAppGateway {
    fn describe() -> Description {
        Description {
            display_name: "WhatsApp (gateway)".to_owned(),
            config_schema: config::SCHEMA.to_owned(),
            secret_fields: vec![config::TOKEN.to_owned()],
            hosts: vec!["baseUrl".to_owned(), "mediaHost".to_owned()],
            capabilities: Capability::names([
                Capability::Kv,
                Capability::Http,
                Capability::MediaWrite,
                Capability::Events,
            ]),
            features: Feature::names([
                Feature::Attachments,
                Feature::AttachmentLinks,
                Feature::Reactions,
                Feature::Reply,
                Feature::Inbound,
                Feature::Check,
                Feature::Receive,
            ]),
            // The gateway has no ids of the caller's: what is sent again arrives again.
            idempotent_resend: false,
            max_in_flight: 8,
            needs_session: true,
            // The account behind it is an ordinary one, like that of a linked device.
            pace: Some(Pace {
                delay_min_millis: 3_000,
                delay_max_millis: 12_000,
                daily_cap: Some(1_000),
                warm_up_days: vec![50, 100, 200],
                warm_up_growth: 40,
                warm_up_until: 1_000,
                health: true,
            }),
            ..Description::new("connector-gateway", env!("CARGO_PKG_VERSION"), "whatsapp")
        }
    }

    fn check_recipient(address: &str) -> Result<String, String> {
        address::normalise(address)
    }

    async fn start(config: &str) -> Result<Self, RunError> {
        let config = Config::read(config).map_err(RunError::Config)?;
        Ok(Self { gateway: Gateway::new(Engine, config) })
    }

    async fn run(&self, stopped: Stopped) -> Result<(), RunError> {
        let gateway = &self.gateway;
        let (mut stopped, mut keep) = (pin!(stopped), pin!(upkeep::keep(gateway)));
        let work = || Box::pin(gateway.files.work(&gateway.outside, &gateway.config));
        let mut workers: [_; WORKERS] = std::array::from_fn(|_| work());
        poll_fn(|cx| {
            if stopped.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            // None of them ends by itself.
            let _ = keep.as_mut().poll(cx);
            for worker in &mut workers {
                let _ = worker.as_mut().poll(cx);
            }
            Poll::Pending
        })
        .await;
        Ok(())
    }

    async fn send(&self, message: Outgoing) -> Outcome {
        let Gateway { outside, config, ledger, echoes, .. } = &self.gateway;
        sending::send(outside, config, ledger, echoes, &message).await
    }

    async fn operate(&self, operation: Operation) -> Result<Answer, OperationError> {
        let Gateway { outside, config, states, .. } = &self.gateway;
        match operation {
            Operation::Check => match states.ask(outside, config).await? {
                Session::Connected => Ok(Answer::Done),
                Session::Qr { .. } => {
                    Err(OperationError::Disconnected("the gateway waits for a phone to scan its QR code".to_owned()))
                }
                Session::Disconnected { why } => Err(OperationError::Disconnected(why)),
            },
            _ => Err(OperationError::Unsupported("the gateway's API has no such operation".to_owned())),
        }
    }

    async fn receive(&self, request: ReceivedRequest) -> ReceivedResponse {
        receiving::receive(&self.gateway, request).await
    }
}

pombo_plugin::export_connector!(WhatsAppGateway);
