//! Keys of automations, plugins, conversations and event tasks.

use pombo_domain::model::{TaskKey, TimerKey};
use pombo_domain::ports::PauseEnd;
use pombo_domain::{AutomationIndex, ConnectorIndex, MessageKey, TenantIndex, Timestamp};
use uuid::Uuid;

use super::{Key, Parts};
use crate::backend::Bytes;

pub(crate) const AUTOMATION: u8 = 0x20;
pub(crate) const PLUGIN: u8 = 0x21;
pub(crate) const TRUST_ROOT: u8 = 0x22;
pub(crate) const AUDIT: u8 = 0x23;

pub(crate) const CONVERSATION: u8 = 0x01;
pub(crate) const CHAT: u8 = 0x02;
pub(crate) const CONVERSATION_OF: u8 = 0x03;
pub(crate) const AUTOMATION_STATE: u8 = 0x04;
pub(crate) const ORIGIN: u8 = 0x05;
pub(crate) const DEAD_LETTER: u8 = 0x06;
pub(crate) const TIMER: u8 = 0x07;

pub(crate) const TASK: u8 = 0x01;
pub(crate) const TIMER_DUE: u8 = 0x02;
pub(crate) const RECORDING: u8 = 0x03;
pub(crate) const PAUSE_END: u8 = 0x04;

pub(crate) fn automation(index: AutomationIndex) -> Key {
    Key::tag(AUTOMATION).u32(index.0)
}

pub(crate) fn plugin(name: &str) -> Bytes {
    super::long(PLUGIN, &[], name.as_bytes())
}

pub(crate) fn trust_root(id: Uuid) -> Key {
    Key::tag(TRUST_ROOT).uuid(id)
}

/// What all audit entries of a plugin start with; the length keeps one name from being the beginning of another.
pub(crate) fn audit_of(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(3 + name.len() + 8);
    key.push(AUDIT);
    key.extend_from_slice(&(name.len() as u16).to_be_bytes());
    key.extend_from_slice(name.as_bytes());
    key
}

pub(crate) fn audit(name: &str, number: u64) -> Bytes {
    let mut key = audit_of(name);
    key.extend_from_slice(&number.to_be_bytes());
    Bytes::from(key)
}

/// Name and number of an [`AUDIT`] key.
pub(crate) fn parse_audit(key: &[u8]) -> Option<(&str, u64)> {
    let mut parts = Parts(key);
    parts.u8()?;
    let length = u16::from_be_bytes(parts.take(2)?.try_into().ok()?);
    let name = std::str::from_utf8(parts.take(usize::from(length))?).ok()?;
    Some((name, parts.u64()?))
}

pub(crate) fn conversation(id: Uuid) -> Key {
    Key::tag(CONVERSATION).uuid(id)
}

pub(crate) fn parse_conversation(key: &[u8]) -> Option<Uuid> {
    let mut parts = Parts(key);
    parts.u8()?;
    parts.uuid()
}

pub(crate) fn chat(connector: ConnectorIndex, chat: &str) -> Bytes {
    super::long(CHAT, &connector.0.to_be_bytes(), chat.as_bytes())
}

/// Key of what has a tenant and an id: [`CONVERSATION_OF`], [`DEAD_LETTER`].
pub(crate) fn of_tenant(tag: u8, tenant: TenantIndex) -> Key {
    Key::tag(tag).u32(tenant.0)
}

/// Tenant and id of such a key.
pub(crate) fn parse_of_tenant(key: &[u8]) -> Option<(TenantIndex, Uuid)> {
    let mut parts = Parts(key);
    parts.u8()?;
    Some((TenantIndex(parts.u32()?), parts.uuid()?))
}

pub(crate) fn automation_state(conversation: Uuid, automation: AutomationIndex) -> Key {
    Key::tag(AUTOMATION_STATE).uuid(conversation).u32(automation.0)
}

/// Conversation and automation of an [`AUTOMATION_STATE`] key.
pub(crate) fn parse_automation_state(key: &[u8]) -> Option<(Uuid, AutomationIndex)> {
    let mut parts = Parts(key);
    parts.u8()?;
    Some((parts.uuid()?, AutomationIndex(parts.u32()?)))
}

/// What the states that automations left in a conversation begin with.
pub(crate) fn automation_states_of(conversation: Uuid) -> Key {
    Key::tag(AUTOMATION_STATE).uuid(conversation)
}

/// What the event tasks of a conversation begin with.
pub(crate) fn tasks_of(conversation: Uuid) -> Key {
    Key::tag(TASK).uuid(conversation)
}

pub(crate) fn origin(message: MessageKey) -> Key {
    Key::tag(ORIGIN).u32(message.tenant.0).serial(message.serial)
}

pub(crate) fn parse_origin(key: &[u8]) -> Option<MessageKey> {
    let mut parts = Parts(key);
    parts.u8()?;
    parts.message()
}

pub(crate) fn timers_of(conversation: Uuid) -> Key {
    Key::tag(TIMER).uuid(conversation)
}

pub(crate) fn timer(conversation: Uuid, automation: AutomationIndex, name: &str) -> Bytes {
    super::long(TIMER, &Key::new().uuid(conversation).u32(automation.0), name.as_bytes())
}

/// Conversation, automation and name of a [`TIMER`] key.
pub(crate) fn parse_timer(key: &[u8]) -> Option<(Uuid, AutomationIndex, &str)> {
    let mut parts = Parts(key);
    parts.u8()?;
    let (conversation, automation) = (parts.uuid()?, AutomationIndex(parts.u32()?));
    Some((conversation, automation, std::str::from_utf8(parts.0).ok()?))
}

pub(crate) fn timer_due_until(at: Timestamp) -> Key {
    Key::tag(TIMER_DUE).time(at)
}

pub(crate) fn timer_due(key: &TimerKey) -> Bytes {
    let fixed = Key::new().time(key.due_at).uuid(key.conversation).u32(key.automation.0);
    super::long(TIMER_DUE, &fixed, key.name.as_bytes())
}

pub(crate) fn parse_timer_due(key: &[u8]) -> Option<TimerKey> {
    let mut parts = Parts(key);
    parts.u8()?;
    let due_at = parts.time()?;
    let (conversation, automation) = (parts.uuid()?, AutomationIndex(parts.u32()?));
    let name = std::str::from_utf8(parts.0).ok()?.to_owned();
    Some(TimerKey { due_at, conversation, automation, name })
}

pub(crate) fn pause_end(end: PauseEnd) -> Key {
    Key::tag(PAUSE_END).time(end.at).uuid(end.conversation)
}

pub(crate) fn parse_pause_end(key: &[u8]) -> Option<PauseEnd> {
    let mut parts = Parts(key);
    parts.u8()?;
    Some(PauseEnd { at: parts.time()?, conversation: parts.uuid()? })
}

/// What all items of a lane start with.
pub(crate) fn lane(conversation: Uuid, lane: u32) -> Key {
    Key::tag(TASK).uuid(conversation).u32(lane)
}

pub(crate) fn task(key: TaskKey) -> Key {
    lane(key.conversation, key.lane).u64(key.number)
}

pub(crate) fn parse_task(key: &[u8]) -> Option<TaskKey> {
    let mut parts = Parts(key);
    parts.u8()?;
    Some(TaskKey { conversation: parts.uuid()?, lane: parts.u32()?, number: parts.u64()? })
}

pub(crate) fn recordings_of(automation: AutomationIndex) -> Key {
    Key::tag(RECORDING).u32(automation.0)
}

pub(crate) fn recording(automation: AutomationIndex, number: u64) -> Key {
    recordings_of(automation).u64(number)
}

pub(crate) fn parse_recording(key: &[u8]) -> Option<(AutomationIndex, u64)> {
    let mut parts = Parts(key);
    parts.u8()?;
    Some((AutomationIndex(parts.u32()?), parts.u64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_parse_back_and_sort_as_what_they_name() {
        let id = Uuid::from_u128(0x0102);
        let timer = |due: i64, name: &str| TimerKey {
            due_at: Timestamp(due),
            conversation: id,
            automation: AutomationIndex(7),
            name: name.to_owned(),
        };
        let ascending = [timer(-5, "z"), timer(0, "a"), timer(0, "b"), timer(9, "")];
        let rows: Vec<_> = ascending.iter().map(timer_due).collect();
        assert!(rows.is_sorted());
        for (row, key) in rows.iter().zip(&ascending) {
            assert_eq!(parse_timer_due(row).as_ref(), Some(key));
            let by_name = super::timer(id, key.automation, &key.name);
            assert_eq!(parse_timer(&by_name), Some((id, key.automation, key.name.as_str())));
        }
        let end = |at| PauseEnd { at: Timestamp(at), conversation: id };
        let rows: Vec<_> = [end(-5), end(0), end(7)].map(|end| pause_end(end).bytes()).into();
        assert!(rows.is_sorted());
        assert!(rows.iter().zip([-5, 0, 7]).all(|(row, at)| parse_pause_end(row) == Some(end(at))));
        let item = |lane, number| TaskKey { conversation: id, lane, number };
        let ascending = [item(0, 2), item(0, 300), item(1, 0), item(256, 1)];
        let rows: Vec<_> = ascending.iter().map(|key| task(*key).bytes()).collect();
        assert!(rows.is_sorted());
        assert!(rows.iter().zip(ascending).all(|(row, key)| parse_task(row) == Some(key)));
        assert_eq!(parse_audit(&audit("a", 3)), Some(("a", 3)));
        assert!(!audit("ab", 1).starts_with(&audit_of("a")), "one name is not the beginning of another");
    }
}
