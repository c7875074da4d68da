//! Sessions: how a connector's stands, opening one (by a QR code or a code to type), ending it.
//!
//! Opening waits on the session's own changes, within a bound; nothing is asked again and again.

use futures::future::{Either, select};
use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::connectors::offering::{checked_address, done, unindexed};
use crate::ports::{Account, Operation, SessionState};
use crate::{Error, Result, TenantIndex};

/// How long an opening is waited for, in milliseconds. What comes later is seen when the session is asked for again.
pub const OPENING_MS: i64 = 20_000;

/// How a session stands, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// How it stands.
    pub state: SessionState,
    /// The account, while it is connected.
    pub account: Option<Account>,
}

impl Commands {
    /// How a connector's session stands.
    pub fn get_session(&self, tenant: TenantIndex, id: Uuid) -> Result<SessionView> {
        let connector = self.live_connector(tenant, id)?;
        let state = self.ports().connectors.session(connector.index);
        Ok(SessionView { account: self.ports().connectors.account(connector.index), state })
    }

    /// Opens a session where there is none, and waits until there is something to show or it is connected. With the address of
    /// the account, it is opened by a code to type on the account's device.
    pub async fn open_session(&self, tenant: TenantIndex, id: Uuid, address: Option<&str>) -> Result<SessionView> {
        let offering = self.offering(tenant, id)?;
        offering.must("sessions")?;
        let address = match address {
            None => None,
            Some(address) => {
                offering.must("pairing-code")?;
                let address = checked_address("phone", address)?;
                let checked = self.addresses(&offering, "phone", vec![address]).await;
                checked.map_err(|error| unindexed(error, "phone"))?.into_iter().next()
            }
        };
        let connectors = &self.ports().connectors;
        let index = offering.connector.index;
        let mut deadline = self.ports().clock.sleep_until(self.ports().clock.now().plus_ms(OPENING_MS));
        let mut seen = connectors.session(index);
        if seen == SessionState::Stopped {
            seen = self.start_stopped(tenant, id).await?.session;
            if matches!(seen, SessionState::Failing(_)) {
                return Ok(SessionView { state: seen, account: None });
            }
        }
        // What the session showed when it was asked to open.
        let mut before: Option<SessionState> = None;
        loop {
            // A code to type may be another account's: it counts after this opening only.
            let anew = before.is_some() || !matches!(seen, SessionState::PairingCode(_));
            if shows(&seen, address.is_some()) && anew && before.as_ref() != Some(&seen) {
                break;
            }
            if before.is_none() && waits_for_a_person(&seen) {
                match connectors.operate(index, Operation::OpenSession(address.clone())).await {
                    Ok(answer) => done(answer)?,
                    // It came up since it was looked at.
                    Err(_) if connectors.session(index) == SessionState::Connected => {}
                    Err(error) => return Err(error.into()),
                }
                before = Some(seen.clone());
            }
            let next = match select(connectors.session_after(index, &seen), deadline).await {
                Either::Left((state, rest)) => Some((state, rest)),
                Either::Right(_) => None,
            };
            let Some((state, rest)) = next else {
                seen = connectors.session(index);
                break;
            };
            seen = state;
            deadline = rest;
        }
        Ok(SessionView { account: connectors.account(index), state: seen })
    }

    /// Logs out and forgets the session; without one, nothing happens.
    pub async fn close_session(&self, tenant: TenantIndex, id: Uuid) -> Result<SessionView> {
        let offering = self.offering(tenant, id)?;
        offering.must("sessions")?;
        if self.ports().connectors.session(offering.connector.index) == SessionState::Stopped {
            // Only the plugin can forget what it stored.
            self.start_stopped(tenant, id).await?;
        }
        let connectors = &self.ports().connectors;
        let index = offering.connector.index;
        if !matches!(connectors.session(index), SessionState::Unpaired(_)) {
            done(self.operate(&offering, "sessions", Operation::CloseSession).await?)?;
        }
        Ok(SessionView { account: connectors.account(index), state: connectors.session(index) })
    }
}

/// Whether there is what an opening waits for: a session, or the code that begins one.
fn shows(state: &SessionState, by_typing: bool) -> bool {
    match state {
        SessionState::Connected => true,
        SessionState::QrCode(_) => !by_typing,
        SessionState::PairingCode(_) => by_typing,
        _ => false,
    }
}

/// Whether nothing goes on by itself. A connector that starts, connects or restarts goes on: it is asked when it waits.
fn waits_for_a_person(state: &SessionState) -> bool {
    matches!(
        state,
        SessionState::Unpaired(_)
            | SessionState::LoggedOut(_)
            | SessionState::Disconnected(_)
            | SessionState::QrCode(_)
            | SessionState::PairingCode(_)
    )
}

/// The connector's id in a path of a facade that takes any text: one that is no id is the id of nothing.
pub(crate) fn given_id(id: &str) -> Result<Uuid> {
    Uuid::parse_str(id.trim()).map_err(|_| Error::not_found("Connector"))
}
