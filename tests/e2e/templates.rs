//! Templates of one's own, queues and statuses of conversations, over the built binary. Those of a channel need a connector whose channel
//! keeps templates.

use anyhow::{Context, Result};
use pombo_tests::tenant::text_of;
use serde_json::{Value, json};

use crate::shared::{automated, mailing_tenant, queueing_tenant};

fn aviso() -> Value {
    json!({
        "name": "Aviso", "language": "pt_BR", "category": "utility",
        "components": [{"type": "body", "text": "Oi {{nome}}, {pedido|compra} pronta.", "examples": {"nome": "Ana"}}]
    })
}

#[test]
fn a_text_of_ones_own_is_made_shown_sent_and_deleted() -> Result<()> {
    let (tenant, connector) = mailing_tenant()?;
    let v1 = &tenant.client;
    let made = v1.post("/v1/templates", &aviso())?.expect_json(201)?;
    let path = format!("/v1/templates/{}", text_of(&made, "id")?);
    assert_eq!(v1.get(&path)?.expect_json(200)?, made);
    let changed = v1.patch(&path, &json!({"category": "marketing"}))?.expect_json(200)?;
    assert_eq!((&changed["category"], &changed["number"]), (&json!("marketing"), &json!(1)));
    let listed = v1.get("/v1/templates?own=true&search=compra")?.expect_json(200)?;
    assert_eq!((&listed["total"], &listed["data"][0]["id"]), (&json!(1), &made["id"]));
    let preview = v1.post(&format!("{path}/preview"), &json!({"variables": {"nome": "João"}}))?.expect_json(200)?;
    assert_eq!(preview, json!({"text": "Oi João, {pedido|compra} pronta.", "problems": []}));

    let to = format!("ana{}@customers.test", pombo_tests::tenant::unique());
    let send = json!({"to": to, "templateId": made["id"], "variables": {"nome": "João {{ x }}"}});
    let messages = format!("/v1/connectors/{connector}/messages");
    let sent = v1.post(&messages, &send)?.expect_json(201)?;
    assert_eq!((&sent["messageType"], &sent["templateNumber"]), (&json!("MARKETING"), &json!(1)));
    tenant.wait_status(&text_of(&sent, "id")?, &["SENT"])?;
    // What stands in braces is not a template of the renderer: the text arrives as it was shown.
    let one = v1.get(&format!("/v1/messages/{}", text_of(&sent, "id")?))?.expect_json(200)?;
    let text = one["rendered"].to_string();
    assert!(text.contains("Oi João {{ x }}, {pedido|compra} pronta."), "{one}");
    let missing = v1.post(&messages, &json!({"to": to, "templateId": made["id"]}))?.expect_json(400)?;
    assert_eq!(missing["error"]["fields"][0]["field"], "variables.nome");
    // E-mail keeps no templates.
    v1.post(&format!("/v1/connectors/{connector}/templates/sync"), &json!({}))?.expect(400)?;
    let mut of_connector = aviso();
    of_connector["connectorId"] = json!(connector);
    v1.post("/v1/templates", &of_connector)?.expect(400)?;
    v1.delete(&path)?.expect(204)?;
    v1.get(&path)?.expect(404)?;
    let again = v1.post("/v1/templates", &aviso())?.expect_json(201)?;
    assert_eq!(again["number"], 2, "a number is not given twice");
    Ok(())
}

#[test]
fn queues_and_statuses_are_made_given_and_deleted() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let v1 = &tenant.client;
    let conversation = format!("/v1/conversations/{}", automated(&tenant, &connector)?.conversation);
    for (list, field) in [("/v1/queues", "queueId"), ("/v1/conversation-statuses", "statusId")] {
        let made = v1.post(list, &json!({"name": "Vendas", "color": "#3b82f6"}))?.expect_json(201)?;
        let id = made["id"].as_str().context("an id")?;
        let path = format!("{list}/{id}");
        assert_eq!(v1.get(&path)?.expect_json(200)?, made);
        let renamed = v1.patch(&path, &json!({"name": "Loja"}))?.expect_json(200)?;
        assert_eq!((&renamed["name"], &renamed["number"]), (&json!("Loja"), &json!(1)));
        let all = v1.get(list)?.expect_json(200)?;
        assert_eq!(all["data"], json!([renamed]));
        let given = v1.patch(&conversation, &json!({field: id}))?.expect_json(200)?;
        assert_eq!(given[field], json!(id));
        let found = v1.get(&format!("/v1/conversations?{field}={id}"))?.expect_json(200)?;
        assert_eq!(found["total"], 1);
        v1.delete(&path)?.expect(204)?;
        assert_eq!(v1.get(&conversation)?.expect_json(200)?.get(field), None);
    }
    Ok(())
}
