//! A tenant's file as an answer. It is never shown as a page of this origin: it is always a download, its type is not guessed, and
//! nothing in it may run.

use poem::http::{HeaderValue, StatusCode, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::{Binary, Payload};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use pombo_domain::TenantIndex;
use pombo_domain::commands::Commands;
use uuid::Uuid;

use crate::error::Failure;

/// The type of a file of which no other is known.
pub const FALLBACK_TYPE: &str = "application/octet-stream";

/// A file's bytes, streamed from disk.
pub struct Download {
    file: tokio::fs::File,
    size: u64,
    content_type: String,
    file_name: String,
}

impl Download {
    /// Opens a tenant's file; 404 if it is not there. `content_type` and `file_name` are what the answer says of it.
    pub async fn open(
        commands: &Commands,
        tenant: TenantIndex,
        id: Uuid,
        content_type: String,
        file_name: String,
    ) -> Result<Self, Failure> {
        let unreadable = |cause: String| Failure {
            cause: Some(format!("opening a media file: {cause}")),
            ..Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the file could not be read")
        };
        let size = commands.media().stat(tenant, id).await.map_err(|error| unreadable(error.to_string()))?;
        let size = size.ok_or_else(|| Failure::not_found("File"))?;
        let file = tokio::fs::File::open(commands.media().path(tenant, id)).await;
        let file = file.map_err(|error| unreadable(error.to_string()))?;
        Ok(Self { file, size, content_type, file_name })
    }
}

impl IntoResponse for Download {
    fn into_response(self) -> Response {
        let mut response = Response::builder().body(Body::from_async_read(self.file));
        let headers = response.headers_mut();
        let fixed = [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
            (header::CACHE_CONTROL, "private, max-age=3600"),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let content_type = HeaderValue::from_str(&self.content_type);
        headers.insert(header::CONTENT_TYPE, content_type.unwrap_or(HeaderValue::from_static(FALLBACK_TYPE)));
        if let Ok(disposition) = HeaderValue::from_str(&disposition(&self.file_name)) {
            headers.insert(header::CONTENT_DISPOSITION, disposition);
        }
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.size));
        response
    }
}

impl ApiResponse for Download {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: "*/*", schema: Binary::<Body>::schema_ref() }];
        let response = MetaResponse {
            description: "The file, as a download.",
            status: Some(200),
            status_range: None,
            content,
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_registry: &mut Registry) {}
}

/// A download's name: plain ASCII for old readers, and all of it percent-encoded (RFC 6266).
fn disposition(file_name: &str) -> String {
    let plain: String =
        file_name.chars().map(|c| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' }).collect();
    let mut encoded = String::with_capacity(file_name.len());
    for byte in file_name.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn a_file_name_can_not_leave_its_header() {
        assert_eq!(disposition("a b.pdf"), "attachment; filename=\"a b.pdf\"; filename*=UTF-8''a%20b.pdf");
        let hostile = disposition("x\"; filename=evil.html\r\nX-A: 1é");
        assert!(!hostile.contains(['\r', '\n']) && hostile.is_ascii());
        assert_eq!(hostile.matches('"').count(), 2);
    }
}
