//! What was said before, as far as it is remembered: so many messages and so many characters of them, the newest.

use serde::{Deserialize, Serialize};

use crate::config::HistoryLimits;

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The other side.
    User,
    /// The model.
    Assistant,
}

/// One message, as the service takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// By whom.
    pub role: Role,
    /// What.
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

    /// Adds a message and forgets the oldest ones beyond the limits. It begins with the other side's: some services refuse
    /// anything else.
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

/// At most so many characters of a text.
pub fn cut(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}
