//! The event of a message: who wrote it, where, when, and what. Names are found through [`Names`]; nothing is fetched.

use pombo_plugin::connector::events::{Attachment, ContactUpdate, Inbound, InboundContent, MediaState};
use wacore::types::events::InboundMessage;
use wacore_binary::{Jid, JidExt, Server};

use super::content::{self, Body, File};
use crate::identity::{Mention, Names, Person, other_form, person, rewrite};
use crate::media::{Pending, Place};

/// The engine takes no longer text; what a peer writes beyond is cut, or the whole message could never be taken.
const TEXT_BYTES: usize = 64 << 10;
/// The same for a reaction.
const EMOJI_BYTES: usize = 64;

/// The events that the engine gets for one message.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) message: Inbound,
    /// Its file, which is still to be fetched.
    pub(crate) pending: Option<Pending>,
    /// The other side, by all its names.
    pub(crate) contact: Option<ContactUpdate>,
}

/// The event of a message; `None` if it is not a message of a conversation.
pub(crate) async fn told(names: &impl Names, own: &str, item: &InboundMessage) -> Option<Told> {
    let info = &item.info;
    let source = &info.source;
    // Stories and channels are not conversations.
    if source.chat.is_status_broadcast() || source.chat.is_newsletter() {
        return None;
    }
    let said = content::read(&item.message)?;
    let is_group = source.chat.is_group();
    let writer = person(names, &source.sender, source.sender_alt.as_ref()).await;
    let sender = if source.is_from_me { Person { address: own.to_owned(), aliases: Vec::new() } } else { writer };
    let chat = if is_group {
        Person { address: crate::identity::of_jid(&source.chat), aliases: Vec::new() }
    } else if source.is_from_me {
        let other = source.recipient_alt.as_ref().or(info.peer_recipient_pn.as_ref());
        person(names, &source.chat, other).await
    } else {
        // Also when it came through a broadcast list: the answer goes to who wrote it.
        sender.clone()
    };
    let name =
        (!source.is_from_me).then_some(info.push_name.as_str()).filter(|name| !name.is_empty()).map(str::to_owned);
    let contact = if source.is_from_me {
        (!is_group).then(|| contact(&chat, None))
    } else {
        Some(contact(&sender, name.clone()))
    };

    let mut mentions = Vec::with_capacity(said.mentions.len());
    let mut written = Vec::with_capacity(said.mentions.len());
    for jid in said.mentions.iter().filter_map(|jid| jid.parse::<Jid>().ok()) {
        let found = person(names, &jid, None).await;
        // The text names people as the chat does; the engine knows them by their addresses.
        if let Ok(crate::identity::Address::Number(number)) = crate::identity::Address::parse(&found.address) {
            written.push(Mention {
                written: vec![jid.user_base().to_owned()],
                jid: Jid::new(number.as_str(), Server::Pn),
            });
        }
        mentions.push(found.address);
    }

    let mut pending = None;
    let content = match said.body {
        Body::Text(text) => InboundContent::Text(cut(rewrite(&text, &written), TEXT_BYTES)),
        Body::File(file) => {
            let place = Place {
                chat: chat.address.clone(),
                provider_id: info.id.clone(),
                chat_jid: source.chat.to_non_ad_string(),
                sender_jid: source.sender.to_non_ad_string(),
                from_me: source.is_from_me,
                is_group,
            };
            let (attachment, fetch) = attachment(file, place, &written);
            pending = fetch;
            InboundContent::Attachment(attachment)
        }
        Body::Location(location) => InboundContent::Location(location),
        Body::Reaction(mut reaction) => {
            reaction.emoji = cut(reaction.emoji, EMOJI_BYTES);
            InboundContent::Reaction(reaction)
        }
        Body::Edit(mut edit) => {
            edit.text = cut(rewrite(&edit.text, &written), TEXT_BYTES);
            InboundContent::Edit(edit)
        }
        Body::Revoke(id) => InboundContent::Revoke(id),
        Body::Other(kind, json) if json.len() <= TEXT_BYTES => InboundContent::Other((kind.to_owned(), json)),
        Body::Other(kind, _) => InboundContent::Other((kind.to_owned(), r#"{"tooLarge":true}"#.to_owned())),
    };
    let message = Inbound {
        provider_id: info.id.clone(),
        chat: chat.address,
        sender: sender.address,
        sender_name: name,
        from_me: source.is_from_me,
        is_group,
        reply_to: said.reply_to,
        mentions,
        at_millis: u64::try_from(info.timestamp.timestamp_millis()).unwrap_or(0),
        content,
    };
    Some(Told { message, pending, contact })
}

/// A contact by all its names, the other form of a Brazilian number among them.
pub(crate) fn contact(person: &Person, display_name: Option<String>) -> ContactUpdate {
    let mut aliases = person.aliases.clone();
    aliases.extend(other_form(&person.address));
    ContactUpdate { address: person.address.clone(), display_name, aliases }
}

/// The beginning of a text: at most this many bytes, in whole characters.
fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}

fn attachment(file: File, place: Place, written: &[Mention]) -> (Attachment, Option<Pending>) {
    let File { kind, content_type, filename, size, caption, reference } = file;
    let there = !reference.key.is_empty() && !reference.direct_path.is_empty();
    let media = if there {
        MediaState::Pending
    } else {
        // As with what may be seen once: only the phone gets it.
        MediaState::Failed("the message does not share its file with linked devices".to_owned())
    };
    let pending = there.then(|| Pending::new(place, kind, content_type.clone(), filename.clone(), reference));
    let caption = caption.map(|text| cut(rewrite(&text, written), TEXT_BYTES));
    (Attachment { kind, media, filename, content_type, size, caption }, pending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Pairs, ready};
    use std::sync::Arc;
    use wacore::types::message::{MessageInfo, MessageSource};
    use waproto::buffa::MessageField;
    use waproto::whatsapp::{self as wa, message};

    const OWN: &str = "5511900000000";

    fn jid(text: &str) -> Jid {
        text.parse().expect("a jid")
    }

    fn item(chat: &str, sender: &str, from_me: bool, message: wa::Message) -> InboundMessage {
        let chat = jid(chat);
        let info = MessageInfo {
            id: "3EB0".into(),
            push_name: "Ana".into(),
            timestamp: wacore::chrono::DateTime::from_timestamp(1_700_000_000, 0).expect("a time"),
            source: MessageSource {
                is_group: chat.is_group() || chat.server == Server::Broadcast,
                chat,
                sender: jid(sender),
                is_from_me: from_me,
                ..Default::default()
            },
            ..Default::default()
        };
        InboundMessage::builder().message(Arc::new(message)).info(Arc::new(info)).build()
    }

    fn hi() -> wa::Message {
        wa::Message { conversation: Some("hi".into()), ..Default::default() }
    }

    fn names() -> Pairs {
        Pairs(vec![("551187654321", "100"), ("12025550100", "200")])
    }

    fn tell(item: &InboundMessage) -> Told {
        ready(told(&names(), OWN, item)).expect("an event")
    }

    #[test]
    fn a_message_of_a_contact_is_of_its_number() {
        let told = tell(&item("100@lid", "100:5@lid", false, hi()));
        assert_eq!((told.message.chat.as_str(), told.message.sender.as_str()), ("551187654321", "551187654321"));
        assert_eq!(told.message.sender_name.as_deref(), Some("Ana"));
        assert_eq!(told.message.at_millis, 1_700_000_000_000);
        assert!(!told.message.from_me && !told.message.is_group);
        assert_eq!(told.message.content, InboundContent::Text("hi".into()));
        let contact = told.contact.expect("a contact");
        assert_eq!((contact.address.as_str(), contact.display_name.as_deref()), ("551187654321", Some("Ana")));
        assert_eq!(contact.aliases, ["100@lid", "5511987654321"]);
        let unknown = tell(&item("900@lid", "900@lid", false, hi()));
        assert_eq!(unknown.message.chat, "900@lid");
    }

    #[test]
    fn a_message_of_a_member_is_in_its_group() {
        let told = tell(&item("1203@g.us", "200:1@lid", false, hi()));
        assert_eq!((told.message.chat.as_str(), told.message.sender.as_str()), ("1203@g.us", "12025550100"));
        assert!(told.message.is_group);
        assert_eq!(told.contact.map(|c| c.address).as_deref(), Some("12025550100"));
    }

    #[test]
    fn a_message_from_the_phone_is_of_the_account_and_in_the_others_chat() {
        let told = tell(&item("200@lid", "5511900000000@s.whatsapp.net", true, hi()));
        assert_eq!((told.message.chat.as_str(), told.message.sender.as_str()), ("12025550100", OWN));
        assert!(told.message.from_me);
        assert_eq!(told.message.sender_name, None, "the push name is the account's own");
        assert_eq!(
            told.contact,
            Some(ContactUpdate { address: "12025550100".into(), display_name: None, aliases: vec!["200@lid".into()] })
        );
        let group = tell(&item("1203@g.us", "5511900000000@s.whatsapp.net", true, hi()));
        assert_eq!((group.message.chat.as_str(), group.message.sender.as_str()), ("1203@g.us", OWN));
        assert_eq!(group.contact, None);
    }

    #[test]
    fn stories_and_channels_are_no_conversations_and_a_list_is_its_senders() {
        assert!(ready(told(&names(), OWN, &item("status@broadcast", "200@lid", false, hi()))).is_none());
        assert!(ready(told(&names(), OWN, &item("123@newsletter", "123@newsletter", false, hi()))).is_none());
        let list = tell(&item("777@broadcast", "200@lid", false, hi()));
        assert_eq!((list.message.chat.as_str(), list.message.is_group), ("12025550100", false));
    }

    #[test]
    fn a_text_names_people_as_the_engine_does() {
        let message = wa::Message {
            extended_text_message: MessageField::some(message::ExtendedTextMessage {
                text: Some("@200 and @900".into()),
                context_info: MessageField::some(wa::ContextInfo {
                    mentioned_jid: vec!["200@lid".into(), "900@lid".into()],
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let told = tell(&item("1203@g.us", "100@lid", false, message));
        assert_eq!(told.message.content, InboundContent::Text("@12025550100 and @900".into()));
        assert_eq!(told.message.mentions, ["12025550100", "900@lid"]);
    }

    #[test]
    fn a_file_is_pending_and_a_file_for_the_phone_only_has_failed() {
        let image = |key: Option<Vec<u8>>| wa::Message {
            image_message: MessageField::some(message::ImageMessage {
                direct_path: Some("/p".into()),
                media_key: key.map(Into::into),
                ..Default::default()
            }),
            ..Default::default()
        };
        let told = tell(&item("1203@g.us", "200:4@lid", false, image(Some(vec![1; 32]))));
        let pending = told.pending.expect("something to fetch");
        assert_eq!(pending.key_in_store(), "download/1203@g.us/200@lid/3EB0");
        assert_eq!(
            (pending.chat.as_str(), pending.provider_id.as_str(), pending.is_group),
            ("1203@g.us", "3EB0", true)
        );
        assert!(matches!(&told.message.content, InboundContent::Attachment(a) if a.media == MediaState::Pending));
        let told = tell(&item("200@lid", "200@lid", false, image(None)));
        assert_eq!(told.pending, None);
        assert!(
            matches!(&told.message.content, InboundContent::Attachment(a) if matches!(a.media, MediaState::Failed(_)))
        );
    }

    #[test]
    fn what_is_longer_than_the_engine_takes_is_cut() {
        let long = wa::Message { conversation: Some("é".repeat(TEXT_BYTES)), ..Default::default() };
        let told = tell(&item("200@lid", "200@lid", false, long));
        assert_eq!(told.message.content, InboundContent::Text("é".repeat(TEXT_BYTES / 2)));
        let vcard = Some("x".repeat(TEXT_BYTES));
        let card = message::ContactMessage { vcard, ..Default::default() };
        let card = wa::Message { contact_message: MessageField::some(card), ..Default::default() };
        let told = tell(&item("200@lid", "200@lid", false, card));
        assert_eq!(told.message.content, InboundContent::Other(("contacts".into(), r#"{"tooLarge":true}"#.into())));
    }

    #[test]
    fn what_is_between_devices_is_no_event() {
        assert!(ready(told(&names(), OWN, &item("200@lid", "200@lid", false, wa::Message::default()))).is_none());
    }
}
