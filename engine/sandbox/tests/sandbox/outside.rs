//! `http`, its exchanges, and `websocket`: what is reached and what is not, bounds, deadlines, and servers that fail.

use std::time::Duration;

use pombo_domain::ports::{Connectors, SendOutcome};
use pombo_sandbox::Limits;
use serde_json::{Value, json};

use crate::sessions::{config, with_probe};
use crate::support::{Wish, World, spec};
use crate::web::{Manner, Web, websocket};

async fn probe(wish: Wish) -> World {
    let world = with_probe(wish).await;
    world.start(1, "hostile-probe", config(json!({}))).await;
    world
}

async fn refused(world: &World, task: Value, expected: [&str; 2]) {
    let shown = task.to_string();
    let why = world.told_to(1, task).await.expect_err(&shown);
    assert!(expected.iter().all(|e| why.contains(e)), "{shown}: {why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_and_its_answer_arrive() {
    let (world, web) = (probe(Wish::default()).await, Web::start().await);
    let task = json!({
        "do": "http", "method": "PUT", "url": web.url("/hello"), "body": "olá", "headers": {"x-note": "n1", "content-length": "9"}
    });
    assert_eq!(world.told_to(1, task).await.as_deref(), Ok("201 PUT n1 olá"));
    let task = json!({"do": "http", "url": web.url("/redirect")});
    assert_eq!(world.told_to(1, task).await.as_deref(), Ok("302 "), "redirects are the plugin's to follow");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_must_not_be_made_are_not() {
    let (world, web) = (probe(Wish::default()).await, Web::start().await);
    let (hello, port) = (web.url("/hello"), web.port);
    for (what, kind) in [("http", ""), ("exchange", "")] {
        let task = |url: &str, headers: Value| json!({"do": what, "url": url, "headers": headers, "kind": kind});
        refused(&world, task(&format!("http://localhost:{port}/"), json!({})), ["Refused", "not among those"]).await;
        refused(&world, task("http://wild.test/", json!({})), ["Refused", "not among those"]).await;
        refused(&world, task("ftp://127.0.0.1/", json!({})), ["Invalid", "must begin with"]).await;
        refused(&world, task("nonsense", json!({})), ["Invalid", "not a URL"]).await;
        refused(&world, task(&hello, json!({"a b": "x"})), ["Invalid", "not a header name"]).await;
        refused(&world, task(&hello, json!({"a": "x\ny"})), ["Invalid", "not allowed in a header"]).await;
        refused(&world, task(&hello, json!({"Host": "other"})), ["Invalid", "the host's to set"]).await;
        refused(&world, task(&hello, json!({"a": "{{secret:password}}"})), ["Refused", "TLS only"]).await;
    }
    // Below one of the plugin's suffixes the request is made, but no such name exists.
    refused(&world, json!({"do": "http", "url": "http://a.wild.test/"}), ["NotConnected", ""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_the_operator_names_gets_secrets_without_tls() {
    let (web, other) = (Web::start().await, Web::start().await);
    let plain = vec![format!("127.0.0.1:{}", web.port)];
    let world = probe(Wish { plain, ..Wish::default() }).await;
    let task = |url: String| json!({"do": "http", "method": "PUT", "url": url, "body": "", "headers": {"x-note": "{{secret:password}}"}});
    assert_eq!(world.told_to(1, task(web.url("/hello"))).await.as_deref(), Ok("201 PUT s3cret "));
    refused(&world, task(other.url("/hello")), ["Refused", "TLS only"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_of_two_secrets_stands_in_a_query_or_a_header() {
    let web = Web::start().await;
    let world = probe(Wish { plain: vec![format!("127.0.0.1:{}", web.port)], ..Wish::default() }).await;
    // printf s3cret | openssl dgst -sha256 -hmac s3cret
    let proof = "8125120e534c4f05b95a6a1efdfeb163db06adabbe2c3a50211815e14ca7bc0a";
    let asked = "{{hmac-sha256:password:password}}";
    let query = json!({"do": "http", "url": web.url(&format!("/query?a=1&proof={asked}"))});
    assert_eq!(world.told_to(1, query).await, Ok(format!("200 a=1&proof={proof}")));
    let header = json!({"do": "http", "url": web.url("/hello"), "headers": {"x-note": asked}});
    assert_eq!(world.told_to(1, header).await, Ok(format!("201 GET {proof} ")));
    let whole = json!({"do": "http", "url": web.url("/query?a=1&token={{secret:password}}")});
    assert_eq!(world.told_to(1, whole).await.as_deref(), Ok("200 a=1&token=s3cret"));
    let unset = json!({"do": "http", "url": web.url("/query?proof={{hmac-sha256:other:password}}")});
    refused(&world, unset, ["Refused", "is not set"]).await;
    let plain = Web::start().await;
    for asked in [asked, "{{secret:password}}"] {
        let task = json!({"do": "http", "url": plain.url(&format!("/query?proof={asked}"))});
        refused(&world, task, ["Refused", "TLS only"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_are_the_guards_to_refuse() {
    let (world, web) = (probe(Wish { loopback: false, ..Wish::default() }).await, Web::start().await);
    for what in ["http", "exchange"] {
        refused(&world, json!({"do": what, "url": web.url("/hello")}), ["Refused", ""]).await;
    }
    let url = websocket(Manner::Echo).await;
    refused(&world, json!({"do": "open", "url": url}), ["Refused", ""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_fail_are_told_by_how_far_it_came() {
    let (world, web) = (probe(Wish::default()).await, Web::start().await);
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        listener.local_addr().expect("bound").port()
    };
    for what in ["http", "exchange"] {
        let task = |url: String| json!({"do": what, "url": url, "timeout": 300});
        refused(&world, task(format!("http://127.0.0.1:{closed}/")), ["NotConnected", ""]).await;
        refused(&world, task(web.url("/break")), ["Interrupted", ""]).await;
        refused(&world, task(web.url("/break-body")), ["Interrupted", "in the answer"]).await;
        refused(&world, task(web.url("/hang")), ["Interrupted", "in time"]).await;
        refused(&world, task(web.url("/huge")), ["TooLarge", "99999999999"]).await;
    }
    refused(&world, json!({"do": "exchange", "url": web.url("/break"), "size": 5 << 20}), ["Interrupted", ""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_both_ways_without_standing_in_the_guest() {
    let wish = Wish::default();
    let limits = Limits { host_call: Duration::from_secs(20), send: Duration::from_secs(60), ..wish.limits.clone() };
    let (world, web) = (probe(Wish { limits, ..wish }).await, Web::start().await);
    for size in [0, 1, 300_000, 50 << 20] {
        let said = world.told_to(1, json!({"do": "exchange", "url": web.url("/echo"), "size": size})).await;
        let said = said.expect("goes through");
        let words: Vec<_> = said.split(' ').collect();
        assert_eq!(words[..3], ["200", &size.to_string(), "true"], "{said}");
        let pages: u32 = words[3].parse().expect("a number");
        assert!(pages <= 64, "the guest's memory grew by {pages} pages of 64 KiB for {size} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_keeps_to_what_it_announced() {
    let (world, mut web) = (probe(Wish::default()).await, Web::start().await);
    let task = json!({"do": "exchange", "url": web.url("/echo"), "size": 1000, "short": 1});
    refused(&world, task, ["Invalid", "1 bytes of the request's body"]).await;
    refused(&world, json!({"do": "exchange", "url": web.url("/echo"), "size": 1u64 << 40}), ["TooLarge", ""]).await;
    // A server that answers before it has everything is heard.
    let early = world.told_to(1, json!({"do": "exchange", "url": web.url("/early"), "size": 8 << 20})).await;
    assert!(early.as_ref().is_ok_and(|said| said.starts_with("413 3 false")), "{early:?}");
    // One that is dropped is broken off.
    world.told_to(1, json!({"do": "abandon", "url": web.url("/echo"), "size": 5000})).await.expect("is dropped");
    web.until_broken().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_go_both_ways_up_to_some_megabytes() {
    let world = probe(Wish::default()).await;
    let url = websocket(Manner::Echo).await;
    world
        .told_to(1, json!({"do": "open", "url": url, "headers": {"origin": "https://a.example"}}))
        .await
        .expect("opens");
    for (size, count) in [(0, 1), (125, 3), (70_000, 20), (3 << 20, 2)] {
        let task = json!({"do": "ws", "size": size, "count": count});
        assert_eq!(world.told_to(1, task).await.as_deref(), Ok("echoed"), "{size} bytes");
    }
    refused(&world, json!({"do": "ws", "size": 5 << 20}), ["Closed", ""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_socket_is_kept_and_sends_go_on_beside_it() {
    let wish = Wish::default();
    let limits = Limits { host_call: Duration::from_millis(200), ..wish.limits.clone() };
    let world = probe(Wish { limits, ..wish }).await;
    let url = websocket(Manner::Echo).await;
    world.told_to(1, json!({"do": "open", "url": url})).await.expect("opens");
    // Ten deadlines of a host call pass while one call waits for a frame.
    let waiting = world.told_to(1, json!({"do": "wait", "millis": 2000}));
    let receiving = tokio::time::timeout(Duration::from_secs(2), world.told_to(1, json!({"do": "ws-recv"})));
    let (waited, received) = tokio::join!(waiting, receiving);
    assert!(waited.is_ok() && received.is_err(), "{waited:?} {received:?}");
    assert!(matches!(world.send(1, "x").await, SendOutcome::Accepted { .. }));
    refused(&world, json!({"do": "ws-close"}), ["Closed", ""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_end_say_why() {
    let wish = Wish::default();
    let limits = Limits { host_call: Duration::from_millis(500), ..wish.limits.clone() };
    let world = probe(Wish { limits, ..wish }).await;
    let url = websocket(Manner::Goodbye).await;
    world.told_to(1, json!({"do": "open", "url": url})).await.expect("opens");
    refused(&world, json!({"do": "ws-recv"}), ["Closed", "1001 maintenance"]).await;
    let url = websocket(Manner::Break).await;
    world.told_to(1, json!({"do": "open", "url": url})).await.expect("opens");
    refused(&world, json!({"do": "ws-recv"}), ["Closed", ""]).await;
    let url = websocket(Manner::Mute).await;
    refused(&world, json!({"do": "open", "url": url}), ["TimedOut", ""]).await;
    refused(&world, json!({"do": "open", "url": "ws://127.0.0.1:1/"}), ["NotConnected", ""]).await;
    refused(&world, json!({"do": "open", "url": "ws://other.example/"}), ["Refused", "not among those"]).await;
    refused(&world, json!({"do": "open", "url": "http://127.0.0.1/"}), ["Invalid", "must begin with"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unwanted_lines_costs_no_wanted_line() {
    let world = probe(Wish::default()).await;
    world.told_to(1, json!({"do": "log", "count": 100_000})).await.expect("goes on");
    world.sandbox.start(spec(1, "hostile-probe", config(json!({})))).await.expect("starts");
}
