//! An account, its devices and their public keys. Plain data: the directory guards it.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
};

use sha2::{Digest, Sha256};
use wacore_binary::Jid;
use wacore_libsignal::protocol::KeyPair;

/// The public half of a key, without Signal's type byte.
pub(crate) fn public_bytes(key: &KeyPair) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(key.public_key.public_key_bytes());
    bytes
}

/// One device of one account. Device 0 is the phone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId {
    /// The account's number.
    pub phone: Arc<str>,
    /// Which of its devices.
    pub device: u16,
}

impl DeviceId {
    /// The device with this number of that account.
    pub fn new(phone: impl Into<Arc<str>>, device: u16) -> Self {
        Self { phone: phone.into(), device }
    }

    /// As a JID by phone number.
    pub fn jid(&self) -> Jid {
        Jid::pn_device(&*self.phone, self.device)
    }

    /// The account as a JID by phone number.
    pub fn user(&self) -> Jid {
        Jid::pn(&*self.phone)
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.phone, self.device)
    }
}

/// What to register.
#[derive(Debug, Clone, Default)]
pub struct NewAccount {
    /// Country code and number, digits only.
    pub phone: String,
    /// The name other people see.
    pub name: Option<String>,
    /// Register a Brazilian mobile number in the old form, without its ninth digit.
    pub without_ninth_digit: bool,
    /// The account's chats are addressed by LID.
    pub lid_addressed: bool,
    /// The phone shares no history with the companions it pairs. A real one always does.
    pub without_history: bool,
    /// Whoever links a companion must give an answer of the account's passkey.
    pub demands_passkey: bool,
}

/// What everyone may know of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountInfo {
    /// Country code and number as registered.
    pub phone: Arc<str>,
    /// The user part of its LID.
    pub lid: Arc<str>,
    /// The name other people see.
    pub name: Arc<str>,
    /// The account's chats are addressed by LID.
    pub lid_addressed: bool,
}

impl AccountInfo {
    /// The JID by phone number.
    pub fn jid(&self) -> Jid {
        Jid::pn(&*self.phone)
    }

    /// The JID by LID.
    pub fn lid_jid(&self) -> Jid {
        Jid::lid(&*self.lid)
    }
}

/// The key that encrypts an account's app state.
#[derive(Debug, Clone)]
pub struct AppStateKey {
    /// Names the key.
    pub id: Vec<u8>,
    /// The key.
    pub data: [u8; 32],
    /// The fingerprint that goes with it: raw id and current index.
    pub raw_id: u32,
}

/// A signed prekey.
#[derive(Debug, Clone, Default)]
pub struct SignedKey {
    /// Its number.
    pub id: u32,
    /// Its public half.
    pub public: [u8; 32],
    /// The identity key's signature.
    pub signature: Vec<u8>,
}

/// A one-time prekey.
#[derive(Debug, Clone, Copy)]
pub struct OneTimeKey {
    /// Its number.
    pub id: u32,
    /// Its public half.
    pub public: [u8; 32],
}

/// A companion.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its number among the account's devices, from 1.
    pub id: u16,
    /// Its index in the account's key list.
    pub key_index: u32,
    /// What it calls itself.
    pub platform: String,
    /// The static key of its Noise handshakes: how it logs in.
    pub noise_key: [u8; 32],
    /// Its identity key.
    pub identity: [u8; 32],
    /// Its registration id.
    pub registration_id: u32,
    /// Its signed prekey.
    pub signed_key: SignedKey,
    /// Its one-time prekeys, first in, first out.
    pub one_time_keys: VecDeque<OneTimeKey>,
    /// The identity the phone and the companion both signed.
    pub signed_identity: Vec<u8>,
}

/// An account with its companions.
pub(crate) struct Account {
    info: AccountInfo,
    pub(super) companions: BTreeMap<u16, Device>,
    next_device: u16,
    next_key_index: u32,
    /// Names this generation of the account's key list.
    pub(crate) raw_id: u32,
    identity: KeyPair,
    app_state_key: AppStateKey,
    /// What proves to the server that the account knows whom it writes to.
    salt: [u8; 32],
    shares_history: bool,
}

impl Account {
    pub(super) fn new(phone: String, account: NewAccount) -> Self {
        let digest: [u8; 32] = Sha256::digest(phone.as_bytes()).into();
        let number =
            |range: std::ops::Range<usize>| digest[range].iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        // A LID has fifteen digits. It follows from the number, so that a world built again has the same ones.
        let lid = 100_000_000_000_000 + number(0..8) % 900_000_000_000_000;
        let raw_id = (number(8..12) as u32) & 0x7fff_ffff;
        let key: [u8; 32] = Sha256::digest([&digest[..], b"app state"].concat()).into();
        let name = account.name.unwrap_or_else(|| format!("Phone {}", &phone[phone.len().saturating_sub(4)..]));
        Self {
            info: AccountInfo {
                phone: phone.into(),
                lid: lid.to_string().into(),
                name: name.into(),
                lid_addressed: account.lid_addressed,
            },
            companions: BTreeMap::new(),
            next_device: 1,
            next_key_index: 1,
            raw_id,
            identity: KeyPair::generate(&mut rand::rng()),
            app_state_key: AppStateKey { id: vec![0, 0, 0, 0, 0x51, 1], data: key, raw_id },
            salt: Sha256::digest([&digest[..], b"salt"].concat()).into(),
            shares_history: !account.without_history,
        }
    }

    pub(crate) fn info(&self) -> AccountInfo {
        self.info.clone()
    }

    pub(crate) fn phone(&self) -> &Arc<str> {
        &self.info.phone
    }

    pub(crate) fn app_state_key(&self) -> &AppStateKey {
        &self.app_state_key
    }

    /// The phone's identity: it signs the companions.
    pub(crate) fn identity(&self) -> &KeyPair {
        &self.identity
    }

    /// What proves to the server that the account knows whom it writes to.
    pub(crate) fn salt(&self) -> &[u8; 32] {
        &self.salt
    }

    pub(crate) fn shares_history(&self) -> bool {
        self.shares_history
    }

    /// The phone was installed anew: another identity, another generation of the key list. Answers the identity.
    pub(super) fn reinstall(&mut self) -> KeyPair {
        self.identity = KeyPair::generate(&mut rand::rng());
        self.raw_id = (self.raw_id + 1) & 0x7fff_ffff;
        self.identity.clone()
    }

    pub(super) fn set_name(&mut self, name: &str) {
        self.info.name = name.into();
    }

    /// The device number and key index of the next companion.
    pub(super) fn claim_slot(&mut self) -> (u16, u32) {
        let slot = (self.next_device, self.next_key_index);
        self.next_device += 1;
        self.next_key_index += 1;
        slot
    }

    /// The highest key index given out.
    pub(crate) fn current_key_index(&self) -> u32 {
        self.next_key_index - 1
    }
}
