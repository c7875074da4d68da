//! Requests of a channel to a connector: the secret that allows them, how a request shows it, and what of the request the plugin gets.
//!
//! The secret ([`crate::receive_links`]) is taken as the query parameter `secret` or `token`, in the header `X-Webhook-Secret`, as a
//! bearer in `Authorization`, or as the key of the signature in `X-Webhook-Signature` (the HMAC-SHA256 of the raw body in hexadecimal,
//! with or without `sha256=` before it; of several, the first two count). In its place a request may have a proof that the connector's
//! plugin describes: the signature of the raw body in a header of the channel's, or a secret in the query. The plugin gets neither what
//! proved the right to call, nor credentials of this engine, cookies, or what concerns the connection alone.

use std::sync::Arc;

use bytes::Bytes;
use hmac::Mac;
use poem::http::{HeaderMap, header};
use poem::{Request, RequestBody};
use pombo_domain::commands::connectors::receiving::{Credentials, MAX_RECEIVED_BYTES, ReceiverRef, unproven};
use pombo_domain::ports::{Proof, ReceivedRequest, ReceivedResponse};
use subtle::ConstantTimeEq;

use crate::auth::bearer;
use crate::body;
use crate::error::Failure;
use crate::hook_links::mac;
use crate::options::ApiState;

/// Maximum number of headers of a request.
const MAX_HEADERS: usize = 64;
/// Maximum size of names and values of all headers of a request, in bytes.
const MAX_HEADER_BYTES: usize = 8 * 1024;

const SECRET_PARAMETERS: [&str; 2] = ["secret", "token"];
const SECRET_HEADER: &str = "x-webhook-secret";
const SIGNATURE_HEADER: &str = "x-webhook-signature";

/// How many signatures of a request are checked: each costs a pass over the whole body, before it is known who calls.
const MAX_SIGNATURES: usize = 2;
/// The same for the signatures of all proofs together.
const MAX_PROOF_SIGNATURES: usize = 4;
/// Digits of an HMAC-SHA256 in hexadecimal.
const SIGNATURE_DIGITS: usize = 64;

/// Headers that no plugin gets: credentials, and what concerns the connection alone.
const KEPT_BACK: [&str; 14] = [
    "authorization",
    "connection",
    "cookie",
    "cookie2",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-api-key",
    "x-pombo-tenant",
];

/// A request of a channel as it came.
pub struct Arrived {
    method: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    bearer: Option<String>,
    body: Bytes,
}

impl Arrived {
    /// Reads a request for a connector. Nothing of the body is read for a caller who offers neither a secret nor a proof.
    pub async fn read(request: &Request, body: &mut RequestBody, named: ReceiverRef) -> Result<Self, Failure> {
        let state = request.data::<Arc<ApiState>>();
        let state = state.ok_or_else(|| Failure::internal("a request of a channel came without the API's state"))?;
        let query = request.params::<Vec<(String, String)>>();
        let arrived = Self {
            method: request.method().as_str().to_owned(),
            query: query.map_err(|_| Failure::bad_request("the query is not well formed"))?,
            headers: passed_on(request.headers()),
            bearer: bearer(request).map(str::to_owned),
            body: Bytes::new(),
        };
        let proofs = state.commands.receiving_proofs(named)?;
        if !arrived.offers_a_secret() && !arrived.offers_a_proof(&proofs) {
            if !proofs.is_empty() {
                return Err(unproven().into());
            }
            let message = "send the secret: as secret in the query, in X-Webhook-Secret or as Authorization: Bearer, or sign the body \
                with it in X-Webhook-Signature";
            return Err(Failure::unauthorized(message));
        }
        let bytes: usize = arrived.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if arrived.headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
            let message = format!("send at most {MAX_HEADERS} headers of {} KB in total", MAX_HEADER_BYTES / 1024);
            return Err(Failure::bad_request(message));
        }
        let body = body::read(request, body, MAX_RECEIVED_BYTES).await?;
        Ok(Self { body, ..arrived })
    }

    fn offers_a_secret(&self) -> bool {
        self.bearer.is_some()
            || self.query.iter().any(|(name, _)| SECRET_PARAMETERS.contains(&name.as_str()))
            || self.headers.iter().any(|(name, _)| [SECRET_HEADER, SIGNATURE_HEADER].contains(&name.as_str()))
    }

    fn offers_a_proof(&self, proofs: &[Proof]) -> bool {
        proofs.iter().any(|proof| match proof {
            Proof::BodyHmac { header, .. } => self.headers.iter().any(|(name, _)| name == header),
            Proof::QuerySecret { parameter, method, .. } => {
                self.method == *method && self.query.iter().any(|(name, _)| name == parameter)
            }
        })
    }

    /// Whether one of these proofs, each with its secret, proves the request as it came. What proves it is taken out.
    fn take_proofs(&mut self, proofs: &[(Proof, String)]) -> bool {
        let Self { method, query, headers, body, .. } = self;
        let (mut proven, mut checked) = (false, 0);
        for (proof, secret) in proofs {
            match proof {
                Proof::BodyHmac { header, prefix, .. } => headers.retain(|(name, value)| {
                    let signature = value.trim().strip_prefix(prefix.as_str()).and_then(digits);
                    let Some(signature) = signature.filter(|_| name == header && checked < MAX_PROOF_SIGNATURES) else {
                        return true;
                    };
                    checked += 1;
                    let signs = mac(secret.as_bytes()).chain_update(&*body).verify_slice(&signature).is_ok();
                    proven |= signs;
                    !signs
                }),
                Proof::QuerySecret { parameter, method: only, .. } if *method == *only => {
                    query.retain(|(name, value)| {
                        let same = name == parameter && bool::from(value.as_bytes().ct_eq(secret.as_bytes()));
                        proven |= same;
                        !same
                    })
                }
                Proof::QuerySecret { .. } => {}
            }
        }
        proven
    }

    /// The request for `path` without what proves the secret or is one of the proofs; `None` if nothing is. Secrets are compared in
    /// constant time.
    fn opened(mut self, path: String, secret: &str, proofs: &[(Proof, String)]) -> Option<ReceivedRequest> {
        let proven = self.take_proofs(proofs);
        let same = |given: &str| bool::from(given.trim().as_bytes().ct_eq(secret.as_bytes()));
        let offered = self.query.len() + self.headers.len();
        self.query.retain(|(name, value)| !(SECRET_PARAMETERS.contains(&name.as_str()) && same(value)));
        let body = &self.body;
        let mut checked = 0;
        let mut signs = |given: &str| {
            let Some(signature) = signature(given).filter(|_| checked < MAX_SIGNATURES) else { return false };
            checked += 1;
            mac(secret.as_bytes()).chain_update(body).verify_slice(&signature).is_ok()
        };
        self.headers.retain(|(name, value)| match name.as_str() {
            SECRET_HEADER => !same(value),
            SIGNATURE_HEADER => !signs(value),
            _ => true,
        });
        let bearer = self.bearer.as_deref().is_some_and(same);
        let Self { method, query, headers, bearer: _, body } = self;
        let proved = proven || bearer || query.len() + headers.len() < offered;
        proved.then(|| ReceivedRequest { method, path, query, headers, body: body.into(), proven })
    }
}

/// The signature that a header has, if it has the form of one.
fn signature(given: &str) -> Option<Vec<u8>> {
    let given = given.trim();
    digits(given.strip_prefix("sha256=").unwrap_or(given))
}

/// The bytes of an HMAC-SHA256 in hexadecimal.
fn digits(given: &str) -> Option<Vec<u8>> {
    if given.len() == SIGNATURE_DIGITS { hex::decode(given).ok() } else { None }
}

/// The headers that a plugin may get. One whose value is no text is left out.
fn passed_on(headers: &HeaderMap) -> Vec<(String, String)> {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<String> = named.flat_map(|names| names.split(',')).map(|n| n.trim().to_ascii_lowercase()).collect();
    let kept_back = |name: &str| KEPT_BACK.contains(&name) || named.iter().any(|own| own == name);
    let text = |value: &[u8]| std::str::from_utf8(value).ok().map(str::to_owned);
    let kept = headers.iter().filter(|(name, _)| !kept_back(name.as_str()));
    kept.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value.as_bytes())?))).collect()
}

/// Passes a request to a connector, if it was made with the connector's secret or is proven, and returns the plugin's answer. `path` is
/// what follows the connector's address.
pub async fn receive(
    state: &ApiState,
    connector: ReceiverRef,
    path: String,
    arrived: Arrived,
) -> Result<ReceivedResponse, Failure> {
    let open = |known: &Credentials| {
        let secret = state.receive_links.secret(known.connector, known.epoch);
        arrived.opened(path, &secret, &known.proofs)
    };
    Ok(state.commands.receive(connector, open).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "the secret";
    const BODY: &[u8] = b"{\"a\":1}";

    fn arrived(query: &[(&str, &str)], headers: &[(&str, &str)], bearer: Option<&str>) -> Arrived {
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
        };
        Arrived {
            method: "POST".to_owned(),
            query: owned(query),
            headers: owned(headers),
            bearer: bearer.map(str::to_owned),
            body: Bytes::from_static(BODY),
        }
    }

    fn opened(arrived: Arrived) -> Option<ReceivedRequest> {
        arrived.opened("incoming".to_owned(), SECRET, &[])
    }

    fn signed(secret: &str) -> String {
        hex::encode(mac(secret.as_bytes()).chain_update(BODY).finalize().into_bytes())
    }

    #[test]
    fn each_way_to_show_the_secret_opens_and_is_taken_out() {
        let signed = signed(SECRET);
        let prefixed = format!("sha256={signed}");
        for (name, given) in [
            ("secret", arrived(&[("secret", SECRET), ("a", "1")], &[], None)),
            ("token", arrived(&[("a", "1"), ("token", SECRET)], &[], None)),
            ("header", arrived(&[("a", "1")], &[(SECRET_HEADER, SECRET)], None)),
            ("bearer", arrived(&[("a", "1")], &[], Some(SECRET))),
            ("signature", arrived(&[("a", "1")], &[(SIGNATURE_HEADER, &signed)], None)),
            ("prefixed", arrived(&[("a", "1")], &[(SIGNATURE_HEADER, &prefixed)], None)),
        ] {
            assert!(given.offers_a_secret(), "{name}");
            let request = opened(given).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(request.query, [("a".to_owned(), "1".to_owned())], "{name}");
            assert!(request.headers.is_empty() && request.body == BODY, "{name}");
            assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "incoming"));
        }
    }

    #[test]
    fn a_wrong_secret_opens_nothing_and_stays_beside_a_right_one() {
        let wrong = signed("another");
        for given in [
            arrived(&[("secret", "the secreT")], &[], None),
            arrived(&[("token", "")], &[], None),
            arrived(&[("other", SECRET)], &[], None),
            arrived(&[], &[(SECRET_HEADER, "another")], None),
            arrived(&[], &[("x-other", SECRET)], None),
            arrived(&[], &[], Some("another")),
            arrived(&[], &[(SIGNATURE_HEADER, &wrong)], None),
            arrived(&[], &[(SIGNATURE_HEADER, "sha256=")], None),
            arrived(&[], &[(SIGNATURE_HEADER, SECRET)], None),
        ] {
            assert!(opened(given).is_none());
        }
        let both = arrived(&[("secret", SECRET), ("token", "theirs")], &[(SIGNATURE_HEADER, &wrong)], Some("x"));
        let request = opened(both).expect("one is right");
        assert_eq!(request.query, [("token".to_owned(), "theirs".to_owned())]);
        assert_eq!(request.headers, [(SIGNATURE_HEADER.to_owned(), wrong)]);
    }

    #[test]
    fn only_two_signatures_are_checked_and_what_is_none_does_not_count() {
        let (right, wrong) = (signed(SECRET), signed("another"));
        let opens = |headers: &[&str]| {
            let headers: Vec<_> = headers.iter().map(|value| (SIGNATURE_HEADER, *value)).collect();
            opened(arrived(&[], &headers, None)).is_some()
        };
        assert!(opens(&[&wrong, &right]));
        assert!(!opens(&[&wrong, &wrong, &right]));
        assert!(opens(&["sha256=", "ab", "words", &"z".repeat(SIGNATURE_DIGITS), &right]));
    }

    /// The proofs of a channel that signs bodies and asks with a word of its own whether the URL is right.
    fn proofs() -> [(Proof, String); 2] {
        let (header, prefix) = ("x-hub-signature-256".to_owned(), "sha256=".to_owned());
        let hmac = Proof::BodyHmac { header, prefix, secret: "appSecret".to_owned() };
        let (parameter, method) = ("hub.verify_token".to_owned(), "GET".to_owned());
        let query = Proof::QuerySecret { parameter, secret: "verifyToken".to_owned(), method };
        [(hmac, "app secret".to_owned()), (query, "a word".to_owned())]
    }

    /// With a body whose signature is over the bytes as they came, which a parser would change.
    fn with_escapes(signature: &str) -> Arrived {
        let body = Bytes::from_static(br#"{"text": "ol\u00e1 \/ \ud83d\ude00",  "n": 1.0}"#);
        Arrived { body, ..arrived(&[("a", "1")], &[("x-hub-signature-256", signature)], None) }
    }

    #[test]
    fn a_signature_of_the_raw_body_proves_a_request() {
        let body = with_escapes("").body;
        let sign = |key: &str| hex::encode(mac(key.as_bytes()).chain_update(&body).finalize().into_bytes());
        let open = |given: Arrived| given.opened("in".to_owned(), SECRET, &proofs());
        let good = format!("sha256={}", sign("app secret"));
        let request = open(with_escapes(&good)).expect("it is signed");
        assert!(request.proven && request.headers.is_empty() && request.body == body);
        assert_eq!(request.query, [("a".to_owned(), "1".to_owned())]);
        let wrong = format!("sha256={}", sign("another"));
        for signature in [wrong.as_str(), &sign("app secret"), "sha256=", "", &format!("sha1={}", sign("app secret"))] {
            assert!(open(with_escapes(signature)).is_none(), "{signature}");
        }
        let changed = Arrived { body: Bytes::from_static(b"{}"), ..with_escapes(&good) };
        assert!(open(changed).is_none(), "the body was changed");
        assert!(open(arrived(&[], &[("x-signature", &good)], None)).is_none(), "another header");
        assert!(open(arrived(&[], &[], None)).is_none(), "no signature");
        // The connector's own secret still opens, and says that nothing proved the request.
        let own = Arrived { query: vec![("secret".to_owned(), SECRET.to_owned())], ..with_escapes(&wrong) };
        let request = open(own).expect("the secret is right");
        assert!(!request.proven && request.headers.len() == 1 && request.query.is_empty());
    }

    #[test]
    fn a_word_in_the_query_proves_its_own_method_only() {
        let asked = |method: &str, word: &str| Arrived {
            method: method.to_owned(),
            body: Bytes::new(),
            ..arrived(&[("hub.mode", "subscribe"), ("hub.verify_token", word), ("hub.challenge", "7")], &[], None)
        };
        let open = |given: Arrived| given.opened("in".to_owned(), SECRET, &proofs());
        let request = open(asked("GET", "a word")).expect("it is the word");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(request.query, [pair("hub.mode", "subscribe"), pair("hub.challenge", "7")]);
        assert!(request.proven);
        assert!(open(asked("POST", "a word")).is_none() && open(asked("GET", "another")).is_none());
        let kinds = proofs().map(|(proof, _)| proof);
        assert!(asked("GET", "x").offers_a_proof(&kinds) && !asked("POST", "x").offers_a_proof(&kinds));
        assert!(with_escapes("x").offers_a_proof(&kinds) && !with_escapes("x").offers_a_proof(&[]));
    }

    #[test]
    fn only_some_signatures_of_proofs_are_checked() {
        let good = format!("sha256={}", signed("app secret"));
        let wrong = format!("sha256={}", signed("another"));
        let opens = |before: usize| {
            let mut headers = vec![("x-hub-signature-256", wrong.as_str()); before];
            headers.push(("x-hub-signature-256", good.as_str()));
            arrived(&[], &headers, None).opened("in".to_owned(), SECRET, &proofs()).is_some()
        };
        assert!(opens(MAX_PROOF_SIGNATURES - 1) && !opens(MAX_PROOF_SIGNATURES));
    }

    #[test]
    fn credentials_cookies_and_what_concerns_the_connection_stay_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("x-api-key", "sk"),
            ("content-type", "application/json"),
        ] {
            headers.insert(name, value.parse().expect("a value"));
        }
        assert_eq!(passed_on(&headers), [("content-type".to_owned(), "application/json".to_owned())]);
    }
}
