//! A flow as its author writes it. What a JSON Schema cannot say of it, [`Flow::problems`] does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A name of a step.
pub type StepName = String;

/// A flow: named steps, and what begins it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Flow {
    /// The first step.
    pub start: StepName,
    /// What begins the flow in a conversation where it does not run. Nothing: any message.
    #[serde(default)]
    pub trigger: Trigger,
    /// Words that end the flow at any point, e.g. `sair`.
    #[serde(default)]
    pub stop_words: Vec<String>,
    /// Words that hand over to a person at any point, e.g. `atendente`.
    #[serde(default)]
    pub person_words: Vec<String>,
    /// IANA name; decides business hours and dates.
    #[serde(default = "default_zone")]
    pub time_zone: String,
    /// When people are available.
    #[serde(default)]
    pub business_hours: BusinessHours,
    /// Values that every conversation begins with.
    #[serde(default)]
    pub variables: BTreeMap<String, Value>,
    /// The steps by their names.
    pub steps: BTreeMap<StepName, Step>,
}

fn default_zone() -> String {
    "America/Sao_Paulo".to_owned()
}

/// What begins a flow.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Trigger {
    /// A message with one of these words; empty: any message.
    #[serde(default)]
    pub words: Vec<String>,
    /// Only the first message of a conversation.
    #[serde(default)]
    pub only_first: bool,
    /// Never by a message: only when a person starts it.
    #[serde(default)]
    pub only_started: bool,
    /// For this many hours after the flow has ended, a message does not begin it again.
    #[serde(default)]
    pub rest_hours: u32,
}

/// Opening hours by weekday (`mon` … `sun`), each like `["09:00", "18:00"]`, and days without any.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BusinessHours {
    /// The hours by weekday; a weekday that is not listed is closed. If none is listed, it is always open.
    #[serde(default)]
    pub week: BTreeMap<String, Vec<(String, String)>>,
    /// Closed days as dates, `2026-12-25`.
    #[serde(default)]
    pub closed_on: Vec<String>,
}

/// A step of the flow.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Step {
    /// Sends a message and continues.
    Message {
        /// The text to send; it may contain variables.
        text: String,
        /// A file that is sent with it.
        #[serde(default)]
        file_url: Option<String>,
        /// The next step; absent: the flow ends.
        #[serde(default)]
        next: Option<StepName>,
    },
    /// Asks a question and waits for an answer that fits.
    Question {
        /// The question to send; it may contain variables.
        text: String,
        /// The variable for the answer.
        variable: String,
        /// The answers that fit.
        #[serde(default)]
        answer: AnswerRule,
        /// How often the question is asked, and what happens then.
        #[serde(flatten)]
        asking: Asking,
        /// The next step; absent: the flow ends.
        #[serde(default)]
        next: Option<StepName>,
    },
    /// Offers options, numbered from 1.
    Choice {
        /// The question; the options follow, one per line.
        text: String,
        /// The variable for the chosen value.
        #[serde(default)]
        variable: Option<String>,
        /// The options, in the order of their numbers.
        options: Vec<ChoiceOption>,
        /// How often the question is asked, and what happens then.
        #[serde(flatten)]
        asking: Asking,
    },
    /// Continues with the first case that holds.
    Condition {
        /// The cases, in order.
        cases: Vec<Case>,
        /// The step if no case holds.
        #[serde(rename = "else")]
        otherwise: StepName,
    },
    /// Sets variables and continues.
    Set {
        /// The values by name; texts may contain variables.
        values: BTreeMap<String, Value>,
        /// The next step; absent: the flow ends.
        #[serde(default)]
        next: Option<StepName>,
    },
    /// Waits for a time: the sum of the three fields.
    Delay {
        /// Number of days.
        #[serde(default)]
        days: u32,
        /// Number of hours.
        #[serde(default)]
        hours: u32,
        /// Number of minutes.
        #[serde(default)]
        minutes: u32,
        /// The step for a message that arrives before the time is over; absent: it is left to later automations.
        #[serde(default)]
        on_message: Option<StepName>,
        /// The step after the time.
        next: StepName,
    },
    /// Calls the server that the configuration's `httpBase` names.
    Http {
        /// Method of the request.
        #[serde(default = "get")]
        method: String,
        /// The path, appended to `httpBase`; may contain variables.
        path: String,
        /// The body as JSON; its texts may contain variables.
        #[serde(default)]
        body: Option<Value>,
        /// Variables from the response: name to JSON pointer, e.g. `/order/status`.
        #[serde(default)]
        save: BTreeMap<String, String>,
        /// The step after a response with status 2xx.
        next: StepName,
        /// The step after any other response, or none.
        on_error: StepName,
    },
    /// Adds and removes tags of the conversation.
    Tag {
        /// Tags to add.
        #[serde(default)]
        add: Vec<String>,
        /// Tags to remove.
        #[serde(default)]
        remove: Vec<String>,
        /// The next step; absent: the flow ends.
        #[serde(default)]
        next: Option<StepName>,
    },
    /// Continues depending on the business hours.
    Hours {
        /// The step within business hours.
        open: StepName,
        /// The step outside business hours.
        closed: StepName,
    },
    /// Hands over to a person and ends the flow.
    HandOver {
        /// A text to send first.
        #[serde(default)]
        text: Option<String>,
        /// The reason, for the person; may contain variables.
        reason: String,
        /// Who the conversation is assigned to.
        #[serde(default)]
        assign: Option<String>,
    },
    /// Ends the flow.
    End {
        /// A text to send first.
        #[serde(default)]
        text: Option<String>,
    },
}

fn get() -> String {
    "GET".to_owned()
}

/// How often a question is asked, and what happens without a fitting answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asking {
    /// Sent when an answer does not fit.
    #[serde(default)]
    pub invalid: Option<String>,
    /// Maximum number of attempts.
    #[serde(default = "three")]
    pub max_tries: u32,
    /// The step after the last attempt fails; absent: a person takes over.
    #[serde(default)]
    pub on_fail: Option<StepName>,
    /// Minutes to wait for an answer; 0: forever.
    #[serde(default)]
    pub timeout_minutes: u32,
    /// The step after that time; absent: the flow ends.
    #[serde(default)]
    pub on_timeout: Option<StepName>,
}

fn three() -> u32 {
    3
}

/// The answers that fit a question.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "camelCase")]
pub enum AnswerRule {
    /// Any text that is not empty.
    #[default]
    Any,
    /// A text of bounded length.
    Text {
        /// Minimum number of characters.
        #[serde(default)]
        min: usize,
        /// Maximum number of characters.
        #[serde(default = "most")]
        max: usize,
    },
    /// A number; `1.234,5` and `1234.5` are both read.
    Number {
        /// The smallest number that fits; absent for no bound.
        #[serde(default)]
        min: Option<f64>,
        /// The largest number that fits; absent for no bound.
        #[serde(default)]
        max: Option<f64>,
        /// Whether it must be a whole number.
        #[serde(default)]
        whole: bool,
    },
    /// An e-mail address.
    Email,
    /// A telephone number; kept as its digits.
    Phone,
    /// A date, `25/12/2026` or `2026-12-25`; kept as the latter.
    Date {
        /// Whether it must not be before today.
        #[serde(default)]
        future: bool,
    },
    /// A Brazilian tax number of a person, with its check digits; kept as its digits.
    Cpf,
    /// A postal code of Brazil; kept as its digits.
    Cep,
    /// A file; kept as its name.
    File,
}

fn most() -> usize {
    2000
}

/// An option to choose.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ChoiceOption {
    /// The text that is shown.
    pub label: String,
    /// Other words that mean this option, besides its number and its label.
    #[serde(default)]
    pub words: Vec<String>,
    /// The value of the variable; the label if absent.
    #[serde(default)]
    pub value: Option<String>,
    /// The next step; absent: the flow ends.
    #[serde(default)]
    pub next: Option<StepName>,
}

/// A case of a condition, which holds if all of its tests hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The tests, all of which must hold.
    pub when: Vec<Test>,
    /// The step if the case holds.
    pub next: StepName,
}

/// A test of a variable.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// Name of the variable.
    pub variable: String,
    /// The relation to test.
    pub is: Relation,
    /// With what; texts may hold variables.
    #[serde(default)]
    pub value: Value,
}

/// How a variable is compared. Numbers as numbers, everything else as text without case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// The variable is the same as the value.
    Equal,
    /// It is not the same.
    NotEqual,
    /// It is less.
    Less,
    /// It is less or the same.
    AtMost,
    /// It is more.
    More,
    /// It is more or the same.
    AtLeast,
    /// It contains the value: a text as a part, a list as an item.
    Contains,
    /// It is set and not empty.
    Set,
    /// It is not set, or empty.
    Unset,
}

impl Step {
    /// Where it can lead.
    pub fn targets(&self) -> Vec<&StepName> {
        fn asked<'a>(asking: &'a Asking, out: &mut Vec<&'a StepName>) {
            out.extend(asking.on_fail.iter().chain(&asking.on_timeout));
        }
        let mut out = Vec::new();
        match self {
            Self::Message { next, .. } | Self::Set { next, .. } | Self::Tag { next, .. } => out.extend(next),
            Self::Question { next, asking, .. } => {
                out.extend(next);
                asked(asking, &mut out);
            }
            Self::Choice { options, asking, .. } => {
                out.extend(options.iter().filter_map(|o| o.next.as_ref()));
                asked(asking, &mut out);
            }
            Self::Condition { cases, otherwise } => {
                out.extend(cases.iter().map(|c| &c.next));
                out.push(otherwise);
            }
            Self::Delay { next, on_message, .. } => {
                out.push(next);
                out.extend(on_message);
            }
            Self::Http { next, on_error, .. } => out.extend([next, on_error]),
            Self::Hours { open, closed } => out.extend([open, closed]),
            Self::HandOver { .. } | Self::End { .. } => {}
        }
        out
    }
}

impl Flow {
    /// What is wrong with it, in words for its author; empty when it can run.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.steps.contains_key(&self.start) {
            problems.push(format!("start: there is no step {:?}", self.start));
        }
        for (name, step) in &self.steps {
            for target in step.targets() {
                if !self.steps.contains_key(target) {
                    problems.push(format!("steps.{name}: there is no step {target:?}"));
                }
            }
            match step {
                Step::Choice { options, .. } if options.is_empty() => {
                    problems.push(format!("steps.{name}: options must have at least one entry"));
                }
                Step::Delay { days: 0, hours: 0, minutes: 0, .. } => {
                    problems.push(format!("steps.{name}: a delay needs days, hours or minutes"));
                }
                Step::Delay { days, hours, minutes, .. }
                    if u64::from(*days) * 1440 + u64::from(*hours) * 60 + u64::from(*minutes) > 400 * 1440 =>
                {
                    problems.push(format!("steps.{name}: a delay is at most 400 days"));
                }
                _ => {}
            }
        }
        problems.extend(crate::hours::problems(self));
        problems
    }
}
