//! How far a delivery to a webhook is: of a message's status, and of an event.

use poem_openapi::{Enum, Object};
use pombo_domain::model;

use crate::wire::Instant;

/// State of a delivery.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum DeliveryStatus {
    /// Not delivered yet.
    Pending,
    /// The receiver answered 2xx.
    Delivered,
    /// The receiver answered 410, or the last attempt failed.
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

/// An attempt to deliver.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct DeliveryAttempt {
    /// When it was made.
    at: Instant,
    /// HTTP status of the receiver's answer; absent if there was no answer.
    #[oai(skip_serializing_if_is_none)]
    status: Option<u16>,
    /// Why it failed.
    #[oai(skip_serializing_if_is_none)]
    error: Option<String>,
    /// Duration in milliseconds.
    took_ms: u32,
}

impl From<model::delivery::DeliveryAttempt> for DeliveryAttempt {
    fn from(attempt: model::delivery::DeliveryAttempt) -> Self {
        Self { at: Instant(attempt.at), status: attempt.status, error: attempt.error, took_ms: attempt.took_ms }
    }
}
