//! Zapini's documented receivers of webhooks, in Node and PHP, verify what is posted. The Node one parses the body and signs what
//! `JSON.stringify` makes of it, so a post must be written exactly as JavaScript writes it, whatever people write.
//!
//! Their lines stand in `tests/fixtures/zapini` as the documentation has them; `verify.php` is nothing else.

use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use pombo_tests::files::hmac_sha256;
use pombo_tests::http::Client;
use pombo_tests::process::{Watched, free_port, root};
use pombo_tests::server::Server;
use pombo_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use crate::shared::{Chat, options};

/// The secret that the samples name.
const SECRET: &str = "your_webhook_secret";

/// A sample that is being served.
struct Sample {
    address: SocketAddr,
    _process: Watched,
}

impl Sample {
    fn start(program: &str, arguments: impl Fn(u16) -> Vec<String>) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(program);
        command.args(arguments(port)).current_dir(root().join("tests/fixtures/zapini"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let started = Watched::start(&mut command);
        let mut process = started.with_context(|| format!("`tests/setup.sh test` installs {program}"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        until(&format!("{program} to accept connections"), Duration::from_secs(60), || {
            if let Some(status) = process.ended()? {
                bail!("{program} ended: {status}");
            }
            Ok(TcpStream::connect(address).ok())
        })?;
        Ok(Self { address, _process: process })
    }
}

/// What people write: name and text.
fn written() -> Vec<(&'static str, String)> {
    let control: String = (1..0x20).chain([0x7f, 0x85, 0x9f]).filter_map(char::from_u32).collect();
    let long: String = "coração \u{1F469}\u{200D}\u{1F4BB} ".repeat(60_000 / 22);
    vec![
        ("João D'Ávila", "Olá! Ação, coração, ñandú, ß, İ, ﬁ, e\u{301}".to_owned()),
        ("👩🏽\u{200D}🚀 Ana", "👨\u{200D}👩\u{200D}👧\u{200D}👦 🏳\u{FE0F}\u{200D}🌈 👍🏽 1\u{FE0F}\u{20E3} 🇧🇷".to_owned()),
        ("\"Zé\"", "\"aspas\" 'simples' `crase` \\ \\\\ \\u00e9 \\n".to_owned()),
        ("a/b\\c", "https://exemplo.com/a?b=c&d=<e> </script><!-- // -->".to_owned()),
        ("\u{2028}", "antes\u{2028}depois\u{2029}fim\u{FEFF}\u{200B}\u{202E}abc\u{202C}\u{FFFF}\u{10FFFF}".to_owned()),
        ("controle", control),
        ("1234567890123456789012", "123456789012345678901234567890 1e400 -0 0.10 9007199254740993 0x1F".to_owned()),
        ("{}", "{\"__proto__\": [1.0, 2e3, null], \"1\": \"a\", \"0\": \"b\"}".to_owned()),
        ("espaços", "   \t dois  espaços \r\n e uma linha\n".to_owned()),
        ("longo", long),
    ]
}

/// Has one connector tell the sample everything, and forges a post.
fn verifies(server: &Server, sample: &Sample) -> Result<()> {
    let chat = Chat::new(server)?;
    let client = &chat.tenant.client;
    let webhook = format!("/v1/connectors/{}/webhook", chat.connector);
    let set = json!({"webhookUrl": format!("http://{}/webhook", sample.address), "secret": SECRET});
    client.put(&webhook, &set)?.expect(200)?;
    let people = written();
    let count = people.len();
    let messages = people.into_iter().enumerate();
    chat.pipe.write_named(messages.map(|(n, (name, text))| (format!("55119{n:08}"), name.to_owned(), text)));
    let answer = json!({"to": "5511900000000", "text": "até já 👋🏽 \u{2028}\"fim\"/"});
    client.post(&format!("/v1/connectors/{}/messages", chat.connector), &answer)?.expect(201)?;

    // A message that is sent is told, and so is that it was.
    let posts: Vec<Value> = until("every post to be made", PATIENCE, || {
        let page = client.get(&format!("{webhook}/deliveries?limit=250"))?.expect_json(200)?;
        let all = page["data"].as_array().context("no data")?;
        let is_done = all.len() >= count + 2 && all.iter().all(|post| post["status"] != "PENDING");
        Ok(is_done.then(|| all.clone()))
    })?;
    ensure!(posts.len() == count + 2, "{} posts of {}", posts.len(), count + 2);
    for post in &posts {
        let attempts = post["attempts"].as_array().context("no attempts")?;
        let verified = attempts.last().is_some_and(|attempt| attempt["status"] == 200);
        ensure!(verified && attempts.iter().all(|attempt| attempt["status"] != 401), "it was not verified: {post}");
    }

    // Signed with another secret.
    let body = json!({"event": "message.received", "data": {"content": "pague já"}});
    let signature = hmac_sha256(b"another secret", body.to_string().as_bytes())?;
    let forged = |signature: &str| -> Result<u16> {
        let request = Client::new(sample.address).request("POST", "/webhook").header("X-Webhook-Signature", signature);
        Ok(request.json(&body).send()?.status)
    };
    assert_eq!(forged(&signature)?, 401);
    assert_eq!(forged(&hmac_sha256(SECRET.as_bytes(), body.to_string().as_bytes())?)?, 200);
    Ok(())
}

#[test]
fn the_documented_receivers_verify_what_is_posted() -> Result<()> {
    let server = Server::start(options("[webhooks]\ntimeout_seconds = 20\n")?)?;
    let node = Sample::start("node", |port| vec!["verify.js".to_owned(), port.to_string()])?;
    let php = Sample::start("php", |port| vec!["-S".to_owned(), format!("127.0.0.1:{port}"), "verify.php".to_owned()])?;
    verifies(&server, &node).context("the sample in Node")?;
    verifies(&server, &php).context("the sample in PHP")
}
