//! Section "Webhooks": the URL that is told what happens on an instance. What is posted to it is in [`crate::webhook_bodies`].

use std::borrow::Cow;

use poem_openapi::param::Path;
use poem_openapi::registry::{MetaSchema, Registry};
use poem_openapi::{Object, OpenApi};
use pombo_api::declared::{Declared, Declares, Param};
use pombo_api::fields::{self, required};
use pombo_api::json::JsonBytes;
use pombo_api::json_fields;
use pombo_domain::commands::connectors::webhooks::{MAX_SECRET_CHARS, WebhookRequest, WebhookSet};
use pombo_domain::commands::messages::send::MAX_URL_BYTES;
use pombo_domain::model::{HookKind, HookKinds, Right};
use pombo_domain::{Error, Field, FieldProblem};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Section;
use crate::credentials::Caller;
use crate::envelope::Success;
use crate::errors::{BODY, NAMED, Refused, WRITE};
use crate::gate::State;
use crate::params::{Text, Texts};
use crate::refs::instance;
use crate::schemas::inline;
use crate::times::seconds;
use crate::webhook_bodies::{event_name, event_named};

json_fields! {
    struct WebhookFields<'a> {
        webhook_url: "webhook_url" as Cow<'a, str>,
        webhook_secret: "webhook_secret" as Cow<'a, str>,
        events: "events" as Texts,
        is_active: "is_active" as bool,
    }
}

/// `SetWebhook` in the document.
struct SetWebhook;

impl Declares for SetWebhook {
    const NAME: &'static str = "SetWebhook";

    fn schema(_: &mut Registry) -> MetaSchema {
        let event = MetaSchema { enum_items: accepted().map(Value::from).collect(), ..MetaSchema::new("string") };
        MetaSchema {
            description: Some("The webhook of an instance."),
            required: vec!["webhook_url"],
            properties: vec![
                (
                    "webhook_url",
                    inline(MetaSchema {
                        description: Some("URL that is posted to. It must be https, unless the operator allows http."),
                        min_length: Some(1),
                        max_length: Some(MAX_URL_BYTES),
                        ..MetaSchema::new("string")
                    }),
                ),
                (
                    "webhook_secret",
                    inline(MetaSchema {
                        description: Some(
                            "The secret with which posts are signed. If it is left out, the one that was set before stays; if there \
                             is none, one is made and answered.",
                        ),
                        nullable: true,
                        min_length: Some(1),
                        max_length: Some(MAX_SECRET_CHARS),
                        ..MetaSchema::new("string")
                    }),
                ),
                (
                    "events",
                    inline(MetaSchema {
                        description: Some(
                            "The events that are posted; all if it is left out. `message.incoming` is the same as \
                             `message.received`.",
                        ),
                        nullable: true,
                        items: Some(Box::new(inline(event))),
                        min_items: Some(1),
                        ..MetaSchema::new("array")
                    }),
                ),
                (
                    "is_active",
                    inline(MetaSchema {
                        description: Some("Whether anything is posted; true if it is left out."),
                        nullable: true,
                        ..MetaSchema::new("boolean")
                    }),
                ),
            ],
            example: Some(json!({
                "webhook_url": "https://your-server.com/webhook",
                "webhook_secret": "your_secret_key_here",
                "events": ["message.received", "message.status"],
                "is_active": true
            })),
            ..MetaSchema::new("object")
        }
    }
}

/// The names of events that are accepted.
fn accepted() -> impl Iterator<Item = &'static str> {
    HookKind::ALL.into_iter().map(event_name).chain(["message.incoming"])
}

/// The webhook of an instance.
#[derive(Debug, Serialize, Object)]
struct WebhookBody {
    /// Id of the instance.
    instance_uuid: Uuid,
    /// URL that is posted to.
    webhook_url: String,
    /// The secret that was made because none was given; it is answered only this once.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret: Option<String>,
    /// The events that are posted.
    events: Vec<String>,
    /// Whether anything is posted. A receiver that answers 410 sets it to false.
    is_active: bool,
    /// When it was set.
    updated_at: String,
}

/// A webhook that was set.
#[derive(Debug, Serialize, Object)]
struct WebhookSaved {
    /// The webhook.
    webhook: WebhookBody,
}

impl WebhookBody {
    fn of(instance_uuid: Uuid, set: WebhookSet) -> Self {
        let WebhookSet { webhook, made_secret } = set;
        Self {
            instance_uuid,
            webhook_url: webhook.url,
            webhook_secret: made_secret,
            events: webhook.kinds.iter().map(|kind| event_name(kind).to_owned()).collect(),
            is_active: webhook.active,
            updated_at: seconds(webhook.updated_at),
        }
    }
}

/// The events that a body names; all of them where it names none.
fn kinds(given: fields::Field<Texts>, problems: &mut Vec<FieldProblem>) -> HookKinds {
    let Some(Texts(names)) = given.take(Field::Events, problems) else { return HookKinds::all() };
    if names.is_empty() {
        problems.push(FieldProblem::new(Field::Events, "must name at least one event, or be left out for all"));
    }
    let mut found = Vec::new();
    for (at, name) in names.iter().enumerate() {
        match event_named(name.trim()) {
            Some(kind) => found.push(kind),
            None => {
                let known = accepted().collect::<Vec<_>>().join(", ");
                problems.push(FieldProblem::new(Field::Events.at(at), format!("must be one of {known}")));
            }
        }
    }
    found.into_iter().collect()
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct WebhookApi;

impl pombo_api::Section for WebhookApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Webhooks")]
impl WebhookApi {
    /// Set the webhook of an instance
    ///
    /// Replaces the one that there is. Events are posted in the order of their conversation, as JSON with the headers
    /// `X-Webhook-Signature` (the HMAC-SHA256 of the body with the secret, in hexadecimal), `X-Webhook-Event` and `X-Instance-UUID`. A
    /// post that is not answered with 2xx is repeated for about 28 hours; 410 ends the webhook.
    #[oai(path = "/instances/:uuid/webhook", method = "put", operation_id = "set_webhook")]
    async fn set_webhook(
        &self,
        caller: Caller,
        state: State<'_>,
        /// UUID or number of the instance.
        uuid: Path<Param<Text>>,
        body: JsonBytes<Declared<SetWebhook>>,
    ) -> Result<Success<WebhookSaved>, Refused<{ NAMED | BODY | WRITE }>> {
        caller.must(Right::ManageConnectors)?;
        let id = instance(&state, &caller, &uuid.0.0)?.connector.id;
        let fields: WebhookFields<'_> = body.object()?;
        let mut problems = Vec::new();
        let url = fields.webhook_url.take(Field::WebhookUrl, &mut problems);
        let url = required(Field::WebhookUrl, url, &mut problems);
        let secret = fields.webhook_secret.take(Field::Secret, &mut problems).map(Cow::into_owned);
        let kinds = kinds(fields.events, &mut problems);
        let active = fields.is_active.take(Field::Active, &mut problems).unwrap_or(true);
        let (Some(url), true) = (&url, problems.is_empty()) else {
            problems.extend(state.commands.check_connector_webhook(url.as_deref(), secret.as_deref()));
            return Err(Error::invalid_fields(problems).into());
        };
        let request = WebhookRequest { url: url.to_string(), secret, kinds, active };
        let set = state.commands.set_connector_webhook(caller.tenant, id, request).await?;
        let message = if active { "Webhook configured" } else { "Webhook configured and switched off" };
        Ok(Success::saying(message, WebhookSaved { webhook: WebhookBody::of(id, set) }))
    }
}
