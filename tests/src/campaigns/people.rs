//! Who gets the campaign, and what must become of each.

use serde_json::{Value, json};

use crate::campaigns::api::recipient;

/// What must become of a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The message arrives.
    Delivered,
    /// The number has no WhatsApp: Meta accepts the message, and fails it with 131026.
    NoWhatsApp,
    /// Meta accepts the message, and fails it with this code.
    FailsLate(u32),
    /// Meta accepts the message and does not say so: it arrives, and is sent once.
    AnswerLost,
    /// The person wants no marketing: nothing is sent.
    RefusesMarketing,
}

/// A recipient.
pub(super) struct Person {
    pub(super) phone: String,
    pub(super) name: String,
    pub(super) fate: Fate,
}

impl Person {
    /// The row of the list.
    pub(super) fn row(&self) -> Value {
        recipient(&self.phone, &json!({"nome": self.name}))
    }

    /// Whether Graph must get a message to this person.
    pub(super) fn is_written_to(&self) -> bool {
        self.fate != Fate::RefusesMarketing
    }
}

/// So many people: 2 % without WhatsApp, 5 % who refuse marketing, 1 % whose message fails late, 0.5 % whose answer is lost.
pub(super) fn all(count: usize) -> Vec<Person> {
    let fate = |n: usize| match n {
        n if n % 50 == 1 => Fate::NoWhatsApp,
        n if n % 20 == 2 => Fate::RefusesMarketing,
        n if n % 100 == 3 => Fate::FailsLate(130_472),
        n if n % 200 == 4 => Fate::AnswerLost,
        _ => Fate::Delivered,
    };
    let person =
        |n| Person { phone: format!("55219{:08}", 30_000_000 + n), name: format!("Cliente {n}"), fate: fate(n) };
    (0..count).map(person).collect()
}
