//! What is told of a campaign's rows: by the check, and one by one.

use std::collections::BTreeMap;

use poem_openapi::{Enum, Object};
use pombo_domain::commands::campaigns::check::CampaignCheck as Check;
use pombo_domain::model::{self, StoredRow};
use uuid::Uuid;

use crate::wire::{Instant, WordOf};

/// A variable that is missing or wrong.
#[derive(Object)]
pub(crate) struct CampaignVariableProblem {
    /// Name of the variable.
    name: String,
    /// What is wrong.
    problem: String,
}

/// A row that would be left out.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct CampaignCheckedRow {
    /// Number that the row would have.
    row: u32,
    /// Line of its file.
    line: Option<u32>,
    reason: WordOf<model::SkipReason>,
    /// The same for a person.
    detail: Option<String>,
    /// The variables that are missing or wrong.
    variables: Vec<CampaignVariableProblem>,
}

/// Rows that would be left out because the channel would take them and not deliver them.
#[derive(Object)]
pub(crate) struct CampaignUndeliverableRows {
    /// Why, in the words of the connector's plugin.
    detail: String,
    /// Number of these rows.
    rows: u64,
}

/// What messages cost, by the prices of the configuration. It is an estimate: the channel's own bill counts.
#[derive(Object)]
pub(crate) struct CampaignCost {
    /// The currency; empty if the operator set none.
    currency: String,
    /// The amount, with six decimals.
    amount: String,
    /// Number of rows without a price, which are not in the amount.
    unpriced: u64,
}

/// The strangers of a campaign's audience: people who have not written to the account, and to whom no message of it was accepted.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct CampaignStrangers {
    /// Number of rows that would be sent to strangers.
    rows: u64,
    /// How many conversations the account may start in the channel's cycle; absent if the channel does not limit them.
    left: Option<u64>,
    /// When the cycle ends; absent if it is not known.
    cycle_end: Option<Instant>,
    /// Until when the account may start no conversation; absent if it is not locked.
    locked_until: Option<Instant>,
}

/// What the start of a campaign would do now. Nothing was sent or stored.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct CampaignCheck {
    /// Number of rows that it would have.
    rows: u64,
    /// Number of rows that would be sent.
    sendable: u64,
    /// Number of rows that would be left out, by reason.
    skipped: BTreeMap<String, u64>,
    /// Those of them that the channel would not deliver (reason `undeliverable`), by the channel's rules.
    undeliverable: Vec<CampaignUndeliverableRows>,
    /// The first 100 rows that would be left out.
    samples: Vec<CampaignCheckedRow>,
    /// What it would cost, as an upper bound: the channel may charge less, or nothing, for what is sent within an open reply window.
    cost: CampaignCost,
    /// How many people the channel lets you write to now outside of their reply windows; absent without such a limit.
    audience_left: Option<u64>,
    /// The strangers of the audience; absent if the channel does not limit how conversations are started.
    strangers: Option<CampaignStrangers>,
    /// How many of the texts are the same, at most.
    equal_texts: u64,
    /// What the first recipient would see.
    preview: Option<String>,
    /// Why it cannot start.
    problems: Vec<String>,
    /// What to think of before it starts.
    warnings: Vec<String>,
}

impl From<Check> for CampaignCheck {
    fn from(check: Check) -> Self {
        let variable = |(name, problem)| CampaignVariableProblem { name, problem };
        let samples = check.samples.into_iter().map(|row| CampaignCheckedRow {
            row: row.row,
            line: row.line,
            reason: WordOf::known(row.reason),
            detail: row.detail,
            variables: row.variables.into_iter().map(variable).collect(),
        });
        let undeliverable =
            check.undeliverable.into_iter().map(|one| CampaignUndeliverableRows { detail: one.detail, rows: one.rows });
        Self {
            rows: check.rows,
            sendable: check.sendable,
            skipped: check.skipped.into_iter().map(|(reason, rows)| (reason.as_str().to_owned(), rows)).collect(),
            undeliverable: undeliverable.collect(),
            samples: samples.collect(),
            cost: CampaignCost {
                currency: check.cost.currency,
                amount: check.cost.amount,
                unpriced: check.cost.unpriced,
            },
            audience_left: check.audience_left,
            strangers: check.strangers.map(|strangers| CampaignStrangers {
                rows: strangers.rows,
                left: strangers.left,
                cycle_end: strangers.cycle_end.map(Instant),
                locked_until: strangers.locked_until.map(Instant),
            }),
            equal_texts: check.equal_texts,
            preview: check.preview,
            problems: check.problems,
            warnings: check.warnings,
        }
    }
}

/// Where a row stands.
#[derive(Enum, Clone, Copy)]
#[oai(rename_all = "lowercase")]
pub(crate) enum CampaignRowStatus {
    /// Not a message yet.
    Pending,
    /// A message without an outcome.
    Queued,
    /// Accepted by the channel.
    Accepted,
    /// Delivered.
    Delivered,
    /// Read.
    Read,
    /// Failed.
    Failed,
    /// Not sent.
    Skipped,
    /// Canceled.
    Canceled,
    /// Sent or not.
    Unknown,
}

impl From<CampaignRowStatus> for model::RowStatus {
    fn from(status: CampaignRowStatus) -> Self {
        match status {
            CampaignRowStatus::Pending => Self::Pending,
            CampaignRowStatus::Queued => Self::Queued,
            CampaignRowStatus::Accepted => Self::Accepted,
            CampaignRowStatus::Delivered => Self::Delivered,
            CampaignRowStatus::Read => Self::Read,
            CampaignRowStatus::Failed => Self::Failed,
            CampaignRowStatus::Skipped => Self::Skipped,
            CampaignRowStatus::Canceled => Self::Canceled,
            CampaignRowStatus::Unknown => Self::Unknown,
        }
    }
}

/// A row of a campaign.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct CampaignRow {
    /// Number of the row in the campaign, from 1.
    pub(super) row: u32,
    /// Line of the file that it came from.
    pub(super) line: Option<u32>,
    /// Address of the recipient.
    pub(super) to: String,
    /// Name of the recipient.
    pub(super) name: Option<String>,
    /// Id of the contact, if there was one when the row was fixed.
    pub(super) contact_id: Option<Uuid>,
    /// What the template is filled with.
    pub(super) variables: BTreeMap<String, String>,
    pub(super) status: WordOf<model::RowStatus>,
    /// The code that it failed with, or the reason for which it was not sent; `held` where the channel accepted it and keeps it back for now.
    pub(super) code: Option<String>,
    /// The same for a person.
    pub(super) detail: Option<String>,
    /// Id of its message.
    pub(super) message_id: Option<Uuid>,
    /// Since when it stands there.
    pub(super) at: Instant,
}

impl From<StoredRow> for CampaignRow {
    fn from(StoredRow { row, state }: StoredRow) -> Self {
        Self {
            row: row.number,
            line: row.line,
            to: row.to,
            name: row.name,
            contact_id: row.contact,
            variables: row.variables,
            status: WordOf::known(state.outcome.status()),
            code: state.outcome.code().map(str::to_owned),
            detail: state.detail,
            message_id: state.message.map(|(_, id)| id),
            at: Instant(state.at),
        }
    }
}

/// A page of rows, by number. It may be empty and have a next one.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct CampaignRowPage {
    /// The rows of the page.
    pub(super) data: Vec<CampaignRow>,
    /// The `after` for the next page; absent on the last one.
    pub(super) next: Option<u32>,
}
