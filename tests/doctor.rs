//! `ecr doctor`, and the permissions that it knows of.

mod permissions;
