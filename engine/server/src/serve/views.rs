//! Small adapters between parts that must not know each other: readiness, sessions, signing secrets, links to files.

use std::sync::Arc;

use async_trait::async_trait;
use pombo_api::media_links::MediaLinks;
use pombo_api::signals::EventSignals;
use pombo_control::{NotReady, Readiness};
use pombo_domain::model::Attachment;
use pombo_domain::ports::{
    Account, AttachmentLinks, ChannelEvent, ConnectorEvents, IntakeError, KvWrite, SessionState, Store, StoreHealth,
    StoreResult,
};
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use pombo_scheduler::Intake;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::adapters::keys::RootKey;

/// The answer of `/ready`.
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

/// Passes the connectors' events to the scheduler's intake, and the states of their sessions also to those who follow live. Connectors
/// start before the scheduler: the events that they receive before wait, and the states of their sessions are read once it runs.
pub(super) struct Sessions {
    intake: watch::Sender<Option<Intake>>,
    store: Arc<dyn Store>,
    live: Arc<EventSignals>,
}

impl Sessions {
    pub(super) fn new(store: Arc<dyn Store>, live: Arc<EventSignals>) -> Self {
        Self { intake: watch::channel(None).0, store, live }
    }

    /// The scheduler is running.
    pub(super) fn open(&self, intake: Intake) -> StoreResult<()> {
        self.intake.send_replace(Some(intake.clone()));
        // A change between the scheduler's start and here was told to nobody.
        intake.look()
    }

    /// Tells those who follow live. If the connector cannot be read, they see the state when they ask for it.
    fn tell(&self, connector: ConnectorIndex, state: &SessionState) {
        if !self.live.is_followed() {
            return;
        }
        if let Ok(Some(stored)) = self.store.connector(connector) {
            self.live.session_changed(stored.tenant, connector, state.clone());
        }
    }
}

#[async_trait]
impl ConnectorEvents for Sessions {
    fn session_changed(&self, connector: ConnectorIndex, state: SessionState, account: Option<Account>) {
        tracing::debug!(connector = connector.0, connected = state == SessionState::Connected, "session changed");
        self.tell(connector, &state);
        let intake = self.intake.borrow().clone();
        if let Some(intake) = intake {
            intake.session_changed(connector, state, account);
        }
    }

    async fn take(
        &self,
        connector: ConnectorIndex,
        events: Vec<ChannelEvent>,
        writes: Vec<KvWrite>,
    ) -> Result<(), IntakeError> {
        let mut opened = self.intake.subscribe();
        let intake = match opened.wait_for(Option::is_some).await {
            Ok(intake) => intake.clone(),
            Err(_) => None,
        };
        match intake {
            Some(intake) => intake.take(connector, events, writes).await,
            None => Err(IntakeError::Unavailable("the engine is stopping; emit it again".to_owned())),
        }
    }
}

/// How long a channel can fetch a file by its link.
const FILE_LINK_MS: i64 = 3_600_000;

/// Links to the files of messages, which the route `/v1/media/{id}` serves; none if the engine's address is not known.
pub(super) struct FileLinks(pub(super) Option<MediaLinks>);

impl AttachmentLinks for FileLinks {
    fn link(&self, tenant: TenantIndex, file: &Attachment, now: Timestamp) -> Option<String> {
        self.0.as_ref().map(|links| links.url_until(tenant, file, now.plus_ms(FILE_LINK_MS)))
    }
}

/// Webhook secrets, one per tenant, derived: nothing is stored, and they are the same after a restart.
pub(super) struct WebhookSecrets(pub(super) [u8; 32]);

impl pombo_scheduler::SigningSecrets for WebhookSecrets {
    fn webhook_secret(&self, tenant: TenantIndex) -> Vec<u8> {
        RootKey::from(self.0).derive(&format!("tenant/{}", tenant.0)).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use pombo_api::media_links::LinkQuery;
    use uuid::Uuid;

    #[test]
    fn a_link_opens_its_file_for_an_hour_with_the_key_of_the_api() {
        let links =
            || MediaLinks::new(b"a secret of at least 32 bytes, for tests", "https://pombo.example", Duration::ZERO);
        let id = Uuid::from_u128(7);
        let (file_name, content_type) = ("a.pdf".to_owned(), "application/pdf".to_owned());
        let file = Attachment { id, file_name, content_type, size: 1 };
        let now = Timestamp(1_736_937_000_000);
        assert_eq!(FileLinks(None).link(TenantIndex(3), &file, now), None);
        let link = FileLinks(Some(links())).link(TenantIndex(3), &file, now).expect("the address is known");
        assert!(link.starts_with(&format!("https://pombo.example/v1/media/{id}?")), "{link}");
        let field = |name: &str| {
            let query = link.split_once('?').map(|(_, query)| query).unwrap_or_default();
            let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_default().replace("%2F", "/")
        };
        let query = || LinkQuery {
            exp: field("exp").parse().expect("a number"),
            t: field("t").parse().expect("a number"),
            content_type: field("type"),
            name: field("name"),
            sig: field("sig"),
        };
        let opened = |id, at: i64| links().open(id, query(), now.plus_ms(at)).map(|link| (link.tenant, link.id));
        assert_eq!(opened(id, FILE_LINK_MS - 1_000), Some((TenantIndex(3), id)));
        assert_eq!(opened(id, FILE_LINK_MS), None, "no longer");
        assert_eq!(opened(Uuid::from_u128(8), 0), None, "no other file");
    }
}
