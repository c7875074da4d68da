//! What counts as a word: text folded in case and accents (compatibility decomposition without marks, lower case), split at
//! white space. A query's word matches a message when it occurs inside one of the message's words, which is the same as
//! occurring anywhere in its recipient, contact name or text.

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
    fn a_query_keeps_each_telling_word_once() {
        assert_eq!(query_words("  Maria maria MAR silva@exemplo "), vec!["silva@exemplo", "maria"]);
        assert!(query_words(" \n\t").is_empty());
    }
}
