//! What was spent: of a conversation in its state, of a day in the store.
//!
//! The day's figure is one entry for each conversation, `day/2026-01-05/CONVERSATION`, and the sum of them: a conversation is only ever
//! in one call, so that no addition is lost, as it would be with one entry that parallel calls write.

use pombo_plugin::automation::{Automation, KvError, Turn};

/// Maximum number of entries of earlier days that one turn deletes.
const SWEPT: u32 = 20;

/// The current day, UTC.
pub fn day(now_millis: u64) -> String {
    let mut text = pombo_plugin::clock::rfc3339(now_millis);
    text.truncate("2026-01-05".len());
    text
}

fn prefix(day: &str) -> String {
    ["day/", day, "/"].concat()
}

/// Tokens that all conversations spent on this day.
pub fn spent_by_all<A: Automation>(turn: &Turn<'_, A>, day: &str) -> Result<u64, KvError> {
    const PAGE: u32 = 256;
    let prefix = prefix(day);
    let mut sum = 0u64;
    let mut after = None;
    loop {
        let entries = turn.kv_list(&prefix, after.as_deref(), PAGE)?;
        sum = entries.iter().filter_map(|e| e.value.parse::<u64>().ok()).fold(sum, u64::saturating_add);
        match entries.into_iter().nth(PAGE as usize - 1) {
            Some(last) => after = Some(last.key),
            None => return Ok(sum),
        }
    }
}

/// Adds the tokens that this conversation spent, and deletes entries of earlier days.
pub fn spend<A: Automation>(turn: &mut Turn<'_, A>, day: &str, tokens: u64) -> Result<(), KvError> {
    let key = [&*prefix(day), &*turn.conversation().id].concat();
    let before = turn.kv_get(&key)?.and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
    let oldest = turn.kv_list("day/", None, SWEPT)?;
    let today = prefix(day);
    for entry in oldest.into_iter().take_while(|entry| entry.key < today) {
        turn.kv_delete(entry.key);
    }
    turn.kv_set(key, before.saturating_add(tokens).to_string());
    Ok(())
}
