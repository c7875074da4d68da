//! Who may do what: keys that are bound to one connector, users with roles, access tokens.

use pombo_domain::ErrorCode;
use pombo_domain::commands::access::authenticate::{Identity, LoggedIn};
use pombo_domain::commands::access::keys::CONNECTOR_KEY_PREFIX;
use pombo_domain::commands::access::tokens::{IssuedToken, MAX_TOKENS, TokenLogin, UNUSED_DAYS};
use pombo_domain::commands::access::users::UserRequest;
use pombo_domain::model::{Right, Role, User};
use pombo_domain::ports::Store;
use pombo_testkit::store::unavailable;
use serde_json::{Value, json};

use super::support::{Caller, Engine, Refused};
use crate::FACADE;

/// A key of `caller` that is bound to the connector: its id and its text.
async fn bound_key(engine: &Engine, caller: &Caller, connector: &str) -> (String, String) {
    let body = json!({"name": "one connector", "connectorId": connector});
    let made = engine.post(caller, "/v1/keys", body).await.expect(201);
    assert_eq!(made["connectorId"], connector);
    let text = |field: &str| made[field].as_str().expect("a text").to_owned();
    assert!(text("key").starts_with(CONNECTOR_KEY_PREFIX) && text("key").starts_with(&text("prefix")));
    (text("id"), text("key"))
}

#[tokio::test]
async fn a_key_that_is_bound_to_a_connector_is_refused_by_every_operation() {
    let engine = Engine::new().await;
    let connector = engine.connector(&engine.a).await;
    let (_, key) = bound_key(&engine, &engine.a, &connector).await;
    let bearer = format!("Bearer {key}");
    let document: Value = serde_json::from_str(&(FACADE.document)()).expect("JSON");
    let mut refused = 0;
    for (path, item) in document["paths"].as_object().expect("an object") {
        for (method, operation) in item.as_object().expect("an object") {
            let schemes = operation["security"].as_array().cloned().unwrap_or_default();
            if schemes.is_empty() {
                continue;
            }
            assert!(operation["responses"].get("403").is_some(), "{method} {path} does not declare it");
            let path = path.split('/').map(|part| if part.starts_with('{') { connector.as_str() } else { part });
            let path = path.collect::<Vec<_>>().join("/");
            let method = method.to_uppercase();
            let operators = schemes.iter().all(|scheme| scheme.get("operator").is_some());
            for query in ["", "?nonsense=1"] {
                let path = format!("{path}{query}");
                let by_bearer = engine.ask(&method, &path, &[("authorization", &bearer)], Some(json!([]))).await;
                let message = by_bearer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
                assert_eq!(by_bearer.error(403).0, "forbidden", "{method} {path}");
                assert!(message.contains("may only be used with"), "{method} {path}: {message}");
                if !operators {
                    let by_key = engine.ask(&method, &path, &[("x-api-key", &key)], Some(json!([]))).await;
                    assert_eq!(by_key.error(403).0, "forbidden", "{method} {path}");
                }
            }
            refused += 1;
        }
    }
    assert!(refused >= 90, "{refused}");
}

#[tokio::test]
async fn a_bound_key_is_listed_with_its_connector_and_revoked_with_it() {
    let engine = Engine::new().await;
    let (connector, other) = (engine.connector(&engine.a).await, engine.connector(&engine.a).await);
    let (id, key) = bound_key(&engine, &engine.a, &connector).await;
    let (other_id, other_key) = bound_key(&engine, &engine.a, &other).await;
    let identity = engine.world.commands.identify_api_key(&key).expect("it is valid");
    let found = engine.world.commands.get_connector(engine.a.tenant.index, connector.parse().expect("a UUID"));
    assert_eq!(identity.connector, Some(found.expect("it is there").connector.index));

    let listed = async || {
        let page = engine.get(&engine.a, "/v1/keys").await.expect(200);
        page["data"].as_array().expect("a list").clone()
    };
    let row = |rows: &[Value], id: &str| rows.iter().find(|row| row["id"] == id).cloned().expect("listed");
    let rows = listed().await;
    assert_eq!(row(&rows, &id)["connectorId"], connector.as_str());
    assert!(rows.iter().any(|row| row.get("connectorId").is_none()), "the tenant's own key");

    engine
        .ask("DELETE", &format!("/v1/connectors/{connector}"), &[("x-api-key", &engine.a.key)], None)
        .await
        .expect(204);
    assert!(engine.world.commands.identify_api_key(&key).is_err(), "it went with its connector");
    assert!(engine.world.commands.identify_api_key(&other_key).is_ok());
    let rows = listed().await;
    assert!(row(&rows, &id)["revokedAt"].is_string() && row(&rows, &other_id).get("revokedAt").is_none());
    assert_eq!(row(&rows, &id)["connectorId"], connector.as_str());
    // A key of what is deleted, or another tenant's, is not made.
    for (caller, connector) in [(&engine.a, &connector), (&engine.b, &other)] {
        let answer = engine.post(caller, "/v1/keys", json!({"name": "n", "connectorId": connector})).await;
        assert_eq!(answer.error(404), ("not_found".to_owned(), vec!["connectorId".to_owned()]));
    }
    let wrong = engine.post(&engine.a, "/v1/keys", json!({"name": "n", "connectorId": "x"})).await;
    assert_eq!(wrong.error(400).1, ["connectorId"]);
    engine.get(&engine.a, "/v1/connectors").await.expect(200);
}

#[tokio::test]
async fn a_user_has_a_number_and_a_role_and_the_last_owner_stays_one() {
    let engine = Engine::new().await;
    let user = |name: &str, role: Value| {
        let mut body = json!({"email": format!("{name}@loja.com"), "name": name, "password": "uma senha boa"});
        if !role.is_null() {
            body["role"] = role;
        }
        body
    };
    let ana = engine.post(&engine.a, "/v1/users", user("ana", Value::Null)).await.expect(201);
    assert_eq!((&ana["number"], &ana["role"]), (&json!(1), &json!("owner")), "as before there were roles");
    let rui = engine.post(&engine.a, "/v1/users", user("rui", json!("viewer"))).await.expect(201);
    let other = engine.post(&engine.b, "/v1/users", user("eva", json!("agent"))).await.expect(201);
    assert_eq!((&rui["number"], &rui["role"]), (&json!(2), &json!("viewer")));
    assert_eq!((&other["number"], &other["role"]), (&json!(3), &json!("agent")), "one count for the whole store");

    let key = [("x-api-key", engine.a.key.as_str())];
    let path = |user: &Value| format!("/v1/users/{}", user["id"].as_str().expect("an id"));
    let patch = async |user: &Value, body| engine.ask("PATCH", &path(user), &key, Some(body)).await;
    let delete = async |user: &Value| engine.ask("DELETE", &path(user), &key, None).await;
    assert_eq!(patch(&ana, json!({"role": "manager"})).await.error(409).0, "conflict");
    assert_eq!(delete(&ana).await.error(409).0, "conflict");
    let named = patch(&ana, json!({"name": "Ana Lima"})).await.expect(200);
    assert_eq!((&named["name"], &named["role"]), (&json!("Ana Lima"), &json!("owner")));
    assert_eq!(patch(&rui, json!({"role": "owner"})).await.expect(200)["role"], "owner");

    // Of two owners who leave at the same time, one stays.
    let leave = json!({"role": "agent"});
    let (one, two) = tokio::join!(patch(&ana, leave.clone()), patch(&rui, leave));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);

    // Nobody changes another tenant's user, or makes one into something unknown.
    assert_eq!(patch(&other, json!({"name": "stolen"})).await.error(404).0, "not_found");
    assert_eq!(delete(&other).await.error(404).0, "not_found");
    assert_eq!(patch(&ana, json!({"role": "king"})).await.error(400).1, ["role"]);
    assert_eq!(patch(&ana, json!({"name": "", "password": "curta"})).await.error(400).1, ["name", "password"]);
    assert_eq!(patch(&ana, json!({"email": "x@y.com"})).await.error(400).1, ["email"]);
    let rows = engine.get(&engine.a, "/v1/users").await.expect(200)["data"].as_array().expect("a list").clone();
    let agent = rows.iter().find(|row| row["role"] == "agent").expect("one left");
    delete(agent).await.expect(204);
    assert_eq!(delete(agent).await.error(404).0, "not_found");
    assert_eq!(engine.get(&engine.a, "/v1/users").await.expect(200)["data"].as_array().map(Vec::len), Some(1));
}

const PASSWORD: &str = "uma senha boa";

async fn user(engine: &Engine, name: &str, role: Role) -> User {
    let (email, password) = (format!("{name}@loja.com"), PASSWORD.to_owned());
    let request = UserRequest { email, name: name.to_owned(), password, role };
    engine.world.commands.create_user(engine.a.tenant.index, request).await.expect("a good request")
}

fn device(name: &str, password: &str) -> TokenLogin {
    TokenLogin { email: format!("{name}@loja.com"), password: password.to_owned(), device: "phone".to_owned() }
}

async fn token(engine: &Engine, name: &str) -> IssuedToken {
    engine.world.commands.login_with_device(device(name, PASSWORD), None).await.expect("a good login")
}

fn identify(engine: &Engine, text: &str) -> Result<Identity, ErrorCode> {
    engine.world.commands.identify_access_token(text).map_err(|error| error.code)
}

#[tokio::test]
async fn an_access_token_is_its_users_until_it_is_revoked() {
    let engine = Engine::new().await;
    let ana = user(&engine, "ana", Role::Agent).await;
    let (one, two) = (token(&engine, "ana").await, token(&engine, "ana").await);
    assert!(one.text.starts_with("1|") && two.text.starts_with("2|"));
    let identity = identify(&engine, &one.text).expect("it is valid");
    assert_eq!((identity.user, identity.role, identity.token), (Some(ana.id), Some(Role::Agent), Some(1)));
    assert_eq!((identity.tenant, identity.key, identity.connector), (engine.a.tenant.index, None, None));
    assert!(identity.check(Right::Converse).is_ok());
    let refused = identity.check(Right::DeleteRecords).expect_err("an agent may not");
    assert_eq!(refused.code, ErrorCode::Forbidden);
    assert!(refused.message.contains("(agent)") && refused.message.contains("owner, manager"), "{}", refused.message);

    let secret = |text: &str| text.split_once('|').expect("two parts").1.to_owned();
    for wrong in [
        format!("2|{}", secret(&one.text)),
        format!("3|{}", secret(&one.text)),
        format!("1|{}", "0".repeat(40)),
        secret(&one.text),
        "1|".to_owned(),
        String::new(),
    ] {
        assert_eq!(identify(&engine, &wrong), Err(ErrorCode::Unauthenticated), "{wrong}");
    }
    // It is not a credential of this API, whose operations do not ask for a role.
    let bearer = format!("Bearer {}", one.text);
    engine.ask("GET", "/v1/users", &[("authorization", &bearer)], None).await.error(401);

    assert_eq!(engine.world.commands.still_holds(&identity), Ok(true));
    engine.world.commands.log_out(&identity).await.expect("revoked");
    assert_eq!(engine.world.commands.still_holds(&identity), Ok(false));
    assert_eq!(identify(&engine, &one.text), Err(ErrorCode::Unauthenticated));
    assert!(identify(&engine, &two.text).is_ok(), "this token, and no other");
    let key = engine.world.commands.identify_api_key(&engine.a.key).expect("valid");
    assert_eq!(engine.world.commands.log_out(&key).await.expect_err("no token").code, ErrorCode::Forbidden);
    assert!(key.check(Right::ManageTenant).is_ok(), "a key of the tenant may everything");
}

#[tokio::test]
async fn a_refresh_replaces_the_token_in_one_batch_and_works_once() {
    let engine = Engine::new().await;
    user(&engine, "ana", Role::Owner).await;
    let old = token(&engine, "ana").await;
    let identity = identify(&engine, &old.text).expect("valid");
    engine.world.store.refuse_next(unavailable());
    assert!(engine.world.commands.refresh_token(&identity).await.is_err());
    assert!(identify(&engine, &old.text).is_ok(), "nothing was stored, so the old one is still good");
    let commits = engine.world.store.commits();
    let (first, second) =
        tokio::join!(engine.world.commands.refresh_token(&identity), engine.world.commands.refresh_token(&identity));
    assert_eq!(engine.world.store.commits(), commits + 1, "both steps are one commit");
    let new = first.expect("the first");
    assert_eq!(second.err().map(|error| error.code), Some(ErrorCode::Unauthenticated));
    assert_eq!(identify(&engine, &old.text), Err(ErrorCode::Unauthenticated));
    assert!(identify(&engine, &new.text).is_ok());
    assert_eq!(new.token.device, "phone");
}

#[tokio::test]
async fn wrong_passwords_count_for_both_ways_to_log_in() {
    let engine = Engine::new().await;
    user(&engine, "ana", Role::Owner).await;
    let commands = &engine.world.commands;
    let wrong = async || commands.login_with_device(device("ana", "a guess"), None).await.err().map(|error| error.code);
    for _ in 0..10 {
        assert_eq!(wrong().await, Some(ErrorCode::Unauthenticated));
    }
    assert_eq!(wrong().await, Some(ErrorCode::RateLimited));
    let other = commands.login("ana@loja.com", PASSWORD.to_owned(), None).await.err();
    assert_eq!(other.map(|error| error.code), Some(ErrorCode::RateLimited));
    let nameless = TokenLogin { device: " ".to_owned(), ..device("ana", PASSWORD) };
    let refused = commands.login_with_device(nameless, None).await.err().expect("no device");
    assert_eq!(refused.code, ErrorCode::Invalid, "told before the password is looked at");
}

#[tokio::test]
async fn tokens_are_bounded_and_unused_ones_go() {
    let engine = Engine::new().await;
    let (ana, _) = (user(&engine, "ana", Role::Owner).await, user(&engine, "rui", Role::Owner).await);
    let theirs = token(&engine, "rui").await;
    let mut given = Vec::new();
    for _ in 0..MAX_TOKENS + 2 {
        given.push(token(&engine, "ana").await);
    }
    let stored = || engine.world.store.access_tokens(ana.id).expect("readable").len();
    assert_eq!(stored(), MAX_TOKENS);
    for (n, old) in given.iter().enumerate() {
        assert_eq!(identify(&engine, &old.text).is_ok(), n >= 2, "{n}");
    }

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let days = |days: i32| engine.world.clock.jump(i64::from(days) * DAY_MS);
    let used = identify(&engine, &given[50].text).expect("valid");
    days(40);
    engine.world.commands.note_token_use(&used).await.expect("noted");
    let commits = engine.world.store.commits();
    engine.world.commands.note_token_use(&used).await.expect("noted");
    assert_eq!(engine.world.store.commits(), commits, "once a day");
    days(UNUSED_DAYS - 40);
    assert!(identify(&engine, &given[60].text).is_ok(), "the last day");
    assert_eq!(engine.world.commands.forget_unused_tokens().await, Ok(0));
    days(1);
    assert_eq!(identify(&engine, &given[60].text), Err(ErrorCode::Unauthenticated));
    assert!(identify(&engine, &given[50].text).is_ok(), "it was used since");
    // A login takes the user's own unused ones away; the rest goes by itself.
    token(&engine, "ana").await;
    assert_eq!(stored(), 2);
    assert_eq!(engine.world.commands.forget_unused_tokens().await, Ok(1));
    assert!(engine.world.store.access_token(theirs.token.number).expect("readable").is_none());
}

#[tokio::test]
async fn a_new_password_and_a_deletion_end_every_login() {
    let engine = Engine::new().await;
    let tenant = engine.a.tenant.clone();
    let ana = user(&engine, "ana", Role::Owner).await;
    let rui = user(&engine, "rui", Role::Owner).await;
    let jwt = async |user: &User| {
        let login = LoggedIn { user: user.clone(), tenant: tenant.clone() };
        let token = engine.state.tokens.issue(&login, engine.state.commands.now()).ok().expect("signs");
        format!("Bearer {token}")
    };
    let (of_ana, of_rui) = (jwt(&ana).await, jwt(&rui).await);
    let (token_of_ana, token_of_rui) = (token(&engine, "ana").await, token(&engine, "rui").await);
    let status =
        async |bearer: &str| engine.ask("GET", "/v1/users", &[("authorization", bearer)], None).await.status.as_u16();
    assert_eq!((status(&of_ana).await, status(&of_rui).await), (200, 200));

    let logged_in = engine.world.commands.identify_user(tenant.id, ana.id, &ana.email, 0).expect("valid");
    let holds = |identity: &Identity| engine.world.commands.still_holds(identity).expect("readable");
    assert!(holds(&logged_in));
    let key = [("x-api-key", engine.a.key.as_str())];
    let path = format!("/v1/users/{}", ana.id);
    engine.ask("PATCH", &path, &key, Some(json!({"name": "Ana", "role": "owner"}))).await.expect(200);
    assert!(identify(&engine, &token_of_ana.text).is_ok() && status(&of_ana).await == 200, "the password is the same");
    engine.ask("PATCH", &path, &key, Some(json!({"password": "outra senha boa"}))).await.expect(200);
    assert_eq!((status(&of_ana).await, status(&of_rui).await), (401, 200));
    assert_eq!(identify(&engine, &token_of_ana.text), Err(ErrorCode::Unauthenticated));
    assert!(!holds(&logged_in));
    assert!(engine.world.commands.login_with_device(device("ana", PASSWORD), None).await.is_err());
    let again =
        engine.world.commands.login_with_device(device("ana", "outra senha boa"), None).await.expect("the new one");
    let renewed =
        engine.world.commands.login("ana@loja.com", "outra senha boa".to_owned(), None).await.expect("the new one");
    assert_eq!(status(&jwt(&renewed.user).await).await, 200);

    engine.ask("DELETE", &format!("/v1/users/{}", rui.id), &key, None).await.expect(204);
    assert_eq!((status(&of_rui).await, identify(&engine, &token_of_rui.text)), (401, Err(ErrorCode::Unauthenticated)));
    assert!(engine.world.store.access_tokens(rui.id).expect("readable").is_empty());
    assert!(identify(&engine, &again.text).is_ok());
    assert_eq!(engine.world.store.disk().verify(), Ok(Vec::new()));
}
