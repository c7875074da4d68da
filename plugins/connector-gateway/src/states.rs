//! How the gateway's session stands. The gateway tells it when it changes; the last state is kept in the store and reported again
//! when the connector starts, because otherwise every restart would look like a lost session.
//!
//! Webhooks may be repeated and overtake each other: one that names an earlier instant than the last one is passed over.

use std::cell::{Cell, RefCell};

use pombo_plugin::connector::OperationError;
use pombo_plugin::connector::events::{Event, State};
use pombo_plugin::connector::http;
use pombo_plugin::log;
use serde_json::Value;

use crate::config::Config;
use crate::outside::{Outside, Trouble, put};
use crate::session::{self, Account, Kept, Session};

const KEY: &str = "state";
/// How long the gateway may take to say how its session stands.
const ANSWER_MILLIS: u32 = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct States {
    last: RefCell<Option<Kept>>,
    /// What the engine was told last.
    reported: RefCell<Option<State>>,
    /// How often the gateway told a state: the number of the last one.
    told: Cell<u64>,
}

/// Why the gateway did not say how its session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// It cannot be reached, or refuses the token: it would send nothing either.
    Away(String),
    /// It did not say it; it may send nevertheless.
    Unclear(String),
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Away(why) | Self::Unclear(why) => f.write_str(why),
        }
    }
}

impl From<NoAnswer> for OperationError {
    fn from(none: NoAnswer) -> Self {
        match none {
            NoAnswer::Away(why) => Self::Disconnected(why),
            NoAnswer::Unclear(why) => Self::Unknown(why),
        }
    }
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
            Some(kept) => kept.state(outside.now_millis()),
            None => State::Disconnected("the gateway has not told its state yet".to_owned()),
        };
        *self.last.borrow_mut() = kept;
        self.report(outside, state).await
    }

    /// Keeps and reports a state that the gateway told.
    pub(crate) async fn set(
        &self,
        outside: &impl Outside,
        session: Session,
        account: Option<Account>,
    ) -> Result<(), Trouble> {
        self.set_at(outside, session, account, None).await
    }

    /// The same for one that names its instant.
    pub(crate) async fn set_at(
        &self,
        outside: &impl Outside,
        session: Session,
        account: Option<Account>,
        moment: Option<String>,
    ) -> Result<(), Trouble> {
        let kept = {
            let last = self.last.borrow();
            let last = last.as_ref();
            Kept {
                session,
                account: account.or_else(|| last.and_then(|last| last.account.clone())),
                moment: moment.or_else(|| last.and_then(|last| last.moment.clone())),
            }
        };
        self.told.set(self.told.get() + 1);
        *self.last.borrow_mut() = Some(kept);
        self.write(outside).await
    }

    /// Whether a webhook that names this instant is one from before the last state.
    pub(crate) fn is_old(&self, moment: Option<&str>) -> bool {
        let last = self.last.borrow();
        let last = last.as_ref().and_then(|last| last.moment.as_deref());
        moment.zip(last).is_some_and(|(moment, last)| session::is_before(moment, last))
    }

    /// Reports the last state again if it became another one with time, or was not reported.
    pub(crate) async fn again(&self, outside: &impl Outside) -> Result<(), Trouble> {
        let now = outside.now_millis();
        let state = self.last.borrow().as_ref().map(|last| last.state(now));
        if state.is_none() || state == *self.reported.borrow() {
            return Ok(());
        }
        self.write(outside).await
    }

    /// Whether a QR code is shown that can still be scanned.
    pub(crate) fn shows_code(&self, now: u64) -> bool {
        self.last.borrow().as_ref().is_some_and(|last| last.shows_code(now))
    }

    /// Whether the gateway was connected when it last told something.
    pub(crate) fn is_connected(&self) -> bool {
        self.last.borrow().as_ref().is_some_and(|last| last.session == Session::Connected)
    }

    /// The account, once it is known.
    pub(crate) fn account(&self) -> Option<Account> {
        self.last.borrow().as_ref().and_then(|last| last.account.clone())
    }

    /// Asks the gateway how the session stands and reports the answer if it is news, unless the gateway tells something newer
    /// meanwhile.
    pub(crate) async fn ask(&self, outside: &impl Outside, config: &Config) -> Result<Session, NoAnswer> {
        let before = self.told.get();
        let request = http::Request { timeout_millis: Some(ANSWER_MILLIS), ..config.request("GET", "/status", None) };
        let (session, account) = answered(outside.call(request).await, outside.now_millis())?;
        if session == Session::Connected && account.is_none() && self.account().is_none() {
            return Err(NoAnswer::Unclear("the gateway is connected, but does not say with which number".to_owned()));
        }
        let newer = self.told.get() != before;
        let now = outside.now_millis();
        let same_code = matches!(session, Session::Qr { .. }) && self.shows_code(now);
        if !newer && !same_code && self.is_news(&session, account.as_ref(), now) {
            let set = self.set(outside, session.clone(), account).await;
            set.map_err(|trouble| NoAnswer::Unclear(trouble.to_string()))?;
        }
        Ok(session)
    }

    fn is_news(&self, session: &Session, account: Option<&Account>, now: u64) -> bool {
        let known = self.account();
        let account = account.cloned().or_else(|| known.clone());
        if account != known {
            return true;
        }
        let state = Kept { session: session.clone(), account, moment: None }.state(now);
        *self.reported.borrow() != Some(state)
    }

    /// Stores and reports the last state. If another one is told meanwhile, that one is written once more, so that the newest is what
    /// remains, whichever is written first.
    async fn write(&self, outside: &impl Outside) -> Result<(), Trouble> {
        loop {
            let told = self.told.get();
            let last = self.last.borrow().clone();
            let Some(last) = last else { return Ok(()) };
            let value = serde_json::to_vec(&last).map_err(|error| Trouble::Final(error.to_string()))?;
            outside.batch(vec![put(KEY, value)]).await?;
            self.report(outside, last.state(outside.now_millis())).await?;
            if self.told.get() == told {
                return Ok(());
            }
        }
    }

    async fn report(&self, outside: &impl Outside, state: State) -> Result<(), Trouble> {
        outside.emit(Event::State(state.clone())).await?;
        *self.reported.borrow_mut() = Some(state);
        Ok(())
    }
}

/// What the gateway answered to the question how its session stands.
fn answered(answer: Result<http::Response, http::Error>, now: u64) -> Result<(Session, Option<Account>), NoAnswer> {
    let response = answer.map_err(|error| {
        log::debug("status", &format!("{error:?}"));
        match error {
            http::Error::Refused(why) => NoAnswer::Away(why),
            http::Error::NotConnected(_) => NoAnswer::Away("no connection to the gateway".to_owned()),
            _ => NoAnswer::Unclear("the gateway does not answer".to_owned()),
        }
    })?;
    match response.status {
        200 => {}
        401 | 403 => return Err(NoAnswer::Away(format!("the gateway refuses the token: {}", response.status))),
        status => {
            let why = format!("the gateway answered {status} when it was asked for its status");
            return Err(NoAnswer::Unclear(why));
        }
    }
    let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    let body = if body["status"].is_string() { &body } else { &body["data"] };
    let word = body["status"].as_str().unwrap_or_default();
    let unclear = || NoAnswer::Unclear("the gateway's status is not a known one".to_owned());
    let session = session::session(word, now).ok_or_else(unclear)?;
    let phone = ["phone", "phone_number"].into_iter().find_map(|name| session::phone(&body[name]));
    let name = ["name", "display_name"].into_iter().find_map(|name| body[name].as_str());
    Ok((session, phone.and_then(|phone| session::account(&phone, name))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::world::{World, poll, ready};
    use crate::session::{account, session};
    use std::pin::pin;

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
        assert_eq!((states.account(), states.is_connected()), (shop(), true));
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
    fn a_code_is_shown_while_it_can_be_scanned_and_then_no_more() {
        let (world, states) = (World::new(), States::default());
        let now = world.now.get();
        ready(states.set(&world, Session::Qr { code: "2@ABC".to_owned(), at: now }, None)).expect("kept");
        assert!(states.shows_code(now));
        ready(states.again(&world)).expect("nothing to do");
        assert_eq!(*world.states.borrow(), [State::Qr("2@ABC".to_owned())]);
        world.now.set(now + 60_000);
        ready(States::default().resume(&world)).expect("reports");
        assert!(matches!(world.states.borrow()[1], State::Unpaired(_)));
        for _ in 0..2 {
            ready(states.again(&world)).expect("reports once");
        }
        assert_eq!(world.states.borrow().len(), 3);
        assert!(matches!(world.states.borrow()[2], State::Unpaired(_)));
    }

    #[test]
    fn of_two_at_once_the_newer_remains() {
        let (world, states) = (World::new(), States::default());
        world.slow.set(1);
        let mut older = pin!(states.set(&world, session("offline", 0).expect("a word"), shop()));
        assert!(poll(older.as_mut()).is_pending());
        ready(states.set(&world, Session::Connected, None)).expect("kept");
        assert!(poll(older.as_mut()).is_ready());
        assert!(matches!(world.states.borrow().last(), Some(State::Connected(_))));
        let restarted = States::default();
        ready(restarted.resume(&world)).expect("reports");
        assert!(restarted.is_connected());
    }

    #[test]
    fn what_was_not_reported_is_reported_later() {
        let (world, states) = (World::new(), States::default());
        world.down.set(true);
        assert!(ready(states.set(&world, Session::Connected, shop())).is_err());
        world.down.set(false);
        ready(states.again(&world)).expect("reports");
        assert!(matches!(world.states.borrow().last(), Some(State::Connected(_))));
    }

    #[test]
    fn the_gateway_is_asked() {
        let (world, states) = (World::new(), States::default());
        assert!(matches!(ready(states.ask(&world, &config())), Err(NoAnswer::Away(_))), "nobody listens");
        world.answer(200, r#"{"success":true,"status":"connected","phone":5511999999999,"name":"Loja"}"#);
        assert_eq!(ready(states.ask(&world, &config())), Ok(Session::Connected));
        assert_eq!(states.account(), shop());
        for _ in 0..2 {
            world.answer(200, r#"{"success":true,"data":{"status":"offline"}}"#);
            assert!(matches!(ready(states.ask(&world, &config())), Ok(Session::Disconnected { .. })));
        }
        for (status, body) in [(404, ""), (500, ""), (200, "{}"), (200, r#"{"status":"dancing"}"#)] {
            world.answer(status, body);
            let none = ready(states.ask(&world, &config())).expect_err(body);
            assert!(matches!(OperationError::from(none), OperationError::Unknown(_)), "{status} {body}");
        }
        world.answer(401, "");
        let none = ready(states.ask(&world, &config())).expect_err("the token is wrong");
        assert!(matches!(OperationError::from(none), OperationError::Disconnected(_)));
        assert_eq!(world.states.borrow().len(), 2, "what is no news is not reported");
        let fresh = States::default();
        world.answer(200, r#"{"status":"connected"}"#);
        assert!(ready(fresh.ask(&world, &config())).is_err(), "with which number?");
    }
}
