//! A paired device logs in, and leaves.

use std::sync::Arc;

use wacore_binary::{Jid, Node, builder::NodeBuilder};
use waproto::whatsapp as wa;

use super::{SessionHandle, presence, removed, replaced};
use crate::faults::LoginRefusal;
use crate::world::{DeviceId, World};

/// Decides about a login; a refusal is the `<failure>` to send.
#[expect(clippy::result_large_err, reason = "one a connection, and the refusal is what is sent")]
pub(super) fn admit(world: &World, username: &str, device: u16, noise_key: &[u8; 32]) -> Result<DeviceId, Node> {
    if let Some(refusal) = world.faults.refuses_logins(world.clock.now()) {
        return Err(failure(&refusal));
    }
    let unknown = LoginRefusal { reason: 401, ..LoginRefusal::default() };
    let Some(device) = world.resolve_device(&Jid::pn_device(username, device)) else { return Err(failure(&unknown)) };
    let directory = world.directory.read();
    match directory.companion(&device) {
        Some(companion) if companion.noise_key == *noise_key => Ok(device),
        _ => Err(failure(&unknown)),
    }
}

/// `<failure reason=…>`.
pub(super) fn failure(refusal: &LoginRefusal) -> Node {
    let mut failure = NodeBuilder::new("failure").attr("reason", u32::from(refusal.reason)).attr("location", "sim");
    if let Some(code) = refusal.code {
        failure = failure.attr("code", code);
    }
    if let Some(expire) = refusal.expire {
        failure = failure.attr("expire", expire);
    }
    let texts = [
        ("message", &refusal.message),
        ("url", &refusal.url),
        ("logout_message_header", &refusal.header),
        ("logout_message_subtext", &refusal.subtext),
        ("logout_message_locale", &refusal.locale),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            failure = failure.attr(name, text);
        }
    }
    failure.build()
}

/// The device is in: says so, and replaces an older connection of it. One that did not log in passively gets its backlog at once.
pub(super) fn begin(world: &Arc<World>, session: &SessionHandle, payload: &wa::ClientPayload) {
    let before = world.mail.lock().login(session.clone());
    if let Some(before) = before {
        before.end(Some(replaced()));
    }
    if let Some(name) = payload.push_name.as_deref().filter(|name| !name.is_empty()) {
        world.set_push_name(&session.device.phone, name);
    }
    let Some(account) = world.account_by_phone(&session.device.phone) else { return };
    session.send(
        NodeBuilder::new("success")
            .attr("t", world.now())
            .attr("location", "sim")
            .attr("props", 27_u32)
            .attr("lid", Jid::lid_device(&*account.lid, session.device.device))
            .attr("display_name", &*account.name)
            .build(),
    );
    if payload.passive == Some(false) {
        world.mail.lock().activate(&session.device);
    }
}

/// The connection is gone.
pub(super) fn leave(world: &Arc<World>, session: &SessionHandle) {
    let was_present = world.mail.lock().disconnect(&session.device, session.connection);
    if was_present {
        let watchers = world.presences.lock().forget(&session.device, world.now());
        presence::tell(world, &session.device.phone, &watchers, false);
    }
}

/// Removes a companion: its session, its queue, its keys. `Ok(false)`: there was none.
pub(crate) fn remove_companion(world: &Arc<World>, device: &DeviceId) -> bool {
    let known = world.directory.write().remove_companion(device);
    let session = world.mail.lock().remove(device);
    if let Some(session) = session {
        session.end(Some(removed()));
    }
    if known {
        super::usync::tell_devices_changed(world, &device.phone, "remove", device.device, None);
    }
    known
}
