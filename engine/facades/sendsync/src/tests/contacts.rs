//! The contacts of the SendSync API.

use super::*;

#[tokio::test]
async fn a_contact_is_created_renamed_deactivated_and_removed() {
    let site = Site::new().await;
    let created = site.post("/contacts", json!({"identifier": "a@Exemplo.com", "type": "EMAIL", "name": "Ana"})).await;
    assert_eq!(created.status, 201);
    let contact = created.json();
    assert_eq!(contact["identifier"], "a@exemplo.com");
    let id = contact["id"].as_str().expect("an id").to_owned();

    let same = site.post("/contacts", json!({"identifier": "a@exemplo.com", "type": "EMAIL"})).await;
    assert_eq!((same.status.as_u16(), &same.json()), (200, &contact), "no name leaves the name");
    let renamed =
        site.post("/contacts", json!({"identifier": "a@exemplo.com", "type": "EMAIL", "name": "Ana Sá"})).await;
    assert_eq!((renamed.status.as_u16(), &renamed.json()["name"]), (200, &json!("Ana Sá")));
    let phone = site.post("/contacts", json!({"identifier": "5511999998888", "type": "WHATSAPP"})).await;
    assert_eq!(phone.status, 201);
    assert_eq!(site.get("/contacts").await.ok().as_array().map(Vec::len), Some(2));

    let off = json!({"active": false, "reason": "pediu"});
    let off = site.send_json(Method::PATCH, &format!("/contacts/{id}/status"), off).await.ok();
    assert_eq!((&off["active"], &off["reason"]), (&json!(false), &json!("pediu")));
    let refused = site.post("/queue/send", site.message_with(json!({"to": "a@exemplo.com"}))).await.error(400);
    assert!(refused.starts_with("to: ") && refused.contains("inactive"), "{refused}");
    assert_eq!(site.world.store.message_count(), 0);
    site.send_json(Method::PATCH, &format!("/contacts/{id}/status"), json!({"active": true})).await.ok();
    site.post("/queue/send", site.message_with(json!({"to": "a@exemplo.com"}))).await.ok();

    let removed = site.send_json(Method::DELETE, &format!("/contacts/{id}"), json!({})).await.ok();
    assert_eq!(removed["id"], json!(id));
    site.send_json(Method::DELETE, &format!("/contacts/{id}"), json!({})).await.error(404);
}

#[tokio::test]
async fn who_opted_out_gets_nothing_after_the_contact_was_removed_and_added_again() {
    let site = Site::new().await;
    let save = || site.post("/contacts", json!({"identifier": "Ana@exemplo.com", "type": "EMAIL", "name": "Ana"}));
    let id = save().await.json()["id"].as_str().expect("an id").to_owned();
    let off = json!({"active": false, "reason": "pediu"});
    site.send_json(Method::PATCH, &format!("/contacts/{id}/status"), off).await.ok();
    site.send_json(Method::DELETE, &format!("/contacts/{id}"), json!({})).await.ok();
    assert_eq!(site.get("/contacts").await.ok(), json!([]));
    // Mail goes to the address as it is written; the person is the same.
    for to in ["Ana@exemplo.com", "ana@exemplo.com"] {
        let refused = site.post("/queue/send", site.message_with(json!({"to": to}))).await.error(400);
        assert!(refused.starts_with("to: ") && refused.contains("opted out"), "{refused}");
    }
    let again = save().await;
    assert_eq!(again.status, 201);
    let again = again.json();
    assert_eq!((&again["active"], &again["reason"], &again["name"]), (&json!(false), &json!("pediu"), &json!("Ana")));
    assert_ne!(again["id"], json!(id));
    site.post("/queue/send", site.message_with(json!({"to": "ana@exemplo.com"}))).await.error(400);
    let path = format!("/contacts/{}/status", again["id"].as_str().expect("an id"));
    site.send_json(Method::PATCH, &path, json!({"active": true})).await.ok();
    site.post("/queue/send", site.message_with(json!({"to": "ana@exemplo.com"}))).await.ok();
}

#[tokio::test]
async fn bad_contacts_say_what_to_change_and_store_nothing() {
    let site = Site::new().await;
    for (body, problem) in [
        (json!({}), "identifier: is required; type: is required"),
        (json!({"identifier": 5511999998888_u64, "type": "WHATSAPP"}), "identifier: must be a text, not a number"),
        (json!({"identifier": "a@b.com", "type": "email"}), "type: must be WHATSAPP or EMAIL"),
        (json!({"identifier": " ", "type": "EMAIL"}), "identifier: must not be empty"),
        (json!({"identifier": "a\u{0}@b.com", "type": "EMAIL"}), "identifier: must not contain control characters"),
        (
            json!({"identifier": "ana", "type": "EMAIL"}),
            "identifier: must be an e-mail address such as name@example.com",
        ),
        (json!({"identifier": "a@b.com", "type": "EMAIL", "name": true}), "name: must be a text, not true"),
    ] {
        assert_eq!(site.post("/contacts", body).await.error(400), problem);
    }
    assert_eq!(site.get("/contacts").await.ok(), json!([]));
    let id = "00000000-0000-4000-8000-000000000000";
    let path = format!("/contacts/{id}/status");
    site.send_json(Method::PATCH, &path, json!({"active": "false"})).await.error(400);
    site.send_json(Method::PATCH, &path, json!({})).await.error(400);
    site.send_json(Method::PATCH, &path, json!({"active": false})).await.error(404);
    site.send_json(Method::PATCH, "/contacts/x/status", json!({"active": false})).await.error(404);
    site.get("/contacts?type=EMAIL").await.error(400);
}

#[tokio::test]
async fn more_contacts_than_one_chunk_are_one_array() {
    let site = Site::new().await;
    for n in 0..1001 {
        site.post("/contacts", json!({"identifier": format!("c{n}@exemplo.com"), "type": "EMAIL"})).await.ok();
    }
    let listed = site.get("/contacts").await.ok();
    let mut identifiers: Vec<&str> =
        listed.as_array().expect("an array").iter().filter_map(|contact| contact["identifier"].as_str()).collect();
    identifiers.sort_unstable();
    identifiers.dedup();
    assert_eq!(identifiers.len(), 1001);
}

#[tokio::test]
async fn a_send_with_a_name_keeps_the_contact_up_to_date() {
    let site = Site::new().await;
    let send = |name: Value| site.message_with(json!({"contactName": name}));
    let sent = site.post("/queue/send", send(json!("João Silva"))).await.ok();
    assert_eq!(sent["contactName"], "João Silva");
    site.post("/queue/send", send(json!("João P. Silva"))).await.ok();
    let contacts = site.get("/contacts").await.ok();
    assert_eq!(contacts.as_array().map(Vec::len), Some(1));
    assert_eq!(contacts[0]["name"], "João P. Silva");
    // Without a name in the request the one on file is used.
    let greeting = site.message_with(json!({"message": "Olá {{ primeiro_nome }}"}));
    assert_eq!(site.post("/queue/send", greeting).await.ok()["contactName"], "João P. Silva");

    let row = |to: &str, name: &str| site.message_with(json!({"to": to, "contactName": name}));
    let rows = json!({"messages": [row("n@x.com", "A"), row("n@x.com", "B"), row("N", "refused")]});
    assert_eq!(site.post("/queue/bulk", rows).await.ok()["accepted"], 2);
    let contacts = site.get("/contacts").await.ok();
    let new: Vec<&Value> =
        contacts.as_array().expect("an array").iter().filter(|contact| contact["identifier"] == "n@x.com").collect();
    assert_eq!((contacts.as_array().map(Vec::len), &new[0]["name"]), (Some(2), &json!("B")));
}

#[tokio::test]
async fn a_contact_that_somebody_creates_at_the_same_moment_is_no_error() {
    use pombo_domain::ports::{Conflict, StoreError};
    let site = Site::new().await;
    site.world.store.refuse_next(StoreError::Conflict(Conflict::Contact));
    assert_eq!(site.post("/queue/send", site.message_with(json!({"contactName": "Ana"}))).await.status, 201);
    site.world.store.refuse_next(StoreError::Conflict(Conflict::Contact));
    assert_eq!(site.post("/contacts", json!({"identifier": "z@x.com", "type": "EMAIL"})).await.status, 201);
}
