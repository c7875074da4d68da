//! The engine's imports.

use std::time::Duration;

use pombo_plugin::clock;
use pombo_plugin::connector::{events, http, kv, media};
use sha2::{Digest, Sha256};

use crate::outside::{NotFetched, NotPosted, Outside, Posting, Trouble, Wanted};

/// How much of a file is moved at once.
const PIECE: u32 = 256 << 10;
/// How much of the answer to a file that is posted is read.
const ANSWER: usize = 64 << 10;

/// The engine that runs this plugin.
#[derive(Debug)]
pub(crate) struct Engine;

fn of_http(error: http::Error) -> NotFetched {
    NotFetched::Trouble(match error {
        http::Error::Refused(why) => {
            Trouble::Final(format!("the file's link may not be opened: {why}; the setting mediaHost allows a host"))
        }
        http::Error::Invalid(why) => Trouble::Final(format!("the file's link is malformed: {why}")),
        http::Error::NotConnected(why) => Trouble::Temporary(format!("no connection to the file's host: {why}")),
        http::Error::Interrupted(why) => Trouble::Temporary(format!("the file did not come as a whole: {why}")),
        http::Error::TooLarge(_) => Trouble::Final("the file is too large".to_owned()),
    })
}

fn of_media(error: media::Error) -> NotFetched {
    NotFetched::Trouble(trouble_of_media(error))
}

fn trouble_of_media(error: media::Error) -> Trouble {
    match error {
        media::Error::Refused(why) => Trouble::Final(format!("the engine refuses the file: {why}")),
        media::Error::NotFound => Trouble::Final("the file does not exist".to_owned()),
        media::Error::Invalid(why) => Trouble::Final(format!("the engine does not accept the file: {why}")),
        media::Error::TimedOut => Trouble::Temporary("the media store did not answer in time".to_owned()),
        media::Error::Unavailable(why) => Trouble::Temporary(format!("the media store: {why}")),
    }
}

fn stored(info: media::Info) -> events::StoredMedia {
    events::StoredMedia { id: info.id, filename: info.filename, content_type: info.content_type, size: info.size }
}

/// Lets the instance's other tasks run: a stream whose steps never have to wait would otherwise hold the processor for the whole file,
/// which the engine does not allow.
async fn give_way() {
    clock::sleep(Duration::from_millis(1)).await;
}

impl Outside for Engine {
    fn now_millis(&self) -> u64 {
        clock::now_millis()
    }

    async fn sleep(&self, time: Duration) {
        clock::sleep(time).await;
    }

    async fn call(&self, request: http::Request) -> Result<http::Response, http::Error> {
        http::send(request).await
    }

    async fn get(&self, key: String) -> Result<Option<Vec<u8>>, Trouble> {
        Ok(kv::get(key).await?)
    }

    async fn list(&self, prefix: String, after: Option<String>, limit: u32) -> Result<Vec<kv::Entry>, Trouble> {
        Ok(kv::list_prefix(prefix, after, limit).await?)
    }

    async fn batch(&self, changes: Vec<kv::Change>) -> Result<(), Trouble> {
        Ok(kv::batch(changes).await?)
    }

    async fn commit(&self, told: Vec<events::Event>, changes: Vec<kv::Change>) -> Result<(), Trouble> {
        Ok(events::commit(told, changes).await?)
    }

    async fn emit(&self, told: events::Event) -> Result<(), Trouble> {
        Ok(events::emit(told).await?)
    }

    async fn fetch(&self, wanted: Wanted) -> Result<events::StoredMedia, NotFetched> {
        let head = http::RequestHead {
            method: "GET".to_owned(),
            url: wanted.url,
            headers: wanted.headers,
            content_length: 0,
            timeout_millis: None,
        };
        let exchange = http::Exchange::start(head).await.map_err(of_http)?;
        let head = exchange.finish().await.map_err(of_http)?;
        let refused = |trouble: fn(String) -> Trouble| {
            NotFetched::Trouble(trouble(format!("the file's host answered {}", head.status)))
        };
        match head.status {
            200..=299 => {}
            404 | 410 => return Err(NotFetched::Gone),
            // A token that ended may be replaced.
            401 | 403 | 408 | 425 | 429 | 500..=599 => return Err(refused(Trouble::Temporary)),
            _ => return Err(refused(Trouble::Final)),
        }
        let upload = media::Upload::start(wanted.filename, wanted.content_type).await.map_err(of_media)?;
        let mut hash = Sha256::new();
        loop {
            let piece = exchange.read(PIECE).await.map_err(of_http)?;
            if piece.is_empty() {
                break;
            }
            if wanted.sha256.is_some() {
                hash.update(&piece);
            }
            upload.write(piece).await.map_err(of_media)?;
            give_way().await;
        }
        let digest: [u8; 32] = hash.finalize().into();
        if wanted.sha256.is_some_and(|expected| expected != digest) {
            return Err(NotFetched::Trouble(Trouble::Temporary("the file did not come as it was sent".to_owned())));
        }
        let info = upload.finish().await.map_err(of_media)?;
        Ok(stored(info))
    }

    async fn post(&self, posting: Posting) -> Result<http::Response, NotPosted> {
        let Posting { url, headers, before, media: id, size, after } = posting;
        let head = http::RequestHead {
            method: "POST".to_owned(),
            url,
            headers,
            content_length: (before.len() + after.len()) as u64 + size,
            timeout_millis: None,
        };
        let exchange = http::Exchange::start(head).await.map_err(NotPosted::Call)?;
        exchange.write(before).await.map_err(NotPosted::Call)?;
        let mut offset = 0;
        while offset < size {
            let left = u32::try_from(size - offset).unwrap_or(PIECE).min(PIECE);
            let piece = media::read(id.clone(), offset, left).await;
            let piece = piece.map_err(|error| NotPosted::File(trouble_of_media(error)))?;
            if piece.is_empty() {
                return Err(NotPosted::File(Trouble::Final("the file is shorter than it was".to_owned())));
            }
            offset += piece.len() as u64;
            exchange.write(piece).await.map_err(NotPosted::Call)?;
            give_way().await;
        }
        exchange.write(after).await.map_err(NotPosted::Call)?;
        let head = exchange.finish().await.map_err(NotPosted::Call)?;
        let mut body = Vec::new();
        loop {
            let piece = exchange.read(PIECE).await.map_err(NotPosted::Call)?;
            if piece.is_empty() {
                break;
            }
            body.extend(piece);
            if body.len() > ANSWER {
                return Err(NotPosted::Call(http::Error::TooLarge(body.len() as u64)));
            }
        }
        Ok(http::Response { status: head.status, headers: head.headers, body })
    }
}
