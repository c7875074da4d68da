//! Tells WhatsApp whether the account is online. [`work`] runs in the calls of `send` and `operate`; a task of the executor takes it back.

use std::time::Duration;

use pombo_plugin::{clock, log};
use whatsapp_rust::PresenceError;

use crate::glue::executor;
use crate::live::Live;
use crate::redact;

/// How long after a login the library may still be about to show the account as online.
const SETTLED: Duration = Duration::from_secs(1);

/// A person or an automation is about to type, send or read.
pub(crate) async fn work(live: &Live) {
    let presence = &live.shared.presence;
    if !presence.follows_work() {
        return;
    }
    if presence.begins(clock::monotonic()) {
        said(live.client.presence().set_available().await);
    }
    watch(live);
}

/// The library showed the account as online, as it does at each login and when the account's name becomes known.
pub(crate) fn logged_in(live: &Live) {
    live.shared.presence.connected();
    watch(live);
}

fn watch(live: &Live) {
    let Some(login) = live.shared.presence.watch() else { return };
    let live = live.clone();
    executor::spawn(async move {
        let presence = &live.shared.presence;
        clock::sleep(SETTLED).await;
        while presence.is_watched_by(login) {
            match presence.left(clock::monotonic()) {
                Some(left) if left.is_zero() => {
                    presence.leaves();
                    said(live.client.presence().set_unavailable().await);
                }
                Some(left) => clock::sleep(left).await,
                None => presence.unwatched(login),
            }
        }
    });
}

/// Whatever it was, it is said again at the next login.
fn said(result: Result<(), PresenceError>) {
    if let Err(error) = result {
        log::debug("presence", &redact::line(&error.to_string()));
    }
}
