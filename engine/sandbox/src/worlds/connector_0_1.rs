//! The adapter of `pombo:connector@0.1.0`: between its types and those of the newest version. There, features and capabilities were
//! enums, files had no links, there were fewer operations and no requests of the channel, and a refusal had no code.

use crate::bindings::{types as new, types_0_1 as old};

fn feature(feature: old::Feature) -> &'static str {
    match feature {
        old::Feature::Attachments => "attachments",
        old::Feature::Subject => "subject",
        old::Feature::Groups => "groups",
        old::Feature::Reactions => "reactions",
        old::Feature::Edit => "edit",
        old::Feature::Revoke => "revoke",
        old::Feature::Reply => "reply",
        old::Feature::Mentions => "mentions",
        old::Feature::VoiceNotes => "voice-notes",
        old::Feature::Typing => "typing",
        old::Feature::ReadReceipts => "read-receipts",
        old::Feature::Inbound => "inbound",
        old::Feature::Sessions => "sessions",
        old::Feature::PairingCode => "pairing-code",
        old::Feature::Lookup => "lookup",
    }
}

fn capability(capability: old::Capability) -> &'static str {
    match capability {
        old::Capability::Kv => "kv",
        old::Capability::Http => "http",
        old::Capability::Websocket => "websocket",
        old::Capability::Smtp => "smtp",
        old::Capability::MediaRead => "media-read",
        old::Capability::MediaWrite => "media-write",
        old::Capability::Events => "events",
    }
}

/// A plugin's description of itself.
pub(super) fn description(said: old::Description) -> new::Description {
    new::Description {
        name: said.name,
        version: said.version,
        channel: said.channel,
        display_name: said.display_name,
        config_schema: said.config_schema,
        secret_fields: said.secret_fields,
        hosts: said.hosts,
        capabilities: said.capabilities.into_iter().map(|c| capability(c).to_owned()).collect(),
        features: said.features.into_iter().map(|f| feature(f).to_owned()).collect(),
        contents: Vec::new(),
        operations: Vec::new(),
        idempotent_resend: said.idempotent_resend,
        max_in_flight: said.max_in_flight,
        needs_session: said.needs_session,
        pace: said.pace.map(|pace| new::Pace {
            delay_min_millis: pace.delay_min_millis,
            delay_max_millis: pace.delay_max_millis,
            daily_cap: pace.daily_cap,
            warm_up_days: pace.warm_up_days,
            warm_up_growth: pace.warm_up_growth,
            warm_up_until: pace.warm_up_until,
            health: pace.health,
        }),
        proofs: Vec::new(),
        shared_address: None,
        rules: None,
    }
}

fn target(target: new::Target) -> old::Target {
    old::Target { provider_id: target.provider_id, sender: target.sender, text: target.text }
}

fn attachment(file: new::Attachment) -> old::Attachment {
    old::Attachment { media: file.media, filename: file.filename, content_type: file.content_type, size: file.size }
}

/// A message; the links to its files stay behind.
pub(super) fn outgoing(message: new::Outgoing) -> old::Outgoing {
    let content = match message.content {
        new::Content::Text(content) => old::Content::Text(old::TextContent {
            text: content.text,
            subject: content.subject,
            attachments: content.attachments.into_iter().map(attachment).collect(),
        }),
        new::Content::Reaction(reaction) => {
            old::Content::Reaction(old::Reaction { to: target(reaction.to), emoji: reaction.emoji })
        }
        new::Content::Edit(edit) => old::Content::Edit(old::Edit { of: target(edit.of), text: edit.text }),
        new::Content::Revoke(of) => old::Content::Revoke(target(of)),
        new::Content::Other(other) => old::Content::Other(other),
    };
    old::Outgoing {
        client_id: message.client_id,
        to: message.to,
        contact_name: message.contact_name,
        content,
        reply_to: message.reply_to.map(target),
        mentions: message.mentions,
        voice_note: message.voice_note,
        attempt: message.attempt,
        metadata: message.metadata,
    }
}

fn throttle(said: old::Throttle) -> new::Throttle {
    new::Throttle {
        retry_after_millis: said.retry_after_millis,
        reason: said.reason,
        scope: new::ThrottleScope::Connector,
        code: None,
    }
}

fn refusal(reason: String) -> new::Refusal {
    new::Refusal { reason, code: None }
}

/// What became of a message.
pub(super) fn outcome(said: old::Outcome) -> new::Outcome {
    match said {
        old::Outcome::Accepted(provider_id) => {
            new::Outcome::Accepted(new::Acceptance { provider_id, aliases: Vec::new(), held: false })
        }
        old::Outcome::InvalidRecipient(why) => new::Outcome::InvalidRecipient(refusal(why)),
        old::Outcome::Rejected(why) => new::Outcome::Rejected(refusal(why)),
        old::Outcome::Throttled(said) => new::Outcome::Throttled(throttle(said)),
        old::Outcome::Temporary(why) => new::Outcome::Temporary(why),
        old::Outcome::Disconnected(why) => new::Outcome::Disconnected(why),
        old::Outcome::Unknown(why) => new::Outcome::Unknown(why),
    }
}

/// An operation; `None` for one that this version does not have.
pub(super) fn operation(operation: new::Operation) -> Option<old::Operation> {
    let text = |said: new::GroupText| old::GroupText { group: said.group, text: said.text };
    let members = |said: new::GroupMembers| old::GroupMembers { group: said.group, members: said.members };
    Some(match operation {
        new::Operation::OpenSession(address) => old::Operation::OpenSession(address),
        new::Operation::CloseSession => old::Operation::CloseSession,
        new::Operation::Lookup(addresses) => old::Operation::Lookup(addresses),
        new::Operation::Read(mark) => old::Operation::Read(old::ReadMark {
            chat: mark.chat,
            messages: mark.messages.into_iter().map(target).collect(),
        }),
        new::Operation::Typing((chat, shown)) => {
            let shown = match shown {
                new::Typing::Composing => old::Typing::Composing,
                new::Typing::Recording => old::Typing::Recording,
                new::Typing::Paused => old::Typing::Paused,
            };
            old::Operation::Typing((chat, shown))
        }
        new::Operation::Groups => old::Operation::Groups,
        new::Operation::Group(group) => old::Operation::Group(group),
        new::Operation::CreateGroup(group) => old::Operation::CreateGroup(old::NewGroup {
            subject: group.subject,
            description: group.description,
            members: group.members,
        }),
        new::Operation::SetGroupSubject(said) => old::Operation::SetGroupSubject(text(said)),
        new::Operation::SetGroupDescription(said) => old::Operation::SetGroupDescription(text(said)),
        new::Operation::AddMembers(said) => old::Operation::AddMembers(members(said)),
        new::Operation::RemoveMembers(said) => old::Operation::RemoveMembers(members(said)),
        new::Operation::PromoteMembers(said) => old::Operation::PromoteMembers(members(said)),
        new::Operation::DemoteMembers(said) => old::Operation::DemoteMembers(members(said)),
        new::Operation::LeaveGroup(group) => old::Operation::LeaveGroup(group),
        new::Operation::GroupInvite(group) => old::Operation::GroupInvite(group),
        new::Operation::RevokeGroupInvite(group) => old::Operation::RevokeGroupInvite(group),
        new::Operation::Check | new::Operation::ProfilePicture(_) | new::Operation::Other(_) => return None,
    })
}

fn group(said: old::GroupInfo) -> new::GroupInfo {
    let member =
        |m: old::Member| new::Member { address: m.address, aliases: m.aliases, admin: m.admin, owner: m.owner };
    new::GroupInfo {
        id: said.id,
        subject: said.subject,
        description: said.description,
        owner: said.owner,
        created_at_millis: said.created_at_millis,
        members: said.members.into_iter().map(member).collect(),
        announcement: said.announcement,
        locked: said.locked,
    }
}

/// The answer to an operation.
pub(super) fn answer(said: old::Answer) -> new::Answer {
    match said {
        old::Answer::Done => new::Answer::Done,
        old::Answer::Lookup(results) => {
            let one =
                |r: old::LookupResult| new::LookupResult { asked: r.asked, address: r.address, aliases: r.aliases };
            new::Answer::Lookup(results.into_iter().map(one).collect())
        }
        old::Answer::Groups(groups) => new::Answer::Groups(groups.into_iter().map(group).collect()),
        old::Answer::Group(one) => new::Answer::Group(group(one)),
        old::Answer::Members(results) => {
            let one = |r: old::MemberResult| new::MemberResult { address: r.address, problem: r.problem };
            new::Answer::Members(results.into_iter().map(one).collect())
        }
        old::Answer::Invite(link) => new::Answer::Invite(link),
    }
}

/// Why an operation was not carried out.
pub(super) fn operation_error(said: old::OperationError) -> new::OperationError {
    match said {
        old::OperationError::Unsupported(why) => new::OperationError::Unsupported(why),
        old::OperationError::Invalid(why) => new::OperationError::Invalid(why),
        old::OperationError::NotFound(why) => new::OperationError::NotFound(why),
        old::OperationError::Refused(why) => new::OperationError::Refused(why),
        old::OperationError::Throttled(said) => new::OperationError::Throttled(throttle(said)),
        old::OperationError::Disconnected(why) => new::OperationError::Disconnected(why),
        old::OperationError::Unknown(why) => new::OperationError::Unknown(why),
        old::OperationError::Failed(why) => new::OperationError::Failed(why),
    }
}

/// Why `run` ended.
pub(super) fn run_error(said: old::RunError) -> new::RunError {
    match said {
        old::RunError::Config(why) => new::RunError::Config(why),
        old::RunError::LoggedOut(why) => new::RunError::LoggedOut(why),
        old::RunError::Failed(why) => new::RunError::Failed(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> old::Description {
        old::Description {
            name: "old".to_owned(),
            version: "1.0.0".to_owned(),
            channel: "test".to_owned(),
            display_name: "Old".to_owned(),
            config_schema: "{}".to_owned(),
            secret_fields: vec!["password".to_owned()],
            hosts: vec!["host".to_owned()],
            capabilities: vec![old::Capability::MediaRead, old::Capability::Kv],
            features: vec![old::Feature::VoiceNotes, old::Feature::PairingCode],
            idempotent_resend: true,
            max_in_flight: 3,
            needs_session: true,
            pace: None,
        }
    }

    #[test]
    fn enums_of_the_old_version_become_names_that_the_engine_knows() {
        let described = description(said());
        assert_eq!(described.capabilities, ["media-read", "kv"]);
        assert!(described.capabilities.iter().all(|name| crate::grants::Capability::from_name(name).is_some()));
        assert_eq!(described.features, ["voice-notes", "pairing-code"]);
        assert!(described.contents.is_empty() && described.operations.is_empty());
        assert!(described.proofs.is_empty() && described.shared_address.is_none() && described.rules.is_none());
        assert_eq!((described.max_in_flight, described.needs_session), (3, true));
    }

    #[test]
    fn a_link_to_a_file_stays_behind() {
        let file = new::Attachment {
            media: "m".to_owned(),
            filename: "a.pdf".to_owned(),
            content_type: "application/pdf".to_owned(),
            size: 7,
            url: Some("https://pombo.example/v1/media/m".to_owned()),
        };
        let text = new::TextContent { text: "Oi".to_owned(), subject: None, attachments: vec![file] };
        let message = new::Outgoing {
            client_id: "id".to_owned(),
            to: "ana".to_owned(),
            contact_name: None,
            content: new::Content::Text(text),
            reply_to: None,
            mentions: vec!["ze".to_owned()],
            voice_note: false,
            attempt: 2,
            metadata: vec![("direct".to_owned(), "1".to_owned())],
        };
        let old = outgoing(message);
        assert_eq!((old.client_id.as_str(), old.attempt, old.mentions.len(), old.metadata.len()), ("id", 2, 1, 1));
        let old::Content::Text(content) = old.content else { panic!("is a text") };
        let files: Vec<_> = content.attachments.iter().map(|f| (f.media.as_str(), f.size)).collect();
        assert_eq!(files, [("m", 7)]);
    }

    #[test]
    fn operations_of_the_newest_version_only_are_known_as_such() {
        let newer = [
            new::Operation::Check,
            new::Operation::ProfilePicture("ana".to_owned()),
            new::Operation::Other(("x".to_owned(), "{}".to_owned())),
        ];
        assert!(newer.into_iter().all(|one| operation(one).is_none()));
        let typing = operation(new::Operation::Typing(("ana".to_owned(), new::Typing::Recording)));
        assert!(matches!(typing, Some(old::Operation::Typing((chat, old::Typing::Recording))) if chat == "ana"));
        let throttled =
            old::OperationError::Throttled(old::Throttle { retry_after_millis: 5, reason: "slow".to_owned() });
        assert!(matches!(
            operation_error(throttled),
            new::OperationError::Throttled(new::Throttle { retry_after_millis: 5, .. })
        ));
    }

    #[test]
    fn an_outcome_of_the_old_version_holds_back_the_whole_connector_and_has_no_code() {
        let slow = old::Outcome::Throttled(old::Throttle { retry_after_millis: 5, reason: "slow".to_owned() });
        let new::Outcome::Throttled(slow) = outcome(slow) else { panic!("is throttled") };
        assert!(matches!((slow.scope, slow.code), (new::ThrottleScope::Connector, None)));
        let accepted = outcome(old::Outcome::Accepted(Some("id".to_owned())));
        let new::Outcome::Accepted(accepted) = accepted else { panic!("is accepted") };
        assert_eq!((accepted.provider_id.as_deref(), accepted.aliases.len(), accepted.held), (Some("id"), 0, false));
        let rejected = outcome(old::Outcome::Rejected("no".to_owned()));
        assert!(matches!(rejected, new::Outcome::Rejected(why) if why.reason == "no" && why.code.is_none()));
    }
}
