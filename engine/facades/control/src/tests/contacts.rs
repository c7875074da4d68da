//! Contacts: listed, saved, changed, deleted, imported and exported.

use poem::http::header;
use poem::{Body, Request};
use pombo_domain::ConnectorIndex;
use pombo_domain::model::{Contact, ContactStep, ContactType};
use pombo_domain::ports::{Batch, Change, ContactStore, Store};
use pombo_testkit::store::unavailable;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Answer, Caller, Engine, Refused};

/// A contact of A, saved.
async fn saved(engine: &Engine, body: Value) -> Value {
    engine.post(&engine.a, "/v1/contacts", body).await.expect(201)
}

fn phone(identifier: &str) -> Value {
    json!({"type": "WHATSAPP", "identifier": identifier})
}

async fn patched(engine: &Engine, caller: &Caller, path: &str, body: Value) -> Answer {
    engine.ask("PATCH", path, &[("x-api-key", &caller.key)], Some(body)).await
}

async fn deleted(engine: &Engine, caller: &Caller, path: &str) -> Answer {
    engine.ask("DELETE", path, &[("x-api-key", &caller.key)], None).await
}

fn path(contact: &Value) -> String {
    format!("/v1/contacts/{}", contact["id"].as_str().expect("an id"))
}

fn identifiers(page: &Value) -> Vec<&str> {
    page["data"].as_array().expect("a list").iter().filter_map(|row| row["identifier"].as_str()).collect()
}

#[tokio::test]
async fn a_contact_is_saved_found_by_id_and_number_changed_and_deleted() {
    let engine = Engine::new().await;
    let (connector, _) = engine.chat(&engine.a).await;
    let body = json!({
        "type": "WHATSAPP", "identifier": "+5511988887777", "connectorIds": [connector], "name": " Ana ",
        "email": "ana@loja.com", "company": "Loja", "notes": "linha 1\nlinha 2", "business": true
    });
    let made = saved(&engine, body).await;
    let expected = json!({
        "id": made["id"], "number": 1, "type": "WHATSAPP", "identifier": "5511988887777", "aliases": [], "displayName": "Ana",
        "name": "Ana", "email": "ana@loja.com", "company": "Loja", "notes": "linha 1\nlinha 2", "business": true,
        "connectorIds": [connector], "active": true, "refusedCategories": [], "createdAt": "2030-01-01T00:00:00.000Z",
        "updatedAt": "2030-01-01T00:00:00.000Z"
    });
    assert_eq!(made, expected);
    for id in [path(&made), "/v1/contacts/1".to_owned()] {
        assert_eq!(engine.get(&engine.a, &id).await.expect(200), made);
    }
    for id in ["/v1/contacts/2", "/v1/contacts/0", "/v1/contacts/999999999999999", "/v1/contacts/x"] {
        assert_eq!(engine.get(&engine.a, id).await.error(404).0, "not_found");
    }
    engine.world.clock.jump(1_000);
    let again = json!({"type": "WHATSAPP", "identifier": "5511988887777", "company": null, "name": "Ana Sá"});
    let known = engine.post(&engine.a, "/v1/contacts", again).await.expect(200);
    assert_eq!((&known["id"], &known["name"], known.get("company")), (&made["id"], &json!("Ana Sá"), None));
    assert_eq!((&known["email"], &known["connectorIds"]), (&made["email"], &made["connectorIds"]), "omitted: kept");
    assert_eq!(known["updatedAt"], "2030-01-01T00:00:01.000Z");

    let change = json!({"email": null, "company": "Nova", "business": false, "notes": ""});
    let changed = patched(&engine, &engine.a, "/v1/contacts/1", change).await.expect(200);
    assert_eq!((changed.get("email"), &changed["company"], changed.get("notes")), (None, &json!("Nova"), None));
    assert_eq!((&changed["business"], &changed["name"]), (&json!(false), &json!("Ana Sá")));
    assert_eq!(patched(&engine, &engine.a, &path(&made), json!({})).await.expect(200), changed);

    deleted(&engine, &engine.a, "/v1/contacts/1").await.expect(204);
    deleted(&engine, &engine.a, &path(&made)).await.error(404);
    assert_eq!(saved(&engine, phone("5511988887777")).await["number"], 2, "no number is given twice");
}

#[tokio::test]
async fn what_is_wrong_with_a_contact_is_named() {
    let engine = Engine::new().await;
    let base = || phone("5511988887777");
    let with = |field: &str, value: Value| {
        let mut body = base();
        body[field] = value;
        body
    };
    for (body, fields) in [
        (with("identifier", json!("ana")), vec!["identifier"]),
        (with("identifier", json!("")), vec!["identifier"]),
        (with("type", json!("SMS")), vec!["type"]),
        (with("email", json!("ana")), vec!["email"]),
        (with("name", json!("x".repeat(256))), vec!["name"]),
        (with("notes", json!("x".repeat(4_001))), vec!["notes"]),
        (with("connectorIds", json!([Uuid::nil()])), vec!["connectorIds[0]"]),
        (with("connectorIds", json!(vec![Uuid::nil(); 51])), vec!["connectorIds"]),
        (with("phone", json!("1")), vec!["phone"]),
        (with("active", json!(true)), vec!["active"]),
    ] {
        assert_eq!(engine.post(&engine.a, "/v1/contacts", body.clone()).await.error(400).1, fields, "{body}");
    }
    assert_eq!(engine.get(&engine.a, "/v1/contacts").await.expect(200), json!({"data": [], "total": 0}));
    let made = saved(&engine, base()).await;
    for (body, fields) in [
        (json!({"identifier": "5522"}), vec!["identifier"]),
        (json!({"reason": "porque sim"}), vec!["reason"]),
        (json!({"name": "a\u{0}b", "email": "x"}), vec!["name", "email"]),
        (json!({"active": "no"}), vec!["active"]),
        (json!({"active": false, "reason": "x".repeat(501)}), vec!["reason"]),
    ] {
        assert_eq!(patched(&engine, &engine.a, &path(&made), body.clone()).await.error(400).1, fields, "{body}");
    }
    assert_eq!(engine.get(&engine.a, &path(&made)).await.expect(200), made);
}

#[tokio::test]
async fn who_opted_out_gets_nothing_even_after_the_contact_was_deleted() {
    let engine = Engine::new().await;
    let (connector, _) = engine.chat(&engine.a).await;
    let made = saved(&engine, phone("5511988887777")).await;
    let off = json!({"active": false, "reason": "pediu"});
    let off = patched(&engine, &engine.a, &path(&made), off).await.expect(200);
    assert_eq!((&off["active"], &off["reason"]), (&json!(false), &json!("pediu")));
    let alias = |alias: &str| Change::ContactAlias {
        tenant: engine.a.tenant.index,
        kind: ContactType::WhatsApp,
        alias: alias.to_owned(),
        identifier: "5511988887777".to_owned(),
    };
    // The same person without the ninth digit.
    engine.world.store.commit(Batch::of(vec![alias("551188887777")])).await.expect("commits");
    deleted(&engine, &engine.a, &path(&made)).await.expect(204);
    engine.get(&engine.a, &path(&made)).await.error(404);
    let send = |to: &str| {
        let (engine, path) = (&engine, format!("/v1/connectors/{connector}/messages"));
        let body = json!({"to": to, "text": "Oi"});
        async move { engine.post(&engine.a, &path, body).await }
    };
    for to in ["5511988887777", "551188887777"] {
        assert_eq!(send(to).await.error(400).1, ["to"]);
    }
    // Another tenant's addresses are its own.
    let (theirs, _) = engine.chat(&engine.b).await;
    let body = json!({"to": "5511988887777", "text": "Oi"});
    engine.post(&engine.b, &format!("/v1/connectors/{theirs}/messages"), body).await.expect(201);

    let again = saved(&engine, phone("551188887777")).await;
    assert_eq!((&again["identifier"], &again["active"]), (&json!("5511988887777"), &json!(false)), "the same person");
    assert_eq!(again["reason"], "pediu");
    send("5511988887777").await.error(400);
    patched(&engine, &engine.a, &path(&again), json!({"active": true})).await.expect(200);
    send("551188887777").await.expect(201);
}

#[tokio::test]
async fn contacts_are_filtered_searched_and_counted() {
    let engine = Engine::new().await;
    let (connector, index) = engine.chat(&engine.a).await;
    for (n, name) in ["João Ação", "Maria", "joana"].iter().enumerate() {
        let mut body = phone(&format!("551198888777{n}"));
        body["name"] = json!(name);
        saved(&engine, body).await;
    }
    let mail = json!({"type": "EMAIL", "identifier": "ana@loja.com", "connectorIds": [connector]});
    let mail = saved(&engine, mail).await;
    patched(&engine, &engine.a, "/v1/contacts/2", json!({"active": false})).await.expect(200);
    let list = |query: &str| {
        let (engine, path) = (&engine, format!("/v1/contacts{query}"));
        async move { engine.get(&engine.a, &path).await }
    };
    let first = list("?limit=3").await.expect(200);
    assert_eq!((identifiers(&first).len(), &first["total"], &first["next"]), (3, &json!(4), &json!(3)));
    let rest = list("?limit=3&after=3").await.expect(200);
    assert_eq!((identifiers(&rest), &rest["total"], rest.get("next")), (vec!["ana@loja.com"], &json!(4), None));
    for (query, expected) in [
        ("?type=EMAIL", 1),
        ("?active=false", 1),
        ("?active=true&type=WHATSAPP", 2),
        (format!("?connectorId={connector}").as_str(), 1),
        ("?search=JOAO%20acao", 1),
        ("?search=jo", 2),
        ("?search=%2B55%20(11)%2098888-7771", 1),
        ("?search=zzz", 0),
    ] {
        let page = list(query).await.expect(200);
        assert_eq!((page["total"].as_u64(), identifiers(&page).len() as u64), (Some(expected), expected), "{query}");
    }
    // What the channel says, and where somebody becomes known, is found too.
    let steps = vec![ContactStep::PushName("Dona Rosa".to_owned()), ContactStep::Join(index)];
    let (tenant, at) = (engine.a.tenant.index, engine.state.commands.now());
    let id = engine.world.store.contact_by_number(tenant, 1).expect("reads").expect("there").id;
    let change = Change::ContactSteps { tenant, id, at, steps, must_exist: true };
    engine.world.store.commit(Batch::of(vec![change])).await.expect("commits");
    assert_eq!(list("?search=rosa").await.expect(200)["data"][0]["displayName"], "João Ação");
    assert_eq!(list(&format!("?connectorId={connector}")).await.expect(200)["total"], 2);
    deleted(&engine, &engine.a, &path(&mail)).await.expect(204);
    assert_eq!(list("").await.expect(200)["total"], 3);
    assert_eq!(list(&format!("?connectorId={}", Uuid::nil())).await.error(404).0, "not_found");
    for (query, field) in [("?limit=0", "limit"), ("?type=SMS", "type"), ("?active=x", "active"), ("?label=x", "label")]
    {
        assert_eq!(list(query).await.error(400).1, [field]);
    }
}

#[tokio::test]
async fn an_import_takes_the_good_rows_and_names_the_others() {
    let engine = Engine::new().await;
    let (connector, _) = engine.chat(&engine.a).await;
    let known = saved(&engine, json!({"type": "EMAIL", "identifier": "ana@loja.com", "name": "Ana"})).await;
    let import = |body: Value| engine.post(&engine.a, "/v1/contacts/import", body);
    let rows = json!([
        {"type": "WHATSAPP", "identifier": "5511988887777", "name": "Novo"},
        {"type": "EMAIL", "identifier": "ana@loja.com", "company": "Loja"},
        {"type": "WHATSAPP", "identifier": "abc", "email": "x"},
        {"type": "WHATSAPP", "identifier": "5511988887777", "name": "Novo"},
        {"type": "WHATSAPP", "identifier": "+5511988887777", "company": "Outra"},
        {"type": "EMAIL", "identifier": "b@loja.com", "connectorIds": [Uuid::nil()]}
    ]);
    let done = import(json!({"contacts": rows, "connectorIds": [connector]})).await.expect(200);
    assert_eq!([&done["created"], &done["updated"], &done["unchanged"]], [&json!(1), &json!(2), &json!(1)]);
    let refused = done["refused"].as_array().expect("a list");
    let places: Vec<_> = refused.iter().map(|row| row["row"].as_u64()).collect();
    assert_eq!(places, [Some(2), Some(5)]);
    let first = refused[0]["message"].as_str().expect("a text");
    assert!(first.starts_with("identifier: must be ") && first.contains("; email: must be "), "{first}");
    assert_eq!(refused[1]["message"], "connectorIds[0]: is not the id of a connector");
    let page = engine.get(&engine.a, "/v1/contacts").await.expect(200);
    assert_eq!(identifiers(&page), ["ana@loja.com", "5511988887777"]);
    assert_eq!((&page["data"][0]["name"], &page["data"][0]["company"]), (&known["name"], &json!("Loja")));
    assert_eq!((&page["data"][1]["name"], &page["data"][1]["company"]), (&json!("Novo"), &json!("Outra")));
    assert!(page["data"].as_array().expect("a list").iter().all(|row| row["connectorIds"] == json!([connector])));

    let many = vec![phone("5511988887777"); 1_001];
    for (body, field) in [
        (json!({"contacts": []}), "contacts"),
        (json!({"contacts": many}), "contacts"),
        (json!({"contacts": [{"type": "EMAIL"}]}), "contacts[0]"),
        (json!({"contacts": [phone("5511")], "connectorIds": [Uuid::nil()]}), "connectorIds[0]"),
    ] {
        assert_eq!(import(body).await.error(400).1, [field]);
    }
}

#[tokio::test]
async fn an_import_of_a_thousand_rows_is_one_batch() {
    let engine = Engine::new().await;
    let rows: Vec<Value> = (0..1_000).map(|n| phone(&format!("5511{n:08}"))).collect();
    let before = engine.world.store.commits();
    let done = engine.post(&engine.a, "/v1/contacts/import", json!({"contacts": rows})).await.expect(200);
    assert_eq!((&done["created"], &done["refused"]), (&json!(1_000), &json!([])));
    assert_eq!(engine.world.store.commits() - before, 1);
}

#[tokio::test]
async fn an_export_has_every_contact_and_no_formula() {
    let engine = Engine::new().await;
    let tenant = engine.a.tenant.index;
    // More than one piece of the file.
    let contacts: Vec<Change> = (1..=1_203_u128)
        .map(|n| {
            let now = engine.state.commands.now();
            let kind = ContactType::WhatsApp;
            let name = (n == 7).then(|| "=HYPERLINK(\"http://x\")".to_owned());
            let identifier = format!("5511{n:08}");
            Change::Contact(Contact { name, ..Contact::new(Uuid::from_u128(n), tenant, kind, identifier, now) })
        })
        .collect();
    engine.world.store.commit(Batch::of(contacts)).await.expect("commits");
    let export = |query: &str| {
        let (engine, path) = (&engine, format!("/v1/contacts/export{query}"));
        async move { engine.get(&engine.a, &path).await }
    };
    let json_file = export("").await;
    assert_eq!(json_file.headers[header::CONTENT_TYPE], "application/json");
    let rows = json_file.expect(200);
    let rows = rows.as_array().expect("an array");
    assert_eq!(rows.len(), 1_203);
    assert_eq!(rows[1_202], engine.get(&engine.a, "/v1/contacts/1203").await.expect(200));

    let csv = export("?format=csv").await;
    assert_eq!(
        (csv.status.as_u16(), &csv.headers[header::CONTENT_TYPE]),
        (200, &"text/csv; charset=utf-8".parse().expect("a type"))
    );
    assert_eq!(csv.headers[header::CONTENT_DISPOSITION], "attachment; filename=\"contacts.csv\"");
    let text = csv.text();
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 1_204);
    assert!(lines[0].starts_with("number,id,type,identifier,name,pushName,"), "{}", lines[0]);
    let cell = "WHATSAPP,551100000007,\"'=HYPERLINK(\"\"http://x\"\")\",,";
    assert!(lines[7].contains(cell), "{}", lines[7]);
    assert_eq!(export("?search=551100000007&format=csv").await.text().lines().count(), 2);
    assert_eq!(export("?type=EMAIL").await.expect(200), json!([]));
    assert_eq!(export("?type=EMAIL&format=csv").await.text().lines().count(), 1);
    assert_eq!(export("?format=xml").await.error(400).1, ["format"]);

    engine.world.store.fail_reads(|read| (read == "list_contacts").then(unavailable));
    assert_eq!(export("").await.error(503).0, "unavailable");
}

#[tokio::test]
async fn another_tenants_contacts_do_not_exist() {
    let engine = Engine::new().await;
    let made = saved(&engine, phone("5511988887777")).await;
    let (theirs, _) = engine.chat(&engine.b).await;
    for path in [path(&made), "/v1/contacts/1".to_owned()] {
        engine.get(&engine.b, &path).await.error(404);
        patched(&engine, &engine.b, &path, json!({"name": "x"})).await.error(404);
        deleted(&engine, &engine.b, &path).await.error(404);
    }
    assert_eq!(engine.get(&engine.b, "/v1/contacts").await.expect(200), json!({"data": [], "total": 0}));
    assert_eq!(engine.get(&engine.b, "/v1/contacts/export").await.expect(200), json!([]));
    // The same address is another contact, and another tenant's connector is none.
    let own = engine.post(&engine.b, "/v1/contacts", phone("5511988887777")).await.expect(201);
    assert_eq!((&own["number"], own["id"] == made["id"]), (&json!(1), false));
    let mut body = phone("5511988886666");
    body["connectorIds"] = json!([theirs]);
    assert_eq!(engine.post(&engine.a, "/v1/contacts", body).await.error(400).1, ["connectorIds[0]"]);
    assert_eq!(engine.get(&engine.a, &format!("/v1/contacts?connectorId={theirs}")).await.error(404).0, "not_found");
    assert_eq!(engine.get(&engine.a, &path(&made)).await.expect(200), made);
}

#[tokio::test]
async fn a_deleted_connector_is_not_shown_with_its_contacts() {
    let engine = Engine::new().await;
    let (connector, _): (String, ConnectorIndex) = engine.chat(&engine.a).await;
    let mut body = phone("5511988887777");
    body["connectorIds"] = json!([connector]);
    let made = saved(&engine, body).await;
    deleted(&engine, &engine.a, &format!("/v1/connectors/{connector}")).await.expect(204);
    assert_eq!(engine.get(&engine.a, &path(&made)).await.expect(200)["connectorIds"], json!([]));
}

#[tokio::test]
async fn messages_to_a_contact_are_forbidden_and_allowed_again() {
    let engine = Engine::new().await;
    let made = saved(&engine, phone("5511988887777")).await;
    let set = |body: Value| {
        let (engine, path) = (&engine, format!("{}/active", path(&made)));
        async move { engine.ask("PUT", &path, &[("x-api-key", &engine.a.key)], Some(body)).await }
    };
    let off = set(json!({"active": false, "reason": "pediu"})).await.expect(200);
    assert_eq!((&off["active"], &off["reason"]), (&json!(false), &json!("pediu")));
    let on = set(json!({"active": true})).await.expect(200);
    assert_eq!((&on["active"], on.get("reason")), (&json!(true), None), "the reason was that of the opt-out");
    for (body, field) in [
        (json!({}), "body"),
        (json!({"active": "no"}), "active"),
        (json!({"active": true, "why": "x"}), "why"),
        (json!({"active": true, "reason": "x".repeat(501)}), "reason"),
    ] {
        assert_eq!(set(body.clone()).await.error(400).1, [field], "{body}");
    }
    let theirs = format!("{}/active", path(&made));
    let stranger = [("x-api-key", engine.b.key.as_str())];
    engine.ask("PUT", &theirs, &stranger, Some(json!({"active": false}))).await.error(404);
}

/// Sends a file of contacts of A.
async fn sent_file(engine: &Engine, query: &str, file: &str) -> Answer {
    let mut body = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"c.csv\"\r\n\r\n".to_vec();
    body.extend(file.as_bytes());
    body.extend(b"\r\n--b--\r\n");
    let request = Request::builder()
        .method(poem::http::Method::POST)
        .uri(format!("/v1/contacts/import-file{query}").parse().expect("a path"))
        .header("x-api-key", &engine.a.key)
        .content_type("multipart/form-data; boundary=b");
    engine.call(request.body(Body::from_vec(body))).await
}

#[tokio::test]
async fn a_file_of_contacts_is_taken_and_its_bad_lines_are_named() {
    let engine = Engine::new().await;
    let (connector, _) = engine.chat(&engine.a).await;
    let file = "telefone;nome;email;empresa;obs;cidade\r\n\
                +5511988887777;Ana;ana@loja.com;Loja;vip;Recife\r\n\
                abc;Bia;x;;;\r\n\
                maria@loja.com;Maria;;;;\r\n";
    let query = format!("?connectorId={connector}");
    let done = sent_file(&engine, &query, file).await.expect(200);
    let counts = ["created", "updated", "unchanged", "refusedCount"].map(|name| done[name].as_u64());
    assert_eq!(counts, [Some(2), Some(0), Some(0), Some(1)], "{done}");
    assert_eq!(done["refused"][0]["line"], 3);
    let message = done["refused"][0]["message"].as_str().expect("a text");
    assert!(message.starts_with("identifier: ") && message.contains("; email: "), "{message}");
    let page = engine.get(&engine.a, "/v1/contacts").await.expect(200);
    assert_eq!(identifiers(&page), ["5511988887777", "maria@loja.com"]);
    let ana = &page["data"][0];
    let fields = ["type", "name", "email", "company", "notes"].map(|name| ana[name].as_str());
    assert_eq!(fields, [Some("WHATSAPP"), Some("Ana"), Some("ana@loja.com"), Some("Loja"), Some("vip")]);
    assert_eq!((&ana["connectorIds"], &page["data"][1]["type"]), (&json!([connector]), &json!("EMAIL")));
    let again = sent_file(&engine, &query, file).await.expect(200);
    assert_eq!((&again["created"], &again["unchanged"]), (&json!(0), &json!(2)), "a file can be sent again");

    assert_eq!(sent_file(&engine, "", "nome\r\nAna\r\n").await.error(400).1, ["file"]);
    let nowhere = format!("?connectorId={}", Uuid::nil());
    assert_eq!(sent_file(&engine, &nowhere, file).await.error(404).0, "not_found");
}

#[tokio::test]
async fn a_long_file_of_contacts_is_taken_in_parts() {
    let engine = Engine::new().await;
    let mut file = "to;name\r\n".to_owned();
    for n in 0..2_500 {
        file.push_str(&format!("5511{n:08};c{n}\r\n"));
    }
    let before = engine.world.store.commits();
    let done = sent_file(&engine, "", &file).await.expect(200);
    assert_eq!((&done["created"], &done["refusedCount"]), (&json!(2_500), &json!(0)));
    assert_eq!(engine.world.store.commits() - before, 3);
    assert_eq!(engine.get(&engine.a, "/v1/contacts").await.expect(200)["total"], 2_500);
}
