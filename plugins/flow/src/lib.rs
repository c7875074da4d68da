//! Conversations as a JSON flow. The configuration is the flow; its JSON Schema is `schema.json`, three flows for real trades are in
//! `examples/`.
//!
//! Layout
//! - [`model`]: the flow as its author writes it. [`run`]: the interpreter, which knows no plugin interface; its actions go
//!   through [`host`].
//! - [`answer`], [`condition`], [`hours`], [`text`]: what it asks, decides and says, as pure functions.
//! - This file: the automation around it.

pub mod answer;
pub mod condition;
pub mod host;
pub mod hours;
pub mod model;
pub mod run;
pub mod text;

use std::time::Duration;

use pombo_plugin::automation::*;
use serde::Deserialize;
use serde_json::Value;

use answer::Answer;
use host::{Call, Host, TIMER};
use model::Flow as Definition;
use run::{Input, Ran, State};

/// The automation that runs the configured flow.
#[derive(Debug)]
pub struct Flow;

/// What the tenant configures.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// The flow, as its author writes it.
    pub flow: Definition,
    /// The server that `http` steps call.
    #[serde(default)]
    pub http_base: Option<String>,
    /// Whether that server gets the token.
    #[serde(default)]
    pub http_auth: bool,
}

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(8);

struct Engine<'t, 'e> {
    turn: &'t mut Turn<'e, Flow>,
}

impl Host for Engine<'_, '_> {
    fn now_ms(&self) -> u64 {
        self.turn.now_millis()
    }
    fn say(&mut self, text: &str) {
        self.turn.reply(text);
    }
    fn send_file(&mut self, url: &str, caption: &str) {
        let file = FileToSend::url(url);
        self.turn.send_file(if caption.trim().is_empty() { file } else { file.caption(caption) });
    }
    fn set_timer(&mut self, delay_ms: u64, payload: &str) {
        self.turn.set_timer(TIMER, Duration::from_millis(delay_ms), payload);
    }
    fn cancel_timer(&mut self) {
        self.turn.cancel_timer(TIMER);
    }
    fn tag(&mut self, tag: &str) {
        self.turn.tag(tag);
    }
    fn untag(&mut self, tag: &str) {
        self.turn.untag(tag);
    }
    fn assign(&mut self, who: &str) {
        self.turn.assign(who);
    }
    fn hand_over(&mut self, reason: &str) {
        self.turn.hand_over(reason);
    }
    fn call(&mut self, call: &Call) -> Result<Value, String> {
        let base = self.turn.config.http_base.as_deref().ok_or("httpBase is not configured")?;
        let url = format!("{}{}", base.trim_end_matches('/'), call.path);
        let mut request = HttpRequest::new(&call.method, url)
            .header("accept", "application/json")
            .header("idempotency-key", self.turn.event_id())
            .timeout(PATIENCE);
        if self.turn.config.http_auth {
            request = request.header("authorization", "Bearer {{secret:httpToken}}");
        }
        if let Some(body) = &call.body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = self.turn.http(request).map_err(|error| error.to_string())?;
        if !answer.is_success() {
            return Err(format!("the server answered {}", answer.status));
        }
        Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }
}

/// Gives an input to the configured flow.
fn give(turn: &mut Turn<'_, Flow>, input: Input<'_>) -> Result<(), Error> {
    let problems = turn.config.flow.problems();
    if !problems.is_empty() {
        return Err(Error::new(format!("the flow cannot run; change its configuration: {}", problems.join("; "))));
    }
    // Taken out while it runs: the host needs the rest of the turn.
    let (mut state, flow) = (std::mem::take(&mut turn.state), std::mem::take(&mut turn.config.flow));
    let ran = run::run(&flow, &mut state, input, &mut Engine { turn });
    turn.state = state;
    match ran {
        Ok(Ran::Claimed) => turn.claim(),
        Ok(Ran::Passed) => turn.pass(),
        Err(broken) => return Err(Error::new(broken.0)),
    }
    Ok(())
}

impl Automation for Flow {
    type Config = Config;
    type State = State;

    fn describe() -> Description {
        Description {
            display_name: "Fluxo de conversa".to_owned(),
            config_schema: include_str!("../schema.json").to_owned(),
            secret_fields: vec!["httpToken".to_owned()],
            events: vec![EventKind::MessageReceived, EventKind::TimerFired, EventKind::Started],
            wants: Wants { hosts: vec!["httpBase".to_owned()], ..Wants::default() },
            ..Description::new("flow", env!("CARGO_PKG_VERSION"))
        }
    }

    fn on_message(turn: &mut Turn<'_, Self>, message: &Message) -> Result<(), Error> {
        let file = match &message.content {
            Content::Text(_) | Content::Location(_) => None,
            Content::Attachment(attachment) => {
                Some(attachment.file.as_ref().map_or(attachment.kind.as_str(), |file| file.filename.as_str()))
            }
            // Not something that was said.
            Content::Edit(_) | Content::Deleted(_) | Content::Other(_) => return Ok(()),
        };
        give(turn, Input::Message(Answer { text: &message.text, file }))
    }

    fn on_timer(turn: &mut Turn<'_, Self>, timer: &Timer) -> Result<(), Error> {
        give(turn, Input::Timer(&timer.payload))
    }

    fn on_started(turn: &mut Turn<'_, Self>, start: &Start) -> Result<(), Error> {
        let input = match start.input.trim() {
            "" => Value::Null,
            text => serde_json::from_str(text)
                .map_err(|error| Error::new(format!("input must be a JSON object of variables: {error}")))?,
        };
        give(turn, Input::Started(&input))
    }
}

pombo_plugin::export_automation!(Flow);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pombo_plugin::automation::HttpResponse;
    use pombo_plugin::test::Script;
    use serde_json::Value;

    use super::Flow;

    const EXAMPLES: [&str; 3] = [
        include_str!("../examples/pizzaria.json"),
        include_str!("../examples/clinica.json"),
        include_str!("../examples/oficina.json"),
    ];

    fn script(example: usize) -> Script<Flow> {
        let config: Value = serde_json::from_str(EXAMPLES[example]).expect("JSON");
        Script::with_config(config)
    }

    #[test]
    fn the_examples_can_run() {
        for example in EXAMPLES {
            let config: super::Config = serde_json::from_str(example).expect("a configuration");
            assert_eq!(config.flow.problems(), Vec::<String>::new());
        }
    }

    #[test]
    fn a_garage_takes_a_request_for_a_quote() {
        let mut chat = script(2);
        assert_eq!(chat.says("bom dia").texts(), ["Olá! Aqui é a Oficina Central. Qual é o seu nome?"]);
        chat.says("Ana");
        chat.says("Gol 2015");
        chat.says("troca de oleo");
        chat.says("45.000");
        chat.says("10/01");
        assert_eq!(chat.says("ana@").texts(), ["Esse e-mail parece incompleto."]);
        let answer = chat.says("ana@exemplo.com");
        assert_eq!(answer.texts(), ["Obrigado, Ana! Um mecânico já vai olhar: revisão de Gol 2015 em 2026-01-10."]);
        assert!(chat.tags().contains(&"revisão"), "{:?}", chat.tags());
        assert_eq!(chat.handed_over(), Some("orçamento: revisão de Gol 2015 em 2026-01-10 (ana@exemplo.com)"));
        assert_eq!(chat.assignee(), Some("oficina"));
    }

    #[test]
    fn a_clinic_asks_again_and_confirms_with_its_server() {
        let mut chat = script(1);
        chat.start(serde_json::json!({"paciente": "Ana,", "profissional": "Dra. Lia", "data": "12/01", "hora": "10h", "consulta": 7}));
        assert!(chat.last_text().is_some_and(|text| text.contains("Dra. Lia")), "{:?}", chat.last_text());
        chat.advance(Duration::from_secs(12 * 3600));
        assert!(chat.last_text().is_some_and(|text| text.starts_with("Ainda não sabemos")), "{:?}", chat.last_text());
        chat.on_http(|request| {
            assert_eq!(
                (request.method.as_str(), request.url.as_str()),
                ("POST", "https://agenda.example.com/api/appointments/7/confirm")
            );
            Ok(HttpResponse::new(200, "{}"))
        });
        assert!(chat.says("sim").texts().concat().starts_with("Confirmado!"));
        assert!(chat.says("obrigada").texts().is_empty(), "the flow begins only when somebody starts it");
    }
}
