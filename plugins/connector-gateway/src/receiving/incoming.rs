//! `incoming`: a message, from whoever wrote it, also from another device of the account.

use pombo_plugin::connector::events::{ContactUpdate, Event, Inbound, InboundContent};
use serde_json::Value;

use super::body::{Object, taken};
use super::content::{self, Body, Said, Source};
use super::{Refusal, attachment, echo};
use crate::address::{self, Who};
use crate::files::Job;
use crate::gateway::Gateway;
use crate::outside::Outside;

/// Who wrote, and where.
struct Place {
    chat: String,
    sender: String,
    is_group: bool,
    from_me: bool,
    /// The number and the hidden number of the one who is named by both.
    both: Option<(String, String)>,
}

/// What a webhook tells.
struct Told {
    id: String,
    place: Place,
    name: Option<String>,
    at: u64,
    said: Said,
}

pub(super) async fn take(gateway: &Gateway<impl Outside>, mut body: Value) -> Result<(), Refusal> {
    let Some(told) = read(gateway, &Object::root(&body)?)? else { return Ok(()) };
    let Told { id, place, name, at, said } = told;
    if place.from_me && echo::is_one(gateway, &place.chat, &id, said.body.look()).await? {
        return Ok(());
    }
    let mut job = None;
    let content = match said.body {
        Body::Text(text) => InboundContent::Text(text),
        Body::File(file) => {
            let text = match &file.source {
                Source::Base64(path) => taken(&mut body, path),
                _ => None,
            };
            // Nothing else of it is needed while the file is being stored.
            drop(body);
            let (attachment, fetch) = attachment::of(gateway, &place.chat, &id, file, text).await?;
            job = fetch;
            InboundContent::Attachment(attachment)
        }
        Body::Location(location) => InboundContent::Location(location),
        Body::Reaction(reaction) => InboundContent::Reaction(reaction),
        Body::Edit(edit) => InboundContent::Edit(edit),
        Body::Revoke(of) => InboundContent::Revoke(of),
        Body::Other(kind, json) => InboundContent::Other((kind.to_owned(), json)),
    };
    let message = Inbound {
        provider_id: id,
        chat: place.chat,
        sender: place.sender,
        sender_name: name.filter(|_| !place.from_me),
        from_me: place.from_me,
        is_group: place.is_group,
        reply_to: said.reply_to,
        mentions: said.mentions.iter().filter_map(|jid| address::person(jid, None)).collect(),
        at_millis: at,
        content,
    };
    let news = place.both.map(|(number, lid)| (format!("{number} {lid}"), number, lid));
    let news = news.filter(|(key, ..)| gateway.acquainted.get(key).is_none());
    let contact = news
        .clone()
        .map(|(_, address, lid)| Event::Contact(ContactUpdate { address, display_name: None, aliases: vec![lid] }));
    let note = job.as_ref().map(Job::note).transpose()?;
    // The contact first: then the message is its.
    let events = contact.into_iter().chain([Event::Message(message)]).collect();
    gateway.outside.commit(events, note.into_iter().collect()).await?;
    if let Some((key, ..)) = news {
        gateway.acquainted.note(key, ());
    }
    if let Some(job) = job {
        gateway.files.add(job);
    }
    Ok(())
}

/// Reads a webhook; `None` for what is not a message.
fn read(gateway: &Gateway<impl Outside>, body: &Object<'_>) -> Result<Option<Told>, Refusal> {
    let key = body.must_object("key")?;
    let id = key.must_id("id")?.to_owned();
    let Some(place) = place(gateway, body, &key)? else { return Ok(None) };
    let at = body.instant("messageTimestamp")?.unwrap_or_else(|| gateway.outside.now_millis());
    let Some(message) = body.object("message")? else {
        // What could not be decrypted, and the system's notices.
        if body.get("messageStubType").is_some() {
            return Ok(None);
        }
        return Err(body.problem("message", "is missing").into());
    };
    let name = body.any_text(&["pushName"]).map(str::to_owned);
    Ok(content::read(&message, body)?.map(|said| Told { id, place, name, at, said }))
}

/// `None` for what is not a conversation.
fn place(gateway: &Gateway<impl Outside>, body: &Object<'_>, key: &Object<'_>) -> Result<Option<Place>, Refusal> {
    let (holder, remote) = match key.filled("remoteJid")? {
        Some(remote) => (key, remote),
        None => (body, body.filled("remoteJid")?.ok_or_else(|| key.problem("remoteJid", "is missing"))?),
    };
    let not_one = || holder.problem("remoteJid", "must be a JID, e.g. 5511999999999@s.whatsapp.net");
    let who = address::who(remote).ok_or_else(not_one)?;
    if who == Who::Elsewhere {
        return Ok(None);
    }
    let from_me = key.flag("fromMe")?;
    let own = if from_me { Some(echo::account(gateway)?) } else { None };
    let other = |names: &[&str]| key.any_text(names).or_else(|| body.any_text(names));
    if let Who::Group(chat) = who {
        let (writer, alternative) = (other(&["participant"]), other(&["participantAlt", "participantPn"]));
        let both = writer.zip(alternative).filter(|_| !from_me);
        let both = both.and_then(|(writer, other)| address::pair(writer, other));
        let writer = writer.and_then(|jid| address::person(jid, alternative));
        let missing = || body.problem("participant", "must be the JID of who wrote in the group");
        let sender = own.or(writer).ok_or_else(missing)?;
        return Ok(Some(Place { chat, sender, is_group: true, from_me, both }));
    }
    // Of an own message, the sender's number would be the account's.
    let alternative = other(&["remoteJidAlt"]).or_else(|| other(&["senderPn"]).filter(|_| !from_me));
    let both = alternative.and_then(|other| address::pair(remote, other));
    let chat = address::person(remote, alternative).ok_or_else(not_one)?;
    let sender = own.unwrap_or_else(|| chat.clone());
    Ok(Some(Place { chat, sender, is_group: false, from_me, both }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiving::bench::{connected, gateway, own, post, webhook};
    use serde_json::json;

    #[test]
    fn the_documented_text_is_a_message() {
        let (world, gateway) = gateway();
        assert_eq!(post(&gateway, "incoming", &webhook(json!({"conversation": "Hello, how are you?"}))).0, 200);
        let message = world.messages().remove(0);
        assert_eq!((message.chat.as_str(), message.sender.as_str()), ("5511999999999", "5511999999999"));
        assert_eq!((message.provider_id.as_str(), message.at_millis), ("3EB0ABC123456789", 1_705_312_200_000));
        assert_eq!(message.sender_name.as_deref(), Some("John Doe"));
        assert_eq!(message.content, InboundContent::Text("Hello, how are you?".to_owned()));
        assert!(!message.from_me && !message.is_group);
    }

    #[test]
    fn a_group_names_who_wrote() {
        let (world, gateway) = gateway();
        let mut body = webhook(json!({"conversation": "oi"}));
        body["key"]["remoteJid"] = json!("120363021033254949@g.us");
        body["isGroup"] = json!(true);
        let (status, answer) = post(&gateway, "incoming", &body);
        assert_eq!((status, answer["error"]["details"].get("participant").is_some()), (400, true), "{answer}");
        body["participant"] = json!("77@lid");
        body["key"]["participantAlt"] = json!("5511888888888@s.whatsapp.net");
        assert_eq!(post(&gateway, "incoming", &body).0, 200);
        let message = world.messages().remove(0);
        assert_eq!((message.chat.as_str(), message.sender.as_str()), ("120363021033254949@g.us", "5511888888888"));
        assert!(message.is_group);
    }

    #[test]
    fn an_own_message_is_from_the_account_once_that_is_known() {
        let (world, gateway) = gateway();
        let (status, answer) = post(&gateway, "incoming", &own("PHONE"));
        assert_eq!(status, 503);
        assert!(
            answer["error"]["message"].as_str().is_some_and(|why| why.contains("post connection first")),
            "{answer}"
        );
        let mut story = own("STORY");
        story["key"]["remoteJid"] = json!("status@broadcast");
        assert_eq!(post(&gateway, "incoming", &story).0, 200);
        connected(&world, &gateway);
        assert_eq!(post(&gateway, "incoming", &own("PHONE")).0, 200);
        let message = world.messages().remove(0);
        assert_eq!((message.chat.as_str(), message.sender.as_str()), ("5511999999999", "5511900000000"));
        assert!(message.from_me && message.sender_name.is_none());
    }

    #[test]
    fn a_person_who_is_named_twice_is_told_as_one() {
        let (world, gateway) = gateway();
        let contacts = || {
            let contact = |event: &Event| match event {
                Event::Contact(contact) => Some((contact.address.clone(), contact.aliases.clone())),
                _ => None,
            };
            world.told.borrow().iter().filter_map(contact).collect::<Vec<_>>()
        };
        let ana = ("5511999999999".to_owned(), vec!["77@lid".to_owned()]);
        let mut body = webhook(json!({"conversation": "oi"}));
        body["key"]["remoteJid"] = json!("77@lid");
        body["key"]["remoteJidAlt"] = json!("5511999999999@s.whatsapp.net");
        world.failing.set(1);
        assert_eq!(post(&gateway, "incoming", &body).0, 503);
        for _ in 0..2 {
            assert_eq!(post(&gateway, "incoming", &body).0, 200);
        }
        assert_eq!(contacts(), [ana]);
        assert_eq!(world.messages()[0].chat, "5511999999999");
        // The account's own number is not that of whom it writes to.
        connected(&world, &gateway);
        let mut body = own("PHONE");
        body["key"]["remoteJid"] = json!("88@lid");
        body["key"]["senderPn"] = json!("5511900000000@s.whatsapp.net");
        assert_eq!(post(&gateway, "incoming", &body).0, 200);
        assert_eq!((contacts().len(), world.messages()[2].chat.as_str()), (1, "88@lid"));
    }

    #[test]
    fn stories_and_notices_are_passed_over() {
        let (world, gateway) = gateway();
        let mut story = webhook(json!({"conversation": "x"}));
        story["key"]["remoteJid"] = json!("status@broadcast");
        let mut notice = webhook(Value::Null);
        notice["messageStubType"] = json!("CIPHERTEXT");
        for body in [story, notice, webhook(json!({"senderKeyDistributionMessage": {}}))] {
            assert_eq!(post(&gateway, "incoming", &body), (200, json!({"success": true})));
        }
        assert!(world.messages().is_empty());
        assert_eq!(post(&gateway, "incoming", &webhook(Value::Null)).0, 400);
    }
}
