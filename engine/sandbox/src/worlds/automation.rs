//! Automations: their description, their events, and their answers. Everything that a guest returns is bounded here; an answer that
//! does not fit is refused whole, with words for its author.

use pombo_domain::model::inbound::{Inbound, InboundAttachment, InboundContent, MediaState};
use pombo_domain::model::{Attachment, EventKind, EventKinds, ReportedStatus, TaskBody, Wants};
use pombo_domain::ports::{Action, AutomationCall, AutomationDescription, CallEvent, Outcome, SendAction, SendContent};
use serde_json::Value;
use uuid::Uuid;

use crate::bindings::automation::pombo::automation::{log, types as wit};
use crate::limits::{AutomationLimits, KV_KEY_BYTES, KV_VALUE_BYTES, cut};
use crate::uploads::inspect::schema;

const ACTIONS: usize = 100;
const TEXT_BYTES: usize = 64 << 10;
const STATE_BYTES: usize = 256 << 10;
const PAYLOAD_BYTES: usize = 64 << 10;
const NAME_BYTES: usize = 128;
const REASON_BYTES: usize = 500;
const ID_BYTES: usize = 256;
const URL_BYTES: usize = 4096;
const TAG_BYTES: usize = 64;
const SHORTEST_TIMER_MS: u64 = 1000;
const LONGEST_DELAY_MS: u64 = 400 * 24 * 3_600_000;

/// A log level as lines carry it.
pub(crate) fn level(level: log::Level) -> &'static str {
    match level {
        log::Level::Trace => "trace",
        log::Level::Debug => "debug",
        log::Level::Info => "info",
        log::Level::Warn => "warn",
        log::Level::Error => "error",
    }
}

fn kind(kind: wit::EventKind) -> EventKind {
    match kind {
        wit::EventKind::MessageReceived => EventKind::MessageReceived,
        wit::EventKind::StatusChanged => EventKind::StatusChanged,
        wit::EventKind::Reaction => EventKind::Reaction,
        wit::EventKind::ConversationOpened => EventKind::ConversationOpened,
        wit::EventKind::TimerFired => EventKind::TimerFired,
        wit::EventKind::Started => EventKind::Started,
        wit::EventKind::WebhookCalled => EventKind::WebhookCalled,
    }
}

/// Whether it is a name for a plugin: `[a-z][a-z0-9-]{1,62}`.
pub(crate) fn is_name(name: &str) -> bool {
    (2..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether an entry of the wanted hosts can be understood. `Err` says what is wrong with it.
fn check_host(entry: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("the host {:?} that it asks for {why}", cut(entry, 100)));
    if entry.len() > 255 {
        return wrong("is too long");
    }
    let Some(fixed) = entry.strip_prefix('=') else {
        let is_field =
            |f: &str| !f.is_empty() && f.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        return match entry.split('.').all(is_field) {
            true => Ok(()),
            false => wrong("is neither `=host` nor the dotted path of a configuration field"),
        };
    };
    let (below, rest) = match fixed.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, fixed),
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        _ => (rest, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
        return wrong("has a port that is not a number from 1 to 65535");
    }
    if below && !host.contains('.') {
        return wrong("stands for a whole top-level domain; name at least one more label");
    }
    let numeric = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok();
    let is_label =
        |l: &str| (1..=63).contains(&l.len()) && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if numeric && !below || host.split('.').all(is_label) { Ok(()) } else { wrong("is not a host's name") }
}

/// Checks an automation's description. `Err` says what to change.
pub(crate) fn description(said: wit::Description, limits: &AutomationLimits) -> Result<AutomationDescription, String> {
    if !is_name(&said.name) {
        return Err(format!(
            "its name {:?} must be 2 to 63 lower-case letters, digits and dashes, and begin with a letter",
            cut(&said.name, 64)
        ));
    }
    if said.version.len() > 64 || semver::Version::parse(&said.version).is_err() {
        return Err(format!("its version {:?} is not a semantic version such as 1.2.3", cut(&said.version, 64)));
    }
    if said.config_schema.len() > schema::SCHEMA_BYTES {
        return Err(format!("its configuration's schema is longer than {} bytes", schema::SCHEMA_BYTES));
    }
    let config_schema: Value = serde_json::from_str(&said.config_schema)
        .map_err(|e| format!("its configuration's schema is not JSON: {e}"))?;
    schema::compile(&config_schema)?;
    let is_field = |f: &String| {
        (1..=64).contains(&f.len()) && f.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    if said.secret_fields.len() > 32 || !said.secret_fields.iter().all(is_field) {
        return Err("its secret fields must be at most 32 names of letters, digits, dashes and underscores".to_owned());
    }
    if said.events.is_empty() {
        return Err("it wants no events; name at least one kind in `events`".to_owned());
    }
    let wants = said.wants;
    if wants.hosts.len() > 32 {
        return Err("it asks for more than 32 hosts".to_owned());
    }
    wants.hosts.iter().try_for_each(|entry| check_host(entry))?;
    let most = limits.cpu_most.as_millis();
    if u128::from(wants.cpu_millis) > most {
        return Err(format!(
            "it asks for {} ms of processor time per call; this engine gives at most {most}",
            wants.cpu_millis
        ));
    }
    if wants.memory_bytes > limits.memory_most {
        return Err(format!(
            "it asks for {} bytes of memory; this engine gives at most {}",
            wants.memory_bytes, limits.memory_most
        ));
    }
    Ok(AutomationDescription {
        display_name: match cut(said.display_name.trim(), 128) {
            empty if empty.is_empty() => said.name.clone(),
            shown => shown,
        },
        name: said.name,
        version: said.version,
        config_schema,
        secret_fields: said.secret_fields,
        events: said.events.into_iter().map(kind).collect::<EventKinds>(),
        observer: said.observer,
        wants: Wants {
            hosts: wants.hosts,
            capabilities: Vec::new(),
            kv_bytes: wants.kv_bytes,
            cpu_ms: wants.cpu_millis,
            memory_bytes: wants.memory_bytes,
            events_per_minute: wants.events_per_minute,
        },
    })
}

/// A description in the form in which it is shown to people.
pub(crate) fn shown(description: &AutomationDescription) -> Value {
    serde_json::json!({
        "name": description.name,
        "version": description.version,
        "displayName": description.display_name,
        "configSchema": description.config_schema,
        "secretFields": description.secret_fields,
        "events": description.events.iter().map(EventKind::as_str).collect::<Vec<_>>(),
        "observer": description.observer,
        "wants": {
            "hosts": description.wants.hosts,
            "kvBytes": description.wants.kv_bytes,
            "cpuMs": description.wants.cpu_ms,
            "memoryBytes": description.wants.memory_bytes,
            "eventsPerMinute": description.wants.events_per_minute,
        },
    })
}

/// Milliseconds as guests have them.
fn millis(at: pombo_domain::Timestamp) -> u64 {
    at.0.max(0) as u64
}

fn attachment(file: &InboundAttachment) -> wit::Attachment {
    let stored = match &file.media {
        MediaState::Ready(stored) => Some(wit::StoredFile {
            id: stored.id.to_string(),
            filename: stored.file_name.clone(),
            content_type: stored.content_type.clone(),
            size: stored.size,
        }),
        MediaState::Pending | MediaState::Failed(_) => None,
    };
    wit::Attachment { kind: file.kind.as_str().to_owned(), file: stored, caption: file.caption.clone() }
}

fn message(message: &Inbound) -> wit::Message {
    let (text, content) = match &message.content {
        InboundContent::Text(text) => (text.clone(), wit::Content::Text(text.clone())),
        InboundContent::Attachment(file) => {
            (file.caption.clone().unwrap_or_default(), wit::Content::Attachment(attachment(file)))
        }
        InboundContent::Location { latitude, longitude, name } => {
            let place = wit::Location { latitude: latitude.clone(), longitude: longitude.clone(), name: name.clone() };
            (name.clone().unwrap_or_default(), wit::Content::Location(place))
        }
        InboundContent::Edit { of, text } => {
            (text.clone(), wit::Content::Edit(wit::Edit { message: of.clone(), text: text.clone() }))
        }
        InboundContent::Revoke(of) => (String::new(), wit::Content::Deleted(of.clone())),
        // The intake makes an event of its own of a reaction.
        InboundContent::Reaction { to, emoji } => {
            let json = serde_json::json!({"message": to, "emoji": emoji}).to_string();
            (String::new(), wit::Content::Other(wit::Other { kind: "reaction".to_owned(), json }))
        }
        InboundContent::Other(kind, json) => {
            (String::new(), wit::Content::Other(wit::Other { kind: kind.clone(), json: json.clone() }))
        }
    };
    wit::Message {
        id: message.provider_id.clone(),
        sender: message.sender.clone(),
        sender_name: message.sender_name.clone(),
        text,
        content,
        reply_to: message.reply_to.clone(),
        mentions: message.mentions.clone(),
        sent_at_millis: millis(message.sent_at),
    }
}

fn body(body: &TaskBody) -> wit::EventBody {
    match body {
        TaskBody::Message(received) => wit::EventBody::MessageReceived(message(received)),
        TaskBody::Reaction { message, sender, emoji } => wit::EventBody::Reaction(wit::ReceivedReaction {
            message: message.clone(),
            sender: sender.clone(),
            emoji: emoji.clone(),
        }),
        TaskBody::Status { message, automation: _, label, status, reason } => {
            wit::EventBody::StatusChanged(wit::StatusChange {
                message: message.to_string(),
                label: label.clone(),
                status: match status {
                    ReportedStatus::Sent => wit::Status::Sent,
                    ReportedStatus::Delivered => wit::Status::Delivered,
                    ReportedStatus::Read => wit::Status::Read,
                    ReportedStatus::Played => wit::Status::Played,
                    ReportedStatus::Failed => wit::Status::Failed,
                    ReportedStatus::Unknown => wit::Status::Unknown,
                    ReportedStatus::Canceled => wit::Status::Canceled,
                },
                reason: reason.clone(),
            })
        }
        TaskBody::Opened => wit::EventBody::ConversationOpened,
        TaskBody::Timer { automation: _, name, payload, due_at } => wit::EventBody::TimerFired(wit::Timer {
            name: name.clone(),
            payload: payload.clone(),
            due_at_millis: millis(*due_at),
        }),
        TaskBody::Started { automation: _, input, by } => {
            wit::EventBody::Started(wit::Start { input: input.clone(), by: by.clone() })
        }
        TaskBody::Webhook { automation: _, content_type, body } => {
            wit::EventBody::WebhookCalled(wit::Webhook { content_type: content_type.clone(), body: body.clone() })
        }
    }
}

/// An event as the guest gets it.
pub(crate) fn event(call: &AutomationCall) -> wit::Event {
    let event: &CallEvent = &call.event;
    wit::Event {
        id: event.id.to_string(),
        at_millis: millis(event.at),
        attempt: event.attempt,
        conversation: wit::Conversation {
            id: event.conversation.to_string(),
            connector: event.connector.to_string(),
            channel: event.channel.clone(),
            chat: event.chat.clone(),
            is_group: event.is_group,
            contact_name: event.contact_name.clone(),
            tags: event.tags.clone(),
            assignee: event.assignee.clone(),
            opened_at_millis: millis(event.opened_at),
        },
        config: call.config.to_string(),
        body: body(&event.body),
    }
}

fn within(what: &str, text: String, most: usize) -> Result<String, String> {
    if text.len() <= most { Ok(text) } else { Err(format!("{what} is longer than {most} bytes")) }
}

fn named(what: &str, text: String, most: usize) -> Result<String, String> {
    if text.trim().is_empty() { Err(format!("{what} is empty")) } else { within(what, text, most) }
}

fn optional(what: &str, text: Option<String>, most: usize) -> Result<Option<String>, String> {
    text.map(|text| within(what, text, most)).transpose()
}

fn json(what: &str, text: String) -> Result<String, String> {
    let text = within(what, text, PAYLOAD_BYTES)?;
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(format!("{what} is not JSON")),
    }
}

fn delay(what: &str, millis: u64) -> Result<u64, String> {
    if millis <= LONGEST_DELAY_MS { Ok(millis) } else { Err(format!("{what} is longer than 400 days")) }
}

fn file(content: wit::FileContent) -> Result<SendContent, String> {
    let (caption, voice_note) = (optional("a file's caption", content.caption, TEXT_BYTES)?, content.voice_note);
    match content.file {
        wit::File::Url(url) => {
            let url = within("a file's URL", url, URL_BYTES)?;
            let parsed = url::Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            if parsed.is_none_or(|url| !url.has_host()) {
                return Err("a file's URL must begin with https:// or http://".to_owned());
            }
            Ok(SendContent::FileUrl { url, caption, voice_note })
        }
        wit::File::Stored(stored) => {
            let id =
                Uuid::parse_str(&stored.id).map_err(|_| "a stored file's id is not one of the engine's".to_owned())?;
            let file = Attachment {
                id,
                file_name: named("a stored file's name", stored.filename, 255)?,
                content_type: named("a stored file's type", stored.content_type, NAME_BYTES)?,
                size: stored.size,
            };
            Ok(SendContent::File { file, caption, voice_note })
        }
    }
}

fn send(send: wit::Send) -> Result<SendAction, String> {
    let content = match send.content {
        wit::Outgoing::Text(text) => SendContent::Text(named("a text to send", text, TEXT_BYTES)?),
        wit::Outgoing::Template(template) => {
            let variables = match template.variables.trim() {
                "" => "{}".to_owned(),
                text if text.starts_with('{') => json("a template's variables", template.variables)?,
                _ => return Err("a template's variables are not a JSON object".to_owned()),
            };
            SendContent::Template(named("a template to send", template.text, TEXT_BYTES)?, variables)
        }
        wit::Outgoing::File(content) => file(content)?,
        wit::Outgoing::Reaction(reaction) => SendContent::Reaction {
            message: named("the message of a reaction", reaction.message, ID_BYTES)?,
            sender: optional("the sender of a reaction", reaction.sender, ID_BYTES)?,
            emoji: within("a reaction", reaction.emoji, 64)?,
        },
    };
    Ok(SendAction {
        content,
        reply_to: optional("the message that is answered", send.reply_to, ID_BYTES)?,
        delay_ms: delay("a delay", send.delay_millis)?,
        label: optional("a label", send.label, NAME_BYTES)?,
    })
}

fn action(action: wit::Action) -> Result<Action, String> {
    Ok(match action {
        wit::Action::Send(message) => Action::Send(send(message)?),
        wit::Action::WriteKv(write) => {
            let key = named("a key", write.key, KV_KEY_BYTES)?;
            Action::WriteKv(key, optional("a value", write.value, KV_VALUE_BYTES)?)
        }
        wit::Action::SetTimer(timer) => {
            if timer.delay_millis < SHORTEST_TIMER_MS {
                return Err("a timer's delay is shorter than a second".to_owned());
            }
            let millis = delay("a timer's delay", timer.delay_millis)?;
            let name = named("a timer's name", timer.name, NAME_BYTES)?;
            Action::SetTimer(name, millis, within("a timer's payload", timer.payload, PAYLOAD_BYTES)?)
        }
        wit::Action::CancelTimer(name) => Action::CancelTimer(named("a timer's name", name, NAME_BYTES)?),
        wit::Action::AddTag(tag) => Action::AddTag(named("a tag", tag, TAG_BYTES)?),
        wit::Action::RemoveTag(tag) => Action::RemoveTag(named("a tag", tag, TAG_BYTES)?),
        wit::Action::UpdateContact(update) => {
            let name = update.name.map(|name| named("a contact's name", name, ID_BYTES)).transpose()?;
            Action::UpdateContact(name, update.active)
        }
        wit::Action::HandOver(reason) => Action::HandOver(named("the reason to hand over", reason, REASON_BYTES)?),
        wit::Action::Assign(to) => Action::Assign(to.map(|to| named("the assignee", to, NAME_BYTES)).transpose()?),
        wit::Action::Emit(emitted) => {
            let is_kind = (1..=64).contains(&emitted.kind.len())
                && emitted.kind.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            if !is_kind {
                return Err("an event's kind must be 1 to 64 letters, digits, dashes, dots and underscores".to_owned());
            }
            Action::Emit(emitted.kind, json("an event's content", emitted.json)?)
        }
        wit::Action::MarkRead => Action::MarkRead,
    })
}

/// Checks an automation's answer. `Err` says what is wrong with it.
pub(crate) fn outcome(said: wit::Outcome, observer: bool) -> Result<Outcome, String> {
    if said.actions.len() > ACTIONS {
        return Err(format!("it asks for {} actions; one call may ask for at most {ACTIONS}", said.actions.len()));
    }
    let state = optional("the state", said.state, STATE_BYTES)?;
    let mut actions = Vec::with_capacity(said.actions.len());
    for (at, one) in said.actions.into_iter().enumerate() {
        if observer && matches!(one, wit::Action::Send(_) | wit::Action::HandOver(_) | wit::Action::Assign(_)) {
            return Err("an observer may not send, hand over or assign".to_owned());
        }
        actions.push(action(one).map_err(|why| format!("action {}: {why}", at + 1))?);
    }
    Ok(Outcome { state, actions, claim: said.claim && !observer })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(actions: Vec<wit::Action>) -> wit::Outcome {
        wit::Outcome { state: None, actions, claim: true }
    }
    fn text(text: &str) -> wit::Action {
        let content = wit::Outgoing::Text(text.to_owned());
        wit::Action::Send(wit::Send { content, reply_to: None, delay_millis: 0, label: None })
    }
    fn timer(delay_millis: u64) -> wit::Action {
        wit::Action::SetTimer(wit::NewTimer { name: "t".to_owned(), delay_millis, payload: String::new() })
    }
    fn url(url: &str) -> wit::Action {
        let file = wit::FileContent { file: wit::File::Url(url.to_owned()), caption: None, voice_note: false };
        wit::Action::Send(wit::Send {
            content: wit::Outgoing::File(file),
            reply_to: None,
            delay_millis: 0,
            label: None,
        })
    }

    #[test]
    fn what_a_guest_answers_is_bounded() {
        let key = |key: String| wit::Action::WriteKv(wit::KvWrite { key, value: None });
        let emit =
            |kind: &str, json: &str| wit::Action::Emit(wit::Emitted { kind: kind.to_owned(), json: json.to_owned() });
        for (actions, why) in [
            (vec![wit::Action::MarkRead; 101], "101 actions"),
            (vec![text(&"x".repeat(TEXT_BYTES + 1))], "action 1: a text to send is longer"),
            (vec![text("ok"), text(" ")], "action 2: a text to send is empty"),
            (vec![timer(999)], "shorter than a second"),
            (vec![timer(LONGEST_DELAY_MS + 1)], "longer than 400 days"),
            (vec![url("file:///etc/passwd")], "https://"),
            (vec![url("not a url")], "https://"),
            (vec![key(String::new())], "a key is empty"),
            (vec![key("k".repeat(513))], "a key is longer than 512"),
            (vec![emit("a b", "{}")], "event's kind"),
            (vec![emit("a", "{")], "not JSON"),
            (vec![wit::Action::HandOver(String::new())], "reason to hand over is empty"),
            (vec![wit::Action::AddTag("t".repeat(65))], "a tag is longer than 64"),
        ] {
            let error = outcome(said(actions), false).expect_err("must be refused");
            assert!(error.contains(why), "{error:?} does not say {why:?}");
        }
        let state = wit::Outcome { state: Some("s".repeat(STATE_BYTES + 1)), ..said(vec![]) };
        assert!(outcome(state, false).is_err_and(|e| e.contains("the state is longer")));
        let fine = outcome(said(vec![text("olá"), timer(1000), emit("a.b", "[1]"), key("k".to_owned())]), false);
        assert_eq!(fine.map(|outcome| (outcome.actions.len(), outcome.claim)), Ok((4, true)));
    }

    #[test]
    fn an_observer_only_watches() {
        assert!(outcome(said(vec![text("x")]), true).is_err_and(|e| e.contains("observer")));
        let watched = outcome(said(vec![wit::Action::AddTag("seen".to_owned())]), true).expect("may tag");
        assert!(!watched.claim);
    }

    fn describing(change: impl FnOnce(&mut wit::Description)) -> Result<AutomationDescription, String> {
        let mut description = wit::Description {
            name: "acme-orders".to_owned(),
            version: "1.2.3-beta.1".to_owned(),
            display_name: " ".to_owned(),
            config_schema: "{\"type\": \"object\"}".to_owned(),
            secret_fields: vec!["apiKey".to_owned()],
            events: vec![wit::EventKind::MessageReceived, wit::EventKind::TimerFired],
            observer: false,
            wants: wit::Wants { hosts: vec![], kv_bytes: 0, cpu_millis: 0, memory_bytes: 0, events_per_minute: 0 },
        };
        change(&mut description);
        super::description(description, &AutomationLimits::default())
    }

    #[test]
    fn a_description_is_checked() {
        let fine = describing(|d| {
            d.wants.hosts =
                ["=api.example.com", "=*.example.com:8443", "=127.0.0.1:80", "api.base-url"].map(str::to_owned).into();
        });
        let fine = fine.expect("is one");
        assert_eq!(fine.display_name, "acme-orders");
        assert!(fine.events.has(EventKind::TimerFired) && !fine.events.has(EventKind::Started));
        let mut wrong: Vec<(Box<dyn FnOnce(&mut wit::Description)>, &str)> = Vec::new();
        for name in ["", "a", "Acme", "1st", "acme_orders", "-acme", &"a".repeat(64)] {
            let name = name.to_owned();
            wrong.push((Box::new(move |d| d.name = name), "its name"));
        }
        for version in ["", "1", "1.2", "v1.2.3"] {
            wrong.push((Box::new(move |d| d.version = version.to_owned()), "semantic version"));
        }
        for host in ["=", "=*.com", "=a:0", "=a:port", "=a/b", "a..b", "https://a", "=https://a", "=*"] {
            wrong.push((Box::new(move |d| d.wants.hosts = vec![host.to_owned()]), "that it asks for"));
        }
        wrong.push((Box::new(|d| d.config_schema = "{".to_owned()), "not JSON"));
        wrong.push((Box::new(|d| d.config_schema = "{\"$ref\": \"#\"}".to_owned()), "refers to itself"));
        wrong.push((Box::new(|d| d.secret_fields = vec!["a.b".to_owned()]), "secret fields"));
        wrong.push((Box::new(|d| d.events.clear()), "wants no events"));
        wrong.push((Box::new(|d| d.wants.cpu_millis = 10_001), "processor time"));
        wrong.push((Box::new(|d| d.wants.memory_bytes = 1 << 40), "of memory"));
        for (change, why) in wrong {
            let error = describing(change).expect_err("must be refused");
            assert!(error.contains(why), "{error:?} does not say {why:?}");
        }
    }
}
