//! Secrets of messages, which edits, votes and some reactions are encrypted with.

use whatsapp_rust::async_trait;
use whatsapp_rust::wacore::store::error::Result;
use whatsapp_rust::wacore::store::traits::{
    MsgSecretEntry, MsgSecretStore, merge_msg_secret_expiry, merge_msg_secret_message_ts,
};

use super::aged::SECRETS;
use super::codec::{Reader, Writer};
use super::{Store, kv};

fn name(chat: &str, sender: &str, id: &str) -> String {
    format!("{chat}/{sender}/{id}")
}

async fn read(name: &str) -> Result<Option<(i64, i64, Vec<u8>)>> {
    let Some((expires, value)) = SECRETS.get(name).await? else { return Ok(None) };
    let mut reader = Reader::new(&value);
    let sent = reader.signed().ok_or_else(|| kv::damaged("message secret"))?;
    Ok(Some((expires, sent, reader.rest().to_vec())))
}

#[async_trait(?Send)]
impl MsgSecretStore for Store {
    async fn put_msg_secrets(&self, entries: Vec<MsgSecretEntry>) -> Result<usize> {
        let count = entries.len();
        let mut changes = Vec::with_capacity(count * 2);
        for entry in entries {
            let name = name(&entry.chat, &entry.sender, &entry.msg_id);
            let (mut expires, mut sent) = (entry.expires_at, entry.message_ts);
            if let Some((old_expires, old_sent, _)) = read(&name).await? {
                expires = merge_msg_secret_expiry(old_expires, expires);
                sent = merge_msg_secret_message_ts(old_sent, sent);
            }
            changes.extend(SECRETS.put(&name, expires, &Writer::new().signed(sent).rest(&entry.secret)));
        }
        kv::batch(changes).await?;
        Ok(count)
    }

    async fn get_msg_secret(&self, chat: &str, sender: &str, msg_id: &str) -> Result<Option<Vec<u8>>> {
        Ok(read(&name(chat, sender, msg_id)).await?.map(|(_, _, secret)| secret))
    }

    async fn get_msg_secret_with_ts(&self, chat: &str, sender: &str, msg_id: &str) -> Result<Option<(Vec<u8>, i64)>> {
        Ok(read(&name(chat, sender, msg_id)).await?.map(|(_, sent, secret)| (secret, sent)))
    }

    async fn delete_expired_msg_secrets(&self, cutoff_timestamp: i64) -> Result<u32> {
        SECRETS.sweep(cutoff_timestamp).await
    }
}
