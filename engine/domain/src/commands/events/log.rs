//! A tenant's event log, read by cursor, oldest first. The facade does the waiting for further events: it is woken by commits.

use std::collections::HashMap;
use std::ops::Range;

use uuid::Uuid;

use crate::commands::Commands;
use crate::model::{Event, EventBody};
use crate::ports::EventFilter;
use crate::{ConnectorIndex, Error, Field, Result, TenantIndex};

/// Maximum number of events of one page.
pub const MAX_EVENTS: usize = 250;

/// The events to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventQuery {
    /// Only events after this cursor.
    pub after: u64,
    /// Maximum number of events.
    pub limit: usize,
    /// Only events on this connector.
    pub connector: Option<Uuid>,
    /// Only events of one of these types; empty for all.
    pub kinds: Vec<String>,
}

/// A page of events.
pub struct EventPage {
    /// The events, oldest first, each with the public id of its connector, if it has one.
    pub events: Vec<(Event, Option<Uuid>)>,
    /// Where the next page begins, even if nothing matched.
    pub next: u64,
}

impl Commands {
    /// The cursor of a tenant's newest event; 0 if there is none.
    pub fn last_event(&self, tenant: TenantIndex) -> Result<u64> {
        Ok(self.ports().store.last_event(tenant)?)
    }

    /// The cursors of a tenant's events that are kept: from the oldest one's to the next one's. What was before it was deleted.
    pub fn kept_events(&self, tenant: TenantIndex) -> Result<Range<u64>> {
        // In this order: an event that is appended in between may be missing at the end, which is harmless.
        let next = self.last_event(tenant)? + 1;
        let first = self.ports().store.first_event(tenant)?;
        Ok(first..next.max(first))
    }

    /// A page of a tenant's events.
    pub fn list_events(&self, tenant: TenantIndex, query: &EventQuery) -> Result<EventPage> {
        if let Some(unknown) = query.kinds.iter().find(|kind| !EventBody::KINDS.contains(&kind.as_str())) {
            let unknown: String = unknown.chars().filter(|c| !c.is_control()).take(40).collect();
            let known = EventBody::KINDS.join(", ");
            return Err(Error::invalid(
                Field::Type,
                format!("{unknown:?} is not a type of event; the types are {known}"),
            ));
        }
        let store = &self.ports().store;
        let connector = match query.connector {
            None => None,
            // Deleted ones too: what happened on them stays in the log.
            Some(id) => Some(store.connector_by_id(tenant, id)?.ok_or_else(|| Error::not_found("Connector"))?.index),
        };
        let filter = EventFilter { connector, kinds: query.kinds.clone() };
        let (events, next) = store.events(tenant, &filter, query.after, query.limit.clamp(1, MAX_EVENTS))?;
        let mut ids: HashMap<ConnectorIndex, Uuid> = HashMap::new();
        let mut page = Vec::with_capacity(events.len());
        for event in events {
            let index = event.event.connector;
            if index == ConnectorIndex::NONE {
                page.push((event, None));
                continue;
            }
            let id = match ids.get(&index) {
                Some(id) => *id,
                None => {
                    let missing = || Error::internal("an event names a connector that is not stored");
                    let id = store.connector(index)?.ok_or_else(missing)?.id;
                    ids.insert(index, id);
                    id
                }
            };
            page.push((event, Some(id)));
        }
        Ok(EventPage { events: page, next })
    }
}
