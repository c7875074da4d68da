//! Hands over the rows of running campaigns as messages. One task for all campaigns of all tenants.
//!
//! - `signals`: which campaigns changed. `rows`: what a row becomes. `unsent`: rows of campaigns that were paused or stopped.
//!
//! A row becomes a message in one batch, under the condition that it is pending and that the campaign runs, so a crash between two
//! batches neither loses a row nor sends one twice; there is nothing else to remember. Only so many messages of a campaign wait in the
//! queue at a time: what is to be stopped is quickly stopped, and memory and lanes see a campaign of any size as a small one. Those that are
//! put off because they would start conversations are counted apart: people who are known do not wait for strangers. Pace, quiet hours and
//! limits are the lane's.

mod rows;
pub(crate) mod signals;
mod unsent;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pombo_domain::model::{Audience, Campaign, CampaignReason, CampaignStatus, Connector, ConnectorStatus};
use pombo_domain::ports::{Batch, CampaignChange, Change, Conflict, SessionState, StoreError, StoreResult};
use pombo_domain::{TenantIndex, Timestamp};

use crate::context::Context;
use crate::due;
use crate::rules::session::wait_of;

/// Whose campaign, and its number.
type Which = (TenantIndex, u32);

/// Messages of a campaign that are put off, at most, as a multiple of its window: they wait for days, and those behind them do not wait for
/// them; but the queue must not grow with the campaign.
const PUT_OFF_WINDOWS: usize = 20;
/// The most characters of a session's reason that are kept.
const REASON_CHARS: usize = 500;

/// When a campaign is to be looked at next, unless something of it changes.
enum Next {
    /// At once: there is more to do.
    Again,
    /// When something of it changes.
    Changed,
    /// At this instant.
    At(Timestamp),
}

struct Feeder {
    context: Arc<Context>,
    /// Campaigns to be looked at.
    todo: BTreeSet<Which>,
    /// Campaigns that wait for their time.
    timers: BTreeMap<Which, Timestamp>,
    /// All open campaigns are to be looked at.
    all: bool,
}

/// Whether a session in this state stays so until a person acts: campaigns are paused by it.
pub(crate) fn ends_sending(state: &SessionState) -> bool {
    matches!(state, SessionState::LoggedOut(_) | SessionState::Unpaired(_))
}

/// Runs until draining.
pub(crate) async fn run(context: Arc<Context>) {
    let (todo, timers) = (BTreeSet::new(), BTreeMap::new());
    let mut feeder = Feeder { context: context.clone(), todo, timers, all: true };
    due::run(&context, &context.signals.campaigns.wake, &mut feeder).await;
}

impl due::Work for Feeder {
    const FAILED: &'static str = "rows of campaigns are not handed over";

    async fn look(&mut self) -> StoreResult<Option<Timestamp>> {
        let noted = self.context.signals.campaigns.take();
        self.todo.extend(noted.some);
        self.all |= noted.all;
        if self.all {
            let open = self.context.ports.store.open_campaigns()?;
            self.todo.extend(open.iter().copied());
            self.all = false;
        }
        let now = self.context.ports.clock.now();
        self.todo.extend(self.timers.iter().filter(|(_, at)| **at <= now).map(|(which, _)| *which));
        let mut failed = None;
        // One step for each in turn, so that a large one does not keep the others waiting, and one that cannot be read does not either.
        for which in self.todo.clone() {
            if self.context.signals.is_draining() {
                break;
            }
            self.timers.remove(&which);
            match self.attend(which).await {
                Ok(Next::Again) => {}
                Ok(Next::Changed) => {
                    self.todo.remove(&which);
                }
                Ok(Next::At(at)) => {
                    self.todo.remove(&which);
                    self.timers.insert(which, at);
                }
                // Somebody was faster: it is read again.
                Err(StoreError::Conflict(Conflict::Campaign(_) | Conflict::Message(_) | Conflict::Gone)) => {}
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(if self.todo.is_empty() { self.timers.values().min().copied() } else { Some(now) })
    }
}

impl Feeder {
    /// One step for a campaign.
    async fn attend(&self, (tenant, number): Which) -> StoreResult<Next> {
        let store = &self.context.ports.store;
        let Some(campaign) = store.campaign(tenant, number)?.filter(Campaign::is_open) else {
            return Ok(Next::Changed);
        };
        let now = self.context.ports.clock.now();
        match campaign.status {
            CampaignStatus::Draft | CampaignStatus::Finished => Ok(Next::Changed),
            CampaignStatus::Scheduled => match campaign.scheduled_at.filter(|at| *at > now) {
                Some(at) => Ok(Next::At(at)),
                None => self.put(campaign.due(now).ok()).await,
            },
            CampaignStatus::Running => self.running(&campaign, now).await,
            CampaignStatus::Paused => self.take_back(&campaign, now).await,
            CampaignStatus::Stopped => self.cancel(&campaign, now).await,
        }
    }

    /// 1. See whether something pauses it: its connector, its rules, its channel, its template.
    /// 2. See whether it is finished.
    /// 3. Hand over rows, where there is room for enough of them.
    async fn running(&self, campaign: &Campaign, now: Timestamp) -> StoreResult<Next> {
        let Context { ports, options, .. } = &*self.context;
        let (tenant, number) = (campaign.tenant, campaign.number);
        let counts = ports.store.campaign_counts(tenant, number)?;
        // 1.
        let connector = ports.store.connector(campaign.connector)?;
        let Some(connector) = connector.filter(|one| one.status != ConnectorStatus::Deleted) else {
            let detail = "the connector was deleted";
            return self.put(campaign.paused(CampaignReason::ConnectorDeleted, detail, now).ok()).await;
        };
        let is_down = connector.status == ConnectorStatus::Paused;
        if is_down != campaign.connector_down {
            return self.put(Some(campaign.connector_seen(is_down, now))).await;
        }
        if let Some((reason, detail)) = campaign.broken_rule(&counts) {
            return self.put(campaign.paused(reason, detail, now).ok()).await;
        }
        if counts.pending + counts.queued > 0
            && let Some(detail) = self.stopped_by_channel(&connector)
        {
            return self.put(campaign.paused(CampaignReason::ChannelStopped, detail, now).ok()).await;
        }
        // 2.
        if counts.pending == 0 {
            if counts.queued == 0 && campaign.audience != Audience::Direct {
                return self.put(campaign.ended(now).ok()).await;
            }
            return Ok(Next::Changed);
        }
        let template = ports.store.template_by_number(tenant, campaign.template)?;
        let Some(template) = template.filter(|template| template.is_sendable()) else {
            let detail = "the template may not be sent now";
            return self.put(campaign.paused(CampaignReason::TemplateNotApproved, detail, now).ok()).await;
        };
        // 3.
        let batch = options.campaigns.batch.max(1);
        let waiting = usize::try_from(counts.queued.saturating_sub(counts.put_off)).unwrap_or(usize::MAX);
        let put_off = usize::try_from(counts.put_off).unwrap_or(usize::MAX);
        // Each of those may turn out to be to a stranger.
        let may_be_put_off =
            options.campaigns.window.saturating_mul(PUT_OFF_WINDOWS).saturating_sub(put_off.saturating_add(waiting));
        let room = options.campaigns.window.saturating_sub(waiting).min(may_be_put_off);
        let pending = usize::try_from(counts.pending).unwrap_or(usize::MAX);
        // Not a row for each message that ends: a batch costs what a row does.
        if room == 0 || room < batch.min(pending).min(options.campaigns.window) {
            return Ok(Next::Changed);
        }
        let has_more = self.hand_over(campaign, &connector, &template, room.min(batch)).await?;
        Ok(if has_more { Next::Again } else { Next::Changed })
    }

    /// Why the channel takes nothing more until a person acts, if so, in the session's words.
    fn stopped_by_channel(&self, connector: &Connector) -> Option<String> {
        let connectors = &self.context.ports.connectors;
        if !connectors.plugin(&connector.plugin).is_some_and(|plugin| plugin.needs_session) {
            return None;
        }
        let state = connectors.session(connector.index);
        if !ends_sending(&state) {
            return None;
        }
        match &state {
            SessionState::LoggedOut(why) | SessionState::Unpaired(why) if !why.is_empty() => {
                Some(why.chars().take(REASON_CHARS).collect())
            }
            _ => wait_of(&state).map(|wait| wait.sentence),
        }
    }

    /// Stores the campaign's next version, if there is one.
    async fn put(&self, next: Option<Campaign>) -> StoreResult<Next> {
        let Some(next) = next else { return Ok(Next::Changed) };
        self.commit(vec![Change::Campaign(Box::new(CampaignChange::Put(next)))]).await?;
        Ok(Next::Again)
    }

    async fn commit(&self, changes: Vec<Change>) -> StoreResult<()> {
        self.context.ports.store.commit(Batch::of(changes)).await?;
        Ok(())
    }
}
