//! Why a message has its status: a stable word, and a sentence for a person.

use serde::{Deserialize, Serialize};

use crate::words::{Word, words};

words! {
    /// Why a message has its status.
    pub enum ReasonCode {
        /// It is scheduled for later.
        Scheduled = "scheduled",
        /// The connector's pace holds it back.
        Pace = "pace",
        /// The channel asked to slow down.
        Throttled = "throttled",
        /// The connector has no connection to its channel.
        Disconnected = "disconnected",
        /// The channel could not take it at that moment.
        Temporary = "temporary",
        /// The attempt ended before the connector was called: the connector was paused or disconnected, or the engine stopped.
        NotCalled = "not_called",
        /// Its text could not be made from the template.
        Render = "render",
        /// A file could not be fetched.
        Attachment = "attachment",
        /// The contact does not want messages.
        InactiveContact = "inactive_contact",
        /// The channel does not know the recipient.
        InvalidRecipient = "invalid_recipient",
        /// The channel refused it.
        Rejected = "rejected",
        /// It may or may not have been sent: the connection broke before the channel answered.
        UnknownOutcome = "unknown_outcome",
        /// The engine stopped during the attempt.
        Crash = "crash",
        /// A person canceled it.
        Canceled = "canceled",
        /// A person rejected it.
        RejectedByPerson = "rejected_by_person",
        /// The connector was deleted before it was sent.
        ConnectorDeleted = "connector_deleted",
        /// Its time was over: somebody waited for it, and it would be sent too late.
        Expired = "expired",
        /// The person has not written for so long that the channel takes only certain kinds of content.
        WindowClosed = "window_closed",
        /// One recipient is written to as fast as the channel allows.
        RecipientRate = "recipient_rate",
        /// The connector sends as fast as the channel allows.
        Throughput = "throughput",
        /// As many different people were written to as the channel allows.
        Audience = "audience",
        /// The contact does not want messages of this category.
        CategoryRefused = "category_refused",
        /// The channel accepted it, and could not deliver it.
        Undeliverable = "undeliverable",
        /// It was taken back because its campaign was paused; it becomes another message when the campaign goes on.
        Withdrawn = "withdrawn",
        /// The channel accepted it and keeps it back for now.
        Held = "held",
        /// The channel lets the account start no conversation now, and the recipient is a stranger.
        Outreach = "outreach",
    }
}

/// Why a message has its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The reason, as a stable word.
    pub code: Word<ReasonCode>,
    /// The reason, for a person. May quote the provider, but never the message's own text.
    pub detail: String,
    /// The channel's own code, if it gave one. Stored beside the state that it belongs to.
    #[serde(skip)]
    pub channel_code: Option<String>,
}

impl Reason {
    /// A reason with this code and detail.
    pub fn new(code: ReasonCode, detail: impl Into<String>) -> Self {
        Self { code: code.into(), detail: detail.into(), channel_code: None }
    }

    /// The same with the channel's own code.
    #[must_use]
    pub fn with_channel_code(mut self, code: Option<impl Into<String>>) -> Self {
        self.channel_code = code.map(Into::into);
        self
    }

    /// Whether the message may have been sent all the same.
    pub fn leaves_doubt(&self) -> bool {
        matches!(self.code, Word::Known(ReasonCode::UnknownOutcome | ReasonCode::Crash))
    }
}
