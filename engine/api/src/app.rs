//! All of HTTP in one endpoint: it finds the facade for a request, by host or by path.

use poem::endpoint::BoxEndpoint;
use poem::http::{Uri, header};
use poem::{Endpoint, Request, Response};

use crate::docs::Docs;

/// Base path of the SendSync facade.
pub const SENDSYNC_BASE: &str = "/sendsync/api";
/// Base path of the documentation.
pub const DOCS_BASE: &str = "/docs";

/// The facades, ready to serve.
pub struct Services {
    /// The SendSync facade. Its paths are below its base: `/queue/send`.
    pub sendsync: BoxEndpoint<'static, Response>,
    /// All other paths, whole: `/v1/…`, `/health`, `/ready`, `/metrics`. Answers 404 for unknown ones.
    pub control: BoxEndpoint<'static, Response>,
    /// The documentation pages.
    pub docs: Docs,
}

/// Builds the whole application. `sendsync_hosts` are host names (`*` stands for any characters except a dot) on which the
/// SendSync facade is served at the root, so that an integrator changes one DNS name and nothing else.
pub fn application(services: Services, sendsync_hosts: &[String]) -> Application {
    let sendsync_hosts = sendsync_hosts.iter().map(|host| host.trim().to_ascii_lowercase()).collect();
    Application { services, sendsync_hosts }
}

/// All of HTTP; see [`application`].
pub struct Application {
    services: Services,
    sendsync_hosts: Vec<String>,
}

impl Endpoint for Application {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        if strip(&mut request, SENDSYNC_BASE) {
            return self.services.sendsync.call(request).await;
        }
        if !self.sendsync_hosts.is_empty() && self.is_sendsync_host(&request) {
            // Documented as https://sendsync.com.br/api: with and without the prefix.
            strip(&mut request, "/api");
            return self.services.sendsync.call(request).await;
        }
        if strip(&mut request, DOCS_BASE) {
            return Ok(self.services.docs.answer(request.method(), request.uri().path()));
        }
        self.services.control.call(request).await
    }
}

impl Application {
    fn is_sendsync_host(&self, request: &Request) -> bool {
        let host = request.header(header::HOST).or_else(|| request.uri().host()).unwrap_or_default();
        // An IPv6 address has colons of its own; it is never a mapped name.
        let name = host.rsplit_once(':').map_or(host, |(name, _port)| name).trim_end_matches('.').to_ascii_lowercase();
        self.sendsync_hosts.iter().any(|pattern| host_matches(pattern, &name))
    }
}

/// Whether `name` matches `pattern`, in which `*` stands for one or more characters other than a dot.
fn host_matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => {
            let Some(rest) = name.strip_prefix(before) else { return false };
            let reach = rest.find('.').unwrap_or(rest.len());
            (1..=reach).any(|end| rest.is_char_boundary(end) && host_matches(after, &rest[end..]))
        }
    }
}

/// Removes `base` from the path if the path is `base` or below it; returns whether it is.
fn strip(request: &mut Request, base: &str) -> bool {
    let uri = request.uri();
    let Some(rest) = uri.path().strip_prefix(base) else { return false };
    if !rest.is_empty() && !rest.starts_with('/') {
        return false;
    }
    let mut path = if rest.is_empty() { "/".to_owned() } else { rest.to_owned() };
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    match path.parse::<Uri>() {
        Ok(stripped) => {
            *request.uri_mut() = stripped;
            true
        }
        // Part of a valid URI; that it does not parse is not known to happen, and then no facade has it.
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label_or_a_part_of_it() {
        for (pattern, name, fits) in [
            ("sendsync.example.com", "sendsync.example.com", true),
            ("sendsync.example.com", "x.sendsync.example.com", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", ".example.com", false),
            ("instance-*.example.com", "instance-42.example.com", true),
            ("instance-*.example.com", "instance-.example.com", false),
            ("a*b*c", "a1b2c", true),
        ] {
            assert_eq!(host_matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn a_base_is_taken_off_whole_segments_and_the_query_stays() {
        for (path, stripped) in [
            ("/sendsync/api/queue/list?page=2", Some("/queue/list?page=2")),
            ("/sendsync/api", Some("/")),
            ("/sendsync/apis", None),
            ("/v1/tenants", None),
        ] {
            let mut request = Request::builder().uri(path.parse().expect("a URI")).finish();
            let done = strip(&mut request, SENDSYNC_BASE);
            assert_eq!(done.then(|| request.uri().to_string()).as_deref(), stripped, "{path}");
        }
    }
}
