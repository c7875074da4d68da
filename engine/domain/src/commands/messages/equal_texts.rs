//! The guard against equal advertising: channels restrict the account of whoever sends the same of it to many people, so whoever hands in
//! more of it is warned. Nothing is held back for it. What was sent is counted by whoever keeps the pace.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::send::{Draft, Row};
use crate::TenantIndex;
use crate::commands::Commands;
use crate::model::MessageType;
use crate::model::pace::PaceView;
use crate::ports::PaceViews;

/// Imports of which it is known how many of their texts are the same; of those before, it is forgotten.
const IMPORTS: usize = 1_000;

/// With more than this many equal advertising texts, there is a warning.
pub const EQUAL_TEXTS: u64 = 100;

/// How often each text is there: by their hashes alone, because 100,000 texts would be many megabytes.
#[derive(Default)]
pub(in crate::commands) struct TextCounts(HashMap<u64, u64>);

impl TextCounts {
    pub(in crate::commands) fn add(&mut self, text: &str) {
        self.count(text);
    }

    /// Counts a text that goes through a connector: the same text through another one is another.
    fn add_of(&mut self, connector: Uuid, text: &str) {
        self.count((connector, text));
    }

    fn count(&mut self, what: impl Hash) {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        *self.0.entry(hasher.finish()).or_default() += 1;
    }

    /// How many of the texts are the same, at most.
    pub(in crate::commands) fn most(&self) -> u64 {
        self.0.values().copied().max().unwrap_or(0)
    }
}

/// What is said of so many equal advertising texts that are about to be sent; nothing of a few.
pub(in crate::commands) fn equal_texts_warning(count: u64) -> Option<String> {
    (count > EQUAL_TEXTS)
        .then(|| format!("{count} recipients would get the same advertising text; let the texts differ"))
}

/// The text of a draft and its connector, if it is advertising that can be counted before it is rendered: wording that depends on the
/// recipient or on choices is counted once it is sent.
fn countable<'d>(draft: &'d Draft<'_>) -> Option<(Uuid, &'d str)> {
    let text = draft.text.as_deref().unwrap_or_default();
    let counts = draft.message_type == MessageType::Marketing && !text.is_empty() && !text.contains('{');
    draft.connector.filter(|_| counts).map(|connector| (connector, text))
}

/// How many of an import's own advertising texts are the same: of the imports of late, in memory. An import is read from its beginning
/// after a restart, so what is counted of it is whole; of one that had ended before, nothing is known.
#[derive(Clone, Default)]
pub(in crate::commands) struct ImportTexts(Arc<Mutex<VecDeque<ImportCount>>>);

struct ImportCount {
    import: Uuid,
    /// Empty again when the import has ended: one import runs at a time, so only one of these is large, and an import has a maximum of
    /// rows.
    texts: TextCounts,
    /// How many of them are the same, at most.
    most: u64,
}

impl ImportTexts {
    fn lock(&self) -> MutexGuard<'_, VecDeque<ImportCount>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the messages of these drafts, of which `rows` says what became. With `anew`, the import begins with them.
    pub(super) fn add(&self, import: Uuid, anew: bool, drafts: &[Draft<'_>], rows: &[Row]) {
        let mut counts = self.lock();
        if anew {
            counts.retain(|count| count.import != import);
        }
        let taken = drafts.iter().zip(rows).filter(|(_, row)| row.is_ok());
        for (connector, text) in taken.filter_map(|(draft, _)| countable(draft)) {
            let at = counts.iter().rposition(|count| count.import == import).unwrap_or_else(|| {
                if counts.len() == IMPORTS {
                    counts.pop_front();
                }
                counts.push_back(ImportCount { import, texts: TextCounts::default(), most: 0 });
                counts.len() - 1
            });
            counts[at].texts.add_of(connector, text);
        }
        if let Some(count) = counts.iter_mut().rfind(|count| count.import == import) {
            count.most = count.texts.most();
        }
    }

    /// An import has ended: how many of its texts are the same is kept, and nothing else.
    pub(super) fn end(&self, import: Uuid) {
        if let Some(count) = self.lock().iter_mut().rfind(|count| count.import == import) {
            count.texts = TextCounts::default();
        }
    }

    fn most(&self, import: Uuid) -> u64 {
        self.lock().iter().rfind(|count| count.import == import).map_or(0, |count| count.most)
    }
}

impl Commands {
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

    /// The same for the messages of a bulk, of which `rows` says what became: with what the connectors sent before. Texts whose wording
    /// depends on the recipient or on choices are counted once they are sent.
    pub fn bulk_equal_texts(
        &self,
        tenant: TenantIndex,
        paces: &dyn PaceViews,
        drafts: &[Draft<'_>],
        rows: &[Row],
    ) -> Vec<String> {
        let mut texts: HashMap<(Uuid, &str), u64> = HashMap::new();
        let mut connectors = Vec::new();
        let taken =
            drafts.iter().zip(rows).filter(|(draft, row)| row.is_ok() && draft.message_type == MessageType::Marketing);
        for (draft, _) in taken {
            let Some(connector) = draft.connector else { continue };
            if !connectors.contains(&connector) {
                connectors.push(connector);
            }
            if let Some(counted) = countable(draft) {
                *texts.entry(counted).or_default() += 1;
            }
        }
        let most = texts.into_values().max().unwrap_or(0);
        let mut warnings: Vec<String> = equal_texts_warning(most).into_iter().collect();
        warnings.extend(self.sent_equal_texts(tenant, paces, connectors));
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::messages::send::Accepted;
    use crate::model::Status;
    use crate::{Error, Timestamp};

    #[test]
    fn more_than_a_hundred_equal_texts_are_warned_of() {
        let mut counts = TextCounts::default();
        assert_eq!((counts.most(), equal_texts_warning(counts.most())), (0, None));
        (0..EQUAL_TEXTS).for_each(|_| counts.add("buy"));
        counts.add("buy now");
        assert_eq!((counts.most(), equal_texts_warning(counts.most())), (100, None));
        counts.add("buy");
        assert!(equal_texts_warning(counts.most()).is_some_and(|text| text.starts_with("101 recipients")));
    }

    /// A draft of advertising that goes through a connector.
    fn draft(connector: u128, text: &str) -> Draft<'_> {
        Draft {
            connector: Some(Uuid::from_u128(connector)),
            text: Some(text.into()),
            message_type: MessageType::Marketing,
            ..Draft::default()
        }
    }

    fn taken() -> Row {
        Ok(Accepted { id: Uuid::from_u128(9), status: Status::Pending, created_at: Timestamp(1) })
    }

    #[test]
    fn an_imports_texts_are_counted_over_its_parts_and_anew_when_it_begins_again() {
        let (texts, id) = (ImportTexts::default(), Uuid::from_u128(7));
        let add = |anew, drafts: &[Draft<'_>]| {
            let rows: Vec<Row> = drafts.iter().map(|_| taken()).collect();
            texts.add(id, anew, drafts, &rows);
        };
        add(true, &[draft(1, "buy"), draft(1, "buy"), draft(2, "buy"), draft(1, "{{ x }}"), draft(1, "{{ x }}")]);
        add(false, &[draft(1, "buy"), Draft { message_type: MessageType::Support, ..draft(1, "buy") }]);
        assert_eq!(texts.most(id), 3, "of one connector, of one category, in one wording");
        texts.add(id, false, &[draft(1, "buy")], &[Err(Error::conflict("refused"))]);
        assert_eq!(texts.most(id), 3, "what was refused is sent to nobody");
        add(true, &[draft(1, "buy")]);
        assert_eq!(texts.most(id), 1);
        texts.end(id);
        assert_eq!((texts.most(id), texts.most(Uuid::from_u128(8))), (1, 0), "it is kept when the import has ended");
    }

    #[test]
    fn imports_of_long_ago_are_forgotten() {
        let texts = ImportTexts::default();
        for id in 0..=IMPORTS as u128 {
            texts.add(Uuid::from_u128(id), true, &[draft(1, "buy")], &[taken()]);
            texts.end(Uuid::from_u128(id));
        }
        assert_eq!(texts.lock().len(), IMPORTS);
        assert_eq!((texts.most(Uuid::from_u128(0)), texts.most(Uuid::from_u128(1))), (0, 1));
    }
}
