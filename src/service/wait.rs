//! Waiters: an operation is polled until its answer says that something has happened.

use std::time::Duration;

use serde_json::Value;

use super::client::Client;
use super::error::Error;
use super::path;
use crate::model::{Acceptor, Waiter};

/// Polls until the waiter's condition holds, with real time between two polls.
pub async fn wait(client: &Client, name: &str, waiter: &Waiter, input: Value) -> Result<(), Error> {
    wait_with(client, name, waiter, input, tokio::time::sleep).await
}

/// Like [`wait`], with the pause as an argument, so that a test need not wait.
pub async fn wait_with<P: Future<Output = ()>>(
    client: &Client,
    name: &str,
    waiter: &Waiter,
    input: Value,
    pause: impl Fn(Duration) -> P,
) -> Result<(), Error> {
    let failed = |reason: String| Err(Error::Waiter { waiter: name.to_owned(), reason });
    for attempt in 1..=waiter.max_attempts.max(1) {
        let answer = match client.call(waiter.operation, input.clone()).await {
            Ok(answer) => answer,
            Err(Error::Refused(refused)) => {
                let refusal = &refused.refusal;
                return failed(format!("An error occurred ({}): {}", refusal.code, refusal.message));
            }
            Err(other) => return Err(other),
        };
        match waiter.acceptors.iter().find(|acceptor| accepts(acceptor, &answer)) {
            Some(acceptor) if acceptor.state == "success" => return Ok(()),
            Some(Acceptor { argument, expected, .. }) => {
                return failed(format!(
                    "Waiter encountered a terminal failure state: \
                     For expression \"{argument}\" we matched expected path: \"{expected}\""
                ));
            }
            None if attempt < waiter.max_attempts => pause(Duration::from_secs(waiter.delay)).await,
            None => {}
        }
    }
    failed("Max attempts exceeded".to_owned())
}

fn accepts(acceptor: &Acceptor, answer: &Value) -> bool {
    path::get(answer, acceptor.argument).and_then(Value::as_str) == Some(acceptor.expected)
}
