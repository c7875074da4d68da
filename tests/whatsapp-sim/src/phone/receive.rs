//! What a phone does with what arrives: opens messages, gives receipts, answers retries and key requests.

use std::sync::Arc;

use wacore::{messages::MessageUtils, types::message::MessageCategory};
use wacore_binary::{Jid, JidExt as _, Node, builder::NodeBuilder};
use waproto::{
    buffa::MessageField,
    whatsapp::{self as wa, message as msg},
};

use super::{Phone, cipher, history, inbox, request};
use crate::{
    Error,
    session::{self, iq},
    world::{DeviceId, World},
};

pub(super) async fn open(world: &Arc<World>, phone: &Arc<Phone>, stanza: &Node) {
    match stanza.tag.as_ref() {
        "message" => message(world, phone, stanza).await,
        "receipt" => receipt(world, phone, stanza).await,
        _ => {}
    }
}

async fn message(world: &Arc<World>, phone: &Arc<Phone>, stanza: &Node) {
    let id = iq::attr(stanza, "id");
    let Some(from) = iq::jid(stanza, "from") else { return };
    let participant = iq::jid(stanza, "participant");
    let Some(sender) = world.resolve_device(participant.as_ref().unwrap_or(&from)) else { return };
    let own = sender.phone == phone.phone;
    let peer = iq::attr(stanza, "category") == MessageCategory::Peer.as_str();
    let _turn = phone.turn.lock().await;
    let mut opened = None;
    for enc in stanza.children().unwrap_or_default().iter().filter(|child| child.tag == "enc") {
        match cipher::decrypt(phone, &sender, &from, enc).await {
            // The distribution of a sender key comes together with the message itself.
            Ok(message) if opened.is_none() || !is_only_distribution(&message) => opened = Some(message),
            Ok(_) => {}
            Err(e) => {
                let e = e.to_string();
                // A message that was decrypted before is not a failure: the server delivered it twice.
                let again = e.contains("duplicate") || e.contains("old counter");
                phone.seen.lock().failed(&id, &e, again);
                if !again {
                    tracing::debug!(%sender, error = %e, "a phone cannot decrypt a message");
                    retry(world, phone, stanza, &id);
                }
                return;
            }
        }
    }
    let Some(mut message) = opened else { return };
    let mut chat = if from.is_group() {
        from.clone()
    } else {
        world.account(&from).map_or_else(|| from.to_non_ad(), |account| account.jid())
    };
    if let Some(wrapped) = message.device_sent_message.as_option_mut() {
        if let Some(to) = wrapped.destination_jid.as_deref().and_then(|to| to.parse::<Jid>().ok()) {
            chat = world.account(&to).map_or(to, |account| account.jid());
        }
        if let Some(inner) = wrapped.message.take() {
            message = inner;
        }
    }
    if own && peer {
        if let Err(e) = request::answer(world, phone, &sender, &id, &message).await {
            tracing::warn!(%sender, error = %e, "a phone cannot answer its companion");
        }
        return;
    }
    if is_only_distribution(&message) {
        return;
    }
    phone.seen.lock().note_from(
        inbox::describe(&id, &sender.phone, &chat, own, &message, world.now()),
        from.clone(),
        participant.clone(),
    );
    if own {
        return;
    }
    let Some(account) = world.account_by_phone(&phone.phone) else { return };
    let mut receipt = NodeBuilder::new("receipt").attr("to", from).attr("id", id);
    if let Some(participant) = participant {
        receipt = receipt.attr("participant", participant);
    }
    session::send_receipt(world, &account, 0, &receipt.build(), "");
}

fn is_only_distribution(message: &wa::Message) -> bool {
    message.sender_key_distribution_message.is_set() && inbox::is_empty_but_for_keys(message)
}

fn child(tag: &'static str, bytes: Vec<u8>) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

/// Fresh keys of the phone: what starts a new session with it.
fn retry_keys(phone: &Arc<Phone>) -> Node {
    let bundle = phone.keys.lock().bundle();
    let three = |id: u32| id.to_be_bytes()[1..].to_vec();
    let mut keys = vec![child("type", vec![5]), child("identity", bundle.identity.to_vec())];
    if let Some(key) = bundle.one_time_key {
        keys.push(
            NodeBuilder::new("key").children([child("id", three(key.id)), child("value", key.public.to_vec())]).build(),
        );
    }
    keys.push(
        NodeBuilder::new("skey")
            .children([
                child("id", three(bundle.signed_key.id)),
                child("value", bundle.signed_key.public.to_vec()),
                child("signature", bundle.signed_key.signature),
            ])
            .build(),
    );
    NodeBuilder::new("keys").children(keys).build()
}

/// Asks the sender to send again; from the second time on with fresh keys, as real phones do.
fn retry(world: &Arc<World>, phone: &Arc<Phone>, stanza: &Node, id: &str) {
    let Some(account) = world.account_by_phone(&phone.phone) else { return };
    let count = phone.seen.lock().retries(id);
    if count > 5 {
        return;
    }
    let registration_id = phone.keys.lock().registration_id();
    let asked = NodeBuilder::new("retry")
        .attr("v", "1")
        .attr("count", count)
        .attr("id", id)
        .attr("t", iq::attr(stanza, "t"))
        .build();
    let mut children = vec![asked, child("registration", registration_id.to_be_bytes().to_vec())];
    if count > 1 {
        children.push(retry_keys(phone));
    }
    let mut receipt = NodeBuilder::new("receipt").attr("id", id).attr("type", "retry").children(children).build();
    if let Some(from) = stanza.attrs.get("from") {
        receipt.attrs.push("to", from.clone());
    }
    for key in ["participant", "recipient"] {
        if let Some(value) = stanza.attrs.get(key) {
            receipt.attrs.push(key, value.clone());
        }
    }
    session::send_receipt(world, &account, 0, &receipt, "retry");
}

async fn receipt(world: &Arc<World>, phone: &Arc<Phone>, stanza: &Node) {
    let id = iq::attr(stanza, "id");
    let kind = iq::attr(stanza, "type");
    let Some(from) = iq::jid(stanza, "participant").or_else(|| iq::jid(stanza, "from")) else { return };
    let Some(device) = world.resolve_device(&from) else { return };
    if kind != "retry" {
        let listed = stanza
            .get_optional_child("list")
            .map(|list| list.get_children_by_tag("item").map(|item| iq::attr(item, "id")).collect::<Vec<_>>());
        let mut seen = phone.seen.lock();
        for id in listed.unwrap_or_default().into_iter().chain([id]) {
            seen.receipt(&id, &device, &kind);
        }
        return;
    }
    let Some((to, message)) = phone.sent.lock().get(&id).cloned() else { return };
    let count = stanza.get_optional_child("retry").and_then(|retry| iq::attr(retry, "count").parse().ok()).unwrap_or(1);
    if count > 5 {
        return;
    }
    let _turn = phone.turn.lock().await;
    if let Err(e) = cipher::resend(world, phone, &device, &to, &message, &id, count).await {
        tracing::warn!(%device, error = %e, "a phone cannot send again");
    }
}

/// Sends a companion the key of the app state, and a new one what there was before it.
pub(super) async fn share_key(world: &Arc<World>, device: &DeviceId) -> Result<(), Error> {
    let phone = super::find(world, &device.phone)?;
    let _turn = phone.turn.lock().await;
    share_key_in_turn(world, &phone, device).await?;
    let is_new = phone.introduced.lock().insert(device.device);
    if is_new && world.shares_history(&device.phone) {
        history::share(world, &phone, device).await?;
    }
    Ok(())
}

pub(super) async fn share_key_in_turn(world: &Arc<World>, phone: &Arc<Phone>, device: &DeviceId) -> Result<(), Error> {
    let key = world.app_state_key(&device.phone).ok_or_else(|| Error::UnknownAccount(device.phone.to_string()))?;
    let share = msg::AppStateSyncKeyShare {
        keys: vec![msg::AppStateSyncKey {
            key_id: MessageField::some(msg::AppStateSyncKeyId { key_id: Some(key.id) }),
            key_data: MessageField::some(msg::AppStateSyncKeyData {
                key_data: Some(key.data.to_vec()),
                fingerprint: MessageField::some(msg::AppStateSyncKeyFingerprint {
                    raw_id: Some(key.raw_id),
                    current_index: Some(0),
                    device_indexes: vec![0],
                }),
                timestamp: Some(world.now() as i64),
            }),
        }],
    };
    let message = wa::Message {
        protocol_message: MessageField::some(msg::ProtocolMessage {
            r#type: Some(msg::protocol_message::Type::APP_STATE_SYNC_KEY_SHARE),
            app_state_sync_key_share: MessageField::some(share),
            ..Default::default()
        }),
        ..Default::default()
    };
    send_peer(world, phone, device, message).await
}

/// Sends a companion what is for it alone, and no message of a person.
pub(super) async fn send_peer(
    world: &Arc<World>,
    phone: &Arc<Phone>,
    device: &DeviceId,
    message: wa::Message,
) -> Result<(), Error> {
    let Some(enc) = cipher::encrypt(world, phone, device, &MessageUtils::encode_and_pad(&message)).await? else {
        return Ok(());
    };
    let id = format!("PEER{}", world.next_serial());
    let stanza = NodeBuilder::new("message")
        .attr("from", Jid::pn(&*device.phone))
        .attr("id", &id)
        .attr("t", world.now())
        .attr("type", "text")
        .attr("category", "peer")
        .children([NodeBuilder::new("meta").attr("appdata", "default").build(), enc])
        .build();
    phone.sent.lock().insert(id, (device.user(), message));
    world.deliver(device, stanza);
    Ok(())
}
