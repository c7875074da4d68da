//! Who waits for the next state of a message. A commit looks here once for its whole group, and does nothing where nobody waits.

use std::collections::HashMap;

use parking_lot::Mutex;
use pombo_domain::MessageKey;
use pombo_domain::model::MessageState;
use tokio::sync::oneshot;

/// The waiting ones, by message.
#[derive(Default)]
pub(crate) struct Watches(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    next: u64,
    by_message: HashMap<MessageKey, Vec<(u64, oneshot::Sender<()>)>>,
}

/// One that waits. It is forgotten when it is dropped.
pub(crate) struct Watch<'a> {
    watches: &'a Watches,
    key: MessageKey,
    number: u64,
    told: oneshot::Receiver<()>,
}

impl Watches {
    /// Begins to wait for the next state of a message. Read its present state afterwards: a step before this call is told to nobody.
    pub(crate) fn watch(&self, key: MessageKey) -> Watch<'_> {
        let (sender, told) = oneshot::channel();
        let mut waiting = self.0.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.by_message.entry(key).or_default().push((number, sender));
        Watch { watches: self, key, number, told }
    }

    /// Those who wait for one of these messages, to be told once its new state can be read. They wait no longer.
    pub(crate) fn take(&self, stepped: &[(MessageKey, u8, MessageState)]) -> Vec<oneshot::Sender<()>> {
        if stepped.is_empty() {
            return Vec::new();
        }
        let mut waiting = self.0.lock();
        if waiting.by_message.is_empty() {
            return Vec::new();
        }
        let mut taken = Vec::new();
        for (key, ..) in stepped {
            let found = waiting.by_message.remove(key).unwrap_or_default();
            taken.extend(found.into_iter().map(|(_, sender)| sender));
        }
        taken
    }
}

impl Watch<'_> {
    /// Waits until the message has another state.
    pub(crate) async fn stepped(mut self) {
        // The sender goes without a word only where the watch is dropped.
        let _ = (&mut self.told).await;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut waiting = self.watches.0.lock();
        let Some(others) = waiting.by_message.get_mut(&self.key) else { return };
        others.retain(|(number, _)| *number != self.number);
        if others.is_empty() {
            waiting.by_message.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use pombo_domain::TenantIndex;

    use super::*;

    #[test]
    fn whoever_is_gone_is_forgotten() {
        let watches = Watches::default();
        let key = MessageKey { tenant: TenantIndex(1), serial: 4 };
        let (first, second) = (watches.watch(key), watches.watch(key));
        drop(first);
        assert_eq!(watches.0.lock().by_message[&key].len(), 1);
        drop(second);
        assert!(watches.0.lock().by_message.is_empty());
    }
}
