//! The library's storage over the engine's key/value store: write-through, so that what the library believes is stored is stored.
//! The library keeps in memory what it reads for every message; nothing is kept twice here.
//!
//! # Keys
//! Everything of a session begins with `w/`, so that a logout can take it away, and nothing else does.
//! ```text
//! w/device                      the device: keys, registration, account (JSON: it grows with the library)
//! w/phone                       what the phone said of itself when it was paired (JSON)
//! w/i/ADDRESS  w/s/ADDRESS      identity and session of a remote device
//! w/p/ID       w/q/ID           one-time and signed prekeys, by decimal id of ten digits
//! w/k/NAME                      sender keys of groups
//! w/d/GROUP/DEVICE              who has the sender key of a group
//! w/l/LID      w/n/NUMBER       LID and number of a contact, both ways
//! w/u/USER     w/g/GROUP        devices of a user, members of a group
//! w/b/ADDRESS/ID                base keys of retries
//! w/t/JID                       privacy tokens of contacts
//! w/a/KEY  w/a-latest           keys of the app state; w/v/NAME versions; w/m/NAME/MAC mutations
//! w/o/CHAT/ID                   messages sent, for receivers that ask again
//! w/r/CHAT/SENDER/ID            messages received and not yet committed by the engine
//! w/x/CHAT/SENDER/ID            secrets of messages
//! w/A/TABLE/HOUR/KEY            what of `o`, `r`, `x` may go when, by the hour
//! ```
//! Invariant: one call of the library that must be atomic is one `kv.batch`.

pub(crate) mod codec;

#[cfg(target_arch = "wasm32")]
mod aged;
#[cfg(target_arch = "wasm32")]
mod app_state;
#[cfg(target_arch = "wasm32")]
mod device;
#[cfg(target_arch = "wasm32")]
pub(crate) mod kv;
#[cfg(target_arch = "wasm32")]
mod protocol;
#[cfg(target_arch = "wasm32")]
mod secrets;
#[cfg(target_arch = "wasm32")]
mod signal;

/// The library's backend. Has no state of its own.
#[cfg(target_arch = "wasm32")]
pub(crate) struct Store;

#[cfg(target_arch = "wasm32")]
pub(crate) use protocol::received_note;
#[cfg(target_arch = "wasm32")]
pub(crate) use session::{forget, is_paired, keep_phone, phone};

#[cfg(target_arch = "wasm32")]
mod session {
    use whatsapp_rust::wacore::store::error::Result;
    use whatsapp_rust::wacore::store::traits::DeviceStore;

    use super::{Store, kv};

    const PHONE: &str = "w/phone";

    /// Whether there is a session to log in with.
    pub(crate) async fn is_paired() -> Result<bool> {
        Ok(Store.load().await?.is_some_and(|device| device.is_registered()))
    }

    /// Keeps what the phone said of itself when it was paired (JSON).
    pub(crate) async fn keep_phone(said: &str) -> Result<()> {
        kv::batch(vec![kv::put(PHONE, said)]).await
    }

    /// What the phone said of itself; `None` if it was paired before that was kept.
    pub(crate) async fn phone() -> Result<Option<String>> {
        Ok(kv::get(PHONE).await?.and_then(|said| String::from_utf8(said).ok()))
    }

    /// Deletes everything of the session, the device first: if it is interrupted, the rest is no longer a session.
    pub(crate) async fn forget() -> Result<()> {
        kv::batch(vec![kv::delete("w/device")]).await?;
        kv::clear("w/").await
    }
}
