//! Fields as this API names them.

use std::borrow::Cow;

use pombo_domain::Field;

use crate::access::TENANT_HEADER;
use pombo_api::names::camel_case;

/// A field's name in bodies, queries and headers.
pub(crate) fn field_name(field: Field) -> Cow<'static, str> {
    Cow::Borrowed(match field {
        Field::Connector => "connectorId",
        Field::Since => "dateFrom",
        Field::UpTo => "dateTo",
        Field::SplitBy => "by",
        Field::Request => "body",
        Field::Query => "q",
        Field::Queue => "queueId",
        Field::ConversationStatus => "statusId",
        Field::Tenant => TENANT_HEADER,
        Field::IdempotencyKey => "Idempotency-Key",
        other => return camel_case(other),
    })
}
