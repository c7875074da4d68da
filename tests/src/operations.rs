//! Records in a file which operations of the documents in `openapi/` succeeded when a test called them, so that after all suites
//! `tests/tools/operation_coverage.py` can name those that no test called. It knows only paths and methods. If it cannot write, the
//! test that called it fails.

use std::collections::BTreeSet;
use std::fs::{File, create_dir_all, read_dir, read_to_string};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{root, target};

/// The file that the tests append to: a line `FACADE OPERATION` for each operation that succeeded, once for each process.
fn kept() -> PathBuf {
    target().join("operations.txt")
}

/// An operation of a document.
struct Operation {
    method: String,
    /// The segments of its path; none for a parameter.
    segments: Vec<Option<String>>,
    /// Its facade and its id.
    name: String,
}

impl Operation {
    /// How many segments match literally; `None` when the path does not match.
    fn fits(&self, method: &str, path: &[&str]) -> Option<usize> {
        let same = |(own, asked): (&Option<String>, &&str)| own.as_ref().is_none_or(|own| own == asked);
        let fits =
            self.method == method && self.segments.len() == path.len() && self.segments.iter().zip(path).all(same);
        fits.then(|| self.segments.iter().flatten().count())
    }
}

/// The operations of a facade's document, each under all of the document's servers.
fn operations(facade: &str, document: &Value) -> Vec<Operation> {
    let servers: Vec<&str> =
        document["servers"].as_array().into_iter().flatten().filter_map(|server| server["url"].as_str()).collect();
    let bases = if servers.is_empty() { vec![""] } else { servers };
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let Some(id) = operation["operationId"].as_str() else { continue };
            for base in &bases {
                // A server may be named with its host.
                let base =
                    base.split_once("://").map_or(*base, |(_, rest)| rest.find('/').map_or("", |at| &rest[at..]));
                let path = format!("{}{path}", base.trim_end_matches('/'));
                let segments = path.split('/').map(|part| (!part.starts_with('{')).then(|| part.to_owned())).collect();
                found.push(Operation { method: method.to_uppercase(), segments, name: format!("{facade} {id}") });
            }
        }
    }
    found
}

/// The operation that a request is for: of those that fit, the one with the fewest parameters.
fn named<'o>(operations: &'o [Operation], method: &str, path: &str) -> Option<&'o str> {
    let segments: Vec<&str> = path.split('?').next().unwrap_or_default().split('/').collect();
    let fitting = operations.iter().filter_map(|o| o.fits(method, &segments).map(|words| (words, o.name.as_str())));
    fitting.max_by_key(|(words, _)| *words).map(|(_, name)| name)
}

fn documented() -> Result<Vec<Operation>> {
    let mut all = Vec::new();
    for file in read_dir(root().join("openapi"))? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "json") {
            let facade = file.file_stem().context("a document without a name")?.to_string_lossy().into_owned();
            all.extend(operations(&facade, &serde_json::from_str(&read_to_string(&file)?)?));
        }
    }
    Ok(all)
}

/// Records a request that succeeded. For tests that do not use [`crate::http`].
pub fn answered(method: &str, path: &str, status: u16) -> Result<()> {
    static DOCUMENTED: LazyLock<Result<Vec<Operation>>> = LazyLock::new(documented);
    static KEPT: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    if !(200..400).contains(&status) {
        return Ok(());
    }
    let documented = DOCUMENTED.as_ref().map_err(|error| anyhow::anyhow!("the documents: {error:#}"))?;
    let Some(name) = named(documented, method, path) else { return Ok(()) };
    if KEPT.lock().unwrap_or_else(PoisonError::into_inner).insert(name) {
        create_dir_all(target())?;
        // Whole lines, so that test processes that run at the same time do not write into each other's lines.
        File::options().create(true).append(true).open(kept())?.write_all(format!("{name}\n").as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_named_by_the_operation_with_the_fewest_parameters() {
        let document = json!({"servers": [{"url": "/shop/api/"}, {"url": "https://shop.test/v2"}], "paths": {
            "/things": {"get": {"operationId": "list"}, "parameters": []},
            "/things/{id}": {"get": {"operationId": "one"}, "delete": {"operationId": "remove"}},
            "/things/parked": {"get": {"operationId": "parked"}},
        }});
        let operations = operations("shop", &document);
        for (method, path, expected) in [
            ("GET", "/shop/api/things?limit=1", Some("shop list")),
            ("GET", "/v2/things", Some("shop list")),
            ("GET", "/shop/api/things/7", Some("shop one")),
            ("DELETE", "/shop/api/things/parked", Some("shop remove")),
            ("GET", "/shop/api/things/parked", Some("shop parked")),
            ("POST", "/shop/api/things", None),
            ("GET", "/things", None),
            ("GET", "/shop/api/things/7/more", None),
        ] {
            assert_eq!(named(&operations, method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_documents_of_the_repository_are_read() -> Result<()> {
        let documented = documented()?;
        assert_eq!(named(&documented, "POST", "/sendsync/api/queue/send"), Some("sendsync send_message"));
        assert_eq!(named(&documented, "GET", "/v1/automations/parked"), Some("control list_parked"));
        assert_eq!(named(&documented, "GET", "/ready"), Some("control ready"));
        Ok(())
    }
}
