//! The dry run: what a draft would send, to whom, and what that would cost. Nothing is stored.

use std::collections::BTreeMap;

use super::plan::LeftOut;
use super::{Cost, CostView, lacks_header};
use crate::commands::Commands;
use crate::commands::messages::equal_texts::{TextCounts, equal_texts_warning};
use crate::model::{Audience, MessageType, Outreach, SkipReason};
use crate::{Result, TenantIndex, Timestamp};

/// Maximum number of rows that are named in a report.
pub const MAX_SAMPLES: usize = 100;

/// A row that is left out, as the report names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedRow {
    /// Its number.
    pub row: u32,
    /// The line of its file.
    pub line: Option<u32>,
    /// Why it is left out.
    pub reason: SkipReason,
    /// More of it for a person.
    pub detail: Option<String>,
    /// The variables that are missing or wrong, with what is wrong.
    pub variables: Vec<(String, String)>,
}

/// Rows that are left out because the channel would not deliver them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndeliverableRows {
    /// Why, in the words of the connector's plugin.
    pub detail: String,
    /// Number of these rows.
    pub rows: u64,
}

/// What is known of the channel of a campaign's connector; who keeps the pace knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChannelRoom {
    /// See [`CampaignCheck::audience_left`].
    pub audience_left: Option<u64>,
    /// How far it lets the account start conversations, with those that were started; `None` where it told nothing.
    pub outreach: Option<Outreach>,
}

/// The strangers of an audience, and how many of them may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strangers {
    /// How many of the rows that would be sent are to strangers.
    pub rows: u64,
    /// How many conversations the account may start in the channel's cycle; `None` where the channel does not limit them.
    pub left: Option<u64>,
    /// When the cycle ends, where that is known.
    pub cycle_end: Option<Timestamp>,
    /// Until when the account may start none; `None`: it is not locked.
    pub locked_until: Option<Timestamp>,
}

impl Strangers {
    fn of(rows: u64, outreach: Outreach) -> Self {
        let Outreach { locked_until, cycle_end, .. } = outreach;
        Self { rows, left: outreach.left().map(u64::from), cycle_end, locked_until }
    }

    /// What to think of before a start, where some of them must wait.
    fn warnings(self) -> impl Iterator<Item = String> {
        let people = match self.rows {
            1 => "1 row is to a stranger".to_owned(),
            rows => format!("{rows} rows are to strangers"),
        };
        let locked = self.locked_until.filter(|_| self.rows > 0).map(|until| {
            format!(
                "{people}, and the channel lets the account start no conversation until {}: they wait",
                until.to_iso()
            )
        });
        let short = self.left.filter(|left| *left < self.rows).map(|left| {
            let until = self.cycle_end.map_or_else(String::new, |end| format!(", which ends at {}", end.to_iso()));
            format!("{people}, of whom {left} may be written to in the channel's cycle{until}: the others wait")
        });
        locked.into_iter().chain(short)
    }
}

/// What a start would do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignCheck {
    /// Number of rows that it would have.
    pub rows: u64,
    /// Number of rows that would be sent.
    pub sendable: u64,
    /// Number of rows that would be left out, by reason.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// Those that would be left out because the channel would not deliver them, by its rules.
    pub undeliverable: Vec<UndeliverableRows>,
    /// The first rows that would be left out.
    pub samples: Vec<CheckedRow>,
    /// What it would cost at most: a channel may charge less, or nothing, for what is sent within an open reply window.
    pub cost: CostView,
    /// How many people the channel lets be written to now outside of their reply windows; `None` where it has no limit.
    pub audience_left: Option<u64>,
    /// The strangers of the audience; `None` where the channel does not limit how conversations are started.
    pub strangers: Option<Strangers>,
    /// How many of the texts are the same, at most.
    pub equal_texts: u64,
    /// What the first recipient would see.
    pub preview: Option<String>,
    /// Why it cannot start.
    pub problems: Vec<String>,
    /// What to think of before it starts.
    pub warnings: Vec<String>,
}

/// Counts rows that the channel would not deliver, by the detail of its rule: a description has few of them.
#[derive(Default)]
pub(super) struct Undeliverable(BTreeMap<String, u64>);

impl Undeliverable {
    /// Counts a row that is left out, if this is why.
    pub(super) fn add(&mut self, left_out: &LeftOut) {
        if let (SkipReason::Undeliverable, Some(detail)) = (left_out.reason, &left_out.detail) {
            *self.0.entry(detail.clone()).or_default() += 1;
        }
    }

    /// What is said of them, a sentence for each rule.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(detail, rows)| format!("rows that are left out: {rows}, because {detail}"))
    }

    fn rows(self) -> Vec<UndeliverableRows> {
        self.0.into_iter().map(|(detail, rows)| UndeliverableRows { detail, rows }).collect()
    }
}

impl Commands {
    /// What the start of a draft would do now.
    pub async fn check_campaign(
        &self,
        tenant: TenantIndex,
        number: u32,
        channel: ChannelRoom,
    ) -> Result<CampaignCheck> {
        let ChannelRoom { audience_left, outreach } = channel;
        let outreach = outreach.filter(Outreach::limits);
        let campaign = self.campaign_by_number(tenant, number)?;
        campaign.editable("checked")?;
        let mut plan = self.campaign_plan(&campaign)?;
        let template = plan.template.clone();
        let category = template.category.as_str();
        let prices = &self.campaign_policy.prices;
        let (mut rows, mut sendable, mut cost) = (0, 0, Cost::default());
        let (mut skipped, mut samples, mut preview) = (BTreeMap::new(), Vec::new(), None);
        let (mut texts, mut undeliverable, mut first_unpriced) =
            (TextCounts::default(), Undeliverable::default(), None);
        let connector = plan.connector.clone();
        let rules = self.rules_of(&connector);
        // People who count for the channel's audience; not looked for any further where they are too many.
        let mut outside = 0;
        let mut strangers = 0;
        while let Some(page) = plan.page().await? {
            for planned in page {
                rows += 1;
                match planned.fate {
                    Ok(filled) => {
                        sendable += 1;
                        let price = prices.price(category, &planned.row.to);
                        if price.is_none() {
                            first_unpriced.get_or_insert(planned.row.number);
                        }
                        cost.add(price);
                        texts.add(&filled.text);
                        if audience_left.is_some_and(|left| outside <= left)
                            && self.is_outside_window(&connector, rules.as_ref(), &planned.row.to)?
                        {
                            outside += 1;
                        }
                        if outreach.is_some() && self.is_stranger(&connector, &planned.row.to)? {
                            strangers += 1;
                        }
                        preview.get_or_insert(filled.text);
                    }
                    Err(left_out) => {
                        *skipped.entry(left_out.reason).or_default() += 1;
                        undeliverable.add(&left_out);
                        if samples.len() < MAX_SAMPLES {
                            let variables = left_out.problems.into_iter().map(|one| (one.name, one.problem)).collect();
                            samples.push(CheckedRow {
                                row: planned.row.number,
                                line: planned.row.line,
                                reason: left_out.reason,
                                detail: left_out.detail,
                                variables,
                            });
                        }
                    }
                }
            }
        }
        let equal_texts = self.equal_texts_of(plan.connector.id, &texts);
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        if !template.is_sendable() {
            problems.push(format!("the template is {}", template.status));
        }
        problems.extend(lacks_header(&campaign, &template));
        if sendable == 0 && campaign.audience != Audience::Direct {
            problems.push("nobody of the audience can be sent to".to_owned());
        }
        if template.message_type() == MessageType::Marketing {
            warnings.extend(equal_texts_warning(equal_texts));
        }
        warnings.extend(undeliverable.warnings());
        warnings.extend(prices.warning(category, cost, first_unpriced));
        let strangers = outreach.map(|outreach| Strangers::of(strangers, outreach));
        warnings.extend(strangers.into_iter().flat_map(Strangers::warnings));
        if let Some(left) = audience_left.filter(|left| *left < outside) {
            warnings.push(format!(
                "the channel lets {left} more people be written to now outside of their reply windows, and more of the audience are: \
                 those who were not written to lately wait for their turn"
            ));
        }
        Ok(CampaignCheck {
            rows,
            sendable,
            skipped,
            undeliverable: undeliverable.rows(),
            samples,
            cost: prices.shown(cost),
            audience_left,
            strangers,
            equal_texts,
            preview,
            problems,
            warnings,
        })
    }
}
