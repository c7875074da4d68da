//! A passkey in software: a P-256 key that answers the request options of WebAuthn as a browser with a real authenticator does, and the
//! check of such an answer by the server that asked. For tests and for trying the product; a real passkey never leaves its authenticator.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use p256::ecdsa::{
    Signature, SigningKey, VerifyingKey,
    signature::{Signer as _, Verifier as _},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Whose passkeys the simulator asks for.
pub const RELYING_PARTY: &str = "whatsapp.com";
/// The page on which a passkey is asked.
const ORIGIN: &str = "https://web.whatsapp.com";
/// A person was there and was verified.
const FLAGS: u8 = 0x05;
/// Where the flags are in what is signed, after the hash of the relying party.
const HASH: usize = 32;

/// A passkey.
#[derive(Clone)]
pub struct Authenticator {
    credential: Vec<u8>,
    key: SigningKey,
}

/// Why an answer is not one of this passkey to this question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A part is missing or cannot be read.
    #[error("{0} is missing or cannot be read")]
    Part(&'static str),
    /// Another passkey gave it.
    #[error("another passkey gave it")]
    Credential,
    /// It answers another question.
    #[error("it answers another question")]
    Challenge,
    /// It was given to another service, or without a person.
    #[error("it was given to another service, or without a person")]
    Signed,
    /// The signature is not the passkey's.
    #[error("the signature is not the passkey's")]
    Signature,
}

impl Default for Authenticator {
    fn default() -> Self {
        Self::new()
    }
}

impl Authenticator {
    /// A new passkey.
    pub fn new() -> Self {
        loop {
            // All but a handful of the numbers of 32 bytes are keys.
            if let Ok(key) = SigningKey::from_slice(&rand::random::<[u8; 32]>()) {
                return Self { credential: rand::random::<[u8; 16]>().to_vec(), key };
            }
        }
    }

    /// The name by which a server asks for this passkey.
    pub fn credential(&self) -> &[u8] {
        &self.credential
    }

    /// Answers request options as `PublicKeyCredential.toJSON()` writes it; `None` if they have no challenge.
    pub fn answer(&self, options: &Value) -> Option<Value> {
        let challenge = options.get("challenge")?.as_str()?;
        let party = options.get("rpId").and_then(Value::as_str).unwrap_or(RELYING_PARTY);
        let client = json!({
            "type": "webauthn.get",
            "challenge": challenge,
            "origin": ORIGIN,
            "crossOrigin": false,
        })
        .to_string();
        let mut signed = Sha256::digest(party).to_vec();
        signed.extend([FLAGS, 0, 0, 0, 1]);
        let message = [signed.as_slice(), &Sha256::digest(&client)[..]].concat();
        let signature: Signature = self.key.sign(&message);
        let id = BASE64_URL_SAFE_NO_PAD.encode(&self.credential);
        Some(json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": BASE64_URL_SAFE_NO_PAD.encode(&client),
                "authenticatorData": BASE64_URL_SAFE_NO_PAD.encode(&signed),
                "signature": BASE64_URL_SAFE_NO_PAD.encode(signature.to_der().as_bytes()),
                "userHandle": null,
            },
        }))
    }

    /// Checks an answer as the server does that asked with this challenge.
    pub fn check(&self, challenge: &[u8], credential: &[u8], answer: &[u8]) -> Result<(), Refused> {
        if credential != self.credential {
            return Err(Refused::Credential);
        }
        let answer: Value = serde_json::from_slice(answer).map_err(|_| Refused::Part("the answer"))?;
        let part = |name: &'static str| {
            let text = answer["response"][name].as_str().ok_or(Refused::Part(name))?;
            BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused::Part(name))
        };
        let (client, signed, signature) = (part("clientDataJSON")?, part("authenticatorData")?, part("signature")?);
        let said: Value = serde_json::from_slice(&client).map_err(|_| Refused::Part("clientDataJSON"))?;
        if said["challenge"] != BASE64_URL_SAFE_NO_PAD.encode(challenge) {
            return Err(Refused::Challenge);
        }
        let is_there = signed.get(HASH).is_some_and(|flags| flags & FLAGS == FLAGS);
        if said["origin"] != ORIGIN || !signed.starts_with(&Sha256::digest(RELYING_PARTY)[..]) || !is_there {
            return Err(Refused::Signed);
        }
        let message = [signed.as_slice(), &Sha256::digest(&client)[..]].concat();
        let signature = Signature::from_der(&signature).map_err(|_| Refused::Signature)?;
        VerifyingKey::from(&self.key).verify(&message, &signature).map_err(|_| Refused::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_of_one_passkey_to_one_question() {
        let (ours, theirs) = (Authenticator::new(), Authenticator::new());
        let options = json!({"challenge": BASE64_URL_SAFE_NO_PAD.encode("asked"), "rpId": RELYING_PARTY});
        let answer = ours.answer(&options).expect("a challenge").to_string().into_bytes();
        let check = |challenge: &str, answer: &[u8]| ours.check(challenge.as_bytes(), ours.credential(), answer);
        assert_eq!(check("asked", &answer), Ok(()));
        assert_eq!(check("asked before", &answer), Err(Refused::Challenge));
        assert_eq!(ours.check(b"asked", theirs.credential(), &answer), Err(Refused::Credential));
        let forged = theirs.answer(&options).expect("a challenge").to_string().into_bytes();
        assert_eq!(check("asked", &forged), Err(Refused::Signature));
        let other = json!({"challenge": BASE64_URL_SAFE_NO_PAD.encode("asked"), "rpId": "example.com"});
        let other = ours.answer(&other).expect("a challenge").to_string().into_bytes();
        assert_eq!(check("asked", &other), Err(Refused::Signed));
        assert_eq!(check("asked", b"{}"), Err(Refused::Part("clientDataJSON")));
        assert_eq!(ours.answer(&json!({})), None);
    }
}
