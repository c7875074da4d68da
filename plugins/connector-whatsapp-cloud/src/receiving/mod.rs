//! Meta's webhooks. The engine has checked who calls: Meta by its signature, or whoever knows the connector's secret.
//!
//! One request may hold up to 1,000 updates of several numbers of an app. What belongs to this connector's number or account is taken, the
//! rest is another connector's and passed over. Everything is committed before the answer 200, in bounded batches; whatever is not answered
//! so, Meta repeats for days, so a single update that cannot be read or stored never fails the others. What comes twice is stored once: the
//! engine knows a message by its chat, sender and id, and a status by its rank.

mod content;
mod message;
mod news;
mod status;

use std::collections::BTreeMap;

use pombo_plugin::connector::events::{ContactUpdate, Event};
use pombo_plugin::connector::{ReceivedRequest, ReceivedResponse};
use pombo_plugin::log;
use serde_json::{Value, json};

use crate::address;
use crate::cloud::Cloud;
use crate::files::Job;
use crate::heard::Heard;
use crate::outside::{Outside, Trouble};
use crate::template::form;

/// Events of one commit; the engine takes 256.
const BATCH: usize = 200;
/// The longest JSON of an event that is stored as it came.
const RAW_BYTES: usize = 60 << 10;
/// The longest challenge of a verification.
const CHALLENGE_BYTES: usize = 1_024;

/// What one update tells.
#[derive(Debug, Default)]
struct Told {
    events: Vec<Event>,
    /// A file to fetch.
    job: Option<Job>,
    /// A conversation and the id of the message in it.
    heard: Option<(String, String)>,
    /// The addresses of one person.
    acquainted: Option<String>,
}

impl Told {
    fn event(event: Event) -> Self {
        Self { events: vec![event], ..Self::default() }
    }
}

/// Takes a webhook and answers it.
pub(crate) async fn receive(cloud: &Cloud<impl Outside>, request: ReceivedRequest) -> ReceivedResponse {
    match request.method.as_str() {
        "GET" => verified(&request),
        "POST" => posted(cloud, request.body).await,
        _ => ReceivedResponse::text(405, "webhooks are posted"),
    }
}

/// Meta's question, when the webhook is set up, whether the address is ours: answered by repeating the challenge.
fn verified(request: &ReceivedRequest) -> ReceivedResponse {
    let parameter = |name: &str| request.query.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    match (parameter("hub.mode"), parameter("hub.challenge")) {
        (Some("subscribe"), Some(challenge)) if challenge.len() <= CHALLENGE_BYTES => {
            ReceivedResponse::text(200, challenge)
        }
        _ => ReceivedResponse::text(400, "hub.mode=subscribe and hub.challenge are expected"),
    }
}

async fn posted(cloud: &Cloud<impl Outside>, body: Vec<u8>) -> ReceivedResponse {
    let Some(_room) = cloud.room.take(body.len()) else {
        return ReceivedResponse::text(503, "too many large webhooks are being worked on; post it again");
    };
    let Ok(value) = serde_json::from_slice::<Value>(&body) else {
        return ReceivedResponse::text(400, "the body is not JSON");
    };
    drop(body);
    let told = read(cloud, &value);
    drop(value);
    match commit(cloud, told).await {
        Ok(()) => ReceivedResponse::text(200, "ok"),
        Err(trouble) => {
            log::debug("webhooks", &format!("a webhook was not stored: {trouble}"));
            ReceivedResponse::text(503, "it was not stored; post it again")
        }
    }
}

/// What a webhook tells this connector, in its order.
fn read(cloud: &Cloud<impl Outside>, webhook: &Value) -> Vec<Told> {
    let mut all = Vec::new();
    if webhook["object"].as_str().is_some_and(|object| object != "whatsapp_business_account") {
        return all;
    }
    for entry in list(&webhook["entry"]) {
        for change in list(&entry["changes"]) {
            let (field, value) = (change["field"].as_str().unwrap_or_default(), &change["value"]);
            if is_ours(cloud, entry, value) {
                read_change(cloud, field, value, &mut all);
            }
        }
    }
    all
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Whether a change belongs to this connector: to its number, or else to its account.
fn is_ours(cloud: &Cloud<impl Outside>, entry: &Value, value: &Value) -> bool {
    if let Some(named) = form::id(&value["metadata"]["phone_number_id"]) {
        return named == cloud.config.phone;
    }
    if let (Some(shown), Some(own)) = (address::phone(&value["display_phone_number"]), cloud.account.number()) {
        return shown == own;
    }
    form::id(&entry["id"]).is_some_and(|account| account == cloud.config.waba)
}

fn read_change(cloud: &Cloud<impl Outside>, field: &str, value: &Value, all: &mut Vec<Told>) {
    let unreadable = |update: &Value| Told::event(raw("unreadable", &json!({"field": field, "update": update})));
    match field {
        "messages" => {
            all.extend(list(&value["contacts"]).filter_map(|contact| acquaintance(cloud, contact)));
            for update in list(&value["messages"]) {
                all.push(message::read(cloud, value, update).unwrap_or_else(|| unreadable(update)));
            }
            for update in list(&value["statuses"]) {
                all.push(status::read(cloud, update).map_or_else(|| unreadable(update), Told::event));
            }
            if value["errors"].is_array() {
                all.push(Told::event(raw("errors", &value["errors"])));
            }
        }
        // What somebody wrote on the phone, where the number is used there as well.
        "smb_message_echoes" => {
            for update in list(&value["message_echoes"]) {
                all.push(message::echo(cloud, update).unwrap_or_else(|| unreadable(update)));
            }
        }
        _ => all.extend(news::read(cloud, field, value).into_iter().map(Told::event)),
    }
}

/// Several addresses of one person, unless the engine was told of them: a number, Meta's id, and the id that linked portfolios share.
fn acquaintance(cloud: &Cloud<impl Outside>, contact: &Value) -> Option<Told> {
    let ids = [&contact["user_id"], &contact["parent_user_id"]].map(address::user);
    let mut all: Vec<String> = std::iter::once(address::phone(&contact["wa_id"])).chain(ids).flatten().collect();
    let key = all.join(" ");
    if all.len() < 2 || cloud.acquainted.get(&key).is_some() {
        return None;
    }
    let display_name = contact["profile"]["name"].as_str().map(str::to_owned);
    let update = ContactUpdate { address: all.remove(0), display_name, aliases: all };
    Some(Told { events: vec![Event::Contact(update)], acquainted: Some(key), ..Told::default() })
}

/// An event that is stored as it came, for whoever knows what to do with it.
fn raw(kind: &str, value: &Value) -> Event {
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let kind: String = kind.chars().map(|c| if sound(c) { c } else { '_' }).take(50).collect();
    let json = value.to_string();
    let json = if json.len() > RAW_BYTES { r#"{"tooLarge":true}"#.to_owned() } else { json };
    Event::Other((format!("meta.{kind}"), json))
}

/// Stores all of it, in batches. An error means that it is to be posted again.
async fn commit(cloud: &Cloud<impl Outside>, all: Vec<Told>) -> Result<(), Trouble> {
    let mut batch: Vec<Told> = Vec::new();
    let mut count = 0;
    for told in all {
        if count + told.events.len() > BATCH {
            store(cloud, std::mem::take(&mut batch)).await?;
            count = 0;
        }
        count += told.events.len();
        batch.push(told);
    }
    store(cloud, batch).await
}

async fn store(cloud: &Cloud<impl Outside>, batch: Vec<Told>) -> Result<(), Trouble> {
    if batch.is_empty() {
        return Ok(());
    }
    let events = batch.iter().flat_map(|told| told.events.iter().cloned()).collect();
    let mut changes = Vec::new();
    // Of several messages of a conversation, the last one counts.
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for told in &batch {
        changes.extend(told.job.as_ref().map(Job::note).transpose()?);
        last.extend(told.heard.as_ref().map(|(chat, id)| (chat.as_str(), id.as_str())));
    }
    let now = cloud.outside.now_millis();
    for (chat, id) in last {
        changes.push(Heard::change(chat, id, now)?);
    }
    match cloud.outside.commit(events, changes).await {
        Ok(()) => {
            for told in batch {
                settle(cloud, told);
            }
            Ok(())
        }
        Err(Trouble::Temporary(why)) => Err(Trouble::Temporary(why)),
        // One of them is what the engine does not take: the others it does.
        Err(Trouble::Final(_)) => {
            for told in batch {
                store_each(cloud, told).await?;
            }
            Ok(())
        }
    }
}

/// Stores the events of one update one by one, without those that the engine does not take.
async fn store_each(cloud: &Cloud<impl Outside>, told: Told) -> Result<(), Trouble> {
    let mut changes: Vec<_> = told.job.as_ref().map(Job::note).transpose()?.into_iter().collect();
    if let Some((chat, id)) = &told.heard {
        changes.push(Heard::change(chat, id, cloud.outside.now_millis())?);
    }
    for event in &told.events {
        match cloud.outside.commit(vec![event.clone()], changes.clone()).await {
            Ok(()) => changes.clear(),
            Err(Trouble::Temporary(why)) => return Err(Trouble::Temporary(why)),
            Err(Trouble::Final(why)) => {
                log::warn("webhooks", &format!("the engine does not take an update of Meta's: {why}"));
            }
        }
    }
    if changes.is_empty() {
        settle(cloud, told);
    }
    Ok(())
}

/// What is remembered once an update is stored.
fn settle(cloud: &Cloud<impl Outside>, told: Told) {
    if let Some(key) = told.acquainted {
        cloud.acquainted.note(key, ());
    }
    if let Some((chat, id)) = told.heard {
        cloud.heard.note(chat, id);
    }
    if let Some(job) = told.job {
        cloud.files.add(job);
    }
}

#[cfg(test)]
mod tests;
