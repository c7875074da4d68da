//! Schemas of fields, for the bodies that are declared by hand.

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};

/// A schema that stands where it is used.
pub(crate) fn inline(schema: MetaSchema) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(schema))
}

/// A text of so many characters.
pub(crate) fn text(description: &'static str, least: Option<usize>, most: usize) -> MetaSchemaRef {
    inline(MetaSchema { min_length: least, max_length: Some(most), ..described(description) })
}

/// A text of at most so many characters, or null.
pub(crate) fn nullable_text(description: &'static str, most: usize) -> MetaSchemaRef {
    inline(MetaSchema { max_length: Some(most), nullable: true, ..described(description) })
}

/// A text with a description.
pub(crate) fn described(description: &'static str) -> MetaSchema {
    MetaSchema { description: Some(description), ..MetaSchema::new("string") }
}
