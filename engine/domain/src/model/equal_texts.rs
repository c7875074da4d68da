//! How often the same text goes through one connector within a day. Kept in memory, with a bound; it must not know a store or a task. The
//! commands count what is handed in, the lanes what is sent.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::Timestamp;

/// With more than this many equal advertising texts of a connector within a day, there is a warning.
pub const EQUAL_TEXTS: u32 = 100;
/// Texts that are counted at once; past it, the one that was counted least often is forgotten.
const TEXTS: usize = 1_024;
const DAY_MS: i64 = 86_400_000;

/// Names a text in memory, where 100,000 texts would be many megabytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TextKey(u64);

impl TextKey {
    /// The key of a text as its recipient sees it.
    pub fn of(text: &str) -> Self {
        Self::hashed(text)
    }

    /// The key of a template with the values that it is filled with.
    pub fn of_template(text: &str, values: impl Hash) -> Self {
        Self::hashed((text, values))
    }

    fn hashed(what: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// How often texts were counted, and since when.
#[derive(Debug, Default)]
pub struct EqualTexts(HashMap<TextKey, (u32, Timestamp)>);

impl EqualTexts {
    /// Counts a text so many times more. Returns how often it was counted within a day.
    pub fn note(&mut self, key: TextKey, times: u32, now: Timestamp) -> u32 {
        if !self.0.contains_key(&key) && self.0.len() >= TEXTS {
            self.0.retain(|_, (_, since)| now.since(*since) < DAY_MS);
            let least = self.0.iter().min_by_key(|(_, (count, _))| *count).map(|(key, _)| *key);
            if let Some(least) = least.filter(|_| self.0.len() >= TEXTS) {
                self.0.remove(&least);
            }
        }
        let (count, since) = self.0.entry(key).or_insert((0, now));
        if now.since(*since) >= DAY_MS {
            (*count, *since) = (0, now);
        }
        *count = count.saturating_add(times);
        *count
    }

    /// How often a text was counted within a day.
    pub fn count(&self, key: TextKey, now: Timestamp) -> u32 {
        self.0.get(&key).filter(|(_, since)| now.since(*since) < DAY_MS).map_or(0, |(count, _)| *count)
    }

    /// The text that was counted most often within a day, if that was more than [`EQUAL_TEXTS`] times: how often, and since when.
    pub fn most(&self, now: Timestamp) -> Option<(u32, Timestamp)> {
        let fresh = self.0.values().filter(|(count, since)| *count > EQUAL_TEXTS && now.since(*since) < DAY_MS);
        fresh.max_by_key(|(count, _)| *count).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    #[test]
    fn a_text_is_counted_for_a_day() {
        let mut texts = EqualTexts::default();
        let (buy, sell) = (TextKey::of("buy"), TextKey::of("sell"));
        assert_eq!((texts.note(buy, 60, NOW), texts.note(sell, 1, NOW)), (60, 1));
        assert_eq!((texts.most(NOW), texts.count(buy, NOW)), (None, 60));
        assert_eq!(texts.note(buy, 60, NOW.plus_ms(5)), 120);
        assert_eq!(texts.most(NOW.plus_ms(6)), Some((120, NOW)));
        let later = NOW.plus_ms(DAY_MS);
        assert_eq!((texts.most(later), texts.count(buy, later), texts.note(buy, 2, later)), (None, 0, 2));
    }

    #[test]
    fn the_number_of_texts_is_bounded_and_the_most_frequent_ones_stay() {
        let mut texts = EqualTexts::default();
        texts.note(TextKey::of("buy"), EQUAL_TEXTS + 1, NOW);
        for n in 0..TEXTS * 2 {
            texts.note(TextKey::of(&format!("text {n}")), 1, NOW);
        }
        assert_eq!(texts.0.len(), TEXTS);
        assert_eq!(texts.most(NOW.plus_ms(1)), Some((EQUAL_TEXTS + 1, NOW)));
    }
}
