//! The automation world: [`Automation`], its events, and [`Turn`], in which one event is answered.
//!
//! An automation is called once for each event, in a fresh instance: there is nothing to keep in statics. What it wants to find
//! next time in the same conversation is [`Automation::State`]; what it wants done it asks of the [`Turn`]. Both take effect
//! together when the handler returns `Ok`, and not at all otherwise: then the event comes again later.
//!
//! # Files
//! `events` says which handler each kind of event is for; `turn` collects actions and answers questions; `send` says what can be sent; `http` and `kv` are the types of what may be asked
//! of the engine; `host` asks the engine in a guest and a stand-in natively; `error` is what a handler fails with.

use serde::Serialize;
use serde::de::DeserializeOwned;

mod error;
mod events;
pub(crate) mod host;
mod http;
mod kv;
mod send;
mod turn;

/// The world as generated from `wit/`.
#[allow(missing_docs, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit/automation",
        world: "pombo:automation/automation",
        generate_all,
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_automation_world",
        default_bindings_module: "pombo_plugin::automation::bindings",
    });
}

pub use crate::log::Level;
/// Every type of the world under its own name, among them the actions as the engine gets them.
pub use bindings::pombo::automation::types;
/// Somebody's reaction to a message.
pub use bindings::pombo::automation::types::ReceivedReaction as Reaction;
pub use bindings::pombo::automation::types::{
    Attachment, Content, Conversation, Description, Edit, EventBody, EventKind, Location, Message, Other, Start,
    Status, StatusChange, StoredFile, Timer, Wants, Webhook,
};
pub use error::Error;
pub use http::{HttpError, HttpRequest, HttpResponse};
pub use kv::{KvEntry, KvError};
pub use send::{FileToSend, Sending};
pub use turn::Turn;

/// Decides what is done when something happens in a conversation.
///
/// The handlers' defaults do nothing and let later automations of the connector answer. Only the events named in
/// [`Description::events`] come.
pub trait Automation: Sized + 'static {
    /// The configuration, as [`Description::config_schema`] describes it, without its secret fields. [`NoConfig`] when there is
    /// none.
    type Config: DeserializeOwned;
    /// What is kept for each conversation, as JSON. Give fields that a later version adds `#[serde(default)]`.
    type State: Serialize + DeserializeOwned + Default;

    /// Who this is, what it wants to be called for and what it needs.
    fn describe() -> Description;

    /// Something happened: calls the handler for it, one of those below. Override this one instead of them to treat all events alike,
    /// also those that a later version of the SDK knows; what they are called for is still [`Description::events`].
    fn on_event(turn: &mut Turn<'_, Self>, event: &EventBody) -> Result<(), Error> {
        events::call_handler(turn, event)
    }

    /// Somebody wrote.
    fn on_message(_turn: &mut Turn<'_, Self>, _message: &Message) -> Result<(), Error> {
        Ok(())
    }
    /// Somebody reacted to a message.
    fn on_reaction(_turn: &mut Turn<'_, Self>, _reaction: &Reaction) -> Result<(), Error> {
        Ok(())
    }
    /// The first event of this conversation follows.
    fn on_opened(_turn: &mut Turn<'_, Self>) -> Result<(), Error> {
        Ok(())
    }
    /// A timer that it set has run out.
    fn on_timer(_turn: &mut Turn<'_, Self>, _timer: &Timer) -> Result<(), Error> {
        Ok(())
    }
    /// Somebody started it by hand.
    fn on_started(_turn: &mut Turn<'_, Self>, _start: &Start) -> Result<(), Error> {
        Ok(())
    }
    /// Its webhook was called.
    fn on_webhook(_turn: &mut Turn<'_, Self>, _webhook: &Webhook) -> Result<(), Error> {
        Ok(())
    }
    /// A message that it sent made a step.
    fn on_status(_turn: &mut Turn<'_, Self>, _change: &StatusChange) -> Result<(), Error> {
        Ok(())
    }
}

/// The configuration of an automation that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct NoConfig {}

impl Description {
    /// A description without configuration, that wants nothing and is called for messages and for what it brings about itself
    /// (timers, starts by hand, webhook calls), with room for the caller to set the rest.
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            display_name: name.to_owned(),
            config_schema: r#"{"type":"object","additionalProperties":false}"#.to_owned(),
            secret_fields: Vec::new(),
            events: vec![
                EventKind::MessageReceived,
                EventKind::TimerFired,
                EventKind::Started,
                EventKind::WebhookCalled,
            ],
            observer: false,
            wants: Wants::default(),
        }
    }
}

impl Default for Wants {
    /// Nothing, and the engine's defaults.
    fn default() -> Self {
        Self { hosts: Vec::new(), kv_bytes: 0, cpu_millis: 0, memory_bytes: 0, events_per_minute: 0 }
    }
}

/// Answers one event: what the export macro and the test kit call.
#[doc(hidden)]
pub fn __handle<A: Automation>(event: &types::Event, state: Option<&str>) -> Result<types::Outcome, String> {
    let mut turn = Turn::<A>::new(event, state).map_err(Error::into_text)?;
    let handled = A::on_event(&mut turn, &event.body);
    handled.and_then(|()| turn.into_outcome()).map_err(Error::into_text)
}

/// Makes an [`Automation`](crate::automation::Automation) the plugin of this crate.
#[macro_export]
macro_rules! export_automation {
    ($automation:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::automation as sdk;

            struct Exported;
            impl sdk::bindings::Guest for Exported {
                fn describe() -> sdk::types::Description {
                    $crate::__install_panic_hook();
                    <$automation as sdk::Automation>::describe()
                }
                fn handle(
                    event: sdk::types::Event,
                    state: ::std::option::Option<::std::string::String>,
                ) -> ::std::result::Result<sdk::types::Outcome, ::std::string::String> {
                    $crate::__install_panic_hook();
                    // The instance ends with this call: giving the event's memory back would be work for nobody.
                    let event = ::std::mem::ManuallyDrop::new(event);
                    sdk::__handle::<$automation>(&event, state.as_deref())
                }
            }
            sdk::bindings::export_automation_world! { Exported with_types_in sdk::bindings }
        };
    };
}
