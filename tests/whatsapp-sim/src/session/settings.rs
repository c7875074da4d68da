//! The small requests a client makes after its login: answered so that it is content.

use std::sync::Arc;

use wacore_binary::{Jid, Node, Server, builder::NodeBuilder};

use super::{SessionHandle, iq};
use crate::world::{AccountInfo, World};

pub(super) fn handle(world: &Arc<World>, session: &SessionHandle, request: &Node, namespace: &str) -> Option<Node> {
    let get = iq::attr(request, "type") == "get";
    match namespace {
        "abt" | "w" => Some(iq::result(request, [props()])),
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

/// The experiments that are on for everyone, by their numbers: the privacy token on messages to one person (10518), and the proof
/// by the account's own salt where there is no token (24941).
const PROPS: [(u32, &str); 2] = [(10_518, "1"), (24_941, "1")];

fn props() -> Node {
    let props = PROPS
        .map(|(code, value)| NodeBuilder::new("prop").attr("config_code", code).attr("config_value", value).build());
    NodeBuilder::new("props")
        .attr("protocol", 1_u32)
        .attr("ab_key", "sim")
        .attr("hash", "sim")
        .attr("refresh", 86_400_u32)
        .attr("refresh_id", 1_u32)
        .children(props)
        .build()
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
        let issuer = world.account_by_phone(&session.device.phone);
        for token in tokens.get_children_by_tag("token") {
            let (Some(issuer), Some(contact)) = (&issuer, iq::jid(token, "jid")) else { continue };
            trust(world, issuer, &contact, iq::attr(token, "t").parse().unwrap_or_else(|_| world.now()));
        }
        return iq::result(request, []);
    }
    let categories = ["readreceipts", "profile", "status", "online", "last", "groupadd", "calladd"]
        .map(|name| NodeBuilder::new("category").attr("name", name).attr("value", "all").build());
    iq::result(request, [NodeBuilder::new("privacy").children(categories).build()])
}

/// An account trusts a contact: the contact gets a token to write with.
pub(crate) fn trust(world: &Arc<World>, issuer: &AccountInfo, contact: &Jid, issued: u64) {
    let Some(phone) = world.resolve(contact) else { return };
    let from = if contact.server == Server::Lid { issuer.lid_jid() } else { issuer.jid() };
    let token = world.tokens.lock().give(&issuer.phone, &phone, issued);
    let given = NodeBuilder::new("token").attr("type", "trusted_contact").attr("t", token.issued).bytes(token.bytes);
    let notification = NodeBuilder::new("notification")
        .attr("from", from)
        .attr("type", "privacy_token")
        .attr("sender_lid", issuer.lid_jid())
        .children([NodeBuilder::new("tokens").children([given.build()]).build()])
        .build();
    for device in world.devices(&phone).into_iter().filter(|device| device.device != 0) {
        world.notify(&device, notification.clone());
    }
}
