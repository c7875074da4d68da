//! Section "Webhooks": what a gateway tells of an instance.

use pombo_domain::ports::{ReceiveError, ReceivedRequest, ReceivedResponse};
use uuid::Uuid;

use super::*;

const BODY: &str = "{\"status\": 3,  \"more\":[1]}";
const JSON: (&str, &str) = ("content-type", "application/json");

/// A site whose instances take webhooks.
async fn site() -> Site {
    let site = Site::new().await;
    site.world.connectors.describe_plugin("connector-chat", |plugin| plugin.features.push("receive".to_owned()));
    site
}

impl Site {
    /// The secret of the instance, as `/v1` shows it.
    fn receive_secret(&self) -> String {
        let commands = &self.world.commands;
        let receiving = commands.get_receiving(self.loja.tenant.index, self.instance.id).expect("it is there");
        let links = pombo_api::receive_links::ReceiveLinks::new(b"a secret of at least 32 bytes, for tests", "");
        links.secret(receiving.connector, receiving.epoch)
    }

    async fn tell(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.call("POST", path, headers, BODY).await
    }

    /// Tells with the right secret.
    async fn told(&self, body: impl Into<Body>) -> Answer {
        let path = format!("/zapini/webhooks/instance/{}/status?secret={}", self.instance.id, self.receive_secret());
        self.call("POST", &path, &[JSON], body).await
    }

    fn received(&self) -> Vec<ReceivedRequest> {
        let mut received = self.world.connectors.received.lock();
        std::mem::take(&mut *received).into_iter().map(|(_, request)| request).collect()
    }
}

fn says(status: u16, text: &str) -> Result<ReceivedResponse, ReceiveError> {
    Ok(ReceivedResponse { status, content_type: "text/plain".to_owned(), body: text.as_bytes().to_vec() })
}

#[tokio::test]
async fn each_webhook_reaches_the_plugin_as_it_came_below_each_base() {
    let site = site().await;
    let (secret, id) = (site.receive_secret(), site.instance.id);
    for kind in ["incoming", "status", "qr", "connection", "reaction"] {
        for path in [
            format!("/zapini/webhooks/instance/{id}/{kind}?secret={secret}&a=b%20c"),
            format!("/zapini/api/v1/webhooks/instance/{id}/{kind}?token={secret}&a=b%20c"),
            format!("/zapini/webhooks/instance/{}/{kind}?secret={secret}&a=b%20c", site.instance.index.0),
        ] {
            let answer = site.tell(&path, &[JSON, ("cookie", "a=b"), ("x-gateway", "Baileys")]).await.expect(200);
            assert_eq!(answer, json!({"success": true, "message": "Webhook received"}), "{path}");
            let received = site.received();
            let request = received.first().expect("one");
            assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", kind));
            assert_eq!(request.query, [("a".to_owned(), "b c".to_owned())]);
            assert_eq!(request.body, BODY.as_bytes());
            let header =
                |name: &str| request.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
            let seen = ["x-gateway", "content-type", "cookie"].map(header);
            assert_eq!(seen, [Some("Baileys"), Some("application/json"), None]);
        }
    }
}

#[tokio::test]
async fn the_secret_may_be_in_a_header_or_the_key_of_a_signature() {
    let site = site().await;
    let secret = site.receive_secret();
    let path = format!("/zapini/webhooks/instance/{}/incoming", site.instance.id);
    let bearer = format!("Bearer {secret}");
    for header in [("x-webhook-secret", secret.as_str()), ("authorization", bearer.as_str())] {
        site.tell(&path, &[JSON, header]).await.expect(200);
        let received = site.received();
        assert!(received[0].headers.iter().all(|(name, value)| name != header.0 && !value.contains(&secret)));
    }
    // Signatures are tried in pombo_api::receiving.
    let wrong = "0".repeat(64);
    for header in [("x-webhook-secret", "x"), ("authorization", "Bearer x"), ("x-webhook-signature", wrong.as_str())] {
        assert_eq!(site.tell(&path, &[JSON, header]).await.error(401), "UNAUTHENTICATED");
    }
    assert_eq!(site.tell(&path, &[JSON]).await.error(401), "UNAUTHENTICATED");
    // A token of this API is not the secret.
    let token = format!("Bearer {}", site.loja.key);
    assert_eq!(site.tell(&path, &[JSON, ("authorization", &token)]).await.error(401), "UNAUTHENTICATED");
    assert!(site.received().is_empty());
}

#[tokio::test]
async fn an_instance_that_is_not_there_is_answered_like_a_wrong_secret() {
    let site = site().await;
    let secret = site.receive_secret();
    let another = site.another(&site.loja).await.id;
    let said = |answer: Answer| answer.expect(401)["error"].clone();
    let wrong = format!("/zapini/webhooks/instance/{}/qr?secret=x", site.instance.id);
    let wrong = said(site.tell(&wrong, &[JSON]).await);
    for name in [another.to_string(), Uuid::nil().to_string(), "4000000000".to_owned(), "x".to_owned()] {
        let path = format!("/zapini/webhooks/instance/{name}/qr?secret={secret}");
        assert_eq!(said(site.tell(&path, &[JSON]).await), wrong, "{name}");
    }
    let deleted = format!("/zapini/webhooks/instance/{}/qr?secret={secret}", site.instance.id);
    site.tell(&deleted, &[JSON]).await.expect(200);
    site.world.commands.delete_connector(site.loja.tenant.index, site.instance.id).await.expect("it is there");
    assert_eq!(said(site.tell(&deleted, &[JSON]).await), wrong);
    let unknown = format!("/zapini/webhooks/instance/{}/other?secret={secret}", site.instance.id);
    assert_eq!(site.tell(&unknown, &[JSON]).await.error(404), "NOT_FOUND");
}

#[tokio::test]
async fn a_changed_secret_ends_the_old_one() {
    let site = site().await;
    let old = format!("/zapini/webhooks/instance/{}/qr?secret={}", site.instance.id, site.receive_secret());
    site.tell(&old, &[JSON]).await.expect(200);
    site.world.commands.rotate_receiving(site.loja.tenant.index, site.instance.id).await.expect("it is there");
    assert_eq!(site.tell(&old, &[JSON]).await.error(401), "UNAUTHENTICATED");
    site.told(BODY).await.expect(200);
}

#[tokio::test]
async fn what_the_plugin_answers_is_said_in_the_documented_form() {
    let site = site().await;
    let connectors = &site.world.connectors;
    connectors.answer_received(says(204, ""));
    site.told(BODY).await.expect(200);
    for (given, status, code, reason) in [
        (says(400, "no key.id"), 400, "BAD_REQUEST", "no key.id"),
        (says(422, " unknown status 9\n"), 422, "REFUSED", "unknown status 9"),
        (says(404, ""), 422, "REFUSED", "the instance refuses the webhook"),
        (says(429, "slow down"), 503, "UNAVAILABLE", "repeat it"),
        (says(500, "panic"), 503, "UNAVAILABLE", "repeat it"),
        (Err(ReceiveError::Busy("16 are served".to_owned())), 503, "UNAVAILABLE", "16 are served"),
        (Err(ReceiveError::Failed("it trapped".to_owned())), 503, "UNAVAILABLE", "it trapped"),
        (Err(ReceiveError::Unsupported), 422, "UNSUPPORTED", "receive"),
    ] {
        connectors.answer_received(given);
        let answer = site.told(BODY).await;
        assert_eq!(answer.error(status), code);
        assert_eq!(answer.headers.contains_key("retry-after"), status == 503, "{reason}");
        let body = answer.expect(status);
        assert!(body["error"]["message"].as_str().is_some_and(|text| text.contains(reason)), "{body}");
    }
}

#[tokio::test]
async fn an_instance_whose_plugin_takes_none_says_what_to_do() {
    let site = Site::new().await;
    let answer = site.told(BODY).await;
    assert_eq!(answer.error(422), "UNSUPPORTED");
    let body = answer.expect(422);
    let message = body["error"]["message"].as_str().expect("a text");
    assert!(message.contains("plugin connector-chat") && message.contains("an instance whose plugin"), "{message}");
    assert!(site.received().is_empty());
}

#[tokio::test]
async fn a_body_of_more_than_three_megabytes_is_refused() {
    let site = site().await;
    let largest = vec![b' '; 3 * 1024 * 1024];
    let larger = vec![b' '; 3 * 1024 * 1024 + 1];
    site.told(largest).await.expect(200);
    assert_eq!(site.told(larger).await.error(413), "PAYLOAD_TOO_LARGE");
    assert_eq!(site.received().len(), 1);
}
