//! Variables inside a template's text: `{{name}}`, with spaces around the name or without. What is not a name in double braces is text.

/// Maximum length of a variable's name, in characters.
const MAX_NAME: usize = 64;

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text.
    Text(&'a str),
    /// A variable, by its name.
    Variable(&'a str),
}

/// The pieces of a text, in order; no piece is empty.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(close) = text[at..].find("}}").map(|place| at + place) {
        // A name has no braces, so only the nearest ones before its end can open it.
        let open = text[start..close].rfind("{{").map(|place| start + place);
        let named = open.map(|open| (open, text[open + 2..close].trim())).filter(|(_, name)| is_name(name));
        let Some((open, name)) = named else {
            at = close + 1;
            continue;
        };
        if start < open {
            found.push(Piece::Text(&text[start..open]));
        }
        found.push(Piece::Variable(name));
        start = close + 2;
        at = start;
    }
    if start < text.len() {
        found.push(Piece::Text(&text[start..]));
    }
    found
}

/// The names of a text's variables, each once, in the order of their first occurrence; numbers in their own order.
pub(super) fn names(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for piece in pieces(text) {
        if let Piece::Variable(name) = piece
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    if !names.is_empty() && names.iter().all(|name| number(name).is_some()) {
        names.sort_by_key(|name| number(name));
    }
    names
}

/// A text with each variable replaced.
pub(super) fn replaced<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut written = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => written.push_str(text),
            Piece::Variable(name) => match value(name) {
                Some(value) => written.push_str(value),
                None => {
                    written.push_str("{{");
                    written.push_str(name);
                    written.push_str("}}");
                }
            },
        }
    }
    written
}

/// The number that a positional variable's name is.
pub(super) fn number(name: &str) -> Option<u32> {
    let digits = !name.is_empty() && name.len() <= 5 && name.bytes().all(|byte| byte.is_ascii_digit());
    if digits && !name.starts_with('0') { name.parse().ok() } else { None }
}

/// Whether a variable may be called so.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().count() <= MAX_NAME && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_names_in_double_braces() {
        let found = pieces("Olá {{nome}}, {{ 1 }}!");
        let expected =
            [Piece::Text("Olá "), Piece::Variable("nome"), Piece::Text(", "), Piece::Variable("1"), Piece::Text("!")];
        assert_eq!(found, expected);
        for text in ["", "{{", "{{}}", "{{ }}", "{{a b}}", "{a}", "}}{{", "{{a-b}}", "{ {a} }"] {
            assert!(names(text).is_empty(), "{text:?}");
            assert_eq!(replaced(text, |_| Some("x")), text);
        }
        assert_eq!(names("{{{{a}}}}"), ["a"], "braces around a variable are text");
        assert_eq!(replaced("{{{{a}}}}", |_| Some("x")), "{{x}}");
        assert_eq!(names("{{{a}}"), ["a"]);
    }

    #[test]
    fn names_are_listed_once_and_numbers_in_order() {
        assert_eq!(names("{{b}} {{a}} {{b}}"), ["b", "a"]);
        assert_eq!(names("{{10}} {{2}} {{1}}"), ["1", "2", "10"]);
        assert_eq!(names("{{2}} {{x}} {{1}}"), ["2", "x", "1"]);
        assert_eq!((number("0"), number("01"), number("12"), number("a")), (None, None, Some(12), None));
    }

    #[test]
    fn what_has_no_value_stays() {
        assert_eq!(replaced("a {{ b }} {{c}}", |name| (name == "c").then_some("{{b}}")), "a {{b}} {{b}}");
    }
}
