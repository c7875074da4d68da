//! Templates: taken over from Graph with all pages and languages, made and changed there, told by webhooks, shown as the recipient sees
//! them; and texts of our own. Row 7 of what peers got wrong.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use pombo_tests::campaigns::api;
use pombo_tests::http::query;
use pombo_tests::tenant::text_of;
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::webhook::{jpeg, pdf};
use serde_json::{Value, json};

use crate::shared::{Bench, named_template, person};

impl Bench {
    /// All templates of the tenant.
    fn templates(&self) -> Result<Vec<Value>> {
        api::templates(&self.tenant.client)
    }

    /// Waits until a template looks as wanted.
    fn template_when(&self, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        until(&format!("template {name} to be {what}"), PATIENCE, || {
            let found = self.templates()?.into_iter().find(|one| one["name"] == name);
            last = found.unwrap_or_default();
            Ok(wanted(&last).then(|| last.clone()))
        })
        .with_context(|| format!("it is {last}"))
    }
}

/// Row 7: only the first page, 25 templates, was there.
#[test]
fn all_pages_and_languages_are_taken_over() -> Result<()> {
    let bench = Bench::new()?;
    for n in 0..130 {
        for language in ["pt_BR", "en_US"] {
            let mut template = named_template(&format!("modelo_{n:03}"));
            template["language"] = json!(language);
            bench.graph.template(&template)?;
        }
    }
    bench.sync()?;
    let all = bench.templates()?;
    let names: BTreeSet<String> = all.iter().map(|one| format!("{} {}", one["name"], one["language"])).collect();
    assert_eq!((all.len(), names.len()), (260, 260));
    let numbers: BTreeSet<u64> = all.iter().filter_map(|one| one["number"].as_u64()).collect();
    assert_eq!(numbers.len(), 260);
    // A second time nothing is new, and nobody's number changes.
    bench.sync()?;
    let again: BTreeSet<u64> = bench.templates()?.iter().filter_map(|one| one["number"].as_u64()).collect();
    assert_eq!(again, numbers);
    Ok(())
}

#[test]
fn one_is_shown_with_its_variables_and_as_the_recipient_sees_it() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&named_template("mostrado"))?;
    let id = text_of(&bench.found("mostrado")?, "id")?;
    let shown = bench.tenant.client.get(&format!("/v1/templates/{id}"))?.expect_json(200)?;
    assert_eq!((&shown["name"], &shown["category"]), (&json!("mostrado"), &json!("utility")), "{shown}");
    let names: Vec<&Value> =
        shown["variables"].as_array().context("no variables")?.iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["nome", "codigo"]);
    let path = format!("/v1/templates/{id}/preview");
    let preview = bench.tenant.client.post(&path, &json!({"variables": {"nome": "João", "codigo": "ABC"}}))?;
    let preview = preview.expect_json(200)?;
    ensure!(preview.to_string().contains("Olá João, seu código é ABC."), "{preview}");
    Ok(())
}

#[test]
fn one_is_made_changed_and_deleted_at_meta() -> Result<()> {
    let bench = Bench::new()?;
    let client = &bench.tenant.client;
    let components = json!([
        {"type": "body", "text": "Olá {{nome}}, tudo certo?", "examples": {"nome": "Ana"}},
        {"type": "buttons", "buttons": [{"type": "quick-reply", "text": "Sim"}]}]);
    let body = json!({"connectorId": bench.connector, "name": "feito_aqui", "language": "pt_BR", "category": "utility",
        "format": "named", "components": components});
    let made = client.post("/v1/templates", &body)?.expect_json(201)?;
    let id = text_of(&made, "id")?;
    assert_eq!(made["status"], "pending", "{made}");
    // Meta approves it, and says so by a webhook.
    bench.graph.review("feito_aqui", "APPROVED", "NONE")?;
    bench.template_when("feito_aqui", "approved", |one| one["status"] == "approved")?;
    let changed = json!([{"type": "body", "text": "Oi {{nome}}, tudo certo mesmo?", "examples": {"nome": "Ana"}}]);
    let path = format!("/v1/templates/{id}");
    let edited = client.patch(&path, &json!({"components": changed}))?.expect_json(200)?;
    assert_eq!(edited["status"], "pending", "{edited}");
    bench.graph.review("feito_aqui", "REJECTED", "INVALID_FORMAT")?;
    let rejected = bench.template_when("feito_aqui", "rejected", |one| one["status"] == "rejected")?;
    ensure!(rejected["reason"].as_str().is_some_and(|reason| reason.contains("INVALID_FORMAT")), "{rejected}");
    client.delete(&path)?.expect(204)?;
    bench.sync()?;
    ensure!(!bench.templates()?.iter().any(|one| one["name"] == "feito_aqui" && one["status"] == "approved"));
    Ok(())
}

#[test]
fn a_text_that_was_changed_at_meta_is_taken_over_when_meta_tells_of_it() -> Result<()> {
    const ID: u32 = 4_711;
    const TEXT: &str = "Oi {{nome}}, o código é mesmo {{codigo}}.";
    let bench = Bench::silent()?;
    let mut template = named_template("mudado_la");
    template["id"] = json!(ID);
    let number = bench.template(&template)?;
    template["components"][0]["text"] = json!(TEXT);
    bench.graph.template(&template)?;
    let told = json!({"message_template_id": ID, "message_template_name": "mudado_la",
        "message_template_language": "pt_BR", "message_template_element": TEXT});
    bench.hook.post(&bench.graph.line().other("message_template_components_update", &told))?;
    let taken =
        bench.template_when("mudado_la", "as it is at Meta", |one| one["components"].to_string().contains(TEXT))?;
    assert_eq!((&taken["number"], &taken["status"]), (&json!(number), &json!("approved")), "{taken}");
    Ok(())
}

#[test]
fn metas_rules_are_checked_before_meta_is_asked() -> Result<()> {
    let bench = Bench::new()?;
    let body = |text: &str| json!([{"type": "body", "text": text, "examples": {"nome": "Ana", "1": "a", "3": "c"}}]);
    for (field, value) in [
        ("name", json!("Com Maiúsculas")),
        ("components", json!([])),
        ("components", body("{{nome}} no começo.")),
        ("components", body("No fim {{nome}}")),
        ("components", body("Sem intervalo {{nome}}{{nome}} aqui.")),
        ("components", json!([{"type": "body", "text": "Sem exemplo {{nome}} aqui."}])),
        ("components", body(&"a".repeat(1025))),
    ] {
        let mut template = json!({"connectorId": bench.connector, "name": "regras", "language": "pt_BR",
            "category": "utility", "format": "named", "components": body("Olá {{nome}}, tudo certo?")});
        template[field] = value;
        let refused = bench.tenant.client.post("/v1/templates", &template)?;
        assert_eq!(refused.status, 400, "{template}: {refused:?}");
    }
    let asked = bench.graph.requests("/message_templates")?;
    ensure!(!asked.iter().any(|entry| entry["method"] == "POST"), "Meta was asked");
    Ok(())
}

/// Nobody gets a handle of Meta's by hand: the engine uploads the file, and Meta takes the handle that it gave for it.
#[test]
fn a_headers_sample_is_uploaded_and_its_handle_stands_in_the_template() -> Result<()> {
    let bench = Bench::new()?;
    let client = &bench.tenant.client;
    // Larger than what is moved at once.
    let content = jpeg(700_000);
    let file = bench.upload("foto.jpg", "image/jpeg", &content)?;
    let header =
        json!({"type": "header", "format": "image", "exampleFile": {"id": file["id"], "fileName": "foto.jpg"}});
    let body = json!({"connectorId": bench.connector, "name": "com_amostra", "language": "pt_BR", "category": "utility",
        "components": [header, {"type": "body", "text": "Seu pedido saiu."}]});
    let made = client.post("/v1/templates", &body)?.expect_json(201)?;
    let begun = bench.graph.requests("/uploads")?;
    assert_eq!(begun.len(), 1, "{begun:?}");
    let query = text_of(&begun[0], "query")?;
    let length = format!("file_length={}", content.len());
    ensure!(query.contains(&length) && query.contains("file_type=image%2Fjpeg"), "{query}");
    let handle = |place: usize| -> Result<Value> {
        let posted = bench.graph.requests("/upload:")?;
        let entry = posted.get(place).with_context(|| format!("{posted:?}"))?;
        assert_eq!(entry["body"], format!("{} bytes", content.len()), "{entry}");
        ensure!(entry["answer"]["h"].is_string(), "{entry}");
        Ok(entry["answer"]["h"].clone())
    };
    let created = bench.graph.requests("/message_templates")?;
    let created = created.iter().find(|entry| entry["method"] == "POST").context("nothing was created")?;
    assert_eq!(created["body"]["components"][0]["example"]["header_handle"], json!([handle(0)?]));

    // The sample is shown, also when Meta has told of its own copy.
    let path = format!("/v1/templates/{}", text_of(&made, "id")?);
    bench.sync()?;
    let shown = client.get(&path)?.expect_json(200)?;
    let sample = &shown["components"][0];
    assert_eq!((&sample["exampleFile"]["id"], &sample["exampleFile"]["fileName"]), (&file["id"], &json!("foto.jpg")));
    ensure!(sample["example"].as_str().is_some_and(|link| link.starts_with("https://scontent.")), "{shown}");
    let preview = client.post(&format!("{path}/preview"), &json!({}))?.expect_json(200)?;
    assert_eq!(preview["sample"]["id"], file["id"], "{preview}");

    // A change uploads it anew: what was shown is sent back with another text.
    bench.graph.review("com_amostra", "APPROVED", "NONE")?;
    bench.template_when("com_amostra", "approved", |one| one["status"] == "approved")?;
    let mut components = shown["components"].clone();
    components[1]["text"] = json!("Seu pedido chegou.");
    client.patch(&path, &json!({"components": components}))?.expect(200)?;
    let edited = bench.graph.requests(&format!("/{}", text_of(&made, "remoteId")?))?;
    let edited = edited.iter().find(|entry| entry["method"] == "POST").context("nothing was changed")?;
    assert_eq!(edited["body"]["components"][0]["example"]["header_handle"], json!([handle(1)?]), "{edited}");
    Ok(())
}

#[test]
fn a_sample_that_meta_would_not_take_is_refused_before_it_is_asked() -> Result<()> {
    let bench = Bench::new()?;
    let (picture, document) =
        (bench.upload("a.jpg", "image/jpeg", &jpeg(1_000))?, bench.upload("a.pdf", "application/pdf", &pdf(1_000))?);
    let large = bench.upload("b.jpg", "image/jpeg", &jpeg((5 << 20) + 1))?;
    let nobodys = json!({"id": "018f0000-0000-7000-8000-00000000000f"});
    for (format, file, status) in [
        ("image", &document, 400),
        ("video", &picture, 400),
        ("document", &picture, 400),
        ("image", &large, 400),
        ("image", &nobodys, 404),
    ] {
        let header = json!({"type": "header", "format": format, "exampleFile": {"id": file["id"]}});
        let body = json!({"connectorId": bench.connector, "name": "sem_amostra", "language": "pt_BR",
            "category": "utility", "components": [header, {"type": "body", "text": "Seu pedido saiu."}]});
        let refused = bench.tenant.client.post("/v1/templates", &body)?;
        assert_eq!(refused.status, status, "{format}: {refused:?}");
        ensure!(refused.text().contains("components[0].exampleFile"), "{refused:?}");
    }
    ensure!(bench.graph.requests("/uploads")?.is_empty(), "Meta was asked");
    Ok(())
}

#[test]
fn what_meta_tells_of_templates_is_kept() -> Result<()> {
    let bench = Bench::new()?;
    let number = bench.template(&named_template("vigiado"))?;
    let line = bench.graph.line();
    let update = |field: &str, further: Value| {
        let mut value = json!({"message_template_id": 4711, "message_template_name": "vigiado",
            "message_template_language": "pt_BR"});
        pombo_tests::tenant::merge(&mut value, &further);
        bench.hook.post(&line.other(field, &value))
    };
    update(
        "message_template_status_update",
        json!({"event": "PAUSED", "reason": "NONE",
        "other_info": {"title": "FIRST_PAUSE", "description": "…"}}),
    )?;
    bench.template_when("vigiado", "paused", |one| one["status"] == "paused")?;
    update(
        "message_template_quality_update",
        json!({"previous_quality_score": "GREEN", "new_quality_score": "YELLOW"}),
    )?;
    bench.template_when("vigiado", "yellow", |one| {
        one["quality"].as_str().is_some_and(|q| q.eq_ignore_ascii_case("yellow"))
    })?;
    update("template_category_update", json!({"previous_category": "UTILITY", "new_category": "MARKETING"}))?;
    bench.template_when("vigiado", "marketing", |one| one["category"] == "marketing")?;
    // What is paused is not sent.
    let (queue, status) = bench.queue_and_status()?;
    let body = json!({"number": person(), "template_id": number, "queue_id": queue, "status_id": status,
        "variables": {"nome": "Ana", "codigo": "1"}});
    let refused = bench.aidesk().post("/aidesk/send-message", &body)?;
    assert_eq!(refused.status, 400, "{refused:?}");
    update("message_template_status_update", json!({"event": "APPROVED", "reason": "NONE"}))?;
    bench.template_when("vigiado", "approved", |one| one["status"] == "approved")?;
    Ok(())
}

#[test]
fn texts_of_our_own_are_for_any_connector() -> Result<()> {
    let bench = Bench::new()?;
    let client = &bench.tenant.client;
    let body = json!({"name": "saudacao", "category": "utility",
        "components": [{"type": "body", "text": "Olá {{nome}}, aqui é a padaria.", "examples": {"nome": "Ana"}}]});
    let made = client.post("/v1/templates", &body)?.expect_json(201)?;
    ensure!(made["connectorId"].is_null() && made["status"] == "approved", "{made}");
    let who = person();
    bench.opened(&who)?;
    let (queue, status) = bench.queue_and_status()?;
    let body = json!({"number": who, "template_id": made["number"], "queue_id": queue, "status_id": status,
        "variables": {"nome": "Bia"}});
    bench.aidesk().post("/aidesk/send-message", &body)?.expect(200)?;
    let sent = bench.accepted(&who)?;
    assert_eq!(sent[0]["text"]["body"], "Olá Bia, aqui é a padaria.");
    let found = client.get(&query("/v1/templates", &[("search", "saudacao"), ("limit", "10")]))?.expect_json(200)?;
    assert_eq!(text_of(&found["data"][0], "name")?, "saudacao");
    Ok(())
}

/// Queues and statuses, which the AI DESK API names by number.
#[test]
fn queues_and_statuses_live_and_sort_conversations() -> Result<()> {
    let bench = Bench::new()?;
    let client = &bench.tenant.client;
    let who = person();
    bench.opened(&who)?;
    for (path, field) in [("/v1/queues", "queueId"), ("/v1/conversation-statuses", "statusId")] {
        let made = client.post(path, &json!({"name": "Vendas", "color": "#ef4444"}))?.expect_json(201)?;
        let (id, number) = (text_of(&made, "id")?, made["number"].as_u64().context("no number")?);
        assert_eq!(number, 1, "{made}");
        client.post(path, &json!({"name": "vendas"}))?.expect(409)?;
        assert_eq!(client.get(&format!("{path}/{id}"))?.expect_json(200)?["name"], "Vendas");
        client.patch(&format!("{path}/{id}"), &json!({"name": "Vendas online"}))?.expect(200)?;
        let listed = client.get(path)?.expect_json(200)?;
        assert_eq!(listed["data"][0]["name"], "Vendas online", "{listed}");
        let conversation = text_of(&bench.conversation(&who)?, "id")?;
        let shown =
            client.patch(&format!("/v1/conversations/{conversation}"), &json!({field: id}))?.expect_json(200)?;
        assert_eq!(shown[field], json!(id), "{shown}");
        let found = client.get(&format!("/v1/conversations?{field}={id}&limit=10"))?.expect_json(200)?;
        assert_eq!(found["data"][0]["id"], json!(conversation), "{found}");
        client.delete(&format!("{path}/{id}"))?.expect(204)?;
        let next = client.post(path, &json!({"name": "Outra"}))?.expect_json(201)?;
        assert_eq!(next["number"], 2, "a number was given again");
    }
    Ok(())
}
