//! `pombo inspect`: prints a data folder as text, and checks whether it is consistent. Shows no message's text, address or
//! secret: the store writes those as lengths and fingerprints.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;

use crate::adapters::clock::SystemClock;
use crate::adapters::entropy::OsEntropy;
use crate::cli::InspectArgs;

/// Returns 0 if the data is consistent, otherwise 1; problems go to standard error.
pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<ExitCode> {
    if !args.data.join("store").is_dir() {
        bail!("{} is not a data folder: it has no store", args.data.display());
    }
    let options = pombo_store::Options::default();
    let store = pombo_store::open(options, &args.data, Arc::new(SystemClock), Arc::new(OsEntropy))?;
    if !args.verify {
        let mut out = BufWriter::new(io::stdout().lock());
        match store.snapshot_text(&mut out).and_then(|()| out.flush()) {
            // Whoever reads has seen enough (`| head`).
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            result => result?,
        }
    }
    let problems = store.verify()?;
    store.close()?;
    for problem in &problems {
        eprintln!("inconsistent: {problem}");
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
