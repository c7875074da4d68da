//! Section Deliveries.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use pombo_domain::commands::events::deliveries::DeliveryQuery;
use pombo_domain::model;
use serde_json::Value;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::wire::{DEFAULT_LIMIT, Instant, PathId, READ, Refused, WRITE};
use pombo_api::options::ApiState;

pub(crate) struct Deliveries;

/// Where a delivery is in its life.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum DeliveryStatus {
    /// Still to be delivered.
    Pending,
    /// The receiver answered 2xx.
    Delivered,
    /// The receiver answered 410, or the last retry failed.
    Abandoned,
}

impl From<model::DeliveryStatus> for DeliveryStatus {
    fn from(status: model::DeliveryStatus) -> Self {
        match status {
            model::DeliveryStatus::Pending => Self::Pending,
            model::DeliveryStatus::Delivered => Self::Delivered,
            model::DeliveryStatus::Abandoned => Self::Abandoned,
        }
    }
}

impl From<DeliveryStatus> for model::DeliveryStatus {
    fn from(status: DeliveryStatus) -> Self {
        match status {
            DeliveryStatus::Pending => Self::Pending,
            DeliveryStatus::Delivered => Self::Delivered,
            DeliveryStatus::Abandoned => Self::Abandoned,
        }
    }
}

/// One try.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct DeliveryAttempt {
    /// When.
    at: Instant,
    /// The receiver's status.
    #[oai(skip_serializing_if_is_none)]
    status: Option<u16>,
    /// Why it failed.
    #[oai(skip_serializing_if_is_none)]
    error: Option<String>,
    /// How long it took, in milliseconds.
    took_ms: u32,
}

impl From<model::delivery::DeliveryAttempt> for DeliveryAttempt {
    fn from(attempt: model::delivery::DeliveryAttempt) -> Self {
        Self { at: Instant(attempt.at), status: attempt.status, error: attempt.error, took_ms: attempt.took_ms }
    }
}

/// A status change on its way to a `webhookUrl`.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct Delivery {
    /// Its id, the same in every try (`webhook-id`).
    id: Uuid,
    /// Where it goes.
    url: String,
    /// The body that is posted.
    body: Value,
    /// Where it is in its life.
    status: DeliveryStatus,
    /// When the next try is due, while it is PENDING.
    #[oai(skip_serializing_if_is_none)]
    next_at: Option<Instant>,
    /// Tries since its creation or its last replay.
    tries: u16,
    /// The last tries, oldest first.
    attempts: Vec<DeliveryAttempt>,
    /// The status change.
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
    /// Newest message first.
    data: Vec<Delivery>,
    /// The page after this one; absent on the last.
    #[oai(skip_serializing_if_is_none)]
    next_page: Option<u32>,
}

#[OpenApi(
    tag = "Section::Deliveries",
    request_header(
        name = "X-Pombo-Tenant",
        ty = "Option<Uuid>",
        description = "The tenant that the operator acts for."
    )
)]
impl Deliveries {
    /// List webhook deliveries, newest message first
    #[oai(path = "/v1/webhook-deliveries", method = "get", operation_id = "list_deliveries")]
    async fn list_deliveries(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// Of this message.
        #[oai(name = "messageId")]
        message_id: Query<Option<Uuid>>,
        /// In this status.
        status: Query<Option<DeliveryStatus>>,
        /// The page, from 1.
        #[oai(validator(minimum(value = "1")))]
        page: Query<Option<u32>>,
        /// Rows of the page.
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

    /// Get a webhook delivery with its tries
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
    /// From the first try on, under the same id. One that waits for its next try is due at once.
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
