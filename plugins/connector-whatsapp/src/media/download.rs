//! Downloads one file from a media host into the engine's store. It is decrypted on the way and kept only if it matches its
//! message. A file that the hosts no longer have is requested once from the sender's device.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pombo_plugin::connector::events::StoredMedia;

use super::decrypt::Decryptor;
use super::outside::{Exchange, Files, Head, Hosts, Sink, Trouble};
use super::{PIECE, Pending};

/// Fetches the file of a message.
pub(crate) async fn fetch<O: Files + Hosts>(outside: &O, pending: &Pending) -> Result<StoredMedia, Trouble> {
    if pending.key.is_empty() || pending.direct_path.is_empty() {
        return Err(Trouble::Final("the message does not share its file with linked devices".to_owned()));
    }
    match from_hosts(outside, pending, &pending.direct_path).await? {
        Some(stored) => Ok(stored),
        None => {
            let path = outside.put_back(pending).await?;
            from_hosts(outside, pending, &path)
                .await?
                .ok_or_else(|| Trouble::Final("the file has expired and could not be fetched again".to_owned()))
        }
    }
}

/// `None`: the hosts no longer have it.
async fn from_hosts<O: Files + Hosts>(
    outside: &O,
    pending: &Pending,
    path: &str,
) -> Result<Option<StoredMedia>, Trouble> {
    let mut last = Trouble::Temporary("WhatsApp did not name a media host".to_owned());
    for base in &outside.route(false).await?.bases {
        match one(outside, pending, url(base, path, pending)).await {
            Ok(Got::Stored(stored)) => return Ok(Some(stored)),
            // A path carries its own permission, and an end: who is not let in has an old path.
            Ok(Got::Status(401 | 403 | 404 | 410)) => return Ok(None),
            Ok(Got::Status(status)) => last = Trouble::Temporary(format!("the media host answered {status}")),
            Err(Trouble::Temporary(why)) => last = Trouble::Temporary(why),
            Err(other) => return Err(other),
        }
    }
    Err(last)
}

enum Got {
    Stored(StoredMedia),
    Status(u16),
}

async fn one<O: Files>(outside: &O, pending: &Pending, url: String) -> Result<Got, Trouble> {
    let mut exchange = outside.open(Head { method: "GET", url, content_length: 0 }).await?;
    let opened = exchange.finish().await?;
    if opened.status != 200 {
        return Ok(Got::Status(opened.status));
    }
    let corrupt = |c: super::decrypt::Corrupt| Trouble::Final(c.to_string());
    let mut decryptor = Decryptor::new(&pending.key, pending.media_type()).map_err(corrupt)?;
    // Dropped without its end, the store forgets it: nothing unverified is ever readable.
    let mut sink = outside.store(&pending.stored_name(), &pending.content_type).await?;
    let mut out = Vec::new();
    loop {
        let piece = exchange.read(PIECE).await?;
        if piece.is_empty() {
            break;
        }
        decryptor.update(&piece, &mut out);
        if out.len() >= PIECE as usize / 2 {
            sink.write(std::mem::take(&mut out)).await?;
            outside.give_way().await;
        }
    }
    decryptor.finish(&pending.sha256, &pending.encrypted_sha256, &mut out).map_err(corrupt)?;
    if !out.is_empty() {
        sink.write(out).await?;
    }
    sink.finish().await.map(Got::Stored)
}

/// Without the session's credential: the hosts let in whoever has the path, and WhatsApp's own client sends none.
fn url(base: &str, path: &str, pending: &Pending) -> String {
    let hash = URL_SAFE_NO_PAD.encode(&pending.encrypted_sha256);
    let join = if path.contains('?') { '&' } else { '?' };
    let kind = pending.media_type().mms_type();
    format!("{base}{path}{join}hash={hash}&mms-type={kind}")
}

/// The URL of a download that the library makes: without the session's credential and its token, and with one query even if the path
/// had one of its own.
pub(crate) fn without_credential(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let kept: Vec<&str> = query
        .split(['?', '&'])
        .filter(|field| !field.is_empty() && !field.starts_with("auth=") && !field.starts_with("token="))
        .collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::super::outside::world::World;
    use super::*;
    use crate::identity::ready;
    use wacore::download::MediaType;
    use wacore::upload::encrypt_media;

    fn pending(plain: &[u8]) -> (Pending, Vec<u8>) {
        let e = encrypt_media(plain, MediaType::Image).expect("encrypts");
        let mut pending = Pending::example();
        pending.key = e.media_key.to_vec();
        pending.sha256 = e.file_sha256.to_vec();
        pending.encrypted_sha256 = e.file_enc_sha256.to_vec();
        pending.direct_path = "/v/old?x=1".into();
        (pending, e.data_to_upload)
    }

    #[test]
    fn a_file_is_stored_as_it_was_sent() {
        let plain: Vec<u8> = (0..300_000u32).map(|n| (n % 253) as u8).collect();
        let (pending, encrypted) = pending(&plain);
        let world = World::new(move |_, _| Ok((200, encrypted.clone())));
        let stored = ready(fetch(&world, &pending)).expect("fetches");
        assert_eq!(
            (stored.size, stored.filename.as_str(), stored.content_type.as_str()),
            (300_000, "image.jpg", "image/jpeg")
        );
        assert_eq!(*world.stored.borrow(), [plain]);
        assert!(world.gave_way.get() >= 4);
        assert!(world.urls()[0].starts_with("https://one/v/old?x=1&hash="));
        assert!(!world.urls()[0].contains("auth") && !world.urls()[0].contains("token"));
    }

    #[test]
    fn a_file_that_is_not_what_was_promised_is_not_kept() {
        let (pending, mut encrypted) = pending(&[1; 5_000]);
        encrypted[100] ^= 1;
        let world = World::new(move |_, _| Ok((200, encrypted.clone())));
        assert!(matches!(ready(fetch(&world, &pending)), Err(Trouble::Final(_))));
        assert!(world.stored.borrow().is_empty());
    }

    #[test]
    fn an_expired_file_is_asked_back_once() {
        for gone in [404, 410] {
            let (pending, encrypted) = pending(&[1; 500]);
            let mut world = World::new(move |head, _| {
                if head.url.contains("/v/new") { Ok((200, encrypted.clone())) } else { Ok((gone, Vec::new())) }
            });
            world.new_path = Ok("/v/new".into());
            assert!(ready(fetch(&world, &pending)).is_ok());
            assert_eq!(world.requests.borrow().len(), 2);
            assert!(world.urls()[1].contains("/v/new?hash="));
        }
        let (pending, _) = pending(&[1; 500]);
        let mut world = World::new(|_, _| Ok((404, Vec::new())));
        assert_eq!(ready(fetch(&world, &pending)), Err(Trouble::Final("the phone does not have it".into())));
        world.new_path = Ok("/v/new".into());
        assert!(matches!(ready(fetch(&world, &pending)), Err(Trouble::Final(_))));
    }

    #[test]
    fn who_is_not_let_in_has_an_old_path_and_asks_for_a_new_one() {
        for status in [401, 403] {
            let (pending, encrypted) = pending(&[1; 500]);
            let mut world = World::new(move |head, _| {
                if head.url.contains("/v/new") { Ok((200, encrypted.clone())) } else { Ok((status, Vec::new())) }
            });
            world.new_path = Ok("/v/new".into());
            assert!(ready(fetch(&world, &pending)).is_ok());
            assert_eq!(world.requests.borrow().len(), 2, "another host would say the same");
        }
    }

    #[test]
    fn the_librarys_downloads_carry_no_credential_either() {
        for (url, expected) in [
            ("https://h/v/x.enc?ccb=1&oh=2?auth=a%2Bb&token=t", "https://h/v/x.enc?ccb=1&oh=2"),
            ("https://h/v/x.enc?auth=a&token=t", "https://h/v/x.enc"),
            ("https://h/v/x.enc?auth=a&token=t&mms-type=md-msg-hist", "https://h/v/x.enc?mms-type=md-msg-hist"),
            ("https://h/v/x.enc", "https://h/v/x.enc"),
        ] {
            assert_eq!(without_credential(url), expected);
        }
    }

    #[test]
    fn trouble_on_the_way_is_temporary_and_the_next_host_is_tried() {
        let (pending, encrypted) = pending(&[1; 500]);
        let world = World::new(move |head, _| {
            if head.url.starts_with("https://one") {
                Err(Trouble::Temporary("reset".into()))
            } else {
                Ok((200, encrypted.clone()))
            }
        });
        assert!(ready(fetch(&world, &pending)).is_ok());
        let world = World::new(|_, _| Ok((500, Vec::new())));
        assert_eq!(ready(fetch(&world, &pending)), Err(Trouble::Temporary("the media host answered 500".into())));
    }

    #[test]
    fn a_message_without_a_key_has_no_file_for_us() {
        let (mut pending, _) = pending(&[1; 500]);
        pending.key.clear();
        let world = World::new(|_, _| Ok((200, Vec::new())));
        assert!(matches!(ready(fetch(&world, &pending)), Err(Trouble::Final(_))));
        assert!(world.requests.borrow().is_empty());
    }
}
