//! Skeletons: an example of an operation's input or output, made from the model.

use serde_json::{Map, Number, Value};

use crate::model::help::{self, HelpTexts};
use crate::model::{Kind, Operation, Service, wire};

/// Returns the output of `--generate-cli-skeleton input`: the input as JSON text with a line end.
pub fn input(service: &Service, operation: &Operation) -> String {
    let example = Example { service, is_output: false, instant: "" };
    let value = operation.input.map_or_else(|| Value::Object(Map::new()), |name| example.value(name, ""));
    wire::dumps_indented(&value) + "\n"
}

/// A stub of the output, for the caller's formatter. Every string is its member's name. Timestamps are `instant`:
/// the AWS CLI shows `1970-01-01T00:00:00` as JSON and `1970-01-01 00:00:00` in its other formats.
pub fn output(service: &Service, operation: &Operation, instant: &str) -> Value {
    let example = Example { service, is_output: true, instant };
    operation.output.map_or_else(|| Value::Object(Map::new()), |name| example.value(name, ""))
}

/// Returns the output of `--generate-cli-skeleton yaml-input`: the input as YAML text with a comment for each
/// member.
pub fn yaml_input(service: &Service, operation: &Operation) -> String {
    match operation.input {
        Some(name) if !service.shape(name).members.is_empty() => {
            let mut writer = YamlWriter { service, texts: help::texts(service), lines: String::new() };
            writer.members(name, 0, "");
            writer.lines
        }
        _ => "{}\n".to_owned(),
    }
}

struct Example<'a> {
    service: &'a Service,
    is_output: bool,
    instant: &'a str,
}

impl Example<'_> {
    fn value(&self, name: &str, called: &str) -> Value {
        let shape = self.service.shape(name);
        match shape.kind {
            Kind::String if self.is_output => Value::from(called),
            Kind::String => Value::from(shape.values.first().copied().unwrap_or_default()),
            Kind::Integer | Kind::Long => Value::from(0),
            Kind::Float | Kind::Double => Value::Number(Number::from_f64(0.0).expect("zero is finite")),
            Kind::Boolean => Value::Bool(true),
            Kind::Timestamp => Value::from(self.instant),
            Kind::Blob => Value::Null,
            Kind::List => {
                let element = shape.member.expect("a list in the model has an element");
                Value::Array(vec![self.value(element, if self.is_output { element } else { "" })])
            }
            Kind::Map => {
                let value = shape.value.expect("a map in the model has values");
                Value::Object(Map::from_iter([("KeyName".to_owned(), self.value(value, ""))]))
            }
            Kind::Structure => {
                let members = shape.members.iter();
                members.map(|(name, shape)| ((*name).to_owned(), self.value(shape, name))).collect()
            }
        }
    }
}

struct YamlWriter<'a> {
    service: &'a Service,
    texts: &'a HelpTexts,
    lines: String,
}

impl YamlWriter<'_> {
    /// The members of a structure. `lead` stands before the first one in place of its indentation: the dash of a list.
    fn members(&mut self, structure: &str, indent: usize, lead: &str) {
        let service = self.service;
        for (index, (name, shape)) in service.shape(structure).members.iter().enumerate() {
            let start = if index == 0 { lead } else { "" };
            self.lines.push_str(&" ".repeat(indent - start.len()));
            self.lines.push_str(start);
            self.lines.push_str(name);
            self.lines.push(':');
            if let Some(scalar) = self.inline(shape) {
                self.lines.push(' ');
                self.lines.push_str(&scalar);
            }
            // ruamel.yaml sets the first comment of a mapping one column further.
            self.lines.push_str(if index == 0 { "  # " } else { " # " });
            let comment = self.comment(structure, name, shape);
            self.lines.push_str(&comment);
            self.lines.push('\n');
            self.nested(shape, indent);
        }
    }

    /// Text on the line of the key; `None` if the value takes lines of its own.
    fn inline(&self, shape: &str) -> Option<String> {
        let shape = self.service.shape(shape);
        match shape.kind {
            Kind::String => Some(match shape.values.first() {
                Some(value) => (*value).to_owned(),
                None => "''".to_owned(),
            }),
            Kind::Integer | Kind::Long => Some("0".to_owned()),
            Kind::Float | Kind::Double => Some("0.0".to_owned()),
            Kind::Boolean => Some("true".to_owned()),
            Kind::Timestamp => Some("1970-01-01 00:00:00".to_owned()),
            Kind::Blob => Some("!!binary ''".to_owned()),
            Kind::Structure if shape.members.is_empty() => Some("{}".to_owned()),
            Kind::List | Kind::Map | Kind::Structure => None,
        }
    }

    fn nested(&mut self, shape: &str, indent: usize) {
        let service = self.service;
        let described = service.shape(shape);
        match (described.kind, described.member, described.value) {
            (Kind::Structure, ..) => self.members(shape, indent + 2, ""),
            (Kind::List, Some(element), _) => self.element(element, indent, "- "),
            (Kind::Map, _, Some(value)) => {
                let scalar = self.inline(value);
                let line = scalar.map_or_else(String::new, |scalar| format!(" {scalar}"));
                self.lines.extend([&" ".repeat(indent + 2), "KeyName:", &line, "\n"]);
                self.nested(value, indent + 2);
            }
            _ => {}
        }
    }

    fn element(&mut self, element: &str, indent: usize, lead: &str) {
        let service = self.service;
        match (self.inline(element), service.shape(element).member) {
            (Some(scalar), _) => {
                self.lines.extend([&" ".repeat(indent), lead, &scalar, "\n"]);
            }
            (None, Some(inner)) => self.element(inner, indent, &format!("{lead}- ")),
            (None, None) => self.members(element, indent + lead.len(), lead),
        }
    }

    fn comment(&self, structure: &str, name: &str, shape: &str) -> String {
        let mut parts = Vec::new();
        if self.service.shape(structure).required.contains(&name) {
            parts.push("[REQUIRED]".to_owned());
        }
        parts.push(help::first_sentence(self.texts.member(structure, name)).to_owned());
        let values = &self.service.shape(shape).values;
        if !values.is_empty() {
            parts.push(format!("Valid values are: {}.", values.join(", ")));
        }
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ecr, services};
    use serde_json::json;

    #[test]
    fn inputs_as_json() {
        let skeleton = |name| input(ecr(), ecr().operation(name).unwrap());
        assert_eq!(skeleton("GetRegistryPolicy"), "{}\n");
        let expected = r#"{
    "registryId": "",
    "repositoryName": "",
    "uploadId": "",
    "partFirstByte": 0,
    "partLastByte": 0,
    "layerPartBlob": null
}
"#;
        assert_eq!(skeleton("UploadLayerPart"), expected);
        let expected = r#"{
    "signingConfiguration": {
        "rules": [
            {
                "signingProfileArn": "",
                "repositoryFilters": [
                    {
                        "filter": "",
                        "filterType": "WILDCARD_MATCH"
                    }
                ]
            }
        ]
    }
}
"#;
        assert_eq!(skeleton("PutSigningConfiguration"), expected);
    }

    #[test]
    fn inputs_as_yaml() {
        let skeleton = |name| yaml_input(ecr(), ecr().operation(name).unwrap());
        let text = |structure, member| help::first_sentence(help::texts(ecr()).member(structure, member));
        assert_eq!(skeleton("GetRegistryPolicy"), "{}\n");
        let expected = format!(
            "signingConfiguration:  # [REQUIRED] {}\n  \
               rules:  # [REQUIRED] {}\n  \
               - signingProfileArn: ''  # [REQUIRED] {}\n    \
                 repositoryFilters: # {}\n    \
                 - filter: ''  # [REQUIRED] {}\n      \
                   filterType: WILDCARD_MATCH # [REQUIRED] {} Valid values are: WILDCARD_MATCH.\n",
            text("PutSigningConfigurationRequest", "signingConfiguration"),
            text("SigningConfiguration", "rules"),
            text("SigningRule", "signingProfileArn"),
            text("SigningRule", "repositoryFilters"),
            text("SigningRepositoryFilter", "filter"),
            text("SigningRepositoryFilter", "filterType"),
        );
        assert_eq!(skeleton("PutSigningConfiguration"), expected);
    }

    #[test]
    fn both_forms_of_every_input_say_the_same() {
        for service in services() {
            for operation in service.operations() {
                let from_json: Value = serde_json::from_str(&input(service, operation)).unwrap();
                let from_yaml =
                    super::super::yaml::parse_input(yaml_input(service, operation).as_bytes()).unwrap();
                let text = wire::dumps(&from_yaml).replace(r#"{"\u0000bytes": ""}"#, "null");
                assert_eq!(text, wire::dumps(&from_json), "{}", operation.name);
            }
        }
    }

    #[test]
    fn outputs() {
        let skeleton = |name| output(ecr(), ecr().operation(name).unwrap(), "1970-01-01T00:00:00");
        let expected = json!({
            "layers": [{
                "layerDigest": "layerDigest",
                "layerAvailability": "layerAvailability",
                "layerSize": 0,
                "mediaType": "mediaType",
            }],
            "failures": [{
                "layerDigest": "layerDigest",
                "failureCode": "failureCode",
                "failureReason": "failureReason",
            }],
        });
        assert_eq!(skeleton("BatchCheckLayerAvailability"), expected);
        let expected = json!({
            "authorizationData": [{
                "authorizationToken": "authorizationToken",
                "expiresAt": "1970-01-01T00:00:00",
                "proxyEndpoint": "proxyEndpoint",
            }],
        });
        assert_eq!(skeleton("GetAuthorizationToken"), expected);
        assert_eq!(skeleton("TagResource"), json!({}));
    }
}
