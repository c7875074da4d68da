//! Removes from a line what must not be in a log. Pure.

/// The longest run of digits that cannot be a phone number or a part of a jid.
const DIGITS: usize = 4;
/// What is kept of a line.
const LENGTH: usize = 240;

/// The line without its long runs of digits, cut to a bounded length. Letters stay: this is for lines about the protocol, never for
/// what people wrote.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LENGTH));
    let mut digits = String::new();
    let flush = |out: &mut String, digits: &mut String| {
        if digits.len() > DIGITS {
            out.push('#')
        } else {
            out.push_str(digits)
        }
        digits.clear();
    };
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        flush(&mut out, &mut digits);
        if out.len() >= LENGTH {
            out.push('…');
            return out;
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    flush(&mut out, &mut digits);
    out
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn numbers_do_not_reach_a_log() {
        assert_eq!(line("to 5511987654321:3@s.whatsapp.net failed (463)"), "to #:3@s.whatsapp.net failed (463)");
        assert_eq!(line("1234 12345"), "1234 #");
        assert_eq!(line("a\nb"), "a b");
        assert!(line(&"x".repeat(10_000)).len() < 250);
    }
}
