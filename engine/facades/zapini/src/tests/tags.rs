//! Section "Tags".

use pombo_domain::TenantIndex;
use uuid::Uuid;

use super::automation::opened;
use super::shape::like;
use super::*;

/// A new tag of the first tenant; its id.
async fn tag(site: &Site, name: &str, color: &str) -> Uuid {
    let made = site.post("/tags", json!({"name": name, "color": color})).await.expect(201);
    id_of(&made["data"]["tag"])
}

fn id_of(tag: &Value) -> Uuid {
    tag["id"].as_str().and_then(|id| Uuid::try_parse(id).ok()).expect("an id")
}

/// Names and counts, as listed.
async fn listed(site: &Site) -> Vec<(String, u64)> {
    let list = site.get("/tags").await.expect(200);
    let row = |tag: &Value| {
        let name = tag["name"].as_str().unwrap_or_default().to_owned();
        (name, tag["conversations_count"].as_u64().unwrap_or_default())
    };
    list["data"]["tags"].as_array().expect("a list").iter().map(row).collect()
}

fn tags_of(site: &Site, tenant: TenantIndex, id: Uuid) -> Vec<String> {
    site.world.commands.get_conversation(tenant, id).expect("it is there").conversation.tags
}

#[tokio::test]
async fn tags_are_created_listed_and_shown_as_documented() {
    let site = Site::new().await;
    let made = site.post("/tags", json!({"name": "Important", "color": "#EF4444"})).await.expect(201);
    let example = json!({
        "success": true,
        "message": "Tag created successfully",
        "data": {
            "tag": {
                "id": "550e8400-e29b-41d4-a716-446655440003",
                "name": "Important",
                "color": "#ef4444",
                "conversations_count": 0,
                "created_at": "2025-01-15T12:00:00Z",
                "updated_at": "2025-01-15T12:00:00Z"
            }
        }
    });
    like(&made, &example, &[], &[]);
    assert_eq!(made["message"], example["message"]);
    let tag = &made["data"]["tag"];
    assert_eq!(
        *tag,
        json!({
            "id": tag["id"], "name": "Important", "color": "#ef4444", "conversations_count": 0,
            "created_at": "2025-01-15T10:30:00Z", "updated_at": "2025-01-15T10:30:00Z"
        })
    );
    let path = format!("/tags/{}", id_of(tag));
    assert_eq!(site.get(&path).await.expect(200), json!({"success": true, "data": {"tag": tag}}));

    let other = site.post("/tags", json!({"name": "boleto", "color": "#6b7280"})).await.expect(201);
    let list = site.get("/tags").await.expect(200);
    let example = json!({
        "success": true,
        "data": {
            "tags": [
                {
                    "id": "550e8400-e29b-41d4-a716-446655440001",
                    "name": "VIP",
                    "color": "#f59e0b",
                    "conversations_count": 15,
                    "created_at": "2025-01-15T10:30:00Z",
                    "updated_at": "2025-01-15T10:30:00Z"
                }
            ]
        }
    });
    like(&list, &example, &[], &[]);
    assert_eq!(list["data"]["tags"], json!([other["data"]["tag"], tag]), "by name");
    // Another tenant has none.
    let theirs = site.ask(&site.other, "GET", "/tags", None).await.expect(200);
    assert_eq!(theirs, json!({"success": true, "data": {"tags": []}}));
}

#[tokio::test]
async fn a_tag_is_changed_and_deleted_and_its_conversations_follow() {
    let site = Site::new().await;
    let tenant = site.loja.tenant.index;
    let id = tag(&site, "Important", "#ef4444").await;
    let path = format!("/tags/{id}");
    let chat = opened(&site, tenant, site.instance.index, "5511987654321").await;
    site.send("PUT", &format!("/conversations/{chat}/tags"), json!({"tag_ids": [id]})).await.expect(200);

    site.world.clock.jump(1_000);
    let body = json!({"name": "Very Important", "color": "#dc2626"});
    let changed = site.send("PATCH", &path, body).await.expect(200);
    assert_eq!(changed["message"], "Tag updated successfully");
    assert_eq!(
        changed["data"]["tag"],
        json!({
            "id": id, "name": "Very Important", "color": "#dc2626", "conversations_count": 1,
            "created_at": "2025-01-15T10:30:00Z", "updated_at": "2025-01-15T10:30:01Z"
        })
    );
    assert_eq!(tags_of(&site, tenant, chat), ["Very Important"]);
    // Its own name in another case is free; what is left out or null stays.
    let changed = site.send("PUT", &path, json!({"name": "very important", "color": null})).await.expect(200);
    let shown = &changed["data"]["tag"];
    assert_eq!((&shown["name"], &shown["color"]), (&json!("very important"), &json!("#dc2626")));

    let told = site.ask(&site.loja, "DELETE", &path, None).await.expect(200);
    assert_eq!(told, json!({"success": true, "message": "Tag deleted successfully"}));
    for method in ["GET", "DELETE"] {
        assert_eq!(site.ask(&site.loja, method, &path, None).await.error(404), "NOT_FOUND");
    }
    assert!(tags_of(&site, tenant, chat).is_empty());
    assert!(listed(&site).await.is_empty());
}

#[tokio::test]
async fn what_is_wrong_with_a_tag_is_named() {
    let site = Site::new().await;
    let (action, other) = (tag(&site, "Ação", "#ef4444").await, tag(&site, "outra", "#3b82f6").await);
    for (body, field) in [
        (json!({}), "name"),
        (json!({"color": "#ef4444"}), "name"),
        (json!({"name": " ", "color": "#ef4444"}), "name"),
        (json!({"name": "x".repeat(51), "color": "#ef4444"}), "name"),
        (json!({"name": 5, "color": "#ef4444"}), "name"),
        (json!({"name": "x", "color": "red"}), "color"),
        (json!({"name": "x", "color": "#ef444"}), "color"),
        (json!({"name": "x", "color": 5}), "color"),
        (json!({"name": "x", "color": null}), "color"),
        (json!({"name": "x"}), "color"),
    ] {
        let refused = site.post("/tags", body.clone()).await;
        assert_eq!(refused.error(422), "VALIDATION_ERROR", "{body}");
        assert!(refused.json()["error"]["details"][field][0].is_string(), "{body}: {}", refused.text());
    }
    for (body, field) in [(json!({"name": ""}), "name"), (json!({"color": "#zzzzzz"}), "color")] {
        let refused = site.send("PATCH", &format!("/tags/{action}"), body.clone()).await;
        assert_eq!(refused.error(422), "VALIDATION_ERROR", "{body}");
        assert!(refused.json()["error"]["details"][field][0].is_string(), "{body}: {}", refused.text());
    }
    // A name that is taken, however it is written.
    let taken = json!({"name": "ACAO", "color": "#ef4444"});
    for refused in
        [site.post("/tags", taken.clone()).await, site.send("PATCH", &format!("/tags/{other}"), taken.clone()).await]
    {
        assert_eq!(refused.error(422), "VALIDATION_ERROR");
        assert!(refused.json()["error"]["details"]["name"][0].is_string(), "{}", refused.text());
    }
    assert_eq!(listed(&site).await.len(), 2);
    // Another tenant may have it, and does not see this one's.
    site.ask(&site.other, "POST", "/tags", Some(taken)).await.expect(201);
    for given in [action.to_string(), Uuid::nil().to_string(), "1".to_owned()] {
        for (method, body) in [("GET", None), ("PATCH", Some(json!({"name": "x"}))), ("DELETE", None)] {
            let answer = site.ask(&site.other, method, &format!("/tags/{given}"), body).await;
            assert_eq!(answer.error(404), "NOT_FOUND", "{method} {given}");
        }
    }
}

#[tokio::test]
async fn a_conversations_tags_are_replaced_as_documented() {
    let site = Site::new().await;
    let tenant = site.loja.tenant.index;
    let (vip, support) = (tag(&site, "VIP", "#f59e0b").await, tag(&site, "Support", "#3b82f6").await);
    let important = tag(&site, "Important", "#ef4444").await;
    let chat = opened(&site, tenant, site.instance.index, "5511987654321").await;
    let path = format!("/conversations/{chat}/tags");
    let replace = |ids: Value| site.send("PUT", &path, json!({"tag_ids": ids}));

    let told = replace(json!([vip, support])).await.expect(200);
    let example = json!({
        "success": true,
        "message": "Conversation tags updated",
        "data": {
            "tags": [
                {"id": "550e8400-e29b-41d4-a716-446655440001", "name": "VIP", "color": "#f59e0b"},
                {"id": "550e8400-e29b-41d4-a716-446655440002", "name": "Support", "color": "#3b82f6"},
                {"id": "550e8400-e29b-41d4-a716-446655440003", "name": "Important", "color": "#ef4444"}
            ]
        }
    });
    like(&told, &example, &[], &[]);
    assert_eq!(told["message"], example["message"]);
    let mut tags = told["data"]["tags"].as_array().expect("a list").clone();
    tags.sort_by_key(|tag| tag["name"].to_string());
    assert_eq!(
        tags,
        [
            json!({"id": support, "name": "Support", "color": "#3b82f6"}),
            json!({"id": vip, "name": "VIP", "color": "#f59e0b"})
        ]
    );
    let counts = |important: u64, support: u64, vip: u64| {
        [("Important", important), ("Support", support), ("VIP", vip)].map(|(name, count)| (name.to_owned(), count))
    };
    assert_eq!(listed(&site).await, counts(0, 1, 1));
    // One is named twice; the others go.
    let told = replace(json!([important, important])).await.expect(200);
    assert_eq!(told["data"]["tags"], json!([{"id": important, "name": "Important", "color": "#ef4444"}]));
    assert_eq!(listed(&site).await, counts(1, 0, 0));

    let theirs =
        site.ask(&site.other, "POST", "/tags", Some(json!({"name": "x", "color": "#ef4444"}))).await.expect(201);
    let theirs = id_of(&theirs["data"]["tag"]);
    let many: Vec<Uuid> = (0..51).map(Uuid::from_u128).collect();
    for (ids, field) in [
        (json!([vip, theirs]), "tag_ids[1]"),
        (json!([Uuid::nil()]), "tag_ids[0]"),
        (json!(["VIP"]), "tag_ids[0]"),
        (json!("VIP"), "tag_ids"),
        (json!([vip, null]), "tag_ids"),
        (json!(many), "tag_ids"),
        (Value::Null, "tag_ids"),
    ] {
        let refused = replace(ids.clone()).await;
        assert_eq!(refused.error(422), "VALIDATION_ERROR", "{ids}");
        assert!(refused.json()["error"]["details"][field][0].is_string(), "{ids}: {}", refused.text());
    }
    assert_eq!(tags_of(&site, tenant, chat), ["Important"], "as it was");
    // An empty list takes all away.
    let told = replace(json!([])).await.expect(200);
    assert_eq!(told, json!({"success": true, "message": "Conversation tags updated", "data": {"tags": []}}));
    assert_eq!(listed(&site).await, counts(0, 0, 0));

    let theirs = site.another(&site.other).await;
    let theirs = opened(&site, site.other.tenant.index, theirs.index, "5511987654321").await;
    for given in [theirs, Uuid::nil()] {
        let answer = site.send("PUT", &format!("/conversations/{given}/tags"), json!({"tag_ids": []})).await;
        assert_eq!(answer.error(404), "NOT_FOUND");
    }
}

#[tokio::test]
async fn a_key_of_one_instance_uses_tags_and_does_not_change_them() {
    let site = Site::new().await;
    let (bound, other) = (site.bound().await, site.another(&site.loja).await);
    let tenant = site.loja.tenant.index;
    let vip = tag(&site, "VIP", "#f59e0b").await;
    let path = format!("/tags/{vip}");
    for read in ["/tags", path.as_str()] {
        assert_eq!(site.ask(&bound, "GET", read, None).await.status, 200);
    }
    for (method, path, body) in [
        ("POST", "/tags", Some(json!({"name": "x"}))),
        ("PATCH", path.as_str(), Some(json!({"name": "x"}))),
        ("DELETE", path.as_str(), None),
    ] {
        assert_eq!(site.ask(&bound, method, path, body).await.error(403), "FORBIDDEN", "{method} {path}");
    }
    let own = opened(&site, tenant, site.instance.index, "5511987654321").await;
    let others = opened(&site, tenant, other.index, "5511987654321").await;
    let replace = |id: Uuid| {
        let (site, bound, body) = (&site, &bound, json!({"tag_ids": [vip]}));
        async move { site.ask(bound, "PUT", &format!("/conversations/{id}/tags"), Some(body)).await }
    };
    assert_eq!(replace(own).await.expect(200)["data"]["tags"][0]["name"], "VIP");
    assert_eq!(replace(others).await.error(403), "FORBIDDEN");
    assert!(tags_of(&site, tenant, others).is_empty());
}

#[tokio::test]
async fn each_role_may_do_with_tags_what_it_is_for() {
    let site = Site::new().await;
    let chat = opened(&site, site.loja.tenant.index, site.instance.index, "5511987654321").await;
    let on_chat = format!("/conversations/{chat}/tags");
    for (role, tags, removes) in [(Role::Manager, true, true), (Role::Agent, true, false), (Role::Viewer, false, false)]
    {
        let user = site.acting_as(role).await;
        let id = tag(&site, &format!("of {}", role.as_str()), "#ef4444").await;
        let path = format!("/tags/{id}");
        for (method, path, body, allowed) in [
            ("GET", "/tags", None, true),
            ("GET", path.as_str(), None, true),
            ("POST", "/tags", Some(json!({"name": role.as_str(), "color": "#ef4444"})), tags),
            ("PATCH", path.as_str(), Some(json!({"color": "#000000"})), tags),
            ("PUT", on_chat.as_str(), Some(json!({"tag_ids": [id]})), tags),
            ("DELETE", path.as_str(), None, removes),
        ] {
            let answer = site.ask(&user, method, path, body).await;
            if allowed {
                assert!(answer.status.is_success(), "{role:?} {method} {path}: {}", answer.text());
            } else {
                assert_eq!(answer.error(403), "FORBIDDEN", "{role:?} {method} {path}");
            }
        }
    }
}
