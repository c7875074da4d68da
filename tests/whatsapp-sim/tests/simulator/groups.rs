//! Groups: sender keys work end to end, members are told of changes, and who left hears nothing more.

use pombo_whatsapp_sim::Simulator;
use pombo_whatsapp_sim::peer::{Attachment, Media, Peer, sha256};
use whatsapp_rust::Jid;

use crate::stage::{ANA, BIA, CAIO, DUDA, lid_stage, pair, stage};

async fn three(by_lid: bool) -> (Simulator, [Peer; 3], Jid) {
    let phones = [ANA, BIA, CAIO, DUDA];
    let simulator = if by_lid { lid_stage(&phones).await } else { stage(&phones).await };
    let (ana, bia, caio) = tokio::join!(pair(&simulator, ANA), pair(&simulator, BIA), pair(&simulator, CAIO));
    let group = ana.create_group("Turma", &[bia.jid(), caio.jid()]).await.expect("created");
    for peer in [&bia, &caio] {
        peer.group_change(&group, "create").await.expect("told of the group");
    }
    (simulator, [ana, bia, caio], group)
}

async fn everybody_hears_everybody(peers: &[&Peer], group: &Jid) {
    for (at, sender) in peers.iter().enumerate() {
        let text = format!("de {at}");
        let id = sender.send_text(group, &text).await.expect("sent");
        for receiver in peers.iter().filter(|p| p.phone() != sender.phone()) {
            let got = receiver.message(&id).await.expect("received");
            assert_eq!(got.text.as_deref(), Some(text.as_str()));
            assert_eq!(got.chat, group.to_string());
            assert!(got.group);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_in_a_group_reads_everybody() {
    let (_simulator, [ana, bia, caio], group) = three(false).await;
    everybody_hears_everybody(&[&ana, &bia, &caio], &group).await;
    // The second round has no key to distribute.
    everybody_hears_everybody(&[&ana, &bia, &caio], &group).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_addressed_by_lid_works_the_same() {
    let (_simulator, [ana, bia, caio], group) = three(true).await;
    everybody_hears_everybody(&[&ana, &bia, &caio], &group).await;
    let known = ana.group(&group).await.expect("queried");
    assert!(known.participants.iter().all(|p| p.jid.to_string().ends_with("@lid")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_reactions_and_media_work_in_a_group() {
    let (_simulator, [ana, bia, caio], group) = three(false).await;
    let id = ana.send_text(&group, "quem vem?").await.expect("sent");
    let got = bia.message(&id).await.expect("received");
    bia.mark_read(&got).await.expect("marked");
    ana.receipt(&id, "read").await.expect("read");
    let reaction = bia.react(&got, "🙋").await.expect("sent");
    for peer in [&ana, &caio] {
        let got = peer.message(&reaction).await.expect("received");
        assert_eq!((got.text.as_deref(), got.target.as_deref()), (Some("🙋"), Some(id.as_str())));
    }
    let content: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let expected = Media::Bytes { sha256: sha256(&content), size: content.len() };
    let image = caio.send_media(&group, content, Attachment::Image { caption: Some("foto") }).await.expect("sent");
    for peer in [&ana, &bia] {
        assert_eq!(peer.message(&image).await.expect("received").media, Some(expected.clone()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subject_and_description_change_and_are_told() {
    let (_simulator, [ana, bia, caio], group) = three(false).await;
    bia.set_subject(&group, "Turma da tarde").await.expect("named");
    ana.set_description(&group, Some("toda terça")).await.expect("described");
    let told = caio.group_change(&group, "subject").await.expect("told");
    assert!(told.detail.to_string().contains("Turma da tarde"), "{}", told.detail);
    let told = caio.group_change(&group, "description").await.expect("told");
    assert!(told.detail.to_string().contains("toda terça"), "{}", told.detail);

    let known = caio.group(&group).await.expect("queried");
    assert_eq!(known.subject, "Turma da tarde");
    assert_eq!(known.description.as_deref(), Some("toda terça"));
    ana.set_description(&group, None).await.expect("taken away");
    assert_eq!(caio.group(&group).await.expect("queried").description, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_and_go() {
    let (simulator, [ana, bia, caio], group) = three(false).await;
    everybody_hears_everybody(&[&ana, &bia, &caio], &group).await;
    let duda = pair(&simulator, DUDA).await;

    let added = ana.add_members(&group, &[duda.jid()]).await.expect("answered");
    assert!(added.iter().all(|a| a.is_ok()), "{added:?}");
    // Who writes before it knows of her writes without her.
    for peer in [&ana, &bia, &caio] {
        peer.group_change(&group, "add").await.expect("told");
    }
    duda.group_change(&group, "create").await.expect("shown the group");
    everybody_hears_everybody(&[&ana, &bia, &caio, &duda], &group).await;

    let nobody = Jid::pn("5511911111111");
    let refused = ana.add_members(&group, &[nobody]).await.expect("answered");
    assert_eq!(refused[0].error.as_deref(), Some("404"));

    ana.remove_members(&group, &[caio.jid()]).await.expect("answered");
    caio.group_change(&group, "remove").await.expect("told");
    bia.group_change(&group, "remove").await.expect("told");
    let before = caio.received().len();
    everybody_hears_everybody(&[&ana, &bia, &duda], &group).await;
    // What is sent to Caio himself comes after whatever the group might have sent him.
    let id = ana.send_text(&caio.jid(), "só para você").await.expect("sent");
    caio.message(&id).await.expect("received");
    assert_eq!(caio.received().len(), before + 1, "who is out hears nothing more");
    caio.group(&group).await.expect_err("and may not look");

    bia.leave(&group).await.expect("left");
    ana.wait_for("two removals", |e| {
        (e.group_changes.iter().filter(|c| c.action == "remove").count() >= 2).then_some(())
    })
    .await
    .expect("told that she left");
    let members = ana.group(&group).await.expect("queried").participants;
    assert_eq!(members.len(), 2);
    assert_eq!(bia.groups().await.expect("listed").len(), 0);
    assert_eq!(duda.groups().await.expect("listed").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admins_are_made_and_unmade_and_only_they_may() {
    let (_simulator, [ana, bia, caio], group) = three(false).await;
    bia.remove_members(&group, &[caio.jid()]).await.expect_err("a member may not remove");
    ana.promote(&group, &[bia.jid()]).await.expect("promoted");
    bia.group_change(&group, "promote").await.expect("told");
    let message = caio.send_text(&group, "apague isto").await.expect("sent");
    let message = bia.message(&message).await.expect("received");
    bia.revoke_as_admin(&message).await.expect("an admin may take a message back");
    let revoked = ana
        .wait_for("the revoke", |e| e.received.iter().find(|m| m.target.as_deref() == Some(&message.id)).cloned())
        .await
        .expect("told");
    assert_eq!(revoked.kind, pombo_whatsapp_sim::peer::Kind::Revoke);
    ana.demote(&group, &[bia.jid()]).await.expect("demoted");
    bia.group_change(&group, "demote").await.expect("told");
    bia.remove_members(&group, &[caio.jid()]).await.expect_err("no longer an admin");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_link_leads_in_until_it_is_revoked() {
    let (simulator, [ana, bia, caio], group) = three(false).await;
    let duda = pair(&simulator, DUDA).await;
    let link = ana.invite_link(&group, false).await.expect("got");
    assert_eq!(duda.invite_info(&link).await.expect("read").subject, "Turma");
    let fresh = ana.invite_link(&group, true).await.expect("renewed");
    assert_ne!(fresh, link);
    duda.join(&link).await.expect_err("the old link is not valid");
    assert_eq!(duda.join(&fresh).await.expect("joined"), group);
    for peer in [&ana, &bia, &caio] {
        peer.group_change(&group, "add").await.expect("told");
    }
    everybody_hears_everybody(&[&ana, &bia, &caio, &duda], &group).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_who_was_away_reads_it_all() {
    let (_simulator, [ana, bia, caio], group) = three(false).await;
    caio.disconnect().await;
    let first = ana.send_text(&group, "um").await.expect("sent");
    let second = bia.send_text(&group, "dois").await.expect("sent");
    caio.reconnect().await.expect("logs in");
    assert_eq!(caio.message(&first).await.expect("received").text.as_deref(), Some("um"));
    assert_eq!(caio.message(&second).await.expect("received").text.as_deref(), Some("dois"));
}
