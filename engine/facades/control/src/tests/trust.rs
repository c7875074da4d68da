//! Trust roots and signatures, under each policy.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use pombo_domain::commands::plugins::signatures::signed_bytes;
use pombo_domain::commands::{PluginPolicy, Unsigned};
use pombo_testkit::digest_of;
use serde_json::{Value, json};

use super::support::{Caller, Engine, OPERATOR, Refused};

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn public(key: &SigningKey) -> String {
    STANDARD.encode(key.verifying_key().to_bytes())
}

fn signed(key: &SigningKey, component: &Value) -> String {
    STANDARD.encode(key.sign(&signed_bytes(&digest_of(component.to_string().as_bytes()))).to_bytes())
}

fn policy(unsigned: Unsigned) -> PluginPolicy {
    PluginPolicy { unsigned, ..PluginPolicy::default() }
}

/// A trust root of `caller`; its id.
pub(super) async fn trusted(engine: &Engine, caller: &Caller) -> String {
    let body = json!({"name": "Ana", "key": public(&key(9))});
    let made = engine.post(caller, "/v1/trust-roots", body).await.expect(201);
    made["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn keys_are_trusted_listed_and_revoked() {
    let engine = Engine::new().await;
    let trust = |body: Value| engine.post(&engine.a, "/v1/trust-roots", body);
    let ana = trust(json!({"name": "Ana", "key": public(&key(1))})).await.expect(201);
    assert_eq!((&ana["owner"], &ana["key"]), (&json!("tenant"), &json!(public(&key(1)))));
    assert_eq!(trust(json!({"name": "Again", "key": public(&key(1))})).await.error(409).0, "conflict");
    for bad in ["", "AAAA", "no base64!", &STANDARD.encode([0; 32]), &STANDARD.encode([1; 33])] {
        assert_eq!(trust(json!({"name": "x", "key": bad})).await.error(400).1, ["key"], "{bad}");
    }
    assert_eq!(trust(json!({"name": "", "key": public(&key(2))})).await.error(400).1, ["name"]);
    let body = Some(json!({"name": "Operator", "key": public(&key(3))}));
    let operators = engine.operate("POST", "/v1/trust-roots", body).await.expect(201);
    let owners = |list: &Value| -> Vec<String> {
        list["data"].as_array().expect("a list").iter().map(|root| root["owner"].to_string()).collect()
    };
    let mut mine = owners(&engine.get(&engine.a, "/v1/trust-roots").await.expect(200));
    mine.sort();
    assert_eq!(mine, ["\"operator\"", "\"tenant\""]);
    assert_eq!(owners(&engine.get(&engine.b, "/v1/trust-roots").await.expect(200)), ["\"operator\""]);

    let path = |root: &Value| format!("/v1/trust-roots/{}", root["id"].as_str().expect("an id"));
    let (a, b) = ([("x-api-key", engine.a.key.as_str())], [("x-api-key", engine.b.key.as_str())]);
    assert_eq!(engine.ask("DELETE", &path(&ana), &b, None).await.error(404).0, "not_found");
    assert_eq!(engine.ask("DELETE", &path(&operators), &a, None).await.error(403).0, "forbidden");
    engine.ask("DELETE", &path(&ana), &a, None).await.expect(204);
    engine.ask("DELETE", &path(&ana), &a, None).await.expect(204);
    let listed = engine.get(&engine.a, "/v1/trust-roots").await.expect(200);
    let row = listed["data"].as_array().expect("a list").iter().find(|root| root["id"] == ana["id"]);
    assert!(row.expect("listed")["revokedAt"].is_string());
    trust(json!({"name": "Ana", "key": public(&key(1))})).await.expect(201);
    engine.operate("DELETE", &path(&operators), None).await.expect(204);
}

#[tokio::test]
async fn where_nobody_runs_unsigned_code_a_trusted_signature_opens_and_nothing_else() {
    let engine = Engine::with_policy(policy(Unsigned::Nobody)).await;
    let component = json!({"name": "acme-bot"});
    let bytes = component.to_string();
    let upload = |signature: Option<String>| {
        let (engine, bytes) = (&engine, bytes.as_bytes());
        async move { engine.upload_as(&[("x-api-key", &engine.a.key)], bytes, signature.as_deref()).await }
    };
    let (mine, theirs, operators) = (key(1), key(2), key(3));
    let trust = |caller, signer: &SigningKey| {
        engine.post(caller, "/v1/trust-roots", json!({"name": "x", "key": public(signer)}))
    };
    let root = trust(&engine.a, &mine).await.expect(201);
    trust(&engine.b, &theirs).await.expect(201);
    assert_eq!(upload(None).await.error(403).0, "forbidden");
    assert_eq!(upload(Some(signed(&theirs, &component))).await.error(400).1, ["signature"]);
    assert_eq!(upload(Some(signed(&operators, &component))).await.error(400).1, ["signature"]);
    assert_eq!(upload(Some(signed(&mine, &json!({"name": "other"})))).await.error(400).1, ["signature"]);
    assert_eq!(*engine.world.plugins.inspected.lock(), 0, "nothing is compiled before it is trusted");

    let made = upload(Some(signed(&mine, &component))).await.expect(201);
    assert_eq!(made["signedBy"], root["id"]);
    let activate = || {
        let body = json!({"digest": made["digest"], "grant": true});
        engine.post(&engine.a, "/v1/plugins/acme-bot/activate", body)
    };
    let path = format!("/v1/trust-roots/{}", root["id"].as_str().expect("an id"));
    engine.ask("DELETE", &path, &[("x-api-key", &engine.a.key)], None).await.expect(204);
    assert_eq!(activate().await.error(403).0, "forbidden", "who signed it is trusted no more");
    assert_eq!(upload(Some(signed(&mine, &component))).await.error(400).1, ["signature"]);
    let body = Some(json!({"name": "Operator", "key": public(&operators)}));
    engine.operate("POST", "/v1/trust-roots", body).await.expect(201);
    let other = json!({"name": "acme-bot", "version": "1.1.0"});
    let signature = signed(&operators, &other);
    let answer =
        engine.upload_as(&[("x-api-key", &engine.a.key)], other.to_string().as_bytes(), Some(&signature)).await;
    answer.expect(201);
}

#[tokio::test]
async fn the_operator_alone_may_run_unsigned_code_where_the_policy_says_so() {
    let engine = Engine::with_policy(policy(Unsigned::Operator)).await;
    let component = json!({"name": "acme-bot"});
    assert_eq!(engine.upload(&engine.a, component.clone()).await.error(403).0, "forbidden");
    let operator = format!("Bearer {OPERATOR}");
    let headers = [("authorization", operator.as_str())];
    let made = engine.upload_as(&headers, component.to_string().as_bytes(), None).await.expect(201);
    let body = json!({"digest": made["digest"], "grant": true});
    engine.operate("POST", "/v1/plugins/acme-bot/activate", Some(body)).await.expect(200);
}

#[tokio::test]
async fn a_signature_that_comes_later_is_kept_with_the_version() {
    let engine = Engine::new().await;
    let component = json!({"name": "acme-bot"});
    let made = engine.upload(&engine.a, component.clone()).await.expect(201);
    assert_eq!(made.get("signedBy"), None);
    let root = json!({"name": "x", "key": public(&key(1))});
    let root = engine.post(&engine.a, "/v1/trust-roots", root).await.expect(201);
    let signature = signed(&key(1), &component);
    let headers = [("x-api-key", engine.a.key.as_str())];
    let again = engine.upload_as(&headers, component.to_string().as_bytes(), Some(&signature)).await.expect(200);
    assert_eq!((&again["signedBy"], &again["isNew"]), (&root["id"], &json!(false)));
    let trail = engine.get(&engine.a, "/v1/plugins/acme-bot/audit").await.expect(200);
    assert_eq!(trail["data"][0]["action"], "signed");
}
