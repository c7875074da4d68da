//! The last message of each conversation: Meta shows that somebody types only as an answer to one. The latest are in memory; those of the
//! last days are stored as well, in the commit that stores the message, so that a restart does not forget them.
//!
//! Keys: `heard/CHAT` has the id of the message, and when it was noted. How many they become is bounded by [`Heard::sweep`].

use std::cell::Cell;

use pombo_plugin::connector::kv;
use serde::{Deserialize, Serialize};

use crate::outside::{Outside, Trouble, delete, put};
use crate::recent::Recent;

const PREFIX: &str = "heard/";
/// How many conversations are kept; the oldest are forgotten first.
const MOST: usize = 10_000;
/// After how many further conversations the oldest are looked for.
const SLACK: usize = 2_000;
/// How long a message is kept: after that there is no window in which one could answer.
const KEPT_MILLIS: u64 = 48 * 60 * 60 * 1_000;
const PAGE: u32 = 512;

#[derive(Debug, Serialize, Deserialize)]
struct Last {
    id: String,
    at: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    latest: Recent<String, 1_024>,
    /// How many were noted since the last sweep that may be new.
    noted: Cell<usize>,
}

fn key(chat: &str) -> String {
    format!("{PREFIX}{chat}")
}

impl Heard {
    /// What is stored with a message.
    pub(crate) fn change(chat: &str, id: &str, now: u64) -> Result<kv::Change, Trouble> {
        let last = Last { id: id.to_owned(), at: now };
        let value = serde_json::to_vec(&last).map_err(|error| Trouble::Final(error.to_string()))?;
        Ok(put(key(chat), value))
    }

    /// The message and what goes with it are stored.
    pub(crate) fn note(&self, chat: String, id: String) {
        if self.latest.get(&chat).is_none() {
            self.noted.set(self.noted.get().saturating_add(1));
        }
        self.latest.note(chat, id);
    }

    /// The id of the last message of a conversation, if it is known.
    pub(crate) async fn last(&self, outside: &impl Outside, chat: &str) -> Result<Option<String>, Trouble> {
        if let Some(id) = self.latest.get(chat) {
            return Ok(Some(id));
        }
        let stored = outside.get(key(chat)).await?;
        Ok(stored.and_then(|value| serde_json::from_slice::<Last>(&value).ok()).map(|last| last.id))
    }

    /// Whether it is time to look for the oldest.
    pub(crate) fn is_full(&self) -> bool {
        self.noted.get() > SLACK
    }

    /// Forgets what is too old, and the oldest of too many.
    pub(crate) async fn sweep(&self, outside: &impl Outside) -> Result<(), Trouble> {
        self.noted.set(0);
        let end = outside.now_millis().saturating_sub(KEPT_MILLIS);
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = outside.list(PREFIX.to_owned(), after.take(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            // What cannot be read is the oldest.
            let at = |value: &[u8]| serde_json::from_slice::<Last>(value).map_or(0, |last| last.at);
            all.extend(page.into_iter().map(|entry| (at(&entry.value), entry.key)));
        }
        all.sort_unstable_by(|one, other| other.cmp(one));
        let fresh = all.iter().take_while(|(at, _)| *at > end).count().min(MOST);
        for old in all[fresh..].chunks(PAGE as usize) {
            outside.batch(old.iter().map(|(_, key)| delete(key.as_str())).collect()).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::world::{World, ready};

    fn hear(world: &World, heard: &Heard, chat: &str, id: &str) {
        let change = Heard::change(chat, id, world.now_millis()).expect("it can be written");
        ready(world.commit(Vec::new(), vec![change])).expect("stored");
        heard.note(chat.to_owned(), id.to_owned());
    }

    fn last(world: &World, heard: &Heard, chat: &str) -> Option<String> {
        ready(heard.last(world, chat)).expect("readable")
    }

    #[test]
    fn the_last_message_is_known_after_a_restart() {
        let (world, heard) = (World::new(), Heard::default());
        hear(&world, &heard, "5511987654321", "A");
        hear(&world, &heard, "5511987654321", "B");
        hear(&world, &heard, "BR.1502", "C");
        for heard in [heard, Heard::default()] {
            assert_eq!(last(&world, &heard, "5511987654321").as_deref(), Some("B"));
            assert_eq!(last(&world, &heard, "BR.1502").as_deref(), Some("C"));
            assert_eq!(last(&world, &heard, "5511"), None);
        }
        world.down.set(true);
        assert!(ready(Heard::default().last(&world, "BR.1502")).is_err());
    }

    #[test]
    fn the_oldest_go_first_and_none_stays_for_long() {
        let (world, heard) = (World::new(), Heard::default());
        for n in 0..MOST + SLACK + 1 {
            world.now.set(world.now.get() + 1);
            hear(&world, &heard, &format!("55{n:06}"), "A");
        }
        assert!(heard.is_full());
        ready(heard.sweep(&world)).expect("swept");
        let kept = world.keys(PREFIX);
        assert_eq!((kept.len(), kept[0].as_str()), (MOST, format!("heard/55{:06}", SLACK + 1).as_str()));
        assert!(!heard.is_full());
        world.now.set(world.now.get() + KEPT_MILLIS);
        hear(&world, &heard, "BR.1502", "B");
        ready(heard.sweep(&world)).expect("swept");
        assert_eq!(world.keys(PREFIX), ["heard/BR.1502"]);
    }
}
