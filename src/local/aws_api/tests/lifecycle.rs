//! Lifecycle policies as requests; storage classes; referrers.

use super::*;

const POLICY: &str = r#"{
    "rules": [ { "rulePriority": 1, "selection": { "tagStatus": "any", "countType": "imageCountMoreThan",
    "countNumber": 1 }, "action": { "type": "expire" } } ]
}"#;
const COMPACT: &str = "{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":\"any\",\"countType\":\
                       \"imageCountMoreThan\",\"countNumber\":1},\"action\":{\"type\":\"expire\"}}]}";

fn named() -> Value {
    json!({ "repositoryName": "team/app" })
}

fn about(members: Value) -> Value {
    let mut answer = json!({ "registryId": "111122223333", "repositoryName": "team/app" });
    let Value::Object(members) = members else { panic!("members are a structure") };
    for (name, value) in members {
        answer[name] = value;
    }
    answer
}

#[test]
fn a_policy_is_kept_compact() {
    let store = Store::with_repository();
    let none = "LifecyclePolicyNotFoundException: Lifecycle policy does not exist for the repository with name 'team/app' \
                in the registry with id '111122223333'";
    assert_eq!(store.refusal("GetLifecyclePolicy", named()), none);
    let put = json!({ "repositoryName": "team/app", "lifecyclePolicyText": POLICY });
    assert_eq!(store.ask("PutLifecyclePolicy", put), about(json!({ "lifecyclePolicyText": COMPACT })));
    let never: Value = serde_json::from_str("0.000").unwrap();
    let kept = about(json!({ "lifecyclePolicyText": COMPACT, "lastEvaluatedAt": never }));
    assert_eq!(store.ask("GetLifecyclePolicy", named()), kept);
    assert_eq!(store.ask("DeleteLifecyclePolicy", named()), kept);
    assert_eq!(store.refusal("DeleteLifecyclePolicy", named()), none);
    let text = format!("{}{}", " ".repeat(100), "{}");
    assert_eq!(
        store.refusal(
            "PutLifecyclePolicy",
            json!({ "repositoryName": "team/app", "lifecyclePolicyText": text })
        ),
        "InvalidParameterException: Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle \
         policy validation failure: object has missing required properties ([\"rules\"])\n'"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, whose steps need each other")]
fn a_preview_shows_what_a_run_does() {
    let store = Store::with_repository();
    assert!(
        store.refusal("StartLifecyclePolicyPreview", named()).starts_with("LifecyclePolicyNotFoundException")
    );
    assert!(
        store
            .refusal("GetLifecyclePolicyPreview", named())
            .starts_with("LifecyclePolicyPreviewNotFoundException")
    );
    let digests: Vec<String> = ["1", "2", "3"].map(|text| store.image(text, Some(text))).to_vec();
    let connection = rusqlite::Connection::open(store.folder.path().join("ecr.db")).unwrap();
    connection.execute("UPDATE image SET pushed_at = 1700000000000 + id", []).unwrap();
    let put = json!({ "repositoryName": "team/app", "lifecyclePolicyText": POLICY });
    store.ask("PutLifecyclePolicy", put);
    let started = store.ask("StartLifecyclePolicyPreview", named());
    let in_progress = about(json!({ "lifecyclePolicyText": COMPACT, "status": "IN_PROGRESS" }));
    assert_eq!(started, in_progress);
    assert_eq!(store.ask("GetLifecyclePolicyPreview", named()), in_progress);
    let busy = store.refusal("StartLifecyclePolicyPreview", named());
    assert!(busy.starts_with("LifecyclePolicyPreviewInProgressException"), "{busy}");
    connection.execute("UPDATE preview SET started_at = started_at - 1000", []).unwrap();
    let entry = |place: usize| {
        json!({
            "imageTags": [(place + 1).to_string()],
            "imageDigest": digests[place],
            "imagePushedAt": "TIME",
            "action": { "type": "EXPIRE" },
            "appliedRulePriority": 1,
            "storageClass": "STANDARD",
        })
    };
    let preview = store.ask("GetLifecyclePolicyPreview", named());
    assert_eq!(
        timeless(preview),
        about(json!({
            "lifecyclePolicyText": COMPACT,
            "status": "COMPLETE",
            "previewResults": [entry(0), entry(1)],
            "summary": { "expiringImageTotalCount": 2 },
        }))
    );
    let mut page = named();
    page["maxResults"] = json!(1);
    let first = store.ask("GetLifecyclePolicyPreview", page.clone());
    page["nextToken"] = first["nextToken"].clone();
    let second = timeless(store.ask("GetLifecyclePolicyPreview", page));
    assert_eq!((&second["previewResults"], second.get("nextToken")), (&json!([entry(1)]), None));
    let mut one = named();
    one["imageIds"] = json!([{ "imageTag": "2" }, { "imageTag": "3" }]);
    let one = timeless(store.ask("GetLifecyclePolicyPreview", one));
    assert_eq!(one["previewResults"], json!([entry(1)]));
    let mut untagged = named();
    untagged["filter"] = json!({ "tagStatus": "UNTAGGED" });
    assert_eq!(store.ask("GetLifecyclePolicyPreview", untagged)["previewResults"], json!([]));

    let runs = store.local.run_lifecycle(&store.caller, None, false).unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(
        (&runs[0].expired, &runs[0].archived, &runs[0].held),
        (&digests[..2].to_vec(), &Vec::new(), &Vec::new())
    );
    assert_eq!(store.images(), [format!("3 {}", digests[2])]);
    assert!(store.ask("GetLifecyclePolicy", named())["lastEvaluatedAt"].as_f64().unwrap() > 1.6e9);
}

fn storage(tag: &str, class: &str) -> Value {
    json!({ "repositoryName": "team/app", "imageId": { "imageTag": tag }, "targetStorageClass": class })
}

#[test]
fn an_image_is_archived_and_restored() {
    let store = Store::with_repository();
    let digest = store.image("content", Some("1"));
    let id = json!({ "imageDigest": digest, "imageTag": "1" });
    let answer = |status: &str| about(json!({ "imageId": id, "imageStatus": status }));
    assert_eq!(store.ask("UpdateImageStorageClass", storage("1", "ARCHIVE")), answer("ARCHIVED"));
    assert_eq!(store.ask("DescribeImages", named())["imageDetails"], json!([]));
    let mut archived = named();
    archived["filter"] = json!({ "imageStatus": "ARCHIVED" });
    let details = store.ask("DescribeImages", archived)["imageDetails"].clone();
    assert_eq!(details[0]["imageStatus"], "ARCHIVED");
    assert!(details[0]["lastArchivedAt"].as_f64().unwrap() > 1.6e9);
    let mut get = named();
    get["imageIds"] = json!([{ "imageTag": "1" }]);
    assert_eq!(store.ask("BatchGetImage", get)["failures"][0]["failureCode"], "ImageInaccessible");
    let again = store.refusal("UpdateImageStorageClass", storage("1", "ARCHIVE"));
    assert!(again.starts_with("ImageStorageClassUpdateNotSupportedException: "), "{again}");
    assert_eq!(store.ask("UpdateImageStorageClass", storage("1", "STANDARD")), answer("ACTIVATING"));
    let details = store.ask("DescribeImages", named())["imageDetails"].clone();
    assert!(details[0]["lastActivatedAt"].as_f64().unwrap() > 1.6e9);
}

#[test]
fn an_image_in_an_index_is_archived_after_it() {
    let store = Store::with_repository();
    let child = store.image("content", Some("child"));
    let index = store.index(&[&child], Some("index")).unwrap();
    let refused = store.refusal("UpdateImageStorageClass", storage("child", "ARCHIVE"));
    assert!(refused.ends_with(&format!("it is referenced by manifest list: [{index}]")), "{refused}");
    store.ask("UpdateImageStorageClass", storage("index", "ARCHIVE"));
    store.ask("UpdateImageStorageClass", storage("child", "ARCHIVE"));
}

#[test]
fn referrers_are_listed_and_follow_their_subject() {
    let store = Store::with_repository();
    let subject = store.image("content", Some("1"));
    let layer = descriptor(b"content");
    let push = |kind: &str| {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_IMAGE, "artifactType": kind, "config": layer, "layers": [],
            "subject": { "mediaType": OCI_IMAGE, "digest": subject, "size": 1 }, "annotations": { "kind": kind },
        });
        let text = manifest.to_string();
        let digest = store.put(&text, OCI_IMAGE, None).unwrap();
        json!({
            "digest": digest, "mediaType": OCI_IMAGE, "artifactType": kind, "size": text.len(),
            "annotations": { "kind": kind }, "artifactStatus": "ACTIVE",
        })
    };
    let (signature, note) = (push("a/signature"), push("a/note"));
    let list = |extra: Value| {
        let mut input = json!({ "repositoryName": "team/app", "subjectId": { "imageDigest": subject } });
        for (name, value) in extra.as_object().unwrap() {
            input[name] = value.clone();
        }
        store.ask("ListImageReferrers", input)
    };
    assert_eq!(list(json!({})), json!({ "referrers": [signature, note] }));
    let only = list(json!({ "filter": { "artifactTypes": ["a/note"] } }));
    assert_eq!(only, json!({ "referrers": [note] }));
    let first = list(json!({ "maxResults": 1 }));
    assert_eq!(first["referrers"], json!([signature]));
    assert_eq!(list(json!({ "nextToken": first["nextToken"] })), json!({ "referrers": [note] }));
    store.ask("UpdateImageStorageClass", storage("1", "ARCHIVE"));
    assert_eq!(list(json!({})), json!({ "referrers": [] }));
    let archived = list(json!({ "filter": { "artifactStatus": "ARCHIVED" } }));
    assert_eq!(archived["referrers"].as_array().unwrap().len(), 2);
    store.ask("UpdateImageStorageClass", storage("1", "STANDARD"));
    assert_eq!(list(json!({})), json!({ "referrers": [signature, note] }));
    let restoring = list(json!({ "filter": { "artifactStatus": "ACTIVATING" } }));
    assert_eq!(restoring, json!({ "referrers": [] }));
}

#[test]
fn a_policy_counts_a_restored_image_again_by_the_time_of_its_restoring() {
    let store = Store::with_repository();
    let digests = ["1", "2"].map(|text| store.image(text, Some(text)));
    store.ask("PutLifecyclePolicy", json!({ "repositoryName": "team/app", "lifecyclePolicyText": POLICY }));
    for class in ["ARCHIVE", "STANDARD"] {
        store.ask("UpdateImageStorageClass", storage("1", class));
    }
    let runs = store.local.run_lifecycle(&store.caller, None, false).unwrap();
    assert_eq!(runs[0].expired, digests[1..]);
}

#[test]
fn a_layer_of_a_restored_and_of_an_archived_image_is_available() {
    let store = Store::with_repository();
    let layer = descriptor(b"content");
    store.layer(b"content");
    for tag in ["1", "2"] {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_IMAGE, "config": layer, "layers": [], "annotations": { "tag": tag },
        });
        store.put(&manifest.to_string(), OCI_IMAGE, Some(tag)).unwrap();
        store.ask("UpdateImageStorageClass", storage(tag, "ARCHIVE"));
    }
    assert!(!store.has("content"));
    store.ask("UpdateImageStorageClass", storage("2", "STANDARD"));
    assert!(store.has("content"));
}

/// A policy that selects nothing that is younger than years.
fn patient() -> Value {
    let selection = json!({ "tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 10_000 });
    let rule = json!({ "rulePriority": 1, "selection": selection, "action": { "type": "expire" } });
    json!({ "repositoryName": "team/app", "lifecyclePolicyText": json!({ "rules": [rule] }).to_string() })
}

#[test]
fn referrers_outlive_their_subject_until_the_policy_is_carried_out() {
    let store = Store::with_repository();
    let subject = store.image("content", Some("1"));
    let about = |digest: &str, kind: &str| {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_IMAGE, "artifactType": kind, "config": descriptor(b"content"),
            "layers": [], "subject": { "mediaType": OCI_IMAGE, "digest": digest, "size": 1 },
        });
        store.put(&manifest.to_string(), OCI_IMAGE, None).unwrap()
    };
    let signature = about(&subject, "a/signature");
    let note = about(&signature, "a/note");
    // Its subject was never pushed, so it was not deleted either.
    let early = about(&digest(b"nothing"), "a/early");
    let delete = || {
        let delete = json!({ "repositoryName": "team/app", "imageIds": [{ "imageTag": "1" }] });
        assert_eq!(store.ask("BatchDeleteImage", delete)["failures"], json!([]));
    };
    let expired = || -> Vec<String> {
        let runs = store.local.run_lifecycle(&store.caller, None, false).unwrap();
        runs.into_iter().flat_map(|run| run.expired).collect()
    };
    let all = [&signature, &note, &early].map(|digest| format!("- {digest}"));
    delete();
    assert_eq!(store.images().len(), 3);
    assert_eq!(expired(), Vec::<String>::new(), "without a policy nothing is deleted");
    store.ask("PutLifecyclePolicy", patient());
    // A subject that is there again keeps them.
    assert_eq!(store.image("content", Some("1")), subject);
    assert_eq!(expired(), Vec::<String>::new());
    delete();
    let mut left = store.images();
    left.sort_by_key(|line| all.iter().position(|known| known == line));
    assert_eq!(left, all);
    assert_eq!(expired(), [signature, note]);
    assert_eq!(store.images(), [format!("- {early}")]);
}
