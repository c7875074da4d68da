//! Starts and stops the simulator, and offers in-process tests what the admin offers over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::journal::Entry;
use crate::world::{Violations, World};
use crate::{admin, server, webhooks};

/// How to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// For benches: no journal, no history of messages, no webhooks unless the knob `webhooks` is set.
    pub fast: bool,
    /// Unix seconds at which the clock stands still until it is advanced; unset, it runs.
    pub frozen_at: Option<i64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), fast: false, frozen_at: None }
    }
}

/// What the tasks share.
pub(crate) struct Shared {
    pub(crate) world: Mutex<World>,
    /// Something is to be posted, or the clock was advanced.
    pub(crate) wake: Notify,
    /// Nothing is to be posted any more.
    pub(crate) quiet: Notify,
}

impl Shared {
    /// Waits until every webhook that is due was tried.
    pub(crate) async fn flush(&self) {
        loop {
            let quiet = self.quiet.notified();
            tokio::pin!(quiet);
            // From here on no notification is missed.
            quiet.as_mut().enable();
            if self.world.lock().is_quiet() {
                return;
            }
            self.wake.notify_one();
            quiet.await;
        }
    }
}

/// A running simulator. Dropped, it stops.
pub struct Sim {
    shared: Arc<Shared>,
    base: String,
    tasks: Vec<JoinHandle<()>>,
}

impl Sim {
    /// Starts with an empty world.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(options.listen)
            .await
            .map_err(|e| anyhow::anyhow!("cannot listen on {}: {e}", options.listen))?;
        let base = format!("http://{}", listener.local_addr()?);
        let mut world = World { base: base.clone(), fast: options.fast, ..World::default() };
        world.clock.frozen = options.frozen_at.map(|seconds| seconds * 1000);
        world.knobs.webhooks = !options.fast;
        let shared = Arc::new(Shared { world: Mutex::new(world), wake: Notify::new(), quiet: Notify::new() });
        let tasks =
            vec![tokio::spawn(server::serve(listener, shared.clone())), tokio::spawn(webhooks::run(shared.clone()))];
        Ok(Self { shared, base, tasks })
    }

    /// `http://127.0.0.1:port`, without a slash at the end.
    pub fn base(&self) -> String {
        self.base.clone()
    }

    /// Any operation of the admin: `sim.call("POST", "/admin/knobs", json!({…}))`.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> anyhow::Result<Value> {
        admin::call(&self.shared, method, path, &body).await
    }

    /// Makes apps, tokens, portfolios, WABAs, numbers, users, templates and media of one document.
    pub fn setup(&self, document: &Value) -> anyhow::Result<Value> {
        crate::setup::apply(&mut self.shared.world.lock(), document)
    }

    /// Everything that was set up, and what became of it.
    pub fn state(&self) -> Value {
        crate::setup::state(&self.shared.world.lock())
    }

    /// Changes settings.
    pub fn knobs(&self, changes: &Value) -> anyhow::Result<()> {
        admin::knobs(&self.shared, changes).map(|_| ())
    }

    /// Adds rules of what goes wrong.
    pub fn faults(&self, rules: &Value) -> anyhow::Result<()> {
        admin::faults(&self.shared, rules).map(|_| ())
    }

    /// Advances the clock.
    pub fn advance(&self, seconds: i64) {
        self.shared.world.lock().clock.ahead += seconds * 1000;
        self.shared.wake.notify_one();
    }

    /// Unix seconds of the driven clock.
    pub fn now(&self) -> i64 {
        self.shared.world.lock().seconds()
    }

    /// A person sends a message: `{number_id?, message, referral?, context?}`. The answer: its id.
    pub fn say(&self, user: &str, body: &Value) -> anyhow::Result<String> {
        let said = crate::people::say(&mut self.shared.world.lock(), user, body)?;
        self.shared.wake.notify_one();
        Ok(said["id"].as_str().unwrap_or_default().to_owned())
    }

    /// A person sends a text to the first number.
    pub fn say_text(&self, user: &str, text: &str) -> anyhow::Result<String> {
        self.say(user, &json!({ "message": { "type": "text", "text": { "body": text } } }))
    }

    /// A person reads everything.
    pub fn read(&self, user: &str) -> anyhow::Result<()> {
        crate::people::read(&mut self.shared.world.lock(), user, &json!({}))?;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// A person deletes a message.
    pub fn delete(&self, user: &str, message: &str) -> anyhow::Result<()> {
        crate::people::delete(&mut self.shared.world.lock(), user, &json!({ "message_id": message }))?;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Something happens to a template: `PAUSED`, `REJECTED` and so on.
    pub fn template_status(&self, id: u64, event: &str, reason: Option<&str>) -> bool {
        let known = self.shared.world.lock().set_template_status(id, event, reason);
        self.shared.wake.notify_one();
        known
    }

    /// The journal after this entry.
    pub fn journal(&self, after: u64) -> Vec<Entry> {
        self.shared.world.lock().journal.after(after)
    }

    /// How often each rule was broken.
    pub fn violations(&self) -> Violations {
        self.shared.world.lock().violations
    }

    /// How many messages were accepted.
    pub fn accepted(&self) -> u64 {
        self.shared.world.lock().accepted
    }

    /// Waits until all webhooks that are due were tried.
    pub async fn flush(&self) {
        self.shared.flush().await;
    }

    /// Waits for ever: for the program.
    pub async fn served(mut self) {
        for task in self.tasks.drain(..) {
            if let Err(e) = task.await {
                eprintln!("graph-sim: a task failed: {e}");
            }
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
