//! Parsing of arguments into the model's values.
//!
//! Everything here is a pure function of its arguments; only [`paramfile`] opens files, at places that it is told.
//! An input is built in three steps: [`unpack()`] for each option, [`cli_input::merge`] for the rest of the input out of
//! one JSON or YAML text, and [`blob::decode`] once the whole input is there. [`skeleton`] goes the other way.

pub mod blob;
pub mod cli_input;
pub mod paramfile;
pub mod shorthand;
pub mod skeleton;
mod unpack;
mod yaml;
mod yaml_scalar;

pub use paramfile::Files;
pub use unpack::unpack;

/// Error of reading an argument. The texts are the AWS CLI's own, since scripts search for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The argument is wrong: a `ParamValidation`, exit code 252.
    #[error("{0}")]
    Parameter(String),
    /// Reading it failed in a way that the AWS CLI reports without a code: exit code 255.
    #[error("{0}")]
    Failure(String),
}

/// Reads a document in YAML, and thereby JSON.
pub fn read_yaml(text: &str) -> Result<serde_json::Value, Error> {
    yaml::parse(text.as_bytes()).map_err(|error| Error::Failure(error.to_string()))
}

impl Error {
    /// A wrong argument, with the option's name in front.
    fn parameter(option: &str, message: impl std::fmt::Display) -> Self {
        Self::Parameter(format!("Error parsing parameter '{option}': {message}"))
    }

    /// Python's error when nesting is too deep for it.
    fn too_deep() -> Self {
        Self::Failure("maximum recursion depth exceeded".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ecr, names, wire};
    use indexmap::IndexMap;
    use serde_json::{Map, Value, json};

    type Options = IndexMap<String, Vec<String>>;

    const NO_FILES: Files = Files { home: None, variable: &|_| None, encoding: None };

    /// Input of an operation, made of a command line's options.
    fn input(command: &str, options: &Options) -> Result<Value, Error> {
        let operation = ecr().operation_of_command(command).unwrap();
        let mut input = Map::new();
        for (name, shape) in &ecr().input(operation).unwrap().members {
            let option = format!("--{}", names::kebab(name));
            if let Some(words) = options.get(&option) {
                let value = unpack(ecr(), shape, &option, words, NO_FILES)?;
                input.insert((*name).to_owned(), value);
            }
        }
        let word = |option| options.get(option).map(|words: &Vec<String>| words[0].as_str());
        cli_input::merge(&mut input, word("--cli-input-json"), word("--cli-input-yaml"), NO_FILES)?;
        Ok(Value::Object(input))
    }

    #[test]
    fn options_become_the_input_that_the_aws_cli_makes_of_them() {
        let recorded = include_str!("../../tests/fixtures/commands.json");
        let cases: Vec<(String, Options, Value)> = serde_json::from_str(recorded).unwrap();
        for (command, options, expected) in cases {
            let made = match input(&command, &options) {
                Ok(input) => {
                    let text = wire::dumps(&input).replace(r#"{"\u0000float": "nan"}"#, "NaN");
                    json!({ "value": text })
                }
                Err(Error::Parameter(message)) => {
                    let shown = format!("An error occurred (ParamValidation): {message}");
                    json!({"error": shown.trim_end().to_owned() + "\n", "code": 252})
                }
                Err(Error::Failure(message)) => json!({"error": message + "\n", "code": 255}),
            };
            assert_eq!(made, expected, "{command} {options:?}");
        }
    }

    #[test]
    fn a_file_stands_for_a_whole_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("content").to_str().unwrap().to_owned();
        let from_file = |content: &str, prefix: &str, shape: &str| {
            std::fs::write(&path, content).unwrap();
            unpack(ecr(), shape, "--option", &[format!("{prefix}{path}")], NO_FILES)
        };
        let bytes = |base64: &str| json!({"\0bytes": base64});
        let parameter =
            |message: &str| Err(Error::Parameter(format!("Error parsing parameter '--option': {message}")));
        let failure = |message: &str| Err(Error::Failure(message.to_owned()));
        let cases = [
            ("p\r\n", "file://", "RepositoryPolicyText", Ok(json!("p\n"))),
            ("p\r\n", "fileb://", "RepositoryPolicyText", Ok(bytes("cA0K"))),
            ("aGk=\n", "file://", "LayerPartBlob", Ok(json!("aGk=\n"))),
            ("hi", "fileb://", "LayerPartBlob", Ok(bytes("aGk="))),
            (" 7\n", "file://", "MaxResults", Ok(json!(7))),
            (" 7\n", "fileb://", "MaxResults", Ok(json!(7))),
            ("x", "fileb://", "MaxResults", failure("invalid literal for int() with base 10: b'x'")),
            (r#"["aa"]"#, "file://", "TagKeyList", Ok(json!(["aa"]))),
            ("ab", "file://", "TagKeyList", Ok(json!(["a", "b"]))),
            ("ab", "fileb://", "TagKeyList", Ok(json!([97, 98]))),
            ("Key=a", "file://", "TagList", Ok(json!({"Key": "a"}))),
            (
                "{\"Key\": 1}",
                "file://",
                "TagList",
                parameter(
                    "Invalid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n\
                     JSON received: {",
                ),
            ),
            ("Key=a", "fileb://", "Tag", failure("'in <string>' requires string as left operand, not int")),
            ("Key=a", "file://", "Tag", Ok(json!({"Key": "a"}))),
        ];
        for (content, prefix, shape, expected) in cases {
            assert_eq!(from_file(content, prefix, shape), expected, "{prefix} {shape} {content:?}");
        }
    }

    #[test]
    fn objects_out_of_json_words_are_ordered_where_they_are_wrong() {
        let words = [r#"[{"Key": {"a": [{}]}, "Value": "b", "Other": {}}]"#.to_owned()];
        let value = unpack(ecr(), "TagList", "--tags", &words, NO_FILES);
        let key = json!({"\0ordered": {"a": [{"\0ordered": {}}]}});
        assert_eq!(value, Ok(json!([{"Key": key, "Value": "b", "Other": {}}])));
    }
}
