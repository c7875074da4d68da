//! What the server remembers. No sockets; any task may call it, nothing in it waits.
//!
//! Each subject has a lock of its own. `Invariant:` a method takes at most one of them at a time.

mod account;
mod directory;
mod ledger;
mod mailbox;
mod pairing;
mod passkeys;
mod policy;
mod presence;
mod tokens;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};
use wacore_binary::{Jid, Node};
use wacore_libsignal::protocol::KeyPair;

pub(crate) use account::public_bytes;
pub use account::{AccountInfo, AppStateKey, Device, DeviceId, NewAccount, OneTimeKey, SignedKey};
pub(crate) use directory::{DeviceList, KeyBundle};
pub use directory::{Directory, other_brazilian_form};
pub use ledger::{Ledger, Relayed};
pub(crate) use mailbox::Exactness;
pub use mailbox::{DeviceState, Mailboxes};
pub(crate) use pairing::PAIRING_SECONDS;
pub use pairing::{CodePairing, Pairings, WaitingCompanion};
pub use passkeys::Passkeys;
pub(crate) use passkeys::{Linking, Prologue};
pub use policy::Policy;
pub use presence::Presences;
pub use tokens::Tokens;
pub(crate) use tokens::proof;

use crate::{
    Error, appstate, authenticator::Authenticator, clock::Clock, faults, groups, journal::Journal, media, phone,
    session::SessionHandle,
};

/// Everything the server remembers.
pub struct World {
    pub(crate) directory: RwLock<Directory>,
    pub(crate) mail: Mutex<Mailboxes>,
    pub(crate) pairings: Mutex<Pairings>,
    /// Which accounts demand a passkey of their companions.
    pub(crate) passkeys: Mutex<Passkeys>,
    pub(crate) presences: Mutex<Presences>,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) phones: phone::Phones,
    /// Whom each account blocked.
    pub(crate) blocked: Mutex<HashMap<Arc<str>, BTreeSet<String>>>,
    /// The link to the picture of each account, by its number, and of each group, by its JID; of those that have one.
    pub(crate) pictures: Mutex<HashMap<String, String>>,
    /// The server's own keys: they stay through a restart.
    pub(crate) identity: crate::wire::ServerIdentity,
    /// Who wrote with whom: they learn of one another's devices.
    pub(crate) acquaintances: Mutex<HashMap<Arc<str>, HashSet<Arc<str>>>>,
    /// The privacy tokens that accounts gave one another.
    pub(crate) tokens: Mutex<Tokens>,
    iqs: Mutex<BTreeMap<String, u64>>,
    /// What the server takes for the time.
    pub clock: Clock,
    /// What came and went.
    pub journal: Journal,
    /// What the server insists on.
    pub policy: Policy,
    /// What goes wrong on demand.
    pub faults: faults::Faults,
    /// All groups.
    pub groups: groups::Groups,
    /// All app-state collections.
    pub appstate: appstate::Collections,
    /// All media.
    pub media: media::Blobs,
    /// Which version the web's page tells, and which are accepted.
    pub web_version: crate::web_version::WebVersion,
    /// `host:port` of the media server, once it listens.
    media_host: RwLock<String>,
    serial: AtomicU64,
    /// How many connections began with routing information.
    routed: AtomicU64,
}

impl World {
    /// An empty world with fresh server keys.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            directory: RwLock::default(),
            mail: Mutex::default(),
            pairings: Mutex::default(),
            passkeys: Mutex::default(),
            presences: Mutex::default(),
            ledger: Mutex::default(),
            phones: phone::Phones::default(),
            blocked: Mutex::default(),
            pictures: Mutex::default(),
            acquaintances: Mutex::default(),
            tokens: Mutex::default(),
            iqs: Mutex::default(),
            clock: Clock::default(),
            journal: Journal::default(),
            policy: Policy::default(),
            identity: crate::wire::ServerIdentity::generate(),
            faults: faults::Faults::default(),
            groups: groups::Groups::default(),
            appstate: appstate::Collections::default(),
            media: media::Blobs::default(),
            web_version: crate::web_version::WebVersion::default(),
            media_host: RwLock::default(),
            serial: AtomicU64::new(1),
            routed: AtomicU64::new(0),
        })
    }

    /// A number nobody got before: for stanza ids and names of things.
    pub fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// How many connections began with what [`announce`](crate::announce) had told their clients about the route.
    pub fn routed(&self) -> u64 {
        self.routed.load(Ordering::Relaxed)
    }

    pub(crate) fn count_routed(&self) {
        self.routed.fetch_add(1, Ordering::Relaxed);
    }

    /// Seconds since 1970 by the server's clock, as stanzas carry them.
    pub fn now(&self) -> u64 {
        self.clock.now().as_secs()
    }

    /// `host:port` of the media server.
    pub fn media_host(&self) -> String {
        self.media_host.read().clone()
    }

    pub(crate) fn set_media_host(&self, host: String) {
        *self.media_host.write() = host;
    }

    /// Gives an account (by its number) or a group (by its JID) a picture at this link, or takes it away.
    pub fn set_picture(&self, whose: &str, link: Option<&str>) {
        let mut pictures = self.pictures.lock();
        match link {
            Some(link) => pictures.insert(whose.to_owned(), link.to_owned()),
            None => pictures.remove(whose),
        };
    }

    // ---- the directory

    /// Registers an account and its phone.
    pub fn register(&self, account: NewAccount) -> Result<AccountInfo, Error> {
        let passkey = account.demands_passkey.then(Authenticator::new);
        let (info, identity) = self.directory.write().register(account)?;
        if let Some(passkey) = passkey {
            self.passkeys.lock().accounts.insert(info.phone.clone(), passkey);
        }
        self.phones.add(&info, &identity);
        Ok(info)
    }

    /// The passkey that the account demands of whoever links a companion; `None` if it demands none.
    pub fn passkey(&self, phone: &str) -> Option<Authenticator> {
        let account = self.account_by_phone(phone)?;
        self.passkeys.lock().accounts.get(&account.phone).cloned()
    }

    /// The code that the account's phone shows last, for the person who links a companion with a passkey.
    pub fn passkey_code(&self, phone: &str) -> Option<String> {
        let account = self.account_by_phone(phone)?;
        self.passkeys.lock().shown.get(&account.phone).cloned()
    }

    /// The account behind a number or a JID (phone number or LID, with or without a device; the other Brazilian form too).
    pub fn account(&self, who: &Jid) -> Option<AccountInfo> {
        self.directory.read().find(who).map(|account| account.info())
    }

    /// The account with this number, in any form it is reachable by.
    pub fn account_by_phone(&self, phone: &str) -> Option<AccountInfo> {
        self.directory.read().find_phone(phone).map(|account| account.info())
    }

    /// All accounts, in order of their numbers.
    pub fn accounts(&self) -> Vec<AccountInfo> {
        self.directory.read().accounts().map(|account| account.info()).collect()
    }

    /// The registered number behind a JID.
    pub fn resolve(&self, who: &Jid) -> Option<Arc<str>> {
        self.directory.read().find(who).map(|account| account.phone().clone())
    }

    /// The device a JID names.
    pub fn resolve_device(&self, who: &Jid) -> Option<DeviceId> {
        let phone = self.resolve(who)?;
        Some(DeviceId { phone, device: who.device })
    }

    /// The account's devices, the phone (0) first.
    pub fn devices(&self, phone: &str) -> Vec<DeviceId> {
        self.directory.read().devices(phone)
    }

    /// The key that encrypts the account's app state; its phone shares it with every companion it pairs.
    pub fn app_state_key(&self, phone: &str) -> Option<AppStateKey> {
        self.directory.read().find_phone(phone).map(|account| account.app_state_key().clone())
    }

    /// Gives the account's phone another identity.
    pub(crate) fn reinstall(&self, phone: &str) -> Result<KeyPair, Error> {
        self.directory.write().reinstall(phone).ok_or_else(|| Error::UnknownAccount(phone.to_owned()))
    }

    /// The salt by which an account proves that it knows whom it writes to.
    pub(crate) fn salt(&self, phone: &str) -> Option<[u8; 32]> {
        self.directory.read().find_phone(phone).map(|account| *account.salt())
    }

    /// Whether the account's phone shares its history with the companions it pairs.
    pub(crate) fn shares_history(&self, phone: &str) -> bool {
        self.directory.read().find_phone(phone).is_some_and(|account| account.shares_history())
    }

    /// Gives the account another push name.
    pub fn set_push_name(&self, phone: &str, name: &str) {
        self.directory.write().set_name(phone, name);
    }

    /// The two wrote to each other.
    pub(crate) fn acquaint(&self, one: &Arc<str>, other: &Arc<str>) {
        if one == other {
            return;
        }
        let mut known = self.acquaintances.lock();
        for (a, b) in [(one, other), (other, one)] {
            let known = known.entry(a.clone()).or_default();
            if !known.contains(b) {
                known.insert(b.clone());
            }
        }
    }

    // ---- delivery

    /// Queues a stanza that must arrive, and sends it if the device is there. It stays queued until the device acknowledges
    /// its `id`. The stanza needs an `id`, a `from`, and a tag of `message`, `receipt`, `notification` or `call`.
    pub fn deliver(&self, to: &DeviceId, stanza: Node) {
        if to.device == 0 {
            self.phones.push(to, stanza);
        } else {
            self.mail.lock().push(to, stanza);
        }
    }

    /// [`deliver`](Self::deliver) for a `<notification>`: `id` and `t` are filled in when missing.
    pub fn notify(&self, to: &DeviceId, mut notification: Node) {
        if !notification.attrs.contains_key("id") {
            notification.attrs.push("id", self.next_serial().to_string());
        }
        if !notification.attrs.contains_key("t") {
            notification.attrs.push("t", self.now().to_string());
        }
        self.deliver(to, notification);
    }

    /// [`notify`](Self::notify) for every device of an account but one.
    pub fn notify_account(&self, phone: &str, except: Option<&DeviceId>, notification: &Node) {
        for device in self.devices(phone) {
            if Some(&device) != except {
                self.notify(&device, notification.clone());
            }
        }
    }

    /// Sends a stanza if the device is there; forgets it otherwise.
    pub fn send_if_online(&self, to: &DeviceId, stanza: Node) {
        let session = self.mail.lock().session(to);
        if let Some(session) = session {
            session.send(stanza);
        }
    }

    /// The device's session, if it is logged in.
    pub fn session(&self, device: &DeviceId) -> Option<SessionHandle> {
        self.mail.lock().session(device)
    }

    /// The session state of every companion.
    pub fn device_states(&self) -> Vec<DeviceState> {
        let devices = self.directory.read().companions();
        let mail = self.mail.lock();
        devices.into_iter().map(|device| mail.state(device)).collect()
    }

    /// How many iqs clients sent, by namespace.
    pub fn iqs(&self) -> BTreeMap<String, u64> {
        self.iqs.lock().clone()
    }

    pub(crate) fn count_iq(&self, namespace: &str) {
        let mut iqs = self.iqs.lock();
        match iqs.get_mut(namespace) {
            Some(count) => *count += 1,
            None => {
                iqs.insert(namespace.to_owned(), 1);
            }
        }
    }

    /// The message stanzas that went through, oldest first.
    pub fn relayed(&self) -> Vec<Relayed> {
        self.ledger.lock().all()
    }
}
