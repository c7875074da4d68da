//! Where an operation may be reached: below two bases, at a host of an instance, below a path of an instance; and the spellings that
//! callers use for a few of them. All of them lead to the one path under which the document has the operation. Pure functions.

use poem::http::Method;

/// The second base. Of the operations below it the document has those that only exist there.
const VERSIONED: &str = "/api/v1";
/// What names an instance in a path or a host name, before its id.
const INSTANCE: &str = "instance-";
/// Operations that are documented below the second base, because they answer otherwise there, or exist there alone.
const ONLY_VERSIONED: [&str; 3] =
    ["/chat", "/conversations/automation/bulk-pause", "/conversations/automation/bulk-resume"];
/// Operations that PATCH and PUT name alike; `*` stands for one segment.
const PATCHED: [&str; 4] = ["/api/v1/chat/messages/*", "/contacts/*", "/instances/*/groups/*", "/tags/*"];

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The path under which the document has it.
    pub(crate) path: String,
    /// The instance that the path names before its operation, as it was given.
    pub(crate) instance: Option<String>,
}

/// Where a request for this path (below the facade's base) goes.
pub(crate) fn place(path: &str) -> Place {
    let (instance, path) = match path.strip_prefix('/').and_then(|path| path.strip_prefix(INSTANCE)) {
        Some(rest) => match rest.split_once('/') {
            Some((instance, rest)) => (Some(instance), format!("/{rest}")),
            None => (Some(rest), "/".to_owned()),
        },
        None => (None, path.to_owned()),
    };
    let instance = instance.filter(|instance| !instance.is_empty()).map(str::to_owned);
    Place { path: documented(path), instance }
}

fn documented(path: String) -> String {
    let below =
        |base: &str, path: &str| path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if below(VERSIONED, &path) {
        let rest = &path[VERSIONED.len()..];
        if ONLY_VERSIONED.iter().any(|only| below(only, rest)) {
            return path;
        }
        return if rest.is_empty() { "/".to_owned() } else { rest.to_owned() };
    }
    if below("/chat", &path) { format!("{VERSIONED}{path}") } else { path }
}

/// The method under which the document has an operation.
pub(crate) fn method(method: &Method, path: &str) -> Method {
    if *method == Method::PUT && PATCHED.iter().any(|pattern| fits(pattern, path)) {
        return Method::PATCH;
    }
    method.clone()
}

fn fits(pattern: &str, path: &str) -> bool {
    pattern.split('/').count() == path.split('/').count()
        && pattern.split('/').zip(path.split('/')).all(|(wanted, given)| wanted == "*" || wanted == given)
}

/// The instance that the variable part of a host name names: what the `*` of `instance-*.example.com` or `*.example.com` stood for.
pub(crate) fn instance_of_host(part: &str) -> Option<&str> {
    Some(part.strip_prefix(INSTANCE).unwrap_or(part)).filter(|instance| !instance.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bases_lead_to_the_documented_path() {
        for (given, path) in [
            ("/instances", "/instances"),
            ("/api/v1/instances", "/instances"),
            ("/api/v1/conversations/archived", "/conversations/archived"),
            ("/api/v1/chat/conversations/x/archive", "/api/v1/chat/conversations/x/archive"),
            ("/chat/send", "/api/v1/chat/send"),
            ("/chats", "/chats"),
            ("/api/v10/instances", "/api/v10/instances"),
            ("/conversations/automation/bulk-pause", "/conversations/automation/bulk-pause"),
            ("/api/v1/conversations/automation/bulk-pause", "/api/v1/conversations/automation/bulk-pause"),
            ("/api/v1/conversations/automation/bulk-resume", "/api/v1/conversations/automation/bulk-resume"),
            ("/api/v1/api/v1/instances", "/api/v1/instances"),
            ("/api/v1", "/"),
            ("/", "/"),
        ] {
            assert_eq!(place(given), Place { path: path.to_owned(), instance: None }, "{given}");
        }
    }

    #[test]
    fn a_path_may_name_its_instance_first() {
        for (given, instance, path) in [
            ("/instance-18/send-message", Some("18"), "/send-message"),
            (
                "/instance-550e8400-e29b-41d4-a716-446655440000/status",
                Some("550e8400-e29b-41d4-a716-446655440000"),
                "/status",
            ),
            ("/instance-18/api/v1/instances", Some("18"), "/instances"),
            ("/instance-18", Some("18"), "/"),
            ("/instance-/status", None, "/status"),
            ("/instances/18", None, "/instances/18"),
        ] {
            assert_eq!(place(given), Place { path: path.to_owned(), instance: instance.map(str::to_owned) }, "{given}");
        }
        assert_eq!(instance_of_host("instance-18"), Some("18"));
        assert_eq!(instance_of_host("18"), Some("18"));
        assert_eq!(instance_of_host("instance-"), None);
    }

    #[test]
    fn put_is_patch_where_the_documentation_patches() {
        for path in [
            "/instances/18/groups/1@g.us",
            "/contacts/5",
            "/tags/550e8400-e29b-41d4-a716-446655440001",
            "/api/v1/chat/messages/456",
        ] {
            assert_eq!(method(&Method::PUT, path), Method::PATCH, "{path}");
        }
        assert_eq!(method(&Method::PUT, "/conversations/5/tags"), Method::PUT);
        assert_eq!(method(&Method::PUT, "/instances/18/groups"), Method::PUT);
        assert_eq!(method(&Method::POST, "/instances/18/groups/1@g.us"), Method::POST);
    }
}
