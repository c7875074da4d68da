//! Addresses: digits for a person with a phone number, as `connector-whatsapp` has them, and Meta's own id for one without
//! (`BR.1502…`, a business-scoped user id), which must never stand where a phone number does.

/// The least and most digits of a number with its country code (E.164 ends at 15).
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;
/// The most characters of Meta's id behind the country.
const USER_CHARACTERS: usize = 128;

/// The normal form of what a caller wrote, or why it cannot be an address.
pub(crate) fn normalise(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("the address is empty; write a phone number with its country code, e.g. +55 11 98765-4321".into());
    }
    if is_user(text) {
        return Ok(text.to_owned());
    }
    if text.ends_with("@g.us") || text.ends_with("@lid") {
        return Err("Meta's API knows phone numbers and its own ids (BR.1502…), no groups and no @lid".into());
    }
    let text = text.strip_suffix("@s.whatsapp.net").or(text.strip_suffix("@c.us")).unwrap_or(text);
    let mut digits = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if at == 0 => {}
            ' ' | '-' | '(' | ')' | '.' | '\u{a0}' | '\u{2010}'..='\u{2015}' => {}
            _ => {
                return Err(
                    "a phone number consists of digits, with an optional + in front, and spaces, dashes, dots and \
                            parentheses in between"
                        .into(),
                );
            }
        }
    }
    if !DIGITS.contains(&digits.len()) {
        return Err(format!(
            "a phone number has 8 to 15 digits including its country code, but this one has {}",
            digits.len()
        ));
    }
    if digits.starts_with('0') {
        return Err("a phone number begins with its country code, not with 0".into());
    }
    Ok(digits)
}

/// Whether this is Meta's own id of a person: a country's two letters, a dot, `ENT.` for linked portfolios, letters and digits.
pub(crate) fn is_user(address: &str) -> bool {
    let Some((country, id)) = address.split_once('.') else { return false };
    let id = id.strip_prefix("ENT.").unwrap_or(id);
    country.len() == 2
        && country.bytes().all(|b| b.is_ascii_uppercase())
        && (1..=USER_CHARACTERS).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The address of a phone number that Meta tells, as a text or as a number.
pub(crate) fn phone(value: &serde_json::Value) -> Option<String> {
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.as_u64()?.to_string(),
        _ => return None,
    };
    normalise(&text).ok().filter(|address| !is_user(address))
}

/// The address of an id that Meta tells.
pub(crate) fn user(value: &serde_json::Value) -> Option<String> {
    value.as_str().map(str::trim).filter(|id| is_user(id)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_caller_writes_becomes_one_form() {
        for (written, normal) in [
            ("+55 (11) 98765-4321", "5511987654321"),
            ("5511987654321@s.whatsapp.net", "5511987654321"),
            (" BR.1502abc ", "BR.1502abc"),
            ("BR.ENT.1502", "BR.ENT.1502"),
        ] {
            assert_eq!(normalise(written).as_deref(), Ok(normal), "{written}");
        }
        for bad in ["", "1234567", "120363021033254949@g.us", "77@lid", "00551198765432", "BR.", "br.1502", "BR.ENT."] {
            assert!(normalise(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn meta_tells_numbers_in_two_forms() {
        assert_eq!(phone(&json!("16505551234")).as_deref(), Some("16505551234"));
        assert_eq!(phone(&json!(16505551234_u64)).as_deref(), Some("16505551234"));
        assert_eq!(phone(&json!("+1 650-555-1234")).as_deref(), Some("16505551234"));
        assert_eq!((phone(&json!("BR.1")), phone(&json!(null))), (None, None));
        assert_eq!((user(&json!("BR.1")), user(&json!("16505551234"))), (Some("BR.1".to_owned()), None));
    }
}
