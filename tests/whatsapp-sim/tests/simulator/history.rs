//! What a companion learns when it is paired: the history of its phone, and the whole of the app state.

use pombo_whatsapp_sim::peer::{Endpoints, Peer};
use pombo_whatsapp_sim::world::NewAccount;
use pombo_whatsapp_sim::{appstate, phone};

use crate::stage::{ANA, BIA, CAIO, eventually, stage};

/// The kinds, as the protocol numbers them.
const FIRST: i32 = 0;
const OLDER: i32 = 3;
const NAMES: i32 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_companion_gets_the_chats_the_names_and_the_older_messages() {
    let simulator = stage(&[ANA, BIA]).await;
    let world = simulator.world();
    let bia = whatsapp_rust::Jid::pn(BIA);
    for n in 0..14 {
        phone::send_text(world, ANA, &bia, &format!("antes {n}")).await.expect("sent");
    }
    let ana = Peer::pair_with_history(Endpoints::from(&simulator), ANA).await.expect("paired");
    let parts = ana.wait_for("three parts", |e| (e.history.len() >= 3).then(|| e.history.clone())).await.expect("told");
    let of = |kind| *parts.iter().find(|part| part.kind == kind).expect("the part came");
    assert_eq!((of(FIRST).chats, of(FIRST).messages), (1, 10), "the newest at once");
    assert_eq!((of(OLDER).chats, of(OLDER).messages), (1, 4), "the others as a blob");
    assert_eq!(of(NAMES).names, 2, "the contact's and her own");
    eventually("the companion's receipts for the parts", async || {
        let count = |seen: &phone::Seen| seen.receipts().iter().filter(|r| r.kind == "hist_sync").count();
        (phone::with_seen(world, ANA, count).expect("an account") == 3).then_some(())
    })
    .await;
    assert_eq!(ana.received().len(), 0, "history is no message");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_without_history_shares_none() {
    let simulator = stage(&[BIA]).await;
    let account = NewAccount { phone: ANA.to_owned(), without_history: true, ..Default::default() };
    simulator.world().register(account).expect("new");
    let ana = Peer::pair_with_history(Endpoints::from(&simulator), ANA).await.expect("paired");
    let id = phone::send_text(simulator.world(), BIA, &ana.jid(), "depois").await.expect("sent");
    ana.message(&id).await.expect("received");
    assert_eq!(ana.seen(|e| e.history.len()), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_sync_of_the_app_state_is_a_snapshot() {
    let simulator = stage(&[ANA, CAIO]).await;
    let first = crate::stage::pair(&simulator, ANA).await;
    let client = first.client().expect("connected");
    let caio = whatsapp_rust::Jid::pn(CAIO);
    client.chat_actions().mute_chat(&caio).await.expect("muted");
    for name in ["Ana Lúcia", "Ana L."] {
        appstate::set_push_name(simulator.world(), ANA, name);
    }
    let before = simulator.world().media.stock().downloads;
    let second = crate::stage::pair(&simulator, ANA).await;
    second
        .wait_for("the mute", |e| e.app_state.iter().any(|(what, _)| *what == "mute").then_some(()))
        .await
        .expect("synced");
    let client2 = second.client().expect("connected");
    eventually("the newest name", async || (client2.push_name() == "Ana L.").then_some(())).await;
    assert!(simulator.world().media.stock().downloads > before, "the snapshot is a blob on the media host");
    // From there on it gets patches.
    client.chat_actions().pin_chat(&caio).await.expect("pinned");
    second
        .wait_for("the pin", |e| e.app_state.iter().any(|(what, _)| *what == "pin").then_some(()))
        .await
        .expect("synced");
}
