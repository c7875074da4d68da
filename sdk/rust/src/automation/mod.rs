//! The automation world: [`Automation`], its events, and [`Turn`], in which one event is handled.
//!
//! An automation is called once for each event, in a fresh instance, so statics keep nothing. Whatever it wants to remember
//! in a conversation goes into [`Automation::State`]; its actions go into the [`Turn`]. Both take effect
//! together when the handler returns `Ok`. Otherwise neither does, and the event is handled again later.
//!
//! # Files
//! `events` maps kinds of event to handlers; `turn` collects actions and reads from the engine; `send` has the files and options of
//! messages; `http` and `kv` have the types of calls to the engine; `host` makes these calls, in a guest to the engine and natively
//! to a stand-in; `error` is a handler's error.

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
/// Every type of the world under its own name, including the actions as the engine gets them.
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

/// Decides what to do when something happens in a conversation.
///
/// The default handlers do nothing and let later automations of the connector answer. Only the events listed in
/// [`Description::events`] reach a handler.
pub trait Automation: Sized + 'static {
    /// The configuration, as [`Description::config_schema`] describes it, without its secret fields. Use [`NoConfig`] if there is
    /// none.
    type Config: DeserializeOwned;
    /// The state of one conversation, stored as JSON. Give fields that a later version adds `#[serde(default)]`.
    type State: Serialize + DeserializeOwned + Default;

    /// Names the automation, the events that it wants and the grants that it needs.
    fn describe() -> Description;

    /// Handles any event: the default calls the handler below that the event is for. Override this one in place of the others to treat
    /// all events alike, including those that a later version of the SDK adds. Which events arrive is still up to
    /// [`Description::events`].
    fn on_event(turn: &mut Turn<'_, Self>, event: &EventBody) -> Result<(), Error> {
        events::call_handler(turn, event)
    }

    /// Somebody wrote a message.
    fn on_message(_turn: &mut Turn<'_, Self>, _message: &Message) -> Result<(), Error> {
        Ok(())
    }
    /// Somebody reacted to a message.
    fn on_reaction(_turn: &mut Turn<'_, Self>, _reaction: &Reaction) -> Result<(), Error> {
        Ok(())
    }
    /// A conversation opened; its first event follows.
    fn on_opened(_turn: &mut Turn<'_, Self>) -> Result<(), Error> {
        Ok(())
    }
    /// A timer of this conversation fired.
    fn on_timer(_turn: &mut Turn<'_, Self>, _timer: &Timer) -> Result<(), Error> {
        Ok(())
    }
    /// Somebody started the automation by hand.
    fn on_started(_turn: &mut Turn<'_, Self>, _start: &Start) -> Result<(), Error> {
        Ok(())
    }
    /// Somebody called the automation's webhook.
    fn on_webhook(_turn: &mut Turn<'_, Self>, _webhook: &Webhook) -> Result<(), Error> {
        Ok(())
    }
    /// A message that the automation sent changed its status.
    fn on_status(_turn: &mut Turn<'_, Self>, _change: &StatusChange) -> Result<(), Error> {
        Ok(())
    }
}

/// The configuration of an automation without settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct NoConfig {}

impl Description {
    /// A description without settings and without grants. It lists messages and the events that the automation itself causes
    /// (timers, starts by hand, webhook calls). Set the other fields with `..Description::new(…)`.
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
    /// No grants, and the engine's default limits.
    fn default() -> Self {
        Self { hosts: Vec::new(), kv_bytes: 0, cpu_millis: 0, memory_bytes: 0, events_per_minute: 0 }
    }
}

/// Handles one event; the export macro and the test kit call it.
#[doc(hidden)]
pub fn __handle<A: Automation>(event: &types::Event, state: Option<&str>) -> Result<types::Outcome, String> {
    let mut turn = Turn::<A>::new(event, state).map_err(Error::into_text)?;
    let handled = A::on_event(&mut turn, &event.body);
    handled.and_then(|()| turn.into_outcome()).map_err(Error::into_text)
}

/// Exports an [`Automation`](crate::automation::Automation) as the plugin of this crate.
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
                    // The instance ends with this call, so freeing the event's memory would be wasted work.
                    let event = ::std::mem::ManuallyDrop::new(event);
                    sdk::__handle::<$automation>(&event, state.as_deref())
                }
            }
            sdk::bindings::export_automation_world! { Exported with_types_in sdk::bindings }
        };
    };
}
