//! One file per use case: the only door for the facades. A facade parses, calls one command, maps the answer.
//!
//! A command takes the tenant of the credential first and never answers with another tenant's data: another tenant's id is
//! not found. It runs on the caller's task.

use std::sync::Arc;

use crate::ports::*;
use crate::{Error, ErrorCode};

pub mod acts;
pub mod authenticate;
pub mod connectors;
pub mod contacts;
pub mod deliveries;
pub mod events;
pub mod groups;
pub mod imports;
pub mod list_messages;
pub mod message_steps;
pub mod operations;
pub mod pace;
pub mod preview;
pub mod send;
pub mod sessions;
pub mod tenants;
mod text;
pub mod whatsapp;

/// What the commands stand on.
pub struct Ports {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Password hashing.
    pub passwords: Arc<dyn PasswordHasher>,
    /// Encryption of connector secrets.
    pub secrets: Arc<dyn SecretBox>,
    /// Templates.
    pub renderer: Arc<dyn Renderer>,
    /// Connector plugins.
    pub connectors: Arc<dyn Connectors>,
    /// Which outbound targets are allowed.
    pub guard: Arc<dyn OutboundGuard>,
    /// Files.
    pub media: Arc<dyn MediaStore>,
}

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct Commands {
    ports: Arc<Ports>,
    connector_writes: connectors::WriteLocks,
    login_attempts: Arc<authenticate::LoginAttempts>,
}

impl Commands {
    /// Makes them over `ports`.
    pub fn new(ports: Ports) -> Self {
        Self {
            ports: Arc::new(ports),
            connector_writes: connectors::WriteLocks::default(),
            login_attempts: Arc::default(),
        }
    }
    /// The turns in which connectors are changed, for whoever changes one beside the commands.
    pub fn connector_writes(&self) -> connectors::WriteLocks {
        self.connector_writes.clone()
    }
    /// The ports, for a facade's own streaming (media) and readiness.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(Conflict::Message(_)) => {
                Self::conflict("the message changed meanwhile; read it again and repeat the request")
            }
            StoreError::Conflict(Conflict::IdempotencyKey) => {
                Self::conflict("another request with this Idempotency-Key is being processed; repeat the request")
            }
            StoreError::Conflict(Conflict::Email) => Self::conflict("a user with this e-mail already exists"),
            StoreError::Conflict(Conflict::Contact) => {
                Self::conflict("a contact with this type and identifier already exists")
            }
            StoreError::Unavailable(_) => Self {
                retry_after_ms: Some(5_000),
                ..Self::new(ErrorCode::Unavailable, "the store is not taking writes now; nothing was stored")
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
