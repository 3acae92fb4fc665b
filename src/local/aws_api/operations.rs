//! Table of operations and their handlers: one row for every operation.

use crate::local::aws_api::call::Handler;
use crate::local::aws_api::{
    account_settings, authorization_token, backfill, batch_get_image, delete_images, image_signing,
    layer_availability, layer_uploads, lifecycle, list_images, policies, pull_through_rules, put_image,
    referrers, replication, repositories, resource_tags, scanning, scans, storage_class, templates,
};
use crate::model::Service;

const ECR: &[(&str, Handler)] = &[
    ("BatchCheckLayerAvailability", layer_availability::check),
    ("BatchDeleteImage", delete_images::delete),
    ("BatchGetImage", batch_get_image::get),
    ("BatchGetRepositoryScanningConfiguration", scanning::of_repositories),
    ("CompleteLayerUpload", layer_uploads::complete),
    ("CreatePullThroughCacheRule", pull_through_rules::create),
    ("CreateRepository", repositories::create),
    ("CreateRepositoryCreationTemplate", templates::create),
    ("DeleteLifecyclePolicy", lifecycle::delete),
    ("DeletePullThroughCacheRule", pull_through_rules::delete),
    ("DeleteRegistryPolicy", policies::delete_registry),
    ("DeleteRepository", repositories::delete),
    ("DeleteRepositoryCreationTemplate", templates::delete),
    ("DeleteRepositoryPolicy", policies::delete),
    ("DeleteSigningConfiguration", image_signing::delete),
    ("DeregisterPullTimeUpdateExclusion", account_settings::deregister_exclusion),
    ("DescribeImageReplicationStatus", replication::status),
    ("DescribeImageScanFindings", scans::describe),
    ("DescribeImageSigningStatus", image_signing::describe),
    ("DescribeImages", list_images::describe),
    ("DescribePullThroughCacheRules", pull_through_rules::describe),
    ("DescribeRegistry", replication::describe_registry),
    ("DescribeReplicationBackfillResults", backfill::results),
    ("DescribeRepositories", repositories::describe),
    ("DescribeRepositoryCreationTemplates", templates::describe),
    ("GetAccountSetting", account_settings::get_setting),
    ("GetAuthorizationToken", authorization_token::authorize),
    ("GetDownloadUrlForLayer", layer_availability::download_url),
    ("GetLifecyclePolicy", lifecycle::get),
    ("GetLifecyclePolicyPreview", lifecycle::get_preview),
    ("GetRegistryPolicy", policies::get_registry),
    ("GetRegistryScanningConfiguration", scanning::get),
    ("GetRepositoryPolicy", policies::get),
    ("GetSigningConfiguration", image_signing::get),
    ("InitiateLayerUpload", layer_uploads::initiate),
    ("ListImageReferrers", referrers::list),
    ("ListImages", list_images::list),
    ("ListPullTimeUpdateExclusions", account_settings::list_exclusions),
    ("ListReplicationBackfills", backfill::list),
    ("ListTagsForResource", resource_tags::list),
    ("PutAccountSetting", account_settings::put_setting),
    ("PutImage", put_image::put),
    ("PutImageScanningConfiguration", repositories::put_scanning),
    ("PutImageTagMutability", repositories::put_mutability),
    ("PutLifecyclePolicy", lifecycle::put),
    ("PutRegistryPolicy", policies::put_registry),
    ("PutRegistryScanningConfiguration", scanning::put),
    ("PutReplicationConfiguration", replication::put),
    ("PutSigningConfiguration", image_signing::put),
    ("RegisterPullTimeUpdateExclusion", account_settings::register_exclusion),
    ("SetRepositoryPolicy", policies::set),
    ("StartImageScan", scans::start),
    ("StartLifecyclePolicyPreview", lifecycle::start_preview),
    ("StartReplicationBackfill", backfill::start),
    ("StopReplicationBackfill", backfill::stop),
    ("TagResource", resource_tags::tag),
    ("UntagResource", resource_tags::untag),
    ("UpdateImageStorageClass", storage_class::update),
    ("UpdatePullThroughCacheRule", pull_through_rules::update),
    ("UpdateRepositoryCreationTemplate", templates::update),
    ("UploadLayerPart", layer_uploads::upload_part),
    ("ValidatePullThroughCacheRule", pull_through_rules::validate),
];

const ECR_PUBLIC: &[(&str, Handler)] = &[
    ("BatchCheckLayerAvailability", layer_availability::check),
    ("BatchDeleteImage", delete_images::delete),
    ("CompleteLayerUpload", layer_uploads::complete),
    ("CreateRepository", repositories::create),
    ("DeleteRepository", repositories::delete),
    ("DeleteRepositoryPolicy", policies::delete),
    ("DescribeImageTags", list_images::describe_tags),
    ("DescribeImages", list_images::describe),
    ("DescribeRegistries", authorization_token::describe_public),
    ("DescribeRepositories", repositories::describe),
    ("GetAuthorizationToken", authorization_token::authorize_public),
    ("GetRegistryCatalogData", account_settings::get_catalog),
    ("GetRepositoryCatalogData", repositories::get_catalog),
    ("GetRepositoryPolicy", policies::get),
    ("InitiateLayerUpload", layer_uploads::initiate),
    ("ListTagsForResource", resource_tags::list),
    ("PutImage", put_image::put),
    ("PutRegistryCatalogData", account_settings::put_catalog),
    ("PutRepositoryCatalogData", repositories::put_catalog),
    ("SetRepositoryPolicy", policies::set),
    ("TagResource", resource_tags::tag),
    ("UntagResource", resource_tags::untag),
    ("UploadLayerPart", layer_uploads::upload_part),
];

/// The handler of an operation.
pub(in crate::local) fn handler(service: &Service, operation: &str) -> Option<Handler> {
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
