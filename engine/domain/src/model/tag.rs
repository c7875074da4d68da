//! A tag: a word that a tenant puts on conversations. A conversation names it, so renaming it changes one record.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{TenantIndex, Timestamp};

/// Maximum number of tags of one tenant; a further one is refused.
pub const MAX_TAGS_OF_TENANT: usize = 1_000;

/// A tag. Invariant: no other tag of its tenant has the same name, however its letters are written (case and accents do not count).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// The tenant's number for it: from 1, never given twice.
    pub number: u32,
    /// Public id.
    pub id: Uuid,
    /// The name, as it is shown.
    pub name: String,
    /// The colour that it is shown in.
    pub color: Color,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A colour: red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Color(pub [u8; 3]);

impl Default for Color {
    /// The colour of a tag for which nobody chose one: a grey.
    fn default() -> Self {
        Self([0x6b, 0x72, 0x80])
    }
}

impl Color {
    /// Reads `#rrggbb` in hexadecimal digits of either case; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(digits, 16).ok()?;
        let [_, red, green, blue] = number.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    /// The reverse of [`Self::parse`], in lower case.
    pub fn to_hex(self) -> String {
        let [red, green, blue] = self.0;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_six_hexadecimal_digits() {
        assert_eq!(Color::parse("#3B82f6"), Some(Color([0x3b, 0x82, 0xf6])));
        assert_eq!(Color([0x3b, 0x82, 0xf6]).to_hex(), "#3b82f6");
        for bad in ["", "#", "3b82f6", "#3b82f", "#3b82f6a", "#+b82f6", "#3b82fg", "#3b82é"] {
            assert_eq!(Color::parse(bad), None, "{bad:?}");
        }
    }
}
