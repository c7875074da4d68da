//! Messages that cannot be decrypted are asked for again, and the right one is read in the end.

use pombo_whatsapp_sim::faults::{MessageFault, Target};
use pombo_whatsapp_sim::peer::Peer;
use pombo_whatsapp_sim::{Simulator, phone};

use crate::stage::{ANA, two};

/// Sends a text that arrives damaged: the receiver asks again, and reads it once.
async fn damaged(simulator: &Simulator, ana: &Peer, bia: &Peer, text: &str) {
    simulator.world().faults.on_messages(Target::Account(ANA.to_owned()), MessageFault::Garble, 1);
    let id = ana.send_text(&bia.jid(), text).await.expect("sent");
    assert_eq!(bia.message(&id).await.expect("received in the end").text.as_deref(), Some(text));
    assert_eq!(bia.received().iter().filter(|m| m.id == id).count(), 1);
    let relayed = simulator.world().relayed();
    assert!(relayed.iter().any(|m| m.id == id && m.count > 1), "it was sent again");
    let id = bia.send_text(&ana.jid(), "resposta").await.expect("sent");
    assert_eq!(ana.message(&id).await.expect("received").text.as_deref(), Some("resposta"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_message_that_is_damaged_is_asked_for_again() {
    let (simulator, ana, bia) = two().await;
    damaged(&simulator, &ana, &bia, "primeira").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_damaged_within_a_session_is_asked_for_again() {
    let (simulator, ana, bia) = two().await;
    let id = ana.send_text(&bia.jid(), "primeira").await.expect("sent");
    assert_eq!(bia.message(&id).await.expect("received").text.as_deref(), Some("primeira"));
    damaged(&simulator, &ana, &bia, "segunda").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_absence_comes_in_batches_and_in_order() {
    const MESSAGES: usize = 450;
    let (simulator, ana, bia) = two().await;
    bia.disconnect().await;
    for n in 0..MESSAGES {
        phone::send_text(simulator.world(), ANA, &bia.jid(), &n.to_string()).await.expect("sent");
    }
    bia.reconnect().await.expect("logs in");
    let got = bia.messages(MESSAGES).await.expect("all came");
    let texts: Vec<_> = got.iter().filter_map(|m| m.text.clone()).collect();
    let expected: Vec<_> = (0..MESSAGES).map(|n| n.to_string()).collect();
    assert_eq!(texts, expected);
    let id = ana.send_text(&bia.jid(), "agora").await.expect("sent");
    assert_eq!(bia.message(&id).await.expect("received live").text.as_deref(), Some("agora"));
}
