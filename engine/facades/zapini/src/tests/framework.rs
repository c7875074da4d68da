//! What the framework would answer by itself has the documented form too.

use super::*;

#[tokio::test]
async fn the_frameworks_own_errors_have_the_documented_form() {
    let site = Site::new().await;
    for path in ["/nothing", "/", "/api/v1/nothing", "/instances/x/y/z", "/api/v1/api/v1/instances/x/y"] {
        assert_eq!(site.get(path).await.error(404), "NOT_FOUND", "{path}");
    }
    let wrong_method = site.send("PUT", "/instances", json!({})).await;
    assert_eq!(wrong_method.error(405), "METHOD_NOT_ALLOWED");
    assert_eq!(wrong_method.headers["allow"], "GET");
    let bearer = format!("Bearer {}", site.loja.key);
    let path = format!("/zapini{}", site.at("/groups"));
    let post = |content_type: &'static str, body: String| {
        let (site, bearer, path) = (&site, &bearer, &path);
        async move {
            site.call("POST", path, &[("authorization", bearer.as_str()), ("content-type", content_type)], body).await
        }
    };
    assert_eq!(post("text/plain", "{}".to_owned()).await.error(415), "UNSUPPORTED_MEDIA_TYPE");
    for body in ["", "{", "[]", "5", "null", "{\"subject\":}"] {
        assert_eq!(post("application/json", body.to_owned()).await.error(400), "BAD_REQUEST", "{body}");
    }
    let large = format!("{{\"subject\":\"{}\"}}", "x".repeat(Limits::default().json_bytes));
    assert_eq!(post("application/json", large).await.error(413), "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn a_panic_is_an_internal_error_that_says_nothing_of_itself() {
    let site = Site::new().await;
    *site.pace.0.lock() = None;
    let answer = site.get("/instances").await;
    assert_eq!(answer.error(500), "INTERNAL_ERROR");
    assert!(!answer.text().contains("there is one"));
    assert_eq!(site.get(&site.at("/status")).await.status, 200, "it serves on");
}

#[tokio::test]
async fn unknown_parameters_and_fields_are_passed_over() {
    let site = Site::new().await;
    assert_eq!(site.get("/instances?nonsense=1&nonsense=2&status=connected").await.status, 200);
    site.world.connectors.answer(Ok(pombo_domain::ports::Answer::Done));
    let body = json!({"subject": "Novo", "nonsense": [1, 2], "description": null});
    assert_eq!(site.send("PATCH", &site.at("/groups/1@g.us"), body).await.status, 200);
}

#[tokio::test]
async fn a_content_type_without_a_body_is_borne() {
    let site = Site::new().await;
    // As the documented samples send it: GET, and POST without a body, with a Content-Type.
    assert_eq!(site.get("/instances").await.status, 200);
    let answer = site.ask(&site.loja, "POST", &site.at("/reconnect"), None).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn each_answer_has_an_id() {
    let site = Site::new().await;
    assert!(site.get("/instances").await.headers.contains_key("x-request-id"));
    assert!(site.get("/nothing").await.headers.contains_key("x-request-id"));
}
