//! What the parts of the connector need while there is a client: it is passed to each of them, and they never store it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use whatsapp_rust::Client;

use crate::config::Config;
use crate::identity::Directory;
use crate::inbound::{Acquaintances, GroupNames, Received};
use crate::ledger::Ledger;
use crate::media::{Downloads, Uploads};
use crate::outreach::Outreach;
use crate::presence::Presence;
use crate::send::Acks;

/// A client and the state that is shared with it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Live {
    /// The library's client. It may be between two connections.
    pub(crate) client: Arc<Client>,
    /// The state that outlives the client.
    pub(crate) shared: Rc<Shared>,
}

/// What one instance of the connector keeps in memory, independently of its present client.
pub(crate) struct Shared {
    pub(crate) config: Config,
    /// Which client-id an id on the channel belongs to.
    pub(crate) ledger: Ledger,
    /// The sends that wait for the server's acknowledgement.
    pub(crate) acks: Acks,
    /// Which numbers exist.
    pub(crate) directory: Directory,
    /// Which contacts were reported to the engine.
    pub(crate) acquaintances: Acquaintances,
    /// Which groups' names the server is to be asked for.
    pub(crate) group_names: GroupNames,
    /// Which conversations the newest messages are of.
    pub(crate) received: Received,
    /// How far WhatsApp lets the account start conversations.
    pub(crate) outreach: Cell<Outreach>,
    /// Whether the account is shown as online.
    pub(crate) presence: Presence,
    /// Files that are being uploaded and downloaded.
    pub(crate) uploads: Uploads,
    pub(crate) downloads: Downloads,
}

impl Shared {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            presence: Presence::new(config.presence, config.presence_idle),
            config,
            ledger: Ledger::default(),
            acks: Acks::default(),
            directory: Directory::default(),
            acquaintances: Acquaintances::default(),
            group_names: GroupNames::default(),
            received: Received::default(),
            outreach: Cell::default(),
            uploads: Uploads::default(),
            downloads: Downloads::default(),
        }
    }
}
