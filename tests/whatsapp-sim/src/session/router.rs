//! Where each stanza of a logged-in client goes.

use std::{sync::Arc, time::Duration};

use wacore_binary::{Node, NodeValue};

use super::{SessionHandle, iq, keys, login, message, presence, receipt, settings, usync, wrong_ack};
use crate::world::{Exactness, World};
use crate::{appstate, groups, media};

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

/// The client has a stanza of the server's. The ack must name it as it was sent; one that does not is counted, and ends the stream
/// of a server that is strict.
fn acknowledge(world: &World, session: &SessionHandle, node: &Node) {
    let class = iq::attr(node, "class");
    let id = iq::attr(node, "id");
    if world.mail.lock().acknowledge_named(&session.device, &class, &id, |stanza| exactness(node, stanza)) {
        return;
    }
    world.policy.count_wrong_ack();
    tracing::info!(device = %session.device, %class, kind = %iq::attr(node, "type"), "an ack does not name its stanza");
    if world.policy.strict_acks() {
        session.end(Some(wrong_ack(node)));
        return;
    }
    world.mail.lock().acknowledge(&session.device, &class, std::iter::once(id.as_str()));
}

/// Whether an ack names its stanza: whom it is from, and, as far as the stanza has them, participant, recipient and type. The type
/// of a message is about its content, and no client repeats it; nor does WhatsApp's own repeat that of news about somebody's identity.
fn names(ack: &Node, stanza: &Node) -> bool {
    let same = |sent: &NodeValue, named: &NodeValue| {
        // One address may be written in two ways.
        sent.as_str() == named.as_str() || sent.to_jid().is_some_and(|sent| named.to_jid() == Some(sent))
    };
    let echoed = |of: &str, by: &str| match stanza.attrs.get(of) {
        Some(sent) => ack.attrs.get(by).is_some_and(|named| same(sent, named)),
        None => true,
    };
    let is_identity = stanza.tag == "notification" && stanza.get_optional_child("identity").is_some();
    let typed = stanza.tag == "message" || is_identity || echoed("type", "type");
    typed && echoed("from", "to") && echoed("participant", "participant") && echoed("recipient", "recipient")
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

/// How exactly an ack names a stanza; `None` if it does not. A receipt without a type is named by acks with and without one, of which the
/// former may mean another receipt of the same device.
fn exactness(ack: &Node, stanza: &Node) -> Option<Exactness> {
    let has_both_or_none = ack.attrs.contains_key("type") == stanza.attrs.contains_key("type");
    names(ack, stanza).then_some(if has_both_or_none { Exactness::Whole } else { Exactness::Enough })
}

#[cfg(test)]
mod tests {
    use wacore_binary::builder::NodeBuilder;

    use super::*;

    #[test]
    fn an_ack_names_whom_and_what_it_acknowledges() {
        let receipt = NodeBuilder::new("receipt")
            .attr("id", "1")
            .attr("from", "1203@g.us")
            .attr("participant", "5511900000001:3@s.whatsapp.net")
            .attr("type", "retry")
            .build();
        let ack = NodeBuilder::new("ack").attr("class", "receipt").attr("id", "1").attr("to", "1203@g.us");
        let whole = ack.attr("participant", "5511900000001:3@s.whatsapp.net").attr("type", "retry").build();
        assert!(names(&whole, &receipt));
        for (key, other) in [("to", "1204@g.us"), ("participant", "5511900000001@s.whatsapp.net"), ("type", "read")] {
            let mut wrong = whole.clone();
            wrong.attrs.insert(key, other);
            assert!(!names(&wrong, &receipt), "{key}");
        }
        let message =
            NodeBuilder::new("message").attr("from", "5511900000001@s.whatsapp.net").attr("type", "text").build();
        let plain = NodeBuilder::new("ack").attr("class", "message").attr("to", "5511900000001@s.whatsapp.net").build();
        assert!(names(&plain, &message), "the type of a message is not repeated");

        let delivered = NodeBuilder::new("receipt").attr("id", "1").attr("from", "1203@g.us").build();
        let ack = NodeBuilder::new("ack").attr("class", "receipt").attr("id", "1").attr("to", "1203@g.us");
        assert_eq!(exactness(&ack.build(), &delivered), Some(Exactness::Whole));
        assert_eq!(exactness(&whole, &delivered), Some(Exactness::Enough), "it may mean another one");
        assert_eq!(exactness(&plain, &delivered), None);
    }
}
