//! Fields of a JSON object that do not fail when they have the wrong type but remember it, so that one answer can name every
//! wrong field, and one wrong row of many does not affect the others. One pass; texts are borrowed from the body.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use pombo_domain::{FieldPath, FieldProblem};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A field as it was received.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Field<T> {
    /// The field is absent, or null where [`Wanted::null`] gives nothing.
    #[default]
    Missing,
    /// The field has the right type.
    Value(T),
    /// The field has another type; says what it must be.
    Wrong(Cow<'static, str>),
}

impl<T> Field<T> {
    /// The value; a problem with it is added to `problems` under `name`.
    pub fn take(self, name: impl Into<FieldPath>, problems: &mut Vec<FieldProblem>) -> Option<T> {
        match self {
            Self::Missing => None,
            Self::Value(value) => Some(value),
            Self::Wrong(message) => {
                problems.push(FieldProblem::new(name, message));
                None
            }
        }
    }
}

/// Requires a field: adds its absence to `problems`, unless something else is already wrong with it.
pub fn required<T>(name: impl Into<FieldPath>, value: Option<T>, problems: &mut Vec<FieldProblem>) -> Option<T> {
    let name = name.into();
    if value.is_none() && problems.iter().all(|problem| problem.field != name) {
        problems.push(FieldProblem::new(name, "is required"));
    }
    value
}

/// A type that a field may have.
pub trait Wanted<'de>: Sized {
    /// In words: `a text`.
    const NAME: &'static str;
    /// From `null`, where that says something else than an absent field.
    fn null() -> Option<Self> {
        None
    }
    /// From a JSON string.
    fn text(_: Cow<'de, str>) -> Option<Self> {
        None
    }
    /// From a JSON number.
    fn number(_: f64) -> Option<Self> {
        None
    }
    /// From `true` or `false`.
    fn boolean(_: bool) -> Option<Self> {
        None
    }
    /// From a JSON array.
    fn array<A: SeqAccess<'de>>(mut seq: A) -> Result<Field<Self>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(wrong::<Self>("an array"))
    }
    /// From a JSON object.
    fn object<A: MapAccess<'de>>(mut map: A) -> Result<Field<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(wrong::<Self>("an object"))
    }
}

fn wrong<'de, T: Wanted<'de>>(found: &str) -> Field<T> {
    Field::Wrong(format!("must be {}, not {found}", T::NAME).into())
}

impl<'de> Wanted<'de> for Cow<'de, str> {
    const NAME: &'static str = "a text";
    fn text(text: Cow<'de, str>) -> Option<Self> {
        Some(text)
    }
}

/// A text that `null` clears, where an absent field leaves it as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clearable<'a>(pub Option<Cow<'a, str>>);

impl<'de> Wanted<'de> for Clearable<'de> {
    const NAME: &'static str = "a text or null";
    fn null() -> Option<Self> {
        Some(Self(None))
    }
    fn text(text: Cow<'de, str>) -> Option<Self> {
        Some(Self(Some(text)))
    }
}

impl Wanted<'_> for f64 {
    const NAME: &'static str = "a number";
    fn number(number: f64) -> Option<Self> {
        Some(number)
    }
}

impl Wanted<'_> for bool {
    const NAME: &'static str = "true or false";
    fn boolean(value: bool) -> Option<Self> {
        Some(value)
    }
}

/// A JSON object of scalars, written again as compact JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalars(pub String);

impl<'de> Wanted<'de> for Scalars {
    const NAME: &'static str = "an object";
    fn object<A: MapAccess<'de>>(mut map: A) -> Result<Field<Self>, A::Error> {
        let mut json = String::from("{");
        let mut nested = None;
        while let Some((name, value)) = map.next_entry::<Cow<'de, str>, Scalar>()? {
            match value.0 {
                Some(text) => {
                    if json.len() > 1 {
                        json.push(',');
                    }
                    json.push_str(&serde_json::Value::from(name.as_ref()).to_string());
                    json.push(':');
                    json.push_str(&text);
                }
                None => nested = nested.or(Some(name)),
            }
        }
        json.push('}');
        Ok(match nested {
            None => Field::Value(Self(json)),
            Some(name) => {
                let name: String = name.chars().take(60).collect();
                Field::Wrong(format!("{name:?} must be a text, a number, true, false or null").into())
            }
        })
    }
}

/// A scalar as JSON; `None` for an array or object.
struct Scalar(Option<String>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;
        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }
            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar(Some("null".to_owned())))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.to_string())))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.to_string())))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(Some(value.to_string())))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(Some(serde_json::Value::from(value).to_string())))
            }
            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar(Some(serde_json::Value::from(value).to_string())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

impl<'de, T: Wanted<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: Wanted<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::NAME)
    }
    fn visit_unit<E>(self) -> Result<Field<T>, E> {
        Ok(T::null().map_or(Field::Missing, Field::Value))
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Field<T>, E> {
        Ok(T::text(Cow::Borrowed(text)).map_or_else(|| wrong("a text"), Field::Value))
    }
    fn visit_str<E>(self, text: &str) -> Result<Field<T>, E> {
        Ok(T::text(Cow::Owned(text.to_owned())).map_or_else(|| wrong("a text"), Field::Value))
    }
    fn visit_bool<E>(self, value: bool) -> Result<Field<T>, E> {
        Ok(T::boolean(value).map_or_else(|| wrong(if value { "true" } else { "false" }), Field::Value))
    }
    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Field<T>, E> {
        self.visit_f64(number as f64)
    }
    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Field<T>, E> {
        self.visit_f64(number as f64)
    }
    fn visit_f64<E>(self, number: f64) -> Result<Field<T>, E> {
        Ok(T::number(number).map_or_else(|| wrong("a number"), Field::Value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Field<T>, A::Error> {
        T::array(seq)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field<T>, A::Error> {
        T::object(map)
    }
}

/// Makes a type of optional fields that is read from a JSON object in one pass: unknown fields are skipped, of a repeated one the
/// last counts, as in JavaScript. `NAMES` holds the fields' names.
#[macro_export]
macro_rules! json_fields {
    ($(#[$doc:meta])* $vis:vis struct $name:ident<$life:lifetime> { $($field:ident: $json:literal as $kind:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        $vis struct $name<$life> {
            $($vis $field: $crate::fields::Field<$kind>,)+
            $vis borrowed: std::marker::PhantomData<&$life ()>,
        }

        #[allow(dead_code, reason = "not every object's names are compared with a declared schema")]
        impl $name<'_> {
            $vis const NAMES: &'static [&'static str] = &[$($json),+];
        }

        impl<$life> $crate::fields::Wanted<$life> for $name<$life> {
            const NAME: &'static str = "an object";

            fn object<A: serde::de::MapAccess<$life>>(
                mut map: A,
            ) -> Result<$crate::fields::Field<Self>, A::Error> {
                #[allow(non_camel_case_types, reason = "named as the fields")]
                enum Key { $($field,)+ Other }
                impl<'de> serde::Deserialize<'de> for Key {
                    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                        struct KeyVisitor;
                        impl serde::de::Visitor<'_> for KeyVisitor {
                            type Value = Key;
                            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                                f.write_str("a field's name")
                            }
                            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                                Ok(match name { $($json => Key::$field,)+ _ => Key::Other })
                            }
                        }
                        deserializer.deserialize_identifier(KeyVisitor)
                    }
                }
                let mut fields = Self::default();
                while let Some(key) = map.next_key::<Key>()? {
                    match key {
                        $(Key::$field => fields.$field = map.next_value()?,)+
                        Key::Other => { map.next_value::<serde::de::IgnoredAny>()?; }
                    }
                }
                Ok($crate::fields::Field::Value(fields))
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    json_fields! {
        struct Sample<'a> {
            name: "name" as Cow<'a, str>,
            size: "size" as f64,
            open: "open" as bool,
            values: "values" as Scalars,
        }
    }

    fn read(json: &str) -> Sample<'_> {
        match serde_json::from_str(json) {
            Ok(Field::Value(sample)) => sample,
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn right_kinds_are_borrowed_and_null_unknown_and_repeated_fields_are_borne() {
        let sample = read(r#"{"name":"a","x":[{"y":1}],"size":5,"open":true,"name":"b","values":null}"#);
        assert!(matches!(sample.name, Field::Value(Cow::Borrowed("b"))));
        assert_eq!((sample.size, sample.open), (Field::Value(5.0), Field::Value(true)));
        assert_eq!(sample.values, Field::Missing);
        assert!(matches!(read(r#"{"name":"\u00e9"}"#).name, Field::Value(Cow::Owned(text)) if text == "é"));
    }

    #[test]
    fn wrong_kinds_are_remembered_each_by_itself() {
        let sample = read(r#"{"name":5,"size":"5","open":[1,[2]],"values":{"a":{"b":1}}}"#);
        let mut problems = Vec::new();
        assert!(sample.name.take("name", &mut problems).is_none());
        assert!(sample.size.take("size", &mut problems).is_none());
        assert!(sample.open.take("open", &mut problems).is_none());
        assert!(sample.values.take("values", &mut problems).is_none());
        let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "must be a text, not a number",
                "must be a number, not a text",
                "must be true or false, not an array",
                "\"a\" must be a text, a number, true, false or null",
            ]
        );
        let row: Field<Sample<'_>> = serde_json::from_str("5").expect("JSON");
        assert!(matches!(row, Field::Wrong(message) if message == "must be an object, not a number"));
    }

    #[test]
    fn null_clears_where_it_says_something_else_than_nothing() {
        let read = |json| serde_json::from_str::<Field<Clearable<'_>>>(json).expect("JSON");
        assert_eq!(read("null"), Field::Value(Clearable(None)));
        assert_eq!(read(r#""a""#), Field::Value(Clearable(Some("a".into()))));
        assert_eq!(read("5"), Field::Wrong("must be a text or null, not a number".into()));
    }

    #[test]
    fn scalars_are_written_again() {
        let sample = read(r#"{"values": { "n": 12345678901234567890, "f": 1.5, "t": "a\"b", "b": false, "z": null }}"#);
        let Field::Value(Scalars(json)) = sample.values else { panic!("an object") };
        assert_eq!(json, r#"{"n":12345678901234567890,"f":1.5,"t":"a\"b","b":false,"z":null}"#);
    }
}
