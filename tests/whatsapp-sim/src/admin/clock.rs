//! The server's clock, as the admin shows and moves it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Refused;
use crate::world::World;

/// How to move the clock: first it is held or let go, then it is put ahead.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Move {
    #[serde(default)]
    held: Option<bool>,
    #[serde(default)]
    advance_seconds: Option<f64>,
}

pub(super) fn show(world: &World) -> Value {
    json!({
        "now": world.clock.now().as_secs_f64(),
        "held": world.clock.is_held(),
        "advancedSeconds": world.clock.advanced().as_secs_f64(),
    })
}

pub(super) fn change(world: &World, asked: &Move) -> Result<Value, Refused> {
    let seconds = asked.advance_seconds.unwrap_or_default();
    let by = Duration::try_from_secs_f64(seconds)
        .map_err(|e| Refused::bad(format!("advanceSeconds: {seconds} is not a number of seconds: {e}")))?;
    if let Some(held) = asked.held {
        world.clock.hold(held);
    }
    world.clock.advance(by).map_err(|e| Refused::bad(e.to_string()))?;
    Ok(show(world))
}
