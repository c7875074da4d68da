//! Which kinds of event there are, and which handler each is for.
//!
//! The world's types are exhaustive: a kind that the world has and this table has not does not compile. A component never gets a kind
//! that its own world does not have, since it is called only for kinds that its description lists.

use super::bindings::pombo::automation::types::{EventBody, EventKind};
use super::{Automation, Error, Turn};

macro_rules! events {
    ($($case:ident $(($argument:ident))? = $name:literal => $handler:ident;)*) => {
        impl EventKind {
            /// Every kind of event, for an automation that listens to all.
            pub const ALL: &[Self] = &[$(Self::$case),*];

            /// Its name in the world, for example `message-received`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$case => $name,)*
                }
            }
        }

        impl EventBody {
            /// The kind of event that this is the body of.
            pub const fn kind(&self) -> EventKind {
                match self {
                    $(Self::$case { .. } => EventKind::$case,)*
                }
            }
        }

        pub(super) fn call_handler<A: Automation>(turn: &mut Turn<'_, A>, event: &EventBody) -> Result<(), Error> {
            match event {
                $(EventBody::$case $(($argument))? => A::$handler(turn $(, $argument)?),)*
            }
        }
    };
}

events! {
    MessageReceived(message) = "message-received" => on_message;
    StatusChanged(change) = "status-changed" => on_status;
    Reaction(reaction) = "reaction" => on_reaction;
    ConversationOpened = "conversation-opened" => on_opened;
    TimerFired(timer) = "timer-fired" => on_timer;
    Started(start) = "started" => on_started;
    WebhookCalled(webhook) = "webhook-called" => on_webhook;
}
