//! One event that is being handled.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::send::millis;
use super::types::{
    Action, ContactUpdate, Emitted, Event, KvWrite, NewTimer, Outcome, Outgoing, Send, SentReaction, Template,
};
use super::{
    Automation, Conversation, Error, FileToSend, HttpError, HttpRequest, HttpResponse, KvEntry, KvError, Level,
    Message, Sending, host,
};

/// One event that is being handled: what the automation knows, what it may ask the engine, and its actions.
///
/// The actions are carried out only after the handler has returned `Ok`: all of them, in order, together with the new state.
pub struct Turn<'e, A: Automation> {
    /// The state that the previous event left in this conversation. The next event gets what this one leaves here.
    pub state: A::State,
    /// What the tenant configured, without the secret fields.
    pub config: A::Config,
    event: &'e Event,
    actions: Vec<Action>,
    claim: Option<bool>,
}

impl<A: Automation> fmt::Debug for Turn<'_, A> {
    /// Leaves out what people wrote.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("event", &self.event.id).finish_non_exhaustive()
    }
}

impl<'e, A: Automation> Turn<'e, A> {
    pub(super) fn new(event: &'e Event, state: Option<&str>) -> Result<Self, Error> {
        let config = serde_json::from_str(&event.config)
            .map_err(|e| said("the configuration cannot be read; change it: ", &e))?;
        let state = match state {
            None => A::State::default(),
            Some(state) => serde_json::from_str(state).map_err(|e| {
                said("the state from another version cannot be read; give new fields a serde default: ", &e)
            })?,
        };
        Ok(Self { state, config, event, actions: Vec::new(), claim: None })
    }

    pub(super) fn into_outcome(self) -> Result<Outcome, Error> {
        let state =
            serde_json::to_string(&self.state).map_err(|e| said("the state cannot be written as JSON: ", &e))?;
        let answered = |action: &Action| matches!(action, Action::Send(_) | Action::HandOver(_));
        Ok(Outcome {
            // `()` and `None` are not stored.
            state: (state != "null").then_some(state),
            claim: self.claim.unwrap_or_else(|| self.actions.iter().any(answered)),
            actions: self.actions,
        })
    }

    // The event and the conversation.

    /// The event's id. It is the same on every attempt, and so a good idempotency key.
    pub fn event_id(&self) -> &'e str {
        &self.event.id
    }
    /// When the event happened.
    pub fn happened_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.event.at_millis)
    }
    /// The number of this attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.event.attempt
    }
    /// The whole event.
    pub fn event(&self) -> &'e Event {
        self.event
    }
    /// The conversation, as it was before this turn.
    pub fn conversation(&self) -> &'e Conversation {
        &self.event.conversation
    }
    /// Whether the conversation had this tag before this turn.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.event.conversation.tags.iter().any(|t| t == tag)
    }
    /// The engine's clock. It stands still during a turn.
    pub fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(host::now_millis())
    }
    /// [`Self::now`] in milliseconds since the Unix epoch.
    pub fn now_millis(&self) -> u64 {
        host::now_millis()
    }
    /// A random number. Do not use it for secrets: it is recorded for replays.
    pub fn random(&self) -> u64 {
        host::random()
    }
    /// A random index into a list of `len` entries; 0 if the list is empty.
    pub fn pick(&self, len: usize) -> usize {
        ((u128::from(host::random()) * len as u128) >> 64) as usize
    }
    /// Writes a line to the plugin's log. Never log message bodies, addresses or secrets.
    pub fn log(&self, level: Level, text: &str) {
        crate::log::log(level, "", text);
    }

    // Actions.

    /// Sends a text literally.
    pub fn reply(&mut self, text: impl Into<String>) -> Sending<'_> {
        self.send(Outgoing::Text(text.into()))
    }
    /// Sends a text rendered from a template (choices and variables). `variables` must serialize to a JSON object.
    pub fn send_template(&mut self, text: impl Into<String>, variables: &impl Serialize) -> Result<Sending<'_>, Error> {
        let variables = serde_json::to_string(variables).map_err(|e| said("the variables cannot be written: ", &e))?;
        Ok(self.send(Outgoing::Template(Template { text: text.into(), variables })))
    }
    /// Sends a file.
    pub fn send_file(&mut self, file: FileToSend) -> Sending<'_> {
        self.send(file.into())
    }
    /// Reacts to a message; an empty `emoji` removes the reaction.
    pub fn react(&mut self, message: &Message, emoji: impl Into<String>) -> Sending<'_> {
        self.send(Outgoing::Reaction(SentReaction {
            message: message.id.clone(),
            sender: Some(message.sender.clone()),
            emoji: emoji.into(),
        }))
    }
    /// Sends any kind of content.
    pub fn send(&mut self, content: Outgoing) -> Sending<'_> {
        self.actions.push(Action::Send(Send { content, reply_to: None, delay_millis: 0, label: None }));
        match self.actions.last_mut() {
            Some(Action::Send(send)) => Sending(send),
            _ => unreachable!("it was pushed just now"),
        }
    }
    /// Has [`Automation::on_timer`] called for this conversation after a time, from 1 second to 400 days; a restart of the engine
    /// does not matter. A timer that already has this name is replaced.
    pub fn set_timer(&mut self, name: impl Into<String>, delay: Duration, payload: impl Into<String>) {
        let timer = NewTimer { name: name.into(), delay_millis: millis(delay), payload: payload.into() };
        self.actions.push(Action::SetTimer(timer));
    }
    /// Cancels a timer. Does nothing if no timer has this name.
    pub fn cancel_timer(&mut self, name: impl Into<String>) {
        self.actions.push(Action::CancelTimer(name.into()));
    }
    /// Adds a tag to the conversation.
    pub fn tag(&mut self, tag: impl Into<String>) {
        self.actions.push(Action::AddTag(tag.into()));
    }
    /// Removes a tag from the conversation.
    pub fn untag(&mut self, tag: impl Into<String>) {
        self.actions.push(Action::RemoveTag(tag.into()));
    }
    /// Changes the contact: its name, and whether messages may be sent to it.
    pub fn update_contact(&mut self, name: Option<String>, active: Option<bool>) {
        self.actions.push(Action::UpdateContact(ContactUpdate { name, active }));
    }
    /// Pauses the automations in this conversation until somebody resumes them; the reason is for the person who takes over.
    pub fn hand_over(&mut self, reason: impl Into<String>) {
        self.actions.push(Action::HandOver(reason.into()));
    }
    /// Assigns the conversation to somebody.
    pub fn assign(&mut self, to: impl Into<String>) {
        self.actions.push(Action::Assign(Some(to.into())));
    }
    /// Clears the conversation's assignee.
    pub fn unassign(&mut self) {
        self.actions.push(Action::Assign(None));
    }
    /// Appends an event to the tenant's event log. `kind` has 1 to 64 letters, digits, dashes, dots and underscores.
    pub fn emit(&mut self, kind: impl Into<String>, data: &impl Serialize) -> Result<(), Error> {
        let json = serde_json::to_string(data).map_err(|e| said("the event cannot be written: ", &e))?;
        self.actions.push(Action::Emit(Emitted { kind: kind.into(), json }));
        Ok(())
    }
    /// Marks the conversation as read.
    pub fn mark_read(&mut self) {
        self.actions.push(Action::MarkRead);
    }
    /// Adds any action.
    pub fn act(&mut self, action: Action) {
        self.actions.push(action);
    }
    /// The actions of this turn so far.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }
    /// Claims the event: later automations of the connector are not asked. This is the default if the turn sends something or hands
    /// over.
    pub fn claim(&mut self) {
        self.claim = Some(true);
    }
    /// Lets later automations of the connector be asked, even if this turn sends something.
    pub fn pass(&mut self) {
        self.claim = Some(false);
    }

    // Calls to the engine.

    /// Reads a value from the automation's own store, which all its conversations share. Sees the writes of this turn.
    pub fn kv_get(&self, key: &str) -> Result<Option<String>, KvError> {
        match self.written().rev().find(|write| write.key == key) {
            Some(write) => Ok(write.value.clone()),
            None => host::kv_get(key),
        }
    }
    /// Lists entries whose key starts with `prefix`, in byte order, after the key `after`, at most `limit` (and at most 256).
    /// Sees the writes of this turn.
    pub fn kv_list(&self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<KvEntry>, KvError> {
        let limit = limit.min(256) as usize;
        let mut entries = host::kv_list(prefix, after, limit as u32)?;
        // After a full page the store may hold more entries, which are not known here.
        let end = (entries.len() >= limit).then(|| entries.last().map(|e| e.key.clone())).flatten();
        for write in self.written() {
            let within = write.key.starts_with(prefix)
                && after.is_none_or(|after| *write.key > *after)
                && end.as_ref().is_none_or(|end| write.key <= *end);
            if !within {
                continue;
            }
            let place = entries.binary_search_by(|e| e.key.cmp(&write.key));
            match (place, &write.value) {
                (Ok(place), Some(value)) => entries[place].value.clone_from(value),
                (Ok(place), None) => drop(entries.remove(place)),
                (Err(place), Some(value)) => {
                    entries.insert(place, KvEntry { key: write.key.clone(), value: value.clone() });
                }
                (Err(_), None) => {}
            }
        }
        entries.truncate(limit);
        Ok(entries)
    }
    /// Writes to the store, together with the other actions of this turn.
    pub fn kv_set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.actions.push(Action::WriteKv(KvWrite { key: key.into(), value: Some(value.into()) }));
    }
    /// Deletes from the store, together with the other actions of this turn.
    pub fn kv_delete(&mut self, key: impl Into<String>) {
        self.actions.push(Action::WriteKv(KvWrite { key: key.into(), value: None }));
    }
    /// Sends a request at once and waits for the response. If the event is handled again, the request is sent again, so
    /// pass [`Self::event_id`] if the server supports an idempotency key.
    pub fn http(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        host::http(request)
    }

    fn written(&self) -> impl DoubleEndedIterator<Item = &KvWrite> {
        self.actions.iter().filter_map(|action| match action {
            Action::WriteKv(write) => Some(write),
            _ => None,
        })
    }
}

fn said(what: &str, why: &dyn fmt::Display) -> Error {
    Error::new(format!("{what}{why}"))
}
