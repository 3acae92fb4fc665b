//! Settings of registries: policies, rules, templates, account settings.

use super::*;
use crate::local::core::registry_id::RepositoryRef;
use crate::local::core::registry_id::Scope;
use crate::local::core::request::IfMissing;
use crate::local::core::request::Request;
use crate::local::core::uploads::begin_upload;

#[test]
fn a_repository_policy_comes_and_goes() {
    let store = Store::with_repository();
    let none = "RepositoryPolicyNotFoundException: Repository policy does not exist for the repository with name \
                'team/app' in the registry with id '111122223333'";
    let name = json!({ "repositoryName": "team/app" });
    assert_eq!(store.refusal("GetRepositoryPolicy", name.clone()), none);
    let text =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"ecr:*"}]}"#;
    let answer = json!({ "registryId": "111122223333", "repositoryName": "team/app", "policyText": text });
    let set = json!({ "repositoryName": "team/app", "policyText": text });
    assert_eq!(store.ask("SetRepositoryPolicy", set), answer);
    assert_eq!(store.ask("GetRepositoryPolicy", name.clone()), answer);
    assert_eq!(store.ask("DeleteRepositoryPolicy", name.clone()), answer);
    assert_eq!(store.refusal("DeleteRepositoryPolicy", name), none);
    assert_eq!(
        store.refusal("SetRepositoryPolicy", json!({ "repositoryName": "team/app", "policyText": "{}" })),
        "InvalidParameterException: Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository \
         policy provided': it has no Statement"
    );
    let deny = r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"ecr:*"}}"#;
    let mut input = json!({ "repositoryName": "team/app", "policyText": deny });
    assert!(store.refusal("SetRepositoryPolicy", input.clone()).contains("keep you from setting another"));
    input["force"] = json!(true);
    assert_eq!(store.ask("SetRepositoryPolicy", input)["policyText"], deny);
}

#[test]
fn a_registry_policy_belongs_to_one_registry() {
    let mut store = Store::new();
    let text = r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"999922223333"},"Action":["ecr:ReplicateImage"],"Resource":"*"}]}"#;
    let answer = json!({ "registryId": "111122223333", "policyText": text });
    assert_eq!(store.ask("PutRegistryPolicy", json!({ "policyText": text })), answer);
    assert_eq!(store.ask("GetRegistryPolicy", json!({})), answer);
    store.caller.region = "us-east-1".to_owned();
    assert_eq!(
        store.refusal("GetRegistryPolicy", json!({})),
        "RegistryPolicyNotFoundException: Registry policy does not exist in the registry with id '111122223333'"
    );
    store.caller.region = "eu-central-1".to_owned();
    assert_eq!(store.ask("DeleteRegistryPolicy", json!({})), answer);
    assert!(store.refusal("DeleteRegistryPolicy", json!({})).starts_with("RegistryPolicyNotFoundException"));
}

#[test]
fn account_settings_have_defaults_and_bounds() {
    let store = Store::new();
    let get = |name: &str| store.ask("GetAccountSetting", json!({ "name": name }))["value"].clone();
    assert_eq!(get("BASIC_SCAN_TYPE_VERSION"), "AWS_NATIVE");
    assert_eq!(get("REGISTRY_POLICY_SCOPE"), "V2");
    assert_eq!(get("BLOB_MOUNTING"), "DISABLED");
    let put = json!({ "name": "BLOB_MOUNTING", "value": "ENABLED" });
    assert_eq!(store.ask("PutAccountSetting", put.clone()), put);
    assert_eq!(get("BLOB_MOUNTING"), "ENABLED");
    assert_eq!(
        store.refusal("PutAccountSetting", json!({ "name": "BLOB_MOUNTING", "value": "x" })),
        "ValidationException: Invalid value 'x' for account setting 'BLOB_MOUNTING': it must be one of [ENABLED, DISABLED]"
    );
    assert!(store.refusal("GetAccountSetting", json!({ "name": "x" })).starts_with("ValidationException: "));
}

#[test]
fn pull_time_exclusions_are_listed_page_by_page() {
    let store = Store::new();
    let principal = |number: usize| json!(format!("arn:aws:iam::111122223333:role/r{number}"));
    for number in 0..3 {
        let made = store.ask("RegisterPullTimeUpdateExclusion", json!({ "principalArn": principal(number) }));
        assert_eq!(timeless(made), json!({ "principalArn": principal(number), "createdAt": "TIME" }));
    }
    let again = store.refusal("RegisterPullTimeUpdateExclusion", json!({ "principalArn": principal(0) }));
    assert!(again.starts_with("ExclusionAlreadyExistsException: "), "{again}");
    let first = store.ask("ListPullTimeUpdateExclusions", json!({ "maxResults": 2 }));
    assert_eq!(first["pullTimeUpdateExclusions"], json!([principal(0), principal(1)]));
    let second = json!({ "maxResults": 2, "nextToken": first["nextToken"] });
    let rest = json!({ "pullTimeUpdateExclusions": [principal(2)] });
    assert_eq!(store.ask("ListPullTimeUpdateExclusions", second), rest);
    let gone = json!({ "principalArn": principal(1) });
    assert_eq!(store.ask("DeregisterPullTimeUpdateExclusion", gone.clone()), gone);
    let absent = store.refusal("DeregisterPullTimeUpdateExclusion", gone);
    assert!(absent.starts_with("ExclusionNotFoundException: "), "{absent}");
}

#[test]
fn a_pull_through_cache_rule_lives() {
    let store = Store::new();
    let rule = json!({
        "ecrRepositoryPrefix": "quay", "upstreamRegistryUrl": "quay.io", "createdAt": "TIME",
        "registryId": "111122223333", "upstreamRegistry": "quay", "upstreamRepositoryPrefix": "ROOT",
    });
    let create = json!({ "ecrRepositoryPrefix": "quay", "upstreamRegistryUrl": "quay.io" });
    assert_eq!(timeless(store.ask("CreatePullThroughCacheRule", create.clone())), rule);
    assert_eq!(
        store.refusal("CreatePullThroughCacheRule", create),
        "PullThroughCacheRuleAlreadyExistsException: The pull through cache rule with Amazon ECR repository prefix 'quay' \
         already exists in the registry with id '111122223333'"
    );
    let unknown = json!({ "ecrRepositoryPrefix": "other", "upstreamRegistryUrl": "example.com" });
    assert!(
        store
            .refusal("CreatePullThroughCacheRule", unknown)
            .starts_with("UnsupportedUpstreamRegistryException: ")
    );
    let listed = store.ask("DescribePullThroughCacheRules", json!({}));
    assert_eq!(listed["pullThroughCacheRules"][0]["upstreamRegistry"], "quay");
    for home in ["http://example.com", "http://quay.io", "127.0.0.1:5000/path"] {
        let refused = json!({ "ecrRepositoryPrefix": "other", "upstreamRegistryUrl": home });
        assert!(
            store
                .refusal("CreatePullThroughCacheRule", refused)
                .starts_with("UnsupportedUpstreamRegistryException: ")
        );
    }
    let secret = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:ecr-pullthroughcache/quay";
    let update = json!({ "ecrRepositoryPrefix": "quay", "credentialArn": secret });
    assert_eq!(store.ask("UpdatePullThroughCacheRule", update)["credentialArn"], secret);
    store.ask("DeletePullThroughCacheRule", json!({ "ecrRepositoryPrefix": "quay" }));
    assert_eq!(
        store.refusal("DescribePullThroughCacheRules", json!({ "ecrRepositoryPrefixes": ["quay"] })),
        "PullThroughCacheRuleNotFoundException: The pull through cache rule with Amazon ECR repository prefix 'quay' \
         does not exist in the registry with id '111122223333'"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, whose steps need each other")]
fn templates_make_repositories_on_push() {
    let store = Store::new();
    let template = |prefix: &str, mutability: &str| {
        let input = json!({
            "prefix": prefix, "appliedFor": ["CREATE_ON_PUSH"], "imageTagMutability": mutability,
            "resourceTags": [{ "Key": "a", "Value": prefix }],
        });
        store.ask("CreateRepositoryCreationTemplate", input)
    };
    assert_eq!(
        timeless(template("team", "IMMUTABLE")),
        json!({
            "registryId": "111122223333",
            "repositoryCreationTemplate": {
                "prefix": "team",
                "encryptionConfiguration": { "encryptionType": "AES256" },
                "resourceTags": [{ "Key": "a", "Value": "team" }],
                "imageTagMutability": "IMMUTABLE",
                "appliedFor": ["CREATE_ON_PUSH"],
                "createdAt": "TIME",
                "updatedAt": "TIME",
            },
        })
    );
    let pushed_to = |name: &str| {
        let scope = Scope { service: "ecr", account: "111122223333".into(), region: "eu-central-1".into() };
        let repository = RepositoryRef { scope, name: name.to_owned() };
        begin_upload(&Request::of_service(&store.local), &repository, IfMissing::Create).is_ok()
    };
    assert!(!pushed_to("other/app"));
    template("ROOT", "MUTABLE");
    template("team/app", "MUTABLE");
    let mutability = |name: &str| {
        assert!(pushed_to(name));
        let described = store.ask("DescribeRepositories", json!({ "repositoryNames": [name] }));
        described["repositories"][0]["imageTagMutability"].clone()
    };
    assert_eq!(mutability("team/other"), "IMMUTABLE");
    assert_eq!(mutability("team/app/x"), "MUTABLE");
    assert_eq!(mutability("teams"), "MUTABLE");
    let input = json!({ "prefix": "team", "description": "d" });
    let updated = store.ask("UpdateRepositoryCreationTemplate", input);
    assert_eq!(updated["repositoryCreationTemplate"]["imageTagMutability"], "IMMUTABLE");
    let all = store.ask("DescribeRepositoryCreationTemplates", json!({ "maxResults": 2 }));
    let prefixes: Vec<_> =
        all["repositoryCreationTemplates"].as_array().unwrap().iter().map(|each| &each["prefix"]).collect();
    assert_eq!(prefixes, ["ROOT", "team"]);
    store.ask("DeleteRepositoryCreationTemplate", json!({ "prefix": "team" }));
    assert_eq!(
        store.refusal("DeleteRepositoryCreationTemplate", json!({ "prefix": "team" })),
        "TemplateNotFoundException: The repository creation template with the prefix 'team' does not exist in the registry \
         with id '111122223333'"
    );
}

#[test]
fn signing_is_never_pretended() {
    let store = Store::with_repository();
    let none = "SigningConfigurationNotFoundException: Signing configuration does not exist in the registry with id \
                '111122223333'";
    assert_eq!(store.refusal("GetSigningConfiguration", json!({})), none);
    store.image("before", Some("before"));
    let profile = "arn:aws:signer:eu-central-1:111122223333:/signing-profiles/profile";
    let filters = json!([{ "filter": "team/*", "filterType": "WILDCARD_MATCH" }]);
    let rules = json!({ "rules": [{ "signingProfileArn": profile, "repositoryFilters": filters }] });
    let put = json!({ "signingConfiguration": rules });
    assert_eq!(store.ask("PutSigningConfiguration", put.clone()), put);
    store.image("after", Some("after"));
    let status = |tag: &str| {
        let input = json!({ "repositoryName": "team/app", "imageId": { "imageTag": tag } });
        store.ask("DescribeImageSigningStatus", input)["signingStatuses"].clone()
    };
    assert_eq!(status("before"), json!([]));
    assert_eq!(
        status("after"),
        json!([{
            "signingProfileArn": profile,
            "failureCode": "SIGNER_UNAVAILABLE",
            "failureReason": "The embedded ECR has no AWS Signer and cannot sign images.",
            "status": "FAILED",
        }])
    );
    let answer = json!({ "registryId": "111122223333", "signingConfiguration": rules });
    assert_eq!(store.ask("DeleteSigningConfiguration", json!({})), answer);
    assert_eq!(store.refusal("DeleteSigningConfiguration", json!({})), none);
}

#[test]
fn the_public_registry_has_a_name() {
    let store = Store::new();
    let data = |answer: Value| answer["registryCatalogData"].clone();
    assert_eq!(data(store.public("GetRegistryCatalogData", json!({})).unwrap()), json!({}));
    let name = json!({ "displayName": "Example" });
    assert_eq!(data(store.public("PutRegistryCatalogData", name.clone()).unwrap()), name);
    assert_eq!(data(store.public("GetRegistryCatalogData", json!({})).unwrap()), name);
}
