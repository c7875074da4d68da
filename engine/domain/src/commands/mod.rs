//! One folder per subject and one file per use case: the only entry point for the facades. A facade parses, calls one command, and
//! maps the answer.
//!
//! A command takes the tenant of the credential first and never answers with another tenant's data: another tenant's id is
//! not found. It runs on the caller's task.

use std::sync::Arc;

use uuid::Uuid;

use crate::ports::*;
use crate::{Error, ErrorCode, Field, Timestamp};

pub mod access;
pub mod automations;
pub mod campaigns;
pub mod connectors;
pub mod contacts;
pub mod conversations;
pub mod events;
pub mod labels;
pub mod media_files;
pub mod messages;
pub mod plugins;
pub mod search;
pub mod tags;
pub mod templates;
mod text;

use access::authenticate::LoginAttempts;
use access::users::UserLocks;
use media_files::FilePolicy;
use messages::now::Reservations;
use plugins::catalog::Turns;

/// The ports that the commands use.
pub struct Ports {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The current time.
    pub clock: Arc<dyn Clock>,
    /// Random numbers.
    pub entropy: Arc<dyn Entropy>,
    /// Password hashing.
    pub passwords: Arc<dyn PasswordHasher>,
    /// Encryption of connector secrets.
    pub secrets: Arc<dyn SecretBox>,
    /// Renders templates.
    pub renderer: Arc<dyn Renderer>,
    /// Runs connector plugins.
    pub connectors: Arc<dyn Connectors>,
    /// Which outbound targets are allowed.
    pub guard: Arc<dyn OutboundGuard>,
    /// Stores files.
    pub media: Arc<dyn MediaStore>,
    /// Fetches files from URLs.
    pub attachments: Arc<dyn AttachmentFetcher>,
    /// How large stored files may be, how many there may be, and how long they wait.
    pub file_policy: FilePolicy,
    /// Uploaded components, and automations.
    pub plugins: Arc<dyn PluginEngine>,
    /// Logs and usage of plugins.
    pub telemetry: Arc<dyn PluginTelemetry>,
    /// What may be uploaded, and by whom.
    pub plugin_policy: PluginPolicy,
}

/// What may be uploaded, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginPolicy {
    /// Whose unsigned components are accepted.
    pub unsigned: Unsigned,
    /// Maximum size of a component, in bytes.
    pub max_bytes: u64,
    /// Number of versions kept of a plugin; beyond it, the oldest one that is not needed is deleted.
    pub versions: usize,
    /// Maximum number of plugins of one tenant.
    pub per_tenant: usize,
}

/// Whose unsigned components are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsigned {
    /// Those of the operator and of every tenant.
    All,
    /// Only those of the operator.
    Operator,
    /// None.
    Nobody,
}

impl Default for PluginPolicy {
    fn default() -> Self {
        Self { unsigned: Unsigned::All, max_bytes: 32 * 1024 * 1024, versions: 20, per_tenant: 50 }
    }
}

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct Commands {
    ports: Arc<Ports>,
    connector_writes: connectors::WriteLocks,
    plugin_writes: Turns,
    user_writes: UserLocks,
    login_attempts: Arc<LoginAttempts>,
    reserved_sends: Reservations,
    pictures: connectors::pictures::Pictures,
    lookups: connectors::lookups::Lookups,
    searches: search::Searches,
    handed_in: messages::equal_texts::HandedIn,
    import_texts: messages::equal_texts::ImportTexts,
    campaign_writes: Turns,
    campaign_policy: Arc<campaigns::CampaignPolicy>,
    /// Whether connectors' webhooks may be posted to over plain HTTP.
    plain_webhooks: bool,
}

impl Commands {
    /// The use cases with these ports.
    pub fn new(ports: Ports) -> Self {
        Self {
            ports: Arc::new(ports),
            connector_writes: connectors::WriteLocks::default(),
            plugin_writes: Turns::default(),
            user_writes: UserLocks::default(),
            login_attempts: Arc::default(),
            reserved_sends: Reservations::default(),
            pictures: connectors::pictures::Pictures::default(),
            lookups: connectors::lookups::Lookups::default(),
            searches: search::Searches::default(),
            handed_in: messages::equal_texts::HandedIn::default(),
            import_texts: messages::equal_texts::ImportTexts::default(),
            campaign_writes: Turns::default(),
            campaign_policy: Arc::default(),
            plain_webhooks: false,
        }
    }
    /// The locks for changing connectors, for code other than the commands that changes one.
    pub fn connector_writes(&self) -> connectors::WriteLocks {
        self.connector_writes.clone()
    }
    /// The ports that these were made with.
    pub(crate) fn ports(&self) -> &Ports {
        &self.ports
    }
    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }
    /// The clock, for a facade that waits.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.ports.clock
    }
    /// The tenants' files, for a facade's own streaming.
    pub fn media(&self) -> &Arc<dyn MediaStore> {
        &self.ports.media
    }
    /// A new random id, for what a facade prepares before a command.
    pub fn new_id(&self) -> Uuid {
        self.ports.entropy.uuid()
    }
    /// What plugins log and use, for a facade that follows it.
    pub fn telemetry(&self) -> &Arc<dyn PluginTelemetry> {
        &self.ports.telemetry
    }
    /// What may be uploaded, and by whom.
    pub fn plugin_policy(&self) -> PluginPolicy {
        self.ports.plugin_policy
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(Conflict::Message(_)) => {
                Self::conflict("the message was changed in the meantime; read it again and repeat the request")
            }
            StoreError::Conflict(Conflict::IdempotencyKey) => {
                Self::conflict("another request with this key is being processed; repeat the request")
            }
            StoreError::Conflict(Conflict::Email) => Self::conflict("a user with this e-mail already exists"),
            StoreError::Conflict(Conflict::Contact) => {
                Self::conflict("a contact with this type and identifier already exists")
            }
            StoreError::Conflict(Conflict::TagName) => {
                Self::taken(Field::Name, "is the name of a tag already; case and accents do not count")
            }
            StoreError::Conflict(Conflict::TooManyTags) => Self::conflict(format!(
                "there are already {} tags; delete one that is not used",
                crate::model::tag::MAX_TAGS_OF_TENANT
            )),
            StoreError::Conflict(Conflict::TemplateName) => {
                Self::conflict("a template with this connector, name and language already exists")
            }
            StoreError::Conflict(Conflict::TooManyTemplates) => Self::conflict(format!(
                "there are already {} templates; delete one that is not used",
                crate::model::template::MAX_TEMPLATES_OF_TENANT
            )),
            StoreError::Conflict(Conflict::LabelName) => {
                Self::conflict("another one has this name; case and accents do not count")
            }
            StoreError::Conflict(Conflict::TooManyLabels) => Self::conflict(format!(
                "there are already {}; delete one that is not used",
                crate::model::label::MAX_LABELS_OF_TENANT
            )),
            StoreError::Conflict(Conflict::TooManyFiles) => media_files::too_many_files(),
            StoreError::Conflict(Conflict::Campaign(number)) => Self::conflict(format!(
                "campaign {number} was changed in the meantime; read it again and repeat the request"
            )),
            StoreError::Conflict(Conflict::TooManyCampaigns) => Self::conflict(format!(
                "{} campaigns were made, which is all that a tenant may make",
                crate::model::campaign::MAX_CAMPAIGNS
            )),
            StoreError::Conflict(Conflict::Task(_)) => {
                Self::conflict("the event was handled in the meantime; read it again and repeat the request")
            }
            StoreError::Conflict(Conflict::Plugin(name)) => Self::conflict(format!(
                "the plugin {name} was changed in the meantime; read it again and repeat the request"
            )),
            StoreError::Conflict(Conflict::Gone) => Self::new(ErrorCode::NotFound, "it no longer exists"),
            StoreError::Unavailable(_) => Self {
                retry_after_ms: Some(5_000),
                ..Self::new(ErrorCode::Unavailable, "the store does not accept writes now; nothing was stored")
            },
            StoreError::Damaged(context) => Self::internal(context),
        }
    }
}

impl From<crate::model::message::NotAllowed> for Error {
    fn from(error: crate::model::message::NotAllowed) -> Self {
        Self::conflict(error.to_string())
    }
}
