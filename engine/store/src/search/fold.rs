//! What counts as a word: text folded in case and accents (compatibility decomposition without marks, lower case), split at
//! white space. A query's word matches a message when it occurs inside one of the message's words, which is the same as
//! occurring anywhere in its recipient, contact name or text.

use std::ops::Range;

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// Folds `text` onto the end of `out`.
pub(crate) fn fold_into(text: &str, out: &mut String) {
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c.to_ascii_lowercase());
        } else {
            decompose_compatible(c, |part| {
                if !is_combining_mark(part) {
                    for lower in part.to_lowercase() {
                        // A lower-case letter may itself be decomposed (İ); a final sigma is a sigma.
                        match lower {
                            'ς' => out.push('σ'),
                            lower if is_combining_mark(lower) => {}
                            lower => out.push(lower),
                        }
                    }
                }
            });
        }
    }
}

/// The words of a query that must all occur: folded, each once, without those that are part of another.
pub(crate) fn query_words(query: &str) -> Vec<String> {
    let mut folded = String::with_capacity(query.len());
    fold_into(query, &mut folded);
    let mut words: Vec<&str> = folded.split_whitespace().collect();
    // Longest first: the most telling one is looked for first.
    words.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    let mut kept: Vec<String> = Vec::new();
    for word in words {
        if !kept.iter().any(|k| k.contains(word)) {
            kept.push(word.to_owned());
        }
    }
    kept
}

/// Where the words of a query (see [`query_words`]) occur in `text`: ranges of its characters, ascending, those that touch joined. An
/// accent that is a character of its own belongs to the letter before it.
pub(crate) fn marks(text: &str, words: &[String]) -> Vec<Range<usize>> {
    let mut folded = String::with_capacity(text.len());
    // Of each byte of `folded`, the place of the character that it comes from.
    let mut from: Vec<usize> = Vec::with_capacity(text.len());
    let mut is_accent: Vec<bool> = Vec::new();
    let mut buffer = [0; 4];
    for (place, c) in text.chars().enumerate() {
        fold_into(c.encode_utf8(&mut buffer), &mut folded);
        is_accent.push(folded.len() == from.len());
        from.resize(folded.len(), place);
    }
    let mut is_marked = vec![false; is_accent.len()];
    for word in words.iter().filter(|word| !word.is_empty()) {
        // Those that overlap count too: `ana` is in `banana` twice.
        let (mut start, mut marked) = (0, 0);
        while let Some(found) = folded[start..].find(word.as_str()) {
            let (at, end) = (start + found, start + found + word.len());
            // Each character is marked once, however often it is found.
            is_marked[from[at.max(marked)]..=from[end - 1]].fill(true);
            marked = end;
            start = at + folded[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    let mut marks: Vec<Range<usize>> = Vec::new();
    let mut goes_on = false;
    for (place, marked) in is_marked.into_iter().enumerate() {
        let marked = marked || (goes_on && is_accent[place]);
        if goes_on
            && marked
            && let Some(last) = marks.last_mut()
        {
            last.end = place + 1;
        } else if marked {
            marks.push(place..place + 1);
        }
        goes_on = marked;
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(text: &str) -> String {
        let mut out = String::new();
        fold_into(text, &mut out);
        out
    }

    #[test]
    fn case_and_accents_do_not_count() {
        assert_eq!(fold("Olá, JOÃO! Ação Ünïcödé"), "ola, joao! acao unicode");
        assert_eq!(fold("ﬁm ™ İstanbul ΣΟΦΟΣ"), "fim tm istanbul σοφοσ");
        assert_eq!(fold("e\u{301}"), fold("é"));
        assert_eq!(fold("日本 🙂"), "日本 🙂");
    }

    #[test]
    fn marks_are_places_in_the_text_as_it_was_written() {
        let marked = |text: &str, query: &str| {
            let cut = |mark: Range<usize>| text.chars().skip(mark.start).take(mark.len()).collect::<String>();
            marks(text, &query_words(query)).into_iter().map(cut).collect::<Vec<_>>()
        };
        assert_eq!(marked("Olá, JOÃO! Ação", "joao acao"), ["JOÃO", "Ação"]);
        let joao = 5..9;
        assert_eq!(marks("Olá, JOÃO!", &query_words("joao")), [joao]);
        assert_eq!(marked("pedido 12345", "234"), ["234"]);
        assert_eq!(marked("cafe\u{301} com pa\u{303}o", "CAFÉ pão"), ["cafe\u{301}", "pa\u{303}o"]);
        assert_eq!(marked("ﬁm", "f"), ["ﬁ"], "a character is marked as a whole");
        assert_eq!(marked("ana anan", "an na"), ["ana", "anan"], "what touches is one");
        assert_eq!(marked("🙂 oi 🙂", "oi"), ["oi"]);
        assert_eq!(marked("banana", "ana"), ["anana"], "what overlaps is found too");
        assert_eq!(marked("ééé!", "ee"), ["ééé"]);
        assert_eq!(marks("", &query_words("x")), [] as [Range<usize>; 0]);
        assert_eq!(marks("x", &[]), [] as [Range<usize>; 0]);
    }

    #[test]
    fn a_query_keeps_each_telling_word_once() {
        assert_eq!(query_words("  Maria maria MAR silva@exemplo "), vec!["silva@exemplo", "maria"]);
        assert!(query_words(" \n\t").is_empty());
    }
}
