//! The SendSync facade: the documented queue API, below `/sendsync/api`. Its groups stand here in the documentation's order, one
//! file each, with the handlers in its order. Its wire types are its own.
//!
//! - [`auth`]: `POST /auth/login`
//! - [`connectors`]: `GET /connectors`
//! - [`queue`]: `POST /queue/send`, `POST /queue/bulk`, `GET /queue/list`, `GET /queue/template`
//! - [`whatsapp`]: `POST /whatsapp/connect/{connectorId}`, `GET /whatsapp/status/…`, `POST /whatsapp/disconnect/…`
//! - [`contacts`]: `GET /contacts`, `POST /contacts`, `PATCH /contacts/{id}/status`, `DELETE /contacts/{id}`

use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, IntoEndpoint, Response};
use poem_openapi::{OpenApi, OpenApiService, Tags};

use pombo_api::app::SENDSYNC_BASE;
use pombo_api::docs::DocumentPage;
use pombo_api::document;
use pombo_api::facade::Facade;
use pombo_api::options::ApiState;

pub mod auth;
pub mod connectors;
pub mod contacts;
pub mod error;
mod names;
mod params;
pub mod queue;
pub mod whatsapp;

#[cfg(test)]
mod tests;

const TITLE: &str = "SendSync";
const DESCRIPTION: &str = "Queues messages and sends them through a company's connectors.\n\n\
    Authenticate with `Authorization: Bearer` (the `access_token` of a login, or an API key) or with `X-API-Key`. Errors are JSON: \
    `{\"statusCode\":400,\"message\":\"…\",\"error\":\"Bad Request\"}`; `message` says what to change, and a refused request stored \
    nothing. Fields that a request has and this document has not are ignored; an optional field may be null, which is the same as \
    leaving it out. `Idempotency-Key` on send and bulk makes a repetition safe: the same key with the same request answers the \
    first result for a day.";

/// The documentation's sections.
#[derive(Tags)]
enum Section {
    /// Logging in with e-mail and password.
    #[oai(rename = "auth")]
    Auth,
    /// The connectors through which messages are sent.
    #[oai(rename = "connectors")]
    Connectors,
    /// Sending and listing messages.
    #[oai(rename = "queue")]
    Queue,
    /// Sessions of WhatsApp connectors.
    #[oai(rename = "whatsapp")]
    WhatsApp,
    /// The people to whom messages are sent.
    #[oai(rename = "contacts")]
    Contacts,
}

type Groups = (auth::AuthApi, connectors::ConnectorsApi, queue::QueueApi, whatsapp::WhatsAppApi, contacts::ContactsApi);

fn service() -> OpenApiService<Groups, ()> {
    let groups =
        (auth::AuthApi, connectors::ConnectorsApi, queue::QueueApi, whatsapp::WhatsAppApi, contacts::ContactsApi);
    OpenApiService::new(groups, TITLE, env!("CARGO_PKG_VERSION")).description(DESCRIPTION).server(SENDSYNC_BASE)
}

/// The facade's endpoint; paths are below its base.
pub fn sendsync_service(state: Arc<ApiState>) -> BoxEndpoint<'static, Response> {
    let routes = service().into_endpoint();
    Facade::new("sendsync", state, error::write_failure, Groups::meta(), routes).boxed()
}

/// The facade's OpenAPI document, as it is kept in `openapi/sendsync.json`.
pub fn sendsync_document() -> String {
    let mut document = service().spec();
    document.push('\n');
    document
}

/// The table of its operations, as it is kept in `openapi/sendsync.md`.
pub fn sendsync_operations() -> String {
    let handlers = "engine/facades/sendsync/src";
    document::operation_table("SendSync operations", SENDSYNC_BASE, handlers, Groups::meta())
}

/// Its page of the documentation.
pub fn sendsync_page() -> DocumentPage {
    DocumentPage {
        name: "sendsync",
        title: TITLE,
        base: SENDSYNC_BASE,
        json: sendsync_document(),
        html: service().swagger_ui_html(),
    }
}
