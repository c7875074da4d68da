//! `xmlns="usync"`: who is on WhatsApp, their LIDs, their devices. A Brazilian number is found in either form, and the answer
//! names the registered one.

use std::sync::Arc;

use wacore_binary::{Jid, Node, Server, builder::NodeBuilder};
use waproto::whatsapp as wa;

use super::{SessionHandle, iq};
use crate::world::{DeviceList, World};

pub(super) fn handle(world: &Arc<World>, _session: &SessionHandle, request: &Node) -> Option<Node> {
    let usync = request.get_optional_child("usync")?;
    let query = usync.get_optional_child("query")?;
    let asks = |tag: &str| query.get_optional_child(tag).is_some();
    let users: Vec<Node> =
        usync.get_optional_child("list")?.get_children_by_tag("user").map(|user| answer(world, user, &asks)).collect();
    let mut answer = NodeBuilder::new("usync");
    for key in ["sid", "mode", "last", "index", "context"] {
        if let Some(value) = usync.attrs.get(key) {
            answer = answer.attr(key, value.clone());
        }
    }
    let result = NodeBuilder::new("result").children(query.children().unwrap_or_default().iter().map(|protocol| {
        let mut plain = Node { tag: protocol.tag.clone(), ..Node::default() };
        plain.attrs.push("refresh", "86400");
        plain
    }));
    Some(iq::result(
        request,
        [answer.children([result.build(), NodeBuilder::new("list").children(users).build()]).build()],
    ))
}

fn answer(world: &World, user: &Node, asks: &impl Fn(&str) -> bool) -> Node {
    let asked = iq::jid(user, "jid").or_else(|| {
        let number = user.get_optional_child("contact")?.content_as_string()?;
        Some(Jid::pn(number.trim_start_matches('+')))
    });
    let Some(asked) = asked else { return NodeBuilder::new("user").build() };
    let Some(list) = world.directory.read().device_list(&asked) else {
        let unknown = NodeBuilder::new("user").attr("jid", asked);
        return if asks("contact") {
            unknown.children([NodeBuilder::new("contact").attr("type", "out").build()]).build()
        } else {
            unknown.build()
        };
    };
    // A LID is answered as it was asked; a number as it is registered.
    let jid = if asked.server == Server::Lid { list.info.lid_jid() } else { list.info.jid() };
    let mut children = Vec::new();
    if asks("contact") {
        let number = user.get_optional_child("contact").and_then(Node::content_as_string);
        let contact = NodeBuilder::new("contact").attr("type", "in");
        children.push(match number {
            Some(number) => contact.string_content(number).build(),
            None => contact.build(),
        });
    }
    if asks("lid") {
        children.push(NodeBuilder::new("lid").attr("val", list.info.lid_jid()).build());
    }
    if asks("devices") {
        children.push(devices(&list, world.now()));
    }
    if asks("status") {
        children.push(NodeBuilder::new("status").attr("t", world.now()).bytes(b"Hey there!".to_vec()).build());
    }
    NodeBuilder::new("user").attr("jid", jid).attr("pn_jid", list.info.jid()).children(children).build()
}

fn devices(list: &DeviceList, now: u64) -> Node {
    let companions = list.companions.iter().map(|(device, key_index)| {
        NodeBuilder::new("device").attr("id", u32::from(*device)).attr("key-index", *key_index).build()
    });
    let all = std::iter::once(NodeBuilder::new("device").attr("id", 0_u32).build()).chain(companions);
    let mut children = vec![NodeBuilder::new("device-list").children(all).build()];
    if !list.companions.is_empty() {
        children.push(key_index_list(list, now));
    }
    NodeBuilder::new("devices").children(children).build()
}

/// The list of valid companions that the phone signed.
fn key_index_list(list: &DeviceList, now: u64) -> Node {
    let details = waproto::codec::adv_key_index_list_to_vec(&wa::ADVKeyIndexList {
        raw_id: Some(list.raw_id),
        timestamp: Some(now),
        current_index: Some(list.current_key_index),
        valid_indexes: list.companions.iter().map(|(_, key_index)| *key_index).collect(),
        ..Default::default()
    });
    let signed = [&[6, 2], details.as_slice()].concat();
    let signature = list
        .identity
        .private_key
        .calculate_signature(&signed, &mut rand::rng())
        .map(|signature| signature.to_vec())
        .ok();
    let bytes = waproto::codec::adv_signed_key_index_list_to_vec(&wa::ADVSignedKeyIndexList {
        details: Some(details),
        account_signature: signature,
        account_signature_key: Some(list.identity.public_key.public_key_bytes().to_vec()),
    });
    NodeBuilder::new("key-index-list").attr("ts", now).bytes(bytes).build()
}

/// Tells the account's other companions, and those of everybody it wrote with, that its devices changed. Who misses it learns
/// it from the `phash` of the next ack.
pub(super) fn tell_devices_changed(
    world: &Arc<World>,
    phone: &str,
    change: &'static str,
    device: u16,
    key_index: Option<u32>,
) {
    let Some(list) = world.directory.read().device_list(&Jid::pn(phone)) else { return };
    let mut changed = NodeBuilder::new("device")
        .attr("jid", Jid::pn_device(&*list.info.phone, device))
        .attr("lid", Jid::lid_device(&*list.info.lid, device));
    if let Some(key_index) = key_index {
        changed = changed.attr("key-index", key_index);
    }
    let notification = NodeBuilder::new("notification")
        .attr("from", list.info.jid())
        .attr("type", "devices")
        .attr("lid", list.info.lid_jid())
        .children([NodeBuilder::new(change).children([changed.build(), key_index_list(&list, world.now())]).build()])
        .build();
    let known: Vec<Arc<str>> = world.acquaintances.lock().get(phone).into_iter().flatten().cloned().collect();
    for account in known.into_iter().chain([list.info.phone.clone()]) {
        for other in world.devices(&account) {
            let itself = other.device == device && other.phone == list.info.phone;
            if other.device != 0 && !itself {
                world.notify(&other, notification.clone());
            }
        }
    }
}
