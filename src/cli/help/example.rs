//! An example of an operation: its command with what it cannot do without.

use crate::cli::alias::quoted;
use crate::model::{Kind, Operation, Service, Shape, names::kebab};

/// The command's options that an example needs, each on its own: `--repository-name team/app`.
pub(super) fn required_options(service: &Service, operation: &Operation) -> Vec<String> {
    let Some(input) = service.input(operation) else { return Vec::new() };
    let required = input.members.iter().filter(|(member, _)| input.required.contains(member));
    required
        .map(|(member, shape)| {
            format!("--{} {}", kebab(member), value(service, member, service.shape(shape)))
        })
        .collect()
}

/// What somebody might give for a member. Documents come from files.
fn value(service: &Service, member: &str, shape: &Shape) -> String {
    let text = match member {
        "repositoryName" | "repositoryNames" => "team/app",
        "imageId" | "imageIds" => "imageTag=latest",
        "imageTag" => "latest",
        "imageDigest" | "layerDigest" | "layerDigests" => "sha256:0123",
        "tags" => "Key=team,Value=web",
        "tagKeys" => "team",
        "resourceArn" => "arn:aws:ecr:eu-west-1:123456789012:repository/team/app",
        "imageManifest" => "file://manifest.json",
        "layerPartBlob" => "fileb://layer.tar.gz",
        name if name.ends_with("Text") => "file://policy.json",
        "ecrRepositoryPrefix" | "prefix" => "quay",
        "upstreamRegistryUrl" => "quay.io",
        "uploadId" => "<upload-id>",
        _ => return quoted(&made_up(service, member, shape)),
    };
    quoted(text)
}

/// A value by its type.
fn made_up(service: &Service, member: &str, shape: &Shape) -> String {
    match shape.kind {
        Kind::List => made_up(service, member, service.shape(shape.member.unwrap_or_default())),
        Kind::Structure => {
            let members = shape
                .members
                .iter()
                .filter(|(name, _)| shape.required.is_empty() || shape.required.contains(name));
            let parts = members.map(|(name, of)| {
                let of = service.shape(of);
                let nested = made_up(service, name, of);
                let element =
                    if of.kind == Kind::List { service.shape(of.member.unwrap_or_default()) } else { of };
                match (of.kind, element.kind) {
                    (Kind::List, Kind::Structure) => format!("{name}=[{{{nested}}}]"),
                    (Kind::List, _) => format!("{name}=[{nested}]"),
                    (Kind::Structure, _) => format!("{name}={{{nested}}}"),
                    _ => format!("{name}={nested}"),
                }
            });
            parts.collect::<Vec<_>>().join(",")
        }
        Kind::Boolean => "true".to_owned(),
        Kind::Integer | Kind::Long | Kind::Float | Kind::Double => "1".to_owned(),
        _ => match shape.values.first() {
            Some(value) => (*value).to_owned(),
            None => format!("<{}>", kebab(member)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ecr;

    #[test]
    fn examples_have_what_is_required() {
        let example =
            |name: &str| required_options(ecr(), ecr().operation(name).expect("in the model")).join(" ");
        assert_eq!(example("DescribeRepositories"), "");
        assert_eq!(example("BatchGetImage"), "--repository-name team/app --image-ids imageTag=latest");
        assert_eq!(
            example("PutReplicationConfiguration"),
            "--replication-configuration 'rules=[{destinations=[{region=<region>,registryId=<registry-id>}]}]'"
        );
    }
}
