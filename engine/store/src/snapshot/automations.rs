//! Automations, plugins, conversations and event tasks as text.

use pombo_domain::ports::StoreResult;

use super::veiled;
use crate::backend::Bytes;
use crate::codec::bad_key;
use crate::keys;
use crate::tables::{automations, conversations, plugins, recordings, tasks, timers};

/// A line of a document of the catalog; `None` for other documents.
pub(super) fn document(key: &Bytes, value: &Bytes) -> StoreResult<Option<String>> {
    Ok(Some(match key[0] {
        keys::AUTOMATION => {
            let automation = automations::parse(value)?;
            format!(
                "automation {} id={} tenant={} connector={} plugin={} position={} observer={} {:?} row={}",
                automation.index.0,
                automation.id,
                automation.tenant.0,
                automation.connector.0,
                automation.plugin,
                automation.position,
                automation.observer,
                automation.status,
                veiled(value)
            )
        }
        keys::PLUGIN => {
            let plugin = plugins::parse(value)?;
            format!(
                "package {} {} revision={} versions={} active={} row={}",
                plugin.name,
                plugin.kind.as_str(),
                plugin.revision,
                plugin.versions.len(),
                plugin.active.as_deref().unwrap_or("-"),
                veiled(value)
            )
        }
        keys::TRUST_ROOT => {
            let root = plugins::parse_trust_root(value)?;
            format!("trust-root {} revoked={} row={}", root.id, root.revoked_at.is_some(), veiled(value))
        }
        keys::AUDIT => {
            let (name, number) = keys::parse_audit(key).ok_or_else(|| bad_key("audit trails"))?;
            let entry = plugins::parse_audit(value)?;
            format!("audit {name}/{number} at={} {} row={}", entry.at.to_iso(), entry.action, veiled(value))
        }
        _ => return Ok(None),
    }))
}

/// A line of conversations; `None` for second keys, which follow from their rows.
pub(super) fn conversation_row(key: &Bytes, value: &Bytes) -> StoreResult<Option<String>> {
    Ok(Some(match key[0] {
        keys::CONVERSATION => {
            let stored = conversations::parse(value)?;
            let conversation = &stored.conversation;
            let lanes: Vec<String> = stored
                .lanes
                .iter()
                .map(|l| {
                    let due = if l.held { "held".to_owned() } else { l.due_at.to_iso() };
                    format!("{}:{}-{}@{due}", l.lane, l.first, l.last)
                })
                .collect();
            format!(
                "conversation {} number={} tenant={} connector={} chat={} received={} read={} archived={} engaged={} paused={} tags={} next={} lanes=[{}] row={}",
                conversation.id,
                conversation.number,
                conversation.tenant.0,
                conversation.connector.0,
                veiled(conversation.chat.as_bytes()),
                conversation.received,
                conversation.read,
                conversation.archived_at.is_some(),
                conversation.engaged,
                conversation.handover.is_some(),
                conversation.tags.len(),
                conversation.next_task,
                lanes.join(" "),
                veiled(value)
            )
        }
        keys::AUTOMATION_STATE => {
            let parsed = keys::parse_automation_state(key);
            let (conversation, automation) = parsed.ok_or_else(|| bad_key("automation states"))?;
            format!("automation-state {conversation} automation={} row={}", automation.0, veiled(value))
        }
        keys::ORIGIN => {
            let message = keys::parse_origin(key).ok_or_else(|| bad_key("origins"))?;
            let (_, origin) = conversations::parse_origin(value)?;
            format!(
                "origin {}/{} conversation={} automation={} row={}",
                message.tenant.0,
                message.serial,
                origin.conversation,
                origin.automation.0,
                veiled(value)
            )
        }
        keys::DEAD_LETTER => {
            let dead_letter = tasks::parse_dead_letter(value)?;
            format!(
                "parked {}/{} conversation={} lane={} automation={} tries={} code={} row={}",
                dead_letter.task.tenant.0,
                dead_letter.id,
                dead_letter.task.key.conversation,
                dead_letter.task.key.lane,
                dead_letter.automation.0,
                dead_letter.tries,
                dead_letter.code,
                veiled(value)
            )
        }
        keys::TIMER => {
            let (conversation, automation, name) = keys::parse_timer(key).ok_or_else(|| bad_key("timers"))?;
            let (due_at, payload) = timers::parse(value)?;
            format!(
                "timer {conversation} automation={} name={} due={} payload={}",
                automation.0,
                veiled(name.as_bytes()),
                due_at.to_iso(),
                veiled(payload.as_bytes())
            )
        }
        _ => return Ok(None),
    }))
}

/// A line of the work; `None` for timers by due time and pauses by their end, which follow from timers and conversations.
pub(super) fn task_row(key: &Bytes, value: &Bytes) -> StoreResult<Option<String>> {
    Ok(Some(match key[0] {
        keys::TASK => {
            let key = keys::parse_task(key).ok_or_else(|| bad_key("work"))?;
            let item = tasks::parse(key, value)?;
            let head = tasks::head(value)?;
            format!(
                "work {} lane={} number={} id={} {} failures={} due={} held={} after={:?} row={}",
                key.conversation,
                key.lane,
                key.number,
                item.id,
                item.body.kind().as_str(),
                head.failures,
                head.due_at.to_iso(),
                head.held,
                head.after,
                veiled(value)
            )
        }
        keys::RECORDING => {
            let (automation, number) = keys::parse_recording(key).ok_or_else(|| bad_key("recordings"))?;
            format!("recording automation={} {number} {}", automation.0, veiled(recordings::parse(value)?))
        }
        _ => return Ok(None),
    }))
}
