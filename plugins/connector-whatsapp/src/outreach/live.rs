//! Keeps what WhatsApp told of the account's outreach, and tells it to the engine. Runs in the task for events, after a login, and in a
//! send that was refused.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use pombo_plugin::connector::events::{self, Event, Warning};
use pombo_plugin::{clock, log};
use serde_json::Value;
use whatsapp_rust::futures::future::{Either, select};

use super::Outreach;
use crate::live::Live;
use crate::redact;
use crate::store::kv;

/// Of the session: another account has another outreach.
const KEY: &str = "w/outreach";
/// How long the server may take to answer whether the account is locked.
const PATIENCE: Duration = Duration::from_secs(5);
/// The server is not asked more often than that.
const ASKED_MILLIS: u64 = 60_000;

thread_local! {
    /// When the server was last asked.
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// A notification that may be about the account's outreach.
pub(crate) async fn told(live: &Live, operation: &str, payload: &Value) {
    let now = clock::now_millis();
    if let Some(next) = live.shared.outreach.get().after(operation, payload, now) {
        learn(live, next, now).await;
    }
}

/// Tells the engine again what is known: it forgets that when it starts.
pub(crate) async fn logged_in(live: &Live) {
    let kept = match kv::get(KEY).await {
        Ok(kept) => kept.and_then(|json| serde_json::from_slice::<Outreach>(&json).ok()),
        Err(_) => None,
    };
    let known = kept.unwrap_or_default();
    live.shared.outreach.set(known);
    if !known.is_unknown() {
        tell(vec![news(&known)], &known).await;
    }
}

/// Asks the server whether the account is locked, after it refused a message for want of a token; not more often than once a minute.
/// Without an answer what was known stays.
pub(crate) async fn ask(live: &Live) {
    let now = clock::now_millis();
    if now.saturating_sub(ASKED.get()) < ASKED_MILLIS {
        return;
    }
    ASKED.set(now);
    let mex = live.client.mex();
    match select(pin!(mex.fetch_reachout_timelock()), pin!(clock::sleep(PATIENCE))).await {
        Either::Left((Ok(lock), _)) => {
            if let Some(active) = lock.is_active {
                let ends = lock.time_enforcement_ends.as_deref().and_then(|ends| ends.trim().parse().ok());
                let now = clock::now_millis();
                learn(live, live.shared.outreach.get().with_lock(active, ends, now), now).await;
            }
        }
        Either::Left((Err(error), _)) => log::debug("outreach", &redact::line(&error.to_string())),
        Either::Right(_) => log::debug("outreach", "the server did not say whether the account is locked"),
    }
}

/// Keeps what is new, and tells it.
async fn learn(live: &Live, next: Outreach, now: u64) {
    let before = live.shared.outreach.replace(next);
    if next == before {
        return;
    }
    let mut told = vec![news(&next)];
    if let Some(until) = next.locked_until_millis.filter(|_| before.locked_for(now).is_none()) {
        let how = format!("WhatsApp does not let the account start conversations until {}", clock::rfc3339(until));
        told.push(Event::Warning(Warning::Restricted(how)));
    }
    tell(told, &next).await;
}

fn news(known: &Outreach) -> Event {
    Event::Other(("outreach".to_owned(), known.json()))
}

async fn tell(told: Vec<Event>, known: &Outreach) {
    if let Err(error) = events::commit(told, vec![kv::put(KEY, known.json())]).await {
        log::warn("outreach", &redact::line(&format!("the engine did not take what WhatsApp told: {error:?}")));
    }
}
