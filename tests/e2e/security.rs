//! Credentials: login, its limits, tokens, keys, and secrets that are shown once.

use anyhow::{Context, Result};
use pombo_tests::server::{Options, Server};
use pombo_tests::sse::Follower;
use pombo_tests::tenant::{SENDSYNC, Tenant, text_of};
use serde_json::json;

use crate::shared::{queueing_tenant, server};

#[test]
fn a_login_gives_a_token_that_works_everywhere() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let client = tenant.login(server()?)?;
    let listed = client.get(&format!("{SENDSYNC}/connectors"))?.expect_json(200)?;
    assert_eq!(listed[0]["id"], json!(connector));
    client.get("/v1/connectors")?.expect(200)?;
    let anonymous = server()?.client();
    let login = format!("{SENDSYNC}/auth/login");
    for (email, password) in
        [(tenant.email.as_str(), "wrong password"), ("nobody@nowhere.test", "a long enough password")]
    {
        let reply = anonymous.post(&login, &json!({"email": email, "password": password}))?.expect(401)?;
        assert_eq!(reply.json()?["statusCode"], 401);
    }
    // Upper case and spaces around the e-mail are the same login.
    let shouted = format!(" {} ", tenant.email.to_uppercase());
    let reply = anonymous.post(&login, &json!({"email": shouted, "password": tenant.password}))?;
    assert!((200..300).contains(&reply.status), "{reply:?}");
    Ok(())
}

#[test]
fn a_forged_or_foreign_token_is_refused() -> Result<()> {
    let (tenant, _) = queueing_tenant()?;
    let client = server()?.client();
    let login =
        client.post(&format!("{SENDSYNC}/auth/login"), &json!({"email": tenant.email, "password": tenant.password}))?;
    let token = text_of(&login.json()?, "access_token")?;
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "not a JWT");
    // {"alg":"none"} with the same claims, the signature cut off, and one flipped letter in the claims.
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
    let cut = format!("{}.{}.", parts[0], parts[1]);
    let middle = parts[1].len() / 2;
    let flipped: String = parts[1]
        .chars()
        .enumerate()
        .map(|(i, c)| if i == middle { if c == 'A' { 'B' } else { 'A' } } else { c })
        .collect();
    let flipped = format!("{}.{flipped}.{}", parts[0], parts[2]);
    for forged in [none, cut, flipped, String::new(), "a.b.c".to_owned()] {
        client.bearer(&forged).get(&format!("{SENDSYNC}/connectors"))?.expect(401)?;
    }
    // Another engine's token, for the same user's e-mail.
    let other = Server::start(Options::default())?;
    client.bearer(&token).get(&format!("{SENDSYNC}/connectors"))?.expect(200)?;
    other.client().bearer(&token).get(&format!("{SENDSYNC}/connectors"))?.expect(401)?;
    Ok(())
}

#[test]
fn too_many_failed_logins_are_stopped() -> Result<()> {
    let server = Server::start(Options::with("[security]\nlogin_failures_per_account = 5"))?;
    let demo = Tenant::demo(&server)?;
    let login = format!("{SENDSYNC}/auth/login");
    let mut statuses = Vec::new();
    for n in 0..12 {
        let wrong = json!({"email": demo.email, "password": format!("wrong password {n}")});
        statuses.push(server.client().post(&login, &wrong)?.status);
    }
    assert!(statuses[..5].iter().all(|s| *s == 401), "{statuses:?}");
    assert!(statuses[6..].iter().all(|s| *s == 429), "{statuses:?}");
    let right = json!({"email": demo.email, "password": demo.password});
    let reply = server.client().post(&login, &right)?.expect(429)?;
    assert!(reply.header("retry-after").is_some_and(|s| s.parse::<u32>().is_ok()), "{:?}", reply.headers);
    // Keys go on working.
    demo.client.get(&format!("{SENDSYNC}/connectors"))?.expect(200)?;
    Ok(())
}

#[test]
fn a_key_is_shown_once_and_ends_when_it_is_revoked() -> Result<()> {
    let (tenant, _) = queueing_tenant()?;
    let made = tenant.client.post("/v1/keys", &json!({"name": "second"}))?.expect_json(201)?;
    let (key, id) = (text_of(&made, "key")?, text_of(&made, "id")?);
    assert!(key.starts_with("sk_live_") && key.len() >= 40, "{} characters", key.len());
    let second = server()?.client().key(&key);
    second.get(&format!("{SENDSYNC}/connectors"))?.expect(200)?;
    // The documentation shows a key as a bearer token too.
    server()?.client().bearer(&key).get(&format!("{SENDSYNC}/connectors"))?.expect(200)?;
    let list = tenant.client.get("/v1/keys")?.expect(200)?;
    assert!(!list.text().contains(&key) && list.text().contains(&id), "{list:?}");
    tenant.client.post(&format!("/v1/keys/{id}/revoke"), &json!({}))?.expect(200)?;
    second.get(&format!("{SENDSYNC}/connectors"))?.expect(401)?;
    Ok(())
}

#[test]
fn no_secret_lies_open_in_the_data_folder_or_the_log() -> Result<()> {
    let server = server()?;
    let (tenant, _) = queueing_tenant()?;
    let secret = "Tr0ub4dor-and-3-Pferde";
    let mut config = pombo_tests::tenant::email_config(2525);
    config["username"] = json!("someone");
    config["password"] = json!(secret);
    tenant.connector("connector-email", &config)?;
    tenant.set_paused(&tenant.connector("connector-email", &config)?, true)?;
    let mut files = vec![server.data()];
    let mut searched = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path)?.flatten().map(|entry| entry.path()));
        } else if path.extension().is_none_or(|e| e != "cwasm") {
            let content = std::fs::read(&path).unwrap_or_default();
            for hidden in [secret.as_bytes(), tenant.password.as_bytes(), tenant.key.as_bytes()] {
                assert!(!content.windows(hidden.len()).any(|w| w == hidden), "{} holds a secret", path.display());
            }
            searched += 1;
        }
    }
    assert!(searched > 3, "only {searched} files were searched");
    let log = server.log()?;
    for hidden in [secret, &tenant.key, &tenant.password] {
        assert!(!log.contains(hidden), "a secret is in the log");
    }
    Ok(())
}

#[test]
fn no_address_or_text_of_a_message_is_in_the_log() -> Result<()> {
    let (tenant, connector) = crate::shared::mailing_tenant()?;
    for (n, fault) in ["550.0", "451.1", "drop-after.1"].iter().enumerate() {
        let to = format!("fault.{fault}.unloggable{n}@customers.test");
        let id = tenant.send_text(&connector, &to, "unspeakable words")?;
        tenant.wait_status(&id, &["SENT", "FAILED"])?;
    }
    let log = server()?.log()?;
    for hidden in ["unloggable", "unspeakable"] {
        let line = log.lines().find(|line| line.contains(hidden));
        assert!(line.is_none(), "{}", line.context("no line")?);
    }
    Ok(())
}

#[test]
fn people_have_roles_and_leave_with_everything_that_they_were_logged_in_with() -> Result<()> {
    let (tenant, _) = queueing_tenant()?;
    let own = tenant.client.get("/v1/users")?.expect_json(200)?["data"][0].clone();
    assert_eq!(own["role"], "owner");
    let path = format!("/v1/users/{}", text_of(&own, "id")?);
    tenant.client.patch(&path, &json!({"role": "viewer"}))?.expect(409)?;
    tenant.client.delete(&path)?.expect(409)?;
    let email = format!("second-{}", tenant.email);
    let made = json!({"email": email, "name": "Second", "password": tenant.password, "role": "agent"});
    let second = tenant.client.post("/v1/users", &made)?.expect_json(201)?;
    assert!(second["number"].as_u64() > own["number"].as_u64(), "{second}");
    let second_path = format!("/v1/users/{}", text_of(&second, "id")?);
    let promoted = tenant.client.patch(&second_path, &json!({"role": "owner"}))?.expect_json(200)?;
    assert_eq!(promoted["role"], "owner");
    // A new password and a deletion end the logins that there are.
    let login = tenant.login(server()?)?;
    login.get("/v1/users")?.expect(200)?;
    tenant.client.patch(&path, &json!({"password": "another long password"}))?.expect(200)?;
    login.get("/v1/users")?.expect(401)?;
    let changed = Tenant { email, ..tenant.clone() };
    let login = changed.login(server()?)?;
    login.get("/v1/users")?.expect(200)?;
    tenant.client.delete(&second_path)?.expect(204)?;
    login.get("/v1/users")?.expect(401)?;
    Ok(())
}

#[test]
fn events_are_followed_as_long_as_the_key_holds() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let made = tenant.client.post("/v1/keys", &json!({"name": "panel"}))?.expect_json(201)?;
    let (key, id) = (text_of(&made, "key")?, text_of(&made, "id")?);
    let mut stream = Follower::start(server()?, &key, "/v1/events/stream?cursor=0&type=plugin.changed", None)?;
    let _all = Follower::start(server()?, &key, &format!("/v1/events/stream?connectorId={connector}"), Some(0))?;
    tenant.client.post(&format!("/v1/keys/{id}/revoke"), &json!({}))?.expect(200)?;
    // Nothing comes but, within the time between two heartbeats, the end.
    let end = stream.next().err().context("an event came")?;
    assert!(end.to_string().contains("the stream ended"), "{end:?}");
    server()?.client().key(&key).get("/v1/events/stream")?.expect(401)?;
    Ok(())
}
