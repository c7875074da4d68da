//! Gateways tell their own sends too, as messages of the account. What is known here tells such an echo from a message that the
//! account wrote on another device: which sends are under way, since their ids are known only afterwards, and what those said whose
//! ids nobody ever knows.

use std::cell::{Cell, RefCell};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};

use crate::address;

/// How long the echo of a send without an id is expected.
const EXPECTED_MILLIS: u64 = 2 * 60_000;
/// How many such are expected; the oldest go first.
const EXPECTED: usize = 256;

/// What a message says, without the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look(u64);

impl Look {
    /// A text.
    pub(crate) fn text(text: &str) -> Self {
        Self::of("text", "", text)
    }

    /// A file with its caption, which may be empty.
    pub(crate) fn file(caption: &str) -> Self {
        Self::of("file", "", caption)
    }

    /// A reaction to the message with this id.
    pub(crate) fn reaction(to: &str, emoji: &str) -> Self {
        Self::of("reaction", to, emoji)
    }

    fn of(kind: &str, to: &str, text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (kind, to).hash(&mut hasher);
        // Whether an emoji is to be coloured is not said the same way on both sides.
        text.trim().chars().filter(|c| *c != '\u{fe0f}').for_each(|c| c.hash(&mut hasher));
        Self(hasher.finish())
    }
}

/// A send whose id is not known.
#[derive(Debug)]
struct Expected {
    chat: String,
    look: Look,
    until: u64,
    /// The id of its echo, once it came: it may be told again.
    echo: Option<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Echoes {
    next: Cell<u64>,
    /// The sends under way, and their recipients.
    open: RefCell<BTreeMap<u64, String>>,
    expected: RefCell<VecDeque<Expected>>,
}

impl Echoes {
    /// The number that the next send gets.
    pub(crate) fn next(&self) -> u64 {
        self.next.get()
    }

    /// Whether every send to this chat with a number below this has ended.
    pub(crate) fn ended_before(&self, number: u64, chat: &str) -> bool {
        !self.open.borrow().range(..number).any(|(_, to)| address::may_be_one(to, chat))
    }

    /// Begins a send; it ends when the value is dropped.
    pub(crate) fn begin(&self, to: &str) -> Flight<'_> {
        let number = self.next.get();
        self.next.set(number + 1);
        self.open.borrow_mut().insert(number, to.to_owned());
        Flight(self, number)
    }

    /// Expects the echo of what was sent, or may have been, without an id.
    pub(crate) fn expect(&self, chat: &str, look: Look, now: u64) {
        let mut expected = self.expected.borrow_mut();
        expected.retain(|one| one.until > now);
        if expected.len() >= EXPECTED {
            expected.pop_front();
        }
        expected.push_back(Expected { chat: chat.to_owned(), look, until: now + EXPECTED_MILLIS, echo: None });
    }

    /// Whether an own message is such an echo. Each send has one.
    pub(crate) fn is_expected(&self, chat: &str, id: &str, look: Look, now: u64) -> bool {
        let mut expected = self.expected.borrow_mut();
        if expected.iter().any(|one| one.echo.as_deref() == Some(id)) {
            return true;
        }
        let is_it = |one: &&mut Expected| {
            one.echo.is_none() && one.until > now && one.look == look && address::may_be_one(&one.chat, chat)
        };
        let found = expected.iter_mut().find(is_it);
        let is_one = found.is_some();
        if let Some(found) = found {
            found.echo = Some(id.to_owned());
        }
        is_one
    }
}

/// A send under way.
pub(crate) struct Flight<'e>(&'e Echoes, u64);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.open.borrow_mut().remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: &str = "5511999999999";

    #[test]
    fn neither_a_later_send_nor_one_to_somebody_else_holds_a_message_up() {
        let echoes = Echoes::default();
        let first = echoes.begin(ANA);
        let _other = echoes.begin("5511888888888");
        let arrived = echoes.next();
        let _later = echoes.begin(ANA);
        assert!(!echoes.ended_before(arrived, ANA));
        assert!(!echoes.ended_before(arrived, "77@lid"), "it may be hers");
        assert!(echoes.ended_before(arrived, "5511777777777"));
        assert!(echoes.ended_before(arrived, "120363021033254949@g.us"));
        drop(first);
        assert!(echoes.ended_before(arrived, ANA));
    }

    #[test]
    fn a_send_without_an_id_has_one_echo() {
        let echoes = Echoes::default();
        echoes.expect(ANA, Look::text("oi "), 0);
        let is = |chat: &str, id: &str, look: Look, now: u64| echoes.is_expected(chat, id, look, now);
        assert!(!is("5511888888888", "A", Look::text("oi"), 1));
        assert!(!is(ANA, "A", Look::text("olá"), 1));
        assert!(!is(ANA, "A", Look::file("oi"), 1));
        assert!(is("551199999999", "A", Look::text("oi"), 1));
        assert!(is(ANA, "A", Look::text("oi"), 1), "the same one again");
        assert!(!is(ANA, "B", Look::text("oi"), 1), "somebody wrote it on the phone");
        echoes.expect(ANA, Look::reaction("X", "❤️"), 0);
        assert!(!is(ANA, "C", Look::reaction("X", "❤"), EXPECTED_MILLIS), "too late");
        echoes.expect(ANA, Look::reaction("X", "❤️"), 0);
        assert!(is(ANA, "C", Look::reaction("X", "❤"), 1));
    }

    #[test]
    fn those_expected_are_bounded() {
        let echoes = Echoes::default();
        for n in 0..EXPECTED + 5 {
            echoes.expect(ANA, Look::text(&n.to_string()), 0);
        }
        assert_eq!(echoes.expected.borrow().len(), EXPECTED);
        echoes.expect(ANA, Look::text("x"), EXPECTED_MILLIS);
        assert_eq!(echoes.expected.borrow().len(), 1);
    }
}
