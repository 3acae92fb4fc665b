//! Whether a tag may be moved.

use super::glob;

/// Whether a tag, once set, stays where it is in a repository of this `imageTagMutability`, with the patterns of its
/// exclusion filters.
pub fn is_immutable<'a>(mutability: &str, exclusions: impl IntoIterator<Item = &'a str>, tag: &str) -> bool {
    let mut exclusions = exclusions.into_iter();
    let mut excluded = || exclusions.any(|pattern| glob::covers(pattern, tag));
    match mutability {
        "IMMUTABLE" => true,
        "IMMUTABLE_WITH_EXCLUSION" => !excluded(),
        "MUTABLE_WITH_EXCLUSION" => excluded(),
        _ => false,
    }
}
