//! schemathesis against the running server, with each document: every answer must be one that the document declares.
//!
//! One of its expectations is widened, for a reason that a schema cannot state: a request that fits the document may be refused
//! with 400. The connector decides whether a recipient must be an address or a number, the renderer whether a text is a valid
//! template, the store whether an id exists, and the content of a file whether it is a workbook.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use pombo_tests::automation::{component, install};
use pombo_tests::http::{Form, query};
use pombo_tests::process::target;
use pombo_tests::server::{Options, Server, binary};
use pombo_tests::tenant::{SENDSYNC, Tenant, text_of};
use serde_json::json;

use crate::shared::{automated, smtp};

/// Examples of each operation: enough to reach every parameter, few enough for CI.
const EXAMPLES: &str = "30";

/// A log that is followed is an answer without an end; `tests/automations` follows one.
const ENDLESS: &str = "/stream$";

/// A server with something of everything, and the settings that name it.
struct Subject {
    server: Server,
    tenant: Tenant,
    settings: String,
}

impl Subject {
    fn new() -> Result<Self> {
        let lines = "[automations]\nretry_seconds = [1]\n[zapini]\nrate_limit = 0\nsend_wait_seconds = 1\n[aidesk]\nsend_wait_seconds = 1";
        let server = Server::start(Options::with(lines))?;
        let tenant = Tenant::create(&server)?;
        let settings = "[checks.positive_data_acceptance]\nexpected-statuses = [\"2xx\", \"3xx\", 400, 401, 403, 404, 409, 422, 429]\n";
        Ok(Self { server, tenant, settings: settings.to_owned() })
    }

    fn connector(&self) -> Result<String> {
        let connector = self.tenant.email(smtp()?, "plain", &json!({}))?;
        self.tenant.set_paused(&connector, true)?;
        Ok(connector)
    }

    fn message(&self, connector: &str) -> Result<String> {
        let body = json!({
            "connectorId": connector, "to": "a@customers.test", "message": "x", "requiresApproval": true,
            "webhookUrl": "http://127.0.0.1:9/hook",
        });
        text_of(&self.tenant.send(&body)?, "id")
    }

    /// Uses this credential for a scheme of the document.
    fn credential(&mut self, scheme: &str, field: &str, value: &str) -> Result<()> {
        Ok(writeln!(self.settings, "[auth.openapi.{scheme}]\n{field} = \"{value}\"")?)
    }

    /// Uses this value for a parameter of the operations whose path fits.
    fn parameter(&mut self, paths: &str, methods: &str, name: &str, value: &str) -> Result<()> {
        Ok(writeln!(
            self.settings,
            "[[operations]]\ninclude-path-regex = '{paths}'\ninclude-method-regex = '{methods}'\nparameters = {{ \"{name}\" = \"{value}\" }}"
        )?)
    }

    /// Runs it, but for the paths that fit `excluded`.
    fn run(&self, name: &str, facade: &str, base: &str, excluded: &str, further: &[&str]) -> Result<()> {
        let folder = self.server.folder();
        let printed = Command::new(binary()).args(["openapi", "--facade", facade]).output()?;
        ensure!(printed.status.success(), "pombo openapi failed");
        fs::write(folder.join("document.json"), &printed.stdout)?;
        fs::write(folder.join("schemathesis.toml"), &self.settings)?;
        let mut command = Command::new(target().join("venv/bin/schemathesis"));
        command.current_dir(folder).args(["--config-file", "schemathesis.toml", "run", "document.json"]);
        command.args(["--url", &format!("http://{}{base}", self.server.address())]);
        command.args(["--max-examples", EXAMPLES, "--seed", "7", "--workers", "1", "--continue-on-failure"]);
        command.args(["--exclude-path-regex", excluded]);
        // Not "stateful": it follows ids from answer to request, which the ids given above replace by others.
        command.args(["--phases", "examples,coverage,fuzzing"]).args(further);
        let output = command.env("NO_COLOR", "1").output()?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        fs::write(target().join(format!("schemathesis-{name}.txt")), &said)?;
        let lines: Vec<&str> = said.lines().collect();
        let end = lines[lines.len().saturating_sub(150)..].join("\n");
        ensure!(output.status.success(), "{name}: {}\n{end}", output.status);
        ensure!(said.contains("No issues found") || said.contains("passed"), "{name}: it tested nothing\n{end}");
        self.server.client().get("/ready")?.expect(200)?;
        Ok(())
    }

    /// The ids that the control API's operations take.
    fn control_parameters(&mut self) -> Result<()> {
        let connector = self.connector()?;
        let message = self.message(&connector)?;
        let deliveries = self.tenant.client.get(&query("/v1/webhook-deliveries", &[("messageId", &message)]))?;
        let delivery = text_of(&deliveries.expect_json(200)?["data"][0], "id")?;
        let book = pombo_tests::files::write_workbook(&[vec!["to".into(), "message".into()]])?;
        let form = Form::new().field("connectorId", &connector).file("file", "a.xlsx", "application/zip", &book);
        let import = form.into_request(self.tenant.client.request("POST", "/v1/imports")).send()?.expect_json(202)?;
        let (doomed, import) = (self.connector()?, text_of(&import, "id")?);
        self.parameter("^/v1/connectors/", "GET|PUT|PATCH|POST", "id", &connector)?;
        self.parameter("^/v1/connectors/", "DELETE", "id", &doomed)?;
        self.parameter("^/v1/messages/", "GET|POST", "id", &message)?;
        self.parameter("^/v1/webhook-deliveries/", "GET|POST", "id", &delivery)?;
        self.parameter("^/v1/imports/", "GET", "id", &import)?;
        self.automation_parameters()?;
        // A page of events may be waited for, up to 30 seconds: a second tells as much.
        self.parameter("^/v1/events", "GET", "wait", "1")?;
        let patient = "request-timeout = 40\nphases.fuzzing.generation.max-examples = 6";
        Ok(writeln!(self.settings, "{patient}")?)
    }

    /// The same of automations, conversations and plugins.
    fn automation_parameters(&mut self) -> Result<()> {
        let connector = self.connector()?;
        let mine = automated(&self.tenant, &connector)?;
        let client = self.tenant.client.clone();
        let hook = client.get(&format!("/v1/automations/{}/hook", mine.automation))?.expect_json(200)?;
        let token = text_of(&hook, "url")?.rsplit('/').next().unwrap_or_default().to_owned();
        let (plugin, digest) = install(&client, &component("echo")?)?;
        self.parameter("^/v1/automations/\\{id", "GET|PATCH|POST", "id", &mine.automation)?;
        self.parameter("^/v1/automations/parked/", "POST|DELETE", "id", &mine.parked)?;
        self.parameter("^/v1/conversations/", "GET|PATCH|POST", "id", &mine.conversation)?;
        self.parameter("^/v1/trust-roots/", "DELETE", "id", &mine.trust_root)?;
        self.parameter("^/v1/hooks/", "POST", "token", &token)?;
        self.parameter("^/v1/plugins/", "GET|PUT|POST", "name", &plugin)?;
        self.parameter("^/v1/plugins/.*/versions/", "DELETE", "digest", &digest)?;
        Ok(())
    }
}

#[test]
fn no_facade_is_forgotten() -> Result<()> {
    let listed = Command::new(binary()).args(["openapi", "--list"]).output()?;
    ensure!(listed.status.success(), "pombo openapi failed");
    let runs = || include_str!("schemathesis.rs").lines().filter(|line| line.trim_start().starts_with("subject.run("));
    for facade in String::from_utf8(listed.stdout)?.lines() {
        let named = format!(", \"{facade}\", ");
        ensure!(runs().any(|line| line.contains(&named)), "no test here runs against the document of {facade}");
    }
    Ok(())
}

#[test]
fn the_queue_api_keeps_its_document() -> Result<()> {
    let mut subject = Subject::new()?;
    let connector = subject.connector()?;
    let contact = json!({"identifier": "c@customers.test", "type": "EMAIL"});
    let contact = subject.tenant.client.post(&format!("{SENDSYNC}/contacts"), &contact)?.expect_json(201)?;
    let key = subject.tenant.key.clone();
    subject.credential("apiKey", "api_key", &key)?;
    subject.parameter("^/whatsapp/", "GET|POST", "connectorId", &connector)?;
    subject.parameter("^/contacts/", "PATCH", "id", &text_of(&contact, "id")?)?;
    subject.run("sendsync", "sendsync", SENDSYNC, ENDLESS, &[])
}

#[test]
fn the_control_api_keeps_its_document_for_a_tenant() -> Result<()> {
    let mut subject = Subject::new()?;
    subject.control_parameters()?;
    let key = subject.tenant.key.clone();
    subject.credential("apiKey", "api_key", &key)?;
    // A tenant may name itself only: any other is not found, whatever the operation.
    writeln!(subject.settings, "[parameters]\n\"X-Pombo-Tenant\" = \"{}\"", subject.tenant.id)?;
    subject.run("control-tenant", "control", "", ENDLESS, &[])
}

#[test]
fn the_control_api_keeps_its_document_for_the_operator() -> Result<()> {
    let mut subject = Subject::new()?;
    subject.control_parameters()?;
    let (token, tenant) = (text_of(&subject.server.demo()?, "operator_token")?, subject.tenant.id.clone());
    subject.credential("operator", "bearer", &token)?;
    writeln!(subject.settings, "[parameters]\n\"X-Pombo-Tenant\" = \"{tenant}\"")?;
    subject.run("control-operator", "control", "", ENDLESS, &[])
}

#[test]
fn the_zapini_api_keeps_its_document() -> Result<()> {
    let mut subject = Subject::new()?;
    // It is not connected: sends are refused, everything else works.
    let instance = subject.tenant.connector("connector-whatsapp", &json!({}))?;
    let client = subject.tenant.client.clone();
    let open = json!({"connectorId": instance, "to": "5511999990000"});
    let conversation = text_of(&client.post("/v1/conversations", &open)?.expect_json(201)?, "id")?;
    let tag = text_of(&client.post("/v1/tags", &json!({"name": "vip"}))?.expect_json(201)?, "id")?;
    let contact = json!({"type": "WHATSAPP", "identifier": "5511999990001", "connectorIds": [instance]});
    let contact = text_of(&client.post("/v1/contacts", &contact)?.expect_json(201)?, "id")?;
    let key = subject.tenant.key.clone();
    subject.credential("bearer", "bearer", &key)?;
    subject.parameter("^/instances/", "GET|POST|PUT", "uuid", &instance)?;
    subject.parameter("conversations/", "GET|POST|PUT", "uuid", &conversation)?;
    subject.parameter("^/tags/", "GET|PATCH", "uuid", &tag)?;
    subject.parameter("^/contacts/", "GET|PATCH", "id", &contact)?;
    // What waits for WhatsApp, and what ends the credential. PUT is taken for PATCH, more than the document says.
    let excluded = "/(qr|reconnect|disconnect|logout|refresh)$";
    subject.run("zapini", "zapini", "/zapini", excluded, &["--exclude-checks", "unsupported_method"])
}

#[test]
fn the_ai_desk_api_keeps_its_document() -> Result<()> {
    let mut subject = Subject::new()?;
    // It is not connected, so nothing is sent: values are checked, and what they name is looked for.
    subject.tenant.connector("connector-whatsapp", &json!({}))?;
    let key = subject.tenant.key.clone();
    subject.credential("apikey", "api_key", &key)?;
    // A request that fits the document is refused with 500 where its instance has no session.
    subject.settings = subject.settings.replacen("422, 429]", "422, 429, 500]", 1);
    subject.run("aidesk", "aidesk", "/aidesk", ENDLESS, &["--exclude-checks", "not_a_server_error"])
}
