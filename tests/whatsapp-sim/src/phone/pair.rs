//! A phone takes a companion: it reads the QR or the code, and signs the companion's identity.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use wacore::{pair::PairUtils, pair_code::PairCodeUtils};
use wacore_libsignal::{
    crypto::aes_256_gcm_decrypt,
    protocol::{KeyPair, PublicKey},
};
use waproto::{
    buffa::Message as _,
    whatsapp::{self as wa, ADVEncryptionType},
};

use crate::{
    Error, session,
    world::{CodePairing, DeviceId, WaitingCompanion, World, public_bytes},
};

/// What a phone keeps between the two steps of a pairing by code.
pub struct CodeSecret {
    ephemeral: KeyPair,
    companion_ephemeral: [u8; 32],
}

/// What came of using a companion's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scanned {
    /// The companion was told that it is this device.
    Linked(DeviceId),
    /// The account demands a passkey: the companion was asked for it.
    AsksForPasskey,
}

/// The phone scans the QR that a client shows.
pub fn scan(world: &Arc<World>, phone: &str, qr: &str) -> Result<Scanned, Error> {
    let (reference, noise_key, identity) =
        PairUtils::parse_qr_code(qr.trim()).map_err(|e| Error::InvalidQr(e.to_string()))?;
    let secret = qr.trim().split(',').nth(3).and_then(|secret| BASE64_STANDARD.decode(secret).ok());
    let secret: [u8; 32] = secret
        .and_then(|secret| secret.try_into().ok())
        .ok_or_else(|| Error::InvalidQr("its secret is not 32 bytes".into()))?;
    let waiting = world.pairings.lock().by_ref(&reference, world.now()).ok_or(Error::NotWaiting("QR"))?;
    if waiting.noise_key != noise_key || waiting.identity != identity {
        return Err(Error::InvalidQr("its keys are not those of the client that waits".into()));
    }
    take(world, phone, &waiting, &secret)
}

/// Takes the companion, unless the account demands a passkey first.
fn take(world: &Arc<World>, phone: &str, waiting: &WaitingCompanion, secret: &[u8; 32]) -> Result<Scanned, Error> {
    let account = world.account_by_phone(phone).ok_or_else(|| Error::UnknownAccount(phone.to_owned()))?;
    if world.passkey(&account.phone).is_some() {
        session::demand_passkey(world, waiting, &account.phone);
        return Ok(Scanned::AsksForPasskey);
    }
    sign(world, phone, waiting, secret).map(Scanned::Linked)
}

/// Signs a companion and tells it.
pub(crate) fn sign(
    world: &Arc<World>,
    phone: &str,
    waiting: &WaitingCompanion,
    secret: &[u8; 32],
) -> Result<DeviceId, Error> {
    let account = world.account_by_phone(phone).ok_or_else(|| Error::UnknownAccount(phone.to_owned()))?;
    let slot = world.directory.write().claim_slot(&account.phone)?;
    let (identity, raw_id) = {
        let directory = world.directory.read();
        let account = directory.find_phone(&account.phone).ok_or_else(|| Error::UnknownAccount(phone.to_owned()))?;
        (account.identity().clone(), account.raw_id)
    };
    let details = wa::ADVDeviceIdentity {
        raw_id: Some(raw_id),
        timestamp: Some(world.now()),
        key_index: Some(slot.1),
        account_type: Some(ADVEncryptionType::E2EE),
        device_type: Some(ADVEncryptionType::E2EE),
    }
    .encode_to_vec();
    let signed = [&[6, 0], details.as_slice(), &waiting.identity].concat();
    let signature = identity
        .private_key
        .calculate_signature(&signed, &mut rand::rng())
        .map_err(|e| Error::InvalidKeys(e.to_string()))?
        .to_vec();
    let container = waproto::codec::adv_signed_device_identity_to_vec(&wa::ADVSignedDeviceIdentity {
        details: Some(details),
        account_signature_key: Some(identity.public_key.public_key_bytes().to_vec()),
        account_signature: Some(signature),
        device_signature: None,
    });
    let sealed = wa::ADVSignedDeviceIdentityHMAC {
        hmac: Some(hmac_sha256(secret, &container)),
        details: Some(container),
        account_type: None,
    }
    .encode_to_vec();
    session::complete_pairing(world, waiting, &account.phone, sealed, slot)
}

fn hmac_sha256(key: &[u8; 32], data: &[u8]) -> Vec<u8> {
    use hmac::Mac as _;
    let Ok(mut mac) = hmac::Hmac::<sha2::Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

/// The person types the code that a client shows. Deriving its key takes a moment: call it from a blocking task.
pub fn link(world: &Arc<World>, phone: &str, code: &str) -> Result<(), Error> {
    let account = world.account_by_phone(phone).ok_or_else(|| Error::UnknownAccount(phone.to_owned()))?;
    let code = code.replace('-', "").trim().to_ascii_uppercase();
    let (pairing, session) = {
        let pairings = world.pairings.lock();
        let known = pairings.by_phone.get(&*account.phone).filter(|pairing| world.now() < pairing.ends).cloned();
        let pairing = known.ok_or(Error::NotWaiting("code"))?;
        let session = pairings
            .waiting
            .get(&pairing.connection)
            .map(|waiting| waiting.session.clone())
            .ok_or(Error::NotWaiting("code"))?;
        (pairing, session)
    };
    let companion_ephemeral = PairCodeUtils::decrypt_primary_ephemeral_pub(&pairing.wrapped_ephemeral, &code)
        .map_err(|e| Error::InvalidKeys(e.to_string()))?;
    let identity = {
        let directory = world.directory.read();
        let account = directory.find_phone(&account.phone).ok_or_else(|| Error::UnknownAccount(phone.to_owned()))?;
        public_bytes(account.identity())
    };
    let ephemeral = KeyPair::generate(&mut rand::rng());
    let wrapped = PairCodeUtils::encrypt_ephemeral_pub(&public_bytes(&ephemeral), &code);
    if let Some(known) = world.pairings.lock().by_phone.get_mut(&*account.phone) {
        known.secret = Some(Arc::new(CodeSecret { ephemeral, companion_ephemeral }));
    }
    session::primary_hello(world, &session, &pairing, wrapped, &identity);
    Ok(())
}

/// Opens the client's sealed keys and signs it. A wrong code shows here: the keys do not open.
pub(crate) fn finish_code(
    world: &Arc<World>,
    phone: &str,
    pairing: &CodePairing,
    waiting: &WaitingCompanion,
    wrapped: &[u8],
) -> Result<Scanned, Error> {
    let secret = pairing.secret.as_ref().ok_or(Error::NotWaiting("code"))?;
    let invalid = |what: &str| Error::InvalidKeys(what.to_owned());
    let agree = |private: &KeyPair, public: &[u8; 32]| {
        let public = PublicKey::from_djb_public_key_bytes(public).map_err(|e| Error::InvalidKeys(e.to_string()))?;
        private.private_key.calculate_agreement(&public).map_err(|e| Error::InvalidKeys(e.to_string()))
    };
    if wrapped.len() < 44 {
        return Err(invalid("the bundle is too short"));
    }
    let shared = agree(&secret.ephemeral, &secret.companion_ephemeral)?;
    let mut key = [0; 32];
    wacore::crypto::hkdf_sha256_into(
        &shared,
        Some(&wrapped[..32]),
        b"link_code_pairing_key_bundle_encryption_key",
        &mut key,
    )
    .map_err(|_| invalid("the bundle's key cannot be derived"))?;
    let iv: [u8; 12] = wrapped[32..44].try_into().map_err(|_| invalid("the bundle is too short"))?;
    let mut bundle = Vec::new();
    aes_256_gcm_decrypt(&key, &iv, b"", &wrapped[44..], &mut bundle)
        .map_err(|_| invalid("the bundle does not open: the code was wrong"))?;
    let identity = {
        let directory = world.directory.read();
        let account = directory.find_phone(phone).ok_or_else(|| Error::UnknownAccount(phone.to_owned()))?;
        account.identity().clone()
    };
    if bundle.len() != 96
        || bundle[..32] != waiting.identity
        || bundle[32..64] != *identity.public_key.public_key_bytes()
    {
        return Err(invalid("the bundle is for other keys"));
    }
    let mut combined = shared.to_vec();
    combined.extend_from_slice(&agree(&identity, &waiting.identity)?);
    combined.extend_from_slice(&bundle[64..]);
    let mut adv_secret = [0; 32];
    wacore::crypto::hkdf_sha256_into(&combined, None, b"adv_secret", &mut adv_secret)
        .map_err(|_| invalid("the secret cannot be derived"))?;
    take(world, phone, waiting, &adv_secret)
}
