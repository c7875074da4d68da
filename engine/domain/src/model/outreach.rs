//! How far a channel lets an account start conversations with strangers: people who have not written to it, and to whom nothing of it was
//! accepted. Some channels lock an account out of that for a while, and some count new conversations.
//!
//! It holds plain values: it must not know a channel, and nothing here waits or counts.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Instants whose messages are still to be released, at most; see [`OutreachRecord::release`].
pub const MAX_RELEASES: usize = 16;

/// What a channel told of it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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

/// What is stored of it, so that a restart forgets nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutreachRecord {
    /// What the channel told last.
    pub told: Outreach,
    /// How many conversations the connector started since.
    pub started: u32,
    /// Messages were put off to these instants for a reason that is over: they are to be released. Sorted, at most [`MAX_RELEASES`]; those
    /// of an instant that has no place here go when it comes.
    pub release: Vec<Timestamp>,
}

/// Why an account may start no conversation now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutreachWait {
    /// It is locked until this instant.
    Locked(Timestamp),
    /// It has started as many as the cycle allows; the instant is the end of the cycle, where that is known.
    Quota(Option<Timestamp>),
}

impl OutreachWait {
    /// The instant at which it is over, where that is known.
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Self::Locked(until) => Some(until),
            Self::Quota(until) => until,
        }
    }

    /// The reason, for a person.
    pub fn detail(self) -> &'static str {
        match self {
            Self::Locked(_) => "the channel lets the account start no conversation",
            Self::Quota(_) => "the account has started as many conversations as the channel allows in this cycle",
        }
    }
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

    /// Whether it limits how conversations are started.
    pub fn limits(&self) -> bool {
        self.locked_until.is_some() || self.quota.is_some()
    }

    /// The same with `started` conversations that the channel has not counted yet.
    #[must_use]
    pub fn with_started(self, started: u32) -> Self {
        let used = if self.quota.is_some() { Some(self.used.unwrap_or(0)) } else { self.used };
        Self { used: used.map(|used| used.saturating_add(started)), ..self }
    }

    /// How many conversations may still be started in the cycle; `None` where the channel does not limit them.
    pub fn left(self) -> Option<u32> {
        Some(self.quota?.saturating_sub(self.used.unwrap_or(0)))
    }

    /// Why no conversation may be started at `now`; `None` if one may.
    pub fn wait(self, now: Timestamp) -> Option<OutreachWait> {
        let counts = self.at(now);
        match (counts.locked_until, counts.left()) {
            (Some(until), _) => Some(OutreachWait::Locked(until)),
            (None, Some(0)) => Some(OutreachWait::Quota(counts.cycle_end)),
            (None, _) => None,
        }
    }

    /// The instants ahead to which messages may have been put off by this, and at which `next`, told at `now`, does not hold them all any
    /// more.
    pub fn freed_by(self, next: Self, now: Timestamp) -> Vec<Timestamp> {
        let lock = self.locked_until.filter(|until| next.locked_until != Some(*until));
        let has_room = next.at(now).left() != Some(0);
        let cycle = self.cycle_end.filter(|end| has_room || next.cycle_end != Some(*end));
        let mut freed: Vec<Timestamp> = lock.into_iter().chain(cycle).filter(|at| *at > now).collect();
        freed.sort_unstable();
        freed.dedup();
        freed
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

    #[test]
    fn a_stranger_waits_for_the_lock_first_and_then_for_the_cycle() {
        let (lock, cycle, now) = (Timestamp(1_000), Timestamp(2_000), Timestamp(0));
        let told = Outreach { locked_until: Some(lock), quota: Some(10), used: Some(4), cycle_end: Some(cycle) };
        assert_eq!(told.wait(now), Some(OutreachWait::Locked(lock)));
        assert_eq!((told.wait(lock), told.left()), (None, Some(6)));
        let full = told.with_started(6);
        assert_eq!((full.wait(lock), full.left()), (Some(OutreachWait::Quota(Some(cycle))), Some(0)));
        assert_eq!(full.wait(cycle), None);
        let uncounted = Outreach { quota: Some(1), ..Outreach::default() };
        assert_eq!(uncounted.left(), Some(1));
        assert_eq!(uncounted.with_started(1).wait(now), Some(OutreachWait::Quota(None)));
        assert_eq!(Outreach::default().with_started(9), Outreach::default(), "nobody counts");
    }

    #[test]
    fn what_is_told_later_frees_those_who_were_put_off() {
        let (lock, cycle, now) = (Timestamp(1_000), Timestamp(2_000), Timestamp(500));
        let told = Outreach { locked_until: Some(lock), quota: Some(10), used: Some(10), cycle_end: Some(cycle) };
        assert_eq!(told.freed_by(told, now), []);
        assert_eq!(told.freed_by(Outreach { locked_until: None, ..told }, now), [lock]);
        assert_eq!(told.freed_by(Outreach { locked_until: Some(Timestamp(700)), ..told }, now), [lock]);
        assert_eq!(told.freed_by(Outreach { used: Some(9), ..told }, now), [cycle]);
        assert_eq!(told.freed_by(Outreach { cycle_end: Some(Timestamp(3_000)), ..told }, now), [cycle]);
        assert_eq!(told.freed_by(Outreach::default(), now), [lock, cycle]);
        assert_eq!(told.freed_by(Outreach::default(), lock), [cycle], "those of the lock are due");
    }
}
