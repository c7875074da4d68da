//! Why a message is where it is: the wire types of the answer. The operation is with the other operations of messages.

use poem_openapi::Object;
use pombo_domain::commands::messages::why::{self, FactName, WhyCode};

use crate::wire::{Instant, WordOf};

/// Something that the sentence follows from.
#[derive(Object)]
#[oai(rename = "WhyFact")]
pub(crate) struct Fact {
    name: WordOf<FactName>,
    /// A number, an instant, a stable word or a text.
    value: String,
}

/// Why a message is where it is.
#[derive(Object)]
#[oai(rename = "MessageWhy", skip_serializing_if_is_none)]
pub(crate) struct Why {
    code: WordOf<WhyCode>,
    /// The answer for a person, with what to do where somebody must do something.
    sentence: String,
    /// Until when it waits, if that is known.
    until: Option<Instant>,
    /// What the sentence follows from.
    facts: Vec<Fact>,
}

impl From<why::Why> for Why {
    fn from(why: why::Why) -> Self {
        let fact = |fact: why::Fact| Fact { name: WordOf::known(fact.name), value: fact.value };
        Self {
            code: WordOf::known(why.code),
            sentence: why.sentence,
            until: why.until.map(Instant),
            facts: why.facts.into_iter().map(fact).collect(),
        }
    }
}
