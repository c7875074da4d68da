//! An engine with two tenants, and the way to ask it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poem::endpoint::BoxEndpoint;
use poem::{Body, Endpoint, EndpointExt, Request, Response};
use pombo_domain::commands::PluginPolicy;
use pombo_domain::commands::access::keys::hash_api_key;
use pombo_domain::model::hearing::HearingView;
use pombo_domain::model::pace::{AudienceView, EqualTextsView, HealthView, PaceView, WaitReason};
use pombo_domain::model::{EventBody, HealthLevel, NewEvent, Outreach, Variables};
use pombo_domain::ports::{
    AppendEvent, Batch, Change, HearingViews, PaceViews, Store, StoreResult, WebhookTested, WebhookTests,
};
use pombo_domain::{ConnectorIndex, Timestamp};
pub(super) use pombo_testkit::Caller;
pub(super) use pombo_testkit::http::Answer;
use pombo_testkit::{ManualClock, World, WorldOptions};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::*;
use pombo_api::application;
use pombo_api::options::{ApiOptions, ApiState, Limits};
use pombo_api::signals::EventSignals;
use pombo_imports::{ImportWorker, ImportWorkerOptions, ListReader};

pub(super) const OPERATOR: &str = "op_the_operator_of_the_tests";

/// Where the tests' clock starts: 2030-01-01T00:00:00Z. It does not let anybody wait, unless a test lets it stand.
const START: Timestamp = Timestamp(1_893_456_000_000);

/// What the pace view and the readiness answer.
#[derive(Default)]
pub(super) struct Fixed {
    pub(super) problems: Mutex<Vec<NotReady>>,
    /// The equal advertising that every connector sent.
    pub(super) equal_texts: Mutex<Option<EqualTextsView>>,
    /// How many people every connector may write to.
    pub(super) audience: Mutex<Option<AudienceView>>,
    /// How far every account may start conversations.
    pub(super) outreach: Mutex<Option<Outreach>>,
    /// What every connector hears.
    pub(super) hearing: Mutex<HearingView>,
    /// The connectors whose webhooks were tested. Their receiver answered 204 after 12 ms.
    pub(super) tested: Mutex<Vec<ConnectorIndex>>,
}

#[async_trait::async_trait]
impl WebhookTests for Fixed {
    async fn test_webhook(&self, connector: ConnectorIndex) -> StoreResult<Option<WebhookTested>> {
        self.tested.lock().expect("no test panics in it").push(connector);
        Ok(Some(WebhookTested { status: Some(204), error: None, took_ms: 12 }))
    }
}

impl HearingViews for Fixed {
    fn hearing(&self, _connector: ConnectorIndex) -> HearingView {
        self.hearing.lock().expect("no test panics in it").clone()
    }
}

impl PaceViews for Fixed {
    fn pace(&self, _connector: ConnectorIndex) -> StoreResult<Option<PaceView>> {
        Ok(Some(PaceView {
            sent_today: 3,
            cap_today: Some(50),
            warm_up_day: Some(1),
            next_at: Some(Timestamp(1_893_456_000_000)),
            reason: Some(WaitReason::QuietHours),
            detail: Some("it is night".to_owned()),
            delay_ms: (2_000, 5_000),
            outreach: *self.outreach.lock().expect("no test panics in it"),
            equal_texts: *self.equal_texts.lock().expect("no test panics in it"),
            audience: *self.audience.lock().expect("no test panics in it"),
            health: Some(HealthView { score: 61, level: HealthLevel::Slowed, sent: 40, ..HealthView::default() }),
            ..PaceView::default()
        }))
    }
}

impl Readiness for Fixed {
    fn problems(&self) -> Vec<NotReady> {
        self.problems.lock().expect("no test panics in it").clone()
    }
}

pub(super) struct Engine {
    pub(super) world: World,
    pub(super) state: Arc<ApiState>,
    pub(super) fixed: Arc<Fixed>,
    pub(super) signals: Arc<EventSignals>,
    /// Cancelled when the engine stops.
    pub(super) draining: CancellationToken,
    pub(super) a: Caller,
    pub(super) b: Caller,
    service: Option<BoxEndpoint<'static, Response>>,
    worker: Option<JoinHandle<()>>,
}

/// The refusals of this facade.
pub(super) trait Refused {
    /// The code and the fields of an error with this status.
    fn error(&self, status: u16) -> (String, Vec<String>);
}

impl Refused for Answer {
    #[track_caller]
    fn error(&self, status: u16) -> (String, Vec<String>) {
        let id = self.headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        let body = self.expect(status);
        let error = &body["error"];
        assert_eq!(error["requestId"], id, "{body}");
        assert!(!id.is_empty() && error["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
        let fields = error["fields"].as_array().expect("always there").iter();
        let fields = fields.map(|field| field["field"].as_str().unwrap_or_default().to_owned()).collect();
        (error["code"].as_str().unwrap_or_default().to_owned(), fields)
    }
}

impl Engine {
    pub(super) async fn new() -> Self {
        Self::with_policy(PluginPolicy::default()).await
    }

    pub(super) async fn with_policy(policy: PluginPolicy) -> Self {
        let clock = ManualClock::skipping(START);
        let world = World::new(WorldOptions { clock, policy, ..WorldOptions::default() });
        let options = ApiOptions {
            public_url: "http://127.0.0.1:8080".to_owned(),
            secret: b"a secret of the tests, long enough".to_vec(),
            token_lifetime: Duration::from_secs(3600),
            media_link_lifetime: Duration::from_secs(3600),
            operator_token_hash: Some(hash_api_key(OPERATOR)),
            limits: Limits::default(),
        };
        let state = ApiState::new(world.commands.clone(), options);
        let (a, b) = (world.caller("A").await, world.caller("B").await);
        let draining = CancellationToken::new();
        let signals = Arc::new(EventSignals::new(draining.clone()));
        world.store.observe(signals.clone());
        world.store.short_pages(3);
        let fixed = Arc::default();
        let mut engine = Self { world, state, fixed, signals, draining, a, b, service: None, worker: None };
        engine.start().await;
        engine
    }

    pub(super) fn imports(&self) -> PathBuf {
        self.world.media.path().join("imports")
    }

    /// Starts the facade and its import worker, as after a restart of the process.
    pub(super) async fn start(&mut self) {
        let options = ImportWorkerOptions { folder: self.imports(), waiting: 4 };
        let started = ImportWorker::start(self.world.commands.clone(), options, CancellationToken::new());
        let (imports, worker) = started.await.expect("the folder can be made");
        let deps = ControlDeps {
            pace: self.fixed.clone(),
            hearing: self.fixed.clone(),
            readiness: self.fixed.clone(),
            metrics: Arc::new(|| "pombo_up 1\n".to_owned()),
            webhook_secret: Arc::new(|tenant| vec![tenant.0 as u8; 3]),
            webhook_tests: self.fixed.clone(),
            imports: Arc::new(imports),
            lists: Arc::new(ListReader::default()),
            events: self.signals.clone(),
        };
        self.service = Some(application(vec![FACADE.serve_with(self.state.clone(), Arc::new(deps))], &[]).boxed());
        self.worker = Some(worker);
    }

    /// Ends the facade; returns once every import that was taken is over or left for later.
    pub(super) async fn finish(&mut self) {
        self.service = None;
        if let Some(worker) = self.worker.take() {
            worker.await.expect("the worker does not panic");
        }
    }

    /// The answer with its body still to be read.
    pub(super) async fn respond(&self, request: Request) -> Response {
        let service = self.service.as_ref().expect("the facade runs");
        service.call(request).await.expect("every failure is an answer")
    }

    pub(super) async fn call(&self, request: Request) -> Answer {
        Answer::of(self.respond(request).await).await
    }

    /// Asks with these headers and an optional JSON body.
    pub(super) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let mut request =
            Request::builder().method(method.parse().expect("a method")).uri(path.parse().expect("a path"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.call(match body {
            Some(body) => request.content_type("application/json").body(Body::from_vec(body.to_string().into_bytes())),
            None => request.finish(),
        })
        .await
    }

    pub(super) async fn get(&self, caller: &Caller, path: &str) -> Answer {
        self.ask("GET", path, &[("x-api-key", &caller.key)], None).await
    }

    pub(super) async fn post(&self, caller: &Caller, path: &str, body: Value) -> Answer {
        self.ask("POST", path, &[("x-api-key", &caller.key)], Some(body)).await
    }

    /// Posts as A to a path that was made for it.
    pub(super) async fn post_owned(&self, path: String, body: Value) -> Answer {
        self.post(&self.a, &path, body).await
    }

    /// A connector of `caller`; its id.
    pub(super) async fn connector(&self, caller: &Caller) -> String {
        let body = json!({
            "name": "Loja", "plugin": "connector-email", "config": {"host": "smtp.loja.com", "password": "s3cret"}
        });
        let made = self.post(caller, "/v1/connectors", body).await.expect(201);
        made["id"].as_str().expect("an id").to_owned()
    }

    /// A connector of `caller` on a plugin that has every feature; its id and its number.
    pub(super) async fn chat(&self, caller: &Caller) -> (String, ConnectorIndex) {
        let made =
            self.post(caller, "/v1/connectors", json!({"name": "Loja", "plugin": "connector-chat", "config": {}}));
        let id = made.await.expect(201)["id"].as_str().expect("an id").to_owned();
        let connector = self.state.commands.get_connector(caller.tenant.index, id.parse().expect("a UUID"));
        (id, connector.expect("it was made").connector.index)
    }

    /// Asks as the operator for the engine itself.
    pub(super) async fn operate(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {OPERATOR}");
        self.ask(method, path, &[("authorization", &bearer)], body).await
    }

    /// Uploads a component with these headers, and a signature where there is one.
    pub(super) async fn upload_as(
        &self,
        headers: &[(&str, &str)],
        component: &[u8],
        signature: Option<&str>,
    ) -> Answer {
        let part =
            |name: &str, more: &str| format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n");
        let mut body = part("component", "; filename=\"plugin.wasm\"").into_bytes();
        body.extend(component);
        body.extend(b"\r\n");
        if let Some(signature) = signature {
            body.extend(part("signature", "").into_bytes());
            body.extend(signature.as_bytes());
            body.extend(b"\r\n");
        }
        body.extend(b"--B--\r\n");
        self.upload_form(headers, body).await
    }

    /// Posts a multipart form to the plugins.
    pub(super) async fn upload_form(&self, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let uri = "/v1/plugins".parse().expect("a path");
        let mut request = Request::builder().method(poem::http::Method::POST).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.content_type("multipart/form-data; boundary=B").body(Body::from_vec(body));
        self.call(request).await
    }

    /// Uploads a component of `caller`.
    pub(super) async fn upload(&self, caller: &Caller, component: Value) -> Answer {
        self.upload_as(&[("x-api-key", &caller.key)], component.to_string().as_bytes(), None).await
    }

    /// Uploads a component of `caller`, and activates it with consent; its digest.
    pub(super) async fn install(&self, caller: &Caller, component: Value) -> String {
        let name = component["name"].as_str().expect("a name").to_owned();
        let made = self.upload(caller, component).await.expect(201);
        let digest = made["digest"].as_str().expect("a digest").to_owned();
        let body = json!({"digest": digest, "grant": true});
        self.post(caller, &format!("/v1/plugins/{name}/activate"), body).await.expect(200);
        digest
    }

    /// An automation of `caller` on a connector.
    pub(super) async fn automation(&self, caller: &Caller, plugin: &str, connector: &str) -> String {
        let body = json!({"name": "Bot", "plugin": plugin, "connectorId": connector});
        let made = self.post(caller, "/v1/automations", body).await.expect(201);
        made["id"].as_str().expect("an id").to_owned()
    }

    /// The events of a tenant's log of one type: their data.
    pub(super) async fn told(&self, caller: &Caller, kind: &str) -> Vec<Value> {
        let page = self.get(caller, &format!("/v1/events?type={kind}")).await.expect(200);
        let events = page["data"].as_array().expect("a list").iter();
        events.map(|event| event["data"].clone()).collect()
    }

    /// What was done with a tenant's conversations after they were opened, as its log tells it: without their rows.
    pub(super) async fn steps(&self, caller: &Caller) -> Vec<Value> {
        let mut told = self.told(caller, "conversation.changed").await;
        told.retain(|event| event["step"] != "opened");
        for event in told.iter_mut().filter_map(Value::as_object_mut) {
            event.remove("conversation");
        }
        told
    }

    /// Appends an event to a tenant's log, as a connector's intake would.
    pub(super) async fn append(&self, caller: &Caller, connector: ConnectorIndex, body: EventBody) {
        let id = self.state.commands.new_id();
        let event = NewEvent { id, connector, at: self.state.commands.now(), body };
        let append = Change::Event(AppendEvent { tenant: caller.tenant.index, event, once: None });
        self.world.store.commit(Batch::of(vec![append])).await.expect("commits");
    }

    /// A message of `caller`; its id.
    pub(super) async fn message(&self, caller: &Caller, connector: &str, approval: bool) -> String {
        let draft = pombo_domain::commands::messages::send::Draft {
            connector: connector.parse().ok(),
            to: Some("ana@loja.com".into()),
            text: Some("Oi {{ nome }}".into()),
            webhook_url: Some("http://loja.com/hook".into()),
            variables: Some(Variables::from_compact(r#"{"nome":"Ana"}"#.to_owned())),
            requires_approval: approval,
            ..Default::default()
        };
        let sent = self.world.commands.send(caller.tenant.index, &draft, None).await.expect("a good draft");
        sent.message.id.to_string()
    }
}
