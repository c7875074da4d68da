//! Addresses: what a caller may write, what the engine keeps, and the JIDs of the webhooks. The engine's form is the same as
//! `connector-whatsapp`'s: digits for a person, `…@lid` for one whose number is hidden, `…@g.us` for a group.

/// The least and most digits of a number with its country code (E.164 ends at 15).
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// Whom a JID names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// The engine's address of a person.
    Person(String),
    /// The engine's address of a group.
    Group(String),
    /// Stories, channels and whatever else is not a conversation.
    Elsewhere,
}

/// The normal form of what a caller wrote, or why it cannot be an address.
pub(crate) fn normalise(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("the address is empty; write a phone number with its country code, e.g. +55 11 98765-4321".into());
    }
    let Some((user, server)) = text.split_once('@') else { return number(text) };
    match server.to_ascii_lowercase().as_str() {
        "s.whatsapp.net" | "c.us" => number(without_device(user)),
        "lid" if is_lid(without_device(user)) => Ok(format!("{}@lid", without_device(user))),
        "lid" => Err("an address that ends in @lid has 1 to 20 digits before it".into()),
        "g.us" if is_group_id(user) => Ok(format!("{user}@g.us")),
        "g.us" => Err("a group's id consists of digits (with at most one dash) before @g.us".into()),
        _ => Err("an address is a phone number, a group's id ending in @g.us, or an id ending in @lid".into()),
    }
}

/// Whom a webhook's JID names. `None`: it is not a JID.
pub(crate) fn who(jid: &str) -> Option<Who> {
    let jid = jid.trim();
    match jid.rsplit_once('@').map(|(_, server)| server.to_ascii_lowercase()).as_deref() {
        Some("broadcast" | "newsletter" | "call" | "bot" | "msgr" | "interop") => Some(Who::Elsewhere),
        Some("g.us") => normalise(jid).ok().map(Who::Group),
        _ => normalise(jid).ok().map(Who::Person),
    }
}

/// The person that a JID names. `other` is another JID of the same person: a number is preferred to a hidden one, because that is
/// how callers name people.
pub(crate) fn person(jid: &str, other: Option<&str>) -> Option<String> {
    let of = |jid: &str| match who(jid) {
        Some(Who::Person(address)) => Some(address),
        _ => None,
    };
    let first = of(jid)?;
    if !first.ends_with("@lid") {
        return Some(first);
    }
    Some(other.and_then(of).filter(|other| !other.ends_with("@lid")).unwrap_or(first))
}

/// The number and the hidden number of one person, if two JIDs are these.
pub(crate) fn pair(jid: &str, other: &str) -> Option<(String, String)> {
    let (Some(Who::Person(one)), Some(Who::Person(other))) = (who(jid), who(other)) else { return None };
    match (one.ends_with("@lid"), other.ends_with("@lid")) {
        (false, true) => Some((one, other)),
        (true, false) => Some((other, one)),
        _ => None,
    }
}

/// Whether two addresses may be the same conversation's. A hidden number does not say whose it is, and some countries' numbers are
/// written in two ways, with and without a digit after the area: their ends are the same.
pub(crate) fn may_be_one(one: &str, other: &str) -> bool {
    let is_group = |address: &str| address.ends_with("@g.us");
    if one == other || is_group(one) || is_group(other) {
        return one == other;
    }
    if [one, other].iter().any(|address| address.ends_with("@lid")) {
        return true;
    }
    let end = |address: &str| address.len().saturating_sub(8);
    one.get(..2) == other.get(..2) && one.get(end(one)..) == other.get(end(other)..)
}

/// The JID of an address.
pub(crate) fn jid(address: &str) -> String {
    if address.contains('@') { address.to_owned() } else { format!("{address}@s.whatsapp.net") }
}

fn without_device(user: &str) -> &str {
    user.split([':', '.', '_']).next().unwrap_or(user)
}

fn is_lid(user: &str) -> bool {
    (1..=20).contains(&user.len()) && user.bytes().all(|b| b.is_ascii_digit())
}

fn is_group_id(user: &str) -> bool {
    let digits = user.bytes().filter(u8::is_ascii_digit).count();
    let dashes = user.bytes().filter(|b| *b == b'-').count();
    digits + dashes == user.len()
        && digits >= 6
        && user.len() <= 40
        && dashes <= 1
        && !user.starts_with('-')
        && !user.ends_with('-')
}

fn number(text: &str) -> Result<String, String> {
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
            "a phone number has 8 to 15 digits including its country code, but this one has {}; a group's id ends in @g.us",
            digits.len()
        ));
    }
    if digits.starts_with('0') {
        return Err("a phone number begins with its country code, not with 0".into());
    }
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_writes_becomes_one_form() {
        for (written, normal) in [
            ("+55 (11) 98765-4321", "5511987654321"),
            ("5511987654321@s.whatsapp.net", "5511987654321"),
            ("5511987654321:12@s.whatsapp.net", "5511987654321"),
            ("5511987654321@c.us", "5511987654321"),
            ("120363021033254949@g.us", "120363021033254949@g.us"),
            ("5511987654321-1612345678@g.us", "5511987654321-1612345678@g.us"),
            ("100000012345678:3@LID", "100000012345678@lid"),
        ] {
            assert_eq!(normalise(written).as_deref(), Ok(normal), "{written}");
        }
        for bad in ["", "1234567", "abc@g.us", "00551198765432", "someone@example.org", "12ab@lid", "55+11987654321"] {
            assert!(normalise(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_jid_names_a_person_a_group_or_nobody() {
        assert_eq!(who("5511999999999@s.whatsapp.net"), Some(Who::Person("5511999999999".into())));
        assert_eq!(who("5511999999999"), Some(Who::Person("5511999999999".into())));
        assert_eq!(who("120363021033254949@g.us"), Some(Who::Group("120363021033254949@g.us".into())));
        assert_eq!(who("status@broadcast"), Some(Who::Elsewhere));
        assert_eq!(who("120363@newsletter"), Some(Who::Elsewhere));
        assert_eq!(who("nobody"), None);
        assert_eq!(jid("5511999999999"), "5511999999999@s.whatsapp.net");
        assert_eq!(jid("120363021033254949@g.us"), "120363021033254949@g.us");
    }

    #[test]
    fn a_number_is_preferred_to_a_hidden_one() {
        let number = Some("5511999999999@s.whatsapp.net");
        assert_eq!(person("77@lid", number).as_deref(), Some("5511999999999"));
        assert_eq!(person("77@lid", None).as_deref(), Some("77@lid"));
        assert_eq!(person("5511888888888@s.whatsapp.net", number).as_deref(), Some("5511888888888"));
        assert_eq!(person("120363021033254949@g.us", number), None);
    }

    #[test]
    fn two_addresses_of_one_person() {
        let (number, lid) = ("5511999999999@s.whatsapp.net", "77:3@lid");
        let both = Some(("5511999999999".to_owned(), "77@lid".to_owned()));
        assert_eq!((pair(number, lid), pair(lid, number)), (both.clone(), both));
        assert_eq!((pair(number, number), pair(lid, lid), pair("1203630@g.us", lid)), (None, None, None));
        for (one, other, may) in [
            ("5511999999999", "5511999999999", true),
            ("5511999999999", "551199999999", true),
            ("5511999999999", "77@lid", true),
            ("5511999999999", "5511999999998", false),
            ("5511999999999", "4411999999999", false),
            ("120363021033254949@g.us", "77@lid", false),
        ] {
            assert_eq!((may_be_one(one, other), may_be_one(other, one)), (may, may), "{one} {other}");
        }
    }
}
