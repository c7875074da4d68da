//! A phone's keys and ratchets, in memory: Signal's stores.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use wacore_libsignal::protocol::{
    Direction, GenericSignedPreKey as _, IdentityChange, IdentityKey, IdentityKeyPair, IdentityKeyStore, KeyPair,
    PreKeyId, PreKeyRecord, PreKeyStore, ProtocolAddress, SenderKeyName, SenderKeyRecord, SenderKeyStore,
    SessionRecord, SessionStore, SignalProtocolError, SignedPreKeyId, SignedPreKeyRecord, SignedPreKeyStore, Timestamp,
};

use super::Phone;
use crate::world::{KeyBundle, OneTimeKey, SignedKey, public_bytes};

type Result<T> = std::result::Result<T, SignalProtocolError>;

const SIGNED_KEY: u32 = 1;

/// All keys of one phone.
pub(super) struct Keys {
    identity: KeyPair,
    registration_id: u32,
    signed: KeyPair,
    signature: Vec<u8>,
    next_one_time: u32,
    one_time: HashMap<u32, PreKeyRecord>,
    sessions: HashMap<String, SessionRecord>,
    identities: HashMap<String, IdentityKey>,
    sender_keys: HashMap<String, SenderKeyRecord>,
    /// Who has this phone's sender key of a group.
    pub(super) distributed: HashMap<String, std::collections::HashSet<crate::world::DeviceId>>,
}

impl Keys {
    pub(super) fn new(identity: KeyPair) -> Self {
        let mut rng = rand::rng();
        let signed = KeyPair::generate(&mut rng);
        let signature = identity
            .private_key
            .calculate_signature(&signed.public_key.serialize(), &mut rng)
            .map(|signature| signature.to_vec())
            .unwrap_or_default();
        Self {
            identity,
            registration_id: rand::random_range(1..16_380),
            signed,
            signature,
            next_one_time: 1,
            one_time: HashMap::new(),
            sessions: HashMap::new(),
            identities: HashMap::new(),
            sender_keys: HashMap::new(),
            distributed: HashMap::new(),
        }
    }

    /// What starts a session with the phone.
    pub(super) fn bundle(&mut self) -> KeyBundle {
        let key = KeyPair::generate(&mut rand::rng());
        let id = self.next_one_time;
        self.next_one_time = if id >= 0x00ff_fffe { 1 } else { id + 1 };
        self.one_time.insert(id, PreKeyRecord::new(id.into(), &key));
        KeyBundle {
            registration_id: self.registration_id,
            identity: public_bytes(&self.identity),
            signed_key: SignedKey {
                id: SIGNED_KEY,
                public: public_bytes(&self.signed),
                signature: self.signature.clone(),
            },
            one_time_key: Some(OneTimeKey { id, public: public_bytes(&key) }),
            signed_identity: None,
        }
    }

    pub(super) fn registration_id(&self) -> u32 {
        self.registration_id
    }

    pub(super) fn has_session(&self, address: &ProtocolAddress) -> bool {
        self.sessions.contains_key(address.as_str())
    }

    pub(super) fn forget_session(&mut self, address: &ProtocolAddress) {
        self.sessions.remove(address.as_str());
        self.identities.remove(address.as_str());
    }
}

/// A handle on a phone's keys that Signal's functions take as their stores.
#[derive(Clone)]
pub(super) struct Store(pub(super) Arc<Phone>);

#[async_trait]
impl SessionStore for Store {
    async fn load_session(&self, address: &ProtocolAddress) -> Result<Option<SessionRecord>> {
        Ok(self.0.keys.lock().sessions.get(address.as_str()).cloned())
    }

    async fn has_session(&self, address: &ProtocolAddress) -> Result<bool> {
        Ok(self.0.keys.lock().has_session(address))
    }

    async fn store_session(&mut self, address: &ProtocolAddress, record: SessionRecord) -> Result<()> {
        self.0.keys.lock().sessions.insert(address.as_str().to_owned(), record);
        Ok(())
    }
}

#[async_trait]
impl IdentityKeyStore for Store {
    async fn get_identity_key_pair(&self) -> Result<IdentityKeyPair> {
        let identity = self.0.keys.lock().identity.clone();
        Ok(IdentityKeyPair::new(IdentityKey::new(identity.public_key), identity.private_key))
    }

    async fn get_local_registration_id(&self) -> Result<u32> {
        Ok(self.0.keys.lock().registration_id)
    }

    async fn save_identity(&mut self, address: &ProtocolAddress, identity: &IdentityKey) -> Result<IdentityChange> {
        let before = self.0.keys.lock().identities.insert(address.as_str().to_owned(), *identity);
        Ok(IdentityChange::from_changed(before.is_some_and(|before| before != *identity)))
    }

    async fn is_trusted_identity(&self, _: &ProtocolAddress, _: &IdentityKey, _: Direction) -> Result<bool> {
        // The server that hands out the keys is this process.
        Ok(true)
    }

    async fn get_identity(&self, address: &ProtocolAddress) -> Result<Option<IdentityKey>> {
        Ok(self.0.keys.lock().identities.get(address.as_str()).copied())
    }
}

#[async_trait]
impl PreKeyStore for Store {
    async fn get_pre_key(&self, id: PreKeyId) -> Result<PreKeyRecord> {
        self.0.keys.lock().one_time.get(&u32::from(id)).cloned().ok_or(SignalProtocolError::InvalidPreKeyId)
    }

    async fn save_pre_key(&mut self, id: PreKeyId, record: &PreKeyRecord) -> Result<()> {
        self.0.keys.lock().one_time.insert(id.into(), record.clone());
        Ok(())
    }

    async fn remove_pre_key(&mut self, id: PreKeyId) -> Result<()> {
        self.0.keys.lock().one_time.remove(&u32::from(id));
        Ok(())
    }
}

#[async_trait]
impl SignedPreKeyStore for Store {
    async fn get_signed_pre_key(&self, id: SignedPreKeyId) -> Result<SignedPreKeyRecord> {
        if u32::from(id) != SIGNED_KEY {
            return Err(SignalProtocolError::InvalidSignedPreKeyId);
        }
        let keys = self.0.keys.lock();
        Ok(SignedPreKeyRecord::new(
            id,
            // Nobody looks at when it was made.
            Timestamp::from_epoch_millis(0),
            &keys.signed,
            &keys.signature,
        ))
    }

    async fn save_signed_pre_key(&mut self, _: SignedPreKeyId, _: &SignedPreKeyRecord) -> Result<()> {
        // The one signed key is made with the phone.
        Err(SignalProtocolError::InvalidSignedPreKeyId)
    }
}

#[async_trait]
impl SenderKeyStore for Store {
    async fn store_sender_key(&mut self, name: &SenderKeyName, record: SenderKeyRecord) -> Result<()> {
        self.0.keys.lock().sender_keys.insert(name.cache_key().to_owned(), record);
        Ok(())
    }

    async fn load_sender_key(&self, name: &SenderKeyName) -> Result<Option<SenderKeyRecord>> {
        Ok(self.0.keys.lock().sender_keys.get(name.cache_key()).cloned())
    }
}
