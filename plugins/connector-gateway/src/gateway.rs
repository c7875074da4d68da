//! One connector: its configuration, and what it keeps in memory.

use std::cell::Cell;

use pombo_plugin::connector::events::StoredMedia;

use crate::config::Config;
use crate::echoes::Echoes;
use crate::files::Files;
use crate::ledger::Ledger;
use crate::recent::Recent;
use crate::states::States;

/// See the module.
#[derive(Debug)]
pub(crate) struct Gateway<O> {
    pub(crate) outside: O,
    pub(crate) config: Config,
    pub(crate) ledger: Ledger,
    pub(crate) states: States,
    pub(crate) files: Files,
    pub(crate) echoes: Echoes,
    /// Files that webhooks brought, by chat and id: one that comes twice is stored once.
    pub(crate) stored: Recent<StoredMedia, 64>,
    /// Numbers and hidden numbers of one person that the engine was told.
    pub(crate) acquainted: Recent<(), 256>,
    pub(crate) room: Room,
}

impl<O> Gateway<O> {
    pub(crate) fn new(outside: O, config: Config) -> Self {
        Self {
            outside,
            config,
            ledger: Ledger::default(),
            states: States::default(),
            files: Files::default(),
            echoes: Echoes::default(),
            stored: Recent::default(),
            acquainted: Recent::default(),
            room: Room::default(),
        }
    }
}

/// How many bytes of webhooks are being worked on: each takes several times its size, and an instance's memory is bounded.
#[derive(Debug, Default)]
pub(crate) struct Room(Cell<usize>);

impl Room {
    /// The most bytes at once.
    pub(crate) const BYTES: usize = 4 << 20;

    /// Takes room for a webhook until the value is dropped; `None` if there is too little.
    pub(crate) fn take(&self, bytes: usize) -> Option<Taken<'_>> {
        let taken = self.0.get().saturating_add(bytes);
        if taken > Self::BYTES {
            return None;
        }
        self.0.set(taken);
        Some(Taken(self, bytes))
    }
}

/// Room that one webhook has.
#[derive(Debug)]
pub(crate) struct Taken<'r>(&'r Room, usize);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get().saturating_sub(self.1));
    }
}
