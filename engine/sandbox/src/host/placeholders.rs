//! What a plugin writes in place of what it must not know: `{{secret:NAME}}`, a secret field of its connector, and
//! `{{hmac-sha256:KEY:NAME}}`, the proof that its sender knows two of them: the hexadecimal HMAC-SHA256 of the field NAME with the field
//! KEY as the key. Pure; used by the interfaces that reach out.
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
        self.put_into(value, &[SECRET, PROOF], encrypted)
    }

    /// A URL's query with the proofs that it asks for; `None` if it asks for none. A secret itself has no place there: URLs are shown and
    /// logged on their way.
    pub(crate) fn in_query(&self, query: &str, encrypted: bool) -> Result<Option<String>, String> {
        if !query.contains(PROOF) {
            return Ok(None);
        }
        self.put_into(query, &[PROOF], encrypted).map(Some)
    }

    fn put_into(&self, value: &str, kinds: &[&str], encrypted: bool) -> Result<String, String> {
        let mut out = String::with_capacity(value.len());
        let mut rest = value;
        while let Some((start, kind)) = kinds.iter().filter_map(|kind| Some((rest.find(kind)?, *kind))).min() {
            let after = &rest[start + kind.len()..];
            let end = after.find("}}").ok_or("a secret's name is not closed by }}")?;
            if !encrypted {
                return Err("secrets are sent over TLS only".to_owned());
            }
            out.push_str(&rest[..start]);
            let name = &after[..end];
            if kind == SECRET {
                out.push_str(self.get(name)?);
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
    fn a_query_takes_proofs_and_no_secrets() {
        let fields = fields();
        let secrets = Secrets(&fields);
        let query = secrets.in_query("a=1&proof={{hmac-sha256:key:token}}&b={{secret:key}}", true);
        assert_eq!(query, Ok(Some(format!("a=1&proof={PROVEN}&b={{{{secret:key}}}}"))));
        assert_eq!(secrets.in_query("b={{secret:key}}", true), Ok(None));
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
        assert!(secrets.in_query("{{hmac-sha256:key:token}}", false).is_err());
    }
}
