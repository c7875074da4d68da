//! What is answered for each outcome of a send: 400 where the request or the person on the other side stands against it, 500 where it may go
//! well another time. Nothing that was not sent in time stays in the queue.

use pombo_domain::model::reason::Reason;
use pombo_domain::model::{ReasonCode, Rules, Status};
use pombo_domain::ports::SessionState;
use pombo_testkit::settle;
use tokio::join;

use super::*;

async fn text(site: &Site) -> Value {
    let contact = site.contact(ANA, &[&site.instance]).await;
    json!({"contact_id": contact, "instance_id": site.instance.index.0, "message_content": "Olá, tudo bem?"})
}

#[tokio::test]
async fn a_refusal_is_400_with_the_reason() {
    let site = Site::new().await;
    let body = text(&site).await;
    for code in [ReasonCode::InvalidRecipient, ReasonCode::Rejected, ReasonCode::InactiveContact] {
        let end = |state: &MessageState| state.failed(Reason::new(code, "131026"), NOW).ok();
        let (answer, _) = join!(site.post("/sendmessage", &body), site.lane(end));
        let refused = answer.refusal(400);
        assert!(refused["message"].as_str().expect("a text").contains("131026"), "{refused}");
    }
}

#[tokio::test]
async fn what_may_go_well_another_time_is_500() {
    let site = Site::new().await;
    let body = text(&site).await;
    let end = |state: &MessageState| state.unknown(Reason::new(ReasonCode::UnknownOutcome, "lost"), NOW).ok();
    let (answer, stored) = join!(site.post("/sendmessage", &body), site.lane(end));
    let refused = answer.refusal(500);
    assert_eq!(refused["message_uuid"], json!(stored.message.id), "{refused}");
    assert!(refused["message"].as_str().expect("a text").contains("look before you send it again"), "{refused}");

    let stored = site.messages();
    site.pace.0.lock().cap_today = Some(0);
    let capped = site.post("/sendmessage", &body).await;
    capped.refusal(500);
    assert!(capped.headers.contains_key("retry-after"));
    site.pace.0.lock().cap_today = None;
    site.world.connectors.set_session(site.instance.index, SessionState::Stopped);
    site.post("/sendmessage", &body).await.refusal(500);
    assert_eq!(site.messages(), stored, "nothing was stored");
}

#[tokio::test]
async fn what_is_not_sent_in_time_does_not_stay_queued() {
    let site = Site::new().await;
    let body = text(&site).await;
    let late = async {
        let stored = site.queued().await;
        settle().await;
        site.world.clock.advance(WAIT_MS).await;
        stored
    };
    let (answer, stored) = join!(site.post("/sendmessage", &body), late);
    let refused = answer.refusal(500);
    assert!(refused["message"].as_str().expect("a text").contains("will not be"), "{refused}");
    let now = site.world.store.message(stored.message.key).expect("reads").expect("it is stored");
    assert_eq!(now.state.status, Status::Canceled);
}

#[tokio::test]
async fn what_whatsapp_may_have_is_500_with_its_id() {
    let site = Site::new().await;
    let body = text(&site).await;
    let running = async {
        let stored = site.lane(|_| None).await;
        settle().await;
        site.world.clock.advance(WAIT_MS).await;
        stored
    };
    let (answer, stored) = join!(site.post("/sendmessage", &body), running);
    let refused = answer.refusal(500);
    assert_eq!(refused["message_uuid"], json!(stored.message.id), "{refused}");
}

#[tokio::test]
async fn a_closed_window_is_400_with_what_to_do() {
    let site = Site::new().await;
    let outside_window = vec!["template".to_owned()];
    let rules = Rules { reply_window_ms: Some(24 * 3_600_000), outside_window, ..Rules::default() };
    site.world.connectors.describe_plugin("connector-chat", |plugin| plugin.rules = Some(rules));
    let body = text(&site).await;
    let refused = site.post("/sendmessage", &body).await.refusal(400);
    assert!(
        refused["message"].as_str().expect("a text").contains("send an approved template with POST /send-message"),
        "{refused}"
    );
    assert_eq!(site.messages(), 0, "nothing was stored");
    // The window may close between the request and the attempt.
    let end = |state: &MessageState| state.failed(Reason::new(ReasonCode::WindowClosed, "too late"), NOW).ok();
    site.world.connectors.describe_plugin("connector-chat", |plugin| plugin.rules = None);
    let (answer, _) = join!(site.post("/sendmessage", &body), site.lane(end));
    let refused = answer.refusal(400);
    assert!(refused["message"].as_str().expect("a text").contains("send an approved template"), "{refused}");
}
