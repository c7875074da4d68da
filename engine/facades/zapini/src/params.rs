//! Parameters and fields, read as tolerantly as the documentation's callers write them: pages, booleans, instants, lists in several
//! spellings, texts that come as numbers.

use std::borrow::Cow;

use poem::Request;
use poem_openapi::param::Query;
use poem_openapi::registry::MetaSchema;
use pombo_api::declared::{Param, ParamKind};
use pombo_api::error::Failure;
use pombo_api::fields::{Field, Wanted};
use pombo_domain::{Error, Timestamp};
use serde::de::SeqAccess;
use uuid::Uuid;

/// Rows per page, if the caller does not say.
pub const DEFAULT_PER_PAGE: u32 = 15;
/// Messages of a conversation, if the caller does not say how many.
pub const DEFAULT_MESSAGES: u32 = 50;
/// Maximum number of digits of a number that is looked up.
const MAX_NUMBER_DIGITS: usize = 16;
/// Maximum number of rows per page.
pub const MAX_PER_PAGE: u32 = 100;
/// Maximum number of tags in one filter.
pub const MAX_TAG_IDS: usize = 50;
/// Maximum length of a text that is given as a parameter, in characters.
const MAX_TEXT_CHARS: usize = 200;

/// A page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Its number, from 1.
    pub number: u32,
    /// Maximum number of its rows, from 1 to [`MAX_PER_PAGE`].
    pub size: u32,
}

impl Page {
    /// From the parameters `page` and `per_page`.
    pub fn of(number: Option<u32>, size: Option<u32>) -> Self {
        Self { number: number.unwrap_or(1), size: size.unwrap_or(DEFAULT_PER_PAGE) }
    }
    /// Number of rows before it.
    pub fn offset(self) -> u64 {
        u64::from(self.number - 1) * u64::from(self.size)
    }
}

/// The parameter `page`.
pub struct PageNumber;

impl ParamKind for PageNumber {
    type Value = u32;

    fn schema() -> MetaSchema {
        let maximum = Some(f64::from(i32::MAX));
        MetaSchema { minimum: Some(1.0), maximum, default: Some(1.into()), ..MetaSchema::new("integer") }
    }
    fn parse(text: &str) -> Result<u32, String> {
        whole_number(text, i32::MAX.unsigned_abs())
    }
}

/// The parameter `per_page`.
pub struct PerPage;

impl ParamKind for PerPage {
    type Value = u32;

    fn schema() -> MetaSchema {
        MetaSchema {
            minimum: Some(1.0),
            maximum: Some(f64::from(MAX_PER_PAGE)),
            default: Some(DEFAULT_PER_PAGE.into()),
            ..MetaSchema::new("integer")
        }
    }
    fn parse(text: &str) -> Result<u32, String> {
        whole_number(text, MAX_PER_PAGE)
    }
}

fn whole_number(text: &str, most: u32) -> Result<u32, String> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number from 1 to {most}")),
    }
}

/// The parameters `before_id` and `after_id`: the number of a message.
pub struct MessageNumber;

impl ParamKind for MessageNumber {
    type Value = u64;

    fn schema() -> MetaSchema {
        MetaSchema { minimum: Some(0.0), maximum: Some(MAX_EXACT), ..MetaSchema::new_with_format("integer", "int64") }
    }
    fn parse(text: &str) -> Result<u64, String> {
        let text = text.trim();
        let is_number = (1..=MAX_NUMBER_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_number && *number <= MAX_EXACT as u64);
        number.ok_or_else(|| "must be the id of a message, a whole number".to_owned())
    }
}

/// The parameter `limit` of a list of messages.
pub struct MessageLimit;

impl ParamKind for MessageLimit {
    type Value = u32;

    fn schema() -> MetaSchema {
        MetaSchema {
            minimum: Some(1.0),
            maximum: Some(f64::from(MAX_PER_PAGE)),
            default: Some(DEFAULT_MESSAGES.into()),
            ..MetaSchema::new("integer")
        }
    }
    fn parse(text: &str) -> Result<u32, String> {
        whole_number(text, MAX_PER_PAGE)
    }
}

/// The value of an optional parameter.
pub(crate) fn given<K: ParamKind>(parameter: Query<Option<Param<K>>>) -> Option<K::Value> {
    parameter.0.map(|parameter| parameter.0)
}

/// A boolean: `true`, `1`, `yes`, `on`, the bare name, and their opposites.
pub struct Flag;

impl ParamKind for Flag {
    type Value = bool;

    fn schema() -> MetaSchema {
        MetaSchema::new("boolean")
    }
    fn parse(text: &str) -> Result<bool, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        }
    }
}

/// An instant in ISO 8601; a bare date is its first moment.
pub struct Instant;

impl ParamKind for Instant {
    type Value = Timestamp;

    fn schema() -> MetaSchema {
        MetaSchema::new_with_format("string", "date-time")
    }
    fn parse(text: &str) -> Result<Timestamp, String> {
        // The plus of an offset means a space in a query, and is often not escaped.
        Timestamp::parse_any_year(text)
            .or_else(|| Timestamp::parse_any_year(&text.trim().replace(' ', "+")))
            .ok_or_else(|| "must be ISO 8601, for example 2025-01-15T10:30:00Z".to_owned())
    }
}

/// A text as it was given. What it names is looked up by its handler.
pub struct Text;

impl ParamKind for Text {
    type Value = String;

    fn schema() -> MetaSchema {
        MetaSchema::new("string")
    }
    fn parse(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

/// The values of a parameter that may be given several times, as a list with commas, or with brackets: `a=1,2`, `a=1&a=2`,
/// `a[]=1&a[]=2`, `a[0]=1`. Empty values are left out.
pub fn list(request: &Request, name: &str) -> Vec<String> {
    let given: Vec<(String, String)> = request.params().unwrap_or_default();
    let named = |key: &str| {
        key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || (rest.starts_with('[') && rest.ends_with(']')))
    };
    let values = given.into_iter().filter(|(key, _)| named(key));
    values
        .flat_map(|(_, value)| value.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>())
        .filter(|one| !one.is_empty())
        .collect()
}

/// The tags of a filter, from `tag_id` and from `tag_ids` in its three spellings; empty where none is given.
pub fn tag_ids(request: &Request) -> Result<Vec<Uuid>, Failure> {
    let mut ids = Vec::new();
    for name in ["tag_id", "tag_ids"] {
        for text in list(request, name) {
            let id = Uuid::try_parse(&text).map_err(|_| Error::invalid(name, "must be UUIDs of tags"))?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        if ids.len() > MAX_TAG_IDS {
            return Err(Error::invalid(name, format!("must be at most {MAX_TAG_IDS} tags")).into());
        }
    }
    Ok(ids)
}

/// Refuses a text that is too long to name anything.
pub fn bounded(name: &'static str, text: &str) -> Result<(), Failure> {
    if text.chars().count() > MAX_TEXT_CHARS {
        return Err(Error::invalid(name, format!("must have at most {MAX_TEXT_CHARS} characters")).into());
    }
    Ok(())
}

/// The largest number that every client writes exactly.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// A text that some callers write as a JSON number: `"5511999999999"` or `5511999999999`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberOrText(pub String);

impl<'de> Wanted<'de> for NumberOrText {
    const NAME: &'static str = "a text";

    fn text(text: Cow<'de, str>) -> Option<Self> {
        Some(Self(text.into_owned()))
    }
    fn number(number: f64) -> Option<Self> {
        let whole = number.fract() == 0.0 && (0.0..=MAX_EXACT).contains(&number);
        whole.then(|| Self(format!("{number:.0}")))
    }
}

/// A list of texts that some callers write as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts(pub Vec<String>);

impl<'de> Wanted<'de> for Texts {
    const NAME: &'static str = "a list of texts";

    fn array<A: SeqAccess<'de>>(mut seq: A) -> Result<Field<Self>, A::Error> {
        let (mut texts, mut wrong) = (Vec::new(), None);
        while let Some(one) = seq.next_element::<Field<NumberOrText>>()? {
            match one {
                Field::Value(NumberOrText(text)) => texts.push(text),
                Field::Missing | Field::Wrong(_) => wrong = wrong.or(Some(texts.len())),
            }
        }
        Ok(match wrong {
            None => Field::Value(Self(texts)),
            Some(at) => Field::Wrong(format!("must be a list of texts; element {at} is something else").into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Request {
        Request::builder().uri(format!("/x?{query}").parse().expect("a URI")).finish()
    }

    #[test]
    fn a_page_has_15_rows_and_at_most_100() {
        assert_eq!(Page::of(None, None), Page { number: 1, size: 15 });
        assert_eq!(Page::of(Some(3), Some(20)).offset(), 40);
        assert_eq!(PerPage::parse("100"), Ok(100));
        for bad in ["0", "101", "-1", "+5", "1.5", "x", ""] {
            assert!(PerPage::parse(bad).is_err(), "{bad}");
        }
        assert!(PageNumber::parse("2147483648").is_err());
        assert_eq!((MessageNumber::parse("456"), MessageNumber::parse("0")), (Ok(456), Ok(0)));
        for bad in ["-1", "+1", "x", "", "10000000000000000"] {
            assert!(MessageNumber::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn booleans_and_instants_are_read_in_their_usual_spellings() {
        for (text, value) in [("true", true), ("1", true), ("TRUE", true), ("", true), ("false", false), ("0", false)] {
            assert_eq!(Flag::parse(text), Ok(value), "{text}");
        }
        assert!(Flag::parse("maybe").is_err());
        let at = Timestamp::parse("2025-01-15T10:30:00Z");
        assert_eq!(Instant::parse("2025-01-15T13:30:00 03:00").ok(), at);
        assert!(Instant::parse("yesterday").is_err());
    }

    #[test]
    fn a_list_is_read_in_three_spellings() {
        for query in ["a=1,2&b=3", "a=1&a=2", "a[]=1&a[]=2", "a%5B%5D=1&a[1]=2", "a=1,%202,,"] {
            assert_eq!(list(&asked(query), "a"), ["1", "2"], "{query}");
        }
        assert!(list(&asked("ab=1&a"), "a").is_empty());
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let query = format!("tag_id={one}&tag_ids={one},{two}&tag_ids[]={two}");
        assert_eq!(tag_ids(&asked(&query)).expect("UUIDs"), [one, two]);
        assert!(tag_ids(&asked("tag_ids=vip")).is_err());
        let many: Vec<String> = (0..51).map(|n| Uuid::from_u128(n).to_string()).collect();
        assert!(tag_ids(&asked(&format!("tag_ids={}", many.join(",")))).is_err());
    }

    #[test]
    fn texts_may_come_as_whole_numbers() {
        let read = |json: &str| serde_json::from_str::<Field<Texts>>(json).expect("JSON");
        let given = r#"["5511987654321", 5511976543210]"#;
        assert_eq!(read(given), Field::Value(Texts(vec!["5511987654321".to_owned(), "5511976543210".to_owned()])));
        for bad in [r#"["a", 1.5]"#, r#"["a", null]"#, r#"["a", ["b"]]"#, r#"["a", -1]"#] {
            let message = "must be a list of texts; element 1 is something else";
            assert_eq!(read(bad), Field::Wrong(message.into()), "{bad}");
        }
        assert!(matches!(read(r#""5511""#), Field::Wrong(_)));
    }
}
