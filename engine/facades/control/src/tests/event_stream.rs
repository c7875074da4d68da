//! The log of events as a stream.

use futures::StreamExt;
use poem::Request;
use poem::http::Method;
use pombo_domain::ConnectorIndex;
use pombo_domain::model::EventBody;
use pombo_domain::ports::Store;
use serde_json::{Value, json};

use super::support::{Caller, Engine, Refused};

fn follow(caller: &Caller, query: &str, last: Option<&str>) -> Request {
    let uri = format!("/v1/events/stream{query}").parse().expect("a path");
    let mut request = Request::builder().method(Method::GET).uri(uri).header("x-api-key", &caller.key);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    request.finish()
}

/// The stream's pieces, in order; the first says from where it follows.
async fn pieces(engine: &Engine, request: Request, from: u64) -> impl futures::Stream<Item = String> + Unpin {
    let mut response = engine.respond(request).await;
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.content_type(), Some("text/event-stream"));
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    assert_eq!((header("cache-control"), header("x-accel-buffering")), (Some("no-store"), Some("no")));
    let stream = response.take_body().into_bytes_stream();
    let mut stream =
        Box::pin(stream.map(|piece| String::from_utf8(piece.expect("no failure").to_vec()).expect("UTF-8")));
    let first = stream.next().await.expect("at once");
    let hello = first.strip_prefix("retry: 2000\n").expect("how long to wait before the next try").to_owned();
    let (cursor, name, data) = parsed(Some(hello));
    assert_eq!((cursor, name.as_str(), &data["cursor"]), (from, "hello", &json!(from)));
    let now = engine.state.commands.now().to_iso();
    assert_eq!((&data["serverTime"], &data["version"]), (&json!(now), &json!(env!("CARGO_PKG_VERSION"))));
    stream
}

fn other(n: u64) -> EventBody {
    EventBody::Other("x".to_owned(), n.to_string())
}

fn session() -> EventBody {
    EventBody::Session { state: "connected".into(), account: None, reason: None }
}

/// The id, the name and the data of a piece that is one event.
fn parsed(piece: Option<String>) -> (u64, String, Value) {
    let piece = piece.expect("a piece");
    let lines: Vec<&str> = piece.strip_suffix("\n\n").expect("an end").lines().collect();
    let field = |line: usize, name: &str| lines[line].strip_prefix(name).expect("the form of an event").to_owned();
    assert_eq!(lines.len(), 3, "{piece}");
    let data = serde_json::from_str(&field(2, "data: ")).expect("JSON");
    (field(0, "id: ").parse().expect("a number"), field(1, "event: "), data)
}

/// Lets the clock stand until the stream waits, then lets 15 seconds pass.
async fn silence(engine: &Engine) {
    while engine.world.clock.sleepers() == 0 {
        tokio::task::yield_now().await;
    }
    engine.world.clock.jump(15_000);
}

#[tokio::test]
async fn events_are_followed_live_and_taken_up_where_they_were_left() {
    let engine = Engine::new().await;
    engine.world.clock.stand();
    let (id, index) = engine.chat(&engine.a).await;
    let before = engine.state.commands.last_event(engine.a.tenant.index).expect("readable");
    engine.append(&engine.a, index, other(0)).await;
    let from = before + 1;
    let mut stream = pieces(&engine, follow(&engine.a, "", None), from).await;
    engine.append(&engine.b, ConnectorIndex::NONE, other(9)).await;
    engine.append(&engine.a, index, session()).await;
    let (cursor, name, data) = parsed(stream.next().await);
    assert_eq!((cursor, name.as_str()), (from + 1, "session.changed"));
    // It is what the list shows.
    let page = engine.get(&engine.a, &format!("/v1/events?after={from}")).await.expect(200);
    assert_eq!((&data, &data["connectorId"]), (&page["data"][0], &json!(id)));

    // A comment in the silence says where the client stands.
    let (beaten, ()) = tokio::join!(stream.next(), silence(&engine));
    assert_eq!(beaten, Some(format!(":\nid: {cursor}\n\n")));
    drop(stream);
    for n in 1..=60 {
        engine.append(&engine.a, index, other(n)).await;
    }
    let mut again = pieces(&engine, follow(&engine.a, "?after=1", Some(&cursor.to_string())), cursor).await;
    for n in 1..=60 {
        let (_, _, data) = parsed(again.next().await);
        assert_eq!(data["data"]["payload"], json!(n), "each once, in order, over several pages");
    }
    // Filters, and a long stretch that does not match.
    let query = format!("?cursor={before}&type=session.changed&connectorId={id}");
    let mut filtered = pieces(&engine, follow(&engine.a, &query, None), before).await;
    assert_eq!(parsed(filtered.next().await).0, from + 1);
    let (beaten, ()) = tokio::join!(filtered.next(), silence(&engine));
    assert_eq!(beaten, Some(format!(":\nid: {}\n\n", cursor + 60)), "the client need not look at those again");
    // An hour later the client reconnects, with a credential that is valid then.
    engine.world.clock.jump(3_600_000);
    assert_eq!(filtered.next().await, None);
}

#[tokio::test]
async fn who_stayed_away_too_long_is_told_and_goes_on_behind_the_gap() {
    let engine = Engine::new().await;
    engine.world.clock.stand();
    let (_, index) = engine.chat(&engine.a).await;
    let tenant = engine.a.tenant.index;
    let base = engine.state.commands.last_event(tenant).expect("readable");
    for n in 1..=3 {
        engine.append(&engine.a, index, other(n)).await;
        engine.world.clock.jump(1_000);
    }
    let mut slow = pieces(&engine, follow(&engine.a, &format!("?cursor={base}"), None), base).await;
    let before = engine.state.commands.now().plus_ms(-1_500);
    let forgotten = engine.world.store.forget_events(before, 100).await.expect("forgotten") as u64;
    assert_eq!(forgotten, base + 2, "the third is young enough");
    let gap = |piece| {
        let (cursor, name, data) = parsed(piece);
        assert_eq!((cursor, name.as_str()), (base + 2, "resync"));
        assert_eq!(data, json!({"reason": "forgotten", "cursor": base + 2}));
    };
    // A stream that was open, and one that is taken up.
    gap(slow.next().await);
    assert_eq!(parsed(slow.next().await).2["data"]["payload"], json!(3));
    let mut late = pieces(&engine, follow(&engine.a, "", Some("0")), 0).await;
    gap(late.next().await);
    assert_eq!(parsed(late.next().await).0, base + 3);
    // Exactly at the edge, nothing is missing.
    let mut edge = pieces(&engine, follow(&engine.a, "", Some(&(base + 2).to_string())), base + 2).await;
    assert_eq!(parsed(edge.next().await).0, base + 3);

    // A cursor that this log never had.
    let mut strange = pieces(&engine, follow(&engine.a, "?cursor=900", None), 900).await;
    let (cursor, name, data) = parsed(strange.next().await);
    assert_eq!((cursor, name.as_str(), &data["reason"]), (base + 3, "resync", &json!("unknown_cursor")));
    engine.append(&engine.a, index, other(4)).await;
    assert_eq!(parsed(strange.next().await).0, base + 4);
}

#[tokio::test]
async fn a_stream_ends_with_its_credential_and_with_the_engine() {
    let engine = Engine::new().await;
    engine.world.clock.stand();
    let tenant = engine.a.tenant.index;
    let made = engine.world.commands.create_api_key(tenant, "panel", None).await.expect("a good name");
    let caller = Caller { tenant: engine.a.tenant.clone(), key: made.key };
    let mut open =
        [pieces(&engine, follow(&caller, "", None), 0).await, pieces(&engine, follow(&caller, "", None), 0).await];
    let mut theirs = pieces(&engine, follow(&engine.a, "", None), 0).await;
    engine.append(&engine.a, ConnectorIndex::NONE, other(1)).await;
    for stream in open.iter_mut().chain([&mut theirs]) {
        assert_eq!(parsed(stream.next().await).0, 1);
    }
    let [quiet, loud] = &mut open;
    let revoked = async {
        while engine.world.clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        engine.world.commands.revoke_api_key(tenant, made.shown.record.id).await.expect("revoked");
        engine.world.clock.jump(15_000);
    };
    let (ended, ()) = tokio::join!(quiet.next(), revoked);
    assert_eq!(ended, None, "at the next heartbeat");
    engine.append(&engine.a, ConnectorIndex::NONE, other(2)).await;
    assert_eq!(loud.next().await, None, "nothing is written to it");
    assert_eq!(parsed(theirs.next().await).0, 2);
    engine.draining.cancel();
    assert_eq!(theirs.next().await, None);
}

#[tokio::test]
async fn streams_are_bounded_and_what_is_wrong_is_said_at_once() {
    let engine = Engine::new().await;
    engine.world.clock.stand();
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(pieces(&engine, follow(&engine.a, "", None), 0).await);
    }
    let refused = engine.call(follow(&engine.a, "", None)).await;
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(refused.error(429).0, "rate_limited");
    let _theirs = pieces(&engine, follow(&engine.b, "", None), 0).await;
    // Another credential of the tenant has places of its own, and requests that wait have theirs.
    let tenant = engine.a.tenant.index;
    let made = engine.world.commands.create_api_key(tenant, "panel", None).await.expect("a good name");
    let other = Caller { tenant: engine.a.tenant.clone(), key: made.key };
    let _other = pieces(&engine, follow(&other, "", None), 0).await;
    assert!(engine.signals.follow(tenant).is_ok());
    open.pop();
    let _again = pieces(&engine, follow(&engine.a, "", None), 0).await;
    drop(open);
    for (query, last, field) in [
        ("?cursor=x", None, "cursor"),
        ("?type=nothing", None, "type"),
        ("?connectorId=x", None, "connectorId"),
        ("?after=x", None, "after"),
        ("?live=x", None, "live"),
        ("?latest=1", None, "latest"),
        ("", Some("x"), "last-event-id"),
    ] {
        let answer = engine.call(follow(&engine.a, query, last)).await;
        let fields = answer.error(400).1;
        assert!(fields.len() == 1 && fields[0].eq_ignore_ascii_case(field), "{query}: {fields:?}");
    }
    let (connector, _) = engine.chat(&engine.b).await;
    let foreign = engine.call(follow(&engine.a, &format!("?connectorId={connector}"), None)).await;
    assert_eq!(foreign.error(404).0, "not_found");
    assert_eq!(engine.ask("GET", "/v1/events/stream", &[], None).await.error(401).0, "unauthenticated");
}
