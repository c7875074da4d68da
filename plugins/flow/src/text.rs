//! Variables in texts: `{{name}}`, and `{{name|otherwise}}` where it may be missing.

use std::collections::BTreeMap;

use serde_json::Value;

/// The longest text that comes of filling.
const LONGEST: usize = 16 << 10;

/// A value as it is written in a text.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `text` with its variables filled in. What a variable holds is never filled again.
pub fn fill(text: &str, variables: &BTreeMap<String, Value>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let Some(length) = rest[start + 2..].find("}}") else { break };
        out.push_str(&rest[..start]);
        let inside = &rest[start + 2..start + 2 + length];
        let (name, otherwise) = inside.split_once('|').unwrap_or((inside, ""));
        match variables.get(name.trim()).map(shown).filter(|text| !text.is_empty()) {
            Some(value) => out.push_str(&value),
            None => out.push_str(otherwise.trim()),
        }
        rest = &rest[start + 2 + length + 2..];
    }
    out.push_str(rest);
    let mut end = out.len().min(LONGEST);
    while !out.is_char_boundary(end) {
        end -= 1;
    }
    out.truncate(end);
    out
}

/// Fills every text inside a value. A text that is one variable alone becomes the variable's value as it is.
pub fn fill_value(value: &Value, variables: &BTreeMap<String, Value>) -> Value {
    match value {
        Value::String(text) => {
            let alone = text.strip_prefix("{{").and_then(|t| t.strip_suffix("}}")).filter(|t| !t.contains(['{', '|']));
            match alone.and_then(|name| variables.get(name.trim())) {
                Some(value) => value.clone(),
                None => Value::String(fill(text, variables)),
            }
        }
        Value::Array(items) => items.iter().map(|item| fill_value(item, variables)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), fill_value(value, variables))).collect()
        }
        other => other.clone(),
    }
}

/// Lower case, without accents and without what surrounds it: how words are compared.
pub fn plain(text: &str) -> String {
    let folded = text.trim().trim_matches(|c: char| c.is_ascii_punctuation()).to_lowercase();
    let letter = |c: char| match c {
        'á' | 'à' | 'â' | 'ã' | 'ä' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'ó' | 'ò' | 'ô' | 'õ' | 'ö' => 'o',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        'ñ' => 'n',
        other => other,
    };
    folded.chars().map(letter).collect()
}

/// Whether one of `words` is the text, or a whole word in it.
pub fn has_word(text: &str, words: &[String]) -> bool {
    let text = plain(text);
    words.iter().map(|word| plain(word)).filter(|word| !word.is_empty()).any(|word| {
        text == word
            || format!(" {} ", text.replace(|c: char| !c.is_alphanumeric(), " ")).contains(&format!(" {word} "))
    })
}

/// A path in which a variable cannot reach beyond its segment.
pub fn fill_path(path: &str, variables: &BTreeMap<String, Value>) -> String {
    let encoded = variables.iter().map(|(name, value)| {
        let bytes = shown(value).into_bytes();
        let text: String = bytes
            .iter()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(*byte).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect();
        // Would name the folder itself or the one above.
        let text = if matches!(text.as_str(), "." | "..") { String::new() } else { text };
        (name.clone(), Value::String(text))
    });
    fill(path, &encoded.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> BTreeMap<String, Value> {
        BTreeMap::from([
            ("nome".to_owned(), "{{x}} Ana".into()),
            ("n".to_owned(), 3.into()),
            ("x".to_owned(), "!".into()),
        ])
    }

    #[test]
    fn variables_are_filled_once() {
        let v = variables();
        assert_eq!(fill("Oi {{ nome }}, {{n}}x", &v), "Oi {{x}} Ana, 3x");
        assert_eq!(fill("Oi {{quem|amigo}}{{nada}}", &v), "Oi amigo");
        assert_eq!(fill("{{aberto", &v), "{{aberto");
        assert_eq!(
            fill_value(&serde_json::json!({"a": ["{{n}}", "n={{n}}"]}), &v),
            serde_json::json!({"a": [3, "n=3"]})
        );
    }

    #[test]
    fn words_are_found_whatever_their_accents() {
        let words = ["Atendente".to_owned(), "sair".to_owned(), "até logo".to_owned()];
        for (text, found) in [
            ("ATENDENTE!", true),
            ("quero um atendente, por favor", true),
            ("sairemos", false),
            ("ate logo", true),
            ("", false),
        ] {
            assert_eq!(has_word(text, &words), found, "{text}");
        }
    }
}
