//! The page that tells the version, on the websocket's port, and clients that are refused for theirs.

use pombo_whatsapp_sim::peer::{Error, post};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stage::{ANA, pair, stage};

/// The whole answer to a request for the page.
async fn page(port: u16) -> String {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    stream.write_all(b"GET /sw.js HTTP/1.1\r\nhost: sim\r\n\r\n").await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_tells_the_version_that_a_test_wants() {
    let simulator = stage(&[ANA]).await;
    let url = format!("{}/web-version", simulator.admin_url());
    assert!(page(simulator.ports().ws).await.starts_with("HTTP/1.1 200"));
    post(&url, &json!({ "served": 1_046_000_000 })).await.expect("changed");
    assert!(page(simulator.ports().ws).await.contains(r#"\"client_revision\":1046000000"#));
    let shown = post(&url, &json!({ "served": 0 })).await.expect("changed");
    assert!(page(simulator.ports().ws).await.starts_with("HTTP/1.1 503"));
    assert_eq!((&shown["reads"], &shown["floor"]), (&json!(2), &json!(0)));
    let wrong = post(&url, &json!({ "ceiling": 1 })).await.expect_err("no such field");
    assert!(matches!(wrong, Error::Admin { status: 400, .. }), "{wrong}");
    // The websocket is where it was.
    pair(&simulator, ANA).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_below_the_floor_does_not_get_in_until_the_floor_falls() {
    let simulator = stage(&[ANA]).await;
    let ana = pair(&simulator, ANA).await;
    let web = &simulator.world().web_version;
    web.accept_from(u32::MAX);
    ana.disconnect().await;
    ana.connect().await.expect("begins");
    let refused = tokio::time::timeout(std::time::Duration::from_secs(30), web.has_refused(1));
    refused.await.expect("the login was refused");
    assert!(ana.client().is_ok_and(|client| !client.is_logged_in()));
    web.accept_from(0);
    ana.reconnect().await.expect("logs in again");
}
