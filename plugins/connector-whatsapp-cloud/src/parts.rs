//! What was already sent of a message that is several on the channel, so that a further attempt goes on where the last one ended.
//!
//! Keys: `part/CLIENT` has the ids of the parts that were sent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::outside::{Outside, Trouble, delete, put};

const PREFIX: &str = "part/";
/// After so long nobody tries again.
const KEPT_MILLIS: u64 = 30 * 24 * 60 * 60 * 1_000;
const PAGE: u32 = 512;
/// Pauses before the further attempts to note what was sent.
const PAUSES_MILLIS: [u64; 2] = [200, 1_000];

#[derive(Debug, Default, Serialize, Deserialize)]
struct Noted {
    sent: Vec<String>,
    at: u64,
}

fn key(client: &str) -> String {
    format!("{PREFIX}{client}")
}

/// The ids of the parts that were sent.
pub(crate) async fn sent(outside: &impl Outside, client: &str) -> Result<Vec<String>, Trouble> {
    let stored = outside.get(key(client)).await?;
    let noted = stored.and_then(|value| serde_json::from_slice::<Noted>(&value).ok());
    Ok(noted.unwrap_or_default().sent)
}

/// Notes what was sent so far; once all of it was, that need not be known any more.
pub(crate) async fn note(outside: &impl Outside, client: &str, sent: &[String], all: bool) -> Result<(), Trouble> {
    let noted = Noted { sent: sent.to_vec(), at: outside.now_millis() };
    let value = serde_json::to_vec(&noted).map_err(|error| Trouble::Final(error.to_string()))?;
    let mut pauses = PAUSES_MILLIS.into_iter();
    loop {
        let change = if all { delete(key(client)) } else { put(key(client), value.clone()) };
        match (outside.batch(vec![change]).await, pauses.next()) {
            (Err(Trouble::Temporary(_)), Some(pause)) => outside.sleep(Duration::from_millis(pause)).await,
            (done, _) => return done,
        }
    }
}

/// Forgets what is too old.
pub(crate) async fn sweep(outside: &impl Outside) -> Result<(), Trouble> {
    let end = outside.now_millis().saturating_sub(KEPT_MILLIS);
    let mut after = None;
    loop {
        let page = outside.list(PREFIX.to_owned(), after.take(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.key.clone());
        let is_old = |value: &[u8]| serde_json::from_slice::<Noted>(value).map_or(true, |noted| noted.at < end);
        let old: Vec<_> =
            page.iter().filter(|entry| is_old(&entry.value)).map(|entry| delete(entry.key.as_str())).collect();
        if !old.is_empty() {
            outside.batch(old).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::world::{World, ready};

    #[test]
    fn what_was_sent_is_known_until_all_is_or_it_is_old() {
        let world = World::new();
        assert_eq!(ready(sent(&world, "c")), Ok(Vec::new()));
        ready(note(&world, "c", &["A".to_owned()], false)).expect("noted");
        assert_eq!(ready(sent(&world, "c")), Ok(vec!["A".to_owned()]));
        ready(note(&world, "c", &["A".to_owned(), "B".to_owned()], true)).expect("noted");
        assert!(world.keys(PREFIX).is_empty());
        ready(note(&world, "d", &["A".to_owned()], false)).expect("noted");
        ready(sweep(&world)).expect("swept");
        assert_eq!(world.keys(PREFIX).len(), 1);
        world.now.set(world.now.get() + KEPT_MILLIS + 1);
        ready(sweep(&world)).expect("swept");
        assert!(world.keys(PREFIX).is_empty());
    }
}
