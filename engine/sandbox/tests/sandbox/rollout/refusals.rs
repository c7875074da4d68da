//! What is not staged leaves everything as it was.

use pombo_domain::ports::{ConnectorError, Connectors};

use super::{Counter, RELAY, bad, good, keep, relaying, version};
use crate::reload::replaced;
use crate::support::{Wish, built};

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_with_its_reason() {
    let counter = Counter::start().await;
    let world = relaying(Wish::default()).await;
    world.start(1, RELAY, counter.config()).await;
    let before = world.sandbox.plugin(RELAY);
    let stricter = replaced(&good('c'), r#""required":["host"]"#, r#""required":["hose"]"#);
    let damaged = "0".repeat(64);
    let uploads = world.folder.path().join("uploads");
    std::fs::create_dir_all(&uploads).expect("a folder");
    std::fs::write(uploads.join(format!("{damaged}.wasm")), good('d')).expect("written");
    for (digest, expected) in [
        ("f".repeat(64), "upload it again"),
        ("../plugins/relay".to_owned(), "64 hexadecimal digits"),
        (damaged, "is damaged"),
        (keep(&world, b"not wasm"), "not a component"),
        (keep(&world, &built("hostile/forbidden-import.wasm")), "does not offer"),
        (keep(&world, &built("plugins/noop.wasm")), "holds the plugin \"noop\""),
        (keep(&world, &built("plugins/renderer.wasm")), "holds a renderer"),
        (keep(&world, &stricter), "config.hose is required"),
    ] {
        for refused in
            [world.sandbox.stage(RELAY, &digest, 50).await, world.sandbox.use_version(RELAY, &digest).await.map(|_| ())]
        {
            match refused {
                Err(ConnectorError::Plugin(why)) => assert!(why.contains(expected), "{why}"),
                other => panic!("{expected}: {other:?}"),
            }
        }
        for nothing in [world.sandbox.promote(RELAY).await.map(|_| ()), world.sandbox.unstage(RELAY).await] {
            assert!(matches!(&nothing, Err(ConnectorError::Plugin(why)) if why.contains("staged")), "{nothing:?}");
        }
    }
    assert_eq!(world.sandbox.plugin(RELAY), before);
    world.accepted(1, 0..10).await;
    world.sandbox.stage(RELAY, &before.expect("is there").digest, 50).await.expect("it runs already: nothing to do");
    world.sandbox.promote(RELAY).await.expect_err("nothing to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_change_at_a_time() {
    let counter = Counter::start().await;
    let world = relaying(Wish::default()).await;
    world.start(1, RELAY, counter.config()).await;
    let (staged, other) = (keep(&world, &good('b')), keep(&world, &bad("slow")));
    world.sandbox.stage(RELAY, &staged, 50).await.expect("is good");
    for promoted in [false, true] {
        for refused in [
            world.sandbox.stage(RELAY, &other, 50).await,
            world.sandbox.use_version(RELAY, &other).await.map(|_| ()),
            world.sandbox.reload(RELAY).await.map(|_| ()),
        ] {
            match refused {
                Err(ConnectorError::Plugin(why)) => {
                    assert!(why.contains(&version('b')) && why.contains("roll it back"), "{why}")
                }
                other => panic!("{other:?}"),
            }
        }
        if !promoted {
            world.sandbox.promote(RELAY).await.expect("is staged");
        }
    }
    world.sandbox.settle(RELAY).await;
    world.sandbox.stage(RELAY, &other, 50).await.expect("the other is over");
}
