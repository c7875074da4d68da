//! What answers become, and what is refused of them: cases as data.

use std::collections::BTreeMap;

use pombo_domain::model::message::{MessageAction, Target};
use pombo_domain::model::variables::escaped;
use pombo_domain::model::*;
use pombo_domain::ports::{Action, AutomationChange, Change, Outcome, SendAction, SendContent, StoreResult};
use pombo_domain::{AutomationIndex, ConnectorIndex, TenantIndex, Timestamp};
use pombo_testkit::samples;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const NOW: Timestamp = Timestamp(1_714_564_800_000);

struct Stored {
    contact: Option<Contact>,
    kv: BTreeMap<&'static str, u64>,
    features: &'static [&'static str],
}

impl OutcomeReads for Stored {
    fn contact(&self, _: ContactType, _: &str) -> StoreResult<Option<Contact>> {
        Ok(self.contact.clone())
    }
    fn kv_bytes(&self) -> StoreResult<u64> {
        Ok(self.kv.values().sum())
    }
    fn kv_entry_bytes(&self, key: &str) -> StoreResult<u64> {
        Ok(self.kv.get(key).copied().unwrap_or(0))
    }
    fn offers(&self, feature: &str) -> bool {
        self.features.contains(&feature)
    }
    fn id(&self) -> Uuid {
        Uuid::from_u128(77)
    }
}

/// The circumstances of a case; the default is a conversation with one person on a channel that can do everything.
struct Case {
    connector: Connector,
    conversation: Conversation,
    automation: Automation,
    grants: Wants,
    body: TaskBody,
    state: Option<&'static str>,
    stored: Stored,
}

fn case(change: impl FnOnce(&mut Case)) -> Case {
    let content = inbound::InboundContent::Text("oi".to_owned());
    let mut case = Case {
        connector: samples::connector(ConnectorIndex(1), TenantIndex(1), "whatsapp"),
        conversation: Conversation {
            number: 1,
            contact_name: Some("Ana Sá".to_owned()),
            assignee: Some("rui".to_owned()),
            engaged: true,
            next_task: 1,
            ..Conversation::new(Uuid::from_u128(2), TenantIndex(1), ConnectorIndex(1), "5511".to_owned(), false, NOW)
        },
        automation: Automation { groups: true, ..samples::automation(3, TenantIndex(1), ConnectorIndex(1), "p") },
        grants: Wants { kv_bytes: 100, ..Wants::default() },
        body: TaskBody::Message(Inbound { sent_at: NOW, content, ..samples::inbound("5511", "m1") }),
        state: Some("before"),
        stored: Stored { contact: None, kv: BTreeMap::new(), features: &["reactions", "reply", "voice-notes"] },
    };
    change(&mut case);
    case
}

impl Case {
    fn plan(&self, state: Option<&str>, actions: Vec<Action>) -> Result<Plan, Unfit> {
        let context = EventContext {
            connector: &self.connector,
            conversation: &self.conversation,
            automation: &self.automation,
            grants: &self.grants,
            body: &self.body,
            state: self.state,
            now: NOW,
            reads: &self.stored,
        };
        let outcome = Outcome { state: state.map(str::to_owned), actions, claim: true };
        plan(&context, &outcome).expect("the store answers")
    }

    fn changes(&self, action: Action) -> Vec<Change> {
        self.plan(self.state, vec![action]).unwrap_or_else(|unfit| panic!("{unfit}")).changes
    }

    fn refuses(&self, action: Action) -> String {
        match self.plan(self.state, vec![Action::AddTag("good".to_owned()), action.clone()]) {
            Err(unfit) => unfit,
            Ok(_) => panic!("{action:?} is done"),
        }
    }

    fn message(&self, content: SendContent) -> NewMessage {
        let send = SendAction { content, reply_to: None, delay_ms: 0, label: None };
        message_of(self.changes(Action::Send(send)))
    }
}

fn say(text: &str) -> Action {
    sends(SendContent::Text(text.to_owned()))
}

fn sends(content: SendContent) -> Action {
    Action::Send(SendAction { content, reply_to: None, delay_ms: 0, label: None })
}

fn reply(text: &str, to: &str) -> Action {
    let content = SendContent::Text(text.to_owned());
    Action::Send(SendAction { content, reply_to: Some(to.to_owned()), delay_ms: 0, label: None })
}

fn message_of(changes: Vec<Change>) -> NewMessage {
    let found = changes.into_iter().find_map(|change| match change {
        Change::Insert(mut insert) => insert.messages.pop(),
        _ => None,
    });
    found.expect("a message")
}

fn automation_change(change: &Change) -> Option<&AutomationChange> {
    match change {
        Change::Automation(change) => Some(change),
        _ => None,
    }
}

#[test]
fn the_state_is_written_only_where_it_is_another() {
    let case = case(|_| ());
    assert!(case.plan(Some("before"), Vec::new()).expect("fit").changes.is_empty());
    for state in [Some("after"), None] {
        let changes = case.plan(state, Vec::new()).expect("fit").changes;
        let [change] = &changes[..] else { panic!("one change") };
        assert!(
            matches!(automation_change(change), Some(AutomationChange::State(_, AutomationIndex(3), new)) if new.as_deref() == state)
        );
    }
}

#[test]
fn messages_go_into_the_conversation_as_they_are() {
    let case = case(|_| ());
    let text = case.message(SendContent::Text(r"{a|b} \ {{ nome }}".to_owned()));
    assert_eq!(text.text, r"\{a\|b\} \\ \{\{ nome \}\}");
    assert_eq!((text.to.as_str(), text.contact_name.as_deref(), text.priority), ("5511", Some("Ana Sá"), 5));
    assert_eq!((text.scheduled_at, &text.options), (None, &MessageOptions::default()));
    let template = case.message(SendContent::Template("{Oi|Olá}".to_owned(), r#"{"n":1}"#.to_owned()));
    assert_eq!((template.text.as_str(), template.variables.as_deref()), ("{Oi|Olá}", Some(r#"{"n":1}"#)));
    let file = Attachment {
        id: Uuid::from_u128(9),
        file_name: "a.ogg".to_owned(),
        content_type: "audio/ogg".to_owned(),
        size: 3,
    };
    let voice = case.message(SendContent::File { file: file.clone(), caption: None, voice_note: true });
    assert_eq!((voice.attachments, voice.options.voice_note, voice.text.as_str()), (vec![file], true, ""));
    let url =
        SendContent::FileUrl { url: "https://x.test/a".to_owned(), caption: Some("a|b".to_owned()), voice_note: false };
    let url = case.message(url);
    assert_eq!((url.attachment_url.as_deref(), url.text.as_str()), (Some("https://x.test/a"), r"a\|b"));
    let react = SendContent::Reaction { message: "m0".to_owned(), sender: None, emoji: "{".to_owned() };
    let react = case.message(react);
    let target = Target { provider_id: "m0".to_owned(), sender: None, text: None };
    assert_eq!(
        (react.options.action, react.text.as_str()),
        (MessageAction::React(target), "{"),
        "an emoji is not a template"
    );
    let later = SendAction { content: SendContent::Text("x".to_owned()), reply_to: None, delay_ms: 1_500, label: None };
    assert_eq!(message_of(case.changes(Action::Send(later))).scheduled_at, Some(NOW.plus_ms(1_500)));
}

#[test]
fn answers_name_who_wrote_what_they_answer() {
    let target = |sender: &str, text: Option<&str>| {
        let (id, sender) = ("m1".to_owned(), Some(sender.to_owned()));
        Some(Target { provider_id: id, sender, text: text.map(str::to_owned) })
    };
    let alone = case(|_| ());
    assert_eq!(message_of(alone.changes(reply("x", "m1"))).options.reply_to, target("5511", Some("oi")));
    let earlier = message_of(alone.changes(reply("x", "m0"))).options.reply_to.expect("answered");
    assert_eq!((earlier.provider_id.as_str(), earlier.sender.as_deref()), ("m0", Some("5511")));
    let group = case(|c| {
        (c.conversation.is_group, c.conversation.chat) = (true, "g".to_owned());
        if let TaskBody::Message(inbound) = &mut c.body {
            inbound.sender = "5533".to_owned();
        }
    });
    assert_eq!(message_of(group.changes(reply("x", "m1"))).options.reply_to, target("5533", Some("oi")));
    assert!(group.refuses(reply("x", "m0")).contains("in a group"));
    let plain = case(|c| c.stored.features = &[]);
    assert_eq!(message_of(plain.changes(reply("x", "m1"))).options.reply_to, None, "sent without");
}

#[test]
fn the_origin_is_kept_right_behind_the_message() {
    let send = || {
        let content = SendContent::Text("x".to_owned());
        Action::Send(SendAction { content, reply_to: None, delay_ms: 0, label: Some("l".to_owned()) })
    };
    let changes = case(|_| ()).changes(send());
    let expected =
        Origin { conversation: Uuid::from_u128(2), automation: AutomationIndex(3), label: Some("l".to_owned()) };
    assert!(matches!(&changes[0], Change::Insert(_)));
    assert!(matches!(automation_change(&changes[1]), Some(AutomationChange::Origin(origin)) if *origin == expected));
}

#[test]
fn steps_of_the_conversation_are_one_change_and_told_where_somebody_must_know() {
    let case = case(|_| ());
    let actions = vec![
        Action::AddTag(" a ".to_owned()),
        Action::RemoveTag("b".to_owned()),
        Action::Assign(Some("rui".to_owned())),
        Action::Assign(Some("eva".to_owned())),
        Action::HandOver("why".to_owned()),
        Action::HandOver("again".to_owned()),
    ];
    let changes = case.plan(case.state, actions).expect("fit").changes;
    let told: Vec<String> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Event(append) => match &append.event.body {
                EventBody::Conversation { step, detail, .. } => Some(format!("{step} {detail}")),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(told, ["assigned eva", "paused why", "tagged a"]);
    let Some(AutomationChange::Conversation(_, _, steps)) = changes.last().and_then(automation_change) else {
        panic!("the steps")
    };
    let handover =
        Handover { by: format!("automation:{}", Uuid::from_u128(3)), at: NOW, reason: "why".to_owned(), until: None };
    let expected = [
        ConversationStep::Tag("a".to_owned()),
        ConversationStep::Untag("b".to_owned()),
        ConversationStep::Assign(Some("eva".to_owned())),
        ConversationStep::Pause(handover),
    ];
    assert_eq!(steps[..], expected);
}

#[test]
fn a_contact_is_made_or_changed_once() {
    let contact = |changes: Vec<Change>| {
        let [Change::Contact(contact)] = &changes[..] else { panic!("one contact") };
        contact.clone()
    };
    let fresh = case(|_| ());
    let both = vec![Action::UpdateContact(Some(" Ana ".to_owned()), None), Action::UpdateContact(None, Some(false))];
    let made = contact(fresh.plan(fresh.state, both).expect("fit").changes);
    assert_eq!((made.identifier.as_str(), made.name.as_deref(), made.active), ("5511", Some("Ana"), false));
    let known = Contact { id: Uuid::from_u128(5), identifier: "other".to_owned(), ..made.clone() };
    let known = case(|c| c.stored.contact = Some(known));
    let both = vec![Action::UpdateContact(None, Some(true)), Action::UpdateContact(Some("Ana".to_owned()), Some(true))];
    let changes = known.plan(known.state, both).expect("fit").changes;
    let [Change::ContactSteps { tenant, id, at, steps, must_exist: true }] = &changes[..] else {
        panic!("the steps of one contact")
    };
    assert_eq!((*tenant, *id, *at), (made.tenant, Uuid::from_u128(5), NOW));
    let expected = [ContactStep::Active(true, None), ContactStep::Name(Some("Ana".to_owned()))];
    assert_eq!(steps[..], expected, "in steps, so that what else changed meanwhile stays");
}

#[test]
fn what_cannot_be_done_is_refused_with_a_reason() {
    let long = |n: usize| "x".repeat(n);
    let update = || Action::UpdateContact(Some("Ana".to_owned()), None);
    let emit = |kind: &str, json: &str| Action::Emit(kind.to_owned(), json.to_owned());
    let timer = |name: &str, ms: u64| Action::SetTimer(name.to_owned(), ms, String::new());
    let observer = || case(|c| c.automation.observer = true);
    let plain = || case(|_| ());
    for (case, action, says) in [
        (observer(), say("x"), "may not send"),
        (observer(), Action::HandOver("x".to_owned()), "may not hand over"),
        (observer(), Action::Assign(None), "may not assign"),
        (plain(), say(" \n"), "must not be empty"),
        (plain(), say("a\0b"), "NUL"),
        (plain(), say(&long(64 * 1024 + 1)), "at most 65536 bytes"),
        (plain(), sends(SendContent::Template("x".to_owned(), "[]".to_owned())), "must be a JSON object"),
        (plain(), sends(SendContent::FileUrl { url: String::new(), caption: None, voice_note: false }), "URL"),
        (
            case(|c| c.stored.features = &[]),
            sends(SendContent::Reaction { message: "m".to_owned(), sender: None, emoji: "x".to_owned() }),
            "no reactions",
        ),
        (plain(), timer("t", 999), "from a second"),
        (plain(), timer("t", MAX_TIMER_MS + 1), "to 400 days"),
        (plain(), timer("", 1_000), "must not be empty"),
        (plain(), Action::AddTag("a\nb".to_owned()), "control characters"),
        (plain(), emit("k", "{"), "must be JSON"),
        (plain(), emit("", "{}"), "must not be empty"),
        (plain(), Action::WriteKv(String::new(), None), "must not be empty"),
        (plain(), Action::WriteKv(long(513), None), "at most 512"),
        (plain(), Action::WriteKv("k".to_owned(), Some(long(100))), "101 bytes; 100 were granted"),
        (case(|c| c.grants.kv_bytes = 0), Action::WriteKv("k".to_owned(), Some(String::new())), "kv-bytes"),
        (case(|c| c.conversation.is_group = true), update(), "a group is not a contact"),
        (case(|c| c.connector.channel = "sms".to_owned()), update(), "no contacts are kept"),
    ] {
        let refused = case.refuses(action.clone());
        assert!(refused.contains(says), "{action:?}: {refused}");
    }
    let many = plain().plan(None, (0..=MAX_ACTIONS).map(|_| Action::MarkRead).collect());
    assert!(many.is_err_and(|unfit| unfit.contains("at most 100 actions")));
}

#[test]
fn a_store_that_is_full_can_still_be_emptied_and_rewritten() {
    let full = case(|c| c.stored.kv = [("a", 60), ("b", 60)].into());
    let write = |key: &str, bytes: Option<usize>| Action::WriteKv(key.to_owned(), bytes.map(|n| "x".repeat(n)));
    assert_eq!(full.changes(write("a", None)).len(), 1);
    assert_eq!(full.changes(write("a", Some(59))).len(), 1, "no larger than it was");
    assert!(full.refuses(write("a", Some(60))).contains("121 bytes"));
    let swapped = full.plan(full.state, vec![write("a", None), write("c", Some(39))]);
    assert!(swapped.is_ok(), "100 in the end");
}

proptest! {
    /// The grammar of the renderer: a backslash before one of these four is that character.
    #[test]
    fn escaped_text_is_read_back_as_it_was(text in "[a{}|\\\\ é]{0,40}") {
        let mut read = String::new();
        let escaped = escaped(&text);
        let mut chars = escaped.chars();
        while let Some(c) = chars.next() {
            let literal = if c == '\\' { chars.next().expect("never at the end") } else { c };
            prop_assert!(c == '\\' || !matches!(c, '{' | '}' | '|'), "bare {c} in {escaped}");
            read.push(literal);
        }
        prop_assert_eq!(read, text);
    }
}
