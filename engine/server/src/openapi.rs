//! `pombo openapi`: prints a document as it is kept in `openapi/`.

use std::io::Write;

use anyhow::Context;

use crate::cli::OpenapiArgs;
use crate::facades;

/// Prints to standard output. Needs no data, no configuration and no plugins.
pub(crate) fn run(args: &OpenapiArgs) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if args.list {
        for entry in facades::ALL {
            writeln!(out, "{}", entry.facade.name)?;
        }
        return Ok(());
    }
    let facade = facades::named(&args.facade).with_context(|| format!("--facade: there is no {:?}", args.facade))?;
    let document = if args.table { facade.table() } else { (facade.document)() };
    out.write_all(document.trim_end().as_bytes())?;
    out.write_all(b"\n")?;
    Ok(())
}
