//! The AI DESK facade: its two documented operations, below `/aidesk` and at a mapped host.
//!
//! - [`template_sends`]: `POST /send-message`, a template or a campaign's template to a number.
//! - [`direct_sends`]: `POST /sendmessage`, a text or a file to a contact of an instance.
//! - [`credentials`]: who calls, by the header `apikey`. [`values`]: how what callers write is read. [`sending`]: what both operations
//!   share of sending, and what is answered for each outcome. [`errors`]: the error body and its statuses.
//!
//! An instance is a connector of a WhatsApp plugin; its number, like a contact's, a template's, a campaign's, a queue's and a status's, is
//! the tenant's. Must not know the other facades: they share behaviour through the commands alone. It runs on the request's task.

use std::sync::Arc;
use std::time::Duration;

use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, IntoEndpoint, Response};
use poem_openapi::{OpenApiService, Tags};
use pombo_api::{Facade, Sections, UnknownParameters};
use pombo_domain::ports::PaceViews;

mod credentials;
mod direct_sends;
pub mod errors;
mod sending;
mod template_sends;
#[cfg(test)]
mod tests;
mod values;

const TITLE: &str = "AI DESK";
const DESCRIPTION: &str = "Sends templates, texts and files by WhatsApp.\n\n\
    Authenticate with the header `apikey`. A key of one instance sends by that instance alone; a key of the tenant by any of its \
    instances. Both operations answer once WhatsApp has accepted the message. Errors are \
    `{\"success\":false,\"status\":\"error\",\"message\":\"…\",\"errors\":{\"field\":[\"…\"]}}` with the status 400 (the request, or what \
    WhatsApp does not allow), 401 (the key), 405 (the method) or 500; `message` says what to change, and whether the message may be sent \
    again. Fields and parameters that an operation does not have are ignored; an optional field may be null, which is the same as leaving \
    it out.";

/// The documentation's sections.
#[derive(Tags)]
enum Section {
    /// Templates, by themselves or of a campaign.
    #[oai(rename = "templates")]
    Templates,
    /// Texts and files to contacts of an instance.
    #[oai(rename = "messages")]
    Messages,
}

type Operations = (template_sends::TemplateSends, direct_sends::DirectSends);

/// Where the facade lives.
const BASE: &str = "/aidesk";

/// The facade. Its handlers need [`AideskDeps`].
pub static FACADE: Facade = Facade {
    name: "aidesk",
    title: TITLE,
    summary: "The AI DESK API, under /aidesk",
    base: BASE,
    aliases: &[],
    home: BASE,
    // Documented as https://api.ai-desk.com.br and https://api.aideskbr.com, without a path.
    host_base: Some(""),
    routes,
    document,
    page: || service().swagger_ui_html(),
    operations: Operations::operations,
    failure_status: errors::failure_status,
    write_failure: errors::write_failure,
    unknown_parameters: UnknownParameters::Ignored,
};

/// What the server must give besides the commands.
pub struct AideskDeps {
    /// Gives the present paces of connectors.
    pub pace: Arc<dyn PaceViews>,
    /// How long a request that sends waits for its outcome.
    pub send_wait: Duration,
}

fn service() -> OpenApiService<Operations, ()> {
    OpenApiService::new(Operations::default(), TITLE, env!("CARGO_PKG_VERSION")).description(DESCRIPTION).server(BASE)
}

fn routes() -> BoxEndpoint<'static, Response> {
    service().into_endpoint().map_to_response().boxed()
}

fn document() -> String {
    let mut document = service().spec();
    document.push('\n');
    document
}
