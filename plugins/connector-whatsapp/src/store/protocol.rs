//! Data of the protocol other than keys: who has a sender key, LIDs, devices, tokens, and messages that may be needed again.

use pombo_plugin::connector::kv::Change;
use whatsapp_rust::async_trait;
use whatsapp_rust::wacore::store::error::Result;
use whatsapp_rust::wacore::store::traits::{
    DeviceInfo, DeviceListRecord, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, ProtocolStore, TcTokenEntry,
};
use whatsapp_rust::wacore::time;

use super::aged::{RECEIVED, SENT};
use super::codec::{Reader, Writer};
use super::{Store, kv};

fn holder(group: &str, device: &str) -> String {
    format!("w/d/{group}/{device}")
}
fn lid_key(lid: &str) -> String {
    format!("w/l/{lid}")
}
fn number_key(number: &str) -> String {
    format!("w/n/{number}")
}
fn devices_key(user: &str) -> String {
    format!("w/u/{user}")
}
fn base_key(address: &str, id: &str) -> String {
    format!("w/b/{address}/{id}")
}
fn token_key(jid: &str) -> String {
    format!("w/t/{jid}")
}
fn group_key(group: &str) -> String {
    format!("w/g/{group}")
}
fn sent(chat: &str, id: &str) -> String {
    format!("{chat}/{id}")
}
fn received(chat: &str, sender: &str, id: &str) -> String {
    format!("{chat}/{sender}/{id}")
}

/// The changes that delete the library's note of a message received, for the batch that puts its event into the engine. A note
/// from an earlier hour leaves its mark to the next sweep.
pub(crate) fn received_note(chat: &str, sender: &str, id: &str) -> [Change; 2] {
    RECEIVED.delete(&received(chat, sender, id), time::now_secs())
}

fn write_mapping(entry: &LidPnMappingEntry) -> Vec<u8> {
    let value = Writer::new().text(&entry.lid).text(&entry.phone_number).signed(entry.created_at);
    value.signed(entry.updated_at).text(&entry.learning_source).done()
}
fn read_mapping(value: &[u8]) -> Option<LidPnMappingEntry> {
    let mut reader = Reader::new(value);
    Some(LidPnMappingEntry {
        lid: reader.text()?,
        phone_number: reader.text()?,
        created_at: reader.signed()?,
        updated_at: reader.signed()?,
        learning_source: reader.text()?,
    })
}

fn write_devices(record: &DeviceListRecord) -> Vec<u8> {
    let mut value = Writer::new().text(&record.user).signed(record.timestamp);
    value = value.text(record.phash.as_deref().unwrap_or_default()).option(record.raw_id.map(u64::from));
    for device in &record.devices {
        value = value.varint(u64::from(device.device_id) << 1 | u64::from(device.is_hosted));
        value = value.option(device.key_index.map(u64::from));
    }
    value.done()
}
fn read_devices(value: &[u8]) -> Option<DeviceListRecord> {
    let small = |n: Option<u64>| n.map(u32::try_from).transpose().ok();
    let mut reader = Reader::new(value);
    let mut record = DeviceListRecord {
        user: reader.text()?,
        timestamp: reader.signed()?,
        phash: Some(reader.text()?).filter(|phash| !phash.is_empty()),
        raw_id: small(reader.option()?)?,
        devices: Vec::new(),
    };
    while !reader.is_empty() {
        let first = reader.varint()?;
        let key_index = small(reader.option()?)?;
        record.devices.push(DeviceInfo::new((first >> 1).try_into().ok()?, key_index).with_hosting(first & 1 == 1));
    }
    Some(record)
}

fn write_token(entry: &TcTokenEntry) -> Vec<u8> {
    let value = Writer::new().signed(entry.token_timestamp).bytes(&entry.token);
    match entry.sender_timestamp {
        None => value.varint(0).done(),
        Some(at) => value.varint(1).signed(at).done(),
    }
}
fn read_token(value: &[u8]) -> Option<TcTokenEntry> {
    let mut reader = Reader::new(value);
    Some(TcTokenEntry {
        token_timestamp: reader.signed()?,
        token: reader.bytes()?.to_vec(),
        sender_timestamp: match reader.varint()? {
            0 => None,
            _ => Some(reader.signed()?),
        },
    })
}

async fn token(of: &str) -> Result<Option<TcTokenEntry>> {
    match kv::get(token_key(of)).await? {
        None => Ok(None),
        Some(value) => read_token(&value).map(Some).ok_or_else(|| kv::damaged("contact token")),
    }
}

#[async_trait(?Send)]
impl ProtocolStore for Store {
    async fn get_sender_key_devices(&self, group: &str) -> Result<Vec<(String, bool)>> {
        let prefix = holder(group, "");
        let entries = kv::all(&prefix).await?;
        let device = |key: &str| key.get(prefix.len()..).unwrap_or_default().to_owned();
        Ok(entries.into_iter().map(|entry| (device(&entry.key), entry.value == [1])).collect())
    }

    async fn set_sender_key_status(&self, group: &str, entries: &[(&str, bool)]) -> Result<()> {
        kv::batch(entries.iter().map(|(device, has)| kv::put(holder(group, device), [u8::from(*has)])).collect()).await
    }

    async fn clear_sender_key_devices(&self, group: &str) -> Result<()> {
        kv::clear(&holder(group, "")).await
    }

    async fn delete_sender_key_device_rows(&self, devices: &[&str]) -> Result<()> {
        let of_these = |key: &str| key.rsplit('/').next().is_some_and(|device| devices.contains(&device));
        let entries = kv::all("w/d/").await?;
        kv::sweep(entries.into_iter().map(|entry| entry.key).filter(|key| of_these(key))).await
    }

    async fn clear_all_sender_key_devices(&self) -> Result<()> {
        kv::clear("w/d/").await
    }

    async fn get_lid_mapping(&self, lid: &str) -> Result<Option<LidPnMappingEntry>> {
        match kv::get(lid_key(lid)).await? {
            None => Ok(None),
            Some(value) => read_mapping(&value).map(Some).ok_or_else(|| kv::damaged("address mapping")),
        }
    }

    async fn get_pn_mapping(&self, phone: &str) -> Result<Option<LidPnMappingEntry>> {
        match kv::get(number_key(phone)).await? {
            None => Ok(None),
            Some(lid) => self.get_lid_mapping(&String::from_utf8_lossy(&lid)).await,
        }
    }

    async fn put_lid_mapping(&self, entry: &LidPnMappingEntry) -> Result<()> {
        self.put_lid_mappings(std::slice::from_ref(entry)).await
    }

    async fn put_lid_mappings(&self, entries: &[LidPnMappingEntry]) -> Result<()> {
        let both = |entry: &LidPnMappingEntry| {
            [
                kv::put(lid_key(&entry.lid), write_mapping(entry)),
                kv::put(number_key(&entry.phone_number), entry.lid.as_bytes()),
            ]
        };
        kv::batch(entries.iter().flat_map(both).collect()).await
    }

    async fn get_all_lid_mappings(&self) -> Result<Vec<LidPnMappingEntry>> {
        let entries = kv::all("w/l/").await?;
        Ok(entries.iter().filter_map(|entry| read_mapping(&entry.value)).collect())
    }

    async fn save_base_key(&self, address: &str, message_id: &str, key: &[u8]) -> Result<()> {
        kv::batch(vec![kv::put(base_key(address, message_id), key)]).await
    }

    async fn has_same_base_key(&self, address: &str, message_id: &str, current: &[u8]) -> Result<bool> {
        Ok(kv::get(base_key(address, message_id)).await?.as_deref() == Some(current))
    }

    async fn delete_base_key(&self, address: &str, message_id: &str) -> Result<()> {
        kv::batch(vec![kv::delete(base_key(address, message_id))]).await
    }

    async fn update_device_list(&self, record: DeviceListRecord) -> Result<()> {
        self.update_device_lists(vec![record]).await
    }

    async fn update_device_lists(&self, records: Vec<DeviceListRecord>) -> Result<()> {
        kv::batch(records.iter().map(|record| kv::put(devices_key(&record.user), write_devices(record))).collect())
            .await
    }

    async fn get_devices(&self, user: &str) -> Result<Option<DeviceListRecord>> {
        match kv::get(devices_key(user)).await? {
            None => Ok(None),
            Some(value) => read_devices(&value).map(Some).ok_or_else(|| kv::damaged("list of devices")),
        }
    }

    async fn delete_devices(&self, user: &str) -> Result<()> {
        kv::batch(vec![kv::delete(devices_key(user))]).await
    }

    async fn get_group_metadata(&self, group: &str) -> Result<Option<Vec<u8>>> {
        kv::get(group_key(group)).await
    }

    async fn put_group_metadata(&self, group: &str, blob: &[u8]) -> Result<()> {
        kv::batch(vec![kv::put(group_key(group), blob)]).await
    }

    async fn delete_group_metadata(&self, group: &str) -> Result<()> {
        kv::batch(vec![kv::delete(group_key(group))]).await
    }

    async fn get_tc_token(&self, jid: &str) -> Result<Option<TcTokenEntry>> {
        if let Some(found) = token(jid).await? {
            return Ok(Some(found));
        }
        // History names people by number, and tells which LID they have only after their tokens; the library asks by LID.
        match self.get_lid_mapping(jid).await? {
            Some(known) => token(&known.phone_number).await,
            None => Ok(None),
        }
    }

    async fn put_tc_token(&self, jid: &str, entry: &TcTokenEntry) -> Result<()> {
        kv::batch(vec![kv::put(token_key(jid), write_token(entry))]).await
    }

    async fn delete_tc_token(&self, jid: &str) -> Result<()> {
        kv::batch(vec![kv::delete(token_key(jid))]).await
    }

    async fn get_all_tc_token_jids(&self) -> Result<Vec<String>> {
        let entries = kv::all("w/t/").await?;
        Ok(entries.into_iter().filter_map(|entry| entry.key.get(4..).map(str::to_owned)).collect())
    }

    async fn delete_expired_tc_tokens(&self, token_cutoff: i64, sender_cutoff: i64) -> Result<u32> {
        let is_dead = |value: &[u8]| {
            read_token(value).is_none_or(|token| {
                (token.token.is_empty() || token.token_timestamp < token_cutoff)
                    && token.sender_timestamp.is_none_or(|at| at < sender_cutoff)
            })
        };
        let entries = kv::all("w/t/").await?;
        let dead: Vec<String> = entries.into_iter().filter(|e| is_dead(&e.value)).map(|e| e.key).collect();
        let count = dead.len() as u32;
        kv::sweep(dead).await?;
        Ok(count)
    }

    async fn store_sent_message(&self, chat: &str, message_id: &str, payload: &[u8]) -> Result<()> {
        kv::batch(SENT.put(&sent(chat, message_id), time::now_secs(), payload)).await
    }

    async fn take_sent_message(&self, chat: &str, message_id: &str) -> Result<Option<Vec<u8>>> {
        let name = sent(chat, message_id);
        let Some((at, payload)) = SENT.get(&name).await? else { return Ok(None) };
        kv::batch(SENT.delete(&name, at).into()).await?;
        Ok(Some(payload))
    }

    async fn delete_expired_sent_messages(&self, cutoff: i64) -> Result<u32> {
        SENT.sweep(cutoff).await
    }

    async fn store_pending_inbound(&self, chat: &str, sender: &str, id: &str, message: &[u8]) -> Result<()> {
        self.store_pending_inbound_batch(&[PendingInboundRow { chat, sender, id, message }]).await
    }

    async fn store_pending_inbound_batch(&self, rows: &[PendingInboundRow<'_>]) -> Result<()> {
        let now = time::now_secs();
        let put = |row: &PendingInboundRow<'_>| RECEIVED.put(&received(row.chat, row.sender, row.id), now, row.message);
        kv::batch(rows.iter().flat_map(put).collect()).await
    }

    async fn get_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<Option<Vec<u8>>> {
        Ok(RECEIVED.get(&received(chat, sender, id)).await?.map(|(_, message)| message))
    }

    async fn delete_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> Result<()> {
        self.delete_pending_inbound_batch(&[PendingInboundKey { chat, sender, id }]).await
    }

    async fn delete_pending_inbound_batch(&self, keys: &[PendingInboundKey<'_>]) -> Result<()> {
        let mut changes = Vec::with_capacity(keys.len() * 2);
        for key in keys {
            let name = received(key.chat, key.sender, key.id);
            // Its time is in the row: without the row its mark goes at the next sweep.
            if let Some((at, _)) = RECEIVED.get(&name).await? {
                changes.extend(RECEIVED.delete(&name, at));
            }
        }
        kv::batch(changes).await
    }

    async fn delete_expired_pending_inbound(&self, cutoff: i64) -> Result<u32> {
        RECEIVED.sweep(cutoff).await
    }
}
