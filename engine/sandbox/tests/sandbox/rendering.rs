//! The renderer plugin behind its port.

use std::sync::Arc;
use std::time::Duration;

use pombo_domain::ports::{RenderError, RenderJob, Renderer};

use crate::support::{Wish, world};

fn job(template: &str, seed: u64, variables: &str) -> RenderJob {
    RenderJob { template: template.into(), seed, variables: variables.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_rendered_in_order_and_a_bad_text_leaves_the_others_alone() {
    let world = world(Wish::default()).await;
    let shared: Arc<str> = "{Oi|Olá}, {{ nome }}!".into();
    let mut jobs: Vec<_> = (0..300)
        .map(|i| RenderJob { template: shared.clone(), seed: i, variables: format!(r#"{{"nome":"n{i}"}}"#).into() })
        .collect();
    jobs[150] = job("Olá\n{{ outro }}", 1, "{}");
    let results = world.sandbox.renderers().render(jobs.clone()).await;
    assert_eq!(results.len(), 300);
    for (i, result) in results.iter().enumerate() {
        match (i, result) {
            (150, Err(RenderError::Template(p))) => {
                assert_eq!((p.message.as_str(), p.line, p.column), ("the variable \"outro\" is not defined", 2, 4));
            }
            (150, other) => panic!("{other:?}"),
            (i, Ok(text)) => assert!(text.ends_with(&format!(", n{i}!")), "{text}"),
            (_, Err(e)) => panic!("{e}"),
        }
    }
    assert_eq!(results, world.sandbox.renderers().render(jobs).await, "the same seeds give the same texts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_fells_the_instance_fails_alone() {
    let wish = Wish::default();
    let world = world(Wish { limits: pombo_sandbox::Limits { memory_bytes: 8 << 20, ..wish.limits }, ..wish }).await;
    // More memory than the instance may have, in a few steps.
    let heavy = "{% set a = 'x' * 2000000 %}{% set b = [a ~ '1', a ~ '2', a ~ '3', a ~ '4', a ~ '5'] %}{{ b|length }}";
    let mut jobs: Vec<_> = (0..10).map(|i| job("ok {{ 1 + 1 }}", i, "")).collect();
    jobs[3] = job(heavy, 0, "");
    let results =
        tokio::time::timeout(Duration::from_secs(20), world.sandbox.renderers().render(jobs)).await.expect("in time");
    for (i, result) in results.iter().enumerate() {
        match (i, result) {
            (3, Err(RenderError::Template(p))) => assert!(p.message.contains("within the limits"), "{}", p.message),
            (3, other) => panic!("{other:?}"),
            (_, result) => assert_eq!(result.as_deref(), Ok("ok 2")),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_samples_and_figures() {
    let world = world(Wish::default()).await;
    let shown = world.sandbox.renderers().preview("{a|b|c} {{ nome }}", r#"{"nome":"Ana"}"#, 10).await.expect("shows");
    assert_eq!(shown.samples.len(), 10);
    assert!(shown.samples.iter().all(|s| s.ends_with(" Ana")));
    assert_eq!(shown.distinct_texts, 3);
    assert!((shown.collision_probability - 1.0 / 3.0).abs() < 1e-9);
    assert_eq!(shown.variables, ["nome"]);
    let error = world.sandbox.renderers().preview("{a|b", "", 1).await.expect_err("is not closed");
    assert!(matches!(error, RenderError::Template(p) if p.column == 1));
}
