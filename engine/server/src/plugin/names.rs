//! The rules for a plugin's name, which identifies it in the engine and names files and packages of its project.

use std::fmt;
use std::str::FromStr;

/// Maximum length of a name, in characters.
const LONGEST: usize = 63;

/// A plugin's name: lower-case letters, digits and single dashes, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("a name begins with a letter from a to z; try {0:?}")]
    Beginning(String),
    #[error("a name may contain only lower-case letters, digits and single dashes; try {0:?}")]
    Characters(String),
    #[error("a name has 2 to {LONGEST} characters")]
    Length,
}

impl Name {
    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(NameError::Beginning(suggestion(text)));
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !text.chars().all(allowed) || text.contains("--") || text.ends_with('-') {
            return Err(NameError::Characters(suggestion(text)));
        }
        if !(2..=LONGEST).contains(&text.len()) {
            return Err(NameError::Length);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The nearest text that is a name: `My Bot_2` becomes `my-bot-2`.
fn suggestion(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        let c = c.to_ascii_lowercase();
        match c {
            'a'..='z' => name.push(c),
            '0'..='9' if !name.is_empty() => name.push(c),
            _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
    }
    let name = name.trim_end_matches('-');
    if name.len() < 2 { "my-plugin".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_with_dashes() {
        for good in ["ab", "acme-orders", "bot2", "a-1-b"] {
            assert_eq!(good.parse::<Name>().map(|n| n.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a", "2bot", "-a", "Acme", "a--b", "a-", "a_b", "a b", "../x", "ação", &"a".repeat(64)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?} must not be a name");
        }
    }

    #[test]
    fn what_is_suggested_is_a_name() {
        for bad in ["My Bot_2", "2bot", "a--b", "-", "", "ação", "../../etc"] {
            let tried = suggestion(bad);
            assert!(tried.parse::<Name>().is_ok(), "{bad:?} gave {tried:?}");
        }
        assert_eq!(suggestion("My Bot_2"), "my-bot-2");
    }
}
