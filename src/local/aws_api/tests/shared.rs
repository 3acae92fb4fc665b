//! One folder over time and between processes; damage, and starting over.

use std::fs;
use std::sync::Barrier;

use super::*;
use crate::local::core::store_usage::reset;
use crate::local::store::error::Error;

#[test]
fn an_upload_goes_on_in_another_process() {
    let mut store = Store::with_repository();
    let upload = store.begin();
    let content = [vec![1; 5 * MIB], vec![2; 9]].concat();
    store.part(&upload, 0, &content[..5 * MIB]).unwrap();
    // Bytes of a part that was never acknowledged.
    let path = store.local.store.blobs.upload_path(&upload);
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, b"leftover that is longer than the next part").unwrap();
    store.local = Local::open(store.folder.path()).unwrap();
    store.part(&upload, 5 * MIB, &content[5 * MIB..]).unwrap();
    store.local = Local::open(store.folder.path()).unwrap();
    assert_eq!(store.complete(&upload, &digest(&content)).unwrap()["layerDigest"], json!(digest(&content)));
    assert_eq!(store.local.usage().unwrap().blob_bytes, i64::try_from(content.len()).unwrap());
}

#[test]
fn the_same_part_sent_twice_at_once_is_stored_once() {
    let store = Store::with_repository();
    let other = Local::open(store.folder.path()).unwrap();
    let upload = store.begin();
    let barrier = Barrier::new(8);
    let send = |local: &Local| {
        barrier.wait();
        let input = json!({ "repositoryName": "team/app", "uploadId": upload, "partFirstByte": 0, "partLastByte": 6 });
        local.answer(&store.caller, model::ecr(), "UploadLayerPart", input, Some("content".into())).is_ok()
    };
    let stored: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let local = if number % 2 == 0 { &store.local } else { &other };
                scope.spawn(move || send(local))
            })
            .collect();
        threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
    });
    assert_eq!(stored, 1);
    store.complete(&upload, &digest(b"content")).unwrap();
}

#[test]
fn many_writers_share_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    let caller = Caller::of_account("111122223333", "r");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (folder, caller) = (&folder, &caller);
            scope.spawn(move || {
                let local = Local::open(folder.path()).unwrap();
                for number in 0..10 {
                    let input = json!({ "repositoryName": format!("r{thread}-{number}") });
                    local.answer(caller, model::ecr(), "CreateRepository", input, None).unwrap();
                }
            });
        }
    });
    let local = Local::open(folder.path()).unwrap();
    assert_eq!(local.usage().unwrap().registries[0].repositories, 40);
}

#[test]
fn a_reset_is_seen_by_those_who_have_the_folder_open() {
    let store = Store::with_repository();
    store.image("content", Some("1"));
    let upload = store.begin();
    store.part(&upload, 0, b"part").unwrap();
    reset(store.folder.path()).unwrap();
    assert_eq!(store.ask("DescribeRepositories", json!({})), json!({ "repositories": [] }));
    let contents = store.local.usage().unwrap();
    assert_eq!(
        (contents.blobs, contents.blob_bytes, contents.uploads, contents.registries),
        (0, 0, 0, Vec::new())
    );
    assert!(!store.local.store.blobs.path(&digest(b"content")).unwrap().exists());
    assert_eq!(fs::read_dir(store.folder.path().join("uploads")).unwrap().count(), 0);
    store.ask("CreateRepository", json!({ "repositoryName": "team/app" }));
    store.image("content", Some("1"));
}

#[test]
fn damage_is_reported_and_never_overwritten() {
    let told = |folder: &TempDir| match Local::open(folder.path()) {
        Ok(_) => "opened".to_owned(),
        Err(error) => {
            error.to_string().replace(&folder.path().canonicalize().unwrap().display().to_string(), "FOLDER")
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("ecr.db");
    fs::write(&database, "This is no database. ".repeat(1000)).unwrap();
    let damaged = "database FOLDER/ecr.db is damaged: file is not a database; `ecr local reset` starts over";
    assert_eq!(told(&folder), damaged);
    assert!(fs::read(&database).unwrap().starts_with(b"This is no database."));
    reset(folder.path()).unwrap();
    assert_eq!(told(&folder), "opened");

    let store = Store::with_repository();
    store.image("content", None);
    let Store { local, folder, .. } = store;
    drop(local);
    fs::remove_file(folder.path().join("ecr.db")).unwrap();
    assert_eq!(
        told(&folder),
        "database FOLDER/ecr.db is damaged: it is missing or empty although the folder holds blobs; `ecr local reset` \
         starts over"
    );

    let folder = tempfile::tempdir().unwrap();
    drop(Local::open(folder.path()).unwrap());
    let connection = rusqlite::Connection::open(folder.path().join("ecr.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(matches!(Local::open(folder.path()), Err(Error::Newer { found: 99, known: 4, .. })));

    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().join("store");
    assert_eq!(
        Local::open(&path).unwrap_err().to_string(),
        format!("cannot use the folder {} for the embedded ECR: a file is in the way", path.display())
    );
}

#[test]
fn a_store_of_the_first_version_is_brought_up_to_date() {
    let store = Store::with_repository();
    let digest = store.image("content", Some("1"));
    let Store { local, folder, caller } = store;
    drop(local);
    let connection = rusqlite::Connection::open(folder.path().join("ecr.db")).unwrap();
    let newer = [
        "orphan",
        "backfill_result",
        "backfill",
        "replication",
        "signing",
        "scan",
        "preview_result",
        "preview",
        "repository_setting",
        "setting",
    ];
    for table in newer {
        connection.execute(&format!("DROP TABLE {table}"), []).unwrap();
    }
    connection.execute_batch("CREATE TABLE token (hash BLOB PRIMARY KEY)").unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    drop(connection);
    let store = Store { local: Local::open(folder.path()).unwrap(), folder, caller };
    assert_eq!(store.images(), [format!("1 {digest}")]);
    store.ask("PutAccountSetting", json!({ "name": "BLOB_MOUNTING", "value": "ENABLED" }));
    drop(Local::open(store.folder.path()).unwrap());
}
