//! The automation's answer to one event.

use std::time::{Duration, SystemTime};

use crate::automation::types::{Action, Outgoing, SentReaction};

/// The automation's answer to one event.
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
    /// The messages that it sent.
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }
    /// All its actions, in order.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }
    /// Whether it claimed the event, so that later automations are not asked.
    pub fn claimed(&self) -> bool {
        self.claimed
    }
    /// Whether it was called at all. It is not while the conversation is handed over.
    pub fn asked(&self) -> bool {
        self.asked
    }
}

/// Why an event was not handled. None of its actions were carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
    /// The text that a person reads when the event is parked.
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
    /// The engine's id of the message.
    pub id: String,
    /// When it is sent.
    pub at: SystemTime,
    /// What is sent: a text, a template, a file or a reaction.
    pub content: Outgoing,
    /// The channel's id of the message that it replies to.
    pub reply_to: Option<String>,
    /// The label that it was sent with.
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
    /// The timer's name.
    pub name: String,
    /// When it fires, as the time since [`std::time::UNIX_EPOCH`].
    pub due: Duration,
    /// The payload that it was set with.
    pub payload: String,
}
