//! Plugins: uploading, names, consent, deleting; each refusal, and that tenants do not see each other's.

use futures::{FutureExt, StreamExt};
use pombo_domain::commands::{PluginPolicy, Unsigned};
use pombo_domain::ports::{OwnKind, PluginEngine, StoreError, UploadRefusal};
use pombo_testkit::digest_of;
use serde_json::{Value, json};

use super::support::{Engine, OPERATOR, Refused};

fn bot(version: &str) -> Value {
    json!({"name": "acme-bot", "version": version, "hosts": ["=api.acme.com"], "cpuMs": 50, "answer": version})
}

#[tokio::test]
async fn an_upload_is_a_version_and_the_same_component_again_is_the_same_version() {
    let engine = Engine::new().await;
    let made = engine.upload(&engine.a, bot("1.0.0")).await.expect(201);
    let digest = digest_of(bot("1.0.0").to_string().as_bytes());
    let wants = json!({
        "hosts": ["=api.acme.com"], "capabilities": [], "kvBytes": 0, "cpuMs": 50, "memoryBytes": 0, "eventsPerMinute": 0
    });
    let expected = json!({
        "name": "acme-bot", "kind": "automation", "version": "1.0.0", "displayName": "acme-bot", "digest": digest,
        "size": bot("1.0.0").to_string().len(), "status": "needs-consent", "wants": wants, "isNew": true
    });
    assert_eq!(made, expected);
    let again = engine.upload(&engine.a, bot("1.0.0")).await.expect(200);
    assert_eq!((&again["isNew"], &again["digest"]), (&json!(false), &json!(digest)));
    assert_eq!(*engine.world.plugins.inspected.lock(), 1, "it was known by its digest");

    engine.world.plugins.forget(&digest).await;
    engine.upload(&engine.a, bot("1.0.0")).await.expect(200);
    assert!(engine.world.plugins.keeps(&digest), "a lost component is brought back");

    engine.upload(&engine.a, bot("1.1.0")).await.expect(201);
    let shown = engine.get(&engine.a, "/v1/plugins/acme-bot").await.expect(200);
    let versions: Vec<_> = shown["versions"].as_array().expect("a list").iter().map(|v| &v["version"]).collect();
    assert_eq!(versions, ["1.0.0", "1.1.0"]);
    assert_eq!((shown.get("active"), shown.get("grants"), &shown["owner"]), (None, None, &json!("tenant")));
    let key = engine.state.commands.list_api_keys(engine.a.tenant.index).expect("reads")[0].record.id;
    assert_eq!(shown["versions"][0]["uploadedBy"], format!("key:{key}"));

    let trail = engine.get(&engine.a, "/v1/plugins/acme-bot/audit").await.expect(200);
    assert_eq!(trail["data"].as_array().map(Vec::len), Some(2));
    assert_eq!((&trail["data"][1]["action"], &trail["data"][1]["digest"]), (&json!("uploaded"), &json!(digest)));
    let told = engine.told(&engine.a, "plugin.changed").await;
    assert_eq!(told[0], json!({"plugin": "acme-bot", "step": "uploaded", "digest": digest, "detail": "1.0.0"}));
    assert_eq!(engine.told(&engine.b, "plugin.changed").await, [json!(null); 0]);
}

#[tokio::test]
async fn a_tenant_sees_its_own_plugins_and_the_engines_and_changes_its_own() {
    let engine = Engine::new().await;
    let digest = engine.install(&engine.a, bot("1.0.0")).await;
    let names = |list: &Value| -> Vec<(String, String, String)> {
        let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let rows = list["data"].as_array().expect("a list").iter();
        rows.map(|row| (text(row, "name"), text(row, "kind"), text(row, "owner"))).collect()
    };
    let row = |name: &str, kind: &str, owner: &str| (name.to_owned(), kind.to_owned(), owner.to_owned());
    let engines = [row("connector-chat", "connector", "engine"), row("connector-email", "connector", "engine")];
    let mine = engine.get(&engine.a, "/v1/plugins").await.expect(200);
    assert_eq!(names(&mine)[0], row("acme-bot", "automation", "tenant"));
    assert_eq!(names(&mine)[1..], engines);
    assert_eq!(
        (&mine["data"][0]["digest"], &mine["data"][0]["events"]),
        (&json!(digest), &json!(["message-received"]))
    );
    assert_eq!(names(&engine.get(&engine.b, "/v1/plugins").await.expect(200)), engines);
    assert_eq!(names(&engine.operate("GET", "/v1/plugins", None).await.expect(200)), engines);
    engine.world.connectors.describe_plugin("connector-chat", |plugin| {
        plugin.contents = vec![OwnKind { name: "poll".to_owned(), schema: Some(json!({"type": "object"})) }];
        plugin.operations = vec![OwnKind { name: "call".to_owned(), schema: None }];
    });
    let chat = engine.get(&engine.b, "/v1/plugins/connector-chat").await.expect(200);
    assert_eq!((&chat["about"]["channel"], &chat["versions"]), (&json!("whatsapp"), &json!([])));

    assert_eq!(chat["about"]["contents"], json!([{"name": "poll", "schema": {"type": "object"}}]));
    assert_eq!(chat["about"]["operations"], json!([{"name": "call"}]));

    let key = [("x-api-key", engine.b.key.as_str())];
    let version = format!("/v1/plugins/acme-bot/versions/{digest}");
    for (method, path, body) in [
        ("GET", "/v1/plugins/acme-bot", None),
        ("DELETE", "/v1/plugins/acme-bot", None),
        ("DELETE", version.as_str(), None),
        ("PUT", "/v1/plugins/acme-bot/grants", Some(json!({"digest": digest}))),
        ("POST", "/v1/plugins/acme-bot/activate", Some(json!({"digest": digest}))),
        ("POST", "/v1/plugins/acme-bot/rollback", None),
        ("POST", "/v1/plugins/acme-bot/promote", None),
        ("GET", "/v1/plugins/acme-bot/audit", None),
        ("GET", "/v1/plugins/acme-bot/logs", None),
        ("GET", "/v1/plugins/acme-bot/logs/stream", None),
        ("GET", "/v1/plugins/acme-bot/usage", None),
        ("POST", "/v1/plugins/acme-bot/replay", Some(json!({"digest": digest}))),
    ] {
        let answer = engine.ask(method, path, &key, body.clone()).await;
        assert_eq!(answer.error(404).0, "not_found", "{method} {path}");
        assert_eq!(engine.ask(method, path, &[], body).await.error(401).0, "unauthenticated", "{method} {path}");
    }
    // Of the engine's own, a tenant reads what there is and changes nothing; neither does the operator.
    for (method, path) in [("DELETE", ""), ("POST", "/rollback"), ("GET", "/audit"), ("GET", "/usage")] {
        let path = format!("/v1/plugins/connector-chat{path}");
        assert_eq!(engine.ask(method, &path, &key, None).await.error(403).0, "forbidden", "{method} {path}");
    }
    assert_eq!(engine.operate("DELETE", "/v1/plugins/connector-chat", None).await.error(409).0, "conflict");
    // The operator acts for the tenant that it names.
    let bearer = format!("Bearer {OPERATOR}");
    let tenant = engine.a.tenant.id.to_string();
    let for_a = [("authorization", bearer.as_str()), ("x-pombo-tenant", tenant.as_str())];
    let shown = engine.ask("GET", "/v1/plugins/acme-bot", &for_a, None).await.expect(200);
    assert_eq!(shown["active"], digest);
    assert_eq!(engine.operate("GET", "/v1/plugins/acme-bot", None).await.error(404).0, "not_found");
}

#[tokio::test]
async fn names_are_unique_in_the_engine_and_a_squatter_leaves_nothing_behind() {
    let engine = Engine::new().await;
    engine.world.plugins.carried.lock().push(json!({"name": "flow"}));
    engine.upload(&engine.a, bot("1.0.0")).await.expect(201);
    let operator = format!("Bearer {OPERATOR}");
    let operator = [("authorization", operator.as_str())];
    for (component, whose) in [
        (json!({"name": "acme-bot", "version": "6.6.6"}), "another tenant's"),
        (json!({"name": "connector-chat", "version": "6.6.6"}), "a connector of the engine"),
        (json!({"name": "flow", "version": "6.6.6"}), "an automation of the engine"),
    ] {
        let digest = digest_of(component.to_string().as_bytes());
        assert_eq!(engine.upload(&engine.b, component.clone()).await.error(409).0, "conflict", "{whose}");
        assert!(!engine.world.plugins.keeps(&digest), "{whose}");
        let answer = engine.upload_as(&operator, component.to_string().as_bytes(), None).await;
        assert_eq!(answer.error(409).0, "conflict", "{whose}");
    }
    // Not even the very bytes of the owner make it another's.
    assert_eq!(engine.upload(&engine.b, bot("1.0.0")).await.error(409).0, "conflict");
    assert!(engine.world.plugins.keeps(&digest_of(bot("1.0.0").to_string().as_bytes())), "its owner's component stays");
    engine.ask("DELETE", "/v1/plugins/acme-bot", &[("x-api-key", &engine.a.key)], None).await.expect(204);
    engine.upload(&engine.b, bot("1.0.0")).await.expect(201);
    let trail = engine.get(&engine.b, "/v1/plugins/acme-bot/audit").await.expect(200);
    assert_eq!(trail["data"].as_array().map(Vec::len), Some(1), "who had the name before is not told of");
}

#[tokio::test]
async fn connectors_are_the_operators_to_upload_and_every_tenant_sees_what_it_uploads() {
    let engine = Engine::new().await;
    let connector = json!({"name": "connector-sms", "kind": "connector"});
    assert_eq!(engine.upload(&engine.a, connector.clone()).await.error(403).0, "forbidden");
    assert!(!engine.world.plugins.keeps(&digest_of(connector.to_string().as_bytes())));
    let operator = format!("Bearer {OPERATOR}");
    let operator = [("authorization", operator.as_str())];
    let made = engine.upload_as(&operator, connector.to_string().as_bytes(), None).await.expect(201);
    assert_eq!(made["kind"], "connector");
    let body = json!({"digest": made["digest"], "grant": true});
    let active = engine.operate("POST", "/v1/plugins/connector-sms/activate", Some(body)).await.expect(200);
    assert_eq!((&active["active"], &active["grants"]["by"]), (&made["digest"], &json!("operator")));
    let seen = engine.get(&engine.b, "/v1/plugins/connector-sms").await.expect(200);
    assert_eq!((&seen["owner"], &seen["kind"]), (&json!("operator"), &json!("connector")));
    let refused = engine.post(&engine.b, "/v1/plugins/connector-sms/activate", json!({"digest": made["digest"]})).await;
    assert_eq!(refused.error(403).0, "forbidden");
    let trail = engine.operate("GET", "/v1/plugins/connector-sms/audit", None).await.expect(200);
    let actions: Vec<_> = trail["data"].as_array().expect("a list").iter().map(|e| e["action"].as_str()).collect();
    assert_eq!(actions, [Some("activated"), Some("granted"), Some("uploaded")]);
    assert!(engine.told(&engine.a, "plugin.changed").await.is_empty());
}

#[tokio::test]
async fn each_refusal_of_an_upload_has_its_status_and_says_what_to_change() {
    let engine = Engine::with_policy(PluginPolicy { max_bytes: 100_000, ..PluginPolicy::default() }).await;
    let key = [("x-api-key", engine.a.key.as_str())];
    let upload = |component: &'static [u8]| engine.upload_as(&key, component, None);
    assert_eq!(upload(b"not a component").await.error(400).1, ["component"]);
    assert_eq!(upload(b"").await.error(400).1, ["component"]);
    let much = json!({"name": "greedy", "cpuMs": 3_600_000}).to_string();
    assert_eq!(engine.upload_as(&key, much.as_bytes(), None).await.error(400).1, ["component"]);
    assert!(!engine.world.plugins.keeps(&digest_of(much.as_bytes())));
    for size in [100_001, 300_000] {
        let large = vec![b' '; size];
        assert_eq!(engine.upload_as(&key, &large, None).await.error(413).0, "too_large");
    }
    let inspected = || *engine.world.plugins.inspected.lock();
    let before = inspected();
    assert_eq!(engine.upload_as(&key, b"{}", Some("no base64!")).await.error(400).1, ["signature"]);
    assert_eq!(engine.upload_as(&key, b"{}", Some("AAAA")).await.error(400).1, ["signature"]);
    assert_eq!(inspected(), before, "a signature is looked at first");
    for (refusal, status, code) in [
        (UploadRefusal::Busy, 503, "unavailable"),
        (UploadRefusal::TooLarge(7), 413, "too_large"),
        (UploadRefusal::Storage("disk".to_owned()), 500, "internal"),
    ] {
        *engine.world.plugins.refuses.lock() = Some(refusal.clone());
        let answer = engine.upload(&engine.a, bot("1.0.0")).await;
        assert_eq!(answer.headers.contains_key("retry-after"), status == 503);
        assert_eq!(answer.error(status).0, code, "{refusal:?}");
    }
    engine.world.store.refuse(|_, _| Some(StoreError::Unavailable("disk".to_owned())));
    assert_eq!(engine.upload(&engine.a, bot("1.0.0")).await.error(503).0, "unavailable");
    assert!(
        !engine.world.plugins.keeps(&digest_of(bot("1.0.0").to_string().as_bytes())),
        "what is not stored is not kept"
    );

    let form = |body: &str| engine.upload_form(&key, body.as_bytes().to_vec());
    let part = "--B\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--B--\r\n";
    assert_eq!(form(part).await.error(400).1, ["x"]);
    assert_eq!(form("--B--\r\n").await.error(400).1, ["component"]);
    assert_eq!(
        form("--B\r\nContent-Disposition: form-data; name=\"component\"\r\n\r\n1").await.error(400).0,
        "invalid"
    );
    let json = engine.ask("POST", "/v1/plugins", &key, Some(json!({}))).await;
    assert_eq!(json.error(415).0, "unsupported_media_type");
    assert_eq!(engine.upload_as(&[], b"{}", None).await.error(401).0, "unauthenticated");
}

#[tokio::test]
async fn a_tenant_uploads_two_at_once_and_the_third_is_told_to_come_back() {
    let engine = Engine::new().await;
    // Bodies that have begun and do not go on.
    let begun = |key: &str| {
        let begin = b"--B\r\nContent-Disposition: form-data; name=\"component\"; filename=\"x\"\r\n\r\n{".to_vec();
        let begin = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from(begin))]);
        let body = poem::Body::from_bytes_stream(begin.chain(futures::stream::pending()));
        let request =
            poem::Request::builder().method(poem::http::Method::POST).uri("/v1/plugins".parse().expect("a path"));
        request.header("x-api-key", key).content_type("multipart/form-data; boundary=B").body(body)
    };
    let waiting = [begun(&engine.a.key), begun(&engine.a.key)].map(|request| Box::pin(engine.call(request)));
    let mut waiting = futures::future::join_all(waiting);
    assert!((&mut waiting).now_or_never().is_none(), "they wait for the rest");
    let third = engine.upload(&engine.a, bot("1.0.0")).await;
    assert!(third.headers.contains_key("retry-after"));
    assert_eq!(third.error(503).0, "unavailable");
    engine.upload(&engine.b, bot("1.0.0")).await.expect(201);
    drop(waiting);
    engine.upload(&engine.a, json!({"name": "other"})).await.expect(201);
}

#[tokio::test]
async fn a_tenant_has_a_bounded_number_of_plugins_and_a_plugin_of_versions() {
    let policy = PluginPolicy { per_tenant: 2, versions: 3, unsigned: Unsigned::All, ..PluginPolicy::default() };
    let engine = Engine::with_policy(policy).await;
    engine.upload(&engine.a, json!({"name": "one"})).await.expect(201);
    engine.upload(&engine.a, json!({"name": "two"})).await.expect(201);
    assert_eq!(engine.upload(&engine.a, json!({"name": "three"})).await.error(409).0, "conflict");
    engine.upload(&engine.b, json!({"name": "three"})).await.expect(201);
    let first = engine.install(&engine.a, json!({"name": "one", "version": "1.0.1"})).await;
    for patch in 2..5 {
        engine.upload(&engine.a, json!({"name": "one", "version": format!("1.0.{patch}")})).await.expect(201);
    }
    let shown = engine.get(&engine.a, "/v1/plugins/one").await.expect(200);
    let versions: Vec<_> =
        shown["versions"].as_array().expect("a list").iter().map(|v| v["version"].as_str()).collect();
    assert_eq!(versions, [Some("1.0.1"), Some("1.0.3"), Some("1.0.4")], "the active one stays");
    assert!(engine.world.plugins.keeps(&first));
    let gone = json!({"name": "one", "version": "1.0.2"}).to_string();
    assert!(!engine.world.plugins.keeps(&digest_of(gone.as_bytes())));
}

#[tokio::test]
async fn what_a_version_asks_for_must_be_consented_to() {
    let engine = Engine::new().await;
    let first = engine.upload(&engine.a, bot("1.0.0")).await.expect(201)["digest"].clone();
    let activate = |body: Value| engine.post(&engine.a, "/v1/plugins/acme-bot/activate", body);
    assert_eq!(activate(json!({"digest": first})).await.error(409).0, "conflict");
    let key = [("x-api-key", engine.a.key.as_str())];
    let grant = |body: Value| engine.ask("PUT", "/v1/plugins/acme-bot/grants", &key, Some(body));
    let shown = grant(json!({"digest": first})).await.expect(200);
    assert_eq!((&shown["versions"][0]["status"], &shown["grants"]["what"]["cpuMs"]), (&json!("ready"), &json!(50)));
    activate(json!({"digest": first})).await.expect(200);

    let within =
        engine.upload(&engine.a, json!({"name": "acme-bot", "version": "1.1.0", "cpuMs": 10})).await.expect(201);
    assert_eq!((&within["status"], &within["granted"]["cpuMs"]), (&json!("ready"), &json!(50)));
    let more = json!({"name": "acme-bot", "version": "2.0.0", "hosts": ["=evil.com"]});
    let more = engine.upload(&engine.a, more).await.expect(201);
    assert_eq!(more["status"], "needs-consent");
    assert_eq!(activate(json!({"digest": more["digest"]})).await.error(409).0, "conflict");
    let active = activate(json!({"digest": more["digest"], "grant": true})).await.expect(200);
    // The version before may have to come back: it keeps what it has.
    assert_eq!(active["grants"]["what"]["hosts"], json!(["=api.acme.com", "=evil.com"]));
    let less = grant(json!({"hosts": [], "cpuMs": 1})).await.expect(200);
    let statuses: Vec<_> = less["versions"].as_array().expect("a list").iter().map(|v| v["status"].as_str()).collect();
    assert_eq!(statuses, [Some("needs-consent"), Some("needs-consent"), Some("ready")], "the active one goes on");

    for (body, field) in [
        (json!({}), "body"),
        (json!({"digest": first, "cpuMs": 1}), "digest"),
        (json!({"cpuMs": 60_001}), "cpuMs"),
        (json!({"hosts": [""]}), "hosts"),
        (json!({"tudo": true}), "tudo"),
    ] {
        assert_eq!(grant(body).await.error(400).1, [field]);
    }
    assert_eq!(grant(json!({"digest": "0".repeat(64)})).await.error(404).0, "not_found");
}

#[tokio::test]
async fn a_connectors_grants_cover_the_versions_that_run() {
    let engine = Engine::new().await;
    let operator = format!("Bearer {OPERATOR}");
    let operator = [("authorization", operator.as_str())];
    let mut digests = Vec::new();
    for (version, host) in [("1.0.0", "=one.example"), ("2.0.0", "=two.example")] {
        let connector = json!({"name": "connector-sms", "kind": "connector", "version": version, "hosts": [host]});
        let made = engine.upload_as(&operator, connector.to_string().as_bytes(), None).await.expect(201);
        digests.push(made["digest"].clone());
    }
    let (engine, first, second) = (&engine, &digests[0], &digests[1]);
    let step = |method: &'static str, step: &'static str, body: Option<Value>| async move {
        engine.operate(method, &format!("/v1/plugins/connector-sms/{step}"), body).await
    };
    let grant = |what: Value| step("PUT", "grants", Some(what));
    let hosts = |hosts: &[&str]| json!({"hosts": hosts});
    grant(json!({"digest": first})).await.expect(200);
    grant(hosts(&[])).await.expect(200);
    step("POST", "activate", Some(json!({"digest": first, "grant": true}))).await.expect(200);

    // An instance that runs keeps what it has, so less is not promised.
    assert_eq!(grant(hosts(&[])).await.error(409).0, "conflict");
    assert_eq!(grant(json!({"digest": second})).await.error(409).0, "conflict");
    let body = json!({"digest": second, "share": 10, "grant": true, "automatic": false});
    let active = step("POST", "activate", Some(body)).await.expect(200);
    assert_eq!(active["grants"]["what"]["hosts"], json!(["=one.example", "=two.example"]));
    for one in ["=one.example", "=two.example"] {
        assert_eq!(grant(hosts(&[one])).await.error(409).0, "conflict", "both versions run");
    }
    step("POST", "rollback", None).await.expect(200);
    let shown = grant(hosts(&["=one.example"])).await.expect(200);
    assert_eq!(shown["grants"]["what"]["hosts"], json!(["=one.example"]));
}

#[tokio::test]
async fn what_is_used_or_active_is_not_deleted() {
    let engine = Engine::new().await;
    let first = engine.install(&engine.a, bot("1.0.0")).await;
    let second = engine.upload(&engine.a, bot("1.1.0")).await.expect(201)["digest"].as_str().expect("text").to_owned();
    let (connector, _) = engine.chat(&engine.a).await;
    let automation = engine.automation(&engine.a, "acme-bot", &connector).await;
    let key = [("x-api-key", engine.a.key.as_str())];
    let delete = |path: String| {
        let (engine, key) = (&engine, &key);
        async move { engine.ask("DELETE", &path, key, None).await }
    };
    let version = |digest: &str| format!("/v1/plugins/acme-bot/versions/{digest}");
    assert_eq!(delete(version(&first)).await.error(409).0, "conflict");
    delete(version(&second)).await.expect(204);
    assert_eq!(delete(version(&second)).await.error(404).0, "not_found");
    assert!(!engine.world.plugins.keeps(&second) && engine.world.plugins.keeps(&first));
    assert_eq!(delete("/v1/plugins/acme-bot".to_owned()).await.error(409).0, "conflict");
    delete(format!("/v1/automations/{automation}")).await.expect(204);
    delete("/v1/plugins/acme-bot".to_owned()).await.expect(204);
    assert!(!engine.world.plugins.keeps(&first));
    engine.get(&engine.a, "/v1/plugins/acme-bot").await.error(404);
    let steps: Vec<_> = engine.told(&engine.a, "plugin.changed").await.iter().map(|e| e["step"].to_string()).collect();
    let expected = ["uploaded", "granted", "activated", "uploaded", "version-deleted", "deleted"];
    assert_eq!(steps, expected.map(|step| format!("\"{step}\"")));
}

#[tokio::test]
async fn what_the_binary_carries_is_there_after_a_start_and_follows_the_binary() {
    let engine = Engine::new().await;
    let carried =
        |version: &str| json!({"name": "flow", "version": version, "events": ["message-received", "started"]});
    engine.world.plugins.carried.lock().push(carried("1.0.0"));
    engine.world.commands.install_embedded().await.expect("stores");
    engine.world.commands.install_embedded().await.expect("changes nothing");
    let shown = engine.get(&engine.a, "/v1/plugins/flow").await.expect(200);
    assert_eq!((&shown["owner"], &shown["about"]["version"]), (&json!("engine"), &json!("1.0.0")));
    assert_eq!(shown["versions"].as_array().map(Vec::len), Some(1));
    let (connector, _) = engine.chat(&engine.a).await;
    let id = engine.automation(&engine.a, "flow", &connector).await;
    *engine.world.plugins.carried.lock() = vec![json!({"name": "flow", "version": "1.1.0"})];
    engine.world.commands.install_embedded().await.expect("stores");
    let shown = engine.get(&engine.a, "/v1/plugins/flow").await.expect(200);
    assert_eq!((&shown["about"]["version"], &shown["previous"]), (&json!("1.1.0"), &shown["versions"][0]["digest"]));
    let automation = engine.get(&engine.a, &format!("/v1/automations/{id}")).await.expect(200);
    assert_eq!(automation["events"], json!(["message-received"]), "it is called for what the new version listens to");
    assert_eq!(engine.operate("DELETE", "/v1/plugins/flow", None).await.error(409).0, "conflict");
    let key = [("x-api-key", engine.a.key.as_str())];
    assert_eq!(engine.ask("DELETE", "/v1/plugins/flow", &key, None).await.error(403).0, "forbidden");
}
