//! What a phone tells a companion that it has just paired of the time before: its chats with their newest messages, the names of
//! people, and the older messages. The chats come inside the message while they are small; everything else is a blob on the media
//! host. Runs in the phones' task, in the phone's turn.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use wacore::{download::MediaType, upload::encrypt_media};
use wacore_binary::Jid;
use waproto::{
    buffa::MessageField,
    whatsapp::{self as wa, history_sync::HistorySyncType, message as msg},
};

use super::{Phone, Received, receive};
use crate::{
    Error,
    media::Purpose,
    world::{AccountInfo, DeviceId, World},
};

/// How many chats are told, those with the newest messages.
const CHATS: usize = 500;
/// How many messages of a chat come at once.
const NEWEST: usize = 10;
/// How many more of a chat follow.
const OLDER: usize = 500;
/// The largest first part, in compressed bytes, that comes inside its message.
const INLINE: usize = 4096;

/// One chat of the phone, its messages oldest first.
struct Chat {
    id: Jid,
    contact: Option<AccountInfo>,
    messages: Vec<Received>,
}

/// Sends a companion the history.
pub(super) async fn share(world: &Arc<World>, phone: &Arc<Phone>, device: &DeviceId) -> Result<(), Error> {
    let own = world.account_by_phone(&phone.phone).ok_or_else(|| Error::UnknownAccount(phone.phone.to_string()))?;
    let chats = chats(world, phone);
    let parts = [
        (first(world, &own, &chats), msg::HistorySyncType::INITIAL_BOOTSTRAP),
        (names(&own, &chats), msg::HistorySyncType::PUSH_NAME),
        (older(world, &own, &chats), msg::HistorySyncType::RECENT),
    ];
    for (part, kind) in parts {
        send(world, phone, device, &part, kind, None).await?;
    }
    Ok(())
}

fn chats(world: &World, phone: &Arc<Phone>) -> Vec<Chat> {
    let mut by_chat: HashMap<String, Vec<Received>> = HashMap::new();
    for message in phone.seen.lock().messages() {
        // What changes another message is part of it on a phone.
        if !matches!(message.kind, "reaction" | "edit" | "revoke" | "other") {
            by_chat.entry(message.chat.clone()).or_default().push(message.clone());
        }
    }
    let mut chats: Vec<Chat> = by_chat
        .into_iter()
        .filter_map(|(chat, messages)| {
            let id: Jid = chat.parse().ok()?;
            let contact = world.account(&id);
            let id = match &contact {
                Some(contact) if contact.lid_addressed => contact.lid_jid(),
                _ => id,
            };
            Some(Chat { id, contact, messages })
        })
        .collect();
    chats.sort_by_key(|chat| std::cmp::Reverse(chat.messages.last().map(|last| last.at)));
    chats.truncate(CHATS);
    chats
}

/// The chats with their newest messages, the tokens that their people gave, who has which LID, and the account's salt.
fn first(world: &World, own: &AccountInfo, chats: &[Chat]) -> wa::HistorySync {
    let mut part = part(HistorySyncType::INITIAL_BOOTSTRAP, 0);
    part.nct_salt = world.salt(&own.phone).map(|salt| salt.to_vec());
    for chat in chats {
        let newest = &chat.messages[chat.messages.len().saturating_sub(NEWEST)..];
        let mut conversation = conversation(chat, own, newest);
        if let Some(contact) = &chat.contact {
            part.phone_number_to_lid_mappings.push(wa::PhoneNumberToLIDMapping {
                pn_jid: Some(contact.jid().to_string()),
                lid_jid: Some(contact.lid_jid().to_string()),
            });
            let tokens = world.tokens.lock();
            if let Some(token) = tokens.of(&contact.phone, &own.phone) {
                conversation.tc_token = Some(token.bytes);
                conversation.tc_token_timestamp = Some(token.issued);
            }
            conversation.tc_token_sender_timestamp = tokens.of(&own.phone, &contact.phone).map(|token| token.issued);
        }
        part.conversations.push(conversation);
    }
    part
}

/// What people call themselves.
fn names(own: &AccountInfo, chats: &[Chat]) -> wa::HistorySync {
    let mut part = part(HistorySyncType::PUSH_NAME, 100);
    let people = chats.iter().filter_map(|chat| chat.contact.as_ref()).chain([own]);
    part.pushnames = people
        .map(|person| wa::Pushname { id: Some(person.jid().to_string()), pushname: Some(person.name.to_string()) })
        .collect();
    part
}

/// The messages before the newest.
fn older(world: &World, own: &AccountInfo, chats: &[Chat]) -> wa::HistorySync {
    let mut part = part(HistorySyncType::RECENT, 100);
    for chat in chats {
        let end = chat.messages.len().saturating_sub(NEWEST);
        let before = &chat.messages[end.saturating_sub(OLDER)..end];
        if !before.is_empty() {
            part.conversations.push(conversation(chat, own, before));
        }
    }
    tracing::debug!(chats = part.conversations.len(), at = world.now(), "a phone shares its older messages");
    part
}

fn part(kind: HistorySyncType, progress: u32) -> wa::HistorySync {
    wa::HistorySync { sync_type: kind, chunk_order: Some(1), progress: Some(progress), ..Default::default() }
}

fn conversation(chat: &Chat, own: &AccountInfo, messages: &[Received]) -> wa::Conversation {
    let mut conversation = wa::Conversation {
        id: chat.id.to_string(),
        last_msg_timestamp: messages.last().map(|last| last.at),
        conversation_timestamp: messages.last().map(|last| last.at),
        // Newest first, as phones send them.
        messages: messages.iter().rev().enumerate().map(|(n, m)| message(chat, own, m, n as u64)).collect(),
        ..Default::default()
    };
    if let Some(contact) = &chat.contact {
        conversation.name = Some(contact.name.to_string());
        conversation.pn_jid = Some(contact.jid().to_string());
        conversation.lid_jid = Some(contact.lid_jid().to_string());
    }
    conversation
}

fn message(chat: &Chat, own: &AccountInfo, received: &Received, order: u64) -> wa::HistorySyncMsg {
    let mut info = info(&chat.id, chat.contact.is_none(), received);
    info.push_name = received.from_me.then(|| own.name.to_string());
    wa::HistorySyncMsg { message: MessageField::some(info), msg_order_id: Some(order) }
}

/// A message with what is known of it, its chat named by number.
pub(super) fn web_message(world: &World, received: &Received) -> wa::WebMessageInfo {
    let Ok(chat) = received.chat.parse::<Jid>() else { return wa::WebMessageInfo::default() };
    let sender = world.account_by_phone(&received.from).map(|sender| sender.name.to_string());
    wa::WebMessageInfo { push_name: sender, ..info(&chat, world.account(&chat).is_none(), received) }
}

fn info(chat: &Jid, of_many: bool, received: &Received) -> wa::WebMessageInfo {
    let participant = (of_many && !received.from_me).then(|| Jid::pn(received.from.as_str()).to_string());
    let content = waproto::codec::message_decode(&received.message);
    wa::WebMessageInfo {
        key: MessageField::some(wa::MessageKey {
            remote_jid: Some(chat.to_string()),
            from_me: Some(received.from_me),
            id: Some(received.id.clone()),
            participant: participant.clone(),
        }),
        message: content.map_or_else(|_| MessageField::none(), MessageField::some),
        message_timestamp: Some(received.at),
        participant,
        ..Default::default()
    }
}

/// Sends a companion older messages of one chat, as it asked for them with the message `id`.
pub(super) async fn share_more(
    world: &Arc<World>,
    phone: &Arc<Phone>,
    device: &DeviceId,
    id: &str,
    asked: &msg::peer_data_operation_request_message::HistorySyncOnDemandRequest,
) -> Result<(), Error> {
    let own = world.account_by_phone(&phone.phone).ok_or_else(|| Error::UnknownAccount(phone.phone.to_string()))?;
    let wanted: Option<Jid> = asked.chat_jid.as_deref().and_then(|chat| chat.parse().ok());
    let wanted = wanted.map(|chat| world.account(&chat).map_or(chat, |contact| contact.jid()));
    let count = asked.on_demand_msg_count.and_then(|count| usize::try_from(count).ok()).unwrap_or(NEWEST).min(OLDER);
    let mut part = part(HistorySyncType::ON_DEMAND, 100);
    for chat in chats(world, phone) {
        let name = chat.contact.as_ref().map_or_else(|| chat.id.clone(), AccountInfo::jid);
        if Some(&name) == wanted.as_ref() {
            let oldest = chat.messages.iter().position(|m| Some(&m.id) == asked.oldest_msg_id.as_ref());
            let end = oldest.unwrap_or(chat.messages.len());
            part.conversations.push(conversation(&chat, &own, &chat.messages[end.saturating_sub(count)..end]));
        }
    }
    send(world, phone, device, &part, msg::HistorySyncType::ON_DEMAND, Some(id)).await
}

/// Sends a companion one part.
async fn send(
    world: &Arc<World>,
    phone: &Arc<Phone>,
    device: &DeviceId,
    part: &wa::HistorySync,
    kind: msg::HistorySyncType,
    answers: Option<&str>,
) -> Result<(), Error> {
    let mut notification = notification(world, part, kind)?;
    notification.peer_data_request_session_id = answers.map(str::to_owned);
    let message = wa::Message {
        protocol_message: MessageField::some(msg::ProtocolMessage {
            r#type: Some(msg::protocol_message::Type::HISTORY_SYNC_NOTIFICATION),
            history_sync_notification: MessageField::some(notification),
            ..Default::default()
        }),
        ..Default::default()
    };
    receive::send_peer(world, phone, device, message).await
}

/// Says where a part is: inside, or on the media host.
fn notification(
    world: &World,
    part: &wa::HistorySync,
    kind: msg::HistorySyncType,
) -> Result<msg::HistorySyncNotification, Error> {
    let failed = |e: &dyn std::fmt::Display| Error::Signal(format!("the history cannot be packed: {e}"));
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&waproto::codec::history_sync_to_vec(part)).map_err(|e| failed(&e))?;
    let packed = packed.finish().map_err(|e| failed(&e))?;
    let mut notification = msg::HistorySyncNotification {
        file_length: Some(packed.len() as u64),
        sync_type: Some(kind),
        chunk_order: part.chunk_order,
        progress: part.progress,
        ..Default::default()
    };
    if kind == msg::HistorySyncType::INITIAL_BOOTSTRAP && packed.len() <= INLINE {
        notification.initial_hist_bootstrap_inline_payload = Some(packed);
        return Ok(notification);
    }
    let encrypted = encrypt_media(&packed, MediaType::History).map_err(|e| failed(&e))?;
    notification.media_key = Some(encrypted.media_key.to_vec());
    notification.file_sha256 = Some(encrypted.file_sha256.to_vec());
    notification.file_enc_sha256 = Some(encrypted.file_enc_sha256.to_vec());
    notification.direct_path = Some(world.media.put(world, encrypted.data_to_upload.into(), Purpose::Sync));
    Ok(notification)
}
