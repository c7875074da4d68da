//! Media: upload, look-up, download, deletion. It runs under the world's lock.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Method;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::call::{Call, Reply, parts};
use crate::errors::GraphError;
use crate::knobs::Digest;
use crate::limits::DAY;
use crate::world::{Media, World};

/// How long the URL of a look-up lives.
const URL_LIFE: i64 = 5 * 60 * 1000;

/// Types that may be uploaded, in the order of Meta's text.
const TYPES: &[&str] = &[
    "audio/aac",
    "audio/mp4",
    "audio/mpeg",
    "audio/amr",
    "audio/ogg",
    "audio/opus",
    "application/vnd.ms-powerpoint",
    "application/msword",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/pdf",
    "text/plain",
    "application/vnd.ms-excel",
    "image/jpeg",
    "image/png",
    "image/webp",
    "video/mp4",
    "video/3gpp",
];

/// `POST /{phone_id}/media`.
pub(crate) fn upload(world: &mut World, call: &Call, number: usize) -> Result<Reply, GraphError> {
    let parts = parts(&call.content_type, &call.body);
    let text = |name: &str| {
        parts.iter().find(|part| part.name == name).map(|part| String::from_utf8_lossy(&part.bytes).trim().to_owned())
    };
    match text("messaging_product").as_deref() {
        Some("whatsapp") => {}
        None => return Err(GraphError::form("The parameter messaging_product is required.")),
        Some(other) => {
            return Err(GraphError::form(format!(
                "Param messaging_product must be one of {{WHATSAPP}} - got \"{other}\"."
            )));
        }
    }
    let file = parts.iter().find(|part| part.name == "file" && part.filename.is_some());
    let Some(file) = file else { return Err(GraphError::form("The parameter file is required.")) };
    let mime =
        file.content_type.clone().or_else(|| text("type")).unwrap_or_else(|| "application/octet-stream".to_owned());
    if !TYPES.contains(&mime.as_str()) {
        return Err(GraphError::form(format!(
            "Param file must be a file with one of the following types: {}. Received file of type '{mime}'.",
            TYPES.join(", ")
        )));
    }
    let most = match mime.split('/').next().unwrap_or_default() {
        "image" => 5 << 20,
        "audio" | "video" => 16 << 20,
        _ => 100 << 20,
    };
    if file.bytes.len() > most {
        return Err(GraphError::coded(
            131_053,
            format!("File is too large: {} bytes, the limit is {most}", file.bytes.len()),
        ));
    }
    let waba = world.numbers.get(number).map(|number| number.waba.clone()).unwrap_or_default();
    let id = world.keep_media(waba, mime, file.bytes.clone(), 30 * DAY);
    Ok(Reply::json(json!({ "id": id })))
}

impl World {
    /// Keeps a file, and tells its id.
    pub(crate) fn keep_media(&mut self, waba: String, mime: String, bytes: Bytes, life: i64) -> String {
        let id = self.next().to_string();
        let sha256: [u8; 32] = Sha256::digest(&bytes).into();
        let expires = self.now() + life;
        self.media.insert(id.clone(), Media { waba, mime, bytes, sha256, expires });
        id
    }
}

/// `GET` and `DELETE /{media_id}`.
pub(crate) fn single(world: &mut World, call: &Call, id: &str) -> Result<Reply, GraphError> {
    let now = world.now();
    let unknown = || GraphError::unknown_object(call.method.as_str(), id);
    if call.method == Method::DELETE {
        return world.media.remove(id).map(|_| Reply::success()).ok_or_else(unknown);
    }
    let file = world.media.get(id).filter(|file| file.expires > now).ok_or_else(unknown)?;
    if let Some(number) = call.query.get("phone_number_id") {
        let waba = world.number(number).map(|number| world.numbers[number].waba.as_str());
        if waba != Some(file.waba.as_str()) {
            return Err(unknown());
        }
    }
    let sha256 = match world.knobs.sha256 {
        Digest::Hex => hex::encode(file.sha256),
        Digest::Base64 => STANDARD.encode(file.sha256),
    };
    let url = format!("{}/lookaside/{id}?ext={}", world.base, now + URL_LIFE);
    Ok(Reply::json(json!({
        "messaging_product": "whatsapp", "url": url, "mime_type": file.mime, "sha256": sha256,
        "file_size": file.bytes.len(), "id": id,
    })))
}

/// `GET /lookaside/{media_id}?ext=…`: the file, while the URL lives.
pub(crate) fn download(world: &World, call: &Call) -> Result<Reply, GraphError> {
    let id = call.segments.get(1).map(String::as_str).unwrap_or_default();
    let until: i64 = call.query.get("ext").and_then(|ext| ext.parse().ok()).unwrap_or(0);
    let file = world.media.get(id).filter(|file| until > world.now() && file.expires > world.now());
    match file {
        Some(file) => Ok(Reply { file: Some((file.mime.clone(), file.bytes.clone())), ..Reply::success() }),
        None => Err(GraphError::unknown_object("GET", id).with_http(404)),
    }
}
