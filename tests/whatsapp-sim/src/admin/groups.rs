//! Groups, as the admin shows and changes them on a phone's behalf.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refused, chat, done};
use crate::groups::{self, Addressing, Group, MemberChange, NewGroup, Role};
use crate::world::World;

/// A group to make.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct New {
    by: String,
    subject: String,
    members: Vec<String>,
    #[serde(default)]
    addressing: Option<AddressedBy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum AddressedBy {
    Pn,
    Lid,
}

/// A change among the members.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Change {
    by: String,
    action: Action,
    #[serde(default)]
    who: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Add,
    Remove,
    Promote,
    Demote,
    Leave,
}

pub(super) fn list(world: &World) -> Value {
    world.groups.all().iter().map(show).collect()
}

pub(super) fn create(world: &World, new: New) -> Result<Value, Refused> {
    let members = new.members.iter().map(|m| chat(m)).collect::<Result<Vec<_>, _>>()?;
    let addressing = new.addressing.map(|a| match a {
        AddressedBy::Pn => Addressing::Pn,
        AddressedBy::Lid => Addressing::Lid,
    });
    let made = NewGroup { subject: &new.subject, members: &members, addressing, ..NewGroup::default() };
    let group = groups::create(world, &new.by, made)?;
    Ok(show(&group))
}

pub(super) fn members(world: &Arc<World>, group: &str, change: Change) -> Result<Value, Refused> {
    let group = match group.contains('@') {
        true => chat(group)?,
        false => wacore_binary::Jid::group(group),
    };
    let what = match change.action {
        Action::Add => MemberChange::Add,
        Action::Remove => MemberChange::Remove,
        Action::Promote => MemberChange::Promote,
        Action::Demote => MemberChange::Demote,
        Action::Leave => {
            groups::leave(world, &change.by, &group)?;
            return Ok(done());
        }
    };
    let who = change.who.iter().map(|m| chat(m)).collect::<Result<Vec<_>, _>>()?;
    let outcomes = groups::change_members(world, &change.by, &group, what, &who)?;
    Ok(outcomes
        .iter()
        .map(|o| json!({ "who": o.asked.to_string(), "error": o.refusal.map(|r| r.to_string()) }))
        .collect())
}

fn show(group: &Group) -> Value {
    json!({
        "id": group.jid().to_string(),
        "subject": group.subject,
        "description": group.description.as_ref().map(|d| &d.text),
        "creator": &*group.creator,
        "addressing": match group.addressing { Addressing::Pn => "pn", Addressing::Lid => "lid" },
        "announcement": group.settings.announcement,
        "locked": group.settings.locked,
        "invite": format!("https://chat.whatsapp.com/{}", group.invite),
        "members": group.members.iter().map(|m| json!({
            "phone": &*m.phone,
            "role": match m.role { Role::Member => "member", Role::Admin => "admin", Role::Creator => "creator" },
        })).collect::<Vec<_>>(),
    })
}
