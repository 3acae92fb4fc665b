//! Mutability of tags.

use super::glob;

/// Returns whether a tag, once set, cannot be moved in a repository of this `imageTagMutability`, with the patterns of
/// its exclusion filters.
pub fn is_immutable<'a>(mutability: &str, exclusions: impl IntoIterator<Item = &'a str>, tag: &str) -> bool {
    let mut exclusions = exclusions.into_iter();
    let mut excluded = || exclusions.any(|pattern| glob::matches_wildcard(pattern, tag));
    match mutability {
        "IMMUTABLE" => true,
        "IMMUTABLE_WITH_EXCLUSION" => !excluded(),
        "MUTABLE_WITH_EXCLUSION" => excluded(),
        _ => false,
    }
}
