//! The rules that every short text from a caller obeys: no NUL, no other control characters, not empty, not too long.

use crate::{Error, Field, Result};

/// The limits of a text field.
pub(crate) struct Rule {
    /// The field.
    pub(crate) field: Field,
    /// Maximum length, in characters.
    pub(crate) max_chars: usize,
    /// Whether line breaks and tabs are allowed.
    pub(crate) lines: bool,
}

/// The trimmed text, if it follows the rules.
pub(crate) fn checked(rule: Rule, value: &str) -> Result<String> {
    let value = value.trim();
    let allowed = |c: char| !c.is_control() || (rule.lines && matches!(c, '\n' | '\r' | '\t'));
    if value.is_empty() {
        return Err(Error::invalid(rule.field, "must not be empty"));
    }
    if value.chars().count() > rule.max_chars {
        return Err(Error::invalid(rule.field, format!("must have at most {} characters", rule.max_chars)));
    }
    if !value.chars().all(allowed) {
        return Err(Error::invalid(rule.field, "must not contain control characters"));
    }
    Ok(value.to_owned())
}

/// The same for an optional text; an empty one counts as omitted.
pub(crate) fn checked_optional(rule: Rule, value: Option<&str>) -> Result<Option<String>> {
    match value.map(str::trim) {
        None | Some("") => Ok(None),
        Some(value) => checked(rule, value).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_long_and_control_characters_are_refused() {
        let rule = |lines| Rule { field: Field::Name, max_chars: 5, lines };
        assert_eq!(checked(rule(false), "  Ação ").as_deref(), Ok("Ação"));
        for bad in ["", "   ", "abcdef", "a\0b", "a\nb", "a\u{1b}b"] {
            assert!(checked(rule(false), bad).is_err(), "{bad:?}");
        }
        assert_eq!(checked(rule(true), "a\nb").as_deref(), Ok("a\nb"));
        assert_eq!(checked_optional(rule(false), Some("  ")), Ok(None));
    }
}
