//! Groups and their changes as nodes.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::{Addressing, Group, Role};
use crate::world::{AccountInfo, World};

/// The whole group.
pub(super) fn group(world: &World, group: &Group) -> Node {
    let mut children: Vec<Node> = group
        .members
        .iter()
        .filter_map(|m| Some(participant(group, &world.account_by_phone(&m.phone)?, Some(m.role))))
        .collect();
    let settings = &group.settings;
    if settings.locked {
        children.push(NodeBuilder::new("locked").build());
    }
    if settings.announcement {
        children.push(NodeBuilder::new("announcement").build());
    }
    if let Some(seconds) = settings.ephemeral {
        children.push(NodeBuilder::new("ephemeral").attr("expiration", seconds).build());
    }
    if settings.approval {
        let join = NodeBuilder::new("group_join").attr("state", "on").build();
        children.push(NodeBuilder::new("membership_approval_mode").children([join]).build());
    }
    let add_mode = if settings.admin_add { "admin_add" } else { "all_member_add" };
    children.push(NodeBuilder::new("member_add_mode").string_content(add_mode).build());
    children.push(NodeBuilder::new("member_link_mode").string_content("admin_link").build());
    if let Some(description) = &group.description {
        let mut node = NodeBuilder::new("description").attr("id", &description.id).attr("t", description.time);
        if let Some(owner) = world.account_by_phone(&description.owner) {
            node = node.attr("participant", group.write(&owner));
            if group.addressing == Addressing::Lid {
                node = node.attr("participant_pn", owner.jid());
            }
        }
        let body = NodeBuilder::new("body").string_content(description.text.as_str()).build();
        children.push(node.children([body]).build());
    }
    let mut node = NodeBuilder::new("group")
        .attr("id", &*group.id)
        .attr("subject", &group.subject)
        .attr("addressing_mode", mode(group.addressing))
        .attr("creation", group.created)
        .attr("s_t", group.subject_time)
        .attr("size", group.members.len() as u64);
    if let Some(creator) = world.account_by_phone(&group.creator) {
        node = node.attr("creator", group.write(&creator));
        if group.addressing == Addressing::Lid {
            node = node.attr("creator_pn", creator.jid());
        }
    }
    if let Some(owner) = world.account_by_phone(&group.subject_owner) {
        node = node.attr("s_o", group.write(&owner));
        if group.addressing == Addressing::Lid {
            node = node.attr("s_o_pn", owner.jid());
        }
    }
    node.children(children).build()
}

/// One participant, addressed as the group addresses them, with the other address as well.
pub(super) fn participant(group: &Group, account: &AccountInfo, role: Option<Role>) -> Node {
    let node = NodeBuilder::new("participant").attr("jid", group.write(account));
    let node = match group.addressing {
        Addressing::Pn => node.attr("lid", account.lid_jid()),
        Addressing::Lid => node.attr("phone_number", account.jid()),
    };
    match role {
        Some(Role::Admin) => node.attr("type", "admin"),
        Some(Role::Creator) => node.attr("type", "superadmin"),
        Some(Role::Member) | None => node,
    }
    .build()
}

/// The notification of a change that this account made.
pub(super) fn notification(world: &World, group: &Group, actor: &AccountInfo, change: Node) -> Node {
    let node = NodeBuilder::new("notification")
        .attr("type", "w:gp2")
        .attr("from", group.jid())
        .attr("id", format!("group-{}", world.next_serial()))
        .attr("t", world.now())
        .attr("participant", group.write(actor))
        .attr("notify", &*actor.name);
    match group.addressing {
        Addressing::Pn => node,
        Addressing::Lid => node.attr("addressing_mode", "lid").attr("participant_pn", actor.jid()),
    }
    .children([change])
    .build()
}

fn mode(addressing: Addressing) -> &'static str {
    match addressing {
        Addressing::Pn => "pn",
        Addressing::Lid => "lid",
    }
}
