//! Looking for a word in a token dictionary: the tokens of many messages, each once, every one followed by a line feed (no
//! token contains white space). The dictionary is scanned with a vectorised substring search; the number of the token in
//! which a hit lies follows from its position.

use memchr::memmem::Finder;

/// The separator behind every token.
pub(crate) const END: u8 = b'\n';

/// Calls `found` with the byte position of a hit and of its token's end, once per token with a hit, in order.
pub(crate) fn each_hit(text: &[u8], finder: &Finder<'_>, mut found: impl FnMut(usize, usize)) {
    let mut from = 0;
    while let Some(at) = finder.find(&text[from..]) {
        let hit = from + at;
        let end = memchr::memchr(END, &text[hit..]).map_or(text.len(), |n| hit + n);
        found(hit, end);
        from = end + 1;
        if from >= text.len() {
            return;
        }
    }
}
