//! Files of received messages that are fetched by a link. The message is told at once with its file pending; the file follows. What is
//! still to be fetched is in the store, so that a restart goes on with it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Duration;

use pombo_plugin::connector::events::{self, Event, MediaState, MediaUpdate};
use pombo_plugin::connector::kv;
use pombo_plugin::log;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::outside::{Outside, Trouble, Wanted, delete, put};

const PREFIX: &str = "file/";
const PAGE: u32 = 256;
/// How many files may wait at once.
const WAITING: usize = 1_000;
/// How many files are remembered that were queued before: a webhook that comes twice does not fetch twice.
const RECENT: usize = 256;
/// How long to wait after the first, second… temporary failure; after the last one the file is given up.
const PAUSES_SECS: [u64; 3] = [1, 5, 20];

/// A file to fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) chat: String,
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) filename: String,
    pub(crate) content_type: String,
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
}

/// The files that wait, in order.
#[derive(Debug, Default)]
pub(crate) struct Files {
    waiting: RefCell<VecDeque<Job>>,
    /// Keys of what was queued lately.
    recent: RefCell<VecDeque<String>>,
    worker: RefCell<Option<Waker>>,
}

impl Files {
    /// Whether another file may wait.
    pub(crate) fn have_room(&self) -> bool {
        self.waiting.borrow().len() < WAITING
    }

    /// Whether this file was queued before.
    pub(crate) fn knows(&self, job: &Job) -> bool {
        self.recent.borrow().contains(&job.key())
    }

    /// Fetches a file that is noted in the store, soon.
    pub(crate) fn add(&self, job: Job) {
        let mut recent = self.recent.borrow_mut();
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        recent.push_back(job.key());
        drop(recent);
        self.waiting.borrow_mut().push_back(job);
        if let Some(worker) = self.worker.borrow_mut().take() {
            worker.wake();
        }
    }

    /// Takes up what a restart interrupted.
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

    /// Fetches one file after the other, for ever.
    pub(crate) async fn work(&self, outside: &impl Outside, config: &Config) {
        loop {
            let job = self.next().await;
            one(outside, config, job).await;
        }
    }

    async fn next(&self) -> Job {
        poll_fn(|cx| match self.waiting.borrow_mut().pop_front() {
            Some(job) => Poll::Ready(job),
            None => {
                *self.worker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

async fn one(outside: &impl Outside, config: &Config, job: Job) {
    let media = fetched(outside, config, &job).await;
    let key = job.key();
    let update = Event::Media(MediaUpdate { chat: job.chat, provider_id: job.id, media });
    let mut pauses = PAUSES_SECS.into_iter();
    loop {
        let why = match outside.commit(vec![update.clone()], vec![delete(key.as_str())]).await {
            Ok(()) => return,
            Err(Trouble::Temporary(why)) => match pauses.next() {
                Some(seconds) => {
                    outside.sleep(Duration::from_secs(seconds)).await;
                    continue;
                }
                // It stays noted: the next start fetches it again.
                None => why,
            },
            Err(Trouble::Final(why)) => {
                // Another attempt cannot help.
                if let Err(trouble) = outside.batch(vec![delete(key.as_str())]).await {
                    log::warn("files", &format!("a file's note was not deleted: {trouble}"));
                }
                why
            }
        };
        log::warn("files", &format!("the engine did not take the state of a file: {why}"));
        return;
    }
}

async fn fetched(outside: &impl Outside, config: &Config, job: &Job) -> MediaState {
    let wanted = Wanted {
        url: job.url.clone(),
        headers: config.headers_to(&job.url),
        filename: job.filename.clone(),
        content_type: job.content_type.clone(),
    };
    let mut pauses = PAUSES_SECS.into_iter();
    loop {
        match outside.fetch(wanted.clone()).await {
            Ok(stored) => return MediaState::Ready(stored),
            Err(Trouble::Final(why)) => return MediaState::Failed(why),
            Err(Trouble::Temporary(why)) => match pauses.next() {
                Some(seconds) => outside.sleep(Duration::from_secs(seconds)).await,
                None => return MediaState::Failed(why),
            },
        }
    }
}

/// The usual ending of files of this type.
pub(crate) fn extension(content_type: &str, kind: events::MediaKind) -> &'static str {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "image/jpeg" | "image/jpg" => "jpg",
        "image/png" => "png",
        "image/webp" => "webp",
        "image/gif" => "gif",
        "video/mp4" => "mp4",
        "video/3gpp" => "3gp",
        "video/quicktime" => "mov",
        "audio/ogg" | "audio/opus" => "ogg",
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/mp4" | "audio/m4a" | "audio/x-m4a" => "m4a",
        "audio/aac" => "aac",
        "audio/amr" => "amr",
        "application/pdf" => "pdf",
        _ => match kind {
            events::MediaKind::Image => "jpg",
            events::MediaKind::Video => "mp4",
            events::MediaKind::Audio | events::MediaKind::Voice => "ogg",
            events::MediaKind::Sticker => "webp",
            events::MediaKind::Document => "bin",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::world::{World, poll, ready};
    use std::pin::pin;

    fn config() -> Config {
        Config::read(r#"{"baseUrl":"https://g.example"}"#).expect("valid")
    }

    fn job(id: &str) -> Job {
        Job {
            chat: "5511999999999".to_owned(),
            id: id.to_owned(),
            url: format!("https://g.example/media/{id}"),
            filename: "image.jpg".to_owned(),
            content_type: "image/jpeg".to_owned(),
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
    fn files_are_fetched_in_order_also_after_a_restart() {
        let world = World::new();
        let notes = ["A", "B"].map(|id| job(id).note().expect("a note"));
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
        files.add(job("C"));
        assert!(poll(work.as_mut()).is_pending());
        assert_eq!(updates(&world).len(), 3);
        assert!(files.knows(&job("C")) && !files.knows(&job("D")) && files.have_room());
    }

    #[test]
    fn temporary_trouble_is_tried_again_and_a_refusal_is_not() {
        let world = World::new();
        let config = config();
        world.files.borrow_mut().push_back(Err(Trouble::Temporary("503".to_owned())));
        ready(one(&world, &config, job("A")));
        world.files.borrow_mut().push_back(Err(Trouble::Final("404".to_owned())));
        ready(one(&world, &config, job("B")));
        world.files.borrow_mut().extend((0..4).map(|_| Err(Trouble::Temporary("503".to_owned()))));
        ready(one(&world, &config, job("C")));
        let updates = updates(&world);
        assert!(matches!(updates[0], MediaState::Ready(_)));
        assert_eq!(updates[1], MediaState::Failed("404".to_owned()));
        assert_eq!(updates[2], MediaState::Failed("503".to_owned()));
        assert_eq!(world.wanted.borrow().len(), 7);
    }

    #[test]
    fn a_busy_engine_is_told_again() {
        let world = World::new();
        ready(world.batch(vec![job("A").note().expect("a note")])).expect("kept");
        world.failing.set(3);
        ready(one(&world, &config(), job("A")));
        assert_eq!(updates(&world).len(), 1);
        world.failing.set(4);
        ready(world.batch(vec![job("B").note().expect("a note")])).expect("kept");
        ready(one(&world, &config(), job("B")));
        assert_eq!((updates(&world).len(), world.keys(PREFIX).len()), (1, 1), "the next start goes on");
    }
}
