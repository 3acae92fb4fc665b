//! Enforcement of policies: permissions, and the messages of refusals.

use super::*;
use crate::local::Principal;

const STRANGER: &str = "arn:aws:iam::444455556666:role/build";

/// A store whose policies are enforced, with the repository `team/app` of the account 111122223333.
fn enforcing() -> Store {
    let mut store = Store::with_repository();
    store.local.enforces = true;
    store
}

/// Calls an operation as another principal; `registryId` is that of the store's owner.
fn ask_as(store: &Store, arn: &str, operation: &str, input: Value) -> Result<Value, String> {
    let principal = Principal::of(arn).unwrap();
    let caller = Caller {
        source: "10.1.2.3".parse().ok(),
        principal: principal.clone(),
        ..Caller::of_account(principal.account(), "eu-central-1")
    };
    let mut input = input;
    if input.get("resourceArn").is_none() {
        input["registryId"] = json!("111122223333");
    }
    let answer = store.local.answer(&caller, model::ecr(), operation, input, None);
    answer.map_err(|error| format!("{}: {}", error.code, error.message))
}

fn list(store: &Store, arn: &str) -> Result<Value, String> {
    ask_as(store, arn, "ListImages", json!({ "repositoryName": "team/app" }))
}

fn set(store: &Store, statement: &Value) {
    let policy = json!({ "Version": "2012-10-17", "Statement": statement }).to_string();
    let input = json!({ "repositoryName": "team/app", "policyText": policy, "force": true });
    store.ask("SetRepositoryPolicy", input);
}

fn refused(arn: &str, action: &str, resource: &str, reason: &str) -> Result<Value, String> {
    Err(format!(
        "AccessDeniedException: User: {arn} is not authorized to perform: ecr:{action} on resource: \
         arn:aws:ecr:eu-central-1:111122223333:repository/{resource} {reason}"
    ))
}

#[test]
fn another_account_needs_permission() {
    let store = enforcing();
    let denied = refused(
        STRANGER,
        "ListImages",
        "team/app",
        "because no resource-based policy allows the ecr:ListImages action",
    );
    assert_eq!(list(&store, STRANGER), denied);
    // Without permission, existing and missing repositories look the same.
    let none = ask_as(&store, STRANGER, "ListImages", json!({ "repositoryName": "none" })).unwrap_err();
    assert!(none.starts_with("AccessDeniedException: "), "{none}");
    set(&store, &json!({ "Effect": "Allow", "Principal": { "AWS": "444455556666" }, "Action": "ecr:List*" }));
    assert_eq!(list(&store, STRANGER), Ok(json!({ "imageIds": [] })));
    let get = ask_as(&store, STRANGER, "GetRepositoryPolicy", json!({ "repositoryName": "team/app" }));
    assert!(get.unwrap_err().contains("ecr:GetRepositoryPolicy"));
    let other = "arn:aws:iam::777788889999:root";
    assert!(list(&store, other).unwrap_err().starts_with("AccessDeniedException: "));
    // Everybody may log in.
    let token = ask_as(&store, other, "GetAuthorizationToken", json!({}));
    assert!(token.is_ok(), "{token:?}");
}

#[test]
fn the_own_account_may_do_everything_that_no_policy_denies() {
    let store = enforcing();
    let own = "arn:aws:iam::111122223333:role/build";
    assert_eq!(list(&store, own), Ok(json!({ "imageIds": [] })));
    set(
        &store,
        &json!([
            { "Effect": "Allow", "Principal": "*", "Action": "ecr:*" },
            { "Effect": "Deny", "Principal": { "AWS": own }, "Action": "ecr:ListImages" },
        ]),
    );
    let denied = refused(own, "ListImages", "team/app", "with an explicit deny in a resource-based policy");
    assert_eq!(list(&store, own), denied);
    let session = "arn:aws:sts::111122223333:assumed-role/build/job-1";
    assert!(list(&store, session).unwrap_err().ends_with("with an explicit deny in a resource-based policy"));
    assert!(list(&store, "arn:aws:iam::111122223333:root").is_ok());
}

#[test]
fn the_registry_policy_is_about_all_repositories() {
    let store = enforcing();
    let statement = json!([
        { "Effect": "Allow", "Principal": { "AWS": STRANGER }, "Action": ["ecr:ListImages", "ecr:Describe*"],
          "Resource": "arn:aws:ecr:eu-central-1:111122223333:repository/*" },
        { "Effect": "Deny", "Principal": "*", "Action": "ecr:CreateRepository",
          "Resource": "arn:aws:ecr:eu-central-1:111122223333:repository/prod/*" },
    ]);
    let policy = json!({ "Version": "2012-10-17", "Statement": statement }).to_string();
    store.ask("PutRegistryPolicy", json!({ "policyText": policy }));
    assert!(list(&store, STRANGER).is_ok());
    let all = ask_as(&store, STRANGER, "DescribeRepositories", json!({})).unwrap();
    assert_eq!(all["repositories"].as_array().unwrap().len(), 1);
    let named = json!({ "repositoryNames": ["team/app", "team/other"] });
    let missing = ask_as(&store, STRANGER, "DescribeRepositories", named).unwrap_err();
    assert!(missing.starts_with("RepositoryNotFoundException"), "{missing}");
    store.ask("CreateRepository", json!({ "repositoryName": "dev/app" }));
    let refusal = store.refusal("CreateRepository", json!({ "repositoryName": "prod/app" }));
    assert!(
        refusal.ends_with("repository/prod/app with an explicit deny in a resource-based policy"),
        "{refusal}"
    );
}

#[test]
fn conditions_see_tags_addresses_and_transport() {
    let store = enforcing();
    let resource = "arn:aws:ecr:eu-central-1:111122223333:repository/team/app";
    let tag = json!({ "resourceArn": resource, "tags": [{ "Key": "stage", "Value": "dev" }] });
    store.ask("TagResource", tag);
    let allows = |condition: Value| {
        let statement = json!({ "Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages", "Condition": condition });
        set(&store, &statement);
        list(&store, STRANGER).is_ok()
    };
    assert!(allows(json!({ "StringEquals": { "ecr:ResourceTag/stage": "dev" } })));
    assert!(!allows(json!({ "StringEquals": { "aws:ResourceTag/stage": "prod" } })));
    assert!(allows(json!({ "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } })));
    assert!(!allows(json!({ "Bool": { "aws:SecureTransport": "true" } })));
    assert!(allows(json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::*:role/build" } })));
    assert!(allows(json!({ "StringEquals": { "aws:PrincipalAccount": "444455556666" } })));
    assert!(!allows(json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } })));
    // Tags that a request brings, on a resource that is named by its ARN.
    set(
        &store,
        &json!({
            "Effect": "Allow", "Principal": "*", "Action": "ecr:TagResource",
            "Condition": { "ForAllValues:StringEquals": { "aws:TagKeys": ["team"] } },
        }),
    );
    let tag = |key: &str| {
        let input = json!({ "resourceArn": resource, "tags": [{ "Key": key, "Value": "x" }] });
        ask_as(&store, STRANGER, "TagResource", input)
    };
    assert_eq!(tag("team"), Ok(json!({})));
    assert!(tag("stage").unwrap_err().contains("ecr:TagResource"));
}

#[test]
fn a_policy_that_locks_its_author_out_needs_force() {
    let store = Store::with_repository();
    let set = |statement: Value| {
        let policy = json!({ "Version": "2012-10-17", "Statement": statement }).to_string();
        let input = json!({ "repositoryName": "team/app", "policyText": policy });
        store.answer("SetRepositoryPolicy", input).is_ok()
    };
    let deny = |principal: Value, action: &str| json!({ "Effect": "Deny", "Principal": principal, "Action": action });
    assert!(!set(deny(json!("*"), "ecr:*")));
    assert!(!set(deny(json!({ "AWS": "arn:aws:iam::111122223333:root" }), "ecr:setrepositorypolicy")));
    assert!(set(deny(json!({ "AWS": "arn:aws:iam::999922223333:root" }), "ecr:*")));
    assert!(set(deny(json!("*"), "ecr:PutImage")));
}

#[test]
fn another_account_lets_itself_be_replicated_to() {
    let store = enforcing();
    let rule = json!({ "destinations": [{ "region": "eu-central-1", "registryId": "444455556666" }] });
    store.ask("PutReplicationConfiguration", json!({ "replicationConfiguration": { "rules": [rule] } }));
    let owner = Caller::of_account("444455556666", "eu-central-1");
    let status = |tag: &str| {
        store.image(tag, Some(tag));
        let input = json!({ "repositoryName": "team/app", "imageId": { "imageTag": tag } });
        store.ask("DescribeImageReplicationStatus", input)["replicationStatuses"][0].clone()
    };
    let entry = json!({ "region": "eu-central-1", "registryId": "444455556666" });
    let mut failed = entry.clone();
    (failed["status"], failed["failureCode"]) = (json!("FAILED"), json!("AccessDenied"));
    let mut complete = entry;
    complete["status"] = json!("COMPLETE");
    let allow = |actions: &[&str]| {
        let statement = json!({
            "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:root" }, "Action": actions,
            "Resource": "arn:aws:ecr:eu-central-1:444455556666:repository/*",
        });
        let policy = json!({ "Version": "2012-10-17", "Statement": statement }).to_string();
        let input = json!({ "policyText": policy });
        store.local.answer(&owner, model::ecr(), "PutRegistryPolicy", input, None).unwrap();
    };
    assert_eq!(status("1"), failed);
    allow(&["ecr:ReplicateImage"]);
    assert_eq!(status("2"), failed);
    allow(&["ecr:ReplicateImage", "ecr:CreateRepository"]);
    assert_eq!(status("3"), complete);
    allow(&["ecr:ReplicateImage"]);
    assert_eq!(status("4"), complete);
}

#[test]
fn pulls_of_excluded_principals_do_not_count() {
    let store = Store::with_repository();
    store.image("image", Some("1"));
    let role = "arn:aws:iam::111122223333:role/scanner";
    store.ask("RegisterPullTimeUpdateExclusion", json!({ "principalArn": role }));
    let pull = |arn: &str| {
        let input = json!({ "repositoryName": "team/app", "imageIds": [{ "imageTag": "1" }] });
        let pulled = ask_as(&store, arn, "BatchGetImage", input).unwrap();
        assert_eq!(pulled["images"].as_array().unwrap().len(), 1);
        let image = store.ask("DescribeImages", json!({ "repositoryName": "team/app" }));
        image["imageDetails"][0]["lastRecordedPullTime"].is_number()
    };
    assert!(!pull(role));
    assert!(!pull("arn:aws:sts::111122223333:assumed-role/scanner/nightly"));
    assert!(pull("arn:aws:iam::111122223333:role/other"));
}
