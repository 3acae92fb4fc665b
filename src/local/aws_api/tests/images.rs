//! Images: pushed, listed, described, fetched, deleted.

use super::*;

fn delete(store: &Store, ids: impl Into<Value>) -> Value {
    store.ask("BatchDeleteImage", json!({ "repositoryName": "team/app", "imageIds": ids.into() }))
}

fn failure(id: impl serde::Serialize, code: &str, reason: &str) -> Value {
    json!({ "imageId": id, "failureCode": code, "failureReason": reason })
}

#[test]
fn an_image_is_described_as_it_was_pushed() {
    let store = Store::with_repository();
    let manifest = store.manifest("content");
    let input = json!({ "repositoryName": "team/app", "imageManifest": manifest, "imageTag": "1" });
    let pushed = digest(manifest.as_bytes());
    let image = |id: Value| {
        json!({
            "registryId": "111122223333", "repositoryName": "team/app", "imageId": id,
            "imageManifest": manifest, "imageManifestMediaType": OCI_IMAGE,
        })
    };
    let both = json!({ "imageDigest": pushed, "imageTag": "1" });
    assert_eq!(store.ask("PutImage", input), json!({ "image": image(both.clone()) }));
    let detail = json!({
        "registryId": "111122223333", "repositoryName": "team/app", "imageDigest": pushed, "imageTags": ["1"],
        "imageSizeInBytes": 14, "imagePushedAt": "TIME", "imageManifestMediaType": OCI_IMAGE,
        "artifactMediaType": "application/vnd.oci.image.layer.v1.tar", "imageStatus": "ACTIVE",
    });
    let described = store.ask("DescribeImages", json!({ "repositoryName": "team/app" }));
    assert_eq!(timeless(described), json!({ "imageDetails": [detail] }));
    let ids = json!([{ "imageTag": "1" }, { "imageDigest": pushed }, both]);
    let input = json!({ "repositoryName": "team/app", "imageIds": ids });
    assert_eq!(
        store.ask("BatchGetImage", input),
        json!({
            "images": [image(both.clone()), image(json!({ "imageDigest": pushed })), image(both)],
            "failures": [],
        })
    );
    let described = store.ask("DescribeImages", json!({ "repositoryName": "team/app", "imageIds": ids }));
    let mut pulled = detail;
    pulled["lastRecordedPullTime"] = json!("TIME");
    assert_eq!(timeless(described), json!({ "imageDetails": [pulled] }));
}

#[test]
fn referenced_blobs_must_exist() {
    let store = Store::with_repository();
    let (a, b) = (digest(b"a"), digest(b"b"));
    let manifest = json!({
        "config": { "digest": a, "size": 1 },
        "layers": [
            { "digest": b, "size": 1 }, { "digest": b, "size": 1 },
            { "digest": "sha256:00", "size": 1, "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" },
        ],
    });
    let refused = store.put(&manifest.to_string(), OCI_IMAGE, None).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.message),
        (
            "LayersNotFoundException",
            format!(
                "Layers with digests '[{a}, {b}]' required for pushing image into repository with name 'team/app' in the \
                 registry with id '111122223333' do not exist"
            )
        )
    );
    let refused = store.index(&[&a], None).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.message),
        (
            "ReferencedImagesNotFoundException",
            format!(
                "Images with digests '[{a}]' required for pushing image into repository with name 'team/app' in the \
                 registry with id '111122223333' do not exist"
            )
        )
    );
    let input = json!({
        "repositoryName": "team/app", "imageManifest": store.manifest("a"), "imageManifestMediaType": OCI_IMAGE,
        "imageDigest": "sha256:00",
    });
    assert!(store.refusal("PutImage", input).starts_with(
        "ImageDigestDoesNotMatchException: The image digest 'sha256:00' does not match the calculated digest 'sha256:"
    ));
    let input = json!({ "repositoryName": "none", "imageManifest": "{" });
    assert!(store.refusal("PutImage", input).starts_with("RepositoryNotFoundException: "));
}

#[test]
fn a_tag_moves_unless_it_is_immutable() {
    let store = Store::with_repository();
    let (one, two) = (store.image("one", Some("x")), store.image("two", Some("dev-x")));
    let again = store.put(&store.manifest("one"), OCI_IMAGE, Some("x")).unwrap_err();
    assert_eq!(
        (again.code.as_str(), again.message),
        (
            "ImageAlreadyExistsException",
            format!(
                "Image with digest '{one}' and tag 'x' already exists in the repository with name 'team/app' in registry \
                 with id '111122223333'"
            )
        )
    );
    let untagged = store.put(&store.manifest("one"), OCI_IMAGE, None).unwrap_err();
    assert!(untagged.message.contains("and tag 'null' already exists"), "{untagged:?}");
    assert_eq!(store.image("two", Some("x")), two);
    assert_eq!(store.images(), [format!("- {one}"), format!("dev-x {two}"), format!("x {two}")]);
    let input = json!({
        "repositoryName": "team/app", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{ "filterType": "WILDCARD", "filter": "dev-*" }],
    });
    store.ask("PutImageTagMutability", input);
    let refused = store.put(&store.manifest("one"), OCI_IMAGE, Some("x")).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.message.as_str()),
        (
            "ImageTagAlreadyExistsException",
            "The image tag 'x' already exists in the 'team/app' repository and cannot be overwritten because the tag is \
             immutable."
        )
    );
    assert_eq!(store.image("one", Some("dev-x")), one);
    assert_eq!(store.image("one", Some("new")), one);
}

#[test]
fn an_index_holds_its_children() {
    let store = Store::with_repository();
    let (small, large) = (store.image("a", Some("small")), store.image("large", None));
    let index = store.index(&[&small, &large], Some("all")).unwrap();
    let outer = store.index(&[&index], None).unwrap();
    let input = json!({ "repositoryName": "team/app", "imageIds": [{ "imageDigest": outer }] });
    assert_eq!(store.ask("DescribeImages", input)["imageDetails"][0]["imageSizeInBytes"], json!(10));
    let held = |id: Value, by: &str| {
        let reason = format!("Requested image referenced by manifest list: [{by}]");
        failure(id, "ImageReferencedByManifestList", &reason)
    };
    let ids = json!([{ "imageTag": "small" }, { "imageDigest": large }, { "imageTag": "all" }]);
    assert_eq!(
        delete(&store, ids),
        json!({ "imageIds": [], "failures": [
            held(json!({ "imageTag": "small" }), &index),
            held(json!({ "imageDigest": large }), &index),
            held(json!({ "imageTag": "all" }), &outer),
        ] })
    );
    let ids = json!([{ "imageDigest": small }, { "imageDigest": large }, { "imageDigest": index }, { "imageDigest": outer }]);
    assert_eq!(
        delete(&store, ids),
        json!({ "imageIds": [
            { "imageDigest": outer },
            { "imageDigest": index, "imageTag": "all" },
            { "imageDigest": small, "imageTag": "small" },
            { "imageDigest": large },
        ], "failures": [] })
    );
    assert_eq!(store.images(), [""; 0]);
}

#[test]
fn a_deletion_lists_deleted_and_failed_images() {
    let store = Store::with_repository();
    let (one, two) = (store.image("one", Some("a")), store.image("two", Some("c")));
    store.image("one", Some("b"));
    let ids = json!([
        { "imageTag": "a" }, {}, { "imageDigest": "nonsense" }, { "imageTag": "none" },
        { "imageDigest": two, "imageTag": "b" }, { "imageDigest": two },
    ]);
    let regex = "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+";
    assert_eq!(
        delete(&store, ids),
        json!({
            "imageIds": [{ "imageDigest": one, "imageTag": "a" }, { "imageDigest": two, "imageTag": "c" }],
            "failures": [
                failure(json!({}), "MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"),
                failure(
                    json!({ "imageDigest": "nonsense" }),
                    "InvalidImageDigest",
                    &format!("Invalid request parameters: image digest should satisfy the regex '{regex}'")
                ),
                failure(json!({ "imageTag": "none" }), "ImageNotFound", "Requested image not found"),
                failure(
                    json!({ "imageDigest": two, "imageTag": "b" }),
                    "ImageTagDoesNotMatchDigest",
                    "Requested image tag does not match digest"
                ),
            ],
        })
    );
    assert_eq!(store.images(), [format!("b {one}")]);
    delete(&store, json!([{ "imageTag": "b" }]));
    assert_eq!(store.images(), [""; 0]);
    assert_eq!(
        store.refusal(
            "DescribeImages",
            json!({ "repositoryName": "team/app", "imageIds": [{ "imageTag": "b" }] })
        ),
        "ImageNotFoundException: The image with imageId {imageDigest:'null', imageTag:'b'} does not exist within the \
         repository with name 'team/app' in the registry with id '111122223333'"
    );
}

#[test]
fn lists_are_filtered_and_paged() {
    let store = Store::with_repository();
    let one = store.image("one", Some("a"));
    store.image("one", Some("b"));
    let (two, three) = (store.image("two", None), store.image("three", Some("c")));
    let page = |operation: &str, name: &str, extra: Value| {
        let (mut pages, mut token) = (Vec::new(), Value::Null);
        loop {
            let mut input = json!({ "repositoryName": "team/app", "nextToken": token });
            input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            let answer = store.ask(operation, input);
            let entries = answer[name].as_array().unwrap().iter();
            let shown = |entry: &Value| {
                let tag = entry["imageTag"].as_str().or(entry["imageTags"][0].as_str()).unwrap_or("-");
                format!("{tag} {}", entry["imageDigest"].as_str().unwrap())
            };
            pages.push(entries.map(shown).collect::<Vec<_>>());
            token = answer["nextToken"].clone();
            if token.is_null() {
                return pages;
            }
        }
    };
    let (a, b, c, none) = (format!("a {one}"), format!("b {one}"), format!("c {three}"), format!("- {two}"));
    let list = |extra| page("ListImages", "imageIds", extra);
    let describe = |extra| page("DescribeImages", "imageDetails", extra);
    assert_eq!(list(json!({ "maxResults": 1 })), [[a.as_str()], [b.as_str()], [none.as_str()], [c.as_str()]]);
    assert_eq!(list(json!({ "maxResults": 3 })), [vec![a.clone(), b, none.clone()], vec![c.clone()]]);
    assert_eq!(list(json!({ "filter": { "tagStatus": "UNTAGGED" } })), [[none.as_str()]]);
    assert_eq!(list(json!({ "filter": { "imageStatus": "ARCHIVED" } })), [Vec::<String>::new()]);
    assert_eq!(describe(json!({ "maxResults": 2 })), [vec![a.clone(), none.clone()], vec![c.clone()]]);
    assert_eq!(describe(json!({ "filter": { "tagStatus": "TAGGED" } })), [[a.as_str(), c.as_str()]]);
    let input = json!({ "repositoryName": "team/app", "imageIds": [{ "imageTag": "a" }], "maxResults": 5 });
    assert!(store.refusal("DescribeImages", input).starts_with("InvalidParameterException: "));
}

#[test]
fn tags_of_a_public_repository_are_described() {
    let store = Store::new();
    store.public("CreateRepository", json!({ "repositoryName": "tools" })).unwrap();
    let manifest = json!({ "schemaVersion": 2, "manifests": [] }).to_string();
    let input = json!({
        "repositoryName": "tools", "imageManifest": manifest, "imageManifestMediaType": OCI_INDEX, "imageTag": "1",
    });
    store.public("PutImage", input).unwrap();
    let answer = store.public("DescribeImageTags", json!({ "repositoryName": "tools" })).unwrap();
    assert_eq!(
        timeless(answer),
        json!({ "imageTagDetails": [{
            "imageTag": "1", "createdAt": "TIME",
            "imageDetail": {
                "imageDigest": digest(manifest.as_bytes()), "imageSizeInBytes": 0, "imagePushedAt": "TIME",
                "imageManifestMediaType": OCI_INDEX,
            },
        }] })
    );
}

#[test]
fn a_manifest_that_lies_about_the_size_of_a_layer_is_refused() {
    let store = Store::with_repository();
    store.layer(b"content");
    let layer = descriptor(b"content");
    let mut wrong = layer.clone();
    wrong["size"] = json!(8);
    let told = format!(
        "InvalidParameterException: Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Layer with \
         digest '{}' has 7 bytes, and 8 according to the image manifest'",
        digest(b"content")
    );
    for (config, layers) in [(&layer, [&layer, &wrong]), (&wrong, [&layer, &layer])] {
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers }).to_string();
        let put = store.put(&manifest, OCI_IMAGE, None);
        assert_eq!(put.map_err(|error| format!("{}: {}", error.code, error.message)), Err(told.clone()));
    }
    // A size that is not told, and that of a layer which lies elsewhere, are no lies.
    let silent = json!({ "mediaType": layer["mediaType"], "digest": layer["digest"] });
    let foreign = json!({ "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                          "digest": digest(b"elsewhere"), "size": 1 });
    let manifest = json!({ "schemaVersion": 2, "config": layer, "layers": [silent, foreign] }).to_string();
    store.put(&manifest, OCI_IMAGE, None).unwrap();
}

#[test]
fn an_image_keeps_the_time_of_its_first_push() {
    let store = Store::with_repository();
    let pushed_at = |id: Value| {
        let input = json!({ "repositoryName": "team/app", "imageIds": [id] });
        store.ask("DescribeImages", input)["imageDetails"][0]["imagePushedAt"].clone()
    };
    let pushed = store.image("content", Some("1"));
    let manifest = store.manifest("content");
    let connection = rusqlite::Connection::open(store.folder.path().join("ecr.db")).unwrap();
    connection.execute("UPDATE image SET pushed_at = 1700000000000", []).unwrap();
    store.image("content", Some("2"));
    assert_eq!(pushed_at(json!({ "imageTag": "2" })).as_f64(), Some(1_700_000_000.0));
    let input = json!({
        "repositoryName": "team/app", "imageId": { "imageDigest": pushed }, "targetStorageClass": "ARCHIVE",
    });
    store.ask("UpdateImageStorageClass", input);
    store.put(&manifest, OCI_IMAGE, None).unwrap();
    assert_eq!(pushed_at(json!({ "imageDigest": pushed })).as_f64(), Some(1_700_000_000.0));
}
