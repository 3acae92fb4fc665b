//! Examples of operations, as transcripts: shown in help and manual pages, run by a test.

use std::sync::LazyLock;

use indexmap::IndexMap;

use super::Service;

static ECR: LazyLock<Examples> = LazyLock::new(|| parse(include_str!("data/ecr.examples.txt")));
static ECR_PUBLIC: LazyLock<Examples> = LazyLock::new(|| parse(include_str!("data/ecr-public.examples.txt")));

type Examples = IndexMap<&'static str, Vec<Example>>;

/// One example of an operation.
#[derive(Debug)]
pub struct Example {
    /// Its purpose, in one sentence.
    pub title: &'static str,
    /// Shell commands that have to run before, and are not shown.
    pub setup: Vec<&'static str>,
    /// The lines shown: commands behind `$ `, and their output.
    pub transcript: Vec<&'static str>,
}

/// Returns the examples of an operation by its name in the model, such as `CreateRepository`.
pub fn examples(service: &Service, operation: &str) -> &'static [Example] {
    let examples = if service.name == super::ecr().name { &ECR } else { &ECR_PUBLIC };
    examples.get(operation).map_or(&[], Vec::as_slice)
}

/// Reads a file of examples: `= Operation`, then for each example `# title`, `% setup` and `$ command` with its output.
fn parse(text: &'static str) -> Examples {
    let mut examples = Examples::new();
    for line in text.lines() {
        if let Some(operation) = line.strip_prefix("= ") {
            examples.insert(operation, Vec::new());
            continue;
        }
        let Some((_, of_operation)) = examples.last_mut() else { continue };
        if let Some(title) = line.strip_prefix("# ") {
            of_operation.push(Example { title, setup: Vec::new(), transcript: Vec::new() });
        } else if let Some(example) = of_operation.last_mut() {
            match line.strip_prefix("% ") {
                Some(command) => example.setup.push(command),
                None if line.is_empty() => {}
                None => example.transcript.push(line),
            }
        }
    }
    examples
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::services;

    #[test]
    fn every_operation_has_an_example_and_no_example_is_left_over() {
        for service in services() {
            let without: Vec<&str> = service
                .operations()
                .map(|o| o.name)
                .filter(|name| examples(service, name).is_empty())
                .collect();
            assert_eq!(without, Vec::<&str>::new(), "{}", service.name);
        }
        for (service, examples) in services().into_iter().zip([&ECR, &ECR_PUBLIC]) {
            let stale: Vec<_> = examples.keys().filter(|name| service.operation(name).is_none()).collect();
            assert!(stale.is_empty(), "{stale:?}");
        }
    }
}
