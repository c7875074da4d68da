//! Section Sessions: opening, showing and ending the session of a connector whose plugin needs one, the steps that linking an account may
//! ask besides, and links for whoever has the phone and no login.
//!
//! A QR or pairing code gives anyone who has it access to the account, so only these operations and the page of such a link return it.

use std::sync::Arc;

use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_domain::commands::connectors::sessions::SessionView;
use pombo_domain::ports::{Account, SessionState};
use serde::Deserialize;

use crate::Section;
use crate::access::Acting;
use crate::deps::ControlDeps;
use crate::wire::hearing::Deaf;
use crate::wire::link_step::{LinkStepReport, PasskeyAnswer};
use crate::wire::session::{Session, SessionStatus};
use crate::wire::{BODY, CHANNEL, CONFLICT, Created, Instant, PathId, READ, Refused, body, optional};
use pombo_api::error::Failure;
use pombo_api::json::{JsonBytes, OptionalJsonBytes};
use pombo_api::options::ApiState;
use pombo_api::qr;

#[derive(Default)]
pub(crate) struct Sessions;

impl pombo_api::Section for Sessions {
    const FILE: &'static str = file!();
}

/// How to open a session.
#[derive(Object, Deserialize, Default)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenSession {
    /// The account's own address: the session is then opened by a code to type on the account's device (the feature
    /// `pairing-code`). If omitted, by a QR code.
    #[oai(nullable, validator(min_length = 1, max_length = 320))]
    phone: Option<String>,
}

/// The account of a session.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct SessionAccount {
    /// Address of the account on the channel.
    address: String,
    /// Name that the account goes by.
    #[oai(skip_serializing_if_is_none)]
    display_name: Option<String>,
    /// Other addresses of the account.
    aliases: Vec<String>,
    /// What its app runs on, if the connector knows it, e.g. `android`.
    #[oai(skip_serializing_if_is_none)]
    platform: Option<String>,
    /// Whether it is an account for businesses, if the connector knows it.
    #[oai(skip_serializing_if_is_none)]
    business: Option<bool>,
    /// The version of the channel's protocol that the connector speaks, if it tells it.
    #[oai(skip_serializing_if_is_none)]
    protocol_version: Option<String>,
}

impl From<Account> for SessionAccount {
    fn from(account: Account) -> Self {
        Self {
            address: account.address,
            display_name: account.display_name,
            aliases: account.aliases,
            platform: account.platform,
            business: account.business,
            protocol_version: account.protocol_version,
        }
    }
}

/// A link for whoever has the phone and no login.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct SessionLinkMade {
    /// The page. Whoever has the URL can link the connector with an account: give it to nobody else.
    url: String,
    /// Until when it opens.
    expires_at: Instant,
}

/// A session, with the codes that open it.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct SessionReport {
    /// State of the session.
    status: SessionStatus,
    /// Why it is not connected.
    reason: Option<String>,
    /// With QR_CODE: the text of the code to scan. The code changes, so ask again for the current one.
    qr_text: Option<String>,
    /// With QR_CODE: the code as a picture, a PNG in a data URL.
    qr_code: Option<String>,
    /// With PAIRING_CODE: the code to type on the account's device.
    pairing_code: Option<String>,
    /// With CONNECTED: the account.
    account: Option<SessionAccount>,
    /// With CONNECTED, and only where the session is read (GET): set while it does not hear what it should.
    deaf: Option<Deaf>,
    /// What linking the account asks of a person now.
    link_step: Option<LinkStepReport>,
    /// After a session that worked was logged out without `confirm=true`: what that means.
    warning: Option<String>,
}

impl SessionReport {
    fn of(view: SessionView, deaf: Option<Deaf>) -> Result<Self, Failure> {
        let (mut qr_text, mut qr_code, mut pairing_code) = (None, None, None);
        match &view.state {
            SessionState::QrCode(text) => {
                qr_code = Some(qr::png_data_url(text)?);
                qr_text = Some(text.clone());
            }
            SessionState::PairingCode(code) => pairing_code = Some(code.clone()),
            _ => {}
        }
        let deaf = deaf.filter(|_| view.state == SessionState::Connected);
        let Session { status, reason } = view.state.into();
        Ok(Self {
            status,
            reason,
            qr_text,
            qr_code,
            pairing_code,
            account: view.account.map(SessionAccount::from),
            deaf,
            link_step: view.link_step.map(LinkStepReport::from),
            warning: None,
        })
    }
}

#[OpenApi(tag = "Section::Sessions")]
impl Sessions {
    /// Open a connector's session
    ///
    /// Waits, up to 20 seconds, until there is a code to show or the session is connected. A connected session stays as it is.
    /// Only for connectors whose plugin has the feature `sessions`.
    #[oai(path = "/v1/connectors/:id/session", method = "post", operation_id = "open_session")]
    async fn open_session(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: OptionalJsonBytes<OpenSession>,
    ) -> Result<Json<SessionReport>, Refused<{ READ | BODY | CHANNEL }>> {
        let asked = optional(&json)?;
        let phone = asked.phone.as_deref();
        let view = state.commands.open_session(acting.tenant, id.of("Connector")?, phone).await?;
        Ok(Json(SessionReport::of(view, None)?))
    }

    /// Get a connector's session
    ///
    /// A session that is CONNECTED by its plugin's word and does not hear what it should is `deaf` as well.
    #[oai(path = "/v1/connectors/:id/session", method = "get", operation_id = "get_session")]
    async fn get_session(
        &self,
        state: Data<&Arc<ApiState>>,
        deps: Data<&Arc<ControlDeps>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<SessionReport>, Refused<READ>> {
        let connector = state.commands.get_connector(acting.tenant, id.of("Connector")?)?.connector;
        let view = state.commands.get_session(acting.tenant, connector.id)?;
        Ok(Json(SessionReport::of(view, Deaf::of(deps.hearing.hearing(connector.index)))?))
    }

    /// Log out and delete a connector's session
    ///
    /// Does nothing if there is no session. The connector continues to accept messages, and keeps them. Linking an account again needs
    /// somebody who has its phone, and the channel may ask that person for a passkey: with `confirm=false`, a session that works is not
    /// logged out, and the answer (409) says so. While linking waits for a step, this stops it.
    #[oai(path = "/v1/connectors/:id/session", method = "delete", operation_id = "close_session")]
    async fn close_session(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        /// Whether the caller has considered what the end of a session that works means. With `false` it is not ended; without it, it is
        /// ended with a `warning` in the answer.
        confirm: Query<Option<bool>>,
    ) -> Result<Json<SessionReport>, Refused<{ READ | CHANNEL }>> {
        let id = id.of("Connector")?;
        let warning = state.commands.logout_warning(acting.tenant, id)?;
        if let (Some(false), Some(warning)) = (confirm.0, warning) {
            let message = format!("{warning}; nothing was done: repeat it with confirm=true");
            return Err(Failure::new(StatusCode::CONFLICT, message).into());
        }
        let view = state.commands.close_session(acting.tenant, id).await?;
        let warning = warning.filter(|_| confirm.0.is_none()).map(str::to_owned);
        Ok(Json(SessionReport { warning, ..SessionReport::of(view, None)? }))
    }

    /// Answer a step that waits for a passkey
    ///
    /// The session shows the step as `linkStep`: first `passkey`, whose options are for `navigator.credentials.get` on the channel's own
    /// page, then `passkey-confirm`, whose code a person compares with the one on the phone. What the channel makes of an answer shows in
    /// the session; an answer that cannot be right is refused here, and the step still waits.
    #[oai(path = "/v1/connectors/:id/session/passkey", method = "post", operation_id = "answer_passkey")]
    async fn answer_passkey(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<PasskeyAnswer>,
    ) -> Result<Json<SessionReport>, Refused<{ READ | BODY | CHANNEL }>> {
        let id = id.of("Connector")?;
        let (step, answer) = body(&json)?.read()?;
        let view = state.commands.answer_link_step(acting.tenant, id, &step, answer).await?;
        Ok(Json(SessionReport::of(view, None)?))
    }

    /// Make a link for whoever has the phone
    ///
    /// The page behind it needs no login: it shows the QR code, then the steps that the channel asks for, such as a passkey. It opens for ten
    /// minutes, until the session is connected, until the next link of this connector is made, or until the engine restarts, whichever comes
    /// first.
    #[oai(path = "/v1/connectors/:id/session/link", method = "post", operation_id = "create_session_link")]
    async fn create_session_link(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Created<SessionLinkMade>, Refused<{ READ | CONFLICT }>> {
        let id = id.of("Connector")?;
        state.commands.check_linkable(acting.tenant, id)?;
        let (url, expires_at) = state.session_links.make(acting.tenant, id, state.commands.now());
        Ok(Created::Made(Json(SessionLinkMade { url, expires_at: Instant(expires_at) })))
    }
}
