use super::*;

fn said(message: Value) -> Said {
    let body = json!({"message": message});
    let body = Object::root(&body).expect("an object");
    read(&body.must_object("message").expect("an object"), &body).expect("reads").expect("says something")
}

fn file(body: &Value) -> File {
    let body = Object::root(body).expect("an object");
    let said = read(&body.must_object("message").expect("an object"), &body).expect("reads").expect("says something");
    let Body::File(file) = said.body else { panic!("a file") };
    file
}

#[test]
fn texts_with_their_context() {
    let nulls = json!({"conversation": "oi", "extendedTextMessage": null, "imageMessage": null});
    assert_eq!(said(nulls).body, Body::Text("oi".to_owned()));
    let extended = json!({"conversation": null, "extendedTextMessage": {
        "text": "olá @551", "contextInfo": {"stanzaId": "3EB0", "mentionedJid": ["551@s.whatsapp.net"]}}});
    let extended = said(extended);
    assert_eq!(extended.body, Body::Text("olá @551".to_owned()));
    assert_eq!((extended.reply_to.as_deref(), extended.mentions.len()), (Some("3EB0"), 1));
    let wrapped = json!({"ephemeralMessage": {"message": {"viewOnceMessageV2": {"message": {"conversation": "x"}}}}});
    assert_eq!(said(wrapped).body, Body::Text("x".to_owned()));
    let chosen = json!({"listResponseMessage": {"title": "Pão"}});
    assert_eq!(said(chosen).body, Body::Text("Pão".to_owned()));
    let long = said(json!({"conversation": "é".repeat(TEXT_BYTES)}));
    let Body::Text(long) = long.body else { panic!("a text") };
    assert_eq!(long.len(), TEXT_BYTES);
}

#[test]
fn files_are_found_beside_the_message() {
    let image = json!({"mimetype": "image/png", "caption": "veja", "fileLength": {"low": 9, "high": 0},
        "url": "https://mmg.whatsapp.net/v/t62/1.enc?x=1"});
    let got = file(&json!({"message": {"imageMessage": image}}));
    assert_eq!((got.kind, got.content_type.as_str(), got.size), (MediaKind::Image, "image/png", Some(9)));
    assert_eq!((got.caption.as_deref(), got.source), (Some("veja"), Source::Nowhere));
    for name in ["mediaUrl", "media_url", "url"] {
        let got = file(&json!({"message": {"imageMessage": image}, name: "https://g.example/1.png"}));
        assert_eq!(got.source, Source::Link("https://g.example/1.png".to_owned()));
    }
    let wrapped = json!({"message": {
        "documentWithCaptionMessage": {"message": {"documentMessage": {"fileName": "a.pdf"}}}, "base64": "QUI="}});
    let got = file(&wrapped);
    assert_eq!((got.filename.as_deref(), got.source), (Some("a.pdf"), Source::Base64("message.base64".to_owned())));
    assert_eq!(file(&json!({"message": {"audioMessage": {"ptt": true}}})).kind, MediaKind::Voice);
    assert_eq!(file(&json!({"message": {"stickerMessage": {}}})).content_type, "image/webp");
}

#[test]
fn encrypted_links_are_none() {
    for (link, plain) in [
        ("https://g.example/a.jpg?x=.enc", true),
        ("http://g.example/a", true),
        ("https://g.example/a.ENC?x=1", false),
        ("https://mmg.whatsapp.net/o1/v/t62", false),
        ("ftp://g.example/a", false),
        ("/media/1", false),
    ] {
        assert_eq!(is_plain(link), plain, "{link}");
    }
}

#[test]
fn what_concerns_another_message_names_it() {
    let reaction = said(json!({"reactionMessage": {"key": {"id": "A"}, "text": "👍"}}));
    assert_eq!(reaction.body, Body::Reaction(Reaction { to_provider_id: "A".into(), emoji: "👍".into() }));
    for kind in [json!("REVOKE"), json!(0), Value::Null] {
        let revoke = said(json!({"protocolMessage": {"key": {"id": "A"}, "type": kind}}));
        assert_eq!(revoke.body, Body::Revoke("A".to_owned()), "{kind}");
    }
    for kind in [json!("MESSAGE_EDIT"), json!(14), Value::Null] {
        let edit = json!({"editedMessage": {"message": {"protocolMessage": {
            "key": {"id": "A"}, "type": kind, "editedMessage": {"conversation": "certo"}}}}});
        let edit = said(edit);
        assert_eq!(edit.body, Body::Edit(Edit { of_provider_id: "A".into(), text: "certo".into() }), "{kind}");
    }
}

#[test]
fn places_cards_and_the_rest() {
    let place = said(json!({"locationMessage": {"degreesLatitude": -23.5, "degreesLongitude": "-46.6", "name": "Sé"}}));
    let Body::Location(place) = place.body else { panic!("a place") };
    assert_eq!((place.latitude, place.longitude, place.name.as_deref()), (-23.5, -46.6, Some("Sé")));
    let Body::Other(kind, json) = said(json!({"contactMessage": {"displayName": "Ana", "vcard": "V"}})).body else {
        panic!("a card")
    };
    assert_eq!((kind, json.as_str()), ("contacts", r#"[{"name":"Ana","vcard":"V"}]"#));
    let Body::Other(kind, json) = said(json!({"orderMessage": {}, "messageContextInfo": {}})).body else {
        panic!("an order")
    };
    assert_eq!((kind, json.as_str()), ("unsupported", r#"{"kind":"order"}"#));
}

#[test]
fn what_is_only_between_devices_says_nothing() {
    for message in [
        json!({"protocolMessage": {"type": "HISTORY_SYNC_NOTIFICATION"}}),
        json!({"senderKeyDistributionMessage": {}, "messageContextInfo": {}}),
        json!({"conversation": ""}),
        json!({}),
    ] {
        let body = json!({"message": message});
        let body = Object::root(&body).expect("an object");
        assert_eq!(read(&body.must_object("message").expect("an object"), &body), Ok(None), "{message}");
    }
}

#[test]
fn what_is_malformed_names_its_field() {
    for (message, field) in [
        (json!({"conversation": 7}), "message.conversation"),
        (json!({"imageMessage": "x"}), "message.imageMessage"),
        (
            json!({"locationMessage": {"degreesLatitude": 91, "degreesLongitude": 0}}),
            "message.locationMessage.degreesLatitude",
        ),
        (json!({"reactionMessage": {"text": "x"}}), "message.reactionMessage.key"),
        (json!({"protocolMessage": {"type": 14, "key": {"id": "A"}}}), "message.protocolMessage.editedMessage"),
    ] {
        let body = json!({"message": message});
        let body = Object::root(&body).expect("an object");
        let problem = read(&body.must_object("message").expect("an object"), &body).expect_err(field);
        assert_eq!(problem.field, field);
    }
}
