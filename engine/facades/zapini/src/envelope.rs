//! The form of every answer but the instance API's: `{"success":true,"message"?,"data"}`, and for lists `meta.pagination` beside it.

use std::borrow::Cow;

use poem::http::StatusCode;
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;

use crate::params::Page;

/// A success with data, answered with `STATUS`.
pub struct Success<T, const STATUS: u16 = 200> {
    message: Option<Cow<'static, str>>,
    data: T,
}

/// A success that makes something.
pub type Created<T> = Success<T, 201>;

impl<T, const STATUS: u16> Success<T, STATUS> {
    /// With data alone.
    pub fn of(data: T) -> Self {
        Self { message: None, data }
    }
    /// With a message beside the data.
    pub fn saying(message: impl Into<Cow<'static, str>>, data: T) -> Self {
        Self { message: Some(message.into()), data }
    }
}

/// What was asked of WhatsApp: done, or still under way when the time was over. Both have the same form.
pub enum Settled<T> {
    /// It is done: 200.
    Done(T),
    /// Its outcome is still to come: 202.
    UnderWay(T),
}

/// A success that has only something to say.
pub struct Said(pub Cow<'static, str>);

/// A page of a list: `data` is the array itself.
pub struct Listed<T> {
    /// The rows of the page.
    pub data: Vec<T>,
    /// Which page it is.
    pub meta: Meta,
}

/// What stands beside a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Object)]
pub struct Meta {
    /// Where the page lies in the list.
    pub pagination: Pagination,
}

/// Where a page lies in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Object)]
pub struct Pagination {
    /// Number of all rows.
    pub total: u64,
    /// Maximum number of rows per page.
    pub per_page: u32,
    /// Number of this page, from 1.
    pub current_page: u32,
    /// Number of the last page; 1 for an empty list.
    pub last_page: u64,
}

impl Meta {
    /// Of a page of a list with `total` rows.
    pub fn of(page: Page, total: u64) -> Self {
        let Page { number, size } = page;
        let last_page = total.div_ceil(u64::from(size.max(1))).max(1);
        Self { pagination: Pagination { total, per_page: size, current_page: number, last_page } }
    }
}

#[derive(Serialize)]
struct Written<'a, T> {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Meta>,
}

fn written<T: Serialize>(status: u16, body: &Written<'_, T>) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            Response::builder().status(status).content_type("application/json").body(bytes)
        }
        // Reached only by a map whose keys are not texts; none of the wire types has one.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into(),
    }
}

impl<T: Serialize + Send, const STATUS: u16> IntoResponse for Success<T, STATUS> {
    fn into_response(self) -> Response {
        let body = Written { success: true, message: self.message.as_deref(), data: Some(&self.data), meta: None };
        written(STATUS, &body)
    }
}

impl IntoResponse for Said {
    fn into_response(self) -> Response {
        written(200, &Written::<()> { success: true, message: Some(&self.0), data: None, meta: None })
    }
}

impl<T: Serialize + Send> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        written(200, &Written { success: true, message: None, data: Some(&self.data), meta: Some(self.meta) })
    }
}

/// A success as the document shows it: what stands inside the envelope.
fn enveloped(status: u16, data: Option<MetaSchemaRef>, said: bool, listed: bool) -> MetaResponses {
    let text = |description| MetaSchema { description: Some(description), ..MetaSchema::new("string") };
    let flag = MetaSchema { description: Some("Always `true`."), ..MetaSchema::new("boolean") };
    let mut properties = vec![("success", MetaSchemaRef::Inline(Box::new(flag)))];
    let mut required = vec!["success"];
    properties.push(("message", MetaSchemaRef::Inline(Box::new(text("What was done, for people.")))));
    if said {
        required.push("message");
    }
    if let Some(data) = data {
        properties.push(("data", data));
        required.push("data");
    }
    if listed {
        properties.push(("meta", Meta::schema_ref()));
        required.push("meta");
    }
    let schema = MetaSchema { properties, required, ..MetaSchema::new("object") };
    let content =
        vec![MetaMediaType { content_type: "application/json", schema: MetaSchemaRef::Inline(Box::new(schema)) }];
    let response = MetaResponse {
        description: "The request succeeded.",
        status: Some(status),
        status_range: None,
        content,
        headers: Vec::new(),
    };
    MetaResponses { responses: vec![response] }
}

impl<T: Type + Send, const STATUS: u16> ApiResponse for Success<T, STATUS> {
    fn meta() -> MetaResponses {
        enveloped(STATUS, Some(T::schema_ref()), false, false)
    }
    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: IntoResponse> IntoResponse for Settled<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Done(answer) => answer.into_response(),
            Self::UnderWay(answer) => {
                let mut response = answer.into_response();
                response.set_status(StatusCode::ACCEPTED);
                response
            }
        }
    }
}

impl<T: ApiResponse> ApiResponse for Settled<T> {
    fn meta() -> MetaResponses {
        let mut responses = T::meta().responses;
        responses.extend(T::meta().responses.into_iter().map(|response| MetaResponse {
            description: "WhatsApp may have it; its outcome was not known in time. Do not repeat the request.",
            status: Some(202),
            ..response
        }));
        MetaResponses { responses }
    }
    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl ApiResponse for Said {
    fn meta() -> MetaResponses {
        enveloped(200, None, true, false)
    }
    fn register(_: &mut Registry) {}
}

impl<T: Type + Send> ApiResponse for Listed<T> {
    fn meta() -> MetaResponses {
        enveloped(200, Some(<Vec<T> as Type>::schema_ref()), false, true)
    }
    fn register(registry: &mut Registry) {
        T::register(registry);
        Meta::register(registry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(response: Response) -> String {
        response.into_body().into_string().await.expect("a text")
    }

    #[tokio::test]
    async fn a_list_has_its_pages_beside_it_and_an_empty_one_has_one_page() {
        let listed = |total| {
            let page = Page { number: 2, size: 15 };
            Listed { data: vec![1], meta: Meta::of(page, total) }
        };
        assert_eq!(
            body(listed(50).into_response()).await,
            r#"{"success":true,"data":[1],"meta":{"pagination":{"total":50,"per_page":15,"current_page":2,"last_page":4}}}"#
        );
        assert_eq!(listed(0).meta.pagination.last_page, 1);
        assert_eq!(listed(15).meta.pagination.last_page, 1);
        assert_eq!(listed(16).meta.pagination.last_page, 2);
    }

    #[tokio::test]
    async fn what_is_under_way_has_the_same_body_and_another_status() {
        let of = || Success::<u8>::of(5);
        let (done, later) = (Settled::Done(of()).into_response(), Settled::UnderWay(of()).into_response());
        assert_eq!((done.status().as_u16(), later.status().as_u16()), (200, 202));
        assert_eq!(body(done).await, body(later).await);
        let statuses: Vec<_> = <Settled<Success<u8>>>::meta().responses.iter().map(|one| one.status).collect();
        assert_eq!(statuses, [Some(200), Some(202)]);
    }

    #[tokio::test]
    async fn a_success_says_something_or_has_data_or_both() {
        let made: Created<u8> = Success::saying("Made", 5);
        let made = made.into_response();
        assert_eq!(made.status(), 201);
        assert_eq!(body(made).await, r#"{"success":true,"message":"Made","data":5}"#);
        assert_eq!(body(Success::<_, 200>::of(5).into_response()).await, r#"{"success":true,"data":5}"#);
        assert_eq!(body(Said("Done".into()).into_response()).await, r#"{"success":true,"message":"Done"}"#);
    }
}
