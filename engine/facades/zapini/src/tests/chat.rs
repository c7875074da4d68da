//! Section "Chat API": lists, pages and what is kept; its pauses are tested with those of the other section.

use pombo_domain::model::Inbound;

use super::said::{contact, id_of, reacts, receive, says, says_in_group};
use super::shape::like;
use super::*;

const MARIA: &str = "5511977776666";
const GROUP: &str = "120363001234567890@g.us";

#[tokio::test]
async fn chats_are_listed_as_documented() {
    let site = Site::new().await;
    receive(&site, &site.instance, says("5521999999999", "R1", "Hello!")).await;
    let id = id_of(&site, &site.instance, "5521999999999");
    let (tenant, color) = (site.loja.tenant.index, Some("#f59e0b"));
    let tag = site.world.commands.create_tag(tenant, "VIP", color).await.expect("a good tag").tag.id;
    site.send("PUT", &format!("/conversations/{id}/tags"), json!({"tag_ids": [tag]})).await.expect(200);
    let example = json!({
        "success": true,
        "data": [{
            "id": "550e8400-e29b-41d4-a716-446655440045",
            "contact_number": "5521999999999",
            "display_name": "John Doe",
            "is_group": false,
            "profile_picture_url": "https://...",
            "last_message": "Hello!",
            "last_message_at": "2025-12-16T10:00:00Z",
            "unread_count": 3,
            "tags": [{"id": "bf287f4d-037c-4280-8413-c7b7d08df5a0", "name": "VIP", "color": "#f59e0b"}],
            "instance": {
                "uuid": "21ed5c9b-51a0-4569-85db-05433ea414b7",
                "phone_number": "5511988887777",
                "status": "connected"
            }
        }],
        "meta": {"pagination": {"total": 50, "per_page": 15, "current_page": 1, "last_page": 4}}
    });
    let listed = site.get("/api/v1/chat/conversations?unread=true").await.expect(200);
    let more = ["data[].conversation_id", "data[].contact_name", "data[].is_archived"];
    like(&listed, &example, &more, &["data[].profile_picture_url"]);
    let row = &listed["data"][0];
    assert_eq!(row["tags"], json!([{"id": tag, "name": "VIP", "color": "#f59e0b"}]));
    assert_eq!(
        row["instance"],
        json!({"uuid": site.instance.id, "phone_number": "5511900000001", "status": "connected"})
    );
    assert_eq!(listed["meta"]["pagination"]["per_page"], 15);
    for same in ["/chat/conversations", "/conversations?format=chat", "/api/v1/conversations?format=chat"] {
        assert_eq!(site.get(same).await.expect(200), listed, "{same}");
    }
    let shown = site.get(&format!("/api/v1/chat/conversations/{id}")).await.expect(200)["data"].clone();
    assert_eq!((&shown["id"], &shown["tags"], &shown["instance"]), (&json!(id), &row["tags"], &row["instance"]));
    assert_eq!(
        (&shown["automation_status"], &shown["can_send_manual_message"], &shown["automation_paused_at"]),
        (&json!("inactive"), &json!(true), &json!(null))
    );
    let nobody = site.get("/api/v1/chat/conversations?search=maria").await.expect(200);
    assert_eq!(nobody["data"], json!([]));
    assert_eq!(site.get("/api/v1/chat/conversations?instance_id=99999").await.error(404), "NOT_FOUND");
    assert_eq!(site.get("/api/v1/chat/conversations?per_page=101").await.error(422), "VALIDATION_ERROR");
}

#[tokio::test]
async fn messages_have_mentions_reactions_and_names_as_documented() {
    let site = Site::new().await;
    for (address, name) in
        [(MARIA, "Maria"), ("5521999999999", "John Doe"), ("5521988887777", "Carlos"), ("5521966665555", "Ana <3")]
    {
        contact(&site, address, name).await;
    }
    let said = Inbound {
        mentions: vec!["5521999999999".to_owned()],
        ..says_in_group(GROUP, MARIA, "R1", "Ola @5521999999999!")
    };
    receive(&site, &site.instance, said).await;
    for (sender, emoji) in [("5521988887777", "👍"), ("5521966665555", "❤️"), ("5521966665555", "👍")] {
        let by = says_in_group(GROUP, sender, sender, "");
        receive(&site, &site.instance, reacts("R1", emoji, &by)).await;
    }
    let own = Inbound { from_me: true, ..says_in_group(GROUP, "5511900000001", "M1", "") };
    receive(&site, &site.instance, reacts("R1", "👍", &own)).await;
    let id = id_of(&site, &site.instance, GROUP);
    site.post(&format!("/api/v1/chat/conversations/{id}/mark-read"), json!({})).await.expect(200);

    // The documented `unique_id` is a text of another form; ours is a UUID everywhere.
    let example = json!({
        "success": true,
        "data": {
            "messages": [{
                "id": 456,
                "unique_id": "550e8400-e29b-41d4-a716-446655440045",
                "direction": "incoming",
                "is_from_me": false,
                "message_body": "Ola @5521999999999!",
                "formatted_body": "Ola <span class=\"mention\" data-phone=\"5521999999999\">@John Doe</span>!",
                "mentioned_jids": ["5521999999999@s.whatsapp.net"],
                "sender_name": "Maria",
                "status": "read",
                "grouped_reactions": [{
                    "emoji": "👍",
                    "count": 2,
                    "has_my_reaction": true,
                    "reactors": ["5521988887777", "5521966665555"],
                    "reactor_names": ["Carlos", "Ana"]
                }],
                "created_at": "2025-12-16T10:00:00Z"
            }],
            "has_more": true,
            "oldest_id": 400,
            "newest_id": 456
        }
    });
    let more =
        ["whatsapp_message_id", "media_type", "media_url", "sender_number", "reply_to", "is_edited", "is_deleted"]
            .map(|key| format!("data.messages[].{key}"));
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let path = format!("/api/v1/chat/conversations/{id}/messages?limit=50");
    let page = site.get(&path).await.expect(200);
    like(&page, &example, &more, &[]);
    let (row, wanted) = (&page["data"]["messages"][0], &example["data"]["messages"][0]);
    for key in ["message_body", "formatted_body", "mentioned_jids", "sender_name", "status", "direction"] {
        assert_eq!(row[key], wanted[key], "{key}");
    }
    assert_eq!(
        row["grouped_reactions"],
        json!([{
            "emoji": "👍", "count": 3, "has_my_reaction": true,
            "reactors": ["5521988887777", "5521966665555", "5511900000001"],
            "reactor_names": ["Carlos", "Ana <3", "Loja"]
        }])
    );
    assert_eq!((&page["data"]["has_more"], &page["data"]["oldest_id"]), (&json!(false), &row["id"]));
    let same = site.get(&format!("/conversations/{id}/messages?format=chat")).await.expect(200);
    assert_eq!(same, page);
    let plain = site.get(&format!("/conversations/{id}/messages")).await.expect(200);
    let plain = &plain["data"]["messages"][0];
    assert!(plain.get("formatted_body").is_none() && plain.get("grouped_reactions").is_none(), "{plain}");
    for query in ["limit=0", "limit=101", "before_id=x", "after_id="] {
        let refused = site.get(&format!("/api/v1/chat/conversations/{id}/messages?{query}")).await;
        assert_eq!(refused.error(422), "VALIDATION_ERROR", "{query}");
    }
}

#[tokio::test]
async fn nothing_that_people_write_becomes_markup() {
    let site = Site::new().await;
    contact(&site, "5521999999999", "<b>Zé</b>").await;
    let text = "<script>alert(\"1\")</script> @5521999999999 & @5521000000000 @5511900000001";
    let mentions = ["5521999999999", "5511900000001"].map(str::to_owned).to_vec();
    receive(&site, &site.instance, Inbound { mentions, ..says(MARIA, "R1", text) }).await;
    let id = id_of(&site, &site.instance, MARIA);
    let page = site.get(&format!("/chat/conversations/{id}/messages")).await.expect(200);
    let row = &page["data"]["messages"][0];
    assert_eq!(row["message_body"], text);
    assert_eq!(
        row["formatted_body"],
        "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; \
         <span class=\"mention\" data-phone=\"5521999999999\">@&lt;b&gt;Zé&lt;/b&gt;</span> &amp; @5521000000000 \
         <span class=\"mention\" data-phone=\"5511900000001\">@Loja</span>"
    );
}

#[tokio::test]
async fn a_chat_is_read_archived_and_restored_like_a_conversation() {
    let site = Site::new().await;
    receive(&site, &site.instance, says(MARIA, "R1", "oi")).await;
    let id = id_of(&site, &site.instance, MARIA);
    let path = format!("/api/v1/chat/conversations/{id}");
    let read = site.ask(&site.loja, "POST", &format!("{path}/mark-read"), None).await.expect(200);
    assert_eq!(read["data"], json!({"conversation_id": id, "unread_count": 0}));
    let archived = site.ask(&site.loja, "POST", &format!("{path}/archive"), None).await.expect(200);
    let example = json!({
        "success": true,
        "message": "Conversation archived.",
        "data": {
            "archived_id": "550e8400-e29b-41d4-a716-446655440045",
            "archived_at": "2025-12-29T12:00:00.000000Z"
        }
    });
    like(&archived, &example, &[], &[]);
    assert_eq!(archived["message"], example["message"]);
    let listed = site.get("/api/v1/chat/conversations").await.expect(200);
    assert_eq!(listed["data"], json!([]));
    let restored = site.ask(&site.loja, "DELETE", &format!("{path}/archive"), None).await.expect(200);
    let example = json!({
        "success": true,
        "message": "Conversation restored.",
        "data": {"conversation_id": "550e8400-e29b-41d4-a716-446655440045", "restored": true}
    });
    like(&restored, &example, &[], &[]);
    assert_eq!(restored["message"], example["message"]);
    assert_eq!(site.ask(&site.loja, "DELETE", &format!("{path}/archive"), None).await.error(404), "NOT_FOUND");

    for (method, below) in
        [("GET", ""), ("GET", "/messages"), ("POST", "/mark-read"), ("POST", "/archive"), ("DELETE", "/archive")]
    {
        let (path, unknown) = (format!("{path}{below}"), format!("/chat/conversations/{}{below}", uuid::Uuid::nil()));
        assert_eq!(site.ask(&site.other, method, &path, None).await.error(404), "NOT_FOUND", "{method} {below}");
        assert_eq!(site.ask(&site.loja, method, &unknown, None).await.error(404), "NOT_FOUND", "{method} {below}");
    }
}
