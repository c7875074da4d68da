//! What the server insists on, as the admin shows and changes it.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::world::World;

/// The switches to turn; those that are missing stay as they are.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Change {
    #[serde(default)]
    deduplicates: Option<bool>,
    #[serde(default)]
    demands_tokens: Option<bool>,
    #[serde(default)]
    strict_acks: Option<bool>,
}

pub(super) fn show(world: &World) -> Value {
    let policy = &world.policy;
    json!({
        "deduplicates": policy.deduplicates(),
        "demandsTokens": policy.demands_tokens(),
        "strictAcks": policy.strict_acks(),
        "wrongAcks": policy.wrong_acks(),
    })
}

pub(super) fn change(world: &World, asked: &Change) -> Value {
    if let Some(on) = asked.deduplicates {
        world.policy.set_deduplicates(on);
    }
    if let Some(on) = asked.demands_tokens {
        world.policy.set_demands_tokens(on);
    }
    if let Some(on) = asked.strict_acks {
        world.policy.set_strict_acks(on);
    }
    show(world)
}
