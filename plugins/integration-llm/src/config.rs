//! The configuration, as `config.schema.json` describes it; the engine has checked it. The key is not in it: the engine puts it
//! into the request.

use serde::Deserialize;

/// Its JSON Schema.
pub const SCHEMA: &str = include_str!("config.schema.json");

/// The configuration without its secret.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    base_url: String,
    /// The model's name.
    pub model: String,
    #[serde(default)]
    auth: Auth,
    /// What the model is told first.
    pub system_prompt: Option<String>,
    /// The most tokens of an answer.
    #[serde(default = "five_hundred")]
    pub max_tokens: u64,
    /// How services call that.
    #[serde(default)]
    pub max_tokens_field: MaxTokensField,
    /// The service's own when left out.
    pub temperature: Option<f64>,
    /// What is remembered.
    #[serde(default)]
    pub history: HistoryLimits,
    /// What may be spent.
    #[serde(default)]
    pub budget: Budget,
    /// When and how a person takes over.
    #[serde(default)]
    pub hand_over: HandOver,
    /// What is done without an answer.
    #[serde(default)]
    pub fallback: Fallback,
    /// The reply to content that is not text.
    pub other_content_reply: Option<String>,
    /// Whether groups are answered.
    #[serde(default)]
    pub groups: bool,
    /// Whether messages are shown as read.
    #[serde(default = "yes")]
    pub mark_read: bool,
}

/// How the key is sent.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Auth {
    #[default]
    Bearer,
    ApiKey,
    None,
}

/// What a service calls the limit.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// Most.
    #[default]
    MaxTokens,
    /// Newer ones.
    MaxCompletionTokens,
}

/// See [`crate::history`].
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default)]
pub struct HistoryLimits {
    /// Messages, of both sides.
    pub messages: usize,
    /// Characters of all of them.
    pub characters: usize,
}

/// See [`crate::budget`].
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Of one conversation, ever.
    pub conversation: Option<u64>,
    /// Of all, in a day.
    pub day: Option<u64>,
}

/// When and how a person takes over.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HandOver {
    /// Whole words, whatever their case and accents.
    pub phrases: Vec<String>,
    /// Whether the model is offered a function for it.
    pub tool: bool,
    /// What is said.
    pub reply: Option<String>,
    /// Who is put in charge.
    pub assign_to: Option<String>,
}

/// What happens when there is no answer.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Fallback {
    /// What is said.
    pub text: Option<String>,
    /// Whether a person takes over.
    pub hand_over: bool,
    /// How often a failing service is asked, all in all.
    pub attempts: u32,
}

impl Config {
    /// Where the request goes.
    pub fn url(&self) -> String {
        [self.base_url.trim_end_matches('/'), "/chat/completions"].concat()
    }
    /// The header with the key's place in it.
    pub fn auth_header(&self) -> Option<(&'static str, &'static str)> {
        match self.auth {
            Auth::Bearer => Some(("authorization", "Bearer {{secret:apiKey}}")),
            Auth::ApiKey => Some(("api-key", "{{secret:apiKey}}")),
            Auth::None => None,
        }
    }
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self { messages: 20, characters: 8000 }
    }
}

impl Default for HandOver {
    fn default() -> Self {
        let phrases =
            ["atendente", "falar com uma pessoa", "falar com alguém", "humano", "human", "talk to a person", "agent"];
        Self { phrases: phrases.map(str::to_owned).to_vec(), tool: true, reply: None, assign_to: None }
    }
}

impl Default for Fallback {
    fn default() -> Self {
        Self { text: None, hand_over: true, attempts: 3 }
    }
}

fn five_hundred() -> u64 {
    500
}
fn yes() -> bool {
    true
}
