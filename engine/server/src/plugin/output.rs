//! Standard output, for results.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

/// Writes a result and a line feed. The reader may have seen enough (`… | head`): this is an error here, but not for the
/// program's caller, see [`nobody_reads`].
pub(super) fn say(text: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Whether a command ended because nobody reads its output any longer.
pub(super) fn nobody_reads(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A path as a person would write it here: relative if it is below the working folder.
pub(super) fn path_text(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_here() {
        let here = std::env::current_dir().expect("a folder");
        assert_eq!(path_text(&here.join("dist/plugin.wasm")), "dist/plugin.wasm");
        assert_eq!(path_text(Path::new("/elsewhere/plugin.wasm")), "/elsewhere/plugin.wasm");
        assert_eq!(path_text(Path::new("plugin.wasm")), "plugin.wasm");
    }

    #[test]
    fn a_closed_output_is_told_from_other_failures() {
        let error = |kind| anyhow::Error::from(io::Error::from(kind));
        assert!(nobody_reads(&error(io::ErrorKind::BrokenPipe).context("in between")));
        assert!(!nobody_reads(&error(io::ErrorKind::PermissionDenied)));
    }
}
