//! The engine's imports.

use std::time::Duration;

use pombo_plugin::clock;
use pombo_plugin::connector::{events, http, kv, media};

use crate::outside::{Outside, Trouble, Wanted};

/// How much of a file is moved at once.
const PIECE: u32 = 256 << 10;

/// The engine that runs this plugin.
#[derive(Debug)]
pub(crate) struct Engine;

fn of_http(error: http::Error) -> Trouble {
    match error {
        http::Error::Refused(why) => {
            Trouble::Final(format!("the file's link may not be opened: {why}; the setting mediaHost allows a host"))
        }
        http::Error::Invalid(why) => Trouble::Final(format!("the file's link is malformed: {why}")),
        http::Error::NotConnected(why) => Trouble::Temporary(format!("no connection to the file's host: {why}")),
        http::Error::Interrupted(why) => Trouble::Temporary(format!("the file did not come as a whole: {why}")),
        http::Error::TooLarge(_) => Trouble::Final("the file is too large".to_owned()),
    }
}

fn of_media(error: media::Error) -> Trouble {
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

    async fn fetch(&self, wanted: Wanted) -> Result<events::StoredMedia, Trouble> {
        let head = http::RequestHead {
            method: "GET".to_owned(),
            url: wanted.url,
            headers: wanted.headers,
            content_length: 0,
            timeout_millis: None,
        };
        let exchange = http::Exchange::start(head).await.map_err(of_http)?;
        let head = exchange.finish().await.map_err(of_http)?;
        match head.status {
            200..=299 => {}
            408 | 425 | 429 | 500..=599 => {
                return Err(Trouble::Temporary(format!("the file's host answered {}", head.status)));
            }
            status => return Err(Trouble::Final(format!("the file's host answered {status}"))),
        }
        let upload = media::Upload::start(wanted.filename, wanted.content_type).await.map_err(of_media)?;
        loop {
            let piece = exchange.read(PIECE).await.map_err(of_http)?;
            if piece.is_empty() {
                break;
            }
            upload.write(piece).await.map_err(of_media)?;
            give_way().await;
        }
        upload.finish().await.map(stored).map_err(of_media)
    }

    async fn store(
        &self,
        filename: String,
        content_type: String,
        bytes: Vec<u8>,
    ) -> Result<events::StoredMedia, Trouble> {
        let upload = media::Upload::start(filename, content_type).await.map_err(of_media)?;
        for piece in bytes.chunks(PIECE as usize) {
            upload.write(piece.to_vec()).await.map_err(of_media)?;
            give_way().await;
        }
        upload.finish().await.map(stored).map_err(of_media)
    }
}
