//! `status`: how far a message came that the account sent.

use serde_json::Value;

use super::Refusal;
use super::body::{Object, number};
use crate::address::{self, Who};
use crate::gateway::Gateway;
use crate::ledger::{Said, Step};
use crate::outside::Outside;

pub(super) async fn take(gateway: &Gateway<impl Outside>, body: &Object<'_>) -> Result<(), Refusal> {
    let key = body.must_object("key")?;
    let id = key.must_id("id")?;
    // Baileys' own event has it in `update`.
    let update = body.object("update")?;
    let holder = if body.get("status").is_none() { update.as_ref().unwrap_or(body) } else { body };
    let Some(status) = holder.get("status") else { return Err(holder.problem("status", "is missing").into()) };
    let wrong = || holder.problem("status", "must be one of 0 to 5");
    let Some(step) = step(status).ok_or_else(wrong)? else { return Ok(()) };
    // Without the flag it is about an own message, as the path says; with it, others are what the account itself read.
    if key.get("fromMe").is_some() && !key.flag("fromMe")? {
        return Ok(());
    }
    let remote = key.filled("remoteJid")?.or(body.filled("remoteJid")?);
    let person = |jid: &str| address::person(jid, key.any_text(&["remoteJidAlt", "participantAlt"]));
    let recipient = match remote.and_then(address::who) {
        Some(Who::Group(_)) => key.any_text(&["participant"]).or(body.any_text(&["participant"])).and_then(person),
        _ => remote.and_then(person),
    };
    let reason = (step == Step::Failed).then(|| "WhatsApp did not take the message, as the gateway says".to_owned());
    // The webhook's `messageTimestamp` is the message's, not this step's.
    let at = gateway.outside.now_millis();
    gateway.ledger.receipt(&gateway.outside, Said { id: id.to_owned(), step, recipient, at, reason }).await?;
    Ok(())
}

/// What a code of Baileys means: `Some(None)` for one that tells nothing, `None` for what is not a code.
fn step(status: &Value) -> Option<Option<Step>> {
    if let Some(code) = number(status) {
        return Some(match code {
            0 => Some(Step::Failed),
            1 => None,
            2 => Some(Step::Server),
            3 => Some(Step::Delivered),
            4 => Some(Step::Read),
            5 => Some(Step::Played),
            _ => return None,
        });
    }
    Some(match status.as_str()?.trim().to_ascii_lowercase().as_str() {
        "error" | "failed" => Some(Step::Failed),
        "pending" => None,
        "server_ack" | "server" | "sent" => Some(Step::Server),
        "delivery_ack" | "delivered" => Some(Step::Delivered),
        "read" => Some(Step::Read),
        "played" => Some(Step::Played),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::world::ready;
    use crate::receiving::bench::{CLIENT, gateway, post};
    use pombo_plugin::connector::events::ReceiptKind;
    use serde_json::json;

    fn webhook(status: Value) -> Value {
        json!({
            "key": {"remoteJid": "5511999999999@s.whatsapp.net", "id": "3EB0", "fromMe": true},
            "status": status, "messageTimestamp": 1705312200,
        })
    }

    #[test]
    fn codes_are_steps() {
        let (world, gateway) = gateway();
        ready(gateway.ledger.sent(&world, Some("3EB0"), CLIENT, Vec::new())).expect("kept");
        for status in [json!(0), json!(1), json!(2), json!(3), json!("4"), json!("PLAYED")] {
            assert_eq!(post(&gateway, "status", &webhook(status)).0, 200);
        }
        let kinds: Vec<_> = world.receipts().into_iter().map(|receipt| receipt.kind).collect();
        let all =
            [ReceiptKind::Failed, ReceiptKind::Server, ReceiptKind::Delivered, ReceiptKind::Read, ReceiptKind::Played];
        assert_eq!(kinds, all);
        let first = world.receipts().remove(0);
        assert_eq!(first.client_id.as_deref(), Some(CLIENT));
        assert_eq!((first.recipient.as_deref(), first.reason.is_some()), (Some("5511999999999"), true));
    }

    #[test]
    fn what_comes_before_its_answer_waits() {
        let (world, gateway) = gateway();
        let update =
            json!({"key": {"remoteJid": "5511999999999@s.whatsapp.net", "id": "3EB0"}, "update": {"status": 3}});
        assert_eq!(post(&gateway, "status", &update).0, 200);
        assert!(world.receipts().is_empty());
        ready(gateway.ledger.sent(&world, Some("3EB0"), CLIENT, Vec::new())).expect("told");
        assert_eq!(world.receipts().len(), 1);
    }

    #[test]
    fn a_member_of_a_group_is_the_recipient() {
        let (world, gateway) = gateway();
        ready(gateway.ledger.sent(&world, Some("3EB0"), CLIENT, Vec::new())).expect("kept");
        let mut body = webhook(json!(3));
        body["key"]["remoteJid"] = json!("120363021033254949@g.us");
        body["key"]["participant"] = json!("5511888888888@s.whatsapp.net");
        assert_eq!(post(&gateway, "status", &body).0, 200);
        assert_eq!(world.receipts()[0].recipient.as_deref(), Some("5511888888888"));
    }

    #[test]
    fn others_messages_are_passed_over_and_mistakes_named() {
        let (world, gateway) = gateway();
        let mut body = webhook(json!(4));
        body["key"]["fromMe"] = json!(false);
        assert_eq!(post(&gateway, "status", &body).0, 200);
        assert!(world.keys("early/").is_empty());
        for status in [json!(9), json!("dancing"), json!([]), Value::Null] {
            let (code, answer) = post(&gateway, "status", &webhook(status));
            assert_eq!(code, 400);
            assert!(answer["error"]["details"]["status"].is_array(), "{answer}");
        }
    }
}
