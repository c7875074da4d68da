//! From a message of the engine's to calls of the gateway, and to an outcome.
//!
//! A message with several files is several on the channel. What was sent of it is kept, so that a further attempt goes on where the
//! last one ended: the recipient gets no part twice.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use pombo_plugin::connector::{Attachment, Content, Outcome, Outgoing, TextContent};
use pombo_plugin::log;
use serde_json::{Value, json};

use crate::address;
use crate::config::Config;
use crate::ledger::Ledger;
use crate::outcome;
use crate::outside::Outside;

/// A call of the gateway.
#[derive(Debug, PartialEq)]
struct Call {
    path: &'static str,
    body: Value,
}

/// Which sends are under way: what the gateway tells of an own message may be the echo of one of them.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    next: Cell<u64>,
    open: RefCell<BTreeSet<u64>>,
}

impl Flights {
    /// The number that the next send gets.
    pub(crate) fn next(&self) -> u64 {
        self.next.get()
    }

    /// Whether every send with a number below this has ended.
    pub(crate) fn ended_before(&self, number: u64) -> bool {
        self.open.borrow().first().is_none_or(|first| *first >= number)
    }

    fn begin(&self) -> Flight<'_> {
        let number = self.next.get();
        self.next.set(number + 1);
        self.open.borrow_mut().insert(number);
        Flight(self, number)
    }
}

/// A send under way.
struct Flight<'f>(&'f Flights, u64);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.open.borrow_mut().remove(&self.1);
    }
}

/// Sends one message. It is accepted with the id of the first of its parts.
pub(crate) async fn send(
    outside: &impl Outside,
    config: &Config,
    ledger: &Ledger,
    flights: &Flights,
    message: &Outgoing,
) -> Outcome {
    let calls = match calls(message) {
        Ok(calls) => calls,
        Err(outcome) => return outcome,
    };
    let _flight = flights.begin();
    let (client, several) = (message.client_id.as_str(), calls.len() > 1);
    let mut sent = Vec::new();
    if several && message.attempt > 1 {
        match ledger.parts(outside, client).await {
            Ok(parts) => sent = parts,
            Err(trouble) => return Outcome::Temporary(format!("what was sent of it before cannot be read: {trouble}")),
        }
    }
    let mut noted = true;
    for call in calls.iter().skip(sent.len()) {
        let body = call.body.to_string().into_bytes();
        let id = match outcome::of(outside.call(config.request("POST", call.path, Some(body))).await) {
            Outcome::Accepted(id) => id,
            other => return in_part(other, sent.len(), calls.len(), noted),
        };
        sent.push(id.clone());
        let parts = if several {
            Ledger::note_parts(outside.now_millis(), client, &sent, sent.len() >= calls.len())
        } else {
            Vec::new()
        };
        let kept = match id {
            Some(id) => ledger.sent(outside, &id, client, parts).await,
            None if several => outside.batch(parts).await,
            None => Ok(()),
        };
        if let Err(trouble) = kept {
            // It was sent: that stands. Receipts that come after a restart are then of no message.
            log::warn("send", &format!("a message's id was not stored: {trouble}"));
            noted = false;
        }
    }
    Outcome::Accepted(sent.into_iter().next().flatten())
}

/// The outcome of a message of which `sent` parts of `all` were sent before this one ended.
fn in_part(outcome: Outcome, sent: usize, all: usize, noted: bool) -> Outcome {
    if sent == 0 {
        return outcome;
    }
    let tell = |why: String| format!("{sent} of its {all} messages were sent, then: {why}");
    match outcome {
        Outcome::InvalidRecipient(why) | Outcome::Rejected(why) => Outcome::Rejected(tell(why)),
        Outcome::Unknown(why) => Outcome::Unknown(tell(why)),
        // Another attempt would not know what was sent already.
        Outcome::Temporary(why) | Outcome::Disconnected(why) if !noted => Outcome::Unknown(tell(why)),
        Outcome::Throttled(throttle) if !noted => Outcome::Unknown(tell(throttle.reason)),
        other => other,
    }
}

/// The calls of a message. What the gateway cannot do is an outcome.
fn calls(message: &Outgoing) -> Result<Vec<Call>, Outcome> {
    let rejected = |what: &str| Err(Outcome::Rejected(what.to_owned()));
    let to = address::normalise(&message.to).map_err(Outcome::InvalidRecipient)?;
    match &message.content {
        Content::Text(content) => texts_and_files(message, content, &to),
        Content::Reaction(reaction) => Ok(vec![Call {
            path: "/send-reaction",
            body: json!({
                "to": address::jid(&to), "messageId": reaction.to.provider_id, "emoji": reaction.emoji,
            }),
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
        Call { path: "/send-message", body }
    };
    let Some(first) = content.attachments.first() else {
        if content.text.is_empty() {
            return Err(Outcome::Rejected("the message is empty".to_owned()));
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
            return Err(Outcome::Rejected(why.to_owned()));
        };
        let mut body = json!({"recipient": to, "media_url": url, "media_type": media_type(file, wanted)});
        if !file.filename.is_empty() {
            body["filename"] = json!(file.filename);
        }
        if place == 0 && !apart && !content.text.is_empty() {
            body["caption"] = json!(content.text);
        }
        calls.push(Call { path: "/send-media", body });
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
        flights: Flights,
    }

    impl Bench {
        fn new() -> Self {
            Self { world: World::new(), ledger: Ledger::default(), flights: Flights::default() }
        }

        fn send(&self, message: &Outgoing) -> Outcome {
            let config = Config::read(r#"{"baseUrl":"https://g.example"}"#).expect("valid");
            ready(send(&self.world, &config, &self.ledger, &self.flights, message))
        }
    }

    #[test]
    fn a_text_is_one_call_and_its_id_is_known_afterwards() {
        let bench = Bench::new();
        bench.world.answer(200, r#"{"success":true,"message_id":"3EB0"}"#);
        let message = Outgoing { reply_to: Some(target("3EA9")), ..outgoing(files("oi", &[])) };
        assert_eq!(bench.send(&message), Outcome::Accepted(Some("3EB0".to_owned())));
        let body = json!({"recipient": "5511999999999", "message": "oi", "reply_to": "3EA9"});
        assert_eq!(bench.world.posted(), [("send-message".to_owned(), body)]);
        assert_eq!(ready(bench.ledger.client_of(&bench.world, "3EB0")), Ok(Some(CLIENT.to_owned())));
        assert!(bench.flights.ended_before(bench.flights.next()));
    }

    #[test]
    fn each_file_is_a_message_and_the_first_has_the_caption() {
        let bench = Bench::new();
        for id in ["A", "B"] {
            bench.world.answer(200, &format!(r#"{{"message_id":"{id}"}}"#));
        }
        let message = outgoing(files("veja", &["image/png", "application/pdf"]));
        assert_eq!(bench.send(&message), Outcome::Accepted(Some("A".to_owned())));
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
        assert!(why.contains("public_url"), "{why}");
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
        assert_eq!(bench.send(&message), Outcome::Accepted(Some("A".to_owned())));
        let posted = bench.world.posted();
        assert_eq!(posted.iter().filter(|(_, body)| body["media_url"] == "https://pombo.example/m0").count(), 1);
        assert_eq!(posted.len(), 4);
    }

    #[test]
    fn what_was_sent_in_part_is_not_sent_again_blindly() {
        let bench = Bench::new();
        let message = outgoing(files("veja", &["image/png", "image/png"]));
        bench.world.answer(200, r#"{"message_id":"A"}"#);
        bench.world.answer(422, r#"{"error":{"code":"INVALID_RECIPIENT"}}"#);
        let Outcome::Rejected(why) = bench.send(&message) else { panic!("sent") };
        assert!(why.starts_with("1 of its 2 messages"), "{why}");
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
        assert_eq!(bench.send(&outgoing(reaction)), Outcome::Accepted(None));
        let body = json!({"to": "5511999999999@s.whatsapp.net", "messageId": "3EB0", "emoji": "👍"});
        assert_eq!(bench.world.posted(), [("send-reaction".to_owned(), body)]);
        let revoke = outgoing(Content::Revoke(target("3EB0")));
        assert!(matches!(bench.send(&revoke), Outcome::Rejected(_)));
    }

    #[test]
    fn a_later_send_holds_nobody_up() {
        let flights = Flights::default();
        let first = flights.begin();
        let arrived = flights.next();
        let _second = flights.begin();
        assert!(!flights.ended_before(arrived));
        drop(first);
        assert!(flights.ended_before(arrived));
    }
}
