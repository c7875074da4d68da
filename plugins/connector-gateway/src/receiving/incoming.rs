//! `incoming`: a message, from whoever wrote it, also from another device of the account.
//!
//! Gateways tell their own sends too. Such an echo is a message that the engine has: it is passed over. Its id is known only once the
//! gateway has answered, so an own message waits for the sends that were under way when it came.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use pombo_plugin::connector::events::{Attachment, Event, Inbound, InboundContent, MediaKind, MediaState};

use super::Refusal;
use super::body::Object;
use super::content::{self, Body, File, Source};
use crate::address::{self, Who};
use crate::files::{self, Job};
use crate::gateway::Gateway;
use crate::outside::{Outside, Trouble};

/// How long an own message waits for the sends that were under way.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(50);

/// Who wrote, and where.
struct Place {
    chat: String,
    sender: String,
    is_group: bool,
    from_me: bool,
}

pub(super) async fn take(gateway: &Gateway<impl Outside>, body: &Object<'_>) -> Result<(), Refusal> {
    let key = body.must_object("key")?;
    let id = key.must_id("id")?;
    let Some(place) = place(gateway, body, &key)? else { return Ok(()) };
    let at = body.instant("messageTimestamp")?.unwrap_or_else(|| gateway.outside.now_millis());
    let Some(message) = body.object("message")? else {
        // What could not be decrypted, and the system's notices.
        if body.get("messageStubType").is_some() {
            return Ok(());
        }
        return Err(body.problem("message", "is missing").into());
    };
    let Some(said) = content::read(&message, body)? else { return Ok(()) };
    if place.from_me && is_echo(gateway, id).await? {
        return Ok(());
    }
    let mut job = None;
    let content = match said.body {
        Body::Text(text) => InboundContent::Text(text),
        Body::File(file) => {
            let (attachment, fetch) = attachment(gateway, &place.chat, id, file).await?;
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
        provider_id: id.to_owned(),
        chat: place.chat,
        sender: place.sender,
        sender_name: body.any_text(&["pushName"]).filter(|_| !place.from_me).map(str::to_owned),
        from_me: place.from_me,
        is_group: place.is_group,
        reply_to: said.reply_to,
        mentions: said.mentions.iter().filter_map(|jid| address::person(jid, None)).collect(),
        at_millis: at,
        content,
    };
    let note = job.as_ref().map(Job::note).transpose()?;
    gateway.outside.commit(vec![Event::Message(message)], note.into_iter().collect()).await?;
    if let Some(job) = job {
        gateway.files.add(job);
    }
    Ok(())
}

/// `None` for what is not a conversation.
fn place(gateway: &Gateway<impl Outside>, body: &Object<'_>, key: &Object<'_>) -> Result<Option<Place>, Refusal> {
    let (holder, remote) = match key.filled("remoteJid")? {
        Some(remote) => (key, remote),
        None => (body, body.filled("remoteJid")?.ok_or_else(|| key.problem("remoteJid", "is missing"))?),
    };
    let not_one = || holder.problem("remoteJid", "must be a JID, e.g. 5511999999999@s.whatsapp.net");
    let from_me = key.flag("fromMe")?;
    let own = || gateway.states.account().map(|account| account.address);
    let other = |names: &[&str]| key.any_text(names).or_else(|| body.any_text(names));
    match address::who(remote).ok_or_else(not_one)? {
        Who::Elsewhere => Ok(None),
        Who::Person(_) => {
            let chat = address::person(remote, other(&["remoteJidAlt", "senderPn"])).ok_or_else(not_one)?;
            let sender = own().filter(|_| from_me).unwrap_or_else(|| chat.clone());
            Ok(Some(Place { chat, sender, is_group: false, from_me }))
        }
        Who::Group(chat) => {
            let alternative = other(&["participantAlt", "participantPn"]);
            let writer = other(&["participant"]).and_then(|jid| address::person(jid, alternative));
            let sender = match own().filter(|_| from_me).or(writer) {
                Some(sender) => sender,
                None if from_me => chat.clone(),
                None => return Err(body.problem("participant", "must be the JID of who wrote in the group").into()),
            };
            Ok(Some(Place { chat, sender, is_group: true, from_me }))
        }
    }
}

/// Whether an own message is one that this connector sent.
async fn is_echo(gateway: &Gateway<impl Outside>, id: &str) -> Result<bool, Refusal> {
    let (ledger, outside) = (&gateway.ledger, &gateway.outside);
    if ledger.client_of(outside, id).await?.is_some() {
        return Ok(true);
    }
    let came = gateway.flights.next();
    let mut waited = Duration::ZERO;
    while !gateway.flights.ended_before(came) {
        if waited >= PATIENCE {
            let why = "the message may be one that is being sent; post it again";
            return Err(Refusal::Later(why.to_owned()));
        }
        outside.sleep(LOOK).await;
        waited += LOOK;
    }
    Ok(waited > Duration::ZERO && ledger.client_of(outside, id).await?.is_some())
}

/// The file of a message, and what is to be fetched.
async fn attachment(
    gateway: &Gateway<impl Outside>,
    chat: &str,
    id: &str,
    file: File,
) -> Result<(Attachment, Option<Job>), Refusal> {
    let File { kind, content_type, filename, size, caption, source } = file;
    let stored_as =
        filename.clone().unwrap_or_else(|| format!("{}.{}", word(kind), files::extension(&content_type, kind)));
    let (media, job) = match source {
        Source::Base64(text) => match decoded(&text) {
            None => (failed("the webhook's base64 is malformed"), None),
            Some(bytes) => match gateway.outside.store(stored_as, content_type.clone(), bytes).await {
                Ok(stored) => (MediaState::Ready(stored), None),
                Err(Trouble::Final(why)) => (MediaState::Failed(why), None),
                Err(trouble) => return Err(trouble.into()),
            },
        },
        Source::Link(url) => {
            let (chat, id) = (chat.to_owned(), id.to_owned());
            let job = Job { chat, id, url, filename: stored_as, content_type: content_type.clone() };
            if gateway.files.knows(&job) {
                // The same webhook again: the message is stored already, and this state of its file is not.
                (MediaState::Pending, None)
            } else if gateway.files.have_room() {
                (MediaState::Pending, Some(job))
            } else {
                (failed("too many files wait to be fetched"), None)
            }
        }
        Source::Nowhere => (failed("the gateway passes on neither the file nor a link to it"), None),
    };
    Ok((Attachment { kind, media, filename, content_type, size, caption }, job))
}

fn failed(why: &str) -> MediaState {
    MediaState::Failed(why.to_owned())
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

/// The bytes of a text in base64, also as a data URL, with or without padding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let text = match text.strip_prefix("data:") {
        Some(url) => url.split_once(";base64,")?.1,
        None => text,
    };
    let text: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(&text).or_else(|_| STANDARD_NO_PAD.decode(&text)).ok().filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::world::{World, ready};
    use crate::receiving::bench::{CLIENT, gateway, post};
    use crate::states::{Session, account};
    use serde_json::{Value, json};

    fn webhook(message: Value) -> Value {
        json!({
            "remoteJid": "5511999999999@s.whatsapp.net", "message": message, "messageTimestamp": 1705312200,
            "pushName": "John Doe", "participant": null, "isGroup": false,
            "key": {"remoteJid": "5511999999999@s.whatsapp.net", "fromMe": false, "id": "3EB0ABC123456789"},
        })
    }

    fn own(id: &str) -> Value {
        let mut body = webhook(json!({"conversation": "oi"}));
        body["key"]["fromMe"] = json!(true);
        body["key"]["id"] = json!(id);
        body
    }

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
    fn an_own_message_is_from_the_account_and_an_echo_is_passed_over() {
        let (world, gateway) = gateway();
        let shop = account("5511900000000", None);
        ready(gateway.states.set(&world, Session::Connected, shop)).expect("kept");
        ready(gateway.ledger.sent(&world, "SENT", CLIENT, Vec::new())).expect("kept");
        assert_eq!(post(&gateway, "incoming", &own("SENT")).0, 200);
        assert!(world.messages().is_empty());
        assert_eq!(post(&gateway, "incoming", &own("PHONE")).0, 200);
        let message = world.messages().remove(0);
        assert_eq!((message.chat.as_str(), message.sender.as_str()), ("5511999999999", "5511900000000"));
        assert!(message.from_me && message.sender_name.is_none());
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

    fn media(world: &World) -> MediaState {
        let message = world.messages().pop().expect("a message");
        let InboundContent::Attachment(attachment) = message.content else { panic!("a file") };
        attachment.media
    }

    #[test]
    fn a_link_is_fetched_later_and_once() {
        let (world, gateway) = gateway();
        let mut body = webhook(json!({"imageMessage": {"mimetype": "image/png", "caption": "veja"}}));
        body["mediaUrl"] = json!("https://g.example/media/1");
        assert_eq!(post(&gateway, "incoming", &body).0, 200);
        assert_eq!(media(&world), MediaState::Pending);
        assert_eq!(world.keys("file/"), ["file/5511999999999/3EB0ABC123456789"]);
        ready(world.batch(vec![crate::outside::delete("file/5511999999999/3EB0ABC123456789")])).expect("done");
        assert_eq!(post(&gateway, "incoming", &body).0, 200);
        assert!(world.keys("file/").is_empty(), "the second one is not fetched");
    }

    #[test]
    fn base64_is_stored_at_once() {
        let (world, gateway) = gateway();
        let mut body = webhook(json!({"documentMessage": {"fileName": "a.pdf", "mimetype": "application/pdf"}}));
        body["base64"] = json!("data:application/pdf;base64,JVBERg==");
        assert_eq!(post(&gateway, "incoming", &body).0, 200);
        let MediaState::Ready(stored) = media(&world) else { panic!("stored") };
        assert_eq!((stored.filename.as_str(), stored.size), ("a.pdf", 4));
        assert_eq!(*world.stored.borrow(), [b"%PDF".to_vec()]);
        assert_eq!(decoded("JVBERg"), Some(b"%PDF".to_vec()));
        assert_eq!((decoded("%"), decoded(""), decoded("data:x")), (None, None, None));
    }

    #[test]
    fn a_file_without_bytes_says_so() {
        let (world, gateway) = gateway();
        let body = webhook(json!({"imageMessage": {"url": "https://mmg.whatsapp.net/v/1.enc"}}));
        assert_eq!(post(&gateway, "incoming", &body).0, 200);
        let MediaState::Failed(why) = media(&world) else { panic!("failed") };
        assert!(why.contains("neither the file nor a link"), "{why}");
    }
}
