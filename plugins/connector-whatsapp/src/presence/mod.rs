//! Whether the account is shown as online, and with that whether the owner's phone stays quiet: WhatsApp sends the phone no notification
//! while a linked device is online. Pure, except for `live`, which tells WhatsApp. It must not know messages.

#[cfg(target_arch = "wasm32")]
mod live;

#[cfg(target_arch = "wasm32")]
pub(crate) use live::{logged_in, work};

use std::cell::Cell;
use std::time::Duration;

use serde::Deserialize;

/// When the account is shown as online.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// While a person or an automation types, sends or reads here, and for a while afterwards.
    #[default]
    WhenWorking,
    /// As long as the session is connected.
    Always,
    /// Not at all.
    Never,
}

/// What the connector knows of it. Instants are of a clock that never goes back.
#[derive(Debug)]
pub(crate) struct Presence {
    mode: Mode,
    /// How long after the last work the account stays online.
    idle: Duration,
    shown: Cell<bool>,
    worked: Cell<Option<Duration>>,
    /// Of the login; and of the login whose watcher runs.
    login: Cell<u64>,
    watched: Cell<Option<u64>>,
}

impl Presence {
    pub(crate) fn new(mode: Mode, idle: Duration) -> Self {
        Self {
            mode,
            idle,
            shown: Cell::new(false),
            worked: Cell::new(None),
            login: Cell::new(0),
            watched: Cell::new(None),
        }
    }

    /// Whether it depends on what is done here.
    pub(crate) fn follows_work(&self) -> bool {
        self.mode == Mode::WhenWorking
    }

    /// Somebody works. Returns whether WhatsApp must be told that the account is online.
    pub(crate) fn begins(&self, now: Duration) -> bool {
        if !self.follows_work() {
            return false;
        }
        self.worked.set(Some(now));
        !self.shown.replace(true)
    }

    /// A login; the library shows the account as online at each.
    pub(crate) fn connected(&self) {
        self.shown.set(true);
        self.login.set(self.login.get() + 1);
    }

    /// How long the account may stay online; zero: no longer. `None`: there is nothing to take back.
    pub(crate) fn left(&self, now: Duration) -> Option<Duration> {
        if !self.shown.get() || self.mode == Mode::Always {
            return None;
        }
        let since = self.worked.get().map_or(self.idle, |worked| now.saturating_sub(worked));
        Some(if self.mode == Mode::Never { Duration::ZERO } else { self.idle.saturating_sub(since) })
    }

    /// WhatsApp is about to be told that the account is not online.
    pub(crate) fn leaves(&self) {
        self.shown.set(false);
    }

    /// Whether a watcher must be started; it then belongs to this login.
    pub(crate) fn watch(&self) -> Option<u64> {
        let login = self.login.get();
        (self.watched.get() != Some(login)).then(|| {
            self.watched.set(Some(login));
            login
        })
    }

    /// Whether a watcher of this login is still the one that counts.
    pub(crate) fn is_watched_by(&self, login: u64) -> bool {
        self.login.get() == login && self.watched.get() == Some(login)
    }

    /// The watcher of this login ended.
    pub(crate) fn unwatched(&self, login: u64) {
        if self.watched.get() == Some(login) {
            self.watched.set(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_works_is_online_until_a_while_after_the_last_work() {
        let presence = Presence::new(Mode::WhenWorking, IDLE);
        presence.connected();
        assert_eq!(presence.left(at(0)), Some(Duration::ZERO), "the library shows it at the login, and nobody works");
        presence.leaves();
        assert_eq!(presence.left(at(0)), None);
        assert!(presence.begins(at(100)), "WhatsApp is told once");
        assert!(!presence.begins(at(130)));
        assert_eq!(presence.left(at(150)), Some(at(40)), "counted from the last work");
        assert_eq!(presence.left(at(190)), Some(Duration::ZERO));
        presence.leaves();
        assert!(presence.begins(at(200)), "and again after it was taken back");
    }

    #[test]
    fn a_login_in_the_middle_of_work_stays_online() {
        let presence = Presence::new(Mode::WhenWorking, IDLE);
        presence.begins(at(10));
        presence.connected();
        assert_eq!(presence.left(at(20)), Some(at(50)));
    }

    #[test]
    fn always_is_never_taken_back_and_never_at_once() {
        let always = Presence::new(Mode::Always, IDLE);
        always.connected();
        assert_eq!(always.left(at(1_000_000)), None);
        assert!(!always.begins(at(5)), "the library showed it");
        let never = Presence::new(Mode::Never, IDLE);
        never.connected();
        assert!(!never.begins(at(5)));
        assert_eq!(never.left(at(5)), Some(Duration::ZERO));
    }

    #[test]
    fn each_login_has_one_watcher() {
        let presence = Presence::new(Mode::WhenWorking, IDLE);
        presence.connected();
        let first = presence.watch().expect("nobody watches yet");
        assert_eq!(presence.watch(), None);
        presence.connected();
        assert!(!presence.is_watched_by(first), "its client may be gone");
        let second = presence.watch().expect("a new client needs a new one");
        presence.unwatched(first);
        assert!(presence.is_watched_by(second));
        presence.unwatched(second);
        assert_eq!(presence.watch(), Some(second));
    }
}
