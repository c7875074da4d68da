//! Removes from a gateway's words what must not be in a reason or a log.

/// The longest run of digits that cannot be a phone number or a part of a JID.
const DIGITS: usize = 4;
/// What is kept of a line, in bytes.
const LENGTH: usize = 200;

/// The words without their long runs of digits and control characters, cut to a bounded length.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LENGTH));
    let mut digits = String::new();
    let flush = |out: &mut String, digits: &mut String| {
        if digits.len() > DIGITS {
            out.push('#');
        } else {
            out.push_str(digits);
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
    fn numbers_are_left_out() {
        assert_eq!(
            line("5511987654321@s.whatsapp.net is not on WhatsApp (404)"),
            "#@s.whatsapp.net is not on WhatsApp (404)"
        );
        assert_eq!(line("a\nb 1234 12345"), "a b 1234 #");
        assert!(line(&"x".repeat(10_000)).len() < 210);
    }
}
