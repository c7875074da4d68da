//! A receipt, as the gateway tells it and as the engine is told.

use pombo_plugin::connector::events;
use serde::{Deserialize, Serialize};

/// How far a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Step {
    Failed,
    Server,
    Delivered,
    Read,
    Played,
}

impl Step {
    fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Server => "server",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
        }
    }

    fn kind(self) -> events::ReceiptKind {
        match self {
            Self::Failed => events::ReceiptKind::Failed,
            Self::Server => events::ReceiptKind::Server,
            Self::Delivered => events::ReceiptKind::Delivered,
            Self::Read => events::ReceiptKind::Read,
            Self::Played => events::ReceiptKind::Played,
        }
    }
}

/// A receipt as the gateway tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Said {
    /// WhatsApp's id of the message.
    pub(crate) id: String,
    pub(crate) step: Step,
    /// The address of who got it.
    pub(crate) recipient: Option<String>,
    /// When it came, in milliseconds.
    pub(crate) at: u64,
    pub(crate) reason: Option<String>,
}

impl Said {
    /// The key under which it waits.
    pub(super) fn key(&self) -> String {
        // In a group, each member has a receipt of each kind.
        let whose = self.recipient.as_deref().unwrap_or_default();
        format!("early/{}/{}/{whose}", self.id, self.step.word())
    }

    /// What the engine is told, once it is known whose it is.
    pub(super) fn event(&self, client: &str) -> events::Event {
        events::Event::Receipt(events::Receipt {
            client_id: Some(client.to_owned()),
            provider_id: self.id.clone(),
            recipient: self.recipient.clone(),
            kind: self.step.kind(),
            at_millis: self.at,
            reason: self.reason.clone(),
        })
    }
}
