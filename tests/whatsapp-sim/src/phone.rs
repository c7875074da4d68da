//! The phones: each account's primary device (device 0). They have no socket: what the server delivers to them waits here, and
//! the phones' task opens it. A phone signs its companions, shares the key of the app state and its history, sends, reads, and answers
//! what it cannot decrypt with a retry receipt, as a real one does.
//!
//! Called from anywhere: [`scan`], [`link`], [`send`], [`read`], [`inbox`]. `Invariant:` a phone's ratchets are advanced under its
//! `turn`, by one task at a time.

mod cipher;
mod history;
mod inbox;
mod keys;
mod pair;
mod receive;
mod request;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;
use wacore_binary::{Jid, JidExt as _, Node, builder::NodeBuilder};
use wacore_libsignal::protocol::KeyPair;
use waproto::whatsapp as wa;

pub use inbox::{ChatState, Media, Received, Seen};
pub use pair::CodeSecret;
pub use pair::{Scanned, link, scan};
pub(crate) use pair::{finish_code, sign};

use crate::{
    Error, Shutdown,
    session::{self, iq},
    world::{AccountInfo, DeviceId, KeyBundle, World},
};

/// All phones.
pub struct Phones {
    phones: RwLock<HashMap<Arc<str>, Arc<Phone>>>,
    calls: mpsc::UnboundedSender<Call>,
    /// Held by the phones' task while it runs.
    listening: Mutex<Option<mpsc::UnboundedReceiver<Call>>>,
}

/// What the phones' task is woken for.
pub(crate) enum Call {
    /// A phone has mail.
    Mail(Arc<str>),
    /// A new companion needs the key of the app state.
    ShareKey(DeviceId),
}

/// One phone.
struct Phone {
    phone: Arc<str>,
    keys: Mutex<keys::Keys>,
    /// Who holds it may advance the ratchets.
    turn: tokio::sync::Mutex<()>,
    mail: Mutex<Mail>,
    seen: Mutex<Seen>,
    /// What it sent: to send again to who cannot decrypt it.
    sent: Mutex<HashMap<String, (Jid, wa::Message)>>,
    /// The companions that have its history.
    introduced: Mutex<HashSet<u16>>,
}

#[derive(Default)]
struct Mail {
    waiting: VecDeque<Node>,
    /// Switched off: mail waits.
    off: bool,
}

impl Default for Phones {
    fn default() -> Self {
        let (calls, listening) = mpsc::unbounded_channel();
        Self { phones: RwLock::default(), calls, listening: Mutex::new(Some(listening)) }
    }
}

impl Phones {
    pub(crate) fn add(&self, account: &AccountInfo, identity: &KeyPair) {
        let phone = Arc::new(Phone {
            phone: account.phone.clone(),
            keys: Mutex::new(keys::Keys::new(identity.clone())),
            turn: tokio::sync::Mutex::default(),
            mail: Mutex::default(),
            seen: Mutex::default(),
            sent: Mutex::default(),
            introduced: Mutex::default(),
        });
        self.phones.write().insert(account.phone.clone(), phone);
    }

    fn get(&self, phone: &str) -> Option<Arc<Phone>> {
        self.phones.read().get(phone).cloned()
    }

    /// A stanza for a phone.
    pub(crate) fn push(&self, to: &DeviceId, stanza: Node) {
        let Some(phone) = self.get(&to.phone) else { return };
        phone.mail.lock().waiting.push_back(stanza);
        self.call(Call::Mail(phone.phone.clone()));
    }

    fn call(&self, call: Call) {
        if self.calls.send(call).is_err() {
            tracing::trace!("no task listens for the phones");
        }
    }
}

/// The phones' task: opens what arrives, until the shutdown. What it has not opened stays for the next one.
pub(crate) async fn run(world: Arc<World>, mut shutdown: Shutdown) {
    let taken = world.phones.listening.lock().take();
    let Some(mut calls) = taken else {
        tracing::error!("the phones already have a task: two simulators share one world");
        return;
    };
    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => break,
            call = calls.recv() => match call {
                Some(Call::Mail(phone)) => open_mail(&world, &phone).await,
                Some(Call::ShareKey(device)) => {
                    if let Err(e) = receive::share_key(&world, &device).await {
                        tracing::warn!(%device, error = %e, "a phone cannot share the key of its app state");
                    }
                }
                None => break,
            },
        }
    }
    *world.phones.listening.lock() = Some(calls);
}

async fn open_mail(world: &Arc<World>, phone: &str) {
    let Some(phone) = world.phones.get(phone) else { return };
    loop {
        let stanza = {
            let mut mail = phone.mail.lock();
            if mail.off {
                return;
            }
            mail.waiting.pop_front()
        };
        let Some(stanza) = stanza else { return };
        receive::open(world, &phone, &stanza).await;
        world.journal.touch();
    }
}

/// Switches a phone off or on. Messages that arrive while it is off wait.
pub fn switch(world: &Arc<World>, phone: &str, on: bool) -> Result<(), Error> {
    let phone = find(world, phone)?;
    phone.mail.lock().off = !on;
    world.phones.call(Call::Mail(phone.phone.clone()));
    Ok(())
}

fn find(world: &World, phone: &str) -> Result<Arc<Phone>, Error> {
    let account = world.account_by_phone(phone).ok_or_else(|| Error::UnknownAccount(phone.to_owned()))?;
    world.phones.get(&account.phone).ok_or_else(|| Error::UnknownAccount(phone.to_owned()))
}

/// The phone sends a message to a number's account or a group. Answers the message id.
pub async fn send(
    world: &Arc<World>,
    phone: &str,
    to: &Jid,
    message: wa::Message,
    id: Option<String>,
) -> Result<String, Error> {
    let phone = find(world, phone)?;
    let id = id.unwrap_or_else(|| format!("3EB0{}", hex::encode_upper(rand::random::<[u8; 9]>())));
    let _turn = phone.turn.lock().await;
    // Known before it goes: who cannot decrypt it may ask at once.
    phone.sent.lock().insert(id.clone(), (to.clone(), message.clone()));
    cipher::send(world, &phone, to, &message, &id).await?;
    let info = world.account_by_phone(&phone.phone).ok_or_else(|| Error::UnknownAccount(phone.phone.to_string()))?;
    trust(world, &info, to);
    let chat =
        if to.is_group() { to.clone() } else { world.account(to).map_or_else(|| to.clone(), |account| account.jid()) };
    phone.seen.lock().note(inbox::describe(&id, &info.phone, &chat, true, &message, world.now()));
    world.journal.touch();
    Ok(id)
}

/// Whom a person writes to, the person trusts.
fn trust(world: &Arc<World>, account: &AccountInfo, to: &Jid) {
    let Some(contact) = world.account(to).filter(|contact| contact.phone != account.phone) else { return };
    let known = world.tokens.lock().of(&account.phone, &contact.phone).is_some();
    if !known {
        session::trust(world, account, to, world.now());
    }
}

/// The phone sends a text.
pub async fn send_text(world: &Arc<World>, phone: &str, to: &Jid, text: &str) -> Result<String, Error> {
    let message = wa::Message { conversation: Some(text.to_owned()), ..Default::default() };
    send(world, phone, to, message, None).await
}

/// What the phone received and sent, oldest first.
pub fn inbox(world: &World, phone: &str) -> Result<Vec<Received>, Error> {
    Ok(find(world, phone)?.seen.lock().messages().to_vec())
}

/// Everything the phone saw, read by a closure.
pub fn with_seen<T>(world: &World, phone: &str, look: impl FnOnce(&Seen) -> T) -> Result<T, Error> {
    let phone = find(world, phone)?;
    let seen = phone.seen.lock();
    Ok(look(&seen))
}

/// The person reads these messages: read receipts go to whom they are from. `played` for voice notes.
pub fn read(world: &Arc<World>, phone: &str, ids: &[String], played: bool) -> Result<usize, Error> {
    let phone = find(world, phone)?;
    let account = world.account_by_phone(&phone.phone).ok_or_else(|| Error::UnknownAccount(phone.phone.to_string()))?;
    let mut given = 0;
    for id in ids {
        let Some((from, participant)) = phone.seen.lock().origin(id) else { continue };
        let mut receipt = NodeBuilder::new("receipt")
            .attr("to", from.to_non_ad())
            .attr("id", id)
            .attr("type", if played { "played" } else { "read" });
        if let Some(participant) = participant {
            receipt = receipt.attr("participant", participant);
        }
        session::send_receipt(world, &account, 0, &receipt.build(), if played { "played" } else { "read" });
        given += 1;
    }
    Ok(given)
}

/// The person types, records, or stops.
pub fn typing(world: &Arc<World>, phone: &str, to: &Jid, state: &'static str) -> Result<(), Error> {
    let account = world.account_by_phone(phone).ok_or_else(|| Error::UnknownAccount(phone.to_owned()))?;
    let shown = match state {
        "recording" => NodeBuilder::new("composing").attr("media", "audio").build(),
        state => NodeBuilder::new(state).build(),
    };
    let node = NodeBuilder::new("chatstate").attr("to", to.clone()).children([shown]).build();
    session::send_chatstate(world, &account, &node);
    Ok(())
}

/// The phone starts anew with this identity: it has no session with anybody, and none of the messages it had.
pub(crate) async fn reinstall(world: &World, phone: &str, identity: KeyPair) -> Result<(), Error> {
    let phone = find(world, phone)?;
    let _turn = phone.turn.lock().await;
    *phone.keys.lock() = keys::Keys::new(identity);
    phone.sent.lock().clear();
    phone.introduced.lock().clear();
    *phone.seen.lock() = Seen::default();
    Ok(())
}

/// The phone sends a message of which its companions get no ciphertext: with `view_once` because they never do, otherwise because
/// the server has none for them. They may ask their own phone for the latter. Answers the message id.
pub async fn send_unavailable(
    world: &Arc<World>,
    phone: &str,
    to: &Jid,
    message: wa::Message,
    view_once: bool,
) -> Result<String, Error> {
    let phone = find(world, phone)?;
    let account = world.account_by_phone(&phone.phone).ok_or_else(|| Error::UnknownAccount(phone.phone.to_string()))?;
    let recipient = world.account(to).ok_or_else(|| Error::UnknownChat(to.to_string()))?;
    let id = format!("3EB0{}", hex::encode_upper(rand::random::<[u8; 9]>()));
    let _turn = phone.turn.lock().await;
    let primary = DeviceId { phone: recipient.phone.clone(), device: 0 };
    phone.sent.lock().insert(id.clone(), (recipient.jid(), message.clone()));
    cipher::send_to_one(world, &phone, &primary, &message, &id).await?;
    let missing = NodeBuilder::new("unavailable");
    let missing = if view_once { missing.attr("type", "view_once").build() } else { missing.build() };
    let stanza = NodeBuilder::new("message")
        .attr("from", account.jid())
        .attr("id", &id)
        .attr("t", world.now())
        .attr("type", wacore::send::stanza_type_from_message(&message))
        .attr("notify", &*account.name)
        .attr("sender_lid", account.lid_jid())
        .children([missing])
        .build();
    for companion in world.devices(&recipient.phone).into_iter().filter(|device| device.device != 0) {
        world.deliver(&companion, stanza.clone());
    }
    Ok(id)
}

/// The phone posts a status: everybody it wrote with gets it. Answers the message id.
pub async fn post_status(world: &Arc<World>, phone: &str, message: wa::Message) -> Result<String, Error> {
    let phone = find(world, phone)?;
    let id = format!("3EB0{}", hex::encode_upper(rand::random::<[u8; 9]>()));
    let _turn = phone.turn.lock().await;
    phone.sent.lock().insert(id.clone(), (Jid::status_broadcast(), message.clone()));
    cipher::post_status(world, &phone, &message, &id).await?;
    Ok(id)
}

/// What starts a session with a phone, with a one-time key made for it.
pub(crate) fn bundle(world: &World, phone: &str) -> Option<KeyBundle> {
    Some(world.phones.get(phone)?.keys.lock().bundle())
}

/// A new companion needs the key of its account's app state.
pub(crate) fn share_app_state_key(world: &World, device: &DeviceId) {
    world.phones.call(Call::ShareKey(device.clone()));
}

/// Somebody types to this phone's account.
pub(crate) fn note_chatstate(world: &World, phone: &str, stanza: &Node) {
    let Some(phone) = world.phones.get(phone) else { return };
    let Some(from) = iq::jid(stanza, "participant").or_else(|| iq::jid(stanza, "from")) else { return };
    let state = stanza.children().and_then(|children| children.first()).map(|child| match child.attrs.get("media") {
        Some(_) => "recording".to_owned(),
        None => child.tag.to_string(),
    });
    if let Some(state) = state {
        let from = world.resolve(&from).map_or_else(|| from.to_string(), |phone| phone.to_string());
        phone.seen.lock().typed(ChatState { from, state });
        world.journal.touch();
    }
}
