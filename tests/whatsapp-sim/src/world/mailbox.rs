//! The queues of stanzas that devices have not acknowledged, and who is connected to receive them.
//!
//! `Invariant:` a device gets its stanzas in the order they were queued, and none is forgotten before it is acknowledged.
//! After a login the backlog goes first, marked `offline`, in the batches that the client asks for; what arrives until then waits.

use std::collections::{HashMap, VecDeque};

use wacore_binary::{Node, builder::NodeBuilder};

use super::account::DeviceId;
use crate::session::SessionHandle;

/// How many stanzas of a backlog go out before the client asks for more.
const PRIMER: usize = 5;

/// The session state of a companion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// Which device.
    pub device: DeviceId,
    /// It has a logged-in session.
    pub online: bool,
    /// It has received its backlog and gets stanzas as they come.
    pub live: bool,
    /// Stanzas it has not acknowledged.
    pub queued: usize,
    /// How often it logged in.
    pub logins: u64,
}

/// How exactly an ack names a stanza, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exactness {
    /// It repeats everything, and has nothing else.
    Whole,
    /// It repeats what it must.
    Enough,
}

struct Queued {
    serial: u64,
    id: String,
    stanza: Node,
}

#[derive(Default)]
struct Mailbox {
    queue: VecDeque<Queued>,
    /// The first serial not yet written to the present session.
    next: u64,
    /// The serial the next stanza gets.
    end: u64,
    session: Option<SessionHandle>,
    phase: Phase,
    logins: u64,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody is connected, or the client has not asked for stanzas yet.
    #[default]
    Passive,
    /// The backlog up to this serial goes out in batches: `total` stanzas, of which `credit` may still go now.
    Backlog {
        until: u64,
        total: usize,
        credit: usize,
    },
    Live,
}

/// The mailboxes of all companions.
#[derive(Default)]
pub struct Mailboxes {
    boxes: HashMap<DeviceId, Mailbox>,
}

impl Mailboxes {
    pub(super) fn push(&mut self, to: &DeviceId, stanza: Node) {
        let mailbox = self.boxes.entry(to.clone()).or_default();
        let id = stanza.attrs.get("id").map(|id| id.as_str().into_owned()).unwrap_or_default();
        mailbox.queue.push_back(Queued { serial: mailbox.end, id, stanza });
        mailbox.end += 1;
        mailbox.pump();
    }

    pub(super) fn session(&self, device: &DeviceId) -> Option<SessionHandle> {
        self.boxes.get(device)?.session.clone()
    }

    pub(super) fn state(&self, device: DeviceId) -> DeviceState {
        let mailbox = self.boxes.get(&device);
        DeviceState {
            online: mailbox.is_some_and(|mailbox| mailbox.session.is_some()),
            live: mailbox.is_some_and(|mailbox| mailbox.phase == Phase::Live),
            queued: mailbox.map_or(0, |mailbox| mailbox.queue.len()),
            logins: mailbox.map_or(0, |mailbox| mailbox.logins),
            device,
        }
    }

    /// A device logged in. Answers the session it replaces.
    pub(crate) fn login(&mut self, session: SessionHandle) -> Option<SessionHandle> {
        let mailbox = self.boxes.entry(session.device.clone()).or_default();
        mailbox.phase = Phase::Passive;
        mailbox.logins += 1;
        mailbox.session.replace(session)
    }

    /// The client wants its stanzas: announces the backlog and starts it.
    pub(crate) fn activate(&mut self, device: &DeviceId) {
        let Some(mailbox) = self.boxes.get_mut(device) else { return };
        if mailbox.phase != Phase::Passive {
            return;
        }
        let Some(session) = &mailbox.session else { return };
        let total = mailbox.queue.len();
        if total > 0 {
            session.send(preview(&mailbox.queue));
        }
        mailbox.next = mailbox.queue.front().map_or(mailbox.end, |first| first.serial);
        mailbox.phase = Phase::Backlog { until: mailbox.end, total, credit: PRIMER };
        mailbox.pump();
    }

    /// The client gets this many more of its backlog; with `stuck_at`, only if it is no further than there. Answers where it
    /// stands while something of the backlog is left to ask for.
    pub(crate) fn batch(&mut self, session: &SessionHandle, count: usize, stuck_at: Option<u64>) -> Option<u64> {
        let mailbox = self.boxes.get_mut(&session.device)?;
        let present = mailbox.session.as_ref().is_some_and(|known| known.connection == session.connection);
        let Phase::Backlog { credit, .. } = &mut mailbox.phase else { return None };
        if !present || stuck_at.is_some_and(|stuck| stuck != mailbox.next) {
            return None;
        }
        *credit = credit.saturating_add(count);
        mailbox.pump();
        matches!(mailbox.phase, Phase::Backlog { .. }).then_some(mailbox.next)
    }

    /// The device has the stanza, of those of this tag and id, that is meant most exactly: several devices give receipts under one id, and a
    /// client may acknowledge them in any order. False if there are such stanzas and none is meant; then none is taken.
    pub(crate) fn acknowledge_named(
        &mut self,
        device: &DeviceId,
        tag: &str,
        id: &str,
        meant: impl Fn(&Node) -> Option<Exactness>,
    ) -> bool {
        let Some(mailbox) = self.boxes.get_mut(device) else { return true };
        let same = |queued: &Queued| queued.id == id && queued.stanza.tag == tag;
        let queue = mailbox.queue.iter().enumerate().filter(|entry| same(entry.1));
        let found = queue.filter_map(|(index, queued)| Some((meant(&queued.stanza)?, index))).min();
        match found {
            Some((_, index)) => mailbox.queue.remove(index).is_some(),
            // Perhaps it was acknowledged before.
            None => !mailbox.queue.iter().any(same),
        }
    }

    /// The device has these stanzas.
    pub(crate) fn acknowledge<'a>(&mut self, device: &DeviceId, tag: &str, ids: impl Iterator<Item = &'a str>) {
        let Some(mailbox) = self.boxes.get_mut(device) else { return };
        for id in ids {
            // What was not written to the client cannot be what it acknowledges, unless it has it from an earlier session.
            if let Some(index) = mailbox.queue.iter().position(|queued| queued.id == id && queued.stanza.tag == tag) {
                mailbox.queue.remove(index);
            }
        }
    }

    /// The connection is gone.
    pub(crate) fn disconnect(&mut self, device: &DeviceId, connection: u64) -> bool {
        let Some(mailbox) = self.boxes.get_mut(device) else { return false };
        if mailbox.session.as_ref().is_some_and(|session| session.connection == connection) {
            mailbox.session = None;
            mailbox.phase = Phase::Passive;
            return true;
        }
        false
    }

    /// The device was removed.
    pub(crate) fn remove(&mut self, device: &DeviceId) -> Option<SessionHandle> {
        self.boxes.remove(device)?.session
    }
}

impl Mailbox {
    /// Writes what may be written now.
    fn pump(&mut self) {
        let Some(session) = &self.session else { return };
        loop {
            match &mut self.phase {
                Phase::Passive => return,
                Phase::Live => {
                    let Some(queued) = at_or_after(&self.queue, self.next) else { return };
                    self.next = queued.serial + 1;
                    session.send(queued.stanza.clone());
                }
                Phase::Backlog { until, total, credit } => {
                    match at_or_after(&self.queue, self.next).filter(|queued| queued.serial < *until) {
                        None => {
                            session.send(
                                NodeBuilder::new("ib")
                                    .attr("from", wacore_binary::SERVER_JID)
                                    .children([NodeBuilder::new("offline").attr("count", *total as u64).build()])
                                    .build(),
                            );
                            self.phase = Phase::Live;
                        }
                        Some(_) if *credit == 0 => return,
                        Some(queued) => {
                            *credit -= 1;
                            self.next = queued.serial + 1;
                            let mut stanza = queued.stanza.clone();
                            stanza.attrs.insert("offline", "1");
                            session.send(stanza);
                        }
                    }
                }
            }
        }
    }
}

fn at_or_after(queue: &VecDeque<Queued>, serial: u64) -> Option<&Queued> {
    queue.get(queue.partition_point(|queued| queued.serial < serial))
}

fn preview(queue: &VecDeque<Queued>) -> Node {
    let count = |tag: &str| queue.iter().filter(|queued| queued.stanza.tag == tag).count() as u64;
    NodeBuilder::new("ib")
        .attr("from", wacore_binary::SERVER_JID)
        .children([NodeBuilder::new("offline_preview")
            .attr("count", queue.len() as u64)
            .attr("message", count("message"))
            .attr("receipt", count("receipt"))
            .attr("notification", count("notification"))
            .attr("call", count("call"))
            .attr("appdata", 0_u64)
            .attr("status", 0_u64)
            .build()])
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_of_one_id_are_acknowledged_in_any_order() {
        let (mut mail, device) = (Mailboxes::default(), DeviceId::new("5511911111111", 1));
        for kind in ["delivery", "read", "played"] {
            mail.push(&device, NodeBuilder::new("receipt").attr("id", "A").attr("type", kind).build());
        }
        let kind = |node: &Node| node.attrs.get("type").map(|kind| kind.as_str().into_owned()).unwrap_or_default();
        let mut acknowledge = |whole: &str, enough: &str| {
            mail.acknowledge_named(&device, "receipt", "A", |node| match kind(node) {
                found if found == whole => Some(Exactness::Whole),
                found if found == enough => Some(Exactness::Enough),
                _ => None,
            })
        };
        assert!(acknowledge("read", "delivery"), "the one that is meant most exactly, and not the first");
        assert!(acknowledge("read", "delivery"), "the one that is left");
        assert!(!acknowledge("read", "delivery"), "the last one is meant by nobody");
        assert!(acknowledge("played", ""));
        assert!(acknowledge("played", ""), "nothing is left that it could mean");
        assert_eq!(mail.state(device.clone()).queued, 0);
    }
}
