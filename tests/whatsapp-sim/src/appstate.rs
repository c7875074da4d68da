//! App-state collections: what an account's devices keep in common (push name, muted chats, contacts, …), as patches that
//! the server orders but cannot read. Knows no socket; called by the sessions' tasks.
//!
//! A client that has nothing gets a snapshot, as a blob on the media host; one that has something gets the patches it lacks. The
//! server numbers the patches and refuses one that was built on an older version (409, with the patches that won). The account's
//! phone writes too: it has the key, makes the snapshots, and puts the push name where a companion looks for it when it is paired.
//!
//! # Layout
//! - this file: collections, patches, and what the phone writes; `snapshot`: the whole of a collection as a blob.
//!
//! `Invariant:` the patches of a collection are numbered 1, 2, 3, … and never change.

mod snapshot;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::Rng;
use wacore::appstate::expand_app_state_keys;
use wacore::appstate::hash::{HashState, generate_patch_mac};
use wacore_appstate::encode::encode_record;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent, Server};
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp as wa;

use crate::session::{self, SessionHandle};
use crate::world::{DeviceId, World};

/// The collections there are.
const NAMES: [&str; 5] = ["critical_block", "critical_unblock_low", "regular_high", "regular", "regular_low"];

/// How many patches one answer carries.
const PAGE: usize = 100;

/// All collections of all accounts.
#[derive(Default)]
pub struct Collections {
    by_account: Mutex<HashMap<Arc<str>, HashMap<&'static str, Collection>>>,
}

#[derive(Default)]
struct Collection {
    patches: Vec<Vec<u8>>,
    /// What the devices compute of it; the MACs it takes are in the open.
    state: HashState,
    /// What is set, by the MAC of its index.
    records: HashMap<Vec<u8>, wa::SyncdRecord>,
    /// The newest snapshot that was made: its version, and the reference to its blob.
    snapshot: Option<(u64, Vec<u8>)>,
}

impl Collection {
    fn version(&self) -> u64 {
        self.patches.len() as u64
    }

    /// Takes a patch as the next version.
    fn append(&mut self, mut patch: wa::SyncdPatch) {
        let version = self.version() + 1;
        self.apply(&patch.mutations);
        self.state.version = version;
        patch.version = MessageField::some(wa::SyncdVersion { version: Some(version) });
        self.patches.push(patch.encode_to_vec());
    }

    fn apply(&mut self, mutations: &[wa::SyncdMutation]) {
        let records = &self.records;
        let (_, hashed) = self.state.update_hash(mutations, |index, _| Ok(records.get(index).and_then(value_mac)));
        if let Err(e) = hashed {
            tracing::warn!(error = %e, "a patch has an operation that is not known");
        }
        for mutation in mutations {
            let Some(record) = mutation.record.as_option() else { continue };
            let Some(index) = record.index.as_option().and_then(|i| i.blob.clone()) else { continue };
            let removed = mutation.operation.is_some_and(|op| op == wa::syncd_mutation::SyncdOperation::REMOVE);
            match value_mac(record).filter(|_| !removed) {
                Some(_) => drop(self.records.insert(index, record.clone())),
                None => drop(self.records.remove(&index)),
            }
        }
    }
}

/// The MAC at the end of a record's value.
fn value_mac(record: &wa::SyncdRecord) -> Option<Vec<u8>> {
    let value = record.value.as_option()?.blob.as_deref()?;
    value.len().checked_sub(32).map(|start| value[start..].to_vec())
}

impl Collections {
    fn with<T>(&self, phone: &Arc<str>, name: &'static str, what: impl FnOnce(&mut Collection) -> T) -> T {
        what(self.by_account.lock().entry(phone.clone()).or_default().entry(name).or_default())
    }

    /// The version of every collection the account has.
    pub fn versions(&self, phone: &str) -> Vec<(&'static str, u64)> {
        let collections = self.by_account.lock();
        let Some(account) = collections.get(phone) else { return Vec::new() };
        NAMES.iter().filter_map(|name| Some((*name, account.get(name)?.version()))).collect()
    }
}

/// Answers an iq of `w:sync:app:state`.
pub fn handle_iq(world: &Arc<World>, session: &SessionHandle, iq: &Node) -> Option<Node> {
    let device = &session.device;
    let sync = iq.get_optional_child("sync")?;
    let mut changed = Vec::new();
    let answers: Vec<Node> = sync
        .get_children_by_tag("collection")
        .filter_map(|asked| {
            let (answer, grown) = answer(world, device, asked)?;
            changed.extend(grown);
            Some(answer)
        })
        .collect();
    for (name, version) in changed {
        tell(world, &device.phone, Some(device), name, version);
    }
    Some(session::iq::result(iq, [NodeBuilder::new("sync").children(answers).build()]))
}

/// The answer for one collection, and what its version grew to.
fn answer(world: &World, device: &DeviceId, asked: &Node) -> Option<(Node, Option<(&'static str, u64)>)> {
    let mut attrs = asked.attrs();
    let name_asked = attrs.optional_string("name")?;
    let Some(name) = NAMES.into_iter().find(|n| *n == name_asked) else {
        let error = NodeBuilder::new("error").attr("code", "404").attr("text", "item-not-found").build();
        let node = NodeBuilder::new("collection").attr("name", &*name_asked).attr("type", "error");
        return Some((node.children([error]).build(), None));
    };
    let base = attrs.optional_u64("version").unwrap_or(0);
    let sent: Vec<wa::SyncdPatch> = asked
        .get_children_by_tag("patch")
        .filter_map(|patch| match &patch.content {
            Some(NodeContent::Bytes(bytes)) => wa::SyncdPatch::decode_from_slice(bytes).ok(),
            _ => None,
        })
        .collect();
    if sent.is_empty()
        && attrs.optional_bool("return_snapshot")
        && let Some(whole) = snapshot::node(world, &device.phone, name)
    {
        return Some((whole, None));
    }
    Some(world.appstate.with(&device.phone, name, |collection| {
        if sent.is_empty() {
            return (page(collection, name, base, None), None);
        }
        if base != collection.version() {
            let error = NodeBuilder::new("error").attr("code", "409").attr("text", "conflict").build();
            return (page(collection, name, base, Some(error)), None);
        }
        for patch in sent {
            collection.append(patch);
        }
        let version = collection.version();
        let node = NodeBuilder::new("collection").attr("name", name).attr("version", version).build();
        (node, Some((name, version)))
    }))
}

/// The patches after `base`, or the first of them.
fn page(collection: &Collection, name: &'static str, base: u64, error: Option<Node>) -> Node {
    let after = collection.patches.get(base as usize..).unwrap_or_default();
    let sent = &after[..after.len().min(PAGE)];
    let mut node = NodeBuilder::new("collection").attr("name", name).attr("version", collection.version());
    if error.is_some() {
        node = node.attr("type", "error");
    }
    if after.len() > sent.len() {
        node = node.attr("has_more_patches", "true");
    }
    let patches = sent.iter().map(|patch| NodeBuilder::new("patch").bytes(patch.clone()).build());
    let patches = NodeBuilder::new("patches").children(patches).build();
    node.children(error.into_iter().chain([patches])).build()
}

/// Tells the account's companions that a collection grew.
fn tell(world: &World, phone: &Arc<str>, except: Option<&DeviceId>, name: &'static str, version: u64) {
    let grown = NodeBuilder::new("collection").attr("name", name).attr("version", version).build();
    let notification = NodeBuilder::new("notification")
        .attr("type", "server_sync")
        .attr("from", Jid::new("", Server::Pn))
        .children([grown])
        .build();
    for device in world.devices(phone) {
        if device.device != 0 && Some(&device) != except {
            world.notify(&device, notification.clone());
        }
    }
}

/// A companion was paired and will log in: its first sync must find the account's name.
pub fn on_paired(world: &Arc<World>, device: &DeviceId) {
    let Some(account) = world.account_by_phone(&device.phone) else { return };
    if world.appstate.with(&account.phone, "critical_block", |c| c.version()) == 0 {
        write_push_name(world, &account.phone, &account.name);
    }
}

/// The account's phone takes another name: its companions learn it from the collection.
pub fn set_push_name(world: &Arc<World>, phone: &str, name: &str) {
    let Some(account) = world.account_by_phone(phone) else { return };
    world.set_push_name(&account.phone, name);
    let version = write_push_name(world, &account.phone, name);
    tell(world, &account.phone, None, "critical_block", version);
}

fn write_push_name(world: &World, phone: &Arc<str>, name: &str) -> u64 {
    let setting = wa::sync_action_value::PushNameSetting { name: Some(name.to_owned()) };
    let value = wa::SyncActionValue {
        timestamp: Some(world.now() as i64 * 1000),
        push_name_setting: MessageField::some(setting),
        ..Default::default()
    };
    write(world, phone, "critical_block", br#"["setting_pushName"]"#, &value, 1)
}

/// The phone writes a value into a collection; gives the version it has then.
fn write(
    world: &World,
    phone: &Arc<str>,
    name: &'static str,
    index: &[u8],
    value: &wa::SyncActionValue,
    action_version: i32,
) -> u64 {
    let Some(key) = world.app_state_key(phone) else { return 0 };
    let keys = expand_app_state_keys(&key.data);
    let mut iv = [0_u8; 16];
    rand::rng().fill_bytes(&mut iv);
    let set = wa::syncd_mutation::SyncdOperation::SET;
    let (mutation, _) = encode_record(set, index, value, &keys, &key.id, &iv, action_version);
    world.appstate.with(phone, name, |collection| {
        let version = collection.version() + 1;
        // The MACs are over the state with this patch in it.
        let mut after = collection.state.clone();
        let records = &collection.records;
        let (_, hashed) =
            after.update_hash(std::slice::from_ref(&mutation), |index, _| Ok(records.get(index).and_then(value_mac)));
        debug_assert!(hashed.is_ok(), "SET is a known operation");
        after.version = version;
        let mut patch = wa::SyncdPatch {
            mutations: vec![mutation],
            snapshot_mac: Some(after.generate_snapshot_mac(name, &keys.snapshot_mac)),
            key_id: MessageField::some(wa::KeyId { id: Some(key.id.clone()) }),
            ..Default::default()
        };
        patch.patch_mac = Some(generate_patch_mac(&patch, name, &keys.patch_mac, version));
        collection.append(patch);
        version
    })
}
