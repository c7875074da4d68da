//! From queue entries to claimed messages, see [`claim`]. Runs inside the lane's task, as a future among its sends, and holds a turn
//! of the gate as long as it runs.

use std::collections::HashMap;
use std::sync::Arc;

use pombo_domain::MessageKey;
use pombo_domain::Timestamp;
use pombo_domain::ids::render_seed;
use pombo_domain::model::attachment::Attachment;
use pombo_domain::model::contact::{ContactStep, ContactType};
use pombo_domain::model::delivery::Delivery;
use pombo_domain::model::message::{
    Message, MessageAction, MessageOptions, MessageState, MessageType, NewMessage, Position, StoredMessage,
};
use pombo_domain::model::reason::{Reason, ReasonCode};
use pombo_domain::model::variables::unescaped;
use pombo_domain::model::{EntryContent, TextKey, TimelineAct, TimelineEntry};
use pombo_domain::ports::{
    Batch, Change, ChatChange, ChatMessage, OutboundError, Outgoing, ReadyEntry, RenderError, RenderJob, RuleChange,
    SendOutcome, StoreError, StoreResult, Update,
};

use super::demands::{Answer, Taken};
use super::overtaken::{self, Overtaken};
use super::refusals::{refused_before, refused_by};
use super::templates::Templates;
use super::{Ended, InFlight, LaneConfig};
use crate::account::Starting;
use crate::context::Context;
use crate::metrics::Metrics;
use crate::observer::LaneShared;
use crate::queued;
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
    /// Address of its conversation, where the channel has conversations.
    pub(super) chat: Option<String>,
}

/// What became of the candidates. Those in none of the lists are no longer in the queue.
#[derive(Default)]
pub(super) struct ClaimDone {
    /// How many candidates there were.
    pub(super) taken: usize,
    pub(super) claimed: Vec<Claimed>,
    /// Attempts that ended before the connector.
    pub(super) ended: Vec<Ended>,
    /// Their attachment must be fetched first.
    pub(super) fetch: Vec<(ReadyEntry, String)>,
    /// Not stored: they are still in the queue.
    pub(super) back: Vec<Candidate>,
    pub(super) error: Option<StoreError>,
    /// Whether messages were put off because they would start conversations.
    pub(super) passed_over: bool,
}

/// One that passed the checks.
struct Checked {
    candidate: Candidate,
    stored: StoredMessage,
    has_subject: bool,
    unreachable: Option<String>,
    /// Address of its conversation, where the channel has conversations: the one that the contact is known by.
    chat: Option<String>,
    /// Its place among the conversations that the channel counts.
    starting: Option<Starting>,
    /// How the attempt ends before the connector, where that is known: receipts show that the channel has it, because an earlier attempt
    /// reached it after all; or its time is over.
    ended: Option<Ending>,
}

impl Checked {
    /// One whose attempt ends before the connector.
    fn ended(candidate: Candidate, stored: StoredMessage, ending: Ending) -> Self {
        let ended = Some(ending);
        Self { candidate, stored, has_subject: false, unreachable: None, chat: None, starting: None, ended }
    }
}

/// A claim under way.
struct Claim<'a> {
    context: &'a Context,
    config: &'a LaneConfig,
    shared: &'a LaneShared,
    overtaken: Overtaken,
    done: ClaimDone,
    /// What is to be stored: attempts, and messages that fail without one.
    updates: Vec<Update>,
    /// What attempts add to timelines, the store takes the first of each message; each belongs behind the update of its message.
    chats: HashMap<MessageKey, ChatChange>,
    /// Contacts that get their first message of this connector: they become known on it.
    joined: Vec<Change>,
    /// The entries of the attempts, with what was fetched for them: they go back where the store refuses.
    entries: Vec<(ReadyEntry, Option<Result<Attachment, OutboundError>>)>,
    /// Attempts that count against the pace, and those that go past it.
    normal: u32,
    direct: u32,
    /// What the attempts take of what the channel allows.
    taken: Taken,
}

/// Claims `candidates`:
///
/// 1. wait for the tenant's turn, and load the messages;
/// 2. check each of them, and list what is to be rendered;
/// 3. render all of it with one call, and make the attempts;
/// 4. store the attempts: only then may the connector be called.
///
/// Of those that do not go ahead of the queue, `room` may be attempted: the others go back, see [`super::Lane::start_claim`].
pub(super) async fn claim(
    context: Arc<Context>,
    config: Arc<LaneConfig>,
    shared: Arc<LaneShared>,
    candidates: Vec<Candidate>,
    room: usize,
    seed: u64,
) -> ClaimDone {
    // 1.
    let _turn = context.gate.turn(config.connector.tenant).await;
    let done = ClaimDone { taken: candidates.len(), ..ClaimDone::default() };
    let keys: Vec<MessageKey> = candidates.iter().map(|candidate| candidate.entry.key).collect();
    let store = &*context.ports.store;
    let read = || -> StoreResult<_> {
        let overtaken = Overtaken::of(store, config.connector.index, config.idempotent)?;
        Ok((queued::messages(store, &keys)?, overtaken))
    };
    let (loaded, overtaken) = match read() {
        Ok(read) => read,
        Err(error) => return ClaimDone { back: candidates, error: Some(error), ..done },
    };
    let mut claim = Claim {
        context: &context,
        config: &config,
        shared: &shared,
        overtaken,
        done,
        updates: Vec::with_capacity(keys.len()),
        chats: HashMap::new(),
        joined: Vec::new(),
        entries: Vec::new(),
        normal: 0,
        direct: 0,
        taken: Taken::default(),
    };
    // 2.
    let (checked, jobs) = claim.checked(candidates, loaded, room);
    // 3.
    let now = claim.rendered(checked, jobs).await;
    // 4.
    claim.stored(now, seed).await
}

impl Claim<'_> {
    /// Step 2: those that may be sent, and the texts to render for them. The others fail, go back, or wait for their attachment.
    fn checked(
        &mut self,
        candidates: Vec<Candidate>,
        loaded: Vec<Option<StoredMessage>>,
        room: usize,
    ) -> (Vec<Checked>, Vec<RenderJob>) {
        let (context, config) = (self.context, self.config);
        let store = &context.ports.store;
        let tenant = config.connector.tenant;
        let now = context.ports.clock.now();
        let mut checked: Vec<Checked> = Vec::with_capacity(candidates.len());
        let mut jobs: Vec<RenderJob> = Vec::with_capacity(candidates.len());
        let mut templates = Templates::default();
        let queued = |entry: &ReadyEntry| !entry.order.is_direct();
        let is_bounded = candidates.iter().filter(|candidate| queued(&candidate.entry)).count() > room;
        for (candidate, stored) in candidates.into_iter().zip(loaded) {
            if is_bounded && queued(&candidate.entry) {
                let passed = checked.iter().filter(|one| queued(&one.candidate.entry)).count();
                let fetched = self.done.fetch.iter().filter(|(entry, _)| queued(entry)).count();
                if passed + fetched >= room {
                    self.done.back.push(candidate);
                    continue;
                }
            }
            let Some(stored) = stored else { continue };
            if stored.message.content.connector != config.connector.index
                || stored.state.position(&stored.message) != Position::Ready(candidate.entry.order)
            {
                continue;
            }
            // Where an earlier attempt ended in doubt, a receipt may have come since: then it was sent, and is not sent again.
            let receipts = match stored.state.attempts {
                0 => Ok(None),
                _ => store.receipts(stored.message.key).map(Some),
            };
            match receipts {
                Ok(Some(receipts)) if receipts.prove_sent() => {
                    let proven = SendOutcome::accepted(receipts.provider_id);
                    checked.push(Checked::ended(candidate, stored, Ending::Outcome(proven)));
                    continue;
                }
                Ok(_) => {}
                // Not known is not the same as none: it might be sent twice.
                Err(error) => {
                    self.put_back(candidate, error);
                    continue;
                }
            }
            if let Some(end) = stored.message.expires_at(&stored.state).filter(|end| *end < now) {
                if stored.state.attempts == 0 {
                    let detail = format!("it was to be sent by {}", end.to_iso());
                    self.fail(&stored, Reason::new(ReasonCode::Expired, detail), now);
                } else {
                    checked.push(Checked::ended(candidate, stored, Ending::Expired));
                }
                continue;
            }
            let content = &stored.message.content;
            let acting = Acting::of(&content.options.action);
            let contact_of = |kind: ContactType| store.contact(tenant, kind, &kind.identifier(&content.to));
            let contact = match config.contact_kind.map(contact_of) {
                None => None,
                Some(Ok(contact)) => contact,
                Some(Err(error)) => {
                    self.put_back(candidate, error);
                    continue;
                }
            };
            let refusal = match (&contact, config.contact_kind) {
                (Some(contact), _) => Ok(refused_by(contact, content.message_type)),
                (None, Some(kind)) => {
                    let opt_out = store.opt_out(tenant, kind, &kind.identifier(&content.to));
                    opt_out.map(|opt_out| opt_out.and_then(|opt_out| refused_before(opt_out, content.message_type)))
                }
                (None, None) => Ok(None),
            };
            match refusal {
                Ok(Some(reason)) if acting.reaches() => {
                    self.fail(&stored, reason, now);
                    continue;
                }
                Ok(_) => {}
                Err(error) => {
                    self.put_back(candidate, error);
                    continue;
                }
            }
            let mut unreachable = None;
            match (&content.attachment_url, &stored.state.fetched, &candidate.fetched) {
                _ if !acting.carries_files() => {}
                (None, _, _) | (_, Some(_), _) | (_, _, Some(Ok(_))) => {}
                (Some(url), None, None) => {
                    self.done.fetch.push((candidate.entry, url.clone()));
                    continue;
                }
                (_, _, Some(Err(error))) => {
                    Metrics::add(&context.metrics.attachment_failed, 1);
                    if !error.is_temporary() {
                        let reason =
                            Reason::new(ReasonCode::Attachment, format!("the file could not be fetched: {error}"));
                        self.fail(&stored, reason, now);
                        continue;
                    }
                    unreachable = Some(format!("the file could not be fetched: {error}"));
                }
            }
            let chat = config.converses.then(|| match (&contact, config.contact_kind) {
                (Some(contact), _) => contact.identifier.clone(),
                (None, Some(kind)) => kind.identifier(&content.to).into_owned(),
                (None, None) => content.to.clone(),
            });
            match self.overtaken.takes(&**store, &stored) {
                Ok(false) => {}
                Ok(true) => {
                    self.cancel(&stored, overtaken::WHY, now);
                    continue;
                }
                Err(error) => {
                    self.put_back(candidate, error);
                    continue;
                }
            }
            let mut starting = None;
            // An attempt that ends before the connector takes nothing.
            if unreachable.is_none() {
                match config.demands.ask(context, self.shared, (&stored, chat.as_deref()), &mut self.taken, now) {
                    Ok(Answer::Go(place)) => starting = place,
                    Ok(Answer::Never(reason)) => {
                        self.fail(&stored, reason, now);
                        continue;
                    }
                    Ok(Answer::Later(reason, until)) => {
                        // Nobody wants it by then. An earlier attempt may have reached the channel, so that to fail it would be a guess.
                        if stored.state.attempts > 0 && ends_before(&stored, until) {
                            checked.push(Checked::ended(candidate, stored, Ending::Expired));
                            continue;
                        }
                        self.done.passed_over |= reason.code == ReasonCode::Outreach;
                        self.postpone(&stored, reason, until, now);
                        continue;
                    }
                    Err(error) => {
                        self.put_back(candidate, error);
                        continue;
                    }
                }
            }
            let has_subject = content.subject.is_some();
            if unreachable.is_none() && acting.is_rendered() {
                let (seed, variables) = (render_seed(stored.message.id), templates.variables(content));
                if let Some(subject) = &content.subject {
                    let template = Arc::from(subject.as_str());
                    jobs.push(RenderJob { template, seed, variables: variables.clone() });
                }
                jobs.push(RenderJob { template: templates.text(&content.text), seed, variables });
            }
            if let Some(contact) = contact.filter(|contact| !contact.is_on(config.connector.index)) {
                let steps = vec![ContactStep::Join(config.connector.index)];
                let id = contact.id;
                self.joined.push(Change::ContactSteps { tenant, id, at: now, steps, must_exist: false });
            }
            checked.push(Checked { candidate, stored, has_subject, unreachable, chat, starting, ended: None });
        }
        (checked, jobs)
    }

    /// Step 3: renders `jobs`, and makes an attempt of each message: one for the connector, or one that has ended before it. Returns
    /// when the attempts begin.
    async fn rendered(&mut self, checked: Vec<Checked>, jobs: Vec<RenderJob>) -> Timestamp {
        let context = self.context;
        let renderer = &context.ports.renderer;
        let mut texts = if jobs.is_empty() { Vec::new() } else { renderer.render(jobs).await }.into_iter();
        let now = context.ports.clock.now();
        self.entries.reserve(checked.len());
        for Checked { mut candidate, stored, has_subject, unreachable, chat, starting, ended } in checked {
            let rendered = match unreachable {
                _ if let Some(ending) = ended => Err(ending),
                None if !Acting::of(&stored.message.content.options.action).is_rendered() => {
                    Ok((said(&stored.message.content), None))
                }
                Some(why) => Err(Ending::AttachmentUnreachable(why)),
                None => match next_texts(&mut texts, has_subject) {
                    Ok(texts) => Ok(texts),
                    Err(RenderError::Unavailable(why)) => {
                        Metrics::add(&context.metrics.render_failed, 1);
                        Err(Ending::RenderUnavailable(why))
                    }
                    Err(error @ RenderError::Template(_)) => {
                        Metrics::add(&context.metrics.render_failed, 1);
                        self.fail(&stored, Reason::new(ReasonCode::Render, error.to_string()), now);
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
            self.updates.push(Update {
                key: message.key,
                delivery: Delivery::of(&message, Some(before.status), &state),
                state: state.clone(),
            });
            self.entries.push((candidate.entry, fetched));
            let is_direct = candidate.entry.order.is_direct();
            match rendered {
                Ok((text, subject)) => {
                    if message.content.message_type == MessageType::Marketing {
                        self.shared.limits.lock().texts.note(TextKey::of(&text), 1, now);
                    }
                    if let Some(chat) = &chat {
                        let chat = attempted(&message, &state, chat.clone(), &text, subject.as_deref());
                        self.chats.insert(message.key, chat);
                    }
                    if is_direct {
                        self.direct += 1
                    } else {
                        self.normal += 1
                    }
                    let mut claimed = claimed(message, state, text, subject, is_direct);
                    (claimed.chat, claimed.in_flight.starting) = (chat, starting);
                    self.done.claimed.push(claimed);
                }
                Err(ending) => {
                    let in_flight = InFlight::new(message, state, is_direct);
                    self.done.ended.push(Ended { in_flight, ending, rejoin: false });
                }
            }
        }
        now
    }

    /// Step 4: stores the attempts with what they cost the pace, in one batch. Where the store refuses, all of them go back.
    async fn stored(mut self, now: Timestamp, seed: u64) -> ClaimDone {
        let (context, config, shared) = (self.context, self.config, self.shared);
        if self.updates.is_empty() {
            return self.done;
        }
        let room = self.updates.len() + self.chats.len() + self.joined.len() + 1;
        let mut changes: Vec<Change> = Vec::with_capacity(room);
        for update in self.updates {
            let chat = if self.chats.is_empty() { None } else { self.chats.remove(&update.key) };
            changes.push(Change::Update(update));
            changes.extend(chat.map(|chat| Change::Chat(Box::new(chat))));
        }
        changes.append(&mut self.joined);
        changes.append(&mut self.taken.changes);
        if self.taken.starts {
            // Those that end without having reached the channel are in it, until the next claim: fewer may go than could, never more.
            let (connector, started) = (shared.connector, shared.account_health.started());
            changes.push(Change::Rule(RuleChange::OutreachStarted { connector, started }));
        }
        if self.normal + self.direct > 0 {
            let (score, _) = shared.account_health.assess(&config.judge, now);
            let slowed = health::slowed_to(score, &config.judge);
            let mut pace = shared.pace.lock();
            *pace = config.rules.slowed(slowed).record(&pace, now, self.normal, self.direct, seed);
            changes.push(Change::Pace(shared.connector, pace.clone()));
        }
        if let Some((first, _)) = self.entries.first() {
            context.metrics.lag_ms.store(now.since(first.order.due_at), std::sync::atomic::Ordering::Relaxed);
        }
        match context.ports.store.commit(Batch { changes, skip_stale: true }).await {
            Ok(committed) => {
                config.demands.stored(context, shared, &self.taken);
                if !committed.stale.is_empty() {
                    drop_stale(context, config, shared, &mut self.done, &self.entries, &committed.stale);
                }
                let claims = self.done.claimed.len() + self.done.ended.len();
                Metrics::add(&context.metrics.claims, claims);
                Metrics::add(&context.metrics.claim_batches, 1);
            }
            Err(error) => {
                config.rules.refund(&mut shared.pace.lock(), self.normal + self.direct);
                config.demands.give_back(context, shared, &self.taken);
                self.done.claimed.clear();
                self.done.ended.clear();
                self.done.back.extend(self.entries.into_iter().map(|(entry, fetched)| Candidate { entry, fetched }));
                self.done.error = Some(error);
            }
        }
        self.done
    }

    /// The store failed: the message stays in the queue, and the lane pauses its claims.
    fn put_back(&mut self, candidate: Candidate, error: StoreError) {
        self.done.back.push(candidate);
        self.done.error = Some(error);
    }

    /// The channel takes the message later: it leaves the ready queue until then, so that others go on. One that nobody wants by then
    /// fails: no attempt was made of it.
    fn postpone(&mut self, stored: &StoredMessage, reason: Reason, until: Timestamp, now: Timestamp) {
        let detail = format!("{}; until {}", reason.detail, until.to_iso());
        let reason = Reason { detail, ..reason };
        if ends_before(stored, until) {
            return self.fail(stored, reason, now);
        }
        if let Ok(state) = stored.state.postpone(reason, until, now) {
            Metrics::add(&self.context.metrics.held, 1);
            let delivery = Delivery::of(&stored.message, Some(stored.state.status), &state);
            self.updates.push(Update { key: stored.message.key, state, delivery });
        }
    }

    /// The message is not to be sent any more.
    fn cancel(&mut self, stored: &StoredMessage, why: &str, now: Timestamp) {
        if let Ok(state) = stored.state.cancel(Some(why), now) {
            let delivery = Delivery::of(&stored.message, Some(stored.state.status), &state);
            self.updates.push(Update { key: stored.message.key, state, delivery });
        }
    }

    /// The message fails for good, without an attempt.
    fn fail(&mut self, stored: &StoredMessage, reason: Reason, now: Timestamp) {
        if let Ok(state) = stored.state.failed(reason, now) {
            Metrics::add(&self.context.metrics.failed, 1);
            let delivery = Delivery::of(&stored.message, Some(stored.state.status), &state);
            self.updates.push(Update { key: stored.message.key, state, delivery });
        }
    }
}

/// What a message does, as far as a claim depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Acting {
    Says,
    Reacts,
    Edits,
    Revokes,
    /// Says something that only the connector's plugin knows.
    SaysOwn,
}

impl Acting {
    fn of(action: &MessageAction) -> Self {
        match action {
            MessageAction::Say => Self::Says,
            MessageAction::React(_) => Self::Reacts,
            MessageAction::Edit(_) => Self::Edits,
            MessageAction::Revoke(_) => Self::Revokes,
            MessageAction::Other(_) => Self::SaysOwn,
        }
    }

    /// Whether its text is a template: an emoji or a deletion has none, and content of the plugin's own is finished.
    fn is_rendered(self) -> bool {
        matches!(self, Self::Says | Self::Edits)
    }

    /// Only a new message carries files.
    fn carries_files(self) -> bool {
        matches!(self, Self::Says | Self::SaysOwn)
    }

    /// A contact that does not want messages may still see one taken back.
    fn reaches(self) -> bool {
        self != Self::Revokes
    }
}

/// Whether nobody wants a message any more at `until`.
fn ends_before(stored: &StoredMessage, until: Timestamp) -> bool {
    stored.message.expires_at(&stored.state).is_some_and(|end| end < until)
}

/// The text of a message that is not rendered: of content of the plugin's own what people read of it, otherwise as it is written.
fn said(content: &NewMessage) -> String {
    match content.options.action {
        MessageAction::Other(_) => unescaped(&content.text),
        _ => content.text.clone(),
    }
}

/// What the first attempt of a message adds to the timeline of its conversation.
fn attempted(message: &Message, state: &MessageState, chat: String, text: &str, subject: Option<&str>) -> ChatChange {
    let content = &message.content;
    let by = None;
    let act = match &content.options.action {
        MessageAction::Say | MessageAction::Other(_) => {
            let (text, subject) = (text.to_owned(), subject.map(str::to_owned));
            TimelineAct::Say(TimelineEntry {
                reply_to: content.options.reply_to.as_ref().map(|target| target.provider_id.clone()),
                mentions: content.options.mentions.clone(),
                content: EntryContent::sent(content, state.fetched.as_ref(), text, subject),
                ..TimelineEntry::sent(message.key, state.updated_at)
            })
        }
        MessageAction::React(to) => TimelineAct::React { to: to.provider_id.clone(), by, emoji: text.to_owned() },
        MessageAction::Edit(of) => TimelineAct::Edit { of: of.provider_id.clone(), by, text: text.to_owned() },
        MessageAction::Revoke(of) => TimelineAct::Revoke { of: of.provider_id.clone(), by },
    };
    let (tenant, connector) = (message.key.tenant, content.connector);
    let contact_name = content.contact_name.clone();
    ChatChange::Attempted(
        message.key,
        message.id,
        ChatMessage { tenant, connector, chat, is_group: None, contact_name, act },
    )
}

/// Subject (where wanted) and text of the next message.
fn next_texts(
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
    let to = message.content.to.clone();
    let mut attachments = std::mem::take(&mut message.content.attachments);
    attachments.extend(state.fetched.clone());
    if !Acting::of(&message.content.options.action).carries_files() {
        attachments.clear();
    }
    let (client_id, attempt) = (message.id, state.attempts);
    let contact_name = message.content.contact_name.take();
    let awaited = message.expires_at(&state).is_some();
    // A copy: what the message does also says how its outcome counts.
    let MessageOptions { action, reply_to, mentions, voice_note, file_kind, expires_at: _, template: _, campaign: _ } =
        message.content.options.clone();
    let outgoing = Outgoing {
        client_id,
        to,
        contact_name,
        text,
        subject,
        attachments,
        action,
        reply_to,
        mentions,
        voice_note,
        file_kind,
        awaited,
        attempt,
    };
    Claimed { in_flight: InFlight::new(message, state, direct), outgoing, chat: None }
}

/// Takes out the messages that changed just before; one that is still in the queue goes back.
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
