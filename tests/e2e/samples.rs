//! Every curl sample of the documentation, run by curl itself.
//!
//! Adapted in each sample: the base URL, the token and the key, the connector's id, and what is the reader's own (the
//! login, the path of a file, the URL of a file). Two more changes, both because of what is documented elsewhere:
//! - the samples address WhatsApp numbers; on an e-mail connector, the only channel so far, the recipient is an address;
//! - the e-mail sample has a stray quotation mark in a header (`"Content-Type": application/json"`), with which no shell runs it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use pombo_tests::files::{read_workbook, sha256};
use pombo_tests::process::root;
use pombo_tests::tenant::{SENDSYNC, text_of, unique};
use pombo_tests::webhook::{Receiver, pdf};
use serde_json::Value;

use crate::shared::{mailing_tenant, server, smtp};

struct Sample {
    name: String,
    status: u16,
    command: String,
}

fn samples() -> Result<Vec<Sample>> {
    let text = std::fs::read_to_string(root().join("tests/fixtures/sendsync-samples.sh"))?;
    let mut found = Vec::new();
    for block in text.split("\n#@ ").skip(1) {
        let (title, command) = block.split_once('\n').context("an empty sample")?;
        let (name, status) = title.split_once(' ').context("a sample without a status")?;
        found.push(Sample {
            name: name.to_owned(),
            status: status.trim().parse()?,
            command: command.trim().to_owned(),
        });
    }
    Ok(found)
}

/// Runs a command line in a folder; the status and the body that curl saw.
fn run(command: &str, folder: &Path) -> Result<(u16, String)> {
    let command = format!("{command} -sS -w '\\n%{{http_code}}'");
    let output = Command::new("bash").arg("-c").arg(&command).current_dir(folder).output()?;
    ensure!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').context("curl says no status")?;
    Ok((status.parse()?, body.to_owned()))
}

#[test]
fn every_documented_sample_works() -> Result<()> {
    let (tenant, connector) = mailing_tenant()?;
    let receiver = Receiver::start()?;
    let folder = tempfile::tempdir()?;
    let file = pdf(50_000);
    std::fs::write(folder.path().join("arquivo.pdf"), &file)?;
    let base = format!("http://{}{SENDSYNC}", server()?.address());
    let mark = unique();
    let adapt = |command: &str, token: &str, to: &str| {
        [
            ("https://sendsync.com.br/api", base.as_str()),
            ("seu@email.com", &tenant.email),
            ("sua_senha", &tenant.password),
            ("SEU_TOKEN", token),
            ("SUA_API_KEY_PERMANENTE", &tenant.key),
            ("SUA_API_KEY", &tenant.key),
            ("SEU_CONNECTOR_ID", &connector),
            ("con_email_123", &connector),
            ("con_whatsapp_123", &connector),
            ("con_123456", &connector),
            ("\"c1\"", &format!("\"{connector}\"")),
            ("\"Content-Type\": application/json\"", "\"Content-Type: application/json\""),
            ("https://api.asaas.com/boleto.pdf", &receiver.url("/file/1000/boleto.pdf")),
            ("/caminho/do/arquivo.pdf", "arquivo.pdf"),
            ("cliente@exemplo.com", to),
            ("5511999998888", to),
            ("5511999...", &format!("a{to}")),
            ("5511988...", &format!("b{to}")),
        ]
        .iter()
        .fold(command.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let all = samples()?;
    assert_eq!(all.len(), 11);
    let mut token = String::new();
    for Sample { name, status, command } in all {
        let to = format!("{name}{mark}@customers.test");
        let (got, body) = run(&adapt(&command, &token, &to), folder.path()).with_context(|| name.clone())?;
        assert_eq!(got, status, "{name}: {body}");
        let json: Value =
            if name == "template" { Value::Null } else { serde_json::from_str(&body).with_context(|| name.clone())? };
        match name.as_str() {
            "login" => {
                token = text_of(&json, "access_token")?;
                assert!(json["user"].is_object(), "{json}");
            }
            "bulk" => tenant.wait_total(
                &[("messageType", "MARKETING"), ("status", "SENT")],
                2,
                pombo_tests::wait::PATIENCE,
            )?,
            "list" => assert_eq!(json["meta"]["limit"], 50, "{json}"),
            "connectors" => assert_eq!(json[0]["id"], Value::String(connector.clone()), "{json}"),
            "whatsapp-connect" => assert_eq!(json["error"], "Bad Request", "{json}"),
            "template" => {
                let book = std::fs::read(folder.path().join("template_mensagens.xlsx"))?;
                assert!(!read_workbook(&book)?.is_empty());
            }
            _ => {
                let id = text_of(&json, "id")?;
                tenant.wait_status(&id, &["SENT"]).with_context(|| name.clone())?;
                let mail = smtp()?.wait_for(&to)?;
                let attached: Vec<String> = mail.attachments().into_iter().map(|(_, _, sha, _)| sha).collect();
                let wanted = match name.as_str() {
                    "send-attachment-url" => vec![sha256(&pdf(1000))],
                    "send-multipart" => vec![sha256(&file)],
                    _ => vec![],
                };
                assert_eq!(attached, wanted, "{name}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_documented_whatsapp_recipient_is_a_clear_error_on_an_email_connector() -> Result<()> {
    let (tenant, connector) = mailing_tenant()?;
    let body = serde_json::json!({"connectorId": connector, "to": "5511999998888", "message": "x"});
    let error = tenant.try_send(&body)?.expect_json(400)?;
    assert!(text_of(&error, "message")?.contains("to"), "{error}");
    Ok(())
}
