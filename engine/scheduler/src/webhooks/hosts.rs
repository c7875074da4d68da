//! Turns between webhook receivers, so that a slow or dead one does not hold up the others. Pure, apart from the deliveries that it
//! carries.
//!
//! Each receiver (host and port) has a few posts at once and a short queue in memory. What does not fit is put off by a
//! multiple of the receiver's measured time, so that the due queue on disk is never blocked by one receiver's backlog.

use std::collections::{HashMap, VecDeque};

use pombo_domain::Timestamp;

use super::item::Item;
use crate::options::WebhookOptions;

/// The longest deferral: a receiver that comes back is noticed soon.
const LONGEST_DEFERRAL_MS: i64 = 60_000;
/// Failures in a row after which a receiver gets one post at a time.
const SUSPECT: u32 = 3;
/// Idle receivers remembered for their failures.
const REMEMBERED: usize = 4_096;

#[derive(Default)]
struct Host {
    /// When the posts under way began.
    running: Vec<Timestamp>,
    queued: VecDeque<Item>,
    failures: u32,
    /// Smoothed time of a post.
    took_ms: f64,
    /// The instant up to which its backlog was spread.
    spread_to: Timestamp,
}

impl Host {
    fn is_suspect(&self) -> bool {
        self.failures >= SUSPECT
    }
    fn allowed(&self, options: &WebhookOptions) -> usize {
        if self.is_suspect() { 1 } else { options.running_per_host.max(1) }
    }
    /// How long a post takes: as long as one that is still under way has taken already, at least.
    fn post_ms(&self, now: Timestamp) -> f64 {
        let so_far = self.running.iter().min().map_or(0, |began| now.since(*began));
        self.took_ms.max(so_far as f64).max(1.0)
    }
}

/// All receivers with posts queued or under way, and those that failed recently.
#[derive(Default)]
pub(super) struct Hosts {
    by_name: HashMap<String, Host>,
    /// Names with something queued, each once, in the order of their turns.
    turns: VecDeque<String>,
    queued: usize,
    running: usize,
    running_suspect: usize,
}

/// `host:port` as written, lower case.
fn name(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.to_ascii_lowercase()
}

/// What to do with a due delivery.
pub(super) enum Placed {
    /// It waits in memory for its turn.
    Queued,
    /// Its receiver is busy; the delivery is due again later.
    Deferred(Item),
}

/// A post to be made.
pub(super) struct Post {
    pub(super) item: Item,
    pub(super) host: String,
    began: Timestamp,
    /// Its receiver was suspect when the post began.
    suspect: bool,
}

/// What [`Hosts::finished`] needs to know about a [`Post`].
pub(super) struct Ticket {
    pub(super) host: String,
    began: Timestamp,
    suspect: bool,
}

impl Post {
    pub(super) fn split(self) -> (Item, Ticket) {
        (self.item, Ticket { host: self.host, began: self.began, suspect: self.suspect })
    }
}

impl Hosts {
    /// Takes a due delivery in, or puts it off.
    pub(super) fn place(&mut self, item: Item, now: Timestamp, options: &WebhookOptions) -> Placed {
        let name = name(item.url());
        let host = self.by_name.entry(name.clone()).or_default();
        // A share of what is free, so that however many receivers are slow, a new one finds a place.
        let share = options.queued.saturating_sub(self.queued) / 2;
        if host.queued.len() < options.queued_per_host.min(share) {
            self.queued += 1;
            if host.queued.is_empty() {
                self.turns.push_back(name);
            }
            host.queued.push_back(item);
            return Placed::Queued;
        }
        let each = host.post_ms(now) / host.allowed(options) as f64;
        let ahead = (host.queued.len() as f64 * each) as i64;
        let from = now.plus_ms(ahead.max(1_000));
        host.spread_to = host.spread_to.max(from).plus_ms(each.ceil() as i64);
        let next_at = host.spread_to.min(now.plus_ms(LONGEST_DEFERRAL_MS));
        if host.spread_to.since(now) > LONGEST_DEFERRAL_MS {
            host.spread_to = from;
        }
        Placed::Deferred(item.deferred(next_at))
    }

    /// The next post, taking turns; `None` when nothing may start.
    pub(super) fn next(&mut self, now: Timestamp, options: &WebhookOptions) -> Option<Post> {
        for _ in 0..self.turns.len() {
            if self.running >= options.running.max(1) {
                return None;
            }
            let name = self.turns.pop_front()?;
            let Some(host) = self.by_name.get_mut(&name) else { continue };
            let suspect = host.is_suspect();
            // Receivers that fail share half of the places, so that the others always find one.
            let place = !suspect || self.running_suspect < options.running.div_ceil(2);
            if host.running.len() >= host.allowed(options) || !place {
                self.turns.push_back(name);
                continue;
            }
            let Some(item) = host.queued.pop_front() else { continue };
            host.running.push(now);
            self.queued -= 1;
            self.running += 1;
            self.running_suspect += usize::from(suspect);
            if !host.queued.is_empty() {
                self.turns.push_back(name.clone());
            }
            return Some(Post { item, host: name, began: now, suspect });
        }
        None
    }

    /// A post ended.
    pub(super) fn finished(&mut self, ticket: &Ticket, answered: bool, took_ms: u32) {
        self.running = self.running.saturating_sub(1);
        self.running_suspect = self.running_suspect.saturating_sub(usize::from(ticket.suspect));
        let Some(host) = self.by_name.get_mut(&ticket.host) else { return };
        if let Some(i) = host.running.iter().position(|began| *began == ticket.began) {
            host.running.swap_remove(i);
        }
        host.failures = if answered { 0 } else { host.failures.saturating_add(1) };
        host.took_ms =
            if host.took_ms == 0.0 { f64::from(took_ms) } else { host.took_ms * 0.8 + f64::from(took_ms) * 0.2 };
        let idle = host.running.is_empty() && host.queued.is_empty();
        if idle && (host.failures == 0 || self.by_name.len() > REMEMBERED) {
            self.by_name.remove(&ticket.host);
        }
    }

    /// Whether posts are under way.
    pub(super) fn is_running(&self) -> bool {
        self.running > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pombo_domain::model::delivery::{Delivery, DeliveryKey, DeliveryStatus};
    use pombo_domain::{MessageKey, TenantIndex};

    fn delivery(serial: u64, url: &str) -> Item {
        Item::from(Delivery {
            id: uuid::Uuid::from_u128(u128::from(serial)),
            key: DeliveryKey { message: MessageKey { tenant: TenantIndex(1), serial }, revision: 0 },
            url: url.to_owned(),
            body: String::new(),
            status: DeliveryStatus::Pending,
            next_at: Timestamp(0),
            attempts: Vec::new(),
            tries: 0,
            created_at: Timestamp(0),
        })
    }

    #[test]
    fn names_a_receiver_by_host_and_port() {
        for (url, want) in [
            ("https://Example.org/a?b", "example.org"),
            ("http://u:p@127.0.0.1:81?x", "127.0.0.1:81"),
            ("https://[::1]:9/x", "[::1]:9"),
        ] {
            assert_eq!(name(url), want);
        }
    }

    #[test]
    fn a_backlog_of_one_receiver_is_put_off_and_others_go_on() {
        let options =
            WebhookOptions { queued_per_host: 4, running_per_host: 2, running: 4, ..WebhookOptions::default() };
        let mut hosts = Hosts::default();
        let now = Timestamp(1_000_000);
        let mut deferred = Vec::new();
        for serial in 0..10_000 {
            match hosts.place(delivery(serial, "https://slow/x"), now, &options) {
                Placed::Queued => assert!(serial < 4),
                Placed::Deferred(item) => deferred.push(item.state().next_at.since(now)),
            }
        }
        assert_eq!(deferred.len(), 9_996);
        assert!(deferred.iter().all(|ms| (1_000..=LONGEST_DEFERRAL_MS).contains(ms)));
        assert!(matches!(hosts.place(delivery(10_001, "https://other/x"), now, &options), Placed::Queued));
        let mut started: Vec<_> = std::iter::from_fn(|| hosts.next(now, &options)).collect();
        started.sort_by_key(|post| post.host.clone());
        let names: Vec<_> = started.iter().map(|post| post.host.as_str()).collect();
        assert_eq!(names, ["other", "slow", "slow"]);
    }

    #[test]
    fn a_receiver_that_has_not_answered_yet_is_as_slow_as_it_has_been_so_far() {
        let options =
            WebhookOptions { queued_per_host: 4, running_per_host: 2, running: 4, ..WebhookOptions::default() };
        let mut hosts = Hosts::default();
        let began = Timestamp(0);
        for serial in 0..4 {
            hosts.place(delivery(serial, "https://slow/x"), began, &options);
        }
        while hosts.next(began, &options).is_some() {}
        let now = began.plus_ms(10_000);
        let deferred: Vec<_> = (4..10)
            .filter_map(|serial| match hosts.place(delivery(serial, "https://slow/x"), now, &options) {
                Placed::Queued => None,
                Placed::Deferred(item) => Some(item.state().next_at.since(now)),
            })
            .collect();
        // Four wait, and each takes its ten seconds, two at a time.
        assert_eq!(deferred, [25_000, 30_000, 35_000, 40_000]);
    }

    #[test]
    fn failing_receivers_never_take_all_places() {
        let options = WebhookOptions { running: 4, ..WebhookOptions::default() };
        let mut hosts = Hosts::default();
        let now = Timestamp(0);
        for h in 0..10 {
            for n in 0..SUSPECT {
                hosts.place(delivery(u64::from(n), &format!("https://dead{h}/")), now, &options);
                let (_, ticket) = hosts.next(now, &options).expect("free").split();
                hosts.finished(&ticket, false, 15_000);
            }
        }
        for h in 0..10 {
            hosts.place(delivery(50, &format!("https://dead{h}/")), now, &options);
        }
        hosts.place(delivery(60, "https://alive/"), now, &options);
        let started: Vec<_> = std::iter::from_fn(|| hosts.next(now, &options)).map(|post| post.host).collect();
        assert_eq!(started.len(), 3, "{started:?}");
        assert!(started.contains(&"alive".to_owned()));
    }
}
