//! The checks of one row that need no plugin: which fields there must be, their kinds and limits, the connector, the URLs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::{Candidate, Checked, Draft};
use crate::commands::Commands;
use crate::commands::connectors::offering::check_offered;
use crate::commands::connectors::unknown_connector;
use crate::commands::messages::preview::MAX_VARIABLES_BYTES;
use crate::model::message::MAX_TEXT_BYTES;
use crate::model::{Connector, ConnectorStatus, ContactType, MessageOptions, NewMessage};
use crate::{Error, Field, FieldProblem, Result, TenantIndex, Timestamp};

/// The longest recipient, in bytes: an e-mail address has at most 254.
pub const MAX_TO_BYTES: usize = 320;
/// The longest name of a recipient, in characters.
pub const MAX_NAME_CHARS: usize = 255;
/// The longest subject, in characters.
pub const MAX_SUBJECT_CHARS: usize = 500;
/// The longest notes, in characters.
pub const MAX_NOTES_CHARS: usize = 4000;
/// The longest reference of the caller, in characters.
pub const MAX_EXTERNAL_ID_CHARS: usize = 255;
/// The longest URL, in bytes.
pub const MAX_URL_BYTES: usize = 2048;
/// The most files of one message.
pub const MAX_FILES: usize = 10;
/// How far ahead a message may be scheduled.
pub const MAX_DAYS_AHEAD: i64 = 366;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The priority of a message whose caller says none.
pub const DEFAULT_PRIORITY: u8 = 5;

/// Finds connectors, each once: the rows of a bulk mostly share one.
struct ConnectorsOf<'c> {
    commands: &'c Commands,
    tenant: TenantIndex,
    known: HashMap<Uuid, Option<Arc<Connector>>>,
}

impl ConnectorsOf<'_> {
    fn find(&mut self, id: Uuid) -> Result<Option<Arc<Connector>>> {
        if let Some(known) = self.known.get(&id) {
            return Ok(known.clone());
        }
        let found = self.commands.ports().store.connector_by_id(self.tenant, id)?;
        let found = found.filter(|connector| connector.status != ConnectorStatus::Deleted);
        self.known.insert(id, found.clone());
        Ok(found)
    }
}

impl Commands {
    /// Checks each draft by itself.
    pub(super) fn check_rows(&self, tenant: TenantIndex, drafts: &[Draft<'_>]) -> Result<Checked> {
        let now = self.ports().clock.now();
        let mut connectors = ConnectorsOf { commands: self, tenant, known: HashMap::new() };
        let mut checked = Checked { good: Vec::with_capacity(drafts.len()), rows: Vec::with_capacity(drafts.len()) };
        for (row, draft) in drafts.iter().enumerate() {
            if draft.problems.iter().any(|problem| problem.field == Field::Row) {
                checked.rows.push(Some(Error::invalid_fields(draft.problems.clone())));
                continue;
            }
            let mut problems = Problems { found: Vec::new(), given: &draft.problems };
            if draft.connector.is_none() {
                problems.missing(Field::Connector);
            }
            let content = self.content(draft, now, &mut problems);
            if !draft.problems.is_empty() || !problems.found.is_empty() {
                let all = draft.problems.iter().cloned().chain(problems.found).collect();
                checked.rows.push(Some(Error::invalid_fields(all)));
                continue;
            }
            let Some(connector) = connectors.find(draft.connector.unwrap_or_default())? else {
                checked.rows.push(Some(unknown_connector()));
                continue;
            };
            if draft.options != MessageOptions::default() {
                let offered = self
                    .plugin_of(&connector)
                    .and_then(|plugin| check_offered(&plugin, &draft.options))
                    .and_then(|()| self.check_form(&connector, &draft.options));
                if let Err(error) = offered {
                    checked.rows.push(Some(error));
                    continue;
                }
            }
            checked.rows.push(None);
            checked.good.push(Candidate {
                row,
                manual: draft.manual,
                named: content.contact_name.is_some(),
                content: NewMessage { connector: connector.index, ..content },
                kind: ContactType::of_channel(&connector.channel),
                contact: None,
                connector,
            });
        }
        Ok(checked)
    }

    /// The draft's content, with whatever is wrong noted in `problems`. The connector's number is still to be filled in.
    fn content(&self, draft: &Draft<'_>, now: Timestamp, problems: &mut Problems<'_>) -> NewMessage {
        let to = problems.required(Field::To, &draft.to).unwrap_or_default().trim();
        if to.len() > MAX_TO_BYTES {
            problems.add(Field::To, format!("must have at most {MAX_TO_BYTES} characters"));
        } else if to.chars().any(char::is_control) {
            problems.add(Field::To, "must not contain control characters");
        }
        let text = match draft.needs_text() {
            true => problems.required(Field::Text, &draft.text).unwrap_or_default(),
            false => draft.text.as_deref().unwrap_or_default(),
        };
        if text.len() > MAX_TEXT_BYTES {
            problems.add(Field::Text, format!("must be at most {} KB of text", MAX_TEXT_BYTES / 1024));
        } else if text.as_bytes().contains(&0) {
            problems.add(Field::Text, "must not contain the NUL character");
        }
        let priority = draft.priority.unwrap_or(DEFAULT_PRIORITY);
        if !(1..=10).contains(&priority) {
            problems.add(Field::Priority, "must be a whole number from 1 to 10 (10 goes first)");
        }
        if draft.attachments.len() > MAX_FILES {
            problems.add(Field::Attachments, format!("must be at most {MAX_FILES} files"));
        }
        if draft.variables.as_ref().is_some_and(|variables| variables.as_str().len() > MAX_VARIABLES_BYTES) {
            problems.add(Field::Variables, format!("must be at most {} KB of JSON", MAX_VARIABLES_BYTES / 1024));
        }
        NewMessage {
            connector: crate::ConnectorIndex(0),
            to: to.to_owned(),
            text: text.to_owned(),
            subject: problems.line(Field::Subject, &draft.subject, MAX_SUBJECT_CHARS),
            contact_name: problems.line(Field::ContactName, &draft.contact_name, MAX_NAME_CHARS),
            message_type: draft.message_type,
            priority,
            scheduled_at: problems.schedule(draft.scheduled_at, now),
            requires_approval: draft.requires_approval,
            force_direct: draft.force_direct,
            notes: problems.notes(&draft.notes),
            webhook_url: self.url(Field::WebhookUrl, &draft.webhook_url, problems),
            external_id: problems.line(Field::ExternalId, &draft.external_id, MAX_EXTERNAL_ID_CHARS),
            attachments: draft.attachments.clone(),
            attachment_url: self.url(Field::AttachmentUrl, &draft.attachment_url, problems),
            variables: draft.variables.as_ref().map(|variables| variables.as_str().to_owned()),
            options: draft.options.clone(),
        }
    }

    fn url(&self, field: Field, given: &Option<Cow<'_, str>>, problems: &mut Problems<'_>) -> Option<String> {
        let url = given.as_deref()?.trim();
        if url.len() > MAX_URL_BYTES {
            problems.add(field, format!("must have at most {MAX_URL_BYTES} characters"));
            return None;
        }
        match self.ports().guard.check_url(url) {
            Ok(()) => Some(url.to_owned()),
            Err(error) => {
                problems.add(field, error.to_string());
                None
            }
        }
    }
}

/// What is wrong with a row.
struct Problems<'d> {
    found: Vec<FieldProblem>,
    /// What the facade found: a field named there is not reported as missing too.
    given: &'d [FieldProblem],
}

impl Problems<'_> {
    fn add(&mut self, field: Field, message: impl Into<String>) {
        self.found.push(FieldProblem::new(field, message));
    }

    /// Notes that a field is not there, unless the facade has said already what is wrong with it.
    fn missing(&mut self, field: Field) {
        if self.given.iter().all(|problem| problem.field != field) {
            self.add(field, "is required");
        }
    }

    fn required<'t>(&mut self, field: Field, given: &'t Option<Cow<'_, str>>) -> Option<&'t str> {
        match given.as_deref() {
            Some(text) if !text.trim().is_empty() => return Some(text),
            Some(_) => self.add(field, "must not be empty"),
            None => self.missing(field),
        }
        None
    }

    /// A short optional text on one line; an empty one counts as left out.
    fn line(&mut self, field: Field, given: &Option<Cow<'_, str>>, max_chars: usize) -> Option<String> {
        let text = given.as_deref()?.trim();
        // Bytes bound characters from above, so most texts are not counted.
        if text.len() > max_chars && text.chars().count() > max_chars {
            self.add(field, format!("must have at most {max_chars} characters"));
        } else if text.chars().any(char::is_control) {
            self.add(field, "must not contain line breaks or other control characters");
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn notes(&mut self, given: &Option<Cow<'_, str>>) -> Option<String> {
        let text = given.as_deref()?.trim();
        if text.len() > MAX_NOTES_CHARS && text.chars().count() > MAX_NOTES_CHARS {
            self.add(Field::Notes, format!("must have at most {MAX_NOTES_CHARS} characters"));
        } else if text.as_bytes().contains(&0) {
            self.add(Field::Notes, "must not contain the NUL character");
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn schedule(&mut self, given: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        // Any instant in the past is the same: at once.
        let at = given?.max(Timestamp(0));
        if at > now.plus_ms(MAX_DAYS_AHEAD * DAY_MS) {
            self.add(Field::ScheduledAt, format!("must be at most {MAX_DAYS_AHEAD} days ahead"));
        }
        Some(at)
    }
}
