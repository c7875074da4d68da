//! How fast a channel allows its connector to send: in all ([`Rate`]), and to one recipient ([`Recipients`]). Structures in memory that
//! are asked with `now`; each has a bound. They must not know the store or a task: their owner is the lane.
//!
//! After a restart they are empty. Of a recipient, [`Recipients::seed`] takes what the conversation's timeline knows; what was sent in
//! the second before the restart is not known, and an engine takes longer than that to start.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use pombo_domain::Timestamp;
use pombo_domain::model::EqualTexts;
use pombo_domain::model::rules::Bucket;

/// What counts as a second: a little more, because messages do not take equally long to the channel.
pub const SECOND_MS: i64 = 1_010;
/// Recipients that one lane remembers.
const RECIPIENTS: usize = 65_536;

/// The messages of the last second.
#[derive(Debug, Default)]
pub struct Rate {
    counted: VecDeque<(Timestamp, u32)>,
    total: u32,
}

impl Rate {
    fn forget(&mut self, now: Timestamp) {
        // Where the clock stepped back, what is in the future happens now.
        for (at, _) in self.counted.iter_mut().rev().take_while(|(at, _)| *at > now) {
            *at = now;
        }
        while let Some((_, count)) = self.counted.front().copied().filter(|(at, _)| now.since(*at) >= SECOND_MS) {
            self.counted.pop_front();
            self.total = self.total.saturating_sub(count);
        }
    }

    /// How many may go at `now`; `Err` says when the next one may.
    pub fn room(&mut self, per_second: u32, now: Timestamp) -> Result<u32, Timestamp> {
        self.forget(now);
        match per_second.max(1).saturating_sub(self.total) {
            0 => Err(self.counted.front().map_or(now, |(at, _)| *at).plus_ms(SECOND_MS)),
            room => Ok(room),
        }
    }

    /// Counts messages at `now`.
    pub fn count(&mut self, messages: u32, now: Timestamp) {
        self.forget(now);
        self.total = self.total.saturating_add(messages);
        match self.counted.back_mut() {
            Some((at, count)) if *at == now => *count = count.saturating_add(messages),
            _ => self.counted.push_back((now, messages)),
        }
    }
}

/// Names a recipient in memory.
pub fn recipient_key(address: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    address.hash(&mut hasher);
    hasher.finish()
}

/// One recipient.
#[derive(Debug, Clone, Copy)]
struct Recipient {
    /// When its bucket is full again.
    full_at: Timestamp,
    /// The last instant that was given to a message which waits.
    slot: Timestamp,
    /// The channel asked to write nothing before.
    held_until: Timestamp,
}

const NEVER: Timestamp = Timestamp(i64::MIN / 4);

impl Recipient {
    const NEW: Self = Self { full_at: NEVER, slot: NEVER, held_until: NEVER };

    fn is_idle(&self, now: Timestamp) -> bool {
        self.full_at <= now && self.slot <= now && self.held_until <= now
    }

    fn take(&mut self, bucket: &Bucket, at: Timestamp) {
        self.full_at = self.full_at.max(at).plus_ms(bucket.refill_ms.max(1));
    }

    /// When its bucket has one more.
    fn free_at(&self, bucket: &Bucket) -> Timestamp {
        self.full_at.plus_ms(-i64::from(bucket.burst.max(1) - 1).saturating_mul(bucket.refill_ms.max(1)))
    }
}

/// The recipients that were written to of late.
#[derive(Debug, Default)]
pub struct Recipients(HashMap<u64, Recipient>);

impl Recipients {
    /// Whether anything is known of a recipient.
    pub fn knows(&self, recipient: u64) -> bool {
        self.0.contains_key(&recipient)
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A recipient of which only is known when it was written to, in order.
    pub fn seed(&mut self, recipient: u64, bucket: &Bucket, written: &[Timestamp], now: Timestamp) {
        if let Some(known) = self.entry(recipient, now) {
            written.iter().for_each(|at| known.take(bucket, *at));
        }
    }

    /// The entry of a recipient; `None` where there are too many.
    fn entry(&mut self, recipient: u64, now: Timestamp) -> Option<&mut Recipient> {
        if !self.0.contains_key(&recipient) {
            if self.0.len() >= RECIPIENTS {
                self.0.retain(|_, known| !known.is_idle(now));
            }
            if self.0.len() >= RECIPIENTS {
                return None;
            }
        }
        Some(self.0.entry(recipient).or_insert(Recipient::NEW))
    }

    /// Whether a message may go to a recipient at `now`, and then counts it; `Err` says when it may. One that has `waited` goes before
    /// those that have not; each that waits gets an instant of its own, in order.
    pub fn ask(
        &mut self,
        recipient: u64,
        bucket: Option<&Bucket>,
        waited: bool,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        if bucket.is_none() && !self.knows(recipient) {
            return Ok(());
        }
        let pause = bucket.map_or(1, |bucket| bucket.refill_ms.max(1));
        let Some(known) = self.entry(recipient, now) else { return Err(now.plus_ms(pause)) };
        let free_at = bucket.map_or(now, |bucket| known.free_at(bucket)).max(known.held_until);
        if free_at <= now && (waited || known.slot <= now) {
            if let Some(bucket) = bucket {
                known.take(bucket, now);
            }
            return Ok(());
        }
        known.slot = free_at.max(known.slot.plus_ms(pause)).max(now.plus_ms(1));
        Err(known.slot)
    }

    /// The channel asks to write nothing to a recipient before `until`.
    pub fn hold(&mut self, recipient: u64, until: Timestamp, now: Timestamp) {
        if let Some(known) = self.entry(recipient, now) {
            known.held_until = known.held_until.max(until);
        }
    }

    /// A message that was counted was not sent after all.
    pub fn give_back(&mut self, recipient: u64, bucket: &Bucket) {
        if let Some(known) = self.0.get_mut(&recipient) {
            known.full_at = known.full_at.plus_ms(-bucket.refill_ms.max(1));
        }
    }
}

/// What one lane counts of what its channel demands.
#[derive(Debug, Default)]
pub struct LaneLimits {
    /// Messages of the last second.
    pub rate: Rate,
    /// Recipients that were written to of late.
    pub recipients: Recipients,
    /// How often the same advertising was sent.
    pub texts: EqualTexts,
    /// Since when is counted.
    pub since: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    #[test]
    fn no_more_than_so_many_go_in_a_second() {
        let mut rate = Rate::default();
        assert_eq!(rate.room(3, NOW), Ok(3));
        rate.count(2, NOW);
        rate.count(1, NOW.plus_ms(400));
        assert_eq!(rate.room(3, NOW.plus_ms(400)), Err(NOW.plus_ms(SECOND_MS)));
        assert_eq!(rate.room(3, NOW.plus_ms(SECOND_MS)), Ok(2));
        assert_eq!(rate.room(3, NOW.plus_ms(-5_000)), Ok(2), "the clock stepped back");
    }

    #[test]
    fn a_recipient_gets_a_burst_and_then_one_after_each_pause_in_order() {
        let bucket = Bucket { burst: 2, refill_ms: 6_000 };
        let mut all = Recipients::default();
        let mut ask = |waited, ms| all.ask(1, Some(&bucket), waited, NOW.plus_ms(ms));
        assert_eq!((ask(false, 0), ask(false, 0)), (Ok(()), Ok(())));
        assert_eq!(ask(false, 0), Err(NOW.plus_ms(6_000)));
        assert_eq!(ask(false, 0), Err(NOW.plus_ms(12_000)), "behind the other");
        assert_eq!(ask(false, 6_000), Err(NOW.plus_ms(18_000)), "it came later");
        assert_eq!((ask(true, 6_000), ask(true, 12_000), ask(true, 18_000)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(all.ask(2, Some(&bucket), false, NOW), Ok(()), "another recipient");
    }

    #[test]
    fn a_recipient_that_the_channel_holds_waits_without_a_bucket_too() {
        let mut all = Recipients::default();
        assert_eq!(all.ask(1, None, false, NOW), Ok(()));
        assert!(all.is_empty(), "nothing is kept of who may be written to at any time");
        all.hold(1, NOW.plus_ms(4_000), NOW);
        assert_eq!(all.ask(1, None, true, NOW), Err(NOW.plus_ms(4_000)));
        assert_eq!(all.ask(1, None, true, NOW.plus_ms(4_000)), Ok(()));
    }

    #[test]
    fn what_was_sent_before_a_restart_counts() {
        let bucket = Bucket { burst: 3, refill_ms: 1_000 };
        let mut all = Recipients::default();
        all.seed(1, &bucket, &[NOW, NOW, NOW.plus_ms(100)], NOW.plus_ms(200));
        assert_eq!(all.ask(1, Some(&bucket), false, NOW.plus_ms(200)), Err(NOW.plus_ms(1_000)));
    }

    #[test]
    fn the_number_of_recipients_is_bounded() {
        let bucket = Bucket { burst: 1, refill_ms: 60_000 };
        let mut all = Recipients::default();
        for recipient in 0..RECIPIENTS as u64 {
            assert_eq!(all.ask(recipient, Some(&bucket), false, NOW), Ok(()));
        }
        assert!(all.ask(u64::MAX, Some(&bucket), false, NOW).is_err());
        assert_eq!(all.ask(u64::MAX, Some(&bucket), false, NOW.plus_ms(60_000)), Ok(()), "the others are idle");
        assert_eq!(all.len(), 1);
    }
}
