//! Media go through the simulator's host byte for byte.

use base64::Engine;
use pombo_whatsapp_sim::media::Failing;
use pombo_whatsapp_sim::peer::{Attachment, Kind, Media, sha256};

use crate::stage::{get, two};

/// Bytes that do not repeat, from a seed.
fn bytes(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_from_a_kilobyte_to_fifty_megabytes_arrive_byte_for_byte() {
    let (_simulator, ana, bia) = two().await;
    for (n, size) in [1 << 10, 100_003, 6 << 20, 50 << 20].into_iter().enumerate() {
        let content = bytes(size, n as u64 + 1);
        let expected = Media::Bytes { sha256: sha256(&content), size };
        let what = Attachment::Document { file_name: "lista.pdf", mime: "application/pdf", caption: Some("anexo") };
        let id = ana.send_media(&bia.jid(), content, what).await.expect("sent");
        let got = bia.message(&id).await.expect("received");
        assert_eq!(got.kind, Kind::Document);
        assert_eq!(got.media, Some(expected), "{size} bytes");
        assert_eq!(got.file_name.as_deref(), Some("lista.pdf"));
        assert_eq!(got.mime.as_deref(), Some("application/pdf"));
        assert_eq!(got.text.as_deref(), Some("anexo"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_media_arrives() {
    let (_simulator, ana, bia) = two().await;
    let kinds = [
        (Attachment::Image { caption: Some("foto") }, Kind::Image),
        (Attachment::Video { caption: None }, Kind::Video),
        (Attachment::VoiceNote { seconds: 3 }, Kind::VoiceNote),
        (Attachment::Audio, Kind::Audio),
    ];
    for (n, (what, kind)) in kinds.into_iter().enumerate() {
        let content = bytes(70_000 + n, n as u64 + 10);
        let expected = Media::Bytes { sha256: sha256(&content), size: content.len() };
        let id = bia.send_media(&ana.jid(), content, what).await.expect("sent");
        let got = ana.message(&id).await.expect("received");
        assert_eq!((got.kind, got.media.clone()), (kind, Some(expected)));
        if kind == Kind::VoiceNote {
            ana.mark_played(&got).await.expect("marked");
            bia.receipt(&id, "played").await.expect("played");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_media_come_back_when_asked_for() {
    let (simulator, ana, bia) = two().await;
    bia.disconnect().await;
    let content = bytes(40_000, 77);
    let expected = Media::Bytes { sha256: sha256(&content), size: content.len() };
    let id = ana.send_media(&bia.jid(), content, Attachment::Image { caption: None }).await.expect("sent");
    assert_eq!(simulator.world().media.expire(""), 1);

    bia.reconnect().await.expect("logs in");
    let got = bia.message(&id).await.expect("received");
    assert!(matches!(&got.media, Some(Media::Failed(why)) if why.contains("410")), "{:?}", got.media);
    assert_eq!(bia.download_expired(&got).await.expect("answered"), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_gone_for_good_are_said_to_be_gone() {
    let (simulator, ana, bia) = two().await;
    let id = ana.send_media(&bia.jid(), bytes(2_000, 5), Attachment::Image { caption: None }).await.expect("sent");
    let got = bia.message(&id).await.expect("received");
    assert_eq!(simulator.world().media.forget(""), 1);
    let answer = bia.download_expired(&got).await.expect("answered");
    assert_eq!(answer, Media::Failed("NotFound".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_needs_the_query_of_its_direct_path_and_nothing_else() {
    let (simulator, ana, bia) = two().await;
    let id = ana.send_media(&bia.jid(), bytes(2_000, 8), Attachment::Image { caption: None }).await.expect("sent");
    let got = bia.message(&id).await.expect("received");
    let image = got.message.image_message.as_option().expect("an image");
    let direct_path = image.direct_path.clone().expect("a path");
    let hash = base64::engine::general_purpose::URL_SAFE.encode(image.file_enc_sha256.as_deref().expect("a hash"));
    let host = simulator.media_host();
    let bare = direct_path.split('?').next().expect("a path");
    let cases = [
        (direct_path.clone(), 200),
        (format!("{direct_path}&hash={hash}"), 200),
        (format!("{direct_path}&hash=AAAA"), 403),
        (bare.to_owned(), 403),
        (format!("{bare}x?{}", &direct_path[bare.len() + 1..]), 404),
    ];
    for (path, expected) in cases {
        let (status, _) = get(&format!("http://{host}{path}")).await;
        assert_eq!(status, expected, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_whose_grant_was_revoked_asks_for_another() {
    let (simulator, ana, bia) = two().await;
    let to = bia.jid();
    let first = ana.send_media(&to, bytes(3_000, 1), Attachment::Audio).await.expect("sent");
    bia.message(&first).await.expect("received");
    simulator.world().media.revoke_grants();
    let second = ana.send_media(&to, bytes(3_000, 2), Attachment::Audio).await.expect("sent with a new grant");
    let got = bia.message(&second).await.expect("received");
    assert_eq!(got.media, Some(Media::Bytes { sha256: sha256(&bytes(3_000, 2)), size: 3_000 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_media_host_that_fails_once_is_no_loss() {
    let (simulator, ana, bia) = two().await;
    let content = bytes(9_000, 3);
    let picture = || Attachment::Image { caption: None };
    simulator.world().media.fail_next(Failing { uploads: (1, 503), downloads: (0, 0) });
    ana.send_media(&bia.jid(), content.clone(), picture()).await.expect_err("the host refused");
    simulator.world().media.fail_next(Failing { uploads: (0, 0), downloads: (1, 503) });
    let id = ana.send_media(&bia.jid(), content.clone(), picture()).await.expect("sent");
    let got = bia.message(&id).await.expect("received");
    assert!(matches!(&got.media, Some(Media::Failed(why)) if why.contains("503")), "{:?}", got.media);
    assert_eq!(bia.download(&got).await.expect("downloaded"), content);
}
