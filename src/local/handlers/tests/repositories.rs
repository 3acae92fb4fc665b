//! Repositories, their tags, the registry and its tokens.

use super::*;

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
