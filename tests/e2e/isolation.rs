//! Tenants do not see each other: every operation of every document that takes an id answers 404 to another tenant's id, and
//! every operation that lists shows nothing of another tenant.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use pombo_tests::automation::{component, install};
use pombo_tests::files::write_workbook;
use pombo_tests::http::{Client, Form, query};
use pombo_tests::server::binary;
use pombo_tests::tenant::{SENDSYNC, Tenant, text_of, unique};
use serde_json::{Value, json};

use crate::shared::{Automated, automated, queueing_tenant, server};

/// What one tenant has, by the name that stands in a path.
struct Owned {
    connector: String,
    message: String,
    contact: String,
    key: String,
    user: String,
    delivery: String,
    import: String,
    media: String,
    tag: String,
    template: String,
    campaign: String,
    queue: String,
    status: String,
    automated: Automated,
}

impl Owned {
    /// Whose id the operation with this path takes.
    fn id(&self, path: &str) -> Option<&str> {
        Some(match path {
            p if p.contains("/whatsapp/") || p.contains("/connectors/") || p.contains("/instances/") => &self.connector,
            // An endpoint has the id of its connector.
            p if p.contains("/webhook-endpoints/") => &self.connector,
            p if p.contains("/campaigns/") => &self.campaign,
            p if p.contains("/messages/") => &self.message,
            p if p.contains("/contacts/") => &self.contact,
            p if p.contains("/keys/") => &self.key,
            p if p.contains("/users/") => &self.user,
            p if p.contains("/webhook-deliveries/") => &self.delivery,
            p if p.contains("/imports/") => &self.import,
            p if p.contains("/media/") => &self.media,
            p if p.contains("/tags/") => &self.tag,
            p if p.contains("/templates/") => &self.template,
            p if p.contains("/queues/") => &self.queue,
            p if p.contains("/conversation-statuses/") => &self.status,
            p if p.contains("/parked/") => &self.automated.parked,
            p if p.contains("/automations/") => &self.automated.automation,
            p if p.contains("/conversations/") => &self.automated.conversation,
            p if p.contains("/trust-roots/") => &self.automated.trust_root,
            _ => return None,
        })
    }
}

/// A plugin that a tenant uploaded: its name and its active version. Names are unique in the engine, so there is one for all tests
/// here, of a tenant of its own.
fn private_plugin() -> Result<(String, String)> {
    static INSTALLED: Mutex<Option<(String, String)>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if installed.is_none() {
        *installed = Some(install(&Tenant::create(server()?)?.client, &component("echo")?)?);
    }
    installed.clone().context("it was installed")
}

fn owned(tenant: &Tenant, connector: &str) -> Result<Owned> {
    let path = format!("{SENDSYNC}/queue/send");
    let form = Form::new()
        .field("connectorId", connector)
        .field("to", "a@customers.test")
        .field("message", "private words")
        .field("requiresApproval", "true")
        .field("webhookUrl", "http://127.0.0.1:9/hook")
        .file("attachments", "private.txt", "text/plain", b"private");
    let sent = form.into_request(tenant.client.request("POST", &path)).send()?.expect_json(201)?;
    let message = text_of(&sent, "id")?;
    let contact = tenant.client.post(
        &format!("{SENDSYNC}/contacts"),
        &json!({"identifier": "private@customers.test", "type": "EMAIL", "name": "Private"}),
    )?;
    let contact = text_of(&contact.expect_json(201)?, "id")?;
    let keys = tenant.client.get("/v1/keys")?.expect_json(200)?;
    let users = tenant.client.get("/v1/users")?.expect_json(200)?;
    let deliveries =
        tenant.client.get(&query("/v1/webhook-deliveries", &[("messageId", &message)]))?.expect_json(200)?;
    let media = tenant.message(&message)?["attachments"][0]["id"].as_str().context("no attachment")?.to_owned();
    let book = write_workbook(&[
        vec!["connectorId".into(), "to".into(), "message".into()],
        vec![connector.into(), "b@customers.test".into(), "imported".into()],
    ])?;
    let import = Form::new()
        .file("file", "private.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", &book)
        .into_request(tenant.client.request("POST", "/v1/imports"))
        .send()?;
    ensure!(import.status == 201 || import.status == 202, "{import:?}");
    let tag = tenant.client.post("/v1/tags", &json!({"name": "private"}))?.expect_json(201)?;
    let body = json!([{"type": "body", "text": "private words"}]);
    let template = json!({"name": "private", "category": "utility", "components": body});
    let template = tenant.client.post("/v1/templates", &template)?.expect_json(201)?;
    let campaign = json!({"name": "private", "template": template["number"], "connectorId": connector});
    let campaign = tenant.client.post("/v1/campaigns", &campaign)?.expect_json(201)?;
    let queue = tenant.client.post("/v1/queues", &json!({"name": "private"}))?.expect_json(201)?;
    let status = tenant.client.post("/v1/conversation-statuses", &json!({"name": "private"}))?.expect_json(201)?;
    Ok(Owned {
        connector: connector.to_owned(),
        message,
        contact,
        key: text_of(&keys["data"][0], "id")?,
        user: text_of(&users["data"][0], "id")?,
        delivery: text_of(&deliveries["data"][0], "id")?,
        import: text_of(&import.json()?, "id")?,
        media,
        tag: text_of(&tag, "id")?,
        template: text_of(&template, "id")?,
        campaign: text_of(&campaign, "id")?,
        queue: text_of(&queue, "id")?,
        status: text_of(&status, "id")?,
        automated: automated(tenant, connector)?,
    })
}

fn printed(arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(binary()).arg("openapi").args(arguments).output()?;
    ensure!(output.status.success(), "pombo openapi failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

fn facades() -> Result<Vec<String>> {
    Ok(String::from_utf8(printed(&["--list"])?)?.lines().map(str::to_owned).collect())
}

fn document(facade: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&printed(&["--facade", facade])?)?)
}

/// Where the operations of a document lie: its server, or nowhere if it has whole paths.
fn base(facade: &str) -> Result<String> {
    Ok(document(facade)?["servers"][0]["url"].as_str().unwrap_or_default().to_owned())
}

/// The operations of a facade's document: (method, path).
fn operations(facade: &str) -> Result<BTreeSet<(String, String)>> {
    let document = document(facade)?;
    let mut found = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().context("no paths")? {
        for method in methods.as_object().context("no methods")?.keys() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                found.insert((method.to_uppercase(), path.clone()));
            }
        }
    }
    ensure!(!found.is_empty(), "{facade} has no operations");
    Ok(found)
}

/// Clients of a tenant with the credentials that a facade takes: a key in its own header and a login, a key in another header, or a key as
/// a bearer.
fn clients_for(facade: &str, tenant: &Tenant) -> Result<Vec<Client>> {
    let document = document(facade)?;
    let schemes = &document["components"]["securitySchemes"];
    if schemes.get("apiKey").is_some() {
        return Ok(vec![tenant.client.clone(), tenant.login(server()?)?]);
    }
    Ok(vec![match schemes["apikey"]["name"].as_str() {
        Some(header) => server()?.client().with(header, &tenant.key),
        None => server()?.client().bearer(&tenant.key),
    }])
}

/// Paths are relative to the document's server; the facade's base is put before them where it is not there yet.
fn absolute(base: &str, path: &str) -> String {
    if path.starts_with(base) { path.to_owned() } else { format!("{base}{path}") }
}

/// An address of nobody in particular.
const SOMEBODY: &str = "5511999998888";

/// An id of nothing.
const SOMEBODYS_ID: &str = "11111111-1111-4111-8111-111111111111";

fn body_for(path: &str) -> Value {
    match path {
        p if p.ends_with("/automations/{id}/start") => json!({"to": "private@customers.test"}),
        p if p.ends_with("/automations/{id}") => json!({"name": "stolen"}),
        p if p.ends_with("/campaigns/{id}") => json!({"name": "stolen"}),
        p if p.ends_with("/campaigns/{id}/contacts") => json!({"contacts": [SOMEBODYS_ID]}),
        p if p.ends_with("/templates/{id}") => json!({"name": "stolen"}),
        p if p.ends_with("/queues/{id}") || p.ends_with("/conversation-statuses/{id}") => json!({"name": "stolen"}),
        p if p.ends_with("/conversations/{id}") => json!({"tags": ["stolen"]}),
        p if p.ends_with("/conversations/{id}/messages") => json!({"text": "stolen"}),
        p if p.ends_with("/status") || p.ends_with("/active") => json!({"active": false}),
        p if p.ends_with("/resolve") => json!({"outcome": "sent"}),
        p if p.ends_with("/pace") => json!({"delayMinMs": 1, "delayMaxMs": 2}),
        p if p.ends_with("/connectors/{id}") => json!({"name": "stolen"}),
        p if p.ends_with("/users/{id}") => json!({"name": "stolen", "role": "viewer"}),
        p if p.ends_with("/groups") => json!({"subject": "stolen", "members": [SOMEBODY]}),
        p if p.ends_with("/{group}") => json!({"subject": "stolen"}),
        p if p.ends_with("/members") => json!({"add": [SOMEBODY]}),
        p if p.ends_with("/lookup") => json!({"addresses": [SOMEBODY]}),
        p if p.ends_with("/operations") => json!({"kind": "call", "value": {}}),
        p if p.ends_with("/connectors/{id}/messages") => json!({"to": SOMEBODY, "text": "x"}),
        p if p.ends_with("/connectors/{id}/reactions") => {
            json!({"emoji": "👍", "chat": SOMEBODY, "message": {"providerId": "3EB0"}})
        }
        p if p.ends_with("/connectors/{id}/revoke") => json!({"chat": SOMEBODY, "message": {"providerId": "3EB0"}}),
        p if p.ends_with("/connectors/{id}/webhook") => json!({"webhookUrl": "https://hooks.example.com/"}),
        p if p.ends_with("/instances/{uuid}/webhook") => json!({"webhook_url": "https://hooks.example.com/"}),
        p if p.ends_with("/chat/messages/{uuid}") => json!({"message": "stolen"}),
        p if p.ends_with("/chat/messages/{uuid}/reaction") => json!({"emoji": "👍"}),
        p if p.ends_with("/conversations/{uuid}/tags") => json!({"tag_ids": []}),
        p if p.ends_with("/reactions") => json!({"emoji": "👍"}),
        p if p.ends_with("/edit") => json!({"text": "stolen"}),
        p if p.ends_with("/conversations/{id}/read") => json!({}),
        p if p.ends_with("/read") => json!({"chat": SOMEBODY, "messages": [{"providerId": "3EB0"}]}),
        p if p.ends_with("/session/passkey") => json!({"id": "x", "confirm": true}),
        p if p.ends_with("/typing") => json!({"chat": SOMEBODY, "state": "composing"}),
        _ => json!({}),
    }
}

#[test]
fn another_tenants_id_is_not_found_in_any_operation() -> Result<()> {
    let (victim, connector) = queueing_tenant()?;
    let mine = owned(&victim, &connector)?;
    let (intruder, own_connector) = queueing_tenant()?;
    let mut tried = 0;
    for facade in facades()? {
        let base = &base(&facade)?;
        let clients = clients_for(&facade, &intruder)?;
        for (method, path) in operations(&facade)? {
            if !path.contains('{') {
                continue;
            }
            if path.starts_with("/v1/tenants/") {
                // The operator's alone.
                let reply = intruder.client.get(&path.replace("{id}", &victim.id))?;
                assert!(reply.status == 401 || reply.status == 403, "{reply:?}");
                continue;
            }
            if path.starts_with("/v1/plugins/") {
                another_tenants_plugin(&intruder, &method, &path)?;
                continue;
            }
            if path.starts_with("/v1/hooks/") {
                // Whoever knows the token may; nobody guesses one.
                let made_up = path.replace("{token}", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA") + "?to=a%40customers.test";
                intruder.client.post(&made_up, &json!({}))?.expect(404)?;
                continue;
            }
            if path.starts_with("/link/") {
                // The same of links; what is the page's own is everybody's.
                let made_up = path.replace("{token}", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
                let request = intruder.client.request(&method, &made_up);
                let request = if path.ends_with("/answer") {
                    request.json(&json!({"id": "x", "confirm": true}))
                } else {
                    request
                };
                request.send()?.expect(if path.contains("/page.") { 200 } else { 404 })?;
                continue;
            }
            if path.contains("/receive/") || path.starts_with("/webhooks/instance/") {
                // Whoever knows the connector's secret may; without it nobody learns whether the connector is there.
                let there = path.replace("{id}", &connector).replace("{uuid}", &connector).replace("{path}", "x");
                let nowhere = there.replace(&connector, "00000000-0000-0000-0000-000000000000");
                for target in [there, nowhere] {
                    let target = absolute(base, &format!("{target}?secret=x"));
                    let request = intruder.client.request(&method, &target);
                    let request = if method == "GET" { request } else { request.json(&json!({})) };
                    request.send()?.expect(401)?;
                }
                continue;
            }
            let id =
                mine.id(&path).with_context(|| format!("this test does not know whose id {method} {path} takes"))?;
            let target = absolute(
                base,
                &path
                    .replace("{id}", id)
                    .replace("{connectorId}", id)
                    .replace("{uuid}", id)
                    .replace("{group}", "120363000000000000@g.us")
                    .replace("{jid}", "120363000000000000@g.us"),
            );
            for client in &clients {
                let request = client.request(&method, &target);
                let request = match method.as_str() {
                    "GET" | "DELETE" => request,
                    // The only form that is sent to something with an id.
                    _ if path.ends_with("/campaigns/{id}/audience") => {
                        Form::new().file("file", "l.csv", "text/csv", b"to\na@b.test\n").into_request(request)
                    }
                    _ => request.json(&body_for(&path)),
                };
                let reply = request.send()?;
                assert_eq!(reply.status, 404, "{method} {target}: {reply:?}");
                assert!(!reply.text().to_lowercase().contains("private"), "{reply:?}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 30, "only {tried} calls were tried");
    let send = json!({"connectorId": mine.connector, "to": "a@customers.test", "message": "x"});
    intruder.try_send(&send)?.expect(404)?;
    let bulk = intruder.try_bulk(&[send])?;
    assert!(bulk.status == 201 || bulk.status == 400, "{bulk:?}");
    assert_eq!(intruder.total(&[])?, 0);
    // Nothing of the victim's changed.
    let message = victim.message(&mine.message)?;
    assert_eq!(message["status"], "PENDING_APPROVAL");
    let shown = victim.client.get(&format!("/v1/connectors/{connector}"))?.expect_json(200)?;
    assert_ne!(shown["name"], "stolen");
    let automation = victim.client.get(&format!("/v1/automations/{}", mine.automated.automation))?.expect_json(200)?;
    assert_eq!(automation["name"], "private");
    let users = victim.client.get("/v1/users")?.expect_json(200)?;
    assert_eq!((&users["data"][0]["name"], &users["data"][0]["role"]), (&json!("User"), &json!("owner")));
    let tag = victim.client.get(&format!("/v1/tags/{}", mine.tag))?.expect_json(200)?;
    assert_eq!(tag["name"], "private");
    for (list, id) in [
        ("templates", &mine.template),
        ("campaigns", &mine.campaign),
        ("queues", &mine.queue),
        ("conversation-statuses", &mine.status),
    ] {
        let shown = victim.client.get(&format!("/v1/{list}/{id}"))?.expect_json(200)?;
        assert_eq!(shown["name"], "private", "{list}");
    }
    let path = format!("/v1/conversations/{}", mine.automated.conversation);
    assert_eq!(victim.client.get(&path)?.expect_json(200)?["tags"], json!([]));
    intruder.send_text(&own_connector, "a@customers.test", "mine")?;
    Ok(())
}

/// An operation on a plugin that another tenant uploaded.
fn another_tenants_plugin(intruder: &Tenant, method: &str, path: &str) -> Result<()> {
    let (name, digest) = private_plugin()?;
    let target = path.replace("{name}", &name).replace("{digest}", &digest);
    let request = intruder.client.request(method, &target);
    let request =
        if method == "GET" || method == "DELETE" { request } else { request.json(&json!({"digest": digest})) };
    let reply = request.send()?;
    if path.ends_with("/reload") {
        // The operator's alone.
        ensure!(reply.status == 401 || reply.status == 403, "{reply:?}");
    } else {
        ensure!(reply.status == 404, "{reply:?}");
    }
    Ok(())
}

#[test]
fn lists_show_nothing_of_another_tenant() -> Result<()> {
    let (victim, connector) = queueing_tenant()?;
    let mine = owned(&victim, &connector)?;
    let intruder = Tenant::create(server()?)?;
    let ids = [
        &mine.connector,
        &mine.message,
        &mine.contact,
        &mine.key,
        &mine.user,
        &mine.delivery,
        &mine.import,
        &mine.media,
        &mine.tag,
        &mine.template,
        &mine.campaign,
        &mine.queue,
        &mine.status,
        &mine.automated.automation,
        &mine.automated.conversation,
        &mine.automated.parked,
        &mine.automated.trust_root,
        &private_plugin()?.1,
        &victim.id,
    ];
    let mut seen = 0;
    for facade in facades()? {
        let base = &base(&facade)?;
        let client = &clients_for(&facade, &intruder)?[0];
        for (method, path) in operations(&facade)? {
            // A stream has no end.
            if method != "GET" || path.contains('{') || path == "/metrics" || path.ends_with("/stream") {
                continue;
            }
            let reply = client.get(&absolute(base, &path))?;
            let text = reply.text();
            assert!(ids.iter().all(|id| !text.contains(id.as_str())), "{path} shows another tenant's: {reply:?}");
            seen += 1;
        }
    }
    assert!(seen >= 8, "only {seen} lists were read");
    let filtered = intruder.client.get(&query("/v1/webhook-deliveries", &[("messageId", &mine.message)]))?;
    assert!(filtered.status == 404 || filtered.json()?["data"] == json!([]), "{filtered:?}");
    Ok(())
}

/// The AI DESK API names things by numbers in its bodies, so no path of it takes an id: another tenant's numbers are tried here.
#[test]
fn another_tenants_numbers_name_nothing() -> Result<()> {
    let victim = Tenant::create(server()?)?;
    let instance = victim.connector("connector-whatsapp", &json!({}))?;
    let shown = victim.client.get(&format!("/v1/connectors/{instance}"))?.expect_json(200)?;
    let contact = json!({"type": "WHATSAPP", "identifier": SOMEBODY, "connectorIds": [instance]});
    let contact = victim.client.post("/v1/contacts", &contact)?.expect_json(201)?;
    let body = json!({"contact_id": contact["number"], "instance_id": shown["number"], "message_content": "x"});
    for (tenant, status) in [(&Tenant::create(server()?)?, 401), (&victim, 500)] {
        // The victim's own is found, and has no session.
        let client = server()?.client().with("apikey", &tenant.key);
        client.post("/aidesk/sendmessage", &body)?.expect(status)?;
    }
    Ok(())
}

#[test]
fn a_key_of_one_connector_is_nobodys_tenant_key() -> Result<()> {
    let (tenant, connector) = queueing_tenant()?;
    let made = tenant.client.post("/v1/keys", &json!({"name": "one", "connectorId": connector}))?.expect_json(201)?;
    let key = text_of(&made, "key")?;
    let bound = [server()?.client().key(&key), server()?.client().bearer(&key)];
    let mut tried = 0;
    for facade in ["sendsync", "control"] {
        let document = document(facade)?;
        let base = &base(facade)?;
        for (method, path) in operations(facade)? {
            let operation = &document["paths"][&path][method.to_lowercase()];
            let schemes = operation["security"].as_array().cloned().unwrap_or_default();
            if schemes.is_empty() {
                continue;
            }
            let is_operators = schemes.iter().all(|scheme| scheme.get("operator").is_some());
            let target: Vec<_> =
                path.split('/').map(|part| if part.starts_with('{') { connector.as_str() } else { part }).collect();
            let target = absolute(base, &target.join("/"));
            for client in &bound[usize::from(is_operators)..] {
                let request = client.request(&method, &target);
                let request =
                    if method == "GET" || method == "DELETE" { request } else { request.json(&body_for(&path)) };
                let reply = request.send()?;
                ensure!(reply.status == 403, "{method} {target}: {reply:?}");
                ensure!(reply.text().contains("may only be used with"), "{method} {target}: {reply:?}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 150, "only {tried} calls were tried");
    // It was valid until its connector was deleted.
    tenant.client.delete(&format!("/v1/connectors/{connector}"))?.expect(204)?;
    for client in &bound {
        client.get("/v1/connectors")?.expect(401)?;
    }
    Ok(())
}

#[test]
fn only_the_operator_acts_for_others() -> Result<()> {
    let (victim, _) = queueing_tenant()?;
    let intruder = Tenant::create(server()?)?;
    let named: Client = intruder.client.with("X-Pombo-Tenant", &victim.id);
    named.get("/v1/connectors")?.expect(404)?;
    for reply in [
        intruder.client.post("/v1/tenants", &json!({"name": format!("T{}", unique())}))?,
        intruder.client.get("/v1/tenants")?,
    ] {
        assert!(reply.status == 401 || reply.status == 403, "{reply:?}");
    }
    let anonymous = server()?.client();
    for path in
        ["/v1/tenants", "/v1/connectors", "/v1/messages", "/sendsync/api/connectors", "/sendsync/api/queue/list"]
    {
        anonymous.get(path)?.expect(401)?;
        anonymous.bearer("x.y.z").get(path)?.expect(401)?;
        anonymous.key("sk_live_0123456789").get(path)?.expect(401)?;
    }
    let operator = server()?.operator()?;
    let all = operator.with("X-Pombo-Tenant", &victim.id).get("/v1/connectors")?.expect_json(200)?;
    assert_eq!(all["data"].as_array().map(Vec::len), Some(1));
    let shown = operator.get(&format!("/v1/tenants/{}", victim.id))?.expect_json(200)?;
    assert_eq!(shown["id"], victim.id.as_str(), "{shown}");
    let listed = operator.get(&query("/v1/tenants", &[("limit", "250")]))?.expect_json(200)?;
    assert!(listed["data"].as_array().is_some_and(|tenants| tenants.iter().all(|t| t["id"].is_string())), "{listed}");
    Ok(())
}
