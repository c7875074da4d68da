//! The listener over real sockets: limits, panics, drain.

use std::sync::Arc;
use std::time::Duration;

use poem::endpoint::{BoxEndpoint, EndpointExt, make};
use poem::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Limits, Listener, TrustedProxies};
use crate::telemetry::metrics::HttpMetrics;

struct Server {
    address: std::net::SocketAddr,
    draining: CancellationToken,
    ended: oneshot::Receiver<()>,
    slow: Arc<Slow>,
}

fn limits() -> Limits {
    Limits {
        max_connections: 4,
        header_timeout: Duration::from_millis(300),
        max_header_bytes: 8192,
        body_idle_timeout: Duration::from_millis(300),
        request_timeout: Duration::from_secs(5),
        max_body_bytes: 1024,
    }
}

/// The request that runs as long as a test wants.
#[derive(Default)]
struct Slow {
    entered: Notify,
    release: Notify,
    done: Notify,
}

fn endpoint(slow: Arc<Slow>) -> BoxEndpoint<'static, Response> {
    make(move |mut request: Request| {
        let slow = Arc::clone(&slow);
        async move {
            match request.uri().path() {
                "/panic" | "/zapini/panic" => panic!("on purpose"),
                "/slow" => {
                    slow.entered.notify_one();
                    slow.release.notified().await;
                    slow.done.notify_one();
                    Response::from("slow")
                }
                _ => match request.take_body().into_vec().await {
                    Ok(body) => Response::from(format!("{} bytes", body.len())),
                    Err(_) => Response::from((http::StatusCode::BAD_REQUEST, "bad body")),
                },
            }
        }
    })
    .boxed()
}

fn start() -> Server {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("bound");
    let address = listener.address();
    let draining = CancellationToken::new();
    let (done, ended) = oneshot::channel();
    let token = draining.clone();
    let slow = Arc::new(Slow::default());
    let endpoint = endpoint(Arc::clone(&slow));
    let metrics = HttpMetrics::default();
    tokio::spawn(async move {
        let drain = Duration::from_secs(5);
        listener.serve(endpoint, limits(), TrustedProxies::default(), metrics, token, drain).await;
        let _ = done.send(());
    });
    Server { address, draining, ended, slow }
}

/// Sends `parts` and reads until the server closes.
async fn exchange(server: &Server, request: &str) -> String {
    let mut socket = TcpStream::connect(server.address).await.expect("connected");
    socket.write_all(request.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    // A reset after the answer is as good as an end.
    let _ =
        tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut answer)).await.expect("closed in time");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn answers_and_turns_a_panic_into_json() {
    let server = start();
    let answer =
        exchange(&server, "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("3 bytes"), "{answer}");
    let answer = exchange(&server, "GET /panic HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 500") && answer.contains("\"statusCode\":500"), "{answer}");
    let answer = exchange(&server, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "serves on: {answer}");
}

#[tokio::test]
async fn what_no_facade_saw_to_its_end_has_the_form_of_the_facade_that_it_was_for() {
    let server = start();
    for (request, status, code) in [
        ("GET /zapini/panic HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 500, "INTERNAL_ERROR"),
        ("POST /zapini/api/v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n", 413, "PAYLOAD_TOO_LARGE"),
    ] {
        let answer = exchange(&server, request).await;
        let form = format!("{{\"success\":false,\"error\":{{\"code\":\"{code}\"");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(&form), "{answer}");
    }
}

#[tokio::test]
async fn slow_heads_slow_bodies_and_large_ones_are_ended() {
    let server = start();
    for silent in ["", "GET / HTTP/1.1\r\nhost: x\r\nx-slow:"] {
        assert_eq!(exchange(&server, silent).await, "", "closed without an answer");
    }
    let answer =
        exchange(&server, "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let answer = exchange(&server, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("application/json"), "{answer}");
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    let chunked = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    let answer = exchange(&server, &chunked).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let answer =
        exchange(&server, &format!("GET / HTTP/1.1\r\nhost: x\r\nx-big: {}\r\n\r\n", "y".repeat(20_000))).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn draining_ends_running_requests_and_idle_connections() {
    let server = start();
    let mut idle = TcpStream::connect(server.address).await.expect("connected");
    let mut running = TcpStream::connect(server.address).await.expect("connected");
    running.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    server.slow.entered.notified().await;
    server.draining.cancel();
    server.slow.release.notify_one();
    let mut answer = Vec::new();
    running.read_to_end(&mut answer).await.expect("ended");
    assert!(String::from_utf8_lossy(&answer).ends_with("slow"), "the running request was answered");
    assert_eq!(idle.read(&mut [0; 1]).await.expect("ended"), 0);
    server.ended.await.expect("the server ended");
    assert!(TcpStream::connect(server.address).await.is_err(), "accepts no more");
}

#[tokio::test]
async fn a_request_whose_client_goes_away_runs_to_its_end() {
    let server = start();
    let mut socket = TcpStream::connect(server.address).await.expect("connected");
    socket.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    server.slow.entered.notified().await;
    drop(socket);
    // An answer to a later request: the server has had the time to notice.
    let answer = exchange(&server, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.slow.release.notify_one();
    tokio::time::timeout(Duration::from_secs(10), server.slow.done.notified()).await.expect("it ran to its end");
}
