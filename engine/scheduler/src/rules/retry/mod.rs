//! What becomes of a message after an attempt: pure functions of (policy, how it ended, the attempt, now, seed).

use pombo_domain::Timestamp;
use pombo_domain::backoff::{Backoff, Jitter, between};
use pombo_domain::model::reason::{Reason, ReasonCode};
use pombo_domain::ports::SendOutcome;

/// When an attempt is repeated, and when the message is given up.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// Attempts that count, at most.
    pub max_attempts: u16,
    /// Attempts after which a message that was in flight when the process or its lane ended is not tried again. It is higher than
    /// `max_attempts`, because the message seldom is the reason; but if it is, it must not hold up its queue for ever.
    pub max_interrupted: u16,
    /// Pauses after the channel said "not now".
    pub temporary: Backoff,
    /// Pauses where it is not known whether the message was sent, and sending it again is safe.
    pub unknown: Backoff,
    /// Pauses while the renderer is not available.
    pub render: Backoff,
    /// Pauses where the attachment could not be fetched.
    pub attachment: Backoff,
    /// The shortest pause of a throttled message, ms; it grows with the message's age.
    pub throttled_min_ms: u64,
    /// How long throttled attempts do not count, ms, from when the message was first due.
    pub throttled_free_ms: u64,
    /// Whether a message that the channel could not deliver but takes a day later is sent once more then.
    pub retry_later: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        let jitter = Jitter::Equal;
        Self {
            max_attempts: 5,
            max_interrupted: 50,
            temporary: Backoff { base_ms: 5_000, max_ms: 900_000, jitter },
            unknown: Backoff { base_ms: 5_000, max_ms: 900_000, jitter },
            render: Backoff { base_ms: 1_000, max_ms: 60_000, jitter: Jitter::Full },
            attachment: Backoff { base_ms: 5_000, max_ms: 300_000, jitter },
            throttled_min_ms: 1_000,
            throttled_free_ms: 24 * 3_600_000,
            retry_later: false,
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The connector answered.
    Outcome(SendOutcome),
    /// The renderer was not available.
    RenderUnavailable(String),
    /// The attachment's address could not be reached.
    AttachmentUnreachable(String),
    /// The lane stopped before the connector was called: pause, drain, an opened breaker.
    NotCalled(&'static str),
    /// The process ended while it was with the connector.
    Crash,
    /// Its time was over before the connector was called again.
    Expired,
}

/// What is known about an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// Attempts so far, including this one.
    pub attempts: u16,
    /// The connector may be given the same message again without sending it twice.
    pub idempotent: bool,
    /// The due time that gives it its place in the queue.
    pub due_at: Timestamp,
    /// When the message was accepted, or what time it was scheduled for.
    pub first_due: Timestamp,
    /// The instant after which it is not tried again.
    pub expires_at: Option<Timestamp>,
}

impl Attempt {
    /// Whether an earlier attempt may have reached the channel. Only a connector that may be given the same message again is given one
    /// in doubt again. This attempt is counted already.
    fn may_have_reached(&self) -> bool {
        self.idempotent && self.attempts > 1
    }
}

/// What becomes of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was sent, with this id at the provider.
    Sent(Option<String>),
    /// It is given up.
    Failed(Reason),
    /// Whether it was sent is not known: a person decides.
    Unknown(Reason),
    /// It is tried again.
    Again {
        /// Why this attempt was not the last one.
        reason: Reason,
        /// When it is due again; an instant in the past keeps its place in the queue.
        due_at: Timestamp,
        /// This attempt does not count.
        free: bool,
    },
}

/// Decides what becomes of a message after an attempt.
pub fn verdict(policy: &RetryPolicy, ending: Ending, attempt: Attempt, now: Timestamp, seed: u64) -> Verdict {
    let (reason, due_at, free) = match by_ending(policy, ending, attempt, now, seed) {
        Verdict::Again { reason, due_at, free } => (reason, due_at, free),
        verdict => return verdict,
    };
    let Some(end) = attempt.expires_at.filter(|end| due_at.max(now) > *end) else {
        return Verdict::Again { reason, due_at, free };
    };
    if reason.leaves_doubt() {
        return Verdict::Unknown(reason);
    }
    if attempt.may_have_reached() {
        return Verdict::Unknown(Reason::new(
            ReasonCode::Expired,
            format!(
                "its time was over; an earlier attempt may have reached the channel; the last one: {}",
                reason.detail
            ),
        ));
    }
    let detail = format!("it was to be sent by {}; the last attempt: {}", end.to_iso(), reason.detail);
    Verdict::Failed(Reason::new(ReasonCode::Expired, detail))
}

/// The same for a message that may be tried again at any time.
fn by_ending(policy: &RetryPolicy, ending: Ending, attempt: Attempt, now: Timestamp, seed: u64) -> Verdict {
    let n = u32::from(attempt.attempts.max(1));
    let counted = |code: ReasonCode, detail: String, backoff: &Backoff| {
        let reason = Reason::new(code, detail);
        if attempt.attempts >= policy.max_attempts {
            return Verdict::Failed(reason);
        }
        Verdict::Again { reason, due_at: now.plus_ms(backoff.delay_ms(n, seed).max(1)), free: false }
    };
    let keep_place = |code: ReasonCode, detail: String, free| Verdict::Again {
        reason: Reason::new(code, detail),
        due_at: attempt.due_at.min(now),
        free,
    };
    match ending {
        Ending::Outcome(SendOutcome::Accepted { provider_id, .. }) => Verdict::Sent(provider_id),
        Ending::Outcome(SendOutcome::InvalidRecipient(why)) => {
            Verdict::Failed(Reason::new(ReasonCode::InvalidRecipient, why.reason).with_channel_code(why.code))
        }
        Ending::Outcome(SendOutcome::Rejected(why)) => {
            Verdict::Failed(Reason::new(ReasonCode::Rejected, why.reason).with_channel_code(why.code))
        }
        Ending::Outcome(SendOutcome::Temporary(why)) => counted(ReasonCode::Temporary, why, &policy.temporary),
        Ending::Outcome(SendOutcome::Disconnected(why)) => keep_place(ReasonCode::Disconnected, why, true),
        Ending::Outcome(SendOutcome::Throttled { retry_after_ms, reason, code, .. }) => {
            let reason = Reason::new(ReasonCode::Throttled, reason).with_channel_code(code);
            let age = u64::try_from(now.since(attempt.first_due)).unwrap_or(0);
            let free = age < policy.throttled_free_ms;
            if !free && attempt.attempts >= policy.max_attempts {
                return Verdict::Failed(reason);
            }
            // A pause that grows with the age: a recipient that is always "throttled" must not be the next one forever.
            let own = (age / 4).clamp(policy.throttled_min_ms, 900_000);
            let pause = retry_after_ms.unwrap_or(0).clamp(own, 3_600_000.max(own));
            let spread = between(seed, pause, pause + pause / 10);
            let due_at = now.plus_ms(i64::try_from(spread).unwrap_or(i64::MAX));
            Verdict::Again { reason, due_at, free }
        }
        Ending::Outcome(SendOutcome::Unknown(why)) => {
            let reason = Reason::new(ReasonCode::UnknownOutcome, why);
            // After the last attempt it still may have been sent: FAILED would be a guess.
            if !attempt.idempotent || attempt.attempts >= policy.max_attempts {
                return Verdict::Unknown(reason);
            }
            let due_at = now.plus_ms(policy.unknown.delay_ms(n, seed).max(1));
            Verdict::Again { reason, due_at, free: false }
        }
        Ending::RenderUnavailable(why) => counted(ReasonCode::Render, why, &policy.render),
        Ending::AttachmentUnreachable(why) => counted(ReasonCode::Attachment, why, &policy.attachment),
        Ending::NotCalled(why) => keep_place(ReasonCode::NotCalled, why.to_owned(), true),
        Ending::Crash if attempt.idempotent && attempt.attempts < policy.max_interrupted => {
            keep_place(ReasonCode::Crash, "the engine stopped during the attempt; it is tried again".to_owned(), false)
        }
        Ending::Crash if attempt.idempotent => Verdict::Unknown(Reason::new(
            ReasonCode::Crash,
            format!("the engine stopped during each of {} attempts; the message may have been sent", attempt.attempts),
        )),
        Ending::Crash => Verdict::Unknown(Reason::new(
            ReasonCode::Crash,
            "the engine stopped during the attempt and this connector cannot tell whether it was sent",
        )),
        Ending::Expired if attempt.may_have_reached() => Verdict::Unknown(Reason::new(
            ReasonCode::Expired,
            "its time was over before it could be tried again; an earlier attempt may have reached the channel",
        )),
        Ending::Expired => {
            Verdict::Failed(Reason::new(ReasonCode::Expired, "its time was over before it could be sent"))
        }
    }
}

#[cfg(test)]
mod tests;
