//! What the framework would answer by itself, and where the facade is served.

use super::*;

#[tokio::test]
async fn the_frameworks_own_errors_are_json_too() {
    let site = Site::new().await;
    site.get("/queue/lista").await.error(404);
    site.get("/").await.error(404);
    let wrong_method = site.get("/queue/send").await;
    wrong_method.error(405);
    assert_eq!(wrong_method.headers["allow"], "POST");
    let wrong_method = site.send_json(Method::PUT, "/contacts", json!({})).await;
    wrong_method.error(405);
    assert_eq!(wrong_method.headers["allow"], "GET, POST");
    let wrong_method = site.get("/contacts/x").await;
    assert_eq!(wrong_method.headers["allow"], "DELETE");
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/xml; charset=utf-8"] {
        for path in ["/queue/send", "/queue/bulk", "/contacts", "/auth/login"] {
            site.send_text(Method::POST, path, content_type, "{}").await.error(415);
        }
    }
    site.send_text(Method::POST, "/queue/bulk", "multipart/form-data; boundary=x", "--x--").await.error(415);
    site.send_text(Method::POST, "/queue/send", "multipart/form-data", "").await.error(400);
}

#[tokio::test]
async fn each_answer_has_an_id_and_a_given_one_is_kept() {
    let site = Site::new().await;
    let first = site.get("/connectors").await.headers["x-request-id"].clone();
    let second = site.get("/connectors").await.headers["x-request-id"].clone();
    assert_ne!(first, second);
    let key = ("x-api-key", site.loja.api_key.as_str());
    let kept = site.call(Method::GET, "/sendsync/api/connectors", &[key, ("x-request-id", "abc-1")], ()).await;
    assert_eq!(kept.headers["x-request-id"], "abc-1");
    let odd = site.call(Method::GET, "/sendsync/api/connectors", &[key, ("x-request-id", "a b<c>")], ()).await;
    assert_ne!(odd.headers["x-request-id"], "a b<c>");
}

#[tokio::test]
async fn a_mapped_host_is_served_at_the_root_with_and_without_the_documented_prefix() {
    let site = Site::new().await;
    let key = ("x-api-key", site.loja.api_key.as_str());
    let mapped = ("host", "sendsync.example.com:8443");
    for path in ["/api/connectors", "/connectors"] {
        assert_eq!(site.call(Method::GET, path, &[key, mapped], ()).await.status, 200, "{path}");
        let elsewhere = site.call(Method::GET, path, &[key, ("host", "www.example.com")], ()).await;
        assert_eq!(elsewhere.status, 404, "{path}");
    }
    site.call(Method::GET, "/api/nothing", &[key, mapped], ()).await.error(404);
}

#[tokio::test]
async fn whatsapp_operations_tell_an_email_connector_from_an_unknown_one() {
    let site = Site::new().await;
    let email = site.loja.connector.id;
    for (method, action) in [(Method::POST, "connect"), (Method::GET, "status"), (Method::POST, "disconnect")] {
        let refused =
            site.send_json(method.clone(), &format!("/whatsapp/{action}/{email}"), json!({})).await.error(400);
        assert!(refused.contains("EMAIL") && refused.contains("WHATSAPP"), "{refused}");
        for unknown in ["00000000-0000-4000-8000-000000000000", "SEU_CONNECTOR_ID"] {
            site.send_json(method.clone(), &format!("/whatsapp/{action}/{unknown}"), json!({})).await.error(404);
        }
    }
}

#[tokio::test]
async fn connectors_are_listed_as_documented() {
    let site = Site::new().await;
    let connector = &site.loja.connector;
    let listed = |status: &str| {
        let company = site.loja.tenant.id;
        json!([{"id": connector.id, "name": "E-mail", "type": "EMAIL", "status": status, "companyId": company}])
    };
    assert_eq!(site.get("/connectors").await.ok(), listed("ACTIVE"));
    let commands = &site.world.commands;
    commands.pause_connector(site.loja.tenant.index, connector.id, None).await.expect("pauses");
    assert_eq!(site.get("/connectors").await.ok(), listed("PAUSED"));
    commands.delete_connector(site.loja.tenant.index, connector.id).await.expect("deletes");
    assert_eq!(site.get("/connectors").await.ok(), json!([]));
    site.post("/queue/send", site.message()).await.error(404);
}

#[tokio::test]
async fn the_template_is_a_spreadsheet() {
    let site = Site::new().await;
    let answer = site.get("/queue/template").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet");
    assert_eq!(answer.headers["content-disposition"], "attachment; filename=\"template_mensagens.xlsx\"");
    assert!(answer.body.starts_with(b"PK"));
}
