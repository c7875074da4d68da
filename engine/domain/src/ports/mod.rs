//! What the domain asks of the outside. Implementations live in the other crates; the server wires them.

mod automation;
mod automation_store;
mod channel;
mod chat_store;
mod contact_store;
mod event_filter;
mod file_store;
mod hook_form;
mod operation;
mod outbound;
mod pace;
mod platform;
mod receiving;
mod render;
mod store;
mod store_error;
mod webhook_store;
mod workbooks;

pub use automation::*;
pub use automation_store::*;
pub use channel::*;
pub use chat_store::*;
pub use contact_store::*;
pub use event_filter::*;
pub use file_store::*;
pub use hook_form::*;
pub use operation::*;
pub use outbound::*;
pub use pace::*;
pub use platform::*;
pub use receiving::*;
pub use render::*;
pub use store::*;
pub use store_error::*;
pub use webhook_store::*;
pub use workbooks::*;
