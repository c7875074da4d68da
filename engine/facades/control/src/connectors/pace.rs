//! Section Pace: how fast a connector may send, the health of its account, why its next message waits, and what it hears.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use pombo_domain::model;
use pombo_domain::model::health::HealthLevel;
use pombo_domain::model::pace::{HealthView, PaceView, WaitReason};
use pombo_domain::model::{Outreach, Quality};

use crate::Section;
use crate::access::Acting;
use crate::deps::ControlDeps;
use crate::wire::hearing::Hearing;
use crate::wire::pace::Pace;
use crate::wire::{BODY, Instant, PathId, READ, Refused, WRITE, WordOf, body};
use pombo_api::json::JsonBytes;
use pombo_api::options::ApiState;

#[derive(Default)]
pub(crate) struct PaceOfConnectors;

impl pombo_api::Section for PaceOfConnectors {
    const FILE: &'static str = file!();
}

/// The present state of a connector's pace.
#[derive(Object, Default)]
#[oai(rename_all = "camelCase")]
pub(crate) struct PaceNow {
    /// Attempts begun today, in the pace's time zone.
    sent_today: u32,
    /// Maximum number of attempts today; absent without a limit.
    #[oai(skip_serializing_if_is_none)]
    cap_today: Option<u32>,
    /// Day of the warm-up, from 1; absent when there is none.
    #[oai(skip_serializing_if_is_none)]
    warm_up_day: Option<u32>,
    /// When the pause after the last message ends.
    #[oai(skip_serializing_if_is_none)]
    next_at: Option<Instant>,
    #[oai(skip_serializing_if_is_none)]
    waiting_reason: Option<WordOf<WaitReason>>,
    /// The reason as a sentence, and what to do if somebody must do something.
    #[oai(skip_serializing_if_is_none)]
    waiting_detail: Option<String>,
    /// Until when the next message waits, if that is known.
    #[oai(skip_serializing_if_is_none)]
    waiting_until: Option<Instant>,
    /// Shortest pause between two messages at present, in milliseconds: longer than the setting while poor health slows the
    /// connector down.
    delay_min_ms: u64,
    /// Longest pause between two messages at present, in milliseconds.
    delay_max_ms: u64,
    /// Health of the account; absent if the pace has no health rules.
    #[oai(skip_serializing_if_is_none)]
    health: Option<Health>,
    /// Messages per second that the channel takes; absent without a limit.
    #[oai(skip_serializing_if_is_none)]
    per_second: Option<u32>,
    /// The people who may be written to outside of the reply window; absent if the channel does not count them.
    #[oai(skip_serializing_if_is_none)]
    audience: Option<Audience>,
    /// What the channel thinks of what is sent: `green`, `yellow` or `red`; absent if it did not tell.
    #[oai(skip_serializing_if_is_none)]
    quality: Option<String>,
    /// How far the channel lets the account start conversations; absent if it told nothing that still counts.
    #[oai(skip_serializing_if_is_none)]
    outreach: Option<OutreachNow>,
    /// A warning: the same advertising was sent so often within 24 hours that it puts the account at risk.
    #[oai(skip_serializing_if_is_none)]
    equal_texts: Option<EqualTexts>,
}

/// How many different people were written to outside of the reply window.
#[derive(Object)]
#[oai(rename = "AudienceUse", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Audience {
    /// How many count now, over all connectors that share the limit.
    used: u32,
    /// How many may; absent for any number.
    limit: Option<u32>,
}

/// How far a channel lets an account start conversations with people who have not written to it. Answers go on in any case.
#[derive(Object)]
#[oai(rename = "Outreach", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct OutreachNow {
    /// Until when the channel lets the account start no conversation; absent if it is not locked.
    locked_until: Option<Instant>,
    /// How many conversations it may start in a cycle; absent if the channel did not tell.
    quota: Option<u32>,
    /// How many of them it has started.
    used: Option<u32>,
    /// When the count begins anew.
    cycle_end: Option<Instant>,
}

impl From<Outreach> for OutreachNow {
    fn from(told: Outreach) -> Self {
        Self {
            locked_until: told.locked_until.map(Instant),
            quota: told.quota,
            used: told.used,
            cycle_end: told.cycle_end.map(Instant),
        }
    }
}

/// The same rendered text, sent again and again.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct EqualTexts {
    /// How often it was sent.
    count: u32,
    /// Since when.
    since: Instant,
}

/// The health of an account, and the counts that it is computed from.
#[derive(Object)]
#[oai(rename = "AccountHealth", rename_all = "camelCase")]
pub(crate) struct Health {
    /// Health score, from 0 (worst) to 100 (best).
    score: u8,
    level: WordOf<HealthLevel>,
    /// Length of the period that counts, in hours.
    window_hours: u16,
    /// Beginning of the period, if it is shorter: when a person resumed the connector after its health had paused it.
    #[oai(skip_serializing_if_is_none)]
    since: Option<Instant>,
    /// Messages that the channel accepted.
    sent: u32,
    /// Accepted messages that were reported as delivered.
    delivered: u32,
    /// Messages received from people.
    replies: u32,
    /// Messages that the channel refused permanently.
    failures: u32,
    /// Blocks and reports by recipients.
    blocks: u32,
    /// Restrictions that the channel imposed.
    restrictions: u32,
}

impl From<HealthView> for Health {
    fn from(view: HealthView) -> Self {
        Self {
            score: view.score,
            level: WordOf::known(view.level),
            window_hours: view.window_hours,
            since: view.since.map(Instant),
            sent: view.sent,
            delivered: view.delivered,
            replies: view.replies,
            failures: view.failures,
            blocks: view.blocks,
            restrictions: view.restrictions,
        }
    }
}

impl From<PaceView> for PaceNow {
    fn from(view: PaceView) -> Self {
        Self {
            sent_today: view.sent_today,
            cap_today: view.cap_today,
            warm_up_day: view.warm_up_day,
            next_at: view.next_at.map(Instant),
            waiting_until: view.next_at.filter(|_| view.reason.is_some()).map(Instant),
            waiting_reason: view.reason.map(WordOf::known),
            waiting_detail: view.detail,
            delay_min_ms: view.delay_ms.0,
            delay_max_ms: view.delay_ms.1,
            health: view.health.map(Health::from),
            per_second: view.per_second,
            audience: view.audience.map(|audience| Audience { used: audience.used, limit: audience.limit }),
            quality: (view.quality != Quality::Unknown).then(|| view.quality.as_str().to_owned()),
            outreach: view.outreach.map(OutreachNow::from),
            equal_texts: view.equal_texts.map(|texts| EqualTexts { count: texts.count, since: Instant(texts.since) }),
        }
    }
}

/// A pace and its present state.
#[derive(Object)]
pub(crate) struct PaceReport {
    /// The settings of the pace.
    pace: Pace,
    /// The present state.
    now: PaceNow,
    /// What the connector hears of its channel.
    hearing: Hearing,
}

#[OpenApi(tag = "Section::Pace")]
impl PaceOfConnectors {
    /// Get a connector's pace, and why its next message waits
    #[oai(path = "/v1/connectors/:id/pace", method = "get", operation_id = "get_pace")]
    async fn get_pace(
        &self,
        state: Data<&Arc<ApiState>>,
        deps: Data<&Arc<ControlDeps>>,
        acting: Acting,
        id: Path<PathId>,
    ) -> Result<Json<PaceReport>, Refused<READ>> {
        let view = state.commands.get_connector(acting.tenant, id.of("Connector")?)?;
        Ok(Json(report(&deps, &view.connector)))
    }

    /// Replace a connector's pace
    #[oai(path = "/v1/connectors/:id/pace", method = "put", operation_id = "set_pace")]
    async fn set_pace(
        &self,
        state: Data<&Arc<ApiState>>,
        deps: Data<&Arc<ControlDeps>>,
        acting: Acting,
        id: Path<PathId>,
        json: JsonBytes<Pace>,
    ) -> Result<Json<PaceReport>, Refused<{ READ | BODY | WRITE }>> {
        let id = id.of("Connector")?;
        let pace = body(&json)?.into_domain()?;
        let connector = state.commands.set_connector_pace(acting.tenant, id, pace).await?;
        Ok(Json(report(&deps, &connector)))
    }
}

/// The pace as it is set and as it is now. A view that cannot be read is logged and shown as empty.
fn report(deps: &ControlDeps, connector: &model::Connector) -> PaceReport {
    let view = deps.pace.pace(connector.index).unwrap_or_else(|error| {
        tracing::error!(connector = %connector.id, %error, "a connector's pace cannot be read");
        None
    });
    let hearing = deps.hearing.hearing(connector.index).into();
    PaceReport { pace: (&connector.pace).into(), now: view.map(PaceNow::from).unwrap_or_default(), hearing }
}
