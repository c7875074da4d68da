//! What `run` does from time to time.

use std::time::Duration;

use pombo_plugin::log;

use crate::gateway::Gateway;
use crate::outside::{Outside, Trouble};

/// How often there is a round.
const PAUSE: Duration = Duration::from_secs(10);
/// In every such round a gateway that is not connected is asked how its session stands: a late webhook may have said it is not.
const ASK: u64 = 6;
/// In every such round old ids are forgotten: every six hours.
const SWEEP: u64 = 6 * 60 * 6;

/// How far it is.
#[derive(Debug, Default)]
struct Rounds {
    count: u64,
    states_resumed: bool,
    ledger_loaded: bool,
    files_resumed: bool,
}

/// Does all of it, for ever.
pub(crate) async fn keep(gateway: &Gateway<impl Outside>) {
    let mut rounds = Rounds::default();
    loop {
        rounds.go(gateway).await;
        gateway.outside.sleep(PAUSE).await;
    }
}

impl Rounds {
    async fn go(&mut self, gateway: &Gateway<impl Outside>) {
        let Gateway { outside, config, ledger, states, files, .. } = gateway;
        // What was kept before the start is taken up until that succeeds.
        if !self.states_resumed {
            self.states_resumed = done("the last state of the session was not reported", states.resume(outside).await);
        }
        if !self.ledger_loaded {
            self.ledger_loaded = done("receipts that waited were not read", ledger.load(outside).await);
        }
        if !self.files_resumed {
            let what = "files that are still to be fetched were not read";
            self.files_resumed = done(what, files.resume(outside).await);
        }
        done("receipts that were not stored before were not stored", ledger.flush(outside).await);
        // It may have changed while nobody listened.
        let is_turn = self.count == 0 || (self.count.is_multiple_of(ASK) && !states.is_connected());
        if is_turn && let Err(why) = states.ask(outside, config).await {
            log::debug("upkeep", &format!("the session's state is the last that the gateway told: {why}"));
        }
        done("the session's state was not reported", states.again(outside).await);
        if self.count.is_multiple_of(SWEEP) {
            done("old ids were not forgotten", ledger.sweep(outside).await);
        }
        self.count += 1;
    }
}

/// Whether a step succeeded; if not, that is logged.
fn done(what: &str, result: Result<(), Trouble>) -> bool {
    if let Err(trouble) = &result {
        log::warn("upkeep", &format!("{what}: {trouble}"));
    }
    result.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::ledger::{Said, Step};
    use crate::outside::world::{World, ready};
    use crate::session::{Session, account, session};
    use pombo_plugin::connector::events::State;

    fn gateway() -> (World, Gateway<World>) {
        let world = World::new();
        let config = Config::read(r#"{"baseUrl":"https://g.example"}"#).expect("valid");
        (world.clone(), Gateway::new(world, config))
    }

    fn go(gateway: &Gateway<World>, rounds: &mut Rounds, times: u64) {
        for _ in 0..times {
            ready(rounds.go(gateway));
        }
    }

    #[test]
    fn what_was_kept_is_taken_up_until_that_succeeds() {
        let (world, before) = gateway();
        ready(before.states.set(&world, Session::Connected, account("5511999999999", None))).expect("kept");
        let said = Said { id: "A".to_owned(), step: Step::Read, recipient: None, at: world.now.get(), reason: None };
        ready(before.ledger.receipt(&world, said)).expect("kept");
        let after = Gateway::new(world.clone(), before.config.clone());
        let mut rounds = Rounds::default();
        world.down.set(true);
        go(&after, &mut rounds, 1);
        assert!(!after.states.is_connected());
        world.down.set(false);
        go(&after, &mut rounds, 1);
        assert!(after.states.is_connected());
        ready(after.ledger.sent(&world, Some("A"), "client", Vec::new())).expect("told");
        assert_eq!(world.receipts().len(), 1);
    }

    #[test]
    fn a_gateway_that_is_not_connected_is_asked_every_minute() {
        let (world, gateway) = gateway();
        let mut rounds = Rounds::default();
        let asked = || world.calls.borrow().len();
        go(&gateway, &mut rounds, 1);
        assert_eq!(asked(), 1, "at the start");
        ready(gateway.states.set(&world, Session::Connected, account("5511999999999", None))).expect("kept");
        go(&gateway, &mut rounds, 2 * ASK);
        assert_eq!(asked(), 1, "it is connected");
        ready(gateway.states.set(&world, session("offline", 0).expect("a word"), None)).expect("kept");
        world.answer(200, r#"{"status":"connected"}"#);
        go(&gateway, &mut rounds, ASK);
        assert_eq!(asked(), 2);
        assert!(matches!(world.states.borrow().last(), Some(State::Connected(_))));
    }

    #[test]
    fn what_could_not_be_stored_is_stored_in_a_later_round() {
        let (world, gateway) = gateway();
        let mut rounds = Rounds::default();
        go(&gateway, &mut rounds, 1);
        world.failing.set(3);
        assert!(ready(gateway.ledger.sent(&world, Some("A"), "client", Vec::new())).is_err());
        go(&gateway, &mut rounds, 1);
        assert_eq!(world.keys("sent/"), ["sent/A"]);
    }
}
