//! WhatsApp locks an account out of starting conversations for a while: strangers wait for the end that it told, and answers go on.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::Events;
use serde_json::json;

use crate::shared::{number, pair, sent};

/// How long the lock lasts, in seconds: long enough to see that nobody new is written to.
const LOCKED_SECONDS: u64 = 20;

#[test]
fn a_locked_account_answers_and_starts_conversations_when_the_lock_ends() -> Result<()> {
    let (stage, pair) = pair()?;
    let (whatsapp, client) = (&stage.whatsapp, &pair.tenant.client);
    let mut events = Events::from_now(&pair.tenant)?;
    let chat = format!("{}@s.whatsapp.net", pair.ours).parse()?;
    let asked = whatsapp.wait(pair.peer.send_text(&chat, "vocês abrem hoje?"))?;
    events.message(&asked)?;
    let stranger = number();
    whatsapp.register(&stranger)?;

    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let lock = json!({"kind": "reachoutTimelock", "on": {"phone": pair.ours}, "until": now + LOCKED_SECONDS});
    whatsapp.admin("/announce", &lock)?;
    let path = format!("/v1/connectors/{}/pace", pair.connector);
    let locked_until = until("the lock", PATIENCE, || {
        let pace = client.get(&path)?.expect_json(200)?;
        Ok(pace["now"]["outreach"]["lockedUntil"].as_str().map(str::to_owned))
    })?;

    let first = pair.queue(&json!({"to": stranger, "text": "Olá! Posso apresentar a loja?"}))?;
    let waits = pair.tenant.wait_status(&first, &["WAITING"])?;
    assert_eq!(waits["reason"]["code"], "outreach", "{waits}");
    assert!(waits["reason"]["detail"].as_str().is_some_and(|detail| detail.contains(&locked_until)), "{waits}");
    let (_, answer) = pair.send(&json!({"to": pair.theirs, "text": "sim, até as seis"}))?;
    whatsapp.wait(pair.peer.message(&answer))?;
    assert_eq!(pair.tenant.message(&first)?["status"], "WAITING", "the answer did not wait for the lock");

    sent(&pair.tenant, &first)?;
    let over = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    assert!(over >= now + LOCKED_SECONDS, "it was sent {over}, before the end");
    Ok(())
}
