//! The engine's own API, in the order of its document: who there is (tenants, users, keys), what sends (plugins, connectors,
//! sessions, pace), what answers (automations, conversations), what is sent (messages, chats, groups), what happened (events), what
//! else there is about messages (imports, templates, webhook deliveries, files), and how the engine is.
//!
//! Layout
//! - One folder for sections that belong together and one file for each section in it, with handlers and wire types together;
//!   a folder's `wire` and `upload` hold the larger ones. [`media_upload`] receives files. [`concurrency`] bounds what is costly.
//! - [`access`]: the operator, and a tenant acting on itself. [`middleware`]: queries that an operation does not know, and
//!   the request's id in each error. [`wire`]: the few forms that every section shares.
//! - [`document`]: the OpenAPI document, completed. [`deps`]: what the server must give besides the commands.
//!
//! Must not know the other facades: they share behaviour through the commands alone.

mod access;
mod automations;
mod concurrency;
mod connectors;
mod conversations;
mod deliveries;
mod deps;
mod document;
mod events;
mod health;
mod imports;
mod media;
mod media_upload;
mod messages;
mod middleware;
mod names;
mod plugins;
mod tenants;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, IntoEndpoint, Response};
use poem_openapi::{LicenseObject, OpenApi, OpenApiService, Tags};

use pombo_api::docs::DocumentPage;
use pombo_api::document::operation_table;
use pombo_api::facade::Facade;
use pombo_api::options::ApiState;

pub use deps::{ControlDeps, NotReady, Readiness};
pub use health::answer_while_starting;

/// The sections of the document, each named as the file of its handlers.
#[derive(Tags)]
#[oai(rename_all = "snake_case")]
enum Section {
    /// Companies. Everything else belongs to exactly one tenant.
    Tenants,
    /// People who log in with e-mail and password.
    Users,
    /// Permanent API keys. Each is shown only once.
    Keys,
    /// The programs from which connectors and automations are created.
    Plugins,
    /// Logs and usage of plugins.
    PluginTelemetry,
    /// Trying a version of a plugin on recorded calls.
    Replays,
    /// Public keys whose signatures on plugins are trusted.
    TrustRoots,
    /// A connector is a plugin with a configuration that connects a channel.
    Connectors,
    /// Connecting a connector to an account: a QR code, a code to type, logging out.
    Sessions,
    /// How fast a connector may send, and the health of its account.
    Pace,
    /// Sending one message, and reactions, edits and deletions of messages.
    Sending,
    /// Requests about a conversation that are carried out at once and not stored.
    Chats,
    /// Groups of a connector's account.
    Groups,
    /// An automation is a plugin with a configuration that answers in a connector's conversations.
    Automations,
    /// Events that an automation failed to handle.
    Parked,
    /// URLs through which other programs call automations.
    Hooks,
    /// Who answers a conversation: an automation or a person.
    Conversations,
    /// The log of what happened: received messages, receipts, sessions, groups, health, automations and plugins.
    Events,
    /// Messages, and a person's decisions about them.
    Messages,
    /// Creating messages from a spreadsheet.
    Imports,
    /// Trying out templates.
    Templates,
    /// Status changes on their way to a `webhookUrl`.
    Deliveries,
    /// The secret that webhooks are signed with.
    WebhookSecret,
    /// Files of messages.
    Media,
    /// The state of the engine.
    Health,
}

/// In three parts: the framework takes at most sixteen at once.
type Operations = (
    (
        tenants::Tenants,
        tenants::users::Users,
        tenants::keys::Keys,
        tenants::webhook_secret::WebhookSecrets,
        plugins::Plugins,
        connectors::Connectors,
        connectors::sessions::Sessions,
        connectors::pace::PaceOfConnectors,
    ),
    (
        plugins::telemetry::PluginTelemetry,
        plugins::replays::Replays,
        plugins::trust_roots::TrustRoots,
        automations::Automations,
        automations::dead_letters::Parked,
        automations::hooks::Hooks,
        conversations::Conversations,
    ),
    (
        messages::sending::Sending,
        connectors::chats::Chats,
        connectors::groups::Groups,
        events::Events,
        messages::Messages,
        imports::Imports,
        messages::templates::Templates,
        deliveries::Deliveries,
        media::Media,
        health::Health,
    ),
);

const TITLE: &str = "Pombo control API";

fn service() -> OpenApiService<Operations, ()> {
    let operations = (
        (
            tenants::Tenants,
            tenants::users::Users,
            tenants::keys::Keys,
            tenants::webhook_secret::WebhookSecrets,
            plugins::Plugins::default(),
            connectors::Connectors,
            connectors::sessions::Sessions,
            connectors::pace::PaceOfConnectors,
        ),
        (
            plugins::telemetry::PluginTelemetry::default(),
            plugins::replays::Replays,
            plugins::trust_roots::TrustRoots,
            automations::Automations,
            automations::dead_letters::Parked,
            automations::hooks::Hooks,
            conversations::Conversations,
        ),
        (
            messages::sending::Sending,
            connectors::chats::Chats,
            connectors::groups::Groups,
            events::Events,
            messages::Messages,
            imports::Imports,
            messages::templates::Templates,
            deliveries::Deliveries,
            media::Media,
            health::Health,
        ),
    );
    OpenApiService::new(operations, TITLE, env!("CARGO_PKG_VERSION"))
        .description(
            "The engine's own API. A tenant uses it with a login token or an API key. The operator uses it with the \
             operator token, and names the tenant to act for in `X-Pombo-Tenant`. All errors have the same body.",
        )
        .license(LicenseObject::new("MIT OR Apache-2.0"))
}

/// The facade's endpoint, by whole paths: `/v1/…`, `/health`, `/ready` and `/metrics`. Answers 404 for any other itself.
pub fn control_service(state: Arc<ApiState>, parts: ControlDeps) -> BoxEndpoint<'static, Response> {
    let guarded = middleware::Guarded::new(service().into_endpoint(), Arc::new(parts), Operations::meta());
    let facade = Facade::new("control", state, middleware::write_failure, Operations::meta(), guarded);
    middleware::WithRequestId(facade).boxed()
}

/// The facade's OpenAPI document, as it is kept in `openapi/control.json`.
pub fn control_document() -> String {
    document::complete(&service().spec())
}

/// The table of its operations, as it is kept in `openapi/control.md`.
pub fn control_operations() -> String {
    operation_table("Control API operations", "/", "engine/facades/control/src", Operations::meta())
}

/// Its page of the documentation.
pub fn control_page() -> DocumentPage {
    let html = service().swagger_ui_html();
    DocumentPage { name: "control", title: TITLE, base: "/v1", json: control_document(), html }
}
