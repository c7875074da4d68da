//! The calls of templates and campaigns that tests, the drill and the measurement share.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::http::{Client, Form};
use crate::tenant::text_of;

/// Takes a connector's templates over from its channel; what came of it.
pub fn sync(client: &Client, connector: &str) -> Result<Value> {
    client.post(&format!("/v1/connectors/{connector}/templates/sync"), &json!({}))?.expect_json(200)
}

/// All templates of the tenant, page by page.
pub fn templates(client: &Client) -> Result<Vec<Value>> {
    let (mut all, mut path) = (Vec::new(), "/v1/templates?limit=100".to_owned());
    loop {
        let page = client.get(&path)?.expect_json(200)?;
        all.extend(page["data"].as_array().context("no data")?.iter().cloned());
        match page["next"].as_u64() {
            Some(next) => path = format!("/v1/templates?limit=100&after={next}"),
            None => return Ok(all),
        }
    }
}

/// The template with this name, of this connector.
pub fn template(client: &Client, connector: &str, name: &str) -> Result<Value> {
    let found = templates(client)?.into_iter().find(|one| one["name"] == name && one["connectorId"] == connector);
    found.with_context(|| format!("there is no template {name}"))
}

/// A row of a list of recipients.
pub fn recipient(to: &str, values: &Value) -> Value {
    json!({"to": to, "values": values})
}

/// The list as a file: a column of addresses, and one for each variable.
fn file(recipients: &[Value]) -> String {
    let values = |row: &Value| row["values"].as_object().cloned().unwrap_or_default();
    let names: BTreeSet<String> =
        recipients.iter().flat_map(|row| values(row).into_iter().map(|(name, _)| name)).collect();
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut lines = vec![std::iter::once("to".to_owned()).chain(names.iter().cloned()).collect::<Vec<_>>().join(";")];
    for row in recipients {
        let values = values(row);
        let mut cells = vec![quoted(row["to"].as_str().unwrap_or_default())];
        cells.extend(names.iter().map(|name| quoted(values.get(name).and_then(Value::as_str).unwrap_or_default())));
        lines.push(cells.join(";"));
    }
    lines.join("\n")
}

/// Makes a draft of a campaign with this template (its number) and list; without a list, a campaign for direct sends. The campaign.
pub fn draft(client: &Client, connector: &str, template: &Value, recipients: &[Value]) -> Result<Value> {
    let body = json!({"name": "Campanha", "template": template, "connectorId": connector});
    let made = client.post("/v1/campaigns", &body)?.expect_json(201)?;
    if !recipients.is_empty() {
        let path = format!("/v1/campaigns/{}/audience", text_of(&made, "id")?);
        let form = Form::new().file("file", "lista.csv", "text/csv", file(recipients).as_bytes());
        form.into_request(client.request("POST", &path)).send()?.expect(200)?;
    }
    Ok(made)
}

/// A campaign as it stands.
pub fn shown(client: &Client, campaign: &str) -> Result<Value> {
    client.get(&format!("/v1/campaigns/{campaign}"))?.expect_json(200)
}

/// `start`, `pause`, `resume`, `stop` or `check`; the answer.
pub fn step(client: &Client, campaign: &str, step: &str) -> Result<Value> {
    client.post(&format!("/v1/campaigns/{campaign}/{step}"), &json!({}))?.expect_json(200)
}

/// All rows of a campaign, page by page.
pub fn rows(client: &Client, campaign: &str) -> Result<Vec<Value>> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let path = format!("/v1/campaigns/{campaign}/rows?limit=250&after={after}");
        let page = client.get(&path)?.expect_json(200)?;
        all.extend(page["data"].as_array().context("no data")?.iter().cloned());
        match page["next"].as_u64() {
            Some(next) if next > after => after = next,
            Some(_) => bail!("the pages do not go on"),
            None => return Ok(all),
        }
    }
}

/// How many rows stand there, by a word such as `delivered`.
pub fn counted(campaign: &Value, word: &str) -> Result<u64> {
    campaign["counts"][word].as_u64().with_context(|| format!("no {word} in {campaign}"))
}

/// Whether the campaign stands there, by a word such as `FINISHED`.
pub fn is(campaign: &Value, status: &str) -> bool {
    campaign["status"].as_str().is_some_and(|word| word.eq_ignore_ascii_case(status))
}
