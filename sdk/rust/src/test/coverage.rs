//! The SDK has a place for everything in the world: what an author writes, and the test kit. The lists are read from the world's text,
//! so that a new kind of event or action fails here until it is there too.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use super::Script;
use crate::automation::types::{Event, Outcome, Status};
use crate::automation::{
    __handle, Automation, Conversation, Description, Error, EventBody, EventKind, Message, NoConfig, Reaction, Start,
    StatusChange, Timer, Turn, Wants, Webhook,
};

const WORLD: &str = include_str!("../../wit/automation/automation.wit");

/// Names of the cases of a variant or an enum of the world.
fn cases(declared: &str) -> BTreeSet<String> {
    let lines = WORLD.lines().map(|line| line.split("//").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n");
    let (_, rest) = text.split_once(&format!("{declared} {{")).expect("the world declares it");
    let (body, _) = rest.split_once('}').expect("it ends");
    let names = body.split(',').map(|case| case.split('(').next().unwrap_or_default().trim().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

/// The name of a case in the world: `Action::SetTimer(…)` is `set-timer`.
fn name(case: &impl Debug) -> String {
    let shown = format!("{case:?}");
    let path = shown.split('(').next().unwrap_or_default();
    let mut name = String::new();
    for letter in path.rsplit("::").next().unwrap_or_default().chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// Keeps which handlers were called, for which kind, and asks for everything there is when somebody writes.
struct Witness;

impl Witness {
    fn saw(turn: &mut Turn<'_, Self>, handler: &str) -> Result<(), Error> {
        let kind = turn.event().body.kind().name();
        turn.state.insert(format!("{handler} {kind}"));
        Ok(())
    }
}

impl Automation for Witness {
    type Config = NoConfig;
    type State = BTreeSet<String>;

    fn describe() -> Description {
        Description {
            events: EventKind::ALL.to_vec(),
            wants: Wants { kv_bytes: 1000, ..Wants::default() },
            ..Description::new("witness", "0.1.0")
        }
    }
    fn on_message(turn: &mut Turn<'_, Self>, message: &Message) -> Result<(), Error> {
        turn.reply("hello").label("greeting");
        turn.set_timer("later", Duration::from_secs(60), "");
        if message.text == "everything" {
            turn.kv_set("key", "value");
            turn.cancel_timer("other");
            turn.tag("new");
            turn.untag("new");
            turn.update_contact(Some("Ana".to_owned()), None);
            turn.assign("maria");
            turn.emit("lead", &1)?;
            turn.mark_read();
            turn.hand_over("asked for a person");
        }
        Self::saw(turn, "on_message")
    }
    fn on_status(turn: &mut Turn<'_, Self>, _: &StatusChange) -> Result<(), Error> {
        Self::saw(turn, "on_status")
    }
    fn on_reaction(turn: &mut Turn<'_, Self>, _: &Reaction) -> Result<(), Error> {
        Self::saw(turn, "on_reaction")
    }
    fn on_opened(turn: &mut Turn<'_, Self>) -> Result<(), Error> {
        Self::saw(turn, "on_opened")
    }
    fn on_timer(turn: &mut Turn<'_, Self>, _: &Timer) -> Result<(), Error> {
        Self::saw(turn, "on_timer")
    }
    fn on_started(turn: &mut Turn<'_, Self>, _: &Start) -> Result<(), Error> {
        Self::saw(turn, "on_started")
    }
    fn on_webhook(turn: &mut Turn<'_, Self>, _: &Webhook) -> Result<(), Error> {
        Self::saw(turn, "on_webhook")
    }
}

#[test]
fn every_kind_of_event_is_known_by_the_worlds_name() {
    let kinds = cases("enum event-kind");
    assert_eq!(cases("variant event-body"), kinds);
    assert_eq!(EventKind::ALL.iter().map(|kind| kind.name().to_owned()).collect::<BTreeSet<_>>(), kinds);
    assert_eq!(EventKind::ALL.iter().map(name).collect::<BTreeSet<_>>(), kinds);
}

#[test]
fn the_kit_brings_about_every_kind_of_event_and_each_has_a_handler_of_its_own() {
    let mut script = Script::<Witness>::new();
    script.says("hi");
    script.status("greeting", Status::Read, None);
    script.reacts("👍");
    script.start(1);
    script.webhook("text/plain", "");
    script.advance(Duration::from_secs(60));
    let state = script.state();
    let (handlers, kinds): (BTreeSet<_>, BTreeSet<_>) = state.iter().filter_map(|seen| seen.split_once(' ')).unzip();
    assert_eq!(kinds.iter().map(|kind| (*kind).to_owned()).collect::<BTreeSet<_>>(), cases("variant event-body"));
    assert_eq!((handlers.len(), state.len()), (kinds.len(), kinds.len()), "{state:?}");
}

#[test]
fn a_turn_has_a_way_to_every_action_and_the_kit_carries_it_out() {
    let answer = Script::<Witness>::new().says("everything");
    assert_eq!(answer.actions().iter().map(name).collect::<BTreeSet<_>>(), cases("variant action"));
}

/// Has a handler for nothing.
struct Idle;

impl Automation for Idle {
    type Config = NoConfig;
    type State = Option<u32>;

    fn describe() -> Description {
        Description::new("idle", "0.1.0")
    }
}

#[test]
fn an_event_without_a_handler_is_passed_over() {
    let event = Event {
        id: "event-1".to_owned(),
        at_millis: 0,
        attempt: 1,
        conversation: Conversation {
            id: "conversation-1".to_owned(),
            connector: "connector-1".to_owned(),
            channel: "test".to_owned(),
            chat: "ana".to_owned(),
            is_group: false,
            contact_name: None,
            tags: Vec::new(),
            assignee: None,
            opened_at_millis: 0,
        },
        config: "{}".to_owned(),
        body: EventBody::Started(Start { input: "{}".to_owned(), by: "test".to_owned() }),
    };
    let nothing =
        |state: Option<&str>| Outcome { state: state.map(ToOwned::to_owned), actions: Vec::new(), claim: false };
    for state in [None, Some("7")] {
        assert_eq!(__handle::<Idle>(&event, state), Ok(nothing(state)));
    }
}

/// Treats all events alike.
struct Alike;

impl Automation for Alike {
    type Config = NoConfig;
    type State = Vec<String>;

    fn describe() -> Description {
        Description { events: EventKind::ALL.to_vec(), ..Description::new("alike", "0.1.0") }
    }
    fn on_event(turn: &mut Turn<'_, Self>, event: &EventBody) -> Result<(), Error> {
        turn.state.push(event.kind().name().to_owned());
        Ok(())
    }
}

#[test]
fn one_handler_may_treat_all_events_alike() {
    let mut script = Script::<Alike>::new();
    script.says("hi");
    script.start(1);
    assert_eq!(script.state(), ["conversation-opened", "message-received", "started"]);
}
