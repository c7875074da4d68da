//! The question for a passkey as WhatsApp sends it (the request options of WebAuthn), and the check of an answer before it is sent:
//! WhatsApp takes one answer for each question, so what cannot be right is refused here, with what to change.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The most bytes of a question; a real one has a few hundred.
const QUESTION_BYTES: usize = 16 * 1024;
/// The most bytes of one part of an answer.
const PART_BYTES: usize = 8 * 1024;
/// Whose passkeys are meant where the question does not say: those of the page that asks.
const RELYING_PARTY: &str = "web.whatsapp.com";
/// Where the flags are in what the authenticator signed, and the least that it signs: hash, flags, counter.
const FLAGS: usize = 32;
const SIGNED_BYTES: usize = 37;
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;

/// A question for a passkey.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Challenge {
    options: Value,
    challenge: Vec<u8>,
    relying_party: String,
    /// The passkeys that are taken; empty: each of the account.
    allowed: Vec<Vec<u8>>,
    must_verify: bool,
}

/// A checked answer, in the form in which WhatsApp takes it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Assertion {
    /// The answer as JSON.
    pub(crate) json: Vec<u8>,
    /// Which passkey gave it.
    pub(crate) credential: Vec<u8>,
}

impl std::fmt::Debug for Assertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Assertion")
    }
}

fn decoded(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?.trim_end_matches('=').replace('+', "-").replace('/', "_");
    URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| !bytes.is_empty() && bytes.len() <= PART_BYTES)
}

impl Challenge {
    /// Reads the options; `Err` says what is wrong with them.
    pub(crate) fn read(options: &str) -> Result<Self, &'static str> {
        if options.len() > QUESTION_BYTES {
            return Err("it is too long");
        }
        let options: Value = serde_json::from_str(options).map_err(|_| "it is not JSON")?;
        let challenge = options.get("challenge").and_then(decoded).ok_or("it has no challenge")?;
        let relying_party = match options.get("rpId") {
            None | Some(Value::Null) => RELYING_PARTY.to_owned(),
            Some(Value::String(id)) if !id.is_empty() => id.clone(),
            Some(_) => return Err("its rpId is not a name"),
        };
        let allowed = match options.get("allowCredentials") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(all)) => all
                .iter()
                .map(|one| one.get("id").and_then(decoded).ok_or("one of its allowCredentials has no id"))
                .collect::<Result<_, _>>()?,
            Some(_) => return Err("its allowCredentials are not a list"),
        };
        let must_verify = options.get("userVerification").and_then(Value::as_str) == Some("required");
        Ok(Self { options, challenge, relying_party, allowed, must_verify })
    }

    /// The options as they came, for `navigator.credentials.get`.
    pub(crate) fn options(&self) -> &Value {
        &self.options
    }

    /// Checks what `navigator.credentials.get` gave, as JSON. `Err` says what to change.
    pub(crate) fn check(&self, answer: &Value) -> Result<Assertion, String> {
        let response = answer.get("response").unwrap_or(&Value::Null);
        let part = |name: &str| {
            response.get(name).and_then(decoded).ok_or_else(|| {
                format!(
                    "response.{name} is missing or is not base64url: give the whole answer of the passkey, as its toJSON() writes it"
                )
            })
        };
        let credential = [answer.get("rawId"), answer.get("id")].into_iter().flatten().find_map(decoded);
        let credential = credential.ok_or("rawId is missing or is not base64url")?;
        let (client, signed, signature) = (part("clientDataJSON")?, part("authenticatorData")?, part("signature")?);
        if !self.allowed.is_empty() && !self.allowed.contains(&credential) {
            return Err(
                "this passkey is not one of those that WhatsApp asks for: choose the one of this account".to_owned()
            );
        }
        self.check_client(&client)?;
        self.check_signed(&signed)?;
        let user = response.get("userHandle").and_then(decoded).map(|user| URL_SAFE_NO_PAD.encode(user));
        let id = URL_SAFE_NO_PAD.encode(&credential);
        let written = json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client),
                "authenticatorData": URL_SAFE_NO_PAD.encode(signed),
                "signature": URL_SAFE_NO_PAD.encode(signature),
                "userHandle": user,
            },
        });
        Ok(Assertion { json: written.to_string().into_bytes(), credential })
    }

    /// What the browser says of the question.
    fn check_client(&self, client: &[u8]) -> Result<(), String> {
        let client: Value = serde_json::from_slice(client).map_err(|_| "response.clientDataJSON is not JSON")?;
        if client.get("type").and_then(Value::as_str) != Some("webauthn.get") {
            return Err("this is not the answer to a login with a passkey".to_owned());
        }
        if client.get("challenge").and_then(decoded).as_ref() != Some(&self.challenge) {
            return Err("this answers an earlier question: use the options of the step that waits now".to_owned());
        }
        let host = client.get("origin").and_then(Value::as_str).and_then(|origin| origin.strip_prefix("https://"));
        let host = host.map(|host| host.split(':').next().unwrap_or_default()).unwrap_or_default();
        let below = host.strip_suffix(self.relying_party.as_str()).is_some_and(|above| above.ends_with('.'));
        if host != self.relying_party && !below {
            return Err(
                "the passkey was asked on another page than WhatsApp Web: ask it on web.whatsapp.com".to_owned()
            );
        }
        Ok(())
    }

    /// What the authenticator signed.
    fn check_signed(&self, signed: &[u8]) -> Result<(), String> {
        let hash = Sha256::digest(self.relying_party.as_bytes());
        if signed.len() < SIGNED_BYTES || !signed.starts_with(&hash[..]) {
            return Err("the passkey is of another service than WhatsApp".to_owned());
        }
        if signed[FLAGS] & PRESENT == 0 {
            return Err("the passkey was given without a person".to_owned());
        }
        if self.must_verify && signed[FLAGS] & VERIFIED == 0 {
            return Err("WhatsApp demands that the passkey is unlocked by finger, face or PIN".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// A question that allows the passkey `key-1`.
    pub(crate) fn question() -> String {
        json!({
            "challenge": URL_SAFE_NO_PAD.encode("what is asked"),
            "rpId": "whatsapp.com",
            "userVerification": "required",
            "timeout": 60_000,
            "allowCredentials": [{"type": "public-key", "id": URL_SAFE_NO_PAD.encode("key-1")}],
        })
        .to_string()
    }

    /// Its answer; the signature is not checked here.
    pub(crate) fn answer() -> Value {
        signed_by("key-1", "what is asked", "https://web.whatsapp.com", PRESENT | VERIFIED)
    }

    pub(crate) fn signed_by(key: &str, challenge: &str, origin: &str, flags: u8) -> Value {
        let client = json!({"type": "webauthn.get", "challenge": URL_SAFE_NO_PAD.encode(challenge), "origin": origin})
            .to_string();
        let mut signed = Sha256::digest("whatsapp.com").to_vec();
        signed.extend([flags, 0, 0, 0, 1]);
        json!({
            "id": URL_SAFE_NO_PAD.encode(key),
            "rawId": URL_SAFE_NO_PAD.encode(key),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client),
                "authenticatorData": URL_SAFE_NO_PAD.encode(signed),
                "signature": URL_SAFE_NO_PAD.encode("signed"),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{answer, question, signed_by};
    use super::*;

    #[test]
    fn an_answer_is_written_as_whatsapp_takes_it() {
        let challenge = Challenge::read(&question()).expect("a question");
        let assertion = challenge.check(&answer()).expect("its answer");
        assert_eq!(assertion.credential, b"key-1");
        let written: Value = serde_json::from_slice(&assertion.json).expect("JSON");
        assert_eq!(written["response"]["userHandle"], Value::Null);
        assert_eq!(written["rawId"], written["id"]);
        assert!(written.get("clientExtensionResults").is_none(), "nothing that was not asked for");
        assert_eq!(format!("{assertion:?}"), "Assertion", "it reaches no log");
    }

    #[test]
    fn what_cannot_be_right_is_refused_before_it_is_sent() {
        let challenge = Challenge::read(&question()).expect("a question");
        let web = "https://web.whatsapp.com";
        for (answer, words) in [
            (signed_by("key-2", "what is asked", web, 5), "not one of those"),
            (signed_by("key-1", "what was asked", web, 5), "earlier question"),
            (signed_by("key-1", "what is asked", "https://evil.example", 5), "another page"),
            (signed_by("key-1", "what is asked", "https://notwhatsapp.com", 5), "another page"),
            (signed_by("key-1", "what is asked", "http://web.whatsapp.com", 5), "another page"),
            (signed_by("key-1", "what is asked", web, VERIFIED), "without a person"),
            (signed_by("key-1", "what is asked", web, PRESENT), "unlocked"),
            (json!({"rawId": "a2V5LTE"}), "response.clientDataJSON"),
            (json!({"response": {}}), "rawId"),
            (json!("x"), "rawId"),
        ] {
            let refused = challenge.check(&answer).expect_err(words);
            assert!(refused.contains(words), "{refused}");
        }
        let mut other = answer();
        other["response"]["authenticatorData"] = json!(URL_SAFE_NO_PAD.encode([0; 37]));
        assert!(challenge.check(&other).expect_err("another service").contains("another service"));
    }

    #[test]
    fn a_question_without_what_it_needs_is_not_asked() {
        for (question, why) in [
            ("", "not JSON"),
            ("{}", "no challenge"),
            (r#"{"challenge": ""}"#, "no challenge"),
            (r#"{"challenge": "YQ", "rpId": 7}"#, "rpId"),
            (r#"{"challenge": "YQ", "allowCredentials": {}}"#, "not a list"),
            (r#"{"challenge": "YQ", "allowCredentials": [{}]}"#, "has no id"),
        ] {
            let refused = Challenge::read(question).expect_err(why);
            assert!(refused.contains(why), "{refused}");
        }
        assert!(Challenge::read(&" ".repeat(QUESTION_BYTES + 1)).is_err());
        let least = Challenge::read(r#"{"challenge": "YQ"}"#).expect("the least");
        assert_eq!((least.relying_party.as_str(), least.allowed.len()), (RELYING_PARTY, 0));
    }
}
