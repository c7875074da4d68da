//! What is known of conversations in memory: the next numbers of each tenant, and which connectors have conversations at all, so that
//! the messages of the others are asked nothing. The committer changes it after a commit.

use std::collections::{HashMap, HashSet};

use parking_lot::RwLock;
use pombo_domain::ports::StoreResult;
use pombo_domain::{ConnectorIndex, TenantIndex};

use crate::backend::{Backend, KeyRange, Order};
use crate::codec::bad_key;
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::tables::timeline::{self, Numbers};

/// See the module.
#[derive(Default)]
pub(crate) struct Chats {
    numbers: RwLock<HashMap<TenantIndex, Numbers>>,
    /// Connectors that have, or had, a conversation.
    converse: RwLock<HashSet<ConnectorIndex>>,
}

impl Chats {
    /// Reads the numbers, and finds the connectors with one seek for each.
    pub(crate) fn open(backend: &dyn Backend) -> StoreResult<Self> {
        let mut numbers = HashMap::new();
        for row in backend.scan(Space::Timeline, KeyRange::prefix(&[keys::CHAT_NUMBERS]), Order::Forward) {
            let (key, row) = row?;
            let tenant = keys::parse_tenant(&key).ok_or_else(|| bad_key("timelines"))?;
            numbers.insert(tenant, timeline::parse_numbers(&row)?);
        }
        let mut converse = HashSet::new();
        let mut from = ConnectorIndex(0);
        loop {
            let range = KeyRange::prefix(&[keys::CHAT]).from(&keys::chat(from, ""));
            let Some(row) = backend.scan(Space::Conversations, range, Order::Forward).next() else { break };
            let connector = Parts(row?.0.get(1..).unwrap_or_default()).u32().ok_or_else(|| bad_key("conversations"))?;
            converse.insert(ConnectorIndex(connector));
            let Some(next) = connector.checked_add(1) else { break };
            from = ConnectorIndex(next);
        }
        Ok(Self { numbers: RwLock::new(numbers), converse: RwLock::new(converse) })
    }

    pub(crate) fn numbers(&self, tenant: TenantIndex) -> Numbers {
        self.numbers.read().get(&tenant).copied().unwrap_or_default()
    }

    /// Whether a message of this connector may have an entry in a timeline.
    pub(crate) fn converses(&self, connector: ConnectorIndex) -> bool {
        self.converse.read().contains(&connector)
    }

    /// What a commit did is on disk.
    pub(crate) fn changed(&self, numbers: HashMap<TenantIndex, Numbers>, opened: impl Iterator<Item = ConnectorIndex>) {
        if !numbers.is_empty() {
            self.numbers.write().extend(numbers);
        }
        for connector in opened {
            if !self.converses(connector) {
                self.converse.write().insert(connector);
            }
        }
    }
}
