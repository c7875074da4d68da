//! The server's clock, put ahead: what ends by itself has ended.

use std::time::Duration;

use pombo_whatsapp_sim::faults::{MessageFault, Target};
use pombo_whatsapp_sim::peer::{Attachment, Endpoints, Error, Peer, post};
use pombo_whatsapp_sim::{Simulator, phone};
use serde_json::{Value, json};

use crate::stage::{ANA, BIA, get, phone_has, stage, two};

async fn clock(simulator: &Simulator, change: Value) -> Result<Value, Error> {
    post(&format!("{}/clock", simulator.admin_url()), &change).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_shown_held_and_put_ahead() {
    let simulator = stage(&[]).await;
    let held = clock(&simulator, json!({ "held": true })).await.expect("held");
    let ahead = clock(&simulator, json!({ "advanceSeconds": 3600 })).await.expect("put ahead");
    let (before, after) = (held["now"].as_f64().expect("a number"), ahead["now"].as_f64().expect("a number"));
    assert!((after - before - 3600.0).abs() < 0.001, "{before} {after}");
    assert_eq!((&ahead["held"], &ahead["advancedSeconds"]), (&json!(true), &json!(3600.0)));
    let (_, shown) = get(&format!("{}/clock", simulator.admin_url())).await;
    assert_eq!(serde_json::from_slice::<Value>(&shown).expect("JSON"), ahead);
    for wrong in [json!({ "advanceSeconds": -1 }), json!({ "advanceSeconds": 1e12 }), json!({ "seconds": 1 })] {
        let refused = clock(&simulator, wrong).await.expect_err("refused");
        assert!(matches!(refused, Error::Admin { status: 400, .. }), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_qr_that_nobody_scanned_in_time_leads_nowhere() {
    let simulator = stage(&[ANA]).await;
    let slow = Peer::new(Endpoints::from(&simulator), ANA);
    slow.connect().await.expect("connects");
    let qr = slow.wait_for("a QR code", |e| e.qr_codes.last().cloned()).await.expect("shown");
    clock(&simulator, json!({ "advanceSeconds": 180 })).await.expect("put ahead");
    let late = slow.admin(&format!("/phones/{ANA}/scan"), &json!({ "qr": qr })).await.expect_err("too late");
    assert!(matches!(late, Error::Admin { status: 404, .. }), "{late}");
    Peer::pair(Endpoints::from(&simulator), ANA).await.expect("a new one is good");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_late_comes_when_the_clock_says_so() {
    let (simulator, ana, bia) = two().await;
    clock(&simulator, json!({ "held": true })).await.expect("held");
    let an_hour = Duration::from_secs(3600);
    simulator.world().faults.on_messages(Target::Account(ANA.to_owned()), MessageFault::DelayAck(an_hour), 1);
    let id = ana.send_text(&bia.jid(), "sem pressa").await.expect("sent");
    bia.message(&id).await.expect("received");
    assert!(ana.seen(|e| e.acks.iter().all(|ack| ack.id != id)));
    clock(&simulator, json!({ "advanceSeconds": 3600 })).await.expect("put ahead");
    assert_eq!(ana.ack(&id).await.expect("acked").error, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_expire_after_thirty_days() {
    let (simulator, ana, bia) = two().await;
    let id = ana.send_media(&bia.jid(), vec![7; 4096], Attachment::Image { caption: None }).await.expect("sent");
    phone_has(&ana, BIA, &id).await;
    let inbox = phone::inbox(simulator.world(), BIA).expect("an account");
    let path = inbox.iter().find(|m| m.id == id).and_then(|m| m.media.clone()?.path).expect("a path");
    let url = format!("http://{}{path}", simulator.media_host());
    assert_eq!(get(&url).await.0, 200);
    clock(&simulator, json!({ "advanceSeconds": 30 * 86_400 })).await.expect("put ahead");
    assert_eq!(get(&url).await.0, 410);
    // What is sent then is good from then on, with a grant that is good, too.
    let id = ana.send_media(&bia.jid(), vec![8; 4096], Attachment::Image { caption: None }).await.expect("sent");
    bia.message(&id).await.expect("received");
}
