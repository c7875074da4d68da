//! What stands in addresses.

/// What a value becomes as a part of a path or a query.
pub(crate) fn component(value: &str) -> String {
    encoded(value, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// What a value becomes as the end of a link in a template's button: whatever cannot stand in a link is encoded; what is encoded already
/// stays.
pub(crate) fn suffix(value: &str) -> String {
    encoded(value, |byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
}

fn encoded(value: &str, plain: impl Fn(u8) -> bool) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            // A string takes it.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The scheme, host and port of a link, as they are written.
pub(crate) fn origin(url: &str) -> Option<&str> {
    let scheme = if url.starts_with("http://") { "http://" } else { "https://" };
    let authority = authority_behind(scheme, url)?;
    url.get(..scheme.len() + authority.len())
}

/// The host and port of an https link, as they are written.
pub(crate) fn authority(url: &str) -> Option<&str> {
    authority_behind("https://", url)
}

fn authority_behind<'u>(scheme: &str, url: &'u str) -> Option<&'u str> {
    let rest = url.strip_prefix(scheme)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let sound = !authority.is_empty() && !authority.contains(['@', '\\']) && !authority.starts_with(':');
    sound.then_some(authority)
}

/// Whether this is one of Meta's ids, so that it can stand in a path.
pub(crate) fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_stand_there_is_encoded() {
        assert_eq!(component("a b/ç?"), "a%20b%2F%C3%A7%3F");
        assert_eq!(suffix("track/12 3?x=%2F&ç"), "track/12%203?x=%2F&%C3%A7");
    }

    #[test]
    fn an_origin_is_that_of_a_link_to_a_host() {
        assert_eq!(origin("https://g.example:8443/x?y"), Some("https://g.example:8443"));
        assert_eq!(origin("http://127.0.0.1:8094/x"), Some("http://127.0.0.1:8094"));
        assert_eq!(authority("http://127.0.0.1:8094/x"), None);
        for none in ["ftp://g.example", "https://a@g.example/", "https://", "https://:80/", "https://a\\b/"] {
            assert_eq!(origin(none), None, "{none}");
        }
        assert!(is_id("1003383421387256") && !is_id("../x") && !is_id(""));
    }
}
