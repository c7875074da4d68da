//! Receipts: they acknowledge what the server queued, and go to the sender of the message.

use std::sync::Arc;

use wacore_binary::{Jid, JidExt as _, Node, Server, builder::NodeBuilder};

use super::{SessionHandle, iq, router::copy};
use crate::{
    groups, media,
    world::{AccountInfo, DeviceId, World},
};

pub(super) fn relay(world: &Arc<World>, session: &SessionHandle, receipt: &Node) {
    let id = iq::attr(receipt, "id");
    let kind = iq::attr(receipt, "type");
    session.send(acknowledgement(receipt, &id, &kind));
    let listed: Vec<String> = receipt
        .get_optional_child("list")
        .map(|list| list.get_children_by_tag("item").map(|item| iq::attr(item, "id")).collect())
        .unwrap_or_default();
    // Who asks for a message again has not got it: an `<ack>` of its own takes the damaged one from the queue.
    if kind != "retry" {
        let ids = std::iter::once(id.as_str()).chain(listed.iter().map(String::as_str));
        world.mail.lock().acknowledge(&session.device, "message", ids);
    }
    let Some(account) = world.account_by_phone(&session.device.phone) else { return };
    match kind.as_str() {
        "server-error" => media::handle_retry_request(world, session, receipt),
        "peer_msg" => {}
        "hist_sync" => to_own_phone(world, session, receipt),
        _ => send(world, &account, session.device.device, receipt, &kind),
    }
}

/// The phone learns that its companion has a part of the history.
fn to_own_phone(world: &World, session: &SessionHandle, receipt: &Node) {
    let mut stanza = NodeBuilder::new("receipt").attr("from", session.device.jid()).attr("t", world.now()).build();
    copy(receipt, &mut stanza, "id");
    copy(receipt, &mut stanza, "type");
    world.deliver(&DeviceId { phone: session.device.phone.clone(), device: 0 }, stanza);
}

fn acknowledgement(receipt: &Node, id: &str, kind: &str) -> Node {
    let ack = NodeBuilder::new("ack").attr("class", "receipt").attr("id", id);
    let ack = if kind.is_empty() { ack } else { ack.attr("type", kind) };
    let mut ack = ack.build();
    if let Some(to) = receipt.attrs.get("to") {
        ack.attrs.push("from", to.clone());
    }
    copy(receipt, &mut ack, "participant");
    ack
}

/// Routes a receipt that a device of `account` gave.
pub(crate) fn send(world: &Arc<World>, account: &AccountInfo, device: u16, receipt: &Node, kind: &str) {
    let Some(to) = iq::jid(receipt, "to") else { return };
    let retry = kind == "retry" || kind == "enc_rekey_retry";
    let read = matches!(kind, "read" | "played" | "read-self" | "played-self");
    // What is read is read by the person; what arrived, arrived at a device.
    let own_device = if read { 0 } else { device };
    let own = |lid: bool| {
        if lid { Jid::lid_device(&*account.lid, own_device) } else { Jid::pn_device(&*account.phone, own_device) }
    };
    let participant = iq::jid(receipt, "participant");
    let mut stanza = Node { tag: receipt.tag.clone(), content: receipt.content.clone(), ..Node::default() };
    copy(receipt, &mut stanza, "id");
    copy(receipt, &mut stanza, "type");
    stanza.attrs.push("t", world.now().to_string());
    let sender = if to.is_group() || to.server == Server::Broadcast {
        let Some(participant) = participant else { return };
        stanza.attrs.push("from", to.clone());
        stanza.attrs.push(
            "participant",
            own(groups::addressing(world, &to) == groups::Addressing::Lid || participant.server == Server::Lid),
        );
        participant
    } else {
        stanza.attrs.push("from", own(to.server == Server::Lid));
        copy(receipt, &mut stanza, "recipient");
        to.clone()
    };
    let Some(target) = world.resolve_device(&sender) else { return };
    if target.phone == account.phone && target.device == device {
        return;
    }
    if retry {
        world.deliver(&target, stanza);
        return;
    }
    // Of what it sent itself, an account learns nothing new.
    if kind == "sender" || target.phone == account.phone {
        return;
    }
    for device in world.devices(&target.phone) {
        world.deliver(&device, stanza.clone());
    }
    if read {
        tell_own_devices(world, account, device, receipt, &to, kind);
    }
}

/// The reader's other devices learn what was read.
fn tell_own_devices(world: &Arc<World>, account: &AccountInfo, device: u16, receipt: &Node, chat: &Jid, kind: &str) {
    let mut stanza = NodeBuilder::new("receipt")
        .attr("from", account.jid())
        .attr("recipient", chat.to_non_ad())
        .attr("t", world.now())
        .build();
    copy(receipt, &mut stanza, "id");
    copy(receipt, &mut stanza, "participant");
    stanza.attrs.push("type", if kind.starts_with("played") { "played-self" } else { "read-self" });
    stanza.content = receipt.content.clone();
    for other in world.devices(&account.phone) {
        if other.device != device && other.device != 0 {
            world.deliver(&other, stanza.clone());
        }
    }
}
