//! The configuration, as `config.schema.json` describes it; the engine has checked it. The key is not in it, because the engine
//! inserts it into the request.

use serde::Deserialize;

/// The JSON Schema of the configuration.
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
    /// The instructions that the model gets first.
    pub system_prompt: Option<String>,
    /// Maximum number of tokens in an answer.
    #[serde(default = "five_hundred")]
    pub max_tokens: u64,
    /// The name of that field at the service.
    #[serde(default)]
    pub max_tokens_field: MaxTokensField,
    /// The temperature; the service's own if omitted.
    pub temperature: Option<f64>,
    /// How much of a conversation is sent to the model.
    #[serde(default)]
    pub history: HistoryLimits,
    /// How many tokens may be spent.
    #[serde(default)]
    pub budget: Budget,
    /// When and how a person takes over.
    #[serde(default)]
    pub hand_over: HandOver,
    /// What happens without an answer.
    #[serde(default)]
    pub fallback: Fallback,
    /// The reply to content that is not text.
    pub other_content_reply: Option<String>,
    /// Whether it answers in groups.
    #[serde(default)]
    pub groups: bool,
    /// Whether messages are marked as read.
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

/// The service's name for the limit.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// `max_tokens`, which most services expect.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`, which newer ones expect.
    MaxCompletionTokens,
}

/// How much of a conversation is sent to the model, see [`crate::history`].
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default)]
pub struct HistoryLimits {
    /// Number of messages of both sides.
    pub messages: usize,
    /// Number of characters of all of them.
    pub characters: usize,
}

/// How many tokens may be spent, see [`crate::budget`].
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Tokens that one conversation may ever use.
    pub conversation: Option<u64>,
    /// Tokens that all conversations together may use in a day.
    pub day: Option<u64>,
}

/// When and how a person takes over.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HandOver {
    /// Phrases that ask for a person, matched as whole words, ignoring case and accents.
    pub phrases: Vec<String>,
    /// Whether the model is offered a function for it.
    pub tool: bool,
    /// The text sent at a hand-over.
    pub reply: Option<String>,
    /// Who the conversation is assigned to.
    pub assign_to: Option<String>,
}

/// What happens when there is no answer.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Fallback {
    /// The text to send.
    pub text: Option<String>,
    /// Whether a person takes over.
    pub hand_over: bool,
    /// How many times a failing service is called in total.
    pub attempts: u32,
}

impl Config {
    /// The URL of the request.
    pub fn url(&self) -> String {
        [self.base_url.trim_end_matches('/'), "/chat/completions"].concat()
    }
    /// The header with the placeholder of the key.
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
