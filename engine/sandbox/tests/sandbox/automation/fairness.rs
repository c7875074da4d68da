//! One tenant's endless loops next to other tenants' calls.

use futures::FutureExt;
use futures::future::join_all;
use pombo_domain::ports::{CallFailure, PluginEngine};

use super::{bench, call, granted, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_of_one_tenant_leave_the_others_answering() {
    let bench = bench(|_| {}).await;
    let probe = bench.probe().await;
    let spins = (0..32).map(|_| {
        let (plugins, spin) = (bench.plugins.clone(), granted(call(&probe, 99, "spin"), |grants| grants.cpu_ms = 500));
        tokio::spawn(async move { plugins.call(spin).await.outcome })
    });
    let mut spins = join_all(spins);
    assert!((&mut spins).now_or_never().is_none());
    for round in 0..20 {
        for tenant in 1..=10 {
            let outcome = bench.plugins.call(call(&probe, tenant, &format!("echo {round}"))).await.outcome;
            assert_eq!(said(outcome.expect("answers")), round.to_string());
        }
    }
    assert!((&mut spins).now_or_never().is_none(), "16 s of work for two cores are not over before 200 short calls");
    for ended in spins.await {
        assert_eq!(ended.expect("does not panic"), Err(CallFailure::Processor));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_loop_does_not_hold_the_only_thread() {
    let bench = bench(|_| {}).await;
    let probe = bench.probe().await;
    let spin = bench.plugins.call(granted(call(&probe, 99, "spin"), |grants| grants.cpu_ms = 300));
    let others = async {
        for _ in 0..20 {
            assert_eq!(bench.says(&probe, "echo on").await, "on");
        }
    };
    let ended = tokio::select! {
        biased;
        result = spin => panic!("it ended before the others were answered: {result:?}"),
        () = others => true,
    };
    assert!(ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_of_one_tenant_wait_for_each_other_and_all_end() {
    let bench = bench(|options| {
        options.limits.automations.instances = 3;
        options.limits.automations.instances_per_tenant = 2;
    })
    .await;
    let probe = bench.probe().await;
    let calls = (0..200).map(|n| {
        let (plugins, call) = (bench.plugins.clone(), call(&probe, n % 3 + 1, "echo on"));
        tokio::spawn(async move { plugins.call(call).await.outcome })
    });
    for outcome in join_all(calls).await {
        assert_eq!(said(outcome.expect("does not panic").expect("answers")), "on");
    }
}
