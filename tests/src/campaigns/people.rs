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
    /// The person, or the tenant, says so after the rows were fixed and before this one's turn: nothing is sent either.
    RefusesLater(Refusal),
}

/// How a refusal comes while the campaign runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The person writes the word.
    Word,
    /// The person stops marketing in the app, which Meta tells.
    AtMeta,
    /// The tenant enters that the contact wants no marketing.
    ByTenant,
    /// The tenant deactivates the contact: it wants nothing at all.
    OfEverything,
}

const REFUSALS: [Refusal; 4] = [Refusal::Word, Refusal::AtMeta, Refusal::ByTenant, Refusal::OfEverything];

/// The codes of failures that come late: an experiment of Meta's, a time to live that is over, a window that is closed, enough marketing for
/// now, no marketing any more, and a file that cannot be loaded.
const LATE_CODES: [u32; 6] = [130_472, 131_043, 131_047, 131_049, 131_050, 131_053];

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
        !matches!(self.fate, Fate::RefusesMarketing | Fate::RefusesLater(_))
    }
}

/// So many people: 2 % without WhatsApp, 5 % who refuse marketing, 1 % whose message fails late, 0.5 % whose answer is lost; and of the second
/// half, whose turn is later, 2.5 % who refuse it meanwhile.
pub(super) fn all(count: usize) -> Vec<Person> {
    let fate = |n: usize| match n {
        n if n % 50 == 1 => Fate::NoWhatsApp,
        n if n % 20 == 2 => Fate::RefusesMarketing,
        n if n % 100 == 3 => Fate::FailsLate(LATE_CODES[n / 100 % LATE_CODES.len()]),
        n if n % 200 == 4 => Fate::AnswerLost,
        n if n >= count / 2 && n % 40 == 6 => Fate::RefusesLater(REFUSALS[n / 40 % REFUSALS.len()]),
        _ => Fate::Delivered,
    };
    let person =
        |n| Person { phone: format!("55219{:08}", 30_000_000 + n), name: format!("Cliente {n}"), fate: fate(n) };
    (0..count).map(person).collect()
}
