//! A newer version of a plugin, put in the place of the one that runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pombo_domain::ConnectorIndex;
use pombo_domain::ports::{ConnectorError, Connectors, SendOutcome, SessionState};
use serde_json::json;

use crate::sessions::{config, with_probe};
use crate::support::{Wish, World, built, spec, world};

pub(crate) fn replaced(component: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "a component's data must keep its length");
    let mut patched = component.to_vec();
    let places: Vec<_> = patched.windows(from.len()).enumerate().filter(|(_, w)| *w == from.as_bytes()).collect();
    let places: Vec<_> = places.into_iter().map(|(place, _)| place).collect();
    assert!(!places.is_empty(), "{from:?} is not in the component");
    for place in places {
        patched[place..place + to.len()].copy_from_slice(to.as_bytes());
    }
    patched
}

/// The probe as a version whose name has this letter.
pub(crate) fn version(letter: &str) -> Vec<u8> {
    let of = |letter: &str| format!("1.0.0+{}", letter.repeat(40));
    replaced(&built("hostile/probe.wasm"), &of("a"), &of(letter))
}

fn file(world: &World, name: &str) -> PathBuf {
    world.folder.path().join("plugins").join(name)
}

pub(crate) async fn echo(world: &World, index: u32) -> String {
    world.told_to(index, json!({"do": "echo"})).await.expect("is sent")
}

pub(crate) async fn number(world: &World, index: u32, key: &str) -> String {
    world.told_to(index, json!({"do": "number", "key": key})).await.expect("answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_session_moves_to_the_new_version_and_no_message_is_lost() {
    let world = Arc::new(with_probe(Wish::default()).await);
    for index in 1..=4 {
        world.start(index, "hostile-probe", config(json!({"loginMillis": 50}))).await;
    }
    assert!(echo(&world, 1).await.contains("+aaaa"));
    let over = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (1..=4)
        .map(|index| {
            let (world, over) = (world.clone(), over.clone());
            tokio::spawn(async move {
                let mut versions = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    versions.push(echo(&world, index).await);
                }
                versions
            })
        })
        .collect();
    std::fs::write(file(&world, "probe.wasm"), version("b")).expect("written");
    let description = world.sandbox.reload("hostile-probe").await.expect("is good");
    assert!(description.version.contains("+bbbb"));
    assert_ne!(description.digest, "");
    for index in 1..=4 {
        assert!(echo(&world, index).await.contains("+bbbb"), "the new one answers");
        assert_eq!(number(&world, index, "logins").await, "2", "it logged in again on the same store");
        assert_eq!(number(&world, index, "overlaps").await, "0");
    }
    over.store(true, Ordering::Relaxed);
    for versions in load {
        let versions = versions.await.expect("every message was accepted");
        let first_new = versions.iter().position(|v| v.contains("+bbbb")).unwrap_or(versions.len());
        assert!(versions[first_new..].iter().all(|v| v.contains("+bbbb")), "never back to the old one");
    }
    assert_eq!(world.sandbox.plugin("hostile-probe").expect("is there").version, description.version);
    world.sandbox.start(spec(5, "hostile-probe", config(json!({})))).await.expect("starts");
    world.told.until(5, |s| s.last() == Some(&SessionState::Connected)).await;
    assert!(echo(&world, 5).await.contains("+bbbb"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_gives_a_connector_another_instance_on_the_same_version_and_session() {
    let world = with_probe(Wish::default()).await;
    for index in 1..=2 {
        world.start(index, "hostile-probe", config(json!({"loginMillis": 50}))).await;
    }
    assert!(world.sandbox.restart(ConnectorIndex(3)).await.is_err(), "it does not run");
    world.sandbox.restart(ConnectorIndex(1)).await.expect("it runs");
    assert!(echo(&world, 1).await.contains("+aaaa"), "what is sent meanwhile waits for it");
    assert_eq!(number(&world, 1, "logins").await, "2", "it logged in again on the same store");
    assert_eq!(number(&world, 1, "overlaps").await, "0");
    assert_eq!(number(&world, 2, "logins").await, "1", "the other one was left alone");
    let asked = |state: &SessionState| matches!(state, SessionState::QrCode(_) | SessionState::PairingCode(_));
    world.told.until(1, |states| states.last() == Some(&SessionState::Connected) && !states.iter().any(asked)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_component_leaves_everything_as_it_was() {
    let world = with_probe(Wish::default()).await;
    world.start(1, "hostile-probe", config(json!({}))).await;
    let before = world.sandbox.plugin("hostile-probe");
    let stricter = replaced(&version("c"), r#""required":["host"]"#, r#""required":["hose"]"#);
    for (component, expected) in [
        (b"not wasm".to_vec(), "not a component"),
        (built("hostile/forbidden-import.wasm"), "does not offer"),
        (built("plugins/noop.wasm"), "holds the plugin \"noop\""),
        (built("plugins/renderer.wasm"), "holds a renderer"),
        (stricter, "config.hose is required"),
    ] {
        std::fs::write(file(&world, "probe.wasm"), component).expect("written");
        match world.sandbox.reload("hostile-probe").await {
            Err(ConnectorError::Plugin(why)) => assert!(why.contains(expected), "{why}"),
            other => panic!("{expected}: {other:?}"),
        }
    }
    std::fs::remove_file(file(&world, "probe.wasm")).expect("was there");
    let gone = world.sandbox.reload("hostile-probe").await;
    assert!(matches!(&gone, Err(ConnectorError::Plugin(why)) if why.contains("cannot be read")), "{gone:?}");
    assert_eq!(world.sandbox.plugin("hostile-probe"), before);
    assert!(echo(&world, 1).await.contains("+aaaa"));
    assert_eq!(number(&world, 1, "logins").await, "1", "nothing was started again");
    let unknown = world.sandbox.reload("nothing").await;
    assert_eq!(unknown, Err(ConnectorError::UnknownPlugin("nothing".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binarys_own_plugin_is_reloaded_from_the_operators_folder_only() {
    let world = world(Wish::default()).await;
    match world.sandbox.reload("connector-email").await {
        Err(ConnectorError::Plugin(why)) => assert!(why.contains("connector-email.wasm first"), "{why}"),
        other => panic!("{other:?}"),
    }
    let component = built("plugins/connector-email.wasm");
    std::fs::write(file(&world, "connector-email.wasm"), component).expect("written");
    world.sandbox.reload("connector-email").await.expect("is there now");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_plugin_takes_the_place_of_the_binarys_own() {
    let newer = replaced(&built("plugins/connector-email.wasm"), "E-mail (SMTP)", "E-mail (OURS)");
    let world = world(Wish { plugins: vec![("mail.wasm", newer)], ..Wish::default() }).await;
    assert_eq!(world.sandbox.refused(), []);
    let email = world.sandbox.plugin("connector-email").expect("is there");
    assert_eq!(email.display_name, "E-mail (OURS)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_without_sessions_is_reloaded_beside_its_sends() {
    let world = world(Wish { plugins: vec![("noop.wasm", built("plugins/noop.wasm"))], ..Wish::default() }).await;
    world.start(1, "noop", json!({})).await;
    let newer = replaced(&built("plugins/noop.wasm"), "No-op (benchmarks)", "No-op (BENCHMARKS)");
    std::fs::write(file(&world, "noop.wasm"), newer).expect("written");
    let description = world.sandbox.reload("noop").await.expect("is good");
    assert_eq!(description.display_name, "No-op (BENCHMARKS)");
    world.told.until(1, |s| s.last() == Some(&SessionState::Connected)).await;
    let sent = world.sandbox.send(ConnectorIndex(1), crate::support::message("a", "x")).await;
    assert!(matches!(sent, SendOutcome::Accepted { .. }), "{sent:?}");
}
