//! `ecr doctor`, and the permissions that it knows of.

mod aws;
mod findings;
mod permissions;
mod situations;
