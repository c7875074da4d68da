//! Whether a text is one emoji, as people see it: a sign with whatever modifies it or is joined to it. Pure.

const JOINER: char = '\u{200d}';
const KEYCAP: char = '\u{20e3}';

/// Whether a text is one emoji. Lenient about which signs are emojis: WhatsApp decides that.
pub(crate) fn is_one(text: &str) -> bool {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return false };
    let mut has_keycap = false;
    let mut flag_letters = usize::from(is_flag_letter(first));
    while let Some(c) = chars.next() {
        if c == JOINER {
            // What is joined belongs to the same emoji.
            match chars.next() {
                Some(joined) if is_sign(joined) => {}
                _ => return false,
            }
        } else if c == KEYCAP {
            has_keycap = true;
        } else if is_flag_letter(c) && flag_letters == 1 {
            flag_letters = 2;
        } else if !modifies(c) {
            return false;
        }
    }
    match first {
        '0'..='9' | '#' | '*' => has_keycap,
        first => is_sign(first),
    }
}

/// A sign that can stand alone: nothing of ASCII, no letters of the alphabets below, no marks that only modify others.
fn is_sign(c: char) -> bool {
    (c >= '\u{203c}' || matches!(c, '©' | '®')) && c != KEYCAP && !modifies(c)
}

/// Regional indicators: two of them are a flag.
fn is_flag_letter(c: char) -> bool {
    ('\u{1f1e6}'..='\u{1f1ff}').contains(&c)
}

/// Variation selectors, skin tones, and the tags of regional flags.
fn modifies(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0020}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_emoji_may_have_many_characters() {
        for emoji in ["👍", "❤️", "😂", "👍🏽", "👨‍👩‍👧‍👦", "🇧🇷", "1️⃣", "#️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "©️", "‼️", "🏳️‍🌈"]
        {
            assert!(is_one(emoji), "{emoji}");
        }
    }

    #[test]
    fn letters_and_several_emojis_are_refused() {
        for text in ["", "a", "1", "ok", "👍👍", "👍 ", " ", "é", "🇧🇷🇧🇷", "👍a", "a👍", "\u{200d}", "\u{fe0f}", ":)"]
        {
            assert!(!is_one(text), "{text:?}");
        }
    }
}
