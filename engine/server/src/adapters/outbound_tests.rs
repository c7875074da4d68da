//! Guarded calls over real sockets: a target is refused as a URL, by its name's addresses and after a redirect; answers are
//! bounded in size and time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use poem::endpoint::{EndpointExt, make};
use poem::{Body, Request, Response};
use pombo_domain::TenantIndex;
use pombo_domain::ports::{AttachmentFetcher, MediaStore, OutboundError, WebhookClient};
use reqwest::dns::Resolve;
use tokio_util::sync::CancellationToken;

use super::entropy::OsEntropy;
use super::fetcher::GuardedFetcher;
use super::guard::Guard;
use super::media::DiskMedia;
use super::outbound::{GuardedResolver, client};
use super::webhooks::ReqwestWebhooks;
use crate::config::Outbound;
use crate::http::{Limits, Listener, TrustedProxies};
use crate::telemetry::metrics::HttpMetrics;

fn settings() -> Outbound {
    let config = crate::config::load(None, [], &Default::default()).expect("defaults");
    Outbound { connect_timeout_seconds: 1, attachment_timeout_seconds: 1, ..config.outbound }
}

/// What the server that tenants aim at does, by path.
async fn answer(request: Request) -> Response {
    let redirect = |to: &str| Response::builder().status(StatusCode::FOUND).header("location", to).finish();
    match request.uri().path() {
        "/file" => Response::builder()
            .content_type("application/pdf")
            .header("content-disposition", "attachment; filename=\"../boleto.pdf\"")
            .body("%PDF"),
        "/relative" => redirect("/file"),
        "/inside" => redirect("http://127.0.0.2:1/file"),
        "/scheme" => redirect("file:///etc/passwd"),
        "/loop" => redirect("/loop"),
        "/gone" => Response::builder().status(StatusCode::GONE).finish(),
        "/busy" => Response::builder().status(StatusCode::SERVICE_UNAVAILABLE).finish(),
        "/huge" => {
            let megabyte = bytes::Bytes::from(vec![0; 1 << 20]);
            let chunks = futures::stream::iter((0..60).map(move |_| Ok::<_, std::io::Error>(megabyte.clone())));
            Response::builder().body(Body::from_bytes_stream(chunks))
        }
        "/hang" => std::future::pending().await,
        _ => Response::builder().status(StatusCode::NOT_FOUND).finish(),
    }
}

fn serve() -> SocketAddr {
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("bound");
    let address = listener.address();
    let config = crate::config::load(None, [], &Default::default()).expect("defaults");
    let metrics = HttpMetrics::default();
    let (limits, proxies, never) = (Limits::from(&config.http), TrustedProxies::default(), CancellationToken::new());
    tokio::spawn(listener.serve(make(answer).boxed(), limits, proxies, metrics, never, Duration::ZERO));
    address
}

struct Fixture {
    _folder: tempfile::TempDir,
    fetcher: GuardedFetcher,
    webhooks: ReqwestWebhooks,
    media: Arc<DiskMedia>,
    server: SocketAddr,
}

/// Only 127.0.0.1 is allowed.
fn fixture() -> Fixture {
    let folder = tempfile::tempdir().expect("folder");
    let guard = Guard::new(&["127.0.0.1".to_owned()]);
    let client = client(&settings(), &guard).expect("client");
    let media = Arc::new(DiskMedia::open(folder.path().to_owned(), Arc::new(OsEntropy)).expect("media"));
    let fetcher = GuardedFetcher::new(client.clone(), guard.clone(), media.clone(), &settings());
    Fixture { _folder: folder, fetcher, webhooks: ReqwestWebhooks::new(client, guard), media, server: serve() }
}

const TENANT: TenantIndex = TenantIndex(1);
const MOST: u64 = 50 * 1024 * 1024;

#[tokio::test]
async fn a_file_is_fetched_also_over_a_redirect_and_named_by_its_header() {
    let f = fixture();
    for path in ["/file", "/relative"] {
        let attachment = f.fetcher.fetch(TENANT, &format!("http://{}{path}", f.server), MOST).await.expect("fetched");
        assert_eq!((attachment.file_name.as_str(), attachment.size), ("boleto.pdf", 4));
        assert_eq!(std::fs::read(f.media.path(TENANT, attachment.id)).expect("stored"), b"%PDF");
    }
}

#[tokio::test]
async fn targets_inside_are_refused_before_and_after_redirects() {
    let f = fixture();
    let fetch = |path: &'static str| f.fetcher.fetch(TENANT, path, MOST);
    assert_eq!(fetch("http://127.0.0.2/").await, Err(OutboundError::Forbidden));
    assert_eq!(fetch("http://[::1]/").await, Err(OutboundError::Forbidden));
    let at = |path: &str| format!("http://{}{path}", f.server);
    assert_eq!(f.fetcher.fetch(TENANT, &at("/inside"), MOST).await, Err(OutboundError::Forbidden));
    assert!(matches!(f.fetcher.fetch(TENANT, &at("/scheme"), MOST).await, Err(OutboundError::BadUrl(_))));
    assert!(matches!(f.fetcher.fetch(TENANT, &at("/loop"), MOST).await, Err(OutboundError::BadAnswer(_))));
}

#[tokio::test]
async fn a_name_is_decided_by_its_addresses() {
    let resolve = |guard: Guard| async move {
        let found = GuardedResolver(guard).resolve("localhost".parse().expect("a name")).await;
        found.map(|addresses| addresses.map(|a| a.ip().is_loopback()).collect::<Vec<_>>())
    };
    assert!(resolve(Guard::default()).await.is_err());
    let found = resolve(Guard::new(&["localhost".to_owned()])).await.expect("allowed");
    assert!(!found.is_empty() && found.iter().all(|loopback| *loopback));
}

#[tokio::test]
async fn answers_are_bounded_in_size_and_time_and_failures_say_whether_to_try_again() {
    let f = fixture();
    let at = |path: &str| format!("http://{}{path}", f.server);
    for (path, temporary) in [("/huge", false), ("/gone", false), ("/busy", true), ("/hang", true)] {
        let error = f.fetcher.fetch(TENANT, &at(path), MOST).await.expect_err(path);
        assert_eq!(error.is_temporary(), temporary, "{path}: {error}");
    }
    let left =
        std::fs::read_dir(f.media.path(TENANT, uuid::Uuid::nil()).ancestors().nth(3).expect("root").join("incoming"));
    assert_eq!(left.expect("folder").count(), 0, "nothing half fetched stays");
}

#[tokio::test]
async fn a_webhook_tells_the_status_and_follows_nothing() {
    let f = fixture();
    let post = async |path: &str| {
        let timeout = Duration::from_millis(500);
        f.webhooks
            .post(&format!("http://{}{path}", f.server), &[("webhook-id", "1".to_owned())], "{}".to_owned(), timeout)
            .await
    };
    assert_eq!(post("/file").await, Ok(200));
    assert_eq!(post("/relative").await, Ok(302));
    assert_eq!(post("/gone").await, Ok(410));
    assert_eq!(post("/huge").await, Ok(200));
    assert!(matches!(post("/hang").await, Err(OutboundError::Unreachable(_))));
    let refused = f.webhooks.post("http://10.0.0.1/", &[], String::new(), Duration::from_secs(1)).await;
    assert_eq!(refused, Err(OutboundError::Forbidden));
}
