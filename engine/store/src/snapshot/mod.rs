//! The whole store as text, a line per row in key order: to compare a store before and after a fault, and to inspect one.
//! Contents that must not be shown (texts, addresses, secrets, hashes) appear as a length and a fingerprint.

mod automations;
mod campaigns;
mod chats;
mod contacts;
mod stats;
mod templates;
mod webhooks;

use std::io::{self, Write};

use pombo_domain::model::message::Position;
use pombo_domain::model::{HookKind, Import, Role, Tenant};
use pombo_domain::ports::StoreResult;

use crate::DiskStore;
use crate::backend::{Bytes, KeyRange, Order};
use crate::codec::{bad_key, decode};
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::tables::webhooks::parse_webhook;
use crate::tables::{access_tokens, deliveries, events, media_files, messages, people, rules, states};

/// Something that must not be shown, still comparable.
fn veiled(bytes: &[u8]) -> String {
    format!("{}#{:08x}", bytes.len(), xxhash_rust::xxh3::xxh3_64(bytes) as u32)
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

impl DiskStore {
    /// Writes the store as text. Commits wait until it is done.
    pub fn snapshot_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let _whole = self.shared.whole.lock();
        self.messages_text(out)?;
        for row in self.rows(Space::Queues) {
            let (key, _) = row.map_err(other)?;
            if let Some((connector, order)) = keys::parse_ready(&key).filter(|_| key[0] == keys::READY) {
                writeln!(
                    out,
                    "ready connector={} rank={} due={} serial={}",
                    connector.0,
                    order.rank,
                    order.due_at.to_iso(),
                    order.serial
                )?;
            } else if let Some(entry) = keys::parse_scheduled(&key) {
                writeln!(
                    out,
                    "scheduled due={} connector={} message={}/{}",
                    entry.due_at.to_iso(),
                    entry.connector.0,
                    entry.key.tenant.0,
                    entry.key.serial
                )?;
            }
        }
        for row in self.rows(Space::Deliveries) {
            let (key, value) = row.map_err(other)?;
            match key[0] {
                keys::DELIVERY => {
                    let d = deliveries::decode(&value).map_err(other)?;
                    writeln!(
                        out,
                        "delivery {}/{} revision={} id={} {} next={} tries={} attempts={} url={} body={}",
                        d.key.message.tenant.0,
                        d.key.message.serial,
                        d.key.revision,
                        d.id,
                        d.status.as_str(),
                        d.next_at.to_iso(),
                        d.tries,
                        d.attempts.len(),
                        veiled(d.url.as_bytes()),
                        veiled(d.body.as_bytes())
                    )?;
                }
                keys::DELIVERY_DUE => {
                    let due = keys::parse_delivery_due(&key).ok_or_else(|| other(bad_key("deliveries")))?;
                    writeln!(
                        out,
                        "delivery-due at={} {}/{} revision={}",
                        due.due_at.to_iso(),
                        due.key.message.tenant.0,
                        due.key.message.serial,
                        due.key.revision
                    )?;
                }
                _ => {
                    if let Some(line) = webhooks::row(&key, &value).map_err(other)? {
                        writeln!(out, "{line}")?;
                    }
                }
            }
        }
        for row in self.rows(Space::Documents) {
            let (key, value) = row.map_err(other)?;
            if let Some(line) = document(&key, &value).map_err(other)? {
                writeln!(out, "{line}")?;
            }
        }
        for row in self.rows(Space::Kv) {
            let (key, value) = row.map_err(other)?;
            let connector = Parts(&key).u32().ok_or_else(|| other(bad_key("kv")))?;
            writeln!(out, "kv connector={connector} key={} value={}", veiled(&key[4..]), veiled(&value))?;
        }
        for row in self.rows(Space::Events) {
            let (key, value) = row.map_err(other)?;
            writeln!(out, "{}", event_row(&key, &value).map_err(other)?)?;
        }
        for row in self.rows(Space::Conversations) {
            let (key, value) = row.map_err(other)?;
            if let Some(line) = automations::conversation_row(&key, &value).map_err(other)? {
                writeln!(out, "{line}")?;
            }
        }
        for row in self.rows(Space::Work) {
            let (key, value) = row.map_err(other)?;
            if let Some(line) = automations::task_row(&key, &value).map_err(other)? {
                writeln!(out, "{line}")?;
            }
        }
        for row in self.rows(Space::Timeline) {
            let (key, value) = row.map_err(other)?;
            if let Some(line) = chats::row(&key, &value).map_err(other)? {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    }

    fn rows(&self, space: Space) -> crate::backend::Scan<'_> {
        self.shared.backend.scan(space, KeyRange::prefix(&[]), Order::Forward)
    }

    fn messages_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for row in self.rows(Space::Messages) {
            let (key, row) = row.map_err(other)?;
            let key = keys::parse_message(&key).ok_or_else(|| other(bad_key("messages")))?;
            let message = messages::parse(key, &row).map_err(other)?;
            let state = match self.shared.backend.get(Space::States, &keys::message(key)).map_err(other)? {
                Some(row) => states::decode(&row).map_err(other)?.1,
                None => message.initial_state(),
            };
            let place = match state.position(&message) {
                Position::Ready(_) => "ready",
                Position::Scheduled(_) => "scheduled",
                Position::InFlight => "in-flight",
                Position::None => "-",
            };
            writeln!(
                out,
                "message {}/{} id={} created={} connector={} {} revision={} attempts={} {place} due={} updated={} \
                 sent={} provider={} reason={} record={}",
                key.tenant.0,
                key.serial,
                message.id,
                message.created_at.to_iso(),
                message.content.connector.0,
                state.status.as_str(),
                state.revision,
                state.attempts,
                state.due_at.to_iso(),
                state.updated_at.to_iso(),
                state.sent_at.map_or_else(|| "-".to_owned(), |at| at.to_iso()),
                state.provider_id.as_deref().map_or_else(|| "-".to_owned(), |id| veiled(id.as_bytes())),
                state.reason.as_ref().map_or("-", |reason| reason.code.as_str()),
                veiled(&row)
            )?;
        }
        Ok(())
    }
}

/// A line of the event logs and the receipts.
fn event_row(key: &Bytes, value: &Bytes) -> StoreResult<String> {
    let bad = || bad_key("events");
    Ok(match key[0] {
        keys::EVENT => {
            let key = keys::parse_event(key).ok_or_else(bad)?;
            let head = events::head(value)?.0;
            format!(
                "event {}/{} id={} at={} connector={} {} marked={} row={}",
                key.tenant.0,
                key.serial,
                head.id,
                head.at.to_iso(),
                head.connector.0,
                head.kind(),
                head.mark.is_some(),
                veiled(value)
            )
        }
        keys::EVENT_MARK => {
            let (event, mark) = events::parse_mark(key, value)?;
            format!("event-mark {}/{} {}", event.tenant.0, event.serial, veiled(&mark))
        }
        keys::EVENT_EDGE => {
            let tenant = Parts(&key[1..]).u32().ok_or_else(bad)?;
            format!("event-edge {tenant}/{}", events::parse_number(value)?)
        }
        keys::RECEIPTS => {
            let key = keys::parse_receipts(key).ok_or_else(bad)?;
            format!("receipts {}/{} row={}", key.tenant.0, key.serial, veiled(value))
        }
        _ => return Err(bad()),
    })
}

/// A document's line; `None` for second keys, which follow from their rows.
fn document(key: &Bytes, value: &Bytes) -> StoreResult<Option<String>> {
    let number = || Parts(&key[1..]).u32().ok_or_else(|| bad_key("documents"));
    Ok(Some(match key[0] {
        keys::META => {
            let name = String::from_utf8_lossy(&key[1..]).into_owned();
            let secret = name == crate::tables::meta::SEED;
            let shown = if secret { veiled(value) } else { Parts(value).u64().unwrap_or_default().to_string() };
            format!("meta {name}={shown}")
        }
        keys::SETTINGS => format!("settings {} {}", number()?, veiled(value)),
        keys::TENANT => {
            let tenant: Tenant = decode(value, "tenants")?;
            format!("tenant {} id={} name={}", tenant.index.0, tenant.id, veiled(tenant.name.as_bytes()))
        }
        keys::USER => {
            let user = people::parse_user(value)?;
            format!(
                "user {}/{} number={} role={} email={} row={}",
                user.tenant.0,
                user.id,
                user.number,
                user.known_role().map_or("?", Role::as_str),
                veiled(user.email.as_bytes()),
                veiled(value)
            )
        }
        keys::ACCESS_TOKEN => {
            let token = access_tokens::parse(value)?;
            let (tenant, user, day) = (token.tenant.0, token.user, token.last_used_day);
            format!("access-token {} user={tenant}/{user} used={day} row={}", token.number, veiled(value))
        }
        keys::API_KEY => {
            let api_key = people::parse_api_key(value)?;
            let revoked = api_key.revoked_at.is_some();
            let connector = api_key.connector.map_or_else(String::new, |index| format!(" connector={}", index.0));
            format!("api-key {}/{}{connector} revoked={revoked} row={}", api_key.tenant.0, api_key.id, veiled(value))
        }
        keys::CONNECTOR => {
            let connector = people::parse_connector(value)?;
            format!(
                "connector {} id={} tenant={} plugin={} {:?} row={}",
                connector.index.0,
                connector.id,
                connector.tenant.0,
                connector.plugin,
                connector.status,
                veiled(value)
            )
        }
        keys::PACE => format!("pace connector={} row={}", number()?, veiled(value)),
        keys::WEBHOOK => {
            let webhook = parse_webhook(value)?;
            let kinds: Vec<&str> = webhook.kinds.iter().map(HookKind::as_str).collect();
            let (connector, active) = (webhook.connector.0, webhook.active);
            format!("webhook connector={connector} active={active} {} row={}", kinds.join(","), veiled(value))
        }
        keys::HEALTH => format!("health connector={} row={}", number()?, veiled(value)),
        keys::CHANNEL_LIMITS => format!("channel-limits connector={} row={}", number()?, veiled(value)),
        keys::OUTREACH => {
            let record = rules::parse_outreach(value)?;
            format!("outreach connector={} releases={} row={}", number()?, record.release.len(), veiled(value))
        }
        keys::AUDIENCE => {
            let (at, until) = rules::parse_person(value)?;
            format!("audience {} at={} until={}", veiled(&key[1..]), at.to_iso(), until.to_iso())
        }
        keys::AUDIENCE_LIMIT => {
            let limit = rules::parse_audience_limit(value)?;
            let limit = limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
            format!("audience-limit {} {limit}", veiled(&key[1..]))
        }
        keys::IMPORT => {
            let import: Import = decode(value, "imports")?;
            format!(
                "import {}/{} {:?} read={}/{} accepted={} rejected={}",
                import.tenant.0,
                import.id,
                import.status,
                import.rows_read,
                import.rows_total,
                import.accepted,
                import.rejected
            )
        }
        keys::MEDIA_FILE => {
            let file = media_files::parse(value)?;
            format!(
                "stored-file {}/{} {} size={} expires={} used={} row={}",
                file.tenant.0,
                file.attachment.id,
                file.kind,
                file.attachment.size,
                file.expires_at.to_iso(),
                file.used,
                veiled(value)
            )
        }
        keys::IDEMPOTENCY => {
            format!("idempotency tenant={} key={} row={}", number()?, veiled(&key[5..]), veiled(value))
        }
        keys::STAT | keys::FAILED_BEFORE => return stats::document(key, value),
        keys::KV_BYTES => format!("kv-bytes connector={} {}", number()?, Parts(value).u64().unwrap_or_default()),
        _ => match contacts::document(key, value)? {
            Some(line) => line,
            None => match templates::document(key, value)? {
                Some(line) => line,
                None => match campaigns::document(key, value)? {
                    Some(line) => line,
                    None => return automations::document(key, value),
                },
            },
        },
    }))
}
