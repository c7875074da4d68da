//! Delivers webhooks from the outbox. One task; posts and commits overlap.
//!
//! In order per message (the store has only the oldest open delivery of a message in its due queue), at least once, each try
//! recorded. A crash between the receiver's answer and the commit repeats the try under the same `webhook-id`.
//!
//! The due queue is read by cursor ([`cursor`]): a look costs what is new, however much waits in memory for slow receivers.

mod cursor;
mod hosts;
pub mod sign;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{self, BoxFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use pombo_domain::Timestamp;
use pombo_domain::model::delivery::{Delivery, DeliveryAttempt, DeliveryKey, DeliveryStatus};
use pombo_domain::ports::{Batch, Change, DeliveryFilter, DueDelivery, OutboundError, StoreResult};

use crate::context::Context;
use crate::due::{self, StoreRetries};
use crate::metrics::Metrics;
use crate::options::WebhookOptions;
use crate::rules::draw::{Draw, between};
use cursor::Cursor;
use hosts::{Hosts, Placed, Ticket};

/// Entries of the due queue taken at once.
const PAGE: usize = 256;
/// Deliveries of one message that are looked at for an earlier 410.
const SIBLINGS: u32 = 200;
const GONE: u16 = 410;

/// How a try changes its delivery. Pure.
pub fn after_try(
    options: &WebhookOptions,
    delivery: &mut Delivery,
    answer: &Result<u16, OutboundError>,
    at: Timestamp,
    took_ms: u32,
    seed: u64,
) {
    let (status, error) = match answer {
        Ok(status) if (200..300).contains(status) => (Some(*status), None),
        Ok(GONE) => (Some(GONE), Some("the receiver answered 410: no more deliveries for this message".to_owned())),
        Ok(status) => (Some(*status), Some(format!("the receiver answered {status}"))),
        Err(error) => (None, Some(error.to_string())),
    };
    delivery.tries = delivery.tries.saturating_add(1);
    record(delivery, DeliveryAttempt { at, status, error, took_ms });
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

fn record(delivery: &mut Delivery, attempt: DeliveryAttempt) {
    let surplus = (delivery.attempts.len() + 1).saturating_sub(Delivery::KEPT_ATTEMPTS);
    delivery.attempts.drain(..surplus);
    delivery.attempts.push(attempt);
}

fn abandon(delivery: &mut Delivery, why: &str, at: Timestamp) {
    record(delivery, DeliveryAttempt { at, status: None, error: Some(why.to_owned()), took_ms: 0 });
    delivery.status = DeliveryStatus::Abandoned;
}

fn was_gone(delivery: &Delivery) -> bool {
    delivery.status == DeliveryStatus::Abandoned
        && delivery.attempts.iter().rev().any(|attempt| attempt.status == Some(GONE))
}

struct Posted {
    delivery: Delivery,
    ticket: Ticket,
    answer: Result<u16, OutboundError>,
    at: Timestamp,
    took_ms: u32,
}

struct Webhooks {
    context: Arc<Context>,
    draw: Draw,
    hosts: Hosts,
    cursor: Cursor,
    /// Deliveries in memory: from being read until their outcome is stored. With each, its place in the due queue if it was met
    /// there again meanwhile: somebody replays it, or it is due again before this task has heard that its outcome is stored.
    in_process: HashMap<DeliveryKey, Option<DueDelivery>>,
    posts: FuturesUnordered<BoxFuture<'static, Posted>>,
    /// Deliveries whose changes are to be stored.
    changed: Vec<Delivery>,
    committing: Option<BoxFuture<'static, Vec<Delivery>>>,
    /// The due queue may have changed since it was read.
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
        in_process: HashMap::new(),
        posts: FuturesUnordered::new(),
        changed: Vec::new(),
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
                for delivery in &stored {
                    self.leave(delivery);
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
    fn leave(&mut self, stored: &Delivery) {
        let met = self.in_process.remove(&stored.key).flatten();
        // No commit tells of it if its time is the same as before.
        let again = (stored.status == DeliveryStatus::Pending)
            .then_some(DueDelivery { due_at: stored.next_at, key: stored.key });
        for due in [met, again].into_iter().flatten() {
            self.cursor.note(due);
        }
    }

    /// Takes in a page of the deliveries that are due. Returns when the next one is due.
    fn sweep(&mut self) -> StoreResult<Option<Timestamp>> {
        let context = self.context.clone();
        let now = context.ports.clock.now();
        let noted = context.signals.take_deliveries();
        if noted.lost {
            self.cursor.begin_again();
        }
        for due in noted.entries {
            self.cursor.note(due);
        }
        if self.changed.len() >= PAGE {
            // The store is behind. Its commit is followed by another look.
            return Ok(None);
        }
        let page = self.cursor.page(&*context.ports.store, now, PAGE)?;
        for due in &page {
            self.take_in(*due, now)?;
            // Only now: what the store failed to give is in the next page again.
            self.cursor.passed(*due);
        }
        // A full page may not be all: read on, until the store has a page to write.
        self.look = page.len() == PAGE;
        self.cursor.next_due(&*context.ports.store)
    }

    /// Gives a delivery that is due to its receiver, or puts it off.
    fn take_in(&mut self, due: DueDelivery, now: Timestamp) -> StoreResult<()> {
        if let Some(met) = self.in_process.get_mut(&due.key) {
            *met = Some(due);
            return Ok(());
        }
        let Some(mut delivery) = self.context.ports.store.delivery(due.key)? else { return Ok(()) };
        // An entry that was noted may be gone from the queue by now.
        if delivery.status != DeliveryStatus::Pending || delivery.next_at != due.due_at {
            return Ok(());
        }
        let gone = self.receiver_is_gone(&delivery)?;
        self.in_process.insert(due.key, None);
        if gone {
            abandon(&mut delivery, "the receiver answered 410 to an earlier delivery of this message", now);
            Metrics::add(&self.context.metrics.webhooks_abandoned, 1);
            self.changed.push(delivery);
        } else if let Placed::Deferred(delivery) = self.hosts.place(delivery, now, &self.context.options.webhooks) {
            Metrics::add(&self.context.metrics.webhooks_deferred, 1);
            self.changed.push(delivery);
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
        let (delivery, ticket) = post.split();
        async move {
            let at = context.ports.clock.now();
            let secret = context.ports.secrets.webhook_secret(delivery.key.message.tenant);
            let headers = sign::headers(&delivery, &secret, at);
            let timeout = Duration::from_millis(context.options.webhooks.timeout_ms.max(1));
            let answer = context.ports.webhooks.post(&delivery.url, &headers, delivery.body.clone(), timeout).await;
            let took_ms = u32::try_from(context.ports.clock.now().since(at)).unwrap_or(0);
            Posted { delivery, ticket, answer, at, took_ms }
        }
    }

    fn posted(&mut self, posted: Posted) {
        let Posted { mut delivery, ticket, answer, at, took_ms } = posted;
        self.hosts.finished(&ticket, answer.is_ok(), took_ms);
        after_try(&self.context.options.webhooks, &mut delivery, &answer, at, took_ms, self.draw.seed());
        let metrics = &self.context.metrics;
        match delivery.status {
            DeliveryStatus::Delivered => Metrics::add(&metrics.webhooks_delivered, 1),
            DeliveryStatus::Pending => Metrics::add(&metrics.webhooks_retried, 1),
            DeliveryStatus::Abandoned => {
                Metrics::add(&metrics.webhooks_abandoned, 1);
                tracing::info!(delivery = %delivery.id, tries = delivery.tries, "webhook delivery given up");
            }
        }
        self.changed.push(delivery);
    }

    fn start_commit(&mut self) {
        if self.changed.is_empty() || self.committing.is_some() {
            return;
        }
        let changed = std::mem::take(&mut self.changed);
        self.committing = Some(store_deliveries(self.context.clone(), changed).boxed());
    }
}

/// Stores deliveries, repeating until the store takes them. Returns them.
async fn store_deliveries(context: Arc<Context>, changed: Vec<Delivery>) -> Vec<Delivery> {
    let mut retries = StoreRetries::new("webhook tries not stored");
    loop {
        let changes = changed.iter().cloned().map(Change::Delivery).collect();
        match context.ports.store.commit(Batch::of(changes)).await {
            Ok(_) => return changed,
            Err(error) => {
                let again_at = retries.failed(&context, &error);
                context.ports.clock.sleep_until(again_at).await;
            }
        }
    }
}
