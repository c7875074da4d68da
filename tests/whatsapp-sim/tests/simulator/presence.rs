//! Typing, and who has an account.

use crate::stage::two;
use pombo_whatsapp_sim::world::NewAccount;
use whatsapp_rust::Jid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typing_is_shown_to_the_other_side() {
    let (_simulator, ana, bia) = two().await;
    bia.available().await.expect("shown");
    ana.available().await.expect("shown");
    ana.typing(&bia.jid(), true).await.expect("sent");
    ana.recording(&bia.jid()).await.expect("sent");
    ana.typing(&bia.jid(), false).await.expect("sent");
    // The client tells its listeners of each state in a task of its own: their order is not the wire's.
    let mut states = bia
        .wait_for("three states", |e| {
            (e.typing.len() >= 3).then(|| e.typing.iter().map(|t| t.state).collect::<Vec<_>>())
        })
        .await
        .expect("shown");
    states.sort();
    assert_eq!(states, ["composing", "paused", "recording"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_is_found_with_and_without_the_ninth_digit() {
    let (simulator, ana, _bia) = two().await;
    let old = NewAccount { phone: "5585988887777".to_owned(), without_ninth_digit: true, ..Default::default() };
    simulator.world().register(old).expect("new");
    let new = NewAccount { phone: "5585977776666".to_owned(), ..Default::default() };
    simulator.world().register(new).expect("new");

    let found = ana
        .on_whatsapp(&["5585988887777", "558588887777", "5585977776666", "558577776666", "5585900000000"])
        .await
        .expect("answered");
    let old = Some(Jid::pn("558588887777"));
    let new = Some(Jid::pn("5585977776666"));
    assert_eq!(found, [old.clone(), old, new.clone(), new, None]);
}
