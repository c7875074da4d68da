//! Messages that the channel accepted and that their recipient's device has not reported for longer than their peers took. They are shown as
//! accepted and not seen, with the cause that fits best; nothing is stored for it, and nothing is sent again.
//!
//! Their peers are the messages that the same connector delivered in the last days.

use crate::commands::Commands;
use crate::model::hearing::HearingView;
use crate::model::{Receipts, Status, StoredMessage};
use crate::ports::{HearingViews, TimelineRange};
use crate::words::words;
use crate::{MessageKey, Result, Timestamp};

/// Entries of a conversation that are looked at for signs of the recipient.
const LOOKED_AT: usize = 20;
/// People without a receipt from whom on the connector is suspected and not its recipients.
const MANY: usize = 4;

words! {
    /// Why a message is probably not seen.
    pub enum UnseenCause {
        /// The connector does not hear what it should: it may be the report that is missing.
        ConnectorDeaf = "connector_deaf",
        /// Nobody who was written to lately gave a receipt: the connector may be deaf.
        ManyAtOnce = "many_at_once",
        /// Later messages to the same recipient were delivered: this one may be unreadable for the recipient's device.
        LaterDelivered = "later_delivered",
        /// Nothing was heard of the recipient for some time, who is probably offline.
        RecipientOffline = "recipient_offline",
        /// Nothing was ever heard of the recipient.
        RecipientSilent = "recipient_silent",
    }
}

/// That a message was accepted and is not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSeen {
    /// When the channel accepted it.
    pub since: Timestamp,
    /// After how many milliseconds it was late.
    pub late_after_ms: i64,
    /// The cause that fits best.
    pub cause: UnseenCause,
    /// When anything was last heard of the recipient, by what is known of the conversation.
    pub recipient_heard_at: Option<Timestamp>,
    /// The cause, for a person.
    pub detail: String,
}

/// What the conversation with a recipient shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Signs {
    /// When anything was last heard of the recipient.
    pub(super) heard_at: Option<Timestamp>,
    /// Whether a message that was sent after this one was delivered.
    pub(super) later_delivered: bool,
}

/// After how many milliseconds a message is late, and when it was accepted; `None` for one that is not late.
pub(super) fn lateness(
    stored: &StoredMessage,
    receipts: &Receipts,
    hearing: &HearingView,
    now: Timestamp,
) -> Option<(Timestamp, i64)> {
    let StoredMessage { message, state } = stored;
    let is_open = state.status == Status::Sent && receipts.first.delivered_at.is_none() && receipts.failed.is_none();
    let accepted_at = state.sent_at.filter(|_| is_open && message.content.options.action.says())?;
    let late_after_ms = hearing.delivery?.late_after_ms()?;
    (now.since(accepted_at) >= late_after_ms).then_some((accepted_at, late_after_ms))
}

/// The cause that fits best.
pub(super) fn cause(since: Timestamp, late_after_ms: i64, hearing: &HearingView, signs: Signs) -> NotSeen {
    let none_since = hearing.receipt_at.is_none_or(|at| at < since);
    let (cause, detail) = if let Some(deaf) = &hearing.deaf {
        (UnseenCause::ConnectorDeaf, format!("the connector does not hear what it should: {}", deaf.detail))
    } else if none_since && hearing.unanswered >= MANY {
        let detail = format!("{} people gave no receipt since then, so the connector may be deaf", hearing.unanswered);
        (UnseenCause::ManyAtOnce, detail)
    } else if signs.later_delivered {
        let detail = "later messages to the recipient were delivered, so this one may be unreadable there".to_owned();
        (UnseenCause::LaterDelivered, detail)
    } else if let Some(at) = signs.heard_at {
        (UnseenCause::RecipientOffline, format!("nothing was heard of the recipient since {}", at.to_iso()))
    } else {
        (UnseenCause::RecipientSilent, "nothing was ever heard of the recipient".to_owned())
    };
    NotSeen { since, late_after_ms, cause, recipient_heard_at: signs.heard_at, detail }
}

impl Commands {
    /// Whether a message was accepted and is not seen although its peers were delivered faster, and why that probably is; `None` if it is
    /// not late, or too little is known of its peers.
    pub fn message_not_seen(
        &self,
        stored: &StoredMessage,
        receipts: &Receipts,
        hearing: &dyn HearingViews,
    ) -> Result<Option<NotSeen>> {
        let hearing = hearing.hearing(stored.message.content.connector);
        self.not_seen(stored, receipts, &hearing)
    }

    pub(super) fn not_seen(
        &self,
        stored: &StoredMessage,
        receipts: &Receipts,
        hearing: &HearingView,
    ) -> Result<Option<NotSeen>> {
        let Some((since, late_after_ms)) = lateness(stored, receipts, hearing, self.now()) else { return Ok(None) };
        Ok(Some(cause(since, late_after_ms, hearing, self.signs_of_recipient(stored)?)))
    }

    /// What the newest entries of the message's conversation show of its recipient.
    fn signs_of_recipient(&self, stored: &StoredMessage) -> Result<Signs> {
        let store = &self.ports().store;
        let tenant = stored.message.key.tenant;
        let Some(own) = store.timeline_item_by_id(tenant, stored.message.id)? else { return Ok(Signs::default()) };
        let page = store.timeline(tenant, own.conversation, &TimelineRange::default(), LOOKED_AT)?;
        let mut signs = Signs::default();
        for item in page.items.into_iter().filter(|item| item.number != own.number) {
            let heard_at = match item.entry.message {
                Some(serial) => store.receipts(MessageKey { tenant, serial })?.first.delivered_at,
                None => Some(item.at).filter(|_| !item.entry.from_me),
            };
            signs.heard_at = signs.heard_at.max(heard_at);
            signs.later_delivered |= item.entry.message.is_some() && item.number > own.number && heard_at.is_some();
        }
        Ok(signs)
    }
}
