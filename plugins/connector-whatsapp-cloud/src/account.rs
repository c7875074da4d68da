//! Whether the number works: Meta is asked for it, and the engine is told the answer as the session's state. There is no session that
//! could break: what ends it is the token, Meta's decision, or a person who closed it here.
//!
//! Keys: `closed` is there while a person closed the session.

use std::cell::{Cell, RefCell};

use pombo_plugin::connector::events::{Account, Event, State};
use pombo_plugin::connector::http;
use serde_json::{Value, json};

use crate::answer::{self, Failure};
use crate::codes::Meaning;
use crate::config::Config;
use crate::outside::{Outside, Trouble, delete, put};
use crate::{address, redact};

const CLOSED: &str = "closed";
/// How long Meta may take to tell of the number.
const ANSWER_MILLIS: u32 = 15_000;
const FIELDS: &str =
    "verified_name,display_phone_number,quality_rating,status,throughput,whatsapp_business_manager_messaging_limit";
/// Messages per second of a number with the higher throughput.
const HIGH: u32 = 1_000;
const STANDARD: u32 = 80;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct AccountState {
    /// The number's address, once Meta told it.
    number: RefCell<Option<String>>,
    /// What the engine was told last.
    told: RefCell<Option<State>>,
    /// The limits that the engine was told last.
    limits: RefCell<Option<String>>,
    closed: Cell<bool>,
    loaded: Cell<bool>,
}

/// Why sending does not work.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NotWorking {
    /// A person closed the session here.
    Closed,
    Failure(Failure),
    /// Meta banned the number.
    Banned(String),
    /// The engine did not take what was told.
    Engine(Trouble),
}

impl NotWorking {
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Closed => "the session was closed; open it to send again".to_owned(),
            Self::Failure(Failure::Fault(fault)) => answer::with_code(fault),
            Self::Failure(
                Failure::Slow(why) | Failure::Away(why) | Failure::Malformed(why) | Failure::Unclear(why),
            )
            | Self::Banned(why) => why.clone(),
            Self::Engine(trouble) => trouble.to_string(),
        }
    }
}

impl From<Trouble> for NotWorking {
    fn from(trouble: Trouble) -> Self {
        Self::Engine(trouble)
    }
}

impl AccountState {
    /// The number's own address.
    pub(crate) fn number(&self) -> Option<String> {
        self.number.borrow().clone()
    }

    /// Whether a person closed the session.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Whether the engine was last told that the number works.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(*self.told.borrow(), Some(State::Connected(_)))
    }

    /// Reads whether a person closed the session before.
    pub(crate) async fn load(&self, outside: &impl Outside) -> Result<(), Trouble> {
        if !self.loaded.get() {
            let closed = outside.get(CLOSED.to_owned()).await?.is_some();
            // Somebody may have opened or closed it meanwhile.
            if !self.loaded.replace(true) {
                self.closed.set(closed);
            }
        }
        Ok(())
    }

    /// A person opens the session: the number is checked, and messages go again.
    pub(crate) async fn open(&self, outside: &impl Outside, config: &Config) -> Result<(), NotWorking> {
        outside.batch(vec![delete(CLOSED)]).await?;
        self.loaded.set(true);
        self.closed.set(false);
        self.check(outside, config).await
    }

    /// A person closes the session: nothing is sent any more.
    pub(crate) async fn close(&self, outside: &impl Outside) -> Result<(), Trouble> {
        outside.batch(vec![put(CLOSED, b"1".to_vec())]).await?;
        self.loaded.set(true);
        self.closed.set(true);
        self.tell(outside, State::LoggedOut(NotWorking::Closed.reason())).await
    }

    /// Asks Meta for the number, and tells the engine how it stands.
    pub(crate) async fn check(&self, outside: &impl Outside, config: &Config) -> Result<(), NotWorking> {
        self.load(outside).await?;
        if self.closed.get() {
            self.tell(outside, State::Unpaired(NotWorking::Closed.reason())).await?;
            return Err(NotWorking::Closed);
        }
        let path = format!("/{}?fields={FIELDS}", config.phone);
        let request = http::Request { timeout_millis: Some(ANSWER_MILLIS), ..config.request("GET", &path, None) };
        let body = match answer::read(outside.call(request).await) {
            Ok(body) => body,
            Err(failure) => {
                self.failed(outside, &failure).await?;
                return Err(NotWorking::Failure(failure));
            }
        };
        if body["status"].as_str().is_some_and(|status| status.eq_ignore_ascii_case("banned")) {
            let why = "Meta banned the number".to_owned();
            self.tell(outside, State::LoggedOut(why.clone())).await?;
            return Err(NotWorking::Banned(why));
        }
        let number = address::phone(&body["display_phone_number"]).unwrap_or_else(|| config.phone.clone());
        *self.number.borrow_mut() = Some(number.clone());
        let display_name = body["verified_name"].as_str().map(str::to_owned);
        // Somebody may have closed it while Meta was asked.
        if self.closed.get() {
            return Err(NotWorking::Closed);
        }
        self.tell(outside, State::Connected(Account { address: number, display_name, aliases: Vec::new() })).await?;
        let limits = limits(&body, config).to_string();
        if self.limits.borrow().as_ref() != Some(&limits) {
            outside.emit(Event::Other(("limits".to_owned(), limits.clone()))).await?;
            *self.limits.borrow_mut() = Some(limits);
        }
        Ok(())
    }

    /// Tells the engine that a call failed in a way that concerns the whole number; passes over what does not.
    pub(crate) async fn failed(&self, outside: &impl Outside, failure: &Failure) -> Result<(), Trouble> {
        let state = match failure {
            Failure::Fault(fault) => match fault.meaning {
                Meaning::Token => State::LoggedOut(answer::with_code(fault)),
                Meaning::Stop => State::Unpaired(answer::with_code(fault)),
                _ if self.is_connected() => return Ok(()),
                _ => State::Disconnected(answer::with_code(fault)),
            },
            Failure::Away(why) => State::Disconnected(why.clone()),
            // A single call that broke says nothing of the next one.
            _ if self.is_connected() => return Ok(()),
            Failure::Slow(why) | Failure::Malformed(why) | Failure::Unclear(why) => State::Disconnected(why.clone()),
        };
        self.tell(outside, state).await
    }

    /// Tells the engine that the connector begins to look.
    pub(crate) async fn connecting(&self, outside: &impl Outside) -> Result<(), Trouble> {
        self.tell(outside, State::Connecting).await
    }

    async fn tell(&self, outside: &impl Outside, state: State) -> Result<(), Trouble> {
        if self.told.borrow().as_ref() == Some(&state) {
            return Ok(());
        }
        outside.emit(Event::State(state.clone())).await?;
        *self.told.borrow_mut() = Some(state);
        Ok(())
    }
}

/// The event `limits` of what Meta tells of a number.
fn limits(body: &Value, config: &Config) -> Value {
    let mut limits = json!({});
    let high = body["throughput"]["level"].as_str().map(|level| level.eq_ignore_ascii_case("high"));
    if let Some(most) = config.per_second.or(high.map(|high| if high { HIGH } else { STANDARD })) {
        limits["perSecond"] = json!(most);
    }
    if let Some(audience) = audience(&body["whatsapp_business_manager_messaging_limit"]) {
        limits["audience"] = audience;
    }
    if let Some(quality) = quality(&body["quality_rating"]) {
        limits["quality"] = json!(quality);
    }
    limits
}

/// How many different people may be written to, of a number or a word like `TIER_2K`: a number, or null for no limit.
pub(crate) fn audience(value: &Value) -> Option<Value> {
    let number = match value {
        Value::Number(number) => number.as_i64()?,
        Value::String(word) => {
            let word = word.trim().to_ascii_uppercase();
            let tier = word.strip_prefix("TIER_").unwrap_or(&word);
            if tier == "UNLIMITED" {
                return Some(Value::Null);
            }
            match tier.strip_suffix('K') {
                Some(thousands) => thousands.parse::<i64>().ok()?.checked_mul(1_000)?,
                None => tier.parse().ok()?,
            }
        }
        _ => return None,
    };
    match number {
        // What older versions had for no limit.
        -1 => Some(Value::Null),
        1..=0xffff_ffff => Some(json!(number)),
        _ => None,
    }
}

/// The engine's word for a quality.
pub(crate) fn quality(value: &Value) -> Option<&'static str> {
    Some(match value.as_str()?.trim().to_ascii_uppercase().as_str() {
        "GREEN" | "HIGH" => "green",
        "YELLOW" | "MEDIUM" => "yellow",
        "RED" | "LOW" => "red",
        "UNKNOWN" | "NA" => "unknown",
        _ => return None,
    })
}

/// A reason of Meta's for people.
pub(crate) fn words(value: &Value) -> Option<String> {
    let text = value.as_str().map(str::trim).filter(|text| !text.is_empty() && !text.eq_ignore_ascii_case("none"))?;
    Some(redact::line(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::bench::cloud;
    use crate::outside::world::{World, ready};

    const NUMBER: &str = r#"{"verified_name":"Loja","display_phone_number":"+55 11 90000-0000","quality_rating":"GREEN",
        "status":"CONNECTED","throughput":{"level":"STANDARD"},"whatsapp_business_manager_messaging_limit":"TIER_2K","id":"1"}"#;

    fn last(world: &World) -> State {
        world.states.borrow().last().cloned().expect("a state")
    }

    #[test]
    fn a_number_that_works_is_connected_with_its_limits() {
        let (world, cloud) = cloud("");
        world.answer(200, NUMBER);
        ready(cloud.account.check(&world, &cloud.config)).expect("works");
        let State::Connected(account) = last(&world) else { panic!("connected") };
        assert_eq!((account.address.as_str(), account.display_name.as_deref()), ("5511900000000", Some("Loja")));
        assert_eq!(world.others("limits"), [json!({"audience": 2000, "perSecond": 80, "quality": "green"})]);
        assert!(world.calls.borrow()[0].url.starts_with("https://graph.facebook.com/v26.0/106540352242922?fields="));
        world.answer(200, NUMBER);
        ready(cloud.account.check(&world, &cloud.config)).expect("works");
        assert_eq!((world.states.borrow().len(), world.others("limits").len()), (1, 1), "no news");
    }

    #[test]
    fn what_is_configured_is_stronger_than_what_meta_says() {
        let (world, cloud) = cloud(r#","perSecond":20"#);
        world.answer(
            200,
            r#"{"throughput":{"level":"HIGH"},"whatsapp_business_manager_messaging_limit":"TIER_UNLIMITED"}"#,
        );
        ready(cloud.account.check(&world, &cloud.config)).expect("works");
        assert_eq!(world.others("limits"), [json!({"audience": null, "perSecond": 20})]);
    }

    #[test]
    fn each_fault_has_its_state() {
        for (status, body, want) in [
            (401, r#"{"error":{"code":190,"error_subcode":463,"message":"expired"}}"#, "logged out"),
            (400, r#"{"error":{"code":100,"error_subcode":33,"message":"unknown"}}"#, "unpaired"),
            (400, r#"{"error":{"code":133010}}"#, "unpaired"),
            (503, "", "disconnected"),
            (500, r#"{"error":{"code":131000}}"#, "disconnected"),
            (200, r#"{"status":"BANNED"}"#, "logged out"),
        ] {
            let (world, cloud) = cloud("");
            world.answer(status, body);
            assert!(ready(cloud.account.check(&world, &cloud.config)).is_err());
            let told = match last(&world) {
                State::LoggedOut(_) => "logged out",
                State::Unpaired(_) => "unpaired",
                State::Disconnected(_) => "disconnected",
                _ => "something else",
            };
            assert_eq!(told, want, "{status} {body}");
        }
    }

    #[test]
    fn one_call_that_breaks_does_not_disconnect() {
        let (world, cloud) = cloud("");
        world.answer(200, NUMBER);
        ready(cloud.account.check(&world, &cloud.config)).expect("works");
        let broken = Failure::Unclear("no answer".to_owned());
        ready(cloud.account.failed(&world, &broken)).expect("told");
        assert!(cloud.account.is_connected());
        ready(cloud.account.failed(&world, &Failure::Away("no connection".to_owned()))).expect("told");
        assert!(!cloud.account.is_connected());
    }

    #[test]
    fn a_closed_session_stays_closed_until_it_is_opened() {
        let (world, before) = cloud("");
        ready(before.account.close(&world)).expect("closed");
        let (_, after) = cloud("");
        assert_eq!(ready(after.account.check(&world, &after.config)), Err(NotWorking::Closed));
        assert!(matches!(last(&world), State::Unpaired(_)) && after.account.is_closed());
        assert!(world.calls.borrow().is_empty(), "Meta is not asked");
        world.answer(200, NUMBER);
        ready(after.account.open(&world, &after.config)).expect("works");
        assert!(matches!(last(&world), State::Connected(_)) && !after.account.is_closed());
    }

    #[test]
    fn an_audience_is_a_number_or_a_word() {
        for (value, want) in [
            (json!(250), Some(json!(250))),
            (json!("TIER_2K"), Some(json!(2000))),
            (json!("TIER_50"), Some(json!(50))),
            (json!("100000"), Some(json!(100_000))),
            (json!(-1), Some(Value::Null)),
            (json!("TIER_UNLIMITED"), Some(Value::Null)),
            (json!("soon"), None),
            (json!(0), None),
            (Value::Null, None),
        ] {
            assert_eq!(audience(&value), want, "{value}");
        }
    }
}
