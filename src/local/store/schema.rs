//! The schema of the database, and whether a database of unknown origin has it.

use std::collections::BTreeSet;

use rusqlite::Connection;

/// Schema, version by version: a new store gets all of them, an older one the missing ones.
pub(in crate::local) const SCHEMA: [&str; 4] = [
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
];

/// The version of the schema.
pub(in crate::local) const VERSION: i32 = 4;

/// Marks the file as ours: `ecr!`.
pub(in crate::local) const APPLICATION: i32 = 0x6563_7221;

/// Describes the damage of a database, or its difference from ours of the same version; `None` if it is sound. A
/// version that this program does not know is left to who opens the database.
pub(in crate::local) fn foreign(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    if application != APPLICATION || version <= 0 {
        return Ok(Some("it was not made by ecr".to_owned()));
    }
    let Some(versions) = usize::try_from(version).ok().and_then(|version| SCHEMA.get(..version)) else {
        return Ok(None);
    };
    let own = Connection::open_in_memory()?;
    for version in versions {
        own.execute_batch(version)?;
    }
    let (own, found) = (objects(&own)?, objects(connection)?);
    if let Some((kind, name, _)) = found.difference(&own).next() {
        return Ok(Some(format!("it has the {kind} {name:?}, which is not ours")));
    }
    if let Some((kind, name, _)) = own.difference(&found).next() {
        return Ok(Some(format!("it lacks the {kind} {name}")));
    }
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((check != "ok").then_some(format!("it is damaged ({check})")))
}

/// Every table, index, view and trigger: its kind, its name, and how it was made, without comments and line breaks.
fn objects(connection: &Connection) -> rusqlite::Result<BTreeSet<(String, String, String)>> {
    let mut statement = connection.prepare("SELECT type, name, coalesce(sql, '') FROM sqlite_schema")?;
    let rows =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, plain(&row.get::<_, String>(2)?))))?;
    rows.collect()
}

fn plain(sql: &str) -> String {
    let code = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    code.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of the newest version, changed.
    fn told(change: &str) -> Option<String> {
        let connection = Connection::open_in_memory().unwrap();
        for version in SCHEMA {
            connection.execute_batch(version).unwrap();
        }
        connection.pragma_update(None, "application_id", APPLICATION).unwrap();
        connection.pragma_update(None, "user_version", VERSION).unwrap();
        connection.execute_batch(change).unwrap();
        foreign(&connection).unwrap()
    }

    #[test]
    fn only_our_own_schema_is_taken() {
        assert_eq!(told(""), None);
        assert_eq!(told("INSERT INTO meta VALUES ('a', 1)"), None);
        assert_eq!(told("PRAGMA user_version = 99"), None);
        let not_ours = |what: &str| Some(format!("it has the {what}, which is not ours"));
        let trigger = "CREATE TRIGGER t AFTER INSERT ON repository BEGIN DELETE FROM image; END";
        assert_eq!(told(trigger), not_ours("trigger \"t\""));
        assert_eq!(told("CREATE VIEW v AS SELECT 1"), not_ours("view \"v\""));
        assert_eq!(told("CREATE TABLE more (a)"), not_ours("table \"more\""));
        let replaced = "DROP TABLE orphan; CREATE VIEW orphan AS SELECT id AS image FROM image";
        assert_eq!(told(replaced), not_ours("view \"orphan\""));
        assert_eq!(told("ALTER TABLE orphan ADD COLUMN b"), not_ours("table \"orphan\""));
        assert_eq!(told("DROP INDEX tag_of_image"), Some("it lacks the index tag_of_image".to_owned()));
        for mark in ["PRAGMA application_id = 1", "PRAGMA user_version = 0"] {
            assert_eq!(told(mark), Some("it was not made by ecr".to_owned()));
        }
    }
}
