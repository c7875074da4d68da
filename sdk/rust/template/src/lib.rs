//! Asks for a name, remembers it, and sends a reminder after a day without an answer.

use std::time::Duration;

use pombo_plugin::automation::*;
use serde::{Deserialize, Serialize};

pub struct Plugin;

/// The settings of one automation. Their schema is in `describe`.
#[derive(Deserialize)]
pub struct Config {
    shop: Option<String>,
}

/// The state of one conversation.
#[derive(Default, Serialize, Deserialize)]
pub struct State {
    name: Option<String>,
    asked: bool,
}

impl Automation for Plugin {
    type Config = Config;
    type State = State;

    fn describe() -> Description {
        Description {
            config_schema: r#"{
                "type": "object",
                "properties": { "shop": { "type": "string", "title": "Name of the shop" } },
                "additionalProperties": false
            }"#
            .to_owned(),
            events: vec![EventKind::MessageReceived, EventKind::TimerFired],
            ..Description::new("{{name}}", env!("CARGO_PKG_VERSION"))
        }
    }

    fn on_message(turn: &mut Turn<'_, Self>, message: &Message) -> Result<(), Error> {
        let text = message.text.trim();
        if let Some(name) = &turn.state.name {
            let greeting = format!("Good to hear from you, {name}!");
            turn.reply(greeting);
        } else if turn.state.asked && !text.is_empty() {
            turn.state.name = Some(text.to_owned());
            turn.cancel_timer("reminder");
            turn.reply(format!("Nice to meet you, {text}!"));
        } else {
            turn.state.asked = true;
            turn.set_timer("reminder", Duration::from_secs(24 * 60 * 60), "");
            let shop = turn.config.shop.as_deref().unwrap_or("our shop");
            turn.reply(format!("Hello, this is {shop}. What is your name?"));
        }
        Ok(())
    }

    fn on_timer(turn: &mut Turn<'_, Self>, timer: &Timer) -> Result<(), Error> {
        if timer.name == "reminder" && turn.state.name.is_none() {
            turn.reply("Are you still there? Tell me your name, and we can go on.");
        }
        Ok(())
    }
}

pombo_plugin::export_automation!(Plugin);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pombo_plugin::test::Script;
    use serde_json::json;

    use super::Plugin;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    #[test]
    fn it_asks_for_the_name_and_remembers_it() {
        let mut script = Script::<Plugin>::with_config(json!({ "shop": "Padaria Aurora" }));
        assert_eq!(script.says("oi").texts(), ["Hello, this is Padaria Aurora. What is your name?"]);
        assert_eq!(script.says("Ana").texts(), ["Nice to meet you, Ana!"]);
        assert_eq!(script.says("good morning").texts(), ["Good to hear from you, Ana!"]);
    }

    #[test]
    fn it_reminds_after_a_day() {
        let mut script = Script::<Plugin>::new();
        script.says("oi");
        script.advance(23 * HOUR);
        assert_eq!(script.texts().len(), 1);
        script.advance(HOUR);
        assert_eq!(script.last_text(), Some("Are you still there? Tell me your name, and we can go on."));
    }

    #[test]
    fn it_does_not_remind_somebody_who_answered() {
        let mut script = Script::<Plugin>::new();
        script.says("oi");
        script.says("Ana");
        script.advance(48 * HOUR);
        assert_eq!(script.texts().len(), 2);
    }
}
