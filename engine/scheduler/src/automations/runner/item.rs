//! One look at a lane: reads its first item, calls the automations that are asked, and stores what they answer together with the item's
//! step.

use std::sync::Arc;

use pombo_domain::backoff::{Backoff, Jitter};
use pombo_domain::model::event::{EventBody, NewEvent};
use pombo_domain::model::event_task::ANSWERING;
use pombo_domain::model::inbound::Inbound;
use pombo_domain::model::message::Target;
use pombo_domain::model::recording::{self, Recording};
use pombo_domain::model::*;
use pombo_domain::ports::{
    AppendEvent, AutomationCall, AutomationChange, Batch, CallEvent, CallFailure, CallResult, Change, Conflict,
    Operation, Outcome, StoreError, StoreResult, TaskStep,
};
use pombo_domain::{AutomationIndex, Timestamp};
use uuid::Uuid;

use super::Lease;
use crate::automations::fair_queue::{Ending, LaneState};
use crate::automations::outcome::{self, EventContext, OutcomeReads, Plan};
use crate::automations::prepared::Prepared;
use crate::automations::rules;
use crate::context::Context;
use crate::due::StoreRetries;
use crate::metrics::Metrics;
use crate::rules::draw::Draw;

/// How often a batch is built again because something changed between reading and writing.
const CONFLICTS: u32 = 5;
/// Pauses of a lane that cannot be handled through no fault of its own.
const WAIT: Backoff = Backoff { base_ms: 200, max_ms: 30_000, jitter: Jitter::Equal };

/// Looks at a lane.
pub(super) async fn run(lease: Lease, lane_state: LaneState) {
    let ending = match Item::read(&lease, lane_state) {
        Ok(Read::Item(item)) => item.handle().await,
        Ok(Read::Nothing(ending)) => ending,
        Err(error) => put_off_by(&lease.context, &error, lane_state),
    };
    lease.end(ending);
}

/// When a lane that could not be handled is looked at again.
fn later(context: &Context, state: LaneState, seed: u64) -> Ending {
    let pause = WAIT.delay_ms(state.waits.saturating_add(1), seed).max(1);
    Ending::Later(context.ports.clock.now().plus_ms(pause), None)
}

fn put_off_by(context: &Context, error: &StoreError, state: LaneState) -> Ending {
    Metrics::add(&context.metrics.store_errors, 1);
    if state.waits == 0 {
        tracing::error!(%error, "an event for an automation was not handled; trying again");
    }
    later(context, state, context.ports.entropy.u64())
}

enum Read<'a> {
    Item(Item<'a>),
    Nothing(Ending),
}

/// An item under way, and its circumstances.
struct Item<'a> {
    lease: &'a Lease,
    lane_state: LaneState,
    conversation: Arc<Conversation>,
    connector: Arc<Connector>,
    key: TaskKey,
    /// Failed tries, as the store has them now.
    failures: u32,
    after: Option<(u32, u32)>,
    event: Arc<CallEvent>,
    asked: Vec<Arc<Automation>>,
    /// Recordings to be stored with the next batch.
    records: Vec<(AutomationIndex, Vec<u8>)>,
    /// The automation that has handled the item during this look and had nothing to store.
    passed: Option<(u32, u32)>,
}

/// How an attempt to store ended.
enum Stored {
    Yes,
    /// Another task or a person ended the item.
    Gone,
    /// The plugin's answer cannot be carried out.
    Unfit(String),
    Refused(StoreError),
}

impl<'a> Item<'a> {
    fn read(lease: &'a Lease, lane_state: LaneState) -> StoreResult<Read<'a>> {
        let store = &lease.context.ports.store;
        let rest = Ok(Read::Nothing(Ending::Rest));
        // The conversation after the task: one that came during a pause is read with the pause.
        let Some(task) = store.tasks(lease.key.conversation, lease.key.lane, 1)?.pop() else { return rest };
        let Some(conversation) = store.conversation(lease.key.conversation)? else { return rest };
        if task.due_at > lease.context.ports.clock.now() {
            return Ok(Read::Nothing(Ending::Later(task.due_at, None)));
        }
        let connector = store.connector(conversation.connector)?;
        let Some(connector) = connector else { return rest };
        let asked = if connector.status == ConnectorStatus::Deleted {
            Vec::new()
        } else {
            rules::asked(&store.automations_on(connector.index)?, &task, conversation.is_group)
        };
        let event = CallEvent {
            id: task.id,
            at: task.at,
            attempt: task.failures.saturating_add(1),
            conversation: conversation.id,
            connector: connector.id,
            channel: connector.channel.clone(),
            chat: conversation.chat.clone(),
            is_group: conversation.is_group,
            contact_name: conversation.contact_name.clone(),
            tags: conversation.tags.clone(),
            assignee: conversation.assignee.clone(),
            opened_at: conversation.opened_at,
            body: task.body,
        };
        Ok(Read::Item(Item {
            lease,
            lane_state,
            conversation: Arc::new(conversation),
            connector,
            key: task.key,
            failures: task.failures,
            after: task.after,
            event: Arc::new(event),
            asked,
            records: Vec::new(),
            passed: None,
        }))
    }

    fn context(&self) -> &'a Arc<Context> {
        &self.lease.context
    }

    fn now(&self) -> Timestamp {
        self.context().ports.clock.now()
    }

    async fn handle(mut self) -> Ending {
        if self.key.lane == ANSWERING && self.conversation.handover.is_some() {
            // A person answers. A timer waits until the automations are resumed; other events pass by, unless the pause ends by itself:
            // then nobody may have answered them.
            let timer = matches!(self.event.body, TaskBody::Timer { .. });
            let waits = timer || self.conversation.pause_ends_at().is_some();
            return self.finish(if waits { TaskStep::Hold } else { TaskStep::Done }).await;
        }
        let asked = std::mem::take(&mut self.asked);
        for (n, automation) in asked.iter().enumerate() {
            if let Some(ending) = self.ask(automation, n + 1 == asked.len()).await {
                return ending;
            }
        }
        self.finish(TaskStep::Done).await
    }

    /// Calls one automation; `last` says whether it is the last of those that are asked. `None` where it did not claim the event and had
    /// nothing to store, so that it is the next one's turn.
    async fn ask(&mut self, automation: &Arc<Automation>, last: bool) -> Option<Ending> {
        let context = self.context();
        let prepared =
            match context.automations.preparations.get(&context.ports, &context.options.automations, automation) {
                Ok(Ok(prepared)) => prepared,
                Ok(Err(why)) => return Some(self.not_called(automation, &why).await),
                Err(error) => return Some(put_off_by(context, &error, self.lane_state)),
            };
        let Some(version) = prepared.version(self.conversation.id) else {
            return Some(self.not_called(automation, "no version of its plugin is active; activate one").await);
        };
        if !version.listens_to(self.event.body.kind()) {
            return None;
        }
        let digest = version.digest.clone();
        let now = self.now();
        if self.lane_state.token_taken != Some(automation.index) {
            let from = prepared.take(now);
            if from > now {
                Metrics::add(&context.metrics.automation_throttled, 1);
                let ending = Ending::Later(from, Some(automation.index));
                return Some(self.keep_passed().await.unwrap_or(ending));
            }
        }
        let state = match context.ports.store.automation_state(self.conversation.id, automation.index) {
            Ok(state) => state,
            Err(error) => return Some(put_off_by(context, &error, self.lane_state)),
        };
        // The failed tries of the automation whose turn it is.
        let failures = if self.passed.is_some() { 0 } else { self.failures };
        if self.event.attempt != failures.saturating_add(1) {
            Arc::make_mut(&mut self.event).attempt = failures.saturating_add(1);
        }
        let seed = rules::seed(self.event.id, automation.index.0, failures);
        let CallResult { outcome, inputs, .. } = context
            .ports
            .plugins
            .call(AutomationCall {
                digest: digest.clone(),
                plugin: prepared.plugin_name.clone(),
                tenant: automation.tenant,
                automation: automation.index,
                id: automation.id,
                config: prepared.config.clone(),
                secrets: prepared.secrets.clone(),
                grants: prepared.grants.clone(),
                event: self.event.clone(),
                state: state.clone(),
                now,
                seed,
                replay: None,
            })
            .await;
        Metrics::add(&context.metrics.automation_calls, 1);
        if let Err(CallFailure::NotCalled(why)) = &outcome {
            return Some(self.not_called(automation, why).await);
        }
        if automation.record && context.options.automations.record {
            self.record(automation, &prepared, &digest, state.as_deref(), now, seed, &inputs, &outcome);
        }
        match outcome {
            Ok(outcome) => self.answered(automation, last, &prepared, state.as_deref(), now, &outcome).await,
            Err(failure) => Some(self.failed(automation, &failure).await),
        }
    }

    /// Records what it was given and what it answered, unless that is too large.
    #[expect(clippy::too_many_arguments, reason = "all that a call's answer depends on")]
    fn record(
        &mut self,
        automation: &Automation,
        prepared: &Prepared,
        digest: &str,
        state: Option<&str>,
        now: Timestamp,
        seed: u64,
        inputs: &[pombo_domain::ports::HostAnswer],
        outcome: &Result<Outcome, CallFailure>,
    ) {
        let recording = Recording {
            event: CallEvent::clone(&self.event),
            config: prepared.config.to_string(),
            state: state.map(str::to_owned),
            now,
            seed,
            digest: digest.to_owned(),
            inputs: inputs.to_vec(),
            outcome: outcome.clone(),
        };
        let plain = recording.encode();
        if plain.len() <= self.context().options.automations.record_bytes {
            let sealed = self.context().ports.seals.seal(&recording::context(automation.id), &plain);
            self.records.push((automation.index, sealed));
        }
    }

    /// It answered: stores the answer, unless there is nothing to store and other automations are to be asked.
    async fn answered(
        &mut self,
        automation: &Arc<Automation>,
        last: bool,
        prepared: &Prepared,
        state: Option<&str>,
        now: Timestamp,
        outcome: &Outcome,
    ) -> Option<Ending> {
        let claims = outcome.claim && !automation.observer;
        if !claims && outcome.actions.is_empty() && outcome.state.as_deref() == state {
            self.passed = Some(automation.order());
            return None;
        }
        let done = claims || last;
        let step = if done { TaskStep::Done } else { TaskStep::After(automation.order()) };
        let mut mark_read = false;
        let stored = {
            let (connector, conversation, event) =
                (self.connector.clone(), self.conversation.clone(), self.event.clone());
            let reads = Facts { context: self.context(), connector: &connector, automation: automation.index };
            let event_context = EventContext {
                connector: &connector,
                conversation: &conversation,
                automation,
                grants: &prepared.grants,
                body: &event.body,
                state,
                now,
                reads: &reads,
            };
            let mut make = || {
                let made = outcome::plan(&event_context, outcome)?;
                Ok(made.map(|Plan { changes, mark_read: read }| {
                    mark_read = read;
                    changes
                }))
            };
            self.store(&step, &mut make).await
        };
        match stored {
            Stored::Yes => {
                if mark_read {
                    self.mark_read();
                }
                if done {
                    Metrics::add(&self.context().metrics.automation_events, 1);
                }
                // The next automations are asked with what this one has changed.
                Some(if done { Ending::Rest } else { Ending::Again })
            }
            Stored::Unfit(why) => Some(self.failed(automation, &CallFailure::Unfit(why)).await),
            other => Some(self.ending(other)),
        }
    }

    /// No automation is left to be asked, or none may be asked.
    async fn finish(mut self, step: TaskStep) -> Ending {
        let done = matches!(step, TaskStep::Done);
        let stored = self.store(&step, &mut || Ok(Ok(Vec::new()))).await;
        if done && matches!(stored, Stored::Yes) {
            Metrics::add(&self.context().metrics.automation_events, 1);
        }
        self.ending(stored)
    }

    fn ending(&self, stored: Stored) -> Ending {
        match stored {
            Stored::Yes | Stored::Gone | Stored::Unfit(_) => Ending::Rest,
            Stored::Refused(error) => put_off_by(self.context(), &error, self.lane_state),
        }
    }

    /// A try failed: it is tried again later, or becomes a dead letter after the last.
    async fn failed(&mut self, automation: &Automation, failure: &CallFailure) -> Ending {
        let context = self.context();
        Metrics::add(&context.metrics.automation_failures, 1);
        if let Some(ending) = self.keep_passed().await {
            return ending;
        }
        let (now, code) = (self.now(), failure.code());
        let seed = rules::seed(self.event.id, automation.index.0, self.failures);
        let pause = rules::pause_after(&context.options.automations.retry_ms, self.failures, seed);
        let (event, conversation, tries) = (self.event.id, self.conversation.id, self.failures.saturating_add(1));
        let stored = match pause {
            Some(pause) => {
                tracing::debug!(automation = %automation.id, %conversation, %event, %code, tries, "an automation failed");
                let step = TaskStep::Retry { due_at: now.plus_ms(pause) };
                self.store(&step, &mut || Ok(Ok(Vec::new()))).await
            }
            None => {
                let reason = failure.to_string();
                let step =
                    TaskStep::DeadLetter { automation: automation.index, code: code.into(), reason: reason.clone() };
                let body = EventBody::DeadLetter {
                    automation: automation.id,
                    conversation,
                    dead_letter: DeadLetter::id_of(event, self.key.lane),
                    code: code.into(),
                    reason,
                };
                let (tenant, connector) = (automation.tenant, self.connector.index);
                let mut make = || {
                    let id = context.ports.entropy.uuid();
                    let event = NewEvent { id, connector, at: now, body: body.clone() };
                    Ok(Ok(vec![Change::Event(AppendEvent { tenant, event, once: None })]))
                };
                let stored = self.store(&step, &mut make).await;
                if matches!(stored, Stored::Yes) {
                    Metrics::add(&context.metrics.automation_parked, 1);
                    tracing::warn!(automation = %automation.id, %conversation, %event, %code, tries, "an event was parked");
                }
                stored
            }
        };
        self.ending(stored)
    }

    /// It could not be called, through no fault of its own.
    async fn not_called(&mut self, automation: &Automation, why: &str) -> Ending {
        let context = self.context();
        Metrics::add(&context.metrics.automation_waits, 1);
        if context.automations.preparations.is_news(automation.index) {
            tracing::warn!(automation = %automation.id, why, "an automation cannot be called now; its events wait");
        }
        let seed = Draw::new(self.event.id.as_u64_pair().1 ^ u64::from(self.lane_state.waits)).seed();
        self.keep_passed().await.unwrap_or_else(|| later(context, self.lane_state, seed))
    }

    /// Stores that an earlier automation has handled the item, so that it is not called again. `Some` where the store failed.
    async fn keep_passed(&mut self) -> Option<Ending> {
        let passed = self.passed?;
        let stored = self.store(&TaskStep::After(passed), &mut || Ok(Ok(Vec::new()))).await;
        match stored {
            Stored::Yes => {
                (self.passed, self.after, self.failures) = (None, Some(passed), 0);
                None
            }
            other => Some(self.ending(other)),
        }
    }

    /// Commits a step of the item with the changes that `make` builds; they are built again where something has changed.
    async fn store(
        &mut self,
        step: &TaskStep,
        make: &mut (dyn FnMut() -> StoreResult<Result<Vec<Change>, String>> + Send),
    ) -> Stored {
        self.lease.called();
        let context = self.context();
        let (mut conflicts, mut retries) = (0, StoreRetries::new("an automation's answer was not stored"));
        loop {
            let made = match make() {
                Ok(Ok(made)) => made,
                Ok(Err(unfit)) => return Stored::Unfit(unfit),
                Err(error) => return Stored::Refused(error),
            };
            // Changes are large: make room for all of them at once.
            let mut changes = Vec::with_capacity(1 + made.len() + self.records.len());
            changes.push(Change::Automation(Box::new(AutomationChange::Step {
                key: self.key,
                failures: self.failures,
                after: self.after,
                step: step.clone(),
            })));
            changes.extend(made);
            let keep = context.options.automations.record_keep;
            changes.extend(self.records.iter().map(|(automation, sealed)| {
                let (automation, sealed) = (*automation, sealed.clone());
                Change::Automation(Box::new(AutomationChange::Record { automation, sealed, keep }))
            }));
            match context.ports.store.commit(Batch::of(changes)).await {
                Ok(_) => {
                    self.records.clear();
                    return Stored::Yes;
                }
                Err(StoreError::Conflict(Conflict::Task(_))) => return Stored::Gone,
                Err(StoreError::Conflict(_)) if conflicts < CONFLICTS => conflicts += 1,
                // Its answer is kept and stored once the store takes writes again.
                Err(error @ StoreError::Unavailable(_)) => {
                    let again_at = retries.failed(context, &error);
                    context.ports.clock.sleep_until(again_at).await;
                }
                Err(error) => return Stored::Refused(error),
            }
        }
    }

    /// Marks the conversation as read up to this message, in the background.
    fn mark_read(&self) {
        let TaskBody::Message(Inbound { provider_id, sender, .. }) = &self.event.body else { return };
        let context = self.context().clone();
        let Ok(permit) = context.automations.reading.clone().try_acquire_owned() else { return };
        let message = Target { provider_id: provider_id.clone(), sender: Some(sender.clone()), text: None };
        let operation = Operation::Read { chat: self.conversation.chat.clone(), messages: vec![message] };
        let connector = self.connector.index;
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(error) = context.ports.connectors.operate(connector, operation).await {
                tracing::debug!(connector = connector.0, %error, "a conversation was not marked as read");
            }
        });
    }
}

/// What building an answer's changes reads.
struct Facts<'a> {
    context: &'a Context,
    connector: &'a Connector,
    automation: AutomationIndex,
}

impl OutcomeReads for Facts<'_> {
    fn contact(&self, kind: ContactType, identifier: &str) -> StoreResult<Option<Contact>> {
        self.context.ports.store.contact(self.connector.tenant, kind, identifier)
    }
    fn kv_bytes(&self) -> StoreResult<u64> {
        self.context.ports.store.kv_bytes(self.automation.kv())
    }
    fn kv_entry_bytes(&self, key: &str) -> StoreResult<u64> {
        let value = self.context.ports.store.kv_get(self.automation.kv(), key)?;
        Ok(value.map_or(0, |value| (key.len() + value.len()) as u64))
    }
    fn offers(&self, feature: &str) -> bool {
        self.context.ports.connectors.plugin(&self.connector.plugin).is_some_and(|plugin| plugin.offers(feature))
    }
    fn id(&self) -> Uuid {
        self.context.ports.entropy.uuid()
    }
}
