//! Which handler answers which operation: one row each, and a row for every operation.

use super::call::Handler;
use super::handlers::{
    accounts, archive, availability, backfill, deletion, images, layers, lifecycle, listing, policies,
    pushing, referrers, registry, replication, repositories, scanning, scans, signing, tags, templates,
    upstream,
};
use crate::model::Service;

const ECR: &[(&str, Handler)] = &[
    ("BatchCheckLayerAvailability", availability::check),
    ("BatchDeleteImage", deletion::delete),
    ("BatchGetImage", images::get),
    ("BatchGetRepositoryScanningConfiguration", scanning::of_repositories),
    ("CompleteLayerUpload", layers::complete),
    ("CreatePullThroughCacheRule", upstream::create),
    ("CreateRepository", repositories::create),
    ("CreateRepositoryCreationTemplate", templates::create),
    ("DeleteLifecyclePolicy", lifecycle::delete),
    ("DeletePullThroughCacheRule", upstream::delete),
    ("DeleteRegistryPolicy", policies::delete_registry),
    ("DeleteRepository", repositories::delete),
    ("DeleteRepositoryCreationTemplate", templates::delete),
    ("DeleteRepositoryPolicy", policies::delete),
    ("DeleteSigningConfiguration", signing::delete),
    ("DeregisterPullTimeUpdateExclusion", accounts::deregister_exclusion),
    ("DescribeImageReplicationStatus", replication::status),
    ("DescribeImageScanFindings", scans::describe),
    ("DescribeImageSigningStatus", signing::describe),
    ("DescribeImages", listing::describe),
    ("DescribePullThroughCacheRules", upstream::describe),
    ("DescribeRegistry", replication::describe_registry),
    ("DescribeReplicationBackfillResults", backfill::results),
    ("DescribeRepositories", repositories::describe),
    ("DescribeRepositoryCreationTemplates", templates::describe),
    ("GetAccountSetting", accounts::get_setting),
    ("GetAuthorizationToken", registry::authorize),
    ("GetDownloadUrlForLayer", availability::download_url),
    ("GetLifecyclePolicy", lifecycle::get),
    ("GetLifecyclePolicyPreview", lifecycle::get_preview),
    ("GetRegistryPolicy", policies::get_registry),
    ("GetRegistryScanningConfiguration", scanning::get),
    ("GetRepositoryPolicy", policies::get),
    ("GetSigningConfiguration", signing::get),
    ("InitiateLayerUpload", layers::initiate),
    ("ListImageReferrers", referrers::list),
    ("ListImages", listing::list),
    ("ListPullTimeUpdateExclusions", accounts::list_exclusions),
    ("ListReplicationBackfills", backfill::list),
    ("ListTagsForResource", tags::list),
    ("PutAccountSetting", accounts::put_setting),
    ("PutImage", pushing::put),
    ("PutImageScanningConfiguration", repositories::put_scanning),
    ("PutImageTagMutability", repositories::put_mutability),
    ("PutLifecyclePolicy", lifecycle::put),
    ("PutRegistryPolicy", policies::put_registry),
    ("PutRegistryScanningConfiguration", scanning::put),
    ("PutReplicationConfiguration", replication::put),
    ("PutSigningConfiguration", signing::put),
    ("RegisterPullTimeUpdateExclusion", accounts::register_exclusion),
    ("SetRepositoryPolicy", policies::set),
    ("StartImageScan", scans::start),
    ("StartLifecyclePolicyPreview", lifecycle::start_preview),
    ("StartReplicationBackfill", backfill::start),
    ("StopReplicationBackfill", backfill::stop),
    ("TagResource", tags::tag),
    ("UntagResource", tags::untag),
    ("UpdateImageStorageClass", archive::update),
    ("UpdatePullThroughCacheRule", upstream::update),
    ("UpdateRepositoryCreationTemplate", templates::update),
    ("UploadLayerPart", layers::upload_part),
    ("ValidatePullThroughCacheRule", upstream::validate),
];

const ECR_PUBLIC: &[(&str, Handler)] = &[
    ("BatchCheckLayerAvailability", availability::check),
    ("BatchDeleteImage", deletion::delete),
    ("CompleteLayerUpload", layers::complete),
    ("CreateRepository", repositories::create),
    ("DeleteRepository", repositories::delete),
    ("DeleteRepositoryPolicy", policies::delete),
    ("DescribeImageTags", listing::describe_tags),
    ("DescribeImages", listing::describe),
    ("DescribeRegistries", registry::describe_public),
    ("DescribeRepositories", repositories::describe),
    ("GetAuthorizationToken", registry::authorize_public),
    ("GetRegistryCatalogData", accounts::get_catalog),
    ("GetRepositoryCatalogData", repositories::get_catalog),
    ("GetRepositoryPolicy", policies::get),
    ("InitiateLayerUpload", layers::initiate),
    ("ListTagsForResource", tags::list),
    ("PutImage", pushing::put),
    ("PutRegistryCatalogData", accounts::put_catalog),
    ("PutRepositoryCatalogData", repositories::put_catalog),
    ("SetRepositoryPolicy", policies::set),
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
    fn every_operation_of_the_model_has_a_row() {
        for (service, table) in [(model::ecr(), ECR), (model::ecr_public(), ECR_PUBLIC)] {
            let rows: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
            let mut operations: Vec<&str> = service.operations().map(|operation| operation.name).collect();
            operations.sort_unstable();
            assert_eq!(rows, operations);
        }
    }
}
