//! What a message does in its conversation: says something, or acts on an earlier message.

use serde::{Deserialize, Serialize};

/// What a message does. It is stored: variants are only ever added, at the end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum MessageAction {
    /// Has content of its own.
    #[default]
    Say,
    /// Adds the text, an emoji, to a message of the conversation as a reaction; an empty text removes the reaction.
    React(Target),
    /// Gives a message of the account's own a new text.
    Edit(Target),
    /// Deletes a message for everyone; the text is empty.
    Revoke(Target),
    /// Has content that only the connector's plugin knows; the text is what people read of it.
    Other(OwnContent),
}

impl MessageAction {
    /// Whether it says something new, so that a delivery report can be expected: it is not a reaction, an edit or a deletion.
    pub fn says(&self) -> bool {
        matches!(self, Self::Say | Self::Other(_))
    }
}

/// Content that only a connector's plugin knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnContent {
    /// Its kind, one of those that the plugin declared.
    pub kind: String,
    /// Its value, JSON text.
    pub value: String,
}

/// The message that a reaction, an edit, a deletion or a reply refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The channel's id of the message.
    pub provider_id: String,
    /// Address of its author; `None` for the account itself.
    pub sender: Option<String>,
    /// Its text, if the engine has it, for channels that quote.
    pub text: Option<String>,
}
