//! The facade as a caller sees it, over the real commands, the real store and the test kit. No scheduler runs: each test plays the lane.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use poem::endpoint::BoxEndpoint;
use poem::{Body, EndpointExt, Response};
use pombo_api::application;
use pombo_api::options::{ApiOptions, ApiState, Limits};
use pombo_domain::ConnectorIndex;
use pombo_domain::model::message::MessageAction;
use pombo_domain::model::pace::PaceView;
use pombo_domain::model::{
    Connector, ContactType, EntryContent, MessageState, StoredMessage, TimelineAct, TimelineEntry,
};
use pombo_domain::ports::{Batch, Change, ChatChange, ChatMessage, OwnKind, PaceViews, Store, StoreResult};
use pombo_testkit::http::{Answer, ask};
use pombo_testkit::{Caller, ManualClock, World, WorldOptions, samples};
use serde_json::{Value, json};

use crate::{AideskDeps, FACADE};

mod direct_sends;
mod document;
mod framework;
mod outcomes;
mod template_sends;

/// 2025-01-15T10:30:00Z.
const NOW: pombo_domain::Timestamp = pombo_domain::Timestamp(1_736_937_000_000);
/// How long the site waits, in milliseconds.
const WAIT_MS: i64 = 25_000;
/// The documentation's number.
const ANA: &str = "5511978049825";
/// The documentation's id of a message.
const WAMID: &str = "wamid.HBgLNTExOTc4MDQ5ODI1FQIAERgSMTIzNDU2Nzg5MDEyMzQ1Njc4";

/// What every pace view answers.
struct Fixed(Mutex<PaceView>);

impl PaceViews for Fixed {
    fn pace(&self, _: ConnectorIndex) -> StoreResult<Option<PaceView>> {
        Ok(Some(self.0.lock().clone()))
    }
}

/// The refusals of this facade.
trait Refused {
    /// The body, after checking that it has the form of every error.
    fn refusal(&self, status: u16) -> Value;
}

impl Refused for Answer {
    #[track_caller]
    fn refusal(&self, status: u16) -> Value {
        let body = self.expect(status);
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!((&body["success"], &body["status"]), (&json!(false), &json!("error")), "{body}");
        assert!(body["message"].as_str().is_some_and(|text| !text.is_empty()) && body["errors"].is_object(), "{body}");
        body
    }
}

/// The application with two tenants; the first has an instance whose channel keeps templates.
struct Site {
    world: World,
    pace: Arc<Fixed>,
    app: BoxEndpoint<'static, Response>,
    loja: Caller,
    other: Caller,
    instance: Arc<Connector>,
}

impl Site {
    async fn new() -> Self {
        let mut plugin = samples::chat_plugin();
        plugin.features.push("templates".to_owned());
        plugin.contents.push(OwnKind { name: "template".to_owned(), schema: None });
        let mut plain = samples::chat_plugin();
        plain.name = "connector-plain".to_owned();
        let plugins = vec![samples::email_plugin(), plugin, plain];
        let world = World::new(WorldOptions { clock: ManualClock::new(NOW), plugins, ..WorldOptions::default() });
        let api = ApiOptions {
            public_url: "http://127.0.0.1:8080".to_owned(),
            secret: b"a secret of at least 32 bytes, for tests".to_vec(),
            token_lifetime: Duration::from_secs(3600),
            media_link_lifetime: Duration::from_secs(3600),
            operator_token_hash: None,
            limits: Limits::default(),
        };
        let state = ApiState::new(world.commands.clone(), api);
        let pace = Arc::new(Fixed(Mutex::new(PaceView::default())));
        let deps = AideskDeps { pace: pace.clone(), send_wait: Duration::from_millis(WAIT_MS.unsigned_abs()) };
        let hosts = [("api.aidesk.example.com".to_owned(), FACADE.name.to_owned())];
        let app = application(vec![FACADE.serve_with(state, Arc::new(deps))], &hosts).boxed();
        let (loja, other) = (world.caller("loja").await, world.caller("other").await);
        let instance = world.connector(loja.tenant.index, "WhatsApp", "connector-chat", json!({})).await;
        Self { app, pace, world, loja, other, instance }
    }

    /// Another connector of the first tenant.
    async fn another(&self, plugin: &str) -> Arc<Connector> {
        let config = match plugin {
            "connector-chat" | "connector-plain" => json!({}),
            _ => json!({"host": "mail.example.com", "from": "a@example.com"}),
        };
        self.world.connector(self.loja.tenant.index, "Outro", plugin, config).await
    }

    /// A key of the first tenant that is bound to this connector.
    async fn bound_to(&self, connector: &Connector) -> String {
        let made = self.world.commands.create_api_key(self.loja.tenant.index, "bot", Some(connector.id)).await;
        made.expect("a good name").key
    }

    /// Asks with these headers, at the path as it is.
    async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        ask(&self.app, method, path, headers, body).await
    }

    /// Posts with this key.
    async fn post_as(&self, key: &str, path: &str, body: &Value) -> Answer {
        let headers = [("apikey", key), ("content-type", "application/json")];
        self.call("POST", &format!("/aidesk{path}"), &headers, body.to_string()).await
    }

    /// Posts with the first tenant's key.
    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_as(&self.loja.key, path, body).await
    }

    /// The number of a contact of this address that is known on these connectors.
    async fn contact(&self, address: &str, connectors: &[&Connector]) -> u64 {
        let draft = pombo_domain::commands::contacts::ContactDraft {
            kind: ContactType::WhatsApp,
            identifier: address.to_owned(),
            connectors: connectors.iter().map(|connector| connector.id).collect(),
            patch: Default::default(),
        };
        self.world.commands.save_contact(self.loja.tenant.index, draft).await.expect("a good contact").0.number
    }

    fn messages(&self) -> u64 {
        self.world.store.message_count()
    }

    /// The next message in the queue of the instance.
    async fn queued(&self) -> StoredMessage {
        for _ in 0..10_000 {
            let ready = self.world.store.ready(self.instance.index, None, 1).expect("reads");
            if let Some(entry) = ready.first() {
                return self.world.store.message(entry.key).expect("reads").expect("it is stored");
            }
            tokio::task::yield_now().await;
        }
        panic!("nothing was queued")
    }

    /// Plays the lane for one message: its attempt begins, and ends as `end` says. Returns the message as it was queued.
    async fn lane(&self, end: impl FnOnce(&MessageState) -> Option<MessageState>) -> StoredMessage {
        let stored = self.queued().await;
        let message = &stored.message;
        let claimed = stored.state.claim(NOW).expect("it is queued");
        let said = EntryContent::Sent {
            text: Some(message.content.text.clone()),
            subject: None,
            attachments: message.content.attachments.clone(),
            voice_note: false,
            file_kind: message.content.options.file_kind,
        };
        let act = TimelineAct::Say(TimelineEntry { content: said, ..TimelineEntry::sent(message.key, NOW) });
        let in_chat = ChatMessage {
            tenant: message.key.tenant,
            connector: self.instance.index,
            chat: message.content.to.clone(),
            is_group: None,
            contact_name: None,
            act,
        };
        let attempted = ChatChange::Attempted(message.key, message.id, in_chat);
        let begins = vec![Change::Update(samples::update(&stored, claimed.clone())), Change::Chat(Box::new(attempted))];
        self.world.store.write(Batch::of(begins)).expect("stored");
        if let Some(ended) = end(&claimed) {
            let running = StoredMessage { message: message.clone(), state: claimed };
            self.world.store.write(Batch::of(vec![Change::Update(samples::update(&running, ended))])).expect("stored");
        }
        stored
    }

    /// WhatsApp accepts the next message under this id.
    async fn accept(&self, provider_id: &str) -> StoredMessage {
        self.lane(|state| state.sent(Some(provider_id.to_owned()), NOW).ok()).await
    }
}

/// The body with one field set, or without it where the value is null.
fn but(mut body: Value, name: &str, value: Value) -> Value {
    match value {
        Value::Null => drop(body.as_object_mut().expect("an object").remove(name)),
        value => body[name] = value,
    }
    body
}

/// Whether a message says a text of its own.
fn says(stored: &StoredMessage) -> bool {
    stored.message.content.options.action == MessageAction::Say
}
