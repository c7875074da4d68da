//! `pombo openapi`: prints a document as it is kept in `openapi/`.

use std::io::Write;

use crate::cli::{Facade, OpenapiArgs};

/// Prints to standard output. Needs no data, no configuration and no plugins.
pub(crate) fn run(args: &OpenapiArgs) -> anyhow::Result<()> {
    let document = match (args.facade, args.table) {
        (Facade::Sendsync, false) => pombo_sendsync::sendsync_document(),
        (Facade::Sendsync, true) => pombo_sendsync::sendsync_operations(),
        (Facade::Control, false) => pombo_control::control_document(),
        (Facade::Control, true) => pombo_control::control_operations(),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(document.trim_end().as_bytes())?;
    out.write_all(b"\n")?;
    Ok(())
}
