//! Stable words: sets whose members are stored and shown as a text that never changes.
//!
//! An enum made with `words!` holds the words that this engine writes. Where a record keeps such a word, it keeps a [`Word`], which
//! also holds a text that this engine does not know: another version may have written the record.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of stable words, made with `words!`.
pub trait StableWord: Copy + Eq + fmt::Debug + Send + Sync + 'static {
    /// What the set says, and a Markdown list of its words with their meanings, for the documents of the APIs. It is made from the
    /// documentation of the enum.
    const DESCRIPTION: &'static str;

    /// All words of the set, in the order of their declaration.
    fn all() -> &'static [Self];

    /// The word as a text.
    fn as_str(self) -> &'static str;

    /// The reverse of [`Self::as_str`]; `None` for a text that this engine does not know.
    fn parse(text: &str) -> Option<Self>;
}

/// A stable word as a record keeps it: a word of the set `W`, or a text that this engine does not know. It is serialised as the plain
/// text, so an unknown text is written back as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<W> {
    /// A word of the set.
    Known(W),
    /// A text that is not in the set.
    Other(String),
}

impl<W: StableWord> Word<W> {
    /// The word as a text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(word) => word.as_str(),
            Self::Other(text) => text,
        }
    }
}

impl<W: StableWord> From<&str> for Word<W> {
    fn from(text: &str) -> Self {
        W::parse(text).map_or_else(|| Self::Other(text.to_owned()), Self::Known)
    }
}

impl<W: StableWord> From<String> for Word<W> {
    fn from(text: String) -> Self {
        W::parse(&text).map_or(Self::Other(text), Self::Known)
    }
}

impl<W: StableWord> fmt::Display for Word<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<W: StableWord> Serialize for Word<W> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, W: StableWord> Deserialize<'de> for Word<W> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(WordVisitor(PhantomData))
    }
}

/// Reads a word from a borrowed text, so that a known word costs no allocation.
struct WordVisitor<W>(PhantomData<W>);

impl<W: StableWord> Visitor<'_> for WordVisitor<W> {
    type Value = Word<W>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Word<W>, E> {
        Ok(Word::from(text))
    }
}

/// Makes an enum of words with `ALL`, `as_str`, `parse` and `Display`, and makes it a [`StableWord`]. A word that was given out once
/// keeps its spelling: it is stored, and callers compare with it. The documentation of the enum and of its variants is shown in the
/// documents of the APIs, so it must not contain links. (`$default` never matches: without a variable, `#[default]` could not be copied.)
macro_rules! words {
    (
        $(#[doc = $about:literal])+
        $(#[derive($($derive:ident),+)])?
        $(#[serde($($serde:tt)*)])?
        $vis:vis enum $name:ident {
            $(
                $(#[doc = $meaning:literal])+
                $(#[serde($($inner:tt)*)])?
                $(#[default $($default:lifetime)?])?
                $variant:ident = $word:literal,
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $(#[derive($($derive),+)])?
        $(#[serde($($serde)*)])?
        $vis enum $name {
            $($(#[doc = $meaning])+ $(#[serde($($inner)*)])? $(#[default $($default)?])? $variant,)+
        }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The reverse of [`Self::as_str`]; `None` for a word that this engine does not know.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::words::StableWord for $name {
            const DESCRIPTION: &'static str =
                concat!(
                    $($about),+, "\n", $("\n- `", $word, "`:", $($meaning),+),+, "\n\nFurther words may be added."
                )
                .trim_ascii_start();

            fn all() -> &'static [Self] {
                &Self::ALL
            }

            fn as_str(self) -> &'static str {
                Self::as_str(self)
            }

            fn parse(text: &str) -> Option<Self> {
                Self::parse(text)
            }
        }

        impl From<$name> for $crate::words::Word<$name> {
            fn from(word: $name) -> Self {
                Self::Known(word)
            }
        }

        impl PartialEq<$name> for $crate::words::Word<$name> {
            fn eq(&self, other: &$name) -> bool {
                matches!(self, Self::Known(word) if word == other)
            }
        }
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Field;
    use crate::commands::messages::why::{FactName, UnseenCause, WhyCode};
    use crate::model::conversation::ConversationAction;
    use crate::model::event::SessionChange;
    use crate::model::health::{HealthChange, HealthLevel};
    use crate::model::hearing::DeafReason;
    use crate::model::pace::WaitReason;
    use crate::model::plugin::AuditAction;
    use crate::model::progress::Progress;
    use crate::model::reason::ReasonCode;
    use crate::model::role::Role;
    use crate::model::rules::Quality;
    use crate::model::template::{HeaderFormat, TemplateCategory, TemplateFormat, TemplateStatus};
    use crate::model::webhook::HookKind;
    use crate::model::{FailureCode, FileKind};

    /// A set round-trips as a text, in JSON and in the stored form, which is that of a plain text.
    fn is_sound<W: StableWord>() {
        let mut seen = BTreeSet::new();
        for word in W::all() {
            let text = word.as_str();
            assert!(!text.is_empty() && seen.insert(text), "{text} is there twice");
            assert_eq!(W::parse(text), Some(*word));
            assert!(W::DESCRIPTION.contains(&format!("\n- `{text}`: ")), "{}", W::DESCRIPTION);
            survives::<W>(text);
            assert_eq!(Word::<W>::from(text), Word::Known(*word));
        }
        let unknown = "a word of tomorrow";
        assert_eq!(W::parse(unknown), None);
        survives::<W>(unknown);
        survives::<W>("");
        assert_eq!(Word::<W>::from(unknown), Word::Other(unknown.to_owned()));
    }

    fn survives<W: StableWord>(text: &str) {
        let word = Word::<W>::from(text);
        assert_eq!((word.as_str(), word.to_string()), (text, text.to_owned()));
        assert_eq!(word, Word::<W>::from(text.to_owned()));
        let json = serde_json::to_string(&word).expect("a text");
        assert_eq!(json, serde_json::to_string(text).expect("a text"));
        assert_eq!(serde_json::from_str::<Word<W>>(&json).expect("a text"), word);
        let stored = postcard::to_stdvec(&word).expect("a text");
        assert_eq!(stored, postcard::to_stdvec(text).expect("a text"));
        assert_eq!(postcard::from_bytes::<Word<W>>(&stored).expect("a text"), word);
    }

    #[test]
    fn every_word_round_trips_and_an_unknown_one_survives() {
        is_sound::<AuditAction>();
        is_sound::<ConversationAction>();
        is_sound::<FailureCode>();
        is_sound::<DeafReason>();
        is_sound::<FactName>();
        is_sound::<Field>();
        is_sound::<FileKind>();
        is_sound::<HealthChange>();
        is_sound::<HeaderFormat>();
        is_sound::<HealthLevel>();
        is_sound::<HookKind>();
        is_sound::<Progress>();
        is_sound::<Quality>();
        is_sound::<ReasonCode>();
        is_sound::<Role>();
        is_sound::<SessionChange>();
        is_sound::<TemplateCategory>();
        is_sound::<TemplateFormat>();
        is_sound::<TemplateStatus>();
        is_sound::<UnseenCause>();
        is_sound::<WaitReason>();
        is_sound::<WhyCode>();
    }

    /// What was given out once keeps its spelling.
    #[test]
    fn the_words_are_those_that_are_stored() {
        let spelled = |words: &[&str]| words.join(" ");
        assert_eq!(
            spelled(&ReasonCode::ALL.map(ReasonCode::as_str)),
            "scheduled pace throttled disconnected temporary not_called render attachment inactive_contact invalid_recipient \
             rejected unknown_outcome crash canceled rejected_by_person connector_deleted expired window_closed recipient_rate throughput \
             audience category_refused undeliverable withdrawn held outreach"
        );
        assert_eq!(
            spelled(&AuditAction::ALL.map(AuditAction::as_str)),
            "uploaded signed granted canary activated promoted settled rolled-back kept version-deleted deleted"
        );
        assert_eq!(
            spelled(&FailureCode::ALL.map(FailureCode::as_str)),
            "trap timeout processor memory error unfit diverged not-called"
        );
        assert_eq!(
            spelled(&ConversationAction::ALL.map(ConversationAction::as_str)),
            "paused resumed assigned read unread archived restored deleted opened tagged"
        );
        assert_eq!(
            spelled(&SessionChange::ALL.map(SessionChange::as_str)),
            "connected disconnected logged-out unpaired deaf hears"
        );
        assert_eq!(spelled(&HealthChange::ALL.map(HealthChange::as_str)), "slowed paused restored blocked restricted");
        assert_eq!(spelled(&Role::ALL.map(Role::as_str)), "owner manager agent viewer");
        assert_eq!(spelled(&FileKind::ALL.map(FileKind::as_str)), "image video audio document");
        assert_eq!(
            spelled(&TemplateStatus::ALL.map(TemplateStatus::as_str)),
            "approved pending rejected paused disabled in-appeal archived deleted pending-deletion limit-exceeded"
        );
        assert_eq!(spelled(&Quality::ALL.map(Quality::as_str)), "green yellow red unknown");
        assert_eq!(spelled(&HealthLevel::ALL.map(HealthLevel::as_str)), "good slowed paused");
        assert_eq!(
            spelled(&WaitReason::ALL.map(WaitReason::as_str)),
            "paused health no_session delay daily_cap quiet_hours throttled disconnected deleted"
        );
    }

    #[test]
    fn a_description_has_the_sets_meaning_and_its_words() {
        let expected = "What was done with a conversation.\n\n- `paused`: Its automations were paused: a person took it over, \
                        or an automation handed it over.\n- `resumed`: Its automations were resumed.\n- `assigned`: It was \
                        assigned to somebody, or to nobody.\n- `read`: What had been received in it was marked as read.\n- \
                        `unread`: It was marked as unread.\n- `archived`: It was archived.\n- `restored`: It was taken back from the archive.\n- `deleted`: It \
                        was deleted, with its history.\n- `opened`: It was opened.\n- `tagged`: It got other tags.\n\nFurther words may be added.";
        assert_eq!(ConversationAction::DESCRIPTION, expected);
    }
}
