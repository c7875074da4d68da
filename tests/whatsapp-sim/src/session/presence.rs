//! Presence and typing: routed to those who are online, remembered for nobody else.

use std::sync::Arc;

use wacore_binary::{Jid, JidExt as _, Node, Server, builder::NodeBuilder};

use super::{SessionHandle, iq};
use crate::{
    groups,
    world::{AccountInfo, DeviceId, World},
};

pub(super) fn presence(world: &Arc<World>, session: &SessionHandle, node: &Node) {
    match iq::attr(node, "type").as_str() {
        "subscribe" => {
            let Some(target) = iq::jid(node, "to") else { return };
            let Some(phone) = world.resolve(&target) else { return };
            let (available, last) = world.presences.lock().subscribe(&session.device, &phone);
            session.send(stanza(target, available, last));
        }
        "unsubscribe" => {}
        kind @ ("" | "available" | "unavailable") => {
            let name = iq::attr(node, "name");
            if !name.is_empty() {
                world.set_push_name(&session.device.phone, &name);
            }
            let available = kind != "unavailable";
            let watchers = world.presences.lock().set(&session.device, available, world.now());
            tell(world, &session.device.phone, &watchers, available);
        }
        _ => {}
    }
}

fn stanza(from: Jid, available: bool, last: Option<u64>) -> Node {
    let node = NodeBuilder::new("presence").attr("from", from.to_non_ad());
    if available {
        return node.attr("type", "available").build();
    }
    let node = node.attr("type", "unavailable");
    match last {
        Some(last) => node.attr("last", last).build(),
        None => node.attr("last", "deny").build(),
    }
}

/// Tells watchers that an account came or went.
pub(super) fn tell(world: &World, phone: &str, watchers: &[DeviceId], available: bool) {
    let last = (!available).then(|| world.now());
    for watcher in watchers {
        world.send_if_online(watcher, stanza(Jid::pn(phone), available, last));
    }
}

pub(super) fn chatstate(world: &Arc<World>, session: &SessionHandle, node: &Node) {
    if let Some(sender) = world.account_by_phone(&session.device.phone) {
        send_chatstate(world, &sender, node);
    }
}

/// Routes the typing of an account.
pub(crate) fn send_chatstate(world: &Arc<World>, sender: &AccountInfo, node: &Node) {
    let Some(to) = iq::jid(node, "to") else { return };
    let as_sender = |lid: bool| if lid { sender.lid_jid() } else { sender.jid() };
    let mut stanza = Node { tag: node.tag.clone(), content: node.content.clone(), ..Node::default() };
    let phones: Vec<Arc<str>> = if to.is_group() {
        stanza.attrs.push("from", to.clone());
        stanza.attrs.push("participant", as_sender(groups::addressing(world, &to) == groups::Addressing::Lid));
        groups::members(world, &to).unwrap_or_default().into_iter().map(Into::into).collect()
    } else {
        stanza.attrs.push("from", as_sender(to.server == Server::Lid));
        world.resolve(&to).into_iter().collect()
    };
    for phone in phones.iter().filter(|phone| **phone != sender.phone) {
        crate::phone::note_chatstate(world, phone, &stanza);
        for device in world.devices(phone) {
            world.send_if_online(&device, stanza.clone());
        }
    }
}
