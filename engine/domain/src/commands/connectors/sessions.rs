//! Sessions of connectors: their state, opening one (by a QR code or a code to type), the steps that linking an account may ask besides,
//! connecting one again, ending it.
//!
//! Opening waits for changes of the session, for a bounded time; there is no polling.

use futures::future::{Either, select};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::commands::Commands;
use crate::commands::connectors::offering::{checked_address, done, unindexed};
use crate::ports::{Account, LinkStep, Operation, SessionState};
use crate::{ConnectorIndex, Error, Field, Result, TenantIndex, Timestamp};

/// How long an opening waits, in milliseconds. A code that comes later is seen at the next request for the session.
pub const OPENING_MS: i64 = 20_000;

/// The state of a session, and its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// The state.
    pub state: SessionState,
    /// The account, while it is connected.
    pub account: Option<Account>,
    /// What linking the account asks of a person now.
    pub link_step: Option<LinkStep>,
    /// When the session last became connected, since the engine started.
    pub connected_at: Option<Timestamp>,
}

/// What ends with a session that works, for whoever is about to end it.
pub const LOGOUT_WARNING: &str = "the session works: once it is logged out, the account can only be linked again by somebody who has its \
                                  phone, and the channel may ask that person for a passkey";

/// The operation by which a person's answer to a step of linking comes to the connector.
const LINK_STEP: &str = "link-step";

impl Commands {
    /// The state of a connector's session.
    pub fn get_session(&self, tenant: TenantIndex, id: Uuid) -> Result<SessionView> {
        let connector = self.live_connector(tenant, id)?;
        Ok(self.viewed(connector.index, self.ports().connectors.session(connector.index)))
    }

    fn viewed(&self, index: ConnectorIndex, state: SessionState) -> SessionView {
        let connectors = &self.ports().connectors;
        SessionView {
            account: connectors.account(index),
            link_step: self.waiting_step(index),
            connected_at: connectors.connected_at(index),
            state,
        }
    }

    /// The step of linking that waits for a person; none whose time is over.
    fn waiting_step(&self, index: ConnectorIndex) -> Option<LinkStep> {
        let step = self.ports().connectors.link_step(index)?;
        step.expires_at.is_none_or(|at| self.now() < at).then_some(step)
    }

    /// Passes a person's answer to a step of linking on to the connector. Nothing of it is stored or logged. Fails with
    /// [`Unsupported`](crate::ErrorCode::Unsupported) if the plugin has no such steps, and as invalid if the step does not wait or the
    /// answer cannot be right.
    pub async fn answer_link_step(
        &self,
        tenant: TenantIndex,
        id: Uuid,
        step: &str,
        answer: Value,
    ) -> Result<SessionView> {
        self.operate_own(tenant, id, LINK_STEP, &json!({ "id": step, "answer": answer })).await?;
        self.get_session(tenant, id)
    }

    /// Refuses to let somebody link a connector's account: if its plugin has no sessions, or the session works.
    pub fn check_linkable(&self, tenant: TenantIndex, id: Uuid) -> Result<()> {
        let offering = self.offering(tenant, id)?;
        offering.must("sessions")?;
        if self.ports().connectors.session(offering.connector.index) == SessionState::Connected {
            return Err(Error::conflict("the session works: there is no account to link"));
        }
        Ok(())
    }

    /// What to say to whoever is about to log the connector's session out; `None` if it does not work anyway.
    pub fn logout_warning(&self, tenant: TenantIndex, id: Uuid) -> Result<Option<&'static str>> {
        let offering = self.offering(tenant, id)?;
        let works = self.ports().connectors.session(offering.connector.index) == SessionState::Connected;
        Ok((works && offering.plugin.needs_session).then_some(LOGOUT_WARNING))
    }

    /// Opens a session if there is none, and waits until there is a code to show or it is connected. With the address of the
    /// account, it is opened by a code to type on the account's device.
    pub async fn open_session(&self, tenant: TenantIndex, id: Uuid, address: Option<&str>) -> Result<SessionView> {
        let offering = self.offering(tenant, id)?;
        offering.must("sessions")?;
        let address = match address {
            None => None,
            Some(address) => {
                offering.must("pairing-code")?;
                let address = checked_address(Field::Phone, address)?;
                let checked = self.addresses(&offering, Field::Phone, vec![address]).await;
                checked.map_err(|error| unindexed(error, Field::Phone))?.into_iter().next()
            }
        };
        let connectors = &self.ports().connectors;
        let index = offering.connector.index;
        let mut deadline = self.ports().clock.sleep_until(self.ports().clock.now().plus_ms(OPENING_MS));
        let mut seen = connectors.session(index);
        if seen == SessionState::Stopped {
            seen = self.start_stopped(tenant, id).await?.session;
            if matches!(seen, SessionState::Failing(_)) {
                return Ok(SessionView { account: None, ..self.viewed(index, seen) });
            }
        }
        // What the session showed when it was asked to open.
        let mut before: Option<SessionState> = None;
        loop {
            // Whoever used the code is asked for more: another code would be of no use.
            if self.waiting_step(index).is_some() {
                break;
            }
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
        Ok(self.viewed(index, seen))
    }

    /// Connects a session that is there but broken, or opens one if there is none. A session that is connected, is being connected
    /// or waits for a person with a code stays as it is.
    pub async fn reconnect_session(&self, tenant: TenantIndex, id: Uuid) -> Result<SessionView> {
        let offering = self.offering(tenant, id)?;
        offering.must("sessions")?;
        let (connectors, index) = (&self.ports().connectors, offering.connector.index);
        match connectors.session(index) {
            SessionState::Unpaired(_) | SessionState::LoggedOut(_) => return self.open_session(tenant, id, None).await,
            SessionState::Stopped | SessionState::Disconnected(_) | SessionState::Failing(_) => {
                let _turn = self.connector_writes.of(index).await;
                let connector = self.live_connector(tenant, id)?;
                // Another request may have done it meanwhile.
                if matches!(
                    connectors.session(index),
                    SessionState::Stopped | SessionState::Disconnected(_) | SessionState::Failing(_)
                ) {
                    let state = self.started(connector).await.session;
                    return Ok(self.viewed(index, state));
                }
            }
            _ => {}
        }
        Ok(self.viewed(index, connectors.session(index)))
    }

    /// Logs out and deletes the session; does nothing if there is none.
    pub async fn close_session(&self, tenant: TenantIndex, id: Uuid) -> Result<SessionView> {
        let offering = self.offering(tenant, id)?;
        offering.must("sessions")?;
        if self.ports().connectors.session(offering.connector.index) == SessionState::Stopped {
            // Only the plugin can forget what it stored.
            self.start_stopped(tenant, id).await?;
        }
        let connectors = &self.ports().connectors;
        let index = offering.connector.index;
        // While a step of linking waits, there is something to stop.
        if !matches!(connectors.session(index), SessionState::Unpaired(_)) || self.waiting_step(index).is_some() {
            done(self.operate(&offering, "sessions", Operation::CloseSession).await?)?;
        }
        Ok(self.viewed(index, connectors.session(index)))
    }
}

/// Whether the state is one that an opening waits for: a session, or the code that begins one.
fn shows(state: &SessionState, by_typing: bool) -> bool {
    match state {
        SessionState::Connected => true,
        SessionState::QrCode(_) => !by_typing,
        SessionState::PairingCode(_) => by_typing,
        _ => false,
    }
}

/// Whether nothing happens until a person acts. A connector that starts, connects or restarts does not wait for a person.
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
