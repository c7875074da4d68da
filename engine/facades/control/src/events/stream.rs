//! One caller that follows a tenant's log. The log itself is what waits for a slow client: the stream reads it page by page, as fast as
//! the client takes the events. So a client can miss events of the log only if they were deleted before it came to them. What is told
//! live waits in a bounded buffer: a client that is too slow misses some of it. Of both it is told.

use std::collections::VecDeque;
use std::sync::Arc;

use poem_openapi::types::ToJSON;
use pombo_api::options::ApiState;
use pombo_api::signals::{Following, Heard, Live, LiveFollowing};
use pombo_api::sse::{HEARTBEAT_MS, STREAM_MS, event, heartbeat_at, passing, start_at};
use pombo_domain::commands::events::log::EventQuery;
use pombo_domain::model::EventBody;
use pombo_domain::{Result, TenantIndex, Timestamp};
use uuid::Uuid;

use crate::access::Acting;
use crate::concurrency::Place;
use crate::events::live::{
    AUTOMATION, CONNECTOR, Followed, Hello, LIVE_KINDS, LiveConnector, LiveMessage, LiveSession, MESSAGE, Missing,
    Resync, SESSION,
};
use crate::events::wire::Event;
use crate::wire::Instant;

/// Events that are read at once: what a stream holds in memory for a slow client.
const PAGE: usize = 50;

/// What a caller wants to follow.
pub(super) struct Wanted {
    /// Behind which cursor.
    pub(super) after: u64,
    /// Only on this connector.
    pub(super) connector: Option<Uuid>,
    /// Only of these types, of the log or live; empty for all.
    pub(super) kinds: Vec<String>,
}

impl Wanted {
    /// What is to be read of the log; `None` for nothing, because only types were named that are told live.
    pub(super) fn logged(&self) -> Option<EventQuery> {
        let kinds: Vec<String> =
            self.kinds.iter().filter(|kind| EventBody::KINDS.contains(&kind.as_str())).cloned().collect();
        let is_any = self.kinds.is_empty() || !kinds.is_empty();
        is_any.then_some(EventQuery { after: self.after, limit: PAGE, connector: self.connector, kinds })
    }

    /// Whether a type was named that is only told live.
    pub(super) fn names_live(&self) -> bool {
        let is_only_live = |kind: &str| LIVE_KINDS.contains(&kind) && !EventBody::KINDS.contains(&kind);
        self.kinds.iter().any(|kind| is_only_live(kind))
    }

    fn wants(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted == kind)
    }

    fn is_on(&self, connector: Uuid) -> bool {
        self.connector.is_none_or(|wanted| wanted == connector)
    }
}

/// The places that a stream takes, of its tenant and of its credential.
pub(super) type Places = (Place, Place<(TenantIndex, String)>);

/// A request that follows a log.
pub(super) struct Follower {
    state: Arc<ApiState>,
    acting: Acting,
    wanted: Wanted,
    /// What is read of the log. Where it stands is `wanted.after`.
    query: Option<EventQuery>,
    following: Following,
    live: Option<LiveFollowing>,
    until: Timestamp,
    /// Text to write before more is read.
    ready: VecDeque<String>,
    over: bool,
    _places: Places,
}

impl Follower {
    /// Follows what is wanted behind `wanted.after`. `following` and `live` were begun before that cursor was read.
    pub(super) fn new(
        state: Arc<ApiState>,
        acting: Acting,
        wanted: Wanted,
        following: Following,
        live: Option<LiveFollowing>,
        places: Places,
    ) -> Self {
        let now = state.commands.now();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let hello = Followed::Hello(Hello { cursor: wanted.after, server_time: Instant(now), version });
        // At once, so that the client knows that it follows, and from where.
        let first = start_at(wanted.after, "hello", &hello.to_json_string());
        let (query, ready) = (wanted.logged(), VecDeque::from([first]));
        let until = now.plus_ms(STREAM_MS);
        Self { state, acting, wanted, query, following, live, until, ready, over: false, _places: places }
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
                heard = hear(&mut self.live) => self.tell(heard),
                () = clock.sleep_until(clock.now().plus_ms(HEARTBEAT_MS)) => {
                    self.check_credential()?;
                    return Some(heartbeat_at(self.wanted.after));
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
        let after = self.wanted.after;
        let page = match &mut self.query {
            Some(query) => {
                query.after = after;
                Some(commands.list_events(self.acting.tenant, query).ok()?)
            }
            None => None,
        };
        // Asked after the page was read: what is there now was there then.
        let kept = commands.kept_events(self.acting.tenant).ok()?;
        let missing = if after < kept.start - 1 {
            Some((Missing::Forgotten, kept.start - 1))
        } else if after >= kept.end {
            Some((Missing::UnknownCursor, kept.end - 1))
        } else {
            None
        };
        if let Some((reason, cursor)) = missing {
            self.wanted.after = cursor;
            let data = Followed::Resync(Resync { reason, cursor }).to_json_string();
            self.ready.push_back(event(cursor, "resync", &data));
            return Some(true);
        }
        let Some(page) = page else {
            self.wanted.after = kept.end - 1;
            return Some(false);
        };
        self.wanted.after = page.next;
        for (found, connector) in page.events {
            let (cursor, kind) = (found.key.serial, found.event.body.kind());
            let data = Followed::Logged(Event::of(found, connector, &self.state)).to_json_string();
            self.ready.push_back(event(cursor, kind, &data));
        }
        // A long stretch without a match: look on before waiting.
        Some(!self.ready.is_empty() || self.wanted.after + 1 < kept.end)
    }

    /// Writes what was heard, and what else is there to be heard; at most a page of it.
    fn tell(&mut self, first: Heard) {
        let mut next = Some(first);
        while let Some(heard) = next {
            self.write(heard);
            let has_room = self.ready.len() < PAGE && !self.over;
            next = if has_room { self.live.as_mut().and_then(LiveFollowing::ready) } else { None };
        }
    }

    fn write(&mut self, heard: Heard) {
        let live = match heard {
            Heard::Told(live) => live,
            Heard::Missed => {
                let missed = Followed::Resync(Resync { reason: Missing::FellBehind, cursor: self.wanted.after });
                return self.ready.push_back(passing("resync", &missed.to_json_string()));
            }
        };
        match self.piece_of(live) {
            Ok(piece) => self.ready.extend(piece),
            // It cannot be looked up: the client reconnects, and reads the present state.
            Err(_) => self.over = true,
        }
    }

    /// The text of what is told live; `None` if it is not wanted.
    fn piece_of(&self, live: Live) -> Result<Option<String>> {
        let (commands, tenant) = (&self.state.commands, self.acting.tenant);
        let kind = match &live {
            Live::Message(_) => MESSAGE,
            Live::Session(..) => SESSION,
            Live::Connector(_) => CONNECTOR,
            Live::Automation(_) => AUTOMATION,
        };
        if !self.wanted.wants(kind) {
            return Ok(None);
        }
        let told = match live {
            Live::Message(step) => {
                let message = commands.told_message(step.key)?;
                let message = message.filter(|message| self.wanted.is_on(message.connector));
                message.map(|message| Followed::Message(LiveMessage::of(message, step)))
            }
            Live::Session(connector, state) => {
                let connector = commands.told_connector(tenant, connector)?.filter(|id| self.wanted.is_on(*id));
                connector.map(|id| Followed::Session(LiveSession::of(id, state.into())))
            }
            Live::Connector(connector) => {
                let connector = commands.told_connector(tenant, connector)?.filter(|id| self.wanted.is_on(*id));
                connector.map(|connector_id| Followed::Connector(LiveConnector { connector_id }))
            }
            Live::Automation(automation) => {
                let automation = commands.told_automation(tenant, automation)?;
                let automation = automation.filter(|automation| self.wanted.is_on(automation.connector));
                automation.map(|automation| Followed::Automation(automation.into()))
            }
        };
        Ok(told.map(|told| passing(kind, &told.to_json_string())))
    }
}

/// Waits for what is told live; forever where it is not followed.
async fn hear(live: &mut Option<LiveFollowing>) -> Heard {
    match live {
        Some(live) => live.next().await,
        None => std::future::pending().await,
    }
}
