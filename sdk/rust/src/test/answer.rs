//! What one event brought about.

use std::time::{Duration, SystemTime};

use crate::automation::types::{Action, Outgoing, SentReaction};

/// What one event brought about.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    sent: Vec<Sent>,
    actions: Vec<Action>,
    claimed: bool,
    asked: bool,
}

impl Answer {
    pub(super) fn new(sent: Vec<Sent>, actions: Vec<Action>, claimed: bool) -> Self {
        Self { sent, actions, claimed, asked: true }
    }
    pub(super) fn nobody_asked() -> Self {
        Self { sent: Vec::new(), actions: Vec::new(), claimed: false, asked: false }
    }
    /// The texts it sent, captions and templates included.
    pub fn texts(&self) -> Vec<&str> {
        self.sent.iter().filter_map(Sent::text).collect()
    }
    /// What it sent.
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }
    /// All that it wanted done, in its order.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }
    /// Whether later automations are left out.
    pub fn claimed(&self) -> bool {
        self.claimed
    }
    /// Whether it was called at all: not when the conversation is handed over.
    pub fn asked(&self) -> bool {
        self.asked
    }
}

/// Why an event was not handled: nothing that it wanted was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
    /// What a person reads.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// A message that was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// The engine's id for it.
    pub id: String,
    /// When it goes out.
    pub at: SystemTime,
    /// What it says.
    pub content: Outgoing,
    /// The message it answers.
    pub reply_to: Option<String>,
    /// Its label.
    pub label: Option<String>,
}

impl Sent {
    /// Its text, caption or template.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Outgoing::Text(text) => Some(text),
            Outgoing::Template(template) => Some(&template.text),
            Outgoing::File(file) => file.caption.as_deref(),
            Outgoing::Reaction(_) => None,
        }
    }
    /// The reaction, if it is one.
    pub fn reaction(&self) -> Option<&SentReaction> {
        match &self.content {
            Outgoing::Reaction(reaction) => Some(reaction),
            _ => None,
        }
    }
}

/// A timer that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTimer {
    /// Its name.
    pub name: String,
    /// When it fires, since [`std::time::UNIX_EPOCH`].
    pub due: Duration,
    /// What it carries.
    pub payload: String,
}
