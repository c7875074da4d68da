//! The documentation at `/docs`: an index, and one page per OpenAPI document. The pages load nothing from elsewhere, so they work
//! without a connection to the internet.

use poem::http::{Method, StatusCode, header};
use poem::{IntoResponse, Response};

/// A document to show.
pub struct DocumentPage {
    /// Name in the path: `/docs/{name}` and `/docs/{name}.json`.
    pub name: &'static str,
    /// Title to show to people.
    pub title: &'static str,
    /// Base path of its operations.
    pub base: &'static str,
    /// The OpenAPI document.
    pub json: String,
    /// The complete page that renders it.
    pub html: String,
}

/// The documentation pages, built once.
pub struct Docs {
    index: bytes::Bytes,
    pages: Vec<(String, &'static str, bytes::Bytes)>,
}

impl Docs {
    /// Pages for these documents.
    pub fn new(documents: Vec<DocumentPage>) -> Self {
        let mut list = String::new();
        let mut pages = Vec::new();
        for document in documents {
            let DocumentPage { name, title, base, json, html } = document;
            list.push_str(&format!(
                "<li><a href=\"/docs/{name}\">{title}</a> under <code>{base}</code> \
                 (<a href=\"/docs/{name}.json\">OpenAPI document</a>)</li>"
            ));
            pages.push((format!("/{name}.json"), "application/json", json.into()));
            pages.push((format!("/{name}"), "text/html; charset=utf-8", html.into()));
        }
        let index = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Pombo: API documentation</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}}\
             li{{margin:.5rem 0}}</style></head><body><h1>Pombo: API documentation</h1><ul>{list}</ul></body></html>"
        );
        Self { index: index.into(), pages }
    }

    /// Answers a request for `path` below `/docs`.
    pub fn answer(&self, method: &Method, path: &str) -> Response {
        if method != Method::GET && method != Method::HEAD {
            return Response::builder()
                .status(StatusCode::METHOD_NOT_ALLOWED)
                .header(header::ALLOW, "GET, HEAD")
                .finish();
        }
        let path = path.trim_end_matches('/');
        if path.is_empty() {
            return Response::builder().content_type("text/html; charset=utf-8").body(self.index.clone());
        }
        match self.pages.iter().find(|(known, ..)| known == path) {
            Some((_, content_type, body)) => Response::builder().content_type(content_type).body(body.clone()),
            None => (StatusCode::NOT_FOUND, "no documentation has this path; see /docs\n").into_response(),
        }
    }
}
