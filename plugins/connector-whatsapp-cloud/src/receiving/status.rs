//! A status: how far a message came. Statuses come in any order, more than once, and before the answer that names the message: the
//! engine's id of the message, which it carries, says whose it is.

use pombo_plugin::connector::events::{Event, Receipt, ReceiptKind};
use serde_json::{Value, json};

use super::{content, raw};
use crate::answer;
use crate::cloud::Cloud;
use crate::codes::{self, Meaning};
use crate::outside::Outside;
use crate::{address, instant};

/// Reads a status; `None` if it cannot be read.
pub(super) fn read(cloud: &Cloud<impl Outside>, status: &Value) -> Option<Event> {
    let provider_id = content::id(&status["id"])?;
    let client_id = status["biz_opaque_callback_data"].as_str().filter(|id| is_client_id(id)).map(str::to_owned);
    let recipient = address::phone(&status["recipient_id"])
        .or_else(|| address::user(&status["recipient_user_id"]))
        .or_else(|| address::user(&status["recipient_id"]));
    let at_millis = instant::of_seconds(&status["timestamp"]).unwrap_or_else(|| cloud.outside.now_millis());
    let kind = match status["status"].as_str()? {
        "sent" => ReceiptKind::Server,
        "delivered" => ReceiptKind::Delivered,
        "read" => ReceiptKind::Read,
        "played" => ReceiptKind::Played,
        "failed" => return Some(failed(status, client_id, provider_id, recipient, at_millis)),
        // One that the API did not have when this was written.
        _ => return Some(raw("status", status)),
    };
    Some(Event::Receipt(Receipt { client_id, provider_id, recipient, kind, at_millis, reason: None }))
}

fn failed(
    status: &Value,
    client_id: Option<String>,
    provider_id: String,
    recipient: Option<String>,
    at_millis: u64,
) -> Event {
    let mut told = json!({"providerId": provider_id, "atMillis": at_millis});
    let fault = answer::fault(&status["errors"][0], None);
    let reason =
        fault.as_ref().map_or("Meta did not deliver the message, and does not say why", |fault| fault.reason.as_str());
    told["reason"] = json!(reason);
    if let Some(client_id) = client_id {
        told["clientId"] = json!(client_id);
    }
    if let Some(recipient) = recipient {
        told["recipient"] = json!(recipient);
    }
    if let Some(fault) = &fault {
        if let Some(code) = fault.code() {
            told["code"] = json!(code);
        }
        if let Some(effect) = fault.meaning.effect() {
            told["effect"] = json!(effect);
            if fault.meaning == Meaning::OptOut {
                told["category"] = json!(codes::REFUSABLE);
            }
        }
    }
    Event::Other(("failed".to_owned(), told.to_string()))
}

/// Whether a text is an id that the engine gave, and not what another program sent along from the same number.
fn is_client_id(id: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    id.len() == 36
        && id.bytes().enumerate().all(|(at, b)| if dashes.contains(&at) { b == b'-' } else { b.is_ascii_hexdigit() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::bench::{CLIENT, cloud};

    fn status(word: &str) -> Value {
        json!({"id": "wamid.A", "status": word, "timestamp": "1750030073", "recipient_id": "5511987654321",
            "biz_opaque_callback_data": CLIENT, "pricing": {"billable": true, "pricing_model": "PMP"}})
    }

    #[test]
    fn every_step_is_a_receipt_of_its_message() {
        let (_, cloud) = cloud("");
        for (word, kind) in [
            ("sent", ReceiptKind::Server),
            ("delivered", ReceiptKind::Delivered),
            ("read", ReceiptKind::Read),
            ("played", ReceiptKind::Played),
        ] {
            let Some(Event::Receipt(receipt)) = read(&cloud, &status(word)) else { panic!("{word}") };
            assert_eq!((receipt.kind, receipt.client_id.as_deref()), (kind, Some(CLIENT)));
            assert_eq!((receipt.at_millis, receipt.recipient.as_deref()), (1_750_030_073_000, Some("5511987654321")));
        }
        let mut foreign = status("sent");
        foreign["biz_opaque_callback_data"] = json!("campaign-7");
        let Some(Event::Receipt(receipt)) = read(&cloud, &foreign) else { panic!("a receipt") };
        assert_eq!(receipt.client_id, None);
        assert!(matches!(read(&cloud, &status("dancing")), Some(Event::Other((kind, _))) if kind == "meta.status"));
        assert_eq!(read(&cloud, &json!({"status": "sent"})), None);
    }

    #[test]
    fn every_code_of_a_failure_has_its_effect() {
        let (_, cloud) = cloud("");
        for (code, subcode, meaning) in codes::ALL {
            let mut failed = status("failed");
            failed["errors"] = json!([{"code": code, "error_subcode": subcode, "title": "Title", "message": "Title",
                "error_data": {"details": "Details of +55 11 98765-4321"}, "href": "https://x.example"}]);
            let Some(Event::Other((kind, json))) = read(&cloud, &failed) else { panic!("{code}") };
            let told: Value = serde_json::from_str(&json).expect("JSON");
            assert_eq!((kind.as_str(), &told["clientId"]), ("failed", &json!(CLIENT)));
            assert_eq!(told["code"], json!(code.to_string()));
            assert_eq!(told["effect"].as_str(), meaning.effect(), "{code}");
            let refused = (*meaning == Meaning::OptOut).then_some(codes::REFUSABLE);
            assert_eq!(told["category"].as_str(), refused, "{code}");
            assert_eq!(told["reason"], "Title: Details of +#");
        }
        let Some(Event::Other((_, json))) = read(&cloud, &status("failed")) else { panic!("a failure") };
        assert!(json.contains("does not say why") && !json.contains("code\""), "{json}");
    }
}
