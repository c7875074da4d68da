//! The ninth digit of Brazilian mobile numbers. An account that was opened before the digit was introduced may be registered
//! without it, so a number has two forms of which the server knows one. Pure.

/// The other form of a Brazilian mobile number: with the ninth digit when it is missing, without it when it is there. `None` for
/// every other number.
pub fn other_form(digits: &str) -> Option<String> {
    let national = digits.strip_prefix("55")?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let area: u8 = national.get(..2)?.parse().ok()?;
    if !(11..=99).contains(&area) {
        return None;
    }
    let subscriber = national.get(2..)?;
    // Only numbers that began with 6 to 9 were mobile before the ninth digit; landlines never got it.
    let was_mobile = |eight: &str| matches!(eight.as_bytes().first(), Some(b'6'..=b'9'));
    match subscriber.len() {
        8 if was_mobile(subscriber) => Some(format!("55{area}9{subscriber}")),
        9 => subscriber.strip_prefix('9').filter(|eight| was_mobile(eight)).map(|eight| format!("55{area}{eight}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::other_form;

    #[test]
    fn a_mobile_number_has_two_forms() {
        for (with, without) in
            [("5511987654321", "551187654321"), ("5585999990000", "558599990000"), ("5521961234567", "552161234567")]
        {
            assert_eq!(other_form(with).as_deref(), Some(without));
            assert_eq!(other_form(without).as_deref(), Some(with));
        }
    }

    #[test]
    fn other_numbers_have_one() {
        for number in [
            "551133334444",
            "5511933334444",
            "12025550100",
            "5501987654321",
            "55119876543210",
            "5511",
            "55",
            "",
            "4915112345678",
        ] {
            assert_eq!(other_form(number), None, "{number}");
        }
    }
}
