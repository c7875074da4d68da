//! How the gateway's session stands. The gateway tells it when it changes; the last state is kept in the store and reported again
//! when the connector starts, because otherwise every restart would look like a lost session.

use std::cell::{Cell, RefCell};

use pombo_plugin::connector::events::{self, State};
use pombo_plugin::log;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address;
use crate::config::Config;
use crate::outside::{Outside, Trouble, put};

const KEY: &str = "state";
/// How long a QR code can be scanned.
const CODE_MILLIS: u64 = 60_000;
/// The longest code that the engine takes.
const CODE_BYTES: usize = 4_096;

/// The session's state, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub(crate) enum Session {
    Connected,
    /// A QR code waits to be scanned; empty while the gateway has not told it.
    Qr {
        code: String,
        at: u64,
    },
    /// The gateway reconnects by itself.
    Disconnected {
        why: String,
    },
}

/// The account behind the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) address: String,
    pub(crate) name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    session: Session,
    /// Kept while it is disconnected too: the account is the same afterwards.
    account: Option<Account>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct States {
    last: RefCell<Option<Kept>>,
    /// How often the gateway told a state.
    told: Cell<u64>,
}

impl States {
    /// Reports the state that was kept.
    pub(crate) async fn resume(&self, outside: &impl Outside) -> Result<(), Trouble> {
        let kept = outside.get(KEY.to_owned()).await?;
        let kept = kept.and_then(|value| serde_json::from_slice::<Kept>(&value).ok());
        // A webhook may have come first.
        if self.told.get() > 0 {
            return Ok(());
        }
        let state = match &kept {
            Some(kept) => state(kept, outside.now_millis()),
            None => State::Disconnected("the gateway has not told its state yet".to_owned()),
        };
        *self.last.borrow_mut() = kept;
        outside.emit(events::Event::State(state)).await
    }

    /// Keeps and reports a state that the gateway told.
    pub(crate) async fn set(
        &self,
        outside: &impl Outside,
        session: Session,
        account: Option<Account>,
    ) -> Result<(), Trouble> {
        let kept = Kept { session, account: account.or_else(|| self.account()) };
        let value = serde_json::to_vec(&kept).map_err(|error| Trouble::Final(error.to_string()))?;
        self.told.set(self.told.get() + 1);
        *self.last.borrow_mut() = Some(kept.clone());
        outside.batch(vec![put(KEY, value)]).await?;
        outside.emit(events::Event::State(state(&kept, outside.now_millis()))).await
    }

    /// Whether a QR code is shown that can still be scanned.
    pub(crate) fn shows_code(&self, now: u64) -> bool {
        matches!(&*self.last.borrow(), Some(Kept { session: Session::Qr { code, at }, .. })
            if !code.is_empty() && *at + CODE_MILLIS > now)
    }

    /// The account, once it is known.
    pub(crate) fn account(&self) -> Option<Account> {
        self.last.borrow().as_ref().and_then(|kept| kept.account.clone())
    }

    /// Asks the gateway how the session stands and reports the answer, unless the gateway tells something newer meanwhile. `Err` says
    /// why there is no answer.
    pub(crate) async fn ask(&self, outside: &impl Outside, config: &Config) -> Result<Session, String> {
        let before = self.told.get();
        let answer = outside.call(config.request("GET", "/status", None)).await;
        let response = answer.map_err(|error| {
            log::debug("status", &format!("{error:?}"));
            "the gateway does not answer".to_owned()
        })?;
        if response.status != 200 {
            return Err(format!("the gateway answered {} when it was asked for its status", response.status));
        }
        let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        let body = if body["status"].is_string() { &body } else { &body["data"] };
        let text = |names: [&str; 2]| names.into_iter().find_map(|name| body[name].as_str());
        let word = body["status"].as_str().unwrap_or_default();
        let account = text(["phone", "phone_number"]).and_then(|phone| account(phone, text(["name", "display_name"])));
        let session = session(word, outside.now_millis()).ok_or("the gateway's status is not a known one")?;
        if session == Session::Connected && account.is_none() && self.account().is_none() {
            return Err("the gateway is connected, but does not say with which number".to_owned());
        }
        let newer = self.told.get() != before;
        let same_code = matches!(session, Session::Qr { .. }) && self.shows_code(outside.now_millis());
        if !newer && !same_code {
            self.set(outside, session.clone(), account).await.map_err(|trouble| trouble.to_string())?;
        }
        Ok(session)
    }
}

/// The account of a number as the gateway writes it.
pub(crate) fn account(phone: &str, name: Option<&str>) -> Option<Account> {
    let name = name.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    address::person(phone, None).map(|address| Account { address, name })
}

/// The session that a word of the gateway's means. `None`: it is not a known word.
pub(crate) fn session(word: &str, now: u64) -> Option<Session> {
    Some(match word {
        "connected" => Session::Connected,
        "qr_ready" => Session::Qr { code: String::new(), at: now },
        "disconnected" => Session::Disconnected { why: "the gateway lost its connection to WhatsApp".to_owned() },
        "offline" => Session::Disconnected { why: "the gateway's instance is offline".to_owned() },
        "pending" | "connecting" => Session::Disconnected { why: "the gateway is connecting to WhatsApp".to_owned() },
        _ => return None,
    })
}

/// Whether the engine takes this as the content of a QR code. A picture of one is none.
pub(crate) fn is_code(text: &str) -> bool {
    (1..=CODE_BYTES).contains(&text.len()) && !text.starts_with("data:")
}

fn state(kept: &Kept, now: u64) -> State {
    match (&kept.session, &kept.account) {
        (Session::Connected, Some(account)) => State::Connected(events::Account {
            address: account.address.clone(),
            display_name: account.name.clone(),
            aliases: Vec::new(),
        }),
        (Session::Connected, None) => State::Disconnected("the gateway did not say with which number".to_owned()),
        (Session::Qr { code, at }, _) if !code.is_empty() && at + CODE_MILLIS > now => State::Qr(code.clone()),
        (Session::Qr { .. }, _) => State::Unpaired("the gateway waits for a phone to scan its QR code".to_owned()),
        (Session::Disconnected { why }, _) => State::Disconnected(why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::world::{World, ready};

    fn config() -> Config {
        Config::read(r#"{"baseUrl":"https://g.example"}"#).expect("valid")
    }

    fn shop() -> Option<Account> {
        account("5511999999999@s.whatsapp.net", Some(" Loja "))
    }

    #[test]
    fn the_last_state_is_reported_after_a_restart() {
        let world = World::new();
        ready(States::default().set(&world, Session::Connected, shop())).expect("kept");
        let states = States::default();
        ready(states.resume(&world)).expect("reports");
        let reported = world.states.borrow();
        assert_eq!(reported.len(), 2);
        assert_eq!(reported[0], reported[1]);
        let State::Connected(account) = &reported[1] else { panic!("{reported:?}") };
        assert_eq!((account.address.as_str(), account.display_name.as_deref()), ("5511999999999", Some("Loja")));
        assert_eq!(states.account(), shop());
    }

    #[test]
    fn nothing_kept_is_disconnected_and_the_account_outlives_a_lost_connection() {
        let (world, states) = (World::new(), States::default());
        ready(states.resume(&world)).expect("reports");
        ready(states.set(&world, Session::Connected, shop())).expect("kept");
        ready(states.set(&world, session("offline", 0).expect("a word"), None)).expect("kept");
        ready(states.set(&world, Session::Connected, None)).expect("kept");
        let reported = world.states.borrow();
        assert!(matches!(reported[0], State::Disconnected(_)));
        assert!(matches!(reported[2], State::Disconnected(_)));
        assert_eq!(reported[1], reported[3]);
    }

    #[test]
    fn a_code_is_shown_while_it_can_be_scanned() {
        let (world, states) = (World::new(), States::default());
        let now = world.now.get();
        ready(states.set(&world, Session::Qr { code: "2@ABC".to_owned(), at: now }, None)).expect("kept");
        assert!(states.shows_code(now));
        world.now.set(now + CODE_MILLIS);
        ready(States::default().resume(&world)).expect("reports");
        assert_eq!(world.states.borrow()[0], State::Qr("2@ABC".to_owned()));
        assert!(matches!(world.states.borrow()[1], State::Unpaired(_)));
        assert!(!is_code("data:image/png;base64,AAAA") && !is_code("") && is_code("2@ABC"));
    }

    #[test]
    fn the_gateway_is_asked() {
        let (world, states) = (World::new(), States::default());
        assert!(ready(states.ask(&world, &config())).is_err(), "nobody listens");
        world.answer(200, r#"{"success":true,"status":"connected","phone":"5511999999999","name":"Loja"}"#);
        assert_eq!(ready(states.ask(&world, &config())), Ok(Session::Connected));
        assert_eq!(states.account(), shop());
        world.answer(200, r#"{"success":true,"data":{"status":"offline"}}"#);
        assert!(matches!(ready(states.ask(&world, &config())), Ok(Session::Disconnected { .. })));
        for (status, body) in [(500, ""), (200, "{}"), (200, r#"{"status":"dancing"}"#)] {
            world.answer(status, body);
            assert!(ready(states.ask(&world, &config())).is_err(), "{body}");
        }
        assert_eq!(world.states.borrow().len(), 2);
        let fresh = States::default();
        world.answer(200, r#"{"status":"connected"}"#);
        assert!(ready(fresh.ask(&world, &config())).is_err(), "with which number?");
    }
}
