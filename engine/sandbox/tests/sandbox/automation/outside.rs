//! HTTP of automations: where it may go, what is put into it, and what is recorded.

use pombo_domain::ports::{AutomationCall, HostAnswer, Inspected, PluginEngine};
use serde_json::json;

use super::{Bench, bench, call, configured, said};
use crate::web::Web;

async fn asked(bench: &Bench, probe: &Inspected, web: &Web, task: &str) -> (String, Vec<HostAnswer>) {
    let config = json!({"greeting": "olá", "url": web.url("/base")});
    let result = bench.plugins.call(configured(call(probe, 1, task), &config)).await;
    (said(result.outcome.expect(task)), result.inputs)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_where_a_configured_url_leads_and_is_recorded() {
    let (bench, web) = (bench(|_| {}).await, Web::start().await);
    let probe = bench.probe().await;
    let task = format!("http {} x", web.url("/hello"));
    let (said, inputs) = asked(&bench, &probe, &web, &task).await;
    assert_eq!(said, "201 POST x body x");
    let [HostAnswer::Http { shown, response: Ok((201, _, body)), .. }] = &inputs[..] else { panic!("{inputs:?}") };
    assert_eq!((shown.as_str(), &body[..]), (format!("POST {}", web.url("/hello")).as_str(), &b"POST x body x"[..]));
    // Again, with nobody there to answer.
    drop(web);
    let replay = AutomationCall { replay: Some(inputs), ..call(&probe, 1, &task) };
    assert_eq!(super::said(bench.plugins.call(replay).await.outcome.expect("answers")), "201 POST x body x");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_go_out_does_not() {
    let (bench, web, other) = (bench(|_| {}).await, Web::start().await, Web::start().await);
    let probe = bench.probe().await;
    for (task, why) in [
        (format!("http {} x", other.url("/hello")), "Refused"),
        ("http http://example.com/ x".to_owned(), "Refused"),
        (format!("http {} {{{{secret:password}}}}", web.url("/hello")), "TLS only"),
        ("http nonsense x".to_owned(), "Invalid"),
        ("http ftp://127.0.0.1/ x".to_owned(), "Invalid"),
        (format!("http {} x", web.url("/break")), "Interrupted"),
        (format!("http {} x", web.url("/huge")), "TooLarge"),
    ] {
        let (said, _) = asked(&bench, &probe, &web, &task).await;
        assert!(said.contains(why), "{task}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_can_be_signed_without_the_guest_knowing_the_key() {
    let (bench, web) = (bench(|_| {}).await, Web::start().await);
    let probe = bench.probe().await;
    let (said, inputs) =
        asked(&bench, &probe, &web, &format!("http {} {{{{hmac-sha256:password}}}}", web.url("/hello"))).await;
    // Of `body {{hmac-sha256:password}}` with `s3cret`: only a header's value is filled in.
    let signature = "fadbb1bf1018a7bbfa0bedd6ec995b098aaa63058444b5d59392dff9780c3005";
    assert_eq!(said, format!("201 POST {signature} body {{{{hmac-sha256:password}}}}"));
    assert!(!format!("{inputs:?}").contains("s3cret"));
    let (said, _) = asked(&bench, &probe, &web, &format!("http {} {{{{hmac-sha256:none}}}}", web.url("/hello"))).await;
    assert!(said.contains("is not set"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_ends_by_the_hosts_deadline() {
    let bench = bench(|options| options.limits.automations.http = std::time::Duration::from_millis(200)).await;
    let (probe, web) = (bench.probe().await, Web::start().await);
    let (said, _) = asked(&bench, &probe, &web, &format!("http {} x", web.url("/hang"))).await;
    assert!(said.contains("no answer in time"), "{said}");
}
