//! The documents in `openapi/`, which must be what the code generates.

use std::collections::BTreeSet;
use std::path::Path;

/// Fails if `openapi/{facade}.json` or `openapi/{facade}.md` is not what is generated, if the document names a path twice, or if it
/// lacks an operation of the table. With `POMBO_WRITE_OPENAPI` set, it writes them first.
#[track_caller]
pub fn assert_kept(facade: &str, document: &str, table: &str) {
    let mut paths = BTreeSet::new();
    for path in document.lines().filter(|line| line.starts_with("    \"/")) {
        assert!(
            paths.insert(path),
            "{path} is there twice, and readers see one of them: put its operations into one section"
        );
    }
    for row in table.lines().filter_map(|line| line.strip_prefix("| `")) {
        let id = row.split('`').next().unwrap_or_default();
        assert!(document.contains(&format!("\"operationId\": \"{id}\"")), "the document does not show {id}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi");
    for (ending, generated) in [("json", document), ("md", table)] {
        let path = folder.join(format!("{facade}.{ending}"));
        if std::env::var_os("POMBO_WRITE_OPENAPI").is_some() {
            std::fs::write(&path, generated).expect("openapi/ can be written");
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == generated, "openapi/{facade}.{ending} is not what the code says; run `make openapi`");
    }
}
