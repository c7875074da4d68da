//! Section "Webhooks": what a gateway elsewhere tells of an instance. The instance's plugin reads the bodies, which is why they are only
//! declared here and passed on as they came.

use std::marker::PhantomData;

use poem::http::StatusCode;
use poem::{Request, RequestBody};
use poem_openapi::param::{Path, Query};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions, OpenApi};
use pombo_api::declared::{Declared, Declares, Param};
use pombo_api::error::{Failure, status};
use pombo_api::options::ApiState;
use pombo_api::receiving::{Arrived, receive};
use pombo_domain::ConnectorIndex;
use pombo_domain::commands::connectors::receiving::ReceiverRef;
use pombo_domain::ports::ReceivedResponse;
use serde_json::json;
use uuid::Uuid;

use crate::Section;
use crate::envelope::Said;
use crate::errors::{Refused, VALUES};
use crate::gate::State;
use crate::params::Text;
use crate::schemas::{described, inline};

/// What a gateway may be refused with.
const RECEIVE: u16 = VALUES | status::UNAUTHORIZED | status::FORBIDDEN | status::TOO_LARGE | status::UNAVAILABLE;

/// Maximum length of a plugin's reason, in characters.
const MAX_REASON_CHARS: usize = 300;

/// After how many milliseconds a gateway is asked to repeat what the plugin could not take.
const RETRY_MS: u64 = 5_000;

type Fields = Vec<(&'static str, MetaSchemaRef)>;

/// An object with these fields, all of which may be left out or null; it may have others.
fn object(description: &'static str, properties: Fields) -> MetaSchema {
    MetaSchema { description: Some(description), nullable: true, properties, ..MetaSchema::new("object") }
}

fn text(description: &'static str) -> MetaSchemaRef {
    inline(MetaSchema { nullable: true, ..described(description) })
}

fn flag(description: &'static str) -> MetaSchemaRef {
    inline(MetaSchema { description: Some(description), nullable: true, ..MetaSchema::new("boolean") })
}

fn number(description: &'static str) -> MetaSchemaRef {
    inline(MetaSchema { description: Some(description), nullable: true, ..MetaSchema::new("integer") })
}

/// Which message it is.
fn key() -> MetaSchemaRef {
    let fields = vec![
        ("remoteJid", text("JID of the chat.")),
        ("id", text("WhatsApp's id of the message.")),
        ("fromMe", flag("Whether it is a message of the instance's own account.")),
    ];
    inline(object("Which message it is.", fields))
}

/// `IncomingMessage` in the document.
struct Incoming;

impl Declares for Incoming {
    const NAME: &'static str = "IncomingMessage";

    fn schema(_: &mut Registry) -> MetaSchema {
        let content = |description| inline(object(description, Vec::new()));
        let message = vec![
            ("conversation", text("A text.")),
            ("extendedTextMessage", content("A text with a preview of a link, or a reply.")),
            ("imageMessage", content("An image, with its caption.")),
            ("videoMessage", content("A video, with its caption.")),
            ("audioMessage", content("An audio file or a voice note.")),
            ("documentMessage", content("A document.")),
        ];
        let fields = vec![
            ("remoteJid", text("JID of the chat.")),
            ("message", inline(object("What it says: one of these is set.", message))),
            ("messageTimestamp", number("When it was sent, in seconds since 1970.")),
            ("pushName", text("The name that the sender goes by.")),
            ("key", key()),
            ("participant", text("In a group, JID of the sender.")),
            ("isGroup", flag("Whether the chat is a group.")),
        ];
        let example = json!({
            "remoteJid": "5511999999999@s.whatsapp.net",
            "message": {"conversation": "Hello!"},
            "messageTimestamp": 1_705_312_200,
            "pushName": "Customer Name",
            "key": {"remoteJid": "5511999999999@s.whatsapp.net", "fromMe": false, "id": "ABC123"}
        });
        declared("A message that was received.", fields, example)
    }
}

/// `MessageStatusUpdate` in the document.
struct StatusUpdate;

impl Declares for StatusUpdate {
    const NAME: &'static str = "MessageStatusUpdate";

    fn schema(_: &mut Registry) -> MetaSchema {
        let fields = vec![
            ("key", key()),
            ("status", number("1 pending, 2 sent, 3 delivered, 4 read, 5 played.")),
            ("messageTimestamp", number("When it happened, in seconds since 1970.")),
        ];
        let example = json!({
            "key": {"remoteJid": "5511999999999@s.whatsapp.net", "id": "3EB0ABC123456789", "fromMe": true},
            "status": 3,
            "messageTimestamp": 1_705_312_200
        });
        declared("How far a sent message came.", fields, example)
    }
}

/// `QrUpdate` in the document.
struct QrUpdate;

impl Declares for QrUpdate {
    const NAME: &'static str = "QrUpdate";

    fn schema(_: &mut Registry) -> MetaSchema {
        let fields = vec![
            ("qr", text("The code's text.")),
            ("qr_image", text("The code as a picture in a data URL.")),
            ("generated_at", text("When it was made.")),
        ];
        let example = json!({"qr": "2@ABC123...", "qr_image": "...", "generated_at": "2025-01-15T10:30:00Z"});
        declared("A new QR code.", fields, example)
    }
}

/// `ConnectionUpdate` in the document.
struct ConnectionUpdate;

impl Declares for ConnectionUpdate {
    const NAME: &'static str = "ConnectionUpdate";

    fn schema(_: &mut Registry) -> MetaSchema {
        let fields = vec![
            ("status", text("`connected`, `qr_ready`, `disconnected` or `offline`.")),
            ("phone_number", text("The account's phone number.")),
            ("timestamp", text("When it happened.")),
        ];
        let example =
            json!({"status": "connected", "phone_number": "5511999999999", "timestamp": "2025-01-15T10:30:00Z"});
        declared("How the connection stands.", fields, example)
    }
}

/// `ReactionUpdate` in the document.
struct ReactionUpdate;

impl Declares for ReactionUpdate {
    const NAME: &'static str = "ReactionUpdate";

    fn schema(_: &mut Registry) -> MetaSchema {
        let target = inline(object("Which message the reaction is to.", vec![("id", text("WhatsApp's id."))]));
        let reaction = vec![("text", text("The emoji; empty where it is taken back.")), ("key", target)];
        let fields = vec![
            ("key", key()),
            ("reaction", inline(object("The reaction.", reaction))),
            ("senderJid", text("JID of the person who reacted.")),
        ];
        let example = json!({
            "key": {"remoteJid": "5511999999999@s.whatsapp.net", "id": "3EB0ABC123456789", "fromMe": false},
            "reaction": {"text": "👍", "key": {"id": "3EB0DEF987654321"}},
            "senderJid": "5511888888888@s.whatsapp.net"
        });
        declared("A reaction to a message.", fields, example)
    }
}

fn declared(description: &'static str, properties: Fields, example: serde_json::Value) -> MetaSchema {
    MetaSchema { nullable: false, example: Some(example), ..object(description, properties) }
}

/// A body that is declared as `T` and passed on as it came.
struct Posted<T> {
    arrived: Arrived,
    named: ReceiverRef,
    declared: PhantomData<fn() -> T>,
}

impl<'a, T: Declares> ApiExtractor<'a> for Posted<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Declared<T> as Type>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let schema = <Declared<T> as Type>::schema_ref();
        let content = vec![MetaMediaType { content_type: "application/json", schema }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        // Read from the path, in which it stands before the last part: poem gives the parameters of documented operations names of its own.
        let named = named(request.uri().path().rsplit('/').nth(1).unwrap_or_default());
        Ok(Self { arrived: Arrived::read(request, body, named).await?, named, declared: PhantomData })
    }
}

/// The instance that a text names. One that can name none is answered as an instance that is not there.
fn named(uuid: &str) -> ReceiverRef {
    let uuid = uuid.trim();
    match (Uuid::try_parse(uuid), uuid.parse()) {
        (Ok(id), _) => ReceiverRef::Id(id),
        (Err(_), Ok(number)) => ReceiverRef::Number(ConnectorIndex(number)),
        (Err(_), Err(_)) => ReceiverRef::Id(Uuid::nil()),
    }
}

/// Passes a request to its instance.
async fn passed_on<T>(state: &ApiState, path: &str, posted: Posted<T>) -> Result<Said, Failure> {
    answered(&receive(state, posted.named, path.to_owned(), posted.arrived).await?)
}

/// The plugin's answer in this API's form.
fn answered(answer: &ReceivedResponse) -> Result<Said, Failure> {
    match answer.status {
        200..=299 => Ok(Said("Webhook received".into())),
        429 | 500.. => {
            let message = "the instance could not take the webhook now; repeat it";
            Err(Failure { retry_after_ms: Some(RETRY_MS), ..Failure::new(StatusCode::SERVICE_UNAVAILABLE, message) })
        }
        400 => Err(Failure::bad_request(reason(&answer.body))),
        _ => {
            let failure = Failure::new(StatusCode::UNPROCESSABLE_ENTITY, reason(&answer.body));
            Err(Failure { code: Some("refused"), ..failure })
        }
    }
}

/// What the plugin says: the message of an error in this API's form, or else the body as a text.
fn reason(body: &[u8]) -> String {
    let said = serde_json::from_slice::<serde_json::Value>(body).ok();
    let message = said.as_ref().and_then(|said| said.pointer("/error/message")?.as_str());
    let text = message.map_or_else(|| String::from_utf8_lossy(body), Into::into);
    let text: String = text.trim().chars().filter(|c| !c.is_control()).take(MAX_REASON_CHARS).collect();
    if text.is_empty() { "the instance refuses the webhook".to_owned() } else { text }
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct WebhooksInApi;

impl pombo_api::Section for WebhooksInApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Webhooks")]
impl WebhooksInApi {
    /// Tell of a received message
    ///
    /// For the gateway of an instance. Its credential is the instance's secret, which `GET /v1/connectors/{id}/receiving` shows: as
    /// `secret` or `token` in the query, in `X-Webhook-Secret`, as `Authorization: Bearer`, or as the key of `X-Webhook-Signature` (the
    /// HMAC-SHA256 of the body in hexadecimal). With 200 it is stored. With 503, repeat it: nothing comes twice.
    #[oai(path = "/webhooks/instance/:uuid/incoming", method = "post", operation_id = "receive_incoming")]
    async fn receive_incoming(
        &self,
        state: State<'_>,
        /// UUID or number of the instance.
        #[oai(name = "uuid")]
        _uuid: Path<Param<Text>>,
        /// The instance's secret, where it is not in a header.
        #[oai(name = "secret")]
        _secret: Query<Option<String>>,
        body: Posted<Incoming>,
    ) -> Result<Said, Refused<RECEIVE>> {
        Ok(passed_on(&state, "incoming", body).await?)
    }

    /// Tell how far a sent message came
    ///
    /// See the operation for received messages.
    #[oai(path = "/webhooks/instance/:uuid/status", method = "post", operation_id = "receive_status")]
    async fn receive_status(
        &self,
        state: State<'_>,
        /// UUID or number of the instance.
        #[oai(name = "uuid")]
        _uuid: Path<Param<Text>>,
        /// The instance's secret, where it is not in a header.
        #[oai(name = "secret")]
        _secret: Query<Option<String>>,
        body: Posted<StatusUpdate>,
    ) -> Result<Said, Refused<RECEIVE>> {
        Ok(passed_on(&state, "status", body).await?)
    }

    /// Tell of a new QR code
    ///
    /// See the operation for received messages.
    #[oai(path = "/webhooks/instance/:uuid/qr", method = "post", operation_id = "receive_qr")]
    async fn receive_qr(
        &self,
        state: State<'_>,
        /// UUID or number of the instance.
        #[oai(name = "uuid")]
        _uuid: Path<Param<Text>>,
        /// The instance's secret, where it is not in a header.
        #[oai(name = "secret")]
        _secret: Query<Option<String>>,
        body: Posted<QrUpdate>,
    ) -> Result<Said, Refused<RECEIVE>> {
        Ok(passed_on(&state, "qr", body).await?)
    }

    /// Tell how the connection stands
    ///
    /// See the operation for received messages.
    #[oai(path = "/webhooks/instance/:uuid/connection", method = "post", operation_id = "receive_connection")]
    async fn receive_connection(
        &self,
        state: State<'_>,
        /// UUID or number of the instance.
        #[oai(name = "uuid")]
        _uuid: Path<Param<Text>>,
        /// The instance's secret, where it is not in a header.
        #[oai(name = "secret")]
        _secret: Query<Option<String>>,
        body: Posted<ConnectionUpdate>,
    ) -> Result<Said, Refused<RECEIVE>> {
        Ok(passed_on(&state, "connection", body).await?)
    }

    /// Tell of a reaction
    ///
    /// See the operation for received messages.
    #[oai(path = "/webhooks/instance/:uuid/reaction", method = "post", operation_id = "receive_reaction")]
    async fn receive_reaction(
        &self,
        state: State<'_>,
        /// UUID or number of the instance.
        #[oai(name = "uuid")]
        _uuid: Path<Param<Text>>,
        /// The instance's secret, where it is not in a header.
        #[oai(name = "secret")]
        _secret: Query<Option<String>>,
        body: Posted<ReactionUpdate>,
    ) -> Result<Said, Refused<RECEIVE>> {
        Ok(passed_on(&state, "reaction", body).await?)
    }
}
