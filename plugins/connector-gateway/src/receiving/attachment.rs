//! The file of a received message: stored at once where the webhook has it, fetched later where it has a link.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use pombo_plugin::connector::events::{Attachment, MediaKind, MediaState};

use super::Refusal;
use super::content::{File, Source};
use crate::files::Job;
use crate::gateway::Gateway;
use crate::outside::{Outside, Trouble};

/// A file, and what is to be fetched. `text` is the file in base64, if the webhook has it.
pub(super) async fn of(
    gateway: &Gateway<impl Outside>,
    chat: &str,
    id: &str,
    file: File,
    text: Option<String>,
) -> Result<(Attachment, Option<Job>), Refusal> {
    let File { kind, content_type, filename, size, caption, source } = file;
    let stored_as = filename.clone().unwrap_or_else(|| format!("{}.{}", word(kind), extension(&content_type, kind)));
    let (media, job) = match source {
        Source::Base64(_) => (stored(gateway, chat, id, (stored_as, content_type.clone()), text).await?, None),
        Source::Link(url) => {
            let (chat, id, since) = (chat.to_owned(), id.to_owned(), gateway.outside.now_millis());
            let content_type = content_type.clone();
            let job = Job { chat, id, url, filename: stored_as, content_type, since, failures: 0, due: 0 };
            if gateway.files.knows(&job) {
                // The same webhook again: the message is stored already, and this state of its file is not.
                (MediaState::Pending, None)
            } else if gateway.files.have_room() {
                (MediaState::Pending, Some(job))
            } else {
                return Err(Refusal::Later("too many files wait to be fetched".to_owned()));
            }
        }
        Source::Nowhere => (failed("the gateway passes on neither the file nor a link to it"), None),
    };
    Ok((Attachment { kind, media, filename, content_type, size, caption }, job))
}

/// Stores the file of a message, named `names.0` and of the type `names.1`, unless the same webhook came before.
async fn stored(
    gateway: &Gateway<impl Outside>,
    chat: &str,
    id: &str,
    names: (String, String),
    text: Option<String>,
) -> Result<MediaState, Refusal> {
    let key = format!("{chat}/{id}");
    if let Some(stored) = gateway.stored.get(&key) {
        return Ok(MediaState::Ready(stored));
    }
    let Some(bytes) = text.and_then(decoded) else { return Ok(failed("the webhook's base64 is malformed")) };
    match gateway.outside.store(names.0, names.1, bytes).await {
        Ok(stored) => {
            gateway.stored.note(key, stored.clone());
            Ok(MediaState::Ready(stored))
        }
        Err(Trouble::Final(why)) => Ok(MediaState::Failed(why)),
        Err(trouble) => Err(trouble.into()),
    }
}

fn failed(why: &str) -> MediaState {
    MediaState::Failed(why.to_owned())
}

fn word(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
        MediaKind::Voice => "voice",
        MediaKind::Document => "document",
        MediaKind::Sticker => "sticker",
    }
}

/// The usual ending of files of this type.
fn extension(content_type: &str, kind: MediaKind) -> &'static str {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "image/jpeg" | "image/jpg" => "jpg",
        "image/png" => "png",
        "image/webp" => "webp",
        "image/gif" => "gif",
        "video/mp4" => "mp4",
        "video/3gpp" => "3gp",
        "video/quicktime" => "mov",
        "audio/ogg" | "audio/opus" => "ogg",
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/mp4" | "audio/m4a" | "audio/x-m4a" => "m4a",
        "audio/aac" => "aac",
        "audio/amr" => "amr",
        "application/pdf" => "pdf",
        _ => match kind {
            MediaKind::Image => "jpg",
            MediaKind::Video => "mp4",
            MediaKind::Audio | MediaKind::Voice => "ogg",
            MediaKind::Sticker => "webp",
            MediaKind::Document => "bin",
        },
    }
}

/// The bytes of a text in base64, also as a data URL, with or without padding.
fn decoded(mut text: String) -> Option<Vec<u8>> {
    text.retain(|c| !c.is_ascii_whitespace());
    let text = match text.strip_prefix("data:") {
        Some(url) => url.split_once(";base64,")?.1,
        None => text.as_str(),
    };
    STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok().filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::world::{World, ready};
    use crate::receiving::bench::{gateway, post, webhook};
    use pombo_plugin::connector::events::InboundContent;
    use serde_json::json;

    fn media(world: &World) -> MediaState {
        let message = world.messages().pop().expect("a message");
        let InboundContent::Attachment(attachment) = message.content else { panic!("a file") };
        attachment.media
    }

    #[test]
    fn a_link_is_fetched_later_and_once() {
        let (world, gateway) = gateway();
        let mut body = webhook(json!({"imageMessage": {"mimetype": "image/png", "caption": "veja"}}));
        body["mediaUrl"] = json!("https://g.example/media/1");
        assert_eq!(post(&gateway, "incoming", &body).0, 200);
        assert_eq!(media(&world), MediaState::Pending);
        assert_eq!(world.keys("file/"), ["file/5511999999999/3EB0ABC123456789"]);
        ready(world.batch(vec![crate::outside::delete("file/5511999999999/3EB0ABC123456789")])).expect("done");
        assert_eq!(post(&gateway, "incoming", &body).0, 200);
        assert!(world.keys("file/").is_empty(), "the second one is not fetched");
    }

    #[test]
    fn base64_is_stored_at_once() {
        let (world, gateway) = gateway();
        let mut body = webhook(json!({"documentMessage": {"fileName": "a.pdf", "mimetype": "application/pdf"}}));
        body["base64"] = json!("data:application/pdf;base64,JVBERg==");
        assert_eq!(post(&gateway, "incoming", &body).0, 200);
        let MediaState::Ready(stored) = media(&world) else { panic!("stored") };
        assert_eq!((stored.filename.as_str(), stored.size), ("a.pdf", 4));
        assert_eq!(*world.stored.borrow(), [b"%PDF".to_vec()]);
        assert_eq!(decoded("JVBE\nRg".to_owned()), Some(b"%PDF".to_vec()));
        for bad in ["%", "", "data:x"] {
            assert_eq!(decoded(bad.to_owned()), None, "{bad}");
        }
    }

    #[test]
    fn a_file_without_bytes_says_so() {
        let (world, gateway) = gateway();
        let body = webhook(json!({"imageMessage": {"url": "https://mmg.whatsapp.net/v/1.enc"}}));
        assert_eq!(post(&gateway, "incoming", &body).0, 200);
        let MediaState::Failed(why) = media(&world) else { panic!("failed") };
        assert!(why.contains("neither the file nor a link"), "{why}");
    }

    #[test]
    fn base64_that_comes_again_is_stored_once() {
        let (world, gateway) = gateway();
        let mut body = webhook(json!({"imageMessage": {"base64": "AAEC"}}));
        world.failing.set(1);
        assert_eq!(post(&gateway, "incoming", &body).0, 503);
        for _ in 0..2 {
            assert_eq!(post(&gateway, "incoming", &body).0, 200);
        }
        assert_eq!(*world.stored.borrow(), [vec![0, 1, 2]]);
        assert_eq!(world.messages().len(), 2);
        body["key"]["id"] = json!("ANOTHER");
        assert_eq!(post(&gateway, "incoming", &body).0, 200);
        assert_eq!(world.stored.borrow().len(), 2);
    }

    #[test]
    fn when_too_many_files_wait_the_webhook_is_to_be_repeated() {
        let (world, gateway) = gateway();
        let mut body = webhook(json!({"imageMessage": {}}));
        body["mediaUrl"] = json!("https://g.example/media/1");
        let mut n = 0;
        while gateway.files.have_room() {
            body["key"]["id"] = json!(format!("{n}"));
            assert_eq!(post(&gateway, "incoming", &body).0, 200);
            n += 1;
        }
        body["key"]["id"] = json!("ONE MORE");
        assert_eq!(post(&gateway, "incoming", &body).0, 503);
        assert_eq!(world.messages().len(), n);
    }
}
