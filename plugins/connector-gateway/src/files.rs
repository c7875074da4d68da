//! Files of received messages that are fetched by a link. The message is told at once with its file pending; the file follows. What is
//! still to be fetched is in the store, so that a restart goes on with it.
//!
//! A file that cannot be fetched now goes to the end of the queue and is tried again for a day, more and more rarely.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;

use pombo_plugin::connector::events::{Event, MediaState, MediaUpdate};
use pombo_plugin::connector::kv;
use pombo_plugin::log;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::outside::{Outside, Trouble, Wanted, delete, put};
use crate::recent::Recent;

const PREFIX: &str = "file/";
const PAGE: u32 = 256;
/// How many files may wait at once.
const WAITING: usize = 1_000;
/// How many files are remembered that were queued before: a webhook that comes twice does not fetch twice.
const RECENT: usize = WAITING + 256;
/// The pause after the first failure; it doubles up to the longest.
const FIRST_PAUSE_MILLIS: u64 = 30_000;
const LONGEST_PAUSE_MILLIS: u64 = 60 * 60_000;
/// How long a file is tried before it is given up.
const TRIED_MILLIS: u64 = 24 * 60 * 60_000;
/// Pauses before the further attempts to tell what became of a file.
const PAUSES_SECS: [u64; 3] = [1, 5, 20];
/// How many files are fetched at once: a slow one does not hold up the others.
pub(crate) const WORKERS: usize = 3;

/// A file to fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) chat: String,
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) filename: String,
    pub(crate) content_type: String,
    /// When its message came, in milliseconds.
    #[serde(default)]
    pub(crate) since: u64,
    /// How often it failed.
    #[serde(default)]
    pub(crate) failures: u32,
    /// When it is to be tried.
    #[serde(default)]
    pub(crate) due: u64,
}

impl Job {
    fn key(&self) -> String {
        format!("{PREFIX}{}/{}", self.chat, self.id)
    }

    /// The change that notes it.
    pub(crate) fn note(&self) -> Result<kv::Change, Trouble> {
        let value = serde_json::to_vec(self).map_err(|error| Trouble::Final(error.to_string()))?;
        Ok(put(self.key(), value))
    }

    /// The same after another failure; `None` when it has been tried for long enough.
    fn later(&self, now: u64) -> Option<Self> {
        let pause = FIRST_PAUSE_MILLIS.saturating_mul(1_u64 << self.failures.min(20)).min(LONGEST_PAUSE_MILLIS);
        let due = now + pause;
        let later = Self { failures: self.failures + 1, due, ..self.clone() };
        (due <= self.since.saturating_add(TRIED_MILLIS)).then_some(later)
    }
}

/// The files that wait, in order.
#[derive(Debug, Default)]
pub(crate) struct Files {
    waiting: RefCell<VecDeque<Job>>,
    /// Keys of what was queued lately.
    recent: Recent<(), RECENT>,
    /// How often a file was queued.
    queued: Cell<u64>,
    idle: RefCell<Vec<Waker>>,
}

impl Files {
    /// Whether another file may wait.
    pub(crate) fn have_room(&self) -> bool {
        self.waiting.borrow().len() < WAITING
    }

    /// Whether this file was queued before.
    pub(crate) fn knows(&self, job: &Job) -> bool {
        self.recent.get(&job.key()).is_some()
    }

    /// Fetches a file that is noted in the store, soon.
    pub(crate) fn add(&self, job: Job) {
        self.recent.note(job.key(), ());
        self.queue(job);
    }

    /// Takes up what a restart interrupted. After a failure it can be repeated.
    pub(crate) async fn resume(&self, outside: &impl Outside) -> Result<(), Trouble> {
        let mut after = None;
        loop {
            let page = outside.list(PREFIX.to_owned(), after.take(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.key.clone());
            for entry in page {
                match serde_json::from_slice::<Job>(&entry.value) {
                    Ok(job) if !self.knows(&job) => self.add(job),
                    Ok(_) => {}
                    Err(_) => outside.batch(vec![delete(entry.key)]).await?,
                }
            }
        }
    }

    /// Fetches one file after the other, for ever. Several may do so at once.
    pub(crate) async fn work(&self, outside: &impl Outside, config: &Config) {
        loop {
            let job = self.next(outside).await;
            if let Some(later) = one(outside, config, job).await {
                self.queue(later);
            }
        }
    }

    fn queue(&self, job: Job) {
        self.waiting.borrow_mut().push_back(job);
        self.queued.set(self.queued.get() + 1);
        for worker in self.idle.borrow_mut().drain(..) {
            worker.wake();
        }
    }

    /// The first file that is due.
    async fn next(&self, outside: &impl Outside) -> Job {
        loop {
            let (seen, now) = (self.queued.get(), outside.now_millis());
            let (found, pause) = self.look(now);
            if let Some(job) = found {
                return job;
            }
            let mut news = pin!(poll_fn(|cx| {
                if self.queued.get() != seen {
                    return Poll::Ready(());
                }
                let mut idle = self.idle.borrow_mut();
                if !idle.iter().any(|waker| waker.will_wake(cx.waker())) {
                    idle.push(cx.waker().clone());
                }
                Poll::Pending
            }));
            let Some(pause) = pause else {
                news.await;
                continue;
            };
            let mut slept = pin!(outside.sleep(Duration::from_millis(pause)));
            poll_fn(|cx| {
                if news.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                slept.as_mut().poll(cx)
            })
            .await;
        }
    }

    /// Takes the first file that is due, or says how long none is; `None` if none waits.
    fn look(&self, now: u64) -> (Option<Job>, Option<u64>) {
        let mut waiting = self.waiting.borrow_mut();
        let place = waiting.iter().position(|job| job.due <= now);
        let found = place.and_then(|place| waiting.remove(place));
        let first = waiting.iter().map(|job| job.due).min();
        (found, first.map(|due| due.saturating_sub(now).min(LONGEST_PAUSE_MILLIS)))
    }
}

/// Fetches a file and tells what became of it. What is returned is to be tried again.
async fn one(outside: &impl Outside, config: &Config, job: Job) -> Option<Job> {
    let wanted = Wanted {
        url: job.url.clone(),
        headers: config.headers_to(&job.url),
        filename: job.filename.clone(),
        content_type: job.content_type.clone(),
    };
    let media = match outside.fetch(wanted).await {
        Ok(stored) => MediaState::Ready(stored),
        Err(Trouble::Final(why)) => MediaState::Failed(why),
        Err(Trouble::Temporary(why)) => match job.later(outside.now_millis()) {
            Some(later) => {
                keep(outside, &later).await;
                return Some(later);
            }
            None => MediaState::Failed(why),
        },
    };
    let key = job.key();
    let update = Event::Media(MediaUpdate { chat: job.chat.clone(), provider_id: job.id.clone(), media });
    let mut pauses = PAUSES_SECS.into_iter();
    loop {
        match outside.commit(vec![update.clone()], vec![delete(key.as_str())]).await {
            Ok(()) => return None,
            Err(Trouble::Temporary(why)) => match pauses.next() {
                Some(seconds) => outside.sleep(Duration::from_secs(seconds)).await,
                None => {
                    log::warn("files", &format!("the engine did not take the state of a file: {why}"));
                    // After the last attempt it stays noted: the next start fetches it once more.
                    return job.later(outside.now_millis());
                }
            },
            Err(Trouble::Final(why)) => {
                log::warn("files", &format!("the engine does not take the state of a file: {why}"));
                // Another attempt cannot help.
                if let Err(trouble) = outside.batch(vec![delete(key.as_str())]).await {
                    log::warn("files", &format!("a file's note was not deleted: {trouble}"));
                }
                return None;
            }
        }
    }
}

/// Notes when a file is to be tried again, so that a restart does not begin anew.
async fn keep(outside: &impl Outside, job: &Job) {
    let kept = match job.note() {
        Ok(note) => outside.batch(vec![note]).await,
        Err(trouble) => Err(trouble),
    };
    if let Err(trouble) = kept {
        log::debug("files", &format!("a file's next attempt was not noted: {trouble}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::world::{World, poll, ready};

    fn config() -> Config {
        Config::read(r#"{"baseUrl":"https://g.example"}"#).expect("valid")
    }

    fn job(world: &World, id: &str) -> Job {
        Job {
            chat: "5511999999999".to_owned(),
            id: id.to_owned(),
            url: format!("https://g.example/media/{id}"),
            filename: "image.jpg".to_owned(),
            content_type: "image/jpeg".to_owned(),
            since: world.now.get(),
            failures: 0,
            due: 0,
        }
    }

    fn updates(world: &World) -> Vec<MediaState> {
        let told = world.told.borrow();
        let media = |event: &Event| match event {
            Event::Media(update) => Some(update.media.clone()),
            _ => None,
        };
        told.iter().filter_map(media).collect()
    }

    fn failing(world: &World, times: usize) {
        let busy = || Err(Trouble::Temporary("503".to_owned()));
        world.files.borrow_mut().extend((0..times).map(|_| busy()));
    }

    #[test]
    fn files_are_fetched_in_order_also_after_a_restart() {
        let world = World::new();
        let notes = ["A", "B"].map(|id| job(&world, id).note().expect("a note"));
        ready(world.batch(notes.to_vec())).expect("kept");
        let files = Files::default();
        ready(files.resume(&world)).expect("resumes");
        ready(files.resume(&world)).expect("knows them");
        let config = config();
        let mut work = pin!(files.work(&world, &config));
        assert!(poll(work.as_mut()).is_pending());
        assert_eq!(updates(&world).len(), 2);
        assert!(world.keys(PREFIX).is_empty());
        assert_eq!(world.wanted.borrow()[0].headers.len(), 1, "the gateway gets its token");
        files.add(job(&world, "C"));
        assert!(poll(work.as_mut()).is_pending());
        assert_eq!(updates(&world).len(), 3);
        assert!(files.knows(&job(&world, "C")) && !files.knows(&job(&world, "D")) && files.have_room());
    }

    #[test]
    fn one_that_fails_waits_behind_the_others() {
        let (world, files, config) = (World::new(), Files::default(), config());
        let began = world.now.get();
        failing(&world, 1);
        for id in ["A", "B"] {
            files.add(job(&world, id));
        }
        let mut work = pin!(files.work(&world, &config));
        assert!(poll(work.as_mut()).is_pending());
        let asked: Vec<_> = world.wanted.borrow().iter().map(|wanted| wanted.url.clone()).collect();
        assert_eq!(asked, ["A", "B", "A"].map(|id| format!("https://g.example/media/{id}")));
        assert_eq!(world.now.get() - began, FIRST_PAUSE_MILLIS);
        assert_eq!(updates(&world).len(), 2);
    }

    #[test]
    fn several_work_at_once_and_each_file_is_fetched_once() {
        let (world, files, config) = (World::new(), Files::default(), config());
        let mut first = pin!(files.work(&world, &config));
        let mut second = pin!(files.work(&world, &config));
        assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
        world.slow.set(1);
        for id in ["A", "B"] {
            files.add(job(&world, id));
        }
        // The first is told slowly; the second goes on with the other.
        assert!(poll(first.as_mut()).is_pending());
        assert!(updates(&world).is_empty());
        assert!(poll(second.as_mut()).is_pending());
        assert_eq!(updates(&world).len(), 1);
        assert!(poll(first.as_mut()).is_pending());
        assert_eq!((updates(&world).len(), world.wanted.borrow().len()), (2, 2));
    }

    #[test]
    fn a_file_is_tried_for_a_day_and_a_refusal_is_final() {
        let (world, config) = (World::new(), config());
        let began = world.now.get();
        let mut next = job(&world, "A");
        failing(&world, 1_000);
        let mut attempts = 0;
        while let Some(later) = ready(one(&world, &config, next.clone())) {
            attempts += 1;
            assert_eq!(later.failures, attempts);
            assert!((FIRST_PAUSE_MILLIS..=LONGEST_PAUSE_MILLIS).contains(&(later.due - world.now.get())));
            let kept: Job = serde_json::from_slice(&world.kept.borrow()[&later.key()]).expect("noted");
            assert_eq!(kept, later);
            world.now.set(later.due);
            next = later;
        }
        assert!((23..=24).contains(&((world.now.get() - began) / 3_600_000)));
        assert!((25..=35).contains(&attempts), "{attempts}");
        assert_eq!(updates(&world), [MediaState::Failed("503".to_owned())]);
        assert!(world.keys(PREFIX).is_empty());
        world.files.borrow_mut().clear();
        world.files.borrow_mut().push_back(Err(Trouble::Final("404".to_owned())));
        assert_eq!(ready(one(&world, &config, job(&world, "B"))), None);
        assert_eq!(updates(&world)[1], MediaState::Failed("404".to_owned()));
    }

    #[test]
    fn a_busy_engine_is_told_again() {
        let world = World::new();
        ready(world.batch(vec![job(&world, "A").note().expect("a note")])).expect("kept");
        world.failing.set(3);
        assert_eq!(ready(one(&world, &config(), job(&world, "A"))), None);
        assert_eq!(updates(&world).len(), 1);
        world.failing.set(4);
        ready(world.batch(vec![job(&world, "B").note().expect("a note")])).expect("kept");
        let later = ready(one(&world, &config(), job(&world, "B")));
        assert_eq!(later.map(|later| later.failures), Some(1));
        assert_eq!((updates(&world).len(), world.keys(PREFIX).len()), (1, 1), "the next start goes on too");
    }
}
