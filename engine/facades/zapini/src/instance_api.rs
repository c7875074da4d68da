//! Section "API da Instância": what one instance answers about itself, and sends. Its answers are flat.

use std::sync::Arc;

use poem::Request;
use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::{Object, OpenApi};
use pombo_api::declared::{Declared, Param};
use pombo_api::error::Failure;
use pombo_api::json::{JsonBytes, SerdeJson};
use pombo_api::options::ApiState;
use pombo_api::qr;
use pombo_domain::Timestamp;
use pombo_domain::commands::connectors::overview::ConnectorOverview;
use pombo_domain::model::Right;
use pombo_domain::ports::SessionState;
use serde::Serialize;
use uuid::Uuid;

use crate::credentials::Caller;
use crate::envelope::Settled;
use crate::errors::{BODY, CHANNEL, NAMED, Refused, VALUES};
use crate::gate::State;
use crate::instance::{InstanceStatus, phone_number};
use crate::media_message::{MediaFields, SENT, SendMedia, send_media};
use crate::params::{self, Text};
use crate::refs::serving;
use crate::sending::{ChatReactionFields, Reached, SendMessage, SendReaction, TextFields, react_in_chat, send_text};
use crate::times::millis;
use crate::{Section, ZapiniDeps};

/// What is said of a send whose outcome is still to come.
const UNDER_WAY: &str = "WhatsApp may have it; its outcome is not known yet";

/// The state of the instance's connection.
#[derive(Debug, Serialize, Object)]
struct OwnStatus {
    /// Always `true`.
    success: bool,
    /// Whether it is connected.
    status: InstanceStatus,
    /// The account's phone number; the last one known while it is not connected.
    #[oai(nullable)]
    phone: Option<String>,
    /// Name that the account goes by, while it is connected.
    #[oai(nullable)]
    name: Option<String>,
    /// The system of the account's phone, e.g. `android`, while it is connected; null where WhatsApp did not tell it.
    #[oai(nullable)]
    platform: Option<String>,
}

/// The code by which the account is connected.
#[derive(Debug, Serialize, Object)]
struct OwnQrCode {
    /// Always `true`.
    success: bool,
    /// The code's text.
    qr: String,
    /// The code as a PNG in a data URL.
    qr_image: String,
    /// Always `qr_ready`.
    status: InstanceStatus,
}

/// What became of a send.
#[derive(Debug, Serialize, Object)]
struct OwnSent {
    /// Always `true`.
    success: bool,
    /// What was done, for people.
    message: String,
    /// WhatsApp's id of the message; null while it is not known.
    #[oai(nullable)]
    message_id: Option<String>,
    /// When WhatsApp accepted it; with status 202, the present time.
    timestamp: String,
    /// The message's UUID, by which it is found also while `message_id` is null; left out where nothing had to be sent.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    message_uuid: Option<Uuid>,
    /// With status 202: always `pending`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
}

impl OwnSent {
    /// `None` for what needed nothing to be sent.
    fn of(done: Option<Reached>, said: &str, now: Timestamp) -> Settled<SerdeJson<Self>> {
        let (id, provider_id, at) = match done {
            Some(Reached { id, provider_id, at }) => (Some(id), provider_id, at),
            None => (None, None, Some(now)),
        };
        let sent = |message: &str, status| {
            let timestamp = millis(at.unwrap_or(now));
            let message = message.to_owned();
            SerdeJson(Self { success: true, message, message_id: provider_id, timestamp, message_uuid: id, status })
        };
        match at {
            Some(_) => Settled::Done(sent(said, None)),
            None => Settled::UnderWay(sent(UNDER_WAY, Some("pending".to_owned()))),
        }
    }
}

/// The instance that serves a send: the one of its host name, else of its query, else of its body.
fn sending_instance(
    state: &Arc<ApiState>,
    caller: &Caller,
    request: &Request,
    query: Query<Option<Param<Text>>>,
    body: Option<&str>,
) -> Result<ConnectorOverview, Failure> {
    let given = params::given(query);
    serving(state, caller, request, given.as_deref().or(body))
}

/// How the server is.
#[derive(Debug, Serialize, Object)]
struct Health {
    /// Always `ok`.
    status: String,
    /// Seconds since the server started.
    uptime: u64,
    /// The present time.
    timestamp: String,
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct InstanceApi;

impl pombo_api::Section for InstanceApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::InstanceApi")]
impl InstanceApi {
    /// Send a text message
    ///
    /// Goes ahead of everything that is queued, and answers when WhatsApp has accepted it. The text arrives as it is written. What cannot
    /// be sent in time is not sent at all (503), so it may be sent again; 202 means that WhatsApp may have it, so it must not.
    #[oai(path = "/send-message", method = "post", operation_id = "send_own_message")]
    async fn send_own_message(
        &self,
        caller: Caller,
        state: State<'_>,
        deps: Data<&Arc<ZapiniDeps>>,
        request: &Request,
        /// UUID or number of the instance, where the host name does not name it.
        instance_id: Query<Option<Param<Text>>>,
        body: JsonBytes<Declared<SendMessage>>,
    ) -> Result<Settled<SerdeJson<OwnSent>>, Refused<{ NAMED | BODY | CHANNEL }>> {
        caller.must(Right::Converse)?;
        let message = body.object::<TextFields<'_>>()?.checked()?;
        let view = sending_instance(&state, &caller, request, instance_id, message.instance.as_deref())?;
        let sent = send_text(&state, &caller, &deps, &view, message).await?;
        Ok(OwnSent::of(Some(sent), "Message sent successfully", state.commands.now()))
    }

    /// Send a file
    ///
    /// As for sending a message. The file is uploaded before (`media_id`), or fetched from `media_url` while the request waits: at most
    /// 16 MB for an image or audio, 64 MB for a video, 100 MB for a document, in the formats of `POST /media/upload`. It must be what
    /// `media_type` says, or is sent as a document. WhatsApp has no captions for audio: there the caption is a message of its own.
    #[oai(path = "/send-media", method = "post", operation_id = "send_own_media")]
    async fn send_own_media(
        &self,
        caller: Caller,
        state: State<'_>,
        deps: Data<&Arc<ZapiniDeps>>,
        request: &Request,
        /// UUID or number of the instance, where the host name does not name it.
        instance_id: Query<Option<Param<Text>>>,
        body: JsonBytes<Declared<SendMedia>>,
    ) -> Result<Settled<SerdeJson<OwnSent>>, Refused<{ NAMED | BODY | CHANNEL }>> {
        caller.must(Right::Converse)?;
        let message = body.object::<MediaFields<'_>>()?.checked()?;
        let view = sending_instance(&state, &caller, request, instance_id, message.instance.as_deref())?;
        let sent = send_media(&state, &caller, &deps, &view, message).await?;
        Ok(OwnSent::of(Some(sent), SENT, state.commands.now()))
    }

    /// React to a message
    ///
    /// As for sending a message. An empty emoji removes the reaction. Of a message that the instance does not know, WhatsApp's id is
    /// enough in a chat with one person, who then counts as its author; in a group it is not found.
    #[oai(path = "/send-reaction", method = "post", operation_id = "send_own_reaction")]
    async fn send_own_reaction(
        &self,
        caller: Caller,
        state: State<'_>,
        deps: Data<&Arc<ZapiniDeps>>,
        request: &Request,
        /// UUID or number of the instance, where the host name does not name it.
        instance_id: Query<Option<Param<Text>>>,
        body: JsonBytes<Declared<SendReaction>>,
    ) -> Result<Settled<SerdeJson<OwnSent>>, Refused<{ NAMED | BODY | CHANNEL }>> {
        caller.must(Right::Converse)?;
        let reaction = body.object::<ChatReactionFields<'_>>()?.checked()?;
        let view = sending_instance(&state, &caller, request, instance_id, reaction.instance.as_deref())?;
        let sent = react_in_chat(&state, &caller, &deps, &view, reaction).await?;
        Ok(OwnSent::of(sent, "Reaction sent successfully", state.commands.now()))
    }

    /// Get the instance's status
    ///
    /// Of the instance that the host name names, or `instance_id`, or the only one that the token may use.
    #[oai(path = "/status", method = "get", operation_id = "get_own_status")]
    async fn get_own_status(
        &self,
        caller: Caller,
        state: State<'_>,
        request: &Request,
        /// UUID or number of the instance, where the host name does not name it.
        instance_id: Query<Option<Param<Text>>>,
    ) -> Result<SerdeJson<OwnStatus>, Refused<{ NAMED | VALUES }>> {
        caller.must(Right::Read)?;
        let given = instance_id.0.map(|given| given.0);
        let view = serving(&state, &caller, request, given.as_deref())?;
        let (status, phone) = (InstanceStatus::of(&view.session), phone_number(&view));
        let (name, platform) = view.account.map_or((None, None), |account| (account.display_name, account.platform));
        Ok(SerdeJson(OwnStatus { success: true, status, phone, name, platform }))
    }

    /// Get the instance's QR code
    ///
    /// Only while the status is `qr_ready`; otherwise 400. Does not begin to connect the instance: `GET /instances/{uuid}/qr` does.
    #[oai(path = "/qr", method = "get", operation_id = "get_own_qr")]
    async fn get_own_qr(
        &self,
        caller: Caller,
        state: State<'_>,
        request: &Request,
        /// UUID or number of the instance, where the host name does not name it.
        instance_id: Query<Option<Param<Text>>>,
    ) -> Result<SerdeJson<OwnQrCode>, Refused<{ NAMED | VALUES }>> {
        caller.must(Right::ManageConnectors)?;
        let given = instance_id.0.map(|given| given.0);
        let view = serving(&state, &caller, request, given.as_deref())?;
        let SessionState::QrCode(text) = view.session else {
            let message = "there is a QR code only while the status is qr_ready; connect the instance first";
            let failure = Failure::new(StatusCode::BAD_REQUEST, message);
            return Err(
                Failure { code: Some("QR_NOT_AVAILABLE"), connector_id: Some(view.connector.id), ..failure }.into()
            );
        };
        let qr_image = qr::png_data_url(&text)?;
        Ok(SerdeJson(OwnQrCode { success: true, qr: text, qr_image, status: InstanceStatus::QrReady }))
    }

    /// Get the server's health
    #[oai(path = "/health", method = "get", operation_id = "get_server_health")]
    async fn get_server_health(&self, state: State<'_>, deps: Data<&Arc<ZapiniDeps>>) -> SerdeJson<Health> {
        let now = state.commands.now();
        let uptime = now.since(deps.started).max(0).unsigned_abs() / 1000;
        SerdeJson(Health { status: "ok".to_owned(), uptime, timestamp: millis(now) })
    }
}
