//! The whole of a collection: encrypted, on the media host, and named by a reference in the answer. The real one is uploaded by the
//! account's devices; here the phone, whose key is in this process, makes it when it is asked for.

use std::sync::Arc;

use wacore::appstate::expand_app_state_keys;
use wacore::appstate::hash::HashState;
use wacore::download::MediaType;
use wacore::upload::encrypt_media;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp as wa;

use crate::media::Purpose;
use crate::world::World;

/// What a collection held at one version.
struct Held {
    state: HashState,
    records: Vec<wa::SyncdRecord>,
    made: Option<Vec<u8>>,
}

/// The collection with its snapshot; `None` while it is empty, or when the snapshot cannot be made.
pub(super) fn node(world: &World, phone: &Arc<str>, name: &'static str) -> Option<Node> {
    let held = world.appstate.with(phone, name, |collection| {
        let version = collection.version();
        let made = collection.snapshot.as_ref().filter(|(of, _)| *of == version).map(|(_, made)| made.clone());
        (version > 0).then(|| Held {
            state: collection.state.clone(),
            records: if made.is_some() { Vec::new() } else { collection.records.values().cloned().collect() },
            made,
        })
    })?;
    let version = held.state.version;
    let reference = match held.made {
        Some(made) => made,
        None => {
            let made = make(world, phone, name, held)?;
            world.appstate.with(phone, name, |collection| {
                if collection.snapshot.as_ref().is_none_or(|(of, _)| *of < version) {
                    collection.snapshot = Some((version, made.clone()));
                }
            });
            made
        }
    };
    let snapshot = NodeBuilder::new("snapshot").bytes(reference).build();
    let collection = NodeBuilder::new("collection").attr("name", name).attr("version", version);
    Some(collection.children([snapshot, NodeBuilder::new("patches").build()]).build())
}

/// Encrypts a snapshot and puts it on the media host; gives the reference to it.
fn make(world: &World, phone: &Arc<str>, name: &'static str, held: Held) -> Option<Vec<u8>> {
    let key = world.app_state_key(phone)?;
    let keys = expand_app_state_keys(&key.data);
    let snapshot = wa::SyncdSnapshot {
        version: MessageField::some(wa::SyncdVersion { version: Some(held.state.version) }),
        mac: Some(held.state.generate_snapshot_mac(name, &keys.snapshot_mac)),
        records: held.records,
        key_id: MessageField::some(wa::KeyId { id: Some(key.id) }),
    };
    let plain = snapshot.encode_to_vec();
    let encrypted = match encrypt_media(&plain, MediaType::AppState) {
        Ok(encrypted) => encrypted,
        Err(e) => {
            tracing::warn!(name, error = %e, "a snapshot cannot be encrypted");
            return None;
        }
    };
    let direct_path = world.media.put(world, encrypted.data_to_upload.into(), Purpose::Sync);
    let reference = wa::ExternalBlobReference {
        media_key: Some(encrypted.media_key.to_vec()),
        direct_path: Some(direct_path),
        handle: Some(hex::encode(&encrypted.file_enc_sha256[..16])),
        file_size_bytes: Some(plain.len() as u64),
        file_sha256: Some(encrypted.file_sha256.to_vec()),
        file_enc_sha256: Some(encrypted.file_enc_sha256.to_vec()),
    };
    Some(reference.encode_to_vec())
}
