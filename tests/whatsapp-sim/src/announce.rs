//! What the server tells clients of its own accord: changes of contacts and of the account, limits, calls, and information about the
//! connection. Only shapes; what changes is changed here only where a later answer would contradict the announcement. Knows no
//! socket; called from anywhere.

use std::sync::Arc;

use serde_json::{Value, json};
use wacore_binary::{Jid, Node, SERVER_JID, builder::NodeBuilder};

use crate::{
    Error, phone, session,
    world::{AccountInfo, DeviceId, World},
};

/// How many messages an account may still send to people it has not written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capping {
    /// How many it may send in a cycle.
    pub total: u32,
    /// How many of them it has sent.
    pub used: u32,
    /// How far it is, in the words of the real server.
    pub status: CappingStatus,
    /// When the cycle ends, in seconds since 1970.
    pub cycle_ends: u64,
}

/// How far an account is with the messages it may send to strangers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CappingStatus {
    /// Nothing to say.
    None,
    /// A first warning.
    FirstWarning,
    /// A second warning.
    SecondWarning,
    /// No message more.
    Capped,
}

impl CappingStatus {
    fn word(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::FirstWarning => "FIRST_WARNING",
            Self::SecondWarning => "SECOND_WARNING",
            Self::Capped => "CAPPED",
        }
    }
}

/// What of an account its own devices are told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountChange {
    /// Its list of devices.
    Devices,
    /// Its privacy settings: a category and its value.
    Privacy(String, String),
    /// Somebody was blocked, or is no longer.
    Blocked(Jid, bool),
    /// After how many seconds messages of new chats disappear; 0 for never.
    Disappearing(u32),
}

/// Information about the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Information {
    /// Where to connect the next time: bytes that a client sends before its handshake.
    EdgeRouting(Vec<u8>),
    /// What a client should ask for again: `account_sync`, `groups`, `syncd_app_state`…
    Dirty(String),
    /// The client is not good enough for this account.
    Downgrade,
}

// ---- limits

/// The account may write to no stranger until `until` (seconds since 1970), or may again.
pub fn reachout_timelock(world: &World, to: &[DeviceId], until: Option<u64>, enforcement: &str) {
    let lock = match until {
        Some(until) => json!({
            "is_active": true, "time_enforcement_ends": until.to_string(), "enforcement_type": enforcement,
        }),
        None => json!({ "is_active": false }),
    };
    let update = json!({ "xwa2_notify_account_reachout_timelock": lock });
    mex(world, to, "NotificationUserReachoutTimelockUpdate", update);
}

/// How many messages to strangers are left.
pub fn message_capping(world: &World, to: &[DeviceId], capping: Capping) {
    let update = json!({ "xwa2_notify_new_chat_messages_capping_info_update": {
        "total_quota": capping.total,
        "used_quota": capping.used,
        "cycle_start_timestamp": world.now().to_string(),
        "cycle_end_timestamp": capping.cycle_ends.to_string(),
        "server_sent_timestamp": world.now().to_string(),
        "ote_status": "NOT_ELIGIBLE",
        "mv_status": "NOT_ELIGIBLE",
        "capping_status": capping.status.word(),
    }});
    mex(world, to, "MessageCappingInfoNotification", update);
}

fn mex(world: &World, to: &[DeviceId], operation: &'static str, data: Value) {
    let body = json!({ "data": data }).to_string();
    let update = NodeBuilder::new("update").attr("op_name", operation).bytes(body.into_bytes()).build();
    tell(world, to, &notification("mex", SERVER_JID, [update]));
}

// ---- contacts

/// The account's phone was installed anew: it has another identity and no companions, and who wrote with the account is told.
pub async fn reinstalled(world: &Arc<World>, phone: &str) -> Result<(), Error> {
    let account = account(world, phone)?;
    let identity = world.reinstall(&account.phone)?;
    phone::reinstall(world, &account.phone, identity).await?;
    for device in world.devices(&account.phone).into_iter().filter(|device| device.device != 0) {
        session::remove_companion(world, &device);
    }
    let mut changed = notification("encrypt", account.jid(), [NodeBuilder::new("identity").build()]);
    changed.attrs.insert("lid", account.lid_jid());
    tell(world, &acquainted(world, &account), &changed);
    Ok(())
}

/// The account has another picture, or none: the link is that to it.
pub fn picture(world: &World, phone: &str, link: Option<&str>) -> Result<(), Error> {
    let account = account(world, phone)?;
    world.set_picture(&account.phone, link);
    let change = NodeBuilder::new(if link.is_some() { "set" } else { "delete" }).attr("jid", account.jid());
    let change = match link {
        Some(_) => change.attr("id", world.now()).attr("author", account.jid()),
        None => change,
    };
    tell(world, &acquainted(world, &account), &notification("picture", account.jid(), [change.build()]));
    Ok(())
}

/// The account says something else about itself.
pub fn about(world: &World, phone: &str, text: &str) -> Result<(), Error> {
    let account = account(world, phone)?;
    let mut changed =
        notification("status", account.jid(), [NodeBuilder::new("set").bytes(text.as_bytes().to_vec()).build()]);
    changed.attrs.insert("notify", &*account.name);
    tell(world, &acquainted(world, &account), &changed);
    Ok(())
}

/// The person behind one account is to be written to at another from now on. Both must exist.
pub fn number_changed(world: &World, old: &str, new: &str) -> Result<(), Error> {
    let (old, new) = (account(world, old)?, account(world, new)?);
    let change = NodeBuilder::new("modify")
        .attr("old", old.jid())
        .attr("new", new.jid())
        .attr("old_lid", old.lid_jid())
        .attr("new_lid", new.lid_jid())
        .build();
    tell(world, &acquainted(world, &old), &notification("contacts", old.jid(), [change]));
    Ok(())
}

/// The account is a business with this name, or no longer one.
pub fn business(world: &World, phone: &str, name: Option<&str>) -> Result<(), Error> {
    let account = account(world, phone)?;
    let change = match name {
        Some(name) => NodeBuilder::new("verified_name").attr("jid", account.jid()).attr("name", name).attr("v", "2"),
        None => NodeBuilder::new("remove").attr("jid", account.jid()),
    };
    tell(world, &acquainted(world, &account), &notification("business", account.jid(), [change.build()]));
    Ok(())
}

/// Messages of new chats with the account disappear after so many seconds; 0 for never.
pub fn disappearing(world: &World, phone: &str, seconds: u32) -> Result<(), Error> {
    let account = account(world, phone)?;
    let change = disappearing_mode(world, seconds);
    tell(world, &acquainted(world, &account), &notification("disappearing_mode", account.jid(), [change]));
    Ok(())
}

fn disappearing_mode(world: &World, seconds: u32) -> Node {
    NodeBuilder::new("disappearing_mode").attr("duration", seconds).attr("t", world.now()).build()
}

// ---- the account itself

/// Tells an account's companions of a change that was made elsewhere.
pub fn account_changed(world: &World, phone: &str, change: &AccountChange) -> Result<(), Error> {
    let account = account(world, phone)?;
    let child = match change {
        AccountChange::Devices => own_devices(world, &account),
        AccountChange::Privacy(name, value) => {
            let category = NodeBuilder::new("category").attr("name", name).attr("value", value).build();
            NodeBuilder::new("privacy").children([category]).build()
        }
        AccountChange::Blocked(who, blocked) => {
            let mut all = world.blocked.lock();
            let all = all.entry(account.phone.clone()).or_default();
            if *blocked {
                all.insert(who.to_string());
            } else {
                all.remove(&who.to_string());
            }
            let action = if *blocked { "block" } else { "unblock" };
            let item = NodeBuilder::new("item").attr("jid", who).attr("action", action).build();
            NodeBuilder::new("blocklist").attr("dhash", "sim").children([item]).build()
        }
        AccountChange::Disappearing(seconds) => disappearing_mode(world, *seconds),
    };
    let companions: Vec<DeviceId> = world.devices(&account.phone).into_iter().filter(|d| d.device != 0).collect();
    tell(world, &companions, &notification("account_sync", account.jid(), [child]));
    Ok(())
}

fn own_devices(world: &World, account: &AccountInfo) -> Node {
    let list = world.directory.read().device_list(&account.jid());
    let indexes = list.map(|list| list.companions).unwrap_or_default();
    let phone = NodeBuilder::new("device").attr("jid", account.jid()).build();
    let companions = indexes.iter().map(|(device, index)| {
        NodeBuilder::new("device")
            .attr("jid", Jid::pn_device(&*account.phone, *device))
            .attr("key-index", *index)
            .build()
    });
    NodeBuilder::new("devices").attr("dhash", "2:sim").children(std::iter::once(phone).chain(companions)).build()
}

// ---- the connection

/// Tells those of these devices that are there about their connection.
pub fn information(world: &World, to: &[DeviceId], what: &Information) {
    let child = match what {
        Information::EdgeRouting(bytes) => NodeBuilder::new("edge_routing")
            .children([NodeBuilder::new("routing_info").bytes(bytes.clone()).build()])
            .build(),
        Information::Dirty(what) => NodeBuilder::new("dirty").attr("type", what).attr("timestamp", world.now()).build(),
        Information::Downgrade => NodeBuilder::new("downgrade_webclient").build(),
    };
    let information = NodeBuilder::new("ib").attr("from", SERVER_JID).children([child]).build();
    for device in to {
        world.send_if_online(device, information.clone());
    }
}

// ---- calls

/// One account rings another; answers the call's id. Nobody can talk: there is no media in it.
pub fn call(world: &World, from: &str, to: &str, video: bool) -> Result<String, Error> {
    let (from, to) = (account(world, from)?, account(world, to)?);
    let id = hex::encode_upper(rand::random::<[u8; 16]>());
    let mut children = vec![NodeBuilder::new("audio").attr("enc", "opus").attr("rate", 16_000_u32).build()];
    if video {
        children.push(NodeBuilder::new("video").attr("enc", "vp8").attr("dec", "vp8").build());
    }
    let offer = NodeBuilder::new("offer")
        .attr("call-id", &id)
        .attr("call-creator", from.jid())
        .attr("caller_pn", from.jid())
        .children(children)
        .build();
    ring(world, &from, &to, offer);
    Ok(id)
}

/// The caller hangs up.
pub fn hang_up(world: &World, from: &str, to: &str, id: &str) -> Result<(), Error> {
    let (from, to) = (account(world, from)?, account(world, to)?);
    let end = NodeBuilder::new("terminate")
        .attr("call-id", id)
        .attr("call-creator", from.jid())
        .attr("reason", "timeout")
        .build();
    ring(world, &from, &to, end);
    Ok(())
}

fn ring(world: &World, from: &AccountInfo, to: &AccountInfo, action: Node) {
    let call = NodeBuilder::new("call")
        .attr("from", from.jid())
        .attr("id", hex::encode_upper(rand::random::<[u8; 8]>()))
        .attr("t", world.now())
        .attr("notify", &*from.name)
        .attr("platform", "android")
        .attr("version", "2.26.40.1")
        .children([action])
        .build();
    for device in world.devices(&to.phone).into_iter().filter(|device| device.device != 0) {
        world.deliver(&device, call.clone());
    }
}

// ---- whom to tell, and how

fn account(world: &World, phone: &str) -> Result<AccountInfo, Error> {
    world.account_by_phone(phone).ok_or_else(|| Error::UnknownAccount(phone.to_owned()))
}

/// The companions of all who wrote with an account.
fn acquainted(world: &World, account: &AccountInfo) -> Vec<DeviceId> {
    let known: Vec<Arc<str>> = world.acquaintances.lock().get(&account.phone).into_iter().flatten().cloned().collect();
    known.iter().flat_map(|phone| world.devices(phone)).filter(|device| device.device != 0).collect()
}

fn notification(
    kind: &'static str,
    from: impl Into<wacore_binary::NodeValue>,
    children: impl IntoIterator<Item = Node>,
) -> Node {
    NodeBuilder::new("notification").attr("type", kind).attr("from", from).children(children).build()
}

fn tell(world: &World, to: &[DeviceId], notification: &Node) {
    for device in to {
        world.notify(device, notification.clone());
    }
}
