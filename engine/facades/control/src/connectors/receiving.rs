//! Section Receiving: requests that a channel makes to a connector. What they mean is the plugin's business; its answer is passed on as
//! it is.

use std::sync::Arc;

use poem::http::{HeaderValue, StatusCode, header};
use poem::web::Data;
use poem::{IntoResponse, Request, RequestBody, Response};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::registry::{
    MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Object, OpenApi};
use pombo_domain::commands::connectors::receiving::{self as domain, ReceiverRef};
use pombo_domain::ports::ReceivedResponse;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::wire::{PathId, READ, Refused, WRITE};
use pombo_api::error::{Failure, status};
use pombo_api::options::ApiState;
use pombo_api::receiving::{Arrived, receive};

/// What a request of a channel may be refused with.
const RECEIVE: u16 =
    status::BAD_REQUEST | status::UNAUTHORIZED | status::FORBIDDEN | status::TOO_LARGE | status::UNAVAILABLE;

#[derive(Default)]
pub(crate) struct Receiving;

impl pombo_api::Section for Receiving {
    const FILE: &'static str = file!();
}

/// How a channel reaches a connector.
#[derive(Object)]
pub(crate) struct ConnectorReceiving {
    /// The URL that the channel calls, without the path at its end: which paths there are depends on the plugin.
    url: String,
    /// The secret that the channel's requests must have.
    secret: String,
    /// What the connector's plugin can do. Without `receive` it takes no requests.
    features: Vec<String>,
}

impl ConnectorReceiving {
    fn of(state: &ApiState, receiving: domain::Receiving) -> Self {
        let domain::Receiving { connector, epoch, features } = receiving;
        let links = &state.receive_links;
        Self { url: links.url(connector), secret: links.secret(connector, epoch), features }
    }
}

/// A request of any type, with a body or without.
pub(crate) struct AnyRequest<const BODY: bool> {
    arrived: Arrived,
    named: ReceiverRef,
    path: String,
}

impl<'a, const BODY: bool> ApiExtractor<'a> for AnyRequest<BODY> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(_: &mut Registry) {}

    fn request_meta() -> Option<MetaRequest> {
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
        let content = vec![MetaMediaType { content_type: "*/*", schema }];
        BODY.then_some(MetaRequest { description: Some("At most 3 MB."), content, required: false })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        // Read from the path: poem gives the parameters of documented operations names of its own. No id has a slash.
        let (address, path) = request.uri().path().split_once("/receive/").unwrap_or_default();
        // A text that is no UUID names none, which is answered as one that is not there.
        let id = address.rsplit('/').next().and_then(|id| Uuid::try_parse(id).ok()).unwrap_or(Uuid::nil());
        let (named, path) = (ReceiverRef::Id(id), path.to_owned());
        Ok(Self { arrived: Arrived::read(request, body, named).await?, named, path })
    }
}

/// The plugin's answer, passed on.
pub(crate) struct Relayed(ReceivedResponse);

impl IntoResponse for Relayed {
    fn into_response(self) -> Response {
        let ReceivedResponse { status, content_type, body } = self.0;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        let octets = HeaderValue::from_static("application/octet-stream");
        let content_type =
            HeaderValue::from_str(&content_type).ok().filter(|given| !given.is_empty()).unwrap_or(octets);
        let mut response = Response::builder().status(status).body(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, content_type);
        // A plugin's page must not act as one of this engine's.
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
        response
    }
}

impl ApiResponse for Relayed {
    fn meta() -> MetaResponses {
        let response = |status, description| {
            let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
            let content = vec![MetaMediaType { content_type: "*/*", schema }];
            MetaResponse { description, status, status_range: None, content, headers: Vec::new() }
        };
        let responses = vec![
            response(Some(200), "The plugin has taken the request; what it reported is stored."),
            response(None, "Another answer of the plugin."),
        ];
        MetaResponses { responses }
    }
    fn register(_: &mut Registry) {}
}

/// Passes a request to a connector.
async fn relayed<const BODY: bool>(state: &ApiState, request: AnyRequest<BODY>) -> Result<Relayed, Failure> {
    Ok(Relayed(receive(state, request.named, request.path, request.arrived).await?))
}

#[OpenApi(tag = "Section::Receiving")]
impl Receiving {
    /// Show how a channel reaches a connector
    ///
    /// With the secret that the channel's requests must have.
    #[oai(path = "/v1/connectors/:id/receiving", method = "get", operation_id = "get_connector_receiving")]
    async fn get_connector_receiving(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<ConnectorReceiving>, Refused<READ>> {
        let receiving = state.commands.get_receiving(acting.tenant, id.of("Connector")?)?;
        Ok(Json(ConnectorReceiving::of(&state, receiving)))
    }

    /// Change the secret with which a channel reaches a connector
    ///
    /// The old one is refused from now on.
    #[oai(path = "/v1/connectors/:id/receiving/rotate", method = "post", operation_id = "rotate_connector_receiving")]
    async fn rotate_connector_receiving(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<ConnectorReceiving>, Refused<{ READ | WRITE }>> {
        let receiving = state.commands.rotate_receiving(acting.tenant, id.of("Connector")?).await?;
        Ok(Json(ConnectorReceiving::of(&state, receiving)))
    }

    /// Call a connector as its channel
    ///
    /// The only credential is the connector's secret: as `secret` or `token` in the query, in the header `X-Webhook-Secret`, as
    /// `Authorization: Bearer`, or as the key of `X-Webhook-Signature` (the HMAC-SHA256 of the body in hexadecimal, also with `sha256=`
    /// before it). Where the connector's plugin describes how the channel proves its requests, such a proof does as well, and a request
    /// with neither is answered with 403. The plugin gets everything else of the query and the headers, and the body as it came. What the
    /// plugin answers is the answer; if connectors share the address, each gets the request, and 503 asks to repeat it for all of them.
    #[oai(path = "/v1/connectors/:id/receive/*path", method = "post", operation_id = "receive_request")]
    async fn receive_request(
        &self,
        state: Data<&Arc<ApiState>>,
        #[oai(name = "id")] _id: Path<PathId>,
        /// The connector's secret, where it is not in a header.
        #[oai(name = "secret")]
        _secret: Query<Option<String>>,
        request: AnyRequest<true>,
    ) -> Result<Relayed, Refused<RECEIVE>> {
        Ok(relayed(&state, request).await?)
    }

    /// Call a connector as its channel, without a body
    ///
    /// As with POST: some channels ask so whether the URL is the right one.
    #[oai(path = "/v1/connectors/:id/receive/*path", method = "get", operation_id = "receive_query")]
    async fn receive_query(
        &self,
        state: Data<&Arc<ApiState>>,
        #[oai(name = "id")] _id: Path<PathId>,
        /// The connector's secret, where it is not in a header.
        #[oai(name = "secret")]
        _secret: Query<Option<String>>,
        request: AnyRequest<false>,
    ) -> Result<Relayed, Refused<RECEIVE>> {
        Ok(relayed(&state, request).await?)
    }
}
