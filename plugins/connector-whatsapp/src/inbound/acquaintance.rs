//! Which contacts the engine was told about lately, so that not every message says it again. In memory: after a restart the engine is
//! told once more, which changes nothing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use pombo_plugin::connector::events::ContactUpdate;

/// How many are remembered before it starts over.
const MOST: usize = 2_048;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Acquaintances {
    told: RefCell<HashMap<u64, u64>>,
}

impl Acquaintances {
    /// Whether this says something that was not said before. Says it then.
    pub(crate) fn is_news(&self, contact: &ContactUpdate) -> bool {
        if contact.display_name.is_none() && contact.aliases.is_empty() {
            return false;
        }
        let hash = BuildHasherDefault::<DefaultHasher>::default();
        let who = hash.hash_one(&contact.address);
        let what = hash.hash_one((&contact.display_name, &contact.aliases));
        let mut told = self.told.borrow_mut();
        if told.len() >= MOST && !told.contains_key(&who) {
            told.clear();
        }
        told.insert(who, what) != Some(what)
    }

    /// It could not be said after all.
    pub(crate) fn forget(&self, contact: &ContactUpdate) {
        let who = BuildHasherDefault::<DefaultHasher>::default().hash_one(&contact.address);
        self.told.borrow_mut().remove(&who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(address: &str, name: Option<&str>, aliases: &[&str]) -> ContactUpdate {
        ContactUpdate {
            address: address.into(),
            display_name: name.map(str::to_owned),
            aliases: aliases.iter().map(|a| (*a).to_owned()).collect(),
        }
    }

    #[test]
    fn only_news_is_told() {
        let told = Acquaintances::default();
        assert!(!told.is_news(&contact("1", None, &[])), "there is nothing to say");
        assert!(told.is_news(&contact("1", Some("Ana"), &["9@lid"])));
        assert!(!told.is_news(&contact("1", Some("Ana"), &["9@lid"])));
        assert!(told.is_news(&contact("1", Some("Ana Maria"), &["9@lid"])));
        assert!(told.is_news(&contact("2", Some("Ana Maria"), &["9@lid"])));
        told.forget(&contact("2", None, &[]));
        assert!(told.is_news(&contact("2", Some("Ana Maria"), &["9@lid"])));
        for n in 0..10_000 {
            told.is_news(&contact(&n.to_string(), Some("x"), &[]));
        }
        assert!(told.told.borrow().len() <= MOST);
    }
}
