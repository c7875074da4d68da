//! Sessions: how a connector's stands, opening one (by a QR code or a code to type), ending it.
//!
//! Opening waits on the session's own changes, within a bound; nothing is asked again and again.

use futures::future::{Either, select};
use uuid::Uuid;

use super::Commands;
use super::operations::{Offering, checked_address, done, unindexed};
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
        let mut before = connectors.session(index);
        if before == SessionState::Stopped {
            before = self.start_stopped(tenant, id).await?.session;
        }
        let shown = matches!(
            (&before, &address),
            (SessionState::Connected, _) | (SessionState::QrCode(_), None) | (SessionState::Connecting, None)
        );
        if !shown {
            let opening = Operation::OpenSession(address);
            match connectors.operate(index, opening).await {
                Ok(answer) => done(answer)?,
                // It became connected, or shows a code, since it was looked at.
                Err(_) if settled(&connectors.session(index)) && connectors.session(index) != before => {}
                Err(error) => return Err(error.into()),
            }
        }
        let state = if shown && settled(&before) { before } else { self.opened(&offering, before, shown).await };
        Ok(SessionView { account: connectors.account(index), state })
    }

    /// Waits until the session shows something; unless `any`, what it showed before the opening does not count.
    async fn opened(&self, offering: &Offering, before: SessionState, any: bool) -> SessionState {
        let connectors = &self.ports().connectors;
        let index = offering.connector.index;
        let mut deadline = self.ports().clock.sleep_until(self.ports().clock.now().plus_ms(OPENING_MS));
        let mut seen = before.clone();
        loop {
            if settled(&seen) && (any || seen != before) {
                return seen;
            }
            let next = match select(connectors.session_after(index, &seen), deadline).await {
                Either::Left((state, rest)) => Some((state, rest)),
                Either::Right(_) => None,
            };
            let Some((state, rest)) = next else { return connectors.session(index) };
            seen = state;
            deadline = rest;
        }
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

/// Whether there is something to show, or nothing more to wait for.
fn settled(state: &SessionState) -> bool {
    matches!(state, SessionState::Connected | SessionState::QrCode(_) | SessionState::PairingCode(_))
}

/// The connector's id in a path of a facade that takes any text: one that is no id is the id of nothing.
pub(super) fn given_id(id: &str) -> Result<Uuid> {
    Uuid::parse_str(id.trim()).map_err(|_| Error::not_found("Connector"))
}
