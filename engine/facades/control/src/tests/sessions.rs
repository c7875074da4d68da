//! Sessions, and how a plugin's refusals look to a caller.

use pombo_domain::model::ConnectorStatus;
use pombo_domain::ports::{Operation, OperationError, SessionState};
use pombo_testkit::qr;
use serde_json::json;

use super::support::{Engine, Refused};

const CODE: &str = "2@aGVsbG8gd29ybGQ,b25l,dHdv,dGhyZWU=";

#[tokio::test]
async fn a_session_is_opened_by_a_code_to_scan_that_a_decoder_reads() {
    let engine = Engine::new().await;
    let (id, index) = engine.chat(&engine.a).await;
    let connectors = &engine.world.connectors;
    connectors.set_session(index, SessionState::Unpaired("nobody opened one".to_owned()));
    engine.world.clock.stand();
    let path = format!("/v1/connectors/{id}/session");
    let before = engine.get(&engine.a, &path).await.expect(200);
    assert_eq!(before, json!({"status": "UNPAIRED", "reason": "nobody opened one"}));

    let (opened, ()) = tokio::join!(engine.post(&engine.a, &path, json!({})), async {
        connectors.was_asked.notified().await;
        connectors.set_session(index, SessionState::Connecting);
        tokio::task::yield_now().await;
        connectors.set_session(index, SessionState::QrCode(CODE.to_owned()));
    });
    let opened = opened.expect(200);
    assert_eq!((&opened["status"], &opened["qrText"]), (&json!("QR_CODE"), &json!(CODE)));
    assert_eq!(qr::decoded(opened["qrCode"].as_str().expect("a picture")), CODE);
    assert_eq!(connectors.asked(), [Operation::OpenSession(None)]);

    assert_eq!(engine.post(&engine.a, &path, json!({})).await.expect(200), opened, "it is shown, not opened again");
    assert_eq!(connectors.asked(), []);
    let connector = engine.get(&engine.a, &format!("/v1/connectors/{id}")).await.expect(200);
    assert_eq!(connector["session"], json!({"status": "QR_CODE"}), "the code is the session's operations' alone");

    connectors.set_session(index, SessionState::Connected);
    let connected = engine.get(&engine.a, &path).await.expect(200);
    let account = json!({"address": "5511900000001", "displayName": "Loja", "aliases": ["1@lid"]});
    assert_eq!(connected, json!({"status": "CONNECTED", "account": account}));
    if let Some(account) = &mut *connectors.account.lock() {
        (account.platform, account.business) = (Some("android".to_owned()), Some(false));
        account.protocol_version = Some("2.3000.1".to_owned());
    }
    let account = engine.get(&engine.a, &path).await.expect(200)["account"].take();
    assert_eq!((&account["platform"], &account["business"]), (&json!("android"), &json!(false)));
    assert_eq!(account["protocolVersion"], "2.3000.1");
    let key = [("x-api-key", engine.a.key.as_str())];
    assert_eq!(engine.ask("POST", &path, &key, None).await.expect(200)["status"], "CONNECTED", "a body is not needed");
    assert_eq!(connectors.asked(), []);
}

#[tokio::test]
async fn a_session_is_opened_by_a_code_to_type_and_the_wait_for_it_ends() {
    let engine = Engine::new().await;
    let (id, index) = engine.chat(&engine.a).await;
    let connectors = &engine.world.connectors;
    connectors.set_session(index, SessionState::LoggedOut("by the phone".to_owned()));
    let path = format!("/v1/connectors/{id}/session");
    let late = engine.post(&engine.a, &path, json!({"phone": "+5511900000001"})).await.expect(200);
    assert_eq!(late, json!({"status": "LOGGED_OUT", "reason": "by the phone"}), "what comes later is seen later");
    assert_eq!(connectors.asked(), [Operation::OpenSession(Some("5511900000001".to_owned()))]);
    connectors.was_asked.notified().await;

    engine.world.clock.stand();
    let (opened, ()) = tokio::join!(engine.post(&engine.a, &path, json!({"phone": "5511900000001"})), async {
        connectors.was_asked.notified().await;
        connectors.set_session(index, SessionState::PairingCode("ABCD-1234".to_owned()));
    });
    assert_eq!(opened.expect(200), json!({"status": "PAIRING_CODE", "pairingCode": "ABCD-1234"}));
    assert_eq!(engine.post(&engine.a, &path, json!({"phone": "x"})).await.error(400).1, ["phone"]);
    assert_eq!(engine.post(&engine.a, &path, json!({"phone": ""})).await.error(400).1, ["phone"]);
    assert_eq!(engine.post(&engine.a, &path, json!({"telefone": "1"})).await.error(400).1, ["telefone"]);
}

#[tokio::test]
async fn a_connector_that_still_starts_is_asked_when_it_waits_for_a_person() {
    let engine = Engine::new().await;
    let (id, index) = engine.chat(&engine.a).await;
    let connectors = &engine.world.connectors;
    connectors.set_session(index, SessionState::Connecting);
    engine.world.clock.stand();
    let path = format!("/v1/connectors/{id}/session");
    let (opened, ()) = tokio::join!(engine.post(&engine.a, &path, json!({})), async {
        while engine.world.clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(connectors.asked(), []);
        connectors.set_session(index, SessionState::Unpaired("nobody opened one".to_owned()));
        connectors.was_asked.notified().await;
        connectors.set_session(index, SessionState::QrCode(CODE.to_owned()));
    });
    assert_eq!(opened.expect(200)["qrText"], CODE);
    assert_eq!(connectors.asked(), [Operation::OpenSession(None)]);
}

#[tokio::test]
async fn a_session_is_closed_once_and_again_and_a_connector_without_sessions_has_none_to_open() {
    let engine = Engine::new().await;
    let (id, index) = engine.chat(&engine.a).await;
    let path = format!("/v1/connectors/{id}/session");
    let key = [("x-api-key", engine.a.key.as_str())];
    let close = || engine.ask("DELETE", &path, &key, None);
    close().await.expect(200);
    assert_eq!(engine.world.connectors.asked(), [Operation::CloseSession]);
    engine.world.connectors.set_session(index, SessionState::Unpaired("closed".to_owned()));
    assert_eq!(close().await.expect(200)["status"], "UNPAIRED");
    assert_eq!(engine.world.connectors.asked(), []);

    let email = format!("/v1/connectors/{}/session", engine.connector(&engine.a).await);
    assert_eq!(engine.post(&engine.a, &email, json!({})).await.error(400).0, "unsupported");
    assert_eq!(engine.ask("DELETE", &email, &key, None).await.error(400).0, "unsupported");
    assert_eq!(engine.get(&engine.a, &email).await.expect(200)["status"], "CONNECTED");
}

#[tokio::test]
async fn each_refusal_of_a_plugin_has_its_own_answer() {
    let engine = Engine::new().await;
    let (id, _) = engine.chat(&engine.a).await;
    let why = || "why".to_owned();
    for (refusal, status, code) in [
        (OperationError::Unsupported(why()), 400, "unsupported"),
        (OperationError::Invalid(why()), 400, "invalid"),
        (OperationError::NotFound(why()), 404, "not_found"),
        (OperationError::Refused(why()), 409, "refused"),
        (OperationError::Disconnected(why()), 409, "disconnected"),
        (OperationError::Throttled { retry_after_ms: Some(7_500), reason: why() }, 429, "rate_limited"),
        (OperationError::Unknown(why()), 502, "unknown_outcome"),
        (OperationError::Failed(why()), 502, "channel_failed"),
    ] {
        engine.world.connectors.answer(Err(refusal));
        let answer = engine.get(&engine.a, &format!("/v1/connectors/{id}/groups")).await;
        let retry_after = answer.headers.get("retry-after").map(|value| value.to_str().expect("ASCII").to_owned());
        assert_eq!(retry_after.as_deref(), (status == 429).then_some("8"));
        assert!(answer.json()["error"]["message"].as_str().is_some_and(|message| message.contains("why")));
        assert_eq!(answer.error(status).0, code);
    }
}

#[tokio::test]
async fn a_new_connector_has_its_plugins_pace_unless_another_is_given() {
    let engine = Engine::new().await;
    let (id, index) = engine.chat(&engine.a).await;
    let made = engine.get(&engine.a, &format!("/v1/connectors/{id}")).await.expect(200);
    assert_eq!((&made["pace"]["delayMaxMs"], &made["pace"]["warmUp"]["growthPercent"]), (&json!(9000), &json!(40)));
    assert_eq!(made["pace"]["health"]["pauseBelow"], 35);
    let chosen = json!({"name": "L", "plugin": "connector-chat", "config": {}, "pace": {"dailyCap": 5}});
    let chosen = engine.post(&engine.a, "/v1/connectors", chosen).await.expect(201);
    assert_eq!((&chosen["pace"]["delayMaxMs"], &chosen["pace"]["dailyCap"]), (&json!(0), &json!(5)));
    let stored = engine.state.commands.get_connector(engine.a.tenant.index, id.parse().expect("a UUID"));
    let stored = stored.expect("it is there").connector;
    assert_eq!((stored.index, stored.status), (index, ConnectorStatus::Active));
    let plugins = engine.get(&engine.a, "/v1/plugins").await.expect(200);
    assert_eq!(plugins["data"][0]["pace"]["delayMinMs"], 2000, "the list says it beforehand");
}

#[tokio::test]
async fn a_plugin_is_reloaded_by_the_operator_alone() {
    let engine = Engine::new().await;
    let operator = [("authorization", concat!("Bearer ", "op_the_operator_of_the_tests"))];
    let reload = |name: &str| format!("/v1/plugins/{name}/reload");
    let done = engine.ask("POST", &reload("connector-chat"), &operator, None).await.expect(200);
    assert_eq!((&done["name"], &done["version"]), (&json!("connector-chat"), &json!("0.2.0")));
    assert_eq!(engine.ask("POST", &reload("nothing"), &operator, None).await.error(404).0, "not_found");
    *engine.world.connectors.fails_to_reload.lock() = Some("no component".to_owned());
    let refused = engine.ask("POST", &reload("connector-chat"), &operator, None).await;
    assert!(refused.json()["error"]["message"].as_str().is_some_and(|message| message.contains("no component")));
    assert_eq!(refused.error(409).0, "conflict");
    let tenant = format!("Bearer {}", engine.a.key);
    let tenant = [("authorization", tenant.as_str())];
    assert_eq!(engine.ask("POST", &reload("connector-chat"), &tenant, None).await.error(403).0, "forbidden");
}
