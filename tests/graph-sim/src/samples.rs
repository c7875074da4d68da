//! Samples of templates' headers: an app's resumable upload, the handles that it gives out, and templates that name them. It runs under the
//! world's lock.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::call::{Call, Reply};
use crate::errors::GraphError;
use crate::knobs::Taken;
use crate::shape::upper;
use crate::world::{SampleUpload, Token, World};

/// Types that are taken as samples.
const TYPES: &[&str] = &["application/pdf", "image/jpeg", "image/jpg", "image/png", "video/mp4"];
/// The largest sample.
const MOST: usize = 100 << 20;

/// `POST /{app}/uploads?file_name&file_length&file_type`: begins an upload.
pub(crate) fn begin(world: &mut World, call: &Call, app: &str, token: &Token) -> Result<Reply, GraphError> {
    if call.method != Method::POST {
        return Err(GraphError::unknown_object(call.method.as_str(), app));
    }
    if token.app != app {
        return Err(GraphError::plain(10));
    }
    let required = |key: &str| {
        let value = call.value(key).filter(|value| !value.is_empty());
        value.ok_or_else(|| GraphError::form(format!("The parameter {key} is required.")))
    };
    let (length, mime) = (required("file_length")?, required("file_type")?);
    let length = length.parse::<usize>().ok().filter(|length| (1..=MOST).contains(length));
    let length = length.ok_or_else(|| GraphError::form("Param file_length must be a number of bytes."))?;
    if !TYPES.contains(&mime.as_str()) {
        let all = TYPES.join(", ");
        return Err(GraphError::form(format!("Param file_type must be one of {{{all}}} - got \"{mime}\".")));
    }
    let number = world.next();
    let id = URL_SAFE_NO_PAD.encode(format!("attachment:{number}?file_length={length}&file_type={mime}"));
    let signature = hex::encode(&Sha256::digest(number.to_be_bytes())[..8]);
    let answer = json!({ "id": format!("upload:{id}?sig={signature}") });
    let upload = SampleUpload { app: app.to_owned(), mime, length, signature, received: Vec::new() };
    world.uploads.insert(format!("upload:{id}"), upload);
    Ok(Reply::json(answer))
}

/// `/upload:…?sig=…`: the bytes of a sample, from `file_offset` on; or how many there are.
pub(crate) fn session(world: &mut World, call: &Call, id: &str, token: &Token) -> Result<Reply, GraphError> {
    let unknown = || GraphError::unknown_object(call.method.as_str(), id);
    let found = world.uploads.get_mut(id).ok_or_else(unknown)?;
    if found.app != token.app || call.query.get("sig") != Some(&found.signature) {
        return Err(unknown());
    }
    if call.method == Method::GET {
        return Ok(Reply::json(json!({ "id": id, "file_offset": found.received.len() })));
    }
    if call.method != Method::POST {
        return Err(unknown());
    }
    let Some(offset) = call.file_offset else {
        return Err(GraphError::form("The header file_offset is required."));
    };
    if offset != found.received.len() {
        let expected = found.received.len();
        return Err(GraphError::form(format!("The header file_offset must be {expected} - got {offset}.")));
    }
    if call.body.len() > found.length - found.received.len() {
        return Err(GraphError::form("The file is longer than its file_length."));
    }
    found.received.extend_from_slice(&call.body);
    if found.received.len() < found.length {
        return Err(GraphError::form("The file is shorter than its file_length."));
    }
    let Some(SampleUpload { mime, received, .. }) = world.uploads.remove(id) else { return Err(unknown()) };
    let number = world.next();
    let digest = STANDARD.encode(Sha256::digest(&received));
    let handle = format!("4::{}:{digest}:e:{number}", STANDARD.encode(&mime));
    world.handles.insert(handle.clone(), mime);
    Ok(Reply::json(json!({ "h": handle })))
}

/// Checks the handles in a template's headers, those of cards as well, and puts links to Meta's own copies in their place: this is what
/// Meta shows afterwards, and takes for no handle.
pub(crate) fn taken(world: &World, components: &mut Value) -> Result<(), GraphError> {
    for component in components.as_array_mut().into_iter().flatten() {
        let cards = component.get_mut("cards").and_then(Value::as_array_mut);
        for card in cards.into_iter().flatten() {
            if let Some(inner) = card.get_mut("components") {
                taken(world, inner)?;
            }
        }
        if upper(&component["type"]) != "HEADER" {
            continue;
        }
        let format = upper(&component["format"]);
        let handles = component.get_mut("example").and_then(|example| example.get_mut("header_handle"));
        for named in handles.and_then(Value::as_array_mut).into_iter().flatten() {
            let handle = named.as_str().unwrap_or_default();
            match world.handles.get(handle) {
                Some(mime) if fits(&format, mime) => {
                    let copy = hex::encode(Sha256::digest(handle));
                    *named = json!(format!("https://scontent.whatsapp.net/v/t61/{copy}?ccb=1-7"));
                }
                Some(mime) => {
                    let text = format!("The sample of a header of the format {format} is of the type {mime}.");
                    return Err(GraphError::content(2_388_047, text));
                }
                None if world.knobs.unknown_handles == Taken::Accept => {}
                None => {
                    let text = "The header's header_handle is not that of an uploaded sample.";
                    return Err(GraphError::content(2_388_047, text));
                }
            }
        }
    }
    Ok(())
}

fn fits(format: &str, mime: &str) -> bool {
    match format {
        "IMAGE" => mime.starts_with("image/"),
        "VIDEO" => mime.starts_with("video/"),
        "DOCUMENT" => mime == "application/pdf",
        _ => false,
    }
}
