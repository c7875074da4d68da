//! Section "Contatos".

use pombo_domain::model::{Contact, ContactType};
use pombo_domain::ports::{Batch, Change, Store};
use uuid::Uuid;

use super::shape::like;
use super::*;

/// The documented contact to create.
fn john(instance: Uuid) -> Value {
    json!({
        "instance_id": instance, "phone_number": "+5511999999999", "name": "John Doe", "email": "john@example.com",
        "company": "Acme Inc", "notes": "Met at conference"
    })
}

/// A contact of this number on an instance.
fn of_number(instance: Uuid, number: &str) -> Value {
    json!({"instance_id": instance, "phone_number": number})
}

async fn stored(site: &Site, contacts: Vec<Contact>) {
    let changes = contacts.into_iter().map(Change::Contact).collect();
    site.world.store.commit(Batch::of(changes)).await.expect("commits");
}

/// The numbers of a page, and of how many.
fn numbers(page: &Value) -> (Vec<&str>, &Value) {
    let rows = page["data"].as_array().expect("a list");
    (rows.iter().filter_map(|row| row["phone_number"].as_str()).collect(), &page["meta"]["pagination"]["total"])
}

#[tokio::test]
async fn contacts_are_created_and_listed_as_documented() {
    let site = Site::new().await;
    let row = json!({
        "id": 1,
        "phone_number": "5511999999999",
        "name": "John Doe",
        "display_name": "John",
        "email": "john@example.com",
        "company": "Acme Inc",
        "notes": "VIP customer",
        "profile_picture_url": "https://...",
        "is_business": false,
        "created_at": "2025-01-15T10:30:00Z"
    });
    let made = site.post("/contacts", john(site.instance.id)).await.expect(201);
    let example = json!({"success": true, "message": "Contact created successfully", "data": {"contact": row}});
    like(&made, &example, &[], &["data.contact.profile_picture_url"]);
    let contact = json!({
        "id": 1, "phone_number": "5511999999999", "name": "John Doe", "display_name": "John Doe",
        "email": "john@example.com", "company": "Acme Inc", "notes": "Met at conference", "profile_picture_url": null,
        "is_business": false, "created_at": "2025-01-15T10:30:00Z"
    });
    assert_eq!(made, json!({"success": true, "message": "Contact created successfully", "data": {"contact": contact}}));

    let listed = site.get("/contacts?search=john&per_page=50").await.expect(200);
    let pagination = json!({"total": 500, "per_page": 50, "current_page": 1, "last_page": 10});
    let example = json!({"success": true, "data": [row], "meta": {"pagination": pagination}});
    like(&listed, &example, &[], &["data[].profile_picture_url"]);
    let pagination = json!({"total": 1, "per_page": 50, "current_page": 1, "last_page": 1});
    assert_eq!(listed, json!({"success": true, "data": [contact], "meta": {"pagination": pagination}}));
    let id = site.world.store.contact(site.loja.tenant.index, ContactType::WhatsApp, "5511999999999");
    let id = id.expect("reads").expect("it was stored").id;
    for path in ["/contacts/1".to_owned(), format!("/contacts/{id}"), "/api/v1/contacts/1".to_owned()] {
        let shown = site.get(&path).await.expect(200);
        assert_eq!(shown, json!({"success": true, "data": {"contact": contact}}), "{path}");
    }
}

#[tokio::test]
async fn a_list_is_filtered_and_has_pages() {
    let site = Site::new().await;
    let other = site.another(&site.loja).await;
    let tenant = site.loja.tenant.index;
    let contact = |n: u128, kind, identifier: &str| Contact::new(Uuid::from_u128(n), tenant, kind, identifier, NOW);
    let phone = |n, identifier| contact(n, ContactType::WhatsApp, identifier);
    let contacts = vec![
        Contact { push_name: Some("joão".to_owned()), ..phone(1, "5511900000001") },
        Contact { connectors: vec![site.instance.index], ..phone(2, "5511900000002") },
        contact(3, ContactType::Email, "joao@example.com"),
        Contact { connectors: vec![other.index], business: true, ..phone(4, "5511900000004") },
    ];
    stored(&site, contacts).await;
    let list = |query: String| {
        let site = &site;
        async move { site.get(&format!("/contacts{query}")).await.expect(200) }
    };
    let all = list(String::new()).await;
    assert_eq!(numbers(&all), (vec!["5511900000001", "5511900000002", "5511900000004"], &json!(3)));
    assert_eq!(all["meta"]["pagination"]["per_page"], 15);
    let row = |at: usize| &all["data"][at];
    assert_eq!((&row(0)["name"], &row(0)["display_name"]), (&Value::Null, &json!("joão")), "as WhatsApp reported");
    assert_eq!(row(1)["display_name"], "5511900000002");
    assert_eq!((&row(2)["is_business"], &row(2)["id"]), (&json!(true), &json!(4)));

    for (query, found) in [
        (format!("?instance_id={}", site.instance.id), vec!["5511900000002"]),
        (format!("?instance_id={}", other.index.0), vec!["5511900000004"]),
        ("?search=JOAO".to_owned(), vec!["5511900000001"]),
        ("?search=%2B55%2011%2090000-0004".to_owned(), vec!["5511900000004"]),
        ("?search=nobody".to_owned(), vec![]),
        ("?instance_id=&search=".to_owned(), vec!["5511900000001", "5511900000002", "5511900000004"]),
    ] {
        assert_eq!(numbers(&list(query.clone()).await).0, found, "{query}");
    }
    let second = list("?per_page=2&page=2".to_owned()).await;
    assert_eq!(numbers(&second), (vec!["5511900000004"], &json!(3)));
    let pagination = json!({"total": 3, "per_page": 2, "current_page": 2, "last_page": 2});
    assert_eq!(second["meta"]["pagination"], pagination);
    let empty = list("?search=nobody".to_owned()).await;
    assert_eq!((&empty["data"], &empty["meta"]["pagination"]["last_page"]), (&json!([]), &json!(1)));

    for (query, field) in [
        ("per_page=101".to_owned(), "per_page"),
        ("per_page=0".to_owned(), "per_page"),
        ("page=0".to_owned(), "page"),
        (format!("search={}", "x".repeat(201)), "search"),
        (format!("instance_id={}", "1".repeat(201)), "instance_id"),
    ] {
        let refused = site.get(&format!("/contacts?{query}")).await;
        assert_eq!(refused.error(422), "VALIDATION_ERROR", "{query}");
        assert!(refused.json()["error"]["details"][field][0].is_string(), "{}", refused.text());
    }
    assert_eq!(site.get(&format!("/contacts?instance_id={}", Uuid::nil())).await.error(404), "NOT_FOUND");
}

#[tokio::test]
async fn a_known_number_is_updated_and_what_is_left_out_stays() {
    let site = Site::new().await;
    let other = site.another(&site.loja).await;
    site.post("/contacts", john(site.instance.id)).await.expect(201);
    // As a number, and on another instance by its number; an empty text says nothing.
    let body = json!({
        "instance_id": other.index.0, "phone_number": 5_511_999_999_999_u64, "company": "Other", "name": "", "notes": null
    });
    let known = site.post("/contacts", body).await.expect(200);
    assert_eq!(known["message"], "Contact updated successfully");
    let contact = &known["data"]["contact"];
    assert_eq!((&contact["id"], &contact["company"]), (&json!(1), &json!("Other")));
    assert_eq!((&contact["name"], &contact["notes"]), (&json!("John Doe"), &json!("Met at conference")));
    for id in [site.instance.id, other.id] {
        assert_eq!(numbers(&site.get(&format!("/contacts?instance_id={id}")).await.expect(200)).1, &json!(1));
    }
    // As WhatsApp's own programs write it.
    site.post("/contacts", of_number(other.id, "5511999999999@s.whatsapp.net")).await.expect(200);

    let id = site.instance.id;
    for (body, field) in [
        (json!({"phone_number": "5511999999999"}), "instance_id"),
        (json!({"instance_id": id}), "phone_number"),
        (json!({"instance_id": id, "phone_number": null}), "phone_number"),
        (of_number(id, ""), "phone_number"),
        (of_number(id, "ana"), "phone_number"),
        (of_number(id, "120363001234567890@g.us"), "phone_number"),
        (json!({"instance_id": id, "phone_number": "5511", "name": 5}), "name"),
        (json!({"instance_id": id, "phone_number": "5511", "name": "x".repeat(256)}), "name"),
        (json!({"instance_id": id, "phone_number": "5511", "email": "john"}), "email"),
        (json!({"instance_id": id, "phone_number": "5511", "company": "a\u{0}b"}), "company"),
        (json!({"instance_id": id, "phone_number": "5511", "notes": "x".repeat(4001)}), "notes"),
        (json!({"instance_id": true, "phone_number": "5511"}), "instance_id"),
    ] {
        let refused = site.post("/contacts", body.clone()).await;
        assert_eq!(refused.error(422), "VALIDATION_ERROR", "{body}");
        assert!(refused.json()["error"]["details"][field][0].is_string(), "{body}: {}", refused.text());
    }
    for given in [Uuid::nil().to_string(), "0".to_owned()] {
        let body = json!({"instance_id": given, "phone_number": "5511"});
        assert_eq!(site.post("/contacts", body).await.error(404), "NOT_FOUND");
    }
    assert_eq!(numbers(&site.get("/contacts").await.expect(200)).1, &json!(1), "nothing was stored");
}

#[tokio::test]
async fn a_contact_is_changed_by_patch_and_by_put_and_null_clears() {
    let site = Site::new().await;
    site.post("/contacts", john(site.instance.id)).await.expect(201);
    let changed = site.send("PATCH", "/contacts/1", json!({"name": "John D.", "email": null})).await.expect(200);
    assert_eq!(changed["message"], "Contact updated successfully");
    let contact = &changed["data"]["contact"];
    assert_eq!((&contact["name"], &contact["email"]), (&json!("John D."), &Value::Null));
    assert_eq!((&contact["company"], &contact["id"]), (&json!("Acme Inc"), &json!(1)));
    // A client that sends back all that it was given, and an empty text.
    let body = json!({"phone_number": "+55 (11) 99999-9999", "name": "", "notes": "VIP customer"});
    let changed = site.send("PUT", "/contacts/1", body).await.expect(200)["data"]["contact"].clone();
    assert_eq!((&changed["name"], &changed["display_name"]), (&Value::Null, &json!("5511999999999")));
    assert_eq!((&changed["notes"], &changed["company"]), (&json!("VIP customer"), &json!("Acme Inc")));
    assert_eq!(site.get("/contacts/1").await.expect(200)["data"]["contact"], changed);

    for (body, field) in [
        (json!({"phone_number": "5511888888888"}), "phone_number"),
        (json!({"name": ["x"]}), "name"),
        (json!({"email": "john", "name": "y"}), "email"),
        (json!({"notes": "x".repeat(4001)}), "notes"),
    ] {
        let refused = site.send("PATCH", "/contacts/1", body.clone()).await;
        assert_eq!(refused.error(422), "VALIDATION_ERROR", "{body}");
        assert!(refused.json()["error"]["details"][field][0].is_string(), "{body}: {}", refused.text());
    }
    assert_eq!(site.get("/contacts/1").await.expect(200)["data"]["contact"], changed, "nothing was changed");
}

#[tokio::test]
async fn a_deleted_contact_is_gone_and_its_opt_out_stays() {
    let site = Site::new().await;
    let tenant = site.loja.tenant.index;
    site.post("/contacts", john(site.instance.id)).await.expect(201);
    let find = || site.world.store.contact(tenant, ContactType::WhatsApp, "5511999999999").expect("reads");
    let id = find().expect("it was stored").id;
    site.world.commands.set_contact_active(tenant, id, false, Some("asked")).await.expect("deactivates");
    let told = site.ask(&site.loja, "DELETE", "/contacts/1", None).await.expect(200);
    assert_eq!(told, json!({"success": true, "message": "Contact deleted successfully"}));
    for method in ["GET", "DELETE"] {
        assert_eq!(site.ask(&site.loja, method, "/contacts/1", None).await.error(404), "NOT_FOUND");
    }
    // It has a new number, and still gets no messages.
    let again = site.post("/contacts", john(site.instance.id)).await.expect(201);
    assert_eq!(again["data"]["contact"]["id"], 2);
    assert!(!find().expect("it was stored").active);
}

#[tokio::test]
async fn contacts_of_others_and_of_other_channels_are_not_found() {
    let site = Site::new().await;
    let theirs = site.another(&site.other).await;
    site.ask(&site.other, "POST", "/contacts", Some(john(theirs.id))).await.expect(201);
    let id = site.world.store.contact(site.other.tenant.index, ContactType::WhatsApp, "5511999999999");
    let id = id.expect("reads").expect("it was stored").id;
    let mail = Contact::new(Uuid::from_u128(9), site.loja.tenant.index, ContactType::Email, "a@b.test", NOW);
    stored(&site, vec![mail]).await;
    // The number 1 is the e-mail contact here, and the other tenant's contact there.
    for given in ["1".to_owned(), id.to_string(), Uuid::from_u128(9).to_string(), "2".to_owned(), "x".to_owned()] {
        for (method, body) in [("GET", None), ("PATCH", Some(json!({"name": "x"}))), ("DELETE", None)] {
            let answer = site.ask(&site.loja, method, &format!("/contacts/{given}"), body).await;
            assert_eq!(answer.error(404), "NOT_FOUND", "{method} {given}");
        }
    }
    assert_eq!(site.post("/contacts", john(theirs.id)).await.error(404), "NOT_FOUND");
    let import = json!({"instance_id": theirs.id, "contacts": [{"phone_number": "5511"}]});
    assert_eq!(site.post("/contacts/import", import).await.error(404), "NOT_FOUND");
    for path in ["/contacts", "/contacts/export"] {
        let path = format!("{path}?instance_id={}", theirs.id);
        assert_eq!(site.get(&path).await.error(404), "NOT_FOUND", "{path}");
    }
    assert_eq!(numbers(&site.get("/contacts").await.expect(200)).1, &json!(0));
    let shown = site.ask(&site.other, "GET", "/contacts/1", None).await.expect(200);
    assert_eq!(shown["data"]["contact"]["name"], "John Doe", "as it was");
}

#[tokio::test]
async fn a_key_of_one_instance_sees_and_removes_the_contacts_of_its_instance() {
    let site = Site::new().await;
    let (bound, other) = (site.bound().await, site.another(&site.loja).await);
    for (instance, number) in [
        (site.instance.id, "5511900000001"),
        (site.instance.id, "5511900000002"),
        (other.id, "5511900000002"),
        (other.id, "5511900000003"),
    ] {
        let saved = site.post("/contacts", of_number(instance, number)).await;
        assert!(saved.status.is_success(), "{}", saved.text());
    }
    let ask = |method: &'static str, path: String, body: Option<Value>| {
        let (site, bound) = (&site, &bound);
        async move { site.ask(bound, method, &path, body).await }
    };
    let own = ask("GET", "/contacts".to_owned(), None).await.expect(200);
    assert_eq!(numbers(&own), (vec!["5511900000001", "5511900000002"], &json!(2)));
    let file = ask("GET", "/contacts/export".to_owned(), None).await.expect(200);
    assert_eq!(file["data"], own["data"]);
    for (method, body) in [("GET", None), ("PATCH", Some(json!({"name": "x"}))), ("DELETE", None)] {
        assert_eq!(ask(method, "/contacts/3".to_owned(), body).await.error(404), "NOT_FOUND", "{method}");
    }
    let import = json!({"instance_id": other.id, "contacts": [{"phone_number": "5511"}]});
    for (method, path, body) in [
        ("GET", format!("/contacts?instance_id={}", other.id), None),
        ("GET", format!("/contacts/export?instance_id={}", other.id), None),
        ("POST", "/contacts".to_owned(), Some(john(other.id))),
        ("POST", "/contacts/import".to_owned(), Some(import)),
    ] {
        assert_eq!(ask(method, path.clone(), body).await.error(403), "FORBIDDEN", "{method} {path}");
    }
    let changed = ask("PATCH", "/contacts/2".to_owned(), Some(json!({"name": "Bia"}))).await.expect(200);
    assert_eq!(changed["data"]["contact"]["name"], "Bia");
    ask("POST", "/contacts".to_owned(), Some(john(site.instance.id))).await.expect(201);

    // The one that is known on the other instance too stays there; the other one is gone.
    for id in [1, 2] {
        ask("DELETE", format!("/contacts/{id}"), None).await.expect(200);
        assert_eq!(ask("GET", format!("/contacts/{id}"), None).await.error(404), "NOT_FOUND");
    }
    assert_eq!(site.get("/contacts/1").await.error(404), "NOT_FOUND");
    assert_eq!(site.get("/contacts/2").await.expect(200)["data"]["contact"]["name"], "Bia");
    let left = site.get("/contacts").await.expect(200);
    assert_eq!(numbers(&left).0, ["5511900000002", "5511900000003", "5511999999999"]);
}

#[tokio::test]
async fn each_role_may_do_with_contacts_what_it_is_for() {
    let site = Site::new().await;
    for (role, changes, removes) in
        [(Role::Manager, true, true), (Role::Agent, true, false), (Role::Viewer, false, false)]
    {
        let user = site.acting_as(role).await;
        site.post("/contacts", john(site.instance.id)).await;
        let listed = site.get("/contacts").await.expect(200);
        let one = format!("/contacts/{}", listed["data"][0]["id"]);
        let import = json!({"instance_id": site.instance.id, "contacts": [{"phone_number": "5511777777777"}]});
        for (method, path, body, allowed) in [
            ("GET", "/contacts", None, true),
            ("GET", one.as_str(), None, true),
            ("GET", "/contacts/export", None, true),
            ("POST", "/contacts", Some(of_number(site.instance.id, "5511666666666")), changes),
            ("PATCH", one.as_str(), Some(json!({"name": "x"})), changes),
            ("POST", "/contacts/import", Some(import), removes),
            ("DELETE", one.as_str(), None, removes),
        ] {
            let answer = site.ask(&user, method, path, body).await;
            if allowed {
                assert!(answer.status.is_success(), "{role:?} {method} {path}: {}", answer.text());
            } else {
                assert_eq!(answer.error(403), "FORBIDDEN", "{role:?} {method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn an_import_answers_as_documented() {
    let site = Site::new().await;
    let body = || {
        json!({
            "instance_id": site.instance.id,
            "contacts": [
                {"phone_number": "+5511999999999", "name": "John Doe"},
                {"phone_number": "+5511888888888", "name": "Jane Smith"}
            ]
        })
    };
    let told = site.post("/contacts/import", body()).await.expect(200);
    let example = json!({
        "success": true, "message": "Contacts imported successfully",
        "data": {"imported": 2, "skipped": 0, "errors": []}
    });
    like(&told, &example, &[], &[]);
    assert_eq!(told, example);
    // Once more there is nothing new.
    let told = site.post("/contacts/import", body()).await.expect(200);
    assert_eq!(told["data"], json!({"imported": 0, "skipped": 2, "errors": []}));
    let listed = site.get(&format!("/contacts?instance_id={}", site.instance.id)).await.expect(200);
    assert_eq!(numbers(&listed).0, ["5511999999999", "5511888888888"]);
}

#[tokio::test]
async fn a_row_of_an_import_that_is_wrong_spoils_no_other() {
    let site = Site::new().await;
    site.post("/contacts", john(site.instance.id)).await.expect(201);
    let contacts = json!([
        {"phone_number": 5_511_777_777_777_u64},
        5,
        null,
        {"name": "nobody"},
        {"phone_number": "ana"},
        {"phone_number": "5511999999999", "name": "", "company": null},
        {"phone_number": "5511666666666", "email": "x"},
        {"phone_number": "120363001234567890@g.us"},
        {"phone_number": "5511777777777", "name": "Ana"},
        {"phone_number": "5511555555555", "name": 5}
    ]);
    let body = json!({"instance_id": site.instance.id, "contacts": contacts});
    let told = site.post("/contacts/import", body).await.expect(200);
    assert_eq!(told["message"], "Contacts imported successfully");
    let data = &told["data"];
    assert_eq!((&data["imported"], &data["skipped"]), (&json!(2), &json!(1)));
    let errors: Vec<(&Value, &Value)> = data["errors"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|error| {
            assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
            (&error["row"], &error["phone_number"])
        })
        .collect();
    let expected = [
        (json!(1), Value::Null),
        (json!(2), Value::Null),
        (json!(3), Value::Null),
        (json!(4), json!("ana")),
        (json!(6), json!("5511666666666")),
        (json!(7), json!("120363001234567890@g.us")),
        (json!(9), json!("5511555555555")),
    ];
    assert_eq!(errors, expected.iter().map(|(row, number)| (row, number)).collect::<Vec<_>>());
    assert_eq!(data["errors"][0]["message"], "must be an object, not a number");
    assert_eq!(data["errors"][2]["message"], "phone_number: is required");
    let message = "email: must be an e-mail address such as name@example.com";
    assert_eq!(data["errors"][4]["message"], message);
    // The two rows of one contact were taken in order, and an empty cell cleared nothing.
    let listed = site.get("/contacts").await.expect(200);
    assert_eq!(numbers(&listed).0, ["5511999999999", "5511777777777"]);
    assert_eq!((&listed["data"][0]["company"], &listed["data"][1]["name"]), (&json!("Acme Inc"), &json!("Ana")));

    // If no row can be read, that is not a reason to fail.
    let none = json!({"instance_id": site.instance.id, "contacts": [5]});
    let told = site.post("/contacts/import", none).await.expect(200);
    assert_eq!((&told["data"]["imported"], &told["data"]["errors"][0]["row"]), (&json!(0), &json!(0)));
    let id = site.instance.id;
    let many = vec![json!({"phone_number": "5511"}); 1_001];
    for (body, field) in [
        (json!({"contacts": [{"phone_number": "5511"}]}), "instance_id"),
        (json!({"instance_id": id}), "contacts"),
        (json!({"instance_id": id, "contacts": []}), "contacts"),
        (json!({"instance_id": id, "contacts": "5511"}), "contacts"),
        (json!({"instance_id": id, "contacts": many}), "contacts"),
    ] {
        let refused = site.post("/contacts/import", body).await;
        assert_eq!(refused.error(422), "VALIDATION_ERROR");
        assert!(refused.json()["error"]["details"][field][0].is_string(), "{}", refused.text());
    }
}

#[tokio::test]
async fn an_export_has_every_contact_and_no_formula() {
    let site = Site::new().await;
    let tenant = site.loja.tenant.index;
    // More than one piece of the file.
    let contacts = (1..=503_u128).map(|n| {
        let name = (n == 7).then(|| "=HYPERLINK(\"http://x\")".to_owned());
        let identifier = format!("5511{n:08}");
        Contact { name, ..Contact::new(Uuid::from_u128(n), tenant, ContactType::WhatsApp, identifier, NOW) }
    });
    let mail = Contact::new(Uuid::from_u128(900), tenant, ContactType::Email, "a@b.test", NOW);
    stored(&site, contacts.chain([mail]).collect()).await;

    let json_file = site.get("/contacts/export").await;
    assert_eq!(json_file.headers["content-type"], "application/json");
    assert_eq!(json_file.headers["content-disposition"], "attachment; filename=\"contacts.json\"");
    let file = json_file.expect(200);
    assert_eq!((&file["success"], file["data"].as_array().map(Vec::len)), (&json!(true), Some(503)));
    let shown = site.get("/contacts/503").await.expect(200);
    assert_eq!(file["data"][502], shown["data"]["contact"]);

    // The parameter decides, not `Accept`.
    let bearer = format!("Bearer {}", site.loja.key);
    let headers = [("authorization", bearer.as_str()), ("accept", "application/json")];
    let csv = site.call("GET", "/zapini/contacts/export?format=csv", &headers, ()).await;
    assert_eq!(csv.status.as_u16(), 200);
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(csv.headers["content-disposition"], "attachment; filename=\"contacts.csv\"");
    let text = csv.text();
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 504);
    assert_eq!(lines[0], "id,phone_number,name,display_name,email,company,notes,is_business,created_at");
    assert_eq!(lines[1], "1,551100000001,,551100000001,,,,false,2025-01-15T10:30:00Z");
    let guarded = "\"'=HYPERLINK(\"\"http://x\"\")\"";
    assert_eq!(lines[7], format!("7,551100000007,{guarded},{guarded},,,,false,2025-01-15T10:30:00Z"));

    let none = site.get(&format!("/contacts/export?instance_id={}", site.instance.id)).await.expect(200);
    assert_eq!(none, json!({"success": true, "data": []}));
    let refused = site.get("/contacts/export?format=xml").await;
    assert_eq!(refused.error(422), "VALIDATION_ERROR");
    assert!(refused.json()["error"]["details"]["format"][0].is_string(), "{}", refused.text());
}

#[tokio::test]
async fn the_picture_of_one_contact_is_asked_for_and_kept_for_a_day() {
    use pombo_domain::ports::{Answer, Operation};

    let site = Site::with_feature("profile-pictures").await;
    let made = site.post("/contacts", john(site.instance.id)).await.expect(201);
    assert_eq!(made["data"]["contact"]["profile_picture_url"], Value::Null);
    assert_eq!(site.get("/contacts").await.expect(200)["data"][0]["profile_picture_url"], Value::Null);
    assert!(site.world.connectors.asked().is_empty(), "nobody looks at it");
    let url = "https://pictures.example/john";
    site.world.connectors.answer(Ok(Answer::Picture(Some(url.to_owned()))));
    for _ in 0..2 {
        let shown = site.get("/contacts/1").await.expect(200);
        assert_eq!(shown["data"]["contact"]["profile_picture_url"], url);
    }
    assert_eq!(site.world.connectors.asked(), [Operation::ProfilePicture("5511999999999".to_owned())]);
    site.world.clock.jump(24 * 3_600_000);
    site.world.connectors.answer(Ok(Answer::Picture(None)));
    let shown = site.get("/contacts/1").await.expect(200);
    assert_eq!(shown["data"]["contact"]["profile_picture_url"], Value::Null);
    assert_eq!(site.world.connectors.asked().len(), 1);
}
