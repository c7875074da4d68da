//! Section "Envio Direto de Mensagens & Mídias": a text or a file to a contact of an instance. It is written by hand, so it is refused
//! while an automation answers the contact's conversation.

use std::borrow::Cow;
use std::sync::Arc;

use poem_openapi::registry::{MetaSchema, Registry};
use poem_openapi::{Enum, Object, OpenApi};
use pombo_api::declared::{Declared, Declares};
use pombo_api::error::Failure;
use pombo_api::fields::required;
use pombo_api::json::{JsonBytes, SerdeJson};
use pombo_api::json_fields;
use pombo_api::options::ApiState;
use pombo_domain::commands::contacts::ContactRef;
use pombo_domain::commands::messages::send::{Draft, MAX_URL_BYTES};
use pombo_domain::model::{Connector, Contact, ContactType, FileKind};
use pombo_domain::{Error, ErrorCode, Field, FieldPath, FieldProblem};
use serde::Serialize;
use serde_json::json;

use crate::credentials::Caller;
use crate::errors::Refused;
use crate::sending::{Deps, State, about, accepted, draft, instances, refusal, renamed, waiting};
use crate::values::{Number, described, inline, number_schema, required_number};
use crate::{AideskDeps, Section};

const INSTANCE: &str = "instance_id";
const CONTACT: &str = "contact_id";
const CONTENT: &str = "message_content";
const URL: &str = "media_url";
const CAPTION: &str = "media_caption";

/// What is said of a message that was sent.
const SENT: &str = "Mensagem enviada com sucesso";

json_fields! {
    /// A text or a file to a contact.
    pub(crate) struct DirectFields<'a> {
        contact_id: "contact_id" as Number,
        instance_id: "instance_id" as Number,
        message_content: "message_content" as Cow<'a, str>,
        media_url: "media_url" as Cow<'a, str>,
        media_caption: "media_caption" as Cow<'a, str>,
    }
}

/// What is sent.
enum Content<'a> {
    Text(Cow<'a, str>),
    File { url: Cow<'a, str>, caption: Option<Cow<'a, str>> },
}

/// A message that can be read.
struct DirectMessage<'a> {
    contact: u64,
    instance: u64,
    content: Content<'a>,
}

impl<'a> DirectFields<'a> {
    fn checked(self) -> Result<DirectMessage<'a>, Failure> {
        let mut problems = Vec::new();
        // An empty text says the same as none.
        let is_said = |text: &Cow<'_, str>| !text.trim().is_empty();
        let contact = required_number(self.contact_id, CONTACT, &mut problems);
        let instance = required_number(self.instance_id, INSTANCE, &mut problems);
        let text = self.message_content.take(CONTENT, &mut problems).filter(is_said);
        let url = self.media_url.take(URL, &mut problems).filter(is_said);
        let caption = self.media_caption.take(CAPTION, &mut problems).filter(is_said);
        let content = content(text, url, caption, &mut problems);
        let (Some(contact), Some(instance), Some(content), true) = (contact, instance, content, problems.is_empty())
        else {
            return Err(Error::invalid_fields(problems).into());
        };
        Ok(DirectMessage { contact, instance, content })
    }
}

/// A text or a file, and only one of them.
fn content<'a>(
    text: Option<Cow<'a, str>>,
    url: Option<Cow<'a, str>>,
    caption: Option<Cow<'a, str>>,
    problems: &mut Vec<FieldProblem>,
) -> Option<Content<'a>> {
    let problem = match (text, url, caption) {
        (Some(text), None, None) => return Some(Content::Text(text)),
        (None, Some(url), caption) => return Some(Content::File { url, caption }),
        (Some(_), Some(_), _) => FieldProblem::new(CONTENT, "give either this or media_url, not both"),
        (Some(_), None, Some(_)) => FieldProblem::new(CAPTION, "belongs to a file; give media_url, or leave it out"),
        (None, None, Some(_)) => FieldProblem::new(URL, "is required with media_caption"),
        (None, None, None) => {
            // Something else may be wrong with the one that was given.
            if !problems.iter().any(|problem| problem.field == FieldPath::from(URL)) {
                required::<()>(CONTENT, None, problems);
            }
            return None;
        }
    };
    problems.push(problem);
    None
}

/// The instance with this number, if the key is for it; otherwise 401, whether there is one or not.
fn instance(state: &ApiState, caller: &Caller, number: u64) -> Result<Arc<Connector>, Failure> {
    let found = instances(state, caller)?.into_iter().find(|one| u64::from(one.index.0) == number);
    found.ok_or_else(|| about(INSTANCE, "this API key is not for this instance", Failure::unauthorized))
}

/// The contact with this number, which must be known on the instance.
fn contact(state: &ApiState, caller: &Caller, instance: &Connector, number: u64) -> Result<Contact, Failure> {
    let unknown = || Error::invalid(CONTACT, "is not the number of a contact of this instance");
    match state.commands.get_contact(caller.tenant, ContactRef::Number(number)) {
        Ok(contact) if contact.kind == ContactType::WhatsApp && contact.is_on(instance.index) => Ok(contact),
        Ok(_) => Err(unknown().into()),
        Err(error) if error.code == ErrorCode::NotFound => Err(unknown().into()),
        Err(error) => Err(error.into()),
    }
}

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "lowercase")]
#[oai(rename_all = "lowercase")]
enum MediaType {
    /// A text.
    Text,
    /// A picture.
    Image,
    /// A video.
    Video,
    /// An audio file.
    Audio,
    /// Any other file.
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

/// A message that WhatsApp accepted.
#[derive(Debug, Serialize, Object)]
struct DirectSent {
    /// Always `success`.
    status: String,
    /// What was done, for people.
    message: String,
    /// WhatsApp's id of the message.
    whatsapp_message_id: String,
    /// What was sent: a text, or what the file is by its content.
    media_type: MediaType,
    /// Id of the stored file; empty for a text.
    media_file_id: String,
    /// Always `api`.
    source: String,
}

/// What is wrong with the caption of a file of this kind.
fn fits(kind: FileKind, has_caption: bool) -> pombo_domain::Result<()> {
    if kind == FileKind::Audio && has_caption {
        let message = "an audio file has no caption; send the text as a message of its own";
        return Err(Error::invalid(CAPTION, message));
    }
    Ok(())
}

async fn send(
    state: &ApiState,
    caller: &Caller,
    deps: &AideskDeps,
    message: DirectMessage<'_>,
) -> Result<DirectSent, Failure> {
    let instance = instance(state, caller, message.instance)?;
    let contact = contact(state, caller, &instance, message.contact)?;
    let draft = draft(caller, &instance, contact.identifier);
    let of_contact = |error: Error| refusal(renamed(error, Field::To, CONTACT));
    let commands = &state.commands;
    let (sent, file) = match message.content {
        Content::Text(text) => {
            let draft = Draft { text: Some(text), ..draft };
            let sent = commands.send_now(caller.tenant, draft, waiting(deps)).await.map_err(of_contact)?;
            (sent, None)
        }
        Content::File { url, caption } => {
            let has_caption = caption.is_some();
            let draft = Draft { text: caption, ..draft };
            let fits = move |kind| fits(kind, has_caption);
            let sent = commands.send_fetched_now(caller.tenant, draft, &url, fits, waiting(deps)).await;
            sent.map_err(|error| of_contact(renamed(error, Field::Text, CAPTION)))?
        }
    };
    Ok(DirectSent {
        status: "success".to_owned(),
        message: SENT.to_owned(),
        whatsapp_message_id: accepted(sent)?,
        media_type: file.map_or(MediaType::Text, |file| file.kind.into()),
        media_file_id: file.map_or_else(String::new, |file| file.id.to_string()),
        source: "api".to_owned(),
    })
}

/// `DirectMessage` in the document.
pub(crate) struct DirectMessageSchema;

impl Declares for DirectMessageSchema {
    const NAME: &'static str = "DirectMessage";

    fn schema(_: &mut Registry) -> MetaSchema {
        let text = "The text, at most 64 KB. It arrives as it is written here. Required unless `media_url` is given; not both.";
        let url = "Public URL of the file, which is fetched now and sent as what it is by its content: image, video, audio or document.";
        let caption = "Text that is shown with the file. An audio file has none.";
        MetaSchema {
            description: Some("A text or a file to a contact of an instance."),
            required: vec![CONTACT, INSTANCE],
            properties: vec![
                (CONTACT, number_schema("Number of the contact, which must be known on the instance.", false)),
                (INSTANCE, number_schema("Number of the instance.", false)),
                (CONTENT, inline(MetaSchema { nullable: true, ..described(text) })),
                (URL, inline(MetaSchema { nullable: true, max_length: Some(MAX_URL_BYTES), ..described(url) })),
                (CAPTION, inline(MetaSchema { nullable: true, ..described(caption) })),
            ],
            example: Some(json!({"contact_id": 53, "instance_id": 4, "message_content": "Olá, tudo bem?"})),
            ..MetaSchema::new("object")
        }
    }
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct DirectSends;

impl pombo_api::Section for DirectSends {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Messages")]
impl DirectSends {
    /// Send a text or a file to a contact
    ///
    /// It goes ahead of the queue, and the answer comes once WhatsApp has accepted it. Outside of the 24 hours after the contact's last
    /// message WhatsApp takes only templates on an instance of its Cloud API: then it is refused with 400. It is refused with 400 too while
    /// an automation answers the contact.
    #[oai(path = "/sendmessage", method = "post", operation_id = "send_direct_message")]
    async fn send_direct_message(
        &self,
        caller: Caller,
        state: State<'_>,
        deps: Deps<'_>,
        body: JsonBytes<Declared<DirectMessageSchema>>,
    ) -> Result<SerdeJson<DirectSent>, Refused> {
        let message = body.object::<DirectFields<'_>>()?.checked()?;
        Ok(SerdeJson(send(&state, &caller, &deps, message).await?))
    }
}
