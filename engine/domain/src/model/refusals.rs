//! What a contact does not want to get: categories of messages, besides the opt-out of everything; and the words by which a person says
//! so. Plain values: it must not know a channel.

use serde::{Deserialize, Serialize};

use super::message::MessageType;

/// The categories of messages that a contact refuses. A set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Refusals(u8);

impl Refusals {
    /// No category.
    pub const NONE: Self = Self(0);

    /// The set of these categories.
    pub fn of(kinds: impl IntoIterator<Item = MessageType>) -> Self {
        kinds.into_iter().fold(Self::NONE, |set, kind| set.with(kind, true))
    }

    /// Whether a category is refused.
    pub fn has(self, kind: MessageType) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    /// The same set with this category refused, or not.
    #[must_use]
    pub fn with(self, kind: MessageType, refused: bool) -> Self {
        let bit = 1 << kind as u8;
        Self(if refused { self.0 | bit } else { self.0 & !bit })
    }

    /// What is refused in either.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether no category is refused.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The refused categories, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = MessageType> {
        MessageType::ALL.into_iter().filter(move |kind| self.has(*kind))
    }
}

/// The words by which a person refuses advertising, where a tenant has set none.
pub const OPT_OUT_WORDS: [&str; 3] = ["SAIR", "PARAR", "STOP"];
/// The words by which a person wants it again.
pub const OPT_IN_WORDS: [&str; 1] = ["VOLTAR"];
/// Maximum number of words that a tenant sets.
pub const MAX_OPT_OUT_WORDS: usize = 50;
/// Maximum length of such a word, in characters.
pub const MAX_OPT_OUT_CHARS: usize = 60;

/// What a received text says by itself: true for no advertising any more, false for advertising again. `words` are the tenant's;
/// `None`: [`OPT_OUT_WORDS`]. The whole text must be one word of them; case, accents and outer spaces do not count.
pub fn wish_of(text: &str, words: Option<&[String]>) -> Option<bool> {
    // Twice the longest word, since a letter may be written in several.
    if text.len() > MAX_OPT_OUT_CHARS * 8 {
        return None;
    }
    let said = folded(text);
    if said.is_empty() {
        return None;
    }
    let is_out = match words {
        Some(words) => words.iter().any(|word| folded(word) == said),
        None => OPT_OUT_WORDS.iter().any(|word| folded(word) == said),
    };
    if is_out {
        return Some(true);
    }
    OPT_IN_WORDS.iter().any(|word| folded(word) == said).then_some(false)
}

/// A text without outer spaces, in lower case and without accents.
fn folded(text: &str) -> String {
    text.trim().chars().flat_map(char::to_lowercase).filter_map(plain).collect()
}

fn plain(letter: char) -> Option<char> {
    Some(match letter {
        'à'..='å' => 'a',
        'ç' => 'c',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ñ' => 'n',
        'ò'..='ö' => 'o',
        'ù'..='ü' => 'u',
        'ý' | 'ÿ' => 'y',
        // Accents that stand behind their letter.
        '\u{300}'..='\u{36f}' => return None,
        letter => letter,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let set = Refusals::of([MessageType::Marketing, MessageType::General]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [MessageType::General, MessageType::Marketing]);
        assert!(set.has(MessageType::Marketing) && !set.has(MessageType::Support));
        let less = set.with(MessageType::General, false).with(MessageType::Marketing, false);
        assert_eq!((less, less.is_empty()), (Refusals::NONE, true));
        assert_eq!(less.and(set), set);
    }

    #[test]
    fn only_a_text_that_is_exactly_a_word_says_something() {
        for (text, wish) in [
            ("SAIR", Some(true)),
            (" sair\n", Some(true)),
            ("Saír", Some(true)),
            ("sai\u{301}r", Some(true)),
            ("stop", Some(true)),
            ("VOLTAR", Some(false)),
            ("quero sair", None),
            ("sair!", None),
            ("", None),
        ] {
            assert_eq!(wish_of(text, None), wish, "{text}");
        }
        let own = vec!["Não quero".to_owned()];
        assert_eq!(wish_of("nao QUERO", Some(&own)), Some(true));
        assert_eq!((wish_of("SAIR", Some(&own)), wish_of("SAIR", Some(&[]))), (None, None));
        assert_eq!(wish_of(&"a".repeat(10_000), Some(&own)), None);
    }
}
