//! Sections "Enviar mensagem unitária", "Envio em Massa", "Listar Fila de Mensagens" and "Baixar template Excel".
//!
//! [`schema`] declares the bodies that [`draft`] (JSON) and [`form`] (multipart) read; [`wire`] holds the answers.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use poem::http::header;
use poem::web::Data;
use poem::{IntoResponse, Request, RequestBody, Response};
use poem_openapi::param::Query;
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, OpenApi};
use pombo_domain::commands::messages::list::{MAX_PAGE, MessageQuery};
use pombo_domain::commands::messages::send::{Draft, Idempotency, MAX_BULK};
use pombo_domain::model::Attachment;
use pombo_domain::{ErrorCode, TenantIndex};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use self::draft::{BulkFields, Rows, SendFields, draft_of};
use self::schema::{SendBulk, SendMessage, SendMessageForm};
use self::wire::{BulkAnswer, Created, Links, MessageBody, MessagePage, PageMeta};
use super::error::{BulkFails, ReadFails, SendFails};
use super::names::field_name;
use super::params::{DateFrom, DateTo, ExternalId, GivenId, PageNumber, PageSize, Search, StatusName, TypeName};
use super::schema::inline;
use super::{Section, SendsyncDeps};
use pombo_api::auth::Caller;
use pombo_api::body;
use pombo_api::declared::{Declared, KeyHeader, Param};
use pombo_api::error::Failure;
use pombo_api::fields::Field;
use pombo_api::json::{self, Bulk, JsonBytes, SerdeJson};
use pombo_api::options::ApiState;

pub(super) mod draft;
mod form;
pub(super) mod schema;
pub(super) mod wire;

/// The id of the operation whose 400 has a form of its own.
pub(super) const SEND_BULK: &str = "send_bulk";

/// The body of a send, not yet read: JSON, or a form whose files are streamed.
pub(super) struct SendBody {
    body: RequestBody,
    is_form: bool,
}

impl<'a> ApiExtractor<'a> for SendBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Declared::<SendMessage>::register(registry);
        Declared::<SendMessageForm>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let media = |content_type, schema| MetaMediaType { content_type, schema };
        let content = vec![
            media("application/json", Declared::<SendMessage>::schema_ref()),
            media("multipart/form-data", Declared::<SendMessageForm>::schema_ref()),
        ];
        Some(MetaRequest { description: None, content, required: true })
    }

    fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> impl Future<Output = poem::Result<Self>> + Send {
        let content_type = request.header(header::CONTENT_TYPE);
        let essence = content_type.and_then(|given| given.split(';').next()).map(str::trim);
        let is_form = essence.is_some_and(|essence| essence.eq_ignore_ascii_case("multipart/form-data"));
        let read = match content_type {
            Some(given) if !is_form && !json::is_json(given) => {
                Err(Failure::wrong_content_type(given, "application/json or multipart/form-data").into())
            }
            _ => body.take().map(|body| Self { body: RequestBody::new(body), is_form }).map_err(Into::into),
        };
        std::future::ready(read)
    }
}

/// A spreadsheet.
pub(super) struct Xlsx(Bytes);

impl Payload for Xlsx {
    const CONTENT_TYPE: &'static str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

    fn schema_ref() -> MetaSchemaRef {
        inline(MetaSchema::new_with_format("string", "binary"))
    }
}

impl IntoResponse for Xlsx {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type(Self::CONTENT_TYPE)
            .header(header::CONTENT_DISPOSITION, "attachment; filename=\"template_mensagens.xlsx\"")
            .body(self.0)
    }
}

/// The answer to a download.
#[derive(ApiResponse)]
enum Download {
    /// The empty spreadsheet.
    #[oai(status = 200)]
    Template(Xlsx),
}

fn idempotency(
    operation: &str,
    key: KeyHeader,
    digest: impl FnOnce() -> [u8; 32],
) -> Result<Option<Idempotency>, Failure> {
    Ok(key.0.map(|Param(key)| Idempotency::new(operation, &key, digest())).transpose()?)
}

/// Sends one draft and writes the message that came of it.
async fn send_draft(
    state: &ApiState,
    tenant: TenantIndex,
    draft: &Draft<'_>,
    idempotency: Option<Idempotency>,
) -> Result<(MessageBody, Vec<Attachment>), Failure> {
    let sent = state.commands.send(tenant, draft, idempotency).await?;
    let files = sent.message.content.attachments.clone();
    let links = Links { links: &state.media_links, tenant, now: sent.message.created_at };
    // As it was found by.
    let mut body = MessageBody::of(sent, draft.connector.unwrap_or_default(), &links);
    // The documented answer has none; a message without files has nothing to show.
    body.attachments = body.attachments.filter(|files| !files.is_empty());
    Ok((body, files))
}

/// Handlers of the section.
#[derive(Default)]
pub struct QueueApi;

impl pombo_api::Section for QueueApi {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Queue")]
impl QueueApi {
    /// Send a message
    ///
    /// Puts a message into the queue. The body is JSON, or multipart/form-data with files in the field `attachments` (at most 50
    /// MB each).
    #[oai(path = "/queue/send", method = "post", operation_id = "send_message")]
    async fn send_message(
        &self,
        caller: Caller,
        state: Data<&Arc<ApiState>>,
        request: &Request,
        /// Extension: key of at most 255 characters that makes it safe to repeat this request within a day.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        body: SendBody,
    ) -> Result<Created, SendFails> {
        let tenant = caller.0.tenant;
        let SendBody { mut body, is_form } = body;
        if is_form {
            let form = form::read(&state, tenant, request, &mut body).await?;
            let sent = match idempotency("send", key, || form.digest) {
                Ok(idempotency) => send_draft(&state, tenant, &form.draft, idempotency).await,
                Err(failure) => Err(failure),
            };
            return match sent {
                Ok((message, files)) => {
                    form.files.keep(&files).await;
                    Ok(Created::Message(SerdeJson(message)))
                }
                Err(failure) => {
                    form.files.remove().await;
                    Err(failure.into())
                }
            };
        }
        let bytes = body::read(request, &mut body, state.options.limits.json_bytes).await?;
        let draft = json::object::<SendFields<'_>>(&bytes)?.into_draft();
        let idempotency = idempotency("send", key, || Sha256::digest(&bytes).into())?;
        let (message, _) = send_draft(&state, tenant, &draft, idempotency).await?;
        Ok(Created::Message(SerdeJson(message)))
    }

    /// Send up to 1000 messages
    ///
    /// Puts messages into the queue, all in one step on disk. A wrong message does not affect the others: the answer has a result
    /// for each row. If no message is accepted, the answer is 400 with the same rows.
    #[oai(path = "/queue/bulk", method = "post", operation_id = "send_bulk")]
    async fn send_bulk(
        &self,
        caller: Caller,
        state: Data<&Arc<ApiState>>,
        deps: Data<&Arc<SendsyncDeps>>,
        /// Extension: key of at most 255 characters that makes it safe to repeat this request within a day.
        #[oai(name = "Idempotency-Key")]
        key: KeyHeader,
        body: JsonBytes<Declared<SendBulk>, Bulk>,
    ) -> Result<BulkAnswer, BulkFails> {
        let unreadable = |failure: Failure| Ok(BulkAnswer::unreadable(failure.written(field_name)));
        let rows = match body.object::<BulkFields<'_>>().map(|body| body.messages) {
            Ok(Field::Value(rows)) => rows,
            Ok(Field::Wrong(message)) => return Ok(BulkAnswer::unreadable(format!("messages: {message}"))),
            Ok(Field::Missing) => return Ok(BulkAnswer::unreadable("messages: is required".to_owned())),
            Err(failure) => return unreadable(failure),
        };
        let Rows { rows, count } = rows;
        if count > MAX_BULK {
            let message = format!("messages: must contain at most {MAX_BULK}; split {count} into several requests");
            return Ok(BulkAnswer::unreadable(message));
        }
        let idempotency = match idempotency("bulk", key, || Sha256::digest(&body.bytes).into()) {
            Ok(idempotency) => idempotency,
            Err(failure) => return unreadable(failure),
        };
        let drafts: Vec<Draft<'_>> = rows.into_iter().map(draft_of).collect();
        let rows = match state.commands.send_bulk(caller.0.tenant, &drafts, idempotency).await {
            Ok(rows) => rows,
            Err(error) if error.code == ErrorCode::Invalid => {
                return Ok(BulkAnswer::unreadable(error.written(field_name).into_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        let warnings = state.commands.bulk_equal_texts(caller.0.tenant, &*deps.pace, &drafts, &rows);
        Ok(BulkAnswer::of(rows, drafts.iter().map(|draft| draft.external_id.as_deref()), warnings))
    }

    /// List messages
    ///
    /// Lists the company's messages, newest first, with the exact number of matches. Filters are combined; an unknown one is
    /// refused.
    #[oai(path = "/queue/list", method = "get", operation_id = "list_messages")]
    #[allow(clippy::too_many_arguments, reason = "one argument for each documented parameter")]
    async fn list_messages(
        &self,
        caller: Caller,
        state: Data<&Arc<ApiState>>,
        /// Only messages with this status; all if omitted.
        status: Query<Option<Param<StatusName>>>,
        /// Number of the page, from 1; 1 if omitted.
        page: Query<Option<Param<PageNumber>>>,
        /// Maximum number of messages per page, from 1 to 250; 250 if omitted.
        limit: Query<Option<Param<PageSize>>>,
        /// Only messages with exactly this reference.
        #[oai(name = "externalId")]
        external_id: Query<Option<Param<ExternalId>>>,
        /// Only messages that contain all of these words in the recipient, the contact's name or the text; case and accents are
        /// ignored. At least one word must have two characters or more.
        search: Query<Option<Param<Search>>>,
        /// Only messages of this connector.
        #[oai(name = "connectorId")]
        connector_id: Query<Option<Param<GivenId>>>,
        /// Only messages of this category.
        #[oai(name = "messageType")]
        message_type: Query<Option<Param<TypeName>>>,
        /// Only messages created at this instant or later, ISO 8601. A bare date stands for its beginning.
        #[oai(name = "dateFrom")]
        date_from: Query<Option<Param<DateFrom>>>,
        /// Only messages created at this instant or earlier, ISO 8601. A bare date stands for its end.
        #[oai(name = "dateTo")]
        date_to: Query<Option<Param<DateTo>>>,
    ) -> Result<SerdeJson<MessagePage>, super::error::NamedFails> {
        let page = page.0.map_or(1, |page| page.0);
        let limit = limit.0.map_or(MAX_PAGE, |limit| limit.0);
        let query = MessageQuery {
            status: status.0.map(|status| status.0),
            connector: connector_id.0.map(|id| Uuid::parse_str(&id.0).unwrap_or_default()),
            message_type: message_type.0.map(|kind| kind.0),
            external_id: external_id.0.map(|id| id.0),
            provider_id: None,
            search: search.0.map(|search| search.0),
            from: date_from.0.map(|at| at.0),
            to: date_to.0.map(|at| at.0),
            page,
            limit,
        };
        let tenant = caller.0.tenant;
        let listing = state.commands.list_messages(tenant, query).await?;
        let links = Links { links: &state.media_links, tenant, now: state.commands.now() };
        let data =
            listing.rows.into_iter().map(|(message, connector)| MessageBody::of(message, connector, &links)).collect();
        let meta = PageMeta { total: listing.total, page, limit, pages: listing.pages };
        Ok(SerdeJson(MessagePage { data, meta }))
    }

    /// Download the spreadsheet template
    ///
    /// Returns an empty spreadsheet (.xlsx) with the columns for an import of messages.
    #[oai(path = "/queue/template", method = "get", operation_id = "download_template")]
    async fn download_template(&self, _caller: Caller, deps: Data<&Arc<SendsyncDeps>>) -> Result<Download, ReadFails> {
        static TEMPLATE: OnceLock<Bytes> = OnceLock::new();
        if let Some(template) = TEMPLATE.get() {
            return Ok(Download::Template(Xlsx(template.clone())));
        }
        let made = (deps.template)().map_err(Failure::internal)?;
        Ok(Download::Template(Xlsx(TEMPLATE.get_or_init(|| made.into()).clone())))
    }
}

#[cfg(test)]
pub(super) use self::wire::samples as wire_samples;
