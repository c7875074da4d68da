//! `xmlns="encrypt"`: prekeys are counted, uploaded, rotated, checked and handed out.

use std::sync::Arc;

use wacore_binary::{Jid, Node, builder::NodeBuilder};

use super::{SessionHandle, iq, pairing};
use crate::world::{DeviceId, KeyBundle, OneTimeKey, SignedKey, World};

/// A device with so few one-time keys left is asked for more.
const FEW: usize = 10;

pub(super) fn handle(world: &Arc<World>, session: &SessionHandle, request: &Node) -> Option<Node> {
    if request.get_optional_child("count").is_some() {
        return Some(count(world, session, request));
    }
    if request.get_optional_child("digest").is_some() {
        return Some(digest(world, session, request));
    }
    if let Some(rotate) = request.get_optional_child("rotate") {
        return Some(rotate_signed_key(world, session, request, rotate));
    }
    if let Some(wanted) = request.get_optional_child("key") {
        return Some(fetch(world, request, wanted));
    }
    request.get_optional_child("list").map(|list| upload(world, session, request, list))
}

fn count(world: &World, session: &SessionHandle, request: &Node) -> Node {
    let count = world.directory.read().companion(&session.device).map_or(0, |companion| companion.one_time_keys.len());
    iq::result(request, [NodeBuilder::new("count").attr("value", count as u64).build()])
}

fn upload(world: &Arc<World>, session: &SessionHandle, request: &Node, list: &Node) -> Node {
    let uploaded: Vec<OneTimeKey> = list
        .get_children_by_tag("key")
        .filter_map(|key| Some(OneTimeKey { id: iq::child_number(key, "id")?, public: iq::child_key(key, "value")? }))
        .collect();
    let identity = iq::child_key(request, "identity");
    let signed = request.get_optional_child("skey").and_then(signed_key);
    let first = {
        let mut directory = world.directory.write();
        let Some(companion) = directory.companion_mut(&session.device) else {
            return iq::error(request, 401, "not-authorized");
        };
        if identity != Some(companion.identity) {
            return iq::error(request, 406, "not-acceptable");
        }
        match signed {
            Some(signed) if pairing::signed_by(&companion.identity, &signed) => companion.signed_key = signed,
            _ => return iq::error(request, 406, "not-acceptable"),
        }
        if let Some(registration) = iq::child_number(request, "registration") {
            companion.registration_id = registration;
        }
        let first = companion.one_time_keys.is_empty();
        // A key uploaded again keeps its place.
        for key in uploaded {
            if !companion.one_time_keys.iter().any(|known| known.id == key.id) {
                companion.one_time_keys.push_back(key);
            }
        }
        first
    };
    if first {
        crate::phone::share_app_state_key(world, &session.device);
    }
    iq::result(request, [])
}

fn signed_key(node: &Node) -> Option<SignedKey> {
    Some(SignedKey {
        id: iq::child_number(node, "id")?,
        public: iq::child_key(node, "value")?,
        signature: iq::child_bytes(node, "signature")?.to_vec(),
    })
}

fn rotate_signed_key(world: &World, session: &SessionHandle, request: &Node, rotate: &Node) -> Node {
    let mut directory = world.directory.write();
    let Some(companion) = directory.companion_mut(&session.device) else {
        return iq::error(request, 401, "not-authorized");
    };
    match rotate.get_optional_child("skey").and_then(signed_key) {
        Some(signed) if pairing::signed_by(&companion.identity, &signed) => {
            companion.signed_key = signed;
            iq::result(request, [])
        }
        _ => iq::error(request, 406, "not-acceptable"),
    }
}

/// What the server holds of the client's own keys: the client compares.
fn digest(world: &World, session: &SessionHandle, request: &Node) -> Node {
    let directory = world.directory.read();
    let Some(companion) = directory.companion(&session.device) else {
        return iq::error(request, 404, "item-not-found");
    };
    let one_time: Vec<&[u8]> = companion.one_time_keys.iter().map(|key| key.public.as_slice()).collect();
    let hash = wacore::prekeys::compute_key_bundle_digest(
        &companion.identity,
        &companion.signed_key.public,
        &companion.signed_key.signature,
        &one_time,
    );
    let ids = companion.one_time_keys.iter().map(|key| NodeBuilder::new("id").bytes(three_bytes(key.id)).build());
    iq::result(
        request,
        [NodeBuilder::new("digest")
            .children([
                NodeBuilder::new("registration").bytes(companion.registration_id.to_be_bytes().to_vec()).build(),
                NodeBuilder::new("type").bytes(vec![5]).build(),
                NodeBuilder::new("identity").bytes(companion.identity.to_vec()).build(),
                signed_node(&companion.signed_key),
                NodeBuilder::new("list").children(ids).build(),
                NodeBuilder::new("hash").bytes(hash).build(),
            ])
            .build()],
    )
}

fn fetch(world: &Arc<World>, request: &Node, wanted: &Node) -> Node {
    let users = wanted.get_children_by_tag("user").filter_map(|user| iq::jid(user, "jid")).map(|jid| {
        let bundle = world.resolve_device(&jid).and_then(|device| take_bundle(world, &device));
        user_node(jid, bundle, world.now())
    });
    let users: Vec<Node> = users.collect();
    iq::result(request, [NodeBuilder::new("list").children(users).build()])
}

/// What starts a session with a device; a phone makes a one-time key on the spot.
pub(crate) fn take_bundle(world: &Arc<World>, device: &DeviceId) -> Option<KeyBundle> {
    if device.device == 0 {
        return crate::phone::bundle(world, &device.phone);
    }
    let (bundle, left) = world.directory.write().take_bundle(device)?;
    // Told once on the way down: the client uploads a whole batch.
    if bundle.one_time_key.is_some() && left == FEW {
        world.notify(
            device,
            NodeBuilder::new("notification")
                .attr("from", wacore_binary::SERVER_JID)
                .attr("type", "encrypt")
                .children([NodeBuilder::new("count").attr("value", left as u64).build()])
                .build(),
        );
    }
    Some(bundle)
}

fn user_node(jid: Jid, bundle: Option<KeyBundle>, now: u64) -> Node {
    let user = NodeBuilder::new("user").attr("jid", jid);
    let Some(bundle) = bundle else {
        return user
            .children([NodeBuilder::new("error").attr("code", 406_u32).attr("text", "not-acceptable").build()])
            .build();
    };
    let mut children = vec![
        NodeBuilder::new("registration").bytes(bundle.registration_id.to_be_bytes().to_vec()).build(),
        NodeBuilder::new("type").bytes(vec![5]).build(),
        NodeBuilder::new("identity").bytes(bundle.identity.to_vec()).build(),
        signed_node(&bundle.signed_key),
    ];
    if let Some(key) = bundle.one_time_key {
        children.push(
            NodeBuilder::new("key")
                .children([
                    NodeBuilder::new("id").bytes(three_bytes(key.id)).build(),
                    NodeBuilder::new("value").bytes(key.public.to_vec()).build(),
                ])
                .build(),
        );
    }
    if let Some(identity) = bundle.signed_identity {
        children.push(NodeBuilder::new("device-identity").bytes(identity).build());
    }
    user.attr("t", now).children(children).build()
}

fn signed_node(key: &SignedKey) -> Node {
    NodeBuilder::new("skey")
        .children([
            NodeBuilder::new("id").bytes(three_bytes(key.id)).build(),
            NodeBuilder::new("value").bytes(key.public.to_vec()).build(),
            NodeBuilder::new("signature").bytes(key.signature.clone()).build(),
        ])
        .build()
}

fn three_bytes(id: u32) -> Vec<u8> {
    id.to_be_bytes()[1..].to_vec()
}
