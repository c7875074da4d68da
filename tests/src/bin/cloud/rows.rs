//! Campaign rows a second, and a plain loop beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use pombo_tests::graph::Graph;
use pombo_tests::process::processor_time;
use serde_json::{Value, json};

use crate::{NAME, PER_SECOND, Stage, phone, report};

/// Requests of the plain loop at the same time.
const AT_ONCE: usize = 64;

pub(crate) fn measure(count: usize, numbers: usize) -> Result<()> {
    let stage = Stage::start(numbers)?;
    let each = count / numbers;
    let mut campaigns = Vec::new();
    for (place, (connector, _)) in stage.connectors.iter().enumerate() {
        campaigns.push(stage.campaign(connector, place * each, each)?);
    }
    let total = each * numbers;
    let used = processor_time(stage.server.id()?)?;
    for campaign in &campaigns {
        stage.begin(campaign)?;
    }
    stage.accepted(1)?;
    let start = Instant::now();
    stage.accepted(total)?;
    let seconds = start.elapsed().as_secs_f64();
    let used = processor_time(stage.server.id()?)?.saturating_sub(used);
    let ours = total as f64 / seconds;
    let plain = plain_loop(total)?;
    report(
        "cloud_campaign_rows",
        json!({
            "rows": total, "numbers": numbers, "ours": ours.round(), "unit": "messages/s",
            "limit": f64::from(PER_SECOND) * numbers as f64,
            "engine_processor_us_per_row": (used.as_secs_f64() * 1e6 / total as f64).round(),
            "baseline": "a loop over reqwest, 64 at once, nothing stored", "peer": plain.round(), "ratio": ours / plain,
        }),
    )
}

/// Messages a second of a loop that does nothing but send.
fn plain_loop(count: usize) -> Result<f64> {
    let graph = Graph::start_fast()?;
    graph.number(&json!({"throughput": 1_000_000}))?;
    graph.template(&json!({"name": NAME, "language": "pt_BR", "category": "UTILITY", "parameter_format": "NAMED",
        "components": [{"type": "BODY", "text": "Olá {{nome}}, seu pedido saiu.",
            "example": {"body_text_named_params": [{"param_name": "nome", "example": "Ana"}]}}]}))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build()?;
    let (url, authorization) = (graph.messages_url(), format!("Bearer {}", graph.token()));
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    runtime.block_on(async {
        let mut running = Vec::new();
        for _ in 0..AT_ONCE {
            let (client, url, authorization) = (client.clone(), url.clone(), authorization.clone());
            let next = next.clone();
            running.push(tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return anyhow::Ok(());
                    }
                    let request = client.post(&url).header("Authorization", &authorization);
                    let request = request.header("Content-Type", "application/json").body(body(n).to_string());
                    let answer = request.send().await?;
                    let status = answer.status();
                    let text = answer.bytes().await?;
                    ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&text));
                }
            }));
        }
        for one in running {
            one.await.context("a loop panicked")??;
        }
        anyhow::Ok(())
    })?;
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

fn body(n: usize) -> Value {
    json!({"messaging_product": "whatsapp", "recipient_type": "individual", "to": format!("+{}", phone(n)),
        "type": "template", "biz_opaque_callback_data": format!("plain:{n}"), "template": {
            "name": NAME, "language": {"code": "pt_BR"}, "components": [{"type": "body", "parameters": [
                {"type": "text", "parameter_name": "nome", "text": format!("Cliente {n}")}]}]}})
}
