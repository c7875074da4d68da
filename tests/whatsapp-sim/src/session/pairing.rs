//! A client that registers: it gets refs for its QR codes and waits for a phone to sign it.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use wacore_binary::{Jid, Node, SERVER_JID, builder::NodeBuilder};
use wacore_libsignal::protocol::PublicKey;
use waproto::{
    buffa::Message as _,
    whatsapp::{self as wa, client_payload::DevicePairingRegistrationData},
};

use super::{SessionHandle, code, iq, passkey, stream_error};
use crate::{
    Error, appstate,
    wire::LinkError,
    world::{Device, DeviceId, PAIRING_SECONDS, SignedKey, WaitingCompanion, World, public_bytes},
};

/// How many refs a client gets: it shows one after the other.
const REFS: usize = 6;

/// Reads the registration and sends the refs.
pub(super) fn begin(
    world: &Arc<World>,
    session: &SessionHandle,
    noise_key: [u8; 32],
    registration: &DevicePairingRegistrationData,
) -> Result<(), LinkError> {
    let missing = |what| LinkError::Protocol(format!("the registration has no valid {what}"));
    let key = |bytes: &Option<Vec<u8>>| bytes.as_deref().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let number = |bytes: &Option<Vec<u8>>| {
        bytes.as_deref().map_or(0, |bytes| bytes.iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte)))
    };
    let identity = key(&registration.e_ident).ok_or_else(|| missing("identity key"))?;
    let signed_key = SignedKey {
        id: number(&registration.e_skey_id),
        public: key(&registration.e_skey_val).ok_or_else(|| missing("signed prekey"))?,
        signature: registration.e_skey_sig.clone().ok_or_else(|| missing("signature"))?,
    };
    if !signed_by(&identity, &signed_key) {
        return Err(missing("signature of the prekey"));
    }
    let platform = registration
        .device_props
        .as_deref()
        .and_then(|props| wa::DeviceProps::decode_from_slice(props).ok())
        .and_then(|props| props.os)
        .unwrap_or_else(|| "web".into());
    let refs: Vec<String> =
        (0..REFS).map(|_| format!("2@{}", BASE64_STANDARD.encode(rand::random::<[u8; 48]>()))).collect();
    let companion = WaitingCompanion {
        session: session.clone(),
        noise_key,
        identity,
        registration_id: number(&registration.e_regid),
        signed_key,
        platform,
    };
    world.pairings.lock().wait(companion, refs.iter().cloned(), world.now() + PAIRING_SECONDS);
    let refs = refs.into_iter().map(|reference| NodeBuilder::new("ref").bytes(reference.into_bytes()).build());
    session.send(
        NodeBuilder::new("iq")
            .attr("from", SERVER_JID)
            .attr("type", "set")
            .attr("id", world.next_serial().to_string())
            .attr("xmlns", "md")
            .children([NodeBuilder::new("pair-device").children(refs).build()])
            .build(),
    );
    Ok(())
}

/// The signature of a signed prekey covers Signal's encoding of it: the type byte and the key.
pub(super) fn signed_by(identity: &[u8; 32], key: &SignedKey) -> bool {
    let Ok(identity) = PublicKey::from_djb_public_key_bytes(identity) else { return false };
    let mut message = vec![5];
    message.extend_from_slice(&key.public);
    identity.verify_signature(&message, &key.signature)
}

/// The stanzas of a client that is not paired yet.
pub(super) fn route(world: &Arc<World>, session: &SessionHandle, node: &Node) {
    if node.tag != "iq" {
        return;
    }
    let kind = iq::attr(node, "type");
    if kind == "result" {
        if let Some(signed) =
            node.get_optional_child("pair-device-sign").and_then(|sign| sign.get_optional_child("device-identity"))
        {
            finish(world, session, signed);
        }
        return;
    }
    let answer = match iq::attr(node, "xmlns").as_str() {
        "md" => match passkey::handle(world, session, node) {
            passkey::Handled::Answer(answer) => Some(answer),
            passkey::Handled::Silence => return,
            passkey::Handled::Other => code::handle(world, session, node),
        },
        "w:p" | "urn:xmpp:ping" => Some(iq::result(node, [])),
        _ => None,
    };
    session.send(answer.unwrap_or_else(|| iq::error(node, 401, "not-authorized")));
}

/// The phone signed: tells the client, which signs too.
pub(crate) fn complete(
    world: &Arc<World>,
    waiting: &WaitingCompanion,
    phone: &str,
    signed: Vec<u8>,
    slot: (u16, u32),
) -> Result<DeviceId, Error> {
    let account = world.account_by_phone(phone).ok_or_else(|| Error::UnknownAccount(phone.to_owned()))?;
    let device = DeviceId { phone: account.phone.clone(), device: slot.0 };
    let companion = Device {
        id: slot.0,
        key_index: slot.1,
        platform: waiting.platform.clone(),
        noise_key: waiting.noise_key,
        identity: waiting.identity,
        registration_id: waiting.registration_id,
        signed_key: waiting.signed_key.clone(),
        one_time_keys: Default::default(),
        signed_identity: Vec::new(),
    };
    world.pairings.lock().signed.insert(waiting.session.connection, (device.clone(), companion));
    let props = wa::ClientPairingProps { is_chat_db_lid_migrated: Some(account.lid_addressed), ..Default::default() };
    waiting.session.send(
        NodeBuilder::new("iq")
            .attr("from", SERVER_JID)
            .attr("type", "set")
            .attr("id", world.next_serial().to_string())
            .attr("t", world.now())
            .attr("xmlns", "md")
            .children([NodeBuilder::new("pair-success")
                .children([
                    NodeBuilder::new("device-identity").bytes(signed).build(),
                    NodeBuilder::new("platform").attr("name", "android").build(),
                    NodeBuilder::new("device")
                        .attr("jid", Jid::pn_device(&*device.phone, device.device))
                        .attr("lid", Jid::lid_device(&*account.lid, device.device))
                        .build(),
                    NodeBuilder::new("client-props").bytes(props.encode_to_vec()).build(),
                ])
                .build()])
            .build(),
    );
    Ok(device)
}

/// The identity that both signed, without the account's key: clients leave it out of their answer, and the server out of the key
/// bundles it hands out, because who checks it has the key as the identity of the account's phone.
fn checked(world: &World, device: &DeviceId, identity: &[u8; 32], bytes: &[u8]) -> Option<Vec<u8>> {
    let account = public_bytes(world.directory.read().find_phone(&device.phone)?.identity());
    let mut signed = waproto::codec::adv_signed_device_identity_decode(bytes).ok()?;
    signed.account_signature_key = None;
    let signed = waproto::codec::adv_signed_device_identity_to_vec(&signed);
    let valid = wacore::adv::validate_adv_with_identity_key(&signed, identity, Some(&account));
    matches!(valid, wacore::adv::AdvValidation::Valid).then_some(signed)
}

/// The client signed too: it is a companion from here on, and is sent to log in.
fn finish(world: &Arc<World>, session: &SessionHandle, identity: &Node) {
    let signed = world.pairings.lock().signed.remove(&session.connection);
    let (Some((device, mut companion)), Some(bytes)) = (signed, iq::bytes(identity)) else { return };
    let Some(signed) = checked(world, &device, &companion.identity, bytes) else {
        tracing::warn!(connection = session.connection, "a companion's signature is not valid");
        session.end(Some(stream_error(401)));
        return;
    };
    companion.signed_identity = signed;
    let key_index = companion.key_index;
    world.directory.write().add_companion(&device.phone, companion);
    world.pairings.lock().forget(session.connection);
    appstate::on_paired(world, &device);
    super::usync::tell_devices_changed(world, &device.phone, "add", device.device, Some(key_index));
    session.end(Some(stream_error(515)));
}
