//! Runs a flow: takes an input and the state of the conversation, and produces messages and the new state. Knows no plugin
//! interface: its actions go through [`Host`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::answer::{self, Answer};
use crate::condition::holds;
use crate::host::{Call, Host};
use crate::hours;
use crate::model::{Asking, Flow, Step, StepName};
use crate::text::{fill, fill_path, fill_value, has_word};

/// Maximum number of steps that one input may lead through: more means that the flow runs in a circle.
const STEPS: usize = 100;
const MINUTE_MS: u64 = 60_000;

/// The state of a flow in a conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The step that waits; `None` if the flow is not running.
    pub at: Option<StepName>,
    /// The conversation's variables.
    pub variables: BTreeMap<String, Value>,
    /// Failed answers to the step that waits.
    pub tries: u32,
    /// Counts waits, so that a timer of an earlier wait can be recognised.
    pub waits: u64,
    /// Whether [`crate::host::TIMER`] is set.
    #[serde(default)]
    pub timer: bool,
    /// When the flow last ended, in milliseconds.
    pub ended_at: Option<u64>,
    /// Whether a message was seen in this conversation.
    pub seen: bool,
}

/// An input to a flow.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Somebody wrote a message.
    Message(Answer<'a>),
    /// The timer with this payload fired.
    Timer(&'a str),
    /// Somebody started it, with a JSON object of variables.
    Started(&'a Value),
}

/// What happened to an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    /// The flow handled it.
    Claimed,
    /// It was not for the flow.
    Passed,
}

/// The flow cannot continue; the reason is for its author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(pub String);

/// Passes an input to a flow.
pub fn run(flow: &Flow, state: &mut State, input: Input<'_>, host: &mut dyn Host) -> Result<Ran, Broken> {
    let first = matches!(input, Input::Message(_)) && !std::mem::replace(&mut state.seen, true);
    let mut run = Run { flow, state, host };
    // A flow that was changed in the meantime may no longer have the step: then it is not running.
    if run.state.at.as_ref().is_some_and(|at| !flow.steps.contains_key(at)) {
        run.end();
    }
    match input {
        Input::Message(answer) => run.message(answer, first),
        Input::Timer(payload) => run.timer(payload),
        Input::Started(input) => {
            run.begin();
            if let Some(fields) = input.as_object() {
                run.state.variables.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            run.go(Some(flow.start.clone()))?;
            Ok(Ran::Claimed)
        }
    }
}

struct Run<'a> {
    flow: &'a Flow,
    state: &'a mut State,
    host: &'a mut dyn Host,
}

impl Run<'_> {
    fn begin(&mut self) {
        self.stop_waiting();
        self.state.variables.clone_from(&self.flow.variables);
        self.state.tries = 0;
    }

    fn end(&mut self) {
        self.stop_waiting();
        self.state.at = None;
        self.state.tries = 0;
        self.state.ended_at = Some(self.host.now_ms());
    }

    fn stop_waiting(&mut self) {
        self.state.at = None;
        if std::mem::take(&mut self.state.timer) {
            self.host.cancel_timer();
        }
    }

    fn say(&mut self, text: &str) {
        let text = fill(text, &self.state.variables);
        if !text.trim().is_empty() {
            self.host.say(&text);
        }
    }

    fn message(&mut self, answer: Answer<'_>, first: bool) -> Result<Ran, Broken> {
        let Some(at) = self.state.at.clone() else { return self.triggered(answer, first) };
        if has_word(answer.text, &self.flow.stop_words) && !self.flow.stop_words.is_empty() {
            self.end();
            return Ok(Ran::Claimed);
        }
        if has_word(answer.text, &self.flow.person_words) {
            self.hand_over("o cliente pediu uma pessoa", None);
            return Ok(Ran::Claimed);
        }
        let Some(step) = self.flow.steps.get(&at) else { return Ok(Ran::Passed) };
        match step {
            Step::Question { variable, answer: rule, asking, next, .. } => {
                let today = hours::today(self.flow, self.host.now_ms());
                match answer::read(rule, answer, today) {
                    Some(value) => {
                        self.state.variables.insert(variable.clone(), value);
                        self.go(next.clone())?;
                    }
                    None => self.not_fitting(&at, asking)?,
                }
            }
            Step::Choice { options, variable, asking, .. } => match answer::chosen(options, answer.text) {
                Some(option) => {
                    if let Some(variable) = variable {
                        let value = option.value.clone().unwrap_or_else(|| option.label.clone());
                        self.state.variables.insert(variable.clone(), value.into());
                    }
                    self.go(option.next.clone())?;
                }
                None => self.not_fitting(&at, asking)?,
            },
            Step::Delay { on_message: Some(target), .. } => self.go(Some(target.clone()))?,
            _ => return Ok(Ran::Passed),
        }
        Ok(Ran::Claimed)
    }

    fn triggered(&mut self, answer: Answer<'_>, first: bool) -> Result<Ran, Broken> {
        let trigger = &self.flow.trigger;
        let resting = self.state.ended_at.is_some_and(|ended| {
            self.host.now_ms() < ended.saturating_add(u64::from(trigger.rest_hours) * 60 * MINUTE_MS)
        });
        let fits = !trigger.only_started
            && !resting
            && (!trigger.only_first || first)
            && (trigger.words.is_empty() || has_word(answer.text, &trigger.words));
        if !fits {
            return Ok(Ran::Passed);
        }
        self.begin();
        self.state.variables.insert("message".to_owned(), answer.text.into());
        self.go(Some(self.flow.start.clone()))?;
        Ok(Ran::Claimed)
    }

    fn timer(&mut self, payload: &str) -> Result<Ran, Broken> {
        // One that was cancelled while it was already on its way.
        if payload != self.state.waits.to_string() {
            return Ok(Ran::Passed);
        }
        self.state.timer = false;
        let Some(step) = self.state.at.as_ref().and_then(|at| self.flow.steps.get(at)) else { return Ok(Ran::Passed) };
        match step {
            Step::Delay { next, .. } => self.go(Some(next.clone()))?,
            Step::Question { asking, .. } | Step::Choice { asking, .. } => self.go(asking.on_timeout.clone())?,
            _ => return Ok(Ran::Passed),
        }
        Ok(Ran::Claimed)
    }

    fn not_fitting(&mut self, at: &StepName, asking: &Asking) -> Result<(), Broken> {
        self.state.tries += 1;
        if self.state.tries < asking.max_tries.max(1) {
            match &asking.invalid {
                Some(text) => self.say(text),
                None => self.ask(at),
            }
            self.wait(at, u64::from(asking.timeout_minutes) * MINUTE_MS);
            return Ok(());
        }
        match &asking.on_fail {
            Some(target) => self.go(Some(target.clone())),
            None => {
                self.hand_over("as respostas não puderam ser entendidas", None);
                Ok(())
            }
        }
    }

    /// Asks the question of a step.
    fn ask(&mut self, at: &StepName) {
        match self.flow.steps.get(at) {
            Some(Step::Question { text, .. }) => self.say(text),
            Some(Step::Choice { text, options, .. }) => {
                let lines = options.iter().enumerate().map(|(i, option)| format!("\n{}. {}", i + 1, option.label));
                let text: String = std::iter::once(text.clone()).chain(lines).collect();
                self.say(&text);
            }
            _ => {}
        }
    }

    /// Rests at a step, at most for this time; 0 for forever.
    fn wait(&mut self, at: &StepName, ms: u64) {
        self.state.at = Some(at.clone());
        self.state.waits += 1;
        if ms > 0 {
            self.state.timer = true;
            let payload = self.state.waits.to_string();
            self.host.set_timer(ms, &payload);
        }
    }

    fn hand_over(&mut self, reason: &str, who: Option<&str>) {
        let reason = fill(reason, &self.state.variables);
        if let Some(who) = who {
            let who = fill(who, &self.state.variables);
            self.host.assign(&who);
        }
        self.end();
        self.host.hand_over(&reason);
    }

    /// Goes through steps until one waits or the flow ends.
    fn go(&mut self, target: Option<StepName>) -> Result<(), Broken> {
        self.stop_waiting();
        self.state.tries = 0;
        let mut target = target;
        for _ in 0..STEPS {
            let Some(name) = target else {
                self.end();
                return Ok(());
            };
            let flow = self.flow;
            let step = flow.steps.get(&name).ok_or_else(|| Broken(format!("there is no step {name:?}")))?;
            target = match step {
                Step::Message { text, file_url: None, next } => {
                    self.say(text);
                    next.clone()
                }
                Step::Message { text, file_url: Some(url), next } => {
                    let (url, text) = (fill(url, &self.state.variables), fill(text, &self.state.variables));
                    self.host.send_file(&url, &text);
                    next.clone()
                }
                Step::Question { asking, .. } | Step::Choice { asking, .. } => {
                    self.ask(&name);
                    self.wait(&name, u64::from(asking.timeout_minutes) * MINUTE_MS);
                    return Ok(());
                }
                Step::Delay { days, hours, minutes, .. } => {
                    let minutes = u64::from(*days) * 1440 + u64::from(*hours) * 60 + u64::from(*minutes);
                    self.wait(&name, minutes.max(1) * MINUTE_MS);
                    return Ok(());
                }
                Step::Condition { cases, otherwise } => {
                    let case =
                        cases.iter().find(|case| case.when.iter().all(|test| holds(test, &self.state.variables)));
                    Some(case.map_or(otherwise, |case| &case.next).clone())
                }
                Step::Set { values, next } => {
                    for (variable, value) in values {
                        let value = fill_value(value, &self.state.variables);
                        self.state.variables.insert(variable.clone(), value);
                    }
                    next.clone()
                }
                Step::Http { method, path, body, save, next, on_error } => {
                    let call = Call {
                        method: method.to_ascii_uppercase(),
                        path: fill_path(path, &self.state.variables),
                        body: body.as_ref().map(|body| fill_value(body, &self.state.variables)),
                    };
                    match self.host.call(&call) {
                        Ok(answer) => {
                            for (variable, pointer) in save {
                                let value = answer.pointer(pointer).cloned().unwrap_or(Value::Null);
                                self.state.variables.insert(variable.clone(), value);
                            }
                            Some(next.clone())
                        }
                        Err(_) => Some(on_error.clone()),
                    }
                }
                Step::Tag { add, remove, next } => {
                    for tag in add {
                        let tag = fill(tag, &self.state.variables);
                        self.host.tag(&tag);
                    }
                    for tag in remove {
                        let tag = fill(tag, &self.state.variables);
                        self.host.untag(&tag);
                    }
                    next.clone()
                }
                Step::Hours { open, closed } => {
                    Some(if hours::open(flow, self.host.now_ms()) { open } else { closed }.clone())
                }
                Step::HandOver { text, reason, assign } => {
                    if let Some(text) = text {
                        self.say(text);
                    }
                    self.hand_over(reason, assign.as_deref());
                    return Ok(());
                }
                Step::End { text } => {
                    if let Some(text) = text {
                        self.say(text);
                    }
                    None
                }
            };
        }
        Err(Broken(format!("more than {STEPS} steps without waiting: the flow runs in a circle")))
    }
}

#[cfg(test)]
mod tests;
