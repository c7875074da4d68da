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
use poem_openapi::{OpenApiService, Tags};

use pombo_api::error::Failure;
use pombo_api::{Facade, Sections, UnknownParameters};
use pombo_domain::ports::PaceViews;

pub mod auth;
pub mod connectors;
pub mod contacts;
pub mod error;
mod names;
mod params;
mod query;
pub mod queue;
mod schema;
pub mod whatsapp;

#[cfg(test)]
mod tests;

const TITLE: &str = "SendSync";
const DESCRIPTION: &str = "Queues messages and sends them through a company's connectors.\n\n\
    Authenticate with `Authorization: Bearer` (the `access_token` of a login, or an API key) or with `X-API-Key`. Errors are JSON: \
    `{\"statusCode\":400,\"message\":\"…\",\"error\":\"Bad Request\"}`; `message` says what to change, and a refused request stored \
    nothing. Fields that a request has and this document has not are ignored; an optional field may be null, which is the same as \
    leaving it out. A query parameter that the operation does not have, or that is given twice, is refused with 400. \
    `Idempotency-Key` on send and bulk makes a repetition safe: the same key with the same request answers the first result for a day.";

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

/// Where the facade lives.
const BASE: &str = "/sendsync/api";

/// The facade. Its handlers need [`SendsyncDeps`].
pub static FACADE: Facade = Facade {
    name: "sendsync",
    title: TITLE,
    summary: "The queue API, under /sendsync/api",
    base: BASE,
    aliases: &[],
    home: BASE,
    // Documented as https://sendsync.com.br/api.
    host_base: Some("/api"),
    routes,
    document,
    page: || service().swagger_ui_html(),
    operations: Groups::operations,
    failure_status: Failure::own_status,
    write_failure: error::write_failure,
    unknown_parameters: UnknownParameters::Refused { identify: query::identify, refuse: query::refuse },
};

/// What the server must give besides the commands.
pub struct SendsyncDeps {
    /// Makes the empty workbook (xlsx) that people fill with messages; fails with the reason, for the log.
    pub template: fn() -> Result<Vec<u8>, String>,
    /// Gives the present paces of connectors.
    pub pace: Arc<dyn PaceViews>,
}

fn service() -> OpenApiService<Groups, ()> {
    OpenApiService::new(Groups::default(), TITLE, env!("CARGO_PKG_VERSION")).description(DESCRIPTION).server(BASE)
}

fn routes() -> BoxEndpoint<'static, Response> {
    service().into_endpoint().map_to_response().boxed()
}

fn document() -> String {
    let mut document = service().spec();
    document.push('\n');
    document
}
