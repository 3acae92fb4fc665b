use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;
use crate::settings::{Environment, Globals};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn opened(folder: &Path) -> Result<TokenCache, CacheError> {
    let folder = folder.to_str().unwrap();
    TokenCache::open(&Settings::with_environment(
        Globals::default(),
        Environment::given([("AWS_ECR_CACHE_DIR", folder)]),
    ))
}

fn entry() -> CachedToken {
    let token = base64_simd::STANDARD.encode_to_string("AWS:word");
    CachedToken::new("ecr", "eu-west-1", "environment".into(), token, 100..200)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

fn age(path: &Path, hours: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600)).unwrap();
}

#[test]
fn an_entry_goes_in_and_out_and_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let cache = opened(&folder.path().join("new")).unwrap();
    assert_eq!(cache.read(KEY), None);
    cache.write(KEY, &entry()).unwrap();
    assert_eq!(cache.read(KEY), Some(entry()));
    assert_eq!(mode(cache.folder()), 0o700);
    assert_eq!(mode(&cache.file(KEY)), 0o600);
    assert_eq!(cache.entries(), vec![(KEY.to_owned(), entry())]);
    assert!(cache.remove(KEY).unwrap());
    assert!(!cache.remove(KEY).unwrap());
}

#[test]
fn planted_files_are_neither_read_nor_written_through() {
    let folder = tempfile::tempdir().unwrap();
    let cache = opened(folder.path()).unwrap();
    cache.write(KEY, &entry()).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(cache.file(KEY), &elsewhere).unwrap();
    symlink(&elsewhere, cache.file(KEY)).unwrap();
    assert_eq!(cache.read(KEY), None, "a link");
    std::fs::write(&elsewhere, "precious").unwrap();
    cache.write(KEY, &entry()).unwrap();
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "precious");
    assert_eq!(cache.read(KEY), Some(entry()));
    std::fs::set_permissions(cache.file(KEY), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(cache.read(KEY), None, "others may read it");
    symlink(&elsewhere, cache.folder().join(format!("{KEY}.lock"))).unwrap();
    assert!(cache.try_lock(KEY).is_err(), "a link for a lock");
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "precious");
}

#[test]
fn a_folder_that_others_can_write_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("open");
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
    let said = opened(&path).unwrap_err().to_string();
    let path_text = path.display();
    assert_eq!(
        said,
        format!(
            "the token cache {path_text} is not used: others can write to it (chmod 700 '{path_text}' makes it usable)"
        )
    );
    std::fs::set_permissions(&path, Permissions::from_mode(0o1777)).unwrap();
    assert!(opened(&path).is_ok(), "as /tmp is");
    std::fs::create_dir(path.join("tokens")).unwrap();
    std::fs::set_permissions(path.join("tokens"), Permissions::from_mode(0o777)).unwrap();
    assert!(opened(&path).is_err());
    std::fs::remove_dir(path.join("tokens")).unwrap();
    std::fs::write(path.join("tokens"), "").unwrap();
    assert!(opened(&path).unwrap_err().to_string().ends_with("it is not a folder"));
    std::fs::remove_file(path.join("tokens")).unwrap();
    symlink(folder.path(), path.join("tokens")).unwrap();
    assert!(opened(&path).unwrap_err().to_string().ends_with("it is not a folder"), "a link to one");
}

#[test]
fn one_process_at_a_time_has_a_lock() {
    let folder = tempfile::tempdir().unwrap();
    let cache = opened(folder.path()).unwrap();
    let held = cache.try_lock(KEY).unwrap().unwrap();
    assert!(cache.try_lock(KEY).unwrap().is_none());
    drop(held);
    assert!(cache.try_lock(KEY).unwrap().is_some());
}

#[test]
fn expired_files_are_deleted_and_foreign_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let cache = opened(folder.path()).unwrap();
    cache.write(KEY, &entry()).unwrap();
    let old = "f".repeat(32);
    for name in [
        format!("{old}.json"),
        format!("{old}.lock"),
        ".new-x".into(),
        "nobody-x".into(),
        "cache.json".into(),
    ] {
        std::fs::write(cache.folder().join(&name), "null").unwrap();
        age(&cache.folder().join(&name), 14);
    }
    cache.prune(1);
    cache.prune(2);
    let mut names: Vec<String> = cache.names().collect();
    names.sort();
    assert_eq!(names, vec![format!("{KEY}.json"), "cache.json".to_owned()]);
    assert_eq!(cache.clear().unwrap(), 1);
    assert_eq!(cache.names().collect::<Vec<_>>(), vec!["cache.json".to_owned()]);
}

#[test]
fn one_time_clears_away_a_part_and_in_the_end_everything_goes() {
    let folder = tempfile::tempdir().unwrap();
    let cache = opened(folder.path()).unwrap();
    cache.write(KEY, &entry()).unwrap();
    for number in 0..200 {
        let path = cache.folder().join(format!("{number:032x}.json"));
        std::fs::write(&path, "null").unwrap();
        age(&path, 14);
    }
    cache.prune(150);
    assert_eq!(cache.names().count(), 201 - MAX_DELETED);
    for start in 0..5 {
        cache.prune(start);
    }
    assert_eq!(cache.names().collect::<Vec<_>>(), vec![format!("{KEY}.json")]);
}

#[test]
fn an_unreachable_metadata_service_is_remembered_for_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let cache = opened(folder.path()).unwrap();
    assert!(!cache.is_imds_unreachable("http://169.254.169.254"));
    cache.remember_imds_unreachable("http://169.254.169.254").unwrap();
    cache.remember_imds_unreachable("http://169.254.169.254").unwrap();
    assert!(cache.is_imds_unreachable("http://169.254.169.254"));
    assert!(!cache.is_imds_unreachable("http://127.0.0.1:1"));
    age(&cache.unreachable_mark("http://169.254.169.254"), 1);
    assert!(!cache.is_imds_unreachable("http://169.254.169.254"));
}
