//! Files that Meta has already. A file is uploaded once for a number and type, and sent by the id that Meta gave; Meta keeps it 30 days.
//!
//! Keys: `upload/NUMBER/TYPE/FILE` has Meta's id and when it was given.

use pombo_plugin::connector::Attachment;
use pombo_plugin::random;
use serde::{Deserialize, Serialize};

use crate::answer::{self, Failure};
use crate::config::Config;
use crate::outside::{NotPosted, Outside, Posting, Trouble, delete, put};
use crate::recent::Recent;
use crate::url;

const PREFIX: &str = "upload/";
/// A day less than Meta keeps a file.
const KEPT_MILLIS: u64 = 29 * 24 * 60 * 60 * 1_000;
const PAGE: u32 = 512;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Known {
    id: String,
    at: u64,
}

/// Why Meta does not have the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NotUploaded {
    /// The engine does not give it.
    File(Trouble),
    Failure(Failure),
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Recent<Known, 512>);

fn key(config: &Config, file: &Attachment, content_type: &str) -> String {
    format!("{PREFIX}{}/{}/{}", config.phone, content_type.replace('/', "-"), file.media)
}

impl Uploads {
    /// Meta's id of a file, which is uploaded if Meta does not have it, or if it must be `anew`.
    pub(crate) async fn id(
        &self,
        outside: &impl Outside,
        config: &Config,
        file: &Attachment,
        content_type: &str,
        anew: bool,
    ) -> Result<String, NotUploaded> {
        let key = key(config, file, content_type);
        let now = outside.now_millis();
        if !anew {
            let known = match self.0.get(&key) {
                Some(known) => Some(known),
                // Where it cannot be read, the file is uploaded once more.
                None => outside.get(key.clone()).await.ok().flatten().and_then(|v| serde_json::from_slice(&v).ok()),
            };
            if let Some(known) = known.filter(|known: &Known| known.at.saturating_add(KEPT_MILLIS) > now) {
                return Ok(known.id);
            }
        }
        let id = upload(outside, config, file, content_type).await?;
        let known = Known { id: id.clone(), at: now };
        if let Ok(value) = serde_json::to_vec(&known) {
            // If it is not kept, the file is uploaded once more.
            let _ = outside.batch(vec![put(key.as_str(), value)]).await;
        }
        self.0.note(key, known);
        Ok(id)
    }
}

async fn upload(
    outside: &impl Outside,
    config: &Config,
    file: &Attachment,
    content_type: &str,
) -> Result<String, NotUploaded> {
    let boundary: String = random::bytes(16).iter().map(|byte| format!("{byte:02x}")).collect();
    let boundary = format!("pombo-{boundary}");
    let field = |name: &str, value: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let before = format!(
        "{}{}--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file\"\r\nContent-Type: {content_type}\r\n\r\n",
        field("messaging_product", "whatsapp"),
        field("type", content_type),
    );
    let posting = Posting {
        url: config.url(&format!("/{}/media", config.phone)),
        headers: Config::upload_headers(&boundary),
        before: before.into_bytes(),
        media: file.media.clone(),
        size: file.size,
        after: format!("\r\n--{boundary}--\r\n").into_bytes(),
    };
    let result = match outside.post(posting).await {
        Ok(response) => Ok(response),
        Err(NotPosted::File(trouble)) => return Err(NotUploaded::File(trouble)),
        Err(NotPosted::Call(error)) => Err(error),
    };
    let body = answer::read(result).map_err(NotUploaded::Failure)?;
    let id = body["id"].as_str().map(str::to_owned).or_else(|| body["id"].as_u64().map(|id| id.to_string()));
    let unclear = || NotUploaded::Failure(Failure::Unclear("Meta's API gave no id for the file".to_owned()));
    id.filter(|id| url::is_id(id)).ok_or_else(unclear)
}

/// Forgets what Meta does not have any more.
pub(crate) async fn sweep(outside: &impl Outside) -> Result<(), Trouble> {
    let end = outside.now_millis().saturating_sub(KEPT_MILLIS);
    let mut after = None;
    loop {
        let page = outside.list(PREFIX.to_owned(), after.take(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.key.clone());
        let is_old = |value: &[u8]| serde_json::from_slice::<Known>(value).map_or(true, |known| known.at <= end);
        let old: Vec<_> =
            page.iter().filter(|entry| is_old(&entry.value)).map(|entry| delete(entry.key.as_str())).collect();
        if !old.is_empty() {
            outside.batch(old).await?;
        }
    }
}

/// What an upload that failed is, as a failure of the message: nothing of that was sent.
pub(crate) fn failure(failed: NotUploaded) -> Result<Failure, Trouble> {
    match failed {
        NotUploaded::File(trouble) => Err(trouble),
        NotUploaded::Failure(Failure::Unclear(why)) => Err(Trouble::Temporary(why)),
        NotUploaded::Failure(failure) => Ok(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::bench::cloud;
    use crate::outside::world::ready;
    use pombo_plugin::connector::http;

    fn file() -> Attachment {
        Attachment {
            media: "018f0000-0000-7000-8000-00000000000f".to_owned(),
            filename: "foto.jpg".to_owned(),
            content_type: "image/jpeg".to_owned(),
            size: 7,
            url: None,
        }
    }

    #[test]
    fn a_file_is_uploaded_once_in_a_month() {
        let (world, cloud) = cloud("");
        let id = |anew: bool| ready(cloud.uploads.id(&world, &cloud.config, &file(), "image/jpeg", anew));
        world.upload(200, r#"{"id":"4490709327384033"}"#);
        assert_eq!(id(false), Ok("4490709327384033".to_owned()));
        assert_eq!(id(false), Ok("4490709327384033".to_owned()));
        let after = Uploads::default();
        let kept = ready(after.id(&world, &cloud.config, &file(), "image/jpeg", false));
        assert_eq!(kept, Ok("4490709327384033".to_owned()), "a restart knows it");
        assert_eq!(world.posted_files.borrow().len(), 1);
        let posting = world.posted_files.borrow()[0].clone();
        assert_eq!(posting.url, "https://graph.facebook.com/v26.0/106540352242922/media");
        let before = String::from_utf8(posting.before).expect("a text");
        assert!(
            before.contains("name=\"messaging_product\"\r\n\r\nwhatsapp") && before.ends_with("image/jpeg\r\n\r\n")
        );
        world.upload(200, r#"{"id":"2"}"#);
        assert_eq!(id(true), Ok("2".to_owned()));
        world.now.set(world.now.get() + KEPT_MILLIS);
        world.upload(200, r#"{"id":"3"}"#);
        assert_eq!(id(false), Ok("3".to_owned()));
        world.now.set(world.now.get() + KEPT_MILLIS);
        ready(sweep(&world)).expect("swept");
        assert!(world.keys(PREFIX).is_empty());
    }

    #[test]
    fn what_was_not_uploaded_was_not_sent() {
        let (world, cloud) = cloud("");
        world.uploads.borrow_mut().push_back(Err(NotPosted::Call(http::Error::Interrupted("x".to_owned()))));
        let failed = ready(cloud.uploads.id(&world, &cloud.config, &file(), "image/jpeg", false)).expect_err("broken");
        assert!(matches!(failure(failed), Err(Trouble::Temporary(_))));
        world.upload(400, r#"{"error":{"code":100,"message":"(#100) Param file must be a file"}}"#);
        let failed = ready(cloud.uploads.id(&world, &cloud.config, &file(), "image/jpeg", false)).expect_err("refused");
        assert!(matches!(failure(failed), Ok(Failure::Fault(_))));
    }
}
