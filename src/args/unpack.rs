//! Chooses the reader of an option's words: files first, then JSON, shorthand or the words themselves.

use serde_json::Value;

use super::Error;
use super::paramfile::{self, Content, Files};
use super::shorthand;
use crate::model::foreign::Foreign;
use crate::model::json;
use crate::model::{Kind, Service, Shape, python};

/// The value of an option: `words` as they stood on the command line, for the shape of this name. `option` is the
/// name with its hyphens, for messages. A flag has the word `true` or `false`.
///
/// A blob comes back as its text, or as bytes out of `fileb://`; [`super::blob::decode`] finishes it.
pub fn unpack(
    service: &Service,
    shape: &str,
    option: &str,
    words: &[String],
    files: Files,
) -> Result<Value, Error> {
    let unpack = Unpack { service, option, files };
    let given = unpack.given(service.shape(shape), words)?;
    unpack.value(shape, given)
}

/// An option's words after files were read.
enum OptionInput<'a> {
    Words(&'a [String]),
    Text(String),
    Bytes(Vec<u8>),
}

struct Unpack<'a> {
    service: &'a Service,
    option: &'a str,
    files: Files<'a>,
}

impl Unpack<'_> {
    /// Returns the file's text if the only word names a file; several words are never looked up. A list's file is
    /// one text.
    fn given<'w>(&self, shape: &Shape, words: &'w [String]) -> Result<OptionInput<'w>, Error> {
        // The AWS CLI makes a number of these before it looks for files.
        if let ([word], false) = (words, shape.kind == Kind::Long) {
            match paramfile::load(word, self.files) {
                Ok(Some(Content::Text(text))) => return Ok(OptionInput::Text(text)),
                Ok(Some(Content::Bytes(bytes))) => return Ok(OptionInput::Bytes(bytes)),
                Ok(None) => {}
                Err(error @ paramfile::Error::UnknownEncoding(_)) => {
                    return Err(Error::Failure(error.to_string()));
                }
                Err(error) => return Err(Error::parameter(self.option, error)),
            }
        }
        match (shape.kind, words) {
            (Kind::List, _) => Ok(OptionInput::Words(words)),
            (_, words) => Ok(OptionInput::Text(words.last().cloned().unwrap_or_default())),
        }
    }

    fn value(&self, name: &str, given: OptionInput) -> Result<Value, Error> {
        let shape = self.service.shape(name);
        let first = match &given {
            OptionInput::Words(words) => words.first().map(String::as_str),
            OptionInput::Text(text) => Some(text.as_str()),
            OptionInput::Bytes(_) => None,
        };
        if self.takes_shorthand(shape) && !first.is_some_and(looks_like_json) {
            return self.shorthand(name, given);
        }
        match (shape.kind, given) {
            (Kind::List, OptionInput::Words([word])) if begins_with(word, '[') => self.json(name, word),
            (Kind::List, OptionInput::Words(words)) => self.items(shape, words.iter().map(String::as_str)),
            (Kind::List, OptionInput::Text(text)) if begins_with(&text, '[') => self.json(name, &text),
            (Kind::List, OptionInput::Text(text)) => {
                // The AWS CLI takes a file's text for the list, and so its characters for the elements.
                let characters: Vec<_> = text.chars().map(String::from).collect();
                self.items(shape, characters.iter().map(String::as_str))
            }
            (Kind::List, OptionInput::Bytes(bytes)) => Ok(bytes.into_iter().map(Value::from).collect()),
            (_, OptionInput::Text(text)) => self.single(name, &text),
            (_, OptionInput::Words(words)) => self.single(name, words.first().map_or("", String::as_str)),
            (Kind::Integer | Kind::Long, OptionInput::Bytes(bytes)) => whole_number(&bytes_value(&bytes)),
            (_, OptionInput::Bytes(bytes)) => Ok(bytes_value(&bytes)),
        }
    }

    fn takes_shorthand(&self, shape: &Shape) -> bool {
        match (shape.kind, shape.member) {
            (Kind::List, Some(element)) => !self.service.shape(element).kind.is_scalar(),
            (kind, _) => !kind.is_scalar(),
        }
    }

    fn shorthand(&self, name: &str, given: OptionInput) -> Result<Value, Error> {
        let parse = |text: &str| shorthand::parse(text, self.files);
        let parsed = match given {
            OptionInput::Words(words) => words.iter().map(|word| parse(word)).collect(),
            OptionInput::Text(text) => parse(&text),
            // What becomes of bytes in Python's parser, for want of a better sentence.
            OptionInput::Bytes(bytes) => Err(shorthand::Error::Failure(
                if bytes.is_empty() {
                    "a bytes-like object is required, not 'str'"
                } else {
                    "'in <string>' requires string as left operand, not int"
                }
                .to_owned(),
            )),
        };
        parsed.and_then(|mut value| shorthand::fit(self.service, name, &mut value).map(|()| value)).map_err(
            |error| match error {
                shorthand::Error::Syntax(message) => Error::parameter(self.option, message),
                shorthand::Error::Failure(message) => Error::Failure(message),
            },
        )
    }

    fn items<'w>(&self, shape: &Shape, words: impl Iterator<Item = &'w str>) -> Result<Value, Error> {
        let element = shape.member.expect("a list in the model has an element");
        words.map(|word| self.single(element, word)).collect()
    }

    /// Reads one word as one value, without shorthand.
    fn single(&self, name: &str, word: &str) -> Result<Value, Error> {
        match self.service.shape(name).kind {
            Kind::Structure | Kind::Map if begins_with(word, '{') => self.json(name, word),
            Kind::List if begins_with(word, '[') => self.json(name, word),
            Kind::Structure | Kind::Map | Kind::List if word.trim_matches(python::is_space).is_empty() => {
                Err(Error::Failure("string index out of range".to_owned()))
            }
            Kind::Structure | Kind::Map | Kind::List => {
                Err(Error::parameter(self.option, format_args!("Invalid JSON:\n{word}")))
            }
            Kind::Integer | Kind::Long => whole_number(&Value::from(word)),
            Kind::Float | Kind::Double => {
                shorthand::float(&Value::from(word)).map_err(|error| Error::Failure(error.to_string()))
            }
            Kind::Boolean => Ok(Value::Bool(!word.is_empty() && !word.eq_ignore_ascii_case("false"))),
            Kind::String | Kind::Blob | Kind::Timestamp => Ok(Value::from(word)),
        }
    }

    fn json(&self, name: &str, text: &str) -> Result<Value, Error> {
        match json::parse(text) {
            Ok(mut value) => {
                self.mark_ordered(Some(name), &mut value);
                Ok(value)
            }
            Err(json::Error::Syntax(message)) => Err(Error::parameter(
                self.option,
                format_args!("Invalid JSON: {message}\nJSON received: {text}"),
            )),
            Err(json::Error::TooDeep) => Err(Error::too_deep()),
        }
    }

    /// Marks the structures of JSON words as ordered: the AWS CLI reads them into ordered dictionaries, and its
    /// messages show them as such. An object is marked where the model wants something else: only there can a message
    /// come to show it.
    fn mark_ordered(&self, name: Option<&str>, value: &mut Value) {
        let shape = name.map(|name| self.service.shape(name));
        match (shape.map(|shape| (shape.kind, shape)), value) {
            (Some((Kind::Structure, shape)), Value::Object(members)) => {
                for (name, member) in members {
                    if let Some(shape) = shape.members.get(name.as_str()) {
                        self.mark_ordered(Some(shape), member);
                    }
                }
            }
            (Some((Kind::Map, shape)), Value::Object(members)) => {
                for member in members.values_mut() {
                    self.mark_ordered(shape.value, member);
                }
            }
            (Some((Kind::List, shape)), Value::Array(items)) => {
                for item in items {
                    self.mark_ordered(shape.member, item);
                }
            }
            (_, Value::Array(items)) => {
                for item in items {
                    self.mark_ordered(None, item);
                }
            }
            (_, value @ Value::Object(_)) if Foreign::of(value).is_none() => {
                let Value::Object(members) = value else { return };
                for member in members.values_mut() {
                    self.mark_ordered(None, member);
                }
                *value = Foreign::Ordered(members).into_value();
            }
            _ => {}
        }
    }
}

fn whole_number(value: &Value) -> Result<Value, Error> {
    shorthand::whole_number(value).map_err(|error| Error::Failure(error.to_string()))
}

fn bytes_value(bytes: &[u8]) -> Value {
    Foreign::Bytes(&base64_simd::STANDARD.encode_to_string(bytes)).into_value()
}

fn looks_like_json(text: &str) -> bool {
    begins_with(text, '[') || begins_with(text, '{')
}

fn begins_with(text: &str, character: char) -> bool {
    text.trim_start_matches(python::is_space).starts_with(character)
}
