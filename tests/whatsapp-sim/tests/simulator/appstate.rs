//! What an account's devices keep in common.

use pombo_whatsapp_sim::appstate;

use crate::stage::{ANA, pair, two};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_muted_chat_is_muted_on_the_other_device() {
    let (simulator, ana, bia) = two().await;
    let other = pair(&simulator, ANA).await;
    let client = ana.client().expect("connected");
    client.chat_actions().mute_chat(&bia.jid()).await.expect("muted");
    let chat = other
        .wait_for("the mute", |e| e.app_state.iter().find(|(what, _)| *what == "mute").map(|(_, chat)| chat.clone()))
        .await
        .expect("synced");
    assert!(chat == bia.jid().to_string() || chat.ends_with("@lid"), "{chat}");

    // Both write the same collection: the second one is refused, takes over what won, and writes again.
    let client2 = other.client().expect("connected");
    let ana_jid = ana.jid();
    let bia_jid = bia.jid();
    let (actions, actions2) = (client.chat_actions(), client2.chat_actions());
    let (one, two) = tokio::join!(actions.pin_chat(&ana_jid), actions2.pin_chat(&bia_jid));
    one.expect("pinned");
    two.expect("pinned");
    ana.wait_for("the other's pin", |e| e.app_state.iter().any(|(what, _)| *what == "pin").then_some(()))
        .await
        .expect("synced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_push_name_reaches_the_companions() {
    let (simulator, ana, bia) = two().await;
    appstate::set_push_name(simulator.world(), ANA, "Ana Lúcia");
    ana.wait_for("the new name", |e| e.app_state.contains(&("name", "Ana Lúcia".to_owned())).then_some(()))
        .await
        .expect("synced");
    assert_eq!(ana.client().expect("connected").push_name(), "Ana Lúcia");
    assert!(bia.seen(|e| e.app_state.iter().all(|(_, name)| name != "Ana Lúcia")), "nobody else's state changed");
}
