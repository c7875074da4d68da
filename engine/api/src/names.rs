//! Fields as a facade writes them: the domain names them by keys, each facade maps a key to its own word.

use std::borrow::Cow;

use pombo_domain::Field;

/// A key in camel case, which most facades write: `scheduledAt`.
pub fn camel_case(field: Field) -> Cow<'static, str> {
    let word = field.as_str();
    if !word.contains('_') {
        return Cow::Borrowed(word);
    }
    let mut camel = String::with_capacity(word.len());
    for (i, part) in word.split('_').enumerate() {
        let mut letters = part.chars();
        match letters.next() {
            Some(first) if i > 0 => camel.push(first.to_ascii_uppercase()),
            Some(first) => camel.push(first),
            None => {}
        }
        camel.push_str(letters.as_str());
    }
    Cow::Owned(camel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_camel_case() {
        assert_eq!(camel_case(Field::To), "to");
        assert_eq!(camel_case(Field::ScheduledAt), "scheduledAt");
        assert_eq!(camel_case(Field::DelayMinMs), "delayMinMs");
    }
}
