//! Section "Envio via Template/Campanha": a template, or that of a campaign, to a number. It begins a conversation and answers none, so
//! it is sent also while an automation answers there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use poem_openapi::registry::{MetaSchema, Registry};
use poem_openapi::{Object, OpenApi};
use pombo_api::declared::{Declared, Declares};
use pombo_api::error::Failure;
use pombo_api::fields::{Scalars, required};
use pombo_api::json::{JsonBytes, SerdeJson};
use pombo_api::json_fields;
use pombo_api::options::ApiState;
use pombo_domain::commands::contacts::{ContactDraft, ContactPatch, MAX_LINE_CHARS};
use pombo_domain::commands::messages::now::SentNow;
use pombo_domain::commands::messages::send::Draft;
use pombo_domain::model::template::{FEATURE, HeaderFormat, HeaderMedia, VariableProblem};
use pombo_domain::model::{Attachment, Campaign, Connector, ContactType, LabelKind, MessageOptions, Template};
use pombo_domain::{Error, ErrorCode, Field, FieldPath, FieldProblem};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::credentials::Caller;
use crate::errors::Refused;
use crate::sending::{Deps, State, about, accepted, draft, instances, is_instance, refusal, waiting};
use crate::values::{Number, described, inline, number, number_schema, required_number, variables};
use crate::{AideskDeps, Section};

const NUMBER: &str = "number";
const QUEUE: &str = "queue_id";
const STATUS: &str = "status_id";
const TEMPLATE: &str = "template_id";
const CAMPAIGN: &str = "campaign_id";
const NAME: &str = "contact_name";
const VARIABLES: &str = "variables";

/// The variable whose value is the template's header, where that is a file.
const HEADER: &str = "header";

/// The length of a file's id.
const ID_CHARS: usize = 36;

/// What a phone number has at most, in digits.
const MAX_DIGITS: usize = 15;

json_fields! {
    /// A template to a number.
    pub(crate) struct TemplateFields<'a> {
        number: "number" as Cow<'a, str>,
        queue_id: "queue_id" as Number,
        status_id: "status_id" as Number,
        template_id: "template_id" as Number,
        campaign_id: "campaign_id" as Number,
        contact_name: "contact_name" as Cow<'a, str>,
        variables: "variables" as Scalars,
    }
}

/// What names the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Template(u64),
    Campaign(u64),
}

impl Named {
    /// The field that it came in.
    fn field(self) -> &'static str {
        match self {
            Self::Template(_) => TEMPLATE,
            Self::Campaign(_) => CAMPAIGN,
        }
    }
}

/// A message that can be read.
struct TemplateMessage {
    to: String,
    queue: u64,
    status: u64,
    named: Named,
    name: Option<String>,
    variables: BTreeMap<String, String>,
}

impl TemplateFields<'_> {
    fn checked(self) -> Result<TemplateMessage, Failure> {
        let mut problems = Vec::new();
        let to = self.number.take(NUMBER, &mut problems).filter(|to| !to.trim().is_empty());
        let to = required(NUMBER, to, &mut problems).map(|to| to.trim().to_owned());
        let is_number = |to: &String| to.len() <= MAX_DIGITS && to.bytes().all(|byte| byte.is_ascii_digit());
        if to.as_ref().is_some_and(|to| !is_number(to)) {
            let message = "must be a phone number with country code, digits only, such as 5511978049825";
            problems.push(FieldProblem::new(NUMBER, message));
        }
        let queue = required_number(self.queue_id, QUEUE, &mut problems);
        let status = required_number(self.status_id, STATUS, &mut problems);
        let template = number(self.template_id, TEMPLATE, &mut problems);
        let campaign = number(self.campaign_id, CAMPAIGN, &mut problems);
        let named = named(template, campaign, &mut problems);
        let name = self.contact_name.take(NAME, &mut problems).map(|name| name.trim().to_owned());
        let name = name.filter(|name| !name.is_empty());
        if name.as_ref().is_some_and(|name| name.chars().count() > MAX_LINE_CHARS) {
            problems.push(FieldProblem::new(NAME, format!("must have at most {MAX_LINE_CHARS} characters")));
        }
        let variables = variables(self.variables.take(VARIABLES, &mut problems));
        let (Some(to), Some(queue), Some(status), Some(named), true) = (to, queue, status, named, problems.is_empty())
        else {
            return Err(Error::invalid_fields(problems).into());
        };
        Ok(TemplateMessage { to, queue, status, named, name, variables })
    }
}

/// One of the two ways to name the template, and only one.
fn named(template: Option<u64>, campaign: Option<u64>, problems: &mut Vec<FieldProblem>) -> Option<Named> {
    match (template, campaign) {
        (Some(number), None) => return Some(Named::Template(number)),
        (None, Some(number)) => return Some(Named::Campaign(number)),
        (Some(_), Some(_)) => {
            problems.push(FieldProblem::new(TEMPLATE, "give either this or campaign_id, not both"));
        }
        (None, None) => {
            // Something else may be wrong with the one that was given.
            let is_of = |problem: &FieldProblem| {
                [TEMPLATE, CAMPAIGN].iter().any(|name| problem.field == FieldPath::from(*name))
            };
            if !problems.iter().any(is_of) {
                problems.push(FieldProblem::new(TEMPLATE, "is required, unless campaign_id is given"));
            }
        }
    }
    None
}

/// The instance that a template is sent by: the one that the key is bound to; by a key of the tenant, its only one that can send
/// templates; if none can, its only one, which sends texts of the tenant's own.
fn sender(state: &ApiState, caller: &Caller) -> Result<Arc<Connector>, Failure> {
    if caller.own.is_some() {
        let refused =
            || about("apikey", "the API key is bound to a connector that is not an instance", Failure::unauthorized);
        return instances(state, caller)?.pop().ok_or_else(refused);
    }
    let mut able = state.commands.connectors_that_offer(caller.tenant, FEATURE)?;
    able.retain(|connector| is_instance(connector));
    let message = match (able.pop(), able.is_empty()) {
        (Some(only), true) => return Ok(only),
        (Some(_), false) => "several of your instances can send templates; use an API key that is bound to one of them",
        (None, _) => {
            let mut any = instances(state, caller)?;
            match (any.pop(), any.is_empty()) {
                (Some(only), true) => return Ok(only),
                (Some(_), false) => {
                    "none of your instances keeps templates, and you have several; use an API key that is bound to the instance to send by"
                }
                (None, _) => "you have no instance to send by; connect one first",
            }
        }
    };
    Err(about("apikey", message, Failure::bad_request))
}

/// What has this number; `None`, with a problem, if nothing has.
fn found<T>(
    number: u64,
    field: &'static str,
    what: &str,
    read: impl FnOnce(u32) -> pombo_domain::Result<T>,
    problems: &mut Vec<FieldProblem>,
) -> Result<Option<T>, Failure> {
    match u32::try_from(number).map(read) {
        Ok(Ok(found)) => return Ok(Some(found)),
        Ok(Err(error)) if error.code != ErrorCode::NotFound => return Err(error.into()),
        Ok(Err(_)) | Err(_) => {}
    }
    problems.push(FieldProblem::new(field, format!("is not the number of a {what}")));
    Ok(None)
}

/// What is to be sent: the template, and the campaign that it is a row of.
struct Chosen {
    template: Arc<Template>,
    campaign: Option<Campaign>,
}

/// The template that is named, directly or by a campaign, if the instance can send it now.
fn chosen(
    state: &ApiState,
    caller: &Caller,
    instance: &Connector,
    named: Named,
    problems: &mut Vec<FieldProblem>,
) -> Result<Option<Chosen>, Failure> {
    let commands = &state.commands;
    let field = named.field();
    let (number, campaign) = match named {
        Named::Template(number) => (number, None),
        Named::Campaign(number) => {
            let read = |number| commands.campaign_by_number(caller.tenant, number);
            let Some(campaign) = found(number, CAMPAIGN, "campaign", read, problems)? else { return Ok(None) };
            if !campaign.takes_direct() {
                let message = format!("this campaign is {}: nothing can be sent in its name", campaign.status);
                problems.push(FieldProblem::new(CAMPAIGN, message));
                return Ok(None);
            }
            if campaign.connector != instance.index {
                problems.push(FieldProblem::new(
                    CAMPAIGN,
                    "this campaign sends by another instance; use an API key of that one",
                ));
                return Ok(None);
            }
            (u64::from(campaign.template), Some(campaign))
        }
    };
    let read = |number| commands.template_by_number(caller.tenant, number);
    let Some(template) = found(number, field, "template", read, problems)? else { return Ok(None) };
    if template.connector.is_some_and(|connector| connector != instance.index) {
        let message = "this template is another instance's; use an API key of that one";
        problems.push(FieldProblem::new(field, message));
        return Ok(None);
    }
    if !template.is_sendable() {
        let message = format!("this template cannot be sent now: it is {}", template.status.as_str());
        problems.push(FieldProblem::new(field, message));
        return Ok(None);
    }
    Ok(Some(Chosen { template, campaign }))
}

/// What the template's header shows, with the message's file for it: a file of the tenant's that `variables` name by its id, or what the
/// campaign shows where they say nothing. A link stays among the variables.
async fn header(
    state: &ApiState,
    caller: &Caller,
    chosen: &Chosen,
    values: &mut BTreeMap<String, String>,
) -> Result<(Option<HeaderMedia>, Vec<Attachment>), Failure> {
    let is_file = chosen.template.header_shown().is_some_and(HeaderFormat::is_file);
    let id = values.get(HEADER).map(|value| value.trim()).filter(|value| is_file && value.len() == ID_CHARS);
    if let Some(id) = id.and_then(|value| Uuid::try_parse(value).ok()) {
        let wrong = |problem: &str| Error::invalid(Field::Variables.named(HEADER), problem);
        let file = state.commands.header_file(caller.tenant, id, None).await?;
        let file =
            file.ok_or_else(|| wrong("is not the id of a file of yours; upload it with POST /v1/media first"))?;
        let media = HeaderMedia::Attachment;
        if let Some(problem) = chosen.template.header_problem(&media, Some(&file)) {
            return Err(wrong(&problem).into());
        }
        values.remove(HEADER);
        return Ok((Some(media), vec![file]));
    }
    let says = |name: &String| name == HEADER || name.strip_prefix(HEADER).is_some_and(|rest| rest.starts_with('.'));
    let of_campaign = chosen.campaign.as_ref().and_then(|campaign| campaign.header.as_ref());
    match of_campaign.filter(|_| !values.keys().any(says)) {
        Some(shown) => Ok((Some(shown.media()), shown.file().cloned().into_iter().collect())),
        None => Ok((None, Vec::new())),
    }
}

/// Where the conversation is put.
struct Place {
    queue: u32,
    status: u32,
}

/// Keeps the contact, and puts the conversation into its queue and status. The message is on its way by now, so nothing here may fail
/// the request: whoever is told of a failure sends again.
async fn keep(state: &ApiState, caller: &Caller, instance: &Connector, chat: &str, name: Option<String>, place: Place) {
    let commands = &state.commands;
    let patch = ContactPatch { name: name.map(Some), ..ContactPatch::default() };
    let contact =
        ContactDraft { kind: ContactType::WhatsApp, identifier: chat.to_owned(), connectors: vec![instance.id], patch };
    if let Err(error) = commands.save_contact(caller.tenant, contact).await {
        tracing::warn!(code = ?error.code, "the contact of a message that was sent was not stored");
    }
    let (queue, status) = (Some(place.queue), Some(place.status));
    if let Err(error) = commands.sort_conversation(caller.tenant, instance.index, chat, queue, status).await {
        tracing::warn!(code = ?error.code, "the conversation of a message that was sent was not put into its queue");
    }
}

/// A message that WhatsApp accepted.
#[derive(Debug, Serialize, Object)]
struct TemplateSent {
    /// Always `true`.
    success: bool,
    /// WhatsApp's id of the message.
    message_id: String,
}

async fn send(
    state: &ApiState,
    caller: &Caller,
    deps: &AideskDeps,
    mut message: TemplateMessage,
) -> Result<TemplateSent, Failure> {
    let commands = &state.commands;
    let instance = sender(state, caller)?;
    let mut problems = Vec::new();
    let queue = found(
        message.queue,
        QUEUE,
        "queue",
        |number| commands.label_by_number(caller.tenant, LabelKind::Queue, number),
        &mut problems,
    )?;
    let status = found(
        message.status,
        STATUS,
        "status",
        |number| commands.label_by_number(caller.tenant, LabelKind::Status, number),
        &mut problems,
    )?;
    let chosen = chosen(state, caller, &instance, message.named, &mut problems)?;
    let (Some(queue), Some(status), Some(chosen)) = (queue, status, chosen) else {
        return Err(Error::invalid_fields(problems).into());
    };
    let (header, attachments) = header(state, caller, &chosen, &mut message.variables).await?;
    let Chosen { template, campaign } = chosen;
    let cleans = commands.cleans_values(&instance);
    let filled = template.fill_for_send(&message.variables, header.as_ref(), cleans).map_err(|wrong| {
        let problem = |one: VariableProblem| FieldProblem::new(Field::Variables.named(one.name), one.problem);
        Error::invalid_fields(wrong.into_iter().map(problem).collect())
    })?;
    let chat = commands.checked_chat(caller.tenant, instance.id, &message.to).await.map_err(refusal)?;
    let options = MessageOptions {
        action: filled.action,
        template: Some(template.number),
        campaign: campaign.map(|campaign| campaign.number),
        ..MessageOptions::default()
    };
    let draft = Draft {
        text: Some(filled.text.into()),
        contact_name: message.name.clone().map(Cow::Owned),
        message_type: filled.message_type,
        attachments,
        in_spite_of_automation: true,
        options,
        ..draft(caller, &instance, chat.clone())
    };
    let sent = commands.send_now(caller.tenant, draft, waiting(deps)).await.map_err(refusal)?;
    if matches!(sent, SentNow::Sent { .. } | SentNow::Pending { .. } | SentNow::Unknown { .. }) {
        let place = Place { queue: queue.number, status: status.number };
        keep(state, caller, &instance, &chat, message.name, place).await;
    }
    Ok(TemplateSent { success: true, message_id: accepted(sent)? })
}

/// `TemplateMessage` in the document.
pub(crate) struct TemplateMessageSchema;

impl Declares for TemplateMessageSchema {
    const NAME: &'static str = "TemplateMessage";

    fn schema(_: &mut Registry) -> MetaSchema {
        let to = MetaSchema {
            min_length: Some(1),
            max_length: Some(MAX_DIGITS),
            pattern: Some("^[0-9]+$".to_owned()),
            ..described("Phone number with country code, digits only.")
        };
        let name = "Name of the contact, which is created with it or gets it.";
        let values = MetaSchema {
            description: Some(
                "Values of the template's variables, each a text, a number or a boolean, by the variable's name. Where variables are \
                numbered: by the number, or by the name that the template's `variableNames` give it. A header that is a picture, a video or a document is the \
                variable `header`: a link to a file, or the id of one that was uploaded with `POST /v1/media`. Of a campaign, its own \
                header is shown if none is given.",
            ),
            nullable: true,
            ..MetaSchema::new("object")
        };
        MetaSchema {
            description: Some("A template to a number. Exactly one of `template_id` and `campaign_id` is given."),
            required: vec![NUMBER, QUEUE, STATUS],
            properties: vec![
                (NUMBER, inline(to)),
                (QUEUE, number_schema("Number of the queue that the conversation is put into.", false)),
                (STATUS, number_schema("Number of the status that the conversation gets.", false)),
                (TEMPLATE, number_schema("Number of the template.", true)),
                (
                    CAMPAIGN,
                    number_schema(
                        "Number of the campaign whose template it is; the message counts as a row of it.",
                        true,
                    ),
                ),
                (NAME, inline(MetaSchema { nullable: true, max_length: Some(MAX_LINE_CHARS), ..described(name) })),
                (VARIABLES, inline(values)),
            ],
            example: Some(json!({
                "number": "5511978049825", "template_id": 15, "variables": {"nome": "João", "codigo": "ABC123"},
                "queue_id": 5, "status_id": 1
            })),
            ..MetaSchema::new("object")
        }
    }
}

/// Handlers of the section.
#[derive(Default)]
pub(crate) struct TemplateSends;

impl pombo_api::Section for TemplateSends {
    const FILE: &'static str = file!();
}

#[OpenApi(tag = "Section::Templates")]
impl TemplateSends {
    /// Send a template to a number
    ///
    /// By the instance that the key is bound to; by a key of the tenant, by its only instance that can send templates, or by its only instance
    /// where none can. The answer comes once WhatsApp has accepted the message. Then the contact is kept, and the conversation has the queue
    /// and the status.
    #[oai(path = "/send-message", method = "post", operation_id = "send_template_message")]
    async fn send_template_message(
        &self,
        caller: Caller,
        state: State<'_>,
        deps: Deps<'_>,
        body: JsonBytes<Declared<TemplateMessageSchema>>,
    ) -> Result<SerdeJson<TemplateSent>, Refused> {
        let message = body.object::<TemplateFields<'_>>()?.checked()?;
        Ok(SerdeJson(send(&state, &caller, &deps, message).await?))
    }
}
