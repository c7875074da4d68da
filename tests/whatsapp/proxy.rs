//! A connector with a proxy: pairing, messages, files and reconnects leave by it alone, and by nothing while it is away.
//!
//! The engine runs in a network namespace in which only the proxy is reachable, and in which the kernel counts whatever wants to go
//! elsewhere. Where no namespace can be made, the test says so, and asks the proxy and the names alone: the simulator's name is known to
//! the proxy only.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Result, ensure};
use pombo_tests::files::{noise, sha256};
use pombo_tests::http::Form;
use pombo_tests::network::Namespace;
use pombo_tests::proxy::{PASSWORD, Proxy};
use pombo_tests::server::{self, Server};
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::{Events, PLUGIN, WhatsApp, connected, with};
use pombo_whatsapp_sim::peer::{Attachment, Kind, Media};
use serde_json::{Value, json};

use crate::shared::{number, queue, sent};

/// What the proxy alone resolves.
const NAME: &str = "whatsapp.only-the-proxy.test";

/// The session, once it is disconnected for a reason with these words.
fn disconnected(tenant: &Tenant, connector: &str, words: &str) -> Result<Value> {
    until(&format!("{words:?}"), PATIENCE, || {
        let now = tenant.client.get(&format!("/v1/connectors/{connector}/session"))?.expect_json(200)?;
        let fits = now["status"] == "DISCONNECTED" && now["reason"].as_str().is_some_and(|why| why.contains(words));
        Ok(fits.then_some(now))
    })
}

#[test]
fn nothing_leaves_beside_the_proxy() -> Result<()> {
    let namespace = Namespace::make();
    if let Err(why) = &namespace {
        eprintln!("no network namespace can be made here ({why:#}): the proxy and the names are asked alone");
    }
    let namespace = namespace.ok();
    if let Some(namespace) = &namespace {
        namespace.prove()?;
    }
    let whatsapp = WhatsApp::start(&[])?;
    let outside = namespace.as_ref().map_or(Ipv4Addr::LOCALHOST, Namespace::outside);
    let mut proxy = Proxy::start(outside.into())?;
    let simulator = SocketAddr::from(([127, 0, 0, 1], whatsapp.port()));
    proxy.knows(NAME, simulator);
    let options = server::Options {
        host: IpAddr::V4(namespace.as_ref().map_or(Ipv4Addr::LOCALHOST, Namespace::inside)),
        wrapper: namespace.as_ref().map(Namespace::wrapper).unwrap_or_default(),
        ..with(&format!("proxy_hosts = [\"{outside}\"]\n"))
    };
    let server = Server::start(options)?;
    let before = namespace.as_ref().map(Namespace::astray).transpose()?;

    // Pairing.
    let tenant = Tenant::create(&server)?;
    let chat = format!("{NAME}:{}", whatsapp.port());
    let config = whatsapp.config(&json!({
        "serverHost": chat, "reconnect": {"minMillis": 50, "maxSeconds": 1, "visibleAfter": 1}
    }));
    let media = text_of(&config, "mediaHost")?;
    let made = json!({
        "name": "Loja", "plugin": PLUGIN, "config": config, "proxy": {"url": proxy.url(PASSWORD)}
    });
    let made = tenant.client.post("/v1/connectors", &made)?.expect_json(201)?;
    ensure!(!made.to_string().contains(PASSWORD), "{made}");
    let connector = text_of(&made, "id")?;
    tenant.pace(&connector, &json!({}))?;
    let (ours, theirs) = (number(), number());
    whatsapp.register(&ours)?;
    whatsapp.register(&theirs)?;
    whatsapp.pair(&tenant, &connector, &ours)?;
    let peer = whatsapp.peer(&theirs)?;
    let mut events = Events::from_now(&tenant)?;

    // Messages and files, both ways.
    let send = |body: Value| sent(&tenant, &queue(&tenant, &connector, &body)?);
    let (_, id) = send(json!({"to": theirs, "text": "pelo proxy"}))?;
    whatsapp.wait(peer.message(&id))?;
    let content = noise(200_000, 7);
    let upload = tenant.client.request("POST", "/v1/media");
    let form = Form::new().file("file", "foto.jpg", "image/jpeg", &content);
    let file = text_of(&form.into_request(upload).send()?.expect_json(201)?, "id")?;
    send(json!({"to": theirs, "attachments": [{"id": file, "fileName": "foto.jpg", "contentType": "image/jpeg"}]}))?;
    let got = whatsapp.wait(peer.wait_for("the picture", |seen| {
        seen.received.iter().find(|m| m.kind == Kind::Image && m.media.is_some()).cloned()
    }))?;
    assert_eq!(got.media, Some(Media::Bytes { sha256: sha256(&content), size: content.len() }));
    let address = format!("{ours}@s.whatsapp.net").parse()?;
    let document = Attachment::Document { file_name: "nota.bin", mime: "application/octet-stream", caption: None };
    let id = whatsapp.wait(peer.send_media(&address, noise(100_000, 8), document))?;
    let came = events.message(&id)?;
    if came["attachment"]["state"] != "ready" {
        events.expect("the file", |e| {
            e["type"] == "message.media" && e["data"]["providerId"] == id.as_str() && e["data"]["state"] == "ready"
        })?;
    }

    // Reconnects.
    for _ in 0..3 {
        whatsapp.admin("/faults", &json!({"kind": "drop", "on": {"phone": ours}}))?;
        let (_, id) = send(json!({"to": theirs, "text": "de novo"}))?;
        whatsapp.wait(peer.message(&id))?;
    }

    // Without the proxy it is disconnected and says why; what is queued waits for it.
    proxy.stop();
    disconnected(&tenant, &connector, "the proxy cannot be reached")?;
    let shown = tenant.client.get(&format!("/v1/connectors/{connector}"))?.expect_json(200)?;
    ensure!(shown["proxy"]["problem"].as_str().is_some_and(|why| why.contains("cannot be reached")), "{shown}");
    ensure!(!shown.to_string().contains(PASSWORD), "{shown}");
    let waiting = queue(&tenant, &connector, &json!({"to": theirs, "text": "quando voltar"}))?;
    proxy.go_on()?;
    connected(&tenant, &connector)?;
    let (_, id) = sent(&tenant, &waiting)?;
    whatsapp.wait(peer.message(&id))?;

    // A password that the proxy refuses is named, and the right one connects the same session.
    let path = format!("/v1/connectors/{connector}");
    tenant.client.patch(&path, &json!({"proxy": {"url": proxy.url("wrong")}}))?.expect(200)?;
    disconnected(&tenant, &connector, "refuses the user name or the password")?;
    tenant.client.patch(&path, &json!({"proxy": {"url": proxy.url(PASSWORD)}}))?.expect(200)?;
    connected(&tenant, &connector)?;

    // Only what the connector may reach was asked for, and nothing was wanted elsewhere.
    let asked = proxy.asked();
    ensure!(asked.contains(&chat) && asked.contains(&media), "{asked:?}");
    ensure!(asked.iter().all(|target| *target == chat || *target == media), "{asked:?}");
    if let (Some(namespace), Some(before)) = (&namespace, before) {
        assert_eq!(namespace.astray()?, before, "something wanted to leave beside the proxy");
    }
    ensure!(!server.log()?.contains(PASSWORD), "the password is in the log");
    Ok(())
}
