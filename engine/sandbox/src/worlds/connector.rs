//! Messages and outcomes, and a plugin's description of itself.

use pombo_domain::model::Attachment;
use pombo_domain::model::connector::{HealthRules, Pace, WarmUp};
use pombo_domain::model::message::{MessageAction, Target};
use pombo_domain::ports::{Outgoing, OwnKind, PluginDescription, Refusal, SendOutcome, ThrottleScope};

use crate::bindings::types as wit;
use crate::grants::Capability;
use crate::limits::{REASON_BYTES, cut};
use crate::worlds::demands;
use crate::worlds::names::{NAME_BYTES, NAMES, is_name};

/// The feature of a plugin whose channel fetches the files of messages by links.
pub(crate) const ATTACHMENT_LINKS: &str = "attachment-links";

/// Bytes of the schema of a kind of the plugin's own.
const KIND_SCHEMA_BYTES: usize = 16 << 10;

/// Bytes of the longest id that a provider gives.
const PROVIDER_ID_BYTES: usize = 256;
/// Bytes of a channel's own code.
const CODE_BYTES: usize = 64;
/// Bytes of another address of a recipient.
const ADDRESS_BYTES: usize = 320;
/// Other addresses of a recipient that one outcome tells.
const ALIASES: usize = 16;

/// Key of the metadata of a message whose outcome somebody waits for; its value is `1`.
const DIRECT: &str = "direct";
/// Key of the metadata of a message whose files are shown as what its value says.
const MEDIA_KIND: &str = "media-kind";

/// What a message asks for that only some plugins know.
fn metadata(message: &Outgoing) -> Vec<(String, String)> {
    let mut metadata = Vec::new();
    if message.awaited {
        metadata.push((DIRECT.to_owned(), "1".to_owned()));
    }
    if let Some(kind) = message.file_kind {
        metadata.push((MEDIA_KIND.to_owned(), kind.as_str().to_owned()));
    }
    metadata
}

/// A message as the plugin gets it; `link` makes the links to its files.
pub(crate) fn outgoing(message: Outgoing, link: impl Fn(&Attachment) -> Option<String>) -> wit::Outgoing {
    let metadata = metadata(&message);
    let attachments = message.attachments.into_iter().map(|file| wit::Attachment {
        url: link(&file),
        media: file.id.to_string(),
        filename: file.file_name,
        content_type: file.content_type,
        size: file.size,
    });
    let content = match message.action {
        MessageAction::Say => wit::Content::Text(wit::TextContent {
            text: message.text,
            subject: message.subject,
            attachments: attachments.collect(),
        }),
        MessageAction::React(to) => wit::Content::Reaction(wit::Reaction { to: target(to), emoji: message.text }),
        MessageAction::Edit(of) => wit::Content::Edit(wit::Edit { of: target(of), text: message.text }),
        MessageAction::Revoke(of) => wit::Content::Revoke(target(of)),
        MessageAction::Other(own) => wit::Content::Other((own.kind, with_files(own.value, attachments.collect()))),
    };
    wit::Outgoing {
        client_id: message.client_id.to_string(),
        to: message.to,
        contact_name: message.contact_name,
        content,
        reply_to: message.reply_to.map(target),
        mentions: message.mentions,
        voice_note: message.voice_note,
        attempt: u32::from(message.attempt),
        metadata,
    }
}

/// Content of the plugin's own, with what the plugin needs of the message's files where their numbers stand: `{"attachment": 0}`.
fn with_files(content: String, files: Vec<wit::Attachment>) -> String {
    if files.is_empty() {
        return content;
    }
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(&content) else { return content };
    let file = |number: u64| {
        let file = files.get(usize::try_from(number).ok()?)?;
        let mut named = serde_json::json!({"file": {
            "media": file.media,
            "filename": file.filename,
            "contentType": file.content_type,
            "size": file.size,
        }});
        if let Some(link) = &file.url {
            named["link"] = serde_json::json!(link);
        }
        Some(named)
    };
    let mut rest = vec![&mut value];
    while let Some(value) = rest.pop() {
        let number = value.as_object().filter(|object| object.len() == 1).and_then(|object| object.get("attachment"));
        if let Some(file) = number.and_then(serde_json::Value::as_u64).and_then(file) {
            *value = file;
            continue;
        }
        match value {
            serde_json::Value::Array(items) => rest.extend(items),
            serde_json::Value::Object(fields) => rest.extend(fields.values_mut()),
            _ => {}
        }
    }
    value.to_string()
}

/// A message of a conversation that another one is about.
pub(super) fn target(target: Target) -> wit::Target {
    wit::Target { provider_id: target.provider_id, sender: target.sender, text: target.text }
}

/// The outcome that the plugin gave, with its texts cut to their bounds.
pub(crate) fn outcome(outcome: wit::Outcome) -> SendOutcome {
    let reason = |text: String| cut(&text, REASON_BYTES);
    let code = |code: Option<String>| code.map(|code| cut(&code, CODE_BYTES)).filter(|code| !code.is_empty());
    let refusal = |said: wit::Refusal| Refusal { reason: reason(said.reason), code: code(said.code) };
    match outcome {
        wit::Outcome::Accepted(said) => SendOutcome::Accepted {
            provider_id: said.provider_id.map(|id| cut(&id, PROVIDER_ID_BYTES)).filter(|id| !id.is_empty()),
            aliases: addresses(said.aliases),
            held: said.held,
        },
        wit::Outcome::InvalidRecipient(why) => SendOutcome::InvalidRecipient(refusal(why)),
        wit::Outcome::Rejected(why) => SendOutcome::Rejected(refusal(why)),
        wit::Outcome::Throttled(throttle) => SendOutcome::Throttled {
            retry_after_ms: Some(throttle.retry_after_millis).filter(|ms| *ms > 0),
            reason: reason(throttle.reason),
            scope: match throttle.scope {
                wit::ThrottleScope::Connector => ThrottleScope::Connector,
                wit::ThrottleScope::Recipient => ThrottleScope::Recipient,
                wit::ThrottleScope::Message => ThrottleScope::Message,
            },
            code: code(throttle.code),
        },
        wit::Outcome::Temporary(why) => SendOutcome::Temporary(reason(why)),
        wit::Outcome::Disconnected(why) => SendOutcome::Disconnected(reason(why)),
        wit::Outcome::Unknown(why) => SendOutcome::Unknown(reason(why)),
    }
}

/// Addresses that can be kept: an address is never altered, so one that is too long is left out.
fn addresses(said: Vec<String>) -> Vec<String> {
    said.into_iter().filter(|address| (1..=ADDRESS_BYTES).contains(&address.len())).take(ALIASES).collect()
}

/// The capabilities that a plugin wants. `Err` names one that there is not.
pub(crate) fn capabilities(wanted: &[String]) -> Result<Vec<Capability>, String> {
    let mut known = Vec::new();
    for name in wanted {
        let Some(capability) = Capability::from_name(name) else {
            return Err(format!(
                "it wants the capability {:?}, which this engine does not have; it has {}",
                cut(name, NAME_BYTES),
                Capability::ALL.map(Capability::name).join(", ")
            ));
        };
        if !known.contains(&capability) {
            known.push(capability);
        }
    }
    Ok(known)
}

/// The features that a plugin names, those that the engine does not know included: a later one may. What is no name is passed over.
fn features(named: Vec<String>) -> Vec<String> {
    named.into_iter().filter(|name| is_name(name)).take(NAMES).collect()
}

/// The kinds of content or operations of a plugin's own. `Err` says what is wrong with them; `of` is which of the two.
fn own_kinds(of: &str, said: Vec<wit::Kind>) -> Result<Vec<OwnKind>, String> {
    if said.len() > NAMES {
        return Err(format!("its {of} must be at most {NAMES} kinds"));
    }
    let mut kinds: Vec<OwnKind> = Vec::with_capacity(said.len());
    for wit::Kind { name, schema } in said {
        if !is_name(&name) {
            return Err(format!(
                "its {of} have the kind {:?}, but a name must be 1 to {NAME_BYTES} lower-case letters, digits and dashes",
                cut(&name, NAME_BYTES)
            ));
        }
        if kinds.iter().any(|kind| kind.name == name) {
            return Err(format!("its {of} have the kind {name:?} twice"));
        }
        if schema.len() > KIND_SCHEMA_BYTES {
            return Err(format!("the schema of {name:?} in its {of} must have at most {KIND_SCHEMA_BYTES} bytes"));
        }
        let schema = match schema.trim() {
            "" => None,
            text => Some(
                serde_json::from_str(text)
                    .map_err(|e| format!("the schema of {name:?} in its {of} is not JSON: {e}"))?,
            ),
        };
        kinds.push(OwnKind { name, schema });
    }
    Ok(kinds)
}

/// The pace that a plugin wants for its new connectors. `Err` says what is wrong with it.
fn pace(said: wit::Pace, max_in_flight: u16) -> Result<Pace, String> {
    const LONGEST_DELAY_MS: u64 = 24 * 3_600_000;
    if said.delay_min_millis > said.delay_max_millis || said.delay_max_millis > LONGEST_DELAY_MS {
        return Err("its pace's shortest delay must be at most its longest one, which must be at most a day".to_owned());
    }
    if said.warm_up_days.len() > 365 || said.warm_up_growth > 1000 {
        return Err("its pace's warm-up must have at most 365 days and grow by at most 1000 % per day".to_owned());
    }
    let warm_up = (!said.warm_up_days.is_empty()).then_some(WarmUp {
        days: said.warm_up_days,
        growth_percent: said.warm_up_growth,
        until: said.warm_up_until,
    });
    Ok(Pace {
        delay_min_ms: said.delay_min_millis,
        delay_max_ms: said.delay_max_millis,
        daily_cap: said.daily_cap,
        warm_up,
        max_in_flight,
        health: said.health.then(HealthRules::default),
        ..Pace::default()
    })
}

/// Checks a connector's description. `Err` says what is wrong with it.
pub(crate) fn description(said: wit::Description, digest: &str) -> Result<PluginDescription, String> {
    if !is_name(&said.name) {
        return Err("its name must be 1 to 64 lower-case letters, digits and dashes".to_owned());
    }
    if !is_name(&said.channel) {
        return Err("its channel must be 1 to 64 lower-case letters, digits and dashes".to_owned());
    }
    let config_schema: serde_json::Value = serde_json::from_str(&said.config_schema)
        .map_err(|e| format!("its configuration's schema is not JSON: {e}"))?;
    let max_in_flight = said.max_in_flight.clamp(1, 4096) as u16;
    let pace = said.pace.map(|said| pace(said, max_in_flight)).transpose()?;
    let capabilities = capabilities(&said.capabilities)?;
    let (contents, operations) = (own_kinds("contents", said.contents)?, own_kinds("operations", said.operations)?);
    let fields = demands::Fields { schema: &config_schema, secret: &said.secret_fields };
    let proofs = demands::proofs(said.proofs, &fields)?;
    let shared_address = said.shared_address.map(|field| fields.shared("shared-address", field)).transpose()?;
    let rules = said.rules.map(|said| demands::rules(said, &fields, &contents)).transpose()?;
    Ok(PluginDescription {
        name: said.name,
        version: cut(&said.version, 64),
        digest: digest.to_owned(),
        channel: said.channel,
        display_name: cut(&said.display_name, 128),
        config_schema,
        secret_fields: said.secret_fields,
        capabilities: capabilities.into_iter().map(|c| c.name().to_owned()).collect(),
        features: features(said.features),
        contents,
        operations,
        idempotent_resend: said.idempotent_resend,
        max_in_flight,
        needs_session: said.needs_session,
        pace,
        proofs,
        shared_address,
        rules,
    })
}

#[cfg(test)]
mod tests {
    use pombo_domain::model::FileKind;
    use pombo_domain::model::message::OwnContent;
    use pombo_testkit::samples;

    use super::*;

    #[test]
    fn what_only_some_plugins_know_is_in_the_metadata() {
        let outgoing = |message: Outgoing| outgoing(message, |_| None);
        let plain = samples::outgoing("ana", "Oi");
        assert!(outgoing(plain.clone()).metadata.is_empty());
        let of = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let asking = Outgoing { awaited: true, file_kind: Some(FileKind::Document), ..plain };
        assert_eq!(outgoing(asking).metadata, [of("direct", "1"), of("media-kind", "document")]);
    }

    fn said() -> wit::Description {
        wit::Description {
            name: "chat".to_owned(),
            version: "1.0.0".to_owned(),
            channel: "chat".to_owned(),
            display_name: "Chat".to_owned(),
            config_schema: "{}".to_owned(),
            secret_fields: Vec::new(),
            hosts: Vec::new(),
            capabilities: Vec::new(),
            features: Vec::new(),
            contents: Vec::new(),
            operations: Vec::new(),
            idempotent_resend: false,
            max_in_flight: 1,
            needs_session: false,
            pace: None,
            proofs: Vec::new(),
            shared_address: None,
            rules: None,
        }
    }

    #[test]
    fn an_outcome_keeps_its_code_and_what_is_told_of_the_recipient_within_bounds() {
        let long = "x".repeat(ADDRESS_BYTES + 1);
        let aliases = [vec![long, String::new(), "551199".to_owned()], vec!["a".to_owned(); 100]].concat();
        let said = wit::Acceptance { provider_id: Some(String::new()), aliases, held: true };
        let accepted = outcome(wit::Outcome::Accepted(said));
        let SendOutcome::Accepted { provider_id: None, aliases, held: true } = accepted else { panic!("{accepted:?}") };
        assert_eq!((aliases.len(), aliases[0].as_str()), (ALIASES, "551199"));
        let why = wit::Refusal { reason: "no".to_owned(), code: Some("131026".to_owned()) };
        let refused = Refusal { reason: "no".to_owned(), code: Some("131026".to_owned()) };
        assert_eq!(outcome(wit::Outcome::InvalidRecipient(why)), SendOutcome::InvalidRecipient(refused));
        let slow = wit::Throttle {
            retry_after_millis: 0,
            reason: "slow".to_owned(),
            scope: wit::ThrottleScope::Recipient,
            code: Some("y".repeat(CODE_BYTES + 1)),
        };
        let slow = outcome(wit::Outcome::Throttled(slow));
        let SendOutcome::Throttled { retry_after_ms: None, scope, code: Some(code), .. } = slow else {
            panic!("{slow:?}")
        };
        assert_eq!((scope, code.starts_with("yyy"), code.ends_with('…')), (ThrottleScope::Recipient, true, true));
    }

    #[test]
    fn content_of_the_plugins_own_reaches_it_as_it_is() {
        let own = OwnContent { kind: "location".to_owned(), value: r#"{"x":1}"#.to_owned() };
        let message = Outgoing { action: MessageAction::Other(own), ..samples::outgoing("ana", "Oi") };
        let wit::Content::Other((kind, value)) = outgoing(message, |_| None).content else { panic!("is its own") };
        assert_eq!((kind.as_str(), value.as_str()), ("location", r#"{"x":1}"#));
    }

    #[test]
    fn a_file_has_the_link_that_is_made_for_it() {
        let id = uuid::Uuid::from_u128(7);
        let (file_name, content_type) = ("a.pdf".to_owned(), "application/pdf".to_owned());
        let file = Attachment { id, file_name, content_type, size: 1 };
        let message = Outgoing { attachments: vec![file], ..samples::outgoing("ana", "Oi") };
        let links = |message: wit::Outgoing| match message.content {
            wit::Content::Text(content) => content.attachments.into_iter().map(|file| file.url).collect::<Vec<_>>(),
            _ => panic!("is a text"),
        };
        assert_eq!(links(outgoing(message.clone(), |_| None)), vec![None::<String>]);
        let named = outgoing(message, |file| Some(file.file_name.clone()));
        assert_eq!(links(named), vec![Some("a.pdf".to_owned())]);
    }

    #[test]
    fn content_of_a_plugins_own_gets_the_messages_files_where_their_numbers_stand() {
        use pombo_domain::model::message::OwnContent;
        let id = uuid::Uuid::from_u128(7);
        let (file_name, content_type) = ("a.png".to_owned(), "image/png".to_owned());
        let file = Attachment { id, file_name, content_type, size: 1 };
        let value = r#"{"header":{"media":{"attachment":0}},"other":{"attachment":1},"n":{"attachment":0,"x":1}}"#;
        let own = OwnContent { kind: "template".to_owned(), value: value.to_owned() };
        let action = MessageAction::Other(own);
        let plain = Outgoing { action, ..samples::outgoing("ana", "Oi") };
        let sent = |message: Outgoing, link: Option<&str>| match outgoing(message, |_| link.map(str::to_owned)).content
        {
            wit::Content::Other((kind, value)) => {
                assert_eq!(kind, "template");
                serde_json::from_str::<serde_json::Value>(&value).expect("JSON")
            }
            _ => panic!("is content of its own"),
        };
        let expected = |media: serde_json::Value| serde_json::json!({"header": {"media": media}, "other": {"attachment": 1}, "n": {"attachment": 0, "x": 1}});
        assert_eq!(sent(plain.clone(), None), expected(serde_json::json!({"attachment": 0})), "there is no file");
        let message = Outgoing { attachments: vec![file], ..plain };
        let media = id.to_string();
        let file = serde_json::json!({"media": media, "filename": "a.png", "contentType": "image/png", "size": 1});
        let linked = serde_json::json!({"file": file, "link": "https://x"});
        assert_eq!(sent(message.clone(), Some("https://x")), expected(linked));
        assert_eq!(sent(message, None), expected(serde_json::json!({"file": file})));
    }

    #[test]
    fn an_unknown_capability_is_refused_and_an_unknown_feature_kept() {
        let named = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let described = wit::Description { capabilities: named(&["kv", "camera"]), ..said() };
        let why = description(described, "").expect_err("there is no camera");
        assert!(why.contains("\"camera\"") && why.contains("media-read"), "{why}");
        let many: Vec<String> = (0..100).map(|n| format!("feature-{n}")).collect();
        let odd = named(&["Reply", "", "a b", &"x".repeat(65)]);
        let features = [named(&["reply", "telepathy"]), odd, many].concat();
        let described = wit::Description { capabilities: named(&["kv", "events", "kv"]), features, ..said() };
        let described = description(described, "").expect("is one");
        assert_eq!(described.capabilities, ["kv", "events"]);
        assert_eq!(described.features.len(), NAMES);
        assert_eq!(described.features[..3], ["reply", "telepathy", "feature-0"]);
    }

    #[test]
    fn kinds_of_the_plugins_own_have_names_and_schemas() {
        let kind = |name: &str, schema: &str| wit::Kind { name: name.to_owned(), schema: schema.to_owned() };
        let with = |operations| description(wit::Description { operations, ..said() }, "");
        let described = with(vec![kind("poll", r#"{"type": "object"}"#), kind("pin", "")]).expect("is one");
        assert!(described.takes_operation("poll") && described.takes_operation("pin"));
        assert!(!described.takes_operation("other") && described.contents.is_empty());
        assert_eq!(described.operations[1].schema, None);
        for (kinds, why) in [
            (vec![kind("Poll", "")], "lower-case"),
            (vec![kind("poll", "{")], "not JSON"),
            (vec![kind("poll", ""), kind("poll", "")], "twice"),
            (vec![kind("poll", &" ".repeat(KIND_SCHEMA_BYTES + 1))], "at most"),
            ((0..=NAMES).map(|n| kind(&format!("k{n}"), "")).collect(), "at most"),
        ] {
            let said = with(kinds).expect_err("must be refused");
            assert!(said.contains(why), "{said:?} does not say {why:?}");
        }
    }
}
