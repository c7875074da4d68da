//! Reads the configuration's layers: defaults, file, `POMBO_*` variables, command line. Reports every unknown key with its place
//! and the nearest known key.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::{Config, check};

/// The default of every setting, as `config.default.toml` has it.
pub(crate) const DEFAULTS: &str = include_str!("../../config.default.toml");

/// Tables whose keys the operator chooses.
const OPEN_TABLES: [&str; 3] = ["campaigns.prices", "http.hosts", "sandbox.grants"];

/// Variables with a short name of their own.
const ALIASES: [(&str, &str); 2] =
    [("POMBO_SECRET_KEY", "security.secret_key"), ("POMBO_OPERATOR_TOKEN", "security.operator_token")];

const PREFIX: &str = "POMBO_";

/// Variables of `pombo plugin`, which is a client: they may also be set where the server is started, and mean nothing to it.
pub(crate) const CLIENT_VARIABLES: [&str; 3] = ["POMBO_URL", "POMBO_API_KEY", "POMBO_TENANT"];

/// Values from the command line.
#[derive(Default, Clone)]
pub(crate) struct Overrides {
    pub(crate) data: Option<PathBuf>,
    pub(crate) listen: Option<SocketAddr>,
}

/// Why the configuration cannot be used. The messages never show a value, only keys, because a value may be a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the configuration file {path}: {error}")]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{0}")]
    Syntax(String),
    #[error("unknown configuration key `{key}` in {origin}{hint}")]
    UnknownKey { key: String, origin: String, hint: String },
    #[error("{0}")]
    Type(String),
    #[error("configuration: {}", .0.join("\nconfiguration: "))]
    Values(Vec<String>),
}

/// A layer with the name that errors use for it.
struct Layer {
    name: String,
    dict: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone()).interpolater(|_: &Profile, keys: &[&str]| keys.join("."))
    }
    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// The configuration from `file` (if given), `variables` (the whole environment; only `POMBO_*` counts) and the command line.
pub(crate) fn load(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
    overrides: &Overrides,
) -> Result<Config, ConfigError> {
    let defaults = toml_dict("the built-in defaults", DEFAULTS)?;
    let mut layers = vec![Layer { name: "the built-in defaults".to_owned(), dict: defaults.clone() }];
    if let Some(path) = file {
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        let name = format!("the file {}", path.display());
        let dict = toml_dict(&name, &text)?;
        refuse_unknown(&dict, &defaults, "", &name)?;
        layers.push(Layer { name, dict });
    }
    layers.extend(variable_layers(variables, &defaults)?);

    let mut figment = Figment::new();
    for layer in layers {
        figment = figment.merge(layer);
    }
    let mut config: Config = figment.extract().map_err(type_error)?;
    if let Some(dir) = &overrides.data {
        config.data.dir.clone_from(dir);
    }
    if let Some(listen) = overrides.listen {
        config.http.listen = listen;
    }
    let problems = check::problems(&config);
    if problems.is_empty() { Ok(config) } else { Err(ConfigError::Values(problems)) }
}

fn toml_dict(name: &str, text: &str) -> Result<Dict, ConfigError> {
    let syntax = |error: figment::Error| ConfigError::Syntax(format!("{name} is not valid TOML: {}", error.kind));
    let mut data = Toml::string(text).data().map_err(syntax)?;
    Ok(data.remove(&Profile::Default).unwrap_or_default())
}

fn refuse_unknown(layer: &Dict, known: &Dict, prefix: &str, origin: &str) -> Result<(), ConfigError> {
    for (key, value) in layer {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match (known.get(key), value) {
            (None, _) => return Err(unknown(&path, origin, &toml_paths())),
            (Some(Value::Dict(_, known)), Value::Dict(_, inner)) if !OPEN_TABLES.contains(&path.as_str()) => {
                refuse_unknown(inner, known, &path, origin)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// One layer per variable, so that the message about a wrong value names its variable.
fn variable_layers(
    variables: impl IntoIterator<Item = (String, String)>,
    defaults: &Dict,
) -> Result<Vec<Layer>, ConfigError> {
    let mut layers = Vec::new();
    for (name, text) in variables {
        let Some(rest) = name.strip_prefix(PREFIX).filter(|_| !CLIENT_VARIABLES.contains(&&*name)) else { continue };
        let path = match ALIASES.iter().find(|(alias, _)| *alias == name) {
            Some((_, path)) => (*path).to_owned(),
            None => rest.to_lowercase().replacen("__", ".", 1),
        };
        let Some(default) = find(defaults, &path) else {
            let known: Vec<String> = toml_paths().iter().map(|p| variable_name(p)).collect();
            return Err(unknown(&name, "the environment", &known));
        };
        let value = match default {
            Value::String(..) => Value::from(text),
            Value::Array(..) if !text.trim_start().starts_with('[') => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Value::from(parts.map(scalar).collect::<Vec<_>>())
            }
            _ => scalar(&text),
        };
        let dict = path.rsplit('.').fold(value, |inner, key| Value::from(Dict::from([(key.to_owned(), inner)])));
        let Value::Dict(_, dict) = dict else { continue };
        layers.push(Layer { name: format!("the variable {name}"), dict });
    }
    Ok(layers)
}

fn scalar(text: &str) -> Value {
    text.parse().unwrap_or_else(|never| match never {})
}

fn find<'a>(dict: &'a Dict, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => dict.get(path),
        Some((first, rest)) => match dict.get(first)? {
            Value::Dict(_, inner) => find(inner, rest),
            _ => None,
        },
    }
}

fn toml_paths() -> Vec<String> {
    fn walk(dict: &Dict, prefix: &str, paths: &mut Vec<String>) {
        for (key, value) in dict {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            if let Value::Dict(_, inner) = value {
                walk(inner, &path, paths);
            }
            paths.push(path);
        }
    }
    let mut paths = Vec::new();
    walk(&toml_dict("the built-in defaults", DEFAULTS).unwrap_or_default(), "", &mut paths);
    paths
}

fn variable_name(path: &str) -> String {
    format!("{PREFIX}{}", path.to_uppercase().replacen('.', "__", 1))
}

fn unknown(key: &str, origin: &str, known: &[String]) -> ConfigError {
    let nearest = known.iter().map(|k| (distance(key, k), k)).min();
    let hint = match nearest {
        Some((d, name)) if d <= 2 + key.len() / 5 => format!("; did you mean `{name}`?"),
        _ => "; `pombo config` lists every key".to_owned(),
    };
    ConfigError::UnknownKey { key: key.to_owned(), origin: origin.to_owned(), hint }
}

/// How many characters must be added, removed or replaced to make one text the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// The error without the value, which may be a secret.
fn type_error(error: figment::Error) -> ConfigError {
    use figment::error::Kind;
    let origin = error.metadata.as_ref().map_or_else(|| "the configuration".to_owned(), |m| m.name.to_string());
    let wanted = match &error.kind {
        Kind::InvalidType(_, wanted) | Kind::InvalidValue(_, wanted) | Kind::InvalidLength(_, wanted) => {
            format!("must be {wanted}")
        }
        Kind::UnknownVariant(_, choices) => format!("must be one of {}", choices.join(", ")),
        Kind::Message(message) if !message.is_empty() => format!("is not valid ({message})"),
        Kind::MissingField(name) => format!("lacks `{name}`"),
        _ => "has a value that is out of range".to_owned(),
    };
    ConfigError::Type(format!("configuration key `{}` in {origin} {wanted}", error.path.join(".")))
}
