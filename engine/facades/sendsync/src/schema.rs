//! Pieces of the schemas that several sections declare.

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use serde_json::Value;

/// One line without control characters.
pub(crate) const LINE_PATTERN: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
/// The same, and something other than white space.
pub(crate) const FILLED_LINE_PATTERN: &str =
    r"^[^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u001f\u007f-\u009f\s][^\u0000-\u001f\u007f-\u009f]*$";

/// Lines without other control characters.
pub(crate) const LINES_PATTERN: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$";

/// A schema in place.
pub(crate) fn inline(schema: MetaSchema) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(schema))
}

/// A schema in place that null satisfies too.
pub(crate) fn nullable(mut schema: MetaSchema) -> MetaSchemaRef {
    schema.nullable = true;
    if !schema.enum_items.is_empty() {
        schema.enum_items.push(Value::Null);
    }
    inline(schema)
}

/// A text with a description.
pub(crate) fn text(description: &'static str) -> MetaSchema {
    MetaSchema { description: Some(description), ..MetaSchema::new("string") }
}
