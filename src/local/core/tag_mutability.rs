//! Mutability of tags.

use crate::image::mutability;
use crate::local::core::error::Error;
use crate::local::core::repository::{ExclusionFilter, Repository};

/// A mutability and its exclusion filters, found to go together.
pub(in crate::local) fn checked(
    mutability: &str,
    filters: Option<Vec<ExclusionFilter>>,
) -> Result<(String, Vec<ExclusionFilter>), Error> {
    let name = "imageTagMutabilityExclusionFilters";
    match (mutability.ends_with("_WITH_EXCLUSION"), filters) {
        (true, None) => Err(Error::parameter(
            name,
            &format!(
                "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as {mutability}"
            ),
        )),
        (false, Some(_)) => Err(Error::parameter(
            name,
            &format!(
                "ImageTagMutabilityExclusionFilters must be null when imageTagMutability is set as {mutability}"
            ),
        )),
        (_, filters) => Ok((mutability.to_owned(), filters.unwrap_or_default())),
    }
}

/// Returns whether a tag of this repository, once set, cannot be moved.
pub(in crate::local) fn is_immutable(repository: &Repository, tag: &str) -> bool {
    let patterns = repository.exclusions.iter().map(|exclusion| exclusion.filter.as_str());
    mutability::is_immutable(&repository.mutability, patterns, tag)
}
