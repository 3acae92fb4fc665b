//! Whether a tag may be moved.

use serde_json::{Value, json};

use super::repository::Repository;
use crate::local::Fault;
use crate::local::call::Call;

/// The mutability that a request asks for, with its exclusion filters; `MUTABLE` where it says nothing.
pub(super) fn requested(call: &Call<'_>) -> Result<(String, Value), Fault> {
    let mutability = call.text("imageTagMutability").unwrap_or("MUTABLE");
    let filters = call.list("imageTagMutabilityExclusionFilters");
    let name = "imageTagMutabilityExclusionFilters";
    match (mutability.ends_with("_WITH_EXCLUSION"), filters) {
        (true, None) => Err(Fault::parameter(
            name,
            &format!(
                "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as {mutability}"
            ),
        )),
        (false, Some(_)) => Err(Fault::parameter(
            name,
            &format!(
                "ImageTagMutabilityExclusionFilters must be null when imageTagMutability is set as {mutability}"
            ),
        )),
        (_, filters) => Ok((mutability.to_owned(), json!(filters.unwrap_or_default()))),
    }
}

/// Whether a tag of this repository, once set, stays where it is.
pub(super) fn is_immutable(repository: &Repository, tag: &str) -> bool {
    let filters = repository.exclusions.as_array().map(Vec::as_slice).unwrap_or_default();
    let excluded =
        || filters.iter().filter_map(|filter| filter["filter"].as_str()).any(|glob| covers(glob, tag));
    match repository.mutability.as_str() {
        "IMMUTABLE" => true,
        "IMMUTABLE_WITH_EXCLUSION" => !excluded(),
        "MUTABLE_WITH_EXCLUSION" => excluded(),
        _ => false,
    }
}

/// Whether a pattern, in which `*` stands for any run of characters, covers the whole of a text.
pub(super) fn covers(glob: &str, text: &str) -> bool {
    let mut pieces = glob.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    // Each piece at its earliest place leaves the most for the others.
    for piece in pieces {
        let Some(place) = rest.find(piece) else { return false };
        rest = &rest[place + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_star_is_any_run_of_characters() {
        let covered = [
            ("latest", "latest"),
            ("v*", "v"),
            ("v*", "v1.2"),
            ("*-dev", "a-dev"),
            ("a*b*c", "aXbYbc"),
            ("*", ""),
        ];
        let not = [("latest", "latest1"), ("v*", "av"), ("a*b*c", "acb"), ("ab*ba", "aba"), ("", "a")];
        for (glob, text) in covered {
            assert!(covers(glob, text), "{glob} {text}");
        }
        for (glob, text) in not {
            assert!(!covers(glob, text), "{glob} {text}");
        }
    }
}
