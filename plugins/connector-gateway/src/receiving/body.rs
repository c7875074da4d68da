//! Reads the JSON of a webhook. What is wrong names the field.

use serde_json::Value;

/// The longest id that the engine takes.
const ID_BYTES: usize = 256;

/// A field that is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Its path, e.g. `key.id`; empty for the whole body.
    pub(crate) field: String,
    pub(crate) what: &'static str,
}

/// An object of the body, and the path to it.
#[derive(Debug, Clone)]
pub(crate) struct Object<'v> {
    path: String,
    value: &'v Value,
}

impl<'v> Object<'v> {
    /// The whole body.
    pub(crate) fn root(value: &'v Value) -> Result<Self, Problem> {
        if value.is_object() {
            return Ok(Self { path: String::new(), value });
        }
        Err(Problem { field: String::new(), what: "must be a JSON object" })
    }

    /// What is wrong with one of its fields.
    pub(crate) fn problem(&self, name: &str, what: &'static str) -> Problem {
        Problem { field: self.path_to(name), what }
    }

    /// A field; `None` where it is absent or null.
    pub(crate) fn get(&self, name: &str) -> Option<&'v Value> {
        self.value.get(name).filter(|value| !value.is_null())
    }

    /// The JSON value itself.
    pub(crate) fn value(&self) -> &'v Value {
        self.value
    }

    /// The names of the fields that are set.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'v str> {
        let fields = self.value.as_object().into_iter().flatten();
        fields.filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str())
    }

    /// An object in it.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Self>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(value) if value.is_object() => Ok(Some(Self { path: self.path_to(name), value })),
            Some(_) => Err(self.problem(name, "must be an object")),
        }
    }

    /// An object that must be there.
    pub(crate) fn must_object(&self, name: &str) -> Result<Self, Problem> {
        self.object(name)?.ok_or_else(|| self.problem(name, "is missing"))
    }

    /// A text in it.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'v str>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.problem(name, "must be a text")),
        }
    }

    /// A text in it that is not blank.
    pub(crate) fn filled(&self, name: &str) -> Result<Option<&'v str>, Problem> {
        Ok(self.text(name)?.filter(|text| !text.trim().is_empty()))
    }

    /// The first of these that is a text and not blank; whatever else stands there is passed over.
    pub(crate) fn any_text(&self, names: &[&str]) -> Option<&'v str> {
        let texts = names.iter().filter_map(|name| self.get(name).and_then(Value::as_str));
        texts.map(str::trim).find(|text| !text.is_empty())
    }

    /// An id that must be there.
    pub(crate) fn must_id(&self, name: &str) -> Result<&'v str, Problem> {
        let id = self.filled(name)?.ok_or_else(|| self.problem(name, "is missing"))?.trim();
        if id.len() > ID_BYTES || id.chars().any(char::is_control) {
            return Err(self.problem(name, "must have at most 256 bytes and no control characters"));
        }
        Ok(id)
    }

    /// Whether a flag is set.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(set)) => Ok(*set),
            Some(_) => Err(self.problem(name, "must be true or false")),
        }
    }

    /// A number that is not negative: as such, as digits, or as the two halves of a 64-bit one.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let wrong = || self.problem(name, "must be a number, digits, or an object with low and high");
        number(value).map(Some).ok_or_else(wrong)
    }

    /// An instant in milliseconds; in the body it is in seconds.
    pub(crate) fn instant(&self, name: &str) -> Result<Option<u64>, Problem> {
        // Some gateways write milliseconds: as seconds that would be after the year 5000.
        let millis = |n: u64| if n > 100_000_000_000 { n } else { n * 1_000 };
        let instant = self.number(name)?.map(millis);
        // The last millisecond that the engine takes.
        match instant.filter(|at| *at > 253_402_300_799_999) {
            Some(_) => Err(self.problem(name, "must be before the year 10000")),
            None => Ok(instant),
        }
    }

    /// A number with a fraction.
    pub(crate) fn decimal(&self, name: &str) -> Result<Option<f64>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_f64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
        number.filter(|n| n.is_finite()).map(Some).ok_or_else(|| self.problem(name, "must be a number"))
    }

    /// The path to one of its fields.
    pub(crate) fn path_to(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// Moves the text at this path out of a body.
pub(crate) fn taken(body: &mut Value, path: &str) -> Option<String> {
    let pointer = format!("/{}", path.replace('.', "/"));
    match body.pointer_mut(&pointer).map(Value::take) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// See [`Object::number`].
pub(crate) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(n) => n.as_u64().or_else(|| n.as_f64().filter(|n| (0.0..1.0e15).contains(n)).map(|n| n as u64)),
        Value::String(text) => text.trim().parse().ok(),
        Value::Object(halves) => {
            // JavaScript's numbers of 32 bits have a sign.
            let half = |name: &str| halves.get(name).and_then(Value::as_i64).map(|half| half & 0xffff_ffff);
            let (low, high) = (half("low")?, half("high").unwrap_or(0));
            u64::try_from((high << 32) | low).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_has_three_forms() {
        for (value, n) in [
            (json!(1705312200), Some(1_705_312_200)),
            (json!(1705312200.0), Some(1_705_312_200)),
            (json!("1705312200"), Some(1_705_312_200)),
            (json!({"low": 1705312200, "high": 0, "unsigned": true}), Some(1_705_312_200)),
            (json!({"low": -1, "high": 0}), Some(0xffff_ffff)),
            (json!({"low": 1, "high": 1}), Some(0x1_0000_0001)),
            (json!(-1), None),
            (json!("soon"), None),
            (json!({}), None),
            (json!([]), None),
        ] {
            assert_eq!(number(&value), n, "{value}");
        }
    }

    #[test]
    fn a_text_is_moved_out() {
        let mut body = json!({"message": {"base64": "QUI="}, "base64": 7});
        assert_eq!(taken(&mut body, "message.base64").as_deref(), Some("QUI="));
        assert_eq!(
            (taken(&mut body, "message.base64"), taken(&mut body, "base64"), taken(&mut body, "x.y")),
            (None, None, None)
        );
    }

    #[test]
    fn what_is_wrong_names_its_field() {
        let value = json!({"key": {"id": 7, "fromMe": "yes", "n": "x"}, "list": [], "t": 1705312200, "gone": null});
        let body = Object::root(&value).expect("an object");
        let key = body.must_object("key").expect("an object");
        let field = |problem: Problem| problem.field;
        assert_eq!(key.must_id("id").map_err(field), Err("key.id".to_owned()));
        assert_eq!(key.must_id("name").map_err(field), Err("key.name".to_owned()));
        assert_eq!(key.flag("fromMe").map_err(field), Err("key.fromMe".to_owned()));
        assert_eq!(key.number("n").map_err(field), Err("key.n".to_owned()));
        assert_eq!(body.object("list").map(|_| ()).map_err(field), Err("list".to_owned()));
        assert_eq!(body.must_object("gone").map(|_| ()).map_err(field), Err("gone".to_owned()));
        assert_eq!(body.instant("t"), Ok(Some(1_705_312_200_000)));
        assert_eq!(body.names().collect::<Vec<_>>(), ["key", "list", "t"]);
        assert!(Object::root(&json!([])).is_err());
    }
}
