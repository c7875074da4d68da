//! Finds phrases in what people write, ignoring case, accents and punctuation.

/// The first of `phrases` that `text` contains as whole words.
pub fn find<'p>(text: &str, phrases: &'p [String]) -> Option<&'p str> {
    let text = folded(text);
    phrases
        .iter()
        .find(|phrase| matches!(&*folded(phrase), phrase if phrase.len() > 2 && text.contains(phrase)))
        .map(|p| &**p)
}

/// Its words in lower case without accents, each between single spaces.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len() + 2);
    folded.push(' ');
    for c in text.chars().flat_map(char::to_lowercase).map(without_accent) {
        if c.is_alphanumeric() {
            folded.push(c);
        } else if !is_mark(c) && !folded.ends_with(' ') {
            folded.push(' ');
        }
    }
    if !folded.ends_with(' ') {
        folded.push(' ');
    }
    folded
}

/// An accent that is a character of its own, as some keyboards send it.
fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

fn without_accent(c: char) -> char {
    match c {
        'à'..='å' => 'a',
        'ç' => 'c',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ñ' => 'n',
        'ò'..='ö' => 'o',
        'ù'..='ü' => 'u',
        'ý' | 'ÿ' => 'y',
        other => other,
    }
}
