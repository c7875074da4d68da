//! One caller that follows a tenant's log. The log itself is what waits for a slow client: the stream reads it page by page, as fast as
//! the client takes the events, and keeps no other buffer. So a client can miss events only if they were deleted before it came to
//! them; it is told so.

use std::collections::VecDeque;
use std::sync::Arc;

use poem_openapi::types::ToJSON;
use pombo_api::options::ApiState;
use pombo_api::signals::Following;
use pombo_api::sse::{HEARTBEAT_MS, STREAM_MS, Streamed, event, heartbeat_at, start_at};
use pombo_domain::Timestamp;
use pombo_domain::commands::events::log::EventQuery;
use serde_json::json;

use crate::access::Acting;
use crate::concurrency::Place;
use crate::events::wire::Event;

/// Events that are read at once: what a stream holds in memory for a slow client.
const PAGE: usize = 50;

impl Streamed for Event {
    const DESCRIPTION: &'static str = "Each event's `id` is its `cursor`, its name the `type`, its `data` the event as it is in the list. An event \
         `resync` means that events are missing, because they were deleted before this client read them or because the cursor is not \
         one of this log: its `data` has a `reason`, `forgotten` or `unknown_cursor`, and the `cursor` behind which the stream goes on. \
         Read again what you keep, with the lists.";
}

/// A request that follows a log.
pub(super) struct Follower {
    state: Arc<ApiState>,
    acting: Acting,
    query: EventQuery,
    following: Following,
    until: Timestamp,
    /// Text to write before more is read.
    ready: VecDeque<String>,
    over: bool,
    _place: Place,
}

impl Follower {
    /// Follows the events after `query.after`; its `limit` does not count. `following` was begun before that cursor was read.
    pub(super) fn new(
        state: Arc<ApiState>,
        acting: Acting,
        query: EventQuery,
        following: Following,
        place: Place,
    ) -> Self {
        let until = state.commands.now().plus_ms(STREAM_MS);
        // At once, so that the client knows that it follows, and from where.
        let first = start_at(query.after);
        let query = EventQuery { limit: PAGE, ..query };
        Self { state, acting, query, following, until, ready: VecDeque::from([first]), over: false, _place: place }
    }

    /// The next piece of the stream; `None` at its end.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            let clock = self.state.commands.clock().clone();
            if self.over || clock.now() >= self.until {
                return None;
            }
            self.check_credential()?;
            if self.read()? {
                continue;
            }
            tokio::select! {
                more = self.following.appended() => self.over = !more,
                () = clock.sleep_until(clock.now().plus_ms(HEARTBEAT_MS)) => {
                    self.check_credential()?;
                    return Some(heartbeat_at(self.query.after));
                }
            }
        }
    }

    /// `None` if the credential no longer holds, which ends the stream before anything else is written.
    fn check_credential(&self) -> Option<()> {
        self.acting.holds(&self.state).ok()?.then_some(())
    }

    /// Reads on; returns whether there is something to write, or more to read. `None` if the log cannot be read: the client reconnects.
    fn read(&mut self) -> Option<bool> {
        let commands = &self.state.commands;
        let page = commands.list_events(self.acting.tenant, &self.query).ok()?;
        // Asked after the page was read: what is there now was there then.
        let kept = commands.kept_events(self.acting.tenant).ok()?;
        let after = self.query.after;
        let missing = if after < kept.start - 1 {
            Some(("forgotten", kept.start - 1))
        } else if after >= kept.end {
            Some(("unknown_cursor", kept.end - 1))
        } else {
            None
        };
        if let Some((reason, cursor)) = missing {
            self.query.after = cursor;
            self.ready.push_back(event(cursor, "resync", &json!({"reason": reason, "cursor": cursor}).to_string()));
            return Some(true);
        }
        self.query.after = page.next;
        for (found, connector) in page.events {
            let (cursor, kind) = (found.key.serial, found.event.body.kind());
            let data = Event::of(found, connector, &self.state).to_json_string();
            self.ready.push_back(event(cursor, kind, &data));
        }
        // A long stretch without a match: look on before waiting.
        Some(!self.ready.is_empty() || self.query.after + 1 < kept.end)
    }
}
