//! Which contacts were reported to the engine recently, so that not every message reports them again. In memory: after a restart
//! each contact is reported once more, which changes nothing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use pombo_plugin::connector::events::ContactUpdate;

/// How many contacts are remembered before the memory is cleared.
const MOST: usize = 2_048;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Acquaintances {
    told: RefCell<HashMap<u64, u64>>,
}

impl Acquaintances {
    /// Whether this report is new. If so, remembers it.
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

    /// Forgets a report that did not reach the engine.
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
