//! What Meta tells of the account, the number, the templates, and of people who do not want marketing.

use pombo_plugin::connector::events::{Event, Warning};
use serde_json::{Value, json};

use super::{list, raw};
use crate::account::{audience, quality, words};
use crate::cloud::Cloud;
use crate::outside::Outside;
use crate::template::form;
use crate::{address, codes, instant, redact};

/// Messages per second after Meta raised the throughput.
const HIGH: u32 = 1_000;

/// The events of a change of this field; what is not known is stored as it came.
pub(super) fn read(cloud: &Cloud<impl Outside>, field: &str, value: &Value) -> Vec<Event> {
    let known = match field {
        "user_preferences" => list(&value["user_preferences"]).map(|told| preference(cloud, told)).collect(),
        "message_template_status_update" => vec![template_status(value)],
        "message_template_quality_update" => {
            vec![template(value, |told| set(told, "quality", quality(&value["new_quality_score"])))]
        }
        // What it consists of is not told completely: the engine asks for it.
        "message_template_components_update" => vec![template(value, |told| told["contents"] = json!(true))],
        "template_category_update" => {
            vec![template(value, |told| set(told, "category", form::category(&value["new_category"])))]
        }
        "phone_number_quality_update" => vec![number(cloud, value)],
        "business_capability_update" => vec![limits(&value["max_daily_conversations_per_business"], None)],
        "account_update" => return account(value),
        _ => vec![None],
    };
    known.into_iter().map(|event| event.unwrap_or_else(|| raw(field, value))).collect()
}

fn set(told: &mut Value, name: &str, word: Option<&str>) {
    if let Some(word) = word {
        told[name] = json!(word);
    }
}

/// Somebody does not want marketing any more, or wants it again.
fn preference(cloud: &Cloud<impl Outside>, told: &Value) -> Option<Event> {
    let address = address::phone(&told["wa_id"]).or_else(|| address::user(&told["user_id"]))?;
    let category = told["category"].as_str().unwrap_or(codes::REFUSABLE);
    let out = match told["value"].as_str()? {
        "stop" => true,
        "resume" | "signup" => false,
        _ => return None,
    };
    let at = instant::of_seconds(&told["timestamp"]).unwrap_or_else(|| cloud.outside.now_millis());
    let json = json!({"address": address, "category": category, "out": out, "atMillis": at});
    Some(Event::Other(("opt-out".to_owned(), json.to_string())))
}

/// The event `template` with what `more` adds; `None` if it does not say of which.
fn template(value: &Value, more: impl FnOnce(&mut Value)) -> Option<Event> {
    let name = value["message_template_name"].as_str().filter(|name| !name.is_empty())?;
    let language = form::language(&value["message_template_language"])?;
    let mut told = json!({"name": name, "language": language});
    if let Some(id) = form::id(&value["message_template_id"]) {
        told["id"] = json!(id);
    }
    more(&mut told);
    Some(Event::Other(("template".to_owned(), told.to_string())))
}

fn template_status(value: &Value) -> Option<Event> {
    let why = [
        &value["rejection_info"]["reason"],
        &value["reason"],
        &value["other_info"]["description"],
        &value["other_info"]["title"],
    ];
    template(value, |told| {
        set(told, "status", value["event"].as_str().and_then(form::status));
        set(told, "category", form::category(&value["message_template_category"]));
        set(told, "reason", why.into_iter().find_map(words).as_deref());
    })
}

/// The event `limits`; `None` if none is told.
fn limits(told: &Value, per_second: Option<u32>) -> Option<Event> {
    let mut limits = json!({});
    if let Some(audience) = audience(told) {
        limits["audience"] = audience;
    }
    if let Some(per_second) = per_second {
        limits["perSecond"] = json!(per_second);
    }
    let any = limits.as_object().is_some_and(|limits| !limits.is_empty());
    any.then(|| Event::Other(("limits".to_owned(), limits.to_string())))
}

fn number(cloud: &Cloud<impl Outside>, value: &Value) -> Option<Event> {
    let raised = value["event"] == "THROUGHPUT_UPGRADE";
    // What is configured is stronger than what Meta allows.
    let per_second = raised.then_some(HIGH).filter(|_| cloud.config.per_second.is_none());
    let newer = &value["max_daily_conversations_per_business"];
    limits(if newer.is_null() { &value["current_limit"] } else { newer }, per_second)
}

/// Restrictions are warnings; all of it is stored as it came, too.
fn account(value: &Value) -> Vec<Event> {
    let event = value["event"].as_str().unwrap_or_default();
    let lifted = value["ban_info"]["waba_ban_state"] == "REINSTATE";
    let harms = ["ACCOUNT_RESTRICTION", "ACCOUNT_VIOLATION", "DISABLED_UPDATE", "ACCOUNT_DELETED"].contains(&event);
    let mut events = Vec::with_capacity(2);
    if harms && !lifted {
        let mut how = vec![event.to_owned()];
        how.extend(list(&value["restriction_info"]).filter_map(|told| words(&told["restriction_type"])));
        how.extend(words(&value["violation_info"]["violation_type"]));
        how.extend(words(&value["ban_info"]["waba_ban_state"]));
        how.truncate(8);
        events.push(Event::Warning(Warning::Restricted(redact::line(&how.join(", ")))));
    }
    events.push(raw("account_update", value));
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::bench::cloud;

    fn told(field: &str, value: &Value) -> Vec<(String, Value)> {
        let (_, cloud) = cloud("");
        let other = |event: Event| match event {
            Event::Other((kind, json)) => (kind, serde_json::from_str(&json).expect("JSON")),
            Event::Warning(Warning::Restricted(how)) => ("restricted".to_owned(), json!(how)),
            event => panic!("{event:?}"),
        };
        read(&cloud, field, value).into_iter().map(other).collect()
    }

    #[test]
    fn templates_change() {
        let value = json!({"event": "REJECTED", "message_template_id": 1627019861106475_u64, "message_template_name": "a",
            "message_template_language": "en-US", "message_template_category": "MARKETING", "reason": "INVALID_FORMAT"});
        let want = json!({"name": "a", "language": "en_US", "id": "1627019861106475", "status": "rejected",
            "category": "marketing", "reason": "INVALID_FORMAT"});
        assert_eq!(told("message_template_status_update", &value), [("template".to_owned(), want)]);
        for (event, status) in [
            ("APPROVED", Some("approved")),
            ("PAUSED", Some("paused")),
            ("DISABLED", Some("disabled")),
            ("FLAGGED", None),
            ("REINSTATED", Some("approved")),
            ("IN_APPEAL", Some("in-appeal")),
            ("PENDING_DELETION", Some("pending-deletion")),
        ] {
            let value = json!({"event": event, "message_template_name": "a", "message_template_language": "en", "reason": "NONE"});
            let told = told("message_template_status_update", &value).remove(0).1;
            assert_eq!((told["status"].as_str(), &told["reason"]), (status, &Value::Null), "{event}");
        }
        let value =
            json!({"new_quality_score": "RED", "message_template_name": "a", "message_template_language": "en"});
        assert_eq!(told("message_template_quality_update", &value)[0].1["quality"], "red");
        let value =
            json!({"new_category": "MARKETING", "message_template_name": "a", "message_template_language": "en"});
        assert_eq!(told("template_category_update", &value)[0].1["category"], "marketing");
        let value = json!({"message_template_id": 12, "message_template_name": "a", "message_template_language": "pt_BR",
            "message_template_title": "t", "message_template_element": "Outro texto"});
        let want = json!({"name": "a", "language": "pt_BR", "id": "12", "contents": true});
        assert_eq!(told("message_template_components_update", &value), [("template".to_owned(), want)]);
        assert_eq!(
            told("message_template_components_update", &json!({}))[0].0,
            "meta.message_template_components_update"
        );
        assert_eq!(
            told("message_template_status_update", &json!({"event": "APPROVED"}))[0].0,
            "meta.message_template_status_update"
        );
    }

    #[test]
    fn people_opt_out_and_in() {
        let value = json!({"user_preferences": [
            {"wa_id": "5511987654321", "detail": "d", "category": "marketing_messages", "value": "stop", "timestamp": 1731705721},
            {"user_id": "BR.1", "category": "marketing_messages", "value": "resume", "timestamp": 1731705721},
            {"category": "marketing_messages"}]});
        let told = told("user_preferences", &value);
        let want = json!({"address": "5511987654321", "category": "marketing_messages", "out": true, "atMillis": 1_731_705_721_000_u64});
        assert_eq!(told[0], ("opt-out".to_owned(), want));
        assert_eq!((&told[1].1["address"], &told[1].1["out"]), (&json!("BR.1"), &json!(false)));
        assert_eq!(told[2].0, "meta.user_preferences", "what cannot be read is kept as it came");
    }

    #[test]
    fn limits_change() {
        let one = |field: &str, value: Value| told(field, &value).remove(0);
        let upgrade = json!({"display_phone_number": "15550783881", "event": "THROUGHPUT_UPGRADE", "current_limit": "TIER_UNLIMITED"});
        assert_eq!(
            one("phone_number_quality_update", upgrade),
            ("limits".to_owned(), json!({"audience": null, "perSecond": 1000}))
        );
        let tier = json!({"max_daily_conversations_per_business": "TIER_10K"});
        assert_eq!(one("business_capability_update", tier), ("limits".to_owned(), json!({"audience": 10000})));
        assert_eq!(one("business_capability_update", json!({})).0, "meta.business_capability_update");
    }

    #[test]
    fn restrictions_are_warnings() {
        let value = json!({"event": "ACCOUNT_RESTRICTION",
            "restriction_info": [{"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": "1"}]});
        let told_of = told("account_update", &value);
        assert_eq!(
            told_of[0],
            ("restricted".to_owned(), json!("ACCOUNT_RESTRICTION, RESTRICTED_BIZ_INITIATED_MESSAGING"))
        );
        assert_eq!(told_of[1].0, "meta.account_update");
        let lifted = json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "REINSTATE"}});
        assert_eq!(told("account_update", &lifted).len(), 1);
        assert_eq!(told("security", &json!({"event": "PIN_CHANGED"}))[0].0, "meta.security");
    }
}
