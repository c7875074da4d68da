//! Receives an uploaded component into memory, within its limit, with the optional signature.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use poem::web::Field;
use poem_openapi::registry::MetaSchema;
use pombo_domain::Error;

use pombo_api::body::LimitedMultipart;
use pombo_api::error::Failure;
use pombo_api::multipart::{FORM_BYTES, Form, Multipart, Pieces, inline, unknown_part};

/// Maximum length of the signature, in bytes of base64.
const SIGNATURE_BYTES: usize = 1024;

/// The form of an upload.
pub(crate) struct ComponentForm;

impl Form for ComponentForm {
    const NAME: &'static str = "PluginUpload";

    fn schema() -> MetaSchema {
        let component = MetaSchema {
            description: Some("The compiled component, as a file."),
            ..MetaSchema::new_with_format("string", "binary")
        };
        let signature = MetaSchema {
            description: Some(
                "Ed25519, base64, over the line `pombo-plugin-v1` with its line feed and the 64 hexadecimal characters \
                 of the component's SHA-256.",
            ),
            ..MetaSchema::new("string")
        };
        MetaSchema {
            description: Some("A component."),
            required: vec!["component"],
            properties: vec![("component", inline(component)), ("signature", inline(signature))],
            ..MetaSchema::new("object")
        }
    }
}

/// The content of the form.
pub(crate) struct Component {
    pub(crate) bytes: Bytes,
    pub(crate) signature: Option<Vec<u8>>,
}

/// The most that a form with a component of `limit` bytes may have.
pub(crate) fn form_limit(limit: u64) -> u64 {
    limit + FORM_BYTES
}

/// Reads a form, the component at most `limit` bytes of it.
pub(crate) async fn receive(form: Multipart<'_, ComponentForm>, limit: u64) -> Result<Component, Failure> {
    let mut form = form.open(form_limit(limit)).await?;
    match read_parts(&mut form, limit).await {
        Ok(component) => Ok(component),
        Err(failure) => {
            form.discard().await;
            Err(failure)
        }
    }
}

async fn read_parts(form: &mut LimitedMultipart, limit: u64) -> Result<Component, Failure> {
    let (mut component, mut signature) = (None, None);
    while let Some(part) = form.next().await? {
        let name = part.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "component" if component.is_some() => return Err(Error::invalid(name, "was given twice").into()),
            "signature" if signature.is_some() => return Err(Error::invalid(name, "was given twice").into()),
            "component" => component = Some(whole(form, part, limit, &name).await?),
            "signature" => {
                let text = whole(form, part, SIGNATURE_BYTES as u64, &name).await?;
                let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
                let decoded = STANDARD.decode(text);
                signature = Some(decoded.map_err(|_| Error::invalid("signature", "must be base64"))?);
            }
            _ => return Err(unknown_part(&name, "known are component and signature")),
        }
    }
    let bytes = component.ok_or_else(|| Error::invalid("component", "send the compiled component as this part"))?;
    Ok(Component { bytes, signature })
}

async fn whole(form: &LimitedMultipart, part: Field, limit: u64, name: &str) -> Result<Bytes, Failure> {
    let mut pieces = Pieces::of(part);
    let mut whole = BytesMut::new();
    while let Some(piece) = pieces.next(form).await? {
        if (whole.len() + piece.len()) as u64 > limit {
            return Err(Failure::too_large(format!("{name}: must be at most {limit} bytes")));
        }
        whole.extend_from_slice(piece);
    }
    Ok(whole.freeze())
}
