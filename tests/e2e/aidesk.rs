//! The AI DESK API over the built binary: a template and direct messages through a gateway's number, a message by its channel's id, and
//! the counts.

use anyhow::{Context, Result, ensure};
use pombo_tests::gateway::Gateway;
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::connected;
use serde_json::{Value, json};

const OURS: &str = "5511900000000";
const THEIRS: &str = "5511978049825";

#[test]
fn the_two_operations_send_and_what_they_sent_is_found_and_counted() -> Result<()> {
    let gateway = Gateway::start()?;
    let server = Server::start(Options { demo: false, ..Options::with(&gateway.settings()) })?;
    let tenant = Tenant::create(&server)?;
    let config = json!({"baseUrl": gateway.base_url(), "token": "sk_gateway_4711", "instanceId": "7"});
    let connector = tenant.connector("connector-gateway", &config)?;
    tenant.pace(&connector, &json!({}))?;
    gateway.listen_to(&server, &tenant, &connector)?;
    gateway.connect(OURS)?;
    connected(&tenant, &connector)?;

    let made = tenant.client.post("/v1/keys", &json!({"name": "one", "connectorId": connector}))?.expect_json(201)?;
    let key = text_of(&made, "key")?;
    let client = server.client().with("apikey", &key);
    let created = |path: &str, body: Value| -> Result<Value> { tenant.client.post(path, &body)?.expect_json(201) };
    let queue = created("/v1/queues", json!({"name": "Vendas"}))?;
    let status = created("/v1/conversation-statuses", json!({"name": "Novo"}))?;
    let template = created(
        "/v1/templates",
        json!({
            "name": "pedido", "category": "utility",
            "components": [{"type": "body", "text": "Olá {{nome}}, seu código é {{codigo}}."}]
        }),
    )?;
    let body = json!({
        "number": THEIRS, "template_id": template["number"], "variables": {"nome": "João", "codigo": "ABC123"},
        "queue_id": queue["number"], "status_id": status["number"], "contact_name": "João"
    });
    let sent = client.post("/aidesk/send-message", &body)?.expect_json(200)?;
    let call = gateway.call("the template", |call| call.body["message"] == "Olá João, seu código é ABC123.")?;
    let provider_id = text_of(&sent, "message_id")?;
    ensure!(sent["success"] == true && Some(&provider_id) == call.id.as_ref(), "{sent}");

    let found = tenant.client.get(&format!("/v1/conversations?connectorId={connector}"))?.expect_json(200)?;
    ensure!(found["data"][0]["queueId"] == queue["id"] && found["data"][0]["statusId"] == status["id"], "{found}");
    let contacts = tenant.client.get("/v1/contacts?type=WHATSAPP")?.expect_json(200)?;
    let contact = contacts["data"].as_array().and_then(|all| all.iter().find(|one| one["name"] == "João"));
    let contact = contact.with_context(|| contacts.to_string())?["number"].clone();
    let shown = tenant.client.get(&format!("/v1/connectors/{connector}"))?.expect_json(200)?;
    let body = json!({"contact_id": contact, "instance_id": shown["number"], "message_content": "Olá, tudo bem?"});
    let direct = client.post("/aidesk/sendmessage", &body)?.expect_json(200)?;
    gateway.call("the text", |call| call.body["message"] == "Olá, tudo bem?")?;
    ensure!(direct["status"] == "success" && direct["media_type"] == "text", "{direct}");

    // By the channel's id: also for the key of the instance, which sees nothing else.
    let bound = server.client().key(&key);
    for client in [&tenant.client, &bound] {
        let page = client.get(&format!("/v1/messages?providerId={provider_id}"))?.expect_json(200)?;
        ensure!(page["meta"]["total"] == 1 && page["data"][0]["providerId"] == provider_id.as_str(), "{page}");
    }
    bound.get("/v1/messages")?.expect(403)?;
    until("both to be counted", PATIENCE, || {
        let counts = tenant.client.get("/v1/stats/messages?by=template")?.expect_json(200)?;
        Ok((counts["total"]["accepted"] == 2 && counts["data"].as_array().map(Vec::len) == Some(2)).then_some(()))
    })
}
