//! Which messages of the channel one message of the engine's becomes: one for its text, one for each file; the text is the
//! caption of the first file that takes one.

use pombo_plugin::connector::{Attachment, Content, Edit, Outgoing, Reaction, Target};

use crate::media::{Kind, kind_of};

/// One message of the channel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    File { attachment: &'a Attachment, kind: Kind, caption: Option<&'a str> },
    Reaction(&'a Reaction),
    Edit(&'a Edit),
    Revoke(&'a Target),
}

impl Piece<'_> {
    /// The text that a person would have typed.
    pub(crate) fn typed(&self) -> usize {
        match self {
            Self::Text(text) | Self::File { caption: Some(text), .. } => text.chars().count(),
            _ => 0,
        }
    }
}

/// The value of a key of the message's metadata.
pub(crate) fn metadata<'a>(message: &'a Outgoing, key: &str) -> Option<&'a str> {
    message.metadata.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
}

/// The messages, in the order in which they are sent. An error says why there can be none.
pub(crate) fn pieces(message: &Outgoing) -> Result<Vec<Piece<'_>>, String> {
    Ok(match &message.content {
        Content::Text(content) => {
            let text = Some(content.text.as_str()).filter(|text| !text.trim().is_empty());
            let wanted = metadata(message, "media-kind");
            let kinds: Vec<Kind> =
                content.attachments.iter().map(|a| kind_of(&a.content_type, message.voice_note, wanted)).collect();
            let captioned = text.and_then(|_| kinds.iter().position(|kind| kind.takes_caption()));
            let mut pieces = Vec::with_capacity(content.attachments.len() + 1);
            if captioned.is_none() {
                pieces.extend(text.map(Piece::Text));
            }
            pieces.extend(content.attachments.iter().zip(kinds).enumerate().map(|(at, (attachment, kind))| {
                Piece::File { attachment, kind, caption: text.filter(|_| captioned == Some(at)) }
            }));
            if pieces.is_empty() {
                return Err("the message has neither text nor a file".to_owned());
            }
            pieces
        }
        Content::Reaction(reaction) => vec![Piece::Reaction(reaction)],
        Content::Edit(edit) if edit.of.sender.is_some() => {
            return Err("only the account's own messages can be edited".to_owned());
        }
        Content::Edit(edit) if edit.text.trim().is_empty() => {
            return Err("an edited message needs a text; delete it instead".to_owned());
        }
        Content::Edit(edit) => vec![Piece::Edit(edit)],
        Content::Revoke(target) => vec![Piece::Revoke(target)],
        Content::Other((kind, _)) => return Err(format!("this connector cannot send content of the kind {kind:?}")),
    })
}

/// The id of the `at`th message: the first has the message's own, each further one an id that is as stable.
pub(crate) fn id_of(id: &str, at: usize) -> String {
    if at == 0 { id.to_owned() } else { crate::message_id::of(&format!("{id}/{at}")) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use pombo_plugin::connector::TextContent;

    pub(crate) fn outgoing(content: Content) -> Outgoing {
        Outgoing {
            client_id: "c".into(),
            to: "12025550100".into(),
            contact_name: None,
            content,
            reply_to: None,
            mentions: Vec::new(),
            voice_note: false,
            attempt: 1,
            metadata: Vec::new(),
        }
    }

    fn with(text: &str, types: &[&str]) -> Outgoing {
        outgoing(Content::Text(TextContent {
            text: text.into(),
            subject: None,
            attachments: types
                .iter()
                .map(|t| Attachment {
                    media: format!("m-{t}"),
                    filename: "f".into(),
                    content_type: (*t).into(),
                    size: 1,
                    url: None,
                })
                .collect(),
        }))
    }

    fn shape(message: &Outgoing) -> Vec<(Option<Kind>, Option<&str>)> {
        pieces(message)
            .expect("pieces")
            .into_iter()
            .map(|p| match p {
                Piece::Text(text) => (None, Some(text)),
                Piece::File { kind, caption, .. } => (Some(kind), caption),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn the_text_is_the_caption_of_the_first_file_that_takes_one() {
        let (image, audio, document) = (Some(Kind::Image), Some(Kind::Audio), Some(Kind::Document));
        assert_eq!(shape(&with("hi", &[])), [(None, Some("hi"))]);
        assert_eq!(shape(&with("hi", &["image/png", "image/png"])), [(image, Some("hi")), (image, None)]);
        assert_eq!(shape(&with("hi", &["audio/ogg", "application/pdf"])), [(audio, None), (document, Some("hi"))]);
        assert_eq!(shape(&with("hi", &["audio/ogg"])), [(None, Some("hi")), (audio, None)]);
        assert_eq!(shape(&with(" \n", &["image/png"])), [(image, None)]);
        let mut voice = with("hi", &["audio/ogg"]);
        voice.voice_note = true;
        assert_eq!(shape(&voice), [(None, Some("hi")), (Some(Kind::Voice), None)]);
    }

    #[test]
    fn a_picture_goes_as_a_document_where_that_is_asked_for() {
        let mut picture = with("hi", &["image/png"]);
        picture.metadata = vec![("direct".into(), "1".into()), ("media-kind".into(), "document".into())];
        assert_eq!(shape(&picture), [(Some(Kind::Document), Some("hi"))]);
        assert_eq!((metadata(&picture, "direct"), metadata(&picture, "other")), (Some("1"), None));
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_a_reason() {
        let mine = Target { provider_id: "x".into(), sender: None, text: None };
        let theirs = Target { sender: Some("1".into()), ..mine.clone() };
        for (content, says) in [
            (with(" ", &[]).content, "neither"),
            (Content::Edit(Edit { of: theirs, text: "x".into() }), "own"),
            (Content::Edit(Edit { of: mine, text: " ".into() }), "delete"),
            (Content::Other(("poll".into(), "{}".into())), "poll"),
        ] {
            let problem = pieces(&outgoing(content)).expect_err(says);
            assert!(problem.contains(says), "{problem}");
        }
    }

    #[test]
    fn ids_of_further_messages_are_stable_and_differ() {
        assert_eq!(id_of("3EB0AA", 0), "3EB0AA");
        assert_eq!(id_of("3EB0AA", 1), id_of("3EB0AA", 1));
        let ids: std::collections::HashSet<String> = (0..10).map(|at| id_of("3EB0AA", at)).collect();
        assert_eq!(ids.len(), 10);
    }
}
