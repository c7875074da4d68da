//! The admin's HTTP: phones act, and what the server knows is shown.

use serde_json::{Value, json};

use pombo_whatsapp_sim::Simulator;
use pombo_whatsapp_sim::peer::{Error, Peer, post};

use crate::stage::{self, ANA, BIA, CAIO, stage, two};

async fn get(simulator: &Simulator, path: &str) -> Value {
    let (_, answer) = stage::get(&format!("{}{path}", simulator.admin_url())).await;
    serde_json::from_slice(&answer).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_registered_once_and_listed() {
    let simulator = stage(&[]).await;
    let accounts = format!("{}/accounts", simulator.admin_url());
    let made = post(&accounts, &json!({ "phone": ANA, "name": "Ana" })).await.expect("registered");
    assert_eq!(made["phone"], ANA);
    let again = post(&accounts, &json!({ "phone": ANA })).await.expect_err("taken");
    assert!(matches!(again, Error::Admin { status: 409, .. }), "{again}");
    let wrong = post(&accounts, &json!({ "phone": "abc" })).await.expect_err("no number");
    assert!(matches!(wrong, Error::Admin { status: 400, .. }), "{wrong}");
    let unknown = post(&accounts, &json!({ "phone": BIA, "colour": "red" })).await.expect_err("no such field");
    assert!(matches!(unknown, Error::Admin { status: 400, .. }), "{unknown}");
    let listed = get(&simulator, "/accounts").await;
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_eq!(listed[0]["name"], "Ana");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_sends_and_its_inbox_shows_what_came() {
    let (simulator, ana, bia) = two().await;
    // Bia's phone writes; Ana's companion decrypts it.
    let sent =
        bia.admin(&format!("/phones/{BIA}/send"), &json!({ "to": ANA, "text": "do celular" })).await.expect("sent");
    let got = ana.message(sent["id"].as_str().expect("an id")).await.expect("received");
    assert_eq!(got.text.as_deref(), Some("do celular"));
    // Her own companion has a copy.
    assert!(bia.message(&got.id).await.expect("copied").from_me);

    // Ana's companion answers; the phone decrypts it.
    let id = ana.send_text(&bia.jid(), "para o celular").await.expect("sent");
    ana.receipt(&id, "delivery").await.expect("delivered");
    let entry = inbox_entry(&simulator, &ana, BIA, &id).await;
    assert_eq!(entry["text"], "para o celular");
    assert_eq!(entry["kind"], "text");

    let read = json!({ "id": id });
    ana.admin(&format!("/phones/{BIA}/read"), &read).await.expect("read");
    ana.receipt(&id, "read").await.expect("told");
}

/// What the phone's inbox shows of a message.
async fn inbox_entry(simulator: &Simulator, sender: &Peer, phone: &str, id: &str) -> Value {
    stage::phone_has(sender, phone, id).await;
    let inbox = get(simulator, &format!("/phones/{phone}/inbox")).await;
    let entries = inbox.as_array().expect("a list");
    entries.iter().find(|m| m["id"] == id).cloned().expect("in the inbox")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_messages_and_counts_are_shown() {
    let (simulator, ana, bia) = two().await;
    let id = ana.send_text(&bia.jid(), "contada").await.expect("sent");
    bia.message(&id).await.expect("received");
    let devices = get(&simulator, "/devices").await;
    assert_eq!(devices.as_array().map(Vec::len), Some(2));
    assert!(devices.as_array().expect("a list").iter().all(|d| d["online"] == true));
    let messages = get(&simulator, "/messages").await;
    let entry = messages.as_array().expect("a list").iter().find(|m| m["id"] == id.as_str()).expect("in the ledger");
    assert_eq!(entry["count"], 1);
    let stats = get(&simulator, "/stats").await;
    assert_eq!((&stats["accounts"], &stats["online"]), (&json!(2), &json!(2)));
    let (_, page) = stage::get(&format!("{}/", simulator.admin_url())).await;
    let page = String::from_utf8(page).expect("text");
    assert!(page.contains("WhatsApp simulator"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_made_for_phones_reaches_companions() {
    let (simulator, ana, bia) = two().await;
    simulator
        .world()
        .register(pombo_whatsapp_sim::world::NewAccount { phone: CAIO.to_owned(), ..Default::default() })
        .expect("new");
    let made = ana
        .admin("/groups", &json!({ "by": CAIO, "subject": "Do celular", "members": [ANA, BIA] }))
        .await
        .expect("made");
    let group: whatsapp_rust::Jid = made["id"].as_str().expect("an id").parse().expect("a JID");
    ana.group_change(&group, "create").await.expect("told");
    let id = bia.send_text(&group, "oi, grupo").await.expect("sent");
    assert_eq!(ana.message(&id).await.expect("received").text.as_deref(), Some("oi, grupo"));
    assert_eq!(inbox_entry(&simulator, &bia, CAIO, &id).await["text"], "oi, grupo");

    let from_phone = ana
        .admin(&format!("/phones/{CAIO}/send"), &json!({ "to": group.to_string(), "text": "eu também" }))
        .await
        .expect("sent");
    let id = from_phone["id"].as_str().expect("an id").to_owned();
    for peer in [&ana, &bia] {
        assert_eq!(peer.message(&id).await.expect("received").text.as_deref(), Some("eu também"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_understood_says_what_to_change() {
    let simulator = stage(&[ANA]).await;
    let url = simulator.admin_url();
    let cases = [
        (format!("{url}/phones/{ANA}/scan"), json!({ "qr": "not a QR" }), 400, "QR"),
        (format!("{url}/phones/{BIA}/send"), json!({ "to": ANA, "text": "x" }), 404, BIA),
        (format!("{url}/phones/{ANA}/send"), json!({ "to": "nobody", "text": "x" }), 400, "nobody"),
        (format!("{url}/faults"), json!({ "kind": "earthquake" }), 400, "earthquake"),
        (format!("{url}/nowhere"), json!({}), 404, "/nowhere"),
    ];
    for (url, body, expected, word) in cases {
        match post(&url, &body).await.expect_err("refused") {
            Error::Admin { status, body, .. } => {
                assert_eq!(status, expected, "{url}: {body}");
                assert!(body.contains(word), "{url}: {body}");
            }
            other => panic!("{other}"),
        }
    }
}
