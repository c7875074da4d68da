//! Section "Conversas".

use pombo_domain::commands::access::actor::Actor;
use pombo_domain::commands::conversations::ConversationPatch;
use pombo_domain::model::message::Target;
use pombo_domain::model::{Inbound, InboundContent, ReceiptKind, Role, Rules};
use pombo_domain::ports::{AutomationChange, AutomationStore, Batch, Change, Operation, OperationError, Store};
use uuid::Uuid;

use super::auth::{token, user, with};
use super::said::{contact, id_of, known, receive, report, says, says_in_group, send};
use super::shape::like;
use super::*;

/// The person of the documentation's examples.
const JOHN: &str = "5511999999999";
const GROUP: &str = "120363001234567890@g.us";

/// A site with a conversation of two unread messages.
async fn talking() -> (Site, Uuid) {
    let site = Site::new().await;
    receive(&site, &site.instance, says(JOHN, "R1", "Hello")).await;
    receive(&site, &site.instance, says(JOHN, "R2", "Ok, deal!")).await;
    let id = id_of(&site, &site.instance, JOHN);
    (site, id)
}

/// Puts tags on a conversation, which are made if there are none; their ids.
async fn tagged(site: &Site, id: Uuid, tags: &[&str]) -> Vec<Uuid> {
    let actor = Actor { tenant: Some(site.loja.tenant.index), by: "key:1".to_owned() };
    let names = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let patch = ConversationPatch { tags: Some(names), ..ConversationPatch::default() };
    site.world.commands.update_conversation(&actor, id, patch).await.expect("good tags");
    let all = site.world.commands.plain_tags(site.loja.tenant.index).expect("reads");
    tags.iter().map(|tag| all.iter().find(|known| known.name == *tag).expect("it was made").id).collect()
}

/// The addresses of a list, and its total.
async fn found(site: &Site, path: &str) -> (Vec<String>, u64) {
    let page = site.get(path).await.expect(200);
    let rows = page["data"].as_array().expect("a list").iter();
    let numbers = rows.map(|row| row["contact_number"].as_str().unwrap_or_default().to_owned()).collect();
    (numbers, page["meta"]["pagination"]["total"].as_u64().expect("a total"))
}

#[tokio::test]
async fn conversations_are_listed_as_documented() {
    let (site, id) = talking().await;
    let example = json!({
        "success": true,
        "data": [{
            "id": "550e8400-e29b-41d4-a716-446655440045",
            "contact_number": "5511999999999",
            "contact_name": "John Doe",
            "display_name": "John Doe",
            "is_group": false,
            "profile_picture_url": "https://...",
            "last_message": "Ok, deal!",
            "last_message_at": "2025-01-15T10:30:00Z",
            "unread_count": 2,
            "is_archived": false
        }],
        "meta": {"pagination": {"total": 100, "per_page": 20, "current_page": 1, "last_page": 5}}
    });
    let listed = site.get("/conversations?unread=true&per_page=20").await.expect(200);
    like(&listed, &example, &["data[].conversation_id"], &["data[].profile_picture_url"]);
    assert_eq!(
        listed,
        json!({
            "success": true,
            "data": [{
                "id": id, "conversation_id": 1, "contact_number": JOHN, "contact_name": "John Doe",
                "display_name": "John Doe", "is_group": false, "profile_picture_url": null,
                "last_message": "Ok, deal!", "last_message_at": "2025-01-15T10:30:00Z", "unread_count": 2,
                "is_archived": false
            }],
            "meta": {"pagination": {"total": 1, "per_page": 20, "current_page": 1, "last_page": 1}}
        })
    );
    // The name that the tenant chose goes before the one that the contact gives itself.
    contact(&site, JOHN, "João").await;
    let row = site.get("/api/v1/conversations").await.expect(200)["data"][0].clone();
    assert_eq!((&row["contact_name"], &row["display_name"]), (&json!("João"), &json!("João")));
    for search in ["joao", "John", "9999"] {
        assert_eq!(found(&site, &format!("/conversations?search={search}")).await.1, 1, "{search}");
    }
}

#[tokio::test]
async fn a_list_has_the_last_active_first_and_pages_of_15() {
    let site = Site::new().await;
    for n in 0..17 {
        site.world.clock.jump(1_000);
        receive(&site, &site.instance, says(&format!("55119000000{n:02}"), "R1", "oi")).await;
    }
    let page = site.get("/conversations").await.expect(200);
    assert_eq!(page["data"].as_array().map(Vec::len), Some(15));
    assert_eq!(page["data"][0]["contact_number"], "5511900000016");
    assert_eq!(page["meta"]["pagination"], json!({"total": 17, "per_page": 15, "current_page": 1, "last_page": 2}));
    let second = found(&site, "/conversations?page=2").await;
    assert_eq!(second, (vec!["5511900000001".to_owned(), "5511900000000".to_owned()], 17));
    assert_eq!(found(&site, "/conversations?page=3").await, (Vec::new(), 17));
    for (query, field) in [
        ("per_page=101", "per_page"),
        ("per_page=0", "per_page"),
        ("page=0", "page"),
        ("is_group=maybe", "is_group"),
        ("unread=2", "unread"),
        ("tag_id=vip", "tag_id"),
        ("tag_ids[]=vip", "tag_ids"),
        ("format=xml", "format"),
    ] {
        for path in ["/conversations", "/conversations/archived"] {
            let refused = site.get(&format!("{path}?{query}")).await;
            assert_eq!(refused.error(422), "VALIDATION_ERROR", "{path} {query}");
            assert!(refused.json()["error"]["details"][field][0].is_string(), "{query}: {}", refused.text());
        }
    }
    assert_eq!(site.get(&format!("/conversations?search={}", "x".repeat(201))).await.error(422), "VALIDATION_ERROR");
    assert_eq!(site.get("/conversations?instance_id=99999").await.error(404), "NOT_FOUND");
}

#[tokio::test]
async fn a_list_is_filtered_by_instance_unread_group_and_search() {
    let (site, id) = talking().await;
    let second = site.another(&site.loja).await;
    site.world.clock.jump(1_000);
    receive(&site, &second, says("5521988887777", "R1", "Até amanhã")).await;
    site.world.clock.jump(1_000);
    receive(&site, &second, says_in_group(GROUP, "5521988887777", "R1", "oi")).await;
    site.post(&format!("/conversations/{id}/mark-read"), json!({})).await.expect(200);

    let all = ([GROUP, "5521988887777", JOHN].map(str::to_owned).to_vec(), 3);
    let only = |address: &str| (vec![address.to_owned()], 1);
    for query in ["", "?unread=false", "?unread=0", "?instance_id=&search=", "?untagged=false"] {
        assert_eq!(found(&site, &format!("/conversations{query}")).await, all, "{query}");
    }
    assert_eq!(found(&site, "/conversations?unread=true").await.1, 2);
    assert_eq!(found(&site, "/conversations?is_group=true").await, only(GROUP));
    assert_eq!(found(&site, "/conversations?is_group=0").await.1, 2);
    for given in [site.instance.id.to_string(), site.instance.index.0.to_string()] {
        assert_eq!(found(&site, &format!("/conversations?instance_id={given}")).await, only(JOHN));
    }
    for search in ["99999999", "%2B55%2011%2099999-9999", "5511999999999"] {
        assert_eq!(found(&site, &format!("/conversations?search={search}")).await, only(JOHN), "{search}");
    }
    assert_eq!(found(&site, "/conversations?search=JOHN%20doe").await.1, 2);
    assert_eq!(found(&site, "/conversations?search=amanh").await.1, 0, "only names and numbers are searched");
}

#[tokio::test]
async fn a_list_is_filtered_by_tags_and_shows_them_when_asked() {
    let (site, id) = talking().await;
    let tags = tagged(&site, id, &["Suporte", "VIP"]).await;
    receive(&site, &site.instance, says("5521988887777", "R1", "oi")).await;
    let (vip, other) = (tags[1], Uuid::nil());
    for query in [
        format!("tag_id={vip}"),
        format!("tag_ids={other},{vip}"),
        format!("tag_ids[]={other}&tag_ids[]={vip}"),
        format!("tag_ids={vip}&tag_ids={}", tags[0]),
    ] {
        assert_eq!(found(&site, &format!("/conversations?{query}")).await, (vec![JOHN.to_owned()], 1), "{query}");
    }
    assert_eq!(found(&site, &format!("/conversations?tag_id={other}")).await, (Vec::new(), 0));
    assert_eq!(found(&site, "/conversations?untagged=true").await, (vec!["5521988887777".to_owned()], 1));

    let path = format!("/conversations?tag_id={vip}&include_tags=true");
    let row = site.get(&path).await.expect(200)["data"][0].clone();
    assert_eq!(row["tags"].as_array().map(Vec::len), Some(2));
    assert_eq!(row["tags"][1], json!({"id": vip, "name": "VIP", "color": "#6b7280"}));
    assert!(row.get("instance").is_none());
    let row = site.get("/conversations?format=chat&untagged=1").await.expect(200)["data"][0].clone();
    assert_eq!(row["tags"], json!([]));
    assert_eq!(
        row["instance"],
        json!({"uuid": site.instance.id, "phone_number": "5511900000001", "status": "connected"})
    );
}

#[tokio::test]
async fn nobody_sees_the_conversations_of_others_or_of_other_channels() {
    let (site, id) = talking().await;
    let (tenant, second) = (site.loja.tenant.index, site.another(&site.loja).await);
    receive(&site, &second, says("5521988887777", "R1", "oi")).await;
    let config = json!({"host": "mail.example.com"});
    let email = site.world.connector(tenant, "E-mail", "connector-email", config).await;
    let chat = "ana@example.com".to_owned();
    let open = AutomationChange::Open { tenant, connector: email.index, chat: chat.clone(), is_group: false };
    site.world.store.commit(Batch::of(vec![Change::Automation(Box::new(open))])).await.expect("commits");
    let mails = site.world.store.conversation_with(email.index, &chat).expect("reads").expect("opened").id;
    assert_eq!(found(&site, "/conversations").await.1, 2);
    let theirs = site.ask(&site.other, "GET", "/conversations", None).await.expect(200);
    assert_eq!((&theirs["data"], &theirs["meta"]["pagination"]["last_page"]), (&json!([]), &json!(1)));

    let made = site.world.commands.create_api_key(tenant, "bot", Some(second.id)).await.expect("a good name");
    let listed = with(&site, &made.key, "GET", "/conversations", None).await.expect(200);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["data"][0]["contact_number"], "5521988887777");
    let of_first = format!("/conversations?instance_id={}", site.instance.id);
    assert_eq!(with(&site, &made.key, "GET", &of_first, None).await.error(403), "FORBIDDEN");

    for (method, below) in [
        ("GET", ""),
        ("GET", "/messages"),
        ("POST", "/mark-read"),
        ("POST", "/archive"),
        ("DELETE", "/archive"),
        ("POST", "/automation/resume"),
        ("DELETE", ""),
    ] {
        let path = format!("/conversations/{id}{below}");
        assert_eq!(site.ask(&site.other, method, &path, None).await.error(404), "NOT_FOUND", "{method} {below}");
        assert_eq!(with(&site, &made.key, method, &path, None).await.error(403), "FORBIDDEN", "{method} {below}");
        for unknown in [mails.to_string(), Uuid::nil().to_string(), "99".to_owned(), "x".to_owned()] {
            let path = format!("/conversations/{unknown}{below}");
            assert_eq!(site.ask(&site.loja, method, &path, None).await.error(404), "NOT_FOUND", "{method} {path}");
        }
    }
    assert_eq!(known(&site, &site.instance, JOHN).unread(), 2, "nothing was changed");
}

#[tokio::test]
async fn each_role_may_do_what_it_is_for_in_conversations() {
    let (site, id) = talking().await;
    user(&site, "owner", Role::Owner).await;
    for (name, role, converses, deletes) in [
        ("viewer", Role::Viewer, false, false),
        ("agent", Role::Agent, true, false),
        ("boss", Role::Manager, true, true),
    ] {
        user(&site, name, role).await;
        let token = token(&site, name).await;
        for (method, below, allowed) in [
            ("GET", "", true),
            ("GET", "/messages", true),
            ("POST", "/mark-read", converses),
            ("POST", "/archive", converses),
            ("DELETE", "/archive", converses),
            ("DELETE", "", deletes),
        ] {
            let answer = with(&site, &token, method, &format!("/conversations/{id}{below}"), None).await;
            assert_eq!(answer.status == 403, !allowed, "{name} {method} {below}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_conversation_shows_who_answers_it() {
    let (site, id) = talking().await;
    tagged(&site, id, &["VIP"]).await;
    let path = format!("/conversations/{id}");
    let shown = site.get(&path).await.expect(200);
    let row = site.get("/conversations").await.expect(200)["data"][0].clone();
    let mut wanted = row.as_object().expect("an object").clone();
    for (key, value) in [
        ("automation_status", json!("inactive")),
        ("can_send_manual_message", json!(true)),
        ("automation_paused_at", json!(null)),
    ] {
        wanted.insert(key.to_owned(), value);
    }
    assert_eq!(shown, json!({"success": true, "data": wanted}));
    assert_eq!(site.get("/conversations/1").await.expect(200), shown, "by its number");
    let chat = site.get(&format!("{path}?format=chat")).await.expect(200)["data"].clone();
    assert_eq!((&chat["tags"][0]["name"], &chat["instance"]["status"]), (&json!("VIP"), &json!("connected")));
    site.post(&format!("{path}/automation/pause"), json!({})).await.expect(200);
    let paused = site.get(&path).await.expect(200)["data"].clone();
    assert_eq!(
        (&paused["automation_status"], &paused["automation_paused_at"]),
        (&json!("paused"), &json!("2025-01-15T10:30:00Z"))
    );
    assert_eq!(paused["unread_count"], 2, "looking at it does not read it");
}

#[tokio::test]
async fn messages_come_in_pages_in_their_order() {
    let site = Site::new().await;
    for n in 1..=4 {
        site.world.clock.jump(1_000);
        receive(&site, &site.instance, says(JOHN, &format!("R{n}"), &format!("oi {n}"))).await;
    }
    site.world.clock.jump(1_000);
    send(&site, &site.instance, "key:1", JOHN, "Olá", "3EB0").await;
    let path = format!("/conversations/{}/messages", id_of(&site, &site.instance, JOHN));
    let page = site.get(&path).await.expect(200);
    let first = &page["data"]["messages"][0];
    let unique_id = first["unique_id"].as_str().expect("an id");
    assert!(Uuid::try_parse(unique_id).is_ok());
    assert_eq!(
        *first,
        json!({
            "id": 1, "unique_id": unique_id, "whatsapp_message_id": "R1", "direction": "incoming",
            "is_from_me": false, "message_body": "oi 1", "mentioned_jids": [], "media_type": null,
            "media_url": null, "sender_number": JOHN, "sender_name": "John Doe", "reply_to": null,
            "status": "delivered", "is_edited": false, "is_deleted": false,
            "created_at": "2025-01-15T10:30:01Z"
        })
    );
    let own = &page["data"]["messages"][4];
    assert_eq!((&own["direction"], &own["status"]), (&json!("outgoing"), &json!("sent")));
    assert_eq!((&own["whatsapp_message_id"], &own["is_from_me"]), (&json!("3EB0"), &json!(true)));
    assert_eq!((&own["sender_number"], &own["message_body"]), (&json!("5511900000001"), &json!("Olá")));

    let page = |query: &str| {
        let (site, path) = (&site, format!("{path}{query}"));
        async move {
            let data = site.get(&path).await.expect(200)["data"].clone();
            let rows = data["messages"].as_array().expect("a list").iter();
            let ids: Vec<u64> = rows.map(|row| row["id"].as_u64().expect("a number")).collect();
            assert_eq!(data["oldest_id"].as_u64(), ids.first().copied());
            assert_eq!(data["newest_id"].as_u64(), ids.last().copied());
            (ids, data["has_more"] == true)
        }
    };
    assert_eq!(page("?limit=2").await, (vec![4, 5], true));
    assert_eq!(page("?limit=2&before_id=4").await, (vec![2, 3], true));
    assert_eq!(page("?limit=2&before_id=3").await, (vec![1, 2], false));
    assert_eq!(page("?limit=2&after_id=1").await, (vec![2, 3], true));
    assert_eq!(page("?limit=2&after_id=3").await, (vec![4, 5], false));
    assert_eq!(page("?after_id=5").await, (Vec::new(), false));
    assert_eq!(page("?from=2025-01-15T10:30:02Z&to=2025-01-15T07:30:03-03:00").await, (vec![2, 3], false));
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("before_id=x", "before_id"),
        ("after_id=-1", "after_id"),
        ("from=yesterday", "from"),
        ("to=x", "to"),
        ("format=x", "format"),
    ] {
        let refused = site.get(&format!("{path}?{query}")).await;
        assert_eq!(refused.error(422), "VALIDATION_ERROR", "{query}");
        assert!(refused.json()["error"]["details"][field][0].is_string(), "{query}");
    }
}

#[tokio::test]
async fn how_far_an_own_message_came_is_what_the_channel_reported() {
    let (site, id) = talking().await;
    let ana = user(&site, "ana", Role::Owner).await.id;
    let key = send(&site, &site.instance, &format!("user:{ana}"), JOHN, "Olá", "3EB0").await;
    let path = format!("/conversations/{id}/messages");
    for (kind, status) in [
        (None, "sent"),
        (Some(ReceiptKind::Delivered), "delivered"),
        (Some(ReceiptKind::Read), "read"),
        (Some(ReceiptKind::Played), "played"),
    ] {
        if let Some(kind) = kind {
            report(&site, key, kind).await;
        }
        let own = site.get(&path).await.expect(200)["data"]["messages"][2].clone();
        assert_eq!((&own["status"], &own["sender_name"]), (&json!(status), &json!("ana")));
    }
    let key = send(&site, &site.instance, "key:1", JOHN, "Olá?", "3EB1").await;
    report(&site, key, ReceiptKind::Failed).await;
    let own = site.get(&path).await.expect(200)["data"]["messages"][3].clone();
    assert_eq!(own["status"], "failed");
}

#[tokio::test]
async fn what_was_deleted_is_shown_without_its_text() {
    let (site, id) = talking().await;
    let edit = InboundContent::Edit { of: "R1".to_owned(), text: "Hi".to_owned() };
    let revoke = InboundContent::Revoke("R2".to_owned());
    for (n, content) in [edit, revoke].into_iter().enumerate() {
        let inbound = pombo_domain::model::Inbound { content, ..says(JOHN, &format!("C{n}"), "") };
        receive(&site, &site.instance, inbound).await;
    }
    let page = site.get(&format!("/conversations/{id}/messages")).await.expect(200);
    let rows = &page["data"]["messages"];
    assert_eq!((&rows[0]["message_body"], &rows[0]["is_edited"]), (&json!("Hi"), &json!(true)));
    assert_eq!((&rows[1]["message_body"], &rows[1]["is_deleted"]), (&json!(""), &json!(true)));
    assert!(!page.to_string().contains("deal"), "{page}");
    assert_eq!(site.get("/conversations").await.expect(200)["data"][0]["last_message"], json!(null));
}

#[tokio::test]
async fn reading_counts_at_once_and_whatsapp_is_told_when_it_can() {
    let (site, id) = talking().await;
    let path = format!("/conversations/{id}/mark-read");
    site.world.connectors.asked();
    site.world.connectors.answer(Err(OperationError::Disconnected("gone".to_owned())));
    let told = site.ask(&site.loja, "POST", &path, None).await.expect(200);
    assert_eq!(
        told,
        json!({
            "success": true, "message": "Conversation marked as read.",
            "data": {"conversation_id": id, "unread_count": 0}
        })
    );
    let target = |id: &str| Target { provider_id: id.to_owned(), sender: Some(JOHN.to_owned()), text: None };
    let read = Operation::Read { chat: JOHN.to_owned(), messages: vec![target("R1"), target("R2")] };
    assert_eq!(site.world.connectors.asked(), vec![read.clone()]);
    assert_eq!(site.post(&path, json!({})).await.expect(200)["data"]["unread_count"], 0);
    assert_eq!(site.world.connectors.asked(), vec![read], "what it could not be told");
    let page = site.get(&format!("/conversations/{id}/messages")).await.expect(200);
    assert_eq!(page["data"]["messages"][1]["status"], "read");
    assert_eq!(found(&site, "/conversations?unread=true").await.1, 0);
}

#[tokio::test]
async fn a_conversation_is_archived_and_restored_as_documented() {
    let (site, id) = talking().await;
    let path = format!("/conversations/{id}/archive");
    let example = json!({
        "success": true,
        "message": "Conversation archived.",
        "data": {
            "archived_id": "550e8400-e29b-41d4-a716-446655440045",
            "archived_at": "2025-12-29T12:00:00.000000Z"
        }
    });
    assert_eq!(site.send("DELETE", &path, json!({})).await.error(404), "NOT_FOUND", "it is not archived");
    let archived = site.ask(&site.loja, "POST", &path, None).await.expect(200);
    like(&archived, &example, &[], &[]);
    assert_eq!(archived["message"], example["message"]);
    let at = "2025-01-15T10:30:00.000000Z";
    assert_eq!(archived["data"], json!({"archived_id": id, "archived_at": at}));
    site.world.clock.jump(60_000);
    assert_eq!(site.post(&path, json!({})).await.expect(200), archived, "once");

    assert_eq!(found(&site, "/conversations").await.1, 0);
    let listed = site.get("/conversations/archived?per_page=20").await.expect(200);
    assert_eq!((&listed["data"][0]["id"], &listed["data"][0]["is_archived"]), (&json!(id), &json!(true)));
    assert_eq!(site.get("/api/v1/conversations/archived?per_page=20").await.expect(200), listed);

    let restored = site.ask(&site.loja, "DELETE", &path, None).await.expect(200);
    let example = json!({
        "success": true,
        "message": "Conversation restored.",
        "data": {"conversation_id": "550e8400-e29b-41d4-a716-446655440045", "restored": true}
    });
    like(&restored, &example, &[], &[]);
    assert_eq!(restored["message"], example["message"]);
    assert_eq!(restored["data"], json!({"conversation_id": id, "restored": true}));
    assert_eq!(site.ask(&site.loja, "DELETE", &path, None).await.error(404), "NOT_FOUND");

    // Somebody who writes is not overlooked.
    site.post(&path, json!({})).await.expect(200);
    receive(&site, &site.instance, says(JOHN, "R3", "Hello?")).await;
    assert_eq!(found(&site, "/conversations/archived").await.1, 0);
}

#[tokio::test]
async fn automations_are_resumed_only_in_an_archived_conversation() {
    let (site, id) = talking().await;
    let path = format!("/conversations/{id}");
    let resume = format!("{path}/automation/resume");
    site.post(&format!("{path}/automation/pause"), json!({})).await.expect(200);
    let refused = site.ask(&site.loja, "POST", &resume, None).await;
    assert_eq!(refused.error(422), "CONVERSATION_NOT_ARCHIVED");
    let details = refused.json()["error"]["details"].clone();
    assert_eq!(details["conversation_id"], json!([id]));
    assert!(details["what_to_do"][0].as_str().is_some_and(|what| what.contains("/archive")), "{details}");
    assert_eq!(site.get(&path).await.expect(200)["data"]["automation_status"], "paused");
    site.post(&format!("{path}/archive"), json!({})).await.expect(200);
    let resumed = site.ask(&site.loja, "POST", &resume, None).await.expect(200);
    let example = json!({
        "success": true,
        "message": "Automation resumed. AI will handle this conversation.",
        "data": {"automation_status": "active"}
    });
    like(&resumed, &example, &[], &[]);
    assert_eq!(resumed["message"], example["message"]);
    let shown = site.get(&path).await.expect(200)["data"].clone();
    assert_eq!((&shown["is_archived"], &shown["automation_paused_at"]), (&json!(false), &json!(null)));
    assert_eq!(site.ask(&site.loja, "POST", &resume, None).await.error(422), "CONVERSATION_NOT_ARCHIVED");
}

#[tokio::test]
async fn a_deleted_conversation_is_gone_and_the_next_message_opens_another() {
    let (site, id) = talking().await;
    let path = format!("/conversations/{id}");
    let told = site.ask(&site.loja, "DELETE", &path, None).await.expect(200);
    assert_eq!(told, json!({"success": true, "message": "Conversation deleted."}));
    assert_eq!(site.ask(&site.loja, "DELETE", &path, None).await.error(404), "NOT_FOUND");
    assert_eq!(site.get(&format!("{path}/messages")).await.error(404), "NOT_FOUND");
    assert_eq!(found(&site, "/conversations").await.1, 0);
    receive(&site, &site.instance, says(JOHN, "R3", "Hello?")).await;
    let row = site.get("/conversations").await.expect(200)["data"][0].clone();
    assert_ne!(row["id"], json!(id));
    assert_eq!((&row["conversation_id"], &row["unread_count"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn the_reply_window_is_shown_and_a_closed_one_is_422() {
    let site = Site::new().await;
    site.world.connectors.describe_plugin("connector-chat", |plugin| {
        let outside_window = vec!["template".to_owned()];
        plugin.rules = Some(Rules { reply_window_ms: Some(3_600_000), outside_window, ..Rules::default() });
    });
    receive(&site, &site.instance, Inbound { sent_at: NOW, ..says(JOHN, "R1", "Oi") }).await;
    let path = format!("/conversations/{}", id_of(&site, &site.instance, JOHN));
    let window = async || site.get(&path).await.expect(200)["data"]["reply_window"].clone();
    assert_eq!(window().await, json!({"until": "2025-01-15T11:30:00Z", "open": true}));
    site.world.clock.jump(3_600_000);
    assert_eq!(window().await, json!({"until": "2025-01-15T11:30:00Z", "open": false}));
    let before = site.world.store.message_count();
    let refused = site.post("/send-message", json!({"recipient": JOHN, "message": "Oi"})).await;
    assert_eq!(refused.error(422), "WINDOW_CLOSED");
    let details = refused.json()["error"]["details"].clone();
    assert_eq!(details["instance_id"], json!([site.instance.id]));
    assert!(details["what_to_do"][0].is_string(), "{details}");
    assert_eq!(site.world.store.message_count(), before, "nothing was stored");
    // Where the channel always takes everything, there is none.
    site.world.connectors.describe_plugin("connector-chat", |plugin| plugin.rules = None);
    assert_eq!(window().await, Value::Null);
}
