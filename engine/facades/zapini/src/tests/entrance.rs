//! What every request passes: bases, hosts, credentials, the limit of requests, browsers' preflights.

use poem::http::header;

use super::*;

fn bearer(site: &Site) -> String {
    format!("Bearer {}", site.loja.key)
}

#[tokio::test]
async fn every_operation_answers_below_both_bases_and_at_the_host_and_path_of_an_instance() {
    let site = Site::new().await;
    site.another(&site.loja).await;
    let (bearer, number, id) = (bearer(&site), site.instance.index.0, site.instance.id);
    let token = ("authorization", bearer.as_str());
    for (path, host) in [
        ("/zapini/instances".to_owned(), None),
        ("/zapini/api/v1/instances".to_owned(), None),
        (format!("/zapini/instance-{number}/instances"), None),
        ("/instances".to_owned(), Some(format!("instance-{number}.zapini.example.com"))),
        ("/api/v1/instances".to_owned(), Some(format!("instance-{id}.zapini.example.com:8443"))),
        ("/zapini/api/v1/instances".to_owned(), Some("instance-x.zapini.example.com".to_owned())),
    ] {
        let mut headers = vec![token];
        headers.extend(host.as_deref().map(|host| ("host", host)));
        let listed = site.call("GET", &path, &headers, ()).await.ok();
        assert_eq!(listed["data"]["instances"].as_array().map(Vec::len), Some(2), "{path} {host:?}");
    }
    // The instance API needs to know which one is meant.
    assert_eq!(site.get("/status").await.error(422), "VALIDATION_ERROR");
    site.session(SessionState::QrCode(CODE.to_owned()));
    for (path, host) in [
        (format!("/zapini/status?instance_id={number}"), None),
        (format!("/zapini/api/v1/status?instance_id={id}"), None),
        (format!("/zapini/instance-{id}/status"), None),
        (format!("/zapini/instance-{number}/api/v1/status"), None),
        ("/status".to_owned(), Some(format!("instance-{number}.zapini.example.com"))),
        // The host decides, whatever the query says.
        ("/status?instance_id=none".to_owned(), Some(format!("instance-{id}.zapini.example.com"))),
    ] {
        let mut headers = vec![token];
        headers.extend(host.as_deref().map(|host| ("host", host)));
        let answer = site.call("GET", &path, &headers, ()).await.ok();
        assert_eq!(answer["status"], "qr_ready", "{path} {host:?}");
    }
    let elsewhere = [token, ("host", "instance-999.zapini.example.com")];
    site.call("GET", "/status", &elsewhere, ()).await.error(404);
    site.call("GET", "/instances", &[token, ("host", "www.example.com")], ()).await.expect(404);
}

#[tokio::test]
async fn a_token_is_required_and_another_tenants_instance_is_not_found() {
    let site = Site::new().await;
    for headers in [
        vec![],
        vec![("authorization", "Bearer sk_live_0000000000000000000000000000000000000000")],
        vec![("authorization", "Bearer ")],
        vec![("authorization", "Basic bG9qYTpsb2ph")],
        vec![("x-api-key", site.loja.key.as_str())],
    ] {
        let answer = site.call("GET", "/zapini/instances", &headers, ()).await;
        assert_eq!(answer.error(401), "UNAUTHENTICATED", "{headers:?}");
        assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
        assert!(!answer.headers.contains_key("x-ratelimit-limit"));
    }
    // Before the body is read.
    let refused = site.call("POST", &format!("/zapini{}", site.at("/groups")), &[], "not JSON").await;
    assert_eq!(refused.error(401), "UNAUTHENTICATED");

    let theirs = site.another(&site.other).await;
    for given in [theirs.id.to_string(), theirs.index.0.to_string(), "x".to_owned(), "-1".to_owned()] {
        for (method, below) in [
            ("GET", ""),
            ("GET", "/qr"),
            ("GET", "/status"),
            ("POST", "/disconnect"),
            ("POST", "/reconnect"),
            ("GET", "/groups"),
            ("GET", "/groups/1@g.us"),
            ("POST", "/groups/1@g.us/leave"),
            ("GET", "/groups/1@g.us/invite"),
            ("DELETE", "/groups/1@g.us/invite"),
        ] {
            let refused = site.ask(&site.loja, method, &format!("/instances/{given}{below}"), None).await;
            assert_eq!(refused.error(404), "NOT_FOUND", "{method} {given}{below}");
        }
        let body = json!({"subject": "s", "participants": ["5511987654321"]});
        for (method, below) in [
            ("POST", "/groups"),
            ("PATCH", "/groups/1@g.us"),
            ("POST", "/groups/1@g.us/participants"),
            ("DELETE", "/groups/1@g.us/participants"),
            ("POST", "/groups/1@g.us/admins"),
            ("DELETE", "/groups/1@g.us/admins"),
        ] {
            let refused = site.send(method, &format!("/instances/{given}{below}"), body.clone()).await;
            assert_eq!(refused.error(404), "NOT_FOUND", "{method} {given}{below}");
        }
    }
    assert!(site.world.connectors.asked().is_empty(), "nothing was asked of WhatsApp");
    // A connector of another channel is not an instance.
    let config = json!({"host": "mail.example.com"});
    let email = site.world.connector(site.loja.tenant.index, "E-mail", "connector-email", config).await;
    site.get(&format!("/instances/{}", email.id)).await.error(404);
    site.get(&format!("/instances/{}", email.index.0)).await.error(404);
}

#[tokio::test]
async fn a_token_has_so_many_requests_in_a_window() {
    let options = ZapiniOptions { rate_limit: 3, rate_window: Duration::from_secs(900), cors_origins: Vec::new() };
    let site = Site::with(options).await;
    let until = (NOW.0 / 1000 + 900).to_string();
    for (path, status, left) in [("/instances", 200, "2"), ("/nothing", 404, "1"), ("/instances?status=x", 422, "0")] {
        let answer = site.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["x-ratelimit-remaining"]),
            (status, &left.parse().expect("a value"))
        );
        assert_eq!(
            (&answer.headers["x-ratelimit-limit"], &answer.headers["x-ratelimit-reset"]),
            (&"3".parse().expect("a value"), &until.parse().expect("a value"))
        );
        assert!(!answer.headers.contains_key("retry-after"));
    }
    site.world.clock.jump(60_000);
    let over = site.get("/instances").await;
    assert_eq!(
        (over.error(429), &over.headers["retry-after"]),
        ("RATE_LIMITED".to_owned(), &"840".parse().expect("a value"))
    );
    assert_eq!(over.headers["x-ratelimit-remaining"], "0");
    // The health is not counted, and other tokens have windows of their own.
    let health = site.get("/health").await;
    assert_eq!((health.status.as_u16(), health.headers.contains_key("x-ratelimit-limit")), (200, false));
    assert_eq!(site.ask(&site.other, "GET", "/instances", None).await.headers["x-ratelimit-remaining"], "2");
    site.world.clock.jump(840_000);
    assert_eq!(site.get("/instances").await.headers["x-ratelimit-remaining"], "2");
}

#[tokio::test]
async fn without_a_limit_there_are_no_headers_about_it() {
    let site = Site::new().await;
    assert!(!site.get("/instances").await.headers.contains_key("x-ratelimit-limit"));
}

#[tokio::test]
async fn only_pages_of_the_listed_origins_may_call_and_a_preflight_needs_no_token() {
    let cors_origins = vec!["https://app.example.com/".to_owned()];
    let site = Site::with(ZapiniOptions { rate_limit: 1, cors_origins, ..ZapiniOptions::default() }).await;
    let asks = ("access-control-request-method", "POST");
    let allowed = [("origin", "https://app.example.com"), asks];
    for _ in 0..3 {
        let answer = site.call("OPTIONS", "/zapini/api/v1/instances", &allowed, ()).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example.com");
        assert_eq!(
            answer.headers["access-control-allow-headers"],
            "Authorization, Content-Type, Accept, X-Requested-With, X-Request-Id"
        );
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
        assert_eq!(answer.headers["vary"], "Origin");
    }
    let stranger = [("origin", "https://evil.example.com"), asks];
    let answer = site.call("OPTIONS", "/zapini/instances", &stranger, ()).await;
    answer.error(405);
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
    // Also what is refused can be read by the page.
    let bearer = bearer(&site);
    let page = [("origin", "https://app.example.com"), ("authorization", bearer.as_str())];
    for status in [200, 429] {
        let answer = site.call("GET", "/zapini/instances", &page, ()).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example.com");
        assert!(
            answer.headers["access-control-expose-headers"].to_str().is_ok_and(|n| n.contains("X-RateLimit-Limit"))
        );
    }

    let nobody = Site::new().await;
    let answer = nobody.call("OPTIONS", "/zapini/instances", &allowed, ()).await;
    answer.error(405);
    assert!(!answer.headers.contains_key("access-control-allow-origin") && !answer.headers.contains_key("vary"));
    let everybody = ZapiniOptions { cors_origins: vec!["*".to_owned()], ..ZapiniOptions::default() };
    let answer = Site::with(everybody).await.call("OPTIONS", "/zapini/instances", &stranger, ()).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["access-control-allow-origin"]),
        (204, &"*".parse().expect("a value"))
    );
}
