//! What a channel tells beside messages and receipts: limits, refusals of categories, what will end, and messages that could not be
//! delivered.

use pombo_domain::model::contact::{Contact, ContactStep};
use pombo_domain::model::delivery::Delivery;
use pombo_domain::model::event::EventBody;
use pombo_domain::model::health::{HealthChange, HealthSignal};
use pombo_domain::model::inbound::Inbound;
use pombo_domain::model::message::{MessageType, Status};
use pombo_domain::model::reason::{Reason, ReasonCode};
use pombo_domain::model::receipt::{EarlyFailure, LateFailure, ReceiptKind};
use pombo_domain::model::refusals::wish_of;
use pombo_domain::model::rules::{ChannelLimits, Quality};
use pombo_domain::ports::{Change, RuleChange, StoreResult, Update};
use pombo_domain::{MessageKey, Timestamp};
use uuid::Uuid;

use super::BatchBuilder;
use crate::audiences::audience_of;
use crate::intake::bounds::{self, Unfit};
use crate::intake::told::{self, Expiring, Failed, OptOutTold};
use crate::rules::late;

/// A message that could not be delivered.
struct Failing {
    key: MessageKey,
    /// Address of the recipient.
    to: String,
    /// The channel's id of the message, as far as it is known.
    provider_id: Option<String>,
    /// Whether it was not told before.
    is_news: bool,
    /// Whether it is sent once more.
    again: bool,
    /// Whether the next attempt is to come already: then it is about an earlier one.
    is_earlier: bool,
}

/// What becomes of an event that is not of its form.
fn passed_over(builder: &BatchBuilder<'_>, kind: &str) -> StoreResult<Result<(), Unfit>> {
    tracing::debug!(connector = %builder.connector.id, kind, "an event is not of its form");
    Ok(Ok(()))
}

impl BatchBuilder<'_> {
    /// The channel's limits have changed.
    pub(super) fn limits(&mut self, json: String) -> StoreResult<Result<(), Unfit>> {
        let known = match self.limits {
            Some(known) => known,
            None => self.context.ports.store.channel_limits(self.connector.index)?,
        };
        // With an audience only where this event tells of it.
        let unknown = ChannelLimits { audience: None, ..known };
        let Some(told) = told::limits_told(&json, unknown) else { return passed_over(self, told::LIMITS) };
        let limits = ChannelLimits { audience: told.audience.or(known.audience), ..told };
        let is_news = match told.audience {
            Some(limit) => self.audience_limit(limit)?,
            None => false,
        };
        if limits != known {
            self.quality(known, limits);
            self.limits = Some(limits);
            self.changes.push(Change::Rule(RuleChange::Limits(self.connector.index, limits)));
        }
        if is_news || limits != known {
            self.keep(told::LIMITS, json);
        }
        Ok(Ok(()))
    }

    /// The limit of the connector's audience: what is told last holds for all that share it, whichever is told. Whether it is another one
    /// than before.
    fn audience_limit(&mut self, limit: Option<u32>) -> StoreResult<bool> {
        let plugin = self.context.ports.connectors.plugin(&self.connector.plugin);
        let Some(rule) = plugin.and_then(|plugin| plugin.rules).and_then(|rules| rules.audience) else {
            return Ok(false);
        };
        let audience = audience_of(&rule, self.connector);
        let known = match self.audience_limit {
            Some((_, known)) => Some(known),
            None => self.context.ports.store.audience_limit(&audience)?,
        };
        if known == Some(limit) {
            return Ok(false);
        }
        self.audience_limit = Some((audience, limit));
        self.changes.push(Change::Rule(RuleChange::AudienceLimit { audience, limit }));
        Ok(true)
    }

    /// How far the account may start conversations. A connector tells it again after each login: only news are an event. Messages that were
    /// put off for what was told before are released where that holds them no more.
    pub(super) fn outreach(&mut self, json: String) -> StoreResult<Result<(), Unfit>> {
        let Some(told) = told::outreach_told(&json) else { return passed_over(self, told::OUTREACH) };
        let known = self.outreach.unwrap_or_else(|| self.account_health.outreach());
        if told == known {
            return Ok(Ok(()));
        }
        let release = known.freed_by(told, self.now);
        self.releases.extend(&release);
        self.changes.push(Change::Rule(RuleChange::Outreach { connector: self.connector.index, told, release }));
        if let Some(until) = told.at(self.now).locked_until {
            tracing::warn!(connector = %self.connector.id, until = %until.to_iso(), "the account may not start conversations");
        }
        self.outreach = Some(told);
        self.keep(told::OUTREACH, json);
        Ok(Ok(()))
    }

    /// The event in the log, as the channel told it.
    fn keep(&mut self, kind: &str, mut json: String) {
        let mut kind = kind.to_owned();
        bounds::other(&mut kind, &mut json);
        self.append(EventBody::Other(kind, json), None);
    }

    /// A quality that became worse is a sign against the account.
    fn quality(&mut self, known: ChannelLimits, limits: ChannelLimits) {
        if known.quality == limits.quality {
            return;
        }
        let (signal, kind) = match limits.quality {
            Quality::Yellow => (HealthSignal::Blocked, HealthChange::Blocked),
            Quality::Red => (HealthSignal::Restricted, HealthChange::Restricted),
            Quality::Green | Quality::Unknown => return,
        };
        self.signals.push(signal);
        self.warnings.push((kind, format!("the channel rates what is sent {}", limits.quality.as_str())));
    }

    /// A person does not want messages of a category any more, or wants them again.
    pub(super) fn opt_out(&mut self, json: String) -> StoreResult<Result<(), Unfit>> {
        let Ok(OptOutTold { address, category, out }) = serde_json::from_str::<OptOutTold>(&json) else {
            return passed_over(self, told::OPT_OUT);
        };
        if let Err(unfit) = bounds::id(&address) {
            return Ok(Err(unfit));
        }
        let Some(kind) = self.category_of(&category) else { return passed_over(self, told::OPT_OUT) };
        self.refuse(&address, kind, out)?;
        self.keep(told::OPT_OUT, json);
        Ok(Ok(()))
    }

    /// The category of messages that the channel calls so, by what its plugin declares.
    fn category_of(&self, name: &str) -> Option<MessageType> {
        let plugin = self.context.ports.connectors.plugin(&self.connector.plugin);
        plugin.and_then(|plugin| plugin.rules).unwrap_or_default().opt_out_category(name)
    }

    /// A contact refuses a category, or no longer. Who is no contact yet becomes one, so that it is kept.
    fn refuse(&mut self, address: &str, category: MessageType, out: bool) -> StoreResult<()> {
        let Some(kind) = self.kind else { return Ok(()) };
        let identifier = kind.identifier(address).into_owned();
        let steps = vec![ContactStep::Refuse(category, out)];
        match self.find(kind, &identifier)? {
            Some(contact) => self.step(&identifier, contact, steps),
            None if out => {
                let id = self.context.ports.entropy.uuid();
                let mut contact = Contact::new(id, self.tenant, kind, identifier.clone(), self.now);
                contact.apply(&steps, self.now);
                self.put(&identifier, contact);
            }
            None => {}
        }
        Ok(())
    }

    /// A person wrote: whether the text is a word by which advertising is refused, or wanted again. A channel may tell a message twice: an
    /// older word than what was last written takes back no refusal.
    pub(super) fn heed(&mut self, inbound: &Inbound, text: &str) -> StoreResult<()> {
        let settings = self.context.ports.store.tenant_settings(self.tenant)?;
        match wish_of(text, settings.opt_out_words.as_deref()) {
            Some(false) if self.is_older(inbound)? => Ok(()),
            Some(out) => self.refuse(&inbound.sender, MessageType::Marketing, out),
            None => Ok(()),
        }
    }

    /// Whether the other side wrote something later, by the channel's own time.
    fn is_older(&mut self, inbound: &Inbound) -> StoreResult<bool> {
        let chat = self.chat_of(&inbound.chat, false)?;
        let found = self.context.ports.store.conversation_with(self.connector.index, &chat)?;
        Ok(found.and_then(|found| found.written_at).is_some_and(|written| inbound.sent_at < written))
    }

    /// Something ends unless somebody acts.
    pub(super) fn expiring(&mut self, json: String) -> StoreResult<Result<(), Unfit>> {
        let Ok(expiring) = serde_json::from_str::<Expiring>(&json) else { return passed_over(self, told::EXPIRING) };
        let mut ends = told::ends(&expiring);
        bounds::cut(&mut ends, bounds::NAME);
        tracing::warn!(connector = %self.connector.id, ends, "a connector stops working unless somebody acts");
        self.keep(told::EXPIRING, json);
        Ok(Ok(()))
    }

    /// A message could not be delivered: the receipt with the channel's code, and what follows from it.
    pub(super) fn failed(&mut self, json: &str) -> StoreResult<Result<(), Unfit>> {
        let Ok(Failed { client_id, provider_id, recipient, at_millis, code, reason, effect, category }) =
            serde_json::from_str::<Failed>(json)
        else {
            return passed_over(self, told::FAILED);
        };
        let ids = [provider_id.as_ref(), recipient.as_ref()];
        if let Some(unfit) = ids.into_iter().flatten().find_map(|id| bounds::id(id).err()) {
            return Ok(Err(unfit));
        }
        let named = client_id.and_then(|id| Uuid::parse_str(&id).ok());
        let Some(id) = self.subject(named, provider_id.as_deref())? else { return Ok(Ok(())) };
        let (mut code, mut reason) = (code.filter(|code| !code.is_empty()), reason);
        for text in [&mut code, &mut reason].into_iter().flatten() {
            bounds::cut(text, bounds::NAME);
        }
        let at = Timestamp(at_millis);
        let detail = reason.or_else(|| code.clone());
        let effect = effect.as_deref().unwrap_or_default();
        let word = match effect {
            "recipient" => ReasonCode::InvalidRecipient,
            "content" => ReasonCode::Rejected,
            "opt-out" => ReasonCode::CategoryRefused,
            "window" => ReasonCode::WindowClosed,
            _ => ReasonCode::Undeliverable,
        };
        let why = detail.clone().unwrap_or_else(|| "the channel could not deliver it".to_owned());
        let failure = LateFailure {
            reason: Reason::new(word, why).with_channel_code(code),
            provider_id: provider_id.clone(),
            later: effect == "later",
        };
        let Some(failing) = self.fails(id, &failure)? else { return Ok(Ok(())) };
        let told = provider_id.or(failing.provider_id).unwrap_or_default();
        if !failing.is_earlier {
            self.receipt(id, told, recipient, ReceiptKind::Failed, at, detail.clone())?;
        }
        if let Some(reported) = self.reported.get_mut(&failing.key) {
            if let Some(first) = reported.receipts.failed.as_mut().filter(|_| failing.is_news) {
                first.code.clone_from(&failure.reason.channel_code);
                first.provider_id.clone_from(&failure.provider_id);
            }
            if failing.again {
                reported.receipts.forget_failure();
            }
        }
        match effect {
            "opt-out" => {
                let refused = category.map_or(Some(MessageType::Marketing), |name| self.category_of(&name));
                match refused {
                    Some(refused) => self.refuse(&failing.to, refused, true)?,
                    None => tracing::debug!(connector = %self.connector.id, "a refused category is not known"),
                }
            }
            "stop" if failing.is_news => {
                self.signals.push(HealthSignal::Restricted);
                let mut how = detail.unwrap_or_else(|| "nothing can be sent until somebody acts".to_owned());
                bounds::cut(&mut how, bounds::NAME);
                self.warnings.push((HealthChange::Restricted, how));
            }
            _ => {}
        }
        Ok(Ok(()))
    }

    /// The message's next state. Of one that is still with the connector, the failure is kept until its attempt ends, see
    /// [`crate::lane::early`].
    fn fails(&mut self, id: Uuid, failure: &LateFailure) -> StoreResult<Option<Failing>> {
        let Some(key) = self.reported(id)? else { return Ok(None) };
        let Some(reported) = self.reported.get_mut(&key) else { return Ok(None) };
        let message = &reported.stored.message;
        let state = reported.state.as_ref().unwrap_or(&reported.stored.state);
        // It is about an earlier attempt.
        if let (Some(known), Some(told)) = (&state.provider_id, &failure.provider_id)
            && known != told
        {
            return Ok(None);
        }
        let mut failing = Failing {
            key,
            to: message.content.to.clone(),
            provider_id: state.provider_id.clone().or_else(|| reported.receipts.provider_id.clone()),
            is_news: reported.receipts.failed.is_none(),
            again: false,
            is_earlier: matches!(state.status, Status::Pending | Status::Waiting),
        };
        if failing.is_earlier {
            // Nor does an id of that attempt prove any more that the channel has the message.
            reported.changed |= reported.receipts.provider_id.take().is_some();
            return Ok(Some(failing));
        }
        if state.status == Status::Processing {
            let first = reported.receipts.failed.as_ref().and_then(|first| first.provider_id.as_ref());
            if first.is_some() && first == failure.provider_id.as_ref() {
                // It is told again: it is kept already, or about an earlier attempt.
                return Ok(None);
            }
            let early = Some(EarlyFailure { revision: state.revision, failure: failure.clone() });
            if reported.receipts.early != early {
                reported.receipts.early = early;
                reported.changed = true;
            }
            if let Some(lane) = self.context.signals.lane(self.connector.index) {
                lane.failed_early.lock().insert(key);
            }
            return Ok(Some(failing));
        }
        let retry_later = self.context.options.retry.retry_later;
        if let Some(next) = late::next(message, state, &reported.receipts, failure, retry_later, self.now) {
            let delivery = Delivery::of(message, Some(state.status), &next);
            self.changes.push(Change::Update(Update { key, state: next.clone(), delivery }));
            failing.again = next.status == Status::Waiting;
            reported.steps = true;
            reported.state = Some(next);
        }
        Ok(Some(failing))
    }
}
