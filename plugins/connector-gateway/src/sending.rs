//! From a message of the engine's to calls of the gateway, and to an outcome.
//!
//! A message with several files is several on the channel. What was sent of it is kept, so that a further attempt goes on where the
//! last one ended: the recipient gets no part twice.

use pombo_plugin::connector::{Attachment, Content, Outcome, Outgoing, Refusal, TextContent};
use pombo_plugin::log;
use serde_json::{Value, json};

use crate::address;
use crate::config::Config;
use crate::echoes::{Echoes, Look};
use crate::ledger::Ledger;
use crate::outcome;
use crate::outside::Outside;

/// A call of the gateway.
#[derive(Debug, PartialEq)]
struct Call {
    path: &'static str,
    body: Value,
    look: Look,
}

/// Sends one message. It is accepted with the id of the first of its parts.
pub(crate) async fn send(
    outside: &impl Outside,
    config: &Config,
    ledger: &Ledger,
    echoes: &Echoes,
    message: &Outgoing,
) -> Outcome {
    let calls = match calls(message) {
        Ok(calls) => calls,
        Err(outcome) => return outcome,
    };
    let _flight = echoes.begin(&message.to);
    let (client, several) = (message.client_id.as_str(), calls.len() > 1);
    let mut sent = Vec::new();
    // The number of the attempt does not say whether something was sent: one that was throttled is not counted.
    if several {
        match ledger.parts(outside, client).await {
            Ok(parts) => sent = parts,
            Err(trouble) => return Outcome::Temporary(format!("what was sent of it before cannot be read: {trouble}")),
        }
    }
    let mut noted = true;
    for call in calls.iter().skip(sent.len()) {
        let body = call.body.to_string().into_bytes();
        let outcome = outcome::of(outside.call(config.request("POST", call.path, Some(body))).await);
        let nameless = match &outcome {
            Outcome::Accepted(said) => said.provider_id.is_none(),
            other => matches!(other, Outcome::Unknown(_)),
        };
        if nameless {
            echoes.expect(&message.to, call.look, outside.now_millis());
        }
        let id = match outcome {
            Outcome::Accepted(said) => said.provider_id,
            other => return in_part(other, sent.len(), calls.len(), noted),
        };
        sent.push(id.clone());
        let parts = if several {
            Ledger::note_parts(outside.now_millis(), client, &sent, sent.len() >= calls.len())
        } else {
            Vec::new()
        };
        let kept = ledger.sent(outside, id.as_deref(), client, parts).await;
        noted = kept.is_ok();
        if let Err(trouble) = kept {
            // It was sent: that stands. If the engine ends before it is stored, receipts are of no message.
            log::warn("send", &format!("a message's id was not stored: {trouble}"));
        }
    }
    Outcome::accepted(sent.into_iter().next().flatten())
}

/// The outcome of a message of which `sent` parts of `all` were sent before this one ended.
fn in_part(outcome: Outcome, sent: usize, all: usize, noted: bool) -> Outcome {
    if sent == 0 {
        return outcome;
    }
    let tell = |why: String| format!("{sent} of its {all} messages were sent, then: {why}");
    match outcome {
        Outcome::InvalidRecipient(why) | Outcome::Rejected(why) => {
            Outcome::Rejected(Refusal { reason: tell(why.reason), ..why })
        }
        Outcome::Unknown(why) => Outcome::Unknown(tell(why)),
        // Another attempt would not know what was sent already.
        Outcome::Temporary(why) | Outcome::Disconnected(why) if !noted => Outcome::Unknown(tell(why)),
        Outcome::Throttled(throttle) if !noted => Outcome::Unknown(tell(throttle.reason)),
        other => other,
    }
}

/// The calls of a message. What the gateway cannot do is an outcome.
fn calls(message: &Outgoing) -> Result<Vec<Call>, Outcome> {
    let rejected = |what: &str| Err(Outcome::rejected(what.to_owned()));
    let to = address::normalise(&message.to).map_err(Outcome::invalid_recipient)?;
    match &message.content {
        Content::Text(content) => texts_and_files(message, content, &to),
        Content::Reaction(reaction) => Ok(vec![Call {
            path: "/send-reaction",
            body: json!({
                "to": address::jid(&to), "messageId": reaction.to.provider_id, "emoji": reaction.emoji,
            }),
            look: Look::reaction(&reaction.to.provider_id, &reaction.emoji),
        }]),
        Content::Edit(_) => rejected("the gateway cannot edit messages"),
        Content::Revoke(_) => rejected("the gateway cannot delete messages"),
        Content::Other(_) => rejected("the gateway can carry only text, files and reactions"),
    }
}

fn texts_and_files(message: &Outgoing, content: &TextContent, to: &str) -> Result<Vec<Call>, Outcome> {
    let reply_to = message.reply_to.as_ref().map(|target| target.provider_id.as_str());
    let text = || {
        let mut body = json!({"recipient": to, "message": content.text});
        if let Some(id) = reply_to {
            body["reply_to"] = json!(id);
        }
        Call { path: "/send-message", body, look: Look::text(&content.text) }
    };
    let Some(first) = content.attachments.first() else {
        if content.text.is_empty() {
            return Err(Outcome::rejected("the message is empty".to_owned()));
        }
        return Ok(vec![text()]);
    };
    let wanted = message.metadata.iter().find(|(key, _)| key == "media-kind").map(|(_, value)| value.as_str());
    // The gateway has no replies with files, and WhatsApp no captions of audio: there the text goes before.
    let apart = !content.text.is_empty() && (reply_to.is_some() || media_type(first, wanted) == "audio");
    let mut calls = if apart { vec![text()] } else { Vec::new() };
    for (place, file) in content.attachments.iter().enumerate() {
        let Some(url) = file.url.as_deref().filter(|url| !url.is_empty()) else {
            let why = "the gateway fetches files by their links, but the engine has none: set http.public_url";
            return Err(Outcome::rejected(why.to_owned()));
        };
        let mut body = json!({"recipient": to, "media_url": url, "media_type": media_type(file, wanted)});
        if !file.filename.is_empty() {
            body["filename"] = json!(file.filename);
        }
        let caption = if place == 0 && !apart { content.text.as_str() } else { "" };
        if !caption.is_empty() {
            body["caption"] = json!(caption);
        }
        calls.push(Call { path: "/send-media", body, look: Look::file(caption) });
    }
    Ok(calls)
}

/// What a file is sent as: what apps show or play, otherwise a file to be saved.
fn media_type(file: &Attachment, wanted: Option<&str>) -> &'static str {
    if wanted == Some("document") {
        return "document";
    }
    let essence = file.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "image/jpeg" | "image/jpg" | "image/png" | "image/gif" | "image/webp" => "image",
        "video/mp4" | "video/3gpp" | "video/quicktime" | "video/x-msvideo" | "video/x-matroska" => "video",
        "audio/ogg" | "audio/opus" | "audio/mpeg" | "audio/mp3" | "audio/mp4" | "audio/aac" | "audio/m4a"
        | "audio/x-m4a" | "audio/wav" | "audio/x-wav" => "audio",
        _ => "document",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::world::{World, ready};
    use pombo_plugin::connector::{Reaction, Target};

    const CLIENT: &str = "018f0000-0000-7000-8000-000000000001";

    fn outgoing(content: Content) -> Outgoing {
        Outgoing {
            client_id: CLIENT.to_owned(),
            to: "5511999999999".to_owned(),
            contact_name: None,
            content,
            reply_to: None,
            mentions: Vec::new(),
            voice_note: false,
            attempt: 1,
            metadata: Vec::new(),
        }
    }

    fn files(text: &str, types: &[&str]) -> Content {
        let file = |(n, content_type): (usize, &&str)| Attachment {
            media: format!("m{n}"),
            filename: format!("f{n}"),
            content_type: (*content_type).to_owned(),
            size: 1,
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

    struct Bench {
        world: World,
        ledger: Ledger,
        echoes: Echoes,
    }

    impl Bench {
        fn new() -> Self {
            Self { world: World::new(), ledger: Ledger::default(), echoes: Echoes::default() }
        }

        fn send(&self, message: &Outgoing) -> Outcome {
            let config = Config::read(r#"{"baseUrl":"https://g.example"}"#).expect("valid");
            ready(send(&self.world, &config, &self.ledger, &self.echoes, message))
        }
    }

    #[test]
    fn a_text_is_one_call_and_its_id_is_known_afterwards() {
        let bench = Bench::new();
        bench.world.answer(200, r#"{"success":true,"message_id":"3EB0"}"#);
        let message = Outgoing { reply_to: Some(target("3EA9")), ..outgoing(files("oi", &[])) };
        assert_eq!(bench.send(&message), Outcome::accepted(Some("3EB0".to_owned())));
        let body = json!({"recipient": "5511999999999", "message": "oi", "reply_to": "3EA9"});
        assert_eq!(bench.world.posted(), [("send-message".to_owned(), body)]);
        assert_eq!(ready(bench.ledger.client_of(&bench.world, "3EB0")), Ok(Some(CLIENT.to_owned())));
        assert!(bench.echoes.ended_before(bench.echoes.next(), &message.to));
    }

    #[test]
    fn each_file_is_a_message_and_the_first_has_the_caption() {
        let bench = Bench::new();
        for id in ["A", "B"] {
            bench.world.answer(200, &format!(r#"{{"message_id":"{id}"}}"#));
        }
        let message = outgoing(files("veja", &["image/png", "application/pdf"]));
        assert_eq!(bench.send(&message), Outcome::accepted(Some("A".to_owned())));
        let posted = bench.world.posted();
        assert_eq!(posted[0].1["caption"], "veja");
        assert_eq!((&posted[0].1["media_type"], &posted[1].1["media_type"]), (&json!("image"), &json!("document")));
        assert_eq!(posted[1].1["media_url"], "https://pombo.example/m1");
        assert!(posted[1].1["caption"].is_null());
        assert!(bench.world.keys("part/").is_empty() && bench.world.keys("sent/").len() == 2);
    }

    #[test]
    fn text_goes_before_what_cannot_have_a_caption() {
        for (message, paths) in [
            (outgoing(files("ouça", &["audio/ogg; codecs=opus"])), vec!["/send-message", "/send-media"]),
            (
                Outgoing { reply_to: Some(target("X")), ..outgoing(files("a", &["image/png"])) },
                vec!["/send-message", "/send-media"],
            ),
            (outgoing(files("", &["audio/ogg"])), vec!["/send-media"]),
        ] {
            let calls = calls(&message).expect("calls");
            assert_eq!(calls.iter().map(|call| call.path).collect::<Vec<_>>(), paths);
            assert!(calls.iter().all(|call| call.body["caption"].is_null()));
        }
        let mut message = outgoing(files("x", &["image/png"]));
        message.metadata.push(("media-kind".to_owned(), "document".to_owned()));
        assert_eq!(calls(&message).expect("calls")[0].body["media_type"], "document");
    }

    #[test]
    fn a_file_without_a_link_is_refused_with_a_reason() {
        let mut message = outgoing(files("x", &["image/png"]));
        let Content::Text(content) = &mut message.content else { panic!("a text") };
        content.attachments[0].url = None;
        let Err(Outcome::Rejected(why)) = calls(&message) else { panic!("sent") };
        assert!(why.reason.contains("public_url"), "{why:?}");
    }

    #[test]
    fn a_further_attempt_goes_on_behind_what_was_sent() {
        let bench = Bench::new();
        let mut message = outgoing(files("veja", &["image/png", "image/png", "image/png"]));
        bench.world.answer(200, r#"{"message_id":"A"}"#);
        bench.world.answer(503, r#"{"error":{"code":"NOT_SENT"}}"#);
        assert!(matches!(bench.send(&message), Outcome::Temporary(_)));
        message.attempt = 2;
        for id in ["B", "C"] {
            bench.world.answer(200, &format!(r#"{{"message_id":"{id}"}}"#));
        }
        assert_eq!(bench.send(&message), Outcome::accepted(Some("A".to_owned())));
        let posted = bench.world.posted();
        assert_eq!(posted.iter().filter(|(_, body)| body["media_url"] == "https://pombo.example/m0").count(), 1);
        assert_eq!(posted.len(), 4);
    }

    #[test]
    fn an_attempt_that_was_not_counted_goes_on_as_well() {
        let bench = Bench::new();
        let message = outgoing(files("veja", &["image/png", "image/png"]));
        bench.world.answer(200, r#"{"message_id":"A"}"#);
        bench.world.answer(429, "");
        assert!(matches!(bench.send(&message), Outcome::Throttled(_)));
        bench.world.answer(200, r#"{"message_id":"B"}"#);
        assert_eq!(bench.send(&message), Outcome::accepted(Some("A".to_owned())));
        let posted: Vec<_> = bench.world.posted().into_iter().map(|(_, body)| body["media_url"].clone()).collect();
        let link = |n: u8| json!(format!("https://pombo.example/m{n}"));
        assert_eq!(posted, [link(0), link(1), link(1)], "the first is posted once");
        bench.world.down.set(true);
        assert!(matches!(bench.send(&message), Outcome::Temporary(_)), "nobody knows what was sent");
    }

    #[test]
    fn what_was_sent_in_part_is_not_sent_again_blindly() {
        let bench = Bench::new();
        let message = outgoing(files("veja", &["image/png", "image/png"]));
        bench.world.answer(200, r#"{"message_id":"A"}"#);
        bench.world.answer(422, r#"{"error":{"code":"INVALID_RECIPIENT"}}"#);
        let Outcome::Rejected(why) = bench.send(&message) else { panic!("sent") };
        assert!(why.reason.starts_with("1 of its 2 messages"), "{why:?}");
        let bench = Bench::new();
        bench.world.failing.set(9);
        bench.world.answer(200, r#"{"message_id":"A"}"#);
        bench.world.answer(503, r#"{"error":{"code":"NOT_SENT"}}"#);
        assert!(matches!(bench.send(&message), Outcome::Unknown(_)), "nobody noted that the first was sent");
    }

    #[test]
    fn a_reaction_names_its_chat_by_jid() {
        let bench = Bench::new();
        bench.world.answer(200, r#"{"success":true}"#);
        let reaction = Content::Reaction(Reaction { to: target("3EB0"), emoji: "👍".to_owned() });
        assert_eq!(bench.send(&outgoing(reaction)), Outcome::accepted(None));
        let body = json!({"to": "5511999999999@s.whatsapp.net", "messageId": "3EB0", "emoji": "👍"});
        assert_eq!(bench.world.posted(), [("send-reaction".to_owned(), body)]);
        let revoke = outgoing(Content::Revoke(target("3EB0")));
        assert!(matches!(bench.send(&revoke), Outcome::Rejected(_)));
    }

    #[test]
    fn what_has_no_id_is_expected_as_an_echo() {
        let bench = Bench::new();
        let is_expected =
            |id: &str| bench.echoes.is_expected("5511999999999", id, Look::text("oi"), bench.world.now.get());
        bench.world.answer(200, r#"{"message_id":"A"}"#);
        bench.send(&outgoing(files("oi", &[])));
        assert!(!is_expected("A"), "its id is known");
        bench.world.answer(200, r#"{"success":true}"#);
        bench.send(&outgoing(files("oi", &[])));
        bench.world.answer(504, "");
        assert!(matches!(bench.send(&outgoing(files("oi", &[]))), Outcome::Unknown(_)));
        assert!(is_expected("B") && is_expected("C") && !is_expected("D"));
    }
}
