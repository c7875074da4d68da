//! Takes messages in, one or a thousand through the same code: check every row, have the connector's plugin normalise the
//! recipients and the renderer try the templates (one call each for all rows), then commit the good rows together with their
//! contacts and the idempotency key. A bad row refuses itself only.
//!
//! Nothing here waits per row: the two calls into plugins and the commit are the only awaits.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::commands::Commands;
use crate::model::message::MessageAction;
use crate::model::{
    Attachment, Connector, Contact, ContactType, Message, MessageOptions, MessageType, NewMessage, Status,
    StoredMessage, Variables,
};
use crate::ports::{Batch, Change, ChatChange, Conflict, Insert, NewIdempotency, RenderError, RenderJob, StoreError};
use crate::{Error, ErrorCode, Field, FieldProblem, MessageKey, Result, TenantIndex, Timestamp};

mod checks;
mod replay;

pub use checks::{
    DEFAULT_PRIORITY, MAX_DAYS_AHEAD, MAX_EXTERNAL_ID_CHARS, MAX_FILES, MAX_NAME_CHARS, MAX_NOTES_CHARS,
    MAX_SUBJECT_CHARS,
};
pub use checks::{MAX_TO_BYTES, MAX_URL_BYTES};

/// The most messages of one bulk.
pub const MAX_BULK: usize = 1000;

/// How often a contact that somebody else creates at the same moment is looked up again.
const CONTACT_RETRIES: usize = 8;

/// A message as a caller asks for it, its values typed and not yet checked. Empty by default. A facade parses what its callers
/// write (ids, dates, names of categories) and notes in [`Self::problems`] what it cannot read.
#[derive(Clone, Default)]
pub struct Draft<'a> {
    /// The connector's public id, required. An id of nothing is not found.
    pub connector: Option<Uuid>,
    /// The recipient as the caller wrote it, required.
    pub to: Option<Cow<'a, str>>,
    /// The text or template, required unless [`Self::wordless`] or the action say otherwise.
    pub text: Option<Cow<'a, str>>,
    /// A file without words is a message too.
    pub wordless: bool,
    /// The subject, a template, for channels that have one.
    pub subject: Option<Cow<'a, str>>,
    /// The recipient's name, kept with the contact.
    pub contact_name: Option<Cow<'a, str>>,
    /// The category.
    pub message_type: MessageType,
    /// 1 to 10, 10 goes first; [`DEFAULT_PRIORITY`] where left out. Any other number is refused.
    pub priority: Option<u8>,
    /// Not before this instant. Any instant in the past means at once.
    pub scheduled_at: Option<Timestamp>,
    /// Waits until a person approves it.
    pub requires_approval: bool,
    /// Ahead of the queue and its pace.
    pub force_direct: bool,
    /// Internal remarks, never sent.
    pub notes: Option<Cow<'a, str>>,
    /// Is told of each change of status.
    pub webhook_url: Option<Cow<'a, str>>,
    /// The caller's reference.
    pub external_id: Option<Cow<'a, str>>,
    /// Files already in the tenant's media.
    pub attachments: Vec<Attachment>,
    /// A file that the engine fetches once, before the first attempt.
    pub attachment_url: Option<Cow<'a, str>>,
    /// Values for the template.
    pub variables: Option<Variables>,
    /// What only some channels can do.
    pub options: MessageOptions,
    /// A person sends it: refused into a conversation that an automation answers.
    pub manual: bool,
    /// It is sent at once, but is not an answer in a conversation: taken also while an automation answers there. Only of
    /// [`Commands::send_now`], which takes every other message for one that a person sends.
    pub in_spite_of_automation: bool,
    /// Who sends it, as [`crate::commands::access::actor::Actor::by`]: kept with the message, for the timeline of its conversation. Only
    /// of a message that is sent alone.
    pub author: Option<Cow<'a, str>>,
    /// What the facade found wrong while parsing; joined with what is found here. With one of [`Field::Row`], nothing else of the
    /// row is looked at.
    pub problems: Vec<FieldProblem>,
}

impl Draft<'_> {
    /// Whether it says nothing without a text.
    fn needs_text(&self) -> bool {
        match self.options.action {
            MessageAction::React(_) | MessageAction::Revoke(_) | MessageAction::Other(_) => false,
            MessageAction::Edit(_) => true,
            MessageAction::Say => !(self.wordless && (!self.attachments.is_empty() || self.attachment_url.is_some())),
        }
    }
}

/// A row that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The message's id.
    pub id: Uuid,
    /// Its first status.
    pub status: Status,
    /// When it was taken.
    pub created_at: Timestamp,
}

/// What became of a row. The fields of an error are the row's own: `to`, not `messages[3].to`.
pub type Row = Result<Accepted>;

/// An idempotency key with what it was sent for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    key: [u8; 32],
    request: [u8; 32],
}

impl Idempotency {
    /// The longest key, in characters.
    pub const MAX_CHARS: usize = 255;

    /// What a key must be.
    pub fn rule() -> String {
        format!("must be 1 to {} visible ASCII characters without spaces", Self::MAX_CHARS)
    }

    /// `key` as the caller sent it with a request to `operation` whose content has the SHA-256 `request`.
    pub fn new(operation: &str, key: &str, request: [u8; 32]) -> Result<Self> {
        let visible = key.bytes().all(|b| (0x21..=0x7e).contains(&b));
        if key.is_empty() || key.len() > Self::MAX_CHARS || !visible {
            return Err(Error::invalid(Field::IdempotencyKey, Self::rule()));
        }
        let key = Sha256::new().chain_update(operation).chain_update([0]).chain_update(key).finalize().into();
        Ok(Self { key, request })
    }
}

/// A row on its way through the checks.
struct Candidate {
    /// Its place in the request.
    row: usize,
    /// See [`Draft::manual`].
    manual: bool,
    connector: Arc<Connector>,
    content: NewMessage,
    /// The request names the contact.
    named: bool,
    kind: Option<ContactType>,
    contact: Option<Contact>,
}

/// What the checks left: the good rows, and for every row that is not good its error.
struct Checked {
    good: Vec<Candidate>,
    rows: Vec<Option<Error>>,
}

impl Commands {
    /// Takes one message.
    pub async fn send(
        &self,
        tenant: TenantIndex,
        draft: &Draft<'_>,
        idempotency: Option<Idempotency>,
    ) -> Result<StoredMessage> {
        let (rows, mut kept) = self.take(tenant, std::slice::from_ref(draft), idempotency, true).await?;
        for row in rows {
            row?;
        }
        kept.pop().ok_or_else(|| Error::internal("a message was accepted but not stored"))
    }

    /// Takes up to [`MAX_BULK`] messages; says of each row what became of it. The good ones are in one batch.
    pub async fn send_bulk(
        &self,
        tenant: TenantIndex,
        drafts: &[Draft<'_>],
        idempotency: Option<Idempotency>,
    ) -> Result<Vec<Row>> {
        if drafts.is_empty() {
            return Err(Error::invalid(Field::Messages, "must contain at least one message"));
        }
        if drafts.len() > MAX_BULK {
            let message =
                format!("must contain at most {MAX_BULK} messages; split {} into several requests", drafts.len());
            return Err(Error::invalid(Field::Messages, message));
        }
        let (rows, _) = self.take(tenant, drafts, idempotency, false).await?;
        // Nothing is wrong with the request then: the same may be taken later.
        if rows.iter().all(|row| row.as_ref().is_err_and(|error| error.code == ErrorCode::Unavailable)) {
            return Err(rows.into_iter().find_map(Result::err).unwrap_or_else(|| unavailable(String::new())));
        }
        Ok(rows)
    }

    /// With `keep`, the messages come back whole.
    async fn take(
        &self,
        tenant: TenantIndex,
        drafts: &[Draft<'_>],
        idempotency: Option<Idempotency>,
        keep: bool,
    ) -> Result<(Vec<Row>, Vec<StoredMessage>)> {
        let store = &self.ports().store;
        for _ in 0..CONTACT_RETRIES {
            if let Some(known) = &idempotency
                && let Some(record) = store.idempotency(tenant, &known.key)?
            {
                return self.replayed(tenant, known, &record, drafts.len());
            }
            let Checked { good, rows } = self.checked(tenant, drafts).await?;
            if good.is_empty() {
                return Ok((joined(rows, Vec::new()), Vec::new()));
            }
            let mut changes = self.contact_changes(tenant, &good);
            let births: Vec<_> = good.iter().map(|c| (c.content.requires_approval, c.content.scheduled_at)).collect();
            let messages: Vec<NewMessage> = good.into_iter().map(|candidate| candidate.content).collect();
            let copies = if keep { messages.clone() } else { Vec::new() };
            let idempotency = idempotency.as_ref().map(|known| NewIdempotency {
                key: known.key,
                request: known.request,
                extra: replay::refused_rows(&rows),
            });
            changes.push(Change::Insert(Insert { tenant, messages, idempotency }));
            if let [Draft { author: Some(by), .. }] = drafts {
                changes.push(Change::Chat(Box::new(ChatChange::Author(by.clone().into_owned()))));
            }
            let committed = match store.commit(Batch::of(changes)).await {
                Ok(committed) => committed,
                // Somebody else was faster: look again.
                Err(StoreError::Conflict(Conflict::Contact | Conflict::IdempotencyKey)) => continue,
                Err(error) => return Err(error.into()),
            };
            if committed.inserted.len() != births.len() {
                return Err(Error::internal("the store inserted a different number of messages than it was given"));
            }
            let inserted = committed.inserted.iter().zip(&births);
            let accepted = inserted.map(|((_, id, created_at), (approval, scheduled))| Accepted {
                id: *id,
                status: Status::at_birth(*approval, *scheduled, *created_at),
                created_at: *created_at,
            });
            let accepted = accepted.collect();
            let kept = committed.inserted.iter().zip(copies).map(newborn).collect();
            return Ok((joined(rows, accepted), kept));
        }
        Err(Error::conflict("the contact or idempotency key is being changed by other requests; repeat the request"))
    }

    /// Whether a message would be taken now. Stores nothing.
    pub(super) async fn check_draft(&self, tenant: TenantIndex, draft: &Draft<'_>) -> Result<()> {
        let checked = self.checked(tenant, std::slice::from_ref(draft)).await?;
        checked.rows.into_iter().flatten().next().map_or(Ok(()), Err)
    }

    async fn checked(&self, tenant: TenantIndex, drafts: &[Draft<'_>]) -> Result<Checked> {
        let mut checked = self.check_rows(tenant, drafts)?;
        self.check_recipients(&mut checked).await?;
        self.check_automations(&mut checked)?;
        self.check_contacts(tenant, &mut checked)?;
        self.check_templates(&mut checked).await?;
        Ok(checked)
    }

    /// Has each plugin normalise the recipients of all its rows with one call.
    async fn check_recipients(&self, checked: &mut Checked) -> Result<()> {
        let mut plugins: Vec<Arc<Connector>> = Vec::new();
        for candidate in &checked.good {
            if !plugins.iter().any(|known| known.plugin == candidate.connector.plugin) {
                plugins.push(candidate.connector.clone());
            }
        }
        let mut refused = Vec::new();
        for plugin in plugins {
            let rows = || (0..checked.good.len()).filter(|i| checked.good[*i].connector.plugin == plugin.plugin);
            let of_plugin: Vec<usize> = rows().collect();
            let recipients =
                of_plugin.iter().map(|i| std::mem::take(&mut checked.good[*i].content.to)).collect::<Vec<_>>();
            let answers = match self.ports().connectors.check_recipients(&plugin.plugin, recipients).await {
                Ok(answers) if answers.len() == of_plugin.len() => answers,
                Ok(_) => return Err(Error::internal("a plugin answered for a different number of recipients")),
                // Another connector's rows need not wait for it.
                Err(error) => {
                    let error = unavailable(error.to_string());
                    refused.extend(of_plugin.iter().map(|i| (checked.good[*i].row, error.clone())));
                    continue;
                }
            };
            for (i, answer) in of_plugin.into_iter().zip(answers) {
                match answer {
                    Ok(to) => checked.good[i].content.to = to,
                    Err(reason) => refused.push((checked.good[i].row, Error::invalid(Field::To, reason))),
                }
            }
        }
        checked.refuse(refused);
        Ok(())
    }

    /// Refuses what a person sends into a conversation that an automation answers.
    fn check_automations(&self, checked: &mut Checked) -> Result<()> {
        let mut refused = Vec::new();
        for candidate in checked.good.iter().filter(|candidate| candidate.manual) {
            match self.must_not_be_automated(&candidate.connector, &candidate.content.to) {
                Ok(()) => {}
                Err(error) if error.code == ErrorCode::AutomationActive => refused.push((candidate.row, error)),
                Err(error) => return Err(error),
            }
        }
        checked.refuse(refused);
        Ok(())
    }

    /// Refuses rows to contacts that opted out, and gives the others the name that is on file when the request has none.
    fn check_contacts(&self, tenant: TenantIndex, checked: &mut Checked) -> Result<()> {
        let mut refused = Vec::new();
        for candidate in &mut checked.good {
            let Some(kind) = candidate.kind else { continue };
            let Some((contact, active)) = self.addressee(tenant, kind, &candidate.content.to)? else {
                let address = kind.identifier(&candidate.content.to);
                if self.ports().store.opt_out(tenant, kind, &address)?.is_some() {
                    let message = "this address opted out; add it as a contact and activate that before sending to it";
                    refused.push((candidate.row, Error::invalid(Field::To, message)));
                }
                continue;
            };
            if !active {
                let message = "this contact is inactive (opted out); activate it before sending to it";
                refused.push((candidate.row, Error::invalid(Field::To, message)));
            } else if candidate.content.contact_name.is_none() {
                candidate.content.contact_name = contact.display_name().map(str::to_owned);
            }
            candidate.contact = Some(contact);
        }
        checked.refuse(refused);
        Ok(())
    }

    /// The contact behind an address, and whether it may be sent to: an opt-out under any of its addresses counts.
    pub(in crate::commands) fn addressee(
        &self,
        tenant: TenantIndex,
        kind: ContactType,
        to: &str,
    ) -> Result<Option<(Contact, bool)>> {
        let store = &self.ports().store;
        let Some(contact) = store.contact(tenant, kind, &kind.identifier(to))? else { return Ok(None) };
        let mut active = contact.active;
        if active {
            // An address that was a contact of its own, before it was known to be another one of this contact.
            for alias in store.contact_aliases(tenant, kind, &contact.identifier)? {
                active &= store.contact(tenant, kind, &alias)?.is_none_or(|other| other.active);
            }
        }
        Ok(Some((contact, active)))
    }

    /// Renders the rows that are templates once, all with one call, so that a bad one is refused now and not when it is due.
    async fn check_templates(&self, checked: &mut Checked) -> Result<()> {
        let mut jobs = Vec::new();
        let mut places = Vec::new();
        let mut last: Option<Arc<str>> = None;
        let is_rendered = |candidate: &&Candidate| !matches!(candidate.content.options.action, MessageAction::Other(_));
        for candidate in checked.good.iter().filter(is_rendered) {
            let content = &candidate.content;
            let texts = [(Field::Text, Some(content.text.as_str())), (Field::Subject, content.subject.as_deref())];
            let templates = texts.into_iter().filter_map(|(field, text)| Some((field, text?)));
            let mut variables: Option<Arc<str>> = None;
            for (field, text) in templates.filter(|(_, text)| text.as_bytes().contains(&b'{')) {
                // A campaign's rows share their template.
                let template = match &last {
                    Some(same) if **same == *text => same.clone(),
                    _ => Arc::from(text),
                };
                last = Some(template.clone());
                let variables = variables.get_or_insert_with(|| content.template_variables().into()).clone();
                jobs.push(RenderJob { template, seed: self.ports().entropy.u64(), variables });
                places.push((candidate.row, field));
            }
        }
        if jobs.is_empty() {
            return Ok(());
        }
        let rendered = self.ports().renderer.render(jobs).await;
        let mut refused = Vec::new();
        for ((row, field), outcome) in places.into_iter().zip(rendered) {
            match outcome {
                Ok(text) if field == Field::Text && text.trim().is_empty() => {
                    refused.push((row, Error::invalid(field, "the template renders to an empty text")));
                }
                Ok(_) => {}
                Err(RenderError::Template(problem)) => {
                    let message = RenderError::Template(problem).to_string();
                    refused.push((row, Error::invalid(field, message)));
                }
                Err(error @ RenderError::Unavailable(_)) => refused.push((row, unavailable(error.to_string()))),
            }
        }
        checked.refuse(refused);
        Ok(())
    }

    /// The contacts that the good rows create or rename; of several rows to one contact the last name counts.
    fn contact_changes(&self, tenant: TenantIndex, good: &[Candidate]) -> Vec<Change> {
        let now = self.ports().clock.now();
        let mut changed: HashMap<(ContactType, Cow<'_, str>), Contact> = HashMap::new();
        for candidate in good.iter().filter(|candidate| candidate.named) {
            let Some(kind) = candidate.kind else { continue };
            // One contact has several addresses.
            let identifier = match &candidate.contact {
                Some(known) => Cow::Borrowed(known.identifier.as_str()),
                None => kind.identifier(&candidate.content.to),
            };
            let name = candidate.content.contact_name.clone();
            if let Some(contact) = changed.get_mut(&(kind, identifier.clone())) {
                contact.name = name;
                continue;
            }
            match &candidate.contact {
                Some(known) if known.name == name => {}
                Some(known) => {
                    changed.insert((kind, identifier), Contact { name, updated_at: now, ..known.clone() });
                }
                None => {
                    let id = self.ports().entropy.uuid();
                    let contact = Contact { name, ..Contact::new(id, tenant, kind, identifier.clone(), now) };
                    changed.insert((kind, identifier), contact);
                }
            }
        }
        changed.into_values().map(Change::Contact).collect()
    }
}

impl Checked {
    /// Takes rows out of the good ones; the problems of one row are joined.
    fn refuse(&mut self, refused: Vec<(usize, Error)>) {
        if refused.is_empty() {
            return;
        }
        for (row, error) in refused {
            let slot = &mut self.rows[row];
            *slot = Some(match slot.take() {
                Some(earlier) if earlier.code == ErrorCode::Invalid && error.code == ErrorCode::Invalid => {
                    Error::invalid_fields(earlier.fields.into_iter().chain(error.fields).collect())
                }
                Some(earlier) => earlier,
                None => error,
            });
        }
        self.good.retain(|candidate| self.rows[candidate.row].is_none());
    }
}

/// A plugin that the rows need does not answer.
fn unavailable(message: String) -> Error {
    Error { retry_after_ms: Some(1_000), ..Error::new(ErrorCode::Unavailable, message) }
}

/// The rows in the order of the request.
fn joined(rows: Vec<Option<Error>>, accepted: Vec<Accepted>) -> Vec<Row> {
    let mut accepted = accepted.into_iter();
    let missing = || Error::internal("a row was neither accepted nor refused");
    rows.into_iter().map(|row| row.map_or_else(|| accepted.next().ok_or_else(missing), Err)).collect()
}

fn newborn(((key, id, created_at), content): (&(MessageKey, Uuid, Timestamp), NewMessage)) -> StoredMessage {
    let message = Message { id: *id, key: *key, created_at: *created_at, content };
    let state = message.initial_state();
    StoredMessage { message, state }
}
