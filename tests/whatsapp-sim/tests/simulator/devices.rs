//! Device lists: asked for once, and kept up to date by what the server tells.

use crate::stage::{ANA, BIA, lid_stage, pair, stage, two};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_that_is_known_asks_for_nothing_more() {
    for simulator in [stage(&[ANA, BIA]).await, lid_stage(&[ANA, BIA]).await] {
        let (ana, bia) = tokio::join!(pair(&simulator, ANA), pair(&simulator, BIA));
        for text in ["um", "dois"] {
            let id = ana.send_text(&bia.jid(), text).await.expect("sent");
            bia.message(&id).await.expect("received");
            ana.receipt(&id, "delivery").await.expect("delivered");
        }
        let asked = |namespace: &str| simulator.world().iqs().get(namespace).copied().unwrap_or(0);
        let before = (asked("usync"), asked("encrypt"));
        for n in 0..10 {
            let id = ana.send_text(&bia.jid(), &n.to_string()).await.expect("sent");
            bia.message(&id).await.expect("received");
            ana.receipt(&id, "delivery").await.expect("delivered");
        }
        assert_eq!((asked("usync"), asked("encrypt")), before, "the hash of the devices is the one the client has");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_device_of_a_contact_gets_the_next_message() {
    let (simulator, ana, bia) = two().await;
    let id = ana.send_text(&bia.jid(), "antes").await.expect("sent");
    bia.message(&id).await.expect("received");
    let bia2 = pair(&simulator, BIA).await;
    let id = ana.send_text(&bia.jid(), "depois").await.expect("sent");
    assert_eq!(bia2.message(&id).await.expect("received").text.as_deref(), Some("depois"));
    assert_eq!(bia.message(&id).await.expect("received").text.as_deref(), Some("depois"));
}
