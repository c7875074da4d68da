//! The version that the session claims: read from WhatsApp's page, kept in the store with the time at which it was read, and what is
//! known of refusals. The rules are in [`crate::version`]. What the store does not take is only lost for the next start.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use pombo_plugin::connector::http::{Exchange, Header, RequestHead};
use pombo_plugin::{clock, log};
use serde::Serialize;
use serde::de::DeserializeOwned;
use whatsapp_rust::futures::future::{Either, select};

use crate::config::Config;
use crate::glue::http::words;
use crate::redact;
use crate::store::kv;
use crate::version::{self, Finder, Reading, Refused, Version};

/// Not below `w/`: they are not the session's, and outlive a logout.
const READ: &str = "version/read";
const REFUSED: &str = "version/refused";
/// How much of the page is read at once.
const PIECE: u32 = 64 * 1024;
/// How long each step of reading the page may take.
const STEP_MILLIS: u32 = 10_000;
/// How long reading it may take in all: a login waits for it.
const PATIENCE: Duration = Duration::from_secs(20);
/// The page depends on the browser that asks for it.
const BROWSER: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

/// What one instance knows of versions.
pub(super) struct Versions {
    fixed: Option<Version>,
    page: String,
    reading: Cell<Option<Reading>>,
    /// `None`: the store was not asked yet.
    refused: Cell<Option<Option<Refused>>>,
    loaded: Cell<bool>,
}

impl Versions {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            fixed: config.protocol,
            page: page(config),
            reading: Cell::new(None),
            refused: Cell::new(None),
            loaded: Cell::new(false),
        }
    }

    /// Whether the operator fixed the version.
    pub(super) fn is_fixed(&self) -> bool {
        self.fixed.is_some()
    }

    /// The version to claim, by what is known.
    pub(super) fn claim(&self) -> Version {
        version::claim(self.fixed, self.reading.get(), clock::now_millis())
    }

    /// The version to claim; reads the page if what is known is too old.
    pub(super) async fn current(&self) -> Version {
        if self.is_fixed() {
            return self.claim();
        }
        if !self.loaded.replace(true) {
            self.reading.set(load(READ).await);
        }
        if !self.reading.get().is_some_and(|reading| reading.is_fresh(clock::now_millis())) {
            self.refresh().await;
        }
        self.claim()
    }

    /// Reads the page, whatever is known, and returns the version to claim. If the page cannot be read, that is what it was.
    pub(super) async fn refresh(&self) -> Version {
        if !self.is_fixed() {
            let read = match select(pin!(read(&self.page)), pin!(clock::sleep(PATIENCE))).await {
                Either::Left((read, _)) => read,
                Either::Right(_) => Err("the page did not come in time".to_owned()),
            };
            match read {
                Ok(version) => {
                    let reading = Reading { version, at_millis: clock::now_millis() };
                    self.reading.set(Some(reading));
                    save(READ, &reading).await;
                }
                Err(why) => log::warn("session", &redact::line(&format!("WhatsApp Web's version was not read: {why}"))),
            }
        }
        self.claim()
    }

    /// The last refusal since the last login.
    pub(super) async fn refused(&self) -> Option<Refused> {
        if let Some(known) = self.refused.get() {
            return known;
        }
        let stored = load(REFUSED).await;
        self.refused.set(Some(stored));
        stored
    }

    /// The server refused this version.
    pub(super) async fn refuse(&self, version: Version) -> Refused {
        let refused = Refused::once_more(self.refused().await, version);
        self.refused.set(Some(Some(refused)));
        save(REFUSED, &refused).await;
        log::warn("session", &format!("refused as outdated, {} of {} times", refused.attempts, version::ATTEMPTS));
        refused
    }

    /// The server let the session in.
    pub(super) async fn accepted(&self) {
        if self.refused().await.is_some() {
            self.refused.set(Some(None));
            if let Err(error) = kv::batch(vec![kv::delete(REFUSED)]).await {
                log::debug("session", &redact::line(&error.to_string()));
            }
        }
    }
}

async fn load<T: DeserializeOwned>(key: &str) -> Option<T> {
    match kv::get(key).await {
        Ok(value) => serde_json::from_slice(&value?).ok(),
        Err(error) => {
            log::debug("session", &redact::line(&error.to_string()));
            None
        }
    }
}

async fn save<T: Serialize>(key: &str, value: &T) {
    // Numbers always serialise.
    let Ok(value) = serde_json::to_vec(value) else { return };
    if let Err(error) = kv::batch(vec![kv::put(key, value)]).await {
        log::debug("session", &redact::line(&error.to_string()));
    }
}

async fn read(url: &str) -> Result<Version, String> {
    let header = |name: &str, value: &str| Header { name: name.to_owned(), value: value.to_owned() };
    let head = RequestHead {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: vec![header("sec-fetch-site", "none"), header("user-agent", BROWSER)],
        content_length: 0,
        timeout_millis: Some(STEP_MILLIS),
    };
    let exchange = Exchange::start(head).await.map_err(|error| words(&error))?;
    let answer = exchange.finish().await.map_err(|error| words(&error))?;
    if answer.status != 200 {
        return Err(format!("the page answered {}", answer.status));
    }
    let mut finder = Finder::default();
    loop {
        let piece = exchange.read(PIECE).await.map_err(|error| words(&error))?;
        if piece.is_empty() {
            return finder.end();
        }
        if let Some(found) = finder.feed(&piece) {
            return found;
        }
    }
}

#[cfg(not(feature = "simulator"))]
fn page(_config: &Config) -> String {
    format!("{}/sw.js", whatsapp_rust::wacore::net::WHATSAPP_WEB_ORIGIN)
}

#[cfg(feature = "simulator")]
fn page(config: &Config) -> String {
    format!("http://{}/sw.js", config.server_host)
}
