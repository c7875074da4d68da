//! Linking an account that demands a passkey: after the phone used the code, the server asks the companion for an answer of the account's
//! passkey, carries ephemeral keys between companion and phone, and lets a person compare a code before the companion sends its secret.

use std::sync::Arc;
use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use wacore::shortcake::ShortcakeUtils;
use wacore_binary::{Node, SERVER_JID, builder::NodeBuilder};
use wacore_libsignal::{
    crypto::aes_256_gcm_decrypt,
    protocol::{KeyPair, PublicKey},
};
use waproto::{
    buffa::Message as _,
    whatsapp::{self as wa, device_props::PlatformType},
};

use super::{SessionHandle, iq};
use crate::{
    authenticator::RELYING_PARTY,
    faults::PasskeyFault as Fault,
    world::{Linking, Prologue, WaitingCompanion, World, public_bytes},
};

/// The phone is as far away as a phone is: the companion has the answer to its request before the phone's own words.
const AWAY: Duration = Duration::from_millis(50);

/// What became of a request.
pub(super) enum Handled {
    /// It is answered.
    Answer(Node),
    /// It is never answered, or the connection is gone.
    Silence,
    /// It is no part of this.
    Other,
}

fn refused(request: &Node, code: u16, text: &str) -> Handled {
    Handled::Answer(iq::error(request, code, text))
}

/// The phone used the companion's code, and the account demands a passkey.
pub(crate) fn demand(world: &Arc<World>, waiting: &WaitingCompanion, phone: &Arc<str>) {
    let fault = world.faults.on_passkey(phone);
    let session = &waiting.session;
    let linking = Linking {
        phone: phone.clone(),
        fault,
        challenge: rand::random(),
        reference: None,
        prologue: None,
        opened: false,
    };
    let options = match fault {
        Some(Fault::Silent) => return,
        Some(Fault::WithoutOptions | Fault::OptionsRefused | Fault::OptionsIgnored) => None,
        Some(Fault::BrokenOptions) => Some(r#"{"rpId":"whatsapp.com"}"#.to_owned()),
        _ => options(world, phone, &linking.challenge),
    };
    world.passkeys.lock().linkings.insert(session.connection, linking);
    let notification = NodeBuilder::new("notification")
        .attr("from", SERVER_JID)
        .attr("id", world.next_serial().to_string())
        .attr("t", world.now())
        .attr("type", "passkey_prologue_request");
    session.send(match options {
        Some(options) => {
            let options = NodeBuilder::new("passkey_request_options").bytes(options.into_bytes()).build();
            notification.children([options]).build()
        }
        None => notification.build(),
    });
}

/// The request options of WebAuthn for the account's passkey.
fn options(world: &World, phone: &str, challenge: &[u8; 32]) -> Option<String> {
    let passkeys = world.passkeys.lock();
    let passkey = passkeys.accounts.get(phone)?;
    let options = json!({
        "challenge": BASE64_URL_SAFE_NO_PAD.encode(challenge),
        "rpId": RELYING_PARTY,
        "timeout": 60_000,
        "userVerification": "required",
        "allowCredentials": [{"type": "public-key", "id": BASE64_URL_SAFE_NO_PAD.encode(passkey.credential())}],
    });
    Some(options.to_string())
}

/// A request of a companion that links to such an account.
pub(super) fn handle(world: &Arc<World>, session: &SessionHandle, request: &Node) -> Handled {
    let fault = world.passkeys.lock().linkings.get(&session.connection).map(|linking| linking.fault);
    // Without a linking the companion asks for what it was not asked for.
    let Some(fault) = fault else { return Handled::Other };
    let has = |tag: &str| request.get_optional_child(tag).is_some();
    if has("passkey_request_options") {
        return match fault {
            Some(Fault::OptionsRefused) => refused(request, 404, "item-not-found"),
            Some(Fault::OptionsIgnored) => Handled::Silence,
            _ => fetched(world, session, request),
        };
    }
    if has("ref") {
        return match fault {
            Some(Fault::NoReference) => refused(request, 503, "service-unavailable"),
            _ => refer(world, session, request),
        };
    }
    if let Some(answer) = request.get_optional_child("passkey_prologue") {
        return match fault {
            Some(Fault::Ignored) => Handled::Silence,
            Some(Fault::Refused) => refused(request, 403, "forbidden"),
            Some(Fault::Expired) => refused(request, 410, "gone"),
            Some(Fault::CutAfterAnswer) => {
                session.cut();
                Handled::Silence
            }
            fault => prologue(world, session, request, answer, fault),
        };
    }
    if has("companion_nonce") {
        return match fault {
            Some(Fault::NonceIgnored) => Handled::Silence,
            fault => nonce(world, session, request, fault),
        };
    }
    if has("encrypted_pairing_request") {
        return match fault {
            Some(Fault::ConfirmIgnored) => Handled::Silence,
            Some(Fault::ConfirmRefused) => refused(request, 400, "bad-request"),
            Some(Fault::CutAfterConfirm) => {
                session.cut();
                Handled::Silence
            }
            fault => confirmed(world, session, request, fault),
        };
    }
    Handled::Other
}

/// The companion asks for the options that the demand left out.
fn fetched(world: &World, session: &SessionHandle, request: &Node) -> Handled {
    let (phone, challenge) = {
        let passkeys = world.passkeys.lock();
        let Some(linking) = passkeys.linkings.get(&session.connection) else { return Handled::Other };
        (linking.phone.clone(), linking.challenge)
    };
    match options(world, &phone, &challenge) {
        Some(options) => {
            let options = NodeBuilder::new("passkey_request_options").bytes(options.into_bytes()).build();
            Handled::Answer(iq::result(request, [options]))
        }
        None => refused(request, 404, "item-not-found"),
    }
}

fn refer(world: &World, session: &SessionHandle, request: &Node) -> Handled {
    let reference = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>());
    let mut passkeys = world.passkeys.lock();
    let Some(linking) = passkeys.linkings.get_mut(&session.connection) else { return Handled::Other };
    linking.reference = Some(reference.clone());
    Handled::Answer(iq::result(request, [NodeBuilder::new("ref").bytes(reference.into_bytes()).build()]))
}

/// The answer of the passkey, with the companion's ephemeral identity.
fn prologue(
    world: &Arc<World>,
    session: &SessionHandle,
    request: &Node,
    answer: &Node,
    fault: Option<Fault>,
) -> Handled {
    let part = |tag: &str| iq::child_bytes(answer, tag);
    let (Some(credential), Some(assertion), Some(payload)) =
        (part("credential_id"), part("webauthn_assertion"), part("prologue_payload"))
    else {
        return refused(request, 400, "bad-request");
    };
    let phone_key = KeyPair::generate(&mut rand::rng());
    let primary = {
        let mut passkeys = world.passkeys.lock();
        let Some(linking) = passkeys.linkings.get(&session.connection) else { return Handled::Other };
        let Some(passkey) = passkeys.accounts.get(&linking.phone) else {
            return refused(request, 404, "item-not-found");
        };
        if let Err(why) = passkey.check(&linking.challenge, credential, assertion) {
            tracing::info!(connection = session.connection, %why, "the answer of a passkey is not taken");
            return refused(request, 403, "forbidden");
        }
        let Some(prologue) = opened(payload, linking.reference.as_deref(), phone_key) else {
            return refused(request, 400, "bad-request");
        };
        let primary = wa::PrimaryEphemeralIdentity {
            public_key: Some(public_bytes(&prologue.phone_key).to_vec()),
            nonce: Some(prologue.phone_nonce.to_vec()),
        }
        .encode_to_vec();
        if let Some(linking) = passkeys.linkings.get_mut(&session.connection) {
            linking.prologue = Some(prologue);
        }
        primary
    };
    if fault != Some(Fault::NeverContinued) {
        let continuation = NodeBuilder::new("notification")
            .attr("from", SERVER_JID)
            .attr("id", world.next_serial().to_string())
            .attr("t", world.now())
            .attr("type", "crsc_continuation");
        let continuation = match fault {
            Some(Fault::BrokenContinuation) => continuation.build(),
            _ => continuation.children([NodeBuilder::new("primary_ephemeral_identity").bytes(primary).build()]).build(),
        };
        let session = session.clone();
        tokio::spawn(async move {
            tokio::time::sleep(AWAY).await;
            session.send(continuation);
        });
    }
    Handled::Answer(iq::result(request, []))
}

/// Reads what the companion says of itself; it must name the reference that it was given.
fn opened(payload: &[u8], reference: Option<&str>, phone_key: KeyPair) -> Option<Prologue> {
    let payload = wa::ProloguePayload::decode_from_slice(payload).ok()?;
    let identity = payload.companion_ephemeral_identity?;
    let commitment = payload.commitment.into_option()?.hash?;
    let said = wa::CompanionEphemeralIdentity::decode_from_slice(identity.as_slice()).ok()?;
    let public = <[u8; 32]>::try_from(said.public_key?.as_slice()).ok()?;
    (said.r#ref.as_deref() == reference && reference.is_some()).then_some(())?;
    let platform: PlatformType = said.device_type?;
    Some(Prologue { identity, commitment, public, platform, phone_key, phone_nonce: rand::random() })
}

/// The companion opens the nonce that it committed to: both sides have the code from here on.
fn nonce(world: &World, session: &SessionHandle, request: &Node, fault: Option<Fault>) -> Handled {
    let Some(nonce) = iq::child_bytes(request, "companion_nonce").and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
    else {
        return refused(request, 400, "bad-request");
    };
    let mut passkeys = world.passkeys.lock();
    let Some(linking) = passkeys.linkings.get_mut(&session.connection) else { return Handled::Other };
    let Some(prologue) = &linking.prologue else { return refused(request, 400, "bad-request") };
    if ShortcakeUtils::commitment_hash(&prologue.identity, &nonce).as_slice() != prologue.commitment {
        return refused(request, 400, "bad-request");
    }
    let public = public_bytes(&prologue.phone_key);
    let bare = match fault {
        // Somebody in between has other keys.
        Some(Fault::OtherCode) => {
            ShortcakeUtils::derive_verification_code(&rand::random(), &public, &prologue.phone_nonce)
        }
        _ => ShortcakeUtils::derive_verification_code(&nonce, &public, &prologue.phone_nonce),
    };
    linking.opened = true;
    let phone = linking.phone.clone();
    let (left, right) = bare.split_at(bare.len() / 2);
    passkeys.shown.insert(phone, format!("{left}-{right}"));
    Handled::Answer(iq::result(request, []))
}

/// The person confirmed: the companion sends its keys and its secret, and the phone signs.
fn confirmed(world: &Arc<World>, session: &SessionHandle, request: &Node, fault: Option<Fault>) -> Handled {
    let Some(sealed) = iq::child_bytes(request, "encrypted_pairing_request") else {
        return refused(request, 400, "bad-request");
    };
    let waiting = world.pairings.lock().waiting.get(&session.connection).cloned();
    let (phone, secret) = {
        let passkeys = world.passkeys.lock();
        let Some(linking) = passkeys.linkings.get(&session.connection) else { return Handled::Other };
        let secret = waiting.as_ref().and_then(|waiting| unsealed(linking, waiting, sealed));
        let Some(secret) = secret else { return refused(request, 400, "bad-request") };
        (linking.phone.clone(), secret)
    };
    let Some(waiting) = waiting else { return refused(request, 404, "item-not-found") };
    if fault != Some(Fault::NeverPaired) {
        let world = world.clone();
        tokio::spawn(async move {
            tokio::time::sleep(AWAY).await;
            if let Err(error) = crate::phone::sign(&world, &phone, &waiting, &secret) {
                tracing::warn!(%error, "an account with a passkey was not linked");
            }
        });
    }
    Handled::Answer(iq::result(request, []))
}

/// The companion's new secret, if its request opens and is for its own keys.
fn unsealed(linking: &Linking, waiting: &WaitingCompanion, sealed: &[u8]) -> Option<[u8; 32]> {
    let prologue = linking.prologue.as_ref().filter(|_| linking.opened)?;
    let theirs = PublicKey::from_djb_public_key_bytes(&prologue.public).ok()?;
    let shared = prologue.phone_key.private_key.calculate_agreement(&theirs).ok()?;
    let reference = linking.reference.as_deref()?;
    let key = ShortcakeUtils::derive_encryption_key_from_shared_secret(&shared, prologue.platform, reference).ok()?;
    let sealed = wa::EncryptedPairingRequest::decode_from_slice(sealed).ok()?;
    let iv = <[u8; 12]>::try_from(sealed.iv?.as_slice()).ok()?;
    let mut open = Vec::new();
    aes_256_gcm_decrypt(&key, &iv, b"", &sealed.encrypted_payload?, &mut open).ok()?;
    let request = wa::PairingRequest::decode_from_slice(open.as_slice()).ok()?;
    let own = request.companion_public_key.as_deref() == Some(&waiting.noise_key[..])
        && request.companion_identity_key.as_deref() == Some(&waiting.identity[..]);
    own.then_some(())?;
    <[u8; 32]>::try_from(request.adv_secret?.as_slice()).ok()
}
