//! Section Stats: how many messages reached which stage.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::registry::MetaSchema;
use poem_openapi::{Object, OpenApi};
use pombo_api::declared::{Param, ParamKind};
use pombo_api::options::ApiState;
use pombo_domain::StableWord;
use pombo_domain::commands::messages::stats::{Dimension, StatPart, StatQuery};
use pombo_domain::model::{self, StageCounts};
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::wire::{Instant, MessageType, READ, Refused};

#[derive(Default)]
pub(crate) struct MessageStats;

impl pombo_api::Section for MessageStats {
    const FILE: &'static str = file!();
}

/// What counts are split by: words with commas between them.
pub(crate) struct Dimensions;

impl ParamKind for Dimensions {
    type Value = Vec<Dimension>;

    fn schema() -> MetaSchema {
        let words = Dimension::ALL.map(Dimension::as_str).join("|");
        let pattern = format!("^({words})(,({words})){{0,4}}$");
        MetaSchema { pattern: Some(pattern), ..MetaSchema::new("string") }
    }
    fn parse(text: &str) -> Result<Vec<Dimension>, String> {
        let mut found = Vec::new();
        for word in text.split(',') {
            match <Dimension as StableWord>::parse(word.trim()) {
                Some(dimension) if !found.contains(&dimension) => found.push(dimension),
                Some(_) => {}
                None => {
                    return Err(format!(
                        "must be some of {}, with commas",
                        Dimension::ALL.map(Dimension::as_str).join(", ")
                    ));
                }
            }
        }
        Ok(found)
    }
}

/// How many messages reached each stage. Each message counts once for each stage, when it reaches it.
#[derive(Object)]
pub(crate) struct Counts {
    /// Messages that the channel accepted.
    accepted: u64,
    /// Messages that were delivered; in a group, to the first member.
    delivered: u64,
    /// Messages that were read; in a group, by the first member.
    read: u64,
    /// Messages that failed.
    failed: u64,
}

impl From<StageCounts> for Counts {
    fn from(StageCounts { accepted, delivered, read, failed }: StageCounts) -> Self {
        Self { accepted, delivered, read, failed }
    }
}

/// The counts of one part.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct StatRow {
    /// When the hour or the day begins, if they are split by it.
    #[oai(skip_serializing_if_is_none)]
    at: Option<Instant>,
    /// The connector, if they are split by it.
    #[oai(skip_serializing_if_is_none)]
    connector_id: Option<Uuid>,
    /// The category, if they are split by it.
    #[oai(skip_serializing_if_is_none)]
    message_type: Option<MessageType>,
    /// Number of the template, if they are split by it; absent for messages without one.
    #[oai(skip_serializing_if_is_none)]
    template: Option<u32>,
    /// Number of the campaign, if they are split by it; absent for messages of none.
    #[oai(skip_serializing_if_is_none)]
    campaign: Option<u32>,
    /// How many.
    counts: Counts,
}

impl From<StatPart> for StatRow {
    fn from(part: StatPart) -> Self {
        Self {
            at: part.at.map(Instant),
            connector_id: part.connector,
            message_type: part.message_type.map(MessageType::from),
            template: part.template,
            campaign: part.campaign,
            counts: part.counts.into(),
        }
    }
}

/// Counts of messages in a time.
#[derive(Object)]
pub(crate) struct StatReport {
    /// The parts in which anything was counted, by time, then connector, category, template and campaign.
    data: Vec<StatRow>,
    /// All parts together.
    total: Counts,
    /// When the first hour or day begins that is counted.
    from: Instant,
    /// When the last one ends.
    to: Instant,
}

#[OpenApi(tag = "Section::Stats")]
impl MessageStats {
    /// Count messages by the stages that they reached
    ///
    /// From counts that are kept for each hour (45 days) and each day of UTC (400 days). Where the time begins within the last 45 days, it
    /// is rounded to whole hours, otherwise to whole days.
    #[expect(clippy::too_many_arguments, reason = "each filter is a parameter of the document")]
    #[oai(path = "/v1/stats/messages", method = "get", operation_id = "message_stats")]
    async fn message_stats(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// From this time on; 7 days before the end if omitted.
        #[oai(name = "dateFrom")]
        date_from: Query<Option<Instant>>,
        /// Up to this time; now if omitted.
        #[oai(name = "dateTo")]
        date_to: Query<Option<Instant>>,
        /// What the counts are split by: some of `hour`, `day`, `connector`, `category`, `template` and `campaign`, with commas; not
        /// `hour` and `day` at once. One row with everything if omitted.
        by: Query<Option<Param<Dimensions>>>,
        /// Only messages of this connector.
        #[oai(name = "connectorId")]
        connector_id: Query<Option<Uuid>>,
        /// Only messages of this category.
        #[oai(name = "messageType")]
        message_type: Query<Option<MessageType>>,
        /// Only messages that were made from the template with this number.
        template: Query<Option<u32>>,
        /// Only rows of the campaign with this number.
        campaign: Query<Option<u32>>,
    ) -> Result<Json<StatReport>, Refused<READ>> {
        let query = StatQuery {
            from: date_from.0.map(|at| at.0),
            to: date_to.0.map(|at| at.0),
            by: by.0.map(|by| by.0).unwrap_or_default(),
            connector: connector_id.0,
            message_type: message_type.0.map(model::MessageType::from),
            template: template.0,
            campaign: campaign.0,
        };
        let stats = state.commands.message_stats(acting.tenant, &query)?;
        Ok(Json(StatReport {
            data: stats.parts.into_iter().map(StatRow::from).collect(),
            total: stats.total.into(),
            from: Instant(stats.from),
            to: Instant(stats.to),
        }))
    }
}
