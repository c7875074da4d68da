//! A tenant's contacts as lists need them: what filters look at, and the folded text that a search looks into.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound::{Excluded, Unbounded};

use memchr::memmem::Finder;
use pombo_domain::ConnectorIndex;
use pombo_domain::model::{Contact, ContactType};
use pombo_domain::ports::ContactFilter;

use super::Kept;
use crate::search::fold;

/// The contacts by number.
#[derive(Default)]
pub(crate) struct ContactList {
    rows: BTreeMap<u64, Row>,
    bytes: usize,
}

/// What lists know of a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    kind: ContactType,
    active: bool,
    connectors: Box<[ConnectorIndex]>,
    /// Identifier, names, e-mail address and company, folded, a line each.
    text: Box<str>,
}

/// Bytes of a row besides its text and connectors, with its share of the map.
const ROW_BYTES: usize = 72;

impl Row {
    pub(crate) fn of(contact: &Contact) -> Self {
        let mut text = String::new();
        let optional = [&contact.name, &contact.push_name, &contact.email, &contact.company];
        let parts = [Some(contact.identifier.as_str())].into_iter().chain(optional.map(|part| part.as_deref()));
        for part in parts.flatten() {
            fold::fold_into(part, &mut text);
            text.push('\n');
        }
        let connectors = contact.connectors.as_slice().into();
        Self { kind: contact.kind, active: contact.active, connectors, text: text.into_boxed_str() }
    }

    fn bytes(&self) -> usize {
        ROW_BYTES + self.text.len() + self.connectors.len() * size_of::<ConnectorIndex>()
    }
}

/// A page: the numbers of its contacts, how many match in all, and whether more match behind it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) numbers: Vec<u64>,
    pub(crate) total: u64,
    pub(crate) more: bool,
}

impl Kept for ContactList {
    /// A contact by number; `None` where it was deleted.
    type Change = (u64, Option<Row>);

    fn apply(&mut self, (number, row): Self::Change) {
        let new = row.as_ref().map_or(0, Row::bytes);
        let old = match row {
            Some(row) => self.rows.insert(number, row),
            None => self.rows.remove(&number),
        };
        self.bytes = self.bytes + new - old.map_or(0, |old| old.bytes());
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl ContactList {
    /// All rows, by number.
    pub(crate) fn rows(&self) -> &BTreeMap<u64, Row> {
        &self.rows
    }

    /// The numbers of the contacts with these folded addresses. The addresses of nobody stay in `chats`.
    pub(crate) fn numbers_of<T>(&self, chats: &mut BTreeMap<ContactType, HashMap<String, T>>) -> HashSet<u64> {
        let (mut numbers, mut known) = (HashSet::new(), HashSet::new());
        for (number, row) in &self.rows {
            let address = row.text.split('\n').next().unwrap_or_default();
            if chats.get(&row.kind).is_some_and(|of_kind| of_kind.contains_key(address)) {
                numbers.insert(*number);
                known.insert((row.kind, address));
            }
        }
        for (kind, address) in known {
            if let Some(of_kind) = chats.get_mut(&kind) {
                of_kind.remove(address);
            }
        }
        numbers
    }

    /// The page behind the number `after`, without the first `skip` matches. It looks at every contact once. `tagged` has those that
    /// [`ContactFilter::tag`] lets through.
    pub(crate) fn page(
        &self,
        (filter, tagged): (&ContactFilter, Option<&HashSet<u64>>),
        after: u64,
        skip: u64,
        limit: usize,
    ) -> Found {
        let words = words(filter.search.as_deref().unwrap_or_default());
        let finders: Vec<Finder<'_>> = words.iter().map(|word| Finder::new(word.as_bytes())).collect();
        let matches = |number: &u64, row: &Row| {
            tagged.is_none_or(|numbers| numbers.contains(number))
                && filter.kind.is_none_or(|kind| row.kind == kind)
                && filter.active.is_none_or(|active| row.active == active)
                && filter.connector.is_none_or(|connector| row.connectors.binary_search(&connector).is_ok())
                && finders.iter().all(|finder| finder.find(row.text.as_bytes()).is_some())
        };
        let before = self.rows.range(..=after).filter(|(number, row)| matches(number, row)).count() as u64;
        let (mut numbers, mut behind) = (Vec::new(), 0_u64);
        for (number, row) in self.rows.range((Excluded(after), Unbounded)) {
            if matches(number, row) {
                if behind >= skip && numbers.len() < limit {
                    numbers.push(*number);
                }
                behind += 1;
            }
        }
        let more = behind > skip.saturating_add(numbers.len() as u64) && !numbers.is_empty();
        Found { numbers, total: before + behind, more }
    }
}

/// The words of a search. What is written like one phone number is one word: its digits.
fn words(search: &str) -> Vec<String> {
    let is_phone = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '(' | ')' | '.' | ' ');
    let digits: String = search.chars().filter(char::is_ascii_digit).collect();
    if digits.len() >= 2 && search.chars().all(is_phone) {
        return vec![digits];
    }
    fold::query_words(search)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pombo_domain::{TenantIndex, Timestamp};
    use uuid::Uuid;

    fn list() -> ContactList {
        let mut list = ContactList::default();
        let mut add = |number: u64, kind, identifier: &str, change: &dyn Fn(&mut Contact)| {
            let id = Uuid::from_u128(u128::from(number));
            let mut contact = Contact::new(id, TenantIndex(1), kind, identifier, Timestamp(0));
            change(&mut contact);
            list.apply((number, Some(Row::of(&contact))));
        };
        let (phone, email) = (ContactType::WhatsApp, ContactType::Email);
        add(1, phone, "5511988887777", &|c| c.name = Some("João Ação".to_owned()));
        add(3, phone, "5521977776666", &|c| (c.push_name, c.active) = (Some("joana".to_owned()), false));
        add(4, email, "ana@loja.com", &|c| c.connectors = [2, 5].map(ConnectorIndex).to_vec());
        add(7, email, "maria@x.com", &|c| (c.company, c.email) = (Some("Loja".to_owned()), Some("m@y.com".to_owned())));
        list
    }

    fn found(filter: ContactFilter) -> Vec<u64> {
        let found = list().page((&filter, None), 0, 0, 10);
        assert_eq!((found.numbers.len() as u64, found.more), (found.total, false));
        found.numbers
    }

    fn searched(text: &str) -> Vec<u64> {
        found(ContactFilter { search: Some(text.to_owned()), ..ContactFilter::default() })
    }

    #[test]
    fn filters_are_combined() {
        let all = ContactFilter::default;
        assert_eq!(found(all()), [1, 3, 4, 7]);
        assert_eq!(found(ContactFilter { kind: Some(ContactType::WhatsApp), ..all() }), [1, 3]);
        assert_eq!(found(ContactFilter { active: Some(false), ..all() }), [3]);
        assert_eq!(
            found(ContactFilter { active: Some(false), kind: Some(ContactType::Email), ..all() }),
            [] as [u64; 0]
        );
        for (connector, expected) in [(2, vec![4]), (5, vec![4]), (3, vec![])] {
            assert_eq!(found(ContactFilter { connector: Some(ConnectorIndex(connector)), ..all() }), expected);
        }
    }

    #[test]
    fn contacts_are_found_by_the_addresses_of_conversations() {
        let phone = |address: &str| (address.to_owned(), ());
        let phones = HashMap::from([phone("5521977776666"), phone("1@lid")]);
        let mails = HashMap::from([phone("5511988887777")]);
        let mut chats = BTreeMap::from([(ContactType::WhatsApp, phones), (ContactType::Email, mails)]);
        let numbers = list().numbers_of(&mut chats);
        assert_eq!(numbers, HashSet::from([3]));
        let left: Vec<&str> = chats.values().flat_map(|of_kind| of_kind.keys().map(String::as_str)).collect();
        assert_eq!(left, ["1@lid", "5511988887777"], "that of another kind is not the contact's");
        let page = list().page((&ContactFilter::default(), Some(&numbers)), 0, 0, 10);
        assert_eq!((page.numbers, page.total), (vec![3], 1));
    }

    #[test]
    fn a_search_finds_names_addresses_and_companies() {
        assert_eq!(searched("joao acao"), [1]);
        assert_eq!(searched("JO"), [1, 3]);
        assert_eq!(searched("loja"), [4, 7]);
        assert_eq!(searched("m@y"), [7]);
        assert_eq!(searched("+55 (11) 98888-7777"), [1]);
        assert_eq!(searched("98888"), [1]);
        assert_eq!(searched("joao 55"), [1]);
        assert_eq!(searched("ação joana"), [] as [u64; 0]);
        assert_eq!(searched("  "), [1, 3, 4, 7]);
    }

    #[test]
    fn pages_follow_each_other_and_know_the_total() {
        let list = list();
        let page = |after, skip, limit| {
            let found = list.page((&ContactFilter::default(), None), after, skip, limit);
            assert_eq!(found.total, 4);
            (found.numbers, found.more)
        };
        assert_eq!(page(0, 0, 3), (vec![1, 3, 4], true));
        assert_eq!(page(4, 0, 3), (vec![7], false));
        assert_eq!(page(7, 0, 3), (vec![], false));
        assert_eq!(page(0, 1, 2), (vec![3, 4], true));
        assert_eq!(page(0, 4, 2), (vec![], false));
        assert_eq!(page(1, 2, 2), (vec![7], false));
        assert_eq!(page(u64::MAX, 0, 2), (vec![], false));
        assert_eq!(page(0, u64::MAX, 2), (vec![], false));
    }

    #[test]
    fn its_size_follows_its_rows() {
        let mut list = list();
        for number in [1, 3, 4, 7] {
            assert!(list.bytes() > 0);
            list.apply((number, None));
            list.apply((number, None));
        }
        assert_eq!(list.bytes(), 0);
    }
}
