//! What a connector hears, as a caller reads it.

use pombo_domain::Timestamp;
use pombo_domain::model::hearing::{Deaf, DeafReason, DeliveryTimes, HearingView};
use pombo_domain::ports::SessionState;
use serde_json::json;

use super::support::Engine;

/// 2030-01-01T00:00:00Z and so many seconds.
fn at(second: i64) -> Timestamp {
    Timestamp(1_893_456_000_000 + second * 1_000)
}

#[tokio::test]
async fn a_deaf_connector_is_shown_beside_its_connected_session() {
    let engine = Engine::new().await;
    let (id, index) = engine.chat(&engine.a).await;
    let (session, pace) = (format!("/v1/connectors/{id}/session"), format!("/v1/connectors/{id}/pace"));
    let shown = engine.get(&engine.a, &pace).await.expect(200);
    assert_eq!(shown["hearing"], json!({"unanswered": 0}));
    *engine.fixed.hearing.lock().expect("no test panics in it") = HearingView {
        heard_at: Some(at(1)),
        receipt_at: Some(at(2)),
        unanswered: 8,
        delivery: Some(DeliveryTimes { samples: 120, p50_ms: 2_500, p99_ms: 30_000 }),
        deaf: Some(Deaf {
            since: at(3),
            noticed_at: at(4),
            reason: DeafReason::NothingHeard,
            detail: "8 people were written to".to_owned(),
        }),
        restarted_at: Some(at(5)),
    };
    let deaf = json!({
        "since": "2030-01-01T00:00:03.000Z", "noticedAt": "2030-01-01T00:00:04.000Z", "reason": "nothing_heard",
        "detail": "8 people were written to", "restartedAt": "2030-01-01T00:00:05.000Z"
    });
    let shown = engine.get(&engine.a, &session).await.expect(200);
    assert_eq!((&shown["status"], &shown["deaf"]), (&json!("CONNECTED"), &deaf));
    let expected = json!({
        "heardAt": "2030-01-01T00:00:01.000Z", "receiptAt": "2030-01-01T00:00:02.000Z", "unanswered": 8,
        "delivery": {"samples": 120, "p50Ms": 2500, "p99Ms": 30000, "lateAfterMs": 600_000}, "deaf": deaf
    });
    assert_eq!(engine.get(&engine.a, &pace).await.expect(200)["hearing"], expected);

    engine.world.connectors.set_session(index, SessionState::Disconnected("the network".to_owned()));
    assert_eq!(engine.get(&engine.a, &session).await.expect(200).get("deaf"), None, "it is not connected");
}
