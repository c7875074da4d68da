//! The proxy of a connector: set, shown without its password, kept, removed.

use pombo_domain::Timestamp;
use pombo_domain::ports::ProxyStatus;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Answer, Engine, Refused};

const URL: &str = "socks5h://ana:s3cret@proxy.example:1080";
const SHOWN: &str = "socks5h://ana@proxy.example:1080";

async fn create(engine: &Engine, proxy: Value) -> Answer {
    let body = json!({"name": "Loja", "plugin": "connector-chat", "config": {}, "proxy": proxy});
    engine.post(&engine.a, "/v1/connectors", body).await
}

async fn patch(engine: &Engine, id: &str, body: Value) -> Answer {
    let path = format!("/v1/connectors/{id}");
    engine.ask("PATCH", &path, &[("x-api-key", &engine.a.key)], Some(body)).await
}

/// The password with which the connector runs; `None` without a proxy.
fn password(engine: &Engine, id: &str) -> Option<Option<String>> {
    let id: Uuid = id.parse().expect("a UUID");
    let started = engine.world.connectors.started.lock();
    let spec = started.values().find(|spec| spec.id == id).expect("it runs");
    spec.proxy.as_ref().map(|proxy| proxy.password.clone())
}

#[tokio::test]
async fn a_proxy_is_shown_without_its_password_and_handed_to_the_sandbox_with_it() {
    let engine = Engine::new().await;
    let made = create(&engine, json!({"url": URL, "checkUrl": "https://address.example/", "idleSeconds": 45})).await;
    assert!(!made.text().contains("s3cret"), "{}", made.text());
    let made = made.expect(201);
    let shown = json!({"url": SHOWN, "checkUrl": "https://address.example/", "idleSeconds": 45});
    assert_eq!(made["proxy"], shown);
    let id = made["id"].as_str().expect("an id").to_owned();
    assert_eq!(password(&engine, &id), Some(Some("s3cret".to_owned())));
    *engine.world.connectors.proxy.lock() = ProxyStatus {
        problem: Some("the proxy cannot be reached: connection refused".to_owned()),
        checked_at: Some(Timestamp(1_893_456_000_000)),
        exit_address: Some("198.51.100.7".to_owned()),
        exit_country: Some("BR".to_owned()),
        check_problem: None,
    };
    let shown = engine.get(&engine.a, &format!("/v1/connectors/{id}")).await.expect(200)["proxy"].clone();
    let expected = json!({
        "url": SHOWN, "checkUrl": "https://address.example/", "idleSeconds": 45,
        "problem": "the proxy cannot be reached: connection refused", "checkedAt": "2030-01-01T00:00:00.000Z",
        "exitAddress": "198.51.100.7", "exitCountry": "BR"
    });
    assert_eq!(shown, expected);
    let listed = engine.get(&engine.a, "/v1/connectors").await;
    assert!(listed.text().contains(SHOWN) && !listed.text().contains("s3cret"));
}

#[tokio::test]
async fn a_proxy_is_changed_kept_and_removed() {
    let engine = Engine::new().await;
    let id = create(&engine, json!({"url": URL})).await.expect(201)["id"].as_str().expect("an id").to_owned();
    patch(&engine, &id, json!({"name": "Nova"})).await.expect(200);
    assert_eq!(password(&engine, &id), Some(Some("s3cret".to_owned())), "other changes leave it");
    let changed = patch(&engine, &id, json!({"proxy": {"url": SHOWN, "idleSeconds": 30}})).await.expect(200);
    assert_eq!(changed["proxy"], json!({"url": SHOWN, "idleSeconds": 30}));
    assert_eq!(password(&engine, &id), Some(Some("s3cret".to_owned())), "it is the same login");
    for other in
        ["socks5h://ana@evil.example:1080", "socks5h://ana@proxy.example:1081", "http://ana@proxy.example:1080"]
    {
        let refused = patch(&engine, &id, json!({"proxy": {"url": other}})).await;
        assert_eq!(refused.error(400).1, ["proxy"], "a password is not sent to another server: {other}");
    }
    let changed = patch(&engine, &id, json!({"proxy": {"url": "http://proxy.example:3128"}})).await.expect(200);
    assert_eq!(changed["proxy"], json!({"url": "http://proxy.example:3128", "idleSeconds": 60}));
    assert_eq!(password(&engine, &id), Some(None));
    let removed = patch(&engine, &id, json!({"proxy": null})).await.expect(200);
    assert_eq!(removed.get("proxy"), None);
    assert_eq!(password(&engine, &id), None);
    assert_eq!(engine.world.store.disk().verify().expect("readable"), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_wrong_with_a_proxy_is_named() {
    let engine = Engine::new().await;
    for (proxy, field) in [
        (json!({}), "proxy"),
        (json!({"url": "proxy.example"}), "proxy.url"),
        (json!({"url": "socks5://proxy.example"}), "proxy.url"),
        (json!({"url": "http://proxy.example/path"}), "proxy.url"),
        (json!({"url": "socks5h://forbidden.example"}), "proxy"),
        (json!({"url": "socks5h://ana@proxy.example"}), "proxy"),
        (json!({"url": "http://ana:@proxy.example"}), "proxy"),
        (json!({"url": URL, "idleSeconds": 5}), "proxy.idleSeconds"),
        (json!({"url": URL, "checkUrl": "https://localhost/"}), "proxy.checkUrl"),
    ] {
        let refused = create(&engine, proxy.clone()).await;
        assert!(!refused.text().contains("s3cret"), "{}", refused.text());
        assert_eq!(refused.error(400).1, [field], "{proxy}");
    }
}
