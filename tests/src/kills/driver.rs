//! Those who send, read and tag: each asks until it is answered, however often the engine is killed meanwhile.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::http::{Client, Reply};
use crate::kills::model::{Chat, Done};
use crate::tenant::text_of;

/// How long somebody waits for the engine's next life.
const PATIENCE: Duration = Duration::from_secs(300);

/// The engine's lives: who was not answered waits for the next one.
#[derive(Default)]
pub(super) struct Lives {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    begun: u64,
    is_over: bool,
}

impl Lives {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another one has begun.
    pub(super) fn begin(&self) {
        self.lock().begun += 1;
        self.changed.notify_all();
    }

    /// There will be no other one.
    pub(super) fn end(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    /// Waits for the one after this one.
    fn after(&self, this: u64) -> Result<()> {
        let goes_on = |state: &mut State| state.begun <= this && !state.is_over;
        let waited = self.changed.wait_timeout_while(self.lock(), PATIENCE, goes_on);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        ensure!(state.begun > this, "no answer, and the engine does not come back");
        Ok(())
    }
}

/// What is to be done in a conversation.
pub(super) enum Order {
    /// To send this text.
    Send(String),
    /// To mark as read what is there.
    Read,
    /// To give it the tag.
    Tag,
}

/// What is to be done, and where: the conversation's number.
pub(super) struct Job {
    pub(super) chat: usize,
    pub(super) order: Order,
}

/// Somebody who does jobs one after the other.
pub(super) struct Worker<'a> {
    client: Client,
    connector: String,
    lives: &'a Lives,
    done: BTreeMap<usize, Done>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(client: Client, connector: &str, lives: &'a Lives) -> Self {
        Self { client, connector: connector.to_owned(), lives, done: BTreeMap::new() }
    }

    /// Works until there are no more jobs; what was acknowledged.
    pub(super) fn run(mut self, jobs: Receiver<Job>) -> Result<Vec<Done>> {
        for Job { chat, order } in jobs {
            self.work(chat, order).with_context(|| format!("in conversation {chat}"))?;
        }
        Ok(self.done.into_values().collect())
    }

    fn work(&mut self, chat: usize, order: Order) -> Result<()> {
        let id = match self.done.get(&chat) {
            Some(done) => done.id.clone(),
            None => {
                let open = json!({"connectorId": self.connector, "to": Chat::address(chat)});
                let reply = self.ask(|client| client.post("/v1/conversations", &open))?;
                // One that was opened right before a kill is known when the request is repeated.
                let opened = if reply.status == 200 { reply.json()? } else { reply.expect_json(201)? };
                let id = text_of(&opened, "id")?;
                let done = Done { chat, id: id.clone(), sent: Vec::new(), read_to: None, is_tagged: false };
                self.done.insert(chat, done);
                id
            }
        };
        let at = format!("/v1/conversations/{id}");
        match order {
            Order::Send(text) => {
                let body = json!({"text": text, "externalId": text});
                // What numbers the text, in ASCII.
                let key = text.split(':').next().unwrap_or(&text).replace(' ', "-");
                let send = |client: &Client| {
                    let request = client.request("POST", &format!("{at}/messages"));
                    request.header("Idempotency-Key", &key).json(&body).send()
                };
                let message = text_of(&self.ask(send)?.expect_json(201)?, "id")?;
                self.of(chat)?.sent.push((message, text.clone()));
            }
            Order::Read => {
                let page = self.ask(|client| client.get(&format!("{at}/messages?limit=100")))?.expect_json(200)?;
                let shown = page["data"].as_array().context("no data")?;
                // Nobody has written there yet, or not lately.
                let Some(last) = shown.iter().rfind(|entry| entry["direction"] == "in") else { return Ok(()) };
                let read: Value = json!({"upTo": last["number"], "tellChannel": false});
                self.ask(|client| client.post(&format!("{at}/read"), &read))?.expect(200)?;
                self.of(chat)?.read_to = Some(text_of(last, "providerId")?);
            }
            Order::Tag => {
                let tags = json!({"tags": ["vip"]});
                self.ask(|client| client.patch(&at, &tags))?.expect(200)?;
                self.of(chat)?.is_tagged = true;
            }
        }
        Ok(())
    }

    fn of(&mut self, chat: usize) -> Result<&mut Done> {
        self.done.get_mut(&chat).context("a conversation that was not opened")
    }

    /// Asks until there is an answer, in each of the engine's lives once.
    fn ask(&self, request: impl Fn(&Client) -> Result<Reply>) -> Result<Reply> {
        loop {
            let life = self.lives.lock().begun;
            match request(&self.client) {
                Ok(reply) => return Ok(reply),
                Err(error) => self.lives.after(life).with_context(|| format!("{error:#}"))?,
            }
        }
    }
}
