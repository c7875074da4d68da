//! The task that writes a peer's record: it takes the client's events in order and downloads the media of messages.

use std::sync::Arc;

use tokio::sync::mpsc;
use wacore::types::events::{Event, EventHandler};
use wacore::types::message::MessageCategory;
use wacore::types::presence::{ChatPresence, ChatPresenceMedia};
use whatsapp_rust::Client;

use super::record::{self, Ack, GroupChange, HistoryPart, Media, Receipt, Received, Record, Typing};

/// Hands the client's events to the recorder.
pub(super) struct Events(pub(super) mpsc::UnboundedSender<Arc<Event>>);

impl EventHandler for Events {
    fn handle_event(&self, event: Arc<Event>) {
        // The recorder ends before the client does when a connection is cut.
        let _ = self.0.send(event);
    }
}

pub(super) async fn record_events(
    client: Arc<Client>,
    mut events: mpsc::UnboundedReceiver<Arc<Event>>,
    record: Arc<Record>,
) {
    let told = |what: &'static str, of: String| record.write(|e| e.told.push((what, of)));
    while let Some(event) = events.recv().await {
        match &*event {
            Event::Messages(batch) => {
                // Messages between the account's own devices are not messages of a person.
                for inbound in batch.iter().filter(|m| m.info.category != MessageCategory::Peer) {
                    let mut received = Received::read(&inbound.info, inbound.message.clone());
                    received.media = fetch(&client, &received).await;
                    record.write(|e| e.receive(received));
                }
            }
            Event::Receipt(receipt) => record.write(|e| {
                e.receipts.extend(receipt.message_ids.iter().map(|id| Receipt {
                    id: id.to_string(),
                    kind: receipt.r#type.as_wire_str().to_owned(),
                    chat: receipt.source.chat.to_string(),
                    from: receipt.source.sender.to_string(),
                }));
            }),
            Event::ServerAck(ack) if ack.class.as_deref() == Some("message") => {
                record.write(|e| e.acks.push(Ack { id: ack.id.clone(), error: ack.error.clone() }));
            }
            Event::UndecryptableMessage(m) => record.write(|e| e.undecryptable.push(m.info.id.clone())),
            Event::ChatPresence(p) => record.write(|e| {
                let state = match (p.state, p.media) {
                    (ChatPresence::Paused, _) => "paused",
                    (ChatPresence::Composing, ChatPresenceMedia::Audio) => "recording",
                    (ChatPresence::Composing, ChatPresenceMedia::Text) => "composing",
                };
                let (chat, from) = (p.source.chat.to_string(), p.source.sender.to_string());
                e.typing.push(Typing { chat, from, state });
            }),
            Event::GroupUpdate(update) => record.write(|e| {
                e.group_changes.push(GroupChange {
                    group: update.group_jid.to_string(),
                    by: update.participant.as_ref().map(ToString::to_string),
                    action: update.action.tag_name().to_owned(),
                    detail: serde_json::to_value(&update.action).unwrap_or_default(),
                });
            }),
            Event::HistorySync(part) => {
                // What cannot be unpacked is told without its content.
                let content = part.get();
                let told = HistoryPart {
                    kind: part.sync_type(),
                    chats: content.map_or(0, |content| content.conversations.len()),
                    messages: content
                        .map_or(0, |content| content.conversations.iter().map(|chat| chat.messages.len()).sum()),
                    names: content.map_or(0, |content| content.pushnames.len()),
                };
                record.write(|e| e.history.push(told));
            }
            Event::IdentityChange(change) => told("identity", change.user.to_string()),
            Event::MexNotification(mex) => told("mex", format!("{} {}", mex.op_name, mex.payload)),
            Event::PictureUpdate(u) => {
                told("picture", format!("{} {}", u.jid, if u.removed { "removed" } else { "set" }))
            }
            Event::UserAboutUpdate(u) => told("about", format!("{} {}", u.jid, u.status)),
            Event::ContactNumberChanged(u) => told("number", format!("{} {}", u.old_jid, u.new_jid)),
            Event::BusinessStatusUpdate(u) => {
                told("business", format!("{} {}", u.jid, u.verified_name.as_deref().unwrap_or_default()));
            }
            Event::DisappearingModeChanged(u) => told("disappearing", format!("{} {}", u.from, u.duration)),
            Event::DirtyState(u) => told("dirty", u.dirty_type.as_str().to_owned()),
            Event::IncomingCall(call) => told("call", format!("{} {:?}", call.from, call.action)),
            Event::TemporaryBan(ban) => told("ban", format!("{:?} {}", ban.code, ban.expire.num_seconds())),
            Event::ClientOutdated(_) => told("outdated", String::new()),
            Event::PairPasskeyRequest(asked) => told("passkey", asked.request_options_json.clone()),
            Event::PairPasskeyConfirmation(said) => told("passkey-code", said.code.clone()),
            Event::PairPasskeyError(failed) => told("passkey-error", failed.error.clone()),
            Event::PairingQrCode(qr) => record.write(|e| e.qr_codes.push(qr.code.clone())),
            Event::Connected(_) => record.write(|e| e.logins += 1),
            Event::Disconnected(_) => record.write(|e| e.losses += 1),
            Event::LoggedOut(out) => record.write(|e| e.logged_out = Some(format!("{:?}", out.reason))),
            Event::StreamReplaced(_) => record.write(|e| e.replaced = true),
            Event::MuteUpdate(u) => record.write(|e| e.app_state.push(("mute", u.jid.to_string()))),
            Event::PinUpdate(u) => record.write(|e| e.app_state.push(("pin", u.jid.to_string()))),
            Event::ArchiveUpdate(u) => record.write(|e| e.app_state.push(("archive", u.jid.to_string()))),
            Event::StarUpdate(u) => record.write(|e| e.app_state.push(("star", u.message_id.clone()))),
            Event::MarkChatAsReadUpdate(u) => record.write(|e| e.app_state.push(("read", u.jid.to_string()))),
            Event::ContactUpdate(u) => record.write(|e| e.app_state.push(("contact", u.jid.to_string()))),
            Event::SelfPushNameUpdated(u) => record.write(|e| e.app_state.push(("name", u.new_name.clone()))),
            _ => {}
        }
    }
}

/// Downloads and decrypts the message's media, if it has any.
async fn fetch(client: &Client, received: &Received) -> Option<Media> {
    let media = record::downloadable(&received.message)?;
    Some(match client.download(media).await {
        Ok(bytes) => Media::Bytes { sha256: super::sha256(&bytes), size: bytes.len() },
        Err(e) => Media::Failed(format!("{e:#}")),
    })
}
