//! The service models: operations, shapes, paginators and waiters of ECR and ECR Public, as data.
//!
//! `data/*.json` holds facts taken from botocore by `data/refresh.py`; `data/*.help.json` holds the help texts,
//! written for this project. Arguments, skeletons, validation, output order, help, man pages, completions and the
//! embedded server's dispatch are functions of these tables. A new AWS operation needs no code to be called; the embedded
//! ECR needs a handler for it (`local::aws_api`).

pub mod examples;
pub mod foreign;
pub mod help;
pub mod json;
pub mod names;
pub mod python;
pub mod surrogate;
pub mod wire;

use std::sync::LazyLock;

use indexmap::IndexMap;
use serde::Deserialize;

static ECR: LazyLock<Service> = LazyLock::new(|| Service::parse(include_str!("data/ecr.json")));
static ECR_PUBLIC: LazyLock<Service> = LazyLock::new(|| Service::parse(include_str!("data/ecr-public.json")));

/// Amazon ECR, the private registry.
pub fn ecr() -> &'static Service {
    &ECR
}

/// Amazon ECR Public.
pub fn ecr_public() -> &'static Service {
    &ECR_PUBLIC
}

/// Both services, the private one first.
pub fn services() -> [&'static Service; 2] {
    [ecr(), ecr_public()]
}

/// The service whose requests carry this `X-Amz-Target` prefix.
pub fn service_of_target_prefix(prefix: &str) -> Option<&'static Service> {
    services().into_iter().find(|service| service.target_prefix == prefix)
}

/// One AWS service: how to reach it and everything it can do.
#[derive(Debug, Deserialize)]
pub struct Service {
    /// Source of the model, for example `botocore 1.44.5`.
    pub source: &'static str,
    /// The name on the AWS CLI's command line: `ecr` or `ecr-public`.
    pub name: &'static str,
    /// The name in prose: `Amazon Elastic Container Registry`.
    pub full_name: &'static str,
    /// The service's identifier in configuration and metrics: `ECR` or `ECR PUBLIC`.
    pub service_id: &'static str,
    /// Prefix of the operation in the `X-Amz-Target` header.
    pub target_prefix: &'static str,
    /// The service's name in a SigV4 credential scope.
    pub signing_name: &'static str,
    /// The first label of a regional endpoint: `api.ecr` or `api.ecr-public`.
    pub endpoint_prefix: &'static str,
    #[serde(deserialize_with = "named")]
    operations: IndexMap<&'static str, Operation>,
    shapes: IndexMap<&'static str, Shape>,
    paginators: IndexMap<&'static str, Paginator>,
    waiters: IndexMap<&'static str, Waiter>,
}

impl Service {
    fn parse(text: &'static str) -> Self {
        serde_json::from_str(text).expect("the model's data is checked by its tests")
    }

    /// All operations, in the order of the AWS CLI (alphabetical).
    pub fn operations(&self) -> impl ExactSizeIterator<Item = &Operation> {
        self.operations.values()
    }

    /// Returns an operation by its API name, such as `DescribeImages`.
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.get(name)
    }

    /// Returns an operation by its command, such as `describe-images`.
    pub fn operation_of_command(&self, command: &str) -> Option<&Operation> {
        self.operations.values().find(|operation| names::kebab(operation.name) == command)
    }

    /// A shape by its name.
    ///
    /// # Panics
    /// When the name is not in the model; names come from the model itself.
    pub fn shape(&self, name: &str) -> &Shape {
        self.shapes.get(name).unwrap_or_else(|| panic!("the model has no shape {name}"))
    }

    /// Returns a shape by a name from outside (an error code, say).
    pub fn find_shape(&self, name: &str) -> Option<&Shape> {
        self.shapes.get(name)
    }

    /// The input structure of an operation; `None` where it takes nothing.
    pub fn input(&self, operation: &Operation) -> Option<&Shape> {
        operation.input.map(|name| self.shape(name))
    }

    /// The output structure of an operation; `None` where it answers nothing.
    pub fn output(&self, operation: &Operation) -> Option<&Shape> {
        operation.output.map(|name| self.shape(name))
    }

    /// Returns the paging of an operation, if it has any.
    pub fn paginator(&self, operation: &Operation) -> Option<&Paginator> {
        self.paginators.get(operation.name)
    }

    /// Returns all waiters with their names, such as `ImageScanComplete`.
    pub fn waiters(&self) -> impl ExactSizeIterator<Item = (&'static str, &Waiter)> {
        self.waiters.iter().map(|(name, waiter)| (*name, waiter))
    }

    /// All shapes with their names.
    pub fn shapes(&self) -> impl ExactSizeIterator<Item = (&'static str, &Shape)> {
        self.shapes.iter().map(|(name, shape)| (*name, shape))
    }
}

/// One operation of the API.
#[derive(Debug, Deserialize)]
pub struct Operation {
    /// The API name, such as `DescribeImages`.
    #[serde(skip)]
    pub name: &'static str,
    /// The input structure's name.
    pub input: Option<&'static str>,
    /// The output structure's name.
    pub output: Option<&'static str>,
    /// The names of the modelled errors.
    pub errors: Vec<&'static str>,
}

/// The type of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Kind {
    String,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
    Timestamp,
    Blob,
    List,
    Map,
    Structure,
}

impl Kind {
    /// Returns whether values of this type have no parts.
    pub fn is_scalar(self) -> bool {
        !matches!(self, Self::List | Self::Map | Self::Structure)
    }
}

/// One shape of the API: a type with its bounds.
#[derive(Debug, Deserialize)]
pub struct Shape {
    /// The type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The members of a structure in model order, each with its shape's name.
    #[serde(default, borrow)]
    pub members: IndexMap<&'static str, &'static str>,
    /// The members that must be given.
    #[serde(default)]
    pub required: Vec<&'static str>,
    /// The element of a list.
    #[serde(default)]
    pub member: Option<&'static str>,
    /// The key of a map.
    #[serde(default)]
    pub key: Option<&'static str>,
    /// The value of a map.
    #[serde(default)]
    pub value: Option<&'static str>,
    /// The values of an enumeration; empty where any string will do.
    #[serde(default, rename = "enum")]
    pub values: Vec<&'static str>,
    /// The least length, count or value.
    #[serde(default)]
    pub min: Option<i64>,
    /// The greatest length, count or value.
    #[serde(default)]
    pub max: Option<i64>,
    /// The regular expression that a string must satisfy; only the service checks it.
    #[serde(default)]
    pub pattern: Option<String>,
    /// The structure is an error.
    #[serde(default, rename = "exception")]
    pub is_error: bool,
}

/// Paging of an operation.
#[derive(Debug, Deserialize)]
pub struct Paginator {
    /// The member of the request that carries the token.
    pub input_token: &'static str,
    /// The member of the answer that carries the next token.
    pub output_token: &'static str,
    /// The member of the request that bounds a page.
    pub limit_key: Option<&'static str>,
    /// The paths whose lists are joined over the pages, the main one first.
    #[serde(rename = "result_key", deserialize_with = "one_or_more")]
    pub result_keys: Vec<&'static str>,
    /// The members that are taken from the first page.
    #[serde(default)]
    pub non_aggregate_keys: Vec<&'static str>,
}

/// A poll that ends in success or failure.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiter {
    /// The operation that is polled.
    pub operation: &'static str,
    /// Seconds between two polls.
    pub delay: u64,
    /// Polls before giving up.
    pub max_attempts: u32,
    /// Conditions that end it; the first match counts.
    pub acceptors: Vec<Acceptor>,
}

/// One condition that ends a waiter.
#[derive(Debug, Deserialize)]
pub struct Acceptor {
    /// `success` or `failure`.
    pub state: &'static str,
    /// Comparison with `argument`; `path` in both services.
    pub matcher: &'static str,
    /// A path of member names in the answer.
    pub argument: &'static str,
    /// The value that it must have.
    pub expected: &'static str,
}

fn named<'de, D: serde::Deserializer<'de>>(from: D) -> Result<IndexMap<&'static str, Operation>, D::Error>
where
    'de: 'static,
{
    let mut operations = IndexMap::<&'static str, Operation>::deserialize(from)?;
    for (name, operation) in &mut operations {
        operation.name = name;
    }
    Ok(operations)
}

fn one_or_more<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<&'static str>, D::Error>
where
    'de: 'static,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Keys {
        One(&'static str),
        More(Vec<&'static str>),
    }
    Ok(match Keys::deserialize(from)? {
        Keys::One(key) => vec![key],
        Keys::More(keys) => keys,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_services_are_whole() {
        assert_eq!(ecr().operations().len(), 62);
        assert_eq!(ecr_public().operations().len(), 23);
        assert_eq!(ecr().waiters().len(), 2);
    }

    #[test]
    fn every_name_in_the_model_leads_to_a_shape() {
        for service in services() {
            for operation in service.operations() {
                for name in operation.input.iter().chain(&operation.output).chain(&operation.errors) {
                    assert_eq!(service.shape(name).kind, Kind::Structure);
                }
            }
            for (_, shape) in service.shapes() {
                let parts = [shape.member, shape.key, shape.value];
                for name in parts.iter().flatten().chain(shape.members.values()) {
                    service.shape(name);
                }
            }
        }
    }
}
