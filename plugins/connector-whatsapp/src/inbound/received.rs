//! Which conversations the messages that came lately are of. When another device of the account reads a message, WhatsApp names the
//! message and the account, and the library passes on no more. In memory: what came before a restart is not found.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

/// How many messages are remembered.
const MOST: usize = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// The engine's address of the conversation, by the message's id.
    chats: RefCell<HashMap<String, String>>,
    /// The ids in the order in which they came.
    order: RefCell<VecDeque<String>>,
}

impl Received {
    /// A message came in this conversation.
    pub(crate) fn note(&self, id: &str, chat: &str) {
        let mut chats = self.chats.borrow_mut();
        if chats.insert(id.to_owned(), chat.to_owned()).is_some() {
            return;
        }
        let mut order = self.order.borrow_mut();
        order.push_back(id.to_owned());
        if order.len() > MOST
            && let Some(oldest) = order.pop_front()
        {
            chats.remove(&oldest);
        }
    }

    /// The conversation of the first of these messages that is remembered.
    pub(crate) fn chat_of(&self, ids: &[String]) -> Option<String> {
        let chats = self.chats.borrow();
        ids.iter().find_map(|id| chats.get(id).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_messages_are_remembered() {
        let received = Received::default();
        received.note("A", "5511");
        received.note("A", "5511");
        let of = |id: &str| received.chat_of(&["?".to_owned(), id.to_owned()]);
        assert_eq!((of("A"), of("B")), (Some("5511".to_owned()), None));
        for n in 0..MOST {
            received.note(&n.to_string(), "5522");
        }
        assert_eq!((of("A"), of("0")), (None, Some("5522".to_owned())));
        assert_eq!(received.chats.borrow().len(), received.order.borrow().len());
    }
}
