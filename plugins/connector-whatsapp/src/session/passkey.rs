//! The passkey step within the session: what the library tells of it, and what is told to the engine. The rules are in [`crate::passkey`].

use std::time::Duration;

use futures_channel::oneshot;
use pombo_plugin::clock;
use pombo_plugin::connector::OperationError;
use pombo_plugin::connector::events::{Event, State};
use serde::Deserialize;
use serde_json::Value;
use whatsapp_rust::wacore::types::events::Event as Library;

use super::link::{Happening, Link};
use super::steps::{Alarm, Step, Wait, wait};
use super::{Session, Wish};
use crate::passkey::{LINK_STEP, News, Then};

/// How long the library keeps a connection on which codes are shown: the first code for a minute, five more for twenty seconds each.
/// Then it closes the connection, whether or not a passkey is waited for, and nothing can keep it from that.
const CODES: Duration = Duration::from_secs(160);
/// So much earlier the step ends here, so that the end has its name.
const EARLIER: Duration = Duration::from_secs(2);

/// The value of the operation `link-step`.
#[derive(Deserialize)]
struct Answered {
    id: String,
    answer: Value,
}

impl Session {
    /// Takes a person's answer to a step of linking; returns once it is passed on to WhatsApp.
    pub(crate) async fn answer(&self, json: &str) -> Result<(), OperationError> {
        let invalid = |why: String| OperationError::Invalid(why);
        let Answered { id, answer } =
            serde_json::from_str(json).map_err(|_| invalid("give id and answer".to_owned()))?;
        let (done, taken) = oneshot::channel();
        self.wish(Wish::Answer(id, answer, done))?;
        let taken = taken.await;
        taken.map_err(|_| OperationError::Unknown("the connector stopped in the meantime".to_owned()))?.map_err(invalid)
    }

    /// What a step of the session's task means for the passkey step; `None`: nothing. `first_code` is when the connection showed its first
    /// code.
    pub(super) fn news(&self, step: &Step, first_code: Option<Duration>) -> Option<News> {
        Some(match step {
            Step::Rang(Alarm::Passkey) => News::TooLong,
            Step::Happened(Happening::Lost | Happening::Ended) => News::Lost,
            Step::Happened(Happening::AskedWithoutOptions) => News::AskedWithoutOptions,
            Step::Happened(Happening::Given(result)) => News::Given(result.clone()),
            Step::Happened(Happening::Confirmed(result)) => News::Confirmed(result.clone()),
            Step::Happened(Happening::Library(event)) => match &**event {
                Library::PairPasskeyRequest(asked) => {
                    News::Asked { options: asked.request_options_json.clone(), left: self.left(first_code) }
                }
                Library::PairPasskeyConfirmation(said) => {
                    News::Compare { code: said.code.clone(), known: said.skip_handoff_ux, left: self.left(first_code) }
                }
                Library::PairPasskeyError(failed) => News::Failed(failed.error.clone()),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// How long a person may take.
    fn left(&self, first_code: Option<Duration>) -> Duration {
        let shown = first_code.map_or(Duration::ZERO, |since| clock::monotonic().saturating_sub(since));
        CODES.saturating_sub(EARLIER).saturating_sub(shown).min(self.shared.config.pairing.timeout())
    }

    /// Tells what is waited for, and sends what is to be sent; `Some` says why linking came to nothing.
    pub(super) async fn follow(&self, then: Then, link: &Link, alarm: &mut Option<(Alarm, Wait)>) -> Option<String> {
        match then {
            Then::Stays => None,
            Then::Ends(why) => Some(why),
            Then::Waits(next) => {
                *alarm = Some((Alarm::Passkey, wait(next.time)));
                self.away(&next.reason, Some(State::Unpaired(next.reason.clone()))).await;
                if let Some(step) = next.step {
                    self.emit(Event::Other((LINK_STEP.to_owned(), step.to_string()))).await;
                }
                if let Some(act) = next.act {
                    link.act(act);
                }
                None
            }
        }
    }
}
