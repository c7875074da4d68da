//! Answers by a language model behind any service with chat completions, within a token budget, until a person is wanted.
//!
//! `config` is the configuration, `history` what is remembered, `budget` what was spent, `words` finds the phrases that ask for a
//! person, `completion` is the request and its answer. For people: `docs/automations/integration-llm.md`.
//!
//! The key is never in the guest: the engine puts it into the request's header. What people write goes into the body as JSON in
//! which no place for a secret is found, and nothing that the service writes in an error gets out.

mod budget;
mod completion;
mod config;
mod history;
mod words;

use pombo_plugin::automation::*;
use serde::{Deserialize, Serialize};

use completion::{Completion, Problem};
use config::Config;
use history::{History, Role};

/// The automation, which has a language model answer.
#[derive(Debug)]
pub struct Llm;

/// What is kept of a conversation.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    #[serde(skip_serializing_if = "is_empty")]
    history: History,
    /// Spent in this conversation.
    tokens: u64,
    /// The day (or `ever`) for which it was said that the budget is spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<String>,
}

fn is_empty(history: &History) -> bool {
    history.messages().is_empty()
}

impl Automation for Llm {
    type Config = Config;
    type State = State;

    fn describe() -> Description {
        Description {
            display_name: "Language model".to_owned(),
            config_schema: config::SCHEMA.to_owned(),
            secret_fields: vec!["apiKey".to_owned()],
            events: vec![EventKind::MessageReceived],
            wants: Wants { hosts: vec!["baseUrl".to_owned()], kv_bytes: 8 << 20, ..Wants::default() },
            ..Description::new("integration-llm", env!("CARGO_PKG_VERSION"))
        }
    }

    fn on_message(turn: &mut Turn<'_, Self>, message: &Message) -> Result<(), Error> {
        if turn.conversation().is_group && !turn.config.groups {
            return Ok(());
        }
        let text = match &message.content {
            Content::Text(text) => text.trim(),
            Content::Attachment(_) | Content::Location(_) => return other_content(turn),
            Content::Edit(_) | Content::Deleted(_) | Content::Other(_) => return Ok(()),
        };
        if text.is_empty() {
            return Ok(());
        }
        if turn.config.mark_read {
            turn.mark_read();
        }
        let limits = turn.config.history;
        if let Some(phrase) = words::find(text, &turn.config.hand_over.phrases) {
            let reason = format!("asked for by “{phrase}”");
            turn.state.history.add(Role::User, text, limits);
            hand_over(turn, None, reason);
            return Ok(());
        }
        let day = budget::day(turn.now_millis());
        let left = match left(turn, &day)? {
            Ok(left) => left,
            Err(Spent { what, since }) => {
                budget_spent(turn, what, since);
                return Ok(());
            }
        };
        answer(turn, text, &day, left)?;
        if limits.messages == 0 {
            turn.state.history = History::default();
        }
        Ok(())
    }
}

/// Which budget is spent, and for how long.
struct Spent {
    what: &'static str,
    since: String,
}

/// How many tokens may still be spent.
fn left(turn: &Turn<'_, Llm>, day: &str) -> Result<Result<u64, Spent>, Error> {
    let mut left = u64::MAX;
    if let Some(budget) = turn.config.budget.conversation {
        left = budget.saturating_sub(turn.state.tokens);
        if left == 0 {
            return Ok(Err(Spent { what: "conversation", since: "ever".to_owned() }));
        }
    }
    if let Some(budget) = turn.config.budget.day {
        let left_today = budget.saturating_sub(budget::spent_by_all(turn, day)?);
        if left_today == 0 {
            return Ok(Err(Spent { what: "day", since: day.to_owned() }));
        }
        left = left.min(left_today);
    }
    Ok(Ok(left))
}

/// Asks the model, and carries out its answer.
fn answer(turn: &mut Turn<'_, Llm>, text: &str, day: &str, left: u64) -> Result<(), Error> {
    let limits = turn.config.history;
    // What is not remembered at all is still asked.
    let asked = config::HistoryLimits { messages: limits.messages.max(1), ..limits };
    turn.state.history.add(Role::User, text, asked);
    let body = completion::request(&turn.config, &turn.state.history, turn.config.max_tokens.min(left));
    match ask(turn, &body)? {
        Ok(Completion { text, hand_over: wanted, tokens }) => {
            turn.state.tokens = turn.state.tokens.saturating_add(tokens);
            turn.state.told = None;
            if turn.config.budget.day.is_some() {
                budget::spend(turn, day, tokens)?;
            }
            if let Some(text) = &text {
                turn.state.history.add(Role::Assistant, text, limits);
            }
            match (wanted, text) {
                (Some(reason), text) => hand_over(turn, text, reason),
                (None, Some(text)) => {
                    turn.reply(text);
                }
                (None, None) => {}
            }
            Ok(())
        }
        Err(problem) if problem.passing && turn.attempt() < turn.config.fallback.attempts => {
            Err(Error::new(problem.what))
        }
        Err(problem) => {
            turn.log(Level::Error, &problem.what);
            turn.emit("integration-llm.failed", &Failed { reason: &problem.what })?;
            if !fall_back(turn, &problem.what) {
                return Err(Error::new(problem.what));
            }
            Ok(())
        }
    }
}

#[derive(Serialize)]
struct Failed<'r> {
    reason: &'r str,
}
#[derive(Serialize)]
struct BudgetSpent {
    budget: &'static str,
}

fn ask(turn: &Turn<'_, Llm>, body: &serde_json::Value) -> Result<Result<Completion, Problem>, Error> {
    let mut request = HttpRequest::post(turn.config.url()).header("idempotency-key", turn.event_id());
    if let Some((name, value)) = turn.config.auth_header() {
        request = request.header(name, value);
    }
    let response = match turn.http(request.json(body)?) {
        Ok(response) => response,
        Err(error) => return Ok(Err(Problem { passing: error.is_passing(), what: error.to_string() })),
    };
    Ok(completion::read(&response, body, turn.config.hand_over.tool))
}

/// Hands over to a person; `text` is what the model said together with that.
fn hand_over(turn: &mut Turn<'_, Llm>, text: Option<String>, reason: String) {
    if let Some(text) = text.or_else(|| turn.config.hand_over.reply.clone()) {
        turn.reply(text);
    }
    if let Some(who) = turn.config.hand_over.assign_to.clone() {
        turn.assign(who);
    }
    turn.hand_over(reason);
}

/// Says so once, and leaves further messages to later automations.
fn budget_spent(turn: &mut Turn<'_, Llm>, budget: &'static str, since: String) {
    if turn.state.told.as_ref() == Some(&since) {
        return;
    }
    turn.state.told = Some(since);
    if let Err(error) = turn.emit("integration-llm.budget-spent", &BudgetSpent { budget }) {
        turn.log(Level::Error, error.text());
    }
    fall_back(turn, &format!("the token budget of the {budget} is spent"));
}

/// Whether the configuration has a fallback for this case.
fn fall_back(turn: &mut Turn<'_, Llm>, reason: &str) -> bool {
    let text = turn.config.fallback.text.clone();
    let done = text.is_some() || turn.config.fallback.hand_over;
    if let Some(text) = text {
        turn.reply(text);
    }
    if turn.config.fallback.hand_over {
        if let Some(who) = turn.config.hand_over.assign_to.clone() {
            turn.assign(who);
        }
        turn.hand_over(reason);
    }
    done
}

fn other_content(turn: &mut Turn<'_, Llm>) -> Result<(), Error> {
    if let Some(text) = turn.config.other_content_reply.clone() {
        if turn.config.mark_read {
            turn.mark_read();
        }
        turn.reply(text);
    }
    Ok(())
}

pombo_plugin::export_automation!(Llm);

#[cfg(test)]
mod tests;
