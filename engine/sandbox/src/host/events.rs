//! `events`: what a connector tells of its session. Receipts and inbound messages are taken and counted only: nothing in this
//! engine consumes them yet.

use pombo_domain::ports::SessionState;
use wasmtime::component::{Accessor, HasSelf};

use super::granted;
use crate::bindings::host::events::{self, Event, State};
use crate::capability::Capability;
use crate::limits::{REASON_BYTES, cut};
use crate::state::HostState;

/// A QR code's content; pairing codes are far shorter.
const QR_BYTES: usize = 4096;

impl events::Host for HostState {}

impl<T: Send + 'static> events::HostWithStore<T> for HasSelf<HostState> {
    async fn emit(accessor: &Accessor<T, Self>, event: Event) -> Result<(), events::Error> {
        let (context, _) = granted(accessor, Capability::Events).map_err(events::Error::Refused)?;
        let state = match event {
            Event::State(state) => state,
            Event::Receipt(_) | Event::Message(_) | Event::Presence(_) | Event::Contact(_) | Event::Other(_) => {
                tracing::debug!(connector = %context.id, "a connector's event has no consumer");
                return Ok(());
            }
        };
        context.session.set(match state {
            State::Connecting => SessionState::Connecting,
            State::Connected(_) => SessionState::Connected,
            State::Disconnected(why) => SessionState::Disconnected(cut(&why, REASON_BYTES)),
            State::LoggedOut(why) => SessionState::Disconnected(format!("logged out: {}", cut(&why, REASON_BYTES))),
            State::Qr(code) | State::PairingCode(code) if code.len() > QR_BYTES => return Err(events::Error::TooLarge),
            State::Qr(code) | State::PairingCode(code) => SessionState::QrCode(code),
        });
        Ok(())
    }
}
