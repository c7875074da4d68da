//! The allocator, and its settings for a process that lives long: freed memory goes back to the system at once, and none is
//! taken ahead of its use. With the allocator's own defaults a store of a million messages stays resident at more than twice
//! the size, for no gain in processor time.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SETTINGS: [(&str, &str); 2] = [("MIMALLOC_PURGE_DELAY", "0"), ("MIMALLOC_ARENA_EAGER_COMMIT", "0")];

/// Puts the settings in force. The allocator reads them once, from the environment, before `main`: so the process replaces
/// itself by the same program with them set, under the same process id. What the operator set is left alone, and a system
/// that does not let it go on under the defaults.
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
