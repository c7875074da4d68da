//! Which world a component was built for, read from the names of its imports and exports.

use pombo_domain::model::PluginKind;

/// The version of each world that this engine runs.
const AUTOMATION: &str = "0.1.0";
const CONNECTOR: &str = "0.1.0";
const AUTOMATION_INTERFACES: [&str; 6] = ["log", "clock", "random", "kv", "http", "types"];
const HOST_INTERFACES: [&str; 9] = ["log", "clock", "random", "kv", "http", "websocket", "smtp", "media", "events"];
const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// `pombo:automation/kv@0.1.0` in its parts.
fn parts(name: &str) -> Option<(&str, &str, &str)> {
    let (package, rest) = name.split_once('/')?;
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    Some((package, interface, version))
}

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
    let known =
        format!("this engine runs pombo:automation/automation@{AUTOMATION} and pombo:connector/connector@{CONNECTOR}");
    let kind = match (exported("describe"), exported("handle"), exported("run") && exported("send")) {
        (true, true, false) => PluginKind::Automation,
        (true, false, true) => PluginKind::Connector,
        _ => {
            let names: Vec<_> = exports.iter().map(String::as_str).collect();
            let what = if names.is_empty() { "nothing".to_owned() } else { listed(&names) };
            return Err(format!(
                "it is of another world: an automation exports `describe` and `handle`, a connector `describe`, `run` and `send`, and \
                 this one exports {what}; {known}"
            ));
        }
    };
    let (own, version) = match kind {
        PluginKind::Automation => (["pombo:automation", "pombo:automation"], AUTOMATION),
        PluginKind::Connector => (["pombo:connector", "pombo:host"], CONNECTOR),
    };
    let mut beyond: Vec<&str> = Vec::new();
    let mut typed = false;
    for import in imports {
        let Some((package, interface, built_for)) = parts(import) else {
            beyond.push(import);
            continue;
        };
        if own.contains(&package) && built_for != version && !built_for.is_empty() {
            return Err(format!(
                "it was built for {package}@{built_for}; {known}: build it with the SDK of that version"
            ));
        }
        typed |= package == own[0] && interface == "types";
        let offered = match kind {
            PluginKind::Automation => package == own[0] && AUTOMATION_INTERFACES.contains(&interface),
            PluginKind::Connector => {
                package == own[0] && interface == "types" || package == own[1] && HOST_INTERFACES.contains(&interface)
            }
        };
        let stubbed = package.strip_prefix("wasi:").is_some_and(|p| WASI.contains(&p)) && built_for.starts_with("0.2.");
        if !offered && !stubbed {
            beyond.push(import);
        }
    }
    if !beyond.is_empty() {
        return Err(format!(
            "it imports what the {} world does not offer: {}; leave out the code or the dependency that needs it",
            kind.as_str(),
            listed(&beyond)
        ));
    }
    if !typed {
        return Err(format!(
            "its exports have other types than the {} world's; {known}: build it with the SDK of that version",
            kind.as_str()
        ));
    }
    Ok(kind)
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
        assert_eq!(
            of(&["pombo:connector/types@0.1.0", "pombo:host/smtp@0.1.0"], &connector),
            Ok(PluginKind::Connector)
        );
        for (imports, exports, why) in [
            (vec![TYPES], vec!["describe"], "another world"),
            (vec![TYPES], vec![], "exports nothing"),
            (vec![], vec!["compile", "render-batch", "preview"], "render-batch"),
            (vec!["pombo:automation/types@0.2.0"], automation.to_vec(), "built for pombo:automation@0.2.0"),
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
