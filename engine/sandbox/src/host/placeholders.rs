//! What a plugin writes in place of what it must not know: `{{secret:NAME}}`, a secret field of its connector, and
//! `{{hmac-sha256:KEY:NAME}}`, the proof that its sender knows two of them: the hexadecimal HMAC-SHA256 of the field NAME with the field
//! KEY as the key. Both stand in headers and in a URL's query. Pure; used by the interfaces that reach out.
//!
//! Invariant: what is put in is not looked at again, so that a secret that looks like a placeholder is none.

use std::collections::BTreeMap;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::limits::cut;

const SECRET: &str = "{{secret:";
const PROOF: &str = "{{hmac-sha256:";

/// The secret fields of one connector.
pub(crate) struct Secrets<'c>(pub(crate) &'c BTreeMap<String, String>);

impl Secrets<'_> {
    /// One of them. `Err` holds what to tell the plugin.
    pub(crate) fn get(&self, name: &str) -> Result<&str, String> {
        let found = self.0.get(name).map(String::as_str);
        found.ok_or_else(|| format!("the secret field {:?} is not set", cut(name, 64)))
    }

    /// The value of a header with what it asks for; `encrypted` says whether nobody else reads it on its way.
    pub(crate) fn in_header(&self, value: &str, encrypted: bool) -> Result<String, String> {
        self.put_into(value, encrypted, str::to_owned)
    }

    /// A URL's query with what it asks for, escaped: a secret can neither end the value that it stands in nor begin another one. `None` if
    /// it asks for nothing. Whoever gets it must not show or log it.
    pub(crate) fn in_query(&self, query: &str, encrypted: bool) -> Result<Option<String>, String> {
        if ![SECRET, PROOF].iter().any(|kind| query.contains(kind)) {
            return Ok(None);
        }
        let escaped = |secret: &str| url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>();
        self.put_into(query, encrypted, escaped).map(Some)
    }

    fn put_into(&self, value: &str, encrypted: bool, written: fn(&str) -> String) -> Result<String, String> {
        let mut out = String::with_capacity(value.len());
        let mut rest = value;
        let first = |rest: &str| {
            let kinds = [SECRET, PROOF].into_iter().filter_map(|kind| Some((rest.find(kind)?, kind)));
            kinds.min()
        };
        while let Some((start, kind)) = first(rest) {
            let after = &rest[start + kind.len()..];
            let end = after.find("}}").ok_or("a secret's name is not closed by }}")?;
            if !encrypted {
                return Err("secrets are sent over TLS only".to_owned());
            }
            out.push_str(&rest[..start]);
            let name = &after[..end];
            if kind == SECRET {
                out.push_str(&written(self.get(name)?));
            } else {
                out.push_str(&self.proof(name)?);
            }
            rest = &after[end + 2..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn proof(&self, names: &str) -> Result<String, String> {
        let (key, name) = names.split_once(':').ok_or("a proof names two secret fields, KEY:NAME")?;
        let (key, secret) = (self.get(key)?, self.get(name)?);
        let mut mac =
            Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|_| "the secret cannot sign".to_owned())?;
        mac.update(secret.as_bytes());
        Ok(hex::encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 4231, test case 2.
    const PROVEN: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    fn fields() -> BTreeMap<String, String> {
        let fields = [("key", "Jefe"), ("token", "what do ya want for nothing?"), ("odd", "{{secret:key}}")];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn secrets_and_proofs_are_put_in_once() {
        let fields = fields();
        let secrets = Secrets(&fields);
        assert_eq!(secrets.in_header("Bearer {{secret:key}}!", true).as_deref(), Ok("Bearer Jefe!"));
        assert_eq!(secrets.in_header("{{secret:odd}}", true).as_deref(), Ok("{{secret:key}}"));
        let both = secrets.in_header("{{hmac-sha256:key:token}} {{secret:key}}", true);
        assert_eq!(both, Ok(format!("{PROVEN} Jefe")));
        assert_eq!(secrets.in_header("none", false).as_deref(), Ok("none"));
    }

    #[test]
    fn a_query_takes_proofs_and_secrets_that_cannot_leave_their_place() {
        let mut fields = fields();
        fields.insert("sly".to_owned(), "a&b=c|d #é%41".to_owned());
        let secrets = Secrets(&fields);
        let query = secrets.in_query("a=1&proof={{hmac-sha256:key:token}}&b={{secret:key}}", true);
        assert_eq!(query, Ok(Some(format!("a=1&proof={PROVEN}&b=Jefe"))));
        let escaped = secrets.in_query("b={{secret:sly}}&c={{secret:odd}}", true);
        assert_eq!(escaped, Ok(Some("b=a%26b%3Dc%7Cd+%23%C3%A9%2541&c=%7B%7Bsecret%3Akey%7D%7D".to_owned())));
        assert_eq!(secrets.in_query("b=1&c=2", false), Ok(None));
    }

    #[test]
    fn what_cannot_be_put_in_is_refused() {
        let fields = fields();
        let secrets = Secrets(&fields);
        for (value, encrypted, why) in [
            ("{{secret:key}}", false, "TLS only"),
            ("{{hmac-sha256:key:token}}", false, "TLS only"),
            ("{{secret:other}}", true, "\"other\" is not set"),
            ("{{hmac-sha256:other:token}}", true, "\"other\" is not set"),
            ("{{hmac-sha256:key:other}}", true, "\"other\" is not set"),
            ("{{hmac-sha256:key}}", true, "two secret fields"),
            ("{{secret:key", true, "not closed"),
            ("{{hmac-sha256:key:token", true, "not closed"),
        ] {
            assert!(secrets.in_header(value, encrypted).is_err_and(|told| told.contains(why)), "{value}");
        }
        for asked in ["{{hmac-sha256:key:token}}", "{{secret:key}}"] {
            assert!(secrets.in_query(asked, false).is_err_and(|told| told.contains("TLS only")), "{asked}");
        }
    }
}
