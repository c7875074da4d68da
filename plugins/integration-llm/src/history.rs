//! The history of a conversation that is sent to the model: a limited number of messages and characters, the newest ones.

use serde::{Deserialize, Serialize};

use crate::config::HistoryLimits;

/// The author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person whom the automation answers.
    User,
    /// The model, in the automation's name.
    Assistant,
}

/// One message, in the form of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Who wrote it.
    pub role: Role,
    /// The whole text, as it was written.
    pub content: String,
}

/// The newest messages, oldest first.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(Vec<Said>);

impl History {
    /// All of them.
    pub fn messages(&self) -> &[Said] {
        &self.0
    }

    /// Adds a message and forgets the oldest ones beyond the limits. The history begins with a message of the contact, because
    /// some services refuse anything else.
    pub fn add(&mut self, role: Role, content: &str, limits: HistoryLimits) {
        let content = cut(content, limits.characters).to_owned();
        self.0.push(Said { role, content });
        let mut characters = 0;
        let fitting = self.0.iter().rev().take(limits.messages).take_while(|said| {
            characters += said.content.chars().count();
            characters <= limits.characters
        });
        let first = self.0.len() - fitting.count();
        self.0.drain(..first);
        let answers = self.0.iter().take_while(|said| said.role == Role::Assistant).count();
        self.0.drain(..answers);
    }
}

/// The beginning of a text, at most this number of characters.
pub fn cut(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}
