//! Pairing, messages of one person to another, receipts, several devices, the offline queue.

use pombo_whatsapp_sim::peer::{Endpoints, Kind, Peer, Text};

use crate::stage::{ANA, BIA, lid_stage, pair, stage, two};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_peers_exchange_texts_and_receipts() {
    let (_simulator, ana, bia) = two().await;

    let id = ana.send_text(&bia.jid(), "Olá, Bia!").await.expect("sent");
    let got = bia.next_message().await.expect("received");
    assert_eq!((got.id.as_str(), got.kind, got.text.as_deref()), (id.as_str(), Kind::Text, Some("Olá, Bia!")));
    assert!(!got.from_me && !got.group && !got.offline);
    assert_eq!(ana.ack(&id).await.expect("acked").error, None);
    ana.receipt(&id, "delivery").await.expect("delivered");

    bia.mark_read(&got).await.expect("marked");
    ana.receipt(&id, "read").await.expect("read");

    let answer = bia.send_text(&ana.jid(), "Oi!").await.expect("sent");
    let got = ana.next_message().await.expect("received");
    assert_eq!((got.id, got.text.as_deref()), (answer, Some("Oi!")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_addressed_by_lid_exchange_texts() {
    let simulator = lid_stage(&[ANA, BIA]).await;
    let (ana, bia) = tokio::join!(pair(&simulator, ANA), pair(&simulator, BIA));
    ana.send_text(&bia.jid(), "por número").await.expect("sent");
    let got = bia.next_message().await.expect("received");
    assert_eq!(got.text.as_deref(), Some("por número"));
    let back = got.chat.parse().expect("a chat");
    bia.send_text(&back, "de volta").await.expect("sent");
    assert_eq!(ana.next_message().await.expect("received").text.as_deref(), Some("de volta"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_pairs_with_a_code() {
    let simulator = stage(&[ANA, BIA]).await;
    let ana = Peer::pair_with_code(Endpoints::from(&simulator), ANA).await.expect("paired by code");
    let bia = pair(&simulator, BIA).await;
    ana.send_text(&bia.jid(), "pareada por código").await.expect("sent");
    assert_eq!(bia.next_message().await.expect("received").text.as_deref(), Some("pareada por código"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_mentions_reactions_edits_and_revokes_arrive() {
    let (_simulator, ana, bia) = two().await;
    let first = ana.send_text(&bia.jid(), "primeira").await.expect("sent");
    let original = bia.next_message().await.expect("received");

    let text = Text { body: "respondo, @5511900000001", reply_to: Some(&original), mentions: vec![ana.jid()] };
    bia.send_rich_text(&ana.jid(), text).await.expect("sent");
    let reply = ana.next_message().await.expect("received");
    assert_eq!(reply.quoted.as_deref(), Some(first.as_str()));
    assert_eq!(reply.mentions, [ana.jid().to_string()]);

    bia.react(&original, "👍").await.expect("sent");
    let reaction = ana.next_message().await.expect("received");
    assert_eq!(
        (reaction.kind, reaction.text.as_deref(), reaction.target.as_deref()),
        (Kind::Reaction, Some("👍"), Some(first.as_str()))
    );
    bia.react(&original, "").await.expect("sent");
    let removal = ana.next_message().await.expect("received");
    assert_eq!((removal.kind, removal.text.as_deref()), (Kind::Reaction, Some("")));

    ana.edit(&bia.jid(), &first, "corrigida").await.expect("sent");
    let edit = bia.next_message().await.expect("received");
    assert_eq!(
        (edit.kind, edit.text.as_deref(), edit.target.as_deref()),
        (Kind::Edit, Some("corrigida"), Some(first.as_str()))
    );

    ana.revoke(&bia.jid(), &first).await.expect("sent");
    let revoke = bia.next_message().await.expect("received");
    assert_eq!((revoke.kind, revoke.target.as_deref()), (Kind::Revoke, Some(first.as_str())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_device_of_both_accounts_gets_a_message() {
    let (simulator, ana, bia) = two().await;
    let (ana2, bia2) = tokio::join!(pair(&simulator, ANA), pair(&simulator, BIA));

    let id = ana.send_text(&bia.jid(), "para todas").await.expect("sent");
    for device in [&bia, &bia2] {
        let got = device.message(&id).await.expect("received");
        assert_eq!(got.text.as_deref(), Some("para todas"));
        assert!(!got.from_me);
    }
    let copy = ana2.message(&id).await.expect("the sender's other device has a copy");
    assert!(copy.from_me);
    assert_eq!(copy.text.as_deref(), Some("para todas"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_wait_for_a_peer_that_is_away_and_come_once_and_in_order() {
    let (_simulator, ana, bia) = two().await;
    ana.send_text(&bia.jid(), "antes").await.expect("sent");
    bia.next_message().await.expect("received");

    bia.disconnect().await;
    for n in 0..30 {
        let id = ana.send_text(&bia.jid(), &format!("ausente {n}")).await.expect("sent");
        assert_eq!(ana.ack(&id).await.expect("the server has it").error, None);
    }
    bia.reconnect().await.expect("logs in from its store");
    let got = bia.messages(31).await.expect("all came");
    let texts: Vec<String> = got[1..].iter().filter_map(|m| m.text.clone()).collect();
    let expected: Vec<String> = (0..30).map(|n| format!("ausente {n}")).collect();
    assert_eq!(texts, expected);
    assert!(got[1..].iter().all(|m| m.offline), "they came from the offline queue");

    let last = ana.send_text(&bia.jid(), "depois").await.expect("sent");
    bia.message(&last).await.expect("the session goes on");
    assert_eq!(bia.received().len(), 32, "none came twice");
    assert_eq!(bia.seen(|e| e.qr_codes.len()), 1, "the reconnect needed no QR");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_both_ways_loses_and_doubles_nothing() {
    let (_simulator, ana, bia) = two().await;
    let send = |from: &Peer, to: &Peer, n: usize| {
        let (client, to) = (from.client().expect("connected"), to.jid());
        async move { client.send_text(to, format!("rajada {n}")).await.expect("sent").message_id }
    };
    let (to_bia, to_ana) = tokio::join!(
        futures::future::join_all((0..60).map(|n| send(&ana, &bia, n))),
        futures::future::join_all((0..60).map(|n| send(&bia, &ana, n))),
    );
    for (receiver, mut sent) in [(&bia, to_bia), (&ana, to_ana)] {
        let mut got: Vec<String> = receiver.messages(60).await.expect("all came").into_iter().map(|m| m.id).collect();
        got.sort();
        sent.sort();
        assert_eq!(got, sent);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_is_no_logout() {
    let (_simulator, ana, bia) = two().await;
    ana.send_text(&bia.jid(), "um").await.expect("sent");
    bia.next_message().await.expect("received");
    bia.cut();
    let id = ana.send_text(&bia.jid(), "dois").await.expect("sent");
    bia.reconnect().await.expect("logs in from its store");
    assert_eq!(bia.message(&id).await.expect("received").text.as_deref(), Some("dois"));
    assert_eq!(bia.seen(|e| e.logged_out.clone()), None);
}
