//! Section Webhooks, as endpoints: the same records as the webhooks of connectors, listed for the whole tenant. An endpoint has the id of its
//! connector.

use std::sync::Arc;

use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_domain::commands::connectors::webhooks::{WebhookPatch, WebhookRequest, WebhookSet};
use pombo_domain::model::{self, HookKind, HookKinds};
use pombo_domain::ports::WebhookTested;
use pombo_domain::{Error, ErrorCode, Field, FieldProblem};
use serde::Deserialize;
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::concurrency::ConcurrencyLimit;
use crate::deps::ControlDeps;
use crate::wire::webhook::WebhookEvent;
use crate::wire::{BODY, CONFLICT, Created, Deleted, Instant, Page, PathId, READ, Refused, WRITE, body, page_of};
use pombo_api::error::{Failure, status};
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

/// Maximum number of tests at the same time: in all, and of one tenant.
const TESTS: usize = 32;
const TESTS_OF_ONE: usize = 2;

pub(crate) struct WebhookEndpoints {
    tests: ConcurrencyLimit,
}

impl Default for WebhookEndpoints {
    fn default() -> Self {
        Self { tests: ConcurrencyLimit::new(TESTS, TESTS_OF_ONE) }
    }
}

impl pombo_api::Section for WebhookEndpoints {
    const FILE: &'static str = file!();
}

/// A webhook endpoint to create.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateWebhookEndpoint {
    /// URL that is posted to, at most 2048 characters. It must be https, unless the operator allows http.
    #[oai(validator(min_length = 1, max_length = 2048))]
    url: String,
    /// The connector whose events are posted: exactly one, which has no endpoint yet.
    #[oai(validator(min_items = 1, max_items = 1))]
    connector_ids: Vec<Uuid>,
    /// What is posted, at least one; everything if omitted.
    #[oai(nullable, validator(min_items = 1))]
    events: Option<Vec<WebhookEvent>>,
    /// Whether anything is posted; true if omitted. What happens while it is false is never posted.
    #[oai(nullable)]
    enabled: Option<bool>,
    /// The secret that posts are signed with, at most 256 characters. If omitted, one is made and answered.
    #[oai(nullable, validator(min_length = 1, max_length = 256))]
    secret: Option<String>,
}

/// A change of a webhook endpoint. Omitted fields stay as they are.
#[derive(Object, Deserialize)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UpdateWebhookEndpoint {
    /// New URL, at most 2048 characters.
    #[oai(nullable, validator(min_length = 1, max_length = 2048))]
    url: Option<String>,
    /// The connector that the endpoint has: it cannot be given another one.
    #[oai(nullable, validator(min_items = 1, max_items = 1))]
    connector_ids: Option<Vec<Uuid>>,
    /// What is posted, at least one.
    #[oai(nullable, validator(min_items = 1))]
    events: Option<Vec<WebhookEvent>>,
    /// Whether anything is posted. An endpoint that a receiver ended with 410 is posted to again once it is true.
    #[oai(nullable)]
    enabled: Option<bool>,
    /// New secret, at most 256 characters.
    #[oai(nullable, validator(min_length = 1, max_length = 256))]
    secret: Option<String>,
}

/// A URL that is told what happens on a connector.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct WebhookEndpoint {
    /// Id of the endpoint, which is that of its connector.
    id: Uuid,
    /// URL that is posted to.
    url: String,
    /// The connector whose events are posted.
    connector_ids: Vec<Uuid>,
    /// What is posted.
    events: Vec<WebhookEvent>,
    /// Whether anything is posted.
    enabled: bool,
    /// The secret that was made because none was given; present only in the answer to the request that made it.
    #[oai(skip_serializing_if_is_none)]
    secret: Option<String>,
    /// When the receiver answered 410, which switched the endpoint off; absent if it did not.
    #[oai(skip_serializing_if_is_none)]
    gone_at: Option<Instant>,
    /// When it was last set.
    updated_at: Instant,
}

impl WebhookEndpoint {
    fn of(id: Uuid, webhook: &model::ConnectorWebhook, secret: Option<String>) -> Self {
        Self {
            id,
            url: webhook.url.clone(),
            connector_ids: vec![id],
            events: webhook.kinds.iter().map(WebhookEvent::from).collect(),
            enabled: webhook.active,
            secret,
            gone_at: webhook.gone_at.map(Instant),
            updated_at: Instant(webhook.updated_at),
        }
    }

    fn set(id: Uuid, set: WebhookSet) -> Self {
        Self::of(id, &set.webhook, set.made_secret)
    }
}

/// How a test ended.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct WebhookTest {
    /// Whether the receiver answered with 2xx.
    ok: bool,
    /// The HTTP status of the answer; absent if there was none.
    status: Option<u16>,
    /// Why there was no answer.
    error: Option<String>,
    /// How long it took, in milliseconds.
    took_ms: u32,
}

impl From<WebhookTested> for WebhookTest {
    fn from(tested: WebhookTested) -> Self {
        let WebhookTested { status, error, took_ms } = tested;
        Self { ok: status.is_some_and(|status| (200..300).contains(&status)), status, error, took_ms }
    }
}

/// The kinds of events that are named. An empty list is a problem.
fn kinds(events: Option<Vec<WebhookEvent>>, problems: &mut Vec<FieldProblem>) -> Option<HookKinds> {
    let events = events?;
    if events.is_empty() {
        problems.push(FieldProblem::new(Field::Events, "must name at least one event, or be left out"));
    }
    Some(events.into_iter().map(HookKind::from).collect())
}

/// The problems of a body, with those that the command would find in the rest of it.
fn refused(state: &ApiState, mut problems: Vec<FieldProblem>, url: Option<&str>, secret: Option<&str>) -> Error {
    problems.extend(state.commands.check_connector_webhook(url, secret));
    named(Error::invalid_fields(problems))
}

/// An error in the words of this wire: what a connector's own webhook calls `webhookUrl` is `url` here.
fn named(error: Error) -> Error {
    if error.code != ErrorCode::Invalid || error.fields.is_empty() {
        return error;
    }
    let rename = |problem: FieldProblem| match problem.field.only() {
        Some(Field::WebhookUrl) => FieldProblem { field: "url".into(), ..problem },
        _ => problem,
    };
    Error::invalid_fields(error.fields.into_iter().map(rename).collect())
}

#[OpenApi(tag = "Section::Webhooks")]
impl WebhookEndpoints {
    /// List the webhook endpoints
    ///
    /// Those of all connectors, in the order in which the connectors were created, without their secrets. Each is also the webhook of its
    /// connector.
    #[oai(path = "/v1/webhook-endpoints", method = "get", operation_id = "list_webhook_endpoints")]
    async fn list_webhook_endpoints(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// The `next` of the previous page.
        after: Query<Option<Uuid>>,
        /// Number of rows, from 1 to 250; 50 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "250")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<Page<WebhookEndpoint>>, Refused<READ>> {
        let found = state.commands.list_connector_webhooks(acting.tenant)?;
        let wire = |(id, webhook): (Uuid, Arc<model::ConnectorWebhook>)| WebhookEndpoint::of(id, &webhook, None);
        Ok(Json(page_of(found, |(id, _)| *id, after.0, limit.0, wire)?))
    }

    /// Create a webhook endpoint
    ///
    /// What is posted, and how, is that of a connector's webhook: see there.
    #[oai(path = "/v1/webhook-endpoints", method = "post", operation_id = "create_webhook_endpoint")]
    async fn create_webhook_endpoint(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        json: JsonBytes<CreateWebhookEndpoint>,
    ) -> Result<Created<WebhookEndpoint>, Refused<{ READ | BODY | CONFLICT | WRITE }>> {
        let CreateWebhookEndpoint { url, connector_ids, events, enabled, secret } = body(&json)?;
        let mut problems = Vec::new();
        let kinds = kinds(events, &mut problems).unwrap_or_else(HookKinds::all);
        let [id] = connector_ids[..] else {
            let message = "must name exactly one connector; create an endpoint for each";
            problems.push(FieldProblem::new(Field::Connectors, message));
            return Err(refused(&state, problems, Some(&url), secret.as_deref()).into());
        };
        if !problems.is_empty() {
            return Err(refused(&state, problems, Some(&url), secret.as_deref()).into());
        }
        let request = WebhookRequest { url, secret, kinds, active: enabled.unwrap_or(true) };
        let set = state.commands.create_connector_webhook(acting.tenant, id, request).await.map_err(named)?;
        Ok(Created::Made(Json(WebhookEndpoint::set(id, set))))
    }

    /// Get a webhook endpoint
    ///
    /// Without its secret.
    #[oai(path = "/v1/webhook-endpoints/:id", method = "get", operation_id = "get_webhook_endpoint")]
    async fn get_webhook_endpoint(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<WebhookEndpoint>, Refused<READ>> {
        let id = id.of("Webhook")?;
        let webhook = state.commands.get_connector_webhook(acting.tenant, id)?;
        Ok(Json(WebhookEndpoint::of(id, &webhook, None)))
    }

    /// Change a webhook endpoint
    #[oai(path = "/v1/webhook-endpoints/:id", method = "patch", operation_id = "update_webhook_endpoint")]
    async fn update_webhook_endpoint(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<UpdateWebhookEndpoint>,
    ) -> Result<Json<WebhookEndpoint>, Refused<{ READ | BODY | WRITE }>> {
        let id = id.of("Webhook")?;
        let UpdateWebhookEndpoint { url, connector_ids, events, enabled, secret } = body(&json)?;
        let mut problems = Vec::new();
        let kinds = kinds(events, &mut problems);
        if connector_ids.is_some_and(|ids| ids[..] != [id]) {
            let message = "must be the connector that it has; create another endpoint for another connector";
            problems.push(FieldProblem::new(Field::Connectors, message));
        }
        if !problems.is_empty() {
            // If the endpoint is not there, that is the answer, and not what is wrong with the change.
            state.commands.get_connector_webhook(acting.tenant, id)?;
            return Err(refused(&state, problems, url.as_deref(), secret.as_deref()).into());
        }
        let patch = WebhookPatch { url, secret, kinds, active: enabled };
        let set = state.commands.update_connector_webhook(acting.tenant, id, patch).await.map_err(named)?;
        Ok(Json(WebhookEndpoint::set(id, set)))
    }

    /// Delete a webhook endpoint
    ///
    /// What was still to be posted to it is given up.
    #[oai(path = "/v1/webhook-endpoints/:id", method = "delete", operation_id = "delete_webhook_endpoint")]
    async fn delete_webhook_endpoint(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Deleted, Refused<{ READ | WRITE }>> {
        state.commands.remove_connector_webhook(acting.tenant, id.of("Webhook")?).await?;
        Ok(Deleted::Done)
    }

    /// Test a webhook endpoint
    ///
    /// Posts once how the connector's session stands now, as `session.connected` or `session.disconnected`, signed like every post and with
    /// the header `X-Pombo-Test: true`; also where the endpoint is switched off. The answer says how it ended. It is not tried again, is in
    /// no list of deliveries, and no answer changes the endpoint.
    #[oai(path = "/v1/webhook-endpoints/:id/test", method = "post", operation_id = "test_webhook_endpoint")]
    async fn test_webhook_endpoint(
        &self,
        state: Data<&Arc<ApiState>>,
        deps: Data<&Arc<ControlDeps>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<WebhookTest>, Refused<{ READ | status::TOO_MANY | WRITE }>> {
        let webhook = state.commands.get_connector_webhook(acting.tenant, id.of("Webhook")?)?;
        let Some(_place) = self.tests.take(Some(acting.tenant)) else {
            let failure =
                Failure::new(StatusCode::TOO_MANY_REQUESTS, "webhooks are being tested already; wait for the answers");
            return Err(Failure { retry_after_ms: Some(1_000), ..failure }.into());
        };
        let tested = deps.webhook_tests.test_webhook(webhook.connector).await.map_err(Error::from)?;
        let tested = tested.ok_or_else(|| Error::not_found("Webhook"))?;
        Ok(Json(tested.into()))
    }
}
