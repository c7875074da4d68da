//! When the access token ends, as Meta says: asked when the number works, and every day, unless the configuration says when.

use pombo_plugin::connector::http;
use serde_json::Value;

use crate::answer;
use crate::cloud::Cloud;
use crate::outside::Outside;

/// How long an answer counts, and how long to wait after none.
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;
const HOUR_MILLIS: u64 = 60 * 60 * 1_000;
/// How long Meta may take to tell.
const ANSWER_MILLIS: u32 = 15_000;

/// What ends, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) what: &'static str,
    pub(crate) at: u64,
}

/// What Meta said last.
#[derive(Debug, Default)]
pub(crate) struct TokenEnd {
    end: Option<End>,
    /// When it is to be asked next.
    next: u64,
}

impl TokenEnd {
    /// What ends first: as the configuration says, or as Meta said.
    pub(crate) fn of(&self, cloud: &Cloud<impl Outside>) -> Option<End> {
        let configured = cloud.config.token_expires_at.map(|at| End { what: "access token", at });
        configured.or(self.end)
    }

    /// Asks Meta, if it is time to.
    pub(crate) async fn ask(&mut self, cloud: &Cloud<impl Outside>) {
        let now = cloud.outside.now_millis();
        if cloud.config.token_expires_at.is_some() || now < self.next {
            return;
        }
        // The app may ask about its tokens. Without its id, or with the secret of another one, the token asks about itself.
        let by_app = match cloud.config.token_question_by_app() {
            Some(request) => asked(cloud, request).await,
            None => None,
        };
        let told = match by_app {
            Some(told) => Some(told),
            None => asked(cloud, cloud.config.token_question()).await,
        };
        match told {
            Some(told) => {
                self.end = end(&told);
                self.next = now.saturating_add(DAY_MILLIS);
            }
            // What was said before still counts.
            None => self.next = now.saturating_add(HOUR_MILLIS),
        }
    }
}

/// What Meta tells of the token; `None` if it does not.
async fn asked(cloud: &Cloud<impl Outside>, request: http::Request) -> Option<Value> {
    let request = http::Request { timeout_millis: Some(ANSWER_MILLIS), ..request };
    let mut body = answer::read(cloud.outside.call(request).await).ok()?;
    Some(body["data"].take()).filter(Value::is_object)
}

/// What ends first of a token; 0 is never.
fn end(told: &Value) -> Option<End> {
    let ends = [("access token", "expires_at"), ("access to data", "data_access_expires_at")];
    let end = |(what, field): (&'static str, &str)| {
        let seconds = told[field].as_u64().filter(|seconds| *seconds > 0)?;
        Some(End { what, at: seconds.saturating_mul(1_000) })
    };
    ends.into_iter().filter_map(end).min_by_key(|end| end.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::bench::cloud;
    use crate::outside::world::{World, ready};
    use serde_json::json;

    /// 2026-01-09T12:00:00Z, four days after the world begins.
    const SOON: u64 = 1_767_960_000;

    fn answers(world: &World, data: &Value) {
        world.answer(200, &json!({"data": data}).to_string());
    }

    fn bearer(request: &http::Request) -> Option<&str> {
        request.headers.iter().find(|header| header.name == "Authorization").map(|header| header.value.as_str())
    }

    #[test]
    fn the_app_asks_about_the_token_once_a_day() {
        let (world, cloud) = cloud(r#","appId":"4711","appSecretProof":true"#);
        let mut token = TokenEnd::default();
        answers(&world, &json!({"is_valid": true, "expires_at": SOON, "data_access_expires_at": 0}));
        ready(token.ask(&cloud));
        assert_eq!(token.of(&cloud), Some(End { what: "access token", at: SOON * 1_000 }));
        let asked = world.calls.borrow()[0].clone();
        assert_eq!(asked.url, "https://graph.facebook.com/v26.0/debug_token?input_token={{secret:accessToken}}");
        assert_eq!(bearer(&asked), Some("Bearer 4711|{{secret:appSecret}}"), "a proof is of the other token");
        ready(token.ask(&cloud));
        assert_eq!(world.calls.borrow().len(), 1);
        world.now.set(world.now.get() + DAY_MILLIS);
        answers(&world, &json!({"is_valid": true, "expires_at": 0, "data_access_expires_at": SOON}));
        ready(token.ask(&cloud));
        assert_eq!(token.of(&cloud), Some(End { what: "access to data", at: SOON * 1_000 }));
    }

    #[test]
    fn where_the_app_may_not_the_token_asks_about_itself() {
        let (world, cloud) = cloud(r#","appId":"4711""#);
        let mut token = TokenEnd::default();
        world.answer(400, r#"{"error":{"code":190,"message":"Invalid OAuth access token"}}"#);
        answers(&world, &json!({"is_valid": true, "expires_at": SOON}));
        ready(token.ask(&cloud));
        assert_eq!(token.of(&cloud).map(|end| end.at), Some(SOON * 1_000));
        assert_eq!(bearer(&world.calls.borrow()[1]), Some("Bearer {{secret:accessToken}}"));
        // If Meta does not answer, it is asked again an hour later, and what it said before still counts.
        world.now.set(world.now.get() + DAY_MILLIS);
        ready(token.ask(&cloud));
        assert_eq!(world.calls.borrow().len(), 4);
        ready(token.ask(&cloud));
        assert_eq!(world.calls.borrow().len(), 4);
        assert!(token.of(&cloud).is_some());
        world.now.set(world.now.get() + HOUR_MILLIS);
        answers(&world, &json!({"is_valid": true, "expires_at": 0, "data_access_expires_at": 0}));
        ready(token.ask(&cloud));
        assert_eq!(token.of(&cloud), None, "it never ends");
    }

    #[test]
    fn what_is_configured_is_not_asked_for() {
        let (world, cloud) = cloud(r#","tokenExpiresAt":"2026-01-15T12:00:00Z""#);
        let mut token = TokenEnd::default();
        ready(token.ask(&cloud));
        assert!(world.calls.borrow().is_empty());
        assert_eq!(token.of(&cloud), Some(End { what: "access token", at: 1_768_478_400_000 }));
    }
}
