//! Values that Python knows and JSON does not: bytes, dates, NaN, ordered dictionaries.
//!
//! They can come out of a file or a YAML text, and they always end in an error: no input of either service takes
//! them where they can still stand once blobs are decoded. Until that error is printed they travel inside a
//! [`Value`] as an object with one member whose name starts with NUL. Only `args` and `service::validate` meet them.

use serde_json::{Map, Value};

use super::python;

const BYTES: &str = "\0bytes";
const DATE: &str = "\0date";
const INSTANT: &str = "\0datetime";
const FLOAT: &str = "\0float";
const ORDERED: &str = "\0ordered";

/// A value seen with Python's eyes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Foreign<'a> {
    /// Bytes, in standard base64 with padding.
    Bytes(&'a str),
    /// A `datetime.date`, as `str()` shows it.
    Date(&'a str),
    /// A `datetime.datetime`, as `str()` shows it and as `repr()` does.
    Instant(&'a str, &'a str),
    /// A float that is not a number in JSON: `nan`, `inf` or `-inf`.
    Float(&'a str),
    /// An `OrderedDict`: an object that came out of JSON on the command line.
    Ordered(&'a Map<String, Value>),
}

impl<'a> Foreign<'a> {
    /// The foreign value inside a value; `None` where it is one of JSON's own.
    pub fn of(value: &'a Value) -> Option<Self> {
        let members = value.as_object().filter(|members| members.len() == 1)?;
        let (name, inner) = members.iter().next()?;
        match (name.as_str(), inner) {
            (BYTES, Value::String(text)) => Some(Self::Bytes(text)),
            (DATE, Value::String(text)) => Some(Self::Date(text)),
            (INSTANT, Value::Array(forms)) => match forms.as_slice() {
                [Value::String(text), Value::String(repr)] => Some(Self::Instant(text, repr)),
                _ => None,
            },
            (FLOAT, Value::String(text)) => Some(Self::Float(text)),
            (ORDERED, Value::Object(members)) => Some(Self::Ordered(members)),
            _ => None,
        }
    }

    /// The value that carries it.
    pub fn into_value(self) -> Value {
        let (name, inner) = match self {
            Self::Bytes(text) => (BYTES, Value::from(text)),
            Self::Date(text) => (DATE, Value::from(text)),
            Self::Instant(text, repr) => (INSTANT, Value::from_iter([text, repr])),
            Self::Float(text) => (FLOAT, Value::from(text)),
            Self::Ordered(members) => (ORDERED, Value::from(members.clone())),
        };
        Value::Object(Map::from_iter([(name.to_owned(), inner)]))
    }

    fn type_name(self) -> &'static str {
        match self {
            Self::Bytes(_) => "bytes",
            Self::Date(_) => "datetime.date",
            Self::Instant(..) => "datetime.datetime",
            Self::Float(_) => "float",
            Self::Ordered(_) => "collections.OrderedDict",
        }
    }

    fn repr(self) -> String {
        match self {
            Self::Bytes(text) => base64_simd::STANDARD
                .decode_to_vec(text)
                .map_or_else(|_| python::string_repr(text), |bytes| python::bytes_repr(&bytes)),
            Self::Date(text) => format!("datetime.date({})", numbers_in(text)),
            Self::Instant(_, text) | Self::Float(text) => text.to_owned(),
            Self::Ordered(members) if members.is_empty() => "OrderedDict()".to_owned(),
            Self::Ordered(members) => format!("OrderedDict({})", object_repr(members)),
        }
    }
}

/// The name of a value's Python type, as in `<class 'list'>`.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(_) if is_int(value) => "int",
        Value::Number(_) => "float",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => Foreign::of(value).map_or("dict", Foreign::type_name),
    }
}

/// Returns whether Python holds the value as an `int` proper (`bool` is none here).
pub fn is_int(value: &Value) -> bool {
    matches!(value, Value::Number(number) if !number.to_string().contains(['.', 'e', 'E']))
}

/// Formats a value as Python's `str()`: strings and dates as they are, everything else as [`repr`].
pub fn text(value: &Value) -> String {
    match (value, Foreign::of(value)) {
        (Value::String(text), _) => text.clone(),
        (_, Some(Foreign::Date(text) | Foreign::Instant(text, _))) => text.to_owned(),
        _ => repr(value),
    }
}

/// Formats a value as Python's `repr()`.
pub fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => {
            let digits = number.to_string();
            match digits.parse() {
                Ok(float) if !is_int(value) => python::float_repr(float),
                _ if digits == "-0" => "0".to_owned(),
                _ => digits,
            }
        }
        Value::String(text) => python::string_repr(text),
        Value::Array(items) => format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => Foreign::of(value).map_or_else(|| object_repr(members), Foreign::repr),
    }
}

fn object_repr(members: &Map<String, Value>) -> String {
    let member = |(name, value): (&String, &Value)| format!("{}: {}", python::string_repr(name), repr(value));
    format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
}

/// `2020-01-02` as the arguments of its Python constructor: `2020, 1, 2`.
fn numbers_in(text: &str) -> String {
    let numbers = text.split(|c: char| !c.is_ascii_digit()).map(|digits| {
        let significant = digits.trim_start_matches('0');
        if significant.is_empty() { "0" } else { significant }
    });
    numbers.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_as_python_shows_them() {
        let ordered = Foreign::Ordered(json!({"b": {}}).as_object().unwrap()).into_value();
        let huge: Value = serde_json::from_str("[1.50, 1E5, -0, 123456789012345678901]").unwrap();
        let cases = [
            (json!("a\nb"), "str", "a\nb", "'a\\nb'"),
            (json!(null), "NoneType", "None", "None"),
            (json!(true), "bool", "True", "True"),
            (json!(7), "int", "7", "7"),
            (json!(1.5e300), "float", "1.5e+300", "1.5e+300"),
            (json!(["a", {"b": null}]), "list", "['a', {'b': None}]", "['a', {'b': None}]"),
            (json!({}), "dict", "{}", "{}"),
            (
                huge,
                "list",
                "[1.5, 100000.0, 0, 123456789012345678901]",
                "[1.5, 100000.0, 0, 123456789012345678901]",
            ),
            (Foreign::Bytes("aGVsbG8K").into_value(), "bytes", "b'hello\\n'", "b'hello\\n'"),
            (
                Foreign::Date("2020-01-02").into_value(),
                "datetime.date",
                "2020-01-02",
                "datetime.date(2020, 1, 2)",
            ),
            (Foreign::Float("nan").into_value(), "float", "nan", "nan"),
            (ordered, "collections.OrderedDict", "OrderedDict({'b': {}})", "OrderedDict({'b': {}})"),
        ];
        for (value, type_of, as_text, as_repr) in cases {
            assert_eq!(
                (type_name(&value), text(&value), repr(&value)),
                (type_of, as_text.into(), as_repr.into())
            );
        }
    }
}
