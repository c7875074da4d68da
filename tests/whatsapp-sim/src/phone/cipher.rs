//! A phone encrypts and decrypts. Every device is known to it by number, whatever form a stanza writes.

use std::sync::Arc;

use wacore::{
    messages::{MessageUtils, decode_plaintext},
    types::jid::{JidExt as _, make_sender_key_name},
};
use wacore_binary::{Jid, JidExt as _, Node, Server, builder::NodeBuilder};
use wacore_libsignal::protocol::{
    CiphertextMessage, IdentityKey, PreKeyBundle, PreKeySignalMessage, ProtocolAddress, PublicKey,
    SenderKeyDistributionMessage, SignalMessage, UsePQRatchet, create_sender_key_distribution_message, group_decrypt,
    group_encrypt, message_decrypt, message_encrypt, process_prekey_bundle, process_sender_key_distribution_message,
};
use waproto::{buffa::MessageField, whatsapp as wa};

use super::{Phone, keys::Store};
use crate::{
    Error, groups,
    session::{self, iq},
    world::{AccountInfo, DeviceId, World},
};

pub(super) fn address(device: &DeviceId) -> ProtocolAddress {
    device.jid().to_protocol_address()
}

/// A generator that may cross an await.
fn rng() -> rand::rngs::StdRng {
    rand::make_rng()
}

fn signal(e: impl std::fmt::Display) -> Error {
    Error::Signal(e.to_string())
}

/// Encrypts for one device, starting a session when there is none. Answers the `<enc>`.
pub(super) async fn encrypt(
    world: &Arc<World>,
    phone: &Arc<Phone>,
    device: &DeviceId,
    plaintext: &[u8],
) -> Result<Option<Node>, Error> {
    let to = address(device);
    let known = phone.keys.lock().has_session(&to);
    if !known {
        let Some(bundle) = session::take_bundle(world, device) else { return Ok(None) };
        let point = |key: &[u8; 32]| PublicKey::from_djb_public_key_bytes(key).map_err(signal);
        let one_time = match &bundle.one_time_key {
            Some(key) => Some((key.id.into(), point(&key.public)?)),
            None => None,
        };
        let bundle = PreKeyBundle::new(
            bundle.registration_id,
            u32::from(device.device).into(),
            one_time,
            bundle.signed_key.id.into(),
            point(&bundle.signed_key.public)?,
            bundle.signed_key.signature,
            IdentityKey::new(point(&bundle.identity)?),
        )
        .map_err(signal)?;
        let (mut sessions, mut identities) = (Store(phone.clone()), Store(phone.clone()));
        process_prekey_bundle(&to, &mut sessions, &mut identities, &bundle, &mut rng(), UsePQRatchet::No)
            .await
            .map_err(signal)?;
    }
    let (mut sessions, mut identities) = (Store(phone.clone()), Store(phone.clone()));
    let message = message_encrypt(plaintext, &to, &mut sessions, &mut identities).await.map_err(signal)?;
    let kind = match &message {
        CiphertextMessage::PreKeySignalMessage(_) => "pkmsg",
        _ => "msg",
    };
    Ok(Some(NodeBuilder::new("enc").attr("v", "2").attr("type", kind).bytes(message.serialize().to_vec()).build()))
}

/// Sends a message of the phone to everybody who should have it.
pub(super) async fn send(
    world: &Arc<World>,
    phone: &Arc<Phone>,
    to: &Jid,
    message: &wa::Message,
    id: &str,
) -> Result<(), Error> {
    let account = world.account_by_phone(&phone.phone).ok_or_else(|| Error::UnknownAccount(phone.phone.to_string()))?;
    let node = NodeBuilder::new("message").attr("id", id).attr("type", wacore::send::stanza_type_from_message(message));
    let node = if to.is_group() {
        let (participants, shared) = for_group(world, phone, to, message).await?;
        node.attr("to", to.clone()).children(participants.into_iter().chain([shared])).build()
    } else {
        let recipient = world.account(to).ok_or_else(|| Error::UnknownChat(to.to_string()))?;
        // The chat is written as the recipient's account writes it.
        let chat =
            if to.server == Server::Lid || recipient.lid_addressed { recipient.lid_jid() } else { recipient.jid() };
        let plain = MessageUtils::encode_dm_plaintexts(message, None, &chat);
        let mut sealed = Vec::new();
        for device in world.devices(&recipient.phone).into_iter().chain(world.devices(&phone.phone)) {
            let own = device.phone == phone.phone;
            if own && device.device == 0
                || own && recipient.phone == phone.phone && sealed.iter().any(|(known, _)| *known == device)
            {
                continue;
            }
            let plaintext = if own { &plain.own_devices } else { &plain.recipient };
            if let Some(enc) = encrypt(world, phone, &device, plaintext).await? {
                sealed.push((device, enc));
            }
        }
        node.attr("to", chat).children([participants(sealed)]).build()
    };
    distribute(world, &account, &node)
}

fn participants(sealed: Vec<(DeviceId, Node)>) -> Node {
    let to = sealed
        .into_iter()
        .map(|(device, enc)| NodeBuilder::new("to").attr("jid", device.jid()).children([enc]).build());
    NodeBuilder::new("participants").children(to).build()
}

fn distribute(world: &Arc<World>, account: &AccountInfo, node: &Node) -> Result<(), Error> {
    session::distribute(world, account, 0, node, 1)
        .map(|_| ())
        .map_err(|code| Error::UnknownChat(format!("{} (refused with {code})", iq::attr(node, "to"))))
}

/// Sends a message of the phone to one device, which has a ciphertext of its own.
pub(super) async fn send_to_one(
    world: &Arc<World>,
    phone: &Arc<Phone>,
    device: &DeviceId,
    message: &wa::Message,
    id: &str,
) -> Result<(), Error> {
    let account = world.account_by_phone(&phone.phone).ok_or_else(|| Error::UnknownAccount(phone.phone.to_string()))?;
    let plain = MessageUtils::encode_and_pad(message);
    let Some(enc) = encrypt(world, phone, device, &plain).await? else { return Ok(()) };
    let node = NodeBuilder::new("message")
        .attr("id", id)
        .attr("type", wacore::send::stanza_type_from_message(message))
        .attr("to", device.jid())
        .children([enc])
        .build();
    distribute(world, &account, &node)
}

/// Sends a status to everybody the phone's account wrote with. It goes by a sender key, as in a group without a name.
pub(super) async fn post_status(
    world: &Arc<World>,
    phone: &Arc<Phone>,
    message: &wa::Message,
    id: &str,
) -> Result<(), Error> {
    let account = world.account_by_phone(&phone.phone).ok_or_else(|| Error::UnknownAccount(phone.phone.to_string()))?;
    let chat = Jid::status_broadcast();
    let known: Vec<Arc<str>> = world.acquaintances.lock().get(&phone.phone).into_iter().flatten().cloned().collect();
    let readers: Vec<DeviceId> = known.iter().chain([&phone.phone]).flat_map(|reader| world.devices(reader)).collect();
    let (sealed, shared) = by_sender_key(world, phone, &chat, &readers, message).await?;
    for reader in readers.into_iter().filter(|reader| reader.phone != phone.phone || reader.device != 0) {
        let own = sealed.iter().find(|(device, _)| *device == reader).map(|(_, enc)| enc.clone());
        let encs = own.into_iter().chain([shared.clone()]);
        world.deliver(&reader, status(&account, message, id, encs, world.now()));
    }
    Ok(())
}

/// A status as its readers get it.
fn status(
    account: &AccountInfo,
    message: &wa::Message,
    id: &str,
    encs: impl IntoIterator<Item = Node>,
    now: u64,
) -> Node {
    NodeBuilder::new("message")
        .attr("from", Jid::status_broadcast())
        .attr("participant", account.jid())
        .attr("participant_lid", account.lid_jid())
        .attr("id", id)
        .attr("t", now)
        .attr("type", wacore::send::stanza_type_from_message(message))
        .attr("notify", &*account.name)
        .children(encs)
        .build()
}

async fn for_group(
    world: &Arc<World>,
    phone: &Arc<Phone>,
    group: &Jid,
    message: &wa::Message,
) -> Result<(Option<Node>, Node), Error> {
    let members = groups::members(world, group).ok_or_else(|| Error::UnknownChat(group.to_string()))?;
    let devices: Vec<DeviceId> = members.iter().flat_map(|member| world.devices(member)).collect();
    let (sealed, shared) = by_sender_key(world, phone, group, &devices, message).await?;
    Ok(((!sealed.is_empty()).then(|| participants(sealed)), shared))
}

/// A message encrypted once for all, and the key to it for each of the devices that has not got it yet.
async fn by_sender_key(
    world: &Arc<World>,
    phone: &Arc<Phone>,
    group: &Jid,
    devices: &[DeviceId],
    message: &wa::Message,
) -> Result<(Vec<(DeviceId, Node)>, Node), Error> {
    let own = DeviceId { phone: phone.phone.clone(), device: 0 };
    let name = make_sender_key_name(group, &address(&own));
    let mut keys = Store(phone.clone());
    let distribution = create_sender_key_distribution_message(&name, &mut keys, &mut rng()).await.map_err(signal)?;
    let plain = MessageUtils::encode_and_pad(&wa::Message {
        sender_key_distribution_message: MessageField::some(wa::message::SenderKeyDistributionMessage {
            group_id: Some(group.to_string()),
            axolotl_sender_key_distribution_message: Some(distribution.serialized().to_vec()),
        }),
        ..Default::default()
    });
    let mut sealed = Vec::new();
    for device in devices.iter().filter(|device| **device != own) {
        let has_it = phone.keys.lock().distributed.get(&group.to_string()).is_some_and(|known| known.contains(device));
        if has_it {
            continue;
        }
        if let Some(enc) = encrypt(world, phone, device, &plain).await? {
            phone.keys.lock().distributed.entry(group.to_string()).or_default().insert(device.clone());
            sealed.push((device.clone(), enc));
        }
    }
    let message =
        group_encrypt(&mut keys, &name, &MessageUtils::encode_and_pad(message), &mut rng()).await.map_err(signal)?;
    let shared =
        NodeBuilder::new("enc").attr("v", "2").attr("type", "skmsg").bytes(message.serialized().to_vec()).build();
    Ok((sealed, shared))
}

/// Sends one message again, to one device that could not decrypt it.
pub(super) async fn resend(
    world: &Arc<World>,
    phone: &Arc<Phone>,
    device: &DeviceId,
    to: &Jid,
    message: &wa::Message,
    id: &str,
    count: u32,
) -> Result<(), Error> {
    let account = world.account_by_phone(&phone.phone).ok_or_else(|| Error::UnknownAccount(phone.phone.to_string()))?;
    let own = device.phone == phone.phone;
    let plain = if own && !to.is_group() {
        MessageUtils::encode_dm_plaintexts(message, None, to).own_devices
    } else {
        MessageUtils::encode_and_pad(message)
    };
    phone.keys.lock().forget_session(&address(device));
    let Some(mut enc) = encrypt(world, phone, device, &plain).await? else { return Ok(()) };
    enc.attrs.push("count", count);
    let node = NodeBuilder::new("message").attr("id", id).attr("type", wacore::send::stanza_type_from_message(message));
    if to.server == Server::Broadcast {
        world.deliver(device, status(&account, message, id, [enc], world.now()));
        return Ok(());
    }
    let node = if to.is_group() {
        node.attr("to", to.clone()).attr("participant", device.jid())
    } else if own {
        node.attr("to", device.jid()).attr("recipient", to.clone())
    } else {
        let lid = to.server == Server::Lid;
        let target = world
            .account_by_phone(&device.phone)
            .filter(|_| lid)
            .map_or_else(|| device.jid(), |info| Jid::lid_device(&*info.lid, device.device));
        node.attr("to", target)
    };
    distribute(world, &account, &node.children([enc]).build())
}

/// Opens one `<enc>` from a device. A message that distributes a sender key is taken note of.
pub(super) async fn decrypt(phone: &Arc<Phone>, from: &DeviceId, chat: &Jid, enc: &Node) -> Result<wa::Message, Error> {
    let bytes = iq::bytes(enc).ok_or_else(|| Error::Signal("the ciphertext is missing".into()))?;
    let version = iq::attr(enc, "v").parse().unwrap_or(2);
    let from_address = address(from);
    let kind = iq::attr(enc, "type");
    let plaintext = if kind == "skmsg" {
        let mut keys = Store(phone.clone());
        group_decrypt(bytes, &mut keys, &make_sender_key_name(chat, &from_address)).await.map_err(signal)?
    } else {
        let message = match kind.as_str() {
            "pkmsg" => CiphertextMessage::PreKeySignalMessage(PreKeySignalMessage::try_from(bytes).map_err(signal)?),
            _ => CiphertextMessage::SignalMessage(SignalMessage::try_from(bytes).map_err(signal)?),
        };
        let (mut sessions, mut identities, mut one_time) =
            (Store(phone.clone()), Store(phone.clone()), Store(phone.clone()));
        let opened = message_decrypt(
            &message,
            &from_address,
            &mut sessions,
            &mut identities,
            &mut one_time,
            &Store(phone.clone()),
            &mut rng(),
            UsePQRatchet::No,
        )
        .await
        .map_err(signal)?;
        if let Some(id) = opened.consumed_prekey_id {
            use wacore_libsignal::protocol::PreKeyStore as _;
            one_time.remove_pre_key(id).await.map_err(signal)?;
        }
        opened.plaintext
    };
    let message = decode_plaintext(&plaintext, version).map_err(signal)?;
    if let Some(distribution) = message.sender_key_distribution_message.as_option()
        && let Some(key) = &distribution.axolotl_sender_key_distribution_message
    {
        let key = SenderKeyDistributionMessage::try_from(key.as_slice()).map_err(signal)?;
        let mut keys = Store(phone.clone());
        process_sender_key_distribution_message(&make_sender_key_name(chat, &from_address), &key, &mut keys)
            .await
            .map_err(signal)?;
    }
    Ok(message)
}
