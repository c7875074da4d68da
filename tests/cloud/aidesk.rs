//! The AI DESK API: the samples of its documentation, with this tenant's numbers in place of the documented ones; its errors; and its
//! seven steps, as the store shows them. Row 20 of what peers got wrong.

use anyhow::{Context, Result, ensure};
use pombo_tests::campaigns::api;
use pombo_tests::graph::Graph;
use pombo_tests::http::{Client, Reply, query};
use pombo_tests::tenant::{Tenant, text_of};
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::webhook::{Receiver, pdf};
use serde_json::{Value, json};

use crate::shared::{Bench, named_template, person, server};

pub(crate) const TEMPLATE: &str = "/aidesk/send-message";
pub(crate) const DIRECT: &str = "/aidesk/sendmessage";

/// What the documentation's requests name.
pub(crate) struct Desk {
    pub(crate) bench: Bench,
    /// With the key that is bound to the connector.
    pub(crate) client: Client,
    template: u64,
    queue: u64,
    status: u64,
    pub(crate) instance: u64,
}

/// The queue and the status of a conversation, by their numbers.
fn sorted(client: &Client, conversation: &Value) -> Result<(u64, u64)> {
    let number = |path: &str, field: &str| -> Result<u64> {
        let label = client.get(&format!("{path}/{}", text_of(conversation, field)?))?.expect_json(200)?;
        label["number"].as_u64().with_context(|| format!("no number in {label}"))
    };
    Ok((number("/v1/queues", "queueId")?, number("/v1/conversation-statuses", "statusId")?))
}

impl Bench {
    /// A client of the facade with the tenant's key.
    pub(crate) fn aidesk(&self) -> Client {
        Client::new(self.tenant.client.address()).with("apikey", &self.tenant.key)
    }

    /// The first queue and the first status of the tenant: both have the number 1.
    pub(crate) fn queue_and_status(&self) -> Result<(u64, u64)> {
        let number = |path: &str, name: &str| -> Result<u64> {
            let made = self.tenant.client.post(path, &json!({"name": name}))?.expect_json(201)?;
            made["number"].as_u64().with_context(|| format!("no number in {made}"))
        };
        Ok((number("/v1/queues", "Vendas")?, number("/v1/conversation-statuses", "Novo")?))
    }

    /// The number of the connector: the instance's.
    pub(crate) fn instance(&self) -> Result<u64> {
        instance_of(&self.tenant, &self.connector)
    }

    /// A key that is bound to this connector.
    pub(crate) fn bound_key(&self) -> Result<String> {
        let body = json!({"name": "bound", "connectorId": self.connector});
        text_of(&self.tenant.client.post("/v1/keys", &body)?.expect_json(201)?, "key")
    }
}

/// The number of an instance, as Zapini's API shows it.
fn instance_of(tenant: &Tenant, connector: &str) -> Result<u64> {
    let zapini = Client::new(tenant.client.address()).bearer(&tenant.key);
    let shown = zapini.get(&format!("/zapini/instances/{connector}"))?.expect_json(200)?;
    shown["data"]["instance"]["id"].as_u64().with_context(|| format!("no number in {shown}"))
}

impl Desk {
    pub(crate) fn new() -> Result<Self> {
        Self::of(Bench::new()?)
    }

    /// One of this bench.
    pub(crate) fn of(bench: Bench) -> Result<Self> {
        let template = bench.template(&named_template("boas_vindas"))?;
        let (queue, status) = bench.queue_and_status()?;
        let client = Client::new(bench.tenant.client.address()).with("apikey", &bench.bound_key()?);
        let instance = bench.instance()?;
        Ok(Self { bench, client, template, queue, status, instance })
    }

    /// The documented body of `/send-message`, to this person.
    pub(crate) fn body(&self, to: &str) -> Value {
        json!({"number": to, "template_id": self.template, "variables": {"nome": "João", "codigo": "ABC123"},
            "queue_id": self.queue, "status_id": self.status})
    }

    pub(crate) fn try_template(&self, body: &Value) -> Result<Reply> {
        self.client.post(TEMPLATE, body)
    }

    /// Sends, and returns WhatsApp's id.
    pub(crate) fn template(&self, body: &Value) -> Result<String> {
        let sent = self.try_template(body)?.expect_json(200)?;
        assert_eq!(sent["success"], true, "{sent}");
        assert_eq!(sent.as_object().map(serde_json::Map::len), Some(2), "{sent}");
        text_of(&sent, "message_id")
    }

    /// The number of the contact with this address.
    pub(crate) fn contact(&self, who: &str) -> Result<u64> {
        let page = self.bench.tenant.client.get(&query("/v1/contacts", &[("search", who)]))?.expect_json(200)?;
        page["data"][0]["number"].as_u64().with_context(|| format!("no contact {who} in {page}"))
    }

    /// A refusal with a body that names the field.
    pub(crate) fn refused(&self, path: &str, body: &Value, status: u16, field: &str) -> Result<()> {
        let reply = self.client.post(path, body)?.expect(status).with_context(|| body.to_string())?;
        let answer = reply.json()?;
        ensure!(answer["success"] == false && answer["status"] == "error", "{answer}");
        ensure!(answer["errors"].get(field).is_some_and(Value::is_array), "{body}: {field} is not named: {answer}");
        Ok(())
    }
}

/// The documented request, and its seven steps: the key, the parameters, the template, its variables, Graph, the store, the answer.
#[test]
fn the_seven_steps_of_the_documentation_are_seen_in_the_store() -> Result<()> {
    let desk = Desk::new()?;
    let who = person();
    let mut body = desk.body(&who);
    body["contact_name"] = json!("João Silva");
    // 1 and 2: a key that is not valid, and parameters that are missing, end it before anything is stored.
    let stranger = Client::new(desk.bench.tenant.client.address()).with("apikey", "sua_api_key_aqui");
    assert_eq!(stranger.post(TEMPLATE, &body)?.status, 401);
    desk.refused(TEMPLATE, &json!({}), 400, "number")?;
    // 7: the answer.
    let wamid = desk.template(&body)?;
    ensure!(wamid.starts_with("wamid."), "{wamid}");
    // 3, 4 and 5: what Graph got.
    let sent = desk.bench.accepted(&who)?;
    assert_eq!(sent.len(), 1, "{sent:?}");
    let template = &sent[0]["template"];
    assert_eq!((&template["name"], &template["language"]["code"]), (&json!("boas_vindas"), &json!("pt_BR")));
    let parameters = template["components"][0]["parameters"].as_array().context("no parameters")?;
    for (name, value) in [("nome", "João"), ("codigo", "ABC123")] {
        ensure!(parameters.iter().any(|p| p["parameter_name"] == name && p["text"] == value), "{template}");
    }
    // 6: contact, conversation and message.
    let client = &desk.bench.tenant.client;
    let contacts = client.get("/v1/contacts?limit=10")?.expect_json(200)?;
    let contact = &contacts["data"][0];
    assert_eq!((&contact["identifier"], &contact["name"]), (&json!(who), &json!("João Silva")), "{contacts}");
    let conversation = desk.bench.conversation(&who)?;
    assert_eq!(sorted(client, &conversation)?, (desk.queue, desk.status));
    let said = desk.bench.said(&who)?;
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!((&said[0]["direction"], &said[0]["providerId"]), (&json!("out"), &json!(wamid)), "{said:?}");
    assert_eq!(said[0]["text"], "Olá João, seu código é ABC123.");
    // What became of it: with the same key.
    let path = query("/v1/messages", &[("providerId", &wamid)]);
    let found = desk.client.with("X-API-Key", desk.bench.bound_key()?.as_str()).get(&path)?.expect_json(200)?;
    assert_eq!(found["data"][0]["providerId"], json!(wamid), "{found}");
    desk.bench.nothing_violated()
}

#[test]
fn a_contact_is_renamed_and_the_conversation_moved() -> Result<()> {
    let desk = Desk::new()?;
    let who = person();
    desk.template(&desk.body(&who))?;
    let client = &desk.bench.tenant.client;
    let number = |path: &str, name: &str| -> Result<u64> {
        let made = client.post(path, &json!({"name": name}))?.expect_json(201)?;
        made["number"].as_u64().context("no number")
    };
    let (queue, status) = (number("/v1/queues", "Cobrança")?, number("/v1/conversation-statuses", "Aberto")?);
    let mut body = desk.body(&who);
    body["contact_name"] = json!("João Novo");
    (body["queue_id"], body["status_id"]) = (json!(queue), json!(status));
    desk.template(&body)?;
    let contacts = client.get("/v1/contacts?limit=10")?.expect_json(200)?;
    assert_eq!((&contacts["total"], &contacts["data"][0]["name"]), (&json!(1), &json!("João Novo")), "{contacts}");
    let conversation = desk.bench.conversation(&who)?;
    assert_eq!(sorted(client, &conversation)?, (queue, status));
    Ok(())
}

#[test]
fn a_template_is_sent_in_the_name_of_a_campaign() -> Result<()> {
    let desk = Desk::new()?;
    let client = &desk.bench.tenant.client;
    let campaign = api::draft(client, &desk.bench.connector, &json!(desk.template), &[])?;
    let (id, number) = (text_of(&campaign, "id")?, campaign["number"].as_u64().context("no number")?);
    let who = person();
    let mut body = desk.body(&who);
    body["campaign_id"] = json!(number);
    desk.refused(TEMPLATE, &body, 400, "template_id")?;
    body.as_object_mut().context("an object")?.remove("template_id");
    // A draft sends nothing.
    desk.refused(TEMPLATE, &body, 400, "campaign_id")?;
    api::step(client, &id, "start")?;
    let wamid = desk.template(&body)?;
    ensure!(wamid.starts_with("wamid."), "{wamid}");
    until("the row to be counted", PATIENCE, || {
        let shown = api::shown(client, &id)?;
        let counted = ["accepted", "delivered"].map(|word| api::counted(&shown, word));
        Ok((counted.into_iter().sum::<Result<u64>>()? == 1).then_some(()))
    })?;
    api::step(client, &id, "stop")?;
    desk.refused(TEMPLATE, &body, 400, "campaign_id")?;
    body["campaign_id"] = json!(4711);
    desk.refused(TEMPLATE, &body, 400, "campaign_id")
}

#[test]
fn what_is_wrong_with_a_template_is_named_and_meta_is_not_called() -> Result<()> {
    let desk = Desk::new()?;
    let who = person();
    let with = |field: &str, value: Value| {
        let mut body = desk.body(&who);
        body[field] = value;
        body
    };
    for (field, value, named) in [
        ("number", json!(null), "number"),
        ("number", json!("+55 11 97804-9825"), "number"),
        ("number", json!("55"), "number"),
        ("queue_id", json!(null), "queue_id"),
        ("queue_id", json!(4711), "queue_id"),
        ("queue_id", json!("cinco"), "queue_id"),
        ("status_id", json!(4711), "status_id"),
        ("template_id", json!(null), "template_id"),
        ("template_id", json!(4711), "template_id"),
        ("campaign_id", json!(3), "template_id"),
        ("variables", json!({"nome": "João"}), "variables.codigo"),
        ("variables", json!({"nome": "João", "codigo": "A", "extra": "x"}), "variables.extra"),
        // Row 20: a line break in a variable.
        ("variables", json!({"nome": "João\nSilva", "codigo": "A"}), "variables.nome"),
        ("variables", json!({"nome": "João", "codigo": "a\tb"}), "variables.codigo"),
        ("variables", json!({"nome": "João     Silva", "codigo": "A"}), "variables.nome"),
        ("variables", json!({"nome": "J".repeat(1200), "codigo": "A"}), "variables.nome"),
    ] {
        desk.refused(TEMPLATE, &with(field, value), 400, named)?;
    }
    assert_eq!(desk.bench.graph.messages_to(&who)?, 0);
    let conversations = desk.bench.tenant.client.get("/v1/conversations?limit=10")?.expect_json(200)?;
    assert_eq!(conversations["data"], json!([]), "something was stored");
    Ok(())
}

/// Row 20 again: with the connector's setting, what Meta refuses becomes spaces.
#[test]
fn line_breaks_become_spaces_where_the_instance_is_set_so() -> Result<()> {
    let bench = Bench::at(server()?, Graph::start()?, &json!({"newlines": "replace"}))?;
    let template = bench.template(&named_template("boas_vindas"))?;
    let (queue, status) = bench.queue_and_status()?;
    let who = person();
    let body = json!({"number": who, "template_id": template, "queue_id": queue, "status_id": status,
        "variables": {"nome": "João\r\nda\tSilva", "codigo": "A      B"}});
    bench.aidesk().post(TEMPLATE, &body)?.expect(200)?;
    let sent = bench.accepted(&who)?;
    let parameters = sent[0]["template"]["components"][0]["parameters"].as_array().context("no parameters")?;
    let texts: Vec<&Value> = parameters.iter().map(|parameter| &parameter["text"]).collect();
    assert_eq!(texts, ["João da Silva", "A    B"], "{sent:?}");
    assert_eq!(bench.said(&who)?[0]["text"], "Olá João da Silva, seu código é A    B.");
    bench.nothing_violated()
}

/// A template with a document, given as a link and as an upload: the latter goes to Meta by its id.
#[test]
fn a_headers_file_is_a_link_or_the_id_of_an_upload() -> Result<()> {
    let desk = Desk::new()?;
    let mut pictured = named_template("boleto");
    let header = json!({"type": "HEADER", "format": "DOCUMENT", "example": {"header_handle": ["4::aW"]}});
    pictured["components"] = json!([header, pictured["components"][0].clone()]);
    let template = desk.bench.template(&pictured)?;
    let who = person();
    let body = |header: &Value| {
        let mut body = desk.body(&who);
        body["template_id"] = json!(template);
        body["variables"]["header"] = header.clone();
        body
    };
    let shown = |at: usize| -> Result<Value> {
        let sent = desk.bench.accepted(&who)?;
        let header = &sent.get(at).with_context(|| format!("{sent:?}"))?["template"]["components"][0];
        Ok(header["parameters"][0]["document"].clone())
    };
    desk.refused(TEMPLATE, &body(&Value::Null), 400, "variables.header")?;
    let link = json!("https://example.com/boleto.pdf");
    desk.template(&body(&link))?;
    assert_eq!(shown(0)?["link"], link);
    let file = desk.bench.upload("boleto.pdf", "application/pdf", &pdf(30_000))?;
    desk.template(&body(&file["id"]))?;
    let sent = shown(1)?;
    ensure!(sent["id"].is_string() && sent["link"].is_null(), "{sent}");
    desk.bench.nothing_violated()
}

/// The documented sample, and a template whose variables Meta knows by number only.
#[test]
fn the_documented_names_lead_to_numbered_variables() -> Result<()> {
    let desk = Desk::new()?;
    let numbered = json!({"name": "numerado", "language": "pt_BR", "category": "UTILITY", "parameter_format": "POSITIONAL",
        "components": [{"type": "BODY", "text": "Olá {{1}}, seu código é {{2}}.",
            "example": {"body_text": [["Ana", "A1"]]}}]});
    let template = desk.bench.template(&numbered)?;
    let path = format!("/v1/templates/{}", text_of(&desk.bench.found("numerado")?, "id")?);
    let names = json!({"variableNames": ["nome", "codigo"]});
    desk.bench.tenant.client.patch(&path, &names)?.expect(200)?;
    desk.bench.sync()?;
    let who = person();
    let mut body = desk.body(&who);
    body["template_id"] = json!(template);
    desk.template(&body)?;
    let sent = desk.bench.accepted(&who)?;
    let parameters = &sent[0]["template"]["components"][0]["parameters"];
    assert_eq!(parameters, &json!([{"type": "text", "text": "João"}, {"type": "text", "text": "ABC123"}]), "{sent:?}");
    body["variables"] = json!({"nome": "João", "2": "ABC123"});
    desk.refused(TEMPLATE, &body, 400, "variables.2")?;
    body["variables"] = json!({"nome": "João"});
    desk.refused(TEMPLATE, &body, 400, "variables.codigo")?;
    // By number it goes on as before.
    body["variables"] = json!({"1": "João", "2": "ABC123"});
    desk.template(&body)?;
    desk.bench.nothing_violated()
}

#[test]
fn only_post_is_taken_and_only_json() -> Result<()> {
    let desk = Desk::new()?;
    for path in [TEMPLATE, DIRECT] {
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            assert_eq!(desk.client.request(method, path).send()?.status, 405, "{method} {path}");
        }
        let broken = desk.client.request("POST", path).body("application/json", b"{\"number\":".to_vec()).send()?;
        assert_eq!(broken.status, 400, "{broken:?}");
        let without = Client::new(desk.bench.tenant.client.address()).post(path, &json!({}))?;
        assert_eq!(without.status, 401, "{without:?}");
    }
    Ok(())
}

#[test]
fn metas_refusals_are_400_and_its_failures_500() -> Result<()> {
    let desk = Desk::new()?;
    for (fault, status) in [
        (json!({"code": 131_009}), 400),
        (json!({"code": 132_001}), 400),
        (json!({"code": 131_016}), 500),
        (json!({"code": 130_429}), 500),
        (json!({"code": 1, "http": 502, "body": "html"}), 500),
    ] {
        let who = person();
        let mut rule = fault.clone();
        rule["match"] = json!({"to": who, "count": 0});
        desk.bench.graph.fault(&rule)?;
        let reply = desk.try_template(&desk.body(&who))?;
        assert_eq!(reply.status, status, "{fault}: {reply:?}");
        assert_eq!(reply.json()?["success"], false);
    }
    Ok(())
}

/// The documented text and file to a contact of an instance.
#[test]
fn texts_and_files_go_to_a_contact_of_the_instance() -> Result<()> {
    let desk = Desk::new()?;
    let who = person();
    desk.bench.opened(&who)?;
    let contact = desk.contact(&who)?;
    let text = json!({"contact_id": contact, "instance_id": desk.instance, "message_content": "Olá, tudo bem?"});
    let sent = desk.client.post(DIRECT, &text)?.expect_json(200)?;
    ensure!(text_of(&sent, "whatsapp_message_id")?.starts_with("wamid."), "{sent}");
    for (field, value) in [
        ("status", "success"),
        ("message", "Mensagem enviada com sucesso"),
        ("media_type", "text"),
        ("media_file_id", ""),
        ("source", "api"),
    ] {
        assert_eq!(sent[field], value, "{sent}");
    }
    let files = Receiver::start()?;
    for (path, kind) in [("/file/20000/arquivo.pdf", "document"), ("/image/20000/foto.jpg", "image")] {
        let body = json!({"contact_id": contact, "instance_id": desk.instance, "media_url": files.url(path),
            "media_caption": "Segue o documento solicitado."});
        let sent = desk.client.post(DIRECT, &body)?.expect_json(200)?;
        assert_eq!(sent["media_type"], kind, "{sent}");
    }
    let got = desk.bench.accepted(&who)?;
    assert_eq!(got.len(), 3, "{got:?}");
    assert_eq!(got[0]["text"]["body"], "Olá, tudo bem?");
    assert_eq!(got[1]["document"]["caption"], "Segue o documento solicitado.");
    assert_eq!(got[2]["image"]["caption"], "Segue o documento solicitado.");
    desk.bench.nothing_violated()
}

#[test]
fn a_closed_window_is_400_and_says_to_send_a_template() -> Result<()> {
    let desk = Desk::new()?;
    let who = person();
    // The contact comes with a template, and has not written.
    desk.template(&desk.body(&who))?;
    let contact = desk.contact(&who)?;
    let body = json!({"contact_id": contact, "instance_id": desk.instance, "message_content": "Olá, tudo bem?"});
    let refused = desk.client.post(DIRECT, &body)?.expect(400)?;
    ensure!(refused.text().to_lowercase().contains("template"), "{refused:?}");
    assert_eq!(desk.bench.accepted(&who)?.len(), 1);
    desk.bench.nothing_violated()
}

#[test]
fn a_key_is_for_its_instance_and_a_contact_of_it() -> Result<()> {
    let desk = Desk::new()?;
    let who = person();
    desk.bench.opened(&who)?;
    let contact = desk.contact(&who)?;
    let text = |contact: u64, instance: u64| json!({"contact_id": contact, "instance_id": instance, "message_content": "Olá, tudo bem?"});
    // Another instance of the tenant, and another tenant's key.
    let other = pombo_tests::graph::connect(&desk.bench.tenant, &desk.bench.graph.config(&json!({})))?;
    let second = instance_of(&desk.bench.tenant, &other)?;
    assert_eq!(desk.client.post(DIRECT, &text(contact, second))?.status, 401);
    let stranger = Tenant::create(server()?)?;
    let client = Client::new(stranger.client.address()).with("apikey", &stranger.key);
    assert_eq!(client.post(DIRECT, &text(contact, desk.instance))?.status, 401);
    // A contact that is not on the instance.
    desk.refused(DIRECT, &text(contact + 4711, desk.instance), 400, "contact_id")?;
    let body = json!({"type": "WHATSAPP", "identifier": person(), "connectorIds": [other]});
    let elsewhere = desk.bench.tenant.client.post("/v1/contacts", &body)?;
    ensure!(elsewhere.status == 200 || elsewhere.status == 201, "{elsewhere:?}");
    let elsewhere = elsewhere.json()?["number"].as_u64().context("no number")?;
    desk.refused(DIRECT, &text(elsewhere, desk.instance), 400, "contact_id")?;
    for (body, field) in [
        (json!({"contact_id": contact, "instance_id": desk.instance}), "message_content"),
        (json!({"instance_id": desk.instance, "message_content": "x"}), "contact_id"),
        (json!({"contact_id": contact, "message_content": "x"}), "instance_id"),
    ] {
        desk.refused(DIRECT, &body, 400, field)?;
    }
    Ok(())
}

/// Hosts that are mapped to the facade have both operations at their root, as the documentation has them: each at its own host, and, as
/// nothing tells the two hosts apart, each at the other one too.
#[test]
fn at_a_mapped_host_nothing_but_the_base_url_changes() -> Result<()> {
    const HOSTS: [&str; 2] = ["api.ai-desk.example.com", "api.aideskbr.example.com"];
    let lines = HOSTS.map(|host| format!("\"{host}\" = \"aidesk\"\n")).concat();
    let own = pombo_tests::server::Server::start(pombo_tests::graph::options(&format!("[http.hosts]\n{lines}")))?;
    let mut bench = Bench::on(&own)?;
    bench.let_call_back(&own)?;
    let desk = Desk::of(bench)?;
    for host in HOSTS {
        let client = desk.bench.aidesk().with("Host", host);
        let who = person();
        let sent = client.post("/send-message", &desk.body(&who))?.expect_json(200)?;
        ensure!(text_of(&sent, "message_id")?.starts_with("wamid."), "{host}: {sent}");
        desk.bench.opened(&who)?;
        let text = json!({"contact_id": desk.contact(&who)?, "instance_id": desk.instance, "message_content": "Olá"});
        let sent = client.post("/sendmessage", &text)?.expect_json(200)?;
        ensure!(text_of(&sent, "whatsapp_message_id")?.starts_with("wamid."), "{host}: {sent}");
        assert_eq!(desk.bench.accepted(&who)?.len(), 2, "{host}");
        // Errors have the facade's form there too, and other facades are not there.
        let refused = client.post("/sendmessage", &json!({}))?.expect_json(400)?;
        assert_eq!((&refused["success"], &refused["status"]), (&json!(false), &json!("error")), "{host}: {refused}");
        assert_eq!(client.get("/v1/contacts")?.status, 404, "{host}");
    }
    Ok(())
}
