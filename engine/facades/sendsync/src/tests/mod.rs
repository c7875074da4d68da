//! The facade as a caller sees it, over ports in memory.

use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::http::{HeaderMap, Method, StatusCode};
use poem::{Body, Endpoint, EndpointExt, Request, Response};
use serde_json::{Value, json};

use self::world::{TestTenant, World};
use super::sendsync_service;
use pombo_api::app::{Services, application};
use pombo_api::docs::Docs;

mod contacts;
mod credentials;
mod document;
mod framework;
mod list;
mod qr;
mod send;
mod whatsapp;
mod world;

/// An answer, read whole.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("every answer is JSON")
    }
    #[track_caller]
    fn ok(self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, String::from_utf8_lossy(&self.body));
        self.json()
    }
    /// The message of an error, after checking that its body has the documented shape.
    #[track_caller]
    fn error(&self, status: u16) -> String {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{text}");
        assert_eq!(self.headers["content-type"], "application/json");
        let body = self.json();
        assert_eq!(body["statusCode"], status, "{text}");
        assert_eq!(body["error"], self.status.canonical_reason().expect("a known status"), "{text}");
        body["message"].as_str().expect("a message").to_owned()
    }
}

/// The application with two tenants.
struct Site {
    world: World,
    app: BoxEndpoint<'static, Response>,
    loja: TestTenant,
    other: TestTenant,
}

impl Site {
    async fn new() -> Self {
        Self::over(World::new()).await
    }

    async fn over(world: World) -> Self {
        let loja = world.tenant("loja").await;
        let other = world.tenant("other").await;
        let services = Services {
            sendsync: sendsync_service(Arc::clone(&world.state)),
            control: poem::endpoint::make_sync(|_| StatusCode::NOT_FOUND).map_to_response().boxed(),
            docs: Docs::new(Vec::new()),
        };
        let hosts = world.state.options.sendsync_hosts.clone();
        Self { app: application(services, &hosts).boxed(), world, loja, other }
    }

    async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path.parse().expect("a URI"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.app.call(request.body(body.into())).await.expect("failures are answers");
        let (parts, body) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: body.into_vec().await.expect("a body") }
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
