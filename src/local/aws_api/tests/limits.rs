//! Quotas, made small enough to be reached.

use super::*;

#[test]
fn parts_and_bytes_of_a_layer_are_limited() {
    let mut store = Store::with_repository();
    store.local.limits.parts = 2;
    store.local.limits.layer = 10;
    let words = |error: ApiError| format!("{}: {}", error.code, error.message);
    let upload = store.begin();
    store.part(&upload, 0, b"1").unwrap();
    store.part(&upload, 1, b"2").unwrap();
    let refused = "LimitExceededException: A layer has at most 2 parts and 0 MiB";
    assert_eq!(words(store.part(&upload, 2, b"3").unwrap_err()), refused);
    let upload = store.begin();
    assert_eq!(words(store.part(&upload, 0, b"eleven byte").unwrap_err()), refused);
    store.part(&upload, 0, b"ten bytes.").unwrap();
    store.complete(&upload, &digest(b"ten bytes.")).unwrap();
}

#[test]
fn images_of_a_repository_are_limited() {
    let mut store = Store::with_repository();
    store.local.limits.images = 2;
    // Images of other repositories come between, and those that went do not count.
    store.image("first", None);
    let gone = store.image("second", None);
    store.ask("CreateRepository", json!({ "repositoryName": "other" }));
    let index = json!({ "schemaVersion": 2, "manifests": [] }).to_string();
    let other =
        json!({ "repositoryName": "other", "imageManifest": index, "imageManifestMediaType": OCI_INDEX });
    store.ask("PutImage", other);
    let manifest = store.manifest("third");
    let refused = store.put(&manifest, OCI_IMAGE, None).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.message.as_str()),
        (
            "LimitExceededException",
            "The repository with name 'team/app' in the registry with id '111122223333' already has the maximum of 2 \
             images"
        )
    );
    let ids = json!([{ "imageDigest": gone }]);
    store.ask("BatchDeleteImage", json!({ "repositoryName": "team/app", "imageIds": ids }));
    store.put(&manifest, OCI_IMAGE, None).unwrap();
    assert_eq!(store.images().len(), 2);
}

#[test]
fn tags_of_an_image_are_limited() {
    let mut store = Store::with_repository();
    store.local.limits.tags = 2;
    store.image("content", Some("1"));
    store.image("content", Some("2"));
    let manifest = store.manifest("content");
    let refused = store.put(&manifest, OCI_IMAGE, Some("3")).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.message.as_str()),
        (
            "LimitExceededException",
            "The image in the repository with name 'team/app' in the registry with id '111122223333' already has the \
             maximum of 2 tags"
        )
    );
    assert_eq!(store.images().len(), 2);
}
