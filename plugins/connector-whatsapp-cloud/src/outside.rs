//! What the connector needs of the engine, so that everything but `engine` runs natively, in tests too.
//!
//! The engine's failures are distinguished only by what the connector does about them.

use std::time::Duration;

use pombo_plugin::connector::{events, http, kv};

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Another attempt may succeed.
    Temporary(String),
    /// Another attempt would fail too.
    Final(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Temporary(why) | Self::Final(why) => f.write_str(why),
        }
    }
}

// What is refused may be granted, and storage that is full may be cleared: only what is malformed will always be.

impl From<kv::Error> for Trouble {
    fn from(error: kv::Error) -> Self {
        Self::Temporary(match error {
            kv::Error::Refused(why) => format!("the engine does not allow the plugin to store data: {why}"),
            kv::Error::Quota(why) => format!("the connector's storage is full: {why}"),
            kv::Error::TimedOut => "the engine did not store the data in time".to_owned(),
            kv::Error::Unavailable(why) => format!("the engine cannot store data: {why}"),
        })
    }
}

impl From<events::Error> for Trouble {
    fn from(error: events::Error) -> Self {
        Self::Temporary(match error {
            events::Error::Invalid(why) => return Self::Final(why),
            events::Error::Refused(why) => format!("the engine does not allow it: {why}"),
            events::Error::Quota(why) => format!("the connector's storage is full: {why}"),
            events::Error::TimedOut => "the engine did not take it in time".to_owned(),
            events::Error::Unavailable(why) => why,
        })
    }
}

/// A file to fetch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) url: String,
    pub(crate) headers: Vec<http::Header>,
    pub(crate) filename: String,
    pub(crate) content_type: String,
    /// The SHA-256 that its bytes must have.
    pub(crate) sha256: Option<[u8; 32]>,
}

/// Why a file was not fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotFetched {
    /// Its link has ended: there may be another one.
    Gone,
    Trouble(Trouble),
}

/// A file of the engine's to post, with what stands before and after it in the body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Posting {
    pub(crate) url: String,
    pub(crate) headers: Vec<http::Header>,
    pub(crate) before: Vec<u8>,
    /// The engine's id of the file.
    pub(crate) media: String,
    pub(crate) size: u64,
    pub(crate) after: Vec<u8>,
}

/// Why a file was not posted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NotPosted {
    /// The engine does not give the file.
    File(Trouble),
    Call(http::Error),
}

/// The engine.
#[allow(async_fn_in_trait, reason = "guests are single-threaded: no Send bound is wanted")]
pub(crate) trait Outside {
    /// Milliseconds since the Unix epoch.
    fn now_millis(&self) -> u64;
    async fn sleep(&self, time: Duration);
    /// Makes a request to the Graph API.
    async fn call(&self, request: http::Request) -> Result<http::Response, http::Error>;
    async fn get(&self, key: String) -> Result<Option<Vec<u8>>, Trouble>;
    /// At most `limit` entries whose key starts with `prefix`, after the key `after`.
    async fn list(&self, prefix: String, after: Option<String>, limit: u32) -> Result<Vec<kv::Entry>, Trouble>;
    async fn batch(&self, changes: Vec<kv::Change>) -> Result<(), Trouble>;
    async fn commit(&self, told: Vec<events::Event>, changes: Vec<kv::Change>) -> Result<(), Trouble>;
    async fn emit(&self, told: events::Event) -> Result<(), Trouble>;
    /// Fetches a file into the engine's store.
    async fn fetch(&self, wanted: Wanted) -> Result<events::StoredMedia, NotFetched>;
    /// Posts a file.
    async fn post(&self, posting: Posting) -> Result<http::Response, NotPosted>;
}

/// A change that sets a key.
pub(crate) fn put(key: impl Into<String>, value: impl Into<Vec<u8>>) -> kv::Change {
    kv::Change { key: key.into(), value: Some(value.into()) }
}

/// A change that deletes a key.
pub(crate) fn delete(key: impl Into<String>) -> kv::Change {
    kv::Change { key: key.into(), value: None }
}

/// An engine in memory, for tests.
#[cfg(test)]
pub(crate) mod world {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::collections::{BTreeMap, VecDeque};
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::{Context, Poll, Waker};

    /// What it was asked and what it answers. Its clones are the same.
    #[derive(Clone, Default)]
    pub(crate) struct World(Rc<Inner>);

    #[derive(Default)]
    pub(crate) struct Inner {
        pub(crate) now: Cell<u64>,
        pub(crate) kept: RefCell<BTreeMap<String, Vec<u8>>>,
        pub(crate) told: RefCell<Vec<events::Event>>,
        pub(crate) states: RefCell<Vec<events::State>>,
        pub(crate) calls: RefCell<Vec<http::Request>>,
        pub(crate) answers: RefCell<VecDeque<Result<http::Response, http::Error>>>,
        pub(crate) files: RefCell<VecDeque<Result<(), NotFetched>>>,
        pub(crate) wanted: RefCell<Vec<Wanted>>,
        pub(crate) posted_files: RefCell<Vec<Posting>>,
        /// What is answered to a file that is posted.
        pub(crate) uploads: RefCell<VecDeque<Result<http::Response, NotPosted>>>,
        pub(crate) commits: Cell<u32>,
        /// The next commits that fail.
        pub(crate) failing: Cell<u32>,
        /// Whether its store answers nothing.
        pub(crate) down: Cell<bool>,
        /// The next changes of the store that take a while.
        pub(crate) slow: Cell<u32>,
    }

    impl std::ops::Deref for World {
        type Target = Inner;
        fn deref(&self) -> &Inner {
            &self.0
        }
    }

    impl World {
        pub(crate) fn new() -> Self {
            let world = Self::default();
            world.now.set(1_767_614_400_000);
            world
        }

        /// The API's next answer.
        pub(crate) fn answer(&self, status: u16, body: &str) {
            let response = http::Response { status, headers: Vec::new(), body: body.as_bytes().to_vec() };
            self.answers.borrow_mut().push_back(Ok(response));
        }

        /// What is answered to the next file that is posted.
        pub(crate) fn upload(&self, status: u16, body: &str) {
            let response = http::Response { status, headers: Vec::new(), body: body.as_bytes().to_vec() };
            self.uploads.borrow_mut().push_back(Ok(response));
        }

        /// The bodies that the API got.
        pub(crate) fn posted(&self) -> Vec<serde_json::Value> {
            let calls = self.calls.borrow();
            let bodies = calls.iter().map(|call| serde_json::from_slice(call.body.as_deref().unwrap_or(b"null")));
            bodies.map(|body| body.expect("JSON")).collect()
        }

        /// The events without a case of their own, of this kind.
        pub(crate) fn others(&self, wanted: &str) -> Vec<serde_json::Value> {
            let told = self.told.borrow();
            let json = |event: &events::Event| match event {
                events::Event::Other((kind, json)) if kind == wanted => serde_json::from_str(json).ok(),
                _ => None,
            };
            told.iter().filter_map(json).collect()
        }

        pub(crate) fn contacts(&self) -> Vec<events::ContactUpdate> {
            let told = self.told.borrow();
            let contact = |event: &events::Event| match event {
                events::Event::Contact(update) => Some(update.clone()),
                _ => None,
            };
            told.iter().filter_map(contact).collect()
        }

        pub(crate) fn receipts(&self) -> Vec<events::Receipt> {
            let told = self.told.borrow();
            let receipt = |event: &events::Event| match event {
                events::Event::Receipt(receipt) => Some(receipt.clone()),
                _ => None,
            };
            told.iter().filter_map(receipt).collect()
        }

        pub(crate) fn messages(&self) -> Vec<events::Inbound> {
            let told = self.told.borrow();
            let message = |event: &events::Event| match event {
                events::Event::Message(message) => Some(message.clone()),
                _ => None,
            };
            told.iter().filter_map(message).collect()
        }

        pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
            self.kept.borrow().keys().filter(|key| key.starts_with(prefix)).cloned().collect()
        }

        fn apply(&self, changes: Vec<kv::Change>) {
            let mut kept = self.kept.borrow_mut();
            for change in changes {
                match change.value {
                    Some(value) => kept.insert(change.key, value),
                    None => kept.remove(&change.key),
                };
            }
        }

        fn up(&self) -> Result<(), Trouble> {
            if self.down.get() { Err(Trouble::Temporary("the store is down".to_owned())) } else { Ok(()) }
        }

        /// Waits once, if the next change takes a while.
        async fn linger(&self) {
            let mut waits = self.slow.get() > 0;
            self.slow.set(self.slow.get().saturating_sub(1));
            poll_fn(|_| if std::mem::take(&mut waits) { Poll::Pending } else { Poll::Ready(()) }).await;
        }
    }

    impl Outside for World {
        fn now_millis(&self) -> u64 {
            self.now.get()
        }
        async fn sleep(&self, time: Duration) {
            self.now.set(self.now.get() + u64::try_from(time.as_millis()).expect("short"));
        }
        async fn call(&self, request: http::Request) -> Result<http::Response, http::Error> {
            self.calls.borrow_mut().push(request);
            let answer = self.answers.borrow_mut().pop_front();
            answer.unwrap_or_else(|| Err(http::Error::NotConnected("nobody listens".to_owned())))
        }
        async fn get(&self, key: String) -> Result<Option<Vec<u8>>, Trouble> {
            self.up()?;
            Ok(self.kept.borrow().get(&key).cloned())
        }
        async fn list(&self, prefix: String, after: Option<String>, limit: u32) -> Result<Vec<kv::Entry>, Trouble> {
            self.up()?;
            let kept = self.kept.borrow();
            let behind = |key: &String| after.as_ref().is_none_or(|after| key > after);
            let entries = kept.iter().filter(|(key, _)| key.starts_with(&prefix) && behind(key));
            let entry = |(key, value): (&String, &Vec<u8>)| kv::Entry { key: key.clone(), value: value.clone() };
            Ok(entries.take(limit as usize).map(entry).collect())
        }
        async fn batch(&self, changes: Vec<kv::Change>) -> Result<(), Trouble> {
            self.up()?;
            self.linger().await;
            self.apply(changes);
            Ok(())
        }
        async fn commit(&self, told: Vec<events::Event>, changes: Vec<kv::Change>) -> Result<(), Trouble> {
            self.up()?;
            self.linger().await;
            if self.failing.get() > 0 {
                self.failing.set(self.failing.get() - 1);
                return Err(Trouble::Temporary("busy".to_owned()));
            }
            if told.len() > 256 {
                return Err(Trouble::Final("events: must be at most 256".to_owned()));
            }
            self.commits.set(self.commits.get() + 1);
            let refused = |event: &events::Event| match event {
                events::Event::Message(message) => message.provider_id.contains("REFUSED"),
                _ => false,
            };
            if told.iter().any(refused) {
                return Err(Trouble::Final("the engine does not take this message".to_owned()));
            }
            self.told.borrow_mut().extend(told);
            self.apply(changes);
            Ok(())
        }
        async fn emit(&self, told: events::Event) -> Result<(), Trouble> {
            match told {
                events::Event::State(state) => self.states.borrow_mut().push(state),
                other => self.told.borrow_mut().push(other),
            }
            Ok(())
        }
        async fn fetch(&self, wanted: Wanted) -> Result<events::StoredMedia, NotFetched> {
            self.wanted.borrow_mut().push(wanted.clone());
            let answer = self.files.borrow_mut().pop_front();
            answer.unwrap_or(Ok(()))?;
            let id = format!("media-{}", self.wanted.borrow().len());
            let Wanted { filename, content_type, .. } = wanted;
            Ok(events::StoredMedia { id, filename, content_type, size: 7 })
        }
        async fn post(&self, posting: Posting) -> Result<http::Response, NotPosted> {
            self.posted_files.borrow_mut().push(posting);
            let answer = self.uploads.borrow_mut().pop_front();
            answer.unwrap_or_else(|| Err(NotPosted::Call(http::Error::NotConnected("nobody listens".to_owned()))))
        }
    }

    /// The value of a future that never has to wait.
    pub(crate) fn ready<F: Future>(future: F) -> F::Output {
        match poll(pin!(future).as_mut()) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }

    pub(crate) fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_malformed_will_always_be_refused() {
        let why = || "x".to_owned();
        for error in [kv::Error::Refused(why()), kv::Error::Quota(why()), kv::Error::TimedOut] {
            assert!(matches!(Trouble::from(error), Trouble::Temporary(_)));
        }
        for error in [events::Error::Refused(why()), events::Error::Quota(why()), events::Error::TimedOut] {
            assert!(matches!(Trouble::from(error), Trouble::Temporary(_)));
        }
        assert_eq!(Trouble::from(events::Error::Invalid(why())), Trouble::Final(why()));
    }
}
