//! The quotas that a request is subject to.

use crate::local::aws_api::call::Call;
use crate::local::core::limits::Limits;

impl Limits {
    /// The most parts and bytes of the layer that a request is about.
    pub(in crate::local) fn of_layer(&self, call: &Call<'_>) -> (i64, i64) {
        if call.is_public() { (self.public_parts, self.public_layer) } else { (self.parts, self.layer) }
    }
}
