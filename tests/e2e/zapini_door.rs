//! What stands before Zapini's operations, on a real engine with a real configuration: host names that name an instance, web pages of
//! other origins, and the limit of requests.

use anyhow::{Context, Result, ensure};
use pombo_tests::http::{Client, Reply};
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::wait::{PATIENCE, until};
use serde_json::json;

const PAGE: &str = "https://app.example.com";

/// An engine that takes so many requests of a token in a minute; 0 for any number.
fn server(limit: u32) -> Result<Server> {
    let lines = format!(
        "[zapini]\nrate_limit = {limit}\nrate_window_minutes = 1\ncors_origins = [\"{PAGE}\"]\n\
         [http.hosts]\n\"instance-*.zapini.test\" = \"zapini\"\n"
    );
    Server::start(Options { demo: false, ..Options::with(&lines) })
}

/// An instance of a tenant, whose gateway says that it is connected with this number.
fn instance(server: &Server, tenant: &Tenant, phone: &str) -> Result<String> {
    let config = json!({"baseUrl": "https://127.0.0.1:9", "token": "sk_gateway"});
    let connector = tenant.connector("connector-gateway", &config)?;
    let receiving = tenant.client.get(&format!("/v1/connectors/{connector}/receiving"))?.expect_json(200)?;
    let path = format!("/zapini/webhooks/instance/{connector}/connection");
    let connected = json!({"status": "connected", "phone_number": phone, "timestamp": "2025-01-15T10:30:00Z"});
    let gateway = server.client().with("X-Webhook-Secret", &text_of(&receiving, "secret")?);
    // Its plugin may still be starting.
    until("the instance to take webhooks", PATIENCE, || {
        let reply = gateway.post(&path, &connected)?;
        Ok((reply.status != 503).then_some(reply))
    })?
    .expect(200)?;
    Ok(connector)
}

/// A number in a header.
fn number(reply: &Reply, name: &str) -> Result<u64> {
    Ok(reply.header(name).with_context(|| format!("no {name}: {reply:?}"))?.parse()?)
}

#[test]
fn a_host_name_names_the_instance_and_the_api_is_at_its_root() -> Result<()> {
    let server = server(0)?;
    let tenant = Tenant::create(&server)?;
    let phones = ["5511911111111", "5511922222222"];
    let instances = [instance(&server, &tenant, phones[0])?, instance(&server, &tenant, phones[1])?];
    let at = |host: &str| server.client().bearer(&tenant.key).with("Host", host);
    let phone_at = |client: &Client, path: &str| -> Result<String> {
        let mut phone = String::new();
        until("the instance to be connected", PATIENCE, || {
            let status = client.get(path)?.expect_json(200)?;
            phone = status["phone"].as_str().unwrap_or_default().to_owned();
            Ok((status["status"] == "connected").then_some(()))
        })?;
        Ok(phone)
    };
    for (id, phone) in instances.iter().zip(phones) {
        assert_eq!(phone_at(&at(&format!("instance-{id}.zapini.test")), "/status")?, phone);
        // Both bases, at the host and below the API's own path.
        assert_eq!(phone_at(&at(&format!("INSTANCE-{id}.zapini.test:8080")), "/api/v1/status")?, phone);
        let own = server.client().bearer(&tenant.key);
        assert_eq!(phone_at(&own, &format!("/zapini/instance-{id}/status"))?, phone);
        let shown = own.get(&format!("/zapini/instances/{id}"))?.expect_json(200)?;
        let index = shown["data"]["instance"]["id"].as_u64().context("a number")?;
        assert_eq!(phone_at(&at(&format!("instance-{index}.zapini.test")), "/status")?, phone);
    }
    // Without a name of one of two, nobody can tell which is meant.
    let refused = server.client().bearer(&tenant.key).get("/zapini/status")?.expect_json(422)?;
    ensure!(refused["error"]["details"]["instance_id"].is_array(), "{refused}");
    at("instance-99.zapini.test").get("/status")?.expect(404)?;
    let other = Tenant::create(&server)?;
    let theirs = server.client().bearer(&other.key).with("Host", &format!("instance-{}.zapini.test", instances[0]));
    theirs.get("/status")?.expect(404)?;
    // A host that is not in the configuration has the engine's own paths.
    at("instance-1.elsewhere.test").get("/status")?.expect(404)?;
    at("instance-1.elsewhere.test").get("/health")?.expect(200)?;
    Ok(())
}

#[test]
fn pages_of_the_listed_origins_may_call() -> Result<()> {
    let server = server(0)?;
    let tenant = Tenant::create(&server)?;
    let asks = |origin: &str| {
        let request = server.client().request("OPTIONS", "/zapini/api/v1/instances").header("Origin", origin);
        request.header("Access-Control-Request-Method", "GET").header("Access-Control-Request-Headers", "authorization")
    };
    let allowed = asks(PAGE).send()?.expect(204)?;
    assert_eq!(allowed.header("access-control-allow-origin"), Some(PAGE));
    for (header, name) in [
        ("access-control-allow-headers", "Authorization"),
        ("access-control-allow-headers", "X-Requested-With"),
        ("access-control-allow-methods", "PATCH"),
    ] {
        ensure!(allowed.header(header).is_some_and(|all| all.contains(name)), "{name}: {allowed:?}");
    }
    let refused = asks("https://evil.example.com").send()?.expect(405)?;
    assert_eq!(refused.header("access-control-allow-origin"), None);

    let page = server.client().bearer(&tenant.key).with("Origin", PAGE);
    let read = page.get("/zapini/instances")?.expect(200)?;
    assert_eq!(read.header("access-control-allow-origin"), Some(PAGE));
    ensure!(read.header("access-control-expose-headers").is_some_and(|all| all.contains("Retry-After")), "{read:?}");
    // Refusals can be read, too; the engine's own API has no such pages.
    let unknown = page.get("/zapini/nothing")?.expect(404)?;
    assert_eq!(unknown.header("access-control-allow-origin"), Some(PAGE));
    let own = tenant.client.with("Origin", PAGE).get("/v1/connectors")?.expect(200)?;
    assert_eq!(own.header("access-control-allow-origin"), None);
    Ok(())
}

#[test]
fn a_token_that_asks_too_often_is_told_when_to_come_again() -> Result<()> {
    let server = server(30)?;
    let (tenant, other) = (Tenant::create(&server)?, Tenant::create(&server)?);
    let client = server.client().bearer(&tenant.key);
    for left in (0..30).rev() {
        let reply = client.get("/zapini/instances")?.expect(200)?;
        assert_eq!(number(&reply, "x-ratelimit-limit")?, 30);
        assert_eq!(number(&reply, "x-ratelimit-remaining")?, left);
        ensure!(number(&reply, "x-ratelimit-reset")? > 1_700_000_000, "{reply:?}");
    }
    let over = client.get("/zapini/instances")?.expect(429)?;
    let wait = number(&over, "retry-after")?;
    ensure!((1..=60).contains(&wait) && number(&over, "x-ratelimit-remaining")? == 0, "{over:?}");
    let error = over.json()?["error"].clone();
    assert_eq!(
        (&error["code"], &error["details"]["retry_after"]),
        (&json!("RATE_LIMITED"), &json!([wait.to_string()]))
    );
    // What needs no token is not counted, and every token has a count of its own.
    let health = client.get("/zapini/health")?.expect(200)?;
    assert_eq!(health.header("x-ratelimit-limit"), None);
    let fresh = server.client().bearer(&other.key).get("/zapini/instances")?.expect(200)?;
    assert_eq!(number(&fresh, "x-ratelimit-remaining")?, 29);
    let stranger = server.client().bearer("sk_live_nobody").get("/zapini/instances")?.expect(401)?;
    assert_eq!(stranger.header("x-ratelimit-limit"), None);
    Ok(())
}
