//! Tenants, users, API keys, connectors and pace states: their rows. They are read from the catalog in memory.

use pombo_domain::model::{ApiKey, Connector, Pace, PaceState, Proxy, Tenant, TenantSettings, User};
use pombo_domain::ports::{Conflict, StoreError, StoreResult};
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use uuid::Uuid;

use super::earlier::{ApiKey1, Connector1, User1};
use crate::codec::{FORMAT, append, body_of, damaged, encode, format_of, unknown_format};
use crate::keys::{self, Parts};
use crate::space::Space;
use crate::staged::Staged;

/// Format 2 has number, role and epoch. The step to schema 4 leaves no row of format 1.
const USER_FORMAT: u8 = 2;
/// Format 2 has the connector that a key is bound to.
const API_KEY_FORMAT: u8 = 2;
/// Format 2 has the rules of the health in the pace.
const CONNECTOR_FORMAT: u8 = 2;
/// Format 3 has the epoch of the secret with which the channel calls, behind the rest. Only a connector whose secret was changed is
/// written in it.
const ROTATED_CONNECTOR_FORMAT: u8 = 3;
/// Format 4 has that and whether the category orders messages. Only a connector that goes by time alone is written in it.
const TIMED_CONNECTOR_FORMAT: u8 = 4;
/// Format 5 has both and the proxy. Only a connector that has a proxy is written in it.
const PROXIED_CONNECTOR_FORMAT: u8 = 5;
/// Format 6 has these and since when the account has been in use. Only a connector of which that was said is written in it.
const USED_CONNECTOR_FORMAT: u8 = 6;

/// Format 2 of settings has the words by which people refuse advertising, behind the rest. Only a tenant that set some is written in it.
const WORDED_SETTINGS_FORMAT: u8 = 2;
/// Format 3 has these words and what the account's own phone does to automations. Only a tenant that chose something of the latter is
/// written in it.
const PHONE_SETTINGS_FORMAT: u8 = 3;

/// What a row of settings of format 3 has behind the rest: the words of a refusal, minutes of a pause, and what ends it.
type PhoneSettings = (Option<Vec<String>>, Option<u32>, Option<String>);

pub(crate) fn put_tenant(staged: &mut Staged<'_>, tenant: &Tenant) {
    staged.put(Space::Documents, keys::tenant(tenant.index).bytes(), encode(tenant));
}

/// Stores a user; no other user may have its e-mail address.
pub(crate) fn put_user(staged: &mut Staged<'_>, user: &User) -> StoreResult<()> {
    let email = keys::user_email(&user.email);
    let owner = keys::Key::new().u32(user.tenant.0).uuid(user.id);
    if let Some(row) = staged.get(Space::Documents, &email)?
        && row[..] != owner[..]
    {
        return Err(StoreError::Conflict(Conflict::Email));
    }
    let key = keys::owned(keys::USER, user.tenant, user.id).bytes();
    if let Some(row) = staged.get(Space::Documents, &key)? {
        let old = parse_user(&row)?;
        if old.email != user.email {
            staged.delete(Space::Documents, keys::user_email(&old.email));
        }
    }
    staged.put(Space::Documents, email, owner.to_vec());
    staged.put(Space::Documents, key, user_row(user));
    Ok(())
}

/// Deletes a user and the row of its e-mail address; that there is none is no failure.
pub(crate) fn delete_user(staged: &mut Staged<'_>, tenant: TenantIndex, id: Uuid) -> StoreResult<()> {
    let key = keys::owned(keys::USER, tenant, id);
    if let Some(row) = staged.get(Space::Documents, &key)? {
        staged.delete(Space::Documents, keys::user_email(&parse_user(&row)?.email));
        staged.delete(Space::Documents, key.bytes());
    }
    Ok(())
}

/// A user's row.
pub(crate) fn user_row(user: &User) -> Vec<u8> {
    append(vec![USER_FORMAT], user)
}

/// A user, from a row of the present format.
pub(crate) fn parse_user(row: &[u8]) -> StoreResult<User> {
    let what = "users";
    match format_of(row, what)? {
        (USER_FORMAT, body) => body_of(body, what),
        (format, _) => Err(unknown_format(format, what)),
    }
}

/// A user as schema 3 had it; `None` for a row of the present format.
pub(crate) fn parse_user_1(row: &[u8]) -> StoreResult<Option<User1>> {
    let what = "users";
    match format_of(row, what)? {
        (1, body) => body_of(body, what).map(Some),
        (USER_FORMAT, _) => Ok(None),
        (format, _) => Err(unknown_format(format, what)),
    }
}

/// The user that an e-mail address belongs to, from its row.
pub(crate) fn parse_owner(row: &[u8]) -> StoreResult<(TenantIndex, Uuid)> {
    let mut parts = Parts(row);
    let owner = parts.u32().zip(parts.uuid()).map(|(tenant, id)| (TenantIndex(tenant), id));
    owner.ok_or_else(|| damaged("users: a malformed e-mail row"))
}

pub(crate) fn put_api_key(staged: &mut Staged<'_>, key: &ApiKey) {
    let row = append(vec![API_KEY_FORMAT], key);
    staged.put(Space::Documents, keys::owned(keys::API_KEY, key.tenant, key.id).bytes(), row);
}

/// An API key's row, of any format.
pub(crate) fn parse_api_key(row: &[u8]) -> StoreResult<ApiKey> {
    let what = "API keys";
    match format_of(row, what)? {
        (API_KEY_FORMAT, body) => body_of(body, what),
        (1, body) => Ok(body_of::<ApiKey1>(body, what)?.into()),
        (format, _) => Err(unknown_format(format, what)),
    }
}

pub(crate) fn put_connector(staged: &mut Staged<'_>, connector: &Connector) {
    let row = match connector.receive_epoch {
        epoch if connector.pace.in_use_since.is_some() => {
            let Pace { category_order, in_use_since, .. } = &connector.pace;
            append(vec![USED_CONNECTOR_FORMAT], &(connector, epoch, category_order, &connector.proxy, in_use_since))
        }
        epoch if connector.proxy.is_some() => {
            append(vec![PROXIED_CONNECTOR_FORMAT], &(connector, epoch, connector.pace.category_order, &connector.proxy))
        }
        epoch if !connector.pace.category_order => {
            append(vec![TIMED_CONNECTOR_FORMAT], &(connector, epoch, connector.pace.category_order))
        }
        0 => append(vec![CONNECTOR_FORMAT], connector),
        epoch => append(vec![ROTATED_CONNECTOR_FORMAT], &(connector, epoch)),
    };
    staged.put(Space::Documents, keys::of_connector(keys::CONNECTOR, connector.index).bytes(), row);
}

/// A connector's row, of any format.
pub(crate) fn parse_connector(row: &[u8]) -> StoreResult<Connector> {
    let what = "connectors";
    match format_of(row, what)? {
        (CONNECTOR_FORMAT, body) => body_of(body, what),
        (ROTATED_CONNECTOR_FORMAT, body) => {
            let (connector, receive_epoch) = body_of::<(Connector, u32)>(body, what)?;
            Ok(Connector { receive_epoch, ..connector })
        }
        (TIMED_CONNECTOR_FORMAT, body) => {
            let (mut connector, receive_epoch, category_order) = body_of::<(Connector, u32, bool)>(body, what)?;
            (connector.receive_epoch, connector.pace.category_order) = (receive_epoch, category_order);
            Ok(connector)
        }
        (PROXIED_CONNECTOR_FORMAT, body) => {
            let (mut connector, receive_epoch, category_order, proxy) =
                body_of::<(Connector, u32, bool, Option<Proxy>)>(body, what)?;
            (connector.receive_epoch, connector.pace.category_order) = (receive_epoch, category_order);
            connector.proxy = proxy;
            Ok(connector)
        }
        (USED_CONNECTOR_FORMAT, body) => {
            let (mut connector, receive_epoch, category_order, proxy, in_use_since) =
                body_of::<(Connector, u32, bool, Option<Proxy>, Option<Timestamp>)>(body, what)?;
            connector.receive_epoch = receive_epoch;
            connector.pace = Pace { category_order, in_use_since, ..connector.pace };
            connector.proxy = proxy;
            Ok(connector)
        }
        (1, body) => Ok(body_of::<Connector1>(body, what)?.into()),
        (format, _) => Err(unknown_format(format, what)),
    }
}

/// The row of what a tenant set for itself.
pub(crate) fn settings_row(settings: &TenantSettings) -> Vec<u8> {
    let TenantSettings { opt_out_words, phone_pause_minutes, phone_resume_word, .. } = settings;
    if phone_pause_minutes.is_some() || phone_resume_word.is_some() {
        let behind = (opt_out_words, phone_pause_minutes, phone_resume_word);
        return append(vec![PHONE_SETTINGS_FORMAT], &(settings, behind));
    }
    match opt_out_words {
        None => encode(settings),
        Some(words) => append(vec![WORDED_SETTINGS_FORMAT], &(settings, words)),
    }
}

/// What a tenant set for itself, of any format.
pub(crate) fn parse_settings(row: &[u8]) -> StoreResult<TenantSettings> {
    let what = "settings";
    match format_of(row, what)? {
        (FORMAT, body) => body_of(body, what),
        (WORDED_SETTINGS_FORMAT, body) => {
            let (settings, words) = body_of::<(TenantSettings, Vec<String>)>(body, what)?;
            Ok(TenantSettings { opt_out_words: Some(words), ..settings })
        }
        (PHONE_SETTINGS_FORMAT, body) => {
            let (settings, behind) = body_of::<(TenantSettings, PhoneSettings)>(body, what)?;
            let (opt_out_words, phone_pause_minutes, phone_resume_word) = behind;
            Ok(TenantSettings { opt_out_words, phone_pause_minutes, phone_resume_word, ..settings })
        }
        (format, _) => Err(unknown_format(format, what)),
    }
}

pub(crate) fn put_pace(staged: &mut Staged<'_>, connector: ConnectorIndex, state: &PaceState) {
    staged.put(Space::Documents, keys::of_connector(keys::PACE, connector).bytes(), encode(state));
}
