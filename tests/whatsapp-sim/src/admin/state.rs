//! What the server knows, and what is to go wrong.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refused, done};
use crate::faults::{LoginRefusal, MessageFault, PasskeyFault, Target};
use crate::media::Failing;
use crate::session;
use crate::world::{DeviceId, World};

/// Whom a fault strikes: everyone, an account's devices, or one of them.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Whom {
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    device: Option<u16>,
}

/// What is to go wrong. `times` is how often, once unless given.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(super) enum Fault {
    /// Sockets are cut: now, or after so many stanzas.
    Drop {
        #[serde(default)]
        on: Whom,
        #[serde(default)]
        after_stanzas: Option<u32>,
    },
    /// The stream ends with this code: 503, 515, …
    StreamError {
        #[serde(default)]
        on: Whom,
        code: u16,
    },
    /// The stream ends because another connection took its place.
    Replace {
        #[serde(default)]
        on: Whom,
    },
    /// Messages are not acked, or later.
    Ack {
        #[serde(default)]
        on: Whom,
        #[serde(default)]
        delay_ms: Option<u64>,
        #[serde(default = "once")]
        times: u32,
    },
    /// Every recipient gets a message so many times.
    Duplicate {
        #[serde(default)]
        on: Whom,
        copies: u32,
        #[serde(default = "once")]
        times: u32,
    },
    /// Messages are damaged on their way: recipients ask for them again.
    Garble {
        #[serde(default)]
        on: Whom,
        #[serde(default = "once")]
        times: u32,
    },
    /// Messages are refused with this code: 463, 479, …
    Nack {
        #[serde(default)]
        on: Whom,
        code: u16,
        #[serde(default = "once")]
        times: u32,
    },
    /// The socket is cut before the server has a message.
    CutBefore {
        #[serde(default)]
        on: Whom,
        #[serde(default = "once")]
        times: u32,
    },
    /// The socket is cut when the server has a message and has not acked it.
    CutAfter {
        #[serde(default)]
        on: Whom,
        #[serde(default = "once")]
        times: u32,
    },
    /// Iqs are refused: 429 `rate-overlimit` unless given.
    RefuseIq {
        #[serde(default)]
        on: Whom,
        #[serde(default)]
        namespace: Option<String>,
        #[serde(default = "rate_overlimit")]
        code: u16,
        #[serde(default)]
        text: Option<String>,
        #[serde(default = "once")]
        times: u32,
    },
    /// A device is logged out.
    Logout { on: Whom },
    /// Logins are refused with `<failure reason=…>`, and with what goes with the reason; with `expire`, for so many seconds at most.
    RefuseLogins {
        reason: u16,
        #[serde(default)]
        code: Option<u32>,
        #[serde(default)]
        expire: Option<u64>,
        #[serde(default)]
        message: Option<String>,
        #[serde(default)]
        url: Option<String>,
        #[serde(default)]
        header: Option<String>,
        #[serde(default)]
        subtext: Option<String>,
        #[serde(default)]
        locale: Option<String>,
        #[serde(default = "once")]
        times: u32,
    },
    /// The next linking of this account, which demands a passkey, goes wrong in this way.
    Passkey { phone: String, way: PasskeyFault },
    /// No connection is taken for a while.
    RefuseConnections { seconds: f64 },
    /// Resumed handshakes are answered as if the server's key had changed.
    RefuseResumption { refuse: bool },
    /// Media expire: those whose direct path contains this text; all without it.
    ExpireMedia {
        #[serde(default)]
        path: String,
    },
    /// Media are gone for good.
    ForgetMedia {
        #[serde(default)]
        path: String,
    },
    /// The next uploads and downloads fail with this status.
    FailMedia {
        #[serde(default)]
        uploads: u32,
        #[serde(default)]
        downloads: u32,
        #[serde(default = "unavailable")]
        status: u16,
    },
    /// What clients were told about the media host is no longer valid.
    RevokeMediaGrants,
    /// Nothing goes wrong any longer.
    Clear,
}

fn once() -> u32 {
    1
}

fn rate_overlimit() -> u16 {
    429
}

fn unavailable() -> u16 {
    503
}

impl Whom {
    fn target(&self, world: &World) -> Result<Target, Refused> {
        Ok(match (&self.phone, self.device) {
            (None, None) => Target::All,
            (None, Some(_)) => return Err(Refused::bad("a device needs the phone it belongs to")),
            (Some(phone), device) => {
                let phone = registered(world, phone)?;
                match device {
                    None => Target::Account(phone.to_string()),
                    Some(device) => Target::Device(DeviceId { phone, device }),
                }
            }
        })
    }

    /// The companions it means.
    pub(super) fn devices(&self, world: &World) -> Result<Vec<DeviceId>, Refused> {
        let phone = self.phone.as_deref().map(|p| registered(world, p)).transpose()?;
        Ok(world
            .device_states()
            .into_iter()
            .map(|state| state.device)
            .filter(|d| phone.as_ref().is_none_or(|p| *p == d.phone) && self.device.is_none_or(|n| n == d.device))
            .collect())
    }
}

fn registered(world: &World, phone: &str) -> Result<Arc<str>, Refused> {
    let account = world.account_by_phone(phone).ok_or_else(|| crate::Error::UnknownAccount(phone.to_owned()))?;
    Ok(account.phone)
}

pub(super) fn fault(world: &Arc<World>, fault: Fault) -> Result<Value, Refused> {
    let on_messages = |on: &Whom, fault, times| {
        world.faults.on_messages(on.target(world)?, fault, times);
        Ok::<_, Refused>(done())
    };
    let counted = |count: usize| Ok(json!({ "ok": true, "count": count }));
    match fault {
        Fault::Drop { on, after_stanzas } => {
            let devices = on.devices(world)?;
            for device in &devices {
                match (after_stanzas, world.session(device)) {
                    (Some(stanzas), _) => world.faults.cut_after(device.clone(), stanzas),
                    (None, Some(session)) => session.cut(),
                    (None, None) => {}
                }
            }
            counted(devices.len())
        }
        Fault::StreamError { on, code } => counted(end(world, &on, || session::stream_error(code))?),
        Fault::Replace { on } => counted(end(world, &on, session::replaced)?),
        Fault::Ack { on, delay_ms: None, times } => on_messages(&on, MessageFault::LoseAck, times),
        Fault::Ack { on, delay_ms: Some(delay), times } => {
            on_messages(&on, MessageFault::DelayAck(Duration::from_millis(delay)), times)
        }
        Fault::Duplicate { on, copies, times } => on_messages(&on, MessageFault::Duplicate(copies), times),
        Fault::Garble { on, times } => on_messages(&on, MessageFault::Garble, times),
        Fault::Nack { on, code, times } => on_messages(&on, MessageFault::Nack(code), times),
        Fault::CutBefore { on, times } => on_messages(&on, MessageFault::CutBefore, times),
        Fault::CutAfter { on, times } => on_messages(&on, MessageFault::CutAfter, times),
        Fault::RefuseIq { on, namespace, code, text, times } => {
            let text = text.as_deref().unwrap_or("rate-overlimit");
            world.faults.on_iqs(on.target(world)?, namespace, code, text, times);
            Ok(done())
        }
        Fault::Logout { on } => {
            let devices = on.devices(world)?;
            for device in &devices {
                session::remove_companion(world, device);
            }
            counted(devices.len())
        }
        Fault::RefuseLogins { reason, code, expire, message, url, header, subtext, locale, times } => {
            let refusal = LoginRefusal { reason, code, expire, message, url, header, subtext, locale };
            world.faults.refuse_logins(refusal, times, world.clock.now());
            Ok(done())
        }
        Fault::Passkey { phone, way } => {
            world.faults.on_next_passkey(&registered(world, &phone)?, way);
            Ok(done())
        }
        Fault::RefuseConnections { seconds } => {
            let pause = Duration::try_from_secs_f64(seconds)
                .map_err(|e| Refused::bad(format!("{seconds} is not a number of seconds: {e}")))?;
            world.faults.close_until(world.clock.now().saturating_add(pause));
            Ok(done())
        }
        Fault::RefuseResumption { refuse } => {
            world.faults.refuse_resumption(refuse);
            Ok(done())
        }
        Fault::ExpireMedia { path } => counted(world.media.expire(&path)),
        Fault::ForgetMedia { path } => counted(world.media.forget(&path)),
        Fault::FailMedia { uploads, downloads, status } => {
            world.media.fail_next(Failing { uploads: (uploads, status), downloads: (downloads, status) });
            Ok(done())
        }
        Fault::RevokeMediaGrants => {
            world.media.revoke_grants();
            Ok(done())
        }
        Fault::Clear => {
            world.faults.clear();
            world.media.fail_next(Failing::default());
            Ok(done())
        }
    }
}

fn end(world: &World, on: &Whom, last: impl Fn() -> wacore_binary::Node) -> Result<usize, Refused> {
    let sessions: Vec<_> = on.devices(world)?.iter().filter_map(|device| world.session(device)).collect();
    for session in &sessions {
        session.end(Some(last()));
    }
    Ok(sessions.len())
}

pub(super) fn devices(world: &World) -> Value {
    world
        .device_states()
        .iter()
        .map(|state| {
            json!({
                "phone": &*state.device.phone,
                "device": state.device.device,
                "online": state.online,
                "live": state.live,
                "queued": state.queued,
                "logins": state.logins,
            })
        })
        .collect()
}

pub(super) fn messages(world: &World) -> Value {
    world
        .relayed()
        .iter()
        .map(|m| {
            json!({
                "id": m.id,
                "from": m.from,
                "to": m.to,
                "count": m.count,
                "fanout": m.fanout,
                "firstAt": m.first_at,
            })
        })
        .collect()
}

pub(super) fn stats(world: &World) -> Value {
    let states = world.device_states();
    let (messages, stanzas) = world.ledger.lock().totals();
    let media = world.media.stock();
    json!({
        "accounts": world.accounts().len(),
        "devices": states.len(),
        "online": states.iter().filter(|s| s.online).count(),
        "queued": states.iter().map(|s| s.queued).sum::<usize>(),
        "messages": messages,
        "messageStanzas": stanzas,
        "groups": world.groups.all().len(),
        "media": media.blobs,
        "mediaBytes": media.bytes,
        "uploads": media.uploads,
        "downloads": media.downloads,
        "faultsArmed": world.faults.armed(),
    })
}
