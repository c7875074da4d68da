//! Every operation except those on the session: groups, reading, typing, checking which numbers exist and whether the session works,
//! and pictures. Runs in the call of `operate`.

use std::collections::BTreeMap;
use std::time::Duration;

use pombo_plugin::connector::{
    Answer, GroupInfo, GroupMembers, GroupText, Member, MemberResult, NewGroup, Operation, OperationError, ReadMark,
    Throttle, Typing,
};
use wacore::iq::groups::ParticipantChangeResponse;
use wacore::iq::keepalive::KeepaliveSpec;
use wacore::types::message::AddressingMode;
use wacore_binary::Jid;
use whatsapp_rust::{
    ErrorChainExt, GroupCreateOptions, GroupDescription, GroupError, GroupMetadata, GroupParticipantOptions,
    GroupSubject, PreviousDescription,
};

use crate::identity::{self, Address, DirectoryError, Refusal, other_form};
use crate::live::Live;
use crate::presence;

/// How long WhatsApp may take to show that the session works.
const PING: Duration = Duration::from_secs(10);

type Result<T> = std::result::Result<T, OperationError>;

/// Carries out one operation.
pub(crate) async fn operate(live: &Live, operation: Operation) -> Result<Answer> {
    match operation {
        Operation::Lookup(asked) => Ok(Answer::Lookup(identity::lookup(live, asked).await.map_err(of_directory)?)),
        Operation::Read(mark) => {
            presence::work(live).await;
            read(live, mark).await
        }
        Operation::Typing((chat, typing)) => {
            presence::work(live).await;
            show(live, &chat, typing).await
        }
        Operation::Groups => {
            let groups = live.client.groups().get_participating().await.map_err(of_group)?;
            let mut list: Vec<GroupInfo> = groups.into_values().map(info).collect();
            list.sort_by(|a, b| a.id.cmp(&b.id));
            Ok(Answer::Groups(list))
        }
        Operation::Group(id) => {
            let group = group(&id)?;
            Ok(Answer::Group(info(live.client.groups().get_metadata(&group).await.map_err(of_group)?)))
        }
        Operation::CreateGroup(new) => create(live, new).await,
        Operation::SetGroupSubject(GroupText { group: id, text }) => {
            let subject = GroupSubject::new(text.trim()).map_err(invalid)?;
            live.client.groups().set_subject(group(&id)?, subject).await.map_err(of_group)?;
            Ok(Answer::Done)
        }
        Operation::SetGroupDescription(GroupText { group: id, text }) => {
            let text = text.trim();
            let description = if text.is_empty() { None } else { Some(GroupDescription::new(text).map_err(invalid)?) };
            live.client
                .groups()
                .set_description(group(&id)?, description, PreviousDescription::Resolve)
                .await
                .map_err(of_group)?;
            Ok(Answer::Done)
        }
        Operation::AddMembers(change) => members(live, change, Change::Add).await,
        Operation::RemoveMembers(change) => members(live, change, Change::Remove).await,
        Operation::PromoteMembers(change) => members(live, change, Change::Promote).await,
        Operation::DemoteMembers(change) => members(live, change, Change::Demote).await,
        Operation::LeaveGroup(id) => {
            live.client.groups().leave(group(&id)?).await.map_err(of_group)?;
            Ok(Answer::Done)
        }
        Operation::GroupInvite(id) => invite(live, &id, false).await,
        Operation::RevokeGroupInvite(id) => invite(live, &id, true).await,
        Operation::Check => check(live).await,
        Operation::ProfilePicture(address) => picture(live, &address).await,
        Operation::Other(_) => Err(OperationError::Unsupported("it has no operations of its own".to_owned())),
        Operation::OpenSession(_) | Operation::CloseSession => {
            Err(OperationError::Unsupported("sessions are opened and closed elsewhere".to_owned()))
        }
    }
}

fn invalid(problem: impl std::fmt::Display) -> OperationError {
    OperationError::Invalid(problem.to_string())
}

fn group(id: &str) -> Result<Jid> {
    match Address::parse(id) {
        Ok(address @ Address::Group(_)) => Ok(address.jid()),
        Ok(_) => Err(invalid("a group's id ends in @g.us, as in the list of groups")),
        Err(why) => Err(invalid(why)),
    }
}

fn of_directory(error: DirectoryError) -> OperationError {
    let reason = error.to_string();
    match error {
        DirectoryError::Disconnected(_) => OperationError::Disconnected(reason),
        DirectoryError::Throttled { retry_after_millis } => {
            OperationError::Throttled(Throttle::of_connector(retry_after_millis, reason))
        }
        DirectoryError::Failed(_) => OperationError::Failed(reason),
    }
}

fn of_group(error: GroupError) -> OperationError {
    match error {
        GroupError::InvalidRequest(why) => OperationError::Invalid(why),
        GroupError::DescriptionConflict => {
            OperationError::Failed("somebody else changed the description at the same time; try again".to_owned())
        }
        other => of_refusal(Refusal::of(&other)),
    }
}

fn of_refusal(refusal: Refusal) -> OperationError {
    match refusal {
        Refusal::Disconnected(why) => OperationError::Disconnected(why),
        Refusal::NoAnswer(why) => OperationError::Unknown(why),
        Refusal::Other(why) => OperationError::Failed(why),
        Refusal::Server { code, text, backoff_secs } => match code {
            400 | 406 => OperationError::Invalid(format!("WhatsApp does not understand the request: {code} {text}")),
            401 | 403 => OperationError::Refused(format!("the account may not do this: {code} {text}")),
            404 | 410 => OperationError::NotFound(format!("not found on WhatsApp: {code} {text}")),
            405 | 409 | 419 => OperationError::Refused(format!("WhatsApp refuses it: {code} {text}")),
            429 => OperationError::Throttled(Throttle::of_connector(
                u64::from(backoff_secs.unwrap_or(60).clamp(1, 3_600)) * 1_000,
                "WhatsApp limits the rate of these requests",
            )),
            _ => OperationError::Failed(format!("WhatsApp answered {code} {text}")),
        },
    }
}

fn of_client(error: &impl ErrorChainExt) -> OperationError {
    of_refusal(Refusal::of(error))
}

/// A group as the engine knows it.
fn info(group: GroupMetadata) -> GroupInfo {
    let owner = group.creator_pn.as_ref().or(group.creator.as_ref()).map(identity::of_jid);
    let members = group
        .participants
        .into_iter()
        .map(|member| {
            let names = [Some(&member.jid), member.phone_number.as_ref(), member.lid.as_ref()];
            let number = names.iter().flatten().find(|jid| jid.is_pn()).map(|jid| identity::of_jid(jid));
            let lid = names.iter().flatten().find(|jid| jid.is_lid()).map(|jid| identity::of_jid(jid));
            let address = number.clone().or_else(|| lid.clone()).unwrap_or_else(|| identity::of_jid(&member.jid));
            let mut aliases: Vec<String> = lid.into_iter().filter(|lid| *lid != address).collect();
            aliases.extend(number.as_deref().and_then(other_form));
            Member { address, aliases, admin: member.is_admin(), owner: member.is_super_admin() }
        })
        .collect();
    GroupInfo {
        id: identity::of_jid(&group.id),
        subject: group.subject,
        description: group.description.filter(|text| !text.is_empty()),
        owner,
        created_at_millis: group.creation_time.map(|seconds| seconds.saturating_mul(1_000)),
        members,
        announcement: group.is_announcement,
        locked: group.is_locked,
    }
}

/// The people in a request: each address with its jid for the server, or why it has none.
async fn people(live: &Live, addresses: &[String], by_lid: bool) -> Result<(Vec<(String, Jid)>, Vec<MemberResult>)> {
    let each = addresses.iter().map(|text| async move {
        let problem = |problem: &str| Err(MemberResult { address: text.clone(), problem: Some(problem.to_owned()) });
        Ok::<_, OperationError>(match Address::parse(text) {
            Err(why) => problem(&why),
            Ok(Address::Group(_)) => problem("a group cannot be a member"),
            Ok(address) => match identity::resolve(live, address).await.map_err(of_directory)? {
                None => problem("this number is not on WhatsApp"),
                Some(address) => Ok((text.clone(), identity::jid_in(live, &address, by_lid).await)),
            },
        })
    });
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for one in whatsapp_rust::futures::future::join_all(each).await {
        match one? {
            Ok(person) => found.push(person),
            Err(problem) => problems.push(problem),
        }
    }
    Ok((found, problems))
}

async fn create(live: &Live, new: NewGroup) -> Result<Answer> {
    GroupSubject::new(new.subject.trim()).map_err(invalid)?;
    if new.subject.trim().is_empty() {
        return Err(invalid("a group needs a subject"));
    }
    let description = new.description.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let description = description.map(GroupDescription::new).transpose().map_err(invalid)?;
    let (people, problems) = people(live, &new.members, false).await?;
    if let Some(first) = problems.into_iter().next() {
        let why = first.problem.unwrap_or_default();
        return Err(invalid(format!("member {}: {why}", first.address)));
    }
    let participants = people.into_iter().map(|(_, jid)| GroupParticipantOptions::new(jid)).collect();
    let mut options = GroupCreateOptions::new(new.subject.trim()).with_participants(participants);
    options.description = description;
    let created = live.client.groups().create_group(options).await.map_err(of_group)?;
    Ok(Answer::Group(info(created.metadata)))
}

#[derive(Clone, Copy)]
enum Change {
    Add,
    Remove,
    Promote,
    Demote,
}

async fn members(live: &Live, change: GroupMembers, what: Change) -> Result<Answer> {
    let group = group(&change.group)?;
    if change.members.is_empty() {
        return Err(invalid("members: name at least one"));
    }
    let known = live.client.groups().query_info(&group).await.map_err(of_group)?;
    let by_lid = known.addressing_mode == AddressingMode::Lid && !matches!(what, Change::Add);
    let (people, mut results) = people(live, &change.members, by_lid).await?;
    if !people.is_empty() {
        let jids: Vec<Jid> = people.iter().map(|(_, jid)| jid.clone()).collect();
        let groups = live.client.groups();
        let answered = match what {
            Change::Add => groups.add_participants(group, &jids).await,
            Change::Remove => groups.remove_participants(group, &jids).await,
            Change::Promote => groups.promote_participants(group, &jids).await,
            Change::Demote => groups.demote_participants(group, &jids).await,
        }
        .map_err(of_group)?;
        for (address, jid) in people {
            let lid =
                identity::jid_in(live, &Address::of_jid(&jid).unwrap_or(Address::Number(address.clone())), true).await;
            let about = answered.iter().find(|one| {
                [Some(&one.jid), one.phone_number.as_ref()]
                    .into_iter()
                    .flatten()
                    .any(|name| is_same_user(name, &jid) || is_same_user(name, &lid))
            });
            results.push(MemberResult { address, problem: about.and_then(problem) });
        }
    }
    // In the order in which they were named.
    results.sort_by_key(|result| change.members.iter().position(|asked| *asked == result.address));
    Ok(Answer::Members(results))
}

fn is_same_user(a: &Jid, b: &Jid) -> bool {
    a.server == b.server && a.user_base() == b.user_base()
}

fn problem(answer: &ParticipantChangeResponse) -> Option<String> {
    let code = answer.error.as_deref()?;
    Some(match code {
        "401" => "this person blocked the account".to_owned(),
        "403" => "this person's privacy settings allow only an invitation".to_owned(),
        "404" => "this person is not in the group, or not on WhatsApp".to_owned(),
        "408" => "this person left the group recently and cannot be added yet".to_owned(),
        "409" => "this person is already in the group".to_owned(),
        "419" => "the group is full".to_owned(),
        "500" => "the group is full or WhatsApp could not do it".to_owned(),
        _ => format!("WhatsApp refuses it (code {code})"),
    })
}

async fn invite(live: &Live, id: &str, reset: bool) -> Result<Answer> {
    let link = live.client.groups().get_invite_link(group(id)?, reset).await.map_err(of_group)?;
    let link = if link.contains("://") { link } else { format!("https://chat.whatsapp.com/{link}") };
    Ok(Answer::Invite(link))
}

/// Asks the server for a sign of life: a socket may look open for a while after the network is gone.
async fn check(live: &Live) -> Result<Answer> {
    let down = |why: &str| OperationError::Disconnected(why.to_owned());
    if !live.client.is_logged_in() {
        return Err(down("the account is not logged in"));
    }
    match live.client.execute(KeepaliveSpec::with_timeout(PING)).await {
        Ok(()) => Ok(Answer::Done),
        Err(error) => Err(match Refusal::of(&error) {
            Refusal::NoAnswer(_) | Refusal::Disconnected(_) => down("WhatsApp does not answer"),
            other => of_refusal(other),
        }),
    }
}

/// A link to the small picture of a person or a group; none where there is none, or where the account may not see it.
async fn picture(live: &Live, address: &str) -> Result<Answer> {
    let (jid, _) = chat(live, address).await?;
    let found = live.client.contacts().get_profile_picture(&jid, true).await.map_err(|error| of_client(&error))?;
    Ok(Answer::Picture(found.map(|picture| picture.url).filter(|link| !link.is_empty())))
}

/// The chat as the channel names it: a person by LID once the account was moved to them, by number before.
async fn chat(live: &Live, text: &str) -> Result<(Jid, bool)> {
    let address = Address::parse(text).map_err(invalid)?;
    let is_group = matches!(address, Address::Group(_));
    let by_lid = live.client.is_lid_migrated().await;
    Ok((identity::jid_in(live, &address, by_lid).await, is_group))
}

async fn read(live: &Live, mark: ReadMark) -> Result<Answer> {
    let (chat, is_group) = chat(live, &mark.chat).await?;
    let by_lid = if is_group {
        live.client.groups().query_info(&chat).await.map_err(of_group)?.addressing_mode == AddressingMode::Lid
    } else {
        false
    };
    // One receipt names one writer.
    let mut of_writer: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
    for target in mark.messages {
        // The account's own messages are read by writing them.
        let Some(sender) = target.sender else { continue };
        of_writer.entry(is_group.then_some(sender)).or_default().push(target.provider_id);
    }
    for (writer, ids) in of_writer {
        let writer = match writer {
            Some(text) => {
                let address = Address::parse(&text).map_err(invalid)?;
                Some(identity::jid_in(live, &address, by_lid).await)
            }
            None => None,
        };
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        live.client
            .mark_as_read(&chat, writer.as_ref(), &ids)
            .await
            .map_err(|_| OperationError::Disconnected("the connection to WhatsApp is down".to_owned()))?;
    }
    Ok(Answer::Done)
}

async fn show(live: &Live, text: &str, typing: Typing) -> Result<Answer> {
    let (chat, _) = chat(live, text).await?;
    let state = live.client.chatstate();
    let shown = match typing {
        Typing::Composing => state.send_composing(&chat).await,
        Typing::Recording => state.send_recording(&chat).await,
        Typing::Paused => state.send_paused(&chat).await,
    };
    shown.map_err(|e| of_client(&e))?;
    Ok(Answer::Done)
}
