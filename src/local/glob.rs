//! Patterns in which `*` stands for any run of characters.

pub(super) use crate::image::glob::covers;
