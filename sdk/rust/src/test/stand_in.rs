//! Answers an automation's calls in place of the engine: the clock, random numbers, its store and the web.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use crate::automation::host::{self, StandIn};
use crate::automation::types::{Description, KvWrite};
use crate::automation::{HttpError, HttpRequest, HttpResponse, KvEntry, KvError, Level};

type Web = Box<dyn FnMut(&HttpRequest) -> Result<HttpResponse, HttpError>>;

/// Everything outside the automation that outlives its calls.
pub(super) struct Outside {
    pub kv: BTreeMap<String, String>,
    pub http: Option<Web>,
    pub requests: Vec<HttpRequest>,
    pub log: Vec<(Level, String)>,
    has_kv: bool,
    hosts: Vec<String>,
    secrets: Vec<String>,
}

impl Outside {
    pub fn new(description: &Description, config: &Value) -> Self {
        let given = |field: &&String| config.get(field.as_str()).is_some();
        Self {
            kv: BTreeMap::new(),
            http: None,
            requests: Vec::new(),
            log: Vec::new(),
            has_kv: description.wants.kv_bytes > 0,
            hosts: description.wants.hosts.iter().filter_map(|host| resolve(host, config)).collect(),
            secrets: description.secret_fields.iter().filter(given).cloned().collect(),
        }
    }

    pub fn write(&mut self, write: &KvWrite) {
        match &write.value {
            Some(value) => self.kv.insert(write.key.clone(), value.clone()),
            None => self.kv.remove(&write.key),
        };
    }

    fn kv_granted(&self) -> Result<(), KvError> {
        let refused = || KvError::Refused("it does not ask for a store: set wants.kv_bytes".to_owned());
        if self.has_kv { Ok(()) } else { Err(refused()) }
    }

    fn http(&mut self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let (scheme, authority) = server(&request.url)
            .ok_or_else(|| HttpError::Invalid("the URL must begin with https:// or http://".to_owned()))?;
        if !self.hosts.iter().any(|granted| grants(granted, authority)) {
            return Err(HttpError::Refused(format!("the host {authority} is not granted; see wants.hosts")));
        }
        let body = request.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let places = request.headers.iter().map(|(_, value)| &**value).chain([&*body]);
        for (kind, name) in places.flat_map(secrets_in) {
            if !self.secrets.iter().any(|secret| secret == name) {
                return Err(HttpError::Refused(format!("there is no secret `{name}` in the configuration")));
            }
            if kind == "secret" && scheme != "https" {
                return Err(HttpError::Refused("secrets are sent over TLS only".to_owned()));
            }
        }
        self.requests.push(request.clone());
        match &mut self.http {
            Some(answer) => answer(request),
            None => Err(HttpError::NotConnected("no server answers: set one with on_http".to_owned())),
        }
    }
}

/// The placeholders `{{secret:NAME}}` and `{{hmac-sha256:NAME}}` in a value: which of the two, and the name.
fn secrets_in(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("{{")
        .skip(1)
        .filter_map(|rest| rest.split_once("}}"))
        .filter_map(|(inside, _)| inside.split_once(':').filter(|(kind, _)| matches!(*kind, "secret" | "hmac-sha256")))
}

/// Scheme and `host[:port]` of a URL.
fn server(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let known = matches!(scheme, "http" | "https") && !authority.is_empty() && !authority.contains('@');
    known.then_some((scheme, authority))
}

/// The host that an entry of `wants.hosts` stands for: itself, or the value of the configuration field that it names.
fn resolve(wanted: &str, config: &Value) -> Option<String> {
    if let Some(literal) = wanted.strip_prefix('=') {
        return Some(literal.to_owned());
    }
    let value = wanted.split('.').try_fold(config, |value, field| value.get(field))?.as_str()?;
    Some(server(value).map_or(value, |(_, authority)| authority).to_owned())
}

fn grants(granted: &str, authority: &str) -> bool {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    match granted.strip_prefix("*.") {
        Some(suffix) => host.strip_suffix(suffix).is_some_and(|below| below.ends_with('.')),
        None => granted == authority || granted == host,
    }
}

/// One call's view of it.
struct Asked {
    outside: Rc<RefCell<Outside>>,
    now: u64,
    draws: u64,
}

impl StandIn for Asked {
    fn now_millis(&mut self) -> u64 {
        self.now
    }
    fn random(&mut self) -> u64 {
        // SplitMix64.
        self.draws = self.draws.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.draws;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
    fn kv_get(&mut self, key: &str) -> Result<Option<String>, KvError> {
        let outside = self.outside.borrow();
        outside.kv_granted()?;
        Ok(outside.kv.get(key).cloned())
    }
    fn kv_list(&mut self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<KvEntry>, KvError> {
        let outside = self.outside.borrow();
        outside.kv_granted()?;
        let entries = outside.kv.iter().filter(|(key, _)| key.starts_with(prefix));
        let entries = entries.filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        let entry = |(key, value): (&String, &String)| KvEntry { key: key.clone(), value: value.clone() };
        Ok(entries.take(limit.min(256) as usize).map(entry).collect())
    }
    fn http(&mut self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.outside.borrow_mut().http(&request)
    }
    fn log(&mut self, level: Level, text: String) {
        self.outside.borrow_mut().log.push((level, text));
    }
}

/// Removes the stand-in when the call ends, in any way.
pub(super) struct StandInGuard;

impl StandInGuard {
    pub fn put(outside: &Rc<RefCell<Outside>>, now: u64, seed: u64) -> Self {
        host::stand_in(Some(Box::new(Asked { outside: outside.clone(), now, draws: seed })));
        Self
    }
}

impl Drop for StandInGuard {
    fn drop(&mut self) {
        host::stand_in(None);
    }
}
