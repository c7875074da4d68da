//! The small requests a client makes after its login: answered so that it is content.

use std::sync::Arc;

use wacore_binary::{Node, builder::NodeBuilder};

use super::{SessionHandle, iq};
use crate::world::World;

pub(super) fn handle(world: &Arc<World>, session: &SessionHandle, request: &Node, namespace: &str) -> Option<Node> {
    let get = iq::attr(request, "type") == "get";
    match namespace {
        "abt" | "w" => Some(iq::result(
            request,
            [NodeBuilder::new("props")
                .attr("protocol", 1_u32)
                .attr("ab_key", "sim")
                .attr("hash", "sim")
                .attr("refresh", 86_400_u32)
                .attr("refresh_id", 1_u32)
                .build()],
        )),
        "blocklist" => Some(blocklist(world, session, request, get)),
        "privacy" => Some(privacy(world, session, request)),
        "w:profile:picture" if get => Some(picture(world, request)),
        "disappearing_mode" if get => {
            Some(iq::result(request, [NodeBuilder::new("disappearing_mode").attr("duration", 0_u32).build()]))
        }
        "w:profile:picture"
        | "urn:xmpp:whatsapp:push"
        | "urn:xmpp:whatsapp:dirty"
        | "status"
        | "disappearing_mode"
        | "tos"
        | "w:stats" => Some(iq::result(request, [])),
        _ => None,
    }
}

/// The link to a picture of the request's target; like the real server, an error where there is none.
fn picture(world: &World, request: &Node) -> Node {
    let kind = request.get_optional_child("picture").map(|picture| iq::attr(picture, "type")).unwrap_or_default();
    let whose = iq::jid(request, "target").map(|target| match world.resolve(&target) {
        Some(phone) => phone.to_string(),
        None => target.to_string(),
    });
    let pictures = world.pictures.lock();
    let Some(url) = whose.and_then(|whose| pictures.get(&whose)) else {
        return iq::error(request, 404, "item-not-found");
    };
    let path = url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or_default();
    let picture = NodeBuilder::new("picture")
        .attr("id", "1700000000")
        .attr("type", kind)
        .attr("url", url)
        .attr("direct_path", path);
    iq::result(request, [picture.build()])
}

fn blocklist(world: &World, session: &SessionHandle, request: &Node, get: bool) -> Node {
    let mut blocked = world.blocked.lock();
    let blocked = blocked.entry(session.device.phone.clone()).or_default();
    if !get && let Some(item) = request.get_optional_child("item") {
        let jid = iq::attr(item, "jid");
        match iq::attr(item, "action").as_str() {
            "block" => blocked.insert(jid),
            _ => blocked.remove(&jid),
        };
    }
    let items = blocked.iter().map(|jid| NodeBuilder::new("item").attr("jid", jid).build());
    iq::result(request, [NodeBuilder::new("list").attr("dhash", "sim").children(items).build()])
}

fn privacy(world: &Arc<World>, session: &SessionHandle, request: &Node) -> Node {
    if let Some(tokens) = request.get_optional_child("tokens") {
        for token in tokens.get_children_by_tag("token") {
            trust(world, session, token);
        }
        return iq::result(request, []);
    }
    let categories = ["readreceipts", "profile", "status", "online", "last", "groupadd", "calladd"]
        .map(|name| NodeBuilder::new("category").attr("name", name).attr("value", "all").build());
    iq::result(request, [NodeBuilder::new("privacy").children(categories).build()])
}

/// The client trusts a contact: the contact gets a token to write with.
fn trust(world: &Arc<World>, session: &SessionHandle, token: &Node) {
    let Some(contact) = iq::jid(token, "jid") else { return };
    let (Some(phone), Some(sender)) = (world.resolve(&contact), world.account_by_phone(&session.device.phone)) else {
        return;
    };
    let from = if contact.server == wacore_binary::Server::Lid { sender.lid_jid() } else { sender.jid() };
    let secret = format!("{}>{phone}", session.device.phone);
    let mut given = NodeBuilder::new("token")
        .attr("type", "trusted_contact")
        .bytes(<sha2::Sha256 as sha2::Digest>::digest(secret.as_bytes()).to_vec())
        .build();
    super::router::copy(token, &mut given, "t");
    let notification = NodeBuilder::new("notification")
        .attr("from", from)
        .attr("type", "privacy_token")
        .attr("sender_lid", sender.lid_jid())
        .children([NodeBuilder::new("tokens").children([given]).build()])
        .build();
    for device in world.devices(&phone).into_iter().filter(|device| device.device != 0) {
        world.notify(&device, notification.clone());
    }
}
