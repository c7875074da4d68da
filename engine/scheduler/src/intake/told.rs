//! Events without a case of their own that the engine understands: limits of the channel, how far the account may start conversations,
//! people who refuse a category, sessions that will end, messages that could not be delivered. JSON of another form is passed over.

use pombo_domain::Timestamp;
use pombo_domain::model::Outreach;
use pombo_domain::model::rules::{ChannelLimits, Quality};
use serde::Deserialize;
use serde_json::Value;

/// The channel's limits have changed.
pub(super) const LIMITS: &str = "limits";
/// How far the channel lets the account start conversations.
pub(super) const OUTREACH: &str = "outreach";
/// A person does not want messages of a category any more, or wants them again.
pub(super) const OPT_OUT: &str = "opt-out";
/// The connector stops working at an instant unless somebody acts.
pub(super) const EXPIRING: &str = "expiring";
/// A message could not be delivered.
pub(super) const FAILED: &str = "failed";

/// What [`OUTREACH`] says: all that is known; what is absent or null is not so.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutreachTold {
    locked_until_millis: Option<i64>,
    quota: Option<u32>,
    used: Option<u32>,
    cycle_end_millis: Option<i64>,
}

/// The last millisecond of the year 9999.
const LAST_MILLIS: i64 = 253_402_300_799_999;

/// What [`OPT_OUT`] says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OptOutTold {
    pub(super) address: String,
    pub(super) category: String,
    pub(super) out: bool,
}

/// What [`EXPIRING`] says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Expiring {
    pub(super) what: String,
    pub(super) at_millis: i64,
}

/// What [`FAILED`] says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failed {
    pub(super) client_id: Option<String>,
    #[serde(default)]
    pub(super) provider_id: Option<String>,
    pub(super) recipient: Option<String>,
    pub(super) at_millis: i64,
    pub(super) code: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) effect: Option<String>,
    /// The channel's name of the category that the recipient refuses.
    #[serde(default)]
    pub(super) category: Option<String>,
}

/// The limits with what an event says of them; `None` if it is of another form.
pub(super) fn limits_told(json: &str, known: ChannelLimits) -> Option<ChannelLimits> {
    let told: Value = serde_json::from_str(json).ok()?;
    let told = told.as_object()?;
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let mut limits = known;
    match told.get("audience") {
        None => {}
        Some(Value::Null) => limits.audience = Some(None),
        Some(value) => limits.audience = Some(Some(number(value)?)),
    }
    if let Some(value) = told.get("perSecond") {
        limits.per_second = Some(number(value).filter(|number| *number > 0)?);
    }
    if let Some(value) = told.get("quality") {
        limits.quality = Quality::parse(value.as_str()?)?;
    }
    Some(limits)
}

/// How far the account may start conversations, by an event; `None` if it is of another form.
pub(super) fn outreach_told(json: &str) -> Option<Outreach> {
    let told: OutreachTold = serde_json::from_str(json).ok()?;
    let instant = |millis: Option<i64>| match millis {
        None => Some(None),
        Some(millis) => (0..=LAST_MILLIS).contains(&millis).then_some(Some(Timestamp(millis))),
    };
    Some(Outreach {
        locked_until: instant(told.locked_until_millis)?,
        quota: told.quota,
        used: told.used,
        cycle_end: instant(told.cycle_end_millis)?,
    })
}

/// When something ends, for a person.
pub(super) fn ends(expiring: &Expiring) -> String {
    format!("{} ends at {}", expiring.what, Timestamp(expiring.at_millis).to_iso())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_not_told_stay_and_other_forms_are_passed_over() {
        let known = ChannelLimits { audience: Some(Some(250)), per_second: Some(80), quality: Quality::Green };
        let told = |json| limits_told(json, known);
        assert_eq!(told(r#"{"audience": 2000}"#), Some(ChannelLimits { audience: Some(Some(2000)), ..known }));
        assert_eq!(told(r#"{"audience": null}"#), Some(ChannelLimits { audience: Some(None), ..known }));
        let both = ChannelLimits { per_second: Some(20), quality: Quality::Red, ..known };
        assert_eq!(told(r#"{"perSecond": 20, "quality": "red", "more": 1}"#), Some(both));
        for other in ["", "[]", r#"{"audience": -1}"#, r#"{"perSecond": 0}"#, r#"{"quality": "blue"}"#] {
            assert_eq!(told(other), None, "{other}");
        }
    }

    #[test]
    fn outreach_is_told_as_a_whole_and_other_forms_are_passed_over() {
        let whole = r#"{"lockedUntilMillis": 1000, "quota": 2000, "used": 1788, "cycleEndMillis": 2000}"#;
        let expected = Outreach {
            locked_until: Some(Timestamp(1_000)),
            quota: Some(2_000),
            used: Some(1_788),
            cycle_end: Some(Timestamp(2_000)),
        };
        assert_eq!(outreach_told(whole), Some(expected));
        for nothing in ["{}", r#"{"lockedUntilMillis": null, "more": 1}"#] {
            assert_eq!(outreach_told(nothing), Some(Outreach::default()), "{nothing}");
        }
        for other in ["", "[1]", r#"{"quota": -1}"#, r#"{"lockedUntilMillis": -1}"#, r#"{"cycleEndMillis": 9e18}"#] {
            assert_eq!(outreach_told(other), None, "{other}");
        }
    }
}
