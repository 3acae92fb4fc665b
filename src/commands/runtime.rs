//! Asynchronous work from a synchronous command, which Ctrl-C ends.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

use crate::error::Error;

/// Runs a future to its end on this thread; for commands that wait for one thing at a time.
pub fn block_on<T, E: From<Error>>(future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    run(Builder::new_current_thread(), future)
}

/// Runs a future to its end on several threads; for moving images.
pub fn block_on_threads<T, E: From<Error>>(future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    run(Builder::new_multi_thread(), future)
}

fn run<T, E: From<Error>>(mut builder: Builder, future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let failed = |error: std::io::Error| Error::Other(format!("no thread can be started: {error}"));
    let runtime: Runtime = builder.enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        tokio::select! {
            result = future => result,
            Ok(()) = tokio::signal::ctrl_c() => Err(Error::Interrupted.into()),
        }
    })
}
