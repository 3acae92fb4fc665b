//! Typed calls of our own commands, besides those of image transfer (which are in `store::ecr`).

use base64_simd::STANDARD;
use serde_json::{Map, Value, json};

use super::client::Client;
use super::error::Error;

/// A registry's password, and how long it is good.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorization {
    /// The user name: `AWS`.
    pub user: String,
    /// The password.
    pub password: String,
    /// Expiry, in seconds since 1970; ECR answers 12 hours.
    pub expires_at: Option<f64>,
    /// The registry's URL. The public registry names none.
    pub endpoint: Option<String>,
}

/// A repository, as far as our commands look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The registry's account.
    pub registry: String,
    /// The name.
    pub name: String,
    /// URI that clients push to and pull from, without a scheme.
    pub uri: String,
}

/// Asks for the registry's password.
pub async fn authorization(client: &Client) -> Result<Authorization, Error> {
    const OPERATION: &str = "GetAuthorizationToken";
    let answer = client.call(OPERATION, json!({})).await?;
    // A list of the private registry's, a structure of the public one's.
    let data = match &answer["authorizationData"] {
        Value::Array(data) => data.first(),
        Value::Object(_) => Some(&answer["authorizationData"]),
        _ => None,
    };
    let authorization = data.and_then(read_authorization);
    authorization.ok_or_else(|| Error::Transport(format!("The answer to {OPERATION} has no token.")))
}

fn read_authorization(data: &Value) -> Option<Authorization> {
    let token = STANDARD.decode_to_vec(data["authorizationToken"].as_str()?).ok()?;
    let token = String::from_utf8(token).ok()?;
    let (user, password) = token.split_once(':')?;
    Some(Authorization {
        user: user.to_owned(),
        password: password.to_owned(),
        expires_at: data["expiresAt"].as_f64(),
        endpoint: data["proxyEndpoint"].as_str().map(str::to_owned),
    })
}

/// Creates a repository; `None` where there is one of this name already.
pub async fn create_repository(client: &Client, name: &str) -> Result<Option<Repository>, Error> {
    let mut input = Map::new();
    input.insert("repositoryName".to_owned(), Value::from(name));
    let answer = match client.call("CreateRepository", Value::Object(input)).await {
        Err(error) if error.code() == Some("RepositoryAlreadyExistsException") => return Ok(None),
        answer => answer?,
    };
    let text = |key: &str| answer["repository"][key].as_str().unwrap_or_default().to_owned();
    Ok(Some(Repository {
        registry: text("registryId"),
        name: text("repositoryName"),
        uri: text("repositoryUri"),
    }))
}
