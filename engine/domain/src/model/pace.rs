//! A connector's pace at one instant, as it is shown to people: a view, computed when it is asked for and stored nowhere. The settings
//! and the counts that it follows from are in [`super::connector`] and [`super::health`].

use super::connector::Pace;
use super::health::HealthLevel;
use super::outreach::Outreach;
use super::rules::Quality;
use crate::Timestamp;
use crate::words::words;

words! {
    /// Why a connector's next message waits; absent if nothing holds it back.
    pub enum WaitReason {
        /// The connector is paused; a person has to resume it.
        Paused = "paused",
        /// The connector is paused by its health.
        Health = "health",
        /// The connector has no session; a person may have to pair the account.
        NoSession = "no_session",
        /// The pause between two messages.
        Delay = "delay",
        /// The cap of the day is reached.
        DailyCap = "daily_cap",
        /// These are the connector's quiet hours.
        QuietHours = "quiet_hours",
        /// The channel asked to slow down.
        Throttled = "throttled",
        /// The connection to the channel failed; it is tried again later.
        Disconnected = "disconnected",
        /// The connector was deleted.
        Deleted = "deleted",
    }
}

/// The circuit breaker of a connector's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BreakerView {
    /// The connection works, as far as is known.
    #[default]
    Closed,
    /// The connection failed, and nothing is sent for now.
    Open {
        /// When the next message tries the connection again.
        until: Timestamp,
        /// How often in a row the connection failed.
        failures: u32,
    },
    /// The next message tries the connection again.
    HalfOpen {
        /// How often in a row the connection failed.
        failures: u32,
    },
}

/// An account's health at one instant: the score and the counts that it follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HealthView {
    /// The score, from 0 (worst) to 100.
    pub score: u8,
    /// What follows from the score.
    pub level: HealthLevel,
    /// How far back is counted, in hours.
    pub window_hours: u16,
    /// Counted from here, where that is later than the beginning of the window.
    pub since: Option<Timestamp>,
    /// Messages that the channel accepted.
    pub sent: u32,
    /// Messages of which a report says that they reached their recipient.
    pub delivered: u32,
    /// Messages received from people, one for each conversation and hour.
    pub replies: u32,
    /// Messages that the channel refused for good.
    pub failures: u32,
    /// How often recipients blocked or reported the account.
    pub blocks: u32,
    /// Restrictions that the channel imposed.
    pub restrictions: u32,
}

/// A connector's pace at one instant, with what its next message waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PaceView {
    /// The limits as they are set.
    pub limits: Pace,
    /// The pause between two messages as it is now, shortest and longest, ms: longer than the set one where the health slows
    /// it. 0 and 0 for none.
    pub delay_ms: (u64, u64),
    /// The health of the account; `None` where no health rules are set.
    pub health: Option<HealthView>,
    /// Attempts begun today (in the pace's time zone).
    pub sent_today: u32,
    /// Today's cap, `None` for no limit.
    pub cap_today: Option<u32>,
    /// Day of the warm-up (from 1), `None` once warm or without one.
    pub warm_up_day: Option<u32>,
    /// When the next message may go; now or earlier when nothing holds it. `None` where no instant is known: paused, or
    /// without a session.
    pub next_at: Option<Timestamp>,
    /// Why it waits; `None` when it does not.
    pub reason: Option<WaitReason>,
    /// The reason as a sentence for a person, with what to do where somebody must do something.
    pub detail: Option<String>,
    /// Whether quiet hours hold messages back now.
    pub quiet: bool,
    /// Until when the provider asked to slow down, where that lies ahead.
    pub throttled_until: Option<Timestamp>,
    /// The connection's circuit breaker.
    pub breaker: BreakerView,
    /// Messages that were claimed and whose outcome is not stored yet.
    pub in_flight: usize,
    /// Queue entries in memory: the queue's length where `more_queued` is false.
    pub queued: usize,
    /// The queue may be longer than `queued`.
    pub more_queued: bool,
    /// Messages per second that the channel takes; `None` for any number.
    pub per_second: Option<u32>,
    /// The people who may be written to outside of the reply window; `None` where the channel does not count them.
    pub audience: Option<AudienceView>,
    /// What the channel thinks of what is sent.
    pub quality: Quality,
    /// How far the channel lets the account start conversations; `None` where it told nothing that still counts.
    pub outreach: Option<Outreach>,
    /// Set where the same advertising was sent so often within a day that it puts the account at risk.
    pub equal_texts: Option<EqualTextsView>,
    /// Attempts that count until a message is given up; 0 where that is not known.
    pub max_attempts: u16,
}

/// How many different people were written to outside of the reply window within the channel's moving window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AudienceView {
    /// How many count now, over all connectors that share the limit.
    pub used: u32,
    /// How many may; `None` for any number.
    pub limit: Option<u32>,
}

/// The same rendered text, sent again and again as advertising.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EqualTextsView {
    /// How often.
    pub count: u32,
    /// Since when.
    pub since: Timestamp,
}
