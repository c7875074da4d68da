//! What may be done to groups. Each operation checks that its actor may, changes the group under the lock, and then tells
//! the members.

use std::sync::Arc;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::{Addressing, Description, Group, Member, MemberChange, NewGroup, Outcome, Refusal, Role, Settings, stanza};
use crate::world::{AccountInfo, World};

/// Makes a group.
pub fn create(world: &World, actor: &str, new: NewGroup<'_>) -> Result<Group, Refusal> {
    let NewGroup { subject, members, addressing, settings, description, key } = new;
    let creator = world.account_by_phone(actor).ok_or(Refusal::NotFound)?;
    if subject.is_empty() || subject.chars().count() > 100 {
        return Err(Refusal::BadRequest);
    }
    let now = world.now();
    let mut all = vec![Member { phone: creator.phone.clone(), role: Role::Creator }];
    for member in members {
        if let Some(phone) = world.resolve(member)
            && all.iter().all(|m| m.phone != phone)
        {
            all.push(Member { phone, role: Role::Member });
        }
    }
    let id: Arc<str> = format!("1203630{:011}", world.next_serial()).into();
    let by_account = if creator.lid_addressed { Addressing::Lid } else { Addressing::Pn };
    let group = Group {
        id: id.clone(),
        subject: subject.to_owned(),
        subject_owner: creator.phone.clone(),
        subject_time: now,
        creator: creator.phone.clone(),
        created: now,
        description: description.map(|(id, text)| Description { id, text, owner: creator.phone.clone(), time: now }),
        members: all,
        settings,
        invite: new_invite(world),
        addressing: addressing.unwrap_or(by_account),
    };
    {
        let mut state = world.groups.state.lock();
        state.by_invite.insert(group.invite.clone(), id.clone());
        state.by_id.insert(id, group.clone());
    }
    let told = NodeBuilder::new("create").attr("type", "new").children([stanza::group(world, &group)]).build();
    let (creators, others): (Vec<_>, Vec<_>) = group.phones().into_iter().partition(|phone| *phone == creator.phone);
    tell(world, &group, actor, &others, told.clone());
    let mut own = told;
    if let Some(key) = key {
        own.attrs.insert("key", key);
    }
    tell(world, &group, actor, &creators, own);
    Ok(group)
}

/// Adds, removes, promotes or demotes.
pub fn change_members(
    world: &World,
    actor: &str,
    group: &Jid,
    what: MemberChange,
    who: &[Jid],
) -> Result<Vec<Outcome>, Refusal> {
    let asked: Vec<(Jid, Option<AccountInfo>)> = who.iter().map(|jid| (jid.clone(), world.account(jid))).collect();
    let before = world.groups.get(group).ok_or(Refusal::NotFound)?;
    let (after, outcomes) = world.groups.change(group, |g| {
        match what {
            MemberChange::Add if !g.settings.admin_add => drop(g.require_member(actor)?),
            _ => g.require_admin(actor)?,
        }
        Ok(asked
            .into_iter()
            .map(|(asked, account)| {
                let refusal = match &account {
                    None => Some(Refusal::NotFound),
                    Some(account) => change_member(g, &account.phone, what).err(),
                };
                Outcome { asked, account, refusal }
            })
            .collect::<Vec<_>>())
    })?;
    let changed: Vec<AccountInfo> =
        outcomes.iter().filter(|o| o.refusal.is_none()).filter_map(|o| o.account.clone()).collect();
    if !changed.is_empty() {
        announce_members(world, &before, &after, actor, what, &changed, None);
    }
    Ok(outcomes)
}

fn change_member(group: &mut Group, phone: &Arc<str>, what: MemberChange) -> Result<(), Refusal> {
    let position = group.members.iter().position(|m| &m.phone == phone);
    match (what, position) {
        (MemberChange::Add, Some(_)) => return Err(Refusal::Conflict),
        (MemberChange::Add, None) => group.members.push(Member { phone: phone.clone(), role: Role::Member }),
        (_, None) => return Err(Refusal::NotFound),
        (MemberChange::Remove | MemberChange::Demote, Some(at)) if group.members[at].role == Role::Creator => {
            return Err(Refusal::Forbidden);
        }
        (MemberChange::Remove, Some(at)) => drop(group.members.remove(at)),
        (MemberChange::Promote, Some(at)) => {
            if group.members[at].role == Role::Member {
                group.members[at].role = Role::Admin;
            }
        }
        (MemberChange::Demote, Some(at)) => group.members[at].role = Role::Member,
    }
    Ok(())
}

/// Tells the members of a change among them; who is new is shown the whole group.
fn announce_members(
    world: &World,
    before: &Group,
    after: &Group,
    actor: &str,
    what: MemberChange,
    changed: &[AccountInfo],
    reason: Option<&'static str>,
) {
    let mut told = NodeBuilder::new(what.tag());
    if let Some(reason) = reason {
        told = told.attr("reason", reason);
    }
    let told = told.children(changed.iter().map(|a| stanza::participant(after, a, None))).build();
    if what != MemberChange::Add {
        return tell(world, after, actor, &before.phones(), told);
    }
    tell(world, after, actor, &before.phones(), told);
    let mut shown = NodeBuilder::new("create");
    if let Some(reason) = reason {
        shown = shown.attr("reason", reason);
    }
    let shown = shown.children([stanza::group(world, after)]).build();
    let new: Vec<Arc<str>> = changed.iter().map(|a| a.phone.clone()).collect();
    tell(world, after, actor, &new, shown);
}

/// Leaves. A group whose last member left is forgotten; one whose last admin left gets its oldest member as admin.
pub fn leave(world: &World, actor: &str, group: &Jid) -> Result<(), Refusal> {
    let account = world.account_by_phone(actor).ok_or(Refusal::NotFound)?;
    let before = world.groups.get(group).ok_or(Refusal::NotFound)?;
    let (after, ()) = world.groups.change(group, |g| {
        g.require_member(actor)?;
        g.members.retain(|m| m.phone != account.phone);
        if g.members.iter().all(|m| m.role == Role::Member)
            && let Some(oldest) = g.members.first_mut()
        {
            oldest.role = Role::Admin;
        }
        Ok(())
    })?;
    if after.members.is_empty() {
        let mut state = world.groups.state.lock();
        state.by_id.remove(&after.id);
        state.by_invite.remove(&after.invite);
    }
    announce_members(world, &before, &after, actor, MemberChange::Remove, &[account], None);
    Ok(())
}

/// Joins by an invite code.
pub fn join(world: &World, actor: &str, code: &str) -> Result<Group, Refusal> {
    let account = world.account_by_phone(actor).ok_or(Refusal::NotFound)?;
    let before = world.groups.by_invite(code).ok_or(Refusal::NotFound)?;
    let (after, ()) = world.groups.change(&before.jid(), |g| {
        if g.invite != code {
            return Err(Refusal::NotFound);
        }
        change_member(g, &account.phone, MemberChange::Add)
    })?;
    announce_members(world, &before, &after, actor, MemberChange::Add, &[account], Some("invite"));
    Ok(after)
}

/// The invite code; with `renew`, a new one, and the old one leads nowhere.
pub fn invite_code(world: &World, actor: &str, group: &Jid, renew: bool) -> Result<String, Refusal> {
    let fresh = new_invite(world);
    let (after, old) = world.groups.change(group, |g| {
        g.require_admin(actor)?;
        let old = g.invite.clone();
        if renew {
            g.invite = fresh;
        }
        Ok(old)
    })?;
    if renew {
        {
            let mut state = world.groups.state.lock();
            state.by_invite.remove(&old);
            state.by_invite.insert(after.invite.clone(), after.id.clone());
        }
        tell(world, &after, actor, &after.phones(), NodeBuilder::new("revoke").build());
    }
    Ok(after.invite)
}

/// Names the group.
pub fn set_subject(world: &World, actor: &str, group: &Jid, subject: &str) -> Result<(), Refusal> {
    if subject.is_empty() || subject.chars().count() > 100 {
        return Err(Refusal::BadRequest);
    }
    let account = world.account_by_phone(actor).ok_or(Refusal::NotFound)?;
    let now = world.now();
    let (after, ()) = world.groups.change(group, |g| {
        may_edit(g, actor)?;
        g.subject = subject.to_owned();
        g.subject_owner = account.phone.clone();
        g.subject_time = now;
        Ok(())
    })?;
    let told = NodeBuilder::new("subject")
        .attr("subject", subject)
        .attr("s_o", after.write(&account))
        .attr("s_t", now)
        .build();
    tell(world, &after, actor, &after.phones(), told);
    Ok(())
}

/// Describes the group, or with no text takes the description away. `prev` must name the description that is replaced.
pub fn set_description(
    world: &World,
    actor: &str,
    group: &Jid,
    id: &str,
    prev: Option<&str>,
    text: Option<&str>,
) -> Result<(), Refusal> {
    if text.is_some_and(|t| t.chars().count() > 2048) {
        return Err(Refusal::BadRequest);
    }
    let account = world.account_by_phone(actor).ok_or(Refusal::NotFound)?;
    let now = world.now();
    let (after, ()) = world.groups.change(group, |g| {
        may_edit(g, actor)?;
        if g.description.as_ref().map(|d| d.id.as_str()) != prev {
            return Err(Refusal::Conflict);
        }
        g.description = text.map(|text| Description {
            id: id.to_owned(),
            text: text.to_owned(),
            owner: account.phone.clone(),
            time: now,
        });
        Ok(())
    })?;
    let child = match text {
        Some(text) => NodeBuilder::new("body").string_content(text).build(),
        None => NodeBuilder::new("delete").build(),
    };
    let told = NodeBuilder::new("description").attr("id", id).children([child]).build();
    tell(world, &after, actor, &after.phones(), told);
    Ok(())
}

/// Turns a switch, and tells it with the same node.
pub(super) fn set(
    world: &World,
    actor: &str,
    group: &Jid,
    told: Node,
    change: impl FnOnce(&mut Settings),
) -> Result<(), Refusal> {
    let (after, ()) = world.groups.change(group, |g| {
        g.require_admin(actor)?;
        change(&mut g.settings);
        Ok(())
    })?;
    tell(world, &after, actor, &after.phones(), told);
    Ok(())
}

fn may_edit(group: &Group, actor: &str) -> Result<(), Refusal> {
    match group.settings.locked {
        true => group.require_admin(actor),
        false => group.require_member(actor).map(drop),
    }
}

fn new_invite(world: &World) -> String {
    use base64::Engine;
    let mut bytes = [0_u8; 16];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut bytes);
    bytes[..4].copy_from_slice(&(world.next_serial() as u32).to_be_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Sends a `w:gp2` notification to every device of these accounts.
fn tell(world: &World, group: &Group, actor: &str, to: &[Arc<str>], change: Node) {
    let Some(actor) = world.account_by_phone(actor) else { return };
    let notification = stanza::notification(world, group, &actor, change);
    for phone in to {
        world.notify_account(phone, None, &notification);
    }
}
