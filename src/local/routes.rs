//! Which handler answers which operation: one row each. What has no row, the embedded ECR does not have yet.

use super::call::Handler;
use super::handlers::{
    availability, deletion, images, layers, listing, pushing, registry, repositories, tags,
};
use crate::model::Service;

const ECR: &[(&str, Handler)] = &[
    ("BatchCheckLayerAvailability", availability::check),
    ("BatchDeleteImage", deletion::delete),
    ("BatchGetImage", images::get),
    ("CompleteLayerUpload", layers::complete),
    ("CreateRepository", repositories::create),
    ("DeleteRepository", repositories::delete),
    ("DescribeImages", listing::describe),
    ("DescribeRegistry", registry::describe),
    ("DescribeRepositories", repositories::describe),
    ("GetAuthorizationToken", registry::authorize),
    ("GetDownloadUrlForLayer", availability::download_url),
    ("InitiateLayerUpload", layers::initiate),
    ("ListImages", listing::list),
    ("ListTagsForResource", tags::list),
    ("PutImage", pushing::put),
    ("PutImageScanningConfiguration", repositories::put_scanning),
    ("PutImageTagMutability", repositories::put_mutability),
    ("TagResource", tags::tag),
    ("UntagResource", tags::untag),
    ("UploadLayerPart", layers::upload_part),
];

const ECR_PUBLIC: &[(&str, Handler)] = &[
    ("BatchCheckLayerAvailability", availability::check),
    ("BatchDeleteImage", deletion::delete),
    ("CompleteLayerUpload", layers::complete),
    ("CreateRepository", repositories::create),
    ("DeleteRepository", repositories::delete),
    ("DescribeImageTags", listing::describe_tags),
    ("DescribeImages", listing::describe),
    ("DescribeRegistries", registry::describe_public),
    ("DescribeRepositories", repositories::describe),
    ("GetAuthorizationToken", registry::authorize_public),
    ("GetRepositoryCatalogData", repositories::get_catalog),
    ("InitiateLayerUpload", layers::initiate),
    ("ListTagsForResource", tags::list),
    ("PutImage", pushing::put),
    ("PutRepositoryCatalogData", repositories::put_catalog),
    ("TagResource", tags::tag),
    ("UntagResource", tags::untag),
    ("UploadLayerPart", layers::upload_part),
];

/// The handler of an operation.
pub(super) fn handler(service: &Service, operation: &str) -> Option<Handler> {
    let table = if service.name == "ecr-public" { ECR_PUBLIC } else { ECR };
    table.iter().find(|(name, _)| *name == operation).map(|(_, handler)| *handler)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model;

    #[test]
    fn every_row_is_an_operation_of_the_model() {
        for (service, table) in [(model::ecr(), ECR), (model::ecr_public(), ECR_PUBLIC)] {
            for (name, _) in table {
                assert!(service.operation(name).is_some(), "{name}");
            }
        }
    }
}
