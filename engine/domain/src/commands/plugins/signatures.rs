//! Verifies signatures of components. Pure: it knows bytes and keys, but no store.

use ed25519_dalek::{Signature, VerifyingKey};
use uuid::Uuid;

use crate::model::TrustRoot;

/// Prefix of the signed bytes; the 64 hexadecimal characters of the component's SHA-256 follow.
pub const SIGNED_PREFIX: &[u8] = b"pombo-plugin-v1\n";

/// The bytes that are signed for a component with this digest.
pub fn signed_bytes(digest: &str) -> Vec<u8> {
    [SIGNED_PREFIX, digest.as_bytes()].concat()
}

/// The root that made the signature, among those that are not revoked.
pub fn signer<'a>(roots: impl IntoIterator<Item = &'a TrustRoot>, digest: &str, signature: &[u8; 64]) -> Option<Uuid> {
    let (signed, signature) = (signed_bytes(digest), Signature::from_bytes(signature));
    let made_it = |root: &&TrustRoot| {
        let key = VerifyingKey::from_bytes(&root.key);
        key.is_ok_and(|key| key.verify_strict(&signed, &signature).is_ok())
    };
    roots.into_iter().filter(|root| root.revoked_at.is_none()).find(made_it).map(|root| root.id)
}

/// Whether these are the bytes of a key that can be trusted: a point of the curve that is not one of the few for which anybody
/// can sign.
pub fn is_key(key: &[u8; 32]) -> bool {
    VerifyingKey::from_bytes(key).is_ok_and(|key| !key.is_weak())
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;
    use crate::{TenantIndex, Timestamp};

    fn root(id: u128, key: &SigningKey) -> TrustRoot {
        TrustRoot {
            id: Uuid::from_u128(id),
            owner: Some(TenantIndex(1)),
            name: "ana".to_owned(),
            key: key.verifying_key().to_bytes(),
            created_at: Timestamp(0),
            revoked_at: None,
        }
    }

    #[test]
    fn the_root_that_signed_is_found_and_no_other_bytes_pass() {
        let (ana, bia) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let digest = "ab".repeat(32);
        let signature = bia.sign(&signed_bytes(&digest)).to_bytes();
        let roots = [root(1, &ana), root(2, &bia)];
        assert_eq!(signer(&roots, &digest, &signature), Some(Uuid::from_u128(2)));
        assert_eq!(signer(&roots[..1], &digest, &signature), None, "nobody trusts bia");
        assert_eq!(signer(&roots, &"cd".repeat(32), &signature), None, "another component");
        let bare = bia.sign(digest.as_bytes()).to_bytes();
        assert_eq!(signer(&roots, &digest, &bare), None, "signed for something else");
        let mut bent = signature;
        bent[40] ^= 1;
        assert_eq!(signer(&roots, &digest, &bent), None);
        let revoked = TrustRoot { revoked_at: Some(Timestamp(1)), ..roots[1].clone() };
        assert_eq!(signer([&roots[0], &revoked], &digest, &signature), None, "bia is trusted no more");
    }

    #[test]
    fn weak_points_are_no_keys() {
        assert!(is_key(&SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes()));
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut off_the_curve = [0; 32];
        off_the_curve[0] = 2;
        for bad in [[0; 32], identity, off_the_curve] {
            assert!(!is_key(&bad), "{bad:?}");
        }
    }
}
