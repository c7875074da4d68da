//! How many different people may be written to outside of the reply window: a moving window, shared by the connectors that share it.
//! A structure in memory that is asked with `now`; it must not know the store or a task.
//!
//! Invariant: in no period as long as the window were more people written to than the limit allowed. A person counts from when it was
//! last written to. A message reaches the channel a while after it was counted, so each counts [`MARGIN_MS`] longer.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use pombo_domain::Timestamp;
use pombo_domain::ports::PersonKey;

/// How much longer than the window a person counts.
pub const MARGIN_MS: i64 = 5 * 60_000;
/// People that are remembered where there is no limit.
pub const MOST_PEOPLE: usize = 1_000_000;
/// A message that waits is looked at again after this at the latest: the limit may have grown.
const LOOK_AGAIN_MS: i64 = 15 * 60_000;

/// When a person was last written to, and which count that was: 0 for one that was stored before a start.
type Seen = (Timestamp, u64);

/// The people who count.
#[derive(Debug, Default)]
pub struct Audience {
    people: HashMap<PersonKey, Seen>,
    /// How often somebody was counted.
    counts: u64,
    order: BTreeSet<(Timestamp, PersonKey)>,
    /// Whose place the last message that waits was told to wait for.
    awaited: Option<(Timestamp, PersonKey)>,
    /// Those who no longer count, and whose rows are still to be deleted.
    gone: Vec<(PersonKey, Timestamp)>,
    /// The limit that the channel told; `Some(None)`: any number.
    told: Option<Option<u32>>,
}

/// When a person who is written to at `at` counts no longer.
pub fn counts_until(at: Timestamp, window_ms: i64) -> Timestamp {
    at.plus_ms(window_ms.saturating_add(MARGIN_MS))
}

/// A person who was counted. Each batch stores whom it counts, also one that another batch just counted: that one may not be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Who it is.
    pub person: PersonKey,
    /// When it was written to before, as far as that counts.
    before: Option<Seen>,
    /// Which count this is.
    count: u64,
    /// Whether the instant is to be stored.
    pub noted: bool,
}

impl Audience {
    /// An audience of these people.
    pub fn of(people: impl IntoIterator<Item = (PersonKey, Timestamp)>) -> Self {
        let mut audience = Self::default();
        for (person, at) in people {
            audience.set(person, Some((at, 0)));
        }
        audience
    }

    /// The limit that the channel told; `None` if it told none.
    pub fn told_limit(&self) -> Option<Option<u32>> {
        self.told
    }

    /// The channel told this limit.
    pub fn tell_limit(&mut self, told: Option<Option<u32>>) {
        self.told = told;
    }

    fn set(&mut self, person: PersonKey, seen: Option<Seen>) {
        let old = match seen {
            Some(seen) => self.people.insert(person, seen),
            None => self.people.remove(&person),
        };
        if let Some((old, _)) = old {
            self.order.remove(&(old, person));
        }
        if let Some((at, _)) = seen {
            self.order.insert((at, person));
        }
    }

    fn forget(&mut self, window_ms: i64, now: Timestamp) {
        while let Some((at, person)) = self.order.first().copied() {
            if now.since(at) < window_ms.saturating_add(MARGIN_MS) {
                break;
            }
            self.set(person, None);
            self.gone.push((person, at));
        }
    }

    /// How many people count at `now`.
    pub fn used(&mut self, window_ms: i64, now: Timestamp) -> usize {
        self.forget(window_ms, now);
        self.people.len()
    }

    /// Counts a person who is written to at `now`; `Err` says when to ask again.
    pub fn count(
        &mut self,
        person: PersonKey,
        limit: Option<u32>,
        window_ms: i64,
        now: Timestamp,
    ) -> Result<Counted, Timestamp> {
        self.forget(window_ms, now);
        let before = self.people.get(&person).copied();
        if before.is_none() {
            let most = limit.map_or(MOST_PEOPLE, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
            if self.people.len() >= most {
                return match limit {
                    Some(_) => Err(self.wait(window_ms, now)),
                    None => Ok(Counted { person, before, count: 0, noted: false }),
                };
            }
        }
        self.counts += 1;
        let (at, count) = (before.map_or(now, |(before, _)| before.max(now)), self.counts);
        self.set(person, Some((at, count)));
        Ok(Counted { person, before, count, noted: true })
    }

    /// When one more person may be written to; each who asks waits for another's place.
    fn wait(&mut self, window_ms: i64, now: Timestamp) -> Timestamp {
        let from = match self.awaited {
            Some(awaited) if self.order.contains(&awaited) => Bound::Excluded(awaited),
            _ => Bound::Unbounded,
        };
        let next = self.order.range((from, Bound::Unbounded)).next().copied();
        let latest = now.plus_ms(LOOK_AGAIN_MS);
        let Some((at, person)) = next else {
            self.awaited = None;
            return latest;
        };
        let place = counts_until(at, window_ms);
        if place >= latest {
            return latest;
        }
        self.awaited = Some((at, person));
        place.max(now.plus_ms(1_000))
    }

    /// The batch in which a person was counted was not stored. One who was counted again since goes on to count.
    pub fn give_back(&mut self, counted: &Counted) {
        if counted.noted && self.people.get(&counted.person).is_some_and(|(_, count)| *count == counted.count) {
            self.set(counted.person, counted.before);
        }
    }

    /// Some of those who no longer count, with the instant that was known.
    pub fn take_gone(&mut self, most: usize) -> Vec<(PersonKey, Timestamp)> {
        let rest = self.gone.len().saturating_sub(most);
        self.gone.split_off(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);
    const HOUR_MS: i64 = 3_600_000;

    fn who(n: u8) -> PersonKey {
        [n; 16]
    }

    #[test]
    fn who_is_counted_may_be_written_to_again_and_others_wait_for_a_place() {
        let mut audience = Audience::default();
        let mut ask = |n, ms| audience.count(who(n), Some(2), HOUR_MS, NOW.plus_ms(ms));
        assert!(ask(1, 0).is_ok_and(|counted| counted.noted) && ask(2, 1_000).is_ok());
        assert!(ask(1, 2_000).is_ok_and(|counted| counted.noted), "whoever counted it may not store it");
        assert!(ask(3, 2_000).is_err());
        assert!(ask(1, 30 * 60_000).is_ok_and(|counted| counted.noted), "it counts from now");
        let full = HOUR_MS + MARGIN_MS;
        assert_eq!(ask(3, full), Err(NOW.plus_ms(full + 1_000)), "only then the second one is gone");
        assert!(ask(3, full + 1_000).is_ok());
        assert_eq!(audience.take_gone(9), [(who(2), NOW.plus_ms(1_000))]);
    }

    #[test]
    fn each_who_waits_gets_another_place() {
        let mut audience = Audience::of([(who(1), NOW), (who(2), NOW.plus_ms(5_000))]);
        let soon = NOW.plus_ms(HOUR_MS);
        let mut ask = |n| audience.count(who(n), Some(2), HOUR_MS, soon);
        let place = |ms| Err(NOW.plus_ms(HOUR_MS + MARGIN_MS + ms));
        assert_eq!((ask(3), ask(4)), (place(0), place(5_000)));
        assert_eq!(ask(5), Err(soon.plus_ms(LOOK_AGAIN_MS)));
    }

    #[test]
    fn a_batch_that_was_not_stored_counts_nobody() {
        let mut audience = Audience::default();
        let counted = audience.count(who(1), Some(1), HOUR_MS, NOW).expect("room");
        audience.give_back(&counted);
        assert_eq!(audience.used(HOUR_MS, NOW), 0);
        assert!(audience.count(who(2), Some(1), HOUR_MS, NOW).is_ok());
    }

    #[test]
    fn one_who_two_batches_count_at_once_counts_if_one_of_them_is_stored() {
        let mut audience = Audience::default();
        let mut ask = |n| audience.count(who(n), Some(1), HOUR_MS, NOW);
        let (first, second) = (ask(1).expect("room"), ask(1).expect("the same person"));
        audience.give_back(&first);
        assert_eq!(audience.used(HOUR_MS, NOW), 1, "the second one is under way");
        assert!(audience.count(who(2), Some(1), HOUR_MS, NOW).is_err());
        audience.give_back(&second);
        let both = (audience.count(who(1), Some(1), HOUR_MS, NOW), audience.count(who(1), Some(1), HOUR_MS, NOW));
        let (Ok(first), Ok(second)) = both else { panic!("it still counts, to be on the safe side") };
        audience.give_back(&second);
        audience.give_back(&first);
        assert_eq!(audience.used(HOUR_MS, NOW), 1);
    }
}
