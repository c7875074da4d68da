//! Says what to do when the plugins that the binary carries have not been built, and lists the SDKs' files for `pombo plugin`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const PLUGINS: [&str; 8] = [
    "renderer",
    "connector-email",
    "connector-gateway",
    "connector-whatsapp",
    "connector-whatsapp-cloud",
    "flow",
    "integration-webhook",
    "integration-llm",
];
/// The languages as in `sdk/`; each folder has the SDK, and the template of a project in `template/`.
const LANGUAGES: [&str; 3] = ["rust", "js", "python"];
/// What tools leave behind.
const MADE: [&str; 9] =
    ["target", "node_modules", "dist", "build", "coverage", "__pycache__", "venv", "Cargo.lock", "package-lock.json"];

fn main() {
    // Asked for now, not when this was compiled: a `target` folder may be moved.
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../..");
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
    carry_sdks(&root.join("sdk"));
}

/// Writes `carried.rs`: a list of files for each language's SDK and template.
fn carry_sdks(sdk: &Path) {
    let made = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let mut code = String::new();
    for language in LANGUAGES {
        let folder = sdk.join(language);
        let template = folder.join("template");
        let not_the_sdk = ["template", "test", "tests", "examples"].map(|own| folder.join(own));
        let upper = language.to_uppercase();
        list(&mut code, &format!("{upper}_SDK"), &folder, &not_the_sdk, &made.join(language));
        list(&mut code, &format!("{upper}_TEMPLATE"), &template, &[], &made.join(format!("{language}-template")));
    }
    let file = made.join("carried.rs");
    // Only when it is another: its time decides whether the crate is compiled again.
    if fs::read_to_string(&file).ok().as_deref() != Some(&code) {
        fs::write(file, code).expect("OUT_DIR can be written");
    }
}

fn list(code: &mut String, name: &str, folder: &Path, except: &[PathBuf], changed: &Path) {
    let mut files = Vec::new();
    collect(folder, except, &mut files);
    files.sort();
    writeln!(code, "static {name}: &[CarriedFile] = &[").expect("a string takes it");
    for file in files {
        let path = file.strip_prefix(folder).expect("found below it").to_str().expect("the SDKs' names are UTF-8");
        let from = standing_alone(&file, path, changed);
        let from = from.canonicalize().unwrap_or(from);
        writeln!(code, "    CarriedFile {{ path: {path:?}, bytes: include_bytes!({from:?}) }},")
            .expect("a string takes it");
    }
    code.push_str("];\n");
}

/// The file to carry: the manifest of the Rust SDK belongs to a workspace here, and to none in a project.
fn standing_alone(file: &Path, path: &str, changed: &Path) -> PathBuf {
    if path != "Cargo.toml" {
        return file.to_owned();
    }
    let text = fs::read_to_string(file).expect("a manifest can be read");
    let alone: String =
        text.lines().filter(|line| !line.starts_with("workspace = ")).map(|line| format!("{line}\n")).collect();
    if alone == text {
        return file.to_owned();
    }
    fs::create_dir_all(changed).expect("OUT_DIR can be written");
    let copy = changed.join("Cargo.toml");
    fs::write(&copy, alone).expect("OUT_DIR can be written");
    copy
}

fn collect(folder: &Path, except: &[PathBuf], files: &mut Vec<PathBuf>) {
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            println!(
                "cargo::error=cannot read {}, which the binary carries for plugin authors: {error}",
                folder.display()
            );
            return;
        }
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let made = MADE.contains(&&*name) || name.ends_with(".pyc") || name.ends_with(".egg-info");
        // Hidden files are tools' too, but for what a template brings.
        if except.contains(&path) || made || (name.starts_with('.') && name != ".gitignore" && name != ".cargo") {
            continue;
        }
        // Follows links: the Rust SDK has the worlds' descriptions by one.
        if path.is_dir() {
            collect(&path, except, files);
        } else {
            println!("cargo::rerun-if-changed={}", path.display());
            files.push(path);
        }
    }
}
