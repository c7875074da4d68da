//! The allocator, and its settings for a long-running process: freed memory is returned to the system at once, and none is taken
//! in advance. With the allocator's own defaults a store of a million messages stays resident at more than twice the size,
//! without saving processor time.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SETTINGS: [(&str, &str); 2] = [("MIMALLOC_PURGE_DELAY", "0"), ("MIMALLOC_ARENA_EAGER_COMMIT", "0")];

/// Applies the settings. The allocator reads them once, from the environment, before `main`, so the process replaces itself with
/// the same program with the settings, under the same process id. Settings by the operator are left alone, and on a system that
/// does not allow this the process continues with the defaults.
pub(crate) fn give_back_early() {
    let missing: Vec<_> = SETTINGS.into_iter().filter(|(name, _)| env::var_os(name).is_none()).collect();
    if missing.is_empty() {
        return;
    }
    if let Ok(program) = env::current_exe() {
        let error = Command::new(program).args(env::args_os().skip(1)).envs(missing).exec();
        eprintln!("pombo: the allocator keeps its default settings: {error}");
    }
}
