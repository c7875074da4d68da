//! Section "Autenticação", and what each credential and each role may do.

use pombo_domain::commands::access::users::UserRequest;
use pombo_domain::model::User;
use pombo_domain::ports::{AutomationChange, AutomationStore, Batch, Change, Store};

use super::shape::like;
use super::*;

const PASSWORD: &str = "correct horse";

pub(super) async fn user(site: &Site, name: &str, role: Role) -> User {
    let request = UserRequest {
        email: format!("{name}@example.com"),
        name: name.to_owned(),
        password: PASSWORD.to_owned(),
        role,
    };
    site.world.commands.create_user(site.loja.tenant.index, request).await.expect("a good user")
}

async fn login(site: &Site, body: Value) -> Answer {
    site.call("POST", "/zapini/auth/login", &[("content-type", "application/json")], body.to_string()).await
}

/// The token of a login.
pub(super) async fn token(site: &Site, name: &str) -> String {
    let body = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
    login(site, body).await.expect(200)["data"]["token"].as_str().expect("a token").to_owned()
}

pub(super) async fn with(site: &Site, token: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    site.call(method, &format!("/zapini{path}"), &headers, body).await
}

fn example() -> Value {
    json!({
        "success": true,
        "message": "Login successful",
        "data": {
            "user": {"id": 1, "name": "User Name", "email": "user@example.com", "role": "admin"},
            "token": "1|abc123xyz...",
            "token_type": "Bearer"
        }
    })
}

#[tokio::test]
async fn a_login_answers_as_documented_and_its_token_works() {
    let site = Site::new().await;
    let ana = user(&site, "ana", Role::Owner).await;
    let body = json!({"email": "Ana@example.com", "password": PASSWORD, "device_name": "My App"});
    let told = login(&site, body).await.expect(200);
    like(&told, &example(), &[], &[]);
    assert_eq!((&told["message"], &told["data"]["token_type"]), (&json!("Login successful"), &json!("Bearer")));
    let shown = json!({"id": ana.number, "name": "ana", "email": "ana@example.com", "role": "admin"});
    assert_eq!(told["data"]["user"], shown);
    let token = told["data"]["token"].as_str().expect("a token");
    let (number, secret) = token.split_once('|').expect("the documented form");
    assert!(number.parse::<u64>().is_ok() && secret.len() >= 32, "{token}");

    let me = with(&site, token, "GET", "/auth/me", None).await.expect(200);
    assert_eq!(me, json!({"success": true, "data": {"user": shown}}));
    // It has the documented device, and its own tenant's instances.
    let stored = site.world.store.access_token(number.parse().expect("a number")).expect("reads").expect("stored");
    assert_eq!(stored.device, "My App");
    let listed = with(&site, token, "GET", "/api/v1/instances", None).await.expect(200);
    assert_eq!(listed["data"]["instances"][0]["uuid"], json!(site.instance.id));
}

#[tokio::test]
async fn a_wrong_login_is_401_and_a_missing_field_422() {
    let site = Site::new().await;
    user(&site, "ana", Role::Owner).await;
    for body in [
        json!({"email": "ana@example.com", "password": "wrong horse"}),
        json!({"email": "eva@example.com", "password": PASSWORD}),
    ] {
        assert_eq!(login(&site, body).await.error(401), "UNAUTHENTICATED");
    }
    for (body, field) in [
        (json!({"password": PASSWORD}), "email"),
        (json!({"email": "ana@example.com"}), "password"),
        (json!({"email": "ana@example.com", "password": 5}), "password"),
        (json!({"email": "ana@example.com", "password": PASSWORD, "device_name": "x".repeat(121)}), "device_name"),
    ] {
        let refused = login(&site, body).await;
        assert_eq!(refused.error(422), "VALIDATION_ERROR");
        assert!(refused.json()["error"]["details"][field][0].is_string(), "{}", refused.text());
    }
    for _ in 0..9 {
        login(&site, json!({"email": "ana@example.com", "password": "wrong horse"})).await.error(401);
    }
    let closed = login(&site, json!({"email": "ana@example.com", "password": PASSWORD})).await;
    assert_eq!((closed.error(429), closed.headers.contains_key("retry-after")), ("RATE_LIMITED".to_owned(), true));
}

#[tokio::test]
async fn a_token_is_replaced_and_revoked_and_no_other_with_it() {
    let site = Site::new().await;
    user(&site, "ana", Role::Owner).await;
    let (first, other) = (token(&site, "ana").await, token(&site, "ana").await);
    let refreshed = with(&site, &first, "POST", "/auth/refresh", None).await.expect(200);
    like(&refreshed, &example(), &[], &[]);
    let second = refreshed["data"]["token"].as_str().expect("a token").to_owned();
    assert_eq!(with(&site, &first, "GET", "/auth/me", None).await.error(401), "UNAUTHENTICATED");
    with(&site, &second, "GET", "/auth/me", None).await.expect(200);

    // Without a body and without a Content-Type, as documented.
    let bearer = format!("Bearer {second}");
    let out = site.call("POST", "/zapini/auth/logout", &[("authorization", bearer.as_str())], ()).await.expect(200);
    assert_eq!(out, json!({"success": true, "message": "Logged out successfully"}));
    assert_eq!(with(&site, &second, "GET", "/instances", None).await.error(401), "UNAUTHENTICATED");
    with(&site, &other, "GET", "/auth/me", None).await.expect(200);
}

#[tokio::test]
async fn a_key_has_no_login_to_look_at_end_or_replace() {
    let site = Site::new().await;
    for (method, path) in [("GET", "/auth/me"), ("POST", "/auth/logout"), ("POST", "/auth/refresh")] {
        assert_eq!(site.ask(&site.loja, method, path, None).await.error(403), "FORBIDDEN", "{path}");
        assert_eq!(site.call(method, &format!("/zapini{path}"), &[], ()).await.error(401), "UNAUTHENTICATED");
    }
    assert_eq!(site.get("/instances").await.status, 200, "the key still works");
}

#[tokio::test]
async fn each_token_has_a_limit_of_its_own() {
    let site = Site::with(ZapiniOptions { rate_limit: 2, ..ZapiniOptions::default() }).await;
    user(&site, "ana", Role::Owner).await;
    let (first, second) = (token(&site, "ana").await, token(&site, "ana").await);
    for left in ["1", "0"] {
        let answer = with(&site, &first, "GET", "/instances", None).await;
        assert_eq!(answer.headers["x-ratelimit-remaining"], left);
    }
    with(&site, &first, "GET", "/instances", None).await.error(429);
    assert_eq!(with(&site, &second, "GET", "/instances", None).await.status, 200);
    // A login is nobody's yet.
    assert!(!login(&site, json!({})).await.headers.contains_key("x-ratelimit-limit"));
}

#[tokio::test]
async fn a_key_of_one_instance_is_403_at_another_and_does_not_see_it() {
    let site = Site::new().await;
    let (tenant, own) = (site.loja.tenant.index, site.instance.id);
    let made = site.world.commands.create_api_key(tenant, "bot", Some(own)).await.expect("a good name");
    let (other, theirs) = (site.another(&site.loja).await, site.another(&site.other).await);
    let ask = |method: &'static str, path: String| {
        let (site, key) = (&site, made.key.as_str());
        async move { with(site, key, method, &path, None).await }
    };
    let listed = ask("GET", "/instances".to_owned()).await.expect(200);
    assert_eq!(listed["data"]["instances"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["data"]["instances"][0]["uuid"], json!(own));
    for given in [own.to_string(), site.instance.index.0.to_string()] {
        assert_eq!(ask("GET", format!("/instances/{given}")).await.status, 200);
        assert_eq!(ask("GET", format!("/instance-{given}/status")).await.status, 200);
    }
    // It serves its own without being told which.
    assert_eq!(ask("GET", "/status".to_owned()).await.status, 200);
    for given in [other.id.to_string(), other.index.0.to_string()] {
        for (method, path) in [
            ("GET", format!("/instances/{given}")),
            ("GET", format!("/instances/{given}/qr")),
            ("POST", format!("/instances/{given}/disconnect")),
            ("GET", format!("/instances/{given}/groups")),
            ("GET", format!("/instance-{given}/status")),
            ("GET", format!("/status?instance_id={given}")),
        ] {
            assert_eq!(ask(method, path.clone()).await.error(403), "FORBIDDEN", "{method} {path}");
        }
    }
    assert_eq!(ask("GET", format!("/instances/{}", theirs.id)).await.error(404), "NOT_FOUND");
    assert!(site.world.connectors.asked().is_empty());
    // Neither does it reach the conversations of another one.
    let open = AutomationChange::Open { tenant, connector: other.index, chat: "5511".to_owned(), is_group: false };
    site.world.store.commit(Batch::of(vec![Change::Automation(Box::new(open))])).await.expect("commits");
    let id = site.world.store.conversation_with(other.index, "5511").expect("reads").expect("opened").id;
    assert_eq!(ask("GET", format!("/conversations/{id}/automation")).await.error(403), "FORBIDDEN");
    let bulk = json!({"conversation_ids": [id]});
    let told =
        with(&site, &made.key, "POST", "/api/v1/conversations/automation/bulk-pause", Some(bulk)).await.expect(200);
    assert_eq!(told["data"], json!({"paused": 0, "skipped": 0, "errors": 1}));
}

#[tokio::test]
async fn each_role_may_do_what_it_is_for() {
    let site = Site::new().await;
    user(&site, "owner", Role::Owner).await;
    for (name, role, converses, manages) in [
        ("manager", Role::Manager, true, true),
        ("agent", Role::Agent, true, false),
        ("viewer", Role::Viewer, false, false),
    ] {
        let made = user(&site, name, role).await;
        let token = token(&site, name).await;
        let me = with(&site, &token, "GET", "/auth/me", None).await.expect(200);
        assert_eq!((&me["data"]["user"]["id"], &me["data"]["user"]["role"]), (&json!(made.number), &json!(name)));
        let groups = site.at("/groups/1@g.us");
        let ids = json!({"conversation_ids": [uuid::Uuid::nil()]});
        for (method, path, body, allowed) in [
            ("GET", "/instances".to_owned(), None, true),
            ("GET", site.at("/status"), None, true),
            ("POST", "/conversations/automation/bulk-pause".to_owned(), Some(ids), converses),
            ("GET", site.at("/qr"), None, manages),
            ("POST", format!("{groups}/leave"), None, manages),
            ("PATCH", groups, Some(json!({"subject": "S"})), manages),
            ("POST", site.at("/reconnect"), None, manages),
            ("PUT", site.at("/webhook"), Some(json!({"webhook_url": "https://example.com/"})), manages),
        ] {
            let answer = with(&site, &token, method, &path, body).await;
            assert_eq!(answer.status == 403, !allowed, "{name} {method} {path}: {}", answer.text());
            if !allowed {
                assert_eq!(answer.error(403), "FORBIDDEN");
            }
        }
    }
}

#[tokio::test]
async fn a_pause_names_the_user_who_paused() {
    let site = Site::new().await;
    let (tenant, connector) = (site.loja.tenant.index, site.instance.index);
    user(&site, "john", Role::Owner).await;
    let token = token(&site, "john").await;
    let open = AutomationChange::Open { tenant, connector, chat: "5511".to_owned(), is_group: false };
    site.world.store.commit(Batch::of(vec![Change::Automation(Box::new(open))])).await.expect("commits");
    let id = site.world.store.conversation_with(connector, "5511").expect("reads").expect("opened").id;
    let told = with(&site, &token, "POST", &format!("/conversations/{id}/automation/pause"), None).await.expect(200);
    assert_eq!(told["data"]["paused_by"], "john");
}
