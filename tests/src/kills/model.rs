//! What was asked for in each conversation, and acknowledged.

use anyhow::{Result, ensure};

/// A message that came from the channel, or went there: its id and its text. Ids of received ones are the channel's.
pub(super) type Said = (String, String);

/// A conversation.
#[derive(Debug, Default)]
pub(super) struct Chat {
    /// The engine's id, once somebody opened it.
    pub(super) id: Option<String>,
    /// What the other side wrote, in order.
    pub(super) received: Vec<Said>,
    /// What was sent, in the order of the acknowledgements.
    pub(super) sent: Vec<Said>,
    /// How many of the received ones are read.
    pub(super) read: usize,
    /// Whether it has the tag.
    pub(super) is_tagged: bool,
    /// Whether it was archived at the end.
    pub(super) is_archived: bool,
}

impl Chat {
    /// The address of a conversation.
    pub(super) fn address(number: usize) -> String {
        format!("pessoa-{number:03}")
    }

    /// Whether a conversation gets the tag.
    pub(super) fn is_tagged(number: usize) -> bool {
        number.is_multiple_of(5)
    }

    /// How many received messages are not read.
    pub(super) fn unread(&self) -> usize {
        self.received.len() - self.read
    }
}

/// What was acknowledged in a conversation.
pub(super) struct Done {
    pub(super) chat: usize,
    /// The engine's id of the conversation.
    pub(super) id: String,
    pub(super) sent: Vec<Said>,
    /// The channel's id of the newest message that was read.
    pub(super) read_to: Option<String>,
    pub(super) is_tagged: bool,
}

/// All conversations, by number.
pub(super) struct Model {
    pub(super) chats: Vec<Chat>,
}

impl Model {
    pub(super) fn new(count: usize) -> Self {
        Self { chats: (0..count).map(|_| Chat::default()).collect() }
    }

    /// Takes over what one worker had acknowledged. Each has conversations of its own.
    pub(super) fn take(&mut self, done: Vec<Done>) -> Result<()> {
        for Done { chat, id, sent, read_to, is_tagged } in done {
            let own = &mut self.chats[chat];
            (own.id, own.sent, own.is_tagged) = (Some(id), sent, is_tagged);
            if let Some(read_to) = read_to {
                let place = own.received.iter().position(|(id, _)| *id == read_to);
                ensure!(place.is_some(), "conversation {chat}: {read_to} was read, and nobody wrote it");
                own.read = place.map_or(0, |place| place + 1);
            }
        }
        Ok(())
    }

    /// How many conversations are so.
    pub(super) fn count(&self, is: impl Fn(&Chat) -> bool) -> usize {
        self.chats.iter().filter(|chat| is(chat)).count()
    }
}
