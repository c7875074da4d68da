//! Companions that are connected and wait to be paired, by their QR or by a code.

use std::collections::HashMap;

use crate::session::SessionHandle;

use super::account::{Device, DeviceId, SignedKey};

/// How long a phone may take to scan a QR or to enter a code, in seconds. Clients show the first QR for a minute and five more for 20
/// seconds each, and then ask for new ones.
pub(crate) const PAIRING_SECONDS: u64 = 180;

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
    /// Until when the code may be entered, in seconds since 1970.
    pub(crate) ends: u64,
}

/// The clients that wait to be paired.
#[derive(Default)]
pub struct Pairings {
    /// Waiting clients by connection.
    pub(crate) waiting: HashMap<u64, WaitingCompanion>,
    /// By the refs they were given for their QR codes: the connection, and until when they are good, in seconds since 1970.
    pub(crate) by_ref: HashMap<String, (u64, u64)>,
    /// By the number they want to be paired with.
    pub(crate) by_phone: HashMap<String, CodePairing>,
    /// By connection: signed by the phone, not yet by the client.
    pub(crate) signed: HashMap<u64, (DeviceId, Device)>,
}

impl Pairings {
    /// A client waits with these refs, which are good until `ends`.
    pub(crate) fn wait(&mut self, companion: WaitingCompanion, refs: impl IntoIterator<Item = String>, ends: u64) {
        let connection = companion.session.connection;
        self.by_ref.extend(refs.into_iter().map(|reference| (reference, (connection, ends))));
        self.waiting.insert(connection, companion);
    }

    /// The client with this ref in its QR, while it is good.
    pub(crate) fn by_ref(&self, reference: &str, now: u64) -> Option<WaitingCompanion> {
        let (connection, ends) = self.by_ref.get(reference)?;
        self.waiting.get(connection).filter(|_| now < *ends).cloned()
    }

    pub(crate) fn forget(&mut self, connection: u64) {
        self.waiting.remove(&connection);
        self.by_ref.retain(|_, (waiting, _)| *waiting != connection);
        self.by_phone.retain(|_, code| code.connection != connection);
        self.signed.remove(&connection);
    }
}
