//! Plugins from the operator's folder, and compiled code on disk.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use pombo_domain::ports::Connectors;
use pombo_sandbox::{Options, Sandbox};

use crate::support::{Wish, built, options, ports, world};

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_with_a_reason_and_the_rest_loads() {
    let world = world(Wish {
        plugins: vec![
            ("a-text.wasm", b"not wasm".to_vec()),
            ("b-forbidden.wasm", built("hostile/forbidden-import.wasm")),
            ("c-noop.wasm", built("plugins/noop.wasm")),
            ("d-noop-again.wasm", built("plugins/noop.wasm")),
            ("e-renderer.wasm", built("plugins/renderer.wasm")),
            ("f.txt", b"ignored".to_vec()),
        ],
        ..Wish::default()
    })
    .await;
    let names: Vec<_> = Connectors::plugins(&*world.sandbox).into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["connector-email", "noop"]);
    let refused: Vec<_> = world
        .sandbox
        .refused()
        .iter()
        .map(|r| (r.file.file_name().and_then(|n| n.to_str()).expect("named"), r.reason.as_str()))
        .collect();
    assert_eq!(
        refused.iter().map(|(f, _)| *f).collect::<Vec<_>>(),
        ["a-text.wasm", "b-forbidden.wasm", "d-noop-again.wasm", "e-renderer.wasm"]
    );
    assert!(refused[0].1.contains("not a component"), "{refused:?}");
    assert!(refused[1].1.contains("evil:machine/shell@1.0.0"), "{refused:?}");
    assert!(refused[2].1.contains("already a plugin named"), "{refused:?}");
    assert!(refused[3].1.contains("renderer already"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_compiled_ahead_is_used_and_only_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = options(folder.path(), &Wish::default());
    let open = async |options: &Options| {
        let (ports, _) = ports(folder.path(), true);
        Sandbox::open(options.clone(), ports).await.expect("opens");
    };
    let files = |dir: &Path| {
        let mut all: Vec<_> = std::fs::read_dir(dir).expect("is there").flatten().map(|e| e.path()).collect();
        all.sort();
        all
    };
    let ahead = folder.path().join("ahead");
    options.cache_dir = ahead.clone();
    open(&options).await;
    let stale = ahead.join("0123-4567.cwasm");
    std::fs::write(&stale, b"of another version").expect("written");
    let code = files(&ahead);

    options.cache_dir = folder.path().join("cache");
    options.compiled_ahead = Some(ahead.clone());
    open(&options).await;
    assert!(files(&options.cache_dir).is_empty(), "nothing was compiled");
    assert_eq!(files(&ahead), code, "nothing was removed");

    // Damaged code, and code that somebody else could have written, is compiled again.
    let [_, damaged, foreign] = &code[..] else { panic!("{code:?}") };
    std::fs::write(damaged, b"damaged").expect("written");
    std::fs::set_permissions(foreign, std::fs::Permissions::from_mode(0o666)).expect("set");
    open(&options).await;
    assert_eq!(files(&options.cache_dir).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_start_compiles_nothing_and_old_code_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = options(folder.path(), &Wish::default());
    options.cache_dir = folder.path().join("cache");
    let open = async || {
        let start = Instant::now();
        let (ports, _) = ports(folder.path(), true);
        Sandbox::open(options.clone(), ports).await.expect("opens");
        start.elapsed()
    };
    let first = open().await;
    let files = || {
        let mut all: Vec<_> =
            std::fs::read_dir(&options.cache_dir).expect("is there").flatten().map(|e| e.path()).collect();
        all.sort();
        all
    };
    let code = files();
    assert_eq!(code.len(), 2);
    assert!(code.iter().all(|f| std::fs::metadata(f).is_ok_and(|m| m.mode() & 0o777 == 0o600)));
    let stale = options.cache_dir.join("0123-4567.cwasm");
    std::fs::write(&stale, b"old").expect("written");
    let second = open().await;
    assert!(second * 4 < first && second.as_millis() < 500, "first {first:?}, second {second:?}");
    assert_eq!(files(), code, "the stale file is gone");

    // Damaged or foreign code is not run.
    std::fs::write(&code[0], b"damaged").expect("written");
    open().await;
    assert!(std::fs::metadata(&code[0]).expect("is there again").len() > 1000);
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&code[0], std::fs::Permissions::from_mode(0o666)).expect("set");
    open().await;
    assert_eq!(std::fs::metadata(&code[0]).expect("is there").mode() & 0o777, 0o600, "was made again");
}
