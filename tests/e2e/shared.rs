//! What tests share: one server and one mail server for the whole run.

use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::Result;
use pombo_tests::mail::FaultySmtp;
use pombo_tests::process::target;
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::Tenant;
use serde_json::json;

fn once<T: Sync + Send>(cell: &'static OnceLock<T>, start: impl FnOnce() -> Result<T>) -> Result<&'static T> {
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(started) = cell.get() {
        return Ok(started);
    }
    let started = start()?;
    Ok(cell.get_or_init(|| started))
}

/// The server.
pub(crate) fn server() -> Result<&'static Server> {
    static SERVER: OnceLock<Server> = OnceLock::new();
    once(&SERVER, || Server::start(Options { folder: Some(target().join("e2e-server")), ..Options::default() }))
}

/// The mail server.
pub(crate) fn smtp() -> Result<&'static FaultySmtp> {
    static SMTP: OnceLock<FaultySmtp> = OnceLock::new();
    once(&SMTP, FaultySmtp::start)
}

/// A tenant with an e-mail connector to the plain listener.
pub(crate) fn mailing_tenant() -> Result<(Tenant, String)> {
    let tenant = Tenant::create(server()?)?;
    let connector = tenant.email(smtp()?, "plain", &json!({}))?;
    Ok((tenant, connector))
}

/// A tenant with an e-mail connector that is paused: what is sent stays in the queue.
pub(crate) fn queueing_tenant() -> Result<(Tenant, String)> {
    let (tenant, connector) = mailing_tenant()?;
    tenant.set_paused(&connector, true)?;
    Ok((tenant, connector))
}
