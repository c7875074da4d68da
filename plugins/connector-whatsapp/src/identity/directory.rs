//! Which numbers are on WhatsApp: asks the server before the first message to a number, both forms of a Brazilian one at once,
//! remembers the answer, and never has two questions about the same number in progress.
//!
//! Runs inside the sends and operations that ask. While one of them has a question out, the others queue up; the next round
//! takes all of the waiting (up to [`ROUND`]) in one question, so the number of questions does not grow with the number of
//! sends. Rounds are paced by a token bucket.

use std::cell::RefCell;
use std::collections::VecDeque;

use futures_channel::oneshot;
use serde::{Deserialize, Serialize};

use super::brazil;
use super::pace::Bucket;

/// The most numbers of one question.
pub const ROUND: usize = 32;
/// How long the answer that a number is registered stays valid.
const POSITIVE_MILLIS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// How long the answer that a number is not registered stays valid: people join later.
const NEGATIVE_MILLIS: u64 = 60 * 60 * 1_000;
/// How long to ask nothing when the server refuses with "too many" and gives no time.
const COOL_DOWN_MILLIS: u64 = 60_000;

/// A number the server knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The digits under which it is registered.
    #[serde(rename = "n")]
    pub number: String,
    /// Its hidden id, without `@lid`; absent when the server did not give it.
    #[serde(rename = "l", skip_serializing_if = "Option::is_none", default)]
    pub lid: Option<String>,
}

/// What the store remembers of one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Absent: not on WhatsApp.
    #[serde(rename = "k")]
    pub known: Option<Known>,
    /// When the server answered.
    #[serde(rename = "t")]
    pub at_millis: u64,
}

impl Record {
    fn holds(&self, now_millis: u64) -> bool {
        let age = now_millis.saturating_sub(self.at_millis);
        age < if self.known.is_some() { POSITIVE_MILLIS } else { NEGATIVE_MILLIS }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No connection to the server.
    Disconnected(String),
    /// The server wants fewer questions.
    Throttled {
        /// When to ask again.
        retry_after_millis: u64,
    },
    /// Any other failure; another attempt may help.
    Failed(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disconnected(why) => write!(f, "cannot check whether the number is on WhatsApp: {why}"),
            Self::Throttled { .. } => f.write_str("WhatsApp limits the rate of lookups of numbers"),
            Self::Failed(why) => write!(f, "could not find out whether the number is on WhatsApp: {why}"),
        }
    }
}

/// What the directory needs from its environment. One value serves one call.
#[allow(async_fn_in_trait, reason = "guests are single-threaded: no Send bound is wanted")]
pub trait Port {
    /// Milliseconds since the epoch.
    fn now_millis(&self) -> u64;
    /// Lets the caller wait.
    async fn sleep(&self, millis: u64);
    /// Asks the server about these digits; answers those that are registered, under the digits they are registered with.
    async fn ask(&self, numbers: &[String]) -> Result<Vec<Known>, Error>;
    /// What the session already knows, e.g. from a message of that number.
    async fn learned(&self, number: &str) -> Option<Known>;
    /// A remembered answer.
    async fn recall(&self, number: &str) -> Result<Option<Record>, Error>;
    /// Remembers an answer and tells the engine which addresses belong together.
    async fn keep(&self, number: &str, record: &Record) -> Result<(), Error>;
}

/// How often the server may be asked.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Maximum number of questions at once after a quiet time.
    pub burst: u32,
    /// Maximum number of questions per minute in the long run.
    pub per_minute: u32,
}

impl Default for Rate {
    fn default() -> Self {
        Self { burst: 10, per_minute: 30 }
    }
}

type Answer = Result<Option<Known>, Error>;

enum Turn {
    Answer(Answer),
    /// Ask for all that wait.
    Lead,
}

struct Waiting {
    number: String,
    askers: Vec<oneshot::Sender<Turn>>,
}

#[derive(Default)]
struct State {
    bucket: Option<Bucket>,
    waiting: VecDeque<Waiting>,
    asking: bool,
    quiet_until_millis: u64,
}

/// See the module.
pub struct Directory {
    rate: Rate,
    state: RefCell<State>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::new(Rate::default())
    }
}

impl Directory {
    /// A directory that has asked nothing yet.
    pub fn new(rate: Rate) -> Self {
        Self { rate, state: RefCell::default() }
    }

    /// How WhatsApp knows these digits; `None` when it does not.
    pub async fn find(&self, port: &impl Port, number: &str) -> Answer {
        if let Some(known) = port.learned(number).await {
            return Ok(Some(known));
        }
        if let Some(other) = brazil::other_form(number)
            && let Some(known) = port.learned(&other).await
        {
            return Ok(Some(known));
        }
        if let Some(record) = port.recall(number).await?
            && record.holds(port.now_millis())
        {
            return Ok(record.known);
        }
        self.join(port, number).await
    }

    async fn join(&self, port: &impl Port, number: &str) -> Answer {
        let now = port.now_millis();
        let quiet = self.state.borrow().quiet_until_millis;
        if quiet > now {
            return Err(Error::Throttled { retry_after_millis: quiet - now });
        }
        let mut answer = self.enqueue(number);
        let mut lead = !std::mem::replace(&mut self.state.borrow_mut().asking, true);
        loop {
            if lead {
                self.round(port).await;
            }
            match answer.await {
                Ok(Turn::Answer(found)) => return found,
                Ok(Turn::Lead) => {
                    answer = self.enqueue(number);
                    lead = true;
                }
                Err(oneshot::Canceled) => return Err(Error::Failed("the lookup was abandoned".to_owned())),
            }
        }
    }

    fn enqueue(&self, number: &str) -> oneshot::Receiver<Turn> {
        let (tx, rx) = oneshot::channel();
        let mut state = self.state.borrow_mut();
        match state.waiting.iter_mut().find(|w| w.number == number) {
            Some(waiting) => waiting.askers.push(tx),
            None => state.waiting.push_back(Waiting { number: number.to_owned(), askers: vec![tx] }),
        }
        rx
    }

    /// Asks once for all that wait at that moment, answers them, and lets the next caller ask.
    async fn round(&self, port: &impl Port) {
        loop {
            let now = port.now_millis();
            let wait = {
                let mut state = self.state.borrow_mut();
                let rate = self.rate;
                state.bucket.get_or_insert_with(|| Bucket::new(rate.burst, rate.per_minute, now)).take(now)
            };
            match wait {
                Ok(()) => break,
                Err(millis) => port.sleep(millis).await,
            }
        }
        let batch: Vec<Waiting> = {
            let mut state = self.state.borrow_mut();
            let len = state.waiting.len().min(ROUND);
            state.waiting.drain(..len).collect()
        };
        let mut numbers: Vec<String> = Vec::with_capacity(batch.len() * 2);
        for waiting in &batch {
            for form in std::iter::once(waiting.number.clone()).chain(brazil::other_form(&waiting.number)) {
                if !numbers.contains(&form) {
                    numbers.push(form);
                }
            }
        }
        let found = if numbers.is_empty() { Ok(Vec::new()) } else { port.ask(&numbers).await };
        match found {
            Ok(found) => {
                for waiting in batch {
                    let known = pick(&waiting.number, &found);
                    let record = Record { known: known.clone(), at_millis: port.now_millis() };
                    // An answer that could not be kept is still an answer; it will be asked again.
                    let _ = port.keep(&waiting.number, &record).await;
                    for asker in waiting.askers {
                        let _ = asker.send(Turn::Answer(Ok(known.clone())));
                    }
                }
            }
            Err(error) => {
                if let Error::Throttled { retry_after_millis } = error {
                    let mut state = self.state.borrow_mut();
                    state.quiet_until_millis = port.now_millis() + retry_after_millis.max(1);
                    if let Some(bucket) = &mut state.bucket {
                        bucket.drain();
                    }
                }
                for waiting in batch {
                    for asker in waiting.askers {
                        let _ = asker.send(Turn::Answer(Err(error.clone())));
                    }
                }
            }
        }
        self.hand_on();
    }

    fn hand_on(&self) {
        let mut state = self.state.borrow_mut();
        while let Some(first) = state.waiting.front_mut() {
            while let Some(asker) = first.askers.pop() {
                if asker.send(Turn::Lead).is_ok() {
                    return;
                }
            }
            state.waiting.pop_front();
        }
        state.asking = false;
    }
}

/// The registered number that was meant by `number`.
fn pick(number: &str, found: &[Known]) -> Option<Known> {
    let other = brazil::other_form(number);
    found
        .iter()
        .find(|known| known.number == number)
        .or_else(|| found.iter().find(|known| Some(&known.number) == other.as_ref()))
        .cloned()
}

/// How long to keep quiet when the server refuses with "too many".
pub fn cool_down_millis(backoff_secs: Option<u32>) -> u64 {
    backoff_secs.map_or(COOL_DOWN_MILLIS, |secs| u64::from(secs.clamp(1, 3_600)) * 1_000)
}

#[cfg(test)]
mod tests;
