//! Connectors with a proxy: everything goes through it, and nothing beside it when it fails.

use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use pombo_domain::ConnectorIndex;
use pombo_domain::model::{Proxy, ProxyKind};
use pombo_domain::ports::*;
use pombo_testkit::TestProxy;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::sessions::{config, with_probe};
use crate::support::{Mail, Wish, World, spec, world};
use crate::web::{Manner, Web, websocket};

const ONE: ConnectorIndex = ConnectorIndex(1);

/// A name that no resolver knows, and that the probe may call.
const NAME: &str = "only-the-proxy.wild.test";

fn through(kind: ProxyKind, port: u16, login: Option<(&str, &str)>) -> ProxySpec {
    let proxy = Proxy {
        kind,
        host: "127.0.0.1".to_owned(),
        port,
        user: login.map(|(user, _)| user.to_owned()),
        password: login.map(|_| b"sealed".to_vec()),
        check_url: None,
        idle_seconds: 60,
    };
    ProxySpec { proxy, password: login.map(|(_, password)| password.to_owned()) }
}

async fn start(world: &World, proxy: ProxySpec) {
    let spec = ConnectorSpec { proxy: Some(proxy), ..spec(1, "hostile-probe", config(json!({}))) };
    world.sandbox.start(spec).await.expect("starts");
    world.told.until(1, |states| states.contains(&SessionState::Connected)).await;
}

async fn probe(proxy: ProxySpec) -> World {
    let world = with_probe(Wish::default()).await;
    start(&world, proxy).await;
    world
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn port_of(url: &str) -> u16 {
    url.rsplit([':', '/']).find_map(|part| part.parse().ok()).expect("a port")
}

/// A port where nobody listens.
fn nobody() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

fn problem(world: &World) -> Option<String> {
    world.sandbox.proxy_status(ONE).expect("it has a proxy").problem
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_files_and_sockets_go_through_it_by_name() {
    let (web, socket) = (Web::start().await, websocket(Manner::Echo).await);
    for (kind, login) in [
        (ProxyKind::Socks5h, None),
        (ProxyKind::Socks5h, Some(("ana", "s3cret"))),
        (ProxyKind::Http, None),
        (ProxyKind::Http, Some(("ana", "s3cret"))),
    ] {
        let proxy = match login {
            Some((user, password)) => TestProxy::with_login(user, password).await,
            None => TestProxy::start().await,
        };
        proxy.knows(NAME, loopback(web.port));
        let world = probe(through(kind, proxy.port(), login)).await;
        let task =
            json!({"do": "http", "method": "PUT", "url": format!("http://{NAME}:{}/hello", web.port), "body": "olá"});
        assert_eq!(world.told_to(1, task).await.as_deref(), Ok("201 PUT  olá"), "{kind:?} {login:?}");
        let task = json!({"do": "exchange", "url": web.url("/echo"), "size": 300_000});
        let said = world.told_to(1, task).await.expect("goes through");
        assert!(said.starts_with("200 300000 true"), "{said}");
        proxy.knows(NAME, loopback(port_of(&socket)));
        let url = format!("ws://{NAME}:{}/chat", port_of(&socket));
        world.told_to(1, json!({"do": "open", "url": url})).await.expect("opens");
        assert_eq!(world.told_to(1, json!({"do": "ws", "size": 70_000})).await.as_deref(), Ok("echoed"));
        let expected =
            [format!("{NAME}:{}", web.port), format!("127.0.0.1:{}", web.port), format!("{NAME}:{}", port_of(&socket))];
        assert_eq!(proxy.asked(), expected, "{kind:?} {login:?}: each once, and by name");
        assert_eq!(problem(&world), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_proxy_a_connector_reaches_nothing_and_says_why() {
    for kind in ProxyKind::ALL {
        let port = nobody();
        let trap = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        trap.set_nonblocking(true).expect("a socket");
        let target = trap.local_addr().expect("bound").port();
        let world = probe(through(kind, port, None)).await;
        for (what, scheme) in [("http", "http"), ("exchange", "http"), ("open", "ws")] {
            let task = json!({"do": what, "url": format!("{scheme}://127.0.0.1:{target}/")});
            let why = world.told_to(1, task).await.expect_err("no proxy");
            assert!(why.contains("NotConnected") && why.contains("the proxy cannot be reached"), "{what}: {why}");
        }
        let beside = trap.accept().map(|_| ()).map_err(|error| error.kind());
        assert_eq!(beside, Err(std::io::ErrorKind::WouldBlock), "nothing went beside the proxy");
        let down = problem(&world).expect("it is down");
        assert!(down.contains("connection refused"), "{down}");

        let proxy = TestProxy::start_on(port).await;
        let web = Web::start().await;
        let task = json!({"do": "http", "url": web.url("/hello")});
        assert_eq!(world.told_to(1, task).await.as_deref(), Ok("201 GET  "), "it is back");
        assert_eq!(problem(&world), None);
        proxy.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_being_opened_is_disconnected_for_the_proxys_sake() {
    // Accepts, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let world = probe(through(ProxyKind::Socks5h, port, None)).await;
    let opening = world.told_to(1, json!({"do": "open", "url": "ws://127.0.0.1:9/"}));
    let telling = world.told_to(1, json!({"do": "state", "state": "connecting"}));
    let (opened, told) = tokio::join!(opening, telling);
    assert_eq!(told.as_deref(), Ok("told"));
    let why = opened.expect_err("nobody answers");
    assert!(why.contains("the proxy does not answer in time"), "{why}");
    let expected = SessionState::Disconnected("the proxy does not answer in time".to_owned());
    assert_eq!(world.sandbox.session(ONE), expected);
    assert_eq!(world.told.of(1).last(), Some(&expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_refused_are_named() {
    let (proxy, web) = (TestProxy::with_login("ana", "s3cret").await, Web::start().await);
    for (kind, login, part) in [
        (ProxyKind::Socks5h, Some(("ana", "wrong")), "refuses the user name or the password"),
        (ProxyKind::Http, Some(("bia", "s3cret")), "refuses the user name or the password"),
        (ProxyKind::Socks5h, None, "asks for a user name and a password"),
        (ProxyKind::Http, None, "asks for a user name and a password"),
    ] {
        let world = probe(through(kind, proxy.port(), login)).await;
        let why = world.told_to(1, json!({"do": "http", "url": web.url("/hello")})).await.expect_err("refused");
        assert!(why.contains("NotConnected") && why.contains(part), "{kind:?} {login:?}: {why}");
        assert!(!why.contains("wrong") && !why.contains("s3cret"), "{why}");
        assert!(problem(&world).is_some_and(|problem| problem.contains(part)));
    }
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_the_proxy_does_not_reach_is_not_the_proxys_fault() {
    for kind in ProxyKind::ALL {
        let proxy = TestProxy::start().await;
        let world = probe(through(kind, proxy.port(), None)).await;
        let why = world.told_to(1, json!({"do": "http", "url": format!("http://{NAME}/")})).await.expect_err("unknown");
        assert!(why.contains("NotConnected") && why.contains("the proxy does not reach the server"), "{why}");
        assert_eq!(problem(&world), None);
        assert_eq!(proxy.asked(), [format!("{NAME}:80")], "the name was its to resolve");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_and_the_guard_count_with_a_proxy_too() {
    let proxy = TestProxy::start().await;
    let world = with_probe(Wish { loopback: false, ..Wish::default() }).await;
    start(&world, through(ProxyKind::Socks5h, proxy.port(), None)).await;
    for task in [
        json!({"do": "http", "url": "http://127.0.0.1:9/"}),
        json!({"do": "exchange", "url": "http://127.0.0.1:9/"}),
        json!({"do": "open", "url": "ws://127.0.0.1:9/"}),
        json!({"do": "http", "url": "http://other.example/"}),
        json!({"do": "open", "url": "ws://other.example/"}),
    ] {
        let why = world.told_to(1, task.clone()).await.expect_err("not allowed");
        assert!(why.contains("Refused"), "{task}: {why}");
    }
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_the_operator_does_not_allow_is_not_called() {
    let mut spec = through(ProxyKind::Socks5h, 1080, None);
    spec.proxy.host = "192.0.2.1".to_owned();
    let world = probe(spec).await;
    let why = world.told_to(1, json!({"do": "http", "url": "http://127.0.0.1:9/"})).await.expect_err("not allowed");
    assert!(why.contains("the proxy is not allowed"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_through_it_without_tls_only_where_the_operator_says_so() {
    for kind in ProxyKind::ALL {
        let (proxy, mail) = (TestProxy::with_login("ana", "s3cret").await, Mail::start(&[]).await);
        proxy.knows("mail.test", loopback(mail.port));
        let mut config = mail.config();
        config["host"] = json!("mail.test");
        for (plain, sent) in [(vec![], false), (vec!["mail.test".to_owned()], true)] {
            let world = world(Wish { plain, ..Wish::default() }).await;
            let proxy = through(kind, proxy.port(), Some(("ana", "s3cret")));
            let spec = ConnectorSpec { proxy: Some(proxy), ..spec(1, "connector-email", config.clone()) };
            world.sandbox.start(spec).await.expect("starts");
            world.told.until(1, |states| states.contains(&SessionState::Connected)).await;
            let outcome = world.send(1, "olá").await;
            assert_eq!(matches!(outcome, SendOutcome::Accepted { .. }), sent, "{kind:?}: {outcome:?}");
        }
        assert_eq!(mail.accepted.lock().len(), 1);
        assert_eq!(proxy.asked(), [format!("mail.test:{}", mail.port)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_socket_shows_the_proxy_that_it_lives() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = listener.local_addr().expect("bound");
    let pinged = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a handshake");
        let mut pings = 0;
        while pings < 2 {
            match socket.next().await.expect("goes on").expect("a frame") {
                Message::Ping(_) => pings += 1,
                other => panic!("the guest said nothing: {other:?}"),
            }
        }
    });
    let proxy = TestProxy::start().await;
    let mut spec = through(ProxyKind::Socks5h, proxy.port(), None);
    spec.proxy.idle_seconds = 1;
    let world = probe(spec).await;
    world.told_to(1, json!({"do": "open", "url": format!("ws://{server}/")})).await.expect("opens");
    tokio::time::timeout(Duration::from_secs(10), pinged).await.expect("in time").expect("two pings");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_is_asked_for_through_the_proxy_when_the_connector_starts() {
    let (proxy, web) = (TestProxy::start().await, Web::start().await);
    proxy.knows("address.test", loopback(web.port));
    let mut spec = through(ProxyKind::Http, proxy.port(), None);
    let check = |path: &str| Some(format!("http://address.test:{}{path}", web.port));
    spec.proxy.check_url = check("/address");
    let world = probe(spec.clone()).await;
    let status = checked(&world).await;
    let known = (status.exit_address.as_deref(), status.exit_country.as_deref(), status.check_problem);
    assert_eq!(known, (Some("198.51.100.7"), Some("Brazil"), None));
    assert_eq!(proxy.asked(), [format!("address.test:{}", web.port)]);
    spec.proxy.check_url = check("/hello");
    let world = probe(spec).await;
    let status = checked(&world).await;
    assert_eq!(status.exit_address, None);
    assert!(status.check_problem.is_some_and(|why| why.contains("no address")));
}

/// What is known of the proxy once its exit was asked for.
async fn checked(world: &World) -> ProxyStatus {
    let status = async {
        loop {
            let status = world.sandbox.proxy_status(ONE).expect("it has a proxy");
            if status.checked_at.is_some() {
                return status;
            }
            // Nobody is told of a check.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), status).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_without_a_proxy_has_no_status_of_one_and_no_checks() {
    let world = with_probe(Wish::default()).await;
    world.start(1, "hostile-probe", config(json!({}))).await;
    assert_eq!(world.sandbox.proxy_status(ONE), None);
}
