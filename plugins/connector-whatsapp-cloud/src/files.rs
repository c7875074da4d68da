//! Files of received messages. The message is told at once with its file pending; the file follows. What is still to be fetched is in
//! the store, so that a restart goes on with it.
//!
//! Meta gives a file in two steps: its id is looked up, which gives a link that ends after five minutes, and the link is fetched with the
//! token. A link that has ended is looked up again.
//!
//! A file that cannot be fetched now goes to the end of the queue and is tried again for a day, more and more rarely.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pombo_plugin::connector::events::{Event, MediaState, MediaUpdate, StoredMedia};
use pombo_plugin::connector::kv;
use pombo_plugin::log;
use serde::{Deserialize, Serialize};

use crate::answer::{self, Failure};
use crate::codes::Meaning;
use crate::config::Config;
use crate::outside::{NotFetched, Outside, Trouble, Wanted, delete, put};
use crate::recent::Recent;
use crate::url;

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
    /// Meta's id of the file.
    pub(crate) file: String,
    /// The SHA-256 that Meta told, in base64 or hexadecimal.
    #[serde(default)]
    pub(crate) sha256: Option<String>,
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
    /// Keys of what is being fetched.
    now: RefCell<Vec<String>>,
    /// Whether the store has files that are not in memory.
    more: Cell<bool>,
}

impl Files {
    /// Whether another file may wait in memory.
    fn have_room(&self) -> bool {
        self.waiting.borrow().len() < WAITING
    }

    /// Whether the store has files that can be taken up now.
    pub(crate) fn can_resume(&self) -> bool {
        self.more.get() && self.waiting.borrow().len() < WAITING / 2
    }

    /// Whether this file was queued before.
    pub(crate) fn knows(&self, job: &Job) -> bool {
        self.recent.get(&job.key()).is_some()
    }

    /// Fetches a file that is noted in the store, soon. If too many wait, it stays there until [`resume`](Self::resume).
    pub(crate) fn add(&self, job: Job) {
        if !self.have_room() {
            self.more.set(true);
            return;
        }
        self.recent.note(job.key(), ());
        self.queue(job);
    }

    /// Takes up what a restart interrupted, or what did not fit into memory. After a failure it can be repeated.
    pub(crate) async fn resume(&self, outside: &impl Outside) -> Result<(), Trouble> {
        self.more.set(false);
        let mut after = None;
        loop {
            let page = match outside.list(PREFIX.to_owned(), after.take(), PAGE).await {
                Ok(page) => page,
                Err(trouble) => {
                    self.more.set(true);
                    return Err(trouble);
                }
            };
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.key.clone());
            for entry in page {
                match serde_json::from_slice::<Job>(&entry.value) {
                    Ok(job) if !self.waits(&job) => self.add(job),
                    Ok(_) => {}
                    Err(_) => outside.batch(vec![delete(entry.key)]).await?,
                }
                if self.more.get() {
                    return Ok(());
                }
            }
        }
    }

    /// Fetches one file after the other, for ever. Several may do so at once.
    pub(crate) async fn work(&self, outside: &impl Outside, config: &Config) {
        loop {
            let job = self.next(outside).await;
            let key = job.key();
            self.now.borrow_mut().push(key.clone());
            let later = one(outside, config, job).await;
            self.now.borrow_mut().retain(|other| *other != key);
            if let Some(later) = later {
                self.queue(later);
            }
        }
    }

    /// Whether this file is in memory already, or is being fetched.
    fn waits(&self, job: &Job) -> bool {
        let is_same = |other: &Job| (&other.chat, &other.id) == (&job.chat, &job.id);
        self.waiting.borrow().iter().any(is_same) || self.now.borrow().contains(&job.key())
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

/// Looks a file up and fetches it.
async fn fetched(outside: &impl Outside, config: &Config, job: &Job) -> Result<StoredMedia, Trouble> {
    // A link that has ended between the two steps is looked up again once.
    for last in [false, true] {
        let (link, sha256) = look_up(outside, config, job).await?;
        let foreign = || Trouble::Final("Meta names a host of the file that is not allowed; see mediaHost".to_owned());
        let wanted = Wanted {
            headers: config.headers_to(&link).ok_or_else(foreign)?,
            url: link,
            filename: job.filename.clone(),
            content_type: job.content_type.clone(),
            sha256: sha256.or(job.sha256.as_deref().and_then(digest)),
        };
        match outside.fetch(wanted).await {
            Ok(stored) => return Ok(stored),
            Err(NotFetched::Trouble(trouble)) => return Err(trouble),
            Err(NotFetched::Gone) if last => break,
            Err(NotFetched::Gone) => {}
        }
    }
    Err(Trouble::Temporary("the file's link ends before it can be fetched".to_owned()))
}

/// The link of a file, and its SHA-256 if Meta tells it.
async fn look_up(outside: &impl Outside, config: &Config, job: &Job) -> Result<(String, Option<[u8; 32]>), Trouble> {
    if !url::is_id(&job.file) {
        return Err(Trouble::Final("Meta's id of the file is malformed".to_owned()));
    }
    let path = format!("/{}?phone_number_id={}", job.file, config.phone);
    match answer::read(outside.call(config.request("GET", &path, None)).await) {
        Ok(body) => {
            let nameless = || Trouble::Temporary("Meta gave no link to the file".to_owned());
            let link = body["url"].as_str().ok_or_else(nameless)?.to_owned();
            Ok((link, body["sha256"].as_str().and_then(digest)))
        }
        Err(Failure::Fault(fault)) => {
            let why = answer::with_code(&fault);
            // A token or a right that is missing may be mended; a file that is not there any more stays away.
            let mended = matches!(fault.meaning, Meaning::Token | Meaning::Slow(_) | Meaning::Again | Meaning::Few);
            let mended = mended || (fault.meaning == Meaning::Stop && fault.code != Some(100));
            Err(if mended { Trouble::Temporary(why) } else { Trouble::Final(why) })
        }
        Err(Failure::Malformed(why)) => Err(Trouble::Final(why)),
        Err(Failure::Slow(why) | Failure::Away(why) | Failure::Unclear(why)) => Err(Trouble::Temporary(why)),
    }
}

/// A SHA-256 in base64, as webhooks have it, or in hexadecimal, as the look-up has it.
fn digest(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    if text.len() == 64 {
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        return Some(bytes);
    }
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Fetches a file and tells what became of it. What is returned is to be tried again.
async fn one(outside: &impl Outside, config: &Config, job: Job) -> Option<Job> {
    let media = match fetched(outside, config, &job).await {
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
    use crate::config::tests::config;
    use crate::outside::world::{World, poll, ready};
    use std::pin::pin;

    const FOUND: &str = r#"{"messaging_product":"whatsapp","url":"https://lookaside.fbsbx.com/x?mid=1","mime_type":"image/jpeg",
        "sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","file_size":"7","id":"1"}"#;

    fn job(world: &World, id: &str) -> Job {
        Job {
            chat: "5511999999999".to_owned(),
            id: id.to_owned(),
            file: "1003383421387256".to_owned(),
            sha256: None,
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

    #[test]
    fn a_file_is_looked_up_and_fetched_with_the_token() {
        let (world, config) = (World::new(), config(""));
        let note = job(&world, "A").note().expect("a note");
        ready(world.batch(vec![note])).expect("kept");
        let files = Files::default();
        ready(files.resume(&world)).expect("resumes");
        ready(files.resume(&world)).expect("knows it");
        world.answer(200, FOUND);
        let mut work = pin!(files.work(&world, &config));
        assert!(poll(work.as_mut()).is_pending());
        assert!(matches!(updates(&world)[..], [MediaState::Ready(_)]));
        let asked = world.calls.borrow()[0].url.clone();
        assert_eq!(asked, "https://graph.facebook.com/v26.0/1003383421387256?phone_number_id=106540352242922");
        let wanted = world.wanted.borrow()[0].clone();
        assert_eq!(wanted.headers.iter().filter(|h| h.value.contains("secret:accessToken")).count(), 1);
        assert_eq!(wanted.sha256.map(|digest| digest[0]), Some(0x9f));
        assert!(world.keys(PREFIX).is_empty());
    }

    #[test]
    fn a_link_that_ended_is_looked_up_again() {
        let (world, config) = (World::new(), config(""));
        world.files.borrow_mut().push_back(Err(NotFetched::Gone));
        for _ in 0..2 {
            world.answer(200, FOUND);
        }
        assert_eq!(ready(one(&world, &config, job(&world, "A"))), None);
        assert!(matches!(updates(&world)[..], [MediaState::Ready(_)]));
        assert_eq!((world.calls.borrow().len(), world.wanted.borrow().len()), (2, 2));
    }

    #[test]
    fn the_token_is_not_sent_elsewhere() {
        let (world, config) = (World::new(), config(""));
        world.answer(200, r#"{"url":"https://evil.example/x"}"#);
        assert_eq!(ready(one(&world, &config, job(&world, "A"))), None);
        assert!(matches!(updates(&world)[..], [MediaState::Failed(_)]));
        assert!(world.wanted.borrow().is_empty());
    }

    #[test]
    fn what_may_be_mended_is_tried_for_a_day() {
        let (world, config) = (World::new(), config(""));
        let began = world.now.get();
        let mut next = job(&world, "A");
        let mut attempts = 0;
        loop {
            world.answer(401, r#"{"error":{"code":190,"message":"expired"}}"#);
            let Some(later) = ready(one(&world, &config, next.clone())) else { break };
            attempts += 1;
            assert_eq!(later.failures, attempts);
            world.now.set(later.due);
            next = later;
        }
        assert!((23..=24).contains(&((world.now.get() - began) / 3_600_000)));
        assert!(matches!(updates(&world)[..], [MediaState::Failed(_)]));
        assert!(world.keys(PREFIX).is_empty());
        world.answer(400, r#"{"error":{"code":100,"error_subcode":33,"message":"gone"}}"#);
        assert_eq!(ready(one(&world, &config, job(&world, "B"))), None, "a file that is not there stays away");
    }

    #[test]
    fn a_file_that_fails_goes_behind_the_others() {
        let (world, config) = (World::new(), config(""));
        world.files.borrow_mut().push_back(Err(NotFetched::Trouble(Trouble::Temporary("503".to_owned()))));
        for _ in 0..3 {
            world.answer(200, FOUND);
        }
        let files = Files::default();
        for id in ["A", "B"] {
            files.add(job(&world, id));
        }
        let mut work = pin!(files.work(&world, &config));
        assert!(poll(work.as_mut()).is_pending());
        assert_eq!(updates(&world).len(), 2);
    }

    #[test]
    fn what_does_not_fit_into_memory_stays_in_the_store() {
        let world = World::new();
        let files = Files::default();
        let notes = (0..WAITING + 5).map(|n| job(&world, &format!("{n:05}")).note().expect("a note"));
        ready(world.batch(notes.collect())).expect("kept");
        ready(files.resume(&world)).expect("resumes");
        assert_eq!(files.waiting.borrow().len(), WAITING);
        assert!(files.more.get() && !files.can_resume());
        for job in files.waiting.borrow_mut().drain(..) {
            ready(world.batch(vec![delete(job.key())])).expect("done");
        }
        assert!(files.can_resume());
        ready(files.resume(&world)).expect("resumes");
        assert_eq!((files.waiting.borrow().len(), files.more.get()), (5, false));
    }

    #[test]
    fn a_digest_is_written_in_two_ways() {
        let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        assert_eq!(digest(hex), digest("n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="));
        assert!(digest(hex).is_some());
        assert_eq!((digest(""), digest("n4bQ")), (None, None));
    }
}
