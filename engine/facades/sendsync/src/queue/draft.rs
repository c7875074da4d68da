//! A message as JSON, read in one pass into a draft that borrows from the body.

use std::borrow::Cow;

use pombo_domain::FieldProblem;
use pombo_domain::commands::messages::send::{Draft, MAX_BULK};
use serde::de::{IgnoredAny, SeqAccess};

use pombo_api::fields::{Field, Scalars, Wanted};
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
    /// The draft; fields of a wrong kind are among its problems.
    pub(super) fn into_draft(self) -> Draft<'a> {
        let mut problems = Vec::new();
        let mut draft = Draft {
            connector_id: self.connector_id.take("connectorId", &mut problems),
            to: self.to.take("to", &mut problems),
            message: self.message.take("message", &mut problems),
            contact_name: self.contact_name.take("contactName", &mut problems),
            message_type: self.message_type.take("messageType", &mut problems),
            priority: self.priority.take("priority", &mut problems),
            scheduled_at: self.scheduled_at.take("scheduledAt", &mut problems),
            requires_approval: self.requires_approval.take("requiresApproval", &mut problems).unwrap_or_default(),
            force_direct: self.force_direct.take("forceDirect", &mut problems).unwrap_or_default(),
            notes: self.notes.take("notes", &mut problems),
            webhook_url: self.webhook_url.take("webhookUrl", &mut problems),
            external_id: self.external_id.take("externalId", &mut problems),
            attachment_url: self.attachment_url.take("attachmentUrl", &mut problems),
            subject: self.subject.take("subject", &mut problems),
            variables: self.variables.take("variables", &mut problems).map(|Scalars(json)| Cow::Owned(json)),
            ..Draft::default()
        };
        draft.problems = problems;
        draft
    }
}

/// The draft of a row of any JSON: a row that is not an object has only that problem.
pub(super) fn draft_of(row: Field<SendFields<'_>>) -> Draft<'_> {
    let message = match row {
        Field::Value(fields) => return fields.into_draft(),
        Field::Missing => "must be an object, not null".into(),
        Field::Wrong(message) => message,
    };
    let problem = FieldProblem { field: Draft::WHOLE.to_owned(), message: message.into_owned() };
    Draft { problems: vec![problem], ..Draft::default() }
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
    pub(super) rows: Vec<Field<SendFields<'a>>>,
    pub(super) count: usize,
}

impl<'de> Wanted<'de> for Rows<'de> {
    const NAME: &'static str = "an array of messages";

    fn array<A: SeqAccess<'de>>(mut seq: A) -> Result<Field<Self>, A::Error> {
        let mut rows = Rows::default();
        while rows.rows.len() < MAX_BULK {
            let Some(row) = seq.next_element()? else { break };
            rows.rows.push(row);
        }
        rows.count = rows.rows.len();
        while rows.count >= MAX_BULK && seq.next_element::<IgnoredAny>()?.is_some() {
            rows.count += 1;
        }
        Ok(Field::Value(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(json: &str) -> Rows<'_> {
        match serde_json::from_str::<Field<BulkFields<'_>>>(json) {
            Ok(Field::Value(BulkFields { messages: Field::Value(rows), .. })) => rows,
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
        assert_eq!(drafts[3].variables.as_deref(), Some(r#"{"n":1}"#));
        assert!(matches!(drafts[3].to, Some(Cow::Borrowed("a@x.com"))));
    }

    #[test]
    fn rows_past_the_limit_are_counted_only() {
        let json = format!(r#"{{"messages":[{}{{}}]}}"#, "{},".repeat(1500));
        let rows = rows(&json);
        assert_eq!((rows.rows.len(), rows.count), (1000, 1501));
    }
}
