//! What the framework would answer by itself has the documented statuses and the form of every error; and who may call.

use super::*;

const PATHS: [&str; 2] = ["/send-message", "/sendmessage"];

#[tokio::test]
async fn every_other_method_is_405_on_both_paths() {
    let site = Site::new().await;
    for path in PATHS {
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            let answer = site.call(method, &format!("/aidesk{path}"), &[("apikey", &site.loja.key)], "").await;
            answer.refusal(405);
            assert_eq!(answer.headers["allow"], "POST", "{method} {path}");
        }
        let head = site.call("HEAD", &format!("/aidesk{path}"), &[], "").await;
        assert_eq!(head.status.as_u16(), 405, "{path}");
    }
    site.post("/messages", &json!({})).await.refusal(404);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_400() {
    let site = Site::new().await;
    for path in PATHS {
        for body in ["", "{", "[]", "5", "null", "{\"number\":}"] {
            let headers = [("apikey", site.loja.key.as_str()), ("content-type", "application/json")];
            site.call("POST", &format!("/aidesk{path}"), &headers, body).await.refusal(400);
        }
        let headers = [("apikey", site.loja.key.as_str()), ("content-type", "text/plain")];
        site.call("POST", &format!("/aidesk{path}"), &headers, "{}").await.refusal(400);
        let large = json!({"number": "x".repeat(Limits::default().json_bytes)});
        site.post(path, &large).await.refusal(400);
    }
}

#[tokio::test]
async fn a_key_is_needed_in_its_header() {
    let site = Site::new().await;
    let bearer = format!("Bearer {}", site.loja.key);
    for path in PATHS {
        let path = format!("/aidesk{path}");
        for headers in [
            vec![],
            vec![("apikey", "")],
            vec![("apikey", "sk_live_0123456789")],
            vec![("authorization", bearer.as_str())],
            vec![("x-api-key", site.loja.key.as_str())],
            vec![("apikey", site.loja.key.as_str()), ("apikey", site.other.key.as_str())],
        ] {
            site.call("POST", &path, &headers, "{}").await.refusal(401);
        }
        let long = "x".repeat(300);
        site.call("POST", &path, &[("apikey", &long)], "{}").await.refusal(401);
    }
}

#[tokio::test]
async fn a_host_that_is_mapped_serves_it_at_its_root_and_parameters_are_passed_over() {
    let site = Site::new().await;
    let headers =
        [("host", "api.aidesk.example.com"), ("apikey", site.loja.key.as_str()), ("content-type", "application/json")];
    for path in ["/sendmessage", "/sendmessage?x=1&x=2", "/aidesk/sendmessage"] {
        let body = site.call("POST", path, &headers, "{}").await.refusal(400);
        assert!(body["errors"]["contact_id"].is_array(), "{path}: {body}");
    }
}
