//! Accounts, and what their phones do and see.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refused, chat, done};
use crate::phone::{self, Received, Scanned};
use crate::world::{AccountInfo, NewAccount, World};
use crate::{Error, appstate};

/// An account to register.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Register {
    phone: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    without_ninth_digit: bool,
    #[serde(default)]
    lid_addressed: bool,
    #[serde(default)]
    without_history: bool,
    #[serde(default)]
    demands_passkey: bool,
}

/// A QR to scan.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scan {
    qr: String,
}

/// A pairing code to enter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    code: String,
}

/// What the account's passkey is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// The request options of WebAuthn.
    options: Value,
}

/// A message to read, or a voice note to play.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {
    id: String,
    #[serde(default)]
    played: bool,
}

/// A new name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    name: String,
}

/// What to show to a chat.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Typing {
    to: String,
    state: State,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Composing,
    Recording,
    Paused,
}

/// On or off.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    on: bool,
}

pub(super) fn list(world: &World) -> Value {
    world.accounts().iter().map(show).collect()
}

pub(super) fn register(world: &World, asked: Register) -> Result<Value, Refused> {
    let account = world.register(NewAccount {
        phone: asked.phone,
        name: asked.name,
        without_ninth_digit: asked.without_ninth_digit,
        lid_addressed: asked.lid_addressed,
        without_history: asked.without_history,
        demands_passkey: asked.demands_passkey,
    })?;
    Ok(show(&account))
}

pub(super) fn scan(world: &Arc<World>, phone: &str, asked: Scan) -> Result<Value, Refused> {
    Ok(match phone::scan(world, phone, &asked.qr)? {
        Scanned::Linked(device) => json!({ "phone": &*device.phone, "device": device.device }),
        Scanned::AsksForPasskey => json!({ "asksForPasskey": true }),
    })
}

pub(super) async fn link(world: &Arc<World>, phone: &str, asked: Link) -> Result<Value, Refused> {
    let (world, phone) = (world.clone(), phone.to_owned());
    let linked = tokio::task::spawn_blocking(move || phone::link(&world, &phone, &asked.code)).await;
    linked.map_err(|e| Refused { status: 500, reason: e.to_string() })??;
    Ok(done())
}

/// The account's passkey answers, as a browser would write it.
pub(super) fn passkey(world: &World, phone: &str, asked: &Ask) -> Result<Value, Refused> {
    let passkey = world.passkey(phone).ok_or_else(|| Refused::bad(format!("{phone} has no passkey")))?;
    passkey.answer(&asked.options).ok_or_else(|| Refused::bad("the options have no challenge"))
}

/// The code that the phone shows while a companion is linked with a passkey.
pub(super) fn passkey_code(world: &World, phone: &str) -> Result<Value, Refused> {
    world.account_by_phone(phone).ok_or_else(|| Error::UnknownAccount(phone.to_owned()))?;
    Ok(json!({ "code": world.passkey_code(phone) }))
}

pub(super) fn inbox(world: &World, phone: &str) -> Result<Value, Refused> {
    Ok(phone::inbox(world, phone)?.iter().map(message).collect())
}

pub(super) fn seen(world: &World, phone: &str) -> Result<Value, Refused> {
    let seen = phone::with_seen(world, phone, |seen| {
        json!({
            "receipts": seen.receipts(),
            "typing": seen.chat_states(),
            "failures": seen.failures().iter().map(|(id, why)| json!({ "id": id, "why": why })).collect::<Vec<_>>(),
            "duplicates": seen.duplicates(),
        })
    })?;
    Ok(seen)
}

pub(super) fn mark_read(world: &Arc<World>, phone: &str, asked: Read) -> Result<Value, Refused> {
    match phone::read(world, phone, std::slice::from_ref(&asked.id), asked.played)? {
        0 => Err(Refused { status: 404, reason: format!("the phone received no message {}", asked.id) }),
        _ => Ok(done()),
    }
}

pub(super) fn rename(world: &Arc<World>, phone: &str, asked: Rename) -> Result<Value, Refused> {
    world.account_by_phone(phone).ok_or_else(|| Error::UnknownAccount(phone.to_owned()))?;
    appstate::set_push_name(world, phone, &asked.name);
    Ok(done())
}

pub(super) fn typing(world: &Arc<World>, phone: &str, asked: Typing) -> Result<Value, Refused> {
    let state = match asked.state {
        State::Composing => "composing",
        State::Recording => "recording",
        State::Paused => "paused",
    };
    phone::typing(world, phone, &chat(&asked.to)?, state)?;
    Ok(done())
}

pub(super) fn switch(world: &Arc<World>, phone: &str, asked: Switch) -> Result<Value, Refused> {
    phone::switch(world, phone, asked.on)?;
    Ok(done())
}

fn show(account: &AccountInfo) -> Value {
    json!({
        "phone": &*account.phone,
        "lid": account.lid_jid().to_string(),
        "name": &*account.name,
        "lidAddressed": account.lid_addressed,
    })
}

/// A message of an inbox as it is shown.
pub(crate) fn message(m: &Received) -> Value {
    json!({
        "id": m.id,
        "from": m.from,
        "chat": m.chat,
        "fromMe": m.from_me,
        "kind": m.kind,
        "text": m.text,
        "target": m.target,
        "mentions": m.mentions,
        "media": m.media,
        "copies": m.copies,
        "at": m.at,
    })
}
