//! All of HTTP in one endpoint: which facade a request is for, by its host, then by the longest base of its path.

use poem::http::{StatusCode, Uri, header};
use poem::{Endpoint, Request, Response};

use crate::docs::Docs;
use crate::endpoint::Served;
use crate::gate::HostPart;

/// Base path of the documentation.
pub const DOCS_BASE: &str = "/docs";

/// Builds the whole application: the facades, and the page with their documents. `hosts` maps host names (`*` for any characters except a dot)
/// to facades by their names: such a host serves its facade at the root, so that an integrator changes one DNS name and nothing else.
pub fn application(facades: Vec<Served>, hosts: &[(String, String)]) -> Application {
    let mut bases: Vec<(&'static str, Target)> = vec![(DOCS_BASE, Target::Docs)];
    for (at, served) in facades.iter().enumerate() {
        let below = std::iter::once(served.facade.base).chain(served.facade.aliases.iter().copied());
        bases.extend(below.map(|base| (base, Target::Facade(at))));
    }
    bases.sort_by_key(|(base, _)| std::cmp::Reverse(base.len()));
    let mapped = |(host, name): &(String, String)| {
        let at = facades.iter().position(|served| served.facade.name == name && served.facade.host_base.is_some())?;
        Some((host.trim().to_ascii_lowercase(), at))
    };
    let hosts = hosts.iter().filter_map(mapped).collect();
    let docs = Docs::new(facades.iter().map(|served| served.facade.document_page()).collect());
    Application { facades, bases, hosts, docs }
}

/// All of HTTP; see [`application`].
pub struct Application {
    facades: Vec<Served>,
    /// Paths and what is below them, the longest first.
    bases: Vec<(&'static str, Target)>,
    /// Patterns of host names and the facades at their roots.
    hosts: Vec<(String, usize)>,
    docs: Docs,
}

#[derive(Clone, Copy)]
enum Target {
    Facade(usize),
    Docs,
}

impl Endpoint for Application {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        if let Some((served, part)) = self.at_host(&request) {
            let facade = served.facade;
            if !part.0.is_empty() {
                request.extensions_mut().insert(part);
            }
            // The longest of its own prefixes; without any, the path is an operation's already.
            let mut prefixes: Vec<&str> = facade.aliases.to_vec();
            prefixes.extend([facade.base, facade.host_base.unwrap_or_default()]);
            prefixes.sort_by_key(|prefix| std::cmp::Reverse(prefix.len()));
            prefixes.iter().any(|prefix| strip(&mut request, prefix));
            return served.endpoint.call(request).await;
        }
        let target = self.bases.iter().find(|(base, _)| strip(&mut request, base)).map(|(_, target)| *target);
        match target {
            Some(Target::Facade(at)) => self.facades[at].endpoint.call(request).await,
            Some(Target::Docs) => Ok(self.docs.answer(request.method(), request.uri().path())),
            None => Ok(StatusCode::NOT_FOUND.into()),
        }
    }
}

impl Application {
    /// The facade that the request's host name is mapped to, and what the pattern's `*` stands for (nothing without one).
    fn at_host(&self, request: &Request) -> Option<(&Served, HostPart)> {
        if self.hosts.is_empty() {
            return None;
        }
        let host = request.header(header::HOST).or_else(|| request.uri().host()).unwrap_or_default();
        // An IPv6 address has colons of its own; it is never a mapped name.
        let name = host.rsplit_once(':').map_or(host, |(name, _port)| name).trim_end_matches('.').to_ascii_lowercase();
        self.hosts.iter().find_map(|(pattern, at)| {
            host_matches(pattern, &name).map(|part| (&self.facades[*at], HostPart(part.to_owned())))
        })
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for one or more characters other than a dot: what the first one stands for.
fn host_matches<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    match pattern.split_once('*') {
        None => (pattern == name).then_some(""),
        Some((before, after)) => {
            let rest = name.strip_prefix(before)?;
            let reach = rest.find('.').unwrap_or(rest.len());
            let fits = |end: &usize| rest.is_char_boundary(*end) && host_matches(after, &rest[*end..]).is_some();
            (1..=reach).find(fits).map(|end| &rest[..end])
        }
    }
}

/// Removes `base` from the path if the path is `base` or below it; returns whether it is.
fn strip(request: &mut Request, base: &str) -> bool {
    if base.is_empty() {
        return true;
    }
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
        for (pattern, name, part) in [
            ("sendsync.example.com", "sendsync.example.com", Some("")),
            ("sendsync.example.com", "x.sendsync.example.com", None),
            ("*.example.com", "a.example.com", Some("a")),
            ("*.example.com", "a.b.example.com", None),
            ("*.example.com", ".example.com", None),
            ("instance-*.example.com", "instance-42.example.com", Some("42")),
            ("instance-*.example.com", "instance-.example.com", None),
            ("a*b*c", "a1b2c", Some("1")),
        ] {
            assert_eq!(host_matches(pattern, name), part, "{pattern} {name}");
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
            let done = strip(&mut request, "/sendsync/api");
            assert_eq!(done.then(|| request.uri().to_string()).as_deref(), stripped, "{path}");
        }
    }
}
