//! Automations as their authors and tenants use them: uploading a component, activating it, putting it on a connector.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::http::{Client, Form, Reply};
use crate::process::target;
use crate::tenant::{Tenant, text_of};

/// A built component: `target/plugins/NAME.wasm`.
pub fn component(name: &str) -> Result<Vec<u8>> {
    let path = target().join("plugins").join(format!("{name}.wasm"));
    std::fs::read(&path).with_context(|| format!("{} is not built", path.display()))
}

/// Another version of `echo` or `pipe`: how it behaves and what tells it from others are written over the built component, e.g.
/// `trap 7`. See `VARIANT` in their sources.
pub fn variant(name: &str, behaviour: &str) -> Result<Vec<u8>> {
    const LENGTH: usize = 40;
    let mut bytes = component(name)?;
    let marker = format!("{name}-variant:");
    let at = bytes.windows(marker.len()).position(|window| window == marker.as_bytes());
    let at = at.with_context(|| format!("{name}.wasm has no variant"))?;
    let text = format!("{marker}{behaviour}");
    anyhow::ensure!(text.len() < LENGTH, "{behaviour:?} is too long");
    bytes[at..at + LENGTH].copy_from_slice(format!("{text:LENGTH$}").as_bytes());
    Ok(bytes)
}

/// A hostile component of the tests: `target/hostile/CASE.wasm`.
pub fn hostile(case: &str) -> Result<Vec<u8>> {
    let path = target().join("hostile").join(format!("{case}.wasm"));
    std::fs::read(&path).with_context(|| format!("{} is not built", path.display()))
}

/// Uploads a component.
pub fn try_upload(client: &Client, component: &[u8], signature: Option<&str>) -> Result<Reply> {
    let mut form = Form::new().file("component", "plugin.wasm", "application/wasm", component);
    if let Some(signature) = signature {
        form = form.field("signature", signature);
    }
    form.into_request(client.request("POST", "/v1/plugins")).send()
}

/// Uploads a component that is taken; what was answered.
pub fn upload(client: &Client, component: &[u8]) -> Result<Value> {
    try_upload(client, component, None)?.expect_json(201)
}

/// Activates a version with what it asks for.
pub fn activate(client: &Client, name: &str, digest: &str, further: &Value) -> Result<Value> {
    let mut body = json!({"digest": digest, "grant": true});
    crate::tenant::merge(&mut body, further);
    client.post(&format!("/v1/plugins/{name}/activate"), &body)?.expect_json(200)
}

/// Uploads and activates; name and digest.
pub fn install(client: &Client, component: &[u8]) -> Result<(String, String)> {
    let uploaded = upload(client, component)?;
    let (name, digest) = (text_of(&uploaded, "name")?, text_of(&uploaded, "digest")?);
    activate(client, &name, &digest, &json!({}))?;
    Ok((name, digest))
}

/// Puts an automation on a connector; its id.
pub fn automate(tenant: &Tenant, connector: &str, plugin: &str, config: &Value) -> Result<String> {
    automate_with(tenant, connector, plugin, config, &json!({}))
}

/// The same with further fields.
pub fn automate_with(
    tenant: &Tenant,
    connector: &str,
    plugin: &str,
    config: &Value,
    further: &Value,
) -> Result<String> {
    let mut body = json!({"name": plugin, "plugin": plugin, "connectorId": connector, "config": config});
    crate::tenant::merge(&mut body, further);
    let made = tenant.client.post("/v1/automations", &body)?.expect_json(201)?;
    text_of(&made, "id")
}

/// The tenant's conversation with this chat.
pub fn conversation(tenant: &Tenant, chat: &str) -> Result<Value> {
    let page = tenant.client.get("/v1/conversations?limit=250")?.expect_json(200)?;
    let all = page["data"].as_array().context("no data")?;
    let found = all.iter().find(|conversation| conversation["chat"] == chat);
    found.cloned().with_context(|| format!("no conversation with {chat} among {}", all.len()))
}
