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

pub use health::answer_while_starting;
pub use deps::{ControlDeps, HealthView, NotReady, PaceView, PaceViews, Readiness};

/// The sections of the document, each named as the file of its handlers.
#[derive(Tags)]
#[oai(rename_all = "snake_case")]
enum Section {
    /// Companies. Everything else belongs to exactly one.
    Tenants,
    /// Who logs in with e-mail and password.
    Users,
    /// Permanent keys; each is shown once.
    Keys,
    /// What connectors and automations are made from.
    Plugins,
    /// What plugins write and use.
    PluginTelemetry,
    /// A version tried on what another one was given.
    Replays,
    /// Whose signatures on plugins are believed.
    TrustRoots,
    /// A plugin with a configuration.
    Connectors,
    /// What connects a connector to an account: a QR code, a code to type, logging out.
    Sessions,
    /// How fast a connector may send, and how its account's health stands.
    Pace,
    /// One message at a time, and what is done about others: reactions, edits, deletions.
    Sending,
    /// What is done in a conversation at once and not kept.
    Chats,
    /// Groups of a connector's account.
    Groups,
    /// A plugin with a configuration that answers a connector's conversations.
    Automations,
    /// Events that an automation failed at.
    Parked,
    /// Where other programs call automations.
    Hooks,
    /// Who answers: an automation or a person.
    Conversations,
    /// What happened on the connectors: received messages, receipts, sessions, groups, health; and with automations and plugins.
    Events,
    /// Messages, and what a person decides about them.
    Messages,
    /// Messages from a spreadsheet.
    Imports,
    /// What a template makes.
    Templates,
    /// Status changes on their way to a `webhookUrl`.
    Deliveries,
    /// What webhooks are signed with.
    WebhookSecret,
    /// Files of messages.
    Media,
    /// How the engine is.
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
            "The engine's own API. A tenant acts on itself with a login token or an API key; the operator, with the \
             operator token, acts for a tenant by naming it in `X-Pombo-Tenant`. Every error has the same body.",
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
