//! Why a message is where it is, for a person: one sentence, the same as a stable word, until when, and the facts behind it.
//!
//! Nothing is stored for it. [`explain::explain`] makes it of what is stored of the message and of what its connector shows at this
//! instant; this module gathers these. [`unseen`] knows of messages that are accepted and not seen. It must not know a channel.

mod explain;
#[cfg(test)]
mod tests;
mod unseen;

use crate::commands::Commands;
use crate::model::{Status, StoredMessage};
use crate::ports::{HearingViews, PaceViews};
use crate::words::words;
use crate::{Error, MessageKey, Result, Timestamp};

use explain::{Known, explain};
pub use unseen::{NotSeen, UnseenCause};

/// Messages that are with connectors and are looked at for one to the same recipient, at most.
const LOOKED_AT: usize = 64;

words! {
    /// Where a message is, and what it waits for.
    pub enum WhyCode {
        /// A person must approve it.
        Approval = "approval",
        /// It is scheduled for later.
        Scheduled = "scheduled",
        /// Nothing but the messages before it holds it back.
        Queue = "queue",
        /// The connector pauses between two messages.
        Delay = "delay",
        /// The connector's cap of the day is reached.
        DailyCap = "daily_cap",
        /// These are the connector's quiet hours.
        QuietHours = "quiet_hours",
        /// The channel asked to slow down.
        Throttled = "throttled",
        /// The connection to the channel failed; it is tried again.
        Disconnected = "disconnected",
        /// The connector's session is not connected, and connects by itself.
        NoSession = "no_session",
        /// There is no session until a person pairs the account.
        Pairing = "pairing",
        /// The connector is paused; a person has to resume it.
        ConnectorPaused = "connector_paused",
        /// The connector is paused by its health.
        ConnectorHealth = "connector_health",
        /// The connector was deleted.
        ConnectorDeleted = "connector_deleted",
        /// Its recipient is written to as fast as the channel allows.
        RecipientRate = "recipient_rate",
        /// As many different people were written to as the channel allows.
        Audience = "audience",
        /// The channel lets the account start no conversation with somebody new.
        Outreach = "outreach",
        /// Another message to the same recipient is being sent.
        SameRecipient = "same_recipient",
        /// The connector is sending it.
        Sending = "sending",
        /// An attempt did not send it; there will be another one.
        Retry = "retry",
        /// It waits for another reason, which the sentence gives.
        Waiting = "waiting",
        /// It was given up.
        Failed = "failed",
        /// It was canceled, rejected or taken back.
        Canceled = "canceled",
        /// It may or may not have been sent.
        Unknown = "unknown",
        /// The channel accepted it.
        Accepted = "accepted",
        /// The channel accepted it and keeps it back for now.
        HeldByChannel = "held_by_channel",
        /// The channel accepted it, and its recipient's device has not reported it for longer than the connector's other messages took.
        NotSeen = "not_seen",
        /// The channel accepted it, and reported that it could not be delivered.
        NotDelivered = "not_delivered",
        /// It reached a device of the recipient.
        Delivered = "delivered",
        /// It was shown to the recipient.
        Read = "read",
        /// The recipient played it.
        Played = "played",
    }
}

words! {
    /// What a fact is about.
    pub enum FactName {
        /// How many attempts were begun.
        Attempts = "attempts",
        /// How many attempts count until a message is given up.
        MaxAttempts = "max_attempts",
        /// What the connector's next message waits for.
        Connector = "connector",
        /// How many messages of the connector wait in memory.
        Queued = "queued",
        /// How many messages the connector sent today.
        SentToday = "sent_today",
        /// How many messages the connector may send today.
        CapToday = "cap_today",
        /// Why it has its status, as a stable word.
        Reason = "reason",
        /// The channel's own code.
        ChannelCode = "channel_code",
        /// What to change.
        Advice = "advice",
        /// When the channel accepted it.
        AcceptedAt = "accepted_at",
        /// When it was delivered.
        DeliveredAt = "delivered_at",
        /// When it was read.
        ReadAt = "read_at",
        /// When it was played.
        PlayedAt = "played_at",
        /// When the channel reported that it could not be delivered.
        FailedAt = "failed_at",
        /// Why it is probably not seen, as a stable word.
        Cause = "cause",
        /// After how many milliseconds without a delivery it was late.
        LateAfterMs = "late_after_ms",
        /// When anything was last heard of its recipient.
        RecipientHeardAt = "recipient_heard_at",
    }
}

/// Something that the sentence follows from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is about.
    pub name: FactName,
    /// A number, an instant in ISO 8601, a stable word or a text.
    pub value: String,
}

/// Why a message is where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// The answer as a stable word.
    pub code: WhyCode,
    /// The answer for a person. It may quote the channel, but never the message's own text.
    pub sentence: String,
    /// Until when it waits, where that is known.
    pub until: Option<Timestamp>,
    /// What the sentence follows from.
    pub facts: Vec<Fact>,
}

impl Commands {
    /// Why a message is where it is. A connector whose pace cannot be told is taken for one that nothing holds back.
    pub fn message_why(
        &self,
        stored: &StoredMessage,
        paces: &dyn PaceViews,
        hearing: &dyn HearingViews,
    ) -> Result<Why> {
        let ports = self.ports();
        let index = stored.message.content.connector;
        let missing = || Error::internal("a message names a connector that is not stored");
        let connector = ports.store.connector(index)?.ok_or_else(missing)?;
        let plugin = ports.connectors.plugin(&connector.plugin);
        let needs_session = plugin.as_ref().is_some_and(|plugin| plugin.needs_session);
        let session = needs_session.then(|| ports.connectors.session(index));
        let receipts = self.message_receipts(stored)?;
        let pace = paces.pace(index)?;
        let hearing = hearing.hearing(index);
        let not_seen = self.not_seen(stored, &receipts, &hearing)?;
        Ok(explain(&Known {
            stored,
            receipts: &receipts,
            session: session.as_ref(),
            pace: pace.as_ref(),
            not_seen: not_seen.as_ref(),
            deaf: hearing.deaf.as_ref(),
            tells_receipts: plugin.as_ref().is_some_and(|plugin| plugin.offers("inbound")),
            behind: stored.state.status == Status::Processing && self.is_behind(stored)?,
            now: ports.clock.now(),
        }))
    }

    /// Whether a message to the same recipient was handed to the connector before this one and is still there. It looks at the first
    /// ones of the tenant alone.
    fn is_behind(&self, stored: &StoredMessage) -> Result<bool> {
        let store = &self.ports().store;
        let own = &stored.message;
        let first = MessageKey { tenant: own.key.tenant, serial: 0 };
        for key in store.in_flight(Some(first), LOOKED_AT)? {
            if key.tenant != own.key.tenant || key == own.key {
                continue;
            }
            let Some(other) = store.message(key)? else { continue };
            let same = other.message.content.connector == own.content.connector
                && other.message.content.to == own.content.to
                && other.state.status == Status::Processing;
            if same && (other.state.updated_at, key.serial) < (stored.state.updated_at, own.key.serial) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
