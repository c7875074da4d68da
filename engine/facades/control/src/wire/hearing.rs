//! Wire types of what a connector hears: shown with its session and its pace, and with messages that nobody reported.

use poem_openapi::Object;
use pombo_domain::commands::messages::why::{self, UnseenCause};
use pombo_domain::model::hearing::{self, DeafReason, DeliveryTimes, HearingView};

use crate::wire::{Instant, WordOf};

/// A connector does not hear what it should although its session is connected.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Deaf {
    /// Since when nothing was heard that should have been heard.
    since: Instant,
    /// When that was noticed.
    noticed_at: Instant,
    reason: WordOf<DeafReason>,
    /// The evidence, for a person.
    detail: String,
    /// When the plugin's instance was last restarted because of that. It kept its session: nobody has to pair the account again.
    restarted_at: Option<Instant>,
}

impl Deaf {
    /// `None` unless the connector is taken to be deaf.
    pub(crate) fn of(view: HearingView) -> Option<Self> {
        let hearing::Deaf { since, noticed_at, reason, detail } = view.deaf?;
        Some(Self {
            since: Instant(since),
            noticed_at: Instant(noticed_at),
            reason: WordOf::known(reason),
            detail,
            restarted_at: view.restarted_at.map(Instant),
        })
    }
}

/// How long messages took from their acceptance by the channel until they were delivered, in the last days.
#[derive(Object)]
#[oai(rename = "DeliveryTimes", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Delivery {
    /// Messages that were delivered.
    samples: u32,
    /// Half of them took no longer, in milliseconds.
    p50_ms: i64,
    /// All but a hundredth of them took no longer, in milliseconds.
    p99_ms: i64,
    /// After how many milliseconds a message without a delivery is shown as accepted and not seen; absent while fewer than 100 were
    /// delivered.
    late_after_ms: Option<i64>,
}

impl From<DeliveryTimes> for Delivery {
    fn from(times: DeliveryTimes) -> Self {
        Self {
            samples: times.samples,
            p50_ms: times.p50_ms,
            p99_ms: times.p99_ms,
            late_after_ms: times.late_after_ms(),
        }
    }
}

/// What a connector hears of its channel, counted since the engine started.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Hearing {
    /// When anything was heard last.
    heard_at: Option<Instant>,
    /// When a receipt of somebody who was written to was heard last.
    receipt_at: Option<Instant>,
    /// How many people were written to since then, as far as they are remembered. None of them gave a receipt.
    unanswered: u64,
    /// How long messages take until they are delivered; absent while none was.
    delivery: Option<Delivery>,
    /// Set while the session is connected and does not hear what it should.
    deaf: Option<Deaf>,
}

impl From<HearingView> for Hearing {
    fn from(view: HearingView) -> Self {
        Self {
            heard_at: view.heard_at.map(Instant),
            receipt_at: view.receipt_at.map(Instant),
            unanswered: view.unanswered as u64,
            delivery: view.delivery.map(Delivery::from),
            deaf: Deaf::of(view),
        }
    }
}

/// A message was accepted, and its recipient's device has not reported it for longer than the connector's other messages took. It is not
/// sent again.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct NotSeen {
    /// When the channel accepted it.
    since: Instant,
    cause: WordOf<UnseenCause>,
    /// The cause, for a person.
    detail: String,
    /// When anything was last heard of the recipient, as far as the conversation shows it.
    recipient_heard_at: Option<Instant>,
}

impl From<why::NotSeen> for NotSeen {
    fn from(late: why::NotSeen) -> Self {
        Self {
            since: Instant(late.since),
            cause: WordOf::known(late.cause),
            detail: late.detail,
            recipient_heard_at: late.recipient_heard_at.map(Instant),
        }
    }
}
