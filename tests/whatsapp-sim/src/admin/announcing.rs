//! What the server tells clients when the admin says so.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use wacore::proto_helpers::MessageBuilderExt;
use waproto::whatsapp as wa;

use super::state::Whom;
use super::{Refused, chat, done};
use crate::announce::{self, AccountChange, Capping, CappingStatus, Information};
use crate::phone;
use crate::world::World;

/// What to tell. `on` names whose companions; `phone` is the account that it is about, and those that wrote with it are told.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(super) enum Announcement {
    /// An account may write to no stranger until then (seconds since 1970); without `until` it may again.
    ReachoutTimelock {
        on: Whom,
        #[serde(default)]
        until: Option<u64>,
        #[serde(default = "default_enforcement")]
        enforcement: String,
    },
    /// How many messages to strangers are left.
    MessageCapping { on: Whom, total: u32, used: u32, status: Status, cycle_ends: u64 },
    /// The phone was installed anew: another identity, and no companions.
    Reinstalled { phone: String },
    /// Another picture; none without a link.
    Picture {
        phone: String,
        #[serde(default)]
        link: Option<String>,
    },
    /// Another text about the account.
    About { phone: String, text: String },
    /// The person has another number, which is an account too.
    NumberChanged { phone: String, to: String },
    /// A business with this name; no longer one without a name.
    Business {
        phone: String,
        #[serde(default)]
        name: Option<String>,
    },
    /// After how many seconds messages of new chats disappear.
    Disappearing { phone: String, seconds: u32 },
    /// The account's own companions: the list of devices.
    OwnDevices { phone: String },
    /// The account's own companions: a privacy setting.
    OwnPrivacy { phone: String, name: String, value: String },
    /// The account's own companions: somebody was blocked, or is no longer.
    OwnBlocklist { phone: String, who: String, blocked: bool },
    /// The account's own companions: after how many seconds messages of new chats disappear.
    OwnDisappearing { phone: String, seconds: u32 },
    /// Where to connect the next time, in base64.
    EdgeRouting {
        #[serde(default)]
        on: Whom,
        routing: String,
    },
    /// What to ask for again.
    Dirty {
        #[serde(default)]
        on: Whom,
        what: String,
    },
    /// The client is not good enough.
    Downgrade {
        #[serde(default)]
        on: Whom,
    },
    /// A call rings.
    Call {
        phone: String,
        to: String,
        #[serde(default)]
        video: bool,
    },
    /// The caller hangs up.
    HangUp { phone: String, to: String, id: String },
    /// The account posts a status.
    StatusPost { phone: String, text: String },
    /// A message of which companions get no ciphertext.
    Unavailable {
        phone: String,
        to: String,
        text: String,
        #[serde(default)]
        view_once: bool,
    },
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "camelCase")]
pub(super) enum Status {
    None,
    FirstWarning,
    SecondWarning,
    Capped,
}

fn default_enforcement() -> String {
    "DEFAULT".to_owned()
}

pub(super) async fn announce(world: &Arc<World>, asked: Announcement) -> Result<Value, Refused> {
    match asked {
        Announcement::ReachoutTimelock { on, until, enforcement } => {
            announce::reachout_timelock(world, &on.devices(world)?, until, &enforcement);
        }
        Announcement::MessageCapping { on, total, used, status, cycle_ends } => {
            let status = match status {
                Status::None => CappingStatus::None,
                Status::FirstWarning => CappingStatus::FirstWarning,
                Status::SecondWarning => CappingStatus::SecondWarning,
                Status::Capped => CappingStatus::Capped,
            };
            announce::message_capping(world, &on.devices(world)?, Capping { total, used, status, cycle_ends });
        }
        Announcement::Reinstalled { phone } => announce::reinstalled(world, &phone).await?,
        Announcement::Picture { phone, link } => announce::picture(world, &phone, link.as_deref())?,
        Announcement::About { phone, text } => announce::about(world, &phone, &text)?,
        Announcement::NumberChanged { phone, to } => announce::number_changed(world, &phone, &to)?,
        Announcement::Business { phone, name } => announce::business(world, &phone, name.as_deref())?,
        Announcement::Disappearing { phone, seconds } => announce::disappearing(world, &phone, seconds)?,
        Announcement::OwnDevices { phone } => announce::account_changed(world, &phone, &AccountChange::Devices)?,
        Announcement::OwnPrivacy { phone, name, value } => {
            announce::account_changed(world, &phone, &AccountChange::Privacy(name, value))?;
        }
        Announcement::OwnBlocklist { phone, who, blocked } => {
            announce::account_changed(world, &phone, &AccountChange::Blocked(chat(&who)?, blocked))?;
        }
        Announcement::OwnDisappearing { phone, seconds } => {
            announce::account_changed(world, &phone, &AccountChange::Disappearing(seconds))?;
        }
        Announcement::EdgeRouting { on, routing } => {
            let bytes = BASE64_STANDARD
                .decode(routing.as_bytes())
                .map_err(|e| Refused::bad(format!("routing is not base64: {e}")))?;
            announce::information(world, &on.devices(world)?, &Information::EdgeRouting(bytes));
        }
        Announcement::Dirty { on, what } => {
            announce::information(world, &on.devices(world)?, &Information::Dirty(what));
        }
        Announcement::Downgrade { on } => {
            announce::information(world, &on.devices(world)?, &Information::Downgrade);
        }
        Announcement::Call { phone, to, video } => {
            return Ok(json!({ "id": announce::call(world, &phone, &to, video)? }));
        }
        Announcement::HangUp { phone, to, id } => announce::hang_up(world, &phone, &to, &id)?,
        Announcement::StatusPost { phone, text } => {
            return Ok(json!({ "id": phone::post_status(world, &phone, wa::Message::text(text.as_str())).await? }));
        }
        Announcement::Unavailable { phone, to, text, view_once } => {
            let message = wa::Message::text(text.as_str());
            let id = phone::send_unavailable(world, &phone, &chat(&to)?, message, view_once).await?;
            return Ok(json!({ "id": id }));
        }
    }
    Ok(done())
}
