//! Receipts, presence, changes of groups and contacts, and what was read on the account's phone. Names are found through [`Names`]; nothing is fetched.

use pombo_plugin::connector::events::{
    ContactUpdate, GroupChange, GroupStep, Presence, PresenceKind, Receipt, ReceiptKind,
};
use serde_json::json;
use wacore::stanza::groups::{GroupNotificationAction as Action, GroupParticipantInfo};
use wacore::types::events::{
    self as library, ChatPresenceUpdate, ContactNumberChanged, GroupUpdate, MarkChatAsReadUpdate, PresenceUpdate,
};
use wacore::types::presence::{ChatPresence, ChatPresenceMedia, ReceiptType};
use wacore_binary::{Jid, JidExt};

use super::message::contact;
use super::received::Received;
use crate::identity::{Names, Person, of_jid, person};

/// The receipts of a notice, still without client-ids. Empty for notices about other devices of the account, and for notices that
/// are not receipts.
pub(crate) async fn receipts(names: &impl Names, own: &[Jid], receipt: &library::Receipt) -> Vec<Receipt> {
    let kind = match receipt.r#type {
        ReceiptType::Delivered => ReceiptKind::Delivered,
        ReceiptType::Read => ReceiptKind::Read,
        ReceiptType::Played => ReceiptKind::Played,
        _ => return Vec::new(),
    };
    let source = &receipt.source;
    if own.iter().any(|own| own.is_same_user_as(&source.sender)) || source.chat.is_status_broadcast() {
        return Vec::new();
    }
    let recipient = person(names, &source.sender, source.sender_alt.as_ref()).await.address;
    let at_millis = millis(receipt.timestamp.timestamp_millis());
    receipt
        .message_ids
        .iter()
        .map(|id| Receipt {
            client_id: None,
            provider_id: id.clone(),
            recipient: Some(recipient.clone()),
            kind,
            at_millis,
            reason: None,
        })
        .collect()
}

/// The event `chat-read` of a receipt by which another device of the account says that it read a chat; `None` for other receipts.
pub(crate) async fn read_elsewhere(
    names: &impl Names,
    own: &[Jid],
    received: &Received,
    receipt: &library::Receipt,
) -> Option<(String, String)> {
    if receipt.r#type != ReceiptType::ReadSelf {
        return None;
    }
    let (chat, at) = (&receipt.source.chat, receipt.timestamp.timestamp_millis());
    if own.iter().any(|own| own.is_same_user_as(chat)) {
        // It names the account, and not the chat.
        return received.chat_of(&receipt.message_ids).map(|chat| told_read(&chat, at));
    }
    chat_read(names, chat, at).await
}

/// The event `chat-read` of a chat that another device of the account marked as read; `None` where it marked it as unread, and of
/// marks that are only caught up on.
pub(crate) async fn marked_read(names: &impl Names, update: &MarkChatAsReadUpdate) -> Option<(String, String)> {
    if update.from_full_sync || update.action.read != Some(true) {
        return None;
    }
    chat_read(names, &update.jid, update.timestamp.timestamp_millis()).await
}

async fn chat_read(names: &impl Names, chat: &Jid, at_millis: i64) -> Option<(String, String)> {
    if chat.is_status_broadcast() || chat.is_newsletter() {
        return None;
    }
    let chat = if chat.is_group() { of_jid(chat) } else { person(names, chat, None).await.address };
    Some(told_read(&chat, at_millis))
}

fn told_read(chat: &str, at_millis: i64) -> (String, String) {
    ("chat-read".to_owned(), json!({ "chat": chat, "atMillis": millis(at_millis) }).to_string())
}

/// The name of a group, as the engine takes names.
pub(crate) fn group_name(group: &Jid, subject: &str) -> Option<ContactUpdate> {
    let subject = subject.trim();
    (!subject.is_empty()).then(|| ContactUpdate {
        address: of_jid(group),
        display_name: Some(subject.to_owned()),
        aliases: Vec::new(),
    })
}

/// Somebody types, or stopped.
pub(crate) async fn typing(names: &impl Names, update: &ChatPresenceUpdate) -> Presence {
    let kind = match (update.state, update.media) {
        (ChatPresence::Composing, ChatPresenceMedia::Text) => PresenceKind::Typing,
        (ChatPresence::Composing, ChatPresenceMedia::Audio) => PresenceKind::Recording,
        (ChatPresence::Paused, _) => PresenceKind::Paused,
    };
    let sender = person(names, &update.source.sender, update.source.sender_alt.as_ref()).await.address;
    let chat = if update.source.chat.is_group() { of_jid(&update.source.chat) } else { sender.clone() };
    Presence { chat, sender, kind }
}

/// Somebody came or went.
pub(crate) async fn presence(names: &impl Names, update: &PresenceUpdate) -> Presence {
    let sender = person(names, &update.from, None).await.address;
    let kind = if update.unavailable { PresenceKind::Offline } else { PresenceKind::Online };
    Presence { chat: sender.clone(), sender, kind }
}

/// Somebody has another number: the same contact under a new address.
pub(crate) async fn number_changed(names: &impl Names, change: &ContactNumberChanged) -> ContactUpdate {
    let new = person(names, &change.new_jid, change.new_lid.as_ref()).await;
    let mut update = contact(&new, None);
    for old in [Some(&change.old_jid), change.old_lid.as_ref()].into_iter().flatten().map(of_jid) {
        if old != update.address && !update.aliases.contains(&old) {
            update.aliases.push(old);
        }
    }
    update
}

/// The change of a group, and the contacts that it names.
pub(crate) async fn group(names: &impl Names, update: &GroupUpdate) -> (GroupChange, Vec<ContactUpdate>) {
    let mut contacts = Vec::new();
    let actor = match &update.participant {
        Some(jid) => {
            let found = person(names, jid, update.participant_pn.as_ref()).await;
            contacts.push(contact(&found, None));
            Some(found.address)
        }
        None => None,
    };
    let step = match &update.action {
        Action::Create { .. } => GroupStep::Created,
        Action::Subject { subject, .. } => GroupStep::Subject(subject.clone()),
        Action::Description { description, .. } => GroupStep::Description(description.clone().unwrap_or_default()),
        Action::Add { participants, .. } => GroupStep::Added(addresses(names, participants, &mut contacts).await),
        Action::Remove { participants, .. } => GroupStep::Removed(addresses(names, participants, &mut contacts).await),
        Action::Promote { participants } => GroupStep::Promoted(addresses(names, participants, &mut contacts).await),
        Action::Demote { participants } => GroupStep::Demoted(addresses(names, participants, &mut contacts).await),
        Action::Locked { .. } => other("locked", json!({ "locked": true })),
        Action::Unlocked => other("locked", json!({ "locked": false })),
        Action::Announce => other("announcement", json!({ "announcement": true })),
        Action::NotAnnounce => other("announcement", json!({ "announcement": false })),
        Action::Ephemeral { expiration, .. } => other("ephemeral", json!({ "seconds": expiration })),
        Action::Delete { .. } => other("deleted", json!({})),
        // Somebody came by the link: who, is the actor.
        Action::Invite { .. } => GroupStep::Added(actor.iter().cloned().collect()),
        Action::RevokeInvite => other("invite-revoked", json!({})),
        rest => other(rest.tag_name(), json!({})),
    };
    let change = GroupChange {
        group: of_jid(&update.group_jid),
        actor,
        at_millis: millis(update.timestamp.timestamp_millis()),
        step,
    };
    (change, contacts)
}

fn other(kind: &str, json: serde_json::Value) -> GroupStep {
    GroupStep::Other((kind.to_owned(), json.to_string()))
}

async fn addresses(
    names: &impl Names,
    members: &[GroupParticipantInfo],
    contacts: &mut Vec<ContactUpdate>,
) -> Vec<String> {
    let mut addresses = Vec::with_capacity(members.len());
    for member in members {
        let found: Person = person(names, &member.jid, member.phone_number.as_ref().or(member.lid.as_ref())).await;
        contacts.push(contact(&found, None));
        addresses.push(found.address);
    }
    addresses
}

fn millis(millis: i64) -> u64 {
    u64::try_from(millis).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Pairs, ready};
    use wacore::chrono::{DateTime, Utc};
    use wacore::types::message::MessageSource;

    fn jid(text: &str) -> Jid {
        text.parse().expect("a jid")
    }

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(5, 0).expect("a time")
    }

    fn names() -> Pairs {
        Pairs(vec![("12025550100", "200"), ("12025550111", "211")])
    }

    fn source(chat: &str, sender: &str) -> MessageSource {
        MessageSource { chat: jid(chat), sender: jid(sender), ..Default::default() }
    }

    #[test]
    fn a_receipt_names_every_message_and_the_member() {
        let own = [jid("5511900000000@s.whatsapp.net"), jid("900@lid")];
        let receipt = |kind, chat: &str, sender: &str| {
            library::Receipt::builder()
                .source(source(chat, sender))
                .message_ids(vec!["A".into(), "B".into()])
                .timestamp(at())
                .r#type(kind)
                .offline(false)
                .build()
        };
        for (kind, want) in [
            (ReceiptType::Delivered, ReceiptKind::Delivered),
            (ReceiptType::Read, ReceiptKind::Read),
            (ReceiptType::Played, ReceiptKind::Played),
        ] {
            let told = ready(receipts(&names(), &own, &receipt(kind, "1203@g.us", "200:3@lid")));
            let ids: Vec<_> =
                told.iter().map(|r| (r.provider_id.as_str(), r.recipient.as_deref(), r.kind, r.at_millis)).collect();
            assert_eq!(ids, [("A", Some("12025550100"), want, 5_000), ("B", Some("12025550100"), want, 5_000)]);
        }
        for (kind, sender) in [
            (ReceiptType::ReadSelf, "200@lid"),
            (ReceiptType::Retry, "200@lid"),
            (ReceiptType::Sender, "200@lid"),
            (ReceiptType::Delivered, "900:4@lid"),
            (ReceiptType::Read, "5511900000000:2@s.whatsapp.net"),
        ] {
            assert!(
                ready(receipts(&names(), &own, &receipt(kind.clone(), "200@lid", sender))).is_empty(),
                "{kind:?} of {sender}"
            );
        }
    }

    #[test]
    fn a_chat_that_was_read_on_the_phone_is_told_with_its_address() {
        let own = [jid("5511900000000@s.whatsapp.net"), jid("900@lid")];
        let told = |kind, chat: &str, sender: &str, known: bool| {
            let receipt = library::Receipt::builder()
                .source(source(chat, sender))
                .message_ids(vec!["A".into()])
                .timestamp(at())
                .r#type(kind)
                .offline(false)
                .build();
            let received = Received::default();
            received.note("A", "12025550111");
            let received = if known { received } else { Received::default() };
            ready(read_elsewhere(&names(), &own, &received, &receipt)).map(|(kind, text)| {
                let said: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                (kind, said)
            })
        };
        let of = |chat: &str| Some(("chat-read".to_owned(), json!({ "chat": chat, "atMillis": 5_000 })));
        assert_eq!(told(ReceiptType::ReadSelf, "200@lid", "200@lid", false), of("12025550100"));
        assert_eq!(told(ReceiptType::ReadSelf, "1203@g.us", "200@lid", false), of("1203@g.us"));
        assert_eq!(told(ReceiptType::ReadSelf, "900@lid", "900@lid", true), of("12025550111"), "by the message");
        assert_eq!(told(ReceiptType::ReadSelf, "900@lid", "900@lid", false), None, "nobody is known");
        assert_eq!(told(ReceiptType::Read, "200@lid", "200@lid", true), None);
        assert_eq!(group_name(&jid("1203@g.us"), "  "), None);
        assert_eq!(group_name(&jid("1203@g.us"), "Loja").and_then(|group| group.display_name), Some("Loja".into()));
    }

    #[test]
    fn presence_is_of_who_it_is_about() {
        let typing_in = |chat: &str, state, media| {
            let update =
                ChatPresenceUpdate::builder().source(source(chat, "200:1@lid")).state(state).media(media).build();
            let told = ready(typing(&names(), &update));
            (told.chat, told.sender, told.kind)
        };
        let who = || "12025550100".to_owned();
        assert_eq!(
            typing_in("200@lid", ChatPresence::Composing, ChatPresenceMedia::Text),
            (who(), who(), PresenceKind::Typing)
        );
        assert_eq!(
            typing_in("1203@g.us", ChatPresence::Composing, ChatPresenceMedia::Audio),
            ("1203@g.us".into(), who(), PresenceKind::Recording)
        );
        assert_eq!(typing_in("200@lid", ChatPresence::Paused, ChatPresenceMedia::Text).2, PresenceKind::Paused);
    }

    #[test]
    fn a_new_number_keeps_the_old_ones_as_names() {
        let change = ContactNumberChanged::builder()
            .old_jid(jid("12025550100@s.whatsapp.net"))
            .new_jid(jid("12025550111@s.whatsapp.net"))
            .old_lid(jid("200@lid"))
            .new_lid(jid("211@lid"))
            .timestamp(at())
            .build();
        let update = ready(number_changed(&names(), &change));
        assert_eq!(update.address, "12025550111");
        assert_eq!(update.aliases, ["211@lid", "12025550100", "200@lid"]);
    }

    #[test]
    fn a_change_of_a_group_has_a_step() {
        let member = |jid_text: &str| GroupParticipantInfo {
            jid: jid(jid_text),
            phone_number: None,
            display_name: None,
            r#type: None,
            lid: None,
            username: None,
            join_time: None,
            group_history_sent_state: None,
        };
        let step = |action| {
            let update = GroupUpdate::builder()
                .group_jid(jid("1203@g.us"))
                .participant(jid("200@lid"))
                .timestamp(at())
                .is_lid_addressing_mode(true)
                .action(action)
                .build();
            let (change, contacts) = ready(group(&names(), &update));
            assert_eq!(
                (change.group.as_str(), change.actor.as_deref(), change.at_millis),
                ("1203@g.us", Some("12025550100"), 5_000)
            );
            assert_eq!(contacts.first().map(|c| c.aliases.clone()), Some(vec!["200@lid".to_owned()]));
            change.step
        };
        let members = || vec![member("211@lid"), member("333@lid")];
        let named = || vec!["12025550111".to_owned(), "333@lid".to_owned()];
        assert_eq!(step(Action::Add { participants: members(), reason: None }), GroupStep::Added(named()));
        assert_eq!(step(Action::Remove { participants: members(), reason: None }), GroupStep::Removed(named()));
        assert_eq!(step(Action::Promote { participants: members() }), GroupStep::Promoted(named()));
        assert_eq!(step(Action::Demote { participants: members() }), GroupStep::Demoted(named()));
        let subject = Action::Subject { subject: "New".into(), subject_owner: None, subject_time: None };
        assert_eq!(step(subject), GroupStep::Subject("New".into()));
        let description = Action::Description { id: "1".into(), description: None };
        assert_eq!(step(description), GroupStep::Description(String::new()));
        assert_eq!(step(Action::Invite { code: "x".into() }), GroupStep::Added(vec!["12025550100".into()]));
        assert_eq!(step(Action::Unlocked), GroupStep::Other(("locked".into(), r#"{"locked":false}"#.into())));
        assert_eq!(step(Action::Suspended), GroupStep::Other(("suspended".into(), "{}".into())));
    }
}
