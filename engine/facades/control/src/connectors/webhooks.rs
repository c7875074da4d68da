//! Section Webhooks: the URL that is told what happens on a connector, and the deliveries to it.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_domain::commands::connectors::webhooks::{WebhookRequest, WebhookSet};
use pombo_domain::model::{self, HookKind, HookKinds};
use pombo_domain::{Error, Field, FieldProblem};
use serde::Deserialize;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::wire::delivery::{DeliveryAttempt, DeliveryStatus};
use crate::wire::webhook::WebhookEvent;
use crate::wire::{BODY, CONFLICT, DEFAULT_LIMIT, Deleted, Instant, PathId, READ, Refused, WRITE, body};
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Webhooks;

impl pombo_api::Section for Webhooks {
    const FILE: &'static str = file!();
}

/// What a connector's webhook is to be.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SetConnectorWebhook {
    /// URL that is posted to, at most 2048 characters. It must be https, unless the operator allows http.
    #[oai(validator(min_length = 1, max_length = 2048))]
    webhook_url: String,
    /// The secret that posts are signed with, at most 256 characters. If omitted, the stored one stays; if there is none, one is made and
    /// answered.
    #[oai(nullable, validator(min_length = 1, max_length = 256))]
    secret: Option<String>,
    /// What is posted, at least one; everything if omitted.
    #[oai(nullable, validator(min_items = 1))]
    events: Option<Vec<WebhookEvent>>,
    /// Whether anything is posted; true if omitted. What happens while it is false is never posted.
    #[oai(nullable)]
    active: Option<bool>,
}

/// The webhook of a connector.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ConnectorWebhook {
    /// URL that is posted to.
    webhook_url: String,
    /// The secret that was made because none was given; present only in the answer to the request that made it.
    #[oai(skip_serializing_if_is_none)]
    secret: Option<String>,
    /// What is posted.
    events: Vec<WebhookEvent>,
    /// Whether anything is posted.
    active: bool,
    /// When the receiver answered 410, which switched the webhook off; absent if it did not.
    #[oai(skip_serializing_if_is_none)]
    gone_at: Option<Instant>,
    /// When it was last set.
    updated_at: Instant,
}

impl ConnectorWebhook {
    fn of(webhook: &model::ConnectorWebhook, secret: Option<String>) -> Self {
        Self {
            webhook_url: webhook.url.clone(),
            secret,
            events: webhook.kinds.iter().map(WebhookEvent::from).collect(),
            active: webhook.active,
            gone_at: webhook.gone_at.map(Instant),
            updated_at: Instant(webhook.updated_at),
        }
    }
}

/// An event on its way to a connector's webhook.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct EventDelivery {
    /// Id of the delivery.
    id: Uuid,
    /// Position of the event in the log of events: the `after` with which the events that follow are read.
    cursor: u64,
    /// What is told of the event.
    event: WebhookEvent,
    /// State of the delivery.
    status: DeliveryStatus,
    /// When the next attempt is due, while it is PENDING. An earlier delivery about the same conversation is posted first.
    #[oai(skip_serializing_if_is_none)]
    next_at: Option<Instant>,
    /// Number of attempts since its creation or its last replay.
    tries: u16,
    /// The last attempts, oldest first.
    attempts: Vec<DeliveryAttempt>,
    /// When the event was stored.
    created_at: Instant,
}

impl From<model::EventDelivery> for EventDelivery {
    fn from(delivery: model::EventDelivery) -> Self {
        let pending = delivery.state.status == model::DeliveryStatus::Pending;
        Self {
            id: delivery.id(),
            cursor: delivery.key.event.serial,
            event: delivery.key.kind.into(),
            status: delivery.state.status.into(),
            next_at: pending.then_some(Instant(delivery.state.next_at)),
            tries: delivery.state.tries,
            attempts: delivery.state.attempts.into_iter().map(DeliveryAttempt::from).collect(),
            created_at: Instant(delivery.created_at),
        }
    }
}

/// A page of deliveries.
#[derive(Object)]
pub(crate) struct EventDeliveryPage {
    /// The deliveries, newest event first. With a filter, a page may be empty although there are more.
    data: Vec<EventDelivery>,
    /// The `before` for the next page; absent on the last one.
    #[oai(skip_serializing_if_is_none)]
    next: Option<u64>,
}

#[OpenApi(tag = "Section::Webhooks")]
impl Webhooks {
    /// Get a connector's webhook
    ///
    /// Without its secret.
    #[oai(path = "/v1/connectors/:id/webhook", method = "get", operation_id = "get_connector_webhook")]
    async fn get_connector_webhook(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<ConnectorWebhook>, Refused<READ>> {
        let webhook = state.commands.get_connector_webhook(acting.tenant, id.of("Connector")?)?;
        Ok(Json(ConnectorWebhook::of(&webhook, None)))
    }

    /// Set a connector's webhook
    ///
    /// Replaces the one that there is. What is posted has the form of the Zapini API's webhooks, signed with the secret. Deliveries about
    /// one conversation are posted in order; one that fails is tried again like those to the URL of a message. 410 switches the webhook
    /// off.
    #[oai(path = "/v1/connectors/:id/webhook", method = "put", operation_id = "set_connector_webhook")]
    async fn set_connector_webhook(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<SetConnectorWebhook>,
    ) -> Result<Json<ConnectorWebhook>, Refused<{ READ | BODY | WRITE }>> {
        let id = id.of("Connector")?;
        let SetConnectorWebhook { webhook_url, secret, events, active } = body(&json)?;
        let kinds = match events {
            Some(events) if events.is_empty() => {
                let message = "must name at least one event, or be left out for all";
                let mut problems = state.commands.check_connector_webhook(Some(&webhook_url), secret.as_deref());
                problems.push(FieldProblem::new(Field::Events, message));
                return Err(Error::invalid_fields(problems).into());
            }
            Some(events) => events.into_iter().map(HookKind::from).collect(),
            None => HookKinds::all(),
        };
        let request = WebhookRequest { url: webhook_url, secret, kinds, active: active.unwrap_or(true) };
        let WebhookSet { webhook, made_secret } =
            state.commands.set_connector_webhook(acting.tenant, id, request).await?;
        Ok(Json(ConnectorWebhook::of(&webhook, made_secret)))
    }

    /// Remove a connector's webhook
    ///
    /// What was still to be posted to it is given up.
    #[oai(path = "/v1/connectors/:id/webhook", method = "delete", operation_id = "remove_connector_webhook")]
    async fn remove_connector_webhook(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Deleted, Refused<{ READ | WRITE }>> {
        state.commands.remove_connector_webhook(acting.tenant, id.of("Connector")?).await?;
        Ok(Deleted::Done)
    }

    /// List the deliveries to a connector's webhook
    ///
    /// Newest event first. A delivery is forgotten with its event.
    #[oai(
        path = "/v1/connectors/:id/webhook/deliveries",
        method = "get",
        operation_id = "list_connector_webhook_deliveries"
    )]
    async fn list_connector_webhook_deliveries(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        /// Only deliveries in this state.
        status: Query<Option<DeliveryStatus>>,
        /// The `next` of the previous page.
        #[oai(validator(maximum(value = "9007199254740991")))]
        before: Query<Option<u64>>,
        /// Number of rows, from 1 to 250; 50 if omitted. A page has all deliveries of its last event, so it may have a few more.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<EventDeliveryPage>, Refused<READ>> {
        let (status, limit) = (status.0.map(model::DeliveryStatus::from), limit.unwrap_or(DEFAULT_LIMIT) as usize);
        let id = id.of("Connector")?;
        let page = state.commands.list_event_deliveries(acting.tenant, id, status, before.0, limit)?;
        let data = page.rows.into_iter().map(EventDelivery::from).collect();
        Ok(Json(EventDeliveryPage { data, next: page.next }))
    }

    /// Post a delivery to a connector's webhook again
    ///
    /// Starts again with the first attempt, under the same id, to the webhook as it is set now, also when that is switched off.
    #[oai(
        path = "/v1/connectors/:id/webhook/deliveries/:delivery/replay",
        method = "post",
        operation_id = "replay_connector_webhook_delivery"
    )]
    async fn replay_connector_webhook_delivery(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        /// Id of the delivery.
        delivery: Path<PathId>,
    ) -> Result<Json<EventDelivery>, Refused<{ READ | CONFLICT | WRITE }>> {
        let (connector, delivery) = (id.of("Connector")?, delivery.of("Delivery")?);
        Ok(Json(state.commands.replay_event_delivery(acting.tenant, connector, delivery).await?.into()))
    }
}
