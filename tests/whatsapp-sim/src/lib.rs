//! A WhatsApp server of our own: it speaks the real web protocol (Noise, binary nodes, Signal key exchange) over a real
//! websocket, so that unmodified clients pair, log in and exchange messages with one another on one machine.
//!
//! # Layout
//! - [`world`]: what the server remembers: accounts, devices, keys, queues of undelivered stanzas, the ledger of what
//!   went through. No sockets.
//! - [`wire`]: the server's side of the Noise handshake, frames, nodes.
//! - [`session`]: one task per connection: pairing, login and the router of stanzas. One file per subject.
//! - [`phone`]: the account's primary device (device 0). It has no socket: it lives in this process, signs its companions,
//!   and really encrypts and decrypts.
//! - [`groups`], [`appstate`], [`media`]: the servers behind those parts of the protocol.
//! - [`announce`]: what the server tells of its own accord.
//! - [`faults`]: what goes wrong on demand. [`web_version`]: the page that tells the version, and the least version that gets in.
//! - [`authenticator`]: a passkey in software, for accounts that demand one of whoever links a companion.
//! - [`clock`]: what the server takes for the time. [`journal`]: what came and went.
//! - [`script`]: what happens, and what is expected, written down as YAML.
//! - [`admin`]: HTTP for tests and people; [`peer`]: a native client for tests.
//!
//! # Who may do what
//! - [`World`](world::World) is shared by `Arc` and locked inside, by subject. Its methods never wait and never call back into a
//!   session. `Invariant:` no code holds two of its locks at a time, and none across an `.await`. The clock's is not counted: it may be
//!   read everywhere.
//! - A session's task owns its socket. Everyone else reaches it by [`World::deliver`](world::World::deliver) or its
//!   [`SessionHandle`](session::SessionHandle), which only queue.
//! - The phones' task decrypts what arrives for device 0. Functions of [`phone`] may be called from anywhere.
//!
//! # What the router asks of the other modules
//! The router of a session calls these synchronously, in its task; each answers at once from memory.
//! - `groups::handle_iq(&Arc<World>, &SessionHandle, &Node) -> Option<Node>`: every `iq` with `xmlns="w:g2"`. The answer is the
//!   whole `<iq type="result"|"error">`: build it with [`session::iq::result`] and [`session::iq::error`]. `None` answers 501.
//! - `groups::members(&World, &Jid) -> Option<Vec<String>>`: the phone numbers of a group's members, for fan-out; `None` when
//!   there is no such group. `groups::addressing(&World, &Jid) -> Addressing` says how `participant` is written.
//! - `appstate::handle_iq(&Arc<World>, &SessionHandle, &Node) -> Option<Node>`: `xmlns="w:sync:app:state"`.
//! - `appstate::on_paired(&Arc<World>, &DeviceId)`: after a companion was paired, before it first logs in: the place to put
//!   the push name into `critical_block`, encrypted with [`World::app_state_key`](world::World::app_state_key), which the phone shares.
//! - `media::handle_media_conn(&Arc<World>, &SessionHandle, &Node) -> Option<Node>`: `xmlns="w:m"`.
//! - `media::handle_retry_request(&Arc<World>, &SessionHandle, &Node)`: `<receipt type="server-error">`, to be answered with
//!   [`World::notify`](world::World::notify) and a `<notification type="mediaretry">`.
//! - `media::serve(TcpListener, Arc<World>, Shutdown)`, `admin::serve(TcpListener, Arc<World>, Shutdown)`: the HTTP servers' tasks.
//!
//! What they may use:
//! - [`World::deliver`](world::World::deliver): a stanza with an `id` that must arrive: queued until the device acknowledges it,
//!   sent again (with `offline`) after a reconnect.
//! - [`World::notify`](world::World::notify), [`World::notify_account`](world::World::notify_account): the same for a
//!   `<notification>`;
//!   `id` and `t` are filled in when missing.
//! - [`World::send_if_online`](world::World::send_if_online): for what nobody misses: presence, typing.
//! - [`World::account`](world::World::account), [`World::resolve`](world::World::resolve),
//!   [`World::devices`](world::World::devices): the directory.
//! - Their own state is the public field of `World` named as the module ([`groups::Groups`], [`appstate::Collections`],
//!   [`media::Blobs`]): `Default`, locked inside by themselves.

pub mod admin;
pub mod announce;
pub mod appstate;
pub mod authenticator;
pub mod clock;
pub mod faults;
pub mod groups;
pub mod journal;
mod listener;
pub mod media;
pub mod peer;
pub mod phone;
pub mod script;
pub mod session;
mod simulator;
pub mod web_version;
pub mod wire;
pub mod world;

pub use simulator::{Options, Ports, Shutdown, Simulator};
pub use world::{DeviceId, World};

/// What the simulator refuses to do, and what to change.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No account has this number.
    #[error("no account has the number {0}: register it first (POST /accounts)")]
    UnknownAccount(String),
    /// The number is taken.
    #[error("the number {0} already has an account: use it, or another number")]
    AccountExists(String),
    /// The text is not a phone number.
    #[error("{0:?} is not a phone number: give country code and number, digits only")]
    InvalidNumber(String),
    /// The text is not the QR code of a companion.
    #[error("that is not the QR string of a companion ({0}): paste the whole text that the client shows")]
    InvalidQr(String),
    /// Nobody is waiting with this QR or code any longer.
    #[error("no client waits with this {0}: it expired or was used; let the client make a new one")]
    NotWaiting(&'static str),
    /// A companion's keys are not valid.
    #[error("the companion's keys are not valid: {0}")]
    InvalidKeys(String),
    /// The account may not link another companion.
    #[error("{0} has all the companions an account may have: log one out first")]
    TooManyCompanions(String),
    /// The chat does not exist.
    #[error("there is no chat {0}: give a registered number or an existing group")]
    UnknownChat(String),
    /// Signal refused to encrypt or decrypt.
    #[error("signal: {0}")]
    Signal(String),
    /// A port could not be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was to be bound.
        address: String,
        /// The error of the system.
        source: std::io::Error,
    },
}
