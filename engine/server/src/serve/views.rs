//! Small adapters between the parts that must not know each other: readiness, paces, sessions, signing secrets.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use pombo_api::control::{NotReady, PaceView, PaceViews, Readiness};
use pombo_domain::ports::{ConnectorEvents, SessionState, Store, StoreHealth};
use pombo_domain::{ConnectorIndex, TenantIndex};
use tokio_util::sync::CancellationToken;

use crate::adapters::keys::RootKey;

/// What `/ready` says.
pub(super) struct Ready {
    pub(super) store: Arc<dyn Store>,
    pub(super) draining: CancellationToken,
}

impl Readiness for Ready {
    fn problems(&self) -> Vec<NotReady> {
        let mut problems = Vec::new();
        if let StoreHealth::Failed(reason) = self.store.health() {
            problems.push(NotReady { part: "store".to_owned(), reason });
        }
        if self.draining.is_cancelled() {
            problems.push(NotReady { part: "draining".to_owned(), reason: "the engine is stopping".to_owned() });
        }
        problems
    }
}

/// The scheduler's view of a connector's pace in the API's words.
pub(super) struct Paces(pub(super) pombo_scheduler::Handle);

#[async_trait]
impl PaceViews for Paces {
    async fn pace_view(&self, connector: ConnectorIndex) -> Option<PaceView> {
        let view = match self.0.pace(connector) {
            Ok(view) => view?,
            Err(error) => {
                tracing::error!(%error, "a connector's pace cannot be read");
                return None;
            }
        };
        let waits = view.reason.is_some();
        Some(PaceView {
            sent_today: view.sent_today,
            cap_today: view.cap_today,
            warm_up_day: view.warm_up_day,
            next_at: view.next_at,
            waiting_reason: view.reason.map(str::to_owned),
            waiting_until: view.next_at.filter(|_| waits),
        })
    }
}

/// A session that opens wakes its lane, which may be resting.
#[derive(Default)]
pub(super) struct Sessions {
    /// Set once the scheduler runs; connectors start before it.
    pub(super) scheduler: OnceLock<pombo_scheduler::Handle>,
}

impl ConnectorEvents for Sessions {
    fn session_changed(&self, connector: ConnectorIndex, state: SessionState) {
        tracing::debug!(connector = connector.0, connected = state == SessionState::Connected, "session changed");
        if state == SessionState::Connected
            && let Some(scheduler) = self.scheduler.get()
        {
            scheduler.wake(connector);
        }
    }
}

/// Webhook secrets, one a tenant, derived: nothing to store, and the same after a restart.
pub(super) struct WebhookSecrets(pub(super) [u8; 32]);

impl pombo_scheduler::SigningSecrets for WebhookSecrets {
    fn webhook_secret(&self, tenant: TenantIndex) -> Vec<u8> {
        RootKey::from(self.0).derive(&format!("tenant/{}", tenant.0)).to_vec()
    }
}
