//! The engine's own API, in the order of its document: who there is (tenants, users, keys), what sends (plugins, connectors,
//! sessions, pace), what answers (automations, conversations, contacts, tags, a search), what is sent (messages, chats, groups), what happened (events), what
//! else there is about messages (imports, templates, webhook deliveries, files), how the engine is, and what is prepared for conversations
//! and messages (queues, statuses, stored templates).
//!
//! Layout
//! - One folder for sections that belong together and one file for each section in it, with handlers and wire types together;
//!   a folder's `wire` and `upload` hold the larger ones. [`media_upload`] receives files. [`concurrency`] bounds what is costly.
//! - [`access`]: the operator, and a tenant acting on itself. [`errors`]: the error body. [`wire`]: the few forms that several
//!   sections share. [`queueing`]: how each of them queues a message.
//! - [`document`]: the OpenAPI document, completed. [`deps`]: what the server must give besides the commands.
//!
//! Must not know the other facades: they share behaviour through the commands alone.

mod access;
mod automations;
mod campaigns;
mod concurrency;
mod connectors;
mod contacts;
mod conversations;
mod deliveries;
mod deps;
mod document;
mod errors;
mod events;
mod form_files;
mod health;
mod imports;
mod labels;
mod media;
mod media_upload;
mod messages;
mod names;
mod plugins;
mod queueing;
mod stored_templates;
mod tags;
mod tenants;
#[cfg(test)]
mod tests;
mod wire;

use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, IntoEndpoint, Response};
use poem_openapi::{LicenseObject, OpenApiService, Tags};

use pombo_api::error::Failure;
use pombo_api::{Facade, Sections, UnknownParameters};

pub use deps::{ControlDeps, NotReady, Readiness};
pub use health::answer_while_starting;

/// The sections of the document.
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
    /// Being told what happens on a connector.
    Webhooks,
    /// Requests that a channel makes to a connector, such as the webhooks of a gateway.
    Receiving,
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
    /// To whom messages are sent, and who opted out.
    Contacts,
    /// Words on conversations.
    Tags,
    /// Who looks after conversations: departments, teams. A conversation is in at most one.
    Queues,
    /// How far conversations have come. A conversation has at most one.
    ConversationStatuses,
    /// Words in messages, conversations and contacts.
    Search,
    /// The log of what happened: received messages, receipts, sessions, groups, health, automations and plugins.
    Events,
    /// Messages, and a person's decisions about them.
    Messages,
    /// How many messages reached which stage.
    Stats,
    /// Creating messages from a spreadsheet.
    Imports,
    /// Texts with variables that are sent again and again: your own, and those that the channel of a connector keeps. And trying texts out.
    Templates,
    /// One template for many recipients: checked, started, paused, counted.
    Campaigns,
    /// Status changes on their way to a `webhookUrl`.
    Deliveries,
    /// What a tenant sets for itself.
    Settings,
    /// The secret that webhooks are signed with.
    WebhookSecret,
    /// Files of messages.
    Media,
    /// The state of the engine.
    Health,
}

/// In four parts: a tuple of more than twelve has no default.
type Operations = (Tenancy, Answering, Messaging, Prepared);

type Tenancy = (
    tenants::Tenants,
    tenants::users::Users,
    tenants::keys::Keys,
    tenants::settings::TenantSettings,
    tenants::webhook_secret::WebhookSecrets,
    plugins::Plugins,
    connectors::Connectors,
    connectors::sessions::Sessions,
    connectors::pace::PaceOfConnectors,
    connectors::webhooks::Webhooks,
    connectors::webhook_endpoints::WebhookEndpoints,
    connectors::receiving::Receiving,
);

type Answering = (
    plugins::telemetry::PluginTelemetry,
    plugins::replays::Replays,
    plugins::trust_roots::TrustRoots,
    automations::Automations,
    automations::dead_letters::Parked,
    automations::hooks::Hooks,
    conversations::Conversations,
    conversations::history::ConversationHistory,
    contacts::Contacts,
    tags::Tags,
    conversations::search::Search,
);

type Messaging = (
    messages::sending::Sending,
    connectors::chats::Chats,
    connectors::groups::Groups,
    events::Events,
    messages::Messages,
    messages::stats::MessageStats,
    imports::Imports,
    messages::templates::Templates,
    deliveries::Deliveries,
    media::Media,
    health::Health,
);

type Prepared = (
    labels::queues::Queues,
    labels::statuses::ConversationStatuses,
    stored_templates::StoredTemplates,
    campaigns::Campaigns,
    connectors::own::OwnOperations,
    connectors::link_page::LinkPage,
);

const TITLE: &str = "Pombo control API";

/// The facade. Its handlers need [`ControlDeps`]; it serves whole paths (`/v1/…`, `/health`, `/ready` and `/metrics`) and answers 404
/// for any other.
pub static FACADE: Facade = Facade {
    name: "control",
    title: TITLE,
    summary: "The engine's own API, under /v1",
    base: "",
    aliases: &[],
    home: "/v1",
    host_base: None,
    routes,
    document: || document::complete(&service().spec()),
    page: || service().swagger_ui_html(),
    operations: || {
        [Tenancy::operations(), Answering::operations(), Messaging::operations(), Prepared::operations()]
            .into_iter()
            .flatten()
            .collect()
    },
    failure_status: Failure::own_status,
    write_failure: errors::write_failure,
    unknown_parameters: UnknownParameters::Refused { identify: access::identify, refuse: errors::refuse_query },
};

fn service() -> OpenApiService<Operations, ()> {
    OpenApiService::new(Operations::default(), TITLE, env!("CARGO_PKG_VERSION"))
        .description(
            "The engine's own API. A tenant uses it with a login token or an API key. The operator uses it with the \
             operator token, and names the tenant to act for in `X-Pombo-Tenant`. All errors have the same body.",
        )
        .license(LicenseObject::new("MIT OR Apache-2.0"))
}

fn routes() -> BoxEndpoint<'static, Response> {
    service().into_endpoint().map_to_response().boxed()
}
