//! The facade as a caller sees it, over the real commands, the real store and the test kit.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use poem::endpoint::BoxEndpoint;
use poem::{Body, EndpointExt, Response};
use pombo_api::application;
use pombo_api::options::{ApiOptions, ApiState, Limits};
use pombo_domain::ConnectorIndex;
use pombo_domain::commands::media_files::FilePolicy;
use pombo_domain::model::pace::PaceView;
use pombo_domain::model::{Connector, Role};
use pombo_domain::ports::{PaceViews, SessionState, StoreResult};
use pombo_testkit::http::{Answer, ask};
use pombo_testkit::{Caller, ManualClock, World, WorldOptions, samples};
use serde_json::{Value, json};

use crate::{FACADE, ZapiniDeps, ZapiniOptions, serve};

mod auth;
mod automation;
mod chat;
mod contacts;
mod conversations;
mod document;
mod entrance;
mod framework;
mod groups;
mod instances;
mod media;
mod media_sends;
mod message_media;
mod said;
mod sends;
mod shape;
mod tags;
mod webhooks;
mod webhooks_in;

/// 2025-01-15T10:30:00Z.
const NOW: pombo_domain::Timestamp = pombo_domain::Timestamp(1_736_937_000_000);
const CODE: &str = "2@aGVsbG8gd29ybGQ,b25l,dHdv,dGhyZWU=";

/// What every pace view answers; asking for one panics where there is none.
struct Fixed(Mutex<Option<PaceView>>);

impl Fixed {
    fn change(&self, change: impl FnOnce(&mut PaceView)) {
        change(self.0.lock().as_mut().expect("there is one"));
    }
}

impl PaceViews for Fixed {
    fn pace(&self, _: ConnectorIndex) -> StoreResult<Option<PaceView>> {
        let view = self.0.lock().clone();
        Ok(Some(view.expect("there is one")))
    }
}

/// The refusals of this facade.
trait Refused {
    /// The error's code, after checking that its body has the documented form.
    fn error(&self, status: u16) -> String;
}

impl Refused for Answer {
    #[track_caller]
    fn error(&self, status: u16) -> String {
        let body = self.expect(status);
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!(body["success"], false, "{body}");
        let error = &body["error"];
        assert!(
            error["message"].as_str().is_some_and(|text| !text.is_empty()) && error["details"].is_object(),
            "{body}"
        );
        error["code"].as_str().expect("a code").to_owned()
    }
}

/// The application with two tenants; the first has an instance.
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
        Self::with(ZapiniOptions { rate_limit: 0, ..ZapiniOptions::default() }).await
    }

    async fn with(options: ZapiniOptions) -> Self {
        Self::made(options, WorldOptions::default()).await
    }

    /// A site without a limit of requests, with these limits of files.
    async fn with_files(files: FilePolicy) -> Self {
        let options = ZapiniOptions { rate_limit: 0, ..ZapiniOptions::default() };
        Self::made(options, WorldOptions { files, ..WorldOptions::default() }).await
    }

    /// A site whose plugin of instances has one more feature.
    async fn with_feature(feature: &str) -> Self {
        let mut plugin = samples::chat_plugin();
        plugin.features.push(feature.to_owned());
        let plugins = vec![samples::email_plugin(), plugin];
        let options = ZapiniOptions { rate_limit: 0, ..ZapiniOptions::default() };
        Self::made(options, WorldOptions { plugins, ..WorldOptions::default() }).await
    }

    async fn made(options: ZapiniOptions, world: WorldOptions) -> Self {
        let world = World::new(WorldOptions { clock: ManualClock::new(NOW), ..world });
        let api = ApiOptions {
            public_url: "http://127.0.0.1:8080".to_owned(),
            secret: b"a secret of at least 32 bytes, for tests".to_vec(),
            token_lifetime: Duration::from_secs(3600),
            media_link_lifetime: Duration::from_secs(3600),
            operator_token_hash: None,
            limits: Limits::default(),
        };
        let state = ApiState::new(world.commands.clone(), api);
        let view = PaceView { sent_today: 50, cap_today: Some(500), ..PaceView::default() };
        let pace = Arc::new(Fixed(Mutex::new(Some(view))));
        let send_wait = Duration::from_secs(25);
        let deps = ZapiniDeps { pace: pace.clone(), started: NOW.plus_ms(-123_456_789), send_wait };
        let facade = serve(state, Arc::new(deps), &options);
        let hosts = [("instance-*.zapini.example.com".to_owned(), FACADE.name.to_owned())];
        let app = application(vec![facade], &hosts).boxed();
        let (loja, other) = (world.caller("loja").await, world.caller("other").await);
        let instance = world.connector(loja.tenant.index, "WhatsApp", "connector-chat", json!({})).await;
        Self { app, pace, world, loja, other, instance }
    }

    /// Another instance of `caller`.
    async fn another(&self, caller: &Caller) -> Arc<Connector> {
        self.world.connector(caller.tenant.index, "Outra", "connector-chat", json!({})).await
    }

    /// The first tenant with a key of its instance.
    async fn bound(&self) -> Caller {
        let made = self.world.commands.create_api_key(self.loja.tenant.index, "bot", Some(self.instance.id)).await;
        Caller { tenant: self.loja.tenant.clone(), key: made.expect("a good name").key }
    }

    /// The first tenant with the token of a user who has this role.
    async fn acting_as(&self, role: Role) -> Caller {
        auth::user(self, role.as_str(), role).await;
        Caller { tenant: self.loja.tenant.clone(), key: auth::token(self, role.as_str()).await }
    }

    fn session(&self, state: SessionState) {
        self.world.connectors.set_session(self.instance.index, state);
    }

    /// Asks with these headers, at the path as it is.
    async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        ask(&self.app, method, path, headers, body).await
    }

    /// Asks as a caller below the first base.
    async fn ask(&self, caller: &Caller, method: &str, path: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {}", caller.key);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.call(method, &format!("/zapini{path}"), &headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&self.loja, "GET", path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(&self.loja, "POST", path, Some(body)).await
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Answer {
        self.ask(&self.loja, method, path, Some(body)).await
    }

    /// The path of the instance, with something below it.
    fn at(&self, below: &str) -> String {
        format!("/instances/{}{below}", self.instance.id)
    }
}
