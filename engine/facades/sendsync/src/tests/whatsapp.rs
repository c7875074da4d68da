//! Sessions of WhatsApp connectors, and every queue operation with one.

use poem_openapi::types::ToJSON;
use pombo_domain::model::ContactType;
use pombo_domain::ports::{Batch, Change, Operation, OperationError, Store};
use pombo_testkit::qr;

use super::*;

const CODE: &str = "2@aGVsbG8gd29ybGQ,b25l,dHdv,dGhyZWU=";

fn unpaired() -> SessionState {
    SessionState::Unpaired("nobody opened one".to_owned())
}

#[tokio::test]
async fn connecting_answers_a_code_that_a_decoder_reads_and_then_the_phone() {
    let site = Site::new().await;
    let connectors = &site.world.connectors;
    let connector = site.whatsapp(unpaired()).await;
    let path = |action: &str| format!("/whatsapp/{action}/{}", connector.id);
    assert_eq!(site.get(&path("status")).await.ok(), json!({"status": "DISCONNECTED"}));

    connectors.opens_with(vec![SessionState::Connecting, SessionState::QrCode(CODE.to_owned())]);
    let shown = site.post(&path("connect"), json!({})).await.ok();
    assert_eq!(shown["status"], "QR_CODE");
    assert_eq!(qr::decoded(shown["qrCode"].as_str().expect("a data URL")), CODE);
    assert_eq!(site.get(&path("status")).await.ok(), json!({"status": "QR_CODE"}));
    connectors.set_session(connector.index, SessionState::QrCode("2@later".to_owned()));
    let later = site.post(&path("connect"), json!({})).await.ok();
    assert_eq!(qr::decoded(later["qrCode"].as_str().expect("a data URL")), "2@later");
    assert_eq!(connectors.asked(), [Operation::OpenSession(None)], "asked once");

    connectors.set_session(connector.index, SessionState::Connected);
    let connected = json!({"status": "CONNECTED", "phone": "5511900000001"});
    assert_eq!(site.get(&path("status")).await.ok(), connected);
    assert_eq!(site.post(&path("connect"), json!({})).await.ok(), connected);

    for _ in 0..2 {
        assert_eq!(site.post(&path("disconnect"), json!({})).await.ok(), json!({"status": "DISCONNECTED"}));
    }
    assert_eq!(connectors.asked(), [Operation::CloseSession], "the second one has nothing to do");
    assert_eq!(site.get(&path("status")).await.ok(), json!({"status": "DISCONNECTED"}));
}

#[tokio::test]
async fn a_code_to_type_gives_way_to_one_to_scan() {
    let site = Site::new().await;
    let state = SessionState::PairingCode("ABCD-1234".to_owned());
    let connector = site.whatsapp(state).await;
    let status = format!("/whatsapp/status/{}", connector.id);
    assert_eq!(site.get(&status).await.ok(), json!({"status": "DISCONNECTED"}));
    site.world.connectors.opens_with(vec![SessionState::QrCode(CODE.to_owned())]);
    let shown = site.post(&format!("/whatsapp/connect/{}", connector.id), json!({})).await.ok();
    assert_eq!(shown["status"], "QR_CODE");
}

#[tokio::test]
async fn a_connector_that_can_not_say_what_became_of_it_says_so() {
    let site = Site::new().await;
    let connector = site.whatsapp(unpaired()).await;
    for (error, status) in [
        (OperationError::Unknown("no answer".to_owned()), 502),
        (OperationError::Disconnected("no network".to_owned()), 409),
        (OperationError::Throttled { retry_after_ms: Some(1), reason: "slow down".to_owned() }, 429),
    ] {
        for action in ["connect", "disconnect"] {
            // A session that is there is one that can be closed.
            let state = if action == "connect" { unpaired() } else { SessionState::Connected };
            site.world.connectors.set_session(connector.index, state);
            site.world.connectors.answer(Err(error.clone()));
            site.post(&format!("/whatsapp/{action}/{}", connector.id), json!({})).await.error(status);
        }
    }
}

#[tokio::test]
async fn the_list_of_connectors_shows_how_the_session_stands() {
    let site = Site::new().await;
    let connector = site.whatsapp(unpaired()).await;
    for (state, status) in [
        (unpaired(), "DISCONNECTED"),
        (SessionState::Connecting, "DISCONNECTED"),
        (SessionState::QrCode(CODE.to_owned()), "DISCONNECTED"),
        (SessionState::LoggedOut("by the phone".to_owned()), "DISCONNECTED"),
        (SessionState::Connected, "ACTIVE"),
    ] {
        site.world.connectors.set_session(connector.index, state);
        let listed = site.get("/connectors").await.ok();
        assert_eq!((&listed[1]["type"], &listed[1]["status"]), (&json!("WHATSAPP"), &json!(status)));
    }
    site.world.commands.pause_connector(site.loja.tenant.index, connector.id, None).await.expect("pauses");
    assert_eq!(site.get("/connectors").await.ok()[1]["status"], "PAUSED");
}

#[tokio::test]
async fn messages_to_phones_are_checked_queued_and_listed_whatever_the_session() {
    let site = Site::new().await;
    let connector = site.whatsapp(unpaired()).await;
    let message = |to: &str| json!({"connectorId": connector.id, "to": to, "message": "Olá *Cliente*"});
    let sent = site.post("/queue/send", message("5511999998888")).await;
    assert_eq!(sent.status, 201);
    assert_eq!(sent.json()["to"], "5511999998888");
    for to in ["+5511999998888", "cliente@exemplo.com", "123", "55 11 99999-8888"] {
        assert!(site.post("/queue/send", message(to)).await.error(400).starts_with("to: "), "{to}");
    }
    let mixed = json!({"messages": [message("5511999998888"), message("x"), site.message()]});
    let answer = site.post("/queue/bulk", mixed).await.ok();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(2), &json!(1)));

    let form = "--B\r\nContent-Disposition: form-data; name=\"connectorId\"\r\n\r\nID\r\n\
                --B\r\nContent-Disposition: form-data; name=\"to\"\r\n\r\n5511999998888\r\n\
                --B\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\nSegue\r\n\
                --B\r\nContent-Disposition: form-data; name=\"attachments\"; filename=\"a.pdf\"\r\n\
                Content-Type: application/pdf\r\n\r\n%PDF\r\n--B--\r\n";
    let form = form.replace("\r\n\r\nID\r\n", &format!("\r\n\r\n{}\r\n", connector.id));
    let with_file = site.send_text(Method::POST, "/queue/send", "multipart/form-data; boundary=B", form).await;
    assert_eq!(with_file.status, 201, "{}", String::from_utf8_lossy(&with_file.body));
    let listed = site.get(&format!("/queue/list?connectorId={}", connector.id)).await.ok();
    assert_eq!(listed["meta"]["total"], 3);
    assert_eq!(listed["data"][0]["attachments"][0]["originalFileName"], "a.pdf");
}

#[tokio::test]
async fn a_contact_is_found_by_any_of_its_addresses() {
    let site = Site::new().await;
    let connector = site.whatsapp(SessionState::Connected).await;
    let save = |identifier: &str, name: &str| {
        site.post("/contacts", json!({"identifier": identifier, "type": "WHATSAPP", "name": name}))
    };
    let made = save("5511999998888", "Ana").await.ok();
    let alias = Change::ContactAlias {
        tenant: site.loja.tenant.index,
        kind: ContactType::WhatsApp,
        alias: "551199998888".to_owned(),
        identifier: "5511999998888".to_owned(),
    };
    site.world.store.commit(Batch::of(vec![alias])).await.expect("commits");
    let renamed = save("551199998888", "Ana Sá").await;
    assert_eq!(renamed.status, 200);
    assert_eq!((&renamed.json()["id"], &renamed.json()["name"]), (&made["id"], &json!("Ana Sá")));
    let send = |to: &str| {
        site.post("/queue/send", json!({"connectorId": connector.id, "to": to, "message": "Oi", "contactName": "A"}))
    };
    assert_eq!(send("551199998888").await.status, 201);
    assert_eq!(site.get("/contacts").await.ok().as_array().map(Vec::len), Some(1), "no second contact is made");
    let path = format!("/contacts/{}/status", made["id"].as_str().expect("an id"));
    site.send_json(Method::PATCH, &path, json!({"active": false})).await.ok();
    for to in ["5511999998888", "551199998888"] {
        assert!(send(to).await.error(400).contains("inactive"), "{to}");
    }
}

/// Serde writes the answers, the framework's derive declares them.
#[test]
fn what_is_written_is_what_is_declared() {
    use super::super::whatsapp::{WhatsappSession, WhatsappStatus};
    let full = || Some("x".to_owned());
    for session in [
        WhatsappSession { status: WhatsappStatus::QrCode, qr_code: full(), phone: full() },
        WhatsappSession { status: WhatsappStatus::Disconnected, qr_code: None, phone: None },
    ] {
        assert_eq!(serde_json::to_value(&session).ok(), session.to_json());
    }
}
