//! Options that all mirrors of one `ecr sync` share.

use std::sync::Arc;

use super::super::create::Creation;
use super::deletion::Deletion;
use crate::image::glob;
use crate::store::{self, Buffers};

/// Options shared by all mirrors.
pub(super) struct SyncOptions<'a> {
    /// Tags to mirror, none for all, and tags to leave out.
    pub(super) globs: Arc<(Vec<String>, Vec<String>)>,
    pub(super) deletion: Deletion,
    pub(super) referrers: bool,
    pub(super) dry_run: bool,
    pub(super) keep_going: bool,
    pub(super) jobs: usize,
    pub(super) verify: bool,
    /// Memory shared by all mirrors.
    pub(super) buffers: Arc<Buffers>,
    pub(super) create: Option<&'a Creation>,
}

impl SyncOptions<'_> {
    /// Filter for the tags that are mirrored.
    pub(super) fn chosen(&self) -> Box<store::TagFilter> {
        let globs = Arc::clone(&self.globs);
        let any = |globs: &[String], tag: &str| globs.iter().any(|glob| glob::matches(glob, tag));
        Box::new(move |tag| (globs.0.is_empty() || any(&globs.0, tag)) && !any(&globs.1, tag))
    }
}
