//! How far a channel lets an account start conversations with people who have not written to it. Some channels lock an account out of that
//! for a while, and some count new conversations.
//!
//! It holds plain values: it must not know a channel, and nothing here waits or counts.

use crate::Timestamp;

/// What a channel told of it last. Kept in memory: a connector tells it again when its session is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outreach {
    /// Until when the account may start no conversation; answers go on. `None`: it is not locked.
    pub locked_until: Option<Timestamp>,
    /// How many conversations it may start in a cycle; `None`: the channel told nothing.
    pub quota: Option<u32>,
    /// How many of them it has started.
    pub used: Option<u32>,
    /// When the cycle ends, and the count begins anew.
    pub cycle_end: Option<Timestamp>,
}

impl Outreach {
    /// What of it still counts at `now`: not a lock that has ended, nor the count of a cycle that is over.
    pub fn at(self, now: Timestamp) -> Self {
        let locked_until = self.locked_until.filter(|until| *until > now);
        if self.cycle_end.is_some_and(|end| end <= now) {
            return Self { locked_until, ..Self::default() };
        }
        Self { locked_until, ..self }
    }

    /// Whether it says nothing.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_and_a_cycle_end_on_their_own() {
        let (lock, cycle) = (Timestamp(1_000), Timestamp(2_000));
        let told = Outreach { locked_until: Some(lock), quota: Some(10), used: Some(4), cycle_end: Some(cycle) };
        assert_eq!(told.at(Timestamp(999)), told);
        assert_eq!(told.at(lock), Outreach { locked_until: None, ..told });
        assert!(told.at(cycle).is_unknown());
        let long = Outreach { locked_until: Some(Timestamp(9_000)), ..told };
        assert_eq!(long.at(cycle), Outreach { locked_until: Some(Timestamp(9_000)), ..Outreach::default() });
        let endless = Outreach { quota: Some(10), ..Outreach::default() };
        assert_eq!(endless.at(Timestamp(i64::MAX)), endless, "without an end it counts until something else is told");
    }
}
