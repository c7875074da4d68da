//! Login, tokens and keys.

use super::*;

async fn login(site: &Site, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password}).to_string();
    site.call(Method::POST, "/sendsync/api/auth/login", &[("content-type", "application/json")], body).await
}

async fn connectors_with(site: &Site, headers: &[(&str, &str)]) -> Answer {
    site.call(Method::GET, "/sendsync/api/connectors", headers, ()).await
}

#[tokio::test]
async fn a_login_gives_a_token_that_works_until_it_expires() {
    let site = Site::new().await;
    let answer = login(&site, "Loja@Example.com", PASSWORD).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["user"]["email"], "loja@example.com");
    assert_eq!(body["user"]["companyId"], json!(site.loja.tenant.id));
    let bearer = format!("Bearer {}", body["access_token"].as_str().expect("a token"));
    assert_eq!(connectors_with(&site, &[("authorization", &bearer)]).await.status, 200);
    site.world.clock.jump(3_601_000);
    connectors_with(&site, &[("authorization", &bearer)]).await.error(401);
}

#[tokio::test]
async fn a_wrong_login_is_401_and_a_malformed_one_400() {
    let site = Site::new().await;
    let wrong = login(&site, "loja@example.com", "not the password").await.error(401);
    assert_eq!(wrong, login(&site, "nobody@example.com", PASSWORD).await.error(401), "tells nothing about who exists");
    for (body, problem) in [
        (r#"{"email":"loja@example.com","password":5}"#, "password: must be a text, not a number"),
        (r#"{"email":"loja@example.com"}"#, "password: is required"),
        (r#"{"email":null}"#, "email: is required; password: is required"),
        ("[]", "the body must be an object, not an array"),
        (r#"{"email":"#, "the body is not valid JSON (line 1, column 9)"),
    ] {
        let json = [("content-type", "application/json")];
        let answer = site.call(Method::POST, "/sendsync/api/auth/login", &json, body).await;
        assert_eq!(answer.error(400), problem);
    }
}

#[tokio::test]
async fn after_ten_failures_an_email_waits() {
    let site = Site::new().await;
    for _ in 0..10 {
        login(&site, "loja@example.com", "guess").await.error(401);
    }
    let refused = login(&site, "loja@example.com", PASSWORD).await;
    refused.error(429);
    assert_eq!(refused.headers["retry-after"], "900");
    assert_eq!(login(&site, "other@example.com", PASSWORD).await.status, 200);
    site.world.clock.jump(900_000);
    assert_eq!(login(&site, "loja@example.com", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn one_valid_credential_suffices_and_two_must_be_of_one_tenant() {
    let site = Site::new().await;
    let (key, others) = (site.loja.api_key.as_str(), site.other.api_key.as_str());
    let bearer = format!("Bearer {key}");
    let others_bearer = format!("Bearer {others}");
    for (headers, status) in [
        (vec![("x-api-key", key)], 200),
        (vec![("authorization", bearer.as_str())], 200),
        (vec![("authorization", bearer.as_str()), ("x-api-key", key)], 200),
        (vec![("authorization", "Bearer SEU_TOKEN"), ("x-api-key", key)], 200),
        (vec![("authorization", bearer.as_str()), ("x-api-key", "SUA_API_KEY")], 200),
        (vec![("authorization", others_bearer.as_str()), ("x-api-key", key)], 401),
        (vec![("authorization", "Bearer SEU_TOKEN"), ("x-api-key", "SUA_API_KEY")], 401),
        (vec![("authorization", "Basic bG9qYTpsb2ph")], 401),
        (vec![("x-api-key", "sk_live_0000000000000000000000000000000000000000")], 401),
        (vec![("x-api-key", "")], 401),
        (vec![], 401),
    ] {
        let answer = connectors_with(&site, &headers).await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}");
        if status == 401 {
            answer.error(401);
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
}

#[tokio::test]
async fn a_revoked_key_stops_working() {
    let site = Site::new().await;
    assert_eq!(site.get("/connectors").await.status, 200);
    let commands = &site.world.commands;
    let key = commands.list_api_keys(site.loja.tenant.index).expect("lists")[0].record.id;
    commands.revoke_api_key(site.loja.tenant.index, key).await.expect("revokes");
    site.get("/connectors").await.error(401);
}

/// Every operation but the login, with something of the other tenant's where it takes an id.
#[tokio::test]
async fn without_a_credential_every_operation_is_401_before_the_body_is_read() {
    let site = Site::new().await;
    for (method, path) in [
        (Method::GET, "/connectors"),
        (Method::POST, "/queue/send"),
        (Method::POST, "/queue/bulk"),
        (Method::GET, "/queue/list"),
        (Method::GET, "/queue/template"),
        (Method::POST, "/whatsapp/connect/x"),
        (Method::GET, "/whatsapp/status/x"),
        (Method::POST, "/whatsapp/disconnect/x"),
        (Method::GET, "/contacts"),
        (Method::POST, "/contacts"),
        (Method::PATCH, "/contacts/x/status"),
        (Method::DELETE, "/contacts/x"),
    ] {
        let answer = site.call(method, &format!("/sendsync/api{path}"), &[], "not JSON").await;
        answer.error(401);
    }
}

#[tokio::test]
async fn another_tenants_ids_are_not_found_by_any_operation() {
    let site = Site::new().await;
    let (theirs, key) = (site.other.connector.id, [("x-api-key", site.other.api_key.as_str())]);
    let contact = json!({"identifier": "x@y.com", "type": "EMAIL"}).to_string();
    let contact = site.call(Method::POST, "/sendsync/api/contacts", &key, contact).await.ok();
    let contact = contact["id"].as_str().expect("an id");
    let message = json!({"connectorId": theirs, "to": "a@b.com", "message": "m", "externalId": "theirs"});
    site.call(Method::POST, "/sendsync/api/queue/send", &key, message.to_string()).await.ok();

    site.post("/queue/send", message.clone()).await.error(404);
    let bulk = site.post("/queue/bulk", json!({"messages": [message, site.message()]})).await.ok();
    assert_eq!((&bulk["accepted"], &bulk["rejected"]), (&json!(1), &json!(1)));
    site.get(&format!("/queue/list?connectorId={theirs}")).await.error(404);
    for filter in ["externalId=theirs", "search=theirs", "search=b.com"] {
        assert_eq!(site.get(&format!("/queue/list?{filter}")).await.ok()["meta"]["total"], 0, "{filter}");
    }
    for (method, action) in [(Method::POST, "connect"), (Method::GET, "status"), (Method::POST, "disconnect")] {
        site.send_json(method, &format!("/whatsapp/{action}/{theirs}"), json!({})).await.error(404);
    }
    assert_eq!(site.get("/contacts").await.ok(), json!([]));
    let connectors = site.get("/connectors").await.ok();
    assert_eq!(connectors.as_array().map(Vec::len), Some(1));
    assert_eq!(connectors[0]["id"], json!(site.loja.connector.id));
    let status = json!({"active": false});
    site.send_json(Method::PATCH, &format!("/contacts/{contact}/status"), status).await.error(404);
    site.send_json(Method::DELETE, &format!("/contacts/{contact}"), json!({})).await.error(404);
    let still = site.call(Method::GET, "/sendsync/api/contacts", &key, ()).await.ok();
    assert_eq!((&still[0]["id"], &still[0]["active"]), (&json!(contact), &json!(true)));
}

#[tokio::test]
async fn whoever_has_no_credential_is_told_that_before_what_is_wrong_with_the_query() {
    let site = Site::new().await;
    let key = [("x-api-key", site.loja.api_key.as_str())];
    let document: Value = serde_json::from_str(&(FACADE.document)()).expect("JSON");
    let mut protected = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let path = path.replace("{connectorId}", "x").replace("{id}", "x");
            let method: Method = method.to_uppercase().parse().expect("a method");
            let path = format!("/sendsync/api{path}?nonsense=1");
            if operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty()) {
                site.call(method.clone(), &path, &[], ()).await.error(401);
                site.call(method.clone(), &path, &[("x-api-key", "sk_live_wrong")], ()).await.error(401);
                protected += 1;
            }
            assert_eq!(site.call(method.clone(), &path, &key, ()).await.status, 400, "{method} {path}");
        }
    }
    assert_eq!(protected, 12);
}

#[tokio::test]
async fn a_key_that_is_bound_to_a_connector_is_refused_by_every_operation() {
    let site = Site::new().await;
    let (tenant, connector) = (site.loja.tenant.index, site.loja.connector.id);
    let bound =
        site.world.commands.create_api_key(tenant, "its own", Some(connector)).await.expect("a live connector").key;
    let bearer = format!("Bearer {bound}");
    let both = [("x-api-key", bound.as_str()), ("authorization", bearer.as_str())];
    let beside_a_good_one = [("x-api-key", site.loja.api_key.as_str()), ("authorization", bearer.as_str())];
    let document: Value = serde_json::from_str(&(FACADE.document)()).expect("JSON");
    let mut refused = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            if operation["security"].as_array().is_none_or(Vec::is_empty) {
                continue;
            }
            assert!(operation["responses"].get("403").is_some(), "{method} {path} does not declare it");
            let method: Method = method.to_uppercase().parse().expect("a method");
            let id = connector.to_string();
            let path = format!("/sendsync/api{}", path.replace("{connectorId}", &id).replace("{id}", &id));
            for headers in [&both[..1], &both[1..], &both[..], &beside_a_good_one[..]] {
                for query in ["", "?nonsense=1"] {
                    let answer = site.call(method.clone(), &format!("{path}{query}"), headers, "not JSON").await;
                    let message = answer.error(403);
                    assert!(message.contains("may only be used with"), "{method} {path}: {message}");
                }
            }
            refused += 1;
        }
    }
    assert_eq!(refused, 12);
    assert_eq!(site.get("/queue/list").await.ok()["meta"]["total"], 0, "nothing was done");
}
