//! A received message: who wrote it and where, and the events that tell it.

use pombo_plugin::connector::events::{
    Attachment, ContactUpdate, Event, Inbound, InboundContent, MediaKind, MediaState,
};
use serde_json::{Value, json};

use super::content::{self, Body, File};
use super::{Told, raw};
use crate::cloud::Cloud;
use crate::files::Job;
use crate::outside::Outside;
use crate::{address, instant};

/// Where a message belongs.
struct Place {
    chat: String,
    sender: String,
    sender_name: Option<String>,
    from_me: bool,
    is_group: bool,
}

/// Reads a message of `value`; `None` if it cannot be read.
pub(super) fn read(cloud: &Cloud<impl Outside>, value: &Value, message: &Value) -> Option<Told> {
    if message["type"] == "system" {
        return Some(system(message));
    }
    let contact = contact_of(value, message);
    let phone = address::phone(&message["from"]).or_else(|| address::phone(&contact?["wa_id"]));
    let user = address::user(&message["from_user_id"])
        .or_else(|| address::user(&message["from"]))
        .or_else(|| address::user(&contact?["user_id"]));
    let parent = address::user(&message["from_parent_user_id"]).or_else(|| address::user(&contact?["parent_user_id"]));
    let mut addresses: Vec<String> = [phone, user, parent].into_iter().flatten().collect();
    let sender = addresses.first()?.clone();
    let group = message["group_id"].as_str().map(str::trim).filter(|group| (1..=200).contains(&group.len()));
    let place = Place {
        chat: group.map_or_else(|| sender.clone(), str::to_owned),
        sender,
        sender_name: contact.and_then(|contact| contact["profile"]["name"].as_str()).map(str::to_owned),
        from_me: false,
        is_group: group.is_some(),
    };
    let mut told = tell(cloud, message, place)?;
    // Where Meta sends no contact with the message, the message itself may name several addresses. They are told first, so that the
    // message is the right person's.
    let key = addresses.join(" ");
    if contact.is_none() && addresses.len() > 1 && cloud.acquainted.get(&key).is_none() {
        let update = ContactUpdate { address: addresses.remove(0), display_name: None, aliases: addresses };
        told.events.insert(0, Event::Contact(update));
        told.acquainted = Some(key);
    }
    Some(told)
}

/// Reads a message that somebody of the business wrote on the phone.
pub(super) fn echo(cloud: &Cloud<impl Outside>, message: &Value) -> Option<Told> {
    let chat = address::phone(&message["to"])
        .or_else(|| address::user(&message["to_user_id"]))
        .or_else(|| address::user(&message["to_parent_user_id"]))?;
    let sender = address::phone(&message["from"]).or_else(|| cloud.account.number())?;
    tell(cloud, message, Place { chat, sender, sender_name: None, from_me: true, is_group: false })
}

/// The contact beside a message who wrote it.
fn contact_of<'v>(value: &'v Value, message: &Value) -> Option<&'v Value> {
    let same = |contact: &Value, theirs: &str, own: &str| !message[own].is_null() && contact[theirs] == message[own];
    let mut contacts = super::list(&value["contacts"]);
    contacts.find(|contact| {
        same(contact, "wa_id", "from")
            || same(contact, "user_id", "from_user_id")
            || same(contact, "parent_user_id", "from_parent_user_id")
    })
}

fn tell(cloud: &Cloud<impl Outside>, message: &Value, place: Place) -> Option<Told> {
    let id = content::id(&message["id"])?;
    let at_millis = instant::of_seconds(&message["timestamp"]).unwrap_or_else(|| cloud.outside.now_millis());
    let body = content::read(message)?;
    let mut job = None;
    let content = match body {
        Body::Text(text) => InboundContent::Text(text),
        Body::File(file) => {
            let (attachment, fetch) = attachment(cloud, &place.chat, &id, file);
            job = fetch;
            InboundContent::Attachment(attachment)
        }
        Body::Location(location) => InboundContent::Location(location),
        Body::Reaction(reaction) => InboundContent::Reaction(reaction),
        Body::Edit(edit) => InboundContent::Edit(edit),
        Body::Revoke(of) => InboundContent::Revoke(of),
        Body::Other(kind, json) => InboundContent::Other((kind.to_owned(), json)),
    };
    let heard = (!place.from_me && !place.is_group).then(|| (place.chat.clone(), id.clone()));
    let mut events = Vec::with_capacity(2);
    let further = content::context(message).map(|mut further| {
        further["chat"] = json!(place.chat);
        further["providerId"] = json!(id);
        raw("message-context", &further)
    });
    events.push(Event::Message(Inbound {
        provider_id: id,
        chat: place.chat,
        sender: place.sender,
        sender_name: place.sender_name,
        from_me: place.from_me,
        is_group: place.is_group,
        reply_to: content::id(&message["context"]["id"]),
        mentions: Vec::new(),
        at_millis,
        content,
    }));
    events.extend(further);
    Some(Told { events, job, heard, acquainted: None })
}

/// The file of a message, and what is to be fetched for it.
fn attachment(cloud: &Cloud<impl Outside>, chat: &str, id: &str, file: File) -> (Attachment, Option<Job>) {
    let File { kind, id: meta, content_type, filename, sha256, caption } = file;
    let (media, job) = match meta {
        Ok(meta) => {
            let stored_as =
                filename.clone().unwrap_or_else(|| format!("{}.{}", word(kind), extension(&content_type, kind)));
            let job = Job {
                chat: chat.to_owned(),
                id: id.to_owned(),
                file: meta,
                sha256,
                filename: stored_as,
                content_type: content_type.clone(),
                since: cloud.outside.now_millis(),
                failures: 0,
                due: 0,
            };
            // The same webhook again: the message is stored already, and this state of its file is not.
            let known = cloud.files.knows(&job);
            (MediaState::Pending, (!known).then_some(job))
        }
        Err(why) => (MediaState::Failed(why), None),
    };
    (Attachment { kind, media, filename, content_type, size: None, caption }, job)
}

/// A person has another number, or another id of Meta's; whatever else the system tells is stored as it came.
fn system(message: &Value) -> Told {
    let news = &message["system"];
    let kind = news["type"].as_str().unwrap_or_default();
    if !kind.starts_with("user_changed_") {
        return Told::event(raw("system", message));
    }
    let (number, id) = (address::phone, address::user);
    let now = [number(&news["wa_id"]), id(&news["user_id"]), id(&news["parent_user_id"])];
    let before = [
        number(&message["from"]),
        id(&message["from_user_id"]),
        id(&message["from_parent_user_id"]),
        id(&news["previous_user_id"]),
        id(&news["previous_parent_user_id"]),
        number(&news["previous_wa_id"]),
    ];
    let mut all: Vec<String> = Vec::new();
    for address in now.into_iter().chain(before).flatten() {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    let mut all = all.into_iter();
    match all.next() {
        Some(address) if all.len() > 0 => {
            let update = ContactUpdate { address, display_name: None, aliases: all.collect() };
            Told { events: vec![Event::Contact(update), raw("system", message)], ..Told::default() }
        }
        _ => Told::event(raw("system", message)),
    }
}

fn word(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
        MediaKind::Voice => "voice",
        MediaKind::Document => "document",
        MediaKind::Sticker => "sticker",
    }
}

/// The usual ending of files of this type.
fn extension(content_type: &str, kind: MediaKind) -> &'static str {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "image/jpeg" | "image/jpg" => "jpg",
        "image/png" => "png",
        "image/webp" => "webp",
        "video/mp4" => "mp4",
        "video/3gpp" => "3gp",
        "audio/ogg" | "audio/opus" => "ogg",
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "audio/aac" => "aac",
        "audio/amr" => "amr",
        "application/pdf" => "pdf",
        "text/plain" => "txt",
        _ => match kind {
            MediaKind::Image => "jpg",
            MediaKind::Video => "mp4",
            MediaKind::Audio | MediaKind::Voice => "ogg",
            MediaKind::Sticker => "webp",
            MediaKind::Document => "bin",
        },
    }
}
