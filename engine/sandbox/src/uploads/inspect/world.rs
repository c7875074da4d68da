//! Which world a component was built for, read from the names of its imports and exports.

use pombo_domain::model::PluginKind;

use crate::worlds::accepted::{self, AUTOMATIONS, CONNECTORS, World};

fn listed(names: &[&str]) -> String {
    let mut shown: Vec<String> = names.iter().take(5).map(|name| crate::limits::cut(name, 100)).collect();
    if names.len() > shown.len() {
        shown.push(format!("and {} more", names.len() - shown.len()));
    }
    shown.join(", ")
}

/// The kind of plugin. `Err` says what to change.
pub(crate) fn kind(imports: &[String], exports: &[String]) -> Result<PluginKind, String> {
    let exported = |name: &str| exports.iter().any(|e| e == name);
    let kind = match (exported("describe"), exported("handle"), exported("run") && exported("send")) {
        (true, true, false) => PluginKind::Automation,
        (true, false, true) => PluginKind::Connector,
        _ => {
            let names: Vec<_> = exports.iter().map(String::as_str).collect();
            let what = if names.is_empty() { "nothing".to_owned() } else { listed(&names) };
            return Err(format!(
                "it was built for a different world: an automation exports `describe` and `handle`, a connector `describe`, `run` and \
                 `send`, and this component exports {what}; {}",
                accepted::uploadable()
            ));
        }
    };
    match kind {
        PluginKind::Automation => check(&AUTOMATIONS, imports)?,
        PluginKind::Connector => check(&CONNECTORS, imports)?,
    }
    Ok(kind)
}

/// Whether an accepted version of the world offers all that is imported.
fn check<T, P>(world: &World<T, P>, imports: &[String]) -> Result<(), String> {
    let sdk = || format!("{}: build it with the SDK of that version", accepted::uploadable());
    if let Some((package, version)) = world.unknown_version(imports.iter().map(String::as_str)) {
        return Err(format!("it was built for {package}@{version}; {}", sdk()));
    }
    let version = world.version_of(imports.iter().map(String::as_str));
    let offered = |import: &str| version.offers(import) || accepted::is_wasi(import);
    let beyond: Vec<&str> = imports.iter().map(String::as_str).filter(|import| !offered(import)).collect();
    if !beyond.is_empty() {
        return Err(format!(
            "it imports what the {} world does not offer: {}; leave out the code or the dependency that needs it",
            world.name,
            listed(&beyond)
        ));
    }
    if !imports.iter().any(|import| version.is_types(import)) {
        return Err(format!("its exports have other types than the {} world's; {}", world.name, sdk()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(imports: &[&str], exports: &[&str]) -> Result<PluginKind, String> {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        kind(&owned(imports), &owned(exports))
    }

    #[test]
    fn a_world_is_known_by_its_names() {
        const TYPES: &str = "pombo:automation/types@0.1.0";
        let automation = ["describe", "handle"];
        let connector = ["describe", "check-recipients", "run", "send", "operate", "stop"];
        assert_eq!(of(&[TYPES, "wasi:cli/stdout@0.2.3"], &automation), Ok(PluginKind::Automation));
        for types in ["pombo:connector/types@0.1.0", "pombo:connector/types@0.2.0"] {
            assert_eq!(of(&[types, "pombo:host/smtp@0.1.0"], &connector), Ok(PluginKind::Connector));
        }
        for (imports, exports, why) in [
            (vec![TYPES], vec!["describe"], "a different world"),
            (vec![TYPES], vec![], "exports nothing"),
            (vec![], vec!["compile", "render-batch", "preview"], "render-batch"),
            (vec!["pombo:automation/types@0.2.0"], automation.to_vec(), "built for pombo:automation@0.2.0"),
            (vec!["pombo:connector/types@0.3.0"], connector.to_vec(), "built for pombo:connector@0.3.0"),
            (vec!["pombo:host/types@9.0.0", "pombo:connector/types@0.1.0"], connector.to_vec(), "pombo:host@9.0.0"),
            (vec![TYPES, "pombo:host/smtp@0.1.0"], automation.to_vec(), "does not offer: pombo:host/smtp@0.1.0"),
            (vec![TYPES, "wasi:http/outgoing-handler@0.2.0"], automation.to_vec(), "wasi:http"),
            (vec![TYPES, "wasi:cli/stdout@0.3.0"], automation.to_vec(), "wasi:cli/stdout@0.3.0"),
            (vec![TYPES, "env"], automation.to_vec(), "does not offer: env"),
            (vec![], automation.to_vec(), "other types"),
        ] {
            let said = of(&imports, &exports).expect_err("must be refused");
            assert!(said.contains(why), "{said:?} does not say {why:?}");
        }
    }
}
