//! The demo mailbox's page: a list, each mail with its parts, and the same as JSON. Loopback only.
//!
//! Invariant: nothing of a mail reaches the page unescaped. Its HTML part is shown only inside a sandboxed frame without scripts,
//! with a policy that loads nothing from outside.

use std::sync::Arc;

use http::{HeaderValue, StatusCode, header};
use poem::endpoint::{BoxEndpoint, EndpointExt, make};
use poem::{Request, Response};

use super::mailbox::{Mail, Mailbox, Summary};

/// Number of the newest mails on the page and in the JSON list, unless `?limit=` is given.
const LIST: usize = 100;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222}\
a{color:#0b5cad;text-decoration:none}a:hover{text-decoration:underline}table{width:100%;border-collapse:collapse}\
td,th{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #ddd;vertical-align:top}th{color:#666;font-weight:500}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f6f6;padding:1rem;border-radius:6px}\
iframe{width:100%;height:24rem;border:1px solid #ddd;border-radius:6px;background:#fff}.dim{color:#777}";

const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// For a mail's own HTML: inline styles and images inside the mail, nothing else.
const MAIL_POLICY: &str =
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// All of the page's paths.
pub(super) fn endpoint(mailbox: Arc<Mailbox>) -> BoxEndpoint<'static, Response> {
    make(move |request: Request| {
        let mailbox = Arc::clone(&mailbox);
        // Reads files: off the async threads.
        async move {
            let work = move || answer(&mailbox, &request);
            match tokio::task::spawn_blocking(work).await {
                Ok(response) => response,
                Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR),
            }
        }
    })
    .boxed()
}

fn answer(mailbox: &Mailbox, request: &Request) -> Response {
    if request.method() != http::Method::GET && request.method() != http::Method::HEAD {
        return problem(StatusCode::METHOD_NOT_ALLOWED);
    }
    let path: Vec<&str> = request.uri().path().split('/').filter(|s| !s.is_empty()).collect();
    let found = match path[..] {
        [] => Some(html(list(mailbox), PAGE_POLICY)),
        ["api", "mails"] => {
            let limit = limit(request.uri().query());
            let mails = mailbox.newest(limit);
            Some(json(&serde_json::json!({ "mails": mails, "total": mailbox.len() })))
        }
        ["api", "mails", number] => parsed(number).and_then(|n| mailbox.mail(n)).map(|mail| json(&mail)),
        ["mails", number] => parsed(number).and_then(|n| mailbox.mail(n)).map(|mail| html(show(&mail), PAGE_POLICY)),
        ["mails", number, "html"] => {
            parsed(number).and_then(|n| mailbox.mail(n)?.html).map(|body| html(body, MAIL_POLICY))
        }
        ["mails", number, "raw"] => {
            parsed(number).and_then(|n| mailbox.raw(n)).map(|raw| download(raw, "message/rfc822", "mail.eml"))
        }
        ["mails", number, "attachments", index] => parsed(number)
            .zip(index.parse().ok())
            .and_then(|(n, i)| mailbox.attachment(n, i))
            .map(|(info, bytes)| download(bytes, &info.content_type, &info.filename)),
        _ => None,
    };
    found.unwrap_or_else(|| problem(StatusCode::NOT_FOUND))
}

fn parsed(number: &str) -> Option<u64> {
    number.parse().ok()
}

fn limit(query: Option<&str>) -> usize {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.filter(|(key, _)| key == "limit").find_map(|(_, value)| value.parse().ok()).unwrap_or(LIST)
}

fn with_headers(mut response: Response, policy: &'static str) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn html(body: String, policy: &'static str) -> Response {
    with_headers(Response::builder().content_type("text/html; charset=utf-8").body(body), policy)
}

fn json(value: &impl serde::Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => with_headers(Response::builder().content_type("application/json").body(text), "default-src 'none'"),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn download(bytes: Vec<u8>, content_type: &str, name: &str) -> Response {
    let encoded = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    let content_type =
        HeaderValue::from_str(content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let response = Response::builder()
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{encoded}"))
        .body(bytes);
    with_headers(response, "sandbox; default-src 'none'")
}

fn problem(status: StatusCode) -> Response {
    let message = status.canonical_reason().unwrap_or("error").to_lowercase();
    let body = serde_json::json!({ "statusCode": status.as_u16(), "message": message }).to_string();
    Response::builder().status(status).content_type("application/json").body(body)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn page(title: &str, refresh: bool, body: &str) -> String {
    let refresh = if refresh { "<meta http-equiv=\"refresh\" content=\"5\">" } else { "" };
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">{refresh}\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{}</title><style>{STYLE}</style></head>\
         <body>{body}</body></html>",
        escaped(title)
    )
}

fn list(mailbox: &Mailbox) -> String {
    let mails = mailbox.newest(LIST);
    let row = |mail: &Summary| {
        let subject = if mail.subject.is_empty() { "(no subject)" } else { &mail.subject };
        let clip =
            if mail.attachments.is_empty() { String::new() } else { format!(" 📎 {}", mail.attachments.len()) };
        format!(
            "<tr><td class=dim>{}</td><td>{}</td><td><a href=\"/mails/{}\">{}</a>{clip}</td></tr>",
            escaped(&mail.received_at),
            escaped(&mail.envelope.to.join(", ")),
            mail.number,
            escaped(subject)
        )
    };
    let rows: String = mails.iter().map(row).collect();
    let body = if rows.is_empty() {
        "<p class=dim>Nothing yet: send a message through the demo's e-mail connector.</p>".to_owned()
    } else {
        format!("<table><tr><th>Received</th><th>To</th><th>Subject</th></tr>{rows}</table>")
    };
    let count = format!("<p class=dim>{} mails; as JSON: <a href=\"/api/mails\">/api/mails</a></p>", mailbox.len());
    page("Pombo's demo mailbox", true, &format!("<h1>Demo mailbox</h1>{body}{count}"))
}

fn show(mail: &Mail) -> String {
    let summary = &mail.summary;
    let mut body = format!("<p><a href=\"/\">← all mails</a></p><h1>{}</h1>", escaped(&summary.subject));
    body.push_str(&format!(
        "<p>From {}<br>To {}<br><span class=dim>{}</span></p>",
        escaped(&summary.from.join(", ")),
        escaped(&summary.to.join(", ")),
        escaped(&summary.received_at)
    ));
    if mail.html.is_some() {
        body.push_str(&format!(
            "<h2>HTML</h2><iframe sandbox src=\"/mails/{}/html\" title=\"HTML part\"></iframe>",
            summary.number
        ));
    }
    body.push_str(&format!("<h2>Text</h2><pre>{}</pre>", escaped(&summary.text)));
    if !summary.attachments.is_empty() {
        body.push_str("<h2>Attachments</h2><ul>");
        for file in &summary.attachments {
            body.push_str(&format!(
                "<li><a href=\"/mails/{}/attachments/{}\">{}</a> <span class=dim>{}, {} bytes</span></li>",
                summary.number,
                file.index,
                escaped(&file.filename),
                escaped(&file.content_type),
                file.size
            ));
        }
        body.push_str("</ul>");
    }
    body.push_str("<h2>Headers</h2><table>");
    for (name, value) in &mail.headers {
        body.push_str(&format!("<tr><th>{}</th><td>{}</td></tr>", escaped(name), escaped(value)));
    }
    body.push_str(&format!("</table><p><a href=\"/mails/{}/raw\">the raw message</a></p>", summary.number));
    page(&summary.subject, false, &body)
}
