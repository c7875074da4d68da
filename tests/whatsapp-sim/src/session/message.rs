//! Messages: acked, and fanned out to every device the sender encrypted for. The server reads nothing of them.

use std::sync::Arc;

use wacore::messages::MessageUtils;
use wacore_binary::{Jid, JidExt as _, Node, NodeContent, Server, builder::NodeBuilder};

use super::{SessionHandle, iq, router::copy};
use crate::{
    faults::AckFault,
    groups,
    world::{AccountInfo, DeviceId, World},
};

/// What became of a message.
pub(crate) struct Relayed {
    /// The hash of all devices that should have it.
    pub(crate) phash: Option<String>,
}

pub(super) fn relay(world: &Arc<World>, session: &SessionHandle, node: &Node) {
    let faults = world.faults.on_message(&session.device);
    if faults.cut_before {
        session.cut();
        return;
    }
    let Some(sender) = world.account_by_phone(&session.device.phone) else { return };
    let untrusted = world.policy.demands_tokens() && !trusted(world, &sender, node);
    let relayed = match faults.nack.or(untrusted.then_some(UNTRUSTED)) {
        Some(code) => Err(code),
        None if faults.garble => distribute(world, &sender, session.device.device, &garbled(node), faults.copies),
        None => distribute(world, &sender, session.device.device, node, faults.copies),
    };
    let mut ack = NodeBuilder::new("ack").attr("class", "message").attr("t", world.now()).build();
    copy(node, &mut ack, "id");
    copy(node, &mut ack, "participant");
    if let Some(to) = node.attrs.get("to") {
        ack.attrs.push("from", to.clone());
    }
    match relayed {
        Ok(Relayed { phash: Some(phash) }) => ack.attrs.push("phash", phash),
        Ok(Relayed { phash: None }) => {}
        Err(code) => ack.attrs.push("error", u32::from(code)),
    }
    if faults.cut_after {
        session.cut();
        return;
    }
    match faults.ack {
        AckFault::None => session.send(ack),
        AckFault::Lose => {}
        AckFault::Delay(delay) => {
            let (world, session) = (world.clone(), session.clone());
            tokio::spawn(async move {
                world.clock.sleep(delay).await;
                session.send(ack);
            });
        }
    }
}

/// The code for a message that lacks a valid privacy token.
const UNTRUSTED: u16 = 463;

/// Whether a companion may write to whom this message is for: to groups and to its own account it always may, and to a person with
/// the token that the person gave, or with the proof of its own account's salt.
fn trusted(world: &World, sender: &AccountInfo, node: &Node) -> bool {
    let Some(to) = iq::jid(node, "to").filter(|to| !to.is_group()) else { return true };
    let Some(recipient) = world.account(&to).filter(|recipient| recipient.phone != sender.phone) else { return true };
    // Who asks for a message again has trusted its sender.
    if node.get_optional_child("participants").is_none() {
        return true;
    }
    let given = world.tokens.lock().of(&recipient.phone, &sender.phone);
    let token = iq::child_bytes(node, "tctoken");
    let proof = iq::child_bytes(node, "cstoken");
    let expected = world.salt(&sender.phone).map(|salt| crate::world::proof(&salt, &recipient));
    token.is_some_and(|token| given.is_some_and(|given| given.bytes == token))
        || proof.is_some_and(|proof| expected.is_some_and(|expected| expected == proof))
}

/// So far from its end, a ciphertext of any kind is authenticated but not parsed: changed there, it is well formed and false.
const AUTHENTICATED: usize = 12;

/// The node with a byte of every ciphertext changed.
fn garbled(node: &Node) -> Node {
    let mut node = node.clone();
    match &mut node.content {
        Some(NodeContent::Nodes(children)) => children.iter_mut().for_each(|child| *child = garbled(child)),
        Some(NodeContent::Bytes(bytes)) if node.tag == "enc" => {
            if let Some(place) = bytes.len().checked_sub(AUTHENTICATED) {
                bytes[place] ^= 0xff;
            }
        }
        _ => {}
    }
    node
}

/// Fans a message of a device out. The error is the code of the nack.
pub(crate) fn distribute(
    world: &Arc<World>,
    sender: &AccountInfo,
    device: u16,
    node: &Node,
    copies: u32,
) -> Result<Relayed, u16> {
    let to = iq::jid(node, "to").ok_or(479_u16)?;
    if iq::attr(node, "id").is_empty() {
        return Err(479);
    }
    let (targets, phash) = if to.is_group() {
        to_group(world, sender, device, node, &to)?
    } else {
        to_user(world, sender, device, node, &to)?
    };
    let from = DeviceId { phone: sender.phone.clone(), device };
    // One that is for a single device was asked for by it.
    let asked_for =
        if to.is_group() { node.attrs.contains_key("participant") } else { node.get_optional_child("enc").is_some() };
    let devices: Vec<DeviceId> = targets.iter().map(|(device, _)| device.clone()).collect();
    let (id, from, to) = (iq::attr(node, "id"), from.to_string(), to.to_string());
    let now = world.now();
    let new = world.ledger.lock().note((&id, &from, &to), &devices, asked_for, now);
    for ((target, stanza), new) in targets.into_iter().zip(new) {
        if !new && world.policy.deduplicates() {
            continue;
        }
        for _ in 1..copies {
            world.deliver(&target, stanza.clone());
        }
        world.deliver(&target, stanza);
    }
    Ok(Relayed { phash })
}

type Targets = (Vec<(DeviceId, Node)>, Option<String>);

/// A message as it leaves the server, but for who it is from and its content.
fn envelope(world: &World, sender: &AccountInfo, node: &Node) -> Node {
    let mut stanza = NodeBuilder::new("message").build();
    for key in ["id", "type", "edit", "category"] {
        copy(node, &mut stanza, key);
    }
    stanza.attrs.push("t", world.now().to_string());
    stanza.attrs.push("notify", &*sender.name);
    stanza
}

/// The children that are for everyone.
fn common(node: &Node) -> impl Iterator<Item = &Node> {
    node.children()
        .unwrap_or_default()
        .iter()
        .filter(|child| !matches!(&*child.tag, "participants" | "enc" | "tctoken" | "cstoken" | "device-identity"))
}

fn content(node: &Node, own: &[&Node]) -> Vec<Node> {
    let mut children: Vec<Node> = own.iter().map(|enc| (*enc).clone()).collect();
    if own.iter().any(|enc| iq::attr(enc, "type") == "pkmsg")
        && let Some(identity) = node.get_optional_child("device-identity")
    {
        children.push(identity.clone());
    }
    children.extend(common(node).cloned());
    children
}

/// The ciphertexts by device.
fn by_device<'a>(world: &World, node: &'a Node) -> Vec<(DeviceId, Jid, &'a Node)> {
    let Some(participants) = node.get_optional_child("participants") else { return Vec::new() };
    participants
        .get_children_by_tag("to")
        .filter_map(|to| {
            let jid = iq::jid(to, "jid")?;
            Some((world.resolve_device(&jid)?, jid, to.get_optional_child("enc")?))
        })
        .collect()
}

fn to_user(world: &World, sender: &AccountInfo, device: u16, node: &Node, to: &Jid) -> Result<Targets, u16> {
    let recipient = world.account(to).ok_or(404_u16)?;
    world.acquaint(&sender.phone, &recipient.phone);
    let lid = to.server == Server::Lid;
    let from = if lid { Jid::lid_device(&*sender.lid, device) } else { Jid::pn_device(&*sender.phone, device) };
    let stanza_for = |target: &DeviceId, enc: &Node| {
        let mut stanza = envelope(world, sender, node);
        stanza.attrs.push("from", from.clone());
        if lid {
            stanza.attrs.push("sender_pn", sender.jid());
        } else {
            stanza.attrs.push("sender_lid", sender.lid_jid());
        }
        if target.phone == sender.phone && node.attrs.get("category").is_none() {
            let chat = iq::jid(node, "recipient").unwrap_or_else(|| to.clone());
            stanza.attrs.push("recipient", chat.to_non_ad());
            if lid {
                stanza.attrs.push("peer_recipient_pn", recipient.jid());
            } else {
                stanza.attrs.push("peer_recipient_lid", recipient.lid_jid());
            }
        }
        stanza.content = Some(NodeContent::Nodes(content(node, &[enc])));
        stanza
    };
    if let Some(enc) = node.get_optional_child("enc") {
        // For one device alone: a message to the own phone, or one sent again.
        let target = DeviceId { phone: recipient.phone.clone(), device: to.device };
        let stanza = stanza_for(&target, enc);
        return Ok((vec![(target, stanza)], None));
    }
    let encrypted = by_device(world, node);
    let blocked = is_blocked(world, sender, &recipient.phone);
    let mut expected: Vec<Jid> = Vec::new();
    for (account, phone) in [(&recipient, &recipient.phone), (sender, &sender.phone)] {
        if account.phone == sender.phone && std::ptr::eq(account, &recipient) {
            continue;
        }
        // The hash is over the devices as the sender writes them.
        let as_lid = encrypted
            .iter()
            .find(|(target, ..)| target.phone == *phone)
            .map_or(lid, |(_, jid, _)| jid.server == Server::Lid);
        expected.extend(
            world.devices(phone).into_iter().filter(|known| known.phone != sender.phone || known.device != device).map(
                |known| {
                    if as_lid {
                        Jid::lid_device(&*account.lid, known.device)
                    } else {
                        Jid::pn_device(&*account.phone, known.device)
                    }
                },
            ),
        );
    }
    let targets = encrypted
        .into_iter()
        .filter(|(target, ..)| target.phone == recipient.phone || target.phone == sender.phone)
        .filter(|(target, ..)| target.phone != sender.phone || target.device != device)
        .filter(|(target, ..)| !(blocked && target.phone == recipient.phone))
        .filter(|(target, ..)| exists(world, target))
        .map(|(target, _, enc)| {
            let stanza = stanza_for(&target, enc);
            (target, stanza)
        })
        .collect();
    Ok((targets, MessageUtils::participant_list_hash(&expected).ok()))
}

fn to_group(world: &World, sender: &AccountInfo, device: u16, node: &Node, group: &Jid) -> Result<Targets, u16> {
    let members = groups::members(world, group).ok_or(404_u16)?;
    if !members.iter().any(|member| **member == *sender.phone) {
        return Err(403);
    }
    let lid = groups::addressing(world, group) == groups::Addressing::Lid;
    let write = |account: &AccountInfo, device: u16| {
        if lid { Jid::lid_device(&*account.lid, device) } else { Jid::pn_device(&*account.phone, device) }
    };
    let mut base = envelope(world, sender, node);
    base.attrs.push("from", group.clone());
    base.attrs.push("participant", write(sender, device));
    base.attrs.push("addressing_mode", if lid { "lid" } else { "pn" });
    if lid {
        base.attrs.push("participant_pn", sender.jid());
    } else {
        base.attrs.push("participant_lid", sender.lid_jid());
    }
    let shared = node.get_optional_child("enc");
    if let Some(only) = iq::jid(node, "participant") {
        // Sent again for one device.
        let (Some(target), Some(enc)) = (world.resolve_device(&only), shared) else { return Err(479) };
        base.content = Some(NodeContent::Nodes(content(node, &[enc])));
        return Ok((vec![(target, base)], None));
    }
    let encrypted = by_device(world, node);
    let mut expected = Vec::new();
    let mut targets = Vec::new();
    for member in &members {
        let Some(account) = world.account_by_phone(member) else { continue };
        for target in world.devices(member) {
            expected.push(write(&account, target.device));
            if target.phone == sender.phone && target.device == device {
                continue;
            }
            let own = encrypted.iter().find(|(to, ..)| *to == target).map(|(_, _, enc)| *enc);
            let encs: Vec<&Node> = own.into_iter().chain(shared).collect();
            if !encs.is_empty() {
                let mut stanza = base.clone();
                stanza.content = Some(NodeContent::Nodes(content(node, &encs)));
                targets.push((target, stanza));
            }
        }
    }
    Ok((targets, MessageUtils::participant_list_hash(&expected).ok()))
}

fn exists(world: &World, device: &DeviceId) -> bool {
    device.device == 0 || world.directory.read().companion(device).is_some()
}

fn is_blocked(world: &World, sender: &AccountInfo, recipient: &str) -> bool {
    let blocked = world.blocked.lock();
    blocked.get(recipient).is_some_and(|blocked| {
        blocked.contains(&sender.jid().to_string()) || blocked.contains(&sender.lid_jid().to_string())
    })
}
