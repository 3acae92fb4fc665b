//! Repositories, their tags, the registry and its tokens.

use super::*;
use crate::local::core::token::PasswordSecret;

const MISSING: &str = "RepositoryNotFoundException: The repository with name 'none' does not exist in the registry \
                       with id '111122223333'";

#[test]
fn a_repository_is_made_with_its_defaults() {
    let store = Store::new();
    let repository = json!({
        "repositoryArn": "arn:aws:ecr:eu-central-1:111122223333:repository/team/app",
        "registryId": "111122223333",
        "repositoryName": "team/app",
        "repositoryUri": "127.0.0.1:5700/team/app",
        "createdAt": "TIME",
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": { "scanOnPush": false },
        "encryptionConfiguration": { "encryptionType": "AES256" },
    });
    let made = store.ask("CreateRepository", json!({ "repositoryName": "team/app" }));
    assert_eq!(timeless(made), json!({ "repository": repository }));
    let described = store.ask("DescribeRepositories", json!({}));
    assert_eq!(timeless(described), json!({ "repositories": [repository] }));
    assert_eq!(
        store.refusal("CreateRepository", json!({ "repositoryName": "team/app" })),
        "RepositoryAlreadyExistsException: The repository with name 'team/app' already exists in the registry with id \
         '111122223333'"
    );
    let deleted = store.ask("DeleteRepository", json!({ "repositoryName": "team/app" }));
    assert_eq!(timeless(deleted), json!({ "repository": repository }));
    assert_eq!(store.ask("DescribeRepositories", json!({})), json!({ "repositories": [] }));
    assert_eq!(store.refusal("DescribeRepositories", json!({ "repositoryNames": ["none"] })), MISSING);
}

#[test]
fn settings_of_a_new_repository_are_kept() {
    let store = Store::new();
    let filters = json!([{ "filterType": "WILDCARD", "filter": "dev-*" }]);
    let made = store.ask(
        "CreateRepository",
        json!({
            "repositoryName": "team/app",
            "tags": [{ "Key": "b", "Value": "2" }, { "Key": "a", "Value": "" }],
            "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": filters,
            "imageScanningConfiguration": { "scanOnPush": true },
            "encryptionConfiguration": { "encryptionType": "KMS", "kmsKey": "1234" },
        }),
    );
    let repository = &made["repository"];
    assert_eq!(repository["imageTagMutability"], "IMMUTABLE_WITH_EXCLUSION");
    assert_eq!(repository["imageTagMutabilityExclusionFilters"], filters);
    assert_eq!(repository["imageScanningConfiguration"], json!({ "scanOnPush": true }));
    assert_eq!(
        repository["encryptionConfiguration"],
        json!({ "encryptionType": "KMS", "kmsKey": "arn:aws:kms:eu-central-1:111122223333:key/1234" })
    );
    let arn = &repository["repositoryArn"];
    let tags = json!({ "tags": [{ "Key": "a", "Value": "" }, { "Key": "b", "Value": "2" }] });
    assert_eq!(store.ask("ListTagsForResource", json!({ "resourceArn": arn })), tags);
}

#[test]
fn contradictions_in_a_new_repository_are_refused() {
    let store = Store::new();
    let refusal = |mut input: Value| {
        input["repositoryName"] = json!("team/app");
        store.refusal("CreateRepository", input)
    };
    let filters = json!([{ "filterType": "WILDCARD", "filter": "a*" }]);
    let told = "InvalidParameterException: Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy \
                constraint: 'ImageTagMutabilityExclusionFilters";
    assert_eq!(
        refusal(json!({ "imageTagMutability": "MUTABLE_WITH_EXCLUSION" })),
        format!("{told} can't be null when imageTagMutability is set as MUTABLE_WITH_EXCLUSION'")
    );
    assert_eq!(
        refusal(json!({ "imageTagMutabilityExclusionFilters": filters })),
        format!("{told} must be null when imageTagMutability is set as MUTABLE'")
    );
    for tags in [
        json!([{ "Key": "", "Value": "" }]),
        json!([{ "Key": "aws:a", "Value": "" }]),
        json!([{ "Key": "a", "Value": "" }, { "Key": "a", "Value": "" }]),
        json!([{ "Key": "a".repeat(129), "Value": "" }]),
        json!([{ "Key": "a", "Value": "a".repeat(257) }]),
    ] {
        assert_eq!(
            refusal(json!({ "tags": tags })),
            "InvalidTagParameterException: Tag parameters are invalid"
        );
    }
    let many: Vec<Value> = (0..51).map(|number| json!({ "Key": number.to_string(), "Value": "" })).collect();
    assert!(refusal(json!({ "tags": many })).starts_with("TooManyTagsException: "));
    assert_eq!(store.ask("DescribeRepositories", json!({})), json!({ "repositories": [] }));
}

#[test]
fn repositories_come_in_pages() {
    let store = Store::new();
    for name in ["cc", "aa", "ee", "bb", "dd"] {
        store.ask("CreateRepository", json!({ "repositoryName": name }));
    }
    let (mut names, mut token, mut pages) = (Vec::new(), Value::Null, 0);
    loop {
        let answer = store.ask("DescribeRepositories", json!({ "maxResults": 2, "nextToken": token }));
        let page = answer["repositories"].as_array().unwrap().iter();
        names.extend(page.map(|each| each["repositoryName"].as_str().unwrap().to_owned()));
        pages += 1;
        token = answer["nextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!((names.concat().as_str(), pages), ("aabbccddee", 3));
    let bound = |what: &str| {
        format!("InvalidParameterException: Invalid parameter at '{what}' failed to satisfy constraint: ")
    };
    let refusal = |input| store.refusal("DescribeRepositories", input);
    assert_eq!(
        refusal(json!({ "maxResults": 1001 })),
        bound("maxResults") + "'Member must have value less than or equal to 1000'"
    );
    assert_eq!(refusal(json!({ "nextToken": "x" })), bound("nextToken") + "'Invalid token'");
    assert_eq!(
        refusal(json!({ "maxResults": 1, "repositoryNames": ["aa"] })),
        bound("maxResults") + "'must be null when repositoryNames is given'"
    );
}

#[test]
fn accounts_and_regions_are_apart() {
    let store = Store::with_repository();
    let other = Caller::of_account;
    let names = |caller: &Caller| {
        let answer =
            store.local.answer(caller, model::ecr(), "DescribeRepositories", json!({}), None).unwrap();
        answer["repositories"].as_array().unwrap().len()
    };
    assert_eq!(names(&store.caller), 1);
    assert_eq!(names(&other("111122223333", "eu-west-1")), 0);
    assert_eq!(names(&other("444455556666", "eu-central-1")), 0);
    let input = json!({ "registryId": "111122223333" });
    let stranger = other("444455556666", "eu-central-1");
    let answer = store.local.answer(&stranger, model::ecr(), "DescribeRepositories", input, None).unwrap();
    assert_eq!(answer["repositories"][0]["repositoryUri"], "127.0.0.1:5700/team/app");
}

#[test]
fn tags_on_resources_come_and_go() {
    let store = Store::with_repository();
    let arn = "arn:aws:ecr:eu-central-1:111122223333:repository/team/app";
    let tags = json!([{ "Key": "a", "Value": "1" }, { "Key": "b", "Value": "2" }]);
    assert_eq!(store.ask("TagResource", json!({ "resourceArn": arn, "tags": tags })), json!({}));
    let again = json!([{ "Key": "a", "Value": "3" }]);
    store.ask("TagResource", json!({ "resourceArn": arn, "tags": again }));
    assert_eq!(
        store.ask("UntagResource", json!({ "resourceArn": arn, "tagKeys": ["b", "none"] })),
        json!({})
    );
    assert_eq!(store.ask("ListTagsForResource", json!({ "resourceArn": arn })), json!({ "tags": again }));
    for wrong in
        ["x", "arn:aws:ecr:eu-central-1:111122223333:team/app", "arn:aws:s3:r:111122223333:repository/a"]
    {
        assert_eq!(
            store.refusal("ListTagsForResource", json!({ "resourceArn": wrong })),
            "InvalidParameterException: Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'"
        );
    }
    let arn = "arn:aws:ecr:eu-central-1:111122223333:repository/none";
    assert_eq!(store.refusal("ListTagsForResource", json!({ "resourceArn": arn })), MISSING);
}

#[test]
fn settings_of_a_repository_change() {
    let store = Store::with_repository();
    let filters = json!([{ "filterType": "WILDCARD", "filter": "*" }]);
    let input = json!({
        "repositoryName": "team/app", "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": filters,
    });
    assert_eq!(
        store.ask("PutImageTagMutability", input),
        json!({
            "registryId": "111122223333", "repositoryName": "team/app",
            "imageTagMutability": "MUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": filters,
        })
    );
    let input = json!({ "repositoryName": "team/app", "imageScanningConfiguration": { "scanOnPush": true } });
    assert_eq!(
        store.ask("PutImageScanningConfiguration", input),
        json!({
            "registryId": "111122223333", "repositoryName": "team/app",
            "imageScanningConfiguration": { "scanOnPush": true },
        })
    );
    assert_eq!(
        store.refusal("PutImageTagMutability", json!({ "repositoryName": "team/app" })),
        "InvalidParameterException: Invalid parameter at 'imageTagMutability' failed to satisfy constraint: 'Member must \
         not be null'"
    );
}

#[test]
fn only_force_deletes_images() {
    let store = Store::with_repository();
    store.image("content", None);
    let input = json!({ "repositoryName": "team/app" });
    assert_eq!(
        store.refusal("DeleteRepository", input),
        "RepositoryNotEmptyException: The repository with name 'team/app' in registry with id '111122223333' cannot be \
         deleted because it still contains images"
    );
    let upload = store.begin();
    store.part(&upload, 0, b"part").unwrap();
    store.ask("DeleteRepository", json!({ "repositoryName": "team/app", "force": true }));
    assert_eq!(store.ask("DescribeRepositories", json!({})), json!({ "repositories": [] }));
    assert_eq!(std::fs::read_dir(store.folder.path().join("uploads")).unwrap().count(), 0);
}

#[test]
fn a_token_is_for_a_registry_and_names_its_owner() {
    let store = Store::new();
    let answer =
        store.ask("GetAuthorizationToken", json!({ "registryIds": ["444455556666", "777788889999"] }));
    let entries = answer["authorizationData"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["proxyEndpoint"], "http://127.0.0.1:5700");
    let token = entries[0]["authorizationToken"].as_str().unwrap();
    let text = base64_simd::STANDARD.decode_to_vec(token).unwrap();
    let password = std::str::from_utf8(&text).unwrap().strip_prefix("AWS:").unwrap();
    let grant = store.local.read(PasswordSecret::of).unwrap().grant(password).unwrap();
    assert_eq!((grant.account.as_str(), grant.region.as_str()), ("444455556666", "eu-central-1"));
    assert_eq!(grant.principal(), store.caller.principal);
    let until: i64 = entries[0]["expiresAt"].to_string().split('.').next().unwrap().parse().unwrap();
    let life = until - crate::local::store::time::now() / 1000;
    assert!((43_100..=43_200).contains(&life), "{life}");
}

#[test]
fn the_registry_describes_itself() {
    let store = Store::new();
    assert_eq!(
        store.ask("DescribeRegistry", json!({})),
        json!({ "registryId": "111122223333", "replicationConfiguration": { "rules": [] } })
    );
    let answer = store.public("DescribeRegistries", json!({})).unwrap();
    assert_eq!(answer["registries"][0]["registryId"], "111122223333");
}

#[test]
fn a_public_repository_has_the_public_members() {
    let store = Store::new();
    let input = json!({
        "repositoryName": "tools",
        "catalogData": { "description": "d", "architectures": ["ARM"], "logoImageBlob": "AAAA", "marketplaceCertified": true },
    });
    let made = timeless(store.public("CreateRepository", input).unwrap());
    let alias = crate::local::core::registry_id::alias("111122223333");
    let repository = json!({
        "repositoryArn": "arn:aws:ecr-public::111122223333:repository/tools",
        "registryId": "111122223333",
        "repositoryName": "tools",
        "repositoryUri": format!("127.0.0.1:5700/public.ecr.aws/{alias}/tools"),
        "createdAt": "TIME",
    });
    let catalog = json!({ "description": "d", "architectures": ["ARM"], "marketplaceCertified": false });
    assert_eq!(made, json!({ "repository": repository, "catalogData": catalog }));
    let shown = store.public("GetRepositoryCatalogData", json!({ "repositoryName": "tools" })).unwrap();
    assert_eq!(shown, json!({ "catalogData": catalog }));
    assert_eq!(store.ask("DescribeRepositories", json!({})), json!({ "repositories": [] }));
    let token = store.public("GetAuthorizationToken", json!({})).unwrap();
    let members: Vec<&String> = token["authorizationData"].as_object().unwrap().keys().collect();
    assert_eq!(members, ["authorizationToken", "expiresAt"]);
}

#[test]
fn unknown_operations_are_refused() {
    let store = Store::new();
    assert_eq!(
        store.refusal("Nonsense", json!({})),
        "UnknownOperationException: Amazon Elastic Container Registry has no operation Nonsense"
    );
}
