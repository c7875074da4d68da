//! Section "Controle de Automação", and the chat API's pauses.

use pombo_domain::TenantIndex;
use pombo_domain::ports::{AutomationChange, AutomationStore, Batch, Change, Clock, OwnEffect, OwnMessage, Store};
use pombo_testkit::samples;
use uuid::Uuid;

use super::shape::like;
use super::*;

/// Opens a conversation on a connector; its id.
pub(super) async fn opened(site: &Site, tenant: TenantIndex, connector: ConnectorIndex, chat: &str) -> Uuid {
    let open = AutomationChange::Open { tenant, connector, chat: chat.to_owned(), is_group: false };
    site.world.store.commit(Batch::of(vec![Change::Automation(Box::new(open))])).await.expect("commits");
    site.world.store.conversation_with(connector, chat).expect("reads").expect("it was opened").id
}

/// A site whose instance has an automation, with a conversation.
pub(super) async fn answering() -> (Site, Uuid) {
    let site = Site::new().await;
    let (tenant, connector) = (site.loja.tenant.index, site.instance.index);
    let automation = AutomationChange::Put(samples::automation(1, tenant, connector, "acme-bot"));
    site.world.store.commit(Batch::of(vec![Change::Automation(Box::new(automation))])).await.expect("commits");
    let id = opened(&site, tenant, connector, "5511987654321").await;
    (site, id)
}

#[tokio::test]
async fn who_answers_is_shown_as_documented() {
    let (site, id) = answering().await;
    let path = format!("/conversations/{id}/automation");
    let example = json!({
        "success": true,
        "data": {
            "conversation_id": "550e8400-e29b-41d4-a716-446655440045",
            "automation_status": "active",
            "is_automation_active": true,
            "can_send_manual_message": false,
            "paused_at": null,
            "paused_by": null,
            "pause_reason": null
        }
    });
    let shown = site.get(&path).await.expect(200);
    like(&shown, &example, &[], &[]);
    assert_eq!(
        (&shown["data"]["automation_status"], &shown["data"]["can_send_manual_message"]),
        (&json!("active"), &json!(false))
    );

    let body = json!({"reason": "Manual takeover for VIP client"});
    let paused = site.post(&format!("{path}/pause"), body).await.expect(200);
    let example = json!({
        "success": true,
        "message": "Automation paused. You can now send messages manually.",
        "data": {"automation_status": "paused", "paused_at": "2025-12-20T14:30:00Z", "paused_by": "John Doe"}
    });
    like(&paused, &example, &[], &[]);
    assert_eq!(paused["message"], example["message"]);
    assert_eq!(
        paused["data"],
        json!({"automation_status": "paused", "paused_at": "2025-01-15T10:30:00Z", "paused_by": "tests"})
    );
    let shown = site.get(&path).await.expect(200);
    assert_eq!(
        shown["data"],
        json!({
            "conversation_id": id, "automation_status": "paused", "is_automation_active": false,
            "can_send_manual_message": true, "paused_at": "2025-01-15T10:30:00Z", "paused_by": "tests",
            "pause_reason": "Manual takeover for VIP client"
        })
    );
    // A pause that stands stays, also without a body.
    site.world.clock.jump(60_000);
    let again = site.ask(&site.loja, "POST", &format!("{path}/pause"), None).await.expect(200);
    assert_eq!(again["data"]["paused_at"], "2025-01-15T10:30:00Z");
    assert_eq!(
        site.post(&format!("{path}/pause"), json!({"reason": "x".repeat(501)})).await.error(422),
        "VALIDATION_ERROR"
    );
}

#[tokio::test]
async fn who_answers_on_the_phone_has_paused_it() {
    let (site, id) = answering().await;
    let (tenant, connector) = (site.loja.tenant.index, site.instance.index);
    let own = OwnMessage {
        tenant,
        connector,
        chat: "5511987654321".to_owned(),
        is_group: false,
        effect: OwnEffect::PausesUntil(site.world.clock.now().plus_ms(7_200_000)),
        event: Uuid::from_u128(7),
        reason: "answered on the phone".to_owned(),
    };
    let batch = Batch::of(vec![Change::Automation(Box::new(AutomationChange::Own(own)))]);
    site.world.store.commit(batch).await.expect("commits");
    assert_eq!(
        site.get(&format!("/conversations/{id}/automation")).await.expect(200)["data"],
        json!({
            "conversation_id": id, "automation_status": "paused", "is_automation_active": false,
            "can_send_manual_message": true, "paused_at": "2025-01-15T10:30:00Z", "paused_by": "phone",
            "pause_reason": "answered on the phone"
        })
    );
    // It is resumed by hand as any other.
    let path = format!("/api/v1/chat/conversations/{id}/resume-automation");
    site.ask(&site.loja, "POST", &path, None).await.expect(200);
    let shown = site.get(&format!("/conversations/{id}/automation")).await.expect(200);
    assert_eq!(shown["data"]["automation_status"], "active");
}

#[tokio::test]
async fn without_an_automation_the_status_is_inactive() {
    let site = Site::new().await;
    let id = opened(&site, site.loja.tenant.index, site.instance.index, "5511987654321").await;
    let shown = site.get(&format!("/conversations/{id}/automation")).await.expect(200)["data"].clone();
    assert_eq!((&shown["automation_status"], &shown["is_automation_active"]), (&json!("inactive"), &json!(false)));
    assert_eq!(shown["can_send_manual_message"], true);
}

#[tokio::test]
async fn the_chat_api_pauses_and_resumes_in_its_own_form() {
    let (site, id) = answering().await;
    let body = json!({"reason": "Manual intervention required"});
    // Below its documented path, and by the short name.
    let paused =
        site.post(&format!("/api/v1/chat/conversations/{id}/pause-automation"), body.clone()).await.expect(200);
    let example = json!({
        "success": true,
        "message": "Automation paused successfully",
        "data": {
            "conversation_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
            "automation_paused": true,
            "paused_at": "2025-01-15T10:30:00+00:00",
            "paused_by": "John Doe",
            "reason": "Manual intervention required"
        }
    });
    like(&paused, &example, &[], &[]);
    assert_eq!((&paused["message"], &paused["data"]["reason"]), (&example["message"], &example["data"]["reason"]));
    assert_eq!(site.post(&format!("/chat/conversations/{id}/pause-automation"), body).await.expect(200), paused);

    // With a Content-Type and without a body, as documented.
    let path = format!("/api/v1/chat/conversations/{id}/resume-automation");
    let resumed = site.ask(&site.loja, "POST", &path, None).await.expect(200);
    let example = json!({
        "success": true,
        "message": "Automation resumed successfully",
        "data": {
            "conversation_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
            "automation_paused": false,
            "resumed_at": "2025-01-15T11:00:00+00:00"
        }
    });
    like(&resumed, &example, &[], &[]);
    assert_eq!(resumed["message"], example["message"]);
    let shown = site.get(&format!("/conversations/{id}/automation")).await.expect(200);
    assert_eq!(shown["data"]["automation_status"], "active");
}

#[tokio::test]
async fn many_are_paused_and_resumed_at_once_and_each_base_answers_in_its_form() {
    let (site, first) = answering().await;
    let (tenant, connector) = (site.loja.tenant.index, site.instance.index);
    let second = opened(&site, tenant, connector, "5511976543210").await;
    // Its instance has no automation.
    let quiet = site.another(&site.loja).await;
    let unanswered = opened(&site, tenant, quiet.index, "5511965432109").await;
    let theirs = site.another(&site.other).await;
    let theirs = opened(&site, site.other.tenant.index, theirs.index, "5511987654321").await;
    let body = || {
        json!({
            "conversation_ids": [first, second, first, unanswered, theirs, "x"], "reason": "Bulk pause for maintenance"
        })
    };

    let told = site.post("/conversations/automation/bulk-pause", body()).await.expect(200);
    assert_eq!(told, json!({"success": true, "message": "2 conversations paused successfully."}));
    let told = site.post("/conversations/automation/bulk-resume", body()).await.expect(200);
    assert_eq!(told, json!({"success": true, "message": "2 conversations resumed successfully."}));

    let told = site.post("/api/v1/conversations/automation/bulk-pause", body()).await.expect(200);
    let example = json!({
        "success": true, "message": "2 conversations paused", "data": {"paused": 2, "skipped": 0, "errors": 0}
    });
    like(&told, &example, &[], &[]);
    let data = json!({"paused": 2, "skipped": 1, "errors": 2});
    assert_eq!(told, json!({"success": true, "message": "2 conversations paused", "data": data}));
    let reason =
        site.get(&format!("/conversations/{second}/automation")).await.expect(200)["data"]["pause_reason"].clone();
    assert_eq!(reason, "Bulk pause for maintenance");
    // Once more there is nothing to do.
    let told = site.post("/api/v1/conversations/automation/bulk-pause", body()).await.expect(200);
    assert_eq!(told["data"], json!({"paused": 0, "skipped": 3, "errors": 2}));
    let told = site.post("/api/v1/conversations/automation/bulk-resume", body()).await.expect(200);
    let example = json!({
        "success": true, "message": "2 automations resumed", "data": {"resumed": 2, "skipped": 0, "errors": 0}
    });
    like(&told, &example, &[], &[]);
    let data = json!({"resumed": 2, "skipped": 1, "errors": 2});
    assert_eq!(told, json!({"success": true, "message": "2 automations resumed", "data": data}));

    let many: Vec<Uuid> = (0..101).map(Uuid::from_u128).collect();
    for body in [
        json!({}),
        json!({"conversation_ids": []}),
        json!({"conversation_ids": many}),
        json!({"conversation_ids": "x"}),
    ] {
        for path in ["/conversations/automation/bulk-pause", "/api/v1/conversations/automation/bulk-resume"] {
            let refused = site.post(path, body.clone()).await;
            assert_eq!(refused.error(422), "VALIDATION_ERROR");
            assert!(refused.json()["error"]["details"]["conversation_ids"][0].is_string());
        }
    }
}

#[tokio::test]
async fn conversations_of_others_and_of_other_channels_are_not_found() {
    let (site, _) = answering().await;
    let theirs = site.another(&site.other).await;
    let theirs = opened(&site, site.other.tenant.index, theirs.index, "5511987654321").await;
    let config = json!({"host": "mail.example.com"});
    let email = site.world.connector(site.loja.tenant.index, "E-mail", "connector-email", config).await;
    let mails = opened(&site, site.loja.tenant.index, email.index, "ana@example.com").await;
    for id in [theirs.to_string(), mails.to_string(), Uuid::nil().to_string(), "45".to_owned()] {
        for (method, path) in [
            ("GET", format!("/conversations/{id}/automation")),
            ("POST", format!("/conversations/{id}/automation/pause")),
            ("POST", format!("/api/v1/chat/conversations/{id}/pause-automation")),
            ("POST", format!("/api/v1/chat/conversations/{id}/resume-automation")),
        ] {
            assert_eq!(site.ask(&site.loja, method, &path, None).await.error(404), "NOT_FOUND", "{method} {path}");
        }
    }
}
