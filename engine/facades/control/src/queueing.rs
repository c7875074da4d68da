//! How every section queues a message: the key that makes it safe to repeat the request, the checks of what only the facade sees,
//! and the answer.

use std::borrow::Cow;
use std::collections::BTreeMap;

use poem_openapi::payload::Json;
use pombo_domain::commands::messages::send::{Draft, Idempotency};
use pombo_domain::commands::messages::transitions::MessageView;
use pombo_domain::commands::templates::TemplateSend;
use pombo_domain::model::template::HeaderMedia;
use pombo_domain::model::variables::escaped;
use pombo_domain::{Error, Field, FieldProblem, TenantIndex, model};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::wire::message::Message;
use crate::wire::send::{AttachedFile, HeaderLocation, SendMessage, TemplateHeader};
use crate::wire::{BODY, CONFLICT, Created, READ, Refused, WRITE};
use pombo_api::declared::{KeyHeader, Param};
use pombo_api::error::Failure;
use pombo_api::options::ApiState;

/// The answer of an operation that queues a message: the message.
pub(crate) type Queued = Result<Created<Message>, Refused<{ READ | BODY | WRITE | CONFLICT }>>;

/// The key of a request to `operation` on the thing `id`.
pub(crate) fn idempotency(
    operation: &str,
    key: KeyHeader,
    id: Uuid,
    body: &[u8],
) -> Result<Option<Idempotency>, Failure> {
    let Some(Param(key)) = key.0 else { return Ok(None) };
    let request = Sha256::new().chain_update(id.as_bytes()).chain_update(body).finalize().into();
    Ok(Some(Idempotency::new(operation, &key, request)?))
}

/// The uploaded files, each with its size on disk.
async fn attached(
    state: &ApiState,
    tenant: TenantIndex,
    files: Vec<AttachedFile>,
) -> Result<Vec<model::Attachment>, Failure> {
    let mut attachments = Vec::with_capacity(files.len());
    let mut problems = Vec::new();
    for (i, file) in files.into_iter().enumerate() {
        let mut problem = |part: &str, message: &str| {
            problems.push(FieldProblem::new(Field::Attachments.at(i).named(part), message));
        };
        let file_name = file.file_name.unwrap_or_else(|| file.id.to_string());
        let bad = |c: char| c.is_control() || matches!(c, '/' | '\\');
        if file_name.is_empty() || file_name.chars().count() > 255 || file_name.contains(bad) {
            problem("fileName", "must have 1 to 255 characters, without control characters and slashes");
        }
        let content_type = file.content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
        if !is_mime(&content_type) {
            problem("contentType", "must be a MIME type such as image/png");
        }
        match state.commands.media().stat(tenant, file.id).await {
            Ok(Some(size)) => attachments.push(model::Attachment { id: file.id, file_name, content_type, size }),
            Ok(None) => problem("id", "is not a file of this tenant; upload it first"),
            Err(error) => return Err(Failure::internal(format!("looking for a media file: {error}"))),
        }
    }
    if problems.is_empty() { Ok(attachments) } else { Err(Error::invalid_fields(problems).into()) }
}

fn is_mime(text: &str) -> bool {
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b));
    text.len() <= 127 && text.split_once('/').is_some_and(|(kind, of)| token(kind) && token(of))
}

/// Variables are scalars; a list or an object has no place in a text.
fn scalars(variables: &BTreeMap<String, Value>) -> Result<(), Failure> {
    let problems: Vec<FieldProblem> = variables
        .iter()
        .filter(|(_, value)| value.is_array() || value.is_object() || value.is_null())
        .map(|(name, _)| {
            let name: String = name.chars().take(60).collect();
            FieldProblem::new(Field::Variables.named(name), "must be a text, a number, true or false")
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid_fields(problems).into()) }
}

/// The answer: the message that was queued.
pub(crate) fn queued(state: &ApiState, connector_id: Uuid, stored: model::StoredMessage) -> Created<Message> {
    Created::Made(Json(Message::of(MessageView { stored, connector_id }, None, None, state)))
}

/// A template's variables as texts.
fn texts(variables: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    variables.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// What goes with a template's header, and the file that the message gets for it.
async fn header(
    state: &ApiState,
    tenant: TenantIndex,
    header: Option<TemplateHeader>,
) -> Result<(Option<HeaderMedia>, Vec<model::Attachment>), Failure> {
    Ok(match header {
        None => (None, Vec::new()),
        Some(TemplateHeader { link: Some(link), file: None, location: None }) => {
            (Some(HeaderMedia::Link(link)), Vec::new())
        }
        Some(TemplateHeader { link: None, file: Some(file), location: None }) => {
            let is_said = file.content_type.is_some();
            let mut files = attached(state, tenant, vec![file]).await?;
            // What nobody says, the content does: a channel takes no file without a type.
            for file in files.iter_mut().filter(|_| !is_said) {
                if let Some(found) = state.commands.header_file(tenant, file.id, Some(file.file_name.clone())).await? {
                    file.content_type = found.content_type;
                }
            }
            (Some(HeaderMedia::Attachment), files)
        }
        Some(TemplateHeader { link: None, file: None, location: Some(at) }) => {
            let HeaderLocation { latitude, longitude, title, address } = at.checked()?;
            (Some(HeaderMedia::Location { latitude, longitude, title, address }), Vec::new())
        }
        Some(_) => return Err(Error::invalid(Field::Header, "must have exactly one of link, file and location").into()),
    })
}

/// What a template or content of a plugin's own excludes.
fn alone(request: &SendMessage, with: &str) -> Result<(), Failure> {
    let is_template = request.template_id.is_some();
    let given = [
        (Field::Text, is_template && request.text.is_some()),
        (Field::Content, is_template && request.content.is_some()),
        (Field::MessageType, is_template && request.message_type.is_some()),
        (Field::Header, !is_template && request.header.is_some()),
        (Field::Variables, !is_template && !request.variables.is_empty()),
        (Field::Subject, request.subject.is_some()),
        (Field::Attachments, !request.attachments.is_empty()),
        (Field::AttachmentUrl, request.attachment_url.is_some()),
        (Field::Mentions, !request.mentions.is_empty()),
    ];
    let problem = |field: Field| FieldProblem::new(field, format!("does not go with {with}"));
    let problems: Vec<_> = given.into_iter().filter(|(_, given)| *given).map(|(field, _)| problem(field)).collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid_fields(problems).into()) }
}

/// Puts in what a template says, or what people read of content of a plugin's own.
async fn prepared(
    state: &ApiState,
    tenant: TenantIndex,
    connector: Uuid,
    request: &mut SendMessage,
    options: &mut model::MessageOptions,
    attachments: &mut Vec<model::Attachment>,
) -> Result<(), Failure> {
    if let Some(template) = request.template_id {
        alone(request, "templateId")?;
        let (header, files) = header(state, tenant, request.header.take()).await?;
        let values = texts(&std::mem::take(&mut request.variables));
        let send = TemplateSend { template, values, header };
        let (template, filled) = state.commands.fill_template(tenant, connector, &send)?;
        request.text = Some(filled.draft_text());
        request.message_type = Some(filled.message_type.into());
        options.action = filled.action;
        options.template = Some(template.number);
        *attachments = files;
    } else if let Some(content) = request.content.take() {
        alone(request, "content")?;
        request.text = request.text.take().map(|text| escaped(&text));
        options.action = model::MessageAction::Other(content.named());
    } else if request.header.is_some() {
        return Err(Error::invalid(Field::Header, "goes with templateId").into());
    }
    Ok(())
}

/// Queues a message; `by` sends it, see [`Draft::author`].
pub(crate) async fn send_to(
    state: &ApiState,
    tenant: TenantIndex,
    connector: Uuid,
    mut request: SendMessage,
    key: Option<Idempotency>,
    by: Option<String>,
) -> Result<Created<Message>, Failure> {
    scalars(&request.variables)?;
    let mut attachments = attached(state, tenant, request.attachments.clone()).await?;
    let reply_to = request.reply_to.take().map(|reference| reference.named("replyTo")).transpose()?;
    let commands = &state.commands;
    let mentions = request.mentions.clone();
    let mut options = commands.message_options(tenant, connector, reply_to, mentions, request.voice_note).await?;
    prepared(state, tenant, connector, &mut request, &mut options, &mut attachments).await?;
    let draft = Draft {
        connector: Some(connector),
        to: Some(Cow::Owned(request.to)),
        text: request.text.map(Cow::Owned),
        wordless: true,
        subject: request.subject.map(Cow::Owned),
        contact_name: request.contact_name.map(Cow::Owned),
        message_type: request.message_type.map(model::MessageType::from).unwrap_or_default(),
        priority: request.priority,
        scheduled_at: request.scheduled_at.map(|at| at.0),
        requires_approval: request.requires_approval,
        force_direct: request.force_direct,
        notes: request.notes.map(Cow::Owned),
        webhook_url: request.webhook_url.map(Cow::Owned),
        external_id: request.external_id.map(Cow::Owned),
        attachments,
        attachment_url: request.attachment_url.map(Cow::Owned),
        variables: model::Variables::of(request.variables.into_iter().collect()),
        options,
        manual: !request.during_automation,
        in_spite_of_automation: false,
        author: by.map(Cow::Owned),
        problems: Vec::new(),
    };
    let stored = commands.send(tenant, &draft, key).await?;
    Ok(queued(state, connector, stored))
}
