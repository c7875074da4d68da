//! `connection`: how the gateway's session stands.

use super::Refusal;
use super::body::Object;
use crate::gateway::Gateway;
use crate::outside::Outside;
use crate::session::{self, Session};

pub(super) async fn take(gateway: &Gateway<impl Outside>, body: &Object<'_>) -> Result<(), Refusal> {
    let word = body.filled("status")?.ok_or_else(|| body.problem("status", "is missing"))?.trim();
    let now = gateway.outside.now_millis();
    let unknown = || body.problem("status", "must be connected, qr_ready, disconnected or offline");
    let session = session::session(word, now).ok_or_else(unknown)?;
    let moment = body.any_text(&["timestamp"]).and_then(|text| session::moment(text, now));
    // One that comes late says nothing of now.
    if gateway.states.is_old(moment.as_deref()) {
        return Ok(());
    }
    let phone = ["phone_number", "phone"].iter().find_map(|name| body.get(name).and_then(session::phone));
    let account = match phone {
        Some(phone) => {
            let wrong = || body.problem("phone_number", "must be a phone number with its country code");
            Some(session::account(&phone, body.any_text(&["name", "display_name"])).ok_or_else(wrong)?)
        }
        None if session == Session::Connected && gateway.states.account().is_none() => {
            return Err(body.problem("phone_number", "is missing").into());
        }
        None => None,
    };
    // The code itself comes by `qr`, before or after this.
    if matches!(session, Session::Qr { .. }) && gateway.states.shows_code(now) {
        return Ok(());
    }
    // The number that the gateway had before need not be the one that scans the code, but it is the only one known.
    gateway.states.set_at(&gateway.outside, session, account, moment).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::receiving::bench::{gateway, post};
    use pombo_plugin::connector::events::State;
    use serde_json::json;

    #[test]
    fn each_word_is_a_state() {
        let (world, gateway) = gateway();
        let connected =
            json!({"status": "connected", "phone_number": "5511999999999", "timestamp": "2025-01-15T10:30:00Z"});
        for body in [
            connected,
            json!({"status": "disconnected", "phone_number": "5511999999999"}),
            json!({"status": "connected", "phone_number": null}),
            json!({"status": "connected", "phone_number": 5511999999999_u64}),
            json!({"status": "offline"}),
            json!({"status": "qr_ready"}),
        ] {
            assert_eq!(post(&gateway, "connection", &body).0, 200, "{body}");
        }
        let states = world.states.borrow();
        assert!(matches!(&states[0], State::Connected(account) if account.address == "5511999999999"));
        assert!(matches!(&states[1], State::Disconnected(_)));
        assert_eq!((&states[0], &states[0]), (&states[2], &states[3]));
        assert!(matches!(&states[4], State::Disconnected(_)));
        assert!(matches!(&states[5], State::Unpaired(_)));
    }

    #[test]
    fn a_late_repetition_says_nothing_of_now() {
        let (world, gateway) = gateway();
        let at = |second: u8| format!("2025-01-15T10:30:{second:02}Z");
        let connected = json!({"status": "connected", "phone_number": "5511999999999", "timestamp": at(2)});
        assert_eq!(post(&gateway, "connection", &json!({"status": "offline", "timestamp": at(0)})).0, 200);
        world.down.set(true);
        assert_eq!(post(&gateway, "connection", &connected).0, 503);
        world.down.set(false);
        assert_eq!(post(&gateway, "connection", &connected).0, 200, "what was not stored is not late");
        let reported = world.states.borrow().len();
        assert_eq!(post(&gateway, "connection", &json!({"status": "offline", "timestamp": at(1)})).0, 200);
        assert_eq!(post(&gateway, "qr", &json!({"qr": "2@ABC", "generated_at": at(0)})).0, 200);
        assert_eq!(world.states.borrow().len(), reported);
        assert_eq!(post(&gateway, "connection", &json!({"status": "offline"})).0, 200);
        assert_eq!(world.states.borrow().len(), reported + 1, "nobody knows when that was");
        assert_eq!(post(&gateway, "qr", &json!({"qr": "2@ABC", "generated_at": at(3)})).0, 200);
        assert_eq!(world.states.borrow().last(), Some(&State::Qr("2@ABC".to_owned())));
    }

    #[test]
    fn a_code_is_not_taken_away_by_the_word_that_announces_it() {
        let (world, gateway) = gateway();
        assert_eq!(post(&gateway, "qr", &json!({"qr": "2@ABC"})).0, 200);
        assert_eq!(post(&gateway, "connection", &json!({"status": "qr_ready"})).0, 200);
        assert_eq!(*world.states.borrow(), [State::Qr("2@ABC".to_owned())]);
    }

    #[test]
    fn mistakes_name_their_field() {
        let (_, gateway) = gateway();
        for (body, field) in [
            (json!({}), "status"),
            (json!({"status": "dancing"}), "status"),
            (json!({"status": 7}), "status"),
            (json!({"status": "connected"}), "phone_number"),
            (json!({"status": "connected", "phone_number": "x"}), "phone_number"),
        ] {
            let (status, answer) = post(&gateway, "connection", &body);
            assert_eq!((status, answer["error"]["details"][field].is_array()), (400, true), "{answer}");
        }
    }
}
