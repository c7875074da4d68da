//! Advertising of campaigns that is the same for many: the check and the start warn of it, and the pace shows it once it was sent.

use anyhow::{Result, ensure};
use pombo_tests::campaigns::api::{is, recipient};
use pombo_tests::tenant::text_of;
use serde_json::{Value, json};

use crate::shared::{Bench, marketing_template, person};

/// So many recipients, each with the name that `name` says.
fn rows(count: usize, name: impl Fn(usize) -> String) -> Vec<Value> {
    (0..count).map(|n| recipient(&person(), &json!({"nome": name(n)}))).collect()
}

/// What is said of so many.
fn warning(count: usize) -> String {
    format!("{count} recipients would get the same advertising text within 24 hours; let the texts differ")
}

#[test]
fn a_campaign_of_equal_texts_is_warned_at_its_check_and_its_start_and_sent_all_the_same() -> Result<()> {
    let bench = Bench::new()?;
    let template = bench.template(&marketing_template("iguais"))?;
    // Names that differ make texts that differ.
    let fine = bench.campaign(template, &rows(101, |n| format!("Cliente {n}")))?;
    let report = bench.campaign_step(&fine, "check")?;
    assert_eq!((&report["equalTexts"], &report["warnings"]), (&json!(1), &json!([])), "{report}");

    let id = bench.campaign(template, &rows(101, |_| "Ana".to_owned()))?;
    let report = bench.campaign_step(&id, "check")?;
    assert_eq!((&report["equalTexts"], &report["warnings"]), (&json!(101), &json!([warning(101)])), "{report}");
    // A check hands nothing in.
    assert_eq!(bench.campaign_step(&id, "check")?["equalTexts"], 101);
    let started = bench.campaign_step(&id, "start")?;
    assert_eq!(started["warnings"], json!([warning(101)]), "{started}");
    let done = bench.campaign_when(&id, "finished", |shown| is(shown, "FINISHED"))?;
    assert_eq!((&done["counts"]["skipped"], &done["counts"]["failed"]), (&json!(0), &json!(0)), "{done}");
    let pace = bench.tenant.client.get(&format!("/v1/connectors/{}/pace", bench.connector))?.expect_json(200)?;
    assert_eq!(pace["now"]["equalTexts"]["count"], 101, "{pace}");

    // One more of that text counts with them, in another campaign as in a bulk.
    let next = bench.campaign(template, &rows(1, |_| "Ana".to_owned()))?;
    assert_eq!(bench.campaign_step(&next, "check")?["warnings"], json!([warning(102)]));
    let started = bench.campaign_step(&next, "start")?;
    let said = &started["warnings"];
    assert_eq!(said[0], warning(102), "{started}");
    let since = text_of(&pace["now"]["equalTexts"], "since")?;
    // The row itself may go meanwhile.
    let sent =
        |count: u32| said.to_string().contains(&format!("sent the same advertising text {count} times since {since}"));
    ensure!(sent(101) || sent(102), "{said}");
    bench.nothing_violated()
}
