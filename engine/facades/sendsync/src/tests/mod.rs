//! The facade as a caller sees it, over the real commands, the real store and the test kit.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem::{Body, EndpointExt, Response};
use pombo_api::application;
use pombo_api::options::{ApiOptions, ApiState, Limits};
use pombo_domain::commands::access::users::UserRequest;
use pombo_domain::model::pace::PaceView;
use pombo_domain::model::{Connector, Role, Tenant};
use pombo_domain::ports::{PaceViews, SessionState, StoreResult};
use pombo_domain::{ConnectorIndex, Timestamp};
use pombo_testkit::http::{Answer, ask};
use pombo_testkit::{Caller, ManualClock, World, WorldOptions};
use serde_json::{Value, json};

use super::{FACADE, SendsyncDeps};

mod another_facade;
mod contacts;
mod credentials;
mod document;
mod framework;
mod list;
mod send;
mod whatsapp;

/// 2026-01-02T03:04:05.678Z.
const NOW: Timestamp = Timestamp(1_767_323_045_678);
const PASSWORD: &str = "correct horse";

/// The refusals of this facade.
trait Refused {
    /// The message of an error, after checking that its body has the documented shape.
    fn error(&self, status: u16) -> String;
}

impl Refused for Answer {
    #[track_caller]
    fn error(&self, status: u16) -> String {
        let body = self.expect(status);
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!(body["statusCode"], status, "{body}");
        assert_eq!(body["error"], self.status.canonical_reason().expect("a known status"), "{body}");
        body["message"].as_str().expect("a message").to_owned()
    }
}

/// A tenant with what it needs to call.
struct Company {
    tenant: Tenant,
    api_key: String,
    connector: Arc<Connector>,
}

/// What the pace view answers.
#[derive(Default)]
struct Fixed(Mutex<PaceView>);

impl PaceViews for Fixed {
    fn pace(&self, _connector: ConnectorIndex) -> StoreResult<Option<PaceView>> {
        Ok(Some(self.0.lock().expect("no test panics in it").clone()))
    }
}

/// The application with two tenants.
struct Site {
    world: World,
    state: Arc<ApiState>,
    pace: Arc<Fixed>,
    app: BoxEndpoint<'static, Response>,
    loja: Company,
    other: Company,
}

/// A tenant with a user, a key and an e-mail connector.
async fn company(world: &World, name: &str) -> Company {
    let Caller { tenant, key } = world.caller(name).await;
    let (email, password) = (format!("{name}@example.com"), PASSWORD.to_owned());
    let user = UserRequest { email, name: name.to_owned(), password, role: Role::Owner };
    world.commands.create_user(tenant.index, user).await.expect("a good user");
    let config = json!({"host": "mail.example.com"});
    let connector = world.connector(tenant.index, "E-mail", "connector-email", config).await;
    Company { tenant, api_key: key, connector }
}

/// A number as this facade's callers must write it.
fn number(to: String) -> Result<String, String> {
    match to.bytes().all(|b| b.is_ascii_digit()) && (8..=15).contains(&to.len()) {
        true => Ok(to),
        false => Err("must be digits with country and area code, for example 5511999998888".to_owned()),
    }
}

impl Site {
    async fn new() -> Self {
        Self::with_limits(Limits::default()).await
    }

    async fn with_limits(limits: Limits) -> Self {
        let world = World::new(WorldOptions { clock: ManualClock::new(NOW), ..WorldOptions::default() });
        world.connectors.take_numbers(number);
        let options = ApiOptions {
            public_url: "http://127.0.0.1:8080".to_owned(),
            secret: b"a secret of at least 32 bytes, for tests".to_vec(),
            token_lifetime: Duration::from_secs(3600),
            media_link_lifetime: Duration::from_secs(3600),
            operator_token_hash: None,
            limits,
        };
        let template = || pombo_imports::template().map_err(|error| error.to_string());
        let state = ApiState::new(world.commands.clone(), options);
        let pace = Arc::new(Fixed::default());
        let facade = FACADE.serve_with(Arc::clone(&state), Arc::new(SendsyncDeps { template, pace: pace.clone() }));
        let hosts = [("sendsync.example.com".to_owned(), FACADE.name.to_owned())];
        let app = application(vec![facade], &hosts).boxed();
        let (loja, other) = (company(&world, "loja").await, company(&world, "other").await);
        Self { app, state, world, pace, loja, other }
    }

    /// A WhatsApp connector of `loja`, whose session stands so.
    async fn whatsapp(&self, session: SessionState) -> Arc<Connector> {
        let made = self.world.connector(self.loja.tenant.index, "WhatsApp", "connector-chat", json!({})).await;
        self.world.connectors.set_session(made.index, session);
        made
    }

    async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        ask(&self.app, method.as_str(), path, headers, body).await
    }

    /// As the tenant `loja`, with its key.
    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, &format!("/sendsync/api{path}"), &[("x-api-key", &self.loja.api_key)], ()).await
    }

    /// The same with a JSON body.
    async fn send_json(&self, method: Method, path: &str, body: Value) -> Answer {
        self.send_text(method, path, "application/json", body.to_string()).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send_json(Method::POST, path, body).await
    }

    async fn send_text(&self, method: Method, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
        let headers = [("x-api-key", self.loja.api_key.as_str()), ("content-type", content_type)];
        self.call(method, &format!("/sendsync/api{path}"), &headers, body).await
    }

    /// A message that is good in every way.
    fn message(&self) -> Value {
        json!({"connectorId": self.loja.connector.id, "to": "cliente@Exemplo.com", "message": "Seu pedido foi confirmado!"})
    }

    /// The same with some fields changed; `null` takes one away.
    fn message_with(&self, changes: Value) -> Value {
        let mut message = self.message();
        for (name, value) in changes.as_object().expect("an object") {
            message[name] = value.clone();
        }
        message
    }
}
