//! The few forms that several sections share: ids in paths, instants, cursors, JSON bodies that say where they break, pages,
//! answers without a body; and the wire types that do: [`contact`], [`content`], [`conversation`], [`message`], [`send`],
//! [`session`], [`webhook`], [`pace`], [`delivery`], [`hearing`], [`link_step`].

pub(crate) mod contact;
pub(crate) mod content;
pub(crate) mod conversation;
pub(crate) mod delivery;
pub(crate) mod hearing;
pub(crate) mod link_step;
pub(crate) mod message;
pub(crate) mod pace;
pub(crate) mod proxy;
pub(crate) mod send;
pub(crate) mod session;
pub(crate) mod webhook;

use std::borrow::Cow;

use poem::http::StatusCode;
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type};
use poem_openapi::{ApiResponse, Enum, Object};
use pombo_domain::{Error, StableWord, Timestamp, Word, model};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::errors::ErrorBody;
use pombo_api::declared::ParamKind;
use pombo_api::error::{Fails, Failure, status};
use pombo_api::json::{JsonBytes, OptionalJsonBytes};
use pombo_api::reasons;

/// Number of rows per page if the caller does not say.
pub(crate) const DEFAULT_LIMIT: u32 = 50;

/// A failure of an operation of this API.
pub(crate) type Refused<const SET: u16> = Fails<ErrorBody, SET>;

/// Statuses with which the operator's reads may fail.
pub(crate) const OPERATOR: u16 = status::BAD_REQUEST | status::UNAUTHORIZED | status::FORBIDDEN;
/// What a tenant's reads may answer: 403 to a key that is bound to one connector, 404 also when the operator names a tenant that is
/// not there.
pub(crate) const READ: u16 = status::BAD_REQUEST | status::UNAUTHORIZED | status::FORBIDDEN | status::NOT_FOUND;
/// Statuses that a body adds.
pub(crate) const BODY: u16 = status::TOO_LARGE | status::CONTENT_TYPE;
/// Statuses that a write adds.
pub(crate) const WRITE: u16 = status::UNAVAILABLE;
/// Statuses that a state machine or a unique name adds.
pub(crate) const CONFLICT: u16 = status::CONFLICT;
/// What asking the channel adds: no session or a refusal (409), a request to slow down (429), a failure or an unknown outcome
/// (502), an engine that stops (503).
pub(crate) const CHANNEL: u16 = status::CONFLICT | status::TOO_MANY | status::BAD_GATEWAY | status::UNAVAILABLE;

/// The id in a path. A text that is not a UUID is not found.
pub(crate) struct PathId(Option<Uuid>);

impl PathId {
    /// The id, or the failure that there is no `what` with this id.
    pub(crate) fn of(&self, what: &str) -> Result<Uuid, Failure> {
        self.0.ok_or_else(|| Failure::not_found(what))
    }
}

/// An instant in an answer: `2024-01-22T14:30:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant(pub(crate) Timestamp);

impl<'de> serde::Deserialize<'de> for Instant {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(reader)?;
        let parsed = Timestamp::parse_any_year(&text).map(Self);
        parsed.ok_or_else(|| serde::de::Error::custom("give an ISO 8601 date and time such as 2024-01-22T10:00:00Z"))
    }
}

/// Where a page begins.
pub(crate) enum After {
    /// At the end of the log.
    Latest,
    /// Behind this cursor.
    Cursor(u64),
}

/// The parameter `after`.
pub(crate) struct AfterCursor;

impl ParamKind for AfterCursor {
    type Value = After;

    fn schema() -> MetaSchema {
        MetaSchema { pattern: Some("^(latest|[0-9]{1,18})$".to_owned()), ..MetaSchema::new("string") }
    }
    fn parse(text: &str) -> Result<After, String> {
        let digits = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(cursor) if digits => Ok(After::Cursor(cursor)),
            _ if text == "latest" => Ok(After::Latest),
            _ => Err("must be the next of an earlier page, the cursor of an event, or latest".to_owned()),
        }
    }
}

/// The parts of [`Type`] that are alike for values written as one text.
macro_rules! text_type {
    ($type:ty, $format:literal) => {
        impl Type for $type {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                concat!("string_", $format).into()
            }
            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", $format)))
            }
            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }
            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }
    };
}

text_type!(PathId, "uuid");
text_type!(Instant, "date-time");

impl ParseFromParameter for PathId {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        // The hyphenated form only: one id has one spelling.
        Ok(Self(Uuid::try_parse(value).ok().filter(|_| value.len() == 36)))
    }
}

impl ParseFromParameter for Instant {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        // The plus of an offset means a space in a query, and is often not escaped.
        let parsed = Timestamp::parse_any_year(value).or_else(|| Timestamp::parse_any_year(&value.replace(' ', "+")));
        parsed
            .map(Self)
            .ok_or_else(|| ParseError::custom("give an ISO 8601 date and time such as 2024-01-22T10:00:00Z"))
    }
}

impl ParseFromJSON for Instant {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => Self::parse_from_parameter(&text).map_err(ParseError::propagate),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl ToJSON for Instant {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.to_iso()))
    }
}

/// A stable word in an answer. Its description in the document lists the words of the set with their meanings, so a field of this
/// type has no description of its own.
pub(crate) struct WordOf<W>(Word<W>);

impl<W> WordOf<W> {
    /// A word that is not stored, so it is always in the set.
    pub(crate) fn known(word: W) -> Self {
        Self(Word::Known(word))
    }
}

impl<W> From<Word<W>> for WordOf<W> {
    fn from(word: Word<W>) -> Self {
        Self(word)
    }
}

impl<W: StableWord> Type for WordOf<W> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string".into()
    }
    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema { description: Some(W::DESCRIPTION), ..MetaSchema::new("string") }))
    }
    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }
    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<W: StableWord> ParseFromJSON for WordOf<W> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => Ok(Self(text.into())),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl<W: StableWord> ToJSON for WordOf<W> {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.to_string()))
    }
}

/// Category of a message.
#[derive(Enum, Deserialize, Clone, Copy)]
#[oai(rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum MessageType {
    /// The default category.
    #[oai(rename = "GERAL")]
    #[serde(rename = "GERAL")]
    General,
    /// A notification.
    Notification,
    /// Marketing.
    Marketing,
    /// About a transaction.
    Transactional,
    /// Support.
    Support,
    /// A reminder.
    Reminder,
}

impl From<model::MessageType> for MessageType {
    fn from(message_type: model::MessageType) -> Self {
        match message_type {
            model::MessageType::General => Self::General,
            model::MessageType::Notification => Self::Notification,
            model::MessageType::Marketing => Self::Marketing,
            model::MessageType::Transactional => Self::Transactional,
            model::MessageType::Support => Self::Support,
            model::MessageType::Reminder => Self::Reminder,
        }
    }
}

impl From<MessageType> for model::MessageType {
    fn from(message_type: MessageType) -> Self {
        match message_type {
            MessageType::General => Self::General,
            MessageType::Notification => Self::Notification,
            MessageType::Marketing => Self::Marketing,
            MessageType::Transactional => Self::Transactional,
            MessageType::Support => Self::Support,
            MessageType::Reminder => Self::Reminder,
        }
    }
}

/// The answer to something created.
#[derive(ApiResponse)]
pub(crate) enum Created<T: ParseFromJSON + ToJSON> {
    /// It was created.
    #[oai(status = 201)]
    Made(Json<T>),
}

/// The answer to a deletion.
#[derive(ApiResponse)]
pub(crate) enum Deleted {
    /// It was deleted.
    #[oai(status = 204)]
    Done,
}

/// The answer to a request that the channel has carried out.
#[derive(ApiResponse)]
pub(crate) enum Done {
    /// The channel has carried it out.
    #[oai(status = 204)]
    Done,
}

/// A page of a list in a fixed order.
#[derive(Object)]
pub(crate) struct Page<T: ParseFromJSON + ToJSON> {
    /// The rows.
    pub(crate) data: Vec<T>,
    /// The `after` for the next page; absent on the last one.
    #[oai(skip_serializing_if_is_none)]
    pub(crate) next: Option<Uuid>,
}

/// The `limit` rows after the one whose id is `after`.
pub(crate) fn page_of<R, T: ParseFromJSON + ToJSON>(
    rows: Vec<R>,
    id: impl Fn(&R) -> Uuid,
    after: Option<Uuid>,
    limit: Option<u32>,
    wire: impl Fn(R) -> T,
) -> Result<Page<T>, Failure> {
    let start = match after {
        None => 0,
        Some(after) => match rows.iter().position(|row| id(row) == after) {
            Some(at) => at + 1,
            None => return Err(Failure::new(StatusCode::NOT_FOUND, "after: no row of this list has this id")),
        },
    };
    let limit = limit.unwrap_or(DEFAULT_LIMIT) as usize;
    let more = rows.len() > start + limit;
    let page: Vec<R> = rows.into_iter().skip(start).take(limit).collect();
    let next = page.last().map(&id).filter(|_| more);
    Ok(Page { data: page.into_iter().map(wire).collect(), next })
}

/// Parses a JSON body, which must be an object; what does not fit is named by its path.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    // serde would also take an array of the fields' values in their order.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Error::invalid("body", "must be a JSON object, not an array").into());
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize(&mut reader) {
        Ok(value) => match reader.end() {
            Ok(()) => Ok(value),
            Err(_) => Err(Failure::bad_request("the body continues after its JSON value")),
        },
        Err(error) => {
            let path = error.path().to_string();
            let field = if path == "." { "body".to_owned() } else { path };
            if error.inner().is_data() {
                return Err(Error::invalid(field, reasons::of_value(&error.inner().to_string())).into());
            }
            Err(match pombo_api::json::parse::<serde::de::IgnoredAny>(bytes) {
                Err(broken) => broken,
                // Where a word of a list is wanted, serde_json takes a number for broken JSON.
                Ok(_) => Error::invalid(field, "must be one of the documented texts").into(),
            })
        }
    }
}

/// Parses a body that was declared as `T`.
pub(crate) fn body<T: Type + DeserializeOwned>(json: &JsonBytes<T>) -> Result<T, Failure> {
    parse(&json.bytes)
}

/// Parses a body that may be left out; without one, it is the default.
pub(crate) fn optional<T: Type + DeserializeOwned + Default>(json: &OptionalJsonBytes<T>) -> Result<T, Failure> {
    if json.is_absent() { Ok(T::default()) } else { parse(&json.bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(rename = "days")]
        _days: Vec<u32>,
    }

    #[test]
    fn a_body_that_does_not_fit_is_named_by_its_path() {
        let field =
            |json: &str| parse::<Sample>(json.as_bytes()).expect_err(json).fields.first().map(|f| f.field.to_string());
        assert_eq!(field(r#"{"days":[1,"x"]}"#).as_deref(), Some("days[1]"));
        assert_eq!(field(r#"{"day":[]}"#).as_deref(), Some("day"));
        assert_eq!(field("[]").as_deref(), Some("body"));
        assert_eq!(field("{").as_deref(), None);
        assert_eq!(field(r#"{"days":[]} x"#).as_deref(), None);
    }

    #[test]
    fn pages_follow_each_other_and_end() {
        let ids: Vec<Uuid> = (1..=5).map(Uuid::from_u128).collect();
        let page = |after, limit| page_of(ids.clone(), |id| *id, after, Some(limit), |id| id).expect("a page");
        let first = page(None, 2);
        assert_eq!((first.data.as_slice(), first.next), (&ids[..2], Some(ids[1])));
        let second = page(first.next, 3);
        assert_eq!((second.data.as_slice(), second.next), (&ids[2..], None));
        assert!(page(Some(ids[4]), 2).data.is_empty());
        let unknown = page_of(ids.clone(), |id| *id, Some(Uuid::nil()), None, |id| id);
        assert_eq!(unknown.err().map(|failure| failure.status), Some(StatusCode::NOT_FOUND));
    }
}
