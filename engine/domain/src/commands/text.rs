//! The rules that every short text from a caller obeys: no NUL, no other control characters, not empty, not too long.

use crate::{Error, Result};

/// A text field and its limits.
pub(crate) struct Field {
    /// Name of the field, as the caller wrote it.
    pub(crate) name: &'static str,
    /// Maximum length, in characters.
    pub(crate) max_chars: usize,
    /// Whether line breaks and tabs are allowed.
    pub(crate) lines: bool,
}

/// The trimmed text, if it follows the rules.
pub(crate) fn checked(field: Field, value: &str) -> Result<String> {
    let value = value.trim();
    let allowed = |c: char| !c.is_control() || (field.lines && matches!(c, '\n' | '\r' | '\t'));
    if value.is_empty() {
        return Err(Error::invalid(field.name, "must not be empty"));
    }
    if value.chars().count() > field.max_chars {
        return Err(Error::invalid(field.name, format!("must have at most {} characters", field.max_chars)));
    }
    if !value.chars().all(allowed) {
        return Err(Error::invalid(field.name, "must not contain control characters"));
    }
    Ok(value.to_owned())
}

/// The same for an optional text; an empty one counts as omitted.
pub(crate) fn checked_optional(field: Field, value: Option<&str>) -> Result<Option<String>> {
    match value.map(str::trim) {
        None | Some("") => Ok(None),
        Some(value) => checked(field, value).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_long_and_control_characters_are_refused() {
        let field = |lines| Field { name: "name", max_chars: 5, lines };
        assert_eq!(checked(field(false), "  Ação ").as_deref(), Ok("Ação"));
        for bad in ["", "   ", "abcdef", "a\0b", "a\nb", "a\u{1b}b"] {
            assert!(checked(field(false), bad).is_err(), "{bad:?}");
        }
        assert_eq!(checked(field(true), "a\nb").as_deref(), Ok("a\nb"));
        assert_eq!(checked_optional(field(false), Some("  ")), Ok(None));
    }
}
