//! A connector's configuration. Pure. It must not know the library.

use std::time::Duration;

use serde::Deserialize;

use crate::presence;
use crate::version::Version;

/// The JSON Schema of the configuration.
pub(crate) const SCHEMA: &str = if cfg!(feature = "simulator") {
    include_str!("config.simulator.schema.json")
} else {
    include_str!("config.schema.json")
};

/// What the linked device claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Platform {
    #[default]
    Chrome,
    Firefox,
    Safari,
    Edge,
    Desktop,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Raw {
    device_name: String,
    platform: Platform,
    os_version: String,
    locale: String,
    protocol_version: Option<String>,
    typing: Typing,
    mark_read: bool,
    presence: presence::Mode,
    presence_idle_seconds: u32,
    pairing: Pairing,
    reconnect: Reconnect,
    #[cfg(feature = "simulator")]
    server_host: String,
    #[cfg(feature = "simulator")]
    media_host: String,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            device_name: "Pombo".to_owned(),
            platform: Platform::default(),
            os_version: "10.0.0".to_owned(),
            locale: "pt-BR".to_owned(),
            protocol_version: None,
            typing: Typing::default(),
            mark_read: false,
            presence: presence::Mode::default(),
            presence_idle_seconds: 60,
            pairing: Pairing::default(),
            reconnect: Reconnect::default(),
            #[cfg(feature = "simulator")]
            server_host: String::new(),
            #[cfg(feature = "simulator")]
            media_host: String::new(),
        }
    }
}

/// The language and the country that the linked device reports, e.g. `pt` and `BR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Locale {
    pub(crate) language: String,
    pub(crate) country: String,
}

impl Locale {
    fn parse(text: &str) -> Option<Self> {
        let (language, country) = text.split_once('-')?;
        let is = |part: &str, kind: fn(&u8) -> bool| part.len() == 2 && part.bytes().all(|byte| kind(&byte));
        (is(language, u8::is_ascii_lowercase) && is(country, u8::is_ascii_uppercase))
            .then(|| Self { language: language.to_owned(), country: country.to_owned() })
    }
}

/// A version of an operating system: one to three numbers.
fn os_version(text: &str) -> Option<[u32; 3]> {
    let mut version = [0; 3];
    let mut numbers = version.iter_mut();
    for part in text.split('.') {
        *numbers.next()? = part.parse::<u32>().ok().filter(|number| *number <= 99_999)?;
    }
    Some(version)
}

/// Whether and how long "typing…" is shown before a text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Typing {
    enabled: bool,
    millis_per_character: u32,
    max_millis: u32,
}

impl Default for Typing {
    fn default() -> Self {
        Self { enabled: true, millis_per_character: 40, max_millis: 6_000 }
    }
}

impl Typing {
    /// How long to type a text of this many characters. `None`: not at all.
    pub(crate) fn time(&self, characters: usize) -> Option<Duration> {
        if !self.enabled || characters == 0 {
            return None;
        }
        let millis = u64::from(self.millis_per_character).saturating_mul(characters as u64);
        let millis = millis.min(u64::from(self.max_millis));
        (millis > 0).then(|| Duration::from_millis(millis))
    }
}

/// How long a code is shown.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Pairing {
    timeout_seconds: u32,
    attempts: u32,
}

impl Default for Pairing {
    fn default() -> Self {
        Self { timeout_seconds: 180, attempts: 3 }
    }
}

impl Pairing {
    /// How long one attempt waits for the phone.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout_seconds))
    }

    /// How often new codes are requested before a person must start the pairing again.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }
}

/// How a lost connection is made again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Reconnect {
    pub(crate) min_millis: u32,
    pub(crate) max_seconds: u32,
    pub(crate) visible_after: u32,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self { min_millis: 2_000, max_seconds: 300, visible_after: 4 }
    }
}

/// A checked configuration.
#[derive(Debug)]
pub(crate) struct Config {
    /// The name in the phone's list of linked devices.
    pub(crate) device_name: String,
    pub(crate) platform: Platform,
    /// The version of the system that it reports when it is paired.
    pub(crate) os_version: [u32; 3],
    pub(crate) locale: Locale,
    /// The version that the operator fixed; otherwise the connector finds out which one is current.
    pub(crate) protocol: Option<Version>,
    pub(crate) typing: Typing,
    /// Whether a message is marked read as soon as the engine has it.
    pub(crate) mark_read: bool,
    /// When the account is shown as online.
    pub(crate) presence: presence::Mode,
    /// How long after the last work it is shown so.
    pub(crate) presence_idle: Duration,
    pub(crate) pairing: Pairing,
    pub(crate) reconnect: Reconnect,
    /// `host:port` of the simulator. The host of its files is only for the engine, which allows no other hosts.
    #[cfg(feature = "simulator")]
    pub(crate) server_host: String,
}

impl Config {
    /// Reads what the engine passes to `run`. An error says which field to change.
    pub(crate) fn read(json: &str) -> Result<Self, String> {
        let raw: Raw =
            serde_json::from_str(if json.trim().is_empty() { "{}" } else { json }).map_err(|e| e.to_string())?;
        let device_name = raw.device_name.trim().to_owned();
        if device_name.is_empty() || device_name.chars().count() > 50 || device_name.chars().any(char::is_control) {
            return Err("deviceName: must have 1 to 50 characters and no control characters".to_owned());
        }
        let protocol = match raw.protocol_version.as_deref() {
            None => None,
            Some(text) => Some(Version::parse(text).ok_or("protocolVersion: must look like 2.3000.1045649367")?),
        };
        let os_version =
            os_version(&raw.os_version).ok_or("osVersion: must be one to three numbers with dots, e.g. 10.0.0")?;
        let locale = Locale::parse(&raw.locale).ok_or("locale: must be a language and a country, e.g. pt-BR")?;
        let within = |field: &str, value: u32, least: u32, most: u32| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(format!("{field}: must be between {least} and {most}"))
            }
        };
        within("typing.millisPerCharacter", raw.typing.millis_per_character, 0, 1_000)?;
        within("typing.maxMillis", raw.typing.max_millis, 0, 60_000)?;
        within("presenceIdleSeconds", raw.presence_idle_seconds, 1, 3_600)?;
        within("pairing.timeoutSeconds", raw.pairing.timeout_seconds, 5, 600)?;
        within("pairing.attempts", raw.pairing.attempts, 1, 20)?;
        within("reconnect.minMillis", raw.reconnect.min_millis, 50, 60_000)?;
        within("reconnect.maxSeconds", raw.reconnect.max_seconds, 1, 3_600)?;
        within("reconnect.visibleAfter", raw.reconnect.visible_after, 1, 100)?;
        #[cfg(feature = "simulator")]
        for (field, value) in [("serverHost", &raw.server_host), ("mediaHost", &raw.media_host)] {
            if value.is_empty() || value.contains('/') {
                return Err(format!("{field}: must be the host:port of the simulator"));
            }
        }
        Ok(Self {
            device_name,
            platform: raw.platform,
            os_version,
            locale,
            protocol,
            typing: raw.typing,
            mark_read: raw.mark_read,
            presence: raw.presence,
            presence_idle: Duration::from_secs(u64::from(raw.presence_idle_seconds)),
            pairing: raw.pairing,
            reconnect: raw.reconnect,
            #[cfg(feature = "simulator")]
            server_host: raw.server_host,
        })
    }
}

#[cfg(all(test, not(feature = "simulator")))]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_schema() {
        let config = Config::read("{}").expect("every field has a default");
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        let default = |pointer: &str| schema.pointer(&format!("/properties/{pointer}/default")).cloned();
        assert_eq!(default("deviceName"), Some(config.device_name.clone().into()));
        assert_eq!(default("platform"), Some("chrome".into()));
        assert_eq!(default("osVersion"), Some("10.0.0".into()));
        assert_eq!(config.os_version, [10, 0, 0]);
        assert_eq!(default("locale"), Some(format!("{}-{}", config.locale.language, config.locale.country).into()));
        assert_eq!(default("markRead"), Some(config.mark_read.into()));
        assert_eq!(default("presence"), Some("when-working".into()));
        assert_eq!(config.presence, presence::Mode::WhenWorking);
        assert_eq!(default("presenceIdleSeconds"), Some(config.presence_idle.as_secs().into()));
        assert_eq!(default("typing/properties/enabled"), Some(config.typing.enabled.into()));
        assert_eq!(default("typing/properties/millisPerCharacter"), Some(config.typing.millis_per_character.into()));
        assert_eq!(default("typing/properties/maxMillis"), Some(config.typing.max_millis.into()));
        assert_eq!(default("pairing/properties/timeoutSeconds"), Some(config.pairing.timeout_seconds.into()));
        assert_eq!(default("pairing/properties/attempts"), Some(config.pairing.attempts.into()));
        assert_eq!(default("reconnect/properties/minMillis"), Some(config.reconnect.min_millis.into()));
        assert_eq!(default("reconnect/properties/maxSeconds"), Some(config.reconnect.max_seconds.into()));
        assert_eq!(default("reconnect/properties/visibleAfter"), Some(config.reconnect.visible_after.into()));
        assert!(default("protocolVersion").is_none() && config.protocol.is_none(), "it is read from WhatsApp's page");
        assert!(default("serverHost").is_none(), "only the simulator's artifact can be pointed elsewhere");
    }

    #[test]
    fn the_simulators_schema_adds_only_its_hosts() {
        let production: serde_json::Value = serde_json::from_str(SCHEMA).expect("JSON");
        let mut simulator: serde_json::Value =
            serde_json::from_str(include_str!("config.simulator.schema.json")).expect("JSON");
        let fields = simulator["properties"].as_object_mut().expect("fields");
        assert!(fields.remove("serverHost").is_some() && fields.remove("mediaHost").is_some());
        assert_eq!(production["properties"], simulator["properties"]);
    }

    #[test]
    fn a_mistake_names_its_field() {
        for (json, field) in [
            (r#"{"deviceName":"  "}"#, "deviceName"),
            (r#"{"osVersion":"ten"}"#, "osVersion"),
            (r#"{"osVersion":"1.2.3.4"}"#, "osVersion"),
            (r#"{"osVersion":"1..2"}"#, "osVersion"),
            (r#"{"locale":"pt_BR"}"#, "locale"),
            (r#"{"locale":"PT-br"}"#, "locale"),
            (r#"{"locale":"por-BR"}"#, "locale"),
            (r#"{"protocolVersion":"3.1"}"#, "protocolVersion"),
            (r#"{"protocolVersion":"2.3000.1.5"}"#, "protocolVersion"),
            (r#"{"typing":{"maxMillis":999999}}"#, "typing.maxMillis"),
            (r#"{"presenceIdleSeconds":0}"#, "presenceIdleSeconds"),
            (r#"{"pairing":{"attempts":0}}"#, "pairing.attempts"),
            (r#"{"reconnect":{"maxSeconds":0}}"#, "reconnect.maxSeconds"),
            (r#"{"serverHost":"127.0.0.1:1"}"#, "serverHost"),
        ] {
            let error = Config::read(json).expect_err(json);
            assert!(error.contains(field), "{json}: {error}");
        }
    }

    #[test]
    fn presence_is_one_of_three_words() {
        for (word, mode) in [
            ("when-working", presence::Mode::WhenWorking),
            ("always", presence::Mode::Always),
            ("never", presence::Mode::Never),
        ] {
            let config = Config::read(&format!(r#"{{"presence":"{word}"}}"#)).expect("is one of them");
            assert_eq!(config.presence, mode);
        }
        assert!(Config::read(r#"{"presence":"sometimes"}"#).is_err());
    }

    #[test]
    fn a_short_version_of_a_system_is_filled_up() {
        let version =
            |text: &str| Config::read(&format!(r#"{{"osVersion":"{text}"}}"#)).map(|config| config.os_version);
        assert_eq!(version("14"), Ok([14, 0, 0]));
        assert_eq!(version("10.15.7"), Ok([10, 15, 7]));
    }

    #[test]
    fn typing_is_in_proportion_and_bounded() {
        let typing = Typing { enabled: true, millis_per_character: 50, max_millis: 4_000 };
        assert_eq!(typing.time(10), Some(Duration::from_millis(500)));
        assert_eq!(typing.time(1_000_000), Some(Duration::from_millis(4_000)));
        assert_eq!(typing.time(0), None);
        assert_eq!(Typing { enabled: false, ..typing }.time(10), None);
    }
}
