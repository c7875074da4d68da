//! What a message of the protocol says, whatever it is wrapped in. Pure.

use pombo_plugin::connector::events::{Edit, Location, MediaKind, Reaction};
use serde_json::json;
use wacore::proto_helpers::MessageExt;
use waproto::whatsapp::{self as wa, message};

use crate::media::Reference;

/// The content of a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Text(String),
    File(File),
    Location(Location),
    Reaction(Reaction),
    Edit(Edit),
    /// The message with this id was deleted.
    Revoke(String),
    /// A kind and JSON.
    Other(&'static str, String),
}

/// A file, as its message describes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct File {
    pub(crate) kind: MediaKind,
    pub(crate) content_type: String,
    pub(crate) filename: Option<String>,
    pub(crate) size: Option<u64>,
    pub(crate) caption: Option<String>,
    pub(crate) reference: Reference,
}

/// A message without its wrapping.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) body: Body,
    /// The id of the message it answers.
    pub(crate) reply_to: Option<String>,
    /// The jids it mentions.
    pub(crate) mentions: Vec<String>,
}

/// What a message says; `None` for what is only between devices: keys, history, settings.
pub(crate) fn read(message: &wa::Message) -> Option<Said> {
    let message = bare(message);
    let (body, context) = body(message)?;
    let context = context.and_then(|c| c.as_option());
    Some(Said {
        body,
        reply_to: context.and_then(|c| c.stanza_id.clone()).filter(|id| !id.is_empty()),
        mentions: context.map(|c| c.mentioned_jid.clone()).unwrap_or_default(),
    })
}

/// Without the wrappers, however they are nested.
fn bare(message: &wa::Message) -> &wa::Message {
    let mut message = message;
    // A wrapper within a wrapper within …: no more than a sane sender makes.
    for _ in 0..8 {
        let inner = message.get_base_message();
        let inner = [
            &inner.lottie_sticker_message,
            &inner.associated_child_message,
            &inner.group_mentioned_message,
            &inner.bot_invoke_message,
        ]
        .into_iter()
        .find_map(|wrapper| wrapper.as_option().and_then(|w| w.message.as_option()))
        .unwrap_or(inner);
        if std::ptr::eq(inner, message) {
            break;
        }
        message = inner;
    }
    message
}

type Context = waproto::buffa::MessageField<wa::ContextInfo>;

fn body(m: &wa::Message) -> Option<(Body, Option<&Context>)> {
    if let Some(protocol) = m.protocol_message.as_option() {
        return Some((of_protocol(protocol)?, None));
    }
    if let Some(reaction) = m.reaction_message.as_option() {
        let to_provider_id = reaction.key.as_option()?.id.clone()?;
        return Some((
            Body::Reaction(Reaction { to_provider_id, emoji: reaction.text.clone().unwrap_or_default() }),
            None,
        ));
    }
    if let Some(text) = m.conversation.as_ref().filter(|text| !text.is_empty()) {
        return Some((Body::Text(text.clone()), None));
    }
    if let Some(text) = m.extended_text_message.as_option() {
        return Some((Body::Text(text.text.clone().unwrap_or_default()), Some(&text.context_info)));
    }
    of_file(m).or_else(|| of_answer(m)).or_else(|| of_rest(m))
}

fn of_protocol(protocol: &message::ProtocolMessage) -> Option<Body> {
    use message::protocol_message::Type;
    let id = protocol.key.as_option().and_then(|key| key.id.clone()).filter(|id| !id.is_empty());
    match protocol.r#type {
        // The wire leaves out the type that is 0, which is this one; a key makes it meant.
        Some(Type::Revoke) => Some(Body::Revoke(id?)),
        Some(Type::MessageEdit) => {
            let edited = bare(protocol.edited_message.as_option()?);
            let text = edited.text_content().or_else(|| edited.get_caption()).unwrap_or_default().to_owned();
            Some(Body::Edit(Edit { of_provider_id: id?, text }))
        }
        _ => None,
    }
}

fn of_file(m: &wa::Message) -> Option<(Body, Option<&Context>)> {
    // The same fields of messages that are types of their own.
    macro_rules! file {
        ($m:expr, $kind:expr, $fallback:literal, $filename:expr, $caption:expr) => {{
            let m = $m;
            let file = File {
                kind: $kind,
                content_type: m.mimetype.clone().filter(|t| !t.is_empty()).unwrap_or_else(|| $fallback.to_owned()),
                filename: $filename,
                size: m.file_length,
                caption: $caption,
                reference: Reference {
                    direct_path: m.direct_path.clone().unwrap_or_default(),
                    key: m.media_key.clone().unwrap_or_default().into(),
                    sha256: m.file_sha256.clone().unwrap_or_default().into(),
                    encrypted_sha256: m.file_enc_sha256.clone().unwrap_or_default().into(),
                },
            };
            Some((Body::File(file), Some(&m.context_info)))
        }};
    }
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(image) = m.image_message.as_option() {
        return file!(image, MediaKind::Image, "image/jpeg", None, filled(&image.caption));
    }
    if let Some(video) = m.video_message.as_option().or_else(|| m.ptv_message.as_option()) {
        return file!(video, MediaKind::Video, "video/mp4", None, filled(&video.caption));
    }
    if let Some(audio) = m.audio_message.as_option() {
        let kind = if audio.ptt == Some(true) { MediaKind::Voice } else { MediaKind::Audio };
        return file!(audio, kind, "audio/ogg; codecs=opus", None, None);
    }
    if let Some(document) = m.document_message.as_option() {
        let filename = filled(&document.file_name).or_else(|| filled(&document.title));
        return file!(document, MediaKind::Document, "application/octet-stream", filename, filled(&document.caption));
    }
    if let Some(sticker) = m.sticker_message.as_option() {
        return file!(sticker, MediaKind::Sticker, "image/webp", None, None);
    }
    None
}

/// What somebody chose from what a business offered, and what a business wrote with such offers: its text counts.
fn of_answer(m: &wa::Message) -> Option<(Body, Option<&Context>)> {
    if let Some(chosen) = m.buttons_response_message.as_option() {
        use message::buttons_response_message::Response;
        let text = match &chosen.response {
            Some(Response::SelectedDisplayText(text)) => text.clone(),
            _ => chosen.selected_button_id.clone().unwrap_or_default(),
        };
        return Some((Body::Text(text), Some(&chosen.context_info)));
    }
    if let Some(chosen) = m.list_response_message.as_option() {
        return Some((Body::Text(chosen.title.clone().unwrap_or_default()), Some(&chosen.context_info)));
    }
    if let Some(chosen) = m.template_button_reply_message.as_option() {
        return Some((
            Body::Text(chosen.selected_display_text.clone().unwrap_or_default()),
            Some(&chosen.context_info),
        ));
    }
    if let Some(list) = m.list_message.as_option() {
        return Some((
            Body::Text(list.description.clone().or_else(|| list.title.clone()).unwrap_or_default()),
            Some(&list.context_info),
        ));
    }
    if let Some(buttons) = m.buttons_message.as_option() {
        return Some((Body::Text(buttons.content_text.clone().unwrap_or_default()), Some(&buttons.context_info)));
    }
    None
}

fn of_rest(m: &wa::Message) -> Option<(Body, Option<&Context>)> {
    if let Some(place) = m.location_message.as_option() {
        let name = place.name.clone().or_else(|| place.address.clone()).filter(|name| !name.is_empty());
        let location = location(place.degrees_latitude, place.degrees_longitude, name)?;
        return Some((Body::Location(location), Some(&place.context_info)));
    }
    if let Some(place) = m.live_location_message.as_option() {
        let location =
            location(place.degrees_latitude, place.degrees_longitude, place.caption.clone().filter(|c| !c.is_empty()))?;
        return Some((Body::Location(location), Some(&place.context_info)));
    }
    if let Some(contact) = m.contact_message.as_option() {
        let json = json!([{ "name": contact.display_name, "vcard": contact.vcard }]);
        return Some((Body::Other("contacts", json.to_string()), Some(&contact.context_info)));
    }
    if let Some(contacts) = m.contacts_array_message.as_option() {
        let list: Vec<_> =
            contacts.contacts.iter().map(|c| json!({ "name": c.display_name, "vcard": c.vcard })).collect();
        return Some((Body::Other("contacts", json!(list).to_string()), Some(&contacts.context_info)));
    }
    let polls = [
        &m.poll_creation_message,
        &m.poll_creation_message_v2,
        &m.poll_creation_message_v3,
        &m.poll_creation_message_v5,
        &m.poll_creation_message_v6,
    ];
    if let Some(poll) = polls.into_iter().find_map(|poll| poll.as_option()) {
        let options: Vec<_> = poll.options.iter().map(|option| option.option_name.clone()).collect();
        let json = json!({ "question": poll.name, "options": options, "choices": poll.selectable_options_count });
        return Some((Body::Other("poll", json.to_string()), Some(&poll.context_info)));
    }
    if let Some(invite) = m.group_invite_message.as_option() {
        let json = json!({ "group": invite.group_jid, "name": invite.group_name, "code": invite.invite_code, "text": invite.caption });
        return Some((Body::Other("group-invite", json.to_string()), Some(&invite.context_info)));
    }
    let unread = [
        ("event", m.event_message.is_set()),
        ("product", m.product_message.is_set()),
        ("order", m.order_message.is_set()),
        ("template", m.template_message.is_set()),
        ("interactive", m.interactive_message.is_set() || m.interactive_response_message.is_set()),
        ("payment", m.send_payment_message.is_set() || m.request_payment_message.is_set()),
        ("sticker-pack", m.sticker_pack_message.is_set()),
        ("call", m.call.is_set() || m.call_log_messsage.is_set() || m.scheduled_call_creation_message.is_set()),
    ];
    // Something a phone shows and we have no form for: say at least that it came.
    unread
        .into_iter()
        .find(|(_, set)| *set)
        .map(|(kind, _)| (Body::Other("unsupported", json!({ "kind": kind }).to_string()), None))
}

fn location(latitude: Option<f64>, longitude: Option<f64>, name: Option<String>) -> Option<Location> {
    let on_earth = |degrees: f64, most: f64| (degrees.abs() <= most).then_some(degrees);
    Some(Location { latitude: on_earth(latitude?, 90.0)?, longitude: on_earth(longitude?, 180.0)?, name })
}

#[cfg(test)]
mod tests;
