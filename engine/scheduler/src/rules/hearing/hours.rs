//! What was sent and heard in each hour of the last weeks. A ring of a fixed length; it must not know a clock.

/// An hour, ms.
pub(super) const HOUR_MS: i64 = 3_600_000;
/// Hours of a week.
pub(super) const WEEK: i64 = 7 * 24;
/// Hours that are kept: five weeks.
const KEPT: i64 = 5 * WEEK;

/// The counts of one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Hour {
    /// Messages that the channel accepted.
    pub(super) sent: u32,
    /// Those of them that were delivered promptly.
    pub(super) prompt: u32,
    /// What was heard, of any kind.
    pub(super) heard: u32,
    /// The longest silence within the hour, in seconds, as far as it has ended.
    pub(super) silence_s: u16,
}

/// The longest silence that an hour may have, in seconds.
const WHOLE_HOUR_S: u16 = 3_600;

impl Hour {
    /// The longest silence within it, ms.
    pub(super) fn silence_ms(&self) -> i64 {
        let seconds = if self.heard == 0 { WHOLE_HOUR_S } else { self.silence_s };
        i64::from(seconds) * 1_000
    }
}

/// The hours, by their number since 1970.
#[derive(Debug, Clone, Default)]
pub(super) struct Hours {
    /// Empty until something is counted.
    slots: Vec<Hour>,
    /// The first hour of which anything is known.
    first: i64,
    /// The first hour that was counted here.
    counted: i64,
    newest: i64,
}

impl Hours {
    fn slot(hour: i64) -> usize {
        usize::try_from(hour.rem_euclid(KEPT)).unwrap_or(0)
    }

    /// The counts of the present hour, to be changed. A clock that stepped back leaves the hours ahead of it until it has caught up, unless
    /// it stepped back further than what is kept.
    pub(super) fn now(&mut self, hour: i64) -> &mut Hour {
        if self.slots.is_empty() || self.newest - hour >= KEPT {
            self.slots = vec![Hour::default(); usize::try_from(KEPT).unwrap_or(0)];
            (self.first, self.counted, self.newest) = (hour, hour, hour);
        }
        if hour > self.newest {
            for gone in (self.newest + 1..=hour).rev().take(self.slots.len()) {
                self.slots[Self::slot(gone)] = Hour::default();
            }
            self.newest = hour;
        }
        self.first = self.first.min(hour).max(self.newest - KEPT + 1);
        &mut self.slots[Self::slot(hour)]
    }

    /// The counts of an hour that is known, to be changed.
    pub(super) fn past(&mut self, hour: i64) -> Option<&mut Hour> {
        self.knows(hour).then(|| &mut self.slots[Self::slot(hour)])
    }

    /// Adds what is known from elsewhere of an hour before all that were counted here.
    pub(super) fn seed(&mut self, hour: i64, sent: u32, heard: u32, now: i64) {
        self.now(now);
        if hour >= self.counted || now - hour >= KEPT {
            return;
        }
        self.first = self.first.min(hour);
        let slot = &mut self.slots[Self::slot(hour)];
        slot.sent = slot.sent.saturating_add(sent);
        slot.heard = slot.heard.saturating_add(heard);
        // How it was spread over the hour is not known.
        slot.silence_s = WHOLE_HOUR_S;
    }

    /// Nothing was heard between two instants, ms since 1970, of which the later one is in the present hour.
    pub(super) fn silent(&mut self, from: i64, to: i64) {
        let last = to.div_euclid(HOUR_MS);
        for hour in from.div_euclid(HOUR_MS).max(last - KEPT + 1)..=last {
            let within = to.min((hour + 1) * HOUR_MS) - from.max(hour * HOUR_MS);
            let seconds = u16::try_from(within / 1_000).unwrap_or(WHOLE_HOUR_S);
            if let Some(slot) = self.past(hour) {
                slot.silence_s = slot.silence_s.max(seconds);
            }
        }
    }

    /// Whether anything is known of an hour.
    pub(super) fn knows(&self, hour: i64) -> bool {
        !self.slots.is_empty() && (self.first..=self.newest).contains(&hour) && hour > self.newest - KEPT
    }

    /// The counts of an hour: none where it is not known.
    pub(super) fn of(&self, hour: i64) -> Hour {
        if self.knows(hour) { self.slots[Self::slot(hour)] } else { Hour::default() }
    }

    /// The sum of what was sent in these hours.
    pub(super) fn sent(&self, hours: impl Iterator<Item = i64>) -> u32 {
        hours.fold(0_u32, |sent, hour| sent.saturating_add(self.of(hour).sent))
    }

    /// The sums of what was sent and of what was delivered promptly, in those of these hours that were counted here: of the others nobody
    /// knows what was prompt.
    pub(super) fn sent_here(&self, hours: impl Iterator<Item = i64>) -> (u32, u32) {
        hours
            .filter(|hour| *hour >= self.counted)
            .map(|hour| self.of(hour))
            .fold((0, 0), |(sent, prompt), hour| (sent.saturating_add(hour.sent), prompt.saturating_add(hour.prompt)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_kept_for_five_weeks_and_no_longer() {
        let mut hours = Hours::default();
        assert!(!hours.knows(0));
        hours.now(1_000).sent = 7;
        assert_eq!((hours.of(1_000).sent, hours.knows(999), hours.knows(1_001)), (7, false, false));
        hours.now(1_000 + KEPT - 1).sent = 8;
        assert_eq!((hours.of(1_000).sent, hours.of(1_500)), (7, Hour::default()));
        assert!(hours.knows(1_500), "nothing was sent then, which is known");
        hours.now(1_000 + KEPT).sent = 9;
        assert_eq!((hours.knows(1_000), hours.of(1_000).sent, hours.of(1_000 + KEPT - 1).sent), (false, 0, 8));
        hours.now(1_000 + 10 * KEPT).heard = 1;
        assert_eq!(hours.of(1_000 + KEPT - 1), Hour::default(), "all of it is too long ago");
        assert_eq!(hours.slots.len() as i64, KEPT);
    }

    #[test]
    fn a_clock_that_steps_back_loses_nothing_unless_it_steps_far() {
        let mut hours = Hours::default();
        hours.now(5_000).sent = 1;
        hours.now(4_990).sent = 2;
        assert_eq!((hours.of(5_000).sent, hours.of(4_990).sent), (1, 2));
        hours.now(5_000 - KEPT).sent = 3;
        assert_eq!((hours.of(5_000).sent, hours.of(5_000 - KEPT).sent), (0, 3));
    }

    #[test]
    fn silence_is_kept_with_each_hour_that_it_is_part_of() {
        let mut hours = Hours::default();
        let at = |hour: i64, second: i64| hour * HOUR_MS + second * 1_000;
        hours.now(100).heard = 1;
        hours.now(102).heard = 1;
        hours.silent(at(100, 600), at(102, 30));
        let silence = |hours: &Hours, hour| hours.of(hour).silence_ms() / 1_000;
        assert_eq!([100, 101, 102].map(|hour| silence(&hours, hour)), [3_000, 3_600, 30]);
        hours.silent(at(102, 30), at(102, 50));
        assert_eq!(silence(&hours, 102), 30, "the longest");
        assert_eq!(silence(&hours, 50), 3_600, "nothing was heard then");
        hours.silent(at(-5_000, 0), at(102, 60));
        assert_eq!(silence(&hours, 102), 60);
    }

    #[test]
    fn what_is_known_of_earlier_hours_from_elsewhere_is_added() {
        let mut hours = Hours::default();
        hours.now(5_000).heard = 1;
        hours.seed(4_900, 5, 6, 5_000);
        hours.seed(5_000, 5, 6, 5_000);
        hours.seed(5_000 - KEPT, 5, 6, 5_000);
        hours.seed(5_001, 5, 6, 5_000);
        assert_eq!((hours.of(4_900).sent, hours.of(5_000).heard, hours.of(5_001).sent), (5, 1, 0));
        assert!(hours.knows(4_950) && !hours.knows(4_899));
        hours.now(5_000).sent = 3;
        hours.now(5_000).prompt = 2;
        assert_eq!((hours.sent(4_899..=5_000), hours.sent_here(4_899..=5_000)), (8, (3, 2)));
    }
}
