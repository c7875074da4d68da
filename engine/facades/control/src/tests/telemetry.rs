//! Logs, their stream, and figures.

use futures::StreamExt;
use poem::Request;
use poem::http::Method;
use serde_json::{Value, json};

use super::support::{Caller, Engine, Refused};

#[tokio::test]
async fn a_log_is_paged_and_a_tenant_sees_the_lines_of_its_own_instances() {
    let engine = Engine::new().await;
    let (a, b) = (engine.a.tenant.index, engine.b.tenant.index);
    for n in 0..4 {
        engine.world.telemetry.write("connector-chat", if n % 2 == 0 { a } else { b }, &n.to_string());
    }
    let page = |query: &str| {
        let (engine, path) = (&engine, format!("/v1/plugins/connector-chat/logs{query}"));
        async move { engine.get(&engine.a, &path).await }
    };
    let texts = |page: &Value| -> Vec<String> {
        let text = |line: &Value| line["text"].as_str().unwrap_or_default().to_owned();
        page["data"].as_array().expect("a list").iter().map(text).collect()
    };
    let all = page("").await.expect(200);
    assert_eq!((texts(&all), &all["next"]), (vec!["0".to_owned(), "2".to_owned()], &json!(3)));
    let line = &all["data"][0];
    assert_eq!(
        (&line["number"], &line["level"], &line["digest"]),
        (&json!(1), &json!("info"), &json!("00".repeat(32)))
    );
    assert_eq!(texts(&page("?limit=1").await.expect(200)), ["0"]);
    assert_eq!(texts(&page("?after=1").await.expect(200)), ["2"]);
    let latest = page("?after=latest").await.expect(200);
    assert_eq!((texts(&latest), &latest["next"]), (vec![], &json!(3)));
    // Numbers start again with the engine: a cursor from before does not hide lines.
    assert_eq!(texts(&page("?after=900").await.expect(200)).len(), 2);
    assert_eq!(page("?limit=1001").await.error(400).1, ["limit"]);
    assert_eq!(page("?after=x").await.error(400).1, ["after"]);
    let whole = engine.operate("GET", "/v1/plugins/connector-chat/logs", None).await.expect(200);
    assert_eq!(texts(&whole), ["0", "1", "2", "3"]);
    assert_eq!(engine.get(&engine.a, "/v1/plugins/nothing/logs").await.error(404).0, "not_found");
}

#[tokio::test]
async fn figures_are_told_to_the_owner_by_version() {
    let engine = Engine::new().await;
    engine.install(&engine.a, json!({"name": "acme-bot"})).await;
    let usage = engine.get(&engine.a, "/v1/plugins/acme-bot/usage").await.expect(200);
    let expected = json!({
        "digest": "00".repeat(32), "calls": 9, "traps": 1, "failures": 2, "failuresByCode": {"trap": 1}, "p50Us": 40,
        "p99Us": 80, "cpuUs": 70, "memoryPeak": 60, "droppedLines": 3
    });
    assert_eq!(usage, json!({"versions": [expected]}));
    let chat = engine.operate("GET", "/v1/plugins/connector-chat/usage", None).await.expect(200);
    assert_eq!(chat["versions"][0]["version"], "0.1.0");
    assert_eq!(engine.get(&engine.a, "/v1/plugins/connector-chat/usage").await.error(403).0, "forbidden");
}

fn follow(caller: &Caller, query: &str, last: Option<&str>) -> Request {
    let uri = format!("/v1/plugins/connector-chat/logs/stream{query}").parse().expect("a path");
    let mut request = Request::builder().method(Method::GET).uri(uri).header("x-api-key", &caller.key);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    request.finish()
}

/// The stream's pieces, in order.
async fn pieces(engine: &Engine, request: Request) -> impl futures::Stream<Item = String> + Unpin {
    let mut response = engine.respond(request).await;
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.content_type(), Some("text/event-stream"));
    let stream = response.take_body().into_bytes_stream();
    Box::pin(stream.map(|piece| String::from_utf8(piece.expect("no failure").to_vec()).expect("UTF-8")))
}

#[tokio::test]
async fn a_log_is_followed_live_and_taken_up_again_where_it_was_left() {
    let engine = Engine::new().await;
    engine.world.clock.stand();
    let (a, b) = (engine.a.tenant.index, engine.b.tenant.index);
    let write = |tenant, text: &str| engine.world.telemetry.write("connector-chat", tenant, text);
    write(a, "one");
    let mut stream = pieces(&engine, follow(&engine.a, "", None)).await;
    assert_eq!(stream.next().await.as_deref(), Some("retry: 2000\n\n"), "at once");
    let first = stream.next().await.expect("a line");
    let data = first.strip_prefix("id: 1\nevent: line\ndata: ").and_then(|rest| rest.strip_suffix("\n\n"));
    let data: Value = serde_json::from_str(data.expect("the form of an event")).expect("JSON");
    assert_eq!((&data["number"], &data["text"]), (&json!(1), &json!("one")));
    write(b, "not yours");
    write(a, "two");
    assert!(stream.next().await.expect("a line").contains("\"two\""));

    // Nothing is written for a while.
    let beat = async {
        while engine.world.clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        engine.world.clock.jump(15_000);
    };
    let (beaten, ()) = tokio::join!(stream.next(), beat);
    assert_eq!(beaten.as_deref(), Some(":\n\n"));
    drop(stream);

    let mut again = pieces(&engine, follow(&engine.a, "?after=0", Some("1"))).await;
    again.next().await;
    assert!(again.next().await.expect("a line").starts_with("id: 3\n"), "what was seen is not sent again");
    let mut latest = pieces(&engine, follow(&engine.a, "?after=latest", None)).await;
    latest.next().await;
    write(a, "three");
    assert!(latest.next().await.expect("a line").contains("\"three\""));
    // An hour later the client reconnects, with a credential that is valid then.
    engine.world.clock.jump(3_600_000);
    assert_eq!(latest.next().await, None);
}

#[tokio::test]
async fn a_log_is_not_followed_with_a_revoked_key() {
    let engine = Engine::new().await;
    engine.world.clock.stand();
    let write = |text: &str| engine.world.telemetry.write("connector-chat", engine.a.tenant.index, text);
    let mut stream = pieces(&engine, follow(&engine.a, "", None)).await;
    stream.next().await;
    write("one");
    assert!(stream.next().await.expect("a line").contains("\"one\""));
    let tenant = engine.a.tenant.index;
    let key = engine.world.commands.identify_api_key(&engine.a.key).expect("valid").key.expect("a key");
    engine.world.commands.revoke_api_key(tenant, key).await.expect("revoked");
    write("two");
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn who_follows_is_bounded_and_ends_when_the_engine_does() {
    let engine = Engine::new().await;
    engine.world.clock.stand();
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(pieces(&engine, follow(&engine.a, "", None)).await);
    }
    assert_eq!(engine.world.telemetry.followers(), 16);
    let refused = engine.call(follow(&engine.a, "", None)).await;
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(refused.error(429).0, "rate_limited");
    let _theirs = pieces(&engine, follow(&engine.b, "", None)).await;
    let mut last = streams.pop().expect("sixteen");
    drop(streams);
    let _again = pieces(&engine, follow(&engine.a, "", None)).await;
    last.next().await;
    engine.draining.cancel();
    assert_eq!(last.next().await, None);
    let gone = engine.operate("GET", "/v1/plugins/nothing/logs/stream", None).await;
    assert_eq!(gone.error(404).0, "not_found");
}
