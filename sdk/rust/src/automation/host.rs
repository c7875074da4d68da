//! Calls to the engine in a guest; natively, calls to its stand-in: the test kit, or only the system's clock.

use super::{HttpError, HttpRequest, HttpResponse, KvEntry, KvError};

#[cfg(target_arch = "wasm32")]
mod engine {
    use super::super::bindings::pombo::automation as imports;
    use super::{HttpError, HttpRequest, HttpResponse, KvEntry, KvError};

    fn kv_error(error: imports::kv::Error) -> KvError {
        match error {
            imports::kv::Error::Refused(why) => KvError::Refused(why),
            imports::kv::Error::Unavailable(why) => KvError::Unavailable(why),
        }
    }

    pub fn now_millis() -> u64 {
        imports::clock::now_millis()
    }
    pub fn random() -> u64 {
        imports::random::number()
    }
    pub fn kv_get(key: &str) -> Result<Option<String>, KvError> {
        imports::kv::get(key).map_err(kv_error)
    }
    pub fn kv_list(prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<KvEntry>, KvError> {
        let entries = imports::kv::list(prefix, after, limit).map_err(kv_error)?;
        Ok(entries.into_iter().map(|e| KvEntry { key: e.key, value: e.value }).collect())
    }
    pub fn http(request: HttpRequest) -> Result<HttpResponse, HttpError> {
        use imports::http::{Error, Header, Request};
        let request = Request {
            method: request.method,
            url: request.url,
            headers: request.headers.into_iter().map(|(name, value)| Header { name, value }).collect(),
            body: request.body,
            timeout_millis: request.timeout.map(|t| t.as_millis().min(u128::from(u32::MAX)) as u32),
        };
        match imports::http::send(&request) {
            Ok(answer) => Ok(HttpResponse {
                status: answer.status,
                headers: answer.headers.into_iter().map(|h| (h.name, h.value)).collect(),
                body: answer.body,
            }),
            Err(Error::Refused(why)) => Err(HttpError::Refused(why)),
            Err(Error::Invalid(why)) => Err(HttpError::Invalid(why)),
            Err(Error::NotConnected(why)) => Err(HttpError::NotConnected(why)),
            Err(Error::Interrupted(why)) => Err(HttpError::Interrupted(why)),
            Err(Error::TooLarge(size)) => Err(HttpError::TooLarge(size)),
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod engine {
    use std::cell::RefCell;
    use std::time::{Duration, SystemTime};

    use super::{HttpError, HttpRequest, HttpResponse, KvEntry, KvError};

    /// Answers calls in place of the engine.
    pub trait StandIn {
        fn now_millis(&mut self) -> u64;
        fn random(&mut self) -> u64;
        fn kv_get(&mut self, key: &str) -> Result<Option<String>, KvError>;
        fn kv_list(&mut self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<KvEntry>, KvError>;
        fn http(&mut self, request: HttpRequest) -> Result<HttpResponse, HttpError>;
        fn log(&mut self, level: crate::log::Level, text: String);
    }

    thread_local! {
        static STAND_IN: RefCell<Option<Box<dyn StandIn>>> = const { RefCell::new(None) };
    }

    /// Sets or removes this thread's stand-in.
    #[cfg(feature = "test")]
    pub fn stand_in(stand_in: Option<Box<dyn StandIn>>) {
        STAND_IN.set(stand_in);
    }

    fn ask<T>(question: impl FnOnce(&mut dyn StandIn) -> T) -> Option<T> {
        STAND_IN.with_borrow_mut(|host| host.as_mut().map(|host| question(&mut **host)))
    }
    const NOBODY: &str = "there is no engine here: run the automation with the test kit";

    pub fn now_millis() -> u64 {
        ask(|host| host.now_millis()).unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
            since.as_millis() as u64
        })
    }
    pub fn random() -> u64 {
        ask(|host| host.random()).unwrap_or_else(crate::random::system_number)
    }
    pub fn kv_get(key: &str) -> Result<Option<String>, KvError> {
        ask(|host| host.kv_get(key)).unwrap_or_else(|| Err(KvError::Unavailable(NOBODY.to_owned())))
    }
    pub fn kv_list(prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<KvEntry>, KvError> {
        ask(|host| host.kv_list(prefix, after, limit)).unwrap_or_else(|| Err(KvError::Unavailable(NOBODY.to_owned())))
    }
    pub fn http(request: HttpRequest) -> Result<HttpResponse, HttpError> {
        ask(|host| host.http(request)).unwrap_or_else(|| Err(HttpError::NotConnected(NOBODY.to_owned())))
    }
    /// Whether there is a stand-in that took the line.
    pub fn log(level: crate::log::Level, text: &str) -> bool {
        ask(|host| host.log(level, text.to_owned())).is_some()
    }
}

pub(crate) use engine::*;
