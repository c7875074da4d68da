//! Files with the engine's imports and a connected client, and the tasks that fetch pending files.
//!
//! Each download is a task of the executor; a few run at once, the rest wait as keys of the store. A task ends with its download:
//! none outlives the client by more than that. What fails for want of a session stays in the store until the next login.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use pombo_plugin::connector::events::{self, StoredMedia};
use pombo_plugin::connector::{Attachment, http, kv, media};
use pombo_plugin::{clock, log};
use wacore_binary::Jid;
use whatsapp_rust::{MediaRetryResult, MediaReuploadError, MediaReuploadRequest};

use super::outside::{Exchange, Files, Head, Hosts, Opened, Route, Sink, Trouble};
use super::pending::PREFIX;
use super::{Kind, Pending, Uploaded, download, look};
use crate::glue::{executor, http as glue_http};
use crate::identity::Refusal;
use crate::live::Live;

/// Maximum number of downloads at once.
const AT_ONCE: usize = 3;
/// How long to wait after the first, second… temporary failure; after the last one the file is given up.
const PAUSES_SECS: [u64; 4] = [2, 15, 60, 300];

fn of_http(error: &http::Error) -> Trouble {
    let words = glue_http::words(error);
    match error {
        http::Error::NotConnected(_) | http::Error::Interrupted(_) => Trouble::Temporary(words),
        http::Error::Refused(_) | http::Error::Invalid(_) | http::Error::TooLarge(_) => Trouble::Final(words),
    }
}

fn of_media(error: media::Error) -> Trouble {
    match error {
        media::Error::Refused(why) => Trouble::Final(format!("the engine refuses access to the file: {why}")),
        media::Error::NotFound => Trouble::Final("the file does not exist".to_owned()),
        media::Error::Invalid(why) => Trouble::Final(format!("the engine does not accept the file: {why}")),
        media::Error::TimedOut => Trouble::Temporary("the media store did not answer in time".to_owned()),
        media::Error::Unavailable(why) => Trouble::Temporary(format!("the media store: {why}")),
    }
}

fn of_refusal(refusal: Refusal) -> Trouble {
    match refusal {
        Refusal::Disconnected(why) => Trouble::Disconnected(why),
        Refusal::NoAnswer(why) | Refusal::Other(why) => Trouble::Temporary(why),
        Refusal::Server { code, text, .. } => Trouble::Temporary(format!("WhatsApp answered {code} {text}")),
    }
}

struct Guest<'a>(&'a Live);

impl Exchange for http::Exchange {
    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Trouble> {
        http::Exchange::write(self, bytes).await.map_err(|e| of_http(&e))
    }
    async fn finish(&mut self) -> Result<Opened, Trouble> {
        let head = http::Exchange::finish(self).await.map_err(|e| of_http(&e))?;
        Ok(Opened { status: head.status })
    }
    async fn read(&mut self, len: u32) -> Result<Vec<u8>, Trouble> {
        http::Exchange::read(self, len).await.map_err(|e| of_http(&e))
    }
}

impl Sink for media::Upload {
    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Trouble> {
        media::Upload::write(self, bytes).await.map_err(of_media)
    }
    async fn finish(self) -> Result<StoredMedia, Trouble> {
        let info = media::Upload::finish(&self).await.map_err(of_media)?;
        Ok(StoredMedia { id: info.id, filename: info.filename, content_type: info.content_type, size: info.size })
    }
}

impl Files for Guest<'_> {
    type Exchange = http::Exchange;
    type Sink = media::Upload;

    async fn open(&self, head: Head) -> Result<http::Exchange, Trouble> {
        let header = |name: &str, value: &str| http::Header { name: name.to_owned(), value: value.to_owned() };
        let mut headers = vec![header("Origin", wacore::net::WHATSAPP_WEB_ORIGIN)];
        if head.content_length > 0 {
            headers.push(header("Content-Type", "application/octet-stream"));
        }
        http::Exchange::start(http::RequestHead {
            method: head.method.to_owned(),
            url: glue_http::address(&head.url),
            headers,
            content_length: head.content_length,
            timeout_millis: None,
        })
        .await
        .map_err(|e| of_http(&e))
    }

    async fn read(&self, id: &str, offset: u64, len: u32) -> Result<Vec<u8>, Trouble> {
        media::read(id.to_owned(), offset, len).await.map_err(of_media)
    }

    async fn store(&self, filename: &str, content_type: &str) -> Result<media::Upload, Trouble> {
        media::Upload::start(filename.to_owned(), content_type.to_owned()).await.map_err(of_media)
    }

    async fn give_way(&self) {
        // Waking oneself is not enough: the executor would go on at once. A timer is the host's.
        clock::sleep(Duration::from_millis(1)).await;
    }
}

impl Hosts for Guest<'_> {
    async fn route(&self, fresh: bool) -> Result<Route, Trouble> {
        let found = self.0.client.refresh_media_conn(fresh).await.map_err(|e| of_refusal(Refusal::of(&e)))?;
        Ok(Route {
            bases: found.hosts.iter().map(|host| format!("https://{}", host.hostname)).collect(),
            auth: found.auth,
        })
    }

    async fn put_back(&self, pending: &Pending) -> Result<String, Trouble> {
        let unreadable = |_| Trouble::Final("the file has expired, and its message cannot be identified".to_owned());
        let chat: Jid = pending.chat_jid.parse().map_err(unreadable)?;
        let sender: Jid = pending.sender_jid.parse().map_err(unreadable)?;
        let request = MediaReuploadRequest {
            msg_id: &pending.provider_id,
            chat_jid: &chat,
            media_key: &pending.key,
            is_from_me: pending.from_me,
            participant: pending.is_group.then_some(&sender),
        };
        match self.0.client.media_reupload().request(&request).await {
            Ok(MediaRetryResult::Success { direct_path }) => Ok(direct_path),
            Ok(MediaRetryResult::NotFound) => {
                Err(Trouble::Final("the file has expired, and the phone no longer has it".to_owned()))
            }
            Ok(MediaRetryResult::GeneralError | MediaRetryResult::DecryptionError) => {
                Err(Trouble::Final("the file has expired, and the phone could not upload it again".to_owned()))
            }
            Err(MediaReuploadError::Timeout) => Err(Trouble::Final(
                "the file has expired, and the phone did not answer the request to upload it again".to_owned(),
            )),
            Err(error) => Err(match Refusal::of(&error) {
                Refusal::Disconnected(why) => Trouble::Disconnected(why),
                _ => Trouble::Final(
                    "the file has expired, and the phone could not be asked to upload it again".to_owned(),
                ),
            }),
        }
    }
}

/// Uploads one of the engine's files and looks at it, or uses an earlier upload of it.
pub(crate) async fn upload(live: &Live, file: &Attachment, kind: Kind) -> Result<Rc<Uploaded>, Trouble> {
    let now = clock::now_millis();
    let now_secs = i64::try_from(now / 1_000).unwrap_or(0);
    let (id, media_type) = (file.media.as_str(), kind.media_type());
    let work = || async move {
        let uploaded = super::upload::upload(&Guest(live), id, media_type, now_secs).await?;
        let look = look::look(&Guest(live), id, file.size, kind).await;
        Ok(Uploaded { look, ..uploaded })
    };
    live.shared.uploads.get(id, kind, now, work).await
}

#[derive(Default)]
struct State {
    waiting: VecDeque<String>,
    /// Waiting, running or pausing.
    known: HashSet<String>,
    running: usize,
    failures: HashMap<String, usize>,
}

/// Which files are being fetched. The list of files to fetch is in the store.
#[derive(Default)]
pub(crate) struct Downloads {
    state: RefCell<State>,
}

impl Downloads {
    /// Fetches the file whose record is under `key`, soon.
    pub(crate) fn add(&self, live: &Live, key: String) {
        let mut state = self.state.borrow_mut();
        if state.known.insert(key.clone()) {
            state.waiting.push_back(key);
        }
        drop(state);
        self.go_on(live);
    }

    /// Fetches every file that is pending in the store.
    pub(crate) async fn resume(&self, live: &Live) {
        let mut after = None;
        loop {
            let page = match kv::list_prefix(PREFIX.to_owned(), after.take(), 256).await {
                Ok(page) => page,
                Err(error) => {
                    log::warn("media", &format!("pending downloads cannot be listed: {error:?}"));
                    return;
                }
            };
            let Some(last) = page.last() else { return };
            after = Some(last.key.clone());
            for entry in page {
                self.add(live, entry.key);
            }
        }
    }

    fn go_on(&self, live: &Live) {
        loop {
            let mut state = self.state.borrow_mut();
            if state.running >= AT_ONCE {
                return;
            }
            let Some(key) = state.waiting.pop_front() else { return };
            state.running += 1;
            drop(state);
            let live = live.clone();
            executor::spawn(async move {
                let again = one(&live, &key).await;
                let downloads = &live.shared.downloads;
                downloads.state.borrow_mut().running -= 1;
                downloads.after(&live, key, again);
                downloads.go_on(&live);
            });
        }
    }

    fn after(&self, live: &Live, key: String, after: After) {
        match after {
            After::Done | After::NextLogin => {
                let mut state = self.state.borrow_mut();
                state.known.remove(&key);
                state.failures.remove(&key);
            }
            After::Pause(seconds) => {
                let live = live.clone();
                executor::spawn(async move {
                    clock::sleep(Duration::from_secs(seconds)).await;
                    live.shared.downloads.state.borrow_mut().waiting.push_back(key);
                    live.shared.downloads.go_on(&live);
                });
            }
        }
    }

    /// Counts a temporary failure: returns how long to wait, or `None` when there have been too many.
    fn failed(&self, key: &str) -> Option<u64> {
        let mut state = self.state.borrow_mut();
        let count = state.failures.entry(key.to_owned()).or_default();
        *count += 1;
        PAUSES_SECS.get(*count - 1).copied()
    }
}

enum After {
    Done,
    NextLogin,
    Pause(u64),
}

async fn one(live: &Live, key: &str) -> After {
    let pending = match kv::get(key.to_owned()).await {
        Ok(Some(value)) => Pending::read(&value),
        Ok(None) => return After::Done,
        Err(_) => return live.shared.downloads.failed(key).map_or(After::NextLogin, After::Pause),
    };
    let Some(pending) = pending else {
        log::warn("media", "a pending download has an unknown format and is dropped");
        let _ = kv::batch(vec![kv::Change { key: key.to_owned(), value: None }]).await;
        return After::Done;
    };
    let state = match download::fetch(&Guest(live), &pending).await {
        Ok(stored) => events::MediaState::Ready(stored),
        Err(Trouble::Disconnected(_)) => return After::NextLogin,
        Err(Trouble::Temporary(why)) => match live.shared.downloads.failed(key) {
            Some(seconds) => return After::Pause(seconds),
            None => events::MediaState::Failed(why),
        },
        Err(Trouble::Final(why)) => events::MediaState::Failed(why),
    };
    let update = events::MediaUpdate { chat: pending.chat, provider_id: pending.provider_id, media: state };
    let gone = kv::Change { key: key.to_owned(), value: None };
    match events::commit(vec![events::Event::Media(update)], vec![gone.clone()]).await {
        Ok(()) => After::Done,
        Err(events::Error::Refused(why) | events::Error::Invalid(why)) => {
            // Emitting it again cannot help; fetching it again would not either.
            log::error("media", &format!("the engine does not accept the state of a file: {why}"));
            let _ = kv::batch(vec![gone]).await;
            After::Done
        }
        Err(_) => live.shared.downloads.failed(key).map_or(After::NextLogin, After::Pause),
    }
}
