//! What goes wrong on demand, and that clients live through it.

use std::time::Duration;

use pombo_whatsapp_sim::faults::{MessageFault, Target};
use pombo_whatsapp_sim::peer::Kind;
use pombo_whatsapp_sim::{DeviceId, Simulator, phone};
use serde_json::json;

use crate::stage::{ANA, BIA, phone_has, two};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_socket_comes_back_by_itself() {
    let (_simulator, ana, bia) = two().await;
    let logins = bia.seen(|e| e.logins);
    let dropped = ana.admin("/faults", &json!({ "kind": "drop", "on": { "phone": BIA } })).await.expect("dropped");
    assert_eq!(dropped["count"], 1);
    bia.wait_for("a login by itself", |e| (e.logins > logins).then_some(())).await.expect("came back");
    let id = ana.send_text(&bia.jid(), "de novo").await.expect("sent");
    assert_eq!(bia.message(&id).await.expect("received").text.as_deref(), Some("de novo"));
    assert_eq!(bia.seen(|e| (e.losses, e.qr_codes.len())), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_error_is_no_logout() {
    let (_simulator, ana, bia) = two().await;
    for code in [515, 503] {
        let logins = bia.seen(|e| e.logins);
        let fault = json!({ "kind": "streamError", "on": { "phone": BIA, "device": 1 }, "code": code });
        assert_eq!(ana.admin("/faults", &fault).await.expect("ended")["count"], 1);
        bia.wait_for("a login by itself", |e| (e.logins > logins).then_some(())).await.expect("came back");
    }
    assert_eq!(bia.seen(|e| e.logged_out.clone()), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_is_said_and_is_final() {
    let (simulator, ana, bia) = two().await;
    let fault = json!({ "kind": "logout", "on": { "phone": BIA, "device": 1 } });
    assert_eq!(ana.admin("/faults", &fault).await.expect("logged out")["count"], 1);
    let reason = bia.wait_for("the logout", |e| e.logged_out.clone()).await.expect("told");
    assert_eq!(reason, "LoggedOut");
    assert_eq!(simulator.world().devices(BIA).len(), 1, "only the phone is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_message_says_so_and_arrives_nowhere() {
    let (simulator, ana, bia) = two().await;
    simulator.world().faults.on_messages(Target::Account(ANA.to_owned()), MessageFault::Nack(463), 1);
    let id = ana.send_text_as(&bia.jid(), "recusada", "3EB0REFUSED").await.unwrap_or("3EB0REFUSED".to_owned());
    assert_eq!(ana.ack(&id).await.expect("answered").error.as_deref(), Some("463"));
    let next = ana.send_text(&bia.jid(), "aceita").await.expect("sent");
    assert_eq!(bia.message(&next).await.expect("received").text.as_deref(), Some("aceita"));
    assert!(bia.received().iter().all(|m| m.id != id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_delivered_twice_is_read_once() {
    let (simulator, ana, bia) = two().await;
    simulator.world().faults.on_messages(Target::All, MessageFault::Duplicate(3), 1);
    let id = ana.send_text(&bia.jid(), "tripla").await.expect("sent");
    bia.message(&id).await.expect("received");
    let last = ana.send_text(&bia.jid(), "fim").await.expect("sent");
    bia.message(&last).await.expect("received");
    assert_eq!(bia.received().iter().filter(|m| m.id == id).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_ack_leaves_a_message_that_may_be_sent_again_under_its_id() {
    let (simulator, ana, bia) = two().await;
    simulator.world().faults.on_messages(Target::Account(ANA.to_owned()), MessageFault::LoseAck, 1);
    ana.send_text_as(&bia.jid(), "talvez", "3EB0MAYBE").await.expect("sent");
    bia.message("3EB0MAYBE").await.expect("received");
    assert!(ana.seen(|e| e.acks.iter().all(|a| a.id != "3EB0MAYBE")));
    ana.send_text_as(&bia.jid(), "talvez", "3EB0MAYBE").await.expect("sent again");
    assert_eq!(ana.ack("3EB0MAYBE").await.expect("acked now").error, None);
    let last = ana.send_text(&bia.jid(), "fim").await.expect("sent");
    bia.message(&last).await.expect("received");
    let got = bia.received();
    let shown: Vec<_> = got.iter().filter(|m| m.id == "3EB0MAYBE" && m.kind == Kind::Text).collect();
    assert_eq!(shown.len(), 1, "she reads it once");
    assert_eq!(shown[0].copies, 2, "though it was delivered twice");
    let relayed = simulator.world().relayed();
    let entry = relayed.iter().find(|m| m.id == "3EB0MAYBE").expect("in the ledger");
    assert_eq!(entry.count, 2, "the ledger shows that it was sent twice");
    phone_has(&ana, BIA, &last).await;
    let inbox = phone::inbox(simulator.world(), BIA).expect("an account");
    let on_phone = inbox.iter().find(|m| m.id == "3EB0MAYBE").expect("on her phone too");
    assert_eq!(on_phone.copies, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_removes_duplicates_delivers_a_message_once() {
    let (simulator, ana, bia) = two().await;
    simulator.world().policy.set_deduplicates(true);
    for _ in 0..2 {
        ana.send_text_as(&bia.jid(), "uma vez", "3EB0ONCE").await.expect("sent");
    }
    let last = ana.send_text(&bia.jid(), "fim").await.expect("sent");
    bia.message(&last).await.expect("received");
    assert_eq!(bia.message("3EB0ONCE").await.expect("received").copies, 1);
    let relayed = simulator.world().relayed();
    assert_eq!(relayed.iter().find(|m| m.id == "3EB0ONCE").expect("in the ledger").count, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_replaced_is_no_logout() {
    let (_simulator, ana, bia) = two().await;
    let fault = json!({ "kind": "replace", "on": { "phone": BIA } });
    assert_eq!(ana.admin("/faults", &fault).await.expect("replaced")["count"], 1);
    bia.wait_for("the replacement", |e| e.replaced.then_some(())).await.expect("told");
    assert_eq!(bia.seen(|e| e.logged_out.clone()), None);
    bia.reconnect().await.expect("logs in from its store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_server_keeps_what_waits() {
    let (simulator, ana, bia) = two().await;
    bia.disconnect().await;
    let id = ana.send_text(&bia.jid(), "através do reinício").await.expect("sent");
    ana.ack(&id).await.expect("the server has it");
    let logins = ana.seen(|e| e.logins);
    let (world, ports) = simulator.stop().await;
    let _simulator = Simulator::start_with(world, ports).await.expect("starts again on its ports");
    ana.wait_for("a login by itself", |e| (e.logins > logins).then_some(())).await.expect("came back");
    bia.reconnect().await.expect("logs in");
    assert_eq!(bia.message(&id).await.expect("received").text.as_deref(), Some("através do reinício"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_refused_for_a_while_are_tried_again() {
    let (simulator, ana, bia) = two().await;
    let logins = bia.seen(|e| e.logins);
    let world = simulator.world();
    world.faults.close_until(world.clock.now() + Duration::from_millis(1500));
    simulator.world().session(&DeviceId::new(BIA, 1)).expect("online").cut();
    bia.wait_for("a login by itself", |e| (e.logins > logins).then_some(())).await.expect("came back");
    let id = ana.send_text(&bia.jid(), "enfim").await.expect("sent");
    bia.message(&id).await.expect("received");
}
