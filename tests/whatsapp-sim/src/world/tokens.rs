//! Privacy tokens: who may write to whom when the server asks for it. An account that trusts a contact gives it a token; an account
//! may also prove by its own salt that it knows the recipient. No socket, no lock of another's.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::account::AccountInfo;

/// The token that one account gave another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) bytes: Vec<u8>,
    /// Seconds since 1970, as the issuer said it.
    pub(crate) issued: u64,
}

/// All tokens given, by issuer and holder.
#[derive(Default)]
pub struct Tokens {
    given: HashMap<(Arc<str>, Arc<str>), Token>,
}

impl Tokens {
    /// An account trusts a contact. The contact's token stays the same; who trusts again makes it younger.
    pub(crate) fn give(&mut self, issuer: &Arc<str>, holder: &Arc<str>, issued: u64) -> Token {
        let token = self.given.entry((issuer.clone(), holder.clone())).or_insert_with(|| Token {
            bytes: Sha256::digest(format!("{issuer}>{holder}").as_bytes()).to_vec(),
            issued,
        });
        token.issued = token.issued.max(issued);
        token.clone()
    }

    /// The token with which `holder` writes to `issuer`.
    pub(crate) fn of(&self, issuer: &Arc<str>, holder: &Arc<str>) -> Option<Token> {
        self.given.get(&(issuer.clone(), holder.clone())).cloned()
    }
}

/// The proof of an account that it knows a recipient: what clients send as `<cstoken>`.
pub(crate) fn proof(salt: &[u8], recipient: &AccountInfo) -> Vec<u8> {
    wacore::iq::tctoken::compute_cs_token(salt, &recipient.lid_jid().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_one_pair_and_only_grows_younger() {
        let mut tokens = Tokens::default();
        let (ana, bia): (Arc<str>, Arc<str>) = ("1".into(), "2".into());
        let first = tokens.give(&ana, &bia, 10);
        assert_eq!(tokens.of(&ana, &bia), Some(first.clone()));
        assert_eq!(tokens.of(&bia, &ana), None);
        assert_ne!(tokens.give(&bia, &ana, 10).bytes, first.bytes);
        assert_eq!(tokens.give(&ana, &bia, 20), Token { issued: 20, ..first.clone() });
        assert_eq!(tokens.give(&ana, &bia, 15).issued, 20);
    }
}
