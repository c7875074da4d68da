//! `pombo plugin check`: says what a component is and what it will ask for. The inspection is the engine's own, on this machine,
//! with the engine's default limits.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use bytes::Bytes;
use pombo_domain::ports::{Inspected, UploadRefusal};
use serde_json::{Map, Value, json};
use wit_parser::decoding::DecodedWasm;
use wit_parser::{WorldItem, WorldKey};

use super::args::CheckArgs;
use super::consent::{self, bytes_text};
use super::output::{path_text, say};
use super::publish::component;
use super::wire::Wants;
use super::{inspection, random};

/// The interfaces of a component by package, and everything else that it imports or exports.
#[derive(Debug, Default, PartialEq, Eq)]
struct Border {
    /// The world's package with its version.
    package: String,
    imports: BTreeMap<String, Vec<String>>,
    exports: BTreeMap<String, Vec<String>>,
}

pub(super) async fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let file = component(args.file.as_deref(), &args.project)?;
    let bytes = Bytes::from(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    let scratch = Scratch::new()?;
    let engine = inspection::engine(&scratch.0).await?;
    let inspected = match engine.inspect(bytes.clone()).await {
        Ok(inspected) => inspected,
        Err(error @ (UploadRefusal::Busy | UploadRefusal::Storage(_))) => return Err(error.into()),
        Err(refusal) => {
            if args.json {
                say(json!({"file": file, "refused": refusal.to_string()}))?;
            } else {
                eprintln!("{} would be refused: {refusal}", path_text(&file));
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    // The inspection has passed it: it is a component of a known world.
    let border = border(&bytes, inspected.kind.as_str()).unwrap_or_default();
    if args.json {
        say(json_of(&file, &inspected, &border))?;
    } else {
        say(report(&file, &inspected, &border).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A folder for the inspection, which is removed when dropped.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("pombo-check-{}", hex::encode(random::<8>()?)));
        fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder in the temporary files that stays is the system's to clear.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The imports and exports of a component of this kind.
fn border(component: &[u8], kind: &str) -> Option<Border> {
    let DecodedWasm::Component(resolve, world) = wit_parser::decoding::decode(component).ok()? else { return None };
    let world = &resolve.worlds[world];
    // What has no function is there for its types alone: the world's own, which every component names.
    let callable = |item: &WorldItem| match item {
        WorldItem::Interface { id, .. } => !resolve.interfaces[*id].functions.is_empty(),
        WorldItem::Function(_) => true,
        WorldItem::Type { .. } => false,
    };
    let by_package = |items: &mut dyn Iterator<Item = String>| {
        let mut by_package: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in items {
            let (package, name) = package_of(&name);
            by_package.entry(package).or_default().push(name);
        }
        by_package
    };
    let named = |key: &WorldKey| resolve.name_world_key(key);
    let mut packages = world.imports.iter().chain(&world.exports).map(|(key, _)| package_of(&named(key)).0);
    Some(Border {
        package: packages.find(|package| package.starts_with(&format!("pombo:{kind} "))).unwrap_or_default(),
        imports: by_package(&mut world.imports.iter().filter(|(_, item)| callable(item)).map(|(key, _)| named(key))),
        exports: by_package(&mut world.exports.iter().filter(|(_, item)| callable(item)).map(|(key, _)| named(key))),
    })
}

/// `a:b/c@1` is the interface `c` of the package `a:b@1`; a bare name belongs to no package.
fn package_of(name: &str) -> (String, String) {
    let Some((package, rest)) = name.split_once('/') else { return (String::new(), name.to_owned()) };
    match rest.split_once('@') {
        Some((interface, version)) => (format!("{package} {version}"), interface.to_owned()),
        None => (package.to_owned(), rest.to_owned()),
    }
}

fn json_of(file: &Path, inspected: &Inspected, border: &Border) -> Value {
    json!({
        "file": file,
        "name": inspected.name,
        "version": inspected.version,
        "kind": inspected.kind.as_str(),
        "world": border.package,
        "digest": inspected.digest,
        "size": inspected.size,
        "imports": border.imports,
        "exports": border.exports,
        "wants": Wants::from(inspected.wants.clone()),
        "description": inspected.description,
    })
}

/// The report for a person.
fn report(file: &Path, inspected: &Inspected, border: &Border) -> String {
    let mut text = format!("{} {}: {}\n", inspected.name, inspected.version, inspected.display_name);
    let mut row = |what: &str, value: &str| {
        // A string takes it.
        let _ = writeln!(text, "  {what:<14} {value}");
    };
    row("component", &format!("{}, {}", path_text(file), bytes_text(inspected.size)));
    row("digest", &inspected.digest);
    row("world", &format!("{} of {}", inspected.kind.as_str(), border.package));
    for (i, (package, names)) in border.imports.iter().enumerate() {
        let names = names.join(", ");
        row(
            if i == 0 { "imports" } else { "" },
            &if package.is_empty() { names } else { format!("{package}: {names}") },
        );
    }
    if let Some(automation) = &inspected.automation {
        let events: Vec<&str> = automation.events.iter().map(|kind| kind.as_str()).collect();
        row("called for", &events.join(", "));
        if automation.observer {
            row("observer", "it observes: it gets every event and may not send");
        }
        for (i, field) in fields(&automation.config_schema, &automation.secret_fields).iter().enumerate() {
            row(if i == 0 { "configuration" } else { "" }, field);
        }
    }
    let wants = consent::table(&Wants::from(inspected.wants.clone()), None);
    if wants.is_empty() {
        text.push_str("It asks for nothing beyond being called.\n");
    } else {
        text.push_str("It will ask for:\n");
        text.push_str(&wants);
    }
    text
}

/// The configuration's top-level fields, one line each.
fn fields(schema: &Value, secrets: &[String]) -> Vec<String> {
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|n| n == name));
    properties
        .iter()
        .map(|(name, field)| {
            let kind = match &field["type"] {
                _ if field["enum"].is_array() => choices(&field["enum"]),
                Value::String(kind) => kind.clone(),
                Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
                _ => "value".to_owned(),
            };
            let secret = if secrets.contains(name) { ", secret" } else { "" };
            let needed = if required(name) { ", required" } else { "" };
            let meaning = field["title"].as_str().or(field["description"].as_str());
            let meaning = meaning.map(|m| format!(": {m}")).unwrap_or_default();
            format!("{name} ({kind}{secret}{needed}){meaning}")
        })
        .collect()
}

/// The values that a field may have.
fn choices(values: &Value) -> String {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    values.as_array().map(|values| values.iter().map(shown).collect::<Vec<_>>().join(" | ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pombo_domain::model::PluginKind;

    #[test]
    fn interfaces_are_told_by_package() {
        assert_eq!(package_of("pombo:automation/kv@0.1.0"), ("pombo:automation 0.1.0".into(), "kv".into()));
        assert_eq!(package_of("wasi:cli/environment"), ("wasi:cli".into(), "environment".into()));
        assert_eq!(package_of("describe"), (String::new(), "describe".into()));
        assert_eq!(border(b"no component", "automation"), None);
    }

    #[test]
    fn the_configurations_fields_are_told_with_what_they_are() {
        let schema = json!({
            "properties": {
                "greeting": {"type": "string", "description": "Said first"},
                "key": {"type": "string"},
                "times": {"type": ["integer", "null"]},
                "any": {},
                "auth": {"enum": ["bearer", "none"], "title": "How it logs in"},
            },
            "required": ["key"],
        });
        let mut told = fields(&schema, &["key".to_owned()]);
        told.sort();
        assert_eq!(
            told,
            [
                "any (value)",
                "auth (bearer | none): How it logs in",
                "greeting (string): Said first",
                "key (string, secret, required)",
                "times (integer or null)"
            ]
        );
    }

    #[test]
    fn the_report_says_what_it_is_and_will_ask_for() {
        let wants = pombo_domain::model::Wants { kv_bytes: 1 << 20, ..Default::default() };
        let inspected = Inspected {
            digest: "ab".repeat(32),
            size: 2048,
            kind: PluginKind::Automation,
            name: "greeter".into(),
            version: "0.1.0".into(),
            display_name: "Greeter".into(),
            wants,
            automation: None,
            description: Value::Null,
        };
        let mut border = Border { package: "pombo:automation 0.1.0".into(), ..Border::default() };
        border.imports.insert("pombo:automation 0.1.0".into(), vec!["kv".into(), "log".into()]);
        let text = report(Path::new("dist/plugin.wasm"), &inspected, &border);
        for part in [
            "greeter 0.1.0: Greeter\n",
            "dist/plugin.wasm, 2 KiB",
            "automation of pombo:automation 0.1.0\n",
            "pombo:automation 0.1.0: kv, log",
            "key/value store        1 MiB",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }
}
