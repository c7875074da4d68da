//! Signed links to the files of messages: `{public_url}/v1/media/{id}?exp=…&t=…&type=…&name=…&sig=…`. The signature covers
//! everything else, so a link opens one file of one tenant until it expires and needs no other credential. A received file that is still
//! being fetched has no id yet: the link to it is that of its message, `{public_url}/v1/media/messages/{id}?exp=…&t=…&sig=…`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use pombo_domain::model::Attachment;
use pombo_domain::{TenantIndex, Timestamp};
use sha2::Sha256;
use uuid::Uuid;

/// Creates and verifies links.
pub struct MediaLinks {
    key: Hmac<Sha256>,
    public_url: String,
    lifetime: Duration,
}

/// The file that a valid link opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaLink {
    /// The tenant that the file belongs to.
    pub tenant: TenantIndex,
    /// Id of the file.
    pub id: Uuid,
    /// MIME type of the file.
    pub content_type: String,
    /// Name with which the file was posted.
    pub file_name: String,
}

/// The query of a link as received, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkQuery {
    /// When the link expires, in seconds since 1970.
    pub exp: i64,
    /// Number of the tenant.
    pub t: u32,
    /// MIME type of the file.
    pub content_type: String,
    /// Name of the file.
    pub name: String,
    /// The signature in base64url.
    pub sig: String,
}

impl MediaLinks {
    /// Links signed with a separate key, which is derived from `secret`.
    pub fn new(secret: &[u8], public_url: &str, lifetime: Duration) -> Self {
        let derived = mac(secret).chain_update(b"pombo media links").finalize().into_bytes();
        Self { key: mac(&derived), public_url: public_url.trim_end_matches('/').to_owned(), lifetime }
    }

    /// The link to a tenant's file, valid from `now` on. Within an hour the same file has the same link.
    pub fn url(&self, tenant: TenantIndex, file: &Attachment, now: Timestamp) -> String {
        self.ending_at(tenant, file, self.expires(now))
    }

    /// The link to a tenant's file, valid until `until`, or a part of a second less. The same file always has the same link.
    pub fn url_until(&self, tenant: TenantIndex, file: &Attachment, until: Timestamp) -> String {
        self.ending_at(tenant, file, until.0.div_euclid(1000))
    }

    /// The link that is valid until this second since 1970.
    fn ending_at(&self, tenant: TenantIndex, file: &Attachment, exp: i64) -> String {
        let link = LinkQuery {
            exp,
            t: tenant.0,
            content_type: file.content_type.clone(),
            name: file.file_name.clone(),
            sig: String::new(),
        };
        let sig = URL_SAFE_NO_PAD.encode(self.signed(file.id, &link).finalize().into_bytes());
        format!(
            "{}/v1/media/{}?exp={}&t={}&type={}&name={}&sig={sig}",
            self.public_url,
            file.id,
            link.exp,
            link.t,
            escaped(&link.content_type),
            escaped(&link.name),
        )
    }

    /// The link to the file of a tenant's received message, by the id of its entry in the timeline, valid from `now` on. Within an hour
    /// the same message has the same link.
    pub fn message_url(&self, tenant: TenantIndex, message: Uuid, now: Timestamp) -> String {
        let exp = self.expires(now);
        let sig = URL_SAFE_NO_PAD.encode(self.signed_message(message, exp, tenant.0).finalize().into_bytes());
        format!("{}/v1/media/messages/{message}?exp={exp}&t={}&sig={sig}", self.public_url, tenant.0)
    }

    /// The tenant whose message a link names; `None` if the link is not valid or has expired.
    pub fn open_message(&self, message: Uuid, exp: i64, t: u32, sig: &str, now: Timestamp) -> Option<TenantIndex> {
        let given = URL_SAFE_NO_PAD.decode(sig.as_bytes()).ok()?;
        self.signed_message(message, exp, t).verify_slice(&given).ok()?;
        (now.0.div_euclid(1000) < exp).then_some(TenantIndex(t))
    }

    /// When a link that is made now expires, in seconds since 1970: the same for all that are made within an hour.
    fn expires(&self, now: Timestamp) -> i64 {
        const HOUR: i64 = 3600;
        let from = now.0.div_euclid(1000 * HOUR) * HOUR + HOUR;
        from.saturating_add_unsigned(self.lifetime.as_secs())
    }

    fn signed_message(&self, message: Uuid, exp: i64, t: u32) -> Hmac<Sha256> {
        // A file's link has no such beginning.
        let of = self.key.clone().chain_update(b"message").chain_update(message.as_bytes());
        of.chain_update(exp.to_be_bytes()).chain_update(t.to_be_bytes())
    }

    /// The file that a link opens; `None` if the link is not valid or has expired.
    pub fn open(&self, id: Uuid, query: LinkQuery, now: Timestamp) -> Option<MediaLink> {
        let given = URL_SAFE_NO_PAD.decode(query.sig.as_bytes()).ok()?;
        self.signed(id, &query).verify_slice(&given).ok()?;
        (now.0.div_euclid(1000) < query.exp).then_some(MediaLink {
            tenant: TenantIndex(query.t),
            id,
            content_type: query.content_type,
            file_name: query.name,
        })
    }

    fn signed(&self, id: Uuid, link: &LinkQuery) -> Hmac<Sha256> {
        let mut mac = self.key.clone();
        mac.update(id.as_bytes());
        mac.update(&link.exp.to_be_bytes());
        mac.update(&link.t.to_be_bytes());
        // The length keeps one field from running into the next.
        mac.update(&(link.content_type.len() as u64).to_be_bytes());
        mac.update(link.content_type.as_bytes());
        mac.update(link.name.as_bytes());
        mac
    }
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// Percent-encodes everything except unreserved characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query_of(url: &str) -> LinkQuery {
        let (_, query) = url.split_once('?').expect("has a query");
        let mut link = LinkQuery::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = value.replace("%20", " ").replace("%2F", "/");
            match name {
                "exp" => link.exp = value.parse().expect("a number"),
                "t" => link.t = value.parse().expect("a number"),
                "type" => link.content_type = value,
                "name" => link.name = value,
                "sig" => link.sig = value,
                other => panic!("unexpected {other}"),
            }
        }
        link
    }

    #[test]
    fn a_link_of_a_message_opens_that_message_until_it_ends() {
        let links = MediaLinks::new(b"secret", "http://127.0.0.1:8080", Duration::from_secs(3600));
        let (id, now) = (Uuid::from_u128(9), Timestamp(1_700_000_000_000));
        let url = links.message_url(TenantIndex(4), id, now);
        assert!(url.starts_with("http://127.0.0.1:8080/v1/media/messages/00000000-0000-0000-0000-000000000009?exp="));
        let LinkQuery { exp, t, sig, .. } = query_of(&url);
        assert_eq!(links.open_message(id, exp, t, &sig, now), Some(TenantIndex(4)));
        assert_eq!(links.open_message(Uuid::from_u128(8), exp, t, &sig, now), None, "another message");
        assert_eq!(links.open_message(id, exp, 5, &sig, now), None, "another tenant");
        assert_eq!(links.open_message(id, exp + 1, t, &sig, now), None, "longer");
        assert_eq!(links.open_message(id, exp, t, &sig, now.plus_ms(3 * 3_600_000)), None, "over");
        assert!(links.open(id, query_of(&url), now).is_none(), "not a file's");
    }

    #[test]
    fn a_link_opens_its_file_until_it_ends_and_nothing_else() {
        let links = MediaLinks::new(b"secret", "http://127.0.0.1:8080/", Duration::from_secs(3600));
        let file = Attachment {
            id: Uuid::from_u128(9),
            file_name: "meu boleto.pdf".to_owned(),
            content_type: "application/pdf".to_owned(),
            size: 3,
        };
        let now = Timestamp(1_700_000_000_000);
        let url = links.url(TenantIndex(4), &file, now);
        assert!(url.starts_with("http://127.0.0.1:8080/v1/media/00000000-0000-0000-0000-000000000009?exp="));
        let query = query_of(&url);
        let opened = links.open(file.id, query.clone(), now).expect("valid");
        assert_eq!((opened.tenant, opened.file_name.as_str()), (TenantIndex(4), "meu boleto.pdf"));

        assert!(links.open(Uuid::from_u128(8), query.clone(), now).is_none(), "another file");
        assert!(links.open(file.id, LinkQuery { t: 5, ..query.clone() }, now).is_none(), "another tenant");
        assert!(links.open(file.id, LinkQuery { exp: query.exp + 1, ..query.clone() }, now).is_none(), "longer");
        assert!(links.open(file.id, query.clone(), now.plus_ms(3 * 3_600_000)).is_none(), "over");
        let others = MediaLinks::new(b"another", "http://127.0.0.1:8080", Duration::from_secs(3600));
        assert!(others.open(file.id, query, now).is_none(), "another secret");
    }

    #[test]
    fn a_link_may_end_at_a_given_time() {
        let links = MediaLinks::new(b"secret", "http://127.0.0.1:8080/", Duration::from_secs(1));
        let file = Attachment {
            id: Uuid::from_u128(9),
            file_name: "a.pdf".to_owned(),
            content_type: "application/pdf".to_owned(),
            size: 3,
        };
        let until = Timestamp(1_700_000_000_000);
        let query = query_of(&links.url_until(TenantIndex(4), &file, until));
        assert!(links.open(file.id, query.clone(), until.plus_ms(-1)).is_some());
        assert!(links.open(file.id, query, until).is_none());
    }
}
