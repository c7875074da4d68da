//! Pairing by a code that a person types into the phone: the server carries sealed keys between the two.

use std::sync::Arc;

use wacore_binary::{Jid, Node, SERVER_JID, builder::NodeBuilder};

use super::{SessionHandle, iq};
use crate::world::{CodePairing, PAIRING_SECONDS, World};

pub(super) fn handle(world: &Arc<World>, session: &SessionHandle, request: &Node) -> Option<Node> {
    let registration = request.get_optional_child("link_code_companion_reg")?;
    match iq::attr(registration, "stage").as_str() {
        "companion_hello" => Some(hello(world, session, request, registration)),
        "companion_finish" => Some(finish(world, session, request, registration)),
        _ => None,
    }
}

/// The client asks for a pairing with a number; the phone will be asked for the code.
fn hello(world: &Arc<World>, session: &SessionHandle, request: &Node, registration: &Node) -> Node {
    let phone = iq::jid(registration, "jid").and_then(|jid| world.resolve(&jid));
    let wrapped = iq::child_bytes(registration, "link_code_pairing_wrapped_companion_ephemeral_pub");
    let (Some(phone), Some(wrapped)) = (phone, wrapped) else { return iq::error(request, 400, "bad-request") };
    let reference = rand::random::<[u8; 32]>().to_vec();
    let pairing = CodePairing {
        connection: session.connection,
        reference: reference.clone(),
        wrapped_ephemeral: wrapped.to_vec(),
        secret: None,
        ends: world.now() + PAIRING_SECONDS,
    };
    world.pairings.lock().by_phone.insert(phone.to_string(), pairing);
    iq::result(
        request,
        [NodeBuilder::new("link_code_companion_reg")
            .attr("stage", "companion_hello")
            .children([NodeBuilder::new("link_code_pairing_ref").bytes(reference).build()])
            .build()],
    )
}

/// The phone has the code: its sealed key goes to the client.
pub(crate) fn primary_hello(
    world: &World,
    session: &SessionHandle,
    pairing: &CodePairing,
    wrapped: [u8; 80],
    identity: &[u8; 32],
) {
    session.send(
        NodeBuilder::new("notification")
            .attr("from", SERVER_JID)
            .attr("id", world.next_serial().to_string())
            .attr("t", world.now())
            .attr("type", "link_code_companion_reg")
            .children([NodeBuilder::new("link_code_companion_reg")
                .attr("stage", "primary_hello")
                .children([
                    NodeBuilder::new("link_code_pairing_wrapped_primary_ephemeral_pub").bytes(wrapped.to_vec()).build(),
                    NodeBuilder::new("primary_identity_pub").bytes(identity.to_vec()).build(),
                    NodeBuilder::new("link_code_pairing_ref").bytes(pairing.reference.clone()).build(),
                ])
                .build()])
            .build(),
    );
}

/// The client sealed its keys for the phone, which opens them and signs.
fn finish(world: &Arc<World>, session: &SessionHandle, request: &Node, registration: &Node) -> Node {
    let phone = iq::jid(registration, "jid").and_then(|jid: Jid| world.resolve(&jid));
    let bundle = iq::child_bytes(registration, "link_code_pairing_wrapped_key_bundle");
    let reference = iq::child_bytes(registration, "link_code_pairing_ref");
    let (Some(phone), Some(bundle), Some(reference)) = (phone, bundle, reference) else {
        return iq::error(request, 400, "bad-request");
    };
    let (pairing, waiting) = {
        let mut pairings = world.pairings.lock();
        let known = pairings
            .by_phone
            .get(&*phone)
            .is_some_and(|known| known.connection == session.connection && known.reference == reference);
        if !known {
            return iq::error(request, 404, "item-not-found");
        }
        (pairings.by_phone.remove(&*phone), pairings.waiting.get(&session.connection).cloned())
    };
    let (Some(pairing), Some(waiting)) = (pairing, waiting) else { return iq::error(request, 404, "item-not-found") };
    match crate::phone::finish_code(world, &phone, &pairing, &waiting, bundle) {
        Ok(_) => iq::result(request, []),
        Err(e) => {
            tracing::warn!(connection = session.connection, error = %e, "a pairing by code failed");
            iq::error(request, 400, "bad-request")
        }
    }
}
