//! What `run` does from time to time.

use std::time::Duration;

use pombo_plugin::connector::events::Event;
use pombo_plugin::log;
use serde_json::json;

use crate::account::NotWorking;
use crate::cloud::Cloud;
use crate::outside::{Outside, Trouble, put};
use crate::token::{End, TokenEnd};
use crate::{parts, uploads};

/// How often there is a round.
const PAUSE: Duration = Duration::from_secs(10);
/// In every such round Meta is asked for a number that does not work.
const ASK: u64 = 3;
/// In every such round Meta is asked for a number that works, for its limits: every hour.
const ASK_AGAIN: u64 = 6 * 60;
/// In every such round what is old is forgotten: every six hours.
const SWEEP: u64 = 6 * 60 * 6;
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;
/// How long before its end a token is warned of.
const WARNED_MILLIS: u64 = 7 * DAY_MILLIS;
/// The day on which the token was last warned of.
const WARNED: &str = "expiring";

/// How far it is.
#[derive(Debug, Default)]
struct Rounds {
    count: u64,
    files_resumed: bool,
    token: TokenEnd,
    /// The last day on which nothing more is to be said of the token.
    warned: Option<u64>,
}

/// Does all of it, for ever.
pub(crate) async fn keep(cloud: &Cloud<impl Outside>) {
    done("the state was not reported", cloud.account.connecting(&cloud.outside).await);
    let mut rounds = Rounds::default();
    loop {
        rounds.go(cloud).await;
        cloud.outside.sleep(PAUSE).await;
    }
}

impl Rounds {
    async fn go(&mut self, cloud: &Cloud<impl Outside>) {
        let Cloud { outside, config, account, files, heard, .. } = cloud;
        let often = if account.is_connected() { ASK_AGAIN } else { ASK };
        if self.count.is_multiple_of(often) {
            match account.check(outside, config).await {
                Ok(()) | Err(NotWorking::Closed) => {}
                Err(not) => log::debug("upkeep", &format!("the number does not work: {}", not.reason())),
            }
        }
        if account.is_connected() {
            self.token.ask(cloud).await;
        }
        if !self.files_resumed || files.can_resume() {
            let what = "files that are still to be fetched were not read";
            self.files_resumed = done(what, files.resume(outside).await);
        }
        done("the end of the token was not told", self.warn(cloud).await);
        if self.count.is_multiple_of(SWEEP) || heard.is_full() {
            done("old conversations were not forgotten", heard.sweep(outside).await);
        }
        if self.count.is_multiple_of(SWEEP) {
            done("old notes were not forgotten", parts::sweep(outside).await);
            done("old uploads were not forgotten", uploads::sweep(outside).await);
        }
        self.count += 1;
    }

    /// Tells once a day that the token ends soon.
    async fn warn(&mut self, cloud: &Cloud<impl Outside>) -> Result<(), Trouble> {
        let (now, Some(End { what, at: end })) = (cloud.outside.now_millis(), self.token.of(cloud)) else {
            return Ok(());
        };
        let day = now / DAY_MILLIS;
        if now.saturating_add(WARNED_MILLIS) < end || now >= end || self.warned == Some(day) {
            return Ok(());
        }
        let kept = cloud.outside.get(WARNED.to_owned()).await?;
        if kept.as_deref() != Some(day.to_string().as_bytes()) {
            let json = json!({"what": what, "atMillis": end}).to_string();
            let told = vec![Event::Other(("expiring".to_owned(), json))];
            cloud.outside.commit(told, vec![put(WARNED, day.to_string())]).await?;
        }
        self.warned = Some(day);
        Ok(())
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
    use crate::cloud::bench::cloud;
    use crate::outside::world::{World, ready};

    fn go(cloud: &Cloud<World>, rounds: &mut Rounds, times: u64) {
        for _ in 0..times {
            ready(rounds.go(cloud));
        }
    }

    #[test]
    fn a_number_that_works_is_asked_for_rarely() {
        // Of the token nothing has to be asked.
        let (world, cloud) = cloud(r#","tokenExpiresAt":"2030-01-01T00:00:00Z""#);
        let mut rounds = Rounds::default();
        go(&cloud, &mut rounds, ASK);
        assert_eq!(world.calls.borrow().len(), 1, "nobody answered");
        world.answer(200, r#"{"display_phone_number":"+55 11 90000-0000"}"#);
        go(&cloud, &mut rounds, ASK);
        assert_eq!(world.calls.borrow().len(), 2);
        assert!(cloud.account.is_connected());
        go(&cloud, &mut rounds, ASK_AGAIN - 2 * ASK);
        assert_eq!(world.calls.borrow().len(), 2);
        go(&cloud, &mut rounds, 1);
        assert_eq!(world.calls.borrow().len(), 3);
    }

    #[test]
    fn a_token_is_warned_of_as_meta_says() {
        let (world, cloud) = cloud("");
        let mut rounds = Rounds::default();
        world.answer(200, r#"{"display_phone_number":"+55 11 90000-0000"}"#);
        // 2026-01-09T12:00:00Z, four days after the world begins.
        world.answer(200, r#"{"data":{"is_valid":true,"expires_at":1767960000,"data_access_expires_at":0}}"#);
        go(&cloud, &mut rounds, 2);
        assert_eq!(world.others("expiring"), [json!({"what": "access token", "atMillis": 1_767_960_000_000_u64})]);
        assert_eq!(world.calls.borrow().len(), 2, "it is asked once");
    }

    #[test]
    fn a_token_is_warned_of_every_day_of_its_last_week() {
        // The world begins at 2026-01-05T12:00:00Z.
        let (world, cloud) = cloud(r#","tokenExpiresAt":"2026-01-15T12:00:00Z""#);
        let mut rounds = Rounds::default();
        go(&cloud, &mut rounds, 1);
        assert!(world.others("expiring").is_empty(), "ten days are left");
        for _ in 0..30 {
            world.now.set(world.now.get() + DAY_MILLIS / 2);
            go(&cloud, &mut rounds, 1);
            // A restart does not repeat it.
            ready(Rounds::default().warn(&cloud)).expect("told");
        }
        let told = world.others("expiring");
        assert_eq!(told.len(), 8, "from the 8th to the 15th");
        assert_eq!(told[0], json!({"what": "access token", "atMillis": 1_768_478_400_000_u64}));
    }
}
