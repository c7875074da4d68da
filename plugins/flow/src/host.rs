//! What a flow needs of the world: the interface behind which the plugin's own stands.

use serde_json::Value;

/// The one timer of a conversation: a flow waits for one thing at a time.
pub const TIMER: &str = "flow";

/// An HTTP request of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Method of the request.
    pub method: String,
    /// The path, appended to the configured base.
    pub path: String,
    /// The body as JSON.
    pub body: Option<Value>,
}

/// The actions and calls of a flow.
pub trait Host {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
    /// Sends a text.
    fn say(&mut self, text: &str);
    /// Sends a file with a caption.
    fn send_file(&mut self, url: &str, caption: &str);
    /// Sets [`TIMER`], in place of the one before.
    fn set_timer(&mut self, delay_ms: u64, payload: &str);
    /// Takes [`TIMER`] back.
    fn cancel_timer(&mut self);
    /// Adds a tag.
    fn tag(&mut self, tag: &str);
    /// Takes a tag away.
    fn untag(&mut self, tag: &str);
    /// Assigns the conversation to a person.
    fn assign(&mut self, who: &str);
    /// A person takes over.
    fn hand_over(&mut self, reason: &str);
    /// Calls the configured server: the answer as JSON, or why there is none.
    fn call(&mut self, call: &Call) -> Result<Value, String>;
}
