//! An automation that does whatever a message tells it to.

use pombo_plugin::automation::types;
use pombo_plugin::automation::*;

/// The plugin.
#[derive(Debug)]
pub struct Probe;

fn deeper(n: u64) -> u64 {
    std::hint::black_box(n) + if std::hint::black_box(true) { deeper(n + 1) } else { 0 }
}

fn send(text: String) -> types::Action {
    let content = types::Outgoing::Text(text);
    types::Action::Send(types::Send { content, reply_to: None, delay_millis: 0, label: None })
}

fn handle(event: &types::Event, state: Option<&str>) -> Result<types::Outcome, String> {
    use pombo_plugin::automation::bindings::pombo::automation::{clock, http, kv, log, random};
    let types::EventBody::MessageReceived(message) = &event.body else {
        return Ok(types::Outcome {
            state: None,
            actions: vec![types::Action::AddTag("other".to_owned())],
            claim: false,
        });
    };
    let (task, rest) = message.text.split_once(' ').unwrap_or((&message.text, ""));
    let answer =
        |text: String| Ok(types::Outcome { state: state.map(str::to_owned), actions: vec![send(text)], claim: true });
    match task {
        "echo" => {
            let count = state.and_then(|s| s.parse::<u64>().ok()).unwrap_or(0) + 1;
            Ok(types::Outcome { state: Some(count.to_string()), actions: vec![send(rest.to_owned())], claim: true })
        }
        "config" => answer(event.config.clone()),
        "time" => answer(format!("{} {} {:?}", clock::now_millis(), random::number(), random::bytes(8))),
        "get" => answer(format!("{:?}", kv::get(rest))),
        "list" => answer(format!("{:?}", kv::list(rest, None, 1000).map(|all| all.len()))),
        "put" => {
            let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
            let write = types::KvWrite { key: key.to_owned(), value: Some(value.to_owned()) };
            Ok(types::Outcome { state: None, actions: vec![types::Action::WriteKv(write)], claim: true })
        }
        "http" => {
            let (url, value) = rest.split_once(' ').unwrap_or((rest, ""));
            let request = http::Request {
                method: "POST".to_owned(),
                url: url.to_owned(),
                headers: vec![http::Header { name: "x-note".to_owned(), value: value.to_owned() }],
                body: Some(format!("body {value}").into_bytes()),
                timeout_millis: Some(60_000),
            };
            answer(match http::send(&request) {
                Ok(response) => format!("{} {}", response.status, String::from_utf8_lossy(&response.body)),
                Err(error) => format!("{error:?}"),
            })
        }
        "log" => {
            let times = rest.parse().unwrap_or(1);
            (0..times).for_each(|n| log::log(log::Level::Info, &format!("line {n}")));
            answer("logged".to_owned())
        }
        "spin" => loop {
            std::hint::black_box(0);
        },
        "recur" => answer(deeper(0).to_string()),
        "trap" => {
            let nothing: Vec<u8> = Vec::new();
            answer(nothing[std::hint::black_box(7)].to_string())
        }
        "memory" => {
            let mut all: Vec<Vec<u8>> = Vec::new();
            loop {
                all.push(std::hint::black_box(vec![1; 1 << 20]));
            }
        }
        "ask" => {
            let last = (0..2000).map(|n| kv::get(&n.to_string())).find(Result::is_err);
            answer(format!("{last:?}"))
        }
        "error" => Err(rest.to_owned()),
        "many" => Ok(types::Outcome { state: None, actions: vec![types::Action::MarkRead; 101], claim: false }),
        "state" => Ok(types::Outcome { state: Some("s".repeat(300 << 10)), actions: Vec::new(), claim: false }),
        "huge" => Ok(types::Outcome { state: Some("s".repeat(40 << 20)), actions: Vec::new(), claim: false }),
        _ => Err(format!("no such task: {task}")),
    }
}

impl Probe {
    fn describe() -> Description {
        Description {
            events: vec![types::EventKind::MessageReceived, types::EventKind::Reaction],
            config_schema: r#"{"type":"object","required":["greeting"],"additionalProperties":false,"properties":{
                "greeting":{"type":"string","maxLength":10},"url":{"type":"string"},"password":{"type":"string"}}}"#
                .to_owned(),
            secret_fields: vec!["password".to_owned()],
            wants: Wants { hosts: vec!["url".to_owned()], kv_bytes: 1 << 20, ..Wants::default() },
            ..Description::new("hostile-automation-probe", env!("CARGO_PKG_VERSION"))
        }
    }
}

// Without the SDK's trait: it would not let an automation answer what this one does.
#[cfg(target_arch = "wasm32")]
const _: () = {
    use pombo_plugin::automation as sdk;

    struct Exported;
    impl sdk::bindings::Guest for Exported {
        fn describe() -> Description {
            Probe::describe()
        }
        fn handle(event: types::Event, state: Option<String>) -> Result<types::Outcome, String> {
            handle(&event, state.as_deref())
        }
    }
    sdk::bindings::export_automation_world! { Exported with_types_in sdk::bindings }
};

#[cfg(not(target_arch = "wasm32"))]
#[allow(dead_code, reason = "natively there is nobody to call it")]
const _: (fn() -> Description, fn(&types::Event, Option<&str>) -> Result<types::Outcome, String>) =
    (Probe::describe, handle);
