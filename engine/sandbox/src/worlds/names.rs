//! The names in a plugin's description: their form, and how many and how long they may be.

/// Names in a list of a description.
pub(super) const NAMES: usize = 64;
/// Bytes of a name.
pub(super) const NAME_BYTES: usize = 64;

/// Whether it is 1 to [`NAME_BYTES`] lower-case letters, digits and dashes.
pub(super) fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
