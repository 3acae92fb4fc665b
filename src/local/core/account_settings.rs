//! Account settings that other requests depend on.

use crate::iam::Principal;
use crate::local::core::error::Error;
use crate::local::core::registry_id::Scope;
use crate::local::core::settings::{Kind, Setting};

/// Returns whether the account lets blobs be mounted. A public registry has no such setting.
pub(in crate::local) fn mounts_blobs(
    connection: &rusqlite::Connection,
    scope: &Scope,
) -> Result<bool, Error> {
    let kept = Setting::get(connection, scope, Kind::AccountSetting, "BLOB_MOUNTING")?;
    Ok(kept.and_then(|kept| kept.value::<String>()).is_some_and(|value| value == "ENABLED"))
}

/// Returns whether the pulls of a principal do not count: of an excluded user or role, or of a session of such a
/// role.
pub(in crate::local) fn is_excluded(
    connection: &rusqlite::Connection,
    scope: &Scope,
    principal: &Principal,
) -> Result<bool, Error> {
    Ok(Setting::get(connection, scope, Kind::PullTimeExclusion, &principal.lasting_arn())?.is_some())
}
