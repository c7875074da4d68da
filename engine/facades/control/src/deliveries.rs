//! Section Deliveries: status changes on their way to a `webhookUrl`.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_domain::commands::events::deliveries::DeliveryQuery;
use pombo_domain::model;
use serde_json::Value;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::wire::delivery::{DeliveryAttempt, DeliveryStatus};
use crate::wire::{DEFAULT_LIMIT, Instant, PathId, READ, Refused, WRITE};
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Deliveries;

impl pombo_api::Section for Deliveries {
    const FILE: &'static str = file!();
}

/// A status change on its way to a `webhookUrl`.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Delivery {
    /// Id of the delivery, the same in every attempt (`webhook-id`).
    id: Uuid,
    /// URL that it is posted to.
    url: String,
    /// Body that is posted.
    body: Value,
    /// State of the delivery.
    status: DeliveryStatus,
    /// When the next attempt is due, while it is PENDING.
    #[oai(skip_serializing_if_is_none)]
    next_at: Option<Instant>,
    /// Number of attempts since its creation or its last replay.
    tries: u16,
    /// The last attempts, oldest first.
    attempts: Vec<DeliveryAttempt>,
    /// When the message changed its status.
    created_at: Instant,
}

impl From<model::Delivery> for Delivery {
    fn from(delivery: model::Delivery) -> Self {
        let pending = delivery.status == model::DeliveryStatus::Pending;
        Self {
            id: delivery.id,
            url: delivery.url,
            body: serde_json::from_str(&delivery.body).unwrap_or_default(),
            status: delivery.status.into(),
            next_at: pending.then_some(Instant(delivery.next_at)),
            tries: delivery.tries,
            attempts: delivery.attempts.into_iter().map(DeliveryAttempt::from).collect(),
            created_at: Instant(delivery.created_at),
        }
    }
}

/// A page of deliveries.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct DeliveryPage {
    /// The deliveries, newest message first.
    data: Vec<Delivery>,
    /// Number of the next page; absent on the last one.
    #[oai(skip_serializing_if_is_none)]
    next_page: Option<u32>,
}

#[OpenApi(tag = "Section::Deliveries")]
impl Deliveries {
    /// List webhook deliveries, newest message first
    #[oai(path = "/v1/webhook-deliveries", method = "get", operation_id = "list_deliveries")]
    async fn list_deliveries(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Only deliveries of this message.
        #[oai(name = "messageId")]
        message_id: Query<Option<Uuid>>,
        /// Only deliveries in this state.
        status: Query<Option<DeliveryStatus>>,
        /// Number of the page, from 1; 1 if omitted.
        #[oai(validator(minimum(value = "1")))]
        page: Query<Option<u32>>,
        /// Maximum number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<DeliveryPage>, Refused<READ>> {
        let (page, limit) = (page.unwrap_or(1), limit.unwrap_or(DEFAULT_LIMIT));
        let query = DeliveryQuery { message: message_id.0, status: status.0.map(model::DeliveryStatus::from) };
        let offset = u64::from(page - 1) * u64::from(limit);
        // One more than asked for tells whether there is another page.
        let mut found = state.commands.list_deliveries(acting.tenant, &query, offset, limit + 1)?;
        let next_page = (found.len() > limit as usize).then(|| page.saturating_add(1));
        found.truncate(limit as usize);
        Ok(Json(DeliveryPage { data: found.into_iter().map(Delivery::from).collect(), next_page }))
    }

    /// Get a webhook delivery with its attempts
    #[oai(path = "/v1/webhook-deliveries/:id", method = "get", operation_id = "get_delivery")]
    async fn get_delivery(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Delivery>, Refused<READ>> {
        Ok(Json(state.commands.get_delivery(acting.tenant, id.of("Delivery")?)?.into()))
    }

    /// Post a webhook delivery again
    ///
    /// Starts again with the first attempt, under the same id. If the delivery waits for its next attempt, that is made at once.
    #[oai(path = "/v1/webhook-deliveries/:id/replay", method = "post", operation_id = "replay_delivery")]
    async fn replay_delivery(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<Delivery>, Refused<{ READ | WRITE }>> {
        Ok(Json(state.commands.replay_delivery(acting.tenant, id.of("Delivery")?).await?.into()))
    }
}
