//! From which address the proxy calls: asked of a URL that the connector's user names, when the connector starts and every hour. Nothing
//! is asked where no URL is named.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pombo_domain::ports::{Clock, OutboundGuard, ProxyStatus};
use serde_json::Value;
use tokio::task::AbortHandle;

use super::{Proxy, Surroundings};
use crate::host::resources::ExchangeError;

/// How long an answer is good for.
const EVERY: Duration = Duration::from_secs(3600);
/// After what time a check that failed is repeated; it doubles, up to [`EVERY`].
const AGAIN: Duration = Duration::from_secs(60);
/// How long one check may take.
const LIMIT: Duration = Duration::from_secs(30);
/// The longest answer.
const ANSWER_BYTES: usize = 16 << 10;
/// The longest name of a country.
const COUNTRY_CHARS: usize = 60;
/// Where services put the address and the country in an object.
const ADDRESS_FIELDS: [&str; 4] = ["ip", "address", "query", "origin"];
const COUNTRY_FIELDS: [&str; 4] = ["country", "countryCode", "country_code", "country_iso"];

/// What is known of the exit of one proxy.
pub(super) struct Exit {
    url: Option<String>,
    clock: Arc<dyn Clock>,
    guard: Arc<dyn OutboundGuard>,
    /// Only makes requests; the proxy sends them.
    client: reqwest::Client,
    known: Mutex<ProxyStatus>,
}

/// The address and the country.
type Place = (IpAddr, Option<String>);

/// The checks of a connector that runs. Dropped, they end.
pub(crate) struct Checks(AbortHandle);

impl Drop for Checks {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Exit {
    pub(super) fn new(url: Option<String>, host: &Surroundings) -> Self {
        Self {
            url,
            clock: host.clock.clone(),
            guard: host.guard.clone(),
            client: host.http.clone(),
            known: Mutex::default(),
        }
    }

    pub(super) fn status(&self) -> ProxyStatus {
        self.known.lock().clone()
    }

    fn note(&self, answer: Result<Place, String>) {
        let mut known = self.known.lock();
        known.checked_at = Some(self.clock.now());
        // An address that is no longer sure is not shown.
        let (place, problem) = match answer {
            Ok(place) => (Some(place), None),
            Err(why) => (None, Some(why)),
        };
        known.exit_address = place.as_ref().map(|(address, _)| address.to_string());
        known.exit_country = place.and_then(|(_, country)| country);
        known.check_problem = problem;
    }
}

impl Proxy {
    /// Begins the checks of the exit; `None` if no URL was named.
    pub(crate) fn checks(self: &Arc<Self>) -> Option<Checks> {
        let url = self.exit.url.clone()?;
        let proxy = self.clone();
        let task = tokio::spawn(async move {
            let mut failures = 0;
            loop {
                let late = |_: tokio::time::error::Elapsed| Err("the address was not told in time".to_owned());
                let answer = tokio::time::timeout(LIMIT, proxy.place(&url)).await.unwrap_or_else(late);
                failures = if answer.is_ok() { 0 } else { failures + 1 };
                proxy.exit.note(answer);
                tokio::time::sleep(pause(failures)).await;
            }
        });
        Some(Checks(task.abort_handle()))
    }

    async fn place(&self, url: &str) -> Result<Place, String> {
        self.exit.guard.check_url(url).map_err(|error| error.to_string())?;
        let told = |error: ExchangeError| match error {
            ExchangeError::Invalid(why) | ExchangeError::NotConnected(why) | ExchangeError::Interrupted(why) => why,
            ExchangeError::TooLarge(_) => "the answer is too long".to_owned(),
        };
        let mut response = self.send(self.exit.client.get(url)).await.map_err(told)?;
        if !response.status().is_success() {
            return Err(format!("the check was answered with {}", response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| "the answer broke off")? {
            if body.len() + chunk.len() > ANSWER_BYTES {
                return Err("the answer is too long".to_owned());
            }
            body.extend_from_slice(&chunk);
        }
        let place = std::str::from_utf8(&body).ok().and_then(place_in);
        place.ok_or_else(|| "the answer holds no address".to_owned())
    }
}

/// After how many failures in a row the next check comes when.
fn pause(failures: u32) -> Duration {
    match failures {
        0 => EVERY,
        n => AGAIN.saturating_mul(1 << (n - 1).min(16)).min(EVERY),
    }
}

/// The address in an answer: the whole text, or a field of a JSON object.
fn place_in(answer: &str) -> Option<Place> {
    let answer = answer.trim();
    if let Ok(address) = answer.parse() {
        return Some((address, None));
    }
    match serde_json::from_str(answer).ok()? {
        Value::String(text) => Some((text.trim().parse().ok()?, None)),
        Value::Object(fields) => {
            let text = |name: &&str| fields.get(*name)?.as_str().map(str::trim);
            let address = ADDRESS_FIELDS.iter().filter_map(text).find_map(|text| text.parse().ok())?;
            let fits = |text: &&str| {
                (1..=COUNTRY_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control)
            };
            let country = COUNTRY_FIELDS.iter().filter_map(text).find(fits);
            Some((address, country.map(str::to_owned)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_a_text_and_in_json() {
        let place = |answer| place_in(answer).map(|(address, country)| (address.to_string(), country));
        let only = |address: &str| Some((address.to_owned(), None));
        let with = |address: &str, country: &str| Some((address.to_owned(), Some(country.to_owned())));
        for (answer, expected) in [
            ("198.51.100.7\n", only("198.51.100.7")),
            (" 2001:db8::7 ", only("2001:db8::7")),
            ("\"198.51.100.7\"", only("198.51.100.7")),
            (r#"{"ip":"198.51.100.7"}"#, only("198.51.100.7")),
            (r#"{"query":"198.51.100.7","country":"Brazil"}"#, with("198.51.100.7", "Brazil")),
            (r#"{"ip":1,"address":"2001:db8::7","country":7,"countryCode":"BR"}"#, with("2001:db8::7", "BR")),
            ("{\"ip\":\"198.51.100.7\",\"country\":\"a\\u0007b\"}", only("198.51.100.7")),
            ("<html>198.51.100.7</html>", None),
            (r#"{"ip":"nowhere"}"#, None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(place(answer), expected, "{answer}");
        }
    }

    #[test]
    fn a_check_that_failed_is_repeated_sooner_and_then_more_slowly() {
        assert_eq!(pause(0), EVERY);
        assert_eq!((pause(1), pause(2), pause(3)), (AGAIN, AGAIN * 2, AGAIN * 4));
        assert_eq!(pause(u32::MAX), EVERY);
    }
}
