//! The plugin: its description, and which module handles each call.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use pombo_plugin::connector::{
    Answer, Audience, BodyHmac, Bucket, Capability, Connector, Description, Feature, Kind, Operation, OperationError,
    OptOutCategory, Outcome, Outgoing, Proof, QuerySecret, ReceivedRequest, ReceivedResponse, Rules, RunError, Setting,
    Stopped, Throughput, Undelivered,
};

use crate::cloud::Cloud;
use crate::config::{self, Config};
use crate::engine::Engine;
use crate::files::WORKERS;
use crate::{address, codes, contents, operations, receiving, sending, template, undelivered, upkeep};

/// One connector: one number.
#[derive(Debug)]
pub struct WhatsAppCloud {
    cloud: Cloud<Engine>,
}

fn kind((name, schema): (&str, &str)) -> Kind {
    Kind { name: name.to_owned(), schema: schema.to_owned() }
}

impl Connector for WhatsAppCloud {
    fn describe() -> Description {
        let mut features = Feature::names([
            Feature::Inbound,
            Feature::Attachments,
            Feature::AttachmentLinks,
            Feature::Reactions,
            Feature::Reply,
            Feature::ReadReceipts,
            Feature::Typing,
            Feature::VoiceNotes,
            Feature::Receive,
            Feature::Check,
            Feature::Sessions,
        ]);
        features.push("templates".to_owned());
        let mut contents: Vec<Kind> = contents::KINDS.into_iter().map(kind).collect();
        contents.push(kind((template::KIND, template::SCHEMA)));
        Description {
            display_name: "WhatsApp (Cloud API)".to_owned(),
            config_schema: config::SCHEMA.to_owned(),
            secret_fields: [config::ACCESS_TOKEN, config::APP_SECRET, config::VERIFY_TOKEN].map(str::to_owned).to_vec(),
            hosts: vec![
                "baseUrl".to_owned(),
                "mediaHost".to_owned(),
                format!("={}", config::GRAPH_HOST),
                format!("={}", config::MEDIA_HOST),
            ],
            capabilities: Capability::names([
                Capability::Kv,
                Capability::Http,
                Capability::MediaRead,
                Capability::MediaWrite,
                Capability::Events,
            ]),
            features,
            contents,
            operations: operations::KINDS.into_iter().map(kind).collect(),
            // The API has no ids of the caller's: what is sent again arrives again.
            idempotent_resend: false,
            max_in_flight: 32,
            needs_session: true,
            proofs: vec![
                Proof::BodyHmac(BodyHmac {
                    header: "x-hub-signature-256".to_owned(),
                    prefix: "sha256=".to_owned(),
                    secret: config::APP_SECRET.to_owned(),
                }),
                Proof::QuerySecret(QuerySecret {
                    parameter: "hub.verify_token".to_owned(),
                    secret: config::VERIFY_TOKEN.to_owned(),
                    method: "GET".to_owned(),
                }),
            ],
            shared_address: Some("appId".to_owned()),
            rules: Some(Rules {
                reply_window_seconds: Some(24 * 60 * 60),
                outside_window: vec![template::KIND.to_owned()],
                // Meta gives one back every six seconds. A little later, because messages do not take equally long to it.
                recipient_rate: Some(Bucket { burst: 45, refill_millis: 6_100 }),
                throughput: Some(Throughput { per_second: 80, counts_received: true }),
                // How many, Meta tells of each portfolio: see `limits`.
                audience: Some(Audience { shared_by: Some("portfolioId".to_owned()), limit: None, window_hours: 24 }),
                undelivered: vec![Undelivered {
                    kind: Some(template::KIND.to_owned()),
                    category: undelivered::CATEGORY.to_owned(),
                    beginnings: undelivered::beginnings(),
                    detail: undelivered::DETAIL.to_owned(),
                }],
                opt_out_categories: vec![OptOutCategory {
                    name: codes::REFUSABLE.to_owned(),
                    category: "marketing".to_owned(),
                }],
                cleaned_values: Some(Setting { field: config::NEWLINES.to_owned(), value: config::REPLACE.to_owned() }),
            }),
            ..Description::new("connector-whatsapp-cloud", env!("CARGO_PKG_VERSION"), "whatsapp")
        }
    }

    fn check_recipient(address: &str) -> Result<String, String> {
        address::normalise(address)
    }

    async fn start(config: &str) -> Result<Self, RunError> {
        let config = Config::read(config).map_err(RunError::Config)?;
        Ok(Self { cloud: Cloud::new(Engine, config) })
    }

    async fn run(&self, stopped: Stopped) -> Result<(), RunError> {
        let cloud = &self.cloud;
        let (mut stopped, mut keep) = (pin!(stopped), pin!(upkeep::keep(cloud)));
        let work = || Box::pin(cloud.files.work(&cloud.outside, &cloud.config));
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
        sending::send(&self.cloud, &message).await
    }

    async fn operate(&self, operation: Operation) -> Result<Answer, OperationError> {
        operations::operate(&self.cloud, operation).await
    }

    async fn receive(&self, request: ReceivedRequest) -> ReceivedResponse {
        receiving::receive(&self.cloud, request).await
    }
}

pombo_plugin::export_connector!(WhatsAppCloud);
