//! The list and its filters.

use pombo_domain::model::reason::{Reason, ReasonCode};
use pombo_domain::ports::Store;

use super::*;

async fn totals(site: &Site, query: &str) -> (u64, usize) {
    let page = site.get(&format!("/queue/list{query}")).await.ok();
    (page["meta"]["total"].as_u64().expect("a total"), page["data"].as_array().expect("data").len())
}

#[tokio::test]
async fn filters_and_pages() {
    let site = Site::new().await;
    for n in 0..5 {
        let changes = json!({
            "to": format!("c{n}@exemplo.com"),
            "message": format!("Promoção número {n}"),
            "messageType": if n < 2 { "MARKETING" } else { "GERAL" },
            "externalId": format!("PEDIDO-{n}"),
            "scheduledAt": if n == 4 { json!("2026-03-01T00:00:00Z") } else { Value::Null },
        });
        site.post("/queue/send", site.message_with(changes)).await.ok();
    }
    let connector = site.loja.connector.id;
    for (query, expected) in [
        ("", (5, 5)),
        ("?limit=2", (5, 2)),
        ("?limit=2&page=3", (5, 1)),
        ("?limit=2&page=4", (5, 0)),
        ("?page=2147483647&limit=250", (5, 0)),
        ("?status=WAITING", (1, 1)),
        ("?status=PENDING&messageType=MARKETING", (2, 2)),
        ("?status=UNKNOWN", (0, 0)),
        ("?externalId=PEDIDO-3", (1, 1)),
        ("?externalId=PEDIDO", (0, 0)),
        ("?search=c2%40exemplo", (1, 1)),
        ("?search=n%C3%BAmero+4", (1, 1)),
        ("?dateFrom=2026-01-02&dateTo=2026-01-02", (5, 5)),
        ("?dateFrom=2026-01-02T03:04:06Z", (0, 0)),
        ("?dateFrom=0061-03-31T08:28:36Z&dateTo=9999-01-01", (5, 5)),
        ("?dateTo=2026-01-02T00:04:05.678-03:00", (5, 5)),
        (&format!("?connectorId={connector}&messageType=GERAL"), (3, 3)),
    ] {
        assert_eq!(totals(&site, query).await, expected, "{query}");
    }
    let page = site.get("/queue/list?limit=2&page=2").await.ok();
    assert_eq!(page["meta"], json!({"total": 5, "page": 2, "limit": 2, "pages": 3}));
    assert_eq!(page["data"][0]["externalId"], "PEDIDO-2", "newest first");
}

#[tokio::test]
async fn bad_filters_are_named() {
    let site = Site::new().await;
    for (query, problem) in [
        ("limit=0", "limit: must be a whole number from 1 to 250"),
        ("limit=251", "limit: must be a whole number from 1 to 250"),
        ("limit=ten", "limit: must be a whole number from 1 to 250"),
        ("page=0", "page: must be a whole number from 1 to 2147483647"),
        ("page=-1", "page: must be a whole number from 1 to 2147483647"),
        ("status=sent", "status: must be one of PENDING, WAITING, PROCESSING, SENT"),
        ("status=", "status: must be one of"),
        ("messageType=SPAM", "messageType: must be one of GERAL"),
        ("dateFrom=yesterday", "dateFrom: must be ISO 8601, for example 2024-01-31T23:59:59Z"),
        ("dateFrom=2026-02-01&dateTo=2026-01-01", "dateFrom: must not be after dateTo"),
        ("search=a", "search: needs a word of at least 2 characters"),
        ("externalId=", "externalId: must have 1 to 255 characters"),
        ("order=asc", "unknown parameter \"order\""),
        ("Status=SENT", "unknown parameter \"Status\""),
        ("page=1&page=2", "page: given more than once"),
    ] {
        let message = site.get(&format!("/queue/list?{query}")).await.error(400);
        assert!(message.starts_with(problem), "{query}: {message}");
    }
    for unknown in ["x", "00000000-0000-4000-8000-000000000000"] {
        site.get(&format!("/queue/list?connectorId={unknown}")).await.error(404);
    }
}

#[tokio::test]
async fn a_listed_message_has_the_documented_fields_and_says_why_it_failed() {
    let site = Site::new().await;
    let sent = site.post("/queue/send", site.message_with(json!({"externalId": "PEDIDO-1"}))).await.ok();
    let id = sent["id"].as_str().and_then(|id| id.parse().ok()).expect("a UUID");
    let key =
        site.world.store.message_by_id(site.loja.tenant.index, id).expect("readable").expect("stored").message.key;
    let reason = Reason::new(ReasonCode::InvalidRecipient, "550 no such user");
    site.world.step(key, |state, now| state.failed(reason, now).expect("it may fail"));
    let page = site.get("/queue/list").await.ok();
    assert_eq!(
        page["data"][0],
        json!({
            "id": sent["id"],
            "to": "cliente@exemplo.com",
            "message": "Seu pedido foi confirmado!",
            "status": "FAILED",
            "priority": 5,
            "messageType": "GERAL",
            "connectorId": site.loja.connector.id,
            "createdAt": "2026-01-02T03:04:05.678Z",
            "externalId": "PEDIDO-1",
            "reason": {"code": "invalid_recipient", "detail": "550 no such user"},
            "attachments": [],
        })
    );
}
