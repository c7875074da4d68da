//! Operation by operation.

use poem::Request;
use pombo_domain::model::{Outreach, Status};
use pombo_domain::ports::{Change, Conflict, StoreError};
use pombo_domain::{MessageKey, Timestamp, ids};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Caller, Engine, OPERATOR, Refused};
use crate::{FACADE, NotReady};

const OPERATOR_HEADER: (&str, &str) = ("authorization", const_bearer());

const fn const_bearer() -> &'static str {
    "Bearer op_the_operator_of_the_tests"
}

/// The end of the path below which a connector takes requests of its channel.
const CALLED_BY_CHANNELS: &str = "/receive/{path}";

#[test]
fn the_operators_header_is_its_token() {
    assert_eq!(OPERATOR_HEADER.1.strip_prefix("Bearer "), Some(OPERATOR));
}

#[test]
fn the_kept_document_and_table_are_those_that_are_generated() {
    pombo_testkit::documents::assert_kept(FACADE.name, &(FACADE.document)(), &FACADE.table());
}

#[tokio::test]
async fn tenants_are_the_operators_alone() {
    let engine = Engine::new().await;
    let body = || Some(json!({"name": "Nova"}));
    let made = engine.ask("POST", "/v1/tenants", &[OPERATOR_HEADER], body()).await.expect(201);
    let path = format!("/v1/tenants/{}", made["id"].as_str().expect("an id"));
    assert_eq!(engine.ask("GET", &path, &[OPERATOR_HEADER], None).await.expect(200)["name"], "Nova");
    let all = engine.ask("GET", "/v1/tenants?limit=2", &[OPERATOR_HEADER], None).await.expect(200);
    let next = all["next"].as_str().expect("three tenants").to_owned();
    let rest = engine.ask("GET", &format!("/v1/tenants?after={next}"), &[OPERATOR_HEADER], None).await.expect(200);
    assert_eq!((rest["data"][0]["name"].as_str(), rest["next"].as_str()), (Some("Nova"), None));

    let bearer = format!("Bearer {}", engine.a.key);
    let token = [("authorization", bearer.as_str())];
    assert_eq!(engine.ask("POST", "/v1/tenants", &token, body()).await.error(403).0, "forbidden");
    let key = [("x-api-key", engine.a.key.as_str())];
    assert_eq!(engine.ask("POST", "/v1/tenants", &key, body()).await.error(401).0, "unauthenticated");
    assert_eq!(engine.ask("GET", "/v1/tenants", &[], None).await.error(401).0, "unauthenticated");
    let wrong = [("authorization", "Bearer op_of_somebody_else")];
    assert_eq!(engine.ask("GET", "/v1/tenants", &wrong, None).await.error(401).0, "unauthenticated");
}

#[tokio::test]
async fn the_operator_acts_for_the_tenant_that_it_names_and_a_tenant_for_itself_only() {
    let engine = Engine::new().await;
    let connector = engine.connector(&engine.a).await;
    let path = format!("/v1/connectors/{connector}");
    let (a, b) = (engine.a.tenant.id.to_string(), engine.b.tenant.id.to_string());
    let as_operator = |tenant: String| {
        let (engine, path) = (&engine, &path);
        async move { engine.ask("GET", path, &[OPERATOR_HEADER, ("x-pombo-tenant", &tenant)], None).await }
    };
    as_operator(a.clone()).await.expect(200);
    assert_eq!(as_operator(b.clone()).await.error(404).0, "not_found");
    assert_eq!(as_operator(Uuid::nil().to_string()).await.error(404).0, "not_found");
    assert_eq!(as_operator("x".to_owned()).await.error(400).1, ["X-Pombo-Tenant"]);
    assert_eq!(engine.ask("GET", &path, &[OPERATOR_HEADER], None).await.error(400).1, ["X-Pombo-Tenant"]);
    let key = engine.a.key.clone();
    engine.ask("GET", &path, &[("x-api-key", &key), ("x-pombo-tenant", &a)], None).await.expect(200);
    engine.ask("GET", &path, &[("x-api-key", &key), ("x-pombo-tenant", &b)], None).await.error(404);
}

#[tokio::test]
async fn every_credential_that_is_sent_must_hold() {
    let engine = Engine::new().await;
    let bearer = |token: &str| format!("Bearer {token}");
    let (mine, theirs) = (bearer(&engine.a.key), bearer(&engine.b.key));
    for (authorization, key, status) in [
        (Some(mine.as_str()), Some(engine.a.key.as_str()), 200),
        (Some(theirs.as_str()), Some(engine.a.key.as_str()), 401),
        (Some("Bearer x"), Some(engine.a.key.as_str()), 401),
        (Some("Basic eDp5"), Some(engine.a.key.as_str()), 401),
        (Some(mine.as_str()), Some("sk_live_x"), 401),
        (Some(OPERATOR_HEADER.1), Some(engine.a.key.as_str()), 401),
        (None, Some("sk_live_x"), 401),
    ] {
        let headers = [("authorization", authorization), ("x-api-key", key)];
        let headers: Vec<_> = headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let answer = engine.ask("GET", "/v1/users", &headers, None).await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}");
    }
}

#[tokio::test]
async fn users_have_good_passwords_and_unique_emails() {
    let engine = Engine::new().await;
    let user = |email: &str, password: &str| json!({"email": email, "name": "Ana", "password": password});
    let made = engine.post(&engine.a, "/v1/users", user("Ana@Loja.com", "uma senha boa")).await.expect(201);
    assert_eq!(made["email"], "ana@loja.com");
    assert!(made.get("password").is_none() && made.get("passwordHash").is_none());
    let again = engine.post(&engine.b, "/v1/users", user("ana@loja.com", "outra senha boa")).await;
    assert_eq!(again.error(409).0, "conflict");
    assert_eq!(engine.post(&engine.a, "/v1/users", user("x", "curta")).await.error(400).1, ["email", "password"]);
    let surplus = engine.post(&engine.a, "/v1/users", json!({"email": "a@b.c", "role": "admin"})).await;
    assert_eq!(surplus.error(400).1, ["role"]);
    assert_eq!(engine.get(&engine.a, "/v1/users").await.expect(200)["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(engine.get(&engine.b, "/v1/users").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_key_is_shown_once_works_and_stops_when_it_is_revoked() {
    let engine = Engine::new().await;
    let made = engine.post(&engine.a, "/v1/keys", json!({"name": "ERP"})).await.expect(201);
    let key = made["key"].as_str().expect("shown once").to_owned();
    assert!(key.starts_with("sk_live_") && key.len() >= 8 + 32 && key[8..].bytes().all(|b| b.is_ascii_alphanumeric()));
    let listed = engine.get(&engine.a, "/v1/keys").await.expect(200);
    assert!(!listed.to_string().contains(&key));
    let row =
        listed["data"].as_array().and_then(|rows| rows.iter().find(|row| row["id"] == made["id"])).expect("listed");
    assert!(key.starts_with(row["prefix"].as_str().expect("a prefix")) && row.get("revokedAt").is_none());

    let bearer = format!("Bearer {key}");
    engine.ask("GET", "/v1/plugins", &[("authorization", &bearer)], None).await.expect(200);
    let revoke = format!("/v1/keys/{}/revoke", made["id"].as_str().expect("an id"));
    engine.ask("POST", &revoke, &[("x-api-key", &engine.b.key)], None).await.error(404);
    let revoked = engine.ask("POST", &revoke, &[("x-api-key", &engine.a.key)], None).await.expect(200);
    assert!(revoked["revokedAt"].is_string());
    engine.ask("GET", "/v1/plugins", &[("authorization", &bearer)], None).await.error(401);
}

#[tokio::test]
async fn a_connectors_secrets_go_in_and_never_out() {
    let engine = Engine::new().await;
    let id = engine.connector(&engine.a).await;
    let path = format!("/v1/connectors/{id}");
    let shown = engine.get(&engine.a, &path).await.expect(200);
    assert_eq!((&shown["config"], &shown["secretsSet"]), (&json!({"host": "smtp.loja.com"}), &json!(["password"])));
    assert!(!shown.to_string().contains("s3cret"));
    let running = || engine.world.connectors.started.lock().values().next().cloned();
    let secret = || running().and_then(|spec| spec.secrets.get("password").cloned());
    assert_eq!(secret().as_deref(), Some("s3cret"), "the plugin got it");

    let key = [("x-api-key", engine.a.key.as_str())];
    let patch = |body| engine.ask("PATCH", &path, &key, Some(body));
    let changed = patch(json!({"config": {"host": "mail.loja.com"}})).await.expect(200);
    assert_eq!((&changed["config"]["host"], &changed["secretsSet"]), (&json!("mail.loja.com"), &json!(["password"])));
    assert_eq!(secret().as_deref(), Some("s3cret"), "left out, it stays");
    assert_eq!(running().map(|spec| spec.config), Some(json!({"host": "mail.loja.com"})), "it was replaced");
    let cleared = patch(json!({"config": {"host": "mail.loja.com", "password": null}})).await.expect(200);
    assert_eq!((&cleared["secretsSet"], secret()), (&json!([]), None));
    assert_eq!(patch(json!({"config": {"host": 5}})).await.error(400).1, ["config.host"]);
    assert_eq!(patch(json!({"config": {"host": "h", "password": 5}})).await.error(400).1, ["config.password"]);

    engine.ask("DELETE", &path, &key, None).await.expect(204);
    assert!(running().is_none(), "it was stopped");
    engine.get(&engine.a, &path).await.error(404);
    assert_eq!(engine.get(&engine.a, "/v1/connectors").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_connector_that_does_not_start_is_kept_and_says_why() {
    let engine = Engine::new().await;
    *engine.world.connectors.fails_to_start.lock() = Some("no such host".to_owned());
    let body = json!({"name": "L", "plugin": "connector-email", "config": {"host": "h"}});
    let made = engine.post(&engine.a, "/v1/connectors", body).await.expect(201);
    assert_eq!(made["session"], json!({"status": "FAILING", "reason": "no such host"}));
    let failures = engine.world.commands.start_connectors().await.expect("the store reads");
    assert_eq!(failures.len(), 1);
    *engine.world.connectors.fails_to_start.lock() = None;
    let path = format!("/v1/connectors/{}/resume", made["id"].as_str().expect("an id"));
    let resumed = engine.ask("POST", &path, &[("x-api-key", &engine.a.key)], None).await.expect(200);
    assert_eq!(resumed["session"]["status"], "CONNECTED");
}

#[tokio::test]
async fn a_pace_is_replaced_shown_and_checked() {
    let engine = Engine::new().await;
    let id = engine.connector(&engine.a).await;
    let path = format!("/v1/connectors/{id}/pace");
    let key = [("x-api-key", engine.a.key.as_str())];
    let until = Some(Timestamp(1_893_459_600_000));
    let outreach = Outreach { locked_until: until, quota: Some(2_000), used: Some(1_788), cycle_end: None };
    *engine.fixed.outreach.lock().expect("no test panics in it") = Some(outreach);
    let put = |body| engine.ask("PUT", &path, &key, Some(body));
    let night =
        json!({"delayMinMs": 1000, "delayMaxMs": 3000, "warmUp": {}, "quietHours": {"from": "22:00", "to": "08:00"}});
    put(night).await.expect(200);
    let shown = engine.get(&engine.a, &path).await.expect(200);
    assert_eq!(shown["pace"]["quietHours"], json!({"from": "22:00", "to": "08:00"}));
    assert_eq!(shown["pace"]["warmUp"], json!({"days": [50, 100, 200], "growthPercent": 40, "until": 10000}));
    assert_eq!(shown["pace"]["timeZone"], "America/Sao_Paulo");
    assert_eq!((&shown["now"]["waitingReason"], &shown["now"]["capToday"]), (&json!("quiet_hours"), &json!(50)));
    assert_eq!(put(json!({"timeZone": "Brasilia", "delayMinMs": 5})).await.error(400).1, ["delayMinMs", "timeZone"]);
    assert_eq!(put(json!({"quietHours": {"from": "22h", "to": "08:00"}})).await.error(400).1, ["quietHours.from"]);
    assert_eq!(put(json!({"delayMinMs": -1})).await.error(400).1, ["delayMinMs"]);
    assert_eq!(put(json!({"warmUp": {"days": [1, "x"]}})).await.error(400).1, ["warmUp.days[1]"]);
    let used = put(json!({"warmUp": {}, "inUseSince": "2024-03-01T09:00:00Z"})).await.expect(200);
    assert_eq!(used["pace"]["inUseSince"], "2024-03-01T09:00:00.000Z");
    assert_eq!(put(json!({"inUseSince": "2031-01-01T00:00:00Z"})).await.error(400).1, ["inUseSince"]);
    assert_eq!(shown["now"]["health"]["score"], 61);
    assert_eq!((&shown["now"]["delayMaxMs"], &shown["now"]["waitingDetail"]), (&json!(5000), &json!("it is night")));
    let outreach = json!({"lockedUntil": "2030-01-01T01:00:00.000Z", "quota": 2000, "used": 1788});
    assert_eq!(shown["now"]["outreach"], outreach);
    let healthy = put(json!({"health": {"slowBelow": 60}})).await.expect(200);
    let rules = json!({"windowHours": 168, "slowBelow": 60, "pauseBelow": 35, "minSent": 30});
    assert_eq!(healthy["pace"]["health"], rules);
    assert_eq!(put(json!({"health": {"slowBelow": 300}})).await.error(400).1, ["health.slowBelow"]);

    let paused = engine.post(&engine.a, &format!("/v1/connectors/{id}/pause"), json!({"reason": "manutenção"})).await;
    let paused = paused.expect(200);
    assert_eq!((&paused["status"], &paused["statusReason"]), (&json!("PAUSED"), &json!("manutenção")));
    assert_eq!(paused["session"]["status"], "CONNECTED", "a pause keeps the session");
}

fn key_of(caller: &Caller, id: &str) -> MessageKey {
    let serial = ids::message_serial(id.parse().expect("a UUID")).expect("a message's");
    MessageKey { tenant: caller.tenant.index, serial }
}

#[tokio::test]
async fn a_message_is_approved_canceled_retried_and_resolved_and_its_webhook_told() {
    let engine = Engine::new().await;
    let connector = engine.connector(&engine.a).await;
    let id = engine.message(&engine.a, &connector, true).await;
    let shown = engine.get(&engine.a, &format!("/v1/messages/{id}")).await.expect(200);
    assert_eq!((&shown["status"], &shown["rendered"]["message"]), (&json!("PENDING_APPROVAL"), &json!("Oi Ana")));
    assert_eq!(shown["connectorId"], connector.as_str());

    let step = |step: &str, body: Option<Value>| {
        let (engine, path) = (&engine, format!("/v1/messages/{id}/{step}"));
        async move { engine.ask("POST", &path, &[("x-api-key", &engine.a.key)], body).await }
    };
    assert_eq!(step("retry", None).await.error(409).0, "conflict");
    assert_eq!(step("approve", None).await.expect(200)["status"], "PENDING");
    assert_eq!(step("approve", None).await.error(409).0, "conflict");
    let canceled = step("cancel", Some(json!({"reason": "engano"}))).await.expect(200);
    assert_eq!((&canceled["status"], &canceled["reason"]["detail"]), (&json!("CANCELED"), &json!("engano")));
    assert_eq!(step("retry", None).await.expect(200)["status"], "PENDING");
    assert_eq!(step("resolve", Some(json!({"outcome": "sent"}))).await.error(409).0, "conflict");
    engine.world.store.force(key_of(&engine.a, &id), |state| state.status = Status::Unknown);
    assert_eq!(step("resolve", Some(json!({"outcome": "maybe"}))).await.error(400).1, ["outcome"]);
    assert_eq!(step("resolve", Some(json!({"outcome": "sent"}))).await.expect(200)["status"], "SENT");

    let told = engine.get(&engine.a, &format!("/v1/webhook-deliveries?messageId={id}")).await.expect(200);
    let told = told["data"].as_array().expect("a list");
    let statuses: Vec<_> = told.iter().rev().map(|d| d["body"]["status"].as_str().unwrap_or_default()).collect();
    assert_eq!(statuses, ["PENDING_APPROVAL", "PENDING", "CANCELED", "PENDING", "SENT"]);
}

#[tokio::test]
async fn a_step_is_decided_anew_when_the_scheduler_was_quicker_and_gives_up_in_the_end() {
    let engine = Engine::new().await;
    let connector = engine.connector(&engine.a).await;
    let id = engine.message(&engine.a, &connector, false).await;
    let path = format!("/v1/messages/{id}/cancel");
    let stale = |times: usize| {
        let mut left = times;
        move |_: usize, batch: &pombo_domain::ports::Batch| match batch.changes.first() {
            Some(Change::Update(update)) if left > 0 => {
                left -= 1;
                Some(StoreError::Conflict(Conflict::Message(update.key)))
            }
            _ => None,
        }
    };
    engine.world.store.refuse(stale(usize::MAX));
    assert_eq!(engine.ask("POST", &path, &[("x-api-key", &engine.a.key)], None).await.error(409).0, "conflict");
    engine.world.store.refuse(stale(3));
    assert_eq!(
        engine.ask("POST", &path, &[("x-api-key", &engine.a.key)], None).await.expect(200)["status"],
        "CANCELED"
    );
}

#[tokio::test]
async fn messages_are_filtered_and_paged() {
    let engine = Engine::new().await;
    let connector = engine.connector(&engine.a).await;
    for approval in [true, false, false] {
        engine.message(&engine.a, &connector, approval).await;
    }
    let total = |query: String| {
        let engine = &engine;
        async move { engine.get(&engine.a, &format!("/v1/messages{query}")).await.expect(200)["meta"]["total"].as_u64() }
    };
    assert_eq!(total(String::new()).await, Some(3));
    assert_eq!(total("?status=PENDING".to_owned()).await, Some(2));
    assert_eq!(total(format!("?connectorId={connector}&search=ana%20oi")).await, Some(3));
    assert_eq!(total("?messageType=MARKETING".to_owned()).await, Some(0));
    assert_eq!(total("?dateFrom=2030-01-01T00:00:00Z&dateTo=2030-01-02".to_owned()).await, Some(3));
    let page = engine.get(&engine.a, "/v1/messages?limit=2&page=2").await.expect(200);
    assert_eq!((page["data"].as_array().map(Vec::len), &page["meta"]["pages"]), (Some(1), &json!(2)));
    for (query, field) in [
        ("status=sent", "status"),
        ("limit=251", "limit"),
        ("page=0", "page"),
        ("dateFrom=ontem", "dateFrom"),
        ("estado=SENT", "estado"),
        ("limit=1&limit=2", "limit"),
        ("connectorId=x", "connectorId"),
    ] {
        assert_eq!(engine.get(&engine.a, &format!("/v1/messages?{query}")).await.error(400).1, [field], "{query}");
    }
}

/// Every operation of the document whose path has an id is asked by another tenant than the id's.
#[tokio::test]
async fn another_tenants_id_is_not_found_in_every_operation() {
    let mut engine = Engine::new().await;
    let connector = engine.connector(&engine.a).await;
    let message = engine.message(&engine.a, &connector, true).await;
    let deliveries = engine.get(&engine.a, "/v1/webhook-deliveries").await.expect(200);
    let keys = engine.get(&engine.a, "/v1/keys").await.expect(200);
    let import =
        super::imports::upload(&engine, &engine.a, super::imports::workbook(&[("x", "y")]), None).await.expect(202);
    engine.finish().await;
    engine.start().await;
    let id = |value: &Value| value["id"].as_str().expect("an id").to_owned();
    let media = Uuid::from_u128(5);
    let path = engine.state.commands.media().path(engine.a.tenant.index, media);
    std::fs::write(path, "x").expect("writes");
    engine.install(&engine.a, json!({"name": "acme-bot"})).await;
    let (chat, _) = engine.chat(&engine.a).await;
    let automation = engine.automation(&engine.a, "acme-bot", &chat).await;
    let conversation = super::conversations::opened(&engine, &engine.a, &chat, "5511").await;
    let parked = Uuid::from_u128(9);
    super::automations::park(&engine, &engine.a, &automation, parked).await;
    let root = super::trust::trusted(&engine, &engine.a).await;
    let user = json!({"email": "ana@loja.com", "name": "Ana", "password": "uma senha boa"});
    let user = engine.post(&engine.a, "/v1/users", user).await.expect(201);
    let contact = json!({"type": "WHATSAPP", "identifier": "5511912345678"});
    let contact = engine.post(&engine.a, "/v1/contacts", contact).await.expect(201);
    let tag = engine.post(&engine.a, "/v1/tags", json!({"name": "vip"})).await.expect(201);
    let label = json!({"name": "Vendas"});
    let queue = engine.post(&engine.a, "/v1/queues", label.clone()).await.expect(201);
    let status = engine.post(&engine.a, "/v1/conversation-statuses", label).await.expect(201);
    let components = json!([{"type": "body", "text": "Oi"}]);
    let template = json!({"name": "Aviso", "category": "utility", "components": components});
    let template = engine.post(&engine.a, "/v1/templates", template).await.expect(201);
    let campaign = json!({"name": "Natal", "template": template["number"], "connectorId": connector});
    let campaign = engine.post(&engine.a, "/v1/campaigns", campaign).await.expect(201);
    let endpoint = json!({"url": "https://hooks.example.com/", "connectorIds": [connector]});
    engine.post(&engine.a, "/v1/webhook-endpoints", endpoint).await.expect(201);
    let owned = [
        ("/v1/queues/", id(&queue)),
        ("/v1/conversation-statuses/", id(&status)),
        ("/v1/templates/", id(&template)),
        ("/v1/campaigns/", id(&campaign)),
        ("/v1/contacts/", id(&contact)),
        ("/v1/tags/", id(&tag)),
        ("/v1/keys/", id(&keys["data"][0])),
        ("/v1/users/", id(&user)),
        ("/v1/trust-roots/", root),
        ("/v1/automations/parked/", parked.to_string()),
        ("/v1/automations/", automation),
        ("/v1/conversations/", conversation),
        ("/v1/connectors/", connector.clone()),
        ("/v1/webhook-endpoints/", connector.clone()),
        ("/v1/messages/", message),
        ("/v1/imports/", id(&import)),
        ("/v1/webhook-deliveries/", id(&deliveries["data"][0])),
        ("/v1/media/", media.to_string()),
    ];
    let named = json!({"providerId": "x"});
    let bodies = [
        ("/resolve", json!({"outcome": "sent"})),
        ("/active", json!({"active": true})),
        ("/connectors/{id}", json!({"name": "x"})),
        ("/connectors/{id}/messages", json!({"to": "1", "text": "x"})),
        ("/conversations/{id}/messages", json!({"text": "x"})),
        ("/campaigns/{id}/start", json!({})),
        ("/campaigns/{id}/contacts", json!({"contacts": [Uuid::from_u128(1)]})),
        ("/campaigns/{id}", json!({"name": "x"})),
        ("/templates/{id}", json!({"name": "x"})),
        ("/queues/{id}", json!({"name": "x"})),
        ("/conversation-statuses/{id}", json!({"name": "x"})),
        ("/start", json!({"to": "1"})),
        ("/connectors/{id}/reactions", json!({"emoji": "x", "message": named, "chat": "1"})),
        ("/connectors/{id}/revoke", json!({"message": named, "chat": "1"})),
        ("/messages/{id}/reactions", json!({"emoji": "x"})),
        ("/edit", json!({"text": "x"})),
        ("/conversations/{id}/read", json!({})),
        ("/read", json!({"chat": "1", "messages": [named]})),
        ("/typing", json!({"chat": "1", "state": "paused"})),
        ("/lookup", json!({"addresses": ["1"]})),
        ("/operations", json!({"kind": "x", "value": 1})),
        ("/session/passkey", json!({"id": "x", "confirm": true})),
        ("/groups", json!({"subject": "x"})),
        ("/groups/{group}", json!({"subject": "x"})),
        ("/members", json!({"add": ["1"]})),
        ("/webhook", json!({"webhookUrl": "https://hooks.example.com/"})),
    ];
    let document: Value = serde_json::from_str(&(FACADE.document)()).expect("JSON");
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().expect("an object") {
        // Channels have no tenant: `receiving.rs` tests who may call a connector.
        if !path.contains("{id}") || path.starts_with("/v1/tenants/") || path.ends_with(CALLED_BY_CHANNELS) {
            continue;
        }
        let (_, own) = owned.iter().find(|(start, _)| path.starts_with(start)).unwrap_or_else(|| panic!("add {path}"));
        for (method, operation) in item.as_object().expect("an object") {
            // Files are posted in `campaigns.rs`.
            if operation.pointer("/requestBody/content/multipart~1form-data").is_some() {
                continue;
            }
            let body = operation.get("requestBody").map(|_| {
                let known = bodies.iter().find(|(end, _)| path.ends_with(end));
                known.map_or(json!({}), |(_, body)| body.clone())
            });
            for (id, why) in [(own.as_str(), "another tenant's"), ("nonsense", "no UUID")] {
                let headers = [("x-api-key", engine.b.key.as_str())];
                let path = path.replace("{id}", id).replace("{group}", "120363000000000000@g.us");
                let answer = engine.ask(&method.to_uppercase(), &path, &headers, body.clone()).await;
                assert_eq!(answer.status.as_u16(), 404, "{method} {path}: {why}: {answer:?}");
                asked += 1;
            }
        }
    }
    assert!(asked >= 80, "{asked}");
    // They were asked about things that are there: their owner gets them.
    for (start, id) in &owned {
        if !["/v1/keys/", "/v1/users/", "/v1/trust-roots/", "/v1/automations/parked/"].contains(start) {
            assert_eq!(engine.get(&engine.a, &format!("{start}{id}")).await.status, 200, "{start}");
        }
    }
}

#[tokio::test]
async fn deliveries_are_listed_shown_and_replayed() {
    let engine = Engine::new().await;
    let connector = engine.connector(&engine.a).await;
    engine.message(&engine.a, &connector, false).await;
    let listed = engine.get(&engine.a, "/v1/webhook-deliveries?status=PENDING&limit=1").await.expect(200);
    let path = format!("/v1/webhook-deliveries/{}", listed["data"][0]["id"].as_str().expect("an id"));
    let first = engine.get(&engine.a, &path).await.expect(200);
    assert_eq!((&first["status"], &first["tries"], first.get("nextPage")), (&json!("PENDING"), &json!(0), None));
    engine.world.clock.jump(60_000);
    let replayed =
        engine.ask("POST", &format!("{path}/replay"), &[("x-api-key", &engine.a.key)], None).await.expect(200);
    assert_eq!((&replayed["id"], &replayed["nextAt"]), (&first["id"], &json!("2030-01-01T00:01:00.000Z")));
    assert_eq!(engine.get(&engine.a, "/v1/webhook-deliveries?status=DELIVERED").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn each_tenant_has_its_own_webhook_secret() {
    let engine = Engine::new().await;
    let mine = engine.get(&engine.a, "/v1/webhook-secret").await.expect(200);
    assert_eq!(mine, json!({"secret": "whsec_AQEB"}));
    assert_ne!(engine.get(&engine.b, "/v1/webhook-secret").await.expect(200), mine);
    engine.ask("GET", "/v1/webhook-secret", &[], None).await.error(401);
}

#[tokio::test]
async fn a_preview_shows_texts_or_where_the_template_is_wrong() {
    let engine = Engine::new().await;
    let ask = |body| engine.post(&engine.a, "/v1/render/preview", body);
    let shown = ask(json!({"template": "Oi {{ nome }}", "variables": {"nome": "Ana"}, "samples": 2})).await.expect(200);
    assert_eq!((&shown["samples"], &shown["distinctTexts"]), (&json!(["Oi Ana", "Oi Ana"]), &json!(1)));
    let wrong = ask(json!({"template": "Oi\ntudo {{ nome }}"})).await;
    assert_eq!(wrong.json()["error"]["position"], json!({"line": 2, "column": 6}));
    assert_eq!(wrong.error(400), ("invalid".to_owned(), vec!["template".to_owned()]));
    assert_eq!(ask(json!({"template": "x", "samples": 51})).await.error(400).1, ["samples"]);
    assert_eq!(ask(json!({"template": "a\0b"})).await.error(400).1, ["template"]);
    assert_eq!(ask(json!({"template": "x", "variables": [1]})).await.error(400).1, ["variables"]);
}

#[tokio::test]
async fn a_file_is_a_download_by_signed_link_or_by_credential() {
    let engine = Engine::new().await;
    let media = engine.state.commands.media();
    let tenant = engine.a.tenant.index;
    let mut writer = media.create(tenant, "página.html", Some("text/html"), 99).await.expect("creates");
    writer.write(b"<script>").await.expect("writes");
    let file = writer.finish().await.expect("finishes");
    let now = engine.state.commands.now();
    let link = engine.state.media_links.url(tenant, &file, now).replace("http://127.0.0.1:8080", "");
    let answer = engine.ask("GET", &link, &[], None).await;
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (200, b"<script>".as_slice()));
    assert_eq!((header("content-type"), header("x-content-type-options")), ("text/html", "nosniff"));
    assert!(header("content-disposition").starts_with("attachment; filename=\"p_gina.html\""));
    assert!(header("content-security-policy").contains("sandbox"));

    engine.ask("GET", &format!("{link}x"), &[], None).await.error(401);
    let plain = format!("/v1/media/{}", file.id);
    engine.ask("GET", &plain, &[], None).await.error(401);
    assert_eq!(engine.get(&engine.a, &plain).await.body, b"<script>");
    engine.get(&engine.b, &plain).await.error(404);
}

#[tokio::test]
async fn health_needs_no_credential_and_ready_says_what_stands_against_it() {
    let engine = Engine::new().await;
    assert_eq!(engine.ask("GET", "/health", &[], None).await.expect(200)["status"], "ok");
    assert_eq!(engine.ask("GET", "/ready", &[], None).await.expect(200)["status"], "ready");
    let problem = NotReady { part: "store".to_owned(), reason: "the last sync failed".to_owned() };
    engine.fixed.problems.lock().expect("no panic").push(problem);
    let not = engine.ask("GET", "/ready", &[], None).await.expect(503);
    assert_eq!(not["problems"], json!([{"part": "store", "reason": "the last sync failed"}]));
    let metrics = engine.ask("GET", "/metrics", &[], None).await;
    assert_eq!(metrics.body, b"pombo_up 1\n");
    assert!(metrics.headers["content-type"].to_str().is_ok_and(|value| value.starts_with("text/plain")));
}

#[tokio::test]
async fn the_frameworks_own_errors_have_the_same_body() {
    let engine = Engine::new().await;
    assert_eq!(engine.ask("GET", "/v1/nothing", &[], None).await.error(404).0, "not_found");
    let method = engine.ask("DELETE", "/v1/tenants", &[], None).await;
    assert_eq!(method.headers["allow"], "POST, GET");
    assert_eq!(method.error(405).0, "method_not_allowed");
    // It is not taken for a path with a parameter, which would take the method.
    let method = engine.ask("PATCH", "/v1/automations/parked?limit=1", &[], None).await;
    assert_eq!(method.headers["allow"], "GET");
    assert_eq!(method.error(405).0, "method_not_allowed");
    let request = |content_type: &str, body: &'static str| {
        let uri = "/v1/users".parse().expect("a path");
        let request = Request::builder().method(poem::http::Method::POST).uri(uri).header("x-api-key", &engine.a.key);
        request.content_type(content_type).body(body)
    };
    let text = engine.call(request("text/plain", "x")).await;
    assert_eq!(text.error(415).0, "unsupported_media_type");
    assert_eq!(engine.call(request("application/json", "{\"email\":")).await.error(400).0, "invalid");
    assert_eq!(engine.call(request("application/json", "")).await.error(400).0, "invalid");
    assert_eq!(engine.ask("GET", "/health?x=1", &[], None).await.error(400).1, ["x"]);
}

#[tokio::test]
async fn whoever_has_no_credential_is_told_that_before_what_is_wrong_with_the_query() {
    let engine = Engine::new().await;
    let tenant = engine.a.tenant.id.to_string();
    let operator = [OPERATOR_HEADER, ("x-pombo-tenant", tenant.as_str())];
    let document: Value = serde_json::from_str(&(FACADE.document)()).expect("JSON");
    let mut protected = 0;
    for (path, item) in document["paths"].as_object().expect("an object") {
        // The plugin reads the query.
        let open_to_any_query = path.ends_with(CALLED_BY_CHANNELS);
        for (method, operation) in item.as_object().expect("an object") {
            let path = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
            let path = format!("{}?nonsense=1", path.collect::<Vec<_>>().join("/"));
            let method = method.to_uppercase();
            if operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty()) {
                engine.ask(&method, &path, &[], None).await.error(401);
                engine.ask(&method, &path, &[("x-api-key", "sk_live_wrong")], None).await.error(401);
                engine.ask(&method, &path, &[("x-pombo-tenant", "no UUID")], None).await.error(401);
                protected += 1;
            }
            if open_to_any_query {
                continue;
            }
            assert_eq!(engine.ask(&method, &path, &operator, None).await.error(400).1, ["nonsense"], "{method} {path}");
        }
    }
    assert!(protected >= 90, "{protected}");
    // A signature stands for a credential, where there are signed links.
    assert_eq!(engine.ask("GET", "/v1/media/x?sig=1&nonsense=1", &[], None).await.error(400).1, ["nonsense"]);
    engine.ask("GET", "/v1/messages?sig=1&nonsense=1", &[], None).await.error(401);
    engine.ask("GET", "/v1/messages?%FF=%", &[], None).await.error(401);
}
