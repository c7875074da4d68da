//! The facade's parameters: how each is read.

use poem_openapi::registry::MetaSchema;
use pombo_domain::Timestamp;
use pombo_domain::commands::messages::list::{MAX_PAGE, MAX_SEARCH_CHARS, MIN_SEARCH_CHARS};
use pombo_domain::commands::messages::send::MAX_EXTERNAL_ID_CHARS;
use pombo_domain::model::{MessageType, Status};
use serde_json::Value;

use crate::names::{category, category_name};
use pombo_api::declared::ParamKind;

fn text_schema() -> MetaSchema {
    MetaSchema::new("string")
}

fn one_of(names: impl Iterator<Item = &'static str>) -> MetaSchema {
    MetaSchema { enum_items: names.map(Value::from).collect(), ..text_schema() }
}

/// The parameter `status`.
pub(super) struct StatusName;

impl ParamKind for StatusName {
    type Value = Status;
    fn schema() -> MetaSchema {
        one_of(Status::ALL.into_iter().map(Status::as_str))
    }
    fn parse(text: &str) -> Result<Status, String> {
        Status::parse(text).ok_or_else(|| format!("must be one of {}", Status::ALL.map(Status::as_str).join(", ")))
    }
}

/// The parameter `messageType`.
pub(super) struct TypeName;

impl ParamKind for TypeName {
    type Value = MessageType;
    fn schema() -> MetaSchema {
        one_of(MessageType::ALL.into_iter().map(category_name))
    }
    fn parse(text: &str) -> Result<MessageType, String> {
        category(text)
    }
}

/// The parameter `page`.
pub(super) struct PageNumber;

impl ParamKind for PageNumber {
    type Value = u32;
    fn schema() -> MetaSchema {
        let maximum = Some(f64::from(i32::MAX));
        MetaSchema {
            minimum: Some(1.0),
            maximum,
            default: Some(1.into()),
            ..MetaSchema::new_with_format("integer", "int32")
        }
    }
    fn parse(text: &str) -> Result<u32, String> {
        whole_number(text, i32::MAX.unsigned_abs())
    }
}

/// The parameter `limit`.
pub(super) struct PageSize;

impl ParamKind for PageSize {
    type Value = u32;
    fn schema() -> MetaSchema {
        MetaSchema {
            minimum: Some(1.0),
            maximum: Some(f64::from(MAX_PAGE)),
            default: Some(MAX_PAGE.into()),
            ..MetaSchema::new_with_format("integer", "int32")
        }
    }
    fn parse(text: &str) -> Result<u32, String> {
        whole_number(text, MAX_PAGE)
    }
}

fn whole_number(text: &str, most: u32) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number from 1 to {most}")),
    }
}

/// The parameter `externalId`.
pub(super) struct ExternalId;

impl ParamKind for ExternalId {
    type Value = String;
    fn schema() -> MetaSchema {
        MetaSchema { min_length: Some(1), max_length: Some(MAX_EXTERNAL_ID_CHARS), ..text_schema() }
    }
    fn parse(text: &str) -> Result<String, String> {
        if text.is_empty() || text.chars().count() > MAX_EXTERNAL_ID_CHARS {
            return Err(format!("must have 1 to {MAX_EXTERNAL_ID_CHARS} characters"));
        }
        Ok(text.to_owned())
    }
}

/// The parameter `search`. The command knows the rules.
pub(super) struct Search;

impl ParamKind for Search {
    type Value = String;
    fn schema() -> MetaSchema {
        let pattern = Some(format!("\\S{{{MIN_SEARCH_CHARS}}}"));
        MetaSchema { pattern, max_length: Some(MAX_SEARCH_CHARS), ..text_schema() }
    }
    fn parse(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

/// An id as it was given; one that is not valid is not found.
pub(super) struct GivenId;

impl ParamKind for GivenId {
    type Value = String;
    fn schema() -> MetaSchema {
        text_schema()
    }
    fn parse(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

/// The parameter `dateFrom`: a bare date is its first moment.
pub(super) struct DateFrom;

impl ParamKind for DateFrom {
    type Value = Timestamp;
    fn schema() -> MetaSchema {
        MetaSchema::new_with_format("string", "date-time")
    }
    fn parse(text: &str) -> Result<Timestamp, String> {
        instant(text)
    }
}

/// The parameter `dateTo`: a bare date is its last moment.
pub(super) struct DateTo;

impl ParamKind for DateTo {
    type Value = Timestamp;
    fn schema() -> MetaSchema {
        MetaSchema::new_with_format("string", "date-time")
    }
    fn parse(text: &str) -> Result<Timestamp, String> {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        let at = instant(text)?;
        Ok(if text.trim().len() == "2024-01-31".len() { at.plus_ms(DAY_MS - 1) } else { at })
    }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    // The plus of an offset means a space in a query, and is often not escaped.
    Timestamp::parse_any_year(text)
        .or_else(|| Timestamp::parse_any_year(&text.replace(' ', "+")))
        .ok_or_else(|| "must be ISO 8601, for example 2024-01-31T23:59:59Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_dates_are_read_strictly_but_for_a_lost_plus() {
        assert_eq!(PageSize::parse("250"), Ok(250));
        for bad in ["0", "251", "-1", "+5", "1.0", "1e2", "", "x", "99999999999"] {
            assert!(PageSize::parse(bad).is_err(), "{bad}");
        }
        let at = Timestamp::parse("2024-01-31T20:59:59Z");
        assert_eq!(DateFrom::parse("2024-01-31T23:59:59 03:00").ok(), at);
        assert_eq!(DateFrom::parse("2024-01-31").map(Timestamp::to_iso).as_deref(), Ok("2024-01-31T00:00:00.000Z"));
        assert_eq!(DateTo::parse("2024-01-31").map(Timestamp::to_iso).as_deref(), Ok("2024-01-31T23:59:59.999Z"));
        assert!(DateTo::parse("31/01/2024").is_err());
    }
}
