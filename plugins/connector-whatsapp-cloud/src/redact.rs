//! Removes from Meta's words what must not be in a reason or a log.

/// The most digits of a run that cannot be a phone number or a part of a JID.
const DIGITS: usize = 4;
/// The most characters between two digits of one run.
const APART: usize = 4;
/// What is kept of a line, in bytes.
const LENGTH: usize = 200;

/// Digits as they stand in a text, with what people write between those of one number.
#[derive(Default)]
struct Run {
    text: String,
    digits: usize,
    /// What follows the last digit, and belongs to the run only if another digit comes.
    between: String,
}

impl Run {
    /// Takes a character, if it may belong to the run.
    fn takes(&mut self, c: char) -> bool {
        if c.is_ascii_digit() {
            self.text.push_str(&self.between);
            self.between.clear();
            self.text.push(c);
            self.digits += 1;
            return true;
        }
        let joins = matches!(c, ' ' | '.' | '-' | '(' | ')' | '\u{a0}' | '\u{2010}'..='\u{2015}');
        let joins = joins && self.digits > 0 && self.between.chars().count() < APART;
        if joins {
            self.between.push(c);
        }
        joins
    }

    /// Ends the run: what is shown of it.
    fn end(&mut self, out: &mut String) {
        let Self { text, digits, between } = std::mem::take(self);
        if digits > DIGITS {
            out.push('#');
        } else {
            out.push_str(&text);
        }
        out.push_str(&between);
    }
}

/// The words without their long runs of digits and control characters, cut to a bounded length. The digits of a number that is written
/// with spaces, dots, dashes or brackets are one run.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LENGTH));
    let mut run = Run::default();
    for c in text.chars() {
        if run.takes(c) {
            continue;
        }
        run.end(&mut out);
        if out.len() >= LENGTH {
            out.push('…');
            return out;
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    run.end(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn numbers_are_left_out() {
        assert_eq!(
            line("5511987654321@s.whatsapp.net is not on WhatsApp (404)"),
            "#@s.whatsapp.net is not on WhatsApp (404)"
        );
        assert_eq!(line("a\nb 1234, 12345"), "a b 1234, #");
        assert!(line(&"x".repeat(10_000)).len() < 210);
    }

    #[test]
    fn a_number_is_one_however_it_is_written() {
        for written in ["55 11 98765 4321", "55.11.98765-4321", "55 (11) 9876-54-32-1", "55\u{a0}11\u{2011}9876"] {
            assert_eq!(line(&format!("no {written}: gone")), "no #: gone", "{written}");
        }
        assert_eq!(line("+55 (11) 98765-4321"), "+#");
        assert_eq!(line("(11) 98765-4321."), "(#.");
        assert_eq!(line("503 NOT_SENT. 2 of 3 (v1.2)"), "503 NOT_SENT. 2 of 3 (v1.2)");
        assert_eq!(line("12      34567"), "12      #", "too far apart for one number");
    }
}
