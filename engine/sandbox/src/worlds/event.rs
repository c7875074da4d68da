//! Events: what a plugin says is checked against bounds and shapes before the engine sees it. A refusal names the field.

use pombo_domain::Timestamp;
use pombo_domain::model::event::GroupStep;
use pombo_domain::model::{Attachment, Inbound, InboundAttachment, InboundContent, MediaKind, MediaState, ReceiptKind};
use pombo_domain::ports::{Account, ChannelEvent, LinkStep, SessionState};
use serde::Deserialize;
use uuid::Uuid;

use crate::bindings::host::events as wit;
use crate::limits::{EVENT_LIST, EVENT_TEXT_BYTES, REASON_BYTES, cut};

/// Bytes of an id or an address.
const ID_BYTES: usize = 256;
/// Bytes of a person's or a file's name; a longer one is cut.
const NAME_BYTES: usize = 512;
/// Bytes of the kind of an event without a case of its own.
const KIND_BYTES: usize = 64;
/// How many addresses one contact or account may have.
const ALIASES: usize = 16;
/// Bytes of a QR code's content; what a code can hold is less.
const CODE_BYTES: usize = 4096;
/// The last millisecond of the year 9999.
const LAST_MILLIS: u64 = 253_402_300_799_999;

/// What a plugin reported, checked.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most are what the engine is to take: a box would cost each of them an allocation"
)]
pub(crate) enum Told {
    /// The state of the session, and its account while it is connected.
    State(SessionState, Option<Account>),
    /// An event for the engine.
    Event(ChannelEvent),
}

/// The kind of an event without a case of its own by which a connector tells more of its account.
pub(crate) const ACCOUNT: &str = "account";

/// What an event of the kind [`ACCOUNT`] says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct AccountDetails {
    #[serde(default)]
    pub(crate) platform: Option<String>,
    #[serde(default)]
    pub(crate) business: Option<bool>,
    #[serde(default)]
    pub(crate) version: Option<String>,
}

impl AccountDetails {
    /// Reads its JSON; `None` when it is not of that form.
    pub(crate) fn read(json: &str) -> Option<Self> {
        let said: Self = serde_json::from_str(json).ok()?;
        let name = |said: Option<String>| said.map(|said| cut(said.trim(), KIND_BYTES)).filter(|name| !name.is_empty());
        Some(Self { platform: name(said.platform), version: name(said.version), business: said.business })
    }
}

/// The kind of an event without a case of its own by which a connector asks something of a person while an account is linked.
pub(crate) const LINK_STEP: &str = "link-step";

/// What an event of the kind [`LINK_STEP`] says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LinkStepSaid {
    id: String,
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    options: Option<serde_json::Value>,
    #[serde(default)]
    picture: Option<String>,
    #[serde(default)]
    schema: Option<serde_json::Value>,
    #[serde(default)]
    expires_at_millis: Option<u64>,
}

/// The step that an event tells; `None` when it is not of that form.
pub(crate) fn link_step(event: &ChannelEvent) -> Option<LinkStep> {
    let ChannelEvent::Other(kind, json) = event else { return None };
    if kind != LINK_STEP {
        return None;
    }
    let said: LinkStepSaid = serde_json::from_str(json).ok()?;
    let expires_at = said.expires_at_millis.map(|at| instant("expiresAtMillis", at)).transpose().ok()?;
    Some(LinkStep {
        id: id("id", said.id).ok()?,
        kind: id("kind", said.kind).ok()?,
        text: said.text,
        options: said.options,
        picture: said.picture,
        schema: said.schema,
        expires_at,
    })
}

/// What is wrong with an event: the field and what it must be.
type Checked<T> = Result<T, String>;

fn id(field: &str, value: String) -> Checked<String> {
    match value.len() {
        1..=ID_BYTES => Ok(value),
        _ => Err(format!("{field}: must have 1 to {ID_BYTES} bytes")),
    }
}

fn optional_id(field: &str, value: Option<String>) -> Checked<Option<String>> {
    value.map(|value| id(field, value)).transpose()
}

fn ids(field: &str, values: Vec<String>, most: usize) -> Checked<Vec<String>> {
    if values.len() > most {
        return Err(format!("{field}: must have at most {most} entries"));
    }
    values.into_iter().map(|value| id(field, value)).collect()
}

fn text(field: &str, value: String) -> Checked<String> {
    if value.len() > EVENT_TEXT_BYTES {
        return Err(format!("{field}: must have at most {EVENT_TEXT_BYTES} bytes"));
    }
    Ok(value)
}

fn name(value: Option<String>) -> Option<String> {
    value.map(|value| cut(&value, NAME_BYTES)).filter(|value| !value.trim().is_empty())
}

fn reason(value: &str) -> String {
    cut(value, REASON_BYTES)
}

fn instant(field: &str, millis: u64) -> Checked<Timestamp> {
    match i64::try_from(millis) {
        Ok(millis) if millis as u64 <= LAST_MILLIS => Ok(Timestamp(millis)),
        _ => Err(format!("{field}: must be milliseconds since 1970, before the year 10000")),
    }
}

fn other((kind, json): (String, String)) -> Checked<(String, String)> {
    let is_kind = (1..=KIND_BYTES).contains(&kind.len())
        && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !is_kind {
        return Err(format!("other: the kind must be 1 to {KIND_BYTES} letters, digits, dashes, dots and underscores"));
    }
    let json = text("other", json)?;
    match serde_json::from_str::<serde::de::IgnoredAny>(&json) {
        Ok(_) => Ok((kind, json)),
        Err(error) => Err(format!("other: is not JSON: {error}")),
    }
}

fn account(said: wit::Account) -> Checked<Account> {
    Ok(Account {
        address: id("account.address", said.address)?,
        display_name: name(said.display_name),
        aliases: ids("account.aliases", said.aliases, ALIASES)?,
        platform: None,
        business: None,
        protocol_version: None,
    })
}

fn code(field: &str, code: String) -> Checked<String> {
    match code.len() {
        1..=CODE_BYTES => Ok(code),
        _ => Err(format!("{field}: must have 1 to {CODE_BYTES} bytes")),
    }
}

fn state(said: wit::State) -> Checked<Told> {
    let mut whose = None;
    let state = match said {
        wit::State::Connecting => SessionState::Connecting,
        wit::State::Connected(said) => {
            whose = Some(account(said)?);
            SessionState::Connected
        }
        wit::State::Disconnected(why) => SessionState::Disconnected(reason(&why)),
        wit::State::Unpaired(why) => SessionState::Unpaired(reason(&why)),
        wit::State::Qr(content) => SessionState::QrCode(code("qr", content)?),
        wit::State::PairingCode(content) => SessionState::PairingCode(code("pairing-code", content)?),
        wit::State::LoggedOut(why) => SessionState::LoggedOut(reason(&why)),
    };
    Ok(Told::State(state, whose))
}

fn receipt(said: wit::Receipt) -> Checked<ChannelEvent> {
    let client_id = match said.client_id {
        Some(client_id) => {
            Some(Uuid::parse_str(&client_id).map_err(|_| "client-id: is not an id that the engine gave".to_owned())?)
        }
        None => None,
    };
    Ok(ChannelEvent::Receipt {
        client_id,
        provider_id: id("provider-id", said.provider_id)?,
        recipient: optional_id("recipient", said.recipient)?,
        kind: match said.kind {
            wit::ReceiptKind::Server => ReceiptKind::Server,
            wit::ReceiptKind::Delivered => ReceiptKind::Delivered,
            wit::ReceiptKind::Read => ReceiptKind::Read,
            wit::ReceiptKind::Played => ReceiptKind::Played,
            wit::ReceiptKind::Failed => ReceiptKind::Failed,
        },
        at: instant("at-millis", said.at_millis)?,
        reason: said.reason.map(|why| reason(&why)),
    })
}

fn media(said: wit::MediaState) -> Checked<MediaState> {
    Ok(match said {
        wit::MediaState::Pending => MediaState::Pending,
        wit::MediaState::Failed(why) => MediaState::Failed(reason(&why)),
        wit::MediaState::Ready(file) => MediaState::Ready(Attachment {
            id: Uuid::parse_str(&file.id).map_err(|_| "media.id: is not the id of a file".to_owned())?,
            file_name: cut(&file.filename, NAME_BYTES),
            content_type: cut(&file.content_type, NAME_BYTES),
            size: file.size,
        }),
    })
}

fn attachment(said: wit::Attachment) -> Checked<InboundAttachment> {
    Ok(InboundAttachment {
        kind: match said.kind {
            wit::MediaKind::Image => MediaKind::Image,
            wit::MediaKind::Video => MediaKind::Video,
            wit::MediaKind::Audio => MediaKind::Audio,
            wit::MediaKind::Voice => MediaKind::Voice,
            wit::MediaKind::Document => MediaKind::Document,
            wit::MediaKind::Sticker => MediaKind::Sticker,
        },
        media: media(said.media)?,
        file_name: name(said.filename),
        content_type: cut(&said.content_type, NAME_BYTES),
        size: said.size,
        caption: said.caption.map(|caption| text("caption", caption)).transpose()?,
    })
}

fn degrees(field: &str, value: f64, most: f64) -> Checked<String> {
    if value.abs() <= most {
        return Ok(value.to_string());
    }
    Err(format!("{field}: must be between -{most} and {most}"))
}

fn content(said: wit::InboundContent) -> Checked<InboundContent> {
    Ok(match said {
        wit::InboundContent::Text(said) => InboundContent::Text(text("text", said)?),
        wit::InboundContent::Attachment(said) => InboundContent::Attachment(attachment(said)?),
        wit::InboundContent::Location(place) => InboundContent::Location {
            latitude: degrees("latitude", place.latitude, 90.0)?,
            longitude: degrees("longitude", place.longitude, 180.0)?,
            name: name(place.name),
        },
        wit::InboundContent::Reaction(said) => InboundContent::Reaction {
            to: id("to-provider-id", said.to_provider_id)?,
            emoji: match said.emoji.len() {
                0..=KIND_BYTES => said.emoji,
                _ => return Err(format!("emoji: must have at most {KIND_BYTES} bytes")),
            },
        },
        wit::InboundContent::Edit(said) => {
            InboundContent::Edit { of: id("of-provider-id", said.of_provider_id)?, text: text("text", said.text)? }
        }
        wit::InboundContent::Revoke(of) => InboundContent::Revoke(id("revoke", of)?),
        wit::InboundContent::Other(said) => {
            let (kind, json) = other(said)?;
            InboundContent::Other(kind, json)
        }
    })
}

fn message(said: wit::Inbound) -> Checked<Inbound> {
    Ok(Inbound {
        provider_id: id("provider-id", said.provider_id)?,
        chat: id("chat", said.chat)?,
        sender: id("sender", said.sender)?,
        sender_name: name(said.sender_name),
        from_me: said.from_me,
        is_group: said.is_group,
        reply_to: optional_id("reply-to", said.reply_to)?,
        mentions: ids("mentions", said.mentions, EVENT_LIST)?,
        sent_at: instant("at-millis", said.at_millis)?,
        content: content(said.content)?,
    })
}

fn group_step(said: wit::GroupStep) -> Checked<GroupStep> {
    let members = |members| ids("members", members, EVENT_LIST);
    Ok(match said {
        wit::GroupStep::Created => GroupStep::Created,
        wit::GroupStep::Subject(subject) => GroupStep::Subject(cut(&subject, NAME_BYTES)),
        wit::GroupStep::Description(said) => GroupStep::Description(text("description", said)?),
        wit::GroupStep::Added(who) => GroupStep::Added(members(who)?),
        wit::GroupStep::Removed(who) => GroupStep::Removed(members(who)?),
        wit::GroupStep::Promoted(who) => GroupStep::Promoted(members(who)?),
        wit::GroupStep::Demoted(who) => GroupStep::Demoted(members(who)?),
        wit::GroupStep::Other(said) => {
            let (kind, json) = other(said)?;
            GroupStep::Other(kind, json)
        }
    })
}

/// Checks an event that a plugin reported. `Err` says what is wrong with it.
pub(crate) fn event(said: wit::Event) -> Checked<Told> {
    Ok(Told::Event(match said {
        wit::Event::State(said) => return state(said),
        wit::Event::Receipt(said) => receipt(said)?,
        wit::Event::Message(said) => ChannelEvent::Message(message(said)?),
        wit::Event::Media(said) => ChannelEvent::Media {
            chat: id("chat", said.chat)?,
            provider_id: id("provider-id", said.provider_id)?,
            media: media(said.media)?,
        },
        wit::Event::Presence(said) => ChannelEvent::Presence {
            chat: id("chat", said.chat)?,
            sender: id("sender", said.sender)?,
            kind: match said.kind {
                wit::PresenceKind::Online => "online",
                wit::PresenceKind::Offline => "offline",
                wit::PresenceKind::Typing => "typing",
                wit::PresenceKind::Recording => "recording",
                wit::PresenceKind::Paused => "paused",
            },
        },
        wit::Event::Contact(said) => ChannelEvent::Contact {
            address: id("address", said.address)?,
            display_name: name(said.display_name),
            aliases: ids("aliases", said.aliases, ALIASES)?,
        },
        wit::Event::Group(said) => ChannelEvent::Group {
            group: id("group", said.group)?,
            actor: optional_id("actor", said.actor)?,
            at: instant("at-millis", said.at_millis)?,
            step: group_step(said.step)?,
        },
        wit::Event::Warning(wit::Warning::Blocked(who)) => ChannelEvent::Blocked(id("blocked", who)?),
        wit::Event::Warning(wit::Warning::Restricted(how)) => ChannelEvent::Restricted(reason(&how)),
        wit::Event::Other(said) => {
            let (kind, json) = other(said)?;
            ChannelEvent::Other(kind, json)
        }
    }))
}

/// The stored file that an event points to.
pub(crate) fn file(event: &ChannelEvent) -> Option<&Attachment> {
    let media = match event {
        ChannelEvent::Media { media, .. } => media,
        ChannelEvent::Message(Inbound { content: InboundContent::Attachment(attachment), .. }) => &attachment.media,
        _ => return None,
    };
    match media {
        MediaState::Ready(file) => Some(file),
        _ => None,
    }
}

/// About how many bytes an event takes when it is stored.
pub(crate) fn weight(event: &ChannelEvent) -> usize {
    const FRAME: usize = 256;
    let listed = |list: &[String]| list.iter().map(|entry| entry.len() + 8).sum::<usize>();
    FRAME
        + match event {
            ChannelEvent::Message(message) => {
                listed(&message.mentions)
                    + match &message.content {
                        InboundContent::Text(text) | InboundContent::Edit { text, .. } => text.len(),
                        InboundContent::Attachment(file) => file.caption.as_ref().map_or(0, String::len) + FRAME,
                        InboundContent::Other(_, json) => json.len(),
                        _ => 0,
                    }
            }
            ChannelEvent::Contact { aliases, .. } => listed(aliases),
            ChannelEvent::Group { step, .. } => match step {
                GroupStep::Description(text) | GroupStep::Other(_, text) => text.len(),
                GroupStep::Added(who)
                | GroupStep::Removed(who)
                | GroupStep::Promoted(who)
                | GroupStep::Demoted(who) => listed(who),
                GroupStep::Created | GroupStep::Subject(_) => 0,
            },
            ChannelEvent::Other(_, json) => json.len(),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbound() -> wit::Inbound {
        wit::Inbound {
            provider_id: "p".into(),
            chat: "c".into(),
            sender: "s".into(),
            sender_name: Some("x".repeat(5000)),
            from_me: false,
            is_group: false,
            reply_to: None,
            mentions: Vec::new(),
            at_millis: 1,
            content: wit::InboundContent::Text("olá".into()),
        }
    }

    #[test]
    fn a_refusal_names_the_field_and_what_it_must_be() {
        let long = || "x".repeat(ID_BYTES + 1);
        let place = |latitude| wit::Location { latitude, longitude: 0.0, name: None };
        let other = |kind: &str, json: &str| wit::InboundContent::Other((kind.to_owned(), json.to_owned()));
        let cases: Vec<(wit::Inbound, &str)> = vec![
            (wit::Inbound { provider_id: String::new(), ..inbound() }, "provider-id: must have 1 to"),
            (wit::Inbound { chat: long(), ..inbound() }, "chat: must have 1 to"),
            (wit::Inbound { sender: long(), ..inbound() }, "sender: must have 1 to"),
            (wit::Inbound { reply_to: Some(long()), ..inbound() }, "reply-to:"),
            (wit::Inbound { mentions: vec!["a".into(); EVENT_LIST + 1], ..inbound() }, "mentions: must have at most"),
            (wit::Inbound { at_millis: u64::MAX, ..inbound() }, "at-millis:"),
            (
                wit::Inbound { content: wit::InboundContent::Text("x".repeat(EVENT_TEXT_BYTES + 1)), ..inbound() },
                "text: must have at most",
            ),
            (wit::Inbound { content: wit::InboundContent::Location(place(f64::NAN)), ..inbound() }, "latitude:"),
            (wit::Inbound { content: wit::InboundContent::Location(place(91.0)), ..inbound() }, "latitude:"),
            (wit::Inbound { content: other("a b", "{}"), ..inbound() }, "other: the kind"),
            (wit::Inbound { content: other("poll", "{"), ..inbound() }, "other: is not JSON"),
        ];
        for (said, expected) in cases {
            let refused = event(wit::Event::Message(said)).expect_err(expected);
            assert!(refused.contains(expected), "{refused}");
        }
        let receipt = wit::Receipt {
            client_id: Some("7".into()),
            provider_id: "p".into(),
            recipient: None,
            kind: wit::ReceiptKind::Read,
            at_millis: 1,
            reason: None,
        };
        assert!(event(wit::Event::Receipt(receipt)).expect_err("no id").contains("client-id"));
        let qr = wit::Event::State(wit::State::Qr("x".repeat(CODE_BYTES + 1)));
        assert!(event(qr).expect_err("too long").contains("qr:"));
    }

    #[test]
    fn what_is_within_the_bounds_arrives_whole_and_a_name_is_cut() {
        let text = "é".repeat(EVENT_TEXT_BYTES / 2);
        let said = wit::Inbound { content: wit::InboundContent::Text(text.clone()), ..inbound() };
        let Ok(Told::Event(ChannelEvent::Message(message))) = event(wit::Event::Message(said)) else {
            panic!("is well-formed");
        };
        assert_eq!(message.content, InboundContent::Text(text));
        assert!(message.sender_name.is_some_and(|name| name.len() <= NAME_BYTES + '…'.len_utf8()));
        let place = wit::Location { latitude: -23.5505, longitude: -46.6333, name: None };
        let said = wit::Inbound { content: wit::InboundContent::Location(place), ..inbound() };
        let Ok(Told::Event(ChannelEvent::Message(message))) = event(wit::Event::Message(said)) else {
            panic!("is well-formed");
        };
        let expected =
            InboundContent::Location { latitude: "-23.5505".into(), longitude: "-46.6333".into(), name: None };
        assert_eq!(message.content, expected);
    }
}
