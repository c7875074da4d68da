//! The test kit: runs an automation natively through a scripted conversation, on a clock that only the script advances.
//!
//! ```ignore
//! use std::time::Duration;
//! use pombo_plugin::test::Script;
//!
//! #[test]
//! fn it_greets_and_asks_again_after_a_day() {
//!     let mut script = Script::<Greeter>::new();
//!     assert_eq!(script.says("oi").texts(), ["What is your name?"]);
//!     script.advance(Duration::from_secs(24 * 60 * 60));
//!     assert_eq!(script.last_text(), Some("Are you still there?"));
//! }
//! ```
//!
//! It follows the engine's rules: state goes through JSON; an event that fails has no effects and can be handled again
//! ([`Script::retry`]); timers have names and fire in order; a conversation that was handed over gets no further events until it is
//! resumed; secrets stay outside; only granted servers can be reached; and what the engine would refuse is a failure.
//!
//! # Files
//! `answer` is the answer to one event; `room` is one conversation as the engine keeps it; `fitness` checks what the engine would
//! refuse; `stand_in` answers the automation's calls in place of the engine.

mod answer;
mod fitness;
mod room;
mod stand_in;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::Value;

use crate::automation::types::{
    Action, Attachment, Content, Event, EventBody, Message, ReceivedReaction, Start, Status, StatusChange, StoredFile,
    Timer, Webhook,
};
use crate::automation::{__handle, Automation, Description, EventKind, HttpError, HttpRequest, HttpResponse, Level};
pub use answer::{Answer, Failure, Sent, SetTimer};
use room::Room;
use stand_in::{Outside, StandInGuard};

/// A scripted conversation with an automation; [`Self::with`] adds further ones.
pub struct Script<A: Automation> {
    description: Description,
    config: String,
    now: u64,
    events: u64,
    rooms: BTreeMap<String, Room>,
    chat: String,
    outside: Rc<RefCell<Outside>>,
    emitted: Vec<(String, Value)>,
    failed: Option<(String, Event)>,
    automation: PhantomData<A>,
}

impl<A: Automation> std::fmt::Debug for Script<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script")
            .field("automation", &self.description.name)
            .field("chat", &self.chat)
            .finish_non_exhaustive()
    }
}

impl<A: Automation> Default for Script<A> {
    fn default() -> Self {
        Self::new()
    }
}

/// The time at which scripts begin: Monday, 5 January 2026, 12:00 UTC.
pub const BEGIN: Duration = Duration::from_secs(1_767_614_400);

impl<A: Automation> Script<A> {
    /// A script with an empty configuration.
    pub fn new() -> Self {
        Self::with_config(serde_json::json!({}))
    }

    /// A script with this configuration, including secrets. As in the engine, the automation does not see the secrets.
    pub fn with_config(config: impl Serialize) -> Self {
        let description = A::describe();
        fitness::check_description(&description);
        let mut config =
            serde_json::to_value(config).unwrap_or_else(|e| panic!("the configuration cannot be written as JSON: {e}"));
        let outside = Outside::new(&description, &config);
        let Some(fields) = config.as_object_mut() else { panic!("the configuration must be an object, not {config}") };
        for secret in &description.secret_fields {
            fields.remove(secret);
        }
        Self {
            description,
            config: config.to_string(),
            now: BEGIN.as_millis() as u64,
            events: 0,
            rooms: BTreeMap::new(),
            chat: "ana".to_owned(),
            outside: Rc::new(RefCell::new(outside)),
            emitted: Vec::new(),
            failed: None,
            automation: PhantomData,
        }
    }

    // Conversation and clock.

    /// Switches to the conversation with another person; its first event opens it. The script begins with `ana`.
    pub fn with(&mut self, chat: &str) -> &mut Self {
        chat.clone_into(&mut self.chat);
        self
    }
    /// Switches to a group.
    pub fn with_group(&mut self, chat: &str) -> &mut Self {
        self.with(chat).room_mut().conversation.is_group = true;
        self
    }
    /// The clock's time.
    pub fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.now)
    }
    /// Advances the clock. Timers that come due fire in order, each at its time. Panics if one fails.
    pub fn advance(&mut self, time: Duration) -> Vec<Answer> {
        let end = self.now.saturating_add(time.as_millis() as u64);
        let mut answers = Vec::new();
        while let Some((due, chat, name)) = self.next_timer(end) {
            self.now = self.now.max(due);
            answers.push(self.fire(&chat, &name).unwrap_or_else(|e| panic!("the timer `{name}` failed: {e}")));
        }
        self.now = end;
        answers
    }

    // Events.

    /// Somebody writes. Panics if the automation fails; see [`Self::try_says`].
    pub fn says(&mut self, text: &str) -> Answer {
        expect(self.try_says(text))
    }
    /// Somebody writes, and the automation may fail.
    pub fn try_says(&mut self, text: &str) -> Result<Answer, Failure> {
        let message = self.message(text, Content::Text(text.to_owned()));
        self.event(EventBody::MessageReceived(message))
    }
    /// Somebody sends a file of this kind (`image`, `audio`, `document` …), with an optional caption.
    pub fn sends_file(&mut self, kind: &str, caption: Option<&str>) -> Answer {
        let file = StoredFile {
            id: "file-1".to_owned(),
            filename: format!("{kind}.bin"),
            content_type: "application/octet-stream".to_owned(),
            size: 1000,
        };
        let attachment =
            Attachment { kind: kind.to_owned(), file: Some(file), caption: caption.map(ToOwned::to_owned) };
        let message = self.message(caption.unwrap_or_default(), Content::Attachment(attachment));
        expect(self.event(EventBody::MessageReceived(message)))
    }
    /// Somebody sends a message with any content.
    pub fn sends(&mut self, text: &str, content: Content) -> Answer {
        let message = self.message(text, content);
        expect(self.event(EventBody::MessageReceived(message)))
    }
    /// Somebody reacts to the newest received message.
    pub fn reacts(&mut self, emoji: &str) -> Answer {
        let Some(message) = self.room_mut().newest.clone() else { panic!("no message was received to react to") };
        let sender = self.chat.clone();
        expect(self.event(EventBody::Reaction(ReceivedReaction { message, sender, emoji: emoji.to_owned() })))
    }
    /// Somebody starts the automation by hand with a JSON input.
    pub fn start(&mut self, input: impl Serialize) -> Answer {
        let input =
            serde_json::to_string(&input).unwrap_or_else(|e| panic!("the input cannot be written as JSON: {e}"));
        expect(self.event(EventBody::Started(Start { input, by: "test".to_owned() })))
    }
    /// Somebody calls the automation's webhook.
    pub fn webhook(&mut self, content_type: &str, body: &str) -> Answer {
        expect(
            self.event(EventBody::WebhookCalled(Webhook {
                content_type: content_type.to_owned(),
                body: body.to_owned(),
            })),
        )
    }
    /// The newest message that the automation sent with this label (empty: without a label) changes its status.
    pub fn status(&mut self, label: &str, status: Status, reason: Option<&str>) -> Answer {
        let sent = &self.room_mut().sent;
        let found = sent.iter().rev().find(|s| s.label.as_deref().unwrap_or_default() == label);
        let Some(message) = found.map(|s| s.id.clone()) else { panic!("nothing was sent with the label `{label}`") };
        let label = (!label.is_empty()).then(|| label.to_owned());
        expect(self.event(EventBody::StatusChanged(StatusChange {
            message,
            label,
            status,
            reason: reason.map(ToOwned::to_owned),
        })))
    }
    /// Any event happens. While the conversation is handed over, the automation is not called.
    pub fn event(&mut self, body: EventBody) -> Result<Answer, Failure> {
        let kind = body.kind();
        let opens = !self.room_mut().opened;
        self.room_mut().opened = true;
        if opens && self.listens(EventKind::ConversationOpened) && kind != EventKind::ConversationOpened {
            self.call(EventBody::ConversationOpened)?;
        }
        assert!(
            self.listens(kind),
            "the automation is not called for this: add {kind:?} to the events of its description"
        );
        self.call(body)
    }
    /// Handles the event that failed again, as the engine does after a while.
    pub fn retry(&mut self) -> Result<Answer, Failure> {
        let Some((chat, mut event)) = self.failed.take() else { panic!("no event has failed") };
        event.attempt += 1;
        self.chat = chat;
        self.handle(event)
    }
    /// Somebody resumes the automations of a conversation that was handed over; timers that came due in the meantime fire.
    pub fn resume(&mut self) -> Vec<Answer> {
        self.room_mut().handed_over = None;
        self.advance(Duration::ZERO)
    }

    // The automation's surroundings.

    /// Sets how HTTP requests are answered. Without it, no request gets through.
    pub fn on_http(
        &mut self,
        answer: impl FnMut(&HttpRequest) -> Result<HttpResponse, HttpError> + 'static,
    ) -> &mut Self {
        self.outside.borrow_mut().http = Some(Box::new(answer));
        self
    }
    /// The requests that the automation made, oldest first, with secrets not inserted.
    pub fn requests(&self) -> Vec<HttpRequest> {
        self.outside.borrow().requests.clone()
    }
    /// Puts an entry into the automation's store.
    pub fn put_kv(&mut self, key: &str, value: &str) -> &mut Self {
        self.outside.borrow_mut().kv.insert(key.to_owned(), value.to_owned());
        self
    }
    /// The automation's store.
    pub fn kv(&self) -> BTreeMap<String, String> {
        self.outside.borrow().kv.clone()
    }
    /// The lines that it logged.
    pub fn log(&self) -> Vec<(Level, String)> {
        self.outside.borrow().log.clone()
    }
    /// Adds a tag to the conversation, as a person would.
    pub fn put_tag(&mut self, tag: &str) -> &mut Self {
        self.room_mut().tag(tag);
        self
    }
    /// Sets the contact's name, as the channel reports it.
    pub fn named(&mut self, name: &str) -> &mut Self {
        self.room_mut().conversation.contact_name = Some(name.to_owned());
        self
    }

    // Results.

    /// All texts sent in this conversation, oldest first, including captions and templates.
    pub fn texts(&self) -> Vec<&str> {
        self.sent().iter().filter_map(Sent::text).collect()
    }
    /// The newest text sent in this conversation.
    pub fn last_text(&self) -> Option<&str> {
        self.texts().pop()
    }
    /// All messages sent in this conversation, oldest first.
    pub fn sent(&self) -> &[Sent] {
        self.room().map_or(&[], |room| &room.sent)
    }
    /// The timers that are set in this conversation, in the order in which they will fire.
    pub fn timers(&self) -> Vec<SetTimer> {
        self.room().map(Room::timers).unwrap_or_default()
    }
    /// The conversation's tags.
    pub fn tags(&self) -> Vec<&str> {
        self.room().map(|room| room.conversation.tags.iter().map(|t| &**t).collect()).unwrap_or_default()
    }
    /// Why the conversation was handed over, if it was.
    pub fn handed_over(&self) -> Option<&str> {
        self.room()?.handed_over.as_deref()
    }
    /// The conversation's assignee.
    pub fn assignee(&self) -> Option<&str> {
        self.room()?.conversation.assignee.as_deref()
    }
    /// The contact's name.
    pub fn contact_name(&self) -> Option<&str> {
        self.room()?.conversation.contact_name.as_deref()
    }
    /// Whether messages may be sent to the contact.
    pub fn contact_active(&self) -> bool {
        self.room().is_none_or(|room| room.contact_active)
    }
    /// Whether the newest message was marked as read.
    pub fn is_read(&self) -> bool {
        self.room().is_some_and(|room| room.read)
    }
    /// The events that it emitted in all conversations: kinds and data.
    pub fn emitted(&self) -> &[(String, Value)] {
        &self.emitted
    }
    /// The automation's state in this conversation.
    pub fn state(&self) -> A::State {
        let state = self.room().and_then(|room| room.state.as_deref());
        state.map_or_else(A::State::default, |s| serde_json::from_str(s).unwrap_or_else(|e| panic!("the state: {e}")))
    }
    /// The automation's state in this conversation, as the engine stores it.
    pub fn state_json(&self) -> Option<&str> {
        self.room()?.state.as_deref()
    }

    fn room(&self) -> Option<&Room> {
        self.rooms.get(&self.chat)
    }
    fn room_mut(&mut self) -> &mut Room {
        let now = self.now;
        self.rooms.entry(self.chat.clone()).or_insert_with_key(|chat| Room::new(chat, now))
    }
    fn listens(&self, kind: EventKind) -> bool {
        self.description.events.contains(&kind)
    }
    fn message(&mut self, text: &str, content: Content) -> Message {
        let id = format!("message-{}", self.events + 1);
        self.room_mut().newest = Some(id.clone());
        Message {
            id,
            sender: if self.room_mut().conversation.is_group { "somebody".to_owned() } else { self.chat.clone() },
            sender_name: self.room_mut().conversation.contact_name.clone(),
            text: text.to_owned(),
            content,
            reply_to: None,
            mentions: Vec::new(),
            sent_at_millis: self.now,
        }
    }
    fn next_timer(&self, end: u64) -> Option<(u64, String, String)> {
        let awake = self.rooms.iter().filter(|(_, room)| room.handed_over.is_none());
        let timers = awake.flat_map(|(chat, room)| room.timers.iter().map(move |(name, t)| (t.due, chat, name)));
        let (due, chat, name) = timers.min()?;
        (due <= end).then(|| (due, chat.clone(), name.clone()))
    }
    fn fire(&mut self, chat: &str, name: &str) -> Result<Answer, Failure> {
        chat.clone_into(&mut self.chat);
        let Some(timer) = self.room_mut().timers.remove(name) else {
            return Err(Failure::new("there is no such timer"));
        };
        self.event(EventBody::TimerFired(Timer {
            name: name.to_owned(),
            payload: timer.payload,
            due_at_millis: timer.due,
        }))
    }
    fn call(&mut self, body: EventBody) -> Result<Answer, Failure> {
        self.events += 1;
        let (events, now) = (self.events, self.now);
        let (config, observer) = (self.config.clone(), self.description.observer);
        let room = self.room_mut();
        if room.handed_over.is_some() && !observer {
            return Ok(Answer::nobody_asked());
        }
        room.read &= !matches!(body, EventBody::MessageReceived(_));
        let event = Event {
            id: format!("event-{events}"),
            at_millis: now,
            attempt: 1,
            conversation: room.conversation.clone(),
            config,
            body,
        };
        self.handle(event)
    }

    /// Calls the automation and, if it succeeds and its answer is valid, carries out its actions.
    fn handle(&mut self, event: Event) -> Result<Answer, Failure> {
        let state = self.room().and_then(|room| room.state.clone());
        let outcome = {
            let _asked = StandInGuard::put(&self.outside, self.now, self.events);
            catch_unwind(AssertUnwindSafe(|| __handle::<A>(&event, state.as_deref())))
        };
        let outcome = match outcome {
            Ok(Ok(outcome)) => fitness::check_outcome(&self.description, &outcome).map(|()| outcome),
            Ok(Err(text)) => Err(Failure::new(&text)),
            Err(_) => Err(Failure::new("it panicked")),
        };
        let outcome = outcome.inspect_err(|_| self.failed = Some((self.chat.clone(), event)))?;
        let now = self.now;
        let before = self.room_mut().sent.len();
        for action in &outcome.actions {
            match action {
                Action::WriteKv(write) => self.outside.borrow_mut().write(write),
                Action::Emit(emitted) => {
                    let data = serde_json::from_str(&emitted.json).unwrap_or(Value::Null);
                    self.emitted.push((emitted.kind.clone(), data));
                }
                action => self.room_mut().apply(action, now),
            }
        }
        let room = self.room_mut();
        room.state = outcome.state;
        Ok(Answer::new(room.sent[before..].to_vec(), outcome.actions, outcome.claim))
    }
}

fn expect(answer: Result<Answer, Failure>) -> Answer {
    answer.unwrap_or_else(|failure| panic!("the automation failed: {failure}"))
}

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod tests;
