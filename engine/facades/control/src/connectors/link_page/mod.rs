//! Section Linking: the page on which somebody who has the account's phone links it, without a login. The token in its address is the only
//! credential ([`pombo_api::session_links`]). The page is plain HTML with one script and one style sheet, and loads nothing from elsewhere.

mod words;

use std::sync::Arc;

use poem::http::{HeaderValue, StatusCode, header};
use poem::web::Data;
use poem::{IntoResponse, Request, Response};
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use pombo_domain::commands::connectors::sessions::SessionView;
use pombo_domain::ports::SessionState;

use crate::Section;
use crate::wire::link_step::{LinkStepReport, PasskeyAnswer};
use crate::wire::{BODY, CHANNEL, Instant, Refused, body};
use pombo_api::error::{Failure, status};
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;
use pombo_api::qr;
use pombo_api::session_links::SessionLink;

const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

/// What the page may load: its own script and style sheet, and the code as a picture. Nobody may show it inside another page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; form-action 'none'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// What a request with a link may be refused with.
const LINKED: u16 = status::BAD_REQUEST | status::NOT_FOUND;

#[derive(Default)]
pub(crate) struct LinkPage;

impl pombo_api::Section for LinkPage {
    const FILE: &'static str = file!();
}

const HTML: usize = 0;
const JAVASCRIPT: usize = 1;
const CSS: usize = 2;
const TYPES: [&str; 3] = ["text/html; charset=utf-8", "text/javascript; charset=utf-8", "text/css; charset=utf-8"];
const DECLARED: [&str; 3] = ["text/html", "text/javascript", "text/css"];

/// A part of the page.
pub(crate) struct Part<const TYPE: usize> {
    status: StatusCode,
    text: String,
}

impl<const TYPE: usize> Part<TYPE> {
    fn of(text: &str) -> Self {
        Self { status: StatusCode::OK, text: text.to_owned() }
    }
}

impl<const TYPE: usize> IntoResponse for Part<TYPE> {
    fn into_response(self) -> Response {
        let mut response = Response::builder().status(self.status).body(self.text);
        let headers = response.headers_mut();
        let fixed = [
            (header::CONTENT_TYPE, TYPES[TYPE]),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CACHE_CONTROL, "no-store"),
            // The address is a credential.
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl<const TYPE: usize> ApiResponse for Part<TYPE> {
    fn meta() -> MetaResponses {
        let response = |status, description| {
            let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
            let content = vec![MetaMediaType { content_type: DECLARED[TYPE], schema }];
            MetaResponse { description, status: Some(status), status_range: None, content, headers: Vec::new() }
        };
        let mut responses = vec![response(200, "A part of the page.")];
        if TYPE == HTML {
            responses.push(response(404, "The link does not open, or no longer does: a page that says so."));
        }
        MetaResponses { responses }
    }
    fn register(_: &mut Registry) {}
}

/// How far linking is.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum LinkStage {
    /// A code can be asked for.
    Start,
    /// The connector is connecting.
    Wait,
    /// A QR code waits to be scanned.
    Scan,
    /// A code waits to be entered on the phone.
    Enter,
    /// An answer of a passkey is waited for.
    Passkey,
    /// A code waits to be compared.
    Compare,
    /// Something is asked that this page cannot ask.
    Elsewhere,
    /// The account is linked. The link is used up.
    Done,
}

/// What the page shows.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct LinkReport {
    /// How far linking is.
    stage: LinkStage,
    /// Why it is there, in English.
    reason: Option<String>,
    /// With SCAN: the code as a picture, a PNG in a data URL.
    qr_code: Option<String>,
    /// With ENTER: the code to enter on the phone.
    pairing_code: Option<String>,
    /// What is asked of the person.
    link_step: Option<LinkStepReport>,
    /// Until when the link opens.
    expires_at: Instant,
}

impl LinkReport {
    fn of(link: &SessionLink, view: SessionView) -> Result<Self, Failure> {
        let expires_at = Instant(link.expires_at);
        let (stage, reason, qr_code, pairing_code) = match &view.state {
            _ if is_used(link, &view) => (LinkStage::Done, None, None, None),
            SessionState::QrCode(text) => (LinkStage::Scan, None, Some(qr::png_data_url(text)?), None),
            SessionState::PairingCode(code) => (LinkStage::Enter, None, None, Some(code.clone())),
            SessionState::Connecting | SessionState::Connected => (LinkStage::Wait, None, None, None),
            SessionState::Stopped => (LinkStage::Start, None, None, None),
            SessionState::Unpaired(why)
            | SessionState::LoggedOut(why)
            | SessionState::Disconnected(why)
            | SessionState::Failing(why) => (LinkStage::Start, Some(why.clone()), None, None),
        };
        let step = view.link_step.filter(|_| stage == LinkStage::Start);
        let stage = match step.as_ref().map(|step| step.kind.as_str()) {
            None => stage,
            Some("passkey") => LinkStage::Passkey,
            Some("passkey-confirm") => LinkStage::Compare,
            Some(_) => LinkStage::Elsewhere,
        };
        Ok(Self { stage, reason, qr_code, pairing_code, link_step: step.map(LinkStepReport::from), expires_at })
    }
}

/// Whether the session has connected since the link was made.
fn is_used(link: &SessionLink, view: &SessionView) -> bool {
    view.state == SessionState::Connected || view.connected_at.is_some_and(|at| link.made_at <= at)
}

fn gone() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "this link does not open, or no longer does: ask for a new one")
}

/// What a token opens, with the session as it is.
fn opened(state: &ApiState, token: &str) -> Result<(SessionLink, SessionView), Failure> {
    let link = state.session_links.open(token, state.commands.now()).ok_or_else(gone)?;
    let view = state.commands.get_session(link.tenant, link.connector)?;
    Ok((link, view))
}

/// The same while it can still be used.
fn usable(state: &ApiState, token: &str) -> Result<SessionLink, Failure> {
    let (link, view) = opened(state, token)?;
    if is_used(&link, &view) { Err(gone()) } else { Ok(link) }
}

#[OpenApi(tag = "Section::Sessions")]
impl LinkPage {
    /// Show the page of a link
    ///
    /// For a browser, in Portuguese or English. It needs no other credential than its address.
    #[oai(path = "/link/:token", method = "get", operation_id = "get_link_page")]
    async fn get_link_page(
        &self,
        state: Data<&Arc<ApiState>>,
        /// Token from the link.
        token: Path<String>,
        request: &Request,
    ) -> Result<Part<HTML>, Refused<{ status::BAD_REQUEST }>> {
        let language = words::language(request.header(header::ACCEPT_LANGUAGE).unwrap_or_default());
        match usable(&state, &token.0) {
            Ok(_) => Ok(Part::of(&words::page(language))),
            Err(failure) if failure.status == StatusCode::NOT_FOUND => {
                Ok(Part { status: StatusCode::NOT_FOUND, text: words::over(language) })
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// The script of the page
    ///
    /// It is the same for every link.
    #[oai(path = "/link/:token/page.js", method = "get", operation_id = "get_link_script")]
    async fn get_link_script(
        &self,
        /// Any text: the script has nothing of a link's own.
        #[oai(name = "token")]
        _token: Path<String>,
    ) -> Result<Part<JAVASCRIPT>, Refused<{ status::BAD_REQUEST }>> {
        Ok(Part::of(SCRIPT))
    }

    /// The style sheet of the page
    ///
    /// It is the same for every link.
    #[oai(path = "/link/:token/page.css", method = "get", operation_id = "get_link_style")]
    async fn get_link_style(
        &self,
        /// Any text: the style sheet has nothing of a link's own.
        #[oai(name = "token")]
        _token: Path<String>,
    ) -> Result<Part<CSS>, Refused<{ status::BAD_REQUEST }>> {
        Ok(Part::of(STYLE))
    }

    /// Show how far linking by a link is
    ///
    /// Once the session has connected, the answer is DONE until the link ends, and nothing else can be done with it.
    #[oai(path = "/link/:token/state", method = "get", operation_id = "get_link_state")]
    async fn get_link_state(
        &self,
        state: Data<&Arc<ApiState>>,
        /// Token from the link.
        token: Path<String>,
    ) -> Result<Json<LinkReport>, Refused<LINKED>> {
        let (link, view) = opened(&state, &token.0)?;
        Ok(Json(LinkReport::of(&link, view)?))
    }

    /// Ask for a QR code by a link
    ///
    /// Waits, up to 20 seconds, until there is a code to show.
    #[oai(path = "/link/:token/open", method = "post", operation_id = "open_by_link")]
    async fn open_by_link(
        &self,
        state: Data<&Arc<ApiState>>,
        /// Token from the link.
        token: Path<String>,
    ) -> Result<Json<LinkReport>, Refused<{ LINKED | CHANNEL }>> {
        let link = usable(&state, &token.0)?;
        let view = state.commands.open_session(link.tenant, link.connector, None).await?;
        Ok(Json(LinkReport::of(&link, view)?))
    }

    /// Answer a step that waits for a passkey by a link
    ///
    /// As `POST /v1/connectors/{id}/session/passkey` does.
    #[oai(path = "/link/:token/answer", method = "post", operation_id = "answer_by_link")]
    async fn answer_by_link(
        &self,
        state: Data<&Arc<ApiState>>,
        /// Token from the link.
        token: Path<String>,
        json: JsonBytes<PasskeyAnswer>,
    ) -> Result<Json<LinkReport>, Refused<{ LINKED | BODY | CHANNEL }>> {
        let link = usable(&state, &token.0)?;
        let (step, answer) = body(&json)?.read()?;
        let view = state.commands.answer_link_step(link.tenant, link.connector, &step, answer).await?;
        Ok(Json(LinkReport::of(&link, view)?))
    }
}
