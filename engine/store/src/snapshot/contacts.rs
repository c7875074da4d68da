//! Contacts, their addresses and opt-outs, and tags as text.

use pombo_domain::ports::StoreResult;

use super::veiled;
use crate::backend::Bytes;
use crate::codec::bad_key;
use crate::keys::{self, Parts};
use crate::tables::{contacts, opt_outs, tags};

/// A line of a document about people; `None` for other documents.
pub(super) fn document(key: &Bytes, value: &Bytes) -> StoreResult<Option<String>> {
    let address = || keys::parse_contact_address(key).ok_or_else(|| bad_key("contacts"));
    Ok(Some(match key[0] {
        keys::CONTACT => {
            let contact = contacts::parse(value)?;
            format!(
                "contact {}/{} number={} {} active={} connectors={} row={}",
                contact.tenant.0,
                contact.id,
                contact.number,
                contact.kind.as_str().to_uppercase(),
                contact.active,
                contact.connectors.len(),
                veiled(value)
            )
        }
        keys::CONTACT_ALIAS => {
            let (tenant, kind, alias) = address()?;
            let identifier = contacts::parse_identifier(value)?;
            format!(
                "contact-alias {} {} {} of {}",
                tenant.0,
                kind.as_str().to_uppercase(),
                veiled(alias.as_bytes()),
                veiled(identifier.as_bytes())
            )
        }
        keys::OPT_OUT => {
            let (tenant, kind, address) = address()?;
            let opt_out = opt_outs::parse(value)?;
            format!(
                "opt-out {} {} {} at={} row={}",
                tenant.0,
                kind.as_str().to_uppercase(),
                veiled(address.as_bytes()),
                opt_out.at.to_iso(),
                veiled(value)
            )
        }
        keys::TAG => {
            let tag = tags::parse(value)?;
            format!(
                "tag {}/{} id={} name={} row={}",
                tag.tenant.0,
                tag.number,
                tag.id,
                veiled(tag.name.as_bytes()),
                veiled(value)
            )
        }
        keys::LAST_NUMBER => {
            let mut parts = Parts(&key[1..]);
            let (tenant, series) = parts.u32().zip(parts.u8()).ok_or_else(|| bad_key("numbers"))?;
            format!("last-number {tenant}/{series} {}", Parts(value).u64().unwrap_or_default())
        }
        _ => return Ok(None),
    }))
}
