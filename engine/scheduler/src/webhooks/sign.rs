//! How a webhook is signed: the Standard Webhooks scheme, and a plain digest of the body for receivers that do not know the scheme.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use pombo_domain::Timestamp;
use pombo_domain::model::delivery::Delivery;
use sha2::Sha256;

fn digest(secret: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// The HMAC-SHA256 of a body, in lower-case hexadecimal.
pub(super) fn of_body(secret: &[u8], body: &[u8]) -> String {
    hex::encode(digest(secret, &[body]))
}

/// The headers of one try at `now`: `webhook-id`, `webhook-timestamp` (seconds), `webhook-signature` (`v1,` and the base64
/// HMAC-SHA256 of `id.timestamp.body`), and `x-pombo-signature` (the hex HMAC-SHA256 of the body alone). The client adds `content-type`.
pub fn headers(delivery: &Delivery, secret: &[u8], now: Timestamp) -> Vec<(&'static str, String)> {
    let (id, seconds) = (delivery.id.to_string(), now.0.div_euclid(1000).to_string());
    let body = delivery.body.as_bytes();
    let signature = digest(secret, &[id.as_bytes(), b".", seconds.as_bytes(), b".", body]);
    vec![
        ("user-agent", concat!("Pombo-Webhooks/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("webhook-id", id),
        ("webhook-timestamp", seconds),
        ("webhook-signature", format!("v1,{}", STANDARD.encode(signature))),
        ("x-pombo-signature", of_body(secret, body)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use pombo_domain::model::delivery::{DeliveryKey, DeliveryStatus};
    use pombo_domain::{MessageKey, TenantIndex};

    /// Computed apart with Python's hmac module.
    #[test]
    fn signs_id_time_and_body() {
        let delivery = Delivery {
            id: uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
            key: DeliveryKey { message: MessageKey { tenant: TenantIndex(1), serial: 2 }, revision: 3 },
            url: "https://example.org/hook".to_owned(),
            body: r#"{"event":"message.status"}"#.to_owned(),
            status: DeliveryStatus::Pending,
            next_at: Timestamp(0),
            attempts: Vec::new(),
            tries: 0,
            created_at: Timestamp(0),
        };
        let headers = headers(&delivery, b"segredo", Timestamp(1_700_000_000_999));
        let get = |name| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
        assert_eq!(get("webhook-id"), Some("01900000-0000-7000-8000-000000000001"));
        assert_eq!(get("webhook-timestamp"), Some("1700000000"));
        assert_eq!(get("webhook-signature"), Some("v1,fDcVPhDIjdGnOsBxCQsrVxRtAd5V2uio5cJWfrtUo88="));
        assert_eq!(get("x-pombo-signature"), Some("be37c263c60b2614c4cb10de08bd8f2934a924498dda7cb61e951db06cf35154"));
    }
}
