//! Delivers webhooks from the outbox: changes of messages to the URL that a message names, and events to the webhook of their connector
//! ([`events`]). One task for both ([`item`]); posts and commits overlap.
//!
//! In order per message, or per conversation of a connector (the store has only the oldest open delivery of each in its due queues), at least
//! once, each try recorded. A crash between the receiver's answer and the commit repeats the try under the same id.
//!
//! The due queues are read by cursor ([`cursor`]): a look costs what is new, however much waits in memory for slow receivers.

mod cursor;
mod events;
mod hosts;
mod item;
pub mod sign;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use pombo_domain::model::delivery::{Delivery, DeliveryAttempt, DeliveryState, DeliveryStatus};
use pombo_domain::ports::{
    Batch, Change, DeliveryFilter, DueDelivery, DueEventDelivery, OutboundError, StoreError, StoreResult,
    WebhookChange, WebhookTested,
};
use pombo_domain::{ConnectorIndex, Timestamp};

use crate::context::Context;
use crate::due::{self, StoreRetries};
use crate::metrics::Metrics;
use crate::options::WebhookOptions;
use crate::rules::draw::{Draw, between};
use cursor::Cursor;
use events::{Prepared, Unready};
use hosts::{Hosts, Placed, Ticket};
use item::{Due, Item, ItemKey};

/// Entries of the due queue taken at once.
const PAGE: usize = 256;
/// Deliveries of one message that are looked at for an earlier 410.
const SIBLINGS: u32 = 200;
const GONE: u16 = 410;

/// How a try changes its delivery. Pure.
pub fn after_try(
    options: &WebhookOptions,
    delivery: &mut DeliveryState,
    answer: &Result<u16, OutboundError>,
    at: Timestamp,
    took_ms: u32,
    seed: u64,
) {
    let (status, error) = match answer {
        Ok(status) if (200..300).contains(status) => (Some(*status), None),
        Ok(GONE) => (Some(GONE), Some("the receiver answered 410: it wants no more deliveries".to_owned())),
        Ok(status) => (Some(*status), Some(format!("the receiver answered {status}"))),
        Err(error) => (None, Some(error.to_string())),
    };
    delivery.tries = delivery.tries.saturating_add(1);
    delivery.record(DeliveryAttempt { at, status, error, took_ms });
    let done_at = at.plus_ms(i64::from(took_ms));
    match answer {
        Ok(200..300) => delivery.status = DeliveryStatus::Delivered,
        Ok(GONE) | Err(OutboundError::Forbidden | OutboundError::BadUrl(_)) => {
            delivery.status = DeliveryStatus::Abandoned
        }
        _ => match options.schedule_ms.get(usize::from(delivery.tries) - 1) {
            Some(pause) => {
                let pause = between(seed, pause - pause / 10, pause + pause / 10);
                delivery.next_at = done_at.plus_ms(i64::try_from(pause).unwrap_or(i64::MAX));
            }
            None => delivery.status = DeliveryStatus::Abandoned,
        },
    }
}

fn was_gone(delivery: &Delivery) -> bool {
    delivery.status == DeliveryStatus::Abandoned
        && delivery.attempts.iter().rev().any(|attempt| attempt.status == Some(GONE))
}

struct Posted {
    item: Item,
    ticket: Ticket,
    answer: Result<u16, OutboundError>,
    at: Timestamp,
    took_ms: u32,
    /// Of an event: when the webhook that it was posted to was set; `None` if nothing could be posted.
    webhook: Option<Timestamp>,
}

/// The answer to the post of an event, and when the webhook that it went to was set.
async fn post_event(
    context: &Context,
    prepared: Result<Prepared, Unready>,
    timeout: Duration,
) -> (Result<u16, OutboundError>, Option<Timestamp>) {
    match prepared {
        Ok(Prepared { url, headers, body, updated_at }) => {
            (context.ports.webhooks.post(&url, &headers, body, timeout).await, Some(updated_at))
        }
        Err(unready) => (Err(unready.into()), None),
    }
}

/// Posts a test to a connector's webhook, see [`pombo_domain::ports::WebhookTests`].
pub(crate) async fn test(context: &Context, connector: ConnectorIndex) -> StoreResult<Option<WebhookTested>> {
    let clock = &context.ports.clock;
    let at = clock.now();
    let Some(prepared) = events::prepare_test(context, connector, at)? else { return Ok(None) };
    let timeout = Duration::from_millis(context.options.webhooks.timeout_ms.max(1));
    let (answer, _) = post_event(context, prepared, timeout).await;
    let took_ms = u32::try_from(clock.now().since(at)).unwrap_or(0);
    Ok(Some(match answer {
        Ok(status) => WebhookTested { status: Some(status), error: None, took_ms },
        Err(error) => WebhookTested { status: None, error: Some(error.to_string()), took_ms },
    }))
}

struct Webhooks {
    context: Arc<Context>,
    draw: Draw,
    hosts: Hosts,
    cursor: Cursor<DueDelivery>,
    /// The same for the deliveries of events.
    events: Cursor<DueEventDelivery>,
    /// Deliveries in memory: from being read until their outcome is stored. With each, its place in the due queue if it was met
    /// there again meanwhile: somebody replays it, or it is due again before this task has heard that its outcome is stored.
    in_process: HashMap<ItemKey, Option<Due>>,
    posts: FuturesUnordered<BoxFuture<'static, Posted>>,
    /// Deliveries whose changes are to be stored.
    changed: Vec<Item>,
    /// Webhooks of connectors whose receivers are gone, to be switched off.
    gone: Vec<WebhookChange>,
    committing: Option<BoxFuture<'static, Vec<Item>>>,
    /// The due queues may have changed since they were read.
    look: bool,
    /// When the next delivery is due that was not taken in yet.
    look_at: Option<Timestamp>,
    retries: StoreRetries,
}

/// Runs until draining, then until the posts under way are stored.
pub(crate) async fn run(context: Arc<Context>) {
    let draw = Draw::new(context.ports.entropy.u64());
    let webhooks = Webhooks {
        context,
        draw,
        hosts: Hosts::default(),
        cursor: Cursor::default(),
        events: Cursor::default(),
        in_process: HashMap::new(),
        posts: FuturesUnordered::new(),
        changed: Vec::new(),
        gone: Vec::new(),
        committing: None,
        look: true,
        look_at: None,
        retries: StoreRetries::new("webhook deliveries not read"),
    };
    webhooks.run().await;
}

impl Webhooks {
    async fn run(mut self) {
        loop {
            let draining = self.context.signals.is_draining();
            if !draining {
                self.look |= self.look_at.is_some_and(|at| at <= self.context.ports.clock.now());
                while self.look {
                    self.look();
                }
                let now = self.context.ports.clock.now();
                while let Some(post) = self.hosts.next(now, &self.context.options.webhooks) {
                    self.posts.push(self.post(post).boxed());
                }
            }
            self.start_commit();
            if draining && !self.hosts.is_running() && self.changed.is_empty() && self.committing.is_none() {
                return;
            }
            self.wait().await;
        }
    }

    async fn wait(&mut self) {
        let (context, look_at) = (self.context.clone(), self.look_at);
        let timer = due::sleep_until(&context, look_at);
        let committing = async {
            match &mut self.committing {
                Some(commit) => commit.await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            biased;
            stored = committing => {
                self.committing = None;
                self.look = true;
                for item in &stored {
                    self.leave(item);
                }
            }
            Some(posted) = self.posts.next() => {
                self.posted(posted);
                while let Some(Some(posted)) = self.posts.next().now_or_never() {
                    self.posted(posted);
                }
            }
            () = context.signals.deliveries_wake.notified() => self.look = true,
            () = timer => self.look = true,
        }
    }

    /// Reads the due queue and decides when to read it again.
    fn look(&mut self) {
        self.look = false;
        self.look_at = match self.sweep() {
            Ok(next) => {
                self.retries.succeeded();
                next
            }
            Err(error) => Some(self.retries.failed(&self.context, &error)),
        };
    }

    /// A delivery's outcome is stored; if it is in the due queue again, it is taken in again.
    fn leave(&mut self, stored: &Item) {
        let met = self.in_process.remove(&stored.key()).flatten();
        // No commit tells of it if its time is the same as before.
        for due in [met, stored.due()].into_iter().flatten() {
            match due {
                Due::Message(due) => self.cursor.note(due),
                Due::Event(due) => self.events.note(due),
            }
        }
    }

    /// Takes in a page of the deliveries that are due. Returns when the next one is due.
    fn sweep(&mut self) -> StoreResult<Option<Timestamp>> {
        let context = self.context.clone();
        let now = context.ports.clock.now();
        let noted = context.signals.take_deliveries();
        if noted.lost {
            self.cursor.begin_again();
            self.events.begin_again();
        }
        noted.entries.into_iter().for_each(|due| self.cursor.note(due));
        noted.events.into_iter().for_each(|due| self.events.note(due));
        if self.changed.len() >= PAGE {
            // The store is behind. Its commit is followed by another look.
            return Ok(None);
        }
        let store = &*context.ports.store;
        let page = self.cursor.page(store, now, PAGE)?;
        for due in &page {
            self.take_in(*due, now)?;
            // Only now: what the store failed to give is in the next page again.
            self.cursor.passed(*due);
        }
        let events = self.events.page(store, now, PAGE)?;
        for due in &events {
            self.take_in_event(*due, now)?;
            self.events.passed(*due);
        }
        // A full page may not be all: read on, until the store has a page to write.
        self.look = page.len() == PAGE || events.len() == PAGE;
        let next = [self.cursor.next_due(store)?, self.events.next_due(store)?];
        Ok(next.into_iter().flatten().min())
    }

    /// Whether a delivery is in memory already; then it is taken in again afterwards.
    fn is_met(&mut self, key: ItemKey, due: Due) -> bool {
        let met = self.in_process.get_mut(&key);
        met.map(|met| *met = Some(due)).is_some()
    }

    /// Lets a delivery wait for its receiver, or puts it off.
    fn place(&mut self, item: Item, now: Timestamp) {
        if let Placed::Deferred(item) = self.hosts.place(item, now, &self.context.options.webhooks) {
            Metrics::add(&self.context.metrics.webhooks_deferred, 1);
            self.changed.push(item);
        }
    }

    fn abandon(&mut self, item: Item, why: &str, now: Timestamp) {
        let mut state = item.state();
        state.abandon(why, now);
        Metrics::add(&self.context.metrics.webhooks_abandoned, 1);
        self.changed.push(item.with_state(state));
    }

    /// Gives a delivery that is due to its receiver, or puts it off.
    fn take_in(&mut self, due: DueDelivery, now: Timestamp) -> StoreResult<()> {
        let key = ItemKey::Message(due.key);
        if self.is_met(key, Due::Message(due)) {
            return Ok(());
        }
        let Some(delivery) = self.context.ports.store.delivery(due.key)? else { return Ok(()) };
        // An entry that was noted may be gone from the queue by now.
        if delivery.status != DeliveryStatus::Pending || delivery.next_at != due.due_at {
            return Ok(());
        }
        let gone = self.receiver_is_gone(&delivery)?;
        self.in_process.insert(key, None);
        match gone {
            true => {
                let why = "the receiver answered 410 to an earlier delivery of this message";
                self.abandon(Item::Message(delivery), why, now);
            }
            false => self.place(Item::Message(delivery), now),
        }
        Ok(())
    }

    /// The same for a delivery of an event, which is given up if its webhook is not there, or switched off.
    fn take_in_event(&mut self, due: DueEventDelivery, now: Timestamp) -> StoreResult<()> {
        let key = ItemKey::Event(due.key);
        if self.is_met(key, Due::Event(due)) {
            return Ok(());
        }
        let store = self.context.ports.store.clone();
        let Some(delivery) = store.event_delivery(due.key)? else { return Ok(()) };
        if delivery.state.status != DeliveryStatus::Pending || delivery.state.next_at != due.due_at {
            return Ok(());
        }
        match events::webhook_of(&*store, &delivery) {
            Ok(webhook) => {
                self.in_process.insert(key, None);
                self.place(Item::Event(delivery, webhook.url.clone()), now);
            }
            Err(Unready::Never(why)) => {
                self.in_process.insert(key, None);
                self.abandon(Item::Event(delivery, String::new()), why, now);
            }
            Err(Unready::Now(error)) => return Err(StoreError::Unavailable(error)),
        }
        Ok(())
    }

    /// Whether the receiver answered 410 to an earlier delivery of the message. A delivery that somebody replays (it has been tried,
    /// and its tries start from zero again) is posted regardless.
    fn receiver_is_gone(&self, delivery: &Delivery) -> StoreResult<bool> {
        if delivery.key.revision == 0 || !delivery.attempts.is_empty() {
            return Ok(false);
        }
        let message = delivery.key.message;
        let filter = DeliveryFilter { message: Some(message), status: Some(DeliveryStatus::Abandoned) };
        let siblings = self.context.ports.store.deliveries(message.tenant, &filter, 0, SIBLINGS)?;
        Ok(siblings.iter().any(|other| other.key.revision < delivery.key.revision && was_gone(other)))
    }

    fn post(&self, post: hosts::Post) -> impl Future<Output = Posted> + Send + 'static {
        let context = self.context.clone();
        let (item, ticket) = post.split();
        async move {
            let at = context.ports.clock.now();
            let timeout = Duration::from_millis(context.options.webhooks.timeout_ms.max(1));
            let (answer, webhook) = match &item {
                Item::Message(delivery) => {
                    let secret = context.ports.secrets.webhook_secret(delivery.key.message.tenant);
                    let headers = sign::headers(delivery, &secret, at);
                    let body = delivery.body.clone();
                    (context.ports.webhooks.post(&delivery.url, &headers, body, timeout).await, None)
                }
                Item::Event(delivery, _) => {
                    let prepared = events::prepare(&context, delivery, at).await;
                    post_event(&context, prepared, timeout).await
                }
            };
            let took_ms = u32::try_from(context.ports.clock.now().since(at)).unwrap_or(0);
            Posted { item, ticket, answer, at, took_ms, webhook }
        }
    }

    fn posted(&mut self, posted: Posted) {
        let Posted { item, ticket, answer, at, took_ms, webhook } = posted;
        // That nothing could be posted says nothing about the receiver.
        let answered = answer.is_ok() || matches!(item, Item::Event(..)) && webhook.is_none();
        self.hosts.finished(&ticket, answered, took_ms);
        let mut state = item.state();
        after_try(&self.context.options.webhooks, &mut state, &answer, at, took_ms, self.draw.seed());
        let metrics = &self.context.metrics;
        match state.status {
            DeliveryStatus::Delivered => Metrics::add(&metrics.webhooks_delivered, 1),
            DeliveryStatus::Pending => Metrics::add(&metrics.webhooks_retried, 1),
            DeliveryStatus::Abandoned => {
                Metrics::add(&metrics.webhooks_abandoned, 1);
                tracing::info!(delivery = %item.id(), tries = state.tries, "webhook delivery given up");
            }
        }
        if let (Item::Event(delivery, _), Some(updated_at), Ok(GONE)) = (&item, webhook, &answer) {
            let connector = delivery.connector;
            tracing::warn!(connector = connector.0, "a webhook's receiver answered 410; the webhook is switched off");
            self.gone.push(WebhookChange::Gone { connector, updated_at, at });
        }
        self.changed.push(item.with_state(state));
    }

    fn start_commit(&mut self) {
        if self.changed.is_empty() || self.committing.is_some() {
            return;
        }
        let changed = std::mem::take(&mut self.changed);
        let gone = std::mem::take(&mut self.gone);
        self.committing = Some(store_deliveries(self.context.clone(), changed, gone).boxed());
    }
}

/// Stores deliveries, repeating until the store takes them. Returns them.
async fn store_deliveries(context: Arc<Context>, changed: Vec<Item>, gone: Vec<WebhookChange>) -> Vec<Item> {
    let mut retries = StoreRetries::new("webhook tries not stored");
    loop {
        let gone = gone.iter().map(|change| Change::Webhook(Box::new(change.clone())));
        let changes = gone.chain(changed.iter().map(Item::change)).collect();
        match context.ports.store.commit(Batch::of(changes)).await {
            Ok(_) => return changed,
            Err(error) => {
                let again_at = retries.failed(&context, &error);
                context.ports.clock.sleep_until(again_at).await;
            }
        }
    }
}
