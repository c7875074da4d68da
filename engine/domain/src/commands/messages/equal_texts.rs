//! The guard against equal advertising: channels restrict an account that sends the same text to many people, so a request that hands in
//! more of it is warned. Nothing is held back for it. What was handed in within a day is counted here, in memory; what was sent is counted
//! by the lanes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::send::{Draft, Row};
use crate::commands::Commands;
use crate::model::pace::PaceView;
use crate::model::{EQUAL_TEXTS, EqualTexts, MessageType, TextKey};
use crate::ports::PaceViews;
use crate::{TenantIndex, Timestamp};

/// Imports of which it is known how many of their texts are the same; of those before, it is forgotten.
const IMPORTS: usize = 1_000;

/// Connectors whose texts are counted at once; past it, one of them is forgotten.
const CONNECTORS: usize = 10_000;

/// Advertising that was handed in within a day, by the connector that it is to go through.
#[derive(Clone, Default)]
pub(in crate::commands) struct HandedIn(Arc<Mutex<HashMap<Uuid, EqualTexts>>>);

impl HandedIn {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, EqualTexts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a text so many times more. Returns how often it was handed in within a day.
    fn note(&self, connector: Uuid, key: TextKey, times: u32, now: Timestamp) -> u64 {
        let mut all = self.lock();
        if all.len() >= CONNECTORS && !all.contains_key(&connector) {
            let other = all.keys().next().copied();
            other.and_then(|other| all.remove(&other));
        }
        u64::from(all.entry(connector).or_default().note(key, times, now))
    }

    fn count(&self, connector: Uuid, key: TextKey, now: Timestamp) -> u64 {
        self.lock().get(&connector).map_or(0, |texts| u64::from(texts.count(key, now)))
    }
}

/// How often each text of a campaign is there.
#[derive(Default)]
pub(in crate::commands) struct TextCounts(HashMap<TextKey, u32>);

impl TextCounts {
    pub(in crate::commands) fn add(&mut self, text: &str) {
        let count = self.0.entry(TextKey::of(text)).or_default();
        *count = count.saturating_add(1);
    }
}

/// What is said of so many equal advertising texts that are about to be sent; nothing of a few.
pub(in crate::commands) fn equal_texts_warning(count: u64) -> Option<String> {
    (count > u64::from(EQUAL_TEXTS)).then(|| {
        format!("{count} recipients would get the same advertising text within 24 hours; let the texts differ")
    })
}

/// A draft's connector and text, if it is advertising that can be told apart before it is rendered: a text of fixed words, or a template
/// with its values. Wording that is chosen at random is counted once it is sent.
fn countable(draft: &Draft<'_>) -> Option<(Uuid, TextKey)> {
    let text = draft.text.as_deref().unwrap_or_default();
    if draft.message_type != MessageType::Marketing || text.is_empty() {
        return None;
    }
    let key = if !text.contains('{') {
        TextKey::of(text)
    } else if text.contains("{%") || text.replace("{{", "").contains('{') {
        return None;
    } else {
        let values = draft.variables.as_ref().map(|values| format!("{values:?}"));
        TextKey::of_template(text, (values, draft.contact_name.as_deref()))
    };
    Some((draft.connector?, key))
}

/// How many of an import's own advertising texts are the same: of the imports of late, in memory. An import is read from its beginning
/// after a restart, so what is counted of it is whole; of one that had ended before, nothing is known.
#[derive(Clone, Default)]
pub(in crate::commands) struct ImportTexts(Arc<Mutex<VecDeque<ImportCount>>>);

struct ImportCount {
    import: Uuid,
    /// How many of its texts are the same, at most, with those that were handed in before it.
    most: u64,
}

impl ImportTexts {
    fn lock(&self) -> MutexGuard<'_, VecDeque<ImportCount>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages of the import were taken, and so many of its texts are the same. With `anew`, the import begins with them.
    fn add(&self, import: Uuid, anew: bool, most: u64) {
        let mut counts = self.lock();
        if anew {
            counts.retain(|count| count.import != import);
        }
        if most == 0 {
            return;
        }
        match counts.iter_mut().rfind(|count| count.import == import) {
            Some(count) => count.most = count.most.max(most),
            None => {
                if counts.len() == IMPORTS {
                    counts.pop_front();
                }
                counts.push_back(ImportCount { import, most });
            }
        }
    }

    fn most(&self, import: Uuid) -> u64 {
        self.lock().iter().rfind(|count| count.import == import).map_or(0, |count| count.most)
    }
}

impl Commands {
    /// Counts the advertising of these drafts, of which `rows` says what became. Returns how many texts are the same within a day, at most:
    /// of those that are among the drafts.
    fn hand_in(&self, drafts: &[Draft<'_>], rows: &[Row]) -> u64 {
        let now = self.now();
        let taken = drafts.iter().zip(rows).filter(|(_, row)| row.is_ok());
        let counted = taken.filter_map(|(draft, _)| countable(draft));
        counted.map(|(connector, key)| self.handed_in.note(connector, key, 1, now)).max().unwrap_or(0)
    }

    /// The same of messages of an import.
    pub(super) fn hand_in_import(&self, import: Uuid, anew: bool, drafts: &[Draft<'_>], rows: &[Row]) {
        self.import_texts.add(import, anew, self.hand_in(drafts, rows));
    }

    /// The same of a campaign that starts.
    pub(in crate::commands) fn hand_in_campaign(&self, connector: Uuid, texts: &TextCounts) -> u64 {
        let now = self.now();
        // Texts that are there once are many, and would push out those that matter.
        let repeated = texts.0.iter().filter(|(_, count)| **count > 1);
        let most = repeated.map(|(key, count)| self.handed_in.note(connector, *key, *count, now)).max();
        most.unwrap_or_else(|| self.equal_texts_of(connector, texts))
    }

    /// How many texts would be the same within a day, at most, if these were handed in now.
    pub(in crate::commands) fn equal_texts_of(&self, connector: Uuid, texts: &TextCounts) -> u64 {
        let now = self.now();
        let all = texts.0.iter().map(|(key, count)| u64::from(*count) + self.handed_in.count(connector, *key, now));
        all.max().unwrap_or(0)
    }

    /// What is said of the advertising texts of an import, of the rows that were taken so far; nothing of a few that are the same.
    pub fn import_equal_texts(&self, import: Uuid) -> Option<String> {
        equal_texts_warning(self.import_texts.most(import))
    }

    /// Warnings of what these connectors of a tenant sent: one for each that sent the same advertising too often within a day. What cannot
    /// be read is left out: by then the messages are taken, and a request must not fail for a warning.
    pub fn sent_equal_texts(
        &self,
        tenant: TenantIndex,
        paces: &dyn PaceViews,
        connectors: impl IntoIterator<Item = Uuid>,
    ) -> Vec<String> {
        let mut warnings = Vec::new();
        for id in connectors {
            let Ok(Some(connector)) = self.ports().store.connector_by_id(tenant, id) else { continue };
            let Ok(Some(PaceView { equal_texts: Some(texts), .. })) = paces.pace(connector.index) else { continue };
            warnings.push(format!(
                "connector {id} sent the same advertising text {} times since {}, which puts its account at risk; let the texts differ",
                texts.count,
                texts.since.to_iso(),
            ));
        }
        warnings
    }

    /// Counts the advertising of a bulk, of which `rows` says what became, and returns the warnings: of what was handed in within a day, and
    /// of what the connectors sent.
    pub fn bulk_equal_texts(
        &self,
        tenant: TenantIndex,
        paces: &dyn PaceViews,
        drafts: &[Draft<'_>],
        rows: &[Row],
    ) -> Vec<String> {
        let mut connectors = Vec::new();
        let taken =
            drafts.iter().zip(rows).filter(|(draft, row)| row.is_ok() && draft.message_type == MessageType::Marketing);
        for connector in taken.filter_map(|(draft, _)| draft.connector) {
            if !connectors.contains(&connector) {
                connectors.push(connector);
            }
        }
        let mut warnings: Vec<String> = equal_texts_warning(self.hand_in(drafts, rows)).into_iter().collect();
        warnings.extend(self.sent_equal_texts(tenant, paces, connectors));
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Variables;

    const NOW: Timestamp = Timestamp(1);

    fn draft(text: &str) -> Draft<'_> {
        let connector = Some(Uuid::from_u128(1));
        Draft { connector, text: Some(text.into()), message_type: MessageType::Marketing, ..Draft::default() }
    }

    #[test]
    fn texts_are_told_apart_by_their_words_and_templates_by_their_values_too() {
        let key = |draft: &Draft<'_>| countable(draft).map(|(_, key)| key);
        assert_eq!(key(&draft("buy")), Some(TextKey::of("buy")));
        let of = |name: &str| {
            let values = format!(r#"{{"nome":"{name}"}}"#);
            key(&Draft { variables: Some(Variables::from_compact(values)), ..draft("oi {{nome}}") })
        };
        assert!(of("Ana").is_some() && of("Ana") == of("Ana") && of("Ana") != of("Bia"));
        let named = Draft { contact_name: Some("Ana".into()), ..draft("oi {{nome}}") };
        assert_ne!(key(&named), key(&draft("oi {{nome}}")), "the name may be a value");
        assert_eq!(
            (key(&draft("{oi|olá}")), key(&draft("{% if x %}a{% endif %}")), key(&draft(""))),
            (None, None, None)
        );
        let support = Draft { message_type: MessageType::Support, ..draft("buy") };
        assert_eq!(key(&support), None);
    }

    #[test]
    fn more_than_a_hundred_equal_texts_of_a_connector_are_warned_of() {
        let (handed_in, buy) = (HandedIn::default(), TextKey::of("buy"));
        let note = |connector: u128, times| handed_in.note(Uuid::from_u128(connector), buy, times, NOW);
        assert_eq!((note(1, 60), note(2, 60)), (60, 60));
        assert_eq!(equal_texts_warning(note(1, 40)), None);
        assert!(equal_texts_warning(note(1, 1)).is_some_and(|text| text.starts_with("101 recipients")));
        assert_eq!(handed_in.count(Uuid::from_u128(2), buy, NOW), 60);
    }

    #[test]
    fn the_connectors_that_are_counted_are_bounded() {
        let handed_in = HandedIn::default();
        for connector in 0..=CONNECTORS as u128 {
            handed_in.note(Uuid::from_u128(connector), TextKey::of("buy"), 1, NOW);
        }
        assert_eq!(handed_in.lock().len(), CONNECTORS);
    }

    #[test]
    fn an_imports_texts_are_counted_over_its_parts_and_anew_when_it_begins_again() {
        let (texts, id) = (ImportTexts::default(), Uuid::from_u128(7));
        texts.add(id, true, 60);
        texts.add(id, false, 120);
        texts.add(id, false, 3);
        assert_eq!((texts.most(id), texts.most(Uuid::from_u128(8))), (120, 0));
        texts.add(id, true, 1);
        assert_eq!(texts.most(id), 1);
    }

    #[test]
    fn imports_of_long_ago_are_forgotten() {
        let texts = ImportTexts::default();
        for id in 0..=IMPORTS as u128 {
            texts.add(Uuid::from_u128(id), true, 1);
        }
        assert_eq!(texts.lock().len(), IMPORTS);
        assert_eq!((texts.most(Uuid::from_u128(0)), texts.most(Uuid::from_u128(1))), (0, 1));
    }
}
