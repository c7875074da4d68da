//! Messages as a server would get them.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const CONFIG: &str = r#"{
    "host": "smtp.example.com",
    "from": { "name": "Loja São João", "email": "loja@example.com" },
    "replyTo": "sac@example.com",
    "listUnsubscribe": { "url": "https://example.com/u?r={recipient}&m={id}", "mailto": "sair@example.com" }
}"#;

fn config() -> Config {
    Config::read(CONFIG).expect("valid")
}

fn outgoing(to: &str, name: Option<&str>) -> Outgoing {
    Outgoing {
        client_id: "0192-abc".into(),
        to: to.into(),
        contact_name: name.map(str::to_owned),
        content: pombo_plugin::connector::Content::Other((String::new(), String::new())),
        reply_to: None,
        mentions: Vec::new(),
        voice_note: false,
        attempt: 1,
        metadata: Vec::new(),
    }
}

fn content(text: &str) -> TextContent {
    TextContent { text: text.into(), subject: None, attachments: Vec::new() }
}

fn file(name: &str, kind: &str) -> Attachment {
    Attachment { media: format!("id-{name}"), filename: name.into(), content_type: kind.into(), size: 3, url: None }
}

fn composed(outgoing: &Outgoing, content: &TextContent) -> Composed {
    compose(&config(), outgoing, content, SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000))
        .expect("composes")
}

/// The message with `[id]` where the engine puts media.
fn text_of(composed: &Composed) -> String {
    composed
        .segments
        .iter()
        .map(|s| match s {
            Segment::Bytes(bytes) => String::from_utf8(bytes.clone()).expect("a built message is ASCII"),
            Segment::Media(id) => format!("[{id}]"),
        })
        .collect()
}

fn headers(message: &str) -> Vec<String> {
    let head = message.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ").replace("\r\n\t", " ");
    head.split("\r\n").map(str::to_owned).collect()
}

fn header<'a>(headers: &'a [String], name: &str) -> &'a str {
    let all: Vec<_> = headers.iter().filter_map(|h| h.strip_prefix(&format!("{name}: "))).collect();
    assert_eq!(all.len(), 1, "{name} in {headers:?}");
    all[0]
}

#[test]
fn a_message_has_what_a_mail_needs() {
    let message = composed(&outgoing("ana@exemplo.com", Some("Ana")), &content("Seu *pedido* saiu\nObrigado"));
    assert_eq!(message.message_id, "0192-abc@example.com");
    assert_eq!(message.envelope.sender.as_deref(), Some("loja@example.com"));
    assert_eq!(message.envelope.recipients, ["ana@exemplo.com"]);
    let text = text_of(&message);
    let h = headers(&text);
    assert_eq!(header(&h, "Message-ID"), "<0192-abc@example.com>");
    assert_eq!(header(&h, "Date"), "Tue, 14 Nov 2023 22:13:20 +0000");
    assert_eq!(header(&h, "To"), "Ana <ana@exemplo.com>");
    assert!(header(&h, "From").ends_with("<loja@example.com>"));
    assert_eq!(header(&h, "Reply-To"), "sac@example.com");
    assert_eq!(header(&h, "Subject"), "Seu pedido saiu");
    assert_eq!(
        header(&h, "List-Unsubscribe"),
        "<https://example.com/u?r=ana@exemplo.com&m=0192-abc>, <mailto:sair@example.com?subject=unsubscribe>"
    );
    assert_eq!(header(&h, "List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    assert!(header(&h, "Content-Type").starts_with("multipart/alternative"));
    let text = text.replace("=\r\n", "").replace("=3D", "=");
    assert!(text.contains("Seu *pedido* saiu\r\nObrigado"));
    assert!(text.contains("Seu <strong>pedido</strong> saiu<br>\r\nObrigado"));
}

#[test]
fn sent_again_it_is_the_same_but_for_nothing() {
    let mut files = content("oi");
    files.attachments = vec![file("a.pdf", "application/pdf")];
    let (a, b) = (composed(&outgoing("a@b.co", None), &files), composed(&outgoing("a@b.co", None), &files));
    assert_eq!(text_of(&a), text_of(&b));
    let mut other = outgoing("a@b.co", None);
    other.client_id = "other".into();
    assert_ne!(text_of(&a), text_of(&composed(&other, &files)));
}

#[test]
fn attachments_stand_in_order_with_their_types_and_names() {
    let mut with = content("Segue");
    with.attachments = vec![
        file("boleto março.pdf", "application/pdf"),
        file("../x\r\ny.png", "image/png"),
        file("m.eml", "message/rfc822"),
        file("", "nonsense"),
    ];
    let message = composed(&outgoing("a@b.co", None), &with);
    let media: Vec<_> = message.segments.iter().filter(|s| matches!(s, Segment::Media(_))).collect();
    assert_eq!(media.len(), 4);
    let text = text_of(&message);
    assert!(header(&headers(&text), "Content-Type").starts_with("multipart/mixed"));
    for (media, kind, name) in [
        ("[id-boleto março.pdf]", "application/pdf", "filename*0*=utf-8''boleto%20mar%C3%A7o.pdf"),
        ("[id-../x\r\ny.png]", "image/png", "filename=\".._x y.png\""),
        ("[id-m.eml]", "application/octet-stream", "filename=\"m.eml\""),
        ("[id-]", "application/octet-stream", "filename=\"arquivo\""),
    ] {
        let at = text.find(media).unwrap_or_else(|| panic!("{media} in {text}"));
        let head = &text[..at];
        let head = &head[head[..head.len() - 4].rfind("\r\n--").expect("a boundary")..];
        assert!(head.contains(&format!("Content-Type: {kind}\r\n")), "{head}");
        assert!(head.contains("Content-Transfer-Encoding: base64\r\n\r\n"), "{head}");
        assert!(head.replace("\r\n ", " ").contains(name), "{head}");
        assert!(text[at + media.len()..].starts_with("\r\n--"), "a boundary follows");
    }
    assert!(!text.contains("pombo-media"));
}

#[test]
fn the_subject_comes_from_the_request_then_the_configuration_then_the_text() {
    let configured =
        Config::read(r#"{"host":"h","from":{"email":"a@b.co"},"subject":"Oi {{ nome }}!"}"#).expect("valid");
    let to = outgoing("x@y.co", Some("Ana"));
    let mut c = content("\n *Linha*  um \nLinha dois");
    let subject_of = |config: &Config, c: &TextContent| subject(config, c, to.contact_name.as_deref());
    assert_eq!(subject_of(&configured, &c), "Oi Ana!");
    assert_eq!(subject_of(&config(), &c), "Linha um");
    c.subject = Some("Pedido\r\nBcc: x@y.co".into());
    assert_eq!(subject_of(&configured, &c), "Pedido Bcc: x@y.co");
    assert_eq!(subject_of(&config(), &content("")), "(sem assunto)");
    assert_eq!(subject_of(&config(), &content(&"é".repeat(200))).chars().count(), 78);
}

#[test]
fn an_invalid_recipient_is_the_recipients_fault() {
    let result = compose(&config(), &outgoing("nobody", None), &content("x"), SystemTime::UNIX_EPOCH);
    assert!(matches!(result, Err(Outcome::InvalidRecipient(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stands in a name, a subject or a file name: the headers are the ones that were meant, and all is ASCII.
    #[test]
    fn no_text_becomes_a_header(
        name in "[a-zé\"\\\\<>@,;:\r\n\0\t \u{85}\u{2028}-]{0,30}",
        subject in "[a-zé=?\"\r\n\0\t \u{85}\u{2028}:-]{0,80}",
        filename in "[a-zé\"\\\\/;=\r\n\0%'-]{0,40}",
        text in "[a-z.é\r\n]{0,80}",
    ) {
        let mut c = content(&text);
        c.subject = Some(subject);
        c.attachments = vec![file(&filename, "application/pdf")];
        let message = composed(&outgoing("ana@exemplo.com", Some(&name)), &c);
        let head: Vec<u8> = match &message.segments[0] {
            Segment::Bytes(b) => b.clone(),
            Segment::Media(_) => Vec::new(),
        };
        let all = String::from_utf8(head).expect("ASCII");
        prop_assert!(all.is_ascii());
        prop_assert!(all.split("\r\n").all(|line| !line.contains(['\r', '\n', '\0'])), "{all:?}");
        prop_assert!(all.split("\r\n").all(|line| line.len() <= 998));
        let mut names: Vec<_> =
            headers(&all).iter().filter_map(|h| h.split_once(':').map(|(n, _)| n.to_owned())).collect();
        names.sort();
        prop_assert_eq!(names, [
            "Content-Type", "Date", "From", "List-Unsubscribe", "List-Unsubscribe-Post", "MIME-Version", "Message-ID",
            "Reply-To", "Subject", "To",
        ]);
    }
}
