//! Compares what the engine shows, the channel got and the webhook was told with the model.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::files::hmac_sha256;
use crate::http::{Client, query};
use crate::kills::model::{Chat, Model, Said};
use crate::pipe::Sent;
use crate::tenant::text_of;
use crate::webhook::Received;

/// Messages of all conversations, as their timelines show them.
#[derive(Default)]
pub(super) struct Entries {
    /// Of those that came, by the channel's id: the engine's id and the text.
    received: BTreeMap<String, Said>,
    /// Of those that were sent, by the engine's id: the text.
    sent: BTreeMap<String, String>,
}

/// Timelines, unread counts, last messages, tags, the archive, lists and counts.
pub(super) fn conversations(client: &Client, connector: &str, model: &Model) -> Result<Entries> {
    let listed = list(client, &[])?;
    let by_chat: BTreeMap<&str, &Value> = listed.iter().filter_map(|one| Some((one["chat"].as_str()?, one))).collect();
    ensure!(by_chat.len() == model.chats.len(), "{} conversations of {}", by_chat.len(), model.chats.len());
    let mut entries = Entries::default();
    for (number, chat) in model.chats.iter().enumerate() {
        let address = Chat::address(number);
        let shown = by_chat.get(address.as_str()).with_context(|| format!("there is no {address}"))?;
        one(client, chat, shown, &mut entries).with_context(|| format!("{address}, shown as {shown}"))?;
    }
    totals(client, connector, model)?;
    by_activity(client, model.chats.len())?;
    Ok(entries)
}

/// All conversations that a filter finds, page by page.
fn list(client: &Client, filter: &[(&str, &str)]) -> Result<Vec<Value>> {
    let mut all: Vec<Value> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut pairs = vec![("limit", "70")];
        pairs.extend(filter);
        pairs.extend(after.as_deref().map(|after| ("after", after)));
        let page = client.get(&query("/v1/conversations", &pairs))?.expect_json(200)?;
        all.extend(page["data"].as_array().context("no data")?.iter().cloned());
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            let total = page["total"].as_u64();
            ensure!(total == Some(all.len() as u64), "{filter:?}: {} rows of {total:?}", all.len());
            return Ok(all);
        }
    }
}

/// A timeline, oldest first, read backwards in pages.
fn timeline(client: &Client, id: &str) -> Result<Vec<Value>> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let before = all.first().map(|first| format!("&before={}", first["number"])).unwrap_or_default();
        let page = client.get(&format!("/v1/conversations/{id}/messages?limit=10{before}"))?.expect_json(200)?;
        let shown = page["data"].as_array().context("no data")?;
        drop(all.splice(0..0, shown.iter().cloned()));
        if page["hasOlder"] != true {
            return Ok(all);
        }
    }
}

fn one(client: &Client, chat: &Chat, shown: &Value, entries: &mut Entries) -> Result<()> {
    let id = text_of(shown, "id")?;
    ensure!(chat.id.as_ref().is_none_or(|known| *known == id), "its id is another: {:?}", chat.id);
    let items = timeline(client, &id)?;
    ensure!(items.is_sorted_by_key(|item| item["number"].as_u64()), "not in the order of its numbers: {items:?}");
    let said = |direction: &str, id: &str| -> Result<Vec<Said>> {
        let of = items.iter().filter(|item| item["direction"] == direction);
        of.map(|item| Ok((text_of(item, id)?, text_of(item, "text")?))).collect()
    };
    let (received, sent) = (said("in", "providerId")?, said("out", "id")?);
    ensure!(received == chat.received, "received: {received:?} instead of {:?}", chat.received);
    ensure!(sent == chat.sent, "sent: {sent:?} instead of {:?}", chat.sent);
    for item in &items {
        let (id, text) = (text_of(item, "id")?, text_of(item, "text")?);
        let known = if item["direction"] == "in" {
            entries.received.insert(text_of(item, "providerId")?, (id, text)).is_some()
        } else {
            ensure!(item["status"] == "SENT", "{item}");
            entries.sent.insert(id, text).is_some()
        };
        ensure!(!known, "in two places: {item}");
    }
    let (last, told) = (items.last().context("no messages")?, &shown["lastMessage"]);
    let is_last = told["number"] == last["number"]
        && told["at"] == last["at"]
        && told["direction"] == last["direction"]
        && told["preview"] == last["text"];
    ensure!(is_last, "its last message is {last}");
    ensure!(shown["unread"] == json!(chat.unread()), "unread: {} of {}", chat.unread(), chat.received.len());
    let tags = if chat.is_tagged { json!(["vip"]) } else { json!([]) };
    ensure!(shown["tags"] == tags, "its tags are {tags}");
    ensure!(shown["archivedAt"].is_string() == chat.is_archived, "archived: {}", chat.is_archived);
    let alone = client.get(&format!("/v1/conversations/{id}"))?.expect_json(200)?;
    for field in ["number", "unread", "lastMessage", "lastReceivedAt", "tags", "archivedAt"] {
        ensure!(alone[field] == shown[field], "{field} is another in the list: {alone}");
    }
    Ok(())
}

/// Filters with their exact totals, and the counts.
fn totals(client: &Client, connector: &str, model: &Model) -> Result<()> {
    let all = model.chats.len();
    let unread = |chat: &Chat| chat.unread() > 0;
    let first = list(client, &[("search", Chat::address(0).as_str())])?;
    let preview = text_of(&first.first().context("no conversation 0")?["lastMessage"], "preview")?;
    let some = Chat::address(17);
    let cases = vec![
        (vec![("unread", "true")], model.count(unread)),
        (vec![("unread", "false")], model.count(|chat| !unread(chat))),
        (vec![("archived", "true")], model.count(|chat| chat.is_archived)),
        (vec![("archived", "false")], model.count(|chat| !chat.is_archived)),
        (vec![("tag", "vip")], model.count(|chat| chat.is_tagged)),
        (vec![("tagged", "false")], model.count(|chat| !chat.is_tagged)),
        (vec![("connectorId", connector)], all),
        (vec![("isGroup", "true")], 0),
        (vec![("search", some.as_str())], 1),
        (vec![("search", preview.as_str())], 1),
        (
            vec![("archived", "false"), ("unread", "true"), ("tag", "vip")],
            model.count(|chat| !chat.is_archived && unread(chat) && chat.is_tagged),
        ),
    ];
    for (filter, expected) in cases {
        let found = list(client, &filter)?.len();
        ensure!(found == expected, "{filter:?}: {found} conversations instead of {expected}");
    }
    let counts = client.get("/v1/conversations/counts")?.expect_json(200)?;
    let open = model.count(|chat| !chat.is_archived);
    for (name, expected) in [
        ("open", open),
        ("archived", all - open),
        ("unread", model.count(|chat| !chat.is_archived && unread(chat))),
        ("unassigned", open),
    ] {
        ensure!(counts[name] == json!(expected), "{name}: {expected} expected in {counts}");
    }
    let tagged = model.count(|chat| !chat.is_archived && chat.is_tagged);
    ensure!(counts["byTag"]["vip"] == json!(tagged), "{tagged} with the tag expected in {counts}");
    ensure!(counts["byConnector"][connector] == json!(open), "{open} on the connector expected in {counts}");
    Ok(())
}

/// The list by last activity has each conversation once, in order.
fn by_activity(client: &Client, count: usize) -> Result<()> {
    let mut all: Vec<Value> = Vec::new();
    while all.len() < count {
        let path = format!("/v1/conversations?order=-lastActivity&limit=70&offset={}", all.len());
        let page = client.get(&path)?.expect_json(200)?;
        let rows = page["data"].as_array().context("no data")?;
        ensure!(!rows.is_empty(), "the list ends after {} conversations", all.len());
        all.extend(rows.iter().cloned());
    }
    let ids: BTreeSet<&str> = all.iter().filter_map(|one| one["id"].as_str()).collect();
    ensure!((ids.len(), all.len()) == (count, count), "{} ids in {} rows", ids.len(), all.len());
    let at = |one: &Value| one["lastMessage"]["at"].as_str().map(str::to_owned);
    ensure!(all.is_sorted_by(|one, two| at(one) >= at(two)), "not in the order of the last message");
    Ok(())
}

/// What reached the channel: each message under one id, to whom it was for.
pub(super) fn channel(arrived: &[Sent], model: &Model) -> Result<()> {
    let mut expected: BTreeSet<(String, &str)> = BTreeSet::new();
    for (number, chat) in model.chats.iter().enumerate() {
        expected.extend(chat.sent.iter().map(|(_, text)| (Chat::address(number), text.as_str())));
    }
    let found: BTreeSet<(String, &str)> = arrived.iter().map(|sent| (sent.to.clone(), sent.text.as_str())).collect();
    ensure!(
        found.len() == arrived.len(),
        "{} of {} were sent under two ids",
        arrived.len() - found.len(),
        arrived.len()
    );
    ensure!(found == expected, "the channel got {} messages, {} were sent", found.len(), expected.len());
    Ok(())
}

/// The log has one event for each message.
pub(super) fn events(client: &Client, entries: &Entries) -> Result<()> {
    let (mut ids, mut received, mut sent) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut after = 0;
    loop {
        let path = format!("/v1/events?after={after}&limit=250&type=message.received,message.sent");
        let page = client.get(&path)?.expect_json(200)?;
        let rows = page["data"].as_array().context("no data")?;
        for event in rows {
            ensure!(ids.insert(text_of(event, "id")?), "an id that was there before: {event}");
            let is_new = match event["type"].as_str() {
                Some("message.received") => received.insert(text_of(&event["data"], "providerId")?),
                _ => sent.insert(text_of(&event["data"], "messageId")?),
            };
            ensure!(is_new, "a second event of a message: {event}");
        }
        if rows.is_empty() {
            break;
        }
        after = page["next"].as_u64().context("no next")?;
    }
    ensure!(received.iter().eq(entries.received.keys()), "{} events of received messages", received.len());
    ensure!(sent.iter().eq(entries.sent.keys()), "{} events of sent messages", sent.len());
    Ok(())
}

/// The search finds each message once, in as many requests as it takes, and each conversation by its address.
pub(super) fn search(client: &Client, entries: &Entries) -> Result<()> {
    let received: BTreeSet<&str> = entries.received.values().map(|(id, _)| id.as_str()).collect();
    let sent: BTreeSet<&str> = entries.sent.keys().map(String::as_str).collect();
    for (words, expected) in [("TUDO bem?", received), ("ate ja", sent)] {
        let mut found: BTreeSet<String> = BTreeSet::new();
        let mut after: Option<String> = None;
        loop {
            let mut pairs = vec![("q", words), ("in", "messages"), ("limit", "100")];
            pairs.extend(after.as_deref().map(|after| ("after", after)));
            let page = client.get(&query("/v1/search", &pairs))?.expect_json(200)?;
            let messages = &page["messages"];
            for hit in messages["data"].as_array().context("no data")? {
                ensure!(found.insert(text_of(hit, "id")?), "found twice: {hit}");
            }
            if messages["complete"] == true {
                break;
            }
            after = Some(messages["after"].as_u64().context("no after")?.to_string());
        }
        let is_equal = found.iter().map(String::as_str).eq(expected.iter().copied());
        ensure!(is_equal, "{words}: {} messages were found of {}", found.len(), expected.len());
    }
    let address = Chat::address(17);
    let asked = query("/v1/search", &[("q", address.as_str()), ("in", "conversations")]);
    let page = client.get(&asked)?.expect_json(200)?;
    let found = &page["conversations"];
    ensure!(found["total"] == 1 && found["data"][0]["chat"] == address.as_str(), "{address}: {found}");
    Ok(())
}

/// What the webhook was told: each message at least once, under one id, and nothing else.
pub(super) fn posts(posts: &[Received], secret: &str, entries: &Entries) -> Result<()> {
    let (mut received, mut sent, mut steps) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for post in posts {
        let signature = hmac_sha256(secret.as_bytes(), &post.body)?;
        ensure!(post.header("x-webhook-signature") == signature, "a post with a wrong signature: {post:?}");
        let body = post.json();
        let (data, id) = (&body["data"], text_of(&body["data"], "message_id")?);
        let is_right = match body["event"].as_str() {
            Some("message.received") => {
                let known = text_of(data, "whatsapp_message_id")?;
                let entry = entries.received.get(&known);
                received.insert(known);
                entry.is_some_and(|(entry, text)| *entry == id && data["content"] == text.as_str())
            }
            Some("message.sent") => {
                sent.insert(id.clone());
                entries.sent.get(&id).is_some_and(|text| data["content"] == text.as_str())
            }
            Some("message.status") => {
                steps.insert(id.clone());
                entries.sent.contains_key(&id) && data["new_status"] == "sent"
            }
            _ => false,
        };
        ensure!(is_right, "a post that says something else: {body}");
    }
    ensure!(received.iter().eq(entries.received.keys()), "{} received messages were told", received.len());
    ensure!(sent.iter().eq(entries.sent.keys()), "{} sent messages were told", sent.len());
    ensure!(steps.iter().eq(entries.sent.keys()), "{} steps were told", steps.len());
    Ok(())
}

/// The deliveries in a state, newest event first.
pub(super) fn deliveries(client: &Client, connector: &str, status: &str) -> Result<Vec<Value>> {
    let mut all: Vec<Value> = Vec::new();
    let mut before = String::new();
    loop {
        let path = format!("/v1/connectors/{connector}/webhook/deliveries?status={status}&limit=250{before}");
        let page = client.get(&path)?.expect_json(200)?;
        all.extend(page["data"].as_array().context("no data")?.iter().cloned());
        match page["next"].as_u64() {
            Some(next) => before = format!("&before={next}"),
            None => return Ok(all),
        }
    }
}

/// Each change has one delivery: of each sort as many as there are messages.
pub(super) fn one_of_each(deliveries: &[Value], each_way: usize) -> Result<()> {
    let mut seen: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for delivery in deliveries {
        let cursor = delivery["cursor"].as_u64().context("no cursor")?;
        let is_new = seen.entry(text_of(delivery, "event")?).or_default().insert(cursor);
        ensure!(is_new, "a second delivery of an event: {delivery}");
    }
    for event in ["message.received", "message.sent", "message.status"] {
        let found = seen.get(event).map_or(0, BTreeSet::len);
        ensure!(found == each_way, "{event}: {found} deliveries of {each_way}");
    }
    Ok(())
}
