//! Media that expired: the client that cannot download them asks its own account's phone, which has the message, to have
//! them uploaded again; the answer, encrypted under the media's key, names the new place.

use std::sync::Arc;

use hkdf::Hkdf;
use rand::Rng;
use sha2::Sha256;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use wacore_libsignal::crypto::{aes_256_gcm_decrypt, aes_256_gcm_encrypt};
use waproto::buffa::Message as _;
use waproto::whatsapp as wa;

use crate::phone;
use crate::world::{DeviceId, World};

/// The code in `<error>`: the phone does not have the message, or the media are gone for good.
const NOT_FOUND: u16 = 2;
/// The code in `<error>`: the request does not decrypt.
const DECRYPTION_ERROR: u16 = 3;

pub(super) fn handle(world: &Arc<World>, device: &DeviceId, receipt: &Node) {
    let Some(id) = receipt.attrs().optional_string("id") else { return };
    let answer = match renew(world, device, &id, receipt) {
        Ok(encrypted) => encrypted,
        Err(code) => NodeBuilder::new("error").attr("code", code).build(),
    };
    let mut notification = NodeBuilder::new("notification")
        .attr("type", "mediaretry")
        .attr("from", device.user())
        .attr("id", &*id)
        .attr("t", world.now());
    let mut children = vec![answer];
    if let Some(rmr) = receipt.get_optional_child("rmr") {
        children.push(rmr.clone());
    }
    notification = notification.children(children);
    world.notify(device, notification.build());
}

fn renew(world: &World, device: &DeviceId, id: &str, receipt: &Node) -> Result<Node, u16> {
    let (media_key, old_path) = known(world, &device.phone, id).ok_or(NOT_FOUND)?;
    let key = derive(&media_key);
    let part = |name| match &receipt.get_optional_child_by_tag(&["encrypt", name])?.content {
        Some(wacore_binary::NodeContent::Bytes(bytes)) => Some(bytes.as_slice()),
        _ => None,
    };
    let iv: &[u8; 12] = part("enc_iv").and_then(|iv| iv.try_into().ok()).ok_or(DECRYPTION_ERROR)?;
    let mut request = Vec::new();
    aes_256_gcm_decrypt(&key, iv, id.as_bytes(), part("enc_p").unwrap_or_default(), &mut request)
        .map_err(|_| DECRYPTION_ERROR)?;

    let direct_path = world.media.renew(world, &old_path).ok_or(NOT_FOUND)?;
    let answer = wa::MediaRetryNotification {
        stanza_id: Some(id.to_owned()),
        direct_path: Some(direct_path),
        result: Some(wa::media_retry_notification::ResultType::SUCCESS),
        ..Default::default()
    };
    let mut iv = [0_u8; 12];
    rand::rng().fill_bytes(&mut iv);
    let mut encrypted = Vec::new();
    aes_256_gcm_encrypt(&key, &iv, id.as_bytes(), &answer.encode_to_vec(), &mut encrypted)
        .map_err(|_| DECRYPTION_ERROR)?;
    let encrypted = NodeBuilder::new("enc_p").bytes(encrypted).build();
    let iv = NodeBuilder::new("enc_iv").bytes(iv.to_vec()).build();
    Ok(NodeBuilder::new("encrypt").children([encrypted, iv]).build())
}

/// The key and the path of a message's media, as the account's phone knows them.
fn known(world: &World, phone: &str, id: &str) -> Option<(Vec<u8>, String)> {
    let find = |seen: &phone::Seen| seen.messages().iter().find(|m| m.id == id).map(|m| m.message.clone());
    let bytes = phone::with_seen(world, phone, find).ok().flatten()?;
    let message = waproto::codec::message_decode(&bytes).ok()?;
    let media = crate::peer::record::downloadable(&message)?;
    Some((media.media_key()?.to_vec(), media.direct_path()?.to_owned()))
}

fn derive(media_key: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let expanded = Hkdf::<Sha256>::new(None, media_key).expand(b"WhatsApp Media Retry Notification", &mut key);
    debug_assert!(expanded.is_ok(), "32 bytes are within HKDF's limit");
    key
}
