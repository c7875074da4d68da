//! One file from the engine's store to a media host, encrypted on the way. The host names a file by the hash of its encrypted form,
//! so the file is read twice: once for the hashes, once to send it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use wacore::download::MediaType;
use wacore::upload::{EncryptedMediaInfo, MediaEncryptor, encrypted_len};

use super::outside::{Exchange, Files, Head, Hosts, Trouble};
use super::{Look, PIECE};

/// What a message says about its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Uploaded {
    pub(crate) url: String,
    pub(crate) direct_path: String,
    pub(crate) key: [u8; 32],
    pub(crate) key_at_secs: i64,
    pub(crate) sha256: [u8; 32],
    pub(crate) encrypted_sha256: [u8; 32],
    pub(crate) size: u64,
    /// For audio and video: lets a player begin before the end.
    pub(crate) sidecar: Option<Vec<u8>>,
    /// What else the message tells of the file.
    pub(crate) look: Look,
}

#[derive(Deserialize)]
struct Answer {
    url: String,
    direct_path: String,
}

/// Maximum number of bytes of a host's answer that are read.
const ANSWER: usize = 64 * 1024;

/// Uploads the file `id`.
pub(crate) async fn upload<O: Files + Hosts>(
    outside: &O,
    id: &str,
    media_type: MediaType,
    now_secs: i64,
) -> Result<Uploaded, Trouble> {
    let playable = matches!(media_type, MediaType::Audio | MediaType::Video);
    let encryptor = MediaEncryptor::new_with_sidecar(media_type, playable).map_err(unusable)?;
    let info = encrypt(outside, id, encryptor, None).await?;
    if info.file_length == 0 {
        return Err(Trouble::Final("the file is empty".to_owned()));
    }
    let length = encrypted_len(
        usize::try_from(info.file_length).map_err(|_| Trouble::Final("the file is too large".to_owned()))?,
    ) as u64;
    let token = URL_SAFE_NO_PAD.encode(info.file_enc_sha256);
    let mut last = Trouble::Temporary("WhatsApp did not name a media host".to_owned());
    for fresh in [false, true] {
        let route = outside.route(fresh).await?;
        let mut refused = false;
        for base in &route.bases {
            let path = media_type.upload_path();
            let url = format!("{base}{path}/{token}?auth={auth}&token={token}", auth = route.auth);
            match send(outside, id, media_type, &info, Head { method: "POST", url, content_length: length }).await {
                Ok(Sent::Taken(answer)) => {
                    return Ok(Uploaded {
                        url: answer.url,
                        direct_path: answer.direct_path,
                        key: info.media_key,
                        key_at_secs: now_secs,
                        sha256: info.file_sha256,
                        encrypted_sha256: info.file_enc_sha256,
                        size: info.file_length,
                        sidecar: info.streaming_sidecar,
                        look: Look::default(),
                    });
                }
                Ok(Sent::Refused(401 | 403)) => {
                    refused = true;
                    last = Trouble::Temporary("the media host does not accept this session".to_owned());
                    break;
                }
                // A host may refuse a file for good, e.g. for its size; another one would as well.
                Ok(Sent::Refused(413 | 415)) => {
                    return Err(Trouble::Final("WhatsApp does not accept a file of this size or kind".to_owned()));
                }
                Ok(Sent::Refused(status)) => last = Trouble::Temporary(format!("the media host answered {status}")),
                Err(Trouble::Temporary(why)) => last = Trouble::Temporary(why),
                Err(other) => return Err(other),
            }
        }
        if !refused {
            break;
        }
    }
    Err(last)
}

enum Sent {
    Taken(Answer),
    Refused(u16),
}

async fn send<O: Files>(
    outside: &O,
    id: &str,
    media_type: MediaType,
    info: &EncryptedMediaInfo,
    head: Head,
) -> Result<Sent, Trouble> {
    let mut exchange = outside.open(head).await?;
    // The sidecar is known from the first pass.
    let encryptor = MediaEncryptor::with_key_and_sidecar(info.media_key, media_type, false).map_err(unusable)?;
    let again = encrypt(outside, id, encryptor, Some(&mut exchange)).await?;
    if again.file_enc_sha256 != info.file_enc_sha256 {
        return Err(Trouble::Final("the file changed while it was sent".to_owned()));
    }
    let opened = exchange.finish().await?;
    let mut body = Vec::new();
    loop {
        let piece = exchange.read(PIECE).await?;
        if piece.is_empty() {
            break;
        }
        body.extend(piece);
        if body.len() > ANSWER {
            return Err(Trouble::Temporary("the media host answered with something unexpected".to_owned()));
        }
    }
    if opened.status >= 400 {
        return Ok(Sent::Refused(opened.status));
    }
    serde_json::from_slice(&body)
        .map(Sent::Taken)
        .map_err(|_| Trouble::Temporary("the media host answered with something unexpected".to_owned()))
}

/// Reads the file through the encryptor, into the exchange where there is one.
async fn encrypt<O: Files>(
    outside: &O,
    id: &str,
    mut encryptor: MediaEncryptor,
    mut exchange: Option<&mut O::Exchange>,
) -> Result<EncryptedMediaInfo, Trouble> {
    let mut offset = 0;
    let mut out = Vec::new();
    loop {
        let piece = outside.read(id, offset, PIECE).await?;
        if piece.is_empty() {
            break;
        }
        offset += piece.len() as u64;
        out.clear();
        encryptor.update(&piece, &mut out);
        drop(piece);
        if let Some(exchange) = &mut exchange
            && !out.is_empty()
        {
            exchange.write(std::mem::take(&mut out)).await?;
        }
        outside.give_way().await;
    }
    out.clear();
    let info = encryptor.finalize(&mut out).map_err(unusable)?;
    if let Some(exchange) = exchange {
        exchange.write(out).await?;
    }
    Ok(info)
}

fn unusable(error: impl std::fmt::Display) -> Trouble {
    Trouble::Final(format!("the file cannot be encrypted: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::outside::world::World;
    use super::*;
    use crate::identity::ready;
    use wacore::download::DownloadUtils;

    fn taken() -> Result<(u16, Vec<u8>), Trouble> {
        Ok((200, br#"{"url":"https://one/x","direct_path":"/x"}"#.to_vec()))
    }

    fn file(len: usize) -> Vec<u8> {
        (0..len).map(|n| (n * 31 % 251) as u8).collect()
    }

    #[test]
    fn a_file_arrives_encrypted_and_was_never_whole_in_memory() {
        let mut world = World::new(|_, _| taken());
        let plain = file(3 * PIECE as usize + 17);
        world.files.insert("m".into(), plain.clone());
        let uploaded = ready(upload(&world, "m", MediaType::Video, 9)).expect("uploads");
        assert_eq!(
            (uploaded.url.as_str(), uploaded.direct_path.as_str(), uploaded.size),
            ("https://one/x", "/x", plain.len() as u64)
        );
        let requests = world.requests.borrow();
        let (url, body) = &requests[0];
        let token = URL_SAFE_NO_PAD.encode(uploaded.encrypted_sha256);
        assert_eq!(*url, format!("https://one/mms/video/{token}?auth=old&token={token}"));
        let decrypted = DownloadUtils::verify_and_decrypt(body, &uploaded.key, MediaType::Video).expect("decrypts");
        assert_eq!(decrypted, plain);
        assert!(world.largest_piece.get() <= PIECE as usize + 16);
        assert!(world.gave_way.get() >= 2 * 4, "at every piece, both times");
        let whole =
            wacore::upload::encrypt_media_with_key(&plain, MediaType::Video, Some(&uploaded.key)).expect("encrypts");
        assert_eq!(uploaded.sidecar, whole.streaming_sidecar);
        assert_eq!((uploaded.sha256, uploaded.encrypted_sha256), (whole.file_sha256, whole.file_enc_sha256));
    }

    #[test]
    fn a_host_that_does_not_let_us_in_is_asked_again_with_a_fresh_key() {
        let mut world =
            World::new(|head, _| if head.url.contains("auth=old") { Ok((401, Vec::new())) } else { taken() });
        world.files.insert("m".into(), file(100));
        assert!(ready(upload(&world, "m", MediaType::Image, 0)).is_ok());
        assert_eq!(*world.routes.borrow(), [false, true]);
        assert_eq!(world.requests.borrow().len(), 2, "the second host was not tried with the old key");
    }

    #[test]
    fn the_next_host_is_tried_and_the_last_problem_told() {
        let mut world = World::new(|head, _| {
            if head.url.starts_with("https://one") { Err(Trouble::Temporary("no route".into())) } else { taken() }
        });
        world.files.insert("m".into(), file(100));
        assert!(ready(upload(&world, "m", MediaType::Image, 0)).is_ok());
        world.answer = std::rc::Rc::new(Box::new(|_, _| Ok((503, Vec::new()))));
        assert_eq!(
            ready(upload(&world, "m", MediaType::Image, 0)),
            Err(Trouble::Temporary("the media host answered 503".into()))
        );
        world.answer = std::rc::Rc::new(Box::new(|_, _| Ok((413, Vec::new()))));
        assert!(matches!(ready(upload(&world, "m", MediaType::Image, 0)), Err(Trouble::Final(_))));
        world.answer = std::rc::Rc::new(Box::new(|_, _| Ok((200, b"<html>".to_vec()))));
        assert!(matches!(ready(upload(&world, "m", MediaType::Image, 0)), Err(Trouble::Temporary(_))));
    }

    #[test]
    fn a_file_that_is_not_there_or_empty_is_refused() {
        let mut world = World::new(|_, _| taken());
        world.files.insert("empty".into(), Vec::new());
        assert!(matches!(ready(upload(&world, "empty", MediaType::Image, 0)), Err(Trouble::Final(_))));
        assert!(matches!(ready(upload(&world, "none", MediaType::Image, 0)), Err(Trouble::Final(_))));
        assert!(world.requests.borrow().is_empty());
    }
}
