//! Runs a flow: takes an input and the state of the conversation, and produces messages and the new state. Knows no plugin
//! interface: its actions go through [`Host`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::answer::{self, Answer};
use crate::hours;
use crate::model::{Asking, ChoiceOption, Flow, Relation, Step, StepName, Test};
use crate::text::{fill, fill_value, has_word, plain, shown};

/// Maximum number of steps that one input may lead through: more means that the flow runs in a circle.
const STEPS: usize = 100;
const MINUTE_MS: u64 = 60_000;
/// The one timer of a conversation: a flow waits for one thing at a time.
pub const TIMER: &str = "flow";

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
    /// Whether [`TIMER`] is set.
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

/// An HTTP request of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Method of the request.
    pub method: String,
    /// The path, appended to the configured base.
    pub path: String,
    /// The body as JSON.
    pub body: Option<Value>,
}

/// The actions and calls of a flow.
pub trait Host {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
    /// Sends a text.
    fn say(&mut self, text: &str);
    /// Sends a file with a caption.
    fn send_file(&mut self, url: &str, caption: &str);
    /// Sets [`TIMER`], in place of the one before.
    fn set_timer(&mut self, delay_ms: u64, payload: &str);
    /// Takes [`TIMER`] back.
    fn cancel_timer(&mut self);
    /// Adds a tag.
    fn tag(&mut self, tag: &str);
    /// Takes a tag away.
    fn untag(&mut self, tag: &str);
    /// Assigns the conversation to a person.
    fn assign(&mut self, who: &str);
    /// A person takes over.
    fn hand_over(&mut self, reason: &str);
    /// Calls the configured server: the answer as JSON, or why there is none.
    fn call(&mut self, call: &Call) -> Result<Value, String>;
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
            Step::Choice { options, variable, asking, .. } => match chosen(options, answer.text) {
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
                    let case = cases.iter().find(|case| case.when.iter().all(|test| self.holds(test)));
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

    fn holds(&self, test: &Test) -> bool {
        let value = self.state.variables.get(&test.variable).unwrap_or(&Value::Null);
        let with = fill_value(&test.value, &self.state.variables);
        let empty = shown(value).trim().is_empty();
        let number = |value: &Value| value.as_f64().or_else(|| answer::number(value.as_str()?));
        let order = match (number(value), number(&with)) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => Some(plain(&shown(value)).cmp(&plain(&shown(&with)))),
        };
        match test.is {
            Relation::Equal => order.is_some_and(|order| order.is_eq()),
            Relation::NotEqual => order.is_none_or(|order| order.is_ne()),
            Relation::Less => !empty && order.is_some_and(|order| order.is_lt()),
            Relation::AtMost => !empty && order.is_some_and(|order| order.is_le()),
            Relation::More => !empty && order.is_some_and(|order| order.is_gt()),
            Relation::AtLeast => !empty && order.is_some_and(|order| order.is_ge()),
            Relation::Contains => match value {
                Value::Array(items) => items.contains(&with),
                _ => plain(&shown(value)).contains(&plain(&shown(&with))),
            },
            Relation::Set => !empty,
            Relation::Unset => empty,
        }
    }
}

/// The option with this number, label or word.
fn chosen<'a>(options: &'a [ChoiceOption], text: &str) -> Option<&'a ChoiceOption> {
    let text = plain(text);
    if let Ok(number) = text.parse::<usize>() {
        return options.get(number.checked_sub(1)?);
    }
    let exact = |o: &&ChoiceOption| plain(&o.label) == text || o.words.iter().any(|word| plain(word) == text);
    let mut within =
        options.iter().filter(|o| has_word(&text, &o.words) || has_word(&text, std::slice::from_ref(&o.label)));
    options.iter().find(exact).or_else(|| {
        let one = within.next();
        // Two that fit are none.
        one.filter(|_| within.next().is_none())
    })
}

/// A path in which a variable cannot reach beyond its segment.
fn fill_path(path: &str, variables: &BTreeMap<String, Value>) -> String {
    let encoded = variables.iter().map(|(name, value)| {
        let bytes = shown(value).into_bytes();
        let text: String = bytes
            .iter()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(*byte).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect();
        // Would name the folder itself or the one above.
        let text = if matches!(text.as_str(), "." | "..") { String::new() } else { text };
        (name.clone(), Value::String(text))
    });
    fill(path, &encoded.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Records actions, and answers calls as the test says.
    #[derive(Default)]
    struct Notes {
        now: u64,
        done: Vec<String>,
        timer: Option<(u64, String)>,
        calls: Vec<Call>,
        answer: Option<Result<Value, String>>,
    }

    impl Host for Notes {
        fn now_ms(&self) -> u64 {
            self.now
        }
        fn say(&mut self, text: &str) {
            self.done.push(text.to_owned());
        }
        fn send_file(&mut self, url: &str, caption: &str) {
            self.done.push(format!("file {url} {caption}"));
        }
        fn set_timer(&mut self, delay_ms: u64, payload: &str) {
            self.timer = Some((self.now + delay_ms, payload.to_owned()));
        }
        fn cancel_timer(&mut self) {
            self.timer = None;
        }
        fn tag(&mut self, tag: &str) {
            self.done.push(format!("+{tag}"));
        }
        fn untag(&mut self, tag: &str) {
            self.done.push(format!("-{tag}"));
        }
        fn assign(&mut self, who: &str) {
            self.done.push(format!("assign {who}"));
        }
        fn hand_over(&mut self, reason: &str) {
            self.done.push(format!("hand over: {reason}"));
        }
        fn call(&mut self, call: &Call) -> Result<Value, String> {
            self.calls.push(call.clone());
            self.answer.clone().unwrap_or_else(|| Err("no answer".to_owned()))
        }
    }

    struct Chat {
        flow: Flow,
        state: State,
        notes: Notes,
    }

    impl Chat {
        fn with(flow: Value) -> Self {
            let flow: Flow = serde_json::from_value(flow).expect("a flow");
            assert_eq!(flow.problems(), Vec::<String>::new());
            // A Saturday, 10 in the morning in São Paulo.
            let notes = Notes { now: 1_795_266_000_000, ..Notes::default() };
            Self { flow, state: State::default(), notes }
        }
        fn give(&mut self, input: Input<'_>) -> (Ran, Vec<String>) {
            // As the engine keeps it.
            let kept = serde_json::to_string(&self.state).expect("state is JSON");
            self.state = serde_json::from_str(&kept).expect("state is JSON");
            let ran = run(&self.flow, &mut self.state, input, &mut self.notes).expect("not broken");
            (ran, std::mem::take(&mut self.notes.done))
        }
        fn says(&mut self, text: &str) -> Vec<String> {
            self.give(Input::Message(Answer { text, file: None })).1
        }
        fn timer(&mut self) -> Vec<String> {
            let (at, payload) = self.notes.timer.take().expect("a timer is set");
            self.notes.now = at;
            self.give(Input::Timer(&payload)).1
        }
    }

    fn shop() -> Value {
        json!({
            "start": "hello",
            "stopWords": ["sair"],
            "personWords": ["atendente"],
            "steps": {
                "hello": {"type": "message", "text": "Olá!", "next": "name"},
                "name": {"type": "question", "text": "Qual é o seu nome?", "variable": "nome", "answer": {"kind": "text", "min": 2},
                         "invalid": "Um nome, por favor.", "timeoutMinutes": 30, "onTimeout": "later", "next": "menu"},
                "menu": {"type": "choice", "text": "{{nome}}, o que deseja?", "variable": "tipo", "maxTries": 2, "options": [
                    {"label": "Pedido", "words": ["pedir"], "value": "order", "next": "many"},
                    {"label": "Horário", "next": "hours"}]},
                "many": {"type": "question", "text": "Quantas?", "variable": "n", "answer": {"kind": "number", "min": 1, "whole": true}, "next": "call"},
                "call": {"type": "http", "method": "post", "path": "/orders/{{nome}}", "body": {"n": "{{n}}"}, "save": {"total": "/total"},
                         "next": "big", "onError": "person"},
                "big": {"type": "condition", "cases": [{"when": [{"variable": "n", "is": "at-least", "value": 10}], "next": "vip"}], "else": "done"},
                "vip": {"type": "tag", "add": ["vip"], "next": "done"},
                "done": {"type": "message", "text": "Total {{total}}", "next": "wait"},
                "wait": {"type": "delay", "days": 2, "next": "ask"},
                "ask": {"type": "end", "text": "Gostou, {{nome}}?"},
                "hours": {"type": "end", "text": "Das 9 às 18."},
                "later": {"type": "end", "text": "Até mais."},
                "person": {"type": "handOver", "text": "Um momento.", "reason": "pedido de {{nome}} falhou", "assign": "vendas"}
            }
        })
    }

    #[test]
    fn an_order_from_hello_to_the_question_two_days_later() {
        let mut chat = Chat::with(shop());
        chat.notes.answer = Some(Ok(json!({"total": "R$ 80"})));
        assert_eq!(chat.says("oi"), ["Olá!", "Qual é o seu nome?"]);
        assert_eq!(chat.says("A"), ["Um nome, por favor."]);
        assert_eq!(chat.says("Zé {{x}}"), ["Zé {{x}}, o que deseja?\n1. Pedido\n2. Horário"]);
        assert_eq!(chat.says("quero pedir"), ["Quantas?"]);
        assert_eq!(chat.says("12"), ["+vip", "Total R$ 80"]);
        let call = Call {
            method: "POST".into(),
            path: "/orders/Z%C3%A9%20%7B%7Bx%7D%7D".into(),
            body: Some(json!({"n": 12})),
        };
        assert_eq!(chat.notes.calls, [call]);
        let now = chat.notes.now;
        assert_eq!(
            chat.give(Input::Message(Answer { text: "obrigado", file: None })),
            (Ran::Passed, vec![]),
            "it waits"
        );
        assert_eq!(chat.timer(), ["Gostou, Zé {{x}}?"]);
        assert_eq!(chat.notes.now - now, 2 * 24 * 60 * MINUTE_MS);
        assert_eq!(chat.state.at, None);
        assert_eq!(chat.says("oi"), ["Olá!", "Qual é o seu nome?"], "begins again");
    }

    #[test]
    fn no_fitting_answer_a_person_and_the_way_out() {
        let mut chat = Chat::with(shop());
        chat.says("oi");
        chat.says("Ana");
        assert_eq!(chat.says("??"), ["Ana, o que deseja?\n1. Pedido\n2. Horário"], "asked again");
        assert_eq!(chat.says("7"), ["hand over: as respostas não puderam ser entendidas"]);
        chat.says("oi");
        assert_eq!(chat.says("quero um Atendente!"), ["hand over: o cliente pediu uma pessoa"]);
        chat.says("oi");
        assert_eq!(chat.says("SAIR"), Vec::<String>::new());
        assert_eq!(chat.state.at, None);
        assert!(chat.notes.timer.is_none(), "nothing waits any longer");
    }

    #[test]
    fn a_failed_call_and_a_timeout_lead_elsewhere() {
        let mut chat = Chat::with(shop());
        chat.says("oi");
        assert_eq!(chat.timer(), ["Até mais."]);
        chat.says("oi");
        let stale = chat.notes.timer.clone().expect("set").1;
        chat.says("Ana");
        assert_eq!(chat.give(Input::Timer(&stale)), (Ran::Passed, vec![]), "of an earlier wait");
        chat.says("1");
        assert_eq!(chat.says("2"), ["Um momento.", "assign vendas", "hand over: pedido de Ana falhou"]);
    }

    #[test]
    fn triggers_decide_what_begins_it() {
        let flow = |trigger: Value| json!({"start": "a", "trigger": trigger, "steps": {"a": {"type": "end", "text": "a {{message|{{}}"}}});
        let mut chat = Chat::with(flow(json!({"words": ["promoção"], "restHours": 2})));
        assert_eq!(chat.says("oi"), Vec::<String>::new());
        assert_eq!(chat.says("Quero a promocao").len(), 1);
        assert_eq!(chat.says("promoção"), Vec::<String>::new(), "rests");
        chat.notes.now += 2 * 60 * MINUTE_MS;
        assert_eq!(chat.says("promoção").len(), 1);
        let mut chat = Chat::with(flow(json!({"onlyStarted": true})));
        assert_eq!(chat.says("oi"), Vec::<String>::new());
        let begun = chat.give(Input::Started(&json!({"message": "x"})));
        assert_eq!(begun.0, Ran::Claimed);
        let mut chat = Chat::with(flow(json!({"onlyFirst": true})));
        assert_eq!(chat.says("oi").len(), 1);
        assert_eq!(chat.says("oi"), Vec::<String>::new());
    }

    #[test]
    fn business_hours_follow_the_zone_and_the_holidays() {
        let flow = |closed: Value| {
            json!({"start": "h", "businessHours": {"week": {"sat": [["09:00", "12:00"]]}, "closedOn": closed},
                   "steps": {"h": {"type": "hours", "open": "o", "closed": "c"}, "o": {"type": "end", "text": "open"}, "c": {"type": "end", "text": "closed"}}})
        };
        let mut chat = Chat::with(flow(json!([])));
        assert_eq!(chat.says("oi"), ["open"]);
        chat.notes.now += 2 * 60 * MINUTE_MS;
        assert_eq!(chat.says("oi"), ["closed"]);
        let mut chat = Chat::with(flow(json!(["2026-11-21"])));
        assert_eq!(chat.says("oi"), ["closed"]);
    }

    #[test]
    fn a_circle_is_found_and_a_lost_step_ends_the_flow() {
        let circle: Flow = serde_json::from_value(json!({"start": "a", "steps": {
            "a": {"type": "set", "values": {}, "next": "b"}, "b": {"type": "set", "values": {}, "next": "a"}}}))
        .expect("a flow");
        let mut notes = Notes::default();
        let input = Input::Message(Answer { text: "oi", file: None });
        assert!(run(&circle, &mut State::default(), input, &mut notes).is_err());
        let mut chat = Chat::with(shop());
        chat.state.at = Some("gone".to_owned());
        assert_eq!(chat.says("oi"), ["Olá!", "Qual é o seu nome?"]);
    }

    #[test]
    fn what_cannot_run_is_said() {
        let flow: Flow = serde_json::from_value(
            json!({"start": "x", "timeZone": "Mars/Base", "businessHours": {"week": {"dom": [["9", "8"]]}},
            "steps": {"a": {"type": "message", "text": "", "next": "b"}, "d": {"type": "delay", "next": "a"}}}),
        )
        .expect("a flow");
        let problems = flow.problems().join("\n");
        for part in ["start", "steps.a", "steps.d", "timeZone", "dom"] {
            assert!(problems.contains(part), "{part} in {problems}");
        }
    }
}
