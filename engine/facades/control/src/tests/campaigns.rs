//! Campaigns: drafts, lists, the check, the start and what follows. Nothing hands rows over here.

use poem::{Body, Request};
use pombo_domain::model::pace::{AudienceView, EqualTextsView};
use pombo_domain::model::template::read_components;
use pombo_domain::model::{Inbound, MessageType, Outreach, Rules, Template, Undelivered};
use pombo_domain::ports::{Batch, Change, TemplateChange};
use pombo_domain::{ConnectorIndex, Timestamp};
use pombo_testkit::samples;
use serde_json::{Value, json};
use uuid::Uuid;

use super::demands::{WROTE, demanding};
use super::history::{receive, says};
use super::sending::upload;
use super::support::{Answer, Engine, Refused};

/// A template of tenant A, and a draft of a campaign that sends it by mail: its path.
async fn draft(engine: &Engine) -> (String, Value) {
    let template = samples::template(engine.a.tenant.index, "Olá {{nome}}");
    let change = Change::Template(Box::new(TemplateChange::Put(template)));
    engine.world.store.write(Batch::of(vec![change])).expect("stored");
    let connector = engine.connector(&engine.a).await;
    let body = json!({"name": "Natal", "template": 1, "connectorId": connector});
    let made = engine.post(&engine.a, "/v1/campaigns", body).await.expect(201);
    (format!("/v1/campaigns/{}", made["id"].as_str().expect("an id")), made)
}

async fn list(engine: &Engine, path: &str, file: &str) -> Answer {
    let mut body = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"l.csv\"\r\n\r\n".to_vec();
    body.extend(file.as_bytes());
    body.extend(b"\r\n--b--\r\n");
    let request = Request::builder()
        .method(poem::http::Method::POST)
        .uri(format!("{path}/audience").parse().expect("a path"))
        .header("x-api-key", &engine.a.key)
        .content_type("multipart/form-data; boundary=b");
    engine.call(request.body(Body::from_vec(body))).await
}

async fn patched(engine: &Engine, path: &str, body: Value) -> Answer {
    engine.ask("PATCH", path, &[("x-api-key", &engine.a.key)], Some(body)).await
}

#[tokio::test]
async fn a_draft_is_changed_checked_started_and_stopped() {
    let engine = Engine::new().await;
    let (path, made) = draft(&engine).await;
    assert_eq!((&made["number"], &made["status"]), (&json!(1), &json!("draft")));
    assert_eq!(made["audience"], json!({"type": "direct"}));
    assert_eq!(engine.get(&engine.a, "/v1/campaigns/1").await.expect(200), made, "by its number");
    let variables = json!({"nome": {"column": "apelido", "default": "cliente"}});
    let changed = patched(&engine, &path, json!({"name": "Ano novo", "variables": variables})).await.expect(200);
    assert_eq!((&changed["name"], &changed["variables"]), (&json!("Ano novo"), &variables));

    let file = "to;name;apelido\na@loja.com;Ana;Aninha\nA@loja.com;Ana;x\nb@loja.com;Bia;\nnobody;x;x\n";
    let listed = list(&engine, &path, file).await.expect(200);
    assert_eq!(listed["audience"], json!({"type": "list", "rows": 4, "fileName": "l.csv"}));
    let check = engine.post(&engine.a, &format!("{path}/check"), json!({})).await.expect(200);
    assert_eq!((&check["rows"], &check["sendable"]), (&json!(4), &json!(2)));
    assert_eq!(check["skipped"], json!({"bad_address": 1, "duplicate": 1}));
    assert_eq!(check["preview"], "Olá Aninha");
    assert_eq!(check["cost"], json!({"currency": "", "amount": "0.000000", "unpriced": 2}));
    assert_eq!(engine.get(&engine.a, &path).await.expect(200)["counts"]["rows"], 0, "nothing was stored");

    let started = engine.post(&engine.a, &format!("{path}/start"), json!({})).await.expect(200);
    assert_eq!((&started["status"], &started["counts"]["pending"]), (&json!("running"), &json!(2)));
    let rows = engine.get(&engine.a, &format!("{path}/rows?status=pending")).await.expect(200);
    assert_eq!(rows["data"][0]["variables"], json!({"nome": "Aninha"}));
    assert_eq!(rows["data"][1]["variables"], json!({"nome": "cliente"}), "the default");
    let skipped = engine.get(&engine.a, &format!("{path}/rows?status=skipped&limit=1")).await.expect(200);
    assert_eq!((&skipped["data"][0]["code"], &skipped["data"][0]["line"]), (&json!("duplicate"), &json!(3)));

    for (step, status) in [("pause", "paused"), ("resume", "running"), ("stop", "stopped")] {
        let stepped = engine.post(&engine.a, &format!("{path}/{step}"), json!({})).await.expect(200);
        assert_eq!(stepped["status"], status);
    }
    for step in ["start", "pause", "resume", "check"] {
        let refused = engine.post(&engine.a, &format!("{path}/{step}"), json!({})).await;
        assert_eq!(refused.error(409).0, "conflict", "{step}");
    }
    assert_eq!(patched(&engine, &path, json!({"name": "x"})).await.error(409).0, "conflict");
}

/// A template of a chat connector's channel with these parts; `id` is its id and its name.
fn of_channel(engine: &Engine, connector: ConnectorIndex, id: u128, components: &Value) {
    let template = Template {
        id: Uuid::from_u128(id),
        connector: Some(connector),
        name: format!("t{id}"),
        language: Some("pt_BR".to_owned()),
        components: read_components(components).expect("well formed"),
        ..samples::template(engine.a.tenant.index, "")
    };
    let change = Change::Template(Box::new(TemplateChange::Put(template)));
    engine.world.store.write(Batch::of(vec![change])).expect("stored");
}

#[tokio::test]
async fn a_header_is_given_once_for_everybody_and_fits_the_template() {
    let engine = Engine::new().await;
    let (connector, index) = engine.chat(&engine.a).await;
    let body = json!({"type": "body", "text": "Oi {{nome}}!"});
    let header = |format: &str| json!({"type": "header", "format": format});
    of_channel(&engine, index, 1, &json!([header("image"), body]));
    of_channel(&engine, index, 2, &json!([body]));
    of_channel(&engine, index, 3, &json!([header("location"), body]));
    let picture = upload(&engine, &engine.a, "x", "application/pdf", b"\x89PNG\r\n\x1a\n0000").await.expect(201);
    let document = upload(&engine, &engine.a, "y", "image/png", b"%PDF-1.7 0000").await.expect(201);
    let draft = json!({"name": "Foto", "template": 1, "connectorId": connector, "audience": {"type": "contacts"}});
    let made = engine.post(&engine.a, "/v1/campaigns", draft).await.expect(201);
    let path = format!("/v1/campaigns/{}", made["id"].as_str().expect("an id"));
    assert_eq!(made.get("header"), None);

    // Without it, nobody gets anything, and that is said.
    let check = engine.post(&engine.a, &format!("{path}/check"), json!({})).await.expect(200);
    assert!(check["problems"][0].as_str().is_some_and(|why| why.contains("image")), "{check}");
    assert_eq!(engine.post(&engine.a, &format!("{path}/start"), json!({})).await.error(400).1, ["header"]);

    let place = json!({"latitude": -23.55, "longitude": -46.63, "title": "Loja"});
    for (header, field) in [
        (json!({}), "header"),
        (json!({"link": "https://x.com/a.png", "file": {"id": picture["id"]}}), "header"),
        (json!({"link": "ftp://x.com/a.png"}), "header"),
        (json!({"location": place}), "header"),
        (json!({"file": {"id": document["id"]}}), "header"),
        (json!({"file": {"id": made["id"]}}), "header.file.id"),
        (json!({"file": {"id": picture["id"], "fileName": "a/b"}}), "header.file.fileName"),
    ] {
        assert_eq!(patched(&engine, &path, json!({"header": header})).await.error(400).1, [field], "{header}");
    }
    let shown = json!({"file": {"id": picture["id"], "fileName": "foto.png"}});
    let changed = patched(&engine, &path, json!({"header": shown})).await.expect(200);
    assert_eq!(changed["header"], shown);
    let check = engine.post(&engine.a, &format!("{path}/check"), json!({})).await.expect(200);
    assert_eq!(check["problems"], json!(["nobody of the audience can be sent to"]), "the header is there");

    // Another template needs another header, or none.
    for template in [2, 3] {
        assert_eq!(patched(&engine, &path, json!({"template": template})).await.error(400).1, ["header"]);
    }
    let located = json!({"template": 3, "header": {"location": place}});
    assert_eq!(patched(&engine, &path, located).await.expect(200)["header"]["location"], place);
    let without = patched(&engine, &path, json!({"template": 2, "header": null})).await.expect(200);
    assert_eq!(without.get("header"), None);
    let link = json!({"link": "https://x.com/a.png"});
    let linked = patched(&engine, &path, json!({"template": 1, "header": link})).await.expect(200);
    assert_eq!(linked["header"], link);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let engine = Engine::new().await;
    let (path, made) = draft(&engine).await;
    let body = json!({"name": "x", "template": 99, "connectorId": made["connectorId"]});
    let (code, fields) = engine.post(&engine.a, "/v1/campaigns", body).await.error(400);
    assert_eq!((code.as_str(), fields), ("invalid", vec!["template".to_owned()]));
    let body = json!({"name": "x", "template": 1, "connectorId": made["id"]});
    let (_, fields) = engine.post(&engine.a, "/v1/campaigns", body).await.error(404);
    assert_eq!(fields, ["connectorId"], "no connector has this id");
    let theirs = engine.connector(&engine.b).await;
    let (_, fields) = patched(&engine, &path, json!({"connectorId": theirs})).await.error(404);
    assert_eq!(fields, ["connectorId"], "another tenant's");
    let wrong = [
        (json!({"stop": {"failedPercent": 101}}), "stop.failedPercent"),
        (json!({"variables": {"nome": {}}}), "variables.nome"),
        (json!({"audience": {"type": "direct", "search": "x"}}), "audience"),
        (json!({"audience": {"type": "contacts", "tagId": made["id"]}}), "audience.tagId"),
        (json!({"audience": {"type": "contacts", "search": "x".repeat(201)}}), "audience.search"),
    ];
    for (body, field) in wrong {
        assert_eq!(patched(&engine, &path, body).await.error(400).1, [field]);
    }
    assert_eq!(list(&engine, &path, "x;y\n1;2\n").await.error(400).1, ["file"]);
    let nobody = json!({"contacts": [made["id"]]});
    let (_, fields) = engine.post(&engine.a, &format!("{path}/contacts"), nobody).await.error(400);
    assert_eq!(fields, ["contacts[0]"]);
    for many in [json!([]), json!(vec![made["id"].clone(); 10_001])] {
        let refused = engine.post(&engine.a, &format!("{path}/contacts"), json!({"contacts": many})).await;
        assert_eq!(refused.error(400).1, ["contacts"]);
    }
    // A page that ends with the last one has no next.
    let again = json!({"name": "y", "template": 1, "connectorId": made["connectorId"]});
    engine.post(&engine.a, "/v1/campaigns", again).await.expect(201);
    let page = async |query: &str| engine.get(&engine.a, &format!("/v1/campaigns?{query}")).await.expect(200);
    assert_eq!((&page("limit=1").await["next"], page("limit=2").await.get("next")), (&json!(2), None));
    assert_eq!(page("limit=1&after=2").await["data"][0]["id"], made["id"]);
    let foreign = engine.get(&engine.b, &path).await;
    assert_eq!(foreign.error(404).0, "not_found");
}

#[tokio::test]
async fn nobody_to_send_to_is_no_start_and_a_draft_goes_away() {
    let engine = Engine::new().await;
    let (path, _) = draft(&engine).await;
    list(&engine, &path, "to;nome\nnobody;x\n").await.expect(200);
    let refused = engine.post(&engine.a, &format!("{path}/start"), json!({})).await;
    assert_eq!(refused.error(409).0, "conflict");
    let left = engine.get(&engine.a, &path).await.expect(200);
    assert_eq!((&left["status"], &left["counts"]["rows"]), (&json!("draft"), &json!(0)));
    engine.ask("DELETE", &path, &[("x-api-key", &engine.a.key)], None).await.expect(204);
    assert_eq!(engine.get(&engine.a, &path).await.error(404).0, "not_found");
    assert_eq!(engine.get(&engine.a, "/v1/campaigns").await.expect(200), json!({"data": []}));
    assert_eq!(engine.world.store.disk().verify().expect("readable"), Vec::<String>::new());
}

#[tokio::test]
async fn the_rows_are_a_file() {
    let engine = Engine::new().await;
    let (path, _) = draft(&engine).await;
    list(&engine, &path, "to;nome\na@loja.com;=1+1\n").await.expect(200);
    engine.post(&engine.a, &format!("{path}/start"), json!({})).await.expect(200);
    let request = Request::builder()
        .uri(format!("{path}/rows.csv").parse().expect("a path"))
        .header("x-api-key", &engine.a.key)
        .finish();
    let file = engine.respond(request).await.into_body().into_string().await.expect("a text");
    let lines: Vec<&str> = file.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("row,line,to,name,contactId,variables,status"), "{file}");
    assert!(lines[1].starts_with("1,2,a@loja.com,") && lines[1].contains("'=1+1") && lines[1].contains("pending"));
}

#[tokio::test]
async fn the_start_warns_of_equal_advertising() {
    let engine = Engine::new().await;
    let (path, _) = draft(&engine).await;
    let file: String = (0..101).map(|n| format!("a{n}@loja.com;Ana\n")).collect();
    list(&engine, &path, &format!("to;nome\n{file}")).await.expect(200);
    let texts = EqualTextsView { count: 230, since: Timestamp(1_893_456_000_000) };
    *engine.fixed.equal_texts.lock().expect("no test panics in it") = Some(texts);
    let check = engine.post(&engine.a, &format!("{path}/check"), json!({})).await.expect(200);
    let started = engine.post(&engine.a, &format!("{path}/start"), json!({})).await.expect(200);
    let warnings: Vec<&str> =
        started["warnings"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(check["warnings"], json!([warnings[0]]), "the check says the same");
    assert!(warnings[0].starts_with("101 recipients would get the same advertising text"), "{started}");
    assert!(warnings[1].contains("the same advertising text 230 times since 2030-01-01T00:00:00.000Z"), "{started}");
    assert_eq!(warnings.len(), 2);
    assert_eq!(engine.get(&engine.a, &path).await.expect(200).get("warnings"), None, "it is said once");
}

#[tokio::test]
async fn rows_that_the_channel_would_not_deliver_are_counted_and_left_out() {
    let engine = Engine::new().await;
    let (path, _) = draft(&engine).await;
    engine.world.connectors.describe_plugin("connector-email", |plugin| {
        let rule = |category, beginning: &str, detail: &str| Undelivered {
            kind: None,
            category,
            beginnings: vec![beginning.to_owned()],
            detail: detail.to_owned(),
        };
        let undelivered = vec![
            rule(MessageType::Marketing, "us.", "nobody there gets any"),
            rule(MessageType::Notification, "br.", "this is not a notification"),
        ];
        plugin.rules = Some(Rules { undelivered, ..Rules::default() });
    });
    list(
        &engine,
        &path,
        "to;nome\nbr.ana@loja.com;Ana\nus.bia@loja.com;Bia\nus.caio@loja.com;Caio\nus.davi@loja.com;\n",
    )
    .await
    .expect(200);
    let check = engine.post(&engine.a, &format!("{path}/check"), json!({})).await.expect(200);
    assert_eq!((&check["rows"], &check["sendable"]), (&json!(4), &json!(1)));
    assert_eq!(check["skipped"], json!({"missing_variable": 1, "undeliverable": 2}));
    assert_eq!(check["undeliverable"], json!([{"detail": "nobody there gets any", "rows": 2}]));
    assert_eq!(check["cost"]["unpriced"], 1, "what is not sent costs nothing");
    let warning = "rows that are left out: 2, because nobody there gets any";
    assert_eq!(check["warnings"], json!([warning]));
    assert_eq!(
        (&check["samples"][0]["row"], &check["samples"][0]["reason"], &check["samples"][0]["detail"]),
        (&json!(2), &json!("undeliverable"), &json!("nobody there gets any"))
    );

    let started = engine.post(&engine.a, &format!("{path}/start"), json!({})).await.expect(200);
    assert_eq!(started["warnings"], json!([warning]), "who did not check is told, too");
    assert_eq!(started["counts"]["skippedBy"], json!({"missing_variable": 1, "undeliverable": 2}));
    let rows = engine.get(&engine.a, &format!("{path}/rows?status=skipped&limit=1")).await.expect(200);
    assert_eq!(
        (&rows["data"][0]["to"], &rows["data"][0]["code"]),
        (&json!("us.bia@loja.com"), &json!("undeliverable"))
    );
    // One by one, such a message is not refused: the channel decides.
    let connector = started["connectorId"].as_str().expect("an id").to_owned();
    let body = json!({"to": "us.bia@loja.com", "text": "Oi", "messageType": "MARKETING"});
    engine.post_owned(format!("/v1/connectors/{connector}/messages"), body).await.expect(201);
}

#[tokio::test]
async fn the_check_says_what_the_start_says_of_an_audience_of_nobody() {
    let engine = Engine::new().await;
    let (path, _) = draft(&engine).await;
    let check = async || engine.post(&engine.a, &format!("{path}/check"), json!({})).await.expect(200);
    assert_eq!(check().await["problems"], json!([]), "what is sent in its name one by one may come later");
    let nobody = json!({"audience": {"type": "contacts", "search": "nobody has this name"}});
    patched(&engine, &path, nobody).await.expect(200);
    let checked = check().await;
    assert_eq!((&checked["rows"], &checked["sendable"]), (&json!(0), &json!(0)));
    assert_eq!(checked["problems"], json!(["nobody of the audience can be sent to"]));
    let refused = engine.post(&engine.a, &format!("{path}/start"), json!({})).await;
    assert!(refused.text().contains("nobody of the campaign's audience can be sent to"), "{}", refused.text());
    assert_eq!(refused.error(409).0, "conflict");
}

#[tokio::test]
async fn only_people_outside_of_their_reply_windows_count_for_the_channels_audience() {
    let engine = Engine::new().await;
    let (id, connector) = demanding(&engine).await;
    let template = samples::template(engine.a.tenant.index, "Olá {{nome}}");
    let change = Change::Template(Box::new(TemplateChange::Put(template)));
    engine.world.store.write(Batch::of(vec![change])).expect("stored");
    let wrote = Inbound { sent_at: WROTE, ..says("5511988887777", "R1", "oi") };
    receive(&engine, &engine.a, connector, wrote).await;
    let body = json!({"name": "Natal", "template": 1, "connectorId": id});
    let made = engine.post(&engine.a, "/v1/campaigns", body).await.expect(201);
    let path = format!("/v1/campaigns/{}", made["id"].as_str().expect("an id"));
    list(&engine, &path, "to;nome\n5511988887777;Ana\n5511977776666;Bia\n").await.expect(200);
    let check = async |used: u32| {
        let audience = AudienceView { used, limit: Some(5) };
        *engine.fixed.audience.lock().expect("no test panics in it") = Some(audience);
        engine.post(&engine.a, &format!("{path}/check"), json!({})).await.expect(200)
    };
    let enough = check(4).await;
    assert_eq!((&enough["sendable"], &enough["audienceLeft"]), (&json!(2), &json!(1)), "{enough}");
    assert_eq!(enough["warnings"], json!([]), "one of them wrote a moment ago");
    let too_few = check(5).await;
    let warning = too_few["warnings"][0].as_str().expect("a warning");
    assert!(warning.starts_with("the channel lets 0 more people be written to now"), "{warning}");
    engine.world.clock.jump(3_600_000);
    let closed = check(4).await;
    assert_eq!(closed["warnings"].as_array().map(Vec::len), Some(1), "the window has closed: {closed}");
}

#[tokio::test]
async fn the_check_counts_the_strangers_of_an_audience_against_what_the_channel_allows() {
    let engine = Engine::new().await;
    let (id, connector) = demanding(&engine).await;
    let template = samples::template(engine.a.tenant.index, "Olá {{nome}}");
    let change = Change::Template(Box::new(TemplateChange::Put(template)));
    engine.world.store.write(Batch::of(vec![change])).expect("stored");
    let wrote = Inbound { sent_at: WROTE, ..says("5511988887777", "R1", "oi") };
    receive(&engine, &engine.a, connector, wrote).await;
    let made =
        engine.post(&engine.a, "/v1/campaigns", json!({"name": "Natal", "template": 1, "connectorId": id})).await;
    let path = format!("/v1/campaigns/{}", made.expect(201)["id"].as_str().expect("an id"));
    let file = "to;nome\n5511988887777;Ana\n5511977776666;Bia\n5511966665555;Caio\n";
    list(&engine, &path, file).await.expect(200);
    let check = async |outreach: Option<Outreach>| {
        *engine.fixed.outreach.lock().expect("no test panics in it") = outreach;
        engine.post(&engine.a, &format!("{path}/check"), json!({})).await.expect(200)
    };
    let free = check(None).await;
    assert_eq!((&free["strangers"], &free["warnings"]), (&Value::Null, &json!([])));
    let cycle_end = Some(Timestamp(1_893_459_600_000));
    let enough = check(Some(Outreach { quota: Some(9), used: Some(7), cycle_end, locked_until: None })).await;
    let ends = "2030-01-01T01:00:00.000Z";
    assert_eq!(enough["strangers"], json!({"rows": 2, "left": 2, "cycleEnd": ends}), "one of the three wrote");
    assert_eq!(enough["warnings"], json!([]));
    let short = check(Some(Outreach { quota: Some(9), used: Some(8), cycle_end, locked_until: None })).await;
    let warning = format!(
        "2 rows are to strangers, of whom 1 may be written to in the channel's cycle, which ends at {ends}: the others wait"
    );
    assert_eq!(short["warnings"], json!([warning]));
    let locked = check(Some(Outreach { locked_until: cycle_end, ..Outreach::default() })).await;
    assert_eq!(locked["strangers"], json!({"rows": 2, "lockedUntil": ends}));
    let warning = format!(
        "2 rows are to strangers, and the channel lets the account start no conversation until {ends}: they wait"
    );
    assert_eq!(locked["warnings"], json!([warning]));
}
