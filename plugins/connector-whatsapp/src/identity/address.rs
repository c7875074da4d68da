//! The forms of an address: what a caller may write, what the engine keeps, and the library's jids. Pure; no task of its own.

use wacore_binary::{Jid, Server};

/// The least and most digits of a number with its country code (E.164 ends at 15).
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// A checked address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A phone number: digits with the country code.
    Number(String),
    /// A person whose number is hidden: the user part before `@lid`.
    Lid(String),
    /// A group: the part before `@g.us`.
    Group(String),
}

impl Address {
    /// Reads what a caller wrote.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err(
                "the address is empty; write a phone number with its country code, e.g. +55 11 98765-4321".into()
            );
        }
        match text.split_once('@') {
            Some((user, server)) => Self::of_parts(user, server),
            None => number(text).map(Self::Number),
        }
    }

    fn of_parts(user: &str, server: &str) -> Result<Self, String> {
        match server.to_ascii_lowercase().as_str() {
            "s.whatsapp.net" | "c.us" => number(without_device(user)).map(Self::Number),
            "lid" => {
                let user = without_device(user);
                if (1..=20).contains(&user.len()) && user.bytes().all(|b| b.is_ascii_digit()) {
                    Ok(Self::Lid(user.to_owned()))
                } else {
                    Err("an address that ends in @lid has 1 to 20 digits before it".into())
                }
            }
            "g.us" => {
                let digits = user.bytes().filter(u8::is_ascii_digit).count();
                let plain = user.bytes().all(|b| b.is_ascii_digit() || b == b'-');
                let dashes = user.bytes().filter(|b| *b == b'-').count();
                if plain
                    && digits >= 6
                    && user.len() <= 40
                    && dashes <= 1
                    && !user.starts_with('-')
                    && !user.ends_with('-')
                {
                    Ok(Self::Group(user.to_owned()))
                } else {
                    Err("a group's id consists of digits (with at most one dash) before @g.us, as in the list of groups"
                        .into())
                }
            }
            _ => Err("an address is a phone number, a group's id ending in @g.us, or an id ending in @lid".into()),
        }
    }

    /// The jid that the library sends to.
    pub fn jid(&self) -> Jid {
        match self {
            Self::Number(digits) => Jid::pn(digits.as_str()),
            Self::Lid(user) => Jid::lid(user.as_str()),
            Self::Group(id) => Jid::group(id.as_str()),
        }
    }

    /// The address of a jid, if it is a person's or a group's. The device is left out.
    pub fn of_jid(jid: &Jid) -> Option<Self> {
        let user = jid.user_base().to_owned();
        if user.is_empty() {
            return None;
        }
        match jid.server {
            Server::Pn | Server::Hosted | Server::Legacy => Some(Self::Number(user)),
            Server::Lid | Server::HostedLid => Some(Self::Lid(user)),
            Server::Group => Some(Self::Group(jid.user.to_string())),
            _ => None,
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(digits) => f.write_str(digits),
            Self::Lid(user) => write!(f, "{user}@lid"),
            Self::Group(id) => write!(f, "{id}@g.us"),
        }
    }
}

/// The normal form of what a caller wrote, or why it cannot be an address.
pub fn normalise(text: &str) -> Result<String, String> {
    Address::parse(text).map(|address| address.to_string())
}

/// The engine's name for any JID, even one that is not a person or group.
pub fn of_jid(jid: &Jid) -> String {
    Address::of_jid(jid).map_or_else(|| jid.to_non_ad_string(), |address| address.to_string())
}

fn without_device(user: &str) -> &str {
    user.split([':', '.', '_']).next().unwrap_or(user)
}

fn number(text: &str) -> Result<String, String> {
    let mut digits = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if at == 0 => {}
            ' ' | '-' | '(' | ')' | '.' | '\u{a0}' | '\u{2010}'..='\u{2015}' => {}
            _ => return Err(
                "a phone number consists of digits, with an optional + in front, and spaces, dashes, dots and parentheses in between"
                    .into(),
            ),
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
            (" 5511987654321 ", "5511987654321"),
            ("1.202.555.0100", "12025550100"),
            ("5511987654321@s.whatsapp.net", "5511987654321"),
            ("5511987654321:12@s.whatsapp.net", "5511987654321"),
            ("5511987654321@c.us", "5511987654321"),
            ("120363021033254949@g.us", "120363021033254949@g.us"),
            ("5511987654321-1612345678@g.us", "5511987654321-1612345678@g.us"),
            ("100000012345678@lid", "100000012345678@lid"),
            ("100000012345678:3@LID", "100000012345678@lid"),
        ] {
            assert_eq!(normalise(written).as_deref(), Ok(normal), "{written}");
        }
    }

    #[test]
    fn what_cannot_be_an_address_is_refused_with_a_reason() {
        for (written, says) in [
            ("", "empty"),
            ("  ", "empty"),
            ("1234567", "8 to 15"),
            ("1234567890123456", "8 to 15"),
            ("11 98765-432x", "digits"),
            ("55+11987654321", "digits"),
            ("00551198765432", "country code"),
            ("someone@example.org", "@g.us"),
            ("abc@g.us", "@g.us"),
            ("-123456@g.us", "@g.us"),
            ("@lid", "@lid"),
            ("12ab@lid", "@lid"),
            ("123@newsletter", "@g.us"),
        ] {
            let problem = normalise(written).expect_err(written);
            assert!(problem.contains(says), "{written}: {problem}");
        }
    }

    #[test]
    fn an_address_and_its_jid_name_the_same() {
        for text in ["5511987654321", "120363021033254949@g.us", "100000012345678@lid"] {
            let address = Address::parse(text).expect("an address");
            assert_eq!(Address::of_jid(&address.jid()), Some(address));
        }
        let device: Jid = "5511987654321:7@s.whatsapp.net".parse().expect("a jid");
        assert_eq!(of_jid(&device), "5511987654321");
        let other: Jid = "status@broadcast".parse().expect("a jid");
        assert_eq!(of_jid(&other), "status@broadcast");
    }
}
