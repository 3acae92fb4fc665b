//! The signing rules under which an image was pushed.

use rusqlite::{Connection, params};

use crate::image::glob::covers;
use crate::local::core::error::Error;
use crate::local::core::repository::Repository;
use crate::local::core::settings::{Kind, Setting};

/// Notes under which rules an image was pushed.
pub(in crate::local) fn on_push(
    connection: &Connection,
    repository: &Repository,
    image: i64,
) -> Result<(), Error> {
    let Some(kept) = Setting::get(connection, &repository.scope, Kind::Signing, "")? else {
        return Ok(());
    };
    for rule in kept.value["rules"].as_array().into_iter().flatten() {
        let filters = rule["repositoryFilters"].as_array();
        let is_covered = filters.is_none_or(|filters| {
            filters
                .iter()
                .filter_map(|filter| filter["filter"].as_str())
                .any(|glob| covers(glob, &repository.name))
        });
        if is_covered {
            let change = "INSERT OR IGNORE INTO signing (image, profile) VALUES (?1, ?2)";
            connection.execute(change, params![image, rule["signingProfileArn"].as_str()])?;
        }
    }
    Ok(())
}
