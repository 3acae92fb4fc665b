//! Repositories: made, described, configured, deleted.

use serde_json::{Map, Value, json};

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::aws_api::paging::Page;
use crate::local::aws_api::{resource_tags, tag_mutability};
use crate::local::core::create_repository::{NewRepository, encryption, insert};
use crate::local::core::repository::{CatalogData, Repository};

/// CreateRepository
pub(in crate::local) fn create(call: &Call<'_>) -> Result<Value, ApiError> {
    let scope = call.scope();
    let name = call.required("repositoryName");
    let (mutability, exclusions) = tag_mutability::requested(call)?;
    let new = NewRepository {
        mutability,
        exclusions,
        scan_on_push: call.structure("imageScanningConfiguration").is_some_and(scans),
        encryption: encryption(call.typed("encryptionConfiguration")?.unwrap_or_default(), &scope)?,
        tags: resource_tags::requested(call)?,
        catalog: call.typed("catalogData")?,
    };
    call.write(|transaction| {
        if Repository::look_up(transaction, &scope, name)?.is_some() {
            let text = format!(
                "The repository with name '{name}' already exists in the registry with id '{}'",
                scope.account
            );
            return Err(ApiError::new("RepositoryAlreadyExistsException", text));
        }
        let repository = insert(transaction, &scope, name, &new, call.now)?;
        Ok(match &new.catalog {
            Some(catalog) => json!({ "repository": repository.describe(call), "catalogData": catalog }),
            None => json!({ "repository": repository.describe(call) }),
        })
    })
}

fn scans(configuration: &Map<String, Value>) -> bool {
    configuration.get("scanOnPush").and_then(Value::as_bool).unwrap_or_default()
}

/// DescribeRepositories
pub(in crate::local) fn describe(call: &Call<'_>) -> Result<Value, ApiError> {
    let page = Page::of(call, "repositoryNames")?;
    let scope = call.scope();
    call.read(|connection| {
        if call.list("repositoryNames").is_some() {
            let names = call.texts("repositoryNames").into_iter();
            let found = names.map(|name| Ok(Repository::find(connection, &scope, name)?.describe(call)));
            return Ok(json!({ "repositories": found.collect::<Result<Vec<_>, ApiError>>()? }));
        }
        let after = page.after.as_ref().and_then(Value::as_str).unwrap_or_default();
        let repositories = Repository::list(connection, &scope, after, page.fetch())?;
        let entries = repositories.into_iter().map(|each| (json!(each.name), each.describe(call))).collect();
        Ok(page.answer("repositories", entries))
    })
}

/// DeleteRepository
pub(in crate::local) fn delete(call: &Call<'_>) -> Result<Value, ApiError> {
    let uploads = call.free(|transaction| {
        let repository = Repository::of(call, transaction)?;
        if repository.has_images(transaction)? && !call.flag("force") {
            let text = format!(
                "The repository with name '{}' in registry with id '{}' cannot be deleted because it still contains images",
                repository.name, repository.scope.account
            );
            return Err(ApiError::new("RepositoryNotEmptyException", text));
        }
        let uploads = repository.delete(transaction)?;
        Ok((uploads, json!({ "repository": repository.describe(call) })))
    });
    let (uploads, answer) = uploads?;
    for id in uploads {
        call.local.forget_upload(&id);
    }
    Ok(answer)
}

/// PutImageTagMutability
pub(in crate::local) fn put_mutability(call: &Call<'_>) -> Result<Value, ApiError> {
    let (mutability, exclusions) = tag_mutability::requested(call)?;
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        repository.set_mutability(transaction, &mutability, &exclusions)?;
        let described = Repository::of(call, transaction)?.describe(call);
        Ok(described)
    })
}

/// PutImageScanningConfiguration
pub(in crate::local) fn put_scanning(call: &Call<'_>) -> Result<Value, ApiError> {
    let scan_on_push = call.structure("imageScanningConfiguration").is_some_and(scans);
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        repository.set_scan_on_push(transaction, scan_on_push)?;
        let described = Repository::of(call, transaction)?.describe(call);
        Ok(described)
    })
}

/// GetRepositoryCatalogData
pub(in crate::local) fn get_catalog(call: &Call<'_>) -> Result<Value, ApiError> {
    call.read(|connection| {
        let repository = Repository::of(call, connection)?;
        let place = repository.place();
        match repository.catalog {
            Some(catalog) => Ok(json!({ "catalogData": catalog })),
            None => Err(ApiError::new(
                "RepositoryCatalogDataNotFoundException",
                format!("Catalog data does not exist for the {place}"),
            )),
        }
    })
}

/// PutRepositoryCatalogData
pub(in crate::local) fn put_catalog(call: &Call<'_>) -> Result<Value, ApiError> {
    let catalog: CatalogData = call.typed("catalogData")?.unwrap_or_default();
    call.write(|transaction| {
        let repository = Repository::of(call, transaction)?;
        repository.set_catalog(transaction, &catalog)?;
        Ok(json!({ "catalogData": catalog }))
    })
}
