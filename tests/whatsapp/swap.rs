//! A new version of the plugin while messages are under way.

use std::time::Duration;

use anyhow::Result;
use pombo_tests::server::Server;
use pombo_tests::whatsapp::{Events, PLUGIN, WhatsApp, plugins, with};
use serde_json::json;

use crate::shared::pair_on;

#[test]
fn a_swap_under_load_loses_nothing_and_doubles_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let component = folder.path().join(format!("{PLUGIN}.wasm"));
    std::fs::copy(plugins().join(format!("{PLUGIN}.wasm")), &component)?;
    let whatsapp = WhatsApp::start(&[])?;
    let server = Server::start(with(&format!("[sandbox]\nplugin_dir = {:?}\n", folder.path().display().to_string())))?;
    let pair = pair_on(&server, &whatsapp)?;
    let operator = server.operator()?;
    let chat = format!("{}@s.whatsapp.net", pair.ours).parse()?;
    let mut events = Events::all(&pair.tenant);
    let (mut out, mut back) = (Vec::new(), Vec::new());
    for swap in 0..5 {
        for n in 0..20 {
            out.push(pair.queue(&json!({"to": pair.theirs, "text": format!("ida {swap}/{n}")}))?);
            back.push(whatsapp.wait(pair.peer.send_text(&chat, &format!("volta {swap}/{n}")))?);
        }
        // A custom section makes another digest of the same code.
        let mut bytes = std::fs::read(&component)?;
        bytes.extend([0, 2, 1, b'a' + swap]);
        std::fs::write(&component, bytes)?;
        operator.post(&format!("/v1/plugins/{PLUGIN}/reload"), &json!({}))?.expect(200)?;
    }
    // A file that is not a component is refused, and the running one continues.
    std::fs::write(&component, b"not wasm")?;
    let refused = operator.post(&format!("/v1/plugins/{PLUGIN}/reload"), &json!({}))?;
    assert!((400..500).contains(&refused.status), "{refused:?}");
    out.push(pair.queue(&json!({"to": pair.theirs, "text": "a última"}))?);

    for id in &out {
        pair.tenant.wait_status_for(id, &["SENT"], Duration::from_secs(120))?;
    }
    let read = whatsapp.wait(
        pair.peer.wait_for("all of them", |seen| (seen.received.len() >= out.len()).then_some(seen.received.len())),
    )?;
    assert_eq!(read, out.len(), "each once");
    for id in &back {
        events.message(id)?;
    }
    let received = events.drain()?.iter().filter(|e| e["type"] == "message.received").count();
    assert_eq!(received, back.len(), "each once");
    Ok(())
}
