//! Names of repositories and tags from the service, for completion: what has arrived after two seconds is offered, and
//! errors are not shown.

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::commands::{block_on, connect};
use crate::error::Error;
use crate::model::Service;
use crate::service::Client;
use crate::settings::Settings;
use crate::store::TokenPages;

/// Time limit of a completion, since a person waits for it.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Limit of candidates: more help nobody.
const MAX_COUNT: usize = 2000;

/// Kind of names to complete.
pub(super) enum NameKind {
    Repositories,
    /// The tags of a repository.
    Tags(String),
}

/// Asks the service.
pub(super) fn names(
    settings: Settings,
    service: &'static Service,
    wanted: NameKind,
    registry: Option<&str>,
) -> Vec<String> {
    let mut input = Map::new();
    if let Some(registry) = registry {
        input.insert("registryId".to_owned(), registry.into());
    }
    let is_private = service.name == "ecr";
    let (operation, list, name) = match wanted {
        NameKind::Repositories => ("DescribeRepositories", "repositories", "repositoryName"),
        NameKind::Tags(repository) => {
            input.insert("repositoryName".to_owned(), repository.into());
            if is_private {
                input.insert("filter".to_owned(), json!({"tagStatus": "TAGGED"}));
                ("ListImages", "imageIds", "imageTag")
            } else {
                ("DescribeImageTags", "imageTagDetails", "imageTag")
            }
        }
    };
    input.insert("maxResults".to_owned(), 1000.into());
    let (sender, receiver) = channel();
    // What blocks (a credential process, say) must not hold up the shell: this thread is left to itself.
    std::thread::spawn(move || {
        let Some(client) = client(&settings, service) else { return };
        let asked = async { pages(&client, operation, input, (list, name), &sender).await };
        let _ = block_on::<(), Error>(asked);
    });
    let deadline = Instant::now() + TIMEOUT;
    let mut names = Vec::new();
    while names.len() < MAX_COUNT {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(name) => names.push(name),
            Err(_) => break,
        }
    }
    names.sort();
    names.dedup();
    names
}

/// Creates a client that never prompts, and no store if there is none.
fn client(settings: &Settings, service: &'static Service) -> Option<Client> {
    if !settings.local() {
        return Some(Client::remote(service, settings));
    }
    settings.local_folder().ok().filter(|folder| folder.is_dir())?;
    connect(settings, service).ok()
}

async fn pages(
    client: &Client,
    operation: &str,
    input: Map<String, Value>,
    (list, name): (&str, &str),
    sender: &Sender<String>,
) -> Result<(), Error> {
    let mut pages = TokenPages::default();
    // A listing without an end is offered as far as it was read.
    while let Ok(page) = pages.input(Value::Object(input.clone())) {
        let answer = client.call(operation, page).await?;
        let items = answer.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for item in items.iter().filter_map(|item| item.get(name)?.as_str()) {
            if sender.send(item.to_owned()).is_err() {
                return Ok(());
            }
        }
        if pages.page(&answer, items.len()) != Ok(true) {
            break;
        }
    }
    Ok(())
}
