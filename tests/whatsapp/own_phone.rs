//! The owner answers on the account's own phone: the automation keeps silent until the conversation is given back.

use anyhow::{Context, Result, ensure};
use pombo_tests::automation::{automate, conversation};
use pombo_tests::tenant::text_of;
use pombo_tests::whatsapp::Events;
use pombo_whatsapp_sim::peer::Kind;
use serde_json::{Value, json};

use crate::shared::pair;

#[test]
fn answering_on_the_phone_pauses_the_automation_until_a_word_gives_the_conversation_back() -> Result<()> {
    let (stage, pair) = pair()?;
    let (whatsapp, peer) = (&stage.whatsapp, &pair.peer);
    let mut events = Events::from_now(&pair.tenant)?;
    let chat = format!("{}@s.whatsapp.net", pair.ours).parse()?;
    let flow = json!({"flow": {"start": "a", "steps": {
        "a": {"type": "question", "text": "Como posso ajudar?", "variable": "x", "next": "e"},
        "e": {"type": "end", "text": "Anotado."}}}});
    automate(&pair.tenant, &pair.connector, "flow", &flow)?;
    whatsapp.wait(peer.send_text(&chat, "oi"))?;
    assert_eq!(whatsapp.wait(peer.next_message())?.text.as_deref(), Some("Como posso ajudar?"));

    let types = |text: &str| -> Result<String> {
        let sent = whatsapp.admin(&format!("/phones/{}/send", pair.ours), &json!({"to": pair.theirs, "text": text}))?;
        text_of(&sent, "id")
    };
    let step = |step: &'static str| {
        let chat = pair.theirs.clone();
        move |e: &Value| {
            e["type"] == "conversation.changed" && e["data"]["step"] == step && e["data"]["chat"] == chat.as_str()
        }
    };
    let own = types("Oi, aqui é a dona.")?;
    assert_eq!(events.message(&own)?["fromMe"], true);
    let paused = events.expect("the pause", step("paused"))?;
    assert_eq!((&paused["data"]["by"], &paused["data"]["detail"]), (&json!("phone"), &json!("answered on the phone")));
    assert_eq!(whatsapp.wait(peer.next_message())?.text.as_deref(), Some("Oi, aqui é a dona."));
    let shown = conversation(&pair.tenant, &pair.theirs)?;
    assert_eq!((&shown["paused"], &shown["handover"]["by"]), (&json!(true), &json!("phone")), "{shown}");
    ensure!(shown["handover"]["until"].as_str() > shown["handover"]["at"].as_str(), "it ends by itself: {shown}");

    // Answered by hand, then asked again: only the latter is left to the automation.
    let first = whatsapp.wait(peer.send_text(&chat, "quanto custa o bolo?"))?;
    events.message(&first)?;
    events.message(&types("Sessenta reais.")?)?;
    assert_eq!(whatsapp.wait(peer.next_message())?.text.as_deref(), Some("Sessenta reais."));
    let second = whatsapp.wait(peer.send_text(&chat, "quero um"))?;
    events.message(&second)?;

    let word = types("/bot")?;
    let resumed = events.expect("the end of the pause", step("resumed"))?;
    assert_eq!(resumed["data"]["by"], "phone");
    let mut answers = Vec::new();
    let mut deleted = false;
    while answers.is_empty() || !deleted {
        let got = whatsapp.wait(peer.next_message())?;
        match got.kind {
            Kind::Revoke => {
                assert_eq!(got.target.as_deref(), Some(word.as_str()));
                deleted = true;
            }
            _ if got.id == word => {}
            _ => answers.push(got.text.context("a text")?),
        }
    }
    assert_eq!(answers, ["Anotado."], "one answer, to what nobody answered");
    ensure!(conversation(&pair.tenant, &pair.theirs)?["handover"].is_null(), "it is the automation's again");
    let by_phone = |e: &&Value| e["type"] == "conversation.changed" && e["data"]["by"] == "phone";
    let steps = |all: &[Value]| all.iter().filter(by_phone).count();
    assert_eq!(steps(events.drain()?), 2, "paused and resumed, each once");
    Ok(())
}
