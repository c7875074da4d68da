//! What an instance of a connector is made of, and what its supervisor and its actor are told.

use std::sync::Arc;

use parking_lot::Mutex;
use pombo_domain::model::Attachment;
use pombo_domain::ports::ConnectorSpec;
use tokio::sync::oneshot;
use wasmtime::Engine;

use crate::registry::ConnectorPlugin;
use crate::state::{Context, Services};
use crate::worlds;

/// A version of a plugin with a connector's specification: what an instance is made of.
pub(crate) struct Assignment {
    pub(crate) engine: Engine,
    pub(crate) plugin: Arc<ConnectorPlugin>,
    pub(crate) services: Arc<Services>,
    pub(crate) context: Arc<Context>,
    /// The configuration as the plugin gets it, JSON.
    pub(crate) config: String,
    /// The specification, without its secret fields, which the context holds: the next assignment is made of it.
    pub(crate) spec: ConnectorSpec,
    /// Dropped when the assignment before is gone, or when this one will never begin.
    pub(crate) before: Mutex<Option<oneshot::Sender<()>>>,
}

impl Assignment {
    /// A link from which the channel can fetch a file for a while; `None` unless the plugin asked for such links.
    pub(crate) fn link(&self, file: &Attachment) -> Option<String> {
        if !self.plugin.description.offers(worlds::connector::ATTACHMENT_LINKS) {
            return None;
        }
        self.services.links.link(self.context.tenant, file, self.services.clock.now())
    }

    /// The specification with its secrets.
    pub(crate) fn whole_spec(&self) -> ConnectorSpec {
        ConnectorSpec { secrets: self.context.secrets().clone(), ..self.spec.clone() }
    }
}

/// What a supervisor is to do.
pub(crate) struct Control {
    pub(super) assignment: Arc<Assignment>,
    pub(super) stop: bool,
    /// Nothing more is begun, not even what is in the queues.
    pub(super) halt: bool,
}

/// What a [`Control`] means for one assignment's instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Orders {
    /// Another assignment takes its place, or another instance its work.
    pub(crate) give_way: bool,
    /// The connector is stopped: what is in the queue is the last.
    pub(crate) stop: bool,
}

impl Control {
    pub(crate) fn orders(&self, to: &Assignment) -> Orders {
        Orders { give_way: self.halt || !std::ptr::eq(&*self.assignment, to), stop: self.stop }
    }
}
