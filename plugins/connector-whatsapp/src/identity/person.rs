//! The two names of a person, number and LID, and which of them is the address. The mapping itself is the library's, learned from
//! messages and answers of the server.

use wacore_binary::{Jid, Server};

use super::address::{self, Address};

/// What the session knows of numbers and LIDs.
#[allow(async_fn_in_trait, reason = "guests are single-threaded: no Send bound is wanted")]
pub trait Names {
    /// The digits behind a LID.
    async fn number_of(&self, lid: &str) -> Option<String>;
    /// The LID of a number.
    async fn lid_of(&self, number: &str) -> Option<String>;
}

/// A person as the channel names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The person's address in the engine.
    pub address: String,
    /// The person's other names.
    pub aliases: Vec<String>,
}

/// Who `jid` is. `other` is the other name that came with it, where one did.
pub async fn person(names: &impl Names, jid: &Jid, other: Option<&Jid>) -> Person {
    let other = other.and_then(Address::of_jid);
    match Address::of_jid(jid) {
        Some(Address::Lid(lid)) => {
            let number = match other {
                Some(Address::Number(number)) => Some(number),
                _ => names.number_of(&lid).await,
            };
            let lid = Address::Lid(lid).to_string();
            match number {
                Some(number) => Person { address: number, aliases: vec![lid] },
                None => Person { address: lid, aliases: Vec::new() },
            }
        }
        Some(Address::Number(number)) => {
            let lid = match other {
                Some(Address::Lid(lid)) => Some(lid),
                _ => names.lid_of(&number).await,
            };
            Person { address: number, aliases: lid.map(|lid| Address::Lid(lid).to_string()).into_iter().collect() }
        }
        _ => Person { address: address::of_jid(jid), aliases: Vec::new() },
    }
}

/// How to name `address` in a chat: by LID where the chat's members are, by number otherwise, each where it is known.
pub async fn jid_in(names: &impl Names, address: &Address, by_lid: bool) -> Jid {
    match address {
        Address::Number(number) if by_lid => match names.lid_of(number).await {
            Some(lid) => Jid::new(lid.as_str(), Server::Lid),
            None => address.jid(),
        },
        Address::Lid(lid) if !by_lid => match names.number_of(lid).await {
            Some(number) => Jid::pn(number.as_str()),
            None => address.jid(),
        },
        _ => address.jid(),
    }
}

/// Names that a test sets.
#[cfg(test)]
pub(crate) struct Pairs(pub(crate) Vec<(&'static str, &'static str)>);

#[cfg(test)]
impl Names for Pairs {
    async fn number_of(&self, lid: &str) -> Option<String> {
        self.0.iter().find(|(_, l)| *l == lid).map(|(n, _)| (*n).to_owned())
    }
    async fn lid_of(&self, number: &str) -> Option<String> {
        self.0.iter().find(|(n, _)| *n == number).map(|(_, l)| (*l).to_owned())
    }
}

/// Runs a future that waits for nothing.
#[cfg(test)]
pub(crate) fn ready<F: std::future::Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it waits for something"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        text.parse().expect("a jid")
    }

    #[test]
    fn the_number_is_the_address_where_it_is_known() {
        let names = Pairs(vec![("5511987654321", "100")]);
        for (from, other, address, aliases) in [
            ("100:3@lid", None, "5511987654321", vec!["100@lid"]),
            ("5511987654321:3@s.whatsapp.net", None, "5511987654321", vec!["100@lid"]),
            ("200@lid", Some("12025550100@s.whatsapp.net"), "12025550100", vec!["200@lid"]),
            ("12025550100@s.whatsapp.net", Some("200@lid"), "12025550100", vec!["200@lid"]),
            ("300@lid", None, "300@lid", vec![]),
            ("12025550111@s.whatsapp.net", None, "12025550111", vec![]),
        ] {
            let other = other.map(jid);
            let found = ready(person(&names, &jid(from), other.as_ref()));
            assert_eq!(
                (found.address.as_str(), found.aliases.iter().map(String::as_str).collect::<Vec<_>>()),
                (address, aliases),
                "{from}"
            );
        }
    }

    #[test]
    fn a_chat_names_its_members_its_own_way() {
        let names = Pairs(vec![("5511987654321", "100")]);
        let number = Address::Number("5511987654321".into());
        let lid = Address::Lid("100".into());
        assert_eq!(ready(jid_in(&names, &number, true)).to_string(), "100@lid");
        assert_eq!(ready(jid_in(&names, &number, false)).to_string(), "5511987654321@s.whatsapp.net");
        assert_eq!(ready(jid_in(&names, &lid, false)).to_string(), "5511987654321@s.whatsapp.net");
        assert_eq!(ready(jid_in(&names, &lid, true)).to_string(), "100@lid");
        let unknown = Address::Number("12025550100".into());
        assert_eq!(ready(jid_in(&names, &unknown, true)).to_string(), "12025550100@s.whatsapp.net");
    }
}
