//! From queue entries to claimed messages: load, check, render, store the attempts. Runs inside the lane's task, as a future
//! beside its sends, and holds a turn of the gate meanwhile.

use std::sync::Arc;

use pombo_domain::MessageKey;
use pombo_domain::Timestamp;
use pombo_domain::ids::render_seed;
use pombo_domain::model::Receipts;
use pombo_domain::model::attachment::Attachment;
use pombo_domain::model::contact::ContactType;
use pombo_domain::model::delivery::Delivery;
use pombo_domain::model::message::{
    Act, Message, MessageOptions, MessageState, NewMessage, Position, Reason, StoredMessage,
};
use pombo_domain::ports::{
    Batch, Change, OutboundError, Outgoing, ReadyEntry, RenderError, RenderJob, SendOutcome, StoreError, StoreResult,
    Update,
};

use super::{Ended, InFlight, LaneConfig};
use crate::context::Context;
use crate::metrics::Metrics;
use crate::observer::LaneShared;
use crate::rules::health;
use crate::rules::retry::Ending;

/// An entry to be claimed, with what was fetched for it.
pub(super) struct Candidate {
    pub(super) entry: ReadyEntry,
    pub(super) fetched: Option<Result<Attachment, OutboundError>>,
}

/// A stored attempt, ready for the connector.
pub(super) struct Claimed {
    pub(super) in_flight: InFlight,
    pub(super) outgoing: Outgoing,
}

/// What became of the candidates. Those in no list are gone from the queue.
#[derive(Default)]
pub(super) struct ClaimDone {
    /// How many there were.
    pub(super) taken: usize,
    pub(super) claimed: Vec<Claimed>,
    /// Attempts that ended before the connector.
    pub(super) ended: Vec<Ended>,
    /// Their attachment must be fetched first.
    pub(super) fetch: Vec<(ReadyEntry, String)>,
    /// Not stored: they are still in the queue.
    pub(super) back: Vec<Candidate>,
    pub(super) error: Option<StoreError>,
}

/// One that passed the checks.
struct Prepared {
    candidate: Candidate,
    stored: StoredMessage,
    has_subject: bool,
    unreachable: Option<String>,
    /// Receipts show that the channel has it: an earlier attempt reached it after all.
    proven: Option<SendOutcome>,
}

/// Claims `candidates`; see the module.
pub(super) async fn claim(
    context: Arc<Context>,
    config: Arc<LaneConfig>,
    shared: Arc<LaneShared>,
    candidates: Vec<Candidate>,
    seed: u64,
) -> ClaimDone {
    let _turn = context.gate.turn(config.connector.tenant).await;
    let mut done = ClaimDone { taken: candidates.len(), ..ClaimDone::default() };
    let store = &context.ports.store;
    let keys: Vec<MessageKey> = candidates.iter().map(|candidate| candidate.entry.key).collect();
    let loaded = match load(&context, &keys) {
        Ok(loaded) => loaded,
        Err(error) => {
            done.back = candidates;
            done.error = Some(error);
            return done;
        }
    };

    let now = context.ports.clock.now();
    let mut updates: Vec<Update> = Vec::with_capacity(keys.len());
    let mut prepared: Vec<Prepared> = Vec::with_capacity(keys.len());
    let mut jobs: Vec<RenderJob> = Vec::with_capacity(keys.len());
    let mut templates = Templates::default();
    for (candidate, stored) in candidates.into_iter().zip(loaded) {
        let Some(stored) = stored else { continue };
        if stored.message.content.connector != config.connector.index
            || stored.state.position(&stored.message) != Position::Ready(candidate.entry.order)
        {
            continue;
        }
        // Where an earlier attempt ended in doubt, a receipt may have come since: then it was sent, and is not sent again.
        let earlier = if stored.state.attempts > 0 { store.receipts(stored.message.key).ok() } else { None };
        if let Some(receipts) = earlier.filter(Receipts::prove_sent) {
            let proven = Some(SendOutcome::Accepted { provider_id: receipts.provider_id });
            prepared.push(Prepared { candidate, stored, has_subject: false, unreachable: None, proven });
            continue;
        }
        let content = &stored.message.content;
        let act = Acting::of(&content.options.act);
        let tenant = config.connector.tenant;
        let contact_of = |kind: ContactType| store.contact(tenant, kind, &kind.identifier(&content.to));
        let contact = match config.contact_kind.map(contact_of) {
            None => None,
            Some(Ok(contact)) => contact,
            Some(Err(error)) => {
                done.back.push(candidate);
                done.error = Some(error);
                continue;
            }
        };
        if let Some(contact) = contact.as_ref().filter(|contact| !contact.active && act.reaches()) {
            let why = contact.reason.as_deref().unwrap_or("the contact does not want messages");
            fail(&context, &mut updates, &stored, Reason::new("inactive_contact", why), now);
            continue;
        }
        let mut unreachable = None;
        match (&content.attachment_url, &stored.state.fetched, &candidate.fetched) {
            _ if !act.carries_files() => {}
            (None, _, _) | (_, Some(_), _) | (_, _, Some(Ok(_))) => {}
            (Some(url), None, None) => {
                done.fetch.push((candidate.entry, url.clone()));
                continue;
            }
            (_, _, Some(Err(error))) => {
                Metrics::add(&context.metrics.attachment_failed, 1);
                if !error.is_temporary() {
                    let reason = Reason::new("attachment", format!("attachmentUrl: {error}"));
                    fail(&context, &mut updates, &stored, reason, now);
                    continue;
                }
                unreachable = Some(format!("attachmentUrl: {error}"));
            }
        }
        let has_subject = content.subject.is_some();
        if unreachable.is_none() && act.is_rendered() {
            let (seed, variables) = (render_seed(stored.message.id), templates.variables(content));
            if let Some(subject) = &content.subject {
                let template = Arc::from(subject.as_str());
                jobs.push(RenderJob { template, seed, variables: variables.clone() });
            }
            jobs.push(RenderJob { template: templates.text(&content.text), seed, variables });
        }
        prepared.push(Prepared { candidate, stored, has_subject, unreachable, proven: None });
    }

    let mut texts = if jobs.is_empty() { Vec::new() } else { context.ports.renderer.render(jobs).await }.into_iter();
    let now = context.ports.clock.now();
    let (mut normal, mut direct) = (0, 0);
    let mut entries: Vec<(ReadyEntry, Option<Result<Attachment, OutboundError>>)> = Vec::with_capacity(prepared.len());
    for Prepared { mut candidate, stored, has_subject, unreachable, proven } in prepared {
        let rendered = match unreachable {
            _ if let Some(outcome) = proven => Err(Ending::Outcome(outcome)),
            None if !Acting::of(&stored.message.content.options.act).is_rendered() => {
                Ok((stored.message.content.text.clone(), None))
            }
            Some(why) => Err(Ending::AttachmentUnreachable(why)),
            None => match rendered(&mut texts, has_subject) {
                Ok(texts) => Ok(texts),
                Err(RenderError::Unavailable(why)) => {
                    Metrics::add(&context.metrics.render_failed, 1);
                    Err(Ending::RenderUnavailable(why))
                }
                Err(error @ RenderError::Template(_)) => {
                    Metrics::add(&context.metrics.render_failed, 1);
                    fail(&context, &mut updates, &stored, Reason::new("render", error.to_string()), now);
                    continue;
                }
            },
        };
        let StoredMessage { message, state: before } = stored;
        let Ok(mut state) = before.claim(now) else { continue };
        let fetched = candidate.fetched.take();
        if let Some(Ok(attachment)) = &fetched {
            state.fetched = Some(attachment.clone());
        }
        updates.push(Update {
            key: message.key,
            delivery: Delivery::of(&message, Some(before.status), &state),
            state: state.clone(),
        });
        entries.push((candidate.entry, fetched));
        let rank_is_direct = candidate.entry.order.is_direct();
        match rendered {
            Ok((text, subject)) => {
                if rank_is_direct {
                    direct += 1
                } else {
                    normal += 1
                }
                done.claimed.push(claimed(message, state, text, subject, rank_is_direct));
            }
            Err(ending) => {
                let in_flight = InFlight::new(message, state, rank_is_direct);
                done.ended.push(Ended { in_flight, ending, rejoin: false });
            }
        }
    }
    if updates.is_empty() {
        return done;
    }

    let mut changes: Vec<Change> = updates.into_iter().map(Change::Update).collect();
    if normal + direct > 0 {
        let (score, _) = shared.standing.assess(&config.judge, now);
        let slowed = health::slowed_to(score, &config.judge);
        let mut pace = shared.pace.lock();
        *pace = config.rules.slowed(slowed).record(&pace, now, normal, direct, seed);
        changes.push(Change::Pace(shared.connector, pace.clone()));
    }
    if let Some((first, _)) = entries.first() {
        context.metrics.lag_ms.store(now.since(first.order.due_at), std::sync::atomic::Ordering::Relaxed);
    }
    // The attempt is on disk before the connector is called.
    match store.commit(Batch { changes, skip_stale: true }).await {
        Ok(committed) => {
            if !committed.stale.is_empty() {
                drop_stale(&context, &config, &shared, &mut done, &entries, &committed.stale);
            }
            let claims = done.claimed.len() + done.ended.len();
            Metrics::add(&context.metrics.claims, claims);
            Metrics::add(&context.metrics.claim_batches, 1);
        }
        Err(error) => {
            config.rules.refund(&mut shared.pace.lock(), normal + direct);
            done.claimed.clear();
            done.ended.clear();
            done.back.extend(entries.into_iter().map(|(entry, fetched)| Candidate { entry, fetched }));
            done.error = Some(error);
        }
    }
    done
}

/// What follows from what a message does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Acting {
    Says,
    Reacts,
    Edits,
    Revokes,
}

impl Acting {
    fn of(act: &Act) -> Self {
        match act {
            Act::Say => Self::Says,
            Act::React(_) => Self::Reacts,
            Act::Edit(_) => Self::Edits,
            Act::Revoke(_) => Self::Revokes,
        }
    }

    /// An emoji and a deletion have no text of a template.
    fn is_rendered(self) -> bool {
        matches!(self, Self::Says | Self::Edits)
    }

    /// Files go with what is newly said.
    fn carries_files(self) -> bool {
        self == Self::Says
    }

    /// Who does not want messages may still see one taken back.
    fn reaches(self) -> bool {
        self != Self::Revokes
    }
}

/// Messages by key; one that cannot be read is left out and logged, so that it blocks no other.
fn load(context: &Context, keys: &[MessageKey]) -> StoreResult<Vec<Option<StoredMessage>>> {
    let store = &context.ports.store;
    match store.messages(keys) {
        Err(StoreError::Damaged(_)) => keys
            .iter()
            .map(|key| match store.message(*key) {
                Err(StoreError::Damaged(what)) => {
                    tracing::error!(tenant = key.tenant.0, serial = key.serial, what, "a queued message is damaged");
                    Ok(None)
                }
                other => other,
            })
            .collect(),
        other => other,
    }
}

fn fail(context: &Context, updates: &mut Vec<Update>, stored: &StoredMessage, reason: Reason, now: Timestamp) {
    if let Ok(state) = stored.state.failed(reason, now) {
        Metrics::add(&context.metrics.failed, 1);
        let delivery = Delivery::of(&stored.message, Some(stored.state.status), &state);
        updates.push(Update { key: stored.message.key, state, delivery });
    }
}

/// Subject (where wanted) and text of the next message.
fn rendered(
    texts: &mut impl Iterator<Item = Result<String, RenderError>>,
    has_subject: bool,
) -> Result<(String, Option<String>), RenderError> {
    let mut next = || {
        texts.next().unwrap_or_else(|| Err(RenderError::Unavailable("the renderer answered too few texts".to_owned())))
    };
    // Both are taken before either fails, so that the answers stay in step with the messages.
    let subject = if has_subject { Some(next()) } else { None };
    let text = next();
    Ok((text?, subject.transpose()?))
}

fn claimed(mut message: Message, state: MessageState, text: String, subject: Option<String>, direct: bool) -> Claimed {
    // The event of the outcome names the recipient; without a webhook nobody needs it any more.
    let to = if message.content.webhook_url.is_some() {
        message.content.to.clone()
    } else {
        std::mem::take(&mut message.content.to)
    };
    let mut attachments = std::mem::take(&mut message.content.attachments);
    attachments.extend(state.fetched.clone());
    if !Acting::of(&message.content.options.act).carries_files() {
        attachments.clear();
    }
    let (client_id, attempt) = (message.id, state.attempts);
    let contact_name = message.content.contact_name.take();
    let MessageOptions { act, reply_to, mentions, voice_note } = std::mem::take(&mut message.content.options);
    let outgoing = Outgoing {
        client_id,
        to,
        contact_name,
        text,
        subject,
        attachments,
        act,
        reply_to,
        mentions,
        voice_note,
        attempt,
    };
    Claimed { in_flight: InFlight::new(message, state, direct), outgoing }
}

/// Takes out what changed just before; one that nevertheless stands in the queue goes back.
fn drop_stale(
    context: &Context,
    config: &LaneConfig,
    shared: &LaneShared,
    done: &mut ClaimDone,
    entries: &[(ReadyEntry, Option<Result<Attachment, OutboundError>>)],
    stale: &[MessageKey],
) {
    let before = done.claimed.len();
    done.claimed.retain(|claimed| !stale.contains(&claimed.in_flight.key));
    done.ended.retain(|ended| !stale.contains(&ended.in_flight.key));
    let dropped = before - done.claimed.len();
    config.rules.refund(&mut shared.pace.lock(), u32::try_from(dropped).unwrap_or(u32::MAX));
    Metrics::add(&context.metrics.claims_stale, stale.len());
    for (entry, _) in entries.iter().filter(|(entry, _)| stale.contains(&entry.key)) {
        if let Ok(Some(stored)) = context.ports.store.message(entry.key)
            && stored.state.position(&stored.message) == Position::Ready(entry.order)
        {
            done.back.push(Candidate { entry: *entry, fetched: None });
        }
    }
}

/// Shares what repeats from message to message.
#[derive(Default)]
struct Templates {
    last: Option<Arc<str>>,
    none: Option<Arc<str>>,
}

impl Templates {
    fn text(&mut self, text: &str) -> Arc<str> {
        match &self.last {
            Some(last) if **last == *text => last.clone(),
            _ => self.last.insert(Arc::from(text)).clone(),
        }
    }

    fn variables(&mut self, content: &NewMessage) -> Arc<str> {
        if content.variables.is_none() && content.contact_name.is_none() {
            return self.none.get_or_insert_with(|| Arc::from("{}")).clone();
        }
        Arc::from(content.template_variables())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_shared() {
        let mut templates = Templates::default();
        let (a, b, c) = (templates.text("x"), templates.text("x"), templates.text("y"));
        assert!(Arc::ptr_eq(&a, &b) && !Arc::ptr_eq(&a, &c) && *c == *"y");
    }
}
