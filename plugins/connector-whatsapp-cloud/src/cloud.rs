//! One connector: its configuration, and what it keeps in memory.

use std::cell::Cell;

use crate::account::AccountState;
use crate::config::Config;
use crate::files::Files;
use crate::heard::Heard;
use crate::recent::Recent;
use crate::uploads::Uploads;

/// See the module.
#[derive(Debug)]
pub(crate) struct Cloud<O> {
    pub(crate) outside: O,
    pub(crate) config: Config,
    pub(crate) account: AccountState,
    pub(crate) files: Files,
    pub(crate) uploads: Uploads,
    /// Addresses of one person that the engine was told.
    pub(crate) acquainted: Recent<(), 2_048>,
    pub(crate) heard: Heard,
    /// How often in a row Meta refused messages to a recipient because they were too many.
    pub(crate) refused: Recent<u32, 1_024>,
    pub(crate) room: Room,
}

impl<O> Cloud<O> {
    pub(crate) fn new(outside: O, config: Config) -> Self {
        Self {
            outside,
            config,
            account: AccountState::default(),
            files: Files::default(),
            uploads: Uploads::default(),
            acquainted: Recent::default(),
            heard: Heard::default(),
            refused: Recent::default(),
            room: Room::default(),
        }
    }
}

/// How many bytes of webhooks are being worked on: each takes several times its size, and an instance's memory is bounded.
#[derive(Debug, Default)]
pub(crate) struct Room(Cell<usize>);

impl Room {
    /// The most bytes at once. One webhook has at most 3 MiB.
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

/// What the tests of several modules share.
#[cfg(test)]
pub(crate) mod bench {
    use super::Cloud;
    use crate::config::tests::config;
    use crate::outside::world::World;
    use pombo_plugin::connector::{Content, Outgoing};

    /// The client-id of a message.
    pub(crate) const CLIENT: &str = "018f0000-0000-7000-8000-000000000001";

    pub(crate) fn cloud(further: &str) -> (World, Cloud<World>) {
        let world = World::new();
        (world.clone(), Cloud::new(world, config(further)))
    }

    pub(crate) fn outgoing(content: Content) -> Outgoing {
        Outgoing {
            client_id: CLIENT.to_owned(),
            to: "5511987654321".to_owned(),
            contact_name: None,
            content,
            reply_to: None,
            mentions: Vec::new(),
            voice_note: false,
            attempt: 1,
            metadata: Vec::new(),
        }
    }
}
