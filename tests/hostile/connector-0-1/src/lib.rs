//! A connector that was built for the connector world 0.1.0: the SDK builds for the newest one, so this uses the frozen text directly.
//!
//! A send keeps its id in the key/value store and answers with what it finds there; a look-up finds what begins with a digit.
#![cfg(target_arch = "wasm32")]

use std::cell::RefCell;

use futures_channel::oneshot;

use bindings::pombo::connector::types::{Capability, Content, Feature, LookupResult};
use bindings::pombo::host::kv;
use bindings::{Answer, Description, Guest, Operation, OperationError, Outcome, Outgoing, RunError};

#[allow(missing_docs, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit/host", "../../../wit/frozen/connector-0.1.0"],
        world: "pombo:connector/connector",
        generate_all,
    });
}

/// Key of the last message's id.
const LAST: &str = "last";

thread_local! {
    static STOP: RefCell<Option<oneshot::Sender<()>>> = const { RefCell::new(None) };
}

struct Old;

/// What a message says, and how many files it has.
fn said(content: &Content) -> (&str, usize) {
    match content {
        Content::Text(content) => (content.text.as_str(), content.attachments.len()),
        Content::Reaction(reaction) => (reaction.emoji.as_str(), 0),
        Content::Edit(edit) => (edit.text.as_str(), 0),
        Content::Revoke(_) | Content::Other(_) => ("", 0),
    }
}

impl Guest for Old {
    fn describe() -> Description {
        Description {
            name: "hostile-connector-0-1".to_owned(),
            version: "1.0.0".to_owned(),
            channel: "test".to_owned(),
            display_name: "Connector of 0.1.0 (tests)".to_owned(),
            config_schema: r#"{"type":"object"}"#.to_owned(),
            secret_fields: Vec::new(),
            hosts: Vec::new(),
            capabilities: vec![Capability::Kv],
            features: vec![Feature::Attachments, Feature::Lookup],
            idempotent_resend: true,
            max_in_flight: 8,
            needs_session: false,
            pace: None,
        }
    }

    fn check_recipients(recipients: Vec<String>) -> Vec<Result<String, String>> {
        let check = |to: String| match to.trim() {
            "" => Err("must not be empty".to_owned()),
            to => Ok(to.to_lowercase()),
        };
        recipients.into_iter().map(check).collect()
    }

    async fn run(config: String) -> Result<(), RunError> {
        if config.contains("impossible") {
            return Err(RunError::Config("must be possible".to_owned()));
        }
        let (stop, stopped) = oneshot::channel();
        STOP.set(Some(stop));
        // A dropped sender means the same as a signal.
        let _ = stopped.await;
        Ok(())
    }

    async fn send(message: Outgoing) -> Outcome {
        let (text, files) = said(&message.content);
        let change = kv::Change { key: LAST.to_owned(), value: Some(message.client_id.clone().into_bytes()) };
        if let Err(error) = kv::batch(vec![change]).await {
            return Outcome::Temporary(format!("{error:?}"));
        }
        let last = match kv::get(LAST.to_owned()).await {
            Ok(value) => String::from_utf8(value.unwrap_or_default()).unwrap_or_default(),
            Err(error) => return Outcome::Temporary(format!("{error:?}")),
        };
        Outcome::Accepted(Some(format!("{last} {text} {files}")))
    }

    async fn operate(operation: Operation) -> Result<Answer, OperationError> {
        match operation {
            Operation::Lookup(asked) => {
                let found = |asked: String| LookupResult {
                    address: asked.starts_with(|c: char| c.is_ascii_digit()).then(|| format!("+{asked}")),
                    aliases: Vec::new(),
                    asked,
                };
                Ok(Answer::Lookup(asked.into_iter().map(found).collect()))
            }
            Operation::Group(group) => Err(OperationError::NotFound(group)),
            _ => Err(OperationError::Unsupported("it only looks up".to_owned())),
        }
    }

    async fn stop() {
        if let Some(stop) = STOP.take() {
            // `run` may have returned already.
            let _ = stop.send(());
        }
    }
}

bindings::export!(Old with_types_in bindings);
