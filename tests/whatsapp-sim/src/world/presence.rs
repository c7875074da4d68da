//! Who is available, and who wants to know.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::account::DeviceId;

/// The presence of all accounts.
#[derive(Default)]
pub struct Presences {
    available: HashMap<Arc<str>, HashSet<u16>>,
    last_seen: HashMap<Arc<str>, u64>,
    watchers: HashMap<Arc<str>, HashSet<DeviceId>>,
}

impl Presences {
    /// A device says at `now` (seconds since 1970) whether it is available. Answers whom to tell, if that changes the account's
    /// presence.
    pub(crate) fn set(&mut self, device: &DeviceId, available: bool, now: u64) -> Vec<DeviceId> {
        let devices = self.available.entry(device.phone.clone()).or_default();
        let before = !devices.is_empty();
        if available {
            devices.insert(device.device);
        } else {
            devices.remove(&device.device);
            self.last_seen.insert(device.phone.clone(), now);
        }
        let after = !self.available.get(&device.phone).is_none_or(HashSet::is_empty);
        if before == after {
            return Vec::new();
        }
        self.watchers.get(&device.phone).map(|watchers| watchers.iter().cloned().collect()).unwrap_or_default()
    }

    /// A device wants to know about an account. Answers its presence now.
    pub(crate) fn subscribe(&mut self, watcher: &DeviceId, phone: &Arc<str>) -> (bool, Option<u64>) {
        self.watchers.entry(phone.clone()).or_default().insert(watcher.clone());
        (self.is_available(phone), self.last_seen.get(phone).copied())
    }

    pub(crate) fn is_available(&self, phone: &str) -> bool {
        self.available.get(phone).is_some_and(|devices| !devices.is_empty())
    }

    /// The device is gone: it watches nobody.
    pub(crate) fn forget(&mut self, device: &DeviceId, now: u64) -> Vec<DeviceId> {
        for watchers in self.watchers.values_mut() {
            watchers.remove(device);
        }
        self.set(device, false, now)
    }
}

impl super::World {
    /// Whether a device of the account says that it is available.
    pub fn is_available(&self, phone: &str) -> bool {
        self.presences.lock().is_available(phone)
    }
}
