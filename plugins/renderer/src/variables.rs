//! A job's variables: a JSON object, and further plain texts.

use std::borrow::Cow;
use std::fmt;

use minijinja::Value;
use minijinja::value::ValueKind;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// One value, kept as cheap as rendering allows.
#[derive(Debug)]
pub(crate) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    Other(serde_json::Value),
}

/// A context straight from a JSON object, where that is the same as by way of [`Variables`].
pub(crate) fn context_of(json: &str) -> Result<Value, String> {
    // A null is as good as absent, which takes a closer look.
    if json.trim().is_empty() || json.contains("null") {
        return Variables::read(json, std::iter::empty()).map(|v| v.to_context());
    }
    match serde_json::from_str::<Value>(json) {
        Ok(value) if value.kind() == ValueKind::Map => Ok(value),
        Ok(_) => Err("the variables must be a JSON object".to_owned()),
        Err(e) => Err(format!("the variables must be a JSON object: {e}")),
    }
}

/// Names and values in the order they came; a later one hides an earlier one of the same name.
#[derive(Debug, Default)]
pub(crate) struct Variables<'a>(Vec<(Cow<'a, str>, Scalar<'a>)>);

impl<'a> Variables<'a> {
    /// `json` is an object or empty. A null is the same as no variable at all.
    pub(crate) fn read(json: &'a str, extra: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let mut all: Vec<_> = extra.map(|(n, v)| (Cow::Borrowed(n), Scalar::Text(Cow::Borrowed(v)))).collect();
        if !json.trim().is_empty() {
            let object: Variables<'a> =
                serde_json::from_str(json).map_err(|e| format!("the variables must be a JSON object: {e}"))?;
            all.extend(object.0);
        }
        Ok(Self(all))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Scalar<'a>> {
        let (_, value) = self.0.iter().rev().find(|(n, _)| n == name)?;
        (!matches!(value, Scalar::Other(serde_json::Value::Null))).then_some(value)
    }

    pub(crate) fn to_context(&self) -> Value {
        let names = self.0.iter().map(|(name, _)| name);
        Value::from_pairs(names.filter_map(|name| {
            let value = match self.get(name)? {
                Scalar::Text(text) => Value::from(&**text),
                Scalar::Integer(n) => Value::from(*n),
                Scalar::Other(json) => Value::deserialize(json).ok()?,
            };
            Some((name.to_string(), value))
        }))
    }
}

impl<'de> Deserialize<'de> for Variables<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Variables<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::with_capacity(map.size_hint().unwrap_or(4));
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, Scalar<'de>>()? {
                    all.push((name, value));
                }
                Ok(Variables(all))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A key, borrowed where it holds no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_i64<E>(self, n: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Integer(n))
            }
            fn visit_u64<E>(self, n: u64) -> Result<Self::Value, E> {
                Ok(i64::try_from(n).map_or_else(|_| Scalar::Other(n.into()), Scalar::Integer))
            }
            fn visit_f64<E>(self, n: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Other(n.into()))
            }
            fn visit_bool<E>(self, b: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Other(b.into()))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Other(serde_json::Value::Null))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Deserialize::deserialize(serde::de::value::SeqAccessDeserializer::new(seq)).map(Scalar::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Scalar::Other)
            }
        }
        deserializer.deserialize_any(Any)
    }
}
