//! kill -9 while two thousand conversations are being answered: every event is handled once, every answer sent once.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pombo_tests::automation::{automate, install, variant};
use pombo_tests::files::noise;
use pombo_tests::server::Server;
use serde_json::json;

use crate::shared::{Chat, options};

const CONVERSATIONS: usize = 2_000;
const MESSAGES: usize = 3;
const KILLS: usize = 15;

#[test]
fn two_thousand_conversations_survive_kills() -> Result<()> {
    let mut server = Server::start(options("")?)?;
    let chat = Chat::new(&server)?;
    let (echo, _) = install(&chat.tenant.client, &variant("echo", "count")?)?;
    automate(&chat.tenant, &chat.connector, &echo, &json!({}))?;
    let total = CONVERSATIONS * MESSAGES;
    let mut written = 0;
    for (kill, moment) in noise(KILLS, 0xa11ce).into_iter().enumerate() {
        let upto = total * (kill + 1) / KILLS;
        chat.pipe
            .write_all((written..upto).map(|n| (format!("c{}", n % CONVERSATIONS), format!("m{}", n / CONVERSATIONS))));
        written = upto;
        // Somewhere in the middle of answering what was just written.
        let (before, _) = chat.pipe.counts();
        let goal = (before + usize::from(moment)).min(upto.saturating_sub(1));
        chat.pipe.wait("some answers", Duration::from_secs(120), |sent| sent.len() >= goal)?;
        server.kill()?;
        server.launch().with_context(|| format!("after kill {kill}"))?;
    }
    chat.pipe.wait("every answer", Duration::from_secs(300), |sent| sent.len() >= total)?;
    chat.tenant.wait_total(&[("status", "SENT")], total as u64, Duration::from_secs(120))?;

    let mut of: HashMap<String, Vec<String>> = HashMap::new();
    for sent in chat.pipe.sent() {
        of.entry(sent.to).or_default().push(sent.text);
    }
    ensure!(of.len() == CONVERSATIONS, "{} conversations were answered", of.len());
    for (chat, answers) in &of {
        ensure!(answers.len() == MESSAGES, "{chat}: {answers:?}");
        // The echo counts in its state: each event changed it once, in order.
        for n in 0..MESSAGES {
            let expected = format!("m{n} #{}", n + 1);
            ensure!(answers.contains(&expected), "{chat}: {answers:?}");
        }
    }
    server.terminate(Duration::from_secs(60))?;
    server.inspect()?;
    Ok(())
}
