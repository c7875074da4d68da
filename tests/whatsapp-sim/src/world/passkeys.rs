//! The accounts that demand a passkey of whoever links a companion, and how far each such linking is. Knows no socket.

use std::collections::HashMap;
use std::sync::Arc;

use wacore_libsignal::protocol::KeyPair;
use waproto::whatsapp::device_props::PlatformType;

use crate::{authenticator::Authenticator, faults::PasskeyFault};

/// The passkeys of accounts, and the linkings that wait for one.
#[derive(Default)]
pub struct Passkeys {
    /// By number: accounts without one demand none.
    pub(crate) accounts: HashMap<Arc<str>, Authenticator>,
    /// By connection of the companion.
    pub(crate) linkings: HashMap<u64, Linking>,
    /// By number: the code that the phone shows.
    pub(crate) shown: HashMap<Arc<str>, String>,
}

/// One linking of a companion.
pub(crate) struct Linking {
    /// The account that it links to.
    pub(crate) phone: Arc<str>,
    /// What goes wrong with it.
    pub(crate) fault: Option<PasskeyFault>,
    /// What the passkey must sign.
    pub(crate) challenge: [u8; 32],
    /// The reference that the companion fetched.
    pub(crate) reference: Option<String>,
    /// What the companion said with its answer, once that was taken.
    pub(crate) prologue: Option<Prologue>,
    /// Whether the companion opened its nonce.
    pub(crate) opened: bool,
}

/// What a companion says with the answer of the passkey, and what the phone answers.
pub(crate) struct Prologue {
    /// Its ephemeral identity as sent: its commitment covers it.
    pub(crate) identity: Vec<u8>,
    /// Its commitment to a nonce.
    pub(crate) commitment: Vec<u8>,
    /// Its ephemeral key.
    pub(crate) public: [u8; 32],
    /// What it says it is.
    pub(crate) platform: PlatformType,
    /// The phone's ephemeral key and nonce.
    pub(crate) phone_key: KeyPair,
    pub(crate) phone_nonce: [u8; 32],
}
