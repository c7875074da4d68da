use waproto::buffa::MessageField;

use super::*;

fn wrapped(inner: wa::Message) -> MessageField<message::FutureProofMessage> {
    MessageField::some(message::FutureProofMessage { message: MessageField::some(inner) })
}

fn text(text: &str) -> wa::Message {
    wa::Message { conversation: Some(text.into()), ..Default::default() }
}

fn said(message: wa::Message) -> Body {
    read(&message).expect("it says something").body
}

#[test]
fn a_text_is_read_through_every_wrapper() {
    let inner = || text("hi");
    let device = |inner| wa::Message {
        device_sent_message: MessageField::some(message::DeviceSentMessage {
            message: MessageField::some(inner),
            ..Default::default()
        }),
        ..Default::default()
    };
    for message in [
        inner(),
        wa::Message { ephemeral_message: wrapped(inner()), ..Default::default() },
        wa::Message { view_once_message: wrapped(inner()), ..Default::default() },
        wa::Message { view_once_message_v2: wrapped(inner()), ..Default::default() },
        device(wa::Message { ephemeral_message: wrapped(inner()), ..Default::default() }),
        wa::Message {
            view_once_message: wrapped(wa::Message { ephemeral_message: wrapped(inner()), ..Default::default() }),
            ..Default::default()
        },
        wa::Message { associated_child_message: wrapped(inner()), ..Default::default() },
    ] {
        assert_eq!(said(message), Body::Text("hi".into()));
    }
}

#[test]
fn a_reply_names_what_it_answers_and_whom_it_mentions() {
    let message = wa::Message {
        extended_text_message: MessageField::some(message::ExtendedTextMessage {
            text: Some("yes @100".into()),
            context_info: MessageField::some(wa::ContextInfo {
                stanza_id: Some("Q".into()),
                mentioned_jid: vec!["100@lid".into()],
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let said = read(&message).expect("a text");
    assert_eq!(
        said,
        Said { body: Body::Text("yes @100".into()), reply_to: Some("Q".into()), mentions: vec!["100@lid".into()] }
    );
}

#[test]
fn files_say_what_is_needed_to_fetch_them() {
    let image = wa::Message {
        image_message: MessageField::some(message::ImageMessage {
            mimetype: Some("image/png".into()),
            caption: Some("look".into()),
            file_length: Some(9),
            direct_path: Some("/p".into()),
            media_key: Some(vec![1; 32].into()),
            file_sha256: Some(vec![2; 32].into()),
            file_enc_sha256: Some(vec![3; 32].into()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let Body::File(file) = said(image) else { panic!("a file") };
    assert_eq!(
        file,
        File {
            kind: MediaKind::Image,
            content_type: "image/png".into(),
            filename: None,
            size: Some(9),
            caption: Some("look".into()),
            reference: Reference {
                direct_path: "/p".into(),
                key: vec![1; 32],
                sha256: vec![2; 32],
                encrypted_sha256: vec![3; 32]
            },
        }
    );
    let kind = |message| match said(message) {
        Body::File(file) => (file.kind, file.filename, file.caption, file.content_type),
        other => panic!("{other:?}"),
    };
    let voice = message::AudioMessage { ptt: Some(true), ..Default::default() };
    assert_eq!(
        kind(wa::Message { audio_message: MessageField::some(voice), ..Default::default() }),
        (MediaKind::Voice, None, None, "audio/ogg; codecs=opus".into())
    );
    assert_eq!(
        kind(wa::Message { audio_message: MessageField::some(Default::default()), ..Default::default() }).0,
        MediaKind::Audio
    );
    assert_eq!(
        kind(wa::Message { sticker_message: MessageField::some(Default::default()), ..Default::default() }).0,
        MediaKind::Sticker
    );
    assert_eq!(
        kind(wa::Message { ptv_message: MessageField::some(Default::default()), ..Default::default() }).0,
        MediaKind::Video
    );
    let document =
        message::DocumentMessage { file_name: Some("a.pdf".into()), caption: Some("c".into()), ..Default::default() };
    let document = wa::Message { document_message: MessageField::some(document), ..Default::default() };
    assert_eq!(
        kind(wa::Message { document_with_caption_message: wrapped(document), ..Default::default() }),
        (MediaKind::Document, Some("a.pdf".into()), Some("c".into()), "application/octet-stream".into())
    );
}

#[test]
fn what_is_done_to_a_message_names_it() {
    let key = || MessageField::some(wa::MessageKey { id: Some("K".into()), ..Default::default() });
    let reaction = |emoji: Option<&str>| wa::Message {
        reaction_message: MessageField::some(message::ReactionMessage {
            key: key(),
            text: emoji.map(str::to_owned),
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(said(reaction(Some("👍"))), Body::Reaction(Reaction { to_provider_id: "K".into(), emoji: "👍".into() }));
    assert_eq!(said(reaction(None)), Body::Reaction(Reaction { to_provider_id: "K".into(), emoji: String::new() }));

    let protocol = |kind, edited: Option<wa::Message>| wa::Message {
        protocol_message: MessageField::some(message::ProtocolMessage {
            key: key(),
            r#type: kind,
            edited_message: edited.map(MessageField::some).unwrap_or_default(),
            ..Default::default()
        }),
        ..Default::default()
    };
    use message::protocol_message::Type;
    assert_eq!(said(protocol(Some(Type::Revoke), None)), Body::Revoke("K".into()));
    let edit = |text: &str| Body::Edit(Edit { of_provider_id: "K".into(), text: text.into() });
    assert_eq!(said(protocol(Some(Type::MessageEdit), Some(text("new")))), edit("new"));
    let caption = message::ImageMessage { caption: Some("cap".into()), ..Default::default() };
    let image = wa::Message { image_message: MessageField::some(caption), ..Default::default() };
    assert_eq!(said(protocol(Some(Type::MessageEdit), Some(image))), edit("cap"));
    let outer = protocol(Some(Type::MessageEdit), Some(text("new")));
    assert_eq!(
        said(wa::Message { edited_message: wrapped(outer), ..Default::default() }),
        edit("new"),
        "as other devices send it"
    );
}

#[test]
fn what_is_between_devices_says_nothing() {
    use message::protocol_message::Type;
    for kind in [
        Type::AppStateSyncKeyShare,
        Type::HistorySyncNotification,
        Type::EphemeralSetting,
        Type::PeerDataOperationRequestMessage,
    ] {
        let message = wa::Message {
            protocol_message: MessageField::some(message::ProtocolMessage { r#type: Some(kind), ..Default::default() }),
            ..Default::default()
        };
        assert_eq!(read(&message), None, "{kind:?}");
    }
    let keys = wa::Message {
        sender_key_distribution_message: MessageField::some(Default::default()),
        message_context_info: MessageField::some(Default::default()),
        ..Default::default()
    };
    assert_eq!(read(&keys), None);
    assert_eq!(read(&wa::Message::default()), None);
    assert_eq!(
        read(&wa::Message { poll_update_message: MessageField::some(Default::default()), ..Default::default() }),
        None
    );
}

#[test]
fn places_cards_and_the_rest_have_a_form() {
    let place = message::LocationMessage {
        degrees_latitude: Some(-23.5),
        degrees_longitude: Some(-46.6),
        name: Some("Sé".into()),
        ..Default::default()
    };
    assert_eq!(
        said(wa::Message { location_message: MessageField::some(place), ..Default::default() }),
        Body::Location(Location { latitude: -23.5, longitude: -46.6, name: Some("Sé".into()) })
    );
    let card = message::ContactMessage {
        display_name: Some("Ana".into()),
        vcard: Some("BEGIN:VCARD".into()),
        ..Default::default()
    };
    let Body::Other("contacts", json) =
        said(wa::Message { contact_message: MessageField::some(card), ..Default::default() })
    else {
        panic!("a card")
    };
    assert_eq!(json, r#"[{"name":"Ana","vcard":"BEGIN:VCARD"}]"#);
    assert_eq!(
        said(wa::Message { event_message: MessageField::some(Default::default()), ..Default::default() }),
        Body::Other("unsupported", r#"{"kind":"event"}"#.into())
    );
}
