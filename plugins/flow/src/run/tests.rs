//! Conversations with flows, on a host that records what it is told.

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
    let call =
        Call { method: "POST".into(), path: "/orders/Z%C3%A9%20%7B%7Bx%7D%7D".into(), body: Some(json!({"n": 12})) };
    assert_eq!(chat.notes.calls, [call]);
    let now = chat.notes.now;
    assert_eq!(chat.give(Input::Message(Answer { text: "obrigado", file: None })), (Ran::Passed, vec![]), "it waits");
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
