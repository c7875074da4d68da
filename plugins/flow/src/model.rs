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
    /// When somebody is there.
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
    /// Never by a message: only when somebody starts it.
    #[serde(default)]
    pub only_started: bool,
    /// After the flow has ended, a message does not begin it again for so many hours.
    #[serde(default)]
    pub rest_hours: u32,
}

/// Open intervals by weekday (`mon` … `sun`), each `["09:00", "18:00"]`, and days without any.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BusinessHours {
    /// By weekday; one that is not named is closed. No weekday at all: always open.
    #[serde(default)]
    pub week: BTreeMap<String, Vec<(String, String)>>,
    /// Civil dates, `2026-12-25`.
    #[serde(default)]
    pub closed_on: Vec<String>,
}

/// One step.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Step {
    /// Says something and goes on.
    Message {
        /// What is said.
        text: String,
        /// A file that is sent with it.
        #[serde(default)]
        file_url: Option<String>,
        /// Absent: the flow ends.
        #[serde(default)]
        next: Option<StepName>,
    },
    /// Asks, and waits for an answer that fits.
    Question {
        /// What is asked.
        text: String,
        /// Where the answer goes.
        variable: String,
        /// What answers fit.
        #[serde(default)]
        answer: AnswerRule,
        /// How often, and what then.
        #[serde(flatten)]
        asking: Asking,
        /// Absent: the flow ends.
        #[serde(default)]
        next: Option<StepName>,
    },
    /// Offers choices, numbered from 1.
    Choice {
        /// What is asked; the choices follow it, one a line.
        text: String,
        /// Where the chosen value goes.
        #[serde(default)]
        variable: Option<String>,
        /// What can be chosen.
        options: Vec<ChoiceOption>,
        /// How often, and what then.
        #[serde(flatten)]
        asking: Asking,
    },
    /// Goes where the first case that holds leads.
    Condition {
        /// In order.
        cases: Vec<Case>,
        /// Where no case holds.
        #[serde(rename = "else")]
        otherwise: StepName,
    },
    /// Sets variables.
    Set {
        /// By name; texts may hold variables.
        values: BTreeMap<String, Value>,
        /// Absent: the flow ends.
        #[serde(default)]
        next: Option<StepName>,
    },
    /// Waits.
    Delay {
        /// Days, and …
        #[serde(default)]
        days: u32,
        /// hours, and …
        #[serde(default)]
        hours: u32,
        /// minutes.
        #[serde(default)]
        minutes: u32,
        /// The step for a message that arrives before the time is over; absent: it is left to later automations.
        #[serde(default)]
        on_message: Option<StepName>,
        /// Afterwards.
        next: StepName,
    },
    /// Calls the server that the configuration's `httpBase` names.
    Http {
        /// Of the request.
        #[serde(default = "get")]
        method: String,
        /// Below `httpBase`; may hold variables.
        path: String,
        /// A JSON body; texts in it may hold variables.
        #[serde(default)]
        body: Option<Value>,
        /// Variables from the answer: name to JSON pointer, e.g. `/order/status`.
        #[serde(default)]
        save: BTreeMap<String, String>,
        /// When it was answered with 2xx.
        next: StepName,
        /// When it was answered otherwise, or not.
        on_error: StepName,
    },
    /// Adds and takes away tags of the conversation.
    Tag {
        /// To add.
        #[serde(default)]
        add: Vec<String>,
        /// To take away.
        #[serde(default)]
        remove: Vec<String>,
        /// Absent: the flow ends.
        #[serde(default)]
        next: Option<StepName>,
    },
    /// Asks the clock.
    Hours {
        /// Within business hours.
        open: StepName,
        /// Outside.
        closed: StepName,
    },
    /// A person takes over; the flow ends.
    HandOver {
        /// Said first.
        #[serde(default)]
        text: Option<String>,
        /// For the person; may hold variables.
        reason: String,
        /// Who.
        #[serde(default)]
        assign: Option<String>,
    },
    /// The flow ends.
    End {
        /// Said first.
        #[serde(default)]
        text: Option<String>,
    },
}

fn get() -> String {
    "GET".to_owned()
}

/// How often something is asked, and what happens without a fitting answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asking {
    /// Said when an answer does not fit.
    #[serde(default)]
    pub invalid: Option<String>,
    /// Tries.
    #[serde(default = "three")]
    pub max_tries: u32,
    /// After the last try; absent: a person takes over.
    #[serde(default)]
    pub on_fail: Option<StepName>,
    /// Minutes to wait for an answer; 0: forever.
    #[serde(default)]
    pub timeout_minutes: u32,
    /// When that is over; absent: the flow ends.
    #[serde(default)]
    pub on_timeout: Option<StepName>,
}

fn three() -> u32 {
    3
}

/// What answers fit a question.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "camelCase")]
pub enum AnswerRule {
    /// Any text that is not empty.
    #[default]
    Any,
    /// A text of some length.
    Text {
        /// Fewest characters.
        #[serde(default)]
        min: usize,
        /// Most characters.
        #[serde(default = "most")]
        max: usize,
    },
    /// A number; `1.234,5` and `1234.5` are both read.
    Number {
        /// Smallest.
        #[serde(default)]
        min: Option<f64>,
        /// Largest.
        #[serde(default)]
        max: Option<f64>,
        /// Without a fraction.
        #[serde(default)]
        whole: bool,
    },
    /// An e-mail address.
    Email,
    /// A telephone number; kept as its digits.
    Phone,
    /// A date, `25/12/2026` or `2026-12-25`; kept as the latter.
    Date {
        /// Not before today.
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

/// Something to choose.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ChoiceOption {
    /// As it is shown.
    pub label: String,
    /// Other words for it, besides its number and its label.
    #[serde(default)]
    pub words: Vec<String>,
    /// What goes into the variable; the label where absent.
    #[serde(default)]
    pub value: Option<String>,
    /// Absent: the flow ends.
    #[serde(default)]
    pub next: Option<StepName>,
}

/// A case of a condition: all of its tests hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What must hold.
    pub when: Vec<Test>,
    /// Where to go.
    pub next: StepName,
}

/// A test of a variable.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// Its name.
    pub variable: String,
    /// How.
    pub is: Relation,
    /// With what; texts may hold variables.
    #[serde(default)]
    pub value: Value,
}

/// How a variable is compared. Numbers as numbers, everything else as text without case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// The same.
    Equal,
    /// Not the same.
    NotEqual,
    /// Less.
    Less,
    /// Less or the same.
    AtMost,
    /// More.
    More,
    /// More or the same.
    AtLeast,
    /// Holds the value as a part.
    Contains,
    /// Is set and not empty.
    Set,
    /// Is not set, or empty.
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
