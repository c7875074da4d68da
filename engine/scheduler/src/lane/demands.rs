//! What the channel demands of a message before it is sent: the reply window, whether the account may start a conversation, how fast its
//! recipient may be written to, and how many people may be. Asked by a claim for each message; what a message takes is given back where
//! the claim is not stored. Throughput is asked where messages are handed over, see [`super::Lane::start_sends`], and so is once more
//! whether a conversation may be started.

use pombo_domain::commands::conversations::Acquaintances;
use pombo_domain::model::connector::Connector;
use pombo_domain::model::message::StoredMessage;
use pombo_domain::model::reason::{Reason, ReasonCode};
use pombo_domain::model::rules::{AudienceRule, Bucket, ChannelLimits, Rules};
use pombo_domain::model::{Conversation, Outreach, OutreachWait, Quality};
use pombo_domain::ports::{AudienceKey, Change, RuleChange, StoreResult, TimelineRange};
use pombo_domain::{ConnectorIndex, Timestamp};

use crate::account::Starting;
use crate::audiences::{audience_of, person_of};
use crate::context::Context;
use crate::observer::LaneShared;
use crate::rules::audience::{Audience, Counted, counts_until};
use crate::rules::limits::recipient_key;

/// People who no longer count and whose rows one claim deletes, at most.
const FORGOTTEN: usize = 512;
/// Messages of a conversation that are looked at for how fast its recipient was written to before a restart.
const SEEDED: usize = 200;
/// A stranger waits so long where the channel does not tell when its count begins anew, ms; then it is asked again.
const ASK_AGAIN_MS: i64 = 3_600_000;

/// The rules of the channel, and what it told of the connector's limits.
pub(crate) struct Demands {
    rules: Rules,
    told: ChannelLimits,
    audience: Option<AudienceKey>,
    acquaintances: Acquaintances,
}

/// What a claim took of what the channel allows.
#[derive(Default)]
pub(super) struct Taken {
    recipients: Vec<u64>,
    people: Vec<Counted>,
    /// Whether a message took a place among the conversations that the channel counts.
    pub(super) starts: bool,
    /// What was known of outreach when messages were put off for it, and until when.
    put_off: Vec<(Outreach, Timestamp)>,
    /// To be stored with the attempts.
    pub(super) changes: Vec<Change>,
}

/// Whether a message may go.
pub(super) enum Answer {
    /// Now. To a stranger with a place among the conversations that the channel counts.
    Go(Option<Starting>),
    /// Not before this instant.
    Later(Reason, Timestamp),
    /// The channel does not take it.
    Never(Reason),
}

impl Demands {
    pub(super) fn new(context: &Context, connector: &Connector, rules: Rules) -> Self {
        let told = context.ports.store.channel_limits(connector.index).unwrap_or_else(|error| {
            tracing::error!(connector = %connector.id, %error, "the channel's limits not read; those of the plugin count");
            ChannelLimits::default()
        });
        let audience = rules.audience.as_ref().map(|rule| audience_of(rule, connector));
        Self { rules, told, audience, acquaintances: Acquaintances::of(connector) }
    }

    /// Messages per second; `None` for any number.
    pub(super) fn per_second(&self) -> Option<u32> {
        let declared = self.rules.throughput.as_ref().map(|throughput| throughput.per_second);
        self.told.per_second.or(declared)
    }

    /// How many people may be written to: what the channel told of the audience, otherwise what an earlier engine kept of what it told this
    /// connector, otherwise what the plugin declares.
    fn limit_of(&self, audience: &Audience, rule: &AudienceRule) -> Option<u32> {
        audience.told_limit().or(self.told.audience).unwrap_or(rule.limit)
    }

    /// Whether one message may go, and takes what it needs.
    pub(super) fn ask(
        &self,
        context: &Context,
        shared: &LaneShared,
        (stored, chat): (&StoredMessage, Option<&str>),
        taken: &mut Taken,
        now: Timestamp,
    ) -> StoreResult<Answer> {
        let content = &stored.message.content;
        let asks_for_chats = self.rules.reply_window_ms.is_some()
            || self.rules.recipient_rate.is_some()
            || self.rules.audience.is_some();
        let conversation = match chat.filter(|_| asks_for_chats) {
            Some(chat) => context.ports.store.conversation_with(content.connector, chat)?,
            None => None,
        };
        let is_group = conversation.as_ref().is_some_and(|found| found.is_group);
        let until = self.rules.window_until(conversation.as_ref().and_then(|found| found.written_at));
        let is_outside = !is_group && until.is_none_or(|until| until <= now);
        let has_window = self.rules.reply_window_ms.is_some();
        if is_outside && has_window && !self.rules.allows_outside(content.options.action.own_kind()) {
            let detail = match until {
                Some(until) => format!("the person's reply window closed at {}", until.to_iso()),
                None => "the person has not written yet".to_owned(),
            };
            return Ok(Answer::Never(Reason::new(ReasonCode::WindowClosed, detail)));
        }
        let mut starting = None;
        let outreach = shared.account_health.outreach();
        if let Some(chat) = chat
            && outreach.at(now).limits()
            && self.acquaintances.lack(&*context.ports.store, &content.to, chat)?
        {
            match shared.account_health.start_conversation(recipient_key(chat), now) {
                Ok(place) => starting = place,
                Err(wait) => {
                    let until = wait.until().unwrap_or(now.plus_ms(ASK_AGAIN_MS));
                    if !taken.put_off.contains(&(outreach, until)) {
                        taken.put_off.push((outreach, until));
                    }
                    return Ok(Answer::Later(Reason::new(ReasonCode::Outreach, wait.detail()), until));
                }
            }
        }
        let mut counted = None;
        if is_outside && let (Some(key), Some(rule)) = (&self.audience, &self.rules.audience) {
            let audience = context.audiences.of(&*context.ports.store, *key)?;
            let person = person_of(chat.unwrap_or(&content.to));
            let mut audience = audience.lock();
            let limit = self.limit_of(&audience, rule);
            match audience.count(person, limit, rule.window_ms, now) {
                Ok(one) => counted = Some(one),
                Err(until) => {
                    let detail = "as many different people were written to as the channel allows";
                    return Ok(Answer::Later(Reason::new(ReasonCode::Audience, detail), until));
                }
            }
            for (person, upto) in audience.take_gone(FORGOTTEN) {
                taken.changes.push(Change::Rule(RuleChange::Forgotten { audience: *key, person, upto }));
            }
        }
        let recipient = recipient_key(&content.to);
        let bucket = self.rules.recipient_rate.as_ref();
        if let Some(bucket) = bucket {
            seed(context, shared, (recipient, bucket), conversation.as_ref(), now)?;
        }
        let first_due = content.scheduled_at.unwrap_or(stored.message.created_at).max(stored.message.created_at);
        let waited = stored.state.due_at > first_due;
        let asked = shared.limits.lock().recipients.ask(recipient, bucket, waited, now);
        if let Err(until) = asked {
            if let (Some(counted), Some(key)) = (&counted, &self.audience) {
                context.audiences.of(&*context.ports.store, *key)?.lock().give_back(counted);
            }
            let detail = "the recipient is written to as fast as the channel allows";
            return Ok(Answer::Later(Reason::new(ReasonCode::RecipientRate, detail), until));
        }
        if bucket.is_some() {
            taken.recipients.push(recipient);
        }
        if let (Some(counted), Some(key), Some(rule)) = (counted, &self.audience, &self.rules.audience) {
            if counted.noted {
                let (audience, person, until) = (*key, counted.person, counts_until(now, rule.window_ms));
                taken.changes.push(Change::Rule(RuleChange::Reached { audience, person, at: now, until }));
            }
            taken.people.push(counted);
        }
        taken.starts |= starting.is_some();
        Ok(Answer::Go(starting))
    }

    /// Whether a claimed message would start a conversation. Where that cannot be read, it would.
    pub(super) fn starts_conversation(&self, context: &Context, to: &str, chat: Option<&str>) -> bool {
        chat.is_some_and(|chat| self.acquaintances.lack(&*context.ports.store, to, chat).unwrap_or(true))
    }

    /// A claim was stored. Messages that it put off for what is told otherwise by now, or for places that were given back meanwhile, are to
    /// be released.
    pub(super) fn stored(&self, context: &Context, shared: &LaneShared, taken: &Taken) {
        if taken.put_off.is_empty() {
            return;
        }
        let told = shared.account_health.outreach();
        let wait = shared.account_health.outreach_now().wait(context.ports.clock.now());
        let waits_until = wait.and_then(OutreachWait::until);
        let is_freed = |(asked, until): &&(Outreach, Timestamp)| {
            let has_place = wait.is_none() && told.cycle_end == Some(*until);
            has_place || (*asked != told && waits_until != Some(*until))
        };
        let freed: Vec<Timestamp> = taken.put_off.iter().filter(is_freed).map(|(_, until)| *until).collect();
        context.signals.note_releases(shared.connector, &freed);
    }

    /// A claim was not stored.
    pub(super) fn give_back(&self, context: &Context, shared: &LaneShared, taken: &Taken) {
        if let Some(bucket) = &self.rules.recipient_rate {
            let mut limits = shared.limits.lock();
            taken.recipients.iter().for_each(|recipient| limits.recipients.give_back(*recipient, bucket));
        }
        if let Some(key) = &self.audience
            && let Ok(audience) = context.audiences.of(&*context.ports.store, *key)
        {
            let mut audience = audience.lock();
            // The last one first: a person may have been counted twice.
            taken.people.iter().rev().for_each(|counted| audience.give_back(counted));
        }
    }
}

/// What the timeline knows of how fast a recipient was written to before the lane started.
fn seed(
    context: &Context,
    shared: &LaneShared,
    (recipient, bucket): (u64, &Bucket),
    conversation: Option<&Conversation>,
    now: Timestamp,
) -> StoreResult<()> {
    let full_ms = i64::from(bucket.burst).saturating_mul(bucket.refill_ms);
    let is_due = {
        let mut limits = shared.limits.lock();
        let since = *limits.since.get_or_insert(now);
        now.since(since) < full_ms && !limits.recipients.knows(recipient)
    };
    let Some(conversation) = conversation.filter(|_| is_due) else { return Ok(()) };
    let range = TimelineRange { from: Some(now.plus_ms(-full_ms)), ..TimelineRange::default() };
    let page = context.ports.store.timeline(conversation.tenant, conversation.number, &range, SEEDED)?;
    let written: Vec<Timestamp> =
        page.items.iter().filter(|item| item.entry.message.is_some()).map(|item| item.at).collect();
    shared.limits.lock().recipients.seed(recipient, bucket, &written, now);
    Ok(())
}

/// What is shown of what the channel demands.
pub(crate) struct DemandsView {
    pub(crate) per_second: Option<u32>,
    /// How many people count, and how many may.
    pub(crate) audience: Option<(u32, Option<u32>)>,
    pub(crate) quality: Quality,
}

/// What the channel of a connector demands now.
pub(crate) fn view(context: &Context, connector: &Connector, rules: Rules, now: Timestamp) -> StoreResult<DemandsView> {
    let told = context.ports.store.channel_limits(connector.index)?;
    let audience = rules.audience.as_ref().map(|rule| audience_of(rule, connector));
    let demands = Demands { audience, rules, told, acquaintances: Acquaintances::of(connector) };
    let audience = match (&demands.audience, &demands.rules.audience) {
        (Some(key), Some(rule)) => {
            let audience = context.audiences.of(&*context.ports.store, *key)?;
            let mut audience = audience.lock();
            let used = u32::try_from(audience.used(rule.window_ms, now)).unwrap_or(u32::MAX);
            Some((used, demands.limit_of(&audience, rule)))
        }
        _ => None,
    };
    Ok(DemandsView { per_second: demands.per_second(), audience, quality: told.quality })
}

/// Whether received messages count for the throughput of a connector.
pub(crate) fn counts_received(rules: Option<&Rules>) -> bool {
    rules.and_then(|rules| rules.throughput.as_ref()).is_some_and(|throughput| throughput.counts_received)
}

/// Counts messages that a connector received.
pub(crate) fn received(context: &Context, connector: ConnectorIndex, messages: usize, now: Timestamp) {
    if let Some(lane) = context.signals.lane(connector) {
        lane.limits.lock().rate.count(u32::try_from(messages).unwrap_or(u32::MAX), now);
    }
}
