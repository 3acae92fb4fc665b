//! JSON values within limits: a megabyte of brackets must not become a hundred megabytes of lists.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Values of one request; the largest that an operation takes have a few thousand.
pub(super) const MAX_VALUES: usize = 100_000;
/// Key under which serde_json passes a number whose digits are kept.
const NUMBER: &str = "$serde_json::private::Number";

/// Reads a value, and subtracts it and those within it from the number of values that may still come.
pub(super) struct Bounded<'a>(pub(super) &'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let Some(left) = self.0.get().checked_sub(1) else {
            return Err(D::Error::custom(format!("it has more than {MAX_VALUES} values")));
        };
        self.0.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = access.next_element_seed(Bounded(self.0))? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if name == NUMBER && members.is_empty() {
                let digits: String = access.next_value()?;
                return digits.parse().map(Value::Number).map_err(A::Error::custom);
            }
            members.insert(name, access.next_value_seed(Bounded(self.0))?);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, most: usize) -> Result<Value, String> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        Bounded(&Cell::new(most)).deserialize(&mut deserializer).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_read_as_they_are() {
        let text = r#"{"b":[1,2.50,-1e400,18446744073709551616,"x\n",true,null],"a":{"":{}}}"#;
        assert_eq!(read(text, 100), Ok(serde_json::from_str(text).unwrap()));
        assert_eq!(
            read(text, 100).unwrap().to_string(),
            serde_json::from_str::<Value>(text).unwrap().to_string()
        );
    }

    #[test]
    fn too_many_or_too_deep_are_refused() {
        assert_eq!(read("[1,[2]]", 4).unwrap().to_string(), "[1,[2]]");
        assert!(read("[1,[2]]", 3).unwrap_err().starts_with("it has more than 100000 values"));
        assert!(read(&"[".repeat(10_000), 100_000).unwrap_err().starts_with("recursion limit exceeded"));
        assert!(read(&format!(r#"{{"{NUMBER}":"x"}}"#), 100).is_err());
    }
}
