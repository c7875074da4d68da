//! Says what to do when the plugins that the binary carries have not been built.

use std::path::Path;

const PLUGINS: [&str; 3] = ["renderer", "connector-email", "connector-whatsapp"];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    for plugin in PLUGINS {
        let file = target.join("plugins").join(format!("{plugin}.wasm"));
        println!("cargo::rerun-if-changed={}", file.display());
        if !file.exists() {
            println!(
                "cargo::error=the plugin {plugin} is not built ({} is missing): run plugins/build.sh",
                file.display()
            );
            continue;
        }
        println!("cargo::rustc-env=POMBO_PLUGIN_{}={}", plugin.to_uppercase().replace('-', "_"), file.display());
    }
    println!("cargo::rerun-if-env-changed=CARGO_TARGET_DIR");
}
