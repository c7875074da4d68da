//! The iqs of `w:g2`, read and answered.

use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::{MemberChange, NewGroup, Outcome, Refusal, Settings, change, stanza};
use crate::session;
use crate::world::World;

pub(super) fn handle(world: &Arc<World>, actor: &str, iq: &Node) -> Option<Node> {
    let to = iq.attrs().optional_jid("to")?;
    let set = iq.attrs().optional_string("type").as_deref() == Some("set");
    let request = iq.children()?.first()?;
    let answer = match to.user.is_empty() {
        true => on_the_service(world, actor, set, request)?,
        false => on_a_group(world, actor, &to, set, request)?,
    };
    Some(match answer {
        Ok(children) => session::iq::result(iq, children),
        Err(refusal) => session::iq::error(iq, refusal.code(), &refusal.to_string()),
    })
}

type Answer = Option<Result<Vec<Node>, Refusal>>;

/// Requests to `@g.us`.
fn on_the_service(world: &Arc<World>, actor: &str, set: bool, request: &Node) -> Answer {
    Some(match (&*request.tag, set) {
        ("create", true) => create(world, actor, request),
        ("leave", true) => leave(world, actor, request),
        ("participating", false) => {
            let groups = world.groups.of(actor);
            Ok(vec![NodeBuilder::new("groups").children(groups.iter().map(|g| stanza::group(world, g))).build()])
        }
        ("invite", true) => code(request).and_then(|code| {
            let group = super::join(world, actor, &code)?;
            Ok(vec![NodeBuilder::new("group").attr("jid", group.jid()).build()])
        }),
        ("invite", false) => code(request).and_then(|code| {
            let group = world.groups.by_invite(&code).ok_or(Refusal::NotFound)?;
            Ok(vec![stanza::group(world, &group)])
        }),
        ("query", false) => Ok(vec![batch(world, actor, request)]),
        ("pictures", false) => Ok(vec![NodeBuilder::new("pictures").build()]),
        _ => return None,
    })
}

/// Requests to one group.
fn on_a_group(world: &Arc<World>, actor: &str, group: &Jid, set: bool, request: &Node) -> Answer {
    let switch = |turn: fn(&mut Settings)| change::set(world, actor, group, request.clone(), turn);
    let done = |result: Result<(), Refusal>| result.map(|()| Vec::new());
    Some(match (&*request.tag, set) {
        ("query", false) => query(world, actor, group),
        ("invite", renew) => super::invite_code(world, actor, group, renew)
            .map(|code| vec![NodeBuilder::new("invite").attr("code", code).build()]),
        ("subject", true) => {
            done(super::set_subject(world, actor, group, &request.content_as_string().unwrap_or_default()))
        }
        ("description", true) => {
            let mut attrs = request.attrs();
            let text = request.get_optional_child("body").and_then(Node::content_as_string);
            let id = attrs.optional_string("id").unwrap_or_default();
            let prev = attrs.optional_string("prev");
            done(super::set_description(world, actor, group, &id, prev.as_deref(), text.as_deref()))
        }
        ("add", true) => members(world, actor, group, MemberChange::Add, request),
        ("remove", true) => members(world, actor, group, MemberChange::Remove, request),
        ("promote", true) => members(world, actor, group, MemberChange::Promote, request),
        ("demote", true) => members(world, actor, group, MemberChange::Demote, request),
        ("locked", true) => done(switch(|s| s.locked = true)),
        ("unlocked", true) => done(switch(|s| s.locked = false)),
        ("announcement", true) => done(switch(|s| s.announcement = true)),
        ("not_announcement", true) => done(switch(|s| s.announcement = false)),
        ("not_ephemeral", true) => done(switch(|s| s.ephemeral = None)),
        ("ephemeral", true) => {
            let seconds = request.attrs().optional_u64("expiration").and_then(|s| s.try_into().ok());
            done(change::set(world, actor, group, request.clone(), |s| s.ephemeral = seconds))
        }
        ("member_add_mode", true) => {
            let admin_add = request.content_as_string().as_deref() == Some("admin_add");
            done(change::set(world, actor, group, request.clone(), |s| s.admin_add = admin_add))
        }
        ("membership_approval_mode", true) => {
            let on = request
                .get_optional_child("group_join")
                .is_some_and(|join| join.attrs().optional_string("state").as_deref() == Some("on"));
            done(change::set(world, actor, group, request.clone(), |s| s.approval = on))
        }
        ("membership_approval_requests", false) => Ok(vec![NodeBuilder::new("membership_approval_requests").build()]),
        ("ack", true) => Ok(Vec::new()),
        _ => return None,
    })
}

fn create(world: &World, actor: &str, request: &Node) -> Result<Vec<Node>, Refusal> {
    let subject = request.attrs().optional_string("subject").ok_or(Refusal::BadRequest)?;
    let settings = Settings {
        announcement: request.get_optional_child("announcement").is_some(),
        locked: request.get_optional_child("locked").is_some(),
        admin_add: request
            .get_optional_child("member_add_mode")
            .and_then(Node::content_as_string)
            .is_some_and(|mode| mode == "admin_add"),
        ephemeral: request
            .get_optional_child("ephemeral")
            .and_then(|e| e.attrs().optional_u64("expiration"))
            .and_then(|s| s.try_into().ok())
            .filter(|s| *s > 0),
        approval: request
            .get_optional_child_by_tag(&["membership_approval_mode", "group_join"])
            .is_some_and(|join| join.attrs().optional_string("state").as_deref() == Some("on")),
    };
    let description = request.get_optional_child("description").and_then(|d| {
        let id = d.attrs().optional_string("id")?.into_owned();
        Some((id, d.get_optional_child("body")?.content_as_string()?.to_string()))
    });
    let (members, key) = (participants(request), request.attrs().optional_string("key"));
    let new = NewGroup {
        subject: &subject,
        members: &members,
        addressing: None,
        settings,
        description,
        key: key.as_deref().filter(|key| !key.is_empty()),
    };
    let group = super::create(world, actor, new)?;
    Ok(vec![stanza::group(world, &group)])
}

fn leave(world: &World, actor: &str, request: &Node) -> Result<Vec<Node>, Refusal> {
    let mut left = Vec::new();
    for node in request.get_children_by_tag("group") {
        let group = node.attrs().optional_jid("id").ok_or(Refusal::BadRequest)?;
        super::leave(world, actor, &group)?;
        left.push(NodeBuilder::new("group").attr("id", group).build());
    }
    Ok(vec![NodeBuilder::new("leave").children(left).build()])
}

fn query(world: &World, actor: &str, group: &Jid) -> Result<Vec<Node>, Refusal> {
    let group = world.groups.get(group).ok_or(Refusal::NotFound)?;
    group.require_member(actor)?;
    Ok(vec![stanza::group(world, &group)])
}

/// Several groups at once; each has its own refusal.
fn batch(world: &World, actor: &str, request: &Node) -> Node {
    let groups = request.get_children_by_tag("group").filter_map(|node| {
        let jid = node.attrs().optional_jid("jid")?;
        let refused = |refusal: Refusal| {
            NodeBuilder::new("group").attr("id", &jid).attr("error", refusal.code().to_string()).build()
        };
        Some(match world.groups.get(&jid) {
            None => refused(Refusal::NotFound),
            Some(group) => match group.require_member(actor) {
                Err(refusal) => refused(refusal),
                Ok(_) => stanza::group(world, &group),
            },
        })
    });
    NodeBuilder::new("groups").children(groups).build()
}

fn members(world: &World, actor: &str, group: &Jid, what: MemberChange, request: &Node) -> Result<Vec<Node>, Refusal> {
    let outcomes = super::change_members(world, actor, group, what, &participants(request))?;
    let Some(group) = world.groups.get(group) else { return Err(Refusal::NotFound) };
    let answers = outcomes.iter().map(|outcome: &Outcome| {
        let mut node = match &outcome.account {
            Some(account) => stanza::participant(&group, account, None),
            None => NodeBuilder::new("participant").attr("jid", &outcome.asked).build(),
        };
        if let Some(refusal) = outcome.refusal {
            node.attrs.insert("error", refusal.code().to_string());
        }
        node
    });
    Ok(vec![NodeBuilder::new(what.tag()).children(answers).build()])
}

fn participants(request: &Node) -> Vec<Jid> {
    request.get_children_by_tag("participant").filter_map(|p| p.attrs().optional_jid("jid")).collect()
}

fn code(request: &Node) -> Result<String, Refusal> {
    request.attrs().optional_string("code").map(|c| c.into_owned()).ok_or(Refusal::BadRequest)
}
