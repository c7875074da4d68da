//! The calls of templates and campaigns that tests, the drill and the measurement share.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::http::Client;
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

/// Makes a draft of a campaign with this template (its number) and list; the campaign.
pub fn draft(client: &Client, connector: &str, template: &Value, recipients: &[Value]) -> Result<Value> {
    let body = json!({"name": "Campanha", "templateId": template, "connectorId": connector});
    let made = client.post("/v1/campaigns", &body)?.expect_json(201)?;
    if !recipients.is_empty() {
        let path = format!("/v1/campaigns/{}/recipients", text_of(&made, "id")?);
        client.put(&path, &json!({"recipients": recipients}))?.expect(200)?;
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
        let path = format!("/v1/campaigns/{campaign}/rows?limit=100&after={after}");
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
