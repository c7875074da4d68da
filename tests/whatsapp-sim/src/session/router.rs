//! Where each stanza of a logged-in client goes.

use std::{sync::Arc, time::Duration};

use wacore_binary::{Node, NodeValue};

use super::{SessionHandle, iq, keys, login, message, presence, receipt, settings, usync};
use crate::{appstate, groups, media, world::World};

pub(super) fn route(world: &Arc<World>, session: &SessionHandle, node: &Node) {
    match node.tag.as_ref() {
        "iq" => request(world, session, node),
        "message" => message::relay(world, session, node),
        "receipt" => receipt::relay(world, session, node),
        "ack" => acknowledge(world, session, node),
        "presence" => presence::presence(world, session, node),
        "chatstate" => presence::chatstate(world, session, node),
        "ib" => information(world, session, node),
        tag => tracing::debug!(tag, "a stanza the simulator does not know"),
    }
}

/// The client has a stanza of the server's.
fn acknowledge(world: &World, session: &SessionHandle, node: &Node) {
    let class = iq::attr(node, "class");
    let id = iq::attr(node, "id");
    world.mail.lock().acknowledge(&session.device, &class, std::iter::once(id.as_str()));
}

/// A batch is as far away as a server is: the client notes that it asked before the first stanza is there. One that lost count
/// of what it asked for is not left waiting.
async fn send_batch(world: Arc<World>, session: SessionHandle, count: usize) {
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut at = world.mail.lock().batch(&session, count, None);
    while let Some(reached) = at {
        tokio::time::sleep(Duration::from_secs(1)).await;
        at = world.mail.lock().batch(&session, count, Some(reached));
    }
}

fn information(world: &Arc<World>, session: &SessionHandle, node: &Node) {
    if let Some(batch) = node.get_optional_child("offline_batch") {
        let count = iq::attr(batch, "count").parse().unwrap_or(0);
        tokio::spawn(send_batch(world.clone(), session.clone(), count));
    }
}

fn request(world: &Arc<World>, session: &SessionHandle, node: &Node) {
    let kind = iq::attr(node, "type");
    if kind == "result" || kind == "error" {
        return;
    }
    let namespace = iq::attr(node, "xmlns");
    world.count_iq(&namespace);
    if let Some((code, text)) = world.faults.refuses_iq(&session.device, &namespace) {
        session.send(iq::error(node, code, &text));
        return;
    }
    let answer = match namespace.as_str() {
        "w:p" | "urn:xmpp:ping" => Some(iq::result(node, [])),
        "encrypt" => keys::handle(world, session, node),
        "usync" => usync::handle(world, session, node),
        "w:g2" => groups::handle_iq(world, session, node),
        "w:sync:app:state" => appstate::handle_iq(world, session, node),
        "w:m" => media::handle_media_conn(world, session, node),
        "passive" => {
            session.send(iq::result(node, []));
            if node.get_optional_child("active").is_some() {
                world.mail.lock().activate(&session.device);
            }
            return;
        }
        "md" => match node.get_optional_child("remove-companion-device") {
            Some(_) => {
                session.send(iq::result(node, []));
                login::remove_companion(world, &session.device);
                return;
            }
            None => None,
        },
        _ => settings::handle(world, session, node, &namespace),
    };
    session.send(answer.unwrap_or_else(|| {
        tracing::debug!(namespace, "an iq the simulator does not answer");
        iq::error(node, 501, "feature-not-implemented")
    }));
}

/// Copies an attribute, when it is there.
pub(super) fn copy(from: &Node, to: &mut Node, key: &'static str) {
    if let Some(value) = from.attrs.get(key) {
        to.attrs.push(key, NodeValue::clone(value));
    }
}
