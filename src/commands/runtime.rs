//! Asynchronous work from a synchronous command, which a signal ends.

use std::future::Future;
use std::hint::black_box;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::signals::Listener;
use crate::error::{Error, Signal};

/// Time limit of waiting for threads when the work is over.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Runs a future to its end on this thread; for commands that do one thing at a time.
pub fn block_on<T, E: From<Error>>(future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    run(Builder::new_current_thread(), future)
}

/// Runs a future to its end on several threads; for moving images.
pub fn block_on_threads<T, E: From<Error>>(future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    run(threads(1024 * 1024), future)
}

/// Runs a future on several threads, for transfers. Each keeps up to twice `spare` bytes of what was freed.
///
/// glibc gives memory back as soon as 128 KiB lie free, and gets it again page by page for the next piece of a body: a
/// tenth of the time of a push, and of receiving one. The limit becomes twice the largest allocation that was freed
/// (mallopt(3), `M_MMAP_THRESHOLD`); this one touches no memory.
pub fn threads(spare: usize) -> Builder {
    drop(black_box(Vec::<u8>::with_capacity(spare)));
    Builder::new_multi_thread()
}

/// Runs a future that the first signal asks to stop and the second one ends: for changes whose calls in flight are
/// finished, so that the result is known.
pub(super) fn block_on_finishing<T, E, F>(work: impl FnOnce(Stop) -> F) -> Result<T, E>
where
    E: From<Error>,
    F: Future<Output = Result<T, E>>,
{
    let (ask, asked) = tokio::sync::watch::channel(None);
    let failed = |error: std::io::Error| Error::Other(format!("no thread can be started: {error}"));
    let mut listener = Listener::new().map_err(failed)?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let result = runtime.block_on(async {
        let work = work(Stop(asked));
        tokio::pin!(work);
        tokio::select! {
            result = &mut work => return result,
            signal = listener.signal() => ask.send_replace(Some(signal)),
        };
        tokio::select! {
            result = work => result,
            signal = listener.next() => Err(Error::Interrupted(signal).into()),
        }
    });
    drop(listener);
    runtime.shutdown_timeout(TIMEOUT);
    result
}

/// Request to stop, made by a signal.
#[derive(Debug, Clone)]
pub(super) struct Stop(tokio::sync::watch::Receiver<Option<Signal>>);

impl Stop {
    /// The signal, if there was one.
    pub(super) fn signal(&self) -> Option<Signal> {
        *self.0.borrow()
    }

    /// Runs `work` to its end, and notes so on stderr when a signal comes.
    pub(super) async fn finish<T>(&self, ui: &crate::ui::Ui, work: impl Future<Output = T>) -> T {
        let mut asked = self.0.clone();
        tokio::pin!(work);
        tokio::select! {
            result = &mut work => return result,
            Ok(_) = asked.wait_for(Option::is_some) => {}
        }
        ui.note("finishing the calls that are under way; another signal ends the program at once");
        work.await
    }

    /// Runs `work` until a signal comes, which cancels it.
    pub(super) async fn or<T>(&self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let mut asked = self.0.clone();
        let signal = async move {
            match asked.wait_for(Option::is_some).await.ok().and_then(|signal| *signal) {
                Some(signal) => signal,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            result = work => result,
            signal = signal => Err(Error::Interrupted(signal).into()),
        }
    }
}

fn run<T, E: From<Error>>(mut builder: Builder, future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let failed = |error: std::io::Error| Error::Other(format!("no thread can be started: {error}"));
    let mut listener = Listener::new().map_err(failed)?;
    let runtime: Runtime = builder.enable_all().build().map_err(failed)?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = future => result,
            signal = listener.signal() => Err(Error::Interrupted(signal).into()),
        }
    });
    // From here on a further signal ends the program.
    drop(listener);
    // What was under way removes its files; a thread that waits for a pipe or a name may wait for ever.
    runtime.shutdown_timeout(TIMEOUT);
    result
}
