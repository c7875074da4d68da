//! The guard against equal advertising: channels restrict the account of whoever sends the same of it to many people, so whoever hands in
//! more of it is warned. Nothing is held back for it. What was sent is counted by whoever keeps the pace.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use uuid::Uuid;

use super::send::{Draft, Row};
use crate::TenantIndex;
use crate::commands::Commands;
use crate::model::MessageType;
use crate::model::pace::PaceView;
use crate::ports::PaceViews;

/// With more than this many equal advertising texts, there is a warning.
pub const EQUAL_TEXTS: u64 = 100;

/// How often each text is there: by their hashes alone, because 100,000 texts would be many megabytes.
#[derive(Default)]
pub(in crate::commands) struct TextCounts(HashMap<u64, u64>);

impl TextCounts {
    pub(in crate::commands) fn add(&mut self, text: &str) {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
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

impl Commands {
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
            let text = draft.text.as_deref().unwrap_or_default();
            if !text.is_empty() && !text.contains('{') {
                *texts.entry((connector, text)).or_default() += 1;
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
}
