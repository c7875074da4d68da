//! From a message of the engine's to its outcome. Runs in the call of `send`; knows connections only by what they do to a send.
//!
//! A message has one id for all its attempts ([`message_id`]). Sent again, the library encrypts it again, as the protocol demands,
//! under the same id; a receiver keeps one message for each (chat, sender, id), so the second is not shown. That is why the
//! description says `idempotent-resend`, and why `unknown` may be answered freely here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use futures_channel::oneshot;
use pombo_plugin::clock;
use pombo_plugin::connector::events::{self, Event, Warning};
use pombo_plugin::connector::{Outcome, Outgoing, Throttle};
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use whatsapp_rust::futures::future::{Either, select};
use whatsapp_rust::wacore::types::events::ServerAck;
use whatsapp_rust::{ClientError, ErrorChainExt, SendError, SendOptions};

use crate::live::Live;
use crate::out::{self, Parcel};
use crate::outcome::{self, Ending};
use crate::{message_id, outreach, presence, redact};

/// How long the server has to acknowledge a message.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to ask nothing when the server wants fewer questions and does not say for how long.
const PAUSE_MILLIS: u64 = 60_000;

/// A recording without a text counts as a text of this many characters.
const SPOKEN: usize = 50;

/// Who waits for which acknowledgement.
#[derive(Debug, Default)]
pub(crate) struct Acks(RefCell<HashMap<String, oneshot::Sender<Ending>>>);

impl Acks {
    /// To be called before the message leaves.
    fn expect(&self, id: &str) -> oneshot::Receiver<Ending> {
        let (answer, answered) = oneshot::channel();
        self.0.borrow_mut().insert(id.to_owned(), answer);
        answered
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    fn forget(&self, id: &str) {
        self.0.borrow_mut().remove(id);
    }

    /// The server answered. An answer to something other than a message is ignored.
    pub(crate) fn answered(&self, ack: &ServerAck) {
        if ack.class.as_deref().is_some_and(|class| class != "message") {
            return;
        }
        let waiting = self.0.borrow_mut().remove(&ack.id);
        if let Some(waiting) = waiting {
            // The send may have given up in the meantime.
            let _ = waiting.send(ack.error.clone().map_or(Ending::Acknowledged, Ending::Refused));
        }
    }

    /// The connection ended: no answer will come on it.
    pub(crate) fn connection_lost(&self) {
        let waiting = std::mem::take(&mut *self.0.borrow_mut());
        for (_, waiting) in waiting {
            let _ = waiting.send(Ending::ConnectionLost);
        }
    }
}

/// Sends one message of the engine's, which may be several of the channel's, over a client that is logged in. The first is
/// answered for the whole; when a later one fails, all are sent again under their ids, and the receiver shows only what it has
/// not.
pub(crate) async fn send(live: &Live, message: &Outgoing) -> Outcome {
    let id = message_id::of(&message.client_id);
    let parcel = match out::build(live, message, &id).await {
        Ok(parcel) => parcel,
        Err(outcome) => return outcome,
    };
    presence::work(live).await;
    // The client-id must be known before anybody can answer.
    for (id, _) in &parcel.messages {
        if let Err(error) = live.shared.ledger.remember(id, &message.client_id).await {
            return Outcome::Temporary(error_words(&error));
        }
    }
    // Where somebody waits, a message is not held for the sake of appearance.
    if out::metadata(message, "direct") != Some("1") {
        show_typing(live, &parcel).await;
    }
    for (id, message) in parcel.messages {
        match one(live, &parcel.to, id, message).await {
            Outcome::Accepted(_) => {}
            other => return other,
        }
    }
    Outcome::accepted(Some(id))
}

/// Sends one message of the channel's and waits for its acknowledgement.
async fn one(live: &Live, to: &Jid, id: String, message: wa::Message) -> Outcome {
    if !live.client.is_logged_in() {
        return Outcome::Disconnected("the connection to WhatsApp is down".to_owned());
    }
    let answered = live.shared.acks.expect(&id);
    let options = SendOptions::default().with_message_id(id.clone());
    if let Err(error) = live.client.send_message_with_options(to, message, options).await {
        live.shared.acks.forget(&id);
        return failed(&error);
    }
    let ending = match select(answered, pin!(clock::sleep(PATIENCE))).await {
        Either::Left((Ok(ending), _)) => ending,
        // Replaced by another send of the same message, which has the answer.
        Either::Left((Err(_), _)) => Ending::Silence,
        Either::Right(_) => {
            live.shared.acks.forget(&id);
            Ending::Silence
        }
    };
    if ending.lacks_token() {
        // Whether that is the account's lock or this recipient's missing token, only the server knows.
        outreach::ask(live).await;
    }
    let locked_for = live.shared.outreach.get().locked_for(clock::now_millis());
    let (outcome, warning) = outcome::of(ending, id, locked_for);
    if let Some(warning) = warning {
        warn(warning).await;
    }
    outcome
}

/// Nothing was acknowledged: how far did it get?
fn failed(error: &SendError) -> Outcome {
    match error {
        SendError::NotLoggedIn | SendError::Client(ClientError::NotConnected | ClientError::NotLoggedIn) => {
            Outcome::Disconnected("the connection to WhatsApp is down".to_owned())
        }
        SendError::InvalidRequest(why) => Outcome::rejected(redact::line(why)),
        error => {
            if let Some(rejection) = error.server_rejection() {
                // A question before the message, e.g. for the recipient's devices or a group's members.
                return match rejection.code {
                    429 => Outcome::Throttled(Throttle::of_connector(
                        rejection.backoff.map_or(PAUSE_MILLIS, |seconds| u64::from(seconds) * 1_000),
                        "the server limits the rate of requests (code 429)",
                    )),
                    500 | 503 => Outcome::Temporary(format!("the server is busy (code {})", rejection.code)),
                    404 => Outcome::invalid_recipient("the server does not know this recipient (code 404)".to_owned()),
                    401 | 403 => Outcome::rejected(format!(
                        "the account may not write to this conversation (code {})",
                        rejection.code
                    )),
                    code => Outcome::Temporary(format!("the server answered {code} to a request before the message")),
                };
            }
            if error.is_timeout() {
                return Outcome::Temporary("the server did not answer a request before the message".to_owned());
            }
            if error.is_transport_unavailable() {
                // It may have been the message itself that was being written.
                return Outcome::Unknown("the connection ended while the message was being sent".to_owned());
            }
            Outcome::Temporary(error_words(error))
        }
    }
}

fn error_words(error: &dyn std::fmt::Display) -> String {
    redact::line(&error.to_string())
}

/// Shows that somebody is typing, for a time in proportion to the text. If that fails, the message is sent anyway.
async fn show_typing(live: &Live, parcel: &Parcel) {
    let characters = if parcel.spoken { parcel.typed.max(SPOKEN) } else { parcel.typed };
    let Some(time) = live.shared.config.typing.time(characters) else { return };
    let state = live.client.chatstate();
    let began =
        if parcel.spoken { state.send_recording(&parcel.to).await } else { state.send_composing(&parcel.to).await };
    if began.is_ok() {
        clock::sleep(time).await;
    }
}

async fn warn(text: String) {
    if let Err(error) = events::emit(Event::Warning(Warning::Restricted(text))).await {
        pombo_plugin::log::warn("send", &format!("a warning was not taken: {error:?}"));
    }
}
