//! What is uploaded: kept when it fits, refused with what to change when it does not, in bounded time and memory.

use std::time::Duration;

use bytes::Bytes;
use pombo_domain::model::PluginKind;
use pombo_domain::ports::{CallFailure, PluginEngine, UploadRefusal};
use pombo_sandbox::Options;
use serde_json::json;

use super::{Bench, bench, call, made, said};
use crate::support::built;

/// The refusal of an upload.
async fn refused(bench: &Bench, component: impl Into<Bytes>) -> UploadRefusal {
    bench.plugins.inspect(component.into()).await.expect_err("must be refused")
}

fn files(bench: &Bench, folder: &str) -> usize {
    std::fs::read_dir(bench.folder.path().join(folder)).expect("is there").count()
}

/// The program that compiles, as the engine's own does.
fn by_child(options: &mut Options) {
    let tests = std::env::current_exe().expect("runs");
    let folder = tests.ancestors().nth(2).expect("a target folder");
    let program = folder.join("examples/compile");
    assert!(program.exists(), "{} is not there: cargo builds it with the tests", program.display());
    options.compile_command = Some(vec![program.into()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_fits_is_described_kept_and_found_again() {
    let bench = bench(|_| {}).await;
    let component = built("hostile/automation-probe.wasm");
    let probe = bench.plugins.inspect(component.clone().into()).await.expect("fits");
    assert_eq!((probe.kind, probe.name.as_str()), (PluginKind::Automation, "hostile-automation-probe"));
    assert_eq!((probe.size, probe.digest.len()), (component.len() as u64, 64));
    assert_eq!(probe.wants.hosts, ["url"]);
    assert_eq!(probe.description["events"], json!(["message-received", "reaction"]));
    assert_eq!(probe.description["secretFields"], json!(["password"]));
    assert_eq!(bench.plugins.inspect(component.clone().into()).await, Ok(probe.clone()), "again");
    assert_eq!(bench.plugins.component(&probe.digest).await.as_deref(), Some(&component[..]));
    assert_eq!(files(&bench, "uploads"), 1);

    let code = files(&bench, "cache");
    let bench = bench.reopened(|_| {}).await;
    assert_eq!(files(&bench, "cache"), code, "pruning leaves what is kept");
    assert_eq!(bench.says(&probe, "echo hello").await, "hello");

    // Without its code it is compiled again.
    let cache = bench.folder.path().join("cache");
    for file in std::fs::read_dir(&cache).expect("is there").flatten() {
        if file.file_name().to_string_lossy().starts_with(&probe.digest) {
            std::fs::remove_file(file.path()).expect("removed");
        }
    }
    let bench = bench.reopened(|_| {}).await;
    assert_eq!(bench.says(&probe, "echo again").await, "again");

    bench.plugins.forget(&probe.digest).await;
    assert_eq!(files(&bench, "uploads"), 0);
    assert_eq!(bench.plugins.component(&probe.digest).await, None);
    let failure = bench.told(&probe, "echo hello").await;
    assert!(matches!(failure, Err(CallFailure::NotCalled(_))), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_is_known_as_one() {
    let bench = bench(|_| {}).await;
    let noop = bench.plugins.inspect(built("plugins/noop.wasm").into()).await.expect("fits");
    assert_eq!((noop.kind, noop.name.as_str(), noop.automation), (PluginKind::Connector, "noop", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binarys_own_automations_are_offered() {
    let component: &'static [u8] = Vec::leak(built("hostile/automation-probe.wasm"));
    let bench = bench(|options| options.embedded.push(pombo_sandbox::Embedded { name: "probe", component })).await;
    let own = bench.plugins.embedded();
    assert_eq!(own.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["hostile-automation-probe"]);
    assert_eq!(bench.says(&own[0], "echo hello").await, "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plugin_is_refused_and_says_what_to_change() {
    let bench = bench(|_| {}).await;
    let probe = bench.probe().await;
    let component = built("hostile/automation-probe.wasm");
    let mut cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "not a WebAssembly component"),
        (b"PK\x03\x04 a zip file".to_vec(), "not a WebAssembly component"),
        (b"\0asm\x09\0\x01\0".to_vec(), "version that the engine does not know"),
        (made::module(&[]), "core WebAssembly module"),
        (made::component(&[]), "exports nothing"),
        (made::endless_section(), "damaged or cut off"),
        ([component.clone(), b"more".to_vec()].concat(), "damaged or cut off"),
        (built("plugins/renderer.wasm"), "render-batch"),
        (built("hostile/forbidden-import.wasm"), "evil:machine/shell@1.0.0"),
        (built("hostile/automation-trap-describe.wasm"), "`describe` does not answer"),
        (made::huge_function(), "functions has more than"),
        (made::deep_blocks(), "nests blocks more than"),
        (made::many_blocks(), "blocks in one function"),
        (made::many_locals(), "locals in one function"),
        (made::many_types(), "types; make it smaller"),
        (made::grouped_types(), "types; make it smaller"),
        (made::many_functions(), "functions; make it smaller"),
        ([component.clone(), made::holding(&made::huge_memory())].concat(), "memories begin with"),
        (made::wide_memory(), "64-bit"),
        (made::huge_table(), "tables has more than"),
        (made::many_segments(), "segments; make it smaller"),
        (made::many_modules(), "modules; make it smaller"),
        (made::nested_components(), "components are nested more than"),
        (made::nested_types(20), "types are nested more than"),
        (made::nested_types(80_000), "types are nested more than"),
        (made::nested_types(200_000), "type sections has more than"),
        (made::custom_sections(), "custom sections"),
    ];
    for part in [9, 100, component.len() / 3, component.len() / 2, component.len() - 1] {
        cases.push((component[..part].to_vec(), ""));
    }
    for (number, (bytes, why)) in cases.into_iter().enumerate() {
        match refused(&bench, bytes).await {
            UploadRefusal::Unfit(said) => assert!(said.contains(why), "case {number}: {said:?} does not say {why:?}"),
            other => panic!("case {number}: {other:?}"),
        }
        assert_eq!(bench.says(&probe, "echo on").await, "on", "the engine serves on");
    }
    assert_eq!(files(&bench, "uploads"), 1, "nothing of it is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_are_bounded() {
    let bench = bench(|_| {}).await;
    let most = 32 << 20;
    assert_eq!(refused(&bench, vec![0; 200 << 20]).await, UploadRefusal::TooLarge(most));
}

/// The probe with one more module in it that nothing uses, and that takes minutes to compile.
fn slow() -> Vec<u8> {
    [built("hostile/automation-probe.wasm"), made::holding(&made::slow_module(80))].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn compiling_is_bounded_in_time_and_memory() {
    for (case, limit) in [("deadline", 0), ("processor", 1), ("memory", 2)] {
        let bench = bench(|options| {
            by_child(options);
            let uploads = &mut options.limits.uploads;
            match limit {
                0 => uploads.compile_time = Duration::from_millis(300),
                1 => uploads.compile_cpu = Duration::from_secs(1),
                _ => uploads.compile_memory = 96 << 20,
            }
        })
        .await;
        let refusal = refused(&bench, slow()).await;
        assert!(matches!(&refusal, UploadRefusal::Unfit(why) if why.contains("to compile")), "{case}: {refusal:?}");
        assert_eq!(files(&bench, "uploads"), 0, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_compiles_what_this_process_runs() {
    let bench = bench(by_child).await;
    let probe = bench.probe().await;
    assert_eq!(bench.says(&probe, "echo hello").await, "hello");
    let noop = bench.plugins.inspect(built("plugins/noop.wasm").into()).await.expect("fits");
    assert_eq!(noop.kind, PluginKind::Connector);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_few_are_checked_at_once() {
    let bench = bench(|options| {
        options.limits.uploads.compiles_at_once = 1;
        options.limits.uploads.compiles_waiting = 0;
    })
    .await;
    let component = Bytes::from(built("hostile/automation-probe.wasm"));
    let both = futures::join!(bench.plugins.inspect(component.clone()), bench.plugins.inspect(component));
    assert!(both.0.is_ok(), "{both:?}");
    assert_eq!(both.1, Err(UploadRefusal::Busy));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_checked_against_its_schema() {
    let bench = bench(|_| {}).await;
    let probe = bench.probe().await;
    let problems = async |config| match bench.plugins.check_config(&probe.digest, &config).await {
        Ok(()) => Vec::new(),
        Err(problems) => problems.into_iter().map(|p| p.field.to_string()).collect(),
    };
    assert_eq!(problems(json!({"greeting": "olá", "password": "x"})).await, Vec::<String>::new());
    assert_eq!(problems(json!({})).await, ["config.greeting"]);
    assert_eq!(problems(json!({"greeting": "far too long a greeting"})).await, ["config.greeting"]);
    assert_eq!(problems(json!({"greeting": "a", "other": 1})).await, ["config.other"]);
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(problems(deep).await, ["config"]);
    let gone = bench.plugins.check_config(&"0".repeat(64), &json!({})).await.expect_err("is not there");
    assert!(gone[0].message.contains("is not there"), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_that_are_not_called_are_given_up_and_loaded_again() {
    let bench = bench(|options| options.limits.automations.loaded = 1).await;
    let probe = bench.probe().await;
    let echo = bench.plugins.inspect(built("plugins/echo.wasm").into()).await.expect("fits");
    for round in 0..3 {
        assert_eq!(bench.says(&probe, &format!("echo {round}")).await, round.to_string());
        let outcome = bench.plugins.call(call(&echo, 1, "hello")).await.outcome.expect("answers");
        assert!(said(outcome).contains("hello"));
    }
}
