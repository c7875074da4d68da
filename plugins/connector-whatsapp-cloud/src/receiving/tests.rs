use super::*;
use crate::cloud::Room;
use crate::cloud::bench::{CLIENT, cloud};
use crate::outside::world::{World, ready};
use pombo_plugin::connector::events::{InboundContent, ReceiptKind};

fn request(method: &str, body: &[u8]) -> ReceivedRequest {
    ReceivedRequest {
        method: method.to_owned(),
        path: String::new(),
        query: Vec::new(),
        headers: Vec::new(),
        body: body.to_vec(),
        proven: true,
    }
}

fn post(cloud: &Cloud<World>, body: &Value) -> u16 {
    ready(receive(cloud, request("POST", body.to_string().as_bytes()))).status
}

/// A webhook of the connector's own number.
fn webhook(value: Value) -> Value {
    let mut value = value;
    value["metadata"] = json!({"display_phone_number": "15550783881", "phone_number_id": "106540352242922"});
    json!({"object": "whatsapp_business_account", "entry": [{"id": "102290129340398",
        "changes": [{"field": "messages", "value": value}]}]})
}

fn text(id: &str) -> Value {
    json!({"from": "5511987654321", "id": id, "timestamp": "1749854575", "type": "text", "text": {"body": "Oi"}})
}

fn status(id: &str, word: &str) -> Value {
    json!({"id": id, "status": word, "timestamp": "1750030073", "recipient_id": "5511987654321",
        "biz_opaque_callback_data": CLIENT})
}

#[test]
fn a_verification_is_answered_with_its_challenge() {
    let (_, cloud) = cloud("");
    let query = [("hub.mode", "subscribe"), ("hub.challenge", "1158201444")];
    let query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let response = ready(receive(&cloud, ReceivedRequest { query, ..request("GET", b"") }));
    assert_eq!((response.status, response.content_type.as_str()), (200, "text/plain"));
    assert_eq!(response.body, b"1158201444");
    assert_eq!(ready(receive(&cloud, request("GET", b""))).status, 400);
    assert_eq!(ready(receive(&cloud, request("PUT", b""))).status, 405);
    assert_eq!(ready(receive(&cloud, request("POST", b"{"))).status, 400);
}

#[test]
fn all_of_a_request_is_taken_and_others_numbers_are_passed_over() {
    let (world, cloud) = cloud("");
    let change = |phone: &str, value: Value| {
        let mut value = value;
        value["metadata"] = json!({"phone_number_id": phone});
        json!({"field": "messages", "value": value})
    };
    let ours = "106540352242922";
    let body = json!({"object": "whatsapp_business_account", "entry": [
        {"id": "102290129340398", "changes": [
            change(ours, json!({"messages": [text("A"), text("B")], "statuses": [status("S1", "sent")]})),
            change("999", json!({"messages": [text("FOREIGN")]}))]},
        {"id": "777", "changes": [change(ours, json!({"messages": [text("C")]}))]},
        {"id": "777", "changes": [{"field": "account_update", "value": {"event": "ACCOUNT_DELETED"}}]}]});
    assert_eq!(post(&cloud, &body), 200);
    let ids: Vec<_> = world.messages().into_iter().map(|message| message.provider_id).collect();
    assert_eq!(ids, ["A", "B", "C"]);
    assert_eq!(world.receipts().len(), 1);
    assert!(world.others("meta.account_update").is_empty(), "another account's");
    assert_eq!(post(&cloud, &json!({"object": "page", "entry": [{"id": "102290129340398", "changes": []}]})), 200);
}

#[test]
fn a_thousand_updates_come_in_bounded_batches() {
    let (world, cloud) = cloud("");
    let all: Vec<_> = (0..1_000).map(|n| status(&format!("wamid.{n}"), "delivered")).collect();
    assert_eq!(post(&cloud, &webhook(json!({"statuses": all}))), 200);
    let receipts = world.receipts();
    assert_eq!((receipts.len(), world.commits.get()), (1_000, 5));
    assert!(receipts.iter().all(|receipt| receipt.client_id.as_deref() == Some(CLIENT)));
    assert_eq!((receipts[999].provider_id.as_str(), receipts[0].kind), ("wamid.999", ReceiptKind::Delivered));
}

#[test]
fn one_bad_update_does_not_fail_the_others() {
    let (world, cloud) = cloud("");
    let body = webhook(json!({
        "messages": [text("A"), {"type": "text"}, 7, null, text("REFUSED"), text("B")],
        "statuses": [{"status": "sent"}, status("S", "read"), "x"]}));
    assert_eq!(post(&cloud, &body), 200);
    let ids: Vec<_> = world.messages().into_iter().map(|message| message.provider_id).collect();
    assert_eq!(ids, ["A", "B"], "one is not taken by the engine, and one has no id");
    assert_eq!((world.receipts().len(), world.others("meta.unreadable").len()), (1, 5));
}

#[test]
fn a_busy_engine_asks_for_a_repetition() {
    let (world, cloud) = cloud("");
    world.failing.set(1);
    let body = webhook(json!({"messages": [text("A")]}));
    assert_eq!(post(&cloud, &body), 503);
    assert_eq!(post(&cloud, &body), 200);
    assert_eq!(world.messages().len(), 1);
    let others = cloud.room.take(Room::BYTES - 4).expect("room");
    assert_eq!(post(&cloud, &body), 503);
    drop(others);
    assert!(cloud.room.take(Room::BYTES).is_some(), "each gives its room back");
}

#[test]
fn a_file_is_pending_and_its_duplicate_is_not_fetched_again() {
    let (world, cloud) = cloud("");
    let mut image = text("A");
    image["type"] = json!("image");
    image["image"] = json!({"id": "1003383421387256", "mime_type": "image/jpeg", "sha256": "n4bQ", "caption": "veja"});
    let body = webhook(json!({"messages": [image]}));
    assert_eq!(post(&cloud, &body), 200);
    assert_eq!(world.keys("file/"), ["file/5511987654321/A"]);
    let InboundContent::Attachment(file) = world.messages().remove(0).content else { panic!("a file") };
    assert_eq!((file.caption.as_deref(), file.content_type.as_str()), (Some("veja"), "image/jpeg"));
    ready(world.batch(vec![crate::outside::delete("file/5511987654321/A")])).expect("done");
    assert_eq!(post(&cloud, &body), 200);
    assert!(world.keys("file/").is_empty());
}

#[test]
fn two_addresses_of_one_person_are_told_once_and_before_the_message() {
    let (world, cloud) = cloud("");
    let contact = json!({"profile": {"name": "Ana"}, "wa_id": "5511987654321", "user_id": "BR.1502"});
    let body = webhook(json!({"contacts": [contact], "messages": [text("A")]}));
    for _ in 0..2 {
        assert_eq!(post(&cloud, &body), 200);
    }
    let contacts = world.contacts();
    assert_eq!(contacts.len(), 1);
    assert_eq!(
        (contacts[0].address.as_str(), contacts[0].aliases.as_slice()),
        ("5511987654321", ["BR.1502".to_owned()].as_slice())
    );
    assert!(matches!(world.told.borrow()[0], Event::Contact(_)));
    assert_eq!(world.messages()[0].sender_name.as_deref(), Some("Ana"));
}

#[test]
fn a_person_without_a_number_is_one_nevertheless() {
    let (world, cloud) = cloud("");
    let contact = json!({"profile": {"name": "Ana", "username": "ana.s"}, "user_id": "BR.1502"});
    let message =
        json!({"from_user_id": "BR.1502", "id": "A", "timestamp": 1749854575, "type": "text", "text": {"body": "Oi"}});
    assert_eq!(post(&cloud, &webhook(json!({"contacts": [contact], "messages": [message]}))), 200);
    let message = world.messages().remove(0);
    assert_eq!((message.chat.as_str(), message.sender.as_str()), ("BR.1502", "BR.1502"));
    assert_eq!((message.sender_name.as_deref(), message.at_millis), (Some("Ana"), 1_749_854_575_000));
    assert_eq!(ready(cloud.heard.last(&world, "BR.1502")).expect("readable").as_deref(), Some("A"));
    assert_eq!(world.keys("heard/"), ["heard/BR.1502"], "it is stored with the message");
}

/// Linked portfolios have an id of a person in common, which comes with the others, or alone.
#[test]
fn the_id_that_portfolios_share_is_an_address_of_the_person() {
    let (world, cloud) = cloud("");
    let contact = |further: Value| {
        let mut contact = json!({"profile": {"name": "Ana"}, "parent_user_id": "BR.ENT.9"});
        for (name, value) in further.as_object().expect("an object") {
            contact[name.as_str()] = value.clone();
        }
        contact
    };
    let message = |id: &str, from: Value| {
        let mut message = json!({"id": id, "timestamp": "1", "type": "text", "text": {"body": "Oi"},
            "from_parent_user_id": "BR.ENT.9"});
        for (name, value) in from.as_object().expect("an object") {
            message[name.as_str()] = value.clone();
        }
        message
    };
    let all = json!({"wa_id": "5511987654321", "user_id": "BR.1"});
    let from = json!({"from": "5511987654321", "from_user_id": "BR.1"});
    for body in [
        json!({"contacts": [contact(all)], "messages": [message("A", from.clone())]}),
        json!({"contacts": [contact(json!({"user_id": "BR.1"}))], "messages": [message("B", json!({"from_user_id": "BR.1"}))]}),
        json!({"contacts": [contact(json!({}))], "messages": [message("C", json!({}))]}),
        json!({"messages": [message("D", from)]}),
    ] {
        assert_eq!(post(&cloud, &webhook(body)), 200);
    }
    let senders: Vec<String> = world.messages().into_iter().map(|message| message.sender).collect();
    assert_eq!(senders, ["5511987654321", "BR.1", "BR.ENT.9", "5511987654321"]);
    let told: Vec<(String, Vec<String>)> =
        world.contacts().into_iter().map(|update| (update.address, update.aliases)).collect();
    let own = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    let expected = [("5511987654321".to_owned(), own(&["BR.1", "BR.ENT.9"])), ("BR.1".to_owned(), own(&["BR.ENT.9"]))];
    assert_eq!(told, expected, "each once");
}

#[test]
fn a_new_number_or_id_is_the_same_person() {
    let (world, cloud) = cloud("");
    let system =
        |news: Value| json!({"from": "5511987654321", "id": "A", "timestamp": "1", "type": "system", "system": news});
    let changed = system(
        json!({"type": "user_changed_number", "wa_id": "5511900000001", "user_id": "BR.2", "previous_user_id": "BR.1"}),
    );
    let other = system(json!({"type": "customer_identity_changed"}));
    assert_eq!(post(&cloud, &webhook(json!({"messages": [changed, other]}))), 200);
    let update = world.contacts().remove(0);
    assert_eq!(update.address, "5511900000001");
    assert_eq!(update.aliases, ["BR.2", "5511987654321", "BR.1"]);
    assert!(world.messages().is_empty());
    assert_eq!(world.others("meta.system").len(), 2);
}

#[test]
fn answers_and_what_was_pressed_are_told() {
    let (world, cloud) = cloud("");
    let mut button = text("A");
    button["type"] = json!("button");
    button["button"] = json!({"payload": "STOP-1", "text": "Parar"});
    button["context"] = json!({"from": "15550783881", "id": "wamid.OURS"});
    assert_eq!(post(&cloud, &webhook(json!({"messages": [button]}))), 200);
    let message = world.messages().remove(0);
    assert_eq!(message.content, InboundContent::Text("Parar".to_owned()));
    assert_eq!(message.reply_to.as_deref(), Some("wamid.OURS"));
    let context = world.others("meta.message-context").remove(0);
    assert_eq!((&context["button"]["payload"], &context["providerId"]), (&json!("STOP-1"), &json!("A")));
}

#[test]
fn what_is_written_on_the_phone_is_the_accounts() {
    let (world, cloud) = cloud("");
    let mut body = webhook(json!({"message_echoes": [{"from": "15550783881", "to": "5511987654321", "id": "A",
        "timestamp": "1749854575", "type": "text", "text": {"body": "Oi"}}]}));
    body["entry"][0]["changes"][0]["field"] = json!("smb_message_echoes");
    assert_eq!(post(&cloud, &body), 200);
    let message = world.messages().remove(0);
    assert!(message.from_me && !message.is_group);
    assert_eq!((message.chat.as_str(), message.sender.as_str()), ("5511987654321", "15550783881"));
    assert_eq!(ready(cloud.heard.last(&world, "5511987654321")), Ok(None));
}

#[test]
fn further_fields_anywhere_change_nothing() {
    /// Puts an unknown field into every object.
    fn grown(value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                let mut fields: serde_json::Map<_, _> =
                    fields.iter().map(|(name, value)| (name.clone(), grown(value))).collect();
                fields.insert("surprise".to_owned(), json!([{"a": 1}, null, "x", 1e9]));
                Value::Object(fields)
            }
            Value::Array(values) => values.iter().map(grown).collect(),
            other => other.clone(),
        }
    }
    let body = webhook(json!({"contacts": [{"profile": {"name": "Ana"}, "wa_id": "5511987654321", "user_id": "BR.1"}],
        "messages": [text("A")], "statuses": [status("S", "failed"), status("S", "read")]}));
    let told = |body: &Value| {
        let (world, cloud) = cloud("");
        assert_eq!(post(&cloud, body), 200);
        world.told.take()
    };
    assert_eq!(told(&grown(&body)), told(&body));
}

#[test]
fn whatever_comes_is_answered() {
    // Every part of a webhook is replaced by values of other types.
    fn places(value: &Value, at: &str, all: &mut Vec<String>) {
        all.push(at.to_owned());
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), all))
            }
            Value::Array(values) => {
                values.iter().enumerate().for_each(|(n, value)| places(value, &format!("{at}/{n}"), all));
            }
            _ => {}
        }
    }
    let mut failed = status("S", "failed");
    failed["errors"] = json!([{"code": 131026, "title": "t", "error_data": {"details": "d"}}]);
    let body = webhook(json!({"contacts": [{"profile": {"name": "Ana"}, "wa_id": "5511987654321"}],
        "messages": [text("A")], "statuses": [failed]}));
    let mut all = Vec::new();
    places(&body, "", &mut all);
    assert!(all.len() > 30);
    for place in all {
        for value in [Value::Null, json!(7), json!("x"), json!([]), json!({}), json!(true)] {
            let (_, cloud) = cloud("");
            let mut changed = body.clone();
            *changed.pointer_mut(&place).expect("a place") = value;
            assert_eq!(post(&cloud, &changed), 200, "{place}");
        }
    }
}
