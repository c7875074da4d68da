//! A message as JSON, read in one pass into a draft that borrows from the body.

use std::borrow::Cow;

use pombo_domain::commands::messages::send::{Draft, MAX_BULK};
use pombo_domain::model::Variables;
use pombo_domain::{Field, FieldProblem, Timestamp};
use serde::de::{IgnoredAny, SeqAccess};
use uuid::Uuid;

use crate::names::category;
use pombo_api::fields::{self, Scalars, Wanted};
use pombo_api::json_fields;

json_fields! {
    /// The fields of a message to be sent.
    pub(super) struct SendFields<'a> {
        connector_id: "connectorId" as Cow<'a, str>,
        to: "to" as Cow<'a, str>,
        message: "message" as Cow<'a, str>,
        contact_name: "contactName" as Cow<'a, str>,
        message_type: "messageType" as Cow<'a, str>,
        priority: "priority" as f64,
        scheduled_at: "scheduledAt" as Cow<'a, str>,
        requires_approval: "requiresApproval" as bool,
        force_direct: "forceDirect" as bool,
        notes: "notes" as Cow<'a, str>,
        webhook_url: "webhookUrl" as Cow<'a, str>,
        external_id: "externalId" as Cow<'a, str>,
        attachment_url: "attachmentUrl" as Cow<'a, str>,
        subject: "subject" as Cow<'a, str>,
        variables: "variables" as Scalars,
    }
}

impl<'a> SendFields<'a> {
    /// The draft; fields of a wrong kind, and texts that cannot be read, are among its problems.
    pub(super) fn into_draft(self) -> Draft<'a> {
        let mut problems = Vec::new();
        let connector = self.connector_id.take(Field::Connector, &mut problems);
        let to = self.to.take(Field::To, &mut problems);
        let text = self.message.take(Field::Text, &mut problems);
        let contact_name = self.contact_name.take(Field::ContactName, &mut problems);
        let message_type = self.message_type.take(Field::MessageType, &mut problems);
        let priority = self.priority.take(Field::Priority, &mut problems);
        let scheduled_at = self.scheduled_at.take(Field::ScheduledAt, &mut problems);
        let mut draft = Draft {
            to,
            text,
            contact_name,
            priority: priority.map(whole),
            requires_approval: self.requires_approval.take(Field::RequiresApproval, &mut problems).unwrap_or_default(),
            force_direct: self.force_direct.take(Field::ForceDirect, &mut problems).unwrap_or_default(),
            notes: self.notes.take(Field::Notes, &mut problems),
            webhook_url: self.webhook_url.take(Field::WebhookUrl, &mut problems),
            external_id: self.external_id.take(Field::ExternalId, &mut problems),
            attachment_url: self.attachment_url.take(Field::AttachmentUrl, &mut problems),
            subject: self.subject.take(Field::Subject, &mut problems),
            variables: self
                .variables
                .take(Field::Variables, &mut problems)
                .map(|Scalars(json)| Variables::from_compact(json)),
            ..Draft::default()
        };
        draft.problems = problems;
        if let Some(text) = connector {
            set_connector(&mut draft, &text);
        }
        if let Some(text) = message_type {
            set_category(&mut draft, &text);
        }
        if let Some(text) = scheduled_at {
            set_schedule(&mut draft, &text);
        }
        draft
    }
}

/// Sets the connector from a text. A text that is not an id names a connector that does not exist.
pub(super) fn set_connector(draft: &mut Draft<'_>, text: &str) {
    match text.trim() {
        "" => draft.problems.push(FieldProblem::new(Field::Connector, "must not be empty")),
        text => draft.connector = Some(Uuid::parse_str(text).unwrap_or_default()),
    }
}

/// Sets the category from its documented name.
pub(super) fn set_category(draft: &mut Draft<'_>, text: &str) {
    match category(text) {
        Ok(category) => draft.message_type = category,
        Err(message) => draft.problems.push(FieldProblem::new(Field::MessageType, message)),
    }
}

/// Sets the schedule from a date and time.
pub(super) fn set_schedule(draft: &mut Draft<'_>, text: &str) {
    match Timestamp::parse_any_year(text) {
        Some(at) => draft.scheduled_at = Some(at),
        None => {
            let message = "must be ISO 8601, for example 2030-01-22T10:00:00Z";
            draft.problems.push(FieldProblem::new(Field::ScheduledAt, message));
        }
    }
}

/// A priority as JSON has it. 0, which the command refuses, stands for a number that is not whole.
pub(super) fn whole(number: f64) -> u8 {
    // Exact: each of the 256 values is a float.
    if number.fract() == 0.0 && (0.0..=255.0).contains(&number) { number as u8 } else { 0 }
}

/// The draft of a row of any JSON: a row that is not an object has only that problem.
pub(super) fn draft_of(row: fields::Field<SendFields<'_>>) -> Draft<'_> {
    let message = match row {
        fields::Field::Value(fields) => return fields.into_draft(),
        fields::Field::Missing => "must be an object, not null".into(),
        fields::Field::Wrong(message) => message,
    };
    Draft { problems: vec![FieldProblem::new(Field::Row, message)], ..Draft::default() }
}

json_fields! {
    /// The body of a bulk.
    pub(super) struct BulkFields<'a> {
        messages: "messages" as Rows<'a>,
    }
}

/// The rows of a bulk. Past the limit they are counted and not kept.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    pub(super) rows: Vec<fields::Field<SendFields<'a>>>,
    pub(super) count: usize,
}

impl<'de> Wanted<'de> for Rows<'de> {
    const NAME: &'static str = "an array of messages";

    fn array<A: SeqAccess<'de>>(mut seq: A) -> Result<fields::Field<Self>, A::Error> {
        let mut rows = Rows::default();
        while rows.rows.len() < MAX_BULK {
            let Some(row) = seq.next_element()? else { break };
            rows.rows.push(row);
        }
        rows.count = rows.rows.len();
        while rows.count >= MAX_BULK && seq.next_element::<IgnoredAny>()?.is_some() {
            rows.count += 1;
        }
        Ok(fields::Field::Value(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(json: &str) -> Rows<'_> {
        match serde_json::from_str::<fields::Field<BulkFields<'_>>>(json) {
            Ok(fields::Field::Value(BulkFields { messages: fields::Field::Value(rows), .. })) => rows,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_row_of_a_wrong_kind_spoils_no_other() {
        let rows = rows(
            r#"{"messages":[{"to":123,"message":"a"},5,null,{"to":"a@x.com","priority":"5","variables":{"n":1}}]}"#,
        );
        assert_eq!(rows.count, 4);
        let drafts: Vec<Draft<'_>> = rows.rows.into_iter().map(draft_of).collect();
        let problems: Vec<Vec<String>> = drafts
            .iter()
            .map(|draft| draft.problems.iter().map(|p| format!("{}: {}", p.field, p.message)).collect())
            .collect();
        assert_eq!(problems[0], ["to: must be a text, not a number"]);
        assert_eq!(problems[1], ["row: must be an object, not a number"]);
        assert_eq!(problems[2], ["row: must be an object, not null"]);
        assert_eq!(problems[3], ["priority: must be a number, not a text"]);
        assert_eq!(drafts[3].variables.as_ref().map(Variables::as_str), Some(r#"{"n":1}"#));
        assert!(matches!(drafts[3].to, Some(Cow::Borrowed("a@x.com"))));
    }

    #[test]
    fn rows_past_the_limit_are_counted_only() {
        let json = format!(r#"{{"messages":[{}{{}}]}}"#, "{},".repeat(1500));
        let rows = rows(&json);
        assert_eq!((rows.rows.len(), rows.count), (1000, 1501));
    }
}
