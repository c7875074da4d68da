//! Which version of WhatsApp Web the connector claims to be, and what a refusal of it means. Pure: reading the page and the store is
//! the session's part. It must not know the library's client.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The version that is claimed while WhatsApp's page could never be read.
pub(crate) const BUILT_IN: Version = Version(2, 3000, 1_045_649_367);

/// For how long a reading of the page counts.
pub(crate) const FRESH: Duration = Duration::from_secs(12 * 60 * 60);

/// How many log-ins are refused as outdated before the session waits for a new version.
pub(crate) const ATTEMPTS: u32 = 3;

/// How long to wait before a version that was refused once, twice is tried again: the server may have been wrong.
const AGAIN: [Duration; ATTEMPTS as usize - 1] = [Duration::from_secs(5 * 60), Duration::from_secs(30 * 60)];

/// How long after a refusal the page is read again, for the first time; the pause doubles up to [`READ_SELDOM`].
const READ_AGAIN: Duration = Duration::from_secs(30);
const READ_SELDOM: Duration = Duration::from_secs(15 * 60);

/// The least third number of a version of these years; whatever is below is not the version of a client.
const PLAUSIBLE: u32 = 1_000_000_000;

/// A version, e.g. `2.3000.1045649367`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32, pub(crate) u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// Reads `2.x.y`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.').map(|part| part.parse::<u32>().ok());
        let version = Self(parts.next()??, parts.next()??, parts.next()??);
        (parts.next().is_none() && version.0 == 2).then_some(version)
    }

    /// As the library takes it.
    pub(crate) fn parts(self) -> (u32, u32, u32) {
        (self.0, self.1, self.2)
    }
}

/// What WhatsApp's page told, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(crate) version: Version,
    /// Milliseconds since 1970.
    pub(crate) at_millis: u64,
}

impl Reading {
    /// Whether the page need not be read again yet.
    pub(crate) fn is_fresh(&self, now_millis: u64) -> bool {
        u128::from(now_millis.saturating_sub(self.at_millis)) < FRESH.as_millis()
    }
}

/// The version to claim: the one that the operator fixed; otherwise what the page told. An old reading does not win over a plugin that
/// is newer.
pub(crate) fn claim(fixed: Option<Version>, reading: Option<Reading>, now_millis: u64) -> Version {
    match (fixed, reading) {
        (Some(fixed), _) => fixed,
        (None, Some(reading)) if reading.is_fresh(now_millis) => reading.version,
        (None, Some(reading)) => reading.version.max(BUILT_IN),
        (None, None) => BUILT_IN,
    }
}

/// A version that WhatsApp refused as outdated, kept over restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) version: Version,
    /// Log-ins that were refused since the last one that succeeded; from [`ATTEMPTS`] on a new version begins anew.
    pub(crate) attempts: u32,
}

impl Refused {
    /// One more log-in was refused.
    pub(crate) fn once_more(before: Option<Self>, version: Version) -> Self {
        let attempts = match before {
            Some(before) if before.attempts < ATTEMPTS => before.attempts + 1,
            // A person asked for one attempt more.
            Some(before) if before.version == version => ATTEMPTS,
            _ => 1,
        };
        Self { version, attempts }
    }

    /// Whether a log-in with this version may be tried, so long after the refusal: a new version at once, the refused one a few times.
    pub(crate) fn allows(&self, version: Version, waited: Duration) -> bool {
        version != self.version || self.pause().is_some_and(|pause| waited >= pause)
    }

    /// How long after the refusal the same version is tried again; `None`: never.
    pub(crate) fn pause(&self) -> Option<Duration> {
        AGAIN.get((self.attempts as usize).checked_sub(1)?).copied()
    }

    /// What is refused and what to do, for people.
    pub(crate) fn words(&self, is_fixed: bool) -> String {
        let (version, times) = (self.version, self.attempts);
        let next = match (is_fixed, self.pause().is_some()) {
            (true, _) => {
                "it is fixed in the configuration: remove protocolVersion, or set one that WhatsApp accepts, or update the plugin"
            }
            (false, true) => "the connector looks for a newer one and tries it by itself",
            (false, false) => {
                "the connector waits until WhatsApp publishes a newer one and tries that by itself; if it does not, update the plugin, set \
                 protocolVersion, or open the session again to try once more"
            }
        };
        format!(
            "WhatsApp no longer accepts version {version} of its protocol (refused {times} of {ATTEMPTS} times); {next}"
        )
    }
}

/// How long to wait before the page is read for the `n`th time after a refusal, from 0; `draw` is uniform and spreads many connectors.
pub(crate) fn read_pause(n: u32, draw: u64) -> Duration {
    let whole = READ_AGAIN.saturating_mul(1 << n.min(10)).min(READ_SELDOM).as_millis() as u64;
    Duration::from_millis(whole / 2 + draw % (whole / 2 + 1))
}

/// Looks for the version in the page while it is being read: the page is long and the version is near its beginning.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    /// The end of what was read.
    seen: Vec<u8>,
    length: usize,
}

impl Finder {
    /// How much of a page is read.
    pub(crate) const MOST: usize = 8 << 20;
    /// What is kept of what was read: more than the name and the number can take.
    const KEPT: usize = 256;

    /// Takes the next piece. `Some`: the version was found, or the page is longer than any page should be.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Option<Result<Version, String>> {
        self.length += piece.len();
        self.seen.extend_from_slice(piece);
        // Only where its end is certain: a number may go on in the next piece.
        let certain = self.seen.len().saturating_sub(Self::KEPT / 4);
        let found = find(&self.seen).filter(|(at, _)| *at < certain);
        if let Some((_, version)) = found {
            return Some(Ok(version));
        }
        if self.length > Self::MOST {
            return Some(Err("the page of WhatsApp Web is longer than expected".to_owned()));
        }
        let kept = self.seen.len().saturating_sub(Self::KEPT);
        self.seen.drain(..kept);
        None
    }

    /// The page ended.
    pub(crate) fn end(self) -> Result<Version, String> {
        find(&self.seen)
            .map(|(_, version)| version)
            .ok_or_else(|| "the page of WhatsApp Web does not tell a version".to_owned())
    }
}

/// Where the page names its version, and the version.
fn find(page: &[u8]) -> Option<(usize, Version)> {
    const NAME: &[u8] = b"client_revision";
    let at = page.windows(NAME.len()).position(|window| window == NAME)?;
    let (first, second, third) = wacore::version::parse_sw_js(&String::from_utf8_lossy(page.get(at..)?))?;
    (third >= PLAUSIBLE).then_some((at, Version(first, second, third)))
}

/// The JSON of the event `account`: what the phone said of itself, and the version that the connector claims.
pub(crate) fn account(phone_said: Option<&str>, version: Version) -> String {
    let said = phone_said.and_then(|said| serde_json::from_str(said).ok());
    let mut said: serde_json::Map<String, serde_json::Value> = said.unwrap_or_default();
    said.insert("version".to_owned(), version.to_string().into());
    serde_json::Value::Object(said).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Version = Version(2, 3000, 1_042_742_319);
    const NEW: Version = Version(2, 3000, 1_046_000_000);

    #[test]
    fn a_version_is_written_as_it_is_read() {
        assert_eq!(Version::parse(" 2.3000.1046000000 "), Some(NEW));
        assert_eq!(NEW.to_string(), "2.3000.1046000000");
        for wrong in ["", "3.1", "2.3000", "2.3000.1.5", "2.3000.x", "3.3000.1"] {
            assert_eq!(Version::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_page_wins_while_it_is_fresh_and_the_newer_one_afterwards() {
        let day = 24 * 60 * 60 * 1_000;
        let reading = |version, at_millis| Some(Reading { version, at_millis });
        assert_eq!(claim(None, None, day), BUILT_IN);
        assert_eq!(claim(None, reading(NEW, day), day), NEW);
        assert_eq!(claim(None, reading(OLD, day), day + 1), OLD, "WhatsApp may take a version back");
        assert_eq!(claim(None, reading(OLD, 0), day), BUILT_IN, "the plugin is newer than what was read long ago");
        assert_eq!(claim(None, reading(NEW, 0), day), NEW);
        assert_eq!(claim(Some(OLD), reading(NEW, day), day), OLD, "fixed by the operator");
    }

    #[test]
    fn a_refused_version_is_tried_three_times_and_a_new_one_at_once() {
        let (mut refused, mut tries) = (Refused::once_more(None, OLD), 1);
        while let Some(pause) = refused.pause() {
            assert!(!refused.allows(OLD, pause - Duration::from_millis(1)));
            assert!(refused.allows(OLD, pause) && refused.allows(NEW, Duration::ZERO));
            refused = Refused::once_more(Some(refused), OLD);
            tries += 1;
        }
        assert_eq!((tries, refused.attempts), (ATTEMPTS, ATTEMPTS));
        assert!(!refused.allows(OLD, Duration::MAX), "now it waits for a new version");
        assert!(refused.allows(NEW, Duration::ZERO));
        let asked_for = Refused::once_more(Some(refused), OLD);
        assert_eq!(asked_for, refused, "what a person asks for does not begin the series anew");
        let next = Refused::once_more(Some(refused), NEW);
        assert_eq!(next, Refused { version: NEW, attempts: 1 }, "which has its own three");
    }

    #[test]
    fn three_versions_in_a_row_are_three_attempts() {
        let second = Refused::once_more(Some(Refused::once_more(None, OLD)), BUILT_IN);
        let third = Refused::once_more(Some(second), NEW);
        assert_eq!((third.attempts, third.pause()), (ATTEMPTS, None));
    }

    #[test]
    fn the_reason_names_the_version_and_what_to_do() {
        let first = Refused { version: OLD, attempts: 1 };
        let last = Refused { version: OLD, attempts: ATTEMPTS };
        for (refused, is_fixed, word) in [
            (first, false, "by itself"),
            (last, false, "update the plugin"),
            (first, true, "protocolVersion"),
            (last, true, "protocolVersion"),
        ] {
            let words = refused.words(is_fixed);
            assert!(words.contains(&OLD.to_string()) && words.contains(word), "{words}");
            assert!(words.len() <= 500, "it fits into a session's reason: {words}");
        }
    }

    #[test]
    fn the_page_is_read_more_and_more_seldom() {
        assert!(read_pause(0, u64::MAX) <= READ_AGAIN);
        for n in 0..40 {
            let pause = read_pause(n, 12_345);
            assert!(pause <= READ_SELDOM && pause >= READ_AGAIN / 2, "{n}: {pause:?}");
        }
        assert!(read_pause(40, 0) >= READ_SELDOM / 2);
    }

    #[test]
    fn the_version_is_found_wherever_the_page_is_cut() {
        let page = format!(
            r#"{}JSON.parse("{{\"server_revision\":7,\"client_revision\":1046000000,\"x\":1}}");{}"#,
            " ".repeat(500),
            " ".repeat(500)
        );
        for size in [1, 7, 60, 333, 4_096] {
            let mut finder = Finder::default();
            let mut found = None;
            for piece in page.as_bytes().chunks(size) {
                found = finder.feed(piece);
                if found.is_some() {
                    break;
                }
            }
            assert_eq!(found, Some(Ok(NEW)), "pieces of {size}");
        }
        let mut short = Finder::default();
        assert_eq!(short.feed(br#""client_revision":1046000000"#), None, "the number may go on");
        assert_eq!(short.end(), Ok(NEW));
    }

    #[test]
    fn what_is_not_the_page_tells_no_version() {
        for page in
            ["", "<html>blocked</html>", r#""client_revision":"#, r#""client_revision":12"#, "assets-manifest-5x"]
        {
            let mut finder = Finder::default();
            assert_eq!(finder.feed(page.as_bytes()), None);
            assert!(finder.end().is_err(), "{page}");
        }
        let mut endless = Finder::default();
        let piece = vec![b'x'; 1 << 20];
        let ended = (0..64).find_map(|_| endless.feed(&piece));
        assert!(matches!(ended, Some(Err(_))));
        assert!(endless.seen.capacity() < 4 << 20, "only its end is kept");
    }

    #[test]
    fn what_the_phone_said_is_told_with_the_version() {
        let told = |said| serde_json::from_str::<serde_json::Value>(&account(said, NEW)).expect("JSON");
        let both = told(Some(r#"{"platform":"android","business":true}"#));
        assert_eq!(both, serde_json::json!({"platform": "android", "business": true, "version": "2.3000.1046000000"}));
        assert_eq!(told(None), serde_json::json!({"version": "2.3000.1046000000"}));
        assert_eq!(told(Some("no JSON")), told(None));
    }
}
