//! Sections "Instâncias" and "API da Instância".

use pombo_domain::model::HealthLevel;
use pombo_domain::model::health::{HealthHour, HealthState};
use pombo_domain::model::pace::HealthView;
use pombo_domain::ports::{Batch, Change, Operation, OperationError, Store};
use pombo_testkit::qr::decoded;

use super::said::{contact, receive, says, says_in_group, send};
use super::shape::like;
use super::*;

/// Counts that an instance was active in this hour, as `account`.
async fn active(site: &Site, hour: i64, account: &str) {
    let hours = vec![HealthHour { hour, sent: 1, ..HealthHour::default() }];
    let state = HealthState { hours, account: Some(account.to_owned()), ..HealthState::default() };
    let change = Change::Health(site.instance.index, state);
    site.world.store.commit(Batch::of(vec![change])).await.expect("commits");
}

#[tokio::test]
async fn instances_are_listed_as_documented() {
    let site = Site::new().await;
    active(&site, NOW.0 / 3_600_000, "5511999999999").await;
    let example = json!({
        "success": true,
        "data": {
            "instances": [{
                "uuid": "550e8400-e29b-41d4-a716-446655440000",
                "phone_number": "5511999999999",
                "status": "connected",
                "connected": true,
                "messages_sent_today": 50,
                "remaining_quota": 450,
                "can_send_messages": true,
                "last_activity_at": "2025-01-15T10:30:00Z"
            }]
        }
    });
    let listed = site.get("/instances?status=connected").await.expect(200);
    like(&listed, &example, &["data.instances[].id", "data.instances[].name"], &[]);
    let instance = &listed["data"]["instances"][0];
    assert_eq!(
        *instance,
        json!({
            "uuid": site.instance.id, "id": site.instance.index.0, "name": "WhatsApp", "phone_number": "5511900000001",
            "status": "connected", "connected": true, "messages_sent_today": 50, "remaining_quota": 450,
            "can_send_messages": true, "last_activity_at": "2025-01-15T10:00:00Z"
        })
    );
    let one = site.get(&site.at("")).await.expect(200);
    assert_eq!(one, json!({"success": true, "data": {"instance": instance}}));
    assert_eq!(site.get(&format!("/instances/{}", site.instance.index.0)).await.expect(200), one);
    // Another tenant has none.
    let theirs = site.ask(&site.other, "GET", "/instances", None).await.expect(200);
    assert_eq!(theirs, json!({"success": true, "data": {"instances": []}}));
}

#[tokio::test]
async fn what_was_last_said_is_activity_at_once_in_groups_too() {
    let site = Site::new().await;
    active(&site, NOW.0 / 3_600_000, "5511999999999").await;
    site.world.clock.jump(125_000);
    let said = says_in_group("120363000000000000@g.us", "5511900000009", "R1", "oi");
    receive(&site, &site.instance, said).await;
    let at = json!("2025-01-15T10:32:05Z");
    assert_eq!(site.get("/instances").await.expect(200)["data"]["instances"][0]["last_activity_at"], at);
    assert_eq!(site.get(&site.at("")).await.expect(200)["data"]["instance"]["last_activity_at"], at);
    assert_eq!(site.get(&site.at("/status")).await.expect(200)["data"]["last_activity_at"], at);
}

#[tokio::test]
async fn the_status_says_how_the_session_stands_and_filters_the_list() {
    let site = Site::new().await;
    active(&site, NOW.0 / 3_600_000 - 1, "5511999999999").await;
    let why = || "why".to_owned();
    for (state, status) in [
        (SessionState::Connected, "connected"),
        (SessionState::QrCode(CODE.to_owned()), "qr_ready"),
        (SessionState::PairingCode("ABCD-1234".to_owned()), "pending"),
        (SessionState::Connecting, "pending"),
        (SessionState::Stopped, "disconnected"),
        (SessionState::Disconnected(why()), "disconnected"),
        (SessionState::Unpaired(why()), "disconnected"),
        (SessionState::LoggedOut(why()), "disconnected"),
        (SessionState::Failing(why()), "disconnected"),
    ] {
        site.session(state);
        for filter in ["connected", "disconnected", "qr_ready", "pending"] {
            let listed = site.get(&format!("/instances?status={filter}")).await.expect(200);
            let found = listed["data"]["instances"].as_array().map(Vec::len);
            assert_eq!(found, Some(usize::from(filter == status)), "{filter} {status}");
        }
        let told = site.get(&site.at("/status?realtime=1")).await.expect(200);
        let connected = status == "connected";
        // Not connected, the account that it had is still shown.
        let phone = if connected { "5511900000001" } else { "5511999999999" };
        let at = if connected { "2025-01-15T10:30:00Z" } else { "2025-01-15T09:00:00Z" };
        let data = json!({
            "uuid": site.instance.id, "status": status, "connected": connected, "phone_number": phone,
            "last_activity_at": at, "realtime": true
        });
        assert_eq!(told, json!({"success": true, "data": data}));
    }
    assert_eq!(site.get("/instances?status=open").await.error(422), "VALIDATION_ERROR");
    assert_eq!(site.get(&site.at("/status?realtime=maybe")).await.error(422), "VALIDATION_ERROR");
}

#[tokio::test]
async fn a_status_in_real_time_asks_the_channel_where_the_plugin_can() {
    let without = Site::new().await;
    without.get(&without.at("/status?realtime=true")).await.expect(200);
    assert!(without.world.connectors.asked().is_empty(), "its plugin cannot ask");
    let site = Site::with_feature("check").await;
    let status = async |query: &str| site.get(&site.at(&format!("/status{query}"))).await;
    for query in ["", "?realtime=0"] {
        status(query).await.expect(200);
    }
    assert!(site.world.connectors.asked().is_empty(), "nobody wanted it");
    for (answer, connected) in [
        (Ok(pombo_domain::ports::Answer::Done), true),
        (Err(OperationError::Disconnected("gone".to_owned())), false),
        (Err(OperationError::Failed("odd".to_owned())), true),
    ] {
        site.world.connectors.answer(answer);
        let told = status("?realtime=1").await.expect(200);
        assert_eq!(told["data"]["connected"], connected, "{told}");
        assert_eq!(site.world.connectors.asked(), [Operation::Check]);
    }
}

#[tokio::test]
async fn an_instance_may_send_while_nothing_holds_it() {
    let site = Site::new().await;
    let can = || async { site.get(&site.at("")).await.expect(200)["data"]["instance"].clone() };
    assert_eq!(can().await["can_send_messages"], true);
    site.pace.change(|view| view.sent_today = 501);
    let full = can().await;
    assert_eq!((&full["remaining_quota"], &full["can_send_messages"]), (&json!(0), &json!(false)));
    site.pace.change(|view| view.cap_today = None);
    let free = can().await;
    assert_eq!((&free["remaining_quota"], &free["can_send_messages"]), (&Value::Null, &json!(true)));
    site.pace.change(|view| view.health = Some(HealthView { level: HealthLevel::Paused, ..HealthView::default() }));
    assert_eq!(can().await["can_send_messages"], false);
    site.pace.change(|view| view.health = None);
    site.world.commands.pause_connector(site.loja.tenant.index, site.instance.id, None).await.expect("pauses");
    assert_eq!(can().await["can_send_messages"], false);
}

#[tokio::test]
async fn a_qr_code_is_answered_as_documented() {
    let site = Site::new().await;
    site.session(SessionState::Unpaired("nobody opened one".to_owned()));
    site.world.connectors.opens_with(vec![SessionState::Connecting, SessionState::QrCode(CODE.to_owned())]);
    let shown = site.get(&site.at("/qr")).await.expect(200);
    let example = json!({
        "success": true,
        "data": {
            "status": "qr_ready",
            "qr_code": "data:image/png;base64,...",
            "qr_code_text": "2@...",
            "qr_generated_at": "2025-01-15T10:30:00Z",
            "qr_expired": false,
            "message": "QR code ready to scan"
        }
    });
    like(&shown, &example, &[], &[]);
    let data = &shown["data"];
    assert_eq!(decoded(data["qr_code"].as_str().expect("a data URL")), CODE);
    assert_eq!((&data["qr_code_text"], &data["qr_expired"]), (&json!(CODE), &json!(false)));
    assert_eq!((&data["status"], &data["message"]), (&json!("qr_ready"), &json!("QR code ready to scan")));
    assert_eq!(data["qr_generated_at"], "2025-01-15T10:30:00Z");
    // Ten seconds later it is still the same code, of the same instant.
    site.world.clock.jump(10_000);
    assert_eq!(site.get(&site.at("/qr")).await.expect(200), shown);
    assert_eq!(site.world.connectors.asked(), [Operation::OpenSession(None)], "opened once");

    site.session(SessionState::Connected);
    let connected = site.get(&site.at("/qr")).await.expect(200)["data"].clone();
    assert_eq!(
        (&connected["status"], &connected["qr_code"], &connected["qr_code_text"]),
        (&json!("connected"), &Value::Null, &Value::Null)
    );
    assert_eq!((&connected["qr_generated_at"], &connected["qr_expired"]), (&Value::Null, &json!(false)));

    // WhatsApp does not answer.
    site.world.connectors.answer(Err(OperationError::Unknown("no answer".to_owned())));
    site.session(SessionState::Unpaired("over".to_owned()));
    assert_eq!(site.get(&site.at("/qr")).await.error(502), "OUTCOME_UNKNOWN");
}

#[tokio::test]
async fn nobody_scanned_in_time() {
    let site = Site::new().await;
    site.session(SessionState::Unpaired("nobody opened one".to_owned()));
    let path = site.at("/qr");
    let asking = site.get(&path);
    let (shown, ()) = tokio::join!(asking, site.world.clock.advance(21_000));
    let data = &shown.expect(200)["data"];
    assert_eq!((&data["status"], &data["qr_expired"]), (&json!("disconnected"), &json!(true)));
}

#[tokio::test]
async fn an_instance_is_disconnected_and_connected_again() {
    let site = Site::new().await;
    let told = site.ask(&site.loja, "POST", &site.at("/disconnect"), None).await.expect(200);
    assert_eq!((&told["message"], &told["data"]["status"]), (&json!("Instance disconnected"), &json!("disconnected")));
    assert_eq!(site.world.connectors.asked(), [Operation::CloseSession]);

    // Without a session, a code has to be scanned.
    site.world.connectors.opens_with(vec![SessionState::QrCode(CODE.to_owned())]);
    let told = site.ask(&site.loja, "POST", &site.at("/reconnect"), None).await.expect(200);
    assert_eq!(
        (&told["message"], &told["data"]["status"]),
        (&json!("Scan the QR code to connect the instance"), &json!("qr_ready"))
    );
    assert_eq!(site.world.connectors.asked(), [Operation::OpenSession(None)]);

    // One that is there stays as it is, and one that broke is started again without a code.
    site.session(SessionState::Connected);
    let started = || site.world.connectors.started.lock().len();
    site.world.connectors.started.lock().clear();
    let told = site.ask(&site.loja, "POST", &site.at("/reconnect"), None).await.expect(200);
    assert_eq!((&told["message"], started()), (&json!("Instance connected"), 0));
    site.session(SessionState::Disconnected("no network".to_owned()));
    let told = site.ask(&site.loja, "POST", &site.at("/reconnect"), None).await.expect(200);
    assert_eq!((&told["success"], started()), (&json!(true), 1));
    assert!(site.world.connectors.asked().is_empty(), "nobody has to scan anything");
}

#[tokio::test]
async fn the_instance_api_answers_flat_as_documented() {
    let site = Site::new().await;
    let status = site.get("/status").await.expect(200);
    let example = json!({
        "success": true, "status": "connected", "phone": "5511999999999", "name": "Meu WhatsApp", "platform": "android"
    });
    like(&status, &example, &[], &["platform"]);
    assert_eq!(
        status,
        json!({"success": true, "status": "connected", "phone": "5511900000001", "name": "Loja", "platform": null})
    );
    if let Some(account) = &mut *site.world.connectors.account.lock() {
        account.platform = Some("android".to_owned());
    }
    assert_eq!(site.get("/status").await.expect(200)["platform"], "android");

    assert_eq!(site.get("/qr").await.error(400), "QR_NOT_AVAILABLE");
    site.session(SessionState::QrCode(CODE.to_owned()));
    let shown = site.get("/qr").await.expect(200);
    like(&shown, &json!({"success": true, "qr": "...", "status": "qr_ready"}), &["qr_image"], &[]);
    assert_eq!((&shown["qr"], &shown["status"]), (&json!(CODE), &json!("qr_ready")));
    assert_eq!(decoded(shown["qr_image"].as_str().expect("a data URL")), CODE);
    assert!(site.world.connectors.asked().is_empty(), "it opens nothing");

    let health = site.call("GET", "/zapini/health", &[], ()).await.expect(200);
    like(&health, &json!({"status": "ok", "uptime": 123456, "timestamp": "2025-12-15T14:30:00.000Z"}), &[], &[]);
    assert_eq!(health, json!({"status": "ok", "uptime": 123456, "timestamp": "2025-01-15T10:30:00.000Z"}));
    // A tenant without an instance has none to answer for.
    assert_eq!(site.ask(&site.other, "GET", "/status", None).await.error(404), "NOT_FOUND");
}

#[tokio::test]
async fn an_instance_counts_what_it_does() {
    let site = Site::new().await;
    let second = site.another(&site.loja).await;
    // A Wednesday; the day behind it is of the same week.
    receive(&site, &site.instance, says("5511999999999", "R0", "oi")).await;
    receive(&site, &site.instance, says("5511988888888", "R1", "oi")).await;
    send(&site, &site.instance, "key:1", "5511999999999", "Bom dia", "3EB0").await;
    site.world.clock.jump(24 * 3_600_000);
    for id in ["R2", "R3"] {
        receive(&site, &site.instance, says("5511999999999", id, "oi")).await;
    }
    receive(&site, &site.instance, says("5511977777777", "R4", "oi")).await;
    send(&site, &site.instance, "key:1", "5511999999999", "Boa tarde", "3EB1").await;
    receive(&site, &second, says("5511999999999", "R5", "oi")).await;
    contact(&site, "5511966666666", "Ana").await;
    let example = json!({
        "success": true,
        "data": {
            "messages_sent_today": 50,
            "remaining_quota": 450,
            "daily_limit": 500,
            "messages_this_week": 200,
            "messages_this_month": 800,
            "messages_received_today": 30,
            "conversations_count": 150,
            "contacts_count": 500
        }
    });
    let stats = site.get(&site.at("/stats")).await.expect(200);
    like(&stats, &example, &[], &[]);
    assert_eq!(
        stats["data"],
        json!({
            "messages_sent_today": 50, "remaining_quota": 450, "daily_limit": 500, "messages_this_week": 2,
            "messages_this_month": 2, "messages_received_today": 3, "conversations_count": 3, "contacts_count": 0
        })
    );
    site.pace.change(|pace| pace.cap_today = None);
    let stats = site.get(&site.at("/stats")).await.expect(200)["data"].clone();
    assert_eq!((&stats["remaining_quota"], &stats["daily_limit"]), (&json!(null), &json!(null)));
    assert_eq!(site.ask(&site.other, "GET", &site.at("/stats"), None).await.error(404), "NOT_FOUND");
}
