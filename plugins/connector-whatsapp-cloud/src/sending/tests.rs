use super::*;
use crate::cloud::bench::{CLIENT, cloud, outgoing};
use crate::outside::world::{World, ready};
use pombo_plugin::connector::http::Error;
use pombo_plugin::connector::{Reaction, Target};

const ACCEPTED: &str = r#"{"messaging_product":"whatsapp","contacts":[{"input":"+5511987654321","wa_id":"5511987654321"}],
    "messages":[{"id":"wamid.A","message_status":"accepted"}]}"#;

fn files(text: &str, types: &[&str]) -> Content {
    let file = |(n, content_type): (usize, &&str)| Attachment {
        media: format!("m{n}"),
        filename: format!("f{n}"),
        content_type: (*content_type).to_owned(),
        size: 7,
        url: Some(format!("https://pombo.example/m{n}")),
    };
    Content::Text(TextContent {
        text: text.to_owned(),
        subject: None,
        attachments: types.iter().enumerate().map(file).collect(),
    })
}

fn target(id: &str) -> Target {
    Target { provider_id: id.to_owned(), sender: None, text: None }
}

fn accepted(outcome: Outcome) -> Acceptance {
    match outcome {
        Outcome::Accepted(acceptance) => acceptance,
        other => panic!("{other:?}"),
    }
}

fn accept(world: &World, id: &str) {
    world.answer(200, &ACCEPTED.replace("wamid.A", id));
}

#[test]
fn a_text_has_exactly_these_keys() {
    let (world, cloud) = cloud("");
    accept(&world, "wamid.A");
    let message = Outgoing { reply_to: Some(target("wamid.IN")), ..outgoing(files("oi https://x.example", &[])) };
    let acceptance = accepted(ready(send(&cloud, &message)));
    assert_eq!((acceptance.provider_id.as_deref(), acceptance.held), (Some("wamid.A"), false));
    assert_eq!(
        world.posted(),
        [
            json!({"messaging_product": "whatsapp", "recipient_type": "individual", "to": "+5511987654321", "type": "text",
            "text": {"body": "oi https://x.example", "preview_url": true}, "context": {"message_id": "wamid.IN"},
            "biz_opaque_callback_data": CLIENT})
        ]
    );
    let url = world.calls.borrow()[0].url.clone();
    assert_eq!(url, "https://graph.facebook.com/v26.0/106540352242922/messages");
}

#[test]
fn an_id_of_metas_is_never_in_to() {
    let (world, cloud) = cloud("");
    world.answer(200, r#"{"contacts":[{"input":"BR.1","user_id":"BR.1"}],"messages":[{"id":"wamid.A"}]}"#);
    let message = Outgoing { to: "BR.1".to_owned(), ..outgoing(files("oi", &[])) };
    assert!(accepted(ready(send(&cloud, &message))).aliases.is_empty());
    let body = world.posted().remove(0);
    assert_eq!((&body["recipient"], &body["to"]), (&json!("BR.1"), &Value::Null));
}

#[test]
fn files_are_uploaded_and_sent_by_id() {
    let (world, cloud) = cloud("");
    for id in ["1", "2"] {
        world.upload(200, &format!(r#"{{"id":"{id}"}}"#));
        accept(&world, &format!("wamid.{id}"));
    }
    let message = outgoing(files("veja", &["image/png", "application/pdf"]));
    assert_eq!(accepted(ready(send(&cloud, &message))).provider_id.as_deref(), Some("wamid.1"));
    let posted = world.posted();
    assert_eq!(posted[0]["image"], json!({"id": "1", "caption": "veja"}));
    assert_eq!(posted[1]["document"], json!({"id": "2", "filename": "f1"}));
    assert!(posted.iter().all(|body| body["biz_opaque_callback_data"] == CLIENT));
    assert!(world.keys("part/").is_empty());
}

#[test]
fn each_type_is_sent_as_what_it_can_be() {
    let part = |content_type: &str, size: u64, wanted: Option<&str>| {
        let file = Attachment {
            media: "m".to_owned(),
            filename: "f".to_owned(),
            content_type: content_type.to_owned(),
            size,
            url: Some("https://pombo.example/m".to_owned()),
        };
        file_part(&file, wanted, true)
            .map(|part| (part.sort.name(), part.content_type, part.link.is_some(), part.voice))
    };
    for (content_type, size, wanted, sort, link, voice) in [
        ("image/jpeg", 7, None, "image", false, false),
        ("image/jpeg", 6 << 20, None, "document", false, false),
        ("image/jpeg", 7, Some("document"), "document", false, false),
        ("image/webp", 7, None, "sticker", false, false),
        ("image/gif", 7, None, "document", true, false),
        ("video/mp4", 7, None, "video", false, false),
        ("video/quicktime", 7, None, "document", true, false),
        ("audio/ogg; codecs=opus", 7, None, "audio", false, true),
        ("audio/mpeg", 7, None, "audio", false, false),
        ("application/zip", 7, None, "document", true, false),
    ] {
        let told = part(content_type, size, wanted).expect(content_type);
        assert_eq!((told.0, told.2, told.3), (sort, link, voice), "{content_type}");
        assert!(!told.1.contains(';'), "{content_type}");
    }
    assert!(part("application/pdf", 101 << 20, None).is_err());
}

#[test]
fn text_goes_before_what_cannot_have_a_caption() {
    for (content, kinds) in [
        (files("ouça", &["audio/ogg; codecs=opus"]), vec!["text", "audio"]),
        (files("oi", &["image/webp"]), vec!["text", "sticker"]),
        (files(&"x".repeat(1_025), &["image/png"]), vec!["text", "image"]),
        (files("", &["audio/ogg"]), vec!["audio"]),
    ] {
        let message = Outgoing { reply_to: Some(target("IN")), ..outgoing(content) };
        let parts = plan(&message).expect("parts");
        let kind = |part: &Part<'_>| match &part.said {
            Said::Value(kind, _) => *kind,
            Said::Template(_) => template::KIND,
            Said::File(file) => file.sort.name(),
        };
        assert_eq!(parts.iter().map(kind).collect::<Vec<_>>(), kinds);
        assert_eq!(parts.iter().filter(|part| part.reply_to.is_some()).count(), 1, "the first answers");
    }
    assert!(plan(&outgoing(files(&"x".repeat(4_097), &[]))).is_err());
    assert!(plan(&outgoing(files("", &[]))).is_err());
}

#[test]
fn a_file_that_meta_forgot_is_uploaded_again_once() {
    let forgotten = r#"{"error":{"code":100,"message":"(#100) Param image['id'] is not a valid whatsapp business account media attachment ID"}}"#;
    let (world, cloud) = cloud("");
    world.upload(200, r#"{"id":"1"}"#);
    world.answer(400, forgotten);
    world.upload(200, r#"{"id":"2"}"#);
    accept(&world, "wamid.A");
    accepted(ready(send(&cloud, &outgoing(files("", &["image/png"])))));
    assert_eq!(world.posted()[1]["image"]["id"], "2");
    for n in 3..5 {
        world.upload(200, &format!(r#"{{"id":"{n}"}}"#));
        world.answer(400, forgotten);
    }
    let other = Outgoing {
        client_id: "018f0000-0000-7000-8000-000000000002".to_owned(),
        ..outgoing(files("", &["image/jpeg"]))
    };
    assert!(matches!(ready(send(&cloud, &other)), Outcome::Rejected(_)));
}

#[test]
fn a_further_attempt_goes_on_behind_what_was_sent() {
    let (world, cloud) = cloud("");
    let message = outgoing(files("veja", &["image/png", "image/png"]));
    world.upload(200, r#"{"id":"1"}"#);
    accept(&world, "wamid.1");
    world.upload(200, r#"{"id":"2"}"#);
    world.answer(429, r#"{"error":{"code":130429}}"#);
    assert!(matches!(ready(send(&cloud, &message)), Outcome::Throttled(_)));
    accept(&world, "wamid.2");
    assert_eq!(accepted(ready(send(&cloud, &message))).provider_id.as_deref(), Some("wamid.1"));
    let ids: Vec<_> = world.posted().into_iter().map(|body| body["image"]["id"].clone()).collect();
    assert_eq!(ids, [json!("1"), json!("2"), json!("2")], "the first is sent once");
}

#[test]
fn what_was_sent_in_part_is_told() {
    let (world, cloud) = cloud("");
    let message = outgoing(files("veja", &["image/png", "image/png"]));
    world.upload(200, r#"{"id":"1"}"#);
    accept(&world, "wamid.1");
    world.upload(200, r#"{"id":"2"}"#);
    world.answer(400, r#"{"error":{"code":131026}}"#);
    let Outcome::Rejected(refusal) = ready(send(&cloud, &message)) else { panic!("sent") };
    assert!(refusal.reason.starts_with("1 of its 2 messages"), "{}", refusal.reason);
    assert_eq!(refusal.code.as_deref(), Some("131026"));
}

#[test]
fn an_answer_that_never_comes_is_unknown() {
    let (world, cloud) = cloud("");
    world.answers.borrow_mut().push_back(Err(Error::Interrupted("reset".to_owned())));
    assert!(matches!(ready(send(&cloud, &outgoing(files("oi", &[])))), Outcome::Unknown(_)));
    world.answer(200, r#"{"messages":[]}"#);
    assert!(matches!(ready(send(&cloud, &outgoing(files("oi", &[])))), Outcome::Unknown(_)));
    world.answer(502, "<html>");
    assert!(matches!(ready(send(&cloud, &outgoing(files("oi", &[])))), Outcome::Unknown(_)));
    assert!(matches!(ready(send(&cloud, &outgoing(files("oi", &[])))), Outcome::Disconnected(_)), "no connection");
}

#[test]
fn an_upload_that_breaks_is_tried_again() {
    let (world, cloud) = cloud("");
    world.upload(502, "");
    assert!(matches!(ready(send(&cloud, &outgoing(files("", &["image/png"])))), Outcome::Temporary(_)));
    world.upload(
        400,
        r#"{"error":{"code":100,"message":"(#100) Param file must be a file with one of the following types"}}"#,
    );
    assert!(matches!(ready(send(&cloud, &outgoing(files("", &["image/png"])))), Outcome::Rejected(_)));
    assert!(world.calls.borrow().is_empty());
}

#[test]
fn one_recipient_is_left_alone_longer_and_longer() {
    let (world, cloud) = cloud("");
    let pause = || match ready(send(&cloud, &outgoing(files("oi", &[])))) {
        Outcome::Throttled(throttle) => (throttle.scope, throttle.retry_after_millis),
        other => panic!("{other:?}"),
    };
    for seconds in [1, 4, 16] {
        world.answer(400, r#"{"error":{"code":131056}}"#);
        assert_eq!(pause(), (ThrottleScope::Recipient, seconds * 1_000));
    }
    accept(&world, "wamid.A");
    accepted(ready(send(&cloud, &outgoing(files("oi", &[])))));
    world.answer(400, r#"{"error":{"code":131056}}"#);
    assert_eq!(pause(), (ThrottleScope::Recipient, 1_000), "it begins anew");
}

#[test]
fn a_token_that_ended_ends_the_session() {
    use pombo_plugin::connector::events::State;
    let (world, cloud) = cloud("");
    world.answer(401, r#"{"error":{"code":190,"error_subcode":463,"message":"Session has expired"}}"#);
    assert!(matches!(ready(send(&cloud, &outgoing(files("oi", &[])))), Outcome::Disconnected(_)));
    assert!(matches!(world.states.borrow().last(), Some(State::LoggedOut(_))));
    world.answer(400, r#"{"error":{"code":131042}}"#);
    assert!(matches!(ready(send(&cloud, &outgoing(files("oi", &[])))), Outcome::Disconnected(_)));
    assert!(matches!(world.states.borrow().last(), Some(State::Unpaired(_))));
}

/// Later it comes by a status, which tells the engine the same.
#[test]
fn who_stopped_marketing_is_told_when_meta_refuses_it_at_once() {
    let (world, cloud) = cloud("");
    world.answer(400, r#"{"error":{"code":131050}}"#);
    let Outcome::Rejected(refusal) = ready(send(&cloud, &outgoing(files("oi", &[])))) else { panic!("sent") };
    assert_eq!(refusal.code.as_deref(), Some("131050"));
    let (to, now) = (outgoing(files("oi", &[])).to, world.now.get());
    let told = json!({"address": to, "category": codes::REFUSABLE, "out": true, "atMillis": now});
    assert_eq!(world.others("opt-out"), [told]);
    world.answer(400, r#"{"error":{"code":131026}}"#);
    assert!(matches!(ready(send(&cloud, &outgoing(files("oi", &[])))), Outcome::InvalidRecipient(_)));
    assert_eq!(world.others("opt-out").len(), 1, "another refusal says nothing of marketing");
}

#[test]
fn a_closed_session_sends_nothing() {
    let (world, cloud) = cloud("");
    ready(cloud.account.close(&world)).expect("closed");
    assert!(matches!(ready(send(&cloud, &outgoing(files("oi", &[])))), Outcome::Disconnected(_)));
    assert!(world.calls.borrow().is_empty());
}

#[test]
fn reactions_templates_and_other_contents() {
    let (world, cloud) = cloud("");
    let template = json!({"name": "a", "language": "en", "format": "named", "body": [{"name": "n", "value": "x"}]});
    for content in [
        Content::Reaction(Reaction { to: target("wamid.IN"), emoji: "👍".to_owned() }),
        Content::Other(("template".to_owned(), template.to_string())),
        Content::Other(("location".to_owned(), r#"{"latitude":1,"longitude":2}"#.to_owned())),
    ] {
        accept(&world, "wamid.A");
        accepted(ready(send(&cloud, &Outgoing { reply_to: Some(target("wamid.IN")), ..outgoing(content) })));
    }
    let posted = world.posted();
    assert_eq!(posted[0]["reaction"], json!({"message_id": "wamid.IN", "emoji": "👍"}));
    assert_eq!((&posted[0]["context"], &posted[1]["context"]), (&Value::Null, &Value::Null));
    assert_eq!(posted[1]["template"]["components"][0]["parameters"][0]["parameter_name"], "n");
    assert_eq!(posted[2]["context"]["message_id"], "wamid.IN");
    for content in [
        Content::Revoke(target("x")),
        Content::Other(("poll".to_owned(), "{}".to_owned())),
        Content::Other(("location".to_owned(), "{".to_owned())),
    ] {
        assert!(matches!(ready(send(&cloud, &outgoing(content))), Outcome::Rejected(_)));
    }
    assert_eq!(world.calls.borrow().len(), 3, "what is refused is not sent");
}

#[test]
fn a_templates_own_file_is_uploaded() {
    let (world, cloud) = cloud("");
    let file = |media: &str| {
        json!({"format": "document", "media": {"file":
            {"media": media, "filename": "a.pdf", "contentType": "application/pdf", "size": 7}}})
    };
    let template = json!({"name": "a", "language": "en", "header": file("m0"),
        "cards": [{"header": {"format": "image", "media": {"link": "https://x.example/a.png"}}}, {"header": file("m1")}]});
    let message = outgoing(Content::Other(("template".to_owned(), template.to_string())));
    for id in ["1", "2"] {
        world.upload(200, &format!(r#"{{"id":"{id}"}}"#));
    }
    accept(&world, "wamid.A");
    accepted(ready(send(&cloud, &message)));
    let uploaded: Vec<_> = world.posted_files.borrow().iter().map(|posting| posting.media.clone()).collect();
    assert_eq!(uploaded.len(), 2);
    let id = |media: &str| (uploaded.iter().position(|one| one == media).expect("uploaded") + 1).to_string();
    let sent = world.posted().remove(0)["template"].clone();
    let media = |component: &Value| {
        let parameter = &component["parameters"][0];
        parameter[parameter["type"].as_str().unwrap_or_default()].clone()
    };
    assert_eq!(media(&sent["components"][0]), json!({"id": id("m0"), "filename": "a.pdf"}));
    let cards = &sent["components"][1]["cards"];
    assert_eq!(media(&cards[0]["components"][0]), json!({"link": "https://x.example/a.png"}));
    assert_eq!(media(&cards[1]["components"][0]), json!({"id": id("m1"), "filename": "a.pdf"}));
}

#[test]
fn a_template_that_is_held_says_so() {
    let (world, cloud) = cloud("");
    world.answer(200, &ACCEPTED.replace("accepted", "held_for_quality_assessment"));
    let template = r#"{"name":"a","language":"en"}"#.to_owned();
    assert!(accepted(ready(send(&cloud, &outgoing(Content::Other(("template".to_owned(), template)))))).held);
}
