//! Keys of counts of messages, and of messages by their channel's ids.

use pombo_domain::model::MessageType;
use pombo_domain::model::stats::{StatSpan, StatSubject};
use pombo_domain::{ConnectorIndex, TenantIndex};

use super::{Key, Parts};
use crate::backend::Bytes;

pub(crate) const STAT: u8 = 0x70;
pub(crate) const FAILED_BEFORE: u8 = 0x71;

pub(crate) const PROVIDER_MESSAGE: u8 = 0x09;

/// What the keys of all counts of a kind of spans begin with.
pub(crate) fn stats_of(tenant: TenantIndex, span: StatSpan) -> Key {
    Key::tag(STAT).u32(tenant.0).u8(span as u8)
}

/// What the keys of all counts of one span begin with.
pub(crate) fn stats_in(tenant: TenantIndex, span: StatSpan, number: u32) -> Key {
    stats_of(tenant, span).u32(number)
}

/// Numbers of templates and campaigns begin with 1: 0 stands for none.
pub(crate) fn stat(tenant: TenantIndex, span: StatSpan, number: u32, subject: &StatSubject) -> Key {
    stats_in(tenant, span, number)
        .u32(subject.connector.0)
        .u8(subject.message_type as u8)
        .u32(subject.template.unwrap_or(0))
        .u32(subject.campaign.unwrap_or(0))
}

/// Number of the span, and the subject, in a [`STAT`] key.
pub(crate) fn parse_stat(key: &[u8]) -> Option<(u32, StatSubject)> {
    let mut parts = Parts(key.get(6..)?);
    let number = parts.u32()?;
    let connector = ConnectorIndex(parts.u32()?);
    let message_type = *MessageType::ALL.get(usize::from(parts.u8()?))?;
    let some = |number: u32| Some(number).filter(|number| *number > 0);
    let (template, campaign) = (some(parts.u32()?), some(parts.u32()?));
    Some((number, StatSubject { connector, message_type, template, campaign }))
}

pub(crate) fn provider_message(connector: ConnectorIndex, provider_id: &str) -> Bytes {
    super::long(PROVIDER_MESSAGE, &Key::new().u32(connector.0), provider_id.as_bytes())
}

/// The connector in a [`PROVIDER_MESSAGE`] key.
pub(crate) fn parse_provider_message(key: &[u8]) -> Option<ConnectorIndex> {
    Parts(key.get(1..)?).u32().map(ConnectorIndex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_counts_sort_by_span_and_parse_back() {
        let subject = |template, campaign| StatSubject {
            connector: ConnectorIndex(7),
            message_type: MessageType::Marketing,
            template,
            campaign,
        };
        let key = |number, subject| stat(TenantIndex(3), StatSpan::Hour, number, &subject).bytes();
        let keys = [
            key(1, subject(Some(9), Some(9))),
            key(2, subject(None, None)),
            key(2, subject(None, Some(1))),
            key(256, subject(None, None)),
        ];
        assert!(keys.is_sorted());
        assert_eq!(parse_stat(&keys[0]), Some((1, subject(Some(9), Some(9)))));
        assert_eq!(parse_stat(&keys[1]), Some((2, subject(None, None))));
    }
}
