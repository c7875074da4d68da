//! Section "Grupos".

use pombo_domain::Timestamp;
use pombo_domain::ports::{
    Answer as Told, GroupInfo, GroupMember, MemberChange, MemberResult, Operation, OperationError,
};

use super::shape::like;
use super::*;

const GROUP: &str = "120363001234567890@g.us";

fn member(address: &str, admin: bool, owner: bool) -> GroupMember {
    GroupMember { address: address.to_owned(), aliases: Vec::new(), admin, owner }
}

fn info() -> GroupInfo {
    GroupInfo {
        id: GROUP.to_owned(),
        subject: "Marketing Team".to_owned(),
        description: Some("Team discussions".to_owned()),
        owner: Some("5511987654321".to_owned()),
        created_at: Some(Timestamp(0)),
        members: vec![
            member("5511987654321", true, true),
            member("5511976543210", false, false),
            member("5511965432109", true, false),
        ],
        announcement: false,
        locked: false,
    }
}

fn result(address: &str, problem: Option<&str>) -> MemberResult {
    MemberResult { address: address.to_owned(), problem: problem.map(str::to_owned) }
}

#[tokio::test]
async fn groups_are_listed_and_shown_as_documented() {
    let site = Site::new().await;
    site.world.connectors.answer(Ok(Told::Groups(vec![info()])));
    let listed = site.get(&site.at("/groups")).await.expect(200);
    let example = json!({
        "success": true,
        "data": {
            "groups": [{
                "jid": "120363001234567890@g.us",
                "subject": "Marketing Team",
                "owner": "5511987654321@s.whatsapp.net",
                "size": 25,
                "description": "Team discussions"
            }],
            "total": 5
        }
    });
    like(&listed, &example, &[], &[]);
    assert_eq!((&listed["data"]["total"], &listed["data"]["groups"][0]["size"]), (&json!(1), &json!(3)));

    let example = json!({
        "success": true,
        "data": {
            "jid": "120363001234567890@g.us",
            "subject": "Marketing Team",
            "description": "Team discussions",
            "owner": "5511987654321@s.whatsapp.net",
            "participants": [
                {"jid": "5511987654321@s.whatsapp.net", "admin": "superadmin"},
                {"jid": "5511976543210@s.whatsapp.net", "admin": null},
                {"jid": "5511965432109@s.whatsapp.net", "admin": "admin"}
            ],
            "size": 3
        }
    });
    // As it is, escaped, and without its end.
    for jid in [GROUP, "120363001234567890%40g.us", "120363001234567890"] {
        site.world.connectors.answer(Ok(Told::Group(info())));
        let shown = site.get(&site.at(&format!("/groups/{jid}"))).await.expect(200);
        like(&shown, &example, &[], &[]);
        assert_eq!(shown, example);
    }
    let group = || Operation::Group(GROUP.to_owned());
    assert_eq!(site.world.connectors.asked(), [Operation::Groups, group(), group(), group()]);
    site.world.connectors.answer(Err(OperationError::NotFound("Group not found".to_owned())));
    assert_eq!(site.get(&site.at("/groups/1@g.us")).await.error(404), "NOT_FOUND");
}

#[tokio::test]
async fn a_group_is_created_as_documented() {
    let site = Site::new().await;
    let body = json!({"subject": "My New Group", "participants": ["5511987654321", "5511976543210"]});
    site.world.connectors.answer(Ok(Told::Group(GroupInfo { subject: "My New Group".to_owned(), ..info() })));
    let made = site.post(&site.at("/groups"), body).await.expect(201);
    let example = json!({
        "success": true,
        "data": {
            "group": {"jid": "120363001234567890@g.us", "subject": "My New Group"},
            "message": "Group created successfully"
        }
    });
    like(&made, &example, &[], &[]);
    assert_eq!(made, example);
    let asked = Operation::CreateGroup {
        subject: "My New Group".to_owned(),
        description: None,
        members: vec!["5511987654321".to_owned(), "5511976543210".to_owned()],
    };
    assert_eq!(site.world.connectors.asked(), [asked]);

    for (body, field) in [
        (json!({"participants": ["5511987654321"]}), "subject"),
        (json!({"subject": "S"}), "participants"),
        (json!({"subject": "S", "participants": []}), "participants"),
        (json!({"subject": "S", "participants": "5511987654321"}), "participants"),
        (json!({"subject": 5, "participants": ["5511987654321"]}), "subject"),
        (json!({"subject": "S", "participants": ["5511987654321", "ana"]}), "participants[1]"),
        (json!({"subject": "x".repeat(101), "participants": ["5511987654321"]}), "subject"),
    ] {
        let refused = site.post(&site.at("/groups"), body.clone()).await;
        assert_eq!(refused.error(422), "VALIDATION_ERROR", "{body}");
        assert!(refused.json()["error"]["details"][field][0].is_string(), "{body}: {}", refused.text());
    }
    assert!(site.world.connectors.asked().is_empty());
}

#[tokio::test]
async fn a_group_is_changed_by_patch_and_by_put() {
    let site = Site::new().await;
    let body = json!({"subject": "New Group Name", "description": "Updated description"});
    let told = json!({
        "success": true, "message": "Group updated successfully",
        "data": {"jid": GROUP, "subject": "New Group Name", "description": "Updated description"}
    });
    for method in ["PATCH", "PUT"] {
        let changed = site.send(method, &site.at(&format!("/groups/{GROUP}")), body.clone()).await.expect(200);
        assert_eq!(changed, told, "{method}");
        let subject = Operation::SetGroupSubject(GROUP.to_owned(), "New Group Name".to_owned());
        let description = Operation::SetGroupDescription(GROUP.to_owned(), "Updated description".to_owned());
        assert_eq!(site.world.connectors.asked(), [subject, description]);
    }
    assert_eq!(site.send("PATCH", &site.at("/groups/1@g.us"), json!({})).await.error(422), "VALIDATION_ERROR");
}

#[tokio::test]
async fn members_are_added_removed_promoted_and_demoted() {
    let site = Site::new().await;
    let both = || json!({"participants": ["5511987654321@s.whatsapp.net", 5_511_976_543_210_u64]});
    for (method, below, change, message) in [
        ("POST", "participants", MemberChange::Add, "Participants added"),
        ("DELETE", "participants", MemberChange::Remove, "Participants removed"),
        ("POST", "admins", MemberChange::Promote, "Participants promoted"),
        ("DELETE", "admins", MemberChange::Demote, "Participants demoted"),
    ] {
        let path = site.at(&format!("/groups/{GROUP}/{below}"));
        let asked = || Operation::ChangeMembers {
            group: GROUP.to_owned(),
            change,
            members: vec!["5511987654321".to_owned(), "5511976543210".to_owned()],
        };
        let some = vec![result("5511987654321", None), result("5511976543210", Some("the person left"))];
        site.world.connectors.answer(Ok(Told::Members(some)));
        let told = site.send(method, &path, both()).await.expect(200);
        let participants = json!([
            {"jid": "5511987654321@s.whatsapp.net", "status": "success", "message": null},
            {"jid": "5511976543210@s.whatsapp.net", "status": "error", "message": "the person left"}
        ]);
        assert_eq!(told, json!({"success": true, "message": message, "data": {"participants": participants}}));
        assert_eq!(site.world.connectors.asked(), [asked()]);

        // For nobody.
        let none = vec![result("5511987654321", Some("no")), result("5511976543210", Some("not a member"))];
        site.world.connectors.answer(Ok(Told::Members(none)));
        let refused = site.send(method, &path, both()).await;
        assert_eq!(refused.error(422), "VALIDATION_ERROR");
        assert_eq!(refused.json()["error"]["details"]["participants[1]"], json!(["not a member"]));
        site.world.connectors.asked();

        for body in [json!({}), json!({"participants": []}), json!({"participants": [null]})] {
            assert_eq!(site.send(method, &path, body).await.error(422), "VALIDATION_ERROR");
        }
        if method == "DELETE" {
            for query in [
                "participants=5511987654321,5511976543210",
                "participants[]=5511987654321&participants[]=5511976543210",
            ] {
                site.world.connectors.answer(Ok(Told::Members(vec![result("5511987654321", None)])));
                let answer = site.ask(&site.loja, method, &format!("{path}?{query}"), None).await;
                assert_eq!((answer.status.as_u16(), site.world.connectors.asked()), (200, vec![asked()]), "{query}");
            }
            assert_eq!(site.ask(&site.loja, method, &path, None).await.error(422), "VALIDATION_ERROR");
        }
        assert!(site.world.connectors.asked().is_empty());
    }
}

#[tokio::test]
async fn a_group_is_left_and_its_invitation_shown_and_replaced_as_documented() {
    let site = Site::new().await;
    let path = |below: &str| site.at(&format!("/groups/{GROUP}/{below}"));
    let left = site.ask(&site.loja, "POST", &path("leave"), None).await.expect(200);
    assert_eq!(left, json!({"success": true, "message": "Left the group", "data": {"jid": GROUP}}));

    site.world.connectors.answer(Ok(Told::Invite("https://chat.whatsapp.com/AbCdEfGhIjKl".to_owned())));
    let shown = site.get(&path("invite")).await.expect(200);
    let example = json!({
        "success": true,
        "data": {"code": "AbCdEfGhIjKl", "invite_link": "https://chat.whatsapp.com/AbCdEfGhIjKl"}
    });
    like(&shown, &example, &[], &[]);
    assert_eq!(shown, example);

    site.world.connectors.answer(Ok(Told::Invite("https://chat.whatsapp.com/MnOpQrStUvWx".to_owned())));
    let replaced = site.ask(&site.loja, "DELETE", &path("invite"), None).await.expect(200);
    let example = json!({
        "success": true,
        "data": {"new_code": "MnOpQrStUvWx", "new_invite_link": "https://chat.whatsapp.com/MnOpQrStUvWx"},
        "message": "Invite link revoked"
    });
    like(&replaced, &example, &[], &[]);
    assert_eq!(replaced, example);
    let group = || GROUP.to_owned();
    let asked =
        [Operation::LeaveGroup(group()), Operation::GroupInvite(group()), Operation::RevokeGroupInvite(group())];
    assert_eq!(site.world.connectors.asked(), asked);
}

#[tokio::test]
async fn what_whatsapp_does_not_do_is_said_with_a_code() {
    let site = Site::new().await;
    for (error, status, code) in [
        (OperationError::Refused("you are no admin".to_owned()), 422, "REFUSED"),
        (OperationError::Disconnected("no session".to_owned()), 422, "INSTANCE_DISCONNECTED"),
        (OperationError::Unknown("no answer".to_owned()), 502, "OUTCOME_UNKNOWN"),
        (OperationError::Failed("broken".to_owned()), 502, "CHANNEL_FAILED"),
        (OperationError::Throttled { retry_after_ms: Some(5_000), reason: "slow".to_owned() }, 429, "RATE_LIMITED"),
    ] {
        site.world.connectors.answer(Err(error));
        let answer = site.ask(&site.loja, "POST", &site.at(&format!("/groups/{GROUP}/leave")), None).await;
        assert_eq!(answer.error(status), code);
        assert_eq!(answer.headers.get("retry-after").is_some(), status == 429);
    }
}
