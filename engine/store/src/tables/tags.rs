//! Tags, by tenant and number, and how a conversation's row names them.
//!
//! A conversation's row holds a reference to each tag, not its name: a renamed tag is one row, and a deleted one is left behind in
//! rows that name it until they are written again. References have a control character in front, which no name has.

use pombo_domain::TenantIndex;
use pombo_domain::model::Tag;
use pombo_domain::ports::StoreResult;

use crate::codec::{decode, encode};
use crate::keys;
use crate::search::fold;
use crate::space::Space;
use crate::staged::Staged;

const MARK: char = '\u{1f}';

pub(crate) fn parse(row: &[u8]) -> StoreResult<Tag> {
    decode(row, "tags")
}

pub(crate) fn encode_row(tag: &Tag) -> Vec<u8> {
    encode(tag)
}

pub(crate) fn put(staged: &mut Staged<'_>, tag: &Tag) {
    staged.put(Space::Documents, keys::tag(tag.tenant, tag.number).bytes(), encode_row(tag));
}

pub(crate) fn delete(staged: &mut Staged<'_>, tenant: TenantIndex, number: u32) {
    staged.delete(Space::Documents, keys::tag(tenant, number).bytes());
}

/// How a conversation's row names the tag with this number.
pub(crate) fn reference(number: u32) -> String {
    format!("{MARK}{number}")
}

/// The number in a reference; `None` for a name, as rows had before schema 4.
pub(crate) fn number_of(reference: &str) -> Option<u32> {
    reference.strip_prefix(MARK)?.parse().ok()
}

/// What two names of the same tag have in common: letters without case and accents, and spaces counted once.
pub(crate) fn folded(name: &str) -> String {
    let mut letters = String::with_capacity(name.len());
    fold::fold_into(name, &mut letters);
    letters.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_no_name_and_names_fold() {
        assert_eq!(number_of(&reference(17)), Some(17));
        assert_eq!((number_of("17"), number_of("vip"), number_of("")), (None, None, None));
        assert_eq!(folded(" Cliente  ESPECIAL Ação"), "cliente especial acao");
    }
}
