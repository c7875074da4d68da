//! What a script waits for and expects: looked up in what the server and its phones remember. Counts begin with the script, for what
//! the journal counts, and with the account, for what its phone has.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::journal::Direction;
use crate::phone::{self, Received};
use crate::world::{DeviceId, World};
use crate::{Error, admin};

/// Something that is true or not. Each kind is counted: exactly `count`, `atLeast` so many, or one at least if it says neither.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(super) enum Condition {
    /// The account's phone has a message.
    Message {
        /// The account.
        at: String,
        /// Who wrote it: a number.
        #[serde(default)]
        from: Option<String>,
        #[serde(default)]
        id: Option<String>,
        /// The whole text, and a part of it.
        #[serde(default)]
        text: Option<String>,
        #[serde(default)]
        contains: Option<String>,
        /// `text`, `image`, … as the inbox has it.
        #[serde(default)]
        kind: Option<String>,
        /// Also those that the account sent itself.
        #[serde(default)]
        from_me: bool,
        /// How often they arrived, over all of them.
        #[serde(default)]
        copies: Option<u64>,
        #[serde(default)]
        count: Option<u64>,
        #[serde(default)]
        at_least: Option<u64>,
    },
    /// The account's phone has a receipt for a message of the account.
    Receipt {
        at: String,
        #[serde(default)]
        id: Option<String>,
        /// `delivery`, `read`, `played`…
        #[serde(default)]
        kind: Option<String>,
        /// The number that gave it, and which of its devices.
        #[serde(default)]
        from: Option<String>,
        #[serde(default)]
        device: Option<u16>,
        #[serde(default)]
        count: Option<u64>,
        #[serde(default)]
        at_least: Option<u64>,
    },
    /// The account's phone saw somebody type.
    Typing {
        at: String,
        #[serde(default)]
        from: Option<String>,
        /// `composing`, `recording` or `paused`.
        #[serde(default)]
        state: Option<String>,
        #[serde(default)]
        count: Option<u64>,
        #[serde(default)]
        at_least: Option<u64>,
    },
    /// A stanza went between a client and the server.
    Stanza {
        #[serde(default)]
        phone: Option<String>,
        #[serde(default)]
        device: Option<u16>,
        #[serde(default)]
        direction: Option<Direction>,
        name: String,
        /// Its attributes `type` and `xmlns`.
        #[serde(default)]
        kind: Option<String>,
        #[serde(default)]
        namespace: Option<String>,
        #[serde(default)]
        count: Option<u64>,
        #[serde(default)]
        at_least: Option<u64>,
    },
    /// A session ended.
    Ended {
        #[serde(default)]
        phone: Option<String>,
        #[serde(default)]
        device: Option<u16>,
        #[serde(default)]
        reason: Option<String>,
        #[serde(default)]
        count: Option<u64>,
        #[serde(default)]
        at_least: Option<u64>,
    },
    /// The account has linked devices.
    Linked {
        phone: String,
        #[serde(default)]
        count: Option<u64>,
        #[serde(default)]
        at_least: Option<u64>,
    },
    /// Linked devices of the account are logged in.
    Online {
        phone: String,
        #[serde(default)]
        device: Option<u16>,
        #[serde(default)]
        count: Option<u64>,
        #[serde(default)]
        at_least: Option<u64>,
    },
}

/// How many are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amount {
    Exactly(u64),
    AtLeast(u64),
}

/// What a look at a condition shows.
#[derive(Debug)]
pub(super) struct Look {
    /// It is true.
    pub(super) holds: bool,
    /// It is not, and cannot become true: there is more of it than it wants.
    pub(super) lost: bool,
    /// The last of what it counts, for references.
    pub(super) found: Value,
    /// How it is, for people: numbers alone.
    pub(super) seen: String,
}

impl Condition {
    /// Reads a condition; the error says what to change.
    pub(super) fn read(written: Value) -> Result<Self, String> {
        let read: Self = serde_json::from_value(written).map_err(|e| e.to_string())?;
        read.amount()?;
        Ok(read)
    }

    fn amount(&self) -> Result<Amount, String> {
        let (Self::Message { count, at_least, .. }
        | Self::Receipt { count, at_least, .. }
        | Self::Typing { count, at_least, .. }
        | Self::Stanza { count, at_least, .. }
        | Self::Ended { count, at_least, .. }
        | Self::Linked { count, at_least, .. }
        | Self::Online { count, at_least, .. }) = self;
        match (count, at_least) {
            (Some(_), Some(_)) => Err("`count` and `atLeast` exclude each other".into()),
            (Some(count), None) => Ok(Amount::Exactly(*count)),
            (None, Some(least)) => Ok(Amount::AtLeast(*least)),
            (None, None) => Ok(Amount::AtLeast(1)),
        }
    }

    /// Looks whether it is true now. The error is final: what it asks about does not exist.
    pub(super) fn look(&self, world: &World) -> Result<Look, String> {
        let amount = self.amount()?;
        match self {
            Self::Message { at, copies, .. } => {
                let inbox = phone::inbox(world, at).map_err(said)?;
                let matching: Vec<&Received> = inbox.iter().filter(|m| self.takes(world, m)).collect();
                let arrived: u64 = matching.iter().map(|m| u64::from(m.copies)).sum();
                let mut look =
                    amount.look(matching.len() as u64, "message", matching.last().map(|m| admin::message(m)));
                if let Some(copies) = copies {
                    look.holds &= arrived == *copies;
                    look.lost |= arrived > *copies;
                    look.seen = format!("{}, in {arrived} copies", look.seen);
                }
                Ok(look)
            }
            Self::Receipt { at, id, kind, from, device, .. } => {
                let from = from.as_deref().map(|from| registered(world, from)).transpose()?;
                let receipts = phone::with_seen(world, at, |seen| seen.receipts().to_vec()).map_err(said)?;
                let matching = receipts.iter().filter(|receipt| {
                    let (phone, number) = receipt.from.split_once(':').unwrap_or((receipt.from.as_str(), ""));
                    is(id, &receipt.id)
                        && is(kind, &receipt.kind)
                        && from.as_deref().is_none_or(|from| from == phone)
                        && device.is_none_or(|device| number.parse::<u16>().is_ok_and(|number| number == device))
                });
                let matching: Vec<_> = matching.collect();
                Ok(amount.look(matching.len() as u64, "receipt", matching.last().map(|receipt| json!(receipt))))
            }
            Self::Typing { at, from, state, .. } => {
                let from = from.as_deref().map(|from| registered(world, from)).transpose()?;
                let states = phone::with_seen(world, at, |seen| seen.chat_states().to_vec()).map_err(said)?;
                let matching: Vec<_> =
                    states.iter().filter(|typing| is(&from, &typing.from) && is(state, &typing.state)).collect();
                Ok(amount.look(matching.len() as u64, "sign of typing", matching.last().map(|typing| json!(typing))))
            }
            Self::Stanza { phone, device, direction, name, kind, namespace, .. } => {
                let phone = phone.as_deref().map(|phone| registered(world, phone)).transpose()?;
                let counted = world.journal.stanzas(|stanza| {
                    of(&stanza.device, phone.as_deref(), *device)
                        && direction.is_none_or(|direction| direction == stanza.direction)
                        && stanza.name == *name
                        && is(kind, &stanza.kind)
                        && is(namespace, &stanza.namespace)
                });
                Ok(amount.look(counted.ok_or_else(too_many)?, "stanza", None))
            }
            Self::Ended { phone, device, reason, .. } => {
                let phone = phone.as_deref().map(|phone| registered(world, phone)).transpose()?;
                let counted =
                    world.journal.ends(|end| of(&end.device, phone.as_deref(), *device) && is(reason, &end.reason));
                Ok(amount.look(counted.ok_or_else(too_many)?, "session that ended", None))
            }
            Self::Linked { phone, .. } => {
                let devices = companions(world, phone)?;
                Ok(amount.look(devices.len() as u64, "linked device", devices.last().map(shown)))
            }
            Self::Online { phone, device, .. } => {
                let mut devices = companions(world, phone)?;
                devices.retain(|known| device.is_none_or(|device| device == known.device));
                devices.retain(|known| world.session(known).is_some());
                Ok(amount.look(devices.len() as u64, "device that is logged in", devices.last().map(shown)))
            }
        }
    }

    /// Whether a message of an inbox is one that is meant.
    fn takes(&self, world: &World, m: &Received) -> bool {
        let Self::Message { from, id, text, contains, kind, from_me, .. } = self else { return false };
        let has = |part: &String| m.text.as_ref().is_some_and(|text| text.contains(part));
        let is_from = |from: &String| world.account_by_phone(from).is_some_and(|account| *account.phone == *m.from);
        (*from_me || !m.from_me)
            && is(id, &m.id)
            && text.as_ref().is_none_or(|text| m.text.as_ref() == Some(text))
            && contains.as_ref().is_none_or(has)
            && kind.as_ref().is_none_or(|kind| *kind == m.kind)
            && from.as_ref().is_none_or(is_from)
    }
}

impl Amount {
    fn look(self, counted: u64, what: &str, found: Option<Value>) -> Look {
        let (holds, lost, wanted) = match self {
            Self::Exactly(wanted) => (counted == wanted, counted > wanted, format!("exactly {wanted}")),
            Self::AtLeast(wanted) => (counted >= wanted, false, format!("at least {wanted}")),
        };
        let seen = format!("{counted} × {what}, where {wanted} should be");
        Look { holds, lost, found: found.unwrap_or_default(), seen }
    }
}

fn said(error: Error) -> String {
    error.to_string()
}

fn too_many() -> String {
    "too many different stanzas came to count them: see the journal".to_owned()
}

fn registered(world: &World, phone: &str) -> Result<String, String> {
    let account = world.account_by_phone(phone).ok_or_else(|| said(Error::UnknownAccount(phone.to_owned())))?;
    Ok(account.phone.to_string())
}

fn companions(world: &World, phone: &str) -> Result<Vec<DeviceId>, String> {
    let phone = registered(world, phone)?;
    Ok(world.devices(&phone).into_iter().filter(|device| device.device != 0).collect())
}

fn shown(device: &DeviceId) -> Value {
    json!({ "phone": &*device.phone, "device": device.device })
}

fn of(known: &DeviceId, phone: Option<&str>, device: Option<u16>) -> bool {
    phone.is_none_or(|phone| *known.phone == *phone) && device.is_none_or(|device| known.device == device)
}

fn is(wanted: &Option<String>, value: &str) -> bool {
    wanted.as_ref().is_none_or(|wanted| wanted == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::NewAccount;

    #[test]
    fn an_exact_count_is_lost_when_there_is_more() {
        let look = |amount: Amount, counted| {
            let look = amount.look(counted, "receipt", None);
            (look.holds, look.lost)
        };
        assert_eq!(look(Amount::Exactly(2), 1), (false, false));
        assert_eq!(look(Amount::Exactly(2), 2), (true, false));
        assert_eq!(look(Amount::Exactly(2), 3), (false, true));
        assert_eq!(look(Amount::AtLeast(2), 3), (true, false));
    }

    #[test]
    fn counts_of_sessions_and_stanzas_come_from_the_journal() {
        let world = World::new();
        world.journal.count();
        let ana = NewAccount { phone: "5511900000001".into(), ..Default::default() };
        world.register(ana).expect("new");
        let device = DeviceId::new("5511900000001", 1);
        world.note_end(1, &device, "cut");
        let holds = |written: Value| Condition::read(written).expect("read").look(&world).map(|look| look.holds);
        let ended = |reason: &str, count: u64| {
            holds(json!({ "ended": { "phone": "5511900000001", "reason": reason, "count": count } }))
        };
        assert_eq!(ended("cut", 1), Ok(true));
        assert_eq!(ended("left", 1), Ok(false));
        assert_eq!(ended("left", 0), Ok(true));
        assert_eq!(holds(json!({ "stanza": { "name": "message", "direction": "in", "count": 0 } })), Ok(true));
        assert_eq!(holds(json!({ "linked": { "phone": "5511900000001" } })), Ok(false));
        assert!(holds(json!({ "linked": { "phone": "5511900000009" } })).is_err(), "nobody has this number");
    }
}
