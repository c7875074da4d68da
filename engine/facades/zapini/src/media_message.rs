//! Messages with a file: how their bodies are read, and how they are sent. Three sections send them, each with its own form of answer.

use std::borrow::Cow;

use poem_openapi::Enum;
use poem_openapi::registry::{MetaSchema, Registry};
use pombo_api::declared::Declares;
use pombo_api::error::Failure;
use pombo_api::fields::required;
use pombo_api::json_fields;
use pombo_api::options::ApiState;
use pombo_domain::commands::connectors::overview::ConnectorOverview;
use pombo_domain::commands::media_files::{FileRequest, FileSource, MAX_NAME_CHARS};
use pombo_domain::commands::messages::send::MAX_URL_BYTES;
use pombo_domain::model::FileKind;
use pombo_domain::{Error, Field, FieldProblem};
use serde::Serialize;
use serde_json::{Value, json};

use crate::credentials::Caller;
use crate::params::NumberOrText;
use crate::schemas::{described, inline, nullable_text};
use crate::sending::{Reached, about, draft, first, instance_schema, reached, recipient, recipient_schema, waiting};
use crate::{ZapiniDeps, refs};

/// What a file is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub(crate) enum MediaType {
    /// A picture.
    Image,
    /// A video.
    Video,
    /// An audio file.
    Audio,
    /// Any other file, to be saved.
    Document,
}

impl From<FileKind> for MediaType {
    fn from(kind: FileKind) -> Self {
        match kind {
            FileKind::Image => Self::Image,
            FileKind::Video => Self::Video,
            FileKind::Audio => Self::Audio,
            FileKind::Document => Self::Document,
        }
    }
}

/// What is wrong with a text that names no kind of file.
pub(crate) const KINDS: &str = "must be image, video, audio or document";

/// The kind of file that a text names.
pub(crate) fn kind_of(given: &str) -> Option<FileKind> {
    FileKind::parse(&given.trim().to_ascii_lowercase())
}

/// What is said of a file that was sent.
pub(crate) const SENT: &str = "Media sent successfully";

/// What the text of a message with a file is called.
const CAPTION: &str = "caption";

json_fields! {
    /// A message with a file.
    pub(crate) struct MediaFields<'a> {
        instance_id: "instance_id" as NumberOrText,
        recipient: "recipient" as NumberOrText,
        number: "number" as NumberOrText,
        to: "to" as NumberOrText,
        media_url: "media_url" as Cow<'a, str>,
        url: "url" as Cow<'a, str>,
        media_id: "media_id" as Cow<'a, str>,
        media_type: "media_type" as Cow<'a, str>,
        kind: "type" as Cow<'a, str>,
        caption: "caption" as Cow<'a, str>,
        filename: "filename" as Cow<'a, str>,
    }
}

/// Where the file comes from.
enum Source<'a> {
    /// An upload, by its id as it was given.
    Stored(Cow<'a, str>),
    Url(Cow<'a, str>),
}

/// A message with a file that can be read.
pub(crate) struct MediaMessage<'a> {
    /// The instance, as it was named.
    pub(crate) instance: Option<String>,
    /// What the file is to be sent as.
    pub(crate) kind: FileKind,
    to: String,
    source: Source<'a>,
    caption: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
}

impl MediaMessage<'_> {
    /// Its caption; empty without one.
    pub(crate) fn caption(&self) -> &str {
        self.caption.as_deref().unwrap_or_default()
    }
}

impl<'a> MediaFields<'a> {
    pub(crate) fn checked(self) -> Result<MediaMessage<'a>, Failure> {
        let mut problems = Vec::new();
        // An empty text says the same as none.
        let is_said = |text: &Cow<'_, str>| !text.trim().is_empty();
        let instance = self.instance_id.take(Field::Connector, &mut problems).map(|given| given.0);
        let to = recipient([self.recipient, self.number, self.to], &mut problems);
        let url = first([self.media_url, self.url], Field::AttachmentUrl, &mut problems).filter(is_said);
        let id = self.media_id.take(Field::FileId, &mut problems).filter(is_said);
        let source = source(url, id, &mut problems);
        let kind = first([self.media_type, self.kind], Field::FileKind, &mut problems).filter(is_said);
        let kind = required(Field::FileKind, kind, &mut problems).and_then(|given| {
            let kind = kind_of(&given);
            if kind.is_none() {
                problems.push(FieldProblem::new(Field::FileKind, KINDS));
            }
            kind
        });
        let caption = self.caption.take(CAPTION, &mut problems).filter(is_said);
        let name = self.filename.take(Field::FileName, &mut problems).filter(is_said);
        let (Some(to), Some(source), Some(kind), true) = (to, source, kind, problems.is_empty()) else {
            return Err(Error::invalid_fields(problems).into());
        };
        Ok(MediaMessage { instance, kind, to, source, caption, name })
    }
}

/// One of the two ways to name the file, and only one.
fn source<'a>(
    url: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    problems: &mut Vec<FieldProblem>,
) -> Option<Source<'a>> {
    match (url, id) {
        (Some(url), None) => return Some(Source::Url(url)),
        (None, Some(id)) => return Some(Source::Stored(id)),
        (Some(_), Some(_)) => {
            problems.push(FieldProblem::new(Field::AttachmentUrl, "give either this or media_id, not both"));
        }
        // Something else may be wrong with the one that was given.
        (None, None) if problems.iter().any(|problem| problem.field == Field::FileId) => {}
        (None, None) => {
            required::<()>(Field::AttachmentUrl, None, problems);
        }
    }
    None
}

/// Sends a file by an instance, and waits for its outcome.
pub(crate) async fn send_media(
    state: &ApiState,
    caller: &Caller,
    deps: &ZapiniDeps,
    instance: &ConnectorOverview,
    message: MediaMessage<'_>,
) -> Result<Reached, Failure> {
    let MediaMessage { kind, to, source, caption, name, .. } = message;
    let source = match &source {
        Source::Stored(id) => {
            let unknown = || Error::unknown(Field::FileId, "is not the id of an uploaded file");
            FileSource::Stored(refs::media(id).ok_or_else(unknown)?)
        }
        Source::Url(url) => FileSource::Url(url),
    };
    let request = FileRequest { source, kind, name: name.as_deref() };
    let draft = draft(caller, instance, to, caption);
    let sent = state.commands.send_file_now(caller.tenant, draft, request, waiting(deps)).await;
    let connector = instance.connector.id;
    reached(sent.map_err(of_caption).map_err(about(connector))?).map_err(about(connector))
}

/// What is wrong with the text is wrong with the caption.
fn of_caption(mut error: Error) -> Error {
    for problem in error.fields.iter_mut().filter(|problem| problem.field == Field::Text) {
        problem.field = CAPTION.into();
    }
    error
}

/// `SendMedia` in the document.
pub(crate) struct SendMedia;

impl Declares for SendMedia {
    const NAME: &'static str = "SendMedia";

    fn schema(_: &mut Registry) -> MetaSchema {
        let url = "Public URL of the file, which is fetched now. `url` is another name of this field. Required unless `media_id` is \
            given; not both.";
        let id = "Id of an uploaded file, as `POST /media/upload` answered it.";
        let kind = MetaSchema {
            enum_items: FileKind::ALL.map(|kind| Value::from(kind.as_str())).to_vec(),
            ..described("What to send the file as: what it is, or `document`. `type` is another name of this field.")
        };
        let caption = "Text that is shown with the file, at most 64 KB. It arrives as it is written here.";
        let name = "Name with which the file is sent, without any path; the file's own if omitted.";
        MetaSchema {
            description: Some("A message with a file."),
            required: vec!["recipient", "media_type"],
            properties: vec![
                ("instance_id", instance_schema("UUID or number of the instance, where nothing else names it.")),
                ("recipient", recipient_schema()),
                ("media_url", nullable_text(url, MAX_URL_BYTES)),
                ("media_id", nullable_text(id, 200)),
                ("media_type", inline(kind)),
                ("caption", inline(MetaSchema { nullable: true, ..described(caption) })),
                ("filename", nullable_text(name, MAX_NAME_CHARS)),
            ],
            example: Some(json!({
                "recipient": "5511999999999", "media_url": "https://example.com/image.jpg", "media_type": "image",
                "caption": "Confira esta imagem!"
            })),
            ..MetaSchema::new("object")
        }
    }
}
