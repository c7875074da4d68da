//! Companions that are connected and wait to be paired, by their QR or by a code.

use std::collections::HashMap;

use crate::session::SessionHandle;

use super::account::{Device, DeviceId, SignedKey};

/// A connected client that registers.
#[derive(Clone)]
pub struct WaitingCompanion {
    /// The session of the connection.
    pub(crate) session: SessionHandle,
    /// Its Noise key: how it will log in.
    pub(crate) noise_key: [u8; 32],
    /// Its identity key.
    pub(crate) identity: [u8; 32],
    /// Its registration id.
    pub(crate) registration_id: u32,
    /// Its signed prekey.
    pub(crate) signed_key: SignedKey,
    /// What it calls itself.
    pub(crate) platform: String,
}

/// A client that asked for a pairing code.
#[derive(Clone)]
pub struct CodePairing {
    /// The connection that asked.
    pub(crate) connection: u64,
    /// The ref the server gave.
    pub(crate) reference: Vec<u8>,
    /// Salt, counter and the ephemeral key, encrypted under the code.
    pub(crate) wrapped_ephemeral: Vec<u8>,
    /// What the phone keeps between the two steps: its ephemeral key and the client's.
    pub(crate) secret: Option<std::sync::Arc<crate::phone::CodeSecret>>,
}

/// The clients that wait to be paired.
#[derive(Default)]
pub struct Pairings {
    /// Waiting clients by connection.
    pub(crate) waiting: HashMap<u64, WaitingCompanion>,
    /// By the refs they were given for their QR codes.
    pub(crate) by_ref: HashMap<String, u64>,
    /// By the number they want to be paired with.
    pub(crate) by_phone: HashMap<String, CodePairing>,
    /// By connection: signed by the phone, not yet by the client.
    pub(crate) signed: HashMap<u64, (DeviceId, Device)>,
}

impl Pairings {
    pub(crate) fn wait(&mut self, companion: WaitingCompanion, refs: impl IntoIterator<Item = String>) {
        let connection = companion.session.connection;
        self.by_ref.extend(refs.into_iter().map(|reference| (reference, connection)));
        self.waiting.insert(connection, companion);
    }

    /// The client with this ref in its QR.
    pub(crate) fn by_ref(&self, reference: &str) -> Option<WaitingCompanion> {
        self.waiting.get(self.by_ref.get(reference)?).cloned()
    }

    pub(crate) fn forget(&mut self, connection: u64) {
        self.waiting.remove(&connection);
        self.by_ref.retain(|_, waiting| *waiting != connection);
        self.by_phone.retain(|_, code| code.connection != connection);
        self.signed.remove(&connection);
    }
}
