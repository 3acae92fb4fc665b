//! The tag mutability that a request asks for.

use crate::local::aws_api::call::Call;
use crate::local::aws_api::error::ApiError;
use crate::local::core::repository::ExclusionFilter;
use crate::local::core::tag_mutability::checked;

/// Returns the mutability in a request, with its exclusion filters; `MUTABLE` by default.
pub(in crate::local) fn requested(call: &Call<'_>) -> Result<(String, Vec<ExclusionFilter>), ApiError> {
    let mutability = call.text("imageTagMutability").unwrap_or("MUTABLE");
    Ok(checked(mutability, call.typed("imageTagMutabilityExclusionFilters")?)?)
}
