//! Section Hooks: other programs call automations. The URL itself is the only credential.

use std::sync::Arc;

use bytes::Bytes;
use poem::http::{StatusCode, header};
use poem::web::Data;
use poem::{Request, RequestBody};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions, OpenApi};
use pombo_domain::commands::automations::events::MAX_HOOK_BYTES;

use crate::Section;
use crate::automations::Accepted;
use crate::wire::{BODY, CHANNEL, Refused};
use pombo_api::error::{Failure, status};
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct Hooks;

impl pombo_api::Section for Hooks {
    const FILE: &'static str = file!();
}

/// A body of any type.
pub(crate) struct AnyBody {
    content_type: String,
    bytes: Bytes,
}

impl<'a> ApiExtractor<'a> for AnyBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(_: &mut Registry) {}

    fn request_meta() -> Option<MetaRequest> {
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        let content = vec![MetaMediaType { content_type: "*/*", schema }];
        Some(MetaRequest {
            description: Some("A text of at most 256 KB, such as JSON or a form."),
            content,
            required: false,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let content_type = request.header(header::CONTENT_TYPE).unwrap_or_default().to_owned();
        Ok(Self { content_type, bytes: pombo_api::body::read(request, body, MAX_HOOK_BYTES).await? })
    }
}

#[OpenApi(tag = "Section::Hooks")]
impl Hooks {
    /// Call an automation's webhook
    ///
    /// Needs no other credential than the URL. The plugin must listen to `webhook-called`. If there is no conversation with the
    /// address `to` yet, it is opened.
    #[oai(path = "/v1/hooks/:token", method = "post", operation_id = "call_hook")]
    async fn call_hook(
        &self,
        state: Data<&Arc<ApiState>>,
        /// Token from the URL of the automation's webhook.
        token: Path<String>,
        /// Address of the conversation, in the form that the connector's channel uses.
        #[oai(validator(min_length = 1, max_length = 320))]
        to: Query<String>,
        body: AnyBody,
    ) -> Result<Accepted, Refused<{ status::BAD_REQUEST | status::NOT_FOUND | BODY | CHANNEL }>> {
        let (tenant, id) = state.hook_links.open(&token.0).ok_or_else(|| Failure::not_found("Webhook"))?;
        let AnyBody { content_type, bytes } = body;
        let text = String::from_utf8(bytes.into())
            .map_err(|_| Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be text in UTF-8"))?;
        let made = state.commands.call_hook(tenant, id, &to.0, &content_type, text).await?;
        Ok(Accepted::Taken(Json(made.into())))
    }
}
