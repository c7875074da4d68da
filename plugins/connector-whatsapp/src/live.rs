//! What the parts of the connector need of a client that exists: handed to each of them, never stored by them.

use std::rc::Rc;
use std::sync::Arc;

use whatsapp_rust::Client;

use crate::config::Config;
use crate::identity::Directory;
use crate::inbound::Acquaintances;
use crate::ledger::Ledger;
use crate::media::{Downloads, Uploads};
use crate::send::Acks;

/// A client and the state that is shared with it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Live {
    /// The library's client. It may be between two connections.
    pub(crate) client: Arc<Client>,
    /// What outlives the client.
    pub(crate) shared: Rc<Shared>,
}

/// What one instance of the connector keeps in memory, whichever client it has.
pub(crate) struct Shared {
    pub(crate) config: Config,
    /// Which client-id an id on the channel belongs to.
    pub(crate) ledger: Ledger,
    /// Who waits for the server's acknowledgement of a message.
    pub(crate) acks: Acks,
    /// Which numbers exist.
    pub(crate) directory: Directory,
    /// Whom the engine was told about.
    pub(crate) acquaintances: Acquaintances,
    /// Files that are on their way out, and in.
    pub(crate) uploads: Uploads,
    pub(crate) downloads: Downloads,
}

impl Shared {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            ledger: Ledger::default(),
            acks: Acks::default(),
            directory: Directory::default(),
            acquaintances: Acquaintances::default(),
            uploads: Uploads::default(),
            downloads: Downloads::default(),
        }
    }
}
