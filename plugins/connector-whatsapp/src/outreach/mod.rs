//! How far WhatsApp lets the account start conversations: until when it is locked out of that, and how many new conversations it has left
//! in a cycle. Pure, except for `live`, which tells it to the engine. It must not know messages.

#[cfg(target_arch = "wasm32")]
mod live;

#[cfg(target_arch = "wasm32")]
pub(crate) use live::{ask, logged_in, told};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// For how long a lock counts whose end WhatsApp does not tell.
const UNTOLD_MILLIS: u64 = 60_000;
/// The last second of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// What WhatsApp told last. The JSON of it is the event `outreach`, and what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Outreach {
    /// Until when no conversation may be started, in milliseconds since 1970.
    pub(crate) locked_until_millis: Option<u64>,
    /// How many conversations may be started in the cycle.
    pub(crate) quota: Option<u32>,
    /// How many were started.
    pub(crate) used: Option<u32>,
    /// When the cycle ends, in milliseconds since 1970.
    pub(crate) cycle_end_millis: Option<u64>,
}

impl Outreach {
    /// What is known after a notification of WhatsApp's; `None` if it is about something else, or cannot be read.
    pub(crate) fn after(self, operation: &str, payload: &Value, now_millis: u64) -> Option<Self> {
        if operation.eq_ignore_ascii_case("NotificationUserReachoutTimelockUpdate") {
            let lock = payload.pointer("/data/xwa2_notify_account_reachout_timelock")?;
            let active = lock.get("is_active")?.as_bool()?;
            return Some(self.with_lock(active, lock.get("time_enforcement_ends").and_then(number), now_millis));
        }
        if operation.eq_ignore_ascii_case("MessageCappingInfoNotification") {
            let info = payload.pointer("/data/xwa2_notify_new_chat_messages_capping_info_update")?.as_object()?;
            let count = |name| info.get(name).and_then(number).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
            let is_capped = info.get("capping_status").and_then(Value::as_str) == Some("CAPPED");
            let (quota, used) = match (count("total_quota"), count("used_quota")) {
                // Nothing is left, whatever the numbers are.
                (None, _) if is_capped => (Some(0), Some(0)),
                (Some(quota), None) if is_capped => (Some(quota), Some(quota)),
                counted => counted,
            };
            let cycle_end_millis = info.get("cycle_end_timestamp").and_then(number).and_then(millis);
            return Some(Self { quota, used, cycle_end_millis, ..self });
        }
        None
    }

    /// What is known after WhatsApp said whether the account is locked, and until which second.
    pub(crate) fn with_lock(self, active: bool, ends: Option<u64>, now_millis: u64) -> Self {
        let until = ends.and_then(millis).filter(|until| *until > now_millis).unwrap_or(now_millis + UNTOLD_MILLIS);
        Self { locked_until_millis: active.then_some(until), ..self }
    }

    /// For how long the account may not start conversations from now on; `None` if it may.
    pub(crate) fn locked_for(&self, now_millis: u64) -> Option<u64> {
        self.locked_until_millis?.checked_sub(now_millis).filter(|left| *left > 0)
    }

    /// Whether WhatsApp told nothing.
    pub(crate) fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// The JSON.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// WhatsApp writes numbers as numbers or as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Seconds since 1970 as milliseconds.
fn millis(seconds: u64) -> Option<u64> {
    (1..=LAST_SECOND).contains(&seconds).then(|| seconds * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: u64 = 1_796_000_000_000;
    const LOCK: &str = "NotificationUserReachoutTimelockUpdate";
    const CAPPING: &str = "MessageCappingInfoNotification";

    fn lock(said: Value) -> Value {
        json!({"data": {"xwa2_notify_account_reachout_timelock": said}})
    }

    fn capping(said: Value) -> Value {
        json!({"data": {"xwa2_notify_new_chat_messages_capping_info_update": said}})
    }

    #[test]
    fn a_lock_lasts_as_long_as_the_server_says_and_no_longer() {
        let ends = NOW / 1_000 + 3_600;
        for said in [json!(ends), json!(ends.to_string())] {
            let told = lock(json!({"is_active": true, "time_enforcement_ends": said, "enforcement_type": "DEFAULT"}));
            let known = Outreach::default().after(LOCK, &told, NOW).expect("is of its form");
            assert_eq!(known.locked_for(NOW), Some(3_600_000));
            assert_eq!(known.locked_for(NOW + 3_600_000), None);
            let lifted = known.after(LOCK, &lock(json!({"is_active": false})), NOW).expect("is of its form");
            assert_eq!(lifted.locked_for(NOW), None);
        }
        for vague in [json!({"is_active": true}), json!({"is_active": true, "time_enforcement_ends": "1"})] {
            let known = Outreach::default().after(LOCK, &lock(vague), NOW).expect("is of its form");
            assert_eq!(known.locked_for(NOW), Some(UNTOLD_MILLIS), "no guess beyond the next minute");
        }
    }

    #[test]
    fn the_quota_and_the_lock_are_told_apart() {
        let locked = Outreach { locked_until_millis: Some(NOW + 1), ..Outreach::default() };
        let told = capping(json!({
            "capping_status": "FIRST_WARNING", "total_quota": 2000, "used_quota": "1788", "cycle_end_timestamp": "1796600000"
        }));
        let known = locked.after(CAPPING, &told, NOW).expect("is of its form");
        assert_eq!(known.locked_until_millis, Some(NOW + 1));
        assert_eq!(
            (known.quota, known.used, known.cycle_end_millis),
            (Some(2000), Some(1788), Some(1_796_600_000_000))
        );
        let capped = locked.after(CAPPING, &capping(json!({"capping_status": "CAPPED", "total_quota": 50})), NOW);
        assert_eq!(capped.map(|known| (known.quota, known.used)), Some((Some(50), Some(50))));
        let bare = locked.after(CAPPING, &capping(json!({"capping_status": "CAPPED"})), NOW);
        assert_eq!(bare.map(|known| (known.quota, known.used)), Some((Some(0), Some(0))));
    }

    #[test]
    fn what_is_of_another_form_says_nothing() {
        for (operation, payload) in [
            ("NotificationGroupPropertyUpdate", lock(json!({"is_active": true}))),
            (LOCK, json!({})),
            (LOCK, lock(json!({"is_active": "maybe"}))),
            (LOCK, lock(json!(null))),
            (CAPPING, capping(json!([]))),
        ] {
            assert_eq!(Outreach::default().after(operation, &payload, NOW), None, "{operation} {payload}");
        }
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let known = Outreach { locked_until_millis: Some(NOW), quota: Some(3), used: None, cycle_end_millis: None };
        assert_eq!(serde_json::from_str::<Outreach>(&known.json()).expect("JSON"), known);
        assert!(known.json().contains(r#""lockedUntilMillis":1796000000000"#));
        assert!(serde_json::from_str::<Outreach>("{}").expect("JSON").is_unknown());
    }
}
