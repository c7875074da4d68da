//! What an automation imports. Each answer of the outside is recorded; in a replay the recorded ones are given instead.

use std::sync::Arc;

use pombo_domain::ports::{AutomationCall, CallFailure, HostAnswer};

use super::fairness::Tenant;
use super::http as requests;
use super::state::{CallState, Caller};
use crate::bindings::automation::pombo::automation::{clock, http, kv, log, random, types};
use crate::limits::KV_KEY_BYTES;
use crate::state::Services;
use crate::worlds::automation as world;

/// How many questions one call may ask the outside.
const QUESTIONS: u32 = 1000;
/// How many entries one listing gives.
const LIST: u32 = 256;
/// Entries that are read at once, and bytes after which no more are.
const LIST_PART: usize = 16;
const LIST_BYTES: usize = 2 << 20;
/// Bytes of one request for randomness.
const RANDOM_BYTES: u32 = 64 << 10;

impl types::Host for CallState {}

impl log::Host for CallState {
    fn log(&mut self, level: log::Level, text: String) {
        self.line(world::level(level), &text);
    }
}

impl clock::Host for CallState {
    fn now_millis(&mut self) -> u64 {
        CallState::now_millis(self)
    }
}

impl random::Host for CallState {
    fn number(&mut self) -> u64 {
        self.random.number()
    }
    fn bytes(&mut self, len: u32) -> Vec<u8> {
        let mut bytes = vec![0; len.min(RANDOM_BYTES) as usize];
        self.random.bytes(&mut bytes);
        bytes
    }
}

/// Where the answer to a guest's question comes from.
enum Asked {
    /// From the recording that is replayed.
    Recorded(HostAnswer),
    /// From outside, for this call of this tenant.
    Outside(Arc<AutomationCall>, Arc<Tenant>),
    /// There is none, for this reason.
    No(&'static str),
}

impl CallState {
    /// Where to get the answer to a question whose recorded answer `fits`. `Err` ends the guest.
    fn ask(
        &mut self,
        shown: impl FnOnce() -> String,
        again: bool,
        fits: impl Fn(&HostAnswer) -> bool,
    ) -> wasmtime::Result<Asked> {
        self.questions += 1;
        if self.questions > QUESTIONS {
            return Ok(Asked::No("one call may ask for 1000 things"));
        }
        let (call, tenant) = match &self.caller {
            Caller::Describing => return Ok(Asked::No("`describe` is called without anything that needs a grant")),
            Caller::Automation(call, tenant) => (call.clone(), tenant.clone()),
        };
        let Some(recorded) = &call.replay else { return Ok(Asked::Outside(call, tenant)) };
        let mut fitting = recorded.iter().enumerate().filter(|(_, answer)| fits(answer));
        let found = fitting.clone().find(|(at, _)| !self.given[*at]).or_else(|| fitting.next().filter(|_| again));
        let Some((at, answer)) = found else {
            self.failure = Some(CallFailure::Diverged(crate::limits::cut(&shown(), 200)));
            return Err(wasmtime::Error::msg("it asked for what was not recorded"));
        };
        let answer = answer.clone();
        self.given[at] = true;
        self.inputs.push(answer.clone());
        Ok(Asked::Recorded(answer))
    }
}

/// Entries up to the limit, or fewer that are large.
async fn listed(
    services: &Services,
    call: &AutomationCall,
    (prefix, after, limit): &(String, Option<String>, u32),
) -> Result<Vec<(String, String)>, String> {
    let (mut entries, mut bytes) = (Vec::new(), 0);
    let (mut after, mut left) = (after.clone(), *limit as usize);
    while left > 0 && bytes < LIST_BYTES {
        let asked = left.min(LIST_PART);
        let part = services.kv.list(call.automation.kv(), prefix.clone(), after, asked).await;
        let part = part.map_err(|error| unavailable(&error))?;
        left = if part.len() < asked { 0 } else { left - asked };
        after = part.last().map(|(key, _)| key.clone());
        for (key, value) in part {
            bytes += key.len() + value.len();
            entries.push((key, text(value)?));
        }
    }
    Ok(entries)
}

const REFUSED: &str = "refused: ";

/// The entries as they were recorded.
fn kv_error(said: &str) -> kv::Error {
    match said.strip_prefix(REFUSED) {
        Some(why) => kv::Error::Refused(why.to_owned()),
        None => kv::Error::Unavailable(said.to_owned()),
    }
}

fn refused(why: &str) -> String {
    format!("{REFUSED}{why}")
}

fn may_read(call: &AutomationCall) -> Result<(), String> {
    if call.grants.kv_bytes > 0 { Ok(()) } else { Err(refused("no key/value store is granted: see `wants.kv-bytes`")) }
}

fn text(value: Vec<u8>) -> Result<String, String> {
    String::from_utf8(value).map_err(|_| "the value is not text".to_owned())
}

fn unavailable(error: &pombo_domain::ports::StoreError) -> String {
    tracing::warn!(%error, "an automation's key/value call failed");
    "the engine's store does not answer".to_owned()
}

impl kv::Host for CallState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, kv::Error>> {
        if key.is_empty() || key.len() > KV_KEY_BYTES {
            return Ok(Err(kv::Error::Refused(format!("a key must have 1 to {KV_KEY_BYTES} bytes"))));
        }
        let fits = |answer: &HostAnswer| matches!(answer, HostAnswer::KvGet { key: asked, .. } if *asked == key);
        let value = match self.ask(|| format!("the key {key:?}"), true, fits)? {
            Asked::No(why) => return Ok(Err(kv::Error::Refused(why.to_owned()))),
            Asked::Recorded(HostAnswer::KvGet { value, .. }) => value,
            Asked::Recorded(_) => Err("not recorded".to_owned()),
            Asked::Outside(call, _) => {
                let value = match may_read(&call) {
                    Ok(()) => match self.services.kv.get(call.automation.kv(), key.clone()).await {
                        Ok(value) => value.map(text).transpose(),
                        Err(error) => Err(unavailable(&error)),
                    },
                    Err(why) => Err(why),
                };
                self.inputs.push(HostAnswer::KvGet { key, value: value.clone() });
                value
            }
        };
        Ok(value.map_err(|said| kv_error(&said)))
    }

    async fn list(
        &mut self,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<kv::Entry>, kv::Error>> {
        if prefix.len() > KV_KEY_BYTES || after.as_ref().is_some_and(|after| after.len() > KV_KEY_BYTES) {
            return Ok(Err(kv::Error::Refused(format!("a key has at most {KV_KEY_BYTES} bytes"))));
        }
        let question = (prefix, after, limit.min(LIST));
        let fits = |answer: &HostAnswer| matches!(answer, HostAnswer::KvList { asked, .. } if *asked == question);
        let entries = match self.ask(|| format!("the keys from {:?}", question.0), true, fits)? {
            Asked::No(why) => return Ok(Err(kv::Error::Refused(why.to_owned()))),
            Asked::Recorded(HostAnswer::KvList { entries, .. }) => entries,
            Asked::Recorded(_) => Err("not recorded".to_owned()),
            Asked::Outside(call, _) => {
                let entries = match may_read(&call) {
                    Ok(()) => listed(&self.services.clone(), &call, &question).await,
                    Err(why) => Err(why),
                };
                self.inputs.push(HostAnswer::KvList { asked: question, entries: entries.clone() });
                entries
            }
        };
        let entry = |(key, value)| kv::Entry { key, value };
        Ok(entries.map(|all| all.into_iter().map(entry).collect()).map_err(|said| kv_error(&said)))
    }
}

impl http::Host for CallState {
    async fn send(&mut self, request: http::Request) -> wasmtime::Result<Result<http::Response, http::Error>> {
        let hash = requests::digest(&request);
        let shown = requests::shown(&request);
        let fits = |answer: &HostAnswer| matches!(answer, HostAnswer::Http { request, .. } if *request == hash);
        let response = match self.ask(|| shown.clone(), false, fits)? {
            Asked::No(why) => return Ok(Err(http::Error::Refused(why.to_owned()))),
            Asked::Recorded(HostAnswer::Http { response, .. }) => response,
            Asked::Recorded(_) => Err((String::new(), "not recorded".to_owned())),
            Asked::Outside(call, tenant) => {
                let hosts = self.hosts.get_or_insert_with(|| requests::hosts(&call)).clone();
                let response = requests::send(&self.services, &call, &tenant, &hosts, request).await;
                let response = response.map_err(|error| requests::recorded(&error));
                self.inputs.push(HostAnswer::Http { request: hash, shown, response: response.clone() });
                response
            }
        };
        Ok(response.map(requests::response).map_err(|(case, said): (String, String)| requests::error(&case, &said)))
    }
}
