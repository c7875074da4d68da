//! Who wants no marketing gets none, by whatever facade, and everything else. Meta tells it by a webhook, by a refusal or by a late failure;
//! or the person writes a word, or presses a button that says it.

use anyhow::{Result, ensure};
use pombo_tests::campaigns::api::{self, is, recipient};
use pombo_tests::http::Client;
use pombo_tests::tenant::{text_of, unique};
use pombo_tests::wait::{PATIENCE, until};
use serde_json::{Value, json};

use crate::shared::{Bench, marketing_template, named_template, person};

/// What is said of a message that the contact does not want.
const WHY: &str = "this contact does not want messages of this category";

impl Bench {
    /// Waits until the contact with this address refuses marketing and nothing else, or no longer refuses anything.
    fn refuses_marketing(&self, who: &str, wanted: bool) -> Result<()> {
        let expected = if wanted { json!(["MARKETING"]) } else { json!([]) };
        until(&format!("the refusals of {who} to be {expected}"), PATIENCE, || {
            let contacts = self.contacts()?;
            Ok(contacts
                .iter()
                .any(|one| one["identifier"] == who && one["refusedCategories"] == expected)
                .then_some(()))
        })
    }

    /// The control API's request for a template, by its name, to this person.
    fn promotion(&self, name: &str, who: &str) -> Result<Value> {
        Ok(json!({"to": who, "templateId": self.found(name)?["id"], "variables": {"nome": "Ana"}}))
    }

    /// The control API refuses a message because the contact does not want it.
    fn is_refused(&self, body: &Value) -> Result<()> {
        let refused = self.try_queue(body)?.expect_json(400)?;
        assert_eq!(refused["error"]["code"], "invalid", "{refused}");
        assert_eq!(refused["error"]["fields"], json!([{"field": "to", "message": WHY}]), "{refused}");
        Ok(())
    }

    /// What Graph accepted for this person: the names of templates, and the other texts.
    fn got(&self, who: &str) -> Result<Vec<Value>> {
        let told = |body: Value| {
            [&body["template"]["name"], &body["text"]["body"]].into_iter().find(|one| one.is_string()).cloned()
        };
        Ok(self.accepted(who)?.into_iter().filter_map(told).collect())
    }
}

#[test]
fn who_stops_marketing_at_meta_gets_none_from_any_facade_and_everything_else() -> Result<()> {
    let bench = Bench::new()?;
    let promotion = bench.template(&marketing_template("promo"))?;
    let notice = bench.template(&named_template("aviso"))?;
    let (queue, status) = bench.queue_and_status()?;
    let (who, other) = (person(), person());
    for person in [&who, &other] {
        bench.opened(person)?;
    }
    bench.graph.prefers(&who, "stop")?;
    bench.refuses_marketing(&who, true)?;

    // The control API: a text of that category, and a template, whose category is the message's.
    bench.is_refused(&json!({"to": who, "text": "promoção", "messageType": "MARKETING"}))?;
    bench.is_refused(&bench.promotion("promo", &who)?)?;

    // SendSync: one message, a bulk in which it is one of two, and a bulk of it alone.
    let text =
        |to: &str| json!({"connectorId": bench.connector, "to": to, "message": "promoção", "messageType": "MARKETING"});
    let why = format!("to: {WHY}");
    let refused = bench.tenant.try_send(&text(&who))?.expect_json(400)?;
    assert_eq!(refused, json!({"statusCode": 400, "message": why, "error": "Bad Request"}));
    let bulk = bench.tenant.try_bulk(&[text(&who), text(&other)])?.expect_json(201)?;
    assert_eq!(
        (&bulk["success"], &bulk["accepted"], &bulk["rejected"]),
        (&json!(false), &json!(1), &json!(1)),
        "{bulk}"
    );
    assert_eq!(bulk["results"][0], json!({"index": 0, "error": why}));
    bench.tenant.wait_status(&text_of(&bulk["results"][1], "id")?, &["SENT"])?;
    let alone = bench.tenant.try_bulk(&[text(&who)])?.expect_json(400)?;
    assert_eq!((&alone["statusCode"], &alone["accepted"]), (&json!(400), &json!(0)), "{alone}");
    assert_eq!(alone["results"], json!([{"index": 0, "error": why}]), "{alone}");

    // AI DESK: the template.
    let aidesk = bench.aidesk();
    let send = |template: u64, variables: Value| {
        let body = json!({"number": who, "template_id": template, "queue_id": queue, "status_id": status, "variables": variables});
        aidesk.post("/aidesk/send-message", &body)
    };
    let refused = send(promotion, json!({"nome": "Ana"}))?.expect_json(400)?;
    let expected =
        json!({"success": false, "status": "error", "message": format!("number: {WHY}"), "errors": {"number": [WHY]}});
    assert_eq!(refused, expected);

    // A campaign leaves out who refuses it.
    let rows = [&who, &other].map(|to| recipient(to, &json!({"nome": "Ana"})));
    let id = bench.campaign(promotion, &rows)?;
    let report = bench.campaign_step(&id, "check")?;
    assert_eq!((&report["sendable"], &report["skipped"]), (&json!(1), &json!({"refused": 1})), "{report}");
    bench.campaign_step(&id, "start")?;
    let shown = bench.campaign_when(&id, "finished", |shown| is(shown, "FINISHED"))?;
    assert_eq!(shown["counts"]["skippedBy"], json!({"refused": 1}), "{shown}");
    let stored = api::rows(&bench.tenant.client, &id)?;
    ensure!(is(&stored[0], "SKIPPED") && stored[0]["code"] == "refused", "{}", stored[0]);
    ensure!(bench.accepted(&who)?.is_empty(), "marketing was sent");

    // Everything else goes. Zapini and the texts of AI DESK have no category: what is written there is no advertising.
    send(notice, json!({"nome": "Ana", "codigo": "1"}))?.expect(200)?;
    let zapini = Client::new(bench.tenant.client.address()).bearer(&bench.tenant.key);
    zapini.post("/zapini/send-message", &json!({"recipient": who, "message": "pela Zapini"}))?.expect(200)?;
    let contacts = bench.contacts()?;
    let contact = contacts.iter().find(|one| one["identifier"] == who.as_str()).map(|one| one["number"].clone());
    let direct = json!({"contact_id": contact, "instance_id": bench.instance()?, "message_content": "pelo AI DESK"});
    aidesk.post("/aidesk/sendmessage", &direct)?.expect(200)?;
    assert_eq!(bench.got(&who)?, ["aviso", "pela Zapini", "pelo AI DESK"]);
    assert_eq!(bench.got(&other)?, ["promoção", "promo"]);
    bench.nothing_violated()
}

/// A person without a number is told of by Meta's id alone; and who takes marketing again gets it.
#[test]
fn who_has_no_number_stops_and_resumes_marketing_like_anybody() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&marketing_template("promo_sem_numero"))?;
    let bsuid = format!("BR.{}", 1_503_000_000_000 + unique());
    bench.graph.person(&json!({"user_id": bsuid, "username": "bia.s", "name": "Bia", "hides_phone": true}))?;
    bench.opened(&bsuid)?;
    bench.graph.prefers(&bsuid, "stop")?;
    bench.refuses_marketing(&bsuid, true)?;
    let body = bench.promotion("promo_sem_numero", &bsuid)?;
    bench.is_refused(&body)?;
    bench.graph.prefers(&bsuid, "resume")?;
    bench.refuses_marketing(&bsuid, false)?;
    bench.send(&body)?;
    assert_eq!(bench.got(&bsuid)?, ["promo_sem_numero"]);
    bench.nothing_violated()
}

#[test]
fn what_was_queued_before_the_refusal_is_not_sent_after_it() -> Result<()> {
    let bench = Bench::new()?;
    bench.template(&marketing_template("promo_na_fila"))?;
    let who = person();
    bench.opened(&who)?;
    let mut body = bench.promotion("promo_na_fila", &who)?;
    body["requiresApproval"] = json!(true);
    let id = bench.queue(&body)?;
    bench.graph.prefers(&who, "stop")?;
    bench.refuses_marketing(&who, true)?;
    bench.tenant.client.post(&format!("/v1/messages/{id}/approve"), &json!({}))?.expect(200)?;
    let message = bench.tenant.wait_status(&id, &["FAILED"])?;
    assert_eq!(message["reason"]["code"], "category_refused", "{message}");
    assert_eq!(bench.graph.messages_to(&who)?, 0);
    Ok(())
}

/// Meta refuses marketing with 131050, at once or by a status: then nothing more of it is tried.
#[test]
fn metas_refusal_of_marketing_is_kept_however_it_comes() -> Result<()> {
    let bench = Bench::new()?;
    let template = bench.template(&marketing_template("promo_131050"))?;
    for (fault, reason) in
        [(json!({"code": 131_050}), "rejected"), (json!({"code": 131_050, "async": true}), "category_refused")]
    {
        let who = person();
        let mut rule = fault.clone();
        rule["match"] = json!({"to": who});
        bench.graph.fault(&rule)?;
        let body = bench.promotion("promo_131050", &who)?;
        let id = bench.queue(&body)?;
        let message = bench.tenant.wait_status(&id, &["FAILED"])?;
        assert_eq!(
            (&message["reason"]["code"], &message["reason"]["channelCode"]),
            (&json!(reason), &json!("131050")),
            "{fault}: {message}"
        );
        bench.refuses_marketing(&who, true)?;
        bench.is_refused(&body)?;
        assert_eq!(bench.graph.messages_to(&who)?, 1, "{fault}: it was tried again");
    }

    // Who waits for the answer is told both times.
    let (queue, status) = bench.queue_and_status()?;
    let who = person();
    bench.graph.fault(&json!({"match": {"to": who}, "code": 131_050}))?;
    let body = json!({"number": who, "template_id": template, "queue_id": queue, "status_id": status,
        "variables": {"nome": "Ana"}});
    let first = bench.aidesk().post("/aidesk/send-message", &body)?.expect_json(400)?;
    ensure!(text_of(&first, "message")?.starts_with("WhatsApp refuses it"), "{first}");
    bench.refuses_marketing(&who, true)?;
    let second = bench.aidesk().post("/aidesk/send-message", &body)?.expect_json(400)?;
    assert_eq!(second["errors"], json!({"number": [WHY]}), "{second}");
    assert_eq!(bench.graph.messages_to(&who)?, 1);
    Ok(())
}

#[test]
fn each_word_refuses_marketing_and_voltar_allows_it_again() -> Result<()> {
    let bench = Bench::new()?;
    let who = person();
    let says = |text: &str| bench.graph.says(&who, &json!({"type": "text", "text": {"body": text}}));
    let marketing = json!({"to": who, "text": "promoção", "messageType": "MARKETING"});
    // A word inside a sentence says nothing.
    says("quero sair de férias")?;
    bench.conversation(&who)?;
    bench.refuses_marketing(&who, false)?;
    for word in [" Sair ", "PARAR", "stop", "SAÍR"] {
        says(word)?;
        bench.refuses_marketing(&who, true)?;
        bench.is_refused(&marketing)?;
        // Everything else goes, also in the same hour.
        bench.queue(&json!({"to": who, "text": "seu pedido saiu"}))?;
        says("VOLTAR")?;
        bench.refuses_marketing(&who, false)?;
        bench.queue(&marketing)?;
    }
    bench.nothing_violated()
}

/// Advertising often has a button for it: what it says is a text.
#[test]
fn a_button_that_says_the_word_refuses_marketing() -> Result<()> {
    let bench = Bench::new()?;
    let who = person();
    bench.opened(&who)?;
    let pressed = json!({"type": "button", "button": {"payload": "parar-promocoes", "text": "Sair"}});
    bench.graph.says(&who, &pressed)?;
    bench.refuses_marketing(&who, true)?;
    bench.is_refused(&json!({"to": who, "text": "promoção", "messageType": "MARKETING"}))
}
