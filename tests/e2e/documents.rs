//! The OpenAPI documents: the committed ones equal those of the binary, and they contain every documented operation.

use std::process::Command;

use anyhow::{Context, Result};
use pombo_tests::process::root;
use pombo_tests::server::binary;
use serde_json::Value;

fn printed(arguments: &[&str]) -> Result<String> {
    let output = Command::new(binary()).arg("openapi").args(arguments).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn the_committed_documents_are_what_the_binary_prints() -> Result<()> {
    for facade in printed(&["--list"])?.lines() {
        for (file, arguments) in [
            (format!("{facade}.json"), vec!["--facade", facade]),
            (format!("{facade}.md"), vec!["--facade", facade, "--table"]),
        ] {
            let path = root().join("openapi").join(&file);
            let committed = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            assert!(committed == printed(&arguments)?, "openapi/{file} is old: run `make openapi` and commit it");
        }
    }
    Ok(())
}

#[test]
fn every_documented_operation_is_in_the_document() -> Result<()> {
    let document: Value = serde_json::from_str(&printed(&["--facade", "sendsync"])?)?;
    let paths = document["paths"].as_object().context("no paths")?;
    for (method, path) in [
        ("post", "/auth/login"),
        ("get", "/connectors"),
        ("post", "/queue/send"),
        ("post", "/queue/bulk"),
        ("get", "/queue/list"),
        ("get", "/queue/template"),
        ("post", "/whatsapp/connect/{connectorId}"),
        ("get", "/whatsapp/status/{connectorId}"),
        ("post", "/whatsapp/disconnect/{connectorId}"),
        ("get", "/contacts"),
        ("post", "/contacts"),
        ("patch", "/contacts/{id}/status"),
        ("delete", "/contacts/{id}"),
    ] {
        let found = paths.iter().any(|(known, methods)| known.ends_with(path) && methods.get(method).is_some());
        assert!(found, "{method} {path} is not in the document");
    }
    Ok(())
}
