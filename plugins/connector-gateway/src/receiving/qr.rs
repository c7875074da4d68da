//! `qr`: a code to be scanned. Its picture is not needed: whoever shows the code draws it.

use super::Refusal;
use super::body::Object;
use crate::gateway::Gateway;
use crate::outside::Outside;
use crate::session::{self, Session};

pub(super) async fn take(gateway: &Gateway<impl Outside>, body: &Object<'_>) -> Result<(), Refusal> {
    let given: Vec<&str> =
        ["qr", "qr_code_text", "qr_code"].iter().filter_map(|name| body.any_text(&[*name])).collect();
    if given.is_empty() {
        return Err(body.problem("qr", "is missing").into());
    }
    let code = given.into_iter().find(|text| session::is_code(text));
    let code = code.ok_or_else(|| body.problem("qr", "must be the code's text, not its picture"))?.to_owned();
    let at = gateway.outside.now_millis();
    let moment = body.any_text(&["generated_at", "timestamp"]).and_then(|text| session::moment(text, at));
    // One that comes late cannot be scanned.
    if gateway.states.is_old(moment.as_deref()) {
        return Ok(());
    }
    gateway.states.set_at(&gateway.outside, Session::Qr { code, at }, None, moment).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::receiving::bench::{gateway, post};
    use pombo_plugin::connector::events::State;
    use serde_json::json;

    #[test]
    fn a_code_is_a_state() {
        let (world, gateway) = gateway();
        let body = json!({"qr": "2@ABC123...", "qr_image": "data:image/png;base64,AA", "generated_at": "2025-01-15T10:30:00Z"});
        assert_eq!(post(&gateway, "qr", &body).0, 200);
        assert_eq!(*world.states.borrow(), [State::Qr("2@ABC123...".to_owned())]);
        for body in [json!({}), json!({"qr": null}), json!({"qr": "data:image/png;base64,AA"})] {
            let (status, answer) = post(&gateway, "qr", &body);
            assert_eq!((status, answer["error"]["details"]["qr"].is_array()), (400, true), "{answer}");
        }
        let both = json!({"qr": "data:image/png;base64,AA", "qr_code_text": "2@DEF"});
        assert_eq!(post(&gateway, "qr", &both).0, 200);
        assert_eq!(world.states.borrow().last(), Some(&State::Qr("2@DEF".to_owned())));
    }
}
