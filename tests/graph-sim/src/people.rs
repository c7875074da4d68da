//! What the people do: they write, react, press buttons, read, delete, stop marketing, change their numbers. Each makes the webhooks
//! that Meta would send. It runs under the world's lock.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::limits::DAY;
use crate::messages;
use crate::webhooks::Content;
use crate::world::{Said, World, digits};

/// The kinds that carry a file.
const FILES: [&str; 5] = ["image", "video", "audio", "document", "sticker"];

fn user(world: &World, key: &str) -> anyhow::Result<usize> {
    world.user(key).ok_or_else(|| anyhow::anyhow!("there is no user {key}: POST /admin/setup makes users"))
}

fn number(world: &World, body: &Value) -> anyhow::Result<usize> {
    match body["number_id"].as_str() {
        Some(id) => world.number(id).ok_or_else(|| anyhow::anyhow!("number_id: there is no number {id}")),
        None if world.numbers.is_empty() => anyhow::bail!("there is no number: POST /admin/setup makes numbers"),
        None => Ok(0),
    }
}

/// A person sends a message: `{number_id?, message: {type, …}, referral?, context?}`. The answer: its id.
pub(crate) fn say(world: &mut World, who: &str, body: &Value) -> anyhow::Result<Value> {
    let user = user(world, who)?;
    let number = number(world, body)?;
    let mut message = body["message"].clone();
    let Some(kind) = message["type"].as_str().map(str::to_owned) else { anyhow::bail!("message.type is missing") };
    for key in ["referral", "context"] {
        if !body[key].is_null() {
            message[key] = body[key].clone();
        }
    }
    if FILES.contains(&kind.as_str()) && message[kind.as_str()]["id"].is_null() {
        let waba = world.numbers[number].waba.clone();
        let file = keep_file(world, waba, &kind, &message[kind.as_str()])?;
        message[kind.as_str()] = file;
    }
    if !message["context"]["id"].is_null() && message["context"]["from"].is_null() {
        message["context"]["from"] = json!(world.numbers[number].digits());
    }
    // What the service says in a person's name opens no window.
    let opens = !matches!(kind.as_str(), "system");
    Ok(json!({ "id": put(world, user, number, message, opens) }))
}

/// A file as a message refers to it: from `data` (base64) or `text`, kept for seven days.
fn keep_file(world: &mut World, waba: String, kind: &str, given: &Value) -> anyhow::Result<Value> {
    let mut file = if given.is_object() { given.clone() } else { json!({}) };
    let bytes = match (given["data"].as_str(), given["text"].as_str()) {
        (Some(data), _) => STANDARD.decode(data).map_err(|e| anyhow::anyhow!("{kind}.data is not base64: {e}"))?,
        (None, Some(text)) => text.as_bytes().to_vec(),
        (None, None) => b"a file of the simulator".to_vec(),
    };
    let usual = match kind {
        "image" => "image/jpeg",
        "video" => "video/mp4",
        "audio" => "audio/ogg; codecs=opus",
        "sticker" => "image/webp",
        _ => "application/pdf",
    };
    let mime = given["mime_type"].as_str().unwrap_or(usual).to_owned();
    let id = world.keep_media(waba, mime.clone(), Bytes::from(bytes), 7 * DAY);
    if let Some(map) = file.as_object_mut() {
        map.remove("data");
        map.remove("text");
    }
    if let Some(kept) = world.media.get(&id) {
        file["sha256"] = json!(STANDARD.encode(kept.sha256));
    }
    file["url"] = json!(format!("{}/lookaside/{id}?ext={}", world.base, world.now() + 300_000));
    file["id"] = json!(id);
    file["mime_type"] = json!(mime);
    Ok(file)
}

fn put(world: &mut World, user: usize, number: usize, mut message: Value, opens: bool) -> String {
    let now = world.now();
    let person = world.users[user].clone();
    let id = match message["id"].as_str() {
        Some(id) => id.to_owned(),
        None => world.wamid(person.phone.as_deref().unwrap_or("0")),
    };
    if let Some(wa_id) = person.visible_wa_id()
        && message["from"].is_null()
    {
        message["from"] = json!(wa_id);
    }
    if let Some(user_id) = &person.user_id {
        message["from_user_id"] = json!(user_id);
    }
    message["id"] = json!(id);
    if message["timestamp"].is_null() {
        message["timestamp"] = json!((now / 1000).to_string());
    }
    if opens {
        world.windows.insert((number, user), now);
        if !message["referral"].is_null() {
            world.entries.insert((number, user), (now, None));
        }
    }
    let rate = i64::from(world.numbers[number].throughput.max(1));
    // What people write counts, and is never too much: it leaves no debt.
    world.throughput.entry(number).or_default().take(now, 1_000_000 / rate, rate);
    let account = &world.numbers[number];
    let (id_of, display, waba) = (account.id.clone(), account.digits(), account.waba.clone());
    let contact = opens.then(|| person.contact());
    let hidden = world.blocked_by_business.contains(&(number, user));
    world.keep_said(Said { id: id.clone(), number, user, at: now, message: message.clone(), read: false });
    if !hidden {
        let content = Content::Messaging { number: id_of, display, contact, item: message, status: false };
        world.emit(&waba, Some(number), content);
    }
    id
}

/// A person reads: `{message_id?}`; that message and those before it, or all.
pub(crate) fn read(world: &mut World, who: &str, body: &Value) -> anyhow::Result<Value> {
    let user = user(world, who)?;
    let until = match body["message_id"].as_str() {
        Some(id) => match world.sent_index.get(id) {
            Some(place) => *place,
            None => anyhow::bail!("message_id: there is no message {id}"),
        },
        None => u64::MAX,
    };
    let ids: Vec<String> = world
        .sent
        .range(..=until)
        .filter(|(_, sent)| sent.user == user && matches!(sent.status, "accepted" | "sent" | "delivered"))
        .map(|(_, sent)| sent.id.clone())
        .collect();
    let target = if world.users[user].receipts_on { "read" } else { "delivered" };
    let read = ids.iter().filter(|id| messages::advance(world, id, target)).count();
    Ok(json!({ "read": read }))
}

/// A person deletes a message: `{message_id}`.
pub(crate) fn delete(world: &mut World, who: &str, body: &Value) -> anyhow::Result<Value> {
    let user = user(world, who)?;
    let id = body["message_id"].as_str().unwrap_or_default();
    let place = world.said_index.get(id).copied();
    let said = place.and_then(|place| world.said.get(&place)).filter(|said| said.user == user);
    let Some(said) = said else { anyhow::bail!("message_id: {who} wrote no message {id}") };
    let number = said.number;
    let message = json!({ "type": "revoke", "revoke": { "original_message_id": id } });
    Ok(json!({ "id": put(world, user, number, message, true) }))
}

/// A person presses a button or chooses a row of a message: `{message_id, index}`, counted from 0.
pub(crate) fn press(world: &mut World, who: &str, body: &Value) -> anyhow::Result<Value> {
    let user = user(world, who)?;
    let id = body["message_id"].as_str().unwrap_or_default().to_owned();
    let index = body["index"].as_u64().and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
    let place = world.sent_index.get(&id).copied();
    let sent = place.and_then(|place| world.sent.get(&place)).filter(|sent| sent.user == user).cloned();
    let Some(sent) = sent else { anyhow::bail!("message_id: {who} was sent no message {id}") };
    let action = &sent.body["interactive"]["action"];
    let mut message = if let Some(template) = sent.template {
        let text = world
            .templates
            .get(&template)
            .and_then(|template| template.shape.buttons.get(index))
            .filter(|button| button.kind == "QUICK_REPLY")
            .map(|button| button.text.clone());
        let Some(text) = text else { anyhow::bail!("index: button {index} is not a quick reply") };
        let given = sent.body["template"]["components"].as_array().into_iter().flatten().find(|component| {
            component["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("button"))
                && (component["index"] == index.to_string().as_str() || component["index"] == json!(index))
        });
        let payload = given.and_then(|component| component["parameters"][0]["payload"].as_str()).unwrap_or(&text);
        json!({ "type": "button", "button": { "payload": payload, "text": text } })
    } else if let Some(reply) = action["buttons"].get(index).map(|button| &button["reply"]) {
        let reply = json!({ "id": reply["id"], "title": reply["title"] });
        json!({ "type": "interactive", "interactive": { "type": "button_reply", "button_reply": reply } })
    } else {
        let sections = action["sections"].as_array().into_iter().flatten();
        let mut rows = sections.flat_map(|section| section["rows"].as_array().into_iter().flatten());
        let Some(row) = rows.nth(index) else { anyhow::bail!("index: there is no button or row {index}") };
        json!({ "type": "interactive", "interactive": { "type": "list_reply", "list_reply": row } })
    };
    message["context"] = json!({ "id": id, "from": world.numbers[sent.number].digits() });
    Ok(json!({ "id": put(world, user, sent.number, message, true) }))
}

/// A person stops marketing, or takes it again: `{value: "stop" | "resume"}`.
pub(crate) fn preference(world: &mut World, who: &str, body: &Value) -> anyhow::Result<Value> {
    let user = user(world, who)?;
    let number = number(world, body)?;
    let value = body["value"].as_str().unwrap_or("stop").to_owned();
    world.users[user].opted_out = value == "stop";
    let person = world.users[user].clone();
    let mut preference = json!({
        "category": "marketing_messages", "value": value, "timestamp": world.seconds(),
        "detail": if value == "stop" { "User requested to stop marketing messages" } else { "User requested to resume marketing messages" },
    });
    if let Some(wa_id) = person.visible_wa_id() {
        preference["wa_id"] = json!(wa_id);
    }
    if let Some(user_id) = &person.user_id {
        preference["user_id"] = json!(user_id);
    }
    let account = &world.numbers[number];
    let waba = account.waba.clone();
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": account.digits(), "phone_number_id": account.id },
        "contacts": [person.contact()], "user_preferences": [preference],
    });
    world.emit(&waba, Some(number), Content::Field { field: "user_preferences".to_owned(), value });
    Ok(json!({ "ok": true }))
}

/// A person changes the number: `{phone, user_id?}`.
pub(crate) fn change_number(world: &mut World, who: &str, body: &Value) -> anyhow::Result<Value> {
    let user = user(world, who)?;
    let number = number(world, body)?;
    let phone = digits(body["phone"].as_str().unwrap_or_default());
    anyhow::ensure!(!phone.is_empty(), "phone is missing");
    let old = world.users[user].clone();
    let mut system = json!({
        "type": "user_changed_number", "wa_id": phone,
        "body": format!("User {} changed from {} to {phone}", old.name, old.phone.clone().unwrap_or_default()),
    });
    if let Some(previous) = &old.user_id {
        system["previous_user_id"] = json!(previous);
    }
    let mut new = old.clone();
    new.phone = Some(phone);
    new.wa_id = None;
    if let Some(user_id) = body["user_id"].as_str() {
        system["user_id"] = json!(user_id);
        new.user_id = Some(user_id.to_owned());
    }
    for key in [&old.phone, &old.wa_id].into_iter().flatten() {
        // The name by which the admin calls this person stays.
        if *key != old.id {
            world.user_index.remove(key);
        }
    }
    world.put_user(new);
    let mut message = json!({ "type": "system", "system": system });
    if let Some(wa_id) = old.visible_wa_id() {
        message["from"] = json!(wa_id);
    }
    Ok(json!({ "id": put(world, user, number, message, false) }))
}
