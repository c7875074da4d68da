//! What follows when the server refuses the version that the connector claims: a few attempts, then waiting for a new version. The rules
//! are in [`crate::version`].

use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
use pombo_plugin::clock;
use pombo_plugin::connector::events::State;

use super::steps::{Alarm, Outside, Step, wait};
use super::{Pairing, Session, Wish};
use crate::backoff::Backoff;
use crate::glue::{self, executor};
use crate::passkey::NOTHING_WAITS;
use crate::version::{self, ATTEMPTS, Version};

/// What came of waiting for a version.
pub(super) enum Awaited {
    /// Log in, or pair, with this one.
    Version(Version),
    Stopped,
    /// The session is to be closed; to be answered when it is forgotten.
    Closed(oneshot::Sender<()>),
}

impl Session {
    /// Reads the page from time to time, so that a connection that is made again claims what is current.
    pub(super) fn keep_version_fresh(&self) {
        if self.versions.is_fixed() {
            return;
        }
        let versions = Rc::clone(&self.versions);
        executor::spawn(async move {
            // Spread: many connectors start at once.
            let spread = Duration::from_millis(glue::draw() % (version::FRESH.as_millis() as u64 / 12));
            loop {
                clock::sleep(version::FRESH + spread).await;
                versions.refresh().await;
            }
        });
    }

    /// The version for the next client. Of a session whose version was refused: waits until there is one to try, and says so.
    pub(super) async fn version(&self, pairing: bool, outside: &mut Outside) -> Awaited {
        let version = self.versions.current().await;
        let Some(refused) = self.versions.refused().await.filter(|refused| refused.version == version) else {
            return Awaited::Version(version);
        };
        let version = self.versions.refresh().await;
        // Whoever pairs waits in front of the code.
        if pairing || refused.allows(version, Duration::ZERO) {
            return Awaited::Version(version);
        }
        let why = refused.words(self.versions.is_fixed());
        self.away(&why, Some(State::Disconnected(why.clone()))).await;
        let begin = clock::monotonic();
        let mut reads = 0;
        loop {
            let waited = clock::monotonic().saturating_sub(begin);
            let until_again = refused.pause().map(|pause| pause.saturating_sub(waited));
            // With a fixed version there is nothing to read.
            let until_read = (!self.versions.is_fixed()).then(|| version::read_pause(reads, glue::draw()));
            let next = until_again.into_iter().chain(until_read).min();
            let mut alarm = next.map(|time| (Alarm::Connect, wait(time)));
            match outside.next(None, &mut alarm).await {
                Step::Stop => return Awaited::Stopped,
                Step::Wished(Wish::Close(done)) => return Awaited::Closed(done),
                // A person asks for one more attempt.
                Step::Wished(Wish::Open(_)) => return Awaited::Version(self.versions.refresh().await),
                Step::Wished(Wish::Answer(_, _, done)) => drop(done.send(Err(NOTHING_WAITS.to_owned()))),
                Step::Rang(_) | Step::Happened(_) => {}
            }
            let version = self.versions.refresh().await;
            if refused.allows(version, clock::monotonic().saturating_sub(begin)) {
                return Awaited::Version(version);
            }
            reads += 1;
        }
    }

    /// The server refused the version. Returns the pairing to go on with, if one was under way; `Err` says why it cannot go on.
    pub(super) async fn outdated(&self, version: Version, pairing: Option<Pairing>) -> Result<Option<Pairing>, String> {
        let refused = self.versions.refuse(version).await;
        let current = self.versions.refresh().await;
        let goes_on = current != version && refused.attempts < ATTEMPTS;
        if pairing.is_some() && !goes_on {
            return Err(refused.words(self.versions.is_fixed()));
        }
        if current != version {
            self.away("connecting", Some(State::Connecting)).await;
            // All connectors are refused at the same moment: they do not come back at the same moment.
            clock::sleep(Backoff::default().next(&self.shared.config.reconnect, glue::draw())).await;
        }
        Ok(pairing)
    }
}
