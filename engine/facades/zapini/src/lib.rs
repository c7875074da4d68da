//! The Zapini facade: the documented WhatsApp API, below `/zapini` and `/zapini/api/v1`, and at the hosts of its instances. Its
//! sections stand here in the documentation's order, one file each, but for "Webhooks": [`webhook`] is what an instance tells, and
//! [`webhooks_in`] what a gateway tells it.
//!
//! - [`auth`] … [`groups`], [`chat`], [`chat_sends`]: the sections. An instance is a connector of a WhatsApp plugin.
//! - [`sending`]: what all operations that send share.
//! - [`gate`]: what every request passes first: [`paths`] (where an operation may be reached), [`cors`], [`credentials`], [`rate`].
//! - [`envelope`], [`errors`], [`times`]: the forms of answers. [`params`], [`refs`]: how what callers write is read. [`schemas`]:
//!   how bodies are declared.
//! - [`instance`], [`conversations`]: an instance and a conversation as they are shown. [`webhook_bodies`]: what is posted to an
//!   instance's webhook.
//!
//! Must not know the other facades: they share behaviour through the commands alone.

use std::sync::Arc;
use std::time::Duration;

use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, IntoEndpoint, Response};
use poem_openapi::{OpenApiService, Tags};
use pombo_api::options::ApiState;
use pombo_api::{Facade, Sections, Served, UnknownParameters};
use pombo_domain::Timestamp;
use pombo_domain::ports::PaceViews;

mod auth;
mod automation;
mod chat;
mod chat_sends;
mod contacts;
mod conversations;
mod cors;
mod credentials;
mod emoji;
pub mod envelope;
pub mod errors;
mod gate;
mod groups;
mod instance;
mod instance_api;
mod instances;
mod media;
mod media_message;
pub mod params;
mod paths;
mod pauses;
mod rate;
mod refs;
mod schemas;
mod sending;
mod tags;
#[cfg(test)]
mod tests;
pub mod times;
mod webhook;
mod webhook_bodies;
mod webhooks_in;

pub use gate::ZapiniOptions;
pub use webhook_bodies::WebhookBodies;

const TITLE: &str = "Zapini";
const DESCRIPTION: &str = "WhatsApp instances, their groups, conversations and contacts.\n\n\
    Authenticate with `Authorization: Bearer` and a token. Every operation answers under `/zapini` and under `/zapini/api/v1`, and at \
    a host name of an instance (`instance-{id}.…`) where the operator has mapped one; `{id}` is the instance's UUID or its number. \
    Without such a host name, `/zapini/instance-{id}/…` names the instance.\n\n\
    Answers are `{\"success\":true,\"message\"?,\"data\"}`, those of the instance API are flat. Errors are \
    `{\"success\":false,\"error\":{\"code\",\"message\",\"details\"}}`. Fields and parameters that an operation does not have are \
    ignored; an optional field may be null, which is the same as leaving it out, except where a contact is changed: there it clears. \
    `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` say how many requests the token has left.";

/// The documentation's sections.
#[derive(Tags)]
enum Section {
    /// Logging in with e-mail and password, and the token that a login gives.
    #[oai(rename = "auth")]
    Auth,
    /// WhatsApp accounts, and connecting them.
    #[oai(rename = "instances")]
    Instances,
    /// The API of one instance.
    #[oai(rename = "instance-api")]
    InstanceApi,
    /// Conversations, and what was said in them.
    #[oai(rename = "conversations")]
    Conversations,
    /// Who answers a conversation: an automation or a person.
    #[oai(rename = "automation")]
    Automation,
    /// People to whom messages are sent.
    #[oai(rename = "contacts")]
    Contacts,
    /// Files that are uploaded for later messages, and those of received messages.
    #[oai(rename = "media")]
    Media,
    /// Being told what happens on an instance, and telling of one that a gateway serves.
    #[oai(rename = "webhooks")]
    Webhooks,
    /// Groups of an instance's account.
    #[oai(rename = "groups")]
    Groups,
    /// Words that are put on conversations.
    #[oai(rename = "tags")]
    Tags,
    /// What user interfaces of chats need.
    #[oai(rename = "chat")]
    Chat,
}

/// In two parts: a tuple of more than twelve has no default.
type Operations = (Instances, Conversing);

type Instances = (
    auth::AuthApi,
    instances::InstancesApi,
    instance_api::InstanceApi,
    webhook::WebhookApi,
    webhooks_in::WebhooksInApi,
);

type Conversing = (
    conversations::api::ConversationsApi,
    automation::AutomationApi,
    contacts::ContactsApi,
    media::MediaApi,
    groups::GroupsApi,
    tags::TagsApi,
    chat::ChatApi,
    chat_sends::ChatSendsApi,
);

/// Where the facade lives.
const BASE: &str = "/zapini";

/// The facade. It is served by [`serve`].
pub static FACADE: Facade = Facade {
    name: "zapini",
    title: TITLE,
    summary: "The WhatsApp API, under /zapini",
    base: BASE,
    // The second base, /zapini/api/v1, is the gate's matter: a few operations answer otherwise below it.
    aliases: &[],
    home: BASE,
    host_base: Some(""),
    routes,
    document,
    page: || service().swagger_ui_html(),
    operations: || [Instances::operations(), Conversing::operations()].into_iter().flatten().collect(),
    failure_status: errors::failure_status,
    write_failure: errors::write_failure,
    unknown_parameters: UnknownParameters::Ignored,
};

/// What the server must give besides the commands.
pub struct ZapiniDeps {
    /// Gives the present paces of connectors.
    pub pace: Arc<dyn PaceViews>,
    /// When the engine started.
    pub started: Timestamp,
    /// How long a request that sends waits for its outcome.
    pub send_wait: Duration,
}

/// The facade behind its gate, ready to be mounted.
pub fn serve(state: Arc<ApiState>, deps: Arc<ZapiniDeps>, options: &ZapiniOptions) -> Served {
    FACADE.serve_with(state, deps).behind(gate::Gate::new(options))
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
