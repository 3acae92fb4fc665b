//! `--cli-input-json` and `--cli-input-yaml`: the rest of an input, out of one text.

use serde_json::{Map, Value};

use super::paramfile::{self, Content, Files};
use super::{Error, yaml};
use crate::model::{foreign, json};

/// Merges the input of `--cli-input-json` or `--cli-input-yaml` into an input. Members that options have given stay
/// whole; the others follow in the order of the text.
pub fn merge(
    input: &mut Map<String, Value>,
    json: Option<&str>,
    yaml: Option<&str>,
    files: Files,
) -> Result<(), Error> {
    let (option, loaded) = match (json, yaml) {
        (None, None) => return Ok(()),
        (Some(_), Some(_)) => {
            let message = "Only one --cli-input- parameter may be specified.";
            return Err(Error::Parameter(message.to_owned()));
        }
        (Some(argument), None) => ("--cli-input-json", load_json(argument, files)?),
        (None, Some(argument)) => ("--cli-input-yaml", load_yaml(argument, files)?),
    };
    match loaded {
        Value::Object(members) if foreign::type_name(&Value::Object(members.clone())) == "dict" => {
            for (name, value) in members {
                input.entry(name).or_insert(value);
            }
            Ok(())
        }
        other => {
            let class = foreign::type_name(&other);
            let message = format_args!("Invalid type: expecting map, received <class '{class}'>");
            Err(Error::parameter(option, message))
        }
    }
}

/// Syntax errors name the option without its hyphens.
fn load_json(argument: &str, files: Files) -> Result<Value, Error> {
    let invalid = || Error::parameter("cli-input-json", "Invalid JSON received.");
    let parsed = match content("--cli-input-json", argument, files)? {
        Content::Text(text) => json::parse(&text),
        Content::Bytes(bytes) => {
            let text = String::from_utf8(bytes).map_err(|_| invalid())?;
            json::parse(text.strip_prefix('\u{feff}').unwrap_or(&text))
        }
    };
    parsed.map_err(|error| match error {
        json::Error::Syntax(_) => invalid(),
        json::Error::TooDeep => Error::too_deep(),
    })
}

fn load_yaml(argument: &str, files: Files) -> Result<Value, Error> {
    let bytes = match content("--cli-input-yaml", argument, files)? {
        Content::Text(text) => text.into_bytes(),
        Content::Bytes(bytes) => bytes,
    };
    yaml::parse_input(&bytes).map_err(|error| match error {
        yaml::Error::Invalid => Error::parameter("cli-input-yaml", "Invalid YAML received."),
        yaml::Error::TooDeep => Error::too_deep(),
        yaml::Error::Value(message) => Error::Failure(message),
    })
}

fn content(option: &str, argument: &str, files: Files) -> Result<Content, Error> {
    match paramfile::load(argument, files) {
        Ok(content) => Ok(content.unwrap_or_else(|| Content::Text(argument.to_owned()))),
        Err(error @ paramfile::Error::UnknownEncoding(_)) => Err(Error::Failure(error.to_string())),
        Err(error) => Err(Error::parameter(option, error)),
    }
}
