//! Many peers in one process: what the load tests lean on.

use futures::future::join_all;
use pombo_whatsapp_sim::peer::Peer;

use crate::stage::{pair, stage};

/// How many, unless `SIM_PEERS` says otherwise.
const PEERS: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_of_peers_loses_nothing_through_a_restart_of_their_sockets() {
    let peers = std::env::var("SIM_PEERS").ok().and_then(|n| n.parse().ok()).unwrap_or(PEERS);
    let phones: Vec<String> = (0..peers).map(|n| format!("55119300{n:05}")).collect();
    let phones: Vec<&str> = phones.iter().map(String::as_str).collect();
    let simulator = stage(&phones).await;
    let peers: Vec<Peer> = join_all(phones.iter().map(|phone| pair(&simulator, phone))).await;

    round(&peers).await;
    for device in simulator.world().device_states() {
        simulator.world().session(&device.device).expect("online").cut();
    }
    join_all(peers.iter().map(|peer| peer.wait_for("the second login", |e| (e.logins > 1).then_some(()))))
        .await
        .into_iter()
        .collect::<Result<Vec<()>, _>>()
        .expect("all came back");
    round(&peers).await;

    for peer in &peers {
        let ids: Vec<String> = peer.received().into_iter().map(|m| m.id).collect();
        assert_eq!(ids.len(), 2, "one message a round, none twice");
    }
}

/// Each sends to the next; all wait for theirs.
async fn round(peers: &[Peer]) {
    let sent = join_all(peers.iter().enumerate().map(|(n, peer)| {
        let to = peers[(n + 1) % peers.len()].jid();
        async move { peer.send_text(&to, "roda").await.expect("sent") }
    }))
    .await;
    for (n, id) in sent.iter().enumerate() {
        peers[(n + 1) % peers.len()].message(id).await.expect("received");
    }
}
