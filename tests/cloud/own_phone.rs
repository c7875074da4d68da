//! What is written on the business's own phone, where the number is used there as well, and what people take back: edits and deletions of
//! messages, shown with the message that they concern.

use anyhow::{Context, Result, ensure};
use pombo_tests::meta::{Line, now, wamid};
use pombo_tests::tenant::text_of;
use pombo_tests::whatsapp::Events;
use serde_json::{Value, json};

use crate::shared::{Bench, person};

/// An update with what somebody wrote on the phone.
fn echo(line: &Line, message: &Value) -> Value {
    let value = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": line.display, "phone_number_id": line.phone_number_id},
        "message_echoes": [message]});
    line.other("smb_message_echoes", &value)
}

/// Such a message to this person.
fn typed(line: &Line, to: &str, id: &str, further: &Value) -> Value {
    let mut message = json!({"from": line.display, "to": to, "id": id, "timestamp": now().to_string()});
    pombo_tests::tenant::merge(&mut message, further);
    message
}

fn text(body: &str) -> Value {
    json!({"type": "text", "text": {"body": body}})
}

#[test]
fn what_is_written_on_the_phone_is_the_accounts_own_and_opens_no_window() -> Result<()> {
    let bench = Bench::silent()?;
    let (line, who, id) = (bench.graph.line(), person(), wamid());
    let first = echo(&line, &typed(&line, &who, &id, &text("Bom dia, aqui é a Padaria")));
    // Meta repeats what it is not sure of.
    for _ in 0..3 {
        bench.hook.post(&first)?;
    }
    let mut events = Events::all(&bench.tenant);
    let message = events.message(&id)?;
    assert_eq!((&message["fromMe"], &message["chat"]), (&json!(true), &json!(who)), "{message}");
    let conversation = bench.conversation(&who)?;
    assert_eq!(
        (&conversation["unread"], &conversation["replyWindow"]["open"]),
        (&json!(0), &json!(false)),
        "{conversation}"
    );
    ensure!(bench.try_queue(&json!({"to": who, "text": "e um texto"}))?.status == 409, "the window is open");
    let said = bench.said(&who)?;
    assert_eq!(said.len(), 1, "it is there once: {said:?}");
    assert_eq!((&said[0]["direction"], &said[0]["author"]["kind"]), (&json!("out"), &json!("account")), "{}", said[0]);
    assert_eq!(said[0]["providerId"], id.as_str());

    // The person answers, and the answer names the message.
    let answer = wamid();
    let mut message = pombo_tests::meta::said(&who, &answer, "bom dia!", now());
    message["context"] = json!({"from": line.display, "id": id});
    bench.hook.post(&line.body(&[line.messages(&[pombo_tests::meta::contact(&who, "Ana")], &[message])]))?;
    events.message(&answer)?;
    let said = bench.said(&who)?;
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[1]["replyTo"]["excerpt"], "Bom dia, aqui é a Padaria", "{}", said[1]);
    let conversation = bench.conversation(&who)?;
    assert_eq!(
        (&conversation["unread"], &conversation["replyWindow"]["open"]),
        (&json!(1), &json!(true)),
        "{conversation}"
    );

    // What is typed next answers the person.
    ensure!(conversation["waitingSince"].is_string(), "{conversation}");
    let next = wamid();
    bench.hook.post(&echo(&line, &typed(&line, &who, &next, &text("o pão saiu"))))?;
    events.message(&next)?;
    ensure!(bench.conversation(&who)?["waitingSince"].is_null(), "nobody waits any more");
    assert_eq!(bench.graph.messages_to(&who)?, 0, "nothing of it is sent again");
    Ok(())
}

#[test]
fn what_was_typed_may_be_changed_and_deleted_on_the_phone() -> Result<()> {
    let bench = Bench::silent()?;
    let (line, who, id) = (bench.graph.line(), person(), wamid());
    bench.hook.post(&echo(&line, &typed(&line, &who, &id, &text("as 8h"))))?;
    let edit = json!({"type": "edit", "edit": {"original_message_id": id, "message": text("às 8h")}});
    bench.hook.post(&echo(&line, &typed(&line, &who, &wamid(), &edit)))?;
    let mut events = Events::all(&bench.tenant);
    events.expect("the edit", |event| event["data"]["edit"]["of"] == id.as_str())?;
    let said = bench.said(&who)?;
    assert_eq!((said.len(), &said[0]["text"]), (1, &json!("às 8h")), "{said:?}");
    ensure!(said[0]["editedAt"].is_string(), "{said:?}");
    let revoke = json!({"type": "revoke", "revoke": {"original_message_id": id}});
    bench.hook.post(&echo(&line, &typed(&line, &who, &wamid(), &revoke)))?;
    events.expect("the deletion", |event| event["data"]["revoked"] == id.as_str())?;
    let said = bench.said(&who)?;
    ensure!(said.len() == 1 && said[0]["revokedAt"].is_string() && said[0]["text"].is_null(), "{said:?}");
    Ok(())
}

#[test]
fn people_change_and_delete_what_they_wrote() -> Result<()> {
    let bench = Bench::new()?;
    let who = person();
    let first = bench.opened(&who)?;
    let second = bench.graph.says(&who, &text("quero 10 paes"))?;
    let mut events = Events::all(&bench.tenant);
    events.message(&second)?;
    let edit = json!({"type": "edit", "edit": {"original_message_id": second, "message": text("quero 12 pães")}});
    bench.graph.says(&who, &edit)?;
    let told = events.expect("the edit", |event| event["data"]["edit"]["of"] == second.as_str())?;
    assert_eq!((&told["data"]["kind"], &told["data"]["edit"]["text"]), (&json!("edit"), &json!("quero 12 pães")));
    bench.graph.deletes(&who, &first)?;
    events.expect("the deletion", |event| event["data"]["revoked"] == first.as_str())?;

    // Both are shown with their message, and are none themselves.
    let said = bench.said(&who)?;
    assert_eq!(said.len(), 2, "{said:?}");
    ensure!(said[0]["revokedAt"].is_string() && said[0]["text"].is_null(), "{}", said[0]);
    ensure!(said[1]["editedAt"].is_string() && said[1]["text"] == "quero 12 pães", "{}", said[1]);
    assert_eq!(bench.conversation(&who)?["lastMessage"]["kind"], "text");
    // An answer names the message that was changed, and the deleted words are nowhere in the history.
    let shown = json!(said).to_string();
    ensure!(!shown.contains("\"oi\"") && !shown.contains("10 paes"), "{shown}");
    bench.send(&json!({"to": who, "text": "12 então", "replyTo": {"providerId": second, "sender": who}}))?;
    let last = bench.said(&who)?.pop().context("nothing was said")?;
    assert_eq!(last["replyTo"]["excerpt"], "quero 12 pães", "{last}");
    ensure!(text_of(&last, "providerId")?.starts_with("wamid."), "{last}");
    bench.nothing_violated()
}

/// What concerns a message that nobody knows, or another person's, changes nothing.
#[test]
fn nobody_changes_what_another_wrote() -> Result<()> {
    let bench = Bench::new()?;
    let (ana, bia) = (person(), person());
    let (hers, theirs) = (bench.opened(&ana)?, bench.opened(&bia)?);
    let edit = json!({"type": "edit", "edit": {"original_message_id": hers, "message": text("não é meu")}});
    bench.graph.says(&bia, &edit)?;
    let revoke = |of: &str| json!({"type": "revoke", "revoke": {"original_message_id": of}});
    bench.graph.says(&bia, &revoke(&hers))?;
    bench.graph.says(&bia, &revoke(&wamid()))?;
    let last = bench.graph.says(&bia, &text("e agora?"))?;
    Events::all(&bench.tenant).message(&last)?;
    let said = bench.said(&ana)?;
    ensure!(said.len() == 1 && said[0]["text"] == "oi" && said[0]["editedAt"].is_null(), "{said:?}");
    ensure!(said[0]["revokedAt"].is_null(), "{said:?}");
    let said = bench.said(&bia)?;
    ensure!(said[0]["providerId"] == theirs.as_str() && said[0]["text"] == "oi", "{said:?}");
    Ok(())
}
