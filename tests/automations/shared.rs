//! An engine with the connector `pipe`, a tenant, and an automation on it.

use anyhow::Result;
use pombo_tests::automation::{automate, component, install};
use pombo_tests::pipe::{Pipe, folder_of};
use pombo_tests::server::{Options, Server};
use pombo_tests::tenant::Tenant;
use serde_json::{Value, json};

/// The engine's options: `pipe` and `noop` are there, events may come fast.
pub(crate) fn options(lines: &str) -> Result<Options> {
    let folder = folder_of(&["pipe", "noop"])?;
    let own = format!(
        "[sandbox]\nplugin_dir = {:?}\nevents_per_second = 20000\nevent_kb_per_second = 20000\n{lines}",
        folder.display().to_string()
    );
    Ok(Options { demo: false, ..Options::with(&own) })
}

/// A tenant with a connector to a channel of its own.
pub(crate) struct Chat {
    pub(crate) tenant: Tenant,
    pub(crate) pipe: Pipe,
    pub(crate) connector: String,
}

impl Chat {
    pub(crate) fn new(server: &Server) -> Result<Self> {
        let (tenant, pipe) = (Tenant::create(server)?, Pipe::start()?);
        let connector = tenant.connector("pipe", &pipe.config())?;
        tenant.pace(&connector, &json!({}))?;
        Ok(Self { tenant, pipe, connector })
    }

    /// Uploads a built component as the tenant's own and puts it on the connector; the automation's id.
    pub(crate) fn automated(&self, name: &str, config: &Value) -> Result<String> {
        let (plugin, _) = install(&self.tenant.client, &component(name)?)?;
        automate(&self.tenant, &self.connector, &plugin, config)
    }
}
