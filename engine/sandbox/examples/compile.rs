//! Compiles one component in a process of its own, as the engine's program does for uploads: `compile KIND FROM TO SECONDS BYTES`.

use std::process::ExitCode;

fn main() -> ExitCode {
    pombo_sandbox::compile_component(std::env::args_os().skip(1))
}
