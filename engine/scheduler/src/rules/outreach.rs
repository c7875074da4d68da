//! Conversations with strangers that a connector started since the channel told how many it had counted. A structure in memory with a bound;
//! it must not know the store or a task. Its owner is what lanes and intake share of an account.

use std::collections::HashMap;

/// People who are told apart, at most. Past this each start counts, also a second one of the same person.
const PEOPLE: usize = 65_536;

/// One stranger.
#[derive(Debug, Default)]
struct Stranger {
    /// Messages that were claimed and have not ended.
    in_flight: u32,
    /// Whether one of them may have reached the channel.
    started: bool,
}

/// The conversations that were started.
#[derive(Debug, Default)]
pub struct Started {
    people: HashMap<u64, Stranger>,
    /// Those that are not in `people`: from before a restart, or past the bound.
    others: u32,
}

impl Started {
    /// As many as are stored.
    pub fn stored(count: u32) -> Self {
        Self { people: HashMap::new(), others: count }
    }

    /// How many count: started, or about to be.
    pub fn count(&self) -> u32 {
        u32::try_from(self.people.len()).unwrap_or(u32::MAX).saturating_add(self.others)
    }

    /// Whether a conversation with this person counts already.
    pub fn has(&self, person: u64) -> bool {
        self.people.contains_key(&person)
    }

    /// A message to a stranger was claimed.
    pub fn begin(&mut self, person: u64) {
        if self.people.len() >= PEOPLE && !self.has(person) {
            self.others = self.others.saturating_add(1);
            return;
        }
        self.people.entry(person).or_default().in_flight += 1;
    }

    /// It ended. With `started`, it reached the channel, or may have. Whether the person counts no more.
    pub fn end(&mut self, person: u64, started: bool) -> bool {
        let Some(known) = self.people.get_mut(&person) else { return false };
        known.in_flight = known.in_flight.saturating_sub(1);
        known.started |= started;
        let is_over = known.in_flight == 0 && !known.started;
        if is_over {
            self.people.remove(&person);
        }
        is_over
    }

    /// The channel told its count: what is still on its way may not be in it.
    pub fn told(&mut self) {
        self.others = 0;
        self.people.retain(|_, known| {
            known.started = false;
            known.in_flight > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_counts_once_and_only_if_a_message_may_have_arrived() {
        let mut all = Started::default();
        all.begin(1);
        all.begin(1);
        all.begin(2);
        assert_eq!((all.count(), all.has(1), all.has(3)), (2, true, false));
        assert!(!all.end(1, true) && !all.end(1, false) && all.end(2, false));
        assert_eq!((all.count(), all.has(1)), (1, true));
        assert!(!all.end(9, true), "nothing is known of that person");
    }

    #[test]
    fn what_the_channel_counted_counts_here_no_more() {
        let mut all = Started::stored(3);
        all.begin(1);
        all.begin(2);
        all.end(1, true);
        assert_eq!(all.count(), 5);
        all.told();
        assert_eq!((all.count(), all.has(2)), (1, true), "it is on its way");
        all.end(2, true);
        assert_eq!(all.count(), 1);
    }

    #[test]
    fn the_number_of_people_is_bounded() {
        let mut all = Started::default();
        (0..PEOPLE as u64 + 5).for_each(|person| all.begin(person));
        assert_eq!((all.count() as usize, all.people.len()), (PEOPLE + 5, PEOPLE));
    }
}
