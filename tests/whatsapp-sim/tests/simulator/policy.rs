//! What the server insists on: privacy tokens, and acks that name what they acknowledge.

use serde_json::json;

use pombo_whatsapp_sim::peer::{Endpoints, Peer};
use pombo_whatsapp_sim::phone;

use crate::stage::{ANA, BIA, eventually, pair, stage, two};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_a_message_to_a_person_is_refused() {
    let (simulator, ana, bia) = two().await;
    simulator.world().policy.set_demands_tokens(true);
    // Neither took the history, so neither has a token or the salt of its account.
    let id = ana.send_text_as(&bia.jid(), "quem é?", "3EB0STRANGER").await.unwrap_or("3EB0STRANGER".to_owned());
    assert_eq!(ana.ack(&id).await.expect("answered").error.as_deref(), Some("463"));
    assert!(bia.received().is_empty());
}

/// Sends until a message is accepted: a client asks for the experiments that are on in its own time after a login, and carries no
/// token before.
async fn accepted(from: &Peer, to: &Peer) {
    let mut tries = 0;
    let id = eventually("an accepted message", async || {
        tries += 1;
        let wanted = format!("3EB0TRY{tries}");
        let id = from.send_text_as(&to.jid(), "com token", &wanted).await.unwrap_or(wanted);
        let refused = from.ack(&id).await.expect("answered").error;
        assert!(refused.as_deref().is_none_or(|code| code == "463"), "{refused:?}");
        refused.is_none().then_some(id)
    })
    .await;
    assert_eq!(to.message(&id).await.expect("received").text.as_deref(), Some("com token"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_person_wrote_to_may_answer() {
    let (simulator, ana, bia) = two().await;
    let id = phone::send_text(simulator.world(), BIA, &ana.jid(), "oi, Ana").await.expect("sent");
    ana.message(&id).await.expect("received");
    let client = ana.client().expect("connected");
    let lid = bia.lid().expect("a LID").user.to_string();
    eventually("the token", async || client.tc_token().get(&lid).await.expect("readable").map(drop)).await;
    simulator.world().policy.set_demands_tokens(true);
    accepted(&ana, &bia).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_the_history_may_write_to_whom_it_knows() {
    let simulator = stage(&[ANA, BIA]).await;
    let bia = pair(&simulator, BIA).await;
    phone::send_text(simulator.world(), ANA, &bia.jid(), "antes").await.expect("sent");
    let ana = Peer::pair_with_history(Endpoints::from(&simulator), ANA).await.expect("paired");
    ana.wait_for("the history", |e| (e.history.len() >= 3).then_some(())).await.expect("told");
    simulator.world().policy.set_demands_tokens(true);
    accepted(&ana, &bia).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_are_looked_at() {
    let (simulator, ana, bia) = two().await;
    ana.admin("/policy", &json!({ "strictAcks": true })).await.expect("switched");
    for (from, to) in [(&ana, &bia), (&bia, &ana)] {
        let id = from.send_text(&to.jid(), "oi").await.expect("sent");
        let got = to.message(&id).await.expect("received");
        to.mark_read(&got).await.expect("marked");
        from.receipt(&id, "read").await.expect("read");
    }
    // Both of a person's devices give a receipt under one id, and a client acknowledges them in any order.
    assert_eq!(simulator.world().policy.wrong_acks(), 0);
    assert_eq!(ana.seen(|e| e.losses) + bia.seen(|e| e.losses), 0);
}
