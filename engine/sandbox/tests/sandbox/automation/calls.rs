//! One call: what goes in, what comes out, and every way in which a guest ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pombo_domain::TenantIndex;
use pombo_domain::model::TaskBody;
use pombo_domain::ports::{Action, CallFailure, HostAnswer, KvWrite, PluginEngine, PluginTelemetry};
use pombo_domain::{AutomationIndex, ports::AutomationCall};

use super::{bench, call, granted, said, with_body};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_and_a_state_go_in_and_actions_and_a_state_come_out() {
    let bench = bench(|_| {}).await;
    let probe = bench.probe().await;
    let mut state = None;
    for round in 1..=3 {
        let result = bench.plugins.call(AutomationCall { state: state.clone(), ..call(&probe, 1, "echo olá") }).await;
        assert!(result.cpu > Duration::ZERO && result.memory > 1 << 16, "{result:?}");
        let outcome = result.outcome.expect("answers");
        assert!(outcome.claim);
        state.clone_from(&outcome.state);
        assert_eq!(state.as_deref(), Some(round.to_string().as_str()));
        assert_eq!(said(outcome), "olá");
    }
    assert_eq!(bench.says(&probe, "config").await, "{\"greeting\":\"olá\"}");
    let body = TaskBody::Reaction { message: "m".to_owned(), sender: "s".to_owned(), emoji: "👍".to_owned() };
    let outcome = bench.plugins.call(with_body(&probe, 1, body)).await.outcome.expect("answers");
    assert_eq!((outcome.actions, outcome.claim), (vec![Action::AddTag("other".to_owned())], false));
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_and_randomness_are_the_calls() {
    let bench = bench(|_| {}).await;
    let probe = bench.probe().await;
    let first = bench.says(&probe, "time").await;
    assert!(first.starts_with("1700000000123 "), "{first}");
    assert_eq!(bench.says(&probe, "time").await, first);
    let other = bench.plugins.call(AutomationCall { seed: 43, ..call(&probe, 1, "time") }).await;
    assert_ne!(said(other.outcome.expect("answers")), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_fail_has_its_word_and_leaves_the_engine_serving() {
    // Long enough to fill the memory also where each new page is slow.
    let bench = bench(|options| options.limits.automations.cpu = Duration::from_millis(1_000)).await;
    let probe = bench.probe().await;
    for (task, code, why) in [
        ("spin", "processor", "processor time"),
        ("recur", "trap", "stack"),
        ("trap", "trap", "unreachable"),
        ("memory", "memory", "memory"),
        ("error sold out", "error", "sold out"),
        ("many", "unfit", "101 actions"),
        ("state", "unfit", "the state is longer"),
        ("huge", "trap", ""),
        ("nothing", "error", "no such task"),
    ] {
        let failure = bench.told(&probe, task).await.expect_err(task);
        assert_eq!(failure.code().as_str(), code, "{task}: {failure:?}");
        assert!(failure.to_string().contains(why), "{task}: {failure}");
        assert_eq!(bench.says(&probe, "echo on").await, "on", "after {task}");
    }
    let usage = bench.sandbox.telemetry().usage(&probe.name);
    let figures = &usage[&probe.digest];
    assert_eq!((figures.stats.calls, figures.stats.traps, figures.stats.failures), (18, 5, 4), "{figures:?}");
    let expected = [("error", 2), ("memory", 1), ("processor", 1), ("trap", 3), ("unfit", 2)];
    assert_eq!(figures.failures, expected.map(|(name, n)| (name.to_owned(), n)).into());
    assert!(figures.cpu_us >= 100_000 && figures.memory_peak > 100 << 20, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_granted_bounds_a_call() {
    let bench = bench(|_| {}).await;
    let probe = bench.probe().await;
    let little = granted(call(&probe, 1, "spin"), |grants| grants.cpu_ms = 5);
    let result = bench.plugins.call(little).await;
    assert_eq!(result.outcome, Err(CallFailure::Processor));
    assert!(result.cpu >= Duration::from_millis(5), "{:?}", result.cpu);
    let small = granted(call(&probe, 1, "memory"), |grants| grants.memory_bytes = 4 << 20);
    let result = bench.plugins.call(small).await;
    assert_eq!(result.outcome, Err(CallFailure::Memory));
    assert!(result.memory <= 4 << 20, "{}", result.memory);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_value_store_is_read_here_and_written_by_an_action() {
    let bench = bench(|_| {}).await;
    let probe = bench.probe().await;
    let index = AutomationIndex(1).kv();
    let writes = (0..5).map(|n| KvWrite { key: format!("k{n}"), value: Some(b"v".to_vec()) }).collect();
    bench.kv.write(index, writes).await.expect("written");
    assert_eq!(bench.says(&probe, "get k1").await, "Ok(Some(\"v\"))");
    assert_eq!(bench.says(&probe, "get none").await, "Ok(None)");
    assert_eq!(bench.says(&probe, "list k").await, "Ok(5)");
    // Another automation has its own.
    let other = bench.plugins.call(call(&probe, 2, "get k1")).await.outcome.expect("answers");
    assert_eq!(said(other), "Ok(None)");
    let outcome = bench.told(&probe, "put a=b").await.expect("may");
    assert_eq!(outcome.actions, [Action::WriteKv("a".to_owned(), Some("b".to_owned()))]);
    assert_eq!(bench.says(&probe, "get a").await, "Ok(None)", "it is written by the commit of the answer");

    let without = |task| granted(call(&probe, 1, task), |grants| grants.kv_bytes = 0);
    let outcome = bench.plugins.call(without("get k1")).await.outcome.expect("answers");
    assert!(said(outcome).contains("Refused"));
    let failure = bench.plugins.call(without("put a=b")).await.outcome.expect_err("may not");
    assert!(failure.to_string().contains("without being granted"), "{failure}");
    let full = granted(call(&probe, 1, "put a=bcdefghijk"), |grants| grants.kv_bytes = 20);
    let failure = bench.plugins.call(full).await.outcome.expect_err("is full");
    assert!(failure.to_string().contains("may hold 20 bytes"), "{failure}");
    let asked = bench.says(&probe, "ask").await;
    assert!(asked.contains("1000 things"), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_answered_from_the_recording_and_asks_no_one() {
    let bench = bench(|_| {}).await;
    let probe = bench.probe().await;
    let index = AutomationIndex(1).kv();
    let write = |value: &str| vec![KvWrite { key: "k".to_owned(), value: Some(value.as_bytes().to_vec()) }];
    bench.kv.write(index, write("then")).await.expect("written");
    let recorded = bench.plugins.call(call(&probe, 1, "get k")).await;
    assert_eq!(recorded.inputs, [HostAnswer::KvGet { key: "k".to_owned(), value: Ok(Some("then".to_owned())) }]);
    bench.kv.write(index, write("now")).await.expect("written");
    let calls = || bench.sandbox.telemetry().usage(&probe.name)[&probe.digest].stats.calls;
    let before = calls();
    let again = AutomationCall { replay: Some(recorded.inputs.clone()), ..call(&probe, 1, "get k") };
    let again = bench.plugins.call(again).await;
    assert_eq!((again.outcome, again.inputs), (recorded.outcome, recorded.inputs.clone()));
    let other = AutomationCall { replay: Some(recorded.inputs), ..call(&probe, 1, "get another") };
    let other = bench.plugins.call(other).await.outcome;
    assert!(matches!(&other, Err(CallFailure::Diverged(what)) if what.contains("another")), "{other:?}");
    let silent = AutomationCall { replay: Some(Vec::new()), ..call(&probe, 1, "log 3") };
    bench.plugins.call(silent).await.outcome.expect("answers");
    assert_eq!(calls(), before, "a replay does not count as a use of the plugin");
    assert!(bench.sandbox.telemetry().lines(&probe.name, None, 0, 10).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_kept_for_whom_they_concern_and_a_flood_is_cut() {
    let bench = bench(|_| {}).await;
    let probe = bench.probe().await;
    bench.plugins.call(call(&probe, 1, "log 2")).await.outcome.expect("answers");
    bench.plugins.call(call(&probe, 2, "log 5000")).await.outcome.expect("answers");
    let telemetry = bench.sandbox.telemetry();
    let lines = telemetry.lines(&probe.name, Some(TenantIndex(1)), 0, 100);
    assert_eq!(
        lines.iter().map(|l| (l.level, l.text.as_str())).collect::<Vec<_>>(),
        [("info", "line 0"), ("info", "line 1")]
    );
    assert_eq!(lines[0].instance, Some(uuid::Uuid::from_u128(1)));
    assert_eq!(lines[0].digest, probe.digest);
    let flood = telemetry.lines(&probe.name, Some(TenantIndex(2)), 0, 10_000).len() as u64;
    assert!((200..1000).contains(&flood), "{flood}");
    assert_eq!(telemetry.usage(&probe.name)[&probe.digest].dropped_lines, 5000 - flood);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_given_to_a_guest() {
    let bench = bench(|_| {}).await;
    let probe = bench.probe().await;
    let secrets = Arc::new(BTreeMap::from([("greeting".to_owned(), "s3cret".to_owned())]));
    let result = bench.plugins.call(AutomationCall { secrets, ..call(&probe, 1, "config") }).await;
    assert!(!said(result.outcome.expect("answers")).contains("s3cret"));
}
