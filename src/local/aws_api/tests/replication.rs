//! Replication between the registries of a store.

use super::*;

fn configure(store: &Store, deletes: bool) -> Value {
    let configuration = json!({ "rules": [{
        "destinations": [
            { "region": "us-east-1", "registryId": "111122223333" },
            { "region": "eu-central-1", "registryId": "444455556666" },
        ],
        "repositoryFilters": [{ "filter": "team", "filterType": "PREFIX_MATCH" }],
        "deleteReplication": { "enabled": deletes },
    }] });
    let put = json!({ "replicationConfiguration": configuration });
    assert_eq!(store.ask("PutReplicationConfiguration", put.clone()), put);
    configuration
}

/// The identifiers of the images in `team/app` of another registry; `none` where it has no such repository.
fn images_of(store: &Store, account: &str, region: &str) -> Value {
    let caller = Caller::of_account(account, region);
    let input = json!({ "repositoryName": "team/app" });
    match store.local.answer(&caller, model::ecr(), "ListImages", input, None) {
        Ok(answer) => answer["imageIds"].clone(),
        Err(error) => json!(error.code),
    }
}

#[test]
fn a_push_reaches_all_destinations() {
    let store = Store::with_repository();
    let before = store.image("before", Some("before"));
    let configuration = configure(&store, false);
    assert_eq!(
        store.ask("DescribeRegistry", json!({})),
        json!({ "registryId": "111122223333", "replicationConfiguration": configuration })
    );
    let index = store.index(&[&before], Some("index")).unwrap();
    let copied = json!([{ "imageDigest": before }, { "imageDigest": index, "imageTag": "index" }]);
    assert_eq!(images_of(&store, "111122223333", "us-east-1"), copied);
    assert_eq!(images_of(&store, "444455556666", "eu-central-1"), copied);
    let status = |tag: &str| {
        let input = json!({ "repositoryName": "team/app", "imageId": { "imageTag": tag } });
        store.ask("DescribeImageReplicationStatus", input)
    };
    assert_eq!(
        status("index"),
        json!({
            "repositoryName": "team/app",
            "imageId": { "imageDigest": index, "imageTag": "index" },
            "replicationStatuses": [
                { "region": "eu-central-1", "registryId": "444455556666", "status": "COMPLETE" },
                { "region": "us-east-1", "registryId": "111122223333", "status": "COMPLETE" },
            ],
        })
    );
    assert_eq!(status("before")["replicationStatuses"], json!([]));
    // The copy is whole: it can be pulled there.
    let caller = Caller::of_account("444455556666", "eu-central-1");
    let input = json!({ "repositoryName": "team/app", "layerDigest": digest(b"before") });
    store.local.answer(&caller, model::ecr(), "GetDownloadUrlForLayer", input, None).unwrap();
}

#[test]
fn filters_and_templates_count_and_copies_stay_where_they_are() {
    let store = Store::new();
    let other = Caller::of_account("444455556666", "eu-central-1");
    let template =
        json!({ "prefix": "team", "appliedFor": ["REPLICATION"], "imageTagMutability": "IMMUTABLE" });
    store.local.answer(&other, model::ecr(), "CreateRepositoryCreationTemplate", template, None).unwrap();
    store.ask("CreateRepository", json!({ "repositoryName": "team/app" }));
    configure(&store, false);
    store.image("one", Some("1"));
    store.image("two", Some("1"));
    let input = json!({ "repositoryName": "team/app", "imageId": { "imageTag": "1" } });
    assert_eq!(
        store.ask("DescribeImageReplicationStatus", input)["replicationStatuses"][0],
        json!({
            "region": "eu-central-1", "registryId": "444455556666", "status": "FAILED",
            "failureCode": "ImageTagAlreadyExists",
        })
    );
    let here = json!([{ "region": "eu-central-1", "registryId": "111122223333" }]);
    assert_eq!(
        store.refusal(
            "PutReplicationConfiguration",
            json!({ "replicationConfiguration": { "rules": [{ "destinations": here }] } })
        ),
        "InvalidParameterException: Invalid parameter at 'replicationConfiguration' failed to satisfy constraint: \
         'Replication destination cannot be the same as the source registry'"
    );
}

#[test]
fn deletions_reach_the_destinations_that_want_them() {
    for deletes in [false, true] {
        let store = Store::with_repository();
        configure(&store, deletes);
        let digest = store.image("content", Some("1"));
        let delete = json!({ "repositoryName": "team/app", "imageIds": [{ "imageDigest": digest }] });
        store.ask("BatchDeleteImage", delete);
        let left = if deletes { json!([]) } else { json!([{ "imageDigest": digest, "imageTag": "1" }]) };
        assert_eq!(images_of(&store, "111122223333", "us-east-1"), left);
    }
}

#[test]
fn expired_images_are_deleted_at_destinations_too() {
    for deletes in [false, true] {
        let store = Store::with_repository();
        configure(&store, deletes);
        let digest = store.image("content", None);
        let newer = store.image("newer", None);
        let selection = json!({ "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1 });
        let rule = json!({ "rulePriority": 1, "selection": selection, "action": { "type": "expire" } });
        let text = json!({ "rules": [rule] }).to_string();
        store.ask("PutLifecyclePolicy", json!({ "repositoryName": "team/app", "lifecyclePolicyText": text }));
        let runs = store.local.run_lifecycle(&store.caller, None, false).unwrap();
        assert_eq!(runs[0].expired.len(), 1);
        let there = images_of(&store, "111122223333", "us-east-1");
        let both = json!([{ "imageDigest": digest }, { "imageDigest": newer }]);
        let one = json!([{ "imageDigest": if runs[0].expired[0] == digest { newer } else { digest } }]);
        assert_eq!(there, if deletes { one } else { both });
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, whose steps need each other")]
fn a_backfill_copies_earlier_images() {
    let store = Store::with_repository();
    let digest = store.image("content", Some("1"));
    let destination = json!({ "region": "us-east-1", "registryId": "111122223333" });
    let start = json!({ "destination": destination });
    assert!(store.refusal("StartReplicationBackfill", start.clone()).starts_with("ValidationException: "));
    configure(&store, false);
    assert_eq!(images_of(&store, "111122223333", "us-east-1"), "RepositoryNotFoundException");
    let started = store.ask("StartReplicationBackfill", start);
    assert_eq!(started["status"], "PREPARING");
    let copied = json!([{ "imageDigest": digest, "imageTag": "1" }]);
    assert_eq!(images_of(&store, "111122223333", "us-east-1"), copied);
    let id = &started["replicationBackfillId"];
    let progress = json!({
        "totalReplicationCount": 1, "completedReplicationCount": 1, "failedReplicationCount": 0, "failureCodes": [],
    });
    let described = store.ask("DescribeReplicationBackfillResults", json!({ "replicationBackfillId": id }));
    assert_eq!(
        timeless(described),
        json!({
            "registryId": "111122223333",
            "replicationBackfillId": id,
            "destination": destination,
            "status": "COMPLETE",
            "progress": progress,
            "results": [
                { "repositoryName": "team/app", "imageId": { "imageDigest": digest }, "status": "COMPLETE" },
            ],
            "startedAt": "TIME",
            "endedAt": "TIME",
        })
    );
    let listed = timeless(store.ask("ListReplicationBackfills", json!({})));
    assert_eq!(listed["backfills"][0]["progress"], progress);
    let stop = store.refusal("StopReplicationBackfill", json!({ "replicationBackfillId": id }));
    assert_eq!(
        stop,
        format!(
            "ReplicationBackfillInvalidStatusException: The replication backfill with id {} cannot be stopped because \
             its status is COMPLETE",
            id.to_string().replace('"', "'")
        )
    );
    let unknown = json!({ "replicationBackfillId": "00000000-0000-4000-8000-000000000000" });
    let unknown = store.refusal("StopReplicationBackfill", unknown);
    assert!(unknown.starts_with("ReplicationBackfillNotFoundException: "), "{unknown}");
}
